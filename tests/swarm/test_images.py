"""Images on many engines: removed, tagged, pulled, loaded, imported, built."""

import asyncio
import io
import json
import tarfile

import pytest

from tests.swarm.placing import NOWHERE, in_cluster, pieces, real, run
from walkthroughs.swarm.cluster import ClusterError, Message
from walkthroughs.swarm.images import build_config
from walkthroughs.swarm.lab_images import Image, failure
from walkthroughs.swarm.lab_machine import DaemonError


def on(cluster, name="busybox:latest"):
    """Return the names of the machines that have an image of that name."""
    return [
        machine.name
        for machine in cluster.machines.values()
        if any(name in each.tags for each in machine.images.values())
    ]


# Which engine


@in_cluster("node-1", "node-2")
async def test_a_random_engine_is_where_a_bare_container_would_go(cluster):
    await cluster.create_container(cluster_request(), "web", {})
    assert cluster.random_engine().name == "node-2"


def cluster_request():
    return build_config({"buildargs": "{}"})[0].build({"Image": "busybox:latest"})


@in_cluster()
async def test_without_engines_none_is_random(cluster):
    with pytest.raises(ClusterError, match=r"^No healthy node available in the cluster$"):
        cluster.random_engine()


@in_cluster("node-1", "node-2")
async def test_an_engine_is_found_by_its_name(cluster):
    assert cluster.on_node("node-2").name == "node-2"


@in_cluster("node-1", "node-2")
async def test_an_engine_that_is_not_there_is_a_condition_that_no_node_satisfies(cluster):
    with pytest.raises(ClusterError) as error:
        cluster.on_node("node-9")
    assert str(error.value) == NOWHERE


# What there is


@in_cluster("node-1", "node-2", images=["busybox:latest", "redis:7"])
async def test_images_are_those_of_all_engines(cluster):
    found = sorted((each.engine.name, each.tags[0]) for each in cluster.images())
    assert found == [
        ("node-1", "busybox:latest"),
        ("node-1", "redis:7"),
        ("node-2", "busybox:latest"),
        ("node-2", "redis:7"),
    ]


@in_cluster("node-1", "node-2")
async def test_an_image_is_found_by_name_and_by_the_beginning_of_its_id(cluster):
    image = cluster.image("busybox")
    assert image is cluster.image(image.id.removeprefix("sha256:")[:5])


@in_cluster("node-1")
async def test_no_name_is_no_image(cluster):
    assert cluster.image("") is None
    assert cluster.image("nonsense") is None


# Removed and tagged


@in_cluster("node-1", "node-2")
async def test_an_image_is_removed_wherever_it_is(cluster):
    removed = await cluster.remove_images("busybox", force=False)
    id = Image.named("busybox").id
    assert removed == [{"Untagged": "busybox:latest"}, {"Deleted": id}] * 2
    assert (on(cluster), cluster.images()) == ([], [])


@in_cluster("node-1")
async def test_no_such_image_removes_nothing(cluster):
    assert await cluster.remove_images("nonsense", force=False) == []


@in_cluster("node-1", "node-2", "node-3")
async def test_engines_that_use_an_image_refuse_on_a_line_each(cluster):
    for name in ("node-1", "node-3"):
        cluster.machines[name].new_id = lambda: "c" * 64
        cluster.machines[name].create("web", Image="busybox:latest")
    with pytest.raises(ClusterError) as error:
        await cluster.remove_images("busybox:latest", force=False)
    id = Image.named("busybox").short
    said = (
        'Error response from daemon: conflict: unable to remove repository reference "busybox'
        f':latest" (must force) - container {"c" * 12} is using its referenced image {id}'
    )
    assert str(error.value) == f"node-1: {said}\nnode-3: {said}"
    assert on(cluster) == ["node-1", "node-3"]


@in_cluster("node-1")
async def test_an_engine_is_asked_once_when_two_of_its_images_match(cluster):
    """The original asks once for each image; the second time there may be none."""
    other = Image.named("busybox:musl", created=1.0)
    cluster.machines["node-1"].add_image(other)
    await cluster.engine("node-1").inventory.refresh_images()
    removed = await cluster.remove_images("busybox", force=False)
    assert [each for each in removed if "Untagged" in each] == [{"Untagged": "busybox:latest"}]


@in_cluster("node-1", "node-2")
async def test_tag_image(cluster):
    await cluster.tag_image("busybox", "test_busybox:latest")
    assert on(cluster, "test_busybox:latest") == ["node-1", "node-2"]
    assert len({each.id for each in cluster.images() if each.match("test_busybox")}) == 1
    with pytest.raises(ClusterError, match=r"^No such image: busybox_not_exists$"):
        await cluster.tag_image("busybox_not_exists", "test_busybox:latest")


# Pulled, loaded, imported


def heard_from(heard, name):
    return [each for each in heard if each.engine == name]


@in_cluster("node-1", "node-2", images=[])
async def test_a_pull_is_told_from_its_beginning_to_its_end(cluster):
    heard, image = [], Image.named("redis:7")
    cluster.machines["node-1"].registry = {"redis:7": image}
    await cluster.pull("redis:7", {}, heard.append)
    first, *lines, last = heard_from(heard, "node-1")
    assert (first, last) == (Message("node-1"), Message("node-1", success=True))
    assert lines[0] == Message("node-1", {"status": "Pulling from library/redis", "id": "7"})
    denied = (
        "Error response from daemon: pull access denied for redis, repository does not exist or "
        "may require 'docker login': denied: requested access to the resource is denied"
    )
    assert heard_from(heard, "node-2") == [Message("node-2"), Message("node-2", error=denied)]
    assert on(cluster, "redis:7") == ["node-1"]
    assert cluster.image("redis:7").engine.name == "node-1"


@in_cluster("node-1", "node-2")
async def test_a_pull_whose_listener_fails_leaves_nothing_under_way(cluster):
    before = len(asyncio.all_tasks())

    def fail(message):
        raise BrokenPipeError(message.engine)

    with pytest.raises(BrokenPipeError):
        await cluster.pull("redis:7", {}, fail)
    assert len(asyncio.all_tasks()) == before


def archive(name):
    """Return an image as `docker save` writes it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        manifest = json.dumps([{"Config": f"{'a' * 64}.json", "RepoTags": [name], "Layers": []}])
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(manifest)
        tar.addfile(entry, io.BytesIO(manifest.encode()))
    return packed.getvalue()


@in_cluster("node-1", "node-2", images=[])
async def test_load_image(cluster):
    """A load that succeeds ends without a word, as the original's does."""
    heard, data = [], archive("own:1")
    parts = [data[start : start + 100] for start in range(0, len(data), 100)]
    assert len(parts) > 100
    await cluster.load(pieces(*parts), heard.append)
    line = {"stream": "Loaded image: own:1\n"}
    assert sorted(heard) == [Message("node-1", line), Message("node-2", line)]
    assert on(cluster, "own:1") == ["node-1", "node-2"]


@in_cluster("node-1", images=[])
async def test_load_image_error(cluster):
    heard = []
    await cluster.load(pieces(b"no tar"), heard.append)
    why = "Error processing tar file(exit status 1): unexpected EOF"
    assert heard == [Message("node-1", error=f"Failed to load image: {why}")]


@in_cluster("node-1", "node-2", images=[])
async def test_an_image_for_another_system_is_skipped_where_it_cannot_be(cluster):
    heard = []
    said = [failure("cannot load windows image on linux")]
    cluster.machines["node-2"].load = lambda data: said
    await cluster.load(pieces(archive("own:1")), heard.append)
    skipped = "Load skipped because image is for windows and engine is running linux"
    assert heard_from(heard, "node-2") == [Message("node-2", {"status": skipped}, success=True)]
    assert on(cluster, "own:1") == ["node-1"]


@in_cluster("node-1", "node-2", images=[])
async def test_import_image(cluster):
    heard, query = [], {"fromSrc": "-", "repo": "testimageok", "tag": "latest"}
    await cluster.import_image(query, pieces(b"a file system"), heard.append)
    for name in ("node-1", "node-2"):
        id = next(iter(cluster.machines[name].images))
        told = [Message(name, {"status": id}), Message(name, success=True)]
        assert heard_from(heard, name) == told
    assert on(cluster, "testimageok:latest") == ["node-1", "node-2"]


@in_cluster("node-1")
async def test_import_image_error(cluster):
    heard, query = [], {"fromSrc": "-", "repo": "UPPER", "tag": ""}
    await cluster.import_image(query, pieces(b""), heard.append)
    why = "Error response from daemon: invalid reference format: repository name must be lowercase"
    assert heard == [Message("node-1", error=why)]


@in_cluster("node-1")
async def test_an_import_for_another_system_is_skipped(cluster):
    heard = []
    said = [failure("cannot load windows image on linux")]
    cluster.machines["node-1"].import_image = lambda *_: said
    await cluster.import_image({"repo": "own"}, pieces(b""), heard.append)
    skipped = "Import skipped because image is for windows and engine is running linux"
    assert heard == [Message("node-1", {"status": skipped}, success=True)]


# Built


def test_wishes_in_build_args_are_asked_of_the_scheduler_and_not_of_the_engine():
    args = {"constraint:storage": "=ssd", "VERSION": "1=2", "EMPTY": None}
    query = {"buildargs": json.dumps(args), "cpushares": "2", "memory": "1024", "t": "own"}
    config, rest = build_config(query)
    assert config.wishes("constraints") == ["storage==ssd"]
    assert (config.cpus, config.memory) == (2, 1024)
    # The original makes "" of null, which is another thing: an argument that is given.
    kept = '{"VERSION": "1=2", "EMPTY": null}'
    assert rest == {"buildargs": kept, "cpushares": "2", "memory": "1024", "t": "own"}


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "1", "{", "[" * 100_000])
def test_build_args_that_are_none_are_left_out(text):
    assert build_config({"buildargs": text})[1] == {"buildargs": "{}"}


@pytest.mark.parametrize("text", ["", "x", "-", "1.5", "9" * 40])
def test_a_number_that_is_none_asks_for_nothing(text):
    config, _ = build_config({"memory": text, "cpushares": text})
    assert (config.memory, config.cpus) == (0, 0)


def dockerfile(text="FROM busybox\n"):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


async def build(cluster, data=None, **query):
    heard = []
    await cluster.build_image(query, "", pieces(data or dockerfile()), heard.append)
    return heard


@in_cluster("node-1", "node-2")
async def test_a_build_is_on_one_engine_and_known_at_once(cluster):
    heard = await build(cluster, t="own")
    assert {each.engine for each in heard} == {"node-1"}
    assert heard[0] == Message("node-1", {"stream": "Step 1/1 : FROM busybox"})
    assert heard[-1] == Message("node-1", success=True)
    assert cluster.image("own").engine.name == "node-1"


@in_cluster("node-1", "node-2")
async def test_a_build_goes_where_its_args_wish(cluster):
    heard = await build(cluster, buildargs='{"constraint:node": "=node-2"}')
    assert {each.engine for each in heard} == {"node-2"}


@in_cluster("node-1")
async def test_a_build_may_have_several_names(cluster):
    await build(cluster, t=["own:1", "own:2"])
    assert (on(cluster, "own:1"), on(cluster, "own:2")) == (["node-1"], ["node-1"])


@in_cluster("node-1")
async def test_a_build_that_no_engine_may_do_is_refused(cluster):
    with pytest.raises(ClusterError) as error:
        await build(cluster, buildargs='{"constraint:node": "=node-9"}')
    assert str(error.value) == NOWHERE


@in_cluster("node-1")
async def test_a_build_that_fails_is_told(cluster):
    heard = await build(cluster, dockerfile("FROM nowhere\n"))
    why = (
        "Failed to build image: pull access denied for nowhere, repository does not exist or may "
        "require 'docker login': denied: requested access to the resource is denied"
    )
    assert heard[-1] == Message("node-1", error=why)


@in_cluster("node-1", "node-2")
async def test_a_build_that_is_refused_at_once_is_told(cluster):
    def refuse(*_):
        raise DaemonError(500, "no space left on device")

    cluster.machines["node-1"].build = refuse
    (message,) = await build(cluster)
    why = "Error response from daemon: no space left on device"
    assert message == Message("node-1", error=why)


# Docker's own engines


def test_docker_engines_load_one_archive_at_the_same_time(engines):
    async def main():
        async with real(engines) as cluster:
            heard, data = [], engines[0].ask("GET", "/images/busybox:latest/get")
            await cluster.remove_images("busybox:latest", force=True)
            assert cluster.images() == []
            parts = [data[start : start + 65536] for start in range(0, len(data), 65536)]
            await cluster.load(pieces(*parts), heard.append)
            assert [each.error for each in heard if each.error] == []
            loaded = [each.engine for each in heard if "Loaded image" in each.raw.get("stream", "")]
            assert sorted(loaded) == ["node-1", "node-2", "node-3"]
            return len(cluster.images()), len({each.id for each in cluster.images()})

    assert run(main()) == (3, 1)


def test_docker_engines_refuse_what_is_no_archive(engines):
    async def main():
        async with real(engines) as cluster:
            heard = []
            await cluster.load(pieces(b"no tar"), heard.append)
            return sorted({(each.engine, each.error) for each in heard if each.error})

    (one, said), *others = run(main())
    assert said.startswith("Failed to load image: ")
    assert [(one, said), *others] == [(f"node-{n}", said) for n in (1, 2, 3)]


def test_a_docker_engine_builds_where_its_args_wish(engines):
    async def main():
        async with real(engines) as cluster:
            text = "FROM busybox:latest\nLABEL tier=db\n"
            args = '{"constraint:storage": "=ssd"}'
            heard = await build(cluster, dockerfile(text), t="own:1", buildargs=args)
            return heard[-1], cluster.image("own:1").engine.name

    assert run(main()) == (Message("node-1", success=True), "node-1")
