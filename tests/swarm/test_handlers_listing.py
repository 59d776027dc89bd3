"""What the API answers to questions about all engines, and that it never answers with what was."""

import asyncio
import json

import pytest

from tests.swarm.managing import manager, under_management
from walkthroughs.swarm.cluster import Container
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.handlers_listing import RECENT, is_before
from walkthroughs.swarm.health import EngineOptions
from walkthroughs.swarm.lab_engine import LabEngine

OFTEN = EngineOptions(1, 1)
LIST = "/containers/json"


async def run(m, node, name, **body):
    """Run a container on a node, without the manager's knowing of it first."""
    made = m.machines[node].create(name, Image="busybox:latest", **body)
    m.machines[node].start(name)
    await m.settle()
    return made


# GET /containers/json


@under_management("node-1", "node-2")
async def test_a_list_without_containers_is_an_empty_list(m):
    assert await m.told(LIST) == []


@under_management("node-1")
async def test_a_container_in_the_list(m):
    made = await run(m, "node-1", "web", Labels={"tier": "web"})
    await m.lab.run(5)
    (found,) = await m.told(LIST)
    del found["NetworkSettings"], found["ImageID"]
    assert found == {
        "Id": made.id,
        "Names": ["/node-1/web"],
        "Image": "busybox:latest",
        "Command": "sh",
        "Created": 1_500_000_000,
        "Ports": [],
        "Labels": {"tier": "web"},
        "State": "running",
        "HostConfig": {"NetworkMode": "default"},
        "Mounts": [],
        "Status": "Up 5 seconds",
    }


@under_management("node-1", "node-2")
async def test_ps_is_the_same_as_json(m):
    await run(m, "node-1", "web")
    assert await m.told("/containers/ps") == await m.told(LIST) == await m.told(f"/v1.24{LIST}")


@under_management("node-1")
async def test_a_port_is_published_at_the_address_of_the_engine(m):
    bindings = {"80/tcp": [{"HostPort": "8080"}], "81/tcp": [{"HostIp": "127.0.0.1"}]}
    body = {"ExposedPorts": {"80/tcp": {}, "81/tcp": {}}, "HostConfig": {"PortBindings": bindings}}
    await run(m, "node-1", "web", **body)
    (found,) = await m.told(LIST)
    assert {port["IP"] for port in found["Ports"]} == {"10.0.0.1", "127.0.0.1"}
    assert "0.0.0.0" not in json.dumps(found)


@under_management("node-1", "node-2")
async def test_queries_of_ps(m):
    for second, node in enumerate(["node-1", "node-2", "node-1"]):
        await run(m, node, f"c{second}")
        await m.lab.run(1)
    m.machines["node-2"].exit("c1", 3)
    await m.settle()
    assert await m.names() == ["c2", "c0"]
    assert await m.names(all="true") == ["c2", "c1", "c0"]
    assert await m.names(all="0") == ["c2", "c0"]
    assert await m.names(limit="2") == ["c2", "c1"]
    assert await m.names(limit="-1") == await m.names(limit="x") == ["c2", "c0"]
    assert await m.names(before="c1") == ["c0"]
    assert await m.names(before="node-2/c1", limit="2") == []
    assert await m.chosen(exited=["3"]) == ["c1"]
    assert await m.chosen(node=["node-1"]) == ["c0", "c2"]


@under_management("node-1")
async def test_of_a_word_that_is_said_twice_the_first_counts(m):
    for second in range(3):
        await run(m, "node-1", f"c{second}")
        await m.lab.run(1)
    assert await m.names(limit=["1", "2"], before=["", "nobody"]) == ["c2"]
    first = '{"name":["c1"]}'
    assert await m.names(filters=[first, "no JSON"]) == ["c1"]


@under_management("node-1")
async def test_status_exited_implies_all_and_no_other_status_does(m):
    await run(m, "node-1", "web")
    m.machines["node-1"].create("new", Image="busybox:latest")
    m.machines["node-1"].exit("web")
    await m.settle()
    assert await m.names(filters='{"status":{"exited":true}}') == ["web"]
    assert await m.names(filters='{"status":{"created":true}}') == []


@under_management("node-1")
async def test_refusals_of_ps(m):
    await run(m, "node-1", "web")
    assert await m.get(LIST, before="nobody") == (404, "No such container nobody\n")
    filters = {
        "[]": "json: cannot unmarshal array into Go value of type map[string]map[string]bool\n",
        '{"exited":["x"]}': 'strconv.Atoi: parsing "x": invalid syntax\n',
        '{"exited":[""]}': 'strconv.Atoi: parsing "": invalid syntax\n',
    }
    for said, error in filters.items():
        assert await m.get(LIST, filters=said) == (500, error)
    # A refusal is not remembered as an answer.
    assert await m.get(LIST, before="nobody") == (404, "No such container nobody\n")
    await m.lab.run(1)
    await run(m, "node-1", "nobody")
    assert await m.names(before="nobody") == ["web"]


@under_management("node-1", "node-2")
async def test_containers_of_an_engine_that_is_lost_are_down_and_shown_with_all(m):
    await run(m, "node-1", "web")
    await run(m, "node-2", "db")
    m.machines["node-1"].vanish()
    await m.lab.run(300)
    assert await m.names() == ["db"]
    found = {each["Names"][0]: each["Status"] for each in await m.told(LIST, all="1")}
    assert found == {"/node-1/web": "Host Down", "/node-2/db": "Up 5 minutes"}


# An answer is remembered


def answers(m):
    """Return the answers that are remembered."""
    return [body for _, body in m.context.memory["containers"].values()]


@under_management("node-1")
async def test_the_same_question_within_a_second_is_answered_with_the_same_bytes(m):
    await run(m, "node-1", "web")
    await m.told(LIST)
    (first,) = answers(m)
    await m.lab.clock.advance(0.9)
    await m.told(LIST)
    assert answers(m)[0] is first


@under_management("node-1")
async def test_a_few_questions_are_remembered(m):
    await run(m, "node-1", "web")
    for number in range(RECENT + 3):
        await m.told(LIST, limit=str(number))
    assert len(answers(m)) == RECENT
    kept = list(m.context.memory["containers"])
    await m.lab.run(1)
    await m.told(LIST, limit=str(RECENT + 2))
    assert list(m.context.memory["containers"]) == kept


def web(m):
    return m.cluster.container("web")


def node(m):
    return m.machines["node-1"]


async def created(m):
    node(m).create("db", Image="busybox:latest")


async def started(m):
    node(m).start("idle")


async def renamed(m):
    node(m).rename("web", "shop")


async def died(m):
    node(m).exit("web", 3)


async def paused(m):
    node(m).pause("web")


async def restarted(m):
    node(m).restart("web")


async def removed(m):
    node(m).remove("web", force=True)


async def time_passed(m):
    await m.lab.run(1)


async def engine_unhealthy(m):
    for _ in range(3):
        web(m).engine.health.failed("nobody is there")


async def engine_gone(m):
    await m.cluster.remove_engine("10.0.0.1:2375")


async def engine_renamed(m):
    web(m).engine.name = "node-9"


async def engine_moved(m):
    web(m).engine.ip = "10.0.0.9"


async def engine_added(m):
    machine = LabEngine(m.lab, "node-2", "10.0.0.2:2375").plug()
    machine.create("far", Image="busybox:latest")
    m.cluster.add_engine("10.0.0.2:2375")


async def label_changed(m):
    old = web(m)
    config = ContainerConfig.build({"Labels": {"tier": "shop"}})
    old.engine.inventory.put(Container(old.engine, config, old.raw, old.info))


CHANGES = [
    *(created, started, renamed, died, paused, restarted, removed, time_passed),
    *(engine_unhealthy, engine_gone, engine_renamed, engine_moved, engine_added, label_changed),
]


@pytest.mark.parametrize("change", CHANGES)
def test_no_answer_is_stale_after_a_change(change):
    queries = ({}, {"all": "1"}, {"all": "1", "limit": "1"})

    async def main():
        async with manager("node-1") as m:
            port = {"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}
            await run(m, "node-1", "web", ExposedPorts={"80/tcp": {}}, HostConfig=port)
            node(m).create("idle", Image="busybox:latest")
            # Whoever was restarted has been up for another time.
            await m.lab.run(2)
            before = [await m.told(LIST, **query) for query in queries]
            await change(m)
            await m.settle()
            after = [await m.told(LIST, **query) for query in queries]
            m.context.memory.clear()
            assert after == [await m.told(LIST, **query) for query in queries]
            assert after != before

    asyncio.run(main())


@under_management("node-1")
async def test_who_starts_a_container_sees_it_run(m):
    made = await m.cluster.create_container(
        ContainerConfig.build({"Image": "busybox:latest"}), "web", {}
    )
    assert await m.names() == []
    await m.cluster.start_container(made)
    assert await m.names() == ["web"]
    await m.cluster.rename_container(m.cluster.container("web"), "shop")
    assert await m.names() == ["shop"]
    await m.cluster.remove_container(m.cluster.container("shop"), force=True, volumes=True)
    assert await m.names() == []


# The two flags that make a list ask first


@under_management("node-1", "node-2", options=EngineOptions(3600, 3600))
async def test_a_node_filter_asks_that_node_first_where_this_is_wanted(m):
    for machine in m.machines.values():
        machine.create("web", Image="busybox:latest")
    await m.settle()
    m.cluster.container("node-1/web").engine.inventory.containers.clear()
    asked = {"all": "1", "filters": '{"node":["node-1","nobody"]}'}
    assert await m.names(**asked) == []
    m.context.refresh_on_node_filter = True
    assert await m.names(**asked) == ["web"]


@under_management("node-1", "node-2", options=EngineOptions(3600, 3600))
async def test_a_certain_name_asks_all_nodes_first(m):
    for machine in m.machines.values():
        machine.create("web", Image="busybox:latest")
    await m.settle()
    m.cluster.container("node-1/web").engine.inventory.containers.clear()
    m.context.container_name_refresh_filter = "web"
    assert await m.names(all="1", filters='{"name":["we"]}') == ["web"]
    assert await m.names(all="1", filters='{"name":["web"]}') == ["web", "web"]


# GET /containers/NAME/json


@under_management("node-1", labels=["storage=ssd"], cpus=2, memory=1 << 30)
async def test_an_inspection_is_the_engine_s_own_and_names_the_node(m):
    made = await run(m, "node-1", "web")
    engine = web(m).engine
    found = await m.told("/containers/web/json")
    assert found.pop("Node") == {
        "ID": engine.id,
        "IP": "10.0.0.1",
        "Addr": "10.0.0.1:2375",
        "Name": "node-1",
        "Cpus": 2,
        "Memory": 1 << 30,
        "Labels": engine.labels,
    }
    assert found == m.machines["node-1"].inspect(made.id)
    for name in made.id, made.id[:12], "node-1/web":
        assert (await m.told(f"/containers/{name}/json"))["Id"] == made.id


@under_management("node-1")
async def test_an_inspection_tells_where_a_port_can_be_reached(m):
    bindings = {"80/tcp": [{"HostPort": "8080"}], "81/tcp": [{"HostIp": "127.0.0.1"}]}
    exposed = {"80/tcp": {}, "81/tcp": {}, "82/tcp": {}}
    body = {"ExposedPorts": exposed, "HostConfig": {"PortBindings": bindings}}
    await run(m, "node-1", "web", **body)
    ports = (await m.told("/containers/web/json"))["NetworkSettings"]["Ports"]
    assert {binding["HostIp"] for binding in ports["80/tcp"]} == {"10.0.0.1"}
    assert {binding["HostIp"] for binding in ports["81/tcp"]} == {"127.0.0.1"}
    assert not ports["82/tcp"]


@under_management("node-1")
async def test_who_cannot_be_inspected(m):
    made = await run(m, "node-1", "web")
    assert await m.get("/containers/nobody/json") == (404, "No such container nobody\n")
    m.machines["node-1"].containers.pop(made.id)
    gone = f"Error response from daemon: No such container: {made.id}\n"
    assert await m.get("/containers/web/json") == (500, gone)
    await engine_unhealthy(m)
    said = "Container web running on unhealthy node node-1\n"
    assert await m.get("/containers/web/json") == (500, said)


# Images, networks, volumes


@under_management("node-1", "node-2")
async def test_images_of_all_engines_are_listed_once(m):
    (found,) = await m.told("/images/json")
    assert (found["RepoTags"], found["Id"][:7]) == (["busybox:latest"], "sha256:")
    m.machines["node-2"].tag("busybox:latest", "box", "1")
    await m.settle()
    (found,) = await m.told("/images/json")
    assert found["RepoTags"] == ["busybox:latest", "box:1"]
    assert await m.filtered("/images/json", {"node": ["node-9"]}) == []


@pytest.mark.parametrize(
    ("version", "heard"),
    [("", True), ("/v1.24", True), ("/v1.9", True), ("/v1.28", False), ("/v1.100", False)],
)
def test_an_image_is_asked_for_by_name_alone_until_api_1_28(version, heard):
    async def main():
        async with manager("node-1") as m:
            found = await m.told(f"{version}/images/json", filter="nobody")
            assert bool(found) is not heard
            assert await m.told(f"{version}/images/json", filter="busy*")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("version", "other", "older"),
    [
        ("", "1.28", True),
        ("1.27", "1.28", True),
        ("1.28", "1.28", False),
        ("1.9", "1.28", True),
        ("1.100", "1.28", False),
        ("0.99", "1.28", True),
        ("1x29", "1.28", True),
        ("1", "1.0", True),
    ],
)
def test_versions_are_compared_number_by_number(version, other, older):
    assert is_before(version, other) is older


@under_management("node-1")
async def test_bad_filters_have_a_status_each(m):
    error = "json: cannot unmarshal number into Go value of type map[string]map[string]bool\n"
    for path, status in {
        LIST: 500,
        "/images/json": 500,
        "/networks": 400,
        "/volumes": 500,
    }.items():
        assert await m.get(path, filters="1") == (status, error)
    unknown = {"filters": '{"dangling":["x"]}'}
    said = "Invalid filter: 'type'='dangling'\n"
    assert await m.get("/images/json", **unknown) == (400, said)


@under_management("node-1", "node-2")
async def test_networks_of_one_engine_have_its_name(m):
    m.machines["node-1"].create_network("front")
    m.machines["node-1"].create_network("wide", driver="overlay")
    await m.cluster.refresh_engines()
    await m.lab.run(90)
    found = await m.filtered("/networks", {"type": ["custom"]})
    assert [each["Name"] for each in found] == ["node-1/front", "wide"]
    assert len(await m.filtered("/networks", {"type": ["builtin"]})) == 6


@under_management("node-1", "node-2")
async def test_a_network_and_who_is_on_it(m):
    net = m.machines["node-1"].create_network("front")
    made = await run(m, "node-1", "web", HostConfig={"NetworkMode": "front"})
    await m.lab.run(90)
    for name in "front", "node-1/front", net.id, net.id[:12]:
        found = await m.told(f"/networks/{name}")
        assert (found["Name"], list(found["Containers"])) == ("front", [made.id])
    # Each engine has one that is called so.
    for name in "bridge", "nobody":
        assert await m.get(f"/networks/{name}") == (404, f"No such network: {name}\n")


@under_management("node-1", "node-2")
async def test_a_list_of_no_volumes_is_null(m):
    assert await m.told("/volumes") == {"Volumes": None, "Warnings": None}


@under_management("node-1", "node-2")
async def test_volumes_of_one_engine_have_its_name(m):
    for machine, name in (("node-1", "data"), ("node-2", "data"), ("node-2", "only")):
        m.machines[machine].create_volume(name)
    await m.settle()
    found = (await m.told("/volumes"))["Volumes"]
    assert [each["Name"] for each in found] == ["node-1/data", "node-2/data", "node-2/only"]
    assert (await m.told("/volumes/only"))["Name"] == "only"
    assert (await m.told("/volumes/node-1/data"))["Name"] == "data"
    for name in "data", "nobody":
        assert await m.get(f"/volumes/{name}") == (404, f"No such volume: {name}\n")
