"""TLS of which each direction ends on its own: `CloseWrite` of crypto/tls.

| Go, package `crypto/tls`                  | here                                |
|-------------------------------------------|-------------------------------------|
| `Conn`                                    | `TLSTransport`                      |
| `Conn.Handshake`                          | `TLSTransport.shake`                |
| `Conn.Read`, `Conn.Write`                 | `data_received`, `write`            |
| `Conn.CloseWrite`, `Conn.Close`           | `write_eof`, `close`                |
| `RecordHeaderError`, in net/http          | `NOT_HTTPS`                         |
| `Dial`                                    | `open_tls`                          |

The TLS of asyncio closes a connection when the other side has no more to say, even
if it is still listening.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias, cast

Ends: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
"""What one side of a connection reads from, and writes to."""

HANDSHAKE_LIMIT = 60.0
"""Seconds in which two strangers have to agree."""
CHUNK = 64 * 1024
"""Bytes that are decrypted at once, at most."""

NOT_HTTPS = (
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
)


class TLSTransport(asyncio.Transport, asyncio.Protocol):
    """The protocol of a connection, and the transport of another protocol.

    It is a server without a `server_name`. `failed` is told why there was no handshake.
    """

    def __init__(
        self,
        protocol: asyncio.BaseProtocol,
        context: ssl.SSLContext,
        server_name: str | None = None,
        failed: Callable[[OSError], None] = lambda error: None,
    ) -> None:
        super().__init__()
        self.protocol = cast(asyncio.Protocol, protocol)
        self.settled = asyncio.get_running_loop().create_future()
        """Is done when the handshake is: the error that ended it, or None."""
        self._standing = self._heard = self._said = False
        """Whether there was a handshake; whether the other side has ended, and we."""
        self._failed = failed
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._in, self._out, server_name is None, server_name
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast(asyncio.Transport, transport)
        late = TimeoutError("TLS handshake timeout")
        loop = asyncio.get_running_loop()
        self._alarm = loop.call_later(HANDSHAKE_LIMIT, self._give_up, late)
        self.shake()

    def shake(self) -> None:
        """Go on with the handshake, as far as what has come allows."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except OSError as error:
            if getattr(error, "reason", "") == "HTTP_REQUEST":
                self._wire.write(NOT_HTTPS)
            self._flush()
            self._give_up(error)
        else:
            self._flush()
            self._standing = True
            self._settle(None)
            self.protocol.connection_made(self)

    def _settle(self, error: OSError | None) -> None:
        self._alarm.cancel()
        if not self.settled.done():
            self.settled.set_result(error)

    def _give_up(self, error: OSError) -> None:
        if not self.settled.done():
            self._failed(error)
        self._settle(error)
        self._wire.close()

    def _flush(self) -> None:
        if data := self._out.read():
            self._wire.write(data)

    def data_received(self, data: bytes) -> None:
        self._in.write(data)
        if not self._standing:
            self.shake()
        if self._standing and not self._heard:
            self._decrypt()

    def _decrypt(self) -> None:
        try:
            while data := self._tls.read(CHUNK):
                self.protocol.data_received(data)
            self._hear_the_end()
        except ssl.SSLWantReadError:
            self._flush()
        except OSError:
            # The first words of TLS 1.3 may be that our certificate is refused.
            self._flush()
            self._wire.abort()

    def eof_received(self) -> bool:
        if self._standing:
            # Docker once ended so what it said: below TLS, which hears nothing of it.
            self._hear_the_end()
        else:
            self._give_up(ConnectionResetError("EOF"))
        return True

    def _hear_the_end(self) -> None:
        if not self._heard:
            self._heard = True
            if not self.protocol.eof_received():
                self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle(ConnectionResetError("EOF"))
        if self._standing:
            self.protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._standing:
            self.protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._standing:
            self.protocol.resume_writing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data and not self._said and not self._wire.is_closing():
            self._tls.write(data)
            self._flush()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Say no more, and go on listening."""
        if not self._said:
            self._said = True
            # It is said at once; the answer to it may never come.
            with suppress(ssl.SSLError):
                self._tls.unwrap()
            self._flush()

    def close(self) -> None:
        self.write_eof()
        self._wire.close()

    def abort(self) -> None:
        self._wire.abort()

    def is_closing(self) -> bool:
        return self._wire.is_closing()

    def pause_reading(self) -> None:
        self._wire.pause_reading()

    def resume_reading(self) -> None:
        self._wire.resume_reading()

    def is_reading(self) -> bool:
        return self._wire.is_reading()

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast(asyncio.Protocol, protocol)

    def get_write_buffer_size(self) -> int:
        return self._wire.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        # Who learns that this is TLS will not believe that it can be half closed.
        return self._wire.get_extra_info(name, default)


async def open_tls(
    host: str, port: str, context: ssl.SSLContext, limit: int = CHUNK
) -> Ends:
    """Connect to a TLS server, and shake hands; raise OSError."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit, loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    tls = TLSTransport(protocol, context, host)
    await loop.create_connection(lambda: tls, host, int(port))
    try:
        if error := await tls.settled:
            raise error
    except BaseException:
        tls.abort()
        raise
    return reader, asyncio.StreamWriter(tls, protocol, reader, loop)
