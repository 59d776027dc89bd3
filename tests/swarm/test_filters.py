"""Which nodes each filter of Swarm v1.2.9 leaves, and what it says when it leaves none."""

from timeit import repeat
from types import SimpleNamespace

import pytest

from walkthroughs.swarm.cluster import ClusterError, Container, Containers, Image
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.filters import (
    FILTERS,
    Affinity,
    Constraint,
    ContainerSlots,
    Dependency,
    Health,
    Node,
    Port,
    Whitelist,
    apply_filters,
    new,
)

ENGINE = SimpleNamespace(id="engine-id", name="engine")
NOTHING = ContainerConfig({})


def asked(*env, **host):
    """Return a request with wishes in its environment, and what depends on the host."""
    return ContainerConfig.build({"Env": list(env), "HostConfig": host})


def container(name, labels=None, config=NOTHING, **info):
    """Return a container; `info` is what its engine tells of it."""
    raw = {"Id": f"{name}-id", "Names": [f"/{name}-name"], "Labels": labels}
    return Container(ENGINE, config, raw, info)


def pending(config):
    return Container(ENGINE, config, {"Id": "", "Names": ["/new"]}, {})


def node(name, *containers, **given):
    return Node(f"{name}-id", f"{name}-name", containers=Containers(containers), **given)


def image(image_id, *tags):
    return Image(ENGINE, {"Id": image_id, "RepoTags": list(tags)})


def names(nodes):
    return [each.name.removesuffix("-name") for each in nodes]


def kept(kind, config, nodes, soft=True):
    return names(kind().filter(config, nodes, soft))


def refused(kind, config, nodes, soft=True):
    with pytest.raises(ClusterError) as error:
        kind().filter(config, nodes, soft)
    return str(error.value)


# health, slots


@pytest.mark.parametrize(
    ("indicators", "left"), [((100, 100), ["0", "1"]), ((0, 100), ["1"]), ((33, 0), ["0"])]
)
def test_healthy_filter(indicators, left):
    nodes = [node(str(n), health_indicator=each) for n, each in enumerate(indicators)]
    assert kept(Health, NOTHING, nodes) == left


def test_no_node_is_healthy():
    nodes = [node("0", health_indicator=0), node("1", health_indicator=0)]
    assert refused(Health, NOTHING, nodes) == "No healthy node available in the cluster"


NO_SLOTS = "No node with enough open slots available in the cluster"


def with_slots(label, count):
    labels = {} if label is None else {"containerslots": label}
    return node("0", *(container(str(n)) for n in range(count)), labels=labels)


@pytest.mark.parametrize(
    ("label", "count"), [("3", 1), ("3", 0), ("+3", 2), (None, 3), ("foo", 3), ("3 ", 3), ("", 3)]
)
def test_slots_filter_leaves_a_node_with_room(label, count):
    assert kept(ContainerSlots, NOTHING, [with_slots(label, count)]) == ["0"]


@pytest.mark.parametrize(("label", "count"), [("3", 3), ("3", 4), ("0", 0), ("-1", 0)])
def test_slots_filter_takes_a_full_node_out(label, count):
    assert refused(ContainerSlots, NOTHING, [with_slots(label, count)]) == NO_SLOTS


def test_a_slot_is_taken_by_a_container_that_is_on_its_way():
    nodes = [node("0", pending(NOTHING), labels={"containerslots": "1"})]
    assert refused(ContainerSlots, NOTHING, nodes) == NO_SLOTS


# ports


def ports(address, port):
    return {f"{port}/tcp": [{"HostIp": address, "HostPort": port}]}


def binding(address, port):
    return {"HostConfig": {"PortBindings": ports(address, port)}}


def wants(address, port):
    return asked(PortBindings=ports(address, port))


def three(*containers):
    return [node("0", *containers), node("1"), node("2")]


def test_port_filter_no_conflicts():
    assert kept(Port, asked(PortBindings={}), three()) == ["0", "1", "2"]
    assert kept(Port, wants("", "80"), three()) == ["0", "1", "2"]
    other = container("c1", **binding("", "4242"))
    assert kept(Port, wants("", "80"), three(other)) == ["0", "1", "2"]


def test_port_filter_simple():
    taken = container("c1", **binding("", "80"))
    assert kept(Port, wants("", "80"), three(taken)) == ["1", "2"]


@pytest.mark.parametrize(
    ("taken", "wanted", "left"),
    [
        ("", "127.0.0.1", ["1", "2"]),
        ("127.0.0.1", "127.0.0.1", ["1", "2"]),
        ("127.0.0.1", "0.0.0.0", ["1", "2"]),
        ("127.0.0.1", "::", ["1", "2"]),
        ("127.0.0.1", "0:0::0", ["1", "2"]),
        ("127.0.0.1", "", ["1", "2"]),
        ("0.0.0.0", "192.168.1.1", ["1", "2"]),
        ("127.0.0.1", "192.168.1.1", ["0", "1", "2"]),
        ("127.0.0.1", "::1", ["0", "1", "2"]),
        ("a host", "192.168.1.1", ["0", "1", "2"]),
    ],
)
def test_port_filter_different_interfaces(taken, wanted, left):
    nodes = three(container("c1", **binding(taken, "4242")))
    assert kept(Port, wants(wanted, "4242"), nodes) == left


@pytest.mark.parametrize(("port", "left"), [("80", ["0", "1", "2"]), ("1234", ["1", "2"])])
def test_port_filter_random_assignment(port, left):
    assigned = {"Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "1234"}]}}
    taken = container("c1", **binding("", ""), NetworkSettings=assigned)
    assert kept(Port, wants("", port), three(taken)) == left


def test_any_free_port_is_free_everywhere():
    taken = container("c1", **binding("", ""))
    assert kept(Port, wants("", ""), three(taken)) == ["0", "1", "2"]


def test_a_port_of_a_stopped_container_is_taken():
    taken = container("c1", **binding("", "80"), NetworkSettings={"Ports": None})
    assert kept(Port, wants("", "80"), three(taken)) == ["1", "2"]


def test_a_port_that_is_not_published_is_null():
    open_only = container("c1", NetworkSettings={"Ports": {"80/tcp": None}})
    assert kept(Port, wants("", "80"), three(open_only)) == ["0", "1", "2"]


def test_a_port_of_a_container_on_its_way_is_taken():
    assert kept(Port, wants("", "80"), three(pending(wants("", "80")))) == ["1", "2"]


def test_what_a_container_has_asked_for_is_told_by_its_engine():
    there = container("c1", config=wants("", "80"))
    assert kept(Port, wants("", "80"), three(there)) == ["0", "1", "2"]


def test_one_port_is_one_port_over_tcp_and_udp():
    taken = {"53/udp": [{"HostIp": "", "HostPort": "53"}]}
    nodes = three(container("c1", HostConfig={"PortBindings": taken}))
    assert kept(Port, wants("", "53"), nodes) == ["1", "2"]


def test_all_ports_must_be_free():
    taken = [container(port, **binding("", port)) for port in ("80", "81")]
    nodes = [node("0", taken[0]), node("1", taken[1]), node("2")]
    both = asked(PortBindings=ports("", "80") | ports("", "81"))
    assert kept(Port, both, nodes) == ["2"]


def test_no_node_has_the_port():
    nodes = [node("0", container("c1", **binding("", "80")))]
    message = "unable to find a node with port 80 available"
    assert refused(Port, wants("127.0.0.1", "80"), nodes) == message


HOST = ContainerConfig({"ExposedPorts": {"80": {}}, "HostConfig": {"NetworkMode": "host"}})


def exposing(port, mode="host"):
    given = {"HostConfig": {"NetworkMode": mode}, "Config": {"ExposedPorts": {port: {}}}}
    return container("c1", **given)


def test_port_filter_for_host_mode():
    assert kept(Port, HOST, three(exposing("80"))) == ["1", "2"]


def test_host_mode_meets_host_mode_alone():
    assert kept(Port, HOST, three(exposing("80", "bridge"))) == ["0", "1", "2"]
    assert kept(Port, HOST, three(exposing("81"))) == ["0", "1", "2"]
    assert kept(Port, HOST, three(container("c1", **binding("", "80")))) == ["0", "1", "2"]


def test_no_node_has_the_port_in_host_mode():
    message = "unable to find a node with port 80 available in the Host mode"
    assert refused(Port, HOST, [node("0", exposing("80"))]) == message


def test_get_filters_of_ports():
    assert Port().get_filters(wants("", "80")) == ["port 80 (Bridge mode)"]
    assert Port().get_filters(HOST) == ["port 80 (Host mode)"]
    assert Port().get_filters(NOTHING) == []


# dependency


def test_dependency_filter_simple():
    nodes = [node(str(n), container(f"c{n}")) for n in range(3)]
    left = {
        "nothing": kept(Dependency, NOTHING, nodes),
        "volumes": kept(Dependency, asked(VolumesFrom=["c0-name"]), nodes),
        "volumes:ro": kept(Dependency, asked(VolumesFrom=["c0-id:ro"]), nodes),
        "link": kept(Dependency, asked(Links=["c1-name:foobar"]), nodes),
        "net": kept(Dependency, asked(NetworkMode="container:c2-id"), nodes),
        "bridge": kept(Dependency, asked(NetworkMode="bridge"), nodes),
    }
    assert left == {
        "nothing": ["0", "1", "2"],
        "volumes": ["0"],
        "volumes:ro": ["0"],
        "link": ["1"],
        "net": ["2"],
        "bridge": ["0", "1", "2"],
    }


def apart():
    return [node("0", container("c0"), container("c1")), node("1", container("c2")), node("2")]


def test_dependency_filter_multi():
    assert kept(Dependency, asked(VolumesFrom=["c1-id"]), apart()) == ["0"]
    assert kept(Dependency, asked(VolumesFrom=["c0-id", "c1-id"]), apart()) == ["0"]


UNMET = "Unable to find a node fulfilling all dependencies"


def test_dependencies_on_two_nodes_are_on_none():
    message = refused(Dependency, asked(VolumesFrom=["c0-id", "c2-id:ro"]), apart())
    assert message == f"{UNMET}: --volumes-from=c0-id --volumes-from=c2-id:ro"


def test_dependency_filter_chaining():
    mode = "container:c1-id"
    together = asked(VolumesFrom=["c0-id"], Links=["c1-id"], NetworkMode=mode)
    assert kept(Dependency, together, apart()) == ["0"]
    divided = asked(VolumesFrom=["c0-id"], Links=["c2-id:db"], NetworkMode=mode)
    listed = "--volumes-from=c0-id --link=c2-id:db --net=container:c1-id"
    assert refused(Dependency, divided, apart()) == f"{UNMET}: {listed}"


def test_a_dependency_on_nothing_is_met_nowhere():
    message = refused(Dependency, asked(NetworkMode="container:"), apart())
    assert message == f"{UNMET}: --net=container:"


def test_without_nodes_no_dependency_is_unmet():
    assert kept(Dependency, asked(Links=["c0-id"]), []) == []


def test_a_dependency_may_be_named_with_its_engine():
    nodes = [node("0", container("c0"))]
    assert kept(Dependency, asked(Links=["engine/c0-name:db"]), nodes) == ["0"]


# affinity


def affine():
    return [
        node(
            "0",
            *(container(name, {"com.app": "web"}) for name in ("n0-0", "n0-1")),
            images=[image("image-0-id", "image-0:tag1", "image-0:tag2")],
        ),
        node(
            "1",
            *(container(name) for name in ("n1-0", "n1-1")),
            images=[image("image-1-id", "image-1:tag1", "image-0:tag3", "image-1:tag2")],
        ),
        node("2"),
    ]


@pytest.mark.parametrize(
    ("wishes", "left"),
    [
        ([], ["0", "1", "2"]),
        (["container==n0*"], ["0"]),
        (["container==n*"], ["0", "1"]),
        (["container==n0-0-id"], ["0"]),
        (["container!=n0-0-id"], ["1", "2"]),
        (["container!=n0-1-id"], ["1", "2"]),
        (["container==n1-0-name"], ["1"]),
        (["container!=n1-0-name"], ["0", "2"]),
        (["image==image-0-id"], ["0"]),
        (["image==image-0:tag3"], ["1"]),
        (["image!=image-0:tag3"], ["0", "2"]),
        (["image==image-1"], ["1"]),
        (["image!=image-1"], ["0", "2"]),
        (["container!=n0-1-id", "container!=n1-1-id"], ["2"]),
        (["image==~image-0:tag3"], ["1"]),
        (["image==~image-*"], ["0", "1"]),
        (["image!=~image-*"], ["2"]),
        ([r"image==~/image-\d*/"], ["0", "1"]),
        (["com.app==web"], ["0"]),
        (["com.app!=web"], ["1", "2"]),
        (["com.app==/^$/"], ["1"]),
    ],
)
def test_affinity_filter(wishes, left):
    config = asked(*(f"affinity:{wish}" for wish in wishes))
    assert kept(Affinity, config, affine()) == left


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        (["container==nobody"], "container==nobody"),
        (["container!=n1-1-name", "container==n1-1-name"], "container==n1-1-name"),
        (["container==n0-1-id", "container==n1-1-id"], "container==n1-1-id"),
        (["image==~image-1:tag3"], "image==image-1:tag3"),
    ],
)
def test_affinity_filter_leaves_none(wishes, message):
    config = asked(*(f"affinity:{wish}" for wish in wishes))
    unable = "unable to find a node that satisfies the affinity"
    assert refused(Affinity, config, affine()) == f"{unable} {message}"


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("image==~ima~ge-0:tag3", "Value '~ima~ge-0:tag3' is invalid"),
        ("image=image-0:tag3", "One of operator ==, != is expected"),
        ("image=!image-0:tag3", "One of operator ==, != is expected"),
    ],
)
def test_affinity_filter_refuses(wish, message):
    assert refused(Affinity, asked(f"affinity:{wish}"), affine()) == message


def test_soft_affinities_are_not_asked_for_the_second_time():
    config = asked("affinity:image==~image-1:tag3", "affinity:container==n*")
    assert kept(Affinity, config, affine(), soft=False) == ["0", "1"]


@pytest.mark.parametrize(("wish", "left"), [("image==image-1", ["1"]), ("image!=image-1", ["0"])])
def test_affinity_filter_labels(wish, left):
    raw = {"Labels": {"com.docker.swarm.affinities": f'["{wish}"]'}}
    assert kept(Affinity, ContainerConfig.build(raw), affine()[:2]) == left


def test_a_container_without_a_name_is_next_to_nobody():
    nameless = Container(ENGINE, NOTHING, {"Id": "id", "Names": []}, {})
    config = asked("affinity:container!=id")
    assert kept(Affinity, config, [node("0", nameless)]) == ["0"]


def test_only_the_first_name_of_a_container_is_looked_at():
    raw = {"Id": "id", "Names": ["/db", "/web/database"]}
    linked = Container(ENGINE, NOTHING, raw, {})
    config = asked("affinity:container==web/database")
    unable = "unable to find a node that satisfies the affinity"
    message = f"{unable} container==web/database"
    assert refused(Affinity, config, [node("0", linked)]) == message


# constraint


def labelled():
    return [
        node("0", labels={"name": "node0", "group": "1", "region": "us-west"}),
        node("1", labels={"name": "node1", "group": "1", "region": "us-east"}),
        node("2", labels={"name": "node2", "group": "2", "region": "eu"}),
        node("3"),
    ]


def constrained(*cases):
    return pytest.mark.parametrize(("wishes", "left"), cases)


def left_by(wishes):
    config = asked(*(f"constraint:{wish}" for wish in wishes))
    return "".join(kept(Constraint, config, labelled()))


@constrained(
    ([], "0123"),
    (["name==node1"], "1"),
    (["group==1"], "01"),
    (["node==2-id"], "2"),
    (["node==1-name"], "1"),
    (["name==node0", "group==1"], "0"),
    (["region==us*"], "01"),
    (["region==*us*"], "01"),
)
def test_constraint_filter(wishes, left):
    assert left_by(wishes) == left


@constrained(
    (["name!=node0"], "123"),
    (["name!=does_not_exist"], "0123"),
    (["name!=n*"], "3"),
    (["region!=us*"], "23"),
)
def test_constraint_not_expr(wishes, left):
    assert left_by(wishes) == left


@constrained(
    ([r"name==/node\d/"], "012"),
    (["name==/node[12]/"], "12"),
    (["name!=/node[12]/"], "03"),
    (["node!=/[01]-id/"], "23"),
)
def test_constraint_reg_exp(wishes, left):
    assert left_by(wishes) == left


@constrained((["name==/(?i)NODE1/"], "1"), (["name!=/(?i)NODE*/"], "3"))
def test_filter_reg_exp_case_insensitive(wishes, left):
    assert left_by(wishes) == left


@constrained(
    (["node==~1-name"], "1"),
    (["name!=~/(?i)abc*/"], "0123"),
    (["region!=~us*"], "23"),
    (["region!=~can*"], "0123"),
)
def test_filter_soft_constraint(wishes, left):
    assert left_by(wishes) == left


@constrained((["name==node[12]"], "12"), (["node==0-name|1-name"], "01"))
def test_a_glob_is_still_a_regexp(wishes, left):
    assert left_by(wishes) == left


@constrained((["region==/^$/"], "3"), (["region==*"], "0123"))
def test_a_label_that_is_missing_is_empty(wishes, left):
    assert left_by(wishes) == left


def test_a_broken_pattern_excludes_nothing():
    assert left_by(["region!=/[/"]) == "0123"


def test_an_expression_that_is_none_is_found_behind_one_that_no_node_fulfils():
    config = asked("constraint:name==nobody", "constraint:n==a")
    assert refused(Constraint, config, labelled()) == "Key 'n' is invalid"


@pytest.mark.parametrize(
    "wish", ["does_not_exist==true", "region==us", "name==/NODE/", "name==/[/"]
)
def test_constraint_filter_leaves_none(wish):
    unable = "unable to find a node that satisfies the constraint"
    assert refused(Constraint, asked(f"constraint:{wish}"), labelled()) == f"{unable} {wish}"


@pytest.mark.parametrize("wish", ["name=node0", "name=!node0"])
def test_unsupported_operators(wish):
    message = "One of operator ==, != is expected"
    assert refused(Constraint, asked(f"constraint:{wish}"), labelled()) == message


def test_a_broken_pattern_is_logged_once_and_not_for_each_node():
    logged = []
    (constraint,) = new(["constraint"], logged.append)
    constraint.filter(asked("constraint:name!=/(/"), labelled(), True)
    assert logged == ["error parsing regexp: missing closing ): `(`"]


# whitelist


@pytest.mark.parametrize(
    ("wishes", "left"),
    [
        ([], "0123"),
        (["node==1-name"], "1"),
        (["node==1-name|2-name"], "12"),
        (["node==1-name|2-name|5-name"], "12"),
        (["node==0-name|1-name|2-name", "node==1-name|2-name|3-name"], "12"),
        (["anything==1-name"], "1"),
        (["node!=1-name"], "1"),
    ],
)
def test_whitelist_filter(wishes, left):
    config = asked(*(f"whitelist:{wish}" for wish in wishes))
    assert kept(Whitelist, config, labelled()) == [*left]


@pytest.mark.parametrize("wish", ["node==5-name|6-name", "node==5-name", "node==*", "node==1-id"])
def test_whitelist_filter_leaves_none(wish):
    unable = "unable to find a node that satisfies the whitelist"
    assert refused(Whitelist, asked(f"whitelist:{wish}"), labelled()) == f"{unable} {wish}"


# all of them


UNABLE = "Unable to find a node that satisfies the following conditions "


def applied(config, nodes, soft=True, filters=FILTERS):
    return names(apply_filters(new(filters), config, nodes, soft))


def told(config, nodes, soft=True, filters=FILTERS):
    with pytest.raises(ClusterError) as error:
        applied(config, nodes, soft, filters)
    return str(error.value)


def test_the_filters_in_the_order_of_the_original():
    assert [*FILTERS] == [
        "health",
        "port",
        "containerslots",
        "dependency",
        "affinity",
        "constraint",
        "whitelist",
    ]


def test_new_keeps_the_order_that_it_is_given():
    assert [each.name for each in new(["constraint", "health"])] == ["constraint", "health"]


def test_an_unknown_filter():
    with pytest.raises(ClusterError, match=r"^filter not supported$"):
        new(["health", "wealth"])


def test_apply_filters():
    nodes = affine()[:2]
    nodes[1].health_indicator = 0
    config = asked("affinity:image==~image-0:tag3")
    listed = "\n[available container slots]\n[image==image-0:tag3 (soft=true)]"
    assert told(config, nodes) == UNABLE + listed
    assert applied(config, nodes, soft=False) == ["0"]


def test_without_a_healthy_node_nothing_else_is_said():
    config = asked("constraint:name==node0")
    message = told(config, [node("0", health_indicator=0)])
    assert message == "No healthy node available in the cluster"


def test_a_filter_that_asks_nothing_has_no_line():
    nodes = [node("0", container("c1", **binding("", "80")))]
    config = wants("", "80")
    assert told(config, nodes) == f"{UNABLE}\n[port 80 (Bridge mode)]"


def test_lines_end_with_the_filter_that_left_none():
    config = asked(
        "affinity:container!=a",
        "constraint:name==node0",
        "constraint:group==~2",
        "whitelist:node==0-name",
        Links=["n0-0-name"],
    )
    listed = [
        "[available container slots]",
        "[--link=n0-0-name]",
        "[container!=a (soft=false)]",
        "[name==node0 group==2]",
    ]
    assert told(config, affine(), soft=False) == UNABLE + "\n" + "\n".join(listed)


def test_a_whitelist_is_listed_with_its_softness():
    message = told(asked("whitelist:node==a|b"), affine())
    assert message == f"{UNABLE}\n[available container slots]\n[node==a|b (soft=false)]"


def test_an_expression_that_is_none():
    message = told(asked("constraint:n==a"), affine())
    listed = "\n[available container slots]\nerror from constraint filter: Key 'n' is invalid"
    assert message == UNABLE + listed


def test_another_order_has_other_lines():
    config = asked("constraint:name==nobody")
    assert told(config, affine(), filters=["constraint", "health"]) == f"{UNABLE}\n[name==nobody]"


def test_without_filters_every_node_will_do():
    assert applied(asked("constraint:name==nobody"), affine(), filters=[]) == ["0", "1", "2"]


def test_no_containers_are_looked_at_for_a_container_that_asks_nothing_of_them():
    class Untouched(list):
        def __iter__(self):
            raise AssertionError("somebody looks at the containers")

        __len__ = __iter__

    nodes = [node("0")]
    nodes[0].containers = Untouched()
    assert applied(NOTHING, nodes) == ["0"]


def test_all_filters_of_a_thousand_nodes_take_less_than_a_placement_may():
    nodes = [node(str(n), labels={"region": f"r-{n % 10}"}) for n in range(1000)]
    filters = new(FILTERS)
    times = repeat(lambda: apply_filters(filters, NOTHING, nodes, True), number=10, repeat=20)
    assert min(times) / 10 < 0.001
