"""A small line chart: named series of points, each line with its name at its end."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from .axis import plain, round_step, ticks
from .svg import (
    ACCENT,
    ACCENT_2,
    INK,
    LINE,
    QUIET,
    Frame,
    WidePicture,
    clean,
    number,
    tag,
    width_of,
    words,
)

Points = list[tuple[float, float]]

WIDTH = 270.0
HEIGHT = 180.0
SIZE = 11
NEXT = 15.0  # from one name to the next
LOOKS = [(ACCENT, "none"), (ACCENT_2, "7 3"), (INK, "2 3"), (QUIET, "9 3 2 3")]


class Plot(WidePicture):
    """Lines through `(x, y)` points, by name, over axes called `x` and `y`; `y` begins at 0."""

    def __init__(
        self, series: Mapping[str, Iterable[tuple[float, float]]], title: str, x: str, y: str
    ) -> None:
        self.series = {clean(name): list(points) for name, points in series.items()}
        self.x, self.y = clean(x), clean(y)
        if not self.series:
            raise ValueError("a plot without a series")
        for name, points in self.series.items():
            if not points:
                raise ValueError(f"{name}: a series without a point")
            if low := [point for point in points if point[1] < 0]:
                raise ValueError(f"{name}: y begins at 0, but a point is {written(*low[0])}")
        super().__init__(title, f"{self.y} over {self.x}; " + repr(self).replace("\n", "; "))

    def __repr__(self) -> str:
        lines = ([f"{name}:", *(written(*p) for p in self.series[name])] for name in self.series)
        return "\n".join(map(" ".join, lines))

    def draw(self) -> tuple[list[str], Frame]:
        """Return the axes, the lines, and the names at their ends."""
        xs, ys = zip(*(point for points in self.series.values() for point in points), strict=True)
        across = ticks(min(xs), max(xs), round_step(max(xs) - min(xs), 5))
        up = ticks(0, max(ys), round_step(max(ys), 5))
        parts = [*columns(across), *rows(up)]
        places = [[spot(point, across, up) for point in points] for points in self.series.values()]
        right = WIDTH + width_of(shown(across[-1]), SIZE) / 2
        heights = apart([points[-1].imag for points in places])
        for k, (name, points) in enumerate(zip(self.series, places, strict=True)):
            colour, dashes = LOOKS[k % len(LOOKS)]
            end = complex(points[-1].real + 8, heights[k])
            parts += [*line(points, colour, dashes), words(name, end, SIZE, fill=colour, **START)]
            right = max(right, end.real + width_of(name, SIZE))
        left = -12 - max(width_of(shown(tick), SIZE) for tick in up)
        parts.append(words(self.y, complex(left, -20), SIZE, **START))
        parts.append(words(self.x, complex(WIDTH / 2, HEIGHT + 34), SIZE))
        wide = (width_of(self.x, SIZE) - WIDTH) / 2, left + width_of(self.y, SIZE)
        frame = Frame(min(left, -wide[0]), -28, max(right, WIDTH + wide[0], wide[1]), HEIGHT + 40)
        return parts, frame


START = {"text_anchor": "start"}


def written(x: float, y: float) -> str:
    """Return a point as text."""
    return f"({plain(x)}, {plain(y)})"


def shown(value: float) -> str:
    """Return the number at a tick."""
    return f"{round(value, 9):,.12g}"


def share(value: float, axis: list[float]) -> float:
    """Return how far along `axis` a value lies, from 0 to 1."""
    return (value - axis[0]) / (axis[-1] - axis[0])


def spot(point: tuple[float, float], across: list[float], up: list[float]) -> complex:
    """Return where a point is drawn."""
    return complex(WIDTH * share(point[0], across), HEIGHT * (1 - share(point[1], up)))


def columns(axis: list[float]) -> list[str]:
    """Return the numbers below the plot, with a short line to each."""
    parts: list[str] = []
    for tick in axis:
        x = WIDTH * share(tick, axis)
        parts.append(tag("path", d=f"M{number(x)} {number(HEIGHT)}v5", stroke=QUIET))
        parts.append(words(shown(tick), complex(x, HEIGHT + 15), SIZE, fill=QUIET))
    return parts


def rows(axis: list[float]) -> list[str]:
    """Return the numbers at the left of the plot, with a line across at each."""
    parts: list[str] = []
    for tick in axis:
        y = HEIGHT * (1 - share(tick, axis))
        colour = LINE if tick else QUIET
        parts.append(tag("path", d=f"M0 {number(y)}h{number(WIDTH)}", stroke=colour))
        label = words(shown(tick), complex(-8, y), SIZE, fill=QUIET, text_anchor="end")
        parts.append(label)
    return parts


def line(points: list[complex], colour: str, dashes: str) -> list[str]:
    """Return the line through `points`, and a dot on each."""
    d = "M" + "L".join(f"{number(point.real)} {number(point.imag)}" for point in points)
    look = {"fill": "none", "stroke": colour, "stroke_width": 2, "stroke_dasharray": dashes}
    dots = [
        tag("rect", x=p.real - 2.5, y=p.imag - 2.5, width=5, height=5, rx=2.5, fill=colour)
        for p in points
    ]
    return [tag("path", d=d, **look), *dots]


def apart(heights: list[float]) -> list[float]:
    """Return `heights` moved, so that a line of text fits at each, and in their order."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    moved = dict(zip(order, sorted(heights), strict=True))
    for above, below in pairwise(order):
        moved[below] = max(moved[below], moved[above] + NEXT)
    floor = HEIGHT
    for k in reversed(order):
        moved[k] = min(moved[k], floor)
        floor = moved[k] - NEXT
    return [moved[k] for k in range(len(heights))]
