"""What the API answers about images: streams of JSON, proxied questions, tags, deletions."""

import base64
import io
import json
import tarfile
from contextlib import asynccontextmanager
from functools import wraps

import pytest
from starlette.requests import Request

from tests.swarm.placing import few, pieces, run
from walkthroughs.swarm import handlers_images
from walkthroughs.swarm.cluster import ClusterError, Message
from walkthroughs.swarm.handler import Context, HTTPError, http_error, status_of
from walkthroughs.swarm.handlers_images import build_status, image_ref, query_of
from walkthroughs.swarm.health import State
from walkthroughs.swarm.lab_images import Image, failure
from walkthroughs.swarm.lab_machine import DaemonError

MANAGER = "manager:2375"


class API:
    """A client of handlers over a cluster, without the router."""

    def __init__(self, cluster, client):
        self.cluster, self.client = cluster, client
        world = cluster.world
        self.context = Context(cluster, world, events_handler=None, status=list)

    async def ask(self, handler, method, path, route=None, **options):
        """Return the status and the text of an answer."""
        answer = await self.send(handler, method, path, route, **options)
        return answer.status_code, answer.text

    async def send(self, handler, method, path, route=None, **options):
        variables = options.pop("variables", {})

        async def app(scope, receive, send):
            scope["route"], scope["path_params"] = route or path.partition("?")[0], variables
            try:
                answer = await handler(self.context, Request(scope, receive))
                await answer(scope, receive, send)
            except (HTTPError, ClusterError) as error:
                await http_error(str(error), status_of(error))(scope, receive, send)

        self.cluster.lab.network.plug(MANAGER, app)
        return await self.client.request(method, path, **options)

    async def lines(self, handler, method, path, **options):
        """Return the lines of an answer that is a stream of JSON."""
        answer = await self.send(handler, method, path, **options)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        return [json.loads(line) for line in answer.text.splitlines()]

    def asked(self):
        """Return the requests that reached engines through the manager, in order."""
        exchanges = self.cluster.lab.network.exchanges
        return [(each.server, each.method, each.path) for each in exchanges]


@asynccontextmanager
async def api(*names, **options):
    async with (
        few(*names, **options) as cluster,
        cluster.lab.world("client").client(f"http://{MANAGER}") as client,
    ):
        yield API(cluster, client)


def over(*names, **options):
    """Return a decorator that runs a test with the API of a cluster of these engines."""

    def decorate(test):
        @wraps(test)
        def run_it():
            async def main():
                async with api(*names, **options) as docker:
                    await test(docker)

            run(main())

        del run_it.__wrapped__
        return run_it

    return decorate


def flag(docker, name):
    """Have an engine be known as unhealthy."""
    engine = docker.cluster.engine(name)
    engine.health.state = State.UNHEALTHY
    engine.inventory.revision += 1


def of(name, lines):
    """Return the lines of one engine, without its name."""
    own = [line for line in lines if line.get("id") == name]
    return [{key: line[key] for key in line if key != "id"} for line in own]


def end(message):
    return {"error": message, "errorDetail": {"code": 1, "message": message}}


def tar(name, text):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def saved(name):
    """Return an image as `docker save` writes it."""
    return tar(
        "manifest.json",
        json.dumps([{"Config": f"{'a' * 64}.json", "RepoTags": [name], "Layers": []}]),
    )


def refusing(message, status=500):
    def refuse(*_):
        raise DaemonError(status, message)

    return refuse


DENIED = (
    "Error response from daemon: pull access denied for redis, repository does not exist or may "
    "require 'docker login': denied: requested access to the resource is denied"
)
WRONG_OS = 'image operating system "windows" cannot be used on this platform'


# Words


@pytest.mark.parametrize(
    ("repo", "tag", "reference"),
    [
        ("busybox", "", "busybox"),
        ("busybox", "latest", "busybox:latest"),
        ("busybox", "sha256:0123", "busybox@sha256:0123"),
        ("", "latest", ":latest"),
    ],
)
def test_get_image_ref(repo, tag, reference):
    assert image_ref(repo, tag) == reference


def test_match_image_os_error():
    def status(error):
        return build_status(Message("node-1", error=error))

    hint = "Consider using --build-arg 'constraint:ostype==windows'"
    assert status(WRONG_OS) == f"Could not build image: {WRONG_OS}. {hint}"
    assert status('image operating system "" cannot be used on this platform') == ""
    assert status("no space left on device") == ""


def asked(query):
    return Request({"type": "http", "query_string": query, "headers": []})


def test_of_a_query_an_engine_takes_the_first_value_and_all_names():
    query = query_of(asked(b"t=a&t=b&repo=x&repo=y&changes=CMD+sh&q="))
    assert query == {"t": ["a", "b"], "repo": "x", "changes": ["CMD sh"], "q": ""}


# Pull


@over("node-1", "node-2", images=[])
async def test_pull(docker):
    docker.cluster.machines["node-1"].registry = {"redis:7": Image.named("redis:7")}
    path = "/images/create?fromImage=redis&tag=7"
    lines = await docker.lines(handlers_images.post_images_create, "POST", path)
    title = "Pulling redis:7..."
    digest = "0b31a9e4ed23e3bfc9c2f26aae2d90ac1d40a7a2ba9b5fbf2c0ef2b0f1e1c2bd"
    first, *statuses, last = [line["status"] for line in of("node-1", lines)]
    assert (first, last) == (title, title)
    assert [status.replace(digest, "D") for status in statuses][0::2] == [
        f"{title} : Pulling from library/redis",
        f"{title} : Status: Downloaded newer image for redis:7",
    ]
    assert of("node-2", lines) == [{"status": title}, {"status": f"{title} : {DENIED}"}]
    assert lines[-1] == end(DENIED)
    assert docker.cluster.image("redis:7").engine.name == "node-1"


@over("node-1", "node-2", images=[])
async def test_a_pull_that_fails_for_the_system_of_some_engines_is_none_that_fails(docker):
    docker.cluster.machines["node-1"].registry = {"redis:latest": Image.named("redis")}
    docker.cluster.machines["node-2"].pull = refusing(WRONG_OS)
    path = "/images/create?fromImage=redis"
    lines = await docker.lines(handlers_images.post_images_create, "POST", path)
    title = "Pulling redis..."
    why = f"{title} : Error response from daemon: {WRONG_OS}"
    assert of("node-2", lines) == [{"status": title}, {"status": why}]
    assert [line for line in lines if "error" in line] == []


@over("node-1", images=[])
async def test_a_pull_says_who_asks(docker):
    machine, seen = docker.cluster.machines["node-1"], []

    async def app(scope, receive, send):
        seen.extend(value for name, value in scope["headers"] if name == b"x-registry-auth")
        await machine.app(scope, receive, send)

    docker.cluster.lab.network.plug("node-1:2375", app)
    auth = base64.urlsafe_b64encode(b'{"username":"me","password":"???>>>"}')
    for header in auth, b"nonsense", b"":
        await docker.lines(
            handlers_images.post_images_create,
            "POST",
            "/images/create?fromImage=redis",
            headers={"X-Registry-Auth": header},
        )
    (once,) = [base64.urlsafe_b64decode(each) for each in seen]
    assert json.loads(once) == {"username": "me", "password": "???>>>"}


@over()
async def test_a_pull_without_engines_is_an_empty_answer(docker):
    path = "/images/create?fromImage=redis"
    assert await docker.lines(handlers_images.post_images_create, "POST", path) == []


# Import, load


@over("node-1", "node-2", images=[])
async def test_import(docker):
    path = "/images/create?fromSrc=-&repo=own&tag=1"
    lines = await docker.lines(
        handlers_images.post_images_create, "POST", path, content=pieces(b"a file ", b"system")
    )
    for name, machine in docker.cluster.machines.items():
        (image,) = machine.images.values()
        assert of(name, lines) == [{"status": image.id}, {}]
        assert (image.tags, image.size) == (["own:1"], 13)
    assert len(lines) == 4


@over("node-1", images=[])
async def test_an_import_that_fails(docker):
    path = "/images/create?fromSrc=-&repo=UPPER"
    lines = await docker.lines(handlers_images.post_images_create, "POST", path)
    why = "Error response from daemon: invalid reference format: repository name must be lowercase"
    assert lines == [{"status": why, "id": "node-1"}, end(why)]


@over("node-1", "node-2", images=[])
async def test_load(docker):
    lines = await docker.lines(
        handlers_images.post_images_load, "POST", "/images/load", content=saved("own:1")
    )
    told = [{"stream": "Loaded image: own:1\n", "status": "Loading Image..."}]
    assert (of("node-1", lines), of("node-2", lines), len(lines)) == (told, told, 2)


@over("node-1", images=[])
async def test_a_load_that_fails(docker):
    lines = await docker.lines(
        handlers_images.post_images_load, "POST", "/images/load", content=b"garbage"
    )
    error = "Error processing tar file(exit status 1): unexpected EOF"
    why = f"Failed to load image: {error}"
    assert lines == [{"status": f"Loading Image... : {why}", "id": "node-1"}, end(why)]


@over("node-1", "node-2", images=[])
async def test_a_load_of_another_system_is_skipped(docker):
    said = [failure("cannot load windows image on linux")]
    docker.cluster.machines["node-2"].load = lambda data: said
    lines = await docker.lines(
        handlers_images.post_images_load, "POST", "/images/load", content=saved("own:1")
    )
    skipped = "Load skipped because image is for windows and engine is running linux"
    assert of("node-2", lines) == [{"status": f"Loading Image... : {skipped}"}]
    assert len(lines) == 2


# Build

BUSYBOX = tar("Dockerfile", "FROM busybox\n")


@over("node-1", "node-2")
async def test_build(docker):
    lines = await docker.lines(
        handlers_images.post_build, "POST", "/build?t=own:1&t=own:2", content=BUSYBOX
    )
    assert {line["id"] for line in lines} == {"node-1"}
    assert lines[0] == {"stream": "Step 1/1 : FROM busybox", "id": "node-1"}
    assert lines[-1] == {"id": "node-1"}
    assert docker.cluster.image("own:1").id == docker.cluster.image("own:2").id


@over("node-1")
async def test_a_build_that_fails(docker):
    content = tar("Dockerfile", "FROM redis\n")
    lines = await docker.lines(handlers_images.post_build, "POST", "/build", content=content)
    why = DENIED.replace("Error response from daemon", "Failed to build image")
    assert lines[-2:] == [{"id": "node-1"}, end(why)]


@over("node-1")
async def test_a_build_for_another_system_says_what_would_help(docker):
    docker.cluster.machines["node-1"].build = refusing(WRONG_OS)
    lines = await docker.lines(handlers_images.post_build, "POST", "/build", content=BUSYBOX)
    why = f"Error response from daemon: {WRONG_OS}"
    hint = "Consider using --build-arg 'constraint:ostype==windows'"
    status = f"Could not build image: {why}. {hint}"
    assert lines == [{"status": status, "id": "node-1"}, end(why)]


@over()
async def test_a_build_without_engines_is_a_plain_error(docker):
    answer = await docker.send(handlers_images.post_build, "POST", "/build", content=BUSYBOX)
    assert (answer.status_code, answer.text) == (500, "No healthy node available in the cluster\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@over("node-1")
async def test_a_build_hands_on_who_may_ask_registries(docker):
    machine, seen = docker.cluster.machines["node-1"], []

    async def app(scope, receive, send):
        seen.extend(value for name, value in scope["headers"] if name == b"x-registry-config")
        await machine.app(scope, receive, send)

    docker.cluster.lab.network.plug("node-1:2375", app)
    headers = {"X-Registry-Config": "e30="}
    await docker.lines(
        handlers_images.post_build, "POST", "/build", content=BUSYBOX, headers=headers
    )
    assert seen == [b"e30="]


# Proxied

JSON_ROUTE = "/images/{name}/json"


def inspect(docker, name, path=None):
    return docker.ask(
        handlers_images.proxy_image,
        "GET",
        path or f"/images/{name}/json",
        JSON_ROUTE,
        variables={"name": name},
    )


@over("node-1", "node-2", images=["busybox:latest"])
async def test_proxy_image(docker):
    status, text = await inspect(docker, "busybox")
    assert (status, json.loads(text)["RepoTags"]) == (200, ["busybox:latest"])


@over("node-1")
async def test_an_image_that_no_engine_has(docker):
    assert await inspect(docker, "a/b/c:d") == (404, "No such image: a/b/c:d\n")


@over("node-1", "node-2")
async def test_an_image_is_not_asked_for_on_an_engine_that_is_away(docker):
    """The original takes any engine that has it, and its answer is empty then."""
    docker.cluster.machines["node-1"].vanish()
    flag(docker, "node-1")
    assert (await inspect(docker, "busybox"))[0] == 200
    assert docker.asked()[-2:] == [
        ("node-2:2375", "GET", "/images/busybox/json"),
        (MANAGER, "GET", "/images/busybox/json"),
    ]
    flag(docker, "node-2")
    assert await inspect(docker, "busybox") == (404, "No such image: busybox\n")


@over("node-1", images=["redis:7"])
async def test_a_name_without_a_tag_is_the_latest_where_there_is_one(docker):
    """The original takes any engine with that name, and it may say that it has no latest."""
    assert (await inspect(docker, "redis"))[0] == 404
    assert docker.asked()[-2] == ("node-1:2375", "GET", "/images/redis/json")
    await docker.cluster.add("node-2", images=["redis:latest"])
    assert (await inspect(docker, "redis"))[0] == 200
    assert docker.asked()[-2] == ("node-2:2375", "GET", "/images/redis/json")


@over("node-1")
async def test_an_image_is_found_by_the_beginning_of_its_id(docker):
    start = docker.cluster.image("busybox").id[7:19]
    assert (await inspect(docker, start))[0] == 200


@over("node-1")
async def test_no_part_of_a_name_becomes_a_query(docker):
    docker.cluster.image("busybox").tags.append("own?all=1#x y:1")
    await inspect(docker, "own?all=1#x y", "/images/x/json")
    exchange = docker.asked()[-2]
    assert exchange == ("node-1:2375", "GET", "/images/own?all=1#x y/json")


@over("node-1")
async def test_the_version_goes_along(docker):
    await docker.ask(
        handlers_images.proxy_image,
        "GET",
        "/v1.24/images/busybox/history",
        "/images/{name}/history",
        variables={"name": "busybox", "version": "1.24"},
    )
    assert docker.asked()[-2] == ("node-1:2375", "GET", "/v1.24/images/busybox/history")


async def save(docker, name):
    path = f"/images/{name}/get"
    await docker.ask(
        handlers_images.proxy_image_get,
        "GET",
        path,
        "/images/{name}/get",
        variables={"name": name},
    )
    return docker.asked()[-2]


@over("node-1", images=["redis:7"])
async def test_proxy_image_get(docker):
    assert await save(docker, "redis") == ("node-1:2375", "GET", "/images/redis/get")
    assert await save(docker, "redis:7") == ("node-1:2375", "GET", "/images/redis:7/get")
    assert await save(docker, "redis:8") == (MANAGER, "GET", "/images/redis:7/get")


async def push(docker, name, query=""):
    return await docker.ask(
        handlers_images.proxy_image_push,
        "POST",
        f"/images/{name}/push{query}",
        "/images/{name}/push",
        variables={"name": name},
    )


@over("node-1", "node-2", images=["redis:7"])
async def test_proxy_image_push(docker):
    await docker.cluster.add("node-3", images=["redis:8"])
    await push(docker, "redis", "?tag=8")
    assert docker.asked()[-2] == ("node-3:2375", "POST", "/images/redis/push")
    await push(docker, "redis")
    assert docker.asked()[-2] == ("node-1:2375", "POST", "/images/redis/push")
    assert await push(docker, "redis", "?tag=9") == (404, "No such image: redis:9\n")


@over("node-1", images=["redis:7"])
async def test_an_image_is_pushed_by_the_name_that_clients_write(docker):
    """The original says that there is no such image: engines list it by its short name."""
    await push(docker, "docker.io/library/redis", "?tag=7")
    path = "/images/docker.io/library/redis/push"
    assert docker.asked()[-2] == ("node-1:2375", "POST", path)
    said = "No such image: docker.io/library/redis:8\n"
    assert await push(docker, "docker.io/library/redis", "?tag=8") == (404, said)


@over("node-1", images=["redis:7"])
async def test_get_images_asks_an_engine_that_has_all(docker):
    await docker.cluster.add("node-2", images=["redis:7", "busybox:1"])
    path = "/images/get?names=redis&names=busybox:1"
    await docker.ask(handlers_images.get_images, "GET", path)
    assert docker.asked()[-2] == ("node-2:2375", "GET", "/images/get")


@over("node-1", images=["a:1"])
async def test_get_images_that_no_engine_has_together(docker):
    await docker.cluster.add("node-2", images=["b:1"])
    answer = await docker.ask(handlers_images.get_images, "GET", "/images/get?names=a&names=b")
    why = "Unable to find a healthy engine containing all images: [a b]"
    assert answer == (404, f"{why}\n")


# Tagged and removed


def tag(docker, name, query):
    return docker.ask(
        handlers_images.post_tag_image,
        "POST",
        f"/images/{name}/tag?{query}",
        variables={"name": name},
    )


@over("node-1", "node-2")
async def test_tag(docker):
    assert await tag(docker, "busybox", "repo=own&tag=1") == (201, "")
    names = [each.engine.name for each in docker.cluster.images() if each.match("own:1")]
    assert names == ["node-1", "node-2"]


@over("node-1")
async def test_a_tag_for_no_image(docker):
    answer = await tag(docker, "nonsense", "repo=own&tag=1")
    assert answer == (404, "No such image: nonsense\n")


@over("node-1", "node-2")
async def test_a_tag_that_engines_refuse_has_a_line_for_each(docker):
    why = "Error response from daemon: invalid reference format: repository name must be lowercase"
    answer = await tag(docker, "busybox", "repo=UPPER")
    assert answer == (500, f"node-1: {why}\nnode-2: {why}\n")


def remove(docker, name, query=""):
    path = f"/images/{name}{query}"
    variables = {"name": name}
    return docker.ask(handlers_images.delete_images, "DELETE", path, variables=variables)


@over("node-1", "node-2")
async def test_delete_lists_what_each_engine_has_removed(docker):
    status, text = await remove(docker, "busybox")
    gone = [{"Untagged": "busybox:latest"}, {"Deleted": Image.named("busybox").id}]
    assert (status, json.loads(text)) == (200, gone * 2)


@over("node-1")
async def test_delete_of_no_image(docker):
    assert await remove(docker, "nonsense") == (404, "No such image nonsense\n")


@over("node-1")
async def test_delete_by_force(docker):
    docker.cluster.machines["node-1"].create("web", Image="busybox:latest")
    status, text = await remove(docker, "busybox")
    assert (status, text[:46]) == (500, "node-1: Error response from daemon: conflict: ")
    assert (await remove(docker, "busybox", "?force=1"))[0] == 200
