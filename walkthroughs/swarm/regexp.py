"""Go's regular expressions: all readings of a text at once, and never one again.

| upstream, Go's package regexp             | here                                |
|-------------------------------------------|-------------------------------------|
| `syntax.Parse`                            | `Parser`                            |
| `syntax.Error`                            | `RegexpError`                       |
| `syntax.Inst`                             | `Place`                             |
| `Regexp.MatchString`                      | `Regexp.search`                     |

A **test** tells whether a character will do. A **place** is a point in a pattern; from
it one goes on to others, for nothing or for a character. A **piece** is a part of a
pattern: its first place and its last. A **reading** is all the places that one may be
in, after some text.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import TypeAlias
from unicodedata import category

Test: TypeAlias = Callable[[str], bool]
Condition: TypeAlias = Callable[[str, str], bool]
"""Of the characters before and after a point in a text; "" is the text's edge."""

PERL = {"d": "09", "s": "\t\n\f\r  ", "w": "09AZ__az"}
"""The first and the last character of each stretch of a class, all ASCII."""

POSIX = {
    "alnum": "09AZaz",
    "alpha": "AZaz",
    "ascii": "\0\x7f",
    "blank": "\t\t  ",
    "cntrl": "\0\x1f\x7f\x7f",
    "digit": "09",
    "graph": "!~",
    "lower": "az",
    "print": " ~",
    "punct": "!/:@[`{~",
    "space": "\t\r  ",
    "upper": "AZ",
    "word": "09AZ__az",
    "xdigit": "09AFaf",
}

CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

ROOM = 50_000
"""Places and steps that one pattern may remember; some megabytes."""


def between(spans: str) -> Test:
    pairs = list(zip(spans[::2], spans[1::2], strict=True))
    return lambda char: any(first <= char <= last for first, last in pairs)


def inverted(test: Test) -> Test:
    return lambda char: not test(char)


def of_category(letter: str) -> Test:
    # What is not assigned, Cn, is of no category in Go.
    return lambda char: category(char)[0] == letter and category(char) != "Cn"


def without_case(test: Test) -> Test:
    return lambda char: any(map(test, orbits().get(char, char)))


@cache
def orbits() -> dict[str, str]:
    """Return, for each letter that has cases, all that it equals without them."""
    groups: dict[str, str] = {}
    for char in map(chr, range(0x1E944)):
        if (folded := fold(char)) != char:
            groups[folded] = groups.get(folded, folded) + char
    return {char: group for group in groups.values() for char in group}


def fold(char: str) -> str:
    """Return what a letter's cases have in common, as Unicode's simple folding does."""
    # The long way to write one letter, as ss for the sharp s, is not the simple one.
    if len(folded := char.casefold()) > 1:
        folded = char.lower()
    return folded if len(folded) == 1 else char


is_word = between(PERL["w"])

CONDITIONS: dict[str, Condition] = {
    "": lambda before, after: True,
    r"\A": lambda before, after: not before,
    r"\z": lambda before, after: not after,
    "^": lambda before, after: before in ("", "\n"),
    "$": lambda before, after: after in ("", "\n"),
    r"\b": lambda before, after: is_word(before) != is_word(after),
    r"\B": lambda before, after: is_word(before) == is_word(after),
}


class Place:
    """A point in a pattern, with the ways on: for nothing, and for a character."""

    def __init__(self) -> None:
        self.free: list[tuple[Condition, Place]] = []
        self.paid: list[tuple[Test, Place]] = []

    def link(self, place: "Place", condition: str = "") -> None:
        self.free.append((CONDITIONS[condition], place))


Piece: TypeAlias = tuple[Place, Place]


def one(test: Test) -> Piece:
    start, end = Place(), Place()
    start.paid.append((test, end))
    return start, end


def nothing(condition: str) -> Piece:
    start, end = Place(), Place()
    start.link(end, condition)
    return start, end


def sequence(pieces: list[Piece]) -> Piece:
    start = end = Place()
    for first, last in pieces:
        end.link(first)
        end = last
    return start, end


def either(branches: list[list[Piece]]) -> Piece:
    start, end = Place(), Place()
    for first, last in map(sequence, branches):
        start.link(first)
        last.link(end)
    return start, end


def repeated(piece: Piece, operator: str) -> Piece:
    start, end = piece
    if operator != "+":
        start.link(end)
    if operator != "?":
        end.link(start)
    return piece


class RegexpError(Exception):
    """A pattern is none, in Go's words."""

    def __init__(self, problem: str, part: str) -> None:
        super().__init__(f"error parsing regexp: {problem}: `{part}`")


class Parser:
    """Reads a pattern from left to right; knows all of Go's syntax without braces."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.flags: set[str] = set()
        self.branches: list[list[Piece]] = [[]]
        self.outer: list[tuple[list[list[Piece]], set[str]]] = []
        """What was read before each parenthesis that is open, and the flags there."""

    def take(self, token: str) -> re.Match[str] | None:
        """Go past a token, if it is what comes next."""
        if found := re.compile(token, re.DOTALL).match(self.pattern, self.at):
            self.at = found.end()
        return found

    def parse(self) -> Piece:
        last = ""
        while self.at < len(self.pattern):
            if found := self.take(r"[*+?]\??"):
                self.repeat(found[0], last)
                last = found[0]
            else:
                self.read_one()
                last = ""
        if self.outer:
            raise RegexpError("missing closing )", self.pattern)
        return either(self.branches)

    def repeat(self, operator: str, last: str) -> None:
        if last:
            raise RegexpError("invalid nested repetition operator", last + operator)
        if not (pieces := self.branches[-1]):
            raise RegexpError("missing argument to repetition operator", operator)
        # Greedy or not tells where a match ends, and nobody asks.
        pieces.append(repeated(pieces.pop(), operator[0]))

    def read_one(self) -> None:
        """Read a group's begin or end, or a piece that has no pieces."""
        if self.take(r"\|"):
            self.branches.append([])
        elif self.take(r"\((?!\?)"):
            self.open()
        elif self.take(r"\(\?"):
            self.read_flags()
        elif self.take(r"\)"):
            self.close()
        elif found := self.take(r"\\Q(.*?)(?:\\E|\Z)"):
            for char in found[1]:
                self.branches[-1].append(one(self.with_flags(between(char * 2))))
        elif found := self.take(r"\\[AzbB]|[$^]"):
            line = {"^": r"\A", "$": r"\z"} if "m" not in self.flags else {}
            self.branches[-1].append(nothing(line.get(found[0], found[0])))
        else:
            self.branches[-1].append(one(self.read_test()))

    def open(self) -> None:
        self.outer.append((self.branches, self.flags))
        self.branches = [[]]

    def close(self) -> None:
        if not self.outer:
            raise RegexpError("unexpected )", self.pattern)
        piece = either(self.branches)
        self.branches, self.flags = self.outer.pop()
        self.branches[-1].append(piece)

    def read_flags(self) -> None:
        if found := self.take(r"([imsU]*)(?:-([imsU]+))?([:)])"):
            if found[3] == ":":
                self.open()
            self.flags = (self.flags | set(found[1])) - set(found[2] or "")
        elif found := self.take(r"[imsU]*(?:-[imsU]*)?.?"):
            raise RegexpError("invalid or unsupported Perl syntax", f"(?{found[0]}")

    def read_test(self) -> Test:
        if self.take(r"\."):
            return inverted(between("" if "s" in self.flags else "\n\n"))
        if self.take(r"\["):
            return self.read_class(self.pattern[self.at - 1 :])
        return self.read_named() or self.with_flags(between(self.read_char("") * 2))

    def read_class(self, whole: str) -> Test:
        negative = self.take(r"\^") is not None
        tests: list[Test] = []
        # A bracket that comes first closes nothing.
        while not tests or not self.take(r"\]"):
            tests.append(
                self.read_posix() or self.read_named() or self.read_span(whole)
            )
        return lambda char: any(test(char) for test in tests) is not negative

    def read_posix(self) -> Test | None:
        if not (found := self.take(r"\[:(\^?)(.*?):\]")):
            return None
        if found[2] not in POSIX:
            raise RegexpError("invalid character class range", found[0])
        return self.with_flags(between(POSIX[found[2]]), found[1] == "^")

    def read_named(self) -> Test | None:
        if found := self.take(r"\\([dDsSwW])"):
            return self.with_flags(between(PERL[found[1].lower()]), found[1].isupper())
        if found := self.take(r"\\([pP])([CLMNPSZ])"):
            return self.with_flags(of_category(found[2]), found[1] == "P")
        if found := self.take(r"\\[pP].?"):
            raise RegexpError("invalid character class range", found[0])
        return None

    def read_span(self, whole: str) -> Test:
        begin = self.at
        first = last = self.read_char(whole)
        if self.take(r"-(?=[^\]])"):
            last = self.read_char(whole)
        if last < first:
            part = self.pattern[begin : self.at]
            raise RegexpError("invalid character class range", part)
        return self.with_flags(between(first + last))

    def read_char(self, whole: str) -> str:
        """Read a character, itself or escaped; `whole` is the class around it."""
        if found := self.take(r"\\x([\da-fA-F]{2})"):
            return chr(int(found[1], 16))
        if found := self.take(r"\\(0[0-7]{,2}|[1-7][0-7]{1,2})"):
            return chr(int(found[1], 8))
        if found := self.take(r"\\([afnrtv])"):
            return CONTROLS[found[1]]
        if found := self.take(r"\\([\0-/:-@\[-`{-\x7f])|([^\\])"):
            return found[1] or found[2]
        if found := self.take(r"\\(x.?.?|.)"):
            raise RegexpError("invalid escape sequence", found[0])
        if self.take(r"\\"):
            raise RegexpError("trailing backslash at end of expression", "")
        raise RegexpError("missing closing ]", whole)

    def with_flags(self, test: Test, negative: bool = False) -> Test:
        test = without_case(test) if "i" in self.flags else test
        return inverted(test) if negative else test


class Reading(dict[str, "Reading"]):
    """The places after some text, and the readings after one more character of it.

    The character "" is the end of the text.
    """

    def __init__(self, regexp: "Regexp", places: frozenset[Place], last: str) -> None:
        super().__init__()
        self.regexp = regexp
        self.places = places
        self.last = last

    def __missing__(self, char: str) -> "Reading":
        following = self[char] = self.regexp.step(self, char)
        return following

    def reach(self, after: str) -> set[Place]:
        """Return all places that can be come to before the next character."""
        reached = set(self.places)
        waiting = list(reached)
        while waiting:
            for condition, place in waiting.pop().free:
                if place not in reached and condition(self.last, after):
                    reached.add(place)
                    waiting.append(place)
        return reached


class Regexp:
    """A compiled pattern; raise `RegexpError` for one that Go cannot compile."""

    def __init__(self, pattern: str) -> None:
        self.first, self.final = Parser(pattern).parse()
        self.forget()

    def forget(self) -> None:
        """Begin anew, without readings."""
        self.room = ROOM
        self.known: dict[tuple[frozenset[Place], str], Reading] = {}
        self.start = self.reading(frozenset([self.first]), "")
        self.found = self.reading(frozenset([self.final]), "")

    def reading(self, places: frozenset[Place], last: str) -> Reading:
        if (places, last) not in self.known:
            self.room -= len(places)
            self.known[places, last] = Reading(self, places, last)
        return self.known[places, last]

    def search(self, text: str) -> bool:
        """Tell whether the pattern matches anywhere, in one pass over the text."""
        reading = self.start
        for char in text:
            reading = reading[char]
        return self.final in reading[""].places

    def step(self, reading: Reading, char: str) -> Reading:
        """Work out what follows a reading, which is then remembered."""
        self.room -= 1
        if self.room < 0:
            self.forget()
        reached = reading.reach(char)
        if self.final in reached:
            return self.found
        ways = [way for place in reached for way in place.paid if char]
        places = [place for test, place in ways if test(char)]
        # A match may begin here as well.
        return self.reading(frozenset([self.first, *places]), kind(char))


def kind(char: str) -> str:
    """Return a character that all conditions take for this one."""
    if char in ("", "\n"):
        return char
    return "a" if is_word(char) else "-"
