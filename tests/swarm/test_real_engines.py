"""A manager of three real Docker engines, beside the original where it is at hand."""

import asyncio
import http.client
import io
import json
import os
import random
import socket
import subprocess
import tarfile
import time
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from functools import wraps
from urllib.parse import quote

import pytest

from tests.swarm.dockerd import IMAGE, Docker, busybox
from tests.swarm.test_etcd import Server
from walkthroughs.swarm import discovery, filters, strategies
from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.config import NAMESPACE, ContainerConfig
from walkthroughs.swarm.filters import FILTERS
from walkthroughs.swarm.health import EngineOptions, State
from walkthroughs.swarm.main import register_backends
from walkthroughs.swarm.new_cluster import new_cluster
from walkthroughs.swarm.scheduler import Scheduler
from walkthroughs.swarm.watchdog import Watchdog
from walkthroughs.swarm.world import SystemClock, World

ANY = {"node-1", "node-2", "node-3"}

DEADLINE = 30
"""Seconds until a test gives up."""

OFTEN = EngineOptions(0.1, 0.3)
NEVER = EngineOptions(3600, 3600)
"""What is known within a test is known by events."""

MOVE = "reschedule:on-node-failure"
NEAR = "constraint:node==~node-1"
GIB = 1 << 30


def on_a_loop(test):
    @wraps(test)
    def run(*arguments, **fixtures):
        asyncio.run(asyncio.wait_for(test(*arguments, **fixtures), DEADLINE))

    return run


async def until(holds):
    """Poll until it holds; the test's deadline ends it."""
    while not (found := holds()):
        await asyncio.sleep(0.01)
    return found


class Hurried(SystemClock):
    """A clock on which a number of seconds pass in each."""

    def __init__(self, seconds):
        self.seconds = seconds

    def monotonic(self):
        return super().monotonic() * self.seconds

    async def sleep(self, seconds):
        await super().sleep(seconds / self.seconds)


@asynccontextmanager
async def manager(url, strategy="spread", options=OFTEN, clock=None, hub="", driver=()):
    """Run a manager with all filters and a watchdog; it may not know any engine yet."""
    world = World(clock or SystemClock())
    taste = strategies.new(strategy, world.random) if isinstance(strategy, str) else strategy
    scheduler = Scheduler(taste, filters.new(FILTERS, world.log.error))
    register_backends(world)
    backend = discovery.new(url, 0.1, 60, {"token.hub": hub}, world)
    cluster = new_cluster(scheduler, None, backend, driver, options, world)
    cluster.register_event_handler(Watchdog(cluster, world, cluster.spawn).handle)
    running = asyncio.create_task(cluster.run())
    try:
        yield cluster
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def listed(engines):
    return "nodes://" + ",".join(engine.address for engine in engines)


@asynccontextmanager
async def managed(engines, *arguments, **options):
    """Run a manager that knows all of these engines."""
    async with manager(listed(engines), *arguments, **options) as cluster:
        await until(lambda: len(cluster.engines) == len(engines))
        yield cluster


def sleeper(*env, image=IMAGE, **host):
    """Return the body of a request for a container in no network, unless one is named."""
    host = {"NetworkMode": "none", **host}
    return {"Image": image, "Cmd": ["sleep", "1000"], "Env": [*env], "HostConfig": host}


def asked(*env, **options):
    return ContainerConfig.build(sleeper(*env, **options))


async def create(cluster, name, *env, **options):
    return await cluster.create_container(asked(*env, **options), name, {})


async def run(cluster, name, *env, **options):
    container = await create(cluster, name, *env, **options)
    await cluster.start_container(container)
    return cluster.container(container.id)


async def chosen(cluster, *env, count=3, **options):
    """Return the engines of some containers that are alike."""
    return {(await create(cluster, "", *env, **options)).engine.name for _ in range(count)}


async def refusal(cluster, name, *env, **options):
    """Return what a create request is refused with."""
    with pytest.raises(ClusterError) as refused:
        await create(cluster, name, *env, **options)
    return str(refused.value)


def where(cluster):
    """Return the engine of each container, by its name."""
    return {each.names[0].lstrip("/"): each.engine.name for each in cluster.containers()}


def states(cluster):
    return {engine.name: engine.health.state for engine in cluster.engines.values()}


def running(cluster, name):
    container = cluster.container(name)
    return bool(container and container.running)


def runs_elsewhere(cluster, name):
    """Tell whether a container runs, and not on the first engine any more."""
    container = cluster.container(name)
    return bool(container and container.running and container.engine.name != "node-1")


def stray(engine, name, *options):
    """Run a container on an engine, as somebody who does not know of the manager."""
    engine.cli("run", "-d", "--network=none", f"--name={name}", *options, IMAGE, "sleep", "1000")


def there(engine, **query):
    """Return the names of the containers on an engine, as itself tells them."""
    found = engine.ask("GET", "/containers/json", **query or {"all": 1})
    return sorted(each["Names"][0].lstrip("/") for each in found)


# Finding engines.


def told(engine, cluster):
    """Return what `info` says of an engine without containers."""
    own = engine.ask("GET", "/info")
    labels = {"kernelversion": own["KernelVersion"], "operatingsystem": own["OperatingSystem"]}
    labels |= {"ostype": "linux", "storagedriver": "vfs"}
    labels |= dict(label.split("=") for label in own["Labels"])
    known = next(each for each in cluster.engines.values() if each.addr == engine.address)
    memory = own["MemTotal"] + own["MemTotal"] * 5 // 100
    return [
        (f" {engine.name}", engine.address),
        ("  └ ID", f"{own['ID']}|{engine.address}"),
        ("  └ Status", "Healthy"),
        ("  └ Containers", "0 (0 Running, 0 Paused, 0 Stopped)"),
        ("  └ Reserved CPUs", f"0 / {own['NCPU'] + own['NCPU'] * 5 // 100}"),
        ("  └ Reserved Memory", f"0 B / {memory / GIB:.4g} GiB"),
        ("  └ Labels", ", ".join(f"{key}={labels[key]}" for key in sorted(labels))),
        (
            "  └ UpdatedAt",
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(known.health.updated_at)),
        ),
        ("  └ ServerVersion", own["ServerVersion"]),
    ]


@on_a_loop
async def test_the_engines_of_a_list_are_registered_with_what_they_say_of_themselves(engines):
    async with managed(engines) as cluster:
        head = [("Strategy", "spread"), ("Filters", ", ".join(FILTERS)), ("Nodes", "3")]
        assert cluster.info() == [
            *head,
            *(line for each in engines for line in told(each, cluster)),
        ]


@on_a_loop
async def test_engines_come_and_go_with_the_lines_of_a_file(engines, tmp_path):
    file = tmp_path / "cluster"
    file.write_text(f"{engines[0].address}\n")
    async with manager(f"file://{file}") as cluster:
        await until(lambda: cluster.engine_names() == ["node-1"])
        file.write_text("".join(f"{each.address}  # {each.name}\n" for each in engines[::-1]))
        await until(lambda: set(cluster.engine_names()) == ANY)
        file.write_text(f"# Only this one:\n{engines[1].address}\n")
        await until(lambda: cluster.engine_names() == ["node-2"])


@on_a_loop
async def test_a_file_that_vanishes_takes_no_engine_with_it(engines, tmp_path, capsys):
    file = tmp_path / "cluster"
    file.write_text(engines[0].address)
    async with manager(f"file://{file}") as cluster:
        await until(lambda: cluster.engines)
        file.unlink()
        await until(lambda: "Discovery error: failed to read" in capsys.readouterr().out)
        assert cluster.engine_names() == ["node-1"]


async def follow(engines, commands, url, hub=""):
    """Let three nodes join, one of which dies."""
    async with manager(url, hub=hub) as cluster:
        for engine in engines[:2]:
            node = discovery.new(url, 60, 60, {"token.hub": hub}, World())
            await node.register(engine.address)
        with commands.join(url, engines[2].address, SWARM_HUB=hub):
            await until(lambda: set(cluster.engine_names()) == ANY)
        await until(lambda: set(cluster.engine_names()) == {"node-1", "node-2"})


@on_a_loop
async def test_engines_are_found_in_etcd_and_one_whose_node_dies_is_forgotten(
    engines, commands, require, tmp_path
):
    etcd = Server(require("etcd"), tmp_path, "--enable-v2=true")
    try:
        await follow(engines, commands, f"etcd://{etcd.address}/real")
    finally:
        etcd.kill()


@on_a_loop
async def test_engines_are_found_at_the_hub_and_one_whose_node_dies_is_forgotten(engines, commands):
    with commands.hub() as hub:
        token = commands.run("create", SWARM_HUB=hub).stdout.strip()
        await follow(engines, commands, f"token://{token}", hub)


@on_a_loop
async def test_an_address_where_nobody_is_stays_pending_until_the_right_one_is_listed(
    engines, tmp_path
):
    file = tmp_path / "cluster"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        wrong = f"127.0.0.1:{nobody.getsockname()[1]}"
        file.write_text(wrong)
        async with manager(f"file://{file}") as cluster:
            error = f"Cannot connect to the Docker daemon at tcp://{wrong}. "
            error += "Is the docker daemon running?"
            await until(lambda: ("  └ Error", error) in cluster.info())
            assert cluster.info()[2:6] == [
                ("Nodes", "1"),
                (" (unknown)", wrong),
                ("  └ ID", ""),
                ("  └ Status", "Pending"),
            ]
            file.write_text(engines[0].address)
            await until(lambda: cluster.engine_names() == ["node-1"])
            assert cluster.pending_engines == {}


@on_a_loop
async def test_an_engine_that_could_not_be_reached_is_tried_again(engines):
    engines[0].gate.cut()
    # It is looked at every ten seconds, and left alone for more than thirty.
    async with manager(listed(engines), clock=Hurried(40)) as cluster:
        await until(lambda: set(cluster.engine_names()) == {"node-2", "node-3"})
        await until(lambda: cluster.pending_engines[engines[0].address].health.error)
        engines[0].gate.mend()
        await until(lambda: set(cluster.engine_names()) == ANY)


@on_a_loop
async def test_containers_and_images_that_were_there_before_are_known_at_once(engines):
    stray(engines[1], "early")
    async with managed(engines) as cluster:
        assert where(cluster) == {"early": "node-2"}
        assert [image.engine.name for image in cluster.images() if image.match(IMAGE)] == [
            *cluster.engine_names()
        ]


# Placing containers.


@on_a_loop
async def test_spread_gives_each_engine_as_many_containers(engines):
    async with managed(engines) as cluster:
        for number in range(6):
            await create(cluster, f"web-{number}")
        assert sorted(where(cluster).values()) == sorted(["node-1", "node-2", "node-3"] * 2)


@on_a_loop
async def test_spread_counts_containers_that_somebody_else_has_created(engines):
    for number in range(3):
        engines[0].cli("create", f"--name=other-{number}", "--network=none", IMAGE)
    async with managed(engines) as cluster:
        for number in range(3):
            await create(cluster, f"web-{number}")
        assert sorted(set(where(cluster).values())) == ["node-1", "node-2", "node-3"]
        assert "node-1" not in {cluster.container(f"web-{n}").engine.name for n in range(3)}


@on_a_loop
async def test_binpack_fills_one_engine_before_it_takes_the_next(engines):
    async with managed(engines, "binpack") as cluster:
        total = min(engine.total_memory for engine in cluster.engines.values())
        went = [(await create(cluster, "", Memory=total // 3)).engine.name for _ in range(6)]
        assert went == [went[0]] * 3 + [went[3]] * 3
        assert went[0] != went[3]


@on_a_loop
async def test_random_takes_an_engine_without_room(engines):
    async with managed(engines, "random") as cluster:
        container = await create(cluster, "large", Memory=1024 * GIB)
        assert container.engine.name in ("node-1", "node-2", "node-3")


@on_a_loop
async def test_nobody_has_room_for_more_than_a_machine_has(engines):
    async with managed(engines) as cluster:
        no = "no resources available to schedule container"
        assert await refusal(cluster, "large", Memory=1024 * GIB) == no
        assert await refusal(cluster, "quick", CpuShares=1024) == no


@on_a_loop
async def test_requests_at_the_same_time_see_each_other(engines):
    async with managed(engines) as cluster:
        await asyncio.gather(*(create(cluster, f"web-{number}") for number in range(6)))
        assert sorted(where(cluster).values()) == sorted(["node-1", "node-2", "node-3"] * 2)


@pytest.mark.parametrize(
    ("constraint", "nodes"),
    [
        ("storage==ssd", {"node-1"}),
        ("storage==disk", {"node-2", "node-3"}),
        ("storage!=ssd", {"node-2", "node-3"}),
        ("storage==d*", {"node-2", "node-3"}),
        ("storage==/^ss?d$/", {"node-1"}),
        ("storage==~tape", ANY),
        ("storage==~ssd", {"node-1"}),
        ("node==node-2", {"node-2"}),
        ("node!=node-2", {"node-1", "node-3"}),
        ("node==node-[13]", {"node-1", "node-3"}),
        ("node==/-[23]$/", {"node-2", "node-3"}),
        ("node==~nowhere", ANY),
        ("storagedriver==vfs", ANY),
        ("ostype!=windows", ANY),
    ],
)
@on_a_loop
async def test_a_constraint_is_about_names_and_labels_of_engines(engines, constraint, nodes):
    async with managed(engines) as cluster:
        assert await chosen(cluster, f"constraint:{constraint}") == nodes


UNABLE = "Unable to find a node that satisfies the following conditions "
SLOTS = "\n[available container slots]"


@on_a_loop
async def test_what_no_engine_satisfies_is_said_as_it_was_asked(engines):
    async with managed(engines) as cluster:
        wishes = ("constraint:storage==tape", "affinity:container==nobody", "constraint:node!=~x")
        assert await refusal(cluster, "web", *wishes) == (
            f"{UNABLE}{SLOTS}\n[container==nobody (soft=false)]"
        )
        assert await refusal(cluster, "web", wishes[0], wishes[2]) == (
            f"{UNABLE}{SLOTS}\n[storage==tape node!=x]"
        )


@on_a_loop
async def test_a_whitelist_names_engines(engines):
    async with managed(engines) as cluster:
        went = await chosen(cluster, "whitelist:node==node-1|node-3")
        assert went == {"node-1", "node-3"}


@pytest.mark.parametrize(
    ("affinity", "nodes"),
    [
        ("container==front", {"node-2"}),
        ("container!=front", {"node-1", "node-3"}),
        ("container==fr*", {"node-2"}),
        ("container==~nobody", ANY),
        ("tier==web", {"node-2"}),
        ("tier!=web", {"node-1", "node-3"}),
        ("image==tool", {"node-3"}),
        ("image==tool:latest", {"node-3"}),
        ("image!=tool", {"node-1", "node-2"}),
        ("image==busybox", ANY),
    ],
)
@on_a_loop
async def test_an_affinity_is_about_containers_their_labels_and_images(engines, affinity, nodes):
    engines[1].cli("create", "--name=front", "--label=tier=web", "--network=none", IMAGE)
    engines[2].cli("tag", IMAGE, "tool")
    async with managed(engines) as cluster:
        # One engine has a container already.
        assert await chosen(cluster, f"affinity:{affinity}", count=5) == nodes


@on_a_loop
async def test_an_affinity_knows_a_container_by_its_id(engines):
    async with managed(engines) as cluster:
        front = await create(cluster, "front")
        wish = f"affinity:container=={front.id}"
        assert await chosen(cluster, wish) == {front.engine.name}


@pytest.mark.parametrize(
    "needs",
    [{"VolumesFrom": ["data:ro"]}, {"NetworkMode": "container:data"}],
    ids=["volumes-from", "net"],
)
@on_a_loop
async def test_a_container_goes_where_those_are_that_it_depends_on(engines, needs):
    stray(engines[1], "data", "-v", "/data")
    async with managed(engines) as cluster:
        container = await run(cluster, "web", **needs)
        assert (container.engine.name, container.running) == ("node-2", True)


@on_a_loop
async def test_a_link_is_a_dependency(engines):
    async with managed(engines) as cluster:
        await cluster.create_network("node-3/mesh", {"Driver": "bridge"})
        await run(cluster, "data", NetworkMode="mesh")
        container = await run(cluster, "web", NetworkMode="mesh", Links=["data:db"])
        assert (container.engine.name, container.running) == ("node-3", True)


@on_a_loop
async def test_dependencies_on_two_engines_are_refused(engines):
    for engine, name in zip(engines, ("left", "right"), strict=False):
        engine.cli("create", f"--name={name}", "--network=none", IMAGE)
    async with managed(engines) as cluster:
        text = await refusal(cluster, "web", VolumesFrom=["left"], NetworkMode="container:right")
        asked = "--volumes-from=left --net=container:right"
        assert text == f"{UNABLE}{SLOTS}\n[{asked}]"


@on_a_loop
async def test_an_engine_has_no_more_containers_than_slots(engines):
    with Docker("node-4", "containerslots=2") as small:
        small.start()
        async with managed([engines[0], small]) as cluster:
            assert await chosen(cluster, "constraint:node==~node-4") == {"node-4", "node-1"}
            assert [*where(cluster).values()].count("node-4") == 2
        async with managed([small]) as cluster:
            assert await refusal(cluster, "third") == f"{UNABLE}{SLOTS}"


def published(port, address=""):
    return {"PortBindings": {"80/tcp": [{"HostIp": address, "HostPort": port}]}}


@on_a_loop
async def test_a_published_port_is_taken_once_on_each_engine(engines):
    async with managed(engines) as cluster:
        assert await chosen(cluster, **published("8080")) == ANY
        text = f"{UNABLE}\n[port 8080 (Bridge mode)]"
        assert await refusal(cluster, "fourth", **published("8080")) == text
        assert await chosen(cluster, **published("8081")) == ANY


@on_a_loop
async def test_two_addresses_of_an_engine_have_a_port_each(engines):
    async with managed(engines[:1]) as cluster:
        await create(cluster, "first", **published("8080", "127.0.0.1"))
        await create(cluster, "second", **published("8080", "127.0.0.2"))
        text = f"{UNABLE}\n[port 8080 (Bridge mode)]"
        assert await refusal(cluster, "third", **published("8080", "127.0.0.1")) == text
        assert await refusal(cluster, "fourth", **published("8080")) == text


@on_a_loop
async def test_a_port_that_the_engine_has_chosen_is_taken(engines):
    async with managed(engines[:1]) as cluster:
        await cluster.create_network("mesh", {"Driver": "bridge"})
        config = asked(NetworkMode="mesh", **published(""))
        config.raw["ExposedPorts"] = {"80/tcp": {}}
        first = await cluster.create_container(config, "first", {})
        await cluster.start_container(first)
        first = cluster.container("first")
        port = first.info["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"]
        text = f"{UNABLE}\n[port {port} (Bridge mode)]"
        assert await refusal(cluster, "second", **published(port)) == text


@on_a_loop
async def test_an_exposed_port_is_taken_in_the_network_of_the_host(engines):
    async with managed(engines) as cluster:

        async def serve(name):
            config = asked(NetworkMode="host")
            config.raw["ExposedPorts"] = {"80/tcp": {}}
            return (await cluster.create_container(config, name, {})).engine.name

        assert {await serve(f"web-{number}") for number in range(3)} == ANY
        with pytest.raises(ClusterError) as refused:
            await serve("web-3")
        assert str(refused.value) == f"{UNABLE}\n[port 80/tcp (Host mode)]"


# Names.


def conflict(name):
    return (
        f"Conflict: The name {name} is already assigned. You have to delete (or rename) that "
        f"container to be able to assign {name} to a container again."
    )


@on_a_loop
async def test_a_name_is_taken_in_all_of_the_cluster(engines):
    async with managed(engines) as cluster:
        await create(cluster, "web")
        assert await refusal(cluster, "web", "constraint:storage==tape") == conflict("web")


@on_a_loop
async def test_a_name_is_taken_while_its_container_is_being_created(engines):
    async with managed(engines) as cluster:
        both = await asyncio.gather(
            create(cluster, "web"), create(cluster, "web"), return_exceptions=True
        )
        assert [str(each) for each in both if isinstance(each, ClusterError)] == [conflict("web")]
        assert len(cluster.containers()) == 1


@on_a_loop
async def test_a_name_that_an_engine_refuses_is_free_again(engines):
    async with managed(engines) as cluster:
        why = "Invalid container name (x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        for _ in range(2):
            text = await refusal(cluster, "x")
            assert text == f"Error response from daemon: {why}"


@on_a_loop
async def test_a_container_is_found_by_ids_names_and_their_beginnings(engines):
    async with managed(engines) as cluster:
        web = await create(cluster, "web", "constraint:node==node-2")
        await create(cluster, "other")
        names = ["web", "/web", "node-2/web", f"{web.engine.id}/web"]
        ids = [web.id, web.id[:12], web.id[:6], web.swarm_id, web.swarm_id[:12], web.swarm_id[:6]]
        found = [cluster.container(each) for each in names + ids]
        assert [each and each.id for each in found] == [web.id] * len(found)
        assert cluster.container("node-1/web") is None


@on_a_loop
async def test_a_name_that_two_engines_have_is_nobodys_without_its_engine(engines):
    for engine in engines[:2]:
        engine.cli("create", "--name=web", "--network=none", IMAGE)
    async with managed(engines) as cluster:
        assert cluster.container("web") is None
        assert cluster.container("node-2/web").engine.name == "node-2"


@on_a_loop
async def test_a_container_has_its_new_name_at_once_and_the_old_one_is_free(engines):
    async with managed(engines, options=NEVER) as cluster:
        web = await create(cluster, "web")
        await create(cluster, "other")
        with pytest.raises(ClusterError) as refused:
            await cluster.rename_container(web, "other")
        assert str(refused.value) == conflict("other")
        await cluster.rename_container(web, "shop")
        assert set(where(cluster)) == {"shop", "other"}
        await create(cluster, "web")


@on_a_loop
async def test_a_container_that_is_removed_is_gone_at_once(engines):
    async with managed(engines, options=NEVER) as cluster:
        web = await run(cluster, "web")
        with pytest.raises(ClusterError) as refused:
            await cluster.remove_container(web, force=False, volumes=False)
        why = "Stop the container before attempting removal or force remove"
        assert str(refused.value) == (
            f"Error response from daemon: You cannot remove a running container {web.id}. {why}"
        )
        await cluster.remove_container(web, force=True, volumes=True)
        assert [where(cluster), *map(there, engines)] == [{}, [], [], []]


# What an engine is given.


@on_a_loop
async def test_wishes_are_no_variables_on_an_engine_but_labels(engines):
    async with managed(engines) as cluster:
        wishes = ("constraint:storage==ssd", "affinity:tier!=~db", MOVE, "whitelist:node==node-1")
        config = asked("COLOUR=blue", *wishes)
        config.labels["tier"] = "web"
        web = await cluster.create_container(config, "web", {})
        given = json.loads(engines[0].cli("inspect", "web"))[0]["Config"]
        assert given["Env"] == ["COLOUR=blue", "PATH=/bin"]
        assert given["Labels"] == {
            "tier": "web",
            f"{NAMESPACE}.constraints": '["storage==ssd"]',
            f"{NAMESPACE}.affinities": '["tier!=~db"]',
            f"{NAMESPACE}.reschedule-policies": '["on-node-failure"]',
            f"{NAMESPACE}.whitelists": '["node==node-1"]',
            f"{NAMESPACE}.id": web.swarm_id,
        }


@on_a_loop
async def test_cpus_are_shares_on_an_engine_and_cpus_again_when_it_is_asked(engines):
    async with managed(engines[:1]) as cluster:
        (engine,) = cluster.engines.values()
        await create(cluster, "web", CpuShares=1, Memory=GIB)
        given = json.loads(engines[0].cli("inspect", "web"))[0]["HostConfig"]
        assert (given["CpuShares"], given["Memory"]) == (-(-1024 // engine.cpus), GIB)
        reserved = dict(cluster.info())
        assert reserved["  └ Reserved CPUs"].split(" / ")[0] == "1"
        assert reserved["  └ Reserved Memory"].split(" / ")[0] == "1 GiB"
    async with managed(engines[:1]) as successor:
        assert successor.container("web").config.cpus == 1


# An engine that has no registry to pull from, and one that knows no image at all.

REGISTRY = "127.0.0.1:5000"
ANSWER = r"""
read -rn1 first; case $first in G|H) ;; *) exit ;; esac
read -r method path rest
while read -r line && [ ${#line} -gt 1 ]; do :; done
case $path in
/v2/) status="200 OK" body="{}" ;;
*) status="404 Not Found" body='{"errors":[{"code":"NAME_UNKNOWN","message":"no","detail":""}]}' ;;
esac
printf 'HTTP/1.1 %s\r\nContent-Type: application/json\r\n' "$status"
printf 'Connection: close\r\nContent-Length: %s\r\n\r\n' ${#body}
[ "$first" = H ] || printf %s "$body"
"""


def serve_no_image(engine):
    """Run a registry on a node of which nothing can be pulled."""
    serve = f'nc -ll -p {REGISTRY.partition(":")[2]} -e sh -c "$ANSWER"'
    engine.cli("run", "-d", "--network=host", f"--env=ANSWER={ANSWER}", IMAGE, "sh", "-c", serve)


@on_a_loop
async def test_an_image_that_nobody_can_pull_is_used_where_it_was_built(engines):
    image = f"{REGISTRY}/tool"
    for engine in engines:
        serve_no_image(engine)
    engines[2].cli("tag", IMAGE, image)
    for number in range(3):
        engines[2].cli("create", f"--name=busy-{number}", "--network=none", IMAGE)
    async with managed(engines) as cluster:
        container = await create(cluster, "web", image=image)
        assert container.engine.name == "node-3"
        # The affinity was for this one search; the original leaves an empty list, too.
        assert container.labels[f"{NAMESPACE}.affinities"] == "[]"


@on_a_loop
async def test_an_image_that_nobody_has_is_not_found(engines):
    for engine in engines:
        serve_no_image(engine)
    async with managed(engines) as cluster:
        text = await refusal(cluster, "web", image=f"{REGISTRY}/tool")
        why = f"repository {REGISTRY}/tool not found: name unknown: no"
        assert text == f"Error response from daemon: {why}"


@on_a_loop
async def test_a_hard_constraint_keeps_a_container_from_the_engine_with_the_image(engines):
    for engine in engines:
        serve_no_image(engine)
    engines[2].cli("tag", IMAGE, f"{REGISTRY}/tool")
    async with managed(engines) as cluster:
        text = await refusal(cluster, "web", "constraint:node==node-1", image=f"{REGISTRY}/tool")
        why = f"repository {REGISTRY}/tool not found: name unknown: no"
        assert text == f"Error response from daemon: {why}"


# Images, networks and volumes of several engines.


def tags(engine):
    found = engine.ask("GET", "/images/json")
    return sorted(tag for each in found for tag in each["RepoTags"] or ())


@on_a_loop
async def test_an_image_is_named_and_removed_on_every_engine(engines):
    async with managed(engines) as cluster:
        await cluster.tag_image("busybox", "tool:1")
        assert [*map(tags, engines)] == [[IMAGE, "tool:1"]] * 3
        assert await cluster.remove_images("tool:1", False) == [{"Untagged": "tool:1"}] * 3
        assert [*map(tags, engines)] == [[IMAGE]] * 3


@on_a_loop
async def test_an_archive_is_loaded_on_every_engine(engines):
    for engine in engines:
        engine.cli("rmi", IMAGE)

    async def archive():
        yield busybox()[1]

    said = []
    async with managed(engines) as cluster:
        assert cluster.images() == []
        await cluster.load(archive(), said.append)
        assert [*map(tags, engines)] == [[IMAGE]] * 3
        loaded = {"stream": f"Loaded image: {IMAGE}\n"}
        assert sorted(each.engine for each in said if each.raw == loaded) == sorted(ANY)
        assert len([each for each in cluster.images() if each.match(IMAGE)]) == 3


@on_a_loop
async def test_a_build_runs_on_one_engine_with_the_room_it_asks_for(engines):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        text = f"FROM {IMAGE}\nLABEL made=here\n".encode()
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))

    async def source():
        yield archive.getvalue()

    said = []
    async with managed(engines) as cluster:
        # As the client cuts it in two.
        wish = json.dumps({"constraint:node": "=node-2"})
        await cluster.build_image({"t": "built", "buildargs": wish}, "", source(), said.append)
        assert (said[-1].engine, said[-1].success) == ("node-2", True)
        assert [image.engine.name for image in cluster.images() if image.match("built")] == [
            "node-2"
        ]
        assert await chosen(cluster, "affinity:image==built", image="built") == {"node-2"}


@on_a_loop
async def test_a_network_is_on_one_engine_and_its_containers_too(engines):
    async with managed(engines, options=NEVER) as cluster:
        made = await cluster.create_network("mesh", {"Driver": "bridge"})
        network = cluster.networks().get("mesh")
        assert network.id == made["Id"]
        web = await run(cluster, "web", NetworkMode="mesh")
        assert (web.engine, web.running) == (network.engine, True)
        assert web.labels[f"{NAMESPACE}.constraints"] == f'["node==~{network.engine.name}"]'


@on_a_loop
async def test_the_name_of_an_engine_tells_two_networks_of_one_name_apart(engines):
    async with managed(engines, options=NEVER) as cluster:
        for name in ("node-1", "node-3"):
            await cluster.create_network(f"{name}/mesh", {"Driver": "bridge"})
        assert cluster.networks().get("mesh") is None
        assert (await run(cluster, "web", NetworkMode="node-3/mesh")).engine.name == "node-3"
        await cluster.remove_network(cluster.networks().get("node-1/mesh"))
        assert cluster.networks().get("mesh").engine.name == "node-3"
        assert "mesh" not in [each["Name"] for each in engines[0].ask("GET", "/networks")]


def volumes(engine):
    return [each["Name"] for each in engine.ask("GET", "/volumes")["Volumes"] or ()]


@on_a_loop
async def test_a_volume_is_on_every_engine_or_on_the_one_that_is_named(engines):
    async with managed(engines, options=NEVER) as cluster:
        await cluster.create_volume({"Name": "data"})
        await cluster.create_volume({"Name": "node-2/own"})
        assert [sorted(volumes(each)) for each in engines] == [["data"], ["data", "own"], ["data"]]
        assert cluster.volumes().get("data") is None
        assert cluster.volumes().get("own").engine.name == "node-2"
        assert await cluster.remove_volumes("data")
        assert [volumes(each) for each in engines] == [[], ["own"], []]
        assert not await cluster.remove_volumes("data")


# What happens behind the manager's back.


@on_a_loop
async def test_a_container_that_somebody_starts_is_known_by_its_events(engines):
    async with managed(engines, options=NEVER) as cluster:
        stray(engines[1], "stray")
        await until(lambda: running(cluster, "stray"))
        assert where(cluster) == {"stray": "node-2"}


@on_a_loop
async def test_pause_stop_start_kill_rename_and_removal_are_known_by_their_events(engines):
    async with managed(engines, options=NEVER) as cluster:
        web = await run(cluster, "web")
        engine = next(each for each in engines if each.name == web.engine.name)
        state = lambda: cluster.container(web.id).info["State"]["Status"]  # noqa: E731
        for order, wanted in [
            ("pause", "paused"),
            ("unpause", "running"),
            ("stop", "exited"),
            ("start", "running"),
            ("kill", "exited"),
            ("restart", "running"),
        ]:
            engine.cli(order, "web")
            await until(lambda wanted=wanted: state() == wanted)
        engine.cli("rename", "web", "shop")
        await until(lambda: list(where(cluster)) == ["shop"])
        engine.cli("rm", "-f", "shop")
        await until(lambda: where(cluster) == {})


@on_a_loop
async def test_a_container_that_ends_by_itself_does_not_run(engines):
    async with managed(engines, options=NEVER) as cluster:
        engines[0].cli("run", "-d", "--network=none", "--name=short", IMAGE, "true")
        await until(lambda: cluster.container("short"))
        await until(lambda: cluster.container("short").info["State"]["Status"] == "exited")


@on_a_loop
async def test_images_networks_and_volumes_are_known_by_their_events(engines):
    async with managed(engines, options=NEVER) as cluster:
        engines[0].cli("tag", IMAGE, "tool")
        await until(lambda: cluster.image("tool"))
        engines[0].cli("network", "create", "mesh")
        await until(lambda: cluster.networks().get("mesh"))
        engines[0].cli("volume", "create", "data")
        await until(lambda: cluster.volumes().get("data"))
        engines[0].cli("rmi", "tool")
        engines[0].cli("network", "rm", "mesh")
        engines[0].cli("volume", "rm", "data")
        await until(lambda: not cluster.image("tool"))
        await until(lambda: not cluster.networks().get("mesh"))
        await until(lambda: not cluster.volumes().get("data"))


@on_a_loop
async def test_what_happens_while_the_stream_of_events_is_broken_is_told_afterwards(engines):
    async with managed(engines, options=NEVER) as cluster:
        await create(cluster, "web", "constraint:node==node-1")
        engines[0].gate.cut()
        engines[0].cli("rm", "web")
        engines[0].cli("create", "--name=late", "--network=none", IMAGE)
        engines[0].gate.mend()
        await until(lambda: where(cluster) == {"late": "node-1"})
        assert set(states(cluster).values()) == {State.HEALTHY}


@on_a_loop
async def test_a_refresh_finds_what_no_event_has_told(engines):
    async with managed(engines) as cluster:
        (engine,) = (each for each in cluster.engines.values() if each.name == "node-1")
        stray(engines[0], "web")
        await until(lambda: running(cluster, "web"))
        engine.inventory.drop(cluster.container("web").id)
        await until(lambda: running(cluster, "web"))


@on_a_loop
async def test_clients_are_told_of_events_with_their_engine(engines):
    async with managed(engines, options=NEVER) as cluster:
        seen = []
        cluster.register_event_handler(seen.append)
        stray(engines[2], "web")
        await until(lambda: "start" in [each.status for each in seen])
        found = [(each.status, each.origin, each.engine.name) for each in seen if each.status]
        assert found == [("create", IMAGE, "node-3"), ("start", IMAGE, "node-3")]


# Engines that are lost and found.


@on_a_loop
async def test_an_engine_that_is_cut_off_loses_what_may_move_and_its_twins_when_it_is_back(
    engines, capsys
):
    async with managed(engines) as cluster:
        lost = await run(cluster, "web", NEAR, MOVE)
        idle = await create(cluster, "idle", NEAR, MOVE)
        await run(cluster, "stays", NEAR)
        await run(cluster, "other", "constraint:node==node-2")

        engines[0].gate.cut()
        await until(lambda: runs_elsewhere(cluster, "web"))
        await until(lambda: where(cluster).get("idle") in ("node-2", "node-3"))
        assert states(cluster) == {
            "node-1": State.UNHEALTHY,
            "node-2": State.HEALTHY,
            "node-3": State.HEALTHY,
        }
        assert {name: where(cluster)[name] for name in ("stays", "other")} == {
            "stays": "node-1",
            "other": "node-2",
        }
        web = cluster.container("web")
        assert (web.swarm_id, web.id == lost.id) == (lost.swarm_id, False)
        assert not running(cluster, "idle")
        assert cluster.container("idle").swarm_id == idle.swarm_id
        assert there(engines[0]) == ["idle", "stays", "web"]
        assert await chosen(cluster, NEAR) == {"node-2", "node-3"}

        engines[0].gate.mend()
        await until(lambda: there(engines[0]) == ["stays"] and cluster.container("web"))
        assert states(cluster)["node-1"] == State.HEALTHY
        assert where(cluster)["stays"] == "node-1"
        assert cluster.container("web").id == web.id
        assert running(cluster, "web")
    assert "Hooray!" in capsys.readouterr().out


@on_a_loop
async def test_a_container_that_may_not_go_elsewhere_stays_with_its_engine(engines, capsys):
    async with managed(engines) as cluster:
        web = await run(cluster, "web", "constraint:node==node-1", MOVE)
        engines[0].gate.cut()
        said = f"Failed to reschedule container {web.id}: {UNABLE}"
        log = io.StringIO()
        await until(lambda: log.write(capsys.readouterr().out) and said in log.getvalue())
        assert where(cluster) == {"web": "node-1"}
        engines[0].gate.mend()
        await until(lambda: states(cluster)["node-1"] == State.HEALTHY)
        assert running(cluster, "web")
        assert there(engines[0]) == ["web"]


@on_a_loop
async def test_the_last_known_error_of_a_lost_engine_is_shown(engines):
    async with managed(engines) as cluster:
        await create(cluster, "web", "constraint:node==node-2")
        engines[1].gate.cut()
        await until(lambda: states(cluster)["node-2"] == State.UNHEALTHY)
        lines = cluster.info()
        lost = lines[lines.index((" node-2", engines[1].address)) :]
        error = f"Cannot connect to the Docker daemon at tcp://{engines[1].address}. "
        assert [lost[2], lost[3], lost[7]] == [
            ("  └ Status", "Unhealthy"),
            ("  └ Containers", "1"),
            ("  └ Error", error + "Is the docker daemon running?"),
        ]


@on_a_loop
async def test_a_cable_that_is_pulled_is_noticed_when_requests_get_no_answer(engines):
    # An engine may be silent for thirty seconds, one of ours.
    often = EngineOptions(4, 8, failure_retry=2)
    async with managed(engines, options=often, clock=Hurried(30)) as cluster:
        await run(cluster, "web", NEAR, MOVE)
        engines[0].gate.freeze()
        await until(lambda: runs_elsewhere(cluster, "web"))
        assert states(cluster)["node-1"] == State.UNHEALTHY
        engines[0].gate.mend()
        await until(lambda: there(engines[0]) == [])


@on_a_loop
async def test_an_engine_that_ends_in_order_stops_its_containers_and_they_move_stopped(engines):
    # An engine that ends takes no new connection, so the manager is not to need a second one.
    seldom = EngineOptions(3600, 3600, failure_retry=1)
    async with managed(engines, options=seldom) as cluster:
        await run(cluster, "web", NEAR, MOVE)
        await run(cluster, "stays", NEAR)
        await asyncio.to_thread(engines[0].stop)
        await until(lambda: not running(cluster, "web") and not running(cluster, "stays"))
        with pytest.raises(ClusterError):
            await cluster.refresh_engine("node-1")
        await until(lambda: where(cluster).get("web") in ("node-2", "node-3"))
        assert cluster.container("web").info["State"]["Status"] == "created"
        assert where(cluster)["stays"] == "node-1"
        await asyncio.to_thread(engines[0].start)
        await cluster.refresh_engine("node-1")
        await until(lambda: there(engines[0]) == ["stays"] and cluster.container("web"))
        assert set(states(cluster).values()) == {State.HEALTHY}
        assert not running(cluster, "web")


@on_a_loop
async def test_the_containers_of_an_engine_that_crashes_move_and_run(engines):
    async with managed(engines) as cluster:
        await run(cluster, "web", NEAR, MOVE)
        await asyncio.to_thread(engines[0].kill)
        await until(lambda: runs_elsewhere(cluster, "web"))
        await asyncio.to_thread(engines[0].start)
        await until(lambda: there(engines[0]) == [])


@on_a_loop
async def test_the_containers_of_an_engine_that_leaves_discovery_move_and_run(engines, tmp_path):
    file = tmp_path / "cluster"
    file.write_text("\n".join(each.address for each in engines))
    async with manager(f"file://{file}") as cluster:
        await until(lambda: len(cluster.engines) == 3)
        await run(cluster, "web", NEAR, MOVE)
        await run(cluster, "stays", NEAR)
        file.write_text("\n".join(each.address for each in engines[1:]))
        await until(lambda: runs_elsewhere(cluster, "web"))
        assert list(where(cluster)) == ["web"]
        file.write_text("\n".join(each.address for each in engines))
        await until(lambda: there(engines[0]) == ["stays"])
        await until(lambda: set(where(cluster)) == {"web", "stays"})


@on_a_loop
async def test_two_engines_that_are_lost_together_give_theirs_to_the_third(engines):
    async with managed(engines) as cluster:
        for name in ("node-1", "node-2", "node-3"):
            await run(cluster, f"on-{name}", f"constraint:node==~{name}", MOVE)
        for engine in engines[:2]:
            engine.gate.cut()
        names = ("on-node-1", "on-node-2", "on-node-3")
        await until(lambda: where(cluster) == dict.fromkeys(names, "node-3"))
        await until(lambda: all(running(cluster, name) for name in names))


@on_a_loop
async def test_a_cluster_without_healthy_engines_says_so(engines):
    async with managed(engines[:1]) as cluster:
        engines[0].gate.cut()
        await until(lambda: states(cluster)["node-1"] == State.UNHEALTHY)
        assert await refusal(cluster, "web") == "No healthy node available in the cluster"


@on_a_loop
async def test_a_daemon_that_is_listed_under_two_addresses_keeps_its_containers(engines, capsys):
    stray(engines[0], "web")
    both = f"nodes://{engines[0].address},{engines[0].direct}"
    async with manager(both) as cluster:
        await until(lambda: len(cluster.engines) == 2)
        engines[0].gate.cut()
        await until(lambda: State.UNHEALTHY in [e.health.state for e in cluster.engines.values()])
        engines[0].gate.mend()
        await until(lambda: all(e.health.state == State.HEALTHY for e in cluster.engines.values()))
        assert there(engines[0]) == ["web"]
    assert "ID duplicated" in capsys.readouterr().out


@on_a_loop
async def test_two_managers_of_the_same_engines_know_the_same(engines):
    async with managed(engines, options=NEVER) as one, managed(engines, options=NEVER) as other:
        await run(one, "web")
        await until(lambda: running(other, "web"))
        assert where(one) == where(other)
        assert await refusal(other, "web") == conflict("web")


# The original, given the same requests.


class Original:
    """The binary that REF_SWARM names, as the manager of some engines."""

    def __init__(self, address):
        self.address = address

    def ask(self, method, path, body=None):
        with closing(http.client.HTTPConnection(self.address, timeout=DEADLINE)) as connection:
            text = json.dumps(body) if body else None
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read().decode()
        if answer.status >= 400:
            return said.removesuffix("\n")
        return json.loads(said or "null")

    def create(self, name, body, start):
        """Return the engine of a new container, or why there is none."""
        made = self.ask("POST", f"/containers/create?name={name}", body)
        if isinstance(made, str):
            return made
        if start:
            self.ask("POST", f"/containers/{made['Id']}/start")
        return self.ask("GET", f"/containers/{made['Id']}/json")["Node"]["Name"]

    def found(self, name):
        """Return what a name leads to: a container, a network, a volume, whether an image."""
        kinds = (("containers/{}/json", "Id"), ("networks/{}", "Id"), ("volumes/{}", "Mountpoint"))
        answers = [(self.ask("GET", "/" + path.format(quote(name))), key) for path, key in kinds]
        image = self.ask("GET", f"/images/{quote(name)}/json")
        said = [None if isinstance(answer, str) else answer[key] for answer, key in answers]
        # An engine says it otherwise, which may not know the image by this name.
        return *said, image != f"No such image: {name}"

    def info(self):
        # The first pair is the manager's role.
        return [tuple(pair) for pair in self.ask("GET", "/info")["SystemStatus"][1:]]


@contextmanager
def original(url, strategy, *options):
    if not (program := os.environ.get("REF_SWARM")):
        pytest.skip("REF_SWARM names no binary of the original")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    line = [program, "manage", "-H", f"tcp://{address}", "--strategy", strategy, *options, url]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield Original(address)
    finally:
        process.kill()
        process.wait()


async def knows(swarm, count):
    """Wait until the original has so many healthy engines."""

    def registered():
        with suppress(OSError):
            return swarm.info().count(("  └ Status", "Healthy")) == count

    await until(registered)


class InTheOrderOf:
    """A strategy that decides between equals as somebody else has decided."""

    def __init__(self, strategy):
        self.strategy = strategies.new(strategy, random.Random(0))
        self.name = strategy
        self.wanted = ""

    def rank_and_sort(self, config, nodes):
        # Equals stay in the order they come in; who is not the best does not get first.
        first = sorted(nodes, key=lambda node: node.name != self.wanted)
        return self.strategy.rank_and_sort(config, first)


CONSTRAINTS = (
    *("storage==ssd", "storage==disk", "storage!=ssd", "storage==~tape", "storage==tape"),
    *("node==node-2", "node!=node-1", "node==~node-3", "node==/node-[12]/", "node==n*3"),
    *("a==b", "storage", "storage==a,b", "ostype==linux", "kernelversion==~[1-5].*"),
)
AFFINITIES = (
    *("container==web-1", "container!=web-1", "container!=~web-*", "container==/web-[12]$/"),
    *("tier==web", "tier!=db", "tier!=~web", "image==busybox", "image!=busybox", "image==~none"),
    *("tier==/^d/", "colour==blue", "colour!=blue", "tier=~web"),
)
OTHERS = ("whitelist:node==node-1|node-2", "whitelist:xy==node-3", MOVE, "reschedule:now")


def requests(seed):
    """Return forty triples of a name, a body and whether to start; many cannot be granted."""
    chance = random.Random(seed)

    def maybe(part, *choices):
        return [chance.choice(choices)] if chance.random() < part else []

    def request(number):
        env = maybe(0.2, *(f"constraint:{each}" for each in CONSTRAINTS))
        env += maybe(0.1, *(f"constraint:{each}" for each in CONSTRAINTS))
        env += maybe(0.2, *(f"affinity:{each}" for each in AFFINITIES))
        env += maybe(0.1, *OTHERS) + maybe(0.1, *OTHERS) + ["COLOUR=blue"]
        host = {"Memory": chance.choice([0, 0, 0, 1, 2, 5, 30]) * GIB}
        host["CpuShares"] = int(chance.random() < 0.1)
        host["NetworkMode"] = "none"
        for mode in maybe(0.2, "host", "mesh", "node-2/mesh", "container:web-3", "container:no"):
            host["NetworkMode"] = mode
        for port in maybe(0.2, "8080", "8081"):
            host |= published(port, chance.choice(["", "127.0.0.1", "127.0.0.2"]))
        for earlier in maybe(0.1, "web-1", "web-2:ro", "nobody"):
            host["VolumesFrom"] = [earlier]
        image = chance.choice([IMAGE] * 17 + ["not/known", f"{REGISTRY}/tool", f"{REGISTRY}/no"])
        body = {"Image": image, "Cmd": ["sleep", "1000"], "Env": env, "HostConfig": host}
        body["Labels"] = {"tier": chance.choice(["web", "db"])}
        name = chance.choice([f"web-{number}"] * 12 + ["", "web-1", "x"])
        return name, body, host["NetworkMode"] == "none" and chance.random() < 0.1

    return [request(number) for number in range(40)]


async def answer(cluster, name, body, start):
    """Return the engine of a new container, or why there is none, as an API does."""
    try:
        config = ContainerConfig.build(body)
        config.validate()
        container = await cluster.create_container(config, name, {})
    except (ClusterError, ValueError) as error:
        return str(error)
    if start:
        await cluster.start_container(container)
    return container.engine.name


def prepare(engines):
    """Clean the engines; one has a network, one an image, that the others cannot have."""
    for engine in engines:
        engine.renew()
        serve_no_image(engine)
    engines[1].cli("network", "create", "mesh")
    engines[2].cli("tag", IMAGE, f"{REGISTRY}/tool")


def timeless(info):
    """Return the lines of `info` that are not about the moment."""
    return [pair for pair in info if pair[0] != "  └ UpdatedAt"]


def given(engine):
    """Return what an engine was asked to make, container by container."""
    found = []
    for each in engine.ask("GET", "/containers/json", all=1):
        inspected = engine.ask("GET", f"/containers/{each['Id']}/json")
        config, host = inspected["Config"], inspected["HostConfig"]
        # What an id is, or made of an id.
        # The engine's choice, private for who speaks version 1.40 of its API or a later one.
        del host["IpcMode"]
        labels = config["Labels"]
        labels.pop(f"{NAMESPACE}.id", None)
        del config["Hostname"]
        # Left by a second try; which of two equals was tried first is open.
        if labels.get(f"{NAMESPACE}.affinities") == "[]":
            del labels[f"{NAMESPACE}.affinities"]
        host["NetworkMode"] = host["NetworkMode"].partition(":")[0]
        found.append((config, host))
    return sorted(found, key=repr)


@pytest.mark.parametrize(
    "driver",
    [[], ["swarm.overcommit=0.5"], ["swarm.overcommit=-0.25", "swarm.createretry=1"]],
    ids=["plain", "overcommit", "createretry"],
)
@pytest.mark.parametrize("strategy", ["spread", "binpack"])
@on_a_loop
async def test_the_original_places_and_refuses_the_same(engines, strategy, driver):
    seed = f"{strategy} {driver}"
    options = [f"--cluster-opt={each}" for each in driver]
    # Nobody is at the last address.
    url = f"{listed(engines)},127.0.0.1:1"
    prepare(engines)
    with original(url, strategy, *options) as swarm:
        await knows(swarm, 3)
        theirs = [swarm.create(*each) for each in requests(seed)]
        their_info = timeless(swarm.info())
    they_gave = [*map(given, engines)]

    prepare(engines)
    ours, taste = [], InTheOrderOf(strategy)
    async with manager(url, taste, driver=driver) as cluster:
        await until(lambda: len(cluster.engines) == 3)
        for each, taste.wanted in zip(requests(seed), theirs, strict=True):
            ours.append(await answer(cluster, *each))
        our_info = timeless(cluster.info())
    assert ours == theirs
    assert our_info == their_info
    assert [*map(given, engines)] == they_gave


INTERVALS = ("--engine-refresh-min-interval=1s", "--engine-refresh-max-interval=1s")
MOVABLE = {"runs", "idle", "soft"}


def before_the_loss():
    """Return triples of a name, a body and whether to start, most for the first engine."""
    return [
        (name, sleeper(*env), name != "idle")
        for name, *env in [
            ("runs", NEAR, MOVE),
            ("idle", NEAR, MOVE),
            ("soft", "constraint:storage==~ssd", MOVE),
            ("ssd", "constraint:storage==ssd", MOVE),
            ("pinned", "constraint:node==node-1", MOVE),
            ("off", NEAR, "reschedule:off"),
            ("stays", NEAR),
            ("other", "constraint:node==node-2", MOVE),
        ]
    ]


def kept(engines):
    """Return what is on the first engine and what elsewhere, with its state."""
    found = [
        {(each["Names"][0], each["State"]) for each in engine.ask("GET", "/containers/json", all=1)}
        for engine in engines
    ]
    return found[0], set.union(*found[1:])


async def lose(engines, how, info):
    """Lose the first engine and find it again; return what is seen of that."""
    lost, *others = engines
    await asyncio.to_thread({"cut": lost.gate.cut, "stop": lost.stop, "kill": lost.kill}[how])

    def moved():
        names = {name for each in others for name in there(each)}
        ran = {name for each in others for name in there(each, all=0)}
        return names >= MOVABLE and (how == "stop" or ran >= MOVABLE - {"idle"})

    await until(moved)
    lines = timeless(info())
    first = lines[lines.index((" node-1", lost.address)) :]
    await asyncio.to_thread(lost.start)
    await until(lambda: not MOVABLE & {*there(lost)})
    return first[: first.index((" node-2", others[0].address))], *kept(engines)


@pytest.mark.parametrize("how", ["cut", "stop", "kill"])
@on_a_loop
async def test_the_original_loses_and_finds_an_engine_the_same(engines, how):
    with original(listed(engines), "spread", *INTERVALS) as swarm:
        await knows(swarm, 3)
        granted = [swarm.create(*each) for each in before_the_loss()]
        assert set(granted) <= ANY
        theirs = await lose(engines, how, swarm.info)
    for engine in engines:
        engine.renew()
    async with managed(engines, options=EngineOptions(1, 1)) as cluster:
        for each in before_the_loss():
            await answer(cluster, *each)
        assert await lose(engines, how, cluster.info) == theirs


@on_a_loop
async def test_the_original_finds_the_same_by_every_id_and_name(engines):
    for engine in engines[:2]:
        engine.cli("create", "--name=web", "--network=none", IMAGE)
        engine.cli("network", "create", "mesh")
        engine.cli("volume", "create", "data")
    engines[2].cli("network", "create", "own")
    engines[2].cli("volume", "create", "own")
    engines[1].cli("tag", IMAGE, "127.0.0.1:5000/some/tool:1")
    with original(listed(engines), "spread") as swarm:
        await knows(swarm, 3)
        swarm.create("shop", sleeper("constraint:node==node-3"), False)
        async with managed(engines) as cluster:
            shop, network = cluster.container("shop"), cluster.networks().get("own")
            image = cluster.image(IMAGE)
            names = ["web", "shop", "sho", "mesh", "own", "ow", "none", "data", "nothing"]
            places = ["node-1", "node-2", "node-3", "node-4", *cluster.engines]
            names += [f"{place}/{name}" for place in places for name in names[:9]]
            names += [part for each in (shop.id, shop.swarm_id, network.id) for part in cut(each)]
            names += ["busybox", IMAGE, "busybox:1", "busy", "127.0.0.1:5000/some/tool"]
            names += [
                "127.0.0.1:5000/some/tool:1",
                "tool",
                "some/tool",
                *cut(image.id),
                *cut(image.id[7:]),
            ]
            ours = [found(cluster, name) for name in names]
        theirs = [swarm.found(name) for name in names]
    assert dict(zip(names, ours, strict=True)) == dict(zip(names, theirs, strict=True))


def cut(text):
    """Return a text and some of its beginnings."""
    return [text[:length] for length in (2, 3, 5, 11, 12, 13, 63, 64, 100)]


def found(cluster, name):
    """Return what a name leads to: a container, a network, a volume, whether an image."""
    container, network = cluster.container(name), cluster.networks().get(name)
    volume = cluster.volumes().get(name)
    return (
        container and container.id,
        network and network.id,
        volume and volume.raw["Mountpoint"],
        bool(cluster.image(name)),
    )
