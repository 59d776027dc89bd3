"""What a cluster is, to everybody above it: the interface, and the data it speaks of.

| upstream, package `cluster`               | here                                |
|-------------------------------------------|-------------------------------------|
| `Cluster`                                 | `Cluster`                           |
| `Container`, `Containers.Get`             | `Container`, `Containers.get`       |
| `Image.Match`, `ParseRepositoryTag`       | `Image.match`, `parse_repository_tag` |
| `Network`, `Networks.Uniq`, `.Get`        | `Network`, `Networks.uniq`, `.get`  |
| `Volume`, `Volumes.Get`                   | `Volume`, `Volumes.get`             |
| `JSONMessageWrapper`                      | `Message`                           |

A **driver** is a class with all the functions of `Cluster`. Containers, images and so
on are what the engines said, as JSON, and the engine that said it.
"""

from collections.abc import AsyncIterable, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from walkthroughs.swarm.config import JSON, ContainerConfig
from walkthroughs.swarm.events import APIEventHandler, EventHandler

if TYPE_CHECKING:
    # The original has both in one package; here the engine knows this module.
    from walkthroughs.swarm.engine import Engine

SHORT = 12
"""Characters of an id that people are shown, and may type."""


class Container:
    """A container as its engine last told of it; a newer state is a new object."""

    def __init__(
        self, engine: "Engine", config: ContainerConfig, raw: JSON, info: JSON
    ) -> None:
        self.engine = engine
        self.config = config
        self.raw = raw
        """Its item of the engine's `GET /containers/json`."""
        self.info = info
        """The engine's `GET /containers/ID/json`."""
        self.id: str = raw["Id"]
        """"" while it is being created."""
        self.names: list[str] = raw.get("Names") or []
        """Each with a slash before it; a link gives a container one more."""
        self.labels: dict[str, str] = raw.get("Labels") or {}
        self.swarm_id = config.swarm_id
        state: JSON = info.get("State") or {}
        self.running: bool = state.get("Running", False)
        self.paused: bool = state.get("Paused", False)
        self.restarting: bool = state.get("Restarting", False)

    def __repr__(self) -> str:
        name = self.names[0] if self.names else f"/{self.id[:SHORT]}"
        return f"<Container {self.engine.name}{name}>"


class Containers(list[Container]):
    """Containers of one engine or of many."""

    def get(self, id_or_name: str) -> Container | None:
        """Return the one that is meant; None if there is none, or more than one."""
        if not id_or_name:
            return None
        for container in self:
            if is_id(container.id, id_or_name):
                return container
        for container in self:
            if is_id(container.swarm_id, id_or_name):
                return container
        found = [each for each in self if is_named(each, id_or_name)]
        if not found:
            # Whose two ids begin alike is found twice, as in the original.
            found = [each for each in self if each.id.startswith(id_or_name)]
            found += [each for each in self if each.swarm_id.startswith(id_or_name)]
        return found[0] if len(found) == 1 else None


def is_id(full: str, text: str) -> bool:
    """Tell whether a text is an id, in full or as people are shown it."""
    # What stands before a colon is how the id was computed. (`TruncateID`)
    shown = full.partition(":")[2] if ":" in full else full
    return text in (full, shown[:SHORT])


def is_named(container: Container, text: str) -> bool:
    """Tell whether a text is `name`, `/name`, `ENGINE/name` or `ENGINE_ID/name`."""
    engine, names = container.engine, container.names
    return (
        text in names
        or f"/{text}" in names
        or any(text in (engine.id + name, engine.name + name) for name in names)
    )


def parse_repository_tag(name: str) -> tuple[str, str]:
    """Split `host:5000/nginx:1.25` before the tag, `nginx@sha256:...` at the `@`."""
    if "@" in name:
        repository, digest = name.split("@")[:2]
        return repository, digest
    repository, colon, tag = name.rpartition(":")
    # Without a tag, the last colon may belong to the port of a registry.
    return (repository, tag) if colon and "/" not in tag else (name, "")


class Image:
    """An image on an engine."""

    def __init__(self, engine: "Engine", raw: JSON) -> None:
        self.engine = engine
        self.raw = raw
        self.id: str = raw["Id"]
        self.tags: list[str] = raw.get("RepoTags") or []
        self.digests: list[str] = raw.get("RepoDigests") or []

    def match(self, id_or_name: str, match_tag: bool = True) -> bool:
        """Tell whether a text is the id, the first three letters of it or more, a name
        with tag or digest, or a name without; without `match_tag`, any tag will do.
        """
        for full in (self.id, self.id.partition(":")[2]):
            begins = len(id_or_name) > 2 and full.startswith(id_or_name)
            if full and (full == id_or_name or begins):
                return True
        repository, tag = parse_repository_tag(id_or_name)
        wanted = tag if match_tag else ""
        return any(
            found == repository and wanted in ("", version)
            for found, version in map(parse_repository_tag, self.tags + self.digests)
        )


class Network:
    """A network on an engine. One of scope `global` is on every engine, with one id."""

    def __init__(self, engine: "Engine", raw: JSON) -> None:
        self.engine = engine
        self.raw = raw
        self.id: str = raw["Id"]
        self.name: str = raw["Name"]
        self.scope: str = raw.get("Scope") or ""
        self.containers: dict[str, JSON] = raw.get("Containers") or {}
        """Who is attached, by container id, with addresses."""

    def attach(self, containers: dict[str, JSON]) -> "Network":
        """Return the same network with others attached."""
        return Network(self.engine, {**self.raw, "Containers": containers})

    def remove_duplicate_endpoints(self) -> "Network":
        """Return it without the second entry, by endpoint, that an engine may have for
        a container.
        """
        kept: dict[str, str] = {}
        for key, end in self.containers.items():
            endpoint = end.get("EndpointID") or ""
            if endpoint not in kept or endpoint not in key:
                kept[endpoint] = key
        return self.attach({key: self.containers[key] for key in kept.values()})


class Networks(list[Network]):
    """Networks of one engine or of many."""

    def uniq(self) -> "Networks":
        """Return each network once, with everybody who is attached, wherever."""
        found: dict[str, Network] = {}
        for network in self:
            if known := found.get(network.id):
                network = known.attach(known.containers | network.containers)
            found[network.id] = network
        return Networks(found.values())

    def get(self, id_or_name: str) -> Network | None:
        """Return the one that is meant; None if there is none, or more than one."""
        if not id_or_name:
            return None
        for network in self:
            if is_id(network.id, id_or_name):
                return network
        named = Networks(each for each in self if is_called(each, id_or_name))
        if not named:
            for network in self:
                if network.name == f"/{id_or_name}":
                    return network
            named = Networks(each for each in self if each.id.startswith(id_or_name))
        return named[0] if len(named.uniq()) == 1 else None


class Volume:
    """A volume on an engine; it has no id."""

    def __init__(self, engine: "Engine", raw: JSON) -> None:
        self.engine = engine
        self.raw = raw
        self.name: str = raw["Name"]
        self.driver: str = raw.get("Driver") or ""


class Volumes(list[Volume]):
    """Volumes of one engine or of many."""

    def get(self, name: str) -> Volume | None:
        """Return the one that is meant. A plain name that several engines have is
        nobody's, unless its driver is not `local`: then all are the same volume.
        """
        if not name:
            return None
        found = [each for each in self if is_called(each, name)]
        if len(found) > 1:
            shared = [each for each in found if each.driver != "local"]
            found = [each for each in shared if each.name == name]
        elif not found:
            found = [each for each in self if each.name == f"/{name}"]
        return found[0] if found else None


def is_called(thing: Network | Volume, text: str) -> bool:
    """Tell whether a text is `name`, `ENGINE/name` or `ENGINE_ID/name`."""
    engine, name = thing.engine, thing.name
    return text in (name, f"{engine.id}/{name}", f"{engine.name}/{name}")


class Message(NamedTuple):
    """How a pull, load, import or build goes on an engine. (`JSONMessageWrapper`)"""

    engine: str
    """The engine's name."""
    raw: JSON | None = None
    """A line of the engine's; None at the beginning and at the end."""
    error: str = ""
    success: bool = False


Callback: TypeAlias = Callable[[Message], None]
Auth: TypeAlias = JSON
"""Who asks a registry, as the client has sent it; {} is nobody."""
Query: TypeAlias = Mapping[str, Any]
"""What stands behind the question mark of an engine's URL: texts, or lists of them."""
Source: TypeAlias = AsyncIterable[bytes]
"""A body that is passed on while it comes in."""


class ClusterError(Exception):
    """Something that a cluster could not do, in words for the user."""


class Cluster(Protocol):
    """Engines that are used as one; what cannot be done raises `ClusterError`.

    A question is answered at once, from what is known. An order is carried out on
    engines, and takes its time.
    """

    def containers(self) -> Containers: ...
    def container(self, id_or_name: str) -> Container | None: ...
    async def create_container(
        self, config: ContainerConfig, name: str, auth: Auth
    ) -> Container: ...
    async def start_container(self, container: Container) -> None: ...
    async def rename_container(self, container: Container, new_name: str) -> None: ...
    async def remove_container(
        self, container: Container, force: bool, volumes: bool
    ) -> None: ...

    def images(self) -> list[Image]: ...
    def image(self, id_or_name: str) -> Image | None: ...
    async def remove_images(self, name: str, force: bool) -> list[JSON]: ...
    async def tag_image(self, id_or_name: str, reference: str) -> None: ...
    async def pull(self, name: str, auth: Auth, callback: Callback) -> None: ...
    async def load(self, source: Source, callback: Callback) -> None: ...
    async def import_image(
        self, query: Query, source: Source, callback: Callback
    ) -> None: ...
    async def build_image(
        self, query: Query, auth: str, source: Source, callback: Callback
    ) -> None: ...

    def networks(self) -> Networks: ...
    async def create_network(self, name: str, request: JSON) -> JSON: ...
    async def remove_network(self, network: Network) -> None: ...

    def volumes(self) -> Volumes: ...
    async def create_volume(self, request: JSON) -> JSON | None: ...
    async def remove_volumes(self, name: str) -> bool: ...

    def info(self) -> list[tuple[str, str]]: ...
    def total_memory(self) -> int: ...
    def total_cpus(self) -> int: ...
    def engine_names(self) -> list[str]: ...
    def random_engine(self) -> "Engine": ...
    async def refresh_engine(self, name: str) -> None: ...
    async def refresh_engines(self) -> None: ...

    def register_event_handler(self, handler: EventHandler) -> None: ...
    def unregister_event_handler(self, handler: EventHandler) -> None: ...
    def new_api_event_handler(self) -> APIEventHandler: ...
    def close_watch_queues(self) -> None: ...
