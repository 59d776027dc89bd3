"""What a program touches outside itself: clock, chance, network, streams.

| Go                      | here                                |
|-------------------------|-------------------------------------|
| `time.Now`, `time.Sleep`| `Clock`                             |
| `time.NewTicker`        | `ticker`                            |
| `select` with `time.After`| `within`                          |
| `rand.New`              | `World.random`                      |
| `http.DefaultClient`    | `World.client`                      |
| package `logrus`        | `World.log`                         |

The original reaches for these wherever it needs them. Here they are handed in, as one
object, so that a page can hand in others: see `lab`.
"""

import asyncio
import os
import ssl
import sys
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from ipaddress import ip_address
from random import Random
from typing import Any, NamedTuple, Protocol, TextIO, TypeVar

import httpx2

from walkthroughs.swarm.golang import log_line, logrus_colors, logrus_line, quote

T = TypeVar("T")

LEVELS = ("debug", "info", "warning", "error", "fatal", "panic")

TIMEOUT = 10.0
"""Seconds a peer may stay silent. The original waits for ever."""

BODY_LIMIT = 8 * 1024 * 1024
"""Bytes of an answer; a hundred thousand addresses take a quarter of it."""

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody; for clients that will not need it."""


class Clock(Protocol):
    """Time, and a way to let it pass; all in seconds."""

    def time(self) -> float:
        """Return Unix time: for people, and for what outlives the process."""
        ...

    def monotonic(self) -> float:
        """Return a time that nobody sets back: for measuring."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class Log:
    """Lines of logrus on a stream, in colour on a terminal."""

    clock: Clock
    stream: TextIO | None = None
    """None is whatever `sys.stdout` is when a line is written."""
    level: str = "info"

    def __post_init__(self) -> None:
        self.start = self.clock.monotonic()

    def set_level(self, name: str) -> None:
        """Show this level and what is worse; raise ValueError for an unknown one."""
        known = "warning" if name.lower() == "warn" else name.lower()
        if known not in LEVELS:
            raise ValueError(f"not a valid logrus Level: {quote(name)}")
        self.level = known

    def write(self, level: str, message: str, **fields: object) -> None:
        if LEVELS.index(level) < LEVELS.index(self.level):
            return
        stream = self.stream or sys.stdout
        if stream.isatty():
            elapsed = self.clock.monotonic() - self.start
            line = logrus_colors(elapsed, level, message, fields)
        else:
            line = logrus_line(self.clock.time(), level, message, fields)
        stream.write(line)
        # Whoever follows a log through a pipe wants to see it grow.
        stream.flush()

    def debug(self, message: str, **fields: object) -> None:
        self.write("debug", message, **fields)

    def info(self, message: str, **fields: object) -> None:
        self.write("info", message, **fields)

    def warning(self, message: str, **fields: object) -> None:
        self.write("warning", message, **fields)

    def error(self, message: str, **fields: object) -> None:
        self.write("error", message, **fields)


@dataclass
class World:
    """A program's surroundings; the defaults are the real ones."""

    clock: Clock = field(default_factory=SystemClock)
    random: Random = field(default_factory=Random)
    transport: httpx2.AsyncBaseTransport | None = None
    """None is the real network."""
    stdout: TextIO | None = None
    """None is whatever `sys.stdout` is at the time, and so for the next."""
    stderr: TextIO | None = None
    log: Log = field(init=False)

    def __post_init__(self) -> None:
        self.log = Log(self.clock, self.stdout)

    def print(self, text: str) -> None:
        """Write a line to standard output."""
        print(text, file=self.stdout or sys.stdout, flush=True)

    def print_error(self, text: str) -> None:
        """Write a line to standard error."""
        print(text, file=self.stderr or sys.stderr, flush=True)

    def std_log(self, message: str) -> None:
        """Write a line of Go's package `log`, which goes to standard error."""
        stream = self.stderr or sys.stderr
        stream.write(log_line(self.clock.time(), message))
        stream.flush()

    def client(self, url: str, tls: ssl.SSLContext | None = None) -> httpx2.AsyncClient:
        """Return a client for the server at `url`, to be used with `async with`.

        `HTTP_PROXY` and its kind are followed as Go follows them: not to this machine.
        Raise `NoAnswer` for a URL, or variables, that lead nowhere.
        """
        host = url_host(url)
        try:
            return httpx2.AsyncClient(
                base_url=url,
                transport=self.transport,
                timeout=TIMEOUT,
                mounts={f"all://{host}": None} if is_loopback(host) else None,
                # Who needs no certificates is spared reading all of the system's.
                verify=tls or httpx2.URL(url).scheme == "https" or NO_TLS,
            )
        except OSError as error:
            why = f"SSL_CERT_FILE or SSL_CERT_DIR: {reason(error)}"
        except ValueError as error:
            why = f"HTTP_PROXY or its kind: {error}"
        raise NoAnswer(f"{quote(url)}: {why}")


async def ticker(clock: Clock, period: float) -> AsyncGenerator[float, None]:
    """Yield the time every `period` seconds, the first a period from now.

    Ticks keep to their beat however long the work between them takes. Of those that
    came meanwhile one is kept, as in the channel of `time.NewTicker`.
    """
    due = clock.monotonic() + period
    while True:
        await clock.sleep(due - clock.monotonic())
        now = clock.monotonic()
        dropped = max(0, (now - due) // period)
        due += period * (1 + dropped)
        yield now


async def within(seconds: float, work: Coroutine[Any, Any, T], clock: Clock) -> T:
    """Return what `work` returns; cancel it after `seconds` and raise TimeoutError."""
    task = asyncio.ensure_future(work)
    alarm = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise TimeoutError
    finally:
        task.cancel()
        alarm.cancel()
        await asyncio.gather(task, alarm, return_exceptions=True)


def url_host(url: str) -> str:
    """Return the host in a URL, as it is written there; raise `NoAnswer`."""
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError) as error:
        raise NoAnswer(f"{quote(url)}: {error}") from None
    if not parsed.host:
        raise NoAnswer(f"{quote(url)}: no host in the URL")
    if (parsed.port or 0) > 65535:
        raise NoAnswer(f"{quote(url)}: invalid port")
    return f"[{parsed.host}]" if ":" in parsed.host else parsed.host


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine: `localhost`, `127.*`, `::1` or `[::1]`."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Answer(NamedTuple):
    """What came back for a request, whole."""

    status: int
    headers: httpx2.Headers
    body: bytes


class NoAnswer(Exception):
    """A request that came back with nothing to use, and why."""


async def ask(
    client: httpx2.AsyncClient, method: str, url: str, **options: Any
) -> Answer:
    """Send a request and return the whole answer; raise `NoAnswer`."""
    try:
        async with client.stream(method, url, **options) as response:
            body = await read(response)
    except (httpx2.HTTPError, httpx2.InvalidURL, OverflowError, OSError) as error:
        # The last is a server that refuses our certificate, after the handshake.
        target = quote(str(client.base_url.join(url)))
        raise NoAnswer(f"{method.title()} {target}: {reason(error)}") from None
    return Answer(response.status_code, response.headers, body)


async def read(response: httpx2.Response, limit: int = BODY_LIMIT) -> bytes:
    """Return a body of at most `limit` bytes; raise `OverflowError`."""
    body = bytearray()
    async with aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > limit:
                raise OverflowError(f"the answer has more than {limit:,} bytes")
    return bytes(body)


def reason(error: BaseException) -> str:
    """Return why a connection failed: the system's words where it has some."""
    if isinstance(error, httpx2.TimeoutException):
        return f"no answer within {TIMEOUT:g} seconds"
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, OSError) and cause.errno and cause.strerror:
            known = cause.errno > 0 and not isinstance(cause, ssl.SSLError)
            return os.strerror(cause.errno).lower() if known else cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error) or error.__class__.__name__
