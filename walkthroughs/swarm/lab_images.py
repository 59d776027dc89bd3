"""The images of an engine: names for hashes, in a lab that has no layers.

| of dockerd                          | here                                    |
|-------------------------------------|-----------------------------------------|
| `reference.ParseNormalizedNamed`    | `full_name`                             |
| a registry                          | `Images.registry`: a dictionary         |
| `docker pull`, `load`, `import`     | `pull`, `load`, `import_image`          |
| `docker build`                      | `build`: settings, and nothing is run   |
| `docker tag`, `rmi`                 | `tag`, `remove_image`                   |
"""

import io
import json
import re
import shlex
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, cast

from walkthroughs.swarm.lab import EPOCH, Lab
from walkthroughs.swarm.lab_machine import (
    DaemonError,
    Filters,
    Json,
    Machine,
    as_dict,
    as_list,
    check_filters,
    has_labels,
    is_one_of,
    rfc3339,
)

CONFIG: Json = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}
"""What an image says of its containers, where it says nothing."""

HEX = re.compile("[0-9a-f]{1,64}")
UNREACHABLE = (
    'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: '
    "no such host"
)
DENIED = (
    "repository does not exist or may require 'docker login': "
    "denied: requested access to the resource is denied"
)


def full_name(image: str) -> str:
    """Return `busybox:latest` for `busybox`; raise `DaemonError`."""
    image = image.removeprefix("docker.io/").removeprefix("library/")
    name, at, _ = image.partition("@")
    path, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        path, tag = name, "latest"
    if not re.fullmatch(r"[\w.-]+(:\d+)?(/[\w.-]+)*", path) or path != path.lower():
        why = ": repository name must be lowercase" if path != path.lower() else ""
        raise DaemonError(400, f"invalid reference format{why}")
    return image if at else f"{path}:{tag}"


def failure(message: str) -> Json:
    """Return the last line of a stream that went wrong."""
    return {"errorDetail": {"message": message}, "error": message}


@dataclass
class Image:
    """An image: `id` is `sha256:` and 64 digits, `created` Unix time, `size` bytes."""

    id: str
    tags: list[str] = field(default_factory=list[str])
    created: float = 0.0
    size: int = 1_000_000
    parent: str = ""
    config: Json = field(default_factory=dict[str, Any])
    digests: list[str] = field(default_factory=list[str])
    container: str = ""

    @classmethod
    def named(cls, name: str, **fields: Any) -> "Image":
        """Return the image of a name: the same one on every engine."""
        name = full_name(name)
        digest = sha256(name.encode()).hexdigest()
        known: Json = {"created": EPOCH - 86_400.0, "config": {"Cmd": ["sh"]}}
        return cls(f"sha256:{digest}", [name], **(known | fields))

    @property
    def labels(self) -> dict[str, str]:
        return as_dict(self.config.get("Labels"))

    @property
    def short(self) -> str:
        return self.id[7:19]

    def summary(self) -> Json:
        """Return an item of the list of images."""
        named = self.tags or self.digests
        return {
            "Containers": -1,
            "Created": int(self.created),
            "Id": self.id,
            "Labels": self.config.get("Labels"),
            "ParentId": self.parent,
            "RepoDigests": self.digests or (None if named else ["<none>@<none>"]),
            "RepoTags": self.tags or ["<none>:<none>"],
            "SharedSize": -1,
            "Size": self.size,
            "VirtualSize": self.size,
        }


def image_matches(image: Image, filters: Filters) -> bool:
    dangling = "false" if image.tags else "true"
    return (
        is_one_of(filters, "dangling", dangling)
        and has_labels(image.labels, filters.get("label", ()))
        and ("reference" not in filters or bool(asked_tags(image, filters)))
    )


def asked_tags(image: Image, filters: Filters) -> list[str]:
    """Return the names of an image that are asked for, with or without their tags."""
    return [
        tag
        for tag in image.tags
        if is_one_of(filters, "reference", tag, tag.rpartition(":")[0])
    ]


def read_dockerfile(context: bytes) -> list[tuple[str, str]]:
    """Return the instructions of a build's Dockerfile; raise `DaemonError`."""
    try:
        with tarfile.open(fileobj=io.BytesIO(context)) as tar:
            file = tar.extractfile("Dockerfile")
            text = file.read().decode() if file else ""
    except (tarfile.TarError, KeyError):
        why = "Cannot locate specified Dockerfile: Dockerfile"
        raise DaemonError(500, why) from None
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines()]
    steps = [line.partition(" ") for line in lines if line and line[0] != "#"]
    return [(word.upper(), rest.strip()) for word, _, rest in steps]


def configure(config: Json, instruction: str, rest: str) -> None:
    """Change an image's settings as a step of a Dockerfile does."""
    if instruction == "LABEL":
        words = [word.partition("=") for word in shlex.split(rest)]
        pairs = {key: value for key, _, value in words}
        config["Labels"] = as_dict(config.get("Labels")) | pairs
    elif instruction == "ENV":
        config["Env"] = [*as_list(config.get("Env")), *shlex.split(rest)]
    elif instruction == "EXPOSE":
        port = rest if "/" in rest else f"{rest}/tcp"
        config["ExposedPorts"] = as_dict(config.get("ExposedPorts")) | {port: {}}
    elif instruction in ("CMD", "ENTRYPOINT"):
        words = json.loads(rest) if rest[:1] == "[" else ["/bin/sh", "-c", rest]
        config[instruction.title()] = words


class Images(Machine):
    """A machine with images."""

    def __init__(
        self,
        lab: Lab,
        name: str,
        address: str,
        clock_offset: float = 0.0,
        images: Iterable[str] = (),
    ) -> None:
        super().__init__(lab, name, address, clock_offset)
        self.images = {each.id: each for each in map(Image.named, images)}
        self.registry: dict[str, Image] | None = {}
        """What `pull` finds, by full name; None is a registry that nobody reaches."""

    def image_users(self, id: str) -> tuple[list[str], list[str]]:
        """Return the ids of an image's containers, and of those that run."""
        return [], []

    def image(self, name: str) -> Image:
        """Return an image by its id, the beginning of it, its name or its digest."""
        if found := self.images.get(name):
            return found
        full = full_name(name) if not name.startswith("sha256:") else name
        for each in self.images.values():
            if full in each.tags or full in each.digests:
                return each
        start = name.removeprefix("sha256:")
        for id, each in self.images.items():
            if HEX.fullmatch(start) and id[7:].startswith(start):
                return each
        raise DaemonError(404, f"No such image: {full}")

    def list_images(self, filters: Filters | None = None) -> list[Json]:
        """Return what `GET /images/json` answers: the newest first."""
        filters = filters or {}
        check_filters(filters, ["dangling", "label", "reference"])
        images = sorted(self.images.values(), key=lambda each: -each.created)
        return [
            replace(each, tags=asked_tags(each, filters)).summary()
            for each in images
            if image_matches(each, filters)
        ]

    def inspect_image(self, name: str) -> Json:
        """Return what `GET /images/NAME/json` answers."""
        try:
            image = self.image(name)
        except DaemonError as error:
            why = f"no such image: {name}: {error.message}"
            raise DaemonError(error.status, why) from None
        return {
            "Id": image.id,
            "RepoTags": image.tags,
            "RepoDigests": image.digests,
            "Parent": image.parent,
            "Created": rfc3339(image.created),
            "Container": image.container,
            "Author": "",
            "Config": CONFIG | image.config,
            "Architecture": "amd64",
            "Size": image.size,
            "VirtualSize": image.size,
            "RootFS": {"Type": "layers", "Layers": [image.id]},
        }

    def report_image(self, image: Image, action: str, name: str = "") -> None:
        attributes = image.labels | {"name": name or image.id}
        self.emit("image", action, image.id, **attributes)

    def add_image(self, image: Image, repo: str = "", tag: str = "") -> str:
        """Keep an image under a name, if there is one; return the name as given."""
        self.images[image.id] = image
        return self.tag(image.id, repo, tag) if repo else ""

    def tag(self, name: str, repo: str, tag: str = "") -> str:
        """Give an image one more name; another image that had it loses it."""
        image = self.image(name)
        shown = f"{repo}:{tag}" if tag else repo
        try:
            full = full_name(shown)
        except DaemonError as error:
            raise DaemonError(500, error.message) from None
        self.take_name(full)
        image.tags.append(full)
        self.report_image(image, "tag", shown)
        return shown

    def take_name(self, full: str) -> None:
        for each in self.images.values():
            each.tags = [tag for tag in each.tags if tag != full]

    def pull(self, name: str) -> list[Json]:
        """Fetch an image from the registry; return what `POST /images/create` says."""
        full = full_name(name)
        repo, _, tag = full.rpartition(":")
        if self.registry is None:
            raise DaemonError(500, UNREACHABLE)
        if not (image := self.registry.get(full)):
            if any(known.rpartition(":")[0] == repo for known in self.registry):
                why = (
                    f"manifest for {full} not found: manifest unknown: manifest unknown"
                )
            else:
                why = f"pull access denied for {repo}, {DENIED}"
            raise DaemonError(404, why)
        here = self.images.setdefault(image.id, replace(image, tags=[]))
        news = full not in here.tags
        self.take_name(full)
        here.tags.append(full)
        self.emit("image", "pull", full, name=repo)
        library = repo if "/" in repo else f"library/{repo}"
        what = "Downloaded newer image" if news else "Image is up to date"
        return [
            {"status": f"Pulling from {library}", "id": tag},
            {"status": f"Digest: sha256:{sha256(image.id.encode()).hexdigest()}"},
            {"status": f"Status: {what} for {full}"},
        ]

    def load(self, data: bytes) -> list[Json]:
        """Add the images of a `docker save`; return what `POST /images/load` says."""
        try:
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                manifest = json.load(tar.extractfile("manifest.json") or io.BytesIO())
        except (tarfile.TarError, KeyError, ValueError):
            return [failure("Error processing tar file(exit status 1): unexpected EOF")]
        said: list[Json] = []
        for each in cast("list[Json]", manifest):
            id = f"sha256:{each['Config'].removesuffix('.json').rpartition('/')[2]}"
            image = self.images.setdefault(id, Image(id, [], self.time(), len(data)))
            for tag in as_list(each["RepoTags"]):
                self.take_name(tag)
                image.tags.append(tag)
                said.append({"stream": f"Loaded image: {tag}\n"})
            self.report_image(image, "load")
        return said

    def import_image(self, data: bytes, repo: str = "", tag: str = "") -> list[Json]:
        """Make an image of a file system; return what `POST /images/create` says."""
        image = Image(f"sha256:{self.new_id()}", [], self.time(), len(data))
        self.add_image(image, repo, tag)
        self.report_image(image, "import")
        return [{"status": image.id}]

    def build(self, context: bytes, tags: Iterable[str] = ()) -> Iterator[Json]:
        """Yield what `POST /build` says; raise `DaemonError` before the first.

        Steps change the image's settings, and run nothing.
        """
        steps = read_dockerfile(context)
        image = Image(f"sha256:{self.new_id()}", [], self.time())
        for number, (word, rest) in enumerate(steps, 1):
            yield {"stream": f"Step {number}/{len(steps)} : {word} {rest}"}
            yield {"stream": "\n"}
            if word == "FROM":
                try:
                    base = self.image_or_pull(rest)
                except DaemonError as error:
                    yield failure(error.message)
                    return
                image.parent, image.config = base.id, dict(base.config)
            configure(image.config, word, rest)
            short = self.images[image.parent].short if word == "FROM" else image.short
            yield {"stream": f" ---> {short}\n"}
        self.add_image(image)
        yield {"aux": {"ID": image.id}}
        yield {"stream": f"Successfully built {image.short}\n"}
        for name in tags:
            self.tag(image.id, full_name(name))
            yield {"stream": f"Successfully tagged {full_name(name)}\n"}

    def image_or_pull(self, name: str) -> Image:
        with suppress(DaemonError):
            return self.image(name)
        self.pull(name)
        return self.image(name)

    def remove_image(self, name: str, force: bool = False) -> list[Json]:
        """Take a name off an image, and remove it with its last name."""
        image = self.image(name)
        users, running = self.image_users(image.id)
        by_id = HEX.fullmatch(name.removeprefix("sha256:")) and not any(
            tag == full_name(name) for tag in image.tags
        )
        if by_id:
            self.check_unused(image, users, running, force)
            gone = image.tags
        elif len(image.tags) > 1:
            gone = [full_name(name)]
        elif users and not force:
            raise DaemonError(
                409,
                f'conflict: unable to remove repository reference "{name}" (must force)'
                f" - container {users[0][:12]} is using its referenced image "
                f"{image.short}",
            )
        else:
            gone = image.tags
        said: list[Json] = []
        for tag in gone:
            image.tags = [each for each in image.tags if each != tag]
            self.report_image(image, "untag")
            said.append({"Untagged": tag})
        if not image.tags and not running:
            del self.images[image.id]
            self.emit("image", "delete", image.id, name=image.id)
            said.append({"Deleted": image.id})
        return said

    def check_unused(
        self,
        image: Image,
        users: list[str],
        running: list[str],
        force: bool,
    ) -> None:
        unable = f"conflict: unable to delete {image.short}"
        used = "image is being used by"
        if running:
            who = f"running container {running[0][:12]}"
            raise DaemonError(409, f"{unable} (cannot be forced) - {used} {who}")
        if len(image.tags) > 1 and not force:
            why = "image is referenced in multiple repositories"
            raise DaemonError(409, f"{unable} (must be forced) - {why}")
        if users and not force:
            who = f"stopped container {users[0][:12]}"
            raise DaemonError(409, f"{unable} (must be forced) - {used} {who}")
