"""A cluster in memory: a clock that is told the time, a network of ASGI applications.

| of the world            | in the lab                                              |
|-------------------------|---------------------------------------------------------|
| the machine's clock     | `VirtualClock`: an hour passes in milliseconds          |
| TCP and HTTP            | `Network`: `http://host:port` is an ASGI application    |
| chance                  | `random.Random` with a seed                             |
| processes               | tasks of a `Lab`                                        |
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from itertools import count
from random import Random
from types import TracebackType
from typing import Any, NamedTuple, TextIO, TypeAlias

import httpx2

from walkthroughs.swarm.golang import join_host_port
from walkthroughs.swarm.world import World

EPOCH = 1_500_000_000
"""The Unix time at which a lab begins: 2017-07-14 02:40:00 UTC."""

QUIET = 3
"""Turns of the event loop in which nothing runs; a callback may hide for one."""

Scope: TypeAlias = MutableMapping[str, Any]
App: TypeAlias = Callable[
    [Scope, Callable[[], Awaitable[Scope]], Callable[[Scope], Awaitable[None]]],
    Awaitable[None],
]
"""An ASGI application."""


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
        """Wait until `advance` has come to the second."""
        wake = asyncio.get_running_loop().create_future()
        due = self.now + max(0.0, seconds)
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


class Network:
    """Who is at which `host:port`, and what was said."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.apps: dict[str, App] = {}
        self.exchanges: list[Exchange] = []


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
            if not (app := self.network.apps.get(host)):
                refused = ConnectionRefusedError(111, "Connection refused")
                raise httpx2.ConnectError(str(refused), request=request) from refused
            inner = httpx2.ASGITransport(app, raise_app_exceptions=False)
            response = await inner.handle_async_request(request)
            status = response.status_code
            return response
        finally:
            said = (begin, self.client, host, request.method, url.path, status)
            self.network.exchanges.append(Exchange(*said))


class Lab:
    """A clock, a network, chance with a seed, and the tasks that live on them.

    Use it with `async with`, or call `close`: no task outlives its lab.
    """

    def __init__(self, seed: int = 1) -> None:
        self.clock = VirtualClock()
        self.network = Network(self.clock)
        self.random = Random(seed)
        self.tasks: dict[str, asyncio.Task[Any]] = {}

    def world(self, name: str, stdout: TextIO | None = None) -> World:
        """Return the surroundings of a program; `name` is what exchanges call it."""
        return World(self.clock, self.random, Wire(self.network, name), stdout)

    def start(self, name: str, program: Coroutine[Any, Any, Any]) -> None:
        """Run a program, as a task, until it ends, or `stop` or `close` ends it."""
        if name in self.tasks:
            program.close()
            raise ValueError(f"{name} is running")
        self.tasks[name] = asyncio.get_running_loop().create_task(program, name=name)

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

    async def __aenter__(self) -> "Lab":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
