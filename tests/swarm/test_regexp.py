"""What Go answers, against what `regexp` answers.

The tables were written by Go 1.19; `test_go_answers_the_same` asks the one on this machine.
"""

import json
import random
import re
import subprocess
from itertools import product
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walkthroughs.swarm.regexp import ROOM, Regexp, RegexpError, fold

# pattern, texts in which it is found, texts in which it is not
FOUND = [
    ("", ["", "a"], []),
    ("b", ["abc"], ["", "B"]),
    ("a|bc", ["a", "xbc"], ["b", "c"]),
    ("a(b|)c", ["abc", "ac"], ["adc"]),
    ("x*", ["", "y"], []),
    ("^ab*$", ["a", "abb"], ["ba", "aba"]),
    ("^a+?b??$", ["aa", "aab"], ["", "b"]),
    ("^(a*)*$", ["", "aaa"], ["b"]),
    ("^(a*b)?$", ["", "b", "aab"], ["a", "abb"]),
    ("^(ba*)?$", ["", "b", "baa"], ["a", "aba"]),
    ("^^*a$$", ["a"], ["aa"]),
    (r"\d", ["7"], ["٣", "x"]),
    (r"^\w+$", ["az_09"], ["é", "a-b"]),
    (r"\s", [" ", "\t", "\n", "\f", "\r"], ["\v", "\x1c", "\xa0"]),
    (r"^\D\S\W$", ["a.é"], ["1a.", "a .", "a.b"]),
    (r"\bk\b", ["k", "ék", "a k b"], ["ak", "k_"]),
    (r"a\Bb", ["ab"], ["a b"]),
    (r"\B", ["", "ab", "."], ["a"]),
    ("^node$", ["node"], ["node\n", "node\nx", "\nnode"]),
    ("(?m)^node$", ["node\n", "x\nnode\nx"], ["xnode"]),
    (r"(?m)\Anode\z", ["node"], ["node\n", "\nnode"]),
    ("^.$", ["a", "\r", "é"], ["\n", ""]),
    ("(?s)^.$", ["\n"], [""]),
    ("(?s-s)^.$", ["a"], ["\n"]),
    ("a(?i)b", ["ab", "aB"], ["Ab"]),
    ("(?i:a)b", ["Ab"], ["AB"]),
    ("((?i)a)b", ["Ab"], ["AB"]),
    ("(?i)(?-i:a)b", ["aB"], ["AB"]),
    ("a|(?i)b|c", ["C", "B"], ["A"]),
    ("(?i)k", ["k", "K", "\u212a"], ["x"]),
    ("(?i)[^k]", ["x"], ["k", "K", "\u212a"]),
    ("(?i)[a-z]", ["\u017f", "\u212a"], ["\u0131", "İ"]),
    (r"(?i)\W", ["é"], ["\u017f", "\u212a"]),
    ("(?i)[[:lower:]]", ["A"], ["1"]),
    (r"(?i)\pM", ["\u0345", "\u03b9", "\u0399"], ["a"]),
    ("(?U)^a*b?$", ["aab"], ["c"]),
    ("(?)a", ["a"], [""]),
    ("a(?i)*", ["", "b"], []),
    ("[]a]", ["]", "a"], ["["]),
    ("[^]a]", ["b"], ["]", "a", ""]),
    ("[a-]", ["a", "-"], ["b"]),
    ("[--/]", ["-", ".", "/"], ["a"]),
    ("[^a]", ["\n"], ["a"]),
    (r"[\d\s]", ["1", " "], ["a"]),
    (r"[^\D5]", ["4"], ["5", "a"]),
    (r"[\-\]]", ["-", "]"], ["\\"]),
    ("[[:alpha:]-]", ["a", "-"], ["1"]),
    ("[[:^digit:]]", ["a"], ["1"]),
    ("[[:word:][:punct:]]", ["_", "~"], [" "]),
    ("[[:space:]]", ["\v"], ["a"]),
    ("[:alpha:]", ["a", ":"], ["b"]),
    ("[[:]", ["[", ":"], ["a"]),
    (r"\pN", ["٣", "½"], ["a"]),
    (r"^\PN$", ["a"], ["٣"]),
    (r"[\pL.]", ["é", "."], ["1"]),
    (r"\pC", ["\t", "\ue000"], ["a"]),
    (r"^\Qa.*\E*$", ["a.", "a.***"], ["ab"]),
    (r"\Q\E", ["", "a"], []),
    (r"^\Qa|b", ["a|b"], ["a", "b"]),
    (r"^\x4b\113\/\_\.$", ["KK/_."], ["KK/__"]),
    (r"\0", ["\0"], ["0"]),
    (r"^\123\0101$", ["S\b1"], ["S"]),
    (r"\a|\f|\n|\r|\t|\v", ["\a", "\f", "\n", "\r", "\t", "\v"], ["a"]),
]

REFUSED = [
    ("a**", "invalid nested repetition operator: `**`"),
    ("a++", "invalid nested repetition operator: `++`"),
    ("a*?+?", "invalid nested repetition operator: `*?+?`"),
    ("*", "missing argument to repetition operator: `*`"),
    ("(+)", "missing argument to repetition operator: `+`"),
    ("a|??", "missing argument to repetition operator: `??`"),
    ("(?i)*", "missing argument to repetition operator: `*`"),
    ("(a", "missing closing ): `(a`"),
    ("(?i:a", "missing closing ): `(?i:a`"),
    ("a)b", "unexpected ): `a)b`"),
    ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
    ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
    ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
    ("(?i-)a", "invalid or unsupported Perl syntax: `(?i-)`"),
    ("(?i--s)a", "invalid or unsupported Perl syntax: `(?i--`"),
    ("[a", "missing closing ]: `[a`"),
    ("x[]", "missing closing ]: `[]`"),
    ("[z-a]", "invalid character class range: `z-a`"),
    (r"[\x4b-\x41]", r"invalid character class range: `\x4b-\x41`"),
    ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
    (r"\pX", r"invalid character class range: `\pX`"),
    (r"[\p]", r"invalid character class range: `\p]`"),
    (r"\p", r"invalid character class range: `\p`"),
    (r"(a)\1", r"invalid escape sequence: `\1`"),
    (r"\y", r"invalid escape sequence: `\y`"),
    (r"\C", r"invalid escape sequence: `\C`"),
    (r"\Z", r"invalid escape sequence: `\Z`"),
    (r"[\b]", r"invalid escape sequence: `\b`"),
    (r"\xg1", r"invalid escape sequence: `\xg1`"),
    (r"\x", r"invalid escape sequence: `\x`"),
    ("a\\", "trailing backslash at end of expression: ``"),
    ("[\\", "trailing backslash at end of expression: ``"),
]

GO = """package main

import (
	"encoding/json"
	"os"
	"regexp"
	"unicode"
)

type question struct {
	Pattern string
	Texts   []string
}

type answer struct {
	Refused string
	Found   []bool
}

func main() {
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		panic(err)
	}
	answers := []answer{}
	for _, each := range questions {
		said := answer{Found: []bool{}}
		if compiled, err := regexp.Compile(each.Pattern); err != nil {
			said.Refused = err.Error()
		} else {
			for _, text := range each.Texts {
				said.Found = append(said.Found, compiled.MatchString(text))
			}
		}
		answers = append(answers, said)
	}
	folds := map[rune]rune{}
	for char := rune(0); char <= unicode.MaxRune; char++ {
		if unicode.IsGraphic(char) {
			folds[char] = unicode.SimpleFold(char)
		}
	}
	json.NewEncoder(os.Stdout).Encode(map[string]interface{}{"answers": answers, "folds": folds})
}
"""

ATOMS = [
    *r"abkKsSxZ09_-:./ ab()|*+?[]^$",
    *(r"\d", r"\w", r"\s", r"\W", r"\b", r"\B", r"\A", r"\z", r"\pN", r"\PL", r"\pM", r"\pS"),
    *("(?", "(?:", "(?i)", "(?s)", "(?m)", "(?U)", "(?i:", "(?-i)", "(?im-s:", "*?", "??", "**"),
    *("[^", "[a-k]", "[^a]", "[[:alpha:]]", "[[:^digit:]]", "[:word:]", r"[\s\D]", "[]a]", "[a-]"),
    *(r"\Q", r"\E", r"\.", r"\x4b", r"\x", r"\101", r"\1", r"\0", r"\577", r"\n", r"\C", r"\y"),
    *("\\", r"\p", r"\_", "\n", "\t", "\u017f", "\u212a", r"[\560-\600]", r"(?i)\W"),
]
SIGNS = [*"aabbkKsSxZ09_-:./ \n\t\v", *"\u017f\u212aéÉßẞµμ\u0131İ٣\u0345\u03b9", "ab"]


def questions(count, chance):
    """Return random patterns, each with random texts; half of the patterns are none."""

    def some(parts, low, high):
        return "".join(chance.choices(parts, k=chance.randint(low, high)))

    for _ in range(count):
        yield some(ATOMS, 1, 9), ["", *(some(SIGNS, 0, 6) for _ in range(8))]


def our_answer(pattern, texts):
    try:
        regexp = Regexp(pattern)
    except RegexpError as error:
        return {"Refused": str(error), "Found": []}
    return {"Refused": "", "Found": [regexp.search(text) for text in texts]}


@pytest.fixture(scope="module")
def go(require, tmp_path_factory):
    """Return a function that puts questions to Go."""
    folder = tmp_path_factory.mktemp("go")
    (folder / "main.go").write_text(GO)
    build = [require("go"), "build", "-o", "answers", "main.go"]
    subprocess.run(build, cwd=folder, check=True)

    def ask(asked):
        given_to_go = [{"Pattern": pattern, "Texts": texts} for pattern, texts in asked]
        program = [folder / "answers"]
        text = json.dumps(given_to_go).encode()
        return json.loads(
            subprocess.run(program, input=text, capture_output=True, check=True).stdout
        )

    return ask


def test_go_answers_the_same(go):
    asked = [(pattern, yes + no) for pattern, yes, no in FOUND]
    asked += [(pattern, []) for pattern, _ in REFUSED]
    asked += questions(10_000, random.Random(1))
    for (pattern, texts), theirs in zip(asked, go(asked)["answers"], strict=True):
        assert (pattern, texts, our_answer(pattern, texts)) == (pattern, texts, theirs)


def test_go_knows_the_same_letters_in_two_cases(go):
    pairs = [(chr(int(char)), chr(other)) for char, other in go([])["folds"].items()]
    # One of the two may know a newer Unicode.
    pairs = [(char, other) for char, other in pairs if category(char) != "Cn" != category(other)]
    assert [(char, other) for char, other in pairs if fold(char) != fold(other)] == []
    assert [char for char, other in pairs if char == other and char != fold(char)] == []


@pytest.mark.parametrize(("pattern", "yes", "no"), FOUND)
def test_search(pattern, yes, no):
    regexp = Regexp(pattern)
    assert {text: regexp.search(text) for text in yes + no} == {
        **dict.fromkeys(yes, True),
        **dict.fromkeys(no, False),
    }


@pytest.mark.parametrize(("pattern", "message"), REFUSED)
def test_what_go_cannot_compile(pattern, message):
    with pytest.raises(RegexpError, match=f"^{re.escape(f'error parsing regexp: {message}')}$"):
        Regexp(pattern)


pieces = st.recursive(
    st.sampled_from(["", "a", "b", ".", "[ab]", "[^b]", r"\d", r"\b", r"\A", "^"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from("*+?")).map(lambda two: f"(?:{two[0]}){two[1]}"),
    ),
    max_leaves=8,
)


@given(pieces)
def test_where_the_two_languages_agree_python_finds_the_same(pattern):
    ours, theirs = Regexp(pattern), re.compile(pattern)
    texts = ["".join(chars) for length in range(4) for chars in product("ab1\n", repeat=length)]
    for text in texts:
        assert (text, ours.search(text)) == (text, theirs.search(text) is not None)


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "(a*)*b", "(?:a?)+a+c"])
def test_no_pattern_explodes(pattern):
    assert Regexp(pattern).search("a" * 20_000 + "!") is False


def test_a_text_is_read_once():
    regexp = Regexp("(a+)+$")
    regexp.search("a" * 1000 + "b")
    known = len(regexp.known)
    regexp.search("a" * 5000 + "b")
    assert len(regexp.known) == known


def held(regexp):
    """Return how much a pattern remembers: places in readings, and steps between them."""
    return sum(len(reading.places) + len(reading) for reading in regexp.known.values())


def test_what_a_pattern_remembers_is_bounded():
    # To know what stood fourteen characters ago takes a reading for each of 16384 pasts.
    regexp = Regexp("a" + "[ab]" * 14 + "$")
    chance = random.Random(1)
    remembered = []
    for _ in range(60):
        text = "".join(chance.choices("ab", k=500))
        assert regexp.search(text) is (text[-15] == "a")
        remembered.append(held(regexp))
    assert ROOM * 0.9 < max(remembered) < ROOM * 1.1


def test_a_text_of_many_characters_is_forgotten_too():
    regexp = Regexp("x")
    for char in map(chr, range(0x100, 0x10100)):
        regexp.search(char)
    assert held(regexp) <= ROOM


def test_what_is_not_assigned_is_of_no_category():
    # As in Go before version 1.25.
    assert Regexp(r"\pC").search("\u0378") is False


def test_parentheses_in_parentheses_are_no_recursion():
    assert Regexp("(" * 5000 + "a" + ")*" * 5000).search("aa") is True
