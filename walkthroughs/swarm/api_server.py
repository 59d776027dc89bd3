"""The API server, whose handler can be changed while it runs: api/server.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `dispatcher`                              | `Dispatcher`                        |
| `Server`, `NewServer`                     | `Server`                            |
| `SetHandler`                              | `Server.set_handler`                |
| `ListenAndServe`                          | `Server.listen_and_serve`           |
| `newListener`, `newUnixListener`          | `new_listener`, `new_unix_listener` |
| `http.Server.Serve`                       | `serve`, in `http_protocol`         |
"""

import os
import socket
import ssl
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from walkthroughs.swarm.command import Fatal
from walkthroughs.swarm.engine_api import keepalive
from walkthroughs.swarm.everywhere import together
from walkthroughs.swarm.golang import join_host_port, quote, split_host_port
from walkthroughs.swarm.handler import http_error
from walkthroughs.swarm.http_protocol import serve
from walkthroughs.swarm.world import World, is_loopback, reason

DEFAULT_DOCKER_PORT = ":2375"
"""Where Docker listens that has no TLS."""
LAST_PORT = 65535


class Dispatcher:
    """Hands each request to another application, which can be exchanged."""

    def __init__(self) -> None:
        self.handler: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # One look: a request has one handler from its first byte to its last.
        handler = self.handler or http_error("No dispatcher defined", 500)
        await handler(scope, receive, send)


class Server:
    """The API on one host or several, each `[tcp://]host:port` or `unix://path`."""

    def __init__(
        self, hosts: Iterable[str], tls: ssl.SSLContext | None, world: World
    ) -> None:
        self.hosts = list(hosts)
        self.tls = tls
        self.world = world
        self.dispatcher = Dispatcher()

    def set_handler(self, handler: ASGIApp) -> None:
        """Have another application answer, from the next request on."""
        self.dispatcher.handler = handler

    async def listen_and_serve(self) -> None:
        """Serve on every host until cancelled; raise `Fatal` if one fails."""
        await together(map(self.serve_on, self.hosts))

    async def serve_on(self, host: str) -> None:
        proto, separator, addr = host.partition("://")
        if not separator:
            proto, addr = "tcp", host
        self.world.log.info("Listening for HTTP", addr=addr, proto=proto)
        if proto == "unix":
            with new_unix_listener(addr) as listener:
                try:
                    await self._serve(listener)
                finally:
                    os.unlink(addr)
        elif proto == "tcp":
            with new_listener(addr) as listener:
                self._warn(listener)
                await self._serve(listener)
        else:
            raise Fatal(f"unsupported protocol: {quote(proto)}")

    async def _serve(self, listener: socket.socket) -> None:
        await serve(self.dispatcher, listener, self.tls, self.world)

    def _warn(self, listener: socket.socket) -> None:
        host, port = map(str, listener.getsockname()[:2])
        checked = self.tls and self.tls.verify_mode is ssl.CERT_REQUIRED
        if not checked and not is_loopback(host):
            where = join_host_port(host, port)
            danger = "whoever can connect is root on every engine of the cluster"
            self.world.log.warning(f"Without --tlsverify, {where} is open: {danger}")


def new_listener(addr: str) -> socket.socket:
    """Return a socket that listens on `host:port`; raise `Fatal`."""
    host, port = place_of(addr)
    everywhere = not host and socket.has_dualstack_ipv6()
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, *_, place = found[0]
        if everywhere:
            family, place = socket.AF_INET6, ("", place[1])
        listener = socket.create_server(place, family=family, dualstack_ipv6=everywhere)
    except socket.gaierror as error:
        raise Fatal(f"listen tcp: {unknown(error, host, port)}") from None
    except OSError as error:
        raise Fatal(refusal(addr, reason(error))) from None
    for option in keepalive():
        # Each connection inherits it.
        listener.setsockopt(*option)
    return listener


def place_of(addr: str) -> tuple[str, str]:
    """Return host and port; raise `Fatal` for an address that is none."""
    try:
        host, port = split_host_port(addr)
    except ValueError as error:
        raise Fatal(f"listen tcp: {error}") from None
    if port.isdecimal() and int(port) > LAST_PORT:
        raise Fatal(f"listen tcp: address {port}: invalid port")
    return host, port


def unknown(error: socket.gaierror, host: str, port: str) -> str:
    """Return what to say of a name that means nothing here."""
    if error.errno == socket.EAI_SERVICE:
        return f"address tcp/{port}: unknown port"
    return f"lookup {host}: no such host"


def refusal(addr: str, why: str) -> str:
    """Return what to say of an address that cannot be had."""
    said = f"listen tcp {addr}: bind: {why}"
    if why == "address already in use" and DEFAULT_DOCKER_PORT in addr:
        hint = "is Docker already running on this machine? Try using a different port"
        said = f"{said}: {hint}"
    return said


def new_unix_listener(path: str) -> socket.socket:
    """Return a socket that listens on a path, for its owner alone; raise `Fatal`."""
    try:
        # What a manager left that was killed would be in the way.
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise Fatal(reason(error)) from None
    listener = socket.socket(socket.AF_UNIX)
    # Between the making of the file and its mode, nobody may connect.
    mask = os.umask(0o777)
    try:
        listener.bind(path)
        os.chmod(path, 0o600)
    except OSError as error:
        listener.close()
        raise Fatal(f"listen unix {path}: bind: {reason(error)}") from None
    finally:
        os.umask(mask)
    listener.listen()
    return listener
