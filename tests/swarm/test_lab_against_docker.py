"""An engine of the lab and a real one are told the same, and answer the same."""

import asyncio
import io
import json
import re
import socket
import tarfile
import time
from base64 import b64decode

import httpx2
import pytest

from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.lab_streams import frames_of

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


def execute(*command, **more):
    return ("POST", "/containers/web/exec", {"Cmd": [*command]} | more)


def start_exec(**body):
    return ("POST", "/exec/EXEC/start", body)


def post(*paths):
    return [("POST", path) for path in paths]


def get(*paths):
    return [("GET", path) for path in paths]


def delete(*paths):
    return [("DELETE", path) for path in paths]


LOOK = get("/containers/web/json", "/containers/json?all=1", "/containers/json")

SAYS = ALONE | {"Cmd": ["sh", "-c", "echo one; echo two; echo -n three; exit 3"]}
NO_LOG = ALONE["HostConfig"] | {"LogConfig": {"Type": "none"}}
LOGS = ["stdout=1&stderr=1", "stderr=1", "stdout=1&tail=2", "stdout=1&tail=0", "stdout=1&tail=x"]
LOGS += ["stdout=1&follow=1", "stdout=1&since=4000000000", "stdout=1&until=1", "stdout=1&since=x"]
LOGS += ["stdout=1&timestamps=1", ""]
RESIZE = ["web/resize?h=1&w=2", "web/resize?h=x&w=2", "web/resize", "no/resize?h=1&w=1"]

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
        *post("/containers/web/start", "/containers/web/stop"),
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

CONVERSATIONS |= {
    "what is said": [
        create("job", SAYS),
        *get("/containers/job/logs?stdout=1&follow=1"),
        *post("/containers/job/start", "/containers/job/wait"),
        *get("/containers/job/json"),
        *get(*(f"/containers/job/logs?{query}" for query in LOGS)),
        *get("/containers/no/logs?stdout=1"),
        create("loud", ALONE | {"Cmd": ["sh", "-c", "echo no >&2; false"]}),
        *post("/containers/loud/start", "/containers/loud/wait"),
        *get("/containers/loud/logs?stdout=1", "/containers/loud/logs?stdout=1&stderr=1"),
        create("shown", SAYS | {"Tty": True}),
        *post("/containers/shown/start", "/containers/shown/wait"),
        *get("/containers/shown/logs?stdout=1&stderr=1"),
        create("mute", SAYS, HostConfig=NO_LOG),
        *post("/containers/mute/start", "/containers/mute/wait"),
        *get("/containers/mute/logs?stdout=1"),
    ],
    "to be attached": [
        *post("/containers/no/attach?stream=1&stdout=1", "/containers/no/attach"),
        create("job", SAYS),
        *post("/containers/job/attach?stdout=1"),
        *post("/containers/job/start", "/containers/job/wait"),
        *post("/containers/job/attach?logs=1&stdout=1"),
        create("web"),
        *post("/containers/web/start", "/containers/web/pause"),
        *post("/containers/web/attach?stream=1&stdout=1", "/containers/web/unpause"),
    ],
    "what is executed": [
        create("web"),
        execute("true"),
        *post("/containers/web/start"),
        ("POST", "/containers/web/exec", {}),
        ("POST", "/containers/web/exec", {"Cmd": []}),
        ("POST", "/containers/no/exec", {"Cmd": ["true"]}),
        execute("sh", "-c", "echo one; exit 4", AttachStdout=True, AttachStderr=True),
        *get("/exec/EXEC/json", "/containers/web/json"),
        start_exec(),
        *get("/exec/EXEC/json", "/containers/web/json"),
        start_exec(),
        start_exec(Detach=True),
        execute("echo", "hi", AttachStdout=True, Tty=True),
        start_exec(Tty=True),
        execute("cat", "/nope", AttachStdout=True, AttachStderr=True, Env=["A=1"]),
        start_exec(),
        execute("env", AttachStdout=True, Env=["A=1"]),
        start_exec(),
        execute("cat", AttachStdin=True, AttachStdout=True),
        *get("/exec/EXEC/json"),
        *post("/containers/web/pause"),
        execute("true"),
        start_exec(),
        *post("/containers/web/unpause", "/exec/no/start", "/exec/no/resize?h=1&w=1"),
        ("POST", "/exec/no/start", {"Detach": True}),
        *get("/exec/no/json"),
    ],
    "what ends with its container": [
        create("web"),
        *post("/containers/web/start"),
        execute("cat", AttachStdin=True, AttachStdout=True),
        *post("/containers/web/stop?t=0"),
        *get("/exec/EXEC/json"),
        start_exec(),
        *post("/containers/web/start"),
        execute("sleep", "1000"),
        start_exec(Detach=True),
        *get("/exec/EXEC/json", "/containers/web/json"),
        start_exec(Detach=True),
        *post("/exec/EXEC/resize?h=1&w=1", "/exec/EXEC/resize?h=1"),
        *post("/containers/web/stop?t=0"),
        *get("/exec/EXEC/json", "/containers/web/json"),
        start_exec(Detach=True),
    ],
    "what is counted": [
        create("web"),
        *get("/containers/web/top", "/containers/web/stats?stream=0", "/containers/no/top"),
        *get("/containers/no/stats?stream=0", "/containers/web/changes"),
        *post("/containers/web/resize?h=1&w=1"),
        *post("/containers/web/start"),
        *get("/containers/web/top", "/containers/web/stats?stream=0&one-shot=1"),
        *post(*(f"/containers/{query}" for query in RESIZE)),
    ],
    "files": [
        create("web"),
        ("PUT", "/containers/web/archive?path=/", tar(a="one", b="more")),
        ("HEAD", "/containers/web/archive?path=/a"),
        *get(*(f"/containers/web/archive?path={path}" for path in ("/a", "b", "/no", ""))),
        *get("/containers/no/archive?path=/a", "/containers/no/changes"),
        *get("/containers/web/changes", "/containers/web/export", "/containers/no/export"),
        ("HEAD", "/containers/web/archive?path=/no"),
        ("HEAD", "/containers/web/archive"),
        ("PUT", "/containers/web/archive?path=/no", tar(a="1")),
        ("PUT", "/containers/web/archive?path=/a", tar(a="1")),
        ("PUT", "/containers/web/archive?path=/", b"xxx"),
        ("PUT", "/containers/web/archive", tar(a="1")),
        ("PUT", "/containers/no/archive?path=/", tar(a="1")),
        ("PUT", "/containers/web/archive?path=/&noOverwriteDirNonDir=1", tar(bin="1")),
        ("PUT", "/containers/web/archive?path=/&noOverwriteDirNonDir=1", tar(a="three")),
        *get("/containers/web/archive?path=/a", "/containers/web/archive?path=/bin/../b"),
        *post("/containers/web/copy"),
    ],
    "registries that nobody reaches": [
        ("POST", "/auth", {"username": "u", "password": "p"}),
        ("POST", "/auth"),
        *get("/images/search?term=busybox", "/images/search"),
    ],
}

VARIES = {"Architecture", "Created", "DockerVersion", "Pid", "Size", "VirtualSize"}
VARIES |= {"Processes[][]", "limit", "online_cpus", "preread", "read", "system_cpu_usage"}
VARIES |= {"total_usage", "usage", "usage_in_kernelmode", "usage_in_usermode"}
"""Keys of which the types are compared, not the values."""


def plain(text):
    """Put signs for what differs from run to run: ids, times, addresses, places."""
    text = re.sub(r"[0-9a-f]{64}", "<id>", text)
    text = re.sub(r"(dial tcp: lookup [\w.-]+).*", r"\1: <nobody>", text)
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
    if stat := response.headers.get("x-docker-container-path-stat"):
        return response.status_code, [json.loads(b64decode(stat)), members(response.content)]
    if kind == "application/octet-stream":
        return response.status_code, members(response.content)
    if not response.content or "json" not in kind:
        return response.status_code, response.text
    values = [json.loads(line) for line in response.text.splitlines()]
    return response.status_code, values[0] if len(values) == 1 else values


def members(data):
    """Return what is in an archive."""
    if not data:
        return {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {each.name: str(each.type) for each in archive}


class Conversation:
    """Requests one after the other; `EXEC` in a path is what was made last."""

    exec = ""

    def path(self, path):
        return path.replace("EXEC", self.exec)

    def heard(self, path, answer):
        if path.endswith("/exec") and answer[0] == 201:
            self.exec = answer[1]["Id"]
        return answer


def told(events):
    """Return what a listener would understand: type, action, and what belongs to it.

    A signal is told of when it has been sent, and who dies of it may be quicker.
    """
    events = list(events)
    for at, event in enumerate(events):
        while event["Action"] == "kill" and events[at - 1]["Action"] == "exec_die":
            events[at - 1 : at + 1] = event, events[at - 1]
            at -= 1
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
    top = client.get(f"{container}/top")
    return top.status_code == 409 or "runc" not in str(top.json().get("Processes", "runc"))


def ask_docker(talk, client, method, path, *body):
    path = talk.path(path)
    answer = client.request(method, path, **options(*body))
    container, _, verb = path.partition("?")[0].rpartition("/")
    if verb in ("start", "restart", "pause", "unpause") and answer.status_code == 204:
        end = time.monotonic() + 10
        while not settled(client, container, verb):
            assert time.monotonic() < end
            time.sleep(0.01)
    return talk.heard(path, said(answer))


def converse_with_docker(address, requests):
    begin = time.time()
    with httpx2.Client(base_url=f"http://{address}", timeout=30) as client:
        talk = Conversation()
        answers = [ask_docker(talk, client, *request) for request in requests]
        query = f"since={begin:.6f}&until={time.time():.6f}"
        lines = client.get(f"/events?{query}").text.splitlines()
    events = [json.loads(line) for line in lines]
    return answers, [each for each in events if each["Action"] != "top"]  # top: `settled`


def converse_with_lab(requests):
    async def program():
        async with Lab() as lab:
            engine = LabEngine(lab, "node-1", "node-1:2375", driver="vfs").plug()
            engine.image("busybox").config = SETTINGS
            talk = Conversation()

            async def ask(client, method, path, *body):
                path = talk.path(path)
                answer = await client.request(method, path, **options(*body))
                return talk.heard(path, said(answer))

            async with lab.world("test").client("http://node-1:2375") as client:
                answers = [await ask(client, *request) for request in requests]
            return answers, [each for each in engine.events if each["Action"] != "top"]

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
    assert not wrong, json.dumps(wrong, indent=1)
    assert told(our_events) == told(events)


CAT = ALONE | {"Cmd": ["cat"], "OpenStdin": True, "StdinOnce": True}
ATTACHED = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True}
ALL = "stream=1&stdin=1&stdout=1&stderr=1"
CTRL_D = b"\x04"
UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n"

PIPES = {
    "input that ends": (create("job", CAT), f"/containers/job/attach?{ALL}", b"hi\nyou", ""),
    "and a switch": (create("job", CAT), f"/containers/job/attach?{ALL}", b"hi\n", UPGRADE),
    "a terminal": (
        create("job", CAT | {"Tty": True}),
        f"/containers/job/attach?{ALL}",
        b"hi\nyou\r\x04",
        UPGRADE,
    ),
    "only output": (
        create("job", SAYS),
        "/containers/job/attach?stream=1&stdout=1&stderr=1",
        b"",
        UPGRADE,
    ),
    "nobody": (create("web"), f"/containers/job/attach?{ALL}", b"", UPGRADE),
}
"""Of each: a container, how to be attached to it, what is typed when it runs, and fields."""

EXECUTED = {
    "input that ends": ({"Cmd": ["cat"]}, b"hi\nyou"),
    "a terminal": ({"Cmd": ["cat"], "Tty": True}, b"hi\nyou\r\x04"),
    "a second time": ({"Cmd": ["true"]}, b""),
}


def question(path, fields="", body=b""):
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"POST {path} HTTP/1.1\r\nHost: docker\r\n{fields}{length}\r\n".encode() + body


def head_and_rest(said):
    """Return the first line and the fields that matter, and what follows."""
    head, _, rest = said.partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    kept = [each for each in fields if re.match("(Content-Type|Connection|Upgrade):", each)]
    if b"\0" not in rest:
        return first, kept, plain(rest.decode())
    # What is written in one go and what comes in one piece is not the same, over a pipe.
    pieces = frames_of(rest)
    streams = {
        stream: b"".join(data for at, data in pieces if at == stream) for stream, _ in pieces
    }
    return first, kept, {stream: plain(data.decode()) for stream, data in streams.items()}


class RealPipe:
    """A connection with a real engine that stops being HTTP."""

    def __init__(self, address, request):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.socket.sendall(request)
        self.said = b""
        while b"\r\n\r\n" not in self.said:
            self.said += self.socket.recv(4096)

    def type(self, keys):
        with self.socket:
            self.socket.sendall(keys)
            if CTRL_D not in keys:
                self.socket.shutdown(socket.SHUT_WR)
            while data := self.socket.recv(4096):
                self.said += data
        return head_and_rest(self.said)


async def lab_pipe(lab, request):
    reader, writer = await lab.world("test").transport.dial("node-1:2375")
    writer.write(request)
    said = await reader.readuntil(b"\r\n\r\n")

    async def type(keys):
        writer.write(keys)
        if CTRL_D not in keys:
            writer.write_eof()
        rest = await reader.read()
        writer.close()
        return head_and_rest(said + rest)

    return type


def with_lab(program):
    async def whole():
        async with Lab() as lab:
            engine = LabEngine(lab, "node-1", "node-1:2375", driver="vfs").plug()
            engine.image("busybox").config = SETTINGS
            return await program(lab, engine)

    return asyncio.run(whole())


@pytest.mark.parametrize("subject", PIPES)
def test_the_lab_s_pipes_say_what_docker_s_say(docker, subject):
    (method, path, body), target, keys, fields = PIPES[subject]
    name = path.rpartition("=")[2]
    with httpx2.Client(base_url=f"http://{docker.direct}", timeout=30) as client:
        talk = Conversation()
        ask_docker(talk, client, method, path, body)
        pipe = RealPipe(docker.direct, question(target, fields))
        ask_docker(talk, client, "POST", f"/containers/{name}/start")
        real = pipe.type(keys)

    async def program(lab, engine):
        engine.create(name, **json.loads(json.dumps(body)))
        type = await lab_pipe(lab, question(target, fields))
        await lab.run(0)
        engine.start(name)
        return await type(keys)

    assert with_lab(program) == real


@pytest.mark.parametrize("subject", EXECUTED)
def test_what_is_executed_in_the_lab_talks_as_in_docker(docker, subject):
    command, keys = EXECUTED[subject]
    start = json.dumps({"Detach": False, "Tty": command.get("Tty", False)}).encode()
    times = 2 if subject == "a second time" else 1
    with httpx2.Client(base_url=f"http://{docker.direct}", timeout=30) as client:
        talk = Conversation()
        ask_docker(talk, client, *create("web"))
        ask_docker(talk, client, "POST", "/containers/web/start")
        ask_docker(talk, client, *execute(**command | ATTACHED))
        for _ in range(times):
            pipe = RealPipe(docker.direct, question(f"/exec/{talk.exec}/start", UPGRADE, start))
            real = pipe.type(keys)

    async def program(lab, engine):
        engine.create("web", **SLEEP)
        engine.start("web")
        made = engine.execs.create(engine.new_id(), engine.container("web"), command | ATTACHED)
        for _ in range(times):
            type = await lab_pipe(lab, question(f"/exec/{made.id}/start", UPGRADE, start))
            said = await type(keys)
        return said

    assert with_lab(program) == real


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
