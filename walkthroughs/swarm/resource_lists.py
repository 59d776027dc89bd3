"""Lists of images, networks and volumes: a part of cluster/ and api/handlers.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `Images.Filter`                           | `IMAGE_TESTS`, `chosen_images`      |
| `GetImageFromField`                       | `moment_of`                         |
| the rest of `getImagesJSON`               | `image_list`                        |
| `Networks.Filter`                         | `NETWORK_TESTS`, `chosen_networks`  |
| the rest of `getNetworks`, `getVolumes`   | `network_list`, `volume_list`       |

What several engines have is one thing in a list, if it has an id. What has none is
called `NODE/name`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias, TypeVar

from walkthroughs.swarm.cluster import (
    Image,
    Network,
    Networks,
    Volume,
    parse_repository_tag,
)
from walkthroughs.swarm.config import JSON
from walkthroughs.swarm.filter_args import Args, path_match
from walkthroughs.swarm.handler import HTTPError

T = TypeVar("T")
Tests: TypeAlias = Mapping[str, Callable[[Args, T], bool]]

PREDEFINED = ("none", "host", "bridge")
"""The networks that every engine has."""


def invalid(what: str, why: str = "") -> HTTPError:
    return HTTPError(400, f"Invalid filter: 'type'='{what}'{why}")


def on_node(filters: Args, thing: Image | Network | Volume) -> bool:
    """Tell whether a thing is on one of the engines that were named, if any was."""
    nodes, engine = filters.get("node"), thing.engine
    return not nodes or engine.name in nodes or engine.id in nodes


def has_labels(filters: Args, thing: Image | Network | Volume) -> bool:
    return filters.match_kv_list("label", thing.raw.get("Labels") or {})


def is_shown(image: Image) -> bool:
    """Tell whether an image has a name, as the steps of a build have none."""
    names = image.tags[:1] + image.digests[:1]
    return any(name not in ("<none>:<none>", "<none>@<none>") for name in names)


def is_dangling(filters: Args, image: Image) -> bool:
    """Tell whether an image is what was asked for: without a tag, or with one."""
    dangling = image.tags[:1] in ([], ["<none>:<none>"])
    return not filters.exact_match("dangling", "false" if dangling else "true")


def is_referred_to(filters: Args, image: Image) -> bool:
    """Tell whether a pattern matches one of its names, with the tag or without."""
    names = [name for name in image.tags + image.digests if not name.startswith("<")]
    names += [parse_repository_tag(name)[0] for name in names]
    patterns = filters.get("reference")
    return any(path_match(pattern, name) for pattern in patterns for name in names)


IMAGE_TESTS: Tests[Image] = {
    "label": has_labels,
    "reference": is_referred_to,
    "dangling": is_dangling,
    "node": on_node,
}


def created(image: Image) -> int:
    """Return the Unix time at which an image was made."""
    return image.raw.get("Created") or 0


def moment_of(images: Iterable[Image], filters: Args, field: str, other: int) -> int:
    """Return when the image was made that a filter names, another time if none does.

    Raise `HTTPError` if there is no such image.
    """
    if not filters.include(field):
        return other
    values = filters.get(field)
    name = values[0] if len(values) == 1 else ""
    for image in images:
        if name and image.match(name, match_tag=False):
            return created(image)
    raise invalid(field, f": no such image found: '{name}'")


def chosen_images(images: list[Image], filters: Args, everything: bool) -> list[Image]:
    """Return the images that a client wants to see; raise `HTTPError`."""
    if not any(filters.exact_match("dangling", word) for word in ("true", "false")):
        raise invalid("dangling")
    end = moment_of(images, filters, "before", 2**63)
    begin = moment_of(images, filters, "since", -(2**63))
    return [
        image
        for image in images
        if (everything or is_shown(image) or filters.include("dangling"))
        and begin < created(image) < end
        and filters.allow(IMAGE_TESTS, image)
    ]


def image_list(images: Iterable[Image]) -> list[JSON]:
    """Return images for a list, each once, with all its names, the newest first."""
    items: dict[str, JSON] = {}
    for image in sorted(images, key=created, reverse=True):
        names = {"RepoTags": image.tags, "RepoDigests": image.digests}
        item = items.setdefault(image.id, image.raw | {kind: [] for kind in names})
        for kind, more in names.items():
            item[kind] = list(dict.fromkeys(item[kind] + more))
    return list(items.values())


def has_type(filters: Args, network: Network) -> bool:
    """Tell whether every engine has such a network, or somebody made it."""
    kind = "builtin" if network.name in PREDEFINED else "custom"
    return all(wanted == kind for wanted in filters.get("type"))


NETWORK_TESTS: Tests[Network] = {
    "type": has_type,
    "label": has_labels,
    "driver": lambda f, n: f.exact_match("driver", n.raw.get("Driver") or ""),
    "node": on_node,
}


def chosen_networks(networks: Networks, filters: Args) -> list[Network]:
    """Return the networks that a client wants to see; raise `HTTPError`."""
    for kind in filters.get("type"):
        if kind not in ("custom", "builtin"):
            raise invalid(kind)
    names, ids = filters.get("name"), filters.get("id")
    meant = {found.id for each in names + ids if (found := networks.get(each))}
    wanted = {
        network.id
        for network in networks
        if filters.allow(NETWORK_TESTS, network)
        and (
            not (names or ids)
            or network.id in meant
            or (bool(names) and filters.match("name", network.name))
        )
    }
    return [network for network in networks.uniq() if network.id in wanted]


def network_list(networks: Iterable[Network]) -> list[JSON]:
    """Return networks for a list, those of one engine with its name."""
    return [
        network.raw | {"Name": f"{network.engine.name}/{network.name}"}
        if network.scope == "local"
        else network.raw
        for network in networks
    ]


def has_part(filters: Args, volume: Volume) -> bool:
    names = filters.get("name")
    return not names or any(name in volume.name for name in names)


VOLUME_TESTS: Tests[Volume] = {
    "name": has_part,
    "label": has_labels,
    # What is not an engine's own is on all of them.
    "node": lambda f, v: v.driver != "local" or on_node(f, v),
}


def volume_list(volumes: Iterable[Volume], filters: Args) -> list[JSON]:
    """Return the volumes that a client wants to see, those of one engine so named."""
    return [
        volume.raw | {"Name": f"{volume.engine.name}/{volume.name}"}
        if volume.driver == "local"
        else volume.raw
        for volume in volumes
        if filters.allow(VOLUME_TESTS, volume)
    ]
