"""The create path: what is reserved, what is tried again, what two requests at once get."""

import asyncio
from collections import Counter

import pytest

from tests.swarm.placing import asking, few, in_cluster, passing, real, run
from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.engine_api import EngineError
from walkthroughs.swarm.lab_images import Image
from walkthroughs.swarm.lab_machine import DaemonError
from walkthroughs.swarm.placement import is_not_found

GIB = 1024**3
CONFLICT = (
    "Conflict: The name {0} is already assigned. You have to delete (or rename) that "
    "container to be able to assign {0} to a container again."
)
FULL = "Unable to find a node that satisfies the following conditions \n[available container slots]"


def where(cluster):
    """Return the names of the containers on each machine."""
    return {
        name: sorted(each.name for each in machine.containers.values())
        for name, machine in cluster.machines.items()
        if machine.containers
    }


async def create(cluster, config=None, name=""):
    return await cluster.create_container(config or asking(), name, {})


# The whole path


@in_cluster("node-1", "node-2")
async def test_a_created_container_is_known_at_once(cluster):
    container = await create(cluster, asking(Memory=GIB, CpuShares=1), "web")
    assert cluster.container("web") is container
    assert cluster.container(container.config.swarm_id) is container
    assert [str(each) for each in cluster.containers()] == ["<Container node-1/web>"]
    engine = cluster.engine("node-1")
    assert (engine.inventory.used_cpus, engine.inventory.used_memory) == (1, GIB)


@in_cluster("node-1")
async def test_a_create_is_three_calls(cluster):
    exchanges = cluster.lab.network.exchanges
    before = len(exchanges)
    container = await create(cluster)
    said = {(each.method, each.path, each.status) for each in exchanges[before:]}
    # The engine's own event has the last two asked once more, if it is quick.
    assert said == {
        ("POST", "/v1.31/containers/create", 201),
        ("GET", "/v1.31/containers/json", 200),
        ("GET", f"/v1.31/containers/{container.id}/json", 200),
    }


@in_cluster("node-1")
async def test_a_swarm_id_is_given(cluster):
    container = await create(cluster)
    assert len(bytes.fromhex(container.swarm_id)) == 32
    labels = cluster.machines["node-1"].containers[container.id].config["Labels"]
    assert labels == {"com.docker.swarm.id": container.swarm_id}


@in_cluster("node-1")
async def test_a_swarm_id_that_is_there_is_kept(cluster):
    config = asking(Labels={"com.docker.swarm.id": "known"})
    assert (await create(cluster, config)).swarm_id == "known"


@in_cluster("node-1")
async def test_the_log_tells_where_a_container_went(cluster):
    engine = cluster.engine("node-1")
    await create(cluster, name="web")
    who = f'NodeID="{engine.id}" NodeName=node-1'
    assert cluster.log() == [f'level=debug msg="Scheduling container web to " {who}']


@in_cluster("node-1")
async def test_the_log_tells_of_a_failure(cluster):
    cluster.machines["node-1"].fault = "500"
    said = "Error response from daemon: the lab has this engine fail"
    with pytest.raises(EngineError, match=f"^{said}$"):
        await create(cluster)
    who = f'NodeID="{cluster.engine("node-1").id}" NodeName=node-1'
    failed = f'level=error msg="Failed to create container" {who} error="{said}"'
    assert failed in cluster.log()


@in_cluster()
async def test_no_engine_is_no_node(cluster):
    with pytest.raises(ClusterError, match=r"^No healthy node available in the cluster$"):
        await create(cluster)


# Names


@in_cluster("node-1", "node-2")
async def test_a_name_is_taken_by_a_container_anywhere(cluster):
    await create(cluster, name="web")
    with pytest.raises(ClusterError) as error:
        await create(cluster, name="web")
    assert str(error.value) == CONFLICT.format("web")


@in_cluster("node-1")
async def test_a_name_with_a_slash_is_the_same_name(cluster):
    await create(cluster, name="web")
    with pytest.raises(ClusterError) as error:
        await create(cluster, name="/web")
    assert str(error.value) == CONFLICT.format("/web")


@in_cluster("node-1", "node-2")
async def test_a_name_is_taken_while_its_container_is_on_its_way(cluster):
    cluster.reserve(asking(), "web")
    for name in ("web", "/web"):
        with pytest.raises(ClusterError) as error:
            cluster.reserve(asking(), name)
        assert str(error.value) == CONFLICT.format(name)


@in_cluster("node-1", "node-2")
async def test_two_without_a_name_have_no_conflict(cluster):
    cluster.reserve(asking(), "")
    assert str(cluster.reserve(asking(), "").engine.name) == "node-2"


@in_cluster("node-1", "node-2")
async def test_a_rename_to_a_name_that_is_taken_is_refused(cluster):
    await create(cluster, name="web")
    other = await create(cluster, name="other")
    with pytest.raises(ClusterError) as error:
        await cluster.rename_container(other, "web")
    assert str(error.value) == CONFLICT.format("web")


@in_cluster("node-1", "node-2")
async def test_a_rename_frees_the_old_name(cluster):
    container = await create(cluster, name="web")
    await cluster.rename_container(container, "new")
    await create(cluster, name="web")
    assert where(cluster) == {"node-1": ["new"], "node-2": ["web"]}
    assert cluster.pending_names == set()


@in_cluster("node-1", "node-2", "node-3")
async def test_of_renames_and_creates_at_once_one_has_the_name(cluster):
    """The original would let all three have it: it forgets a rename that is under way."""
    first, second = await create(cluster), await create(cluster)
    works = (
        cluster.rename_container(first, "web"),
        cluster.rename_container(second, "web"),
        create(cluster, name="web"),
    )
    said = await asyncio.gather(*works, return_exceptions=True)
    assert [str(each) for each in said].count(CONFLICT.format("web")) == 2
    assert [name for names in where(cluster).values() for name in names].count("web") == 1


# Reservations


@in_cluster("node-1", "node-2")
async def test_a_reservation_is_room_that_is_used(cluster):
    reserved = cluster.reserve(asking(Memory=GIB, CpuShares=3), "web")
    seen = {node.name: node for node in cluster.list_nodes()}
    node = seen[reserved.engine.name]
    assert (node.used_cpus, node.used_memory, node.containers) == (3, GIB, [reserved])
    cluster.release(reserved)
    seen = {node.name: node for node in cluster.list_nodes()}
    node = seen[reserved.engine.name]
    assert (node.used_cpus, node.used_memory, node.containers) == (0, 0, [])


@in_cluster("node-1", cpus=4)
async def test_two_requests_for_the_last_cpu_are_not_both_placed(cluster):
    cluster.reserve(asking(CpuShares=4), "first")
    with pytest.raises(ClusterError, match=r"^no resources available to schedule container$"):
        cluster.reserve(asking(CpuShares=1), "second")


@in_cluster("node-1", "node-2")
async def test_a_pending_container_is_what_an_affinity_finds(cluster):
    reserved = cluster.reserve(asking(Labels={"tier": "db"}), "db")
    for wish in ("affinity:container==db", "affinity:tier==db"):
        assert cluster.reserve(asking(Env=[wish]), "").engine is reserved.engine


@in_cluster("node-1", "node-2")
async def test_a_pending_container_has_its_ports(cluster):
    config = asking()
    config.host["PortBindings"] = {"80/tcp": [{"HostPort": "80"}]}
    placed = {cluster.reserve(config, "").engine.name for _ in range(2)}
    assert placed == {"node-1", "node-2"}
    with pytest.raises(ClusterError) as error:
        cluster.reserve(config, "")
    unmet = "Unable to find a node that satisfies the following conditions"
    assert str(error.value) == f"{unmet} \n[port 80 (Bridge mode)]"


@in_cluster("node-1", labels=["containerslots=2"])
async def test_a_pending_container_takes_a_slot(cluster):
    cluster.reserve(asking(), "")
    cluster.reserve(asking(), "")
    with pytest.raises(ClusterError) as error:
        cluster.reserve(asking(), "")
    assert str(error.value) == FULL


@in_cluster("node-1")
async def test_a_container_is_counted_once_while_an_event_has_come_before_the_answer(cluster):
    reserved = cluster.reserve(asking(CpuShares=1), "web")
    body = {**reserved.config.raw, "HostConfig": {"CpuShares": 256}}
    cluster.machines["node-1"].create("web", **body)
    await cluster.engine("node-1").inventory.refresh_containers(full=True)
    (node,) = cluster.list_nodes()
    assert (len(node.containers), node.used_cpus) == (1, 1)
    cluster.release(reserved)
    (node,) = cluster.list_nodes()
    assert (len(node.containers), node.used_cpus) == (1, 1)


@in_cluster("node-1", "node-2")
async def test_what_two_reservations_of_one_swarm_id_hold_is_given_back(cluster):
    config = asking(CpuShares=1, Labels={"com.docker.swarm.id": "same"})
    for reserved in [cluster.reserve(config, "a"), cluster.reserve(config, "b")]:
        cluster.release(reserved)
    assert [node.used_cpus for node in cluster.list_nodes()] == [0, 0]
    assert cluster.pending_names == set()


@in_cluster("node-1")
async def test_a_reservation_that_fails_leaves_nothing(cluster):
    with pytest.raises(ClusterError):
        cluster.reserve(asking(CpuShares=99), "web")
    assert cluster.pending_names == set()
    assert cluster.list_nodes()[0].containers == []


@in_cluster("node-1")
async def test_a_create_that_fails_gives_back_name_and_room(cluster):
    cluster.machines["node-1"].fault = "500"
    with pytest.raises(EngineError):
        await create(cluster, asking(CpuShares=4), "web")
    cluster.machines["node-1"].fault = None
    await create(cluster, asking(CpuShares=4), "web")


@in_cluster("node-1")
async def test_a_create_that_is_cancelled_gives_back_name_and_room(cluster):
    cluster.machines["node-1"].slow = 3600
    work = asyncio.ensure_future(create(cluster, asking(CpuShares=4), "web"))
    # Half a minute is for the question about the image's systems.
    await cluster.lab.clock.advance(100)
    assert cluster.pending_names == {"/web"}
    work.cancel()
    await asyncio.wait([work])
    assert cluster.pending_names == set()
    assert cluster.list_nodes()[0].used_cpus == 0


# Many at the same moment


async def crowd(cluster, requests):
    """Create all at once on slow engines; return what each was told."""
    for number, machine in enumerate(cluster.machines.values()):
        machine.slow = 0.1 + number
    works = [create(cluster, config, name) for config, name in requests]
    gathered = asyncio.gather(*works, return_exceptions=True)
    return await passing(cluster.lab, gathered)


@in_cluster("node-1", "node-2", "node-3", "node-4", "node-5", cpus=10)
async def test_a_hundred_at_once_do_not_overcommit(cluster):
    """Of 50 CPUs, 100 containers want one each; every one is refused or has its own."""
    said = await crowd(cluster, [(asking(CpuShares=1), f"c{n}") for n in range(100)])
    refused = [str(each) for each in said if isinstance(each, ClusterError)]
    assert refused == ["no resources available to schedule container"] * 50
    assert {name: len(there) for name, there in where(cluster).items()} == {
        f"node-{n}": 10 for n in range(1, 6)
    }


@in_cluster("node-1", "node-2", "node-3", "node-4", "node-5")
async def test_of_a_hundred_that_want_one_of_ten_names_ten_are_created(cluster):
    said = await crowd(cluster, [(asking(), f"c{n % 10}") for n in range(100)])
    refused = Counter(str(each) for each in said if isinstance(each, ClusterError))
    assert refused == {CONFLICT.format(f"c{n}"): 9 for n in range(10)}
    names = sorted(name for there in where(cluster).values() for name in there)
    assert names == [f"c{n}" for n in range(10)]


@in_cluster("node-1", "node-2", "node-3", "node-4", "node-5")
async def test_a_hundred_at_once_are_spread(cluster):
    await crowd(cluster, [(asking(), f"c{n}") for n in range(100)])
    assert {name: len(there) for name, there in where(cluster).items()} == {
        f"node-{n}": 20 for n in range(1, 6)
    }


# Tried again


MISSING = (
    "Error response from daemon: pull access denied for own, repository does not exist "
    "or may require 'docker login': denied: requested access to the resource is denied"
)


@in_cluster("node-1", "node-2", "node-3")
async def test_an_image_that_no_registry_has_is_found_where_it_was_built(cluster):
    cluster.machines["node-3"].add_image(Image.named("own:latest"))
    await cluster.engine("node-3").inventory.refresh_images()
    container = await create(cluster, asking("own:latest"), "web")
    assert where(cluster) == {"node-3": ["web"]}
    assert container.config.wishes("affinities") == []


@in_cluster("node-1", "node-2")
async def test_the_affinity_to_the_image_is_taken_away_after_a_failure_too(cluster):
    config = asking("own:latest", Env=["constraint:node==~node-1", "affinity:image==own:latest"])
    with pytest.raises(ClusterError):
        cluster.reserve(config, "", near_image=True)
    assert config.wishes("affinities") == []


@in_cluster("node-1", "node-2")
async def test_an_image_that_nobody_has_is_not_found(cluster):
    with pytest.raises(EngineError) as error:
        await create(cluster, asking("own:latest"))
    assert str(error.value) == MISSING
    assert len(cluster.log()) == 1


@in_cluster("node-1", "node-2")
async def test_who_must_be_on_a_node_is_not_sent_to_the_image(cluster):
    cluster.machines["node-2"].add_image(Image.named("own:latest"))
    await cluster.engine("node-2").inventory.refresh_images()
    with pytest.raises(EngineError) as error:
        await create(cluster, asking("own:latest", Env=["constraint:node==node-1"]))
    assert str(error.value) == MISSING


@in_cluster("node-1", "node-2")
async def test_who_would_rather_be_on_a_node_is_sent_to_the_image(cluster):
    cluster.machines["node-2"].add_image(Image.named("own:latest"))
    await cluster.engine("node-2").inventory.refresh_images()
    await create(cluster, asking("own:latest", Env=["constraint:node==~node-1"]), "web")
    assert where(cluster) == {"node-2": ["web"]}


def test_engines_say_in_many_ways_that_an_image_was_not_found():
    texts = (
        "image own:latest not found",
        "repository own not found",
        "pull access denied for own, repository does not exist",
    )
    assert all(is_not_found(EngineError(text, 500)) for text in texts)
    assert is_not_found(EngineError("No such image: own:latest", 404))
    assert not is_not_found(EngineError("image operating system", 500))
    assert not is_not_found(ClusterError("network web not found"))


@in_cluster("node-1")
async def test_an_engine_that_cannot_run_an_image_says_which_system_can(cluster):
    await cluster.add("node-2", ostype="windows")
    said = 'image operating system "windows" cannot be used on this platform'

    def refuse(*_, **__):
        raise DaemonError(400, said)

    cluster.machines["node-1"].create = refuse
    container = await create(cluster, name="web")
    assert where(cluster) == {"node-2": ["web"]}
    assert container.config.wishes("constraints") == ["ostype==windows"]


def failing(cluster, times):
    """Let each create fail so many times; return the list of those that did."""
    machine, tries = cluster.machines["node-1"], []
    create = machine.create

    def flaky(*names, **body):
        tries.append(names)
        if len(tries) <= times:
            raise DaemonError(500, f"try {len(tries)}")
        return create(*names, **body)

    machine.create = flaky
    return tries


@in_cluster("node-1")
async def test_without_createretry_one_failure_is_the_last(cluster):
    tries = failing(cluster, 1)
    with pytest.raises(EngineError, match=r"^Error response from daemon: try 1$"):
        await create(cluster)
    assert len(tries) == 1


@in_cluster("node-1")
async def test_createretry_is_the_number_of_further_tries(cluster):
    cluster.create_retry = 3
    tries = failing(cluster, 3)
    await create(cluster, name="web")
    assert len(tries) == 4
    retrying = [line for line in cluster.log() if "retrying" in line]
    said = "Failed to create container: Error response from daemon: try {}, retrying"
    assert retrying == [f'level=warning msg="{said.format(n)}" Name=Swarm' for n in (1, 2, 3)]


@in_cluster("node-1")
async def test_the_last_failure_is_told(cluster):
    cluster.create_retry = 2
    tries = failing(cluster, 9)
    with pytest.raises(EngineError, match=r"^Error response from daemon: try 3$"):
        await create(cluster)
    assert len(tries) == 3


@in_cluster("node-1", "node-2")
async def test_the_try_near_the_image_counts_as_one_of_createretry(cluster):
    cluster.create_retry = 1
    cluster.machines["node-2"].add_image(Image.named("own:latest"))
    await cluster.engine("node-2").inventory.refresh_images()
    # It is gone, and nobody has said so yet.
    cluster.machines["node-2"].images.clear()
    with pytest.raises(EngineError) as error:
        await create(cluster, asking("own:latest"))
    assert str(error.value) == MISSING
    assert [line.split()[0] for line in cluster.log()] == ["level=error"] * 2


# The network of one engine


@in_cluster("node-1", "node-2")
async def test_a_container_goes_to_its_network(cluster):
    await cluster.create_network("node-2/own", {"Driver": "bridge"})
    container = await create(cluster, asking(NetworkMode="node-2/own"), "web")
    assert where(cluster) == {"node-2": ["web"]}
    assert container.config.wishes("constraints") == ["node==~node-2"]
    assert container.config.network_mode == "own"


@in_cluster("node-1", "node-2")
async def test_a_plain_name_of_a_network_will_do(cluster):
    await cluster.create_network("node-2/own", {"Driver": "bridge"})
    config = asking(NetworkMode="own")
    assert cluster.reserve(config, "").engine.name == "node-2"
    assert config.wishes("constraints") == ["node==~node-2"]


@in_cluster("node-1", "node-2")
async def test_a_hard_constraint_is_not_joined_by_a_soft_one(cluster):
    await cluster.create_network("node-2/own", {"Driver": "bridge"})
    config = asking(NetworkMode="node-2/own", Env=["constraint:node==node-2"])
    assert cluster.reserve(config, "").engine.name == "node-2"
    assert config.wishes("constraints") == ["node==node-2"]
    assert config.network_mode == "own"


@in_cluster("node-1", "node-2")
async def test_a_network_that_two_engines_have_under_one_name_places_nothing(cluster):
    for name in ("node-1/own", "node-2/own"):
        await cluster.create_network(name, {"Driver": "bridge"})
    config = asking(NetworkMode="own")
    cluster.reserve(config, "")
    assert (config.wishes("constraints"), config.network_mode) == ([], "own")


@in_cluster("node-1", "node-2")
async def test_a_global_network_places_nothing(cluster):
    await cluster.create_network("over", {"Driver": "overlay"})
    config = asking(NetworkMode="over")
    cluster.reserve(config, "")
    assert (config.wishes("constraints"), config.network_mode) == ([], "over")


@pytest.mark.parametrize("mode", ["", "default", "bridge", "host", "none", "container:db"])
def test_a_network_that_every_engine_has_places_nothing(mode):
    async def main():
        async with few("node-1", "node-2") as cluster:
            cluster.reserve(asking(), "db")
            config = asking(NetworkMode=mode)
            cluster.reserve(config, "")
            return config.wishes("constraints"), config.network_mode

    assert run(main()) == ([], mode)


@pytest.mark.parametrize(
    ("mode", "wishes"),
    [("", []), ("default", []), ("bridge", ["node==~node-1"]), ("none", ["node==~node-1"])],
)
def test_of_one_engine_even_none_is_a_network_of_its_own(mode, wishes):
    async def main():
        async with few("node-1") as cluster:
            config = asking(NetworkMode=mode)
            cluster.reserve(config, "")
            return config.wishes("constraints"), config.network_mode

    assert run(main()) == (wishes, mode)


# What a placement looks at


def looked_at(cluster):
    """Return the names of the engines that `list_nodes` looks at from now on."""
    names, look = [], cluster.look_at

    def noting(engine):
        names.append(engine.name)
        return look(engine)

    cluster.look_at = noting
    return names


@in_cluster("node-1", "node-2", "node-3")
async def test_only_an_engine_that_has_changed_is_looked_at_anew(cluster):
    cluster.list_nodes()
    looked = looked_at(cluster)
    cluster.list_nodes()
    assert looked == []
    reserved = cluster.reserve(asking(), "")
    assert looked == []
    cluster.list_nodes()
    assert looked == [reserved.engine.name]


@pytest.mark.parametrize("change", ["images", "containers", "health", "specs", "release"])
def test_every_change_that_a_placement_sees_is_looked_at(change):
    async def main():
        async with few("node-1", "node-2") as cluster:
            engine, machine = cluster.engine("node-2"), cluster.machines["node-2"]
            reserved = cluster.reserve(asking(Env=["constraint:node==node-2"]), "")
            cluster.list_nodes()
            looked = looked_at(cluster)
            match change:
                case "images":
                    await engine.inventory.refresh_images()
                case "containers":
                    machine.create("web", Image="busybox")
                    await engine.inventory.refresh_containers(full=False)
                case "health":
                    machine.vanish()
                    with pytest.raises(EngineError):
                        await engine.look("/info")
                case "specs":
                    await engine.update_specs()
                case _:
                    cluster.release(reserved)
            cluster.list_nodes()
            return looked

    assert run(main()) == ["node-2"]


@in_cluster("node-1", "node-2", cpus=4)
async def test_a_node_is_what_is_known_of_its_engine(cluster):
    await create(cluster, asking(CpuShares=2, Memory=GIB), "web")
    engine = cluster.engine("node-1")
    node = cluster.list_nodes()[0]
    assert node == type(node)(
        id=engine.id,
        name="node-1",
        addr="node-1:2375",
        ip=engine.ip,
        labels=engine.labels,
        containers=[cluster.container("web")],
        images=engine.inventory.images,
        used_memory=GIB,
        used_cpus=2,
        total_memory=8 * GIB,
        total_cpus=4,
        health_indicator=100,
    )


# The rest


@in_cluster("node-1")
async def test_a_started_container_runs_and_a_removed_one_is_gone(cluster):
    container = await create(cluster, name="web")
    await cluster.start_container(container)
    assert cluster.container("web").running
    await cluster.remove_container(container, force=True, volumes=False)
    assert (cluster.containers(), where(cluster)) == ([], {})


def test_a_request_is_not_changed_by_what_the_engine_is_sent():
    """The engine gets shares of 1024; the request keeps its CPUs for a move elsewhere."""

    async def main():
        async with few("node-1", cpus=4) as cluster:
            config = asking(CpuShares=1)
            container = await create(cluster, config)
            sent = cluster.machines["node-1"].containers[container.id].host_config
            return config.cpus, sent["CpuShares"], container.config.cpus

    assert run(main()) == (1, 256, 1)


# Docker's own engines


def test_a_crowd_does_not_overcommit_docker_engines(engines):
    async def main():
        async with real(engines) as cluster:
            room = sum(engine.total_cpus for engine in cluster.engines.values())
            works = [
                create(cluster, asking(CpuShares=1, NetworkMode="none"), f"c{n}")
                for n in range(room + 4)
            ]
            said = await asyncio.gather(*works, return_exceptions=True)
            refused = [str(each) for each in said if isinstance(each, ClusterError)]
            assert refused == ["no resources available to schedule container"] * 4
            full = [(each.used_cpus, each.total_cpus) for each in cluster.list_nodes()]
            assert full == [(total, total) for _, total in full]
            return len(cluster.containers()) - room

    assert run(main()) == 0


def test_of_ten_that_want_one_name_on_docker_engines_one_is_created(engines):
    async def main():
        async with real(engines) as cluster:
            works = [create(cluster, asking(NetworkMode="none"), "web") for _ in range(10)]
            said = await asyncio.gather(*works, return_exceptions=True)
            refused = [str(each) for each in said if isinstance(each, ClusterError)]
            assert refused == [CONFLICT.format("web")] * 9
            return [
                each.cli("ps", "-aq").count("\n") + 1 for each in engines if each.cli("ps", "-aq")
            ]

    assert run(main()) == [1]
