"""A list in ZooKeeper: libkv's store of Swarm v1.2.9, over kazoo.

| upstream                             | here                             |
|--------------------------------------|----------------------------------|
| go-zookeeper `Conn`                  | `Session`, around kazoo's client |
| go-zookeeper `flushUnsentRequests`   | `Session.out_of_servers`         |
| libkv `Zookeeper.List`, `WatchTree`  | `Tree`                           |
| go-zookeeper `parseSeq`, `Lock.Lock` | `place`, `predecessor`           |
| libkv `Zookeeper`, `zookeeperLock`   | `ZooKeeper`                      |
"""

# kazoo has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownLambdaType=false, reportUnknownMemberType=false
import asyncio
import logging
import re
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoNodeError
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.hosts import collect_hosts
from kazoo.protocol.states import KazooState, WatchedEvent

from walkthroughs.swarm.discovery import DiscoveryError, Options
from walkthroughs.swarm.golang import join_host_port
from walkthroughs.swarm.kv import StoreError, Values, over
from walkthroughs.swarm.world import World, reason, within

DEFAULT_TIMEOUT = 10.0
"""Seconds that a session outlives its connection, and with it what hangs on it."""

DIAL_TIMEOUT = 1.0
"""Seconds to wait for one server, and at most between two rounds of all."""

# Whoever uses a store is told of trouble, and need not read of it on stderr.
SILENCE = logging.Logger("zookeeper", logging.CRITICAL + 1)


class NoNode(StoreError):
    """There is nothing at a path."""


def explain(error: KazooException) -> StoreError:
    """Return what we raise for what kazoo raises, whose name is often all it says."""
    words = re.sub("(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
    kind = NoNode if isinstance(error, NoNodeError) else StoreError
    return kind(f"zk: {words} {error}".strip())


def with_ports(servers: Sequence[str]) -> list[str]:
    """Return addresses with a port, 2181 if none is given; raise `DiscoveryError`."""
    try:
        pairs: list[tuple[str, int]] = collect_hosts(",".join(servers))[0]
        for host, _ in pairs:
            # A name that cannot be asked for would end kazoo's thread.
            host.encode("idna")
    except ValueError as error:
        raise DiscoveryError(f"zk: {','.join(servers)}: {error}") from None
    return [join_host_port(host, str(port)) for host, port in pairs]


def settle(
    future: asyncio.Future[Any], value: Any = None, error: Exception | None = None
) -> None:
    """Give a future its value, or an exception, unless it has one."""
    if future.done():
        return
    if error:
        future.set_exception(error)
    else:
        future.set_result(value)


class Session(SequentialThreadingHandler):
    """kazoo's client and its threads, for the tasks of one event loop."""

    def __init__(
        self,
        servers: Sequence[str],
        tls: ssl.SSLContext | None,
        timeout: float,
        world: World,
    ) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.clock = world.clock
        self.tls = tls
        # Managers that were given one list should not all begin with its first.
        self.servers = world.random.sample(servers, len(servers))
        self.outcome: dict[str, str] = {}
        self.line: socket.socket | None = None
        self.waiting: set[asyncio.Future[Any]] = set()
        self.cut = asyncio.Event()
        """Set when the connection has ended, whatever becomes of the session."""
        self.hope = False
        self.leaving = False
        self.lasts = False
        """Whether the session is left to its timeout in the end."""
        retry = {"max_tries": -1, "max_jitter": 0, "max_delay": DIAL_TIMEOUT}
        self.client: Any = KazooClient(
            ",".join(self.servers),
            timeout,
            handler=self,
            randomize_hosts=False,
            connection_retry=retry | {"sleep_func": self.sleep_func},
            logger=SILENCE,
        )

    # kazoo calls these two in its own thread.

    def create_connection(
        self, address: tuple[str, int], hostname: str, **_: Any
    ) -> socket.socket:
        if self.leaving:
            raise ConnectionAbortedError
        server = join_host_port(hostname, str(address[1]))
        try:
            self.line = socket.create_connection(address, DIAL_TIMEOUT)
            if self.tls:
                self.line = self.tls.wrap_socket(self.line, server_hostname=hostname)
        except OSError as error:
            self.outcome[server] = reason(error)
            raise
        self.outcome[server] = "it does not answer as a ZooKeeper that serves"
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.line

    def sleep_func(self, seconds: float) -> None:
        # It rests at the end of its list, which it began to go through where the
        # connection was: one round more, and all have been tried.
        if not self.hope:
            self.post(self.out_of_servers)
        self.hope = False
        time.sleep(seconds)

    def post(self, function: Callable[..., object], *arguments: Any) -> None:
        """Let the event loop call a function; this is for other threads."""
        with suppress(RuntimeError):  # The loop is no more.
            self.loop.call_soon_threadsafe(function, *arguments)

    def expect(self) -> asyncio.Future[Any]:
        """Return a future that fails when there is no server."""
        future = self.loop.create_future()
        self.waiting.add(future)
        future.add_done_callback(self.waiting.discard)
        return future

    def out_of_servers(self) -> None:
        """Fail whoever waits for an answer."""
        told = (f"{s}: {self.outcome.get(s, 'no such host')}" for s in self.servers)
        error = StoreError(f"zk: could not connect to a server: {', '.join(told)}")
        for future in self.waiting:
            settle(future, None, error)

    async def result(self, request: Any) -> Any:
        """Return what has come of a request; raise `StoreError`."""
        future = self.expect()
        request.rawlink(
            lambda done: self.post(settle, future, done.value, done.exception)
        )
        try:
            return await future
        except KazooException as error:
            raise explain(error) from None

    async def change(self, path: str) -> None:
        """Return when a node has changed, or is not there."""
        changed = asyncio.Event()
        request = self.client.exists_async(path, lambda _: self.post(changed.set))
        if await self.result(request):
            await changed.wait()

    async def keep_in(self, path: str) -> None:
        """Set `cut` when a node is there no more, or nobody can tell."""
        with suppress(StoreError):
            await self.change(path)
        self.cut.set()

    async def __aenter__(self) -> "Session":
        opened = self.expect()

        def listen(state: str) -> None:
            if state == KazooState.CONNECTED:
                self.hope = True
                self.post(settle, opened)
            else:
                self.post(self.cut.set)

        self.client.add_listener(listen)
        self.client.start_async()
        try:
            await opened
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def hang_up(self) -> None:
        """End the connection for good, with no request that ends the session."""
        self.leaving = True
        with suppress(OSError):
            if self.line:
                self.line.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """Return when the connection and the threads have ended."""
        closed = asyncio.Event()

        def end() -> None:
            if self.lasts:
                self.hang_up()
            self.client.stop()
            self.client.close()
            self.post(closed.set)

        ending = self.spawn(end)
        with suppress(TimeoutError):
            await within(DIAL_TIMEOUT, closed.wait(), self.clock)
        # That wakes a thread that waits for a silent server.
        self.hang_up()
        await closed.wait()
        ending.join()


class Tree:
    """The values in a directory; asked for again are those that have changed."""

    def __init__(self, session: Session, path: str) -> None:
        self.session = session
        self.path = path
        self.known: dict[str, str] = {}
        self.stale: set[str | None] = set()
        self.changed = asyncio.Event()

    def _watch(self, event: WatchedEvent) -> None:
        self.session.post(self._mark, event.path)

    def _mark(self, path: str | None) -> None:
        # Events and results come through two threads: what is fetched at this moment
        # may yet be written over what has changed. So it is forgotten in `read`.
        self.stale.add(path)
        self.changed.set()

    def _forget(self) -> None:
        if None in self.stale:
            # The connection has ended, and with it every watch.
            self.known.clear()
        for path in self.stale:
            self.known.pop(path or "", None)
        self.stale.clear()

    async def _get(self, path: str) -> None:
        # The watch of the children tells of one that has gone meanwhile.
        with suppress(NoNode):
            request = self.session.client.get_async(path, self._watch)
            data, _ = await self.session.result(request)
            self.known[path] = (data or b"").decode(errors="replace")

    async def read(self) -> Values:
        """Return the values, sorted by key, and watch for changes from now on."""
        self.changed.clear()
        self._forget()
        request = self.session.client.get_children_async(self.path, self._watch)
        paths = [f"{self.path}/{name}" for name in await self.session.result(request)]
        await asyncio.gather(*(self._get(p) for p in paths if p not in self.known))
        return [self.known[path] for path in sorted(paths) if path in self.known]


def place(name: str) -> int:
    """Return the number that ZooKeeper gave a contender, -1 for what is none."""
    numbered = re.search("-([0-9]+)$", name)
    return int(numbered[1]) if numbered else -1


def predecessor(name: str, names: Iterable[str]) -> str | None:
    """Return who is next before `name` in the queue, None if nobody is.

    Raise `StoreError` when `name` has lost its place.
    """
    queue = sorted((each for each in names if place(each) >= 0), key=place)
    if name not in queue:
        raise StoreError("zk: session has been expired by the server")
    return queue[queue.index(name) - 1] if queue[0] != name else None


def misplaced(owner: int, session: int, ttl: float) -> bool:
    """Tell whether a node should hang on a session, and hangs on another, or on none.

    A process that was killed leaves one behind, for as long as its session lives.
    """
    return ttl > 0 and owner != session


class ZooKeeper:
    """A `Store`: a session for each watch and each lock, one for all that is put."""

    def __init__(
        self, servers: Sequence[str], tls: ssl.SSLContext | None, world: World
    ) -> None:
        self.servers = servers
        self.tls = tls
        self.world = world
        self.opening = asyncio.Lock()
        self.kept: tuple[Session, AsyncGenerator[Session, None]] | None = None

    def session(self, timeout: float = DEFAULT_TIMEOUT) -> Session:
        return Session(self.servers, self.tls, timeout, self.world)

    async def _keep(self) -> AsyncGenerator[Session, None]:
        try:
            async with self.session() as session:
                session.lasts = True
                yield session
        finally:
            self.kept = None

    async def _kept(self) -> Session:
        """Return the session that keys hang on, and which outlives the event loop."""
        async with self.opening:
            if not self.kept:
                # The loop's last deed is to close the generators that have not ended.
                keeper = self._keep()
                self.kept = await anext(keeper), keeper
            return self.kept[0]

    async def put(self, key: str, value: str, ttl: float) -> None:
        session = await self._kept()
        client, path, data = session.client, f"/{key}", value.encode()
        node = await session.result(client.exists_async(path))
        if not node:
            create = client.create_async(path, data, None, ttl > 0, makepath=True)
            await session.result(create)
        elif misplaced(node.ephemeralOwner, client.client_id[0], ttl):
            # Both at once, so that no watch sees the list without it.
            both = client.transaction()
            both.delete(path)
            both.create(path, data, ephemeral=True)
            for done in await session.result(both.commit_async()):
                if isinstance(done, KazooException):
                    raise explain(done)
        else:
            await session.result(client.set_async(path, data))

    async def list(self, directory: str) -> Values:
        async with self.session() as session:
            with suppress(NoNode):
                return await Tree(session, f"/{directory}").read()
            return []

    async def watch_tree(self, directory: str) -> AsyncGenerator[Values, None]:
        async with self.session() as session:
            tree, last = Tree(session, f"/{directory}"), None
            await session.result(session.client.ensure_path_async(tree.path))
            while True:
                values = await tree.read()
                if values != last:
                    yield values
                last = values
                await tree.changed.wait()

    @asynccontextmanager
    async def lock(
        self, key: str, value: str, ttl: float
    ) -> AsyncGenerator[asyncio.Event, None]:
        path = f"/{key}"
        # As go-zookeeper names its contenders: who knows both, sees one queue.
        first = f"{path}/_c_{self.world.random.getrandbits(128):032x}-lock-"
        async with self.session(ttl) as session:
            client, result = session.client, session.result
            create = client.create_async(first, b"", None, True, True, True)
            name = (await result(create)).rpartition("/")[2]
            while True:
                session.cut.clear()
                names = await result(client.get_children_async(path))
                if not (before := predecessor(name, names)):
                    break
                await session.change(f"{path}/{before}")
            await result(client.set_async(path, value.encode()))
            holding = asyncio.create_task(session.keep_in(f"{path}/{name}"))
            try:
                yield session.cut
            finally:
                holding.cancel()
                await asyncio.wait([holding])

    async def watch(self, key: str) -> AsyncGenerator[str, None]:
        async with self.session() as session:
            client, path, last = session.client, f"/{key}", None
            changed = asyncio.Event()

            def mark(_: WatchedEvent) -> None:
                session.post(changed.set)

            await session.result(client.ensure_path_async(path))
            while True:
                changed.clear()
                names = await session.result(client.get_children_async(path, mark))
                data, _ = await session.result(client.get_async(path, mark))
                # The value stays behind when its holder goes.
                held = any(place(name) >= 0 for name in names)
                value = (data or b"").decode(errors="replace") if held else ""
                if value != last:
                    yield value
                last = value
                await changed.wait()


def open_zookeeper(
    servers: Sequence[str], tls: ssl.SSLContext | None, options: Options, world: World
) -> ZooKeeper:
    """Return the store; raise `DiscoveryError` for an address that cannot be one."""
    return ZooKeeper(with_ports(servers), tls, world)


initialize = over(open_zookeeper)
