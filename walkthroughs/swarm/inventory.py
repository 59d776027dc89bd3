"""What is known of one engine: the caches of cluster/engine.go.

| upstream, methods of `Engine`             | here, methods of `Inventory`        |
|-------------------------------------------|-------------------------------------|
| `AddContainer`, `removeContainer`         | `put`, `drop`                       |
| `UsedCpus`, `UsedMemory`                  | `used_cpus`, `used_memory`          |
| `RefreshContainers`                       | `refresh_containers`                |
| `refreshContainer`, `updateContainer`     | `refresh_container`                 |
| `RefreshImages`, `refreshNetwork`, ...    | `refresh_images`, ...               |
| `UpdateNetworkContainers`                 | `attach`                            |

A refresh is **soft** when it asks for a list, and **full** when it inspects each
container, too. What an engine says so that nobody understands it changes nothing.
"""

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar, cast

from walkthroughs.swarm.cluster import Container, Image, Network, Volume
from walkthroughs.swarm.config import JSON, ContainerConfig
from walkthroughs.swarm.engine_api import EngineError, escape
from walkthroughs.swarm.golang import quote, shift_time

if TYPE_CHECKING:
    from walkthroughs.swarm.engine import Engine

T = TypeVar("T")


@contextmanager
def understood(what: str) -> Generator[None, None, None]:
    """Raise `EngineError` where an answer is JSON and not what it should be."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as e:
        said = f"{type(e).__name__}: {e}"
        raise EngineError(f"unexpected answer about {what} ({said})") from None


def rows(answer: Any) -> list[JSON]:
    """Return a list of objects; Go says null for an empty one."""
    if not isinstance(answer, list | None):
        raise TypeError("not a list")
    return cast("list[JSON] | None", answer) or []


class Inventory:
    """Containers, images, networks and volumes of an engine, as last heard of.

    Sums are kept, not computed: a change costs the same among ten containers and
    among ten thousand, and a look at a sum costs nothing.
    """

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine
        self.revision = 0
        """Grows with each change of what a placement looks at."""
        self.containers: dict[str, Container] = {}
        self.names: dict[str, str] = {}
        """The id of the container that has a name, which begins with a slash."""
        self.used_cpus = 0
        self.used_memory = 0
        self.images: list[Image] = []
        self.networks: dict[str, Network] = {}
        self.volumes: dict[str, Volume] = {}
        self._questions = count(1)
        self._asked: dict[str, tuple[int, int]] = {}
        """The questions that told of a container: a list, an inspection."""
        self._images_asked = 0
        self._open: dict[int, str] = {}
        """Questions about one thing that are under way, and their paths."""

    def put(self, container: Container) -> None:
        """Know a container, in its newest state."""
        self._take_out(container.id)
        self.containers[container.id] = container
        self.names |= dict.fromkeys(container.names, container.id)
        self.used_cpus += container.config.cpus
        self.used_memory += container.config.memory

    def drop(self, container_id: str) -> None:
        """Know it no more."""
        self._forget(inspection(container_id))
        self._take_out(container_id)

    def drop_network(self, network_id: str) -> None:
        self._forget(f"/networks/{escape(network_id)}")
        self.networks.pop(network_id, None)

    def drop_volume(self, name: str) -> None:
        self._forget(f"/volumes/{escape(name)}")
        self.volumes.pop(name, None)

    def _forget(self, path: str) -> None:
        # An answer from before a removal must not bring back what was removed.
        self._open = {number: of for number, of in self._open.items() if of != path}

    def _take_out(self, container_id: str) -> None:
        self.revision += 1
        self._asked.pop(container_id, None)
        if not (container := self.containers.pop(container_id, None)):
            return
        for name in container.names:
            # After two renames, the name may already be another's.
            if self.names.get(name) == container_id:
                del self.names[name]
        self.used_cpus -= container.config.cpus
        self.used_memory -= container.config.memory

    def end(self, container_id: str) -> None:
        """Note that a container's process has ended, which needs no question."""
        if not (known := self.containers.get(container_id)):
            return
        ended = {"Running": False, "Paused": False, "Status": "exited"}
        info = {**known.info, "State": {**known.info["State"], **ended}}
        asked = self._asked.get(container_id, (0, 0))
        self.put(Container(self.engine, known.config, known.raw, info))
        self._asked[container_id] = asked

    def has(self, swarm_id: str) -> bool:
        """Tell whether a container with this id has appeared."""
        return any(each.swarm_id == swarm_id for each in self.containers.values())

    async def refresh_containers(self, full: bool) -> None:
        """Ask which containers there are; what is wrong with one concerns it alone."""
        asked, before = next(self._questions), list(self.containers)
        found = await self.engine.look("/containers/json", {"all": "1"})
        with understood("containers"):
            listed = {str(each["Id"]): each for each in rows(found)}
        # Whoever has come since the question was asked is not gone.
        for container_id in before:
            if container_id not in listed:
                self.drop(container_id)
        for container_id, raw in listed.items():
            try:
                await self._update(raw, asked, full)
            except EngineError as error:
                which = f"container {quote(container_id)}"
                self.engine.log_error(f"Unable to update state of {which}: {error}")

    async def refresh_container(self, container_id: str, full: bool) -> None:
        """Ask for one container; raise `EngineError`."""
        asked = next(self._questions)
        query = {"all": "1", "filters": json.dumps({"id": [container_id]})}
        found = await self.engine.look("/containers/json", query)
        with understood("a container"):
            raw = [each for each in rows(found) if each["Id"] == container_id]
        if raw:
            await self._update(raw[0], asked, full)
        else:
            self.drop(container_id)

    async def _update(self, raw: JSON, asked: int, full: bool) -> None:
        """Learn what an item of a list says; inspect a container that is new."""
        with understood("a container"):
            raw = self._item(raw)
        known = self.containers.get(raw["Id"])
        info: JSON = {}
        inspected = 0
        # Engines do not always tell when a restart has ended, and are not always heard.
        if full or not known or known.restarting or has_changed(known, raw):
            inspected = next(self._questions)
            found = await self._look_for(inspection(raw["Id"]))
            if found is None:
                self.drop(raw["Id"])
            if not found:
                return
            with understood("a container"):
                info = self._info(found)
        with understood("a container"):
            self._learn(raw, asked, info, inspected)

    def _learn(self, raw: JSON, asked: int, info: JSON, inspected: int) -> None:
        """Keep, of what is known and what was heard, what was asked for later."""
        if known := self.containers.get(raw["Id"]):
            listed_at, inspected_at = self._asked.get(known.id, (0, 0))
            if listed_at > asked:
                raw, asked = known.raw, listed_at
            if inspected_at >= inspected:
                info, inspected = known.info, inspected_at
        config = known.config if known and info is known.info else self._config(info)
        self.put(Container(self.engine, config, raw, info))
        self._asked[raw["Id"]] = asked, inspected

    def _item(self, raw: JSON) -> JSON:
        """Return an item of a list of containers, by our clock."""
        return raw | {
            "Id": str(raw["Id"]),
            "Names": [*map(str, raw.get("Names") or [])],
            "Labels": dict(raw.get("Labels") or {}),
            "Created": int(raw["Created"] + self.engine.delta),
        }

    def _info(self, found: JSON) -> JSON:
        """Return an inspection, by our clock."""
        state: JSON = dict(found["State"])
        for moment in "StartedAt", "FinishedAt":
            state[moment] = shift_time(state[moment], self.engine.delta)
        return {**found, "State": state}

    def _config(self, info: JSON) -> ContainerConfig:
        """Return what would create a container anew, on whatever engine."""
        networks = info["NetworkSettings"].get("Networks")
        config = ContainerConfig.build(
            info["Config"]
            | {"HostConfig": info["HostConfig"]}
            | {"NetworkingConfig": {"EndpointsConfig": networks}}
        )
        # Shares are of 1024, and worth more on a bigger machine.
        config.host["CpuShares"] = int(config.cpus) * self.engine.cpus // 1024
        config.host["Memory"] = int(config.memory)
        return config

    async def refresh_images(self) -> None:
        asked = next(self._questions)
        found = await self.engine.look("/images/json", {"all": "1"})
        with understood("images"):
            images = [Image(self.engine, each) for each in rows(found)]
        if asked > self._images_asked:
            self.images, self._images_asked = images, asked
            self.revision += 1

    async def refresh_networks(self) -> None:
        before = dict(self.networks)
        found = await self.engine.look("/networks")
        with understood("networks"):
            listed = [network(self.engine, each) for each in rows(found)]
            renew(self.networks, before, {each.id: each for each in listed})

    async def refresh_volumes(self) -> None:
        before = dict(self.volumes)
        found = await self.engine.look("/volumes")
        with understood("volumes"):
            listed = [Volume(self.engine, each) for each in rows(found["Volumes"])]
            renew(self.volumes, before, {each.name: each for each in listed})

    async def refresh_network(self, network_id: str) -> None:
        """Ask for one network."""
        path = f"/networks/{escape(network_id)}"
        if (found := await self._look_for(path)) is None:
            self.drop_network(network_id)
        elif found:
            with understood(path):
                self.networks[network_id] = network(self.engine, found)

    async def refresh_volume(self, name: str) -> None:
        """Ask for one volume."""
        path = f"/volumes/{escape(name)}"
        if (found := await self._look_for(path)) is None:
            self.drop_volume(name)
        elif found:
            with understood(path):
                self.volumes[name] = Volume(self.engine, found)

    async def _look_for(self, path: str) -> JSON | None:
        """Return one thing; None for one that is gone, {} if it was dropped since."""
        question = next(self._questions)
        self._open[question] = path
        try:
            found = await self.engine.look(path)
        except EngineError as error:
            if error.status != 404:
                raise
            return None
        finally:
            wanted = self._open.pop(question, None)
        if not wanted:
            return {}
        with understood(path):
            if not found:
                raise ValueError("nothing")
            return dict(found)

    def attach(self) -> None:
        """Note at each network who is attached, which lists of networks leave out."""
        attached: dict[str, dict[str, JSON]] = {}
        for container in self.containers.values():
            with suppress(EngineError), understood("endpoints"):
                for network_id, end in endpoints(container):
                    attached.setdefault(network_id, {})[container.id] = end
        for network_id, ends in attached.items():
            if known := self.networks.get(network_id):
                self.networks[network_id] = known.attach(known.containers | ends)


def inspection(container_id: str) -> str:
    """Return where an engine tells all about a container."""
    return f"/containers/{container_id}/json"


def has_changed(known: Container, raw: JSON) -> bool:
    """Tell whether a list says something else than the last inspection."""
    names, state = raw["Names"], raw.get("State")
    renamed = bool(names) and known.info.get("Name") not in names
    return renamed or (bool(state) and known.info["State"].get("Status") != state)


def renew(known: dict[str, T], before: dict[str, T], listed: dict[str, T]) -> None:
    """Take over a list, but for what has changed since it was asked for."""
    for key in before | listed:
        if known.get(key) is not before.get(key):
            continue
        if key in listed:
            known[key] = listed[key]
        else:
            del known[key]


def network(engine: "Engine", raw: JSON) -> Network:
    """Return a network, on which there may be nobody."""
    return Network(engine, raw).attach(dict(raw.get("Containers") or {}))


def endpoints(container: Container) -> Iterator[tuple[str, JSON]]:
    """Yield the id of each network that a container is on, and its endpoint there."""
    settings: JSON = container.raw.get("NetworkSettings") or {}
    networks: dict[str, JSON] = settings.get("Networks") or {}
    for end in networks.values():
        if end["NetworkID"]:
            yield (
                end["NetworkID"],
                {
                    # The list has the names that links give, too.
                    "Name": container.info["Name"].lstrip("/"),
                    "EndpointID": end["EndpointID"],
                    "MacAddress": end["MacAddress"],
                    "IPv4Address": subnet(end, "IPAddress", "IPPrefixLen"),
                    "IPv6Address": subnet(
                        end, "GlobalIPv6Address", "GlobalIPv6PrefixLen"
                    ),
                },
            )


def subnet(end: JSON, address: str, length: str) -> str:
    """Return `172.17.0.2/16`; "" for an endpoint without such an address."""
    return f"{end[address]}/{end[length]}" if end[address] else ""
