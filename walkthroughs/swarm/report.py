"""An answer that is written while an order is carried out: api/flusher.go, handlers.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `WriteFlusher`                            | `Backlog`, which never waits        |
| `sendErrorJSONMessage`                    | `failure`                           |
| the callbacks of four handlers            | `Report`                            |

Each **line** is a JSON object: what an engine says of a pull, a load, an import or a
build, with the engine's name as its id. A client shows one line for each id.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import TypeAlias

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from walkthroughs.swarm.cluster import Callback, Message, Source
from walkthroughs.swarm.config import JSON
from walkthroughs.swarm.handler import to_json
from walkthroughs.swarm.proxy import Upload, body, unless_gone

BACKLOG = 4 * 1024 * 1024
"""Bytes that may wait for a client; one line has at most a quarter of it."""

WRONG_OS = "image operating system"
"""In what an engine says of an image for another system."""


class Backlog:
    """Lines that wait for a client to read them; the oldest give way to new ones."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._size = self._left_out = 0
        self._news = asyncio.Event()
        self._ended = False

    def put(self, line: JSON) -> None:
        text = to_json(line)
        self._lines.append(text)
        self._size += len(text)
        while self._size > BACKLOG:
            self._size -= len(self._lines.popleft())
            self._left_out += 1
        self._news.set()

    def end(self) -> None:
        """Say that no line follows."""
        self._ended = True
        self._news.set()

    async def take(self) -> bytes:
        """Return all that waits, or else the next line; b"" at the end."""
        while not (self._lines or self._ended):
            self._news.clear()
            await self._news.wait()
        text, left_out = b"".join(self._lines), self._left_out
        self._lines.clear()
        self._size = self._left_out = 0
        if left_out:
            gap = {"status": f"... {left_out} lines were not read in time"}
            return to_json(gap) + text
        return text


def failure(message: str) -> JSON:
    """Return the last line of a stream that went wrong."""
    return {"error": message, "errorDetail": {"code": 1, "message": message}}


Order: TypeAlias = Callable[[Source, Callback], Awaitable[None]]
"""Is given the body of a request, which it reads, and whom to tell how it goes."""


class Report(Response):
    """An answer that is written while an order is carried out.

    An order that raises before its first message is an error like any other.
    """

    def __init__(
        self,
        order: Order,
        status: Callable[[Message], str],
        some_will_do: bool = False,
    ) -> None:
        self.order = order
        self.status = status
        """What a line says of a message; "" to leave it as it is."""
        self.some_will_do = some_will_do
        """Engines with another system may fail, if one succeeds."""
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        upload = Upload(scope, receive)
        # An empty body is read, too, before anybody looks whether the client leaves.
        upload.expected = True
        with suppress(ClientDisconnect):
            await unless_gone(upload, self._write(upload, send))

    async def _write(self, upload: Upload, send: Send) -> None:
        backlog = Backlog()
        work = asyncio.ensure_future(self._carry_out(upload, backlog))
        work.add_done_callback(lambda _: backlog.end())
        try:
            text = await backlog.take()
            if not text:
                await work
            fields = [(b"content-type", b"application/json")]
            head = {"type": "http.response.start", "status": 200, "headers": fields}
            await send(head)
            while text:
                await send(body(text, more=True))
                text = await backlog.take()
            await work
            await send(body(b""))
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _carry_out(self, upload: Upload, backlog: Backlog) -> None:
        errors: list[str] = []
        done: list[str] = []

        def hear(message: Message) -> None:
            if message.error:
                errors.append(message.error)
            elif message.success:
                done.append(message.engine)
            backlog.put(self._line(message))

        async with aclosing(upload.chunks()) as source:
            await self.order(source, hear)
        forgiven = self.some_will_do and done and all(WRONG_OS in e for e in errors)
        if errors and not forgiven:
            backlog.put(failure(errors[-1]))

    def _line(self, message: Message) -> JSON:
        status = self.status(message)
        said = {"status": status} if status else {}
        return {**(message.raw or {}), **said, "id": message.engine}
