"""What a client says in HTTP/1.1, line by line: request.go, transfer.go of net/http.

| Go, package `net/http`                    | here                                |
|-------------------------------------------|-------------------------------------|
| `statusError`, `errTooLarge`              | `BadRequest`                        |
| `textproto.Reader`                        | `read_through`                      |
| `readRequest`                             | `Head`                              |
| `readTransfer`, `chunkedReader`           | `Body`                              |
"""

import asyncio
import re
from http import HTTPStatus
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

Fields: TypeAlias = list[tuple[bytes, bytes]]
"""Names and values of a message's head."""

HEAD_LIMIT = 1024 * 1024
"""Bytes of a request's line and fields. (`DefaultMaxHeaderBytes`)"""
READ_LIMIT = 64 * 1024
"""Bytes of a connection that nobody has read yet; twice that, and we stop reading."""
LINE_LIMIT = 4096
"""Bytes of a line between chunks. (`maxLineLength`)"""
TRAILERS = 100
"""Lines after the last chunk."""

LINE = re.compile(rb"([!#-'*+\-.0-9A-Z^-z|~]+) ([!-~\x80-\xff]+) HTTP/([0-9])\.([0-9])")
TARGET = re.compile(rb"(?:https?://[^/?]*)?(/[^?]*)(?:\?(.*))?", re.IGNORECASE)
NAME = re.compile(rb"[!#-'*+\-.0-9A-Z^-z|~]+")
CONTROL = re.compile(rb"[\0-\x08\x0a-\x1f\x7f]")
HOST = re.compile(rb"[!#-;=?-\[\]_a-z~]*", re.IGNORECASE)
ESCAPE = re.compile(rb"%(?![0-9a-f]{2})", re.IGNORECASE)
NUMBER = re.compile(rb"[0-9]{1,18}")
SIZE = re.compile(rb"([0-9a-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n", re.IGNORECASE)


class BadRequest(Exception):
    """What is no HTTP that we speak: a status, and why if that helps."""

    def __init__(self, status: int, why: str = "") -> None:
        super().__init__(why)
        self.status, self.why = status, why

    def answer(self) -> bytes:
        """Return what to say of it, in Go's words."""
        said = f"{self.status} {HTTPStatus(self.status).phrase}"
        said += f": {self.why}" if self.why else ""
        kind = "Content-Type: text/plain; charset=utf-8\r\nConnection: close"
        return f"HTTP/1.1 {said}\r\n{kind}\r\n\r\n{said}".encode()


async def read_through(reader: asyncio.StreamReader, end: bytes, limit: int) -> bytes:
    """Return what comes, with its end; raise `BadRequest` for too much of it."""
    text = b""
    while len(text) <= limit:
        try:
            text += await reader.readuntil(end)
        except asyncio.LimitOverrunError as error:
            text += await reader.readexactly(error.consumed)
        else:
            if len(text) <= limit:
                return text
    raise BadRequest(431)


class Head(NamedTuple):
    """A request's line and fields; names are in small letters."""

    method: str
    target: bytes
    version: str
    fields: Fields

    @classmethod
    def parse(cls, text: bytes) -> "Head":
        """Read a head, with the empty line; raise `BadRequest`."""
        first, *lines = text[:-4].split(b"\r\n")
        if not (line := LINE.fullmatch(first)):
            raise BadRequest(400)
        if line[3] != b"1" or line[4] not in b"01":
            raise BadRequest(505, "unsupported protocol version")
        fields: Fields = []
        for each in lines:
            name, colon, value = each.partition(b":")
            if not colon or not NAME.fullmatch(name):
                raise BadRequest(400, "invalid header name")
            if CONTROL.search(value):
                raise BadRequest(400, "invalid header value")
            fields.append((name.lower(), value.strip(b" \t")))
        return cls(line[1].decode(), line[2], f"1.{line[4].decode()}", fields)

    def values(self, name: bytes) -> list[bytes]:
        return [value for each, value in self.fields if each == name]

    def words(self, name: bytes) -> list[bytes]:
        """Return the words of a field that is a list, in small letters."""
        if not (values := self.values(name)):
            return values
        words = b",".join(values).lower().split(b",")
        return [word.strip() for word in words if word.strip()]

    def scope(self) -> Scope:
        """Return what ASGI wants to know of it; raise `BadRequest`."""
        target = TARGET.fullmatch(self.target)
        if not target or ESCAPE.search(target[1]):
            raise BadRequest(400)
        self.check_host()
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self.version,
            "method": self.method,
            "path": unquote_to_bytes(target[1]).decode(errors="replace"),
            "raw_path": target[1],
            "query_string": target[2] or b"",
            "root_path": "",
            "headers": self.fields,
        }

    def check_host(self) -> None:
        hosts = self.values(b"host")
        if not hosts and self.version == "1.1":
            raise BadRequest(400, "missing required Host header")
        if len(hosts) > 1:
            raise BadRequest(400)
        if hosts and not HOST.fullmatch(hosts[0]):
            raise BadRequest(400, "malformed Host header")


class Body:
    """The body of a request, while it comes; raise `BadRequest` for two lengths."""

    def __init__(self, head: Head, reader: asyncio.StreamReader) -> None:
        self.reader = reader
        codings = head.words(b"transfer-encoding")
        lengths = set(head.values(b"content-length"))
        if codings and codings != [b"chunked"]:
            raise BadRequest(501, "Unsupported transfer encoding")
        # Where two readers see two lengths, a second request can hide in the first.
        if len(lengths) + len(codings) > 1 or not all(map(NUMBER.fullmatch, lengths)):
            raise BadRequest(400)
        self.chunked = bool(codings)
        self.left = int(lengths.pop()) if lengths else 0
        """Bytes of it, or of its present chunk, that have not been read."""
        self.whole = not self.chunked and not self.left
        """Whether all has been read."""
        self._first = True

    async def read(self) -> bytes:
        """Return a piece, `b""` at the end; raise `BadRequest`, or `EOFError`."""
        if self.chunked and not self.left and not self.whole:
            await self._next_chunk()
        if self.whole:
            return b""
        piece = await self.reader.read(min(self.left, READ_LIMIT))
        if not piece:
            raise EOFError
        self.left -= len(piece)
        self.whole = not self.chunked and not self.left
        return piece

    async def _next_chunk(self) -> None:
        # Not when the chunk before has been read: its end may come with this one.
        if not self._first and await self.reader.readexactly(2) != b"\r\n":
            raise BadRequest(400)
        self._first = False
        line = await read_through(self.reader, b"\r\n", LINE_LIMIT)
        if not (size := SIZE.fullmatch(line)):
            raise BadRequest(400)
        self.left = int(size[1], 16)
        if not self.left:
            await self._drop_trailers()
            self.whole = True

    async def _drop_trailers(self) -> None:
        for _ in range(TRAILERS):
            if await read_through(self.reader, b"\r\n", LINE_LIMIT) == b"\r\n":
                return
        raise BadRequest(431)
