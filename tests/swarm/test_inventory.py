"""What is known of an engine: kept in sums, learned from lists that may be late."""

import asyncio
import io
import json
from contextlib import asynccontextmanager, suppress
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from walkthroughs.swarm.cluster import Container, Network
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.engine import Engine
from walkthroughs.swarm.engine_api import EngineAPI, EngineError
from walkthroughs.swarm.health import EngineOptions
from walkthroughs.swarm.inventory import Inventory, renew, subnet
from walkthroughs.swarm.lab import EPOCH, Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.world import World

ADDR = "10.0.0.1:2375"
GIB = 1 << 30
SLEEP = {"Image": "busybox:latest", "Cmd": ["sleep", "1000"]}


@asynccontextmanager
async def reached(address, world):
    """Give an engine that knows its machine, and hears no events."""
    engine = Engine(address, 0, EngineOptions(), world, None, asyncio.create_task)
    engine.api = EngineAPI(address, world, None)
    try:
        await engine.update_specs()
        yield engine
    finally:
        await engine.close()


class Post:
    """Carries the answers of a machine; one that is held is old when it comes."""

    def __init__(self, machine):
        self.app, self.held = machine.app, []
        machine.vanish()
        machine.lab.network.plug(machine.address, self)

    def hold(self, end):
        """Hold one more answer about such a path, until the event that is returned."""
        self.held.append((end, asyncio.Event()))
        return self.held[-1][1]

    async def __call__(self, scope, receive, send):
        said, path = [], scope["path"]

        async def keep(message):
            said.append(message)

        await self.app(scope, receive, keep)
        for held in self.held:
            if path.endswith(held[0]):
                self.held.remove(held)
                await held[1].wait()
                break
        for message in said:
            await send(message)


class Place:
    """An engine of the lab, and what a manager knows of it."""

    def __init__(self, lab, real, engine, log):
        self.lab, self.real, self.engine, self.log = lab, real, engine, log
        self.known = engine.inventory

    def create(self, name, **host):
        return self.real.create(name, HostConfig=host, **SLEEP).id

    def names(self):
        return sorted(name for each in self.known.containers.values() for name in each.names)

    def asked(self):
        """Return what the engine was asked for since the last time."""
        said = [f"{each.method} {each.path}" for each in self.lab.network.exchanges]
        self.lab.network.exchanges.clear()
        return said

    async def begun(self, work):
        """Begin something, and let it come as far as it can."""
        task = asyncio.ensure_future(work)
        await self.lab.clock.advance(0)
        assert not task.done()
        return task


def in_place(**options):
    """Return a decorator that runs a test on an engine of the lab."""

    def decorate(test):
        async def main():
            async with Lab() as lab:
                real, log = LabEngine(lab, "node-1", ADDR, **options).plug(), io.StringIO()
                async with reached(ADDR, lab.world("manager", log)) as engine:
                    place = Place(lab, real, engine, log)
                    place.asked()
                    await test(place)

        def run():
            asyncio.run(main())

        run.__name__ = test.__name__
        return run

    return decorate


def sums(inventory):
    return (
        inventory.used_cpus,
        inventory.used_memory,
        inventory.names,
    )


def recount(inventory):
    found = inventory.containers.values()
    return (
        sum(each.config.cpus for each in found),
        sum(each.config.memory for each in found),
        {name: each.id for each in found for name in each.names},
    )


# Books


def container(id, name="", cpus=0, memory=0, **labels):
    host = {"CpuShares": cpus, "Memory": memory}
    config = ContainerConfig.build({"Labels": labels, "HostConfig": host})
    return Container(None, config, {"Id": id, "Names": [f"/{name}"] if name else []}, {})


IDS = st.sampled_from("abcd")
STEPS = st.one_of(
    st.tuples(st.just("put"), IDS, st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("drop"), IDS),
    st.tuples(st.just("rename"), IDS),
    st.tuples(st.just("take"), IDS, IDS),
)


@given(st.lists(STEPS, max_size=40))
def test_sums_and_names_equal_what_a_recount_gives(steps):
    inventory, names, numbers = Inventory(None), {}, count()
    for verb, id, *rest in steps:
        known, before = inventory.containers.get(id), inventory.revision
        if verb == "put":
            names.setdefault(id, f"n{next(numbers)}")
            inventory.put(container(id, names[id], *rest))
        elif verb == "drop":
            names.pop(id, None)
            inventory.drop(id)
        elif known and verb == "rename":
            names[id] = f"n{next(numbers)}"
            inventory.put(container(id, names[id], known.config.cpus))
        elif known and (other := inventory.containers.get(rest[0])) and other is not known:
            # Somebody gets a name before it is heard that its owner has another.
            name, names[other.id] = names[other.id], f"n{next(numbers)}"
            names[id] = name
            inventory.put(container(id, name))
            inventory.put(container(other.id, names[other.id]))
        else:
            continue
        assert sums(inventory) == recount(inventory)
        assert inventory.revision > before


def test_a_name_that_has_a_new_owner_stays_with_it():
    inventory = Inventory(None)
    inventory.put(container("a", "web"))
    inventory.put(container("b", "web"))
    inventory.put(container("a", "old"))
    assert inventory.names == {"/web": "b", "/old": "a"}
    inventory.drop("a")
    assert inventory.names == {"/web": "b"}


def test_each_name_of_a_linked_container_is_taken():
    inventory = Inventory(None)
    linked = {"Id": "a", "Names": ["/db", "/web/db"]}
    inventory.put(Container(None, ContainerConfig.build({}), linked, {}))
    assert inventory.names == {"/db": "a", "/web/db": "a"}


def test_who_is_not_known_is_dropped_without_a_word():
    inventory = Inventory(None)
    inventory.drop("a")
    assert sums(inventory) == (0, 0, {})


def test_a_container_has_appeared_when_its_swarm_id_has():
    inventory = Inventory(None)
    inventory.put(container("a", **{"com.docker.swarm.id": "s1"}))
    assert (inventory.has("s1"), inventory.has("s2")) == (True, False)


# Containers


@in_place()
async def test_all_about_a_container_that_is_new_is_asked_for(place):
    id = place.create("web", Memory=GIB, CpuShares=256)
    await place.known.refresh_containers(full=False)
    assert place.asked() == ["GET /v1.31/containers/json", f"GET /v1.31/containers/{id}/json"]
    assert sums(place.known) == (1, GIB, {"/web": id})


@in_place()
async def test_a_soft_refresh_asks_for_a_list_and_a_full_one_for_each(place):
    id = place.create("web")
    await place.known.refresh_containers(full=False)
    place.asked()
    await place.known.refresh_containers(full=False)
    assert place.asked() == ["GET /v1.31/containers/json"]
    await place.known.refresh_containers(full=True)
    assert place.asked() == ["GET /v1.31/containers/json", f"GET /v1.31/containers/{id}/json"]


@in_place()
async def test_a_soft_refresh_learns_what_a_list_says(place):
    id = place.create("web")
    place.real.start(id)
    await place.known.refresh_containers(full=False)
    before = place.known.containers[id]
    await place.lab.clock.advance(5)
    place.real.update(id, Memory=GIB)
    await place.known.refresh_containers(full=False)
    now = place.known.containers[id]
    assert (before.raw["Status"], now.raw["Status"]) == ("Up Less than a second", "Up 5 seconds")
    assert (now.info is before.info, now.config is before.config) == (True, True)
    await place.known.refresh_containers(full=True)
    assert place.known.used_memory == GIB


@pytest.mark.parametrize("change", [LabEngine.start, lambda real, id: real.rename(id, "shop")])
def test_who_has_another_state_or_name_on_a_list_is_inspected(change):
    """The original believes its last inspection until an event comes."""

    @in_place()
    async def story(place):
        id = place.create("web")
        await place.known.refresh_containers(full=False)
        place.asked()
        change(place.real, id)
        await place.known.refresh_containers(full=False)
        assert place.asked()[1:] == [f"GET /v1.31/containers/{id}/json"]
        assert place.known.containers[id].info == place.real.inspect(id)
        await place.known.refresh_containers(full=False)
        assert len(place.asked()) == 1

    story()


@in_place()
async def test_one_container_is_asked_for_alone(place):
    id, other = place.create("web"), place.create("db")
    await place.known.refresh_container(id, full=False)
    assert place.names() == ["/web"]
    place.asked()
    await place.known.refresh_container(id, full=False)
    await place.known.refresh_container(id, full=True)
    one = "GET /v1.31/containers/json"
    assert place.asked() == [one, one, f"GET /v1.31/containers/{id}/json"]
    await place.known.refresh_container(other, full=True)
    assert place.names() == ["/db", "/web"]


@in_place()
async def test_who_is_on_no_list_is_known_no_more(place):
    id, other = place.create("web"), place.create("db")
    await place.known.refresh_containers(full=True)
    place.real.remove(id)
    await place.known.refresh_container(id, full=True)
    assert place.names() == ["/db"]
    place.real.remove(other)
    await place.known.refresh_containers(full=False)
    assert sums(place.known) == (0, 0, {})


@in_place()
async def test_container_removed_during_refresh(place):
    gone, there = place.create("gone"), place.create("there")
    here = Post(place.real).hold("/containers/json")
    task = await place.begun(place.known.refresh_containers(full=True))
    place.real.remove(gone)
    here.set()
    await task
    assert list(place.known.containers) == [there]
    assert place.log.getvalue() == ""


@in_place()
async def test_who_was_known_and_cannot_be_inspected_any_more_is_dropped(place):
    """The original keeps it until the event comes, and logs an error."""
    id = place.create("web")
    await place.known.refresh_containers(full=True)
    here = Post(place.real).hold("/containers/json")
    task = await place.begun(place.known.refresh_container(id, full=True))
    place.real.remove(id)
    here.set()
    await task
    assert (place.known.containers, place.log.getvalue()) == ({}, "")


@in_place()
async def test_who_cannot_be_inspected_is_logged_and_the_others_are_known(place):
    place.create("web")
    broken = place.create("broken")
    place.real.container(broken).host_config["Memory"] = "much"
    await place.known.refresh_containers(full=True)
    assert place.names() == ["/web"]
    assert place.log.getvalue().partition(" ")[2] == (
        f'level=error msg="Unable to update state of container \\"{broken}\\": unexpected answer '
        "about a container (ValueError: invalid literal for int() with base 10: 'much')\" "
        f'id="{place.engine.id}" name=node-1\n'
    )


@in_place()
async def test_the_trouble_with_a_single_container_is_told(place):
    id = place.create("web")
    place.real.container(id).host_config["Memory"] = "much"
    with pytest.raises(EngineError) as error:
        await place.known.refresh_container(id, full=True)
    why = "ValueError: invalid literal for int() with base 10: 'much'"
    assert str(error.value) == f"unexpected answer about a container ({why})"


@in_place()
async def test_who_appears_while_a_list_is_on_its_way_is_kept(place):
    place.create("old")
    here = Post(place.real).hold("/containers/json")
    task = await place.begun(place.known.refresh_containers(full=True))
    new = place.create("new")
    await place.known.refresh_container(new, full=True)
    here.set()
    await task
    assert place.names() == ["/new", "/old"]


@pytest.mark.parametrize("full", [False, True])
def test_an_older_list_does_not_take_a_new_name_away(full):
    @in_place()
    async def story(place):
        id = place.create("old")
        await place.known.refresh_containers(full=True)
        here = Post(place.real).hold("/containers/json")
        task = await place.begun(place.known.refresh_containers(full=full))
        place.real.rename(id, "new")
        await place.known.refresh_container(id, full=True)
        here.set()
        await task
        assert (place.names(), place.known.names) == (["/new"], {"/new": id})

    story()


@in_place()
async def test_an_older_inspection_does_not_bring_the_dead_to_life(place):
    id = place.create("web")
    place.real.start(id)
    here = Post(place.real).hold(f"/{id}/json")
    task = await place.begun(place.known.refresh_container(id, full=True))
    place.real.stop(id)
    await place.known.refresh_container(id, full=True)
    here.set()
    await task
    assert not place.known.containers[id].running


@in_place()
async def test_a_newer_list_does_not_hide_an_inspection(place):
    id = place.create("web")
    place.real.start(id)
    await place.known.refresh_containers(full=True)
    place.real.update(id, Memory=GIB)
    here = Post(place.real).hold(f"/{id}/json")
    task = await place.begun(place.known.refresh_container(id, full=True))
    await place.lab.clock.advance(5)
    await place.known.refresh_containers(full=False)
    assert place.known.used_memory == 0
    here.set()
    await task
    assert place.known.used_memory == GIB
    assert place.known.containers[id].raw["Status"] == "Up 5 seconds"


@pytest.mark.parametrize("end", ["/containers/json", "/{}/json"])
def test_of_three_answers_the_newest_stays_whichever_comes_last(end):
    @in_place()
    async def story(place):
        id = place.create("one")
        await place.known.refresh_containers(full=True)
        post, tasks, gates = Post(place.real), [], []
        for name in "two", "three":
            gates.append(post.hold(end.format(id)))
            place.real.rename(id, name)
            work = place.known.refresh_container(id, full=True)
            tasks.append(await place.begun(work))
        place.real.rename(id, "four")
        await place.known.refresh_container(id, full=True)
        for gate, task in zip(gates, tasks, strict=True):
            gate.set()
            await task
            now = place.known.containers[id]
            assert (now.names, now.info["Name"]) == (["/four"], "/four")

    story()


@in_place()
async def test_of_who_is_gone_nothing_is_kept(place):
    id = place.create("web")
    await place.known.refresh_containers(full=True)
    assert id in json.dumps(vars(place.known), default=str)
    place.real.remove(id)
    await place.known.refresh_containers(full=True)
    assert id not in json.dumps(vars(place.known), default=str)


@in_place()
async def test_a_container_has_ended_although_its_engine_says_no_more(place):
    id = place.create("web")
    place.real.start(id)
    await place.known.refresh_containers(full=True)
    place.known.end(id)
    place.known.end("somebody else")
    ended = place.known.containers[id]
    assert (ended.running, ended.info["State"]["Status"]) == (False, "exited")
    # It was not true, and the next list says so.
    await place.known.refresh_containers(full=False)
    assert place.known.containers[id].running


@in_place()
async def test_a_container_that_is_new_and_gone_again_does_not_come_back(place):
    id = place.create("new")
    here = Post(place.real).hold(f"/{id}/json")
    # An event tells of it, and meanwhile an order has made it known and removed it.
    task = await place.begun(place.known.refresh_container(id, full=True))
    await place.known.refresh_container(id, full=True)
    assert list(place.known.containers) == [id]
    place.known.drop(id)
    here.set()
    await task
    assert place.known.containers == {}


@in_place()
async def test_a_volume_that_is_removed_while_it_is_asked_for_does_not_come_back(place):
    place.real.create_volume("data")
    here = Post(place.real).hold("/volumes/data")
    task = await place.begun(place.known.refresh_volume("data"))
    await place.known.refresh_volume("data")
    assert list(place.known.volumes) == ["data"]
    place.known.drop_volume("data")
    here.set()
    await task
    assert place.known.volumes == {}


@in_place()
async def test_a_network_that_is_removed_while_it_is_asked_for_does_not_come_back(place):
    id = place.real.create_network("own").id
    here = Post(place.real).hold(f"/networks/{id}")
    task = await place.begun(place.known.refresh_network(id))
    await place.known.refresh_network(id)
    place.known.drop_network(id)
    here.set()
    await task
    assert id not in place.known.networks


@in_place()
async def test_an_old_answer_does_not_take_away_a_volume_that_is_there_again(place):
    place.real.create_volume("data")
    here = Post(place.real).hold("/volumes/data")
    task = await place.begun(place.known.refresh_volume("data"))
    place.known.drop_volume("data")
    await place.known.refresh_volume("data")
    here.set()
    await task
    assert list(place.known.volumes) == ["data"]


@in_place()
async def test_who_is_removed_while_it_is_inspected_does_not_come_back(place):
    id = place.create("web")
    await place.known.refresh_containers(full=True)
    here = Post(place.real).hold(f"/{id}/json")
    task = await place.begun(place.known.refresh_containers(full=True))
    place.real.remove(id)
    await place.known.refresh_container(id, full=False)
    here.set()
    await task
    assert place.known.containers == {}


@in_place()
async def test_a_container_that_restarts_is_inspected_each_time(place):
    id = place.create("web")
    await place.known.refresh_containers(full=True)
    known = place.known.containers[id]
    restarting = {**known.info, "State": {**known.info["State"], "Restarting": True}}
    place.known.put(Container(place.engine, known.config, known.raw, restarting))
    place.asked()
    await place.known.refresh_containers(full=False)
    assert place.asked()[1:] == [f"GET /v1.31/containers/{id}/json"]
    assert not place.known.containers[id].restarting


@in_place()
async def test_who_was_put_back_is_learned_from_the_next_list(place):
    """As the watchdog does with what it cannot move."""
    id = place.create("web")
    await place.known.refresh_containers(full=True)
    lost = place.known.containers[id]
    place.known.drop(id)
    place.known.put(lost)
    place.real.rename(id, "shop")
    await place.known.refresh_containers(full=False)
    assert place.names() == ["/shop"]


# By our clock, and in our CPUs


def times(place, id):
    known = place.known.containers[id]
    state = known.info["State"]
    return known.raw["Created"], state["StartedAt"], state["FinishedAt"]


NEVER = "0001-01-01T00:00:00Z"


@in_place(clock_offset=-3600)
async def test_times_of_an_engine_whose_clock_is_late_are_told_by_ours(place):
    id = place.create("web")
    place.real.start(id)
    await place.known.refresh_containers(full=False)
    assert times(place, id) == (EPOCH, "2017-07-14T02:40:00Z", NEVER)
    await place.lab.clock.advance(5)
    place.real.exit(id)
    await place.known.refresh_containers(full=True)
    assert times(place, id) == (EPOCH, "2017-07-14T02:40:00Z", "2017-07-14T02:40:05Z")


@in_place(clock_offset=1.5)
async def test_two_seconds_are_no_difference(place):
    id = place.create("web")
    place.real.start(id)
    await place.known.refresh_containers(full=False)
    assert times(place, id) == (int(EPOCH + 1.5), "2017-07-14T02:40:01.5Z", NEVER)


@pytest.mark.parametrize("host", [1, 2, 4, 8, 10, 12, 16, 20, 32, 36, 40, 48])
def test_used_cpus(host):
    @in_place(cpus=host)
    async def story(place):
        for cpus in 1, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47:
            if cpus <= host:
                id = place.create("", CpuShares=-(-cpus * 1024 // host))
                await place.known.refresh_container(id, full=True)
                assert place.known.used_cpus == cpus
                place.known.drop(id)

    story()


@in_place(cpus=4)
async def test_shares_of_less_than_a_cpu_are_none(place):
    id = place.create("web", CpuShares=255)
    await place.known.refresh_containers(full=True)
    assert place.known.used_cpus == 0
    assert place.known.containers[id].info["HostConfig"]["CpuShares"] == 255


# Images, networks, volumes


@in_place(images=["busybox:latest", "redis:7"])
async def test_images_are_listed_anew(place):
    await place.known.refresh_images()
    assert sorted(each.tags for each in place.known.images) == [["busybox:latest"], ["redis:7"]]
    place.real.remove_image("redis:7")
    before = place.known.revision
    await place.known.refresh_images()
    assert [each.tags for each in place.known.images] == [["busybox:latest"]]
    assert place.known.revision > before


@in_place()
async def test_an_older_list_of_images_does_not_take_a_new_name_away(place):
    here = Post(place.real).hold("/images/json")
    task = await place.begun(place.known.refresh_images())
    place.real.tag("busybox", "own")
    await place.known.refresh_images()
    here.set()
    await task
    assert [each.tags for each in place.known.images] == [["busybox:latest", "own:latest"]]


def called(things):
    return sorted(each.name for each in things.values())


@in_place()
async def test_networks_and_volumes_are_listed(place):
    place.real.create_network("mesh")
    place.real.create_volume("data")
    await place.known.refresh_networks()
    await place.known.refresh_volumes()
    assert called(place.known.networks) == ["bridge", "host", "mesh", "none"]
    assert called(place.known.volumes) == ["data"]


@in_place()
async def test_a_network_or_a_volume_that_is_gone_is_known_no_more(place):
    net = place.real.create_network("mesh").id
    place.real.create_volume("data")
    await place.known.refresh_network(net)
    await place.known.refresh_volume("data")
    assert (called(place.known.networks), called(place.known.volumes)) == (["mesh"], ["data"])
    place.real.remove_network(net)
    place.real.remove_volume("data")
    await place.known.refresh_network(net)
    await place.known.refresh_volume("data")
    assert (place.known.networks, place.known.volumes) == ({}, {})


@in_place()
async def test_an_older_list_does_not_take_a_new_network_or_volume_away(place):
    post = Post(place.real)
    for path, ask in (
        ("/networks", place.known.refresh_networks),
        ("/volumes", place.known.refresh_volumes),
    ):
        here = post.hold(path)
        task = await place.begun(ask())
        net = place.real.create_network("mesh" + path[1:4]).id
        place.real.create_volume("data" + path[1:4])
        await place.known.refresh_network(net)
        await place.known.refresh_volume("data" + path[1:4])
        here.set()
        await task
    assert called(place.known.networks) == ["bridge", "host", "meshnet", "meshvol", "none"]
    assert called(place.known.volumes) == ["datanet", "datavol"]


def test_a_list_is_taken_over_but_for_what_has_changed_since():
    before = {"stays": 1, "goes": 2, "removed": 3, "newer": 4}
    known = {"stays": 1, "goes": 2, "newer": 40, "appeared": 5}
    renew(known, before, {"stays": 10, "removed": 3, "newer": 4, "found": 6})
    assert known == {"stays": 10, "newer": 40, "appeared": 5, "found": 6}


@in_place()
async def test_a_refusal_changes_nothing(place):
    net = place.real.create_network("mesh").id
    place.real.create_volume("data")
    id = place.create("web")
    await everything(place.known)
    before = state(place.known)
    place.real.fault = "500"
    for ask in asks(place.known, id, net, "data"):
        with pytest.raises(EngineError) as error:
            await ask
        assert str(error.value) == "Error response from daemon: the lab has this engine fail"
    assert state(place.known) == before


async def everything(known):
    await known.refresh_containers(full=True)
    await known.refresh_images()
    await known.refresh_networks()
    await known.refresh_volumes()
    known.attach()


def asks(known, id, net, volume):
    yield known.refresh_containers(full=True)
    yield known.refresh_container(id, full=True)
    yield known.refresh_images()
    yield known.refresh_networks()
    yield known.refresh_network(net)
    yield known.refresh_volumes()
    yield known.refresh_volume(volume)


def state(known):
    """Return all that is known, as JSON."""
    things = (known.containers, known.networks, known.volumes)
    raw = [{key: each.raw for key, each in some.items()} for some in things]
    info = [each.info for each in known.containers.values()]
    return json.dumps([*raw, info, [each.raw for each in known.images], *sums(known)])


# Networks and who is on them


@in_place()
async def test_who_is_attached_is_noted_at_its_network(place):
    net = place.real.create_network("mesh").id
    id = place.create("web", NetworkMode="mesh")
    place.real.start(id)
    await everything(place.known)
    assert place.known.networks[net].containers == place.real.inspect_network(net)["Containers"]
    assert place.known.networks[net].containers[id]["IPv4Address"] == "172.18.0.2/16"


def linked(names, networks, name="/db"):
    raw = {"Id": "c1", "Names": names, "NetworkSettings": {"Networks": networks}}
    return Container(None, ContainerConfig.build({}), raw, {"Name": name})


END = {
    "NetworkID": "n1",
    "EndpointID": "e1",
    "MacAddress": "02:42",
    "IPAddress": "172.17.0.2",
    "IPPrefixLen": 16,
    "GlobalIPv6Address": "fd00::2",
    "GlobalIPv6PrefixLen": 64,
}


def attached(container):
    known = Inventory(None)
    known.networks = {"n1": Network(None, {"Id": "n1", "Name": "mesh"})}
    known.put(container)
    known.attach()
    return known.networks["n1"].containers


def test_a_container_has_its_own_name_at_a_network_not_one_that_a_link_gave():
    """The original takes the first of the list, and of that the first part: `web`."""
    assert attached(linked(["/web/db", "/db"], {"mesh": END})) == {
        "c1": {
            "Name": "db",
            "EndpointID": "e1",
            "MacAddress": "02:42",
            "IPv4Address": "172.17.0.2/16",
            "IPv6Address": "fd00::2/64",
        }
    }


def test_a_container_without_names_is_attached_all_the_same():
    assert list(attached(linked([], {"mesh": END}))) == ["c1"]


@pytest.mark.parametrize(
    "networks",
    [None, {}, {"mesh": {**END, "NetworkID": ""}}, {"mesh": {}}, {"mesh": None}, 7, [END]],
)
def test_who_is_on_no_network_is_attached_to_none(networks):
    assert attached(linked(["/db"], networks)) == {}


def test_a_network_that_is_not_known_is_left_out():
    assert attached(linked(["/db"], {"other": {**END, "NetworkID": "n2"}})) == {}


def test_who_was_attached_before_stays():
    known = Inventory(None)
    known.networks = {"n1": Network(None, {"Id": "n1", "Name": "mesh", "Containers": {"c0": {}}})}
    known.put(linked(["/db"], {"mesh": END}))
    known.attach()
    assert list(known.networks["n1"].containers) == ["c0", "c1"]


def test_no_address_is_no_subnet():
    assert subnet({"IPAddress": "", "IPPrefixLen": 0}, "IPAddress", "IPPrefixLen") == ""


# Answers of any shape


class Teller:
    """An engine that says what it was given to say."""

    def __init__(self, answers):
        self.answers, self.delta, self.cpus, self.errors = answers, 3600.0, 4, []
        self.log_error = self.errors.append

    async def look(self, path, query=None):
        if path not in self.answers:
            raise EngineError("no such thing", 404)
        return json.loads(json.dumps(self.answers[path]))


def answers():
    """Return what an engine of the lab says of a container, an image, networks, a volume."""
    real = LabEngine(Lab(), "node-1", ADDR)
    net = real.create_network("mesh").id
    real.create_volume("data")
    host = {"NetworkMode": "mesh", "Memory": GIB, "CpuShares": 256}
    id = real.create("web", HostConfig=host, **SLEEP).id
    real.start(id)
    return (
        id,
        net,
        {
            "/containers/json": real.list_containers(all=True),
            f"/containers/{id}/json": real.inspect(id),
            "/images/json": real.list_images(),
            "/networks": real.list_networks(),
            f"/networks/{net}": real.inspect_network(net),
            "/volumes": {"Volumes": real.list_volumes()},
            "/volumes/data": real.volume("data"),
        },
    )


def places(answer, path=()):
    """Yield the way to each value in an answer."""
    yield path
    items = answer.items() if isinstance(answer, dict) else ()
    if isinstance(answer, list):
        items = enumerate(answer)
    for key, value in items:
        yield from places(value, (*path, key))


def spoiled(answer, path, value):
    """Return an answer with another value in one place."""
    if not path:
        return value
    copy = answer.copy()
    copy[path[0]] = spoiled(answer[path[0]], path[1:], value)
    return copy


NONSENSE = st.sampled_from(
    [None, True, 0, -1, 7, 1.5, 1e400, "", "x", "12", [], [7], [None], {}, {"x": 7}, [[]], [{}]]
)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_no_answer_of_any_shape_spoils_the_books(data):
    id, net, fine = answers()
    path = data.draw(st.sampled_from(sorted(fine)))
    place = data.draw(st.sampled_from(list(places(fine[path]))))
    bad = spoiled(fine[path], place, data.draw(NONSENSE))

    async def story():
        teller = Teller(fine)
        known = Inventory(teller)
        await everything(known)
        assert sums(known) == recount(known)
        teller.answers = {**fine, path: bad}
        for ask in asks(known, id, net, "data"):
            with suppress(EngineError):
                await ask
            known.attach()
            assert sums(known) == recount(known)
        teller.answers = fine
        await everything(known)
        for ask in asks(known, id, net, "data"):
            await ask
        assert sums(known) == (1, GIB, {"/web": id})

    asyncio.run(story())


NO_LIST = "TypeError: not a list"
NO_INDEX = "TypeError: 'int' object is not subscriptable"
WRONG = [
    ("/containers/json", {}, f"about containers ({NO_LIST})"),
    ("/containers/json", [7], f"about containers ({NO_INDEX})"),
    ("/containers/json", [{}], "about containers (KeyError: 'Id')"),
    ("/images/json", "x", f"about images ({NO_LIST})"),
    ("/images/json", [{}], "about images (KeyError: 'Id')"),
    ("/networks", [{"Id": "n1"}], "about networks (KeyError: 'Name')"),
    ("/volumes", 7, f"about volumes ({NO_INDEX})"),
    ("/volumes", {}, "about volumes (KeyError: 'Volumes')"),
    ("/volumes/data", None, "about /volumes/data (ValueError: nothing)"),
    ("/volumes/data", {"x": 7}, "about /volumes/data (KeyError: 'Name')"),
]


@pytest.mark.parametrize(("path", "answer", "said"), WRONG)
def test_an_answer_of_the_wrong_shape_is_refused_and_changes_nothing(path, answer, said):
    id, net, fine = answers()

    async def story():
        teller = Teller(fine)
        known = Inventory(teller)
        await everything(known)
        before = state(known)
        teller.answers = {**fine, path: answer}
        refusals = []
        for ask in asks(known, id, net, "data"):
            try:
                await ask
            except EngineError as error:
                refusals.append(str(error))
        assert refusals[0] == f"unexpected answer {said}"
        assert state(known) == before

    asyncio.run(story())


@pytest.mark.parametrize("status", [401, 403, 409, 500])
def test_no_refusal_but_404_says_that_a_thing_is_gone(status):
    id, net, fine = answers()

    async def refuse(path, query=None):
        if path == "/containers/json":
            return fine[path]
        raise EngineError("no", status)

    async def story():
        teller = Teller(fine)
        known = Inventory(teller)
        await everything(known)
        before, teller.look = state(known), refuse
        for ask in (
            known.refresh_container(id, full=True),
            known.refresh_network(net),
            known.refresh_volume("data"),
        ):
            with pytest.raises(EngineError, match=r"^no$"):
                await ask
        assert state(known) == before

    asyncio.run(story())


@pytest.mark.parametrize("answer", [None, []])
def test_go_says_null_for_an_empty_list(answer):
    async def story():
        lists = dict.fromkeys(("/containers/json", "/images/json", "/networks"), answer)
        known = Inventory(Teller({**lists, "/volumes": {"Volumes": answer}}))
        await everything(known)
        assert (known.containers, known.images, known.networks, known.volumes) == ({}, [], {}, {})

    asyncio.run(story())


# The real thing


def test_a_real_engine_is_known_as_it_tells_of_itself(engines):
    docker = engines[0]
    docker.cli("network", "create", "mesh")
    docker.cli("volume", "create", "data")
    run = ("run", "-d", "--name", "web", "--network", "mesh", "-m", "64m", "busybox")
    id = docker.cli(*run, "sleep", "1000")
    docker.cli("create", "--name", "db", "--network", "none", "busybox")

    async def story():
        async with reached(docker.address, World(stdout=io.StringIO())) as engine:
            known = engine.inventory
            await everything(known)
            assert sums(known) == recount(known)
            assert sorted(known.names) == ["/db", "/web"]
            assert known.used_memory == 64 << 20
            web = known.containers[id]
            told = docker.ask("GET", f"/containers/{id}/json")
            assert (web.info, web.running) == (told, True)
            net = next(each for each in known.networks.values() if each.name == "mesh")
            assert net.containers == docker.ask("GET", "/networks/mesh")["Containers"]
            assert called(known.volumes) == ["data"]
            assert [each.tags for each in known.images] == [["busybox:latest"]]

    asyncio.run(story())


def test_a_real_engine_has_lost_one_between_a_list_and_an_inspection(engines):
    docker = engines[0]
    ids = [docker.cli("create", "--network", "none", "busybox") for _ in range(20)]
    log = io.StringIO()

    async def story():
        async with reached(docker.address, World(stdout=log)) as engine:
            refresh = asyncio.ensure_future(engine.inventory.refresh_containers(full=True))
            for id in ids[:10]:
                await asyncio.to_thread(docker.ask, "DELETE", f"/containers/{id}")
            await refresh
            await engine.inventory.refresh_containers(full=False)
            assert set(engine.inventory.containers) == set(ids[10:])

    asyncio.run(story())
    assert log.getvalue() == ""
