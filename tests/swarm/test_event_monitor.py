"""What is asked again after an event, and a stream that goes on where it broke."""

import asyncio
import io
import json
import re

import pytest

from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.event_monitor import FULL, SILENT, EventsMonitor
from walkthroughs.swarm.health import EngineOptions
from walkthroughs.swarm.lab import EPOCH, Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.world import World

ADDR = "10.0.0.1:2375"


class Asked:
    """An engine and its inventory, which note what they are asked for."""

    def __init__(self):
        self.calls = []
        self.inventory = self

    def end(self, container_id):
        self.calls.append(("end", container_id))

    def __getattr__(self, name):
        async def note(*arguments):
            self.calls.append((name, *arguments))

        return note


def learned(**event):
    """Return what is asked for after an event."""
    asked = Asked()
    asyncio.run(EventsMonitor(asked).learn({"Actor": {"ID": "a1"}, **event}))
    return asked.calls


@pytest.mark.parametrize(
    ("kind", "action", "calls"),
    [
        ("network", "connect", [("refresh_network", "a1")]),
        ("volume", "mount", [("refresh_volume", "a1")]),
        ("image", "pull", [("refresh_images",)]),
        ("container", "commit", [("refresh_images",)]),
        ("container", "create", [("refresh_container", "a1", False)]),
        ("container", "destroy", [("refresh_container", "a1", False)]),
        ("container", "start", [("refresh_container", "a1", True)]),
        ("container", "die", [("end", "a1"), ("refresh_container", "a1", True)]),
        ("container", "health_status: unhealthy", [("refresh_container", "a1", True)]),
        ("container", "exec_create: sh -c ls", []),
        ("container", "archive-path", []),
        ("daemon", "reload", [("update_specs",)]),
        ("daemon", "other", []),
        ("plugin", "enable", []),
    ],
)
def test_an_event_has_asked_again_what_it_changed(kind, action, calls):
    assert learned(Type=kind, Action=action) == calls


def test_the_original_asks_for_all_about_a_container_after_these_events():
    assert " ".join(sorted(FULL)) == (
        "die health_status kill oom pause rename restart start stop unpause update"
    )


def test_the_original_asks_nothing_after_these_events():
    assert " ".join(sorted(SILENT)) == (
        "archive-path attach copy detach exec_create exec_detach exec_start export "
        "extract-to-dir resize top"
    )


class Watched:
    """An engine of the lab that a manager is connected to."""

    def __init__(self, lab, **options):
        self.lab, self.log = lab, io.StringIO()
        self.real = LabEngine(lab, "node-1", ADDR, **options).plug()
        world = lab.world("manager", self.log)
        make = asyncio.get_running_loop().create_task
        self.engine = Engine(ADDR, 0.05, EngineOptions(), world, None, make)
        self.told = []
        self.engine.event_handler = self.told.append

    async def __aenter__(self):
        self.lab.start("connect", self.engine.connect())
        await self.lab.run(0)
        self.engine.validation_complete()
        return self

    async def __aexit__(self, *error):
        await self.engine.disconnect()

    def names(self):
        return sorted(
            name for each in self.engine.inventory.containers.values() for name in each.names
        )

    def heard(self):
        """Return the actions of the engine's own events so far."""
        return [each.raw["Action"] for each in self.told if each.origin != "swarm"]

    def messages(self):
        return [
            line.partition("msg=")[2].partition('" ')[0].strip('"\n')
            for line in self.log.getvalue().splitlines()
        ]

    def reasons(self):
        """Return why a stream was opened again, each time."""
        fields = re.findall(r' error=(".*"|\S+) id=', self.log.getvalue())
        return [json.loads(each) if each[0] == '"' else each for each in fields]

    def asked(self, path):
        """Return when an address was asked for."""
        said = self.lab.network.exchanges
        return [each.time for each in said if each.path.endswith(path)]


def in_a_lab(story, **options):
    """Run an async function of a lab and a watched engine in it."""

    async def run():
        async with Lab() as lab, Watched(lab, **options) as watched:
            await story(lab, watched)

    asyncio.run(run())


def test_engine_state():
    async def story(lab, watched):
        watched.real.create("two", Image="busybox", Cmd=["sh"])
        await lab.run(0)
        assert watched.names() == ["/two"]
        watched.real.remove("two")
        await lab.run(0)
        assert watched.names() == []

    in_a_lab(story)


def test_whoever_wants_to_know_is_told_when_it_is_known():
    async def story(lab, watched):
        seen = []
        watched.engine.event_handler = lambda event: seen.append(
            (event.engine, event.status, watched.names())
        )
        watched.real.create("two", Image="busybox", Cmd=["sh"])
        await lab.run(0)
        assert seen == [(watched.engine, "create", ["/two"])]

    in_a_lab(story)


def test_a_label_that_is_added_is_known_after_a_reload():
    async def story(lab, watched):
        watched.real.labels.append("zone=a")
        watched.real.emit("daemon", "reload", watched.real.id)
        await lab.run(0)
        assert watched.engine.labels["zone"] == "a"

    in_a_lab(story)


def test_a_stream_goes_on_where_it_broke():
    async def story(lab, watched):
        watched.real.vanish()
        await lab.run(0.5)
        # Nobody can have heard of these: they are in the engine's memory only.
        watched.real.create("one", Image="busybox", Cmd=["sh"])
        watched.real.start("one")
        watched.real.come_back()
        await lab.run(1)
        assert watched.heard() == ["create", "connect", "start"]
        assert watched.names() == ["/one"]

    in_a_lab(story)


def test_a_stream_goes_on_a_nanosecond_after_the_last_event():
    async def story(lab, watched):
        asked = []

        async def listen(scope, receive, send):
            asked.append((lab.clock.now, scope["query_string"]))
            await watched.real.app(scope, receive, send)

        await lab.run(3)
        watched.real.create("one", Image="busybox", Cmd=["sh"])
        await lab.run(2)
        watched.real.vanish()
        lab.network.plug(ADDR, listen)
        await lab.run(1)
        assert asked[0] == (6.0, b"since=1500000003.000000001")

    in_a_lab(story)


def test_what_was_before_the_connection_is_not_told():
    async def run():
        async with Lab() as lab:
            watched = Watched(lab)
            watched.real.create("old", Image="busybox", Cmd=["sh"])
            await lab.run(1)
            async with watched:
                await lab.run(1)
                assert (watched.names(), watched.heard()) == (["/old"], [])

    asyncio.run(run())


def test_the_time_is_that_of_the_engine_whose_clock_is_late():
    async def story(lab, watched):
        assert watched.engine.events.since == (EPOCH - 3600) * 10**9
        watched.real.create("one", Image="busybox", Cmd=["sh"])
        await lab.run(1)
        assert watched.heard() == ["create"]

    in_a_lab(story, clock_offset=-3600)


def test_a_stream_that_breaks_is_opened_again_after_a_second():
    async def story(lab, watched):
        watched.engine.world.log.set_level("debug")
        await lab.run(5)
        watched.real.vanish()
        watched.real.come_back()
        await lab.run(5)
        assert watched.asked("/events") == [0.0, 6.0]
        assert watched.messages() == [
            "error monitoring events, will restart",
            "Start monitoring events",
        ]

    in_a_lab(story)


def test_the_pause_before_a_new_stream_is_failures_and_one_up_to_ten_seconds():
    async def story(lab, watched):
        await lab.run(5)
        watched.real.vanish()
        watched.engine.health.failures = 1
        await lab.run(1)
        watched.engine.health.failures = 4
        await lab.run(2)
        watched.engine.health.failures = 90
        await lab.run(20)
        assert watched.asked("/events") == [0.0, 7.0, 12.0, 22.0]

    in_a_lab(story)


def test_a_stream_over_a_pulled_cable_is_given_up_with_the_engine():
    async def story(lab, watched):
        watched.real.freeze()
        await lab.run(400)
        assert not watched.engine.is_healthy()
        # The machine was off: what it knew of the old connection is gone.
        watched.real.listeners.clear()
        watched.real.thaw()
        await lab.run(100)
        watched.told.clear()
        watched.real.create("one", Image="busybox", Cmd=["sh"])
        await lab.run(0)
        assert watched.heard() == ["create"]

    in_a_lab(story)


class Streams:
    """Answers for events, in front of an engine that answers for the rest."""

    def __init__(self, app, *answers):
        self.app, self.answers = app, list(answers)

    async def __call__(self, scope, receive, send):
        if not scope["path"].endswith("/events") or not self.answers:
            return await self.app(scope, receive, send)
        status, body = self.answers.pop(0)
        await send({"type": "http.response.start", "status": status, "headers": []})
        return await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, b"", "the stream has ended"),
        (200, b"<html>", 'no JSON in a stream: "<html>"'),
        (200, b'{"Type": "cont', 'a stream ended within an object: "{\\"Type\\": \\"cont"'),
        (500, b'{"message": "no"}', "Error response from daemon: no"),
    ],
)
def test_a_stream_of_anything_else_is_logged_and_opened_again(status, body, why):
    async def story(lab, watched):
        watched.real.vanish()
        lab.network.plug(ADDR, Streams(watched.real.app, (status, body)))
        await lab.run(1)
        assert watched.reasons()[1] == why
        await lab.run(1)
        watched.real.create("one", Image="busybox", Cmd=["sh"])
        await lab.run(0)
        assert watched.heard() == ["create"]

    in_a_lab(story)


@pytest.mark.parametrize(
    "event",
    [
        b"{}",
        b'{"Type": "container"}',
        b'{"Type": "container", "Action": 7, "Actor": null}',
        b'{"Type": ["container"], "Action": "start", "Actor": {"ID": {}}}',
        b'{"timeNano": "soon", "Type": "image", "Action": "pull", "Actor": {"ID": "x"}}',
        b'{"Type": "container", "Action": "start", "Actor": {"ID": "no such one"}}',
    ],
)
def test_an_event_of_the_wrong_shape_concerns_itself_alone(event):
    good = b'{"Type": "daemon", "Action": "reload", "Actor": {"ID": "x"}}'

    async def story(lab, watched):
        watched.real.labels.append("zone=a")
        watched.real.vanish()
        lab.network.plug(ADDR, Streams(watched.real.app, (200, event + good)))
        await lab.run(1)
        assert watched.engine.labels["zone"] == "a"
        assert len(watched.told) == 3

    in_a_lab(story)


def test_an_event_without_a_time_does_not_move_the_place_to_go_on_from():
    async def story(lab, watched):
        before = watched.engine.events.since
        watched.real.vanish()
        event = b'{"Type": "image", "Action": "pull", "Actor": {"ID": "x"}}'
        lab.network.plug(ADDR, Streams(watched.real.app, (200, event)))
        await lab.run(1)
        assert watched.heard() == ["pull"]
        assert watched.engine.events.since == before

    in_a_lab(story)


def test_an_event_that_cannot_be_followed_up_is_told_all_the_same():
    async def story(lab, watched):
        watched.real.vanish()
        stream = b'{"Type": "image", "Action": "pull", "Actor": {"ID": "x"}}'
        gone = Streams(None, (200, stream))
        lab.network.plug(ADDR, gone)
        await lab.run(1)
        assert watched.heard() == ["pull"]

    in_a_lab(story)


def test_a_real_engine_tells_what_happens_and_what_happened_meanwhile(engines):
    docker = engines[0]
    names = []

    async def story():
        make = asyncio.get_running_loop().create_task
        world = World(stdout=io.StringIO())
        engine = Engine(docker.address, 0.05, EngineOptions(), world, None, make)
        engine.event_handler = lambda event: names.append(event.raw["Action"])
        await engine.connect()
        engine.validation_complete()
        try:
            create = ("create", "--network=none", "busybox", "sleep", "100")
            first = await asyncio.to_thread(docker.cli, *create)
            await until(lambda: first in engine.inventory.containers)
            docker.gate.cut()
            second = await asyncio.to_thread(docker.cli, *create)
            docker.gate.mend()
            await until(lambda: second in engine.inventory.containers)
            assert names == ["engine_connect", "create", "create"]
        finally:
            await engine.disconnect()

    asyncio.run(story())


async def until(condition, deadline=20):
    """Wait for something that a real engine does in its own time."""
    async with asyncio.timeout(deadline):
        while not condition():
            await asyncio.sleep(0.02)
