"""A conversation, message by message: a column for each party, a row for each message.

Where `Lanes` shows when something happened, this shows in which order, however many messages
there are in one instant. The text of a message stands beside its arrow, at the right.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from .curves import arrow
from .svg import ACCENT, INK, LINE, QUIET, Frame, WidePicture, clean, number, tag, width_of, words
from .timeline import Event, Timeline

SIZE = 11
NAME = 12
ROW = 18.0
HEAD = 26.0  # from the names to the first row
BETWEEN = 14.0  # two names
BESIDE = 22.0  # from the last column to the texts, and from the times to the first


class Sequence(WidePicture):
    """What the parties `lanes` say to each other, in the order of time; the events are those of
    `Lanes`."""

    def __init__(
        self,
        lanes: Iterable[str],
        events: Iterable[tuple[Any, ...]],
        *,
        title: str,
        unit: str = "s",
    ) -> None:
        self.timeline = Timeline(lanes, events, (), None, unit)
        said = (" ".join(line.split()) for line in self.timeline.lines())
        super().__init__(title, "; ".join(said))
        self.columns = list(columns([clean(lane) for lane in self.timeline.lanes]))

    def __repr__(self) -> str:
        return "\n".join(self.timeline.lines())

    def draw(self) -> tuple[list[str], Frame]:
        """Return the columns with their names, then the rows from the top."""
        events = self.timeline.events
        bottom = HEAD + ROW * max(len(events), 1)
        parts = [
            part
            for column in zip(self.timeline.lanes, self.columns, strict=True)
            for part in line_of(*column, bottom)
        ]
        for row, event in enumerate(events):
            parts += self.row(event, HEAD + ROW * row, told=row == 0 or self.is_later(row))
        return parts, Frame(self.left(), -NAME, self.right(), bottom)

    def is_later(self, row: int) -> bool:
        """Tell whether a row has another time than the one above it."""
        before, event = self.timeline.events[row - 1 : row + 1]
        return self.timeline.at(before.time) != self.timeline.at(event.time)

    def row(self, event: Event, y: float, *, told: bool) -> Iterator[str]:
        """Yield an arrow or a wedge, the text, and the time where it is another."""
        colour, wide = (ACCENT, 2.5) if event.accent else (INK, 1.5)
        source, *target = (self.columns[self.timeline.lanes.index(lane)] for lane in event.lanes)
        if target:
            ends = [complex(source, y), complex(target[0], y)]
            yield from arrow(ends, colour, stroke_width=wide)
            yield tag("rect", x=source - 2.5, y=y - 2.5, width=5, height=5, rx=2.5, fill=colour)
        else:
            yield tag("path", d=f"M{number(source)} {number(y)}l-8 -4.5v9Z", fill=colour)
        look = {"fill": ACCENT if event.accent else INK, "text_anchor": "start"}
        yield words(event.text, complex(self.columns[-1] + BESIDE, y), SIZE, **look)
        if told:
            at = complex(-BESIDE, y)
            yield words(self.timeline.at(event.time), at, SIZE, fill=QUIET, text_anchor="end")

    def left(self) -> float:
        """Return where the longest time begins, or the first name."""
        times = [width_of(self.timeline.at(event.time), SIZE) for event in self.timeline.events]
        return -max(
            [BESIDE + wide for wide in times] + [width_of(clean(self.timeline.lanes[0]), NAME) / 2]
        )

    def right(self) -> float:
        """Return where the longest text ends, or the last name."""
        texts = [width_of(clean(event.text), SIZE) for event in self.timeline.events]
        name = width_of(clean(self.timeline.lanes[-1]), NAME) / 2
        return self.columns[-1] + max([BESIDE + wide for wide in texts] + [name])


def columns(names: list[str]) -> Iterator[float]:
    """Yield the x of each party, as far from the one before it as their names ask for."""
    x = 0.0
    yield x
    for pair in pairwise(names):
        x += max(50.0, sum(width_of(name, NAME) for name in pair) / 2 + BETWEEN)
        yield x


def line_of(name: str, x: float, bottom: float) -> tuple[str, str]:
    """Return the line of a party, and its name above it."""
    d = f"M{number(x)} {number(NAME)}V{number(bottom)}"
    line = tag("path", d=d, stroke=LINE, stroke_width=1.5)
    return line, words(name, complex(x, 0), NAME)
