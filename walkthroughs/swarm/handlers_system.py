"""What a manager says of itself, and of what happens: a part of api/handlers.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `ping`, `optionsHandler`                  | `ping`, `options_handler`           |
| `notImplementedHandler`                   | `not_implemented_handler`           |
| `getVersion`, `types.Version`             | `get_version`                       |
| `getInfo`, `types.Info`                   | `get_info`, `EMPTY`                 |
| `normalizeEvent`                          | `normalize_event`                   |
| `getEvents`                               | `get_events`, `EventStream`         |
"""

import os
import platform
from contextlib import aclosing, suppress
from datetime import UTC, datetime

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from walkthroughs.swarm.cluster import Containers
from walkthroughs.swarm.config import JSON
from walkthroughs.swarm.events import Event
from walkthroughs.swarm.filter_args import parse_int
from walkthroughs.swarm.handler import (
    API_VERSION,
    Context,
    HTTPError,
    form_value,
    reply,
    to_json,
)
from walkthroughs.swarm.proxy import Upload, body, unless_gone
from walkthroughs.swarm.resource_lists import is_shown
from walkthroughs.swarm.world import within

VERSION = "swarm/1.2.9"
"""By which clients know that they do not talk to an engine."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""What Go calls a machine."""

EMPTY: JSON = {
    "ID": "",
    "Driver": "",
    "DriverStatus": None,
    "Plugins": dict.fromkeys(("Volume", "Network", "Authorization", "Log")),
    "KernelMemory": False,
    "NFd": 0,
    "NGoroutines": 0,
    "LoggingDriver": "",
    "CgroupDriver": "",
    "OSType": "",
    "IndexServerAddress": "",
    "RegistryConfig": None,
    "DockerRootDir": "",
    "Labels": None,
    "ClusterStore": "",
    "ClusterAdvertise": "",
    "Runtimes": None,
    "DefaultRuntime": "",
    "Swarm": {
        **dict.fromkeys(("NodeID", "NodeAddr", "LocalNodeState", "Error"), ""),
        "ControlAvailable": False,
        "RemoteManagers": None,
    },
    "LiveRestoreEnabled": False,
    "Isolation": "",
    "InitBinary": "",
    "ContainerdCommit": {"ID": "", "Expected": ""},
    "RuncCommit": {"ID": "", "Expected": ""},
    "InitCommit": {"ID": "", "Expected": ""},
    "SecurityOptions": None,
}
"""What an engine says of itself, and a cluster cannot; Go writes it all the same."""

ABLE = dict.fromkeys(
    (
        *("MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares"),
        *("CPUSet", "IPv4Forwarding", "BridgeNfIptables", "BridgeNfIp6tables"),
        "OomKillDisable",
    ),
    True,
)
"""What clients warn of when an engine says that it cannot do it."""

PONG = Response(b"OK", media_type="text/plain")
REFUSED = "Not supported in clustering mode."


async def ping(context: Context, request: Request) -> Response:
    return PONG


async def not_implemented_handler(context: Context, request: Request) -> Response:
    raise HTTPError(501, REFUSED)


async def options_handler(context: Context, request: Request) -> Response:
    """Answer a browser, which wants the headers that the router gives to all."""
    return Response()


def host() -> JSON:
    """Return what both answers say of the manager's machine, by the names in `Info`."""
    machine = platform.machine()
    return {
        "OperatingSystem": platform.system().lower(),
        "Architecture": ARCHITECTURES.get(machine, machine),
        "KernelVersion": platform.release(),
    }


async def get_version(context: Context, request: Request) -> Response:
    here = host()
    version: JSON = {
        "Version": VERSION,
        "ApiVersion": API_VERSION,
        "GitCommit": "HEAD",
        "GoVersion": f"python{platform.python_version()}",
        "Os": here["OperatingSystem"],
        "Arch": here["Architecture"],
        "KernelVersion": here["KernelVersion"],
    }
    if context.experimental:
        version["Experimental"] = True
    return reply({**version, "BuildTime": "<unknown>"})


def count_states(containers: Containers) -> dict[str, int]:
    """Return how many containers there are, and in each state."""
    paused = sum(each.paused for each in containers)
    running = sum(each.running and not each.paused for each in containers)
    return {
        "Containers": len(containers),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(containers) - running - paused,
    }


def proxies() -> dict[str, str]:
    """Return the proxies that the manager was started with."""
    names = {"HttpProxy": "http_proxy", "HttpsProxy": "https_proxy"}
    names["NoProxy"] = "no_proxy"
    return {field: os.environ.get(name, "") for field, name in names.items()}


async def get_info(context: Context, request: Request) -> Response:
    cluster = context.cluster
    now = datetime.fromtimestamp(context.world.clock.time(), UTC).astimezone()
    return reply(
        EMPTY
        | ABLE
        | host()
        | proxies()
        | count_states(cluster.containers())
        | {
            "Images": sum(map(is_shown, cluster.images())),
            "SystemStatus": context.status(),
            "Debug": context.debug,
            "SystemTime": now.isoformat().replace("+00:00", "Z"),
            "NEventsListener": context.events_handler.size(),
            "NCPU": cluster.total_cpus(),
            "MemTotal": cluster.total_memory(),
            "Name": platform.node(),
            "ExperimentalBuild": context.experimental,
            "ServerVersion": VERSION,
        }
    )


def normalize_event(event: Event) -> bytes:
    """Return an event for clients: they are told on which engine it happened."""
    engine = event.engine
    actor: JSON = event.raw.get("Actor") or {}
    node = {
        "Name": engine.name,
        "Id": engine.id,
        "Addr": engine.addr,
        "Ip": engine.ip,
    }
    attributes: JSON = dict(actor.get("Attributes") or {})
    attributes |= {f"node.{key.lower()}": value for key, value in node.items()}
    told: JSON = event.raw | {
        "from": f"{event.origin} node:{engine.name}",
        "Actor": {"ID": "", **actor, "Attributes": attributes},
        # Read by programs from before there were attributes.
        "node": node,
    }
    return to_json(told).rstrip(b"\n")


class EventStream(Response):
    """An answer that goes on until the client leaves, or nobody has more to say."""

    def __init__(self, context: Context, limit: float | None) -> None:
        self.context = context
        self.limit = limit
        """Seconds; None is for ever."""
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        upload = Upload(scope, receive)
        # A body, which no client should send, is nobody's business.
        upload.has_been_read()
        with suppress(ClientDisconnect):
            await unless_gone(upload, self._answer(send))

    async def _answer(self, send: Send) -> None:
        headers = [(b"content-type", b"application/json")]
        # Whoever has the head may rely on being told what happens from now on.
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if self.limit is None:
            await self._tell(send)
        else:
            with suppress(TimeoutError):
                await within(self.limit, self._tell(send), self.context.world.clock)
        await send(body(b""))

    async def _tell(self, send: Send) -> None:
        async with aclosing(self.context.events_handler.watch()) as events:
            async for event in events:
                await send(body(normalize_event(event), more=True))


async def get_events(context: Context, request: Request) -> Response:
    """Tell what happens from now on, `until` a Unix time."""
    until = form_value(request, "until")
    try:
        second = parse_int(until, "ParseInt") if until else 0
    except ValueError as error:
        raise HTTPError(400, str(error)) from None
    limit = max(0.0, second - context.world.clock.time()) if second > 0 else None
    return EventStream(context, limit)
