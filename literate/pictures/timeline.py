"""What happened between some parties, and when: what lanes show, in drawn and in written form."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from .axis import plain
from .svg import clean


class Event(NamedTuple):
    """A message, or what happens at `source` alone, without a target; `accent` stands out."""

    time: float
    source: str
    target: str | None = None
    text: str = ""
    accent: bool = False

    @property
    def times(self) -> tuple[float, ...]:
        """The time."""
        return (self.time,)

    @property
    def lanes(self) -> tuple[str, ...]:
        """The lanes that it touches."""
        return (self.source,) if self.target is None else (self.source, self.target)


class Span(NamedTuple):
    """What lasts on a lane from one time to another; `accent` stands out."""

    start: float
    end: float
    lane: str
    text: str = ""
    accent: bool = False

    @property
    def times(self) -> tuple[float, ...]:
        """The start and the end."""
        return self.start, self.end

    @property
    def lanes(self) -> tuple[str, ...]:
        """The lane."""
        return (self.lane,)


class Timeline:
    """Events and spans in the order of their times, from 0 to `until` or to the last of them."""

    def __init__(
        self,
        lanes: Iterable[str],
        events: Iterable[tuple[Any, ...]],
        spans: Iterable[tuple[Any, ...]],
        until: float | None,
        unit: str,
    ) -> None:
        self.lanes = list(lanes)
        self.events = sorted((Event(*event) for event in events), key=lambda event: event.time)
        self.spans = sorted((Span(*span) for span in spans), key=lambda span: span.start)
        self.unit = unit
        self._check_lanes()
        self._check_ways()
        times = [time for each in (*self.events, *self.spans) for time in each.times]
        self.until = max([0, *times]) if until is None else until
        for time in (0, self.until, *times):
            if not 0 <= time <= self.until:
                raise ValueError(f"{self.at(time)} is not between 0 and {self.at(self.until)}")

    def _check_lanes(self) -> None:
        if not self.lanes:
            raise ValueError("a timeline without lanes")
        if twice := [lane for lane in self.lanes if self.lanes.count(lane) > 1]:
            raise ValueError(f"two lanes are called {twice[0]!r}")
        for lane in (lane for each in (*self.events, *self.spans) for lane in each.lanes):
            if lane not in self.lanes:
                raise ValueError(f"no lane {lane!r}: the lanes are {', '.join(self.lanes)}")

    def _check_ways(self) -> None:
        for event in self.events:
            if event.source == event.target:
                raise ValueError(f"a message from {event.source!r} to itself")
        for start, end, lane, *_ in self.spans:
            if end < start:
                times = f"ends at {self.at(end)}, before it starts at {self.at(start)}"
                raise ValueError(f"a span of {lane!r} {times}")

    def at(self, time: float) -> str:
        """Return a time with its unit."""
        return clean(f"{plain(time)} {self.unit}")

    def lines(self) -> list[str]:
        """Return a line for each event, then for each span."""
        rows = list(self._rows())
        wide = max((len(when) for when, *_ in rows), default=0)
        lines = (f"{when:>{wide}}  {where}  {clean(text)}" for when, where, text in rows)
        return [line.rstrip() for line in lines]

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        for event in self.events:
            yield self.at(event.time), " -> ".join(map(clean, event.lanes)), event.text
        for span in self.spans:
            yield f"{plain(span.start)}-{self.at(span.end)}", clean(span.lane), span.text
