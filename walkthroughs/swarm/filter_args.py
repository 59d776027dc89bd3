"""What a list is narrowed down by: docker's api/types/filters, as Swarm asks it.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `filters.Args`                            | `Args`                              |
| `filters.FromParam`                       | `from_param`                        |
| `Match`, `ExactMatch`, `MatchKVList`      | `match`, `exact_match`, `match_kv_list` |
| `strconv.Atoi`, `strconv.ParseInt`        | `parse_int`                         |
| `path.Match`                              | `path_match`                        |

A **field** stands before the `=` of `--filter status=exited`, and its **values** are
what stood behind it, each time that it was given.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import TypeVar

from walkthroughs.swarm.go_json import BOOL, STRINGS, Map, decode
from walkthroughs.swarm.golang import quote
from walkthroughs.swarm.handler import HTTPError
from walkthroughs.swarm.regexp import Regexp, RegexpError

T = TypeVar("T")

FIELDS = Map(Map(BOOL))
"""What clients send: `{"status": {"exited": true}}`."""
OLD_FIELDS = Map(STRINGS)
"""What those send that are older than Docker 1.10: `{"status": ["exited"]}`."""

ITEM = r"(?:\\.|[^\\\]-])"
TOKEN = re.compile(
    rf"([*?])|\[(\^?)((?:{ITEM}(?:-{ITEM})?)+)\]|(?:\\(?=.)|(?![\\\[]))(.)", re.DOTALL
)
"""A piece of a shell's pattern: a wildcard, a class of characters, a character."""


class Args:
    """The values of each field; a field without values keeps nothing out."""

    def __init__(self, fields: Mapping[str, Mapping[str, bool]]) -> None:
        self.fields = fields
        # A pattern is compiled once, however many things are asked about.
        self._search = cache(searcher)

    def get(self, field: str) -> list[str]:
        """Return the values of a field, in the order in which they were given."""
        return list(self.fields.get(field, {}))

    def include(self, field: str) -> bool:
        """Tell whether the field was named at all, be it without a value."""
        return field in self.fields

    def add(self, field: str, value: str) -> "Args":
        """Return the same with one more value."""
        return Args({**self.fields, field: {**self.fields.get(field, {}), value: True}})

    def exact_match(self, field: str, text: str) -> bool:
        """Tell whether a text is one of the values."""
        values = self.fields.get(field)
        return values.get(text, False) if values else True

    def match(self, field: str, text: str) -> bool:
        """Tell whether a text is one of the values, or has in it what one describes."""
        return self.exact_match(field, text) or any(
            self._search(value)(text) for value in self.get(field)
        )

    def match_kv_list(self, field: str, pairs: Mapping[str, str]) -> bool:
        """Tell whether labels have all the values: `key`, or `key=text`."""
        split = (value.partition("=") for value in self.get(field))
        return all(
            key in pairs and (not equals or pairs[key] == text)
            for key, equals, text in split
        )

    def allow(self, tests: Mapping[str, Callable[["Args", T], bool]], thing: T) -> bool:
        """Tell whether a thing passes the test of each field that was named."""
        return all(tests[field](self, thing) for field in tests if self.include(field))


def searcher(pattern: str) -> Callable[[str], bool]:
    """Return the search for a pattern of Go's; what is none is never found."""
    try:
        return Regexp(pattern).search
    except RegexpError:
        return lambda text: False


def from_param(text: str) -> Args:
    """Read the parameter `filters`; raise ValueError in the words of Go's decoder."""
    if not text:
        return Args({})
    body = text.encode(errors="surrogateescape")
    try:
        read = decode(body, FIELDS)
    except HTTPError as error:
        try:
            read = decode(body, OLD_FIELDS)
        except HTTPError:
            # A client of today is told what is wrong with what it meant.
            raise ValueError(str(error)) from None
        read = {field: dict.fromkeys(each or [], True) for field, each in read.items()}
    return Args({field: values or {} for field, values in (read or {}).items()})


def parse_int(text: str, function: str = "Atoi") -> int:
    """Return a number of 64 bits; raise ValueError as Go's package strconv does."""
    problem = "invalid syntax"
    if re.fullmatch("[-+]?[0-9]+", text, re.ASCII):
        # Python, too, has a limit, of some thousand digits.
        if len(text) < 1000 and -(2**63) <= int(text) < 2**63:
            return int(text)
        problem = "value out of range"
    raise ValueError(f"strconv.{function}: parsing {quote(text)}: {problem}")


def path_match(pattern: str, text: str) -> bool:
    """Tell whether a pattern of a shell matches a whole text; `*` matches no slash."""
    regexp, at = "", 0
    while at < len(pattern):
        if not (token := TOKEN.match(pattern, at)):
            return False
        regexp, at = regexp + translated(token), token.end()
    return searcher(f"^{regexp}$")(text)


def translated(token: re.Match[str]) -> str:
    """Return the regular expression for a piece of a shell's pattern."""
    wildcard, inverted, ranges, char = token.groups()
    if wildcard:
        return "[^/]*" if wildcard == "*" else "[^/]"
    if ranges:
        ranges = re.sub(r"\\(.)|([^-])", lambda m: re.escape(m[1] or m[2]), ranges)
        return f"[{inverted}{ranges}]"
    return re.escape(char)
