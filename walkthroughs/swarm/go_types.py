"""Types of Go, and how a value of JSON becomes one of them.

| upstream, `encoding/json` of Go 1.19      | here                                |
|-------------------------------------------|-------------------------------------|
| `decodeState.value` and what it calls     | `read`, of each type                |
| `literalStore`                            | `Text`, `Bool`, `Integer`           |
| `array`, `object`, `indirect`             | `List`, `Map` and `Struct`, `Pointer` |
| `UnmarshalTypeError`, `errorContext`      | `Place`                             |
| `strslice.StrSlice`, of Docker            | `Words`                             |
| `foldFunc`                                | `fold`                              |
| `Decoder.Decode`                          | `as_written`, `decode`              |

A field that a type does not declare is passed on as it came: engines are younger than
Swarm, and know more. Go's decoder drops it.
"""

import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

from walkthroughs.swarm.config import JSON, whole
from walkthroughs.swarm.go_scanner import scan
from walkthroughs.swarm.handler import HTTPError


class Number(NamedTuple):
    """A number as it was written."""

    text: str


class Pairs(NamedTuple):
    """An object as it was written: a field can be there twice."""

    items: list[tuple[str, Any]]


NAMES = {str: "string", bool: "bool", list: "array", Pairs: "object", Number: "number"}
"""What Go calls a value that is of the wrong type."""


def as_written(body: bytes) -> Any:
    """Return the first value of a body, not yet of any type; raise `HTTPError`."""
    end = scan(body.decode("latin-1"))
    # Bytes that are no UTF-8 are half surrogate pairs from here on, until `whole`.
    text = body[:end].decode("utf-8", "surrogateescape")
    return json.loads(
        text, object_pairs_hook=Pairs, parse_int=Number, parse_float=Number
    )


class Place(NamedTuple):
    """Where in a body a value is, for the error."""

    errors: list[str]
    """All that was found so far, from the body's beginning on."""
    struct: str = ""
    path: tuple[str, ...] = ()

    def enter(self, struct: str, name: str) -> "Place":
        return self._replace(struct=struct, path=(*self.path, name))

    def mismatch(self, what: str, name: str) -> str:
        path = ".".join((self.struct, *self.path))
        target = f"struct field {path}" if self.path else "value"
        return f"json: cannot unmarshal {what} into Go {target} of type {name}"

    def note(self, what: str, name: str) -> None:
        self.errors.append(self.mismatch(what, name))

    def refuse(self, value: Any, name: str) -> None:
        self.note(NAMES[type(value)], name)


def number(text: str) -> int | float:
    """Return a number; raise `HTTPError` for one that is too large for Go, too."""
    # Python refuses to compute an int of more than 4,300 digits.
    with suppress(ValueError):
        return int(text)
    if math.isinf(read := float(text)):
        raise HTTPError(400, Place([]).mismatch(f"number {text}", "float64"))
    return read


def plain(value: Any) -> Any:
    """Return what a value means that no type declares."""
    if isinstance(value, Pairs):
        return {whole(key): plain(each) for key, each in value.items}
    if isinstance(value, list):
        return [plain(each) for each in cast("list[Any]", value)]
    if isinstance(value, Number):
        return number(value.text)
    return whole(value) if isinstance(value, str) else value


class Type(Protocol):
    """A type of Go's, which knows how it is read."""

    @property
    def name(self) -> str:
        """What Go calls it in an error."""
        ...

    @property
    def nullable(self) -> bool:
        """Whether null is one of its values; for the others it changes nothing."""
        ...

    def read(self, value: Any, place: Place, old: Any = None) -> Any:
        """Return what a value means; note an error at the place if it means nothing.

        `old` is what the field had been read as before, if it is there twice.
        """
        ...


@dataclass
class Text:
    """`string`, or a type that is made of it."""

    name: str = "string"
    nullable = False

    def read(self, value: Any, place: Place, old: Any = None) -> Any:
        if value is None or isinstance(value, str):
            return whole(value or "")
        return place.refuse(value, self.name)


@dataclass
class Bool:
    """`bool`."""

    name: str = "bool"
    nullable = False

    def read(self, value: Any, place: Place, old: Any = None) -> Any:
        if value is None or isinstance(value, bool):
            return value or False
        return place.refuse(value, self.name)


@dataclass
class Integer:
    """`int64`, `uint16` and so on: whole numbers that fit."""

    name: str
    bits: int
    signed: bool = True
    nullable = False

    def read(self, value: Any, place: Place, old: Any = None) -> Any:
        if value is None:
            return 0
        if not isinstance(value, Number):
            return place.refuse(value, self.name)
        # 20 digits are enough for 64 bits; a sign is too much for an unsigned one.
        sign = "-?" if self.signed else ""
        if re.fullmatch(rf"{sign}[0-9]{{1,20}}", value.text):
            limit = 2 ** (self.bits - self.signed)
            if -limit <= (read := int(value.text)) < limit:
                return read
        return place.note(f"number {value.text}", self.name)


@dataclass
class Pointer:
    """A value, or none."""

    to: Type
    nullable = True

    @property
    def name(self) -> str:
        return f"*{self.to.name}"

    def read(self, value: Any, place: Place, old: Any = None) -> Any:
        return None if value is None else self.to.read(value, place, old)


@dataclass
class List:
    """A slice, or an array."""

    item: Type
    length: int = 0
    """How many items there always are; 0 is any number."""

    @property
    def name(self) -> str:
        return f"[{self.length or ''}]{self.item.name}"

    @property
    def nullable(self) -> bool:
        return not self.length

    def read(self, value: Any, place: Place, old: Any = None) -> Any:
        if value is None:
            return None
        if not isinstance(value, list):
            return place.refuse(value, self.name)
        items = cast("list[Any]", value)
        if self.length:
            items = (items + [None] * self.length)[: self.length]
        return [self.item.read(item, place) for item in items]


@dataclass
class Words:
    """Texts, or a single one."""

    name: str = "strslice.StrSlice"
    nullable = True

    def read(self, value: Any, place: Place, old: Any = None) -> Any:
        if value is None:
            return None
        what = NAMES[type(value)]
        items = cast("list[Any]", value if what == "array" else [value])
        if all(item is None or isinstance(item, str) for item in items):
            return [whole(item or "") for item in items]
        # This type has a reader of its own, whose error ends everything.
        raise HTTPError(400, place.mismatch(what, "string"))


@dataclass
class Map:
    """A value for each name; the names are anybody's."""

    item: Type
    name: str = ""
    nullable = True

    def __post_init__(self) -> None:
        self.name = self.name or f"map[string]{self.item.name}"

    def read(self, value: Any, place: Place, old: Any = None) -> Any:
        if value is None:
            return None
        if not isinstance(value, Pairs):
            return place.refuse(value, self.name)
        read: JSON = dict(old or {})
        for key, each in value.items:
            read[whole(key)] = self.item.read(each, place)
        return read


def fold(name: str) -> str:
    """Return what names have in common that differ in the case of their letters."""
    # A long s is an s for Unicode, and so for Go; `lower` knows of the Kelvin sign.
    return name.lower().replace("\u017f", "s")


class Struct:
    """Declared fields, by their names in JSON."""

    nullable = False

    def __init__(self, name: str, fields: dict[str, Type]) -> None:
        self.name = name
        self.fields = fields
        self._spelling = {fold(each): each for each in fields}

    def read(self, value: Any, place: Place, old: Any = None) -> Any:
        if value is None:
            return {}
        if not isinstance(value, Pairs):
            return place.refuse(value, self.name)
        read: JSON = dict(old or {})
        for key, each in value.items:
            name = self._spelling.get(fold(key))
            if not name:
                read[whole(key)] = plain(each)
            elif each is not None or self.fields[name].nullable:
                there = place.enter(self.name.rpartition(".")[2], name)
                read[name] = self.fields[name].read(each, there, read.get(name))
        return read


def decode(body: bytes, kind: Type) -> Any:
    """Return the first value of a body; raise `HTTPError` if it is not of the type."""
    place = Place([])
    read = kind.read(as_written(body), place)
    if place.errors:
        raise HTTPError(400, place.errors[0])
    return read
