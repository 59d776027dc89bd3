"""What `/info` is read for; the texts are those of the original's engine.go."""

import asyncio
import io

import pytest

from walkthroughs.swarm.engine_api import ConnectionFailed, EngineError
from walkthroughs.swarm.lab import Lab, VirtualClock
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.specs import (
    THRESHOLD,
    Specs,
    clock_delta,
    engine_labels,
    resolve,
    with_overcommit,
)
from walkthroughs.swarm.world import World

ADDR = "10.0.0.1:2375"
WHO = f"(ID: AAAA|{ADDR}, Addr: {ADDR})"


def info(**fields):
    return {"ID": "AAAA", "Name": "node-1", "NCPU": 4, "MemTotal": 1 << 30, **fields}


def read(**fields):
    return Specs.read(info(**fields), ADDR)


def labels(*stated, facts=None):
    """Return the labels of an engine and what was logged about them."""
    world = World(stdout=io.StringIO())
    found = engine_labels(facts or {}, stated, WHO, world.log)
    return found, world.stdout.getvalue()


def test_a_name_server_that_is_silent_is_given_up_after_thirty_seconds(monkeypatch):
    async def silent(*arguments, **options):
        await asyncio.get_running_loop().create_future()

    async def main():
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", silent)
        clock = VirtualClock()
        asked = asyncio.ensure_future(resolve("node-1:2375", World(clock)))
        await clock.advance(29)
        assert not asked.done()
        await clock.advance(1)
        await asked

    with pytest.raises(ConnectionFailed, match=r"^node-1:2375: no name server answers$"):
        asyncio.run(main())


def test_an_engine_is_its_daemon_and_its_address():
    assert read().id == "AAAA|10.0.0.1:2375"


def test_engine_specs():
    engine = LabEngine(Lab(), "node-1", ADDR, id="AAAA")
    assert Specs.read(engine.info(), ADDR) == (
        "AAAA|10.0.0.1:2375",
        "node-1",
        4,
        8 << 30,
        1_500_000_000.0,
        {
            "storagedriver": "overlay2",
            "kernelversion": "5.10.0-28-amd64",
            "operatingsystem": "Debian GNU/Linux 11 (bullseye)",
            "ostype": "linux",
        },
        ["storage=ssd"],
    )


def test_what_an_engine_does_not_tell_is_no_label():
    assert read(Driver="", OSType=None).facts == {}
    assert read(Labels=None).stated == []


@pytest.mark.parametrize("missing", [{"NCPU": 0}, {"MemTotal": 0}])
def test_an_outdated_engine_or_a_swarm_manager_has_no_resources(missing):
    with pytest.raises(EngineError) as caught:
        read(**missing)
    assert str(caught.value) == (
        "cannot get resources for this engine, make sure 10.0.0.1:2375 is a Docker "
        "Engine, not a Swarm manager"
    )


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "TypeError: 'NoneType' object is not subscriptable"),
        ([], "TypeError: list indices must be integers or slices, not str"),
        ("OK", "TypeError: string indices must be integers, not 'str'"),
        ({}, "KeyError: 'NCPU'"),
        ({"NCPU": 1, "MemTotal": 1}, "KeyError: 'ID'"),
        (info(NCPU="many"), "ValueError: invalid literal for int() with base 10: 'many'"),
        (info(MemTotal=[1]), "TypeError: int() argument must be"),
        (info(SystemTime="noon"), 'ValueError: no time of RFC 3339: "noon"'),
        (info(Labels=7), "TypeError: 'int' object is not iterable"),
    ],
)
def test_an_answer_of_the_wrong_shape_is_an_error_of_the_engine(answer, why):
    with pytest.raises(EngineError) as caught:
        Specs.read(answer, ADDR)
    assert str(caught.value).startswith(f"unexpected answer about itself ({why}")


def test_labels_are_the_facts_and_what_the_administrator_says():
    assert labels("foo=bar", "zone=a=b", "empty=", facts={"ostype": "linux"}) == (
        {"ostype": "linux", "foo": "bar", "zone": "a=b", "empty": ""},
        "",
    )


def test_a_label_without_an_equals_sign_refuses_the_engine():
    with pytest.raises(EngineError) as caught:
        labels("storage")
    assert str(caught.value) == (
        f'Engine {WHO} contains an invalid label (storage) not formatted as "key=value".'
    )


def test_a_label_called_node_is_ignored_with_a_warning():
    found, log = labels("node=node1")
    assert found == {}
    assert log.partition("msg=")[2] == (
        f'"Engine {WHO} contains a label (node=node1) with key of \\"node\\" '
        'which cannot be used in Swarm."\n'
    )


@pytest.mark.parametrize("key", ["storagedriver", "kernelversion", "operatingsystem", "ostype"])
def test_engine_labels_cannot_override_the_facts(key):
    found, log = labels(f"{key}=mine", facts={key: "told"})
    assert found == {key: "told"}
    assert log.partition("msg=")[2] == (
        f'"Node {WHO} already contains a label (told) with key ({key}), '
        "and Engine's label (mine) cannot override it.\"\n"
    )


def test_of_two_labels_with_one_key_the_first_counts():
    assert labels("a=1", "a=2")[0] == {"a": "1"}


@pytest.mark.parametrize(
    ("engine_time", "delta"), [(98.0, 2.0), (98.1, 0.0), (101.9, 0.0), (102.5, -2.5), (None, 0.0)]
)
def test_a_clock_difference_counts_from_two_seconds_on(engine_time, delta):
    assert THRESHOLD == 2
    assert clock_delta(engine_time, now=100.0) == delta


def test_total_memory():
    assert with_overcommit(1024, 5) == 1024 + 1024 * 5 // 100
    assert with_overcommit(1024, 0) == 1024


def test_total_cpus():
    assert with_overcommit(2, 5) == 2
    assert with_overcommit(20, 5) == 21


def test_a_negative_overcommit_is_rounded_towards_zero_as_in_go():
    assert with_overcommit(10, -5) == 10
    assert with_overcommit(30, -5) == 29


def resolved(addr, world=None):
    return asyncio.run(resolve(addr, world or World()))


@pytest.mark.parametrize(
    ("addr", "ip"),
    [
        ("127.0.0.1:2375", "127.0.0.1"),
        ("[::1]:2375", "::1"),
        ("localhost:2375", "127.0.0.1"),
        ("unix:///var/run/docker.sock", ""),
    ],
)
def test_an_address_has_an_ip(addr, ip):
    assert resolved(addr) == ip


def test_a_lab_has_no_name_server():
    assert resolved("node-1:2375", Lab().world("manager")) == "node-1"


def test_a_name_that_cannot_be_one_is_nobody_there():
    with pytest.raises(ConnectionFailed, match=r"^node\.\.1:2375: encoding with 'idna' codec"):
        resolved("node..1:2375")


def test_an_address_without_a_port_is_refused():
    with pytest.raises(ConnectionFailed) as caught:
        resolved("node-1")
    assert str(caught.value) == "node-1: address node-1: missing port in address"
