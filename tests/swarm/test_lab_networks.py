"""The networks and volumes of an engine of the lab."""

import pytest

from walkthroughs.swarm.lab import EPOCH, Lab
from walkthroughs.swarm.lab_machine import DaemonError
from walkthroughs.swarm.lab_networks import Net, Networks


@pytest.fixture
def engine():
    return Networks(Lab(), "node-1", "node-1:2375")


def refusal(call, *arguments, **options):
    with pytest.raises(DaemonError) as caught:
        call(*arguments, **options)
    return caught.value.status, caught.value.message


def told(engine):
    return [
        (each["Type"], each["Action"], each["Actor"]["ID"], each["Actor"]["Attributes"])
        for each in engine.events
    ]


def test_an_engine_begins_with_three_networks(engine):
    listed = [(each["Name"], each["Driver"], each["Scope"]) for each in engine.list_networks()]
    assert listed == [
        ("bridge", "bridge", "local"),
        ("host", "host", "local"),
        ("none", "null", "local"),
    ]
    assert engine.events == []


def test_a_network_is_found_by_its_id_the_beginning_of_it_or_its_name(engine):
    net = engine.create_network("net-1")
    for name in (net.id, net.id[:12], "net-1"):
        assert engine.network(name) is net
    assert engine.network("default").name == "bridge"
    for name in ("nope", ""):
        assert refusal(engine.network, name) == (404, f"network {name} not found")


def test_a_new_network_has_addresses_of_its_own(engine):
    first, second = engine.create_network("net-1"), engine.create_network("net-2")
    engine.remove_network("net-1")
    third = engine.create_network("net-3")
    assert [net.prefix for net in (first, second, third)] == [
        "172.18",
        "172.19",
        "172.18",
    ]
    assert third.shown() == {
        "Name": "net-3",
        "Id": third.id,
        "Created": "2017-07-14T02:40:00Z",
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}],
        },
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {},
        "Labels": {},
    }


def test_a_network_that_comes_and_goes_is_reported(engine):
    id = engine.create_network("net-1").id
    engine.remove_network("net-1")
    what = {"name": "net-1", "type": "bridge"}
    assert told(engine) == [
        ("network", "create", id, what),
        ("network", "destroy", id, what),
    ]


def test_an_overlay_is_one_network_for_all_engines_of_a_lab(engine):
    other = Networks(engine.lab, "node-2", "node-2:2375")
    stranger = Networks(Lab(), "node-2", "node-2:2375")
    net = engine.create_network("wide", "overlay")
    assert other.network("wide") is net
    assert (net.scope, net.prefix) == ("global", "10.0")
    assert refusal(stranger.network, "wide")[0] == 404
    other.remove_network("wide")
    assert refusal(engine.network, "wide")[0] == 404


@pytest.mark.parametrize(
    ("name", "options", "status", "message"),
    [
        ("", {}, 500, "invalid name: "),
        ("bridge", {}, 403, "operation is not permitted on predefined bridge network "),
        ("net-2", {"driver": "nope"}, 404, 'plugin "nope" not found'),
        (
            "net-1",
            {"check_duplicate": True},
            409,
            "network with name net-1 already exists",
        ),
    ],
)
def test_a_network_that_cannot_be_is_refused(engine, name, options, status, message):
    engine.create_network("net-1")
    assert refusal(engine.create_network, name, **options) == (status, message)


def test_who_does_not_ask_may_have_two_networks_of_one_name(engine):
    assert engine.create_network("net-1").id != engine.create_network("net-1").id


def test_a_network_in_use_or_of_the_engine_stays(engine):
    net = engine.create_network("net-1")
    net.attach("abc", "endpoint")
    assert refusal(engine.remove_network, "net-1") == (
        403,
        f"error while removing network: network net-1 id {net.id} has active endpoints",
    )
    assert refusal(engine.remove_network, "none") == (
        403,
        "none is a pre-defined network and cannot be removed",
    )


def test_networks_are_filtered(engine):
    engine.create_network("net-1", labels={"k": "v"})
    wanted = {
        "name": ["et-"],
        "driver": ["bridge"],
        "scope": ["local"],
        "type": ["custom"],
        "label": ["k=v"],
    }
    assert [each["Name"] for each in engine.list_networks(wanted)] == ["net-1"]
    assert engine.list_networks({"label": ["k=w"]}) == []
    assert refusal(engine.list_networks, {"x": []}) == (400, "Invalid filter 'x'")


def test_containers_get_the_first_addresses_that_are_free():
    net = Net("0", "net-1", "bridge", prefix="172.20")
    first, second = net.attach("a", "e1"), net.attach("b", "e2")
    assert first == {
        "NetworkID": "0",
        "EndpointID": "e1",
        "Gateway": "172.20.0.1",
        "IPAddress": "172.20.0.2",
        "IPPrefixLen": 16,
        "MacAddress": "02:42:ac:14:00:02",
    }
    assert second["IPAddress"] == "172.20.0.3"
    assert net.detach("a")
    assert not net.detach("a")
    assert net.attach("c", "e3")["IPAddress"] == "172.20.0.2"


def test_a_network_of_the_machine_gives_no_addresses():
    assert Net("0", "host", "host").attach("a", "e") == {
        "NetworkID": "0",
        "EndpointID": "e",
    }


def test_a_volume_is_made_once_and_reported_each_time(engine):
    volume = engine.create_volume("data", labels={"k": "v"})
    assert volume == {
        "CreatedAt": "2017-07-14T02:40:00Z",
        "Driver": "local",
        "Labels": {"k": "v"},
        "Mountpoint": "/var/lib/docker/volumes/data/_data",
        "Name": "data",
        "Options": None,
        "Scope": "local",
    }
    assert engine.create_volume("data") is volume is engine.volume("data")
    engine.remove_volume("data")
    what = ("data", {"driver": "local"})
    actions = ("create", "create", "destroy")
    assert told(engine) == [("volume", action, *what) for action in actions]


def test_a_volume_that_nobody_names_has_an_id_for_a_name(engine):
    assert len(engine.create_volume()["Name"]) == 64


def test_a_volume_that_cannot_be_is_refused(engine):
    assert refusal(engine.create_volume, "x") == (
        400,
        "create x: volume name is too short, names should be at least two alphanumeric characters",
    )
    assert refusal(engine.create_volume, "data", "nope") == (
        404,
        'create data: error looking up volume plugin nope: plugin "nope" not found',
    )
    assert refusal(engine.volume, "data") == (404, "get data: no such volume")
    assert refusal(engine.remove_volume, "data") == (404, "get data: no such volume")


def test_volumes_are_filtered(engine):
    engine.create_volume("data", labels={"k": "v"})
    engine.create_volume("other")
    wanted = {"name": ["at"], "driver": ["local"], "label": ["k"]}
    assert engine.list_volumes(wanted) == [engine.volume("data")]
    assert len(engine.list_volumes()) == 2
    assert refusal(engine.list_volumes, {"x": []}) == (400, "Invalid filter 'x'")


def test_time_stands_in_a_volume_in_whole_seconds():
    engine = Networks(Lab(), "node-1", "node-1:2375", clock_offset=0.75)
    assert engine.time() == EPOCH + 0.75
    assert engine.create_volume("data")["CreatedAt"] == "2017-07-14T02:40:00Z"
