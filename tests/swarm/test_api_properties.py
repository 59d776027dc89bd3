"""The whole API under requests of every kind, and under long walks: nothing surprises it."""

import asyncio
import base64
import io
import json
import re
from collections import Counter
from typing import NamedTuple
from urllib.parse import quote, unquote, urlencode

import h11
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect

from tests.conftest import THOROUGH
from tests.swarm.managing import MANAGER, manager
from walkthroughs.swarm.router import Router, clean_path, routes, setup_primary_router

NODES = ("node-1", "node-2", "node-3")
SECONDS = 2.0
"""What a request is given until its client leaves."""

STATUSES = {101, 200, 201, 204, 301, 304, 400, 404, 409, 413, 500, 501}
"""What the manager itself may say; an engine's word is passed on."""

RAW = "application/vnd.docker.raw-stream"
TABLE = [(method, route) for method, those in routes.items() for route in those]
VARIABLE = re.compile(r"\{(\w+)\}")

NOUNS = "_ping|info|version|events|build|commit|auth|networks|volumes"
NOUNS += "|images/(?:json|search|get|load|create)|containers/(?:json|create)"
NOUNS += "|(?:networks|volumes)/create"
VERBS = "json|start|stop|kill|pause|unpause|rename|restart|update|wait|resize|attach|attach/ws"
VERBS += "|copy|exec|archive|export|changes|top|logs|stats"
REACHED = re.compile(
    r"(?:/v[0-9]+.[0-9]+)?/(?:"
    f"(?P<noun>{NOUNS})"
    f"|containers/(?P<container>[0-9a-f]{{64}})(?:/(?:{VERBS}))?"
    r"|exec/(?P<exec>[0-9a-f]{64})/(?:start|json|resize)"
    r"|networks/(?P<network>[0-9a-f]{64})(?:/(?:connect|disconnect))?"
    r"|volumes/(?P<volume>[a-zA-Z0-9][a-zA-Z0-9_.-]*)"
    r"|images/(?P<image>[a-z0-9][a-zA-Z0-9_.:@/-]*?)(?:/(?:json|history|get|push|tag))?"
    r")"
)
"""The paths that an engine may be asked for."""


class Asked(NamedTuple):
    """A request as it is written, before anything is made of it."""

    method: str
    path: str
    """Before it is quoted; a `%` is one that the client has written."""
    query: list
    body: bytes
    headers: list
    length: int | None = None
    """What it says of the length of its body, where that is not the truth."""

    def target(self):
        path = quote(self.path, safe="/%:@!$&'()*+,;=~")
        return f"{path}?{urlencode(self.query, errors='replace')}" if self.query else path

    def written(self):
        length = len(self.body) if self.length is None else self.length
        lines = [f"{self.method} {self.target()} HTTP/1.1", "Host: manager"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"Content-Length: {length}", "", ""]
        return "\r\n".join(lines).encode() + self.body


class Answer(NamedTuple):
    status: int
    headers: list
    body: bytes
    whole: bool

    def values(self, name):
        return [value.decode() for key, value in self.headers if key == name]


class Watched:
    """A manager, and all that reaches its engines."""

    def __init__(self, managed):
        self.managed, self.lab = managed, managed.lab
        self.client = self.lab.world("stranger")
        self.reached = []
        """Method, path and status, of one request."""
        self.known = set()
        """The ids that an engine ever had."""
        self.failed = []
        """What went wrong in an engine of the lab."""
        managed.context.world.stderr = io.StringIO()
        self.router = Router()
        setup_primary_router(self.router, enable_cors=False)
        for machine in managed.machines.values():
            self.lab.network.plug(machine.address, self.heard(machine.app))

    def heard(self, app):
        async def engine(scope, receive, send):
            async def say(message):
                if message["type"] == "http.response.start":
                    self.reached.append((scope["method"], place, message["status"]))
                self.learn()
                await send(message)

            async def hear():
                return kept.pop() if kept else await receive()

            # What a client has sent is on its way, even to who does not read it.
            kept = [await whole(receive)]
            place = scope["raw_path"].decode("latin-1")
            self.learn()
            self.may_be_asked(unquote(place))
            try:
                await app(scope, hear, say)
            except ClientDisconnect:
                raise
            except Exception as error:
                self.failed.append((scope["method"], place, error))
                raise

        return engine

    def learn(self):
        for machine in self.managed.machines.values():
            self.known |= {*machine.containers, *machine.execs.known}
            self.known |= {net.id for net in machine.networks.values()}

    def may_be_asked(self, path):
        """Note a path that an engine should never see."""
        found = REACHED.fullmatch(path)
        ids = {found[kind] for kind in ("container", "exec", "network")} - {None} if found else ()
        if not found or ".." in path or not self.known.issuperset(ids):
            self.failed.append(("an engine was asked for", path))

    async def ask(self, asked):
        """Return the answer to a request, whose client leaves then."""
        self.reached.clear()
        reader, writer = await self.client.transport.dial(MANAGER)
        writer.write(asked.written())
        if asked.length is not None:
            writer.write_eof()
        await self.lab.clock.advance(0)
        if not reader._buffer:
            await self.lab.clock.advance(SECONDS)
        answer = parsed(asked, bytes(reader._buffer))
        writer.close()
        await self.lab.clock.advance(0)
        return answer

    def check(self, asked, answer):
        """Assert what is true of every answer."""
        said, status = (asked, answer), answer.status
        panics = self.managed.context.world.stderr.getvalue()
        assert not panics, (said, panics)
        assert not self.failed, (said, self.failed)
        if asked.length is not None or re.search("%(?![0-9a-fA-F]{2})", asked.path):
            # This is no HTTP, and may be found out late.
            return
        passed_on = any(status == there for _, _, there in self.reached)
        assert status in STATUSES or passed_on, said
        assert not re.search(b"Traceback|Internal Server Error", answer.body), said
        path = unquote(asked.path, errors="replace")
        matched = path == clean_path(path) and self.router.match(asked.method, path)
        # A pipe is begun in the engine's own words.
        is_pipe = RAW in answer.values(b"content-type") or status == 101
        if matched:
            assert is_pipe or answer.values(b"api-version") == ["1.30"], said
        else:
            assert not self.reached, (said, self.reached)
            assert status in (301, 400, 404), said
        if status >= 400 and not passed_on:
            assert answer.values(b"content-type") == ["text/plain; charset=utf-8"], said
            if asked.method != "HEAD":
                assert answer.body.endswith(b"\n"), said


async def whole(receive):
    """Return the only message of a body that is there."""
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        return message
    return {"type": "http.request", "body": body, "more_body": False}


def parsed(asked, data):
    """Return what a client makes of these bytes."""
    client = h11.Connection(h11.CLIENT)
    upgrade = [("Host", "x"), ("Connection", "Upgrade"), ("Upgrade", "tcp")]
    client.send(h11.Request(method=asked.method, target="/", headers=upgrade))
    client.send(h11.EndOfMessage())
    if not data:
        return Answer(0, [], b"", False)
    client.receive_data(data)
    status, headers, body, whole = 0, [], b"", False
    while isinstance(event := client.next_event(), h11.Event):
        match event:
            case h11.Response() | h11.InformationalResponse():
                status, headers = event.status_code, list(event.headers)
            case h11.Data():
                body += bytes(event.data)
            case h11.EndOfMessage():
                whole = True
            case _:
                break
        if status == 101 or whole:
            break
    return Answer(status, headers, body, whole)


# What is drawn. `<web>` stands for an id, `<web:12>` for the beginning of one.

THINGS = ("web", "db", "old", "net", "image", "exec")
ODD = (
    *("", " ", ".", "..", "%2e%2e", "..%2f..%2f_ping", "a/../../_ping", "a//b", "/", "//"),
    *("%00", "a%00b", "%0a", "web%0d%0aX: y", "%0d%0a%0d%0a", "%3fall=1", "web%23x", "%25", "%"),
    *("%zz", "é", "\u202e", "🐳", "x" * 5000, "web?x", "*", "web;ls", "-1", "null", "sha", ":"),
    *("busybox:", "@", "busybox@", "busybox@sha256:", "a@b@c", "busybox/json", "web/json"),
)
NAMES = (
    *("web", "/web", "node-1/web", "db", "old", "nobody", "new", "net", "node-1/net", "bridge"),
    *("data", "node-2/data", "busybox", "busybox:latest", "<image>", "<image:9>", "<exec>"),
    *("<web>", "<web:12>", "<web:3>", "<web:1>", "<db>", "<old>", "<net>", "<net:12>"),
)
text = st.text(max_size=8)
known = st.sampled_from(NAMES)
names = st.one_of(known, known, known, st.sampled_from(ODD), text.map(quote))
plain_names = st.one_of(known, known, st.sampled_from(ODD).map(unquote), text)
numbers = st.sampled_from([0, 1, -1, 2**31, 2**63, 2**64, -(2**63), 10**30, 0.5, 1e308, 1e-9])
leaves = st.one_of(st.none(), st.booleans(), numbers, plain_names)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain_names, inner, max_size=3),
    max_leaves=6,
)

RIGHT = (
    {"Image": "busybox", "Cmd": ["sleep", "60"], "HostConfig": {"Memory": 1 << 20, "CpuShares": 1}},
    {"Image": "busybox", "Env": ["constraint:node==node-2"], "Labels": {"a": "b"}, "Tty": True},
    {"Image": "busybox", "HostConfig": {"NetworkMode": "net", "AutoRemove": True}},
    {"Image": "nobody", "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}},
    {"Cmd": ["echo", "x"], "AttachStdout": True},
    {"Detach": True},
    {"Name": "net-2", "Driver": "bridge", "CheckDuplicate": True},
    {"Container": "web", "Force": True},
    {"Container": "<old>", "EndpointConfig": {"Aliases": ["a"]}},
    {"Name": "data-2", "Labels": {"a": "b"}},
    {"Memory": 1 << 22},
)


@st.composite
def nearly_right(draw):
    """Draw an order with something in it that does not belong there."""
    order = json.loads(json.dumps(draw(st.sampled_from(RIGHT))))
    inside = draw(st.sampled_from([order, *(v for v in order.values() if isinstance(v, dict))]))
    inside[draw(st.sampled_from(sorted(inside)))] = draw(anything)
    return order


right = st.sampled_from(RIGHT).map(lambda order: json.dumps(order).encode())
bodies = st.one_of(
    st.just(b""),
    right,
    right,
    nearly_right().map(lambda order: json.dumps(order).encode()),
    anything.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([b"null", b"{}{}", b"{", b"[" * 3000, b'{"a":' * 3000, b"\xff\xfe{}", b"NaN"]),
    st.binary(max_size=20),
)

FILTERS = ("id", "name", "node", "status", "label", "exited", "before", "health", "reference", "x")
filters = st.dictionaries(
    st.sampled_from(FILTERS),
    st.lists(plain_names, max_size=2) | st.dictionaries(plain_names, st.booleans(), max_size=2),
    max_size=2,
).map(json.dumps)
KEYS = (
    *("all", "limit", "before", "name", "container", "repo", "tag", "force", "v", "follow", "t"),
    *("stdout", "stdin", "stream", "logs", "h", "w", "signal", "condition", "until", "since"),
    *("path", "fromImage", "fromSrc", "names", "term", "filter", "tail", "Container", "é", ""),
)
FLAGS = ("", "0", "1", "true", "no", "-1", "1.5", "9" * 30, "KILL", "TERM", "/tmp", "busybox", "v")
pairs = st.tuples(st.sampled_from(KEYS), st.sampled_from(FLAGS) | plain_names)
pairs |= st.tuples(st.just("filters"), filters | plain_names | anything.map(json.dumps))
queries = st.lists(pairs, max_size=3)

PREFIXES = ("", "", "", "/v1.24", "/v1.30", "/v1.41", "/v0.1", "/v9999.9", "/v1/24", "/v1.24/v1.24")
HEADERS = (
    ("Content-Type", "application/json"),
    ("Content-Type", "text/plain"),
    ("Upgrade", "tcp"),
    ("Connection", "Upgrade"),
    ("Connection", "close"),
    ("X-Registry-Auth", base64.b64encode(b'{"username": "u"}').decode()),
    ("X-Registry-Auth", "%%%"),
    ("X-Registry-Auth", base64.b64encode(b"[1]").decode()),
    ("Expect", "100-continue"),
    ("Api-Version", "1"),
    ("Origin", "http://example"),
)


FITTING = {
    "containers": (
        "web",
        "/web",
        "node-1/web",
        "db",
        "old",
        "<web>",
        "<web:12>",
        "<db>",
        "<old:5>",
    ),
    "images": ("busybox", "busybox:latest", "<image>", "<image:9>"),
    "exec": ("<exec>",),
    "networks": ("net", "node-1/net", "<net>", "<net:12>"),
    "volumes": ("data", "node-2/data"),
}
"""By the first part of a path, names of what is there."""


@st.composite
def requests(draw):
    method, route = draw(st.sampled_from(TABLE))
    there = st.sampled_from(FITTING.get(route.split("/")[1], NAMES))
    fitting = st.one_of(there, there, names)
    if draw(st.integers(0, 19)) == 0:
        method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "X"]))
    path = draw(st.sampled_from(PREFIXES)) + VARIABLE.sub(lambda _: draw(fitting), route)
    body, length = draw(bodies), None
    # Who begins another request waits for this one's answer, and events never end.
    if route != "/events" and draw(st.integers(0, 19)) == 0:
        length = max(0, len(body) + draw(st.sampled_from([-1, 1, 100])))
    headers = draw(st.lists(st.sampled_from(HEADERS), max_size=2, unique_by=lambda pair: pair[0]))
    return Asked(method, path, draw(queries), body, headers, length)


TOKEN = re.compile("<([a-z]+)(?::([0-9]+))?>")


def spelled(asked, ids):
    """Return a request with ids in place of their tokens."""

    def put(said):
        return TOKEN.sub(lambda found: ids[found[1]][: int(found[2] or 99)], said)

    length = len(put(asked.body.decode("latin-1")).encode("latin-1")) - len(asked.body)
    return asked._replace(
        path=put(asked.path),
        query=[(put(key), put(value)) for key, value in asked.query],
        body=put(asked.body.decode("latin-1")).encode("latin-1"),
        length=None if asked.length is None else asked.length + length,
    )


async def furnish(managed):
    """Put something onto the engines; return the ids."""
    one, two, three = managed.machines.values()
    created = {"Image": "busybox", "Cmd": ["sleep", "1000"]}
    ids = {
        "web": one.create("web", **created).id,
        "db": two.create("db", **created).id,
        "old": three.create("old", **created).id,
        "net": one.create_network("net").id,
        "image": one.image("busybox").id,
    }
    two.create_volume("data")
    one.start("web")
    three.start("old")
    three.stop("old")
    web = one.container("web")
    ids["exec"] = one.execs.create(one.new_id(), web, {"Cmd": ["sleep", "9"]}).id
    await managed.settle()
    return ids


def duties():
    """Return what every task is at, but this one."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    return Counter(task.get_coro().__qualname__ for task in others)


async def is_whole(managed):
    """Assert that a manager answers as before, and knows what there is."""
    assert await managed.get("/_ping") == (200, "OK")
    truth = {id for machine in managed.machines.values() for id in machine.containers}
    assert (await managed.told("/info"))["Containers"] == len(truth)
    listed = await managed.told("/containers/json", all="1")
    assert {each["Id"] for each in listed} == truth


async def bear(asked):
    async with manager(*NODES) as managed:
        watched = Watched(managed)
        ids = await furnish(managed)
        await managed.settle()
        before = duties()
        for each in asked:
            each = spelled(each, ids)
            watched.check(each, await watched.ask(each))
        await managed.lab.clock.advance(SECONDS)
        await is_whole(managed)
        left = duties() - before
        assert not left, left


@settings(
    max_examples=120 if THOROUGH else 15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(requests(), min_size=5, max_size=30))
def test_no_request_surprises_the_api(asked):
    asyncio.run(bear(asked))


def test_a_client_of_the_events_is_seen_to_leave_although_it_has_sent_a_body():
    asyncio.run(bear([Asked("GET", "/events", [], b"{}", [])]))


# A walk: what was done, beside what is told.

NAMED = ("web", "db", "old", "new")
CREATED = {"Image": "busybox", "Cmd": ["sleep", "1000"]}
ACTIONS = ("create", "create", "start", "stop", "kill", "restart", "rename", "remove", "force")
step = st.tuples(*map(st.sampled_from, ((*ACTIONS, "commit"), NAMED, NAMED)))


class Model:
    """What a cluster should be: states by name, and images."""

    def __init__(self):
        self.states = {}
        self.images = {"busybox:latest"}

    def expect(self, action, name, other):
        """Return the status of an answer, after its effect."""
        states = self.states
        if action == "create":
            return 409 if name in states else self.become(name, "created", 201)
        if name not in states:
            return 404
        running = states[name] == "running"
        match action:
            case "start" | "restart":
                return self.become(name, "running")
            case "stop":
                return self.become(name, "exited") if running else 304
            case "kill":
                return self.become(name, "exited") if running else 409
            case "rename":
                return 409 if other in states else self.become(other, states.pop(name))
            case "commit":
                self.images.add(f"{other}:latest")
                return 201
            case "remove" if running:
                return 500
            case _:
                del states[name]
                return 204

    def become(self, name, state, status=204):
        self.states[name] = state
        return status


async def act(client, action, name, other):
    """Do it; return the status of the answer."""
    path, query = f"/containers/{name}", {}
    match action:
        case "create":
            return await client.post("/containers/create", params={"name": name}, json=CREATED)
        case "remove" | "force":
            return await client.delete(path, params={"force": str(int(action == "force"))})
        case "commit":
            return await client.post("/commit", params={"container": name, "repo": other})
        case "rename":
            query = {"name": other}
    return await client.post(f"{path}/{action}", params=query)


async def walk(steps):
    async with manager(*NODES) as managed:
        before, model = duties(), Model()
        for action, name, other in steps:
            wanted = model.expect(action, name, other)
            # No time passes: whoever has the answer sees the effect.
            answer = await act(managed.client, action, name, other)
            assert answer.status_code == wanted, (action, name, other, answer.text)
            listed = await managed.told("/containers/json", all="1")
            states = {each["Names"][0].rpartition("/")[2]: each["State"] for each in listed}
            assert states == model.states
            for called, state in states.items():
                found = await managed.told(f"/containers/{called}/json")
                assert (found["Name"], found["State"]["Status"]) == (f"/{called}", state)
            tags = {tag for each in await managed.told("/images/json") for tag in each["RepoTags"]}
            assert tags == model.images
        await managed.settle()
        await is_whole(managed)
        assert not duties() - before


@settings(max_examples=60 if THOROUGH else 8, deadline=None)
@given(st.lists(step, min_size=8, max_size=30))
def test_after_each_order_the_api_tells_of_its_effect(steps):
    asyncio.run(walk(steps))
