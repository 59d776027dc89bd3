"""Engines that fail in every way that one can: the manager lives, and knows the truth again."""

import asyncio
import io
from collections import Counter
from functools import cache
from random import Random

import pytest

from tests.conftest import THOROUGH
from walkthroughs.swarm import filters, strategies
from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.discovery import Entries, Entry
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


@cache
def entry(address):
    return Entry.parse(address)


class Told:
    """A discovery that a test tells who is there."""

    def __init__(self):
        self.reports = asyncio.Queue()

    def tell(self, nodes):
        self.reports.put_nowait(Entries(entry(node.address) for node in nodes))

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


HERE, THERE = "constraint:node==~node-1", "constraint:node==~node-2"
"""Wishes, not orders: a container may move away."""


@pytest.mark.parametrize("fault", EVERY)
def test_a_create_that_fails_is_told_and_keeps_nothing_reserved(fault):
    async def story(swarm):
        break_engine(swarm.nodes[0], fault)
        assert await swarm.refused(swarm.create("web", HERE))
        assert swarm.cluster.pending_names == set()
        assert not any(swarm.cluster.pending_containers.values())
        # Whoever asks for another place gets it.
        await swarm.wait(swarm.create("db", THERE))
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
        await swarm.lab.run(1)
        before = tasks()
        break_engine(swarm.nodes[0], fault)
        # Some obey, and what is answered to a removal is not looked at.
        orders = [
            swarm.cluster.start_container(web),
            swarm.cluster.remove_container(db, force=True, volumes=True),
        ]
        done = await swarm.wait(asyncio.gather(*orders, return_exceptions=True), 60)
        assert [each for each in done if each and not isinstance(each, ClusterError)] == []
        swarm.well()
        await swarm.lab.run(WELL_AGAIN)
        assert swarm.view() == swarm.truth()
        assert tasks() == before

    in_a_swarm(story)


# Who is who


def test_one_id_for_two_engines_mixes_up_nothing():
    async def story(swarm):
        first, second = swarm.nodes
        swarm.discovery.tell([])
        second.change_id(first.id)
        swarm.discovery.tell(swarm.nodes)
        await swarm.lab.run(1)
        await swarm.wait(swarm.create("web", HERE))
        await swarm.wait(swarm.create("db", THERE))
        await swarm.lab.run(1)
        assert swarm.names() == {"web": 1, "db": 1}
        assert swarm.view() == swarm.truth()
        swarm.discovery.tell([second])
        await swarm.lab.run(1)
        # The one that has left lives, but not for this cluster: what it had is here now.
        assert [each.name for each in second.containers.values()] == ["db", "web"]
        swarm.discovery.tell(swarm.nodes)
        await swarm.lab.run(WELL_AGAIN)
        assert swarm.names() == {"web": 1, "db": 1}
        assert swarm.view() == swarm.truth()

    in_a_swarm(story)


def test_who_changes_its_id_is_out_of_use_until_it_is_added_again():
    async def story(swarm):
        changed, other = swarm.nodes
        await swarm.wait(swarm.create("web", HERE))
        changed.change_id("ANOTHER")
        await swarm.lab.run(WELL_AGAIN)
        assert (swarm.state(1), swarm.state(2)) == (State.PENDING, State.HEALTHY)
        await swarm.wait(swarm.create("db"))
        assert [each.name for each in other.containers.values()] == ["db"]
        swarm.discovery.tell([other])
        await swarm.lab.run(1)
        assert swarm.names() == {"web": 2, "db": 1}
        swarm.discovery.tell(swarm.nodes)
        await swarm.lab.run(WELL_AGAIN)
        assert "ANOTHER|10.0.0.1:2375" in swarm.cluster.engines
        assert swarm.names() == {"web": 1, "db": 1}
        assert swarm.view() == swarm.truth()

    in_a_swarm(story)


@pytest.mark.parametrize("gone", [1, 2])
def test_a_daemon_under_two_addresses_loses_nothing_when_one_of_them_goes(gone):
    async def story(swarm):
        daemon, other = swarm.nodes
        await swarm.wait(swarm.create("web", HERE))
        await swarm.wait(swarm.create("db", HERE))
        alias = "10.0.0.9:2375"
        swarm.lab.network.plug(alias, daemon.app)
        both = [daemon.address, alias]
        swarm.discovery.reports.put_nowait(Entries(map(entry, [*both, other.address])))
        await swarm.lab.run(WELL_AGAIN)
        swarm.lab.network.freeze(both[gone - 1])
        await swarm.lab.run(WELL_AGAIN)
        swarm.lab.network.thaw(both[gone - 1])
        await swarm.lab.run(WELL_AGAIN)
        swarm.discovery.tell(swarm.nodes)
        await swarm.lab.run(WELL_AGAIN)
        assert swarm.names() == {"web": 1, "db": 1}
        assert swarm.view() == swarm.truth()

    in_a_swarm(story)


# What has a cause here, and was found by the storms below


class Obeys:
    """An engine that obeys one kind of order, and says half of the answer."""

    def __init__(self, node, method, part):
        self.app, self.method, self.part = node.app, method, part
        self.node, self.times = node, 1
        node.lab.network.plug(node.address, self)

    async def __call__(self, scope, receive, send):
        wanted = scope["method"] == self.method and self.part in scope["path"]
        if not wanted or not self.times:
            return await self.app(scope, receive, send)
        self.times -= 1

        async def nobody(message):
            pass

        await self.app(scope, receive, nobody)
        # Its list and its events tell nothing, until it is well again.
        self.node.fault = "garbage"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"I', "more_body": True})
        raise ConnectionResetError


def test_a_container_that_was_created_without_an_answer_is_no_twin_for_ever():
    async def story(swarm):
        first, second = swarm.nodes
        await swarm.wait(swarm.create("web", HERE))
        Obeys(second, "POST", "/containers/create")
        first.vanish()
        await swarm.lab.run(WELL_AGAIN)
        assert swarm.names() == {"web": 2}
        first.come_back()
        await swarm.lab.run(WELL_AGAIN)
        swarm.well()
        await swarm.lab.run(WELL_AGAIN)
        assert swarm.names() == {"web": 1}
        assert swarm.view() == swarm.truth()

    in_a_swarm(story)


def test_a_twin_that_was_removed_without_an_answer_does_not_cost_the_other_one():
    async def story(swarm):
        first, second = swarm.nodes
        await swarm.wait(swarm.create("web", HERE))
        first.vanish()
        await swarm.lab.run(WELL_AGAIN)
        Obeys(first, "DELETE", "/containers/")
        swarm.lab.network.plug(first.address, first.app)
        Obeys(first, "DELETE", "/containers/")
        await swarm.lab.run(WELL_AGAIN)
        assert swarm.names() == {"web": 1}
        # The other one comes anew, while the first is thought to have it still.
        swarm.discovery.tell([first])
        swarm.discovery.tell([first, second])
        await swarm.lab.run(60)
        assert swarm.names() == {"web": 1}
        swarm.well()
        await swarm.lab.run(WELL_AGAIN)
        assert swarm.names() == {"web": 1}
        assert swarm.view() == swarm.truth()

    in_a_swarm(story)


def test_a_state_whose_event_nobody_could_follow_up_is_known_at_the_next_refresh():
    async def story(swarm):
        node = swarm.nodes[0]
        await swarm.wait(swarm.create("web", HERE))
        node.fault = "500"
        node.start("web")
        node.rename("web", "shop")
        await swarm.lab.run(1)
        node.fault = None
        await swarm.lab.run(WELL_AGAIN)
        [shop] = swarm.cluster.containers()
        assert (shop.running, shop.info["Name"]) == (True, "/shop")

    in_a_swarm(story)


# Storms

MINUTE = 60.0


class Storm:
    """Engines break at random, each for a while, and containers are created meanwhile."""

    def __init__(self, swarm, seed, kinds):
        self.swarm, self.random = swarm, Random(seed)
        self.kinds = kinds
        """Seconds that a trouble may last, by its kind."""
        self.listed = dict.fromkeys(swarm.nodes)
        self.created = {}
        """Tasks, by the name of the container."""

    def trouble(self, begins, kind, node):
        match kind:
            case "leave":
                self.listed.pop(node, None)
                self.listed |= {} if begins else {node: None}
                self.swarm.discovery.tell(self.listed)
            case "vanish":
                node.vanish() if begins else node.come_back()
            case "freeze":
                node.freeze() if begins else node.thaw()
            case "slow":
                node.slow = 5.0 if begins else 0.0
            case _:
                node.fault = kind if begins else None

    def create(self, name):
        self.created[name] = asyncio.ensure_future(self.swarm.create(name))

    async def rage(self, troubles, creations, seconds):
        """Let so many things happen, and then let every engine be well."""
        lab, random = self.swarm.lab, self.random
        begin = lab.clock.now
        moments = []
        for _ in range(troubles):
            kind, node = random.choice(list(self.kinds)), random.choice(self.swarm.nodes)
            at = random.uniform(0, seconds)
            end = at + random.choice(self.kinds[kind])
            moments.append((at, self.trouble, (True, kind, node)))
            moments.append((end, self.trouble, (False, kind, node)))
        for number in range(creations):
            moments.append((random.uniform(0, seconds), self.create, (f"new-{number}",)))
        for at, act, arguments in sorted(moments, key=lambda each: each[0]):
            await lab.run(max(0.0, begin + at - lab.clock.now))
            act(*arguments)
        self.swarm.well()

    def expected(self, before):
        """Return how many there are of each name: one, of what has been created."""
        made = {name for name, task in self.created.items() if not task.exception()}
        return {**before, **dict.fromkeys(made, 1)}


def populate(swarm, count):
    """Let containers be there already, every second of which runs; return their names."""
    for number in range(count):
        labels = {
            "com.docker.swarm.id": f"{number:064x}",
            "com.docker.swarm.reschedule-policies": '["on-node-failure"]',
        }
        node = swarm.nodes[number % len(swarm.nodes)]
        node.create(f"old-{number}", **SLEEP, Labels=labels)
        if number % 2:
            node.start(f"old-{number}")
    return {f"old-{number}": 1 for number in range(count)}


def running(swarm):
    """Return the names of the containers that run."""
    every = [each for node in swarm.nodes for each in node.containers.values()]
    return sorted(each.name for each in every if each.running)


SHORT = [5, 60, 400, 3000]
KINDS = ["vanish", "freeze", "leave", "slow", "500", "garbage", "half", "empty"]
TROUBLES = dict.fromkeys(KINDS, SHORT)
OFTEN = EngineOptions(refresh_min_interval=120, refresh_max_interval=240, failure_retry=2)


@pytest.mark.parametrize("seed", range(6 if THOROUGH else 1))
def test_after_hours_of_all_faults_each_container_is_there_once_and_known(seed):
    async def story(swarm):
        await swarm.lab.run(MINUTE)
        before, ran, left = populate(swarm, 12), running(swarm), tasks()
        await swarm.lab.run(MINUTE)
        storm = Storm(swarm, seed, TROUBLES)
        await storm.rage(50, 0, 2 * HOUR)
        await swarm.lab.run(4 * HOUR)
        assert swarm.names() == before
        assert running(swarm) == ran
        assert swarm.view() == swarm.truth()
        assert not any(swarm.cluster.pending_containers.values())
        assert tasks() == left

    in_a_swarm(story, 6, OFTEN, seed)


RARELY = EngineOptions(
    refresh_min_interval=16 * HOUR, refresh_max_interval=20 * HOUR, failure_retry=1
)
FLAPS = {
    "vanish": [1, 10, 20],
    "freeze": [MINUTE, HOUR, 2 * HOUR],
    "leave": [1, MINUTE, HOUR, 6 * HOUR],
}


def test_engines_flap_for_a_day_and_the_view_is_the_truth_at_its_end():
    """A thousand of them; a quick run has a hundred."""
    share = 1 if THOROUGH else 10

    async def story(swarm):
        before, ran, left = populate(swarm, 300 // share), running(swarm), tasks()
        await swarm.lab.run(MINUTE)
        storm = Storm(swarm, 1, FLAPS)
        await storm.rage(600 // share, 30 // share, DAY)
        # By then, each has been asked for everything once more.
        await swarm.lab.run(21 * HOUR)
        assert swarm.log.getvalue().count("Rescheduled container") > 30 // share
        assert swarm.names() == storm.expected(before)
        assert running(swarm) == ran
        assert swarm.view() == swarm.truth()
        assert {engine.health.state for engine in swarm.cluster.engines.values()} == {State.HEALTHY}
        assert not any(swarm.cluster.pending_containers.values())
        assert tasks() == left

    in_a_swarm(story, 1000 // share, RARELY)
