"""What is done to containers on Swarm's own account, through the API of a manager in a lab."""

import base64
import json

import httpx2
import pytest

from tests.swarm.dockerd import IMAGE
from tests.swarm.managing import under_management
from tests.swarm.placing import NOWHERE
from walkthroughs.swarm import handlers_containers
from walkthroughs.swarm.health import State
from walkthroughs.swarm.lab_engine import LabEngine

BUSYBOX = {"Image": "busybox", "Cmd": ["sleep", "9"]}
JSON = "application/json"
REFUSED = "Error response from daemon: "


def taken(name):
    """Return what is said of a name that another container has."""
    return (
        f"Conflict: The name {name} is already assigned. You have to delete (or rename) that "
        f"container to be able to assign {name} to a container again.\n"
    )


async def send(docker, method, path, body=b"", **headers):
    """Send a request; return the status and the text of the answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await docker.client.request(method, path, content=content, headers=fields)
    await docker.settle()
    return answer.status_code, answer.text


async def create(docker, name="", /, headers=(), **raw):
    """Create a container; return it as its engine has it."""
    path = f"/containers/create?name={name}" if name else "/containers/create"
    status, text = await send(docker, "POST", path, {**BUSYBOX, **raw}, **dict(headers))
    assert status == 201, text
    return on_engine(docker, json.loads(text)["Id"])


async def run(docker, name):
    made = await create(docker, name)
    assert await send(docker, "POST", f"/containers/{name}/start") == (204, "")
    return made


def on_engine(docker, id_or_name):
    container = docker.cluster.container(id_or_name)
    return docker.machines[container.engine.name].container(container.id)


# Create


@under_management("node-1")
async def test_who_creates_a_container_is_told_its_id_and_nothing_else(docker):
    status, text = await send(docker, "POST", "/containers/create?name=web", BUSYBOX)
    assert (status, json.loads(text)) == (201, {"Id": docker.cluster.container("web").id})


@under_management("node-1")
async def test_a_container_in_an_old_version(docker):
    assert (await send(docker, "POST", "/v1.17/containers/create?name=web", BUSYBOX))[0] == 201
    assert docker.cluster.container("node-1/web")


@under_management("node-1")
async def test_fields_in_any_case_reach_the_engine_as_declared(docker):
    made = await create(docker, "web", env=["A=b"], hostconfig={"memory": 5 << 20})
    assert made.inspect()["Config"]["Env"] == ["A=b"]
    assert made.inspect()["HostConfig"]["Memory"] == 5 << 20


@under_management("node-1")
async def test_the_resources_of_an_old_client(docker):
    made = await create(docker, "web", Memory=5 << 20, Cpuset="0")
    host = made.inspect()["HostConfig"]
    assert (host["Memory"], host["CpusetCpus"]) == (5 << 20, "0")


@under_management("node-1")
async def test_the_engine_chooses_how_memory_is_swapped_unless_somebody_says(docker):
    async def swappiness(**host):
        return (await create(docker, HostConfig=host)).inspect()["HostConfig"]["MemorySwappiness"]

    assert await swappiness() == -1
    assert await swappiness(MemorySwappiness=60) == 60
    assert await swappiness(memoryswappiness=0) == 0
    assert await swappiness(MemorySwappiness=None) is None


@under_management("node-1")
async def test_who_asks_a_registry_is_passed_on(docker):
    given = []

    async def create_container(config, name, auth):
        given.append((config.image, name, auth))
        return docker.cluster.container("known")

    await create(docker, "known")
    docker.cluster.create_container = create_container
    auth = {"username": "me", "password": "?>"}
    header = base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()
    for fields in {"X_Registry_Auth": header}, {"X_Registry_Auth": "nonsense"}, {}:
        await create(docker, "web", headers=fields)
    assert given == [("busybox", "web", auth), ("busybox", "web", {}), ("busybox", "web", {})]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "EOF"),
        (b"bad", 400, "invalid character 'b' looking for beginning of value"),
        (
            b'{"Env":"x"}',
            400,
            "json: cannot unmarshal string into Go struct field OldContainerConfig.Env "
            "of type []string",
        ),
        (b"null", 500, f"{REFUSED}No command specified"),
        (b"{}]", 500, f"{REFUSED}No command specified"),
        (b'{"Env":["reschedule:x"]}', 500, "invalid reschedule policy: x"),
        (b'{"Env":["reschedule:off","reschedule:off"]}', 500, "too many reschedule policies"),
        (b'{"Env":["constraint:node==node-9"]}', 500, NOWHERE),
    ],
)
def test_a_container_that_cannot_be_created(body, status, said):
    @under_management("node-1")
    async def main(docker):
        answer = await send(docker, "POST", "/containers/create", body)
        assert answer == (status, f"{said}\n")

    main()


@under_management("node-1", "node-2")
async def test_a_name_is_taken_in_the_whole_cluster(docker):
    await create(docker, "web")
    answer = await send(docker, "POST", "/containers/create?name=web", BUSYBOX)
    assert answer == (409, taken("web"))


@under_management("node-1")
async def test_a_body_is_json_whatever_its_type_is_said_to_be(docker):
    # `curl -d` says so. The original's ParseForm takes the body for a form, and leaves `EOF`.
    form = "application/x-www-form-urlencoded"
    answer = await send(docker, "POST", "/containers/create", BUSYBOX, Content_Type=form)
    assert answer[0] == 201


@under_management("node-1")
async def test_a_request_that_an_older_swarm_would_have_cut_reaches_the_engine_whole(docker):
    made = await create(docker, "web", HostConfig={"DeviceRequests": [{"Count": -1}]})
    assert docker.cluster.container("web").config.host["DeviceRequests"] == [{"Count": -1}]
    assert made.name == "web"


# Start, rename, remove


@under_management("node-1")
async def test_start_is_done_whether_or_not_it_runs(docker):
    made = await create(docker, "web")
    # Before API 1.24 a client sent a configuration; of what it sends nothing is read.
    for body in b"", b'{"Binds":"nonsense"', b"{}":
        assert await send(docker, "POST", "/containers/web/start", body) == (204, "")
        assert made.running
        assert docker.cluster.container("web").running


@under_management("node-1")
async def test_rename(docker):
    made = await create(docker, "web")
    assert await send(docker, "POST", "/containers/web/rename?name=www") == (204, "")
    assert (made.name, docker.cluster.container("web")) == ("www", None)
    assert docker.cluster.container("www").id == made.id


@under_management("node-1", "node-2")
async def test_a_container_cannot_take_the_name_of_another(docker):
    await create(docker, "web")
    await create(docker, "db")
    answer = await send(docker, "POST", "/containers/db/rename?name=web")
    assert answer == (409, taken("web"))


@under_management("node-1")
async def test_a_container_needs_a_name(docker):
    await create(docker, "web")
    answer = await send(docker, "POST", "/containers/web/rename")
    assert answer == (500, f"{REFUSED}Neither old nor new names may be empty\n")


@under_management("node-1")
async def test_delete(docker):
    made = await run(docker, "web")
    running = f"{REFUSED}You cannot remove a running container {made.id}. "
    hint = "Stop the container before attempting removal or force remove\n"
    for query in "", "?force=0&v=1":
        assert await send(docker, "DELETE", f"/containers/web{query}") == (500, running + hint)
    assert await send(docker, "DELETE", "/containers/web?force=1&v=1") == (204, "")
    assert docker.cluster.containers() == []
    assert docker.machines["node-1"].containers == {}


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("POST", "/containers/nope/start", "No such container nope"),
        ("POST", "/containers/nope/exec", "No such container nope"),
        ("POST", "/containers/nope/rename?name=web", "No such container: nope"),
        ("POST", "/commit?container=nope", "No such container: nope"),
        ("POST", "/commit", "No such container: "),
        ("DELETE", "/containers/nope", "Container nope not found"),
    ],
)
def test_three_ways_to_say_that_there_is_no_container(method, path, said):
    @under_management("node-1")
    async def main(docker):
        assert await send(docker, method, path, b"bad") == (404, f"{said}\n")

    main()


@under_management("node-1")
async def test_some_are_not_sent_to_an_engine_that_does_not_answer(docker):
    await create(docker, "web")
    docker.cluster.container("web").engine.health.state = State.UNHEALTHY
    said = "Container web running on unhealthy node node-1\n"
    for path in "/containers/web/rename?name=www", "/commit?container=web":
        assert await send(docker, "POST", path) == (500, said)


# Exec


async def prepare(docker, name, *words):
    status, text = await send(docker, "POST", f"/containers/{name}/exec", {"Cmd": words})
    assert status == 201, text
    return json.loads(text)["Id"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "EOF"),
        (b"null", "No exec command specified"),
        (b"{}", "No exec command specified"),
        (b'{"Cmd":[]}', "No exec command specified"),
        (
            b'{"Cmd":"ls"}',
            "json: cannot unmarshal string into Go struct field ExecConfig.Cmd of type []string",
        ),
    ],
)
def test_a_command_that_is_none(body, said):
    @under_management("node-1")
    async def main(docker):
        await run(docker, "web")
        answer = await send(docker, "POST", "/containers/web/exec", body)
        assert answer == (400, f"{said}\n")

    main()


@under_management("node-1")
async def test_a_command_needs_a_container_that_runs(docker):
    made = await create(docker, "web")
    answer = await send(docker, "POST", "/containers/web/exec", {"Cmd": ["true"]})
    assert answer == (500, f"{REFUSED}Container {made.id} is not running\n")


@under_management("node-1", "node-2")
async def test_a_command_is_found_by_its_id(docker):
    await run(docker, "web")
    await run(docker, "db")
    exec_id = await prepare(docker, "db", "sleep", "5")
    status, told = await docker.get(f"/exec/{exec_id}/json")
    assert (status, told["ContainerID"]) == (200, docker.cluster.container("db").id)


@under_management("node-1")
async def test_a_command_is_found_until_long_after_it_has_ended(docker):
    await run(docker, "web")
    exec_id = await prepare(docker, "web", "true")

    async def told():
        await docker.cluster.refresh_engines()
        listed = docker.cluster.container("web").info["ExecIDs"]
        return listed, (await docker.told(f"/exec/{exec_id}/json"))["ExitCode"]

    assert await told() == ([exec_id], None)
    path = f"/exec/{exec_id}/start"
    assert (await send(docker, "POST", path, {"Detach": True}, Content_Type=JSON))[0] == 200
    # Of a command that has ended, the engine's list says nothing. The original forgets it, too.
    assert await told() == (None, 0)


@under_management("node-1")
async def test_a_command_goes_with_its_container(docker):
    await run(docker, "web")
    exec_id = await prepare(docker, "web", "true")
    await send(docker, "DELETE", "/containers/web?force=1")
    assert await docker.get(f"/exec/{exec_id}/json") == (404, f"Exec {exec_id} not found\n")


@under_management("node-1")
async def test_of_many_commands_the_latest_are_remembered(docker):
    made = await run(docker, "web")
    first = await prepare(docker, "web", "true")
    assert docker.context.memory["execs"] == {first: made.id}
    for number in range(handlers_containers.EXECS_KEPT):
        handlers_containers.remember(docker.context, f"{number}", docker.cluster.container("web"))
    execs = docker.context.memory["execs"]
    assert (len(execs), first in execs, execs["9999"]) == (10_000, False, made.id)


def test_an_engine_lists_a_command_until_it_has_ended(engines):
    def ask(method, path, body=None):
        with httpx2.Client(base_url=f"http://{engines[0].address}") as engine:
            answer = engine.request(method, path, json=body)
        return json.loads(answer.content or b"null")

    made = engines[0].cli("run", "--detach", "--network=none", IMAGE, "sleep", "60")
    path = f"/containers/{made}"
    listed = lambda: ask("GET", f"{path}/json")["ExecIDs"]  # noqa: E731
    assert listed() is None
    command = ask("POST", f"{path}/exec", {"Cmd": ["sleep", "0.2"], "AttachStdout": True})
    assert listed() == [command["Id"]]
    ask("POST", f"/exec/{command['Id']}/start", {"Tty": False})
    told = ask("GET", f"/exec/{command['Id']}/json")
    assert (told["Running"], told["ExitCode"], listed()) == (False, 0, None)


# Commit


@under_management("node-1", "node-2")
async def test_commit_is_sent_to_the_engine_that_has_the_container(docker):
    await run(docker, "web")
    node = docker.cluster.container("web").engine.name
    path = "/v1.24/commit?tag=v1&container=web&repo=shop"
    status, text = await send(docker, "POST", path, {"Cmd": ["true"]}, Content_Type=JSON)
    assert status == 201, text
    image = docker.cluster.image("shop:v1")
    assert (image.engine.name, image.id) == (node, json.loads(text)["Id"])


@under_management("node-1")
async def test_of_the_query_only_the_container_is_replaced(docker):
    made = await run(docker, "we")
    given = []

    def commit(*words):
        given.append(words)
        return LabEngine.commit(docker.machines["node-1"], *words)

    docker.machines["node-1"].commit = commit
    path = "/commit?repo=web&comment=we+are%26we&container=we&pause=0"
    assert (await send(docker, "POST", path))[0] == 201
    assert given == [(made.id, "web", "", "we are&we")]


@under_management("node-1")
async def test_a_commit_that_the_engine_refuses(docker):
    await run(docker, "web")
    before = len(docker.cluster.images())
    status, text = await send(docker, "POST", "/commit?container=web&repo=SHOP")
    said = "invalid reference format: repository name must be lowercase"
    assert (json.loads(text), len(docker.cluster.images())) == ({"message": said}, before)
    assert status in (400, 500)
