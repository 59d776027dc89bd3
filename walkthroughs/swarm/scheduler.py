"""Where a container goes: scheduler/scheduler.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `Scheduler`, `New`                        | `Scheduler`                         |
| `SelectNodesForContainer`                 | `select_nodes_for_container`        |
| `Strategy`, `Filters`                     | `strategy`, `filters`               |
| `Scheduler.Lock`                          | none: nothing here awaits           |

Filters say which nodes will do, a strategy which of them is the best. A **soft** wish
is one that may be refused.
"""

from contextlib import suppress

from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.filters import Filter, Node, apply_filters
from walkthroughs.swarm.strategies import PlacementStrategy


class Scheduler:
    """Filters, in their order, and a strategy."""

    def __init__(self, strategy: PlacementStrategy, filters: list[Filter]) -> None:
        self._strategy = strategy
        self._filters = filters

    def select_nodes_for_container(
        self, nodes: list[Node], config: ContainerConfig
    ) -> list[Node]:
        """Return the nodes that will do, the best first; raise `ClusterError`.

        Who acts on the answer does so before the next `await`, or it is out of date.
        """
        with suppress(ClusterError):
            return self._select(nodes, config, soft=True)
        return self._select(nodes, config, soft=False)

    def _select(
        self, nodes: list[Node], config: ContainerConfig, soft: bool
    ) -> list[Node]:
        accepted = apply_filters(self._filters, config, nodes, soft)
        if not accepted:
            raise ClusterError("No nodes available in the cluster")
        return self._strategy.rank_and_sort(config, accepted)

    @property
    def strategy(self) -> str:
        """The strategy's name, as `info` shows it."""
        return self._strategy.name

    @property
    def filters(self) -> str:
        """The filters' names, as `info` shows them."""
        return ", ".join(each.name for each in self._filters)
