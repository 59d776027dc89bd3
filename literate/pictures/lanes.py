"""A timeline: a lane for each party, messages between them, and what lasts on each.

A message stands at one time, so its arrow is upright. A text that repeats the one before it,
between the same two lanes, is left out of the drawing, and a line below says so.
"""

from collections.abc import Iterable
from typing import Any

from .axis import clock_step, round_step, ticks
from .curves import arrow
from .svg import (
    ACCENT,
    FILL,
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
from .timeline import Event, Span, Timeline
from .tracks import BESIDE, Gaps, Move, Spot, news, placed

WIDTH = 560.0  # of the axis
SIZE = 11
NAME = 12
ROW = 14.0  # a line of text
BAR = 17.0  # a span, with the room below it
THICK = 15.0  # the span itself
THIN = 3.0  # the shortest span
NAMES = 14.0  # from the names to the axis
LIFT = 8.0  # what texts keep clear of at the lanes: the heads of the arrows behind them
OVER = 60.0  # how far a text may stand out at the right
AGAIN = "Without words: the same again."


class Lanes(WidePicture):
    """What happens between the parties `lanes` from time 0 to `until`, or to the last event.

    Events are `(time, source, target or None, text[, accent])`, spans are
    `(start, end, lane, text[, accent])`.
    """

    def __init__(
        self,
        lanes: Iterable[str],
        events: Iterable[tuple[Any, ...]],
        spans: Iterable[tuple[Any, ...]] = (),
        *,
        title: str,
        until: float | None = None,
        unit: str = "s",
    ) -> None:
        self.timeline = Timeline(lanes, events, spans, until, unit)
        said = (" ".join(line.split()) for line in self.timeline.lines())
        super().__init__(title, "; ".join(said))

    def __repr__(self) -> str:
        return "\n".join(self.timeline.lines())

    def draw(self) -> tuple[list[str], Frame]:
        """Return the lanes from the top, the arrows behind the spans."""
        return LanesDrawing(self.timeline).finish()


class LanesDrawing:
    """A timeline on its way to the page: texts find room first, which sets how far lanes part."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        length = timeline.until or 1
        self.scale = WIDTH / length
        step = (clock_step if timeline.unit == "s" else round_step)(length, 7)
        self.ticks = [tick for tick in ticks(0, length, step) if tick <= length * (1 + 1e-9)]
        self.places = placed(map(self.move, timeline.events), self.scale, WIDTH)
        self.told = list(news(move for move, _ in self.places))
        self.gaps = Gaps(self.places, len(timeline.lanes), WIDTH + OVER)
        self.texts: list[tuple[str, Spot, bool]] = []
        self.bars = [self.stack(lane) for lane in timeline.lanes]
        self.write_all()
        self.tops = self.part()

    def move(self, event: Event) -> Move:
        """Return an event with its lanes as numbers."""
        source, target = (self.timeline.lanes.index(event.lanes[k]) for k in (0, -1))
        return Move(event.time, source, target, clean(event.text), event.accent)

    def stack(self, lane: str) -> list[list[Span]]:
        """Return the spans of a lane in rows in which none overlaps another."""
        rows: list[list[Span]] = []
        for span in (span for span in self.timeline.spans if span.lane == lane):
            free = [row for row in rows if row[-1].end <= span.start]
            if free:
                free[0].append(span)
            else:
                rows.append([span])
        return rows

    def write_all(self) -> None:
        """Find room for every text that is needed, for those that stand out first."""
        for span in self.timeline.spans:
            if not self.inside(span) and not self.beside(span):
                lane = self.timeline.lanes.index(span.lane)
                self.write(span.text, [lane], span.start * self.scale - BESIDE, span.accent)
        needed = [place for place, told in zip(self.places, self.told, strict=True) if told]
        for move, x in sorted(needed, key=lambda place: not place[0].accent):
            self.write(move.text, move.gaps, x, move.accent)

    def inside(self, span: Span) -> bool:
        """Tell whether a span is long enough for its text."""
        room = (span.end - span.start) * self.scale - 10
        return width_of(clean(span.text), SIZE) <= room or not span.text

    def beside(self, span: Span) -> bool:
        """Tell whether a text stands to the right of its span: where there are several rows, and
        a text above them all could be that of any."""
        rows = self.bars[self.timeline.lanes.index(span.lane)]
        if len(rows) == 1 or not span.text:
            return False
        row = next(row for row in rows if span in row)
        later = [other.start * self.scale for other in row if other.start > span.start]
        room = min([*later, WIDTH + OVER]) - self.end(span)
        return width_of(clean(span.text), SIZE) + 2 * BESIDE <= room

    def end(self, span: Span) -> float:
        """Return where the bar of a span ends."""
        return max(span.end * self.scale, span.start * self.scale + THIN)

    def write(self, text: str, gaps: list[int], x: float, accent: bool) -> None:
        """Find room for a text beside `x`."""
        text = clean(text)
        spot = self.gaps.find(gaps, x, width_of(text, SIZE))
        self.texts.append((text, spot, accent))

    def part(self) -> list[float]:
        """Return the upper edge of each lane, and of what is below the last."""
        tops: list[float] = []
        y = 0.0
        for gap, room in enumerate(self.gaps.gaps):
            least = 30 if room.arrows else 8 if gap in (0, len(self.bars)) else 16
            y += max(least, len(room.rows) * ROW + 10 + (2 * LIFT if room.busy else 0))
            tops.append(y)
            y += self.thickness(gap)
        return tops

    def thickness(self, lane: int) -> float:
        """Return the height of a lane: none where nothing lasts on it."""
        bars = self.bars[lane : lane + 1]
        return len(bars[0]) * BAR - BAR + THICK if bars and bars[0] else 0

    def finish(self) -> tuple[list[str], Frame]:
        """Return everything, what is in front last, and the frame."""
        names = [clean(lane) for lane in self.timeline.lanes]
        left = -NAMES
        right = max([WIDTH, *(x for _, x in self.places)])
        parts = [part for k, name in enumerate(names) for part in self.lane(k, name, left, right)]
        for move, x in self.places:
            parts += self.arrow(move, x)
        for lane, rows in enumerate(self.bars):
            for k, row in enumerate(rows):
                for span in row:
                    parts += self.bar(span, self.tops[lane] + k * BAR)
        for text, spot, accent in self.texts:
            parts += self.text(text, spot, accent)
        axis, bottom = self.axis()
        left -= max(width_of(name, NAME) for name in names)
        return [*parts, *axis], Frame(left, 0, max(right + 5, self.right_of_texts()), bottom)

    def lane(self, lane: int, name: str, left: float, right: float) -> list[str]:
        """Return the line of a lane, and its name."""
        y = self.tops[lane] + self.thickness(lane) / 2
        d = f"M0 {number(y)}H{number(right)}"
        line = tag("path", d=d, stroke=LINE, stroke_width=1.5)
        return [line, words(name, complex(left, y), NAME, text_anchor="end")]

    def right_of_texts(self) -> float:
        """Return where the last text ends."""
        ends = [spot.left + width_of(text, SIZE) for text, spot, _ in self.texts]
        for span in filter(self.beside, self.timeline.spans):
            ends.append(self.end(span) + BESIDE + width_of(clean(span.text), SIZE))
        tick = self.ticks[-1]
        return max([tick * self.scale + width_of(self.timeline.at(tick), SIZE) / 2, *ends])

    def arrow(self, move: Move, x: float) -> list[str]:
        """Return a message's arrow, a dot where it starts; or a wedge on its lane."""
        colour, wide = (ACCENT, 2.5) if move.accent else (INK, 1.5)
        top, bottom = self.tops[move.source], self.tops[move.source] + self.thickness(move.source)
        if move.source == move.target:
            d = f"M{number(x)} {number(top)}l-4.5 -8h9Z"
            return [tag("path", d=d, fill=colour)]
        down = move.target > move.source
        start = bottom if down else top
        end = self.tops[move.target] + (0 if down else self.thickness(move.target))
        dot = tag("rect", x=x - 2.5, y=start - 2.5, width=5, height=5, rx=2.5, fill=colour)
        return [*arrow([complex(x, start), complex(x, end)], colour, stroke_width=wide), dot]

    def bar(self, span: Span, top: float) -> list[str]:
        """Return a span, with its text if that fits."""
        x = span.start * self.scale
        wide = self.end(span) - x
        look: dict[str, Any] = {"stroke": QUIET, "stroke_width": 1, "fill": FILL}
        if span.accent:
            look |= {"stroke": ACCENT, "stroke_width": 2}
        parts = [tag("rect", x=x, y=top, width=wide, height=THICK, rx=3, **look)]
        spot = complex(x + 5, top + THICK / 2)
        if span.text and self.inside(span):
            colour = ACCENT if span.accent else QUIET
            parts.append(words(span.text, spot, SIZE, fill=colour, text_anchor="start"))
        elif self.beside(span):
            spot = complex(x + wide + BESIDE, spot.imag)
            parts += self.plated(span.text, spot, span.accent)
        return parts

    def text(self, text: str, spot: Spot, accent: bool) -> list[str]:
        """Return a text, on a plate of its own where arrows pass behind it."""
        lift = LIFT if self.gaps.gaps[spot.gap].busy else 0
        y = self.tops[spot.gap] - 12 - lift - spot.row * ROW
        written = self.plated(text, complex(spot.left, y), accent)
        return written if spot.crossed else written[1:]

    def plated(self, text: str, spot: complex, accent: bool) -> list[str]:
        """Return a plate, and on it a text that begins at `spot`."""
        place = {"x": spot.real - 2, "y": spot.imag - 7, "width": width_of(clean(text), SIZE) + 4}
        look = {"fill": ACCENT if accent else INK, "text_anchor": "start"}
        plate = tag("rect", **place, height=14, rx=3, fill=FILL)
        return [plate, words(text, spot, SIZE, **look)]

    def axis(self) -> tuple[list[str], float]:
        """Return the axis and the line about repetitions below it, and where they end."""
        y = self.tops[-1] + 8
        parts = [tag("path", d=f"M0 {number(y)}H{number(WIDTH)}", stroke=QUIET)]
        for tick in self.ticks:
            x = tick * self.scale
            parts.append(tag("path", d=f"M{number(x)} {number(y)}v5", stroke=QUIET))
            label = self.timeline.at(tick)
            parts.append(words(label, complex(x, y + 14), SIZE, fill=QUIET))
        places = zip(self.places, self.told, strict=True)
        if not any(move.text and not told for (move, _), told in places):
            return parts, y + 20
        again = words(AGAIN, complex(0, y + 34), SIZE, fill=QUIET, text_anchor="start")
        return [*parts, again], y + 40
