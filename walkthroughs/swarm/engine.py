"""One Docker engine and what becomes of it: `Engine` of cluster/engine.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `NewEngine`, `Connect`, `Disconnect`      | `Engine`, `connect`, `disconnect`   |
| `CheckConnectionErr`                      | `check_connection_error`            |
| `updateSpecs`                             | `update_specs`, and `specs`         |
| `ValidationComplete`, `refreshLoop`       | `validation_complete`, `refresh_loop` |
| `StartMonitorEvents`, `handler`           | in `event_monitor`                  |
| `CreateContainer`, `StartContainer`, ...  | in `orders`                         |
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Generator
from contextlib import aclosing, contextmanager, suppress
from typing import Any, TypeAlias

from walkthroughs.swarm.cluster import Query
from walkthroughs.swarm.config import JSON
from walkthroughs.swarm.engine_api import (
    CLOSED,
    REQUEST_TIMEOUT,
    ConnectionFailed,
    EngineAPI,
    EngineError,
)
from walkthroughs.swarm.event_monitor import EventsMonitor
from walkthroughs.swarm.events import Event
from walkthroughs.swarm.health import EngineOptions, Health, State
from walkthroughs.swarm.inventory import Inventory, understood
from walkthroughs.swarm.specs import (
    Specs,
    clock_delta,
    engine_labels,
    resolve,
    with_overcommit,
)
from walkthroughs.swarm.world import World, within

SPEC_UPDATE_INTERVAL = 300.0
"""Seconds until a healthy engine is asked again what its machine is."""

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
"""Starts a task: the `create_task` of a TaskGroup, or of asyncio."""


class Engine:
    """A Docker engine, from the moment its address is known to its removal."""

    def __init__(
        self,
        addr: str,
        overcommit: float,
        options: EngineOptions,
        world: World,
        tls: ssl.SSLContext | None,
        spawn: Spawn,
    ) -> None:
        self.addr = addr
        self.overcommit = int(overcommit * 100)
        """Percent that may be promised beyond what is there."""
        self.world = world
        self.tls = tls
        self.id = ""
        """The id of the daemon, a bar, the address; "" until it has answered."""
        self.ip = ""
        self.name = ""
        self.version = ""
        self.cpus = 0
        self.memory = 0
        """Bytes."""
        self.labels: dict[str, str] = {}
        self.delta = 0.0
        """Seconds by which our clock is ahead of the engine's, if it matters."""
        self.health = Health(options, world.clock)
        self.inventory = Inventory(self)
        self.events = EventsMonitor(self)
        self.api: EngineAPI | None = None
        self.event_handler: Callable[[Event], None] = lambda event: None
        self._spawn = spawn
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Task[None] | None = None
        self._resume = asyncio.Event()

    @property
    def total_memory(self) -> int:
        """Bytes, with what may be promised beyond what is there."""
        return with_overcommit(self.memory, self.overcommit)

    @property
    def total_cpus(self) -> int:
        return with_overcommit(self.cpus, self.overcommit)

    def is_healthy(self) -> bool:
        return self.health.state is State.HEALTHY

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Start a task that ends with the engine."""
        task = self._spawn(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def log_error(self, message: str) -> None:
        self.world.log.error(message, name=self.name, id=self.id)

    @contextmanager
    def talk(self) -> Generator[EngineAPI, None, None]:
        """Give the client for one request, which tells how the engine is."""
        if not self.api:
            raise EngineError(CLOSED)
        try:
            yield self.api
        except EngineError as error:
            self.check_connection_error(error)
            raise
        self.check_connection_error(None)

    async def ask(
        self, method: str, path: str, query: Query | None = None, **options: Any
    ) -> Any:
        """Send a request to the engine; raise `EngineError`."""
        with self.talk() as api:
            return await api.ask(method, path, query, **options)

    async def look(self, path: str, query: Query | None = None) -> Any:
        """Ask for something that an engine has at hand."""
        return await self.ask("GET", path, query, limit=REQUEST_TIMEOUT)

    async def follow(
        self, path: str, query: Query, progress: Callable[[JSON], None], **options: Any
    ) -> None:
        """Send a long request, and hand on each line of the answer."""
        with self.talk() as api:
            async with aclosing(api.stream("POST", path, query, **options)) as lines:
                async for line in lines:
                    progress(line)

    def check_connection_error(self, error: EngineError | None) -> None:
        """Count a request that found nobody; greet an engine that is back."""
        before = self.health.indicator()
        if error is None:
            retries = self.health.failures
            if self.health.succeeded():
                back = f"Engine came back to life after {retries} retries. Hooray!"
                self.world.log.info(back, name=self.name, id=self.id)
                self._resume.set()
                self.emit_event("engine_reconnect")
        elif isinstance(error, ConnectionFailed) and self.health.failed(str(error)):
            times = f"Connect failed {self.health.failures} times"
            self.log_error(f"Flagging engine as unhealthy. {times}")
            # Over a cable that was pulled, the old stream would be silent for ever.
            self._listen()
            self.emit_event("engine_disconnect")
        if self.health.indicator() != before:
            self.inventory.revision += 1

    def emit_event(self, action: str) -> None:
        """Tell what happened to the engine itself."""
        now = self.world.clock.time()
        actor: JSON = {"ID": "", "Attributes": {}}
        told = {"status": action, "from": "swarm", "Type": "swarm", "Action": action}
        times = {"time": int(now), "timeNano": int(now * 1e9)}
        self.event_handler(Event(self, {**told, "Actor": actor, **times}))

    def _listen(self) -> None:
        """Follow the events, on a new connection."""
        if self._listener:
            self._listener.cancel()
        self._listener = self.spawn(self.events.run())

    async def connect(self) -> None:
        """Reach the engine and learn all about it; raise `EngineError`."""
        await self.close()
        try:
            self.ip = await resolve(self.addr, self.world)
            self.api = EngineAPI(self.addr, self.world, self.tls)
            await self.update_specs()
            await self.inventory.refresh_containers(full=True)
            await self.inventory.refresh_images()
        except EngineError as error:
            self.health.refused(str(error))
            await self.close()
            raise
        await self._refresh_resources()
        self._listen()
        self.emit_event("engine_connect")

    async def _refresh_resources(self) -> None:
        """Ask for what an engine may be too old to have."""
        for ask in self.inventory.refresh_volumes, self.inventory.refresh_networks:
            with suppress(EngineError):
                await ask()
        self.inventory.attach()

    async def close(self) -> None:
        """Close the connections to the engine."""
        api, self.api = self.api, None
        if api:
            await api.close()

    async def disconnect(self) -> None:
        """Leave the engine alone from now on."""
        if self.health.state is State.DISCONNECTED:
            return
        self.health.state = State.DISCONNECTED
        self.inventory.revision += 1
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.close()
        self.emit_event("engine_disconnect")

    def validation_complete(self) -> None:
        """Become healthy, and be watched from now on."""
        if self.health.state is not State.PENDING:
            return
        self.health.validated()
        self.inventory.revision += 1
        self.spawn(self.refresh_loop())

    async def update_specs(self) -> None:
        """Ask what the machine is and has; raise `EngineError`."""
        info: JSON = await self.look("/info")
        now, specs = self.world.clock.time(), Specs.read(info, self.addr)
        version: JSON = await self.look("/version")
        with understood("its version"):
            self.version = str(version["Version"])
            if self.api:
                self.api.negotiate(version)
        self._identify(specs.id)
        self._compare_clocks(specs.time, now)
        self.name, self.cpus, self.memory = specs.name, specs.cpus, specs.memory
        self.labels = engine_labels(
            specs.facts, specs.stated, self._who(), self.world.log
        )
        self.inventory.revision += 1

    def _who(self) -> str:
        return f"(ID: {self.id}, Addr: {self.addr})"

    def _identify(self, found: str) -> None:
        if self.id and self.id != found:
            # Everybody knows the engine by its id, so it cannot change in place.
            self.health.state = State.PENDING
            message = (
                f"Engine {self._who()} shows up with another ID:{found}. "
                "Please remove it from cluster, it can be added back."
            )
            self.health.refused(message)
            raise EngineError(message)
        self.id = found

    def _compare_clocks(self, engine_time: float | None, now: float) -> None:
        # What happens after this moment will be told, or asked for.
        self.events.begin(now if engine_time is None else engine_time)
        self.delta = clock_delta(engine_time, now)
        if self.delta:
            self.world.log.warning(
                f"Engine {self._who()} has unsynchronized "
                "systime with swarm, please synchronize it."
            )

    async def refresh_loop(self) -> None:
        """Look again every now and then, less often at an engine that is away."""
        clock, specs_at = self.world.clock, self.world.clock.monotonic()
        while True:
            await self._pause()
            old = clock.monotonic() - specs_at > SPEC_UPDATE_INTERVAL
            try:
                if old or not self.is_healthy():
                    await self.update_specs()
                    specs_at = clock.monotonic()
            except EngineError as error:
                self.log_error(f"Update engine specs failed: {error}")
                continue
            with suppress(EngineError):
                await self.refresh()

    async def _pause(self) -> None:
        wait = self.health.refresh_wait(self.world.random)
        with suppress(TimeoutError):
            await within(wait, self._resume.wait(), self.world.clock)
        self._resume.clear()

    async def refresh(self) -> None:
        """Ask again what there is on the engine; raise `EngineError`."""
        await self.inventory.refresh_containers(full=False)
        with suppress(EngineError):
            await self.inventory.refresh_images()
        await self._refresh_resources()
