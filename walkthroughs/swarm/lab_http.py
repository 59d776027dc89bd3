"""How an engine of the lab speaks HTTP: versions, bodies, flags, faults, pipes.

| of dockerd                     | here                                             |
|--------------------------------|--------------------------------------------------|
| `httputils.WriteJSON`          | `reply`                                          |
| `httputils.BoolValue`          | `is_true`                                        |
| `VersionMiddleware`            | `without_version`                                |
| `httputils.HijackConnection`   | `RawStream`                                      |
| a broken proxy                 | `spoiled`                                        |
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable
from http import HTTPStatus
from typing import Any, TypeAlias, cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from walkthroughs.swarm.lab_engine import API_VERSION, OLDEST_VERSION
from walkthroughs.swarm.lab_machine import DaemonError, Filters, Json

MEDIA_TYPE = "application/json"
RAW_STREAM = "application/vnd.docker.raw-stream"
CHUNK = 32 * 1024
"""Bytes that are read at once, at most."""

Said: TypeAlias = AsyncIterator[bytes]
Talk: TypeAlias = Callable[[Said], Said]
"""Returns what is said, for what is typed."""


def reply(content: object = None, status: int = 200) -> Response:
    """Return an answer of JSON, or of nothing."""
    if content is None:
        return Response(status_code=status)
    return Response(encode(content), status, media_type=MEDIA_TYPE)


def encode(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def lines(messages: Iterable[Json]) -> Response:
    """Return an answer of one JSON object a line; what the first raises is raised."""
    messages = iter(messages)
    first = next(messages, None)

    async def body() -> AsyncIterator[bytes]:
        if first is not None:
            yield encode(first)
        for message in messages:
            yield encode(message)

    return StreamingResponse(body(), media_type=MEDIA_TYPE)


def spoiled(response: Response, fault: str) -> Response:
    """Return what a broken engine makes of an answer."""
    if fault == "empty":
        return Response(b"", media_type=MEDIA_TYPE)
    if fault == "garbage":
        return Response(b"<html>not an engine</html>\n", media_type="text/html")
    whole = getattr(response, "body", b"") or b'{"status":"start"}\n'

    async def half() -> AsyncIterator[bytes]:
        yield whole[: len(whole) // 2]
        raise ConnectionResetError

    return StreamingResponse(half(), media_type=MEDIA_TYPE)


def nowhere() -> DaemonError:
    return DaemonError(404, "page not found")


def without_version(path: str) -> str:
    """Return the path of `/v1.24/info` without the version; raise `DaemonError`."""
    if not (found := re.match(r"/v([0-9.]+)(/.*)", path)):
        return path
    version, rest = found.groups()
    if numbers(version) > numbers(API_VERSION):
        newest = f"Maximum supported API version is {API_VERSION}"
        raise DaemonError(400, f"client version {version} is too new. {newest}")
    if numbers(version) < numbers(OLDEST_VERSION):
        oldest = f"Minimum supported API version is {OLDEST_VERSION}"
        please = "please upgrade your client to a newer version"
        why = f"client version {version} is too old. {oldest}, {please}"
        raise DaemonError(400, why)
    return rest


def numbers(version: str) -> list[int]:
    return [int(part or 0) for part in version.split(".")]


def is_true(value: str | None) -> bool:
    return (value or "").strip().lower() not in ("", "0", "no", "false", "none")


def filters_of(request: Request) -> Filters:
    """Return the filters in a query, `{"k": ["v"]}` or `{"k": {"v": true}}`."""
    if not (text := request.query_params.get("filters")):
        return {}
    given = loads(text)
    return {key: list(values) for key, values in given.items()}


async def json_of(request: Request) -> Json:
    """Return the object that is the body of a request; raise `DaemonError`."""
    body = await request.body()
    kind = request.headers.get("content-type", "")
    if body and kind.partition(";")[0] != MEDIA_TYPE:
        why = f"Content-Type specified ({kind}) must be '{MEDIA_TYPE}'"
        raise DaemonError(400, why)
    return loads(body.decode(errors="replace"))


def loads(text: str) -> Json:
    """Return an object; raise `DaemonError` with what Go says of the first mistake."""
    if not text:
        raise DaemonError(500, "EOF")
    try:
        return cast(Json, json.loads(text))
    except ValueError:
        why = f"invalid character '{text.lstrip()[:1]}' looking for beginning of value"
        raise DaemonError(500, why) from None


def moment(text: str | None) -> float:
    """Return Unix time, of seconds with a fraction; 0 for none."""
    try:
        return float(text or 0)
    except ValueError:
        why = f'strconv.ParseInt: parsing "{text}": invalid syntax'
        raise DaemonError(500, why) from None


def number(text: str | None) -> int:
    """Return a number that has to be one; raise `DaemonError`."""
    try:
        return int(text or "")
    except ValueError:
        why = f'strconv.Atoi: parsing "{text or ""}": invalid syntax'
        raise DaemonError(400, why) from None


class RawStream(Response):
    """An answer whose connection goes on as a pipe, if the server lets it be taken.

    Else it is an answer of unknown length, and `typed` is what the request has to say.
    """

    def __init__(
        self, talk: Talk, typed: Said, status: int = 200, *, named: bool = False
    ) -> None:
        """`named` is whether the fields that each answer has are in its head."""
        self.talk, self.typed, self.named = talk, typed, named
        self.status_code, self.raw_headers = status, []
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        extensions: dict[str, Any] = scope.get("extensions") or {}
        if hijack := extensions.get("hijack"):
            upgrade = any(name == b"upgrade" for name, _ in scope["headers"])
            reader, writer = await hijack()
            await self.take_over(reader, writer, self.head(upgrade))
        else:
            said = self.talk(self.typed)
            plain = StreamingResponse(said, self.status_code, media_type=RAW_STREAM)
            await plain(scope, receive, send)

    async def take_over(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        writer.write(head)
        await first_of(self.talk_with(reader, writer), writer.wait_closed())
        writer.close()

    def head(self, upgrade: bool) -> bytes:
        """Return the head of the answer, which nobody else writes now."""
        if upgrade and self.status_code == 200:
            lines = ["HTTP/1.1 101 UPGRADED", f"Content-Type: {RAW_STREAM}"]
            lines += ["Connection: Upgrade", "Upgrade: tcp"]
        else:
            status = f"{self.status_code} {HTTPStatus(self.status_code).phrase}"
            lines = [f"HTTP/1.1 {status}", f"Content-Type: {RAW_STREAM}"]
        if self.named:
            lines += [f"{key}: {value}" for key, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()

    async def talk_with(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        async for piece in self.talk(pieces_of(reader)):
            writer.write(piece)
            await writer.drain()


async def pieces_of(reader: asyncio.StreamReader) -> Said:
    while piece := await reader.read(CHUNK):
        yield piece


async def nothing() -> Said:
    """Be somebody who types nothing."""
    return
    yield b""


async def one_line(text: str) -> Said:
    """Say a line, and no more."""
    yield f"{text}\r\n".encode()


async def first_of(*works: Any) -> None:
    """Wait for the first to end, and end the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
