"""Servers of this process, clients that speak bytes, and an engine that says what a test wants."""

import asyncio
import gc
import io
import re
import socket
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from starlette.requests import Request

from walkthroughs.swarm.engine_api import EngineAPI
from walkthroughs.swarm.http_protocol import serve
from walkthroughs.swarm.proxy import proxy
from walkthroughs.swarm.world import World

PATIENCE = 10
"""Seconds until a test gives up on what takes none."""


def run(work):
    """Run a coroutine to its end, and see that no task outlives it."""

    async def alone():
        async with asyncio.timeout(PATIENCE):
            await work
        for _ in range(20):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(alone())


async def until(condition):
    """Wait until a condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


def quiet():
    """Return a world, and what is written to its error stream."""
    world = World(stdout=io.StringIO(), stderr=io.StringIO())
    return world, world.stderr


@asynccontextmanager
async def serving(app, tls=None, world=None, listener=None):
    """Serve an application; yield its port."""
    listener = listener or socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(serve(app, listener, tls, world))
    await asyncio.sleep(0)
    try:
        yield listener.getsockname()[1]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def connected(port, tls=None):
    """Connect to a port of this machine; yield both ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def said(port, *pieces):
    """Send pieces of bytes; return all that comes back until the end, without the date."""
    async with connected(port) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            return undated(await reader.read())


def undated(answer):
    return re.sub(rb"\r\ndate: [^\r]*", b"", answer)


async def one_answer(reader):
    """Read an answer that has a length; return its status and its body."""
    async with asyncio.timeout(PATIENCE):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", head)[1])
        return int(head[9:12]), await reader.readexactly(length)


def answering(content, status=200, fields=()):
    """Return an application that says always the same."""

    async def app(scope, receive, send):
        length = (b"content-length", b"%d" % len(content))
        await send({"type": "http.response.start", "status": status, "headers": [length, *fields]})
        await send({"type": "http.response.body", "body": content})

    return app


async def body_of(receive):
    """Read a request's body; None if the client has left in the middle of it."""
    content = b""
    while (message := await receive())["type"] == "http.request":
        content += message["body"]
        if not message["more_body"]:
            return content
    return None


def descriptors():
    """Count the open files of this process."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def resident():
    """Return this process's memory in bytes."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


class Engine:
    """An engine as far as a proxy knows it; `errors` is what it was told of its health."""

    def __init__(self, addr, tls=None, name="node-1"):
        self.addr, self.tls, self.name = addr, tls, name
        self.api = EngineAPI(addr, World(), tls)
        self.errors = []
        self.healthy = True

    def is_healthy(self):
        return self.healthy

    @contextmanager
    def talk(self):
        try:
            yield self.api
        except Exception as error:
            self.errors.append(error)
            raise
        self.errors.append(None)


@asynccontextmanager
async def talking(script):
    """Run an engine whose every connection is a call of `script(reader, writer)`."""
    tasks = set()

    async def connection(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            await script(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0, limit=1 << 20)
    engine = Engine(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    engine.tasks = tasks
    try:
        yield engine
    finally:
        await engine.api.close()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def proxied(script, then=None, application=None):
    """Serve what an engine says; yield the port, and the engine."""

    async def app(engine, scope, receive, send):
        request = Request(scope, receive)
        answer = await proxy(engine, request, scope["path"], then)
        await answer(scope, receive, send)

    async with (
        talking(script) as engine,
        serving(partial(application or app, engine), world=quiet()[0]) as port,
    ):
        yield port, engine
