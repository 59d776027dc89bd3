"""Eight minutes of a cluster, with every message: all parts of it, put together.

| party              | what it is here                                              |
|--------------------|--------------------------------------------------------------|
| client             | who makes the token, and asks for containers                 |
| hub                | a `Hub`, at `hub:2370` on the lab's network                  |
| node-1 to node-3   | a `LabEngine` each, and beside it the command `join`         |
| manager            | `new_cluster` with a `Watchdog`, on `token://` discovery     |

A **burst** is what two parties say to each other at one instant: in a lab, computing
takes no time. A **run** is bursts of one kind, such as heartbeats.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from itertools import count
from typing import Any, NamedTuple, TypeAlias

import httpx2

from walkthroughs.swarm.cluster import SHORT
from walkthroughs.swarm.events import Event
from walkthroughs.swarm.hub import Hub
from walkthroughs.swarm.lab import Exchange, Lab, Wire
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.main import execute
from walkthroughs.swarm.manage import flags_of, new_manager
from walkthroughs.swarm.world import World

NODES = {
    "node-1": ("10.0.0.1:2375", "storage=ssd"),
    "node-2": ("10.0.0.2:2375", "storage=disk"),
    "node-3": ("10.0.0.3:2375", "storage=disk"),
}
"""Address and label of each engine."""

CONTAINERS = [
    *("web-1", "web-2", "web-3", "batch-1", "batch-2"),
    *("db", "batch-3", "web-4", "web-5", "web-6"),
]
"""What the client asks for, in this order."""

WISHES = {
    "web": ["reschedule:on-node-failure"],
    "db": ["reschedule:on-node-failure", "constraint:storage==ssd"],
    "batch": [],
}
HEARTBEAT, TTL = 60, 180
HUB = "http://hub:2370"
END = 480
"""Seconds; so are the times of the script."""


class Message(NamedTuple):
    """What one party said to another: a request, an engine's event, a client's call."""

    time: float
    """Seconds, to a tenth."""
    source: str
    target: str
    text: str


def as_message(exchange: Exchange) -> Message:
    """Return a request as people would note it: without version, with short ids."""
    homes = {address: name for name, (address, _) in NODES.items()}
    server = homes.get(exchange.server) or exchange.server.partition(":")[0]
    path = exchange.path.removeprefix("/v1.31")
    path = re.sub("[0-9a-f]{64}", lambda id: id[0][:SHORT], path)
    failed = f" {exchange.status or 'refused'}" if not 0 < exchange.status < 400 else ""
    said = f"{exchange.method} {path}{failed}"
    return Message(round(exchange.time, 1), exchange.client, server, said)


class Pen(Wire):
    """A transport that writes down each request, in the order of sending."""

    def __init__(self, lab: Lab, client: str, messages: list[Message]) -> None:
        super().__init__(lab.network, client)
        self.messages = messages

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        place = len(self.messages)
        self.messages.append(Message(0, self.client, "", ""))
        try:
            return await super().handle_async_request(request)
        finally:
            # The network notes a request when its answer is there.
            self.messages[place] = as_message(self.network.exchanges[-1])


class Story:
    """A lab with a cluster in it, and whatever is said there."""

    def __init__(self) -> None:
        self.lab = Lab()
        self.messages: list[Message] = []
        self.turns: list[tuple[float, str, str]] = []
        """When, which node, what the manager then made of it."""
        self.log = StringIO()
        """The manager's."""
        hub = Hub(self.lab.world("hub"), random_hex=lambda size: "cafe")
        self.lab.network.plug("hub:2370", hub)
        self.engines = {
            name: LabEngine(self.lab, name, address, labels=[label]).plug()
            for name, (address, label) in NODES.items()
        }
        for name in NODES:
            self.lab.start(f"events of {name}", self.listen(name))

    @property
    def now(self) -> float:
        return round(self.lab.clock.now, 1)

    def note(self, source: str, target: str, text: str) -> None:
        """Write down a message that is no request."""
        self.messages.append(Message(self.now, source, target, text))

    async def listen(self, name: str) -> None:
        """Write down what an engine tells, for which the manager has a stream open."""
        with self.engines[name].subscribe() as events:
            while True:
                event = await events.get()
                self.note(name, "manager", f"event {event['Type']} {event['Action']}")

    def machine(self, name: str, stdout: StringIO) -> World:
        """Return the surroundings of a program on a machine."""
        pen = Pen(self.lab, name, self.messages)
        return World(self.lab.clock, self.lab.random, pen, stdout, StringIO())

    async def create(self) -> None:
        """Run the command `create`, and keep the token that it prints."""
        printed = StringIO()
        await execute(["create", "--hub", HUB], self.machine("client", printed))
        self.token = printed.getvalue().strip()

    def join(self, name: str) -> None:
        """Run the command `join` beside an engine."""
        flags = ["--hub", HUB, "--addr", NODES[name][0], f"token://{self.token}"]
        program = execute(["join", *flags], self.machine(name, StringIO()))
        self.lab.start(f"join {name}", program)

    def manage(self) -> None:
        """Start the manager, as the command `manage` does without flags."""
        world = self.machine("manager", self.log)
        line = ["--hub", HUB, f"token://{self.token}"]
        manager = new_manager(flags_of(line, world), world)
        manager.cluster.register_event_handler(self.turn)
        self.lab.start("manager", manager.cluster.run())
        # The lab's network has no sockets to listen on.
        self.lab.network.plug("manager:2375", manager.server.dispatcher)
        self.cluster = manager.cluster

    def turn(self, event: Event) -> None:
        """Write down what the manager has found out about an engine."""
        if event.origin == "swarm":
            self.turns.append((self.now, event.engine.name, event.status))

    async def ask(self, name: str) -> None:
        """Create a container and start it, as `docker run` does."""
        env = WISHES[name.partition("-")[0]]
        raw = {"Image": "busybox:latest", "Cmd": ["top"], "Env": env}
        async with self.lab.world("client").client("http://manager:2375") as docker:
            self.note("client", "manager", f"create {name}")
            await docker.post("/containers/create", params={"name": name}, json=raw)
            self.note("client", "manager", f"start {name}")
            await docker.post(f"/containers/{name}/start")

    async def lose(self, name: str) -> None:
        """Cut the power of a machine: of the engine, and of all beside it."""
        self.engines[name].crash()
        await self.lab.stop(f"join {name}")

    def restore(self, name: str) -> None:
        """Switch a machine on again."""
        self.engines[name].come_back()
        self.join(name)


Act: TypeAlias = tuple[float, Callable[..., Any], *tuple[str, ...]]
"""At which second somebody does what, and to whom."""


def script(story: Story) -> Iterator[Act]:
    """Yield what is done from outside; all else follows from it."""
    yield 0, story.create
    for second, name in zip(count(5, 5), NODES, strict=False):
        yield second, story.join, name
    yield 20, story.manage
    for second, name in zip(count(60, 5), CONTAINERS, strict=False):
        yield second, story.ask, name
    yield 150, story.lose, "node-2"
    yield 400, story.restore, "node-2"


async def tell(
    until: float = END, acts: Callable[[Story], Iterable[Act]] = script
) -> Story:
    """Let a story happen up to a second, and return it; each time it is the same."""
    story = Story()
    async with story.lab as lab:
        for act in acts(story):
            lab.at(*act)
        await lab.run(until)
    return story


KINDS = (
    ("refused", "nobody there"),
    ("DELETE /containers", "remove twins"),
    ("POST /containers", "run a container"),
    ("GET /events", "connect"),
    ("GET /images", "refresh"),
    ("POST /v1/clusters/", "heartbeat"),
    ("POST /v1/clusters", "make a token"),
    ("GET /v1/clusters", "ask for the list"),
    ("GET /containers", "look for twins"),
    ("create", "ask for a container"),
)
"""What a burst is about, by what is said in it; the first line that fits tells."""

LULL = 100
"""Seconds of silence after which a run is over."""

Burst: TypeAlias = list[Message]


def bursts(messages: Iterable[Message]) -> list[Burst]:
    """Put together what two parties say to each other at one instant."""
    found: dict[object, Burst] = {}
    for message in messages:
        between = frozenset((message.source, message.target))
        found.setdefault((message.time, between), []).append(message)
    return list(found.values())


def kind_of(burst: Burst) -> str:
    said = "; ".join(message.text for message in burst)
    return next(kind for sign, kind in KINDS if sign in said)


class Run(NamedTuple):
    """Bursts of one kind between two parties, without a lull."""

    kind: str
    source: str
    target: str
    bursts: list[Burst]

    @property
    def start(self) -> float:
        return self.bursts[0][0].time

    @property
    def end(self) -> float:
        return self.bursts[-1][0].time

    @property
    def messages(self) -> int:
        """How many they are."""
        return sum(map(len, self.bursts))


def runs(messages: Iterable[Message]) -> list[Run]:
    """Put bursts of a kind together; every message is in one run."""
    found: list[Run] = []
    last: dict[object, Run] = {}
    for burst in bursts(messages):
        time, source, target, _ = burst[0]
        key = kind, _ = kind_of(burst), frozenset((source, target))
        if not (run := last.get(key)) or time - run.end > LULL:
            run = last[key] = Run(kind, source, target, [])
            found.append(run)
        run.bursts.append(burst)
    return found
