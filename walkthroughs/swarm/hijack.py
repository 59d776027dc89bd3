"""A connection that stops being HTTP: attach and exec, in api/utils.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `dialHijack`                              | `dial`                              |
| `r.Write(d)`                              | `Question.ask`                      |
| `hj.Hijack()`                             | `scope["extensions"]["hijack"]`     |
| the function `cp`, and its `select`       | `copy`, `splice`                    |
| `hijack`                                  | `Hijacked`                          |
| `proxyHijack`, `postExecStart`            | `proxy_hijack`, `post_exec_start`   |
"""

import asyncio
import ssl
from contextlib import AbstractContextManager, aclosing, suppress
from typing import Protocol, TypeAlias

import h11
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from walkthroughs.swarm.engine_api import (
    REQUEST_TIMEOUT,
    ConnectionFailed,
    EngineError,
    keepalive,
    nobody,
)
from walkthroughs.swarm.golang import split_host_port
from walkthroughs.swarm.handler import BODY_LIMIT, Context, HTTPError
from walkthroughs.swarm.proxy import (
    OURS,
    Fields,
    Upload,
    body,
    container_of,
    passed_on,
    place_of,
    proxy,
    target_of,
    unless_gone,
    values_of,
)
from walkthroughs.swarm.tls_transport import Ends, open_tls
from walkthroughs.swarm.world import World, reason, within

Head: TypeAlias = h11.Response | h11.InformationalResponse

CHUNK = 256 * 1024
"""Bytes that are copied at once, at most."""
RAW = {
    b"application/vnd.docker.raw-stream",
    b"application/vnd.docker.multiplexed-stream",
}
"""What a body is called that has no length, and goes both ways."""


async def dial(addr: str, world: World, tls: ssl.SSLContext | None) -> Ends:
    """Connect to `host:port` or `unix:///path`; raise `ConnectionFailed`."""
    in_memory = getattr(world.transport, "dial", None)
    where = addr if "://" in addr else f"tcp://{addr}"
    work = in_memory(addr) if in_memory else connect(addr, tls)
    try:
        return await within(REQUEST_TIMEOUT, work, world.clock)
    except TimeoutError:
        raise nobody(where) from None
    except OSError as error:
        raise ConnectionFailed(f"{nobody(where)} ({reason(error)})") from None


async def connect(addr: str, tls: ssl.SSLContext | None) -> Ends:
    if addr.startswith("unix://"):
        return await asyncio.open_unix_connection(addr.removeprefix("unix://"))
    host, port = split_host_port(addr.removeprefix("tcp://"))
    if tls:
        ends = await open_tls(host, port, tls, CHUNK)
    else:
        ends = await asyncio.open_connection(host, port, limit=CHUNK)
    for option in keepalive():
        ends[1].get_extra_info("socket").setsockopt(*option)
    return ends


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy to the end, and pass the end on: the other direction may go on."""
    # Whoever has been cut off says no more.
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()


async def lost(writer: asyncio.StreamWriter) -> None:
    """Return when a connection is closed, in whatever way."""
    with suppress(OSError):
        await writer.wait_closed()


async def splice(client: Ends, engine: Ends) -> None:
    """Copy both ways until the engine has said all, or the client is cut off.

    That a client has said all means nothing: it may be waiting for the output.
    """
    inward = asyncio.ensure_future(copy(client[0], engine[1]))
    outward = asyncio.ensure_future(copy(engine[0], client[1]))
    leaving = asyncio.ensure_future(lost(client[1]))
    try:
        await asyncio.wait({outward, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (inward, outward):
            task.cancel()
        await asyncio.gather(inward, outward, return_exceptions=True)


def is_switch(answer: Head) -> bool:
    """Tell whether what follows a head is no HTTP."""
    fields = list(answer.headers)
    framed = {b"content-length", b"transfer-encoding"} & {name for name, _ in fields}
    raw = RAW & values_of(fields, b"content-type")
    return answer.status_code == 101 or bool(raw and not framed)


class Question:
    """A request to an engine, on a connection of its own, and the answer's head."""

    def __init__(self, ends: Ends) -> None:
        self.reader, self.writer = ends
        self.http = h11.Connection(h11.CLIENT)

    async def ask(
        self, method: str, target: str, fields: Fields, content: bytes
    ) -> Head:
        """Send a request; return the head of the answer, or raise `EngineError`."""
        request = h11.Request(method=method, target=target, headers=fields)
        for event in request, h11.Data(content), h11.EndOfMessage():
            self.writer.write(self.http.send(event) or b"")
        while True:
            event = await self.next()
            if isinstance(event, h11.Response):
                return event
            if isinstance(event, h11.InformationalResponse) and is_switch(event):
                return event

    async def next(self) -> h11.Event:
        """Return what comes next in the answer; raise `EngineError`."""
        try:
            while (event := self.http.next_event()) is h11.NEED_DATA:
                self.http.receive_data(await self.reader.read(CHUNK))
        except (h11.RemoteProtocolError, OSError) as error:
            raise EngineError(f"half an answer: {reason(error)}") from None
        if not isinstance(event, h11.Event) or isinstance(event, h11.ConnectionClosed):
            raise EngineError("the engine has closed the connection")
        return event

    async def pass_body(self, send: Send) -> None:
        """Pass on the body of an answer that is HTTP; raise `EngineError`."""
        while isinstance(event := await self.next(), h11.Data):
            await send(body(bytes(event.data), more=True))
        await send(body(b""))


def head_of(head: Head) -> bytes:
    """Return a head as it came: the client is to see the engine's own."""
    lines = [b"HTTP/1.1 %d %s" % (head.status_code, head.reason)]
    lines += [b"%s: %s" % field for field in head.headers.raw_items()]
    return b"\r\n".join([*lines, b"", b""])


class Peer(Protocol):
    """Whom a pipe leads to: an engine, or another manager."""

    addr: str
    tls: ssl.SSLContext | None

    def talk(self) -> AbstractContextManager[object]:
        """Count what goes wrong inside the block."""
        ...


class Hijacked(Response):
    """The answer to a request that makes a pipe of its connection."""

    def __init__(self, engine: Peer, world: World, target: str) -> None:
        self.engine, self.world, self.target = engine, world, target
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        upload = Upload(scope, receive)
        with suppress(ClientDisconnect):
            content = await self._content(upload)
            with self.engine.talk():
                ends = await dial(self.engine.addr, self.world, self.engine.tls)
            try:
                await self._pass(scope, upload, send, Question(ends), content)
            finally:
                ends[1].close()

    async def _content(self, upload: Upload) -> bytes:
        content = b""
        if upload.expected:
            async with aclosing(upload.chunks()) as chunks:
                async for chunk in chunks:
                    content += chunk
                    if len(content) > BODY_LIMIT:
                        why = f"the body has more than {BODY_LIMIT:,} bytes"
                        raise HTTPError(413, why)
        return content

    async def _pass(
        self,
        scope: Scope,
        upload: Upload,
        send: Send,
        question: Question,
        content: bytes,
    ) -> None:
        fields = fields_for(scope["headers"], self.engine.addr, content)
        asking = question.ask(scope["method"], self.target, fields, content)
        head = await unless_gone(upload, asking)
        if is_switch(head):
            client = await scope["extensions"]["hijack"]()
            client[1].write(head_of(head) + question.http.trailing_data[0])
            await splice(client, (question.reader, question.writer))
        else:
            fields = passed_on(list(head.headers))
            start = {"type": "http.response.start", "status": head.status_code}
            await send({**start, "headers": fields})
            await question.pass_body(send)


def fields_for(fields: Fields, addr: str, content: bytes) -> Fields:
    """Return the fields for an engine, with the wish to switch, if there is one."""
    host = b"docker" if addr.startswith("unix://") else addr.encode()
    wishes = [(b"host", host), (b"content-length", b"%d" % len(content))]
    for name, value in fields:
        if name == b"upgrade":
            wishes += [(b"connection", b"Upgrade"), (name, value)]
    return wishes + passed_on(fields, OURS | {b"content-length"})


async def proxy_hijack(context: Context, request: Request) -> Response:
    """Connect a client with a container: attach, and attach/ws."""
    container = container_of(context, request)
    target = target_of(place_of(request, container), request.scope["query_string"])
    return Hijacked(container.engine, context.world, target)


async def post_exec_start(context: Context, request: Request) -> Response:
    """Start a command in a container, and stay connected with it if that is asked."""
    if b"upgrade" in values_of(request.headers.raw, b"connection"):
        return await proxy_hijack(context, request)
    container = container_of(context, request)
    return await proxy(container.engine, request, place_of(request, container))
