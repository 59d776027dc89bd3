"""What a manager says of itself; the fields of `/info` are those of the original's binary."""

import asyncio
import json
import platform
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from tests.swarm.managing import manager, under_management
from walkthroughs.swarm.cluster import Containers
from walkthroughs.swarm.events import QUEUE_LIMIT, Event
from walkthroughs.swarm.handlers_system import count_states, normalize_event
from walkthroughs.swarm.lab import EPOCH

# As `swarm manage nodes://` of v1.2.9 has answered; null is what Go makes of an empty list.
ORIGINAL_INFO = """
{"ID":"","Containers":0,"ContainersRunning":0,"ContainersPaused":0,"ContainersStopped":0,
"Images":0,"Driver":"","DriverStatus":null,"SystemStatus":[],"Plugins":{"Volume":null,
"Network":null,"Authorization":null,"Log":null},"MemoryLimit":true,"SwapLimit":true,
"KernelMemory":false,"CpuCfsPeriod":true,"CpuCfsQuota":true,"CPUShares":true,"CPUSet":true,
"IPv4Forwarding":true,"BridgeNfIptables":true,"BridgeNfIp6tables":true,"Debug":false,"NFd":0,
"OomKillDisable":true,"NGoroutines":0,"SystemTime":"","LoggingDriver":"","CgroupDriver":"",
"NEventsListener":0,"KernelVersion":"","OperatingSystem":"linux","OSType":"",
"Architecture":"","IndexServerAddress":"","RegistryConfig":null,"NCPU":0,"MemTotal":0,
"DockerRootDir":"","HttpProxy":"","HttpsProxy":"","NoProxy":"","Name":"","Labels":null,
"ExperimentalBuild":false,"ServerVersion":"swarm/1.2.9","ClusterStore":"","ClusterAdvertise":"",
"Runtimes":null,"DefaultRuntime":"","Swarm":{"NodeID":"","NodeAddr":"","LocalNodeState":"",
"ControlAvailable":false,"Error":"","RemoteManagers":null},"LiveRestoreEnabled":false,
"Isolation":"","InitBinary":"","ContainerdCommit":{"ID":"","Expected":""},
"RuncCommit":{"ID":"","Expected":""},"InitCommit":{"ID":"","Expected":""},
"SecurityOptions":null}
"""
ELSEWHERE = (
    "SystemStatus",
    "SystemTime",
    "KernelVersion",
    "OperatingSystem",
    "Architecture",
    "Name",
)
"""The fields that depend on time and machine."""


# Four small answers


@under_management()
async def test_ping_says_ok_as_text(m):
    answer = await m.client.get("/_ping")
    assert (answer.status_code, answer.text) == (200, "OK")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-length"] == "2"


@under_management()
async def test_viz_is_not_implemented(m):
    assert await m.get("/images/viz") == (501, "Not supported in clustering mode.\n")


@under_management()
async def test_version_has_the_fields_of_the_original(m):
    version = await m.told("/version")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    assert version == {
        "Version": "swarm/1.2.9",
        "ApiVersion": "1.30",
        "GitCommit": "HEAD",
        "GoVersion": f"python{platform.python_version()}",
        "Os": platform.system().lower(),
        "Arch": machine,
        "KernelVersion": platform.release(),
        "BuildTime": "<unknown>",
    }


@under_management()
async def test_an_experimental_manager_says_so(m):
    m.context.experimental = True
    assert (await m.told("/version"))["Experimental"] is True
    assert (await m.told("/info"))["ExperimentalBuild"] is True


# GET /info


@under_management()
async def test_info_has_every_field_of_the_original_and_its_zero_values(m):
    info, original = await m.told("/info"), json.loads(ORIGINAL_INFO)
    assert info.keys() == original.keys()
    for field in ELSEWHERE:
        del info[field], original[field]
    assert info == original


@under_management("node-1", "node-2", cpus=4, memory=8 << 30)
async def test_info_is_about_the_cluster(m):
    one, two = m.machines.values()
    for name in "web", "db", "idle":
        one.create(name, Image="busybox:latest")
    for name in "web", "db":
        one.start(name)
    one.pause("db")
    two.tag("busybox:latest", "box", "1")
    await m.settle()
    info = await m.told("/info")
    fields = "Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped"
    assert [info[field] for field in fields] == [3, 1, 1, 1]
    # A sum over engines, of which each has the image.
    assert info["Images"] == 2
    assert (info["NCPU"], info["MemTotal"]) == (8, 2 * ((8 << 30) + (8 << 30) * 5 // 100))
    assert info["SystemTime"] == "2017-07-14T02:40:00Z"
    assert (info["Name"], info["KernelVersion"]) == (platform.node(), platform.release())
    assert info["SystemStatus"] == [list(pair) for pair in m.context.status()]
    assert info["SystemStatus"][0] == ["Role", "primary"]


@under_management("node-1")
async def test_info_is_never_stale(m):
    """One machine, a change at a time."""
    machine, known = m.machines["node-1"], []

    async def differs():
        known.append(json.dumps(await m.told("/info"), sort_keys=True))
        return known.count(known[-1]) == 1

    assert await differs()
    machine.create("web", Image="busybox:latest", HostConfig={"Memory": 1 << 20})
    await m.settle()
    assert await differs()
    machine.start("web")
    await m.settle()
    assert await differs()
    machine.pause("web")
    await m.settle()
    assert await differs()
    machine.remove("web", force=True)
    await m.lab.run(1)
    assert await differs()
    for _ in range(3):
        next(iter(m.cluster.engines.values())).health.failed("nobody is there")
    assert await differs()
    await m.cluster.remove_engine("10.0.0.1:2375")
    assert await differs()


@under_management()
async def test_info_tells_of_debugging_and_watchers(m):
    m.context.debug = True
    async with watching(m, "/events"):
        info = await m.told("/info")
    assert (info["NEventsListener"], info["Debug"]) == (1, True)


def test_info_tells_the_proxies_of_the_manager(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://a:1")
    monkeypatch.setenv("no_proxy", "b")

    async def main():
        async with manager() as m:
            info = await m.told("/info")
            assert [info[key] for key in ("HttpProxy", "HttpsProxy", "NoProxy")] == [
                "http://a:1",
                "",
                "b",
            ]

    asyncio.run(main())


def test_who_is_paused_does_not_count_as_running():
    states = [(True, False), (True, True), (False, False), (False, True)]
    containers = Containers(SimpleNamespace(running=r, paused=p) for r, p in states)
    assert count_states(containers) == {
        "Containers": 4,
        "ContainersRunning": 1,
        "ContainersPaused": 2,
        "ContainersStopped": 1,
    }


# GET /events

ENGINE = SimpleNamespace(name="node-1", id="ID|10.0.0.1:2375", addr="10.0.0.1:2375", ip="10.0.0.1")
NODE = {
    "node.name": "node-1",
    "node.id": "ID|10.0.0.1:2375",
    "node.addr": "10.0.0.1:2375",
    "node.ip": "10.0.0.1",
}


def test_normalize_event_says_on_which_node_in_three_places():
    """As the original's test of the same name, and its bytes."""
    raw = {
        "status": "start",
        "id": "c1",
        "from": "busybox",
        "Type": "container",
        "Action": "start",
        "Actor": {"ID": "c1", "Attributes": {"image": "busybox"}},
        "scope": "local",
        "time": 5,
        "timeNano": 5_000_000_000,
    }
    assert normalize_event(Event(ENGINE, raw)) == (
        b'{"status":"start","id":"c1","from":"busybox node:node-1","Type":"container",'
        b'"Action":"start","Actor":{"ID":"c1","Attributes":{"image":"busybox",'
        b'"node.name":"node-1","node.id":"ID|10.0.0.1:2375","node.addr":"10.0.0.1:2375",'
        b'"node.ip":"10.0.0.1"}},"scope":"local","time":5,"timeNano":5000000000,'
        b'"node":{"Name":"node-1","Id":"ID|10.0.0.1:2375","Addr":"10.0.0.1:2375",'
        b'"Ip":"10.0.0.1"}}'
    )
    assert raw["Actor"]["Attributes"] == {"image": "busybox"}


@pytest.mark.parametrize(
    "raw",
    [
        {"Type": "network", "Action": "connect"},
        {"Type": "network", "Actor": None},
        {"Actor": {"Attributes": None}},
    ],
)
def test_an_event_that_tells_little_tells_its_node(raw):
    told = json.loads(normalize_event(Event(ENGINE, raw)))
    assert told["from"] == " node:node-1"
    assert told["Actor"] == {"ID": "", "Attributes": NODE}


@asynccontextmanager
async def watching(m, path):
    """Give what a client reads of a stream of events, which grows."""
    read = []
    async with m.client.stream("GET", path) as answer:
        assert answer.headers["content-type"] == "application/json"
        task = asyncio.ensure_future(collect(answer, read))
        await m.settle()
        try:
            yield read
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def collect(answer, read):
    async for chunk in answer.aiter_raw():
        read.append(chunk)
    read.append("the end")


def actions(read):
    """Return what happened, by a stream without separators."""
    text, decoder, found = b"".join(read).decode(), json.JSONDecoder(), []
    while text:
        event, end = decoder.raw_decode(text)
        found.append((event["Type"], event["Action"], event["from"]))
        text = text[end:]
    return found


@under_management("node-1", "node-2")
async def test_events_are_told_as_they_happen_and_follow_each_other_directly(m):
    async with watching(m, "/events") as read:
        assert read == []
        m.machines["node-2"].create("web", Image="busybox:latest")
        await m.settle()
        m.machines["node-1"].create_volume("data")
        await m.settle()
        assert actions(read) == [
            ("container", "create", "busybox:latest node:node-2"),
            ("volume", "create", " node:node-1"),
        ]
        assert not any(b"\n" in chunk for chunk in read)


@under_management("node-1")
async def test_what_happens_to_an_engine_is_an_event_of_swarm(m):
    async with watching(m, "/events") as read:
        await m.cluster.remove_engine("10.0.0.1:2375")
        await m.settle()
        assert actions(read) == [("swarm", "engine_disconnect", "swarm node:node-1")]


@under_management("node-1")
async def test_whoever_has_the_head_misses_nothing(m):
    async with m.client.stream("GET", "/events") as answer:
        assert m.context.events_handler.size() == 1
        m.machines["node-1"].create("web", Image="busybox:latest")
        await m.settle()
        chunk = await anext(answer.aiter_raw())
        assert json.loads(chunk)["Action"] == "create"


@under_management("node-1")
async def test_since_and_filters_are_ignored(m):
    m.machines["node-1"].create("old", Image="busybox:latest")
    await m.settle()
    path = f"/events?since={EPOCH - 5}&filters=%7B%22type%22%3A%5B%22volume%22%5D%7D"
    async with watching(m, path) as read:
        m.machines["node-1"].start("old")
        await m.settle()
        assert actions(read)[-1][1] == "start"
        assert "create" not in [action for _, action, _ in actions(read)]


@under_management("node-1")
async def test_events_end_at_a_moment(m):
    async with watching(m, f"/events?until={EPOCH + 10}") as read:
        await m.lab.run(9)
        m.machines["node-1"].create_volume("data")
        await m.settle()
        assert read[-1] != "the end"
        await m.lab.run(1)
        assert read[-1] == "the end"
        assert len(read) == 2
        assert m.context.events_handler.size() == 0


@under_management("node-1")
async def test_a_moment_that_is_past_ends_events_at_once(m):
    async with watching(m, f"/events?until={EPOCH - 10}") as read:
        assert read == ["the end"]


@pytest.mark.parametrize("until", ["0", "-5", ""])
def test_until_a_moment_before_1970_is_for_ever(until):
    async def main():
        async with manager("node-1") as m, watching(m, f"/events?until={until}") as read:
            await m.lab.run(3600)
            assert "the end" not in read

    asyncio.run(main())


@pytest.mark.parametrize(
    ("until", "why"),
    [
        ("x", "invalid syntax"),
        ("1500000000.5", "invalid syntax"),
        ("2017-07-14", "invalid syntax"),
        ("9" * 20, "value out of range"),
    ],
)
def test_a_moment_that_is_no_whole_number_is_refused(until, why):
    async def main():
        async with manager() as m:
            said = f'strconv.ParseInt: parsing "{until}": {why}\n'
            assert await m.get("/events", until=until) == (400, said)

    asyncio.run(main())


@under_management("node-1")
async def test_events_end_for_the_manager_when_the_client_leaves(m):
    async with watching(m, "/events"):
        assert m.context.events_handler.size() == 1
    await m.settle()
    assert m.context.events_handler.size() == 0


@under_management("node-1")
async def test_events_end_for_the_client_when_the_manager_stops(m):
    async with watching(m, "/events") as read:
        m.machines["node-1"].create_volume("data")
        await m.settle()
        m.cluster.close_watch_queues()
        await m.settle()
        assert (len(read), read[-1]) == (2, "the end")


@under_management("node-1")
async def test_a_client_that_does_not_read_is_ended_and_keeps_nobody_waiting(m):
    engine = next(iter(m.cluster.engines.values()))
    async with m.client.stream("GET", "/events"), watching(m, "/events") as read:
        for _ in range(QUEUE_LIMIT // 100 + 5):
            for _ in range(100):
                m.cluster.handle(Event(engine, {"Type": "x", "Action": "y"}))
            await m.settle()
        assert len(read) == 100 * (QUEUE_LIMIT // 100 + 5)
        assert m.context.events_handler.size() == 1


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"5")]])
def test_a_server_that_tells_of_a_leaving_client_ends_the_stream(headers):
    """As uvicorn does: the word comes by `receive`, and nobody cancels anything."""

    async def main():
        async with manager("node-1") as m:
            left, sent = asyncio.Event(), []
            messages = iter([{"type": "http.request", "body": b""}])

            async def receive():
                if message := next(messages, None):
                    return message
                await left.wait()
                return {"type": "http.disconnect"}

            async def send(message):
                sent.append(message["type"])

            scope = {
                "type": "http",
                "method": "GET",
                "path": "/events",
                "query_string": b"",
                "headers": headers,
            }
            app = m.lab.network.apps["manager:2375"]
            task = asyncio.ensure_future(app(scope, receive, send))
            await m.settle()
            assert (sent, m.context.events_handler.size()) == (["http.response.start"], 1)
            left.set()
            await asyncio.wait_for(task, 1)
            assert (len(sent), m.context.events_handler.size()) == (1, 0)

    asyncio.run(main())
