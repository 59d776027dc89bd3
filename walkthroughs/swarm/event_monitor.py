"""What an engine reports, and what is asked again because of it: event_monitor.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `EventsMonitor`, `NewEventsMonitor`       | `EventsMonitor`                     |
| `Engine.StartMonitorEvents`               | `EventsMonitor.run`                 |
| `EventsMonitor.Start`                     | `EventsMonitor.follow`              |
| `Engine.handler`                          | `EventsMonitor.learn`               |
"""

from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from walkthroughs.swarm.config import JSON
from walkthroughs.swarm.engine_api import CLOSED, EngineError
from walkthroughs.swarm.events import Event
from walkthroughs.swarm.inventory import understood

if TYPE_CHECKING:
    from walkthroughs.swarm.engine import Engine

MAX_RETRY_INTERVAL = 10.0
"""Seconds until a broken stream is opened again, at most."""

SILENT = {
    *("top", "resize", "export", "exec_create", "exec_start", "exec_detach"),
    *("attach", "detach", "extract-to-dir", "copy", "archive-path"),
}
"""Events of a container after which it is what it was."""
FULL = {
    *("die", "kill", "oom", "pause", "start", "restart", "stop", "unpause"),
    *("rename", "update", "health_status"),
}
"""Events after which all about a container is asked for again."""


class EventsMonitor:
    """Listens to an engine, and keeps what is known of it up to date."""

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine
        self.since = 0
        """Nanoseconds of Unix time, on the engine's clock: what is known already."""

    def begin(self, second: float) -> None:
        """Listen from a second on, unless something later was heard of."""
        self.since = self.since or int(second * 1e9)

    async def run(self) -> None:
        """Follow the events until cancelled, on one connection after the other."""
        engine, log = self.engine, self.engine.world.log
        while True:
            who = {"name": engine.name, "id": engine.id}
            log.debug("Start monitoring events", **who)
            try:
                await self.follow()
                why = "the stream has ended"
            except EngineError as error:
                why = str(error)
            log.error("error monitoring events, will restart", error=why, **who)
            wait = min(engine.health.failures + 1, MAX_RETRY_INTERVAL)
            await engine.world.clock.sleep(wait)

    async def follow(self) -> None:
        """Follow the events on one connection, to its end; raise `EngineError`."""
        if not self.engine.api:
            raise EngineError(CLOSED)
        query = {"since": f"{self.since // 10**9}.{self.since % 10**9:09}"}
        stream = self.engine.api.stream("GET", "/events", query)
        async with aclosing(stream) as events:
            async for raw in events:
                # Whatever is wrong with an event concerns it alone.
                with suppress(EngineError), understood("an event"):
                    if at := int(raw.get("timeNano") or 0):
                        self.since = at + 1
                    await self.learn(raw)
                self.engine.event_handler(Event(self.engine, raw))

    async def learn(self, raw: JSON) -> None:
        """Ask again for what an event has changed; raise `EngineError`."""
        inventory = self.engine.inventory
        actor, action = str(raw["Actor"]["ID"]), str(raw["Action"]).partition(":")[0]
        match raw["Type"]:
            case "network":
                await inventory.refresh_network(actor)
            case "volume":
                await inventory.refresh_volume(actor)
            case "image":
                await inventory.refresh_images()
            case "container" if action == "commit":
                await inventory.refresh_images()
            case "container" if action not in SILENT:
                if action == "die":
                    # It may be the last that an engine says before it ends itself.
                    inventory.end(actor)
                await inventory.refresh_container(actor, action in FULL)
            case "daemon" if action == "reload":
                await self.engine.update_specs()
            case _:
                pass
