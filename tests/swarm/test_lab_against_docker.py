"""An engine of the lab and a real one are told the same, and answer the same."""

import asyncio
import io
import json
import re
import tarfile
import time

import httpx2
import pytest

from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine

SETTINGS = {"Cmd": ["sh"], "Env": ["PATH=/bin"], "StopSignal": "SIGKILL"}
"""Those of the image that the real engines have."""

SLEEP = {"Image": "busybox:latest", "Cmd": ["sleep", "1000"], "StopSignal": "SIGTERM"}
ALONE = SLEEP | {"HostConfig": {"NetworkMode": "none"}}
SERVES = SLEEP | {"ExposedPorts": {"80/tcp": {}}}
ON_NET = {"NetworkMode": "net-1", "PortBindings": {"80/tcp": [{"HostPort": "8099"}]}}


def tar(**files):
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return memory.getvalue()


def create(name, body=ALONE, **more):
    return ("POST", f"/containers/create?name={name}", body | more)


def post(*paths):
    return [("POST", path) for path in paths]


def get(*paths):
    return [("GET", path) for path in paths]


def delete(*paths):
    return [("DELETE", path) for path in paths]


LOOK = get("/containers/web/json", "/containers/json?all=1", "/containers/json")

CONVERSATIONS = {
    "a container's life": [
        create("web", Env=["A=1"], Labels={"k": "v"}, ExposedPorts={"80/tcp": {}}),
        *LOOK,
        *post("/containers/web/start", "/containers/web/start"),
        *LOOK,
        *post("/containers/web/pause", "/containers/web/pause", "/containers/web/start"),
        *LOOK,
        *delete("/containers/web"),
        *post("/containers/web/unpause", "/containers/web/unpause"),
        *post("/containers/web/restart?t=0", "/containers/web/stop?t=0"),
        *LOOK,
        *post("/containers/web/stop", "/containers/web/wait", "/containers/web/pause"),
        *delete("/containers/web", "/containers/web"),
    ],
    "signals": [
        create("web"),
        *post("/containers/web/kill", "/containers/web/start"),
        *post("/containers/web/kill?signal=TERM", "/containers/web/kill?signal=sigusr1"),
        *post("/containers/web/kill?signal=15", "/containers/web/kill?signal=NOPE"),
        *post("/containers/web/kill", "/containers/web/kill"),
        *get("/containers/web/json"),
    ],
    "the image says how to stop": [
        create("web", ALONE | {"StopSignal": None}),
        *post("/containers/web/start", "/containers/web/stop?t=0"),
        *get("/containers/web/json"),
    ],
    "removal by force": [
        create("web"),
        *post("/containers/web/start"),
        *delete("/containers/web?force=1"),
        *get("/containers/json?all=1"),
    ],
    "names": [
        create("web"),
        create("web"),
        create("w"),
        create("_web!"),
        create("other"),
        *post("/containers/other/rename?name=web", "/containers/other/rename?name=other"),
        *post("/containers/other/rename?name=", "/containers/other/rename?name=!!"),
        *post("/containers/other/rename?name=another"),
        *get("/containers/other/json", "/containers/another/json"),
    ],
    "what nobody has": [
        *post(*(f"/containers/no/{verb}" for verb in ("start", "stop", "kill", "restart"))),
        *post(*(f"/containers/no/{verb}" for verb in ("pause", "unpause", "wait"))),
        *post("/containers/no/rename?name=web"),
        ("POST", "/containers/no/update", {}),
        *get("/containers/no/json", "/images/no/json", "/images/no:3/json"),
        *get("/networks/no", "/volumes/no", "/no"),
        *delete("/containers/no", "/images/no", "/networks/no", "/volumes/no"),
        ("POST", "/info"),
        ("HEAD", "/info"),
    ],
    "requests that are wrong": [
        create("web", {}),
        create("web", {"Image": ""}),
        create("web", {"Image": "no", "Cmd": ["true"]}),
        create("web", {"Image": "no:1", "Cmd": ["true"]}),
        create("web", {"Image": "BAD", "Cmd": ["true"]}),
        create("web", SLEEP, HostConfig={"VolumesFrom": ["no"]}),
        *post("/containers/create?name=web"),
        ("POST", "/containers/create?name=web", b"bad"),
        *get("/containers/json?filters=bad", '/containers/json?filters={"bad":["x"]}'),
        *get('/containers/json?filters={"status":["bad"]}', "/events?since=x"),
        *get("/events?since=5&until=3", "/v1.99/info"),
        *get("/images/BAD/json", "/distribution/BAD/json"),
    ],
    "filters": [
        create("web", Labels={"k": "v"}),
        create("other", Labels={"k": "w"}),
        *post("/containers/other/start"),
        *get('/containers/json?filters={"status":["created"]}'),
        *get('/containers/json?all=1&filters={"name":["^/web$"]}'),
        *get('/containers/json?all=1&filters={"name":["^oth"]}'),
        *get('/containers/json?all=1&filters={"label":["k=v"]}'),
        *get('/containers/json?all=1&filters={"label":{"k":true}}'),
        *get('/containers/json?all=1&filters={"network":["none"]}'),
        *get('/containers/json?all=1&filters={"id":["xyz"]}'),
    ],
    "limits": [
        create("web"),
        (
            "POST",
            "/containers/web/update",
            {"Memory": 64 << 20, "MemorySwap": 128 << 20},
        ),
        ("POST", "/containers/web/update", {}),
        *get("/containers/web/json"),
    ],
    "volumes": [
        ("POST", "/volumes/create", {"Name": "data", "Labels": {"k": "v"}}),
        ("POST", "/volumes/create", {}),
        ("POST", "/volumes/create", {"Name": "data"}),
        ("POST", "/volumes/create", {"Name": "!"}),
        *get("/volumes/data", '/volumes?filters={"name":["data"]}'),
        create("web", ALONE, HostConfig=ALONE["HostConfig"] | {"Binds": ["data:/data:ro"]}),
        *get("/containers/web/json", "/containers/json?all=1"),
        *delete("/volumes/data"),
        *post("/containers/web/start", "/containers/web/stop?t=0"),
        *delete("/containers/web?v=1", "/volumes/data"),
        create("web", ALONE, Volumes={"/data": {}}),
        *delete("/containers/web?v=1"),
    ],
    "networks": [
        ("POST", "/networks/create", {"Name": "net-1", "Labels": {"k": "v"}}),
        ("POST", "/networks/create", {"Name": "net-1", "CheckDuplicate": True}),
        ("POST", "/networks/create", {"Name": ""}),
        ("POST", "/networks/create", {"Name": "bridge"}),
        create("web", SLEEP, HostConfig={"NetworkMode": "net-1"}),
        *get("/containers/web/json"),
        *post("/containers/web/start"),
        *get(
            "/containers/web/json",
            "/containers/json",
            "/networks/net-1",
            "/networks/none",
        ),
        *get(
            '/networks?filters={"type":["custom"]}',
            '/networks?filters={"driver":["host"]}',
        ),
        *delete("/networks/net-1", "/networks/none"),
        ("POST", "/networks/create", {"Name": "net-2"}),
        ("POST", "/networks/net-2/connect", {"Container": "web"}),
        ("POST", "/networks/net-2/connect", {"Container": "web"}),
        ("POST", "/networks/host/connect", {"Container": "web"}),
        ("POST", "/networks/none/connect", {"Container": "web"}),
        ("POST", "/networks/net-2/connect", {"Container": "no"}),
        ("POST", "/networks/no/connect", {"Container": "web"}),
        *get("/containers/web/json"),
        ("POST", "/networks/net-2/disconnect", {"Container": "web"}),
        ("POST", "/networks/net-2/disconnect", {"Container": "web"}),
        *get("/containers/web/json"),
        *post("/containers/web/stop?t=0"),
        *get("/containers/web/json", "/networks/net-1"),
        ("POST", "/networks/net-1/disconnect", {"Container": "web"}),
        *delete("/networks/net-1", "/networks/net-2", "/containers/web"),
        create("web", SLEEP, HostConfig={"NetworkMode": "no-net"}),
        *post("/containers/web/start"),
        *get("/containers/web/json"),
    ],
    "ports": [
        ("POST", "/networks/create", {"Name": "net-1"}),
        create("web", SERVES, HostConfig=ON_NET),
        *post("/containers/web/start"),
        *get("/containers/web/json", "/containers/json"),
        create("other", SERVES, HostConfig=ON_NET),
        *post("/containers/other/start"),
        create("any", SERVES, HostConfig={"NetworkMode": "net-1", "PublishAllPorts": True}),
        *post("/containers/any/start"),
        *get("/containers/any/json"),
    ],
    "names of images": [
        *get("/images/json", "/images/busybox/json"),
        *post("/images/busybox/tag?repo=mine/bb&tag=1", "/images/no/tag?repo=x"),
        *post("/images/busybox/tag?repo=X"),
        *get("/images/json", '/images/json?filters={"reference":["mine/bb"]}'),
        *delete("/images/mine/bb:1"),
        create("web", SLEEP | {"Image": "busybox"}, HostConfig=ALONE["HostConfig"]),
        *delete("/images/busybox"),
        *get('/images/json?filters={"bad":["x"]}'),
    ],
    "images of containers": [
        create("web", Labels={"k": "v"}),
        *post("/commit?container=web&repo=saved&tag=1", "/commit?container=no"),
        *get("/images/saved:1/json", '/images/json?filters={"label":["k=v"]}'),
        *delete("/images/saved:1"),
        *post("/containers/web/start", "/commit?container=web&repo=saved&tag=1"),
        *delete("/images/saved:1"),
    ],
    "images from outside": [
        ("POST", "/images/create?fromSrc=-&repo=mine&tag=7", tar(a="1")),
        ("POST", "/images/create?fromSrc=-", tar(a="2")),
        ("POST", "/images/load", b"xxx"),
        ("POST", "/build?t=x", tar(other="1")),
        *get('/images/json?filters={"dangling":["true"]}', "/images/mine:7/json"),
    ],
}

VARIES = {"Architecture", "Created", "DockerVersion", "Pid", "Size", "VirtualSize"}
"""Keys of which the types are compared, not the values."""


def plain(text):
    """Put signs for what differs from run to run: ids, times, addresses, places."""
    text = re.sub(r"[0-9a-f]{64}", "<id>", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "<id>", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>", text)
    text = re.sub(r"\b(10|172)\.\d+\.(\d+\.\d+)", r"<net>.\2", text)
    text = re.sub(r"02:42:\w\w:\w\w", "<mac>", text)
    text = re.sub(r"Less than a second|\d+ seconds?", "<moment>", text)
    return re.sub(r"/[\w/.-]+/volumes/", "<volumes>/", text)


def differences(lab, real, path=""):
    """Yield where the lab says something else; it may say less, but nothing of its own."""
    if type(lab) is not type(real):
        yield path, lab, real
    elif isinstance(lab, dict):
        for key in lab:
            name = plain(key)
            theirs = {plain(each): value for each, value in real.items()}
            if name not in theirs:
                yield f"{path}.{key}", lab[key], "missing"
            else:
                yield from differences(lab[key], theirs[name], f"{path}.{name}")
    elif isinstance(lab, list):
        if len(lab) != len(real):
            yield path, lab, real
        for one, other in zip(lab, real, strict=False):
            yield from differences(one, other, f"{path}[]")
    elif isinstance(lab, str):
        if plain(lab) != plain(real) and path.rpartition(".")[2] not in VARIES:
            yield path, plain(lab), plain(real)
    elif lab != real and path.rpartition(".")[2] not in VARIES:
        yield path, lab, real


def options(body=None):
    if isinstance(body, bytes):
        return {"content": body, "headers": {"Content-Type": "application/json"}}
    return {} if body is None else {"json": body}


def said(response):
    """Return the status and what was said: JSON, a stream of it, or text."""
    kind = response.headers.get("content-type", "")
    if not response.content or "json" not in kind:
        return response.status_code, response.text
    values = [json.loads(line) for line in response.text.splitlines()]
    return response.status_code, values[0] if len(values) == 1 else values


def told(events):
    """Return what a listener would understand: type, action, and what belongs to it."""
    return [
        (
            each["Type"],
            each["Action"],
            {key: plain(value) for key, value in each["Actor"]["Attributes"].items()},
            sorted(each),
        )
        for each in events
    ]


def settled(client, container, verb):
    """Return whether the order has come to its end, which the answer does not wait for.

    Of a pause the daemon knows when the runtime has told it. A start is answered while
    the process is still runc's, which leaves with 2 at a SIGTERM where `sleep`, that
    asked for no handler, is not reached by it.
    """
    if verb in ("pause", "unpause"):
        state = client.get(f"{container}/json").json()["State"]
        return state["Paused"] is (verb == "pause")
    top = client.get(f"{container}/top").json()
    return "runc" not in str(top.get("Processes", "runc"))


def ask_docker(client, method, path, *body):
    answer = client.request(method, path, **options(*body))
    container, _, verb = path.partition("?")[0].rpartition("/")
    if verb in ("start", "restart", "pause", "unpause") and answer.status_code == 204:
        end = time.monotonic() + 10
        while not settled(client, container, verb):
            assert time.monotonic() < end
            time.sleep(0.01)
    return said(answer)


def converse_with_docker(address, requests):
    begin = time.time()
    with httpx2.Client(base_url=f"http://{address}", timeout=30) as client:
        answers = [ask_docker(client, *request) for request in requests]
        query = f"since={begin:.6f}&until={time.time():.6f}"
        lines = client.get(f"/events?{query}").text.splitlines()
    events = [json.loads(line) for line in lines]
    return answers, [each for each in events if each["Action"] != "top"]  # top: `settled`


def converse_with_lab(requests):
    async def program():
        async with Lab() as lab:
            engine = LabEngine(lab, "node-1", "node-1:2375", driver="vfs").plug()
            engine.image("busybox").config = SETTINGS
            async with lab.world("test").client("http://node-1:2375") as client:
                answers = [
                    said(await client.request(method, path, **options(*body)))
                    for method, path, *body in requests
                ]
            return answers, engine.events

    return asyncio.run(program())


@pytest.fixture
def docker(dockers):
    """One engine; whoever is next to use it cleans it."""
    dockers[0].renew()
    return dockers[0]


@pytest.mark.parametrize("subject", CONVERSATIONS)
def test_the_lab_answers_and_reports_as_docker_does(docker, subject):
    requests = CONVERSATIONS[subject]
    answers, events = converse_with_docker(docker.direct, requests)
    ours, our_events = converse_with_lab(requests)
    wrong = {
        f"{number} {method} {path}": found
        for number, (
            (method, path, *_),
            (status, lab),
            (real_status, real),
        ) in enumerate(zip(requests, ours, answers, strict=True))
        if (found := [*differences(status, real_status), *differences(lab, real)])
    }
    assert wrong == {}
    assert told(our_events) == told(events)


NEEDED = {
    "/info": """ID Name NCPU MemTotal Driver KernelVersion OperatingSystem OSType Labels
    SystemTime""",
    "/version": "Version ApiVersion",
    "/containers/json?all=1": """Id Names Image ImageID Command Created Ports Labels State Status
    NetworkSettings Mounts HostConfig""",
    "/containers/web/json": """Id Name Created State Image Config HostConfig NetworkSettings Mounts
    ExecIDs""",
    "/images/json": "Id RepoTags RepoDigests Created Size Labels ParentId",
    "/networks": "Id Name Driver Scope Labels Containers",
    "/volumes": "Volumes",
}


def test_the_lab_has_all_that_a_manager_reads():
    requests = [create("web"), *get(*NEEDED)]
    answers, _ = converse_with_lab(requests)
    missing = {}
    for (_, path), (_, answer) in zip(requests[1:], answers[1:], strict=True):
        found = answer[0] if isinstance(answer, list) else answer
        missing[path] = [key for key in NEEDED[path].split() if key not in found]
    assert missing == {path: [] for path in NEEDED}


def test_what_an_engine_says_of_itself_has_the_types_that_docker_uses(docker):
    requests = get("/info", "/version")
    answers, _ = converse_with_docker(docker.direct, requests)
    ours, _ = converse_with_lab(requests)
    for (_, lab), (_, real) in zip(ours, answers, strict=True):
        types = {key: type(real[key]) for key in lab}
        assert {key: type(value) for key, value in lab.items()} == types


def test_after_a_crash_containers_have_ended_as_those_of_docker_have(docker):
    requests = [create("web"), *post("/containers/web/start")]
    converse_with_docker(docker.direct, requests)
    docker.kill()
    docker.start()
    (answer,), _ = converse_with_docker(docker.direct, get("/containers/web/json"))

    async def program():
        async with Lab() as lab:
            engine = LabEngine(lab, "node-1", "node-1:2375").plug()
            engine.create("web", **ALONE)
            engine.start("web")
            engine.crash()
            engine.come_back()
            return engine.inspect("web")

    lab, real = asyncio.run(program())["State"], answer[1]["State"]
    assert [*differences(lab, real)] == []
    assert real["ExitCode"] == 137
