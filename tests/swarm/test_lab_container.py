"""A container of the lab: its states, and how it is shown."""

import pytest

from walkthroughs.swarm.lab_container import (
    HOST_CONFIG,
    Container,
    Ports,
    PortTaken,
    check_container_filters,
    first_networks,
    listed_endpoint,
    listed_ports,
    matches,
    signal_number,
    words,
)
from walkthroughs.swarm.lab_images import CONFIG
from walkthroughs.swarm.lab_machine import DaemonError
from walkthroughs.swarm.lab_networks import ENDPOINT

ID = "ab" * 32


def container(name="web", networks=("net-1",), host_config=None, **config):
    base = {"Cmd": ["sleep", "9"], "Image": "busybox", "Labels": {"k": "v"}}
    nets = {each: dict(ENDPOINT) for each in networks}
    host = HOST_CONFIG | (host_config or {})
    return Container(ID, name, "sha256:cd", 100.0, CONFIG | base | config, host, nets)


def refusal(call, *arguments):
    with pytest.raises(DaemonError) as caught:
        call(*arguments)
    return caught.value.status, caught.value.message


# States


def test_a_container_is_created_runs_is_paused_and_has_exited():
    web = container()
    states = [(web.state, web.status(100))]
    web.begin(110, pid=7)
    states.append((web.state, web.status(115)))
    web.paused = True
    states.append((web.state, web.status(175)))
    web.end(180, 3)
    states.append((web.state, web.status(181)))
    assert states == [
        ("created", "Created"),
        ("running", "Up 5 seconds"),
        ("paused", "Up About a minute (Paused)"),
        ("exited", "Exited (3) 1 second ago"),
    ]


def test_who_waits_for_the_end_is_told_and_not_for_the_last_one():
    web = container()
    web.begin(110, pid=7)
    assert not web.exited.is_set()
    web.end(120, 0)
    assert web.exited.is_set()
    web.begin(130, pid=8)
    assert not web.exited.is_set()


def test_at_its_end_a_container_gives_back_what_it_had_but_knows_its_networks():
    web = container()
    web.join("net-1", {"NetworkID": "n", "EndpointID": "e", "IPAddress": "172.18.0.2"})
    web.ports = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}]}
    web.begin(110, pid=7)
    web.end(120, 137)
    settings = ENDPOINT | {"NetworkID": "n", "Aliases": [ID[:12]]}
    assert (web.pid, web.ports, web.networks) == (0, {}, {"net-1": settings})


def test_on_a_network_of_the_user_a_container_answers_to_its_id_too():
    web = container(networks=("net-1", "bridge"))
    web.networks["net-1"]["Aliases"] = ["www"]
    for _ in range(2):
        web.join("net-1", {"IPAddress": "172.18.0.2"})
        web.join("bridge", {"IPAddress": "172.17.0.2"})
    assert web.networks["net-1"]["Aliases"] == ["www", ID[:12]]
    assert web.networks["bridge"]["Aliases"] is None


# How it is shown


def test_inspection_tells_what_the_state_is():
    web = container()
    web.begin(110, pid=7)
    assert web.inspect()["State"] == {
        "Status": "running",
        "Running": True,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": 7,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": "1970-01-01T00:01:50Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
    }


def test_the_address_at_the_top_is_that_on_the_bridge():
    web = container(networks=("bridge", "net-1"))
    web.join("bridge", {"IPAddress": "172.17.0.2"})
    web.join("net-1", {"IPAddress": "172.18.0.2"})
    assert web.inspect()["NetworkSettings"]["IPAddress"] == "172.17.0.2"
    assert container().inspect()["NetworkSettings"]["IPAddress"] == ""


def test_an_item_of_the_list_is_a_summary():
    web = container(Entrypoint="sh")
    assert web.summary(100) == {
        "Id": ID,
        "Names": ["/web"],
        "Image": "busybox",
        "ImageID": "sha256:cd",
        "Command": "sh sleep 9",
        "Created": 100,
        "Ports": [],
        "Labels": {"k": "v"},
        "State": "created",
        "Status": "Created",
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {"net-1": ENDPOINT}},
        "Mounts": [],
    }


@pytest.mark.parametrize(
    ("command", "parts"), [(None, []), ("sh", ["sh"]), (["sleep", "9"], ["sleep", "9"])]
)
def test_a_command_is_a_list_or_a_word_or_nothing(command, parts):
    assert words(command) == parts


def test_a_port_is_listed_for_each_address_or_alone():
    ports = {
        "80/tcp": [{"HostIp": ip, "HostPort": "8080"} for ip in ("0.0.0.0", "::")],
        "53/udp": None,
    }
    assert listed_ports(ports) == [
        {"IP": "0.0.0.0", "PublicPort": 8080, "PrivatePort": 80, "Type": "tcp"},
        {"IP": "::", "PublicPort": 8080, "PrivatePort": 80, "Type": "tcp"},
        {"PrivatePort": 53, "Type": "udp"},
    ]


def test_a_network_shows_an_endpoint_with_the_name_of_the_container():
    endpoint = {
        "EndpointID": "e",
        "IPAddress": "172.18.0.2",
        "IPPrefixLen": 16,
        "MacAddress": "m",
    }
    assert listed_endpoint(container(), endpoint) == {
        "Name": "web",
        "EndpointID": "e",
        "MacAddress": "m",
        "IPv4Address": "172.18.0.2/16",
        "IPv6Address": "",
    }
    assert listed_endpoint(container(), {"EndpointID": "e"})["IPv4Address"] == ""


# Networks, signals, filters


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("", ["bridge"]),
        ("default", ["bridge"]),
        ("host", ["host"]),
        ("net-1", ["net-1"]),
        ("container:db", []),
    ],
)
def test_the_mode_says_which_network_is_the_first(mode, names):
    assert list(first_networks(mode, {})) == names


def test_a_container_may_be_on_more_networks_from_the_beginning():
    asked = {"net-2": {"Aliases": ["www"]}, "net-1": None}
    assert first_networks("net-1", asked) == {
        "net-1": ENDPOINT,
        "net-2": ENDPOINT | {"Aliases": ["www"]},
    }


@pytest.mark.parametrize("name", ["KILL", "SIGKILL", "kill", "sigkill", "9"])
def test_a_signal_has_a_name_or_a_number(name):
    assert signal_number(name) == 9


def test_an_unknown_signal_is_refused():
    assert refusal(signal_number, "NOPE") == (400, "Invalid signal: NOPE")


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, True),
        ({"name": ["^/web$"]}, True),
        ({"name": ["^web$"]}, True),
        ({"name": ["^eb"]}, False),
        ({"id": ["^abab"]}, True),
        ({"label": ["k=v"]}, True),
        ({"label": ["k=w"]}, False),
        ({"status": ["exited", "created"]}, True),
        ({"status": ["running"]}, False),
        ({"network": ["net-1"]}, True),
        ({"network": ["net-2"]}, False),
        ({"volume": ["data"]}, True),
        ({"volume": ["/data"]}, True),
        ({"volume": ["/other"]}, False),
        ({"exited": ["0"]}, True),
        ({"name": ["web"], "status": ["running"]}, False),
    ],
)
def test_all_filters_have_to_match(filters, found):
    web = container()
    web.mounts = [{"Type": "volume", "Name": "data", "Destination": "/data"}]
    assert matches(web, filters) is found


def test_a_state_that_is_none_is_refused():
    check_container_filters({"status": ["running"]})
    why = "Invalid filter 'status=busy'"
    assert refusal(check_container_filters, {"status": ["busy"]}) == (400, why)


# Ports


def serving(*bindings, **host_config):
    host = {"PortBindings": {"80/tcp": list(bindings)} if bindings else None} | host_config
    return container(host_config=host, ExposedPorts={"80/tcp": {}, "53/udp": {}})


def test_a_port_is_bound_for_both_families_unless_an_address_is_given():
    assert Ports().publish(serving({"HostPort": "8080"}), []) == {
        "80/tcp": [{"HostIp": ip, "HostPort": "8080"} for ip in ("0.0.0.0", "::")],
        "53/udp": None,
    }
    ports = Ports().publish(serving({"HostPort": "8080", "HostIp": "10.0.0.1"}), [])
    assert ports["80/tcp"] == [{"HostIp": "10.0.0.1", "HostPort": "8080"}]


def test_who_does_not_care_gets_the_next_port_of_the_protocol():
    ports = Ports()
    first = ports.publish(serving(PublishAllPorts=True), [])
    second = ports.publish(serving({}), [])
    numbers = [(each, bound[0]["HostPort"]) for each, bound in first.items()]
    assert numbers == [("80/tcp", "32768"), ("53/udp", "32768")]
    assert second["80/tcp"][0]["HostPort"] == "32769"


@pytest.mark.parametrize(
    ("here", "there", "taken"),
    [
        ({}, {}, True),
        ({"HostIp": "10.0.0.1"}, {}, True),
        ({}, {"HostIp": "10.0.0.1"}, True),
        ({"HostIp": "10.0.0.1"}, {"HostIp": "10.0.0.1"}, True),
        ({"HostIp": "10.0.0.1"}, {"HostIp": "10.0.0.2"}, False),
    ],
)
def test_a_port_is_taken_on_its_address_and_an_address_may_be_all(here, there, taken):
    ports, port = Ports(), {"HostPort": "8080"}
    other = serving()
    other.ports = ports.publish(serving(port | there), [])
    asked = serving(port | here)
    if taken:
        with pytest.raises(PortTaken, match=r":8080\Z"):
            ports.publish(asked, [other])
    else:
        assert ports.publish(asked, [other])["80/tcp"] == [port | here]


def test_a_port_of_another_protocol_is_another_port():
    ports = Ports()
    other = serving()
    other.ports = {"80/udp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}
    assert ports.publish(serving({"HostPort": "8080"}), [other])["80/tcp"]
