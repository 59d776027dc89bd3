"""Lists of images, networks and volumes; compared with the original's over three real engines."""

from types import SimpleNamespace

import pytest

from walkthroughs.swarm.cluster import Image, Network, Networks, Volume
from walkthroughs.swarm.filter_args import Args
from walkthroughs.swarm.handler import HTTPError
from walkthroughs.swarm.resource_lists import (
    chosen_images,
    chosen_networks,
    image_list,
    is_shown,
    network_list,
    volume_list,
)

ONE, TWO = (SimpleNamespace(name=f"node-{n}", id=f"ID{n}|10.0.0.{n}:2375") for n in (1, 2))
NONE = "<none>:<none>"


def args(fields):
    return Args({key: dict.fromkeys(values, True) for key, values in fields.items()})


def refusal(function, *arguments):
    """Return the status and the words of a refusal."""
    with pytest.raises(HTTPError) as refused:
        function(*arguments)
    return refused.value.status, str(refused.value)


# Images


def image(id, *tags, engine=ONE, created=0, **raw):
    raw = {"Id": id, "RepoTags": list(tags), "Created": created} | raw
    return Image(engine, raw)


def images_of(filters, images, everything=False):
    return [each.id for each in chosen_images(images, args(filters), everything)]


IMAGES = [
    image("sha256:aaa", "busybox:latest", "example.com:5000/team/box:1", created=10),
    image("sha256:bbb", "web:1", engine=TWO, created=20, Labels={"tier": "web", "x": ""}),
    image("sha256:ccc", NONE, created=30, RepoDigests=["<none>@<none>"], Labels=None),
    image("sha256:ddd", created=40, RepoDigests=["web@sha256:eee"]),
]
A, B, C, D = (each.id for each in IMAGES)


def test_who_has_neither_tag_nor_digest_is_shown_with_all_only():
    assert [is_shown(each) for each in IMAGES] == [True, True, False, True]
    assert images_of({}, IMAGES) == [A, B, D]
    assert images_of({}, IMAGES, everything=True) == [A, B, C, D]
    assert not is_shown(image("x"))


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"dangling": ["true"]}, [C, D]),
        ({"dangling": ["false"]}, [A, B]),
        ({"dangling": ["true", "false"]}, []),
        ({"dangling": []}, []),
        ({"label": ["tier"]}, [B]),
        ({"label": ["tier=web", "x="]}, [B]),
        ({"label": ["tier=db"]}, []),
        ({"node": ["node-2"]}, [B]),
        ({"node": ["ID1|10.0.0.1:2375"]}, [A, D]),
        ({"node": ["node-1", "node-2"]}, [A, B, D]),
        ({"node": ["node"]}, []),
        ({"reference": ["busybox"]}, [A]),
        ({"reference": ["busybox:latest"]}, [A]),
        ({"reference": ["busybox:1"]}, []),
        ({"reference": ["busy*"]}, [A]),
        ({"reference": ["*/*/box"]}, [A]),
        ({"reference": ["web"]}, [B, D]),
        ({"reference": ["web@sha256:*"]}, [D]),
        ({"reference": ["*"]}, [A, B, D]),
        ({"reference": ["["]}, []),
        ({"reference": []}, []),
        ({"before": ["web:1"]}, [A]),
        ({"before": ["ddd"]}, [A, B]),
        ({"since": ["busybox"]}, [B, D]),
        ({"since": ["busybox:nope"]}, [B, D]),
        ({"since": ["aaa"], "before": ["ddd"]}, [B]),
        ({"unknown": ["x"]}, [A, B, D]),
    ],
)
def test_images_are_filtered(filters, found):
    assert images_of(filters, IMAGES) == found


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"dangling": ["x"]}, "Invalid filter: 'type'='dangling'"),
        ({"before": ["nobody"]}, "Invalid filter: 'type'='before': no such image found: 'nobody'"),
        ({"since": ["nobody"]}, "Invalid filter: 'type'='since': no such image found: 'nobody'"),
        ({"since": ["a", "b"]}, "Invalid filter: 'type'='since': no such image found: ''"),
        ({"before": []}, "Invalid filter: 'type'='before': no such image found: ''"),
        (
            {"before": ["x"], "since": ["y"]},
            "Invalid filter: 'type'='before': no such image found: 'x'",
        ),
    ],
)
def test_filters_that_mean_no_image_are_refused(filters, said):
    assert refusal(images_of, filters, IMAGES) == (400, said)


def test_an_image_is_listed_once_with_all_its_names():
    first = image("x", "a:1", "a:2", RepoDigests=["a@sha256:1"], created=5, Size=7)
    second = image("x", "a:2", "a:3", engine=TWO, RepoDigests=["a@sha256:1"], created=5, Size=7)
    assert image_list([first, second]) == [
        {
            "Id": "x",
            "RepoTags": ["a:1", "a:2", "a:3"],
            "RepoDigests": ["a@sha256:1"],
            "Created": 5,
            "Size": 7,
        }
    ]
    assert first.tags == ["a:1", "a:2"]


def test_no_names_are_an_empty_list_not_null():
    assert image_list([image("x", RepoTags=None)]) == [
        {"Id": "x", "RepoTags": [], "RepoDigests": [], "Created": 0}
    ]


def test_the_newest_image_is_first():
    assert [each["Id"] for each in image_list(IMAGES)] == [D, C, B, A]


# Networks


def network(id, name, engine=ONE, scope="local", driver="bridge", **raw):
    raw = {"Id": id, "Name": name, "Scope": scope, "Driver": driver} | raw
    return Network(engine, raw)


NETWORKS = Networks(
    [
        network("1f", "front"),
        network("1n", "none", driver="null"),
        network("gg", "global", scope="global", driver="overlay", Containers={"a": {}}),
        network("2f", "front", TWO, Labels={"tier": "web"}),
        network("2n", "none", TWO, driver="null"),
        network("gg", "global", TWO, scope="global", driver="overlay", Containers={"b": {}}),
    ]
)


def networks_of(filters, networks=NETWORKS):
    return [each.id for each in chosen_networks(networks, args(filters))]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["1f", "1n", "gg", "2f", "2n"]),
        ({"type": ["custom"]}, ["1f", "gg", "2f"]),
        ({"type": ["builtin"]}, ["1n", "2n"]),
        ({"type": ["builtin", "custom"]}, []),
        ({"type": []}, ["1f", "1n", "gg", "2f", "2n"]),
        ({"label": ["tier"]}, ["2f"]),
        ({"driver": ["null"]}, ["1n", "2n"]),
        ({"driver": ["nul"]}, []),
        ({"name": ["front"]}, ["1f", "2f"]),
        ({"name": ["ron"]}, ["1f", "2f"]),
        ({"name": ["node-1/front"]}, ["1f"]),
        ({"name": ["global"]}, ["gg"]),
        ({"name": ["nobody"]}, []),
        ({"name": ["global"], "id": ["1f"]}, ["1f", "gg"]),
        ({"name": ["n"], "type": ["builtin"]}, ["1n", "2n"]),
    ],
)
def test_networks_are_filtered(filters, found):
    assert networks_of(filters) == found


def test_a_network_is_found_by_its_id_unlike_in_the_original():
    """There, a filter `id` without a `name` shows every network."""
    assert networks_of({"id": ["1f"]}) == ["1f"]
    assert networks_of({"id": ["1"]}) == []
    assert networks_of({"id": ["nobody"]}) == []


def test_a_global_network_is_on_each_of_its_nodes_unlike_in_the_original():
    """There, it is on the one that a walk through a map has come to first."""
    assert networks_of({"node": ["node-1"]}) == ["1f", "1n", "gg"]
    assert networks_of({"node": ["node-2"]}) == ["gg", "2f", "2n"]


def test_one_of_several_nodes_will_do_unlike_in_the_original():
    """There, a network must be on all of them at once."""
    assert networks_of({"node": ["node-1", "node-9"]}) == ["1f", "1n", "gg"]


def test_a_chosen_network_has_everybody_who_is_attached_wherever():
    (found,) = chosen_networks(NETWORKS, args({"name": ["global"], "node": ["node-2"]}))
    assert found.containers == {"a": {}, "b": {}}


def test_an_unknown_type_of_network_is_refused():
    asked = {"type": ["custom", "x"]}
    assert refusal(networks_of, asked) == (400, "Invalid filter: 'type'='x'")


def test_a_network_of_one_engine_has_its_name():
    shown = network_list([NETWORKS[0], NETWORKS[2]])
    assert [each["Name"] for each in shown] == ["node-1/front", "global"]
    assert NETWORKS[0].raw["Name"] == "front"


# Volumes


def volume(name, engine=ONE, driver="local", **raw):
    return Volume(engine, {"Name": name, "Driver": driver} | raw)


VOLUMES = [
    volume("data", Labels={"v": "1"}),
    volume("data", TWO, Labels=None),
    volume("shared", driver="nfs"),
    volume("shared", TWO, driver="nfs"),
]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["node-1/data", "node-2/data", "shared", "shared"]),
        ({"name": ["dat"]}, ["node-1/data", "node-2/data"]),
        ({"name": ["node-1/data"]}, []),
        ({"name": ["x", "ar"]}, ["shared", "shared"]),
        ({"name": []}, ["node-1/data", "node-2/data", "shared", "shared"]),
        ({"label": ["v"]}, ["node-1/data"]),
        ({"label": ["v=2"]}, []),
        ({"node": ["node-2"]}, ["node-2/data", "shared", "shared"]),
        ({"node": ["node-9"]}, ["shared", "shared"]),
        (
            {"driver": ["x"], "dangling": ["true"]},
            ["node-1/data", "node-2/data", "shared", "shared"],
        ),
    ],
)
def test_volumes_are_filtered_and_those_of_one_engine_have_its_name(filters, names):
    assert [each["Name"] for each in volume_list(VOLUMES, args(filters))] == names
    assert VOLUMES[0].raw["Name"] == "data"
