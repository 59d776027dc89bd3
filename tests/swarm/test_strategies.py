"""The strategies, with the original's own tests; the rest is in the table of test_scheduler.py."""

from random import Random

import pytest

from walkthroughs.swarm.cluster import ClusterError, Container
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.filters import Node
from walkthroughs.swarm.strategies import NAMES, AtRandom, Binpack, Spread, new, weigh_nodes

GIB = 1024**3
FULL = "^no resources available to schedule container$"


def node(name, memory=0, cpus=0, health=100):
    """Return an empty node with so many GiB, a twentieth of which is added, in whole ones."""
    total = int(memory * 1.05) * GIB
    return Node(name, name, total_memory=total, total_cpus=cpus, health_indicator=health)


def asking(memory=0, cpus=0):
    return ContainerConfig.build({"HostConfig": {"Memory": memory * GIB, "CpuShares": cpus}})


def put(node, memory=0, cpus=0):
    """Let a node have one container more."""
    node.used_memory += memory * GIB
    node.used_cpus += cpus
    node.containers.append(Container(None, asking(memory, cpus), {"Id": "0"}, {}))


def place(strategy, nodes, memory=0, cpus=0):
    """Put a container where the strategy says; return the node."""
    best = strategy.rank_and_sort(asking(memory, cpus), nodes)[0]
    put(best, memory, cpus)
    return best


def names(nodes):
    return [each.name for each in nodes]


def test_new_finds_every_strategy_by_its_name():
    assert [new(name, Random()).name for name in NAMES] == ["spread", "binpack", "random"]


def test_binpacking_is_binpack():
    assert new("binpacking", Random()).name == "binpack"


@pytest.mark.parametrize("name", ["", "Spread", "binpackin", "spread "])
def test_an_unknown_strategy_is_not_supported(name):
    with pytest.raises(ClusterError, match=r"^strategy not supported$"):
        new(name, Random())


def test_a_weight_is_both_scores_and_ten_times_the_health():
    a = node("a", memory=100, cpus=10, health=67)
    put(a, memory=20, cpus=3)
    assert weigh_nodes(asking(memory=1, cpus=1), [a], 10) == [(40 + 20 + 670, 1, a)]
    assert weigh_nodes(asking(memory=1), [a], -10) == [(100 + 20 - 670, 1, a)]
    assert weigh_nodes(asking(), [a], -10) == [(100 + 100 - 670, 1, a)]


@pytest.mark.parametrize("strategy", [Spread(), Binpack()])
def test_the_healthier_node_comes_first_whatever_it_holds(strategy):
    nodes = [node(str(health), 10, 10, health) for health in (34, 67, 100)]
    for number, each in enumerate(nodes):
        put(each, memory=4 * number, cpus=4 * number)
    assert names(strategy.rank_and_sort(asking(1, 1), nodes)) == ["100", "67", "34"]
    for number, each in enumerate(reversed(nodes)):
        each.used_memory = each.used_cpus = 4 * number
    assert names(strategy.rank_and_sort(asking(1, 1), nodes)) == ["100", "67", "34"]


def test_a_node_of_nothing_has_room_for_who_asks_for_nothing():
    a = node("a")
    assert weigh_nodes(asking(), [a], 0) == [(200, 0, a)]


def test_a_node_of_nothing_has_no_room_for_more():
    with pytest.raises(ClusterError, match=FULL):
        weigh_nodes(asking(cpus=1), [node("a", memory=1)], 0)


def test_no_node_has_no_room():
    with pytest.raises(ClusterError, match=FULL):
        Spread().rank_and_sort(asking(), [])


@pytest.mark.parametrize("strategy", [Spread(), Binpack()])
def test_equal_nodes_stay_in_the_order_they_came_in(strategy):
    nodes = [node(f"n{number:02}", 4, 4) for number in range(50)]
    Random(1).shuffle(nodes)
    before = names(nodes)
    assert names(strategy.rank_and_sort(asking(1, 1), nodes)) == before
    assert names(nodes) == before


@pytest.mark.parametrize("name", NAMES)
def test_the_list_of_nodes_that_is_given_stays_as_it_is(name):
    nodes = [node(f"n{number}", 4, 4) for number in range(9)]
    for number, each in enumerate(nodes):
        put(each, cpus=number % 4)
    before = names(nodes)
    new(name, Random(1)).rank_and_sort(asking(1, 1), nodes)
    assert names(nodes) == before


def test_random_is_every_order_in_the_end():
    nodes, chance = [node(name) for name in "abc"], AtRandom(Random(1))
    orders = {"".join(names(chance.rank_and_sort(asking(), nodes))) for _ in range(200)}
    assert orders == {"abc", "acb", "bac", "bca", "cab", "cba"}


def test_random_is_the_same_for_the_same_source_of_chance():
    nodes = [node(str(number)) for number in range(20)]
    one, other = (AtRandom(Random(7)).rank_and_sort(asking(), nodes) for _ in range(2))
    assert names(one) == names(other)


def test_random_places_what_no_node_has_room_for():
    assert names(AtRandom(Random(1)).rank_and_sort(asking(99, 99), [node("a")])) == ["a"]


# The original's tests, by their names there.


def test_place_equal_weight():
    nodes = [node("a", 4), node("b", 4)]
    put(nodes[0], memory=2)
    put(nodes[1], memory=1)
    put(nodes[1], memory=1)
    assert place(Binpack(), nodes, memory=1) is nodes[1]


def test_place_container_memory():
    nodes = [node("a", 2), node("b", 2)]
    assert place(Binpack(), nodes, memory=1) is place(Binpack(), nodes, memory=1)


def test_place_container_cpu():
    nodes = [node("a", cpus=2), node("b", cpus=2)]
    assert place(Binpack(), nodes, cpus=1) is place(Binpack(), nodes, cpus=1)


@pytest.mark.parametrize("strategy", [Binpack(), Spread()])
def test_place_container_huge(strategy):
    nodes = [node(f"n{number}", 1, 1) for number in range(100)]
    for size in {"cpus": 1}, {"memory": 1}:
        assert len({place(strategy, nodes, **size).name for _ in range(100)}) == 100
        with pytest.raises(ClusterError, match=FULL):
            place(strategy, nodes, **size)


@pytest.mark.parametrize("strategy", [Binpack(), Spread()])
def test_place_container_overcommit(strategy):
    a = node("a", memory=100, cpus=1)
    for memory in 90, 100, 105:
        assert strategy.rank_and_sort(asking(memory), [a]) == [a]
    with pytest.raises(ClusterError, match=FULL):
        strategy.rank_and_sort(asking(106), [a])


def test_place_container_demo():
    nodes, strategy = [node(name, 2, 4) for name in "abc"], Binpack()
    with pytest.raises(ClusterError, match=FULL):
        place(strategy, nodes, memory=10)
    went = [place(strategy, nodes, memory=memory).name for memory in (1, 1, 2, 1, 1)]
    assert went == ["a", "a", "b", "c", "c"]
    with pytest.raises(ClusterError, match=FULL):
        place(strategy, nodes, memory=1)
    nodes[1] = node("b", 2, 4)
    assert place(strategy, nodes, memory=1) is nodes[1]


def test_complex_placement():
    nodes = [node("a", 4, 4), node("b", 4, 4)]
    assert [place(Binpack(), nodes, memory=memory).name for memory in (2, 3, 1)] == ["a", "b", "b"]


def test_spread_place_different_node_size():
    nodes = [node("a", 64, 21), node("b", 128, 42)]
    for _ in range(60):
        place(Spread(), nodes)
    assert [len(each.containers) for each in nodes] == [30, 30]


def test_spread_place_different_node_size_cpus():
    nodes = [node("a", 64, 21), node("b", 128, 42)]
    for _ in range(60):
        place(Spread(), nodes, cpus=1)
    assert [len(each.containers) for each in nodes] == [20, 40]


def test_spread_place_equal_weight():
    nodes = [node("a", 4), node("b", 4)]
    put(nodes[0], memory=2)
    put(nodes[1], memory=1)
    put(nodes[1], memory=1)
    assert place(Spread(), nodes, memory=1) is nodes[0]


def test_spread_place_container_memory():
    nodes = [node("a", 2), node("b", 2)]
    assert place(Spread(), nodes, memory=1) is not place(Spread(), nodes, memory=1)


def test_spread_place_container_cpu():
    nodes = [node("a", cpus=2), node("b", cpus=2)]
    assert place(Spread(), nodes, cpus=1) is not place(Spread(), nodes, cpus=1)


def test_spread_complex_placement():
    nodes = [node("a", 4, 4), node("b", 4, 4)]
    assert [place(Spread(), nodes, memory=memory).name for memory in (2, 3, 1)] == ["a", "b", "a"]
