"""What the API does to networks and volumes."""

import json

import pytest

from tests.swarm.placing import NOWHERE, passing
from tests.swarm.test_handlers_images import flag, over
from walkthroughs.swarm import handlers_resources

JSON = {"Content-Type": "application/json"}


def body(value):
    return value if isinstance(value, bytes) else json.dumps(value).encode()


async def create(docker, what, value):
    """Return the status of an answer and its JSON, or its text."""
    path = f"/{what}s/create"
    handler = getattr(handlers_resources, f"post_{what}s_create")
    return decoded(await docker.ask(handler, "POST", path, content=body(value), headers=JSON))


def decoded(answer):
    status, text = answer
    return status, json.loads(text) if status == 201 else text


async def remove(docker, what, name):
    variable = {"network": "networkid", "volume": "name"}[what]
    handler = getattr(handlers_resources, f"delete_{what}s")
    path = f"/{what}s/{name}"
    return await docker.ask(handler, "DELETE", path, variables={variable: name})


async def attach(docker, verb, name, value, version=""):
    handlers = {
        "connect": handlers_resources.proxy_network_connect,
        "disconnect": handlers_resources.network_disconnect,
    }
    path = f"/networks/{{networkid}}/{verb}"
    return await docker.ask(
        handlers[verb],
        "POST",
        f"{version}/networks/{name}/{verb}",
        path,
        variables={"networkid": name} | ({"version": version[2:]} if version else {}),
        content=body(value),
        headers=JSON,
    )


def networks_of(docker, name):
    """Return the networks that a container is on, as the manager knows it."""
    settings = docker.cluster.container(name).raw["NetworkSettings"]
    return sorted(settings["Networks"])


def network(docker, name):
    return docker.cluster.networks().uniq().get(name)


async def run_container(docker, node, name):
    """Run a container on a node, and let the manager hear of it."""
    machine = docker.cluster.machines[node]
    machine.create(name, Image="busybox:latest", Cmd=["sleep", "9"])
    machine.start(name)
    await docker.cluster.engine(node).refresh()


# Networks: created and removed


@over("node-1", "node-2")
async def test_a_network_is_an_overlay_if_nothing_is_said(docker):
    status, made = await create(docker, "network", {"Name": "front"})
    assert (status, made) == (201, {"Id": network(docker, "front").id, "Warning": ""})
    here = [(each.engine.name, each.raw["Driver"]) for each in docker.cluster.networks().uniq()]
    assert ("node-1", "overlay") in here
    everywhere = [each for each in docker.cluster.networks() if each.name == "front"]
    assert [each.engine.name for each in everywhere] == ["node-1", "node-2"]


@over("node-1", "node-2")
async def test_a_network_is_created_on_the_node_that_is_named(docker):
    status, made = await create(docker, "network", {"Name": "node-2/own", "Driver": "bridge"})
    assert status == 201
    assert network(docker, "own").engine.name == "node-2"
    assert network(docker, made["Id"]).raw["Driver"] == "bridge"


@over("node-1")
async def test_a_network_for_no_such_node(docker):
    answer = await create(docker, "network", {"Name": "node-9/own"})
    assert answer == (500, f"{NOWHERE}\n")


@over("node-1")
async def test_an_engine_that_refuses_a_network_is_quoted(docker):
    answer = await create(docker, "network", {"Name": "own", "Driver": "nope"})
    assert answer == (500, 'Error response from daemon: plugin "nope" not found\n')


WRONG = "json: cannot unmarshal"


@pytest.mark.parametrize(
    ("value", "status", "said"),
    [
        (b"", 400, "EOF"),
        (b"{", 400, "unexpected EOF"),
        (b"[]", 400, f"{WRONG} array into Go value of type types.NetworkCreateRequest"),
        (
            b'{"Name":5}',
            400,
            f"{WRONG} number into Go struct field NetworkCreateRequest.Name of type string",
        ),
        (b"null", 500, "Error response from daemon: invalid name:"),
    ],
)
def test_a_network_of_a_bad_body(value, status, said):
    @over("node-1")
    async def main(docker):
        assert await create(docker, "network", value) == (status, f"{said}\n")

    main()


@over("node-1")
async def test_delete_network(docker):
    await create(docker, "network", {"Name": "node-1/own", "Driver": "bridge"})
    assert await remove(docker, "network", "node-1/own") == (204, "")
    assert await remove(docker, "network", "own") == (404, "No such network own\n")


@over("node-1", "node-2")
async def test_delete_of_a_name_that_two_engines_have(docker):
    assert await remove(docker, "network", "bridge") == (404, "No such network bridge\n")
    why = "Error response from daemon: bridge is a pre-defined network and cannot be removed"
    assert await remove(docker, "network", "node-1/bridge") == (500, f"{why}\n")


# Containers on networks


async def with_container(docker, driver="overlay"):
    await run_container(docker, "node-1", "web")
    await create(docker, "network", {"Name": "front", "Driver": driver})


@over("node-1", "node-2")
async def test_connect_is_known_when_it_is_answered(docker):
    await with_container(docker)
    assert await attach(docker, "connect", "front", {"Container": "web"}) == (200, "")
    assert networks_of(docker, "web") == ["bridge", "front"]
    assert list(network(docker, "front").containers) == [docker.cluster.container("web").id]


@over("node-1", "node-2")
async def test_connect_goes_to_the_engine_by_ids(docker):
    """The original hands on the client's name, which an engine may not know."""
    await with_container(docker)
    await attach(docker, "connect", "front", {"Container": "node-1/web"}, "/v1.24")
    path = f"/v1.24/networks/{network(docker, 'front').id}/connect"
    assert ("node-1:2375", "POST", path) in docker.asked()
    assert networks_of(docker, "web") == ["bridge", "front"]


@over("node-1")
async def test_an_engine_that_refuses_a_connect_is_passed_on(docker):
    await with_container(docker)
    machine = docker.cluster.machines["node-1"]
    machine.remove("web", force=True)
    id = docker.cluster.container("web").id
    status, text = await attach(docker, "connect", "front", {"Container": "web"})
    assert (status, json.loads(text)) == (404, {"message": f"No such container: {id}"})


@pytest.mark.parametrize("verb", ["connect", "disconnect"])
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("back", {"Container": "web"}, "No such network: back"),
        ("front", {"Container": "db"}, "No such container: db"),
        ("front", b"null", "No such container: "),
        ("front", b"", "Container is not specified"),
        ("front", b"{", "Container is not specified"),
        ("front", {"Container": 5}, "Container is not specified"),
    ],
)
def test_an_order_about_nothing(verb, name, value, said):
    @over("node-1")
    async def main(docker):
        await with_container(docker)
        assert await attach(docker, verb, name, value) == (404, f"{said}\n")

    main()


@over("node-1", "node-2")
async def test_disconnect(docker):
    await with_container(docker)
    await attach(docker, "connect", "front", {"Container": "web"})
    assert await attach(docker, "disconnect", "front", {"Container": "web"}) == (204, "")
    assert networks_of(docker, "web") == ["bridge"]
    assert network(docker, "front").containers == {}


@over("node-1")
async def test_a_disconnect_that_is_refused_is_not_found(docker):
    """Whatever the engine's own status was."""
    await with_container(docker)
    id = docker.cluster.container("web").id
    why = f"Error response from daemon: container {id} is not connected to network front"
    answer = await attach(docker, "disconnect", "front", {"Container": "web"})
    assert answer == (404, f"{why}\n")


GONE = "Cannot connect to the Docker daemon at tcp://node-1:2375. Is the docker daemon running?"


def record(machine, calls):
    """Have a machine write down which containers it is told to take off."""
    machine.disconnect = lambda net, container: calls.append((net, container))


@over("node-1", "node-2")
async def test_by_force_a_global_network_lets_go_of_a_container_whose_engine_is_away(docker):
    await with_container(docker)
    calls, id = [], docker.cluster.container("web").id
    record(docker.cluster.machines["node-2"], calls)
    docker.cluster.machines["node-1"].vanish()
    value = {"Container": "web", "Force": True}
    assert await attach(docker, "disconnect", "front", value) == (204, "")
    assert calls == [(network(docker, "front").id, id)]
    log = (
        f'level=warning msg="Could not connect to engine node-1: {GONE}, trying to disconnect '
        f'{id} from front on a random engine"'
    )
    assert log in docker.cluster.log()


@pytest.mark.parametrize(("driver", "force"), [("bridge", True), ("overlay", False)])
def test_otherwise_the_engine_has_to_be_there(driver, force):
    @over("node-1", "node-2")
    async def main(docker):
        calls = []
        record(docker.cluster.machines["node-2"], calls)
        await run_container(docker, "node-1", "web")
        await create(docker, "network", {"Name": "node-1/front", "Driver": driver})
        docker.cluster.machines["node-1"].vanish()
        value = {"Container": "web", "Force": force}
        answer = await attach(docker, "disconnect", "front", value)
        assert (answer, calls) == ((404, f"{GONE}\n"), [])

    main()


@over("node-1", "node-2")
async def test_without_another_engine_nobody_takes_the_container_off(docker):
    await with_container(docker)
    docker.cluster.machines["node-1"].vanish()
    flag(docker, "node-1")
    flag(docker, "node-2")
    value = {"Container": "web", "Force": True}
    assert await attach(docker, "disconnect", "front", value) == (500, f"{GONE}\n")


@over("node-1", "node-2")
async def test_an_engine_that_is_silent_is_not_waited_for_long(docker):
    await with_container(docker)
    record(docker.cluster.machines["node-2"], [])
    docker.cluster.machines["node-1"].freeze()
    value = {"Container": "web", "Force": True}
    docker.client.timeout = None
    work = attach(docker, "disconnect", "front", value)
    assert await passing(docker.cluster.lab, work, seconds=11) == (204, "")


# Volumes


@over("node-1", "node-2")
async def test_a_volume_is_created_on_every_engine(docker):
    status, made = await create(docker, "volume", {"Name": "data", "Labels": {"a": "b"}})
    assert (status, made["Name"], made["Labels"]) == (201, "data", {"a": "b"})
    assert [each.engine.name for each in docker.cluster.volumes()] == ["node-1", "node-2"]


@over("node-1", "node-2")
async def test_a_volume_is_created_on_the_node_that_is_named(docker):
    status, made = await create(docker, "volume", {"Name": "node-2/data"})
    assert (status, made["Name"]) == (201, "data")
    assert [each.engine.name for each in docker.cluster.volumes()] == ["node-2"]


@over("node-1", "node-2")
async def test_a_volume_without_a_name_has_one_name_on_all_engines(docker):
    status, made = await create(docker, "volume", b"null")
    names = {each.name for each in docker.cluster.volumes()}
    assert (status, len(made["Name"]), names) == (201, 64, {made["Name"]})


@over()
async def test_without_engines_a_volume_is_null(docker):
    assert await create(docker, "volume", {"Name": "data"}) == (201, None)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"", "EOF"),
        (b"[]", f"{WRONG} array into Go value of type volume.VolumesCreateBody"),
        (
            b'{"Name":5}',
            f"{WRONG} number into Go struct field VolumesCreateBody.Name of type string",
        ),
    ],
)
def test_a_volume_of_a_bad_body(value, said):
    @over("node-1")
    async def main(docker):
        assert await create(docker, "volume", value) == (400, f"{said}\n")

    main()


@over("node-1")
async def test_an_engine_that_refuses_a_volume_is_quoted(docker):
    why = (
        "Error response from daemon: create a: volume name is too short, names should be at least "
        "two alphanumeric characters"
    )
    assert await create(docker, "volume", {"Name": "a"}) == (500, f"{why}\n")


@over("node-1", "node-2")
async def test_delete_volume(docker):
    await create(docker, "volume", {"Name": "data"})
    assert await remove(docker, "volume", "data") == (204, "")
    assert docker.cluster.volumes() == []
    assert await remove(docker, "volume", "data") == (404, "No such volume data\n")


@over("node-1", "node-2")
async def test_a_volume_that_engines_keep_has_a_line_for_each(docker):
    await create(docker, "volume", {"Name": "data"})
    for machine in docker.cluster.machines.values():
        del machine.volumes["data"]
    why = "Error response from daemon: get data: no such volume"
    answer = await remove(docker, "volume", "data")
    assert answer == (500, f"node-1: {why}\nnode-2: {why}\n")
