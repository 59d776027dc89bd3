"""What the API does to networks and volumes: a part of api/handlers.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `postNetworksCreate`                      | `post_networks_create`              |
| `deleteNetworks`                          | `delete_networks`                   |
| `proxyNetworkConnect`                     | `proxy_network_connect`             |
| `Engine.NetworkDisconnect`                | `disconnect`                        |
| `networkDisconnect`                       | `network_disconnect`                |
| `postVolumesCreate`                       | `post_volumes_create`               |
| `deleteVolumes`                           | `delete_volumes`                    |
"""

from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response

from walkthroughs.swarm import go_json
from walkthroughs.swarm.cluster import ClusterError, Container, Network
from walkthroughs.swarm.config import JSON
from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.engine_api import ConnectionFailed, EngineError
from walkthroughs.swarm.go_json import read_json
from walkthroughs.swarm.handler import Context, HTTPError, path_to, reply, to_json
from walkthroughs.swarm.orders import ATTACH_TIMEOUT
from walkthroughs.swarm.proxy import proxy

DRIVER = "overlay"
"""What a network is made with if nothing is said: one that spans engines."""


async def post_networks_create(context: Context, request: Request) -> Response:
    """Create a network on one engine, whose words the answer has."""
    body = await read_json(request, go_json.NETWORK_CREATE)
    body = {**body, "Driver": body.get("Driver") or DRIVER}
    made = await context.cluster.create_network(body.get("Name") or "", body)
    return reply(made, 201)


async def delete_networks(context: Context, request: Request) -> Response:
    """Remove a network."""
    asked = request.path_params["networkid"]
    if not (network := context.cluster.networks().uniq().get(asked)):
        raise HTTPError(404, f"No such network {asked}")
    await context.cluster.remove_network(network)
    return Response(status_code=204)


async def ends(
    context: Context, request: Request, kind: go_json.Type
) -> tuple[Network, Container, JSON]:
    """Return the network and the container that an order is about, and its body."""
    asked = request.path_params["networkid"]
    if not (network := context.cluster.networks().uniq().get(asked)):
        raise HTTPError(404, f"No such network: {asked}")
    try:
        body = await read_json(request, kind)
    except HTTPError:
        raise HTTPError(404, "Container is not specified") from None
    name = body.get("Container") or ""
    if not (container := context.cluster.container(name)):
        raise HTTPError(404, f"No such container: {name}")
    return network, container, body


async def look_again(container: Container) -> None:
    """Ask on which networks a container is now, and with which addresses."""
    inventory = container.engine.inventory
    with suppress(EngineError):
        await inventory.refresh_container(container.id, full=True)
        await inventory.refresh_networks()
    inventory.attach()


async def proxy_network_connect(context: Context, request: Request) -> Response:
    """Have the container's engine attach it to a network."""
    network, container, body = await ends(context, request, go_json.NETWORK_CONNECT)
    # The engine does not know the names that it has in the cluster.
    content = to_json({**body, "Container": container.id})

    async def then(status: int) -> None:
        await look_again(container)

    path = path_to(request, network.id)
    return await proxy(container.engine, request, path, then, content=content)


async def disconnect(
    engine: Engine, network: Network, container: Container, force: bool
) -> None:
    """Have an engine detach a container, which may be another's."""
    body = {"Container": container.id, "Force": force}
    path = f"/networks/{network.id}/disconnect"
    await engine.ask("POST", path, body=body, limit=ATTACH_TIMEOUT)


async def network_disconnect(context: Context, request: Request) -> Response:
    """Detach a container; by force, a global network lets go of one that is away."""
    network, container, body = await ends(context, request, go_json.NETWORK_DISCONNECT)
    engine, force = container.engine, bool(body.get("Force"))
    try:
        await disconnect(engine, network, container, force)
        await look_again(container)
    except ConnectionFailed as error:
        if not force or network.scope != "global":
            raise HTTPError(404, str(error)) from None
        await disconnect_elsewhere(context, network, container, error)
    except EngineError as error:
        raise HTTPError(404, str(error)) from None
    return Response(status_code=204)


async def disconnect_elsewhere(
    context: Context, network: Network, container: Container, error: ConnectionFailed
) -> None:
    """Have another engine detach a container whose own cannot be reached."""
    context.world.log.warning(
        f"Could not connect to engine {container.engine.name}: {error}, trying to "
        f"disconnect {container.id} from {network.name} on a random engine"
    )
    try:
        engine = context.cluster.random_engine()
    except ClusterError:
        raise error from None
    await disconnect(engine, network, container, force=True)


async def post_volumes_create(context: Context, request: Request) -> Response:
    """Create a volume on every engine; the answer is null where there is none."""
    body = await read_json(request, go_json.VOLUME_CREATE)
    return reply(await context.cluster.create_volume(body), 201)


async def delete_volumes(context: Context, request: Request) -> Response:
    """Remove a volume from every engine that has it."""
    name = request.path_params["name"]
    if not await context.cluster.remove_volumes(name):
        raise HTTPError(404, f"No such volume {name}")
    return Response(status_code=204)
