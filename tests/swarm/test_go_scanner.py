"""Where a value ends, and Go's words for one that does not.

The tables were written by Go 1.19; `test_go_ends_every_value_there` asks the one on this machine.
"""

import base64
import json
import random
import subprocess

import pytest

from walkthroughs.swarm.go_scanner import MAX_DEPTH, scan
from walkthroughs.swarm.handler import HTTPError

VALUE = "looking for beginning of value"
KEY = "looking for beginning of object key string"

# body, the character, where it is
BAD = [
    (b"bad", "b", VALUE),
    (b"'a'", r"\'", VALUE),
    ("é".encode(), "Ã", VALUE),
    (b"\x80", r"\u0080", VALUE),
    (b"\x7f", r"\x7f", VALUE),
    (b"\v1", r"\v", VALUE),
    (b"\x851", r"\u0085", VALUE),
    (b"\xef\xbb\xbf{}", "ï", VALUE),
    (b"}", "}", VALUE),
    (b",", ",", VALUE),
    (b"[}", "}", VALUE),
    (b"[1,]", "]", VALUE),
    (b"[.5]", ".", VALUE),
    (b"[+1]", "+", VALUE),
    (b"[NaN]", "N", VALUE),
    (b"[Infinity]", "I", VALUE),
    (b'{"a":}', "}", VALUE),
    (b"{]", "]", KEY),
    (b"{'a':1}", r"\'", KEY),
    (b"{1:2}", "1", KEY),
    (b'{"a":1,}', "}", KEY),
    (b'{"a" 1}', "1", "after object key"),
    (b'{"a":1 "b"}', '"', "after object key:value pair"),
    (b'{"a":1]', "]", "after object key:value pair"),
    (b"[1 2]", "2", "after array element"),
    (b"[1}", "}", "after array element"),
    (b"[01]", "1", "after array element"),
    (b'"a\nb"', r"\n", "in string literal"),
    (b'"\x00"', r"\x00", "in string literal"),
    (b'"\\x"', "x", "in string escape code"),
    (b'"\\u12G4"', "G", r"in \u hexadecimal character escape"),
    (b'"\\u"', '"', r"in \u hexadecimal character escape"),
    (b"[-x]", "x", "in numeric literal"),
    (b"[-Infinity]", "I", "in numeric literal"),
    (b"[1.]", "]", "after decimal point in numeric literal"),
    (b"[1.e5]", "e", "after decimal point in numeric literal"),
    (b"[1e]", "]", "in exponent of numeric literal"),
    (b"[1.5e+]", "]", "in exponent of numeric literal"),
    (b"[tru]", "]", "in literal true (expecting 'e')"),
    (b"[truE]", "E", "in literal true (expecting 'e')"),
    (b"[fals3]", "3", "in literal false (expecting 'e')"),
    (b"[nan]", "a", "in literal null (expecting 'u')"),
    (b"[nulL]", "L", "in literal null (expecting 'l')"),
]
NO_END = [b"{", b"[1,", b'{"a"', b'"a', b'"', b'["\\', b'["\\u1', b"tr", b"-", b"[1.", b"[1e"]

# body, how much of it is the first value
WHOLE = [
    (b"{}", 2),
    (b" \t\r\n[ ]x", 7),
    (b"{}{}", 2),
    (b"1 2", 1),
    (b"01", 1),
    (b"1.5.2", 3),
    (b"-0.5e-7", 7),
    (b'"a\\n\\u00e9\\\\"b', 13),
    (b"nullx", 4),
    (b'{"a":[1,{"b":null},[],{}],"c":"}"}]', 34),
    (b'"\xff\xc3"', 4),
]


def said(body):
    """Return where the first value ends, or the error."""
    try:
        return scan(body.decode("latin-1"))
    except HTTPError as error:
        return f"{error}" if error.status == 400 else error.status


@pytest.mark.parametrize(("body", "character", "where"), BAD)
def test_a_character_that_may_not_be_there(body, character, where):
    assert said(body) == f"invalid character '{character}' {where}"


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_no_body_is_the_end_of_the_file(body):
    assert said(body) == "EOF"


@pytest.mark.parametrize("body", NO_END)
def test_a_value_that_does_not_end(body):
    assert said(body) == "unexpected EOF"


@pytest.mark.parametrize(("body", "length"), WHOLE)
def test_only_the_first_value_is_looked_at(body, length):
    assert said(body) == length


def test_values_inside_each_other_have_a_limit():
    assert said(b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH) == 2 * MAX_DEPTH + 1
    assert said(b"[" * 100_000) == "invalid character '[' exceeded max depth"
    assert said(b'{"a":' * 100_000) == "invalid character '{' exceeded max depth"


def test_a_long_text_is_passed_at_once():
    body = b'"' + b"a\\n" * 1_000_000 + b'"'
    assert said(body) == len(body)


def test_what_is_scanned_is_json_for_python_too():
    for body, length in WHOLE:
        json.loads(body[:length].decode("latin-1"))


GO = """
package main

import (
	"bytes"
	"encoding/json"
	"os"
)

type answer struct {
	End   int64
	Error string
}

func main() {
	var bodies [][]byte
	if err := json.NewDecoder(os.Stdin).Decode(&bodies); err != nil {
		panic(err)
	}
	answers := []answer{}
	for _, body := range bodies {
		var value interface{}
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		given := answer{}
		if err := decoder.Decode(&value); err != nil {
			given.Error = err.Error()
		} else {
			given.End = decoder.InputOffset()
		}
		answers = append(answers, given)
	}
	json.NewEncoder(os.Stdout).Encode(answers)
}
"""

SEEDS = [body for body, *_ in BAD + WHOLE] + [
    b'{"Image":"busybox","Cmd":["sh","-c","true"],"HostConfig":{"Memory":1e3,"Init":null}}',
    b'{"a": {"b": [true, false, null, -1.5e+10, "\\ud83d\\ude00 \xc3\xa9"]}}',
]
SIGNS = b"{}[]:,\"'\\/tfnrulse0179-+.eEab \n\t\x00\x1f\x7f\x80\xc3\xef\xff"


def mutated(body, chance):
    """Return a body with a few bytes of it changed, left out or put in."""
    body = bytearray(body)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(body) + 1)
        body[at : at + chance.randrange(3)] = chance.choices(SIGNS, k=chance.randrange(3))
        if chance.random() < 0.1:
            del body[at:]
    return bytes(body)


def answers_of(go, program, question, folder):
    """Build a Go program; return what it answers to a question, both being JSON."""
    (folder / "main.go").write_text(program)
    subprocess.run([go, "build", "-o", "answers", "main.go"], cwd=folder, check=True)
    asked = json.dumps(question).encode()
    done = subprocess.run([folder / "answers"], input=asked, capture_output=True, check=True)
    return json.loads(done.stdout)


def test_go_ends_every_value_there(require, tmp_path):
    chance = random.Random(5)
    bodies = [mutated(chance.choice(SEEDS), chance) for _ in range(10_000)]
    question = [base64.b64encode(body).decode() for body in bodies]
    answers = answers_of(require("go"), GO, question, tmp_path)
    for body, theirs in zip(bodies, answers, strict=True):
        assert (body, said(body)) == (body, theirs["Error"] or theirs["End"])
