"""What becomes of containers when engines die and return, on the lab's engines and real ones."""

import asyncio
import io
import json
import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import THOROUGH
from walkthroughs.swarm import filters, strategies
from walkthroughs.swarm.cluster import ClusterError
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.discovery import create_entries
from walkthroughs.swarm.engine_api import EngineError
from walkthroughs.swarm.events import Event
from walkthroughs.swarm.health import EngineOptions
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.new_cluster import new_cluster
from walkthroughs.swarm.scheduler import Scheduler
from walkthroughs.swarm.watchdog import Watchdog, without_address, without_endpoints
from walkthroughs.swarm.world import World

MOVES = "reschedule:on-node-failure"
LOST = 300
"""Seconds after which an engine that is away has been found so."""


class Told:
    """A discovery that a test tells who is there."""

    def __init__(self):
        self.reports = asyncio.Queue()

    def tell(self, addresses):
        self.reports.put_nowait(create_entries(addresses))

    async def watch(self):
        while True:
            yield await self.reports.get()


def a_cluster(discovery, world, options=None):
    """Return a cluster with a watchdog."""
    chosen = filters.new(["health", "port", "dependency", "affinity", "constraint"])
    scheduler = Scheduler(strategies.new("spread", world.random), chosen)
    cluster = new_cluster(scheduler, None, discovery, [], options or EngineOptions(), world)
    cluster.register_event_handler(Watchdog(cluster, world, cluster.spawn).handle)
    return cluster


class Swarm:
    """Engines `node-1`, `node-2` ... in a lab, and a manager with a watchdog."""

    def __init__(self, lab, count):
        self.lab, self.log, self.discovery = lab, io.StringIO(), Told()
        self.world = lab.world("manager", self.log)
        self.world.log.set_level("debug")
        self.nodes = [
            LabEngine(lab, f"node-{number}", f"10.0.0.{number}:2375").plug()
            for number in range(1, count + 1)
        ]
        self.cluster = a_cluster(self.discovery, self.world)

    async def begin(self):
        self.lab.start("manager", self.cluster.run())
        self.discovery.tell(node.address for node in self.nodes)
        await self.lab.run(1)

    async def run(self, name, *wishes, start=True, **body):
        """Create a container through the manager, and start it; return it."""
        config = {"Image": "busybox", "Cmd": ["sleep", "9"], "Env": list(wishes), **body}
        made = asyncio.ensure_future(
            self.cluster.create_container(ContainerConfig.build(config), name, {})
        )
        await self.lab.run(0)
        container = made.result()
        if start:
            starting = asyncio.ensure_future(self.cluster.start_container(container))
            await self.lab.run(0)
            starting.result()
        await self.lab.run(1)
        return container

    def where(self, known=False):
        """Return, by name, the nodes of each container and whether it runs there.

        Truth is what engines have; `known` is what the manager thinks.
        """
        found = {}
        if known:
            for each in self.cluster.containers():
                name = each.names[0].lstrip("/")
                found.setdefault(name, []).append((each.engine.name, each.running))
        else:
            for node in self.nodes:
                for each in node.containers.values():
                    found.setdefault(each.name, []).append((node.name, each.running))
        return found

    def said(self, part):
        """Return the messages with some text in them, ids cut to eight characters."""
        found = re.findall(r'msg=("(?:\\.|[^"])*"|\S+)', self.log.getvalue())
        texts = [json.loads(each) if each[0] == '"' else each for each in found]
        return [
            re.sub(r"\b([0-9a-f]{8})[0-9a-f]{56}", r"\1", each) for each in texts if part in each
        ]


def in_a_swarm(story, count=3):
    """Run an async function of a swarm."""

    async def run():
        async with Lab() as lab:
            swarm = Swarm(lab, count)
            await swarm.begin()
            await story(swarm)

    asyncio.run(run())


def on(swarm, name):
    """Return the engine of the lab that a container is on."""
    [(node, _)] = swarm.where()[name]
    return swarm.nodes[int(node[-1]) - 1]


# What moves


def test_containers_of_an_engine_that_dies_are_created_anew_and_started():
    async def story(swarm):
        lost = await swarm.run("web", MOVES)
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        assert swarm.where(known=True) == {"web": [("node-2", True)]}
        [new] = swarm.cluster.containers()
        assert new.swarm_id == lost.swarm_id != ""
        assert new.id != lost.id
        assert swarm.said("scheduled container") == [
            f"Rescheduled container {lost.id[:8]} from node-1 to node-2 as {new.id[:8]}"
        ]
        assert swarm.said("was running") == [
            f"Container {lost.id[:8]} was running, starting container {new.id[:8]}"
        ]

    in_a_swarm(story)


def test_a_move_keeps_config_name_and_swarm_id():
    async def story(swarm):
        body = {
            "Labels": {"tier": "web"},
            "HostConfig": {"Memory": 1 << 30, "CpuShares": 2, "Binds": ["/srv:/srv"]},
        }
        lost = await swarm.run("web", MOVES, "A=1", **body)
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        [new] = swarm.cluster.containers()
        assert new.names == lost.names == ["/web"]
        for key in ("Env", "Cmd", "Image", "Labels", "Hostname"):
            assert new.config.raw[key] == lost.config.raw[key]
        assert (new.config.cpus, new.config.memory) == (2, 1 << 30)
        assert new.config.host["Binds"] == ["/srv:/srv"]

    in_a_swarm(story)


def test_an_engine_that_leaves_discovery_is_lost_too():
    async def story(swarm):
        await swarm.run("web", MOVES)
        swarm.discovery.tell(["10.0.0.2:2375", "10.0.0.3:2375"])
        await swarm.lab.run(1)
        assert swarm.where(known=True) == {"web": [("node-2", True)]}
        # Nobody has told the first that it is not wanted any more.
        assert swarm.where() == {"web": [("node-1", True), ("node-2", True)]}

    in_a_swarm(story)


def test_after_a_graceful_stop_containers_are_created_and_not_started():
    async def story(swarm):
        await swarm.run("web", MOVES)
        swarm.lab.at(swarm.lab.clock.now, swarm.nodes[0].shut_down)
        await swarm.lab.run(LOST)
        assert swarm.where(known=True) == {"web": [("node-2", False)]}
        assert swarm.said("was running") == []

    in_a_swarm(story)


def test_after_a_power_cut_containers_are_started():
    async def story(swarm):
        await swarm.run("web", MOVES)
        swarm.nodes[0].crash()
        await swarm.lab.run(LOST)
        assert swarm.where(known=True) == {"web": [("node-2", True)]}

    in_a_swarm(story)


def test_a_container_that_did_not_run_does_not_run_after_a_move():
    async def story(swarm):
        await swarm.run("job", MOVES, start=False)
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        assert swarm.where(known=True) == {"job": [("node-2", False)]}

    in_a_swarm(story)


@pytest.mark.parametrize("wish", [[], ["reschedule:off"]])
def test_a_container_without_the_policy_stays(wish):
    async def story(swarm):
        stays = await swarm.run("db", *wish)
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        assert swarm.where(known=True) == {"db": [("node-1", True)]}
        assert swarm.said("Skipping") == [
            f"Skipping rescheduling of {stays.id[:8]} based on rescheduling policies"
        ]

    in_a_swarm(story)


def test_a_container_with_a_hard_node_constraint_stays_and_is_put_back():
    async def story(swarm):
        stays = await swarm.run("db", MOVES, "constraint:node==node-1")
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        assert swarm.where(known=True) == {"db": [("node-1", True)]}
        assert swarm.said("Failed to reschedule") == [
            f"Failed to reschedule container {stays.id[:8]}: Unable to find a node that "
            "satisfies the following conditions \n[node==node-1]"
        ]

    in_a_swarm(story)


def test_a_soft_node_constraint_lets_go():
    async def story(swarm):
        await swarm.run("web", MOVES, "constraint:node==~node-1")
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        assert swarm.where(known=True) == {"web": [("node-2", True)]}

    in_a_swarm(story)


def test_several_containers_spread_over_the_engines_that_live():
    async def story(swarm):
        for number in range(6):
            await swarm.run(f"web{number}", MOVES)
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        nodes = sorted(node for [(node, _)] in swarm.where(known=True).values())
        assert nodes == ["node-2"] * 3 + ["node-3"] * 3

    in_a_swarm(story)


def test_the_successor_finds_its_name_and_its_room_free():
    async def story(swarm):
        await swarm.run("web", MOVES, HostConfig={"CpuShares": 4})
        assert swarm.cluster.engines[next(iter(swarm.cluster.engines))].inventory.used_cpus == 4
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        used = {each.name: each.inventory.used_cpus for each in swarm.cluster.engines.values()}
        assert used == {"node-1": 0, "node-2": 4}
        assert swarm.said("Conflict") == []

    in_a_swarm(story, count=2)


def test_a_link_finds_its_end_in_its_new_place():
    async def story(swarm):
        await swarm.run("db", MOVES)
        await swarm.run("web", MOVES, HostConfig={"Links": ["/db:/web/db"]})
        assert swarm.where() == {"db": [("node-1", True)], "web": [("node-1", True)]}
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        assert swarm.where(known=True) == {"db": [("node-2", True)], "web": [("node-2", True)]}

    in_a_swarm(story)


def test_a_link_to_one_that_stays_keeps_a_container():
    async def story(swarm):
        await swarm.run("db")
        web = await swarm.run("web", MOVES, HostConfig={"Links": ["/db:/web/db"]})
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        assert swarm.where(known=True) == {"db": [("node-1", True)], "web": [("node-1", True)]}
        assert swarm.said("Failed to reschedule") == [
            f"Failed to reschedule container {web.id[:8]}: Unable to find a node that "
            "satisfies the following conditions \n[--link=/db:/web/db]"
        ]

    in_a_swarm(story)


# Failures


def test_what_cannot_be_moved_is_put_back_and_tried_at_the_next_loss():
    async def story(swarm):
        web = await swarm.run("web", MOVES)
        swarm.nodes[1].vanish()
        await swarm.lab.run(LOST)
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        assert swarm.where(known=True) == {"web": [("node-1", True)]}
        assert swarm.said("Failed to reschedule") == [
            f"Failed to reschedule container {web.id[:8]}: No healthy node available in the cluster"
        ]
        # That there is room again is no reason to try; that the engine is lost again, is.
        swarm.nodes[1].come_back()
        await swarm.lab.run(1000)
        assert swarm.where(known=True) == {"web": [("node-1", True)]}
        swarm.nodes[0].come_back()
        await swarm.lab.run(1000)
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        assert swarm.where(known=True) == {"web": [("node-2", True)]}

    in_a_swarm(story, count=2)


def test_a_container_that_cannot_start_in_its_new_place_is_there_all_the_same():
    async def story(swarm):
        taken = {"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}}
        await swarm.run("web", MOVES, **taken)
        # Of this one the manager learns nothing before the move, or it would not try.
        swarm.nodes[0].vanish()
        swarm.cluster.start_container = refusing
        await swarm.lab.run(LOST)
        [(node, running)] = swarm.where(known=True)["web"]
        assert (node, running) == ("node-2", False)
        [error] = swarm.said("Failed to start")
        assert error.endswith(": Error response from daemon: port is already allocated")
        await swarm.lab.run(LOST)
        assert len(swarm.said("Failed to start")) == 1

    async def refusing(container):
        raise EngineError("Error response from daemon: port is already allocated", 500)

    in_a_swarm(story)


def test_a_start_that_nobody_answers_is_tried_again():
    async def story(swarm):
        await swarm.run("web", MOVES)
        real, failures = swarm.cluster.start_container, ["reset", "refused"]

        async def start(container):
            if failures:
                raise EngineError(failures.pop())
            await real(container)

        swarm.cluster.start_container = start
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        assert swarm.where(known=True) == {"web": [("node-2", True)]}
        assert len(swarm.said("Failed to start")) == 2

    in_a_swarm(story)


def test_who_ran_when_it_was_lost_runs_after_the_second_move_too():
    async def story(swarm):
        await swarm.run("web", MOVES)
        real = swarm.cluster.start_container

        async def start(container):
            if container.engine.name == "node-2":
                swarm.nodes[1].vanish()
            await real(container)

        swarm.cluster.start_container = start
        swarm.nodes[0].vanish()
        await swarm.lab.run(2 * LOST)
        assert swarm.where(known=True) == {"web": [("node-3", True)]}

    in_a_swarm(story)


def test_a_container_without_a_name_is_given_one():
    async def story(swarm):
        await swarm.run("web", MOVES)
        # What an engine says when it is asked for all about it.
        [known] = swarm.cluster.containers()
        known.info.pop("Name")
        known.engine.inventory.names.clear()
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        [new] = swarm.cluster.containers()
        assert new.engine.name == "node-2"
        assert new.names != ["/web"]

    in_a_swarm(story)


# Several deaths


def test_two_engines_die_one_after_the_other():
    async def story(swarm):
        web = await swarm.run("web", MOVES)
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        swarm.nodes[1].vanish()
        await swarm.lab.run(LOST)
        [new] = swarm.cluster.containers()
        assert (new.engine.name, new.running, new.swarm_id) == ("node-3", True, web.swarm_id)

    in_a_swarm(story)


def test_two_engines_die_at_once():
    async def story(swarm):
        for number in range(6):
            await swarm.run(f"web{number}", MOVES)
        swarm.nodes[0].vanish()
        swarm.nodes[1].vanish()
        await swarm.lab.run(2 * LOST)
        assert set(map(tuple, swarm.where(known=True).values())) == {(("node-3", True),)}

    in_a_swarm(story)


def test_an_engine_that_is_back_before_its_turn_keeps_what_it_has():
    async def story(swarm):
        await swarm.run("web1", MOVES)
        await swarm.run("web2", MOVES, "affinity:container==~web1")
        tried = []

        async def create(config, name, auth):
            tried.append(name)
            swarm.nodes[0].come_back()
            await swarm.lab.clock.sleep(LOST)
            raise ClusterError("no luck")

        swarm.cluster.create_container = create
        swarm.nodes[0].vanish()
        await swarm.lab.run(3 * LOST)
        assert tried == ["web1"]
        assert swarm.where() == {"web1": [("node-1", True)], "web2": [("node-1", True)]}
        assert swarm.where(known=True) == swarm.where()

    in_a_swarm(story, count=2)


# The return


def test_a_twin_is_removed_with_force_and_volumes_when_its_engine_is_back():
    async def story(swarm):
        first = await swarm.run("web", MOVES, Volumes={"/data": {}})
        assert len(swarm.nodes[0].volumes) == 1
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        swarm.nodes[0].come_back()
        await swarm.lab.run(LOST)
        assert swarm.where() == {"web": [("node-2", True)]}
        assert swarm.nodes[0].volumes == {}
        assert swarm.said("removing it") == [
            f"container {first.id[:8]} was rescheduled on node node-2, removing it"
        ]
        asked = [each for each in swarm.lab.network.exchanges if each.method == "DELETE"]
        assert [(each.server, each.status) for each in asked] == [("10.0.0.1:2375", 204)]

    in_a_swarm(story)


def test_a_twin_is_removed_from_an_engine_that_is_added_again():
    async def story(swarm):
        await swarm.run("web", MOVES)
        swarm.discovery.tell(["10.0.0.2:2375"])
        await swarm.lab.run(1)
        swarm.discovery.tell(["10.0.0.1:2375", "10.0.0.2:2375"])
        await swarm.lab.run(1)
        assert swarm.where() == {"web": [("node-2", True)]}

    in_a_swarm(story, count=2)


def test_who_has_no_twin_is_left_alone():
    async def story(swarm):
        await swarm.run("web", MOVES)
        await swarm.run("db", "constraint:node==node-1")
        swarm.nodes[0].create("foreign", Image="busybox", Cmd=["sh"])
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        swarm.nodes[0].come_back()
        await swarm.lab.run(LOST)
        assert swarm.where() == {
            "db": [("node-1", True)],
            "foreign": [("node-1", False)],
            "web": [("node-2", True)],
        }

    in_a_swarm(story, count=2)


def test_a_twin_that_cannot_be_removed_is_tried_again():
    async def story(swarm):
        first = await swarm.run("web", MOVES)
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        app, refusals = swarm.nodes[0].app, [True, True]

        async def stubborn(scope, receive, send):
            if scope["method"] == "DELETE" and refusals:
                refusals.pop()
                await send({"type": "http.response.start", "status": 409, "headers": []})
                body = b'{"message": "removal is already in progress"}'
                return await send({"type": "http.response.body", "body": body})
            return await app(scope, receive, send)

        swarm.lab.network.plug("10.0.0.1:2375", stubborn)
        await swarm.lab.run(LOST)
        assert swarm.where() == {"web": [("node-2", True)]}
        assert swarm.said("Failed to remove") == 2 * [
            f"Failed to remove duplicate container {first.id[:8]} on node node-1: "
            "Error response from daemon: removal is already in progress"
        ]

    in_a_swarm(story, count=2)


def test_whose_twin_is_away_itself_is_not_removed():
    async def story(swarm):
        await swarm.run("web", MOVES)
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        # Nobody is left to move it to: the twin stays where it is, out of reach.
        swarm.nodes[1].vanish()
        await swarm.lab.run(LOST)
        swarm.nodes[0].come_back()
        await swarm.lab.run(LOST)
        assert swarm.where()["web"] == [("node-1", True), ("node-2", True)]
        swarm.nodes[1].come_back()
        await swarm.lab.run(2 * LOST)
        assert swarm.where() == {"web": [("node-1", True)]}

    in_a_swarm(story, count=2)


def test_whose_twin_is_gone_is_not_removed():
    async def story(swarm):
        await swarm.run("web", MOVES)
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        # Somebody removes the twin past the manager, which is not told.
        swarm.nodes[1].listeners.clear()
        swarm.nodes[1].remove("web", force=True)
        swarm.nodes[0].come_back()
        swarm.nodes[0].emit("image", "pull", "busybox")
        await swarm.lab.run(LOST)
        assert swarm.where() == {"web": [("node-1", True)]}
        assert swarm.said("removing it") == []

    in_a_swarm(story, count=2)


def test_a_create_request_whose_answer_is_lost_leaves_one_container():
    async def story(swarm):
        await swarm.run("web", MOVES)
        app = swarm.nodes[1].app

        async def loses_answers(scope, receive, send):
            async def lost(message):
                raise ConnectionResetError

            made = scope["path"].endswith("/containers/create")
            await app(scope, receive, lost if made else send)

        swarm.lab.network.plug("10.0.0.2:2375", loses_answers)
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        assert swarm.where() == {"web": [("node-1", True), ("node-2", False)]}
        swarm.nodes[0].come_back()
        await swarm.lab.run(2 * LOST)
        [[(_, running)]] = swarm.where().values()
        assert running

    in_a_swarm(story, count=2)


def test_a_daemon_that_is_listed_under_two_addresses_keeps_its_containers():
    async def story(swarm):
        await swarm.run("web", MOVES)
        swarm.lab.network.plug("10.0.0.9:2375", swarm.nodes[0].app)
        both = ["10.0.0.1:2375", "10.0.0.9:2375"]
        swarm.discovery.tell(both)
        await swarm.lab.run(LOST)
        # One id, two engines: as the original would have it, each is the other's twin.
        assert sorted(each.engine.addr for each in swarm.cluster.containers()) == both
        assert swarm.where() == {"web": [("node-1", True)]}
        swarm.discovery.tell(both[:1])
        await swarm.lab.run(LOST)
        swarm.discovery.tell(both)
        await swarm.lab.run(LOST)
        assert swarm.where() == {"web": [("node-1", True)]}

    in_a_swarm(story, count=1)


# Networks


class Spied:
    """An engine that lets go of whoever should leave a network, and notes who it is."""

    def __init__(self, node, **refused):
        self.app, self.refused, self.orders = node.app, refused, []
        node.lab.network.plug(node.address, self)

    async def __call__(self, scope, receive, send):
        path = scope["path"].split("/")
        if "networks" not in path or path[-1] not in ("connect", "disconnect"):
            return await self.app(scope, receive, send)
        body = json.loads((await receive())["body"])
        self.orders.append((path[-1], path[-2], body))
        why = self.refused.get(path[-1])
        status = {"type": "http.response.start", "status": 404 if why else 200, "headers": []}
        await send(status)
        answer = json.dumps({"message": why}).encode() if why else b""
        return await send({"type": "http.response.body", "body": answer})


async def overlays(swarm, *names):
    """Make global networks, and attach to them a container that runs on node-1."""
    ids = [swarm.nodes[0].create_network(name, "overlay").id for name in names]
    await swarm.lab.run(60)
    await swarm.run(
        "web", MOVES, "constraint:node==~node-1", start=False, HostConfig={"NetworkMode": "none"}
    )
    for name in names:
        swarm.nodes[0].connect(name, "web", {"IPAMConfig": {"IPv4Address": "10.1.0.9"}})
    swarm.nodes[0].start("web")
    await swarm.lab.run(60)
    return ids


def test_global_networks_are_left_and_joined_again_one_by_one():
    async def story(swarm):
        await overlays(swarm, "front", "back")
        spied = Spied(swarm.nodes[1])
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        assert [(what, network, body["Container"]) for what, network, body in spied.orders] == [
            ("disconnect", "front", "web"),
            ("disconnect", "back", "web"),
            ("connect", "front", "web"),
            ("connect", "back", "web"),
        ]
        assert spied.orders[0][2] == {"Container": "web", "Force": True}
        ends = [body["EndpointConfig"] for _, _, body in spied.orders[2:]]
        assert [end["IPAMConfig"]["IPv4Address"] for end in ends] == ["10.1.0.9", "10.1.0.9"]
        [made] = swarm.nodes[1].containers.values()
        assert list(made.networks) == ["none"]

    in_a_swarm(story, count=2)


def test_an_address_that_may_still_be_taken_is_not_asked_for_again():
    async def story(swarm):
        await overlays(swarm, "front")
        spied = Spied(swarm.nodes[1], disconnect="no such endpoint")
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        end = spied.orders[1][2]["EndpointConfig"]
        assert (end["IPAddress"], end["IPAMConfig"]) == ("", {"IPv4Address": "", "IPv6Address": ""})
        assert swarm.said("Failed to remove network") == [
            "Failed to remove network endpoint from old container web: "
            "Error response from daemon: no such endpoint"
        ]
        assert swarm.where(known=True) == {"web": [("node-2", True)]}

    in_a_swarm(story, count=2)


def test_a_network_that_cannot_be_joined_again_is_logged():
    async def story(swarm):
        await overlays(swarm, "front")
        Spied(swarm.nodes[1], connect="network front not found")
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        assert swarm.said("Failed to connect") == [
            "Failed to connect network front to container web: "
            "Error response from daemon: network front not found"
        ]
        assert swarm.where(known=True) == {"web": [("node-2", True)]}

    in_a_swarm(story, count=2)


def test_a_request_for_a_new_place_has_no_endpoint_in_what_is_joined_afterwards():
    config = ContainerConfig.build(
        {"NetworkingConfig": {"EndpointsConfig": {"front": {"NetworkID": "1"}, "mine": {}}}}
    )
    assert without_endpoints(config, {"front": {}}).endpoints == {"mine": {}}
    assert list(config.endpoints) == ["front", "mine"]


def test_an_endpoint_without_its_address_is_what_it_was_otherwise():
    end = {"Aliases": ["w"], "IPAddress": "10.1.0.9", "IPAMConfig": None}
    assert without_address(end) == {"Aliases": ["w"], "IPAddress": "", "IPAMConfig": None}
    asked = {**end, "IPAMConfig": {"IPv4Address": "10.1.0.9", "LinkLocalIPs": ["x"]}}
    assert without_address(asked)["IPAMConfig"] == {
        "IPv4Address": "",
        "IPv6Address": "",
        "LinkLocalIPs": ["x"],
    }


# Events


def test_events_of_containers_are_none_of_its_business():
    spawned = []
    dog = Watchdog(None, World(), spawned.append)
    for raw in ({"from": "busybox", "status": "engine_disconnect"}, {"Type": "network"}):
        dog.handle(Event(None, raw))
    dog.handle(Event(None, {"from": "swarm", "status": "create"}))
    assert spawned == []


def test_a_watchdog_says_what_it_is_about_to_do():
    async def story(swarm):
        swarm.nodes[0].vanish()
        await swarm.lab.run(LOST)
        swarm.nodes[0].come_back()
        await swarm.lab.run(LOST)
        who = f"{swarm.nodes[0].id}|10.0.0.1:2375"
        assert swarm.said("Watchdog") == ["Watchdog enabled"]
        assert swarm.said("failed - ") == [f"Node {who} failed - rescheduling containers"]
        assert swarm.said("removing duplicate") == 2 * [
            f"removing duplicate containers from Node {who}"
        ]

    in_a_swarm(story, count=1)


# All of it, for hours


@settings(max_examples=10 if THOROUGH else 1, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6), slow=st.lists(st.sampled_from([0, 1, 4]), min_size=4, max_size=4)
)
def test_after_hours_of_crashes_each_container_exists_once_and_runs_if_it_ran(seed, slow):
    """Random losses and returns of four engines, some of which take seconds to answer."""
    random, names = Random(seed), [f"c{number}" for number in range(4)]

    async def story(swarm):
        for name in names:
            await swarm.run(name, MOVES, start=name > "c1")
        for node, seconds in zip(swarm.nodes, slow, strict=True):
            node.slow = seconds
        gone = set()
        while swarm.lab.clock.now < 2 * 3600:
            node = random.choice(swarm.nodes)
            if node in gone:
                node.come_back()
                node.thaw()
            else:
                random.choice([node.vanish, node.freeze])()
            gone ^= {node}
            await swarm.lab.run(random.choice([1, 3, 10, 30, 90, 200, 400]))
        for node in swarm.nodes:
            node.come_back()
            node.thaw()
        await swarm.lab.run(2400)
        there = {name: [running for _, running in nodes] for name, nodes in swarm.where().items()}
        assert there == {name: [name > "c1"] for name in names}
        assert swarm.where(known=True) == swarm.where()

    in_a_swarm(story, count=4)


# Real engines


def test_a_container_of_a_real_engine_moves_and_its_twin_is_removed(engines):
    async def story():
        world, discovery = World(stdout=io.StringIO()), Told()
        cluster = a_cluster(discovery, world, EngineOptions(0.2, 0.4))
        managing = asyncio.create_task(cluster.run())
        discovery.tell(docker.address for docker in engines[:2])
        await until(lambda: len(cluster.engines) == 2)
        config = ContainerConfig.build(
            {
                "Image": "busybox:latest",
                "Cmd": ["sleep", "1000"],
                "Env": [MOVES, "constraint:node==~node-1"],
                "HostConfig": {"NetworkMode": "none"},
                "Volumes": {"/data": {}},
            }
        )
        await cluster.start_container(await cluster.create_container(config, "web", {}))
        engines[0].gate.cut()
        await until(lambda: placed(cluster) == [("node-2", True)])
        assert engines[0].cli("ps", "--format", "{{.Names}}") == "web"
        engines[0].gate.mend()
        await until(lambda: not engines[0].cli("ps", "-aq"))
        assert engines[0].cli("volume", "ls", "-q") == ""
        assert engines[1].cli("ps", "--format", "{{.Names}}") == "web"
        managing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await managing

    asyncio.run(story())


def placed(cluster):
    return [(each.engine.name, each.running) for each in cluster.containers()]


async def until(condition, deadline=30):
    """Wait for something that a real engine does in its own time."""
    async with asyncio.timeout(deadline):
        while not condition():
            await asyncio.sleep(0.05)
