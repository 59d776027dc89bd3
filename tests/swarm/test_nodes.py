"""A list on the command line; messages and lists are those of the original's `swarm list`."""

import asyncio

import pytest

from walkthroughs.swarm.discovery import DiscoveryError, ErrNotImplemented, new, register
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.nodes import Nodes

HINT = "please check you are using the correct discovery (missing token:// ?)"


def nodes(uri):
    return Nodes(uri, 60, 180, {}, Lab().world("manager"))


@pytest.mark.parametrize(
    ("uri", "listed"),
    [
        ("a:1", ["a:1"]),
        ("a:1,b:2", ["a:1", "b:2"]),
        ("b:2,a:1", ["b:2", "a:1"]),
        ("a:1,a:1", ["a:1", "a:1"]),
        ("a:1, b:2", ["a:1", " b:2"]),
        ("[::1]:2375,a:1", ["[::1]:2375", "a:1"]),
        (":1", [":1"]),
    ],
)
def test_each_part_between_commas_is_an_address(uri, listed):
    assert [*map(str, nodes(uri).entries)] == listed


@pytest.mark.parametrize(
    ("uri", "listed"),
    [
        ("a:[1:3]", ["a:1", "a:2", "a:3"]),
        ("x:1,a[9:10]:1,y:1", ["x:1", "a9:1", "a10:1", "y:1"]),
        ("a:[3:1]", []),
        ("100%[1:2]:80", ["100%1:80", "100%2:80"]),
    ],
)
def test_each_part_may_be_a_range(uri, listed):
    assert [*map(str, nodes(uri).entries)] == listed


@pytest.mark.parametrize("uri", ["a:0", "a:70000", "a:word", "a:", ":"])
def test_nodes_does_not_check_the_port(uri):
    assert [*map(str, nodes(uri).entries)] == [uri]


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("", "missing port in address"),
        (",", "missing port in address"),
        ("a:1,", "missing port in address"),
        ("a:1,b", "address b: missing port in address"),
        ("[::1]", "address [::1]: missing port in address"),
        ("::1:2375", "address ::1:2375: too many colons in address"),
        ("[::1]:[1:2]", "address [::1]:[1:2]: too many colons in address"),
        ("a[x:y]:1", "address a[x:y]:1: too many colons in address"),
        ("a[1:2]b[3:4]:1", "address a[1:2]b[3:4]:1: too many colons in address"),
        ("nodes://a:1", "address nodes://a:1: too many colons in address"),
    ],
)
def test_what_is_no_address_may_be_a_token_without_its_scheme(uri, why):
    with pytest.raises(DiscoveryError) as caught:
        nodes(uri)
    assert str(caught.value) == f"{why}, {HINT}"


def test_a_range_that_is_too_long_is_no_forgotten_token():
    with pytest.raises(DiscoveryError) as caught:
        nodes("a:[1:100000]")
    assert str(caught.value) == "a:[1:100000]: more than 65,536 addresses"


def test_nodes_reports_once_and_is_silent_then(follow):
    async def run():
        async with Lab() as lab:
            told = follow(lab, Nodes("a:[1:2]", 60, 180, {}, lab.world("manager")))
            await lab.run(86_400)
            return told, "watch" in lab.tasks

    assert asyncio.run(run()) == ([(0, ["a:1", "a:2"])], True)


def test_the_silence_ends_when_the_watcher_is_cancelled(follow):
    async def run():
        async with Lab() as lab:
            follow(lab, Nodes("a:1", 60, 180, {}, lab.world("manager")))
            await lab.run(60)
            await lab.stop("watch")
            return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1


def test_two_watchers_of_one_list_are_told_the_same(follow):
    async def run():
        async with Lab() as lab:
            backend = Nodes("a:1,b:2", 60, 180, {}, lab.world("manager"))
            told = [follow(lab, backend, name) for name in ("one", "two")]
            await lab.run(60)
            return told

    assert asyncio.run(run()) == [[(0, ["a:1", "b:2"])]] * 2


def test_two_lists_in_one_program_do_not_grow_together(registry):
    registry.pop("nodes", None)
    register("nodes", Nodes)
    world = Lab().world("manager")
    lists = [new(url, 60, 180, {}, world).entries for url in ("nodes://a:1", "b:2")]
    assert [[*map(str, each)] for each in lists] == [["a:1"], ["b:2"]]


def test_nobody_can_join_a_list_on_the_command_line():
    with pytest.raises(ErrNotImplemented) as caught:
        asyncio.run(nodes("a:1").register("b:2"))
    assert str(caught.value) == "not implemented in this discovery service"
