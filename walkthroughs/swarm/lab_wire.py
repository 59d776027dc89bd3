"""Raw connections in the lab: two transports in memory, and a server at one of them.

| of the world                        | here                                        |
|-------------------------------------|---------------------------------------------|
| a TCP connection                    | `Connection`, with two `End`s               |
| what is under way                   | `End.pieces`, which `End.carry` delivers    |
| `connect(2)`                        | `dial`                                      |
| FIN, RST                            | `End.write_eof`, `Connection.reset`         |
| the server's accept loop            | `http_protocol.Clients`, as is              |
"""

import asyncio
from typing import TypeAlias, cast

from walkthroughs.swarm.golang import split_host_port
from walkthroughs.swarm.http_protocol import Clients
from walkthroughs.swarm.lab import App, Ends, Exchange, Network
from walkthroughs.swarm.world import World

WINDOW = 64 * 1024
"""Bytes that may be under way before who sends has to wait."""
READ_LIMIT = 256 * 1024

Address: TypeAlias = tuple[str, int]


class End(asyncio.Transport):
    """One end of a connection: what is written here is received at `peer`."""

    peer: "End"

    def __init__(
        self,
        connection: "Connection",
        protocol: asyncio.Protocol,
        here: Address,
        there: Address,
    ) -> None:
        super().__init__({"sockname": here, "peername": there})
        self.connection, self.protocol = connection, protocol
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()
        """What is under way from here; nothing is the end."""
        self.under_way = 0
        self.full = self.said_all = self.closing = self.lost = False
        self.reads = asyncio.Event()
        self.reads.set()
        self.carrier = asyncio.get_running_loop().create_task(self.carry())

    async def carry(self) -> None:
        """Deliver what is under way, piece by piece, to the end."""
        more = True
        while more:
            piece = await self.pieces.get()
            await self.peer.reads.wait()
            await self.connection.network.reach(self.connection.host)
            more = bool(piece)
            self.deliver(piece)

    def deliver(self, piece: bytes) -> None:
        if self.peer.lost:
            if piece:
                self.lose(ConnectionResetError(104, "Connection reset by peer"))
        elif piece:
            self.peer.protocol.data_received(piece)
        elif not self.peer.protocol.eof_received():
            self.peer.close()
        self.under_way -= len(piece)
        if self.full and self.under_way <= WINDOW // 2 and not self.lost:
            self.full = False
            self.protocol.resume_writing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not data or self.said_all:
            return
        self.connection.notice(self, bytes(data))
        self.pieces.put_nowait(bytes(data))
        self.under_way += len(data)
        if self.under_way > WINDOW and not self.full:
            self.full = True
            self.protocol.pause_writing()

    def write_eof(self) -> None:
        if not self.said_all:
            self.said_all = True
            self.pieces.put_nowait(b"")

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        """Say no more and hear no more; what is under way arrives."""
        if not self.closing:
            self.closing = True
            self.write_eof()
            asyncio.get_running_loop().call_soon(self.lose)

    def abort(self) -> None:
        self.close()

    def lose(self, error: Exception | None = None) -> None:
        """Be closed, by an error or in order."""
        if not self.lost:
            self.lost = self.closing = self.said_all = True
            self.protocol.connection_lost(error)
            if error:
                self.carrier.cancel()
            self.connection.forget()

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.reads.clear()

    def resume_reading(self) -> None:
        self.reads.set()

    def is_reading(self) -> bool:
        return self.reads.is_set()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def get_write_buffer_size(self) -> int:
        return self.under_way


class Connection:
    """A client's connection with the application at a host, over the lab's network."""

    def __init__(self, network: Network, client: str, host: str, app: App) -> None:
        self.network, self.client, self.host = network, client, host
        self.begin = network.clock.now
        self.question = b""
        loop = asyncio.get_running_loop()
        self.reader = asyncio.StreamReader(limit=READ_LIMIT, loop=loop)
        streams = asyncio.StreamReaderProtocol(self.reader, loop=loop)
        self.clients = Clients(app, None, World(network.clock))
        server = cast(asyncio.Protocol, self.clients.accept())
        name, port = split_host_port(host)
        here, there = ("127.0.0.1", 123), (name, int(port))
        self.near = End(self, streams, here, there)
        self.far = End(self, server, there, here)
        self.near.peer, self.far.peer = self.far, self.near
        network.calls.setdefault(host, set()).add(self)
        server.connection_made(self.far)
        streams.connection_made(self.near)
        self.writer = asyncio.StreamWriter(self.near, streams, self.reader, loop)

    def notice(self, end: End, data: bytes) -> None:
        """Note the first request and the status of its answer."""
        if end is self.near:
            self.question = self.question or data
        elif self.question and data.startswith(b"HTTP/1."):
            method, target, *_ = self.question.decode(errors="replace").split(" ", 2)
            path, status = target.partition("?")[0], int(data[9:12])
            said = (self.begin, self.client, self.host, method, path, status)
            self.network.exchanges.append(Exchange(*said))
            self.question = b""

    def reset(self) -> None:
        """Break the connection, as the end of its machine does."""
        gone = ConnectionResetError(104, "Connection reset by peer")
        for end in (self.far, self.near):
            end.lose(gone)
        for task in self.tasks():
            task.cancel()

    def tasks(self) -> list[asyncio.Task[None]]:
        return [each.task for each in self.clients.connections if each.task]

    def forget(self) -> None:
        if self.near.lost and self.far.lost:
            self.network.calls[self.host].discard(self)

    async def aclose(self) -> None:
        """Break the connection, and wait until all that served it has ended."""
        ending = [self.near.carrier, self.far.carrier, *self.tasks()]
        self.reset()
        await asyncio.gather(*ending, return_exceptions=True)


async def dial(network: Network, client: str, addr: str) -> Ends:
    """Connect to `host:port`; raise `ConnectionRefusedError` if nobody is there."""
    await network.reach(addr)
    if not (app := network.apps.get(addr)):
        raise ConnectionRefusedError(111, "Connection refused")
    connection = Connection(network, client, addr, app)
    return connection.reader, connection.writer
