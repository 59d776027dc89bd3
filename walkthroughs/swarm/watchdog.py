"""What happens to the containers of an engine that is gone: cluster/watchdog.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `NewWatchdog`, `Watchdog.Handle`          | `Watchdog`, `handle`                |
| `rescheduleContainers`                    | `reschedule_containers`             |
| `removeDuplicateContainers`               | `remove_duplicate_containers`       |

A **twin** is a container that was created anew elsewhere, and whose first self is back.
"""

import asyncio
from collections.abc import Iterator

from walkthroughs.swarm import orders
from walkthroughs.swarm.cluster import Cluster, ClusterError, Container
from walkthroughs.swarm.config import JSON, ContainerConfig
from walkthroughs.swarm.engine import Engine, Spawn
from walkthroughs.swarm.engine_api import EngineError
from walkthroughs.swarm.events import Event
from walkthroughs.swarm.world import World

ON_NODE_FAILURE = "on-node-failure"

RETRY = 30.0
"""Seconds until an engine is asked again that did not do what it should."""


class Watchdog:
    """Moves containers away from engines that die, once it is told of events."""

    def __init__(self, cluster: Cluster, world: World, spawn: Spawn) -> None:
        self.cluster = cluster
        self.clock = world.clock
        self.log = world.log
        self.spawn = spawn
        # Two engines may die at once, and one may come back meanwhile.
        self.lock = asyncio.Lock()
        self.owed: set[str] = set()
        """Swarm ids of those that ran when they were lost, and do not run again."""
        self.log.debug("Watchdog enabled")

    def handle(self, event: Event) -> None:
        """Note what became of an engine; the work is done in a task of its own."""
        if event.origin != "swarm":
            return
        if event.status in ("engine_connect", "engine_reconnect"):
            self.spawn(self.remove_duplicate_containers(event.engine))
        elif event.status == "engine_disconnect":
            self.spawn(self.reschedule_containers(event.engine))

    async def reschedule_containers(self, engine: Engine) -> None:
        """Create anew what may be, of all that was on an engine that is gone."""
        async with self.lock:
            self.log.debug(f"Node {engine.id} failed - rescheduling containers")
            # Whoever links to another is younger, and must find it in its new place.
            for container in sorted(engine.inventory.containers.values(), key=age):
                if engine.is_healthy():
                    return
                if container.config.has_reschedule_policy(ON_NODE_FAILURE):
                    await self.reschedule(container)
                    continue
                skipping = f"Skipping rescheduling of {container.id}"
                self.log.debug(f"{skipping} based on rescheduling policies")

    async def reschedule(self, lost: Container) -> None:
        """Create a container anew on an engine that lives, and start it if it ran."""
        inventory, name = lost.engine.inventory, name_of(lost)
        if lost.running and lost.swarm_id:
            self.owed.add(lost.swarm_id)
        # Its name and its room are free from here on, for its own successor.
        inventory.drop(lost.id)
        try:
            attached = await self.detach(lost, name)
            config = without_endpoints(lost.config, attached)
            new = await self.cluster.create_container(config, name, {})
        except ClusterError as error:
            self.log.error(f"Failed to reschedule container {lost.id}: {error}")
            # To be tried again, the next time that the engine is lost.
            inventory.put(lost)
            if isinstance(error, orders.Unanswered):
                # It may be there all the same, and so may the first, soon.
                self.spawn(self.remove_duplicate_containers(error.engine))
            return
        await self.attach(new, name, attached)
        moved = f"from {lost.engine.name} to {new.engine.name} as {new.id}"
        self.log.info(f"Rescheduled container {lost.id} {moved}")
        if lost.running or lost.swarm_id in self.owed:
            running = f"Container {lost.id} was running"
            self.log.info(f"{running}, starting container {new.id}")
            await self.start(new)

    async def detach(self, lost: Container, name: str) -> dict[str, JSON]:
        """Take a container out of the networks that outlive its engine; return its
        endpoints in them, by the network's name.
        """
        attached = dict(self.global_endpoints(lost))
        for network, end in attached.items():
            try:
                engine = self.cluster.random_engine()
                await orders.disconnect(engine, network, name)
            except EngineError as error:
                said = f"Failed to remove network endpoint from old container {name}"
                self.log.warning(f"{said}: {error}")
                # Its address may still be taken, so it must not be asked for.
                attached[network] = without_address(end)
        return attached

    def global_endpoints(self, lost: Container) -> Iterator[tuple[str, JSON]]:
        networks = self.cluster.networks()
        for name, end in lost.config.endpoints.items():
            network = networks.get((end or {}).get("NetworkID") or "")
            if network and network.scope in ("global", "swarm"):
                yield name, end

    async def attach(
        self, new: Container, name: str, attached: dict[str, JSON]
    ) -> None:
        # One by one: a create request takes a single network.
        for network, end in attached.items():
            try:
                await orders.connect(new.engine, network, name, end)
            except EngineError as error:
                said = f"Failed to connect network {network} to container {name}"
                self.log.warning(f"{said}: {error}")

    async def start(self, new: Container) -> None:
        try:
            await self.cluster.start_container(new)
            unanswered = is_unstarted(new)
        except ClusterError as error:
            said = f"Failed to start rescheduled container {new.id}"
            self.log.error(f"{said}: {error}")
            # Who has refused will refuse again; who has not answered may be away.
            unanswered = isinstance(error, EngineError) and not error.status
        if unanswered:
            self.spawn(self.start_later(new))
        else:
            self.owed.discard(new.swarm_id)

    async def start_later(self, new: Container) -> None:
        """Try once more, unless the container was moved on or removed."""
        await self.clock.sleep(RETRY)
        async with self.lock:
            if new.id in new.engine.inventory.containers:
                await self.start(new)

    async def remove_duplicate_containers(self, engine: Engine) -> None:
        """Remove from an engine what was created anew while it was away."""
        self.log.debug(f"removing duplicate containers from Node {engine.id}")
        while not await self.remove_twins(engine):
            await self.clock.sleep(RETRY)
            if not engine.is_healthy():
                return

    async def remove_twins(self, engine: Engine) -> bool:
        """Remove each container that lives elsewhere; tell whether none is left."""
        async with self.lock:
            try:
                await engine.inventory.refresh_containers(full=False)
            except EngineError:
                return False
            here = list(engine.inventory.containers.values())
            return all([await self.settle(container) for container in here])

    async def settle(self, container: Container) -> bool:
        """Remove a container that lives elsewhere; tell whether that is done."""
        twin = self.twin(container)
        if not twin:
            if container.running:
                self.owed.discard(container.swarm_id)
            return True
        if not await self.is_there(twin):
            return False
        if not await self.remove(container, twin):
            return False
        # It may have been created by a request whose answer was lost.
        if twin.swarm_id in self.owed:
            await self.start(twin)
        return True

    def twin(self, container: Container) -> Container | None:
        """Return the container on another engine that this one was replaced by."""
        for other in self.cluster.containers() if container.swarm_id else ():
            if (
                other.swarm_id == container.swarm_id
                and other.engine is not container.engine
                # One id is one container: an engine that has two addresses.
                and other.id != container.id
                # Who is away itself replaces nobody.
                and other.engine.is_healthy()
            ):
                return other
        return None

    async def is_there(self, twin: Container) -> bool:
        """Tell whether a container exists still: one of the two has to."""
        inventory = twin.engine.inventory
        try:
            await inventory.refresh_container(twin.id, full=False)
        except EngineError:
            return False
        return twin.id in inventory.containers

    async def remove(self, container: Container, twin: Container) -> bool:
        where = f"container {container.id} was rescheduled on node {twin.engine.name}"
        self.log.debug(f"{where}, removing it")
        try:
            await orders.remove_container(container, force=True, volumes=True)
        except EngineError as error:
            self.log.error(
                f"Failed to remove duplicate container {container.id} "
                f"on node {container.engine.name}: {error}"
            )
            return False
        return True


def age(container: Container) -> str:
    """Return when a container was created, as a text that sorts by time."""
    return str(container.info.get("Created") or "")


def name_of(container: Container) -> str:
    """Return its name without the slash, and without what links call it."""
    return str(container.info.get("Name") or "").lstrip("/")


def is_unstarted(container: Container) -> bool:
    """Tell whether a container has never run, for all that its engine has told."""
    known = container.engine.inventory.containers.get(container.id, container)
    return known.info["State"].get("Status") == "created"


def without_endpoints(
    config: ContainerConfig, attached: dict[str, JSON]
) -> ContainerConfig:
    """Return a request without the networks that are attached to afterwards."""
    kept = {key: end for key, end in config.endpoints.items() if key not in attached}
    networking: JSON = {"EndpointsConfig": kept}
    return ContainerConfig.build({**config.raw, "NetworkingConfig": networking})


def without_address(end: JSON) -> JSON:
    asked: JSON = {
        **(end.get("IPAMConfig") or {}),
        "IPv4Address": "",
        "IPv6Address": "",
    }
    return {
        **end,
        "IPAddress": "",
        "IPAMConfig": asked if end.get("IPAMConfig") else None,
    }
