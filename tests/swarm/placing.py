"""Engines that a placement has: connected, heard by their events, refreshed by nobody.

`few` gives engines of a lab, `real` Docker's own.
"""

import asyncio
import io
from contextlib import asynccontextmanager

from walkthroughs.swarm import filters, strategies
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.health import EngineOptions
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.placement import Placement
from walkthroughs.swarm.scheduler import Scheduler
from walkthroughs.swarm.world import World

run = asyncio.run

NOWHERE = (
    "Unable to find a node that satisfies the following conditions "
    "\n[available container slots]\n[node==node-9]"
)


class Few(Placement):
    """A cluster without discovery; what it logs is in `logged`."""

    def __init__(self, world, strategy="spread"):
        super().__init__()
        self.world, self.logged = world, io.StringIO()
        world.log.stream, world.log.level = self.logged, "debug"
        chosen = strategies.new(strategy, world.random)
        self.scheduler = Scheduler(chosen, filters.new(filters.FILTERS))
        self.engines = {}
        self.tasks = []

    def spawn(self, work):
        self.tasks.append(asyncio.ensure_future(work))
        return self.tasks[-1]

    async def connect(self, address):
        """Connect one more engine, and return it."""
        engine = Engine(address, 0, EngineOptions(), self.world, None, self.spawn)
        await engine.connect()
        engine.health.validated()
        engine.inventory.revision += 1
        self.engines[engine.id] = engine
        return engine

    async def close(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for engine in self.engines.values():
            await engine.close()

    def engine(self, name):
        return next(each for each in self.engines.values() if each.name == name)

    def log(self):
        """Return what was logged, without times."""
        return [line.partition(" ")[2] for line in self.logged.getvalue().splitlines()]


class InLab(Few):
    """A cluster of engines in a lab."""

    def __init__(self, lab, strategy):
        super().__init__(lab.world("manager"), strategy)
        self.lab = lab
        self.machines = {}
        """The lab's engines, by name."""

    async def add(self, name, **options):
        """Plug in and connect one more engine."""
        address = f"{name}:2375"
        self.machines[name] = LabEngine(self.lab, name, address, **options).plug()
        await self.connect(address)
        # Its stream of events is open from here on.
        await self.lab.clock.advance(0)


@asynccontextmanager
async def few(*names, strategy="spread", **options):
    """Give a cluster of these engines, which all have the options."""
    async with Lab() as lab:
        cluster = InLab(lab, strategy)
        try:
            for name in names:
                await cluster.add(name, **options)
            # What was said on the way is not what a test is about.
            cluster.logged.seek(0)
            cluster.logged.truncate()
            yield cluster
        finally:
            await cluster.close()


@asynccontextmanager
async def real(engines):
    """Give a cluster of Docker's own engines."""
    cluster = Few(World())
    try:
        for each in engines:
            await cluster.connect(each.address)
        yield cluster
    finally:
        await cluster.close()


async def passing(lab, work, seconds=60.0):
    """Return what a work returns while time passes; raise what it raises."""
    task = asyncio.ensure_future(work)
    await lab.clock.advance(seconds)
    assert task.done(), f"not done after {seconds:g} seconds"
    return await task


def asking(image="busybox:latest", **raw):
    """Return a request; HostConfig's numbers are given by their own names."""
    host = {key: raw.pop(key) for key in ("Memory", "CpuShares", "NetworkMode") if key in raw}
    return ContainerConfig.build({"Image": image, "Cmd": ["sh"], "HostConfig": host} | raw)


async def pieces(*chunks):
    """Yield a body in its pieces."""
    for chunk in chunks:
        yield chunk


def in_cluster(*names, **options):
    """Return a decorator that runs a test on a cluster of these engines."""

    def decorate(test):
        async def main():
            async with few(*names, **options) as cluster:
                await test(cluster)

        def run_it():
            run(main())

        run_it.__name__, run_it.__doc__ = test.__name__, test.__doc__
        return run_it

    return decorate
