"""An engine of the lab: the life of its containers, and its own."""

import asyncio

import pytest

from tests.swarm.lab_containers import SLEEP, refusal, run, told
from walkthroughs.swarm.lab import EPOCH, Lab
from walkthroughs.swarm.lab_engine import LabEngine, engine_id


@pytest.fixture
def engine():
    return LabEngine(Lab(), "node-1", "node-1:2375")


# What it is


def test_an_engine_tells_what_it_is(engine):
    info = engine.info()
    assert info == {
        "ID": engine_id("node-1"),
        "Containers": 0,
        "ContainersRunning": 0,
        "ContainersPaused": 0,
        "ContainersStopped": 0,
        "Images": 1,
        "Driver": "overlay2",
        "DriverStatus": None,
        "SystemTime": "2017-07-14T02:40:00Z",
        "KernelVersion": "5.10.0-28-amd64",
        "OperatingSystem": "Debian GNU/Linux 11 (bullseye)",
        "OSType": "linux",
        "Architecture": "x86_64",
        "NCPU": 4,
        "MemTotal": 8 << 30,
        "Name": "node-1",
        "Labels": ["storage=ssd"],
        "ServerVersion": "20.10.24",
    }


def test_an_engine_counts_its_containers(engine):
    for name in ("made", "runs", "sleeps", "ended"):
        engine.create(name, **SLEEP)
    for name in ("runs", "sleeps", "ended"):
        engine.start(name)
    engine.pause("sleeps")
    engine.exit("ended")
    info = engine.info()
    counts = {key: value for key, value in info.items() if key.startswith("Containers")}
    assert counts == {
        "Containers": 4,
        "ContainersRunning": 1,
        "ContainersPaused": 1,
        "ContainersStopped": 2,
    }


def test_an_identity_has_the_form_of_dockers():
    first, second = engine_id("node-1"), engine_id("node-2")
    assert [len(part) for part in first.split(":")] == [4] * 12
    assert first != second


def test_an_engine_may_become_another(engine):
    engine.change_id("other")
    assert engine.info()["ID"] == "other"


# Life


def test_the_life_of_a_container_is_told_as_dockerd_tells_it(engine):
    run(engine)
    engine.stop("web")
    engine.remove("web")
    assert told(engine) == [
        "container create",
        "network connect",
        "container start",
        "container kill",
        "container kill",
        "container die",
        "network disconnect",
        "container stop",
        "container destroy",
    ]
    kills = [each["Actor"]["Attributes"].get("signal") for each in engine.events[3:5]]
    assert kills == ["15", "9"]


def test_a_container_that_runs_is_not_started_and_one_that_does_not_is_not_stopped(
    engine,
):
    engine.create("web", **SLEEP)
    answers = [
        engine.stop("web"),
        engine.start("web"),
        engine.start("web"),
        engine.stop("web"),
    ]
    assert answers == [False, True, False, True]


def test_a_process_ends_by_itself_with_its_code(engine):
    web = run(engine)
    engine.exit("web", 3)
    assert (web.state, web.exit_code) == ("exited", 3)
    assert engine.events[-2]["Actor"]["Attributes"]["exitCode"] == "3"
    assert refusal(engine.exit, "web") == (409, f"Container {web.id} is not running")


def test_a_process_heeds_no_signal_but_kill(engine):
    web = run(engine)
    engine.kill("web", "TERM")
    assert web.running
    engine.kill("web")
    assert (web.running, web.exit_code) == (False, 137)
    why = f"Cannot kill container: web: Container {web.id} is not running"
    assert refusal(engine.kill, "web") == (409, why)
    why = "Cannot kill container: db: No such container: db"
    assert refusal(engine.kill, "db") == (404, why)


def test_a_container_that_wants_to_be_removed_at_its_end_is(engine):
    for end in (engine.stop, engine.kill, engine.exit):
        run(engine, HostConfig={"AutoRemove": True}, Volumes={"/data": {}})
        end("web")
        assert (engine.containers, engine.volumes) == ({}, {})


def test_a_container_is_restarted_whether_it_runs_or_not(engine):
    engine.create("web", **SLEEP)
    engine.restart("web")
    assert told(engine, 1) == [
        "network connect",
        "container start",
        "container restart",
    ]
    asyncio.run(engine.lab.clock.advance(5))
    engine.restart("web")
    assert engine.container("web").started == EPOCH + 5
    assert told(engine)[-4:-2] == ["container stop", "network connect"]


def test_a_paused_container_cannot_be_started_or_paused_or_removed(engine):
    web = run(engine)
    engine.pause("web")
    assert refusal(engine.start, "web")[1] == "cannot start a paused container, try unpause instead"
    assert refusal(engine.pause, "web") == (
        409,
        f"Container {web.id} is already paused",
    )
    assert refusal(engine.remove, "web") == (
        409,
        f"You cannot remove a paused container {web.id}. Unpause and then stop the container "
        "before attempting removal or force remove",
    )
    engine.unpause("web")
    assert refusal(engine.unpause, "web") == (500, f"Container {web.id} is not paused")
    assert web.state == "running"


def test_a_container_that_runs_is_removed_by_force_only(engine):
    web = run(engine)
    assert refusal(engine.remove, "web") == (
        409,
        f"You cannot remove a running container {web.id}. Stop the container before attempting "
        "removal or force remove",
    )
    engine.remove("web", force=True)
    assert told(engine)[-4:] == [
        "container kill",
        "container die",
        "network disconnect",
        "container destroy",
    ]


def test_volumes_without_a_name_go_with_their_container_if_asked(engine):
    volumes = {"HostConfig": {"Binds": ["data:/data"]}, "Volumes": {"/tmp": {}}}
    engine.create("web", **SLEEP, **volumes)
    engine.create("db", **SLEEP, **volumes)
    engine.remove("web")
    assert len(engine.volumes) == 3
    engine.remove("db", volumes=True)
    assert len(engine.volumes) == 2
    assert told(engine)[-2:] == ["volume destroy", "container destroy"]


def test_a_volume_in_use_stays(engine):
    web = engine.create("web", **SLEEP, HostConfig={"Binds": ["data:/data"]})
    why = f"remove data: volume is in use - [{web.id}]"
    assert refusal(engine.remove_volume, "data") == (409, why)


def test_whoever_waits_gets_the_exit_code(engine):
    async def program():
        run(engine)
        ends = [
            asyncio.create_task(engine.wait("web", how)) for how in ("not-running", "next-exit")
        ]
        await asyncio.sleep(0)
        engine.exit("web", 3)
        codes = [await end for end in ends]
        return codes, await engine.wait("web")

    assert asyncio.run(program()) == ([3, 3], 3)


# Networks


def test_a_container_has_an_address_while_it_runs(engine):
    net = engine.create_network("net-1")
    web = run(engine, HostConfig={"NetworkMode": "net-1"})
    assert web.networks["net-1"]["IPAddress"] == "172.18.0.2"
    assert engine.inspect_network("net-1")["Containers"] == {
        web.id: {
            "Name": "web",
            "EndpointID": web.networks["net-1"]["EndpointID"],
            "MacAddress": "02:42:ac:12:00:02",
            "IPv4Address": "172.18.0.2/16",
            "IPv6Address": "",
        }
    }
    engine.stop("web")
    assert web.networks["net-1"]["IPAddress"] == ""
    assert (net.endpoints, engine.inspect_network("net-1")["Containers"]) == ({}, {})


def test_a_container_does_not_start_on_a_network_that_is_not_there(engine):
    web = engine.create("web", **SLEEP, HostConfig={"NetworkMode": "nope"})
    assert refusal(engine.start, "web") == (404, "network nope not found")
    shown = engine.inspect("web")["State"]
    assert (shown["Status"], shown["ExitCode"], shown["Error"]) == (
        "created",
        128,
        "network nope not found",
    )
    engine.create_network("nope")
    engine.start("web")
    assert (web.error, web.exit_code) == ("", 0)


def test_a_port_that_somebody_has_is_refused_at_the_start(engine):
    bound = {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
    run(engine, HostConfig=bound)
    engine.create("other", **SLEEP, HostConfig=bound)
    status, message = refusal(engine.start, "other")
    before, _, after = message.partition(" (")
    assert (status, before) == (
        500,
        "driver failed programming external connectivity on endpoint other",
    )
    assert after[64:] == "): Bind for 0.0.0.0:8080 failed: port is already allocated"
    engine.stop("web")
    assert engine.start("other")


def test_a_container_without_a_network_has_no_ports(engine):
    web = run(
        engine,
        ExposedPorts={"80/tcp": {}},
        HostConfig={"NetworkMode": "none", "PublishAllPorts": True},
    )
    assert web.ports == {}


def test_a_container_is_connected_and_disconnected_while_it_runs(engine):
    web = run(engine)
    engine.create_network("net-1")
    engine.connect("net-1", "web", {"Aliases": ["www"]})
    assert web.networks["net-1"]["Aliases"] == ["www", web.id[:12]]
    why = "endpoint with name web already exists in network net-1"
    assert refusal(engine.connect, "net-1", "web") == (403, why)
    engine.disconnect("net-1", "web")
    assert list(web.networks) == ["bridge"]
    why = f"container {web.id} is not connected to network net-1"
    assert refusal(engine.disconnect, "net-1", "web") == (500, why)


def test_one_that_does_not_run_is_connected_at_its_start(engine):
    web = engine.create("web", **SLEEP)
    net = engine.create_network("net-1")
    engine.connect("net-1", "web")
    assert net.endpoints == {}
    engine.start("web")
    assert list(net.endpoints) == [web.id]


def test_host_and_none_are_not_for_one_that_has_another_network(engine):
    run(engine)
    assert refusal(engine.connect, "host", "web") == (
        400,
        "container cannot be disconnected from host network or connected to host network",
    )
    assert refusal(engine.connect, "none", "web") == (
        400,
        "container cannot be connected to multiple networks with one of the networks in private "
        "(none) mode",
    )


def test_on_an_overlay_two_engines_give_different_addresses(engine):
    other = LabEngine(engine.lab, "node-2", "node-2:2375")
    engine.create_network("wide", "overlay")
    wide = {"HostConfig": {"NetworkMode": "wide"}}
    made = [run(engine, **wide), run(other, **wide)]
    assert [each.networks["wide"]["IPAddress"] for each in made] == [
        "10.0.0.2",
        "10.0.0.3",
    ]
    assert list(engine.inspect_network("wide")["Containers"]) == [made[0].id]


# Images


def test_an_image_in_use_is_removed_by_force_and_not_by_its_id(engine):
    web = engine.create("web", **SLEEP)
    image = engine.image("busybox")
    using = f"container {web.id[:12]}"
    assert refusal(engine.remove_image, "busybox") == (
        409,
        'conflict: unable to remove repository reference "busybox" (must force) - '
        f"{using} is using its referenced image {image.short}",
    )
    unable = f"conflict: unable to delete {image.short}"
    assert refusal(engine.remove_image, image.short) == (
        409,
        f"{unable} (must be forced) - image is being used by stopped {using}",
    )
    engine.start("web")
    assert refusal(engine.remove_image, image.short, force=True) == (
        409,
        f"{unable} (cannot be forced) - image is being used by running {using}",
    )
    assert engine.remove_image("busybox", force=True) == [{"Untagged": "busybox:latest"}]
    assert engine.images == {image.id: image}


def test_a_commit_pauses_what_runs_and_keeps_its_settings(engine):
    web = run(engine, Labels={"k": "v"})
    before = len(engine.events)
    image = engine.commit("web", "mine", "1", "why", Cmd=["true"])
    assert told(engine, before) == [
        "container pause",
        "image tag",
        "container commit",
        "container unpause",
    ]
    attributes = engine.events[-2]["Actor"]["Attributes"]
    assert (attributes["imageID"], attributes["imageRef"], attributes["comment"]) == (
        image.id,
        "mine:1",
        "why",
    )
    assert (image.config["Labels"], image.config["Cmd"]) == ({"k": "v"}, ["true"])
    assert (image.parent, image.container) == (web.image, web.id)


# The end of a machine


def test_a_machine_that_vanishes_goes_on_where_nobody_sees_it(engine):
    engine.plug()
    web = run(engine)
    engine.vanish()
    assert engine.lab.network.apps == {}
    engine.exit("web", 0)
    engine.come_back()
    assert web.state == "exited"
    assert list(engine.lab.network.apps) == ["node-1:2375"]


def test_after_a_crash_nothing_runs_and_nothing_was_said(engine):
    engine.plug()
    web, db = run(engine), run(engine, "db")
    engine.exit("db", 1)
    before = len(engine.events)
    engine.crash()
    engine.come_back()
    assert [(each.state, each.exit_code) for each in (web, db)] == [
        ("exited", 137),
        ("exited", 1),
    ]
    assert len(engine.events) == before
    assert engine.network("bridge").endpoints == {}


def test_a_daemon_that_ends_in_order_stops_its_containers_first(engine):
    async def program():
        engine.plug()
        run(engine)
        engine.lab.start("end", engine.shut_down())
        with engine.subscribe() as heard:
            await engine.lab.run(1)
            return [heard.get_nowait()["Action"] for _ in range(heard.qsize())]

    assert asyncio.run(program()) == ["kill", "kill", "die", "disconnect", "stop"]
    assert engine.lab.network.apps == {}
