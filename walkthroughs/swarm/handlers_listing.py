"""What there is in a cluster, from what is known: a part of api/handlers.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `getContainersJSON`                       | `get_containers_json`, `remembered` |
| `getContainerJSON`                        | `get_container_json`                |
| `EngineToContainerNode`                   | `node_of`                           |
| `getImagesJSON`                           | `get_images_json`                   |
| `getNetworks`, `getNetwork`               | `get_networks`, `get_network`       |
| `getVolumes`, `getVolume`                 | `get_volumes`, `get_volume`         |
"""

from collections.abc import Callable
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response

from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.config import JSON
from walkthroughs.swarm.container_list import ANY_ADDRESS, Choice, Lines
from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.filter_args import Args, from_param, parse_int
from walkthroughs.swarm.handler import (
    Context,
    HTTPError,
    bool_value,
    form_value,
    int_value,
    reply,
)
from walkthroughs.swarm.inventory import inspection
from walkthroughs.swarm.resource_lists import (
    chosen_images,
    chosen_networks,
    image_list,
    network_list,
    volume_list,
)

RECENT = 8
"""How many answers are remembered; a client asks the same again and again."""


def filters_of(request: Request, status: int = 500) -> Args:
    """Return the filters of a request; raise `HTTPError`, with this status."""
    try:
        return from_param(form_value(request, "filters"))
    except ValueError as error:
        raise HTTPError(status, str(error)) from None


def choice_of(context: Context, request: Request) -> Choice:
    """Return which containers a client wants to see; raise `HTTPError`."""
    before, filters = None, filters_of(request)
    name = form_value(request, "before")
    if name and not (before := context.cluster.container(name)):
        raise HTTPError(404, f"No such container {name}")
    try:
        for code in filters.get("exited"):
            parse_int(code)
    except ValueError as error:
        raise HTTPError(500, str(error)) from None
    everything = bool_value(request, "all") or "exited" in filters.get("status")
    return Choice(filters, everything, int_value(request, "limit"), before)


async def refresh(context: Context, request: Request) -> None:
    """Ask engines anew, where the manager was started so that filters do that."""
    cluster, filters = context.cluster, filters_of(request)
    if context.refresh_on_node_filter:
        for node in filters.get("node"):
            with suppress(ClusterError):
                await cluster.refresh_engine(node)
    name = context.container_name_refresh_filter
    if name and name in filters.get("name"):
        with suppress(ClusterError):
            await cluster.refresh_engines()


def remembered(
    context: Context, query: bytes, facts: object, answer: Callable[[], bytes]
) -> bytes:
    """Return the answer to a query, made anew only if the facts are other ones."""
    recent: dict[bytes, tuple[object, bytes]]
    recent = context.memory.setdefault("containers", {})
    known, body = recent.get(query, (None, b""))
    if known != facts:
        body = answer()
        recent.pop(query, None)
        recent[query] = facts, body
        if len(recent) > RECENT:
            del recent[next(iter(recent))]
    return body


async def get_containers_json(context: Context, request: Request) -> Response:
    if context.refresh_on_node_filter or context.container_name_refresh_filter:
        await refresh(context, request)
    containers = context.cluster.containers()
    now = int(context.world.clock.time())
    # A container never changes: who has changed is another object.
    engines = [(e.name, e.ip, e.is_healthy()) for e in {c.engine for c in containers}]
    lines: Lines = context.memory.setdefault("lines", Lines())

    def answer() -> bytes:
        chosen = choice_of(context, request).of(containers)
        return lines.write(chosen, now)

    query, facts = request.scope["query_string"], (now, engines, containers)
    body = remembered(context, query, facts, answer)
    return Response(body, media_type="application/json")


def node_of(engine: Engine) -> JSON:
    """Return what an inspection says of the engine."""
    return {
        "ID": engine.id,
        "IP": engine.ip,
        "Addr": engine.addr,
        "Name": engine.name,
        "Cpus": engine.cpus,
        "Memory": engine.memory,
        "Labels": engine.labels,
    }


async def get_container_json(context: Context, request: Request) -> Response:
    """Inspect a container; its engine is asked, and what it says completed."""
    name = request.path_params["name"]
    if not (container := context.cluster.container(name)):
        raise HTTPError(404, f"No such container {name}")
    engine = container.engine
    if not engine.is_healthy():
        where = f"running on unhealthy node {engine.name}"
        raise HTTPError(500, f"Container {name} {where}")
    found: JSON = await engine.look(inspection(container.id))
    settings: JSON = found.get("NetworkSettings") or {}
    ports: dict[str, list[JSON] | None] = settings.get("Ports") or {}
    for bindings in ports.values():
        for binding in bindings or []:
            if binding.get("HostIp", "") in ("", *ANY_ADDRESS):
                binding["HostIp"] = engine.ip
    return reply(found | {"Node": node_of(engine)})


def is_before(version: str, other: str) -> bool:
    """Tell whether an API is older; a part that is no number is 0. (`LessThan`)"""

    def parts(text: str) -> list[int]:
        return [int(each) if each.isdecimal() else 0 for each in text.split(".")]

    return parts(version) < parts(other)


async def get_images_json(context: Context, request: Request) -> Response:
    filters, name = filters_of(request), form_value(request, "filter")
    # How a name was asked for until API 1.28; who names no version may be as old.
    if name and is_before(request.path_params.get("version", ""), "1.28"):
        filters = filters.add("reference", name)
    everything = bool_value(request, "all")
    chosen = chosen_images(context.cluster.images(), filters, everything)
    return reply(image_list(chosen))


async def get_networks(context: Context, request: Request) -> Response:
    filters = filters_of(request, status=400)
    return reply(network_list(chosen_networks(context.cluster.networks(), filters)))


async def get_network(context: Context, request: Request) -> Response:
    name = request.path_params["networkid"]
    if not (network := context.cluster.networks().uniq().get(name)):
        raise HTTPError(404, f"No such network: {name}")
    return reply(network.remove_duplicate_endpoints().raw)


async def get_volumes(context: Context, request: Request) -> Response:
    found = volume_list(context.cluster.volumes(), filters_of(request))
    # A list that nothing was ever put into is null in Go.
    return reply({"Volumes": found or None, "Warnings": None})


async def get_volume(context: Context, request: Request) -> Response:
    name = request.path_params["volumename"]
    if not (volume := context.cluster.volumes().get(name)):
        raise HTTPError(404, f"No such volume: {name}")
    return reply(volume.raw)
