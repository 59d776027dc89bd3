"""Networks and volumes of many engines: a part of cluster/swarm/cluster.go.

| upstream, methods of `Cluster`            | here, methods of `Resources`        |
|-------------------------------------------|-------------------------------------|
| `Networks`, `Volumes`                     | `networks`, `volumes`               |
| `CreateNetwork`, `RemoveNetwork`          | `create_network`, `remove_network`  |
| `CreateVolume`, `RemoveVolumes`           | `create_volume`, `remove_volumes`   |

A network of scope `global` is one thing that every engine knows, under one id. One of
scope `local` is its engine's, and so is a volume.
"""

import asyncio
from contextlib import suppress

from walkthroughs.swarm import orders
from walkthroughs.swarm.cluster import Network, Networks, Volumes
from walkthroughs.swarm.config import JSON, NAMESPACE, ContainerConfig
from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.engine_api import ConnectionFailed, EngineError
from walkthroughs.swarm.everywhere import every
from walkthroughs.swarm.images import Images

WHITELISTS = f"{NAMESPACE}.whitelists"


class Resources(Images):
    """What engines have besides containers, for a class that has the engines."""

    def networks(self) -> Networks:
        return Networks(
            network
            for engine in self.engines.values()
            for network in engine.inventory.networks.values()
        )

    async def create_network(self, name: str, request: JSON) -> JSON:
        """Create a network on one engine, `NODE/name` on a certain one."""
        node, slash, plain = name.partition("/")
        engine = self.on_node(node) if slash else self.random_engine()
        made = await orders.create_network(engine, plain if slash else name, request)
        network = engine.inventory.networks.get(str(made["Id"]))
        if network and network.scope == "global":
            # The others have it already, and will say so at their next refresh.
            for other in self.engines.values():
                known = other.inventory.networks
                known.setdefault(network.id, Network(other, network.raw))
        return made

    async def remove_network(self, network: Network) -> None:
        """Remove a network; a global one through any engine that answers."""
        try:
            await orders.remove_network(network.engine, network)
        except ConnectionFailed as error:
            if network.scope != "global" or not await self._remove_elsewhere(network):
                raise error from None
        if network.scope == "global":
            for engine in self.engines.values():
                engine.inventory.drop_network(network.id)

    async def _remove_elsewhere(self, network: Network) -> bool:
        for engine in list(self.engines.values()):
            if engine is not network.engine:
                with suppress(EngineError):
                    await orders.remove_network(engine, network)
                    return True
        return False

    def volumes(self) -> Volumes:
        return Volumes(
            volume
            for engine in self.engines.values()
            for volume in engine.inventory.volumes.values()
        )

    async def create_volume(self, request: JSON) -> JSON | None:
        """Create a volume on every engine, `NODE/name` on one; None without engines.

        A label `com.docker.swarm.whitelists` names the engines too.
        """
        name: str = request.get("Name") or self.world.random.randbytes(32).hex()
        node, slash, plain = name.partition("/")
        body = {**request, "Name": plain if slash else name}
        made = await asyncio.gather(
            *(
                orders.create_volume(engine, body)
                for engine in self._volume_engines(request, node if slash else "")
            ),
            return_exceptions=True,
        )
        for each in made:
            if isinstance(each, BaseException):
                raise each
        return next((each for each in made if isinstance(each, dict)), None)

    def _volume_engines(self, request: JSON, node: str) -> list[Engine]:
        labels: dict[str, str] = request.get("Labels") or {}
        if WHITELISTS in labels:
            wish = {"Labels": {WHITELISTS: labels[WHITELISTS]}}
            nodes = self.select(ContainerConfig.build(wish))
            return [self.engines[each.id] for each in nodes]
        return [self.on_node(node)] if node else list(self.engines.values())

    async def remove_volumes(self, name: str) -> bool:
        """Remove a volume from every engine that has it; tell whether one had."""
        named = {
            engine.id: volume.name
            for engine in self.engines.values()
            if (volume := Volumes(engine.inventory.volumes.values()).get(name))
        }
        engines = [self.engines[engine_id] for engine_id in named]
        await every(engines, lambda e: orders.remove_volume(e, named[e.id]))
        return bool(engines)
