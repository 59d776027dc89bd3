"""The story of the timeline: what is written down, and what becomes of the cluster."""

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
from collections import Counter
from contextlib import closing

import pytest

from walkthroughs.swarm.hub import serve
from walkthroughs.swarm.lab import Exchange, Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.timeline import (
    CONTAINERS,
    LULL,
    NODES,
    Message,
    Run,
    as_message,
    bursts,
    kind_of,
    runs,
    script,
    tell,
)

DEADLINE = 20


def told(*arguments):
    return asyncio.run(tell(*arguments))


@pytest.fixture(scope="module")
def night():
    return told()


def places(story):
    """Return what the manager knows: the containers of each node."""
    found = {name: set() for name in NODES}
    for each in story.cluster.containers():
        found[each.engine.name].add(each.names[0].lstrip("/"))
    return found


def really(story):
    """Return what there is: the state of each container, by node and name."""
    return {
        (node, each.name): each.state
        for node, engine in story.engines.items()
        for each in engine.containers.values()
    }


def turns(story, node="node-2"):
    return [(time, turn) for time, name, turn in story.turns if name == node]


SPREAD = {
    "node-1": {"web-1", "batch-1", "db", "web-6"},
    "node-2": {"web-2", "batch-2", "web-4"},
    "node-3": {"web-3", "batch-3", "web-5"},
}
MOVED = {
    "node-1": {*SPREAD["node-1"], "web-4"},
    "node-2": {"batch-2"},
    "node-3": {*SPREAD["node-3"], "web-2"},
}


# What is written down


def test_a_message_has_no_version_and_short_ids():
    path = f"/v1.31/containers/{'0123456789abcdef' * 4}/start"
    exchange = Exchange(60.04, "manager", "10.0.0.1:2375", "POST", path, 204)
    said = "POST /containers/0123456789ab/start"
    assert as_message(exchange) == Message(60.0, "manager", "node-1", said)


@pytest.mark.parametrize(("status", "text"), [(0, "refused"), (404, "404"), (500, "500")])
def test_a_message_says_how_a_request_has_failed(status, text):
    exchange = Exchange(1, "node-1", "hub:2370", "GET", "/v1/clusters/x", status)
    assert as_message(exchange) == Message(1, "node-1", "hub", f"GET /v1/clusters/x {text}")


def test_each_request_of_the_lab_is_a_message(night):
    asked = [each for each in night.lab.network.exchanges if each.server != "manager:2375"]
    requests = Counter(map(as_message, asked))
    others = Counter(each for each in night.messages if each.text.split()[0].islower())
    assert requests + others == Counter(night.messages)


def test_each_call_of_the_client_is_a_message(night):
    calls = [each[1:] for each in night.messages if each.target == "manager" == each[2]]
    asked = [text for source, _, text in calls if source == "client"]
    assert asked == [f"{word} {name}" for name in CONTAINERS for word in ("create", "start")]


def test_each_call_of_the_client_is_a_request_that_the_manager_has_answered(night):
    asked = [each for each in night.lab.network.exchanges if each.server == "manager:2375"]
    assert [(each.path, each.status) for each in asked] == [
        answered
        for name in CONTAINERS
        for answered in (("/containers/create", 201), (f"/containers/{name}/start", 204))
    ]


def test_each_event_that_an_engine_has_told_is_a_message_and_was_heard():
    heard = Counter()

    def note(event):
        if event.origin != "swarm":
            heard[event.engine.name, event.raw["Type"], event.raw["Action"]] += 1

    def acts(story):
        yield from script(story)
        yield 20, lambda: story.cluster.register_event_handler(note)

    story = told(480, acts)
    events = Counter(
        (each.source, *each.text.split()[1:])
        for each in story.messages
        if each.text.startswith("event ")
    )
    assert events == heard
    assert events == Counter(
        (name, event["Type"], event["Action"])
        for name, engine in story.engines.items()
        for event in engine.events
    )


def test_messages_are_in_the_order_of_their_times(night):
    times = [each.time for each in night.messages]
    assert times == sorted(times)


def test_an_order_stands_before_what_it_leads_to(night):
    texts = [each.text for each in night.messages]
    order, event = texts.index("POST /containers/create"), texts.index("event container create")
    assert texts.index("create web-1") < order < event < texts.index("start web-1")


# Bursts and runs


def message(time, source="a", target="hub", text="POST /v1/clusters/cafe"):
    return Message(time, source, target, text)


def test_a_burst_is_what_two_say_to_each_other_at_one_instant():
    ask, answer = message(1, "manager", "a"), message(1, "a", "manager")
    other, later = message(1, "manager", "b"), message(2, "manager", "a")
    assert bursts([ask, other, answer, later]) == [[ask, answer], [other], [later]]


def test_a_refusal_tells_more_of_a_burst_than_what_was_asked():
    refused = message(1, "manager", "a", "GET /info refused")
    assert kind_of([message(1, "manager", "a", "GET /images/json"), refused]) == "nobody there"


def test_a_run_is_of_one_kind_whatever_is_said_in_between():
    beats = [message(time) for time in (0, 60, 120)]
    other = message(61, "a", "hub", "POST /v1/clusters")
    assert runs([*beats[:2], other, beats[2]]) == [
        Run("heartbeat", "a", "hub", [[beat] for beat in beats]),
        Run("make a token", "a", "hub", [[other]]),
    ]


def test_a_run_ends_with_a_lull():
    beats = [message(time) for time in (0, LULL, 2 * LULL + 1)]
    found = [(run.start, run.end, run.messages) for run in runs(beats)]
    assert found == [(0, LULL, 2), (2 * LULL + 1, 2 * LULL + 1, 1)]


def test_each_message_of_the_night_is_in_one_run(night):
    shown = [each for run in runs(night.messages) for burst in run.bursts for each in burst]
    assert Counter(shown) == Counter(night.messages)
    assert sum(run.messages for run in runs(night.messages)) == len(night.messages)


# The story


def test_the_story_is_the_same_each_time(night):
    again = told()
    assert again.lab.network.exchanges == night.lab.network.exchanges
    assert again.messages == night.messages
    assert again.turns == night.turns
    assert again.log.getvalue() == night.log.getvalue()


def test_the_story_is_the_same_in_every_process(night):
    program = (
        "import asyncio; from walkthroughs.swarm.timeline import tell; "
        "print(*asyncio.run(tell()).messages, sep='\\n')"
    )
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        line = [sys.executable, "-c", program]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60)
        assert done.stdout.splitlines() == [*map(str, night.messages)], done.stderr


def test_a_story_that_is_told_to_a_second_is_the_beginning_of_the_whole(night):
    part = told(300)
    assert part.messages == [each for each in night.messages if each.time <= 300]


def test_the_token_is_what_create_prints(night):
    assert night.token == "cafe"
    assert night.messages[0] == Message(0, "client", "hub", "POST /v1/clusters")


def test_the_three_engines_are_registered_when_the_manager_asks_the_hub():
    story = told(20)
    assert story.turns == [(20, name, "engine_connect") for name in NODES]
    assert sorted(story.cluster.engine_names()) == [*NODES]


def test_ten_containers_are_spread_and_the_constraint_is_kept():
    story = told(150)
    assert places(story) == SPREAD
    assert [name for name, labels in NODES.items() if "storage=ssd" in labels] == ["node-1"]
    expected = {(node, name): "running" for node in SPREAD for name in SPREAD[node]}
    assert really(told(149)) == expected


def test_until_the_retries_have_run_out_nothing_moves():
    story = told(269)
    assert places(story) == SPREAD
    assert turns(story) == [(20, "engine_connect")]


def test_what_may_move_moves_when_the_retries_have_run_out():
    story = told(270)
    refused = [each.time for each in story.messages if each.text == "GET /containers/json refused"]
    assert len(refused) == 3
    assert turns(story)[1:] == [(refused[-1], "engine_disconnect")]
    assert places(story) == MOVED
    alive = {name: state for (node, name), state in really(story).items() if node != "node-2"}
    assert alive == dict.fromkeys({*CONTAINERS} - {"batch-2"}, "running")


def test_the_list_forgets_when_the_ttl_has_run_out():
    story = told(390)
    beats = [each.time for each in story.messages if each[1:3] == ("node-2", "hub")]
    assert beats == [10, 70, 130]
    assert turns(story)[2:] == [(320, "engine_disconnect")]
    assert places(story) == MOVED | {"node-2": set()}
    assert sorted(story.cluster.engine_names()) == ["node-1", "node-3"]


def test_nobody_asks_an_engine_that_is_not_listed(night):
    silent = [each for each in night.messages if 320 < each.time < 440 and each[2] == "node-2"]
    assert silent == []


def test_the_engine_returns_and_its_twins_are_removed(night):
    assert turns(night)[3:] == [(440, "engine_connect")]
    assert places(night) == MOVED
    removed = [each for each in night.messages if each.text.startswith("DELETE ")]
    assert [each[:3] for each in removed] == [(440, "manager", "node-2")] * 2


def test_a_container_without_a_wish_comes_back_with_its_machine_and_does_not_run(night):
    assert really(night)["node-2", "batch-2"] == "exited"


def test_nothing_is_lost_or_doubled_in_the_end(night):
    assert sorted(name for _, name in really(night)) == sorted(CONTAINERS)
    known = [each.names[0] for each in night.cluster.containers()]
    assert sorted(known) == sorted(f"/{name}" for name in CONTAINERS)


@pytest.mark.parametrize("second", [110, 268, 271, 319, 399, 439])
def test_no_name_is_known_twice_at_any_time(second):
    known = [each.names[0] for each in told(second).cluster.containers()]
    assert len(known) == len(set(known))


def test_an_engine_that_is_back_before_the_third_refresh_keeps_its_containers():
    def acts(story):
        for second, action, *names in script(story):
            yield 180 if action == story.restore else second, action, *names

    story = told(480, acts)
    assert turns(story) == [(20, "engine_connect")]
    assert places(story) == SPREAD


# The original


async def asked_of_an_engine(program):
    """Let the original manage an engine of a lab, and run a container; return the requests."""
    said = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        engine = LabEngine(Lab(), "node-1", address).plug()

        async def app(scope, receive, send):
            said.append(as_message(Exchange(0, "", "", scope["method"], scope["path"], 200)).text)
            await engine.app(scope, receive, send)

        with socket.create_server(("127.0.0.1", 0)) as free:
            manager = f"127.0.0.1:{free.getsockname()[1]}"
        server = asyncio.create_task(serve(app, listener, None))
        line = [program, "manage", "-H", f"tcp://{manager}", f"nodes://{address}"]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = await asyncio.create_subprocess_exec(*line, **silent)
        try:
            async with asyncio.timeout(DEADLINE):
                await until_there_are(said, 9)
                connect = take(said)
                body = {"Image": "busybox:latest", "Cmd": ["top"]}
                await asyncio.to_thread(post, manager, "/containers/create?name=web-1", body)
                await until_there_are(said, 5)
                create = take(said)
                await asyncio.to_thread(post, manager, "/containers/web-1/start", None)
                await until_there_are(said, 6)
                return connect, create, take(said)
        finally:
            process.kill()
            await process.wait()
            server.cancel()
            await asyncio.wait([server])


async def until_there_are(said, count):
    while len(said) < count:
        await asyncio.sleep(0.01)


def take(said):
    taken = said[:]
    said.clear()
    return Counter(taken)


def post(manager, path, body):
    with closing(http.client.HTTPConnection(manager, timeout=DEADLINE)) as connection:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body) if body else None, headers)
        assert connection.getresponse().status in (201, 204)


def test_the_original_asks_an_engine_the_same(night):
    if not (program := os.environ.get("REF_SWARM")):
        pytest.skip("REF_SWARM names no binary of the original")
    connect, create, start = asyncio.run(asked_of_an_engine(program))
    ours = [each for each in night.messages if each[1:3] == ("manager", "node-1")]
    texts = [each.text for each in ours]
    here = next(number for number, text in enumerate(texts) if text.endswith("/start"))
    first = [each.time for each in ours].index(60)
    assert connect == Counter(texts[:8]) + Counter(["GET /_ping"])
    assert (create, start) == (Counter(texts[first:here]), Counter(texts[here : here + 6]))
