"""A cluster in memory: a clock that is told the time, a network of ASGI applications.

| of the world            | in the lab                                              |
|-------------------------|---------------------------------------------------------|
| the machine's clock     | `VirtualClock`: an hour passes in milliseconds          |
| TCP and HTTP            | `Network`: `http://host:port` is an ASGI application    |
| a power cut, a cable    | `Network.unplug`, `Network.freeze`                      |
| chance                  | `random.Random` with a seed                             |
| processes               | tasks of a `Lab`                                        |
"""

import asyncio
import heapq
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    MutableMapping,
)
from inspect import isawaitable
from itertools import count
from random import Random
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TextIO, TypeAlias, cast

import httpx2

# A name from it would be wanted before the page of `world` comes to it.
from walkthroughs.swarm import world
from walkthroughs.swarm.golang import join_host_port
from walkthroughs.swarm.world import World

EPOCH = 1_500_000_000
"""The Unix time at which a lab begins: 2017-07-14 02:40:00 UTC."""

QUIET = 3
"""Turns of a loop in which no task runs; a callback may hide for one."""

BUFFER = 64
"""Pieces of an answer that may be under way; who sends more waits for the reader."""

CUT_OFF = "peer closed connection without sending complete message body"
"""What an HTTP client says of an answer that ends too early."""

Scope: TypeAlias = MutableMapping[str, Any]
App: TypeAlias = Callable[
    [Scope, Callable[[], Awaitable[Scope]], Callable[[Scope], Awaitable[None]]],
    Awaitable[None],
]
"""An ASGI application."""
Ends: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
"""What one side of a connection reads from, and writes to."""


class VirtualClock:
    """A `Clock` that stands still until it is told how much time passes."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def time(self) -> float:
        return EPOCH + self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await self.sleep_until(self.now + seconds)

    async def sleep_until(self, second: float) -> None:
        """Wait until `advance` has come to the second."""
        wake = asyncio.get_running_loop().create_future()
        due = max(self.now, second)
        # Of two that are due together, who lay down first rises first.
        heapq.heappush(self._sleepers, (due, next(self._order), wake))
        await wake

    async def advance(self, seconds: float) -> None:
        """Let time pass: wake sleepers one by one, each when all else has settled."""
        until = self.now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            self.now, _, wake = heapq.heappop(self._sleepers)
            if not wake.done():
                wake.set_result(None)
                await settle()
        self.now = until


async def settle() -> None:
    """Return when every other task waits; only one task at a time may ask this."""
    ready = getattr(asyncio.get_running_loop(), "_ready", None)
    if ready is None:
        return await settle_by_tasks()
    # Whoever is to run stands in this queue, and a sleep of 0 goes to its end.
    while ready:
        await asyncio.sleep(0)
    return None


async def settle_by_tasks() -> None:
    """Do the same on a loop that shows no queue, such as a browser's."""
    quiet = 0
    while quiet < QUIET:
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        quiet = 0 if any(map(is_runnable, others)) else quiet + 1


def is_runnable(task: asyncio.Task[Any]) -> bool:
    """Tell whether a task would go on at the loop's next turn."""
    # anyio.wait_all_tasks_blocked asks the same, and sleeps in between.
    waiter = getattr(task, "_fut_waiter", None)
    return waiter is None or waiter.done()


class Exchange(NamedTuple):
    """A request that was sent in a lab, and its answer; 0 if nobody was there."""

    time: float
    client: str
    server: str
    method: str
    path: str
    status: int


class UnderWay(Protocol):
    """What a power cut breaks: a request, or a connection."""

    def reset(self) -> None: ...

    async def aclose(self) -> None: ...


class Network:
    """Who is at which `host:port`, and what was said."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.apps: dict[str, App] = {}
        self.exchanges: list[Exchange] = []
        self.calls: dict[str, set[UnderWay]] = {}
        """Those under way, by host."""
        self.frozen: dict[str, asyncio.Event] = {}

    def plug(self, host: str, app: App) -> None:
        self.apps[host] = app

    def unplug(self, host: str) -> None:
        """Cut the power: nobody is there any more, and what was under way breaks."""
        self.apps.pop(host, None)
        for call in list(self.calls.get(host, ())):
            call.reset()

    def freeze(self, host: str) -> None:
        """Pull the cable: nothing arrives there and nothing comes back, not even no."""
        self.frozen.setdefault(host, asyncio.Event())

    def thaw(self, host: str) -> None:
        """Put the cable back: what was held up goes on its way."""
        if thawed := self.frozen.pop(host, None):
            thawed.set()

    async def reach(self, host: str, limit: float | None = None) -> None:
        """Wait for as long as a host is frozen; raise TimeoutError after `limit`."""
        while thawed := self.frozen.get(host):
            if limit is None:
                await thawed.wait()
            else:
                await world.within(limit, thawed.wait(), self.clock)

    async def call(self, host: str, request: httpx2.Request) -> "Call":
        """Hand a request to the application at `host`; raise `httpx2.ConnectError`."""
        try:
            limits = request.extensions.get("timeout", {})
            await self.reach(host, limits.get("connect"))
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(str(error), request=request) from error
        if not (app := self.apps.get(host)):
            refused = ConnectionRefusedError(111, "Connection refused")
            raise httpx2.ConnectError(str(refused), request=request) from refused
        return Call(self, host, app, request)


class Call(httpx2.AsyncByteStream):
    """A request that an application works on, in a task, and the answer as it comes."""

    def __init__(
        self, network: Network, host: str, app: App, request: httpx2.Request
    ) -> None:
        self.network, self.host, self.request = network, host, request
        self._upload = aiter(cast(httpx2.AsyncByteStream, request.stream))
        self._said: asyncio.Queue[Scope | httpx2.TransportError] = asyncio.Queue()
        self._room, self._complete = asyncio.Event(), asyncio.Event()
        self._started = self._uploaded = False
        self._task = asyncio.get_running_loop().create_task(self._work(app))
        network.calls.setdefault(host, set()).add(self)

    async def _work(self, app: App) -> None:
        try:
            await app(scope_of(self.request), self._receive, self._send)
        except Exception:
            # A server has a log for it. Here, what the client sees must do.
            pass
        finally:
            if aclose := getattr(self._upload, "aclose", None):
                await aclose()
        if not self._started:
            await self._send({"type": "http.response.start", "status": 500})
            await self._send({"type": "http.response.body"})
        elif not self._complete.is_set():
            self._said.put_nowait(httpx2.RemoteProtocolError(CUT_OFF))

    async def _receive(self) -> Scope:
        if (chunk := await anext(self._upload, None)) is not None:
            return {"type": "http.request", "body": chunk, "more_body": True}
        if not self._uploaded:
            self._uploaded = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._complete.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Scope) -> None:
        self._started = True
        self._said.put_nowait(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._complete.set()
        elif self._said.qsize() > BUFFER:
            self._room.clear()
            await self._room.wait()

    async def answer(self) -> httpx2.Response:
        """Return the answer as soon as its head is there."""
        try:
            head = await self._next()
        except BaseException:
            await self.aclose()
            raise
        return httpx2.Response(head["status"], headers=head.get("headers"), stream=self)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._next()
            more = message.get("more_body", False)
            if (body := message.get("body")) and self.request.method != "HEAD":
                yield body

    async def _next(self) -> Scope:
        message = await self._said.get()
        self._room.set()
        await self.network.reach(self.host)
        if isinstance(message, httpx2.TransportError):
            raise message
        return message

    def reset(self) -> None:
        """Break the connection, as the end of its machine does."""
        gone = ConnectionResetError(104, "Connection reset by peer")
        error = httpx2.ReadError(str(gone), request=self.request)
        error.__cause__ = gone
        self._said.put_nowait(error)
        self._task.cancel()

    async def aclose(self) -> None:
        """End the application's work, if it has more to say, and wait for its end."""
        self.network.calls[self.host].discard(self)
        if not self._complete.is_set():
            self._task.cancel()
        if not self._task.done():
            await asyncio.wait([self._task])


def scope_of(request: httpx2.Request) -> Scope:
    """Return what an ASGI application wants to know of a request first."""
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.partition(b"?")[0],
        "query_string": url.query,
        "server": (url.host, url.port),
        "client": ("127.0.0.1", 123),
        "root_path": "",
    }


class Wire(httpx2.AsyncBaseTransport):
    """The transport of one client on a network."""

    def __init__(self, network: Network, client: str) -> None:
        self.network = network
        self.client = client

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url, status = request.url, 0
        port = url.port or (443 if url.scheme == "https" else 80)
        host = join_host_port(url.host, str(port))
        begin = self.network.clock.now
        try:
            call = await self.network.call(host, request)
            response = await call.answer()
            status = response.status_code
            return response
        finally:
            said = (begin, self.client, host, request.method, url.path, status)
            self.network.exchanges.append(Exchange(*said))

    async def dial(self, addr: str) -> Ends:
        """Connect to `host:port`; raise `ConnectionRefusedError`."""
        # That module imports this one.
        from walkthroughs.swarm import lab_wire

        return await lab_wire.dial(self.network, self.client, addr)


class Lab:
    """A clock, a network, chance with a seed, and the tasks that live on them.

    Use it with `async with`, or call `close`: no task outlives its lab.
    """

    def __init__(self, seed: int = 1) -> None:
        self.clock = VirtualClock()
        self.network = Network(self.clock)
        self.random = Random(seed)
        self.tasks: dict[str, asyncio.Task[Any]] = {}
        self.store: dict[str, Any] = {}
        """What its machines share, as they would in a key-value store."""
        self._actions = count(1)

    def world(self, name: str, stdout: TextIO | None = None) -> World:
        """Return the surroundings of a program; `name` is what exchanges call it."""
        return World(self.clock, self.random, Wire(self.network, name), stdout)

    def start(self, name: str, program: Coroutine[Any, Any, Any]) -> None:
        """Run a program, as a task, until it ends, or `stop` or `close` ends it."""
        if name in self.tasks:
            program.close()
            raise ValueError(f"{name} is running")
        self.tasks[name] = asyncio.get_running_loop().create_task(program, name=name)

    def at(self, second: float, action: Callable[..., Any], *arguments: Any) -> None:
        """Call a function, plain or async, when the clock comes to that second."""

        async def wait_and_act() -> None:
            await self.clock.sleep_until(second)
            if isawaitable(result := action(*arguments)):
                await result

        self.start(f"action {next(self._actions)}", wait_and_act())

    async def stop(self, name: str) -> None:
        """Cancel a program and wait for its end, for which the clock stands still."""
        task = self.tasks.pop(name)
        task.cancel()
        await asyncio.wait([task])

    async def run(self, seconds: float) -> None:
        """Let time pass; raise what a program has raised meanwhile."""
        await self.clock.advance(seconds)
        for name, task in list(self.tasks.items()):
            if task.done():
                self.tasks.pop(name).result()

    async def close(self) -> None:
        for name in list(self.tasks):
            await self.stop(name)
        for calls in list(self.network.calls.values()):
            for each in list(calls):
                await each.aclose()

    async def __aenter__(self) -> "Lab":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
