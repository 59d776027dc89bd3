"""The driver "swarm": the engines that discovery finds. cluster/swarm/cluster.go

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `NewCluster`                              | `new_cluster`                       |
| the two `go` statements in it             | `Cluster.run`                       |
| `monitorDiscovery`, `addEngine`           | `monitor_discovery`, `add_engine`   |
| `monitorPendingEngines`                   | `monitor_pending_engines`           |
| `validatePendingEngine`                   | `validate_pending_engine`           |
| `CreateContainer` and what it needs       | in `placement`                      |
| images, networks, volumes                 | in `resources`                      |
| `Info`                                    | in `info`                           |
"""

import asyncio
import math
import ssl
from collections.abc import Coroutine, Iterable
from contextlib import aclosing
from typing import Any

from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.discovery import Backend, DiscoveryError, Entries
from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.engine_api import EngineError
from walkthroughs.swarm.events import APIEventHandler, EventHandlers
from walkthroughs.swarm.health import EngineOptions
from walkthroughs.swarm.info import describe
from walkthroughs.swarm.placement import Placement
from walkthroughs.swarm.scheduler import Scheduler
from walkthroughs.swarm.world import World

MINIMUM_VALIDATION_INTERVAL = 10.0
"""Seconds between two looks at who is pending."""


class Cluster(Placement, EventHandlers):
    """Engines that come and go, and the containers on them."""

    def __init__(
        self,
        scheduler: Scheduler,
        tls: ssl.SSLContext | None,
        discovery: Backend,
        options: EngineOptions,
        world: World,
    ) -> None:
        super().__init__()
        self.scheduler = scheduler
        self.tls = tls
        self.discovery = discovery
        self.options = options
        self.world = world
        self.overcommit = 0.05
        self.engines: dict[str, Engine] = {}
        self.pending_engines: dict[str, Engine] = {}
        """By address, because nobody has told an id yet."""
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Keep the cluster going until cancelled. (the goroutines of `NewCluster`)"""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self.spawn(self.monitor_discovery())
                self.spawn(self.monitor_pending_engines())
        finally:
            self.close_watch_queues()
            for engine in [*self.engines.values(), *self.pending_engines.values()]:
                await engine.close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Start a task that ends with the cluster."""
        if not self._tasks:
            work.close()
            raise RuntimeError("the cluster does not run")
        return self._tasks.create_task(work)

    async def monitor_discovery(self) -> None:
        """Follow discovery: remove who has left, then add who has come."""
        current = Entries()
        async with aclosing(self.discovery.watch()) as reports:
            async for report in reports:
                if isinstance(report, DiscoveryError):
                    # Who cannot be asked has not said that anybody left.
                    self.world.log.error(f"Discovery error: {report}")
                    continue
                added, removed = current.diff(report)
                current = report
                for entry in removed:
                    await self.remove_engine(str(entry))
                for entry in added:
                    self.add_engine(str(entry))

    def engine_at(self, addr: str) -> Engine | None:
        """Return the engine at an address, pending or not. (`getEngineByAddr`)"""
        if engine := self.pending_engines.get(addr):
            return engine
        there = (each for each in self.engines.values() if each.addr == addr)
        return next(there, None)

    def add_engine(self, addr: str) -> bool:
        """Begin to know an engine; tell whether it was unknown."""
        if self.engine_at(addr):
            return False
        engine = Engine(
            addr, self.overcommit, self.options, self.world, self.tls, self.spawn
        )
        engine.event_handler = self.handle
        # It is in this table before anything is awaited: nobody adds it twice.
        self.pending_engines[addr] = engine
        engine.spawn(self.validate_pending_engine(engine))
        return True

    async def remove_engine(self, addr: str) -> bool:
        """Forget an engine; its containers may be created elsewhere."""
        if not (engine := self.engine_at(addr)):
            return False
        await engine.disconnect()
        self.pending_engines.pop(addr, None)
        self.engines.pop(engine.id, None)
        self._nodes.pop(engine.id, None)
        self.world.log.info(f"Removed Engine {engine.name}")
        return True

    async def validate_pending_engine(self, engine: Engine) -> None:
        """Connect to an engine; make it one of ours when it can be used."""
        try:
            await engine.connect()
        except EngineError as error:
            failed = f"Failed to validate pending node: {error}"
            self.world.log.debug(failed, Addr=engine.addr)
            return
        daemon = engine.id.partition("|")[0]
        for other in self.engines.values():
            if other.id.partition("|")[0] == daemon:
                shared = f"shared by {other.addr} and {engine.addr}"
                self.world.log.warning(f"ID duplicated. {daemon} {shared}")
        self.pending_engines.pop(engine.addr, None)
        self.engines[engine.id] = engine
        engine.validation_complete()
        self.world.log.info(f"Registered Engine {engine.name} at {engine.addr}")

    async def monitor_pending_engines(self) -> None:
        """Try those again that could not be reached, or not be used."""
        while True:
            await self.world.clock.sleep(MINIMUM_VALIDATION_INTERVAL)
            for engine in list(self.pending_engines.values()):
                # Whoever is being asked has answered or failed within 30 seconds.
                if engine.health.time_to_validate():
                    engine.spawn(self.validate_pending_engine(engine))

    def total_memory(self) -> int:
        return sum(engine.total_memory for engine in self.engines.values())

    def total_cpus(self) -> int:
        return sum(engine.total_cpus for engine in self.engines.values())

    def engine_names(self) -> list[str]:
        return [engine.name for engine in self.engines.values()]

    def new_api_event_handler(self) -> APIEventHandler:
        return APIEventHandler()

    async def refresh_engine(self, name: str) -> None:
        """Ask an engine for all about its containers; raise `ClusterError`."""
        for engine in list(self.engines.values()):
            if engine.name == name:
                return await engine.inventory.refresh_containers(full=True)
        raise ClusterError(f"no engine found with hostname {name}")

    async def refresh_engines(self) -> None:
        for engine in list(self.engines.values()):
            await engine.inventory.refresh_containers(full=True)

    def info(self) -> list[tuple[str, str]]:
        """Return what `docker info` shows of the cluster, as pairs."""
        engines = [*self.engines.values(), *self.pending_engines.values()]
        return list(describe(self.scheduler, engines))


def new_cluster(
    scheduler: Scheduler,
    tls: ssl.SSLContext | None,
    discovery: Backend,
    driver_options: Iterable[str],
    engine_options: EngineOptions,
    world: World,
) -> Cluster:
    """Return a cluster that `run` brings to life.

    `driver_options` are those of `--cluster-opt`, as `key=value`. Raise ValueError for
    a number out of its range.
    """
    world.log.debug("Initializing cluster", name="swarm")
    cluster = Cluster(scheduler, tls, discovery, engine_options, world)
    options: dict[str, str] = {}
    for option in driver_options:
        key, _, value = option.partition("=")
        options.setdefault(key, value)
    if (text := options.get("swarm.overcommit")) is not None:
        cluster.overcommit = overcommit(text, world)
    if (text := options.get("swarm.createretry")) is not None:
        cluster.create_retry = create_retry(text)
    return cluster


def overcommit(text: str, world: World) -> float:
    """Return what `swarm.overcommit` says; what is no number is 0."""
    try:
        ratio = float(text)
    except ValueError:
        ratio = 0.0
    if not -1 < ratio < math.inf:
        raise ValueError(
            f"swarm.overcommit should be larger than -1, {ratio:f} is invalid"
        )
    if ratio < 0:
        world.log.warning(
            "-1 < swarm.overcommit < 0 will make swarm take less resource than "
            "docker engine offers"
        )
    return ratio


def create_retry(text: str) -> int:
    """Return what `swarm.createretry` says; what is no number is 0."""
    try:
        retries = int(text, 0)
    except ValueError:
        retries = 0
    if retries < 0:
        raise ValueError(f"swarm.createretry can not be negative, {retries} is invalid")
    return retries
