"""The containers of an engine: what they are made of, and by what they are found.

| of dockerd                     | here                                             |
|--------------------------------|--------------------------------------------------|
| `daemon/create.go`             | `Containers.create`                              |
| `daemon/names.go`              | `check_name`, `invent_name`                      |
| `daemon/volumes_unix.go`       | `mount_all`, `mount`                             |
| `daemon.GetContainer`          | `container`                                      |
| `runconfig.Merge`              | `merged`                                         |
"""

import re
from collections.abc import Iterable
from typing import Any

from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_container import (
    HOST_CONFIG,
    Container,
    check_container_filters,
    first_networks,
    matches,
)
from walkthroughs.swarm.lab_files import Files
from walkthroughs.swarm.lab_images import CONFIG, Image, Images
from walkthroughs.swarm.lab_machine import DaemonError, Filters, Json, as_dict, as_list
from walkthroughs.swarm.lab_networks import Networks
from walkthroughs.swarm.lab_streams import Streams

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
NAMING = "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"

ADJECTIVES = ["bold", "clever", "eager", "fervent", "jolly", "keen", "sharp"]
SURNAMES = ["bell", "curie", "euler", "hopper", "noether", "pascal", "wing"]


class Containers(Images, Networks):
    """A machine with containers, as long as none of them runs."""

    def __init__(
        self,
        lab: Lab,
        name: str,
        address: str,
        clock_offset: float = 0.0,
        images: Iterable[str] = (),
    ) -> None:
        super().__init__(lab, name, address, clock_offset, images)
        self.containers: dict[str, Container] = {}
        """By id, the oldest first."""

    def container(self, name: str) -> Container:
        """Return a container by its id, its name, or the beginning of its id."""
        if known := self.containers.get(name):
            return known
        for each in self.containers.values():
            if each.name == name:
                return each
        found = [id for id in self.containers if id.startswith(name)]
        if len(found) > 1:
            raise DaemonError(400, f"Multiple IDs found with provided prefix: {name}")
        if not found:
            raise DaemonError(404, f"No such container: {name}")
        return self.containers[found[0]]

    def report(self, container: Container, action: str, **more: str) -> None:
        """Report what has happened to a container."""
        known = {"image": container.config["Image"], "name": container.name}
        attributes = container.labels | known | more
        self.emit("container", action, container.id, **attributes)

    def create(self, name: str = "", **body: Any) -> Container:
        """Make a container; `body` is that of `POST /containers/create`."""
        settings = HOST_CONFIG | as_dict(body.pop("HostConfig", None))
        networking = as_dict(body.pop("NetworkingConfig", None))
        if not body:
            why = "Config cannot be empty in order to create a container"
            raise DaemonError(400, why)
        image = self.image(body["Image"]) if body.get("Image") else None
        config = CONFIG | merged(image, body)
        if not (config["Cmd"] or config["Entrypoint"]):
            raise DaemonError(400, "No command specified")
        self.check_name(name, name)
        id = self.new_id()
        hostname = config["Hostname"] or id[:12]
        container = Container(
            id=id,
            name=name or self.invent_name(),
            image=image.id if image else "",
            created=self.time(),
            config=config | {"Hostname": hostname},
            host_config=settings,
            networks=first_networks(
                settings["NetworkMode"], as_dict(networking.get("EndpointsConfig"))
            ),
            files=Files(self.time, {"/etc/hostname": f"{hostname}\n"}),
            streams=Streams(self.time, config["Tty"]),
        )
        try:
            self.mount_all(container)
        except DaemonError:
            self.report(container, "destroy")
            raise
        self.containers[id] = container
        self.report(container, "create")
        return container

    def check_name(self, name: str, shown: str) -> None:
        """Raise `DaemonError` for a name that no new container may have."""
        if name and not NAME.fullmatch(name):
            raise DaemonError(400, f"Invalid container name ({shown}), {NAMING}")
        for each in self.containers.values():
            if each.name == name:
                raise DaemonError(
                    409,
                    f'Conflict. The container name "/{name}" is already in use by '
                    f'container "{each.id}". You have to remove (or rename) that '
                    "container to be able to reuse that name.",
                )

    def invent_name(self) -> str:
        """Return `eager_hopper`, or another name that nobody has."""
        taken = {each.name for each in self.containers.values()}
        first, last = self.random.choice(ADJECTIVES), self.random.choice(SURNAMES)
        name, number = f"{first}_{last}", 0
        while name in taken:
            name, number = f"{first}_{last}{number}", number + 1
        return name

    def mount_all(self, container: Container) -> None:
        """Note what a new container mounts; make the volumes that are missing."""
        settings = container.host_config
        for text in as_list(settings["Binds"]):
            self.mount(container, *text.split(":"))
        for each in as_list(settings.get("Mounts")):
            mode = "ro" if each.get("ReadOnly") else ""
            self.mount(container, each.get("Source", ""), each["Target"], mode)
        for text in as_list(settings["VolumesFrom"]):
            name, _, mode = text.partition(":")
            try:
                theirs = self.container(name).mounts
            except DaemonError as error:
                raise DaemonError(400, error.message) from None
            container.mounts += [
                each | {"RW": each["RW"] and mode != "ro"} for each in theirs
            ]
        for target in as_dict(container.config["Volumes"]):
            if all(mount["Destination"] != target for mount in container.mounts):
                self.mount(container, "", target)

    def mount(
        self, container: Container, source: str, target: str, mode: str = ""
    ) -> None:
        """Note one mount: of a path of the machine, or of a volume."""
        mount: Json = {"Type": "bind", "Source": source, "Destination": target}
        if source.startswith("/"):
            mount |= {"Mode": mode, "Propagation": "rprivate"}
        else:
            volume = self.create_volume(source)
            mount |= {"Type": "volume", "Name": volume["Name"], "Driver": "local"}
            mount |= {"Source": volume["Mountpoint"], "Propagation": ""}
            mount |= {"Mode": mode or ("z" if source else "")}
        container.mounts.append(mount | {"RW": mode != "ro"})

    def rename(self, name: str, new: str) -> None:
        if not new:
            raise DaemonError(400, "Neither old nor new names may be empty")
        container = self.container(name)
        if container.name == new:
            why = "Renaming a container with the same name as its current name"
            raise DaemonError(400, why)
        try:
            self.check_name(new, f"/{new}")
        except DaemonError as error:
            why = f"Error when allocating new name: {error.message}"
            raise DaemonError(error.status, why) from None
        old, container.name = container.name, new
        self.report(container, "rename", oldName=f"/{old}")

    def update(self, name: str, **limits: Any) -> None:
        """Change what a container may use; what is 0 or empty stays as it is."""
        container = self.container(name)
        container.host_config |= {key: value for key, value in limits.items() if value}
        self.report(container, "update")

    def running(self) -> list[Container]:
        return [each for each in self.containers.values() if each.running]

    def list_containers(
        self, all: bool = False, filters: Filters | None = None
    ) -> list[Json]:
        """Return what `GET /containers/json` answers: the newest first."""
        filters = filters or {}
        check_container_filters(filters)
        return [
            each.summary(self.time())
            for each in reversed(self.containers.values())
            if (all or "status" in filters or each.running) and matches(each, filters)
        ]

    def image_users(self, id: str) -> tuple[list[str], list[str]]:
        users = [each for each in self.containers.values() if each.image == id]
        return [each.id for each in users], [each.id for each in users if each.running]

    def volume_users(self, name: str) -> list[str]:
        return [
            each.id
            for each in self.containers.values()
            if any(mount["Name"] == name for mount in each.volumes)
        ]


def merged(image: Image | None, body: Json) -> Json:
    """Return what a container is made of: its image's settings, and those asked for."""
    base = image.config if image else {}
    asked = {key: value for key, value in body.items() if value is not None}
    config = base | asked
    for key in ("ExposedPorts", "Labels", "Volumes"):
        if both := as_dict(base.get(key)) | as_dict(asked.get(key)):
            config[key] = both
    names = [text.partition("=")[0] for text in as_list(asked.get("Env"))]
    rest = [
        each for each in as_list(base.get("Env")) if each.partition("=")[0] not in names
    ]
    config["Env"] = [*as_list(asked.get("Env")), *rest] or None
    return config | {"Labels": as_dict(config.get("Labels"))}
