"""What answers a request: the signature, the errors and the words of package `api`.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `context`                                 | `Context`                           |
| `handler`                                 | `Handler`                           |
| `httpError`                               | `HTTPError`, `http_error`           |
| `json.NewEncoder(w).Encode`               | `reply`                             |
| `r.Body`, where it is read whole          | `read_body`                         |
| `r.FormValue`                             | `form_value`                        |
| `boolValue`, `intValueOrZero`             | `bool_value`, `int_value`           |
| `r.URL.Path = strings.Replace(...)`       | `path_to`                           |
"""

import json
import re
import ssl
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import quote as quote_path

from starlette.requests import Request
from starlette.responses import Response

from walkthroughs.swarm.cluster import Cluster, ClusterError
from walkthroughs.swarm.events import APIEventHandler
from walkthroughs.swarm.world import World

API_VERSION = "1.30"
"""What the manager says it speaks. (`APIVERSION`)"""

BODY_LIMIT = 1024 * 1024
"""Bytes of a body that is read whole: an order, in JSON."""

Pairs: TypeAlias = list[tuple[str, str]]


@dataclass
class Context:
    """What every handler of one manager shares."""

    cluster: Cluster
    world: World
    events_handler: APIEventHandler
    status: Callable[[], Pairs]
    """The first lines of `docker info`: who we are, and then the cluster's own."""
    tls: ssl.SSLContext | None = None
    """What connections to engines are made with."""
    debug: bool = False
    experimental: bool = False
    refresh_on_node_filter: bool = False
    container_name_refresh_filter: str = ""
    memory: dict[str, Any] = field(default_factory=dict[str, Any])
    """What handlers keep from one request to the next."""


Handler: TypeAlias = Callable[[Context, Request], Awaitable[Response]]
"""Returns the answer; raises `HTTPError`, or the `ClusterError` of an order.

`request.path_params` has the variables of the route, and `version` if there is one;
`request.scope["route"]` is the route itself.
"""


class HTTPError(Exception):
    """A refusal, with its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def status_of(error: HTTPError | ClusterError) -> int:
    """Return the HTTP status of an error: a cluster's are 500, but for a conflict."""
    if isinstance(error, HTTPError):
        return error.status
    return 409 if str(error).startswith("Conflict") else 500


def http_error(message: str, status: int) -> Response:
    """Return an error as Go's `http.Error` writes it, for people."""
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(f"{message}\n", status, headers)


def to_json(value: Any) -> bytes:
    """Return JSON without blanks, and a line end."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # Half a surrogate pair can be spelled in JSON, and not in UTF-8.
    return text.encode(errors="replace") + b"\n"


def reply(value: Any, status: int = 200) -> Response:
    """Return an answer of JSON."""
    return Response(to_json(value), status, media_type="application/json")


async def read_body(request: Request) -> bytes:
    """Return a body that is wanted whole; raise `HTTPError` for a very long one."""
    body = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > BODY_LIMIT:
                raise HTTPError(413, f"the body has more than {BODY_LIMIT:,} bytes")
    return bytes(body)


def form_value(request: Request, key: str) -> str:
    """Return what the URL says first of a key, or ""."""
    return next(iter(request.query_params.getlist(key)), "")


def bool_value(request: Request, key: str) -> bool:
    """Return a truth value from the URL, where nearly everything is true."""
    said = form_value(request, key).strip().lower()
    return said not in ("", "0", "no", "false", "none")


def int_value(request: Request, key: str) -> int:
    """Return a number from the URL; 0 for what is none."""
    said = form_value(request, key)
    return int(said) if re.fullmatch(r"[-+]?[0-9]{1,18}", said, re.ASCII) else 0


def path_to(request: Request, value: str) -> str:
    """Return the path of the same route on an engine, with a value for its variable."""
    parts = request.scope["route"].split("/")
    path = "/".join(value if part.startswith("{") else part for part in parts)
    version = request.path_params.get("version")
    # Quoted: no part of a name may become a query, or a step up.
    return quote_path(f"/v{version}{path}" if version else path, safe="/:@")
