"""Which node is the best of those that will do: scheduler/strategy.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `PlacementStrategy.RankAndSort`           | `PlacementStrategy.rank_and_sort`   |
| `weighNodes`, `weightedNode`              | `weigh_nodes`, `Weighted`           |
| `SpreadPlacementStrategy`                 | `Spread`                            |
| `BinpackPlacementStrategy`                | `Binpack`                           |
| `RandomPlacementStrategy`                 | `AtRandom`                          |
| `New`, `List`                             | `new`, `NAMES`                      |

A **score** is the part of a node's CPUs or memory that would be reserved, of 100; a
**weight** is both scores, and what the node's health adds or takes away.
"""

from operator import itemgetter
from random import Random
from typing import Protocol, TypeAlias

from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.filters import Node

NAMES = ("spread", "binpack", "random")

HEALTH = 10
"""What one of health weighs: all 100 of it more than both resources together."""

Weighted: TypeAlias = tuple[int, int, Node]
"""A node's weight, and the number of its containers, which decides between equals."""


def score(used: int, asked: int, total: int) -> int:
    """Return the part that would be reserved; all of it if nothing is asked for."""
    return (used + asked) * 100 // total if asked > 0 else 100


def weigh_nodes(
    config: ContainerConfig, nodes: list[Node], factor: int
) -> list[Weighted]:
    """Return the nodes with room; health weighs `factor`. Raise `ClusterError` if
    there is none.
    """
    cpus, memory = config.cpus, config.memory
    weighted: list[Weighted] = []
    for node in nodes:
        # Asked first: a total of 0 is never divided by.
        if node.total_memory < memory or node.total_cpus < cpus:
            continue
        cpu_score = score(node.used_cpus, cpus, node.total_cpus)
        memory_score = score(node.used_memory, memory, node.total_memory)
        if cpu_score <= 100 and memory_score <= 100:
            weight = cpu_score + memory_score + factor * node.health_indicator
            weighted.append((weight, len(node.containers), node))
    if not weighted:
        raise ClusterError("no resources available to schedule container")
    return weighted


def in_order(weighted: list[Weighted], reverse: bool = False) -> list[Node]:
    """Return the nodes by weight and number; equals stay in the order they came in."""
    weighted.sort(key=itemgetter(0, 1), reverse=reverse)
    return [node for _, _, node in weighted]


class PlacementStrategy(Protocol):
    """A taste in nodes."""

    @property
    def name(self) -> str: ...

    def rank_and_sort(self, config: ContainerConfig, nodes: list[Node]) -> list[Node]:
        """Return the nodes with room for a container, the best first, in a new list.
        Raise `ClusterError` if there is none.
        """
        ...


class Spread:
    """As little as possible on each node: what dies with it is little."""

    name = "spread"

    def rank_and_sort(self, config: ContainerConfig, nodes: list[Node]) -> list[Node]:
        return in_order(weigh_nodes(config, nodes, -HEALTH))


class Binpack:
    """As much as possible on few nodes: large containers find room on the others."""

    name = "binpack"

    def rank_and_sort(self, config: ContainerConfig, nodes: list[Node]) -> list[Node]:
        return in_order(weigh_nodes(config, nodes, HEALTH), reverse=True)


class AtRandom:
    """Any order of all nodes, whether they have room or not."""

    name = "random"

    def __init__(self, random: Random) -> None:
        self._random = random

    def rank_and_sort(self, config: ContainerConfig, nodes: list[Node]) -> list[Node]:
        return self._random.sample(nodes, len(nodes))


def new(name: str, random: Random) -> PlacementStrategy:
    """Return the strategy of that name; raise `ClusterError` if there is none."""
    # What binpack was called at first, and scripts still say.
    name = "binpack" if name == "binpacking" else name
    for strategy in (Spread(), Binpack(), AtRandom(random)):
        if strategy.name == name:
            return strategy
    raise ClusterError("strategy not supported")
