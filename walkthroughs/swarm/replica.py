"""A manager that passes requests on to the primary one: api/replica.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `localRoutes`                             | `LOCAL_ROUTES`                      |
| `getPrimary`, while there is none         | `ReadAhead`, `Replica.elected`      |
| `Replica`, `SetPrimary`, `ServeHTTP`      | `Replica`, `set_primary`            |
| `hijack`, whatever is asked               | `Replica.forward`, `ask`            |
"""

import asyncio
import ssl
import string
from collections import deque
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from urllib.parse import quote

import httpx2
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from walkthroughs.swarm.engine_api import EngineError, connect
from walkthroughs.swarm.handler import HTTPError, http_error
from walkthroughs.swarm.hijack import Hijacked
from walkthroughs.swarm.proxy import (
    Forward,
    Upload,
    send_on,
    target_of,
    unless_gone,
    values_of,
)
from walkthroughs.swarm.world import NoAnswer, World, reason

LOCAL_ROUTES = ("/_ping", "/info", "/debug")
"""How paths end that every manager answers for itself."""

AHEAD = 64 * 1024
"""Bytes of a body that are read while nobody is there to take them."""


class ReadAhead(Upload):
    """A body that is read early: behind it comes the word that the client has left."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive)
        self._messages: deque[Message] = deque()

    async def gone(self) -> None:
        """Return when the client has left, unless it has more than `AHEAD` to say."""
        size = 0
        while size <= AHEAD:
            message = await self._receive()
            self._messages.append(message)
            if message["type"] == "http.disconnect":
                return
            size += len(message.get("body", b""))
        await asyncio.Event().wait()

    async def receive(self) -> Message:
        """Return what comes next, as if nobody had looked."""
        return self._messages.popleft() if self._messages else await self._receive()


@dataclass
class Manager:
    """Another manager, as a `Peer` that counts nothing."""

    addr: str
    tls: ssl.SSLContext | None
    talk = nullcontext


class Replica:
    """Answers little itself; for the rest it is a way to the primary."""

    def __init__(
        self, handler: ASGIApp, tls: ssl.SSLContext | None, addr: str, world: World
    ) -> None:
        self.handler = handler
        self.tls = tls
        self.addr = addr
        """Our own address."""
        self.world = world
        self.primary = ""
        self._known = asyncio.Event()

    def set_primary(self, primary: str) -> None:
        """Ask another manager from the next request on; wait if it is ""."""
        self.primary = primary
        if primary:
            self._known.set()
        else:
            self._known.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith(LOCAL_ROUTES):
            await self.handler(scope, receive, send)
            return
        with suppress(ClientDisconnect):
            if not self.primary:
                receive = await self.elected(scope, receive)
            if self.primary == self.addr:
                await self.handler(scope, receive, send)
            else:
                await self.forward(scope, receive, send)

    async def elected(self, scope: Scope, receive: Receive) -> Receive:
        """Wait for a primary; return where the request goes on.

        Raise `ClientDisconnect`.
        """
        ahead = ReadAhead(scope, receive)
        while not self.primary:
            await unless_gone(ahead, self._known.wait())
        return ahead.receive

    async def forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the primary answer; tell the client if that cannot be."""
        primary, begun = self.primary, False

        async def send_and_note(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.ask(primary, scope, receive, send_and_note)
        except HTTPError as error:
            await http_error(str(error), error.status)(scope, receive, send)
        except (EngineError, NoAnswer) as error:
            if begun:
                raise
            what = "Unable to reach primary cluster manager"
            why = f"{what} ({reason(error)}): {primary}"
            self.world.log.error(f"HTTP error: {why}", status=500)
            await http_error(why, 500)(scope, receive, send)

    async def ask(
        self, primary: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Pass a request on, and the answer back; raise `EngineError` or `NoAnswer`."""
        request, target = Request(scope), target_as_sent(scope)
        if is_pipe(request):
            peer = Manager(primary, self.tls)
            await Hijacked(peer, self.world, target)(scope, receive, send)
            return
        # A connection for each request: the next one may be for somebody else.
        async with connect(primary, self.world, self.tls) as client:

            async def send_request(upload: Upload) -> httpx2.Response:
                chunks = upload.chunks() if upload.expected else None
                return await send_on(client, request, target, chunks)

            await Forward(send_request)(scope, receive, send)


def target_as_sent(scope: Scope) -> str:
    """Return the path and the query as the client wrote them."""
    path = quote(scope["raw_path"], safe=string.punctuation)
    return target_of(path, scope["query_string"])


def is_pipe(request: Request) -> bool:
    """Tell whether a request may make a pipe of its connection."""
    wishes = values_of(request.headers.raw, b"connection")
    return b"upgrade" in wishes or request.url.path.endswith("/attach")
