"""The driver: engines that discovery finds, on the lab's clock and network."""

import asyncio
import io
import ssl
from itertools import pairwise

import pytest

from walkthroughs.swarm import filters, strategies
from walkthroughs.swarm.discovery import DiscoveryError, Entries, Entry
from walkthroughs.swarm.health import EngineOptions
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.new_cluster import Cluster, create_retry, new_cluster, overcommit
from walkthroughs.swarm.scheduler import Scheduler

ONE, TWO, THREE = (f"10.0.0.{number}:2375" for number in (1, 2, 3))


class Listed:
    """A discovery backend that reports what a test tells it to."""

    def __init__(self, *addresses):
        self.reports = asyncio.Queue()
        self.report(*addresses)

    def report(self, *addresses):
        self.reports.put_nowait(Entries(map(Entry.parse, addresses)))

    def fail(self, why):
        self.reports.put_nowait(DiscoveryError(why))

    async def watch(self):
        while True:
            yield await self.reports.get()


def lab_test(test):
    """Run a test that is a coroutine function of a lab."""

    def run():
        async def inside():
            async with Lab() as lab:
                await test(lab)

        asyncio.run(inside())

    run.__name__ = test.__name__
    return run


def manage(lab, discovery, *options, kind=Cluster, tls=None, level="info"):
    """Start a manager; its log is in `cluster.world.stdout`."""
    world = lab.world("manager", io.StringIO())
    world.log.set_level(level)
    scheduler = Scheduler(strategies.new("spread", lab.random), filters.new(["health"]))
    made = new_cluster(scheduler, tls, discovery, options, EngineOptions(), world)
    if kind is not Cluster:
        made = kind(scheduler, tls, discovery, EngineOptions(), world)
    lab.start("manager", made.run())
    return made


def log_of(cluster):
    """Return the messages in a manager's log, without time and fields."""
    lines = cluster.world.stdout.getvalue().splitlines()
    return [line.partition(" ")[2] for line in lines]


def asked(lab, address):
    """Return when an engine was asked who it is."""
    exchanges = lab.network.exchanges
    return [e.time for e in exchanges if e.server == address and e.path == "/info"]


@lab_test
async def test_engines_of_a_list_are_registered(lab):
    LabEngine(lab, "node-1", ONE, id="A").plug()
    LabEngine(lab, "node-2", TWO, id="B").plug()
    cluster = manage(lab, Listed(ONE, TWO))
    await lab.run(1)
    assert list(cluster.engines) == [f"A|{ONE}", f"B|{TWO}"]
    assert cluster.pending_engines == {}
    assert cluster.engine_names() == ["node-1", "node-2"]
    assert log_of(cluster) == [
        f'level=info msg="Registered Engine node-1 at {ONE}"',
        f'level=info msg="Registered Engine node-2 at {TWO}"',
    ]


@lab_test
async def test_engines_are_removed_before_others_are_added(lab):
    seen = []

    class Watching(Cluster):
        def add_engine(self, addr):
            seen.append((addr, [engine.addr for engine in self.engines.values()]))
            return super().add_engine(addr)

    LabEngine(lab, "node-1", ONE).plug()
    listed = Listed(ONE)
    manage(lab, listed, kind=Watching)
    await lab.run(1)
    listed.report(TWO)
    await lab.run(1)
    assert seen == [(ONE, []), (TWO, [])]


@lab_test
async def test_errors_remove_nobody(lab):
    LabEngine(lab, "node-1", ONE).plug()
    listed = Listed(ONE)
    cluster = manage(lab, listed)
    await lab.run(1)
    listed.fail("connection refused")
    await lab.run(1)
    assert cluster.engine_names() == ["node-1"]
    assert log_of(cluster)[-1] == 'level=error msg="Discovery error: connection refused"'


@lab_test
async def test_an_address_that_is_listed_twice_is_one_engine(lab):
    LabEngine(lab, "node-1", ONE).plug()
    cluster = manage(lab, Listed(ONE, ONE))
    await lab.run(1)
    assert cluster.engine_names() == ["node-1"]
    assert asked(lab, ONE) == [0]


@lab_test
async def test_an_engine_that_stays_away_is_asked_less_and_less(lab):
    manage(lab, Listed(ONE))
    await lab.run(24 * 3600)
    times = asked(lab, ONE)
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses == [
        *(40, 40, 40, 50, 70, 100, 160, 290, 550, 1060, 2080, 4130, 8230),
        *(14410, 14410, 14410, 14410),
    ]


@lab_test
async def test_who_did_not_answer_is_left_alone_for_half_a_minute(lab):
    manage(lab, Listed(ONE))
    await lab.run(100)
    assert asked(lab, ONE) == [0, 40, 80]


@lab_test
async def test_an_engine_that_comes_late_is_registered_at_the_next_try(lab):
    cluster = manage(lab, Listed(ONE))
    engine = LabEngine(lab, "node-1", ONE)
    lab.at(90, engine.plug)
    await lab.run(119)
    assert cluster.engine_names() == []
    await lab.run(1)
    assert cluster.engine_names() == ["node-1"]


@lab_test
async def test_an_engine_that_is_removed_while_it_is_asked_stays_away(lab):
    engine = LabEngine(lab, "node-1", ONE).plug()
    engine.slow = 20
    listed = Listed(ONE)
    cluster = manage(lab, listed)
    await lab.run(5)
    assert list(cluster.pending_engines) == [ONE]
    listed.report()
    await lab.run(300)
    assert (cluster.engines, cluster.pending_engines) == ({}, {})
    assert log_of(cluster) == ['level=info msg="Removed Engine "']


@lab_test
async def test_a_slow_engine_is_asked_once(lab):
    engine = LabEngine(lab, "node-1", ONE).plug()
    engine.slow = 25
    cluster = manage(lab, Listed(ONE))
    await lab.run(100)
    assert asked(lab, ONE) == [0]
    engine.slow = 0
    await lab.run(200)
    assert cluster.engine_names() == ["node-1"]


@lab_test
async def test_two_engines_with_one_id_are_two_engines(lab):
    LabEngine(lab, "node-1", ONE, id="A").plug()
    LabEngine(lab, "clone", TWO, id="A").plug()
    cluster = manage(lab, Listed(ONE, TWO))
    await lab.run(1)
    assert list(cluster.engines) == [f"A|{ONE}", f"A|{TWO}"]
    duplicated = f'level=warning msg="ID duplicated. A shared by {ONE} and {TWO}"'
    assert duplicated in log_of(cluster)


@lab_test
async def test_an_engine_that_changes_its_id_is_pending_until_it_is_removed(lab):
    engine = LabEngine(lab, "node-1", ONE, id="A").plug()
    listed = Listed(ONE)
    cluster = manage(lab, listed)
    await lab.run(1)
    engine.change_id("B")
    await lab.run(400)
    info = dict(cluster.info())
    assert info["  └ Status"] == "Pending"
    assert info["  └ Error"] == (
        f"Engine (ID: A|{ONE}, Addr: {ONE}) shows up with another ID:B|{ONE}. "
        "Please remove it from cluster, it can be added back."
    )
    listed.report()
    listed.report(ONE)
    await lab.run(1)
    assert list(cluster.engines) == [f"B|{ONE}"]


@lab_test
async def test_a_swarm_manager_is_no_engine(lab):
    engine = LabEngine(lab, "node-1", ONE, cpus=0).plug()
    cluster = manage(lab, Listed(ONE), level="debug")
    await lab.run(1)
    why = (
        "cannot get resources for this engine, make sure "
        f"{ONE} is a Docker Engine, not a Swarm manager"
    )
    assert cluster.pending_engines[ONE].health.error == why
    failed = f'level=debug msg="Failed to validate pending node: {why}" Addr="{ONE}"'
    assert failed in log_of(cluster)
    engine.cpus = 4
    await lab.run(60)
    assert cluster.engine_names() == ["node-1"]


def test_nothing_is_left_behind_when_a_manager_is_stopped():
    async def start_and_stop():
        async with Lab() as lab:
            LabEngine(lab, "node-1", ONE).plug()
            LabEngine(lab, "node-2", TWO).plug().freeze()
            cluster = manage(lab, Listed(ONE, TWO, THREE))
            await lab.run(100)
            clients = [engine.api.client for engine in cluster.engines.values()]
            await lab.stop("manager")
            assert all(client.is_closed for client in clients)
            return asyncio.all_tasks()

    async def main():
        return len(await start_and_stop())

    assert asyncio.run(main()) == 1


@lab_test
async def test_events_of_engines_reach_a_handler_of_the_cluster(lab):
    engine = LabEngine(lab, "node-1", ONE).plug()
    cluster = manage(lab, Listed(ONE))
    told = []
    cluster.register_event_handler(lambda event: told.append(event.raw["Action"]))
    await lab.run(1)
    engine.create("c0", Image="busybox:latest")
    await lab.run(1)
    engine.vanish()
    await lab.run(600)
    assert told == ["engine_connect", "create", "engine_disconnect"]


@lab_test
async def test_spawn_before_run_is_refused(lab):
    scheduler = Scheduler(strategies.new("spread", lab.random), [])
    cluster = new_cluster(scheduler, None, Listed(), [], EngineOptions(), lab.world("m"))
    with pytest.raises(RuntimeError, match=r"^the cluster does not run$"):
        cluster.spawn(asyncio.sleep(0))


@lab_test
async def test_the_tls_configuration_is_that_of_all_engines(lab):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    LabEngine(lab, "node-1", ONE).plug()
    cluster = manage(lab, Listed(ONE), tls=tls)
    await lab.run(1)
    (engine,) = cluster.engines.values()
    assert str(engine.api.client.base_url) == f"https://{ONE}"


@lab_test
async def test_totals_have_what_is_promised_beyond(lab):
    LabEngine(lab, "node-1", ONE, cpus=20, memory=1000).plug()
    LabEngine(lab, "node-2", TWO, cpus=19, memory=10).plug()
    cluster = manage(lab, Listed(ONE, TWO))
    await lab.run(1)
    assert cluster.total_cpus() == 21 + 19
    assert cluster.total_memory() == 1050 + 10


@lab_test
async def test_refresh_engine_by_name(lab):
    LabEngine(lab, "node-1", ONE).plug()
    cluster = manage(lab, Listed(ONE))
    await lab.run(1)
    await cluster.refresh_engine("node-1")
    await cluster.refresh_engines()
    with pytest.raises(Exception, match=r"^no engine found with hostname node-2$"):
        await cluster.refresh_engine("node-2")


# text, what it is read as
RATIOS = [("0.05", 0.05), ("0", 0.0), ("2", 2.0), ("half", 0.0), ("", 0.0), ("1e-1", 0.1)]
BAD_RATIOS = [("-1", "-1.000000"), ("-2.5", "-2.500000"), ("nan", "nan"), ("inf", "inf")]


@pytest.mark.parametrize(("text", "ratio"), RATIOS)
def test_overcommit(text, ratio):
    assert overcommit(text, Lab().world("manager")) == ratio


@pytest.mark.parametrize(("text", "shown"), BAD_RATIOS)
def test_overcommit_of_everything_is_refused(text, shown):
    refused = f"^swarm.overcommit should be larger than -1, {shown} is invalid$"
    with pytest.raises(ValueError, match=refused):
        overcommit(text, Lab().world("manager"))


def test_less_than_there_is_is_allowed_with_a_warning():
    world = Lab().world("manager", io.StringIO())
    assert overcommit("-0.5", world) == -0.5
    assert world.stdout.getvalue() == (
        'time="2017-07-14T02:40:00Z" level=warning msg="-1 < swarm.overcommit < 0 will make '
        'swarm take less resource than docker engine offers"\n'
    )


def test_create_retry():
    assert [create_retry(text) for text in ("3", "0x10", "many", "")] == [3, 16, 0, 0]
    with pytest.raises(ValueError, match=r"^swarm.createretry can not be negative, -1 is invalid$"):
        create_retry("-1")


@lab_test
async def test_of_two_options_with_one_key_the_first_counts(lab):
    options = ["swarm.overcommit=0.5", "swarm.overcommit=0.1", "other", "swarm.createretry=2"]
    cluster = manage(lab, Listed(), *options)
    assert (cluster.overcommit, cluster.create_retry) == (0.5, 2)
