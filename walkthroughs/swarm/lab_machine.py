"""A machine of the lab with a daemon on it: its clock, its switch, what it reports.

| of dockerd                  | here                                                |
|-----------------------------|-----------------------------------------------------|
| `daemon/events`             | `Machine.emit`, `Machine.events`, `Machine.subscribe`|
| `errdefs`                   | `DaemonError`: the status and the text of an answer |
| `api/types/filters`         | `Filters`, `is_one_of`, `is_like`, `has_labels`     |
| `time.RFC3339Nano`          | `rfc3339`                                           |
| go-units' `HumanDuration`   | `human_duration`                                    |
| power, cable, disk          | `vanish`, `freeze`, `slow`, `fault`                 |
"""

import asyncio
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeAlias

from walkthroughs.swarm.lab import App, Lab

Json: TypeAlias = dict[str, Any]
Filters: TypeAlias = dict[str, list[str]]
"""What a list is asked for; of the values of one key, one has to match."""

NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time: what has not happened."""

RECENT = 256
"""Events that a daemon remembers."""


class DaemonError(Exception):
    """What an engine refuses: the status and the text of its answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def rfc3339(seconds: float) -> str:
    """Return Unix time as Go's `RFC3339Nano` does; 0 is never."""
    if not seconds:
        return NEVER
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return moment.rstrip("0").rstrip(".") + "Z"


def human_duration(seconds: float) -> str:
    """Return `5 minutes`, as go-units' `HumanDuration` does."""
    if seconds < 60:
        return {0: "Less than a second", 1: "1 second"}.get(
            int(seconds), f"{int(seconds)} seconds"
        )
    if seconds < 3600:
        minutes = int(seconds / 60)
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    units = (("days", 24, 14), ("weeks", 168, 60), ("months", 720, 730))
    for unit, size, days in units:
        if hours < days * 24:
            return f"{hours // size} {unit}"
    return f"{int(seconds / 3600) // 24 // 365} years"


def as_dict(value: Any) -> Json:
    """Return an object of JSON; null is an empty one."""
    return value or {}


def as_list(value: Any) -> list[Any]:
    """Return a list of JSON; null is an empty one."""
    return value or []


def check_filters(filters: Filters, known: Iterable[str]) -> None:
    for key in filters:
        if key not in known:
            raise DaemonError(400, f"Invalid filter '{key}'")


def is_one_of(filters: Filters, key: str, *values: str) -> bool:
    """Tell whether no value is asked for under a key, or one of these."""
    return key not in filters or any(value in values for value in filters[key])


def is_like(filters: Filters, key: str, *values: str) -> bool:
    """Do the same with regular expressions, which match anywhere."""
    return key not in filters or any(
        re.search(pattern, value) for pattern in filters[key] for value in values
    )


def has_labels(labels: Json, wanted: Iterable[str]) -> bool:
    """Tell whether there is each of `key` and `key=value`."""
    pairs = [text.partition("=") for text in wanted]
    return all(
        key in labels and (not sign or labels[key] == value)
        for key, sign, value in pairs
    )


class Machine:
    """A daemon at `address`, which is `host:port` on the lab's network.

    `clock_offset` is the seconds that its clock is ahead.
    """

    def __init__(
        self, lab: Lab, name: str, address: str, clock_offset: float = 0.0
    ) -> None:
        self.lab, self.name, self.address = lab, name, address
        self.clock_offset = clock_offset
        self.random = Random(name)
        self.events: list[Json] = []
        self.listeners: set[asyncio.Queue[Json]] = set()
        self.app: App | None = None
        """What answers for it."""
        self.slow = 0.0
        """Seconds before each answer."""
        self.fault: str | None = None
        """How it answers: None is properly, else `500`, `garbage`, `half`, `empty`."""

    def time(self) -> float:
        """Return Unix time on this machine's clock."""
        return self.lab.clock.time() + self.clock_offset

    def new_id(self) -> str:
        """Return 64 hexadecimal digits; a machine of the same name draws the same."""
        return f"{self.random.getrandbits(256):064x}"

    def emit(self, kind: str, action: str, actor: str, **attributes: str) -> None:
        """Report an event to all who listen, and keep it."""
        now = self.time()
        event: Json = {
            "Type": kind,
            "Action": action,
            "Actor": {"ID": actor, "Attributes": attributes},
            "scope": "local",
            "time": int(now),
            "timeNano": round(now * 1e6) * 1000,
        }
        if kind in ("container", "image"):
            old = {"status": action, "id": actor}
            if kind == "container":
                old["from"] = attributes["image"]
            event = old | event
        self.events.append(event)
        for listener in self.listeners:
            listener.put_nowait(event)

    @contextmanager
    def subscribe(self) -> Generator[asyncio.Queue[Json]]:
        """Give a queue to which each event is added from now on."""
        queue: asyncio.Queue[Json] = asyncio.Queue()
        self.listeners.add(queue)
        try:
            yield queue
        finally:
            self.listeners.discard(queue)

    def vanish(self) -> None:
        """Leave the network at once; the containers run on, where nobody sees them."""
        self.lab.network.unplug(self.address)

    def come_back(self) -> None:
        """Be on the network, again or at last."""
        if self.app:
            self.lab.network.plug(self.address, self.app)

    def freeze(self) -> None:
        """Lose the cable: nothing comes through, and nothing says so."""
        self.lab.network.freeze(self.address)

    def thaw(self) -> None:
        self.lab.network.thaw(self.address)
