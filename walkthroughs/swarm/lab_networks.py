"""An engine's networks and volumes: addresses are given out, and nothing is routed.

| of dockerd                   | here                                          |
|------------------------------|-----------------------------------------------|
| libnetwork's `network`       | `Net`                                         |
| an endpoint in a sandbox     | `ENDPOINT`: what `docker inspect` shows of it |
| overlays, in a store         | `Networks.overlays`: one for the whole lab    |
| the volume driver `local`    | `create_volume`                               |
"""

from dataclasses import dataclass, field
from typing import Any

from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_machine import (
    DaemonError,
    Filters,
    Json,
    Machine,
    as_dict,
    check_filters,
    has_labels,
    is_like,
    is_one_of,
    rfc3339,
)

ENDPOINT: Json = {
    "IPAMConfig": None,
    "Links": None,
    "Aliases": None,
    "NetworkID": "",
    "EndpointID": "",
    "Gateway": "",
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "MacAddress": "",
    "DriverOpts": None,
}
ADDRESSES = ["EndpointID", "Gateway", "IPAddress", "IPPrefixLen", "MacAddress"]
PREDEFINED = ["bridge", "host", "none"]
DRIVERS = ["bridge", "ipvlan", "macvlan", "overlay"]
SHORT_VOLUME = (
    "volume name is too short, names should be at least two alphanumeric characters"
)


@dataclass
class Net:
    """A network, and the endpoint of each container that runs on it."""

    id: str
    name: str
    driver: str
    scope: str = "local"
    created: float = 0.0
    labels: Json = field(default_factory=dict[str, Any])
    options: Json = field(default_factory=dict[str, Any])
    internal: bool = False
    prefix: str = ""
    """The first half of its addresses, `172.17`; none for `host` and `none`."""
    endpoints: dict[str, Json] = field(default_factory=dict[str, Json])
    """What there is of it, by the container's id."""

    def attach(self, container: str, endpoint: str) -> Json:
        """Give a container an address; return what its endpoint is now."""
        here: Json = {"NetworkID": self.id, "EndpointID": endpoint}
        if self.prefix:
            taken = {each["IPAddress"] for each in self.endpoints.values()}
            hosts = (f"{self.prefix}.{n >> 8}.{n & 255}" for n in range(2, 65535))
            ip = next(host for host in hosts if host not in taken)
            mac = ":".join(f"{int(byte):02x}" for byte in ip.split("."))
            here |= {"Gateway": f"{self.prefix}.0.1", "IPAddress": ip}
            here |= {"IPPrefixLen": 16, "MacAddress": f"02:42:{mac}"}
        self.endpoints[container] = here
        return here

    def detach(self, container: str) -> bool:
        """Take a container off; tell whether it was on."""
        return self.endpoints.pop(container, None) is not None

    def shown(self) -> Json:
        """Return what `GET /networks` has of it."""
        pool = {"Subnet": f"{self.prefix}.0.0/16", "Gateway": f"{self.prefix}.0.1"}
        return {
            "Name": self.name,
            "Id": self.id,
            "Created": rfc3339(self.created),
            "Scope": self.scope,
            "Driver": self.driver,
            "EnableIPv6": False,
            "IPAM": {
                "Driver": "default",
                "Options": None,
                "Config": [pool] if self.prefix else [],
            },
            "Internal": self.internal,
            "Attachable": False,
            "Ingress": False,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": False,
            "Containers": {},
            "Options": self.options,
            "Labels": self.labels,
        }


def network_matches(net: Net, filters: Filters) -> bool:
    kind = "builtin" if net.name in PREDEFINED else "custom"
    return (
        is_like(filters, "name", net.name)
        and is_like(filters, "id", net.id)
        and is_one_of(filters, "driver", net.driver)
        and is_one_of(filters, "scope", net.scope)
        and is_one_of(filters, "type", kind)
        and has_labels(net.labels, filters.get("label", ()))
    )


def volume_matches(volume: Json, filters: Filters) -> bool:
    return (
        is_like(filters, "name", volume["Name"])
        and is_one_of(filters, "driver", volume["Driver"])
        and has_labels(as_dict(volume["Labels"]), filters.get("label", ()))
    )


class Networks(Machine):
    """A machine with networks and volumes."""

    def __init__(
        self, lab: Lab, name: str, address: str, clock_offset: float = 0.0
    ) -> None:
        super().__init__(lab, name, address, clock_offset)
        self.volumes: dict[str, Json] = {}
        self.local: dict[str, Net] = {}
        for each, driver in zip(PREDEFINED, ["bridge", "host", "null"], strict=True):
            net = Net(self.new_id(), each, driver, created=self.time())
            net.prefix = "172.17" if each == "bridge" else ""
            self.local[net.id] = net

    @property
    def networks(self) -> dict[str, Net]:
        """Those of this engine, and the overlays of all engines in the lab, by id."""
        return self.local | self.overlays

    @property
    def overlays(self) -> dict[str, Net]:
        return self.lab.store.setdefault("overlays", {})

    def network(self, name: str) -> Net:
        """Return a network by its id, its name, or an id's beginning."""
        networks = self.networks
        if found := networks.get(name):
            return found
        wanted = "bridge" if name == "default" else name
        for each in networks.values():
            if each.name == wanted:
                return each
        for id, each in networks.items():
            if name and id.startswith(name):
                return each
        raise DaemonError(404, f"network {name} not found")

    def networks_of(self, container: str) -> list[Net]:
        """Return the networks that a container has an endpoint on."""
        nets = self.networks.values()
        return [net for net in nets if container in net.endpoints]

    def report_net(self, net: Net, action: str, container: str) -> None:
        who = {"container": container, "name": net.name, "type": net.driver}
        self.emit("network", action, net.id, **who)

    def volume_users(self, name: str) -> list[str]:
        """Return the ids of the containers that a volume is mounted in."""
        return []

    def create_network(
        self,
        name: str,
        driver: str = "bridge",
        labels: Json | None = None,
        options: Json | None = None,
        internal: bool = False,
        check_duplicate: bool = False,
    ) -> Net:
        """Make a network: an overlay on all engines of the lab, else one of ours."""
        if not name:
            raise DaemonError(500, "invalid name: ")
        if name in PREDEFINED:
            why = f"operation is not permitted on predefined {name} network "
            raise DaemonError(403, why)
        if driver not in DRIVERS:
            raise DaemonError(404, f'plugin "{driver}" not found')
        taken = any(each.name == name for each in self.networks.values())
        if check_duplicate and taken:
            raise DaemonError(409, f"network with name {name} already exists")
        wide = driver == "overlay"
        scope = "global" if wide else "local"
        net = Net(self.new_id(), name, driver, scope, self.time(), labels or {})
        net.options, net.internal = options or {}, internal
        home = self.overlays if wide else self.local
        used = {each.prefix for each in home.values()}
        pool = (f"10.{n}" if wide else f"172.{n + 17}" for n in range(256))
        net.prefix = next(prefix for prefix in pool if prefix not in used)
        home[net.id] = net
        self.emit("network", "create", net.id, name=name, type=driver)
        return net

    def list_networks(self, filters: Filters | None = None) -> list[Json]:
        """Return what `GET /networks` answers, without the containers on them."""
        filters = filters or {}
        check_filters(filters, ["driver", "id", "label", "name", "scope", "type"])
        nets = self.networks.values()
        return [net.shown() for net in nets if network_matches(net, filters)]

    def remove_network(self, name: str) -> None:
        net = self.network(name)
        if net.name in PREDEFINED:
            why = f"{net.name} is a pre-defined network and cannot be removed"
            raise DaemonError(403, why)
        if net.endpoints:
            why = f"network {net.name} id {net.id} has active endpoints"
            raise DaemonError(403, f"error while removing network: {why}")
        (self.overlays if net.scope == "global" else self.local).pop(net.id)
        self.emit("network", "destroy", net.id, name=net.name, type=net.driver)

    def create_volume(
        self, name: str = "", driver: str = "local", labels: Json | None = None
    ) -> Json:
        """Make a volume, or return the one that has the name."""
        name = name or self.new_id()
        if len(name) < 2:
            raise DaemonError(400, f"create {name}: {SHORT_VOLUME}")
        if driver not in ("", "local"):
            why = (
                f'error looking up volume plugin {driver}: plugin "{driver}" not found'
            )
            raise DaemonError(404, f"create {name}: {why}")
        volume = self.volumes.setdefault(
            name,
            {
                "CreatedAt": rfc3339(int(self.time())),
                "Driver": "local",
                "Labels": labels,
                "Mountpoint": f"/var/lib/docker/volumes/{name}/_data",
                "Name": name,
                "Options": None,
                "Scope": "local",
            },
        )
        self.emit("volume", "create", name, driver="local")
        return volume

    def volume(self, name: str) -> Json:
        if name not in self.volumes:
            raise DaemonError(404, f"get {name}: no such volume")
        return self.volumes[name]

    def list_volumes(self, filters: Filters | None = None) -> list[Json]:
        """Return what `GET /volumes` has below `Volumes`."""
        filters = filters or {}
        check_filters(filters, ["driver", "label", "name"])
        return [each for each in self.volumes.values() if volume_matches(each, filters)]

    def remove_volume(self, name: str) -> None:
        self.volume(name)
        if users := self.volume_users(name):
            who = ", ".join(users)
            raise DaemonError(409, f"remove {name}: volume is in use - [{who}]")
        del self.volumes[name]
        self.emit("volume", "destroy", name, driver="local")
