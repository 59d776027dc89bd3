"""Where a container cannot go: scheduler/filter and scheduler/node of Swarm v1.2.9.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `node.Node`                               | `Node`                              |
| `Filter`                                  | `Filter`                            |
| `HealthFilter`, `PortFilter` and so on    | `Health`, `Port` and so on          |
| `New`, `List`                             | `new`, `FILTERS`                    |
| `ApplyFilters`                            | `apply_filters`                     |

A **question** is asked of each node, and the nodes that say no are out. A **binding**
is an address and a port of the host that a container asks for, or has.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple, TypeAlias

from walkthroughs.swarm.cluster import (
    ClusterError,
    Container,
    Containers,
    Image,
    parse_repository_tag,
)
from walkthroughs.swarm.config import JSON, ContainerConfig
from walkthroughs.swarm.expressions import Expression, parse_expressions

Log: TypeAlias = Callable[[str], None]
"""Where an error goes that stops nothing, such as `world.log.error`."""
Ports: TypeAlias = dict[str, list[JSON] | None]
"""Bindings by the container's own port, as an engine writes them."""


@dataclass(slots=True)
class Node:
    """An engine as a placement sees it, with the containers that are on their way."""

    id: str
    name: str
    addr: str = ""
    ip: str = ""
    labels: dict[str, str] = field(default_factory=dict[str, str])
    containers: Containers = field(default_factory=Containers)
    images: list[Image] = field(default_factory=list[Image])
    used_memory: int = 0
    """Bytes that its containers reserve."""
    used_cpus: int = 0
    total_memory: int = 0
    """Bytes, with what may be promised beyond what is there."""
    total_cpus: int = 0
    health_indicator: int = 100
    """100 after an answer, less after failures, 0 when it is not healthy."""


class Question(NamedTuple):
    """What a filter wants to know of each node."""

    accepts: Callable[[Node], bool]
    unmet: str
    """What to say when no node will do."""
    asked: str = ""
    """The question, in words for the user."""


def nowhere(error: str) -> None:
    """Let an error go unsaid."""


class Filter:
    """Keeps the nodes that say yes to all its questions."""

    name: str

    def __init__(self, log: Log = nowhere) -> None:
        self.log = log

    def questions(self, config: ContainerConfig, soft: bool) -> Iterator[Question]:
        """Yield what this container wants; without `soft`, only what it must have."""
        raise NotImplementedError

    def filter(
        self, config: ContainerConfig, nodes: list[Node], soft: bool
    ) -> list[Node]:
        """Return the nodes that will do; raise `ClusterError` when none is left."""
        for question in self.questions(config, soft):
            nodes = [node for node in nodes if question.accepts(node)]
            if not nodes:
                raise ClusterError(question.unmet)
        return nodes

    def get_filters(self, config: ContainerConfig) -> list[str]:
        """Return the questions in words, also the soft ones."""
        return [each.asked for each in self.questions(config, True) if each.asked]


class Health(Filter):
    """A node that answers."""

    name = "health"

    def questions(self, config: ContainerConfig, soft: bool) -> Iterator[Question]:
        unmet = "No healthy node available in the cluster"
        yield Question(is_healthy, unmet)


def is_healthy(node: Node) -> bool:
    return node.health_indicator > 0


class Port(Filter):
    """A node on which nobody has the ports that the container is to have there."""

    name = "port"

    def questions(self, config: ContainerConfig, soft: bool) -> Iterator[Question]:
        if config.network_mode == "host":
            return map(is_unexposed, config.raw.get("ExposedPorts") or ())
        return map(is_unbound, bindings(config.host.get("PortBindings")))


def is_unexposed(port: str) -> Question:
    def accepts(node: Node) -> bool:
        return not any(exposes(each, port) for each in node.containers)

    unmet = f"unable to find a node with port {port} available in the Host mode"
    return Question(accepts, unmet, f"port {port} (Host mode)")


def exposes(container: Container, port: str) -> bool:
    """Tell whether a container has the host's network, and this port."""
    host: JSON = container.info.get("HostConfig") or {}
    config: JSON = container.info.get("Config") or {}
    exposed: JSON = config.get("ExposedPorts") or {}
    return host.get("NetworkMode") == "host" and port in exposed


def is_unbound(wanted: JSON) -> Question:
    def accepts(node: Node) -> bool:
        taken = (binding for each in node.containers for binding in taken_by(each))
        return not any(clash(wanted, binding) for binding in taken)

    port = wanted.get("HostPort") or ""
    unmet = f"unable to find a node with port {port} available"
    return Question(accepts, unmet, f"port {port} (Bridge mode)")


def bindings(ports: Ports | None) -> Iterator[JSON]:
    for each in (ports or {}).values():
        yield from each or ()


def taken_by(container: Container) -> Iterator[JSON]:
    """Yield what a container asked for, and what it was given."""
    if not container.id:
        # It is on its way, and known by its request alone.
        yield from bindings(container.config.host.get("PortBindings"))
    host: JSON = container.info.get("HostConfig") or {}
    network: JSON = container.info.get("NetworkSettings") or {}
    yield from bindings(host.get("PortBindings"))
    yield from bindings(network.get("Ports"))


def clash(wanted: JSON, taken: JSON) -> bool:
    """Tell whether two bindings cannot be on one host."""
    port, address = wanted.get("HostPort"), wanted.get("HostIp") or ""
    # Who names no port is given one that is free.
    if not port or port != taken.get("HostPort"):
        return False
    other = taken.get("HostIp") or ""
    return address == other or is_unspecified(address) or is_unspecified(other)


def is_unspecified(address: str) -> bool:
    """Tell whether an address means all addresses of a host."""
    try:
        return not address or ip_address(address).is_unspecified
    except ValueError:
        return False


class ContainerSlots(Filter):
    """A node with fewer containers than its label allows."""

    name = "containerslots"

    def questions(self, config: ContainerConfig, soft: bool) -> Iterator[Question]:
        unmet = "No node with enough open slots available in the cluster"
        yield Question(has_slot, unmet, "available container slots")


def has_slot(node: Node) -> bool:
    slots = node.labels.get("containerslots")
    if slots is None or not re.fullmatch("[+-]?[0-9]{1,18}", slots):
        return True
    return len(node.containers) < int(slots)


class Dependency(Filter):
    """The node with all containers that this one cannot be without."""

    name = "dependency"

    def questions(self, config: ContainerConfig, soft: bool) -> Iterator[Question]:
        needed = list(dependencies(config))
        unmet = "Unable to find a node fulfilling all dependencies: "
        unmet += " ".join(asked for asked, _ in needed)
        for asked, name in needed:
            yield Question(has_container(name), unmet, asked)

    def filter(
        self, config: ContainerConfig, nodes: list[Node], soft: bool
    ) -> list[Node]:
        # Where there is no node, none lacks a container.
        return super().filter(config, nodes, soft) if nodes else nodes


def dependencies(config: ContainerConfig) -> Iterator[tuple[str, str]]:
    """Yield each as the user wrote it, and the name of the container."""
    for text in config.host.get("VolumesFrom") or ():
        yield f"--volumes-from={text}", text.partition(":")[0]
    for text in config.host.get("Links") or ():
        yield f"--link={text}", text.partition(":")[0]
    if config.network_mode.startswith("container:"):
        yield f"--net={config.network_mode}", config.network_mode.partition(":")[2]


def has_container(name: str) -> Callable[[Node], bool]:
    return lambda node: node.containers.get(name) is not None


class Wishes(Filter):
    """Nodes of which the expressions of one kind hold."""

    kind: str
    """The label that keeps them."""

    def questions(self, config: ContainerConfig, soft: bool) -> Iterator[Question]:
        for expression in parse_expressions(config.wishes(self.kind)):
            if soft or not expression.is_soft:
                yield self.question(expression)

    def question(self, expression: Expression) -> Question:
        def accepts(node: Node) -> bool:
            return self.accepts(node, expression)

        if expression.error:
            self.log(expression.error)
        unmet = f"unable to find a node that satisfies the {self.name} {expression}"
        return Question(accepts, unmet)

    def get_filters(self, config: ContainerConfig) -> list[str]:
        wishes = parse_expressions(config.wishes(self.kind))
        return [self.words(expression) for expression in wishes]

    def accepts(self, node: Node, expression: Expression) -> bool:
        raise NotImplementedError

    def words(self, expression: Expression) -> str:
        return f"{expression} (soft={str(expression.is_soft).lower()})"


class Affinity(Wishes):
    """Where a container is, or an image, or any container with a label."""

    name, kind = "affinity", "affinities"

    def accepts(self, node: Node, expression: Expression) -> bool:
        if expression.key == "container":
            return expression.match(*container_names(node.containers))
        if expression.key == "image":
            return expression.match(*image_names(node.images))
        labels = (each.labels.get(expression.key, "") for each in node.containers)
        return expression.match(*labels)


def container_names(containers: Containers) -> Iterator[str]:
    """Yield the id and the first name of each that has a name."""
    for each in containers:
        if each.names:
            yield from (each.id, each.names[0].removeprefix("/"))


def image_names(images: list[Image]) -> Iterator[str]:
    for each in images:
        yield from (each.id, *each.tags)
        yield from (parse_repository_tag(tag)[0] for tag in each.tags)


class Constraint(Wishes):
    """A node by name or id, or by a label of its engine."""

    name, kind = "constraint", "constraints"

    def accepts(self, node: Node, expression: Expression) -> bool:
        if expression.key == "node":
            return expression.match(node.id, node.name)
        return expression.match(node.labels.get(expression.key, ""))

    def words(self, expression: Expression) -> str:
        return str(expression)


class Whitelist(Wishes):
    """One of the nodes in `whitelist:node==node-1|node-2`."""

    name, kind = "whitelist", "whitelists"

    def accepts(self, node: Node, expression: Expression) -> bool:
        # Neither key nor operator counts, and a name is no pattern.
        return node.name in expression.value.split("|")


KINDS = (Health, Port, ContainerSlots, Dependency, Affinity, Constraint, Whitelist)
FILTERS: dict[str, type[Filter]] = {kind.name: kind for kind in KINDS}
"""By name, in the order in which a manager asks that is told no other."""


def new(names: Iterable[str], log: Log = nowhere) -> list[Filter]:
    """Return the filters of these names; raise `ClusterError` for an unknown one."""
    chosen = list(names)
    if not set(chosen) <= set(FILTERS):
        raise ClusterError("filter not supported")
    return [FILTERS[name](log) for name in chosen]


def apply_filters(
    filters: list[Filter], config: ContainerConfig, nodes: list[Node], soft: bool
) -> list[Node]:
    """Return the nodes that all filters leave.

    Raise `ClusterError` with all that was asked, up to the filter that left none.
    """
    for count, each in enumerate(filters, 1):
        try:
            nodes = each.filter(config, nodes, soft)
        except ClusterError:
            if each.name == "health":
                raise
            unmet = "Unable to find a node that satisfies the following conditions"
            asked = list_all_filters(filters[:count], config)
            raise ClusterError(f"{unmet} {asked}") from None
    return nodes


def list_all_filters(filters: list[Filter], config: ContainerConfig) -> str:
    """Return a line for each filter that asks something of a node."""
    lines = ""
    for each in filters:
        try:
            if asked := each.get_filters(config):
                lines += f"\n[{' '.join(asked)}]"
        except ClusterError as error:
            return f"{lines}\nerror from {each.name} filter: {error}"
    return lines
