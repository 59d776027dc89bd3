"""The scheduler: each case of the table, soft and hard, and two placements at once."""

import asyncio
from random import Random
from types import SimpleNamespace

import pytest

from tests.swarm.scheduling import CASES, DEFAULT, NO_NODES, UNABLE, Asked, Held, Machine
from walkthroughs.swarm import filters, strategies
from walkthroughs.swarm.cluster import ClusterError, Container, Image
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.filters import Node
from walkthroughs.swarm.scheduler import Scheduler
from walkthroughs.swarm.strategies import Spread


def bindings(specs):
    """Return what `docker run -p` makes of `[[IP:]HOST:]CONTAINER[/PROTOCOL]`."""
    ports = {}
    for spec in specs:
        *where, inside = spec.rsplit(":", 2)
        ip, host = ["", "", *where][-2:]
        binding = {"HostIp": ip.strip("[]"), "HostPort": host}
        ports.setdefault(inside if "/" in inside else f"{inside}/tcp", []).append(binding)
    return ports


def request(it, env=(), links=(), volumes_from=()):
    """Return the body of `POST /containers/create` for a container of the table."""
    host = {"Memory": it.memory, "CpuShares": it.cpus, "NetworkMode": it.net}
    host |= {"PortBindings": bindings(it.ports), "Links": [*links], "VolumesFrom": [*volumes_from]}
    exposed = {port: {} for port in it.exposes}
    raw = {"Env": [*env], "Labels": it.labels, "ExposedPorts": exposed, "HostConfig": host}
    return ContainerConfig.build(raw)


def container(engine, held):
    """Return a container as the engine tells of it, or one that is on its way."""
    config = request(held)
    if held.swarm_id:
        config.swarm_id = held.swarm_id
    names = [f"/{name}" for name in (held.name, *held.aliases) if name]
    raw = {"Id": held.id or f"id-of-{held.name}", "Names": names, "Labels": config.labels}
    if held.pending:
        return Container(engine, config, raw | {"Id": ""}, {})
    info = {"State": {"Running": held.running}, "Config": config.raw, "HostConfig": config.host}
    ports = dict.fromkeys(config.host["PortBindings"]) | bindings(held.assigned)
    return Container(engine, config, raw, info | {"NetworkSettings": {"Ports": ports}})


def node(machine):
    """Return what a scheduler is told of a machine of the table."""
    engine = SimpleNamespace(id=f"id-of-{machine.name}|{machine.name}:2375", name=machine.name)
    made = Node(engine.id, engine.name, labels=machine.labels)
    made.total_cpus, made.total_memory = machine.cpus, machine.memory
    made.used_cpus = sum(held.cpus for held in machine.held)
    made.used_memory = sum(held.memory for held in machine.held)
    made.health_indicator = machine.health
    made.containers.extend(container(engine, held) for held in machine.held)
    for image, tags in machine.images:
        made.images.append(Image(engine, {"Id": image, "RepoTags": tags}))
    return made


def scheduler(strategy="spread", names=DEFAULT):
    return Scheduler(strategies.new(strategy, Random(1)), filters.new(names))


def select(scheduler, nodes, config):
    return [each.name for each in scheduler.select_nodes_for_container(nodes, config)]


def config_of(asked):
    return request(asked, asked.env, asked.links, asked.volumes_from)


def answer(case):
    """Return the names, best first, or the error."""
    nodes, config = list(map(node, case.machines)), config_of(case.asked)
    try:
        found = select(scheduler(case.strategy, case.filters), nodes, config)
    except ClusterError as error:
        return str(error)
    return set(found) if isinstance(case.expected, set) else found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_the_table(case):
    assert answer(case) == case.expected


def test_the_table_has_each_question_once():
    assert len({case.title for case in CASES}) == len(CASES) >= 120


def us_and_eu():
    """Return two nodes, of which the first has one container more."""
    held = [Held("web", ports=["80:80"])]
    machines = [Machine("a", labels={"region": "us"}, held=held)]
    return [*map(node, [*machines, Machine("b", labels={"region": "eu"})])]


def wanting(*env, **more):
    return config_of(Asked(env=list(env), **more))


def test_a_soft_wish_is_fulfilled_where_it_can_be():
    assert select(scheduler(), us_and_eu(), wanting("constraint:region==~us")) == ["a"]


def test_a_soft_wish_that_nobody_fulfils_is_dropped():
    assert select(scheduler(), us_and_eu(), wanting("constraint:region==~asia")) == ["b", "a"]


def test_one_soft_wish_that_fails_drops_all_soft_wishes():
    wishes = "constraint:region==~us", "affinity:container==~db"
    assert select(scheduler(), us_and_eu(), wanting(*wishes)) == ["b", "a"]


def test_a_hard_wish_stays_when_the_soft_ones_are_dropped():
    wishes = "constraint:region==us", "affinity:container==~db"
    assert select(scheduler(), us_and_eu(), wanting(*wishes)) == ["a"]


def test_soft_wishes_are_dropped_for_room_too():
    config = wanting("constraint:region==~us", memory=100)
    nodes = us_and_eu()
    nodes[0].used_memory = 1000
    assert select(scheduler(), nodes, config) == ["b"]


def test_the_error_is_that_of_the_second_attempt():
    config = wanting("constraint:region==~asia", ports=["80:80"])
    with pytest.raises(ClusterError) as caught:
        select(scheduler(names=["constraint", "port"]), us_and_eu()[:1], config)
    assert str(caught.value) == UNABLE + "\n[region==asia]\n[port 80 (Bridge mode)]"


def test_nobody_left_is_an_error_of_its_own():
    with pytest.raises(ClusterError, match=f"^{NO_NODES}$"):
        select(scheduler(names=[]), [], wanting())


class Noting(filters.Filter):
    """Writes down how it was asked, and may raise."""

    name = "noting"

    def __init__(self, trouble=None):
        self.asked, self.trouble = [], trouble

    def questions(self, config, soft):
        return iter([])

    def filter(self, config, nodes, soft):
        self.asked.append(soft)
        if self.trouble:
            raise self.trouble
        return nodes


def test_filters_are_asked_once_when_the_soft_wishes_hold():
    noting = Noting()
    select(Scheduler(Spread(), [noting]), us_and_eu(), wanting())
    assert noting.asked == [True]


def test_filters_are_asked_again_without_the_soft_wishes():
    noting = Noting(ClusterError("no"))
    with pytest.raises(ClusterError):
        select(Scheduler(Spread(), [noting]), us_and_eu(), wanting())
    assert noting.asked == [True, False]


def test_a_mistake_in_a_filter_is_not_taken_for_a_refusal():
    noting = Noting(KeyError("region"))
    with pytest.raises(KeyError):
        select(Scheduler(Spread(), [noting]), us_and_eu(), wanting())
    assert noting.asked == [True]


def test_strategy_and_filters_are_told_as_info_shows_them():
    default = scheduler()
    assert default.strategy == "spread"
    assert default.filters == (
        "health, port, containerslots, dependency, affinity, constraint, whitelist"
    )
    other = scheduler("binpacking", ["constraint", "health"])
    assert (other.strategy, other.filters) == ("binpack", "constraint, health")
    assert scheduler("random", []).filters == ""


async def create(scheduler, nodes, config, pause):
    """Choose a node for a container and put it there; pause before, between or after."""
    for step in "before", "choose", "between", "put", "after":
        if step == "choose":
            best = scheduler.select_nodes_for_container(nodes, config)[0]
        elif step == "put":
            best.containers.append(Container(None, config, {"Id": ""}, {}))
        elif step == pause:
            await asyncio.sleep(0)
    return best.name


async def twice(pause):
    nodes, config = [*map(node, [Machine("a"), Machine("b")])], wanting(ports=["80:80"])
    return await asyncio.gather(*(create(scheduler(), nodes, config, pause) for _ in range(2)))


@pytest.mark.parametrize("pause", ["before", "after"])
def test_two_placements_at_once_do_not_meet(pause):
    assert asyncio.run(twice(pause)) == ["a", "b"]


def test_two_placements_meet_where_an_await_is_between_choice_and_note():
    assert asyncio.run(twice("between")) == ["a", "a"]


# The original's tests, by their names there.


def test_select_nodes_for_container():
    nodes = [
        node(Machine("node-0-name", cpus=1, labels={"group": "1"})),
        node(Machine("node-1-name", cpus=2, labels={"group": "2"})),
    ]
    config = wanting("constraint:group==~1", cpus=2, memory=1000)
    assert select(scheduler(names=["constraint"]), nodes, config) == ["node-1-name"]


@pytest.mark.parametrize(("ostype", "name"), [("windows", "node-1"), ("linux", "node-0")])
def test_select_nodes_for_container_hybrid(ostype, name):
    nodes = [
        node(Machine("node-0", cpus=2, labels={"ostype": "linux"})),
        node(Machine("node-1", cpus=2, labels={"ostype": "windows"})),
    ]
    config = wanting(cpus=2, memory=1000)
    config.add_constraint(f"ostype=={ostype}")
    assert select(scheduler(names=["constraint"]), nodes, config) == [name]
