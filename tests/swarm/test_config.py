"""What a container is asked to be; the labels are those that the original makes of a request."""

import copy
import json

import pytest

from walkthroughs.swarm.config import (
    ContainerConfig,
    consolidate,
    from_label,
    split_env,
    to_label,
)

AFFINITIES = "com.docker.swarm.affinities"
CONSTRAINTS = "com.docker.swarm.constraints"
POLICIES = "com.docker.swarm.reschedule-policies"
WHITELISTS = "com.docker.swarm.whitelists"


def build(env=None, labels=None, **rest):
    return ContainerConfig.build({"Env": env, "Labels": labels, **rest})


@pytest.mark.parametrize(
    ("env", "kept", "labels"),
    [
        ([], [], {}),
        (["test=true"], ["test=true"], {}),
        (["constraint:test==true"], [], {CONSTRAINTS: '["test==true"]'}),
        (["affinity:container==test"], [], {AFFINITIES: '["container==test"]'}),
        (
            ["test=true", "constraint:test==true", "affinity:container==test"],
            ["test=true"],
            {CONSTRAINTS: '["test==true"]', AFFINITIES: '["container==test"]'},
        ),
        (["reschedule:off"], [], {POLICIES: '["off"]'}),
        (["whitelist:node==a|b"], [], {WHITELISTS: '["node==a|b"]'}),
    ],
)
def test_build_container_config(env, kept, labels):
    config = build(env)
    assert (config.env, config.labels) == (kept, labels)


@pytest.mark.parametrize(
    "variable",
    ["affinity", "affinity=a==b", "Affinity:a==b", " affinity:a==b", "affinityx:a==b", ""],
)
def test_a_variable_that_only_looks_like_a_wish_is_left_alone(variable):
    assert split_env([variable]) == ([variable], {})


def test_a_wish_is_everything_behind_the_first_colon():
    assert split_env(["affinity:", "affinity:image==host:5000/a:1", "A=affinity:b"]) == (
        ["A=affinity:b"],
        {"affinities": ["", "image==host:5000/a:1"]},
    )


def test_labels_come_before_the_environment():
    config = build(["constraint:c==3", "constraint:d==4"], {CONSTRAINTS: '["a==1", "b==2"]'})
    assert config.labels == {CONSTRAINTS: '["a==1","b==2","c==3","d==4"]'}


def test_a_label_without_wishes_stays_as_it_was():
    labels = {CONSTRAINTS: " [] ", AFFINITIES: "not JSON", "mine": "x"}
    assert build(["A=b"], labels).labels == labels


def test_a_label_that_is_not_json_is_replaced_by_the_environment():
    assert build(["affinity:a==b"], {AFFINITIES: "not JSON"}).labels == {AFFINITIES: '["a==b"]'}


@pytest.mark.parametrize(
    ("text", "wishes"),
    [
        ('["a", "b"]', ["a", "b"]),
        (' [ "a" ]\n', ["a"]),
        ('["a",1,null,["x"],{"a":1},true,"b"]', ["a", "", "", "", "", "", "b"]),
        ("[1e999, %s]" % ("9" * 5000), ["", ""]),
        ('["\\ud83d\\ude00", "\\ud800x"]', ["\U0001f600", "\ufffdx"]),
        *(
            (text, [])
            for text in ["", "null", "1", '"a"', "[]", '{"a":"b"}', "[", '["a",]', "['a']"]
        ),
        *(
            (text, [])
            for text in ['["a"] x', '["a",NaN]', "[Infinity]", "[-Infinity]", '["\t"]', "\ufeff[]"]
        ),
    ],
)
def test_a_label_is_read_as_go_reads_it(text, wishes):
    assert from_label(text) == wishes


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_a_label_of_brackets_is_no_list(depth):
    """Go gives up after ten thousand, and Python before the first of these."""
    assert from_label("[" * depth + "]" * depth) == []


@pytest.mark.parametrize(
    ("wish", "label"),
    [
        ("node!=<a&b>", r'["node!=\u003ca\u0026b\u003e"]'),
        ('"\\/', r'["\"\\/"]'),
        ("\n\r\t\b\f\0\x1f\x7f", '["\\n\\r\\t\\u0008\\u000c\\u0000\\u001f\x7f"]'),
        ("\u2028\u2029\u00e9\U0001f600", '["\\u2028\\u2029\u00e9\U0001f600"]'),
    ],
)
def test_a_label_is_written_as_go_writes_it(wish, label):
    assert to_label([wish]) == label
    assert json.loads(label) == [wish]


@pytest.mark.parametrize("text", ['["a", "b"]', '["a",1]'])
def test_a_label_with_wishes_is_written_anew(text):
    first, second = from_label(text)
    assert build(labels={AFFINITIES: text}).labels == {AFFINITIES: f'["{first}","{second}"]'}


def test_null_is_nothing():
    config = ContainerConfig.build({"Env": None, "Labels": None, "HostConfig": None, "Image": None})
    assert config.raw == {"Env": [], "Labels": {}, "HostConfig": {}, "Image": None}
    assert (config.image, config.memory, config.cpus, config.network_mode) == ("", 0, 0, "")
    assert build([None, "a"], {"a": None}).raw == {
        "Env": ["", "a"],
        "Labels": {"a": ""},
        "HostConfig": {},
    }


def test_a_request_is_left_as_it_came():
    raw = {
        "Env": ["affinity:a==b"],
        "Labels": {AFFINITIES: '["c==d"]'},
        "HostConfig": {"Memory": 1},
    }
    before = copy.deepcopy(raw)
    config = ContainerConfig.build(raw)
    config.add_constraint("e==f")
    config.host["CpuShares"] = 1
    assert raw == before


def test_what_nobody_here_knows_is_passed_on():
    raw = {"Cmd": ["top"], "HostConfig": {"Binds": ["/a:/b"]}, "Healthcheck": {"Retries": 3}}
    assert ContainerConfig.build(raw).raw == {**raw, "Env": [], "Labels": {}}


def test_fields_have_one_spelling():
    """Go's decoder also takes `env` for `Env`; for us it is a field that nobody knows."""
    assert ContainerConfig.build({"env": ["affinity:a==b"]}).raw == {
        "env": ["affinity:a==b"],
        "Env": [],
        "Labels": {},
        "HostConfig": {},
    }


def test_what_is_read_of_a_request():
    config = build(
        Image="redis",
        HostConfig={"Memory": 512, "CpuShares": 2, "NetworkMode": "front"},
        NetworkingConfig={"EndpointsConfig": {"front": {"Aliases": ["db"]}}},
    )
    assert (config.image, config.memory, config.cpus, config.network_mode, config.endpoints) == (
        "redis",
        512,
        2,
        "front",
        {"front": {"Aliases": ["db"]}},
    )


def test_a_request_without_networks_has_no_endpoints():
    assert build().endpoints == {}
    assert build(NetworkingConfig=None).endpoints == {}
    assert build(NetworkingConfig={"EndpointsConfig": None}).endpoints == {}


def test_swarm_id():
    config = build()
    assert config.swarm_id == ""
    config.swarm_id = "foo"
    assert (config.swarm_id, config.labels) == ("foo", {"com.docker.swarm.id": "foo"})
    assert build(labels={"com.docker.swarm.id": "test"}).swarm_id == "test"


def test_constraints():
    assert build().wishes("constraints") == []
    config = build(["test=true", "constraint:test==true", "affinity:container==test"])
    assert config.wishes("constraints") == ["test==true"]
    config.add_constraint("ostype==linux")
    assert config.labels[CONSTRAINTS] == '["test==true","ostype==linux"]'


def test_affinities():
    assert build().wishes("affinities") == []
    config = build(["test=true", "constraint:test==true", "affinity:container==test"])
    assert config.wishes("affinities") == ["container==test"]


def test_add_affinity():
    config = build()
    config.add_affinity("image==~testimage")
    assert config.wishes("affinities") == ["image==~testimage"]


def test_remove_affinity():
    config = build()
    config.add_affinity("image==~testimage1")
    config.add_affinity("image==~testimage2")
    config.remove_affinity("image==~testimage1")
    assert config.wishes("affinities") == ["image==~testimage2"]


def test_the_label_of_the_last_affinity_stays_as_an_empty_list():
    config = build(["affinity:a==b"])
    config.remove_affinity("a==b")
    assert config.labels == {AFFINITIES: "[]"}


@pytest.mark.parametrize(
    ("constraint", "is_one"),
    [
        ("node==node1", True),
        ("node==", True),
        ("node==/a|b/", True),
        ("node==*", True),
        ("node==~node1", False),
        ("node!=node1", False),
        ("Node==node1", False),
        ("storage==ssd", False),
    ],
)
def test_have_node_constraint(constraint, is_one):
    assert build([f"constraint:{constraint}"]).have_node_constraint() is is_one
    assert build(["constraint:a==b", f"constraint:{constraint}"]).have_node_constraint() is is_one


def test_no_constraint_is_no_node_constraint():
    assert build(["affinity:node==node1"]).have_node_constraint() is False


@pytest.mark.parametrize("policy", ["off", "on-node-failure"])
def test_a_container_has_one_reschedule_policy_or_none(policy):
    build().validate()
    config = build([f"reschedule:{policy}"])
    config.validate()
    assert config.has_reschedule_policy(policy)
    assert not config.has_reschedule_policy("on")


@pytest.mark.parametrize(
    ("env", "labels", "message"),
    [
        (["reschedule:x"], {}, "invalid reschedule policy: x"),
        (["reschedule:"], {}, "invalid reschedule policy: "),
        (["reschedule:Off"], {}, "invalid reschedule policy: Off"),
        ([], {POLICIES: "[1]"}, "invalid reschedule policy: "),
        (["reschedule:off", "reschedule:off"], {}, "too many reschedule policies"),
        (["reschedule:off"], {POLICIES: '["x"]'}, "too many reschedule policies"),
    ],
)
def test_what_is_no_reschedule_policy_is_refused(env, labels, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        build(env, labels).validate()


def test_constraints_and_affinities_are_not_looked_at_here():
    build(["constraint:", "affinity:nonsense"]).validate()


def test_consolidate_resource_fields():
    host = {"Memory": 4242, "MemorySwap": 4343, "CpuShares": 4444, "CpusetCpus": "1-2"}
    assert consolidate({"HostConfig": host}) == {"HostConfig": host}
    old = {"Memory": 4242, "MemorySwap": 4343, "CpuShares": 4444, "Cpuset": "1-2"}
    assert consolidate({"Image": "a", **old}) == {"Image": "a", "HostConfig": host}


def test_an_old_field_wins_and_an_empty_one_is_none():
    host = {"Memory": 7, "MemorySwap": 8, "CpuShares": 9, "CpusetCpus": "1"}
    assert consolidate({"Memory": 5, "HostConfig": host})["HostConfig"] == {**host, "Memory": 5}
    empty = {"Memory": 0, "MemorySwap": None, "CpuShares": 0, "Cpuset": ""}
    assert consolidate({**empty, "HostConfig": host}) == {"HostConfig": host}


def test_consolidate_leaves_the_request_as_it_came():
    raw = {"Memory": 5, "HostConfig": {"Memory": 7}}
    consolidate(raw)
    assert raw == {"Memory": 5, "HostConfig": {"Memory": 7}}
