"""From a method and a path to a handler: api/primary.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `routes`                                  | `routes`                            |
| `mux.Router`, in its place                | `Router`                            |
| `cleanPath` of gorilla/mux                | `clean_path`                        |
| `writeCorsHeaders`                        | `CORS`                              |
| the function `wrap`                       | `Primary.answer`                    |
| `setupPrimaryRouter`, `NewPrimary`        | the same                            |
| `profilerSetup`                           | in `new_primary`                    |
"""

import posixpath
import re
from functools import partial
from traceback import format_exception
from typing import NamedTuple, TypeAlias
from urllib.parse import quote as quote_path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from walkthroughs.swarm import handlers_containers as containers
from walkthroughs.swarm import handlers_images as images
from walkthroughs.swarm import handlers_listing as listing
from walkthroughs.swarm import handlers_resources as resources
from walkthroughs.swarm import handlers_system as system
from walkthroughs.swarm import hijack, profiler, proxy
from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.handler import (
    API_VERSION,
    Context,
    Handler,
    HTTPError,
    http_error,
    status_of,
)
from walkthroughs.swarm.http_protocol import AbortHandler

Routes: TypeAlias = dict[str, dict[str, Handler]]

routes: Routes = {
    "HEAD": {
        "/containers/{name}/archive": proxy.proxy_container,
    },
    "GET": {
        "/_ping": system.ping,
        "/events": system.get_events,
        "/info": system.get_info,
        "/version": system.get_version,
        "/images/json": listing.get_images_json,
        "/images/viz": system.not_implemented_handler,
        "/images/search": proxy.proxy_random,
        "/images/get": images.get_images,
        "/images/{name}/get": images.proxy_image_get,
        "/images/{name}/history": images.proxy_image,
        "/images/{name}/json": images.proxy_image,
        "/containers/ps": listing.get_containers_json,
        "/containers/json": listing.get_containers_json,
        "/containers/{name}/archive": proxy.proxy_container,
        "/containers/{name}/export": proxy.proxy_container,
        "/containers/{name}/changes": proxy.proxy_container,
        "/containers/{name}/json": listing.get_container_json,
        "/containers/{name}/top": proxy.proxy_container,
        "/containers/{name}/logs": proxy.proxy_container,
        "/containers/{name}/stats": proxy.proxy_container,
        "/containers/{name}/attach/ws": hijack.proxy_hijack,
        "/exec/{execid}/json": proxy.proxy_container,
        "/networks": listing.get_networks,
        "/networks/{networkid}": listing.get_network,
        "/volumes": listing.get_volumes,
        "/volumes/{volumename}": listing.get_volume,
    },
    "POST": {
        "/auth": proxy.proxy_random,
        "/commit": containers.post_commit,
        "/build": images.post_build,
        "/images/create": images.post_images_create,
        "/images/load": images.post_images_load,
        "/images/{name}/push": images.proxy_image_push,
        "/images/{name}/tag": images.post_tag_image,
        "/containers/create": containers.post_containers_create,
        "/containers/{name}/kill": proxy.proxy_container_and_force_refresh,
        "/containers/{name}/pause": proxy.proxy_container_and_force_refresh,
        "/containers/{name}/unpause": proxy.proxy_container_and_force_refresh,
        "/containers/{name}/rename": containers.post_rename_container,
        "/containers/{name}/restart": proxy.proxy_container_and_force_refresh,
        "/containers/{name}/start": containers.post_containers_start,
        "/containers/{name}/stop": proxy.proxy_container_and_force_refresh,
        "/containers/{name}/update": proxy.proxy_container_and_force_refresh,
        "/containers/{name}/wait": proxy.proxy_container_and_force_refresh,
        "/containers/{name}/resize": proxy.proxy_container,
        "/containers/{name}/attach": hijack.proxy_hijack,
        "/containers/{name}/copy": proxy.proxy_container,
        "/containers/{name}/exec": containers.post_containers_exec,
        "/exec/{execid}/start": hijack.post_exec_start,
        "/exec/{execid}/resize": proxy.proxy_container,
        "/networks/create": resources.post_networks_create,
        "/networks/{networkid}/connect": resources.proxy_network_connect,
        "/networks/{networkid}/disconnect": resources.network_disconnect,
        "/volumes/create": resources.post_volumes_create,
    },
    "PUT": {
        "/containers/{name}/archive": proxy.proxy_container,
    },
    "DELETE": {
        "/containers/{name}": containers.delete_containers,
        "/images/{name}": images.delete_images,
        "/networks/{networkid}": resources.delete_networks,
        "/volumes/{name}": resources.delete_volumes,
    },
}
"""What the manager can be asked, by method and path. A variable may have slashes."""

VERSION = re.compile("/v([0-9]+.[0-9]+)(?=/)")
"""What a path may begin with: `/v1.30`. The dot is any sign, upstream too."""

SAFE = "$&+,/:;=@"
"""Signs that Go leaves as they are in a path."""

SIGNED = [(b"api-version", API_VERSION.encode())]
CORS = [
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-allow-headers",
        b"Origin, X-Requested-With, Content-Type, Accept",
    ),
    (b"access-control-allow-methods", b"GET, POST, DELETE, PUT, OPTIONS, HEAD"),
]


class Route(NamedTuple):
    """What can be asked, and who answers."""

    handler: Handler
    text: str
    variable: str = ""
    after: str = ""
    """What stands behind the variable."""


class Match(NamedTuple):
    """What a request leads to."""

    handler: Handler
    route: str
    variables: dict[str, str]


class Router:
    """Finds handlers by looking up how a path begins and ends; it tries no pattern."""

    def __init__(self) -> None:
        self.exact: dict[tuple[str, str], Route] = {}
        """By method and path."""
        self.patterns: dict[tuple[str, str, str], Route] = {}
        """By method, first part and last part; "" where the variable comes last."""

    def add(self, method: str, text: str, handler: Handler) -> None:
        """Have a handler answer, unless one does already.

        A variable can only be the second part of a route. Raise ValueError for another
        place, and for a route that begins and ends as one does that is there.
        """
        before, brace, rest = text.partition("{")
        if not brace:
            self.exact.setdefault((method, text), Route(handler, text))
            return
        variable, _, after = rest.partition("}")
        key = (method, before[1:-1], after.rpartition("/")[2])
        known = self.patterns.setdefault(key, Route(handler, text, variable, after))
        if "/" in key[1] or "{" in after or known.after != after:
            raise ValueError(f"cannot be told from others: {method} {text}")

    def match(self, method: str, path: str) -> Match | None:
        """Return what a path leads to; the version that it names is a variable."""
        variables: dict[str, str] = {}
        if versioned := VERSION.match(path):
            variables["version"], path = versioned[1], path[versioned.end() :]
        if route := self.exact.get((method, path)):
            return Match(route.handler, route.text, variables)
        parts = path.split("/", 2)
        # The `.*` of upstream stands for anything but the end of a line.
        if len(parts) < 3 or parts[0] or "\n" in path:
            return None
        _, first, rest = parts
        for last in rest.rpartition("/")[2], "":
            route = self.patterns.get((method, first, last))
            if route and rest.endswith(route.after):
                variables[route.variable] = rest.removesuffix(route.after)
                return Match(route.handler, route.text, variables)
        return None


def clean_path(path: str) -> str:
    """Return a path without `//`, `.` and `..`; a slash at its end stays."""
    if path[:1] == "/" and "//" not in path and "/." not in path:
        return path
    clean = posixpath.normpath(f"/{path.lstrip('/')}")
    return f"{clean}/" if path.endswith("/") and clean != "/" else clean


class Primary:
    """The API of a manager, as an ASGI application."""

    def __init__(self, context: Context, router: Router, enable_cors: bool) -> None:
        self.context = context
        self.router = router
        self.fields = CORS + SIGNED if enable_cors else SIGNED
        self.ours = {name for name, _ in self.fields}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.find(scope)(scope, receive, send)

    def find(self, scope: Scope) -> ASGIApp:
        """Return what answers a request, which is told of its route."""
        path = scope["path"]
        if (clean := clean_path(path)) != path:
            place = proxy.target_of(quote_path(clean, SAFE), scope["query_string"])
            return Response(status_code=301, headers={"Location": place})
        if not (match := self.router.match(scope["method"], path)):
            return http_error("404 page not found", 404)
        scope["route"], scope["path_params"] = match.route, match.variables
        return partial(self.answer, match.handler)

    async def answer(
        self, handler: Handler, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Have a handler answer, and say of every answer who we are."""
        started = False

        async def say(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = self.signed(message["headers"])
            await send(message)

        if (log := self.context.world.log).level == "debug":
            path = scope["raw_path"].decode("latin-1")
            uri = proxy.target_of(path, scope["query_string"])
            log.debug("HTTP request received", method=scope["method"], uri=uri)
        try:
            answer = await handler(self.context, Request(scope, receive))
            await answer(scope, receive, say)
        except ClientDisconnect:
            return
        except Exception as error:
            refusal = self.refuse(error)
            if started:
                # What was begun cannot be taken back, but it can be left unfinished.
                raise AbortHandler from None
            await refusal(scope, receive, say)

    def signed(self, fields: proxy.Fields) -> proxy.Fields:
        """Return the fields of an answer, which may be an engine's, with our own."""
        theirs = [each for each in fields if each[0].lower() not in self.ours]
        return theirs + self.fields

    def refuse(self, error: Exception) -> Response:
        """Return the answer to an error, and log it: one of ours with its traceback."""
        world = self.context.world
        if isinstance(error, (HTTPError, ClusterError)):
            status, said = status_of(error), str(error)
        else:
            status, said = 500, "Internal Server Error"
            trace = "".join(format_exception(error)).rstrip()
            world.std_log(f"http: panic serving: {trace}")
        world.log.error(f"HTTP error: {said}", status=status)
        return http_error(said, status)


def setup_primary_router(router: Router, enable_cors: bool) -> None:
    """Put all routes into a router."""
    for method, mappings in routes.items():
        for route, handler in mappings.items():
            router.add(method, route, handler)
            if enable_cors:
                router.add("OPTIONS", route, system.options_handler)


def new_primary(context: Context, enable_cors: bool = False) -> Primary:
    """Return the API of a manager, which hears of events from now on."""
    context.cluster.register_event_handler(context.events_handler)
    router = Router()
    setup_primary_router(router, enable_cors)
    if context.debug:
        for name in profiler.PROFILES:
            router.add("GET", f"/debug/pprof/{name}", profiler.profile)
    return Primary(context, router, enable_cors)
