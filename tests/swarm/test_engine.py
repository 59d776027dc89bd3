"""What becomes of an engine: the cases of the original's engine_test.go, and worse ones."""

import asyncio
import io
import json
import re
from contextlib import aclosing
from itertools import pairwise

import pytest

from walkthroughs.swarm import orders
from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.engine_api import CLOSED, ConnectionFailed, EngineError
from walkthroughs.swarm.health import EngineOptions, State
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.world import World

ADDR = "10.0.0.1:2375"
NOBODY = f"Cannot connect to the Docker daemon at tcp://{ADDR}. Is the docker daemon running?"
STEADY = EngineOptions(refresh_min_interval=30, refresh_max_interval=30)
"""Chance would have it otherwise each time."""

CONNECT = ["/info", "/version", "/containers/json", "/images/json", "/volumes", "/networks"]
REFRESH = ["/containers/json", "/images/json", "/volumes", "/networks"]
PATIENCE = 31
"""Seconds in which any question has been answered, or given up."""


class Managed:
    """An engine of the lab, and what a manager makes of it."""

    def __init__(self, lab, options=STEADY, **real):
        self.lab, self.log = lab, io.StringIO()
        self.real = LabEngine(lab, "node-1", ADDR, id="AAAA", **real).plug()
        self.tasks = []
        world = lab.world("manager", self.log)
        self.engine = Engine(ADDR, 0.05, options, world, None, self.spawn)
        self.engine.event_handler = self.note
        self.told = []

    def spawn(self, work):
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    def note(self, event):
        if event.origin == "swarm":
            self.told.append((self.lab.clock.now, event.status))

    async def connect(self):
        """Connect; return the error, if there is one."""
        connecting = asyncio.ensure_future(self.engine.connect())
        await self.lab.run(PATIENCE)
        return connecting.exception()

    async def begin(self):
        """Connect at second 0, and be healthy."""
        connecting = asyncio.ensure_future(self.engine.connect())
        await self.lab.run(0)
        connecting.result()
        self.engine.validation_complete()

    def asked(self, since=0.0):
        """Return the times and paths of what the engine was asked, without versions."""
        said = self.lab.network.exchanges
        return [
            (each.time, re.sub(r"^/v1\.\d+", "", each.path)) for each in said if each.time >= since
        ]

    def messages(self):
        found = re.findall(r'msg=("(?:\\.|[^"])*"|\S+)', self.log.getvalue())
        return [json.loads(each) if each[0] == '"' else each for each in found]

    def left(self):
        """Return what is still there of it: tasks that run, and calls under way."""
        calls = self.lab.network.calls.get(ADDR, set())
        return [task for task in self.tasks if not task.done()], set(calls), self.engine.api


GONE = ([], set(), None)


def in_a_lab(story, **given):
    """Run an async function of a managed engine."""

    async def run():
        async with Lab() as lab:
            managed = Managed(lab, **given)
            try:
                await story(managed)
            finally:
                await managed.engine.disconnect()
            assert managed.left() == GONE

    asyncio.run(run())


class Broken:
    """An engine that answers one path in a way of its own, and else as it should."""

    def __init__(self, managed, path, answer):
        self.app, self.path, self.answer = managed.real.app, path, answer
        self.clock = managed.lab.clock
        managed.real.vanish()
        managed.lab.network.plug(ADDR, self)

    async def __call__(self, scope, receive, send):
        if not re.fullmatch(rf"(/v1\.\d+)?{self.path}", scope["path"]):
            return await self.app(scope, receive, send)
        if self.answer == "nothing":
            await self.clock.sleep(10**6)
        status, body = self.answer
        await send({"type": "http.response.start", "status": status, "headers": []})
        if body.endswith(b"..."):
            await send({"type": "http.response.body", "body": body[:-3], "more_body": True})
            raise ConnectionResetError
        return await send({"type": "http.response.body", "body": body})


# Connect and disconnect


def test_a_new_engine_is_pending_and_knows_its_address_only():
    async def story(managed):
        engine = managed.engine
        assert engine.health.state is State.PENDING
        assert (engine.addr, engine.id, engine.name, engine.ip) == (ADDR, "", "", "")
        assert not engine.is_healthy()

    in_a_lab(story)


def test_connect_asks_what_the_machine_is_and_what_is_on_it():
    async def story(managed):
        await managed.begin()
        paths = [path for _, path in managed.asked()]
        assert paths == [*CONNECT, "/events"]
        assert managed.told == [(0.0, "engine_connect")]

    in_a_lab(story)


def test_engine_specs():
    async def story(managed):
        await managed.begin()
        engine = managed.engine
        assert (engine.id, engine.name, engine.ip) == (f"AAAA|{ADDR}", "node-1", "10.0.0.1")
        assert (engine.cpus, engine.memory, engine.version) == (2, 1 << 30, "20.10.24")
        assert engine.labels == {
            "storagedriver": "overlay2",
            "kernelversion": "5.10.0-28-amd64",
            "operatingsystem": "Debian GNU/Linux 11 (bullseye)",
            "ostype": "linux",
            "foo": "bar",
        }

    in_a_lab(story, cpus=2, memory=1 << 30, labels=["foo=bar", "node=node1"])


def test_engine_cpus_and_memory_are_promised_with_five_percent():
    async def story(managed):
        await managed.begin()
        engine = managed.engine
        assert (engine.total_cpus, engine.total_memory) == (21, 1050)
        assert (engine.inventory.used_cpus, engine.inventory.used_memory) == (0, 0)

    in_a_lab(story, cpus=20, memory=1000)


def test_the_version_is_agreed_on_after_it_is_known():
    async def story(managed):
        await managed.begin()
        paths = [each.path for each in managed.lab.network.exchanges]
        assert paths[:3] == ["/info", "/version", "/v1.31/containers/json"]

    in_a_lab(story)


def test_an_engine_is_healthy_when_it_is_validated_and_not_before():
    async def story(managed):
        assert await managed.connect() is None
        assert managed.engine.health.state is State.PENDING
        managed.engine.validation_complete()
        assert managed.engine.is_healthy()

    in_a_lab(story)


def test_an_engine_is_validated_once():
    async def story(managed):
        await managed.begin()
        managed.engine.health.state = State.UNHEALTHY
        tasks = len(managed.tasks)
        managed.engine.validation_complete()
        assert managed.engine.health.state is State.UNHEALTHY
        assert len(managed.tasks) == tasks

    in_a_lab(story)


def test_disconnect():
    async def story(managed):
        await managed.begin()
        await managed.lab.run(5)
        await managed.engine.disconnect()
        assert managed.left() == GONE
        assert managed.engine.health.state is State.DISCONNECTED
        await managed.engine.disconnect()
        assert managed.told[1:] == [(5.0, "engine_disconnect")]

    in_a_lab(story)


def test_a_disconnected_engine_no_longer_exists():
    async def story(managed):
        await managed.begin()
        await managed.engine.disconnect()
        for work in (
            managed.engine.look("/info"),
            managed.engine.follow("/build", {}, print),
            managed.engine.events.follow(),
        ):
            with pytest.raises(EngineError, match=f"^{CLOSED}$"):
                await work

    in_a_lab(story)


@pytest.mark.parametrize("path", [*CONNECT, "/containers/.*/json"])
def test_a_disconnect_in_the_middle_of_a_connect_leaves_nothing(path):
    async def story(managed):
        managed.real.create("one", Image="busybox", Cmd=["sh"])
        Broken(managed, path, "nothing")
        managed.engine.spawn(managed.engine.connect())
        await managed.lab.run(1)
        await managed.engine.disconnect()
        assert managed.left() == GONE

    in_a_lab(story)


def test_a_cancelled_owner_leaves_nothing_after_close():
    async def run():
        async with Lab() as lab:
            LabEngine(lab, "node-1", ADDR).plug()
            engines = []

            async def own():
                async with asyncio.TaskGroup() as group:
                    world = lab.world("manager")
                    engine = Engine(ADDR, 0.05, STEADY, world, None, group.create_task)
                    engines.append(engine)
                    await engine.connect()
                    engine.validation_complete()

            lab.start("owner", own())
            await lab.run(100)
            await lab.stop("owner")
            await engines[0].close()
            await lab.run(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert lab.network.calls[ADDR] == set()

    asyncio.run(run())


# Engines that are none


def test_engine_connection_failure():
    async def story(managed):
        managed.real.vanish()
        error = await managed.connect()
        assert type(error) is ConnectionFailed
        assert str(error) == NOBODY
        assert managed.engine.health.failures == 1
        assert managed.engine.health.error == NOBODY
        assert managed.told == []
        assert managed.left() == GONE

    in_a_lab(story)


def test_outdated_engine():
    async def story(managed):
        error = await managed.connect()
        assert str(error) == (
            f"cannot get resources for this engine, make sure {ADDR} is a Docker Engine, "
            "not a Swarm manager"
        )
        assert managed.engine.health.error == str(error)
        assert managed.left() == GONE

    in_a_lab(story, cpus=0)


def test_a_label_that_is_none_keeps_an_engine_out():
    async def story(managed):
        error = await managed.connect()
        assert str(error) == (
            f"Engine (ID: AAAA|{ADDR}, Addr: {ADDR}) contains an invalid label (ssd) "
            'not formatted as "key=value".'
        )
        assert managed.left() == GONE

    in_a_lab(story, labels=["ssd"])


def test_an_address_without_a_port_is_noted_as_the_reason():
    async def run():
        async with Lab() as lab:
            world = lab.world("manager")
            engine = Engine("node-1", 0, STEADY, world, None, asyncio.create_task)
            with pytest.raises(ConnectionFailed):
                await engine.connect()
            assert engine.health.error == "node-1: address node-1: missing port in address"

    asyncio.run(run())


ANSWERS = {
    "refused": (500, b'{"message": "no such luck"}'),
    "garbage": (200, b"\x00\xff no JSON"),
    "half": (200, b'{"ID": "A...'),
    "empty": (200, b""),
    "shape": (200, b'{"Labels": 7, "Volumes": [{}], "Id": null, "NCPU": "x", "MemTotal": 1}'),
    "null": (200, b"null"),
    "list": (200, b"[7]"),
    "nothing": "nothing",
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("path", CONNECT[:4])
def test_what_must_be_known_and_cannot_be_keeps_an_engine_pending(path, answer):
    # An empty list is what Go says null for.
    fine = answer == "null" and path in REFRESH

    async def story(managed):
        Broken(managed, path, ANSWERS[answer])
        error = await managed.connect()
        if fine:
            assert error is None
            return
        assert isinstance(error, EngineError)
        assert managed.engine.health.state is State.PENDING
        assert managed.engine.health.error == str(error).strip()
        assert managed.left() == GONE
        managed.real.come_back()
        assert await managed.connect() is None
        assert managed.engine.health.error == ""

    in_a_lab(story)


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("path", ["/volumes", "/networks", "/containers/.*/json", "/events"])
def test_what_an_engine_may_lack_does_not_keep_it_out(path, answer):
    async def story(managed):
        managed.real.create("one", Image="busybox", Cmd=["sh"])
        Broken(managed, path, ANSWERS[answer])
        assert await managed.connect() is None
        managed.engine.validation_complete()
        assert managed.engine.is_healthy()
        known = managed.engine.inventory
        assert len(known.images) == 1
        assert len(known.networks) == (0 if path == "/networks" else 3)
        assert len(known.containers) == (0 if "containers" in path else 1)

    in_a_lab(story)


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("path", [*REFRESH, "/info", "/version", "/containers/.*/json"])
def test_the_refresh_loop_outlives_any_answer(path, answer):
    async def story(managed):
        await managed.begin()
        Broken(managed, path, ANSWERS[answer])
        await managed.lab.run(1000)
        managed.real.come_back()
        managed.real.create("one", Image="busybox", Cmd=["sh"])
        await managed.lab.run(200)
        assert managed.engine.is_healthy()
        assert [each.names for each in managed.engine.inventory.containers.values()] == [["/one"]]

    in_a_lab(story)


@pytest.mark.parametrize("path", ["/images/json", "/volumes", "/networks"])
def test_a_refresh_that_fails_in_one_thing_goes_on_with_the_others(path):
    async def story(managed):
        await managed.begin()
        Broken(managed, path, ANSWERS["refused"])
        await managed.lab.run(30)
        assert [each for _, each in managed.asked(30)] == REFRESH

    in_a_lab(story)


# Health


def connection_failed():
    return ConnectionFailed(NOBODY)


def test_check_connection_error():
    async def story(managed):
        await managed.begin()
        engine, health = managed.engine, managed.engine.health
        engine.check_connection_error(connection_failed())
        assert (health.failures, health.error) == (1, NOBODY)
        engine.check_connection_error(connection_failed())
        assert health.failures == 2
        engine.check_connection_error(None)
        assert (health.failures, health.error) == (0, "")
        # What an engine says against a request is no sign of illness.
        engine.check_connection_error(EngineError("random error"))
        assert (health.failures, health.error) == (0, "")

    in_a_lab(story)


def test_engine_failure_count():
    async def story(managed):
        await managed.begin()
        for _ in range(3):
            assert managed.engine.is_healthy()
            managed.engine.check_connection_error(connection_failed())
        assert managed.engine.health.state is State.UNHEALTHY
        assert managed.told[1:] == [(0.0, "engine_disconnect")]
        assert managed.messages() == ["Flagging engine as unhealthy. Connect failed 3 times"]

    in_a_lab(story)


def test_failures_are_counted_over_all_calls():
    async def story(managed):
        await managed.begin()
        container = managed.real.create("one", Image="busybox", Cmd=["sh"])
        await managed.lab.run(1)
        managed.real.vanish()
        known = managed.engine.inventory.containers[container.id]
        for work in (
            orders.start_container(known),
            managed.engine.look("/info"),
            orders.pull(managed.engine, "busybox", {}, print),
        ):
            with pytest.raises(ConnectionFailed):
                await work
        assert managed.engine.health.state is State.UNHEALTHY

    in_a_lab(story)


def test_a_long_request_that_ends_well_is_a_success():
    async def story(managed):
        await managed.begin()
        managed.engine.health.failures = 2
        lines = []
        await managed.engine.follow("/images/load", {}, lines.append)
        assert managed.engine.health.failures == 0

    in_a_lab(story)


def test_an_engine_that_is_lost_is_not_lost_again():
    async def story(managed):
        await managed.begin()
        for _ in range(7):
            managed.engine.check_connection_error(connection_failed())
        assert [what for _, what in managed.told] == ["engine_connect", "engine_disconnect"]
        assert managed.engine.health.failures == 7

    in_a_lab(story)


def test_any_success_brings_an_engine_back():
    async def story(managed):
        await managed.begin()
        for _ in range(5):
            managed.engine.check_connection_error(connection_failed())
        await managed.lab.run(2)
        await orders.create_volume(managed.engine, {"Name": "data"})
        assert managed.engine.is_healthy()
        assert managed.told[2:] == [(2.0, "engine_reconnect")]
        assert managed.messages()[-1] == "Engine came back to life after 5 retries. Hooray!"

    in_a_lab(story)


def test_a_change_of_health_is_a_change_of_the_inventory():
    async def story(managed):
        await managed.begin()
        revisions = [managed.engine.inventory.revision]
        for error in (connection_failed(), connection_failed(), None, None):
            managed.engine.check_connection_error(error)
            revisions.append(managed.engine.inventory.revision)
        first = revisions[0]
        # To have the same health again and again is no news.
        assert revisions == [first, first + 1, first + 2, first + 3, first + 3]

    in_a_lab(story)


# The refresh loop


def test_an_idle_engine_is_asked_after_a_wait_between_the_two_intervals():
    async def story(managed):
        await managed.begin()
        await managed.lab.run(3600)
        times = [time for time, path in managed.asked() if path == "/containers/json"]
        waits = [late - early for early, late in pairwise(times)]
        assert 30 <= min(waits) < 33
        assert 57 < max(waits) < 60

    in_a_lab(story, options=EngineOptions())


def test_a_refresh_asks_for_containers_images_volumes_and_networks():
    async def story(managed):
        await managed.begin()
        await managed.lab.run(30)
        assert managed.asked(1) == [(30.0, path) for path in REFRESH]

    in_a_lab(story)


def test_a_healthy_engine_is_asked_for_its_specs_after_five_minutes():
    async def story(managed):
        await managed.begin()
        managed.real.labels.append("zone=a")
        await managed.lab.run(329)
        assert "zone" not in managed.engine.labels
        await managed.lab.run(1)
        assert managed.engine.labels["zone"] == "a"
        await managed.lab.run(700)
        asked = [time for time, path in managed.asked() if path == "/info"]
        assert asked == [0.0, 330.0, 660.0, 990.0]

    in_a_lab(story)


def test_an_idle_engine_is_found_dead_at_the_third_refresh():
    async def story(managed):
        await managed.begin()
        managed.real.vanish()
        await managed.lab.run(89)
        assert managed.engine.is_healthy()
        await managed.lab.run(1)
        assert managed.told[1:] == [(90.0, "engine_disconnect")]

    in_a_lab(story)


def test_an_engine_whose_cable_is_pulled_takes_half_a_minute_more_each_time():
    async def story(managed):
        await managed.begin()
        managed.real.freeze()
        await managed.lab.run(300)
        assert managed.told[1:] == [(180.0, "engine_disconnect")]
        assert managed.engine.health.error == NOBODY

    in_a_lab(story)


def test_an_engine_that_is_away_is_asked_less_and_less_often_for_its_specs():
    async def story(managed):
        await managed.begin()
        managed.real.vanish()
        await managed.lab.run(1000)
        asked = [time for time, path in managed.asked(1) if path in ("/info", "/containers/json")]
        # Three failures and a wait of 30 s, then one failure and 30 s more each time.
        assert asked == [30.0, 60.0, 90.0, 120.0, 180.0, 270.0, 390.0, 540.0, 720.0, 930.0]
        last = managed.messages()[-1]
        assert f"Update engine specs failed: {NOBODY}" in managed.messages()
        assert last == "error monitoring events, will restart"

    in_a_lab(story)


def test_refresh_loop():
    async def story(managed):
        await managed.begin()
        managed.engine.health.failures = 900
        managed.engine.health.state = State.UNHEALTHY
        await managed.lab.run(31)
        # The next look is at 30 * 898 seconds, but for this.
        managed.engine.health.failures = 900
        managed.engine.health.state = State.UNHEALTHY
        await managed.lab.run(1)
        managed.engine.check_connection_error(None)
        await managed.lab.run(0)
        assert [path for time, path in managed.asked(32)] == REFRESH

    in_a_lab(story)


def test_an_engine_that_comes_back_is_refreshed_at_once():
    async def story(managed):
        await managed.begin()
        managed.real.vanish()
        await managed.lab.run(10_000)
        managed.real.create("one", Image="busybox", Cmd=["sh"])
        managed.real.events.clear()
        managed.real.come_back()
        # Some event, not the next look, is what tells.
        await managed.lab.run(12)
        managed.real.emit("image", "pull", "busybox")
        await managed.lab.run(0)
        assert managed.engine.is_healthy()
        assert [each.names for each in managed.engine.inventory.containers.values()] == [["/one"]]

    in_a_lab(story)


# Another machine at the same address


def test_an_engine_that_shows_up_with_another_id_is_pending():
    async def story(managed):
        await managed.begin()
        managed.real.change_id("BBBB")
        await managed.lab.run(330)
        message = (
            f"Engine (ID: AAAA|{ADDR}, Addr: {ADDR}) shows up with another ID:BBBB|{ADDR}. "
            "Please remove it from cluster, it can be added back."
        )
        assert managed.engine.health.state is State.PENDING
        assert managed.engine.health.error == message
        assert managed.engine.id == f"AAAA|{ADDR}"
        assert managed.messages() == [f"Update engine specs failed: {message}"]

    in_a_lab(story)


def test_two_daemons_with_one_id_are_two_engines():
    async def run():
        async with Lab() as lab:
            ids = []
            for addr in (ADDR, "10.0.0.2:2375"):
                LabEngine(lab, "node", addr, id="AAAA").plug()
                world = lab.world("manager")
                engine = Engine(addr, 0, STEADY, world, None, asyncio.create_task)
                await engine.connect()
                ids.append(engine.id)
                await engine.disconnect()
            assert ids == [f"AAAA|{ADDR}", "AAAA|10.0.0.2:2375"]

    asyncio.run(run())


# Clocks


@pytest.mark.parametrize(("offset", "delta"), [(1.9, 0), (-1.9, 0), (2.5, -2.5), (-60, 60)])
def test_a_clock_that_is_more_than_two_seconds_off_is_noted(offset, delta):
    async def story(managed):
        await managed.begin()
        warning = (
            f"Engine (ID: AAAA|{ADDR}, Addr: {ADDR}) has unsynchronized systime with swarm, "
            "please synchronize it."
        )
        assert managed.engine.delta == pytest.approx(delta, abs=1e-3)
        assert managed.messages() == ([warning] if delta else [])

    in_a_lab(story, clock_offset=offset)


def test_times_of_containers_are_shifted_to_our_clock():
    async def story(managed):
        managed.real.create("one", Image="busybox", Cmd=["sh"])
        managed.real.start("one")
        await managed.begin()
        [container] = managed.engine.inventory.containers.values()
        assert container.raw["Created"] == 1_500_000_000
        assert container.info["State"]["StartedAt"] == "2017-07-14T02:40:00Z"
        assert container.info["State"]["FinishedAt"] == "0001-01-01T00:00:00Z"

    in_a_lab(story, clock_offset=-3600)


# Real engines


async def until(condition, deadline=20):
    """Wait for something that a real engine does in its own time."""
    async with asyncio.timeout(deadline):
        while not condition():
            await asyncio.sleep(0.02)


def with_a_real_engine(docker, story):
    """Run an async function of an engine, which is healthy, and what happens to it."""
    told = []

    async def run():
        options = EngineOptions(refresh_min_interval=0.2, refresh_max_interval=0.4)
        world = World(stdout=io.StringIO())
        engine = Engine(docker.address, 0.05, options, world, None, asyncio.create_task)
        engine.event_handler = lambda event: told.append(event.status)
        await engine.connect()
        engine.validation_complete()
        try:
            await story(engine, told)
        finally:
            await engine.disconnect()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


def test_a_real_engine_is_read(engines):
    async def story(engine, told):
        assert engine.is_healthy()
        assert engine.name == "node-1"
        assert engine.ip == "127.0.0.1"
        assert engine.labels["storage"] == "ssd"
        assert engine.labels["storagedriver"] == "vfs"
        assert engine.delta == 0
        assert sorted(net.name for net in engine.inventory.networks.values()) == ["host", "none"]
        assert [each.tags for each in engine.inventory.images] == [["busybox:latest"]]
        assert told == ["engine_connect"]

    with_a_real_engine(engines[0], story)


def test_a_real_engine_is_lost_and_comes_back(engines):
    async def story(engine, told):
        engines[0].gate.cut()
        await until(lambda: not engine.is_healthy())
        assert engine.health.error == (
            f"Cannot connect to the Docker daemon at tcp://{engines[0].address}. "
            "Is the docker daemon running?"
        )
        engines[0].gate.mend()
        await until(engine.is_healthy)
        assert told == ["engine_connect", "engine_disconnect", "engine_reconnect"]

    with_a_real_engine(engines[0], story)


def test_a_real_engine_is_left_in_the_middle_of_a_request(engines):
    async def story(engine, told):
        heard = []

        async def listen():
            async with aclosing(engine.api.stream("GET", "/events", {"since": "1"})) as events:
                async for event in events:
                    heard.append(event)

        await asyncio.to_thread(engines[0].cli, "create", "--network=none", "busybox")
        listening = asyncio.ensure_future(listen())
        await until(lambda: heard)
        await engine.disconnect()
        with pytest.raises(EngineError):
            await listening

    with_a_real_engine(engines[0], story)
