"""Where a value of JSON ends, and what is wrong with one that does not end.

| upstream, `encoding/json` of Go 1.19      | here                                |
|-------------------------------------------|-------------------------------------|
| `Decoder.readValue`, `scanner`            | `scan`                              |
| `stateBeginValue`, `stateEndValue`, ...   | `VALUE`, `MEMBER`, ...              |
| `stateInString`, `stateDot`, `stateTr`, ... | `CUT_OFF`                         |
| `SyntaxError`                             | `bad_character`                     |

A **whole** value is one without parts: a text, a number, a word, or an empty object or
list. For the others a stack says what is around the place where we are.
"""

import re

from walkthroughs.swarm.golang import quote
from walkthroughs.swarm.handler import HTTPError

# What may come next, in the words of the error that says it has not come.
VALUE = "looking for beginning of value"
KEY = "looking for beginning of object key string"
COLON = "after object key"
MEMBER = "after object key:value pair"
ELEMENT = "after array element"

STEPS = {(COLON, ":"): VALUE, (MEMBER, ","): KEY, (ELEMENT, ","): VALUE}
INSIDE = {"{": (KEY, MEMBER), "[": (VALUE, ELEMENT)}
"""What may come first in an object or a list, and what after each part of it."""
CLOSE = {(MEMBER, "}"), (ELEMENT, "]")}

MAX_DEPTH = 100
"""Objects and lists inside each other; Go allows 10,000."""

SPACES = (" ", "\t", "\r", "\n")
# An atomic group: `*+` behind a group goes wrong in Python 3.11.2.
CHARS = r'"(?>(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*)'
INTEGER = r"-?(?:0|[1-9][0-9]*+)"
FRACTION = r"(?:\.[0-9]++|(?!\.))"
POWER = r"(?:[eE][-+]?+[0-9]++|(?![eE]))"

EMPTY = re.compile(r"\{[ \t\r\n]*+\}|\[[ \t\r\n]*+\]")
WHOLE = re.compile(
    rf'{CHARS}"|{INTEGER}{FRACTION}{POWER}|true|false|null|{EMPTY.pattern}'
)
"""A value without parts."""

CUT_OFF = [
    (CHARS + r"\\u[0-9a-fA-F]{0,3}+", r"in \u hexadecimal character escape"),
    (CHARS + r"\\", "in string escape code"),
    (CHARS, "in string literal"),
    (INTEGER + FRACTION + "[eE][-+]?+", "in exponent of numeric literal"),
    (INTEGER + r"\.", "after decimal point in numeric literal"),
    ("-", "in numeric literal"),
    *(
        (word[:length], f"in literal {word} (expecting '{word[length]}')")
        for word in ("true", "false", "null")
        for length in range(len(word) - 1, 0, -1)
    ),
]
"""What a literal is that does not go on, and where its next character is."""


def bad_character(text: str, at: int, where: str) -> HTTPError:
    """Return the error for a character, or the end, that may not be where it is."""
    if at >= len(text):
        begun = text.strip("".join(SPACES))
        return HTTPError(400, "unexpected EOF" if begun else "EOF")
    shown = {"'": r"\'", '"': '"'}.get(text[at]) or quote(text[at])[1:-1]
    return HTTPError(400, f"invalid character '{shown}' {where}")


def pass_whole(text: str, at: int) -> int:
    """Return where a value ends that has no parts; raise `HTTPError` if it does not."""
    if found := WHOLE.match(text, at):
        return found.end()
    for pattern, where in CUT_OFF:
        if begun := re.compile(pattern).match(text, at):
            raise bad_character(text, begun.end(), where)
    raise bad_character(text, at, VALUE)


def scan(text: str) -> int:
    """Return where the first value ends; raise `HTTPError` if it does not.

    Each character stands for a byte. What follows the value is not looked at.
    """
    at, state = 0, VALUE
    around: list[str] = []
    while True:
        while text[at : at + 1] in SPACES:
            at += 1
        char = text[at : at + 1]
        if (state, char) in STEPS:
            at, state = at + 1, STEPS[state, char]
            continue
        if (state, char) == (KEY, '"'):
            at, state = pass_whole(text, at), COLON
            continue
        if state == VALUE and char in INSIDE and not EMPTY.match(text, at):
            state, after = INSIDE[char]
            around.append(after)
            if len(around) > MAX_DEPTH:
                raise bad_character(text, at, "exceeded max depth")
            at += 1
            continue
        if state == VALUE:
            at = pass_whole(text, at)
        elif (state, char) in CLOSE:
            at, _ = at + 1, around.pop()
        else:
            raise bad_character(text, at, state)
        if not around:
            return at
        state = around[-1]
