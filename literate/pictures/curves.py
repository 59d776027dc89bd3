"""Curved arrows between boxes. A point is a complex number; y grows downwards.

| name    | meaning                                                            |
|---------|--------------------------------------------------------------------|
| box     | a rounded rectangle, given by its centre                           |
| curve   | the control points of a Bezier curve, of any degree                |
| t       | a place on a curve, from 0 (its start) to 1 (its end)              |
| bow     | how far a curve's middle lies to the left of the straight way      |
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from math import hypot
from typing import NamedTuple

from .svg import number, tag

Point = complex
Curve = list[Point]

TOUCH = 0.75  # half an outline: an arrow ends on the outer edge of a box
HEAD = 8.0
HALF_HEAD = 3.6


class Box(NamedTuple):
    """A rounded rectangle."""

    centre: Point
    width: float
    height: float
    radius: float

    def distance(self, point: Point) -> float:
        """Return how far `point` is from the outline, negative inside."""
        way = point - self.centre
        x = abs(way.real) - self.width / 2 + self.radius
        y = abs(way.imag) - self.height / 2 + self.radius
        return hypot(max(x, 0), max(y, 0)) + min(max(x, y), 0) - self.radius

    def near(self, point: Point, gap: float) -> bool:
        """Tell whether `point` is inside the outline, or less than `gap` outside it."""
        way = point - self.centre
        # Most points are far away, which two comparisons can tell.
        aside = abs(way.real) > self.width / 2 + gap or abs(way.imag) > self.height / 2 + gap
        return not aside and self.distance(point) < gap

    def edge(self, direction: Point) -> tuple[complex, Point]:
        """Return where the ray from the centre leaves the rectangle, and the unit normal there."""
        x = self.width / 2 / max(abs(direction.real), 1e-9)
        y = self.height / 2 / max(abs(direction.imag), 1e-9)
        sides = complex(1 if direction.real > 0 else -1, 1 if direction.imag > 0 else -1)
        normal = complex(sides.real, 0) if x < y else complex(0, sides.imag)
        return self.centre + direction * min(x, y), normal

    @property
    def corners(self) -> tuple[complex, Point]:
        """The upper left and the lower right corner."""
        half = complex(self.width, self.height) / 2
        return self.centre - half, self.centre + half


def split(curve: Curve, t: float) -> tuple[Curve, Curve]:
    """Return the two parts of `curve` before and after `t` (de Casteljau)."""
    before: Curve = []
    after: Curve = []
    while curve:
        before.append(curve[0])
        after.insert(0, curve[-1])
        curve = [a + (b - a) * t for a, b in pairwise(curve)]
    return before, after


def point_at(curve: Curve, t: float) -> Point:
    """Return the point of a curve of degree one, two or three at `t`."""
    s = 1 - t
    match curve:
        case [a, b]:
            return a * s + b * t
        case [a, b, c]:
            return a * s * s + b * (2 * s * t) + c * t * t
        case [a, b, c, d]:
            return a * s**3 + b * (3 * s * s * t) + c * (3 * s * t * t) + d * t**3
        case _:
            raise ValueError(f"a curve of {len(curve)} points")


def samples(curve: Curve, count: int = 16) -> list[Point]:
    """Return points spread evenly over `curve`, both ends included."""
    return [point_at(curve, k / count) for k in range(count + 1)]


def crossing(curve: Curve, inside: Callable[[Point], bool], t: float, outside: float) -> float:
    """Return where `curve` leaves the region that holds it at `t` but not at `outside`."""
    for _ in range(14):  # to a hundredth of a pixel
        middle = (t + outside) / 2
        if inside(point_at(curve, middle)):
            t = middle
        else:
            outside = middle
    return outside


def trim(curve: Curve, source: Box, target: Box) -> Curve:
    """Return the part of `curve` between the outlines of the boxes that it starts and ends in."""
    start = crossing(curve, lambda point: source.distance(point) < TOUCH, 0, 0.5)
    end = crossing(curve, lambda point: target.distance(point) < TOUCH, 1, 0.5)
    return split(split(curve, end)[0], start / end)[1]


@lru_cache(512)  # the states of a strip share most of their arrows
def bowed(source: Box, target: Box, bow: float) -> Curve:
    """Return the curve from `source` to `target` that passes `bow` to the left of their middle."""
    way = target.centre - source.centre
    left = -1j * way / abs(way)
    aside = left * max(-9, min(9, bow / 2))
    middle = source.centre + way / 2 + left * bow * 2 - aside
    return trim([source.centre + aside, middle, target.centre + aside], source, target)


@lru_cache(512)
def loop(box: Box, direction: Point, turn: int) -> Curve:
    """Return the loop from `box` to itself on its side towards `direction`, clockwise if `turn`
    is 1, counter-clockwise if it is -1."""
    foot, normal = box.edge(direction)
    along = normal * 1j * turn
    room = (box.height if normal.imag == 0 else box.width) / 2 - 11
    shift = ((foot - box.centre) / along).real
    foot += along * (max(-room, min(room, shift)) - shift)
    out, wide, narrow = normal * 31, along * 19, along * 6
    return trim(
        [foot - narrow - normal, foot - wide + out, foot + wide + out, foot + narrow - normal],
        box,
        box,
    )


def stub(box: Box, direction: Point, width: float) -> tuple[Curve, Point]:
    """Return a short line from `box` in `direction`, and the centre of a label `width` wide
    that begins where the line ends."""
    foot, _ = box.edge(direction)
    end = foot + direction * 18
    away = complex(direction.real * width / 2, direction.imag * 4)
    return [foot, end], end + away + direction * 11


def path(curve: Curve, **look: object) -> str:
    """Return a line, a quadratic or a cubic curve as an element."""
    command = {2: "L", 3: "Q", 4: "C"}[len(curve)]
    start, *rest = (f"{number(point.real)} {number(point.imag)}" for point in curve)
    return tag("path", d=f"M{start}{command}{' '.join(rest)}", fill="none", **look)


def arrow(curve: Curve, colour: str, **look: object) -> list[str]:
    """Return `curve` as a line and, at its end, a head whose tip is the curve's last point."""
    tip = curve[-1]
    t = crossing(curve, lambda point: abs(point - tip) < HEAD - 1, 1, 0)
    shaft = split(curve, t)[0]
    back = (shaft[-1] - tip) / abs(shaft[-1] - tip)
    wing = back * 1j * HALF_HEAD
    corners = (tip, tip + back * HEAD + wing, tip + back * HEAD - wing)
    outline = "L".join(f"{number(point.real)} {number(point.imag)}" for point in corners)
    return [path(shaft, stroke=colour, **look), tag("path", d=f"M{outline}Z", fill=colour)]
