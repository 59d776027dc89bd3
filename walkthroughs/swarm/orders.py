"""What an engine is told to do: the rest of cluster/engine.go.

| upstream, methods of `Engine`             | here, functions                     |
|-------------------------------------------|-------------------------------------|
| `CreateContainer`, `StartContainer`, ...  | `create_container`, ...             |
| `Pull`, `Load`, `Import`, `BuildImage`    | `pull`, `load`, ...                 |
| `RemoveImage`, `TagImage`                 | `remove_image`, `tag_image`         |
| `CreateNetwork`, `NetworkConnect`, ...    | `create_network`, `connect`, ...    |
| `CreateVolume`, `RemoveVolume`            | `create_volume`, `remove_volume`    |
| `encodeAuthToBase64`                      | `encode_auth`                       |

Each asks the engine, and then asks again for what has changed: whoever gave the order
sees its effect at once. What is refused raises `EngineError`.
"""

import base64
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

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
from walkthroughs.swarm.engine_api import ConnectionFailed, EngineError, escape
from walkthroughs.swarm.inventory import rows, understood

Progress: TypeAlias = Callable[[JSON], None]
"""Is given each line of a long answer."""

ATTACH_TIMEOUT = 10.0
"""Seconds for a network to take a container in, or to let it go."""

TAR = {"Content-Type": "application/x-tar"}


class Unanswered(EngineError):
    """An engine that may have created a container, and has not said so."""

    def __init__(self, message: str, engine: Engine) -> None:
        super().__init__(message)
        self.engine = engine


async def create_container(
    engine: Engine, config: ContainerConfig, name: str, auth: Auth
) -> Container:
    """Create a container, after a pull if the image is missing."""
    try:
        return await make(engine, config, name)
    except EngineError as error:
        # A 404 may also be about a volume's driver, which no pull brings.
        if error.status != 404 or "No such image" not in str(error):
            raise
    await pull(engine, config.image, auth, lambda line: None)
    return await make(engine, config, name)


async def make(engine: Engine, config: ContainerConfig, name: str) -> Container:
    """Create a container; raise `Unanswered` where it may be there all the same."""
    query, body = {"name": name} if name else {}, for_engine(engine, config)
    try:
        made = await engine.ask("POST", "/containers/create", query, body=body)
        return await look_again(engine, called(made, "Id"))
    except EngineError as error:
        # Who refuses has created nothing, nor has who was never reached.
        if error.status or isinstance(error, ConnectionFailed):
            raise
        raise Unanswered(str(error), engine) from None


def for_engine(engine: Engine, config: ContainerConfig) -> JSON:
    """Return the request for an engine, on which CPUs are shares of 1024."""
    shares = -(-config.cpus * 1024 // engine.cpus)
    return {**config.raw, "HostConfig": {**config.host, "CpuShares": shares}}


def called(made: Any, key: str) -> str:
    """Return what an engine calls a thing that it says it has made."""
    with understood("a new thing"):
        return str(made[key])


async def look_again(engine: Engine, container_id: str) -> Container:
    """Return a container that has been created."""
    with suppress(EngineError):
        await engine.inventory.refresh_container(container_id, full=True)
    if container := engine.inventory.containers.get(container_id):
        return container
    raise EngineError("Container created but refresh didn't report it back")


async def start_container(container: Container) -> None:
    """Start a container; it may have run, ended and been removed since."""
    engine = container.engine
    await engine.ask("POST", f"/containers/{container.id}/start")
    await engine.inventory.refresh_container(container.id, full=True)


async def rename_container(container: Container, new_name: str) -> None:
    engine, path = container.engine, f"/containers/{container.id}/rename"
    await engine.ask("POST", path, {"name": new_name})
    await engine.inventory.refresh_container(container.id, full=True)


async def remove_container(container: Container, force: bool, volumes: bool) -> None:
    """Remove a container, by force if it runs, with the volumes that have no name."""
    query = {"force": str(int(force)), "v": str(int(volumes))}
    await container.engine.ask("DELETE", f"/containers/{container.id}", query)
    container.engine.inventory.drop(container.id)


def encode_auth(auth: Auth) -> dict[str, str]:
    """Return the header that tells a registry who asks."""
    if not auth:
        return {}
    text = json.dumps(auth).encode()
    return {"X-Registry-Auth": base64.urlsafe_b64encode(text).decode()}


@asynccontextmanager
async def images_seen(engine: Engine) -> AsyncGenerator[None, None]:
    """Ask for the images after an order, whether the engine obeyed or refused."""
    refusal = None
    try:
        yield
    except ConnectionFailed:
        raise
    except EngineError as error:
        refusal = error
    # It is the order that has to succeed, not this.
    with suppress(EngineError):
        await engine.inventory.refresh_images()
    if refusal:
        raise refusal


class Lines:
    """Hands the lines of a long answer on, up to the one that is an error."""

    def __init__(self, failed: str, progress: Progress) -> None:
        self.failed = failed
        self.progress = progress

    def __call__(self, line: JSON) -> None:
        with understood("progress"):
            trouble: JSON = line.get("errorDetail") or {}
            said = trouble.get("message", "")
        if trouble:
            raise EngineError(f"{self.failed}: {said}")
        self.progress(line)


async def pull(engine: Engine, image: str, auth: Auth, progress: Progress) -> None:
    """Have an engine fetch an image from a registry; without a tag, the latest."""
    repository, tag = parse_repository_tag(image)
    query = {"fromImage": repository, "tag": tag or "latest"}
    lines, headers = Lines(f"Failed to load {image}", progress), encode_auth(auth)
    async with images_seen(engine):
        await engine.follow("/images/create", query, lines, headers=headers)


async def load(engine: Engine, source: Source, progress: Progress) -> None:
    """Hand an archive of images over to an engine."""
    query, lines = {"quiet": "0"}, Lines("Failed to load image", progress)
    async with images_seen(engine):
        await engine.follow("/images/load", query, lines, content=source, headers=TAR)


async def import_image(
    engine: Engine, query: Query, source: Source, progress: Progress
) -> None:
    """Make an image of a file system; the query is the client's."""
    name = ":".join(filter(None, [query.get("repo"), query.get("tag")]))
    lines = Lines(f"Failed to import {name}", progress)
    async with images_seen(engine):
        await engine.follow("/images/create", query, lines, content=source)


async def build_image(
    engine: Engine, query: Query, auth: str, source: Source, progress: Progress
) -> None:
    """Build an image from a Dockerfile and its folder, as a tar archive.

    The query and `auth`, which is `X-Registry-Config`, are the client's.
    """
    headers = TAR | ({"X-Registry-Config": auth} if auth else {})
    lines = Lines("Failed to build image", progress)
    async with images_seen(engine):
        await engine.follow("/build", query, lines, content=source, headers=headers)


async def remove_image(engine: Engine, name: str, force: bool) -> list[JSON]:
    """Remove an image, and its parents without a name; return what was removed."""
    query = {"force": "1"} if force else {}
    # Some layers may be gone although the engine has refused.
    async with images_seen(engine):
        removed = await engine.ask("DELETE", f"/images/{escape(name)}", query)
    with understood("removed images"):
        return rows(removed)


async def tag_image(engine: Engine, name: str, reference: str) -> None:
    """Give an image one more name; without a tag, it is the latest."""
    repository, tag = parse_repository_tag(reference)
    query = {"repo": repository, "tag": tag or "latest"}
    async with images_seen(engine):
        await engine.ask("POST", f"/images/{escape(name)}/tag", query)


async def create_network(engine: Engine, name: str, request: JSON) -> JSON:
    body = {**request, "Name": name}
    made = await engine.ask("POST", "/networks/create", body=body)
    network_id = called(made, "Id")
    with suppress(EngineError):
        await engine.inventory.refresh_network(network_id)
    return made


async def remove_network(engine: Engine, network: Network) -> None:
    await engine.ask("DELETE", f"/networks/{network.id}")
    engine.inventory.drop_network(network.id)


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
    made = await engine.ask("POST", "/volumes/create", body=request)
    name = called(made, "Name")
    with suppress(EngineError):
        await engine.inventory.refresh_volume(name)
    return made


async def remove_volume(engine: Engine, name: str) -> None:
    await engine.ask("DELETE", f"/volumes/{escape(name)}")
    engine.inventory.drop_volume(name)
