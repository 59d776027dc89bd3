"""Engines of a lab that a placement has: connected, heard by their events, refreshed by nobody."""

import asyncio
import io
from contextlib import asynccontextmanager

from walkthroughs.swarm import filters, strategies
from walkthroughs.swarm.builds import BuildSyncer
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.health import EngineOptions
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.placement import Placement
from walkthroughs.swarm.scheduler import Scheduler

run = asyncio.run


class Few(Placement):
    """A cluster without discovery; what it logs is in `logged`."""

    def __init__(self, lab, strategy):
        super().__init__()
        self.lab, self.logged = lab, io.StringIO()
        self.world = lab.world("manager", self.logged)
        self.world.log.set_level("debug")
        chosen = strategies.new(strategy, self.world.random)
        self.scheduler = Scheduler(chosen, filters.new(filters.FILTERS))
        self.builds = BuildSyncer(self.world.clock)
        self.engines = {}
        self.machines = {}
        """The lab's engines, by name."""

    def spawn(self, work):
        name = f"task {len(self.lab.tasks)}"
        self.lab.start(name, work)
        return self.lab.tasks[name]

    async def add(self, name, **options):
        """Connect one more engine."""
        address = f"{name}:2375"
        self.machines[name] = LabEngine(self.lab, name, address, **options).plug()
        engine = Engine(address, 0, EngineOptions(), self.world, None, self.spawn)
        await engine.connect()
        engine.health.validated()
        engine.inventory.revision += 1
        self.engines[engine.id] = engine
        return engine

    def engine(self, name):
        return next(each for each in self.engines.values() if each.name == name)

    def log(self):
        """Return what was logged, without times."""
        return [line.partition(" ")[2] for line in self.logged.getvalue().splitlines()]


@asynccontextmanager
async def few(*names, strategy="spread", **options):
    """Give a cluster of these engines, which all have the options."""
    async with Lab() as lab:
        cluster = Few(lab, strategy)
        for name in names:
            await cluster.add(name, **options)
        yield cluster


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
