"""Lists, inspections and `/info` of a manager and of the original, over the same real engines."""

import asyncio
import json
import os
import re
from urllib.parse import quote

import httpx2
import pytest

from tests.swarm.test_real_engines import (
    create,
    knows,
    listed,
    managed,
    on_a_loop,
    original,
    until,
)
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.handler import Context
from walkthroughs.swarm.router import new_primary

SECOND = 1_000_000_000
HEALTH = {"Interval": SECOND, "Retries": 1}

DIFFERENT = {
    *(".SystemTime", ".GoVersion"),
    # What an engine of today does not say, and what it says null for.
    *(".HostConfig.DiskQuota", ".HostConfig.PidsLimit"),
    # A health check runs every second, and both inspections are live.
    *(".ExecIDs", ".State.Health.FailingStreak", ".State.Health.Log"),
}
"""What two answers may differ in."""


def filtered(path, **fields):
    """Return a question with filters; a value that is no list is the whole of them."""
    lists = {key.replace("_", "-"): value for key, value in fields.items()}
    values = {key: [value] if isinstance(value, str) else value for key, value in lists.items()}
    return f"{path}{'&' if '?' in path else '?'}filters={quote(json.dumps(values))}"


def about_containers(web, net):
    path = "/containers/json"
    yield from (path, "/containers/ps", f"/v1.24{path}", f"{path}?all=1&size=1")
    for query in (
        *("all=1", "all=0", "all=false", "all=yes", "limit=2", "all=1&limit=3", "limit=-1"),
        *("limit=x", "before=three", "before=three&limit=5", "before=three&limit=1"),
        "before=nobody",
    ):
        yield f"{path}?{query}"
    for fields in (
        *({"name": value} for value in ("we", "^web$", "/web", "[", ["web", "three"], {})),
        *({"name": value} for value in ({"web": False}, {"web": False, "three": True})),
        *({"id": value} for value in (web.id[:12], web.id, "zz")),
        *({"label": value} for value in ("tier", "tier=web", ["tier=web", "n=1"], "tier=x")),
        *({"status": value} for value in ("exited", "running", "paused", "created", "e")),
        *({"status": value} for value in (["exited", "created"], "restarting", [])),
        *({"node": value} for value in ("node-1", "node", ["node-1", "node-2"], "node-9")),
        *({"health": value} for value in ("none", "healthy", "unhealthy", "health")),
        *({"is_task": value} for value in ("true", "false", "x", {}, ["true", "false"])),
        *({"volume": value} for value in ("data", "/data", "dat", {})),
        *({"network": value} for value in ("front", net, net[:4], "none", "fron", {})),
        *({"exited": value} for value in ("3", "0", ["0", "3"], "x", "", "9" * 20, [])),
        *({"ancestor": "nobody"}, {"since": "web"}, {"publish": "80"}),
    ):
        yield filtered(path, **fields)
        yield filtered(f"{path}?all=1", **fields)
    for name in ("web", "node-1/web", web.id, web.id[:12], web.id[:6], web.swarm_id, "sick"):
        yield f"/containers/{name}/json"
    for name in ("created", "three", "frozen", "nobody", "node-2/web"):
        yield f"/containers/{name}/json"


def about_images():
    path = "/images/json"
    yield from (path, f"{path}?all=1")
    for fields in (
        *({"node": value} for value in ("node-1", "node-9", ["node-1", "node-2"])),
        *({"label": value} for value in ("tier", "tier=db", "x")),
        *({"reference": value} for value in ("busybox", "busy*", "*", "*/*/*", "*:1", "[")),
        *({"reference": value} for value in ("example.com:5000/a/b", "busybox:latest")),
        *({"reference": value} for value in ("o*r:[0-9]", {})),
        *({"dangling": value} for value in ("true", "false", "x", ["true", "false"], {})),
        *({"before": value} for value in ("third", "nobody", ["a", "b"], {})),
        *({"since": value} for value in ("busybox", "nobody", "third:latest", "third:x")),
    ):
        yield filtered(path, **fields)
        yield filtered(f"{path}?all=1", **fields)
    for version in ("", "/v1.24", "/v1.9", "/v1.28", "/v1.100"):
        yield f"{version}{path}?filter=other"


def about_networks(net):
    path = "/networks"
    yield path
    for fields in (
        *({"type": value} for value in ("custom", "builtin", "x", ["custom", "builtin"], {})),
        *({"label": value} for value in ("a", "a=b")),
        *({"driver": value} for value in ("bridge", "null", "bri")),
        *({"node": value} for value in ("node-1", "node-9")),
        *({"name": value} for value in ("front", "node-1/front", "back", "ro", "nobody")),
        {"name": "none", "node": "node-1"},
    ):
        yield filtered(path, **fields)
    for name in ("front", "node-1/front", net, net[:12], net[:6], "none", "back", "nobody"):
        yield f"{path}/{name}"


def about_volumes():
    path = "/volumes"
    yield path
    for fields in (
        *({"name": value} for value in ("data", "dat", "node-1/data", ["only", "zz"])),
        *({"node": value} for value in ("node-1", "node-9")),
        *({"label": value} for value in ("v", "v=2")),
        *({"driver": "x"}, {"dangling": "true"}, {"name": "only", "node": "node-2"}),
    ):
        yield filtered(path, **fields)
    for name in ("data", "node-1/data", "node-1/only", "only", "nobody", "node-9/data"):
        yield f"{path}/{name}"


BAD = (
    *("x", "[]", '{"a":1}', '{"a":[1]}', '{"a":{"b":1}}', "{", "null", "1", '"s"', "{} x"),
    *('{"a" 1}', '{"name":["web",1]}', '{"name":null}'),
)


def about_everything():
    yield from ("/info", "/version", "/_ping", "/images/viz")
    for path in ("/containers/json", "/images/json", "/networks", "/volumes"):
        for said in BAD:
            yield f"{path}?filters={quote(said)}"
    for moment in ("x", "1.5", "1", "9" * 20, "%2b1"):
        yield f"/events?until={moment}"


def in_order(answer):
    """Return an answer without the order that a walk through a map of Go's has."""
    if isinstance(answer, dict) and answer.get("Volumes"):
        return answer | {"Volumes": sorted(answer["Volumes"], key=lambda each: each["Name"])}
    if not isinstance(answer, list):
        return answer
    for container in answer:
        # The engine's own map.
        container.get("Ports", []).sort(key=str)
    if any("Names" in each for each in answer):
        return answer
    for image in answer:
        for names in image.keys() & {"RepoTags", "RepoDigests"}:
            image[names].sort()
    return sorted(answer, key=lambda each: each["Id"])


def differences(theirs, ours, path=""):
    """Yield where an answer says less than the original's, or something else."""
    if path in DIFFERENT:
        return
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in theirs:
            yield from differences(theirs[key], ours.get(key), f"{path}.{key}")
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for number, pair in enumerate(zip(theirs, ours, strict=True)):
            yield from differences(*pair, f"{path}[{number}]")
    elif path.endswith(".Status") and isinstance(ours, str):
        # Two managers are asked in two moments.
        if re.sub("[0-9]+ s", "# s", theirs) != re.sub("[0-9]+ s", "# s", ours):
            yield path, theirs, ours
    elif theirs != ours:
        yield path, theirs, ours


def read(answer):
    """Return the status, the headers that tell of the answer, and what it says."""
    told = {"content-type", "api-version", "x-content-type-options"}
    headers = {key: value for key, value in answer.headers.items() if key in told}
    is_json = headers["content-type"] == "application/json" and answer.content
    said = in_order(answer.json()) if is_json else answer.text
    return {"status": answer.status_code, "headers": headers, "": said}


async def furnish(cluster, engines):
    """Put containers in many states onto engines, with networks, volumes and images."""

    async def run(name, *env, **more):
        config = {"Image": "busybox:latest", "Cmd": ["sleep", "1000"], "Env": [*env]}
        config |= {"HostConfig": {"NetworkMode": "none"}} | more
        made = await cluster.create_container(ContainerConfig.build(config), name, {})
        await cluster.start_container(made)
        return cluster.container(made.id)

    labels = {"Driver": "bridge", "Labels": {"a": "b"}}
    net = (await cluster.create_network("node-1/front", labels))["Id"]
    for name in ("node-2/front", "node-2/back"):
        await cluster.create_network(name, {"Driver": "bridge"})
    await cluster.create_volume({"Name": "data", "Labels": {"v": "1"}})
    await cluster.create_volume({"Name": "node-1/only"})
    ports = {"80/tcp": [{"HostPort": "0"}], "81/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]}
    host = {"NetworkMode": "front", "PortBindings": ports, "Binds": ["data:/data"]}
    web = await run(
        "web",
        "constraint:node==node-1",
        Labels={"tier": "web", "n": "1"},
        ExposedPorts={"80/tcp": {}, "81/tcp": {}},
        HostConfig=host,
    )
    await create(cluster, "created")
    three = await run("three", Cmd=["sh", "-c", "exit 3"])
    await run("zero", Cmd=["true"])
    sick = await run("sick", Healthcheck={"Test": ["CMD", "false"], **HEALTH})
    well = await run("well", Healthcheck={"Test": ["CMD", "true"], **HEALTH})
    await run("task", Labels={"com.docker.swarm.task": "x"})
    frozen = await run("frozen")
    await frozen.engine.ask("POST", f"/containers/{frozen.id}/pause")
    one, two, third = engines
    for engine, name in ((one, "example.com:5000/a/b:v1"), (two, "other:1")):
        engine.cli("tag", "busybox:latest", name)
    on_third = next(c for c in cluster.containers() if c.engine.name == "node-3")
    third.cli("commit", "-c", "LABEL tier=db", on_third.id, "third:latest")
    on_two = next(c for c in cluster.containers() if c.engine.name == "node-2")
    two.cli("commit", on_two.id)
    await until(lambda: cluster.container("frozen").paused)
    for container, word in ((sick, "unhealthy"), (well, "healthy")):
        await until(lambda c=container, w=word: health(cluster, c) == w)
    await until(lambda: not cluster.container(three.id).running)
    return web, net


def health(cluster, container):
    return cluster.container(container.id).info["State"]["Health"]["Status"]


def test_questions_about_lists_are_answered_as_by_the_original(engines):
    if "REF_SWARM" not in os.environ:
        pytest.skip("REF_SWARM names no binary of the original")

    @on_a_loop
    async def main():
        async with managed(engines) as cluster:
            web, net = await furnish(cluster, engines)
            # It comes when all is done: what it hears while things change can be out of date.
            with original(listed(engines), "spread") as swarm:
                await knows(swarm, len(engines))
                await asyncio.sleep(0.5)
                await compare(cluster, swarm.address, web, net)

    main()


async def compare(cluster, address, web, net):
    world = cluster.world
    world.log.set_level("panic")
    events = cluster.new_api_event_handler()
    status = [("Role", "primary")]
    app = new_primary(Context(cluster, world, events, lambda: [*status, *cluster.info()]))
    questions = [
        *about_everything(),
        *about_containers(web, net),
        *about_images(),
        *about_networks(net),
        *about_volumes(),
    ]
    async with (
        httpx2.AsyncClient(base_url=f"http://{address}") as theirs,
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://ours") as ours,
    ):
        found = {}
        for question in questions:
            expected, answer = read(await theirs.get(question)), read(await ours.get(question))
            if question == "/info":
                expected, answer = without_moments(expected), without_moments(answer)
            if wrong := [*differences(expected[""], answer[""])]:
                found[question] = wrong
            if expected["status"] != answer["status"] or expected["headers"] != answer["headers"]:
                found[question] = [expected, answer]
    assert found == {}


def without_moments(answer):
    """Return an answer of `/info` without the times at which engines have answered."""
    pairs = [pair for pair in answer[""]["SystemStatus"] if not pair[0].endswith("UpdatedAt")]
    return answer | {"": answer[""] | {"SystemStatus": pairs}}
