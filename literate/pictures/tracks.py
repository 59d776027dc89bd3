"""Where the arrows and the texts of a timeline stand, so that none is on top of another.

| name   | meaning                                                            |
|--------|--------------------------------------------------------------------|
| lane   | a party's line, known by its index from the top                    |
| gap    | the room above the lane of the same index; the last is below all   |
| row    | one line of text in a gap, counted from the lane below             |
| x      | pixels from the start of the axis                                  |
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

APART = 10.0  # from one arrow to the next
BESIDE = 7.0  # from an arrow to its text
ROWS = 3  # of texts that keep clear of arrows; the others take the first row that is free


class Move(NamedTuple):
    """An event between lanes, or on one where `source` and `target` are the same."""

    time: float
    source: int
    target: int
    text: str
    accent: bool

    @property
    def reach(self) -> range:
        """The lanes from the upper end to the lower one, both included."""
        return range(min(self.source, self.target), max(self.source, self.target) + 1)

    @property
    def gaps(self) -> list[int]:
        """The gaps that it crosses, the one beside its source first; or the one above its lane."""
        crossed = list(self.reach[1:])
        return (crossed if self.target > self.source else crossed[::-1]) or [self.source]


def together(moves: list[Move]) -> list[Move]:
    """Return simultaneous moves in the order in which they are drawn.

    Those from one lane or to one lane stand longest first: each then has room for its text.
    """
    ends = zip(*((move.source, move.target) for move in moves), strict=True)
    star = any(len(set(end)) == 1 for end in ends)
    return sorted(moves, key=lambda move: -len(move.reach)) if star else moves


def placed(moves: Iterable[Move], scale: float, width: float) -> list[tuple[Move, float]]:
    """Return each move with its x: simultaneous ones side by side around their time, and none
    outside the axis if there is room."""
    places: list[tuple[Move, float]] = []
    taken: dict[int, float] = {}
    ordered = sorted(moves, key=lambda move: move.time)
    for time, group in groupby(ordered, key=lambda move: move.time):
        slots: dict[int, int] = {}
        row: list[tuple[Move, float]] = []
        for move in together(list(group)):
            slot = max(slots.get(lane, 0) for lane in move.reach)
            slots |= dict.fromkeys(move.reach, slot + 1)
            row.append((move, slot * APART))
        extent = max(shift for _, shift in row)
        start = max(0.0, min(time * scale - extent / 2, width - extent))
        for move, shift in row:
            start = max([start, *(taken[k] + APART - shift for k in move.gaps if k in taken)])
        for move, shift in row:
            places.append((move, start + shift))
            taken |= dict.fromkeys(move.gaps, start + shift)
    return places


def news(moves: Iterable[Move]) -> Iterator[bool]:
    """Tell of each move whether it needs its text: not if it repeats the one before it between
    the same two lanes."""
    last: dict[tuple[int, int], str] = {}
    for move in moves:
        way = move.source, move.target
        yield bool(move.text) and (move.accent or last.get(way) != move.text)
        last[way] = move.text


class Gap:
    """The room above a lane: knows where arrows cross it, and what each of its rows holds."""

    def __init__(self) -> None:
        self.arrows: list[float] = []
        self.rows: list[list[tuple[float, float]]] = []

    def clear(self, row: int, left: float, right: float) -> bool:
        """Tell whether no text stands between `left` and `right`."""
        texts = self.rows[row] if row < len(self.rows) else []
        return all(right + BESIDE <= start or end + BESIDE <= left for start, end in texts)

    def crossed(self, left: float, right: float) -> bool:
        """Tell whether an arrow passes between `left` and `right`."""
        return any(left - 3 < x < right + 3 for x in self.arrows)

    @property
    def busy(self) -> bool:
        """Tell whether an arrow passes behind a text."""
        return any(self.crossed(*text) for row in self.rows for text in row if text[0] < text[1])

    def take(self, row: int, left: float, right: float) -> None:
        """Note that a text stands there."""
        while len(self.rows) <= row:
            self.rows.append([])
        self.rows[row].append((left, right))


class Spot(NamedTuple):
    """Where a text stands; `crossed` where an arrow passes behind it."""

    gap: int
    row: int
    left: float
    crossed: bool


class Gaps:
    """The gaps of a timeline, in which texts find room between 0 and `width`."""

    def __init__(self, places: list[tuple[Move, float]], lanes: int, width: float) -> None:
        self.gaps = [Gap() for _ in range(lanes + 1)]
        for move, x in places:
            for gap in move.reach[1:]:
                self.gaps[gap].arrows.append(x)
            if move.source == move.target:
                self.gaps[move.source].take(0, x, x)
        self.width = width

    def find(self, gaps: list[int], x: float, wide: float) -> Spot:
        """Return room for a text beside `x` and take it: clear of arrows where that can be."""
        sides = (x + BESIDE, x - BESIDE - wide)
        spots = [
            Spot(gap, row, left, self.gaps[gap].crossed(left, left + wide))
            for left in sides
            for gap in gaps
            for row in range(ROWS)
        ]
        free = [spot for spot in spots if not spot.crossed and self.fits(spot, wide)]
        spot = free[0] if free else self.anyhow(gaps, min(sides[0], self.width - wide), wide)
        self.gaps[spot.gap].take(spot.row, spot.left, spot.left + wide)
        return spot

    def fits(self, spot: Spot, wide: float) -> bool:
        """Tell whether the room is within the picture, and no text stands there."""
        right = spot.left + wide
        inside = spot.left >= 0 and right <= self.width
        return inside and self.gaps[spot.gap].clear(spot.row, spot.left, right)

    def anyhow(self, gaps: list[int], left: float, wide: float) -> Spot:
        """Return the lowest room for a text at `left` that holds no other text."""
        rows = {gap: self.lowest(gap, left, left + wide) for gap in gaps}
        gap = min(gaps, key=rows.__getitem__)
        return Spot(gap, rows[gap], left, self.gaps[gap].crossed(left, left + wide))

    def lowest(self, gap: int, left: float, right: float) -> int:
        """Return the first row of a gap with nothing between `left` and `right`."""
        rows = range(len(self.gaps[gap].rows) + 1)
        return next(row for row in rows if self.gaps[gap].clear(row, left, right))
