"""Who is the primary: one at any moment, whatever happens to managers and to their store."""

import asyncio
import http.client
import inspect
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from functools import wraps
from io import StringIO
from itertools import pairwise
from random import Random
from uuid import uuid4

import pytest

from tests.conftest import THOROUGH
from tests.swarm.dockerd import Gate
from tests.swarm.little_etcd import LittleEtcd
from tests.swarm.test_etcd import Server
from tests.swarm.test_zookeeper import HOME, Keeper
from walkthroughs.swarm.etcd import open_etcd
from walkthroughs.swarm.events import EventHandlers
from walkthroughs.swarm.kv import StoreError
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.leadership import Candidate, Follower, Replication, role
from walkthroughs.swarm.replica import Replica
from walkthroughs.swarm.world import World
from walkthroughs.swarm.zookeeper import open_zookeeper

DEADLINE = 30
"""Seconds until a test gives up."""
KEY = "docker/swarm/leader"
TTL = 20
BEAT = TTL / 3
"""Seconds between two renewals."""


def in_a_lab(test):
    """Run a test with a lab and an etcd in it, or one run for each seed."""

    def run(*arguments):
        async def main():
            async with Lab() as lab:
                await test(lab, LittleEtcd(lab), *arguments)

        asyncio.run(asyncio.wait_for(main(), 20))

    run.__name__ = test.__name__
    return run


class ProcessClock:
    """The lab's clock, as a process sees it that can be frozen, and its machine suspended."""

    def __init__(self, clock):
        self.clock, self.time = clock, clock.time
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.missed = 0.0
        """Seconds that the machine's clock stood still."""

    def monotonic(self):
        return self.clock.monotonic() - self.missed

    async def sleep(self, seconds):
        until = self.monotonic() + seconds
        while (left := until - self.monotonic()) > 0 or seconds <= 0:
            await self.clock.sleep(left)
            await self.goes_on.wait()
            seconds = 1


class Cluster(EventHandlers):
    """As much of a cluster as an election needs."""

    def handlers(self):
        return len(self._handlers)


class Manager:
    """As much of a manager as an election needs, and when it was the primary."""

    def __init__(self, name, world):
        self.name, self.world = f"{name}:3376", world
        self.cluster = Cluster()
        self.terms = []
        """Begin and end of each time in which this one acted as the primary."""

    def assemble(self, store, key, ttl):
        self.candidate = Candidate(store, key, self.name, ttl)
        self.follower = Follower(store, key)
        self.replica = Replica(self.primary, None, self.name, self.world)
        self.replication = Replication(
            self.candidate,
            self.follower,
            self.primary,
            self.replica,
            self.set_handler,
            self.cluster,
            self.world,
            asyncio.create_task,
        )

    async def primary(self, scope, receive, send): ...

    def now(self):
        return self.world.clock.monotonic()

    def set_handler(self, handler):
        if handler == self.primary:
            self.terms.append([self.now(), float("inf")])
        elif self.acts:
            self.terms[-1][1] = self.now()
        else:
            assert handler is self.replica

    @property
    def acts(self):
        return bool(self.terms) and self.terms[-1][1] == float("inf")

    def said(self):
        """Return its log without times."""
        return [line.partition(" ")[2] for line in self.world.stdout.getvalue().splitlines()]


class LabManager(Manager):
    """One in a lab, with a line of its own to the store."""

    def __init__(self, lab, etcd, name):
        self.clock = ProcessClock(lab.clock)
        super().__init__(name, World(self.clock, lab.random, lab.world(name).transport, StringIO()))
        self.lab, self.etcd, self.line = lab, etcd, f"etcd.{name}:2379"
        self.plug()

    def now(self):
        return self.lab.clock.now

    def plug(self):
        self.lab.network.plug(self.line, self.etcd)

    def unplug(self):
        self.lab.network.unplug(self.line)

    def start(self):
        self.assemble(open_etcd([self.line], None, {"kv.api": "v2"}, self.world), KEY, TTL)
        self.lab.start(self.name, self.replication.run())

    async def kill(self):
        """End it like kill -9: it says nothing to anybody any more."""
        self.unplug()
        self.thaw()
        await self.lab.stop(self.name)
        self.plug()

    def freeze(self):
        self.clock.goes_on.clear()
        self.lab.network.freeze(self.line)

    def thaw(self):
        self.clock.goes_on.set()
        self.lab.network.thaw(self.line)


def managers(lab, etcd, *names):
    started = [LabManager(lab, etcd, name) for name in names]
    for manager in started:
        manager.start()
    return started


def overlap(*those):
    """Return for how many seconds more than one of them was the primary."""
    terms = sorted(term for manager in those for term in manager.terms)
    return max([0, *(min(one[1], two[1]) - two[0] for one, two in pairwise(terms))])


def info(text):
    return f'level=info msg="{text}"'


ACQUIRED = info("Leader Election: Cluster leadership acquired")
LOST = info("Leader Election: Cluster leadership lost")


def elected(name):
    return info(f"New leader elected: {name}")


# The candidate, and its terms.


class Locks:
    """A store whose lock is given at once, each time with a new event."""

    def __init__(self, told):
        self.told, self.asked = told, []

    @asynccontextmanager
    async def lock(self, *asked):
        self.asked.append(asked)
        lost = self.lost = asyncio.Event()
        self.told.append("locked")
        try:
            yield lost
        finally:
            self.told.append("released")

    async def watch(self, key):
        self.asked.append(key)
        for holder in ("", "a:1", "b:1"):
            yield holder


def term_of(told):
    @asynccontextmanager
    async def term():
        told.append("begin")
        try:
            yield
        finally:
            told.append("end")

    return term


@in_a_lab
async def test_a_candidate_runs_again_when_a_term_is_over(lab, etcd):
    told = []
    store = Locks(told)
    candidate = Candidate(store, KEY, "a:1", TTL)
    lab.start("a", candidate.run_for_election(term_of(told)))
    await lab.run(1)
    assert (told, candidate.leader) == (["locked", "begin"], True)
    told.clear()
    store.lost.set()
    await lab.run(1)
    assert told == ["end", "released", "locked", "begin"]
    assert store.asked == [(KEY, "a:1", TTL)] * 2


@in_a_lab
async def test_who_is_cancelled_ends_the_term_and_then_gives_the_lock_back(lab, etcd):
    told = []
    candidate = Candidate(Locks(told), KEY, "a:1", TTL)
    lab.start("a", candidate.run_for_election(term_of(told)))
    await lab.run(1)
    await lab.stop("a")
    assert (told, candidate.leader) == (["locked", "begin", "end", "released"], False)


@in_a_lab
async def test_the_lock_has_our_address_at_docker_swarm_leader_for_the_ttl(lab, etcd):
    managers(lab, etcd, "a")
    await lab.run(1)
    assert etcd.keys == {"docker/swarm/leader": ("a:3376", 2, TTL)}


@in_a_lab
async def test_a_leader_renews_its_lock_at_each_third_of_the_ttl(lab, etcd):
    managers(lab, etcd, "a")
    await lab.run(60)
    puts = [round(e.time, 3) for e in lab.network.exchanges if e.method == "PUT"]
    assert puts == [0, 6.667, 13.333, 20, 26.667, 33.333, 40, 46.667, 53.333, 60]


# The follower.


@in_a_lab
async def test_a_follower_hears_of_each_leader_and_of_the_end_of_the_watch(lab, etcd):
    store, heard = Locks([]), []

    async def follow():
        async with aclosing(Follower(store, KEY).follow_election()) as leaders:
            async for leader in leaders:
                heard.append(leader)

    with pytest.raises(StoreError) as caught:
        await follow()
    assert (heard, store.asked) == (["", "a:1", "b:1"], [KEY])
    closed = "Leader Election: watch leader channel closed, the store may be unavailable..."
    assert str(caught.value) == closed


# What docker info says first.


@in_a_lab
async def test_a_primary_says_so_and_a_replica_says_whose_it_is(lab, etcd):
    a, b = managers(lab, etcd, "a", "b")
    assert role(b.candidate, b.follower) == [("Role", "replica"), ("Primary", "")]
    await lab.run(1)
    assert role(a.candidate, a.follower) == [("Role", "primary")]
    assert role(b.candidate, b.follower) == [("Role", "replica"), ("Primary", "a:3376")]


# Managers.


@in_a_lab
async def test_a_manager_is_a_replica_until_it_is_elected_unlike_the_original(lab, etcd):
    # The original sets the primary's handler before it has asked anybody.
    a = LabManager(lab, etcd, "a")
    a.unplug()
    a.start()
    await lab.run(100)
    assert (a.terms, a.cluster.handlers()) == ([], 0)
    a.plug()
    await lab.run(10)
    assert (a.terms, a.cluster.handlers()) == ([[110, float("inf")]], 1)


@in_a_lab
async def test_who_is_elected_says_so_and_everybody_hears_who_it_is(lab, etcd):
    a, b = managers(lab, etcd, "a", "b")
    await lab.run(100)
    assert a.said() == [ACQUIRED, elected("a:3376")]
    assert b.said() == [elected("a:3376")]


@in_a_lab
async def test_of_two_that_start_at_the_same_instant_one_is_the_primary(lab, etcd):
    both = managers(lab, etcd, "a", "b")
    await lab.run(1000)
    assert [manager.terms for manager in both] == [[[0, float("inf")]], []]


@in_a_lab
async def test_who_resigns_is_replaced_at_once(lab, etcd):
    a, b = managers(lab, etcd, "a", "b")
    await lab.run(50)
    await lab.stop("a:3376")
    await lab.run(0)
    assert (a.terms, b.terms) == ([[0, 50]], [[50, float("inf")]])
    assert a.said()[-1] == LOST


@in_a_lab
async def test_who_is_killed_is_replaced_within_the_ttl(lab, etcd):
    a, b = managers(lab, etcd, "a", "b")
    await lab.run(50)
    await a.kill()
    await lab.run(50)
    # The last renewal was at 46.667.
    assert [[round(t, 3) for t in term] for term in b.terms] == [[66.667, float("inf")]]


@in_a_lab
async def test_who_is_cut_off_stops_before_the_next_one_begins(lab, etcd):
    a, b = managers(lab, etcd, "a", "b")
    await lab.run(50)
    a.unplug()
    await lab.run(50)
    assert a.terms[0][1] == b.terms[0][0] == pytest.approx(66.667, abs=0.001)
    assert overlap(a, b) == 0


@in_a_lab
async def test_a_store_that_is_silent_ends_the_term_as_one_that_is_gone(lab, etcd):
    a, b = managers(lab, etcd, "a", "b")
    await lab.run(50)
    lab.network.freeze(a.line)
    await lab.run(50)
    assert a.terms[0][1] == b.terms[0][0] == pytest.approx(66.667, abs=0.001)


@in_a_lab
async def test_a_renewal_that_fails_changes_nothing_unlike_upstream(lab, etcd):
    a, b = managers(lab, etcd, "a", "b")
    await lab.run(50)
    for manager in a, b:
        manager.unplug()
    await lab.run(BEAT)
    for manager in a, b:
        manager.plug()
    await lab.run(100)
    assert (a.terms, b.terms) == ([[0, float("inf")]], [])


@in_a_lab
async def test_without_a_store_nobody_is_primary_and_it_is_tried_every_ten_seconds(lab, etcd):
    a, b = managers(lab, etcd, "a", "b")
    await lab.run(50)
    for manager in a, b:
        manager.unplug()
    await lab.run(50)
    assert (a.acts, b.acts) == (False, False)
    url = "http://etcd.a:2379/v2/keys/docker/swarm/leader"
    why = "client: etcd cluster is unavailable or misconfigured;"
    refused = "connection refused"
    tries = [line for line in a.said() if "level=error" in line]
    assert tries[0] == (f'level=error msg="{why} Get \\"{url}\\": connection reset by peer"')
    assert tries[1] == f'level=error msg="{why} Get \\"{url}\\": {refused}"'
    campaigns = [line for line in tries if "; Put " in line]
    assert (
        campaigns == [f'level=error msg="{why} Put \\"{url}\\": {refused}"'] * 4
    )  # at 66.667, 76.667, 86.667, 96.667
    for manager in a, b:
        manager.plug()
    await lab.run(10)
    assert [a.acts, b.acts].count(True) == 1


@in_a_lab
async def test_a_process_that_was_frozen_hears_that_it_is_over_when_it_wakes(lab, etcd):
    a, b = managers(lab, etcd, "a", "b")
    await lab.run(50)
    a.freeze()
    await lab.run(50)
    assert b.acts
    a.thaw()
    await lab.run(0)
    assert a.terms == [[0, 100]]
    await lab.run(1)
    assert role(a.candidate, a.follower) == [("Role", "replica"), ("Primary", "b:3376")]


@in_a_lab
async def test_a_machine_that_was_suspended_takes_a_third_of_the_ttl_to_notice(lab, etcd):
    # Its clock stood still, so it is not the clock that tells.
    a, b = managers(lab, etcd, "a", "b")
    await lab.run(50)
    a.freeze()
    await lab.run(50)
    a.clock.missed = 50
    a.thaw()
    await lab.run(50)
    assert a.terms == [[0, pytest.approx(103.333, abs=0.001)]]
    assert (b.acts, a.replica.primary) == (True, "b:3376")


@in_a_lab
async def test_a_key_that_is_deleted_by_hand_makes_two_for_a_third_of_the_ttl(lab, etcd):
    a, b = managers(lab, etcd, "a", "b")
    await lab.run(50)
    etcd.delete(KEY)
    await lab.run(50)
    assert b.terms == [[50, float("inf")]]
    assert a.terms[0][1] == pytest.approx(53.333, abs=0.001)
    assert overlap(a, b) < BEAT
    assert a.said() == [ACQUIRED, elected("a:3376"), elected("b:3376"), LOST]


@in_a_lab
async def test_a_key_that_somebody_overwrites_ends_the_term(lab, etcd):
    (a,) = managers(lab, etcd, "a")
    await lab.run(50)
    etcd.set(KEY, "somebody:1", 30)
    await lab.run(20)
    assert not a.acts
    assert role(a.candidate, a.follower) == [("Role", "replica"), ("Primary", "somebody:1")]
    await lab.run(20)
    assert a.terms[1] == [80, float("inf")]


@in_a_lab
async def test_twenty_candidates_die_one_after_the_other_and_each_is_replaced(lab, etcd):
    everybody = managers(lab, etcd, *range(20))
    for left in range(20, 0, -1):
        await lab.run(TTL + 1)
        acting = [manager for manager in everybody if manager.acts]
        assert len(acting) == 1, f"{left} are left"
        await acting[0].kill()
    await lab.run(TTL)
    assert [len(manager.terms) for manager in everybody] == [1] * 20
    assert overlap(*everybody) == 0
    assert etcd.value(KEY) == ""


@in_a_lab
async def test_a_manager_that_starts_anew_does_not_act_on_what_its_former_self_left(lab, etcd):
    # The original's answers as the primary: the address at the key is its own.
    (a,) = managers(lab, etcd, "a")
    await lab.run(50)
    await a.kill()
    a.start()
    await lab.run(5)
    assert role(a.candidate, a.follower) == [("Role", "replica"), ("Primary", "")]
    assert (a.acts, a.replica.primary) == (False, "")
    await lab.run(12)
    assert (a.acts, a.replica.primary) == (True, "a:3376")


@in_a_lab
async def test_a_replica_asks_the_primary_and_waits_while_there_is_none(lab, etcd):
    # The original goes on asking the one that is gone.
    a, b = managers(lab, etcd, "a", "b")
    assert (a.replica.primary, b.replica.primary) == ("", "")
    await lab.run(1)
    assert (a.replica.primary, b.replica.primary) == ("a:3376", "a:3376")
    b.unplug()
    await lab.run(1)
    assert b.replica.primary == "a:3376"
    await a.kill()
    await lab.run(5)
    b.plug()
    etcd.delete(KEY)
    etcd.set(KEY, "c:3376", 100)
    await lab.run(10)
    assert (a.replica.primary, b.replica.primary) == ("", "c:3376")
    etcd.delete(KEY)
    b.unplug()
    await lab.run(0)
    assert b.replica.primary == "c:3376"


@in_a_lab
async def test_who_has_lost_turns_to_the_one_that_it_has_heard_of(lab, etcd):
    a, _ = managers(lab, etcd, "a", "b")
    await lab.run(50)
    etcd.delete(KEY)
    await lab.run(1)
    assert (a.acts, a.replica.primary) == (True, "a:3376")
    await lab.run(5)
    assert (a.acts, a.replica.primary) == (False, "b:3376")


@in_a_lab
async def test_the_watchdog_is_there_for_a_term_and_its_work_ends_with_it(lab, etcd):
    (a,) = managers(lab, etcd, "a")
    await lab.run(1)
    assert a.cluster.handlers() == 1
    (handle,) = a.cluster._handlers
    watchdog = handle.__self__
    work = watchdog.spawn(asyncio.Event().wait())
    a.unplug()
    await lab.run(30)
    assert (a.cluster.handlers(), work.cancelled()) == (0, True)
    a.plug()
    await lab.run(30)
    assert a.cluster.handlers() == 1
    assert a.cluster._handlers != [handle]


@pytest.mark.parametrize("seed", range(20 if THOROUGH else 4))
def test_whatever_happens_there_are_never_two_primaries(seed):
    @in_a_lab
    async def play(lab, etcd):
        chance, everybody = Random(seed), managers(lab, etcd, *"abcde")
        for _ in range(60):
            manager = chance.choice(everybody)
            if manager.name not in lab.tasks:
                manager.thaw()
                manager.start()
            elif chance.random() < 0.2:
                await manager.kill()
            else:
                chance.choice([manager.plug, manager.unplug, manager.freeze, manager.thaw])()
            await lab.run(chance.choice([0, 0.5, 3, BEAT, TTL / 2, TTL]))
            # A frozen one does nothing, whatever it believes.
            acting = [m for m in everybody if m.acts and m.clock.goes_on.is_set()]
            assert len(acting) <= 1
        for manager in everybody:
            manager.plug()
            manager.thaw()
            if manager.name not in lab.tasks:
                manager.start()
        await lab.run(100)
        assert [manager.acts for manager in everybody].count(True) == 1

    play()


# Over real stores.

SHORT = 2
"""Seconds of a TTL; the ZooKeeper of the tests has sessions of one and a half at most."""
SLACK = 2
"""Seconds that a store may take beyond it to notice."""


@pytest.fixture(scope="module")
def etcd_server(require, tmp_path_factory):
    server = Server(require("etcd"), tmp_path_factory.mktemp("etcd"), "--enable-v2=true")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def keeper(require, tmp_path_factory):
    java = require("java")
    if not (HOME / "zookeeper.jar").exists():
        require("ZooKeeper, Debian's package zookeeper,")
    keeper = Keeper(java, tmp_path_factory.mktemp("zookeeper"))
    yield keeper
    keeper.kill()


@pytest.fixture(params=["v2", "v3", "zookeeper"])
def store(request):
    """Return the address of a store, its scheme, and the options for it."""
    if request.param == "zookeeper":
        return request.getfixturevalue("keeper").address, "zk", {}
    return request.getfixturevalue("etcd_server").address, "etcd", {"kv.api": request.param}


def real_manager(name, address, scheme, options, key):
    manager = Manager(name, World(stdout=StringIO()))
    opened = open_zookeeper if scheme == "zk" else open_etcd
    manager.assemble(opened([address], None, options, manager.world), key, SHORT)
    return manager


@asynccontextmanager
async def running(manager):
    task = asyncio.create_task(manager.replication.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(holds):
    """Wait for a condition; return how long it took."""
    begin = time.monotonic()
    while not holds():
        assert time.monotonic() - begin < DEADLINE
        await asyncio.sleep(0.01)
    return time.monotonic() - begin


def over_real_stores(test):
    """Run a test over etcd, in both its languages, and over ZooKeeper."""

    @wraps(test)
    def run(store, **arguments):
        key = f"{uuid4().hex}/leader"
        asyncio.run(asyncio.wait_for(test(store, key, **arguments), DEADLINE))

    signature = inspect.signature(test)
    kept = [each for name, each in signature.parameters.items() if name != "key"]
    run.__signature__ = signature.replace(parameters=kept)
    return run


async def elect(a, b):
    """Wait until the first is the primary and the second its replica."""
    await until(lambda: a.acts)
    await until(lambda: b.replica.primary == a.name)


@over_real_stores
async def test_over_a_real_store_who_resigns_is_replaced_at_once(store, key):
    a, b = (real_manager(name, *store, key) for name in "ab")
    async with running(a) as first:
        await until(lambda: a.acts)
        async with running(b):
            await elect(a, b)
            first.cancel()
            assert await until(lambda: b.acts) < 1.3
            await until(lambda: role(b.candidate, b.follower) == [("Role", "primary")])
    assert overlap(a, b) == 0
    # Which of its two connections tells a manager first that it is elected is chance.
    assert (set(a.said()[:2]), a.said()[2:]) == ({ACQUIRED, elected("a:3376")}, [LOST])
    heard, *said, last = b.said()
    assert (heard, set(said), last) == (
        elected("a:3376"),
        {ACQUIRED, elected("b:3376")},
        LOST,
    )


@pytest.mark.parametrize(
    ("store", "trouble"),
    [("v2", "cut"), ("v3", "freeze"), ("zookeeper", "cut"), ("zookeeper", "freeze")],
    indirect=["store"],
)
@over_real_stores
async def test_over_a_real_store_who_is_cut_off_is_replaced_within_the_ttl(store, key, trouble):
    address, *others = store
    with closing(Gate(address)) as gate:
        a, b = real_manager("a", gate.address, *others, key), real_manager("b", *store, key)
        async with running(a):
            await until(lambda: a.acts)
            async with running(b):
                await elect(a, b)
                getattr(gate, trouble)()
                assert await until(lambda: b.acts) < SHORT + SLACK
                assert not a.acts
    assert overlap(a, b) == 0


class Watcher(threading.Thread):
    """A client that asks one manager all the time, and notes the answers."""

    def __init__(self, port):
        super().__init__()
        self.port, self.stopped, self.answers = port, threading.Event(), []

    def run(self):
        while not self.stopped.wait(0.01):
            self.answers.append(asked(self.port, "/version"))


def asked(port, path):
    """Return the status and the text of an answer; 0 if there was none."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        line.request("GET", path)
        answer = line.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        line.close()


def role_of(port):
    """Return what `docker info` says of a manager."""
    status, text = asked(port, "/info")
    if status != 200:
        return {}
    return dict(json.loads(text)["SystemStatus"])


def wait_for(holds):
    begin = time.monotonic()
    while not holds():
        assert time.monotonic() - begin < DEADLINE
        time.sleep(0.02)
    return time.monotonic() - begin


@contextmanager
def managing(commands, store, prefix, program=None):
    """Run a manager as a process, one of several, ours or another; give it and its port."""
    address, scheme, options = store
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    here = f"127.0.0.1:{port}"
    line = ["--replication", "--replication-ttl", f"{SHORT}s", "--advertise", here, "-H", here]
    more = [
        word for name, value in options.items() for word in ("--discovery-opt", f"{name}={value}")
    ]
    given = ["manage", *line, *more, f"{scheme}://{address}/{prefix}"]
    command = [program, *given] if program else commands.line(given)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process, port
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("store", "trouble"),
    [("v2", signal.SIGKILL), ("v2", signal.SIGSTOP), ("zookeeper", signal.SIGKILL)],
    indirect=["store"],
)
def test_a_manager_that_is_killed_or_stopped_is_replaced_and_no_client_is_told_wrong(
    store, commands, trouble
):
    prefix = uuid4().hex
    with managing(commands, store, prefix) as (first, one):
        wait_for(lambda: role_of(one).get("Role") == "primary")
        with managing(commands, store, prefix) as (_, two):
            wait_for(lambda: role_of(two).get("Primary") == f"127.0.0.1:{one}")
            client = Watcher(two)
            client.start()
            wait_for(lambda: len(client.answers) > 5)
            first.send_signal(trouble)
            took = wait_for(lambda: role_of(two).get("Role") == "primary")
            first.send_signal(signal.SIGCONT)
            asked_before = len(client.answers)
            wait_for(lambda: len(client.answers) > asked_before + 5)
            if trouble == signal.SIGSTOP:
                wait_for(lambda: role_of(one).get("Role") == "replica")
            client.stopped.set()
            client.join()
    assert took < SHORT + SLACK
    statuses = [status for status, _ in client.answers]
    assert set(statuses) <= {200, 500}
    assert statuses[:5] + statuses[-5:] == [200] * 10
    away = r"Unable to reach primary cluster manager \(.*\): 127\.0\.0\.1:" + str(one)
    for text in {text.strip() for status, text in client.answers if status == 500}:
        assert re.fullmatch(away, text)


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize("store", ["v2", "zookeeper"], indirect=True)
def test_an_original_manager_and_ours_are_each_other_s_replicas(store, commands, ours_first):
    if not (program := os.environ.get("REF_SWARM")):
        pytest.skip("REF_SWARM names no binary of the original")
    prefix, programs = uuid4().hex, [None, program] if ours_first else [program, None]
    with managing(commands, store, prefix, programs[0]) as (first, one):
        wait_for(lambda: role_of(one).get("Role") == "primary")
        with managing(commands, store, prefix, programs[1]) as (_, two):
            wait_for(lambda: role_of(two).get("Primary") == f"127.0.0.1:{one}")
            assert asked(one, "/containers/json") == asked(two, "/containers/json") == (200, "[]\n")
            first.kill()
            wait_for(lambda: role_of(two).get("Role") == "primary")
            assert asked(two, "/containers/json") == (200, "[]\n")
