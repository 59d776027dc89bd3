"""What an engine is told to do, in the lab and on a real one: obeyed, seen at once, or refused."""

import asyncio
import base64
import io
import json
import re
import tarfile
from contextlib import asynccontextmanager
from inspect import signature

import pytest

from tests.swarm.dockerd import busybox
from tests.swarm.test_inventory import ADDR, Post, reached
from walkthroughs.swarm import orders
from walkthroughs.swarm.cluster import Container
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.engine_api import ConnectionFailed, EngineError
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.lab_images import Image, failure
from walkthroughs.swarm.lab_machine import DaemonError
from walkthroughs.swarm.world import World

GIB = 1 << 30
DAEMON = "Error response from daemon: "
DENIED = (
    "pull access denied for {0}, repository does not exist or may require 'docker login': "
    "denied: requested access to the resource is denied"
)


@asynccontextmanager
async def in_lab(**options):
    async with Lab() as lab:
        real = LabEngine(lab, "node-1", ADDR, **options).plug()
        async with reached(ADDR, lab.world("manager", io.StringIO())) as engine:
            engine.inventory.real = real
            lab.network.exchanges.clear()
            yield engine


def told(test=None, **options):
    """Return a test that is told about an engine of the lab, which hears no events."""

    def decorate(test):
        async def main(more):
            async with in_lab(**options) as engine:
                await test(engine, **more)

        def run(**more):
            asyncio.run(main(more))

        run.__name__ = test.__name__
        run.__doc__ = test.__doc__
        names = list(signature(test).parameters.values())[1:]
        run.__signature__ = signature(test).replace(parameters=names)
        return run

    return decorate(test) if test else decorate


def both(test):
    """Return a test of the same story in the lab and on a real engine."""

    async def on_docker(docker):
        async with reached(docker.address, World(stdout=io.StringIO())) as engine:
            await test(engine)

    async def on_lab():
        async with in_lab() as engine:
            await test(engine)

    @pytest.mark.parametrize("where", ["lab", "docker"])
    def run(where, request):
        if where == "lab":
            asyncio.run(on_lab())
        else:
            asyncio.run(on_docker(request.getfixturevalue("engines")[0]))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def asking(image="busybox:latest", cmd=("sleep", "1000"), **host):
    host = {"NetworkMode": "none", **host}
    return ContainerConfig.build({"Image": image, "Cmd": [*cmd], "HostConfig": host})


def create(engine, name="", auth=None, **options):
    return orders.create_container(engine, asking(**options), name, auth or {})


async def refusal(work):
    with pytest.raises(EngineError) as error:
        await work
    return str(error.value)


def sent(engine):
    """Return what an engine of the lab was asked for since the last time."""
    exchanges = engine.inventory.real.lab.network.exchanges
    said = [f"{each.method} {each.path.removeprefix('/v1.31')}" for each in exchanges]
    exchanges.clear()
    return said


class Ear:
    """Stands before an engine of the lab, and notes what comes in."""

    def __init__(self, engine):
        real = engine.inventory.real
        self.app, self.heard, self.headers, self.body = real.app, [], {}, b""
        real.vanish()
        real.lab.network.plug(real.address, self)

    async def __call__(self, scope, receive, send):
        if scope["method"] != "GET":
            asked = scope["query_string"].decode()
            self.heard.append((scope["method"], scope["path"].removeprefix("/v1.31"), asked))
            self.headers = {key.decode(): value.decode() for key, value in scope["headers"]}
            self.body = b""

        async def heard():
            message = await receive()
            self.body += message.get("body", b"")
            return message

        await self.app(scope, heard, send)


def now(container):
    """Return the newest state of a container; None for one that is not known."""
    return container.engine.inventory.containers.get(container.id)


async def pieces(*chunks):
    for chunk in chunks:
        yield chunk


def tar(**files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


# Created, started, renamed, removed


@both
async def test_create_container(engine):
    made = await create(engine, "web", Memory=GIB, CpuShares=1)
    assert (made.names, made.config.image) == (["/web"], "busybox:latest")
    assert now(made) is made
    assert (engine.inventory.used_cpus, engine.inventory.used_memory) == (1, GIB)
    there = await engine.look(f"/containers/{made.id}/json")
    assert there["HostConfig"]["CpuShares"] == -(-1024 // engine.cpus)


@both
async def test_a_container_without_a_name_is_given_one(engine):
    made = await create(engine)
    assert re.fullmatch("/[a-z]+_[a-z]+[0-9]?", made.names[0])


@both
async def test_a_name_that_is_taken_is_a_conflict(engine):
    made = await create(engine, "web")
    assert await refusal(create(engine, "web")) == (
        f'{DAEMON}Conflict. The container name "/web" is already in use by container "{made.id}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
    assert list(engine.inventory.containers) == [made.id]


@both
async def test_a_request_that_is_wrong_is_refused(engine):
    said = await refusal(create(engine, "!"))
    assert said == f"{DAEMON}Invalid container name (!), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"


@told(cpus=8)
async def test_cpus_are_shares_of_an_engine(engine):
    ear = Ear(engine)
    config = asking(CpuShares=3, Memory=GIB)
    await orders.create_container(engine, config, "web", {})
    assert ear.heard == [("POST", "/containers/create", "name=web")]
    assert json.loads(ear.body) == {**config.raw, "HostConfig": {**config.host, "CpuShares": 384}}
    assert config.cpus == 3


@pytest.mark.parametrize(("cpus", "shares"), [(1, 342), (3, 1024), (4, 1366), (0, 0)])
def test_shares_are_rounded_up_so_that_no_cpu_is_lost(cpus, shares):
    class Three:
        cpus = 3

    body = orders.for_engine(Three, asking(CpuShares=cpus))
    assert body["HostConfig"]["CpuShares"] == shares
    assert shares * 3 // 1024 == cpus


@told(images=[])
async def test_a_missing_image_is_pulled_and_the_container_created_again(engine):
    engine.inventory.real.registry = {"redis:7": Image.named("redis:7")}
    made = await create(engine, "web", image="redis:7")
    assert sent(engine) == [
        "POST /containers/create",
        "POST /images/create",
        "GET /images/json",
        "POST /containers/create",
        "GET /containers/json",
        f"GET /containers/{made.id}/json",
    ]
    assert [each.tags for each in engine.inventory.images] == [["redis:7"]]


@told(images=[])
async def test_an_image_that_no_registry_has_is_the_reason(engine):
    assert await refusal(create(engine, image="redis:7")) == DAEMON + DENIED.format("redis")


def test_a_registry_that_a_real_engine_does_not_reach_is_the_reason(engines):
    async def story():
        async with reached(engines[0].address, World(stdout=io.StringIO())) as engine:
            said = await refusal(create(engine, image="127.0.0.1:1/nobody:1"))
            where = "dial tcp 127.0.0.1:1: connect: connection refused"
            assert said in [f'{DAEMON}Get "http{s}://127.0.0.1:1/v2/": {where}' for s in ("", "s")]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (404, 'create data: error looking up volume plugin x: plugin "x" not found'),
        (409, "Conflict"),
        (500, "No such image"),
    ],
)
@told
async def test_only_a_missing_image_makes_an_engine_pull(engine, status, why):
    def refuse(*_, **__):
        raise DaemonError(status, why)

    engine.inventory.real.create = refuse
    assert await refusal(create(engine, "web")) == f"{DAEMON}{why}"
    assert sent(engine) == ["POST /containers/create"]


def test_a_real_engine_without_a_volume_driver_is_not_told_to_pull(engines):
    async def story():
        async with reached(engines[0].address, World(stdout=io.StringIO())) as engine:
            said = await refusal(create(engine, Binds=["data:/data"], VolumeDriver="nobody"))
            why = 'create data: error looking up volume plugin nobody: plugin "nobody" not found'
            assert said == f"{DAEMON}{why}"

    asyncio.run(story())


@told(images=[])
async def test_a_pull_for_a_container_asks_as_the_user(engine):
    ear = Ear(engine)
    await refusal(create(engine, image="redis:7", auth={"username": "me"}))
    assert orders.encode_auth({"username": "me"}) == {
        "X-Registry-Auth": ear.headers["x-registry-auth"]
    }


@told
async def test_a_container_that_is_created_and_not_reported_is_an_error(engine):
    real = engine.inventory.real
    first = real.create

    def create_and_lose(name, **body):
        made = first(name, **body)
        real.remove(made.id)
        return made

    real.create = create_and_lose
    assert await refusal(create(engine)) == "Container created but refresh didn't report it back"


@told
async def test_a_container_that_is_created_and_cannot_be_read_is_not_reported_either(engine):
    real = engine.inventory.real
    real.inspect = lambda name: {}
    assert await refusal(create(engine)) == "Container created but refresh didn't report it back"


@told
async def test_a_creation_whose_answer_is_lost_may_have_made_a_container(engine):
    real = engine.inventory.real
    real.fault = "half"
    with pytest.raises(orders.Unanswered) as error:
        await create(engine, "web")
    assert error.value.engine is engine
    assert [each.name for each in real.containers.values()] == ["web"]


@told
async def test_who_refuses_or_was_not_reached_has_made_nothing(engine):
    await create(engine, "web")
    for fault in None, "500", "vanished":
        engine.inventory.real.fault = fault
        if fault == "vanished":
            engine.inventory.real.vanish()
        with pytest.raises(EngineError) as error:
            await create(engine, "web")
        assert not isinstance(error.value, orders.Unanswered)


@told(images=[])
async def test_a_pull_that_fails_has_made_nothing(engine):
    engine.inventory.real.pull = lambda name: [FINE, BROKEN]
    with pytest.raises(EngineError) as error:
        await create(engine, image="redis:7")
    assert type(error.value) is EngineError
    assert str(error.value) == "Failed to load redis:7: no space left on device"


@both
async def test_a_container_that_was_started_runs(engine):
    made = await create(engine)
    await orders.start_container(made)
    assert now(made).running
    await orders.start_container(made)
    assert now(made).running


@both
async def test_who_is_gone_takes_no_orders(engine):
    gone = await create(engine)
    await engine.ask("DELETE", f"/containers/{gone.id}")
    why = f"{DAEMON}No such container: {gone.id}"
    assert await refusal(orders.start_container(gone)) == why
    assert await refusal(orders.rename_container(gone, "shop")) == why
    assert await refusal(orders.remove_container(gone, force=True, volumes=True)) == why


@both
async def test_a_start_that_fails_is_told(engine):
    made = await create(engine)
    await engine.ask("POST", f"/containers/{made.id}/start")
    await engine.ask("POST", f"/containers/{made.id}/pause")
    why = f"{DAEMON}cannot start a paused container, try unpause instead"
    assert await refusal(orders.start_container(made)) == why


@both
async def test_who_removes_itself_after_a_start_is_gone_without_an_error(engine):
    """`engine.go` calls it a removal on the daemon's side, where AutoRemove is set."""
    made = await create(engine, cmd=["true"], AutoRemove=True)
    await orders.start_container(made)
    async with asyncio.timeout(20):
        while now(made):
            await engine.inventory.refresh_container(made.id, full=True)


@pytest.mark.parametrize("answer", ["containers/json", "{}/json"])
@told
async def test_who_is_gone_by_the_time_of_the_look_was_started(engine, answer):
    """Gone before the list, or after it: the order was carried out, and all is known."""
    made = await create(engine, AutoRemove=True)
    real = engine.inventory.real
    if answer == "containers/json":
        start = real.start
        real.start = lambda name: start(name) and (real.exit(name) or True)
        await orders.start_container(made)
    else:
        here = Post(real).hold("/containers/json")
        task = asyncio.ensure_future(orders.start_container(made))
        await real.lab.clock.advance(0)
        real.exit(made.id)
        here.set()
        await task
    assert (now(made), engine.inventory.names) == (None, {})


@both
async def test_a_container_has_its_new_name_at_once(engine):
    made, other = await create(engine, "web"), await create(engine, "db")
    await orders.rename_container(made, "shop")
    assert engine.inventory.names == {"/shop": made.id, "/db": other.id}
    assert await refusal(orders.rename_container(other, "shop")) == (
        f'{DAEMON}Error when allocating new name: Conflict. The container name "/shop" is already '
        f'in use by container "{made.id}". You have to remove (or rename) that container to be '
        "able to reuse that name."
    )


@both
async def test_what_runs_is_removed_by_force_only(engine):
    made = await create(engine)
    await orders.start_container(made)
    assert await refusal(orders.remove_container(made, force=False, volumes=False)) == (
        f"{DAEMON}You cannot remove a running container {made.id}. Stop the container before "
        "attempting removal or force remove"
    )
    assert now(made)
    await orders.remove_container(made, force=True, volumes=False)
    assert engine.inventory.containers == {}


@both
async def test_volumes_without_a_name_go_with_their_container_if_it_is_said(engine):
    for volumes, left in ((True, 0), (False, 1)):
        config = ContainerConfig.build({**asking().raw, "Volumes": {"/data": {}}})
        made = await orders.create_container(engine, config, "", {})
        await orders.remove_container(made, force=False, volumes=volumes)
        await engine.inventory.refresh_volumes()
        assert len(engine.inventory.volumes) == left


# Images


AUTH = {"username": "me", "password": "pässword?>", "serveraddress": "https://registry/v1/"}


def test_who_asks_a_registry_is_told_in_a_header():
    """The original writes it in the URL alphabet of base64, with its padding."""
    (text,) = orders.encode_auth(AUTH).values()
    assert json.loads(base64.urlsafe_b64decode(text)) == AUTH
    assert re.fullmatch(r"[-\w]+=*", text)
    assert len(text) % 4 == 0


def test_nobody_is_told_in_no_header():
    assert orders.encode_auth({}) == {}


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        ("redis", "fromImage=redis&tag=latest"),
        ("redis:7", "fromImage=redis&tag=7"),
        ("host:5000/redis", "fromImage=host%3A5000%2Fredis&tag=latest"),
        ("redis@sha256:" + "a" * 64, "fromImage=redis&tag=sha256%3A" + "a" * 64),
    ],
)
@told
async def test_a_pull_asks_for_one_tag(engine, image, asked):
    ear = Ear(engine)
    await refusal(orders.pull(engine, image, {}, print))
    assert ear.heard == [("POST", "/images/create", asked)]


@told(images=[])
async def test_a_pull_tells_how_it_goes(engine):
    heard, image = [], Image.named("redis:7")
    engine.inventory.real.registry = {"redis:7": image}
    await orders.pull(engine, "redis:7", {}, heard.append)
    assert [line["status"].partition(":")[0] for line in heard] == [
        "Pulling from library/redis",
        "Digest",
        "Status",
    ]
    assert [each.tags for each in engine.inventory.images] == [["redis:7"]]


BROKEN = failure("no space left on device")
FINE = {"status": "fine"}


async def pull(engine, progress):
    engine.inventory.real.pull = lambda name: [FINE, BROKEN, FINE]
    await orders.pull(engine, "redis:7", {}, progress)


async def load(engine, progress):
    engine.inventory.real.load = lambda data: [FINE, BROKEN, FINE]
    await orders.load(engine, pieces(b""), progress)


async def import_image(engine, progress):
    engine.inventory.real.import_image = lambda *_: [FINE, BROKEN, FINE]
    await orders.import_image(engine, {"repo": "own", "tag": "1"}, pieces(b""), progress)


async def build_image(engine, progress):
    engine.inventory.real.build = lambda *_: [FINE, BROKEN, FINE]
    await orders.build_image(engine, {}, "", pieces(b""), progress)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (pull, "Failed to load redis:7"),
        (load, "Failed to load image"),
        (import_image, "Failed to import own:1"),
        (build_image, "Failed to build image"),
    ],
)
@told
async def test_a_line_that_is_an_error_ends_a_long_answer(engine, order, said):
    heard = []
    assert await refusal(order(engine, heard.append)) == f"{said}: no space left on device"
    assert heard == [FINE]
    assert sent(engine)[-1] == "GET /images/json"


@pytest.mark.parametrize("detail", [7, "x", [1]])
def test_an_error_of_the_wrong_shape_is_an_error(detail):
    lines = orders.Lines("Failed", print)
    with pytest.raises(EngineError, match=r"^unexpected answer about progress "):
        lines({"errorDetail": detail})


@told
async def test_a_broken_stream_is_an_error(engine):
    real = engine.inventory.real
    real.registry = {"redis:7": Image.named("redis:7")}
    real.fault = "garbage"
    said = await refusal(orders.pull(engine, "redis:7", {}, print))
    assert said == 'no JSON in a stream: "<html>not an engine</html>"'


@both
async def test_an_archive_is_loaded(engine):
    archive = busybox()[1] if not hasattr(engine.inventory, "real") else own_archive()
    heard = []
    await orders.load(engine, pieces(archive[:5000], archive[5000:]), heard.append)
    assert heard[-1]["stream"] == "Loaded image: busybox:latest\n"
    assert ["busybox:latest"] in [each.tags for each in engine.inventory.images]


def own_archive():
    manifest = [{"Config": f"{'a' * 64}.json", "RepoTags": ["busybox:latest"], "Layers": []}]
    return tar(**{"manifest.json": json.dumps(manifest)})


@told
async def test_what_is_loaded_comes_as_a_tar_archive(engine):
    ear = Ear(engine)
    await orders.load(engine, pieces(own_archive()), lambda line: None)
    assert ear.heard == [("POST", "/images/load", "quiet=0")]
    assert ear.headers["content-type"] == "application/x-tar"


@both
async def test_a_file_system_becomes_an_image(engine):
    heard, query = [], {"fromSrc": "-", "repo": "own", "tag": "1", "message": "by hand"}
    await orders.import_image(engine, query, pieces(tar(file="text")), heard.append)
    id = heard[-1]["status"]
    tags = {each.id: each.tags for each in engine.inventory.images}
    assert tags[id] == ["own:1"]


@both
async def test_a_build_is_an_image_at_once(engine):
    heard, query = [], {"t": "own:2"}
    context = tar(Dockerfile="FROM busybox\nLABEL a=b\n")
    await orders.build_image(engine, query, "", pieces(context), heard.append)
    said = "".join(line.get("stream", "") for line in heard)
    assert "Successfully tagged own:2\n" in said
    assert any("own:2" in each.tags for each in engine.inventory.images)


@both
async def test_a_build_that_fails_says_why(engine):
    context = tar(Dockerfile="FROM UPPER\n")
    said = await refusal(orders.build_image(engine, {}, "", pieces(context), lambda line: None))
    why = "invalid reference format: repository name must be lowercase"
    assert said in (
        f"Failed to build image: {why}",
        f"{DAEMON}dockerfile parse error line 1: {why}",
    )


@told
async def test_a_build_takes_along_what_the_client_said(engine):
    ear, query = Ear(engine), {"t": "own", "rm": "1", "labels": '{"a":"b"}'}
    context = tar(Dockerfile="FROM busybox\n")
    await orders.build_image(engine, query, "secrets", pieces(context), lambda line: None)
    asked = "t=own&rm=1&labels=%7B%22a%22%3A%22b%22%7D"
    assert ear.heard == [("POST", "/build", asked)]
    assert ear.headers["content-type"] == "application/x-tar"
    assert ear.headers["x-registry-config"] == "secrets"
    assert ear.body == context


@both
async def test_an_image_has_its_new_name_at_once(engine):
    await orders.tag_image(engine, "busybox", "own")
    assert [sorted(each.tags) for each in engine.inventory.images] == [
        ["busybox:latest", "own:latest"]
    ]
    await orders.tag_image(engine, "own", "own:2")
    await orders.remove_image(engine, "own", force=False)
    assert [sorted(each.tags) for each in engine.inventory.images] == [["busybox:latest", "own:2"]]


@both
async def test_what_no_image_has_as_a_name_cannot_be_tagged(engine):
    said = await refusal(orders.tag_image(engine, "nobody", "own"))
    assert said == f"{DAEMON}No such image: nobody:latest"


@told
async def test_a_name_with_slashes_stays_one_name(engine):
    ear = Ear(engine)
    await orders.tag_image(engine, "busybox", "host:5000/a/b:1")
    await orders.remove_image(engine, "host:5000/a/b:1", force=True)
    assert ear.heard == [
        ("POST", "/images/busybox/tag", "repo=host%3A5000%2Fa%2Fb&tag=1"),
        ("DELETE", "/images/host:5000/a/b:1", "force=1"),
    ]


@both
async def test_remove_image(engine):
    await orders.tag_image(engine, "busybox", "own")
    removed = await orders.remove_image(engine, "own", force=False)
    assert removed == [{"Untagged": "own:latest"}]
    assert [each.tags for each in engine.inventory.images] == [["busybox:latest"]]


@told
async def test_parents_without_a_name_go_with_an_image(engine):
    """The original asks for it by leaving `noprune` out."""
    ear = Ear(engine)
    await orders.remove_image(engine, "busybox", force=False)
    assert ear.heard == [("DELETE", "/images/busybox", "")]


@told
async def test_images_are_listed_again_after_a_refusal(engine):
    await engine.inventory.refresh_images()
    real = engine.inventory.real
    real.tag("busybox", "own")
    said = await refusal(orders.remove_image(engine, "nobody", force=False))
    assert said == f"{DAEMON}No such image: nobody:latest"
    assert [each.tags for each in engine.inventory.images] == [["busybox:latest", "own:latest"]]


@told
async def test_an_order_that_was_carried_out_succeeds_whatever_the_list_says(engine):
    real = engine.inventory.real
    real.list_images = lambda filters: {}
    await orders.tag_image(engine, "busybox", "own")
    assert real.image("own").tags == ["busybox:latest", "own:latest"]


@told
async def test_nobody_is_asked_for_images_where_nobody_is(engine):
    engine.inventory.real.vanish()
    with pytest.raises(ConnectionFailed):
        await orders.tag_image(engine, "busybox", "own")
    assert (engine.health.failures, sent(engine)) == (1, ["POST /images/busybox/tag"])


@told
async def test_a_listener_that_fails_is_heard(engine):
    def fail(line):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await orders.load(engine, pieces(own_archive()), fail)


# Networks and volumes


@both
async def test_a_network_is_known_at_once(engine):
    made = await orders.create_network(engine, "mesh", {"Driver": "bridge", "Name": "other"})
    network = engine.inventory.networks[made["Id"]]
    assert (network.name, network.scope) == ("mesh", "local")
    await orders.remove_network(engine, network)
    assert made["Id"] not in engine.inventory.networks
    said = await refusal(orders.remove_network(engine, network))
    assert said == f"{DAEMON}network {network.id} not found"


@both
async def test_a_network_that_must_not_have_a_name_is_refused(engine):
    said = await refusal(orders.create_network(engine, "host", {"Driver": "bridge"}))
    assert said == f"{DAEMON}operation is not permitted on predefined host network"


@both
async def test_a_container_is_on_a_network_until_it_is_taken_off(engine):
    made = await orders.create_network(engine, "mesh", {"Driver": "bridge"})
    container = await create(engine, "web", NetworkMode="mesh")
    other = await orders.create_network(engine, "side", {"Driver": "bridge"})
    await orders.connect(engine, "side", "web", {"Aliases": ["shop"]})
    await orders.start_container(container)
    await engine.inventory.refresh_network(other["Id"])
    assert list(engine.inventory.networks[other["Id"]].containers) == [container.id]
    await orders.disconnect(engine, other["Id"], container.id)
    await engine.inventory.refresh_network(other["Id"])
    assert engine.inventory.networks[other["Id"]].containers == {}
    await engine.inventory.refresh_network(made["Id"])
    assert list(engine.inventory.networks[made["Id"]].containers) == [container.id]


@told
async def test_a_network_lets_go_by_force_and_takes_in_as_it_is_told(engine):
    ear, end = Ear(engine), {"IPAMConfig": {"IPv4Address": "172.18.0.9"}}
    await refusal(orders.connect(engine, "mesh", "web", end))
    assert ear.heard == [("POST", "/networks/mesh/connect", "")]
    assert json.loads(ear.body) == {"Container": "web", "EndpointConfig": end}
    await refusal(orders.disconnect(engine, "mesh", "web"))
    assert ear.heard[1:] == [("POST", "/networks/mesh/disconnect", "")]
    assert json.loads(ear.body) == {"Container": "web", "Force": True}


@told
async def test_a_network_that_does_not_answer_is_given_up_after_ten_seconds(engine):
    lab = engine.inventory.real.lab
    engine.inventory.real.freeze()
    for order in (
        orders.connect(engine, "mesh", "web", {}),
        orders.disconnect(engine, "mesh", "web"),
    ):
        task = asyncio.ensure_future(order)
        await lab.clock.advance(9)
        assert not task.done()
        await lab.clock.advance(1)
        with pytest.raises(ConnectionFailed):
            await task


@both
async def test_a_volume_is_known_at_once(engine):
    made = await orders.create_volume(engine, {"Name": "data", "Labels": {"tier": "db"}})
    assert engine.inventory.volumes["data"].raw["Labels"] == made["Labels"] == {"tier": "db"}
    await orders.remove_volume(engine, "data")
    assert engine.inventory.volumes == {}
    assert (
        await refusal(orders.remove_volume(engine, "data")) == f"{DAEMON}get data: no such volume"
    )


@both
async def test_a_volume_in_use_is_not_removed(engine):
    made = await create(engine, Binds=["data:/data"])
    await engine.inventory.refresh_volumes()
    said = await refusal(orders.remove_volume(engine, "data"))
    assert said == f"{DAEMON}remove data: volume is in use - [{made.id}]"
    assert list(engine.inventory.volumes) == ["data"]


class Answering:
    """An engine that answers all orders the same."""

    def __init__(self, answer):
        self.answer, self.cpus = answer, 4

    async def ask(self, *arguments, **options):
        return self.answer


@pytest.mark.parametrize("answer", [None, [], {}, 7])
@pytest.mark.parametrize(
    "order",
    [
        lambda e: create(e),
        lambda e: orders.create_network(e, "mesh", {}),
        lambda e: orders.create_volume(e, {}),
    ],
    ids=["container", "network", "volume"],
)
def test_who_makes_a_thing_and_does_not_say_which_is_not_understood(order, answer):
    with pytest.raises(EngineError, match=r"^unexpected answer about a new thing \("):
        asyncio.run(order(Answering(answer)))


@told
async def test_every_order_tells_what_an_engine_refuses(engine):
    """Status 500, and each message is the engine's own."""
    await engine.inventory.refresh_networks()
    network = next(iter(engine.inventory.networks.values()))
    known = Container(engine, asking(), {"Id": "c" * 64}, {})
    engine.inventory.real.fault = "500"
    for order in (
        create(engine),
        orders.start_container(known),
        orders.rename_container(known, "shop"),
        orders.remove_container(known, force=True, volumes=True),
        orders.pull(engine, "redis", {}, print),
        orders.load(engine, pieces(b""), print),
        orders.import_image(engine, {}, pieces(b""), print),
        orders.build_image(engine, {}, "", pieces(b""), print),
        orders.remove_image(engine, "busybox", force=True),
        orders.tag_image(engine, "busybox", "own"),
        orders.create_network(engine, "mesh", {}),
        orders.remove_network(engine, network),
        orders.connect(engine, "mesh", "web", {}),
        orders.disconnect(engine, "mesh", "web"),
        orders.create_volume(engine, {}),
        orders.remove_volume(engine, "data"),
    ):
        assert await refusal(order) == f"{DAEMON}the lab has this engine fail"
