"""What a container says: to its log, and to who is attached to it.

| of dockerd                          | here                                        |
|-------------------------------------|---------------------------------------------|
| `stdcopy.NewStdWriter`              | `frame`                                     |
| `stdcopy.StdCopy`                   | `frames_of`                                 |
| `stream.Config`                     | `Streams`                                   |
| `logger.Copier`, the driver's file  | `Streams.log`: a list of `Record`           |
| `daemon.ContainerLogs`              | `Streams.logs`                              |
| `stream.Config.CopyStreams`         | `converse`                                  |
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from walkthroughs.swarm.lab_programs import STDERR, STDOUT, Pipe

HEAD = struct.Struct(">BxxxL")
"""What stands before a piece: the stream's number, and how many bytes there are."""


class Record(NamedTuple):
    """A piece of output; in the log, a line."""

    time: float
    stream: int
    data: bytes


def frame(stream: int, data: bytes) -> bytes:
    """Return a piece with its head, as it goes where two streams share one."""
    return HEAD.pack(stream, len(data)) + data


def frames_of(data: bytes) -> list[tuple[int, bytes]]:
    """Return the pieces in what has been received; the last may be half a one."""
    found: list[tuple[int, bytes]] = []
    while len(data) >= HEAD.size:
        stream, length = HEAD.unpack_from(data)
        found.append((stream, data[HEAD.size : HEAD.size + length]))
        data = data[HEAD.size + length :]
    return found


def stamp(seconds: float) -> bytes:
    """Return Unix time as a log has it: with nine digits, whatever they are."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z ").encode()


class Channel:
    """What reaches all who listen while it is said; None is the end."""

    def __init__(self) -> None:
        self.queues: set[asyncio.Queue[Record | None]] = set()

    def put(self, record: Record | None) -> None:
        for queue in self.queues:
            queue.put_nowait(record)

    @contextmanager
    def listen(self) -> Generator[asyncio.Queue[Record | None]]:
        queue: asyncio.Queue[Record | None] = asyncio.Queue()
        self.queues.add(queue)
        try:
            yield queue
        finally:
            self.queues.discard(queue)


class Streams:
    """The input and the output of a process, and what is kept of the output."""

    def __init__(self, now: Callable[[], float] = float, tty: bool = False) -> None:
        self.now, self.tty = now, tty
        self.stdin = Pipe()
        self.raw, self.lines = Channel(), Channel()
        self.log: list[Record] = []
        self.begun = {STDOUT: b"", STDERR: b""}
        """Of each stream, the line that has no end yet."""

    def hear(self, stream: int, data: bytes) -> None:
        """Pass on what a process has written, and keep the lines."""
        self.raw.put(Record(self.now(), stream, data))
        *lines, self.begun[stream] = (self.begun[stream] + data).split(b"\n")
        for line in lines:
            self.keep(stream, line + b"\n")

    def keep(self, stream: int, line: bytes) -> None:
        record = Record(self.now(), stream, line)
        self.log.append(record)
        self.lines.put(record)

    def close(self) -> None:
        """End the output, and what was begun; the next process has another input."""
        for stream, line in self.begun.items():
            if line:
                self.keep(stream, line)
        self.begun = {STDOUT: b"", STDERR: b""}
        self.raw.put(None)
        self.lines.put(None)
        self.stdin = Pipe()

    def shown(self, record: Record, timestamps: bool = False) -> bytes:
        data = (stamp(record.time) if timestamps else b"") + record.data
        return data if self.tty else frame(record.stream, data)

    async def logs(
        self,
        streams: set[int],
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float = 0.0,
        until: float = 0.0,
        timestamps: bool = False,
    ) -> AsyncIterator[bytes]:
        """Yield the lines of some streams, and if that is asked for, those to come."""
        with self.lines.listen() as queue:
            old = [each for each in self.log if each.time >= since]
            for record in old[max(0, len(old) - tail) :] if tail is not None else old:
                queue.put_nowait(record)
            if not follow:
                queue.put_nowait(None)
            while (record := await queue.get()) and record.time <= (
                until or record.time
            ):
                if record.stream in streams:
                    yield self.shown(record, timestamps)


async def converse(
    queue: "asyncio.Queue[Record | None]",
    shown: Callable[[Record], bytes],
    streams: set[int],
    typed: AsyncIterator[bytes] | None = None,
    stdin: Pipe | None = None,
    ends_input: bool = False,
) -> AsyncIterator[bytes]:
    """Yield what is said, to the end; pass what is typed to `stdin`.

    When no more is typed, the process is told, if `ends_input`; else the conversation
    ends, and the process goes on alone.
    """

    async def listen() -> None:
        if typed is None or stdin is None:
            return
        try:
            async for data in typed:
                stdin.feed(data)
        except OSError:
            pass
        if ends_input:
            stdin.close()
        else:
            queue.put_nowait(None)

    listener = asyncio.ensure_future(listen())
    try:
        while record := await queue.get():
            if record.stream in streams:
                yield shown(record)
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)
