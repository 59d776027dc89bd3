"""Where a ring's boxes stand, and which way each of its arrows can take."""

from cmath import exp
from collections.abc import Callable, Iterable
from itertools import combinations
from math import cos, pi, sin
from typing import TypeVar

from .curves import Box, Curve, Point, bowed, loop, samples, stub
from .svg import Frame, width_of

Choice = TypeVar("Choice")

HEIGHT = 28.0
APART = 44.0  # between two rings


def circle(labels: list[str]) -> list[Box]:
    """Return a box for each label, clockwise from the top of the smallest roomy circle."""
    boxes = [Box(0j, max(46, width_of(label) + 22), HEIGHT, 8) for label in labels]
    gap = max(18, 48 - 2 * len(labels))
    radius = 0
    while not all(roomy(one, other, gap) for one, other in combinations(boxes, 2)):
        radius += 3
        for k, box in enumerate(boxes):
            angle = 2 * pi * k / len(boxes)
            spot = complex(1.15 * radius * sin(angle), -radius * cos(angle))
            boxes[k] = box._replace(centre=spot)
    return boxes


def roomy(one: Box, other: Box, gap: float) -> bool:
    """Tell whether two boxes are `gap` apart: room for an arrow each way."""
    way = one.centre - other.centre
    across = abs(way.real) - (one.width + other.width) / 2
    return max(across, abs(way.imag) - HEIGHT) >= gap


def side_by_side(circles: list[list[Box]]) -> list[Point]:
    """Return the centre of each circle, such that none overlaps the one before."""
    centres: list[Point] = []
    right = -APART
    for boxes in circles:
        frame = Frame.around(corner for box in boxes for corner in box.corners)
        centres.append(complex(right + APART - frame.left))
        right = centres[-1].real + frame.right
    return centres


class Sheet:
    """Boxes and the curves between them so far: knows where there is room for one more."""

    def __init__(self, boxes: list[Box]) -> None:
        self.boxes = boxes
        self.ink: list[Point] = []
        self.curves: list[tuple[Frame, list[Point]]] = []

    def crowding(self, points: list[Point], *ends: int) -> int:
        """Return how much `points` get in the way of what is drawn, but for the boxes `ends`."""
        others = [box for k, box in enumerate(self.boxes) if k not in ends]
        hits = sum(box.near(point, 5) for point in points for box in others)
        return 10 * hits + self.touching(points)

    def touching(self, points: list[Point]) -> int:
        """Return how many of `points` lie on ink."""
        here = Frame.around(points)
        # Most curves are nowhere near: a look at their frames spares looking at their points.
        near = [dot for frame, dots in self.curves if here.near(frame, 5) for dot in dots]
        return sum(any(abs(point - dot) < 5 for dot in near) for point in points)

    def take(
        self,
        choices: Iterable[Choice],
        points: Callable[[Choice], list[Point]],
        *ends: int,
    ) -> Choice:
        """Return the first choice that is in nobody's way, or else the best, and note its ink."""
        tried: list[tuple[int, int, Choice]] = []
        for rank, choice in enumerate(choices):
            crowding = self.crowding(points(choice), *ends)
            tried.append((crowding + rank, rank, choice))
            if crowding == 0:
                break
        best = min(tried)[2]
        inked = points(best)
        self.ink += inked
        self.curves.append((Frame.around(inked), inked))
        return best

    def join(self, source: int, target: int, *, shared: bool) -> Curve:
        """Return a way between two boxes, bowed to the left of its direction if there is room,
        and further if the same attribute leads back."""
        start, end = self.boxes[source], self.boxes[target]
        unit = 20 if shared else 6 + abs(end.centre - start.centre) * 0.07
        ways = (bowed(start, end, unit * bow) for bow in (1, 0.33, -0.33, 2, -1, -2, 3, -3))
        return self.take(ways, samples, source, target)

    def loop(self, node: int, direction: Point, turn: int) -> Curve:
        """Return a loop on a box, on the side towards `direction` if there is room."""
        ways = (loop(self.boxes[node], towards, turn) for towards in turns(direction))
        return self.take(ways, samples, node)

    def stub(self, node: int, direction: Point, width: float) -> tuple[Curve, Point]:
        """Return a short line away from a box, and where a label that wide stands beyond it."""

        def points(choice: tuple[Curve, Point]) -> list[Point]:
            line, label = choice
            return [
                *line,
                *(label + (width + 10) * x / 12 + y for x in range(-6, 7) for y in (-7j, 7j)),
            ]

        ways = (stub(self.boxes[node], towards, width) for towards in turns(direction))
        return self.take(ways, points, node)

    def frame(self) -> Frame:
        """Return the frame around the boxes and the ink."""
        return Frame.around([*self.ink, *(corner for box in self.boxes for corner in box.corners)])


def turns(direction: Point) -> list[Point]:
    """Return `direction`, then others ever further from it to either side."""
    return [direction * exp(1j * pi / 8 * k) for k in (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 8)]
