"""A Docker engine in memory: what one of version 20.10 does, without HTTP.

| of dockerd                    | here                                              |
|-------------------------------|---------------------------------------------------|
| `daemon/create.go`            | `lab_containers`                                  |
| `daemon/start.go`, `stop.go`  | `LabEngine.start`, `LabEngine.stop`               |
| what a process does           | `LabEngine.run`, and `lab_programs`               |
| images, networks, volumes     | `lab_images`, `lab_networks`                      |
| the daemon's end, the power's | `LabEngine.shut_down`, `LabEngine.crash`          |
| the HTTP API                  | `lab_api`                                         |

Methods have the names of the commands of `docker`. What an engine refuses is a
`DaemonError`, with the status and the text that dockerd answers.
"""

import re
from base64 import b32encode
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NoReturn

from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_container import (
    Container,
    Ports,
    PortTaken,
    listed_endpoint,
    signal_number,
)
from walkthroughs.swarm.lab_containers import Containers
from walkthroughs.swarm.lab_exec import Execs
from walkthroughs.swarm.lab_images import Image
from walkthroughs.swarm.lab_machine import (
    DaemonError,
    Json,
    rfc3339,
)
from walkthroughs.swarm.lab_networks import ENDPOINT, Net
from walkthroughs.swarm.lab_programs import Process

API_VERSION, OLDEST_VERSION = "1.41", "1.12"
SIGKILL, KILLED = 9, 137

ANONYMOUS = re.compile("[0-9a-f]{64}")
"""The name of a volume that nobody named."""

NOT_HOST = (
    "container cannot be disconnected from host network or connected to host network"
)
NOT_NONE = (
    "container cannot be connected to multiple networks with one of the networks in "
    "private (none) mode"
)


def engine_id(name: str) -> str:
    """Return an identity that looks like a key's: twelve times four characters."""
    text = b32encode(sha256(name.encode()).digest()).decode()
    return ":".join(text[start : start + 4] for start in range(0, 48, 4))


class LabEngine(Containers):
    """A Docker engine at `address`, which is `host:port`; `plug` makes it answer.

    `clock_offset` is the seconds that its clock is ahead; two engines of one name have
    the same containers' ids.
    """

    def __init__(
        self,
        lab: Lab,
        name: str,
        address: str,
        *,
        id: str | None = None,
        cpus: int = 4,
        memory: int = 8 << 30,
        labels: Iterable[str] = ("storage=ssd",),
        images: Iterable[str] = ("busybox:latest",),
        version: str = "20.10.24",
        ostype: str = "linux",
        driver: str = "overlay2",
        kernel: str = "5.10.0-28-amd64",
        operating_system: str = "Debian GNU/Linux 11 (bullseye)",
        clock_offset: float = 0.0,
    ) -> None:
        super().__init__(lab, name, address, clock_offset, images)
        self.id = id or engine_id(name)
        self.cpus, self.memory, self.labels = cpus, memory, list(labels)
        self.version, self.ostype, self.driver = version, ostype, driver
        self.kernel, self.operating_system = kernel, operating_system
        self.ports = Ports()
        self.execs = Execs(self.report, self.new_pid)

    def plug(self) -> "LabEngine":
        """Put the engine on the network, and return it."""
        # That module imports this one.
        from walkthroughs.swarm.lab_api import LabAPI

        self.app = LabAPI(self)
        self.come_back()
        return self

    def start(self, name: str) -> bool:
        """Start a container; return False if it runs already."""
        container = self.container(name)
        if container.paused:
            why = "cannot start a paused container, try unpause instead"
            raise DaemonError(409, why)
        if container.running:
            return False
        try:
            self.join_networks(container)
        except DaemonError as error:
            container.exit_code, container.error = 128, error.message
            raise
        for mount in container.volumes:
            self.report_mount(container, mount)
        container.begin(self.time(), pid=self.new_pid())
        self.report(container, "start")
        self.run(container)
        return True

    def new_pid(self) -> int:
        return self.random.randrange(1000, 32768)

    def run(self, container: Container) -> None:
        """Let the program of a container begin; a short one has ended then."""
        config, streams = container.config, container.streams
        container.process = Process(
            container.command,
            container.files,
            streams.hear,
            lambda code: self.exit(container.id, code),
            streams.stdin if config["OpenStdin"] else None,
            env=container.env(),
            tty=config["Tty"],
        )
        container.process.begin()

    def join_networks(self, container: Container) -> None:
        """Give a container its addresses and ports; raise `DaemonError`."""
        nets = [self.network(name) for name in container.networks]
        if any(net.prefix for net in nets):
            try:
                container.ports = self.ports.publish(container, self.running())
            except PortTaken as taken:
                self.report_net(nets[0], "disconnect", container.id)
                raise DaemonError(
                    500,
                    "driver failed programming external connectivity on endpoint "
                    f"{container.name} ({self.new_id()}): Bind for {taken} failed: "
                    "port is already allocated",
                ) from None
        for net in nets:
            self.attach(net, container)

    def attach(self, net: Net, container: Container) -> None:
        container.join(net.name, net.attach(container.id, self.new_id()))
        self.report_net(net, "connect", container.id)

    def report_mount(self, container: Container, mount: Json) -> None:
        how = {"destination": mount["Destination"], "propagation": ""}
        how |= {"read/write": "true" if mount["RW"] else "false"}
        who = {"container": container.id, "driver": "local"}
        self.emit("volume", "mount", mount["Name"], **(who | how))

    def exit(self, name: str, code: int = 0) -> None:
        """Let the process of a container end by itself."""
        container = self.container(name)
        if not container.running:
            self.refuse(container, "is not running")
        self.end(container, code)
        self.clear(container)

    def refuse(self, container: Container, why: str, status: int = 409) -> NoReturn:
        raise DaemonError(status, f"Container {container.id} {why}")

    def end(self, container: Container, code: int) -> None:
        """Do what is to do at the end of a process, whatever ended it."""
        if container.paused:
            self.report(container, "unpause")
        self.execs.end_of(container)
        nets = self.networks_of(container.id)
        container.end(self.time(), code)
        self.report(container, "die", exitCode=f"{code}")
        for net in nets:
            net.detach(container.id)
            self.report_net(net, "disconnect", container.id)
        for mount in container.volumes:
            who = {"container": container.id, "driver": "local"}
            self.emit("volume", "unmount", mount["Name"], **who)

    def clear(self, container: Container) -> None:
        """Remove a container that wants to be, after its end."""
        if container.host_config["AutoRemove"]:
            self.remove(container.id, volumes=True)

    def stop(self, name: str) -> bool:
        """Stop a container; return False if it does not run.

        Its process heeds no signal but SIGKILL, as a `sleep` that is process 1. But the
        ten seconds that dockerd gives it take no time here.
        """
        container = self.container(name)
        if not container.running:
            return False
        self.terminate(container)
        self.clear(container)
        return True

    def terminate(self, container: Container) -> None:
        polite = signal_number(container.config.get("StopSignal") or "TERM")
        for signal in dict.fromkeys((polite, SIGKILL)):
            self.report(container, "kill", signal=f"{signal}")
        self.end(container, KILLED)
        self.report(container, "stop")

    def restart(self, name: str) -> None:
        container = self.container(name)
        if container.running:
            self.terminate(container)
        self.start(container.id)
        self.report(container, "restart")

    def kill(self, name: str, signal: str = "KILL") -> None:
        """Send a signal; of all that there are, the process heeds SIGKILL."""
        number = signal_number(signal)
        try:
            container = self.container(name)
            if not container.running:
                self.refuse(container, "is not running")
        except DaemonError as error:
            why = f"Cannot kill container: {name}: {error.message}"
            raise DaemonError(error.status, why) from None
        self.report(container, "kill", signal=f"{number}")
        if number == SIGKILL:
            self.end(container, KILLED)
            self.clear(container)

    def pause(self, name: str) -> None:
        container = self.container(name)
        if not container.running:
            self.refuse(container, "is not running")
        if container.paused:
            self.refuse(container, "is already paused")
        self.hold(container, True)
        self.report(container, "pause")

    def unpause(self, name: str) -> None:
        container = self.container(name)
        if not container.paused:
            self.refuse(container, "is not paused", 500)
        self.hold(container, False)
        self.report(container, "unpause")

    def hold(self, container: Container, paused: bool) -> None:
        container.paused = paused
        for each in (container, *self.execs.running(container)):
            if each.process:
                each.process.freeze(paused)

    def remove(self, name: str, force: bool = False, volumes: bool = False) -> None:
        """Remove a container; with `volumes`, also those that nobody named."""
        container = self.container(name)
        if container.running and not force:
            first = "Unpause and then stop" if container.paused else "Stop"
            raise DaemonError(
                409,
                f"You cannot remove a {container.state} container {container.id}. "
                f"{first} the container before attempting removal or force remove",
            )
        if container.running:
            self.report(container, "kill", signal=f"{SIGKILL}")
            self.end(container, KILLED)
        del self.containers[container.id]
        for mount in container.volumes if volumes else []:
            name = mount["Name"]
            if ANONYMOUS.fullmatch(name) and not self.volume_users(name):
                self.remove_volume(name)
        self.report(container, "destroy")

    async def wait(self, name: str, condition: str = "not-running") -> int:
        """Wait for the end of a container's process; return its exit code."""
        container = self.container(name)
        if condition == "next-exit":
            container.exited.clear()
        if container.running or condition == "next-exit":
            await container.exited.wait()
        return container.exit_code

    def inspect(self, name: str) -> Json:
        """Return what `GET /containers/NAME/json` answers."""
        ours = {"Driver": self.driver, "Platform": self.ostype}
        return self.container(name).inspect() | ours

    def inspect_image(self, name: str) -> Json:
        ours = {"DockerVersion": self.version, "Os": self.ostype}
        return super().inspect_image(name) | ours

    def commit(
        self, name: str, repo: str = "", tag: str = "", comment: str = "", **config: Any
    ) -> Image:
        """Make an image of a container; one that runs is paused meanwhile."""
        container = self.container(name)
        pauses = container.running and not container.paused
        if pauses:
            self.pause(container.id)
        image = Image(
            id=f"sha256:{self.new_id()}",
            created=self.time(),
            parent=container.image,
            config=container.config | config,
            container=container.id,
        )
        shown = self.add_image(image, repo, tag)
        what = {"comment": comment, "imageID": image.id, "imageRef": shown}
        self.report(container, "commit", **what)
        if pauses:
            self.unpause(container.id)
        return image

    def inspect_network(self, name: str) -> Json:
        """Return what `GET /networks/NAME` answers: with those of our containers."""
        net = self.network(name)
        here = {
            id: listed_endpoint(self.containers[id], endpoint)
            for id, endpoint in net.endpoints.items()
            if id in self.containers
        }
        return net.shown() | {"Containers": here}

    def connect(self, name: str, container: str, config: Json | None = None) -> None:
        """Put a container on a network; one that does not run, at its next start."""
        target = self.container(container)
        net = self.network(name)
        if net.name in target.networks:
            who = f"endpoint with name {target.name}"
            raise DaemonError(403, f"{who} already exists in network {net.name}")
        if net.driver in ("host", "null"):
            raise DaemonError(400, NOT_HOST if net.driver == "host" else NOT_NONE)
        target.networks[net.name] = ENDPOINT | (config or {})
        if target.running:
            self.attach(net, target)

    def disconnect(self, name: str, container: str) -> None:
        target = self.container(container)
        net = self.network(name)
        if target.networks.pop(net.name, None) is None:
            why = f"container {target.id} is not connected to network {net.name}"
            raise DaemonError(500, why)
        if net.detach(target.id):
            self.report_net(net, "disconnect", target.id)
        # Of one that runs, both the sandbox and the daemon say it.
        self.report_net(net, "disconnect", target.id)

    def crash(self) -> None:
        """Lose the power; when the machine is back, nothing runs on it."""
        self.vanish()
        for container in self.running():
            for net in self.networks_of(container.id):
                net.detach(container.id)
            container.end(self.time(), KILLED)

    async def shut_down(self) -> None:
        """End as dockerd does on SIGTERM: first its containers, then itself."""
        for container in self.running():
            self.stop(container.id)
        # Whoever listens gets to hear of it.
        await self.lab.clock.sleep(0)
        self.vanish()

    def change_id(self, new: str) -> None:
        """Be another engine from now on, as after a new installation."""
        self.id = new

    def info(self) -> Json:
        """Return what `GET /info` answers."""
        states = [each.state for each in self.containers.values()]
        return {
            "ID": self.id,
            "Containers": len(states),
            "ContainersRunning": states.count("running"),
            "ContainersPaused": states.count("paused"),
            "ContainersStopped": states.count("exited") + states.count("created"),
            "Images": len(self.images),
            "Driver": self.driver,
            "DriverStatus": None,
            "SystemTime": rfc3339(self.time()),
            "KernelVersion": self.kernel,
            "OperatingSystem": self.operating_system,
            "OSType": self.ostype,
            "Architecture": "x86_64",
            "NCPU": self.cpus,
            "MemTotal": self.memory,
            "Name": self.name,
            "Labels": self.labels,
            "ServerVersion": self.version,
        }

    def version_info(self) -> Json:
        """Return what `GET /version` answers."""
        return {
            "Version": self.version,
            "ApiVersion": API_VERSION,
            "MinAPIVersion": OLDEST_VERSION,
            "Os": self.ostype,
            "Arch": "amd64",
            "KernelVersion": self.kernel,
        }
