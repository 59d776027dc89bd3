"""What an engine is told to do: the rest of cluster/engine.go.

| upstream, methods of `Engine`             | here, functions                     |
|-------------------------------------------|-------------------------------------|
| `CreateContainer`, `StartContainer`, ...  | `create_container`, ...             |
| `Pull`, `Load`, `Import`, `BuildImage`    | `pull`, `load`, ...                 |
| `CreateNetwork`, `NetworkConnect`, ...    | `create_network`, `connect`, ...    |
| `CreateVolume`, `RemoveVolume`            | `create_volume`, `remove_volume`    |
| `GetImagePlatforms`                       | `image_platforms`                   |
| `encodeAuthToBase64`                      | `encode_auth`                       |

Each asks the engine, and then asks again for what has changed: whoever gave the order
sees its effect at once.
"""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from walkthroughs.swarm.cluster import (
    Auth,
    Container,
    Network,
    Query,
    Source,
    parse_repository_tag,
)
from walkthroughs.swarm.config import JSON, ContainerConfig
from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.engine_api import REQUEST_TIMEOUT, EngineError, escape

Progress: TypeAlias = Callable[[JSON], None]
"""Is given each line of a long answer."""

ATTACH_TIMEOUT = 10.0
"""Seconds for a network to take a container in, or to let it go."""


def encode_auth(auth: Auth) -> dict[str, str]:
    """Return the header that tells a registry who asks."""
    if not auth:
        return {}
    text = json.dumps(auth).encode()
    return {"X-Registry-Auth": base64.urlsafe_b64encode(text).decode()}


async def create_container(
    engine: Engine, config: ContainerConfig, name: str, auth: Auth
) -> Container:
    """Create a container, after a pull if the image is missing."""
    body = for_engine(engine, config)
    query = {"name": name} if name else {}
    try:
        made: JSON = await engine.ask("POST", "/containers/create", query, body=body)
    except EngineError as error:
        if error.status != 404:
            raise
        await pull(engine, config.image, auth, lambda line: None)
        made = await engine.ask("POST", "/containers/create", query, body=body)
    return await look_again(engine, made)


def for_engine(engine: Engine, config: ContainerConfig) -> JSON:
    """Return the request for an engine, on which CPUs are shares of 1024."""
    shares = -(-config.cpus * 1024 // engine.cpus)
    return {**config.raw, "HostConfig": {**config.host, "CpuShares": shares}}


async def look_again(engine: Engine, made: JSON) -> Container:
    """Return a container that the engine says it has made."""
    container_id = str(made["Id"])
    await engine.inventory.refresh_container(container_id, full=True)
    if container := engine.inventory.containers.get(container_id):
        return container
    raise EngineError("Container created but refresh didn't report it back")


async def start_container(container: Container) -> None:
    engine = container.engine
    await engine.ask("POST", f"/containers/{container.id}/start")
    await engine.inventory.refresh_container(container.id, full=True)


async def rename_container(container: Container, new_name: str) -> None:
    engine, path = container.engine, f"/containers/{container.id}/rename"
    await engine.ask("POST", path, {"name": new_name})
    await engine.inventory.refresh_container(container.id, full=True)


async def remove_container(container: Container, force: bool, volumes: bool) -> None:
    query = {"force": str(int(force)), "v": str(int(volumes))}
    await container.engine.ask("DELETE", f"/containers/{container.id}", query)
    container.engine.inventory.drop(container.id)


async def image_platforms(engine: Engine, image: str, auth: Auth) -> list[JSON]:
    """Ask a registry, through an engine, what systems an image is for."""
    path, headers = f"/distribution/{escape(image)}/json", encode_auth(auth)
    limit = REQUEST_TIMEOUT
    answer = await engine.ask("GET", path, headers=headers, limit=limit)
    return answer.get("Platforms") or []


async def pull(engine: Engine, image: str, auth: Auth, progress: Progress) -> None:
    repository, tag = parse_repository_tag(image)
    query = {"fromImage": repository, "tag": tag or "latest"}
    lines = Lines(f"Failed to load {image}", progress)
    await engine.follow("/images/create", query, lines, headers=encode_auth(auth))
    await engine.inventory.refresh_images()


async def load(engine: Engine, source: Source, progress: Progress) -> None:
    """Hand an archive of images over to an engine."""
    lines = Lines("Failed to load image", progress)
    headers = {"Content-Type": "application/x-tar"}
    await engine.follow(
        "/images/load", {"quiet": "0"}, lines, content=source, headers=headers
    )
    await engine.inventory.refresh_images()


async def import_image(
    engine: Engine, query: Query, source: Source, progress: Progress
) -> None:
    """Make an image of a file system; the query is the client's."""
    lines = Lines(f"Failed to import {query.get('repo', '')}", progress)
    await engine.follow("/images/create", query, lines, content=source)
    await engine.inventory.refresh_images()


async def build_image(
    engine: Engine, query: Query, auth: str, source: Source, progress: Progress
) -> None:
    """Build an image from a Dockerfile and its folder, as a tar archive."""
    headers = {"Content-Type": "application/x-tar"}
    headers |= {"X-Registry-Config": auth} if auth else {}
    lines = Lines("Failed to build image", progress)
    try:
        await engine.follow("/build", query, lines, content=source, headers=headers)
    finally:
        with suppress(EngineError):
            await engine.inventory.refresh_images()


async def cancel_build(engine: Engine, build_id: str) -> None:
    await engine.ask("POST", "/build/cancel", {"id": build_id})


class Lines:
    """Hands the lines of a long answer on, up to the one that is an error."""

    def __init__(self, failed: str, progress: Progress) -> None:
        self.failed = failed
        self.progress = progress

    def __call__(self, line: JSON) -> None:
        if trouble := line.get("errorDetail"):
            raise EngineError(f"{self.failed}: {trouble.get('message', '')}")
        self.progress(line)


async def remove_image(engine: Engine, name: str, force: bool) -> list[JSON]:
    """Remove an image, and its parents without a name; return what was removed."""
    try:
        query = {"force": "1"} if force else {}
        return await engine.ask("DELETE", f"/images/{escape(name)}", query) or []
    finally:
        # Some layers may be gone although the engine has refused.
        with suppress(EngineError):
            await engine.inventory.refresh_images()


async def tag_image(engine: Engine, name: str, reference: str) -> None:
    repository, tag = parse_repository_tag(reference)
    query = {"repo": repository, "tag": tag or "latest"}
    await engine.ask("POST", f"/images/{escape(name)}/tag", query)
    await engine.inventory.refresh_images()


async def create_network(engine: Engine, name: str, request: JSON) -> JSON:
    body = {**request, "Name": name}
    made: JSON = await engine.ask("POST", "/networks/create", body=body)
    await engine.inventory.refresh_network(str(made["Id"]))
    return made


async def remove_network(engine: Engine, network: Network) -> None:
    await engine.ask("DELETE", f"/networks/{network.id}")
    engine.inventory.networks.pop(network.id, None)


async def connect(engine: Engine, network: str, container: str, end: JSON) -> None:
    """Attach a container to a network."""
    body = {"Container": container, "EndpointConfig": end}
    path = f"/networks/{escape(network)}/connect"
    await engine.ask("POST", path, body=body, limit=ATTACH_TIMEOUT)


async def disconnect(engine: Engine, network: str, container: str) -> None:
    """Detach a container from a network, even one whose engine is away."""
    body = {"Container": container, "Force": True}
    path = f"/networks/{escape(network)}/disconnect"
    await engine.ask("POST", path, body=body, limit=ATTACH_TIMEOUT)


async def create_volume(engine: Engine, request: JSON) -> JSON:
    made: JSON = await engine.ask("POST", "/volumes/create", body=request)
    await engine.inventory.refresh_volume(str(made["Name"]))
    return made


async def remove_volume(engine: Engine, name: str) -> None:
    await engine.ask("DELETE", f"/volumes/{escape(name)}")
    engine.inventory.volumes.pop(name, None)
