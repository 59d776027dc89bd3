"""What is known of one engine: the caches of cluster/engine.go.

| upstream, methods of `Engine`             | here, methods of `Inventory`        |
|-------------------------------------------|-------------------------------------|
| `RefreshContainers`                       | `refresh_containers`                |
| `refreshContainer`, `updateContainer`     | `refresh_container`                 |
| `RefreshImages`, `refreshNetwork`, ...    | `refresh_images`, ...               |
| `UpdateNetworkContainers`                 | `attach`                            |
| `UsedCpus`, `UsedMemory`                  | `used_cpus`, `used_memory`          |
| `AddContainer`, `removeContainer`         | `put`, `drop`                       |
"""

import json
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from walkthroughs.swarm.cluster import Container, Image, Network, Volume
from walkthroughs.swarm.config import JSON, ContainerConfig
from walkthroughs.swarm.engine_api import EngineError, escape
from walkthroughs.swarm.golang import quote, shift_time

if TYPE_CHECKING:
    from walkthroughs.swarm.engine import Engine


@contextmanager
def understood(what: str) -> Generator[None, None, None]:
    """Raise `EngineError` where an answer is JSON and not what it should be."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        said = f"{type(error).__name__}: {error}"
        raise EngineError(f"unexpected answer about {what} ({said})") from None


def rows(answer: Any) -> list[JSON]:
    """Return a list of objects; Go says null for an empty one."""
    if not isinstance(answer or [], list):
        raise TypeError("not a list")
    return answer or []


class Inventory:
    """Containers, images, networks and volumes of an engine, as last heard of.

    Sums are kept, not computed: to place a container costs the same on an engine
    that has ten and on one that has ten thousand.
    """

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine
        self.revision = 0
        """Another number after each change."""
        self.containers: dict[str, Container] = {}
        self.names: dict[str, str] = {}
        """The id of the container that has a name, which begins with a slash."""
        self.used_cpus = 0
        self.used_memory = 0
        self.images: list[Image] = []
        self.networks: dict[str, Network] = {}
        self.volumes: dict[str, Volume] = {}

    def put(self, container: Container) -> None:
        """Know a container, in its newest state."""
        self.drop(container.id)
        self.containers[container.id] = container
        self.names |= dict.fromkeys(container.names, container.id)
        self.used_cpus += container.config.cpus
        self.used_memory += container.config.memory

    def drop(self, container_id: str) -> None:
        """Know it no more."""
        self.revision += 1
        if not (container := self.containers.pop(container_id, None)):
            return
        for name in container.names:
            # After two renames, the name may already be another's.
            if self.names.get(name) == container_id:
                del self.names[name]
        self.used_cpus -= container.config.cpus
        self.used_memory -= container.config.memory

    def has(self, swarm_id: str) -> bool:
        """Tell whether a container with this id has appeared."""
        return any(each.swarm_id == swarm_id for each in self.containers.values())

    async def refresh_containers(self, full: bool) -> None:
        """Ask which containers there are; `full` asks for all about each, too."""
        before = dict(self.containers)
        found = await self.engine.look("/containers/json", {"all": "1"})
        with understood("containers"):
            listed = {str(each["Id"]): each for each in rows(found)}
        for raw in listed.values():
            await self._update(raw, before, full)
        # Whoever has come since the question was asked is not gone.
        for container_id in before.keys() - listed.keys():
            self.drop(container_id)

    async def _update(
        self, raw: JSON, before: dict[str, Container], full: bool
    ) -> None:
        """Learn what one item of a list says; whatever is wrong concerns it alone."""
        known = before.get(raw["Id"])
        # Engines do not always tell when a restart has ended.
        full = full or not known or known.restarting
        try:
            container = await self._read(raw, None if full else known)
        except EngineError as error:
            # A 404 is a container that was removed after the list was made.
            if error.status != 404:
                which = f"container {quote(raw['Id'])}"
                self.engine.log_error(f"Unable to update state of {which}: {error}")
            return
        # An event may have brought a newer state while the engine was asked.
        if full or self.containers.get(container.id) is known:
            self.put(container)

    async def _read(self, raw: JSON, known: Container | None) -> Container:
        """Return a container as an item of a list tells; ask for what is not known."""
        if known:
            with understood("a container"):
                raw = self._in_our_time(raw)
                return Container(self.engine, known.config, raw, known.info)
        info = await self.engine.look(f"/containers/{raw['Id']}/json")
        with understood("a container"):
            raw, delta = self._in_our_time(raw), self.engine.delta
            state = dict(info["State"])
            for event in "StartedAt", "FinishedAt":
                state[event] = shift_time(state[event], delta)
            info = {**info, "State": state}
            return Container(self.engine, self._config(info), raw, info)

    def _in_our_time(self, raw: JSON) -> JSON:
        return {**raw, "Created": int(raw["Created"] + self.engine.delta)}

    def _config(self, info: JSON) -> ContainerConfig:
        """Return what would create a container anew, on whatever engine."""
        networks = info["NetworkSettings"].get("Networks")
        config = ContainerConfig.build(
            info["Config"]
            | {"HostConfig": info["HostConfig"]}
            | {"NetworkingConfig": {"EndpointsConfig": networks}}
        )
        # Shares are of 1024, and worth more on a bigger machine.
        config.host["CpuShares"] = config.cpus * self.engine.cpus // 1024
        return config

    async def refresh_container(self, container_id: str, full: bool) -> None:
        """Ask for one container."""
        query = {"all": "1", "filters": json.dumps({"id": [container_id]})}
        found = await self.engine.look("/containers/json", query)
        with understood("a container"):
            raw = [each for each in rows(found) if each["Id"] == container_id]
        known = self.containers.get(container_id)
        if raw:
            await self._update(raw[0], {container_id: known} if known else {}, full)
        else:
            self.drop(container_id)

    async def refresh_images(self) -> None:
        found = await self.engine.look("/images/json", {"all": "1"})
        with understood("images"):
            self.images = [Image(self.engine, each) for each in rows(found)]
        self.revision += 1

    async def refresh_networks(self) -> None:
        found = await self.engine.look("/networks")
        with understood("networks"):
            networks = [Network(self.engine, each) for each in rows(found)]
            self.networks = {network.id: network for network in networks}

    async def refresh_network(self, network_id: str) -> None:
        """Ask for one network."""
        raw = await self._look_for(f"/networks/{escape(network_id)}")
        if raw is None:
            self.networks.pop(network_id, None)
            return
        with understood("a network"):
            network = Network(self.engine, raw)
            self.networks[network.id] = network

    async def refresh_volumes(self) -> None:
        found = await self.engine.look("/volumes")
        with understood("volumes"):
            volumes = [Volume(self.engine, each) for each in rows(found["Volumes"])]
            self.volumes = {volume.name: volume for volume in volumes}

    async def refresh_volume(self, name: str) -> None:
        """Ask for one volume."""
        raw = await self._look_for(f"/volumes/{escape(name)}")
        if raw is None:
            self.volumes.pop(name, None)
            return
        with understood("a volume"):
            volume = Volume(self.engine, raw)
            self.volumes[volume.name] = volume

    async def _look_for(self, path: str) -> JSON | None:
        """Return one thing, None for one that is gone."""
        try:
            return await self.engine.look(path)
        except EngineError as error:
            if error.status == 404:
                return None
            raise

    def attach(self) -> None:
        """Note at each network who is attached, which lists of networks leave out."""
        ends: dict[str, JSON] = {}
        for container in self.containers.values():
            with suppress(EngineError), understood("endpoints"):
                for end in endpoints(container):
                    ends.setdefault(end["NetworkID"], {})[container.id] = {
                        "Name": container.names[0].lstrip("/"),
                        "EndpointID": end["EndpointID"],
                        "MacAddress": end["MacAddress"],
                        "IPv4Address": subnet(end, "IPAddress", "IPPrefixLen"),
                        "IPv6Address": subnet(
                            end, "GlobalIPv6Address", "GlobalIPv6PrefixLen"
                        ),
                    }
        for network_id, attached in ends.items():
            if network := self.networks.get(network_id):
                raw = {**network.raw, "Containers": network.containers | attached}
                self.networks[network_id] = Network(self.engine, raw)


def endpoints(container: Container) -> list[JSON]:
    """Return where a container is attached."""
    settings: JSON = container.raw.get("NetworkSettings") or {}
    networks: dict[str, JSON] = settings.get("Networks") or {}
    return [end for end in networks.values() if end["NetworkID"]]


def subnet(end: JSON, address: str, length: str) -> str:
    """Return `172.17.0.2/16`; "" for an endpoint without such an address."""
    return f"{end[address]}/{end[length]}" if end[address] else ""
