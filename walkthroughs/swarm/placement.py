"""How a container gets its engine: the create path of cluster/swarm/cluster.go.

| upstream, methods of `Cluster`            | here, methods of `Placement`        |
|-------------------------------------------|-------------------------------------|
| `CreateContainer`                         | `create_container`                  |
| `createContainer`                         | `reserve`, `release`                |
| `pendingContainer`, `ToContainer`         | `pending`                           |
| `checkNameUniqueness`                     | `check_name_uniqueness`             |
| `listNodes`, `node.NewNode`               | `list_nodes`, `look_at`             |

A **reservation** is what a container is from the choice of its engine until the engine
has it: a name that is taken, and room that is used.
"""

import re

from walkthroughs.swarm import orders
from walkthroughs.swarm.cluster import SHORT, Auth, ClusterError, Container, Containers
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.engine_api import EngineError
from walkthroughs.swarm.filters import Node
from walkthroughs.swarm.resources import Resources

PREDEFINED = {"", "default", "bridge", "host", "none"}
"""What each engine has: of several engines, none is preferred for it."""

NOT_FOUND = re.compile(
    r"image \S* not found|repository \S* not found|repository does not exist"
)
OS_MISMATCH = re.compile(
    'image operating system "(.+)" cannot be used on this platform'
)


def is_not_found(result: object) -> bool:
    """Tell whether an image was not found, which engines have said in many ways."""
    status = isinstance(result, EngineError) and result.status == 404
    return status or bool(NOT_FOUND.search(str(result)))


def slashed(name: str) -> str:
    """Return a name as engines write it, who are given it with a slash or without."""
    return f"/{name.removeprefix('/')}"


def pending(engine: Engine, config: ContainerConfig, name: str) -> Container:
    """Return a container that an engine has been chosen for, and does not have yet."""
    names = [slashed(name)] if name else []
    raw = {"Id": "", "Names": names, "Labels": config.labels}
    return Container(engine, config, raw, {"HostConfig": {}})


class Placement(Resources):
    """Puts containers onto engines, for a class that has the engines."""

    create_retry = 0
    """Further tries after a failure."""

    def __init__(self) -> None:
        super().__init__()
        self.pending_containers: dict[str, list[Container]] = {}
        """The reservations, by the id of the engine."""
        self.pending_names: set[str] = set()
        """Theirs, and those of renames under way, each with a slash before it."""
        self._nodes: dict[str, tuple[int, Node]] = {}

    def containers(self) -> Containers:
        return Containers(
            container
            for engine in self.engines.values()
            for container in engine.inventory.containers.values()
        )

    def container(self, id_or_name: str) -> Container | None:
        return self.containers().get(id_or_name)

    def look_at(self, engine: Engine) -> Node:
        """Return what a placement sees of an engine. (`NewNode`)"""
        inventory = engine.inventory
        coming = [
            each
            for each in self.pending_containers.get(engine.id, ())
            if not inventory.has(each.swarm_id)
        ]
        return Node(
            id=engine.id,
            name=engine.name,
            addr=engine.addr,
            ip=engine.ip,
            labels=engine.labels,
            containers=Containers([*inventory.containers.values(), *coming]),
            images=inventory.images,
            used_memory=inventory.used_memory + sum(c.config.memory for c in coming),
            used_cpus=inventory.used_cpus + sum(c.config.cpus for c in coming),
            total_memory=engine.total_memory,
            total_cpus=engine.total_cpus,
            health_indicator=engine.health.indicator(),
        )

    def list_nodes(self) -> list[Node]:
        """Return the engines with what is on them and on its way to them.

        Only those are looked at anew that have changed since the last time.
        """
        nodes = self._nodes
        for engine in self.engines.values():
            revision = engine.inventory.revision
            known = nodes.get(engine.id)
            if not known or known[0] != revision:
                nodes[engine.id] = revision, self.look_at(engine)
        return [node for _, node in nodes.values()]

    def reserve(
        self, config: ContainerConfig, name: str, near_image: bool = False
    ) -> Container:
        """Choose an engine; return a container that counts as its own from now on.

        Nothing is awaited here, so nobody else can take the name or the room: what
        the original holds a lock for. Raise `ClusterError` where nothing fits.
        """
        self.check_name_uniqueness(name)
        if not config.swarm_id:
            config.swarm_id = self.world.random.randbytes(32).hex()
        self._stay_with_network(config)
        affinity = f"image=={config.image}"
        if near_image:
            config.add_affinity(affinity)
        try:
            engine = self.place(config)
        finally:
            if near_image:
                config.remove_affinity(affinity)
        reserved = pending(engine, config, name)
        self.pending_containers.setdefault(engine.id, []).append(reserved)
        self.pending_names.update(reserved.names)
        engine.inventory.revision += 1
        return reserved

    def release(self, reserved: Container) -> None:
        """End a reservation: the engine has the container now, or never will."""
        engine = reserved.engine
        self.pending_containers[engine.id].remove(reserved)
        self.pending_names.difference_update(reserved.names)
        engine.inventory.revision += 1

    def check_name_uniqueness(self, name: str) -> None:
        """Raise `ClusterError` if a container has the name, or will have it."""
        known = slashed(name)
        if name and (
            known in self.pending_names
            or any(known in each.inventory.names for each in self.engines.values())
        ):
            raise ClusterError(
                f"Conflict: The name {name} is already assigned. You have to delete "
                f"(or rename) that container to be able to assign {name} to a "
                "container again."
            )

    def _stay_with_network(self, config: ContainerConfig) -> None:
        """Prefer the engine of a network that no other engine has."""
        mode = config.network_mode
        if mode in PREDEFINED and len(self.engines) > 1:
            return
        network = self.networks().get(mode)
        if network and network.scope == "local":
            if not config.have_node_constraint():
                config.add_constraint(f"node==~{network.engine.name}")
            config.host["NetworkMode"] = network.name

    async def _attempt(
        self, config: ContainerConfig, name: str, auth: Auth, near_image: bool = False
    ) -> Container | ClusterError:
        """Try once; return what came of it. (`createContainer`)"""
        try:
            reserved = self.reserve(config, name, near_image)
        except ClusterError as error:
            return error
        engine = reserved.engine
        who = {"NodeName": engine.name, "NodeID": engine.id}
        try:
            container = await orders.create_container(engine, config, name, auth)
        except EngineError as error:
            failed = "Failed to create container"
            self.world.log.error(failed, error=str(error), **who)
            return error
        finally:
            self.release(reserved)
        placed = f"Scheduling container {name or container.id[:SHORT]} to "
        self.world.log.debug(placed, **who)
        return container

    async def create_container(
        self, config: ContainerConfig, name: str, auth: Auth
    ) -> Container:
        """Place a container and create it, with further tries where they may help.

        The config learns what was found out: swarm id, system, network.
        """
        result, retries = await self._attempt(config, name, auth), 0
        if mismatch := OS_MISMATCH.search(str(result)):
            config.add_constraint(f"ostype=={mismatch[1]}")
            result, retries = await self._attempt(config, name, auth), 1
        # No registry has the image, but an engine may: it was built there.
        near = is_not_found(result) and not config.have_node_constraint()
        if near and self.image(config.image):
            result, retries = await self._attempt(config, name, auth, near), retries + 1
        while isinstance(result, ClusterError) and retries < self.create_retry:
            said = f"Failed to create container: {result}, retrying"
            self.world.log.warning(said, Name="Swarm")
            result, retries = await self._attempt(config, name, auth), retries + 1
        if isinstance(result, ClusterError):
            raise result
        return result

    async def start_container(self, container: Container) -> None:
        await orders.start_container(container)

    async def rename_container(self, container: Container, new_name: str) -> None:
        self.check_name_uniqueness(new_name)
        self.pending_names.add(slashed(new_name))
        try:
            await orders.rename_container(container, new_name)
        finally:
            self.pending_names.discard(slashed(new_name))

    async def remove_container(
        self, container: Container, force: bool, volumes: bool
    ) -> None:
        await orders.remove_container(container, force, volumes)
