"""A container of the lab: what is known of it, and how an engine shows it.

| of dockerd                    | here                                              |
|-------------------------------|---------------------------------------------------|
| `container.Container`         | `Container`; its process is two flags and a `Process`|
| `types.ContainerJSON`         | `Container.inspect`: `GET /containers/NAME/json`  |
| `types.Container`             | `Container.summary`: an item of `docker ps`       |
| `StateString`, `State.String` | `Container.state`, `Container.status`             |
| `daemon/list.go`              | `matches`                                         |
| `portallocator`               | `Ports`                                           |
"""

import asyncio
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from walkthroughs.swarm.lab_files import Files
from walkthroughs.swarm.lab_machine import (
    DaemonError,
    Filters,
    Json,
    as_dict,
    as_list,
    check_filters,
    has_labels,
    human_duration,
    is_like,
    is_one_of,
    rfc3339,
)
from walkthroughs.swarm.lab_networks import ADDRESSES, ENDPOINT
from walkthroughs.swarm.lab_programs import Process
from walkthroughs.swarm.lab_streams import Streams

HOST_CONFIG: Json = {
    "AutoRemove": False,
    "Binds": None,
    "CapAdd": None,
    "CpuShares": 0,
    "Devices": None,
    "Dns": None,
    "ExtraHosts": None,
    "IpcMode": "private",
    "Links": None,
    "LogConfig": {"Type": "json-file", "Config": {}},
    "Memory": 0,
    "MemorySwap": 0,
    "NanoCpus": 0,
    "NetworkMode": "default",
    "PidMode": "",
    "PortBindings": None,
    "Privileged": False,
    "PublishAllPorts": False,
    "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
    "VolumesFrom": None,
}
"""Of sixty settings, those that somebody reads."""

STATES = ["created", "running", "paused", "restarting", "removing", "exited", "dead"]
FILTERS = ["exited", "id", "label", "name", "network", "status", "volume"]


@dataclass
class Container:
    """A container; times are Unix time on its engine's clock, and 0 is never."""

    id: str
    name: str
    image: str
    created: float
    config: Json
    host_config: Json
    networks: dict[str, Json]
    """What is known of its endpoints, by the network's name."""
    mounts: list[Json] = field(default_factory=list[Json])
    running: bool = False
    paused: bool = False
    exit_code: int = 0
    error: str = ""
    pid: int = 0
    started: float = 0.0
    finished: float = 0.0
    ports: Json = field(default_factory=dict[str, Any])
    exec_ids: list[str] = field(default_factory=list[str])
    exited: asyncio.Event = field(default_factory=asyncio.Event)
    files: Files = field(default_factory=Files)
    streams: Streams = field(default_factory=Streams)
    process: Process | None = None

    @property
    def labels(self) -> dict[str, str]:
        return self.config["Labels"]

    @property
    def volumes(self) -> list[Json]:
        return [mount for mount in self.mounts if mount["Type"] == "volume"]

    @property
    def state(self) -> str:
        if self.running:
            return "paused" if self.paused else "running"
        return "exited" if self.started else "created"

    def status(self, now: float) -> str:
        """Return what `docker ps` shows: `Up 5 minutes`."""
        if self.running:
            up = f"Up {human_duration(now - self.started)}"
            return f"{up} (Paused)" if self.paused else up
        if not self.started:
            return "Created"
        return f"Exited ({self.exit_code}) {human_duration(now - self.finished)} ago"

    @property
    def command(self) -> list[str]:
        return [*words(self.config["Entrypoint"]), *words(self.config["Cmd"])]

    def env(self, more: list[str] | None = None) -> list[str]:
        """Return the environment of a process in it."""
        ours = [*as_list(self.config["Env"]), f"HOSTNAME={self.config['Hostname']}"]
        return [*ours, *(more or []), "HOME=/"]

    def begin(self, now: float, pid: int) -> None:
        """Let its process begin."""
        self.running, self.started, self.pid = True, now, pid
        self.exit_code, self.error = 0, ""
        self.exited.clear()

    def end(self, now: float, code: int) -> None:
        """Let its process end, and all that it had."""
        self.running = self.paused = False
        self.finished, self.exit_code, self.pid, self.ports = now, code, 0, {}
        if self.process:
            self.process.stop()
            self.process = None
        self.streams.close()
        for name in self.networks:
            self.leave(name)
        self.exited.set()

    def join(self, name: str, endpoint: Json) -> None:
        """Note what it got from a network."""
        settings = self.networks[name] | endpoint
        if endpoint.get("IPAddress") and name != "bridge":
            names = [
                each for each in as_list(settings["Aliases"]) if each != self.id[:12]
            ]
            settings["Aliases"] = [*names, self.id[:12]]
        self.networks[name] = settings

    def leave(self, name: str) -> None:
        """Note that it is on a network no more; it remembers which one that was."""
        nothing = {key: ENDPOINT[key] for key in ADDRESSES}
        self.networks[name] = self.networks[name] | nothing

    def inspect(self) -> Json:
        """Return what `GET /containers/NAME/json` has, but for the engine's part."""
        return {
            "Id": self.id,
            "Created": rfc3339(self.created),
            "Path": self.command[0],
            "Args": self.command[1:],
            "State": {
                "Status": self.state,
                "Running": self.running,
                "Paused": self.paused,
                "Restarting": False,
                "OOMKilled": False,
                "Dead": False,
                "Pid": self.pid,
                "ExitCode": self.exit_code,
                "Error": self.error,
                "StartedAt": rfc3339(self.started),
                "FinishedAt": rfc3339(self.finished),
            },
            "Image": self.image,
            "Name": f"/{self.name}",
            "RestartCount": 0,
            "ExecIDs": self.exec_ids or None,
            "HostConfig": self.host_config,
            "Mounts": self.mounts,
            "Config": self.config,
            "NetworkSettings": {
                "Ports": self.ports,
                # Engines of 2013 had one network, and clients of theirs read this.
                **{
                    key: self.networks.get("bridge", ENDPOINT)[key] for key in ADDRESSES
                },
                "Networks": self.networks,
            },
        }

    def summary(self, now: float) -> Json:
        """Return an item of `GET /containers/json`."""
        networks = {
            name: settings | {"Aliases": None}
            for name, settings in self.networks.items()
        }
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "Image": self.config["Image"],
            "ImageID": self.image,
            "Command": " ".join(self.command),
            "Created": int(self.created),
            "Ports": listed_ports(self.ports),
            "Labels": self.labels,
            "State": self.state,
            "Status": self.status(now),
            "HostConfig": {"NetworkMode": self.host_config["NetworkMode"]},
            "NetworkSettings": {"Networks": networks},
            "Mounts": self.mounts,
        }


def words(command: list[str] | str | None) -> list[str]:
    """Return the words of a command, of which there may be one or none."""
    return [command] if isinstance(command, str) else command or []


def listed_ports(ports: Json) -> list[Json]:
    """Return the ports of a container as a list has them."""
    listed: list[Json] = []
    for port, bindings in ports.items():
        number, _, protocol = port.partition("/")
        inside: Json = {"PrivatePort": int(number), "Type": protocol}
        listed += [
            {"IP": each["HostIp"], "PublicPort": int(each["HostPort"]), **inside}
            for each in as_list(bindings)
        ] or [inside]
    return listed


def listed_endpoint(container: Container, endpoint: Json) -> Json:
    """Return an endpoint as its network shows it."""
    ip = endpoint.get("IPAddress", "")
    return {
        "Name": container.name,
        "EndpointID": endpoint["EndpointID"],
        "MacAddress": endpoint.get("MacAddress", ""),
        "IPv4Address": f"{ip}/{endpoint['IPPrefixLen']}" if ip else "",
        "IPv6Address": "",
    }


def first_networks(mode: str, endpoints: Json) -> dict[str, Json]:
    """Return the networks of a new container, by name."""
    if mode.startswith("container:"):
        return {}
    first = "bridge" if mode in ("", "default") else mode
    wanted = {first: endpoints.get(first)} | endpoints
    return {name: ENDPOINT | (config or {}) for name, config in wanted.items()}


def check_container_filters(filters: Filters) -> None:
    check_filters(filters, FILTERS)
    for state in filters.get("status", ()):
        if state not in STATES:
            raise DaemonError(400, f"Invalid filter 'status={state}'")


def matches(container: Container, filters: Filters) -> bool:
    """Tell whether a container is one that is asked for."""
    name, networks = container.name, container.networks
    ids = [each["NetworkID"] for each in networks.values()]
    places = [mount["Name"] for mount in container.volumes]
    places += [mount["Destination"] for mount in container.mounts]
    return (
        is_like(filters, "name", name, f"/{name}")
        and is_like(filters, "id", container.id)
        and is_one_of(filters, "status", container.state)
        and is_one_of(filters, "exited", str(container.exit_code))
        and is_one_of(filters, "network", *networks, *ids)
        and is_one_of(filters, "volume", *places)
        and has_labels(container.labels, filters.get("label", ()))
    )


def signal_number(name: str) -> int:
    """Return 9 for `KILL`, `sigkill` or `9`; raise `DaemonError`."""
    if name.isdecimal():
        return int(name)
    known = "SIG" + name.upper().removeprefix("SIG")
    if known not in signal.Signals.__members__:
        raise DaemonError(400, f"Invalid signal: {name}")
    return signal.Signals[known].value


class PortTaken(Exception):
    """A port of the machine that somebody has: its address and its number."""


class Ports:
    """The ports of a machine: which are free, and who asks for which."""

    def __init__(self) -> None:
        self.last = {"tcp": 32767, "udp": 32767, "sctp": 32767}

    def publish(self, container: Container, running: Iterable[Container]) -> Json:
        """Return what a container's ports are bound to; raise `PortTaken`."""
        wanted = as_dict(container.host_config["PortBindings"])
        ports: Json = dict.fromkeys(as_dict(container.config.get("ExposedPorts")))
        if container.host_config["PublishAllPorts"]:
            wanted = dict.fromkeys(ports) | wanted
        taken = [
            (port.rpartition("/")[2], each["HostIp"], each["HostPort"])
            for other in running
            for port, bindings in other.ports.items()
            for each in as_list(bindings)
        ]
        for port, bindings in wanted.items():
            asked = as_list(bindings) or [{}]
            ports[port] = [
                each for one in asked for each in self._bind(port, one, taken)
            ]
        return ports

    def _bind(
        self, port: str, asked: Json, taken: list[tuple[str, str, str]]
    ) -> list[Json]:
        protocol = port.rpartition("/")[2]
        ip, number = asked.get("HostIp") or "0.0.0.0", asked.get("HostPort")
        if not number:
            self.last[protocol] += 1
            number = str(self.last[protocol])
        for kind, at, used in taken:
            here = at == ip or "0.0.0.0" in (at, ip)
            if here and (kind, used) == (protocol, number):
                raise PortTaken(f"{ip}:{number}")
        ips = [ip] if asked.get("HostIp") else [ip, "::"]
        return [{"HostIp": each, "HostPort": number} for each in ips]
