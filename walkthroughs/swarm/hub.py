"""The hub behind `token://`, which Docker ran at discovery.hub.docker.com.

| HTTP                              | here                                          |
|-----------------------------------|-----------------------------------------------|
| `POST /v1/clusters`               | `Hub.create`: answers a token                 |
| `GET /v1/clusters/TOKEN`          | `Hub.list`: the living addresses, as JSON     |
| `POST /v1/clusters/TOKEN?ttl=180` | `Hub.register`: the address that is the body  |
| `DELETE /v1/clusters/TOKEN`       | `Hub.forget`                                  |

The source of Docker's hub was not published. This one suits its client, see `token`.
"""

import re
import secrets
import socket
import sqlite3
import ssl
import weakref
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import click
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from walkthroughs.swarm.command import Command, Fatal, flag
from walkthroughs.swarm.golang import check_addr_format, join_host_port, quote
from walkthroughs.swarm.http_protocol import serve
from walkthroughs.swarm.world import World, is_loopback, reason

LIMIT = 10_000
"""Clusters of a hub, and nodes of a cluster, unless flags say otherwise."""

DEFAULT_TTL = 180
LONGEST_TTL = 365 * 24 * 60 * 60
"""Seconds; who asks for more has confused the unit."""

ADDRESS_LIMIT = 1024
"""Bytes; a host name has 253 at most."""

MARK = 0x73776D68
"""What the hub's own databases have as their `application_id`: "swmh"."""

SCHEMA = f"""
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA foreign_keys = ON;
BEGIN IMMEDIATE;
PRAGMA application_id = {MARK};
CREATE TABLE IF NOT EXISTS clusters (token TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS nodes (
    place INTEGER PRIMARY KEY,
    token TEXT NOT NULL REFERENCES clusters ON DELETE CASCADE,
    address TEXT NOT NULL,
    expires REAL NOT NULL,
    UNIQUE (token, address)
);
COMMIT;
"""


def open_database(file: str) -> sqlite3.Connection:
    """Open a file, or make it, for this process alone; raise `sqlite3.Error`."""
    # The collector of garbage may close it, and runs in any thread.
    db = sqlite3.connect(file, timeout=0, check_same_thread=False)
    try:
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (mark,) = db.execute("PRAGMA application_id").fetchone()
        if tables and mark != MARK:
            raise sqlite3.DatabaseError("file is the database of another program")
        db.executescript(SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    return db


def parse_ttl(text: str) -> int:
    """Return seconds; raise `HTTPException`."""
    if not re.fullmatch("[0-9]{1,9}", text) or not 0 < int(text) <= LONGEST_TTL:
        why = f"ttl should be a whole number of seconds from 1 to {LONGEST_TTL}"
        raise HTTPException(400, why)
    return int(text)


async def read_address(request: Request) -> str:
    """Return the address that is the body of a request; raise `HTTPException`."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        # Nobody asks Content-Length: it may be missing, and it may be wrong.
        if len(body) > ADDRESS_LIMIT:
            why = f"the body should be one address, of at most {ADDRESS_LIMIT} bytes"
            raise HTTPException(413, why)
    address = body.decode("ascii", "replace")
    # It will be printed on terminals.
    if not re.fullmatch("[!-~]+", address) or not check_addr_format(address):
        why = "the body should be an address of the form ip:port or hostname:port"
        raise HTTPException(400, why)
    return address


@dataclass
class Hub:
    """Clusters and their nodes, as an ASGI application.

    `data` is the file that keeps them; raise `sqlite3.Error` if it cannot.
    """

    world: World
    data: str = ":memory:"
    max_clusters: int = LIMIT
    max_nodes: int = LIMIT
    random_hex: Callable[[int], str] = secrets.token_hex
    """Returns that many random bytes, two digits each. Who knows a token is let in."""

    def __post_init__(self) -> None:
        self.db = open_database(self.data)
        # A lab drops its hubs without a word.
        self.close = weakref.finalize(self, self.db.close)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self.respond(request)
        except HTTPException as error:
            text = f"{error.detail}\n"
            response = PlainTextResponse(text, error.status_code, error.headers)
        except Exception as error:
            self.world.log.error(f"{request.method} {scope['path']}: {error!r}")
            response = PlainTextResponse("the hub failed: its log says why\n", 500)
        await response(scope, receive, send)

    async def respond(self, request: Request) -> Response:
        """Return the answer to a request; raise `HTTPException`."""
        match request.method, request.scope["path"].split("/"):
            case "POST", ["", "v1", "clusters"]:
                return self.create()
            case "GET" | "HEAD", ["", "v1", "clusters", token]:
                return self.list(token)
            case "POST", ["", "v1", "clusters", token]:
                ttl = parse_ttl(request.query_params.get("ttl", str(DEFAULT_TTL)))
                return self.register(token, await read_address(request), ttl)
            case "DELETE", ["", "v1", "clusters", token]:
                return self.forget(token)
            case _, ["", "v1", "clusters", *rest] if len(rest) < 2:
                methods = "GET, HEAD, POST, DELETE" if rest else "POST"
                why = f"this path takes {methods}"
                raise HTTPException(405, why, {"Allow": methods})
            case _:
                raise HTTPException(404, "no such path: try /v1/clusters/TOKEN")

    def create(self) -> Response:
        """Answer a new token, once it is safe on the disk."""
        if self.count("clusters") >= self.max_clusters:
            why = f"the hub has its {self.max_clusters} clusters"
            raise HTTPException(507, f"{why}: DELETE one, or raise --max-clusters")
        token = self.random_hex(16)
        with self.db:
            self.db.execute("INSERT INTO clusters VALUES (?)", (token,))
        self.db.execute("PRAGMA wal_checkpoint")
        return PlainTextResponse(token, 201)

    def list(self, token: str) -> Response:
        """Answer who is alive, in the order in which they came."""
        self.check(token)
        query = "SELECT address FROM nodes WHERE token = ? AND expires > ?"
        now = self.world.clock.time()
        rows = self.db.execute(f"{query} ORDER BY place", (token, now))
        return JSONResponse([address for (address,) in rows])

    def register(self, token: str, address: str, ttl: int) -> Response:
        """Let a node live for so many seconds from now."""
        now = self.world.clock.time()
        renew = "UPDATE nodes SET expires = ? WHERE token = ? AND address = ?"
        values = (now + ttl, token, address, now)
        with self.db:
            if not self.db.execute(f"{renew} AND expires > ?", values).rowcount:
                self.check(token)
                self.make_room(token, now)
                # A node that comes back from the dead comes last.
                node = (token, address, now + ttl)
                self.db.execute("REPLACE INTO nodes VALUES (NULL, ?, ?, ?)", node)
        return Response(status_code=204)

    def forget(self, token: str) -> Response:
        """Drop a cluster, with its nodes."""
        self.check(token)
        with self.db:
            self.db.execute("DELETE FROM clusters WHERE token = ?", (token,))
        return Response(status_code=204)

    def check(self, token: str) -> None:
        """Raise `HTTPException` for a token that is none."""
        if not self.count("clusters WHERE token = ?", token):
            why = "no such cluster: a token comes from POST /v1/clusters"
            raise HTTPException(404, why)

    def make_room(self, token: str, now: float) -> None:
        """Remove the dead, where they are in the way; raise `HTTPException`."""
        count = self.count("nodes WHERE token = ?", token)
        if count >= self.max_nodes:
            dead = "DELETE FROM nodes WHERE token = ? AND expires <= ?"
            count -= self.db.execute(dead, (token, now)).rowcount
        if count >= self.max_nodes:
            why = f"the cluster has its {self.max_nodes} nodes"
            raise HTTPException(507, f"{why}: let one expire, or raise --max-nodes")

    def count(self, what: str, *values: str) -> int:
        return self.db.execute(f"SELECT count(*) FROM {what}", values).fetchone()[0]


def listen(host: str) -> socket.socket:
    """Return a socket bound to `tcp://host:port` or `host:port`; raise `Fatal`."""
    protocol, separator, address = host.rpartition("://")
    if separator and protocol != "tcp":
        raise Fatal(f"unsupported protocol: {quote(protocol)}")
    name, _, port = address.rpartition(":")
    if port != "0" and not check_addr_format(address):
        raise Fatal("--host should be of the form ip:port or hostname:port")
    name = name.strip("[]") or "0.0.0.0"
    try:
        family, *_, place = socket.getaddrinfo(name, port)[0]
        return socket.create_server(place, family=family)
    except OSError as error:
        what = "choose another with --host; port 0 is any that is free"
        raise Fatal(f"listen tcp {address}: {reason(error)}: {what}") from None


def load_tls(cert: str, key: str) -> ssl.SSLContext | None:
    """Return what makes HTTP into HTTPS, None without files; raise `Fatal`."""
    if not cert and not key:
        return None
    if not cert or not key:
        raise Fatal("--tlscert and --tlskey must be provided together")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # Without any password, OpenSSL would ask the terminal for one.
        context.load_cert_chain(cert, key, password="")
    except OSError as error:
        why = f"Couldn't load X509 key pair ({cert}, {key}): {reason(error)}"
        raise Fatal(f"{why}. Key encrypted?") from None
    return context


def announce(world: World, listener: socket.socket, tls: bool) -> None:
    """Log where the hub is, and how the other commands are told."""
    host, port = map(str, listener.getsockname()[:2])
    world.log.info("Listening for HTTP", addr=join_host_port(host, port), proto="tcp")
    if not tls and not is_loopback(host):
        world.log.warning("Without --tlscert and --tlskey, tokens can be overheard")
    # Every address of a machine is no address to send somebody to.
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host
    scheme = "https" if tls else "http"
    world.log.info(f"export SWARM_HUB={scheme}://{join_host_port(name, port)}")


def limit(name: str, text: str) -> int:
    """Return the number that a flag was given; raise `Fatal`."""
    if not re.fullmatch("[0-9]{1,18}", text) or not int(text):
        raise Fatal(f"--{name} should be a positive number")
    return int(text)


@click.command(cls=Command, short_help="Run a hub for token:// discovery")
@flag("--host", "-H", default="tcp://127.0.0.1:2370", help="ip:port to listen on")
@flag("--data", default="", metavar="FILE", help="file to keep tokens and nodes in")
@flag("--tlscert", default="", help="path to TLS certificate file")
@flag("--tlskey", default="", help="path to TLS key file")
@flag("--max-clusters", default=str(LIMIT), help="clusters that the hub may have")
@flag("--max-nodes", default=str(LIMIT), help="nodes that a cluster may have")
@click.pass_obj
async def hub_command(world: World, host: str, data: str, **flags: str) -> None:
    """Run a hub: it makes tokens, and lists the nodes that register with them."""
    tls = load_tls(flags["tlscert"], flags["tlskey"])
    max_clusters = limit("max-clusters", flags["max_clusters"])
    max_nodes = limit("max-nodes", flags["max_nodes"])
    try:
        hub = Hub(world, data or ":memory:", max_clusters, max_nodes)
    except sqlite3.Error as error:
        what = "a hub takes a file that no other has, where it may write"
        raise Fatal(f"--data {data}: {error}: {what}") from None
    with closing(hub), closing(listen(host)) as listener:
        announce(world, listener, tls is not None)
        await serve(hub, listener, tls, world)
