"""Bytes of memory as rows of cells: offsets, addresses, fields over their bytes, padding.

| name   | meaning                                                            |
|--------|--------------------------------------------------------------------|
| field  | a named run of bytes at an offset from the start                   |
| span   | the part of a field that lies in one row                           |
| lane   | a column at the right in which one arrow runs                      |
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from .curves import Point, arrow
from .svg import (
    ACCENT,
    ACCENT_2,
    FILL,
    INK,
    LINE,
    QUIET,
    Frame,
    Picture,
    clean,
    number,
    shorten,
    tag,
    width_of,
    words,
)

CELL = 30.0  # the width of a byte
HEIGHT = 42.0  # of a row
PITCH = 47.0  # from row to row
NAMES = 13.0  # from the top of a row to the middle of its names
BYTES = 30.0  # and to the middle of its bytes
LANE = 28.0
SMALL = 11.0
TINY = 10.0


class Field(NamedTuple):
    """A run of bytes with a name and a value to show; without a name it is padding."""

    offset: int
    size: int
    name: str
    raw: bytes
    value: str

    def __str__(self) -> str:
        value = f" = {clean(self.value)}" if self.value else ""
        return f"+{self.offset:#04x} {self.size} {clean(self.name) or 'padding'}{value}"

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.offset + self.size

    def caption(self, room: float) -> str:
        """Return name and value, or the name alone, or as much of it as fits in `room` pixels."""
        name, most = clean(self.name), int(room / width_of("m", SMALL))
        full = f"{name} = {clean(self.value)}"
        return full if self.value and len(full) <= most else shorten(name, most)


class Memory(Picture):
    """Fields as `(offset, size, name, bytes, value)` in rows of `width` bytes from address `base`.

    `arrows` are `(from offset, to offset, label)`; fields named in `marked` stand out; bytes that
    belong to no field are padding.
    """

    def __init__(
        self,
        rows: Iterable[tuple[int, int, str, bytes, str]],
        *,
        title: str,
        base: int = 0,
        width: int = 8,
        arrows: Iterable[tuple[int, int, str]] = (),
        marked: Iterable[str] = (),
    ) -> None:
        self.fields = sorted(Field(*row) for row in rows)
        for before, after in pairwise(self.fields):
            if after.offset < before.end:
                raise ValueError(f"{after.name} overlaps {before.name}")
        self.base = base
        self.width = width
        self.arrows = list(arrows)
        self.marked = frozenset(marked)
        super().__init__(title, repr(self).replace("\n", "; "))

    def __repr__(self) -> str:
        lines = [str(field) for field in self.fields]
        lines += [f"+{a:#04x} -> +{b:#04x} {clean(label)}" for a, b, label in self.arrows]
        return "\n".join(lines)

    def draw(self) -> tuple[list[str], Frame]:
        """Return the rows, what stands at their left, and the arrows in lanes at their right."""
        parts: list[str] = []
        for field in self.tiles():
            for start, end in self.spans(field):
                parts += self.span(field, start, end)
        end = max((field.end for field in self.fields), default=0)
        right = min(self.width, end) * CELL
        corners = [0j, complex(right, self.at(max(end - 1, 0)).imag + HEIGHT)]
        for offset in range(0, end, self.width):
            parts += self.margin(offset)
            corners.append(complex(-8 - max(width_of(t, s) for t, s in self.texts(offset))))
        for lane, (source, target, label) in enumerate(self.arrows):
            x = right + 18 + lane * LANE
            parts += bracket(x, self.at(source).imag, self.at(target).imag)
            text, around = self.upright(x + 9, source, target, label)
            parts.append(text)
            corners += around
        return parts, Frame.around(corners)

    def tiles(self) -> Iterator[Field]:
        """Yield the fields and, between them, the padding."""
        end = 0
        for field in self.fields:
            if field.offset > end:
                yield Field(end, field.offset - end, "", b"", "")
            yield field
            end = field.end

    def spans(self, field: Field) -> Iterator[tuple[int, int]]:
        """Yield the parts of `field`, one per row that it touches, as offsets."""
        start = field.offset
        while start < field.end:
            end = min(field.end, start - start % self.width + self.width)
            yield start, end
            start = end

    def at(self, offset: int) -> Point:
        """Return the upper left corner of a byte."""
        row, column = divmod(offset, self.width)
        return complex(column * CELL, row * PITCH)

    def span(self, field: Field, start: int, end: int) -> Iterator[str]:
        """Yield the box of a span, the caption above its bytes, and the bytes."""
        corner, wide = self.at(start), (end - start) * CELL - 3
        colour = ACCENT if field.name in self.marked else INK
        look: dict[str, Any] = {"fill": FILL, "stroke": colour, "stroke_width": 1.5}
        if not field.name:
            look = {"fill": "none", "stroke": LINE, "stroke_dasharray": "3 3"}
        place = {"x": corner.real + 1.5, "y": corner.imag, "width": wide, "height": HEIGHT}
        yield tag("rect", rx=5, **place, **look)
        if field.name and start == field.offset:
            spot = corner + complex(wide / 2 + 1.5, NAMES)
            yield words(field.caption(wide), spot, SMALL, fill=colour)
        for offset in range(start, end):
            digits = field.raw[offset - field.offset :][:1].hex() or "··"
            yield words(digits, self.at(offset) + complex(CELL / 2, BYTES), SMALL, fill=QUIET)

    def texts(self, offset: int) -> list[tuple[str, float]]:
        """Return what stands at the left of a row, with font sizes: its offset, its address."""
        address = [(f"{self.base + offset:#x}", TINY)] if self.base else []
        return [(f"+{offset:#04x}", SMALL), *address]

    def margin(self, offset: int) -> Iterator[str]:
        """Yield the texts at the left of the row that starts at `offset`."""
        corner = self.at(offset)
        for (text, size), y in zip(self.texts(offset), (NAMES, BYTES), strict=False):
            spot, colour = corner + complex(-7, y), INK if y == NAMES else QUIET
            yield words(text, spot, size, fill=colour, text_anchor="end")

    def upright(self, x: float, source: int, target: int, label: str) -> tuple[str, list[Point]]:
        """Return a label along its arrow, read in the arrow's direction, and its extent."""
        half = width_of(clean(label), SMALL) / 2
        middle = (self.at(source).imag + self.at(target).imag + HEIGHT) / 2
        spot = complex(x, max(middle, half))
        turn = f"rotate({-90 if target < source else 90} {number(spot.real)} {number(spot.imag)})"
        text = words(label, spot, SMALL, fill=ACCENT_2, transform=turn)
        return text, [spot - half * 1j, spot + complex(8, half)]


def bracket(x: float, source: float, target: float) -> list[str]:
    """Return an arrow that leaves one row, runs up or down at `x` and enters another."""
    start, end = source + HEIGHT * 0.65, target + HEIGHT * 0.35
    turn = 6 if end > start else -6
    left = x - 14
    d = f"M{number(left)} {number(start)}H{number(x - 6)}q6 0 6 {turn}V{number(end - turn)}"
    bend = tag("path", d=f"{d}q0 {turn} -6 {turn}", fill="none", stroke=ACCENT_2, stroke_width=1.5)
    return [bend, *arrow([complex(x - 6, end), complex(left, end)], ACCENT_2, stroke_width=1.5)]
