"""What `docker info` shows of a cluster."""

import asyncio
import io

import pytest

from walkthroughs.swarm import filters, strategies
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.health import EngineOptions
from walkthroughs.swarm.info import KNOWN, natural
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.new_cluster import new_cluster
from walkthroughs.swarm.nodes import Nodes
from walkthroughs.swarm.scheduler import Scheduler

GIB = 2**30
PLAIN = {"driver": "vfs", "kernel": "6.1", "operating_system": "Debian 12"}
LABELS = (
    "kernelversion=6.1, operatingsystem=Debian 12, ostype=linux, storage=ssd, storagedriver=vfs"
)


async def cluster_of(lab, *addresses, names=filters.FILTERS):
    """Start a manager, and let it find its engines."""
    world = lab.world("manager", io.StringIO())
    discovery = Nodes(",".join(addresses), 60, 180, {}, world)
    scheduler = Scheduler(strategies.new("binpack", lab.random), filters.new(names))
    cluster = new_cluster(scheduler, None, discovery, [], EngineOptions(), world)
    lab.start("manager", cluster.run())
    await lab.run(1)
    return cluster


def lines_of(cluster, key):
    return [value for each, value in cluster.info() if each.strip(" └") == key]


def test_info_of_one_engine_line_by_line():
    async def main():
        async with Lab() as lab:
            LabEngine(lab, "node-1", "10.0.0.1:2375", id="A", memory=8 * GIB, **PLAIN).plug()
            cluster = await cluster_of(lab, "10.0.0.1:2375")
            host = {"Memory": GIB, "CpuShares": 2}
            body = {"Image": "busybox:latest", "HostConfig": host}
            await cluster.create_container(ContainerConfig.build(body), "c0", {})
            return cluster.info()

    assert asyncio.run(main()) == [
        ("Strategy", "binpack"),
        ("Filters", "health, port, containerslots, dependency, affinity, constraint, whitelist"),
        ("Nodes", "1"),
        (" node-1", "10.0.0.1:2375"),
        ("  └ ID", "A|10.0.0.1:2375"),
        ("  └ Status", "Healthy"),
        ("  └ Containers", "1 (0 Running, 0 Paused, 1 Stopped)"),
        ("  └ Reserved CPUs", "2 / 4"),
        ("  └ Reserved Memory", "1 GiB / 8.4 GiB"),
        ("  └ Labels", LABELS),
        ("  └ UpdatedAt", "2017-07-14T02:40:01Z"),
        ("  └ ServerVersion", "20.10.24"),
    ]


def test_info_of_an_engine_that_never_answered():
    async def main():
        async with Lab() as lab:
            return (await cluster_of(lab, "10.0.0.1:2375", names=[])).info()

    why = (
        "Cannot connect to the Docker daemon at tcp://10.0.0.1:2375. Is the docker daemon running?"
    )
    assert asyncio.run(main()) == [
        ("Strategy", "binpack"),
        ("Filters", ""),
        ("Nodes", "1"),
        (" (unknown)", "10.0.0.1:2375"),
        ("  └ ID", ""),
        ("  └ Status", "Pending"),
        ("  └ Containers", "0"),
        ("  └ Reserved CPUs", "0 / 0"),
        ("  └ Reserved Memory", "0 B / 0 B"),
        ("  └ Labels", ""),
        ("  └ Error", why),
        ("  └ UpdatedAt", "2017-07-14T02:40:00Z"),
        ("  └ ServerVersion", ""),
    ]


def test_states_are_counted_on_healthy_engines_only():
    async def main():
        async with Lab() as lab:
            engine = LabEngine(lab, "node-1", "10.0.0.1:2375").plug()
            for name in "stopped", "running", "paused":
                engine.create(name, Image="busybox:latest")
            engine.start("running")
            engine.start("paused")
            engine.pause("paused")
            cluster = await cluster_of(lab, "10.0.0.1:2375")
            told = lines_of(cluster, "Containers")
            engine.vanish()
            await lab.run(600)
            return told + lines_of(cluster, "Containers") + lines_of(cluster, "Status")

    assert asyncio.run(main()) == ["3 (1 Running, 1 Paused, 1 Stopped)", "3", "Unhealthy"]


def test_engines_are_sorted_by_name_in_the_natural_order():
    async def main():
        async with Lab() as lab:
            names = ["node-10", "node-9", "10", "9", "b", "a"]
            for number, name in enumerate(names, 1):
                LabEngine(lab, name, f"10.0.0.{number}:2375").plug()
            cluster = await cluster_of(lab, "10.0.0.[1:7]:2375")
            return [k.strip() for k, v in cluster.info() if v.endswith(":2375") and "└" not in k]

    assert asyncio.run(main()) == ["(unknown)", "9", "10", "a", "b", "node-9", "node-10"]


# As package naturalsort orders them, which the original sorts with.
ORDERED = [
    ("", "a"),
    ("9", "10"),
    ("1", "01"),
    ("01", "2"),
    ("2", "a"),
    ("node-2", "node-10"),
    ("node-2", "node-a"),
    ("node-1-b", "node-01-a"),
    ("node 2", "node3"),
    ("rack1-node2", "rack1-node10"),
    ("rack2", "rack10-node1"),
]


@pytest.mark.parametrize(("first", "second"), ORDERED)
def test_natural(first, second):
    assert natural(first) < natural(second)


def test_what_is_told_of_an_engine_is_never_what_was_true_before():
    async def main():
        async with Lab() as lab:
            machine = LabEngine(lab, "node-1", "10.0.0.1:2375").plug()
            cluster = await cluster_of(lab, "10.0.0.1:2375")
            seen = [cluster.info()]

            async def look(seconds=0):
                await lab.run(seconds)
                told = cluster.info()
                KNOWN.clear()
                assert told == cluster.info()
                assert told != seen[-1]
                seen.append(told)

            config = ContainerConfig.build({"Image": "busybox:latest"})
            web = await cluster.create_container(config, "web", {})
            await look()
            await cluster.start_container(web)
            await look()
            machine.stop("web")
            await look(1)
            machine.name = "node-one"
            await look(400)
            machine.vanish()
            await look(300)

    asyncio.run(main())
