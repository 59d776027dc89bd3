"""Who is told what happens: cluster/events.go, event_map.go, api_events.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `Event`                                   | `Event`                             |
| `EventHandler.Handle`                     | `EventHandler`, a function          |
| `ClusterEventHandlers`                    | `EventHandlers`                     |
| `APIEventHandler.Watch`                   | `APIEventHandler.watch`             |
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from walkthroughs.swarm.config import JSON

if TYPE_CHECKING:
    from walkthroughs.swarm.engine import Engine

QUEUE_LIMIT = 10_000
"""Events that a slow reader may be behind. (`defaultEventQueueLimit`)"""


class Event(NamedTuple):
    """What an engine reported, or what happened to the engine itself."""

    engine: "Engine"
    raw: JSON
    """As `GET /events` of an engine tells it."""

    @property
    def status(self) -> str:
        return self.raw.get("status") or ""

    @property
    def origin(self) -> str:
        """`swarm` for what happened to an engine; else an image, or ""."""
        return self.raw.get("from") or ""


EventHandler: TypeAlias = Callable[[Event], None]
"""Is told of an event, and returns at once."""


class EventHandlers:
    """Everybody who wants to know what happens in a cluster."""

    def __init__(self) -> None:
        self._handlers: list[EventHandler] = []

    def handle(self, event: Event) -> None:
        # A copy, because a handler may leave while it is called.
        for handler in list(self._handlers):
            handler(event)

    def register_event_handler(self, handler: EventHandler) -> None:
        """Tell a handler from now on; raise ValueError if it is told already."""
        if handler in self._handlers:
            raise ValueError("event handler already set")
        self._handlers.append(handler)

    def unregister_event_handler(self, handler: EventHandler) -> None:
        if handler in self._handlers:
            self._handlers.remove(handler)

    def close_watch_queues(self) -> None:
        """End the watches of all clients, as a manager does that stops."""
        for handler in list(self._handlers):
            if isinstance(handler, APIEventHandler):
                handler.close()
                self._handlers.remove(handler)


class APIEventHandler:
    """Hands events on to clients, each of which reads at its own pace."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Event | None]] = set()

    def __call__(self, event: Event) -> None:
        for queue in list(self._queues):
            if queue.qsize() < QUEUE_LIMIT:
                queue.put_nowait(event)
            else:
                # To leave events out would be a lie: what comes next is the end.
                self._end(queue)

    def _end(self, queue: asyncio.Queue[Event | None]) -> None:
        self._queues.discard(queue)
        queue.put_nowait(None)

    async def watch(self) -> AsyncGenerator[Event, None]:
        """Yield events from the first step on, until `close`, or too far behind.

        Use it inside `contextlib.aclosing`, so that leaving the loop ends it.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            while event := await queue.get():
                yield event
        finally:
            self._queues.discard(queue)

    def close(self) -> None:
        """End every watch, when its reader has read what it was told before."""
        for queue in list(self._queues):
            self._end(queue)

    def size(self) -> int:
        """Return how many clients watch."""
        return len(self._queues)
