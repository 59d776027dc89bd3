"""HTTP/1.1 between one client and an ASGI application: server.go of net/http.

| Go, package `net/http`                    | here                                |
|-------------------------------------------|-------------------------------------|
| `ErrAbortHandler`                         | `AbortHandler`                      |
| `CloseNotifier`                           | `Reader.left`, `Exchange.receive`   |
| `ResponseWriter`, `chunkWriter`           | `Exchange.send`                     |
| `Hijacker`                                | `Exchange.hijack`                   |
| `conn.serve`                              | `Connection`                        |
| `closeWriteAndWait`                       | `Connection.part`                   |
| `Server.Serve`, `Shutdown`                | `serve`, `Clients.close`            |
"""

import asyncio
import re
import socket
import ssl
import traceback
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from functools import lru_cache, partial
from http.client import responses

from starlette.responses import Response
from starlette.types import ASGIApp, Message

from walkthroughs.swarm.golang import join_host_port
from walkthroughs.swarm.http_messages import (
    HEAD_LIMIT,
    READ_LIMIT,
    BadRequest,
    Body,
    Fields,
    Head,
    read_through,
)
from walkthroughs.swarm.tls_transport import Ends, TLSTransport
from walkthroughs.swarm.world import World, reason, within

GRACE = 1.0
"""Seconds that requests have to end in, when the server is to stop."""
PARTING = 0.5
"""Seconds in which a client may read why it is cut off. (`rstAvoidanceDelay`)"""
BACKLOG = 2048
"""Connections that may wait for us to take them."""

HEAD_END = b"\r\n\r\n"
FORBIDDEN = re.compile(rb"[\r\n\0]")
"""What would begin another line of an answer."""


class AbortHandler(Exception):
    """An application cannot go on with its answer, and has said why."""


class Reader(asyncio.StreamReader):
    """Tells that the other side has left, also while nobody reads."""

    def __init__(self) -> None:
        super().__init__(READ_LIMIT, asyncio.get_running_loop())
        self.left = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        # Who has asked for more, and said that it is all, waits for the answers.
        if self.at_eof():
            self.left.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.left.set()


@lru_cache(1)
def date(second: int) -> bytes:
    """Return a Unix time as HTTP has it; in one second there are many answers."""
    return formatdate(second, usegmt=True).encode()


def lines(status: int, fields: Fields) -> bytes:
    """Return the head of an answer; raise ValueError for what would be another."""
    head = [b"HTTP/1.1 %d %s" % (status, responses.get(status, "").encode())]
    head += [b"%s: %s" % field for field in fields]
    if FORBIDDEN.search(b"".join(head)):
        raise ValueError("a line end in a field of an answer")
    return b"\r\n".join([*head, b"", b""])


class Exchange:
    """One request and its answer: what an ASGI application is called with."""

    def __init__(
        self, head: Head, reader: Reader, writer: asyncio.StreamWriter, world: World
    ) -> None:
        self.reader, self.writer, self.world = reader, writer, world
        self.method, self.version = head.method, head.version
        self.scope = head.scope()
        self.scope["extensions"] = {"hijack": self.hijack}
        self.body = Body(head, reader)
        modern = head.version == "1.1"
        self.keep_alive = modern and b"close" not in head.words(b"connection")
        self.expected = modern and b"100-continue" in head.words(b"expect")
        """Whether the client keeps its body back until it is asked for it."""
        self.told = False
        """Whether the application knows that there is no more of the body."""
        self.trouble: BadRequest | None = None
        """What is wrong with the body."""
        self.begun = self.done = self.hijacked = False
        self._head = b""
        self._rest = 0
        """Bytes of the answer that have been announced and not written."""
        self._write: Callable[[bytes, bool], None] = self._write_until_close

    async def receive(self) -> Message:
        """Return a piece of the body, or that the client has left."""
        if self.told or self.trouble or self.done:
            if not (self.trouble or self.done or self.reader.at_eof()):
                await self.reader.left.wait()
            return {"type": "http.disconnect"}
        if self.expected:
            self.expected = False
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            piece = await self.body.read()
        except BadRequest as error:
            self.trouble = error
        except (EOFError, OSError):
            self.trouble = BadRequest(400)
        else:
            self.told = self.body.whole
            return {"type": "http.request", "body": piece, "more_body": not self.told}
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Write a part of the answer, as fast as the client reads."""
        # Whoever has left misses nothing.
        if not self.writer.is_closing():
            if message["type"] == "http.response.start":
                self._start(message["status"], list(message.get("headers", [])))
            else:
                more = message.get("more_body", False)
                self._write(message.get("body", b""), more)
                self.done = not more
            # To wait for nothing would cost as much as to write.
            if self.writer.transport.get_write_buffer_size():
                with suppress(OSError):
                    await self.writer.drain()

    def _start(self, status: int, fields: Fields) -> None:
        names = {name.lower(): value for name, value in fields}
        if self.method == "HEAD" or status in (204, 304):
            self._write = self._write_nothing
        elif (length := names.get(b"content-length")) is not None:
            self._rest, self._write = int(length), self._write_sized
        elif self.version == "1.1":
            self._write = self._write_chunk
            fields.append((b"transfer-encoding", b"chunked"))
        # A body that was not asked for may come nevertheless, or not.
        if self.expected or b"close" in names.get(b"connection", b"").lower():
            self.keep_alive = False
        if not self.keep_alive and b"connection" not in names:
            fields.append((b"connection", b"close"))
        if b"date" not in names:
            fields.append((b"date", date(int(self.world.clock.time()))))
        self._head, self.begun = lines(status, fields), True
        # In one packet with what is said next, if it is said at once.
        asyncio.get_running_loop().call_soon(self.put, b"")

    def put(self, data: bytes) -> None:
        """Write, and first the head, if that is still here."""
        head, self._head = self._head, b""
        if head or data:
            self.writer.write(head + data if head else data)

    def _write_sized(self, data: bytes, more: bool) -> None:
        self._rest -= len(data)
        if self._rest < 0 or (self._rest and not more):
            raise ValueError("the answer has another length than it says")
        self.put(data)

    def _write_chunk(self, data: bytes, more: bool) -> None:
        chunk = b"%x\r\n%s\r\n" % (len(data), data) if data else b""
        self.put(chunk if more else chunk + b"0\r\n\r\n")

    def _write_until_close(self, data: bytes, more: bool) -> None:
        self.put(data)

    def _write_nothing(self, data: bytes, more: bool) -> None:
        self.put(b"")

    async def hijack(self) -> Ends:
        """Return both ends of the client's connection, which is HTTP no more."""
        self.begun = self.hijacked = True
        return self.reader, self.writer


class Connection:
    """A client: its requests and their answers, in turns."""

    def __init__(self, app: ASGIApp, scheme: str, world: World) -> None:
        self.app, self.scheme, self.world = app, scheme, world
        self.reader = Reader()
        self.task: asyncio.Task[None] | None = None
        self.exchange: Exchange | None = None
        """What is being answered, if it is."""

    async def run(self, writer: asyncio.StreamWriter) -> None:
        """Answer until one of the two leaves."""
        self.writer = writer
        with suppress(EOFError, OSError):
            try:
                while await self.turn():
                    pass
            except BadRequest as error:
                writer.write(error.answer())
            await self.part()
            writer.close()
            await writer.wait_closed()

    async def turn(self) -> bool:
        """Answer a request; return whether there may be another."""
        self.exchange = None
        head = Head.parse(await read_through(self.reader, HEAD_END, HEAD_LIMIT))
        self.exchange = Exchange(head, self.reader, self.writer, self.world)
        await self.answer(self.exchange)
        return await self.settle(self.exchange)

    async def answer(self, exchange: Exchange) -> None:
        """Call the application; tell of what it lets through."""
        ends = map(self.writer.get_extra_info, ("peername", "sockname"))
        client, server = (place[:2] if place else None for place in ends)
        about = {"scheme": self.scheme, "client": client, "server": server}
        exchange.scope.update(about)
        try:
            await self.app(exchange.scope, exchange.receive, exchange.send)
        except AbortHandler:
            pass
        except Exception:
            who = join_host_port(*map(str, client)) if client else "@"
            self.world.std_log(f"http: panic serving {who}: {traceback.format_exc()}")
            if not exchange.begun:
                said = Response("Internal Server Error", 500, media_type="text/plain")
                await said(exchange.scope, exchange.receive, exchange.send)

    async def settle(self, exchange: Exchange) -> bool:
        """Come to the end of a request; return whether another may follow."""
        exchange.put(b"")
        if exchange.trouble and not exchange.begun:
            raise exchange.trouble
        if exchange.hijacked or not exchange.done or exchange.trouble:
            return False
        with suppress(BadRequest):
            # What nobody wanted to read is between us and the next request.
            while exchange.keep_alive and not exchange.body.whole:
                await exchange.body.read()
            return exchange.keep_alive
        return False

    async def part(self) -> None:
        """Say no more, and read for a while: what is not read cuts off the answer."""
        self.writer.write_eof()
        with suppress(TimeoutError):
            await within(PARTING, self._read_on(), self.world.clock)

    async def _read_on(self) -> None:
        while await self.reader.read(READ_LIMIT):
            pass

    def leave(self) -> None:
        """Answer what was asked, and no more."""
        if self.exchange:
            self.exchange.keep_alive = False
        elif self.task:
            self.task.cancel()


class Clients:
    """Those whom a server has: a connection each, with a task."""

    def __init__(self, app: ASGIApp, tls: ssl.SSLContext | None, world: World) -> None:
        self.app, self.tls, self.world = app, tls, world
        self.connections: set[Connection] = set()

    def accept(self) -> asyncio.BaseProtocol:
        """Return what listens to a new client."""
        connection = Connection(self.app, "https" if self.tls else "http", self.world)
        start = partial(self._start, connection)
        streams = asyncio.StreamReaderProtocol(connection.reader, start)
        if not self.tls:
            return streams
        return TLSTransport(streams, self.tls, failed=self._refused)

    def _start(
        self,
        connection: Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        def end(task: asyncio.Task[None]) -> None:
            self.connections.discard(connection)
            writer.transport.abort()

        connection.task = asyncio.ensure_future(connection.run(writer))
        connection.task.add_done_callback(end)
        self.connections.add(connection)

    def _refused(self, error: OSError) -> None:
        self.world.std_log(f"http: TLS handshake error: {reason(error)}")

    async def close(self) -> None:
        """Have the answers finished that are in time, and break off the others."""
        tasks = [each.task for each in self.connections if each.task]
        for connection in list(self.connections):
            connection.leave()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    tls: ssl.SSLContext | None,
    world: World | None = None,
) -> None:
    """Answer on a socket until cancelled, and then what was asked before."""
    clients = Clients(app, tls, world or World())
    if listener.family != socket.AF_UNIX:
        # asyncio sees to that for sockets that it has made itself.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(clients.accept, sock=listener, backlog=BACKLOG)
    try:
        await loop.create_future()
    finally:
        server.close()
        await clients.close()
