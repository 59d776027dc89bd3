"""Networks and volumes of many engines."""

import re

import pytest

from tests.swarm.placing import NOWHERE, few, in_cluster, real, run
from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.engine_api import ConnectionFailed, EngineError


def having(cluster, what, name):
    """Return the names of the machines that have a network or a volume, and say so."""
    found = {
        "networks": [each.engine.name for each in cluster.networks() if each.name == name],
        "volumes": [each.engine.name for each in cluster.volumes() if each.name == name],
    }
    return found[what]


# Networks


@in_cluster("node-1", "node-2")
async def test_a_network_is_made_on_one_engine_and_known_at_once(cluster):
    made = await cluster.create_network("own", {"Driver": "bridge"})
    assert having(cluster, "networks", "own") == ["node-1"]
    assert cluster.networks().get("own").id == made["Id"]
    assert made == {"Id": made["Id"], "Warning": ""}


@in_cluster("node-1", "node-2")
async def test_a_network_is_made_on_the_engine_that_is_named(cluster):
    await cluster.create_network("node-2/own", {"Driver": "bridge", "Name": "node-2/own"})
    assert having(cluster, "networks", "own") == ["node-2"]


@in_cluster("node-1")
async def test_a_network_on_an_engine_that_is_not_there_is_refused(cluster):
    with pytest.raises(ClusterError) as error:
        await cluster.create_network("node-9/own", {})
    assert str(error.value) == NOWHERE


@in_cluster("node-1")
async def test_an_engine_refuses_a_network_in_its_own_words(cluster):
    with pytest.raises(EngineError) as error:
        await cluster.create_network("own", {"Driver": "nonsense"})
    assert str(error.value).startswith("Error response from daemon: ")


@in_cluster("node-1", "node-2", "node-3")
async def test_a_global_network_is_known_of_all_engines_at_once(cluster):
    made = await cluster.create_network("over", {"Driver": "overlay"})
    assert having(cluster, "networks", "over") == ["node-1", "node-2", "node-3"]
    assert len([each for each in cluster.networks().uniq() if each.name == "over"]) == 1
    assert cluster.networks().get("over").id == made["Id"]


@in_cluster("node-1", "node-2")
async def test_a_global_network_is_forgotten_of_all_engines_at_once(cluster):
    await cluster.create_network("over", {"Driver": "overlay"})
    await cluster.remove_network(cluster.networks().get("over"))
    assert having(cluster, "networks", "over") == []


@in_cluster("node-1", "node-2")
async def test_a_local_network_of_one_name_stays_on_the_other_engine(cluster):
    for name in ("node-1/own", "node-2/own"):
        await cluster.create_network(name, {"Driver": "bridge"})
    await cluster.remove_network(cluster.networks().get("node-1/own"))
    assert having(cluster, "networks", "own") == ["node-2"]


@in_cluster("node-1", "node-2", "node-3")
async def test_a_global_network_is_removed_through_another_engine(cluster):
    await cluster.create_network("over", {"Driver": "overlay"})
    network = cluster.networks().get("over")
    assert network.engine.name == "node-1"
    cluster.machines["node-1"].vanish()
    await cluster.remove_network(network)
    assert having(cluster, "networks", "over") == []
    assert network.id not in cluster.machines["node-2"].networks


@in_cluster("node-1", "node-2")
async def test_a_global_network_that_no_engine_removes_stays(cluster):
    await cluster.create_network("over", {"Driver": "overlay"})
    network = cluster.networks().get("over")
    for machine in cluster.machines.values():
        machine.vanish()
    with pytest.raises(ConnectionFailed) as error:
        await cluster.remove_network(network)
    where = "Cannot connect to the Docker daemon at tcp://node-1:2375"
    assert str(error.value) == f"{where}. Is the docker daemon running?"
    assert having(cluster, "networks", "over") == ["node-1", "node-2"]


@in_cluster("node-1", "node-2")
async def test_a_local_network_of_an_engine_that_is_away_stays(cluster):
    await cluster.create_network("node-1/own", {"Driver": "bridge"})
    cluster.machines["node-1"].vanish()
    with pytest.raises(ConnectionFailed):
        await cluster.remove_network(cluster.networks().get("own"))
    assert having(cluster, "networks", "own") == ["node-1"]


@in_cluster("node-1", "node-2")
async def test_an_engine_that_refuses_is_not_asked_behind_its_back(cluster):
    await cluster.create_network("over", {"Driver": "overlay"})
    before = len(cluster.lab.network.exchanges)
    cluster.machines["node-1"].fault = "500"
    with pytest.raises(EngineError, match=r"^Error response from daemon: the lab has this"):
        await cluster.remove_network(cluster.networks().get("over"))
    asked = cluster.lab.network.exchanges[before:]
    assert [each.server for each in asked if each.method == "DELETE"] == ["node-1:2375"]


# Volumes


@in_cluster("node-1", "node-2")
async def test_a_volume_is_made_on_every_engine(cluster):
    made = await cluster.create_volume({"Name": "data"})
    assert (made["Name"], made["Driver"]) == ("data", "local")
    assert having(cluster, "volumes", "data") == ["node-1", "node-2"]


@in_cluster("node-1", "node-2")
async def test_a_volume_is_made_on_the_engine_that_is_named(cluster):
    made = await cluster.create_volume({"Name": "node-2/data"})
    assert made["Name"] == "data"
    assert having(cluster, "volumes", "data") == ["node-2"]


@in_cluster("node-1")
async def test_a_volume_on_an_engine_that_is_not_there_is_refused(cluster):
    with pytest.raises(ClusterError) as error:
        await cluster.create_volume({"Name": "node-9/data"})
    assert str(error.value) == NOWHERE


@in_cluster("node-1", "node-2")
async def test_a_volume_without_a_name_has_one_name_on_all_engines(cluster):
    made = await cluster.create_volume({"Labels": {"tier": "db"}})
    assert re.fullmatch("[0-9a-f]{64}", made["Name"])
    assert {volume.name for volume in cluster.volumes()} == {made["Name"]}
    assert made["Labels"] == {"tier": "db"}


@in_cluster("node-1", "node-2", "node-3")
async def test_a_label_names_the_engines_of_a_volume(cluster):
    labels = {"com.docker.swarm.whitelists": '["node==node-1|node-3"]'}
    made = await cluster.create_volume({"Name": "data", "Labels": labels})
    assert made["Labels"] == labels
    assert having(cluster, "volumes", "data") == ["node-1", "node-3"]


@in_cluster("node-1", "node-2")
async def test_a_label_counts_more_than_the_engine_in_the_name(cluster):
    labels = {"com.docker.swarm.whitelists": '["node==node-1"]'}
    await cluster.create_volume({"Name": "node-2/data", "Labels": labels})
    assert having(cluster, "volumes", "data") == ["node-1"]


@in_cluster("node-1")
async def test_a_label_that_no_engine_is_on_refuses_the_volume(cluster):
    labels = {"com.docker.swarm.whitelists": '["node==node-9"]'}
    with pytest.raises(ClusterError) as error:
        await cluster.create_volume({"Name": "data", "Labels": labels})
    unmet = "Unable to find a node that satisfies the following conditions"
    asked = "[available container slots]\n[node==node-9 (soft=false)]"
    assert str(error.value) == f"{unmet} \n{asked}"


def test_without_engines_a_volume_is_none_and_no_error():
    async def main():
        async with few() as cluster:
            return await cluster.create_volume({"Name": "data"})

    assert run(main()) is None


@in_cluster("node-1", "node-2", "node-3")
async def test_a_volume_that_one_engine_refuses_is_made_on_the_others(cluster):
    cluster.machines["node-1"].fault = "500"
    with pytest.raises(EngineError) as error:
        await cluster.create_volume({"Name": "data"})
    assert str(error.value) == "Error response from daemon: the lab has this engine fail"
    assert having(cluster, "volumes", "data") == ["node-2", "node-3"]


@in_cluster("node-1", "node-2")
async def test_a_volume_is_removed_from_every_engine_that_has_it(cluster):
    await cluster.create_volume({"Name": "data"})
    assert await cluster.remove_volumes("data") is True
    assert having(cluster, "volumes", "data") == []
    assert [machine.volumes for machine in cluster.machines.values()] == [{}, {}]


@in_cluster("node-1", "node-2")
async def test_a_volume_of_one_engine_is_removed_there(cluster):
    await cluster.create_volume({"Name": "data"})
    assert await cluster.remove_volumes("node-2/data") is True
    assert having(cluster, "volumes", "data") == ["node-1"]


@in_cluster("node-1")
async def test_no_such_volume_was_there(cluster):
    assert await cluster.remove_volumes("nonsense") is False


@in_cluster("node-1", "node-2", "node-3")
async def test_engines_that_use_a_volume_refuse_on_a_line_each(cluster):
    await cluster.create_volume({"Name": "data"})
    for name in ("node-1", "node-3"):
        machine = cluster.machines[name]
        machine.new_id = lambda: "c" * 64
        machine.create("web", Image="busybox:latest", HostConfig={"Binds": ["data:/data"]})
    with pytest.raises(ClusterError) as error:
        await cluster.remove_volumes("data")
    said = f"Error response from daemon: remove data: volume is in use - [{'c' * 64}]"
    assert str(error.value) == f"node-1: {said}\nnode-3: {said}"
    assert having(cluster, "volumes", "data") == ["node-1", "node-3"]


# Docker's own engines


def test_docker_engines_have_a_volume_each(engines):
    async def main():
        async with real(engines) as cluster:
            await cluster.create_volume({"Name": "data"})
            made = having(cluster, "volumes", "data")
            there = ("-v", "data:/data", "--network=none", "busybox:latest", "true")
            id = engines[1].cli("create", *there)
            with pytest.raises(ClusterError) as error:
                await cluster.remove_volumes("data")
            said = f"Error response from daemon: remove data: volume is in use - [{id}]"
            assert str(error.value) == f"node-2: {said}"
            return made, having(cluster, "volumes", "data")

    assert run(main()) == (["node-1", "node-2", "node-3"], ["node-2"])


def test_a_docker_engine_has_the_network_that_names_it(engines):
    async def main():
        async with real(engines) as cluster:
            for name in ("node-2/own", "node-3/own"):
                await cluster.create_network(name, {"Driver": "bridge"})
            made = having(cluster, "networks", "own")
            assert cluster.networks().get("own") is None
            await cluster.remove_network(cluster.networks().get("node-2/own"))
            return made, having(cluster, "networks", "own")

    assert run(main()) == (["node-2", "node-3"], ["node-3"])
