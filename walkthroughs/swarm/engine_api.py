"""One Docker engine, as an HTTP client sees it: docker/docker/client.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `ErrorConnectionFailed`                   | `ConnectionFailed`                  |
| `checkResponseErr`                        | `check_response`                    |
| `doRequest`, `IsConnectionError`          | `explain`                           |
| `json.Decoder`, over a stream             | `Cutter`, `decode`                  |
| `NewHTTPClientTimeout`                    | `connect`, `direct`                 |
| `client.NewClient`                        | `EngineAPI`                         |
| `NegotiateAPIVersion`                     | `EngineAPI.negotiate`               |
| `sendRequest`                             | `EngineAPI.ask`                     |
| `Events`, and other long answers          | `EngineAPI.stream`                  |
"""

import errno
import json
import re
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import pairwise
from typing import Any, TypeAlias, cast
from urllib.parse import quote as quote_path

import httpx2

from walkthroughs.swarm.cluster import ClusterError, Query, Source
from walkthroughs.swarm.config import JSON
from walkthroughs.swarm.golang import quote
from walkthroughs.swarm.world import (
    NO_TLS,
    NoAnswer,
    World,
    read,
    reason,
    url_host,
    within,
)

REQUEST_TIMEOUT = 30.0
"""Seconds for a connection to stand, and for an answer that is only looked up."""

DEFAULT_VERSION = "1.31"
"""The version of the engine API that the original was written for."""
OLDEST_VERSION = "1.24"
"""What an engine speaks that names no version."""

ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes of an answer: the list of some forty thousand containers."""
ERROR_LIMIT = 1024 * 1024
"""Bytes of an answer that is an error."""
LINE_LIMIT = 1024 * 1024
"""Bytes of one object in a stream."""

KEEPALIVE = 15
"""Seconds of silence until the system asks whether the other machine is still there."""

CLOSED = "Engine no longer exists"
GONE = {errno.ECONNREFUSED, errno.ENOENT}
OUR_CERTIFICATE = re.compile("alert (bad cert|cert|unknown ca)")
"""What OpenSSL says when a server refuses the client's."""

MARKS = re.compile(rb'\\.|["{}]', re.DOTALL)
"""What tells where a JSON object ends."""

Headers: TypeAlias = dict[str, str]


class EngineError(ClusterError):
    """What an engine refuses, or says so that nobody understands it."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status; 0 if there was no answer, or none that can be read."""


class ConnectionFailed(EngineError):
    """Nobody there: what makes an engine unhealthy."""


async def check_response(response: httpx2.Response) -> None:
    """Raise `EngineError`, in the engine's own words, for what is no success."""
    if (status := response.status_code) < 400:
        return
    text = long = ""
    try:
        text = (await read(response, ERROR_LIMIT)).decode(errors="replace").strip()
    except OverflowError:
        long = f" with a message (> {ERROR_LIMIT} bytes)"
    if not text:
        what = f"Error: request returned {httpx2.codes.get_reason_phrase(status)}{long}"
        where = f"for API route and version {response.url}"
        hint = "check if the server supports the requested API version"
        raise EngineError(f"{what} {where}, {hint}", status)
    # An engine of before 2016, or whoever is in between, says it in plain text.
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        text = str(json.loads(text)["message"]).strip()
    raise EngineError(f"Error response from daemon: {text}", status)


def nobody(host: str) -> ConnectionFailed:
    where = f"Cannot connect to the Docker daemon at {host}"
    return ConnectionFailed(f"{where}. Is the docker daemon running?")


def explain(
    error: Exception, request: httpx2.Request, host: str, answered: bool
) -> EngineError:
    """Return what to say of a request without an answer, or with half of one."""
    said = f"{request.method.title()} {quote(str(request.url))}: {reason(error)}"
    if answered:
        return EngineError(said)
    codes = {getattr(each, "errno", None) for each in causes(error)}
    if isinstance(error, httpx2.TimeoutException) or codes & GONE:
        return nobody(host)
    if errno.EHOSTUNREACH in codes:
        return ConnectionFailed(f"error during connect: {said}")
    if isinstance(error, httpx2.RemoteProtocolError) and request.url.scheme == "http":
        hint = "* Are you trying to connect to a TLS-enabled daemon without TLS?"
        return EngineError(f"{said.rstrip('.')}.\n{hint}")
    if OUR_CERTIFICATE.search(said):
        hint = "The server probably has client authentication (--tlsverify) enabled"
        please = "Please check your TLS client certification settings"
        return EngineError(f"{hint}. {please}: {said}")
    return EngineError(f"error during connect: {said}")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all that is behind it."""
    if error:
        yield error
        # A name may stand for two addresses, each with an error of its own.
        group = cast("tuple[BaseException, ...]", getattr(error, "exceptions", ()))
        for each in (*group, error.__cause__ or error.__context__):
            yield from causes(each)


class Cutter:
    """Cuts what comes in pieces into JSON objects, and looks at each byte once."""

    def __init__(self) -> None:
        self.rest = bytearray()
        """What belongs to no whole object yet."""
        self._seen = self._depth = 0
        self._quoted = False

    def cut(self, chunk: bytes) -> list[bytes]:
        """Return the objects that end in this piece."""
        self.rest += chunk
        ends = [0, *self._ends()]
        objects = [bytes(self.rest[begin:end]) for begin, end in pairwise(ends)]
        del self.rest[: ends[-1]]
        self._seen -= ends[-1]
        if not self._depth:
            # Between two objects there may be line ends.
            self.rest, self._seen = self.rest.lstrip(), 0
        return objects

    def _ends(self) -> Iterator[int]:
        for mark in MARKS.finditer(self.rest, self._seen):
            sign, self._seen = mark[0], mark.end()
            if sign == b'"':
                self._quoted = not self._quoted
            elif not self._quoted:
                self._depth += (sign == b"{") - (sign == b"}")
                if sign == b"}" and self._depth <= 0:
                    yield self._seen
        # A backslash at the end belongs to what comes next.
        self._seen = max(self._seen, len(self.rest) - self.rest.endswith(b"\\"))

    def is_lost(self) -> bool:
        """Tell whether no object can come of the rest."""
        return len(self.rest) > LINE_LIMIT or (not self._depth and bool(self.rest))


async def decode(chunks: AsyncIterable[bytes]) -> AsyncGenerator[JSON, None]:
    """Yield JSON objects that follow each other, with or without line ends."""
    cutter = Cutter()
    async for chunk in chunks:
        for item in cutter.cut(chunk):
            yield parse(item)
        if cutter.is_lost():
            raise EngineError(f"no JSON in a stream: {shown(cutter.rest)}")
    if cutter.rest:
        raise EngineError(f"a stream ended within an object: {shown(cutter.rest)}")


def parse(text: bytes) -> JSON:
    try:
        return json.loads(text.decode(errors="replace"))
    except (ValueError, RecursionError):
        raise EngineError(f"no JSON in a stream: {shown(text)}") from None


def shown(text: bytes | bytearray) -> str:
    """Return the beginning of what is no JSON."""
    return quote(text.strip()[:40].decode(errors="replace"))


def numbers(version: str) -> list[int]:
    """Return `1.31` as [1, 31]: newer than [1, 9]."""
    return [int(part) if part.isdecimal() else 0 for part in version.split(".")]


def escape(name: str) -> str:
    """Return a name as a part of a path; an image's may have slashes."""
    return quote_path(name, safe="/:@")


def connect(addr: str, world: World, tls: ssl.SSLContext | None) -> httpx2.AsyncClient:
    """Return an HTTP client for an address; raise `NoAnswer`."""
    path = addr.removeprefix("unix://") if addr.startswith("unix://") else None
    url = f"{'https' if tls else 'http'}://{addr}" if path is None else "http://docker"
    url_host(url)
    # A stop may take minutes, and a stream of events never ends.
    patience = httpx2.Timeout(None, connect=REQUEST_TIMEOUT)
    transport = (path is None and world.transport) or direct(path, tls)
    return httpx2.AsyncClient(base_url=url, transport=transport, timeout=patience)


def direct(path: str | None, tls: ssl.SSLContext | None) -> httpx2.AsyncHTTPTransport:
    """Return a way to an engine: by a socket's path or by TCP, and by no proxy."""
    return httpx2.AsyncHTTPTransport(
        verify=tls or NO_TLS,
        # Streams that last would use up the hundred connections of the default. An idle
        # one is kept: an engine that is ending still answers on it, and on no new one.
        limits=httpx2.Limits(
            max_connections=None, max_keepalive_connections=20, keepalive_expiry=None
        ),
        uds=path,
        socket_options=list(keepalive()) if path is None else None,
    )


def keepalive() -> Iterator[tuple[int, int, int]]:
    """Yield socket options with which the stream of a dead machine ends, as in Go."""
    yield socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if option := getattr(socket, name, None):
            yield socket.IPPROTO_TCP, option, KEEPALIVE


class EngineAPI:
    """A client of the engine at `host:port`, or at `unix:///path`.

    Raise `EngineError` for an address that leads nowhere.
    """

    def __init__(self, addr: str, world: World, tls: ssl.SSLContext | None) -> None:
        self.host = addr if "://" in addr else f"tcp://{addr}"
        self.clock = world.clock
        self.prefix = ""
        """`/v1.31` once the version is known."""
        try:
            self.client = connect(addr, world, tls)
        except NoAnswer as error:
            raise EngineError(str(error)) from None

    async def close(self) -> None:
        """Break off what is under way, and refuse what comes later."""
        await self.client.aclose()

    def negotiate(self, version: JSON) -> None:
        """Agree on a version, after `GET /version`: the older of theirs and ours."""
        theirs = str(version.get("ApiVersion") or OLDEST_VERSION)
        oldest = str(version.get("MinAPIVersion") or OLDEST_VERSION)
        ours = min(theirs, DEFAULT_VERSION, key=numbers)
        # An engine of 2025 has forgotten how to speak 1.31.
        self.prefix = f"/v{max(ours, oldest, key=numbers)}"

    async def ask(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: JSON | None = None,
        headers: Headers | None = None,
        limit: float | None = None,
    ) -> Any:
        """Return what an engine answers, from JSON; None for an order without words.

        Raise `ConnectionFailed` when nobody answers within `limit` seconds.
        """
        work = self._ask(method, path, query, json=body, headers=headers)
        if limit is None:
            return await work
        try:
            return await within(limit, work, self.clock)
        except TimeoutError:
            raise nobody(self.host) from None

    async def _ask(
        self, method: str, path: str, query: Query | None, **options: Any
    ) -> Any:
        async with self._send(method, path, query, **options) as response:
            content = await read(response, ANSWER_LIMIT)
        if not content and method != "GET":
            return None
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            where = f"{method} {path} of {self.host}"
            raise EngineError(f"no JSON in the answer to {where}: {error}") from None

    async def stream(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        content: Source | None = None,
        headers: Headers | None = None,
    ) -> AsyncGenerator[JSON, None]:
        """Yield the objects of an answer as they come. Use it inside `aclosing`."""
        async with (
            self._send(
                method, path, query, content=content, headers=headers
            ) as response,
            aclosing(response.aiter_bytes()) as chunks,
            aclosing(decode(chunks)) as items,
        ):
            async for item in items:
                yield item

    @asynccontextmanager
    async def _send(
        self, method: str, path: str, query: Query | None, **options: Any
    ) -> AsyncGenerator[httpx2.Response, None]:
        if self.client.is_closed:
            raise EngineError(CLOSED)
        try:
            request = self.client.build_request(
                method, self.prefix + path, params=query, **options
            )
        except (httpx2.InvalidURL, ValueError) as error:
            raise EngineError(f"{method} {quote(path)}: {error}") from None
        answered = False
        try:
            answer = await self.client.send(request, stream=True)
            answered = True
            async with aclosing(answer) as response:
                await check_response(response)
                yield response
        except (httpx2.HTTPError, OverflowError, OSError) as error:
            if self.client.is_closed:
                raise EngineError(CLOSED) from None
            raise explain(error, request, self.host, answered) from None
