"""Engines that fail in every way that one can: the manager lives, and knows the truth again."""

import asyncio
import io
import json
from collections import Counter
from random import Random

import pytest

from walkthroughs.swarm import filters, strategies
from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.discovery import create_entries
from walkthroughs.swarm.health import EngineOptions, State
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.new_cluster import new_cluster
from walkthroughs.swarm.scheduler import Scheduler
from walkthroughs.swarm.watchdog import Watchdog

MOVES = "reschedule:on-node-failure"
SLEEP = {"Image": "busybox", "Cmd": ["sleep", "9"]}
HOUR = 3600.0
DAY = 24 * HOUR

WELL_AGAIN = 400
"""Seconds after which an engine that failed for ten minutes is known again."""


class Told:
    """A discovery that a test tells who is there."""

    def __init__(self):
        self.reports = asyncio.Queue()

    def tell(self, nodes):
        self.reports.put_nowait(create_entries(node.address for node in nodes))

    async def watch(self):
        while True:
            yield await self.reports.get()


class Swarm:
    """Engines in a lab, and a manager with a watchdog that finds them."""

    def __init__(self, lab, count, options=None):
        self.lab, self.discovery, self.log = lab, Told(), io.StringIO()
        self.nodes = [
            LabEngine(lab, f"node-{n}", f"10.0.{n // 250}.{n % 250}:2375", id=f"ID-{n}").plug()
            for n in range(1, count + 1)
        ]
        world = lab.world("manager", self.log)
        chosen = filters.new(["health", "port", "dependency", "affinity", "constraint"])
        scheduler = Scheduler(strategies.new("spread", lab.random), chosen)
        options = options or EngineOptions()
        self.cluster = new_cluster(scheduler, None, self.discovery, [], options, world)
        watchdog = Watchdog(self.cluster, world, self.cluster.spawn)
        self.cluster.register_event_handler(watchdog.handle)

    async def begin(self):
        self.lab.start("manager", self.cluster.run())
        self.discovery.tell(self.nodes)
        await self.lab.run(1)

    async def wait(self, work, seconds=0.0):
        """Return what some work of the manager's returns, after so many seconds."""
        task = asyncio.ensure_future(work)
        await self.lab.run(seconds)
        assert task.done(), "the manager waits for ever"
        return task.result()

    def create(self, name, *wishes):
        config = ContainerConfig.build({**SLEEP, "Env": [MOVES, *wishes]})
        return self.cluster.create_container(config, name, {})

    async def refused(self, work, seconds=60.0):
        """Return what the manager says of an order that fails."""
        with pytest.raises(ClusterError) as error:
            await self.wait(work, seconds)
        return str(error.value)

    def truth(self):
        """Return what is on each engine, by its name."""
        return {
            node.name: {
                each.id: (f"/{each.name}", each.state, each.running)
                for each in node.containers.values()
            }
            for node in self.nodes
        }

    def view(self):
        """Return what the manager thinks is on each engine."""
        return {
            engine.name: {
                each.id: (each.names[0], each.raw["State"], each.running)
                for each in engine.inventory.containers.values()
            }
            for engine in self.cluster.engines.values()
        }

    def names(self):
        """Return how often there is a container of each name."""
        return Counter(each.name for node in self.nodes for each in node.containers.values())

    def state(self, number):
        node = self.nodes[number - 1]
        return self.cluster.engine_at(node.address).health.state

    def well(self):
        """Let every engine be there, and answer as it should."""
        for node in self.nodes:
            node.come_back()
            node.thaw()
            node.fault, node.slow = None, 0.0
        self.discovery.tell(self.nodes)


def tasks():
    return len(asyncio.all_tasks())


def in_a_swarm(story, count=2, options=None, seed=1):
    """Run an async function of a swarm; nothing may be left of it."""

    async def run():
        async with Lab(seed) as lab:
            swarm = Swarm(lab, count, options)
            await swarm.begin()
            await story(swarm)
            await lab.stop("manager")
            assert {host for host, calls in lab.network.calls.items() if calls} == set()
        assert tasks() == 1

    asyncio.run(run())


# One engine of two, and all the ways to answer

SHAPES = {
    "null": b"null",
    "list": b"[7]",
    "list of lists": b"[[]]",
    "number": b"7",
    "text": b'"OK"',
    "no keys": b"{}",
    "no keys in a list": b"[{}]",
    "nulls": b'{"Id": null, "ID": null, "Name": null, "NCPU": null, "Volumes": [null]}',
    "other types": b'[{"Id": [], "Names": 7, "Labels": [1], "Created": "x", "RepoTags": 1}]',
    "huge": b'{"NCPU": 1e999, "MemTotal": 1' + b"0" * 400 + b', "ID": "x", "Name": "x"}',
    "huge in a list": b'[{"Id": "x", "Names": [], "Created": 1e999}]',
    "too many digits": b"1" * 5000,
    "deep": b"[" * 100_000,
}
FAULTS = ["500", "garbage", "half", "empty"]


class Shaped:
    """An engine that obeys, but answers whatever it is asked with the same bytes."""

    def __init__(self, node, answer):
        self.app, self.answer = node.app, answer
        node.lab.network.plug(node.address, self)

    async def __call__(self, scope, receive, send):
        async def spoil(message):
            if message["type"] == "http.response.start":
                await send({**message, "headers": []})
                await send({"type": "http.response.body", "body": self.answer})

        if scope["path"].endswith("/events"):
            return await spoil({"type": "http.response.start", "status": 200})
        return await self.app(scope, receive, spoil)


def break_engine(node, fault):
    """Let an engine answer wrong from now on, whatever it is asked."""
    if fault in SHAPES:
        Shaped(node, SHAPES[fault])
    elif fault == "nothing":
        node.freeze()
    elif fault == "gone":
        node.vanish()
    else:
        node.fault = fault


EVERY = [*FAULTS, "nothing", "gone", *SHAPES]


@pytest.mark.parametrize("fault", EVERY)
def test_who_cannot_be_registered_keeps_nobody_out(fault):
    async def story(swarm):
        broken, other = swarm.nodes
        swarm.discovery.tell([])
        await swarm.lab.run(1)
        break_engine(broken, fault)
        swarm.discovery.tell(swarm.nodes)
        await swarm.lab.run(100)
        assert list(swarm.cluster.pending_engines) == [broken.address]
        assert swarm.cluster.engine_names() == ["node-2"]
        await swarm.wait(swarm.create("web"))
        assert [each.name for each in other.containers.values()] == ["web"]
        swarm.well()
        await swarm.lab.run(WELL_AGAIN)
        assert sorted(swarm.cluster.engine_names()) == ["node-1", "node-2"]
        assert swarm.view() == swarm.truth()

    in_a_swarm(story)


@pytest.mark.parametrize("fault", EVERY)
def test_what_changes_while_an_engine_fails_is_known_when_it_is_well_again(fault):
    async def story(swarm):
        broken, other = swarm.nodes
        for node in swarm.nodes:
            node.create("old-" + node.name, **SLEEP)
            node.create("bad-" + node.name, **SLEEP)
        await swarm.lab.run(1)
        before = tasks()
        break_engine(broken, fault)
        await swarm.lab.run(100)
        for node in swarm.nodes:
            node.create("new-" + node.name, **SLEEP)
            node.start("old-" + node.name)
            node.remove("bad-" + node.name)
        await swarm.lab.run(500)
        assert swarm.view()[other.name] == swarm.truth()[other.name]
        swarm.well()
        await swarm.lab.run(WELL_AGAIN)
        assert {engine.health.state for engine in swarm.cluster.engines.values()} == {State.HEALTHY}
        assert swarm.view() == swarm.truth()
        assert tasks() == before

    in_a_swarm(story)


HERE = "constraint:node==node-1"


@pytest.mark.parametrize("fault", EVERY)
def test_a_create_that_fails_is_told_and_keeps_nothing_reserved(fault):
    async def story(swarm):
        break_engine(swarm.nodes[0], fault)
        assert await swarm.refused(swarm.create("web", HERE))
        assert swarm.cluster.pending_names == set()
        assert not any(swarm.cluster.pending_containers.values())
        # Whoever asks for another place gets it.
        await swarm.wait(swarm.create("db", "constraint:node==node-2"))
        swarm.well()
        await swarm.lab.run(WELL_AGAIN)
        # An engine that obeyed, and could not say so, has the container.
        assert swarm.view() == swarm.truth()

    in_a_swarm(story)


@pytest.mark.parametrize("fault", EVERY)
def test_a_start_and_a_removal_that_get_no_answer_have_an_end(fault):
    async def story(swarm):
        web = await swarm.wait(swarm.create("web", HERE))
        db = await swarm.wait(swarm.create("db", HERE))
        break_engine(swarm.nodes[0], fault)
        before = tasks()
        orders = [
            swarm.cluster.start_container(web),
            swarm.cluster.remove_container(db, force=True, volumes=True),
        ]
        done = await swarm.wait(asyncio.gather(*orders, return_exceptions=True), 60)
        assert {type(each).__mro__[-4:] for each in done if each} <= {ClusterError.__mro__[-4:]}
        assert tasks() == before
        swarm.well()
        await swarm.lab.run(WELL_AGAIN)
        assert swarm.view() == swarm.truth()

    in_a_swarm(story)
