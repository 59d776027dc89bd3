"""A machine with a daemon: its clock, its events, its switch."""

import asyncio

import httpx2
import pytest
from starlette.responses import PlainTextResponse

from walkthroughs.swarm.lab import EPOCH, Lab
from walkthroughs.swarm.lab_machine import (
    DaemonError,
    Machine,
    as_dict,
    as_list,
    check_filters,
    has_labels,
    human_duration,
    is_like,
    is_one_of,
    rfc3339,
)


def machine(**options):
    return Machine(Lab(), "node-1", "node-1:2375", **options)


# Times


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (EPOCH, "2017-07-14T02:40:00Z"),
        (EPOCH + 0.5, "2017-07-14T02:40:00.5Z"),
        (EPOCH + 0.000012, "2017-07-14T02:40:00.000012Z"),
        (EPOCH + 20, "2017-07-14T02:40:20Z"),
    ],
)
def test_a_time_is_as_short_as_go_writes_it_and_zero_is_never(seconds, text):
    assert rfc3339(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "Less than a second"),
        (0.99, "Less than a second"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (5400, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_a_duration_is_told_as_docker_ps_tells_it(seconds, text):
    assert human_duration(seconds) == text


def test_a_clock_that_is_ahead_stays_ahead():
    node = machine(clock_offset=90)
    asyncio.run(node.lab.clock.advance(10))
    assert node.time() == EPOCH + 100


# Lists and what is asked for


def test_null_is_an_empty_object_and_an_empty_list():
    assert (as_dict(None), as_dict({"a": 1})) == ({}, {"a": 1})
    assert (as_list(None), as_list([1])) == ([], [1])


def test_an_unknown_filter_is_refused():
    with pytest.raises(DaemonError) as caught:
        check_filters({"label": [], "colour": ["red"]}, ["label"])
    assert (caught.value.status, caught.value.message) == (
        400,
        "Invalid filter 'colour'",
    )


def test_of_the_values_of_a_filter_one_has_to_match():
    assert is_one_of({"status": ["a", "b"]}, "status", "b", "c")
    assert not is_one_of({"status": ["a", "b"]}, "status", "c")
    assert not is_one_of({"status": []}, "status", "c")


def test_what_is_not_asked_for_matches():
    assert is_one_of({}, "status", "c")
    assert is_like({}, "name", "c")


def test_a_name_is_a_regular_expression_that_matches_anywhere():
    assert is_like({"name": ["b.d"]}, "name", "abide")
    assert is_like({"name": ["^/web$"]}, "name", "web", "/web")
    assert not is_like({"name": ["^b"]}, "name", "abide")


def test_of_labels_all_have_to_be_there():
    labels = {"a": "1", "b": ""}
    assert has_labels(labels, ["a", "a=1", "b="])
    assert not has_labels(labels, ["a", "a=2"])
    assert not has_labels(labels, ["c"])


# Events


def test_an_event_of_a_container_has_the_old_fields_too():
    node = machine()
    node.emit("container", "start", "abc", image="nginx", name="web")
    assert node.events == [
        {
            "status": "start",
            "id": "abc",
            "from": "nginx",
            "Type": "container",
            "Action": "start",
            "Actor": {"ID": "abc", "Attributes": {"image": "nginx", "name": "web"}},
            "scope": "local",
            "time": EPOCH,
            "timeNano": EPOCH * 10**9,
        }
    ]


def test_an_event_of_an_image_has_no_from_and_one_of_a_network_neither():
    node = machine()
    node.emit("image", "tag", "abc", name="web:1")
    node.emit("network", "create", "abc", name="net", type="bridge")
    old = {"status", "id", "from"}
    assert [old & set(each) for each in node.events] == [{"status", "id"}, set()]


def test_who_listens_hears_what_comes_and_nothing_after():
    node = machine()
    node.emit("volume", "create", "before", driver="local")
    with node.subscribe() as first, node.subscribe() as second:
        node.emit("volume", "create", "during", driver="local")
        assert first.get_nowait() == second.get_nowait() == node.events[1]
        assert first.empty()
    node.emit("volume", "create", "after", driver="local")
    assert second.empty()
    assert node.listeners == set()


def test_two_machines_of_one_name_draw_the_same_ids():
    first, second, other = machine(), machine(), Machine(Lab(), "node-2", "node-2:2375")
    ids = [each.new_id() for each in (first, second, other)]
    assert ids[0] == ids[1] != ids[2]
    assert len(ids[0]) == 64


# The switch and the cable


def ask_after(*actions):
    """Return what a client hears when these things have been done to a machine."""

    async def program():
        async with Lab() as lab:
            node = Machine(lab, "node-1", "node-1:2375")
            node.app = PlainTextResponse("here")
            said = []

            async def ask():
                async with lab.world("me").client("http://node-1:2375") as client:
                    try:
                        said.append((await client.get("/")).text)
                    except httpx2.HTTPError as error:
                        said.append(type(error).__name__)

            for action in actions:
                getattr(node, action)()
            lab.start("me", ask())
            await lab.run(60)
            return said

    return asyncio.run(program())


def test_a_machine_is_there_when_it_has_come():
    assert ask_after() == ["ConnectError"]
    assert ask_after("come_back") == ["here"]


def test_a_machine_that_vanished_may_come_back():
    assert ask_after("come_back", "vanish") == ["ConnectError"]
    assert ask_after("come_back", "vanish", "come_back") == ["here"]


def test_a_machine_without_its_cable_says_nothing():
    assert ask_after("come_back", "freeze") == ["ConnectTimeout"]
    assert ask_after("come_back", "freeze", "thaw") == ["here"]
