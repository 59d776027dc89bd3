"""Who is meant by a name, and what every driver promises."""

import asyncio
import doctest
import inspect
import time
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.swarm.drivers import OPERATIONS, PROMISES, Driver, broken, until_in
from walkthroughs.swarm import cluster as chapter
from walkthroughs.swarm import filters, new_cluster, strategies
from walkthroughs.swarm.cluster import (
    Container,
    Containers,
    Image,
    Message,
    Network,
    Networks,
    Volume,
    Volumes,
    parse_repository_tag,
)
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.health import EngineOptions
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.nodes import Nodes
from walkthroughs.swarm.scheduler import Scheduler
from walkthroughs.swarm.world import World

ONE = SimpleNamespace(id="DAE1|10.0.0.1:2375", name="node-1")
TWO = SimpleNamespace(id="DAE2|10.0.0.2:2375", name="node-2")
DIGEST = "sha256:a973f1415c489a934bf56dd653079d36b4ec717760215645726439de9705911d"


def container(id, *names, swarm_id="", engine=ONE, **info):
    config = ContainerConfig.build({"Labels": {"com.docker.swarm.id": swarm_id}})
    return Container(engine, config, {"Id": id, "Names": [*names]}, info)


def network(id, name, *attached, engine=ONE):
    ends = {key: {"EndpointID": f"e-{key}"} for key in attached}
    return Network(engine, {"Id": id, "Name": name, "Scope": "local", "Containers": ends})


def volume(name, driver="local", engine=ONE):
    return Volume(engine, {"Name": name, "Driver": driver})


def who(things, *texts):
    """Return the places of those that are meant, None for nobody."""
    found = [things.get(text) for text in texts]
    return [each and [each is known for known in things].index(True) for each in found]


# Containers


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("invalid-id", None),
        ("", None),
        ("container1-id", 0),
        ("container1-", 0),
        ("container", None),
        ("container1-name1", 0),
        ("container1-name2", 0),
        ("test-engine/container1-name1", 0),
        ("test-engine/container1-name2", 0),
        ("swarm1-id", 0),
        ("swarm1-", 0),
        ("swarm", None),
        ("con", 1),
    ],
)
def test_containers_get(text, index):
    engine = SimpleNamespace(id="test-engine", name="")
    names = "/container1-name1", "/container1-name2"
    containers = Containers(
        [
            container("container1-id", *names, swarm_id="swarm1-id", engine=engine),
            container("container2-id", "/con", swarm_id="swarm2-id", engine=engine),
        ]
    )
    assert who(containers, text) == [index]


def test_an_id_wins_over_a_swarm_id_and_that_over_a_name():
    containers = Containers(
        [
            container("1", "/ab"),
            container("2", "/other", swarm_id="ab"),
            container("ab", "/third", swarm_id="/ab"),
        ]
    )
    assert who(containers, "ab", "/ab") == [2, 2]
    assert who(Containers(containers[:2]), "ab", "/ab") == [1, 0]


def test_twelve_characters_of_an_id_are_the_id():
    containers = Containers([container("a" * 64, "/x"), container("b" * 64, f"/{'a' * 12}")])
    assert who(containers, "a" * 12, "a" * 11, "b" * 12, "b" * 13) == [0, 0, 1, 1]


def test_an_id_is_cut_behind_its_colon():
    containers = Containers([container("sha256:" + "ab" * 32, swarm_id="x:123")])
    assert who(containers, "ab" * 6, "123", "ab" * 5, "12") == [0, 0, None, None]


def test_a_container_is_named_by_engine_and_engine_id():
    containers = Containers([container("1", "/web"), container("2", "/web", engine=TWO)])
    texts = "node-2/web", "DAE2|10.0.0.2:2375/web", "node-1/web", "node-3/web", "web", "/web"
    assert who(containers, *texts) == [1, 1, 0, None, None, None]


def test_a_name_that_two_have_is_nobody_s_even_where_an_id_begins_so():
    containers = Containers([container("1", "/cab"), container("cab1e", "/cab", engine=TWO)])
    assert who(containers, "cab", "cab1") == [None, 1]


def test_a_name_that_one_container_has_twice_is_its_name():
    assert who(Containers([container("1", "/web", "web")]), "web") == [0]


def test_a_link_is_a_name_too():
    containers = Containers([container("1", "/db", "/web/db"), container("2", "/web")])
    assert who(containers, "web/db", "/web/db", "db") == [0, 0, 0]


def test_whose_two_ids_begin_alike_has_no_beginning():
    containers = Containers([container("feedface", swarm_id="feedbeef")])
    assert who(containers, "feed", "feedf", "feedb") == [None, 0, 0]


def test_a_container_that_is_being_created_is_found_by_name_and_swarm_id():
    pending = Containers([container("", "/web", swarm_id="s" * 64)])
    assert who(pending, "web", "s" * 12, "s", "") == [0, 0, 0, None]


def test_a_container_reads_its_state_once():
    state = {"Running": True, "Paused": True, "Restarting": False}
    made = container("1" * 64, State=state)
    assert (made.running, made.paused, made.restarting) == (True, True, False)
    state["Running"] = False
    assert made.running is True


def test_a_container_is_shown_by_engine_and_name_or_short_id():
    assert repr(container("1", "/web")) == "<Container node-1/web>"
    assert repr(container("1" * 64)) == "<Container node-1/111111111111>"


def test_null_in_an_engine_s_answer_is_empty():
    config = ContainerConfig.build({})
    made = Container(ONE, config, {"Id": "1", "Names": None, "Labels": None}, {"State": None})
    assert (made.names, made.labels, made.running, made.swarm_id) == ([], {}, False, "")
    image = Image(ONE, {"Id": "1", "RepoTags": None, "RepoDigests": None})
    assert (image.tags, image.digests) == ([], [])
    assert Network(ONE, {"Id": "1", "Name": "n", "Containers": None}).containers == {}


# Images


def image(id="", tags=(), digests=()):
    return Image(ONE, {"Id": id, "RepoTags": [*tags], "RepoDigests": [*digests]})


def matching(image, *texts, **options):
    return [text for text in texts if image.match(text, **options)]


def test_match():
    known = image("378954456789", ["name:latest"], [f"name@{DIGEST}"])
    texts = "378954456789", "3789", "378", "37", "name:latest", "name", "nam", "na"
    right = ["378954456789", "3789", "378", "name:latest", "name"]
    assert matching(known, *texts) == right
    assert matching(known, *texts, match_tag=False) == right
    other = f"name@{DIGEST.replace('a973f1', '111111')}"
    assert matching(known, f"name@{DIGEST}", other) == [f"name@{DIGEST}"]


def test_match_private_repo():
    known = image("378954456789", ["private.registry.com:5000/name:latest"])
    full, name = "private.registry.com:5000/name:latest", "private.registry.com:5000/name"
    texts = full, name, "private.registry.com:5000/nam", "private.registry.com:5000/na"
    assert matching(known, *texts) == [full, name]
    assert matching(known, *texts, match_tag=False) == [full, name]


def test_without_match_tag_any_tag_will_do():
    known = image("1", ["name:1"], ["other@sha256:a"])
    assert matching(known, "name:2", "other@sha256:b") == []
    assert matching(known, "name:2", "other@sha256:b", match_tag=False) == [
        "name:2",
        "other@sha256:b",
    ]


def test_an_id_is_known_with_its_algorithm_and_without():
    known = image("sha256:378954456789")
    assert matching(known, "sha256:378954456789", "378954456789", "378", "37", "sha", "sh") == [
        "sha256:378954456789",
        "378954456789",
        "378",
        "sha",
    ]


def test_an_image_without_an_id_has_no_beginning():
    assert matching(image("", ["name:1"]), "", "abc", "name") == ["name"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "localhost.localdomain:5000/samalba/hipache:latest",
            ("localhost.localdomain:5000/samalba/hipache", "latest"),
        ),
        (f"localhost:5000/foo/bar@{DIGEST}", ("localhost:5000/foo/bar", DIGEST)),
        ("localhost:5000/foo/bar", ("localhost:5000/foo/bar", "")),
        ("localhost:5000/foo/bar:latest", ("localhost:5000/foo/bar", "latest")),
        ("nginx", ("nginx", "")),
        ("nginx:", ("nginx", "")),
        ("nginx:1.25@sha256:ab", ("nginx:1.25", "sha256:ab")),
        ("a@b@c", ("a", "b")),
        ("", ("", "")),
    ],
)
def test_parse_repository_tag(name, parts):
    assert parse_repository_tag(name) == parts


# Networks


def test_network_uniq():
    networks = Networks(
        [
            network("global", "global", "c1"),
            network("global", "global", "c2", engine=TWO),
            network("local1", "local", "c3"),
            network("local2", "local", "c4", engine=TWO),
        ]
    )
    found = [(each.id, each.engine.name, [*each.containers]) for each in networks.uniq()]
    assert found == [
        ("global", "node-1", ["c1", "c2"]),
        ("local1", "node-1", ["c3"]),
        ("local2", "node-2", ["c4"]),
    ]
    assert who(networks.uniq(), "global", "local1", "local3") == [0, 1, None]
    assert [[*each.containers] for each in networks] == [["c1"], ["c2"], ["c3"], ["c4"]]


def test_a_network_of_many_engines_is_one_and_a_name_of_many_networks_is_none():
    networks = Networks(
        [
            network("9" * 25, "backend"),
            network("9" * 25, "backend", engine=TWO),
            network("4" * 64, "bridge"),
            network("47" * 32, "bridge", engine=TWO),
        ]
    )
    assert who(networks, "backend", "9", "9" * 12, "9" * 25) == [0, 0, 0, 0]
    assert who(networks, "bridge", "4", "44", "47", "") == [None, None, 2, 3, None]
    assert who(networks, "node-2/bridge", "DAE1|10.0.0.1:2375/bridge") == [3, 2]


def test_a_slash_of_its_own_does_not_hide_a_network():
    networks = Networks([network("ab1", "x"), network("2", "/ab"), network("3", "/ab")])
    assert who(networks, "ab", "ab1", "/ab") == [1, 0, None]


def test_a_name_that_two_networks_have_is_nobody_s_even_where_an_id_begins_so():
    assert who(Networks([network("ab1", "ab"), network("2", "ab")]), "ab") == [None]


def test_remove_duplicate_endpoints():
    ends = {
        "worker": {"Name": "worker_1", "EndpointID": "e1"},
        "ep-e1": {"Name": "worker_1", "EndpointID": "e1"},
        "ep-e2": {"Name": "redis", "EndpointID": "e2"},
        "redis": {"Name": "redis", "EndpointID": "e2"},
        "ep-e3": {"Name": "stale", "EndpointID": "e3"},
    }
    before = Network(ONE, {"Id": "1", "Name": "global", "Driver": "overlay", "Containers": ends})
    after = before.remove_duplicate_endpoints()
    assert after.containers == {key: ends[key] for key in ("worker", "redis", "ep-e3")}
    assert (after.engine, after.raw["Driver"]) == (ONE, "overlay")
    assert before.containers == ends


# Volumes


def test_get():
    names = {"t1": "local", "t2": "local", "t3": "rexray", "t4": "flocker"}
    volumes = Volumes(volume(*each, engine) for engine in (ONE, TWO) for each in names.items())
    assert Volumes().get("test") is None
    assert who(volumes, "t1", "t2", "t3", "t4", "") == [None, None, 2, 3, None]
    assert who(volumes, f"{ONE.id}/t1", "node-1/t1", "node-2/t1") == [0, 0, 4]


def test_a_volume_of_one_engine_needs_no_engine_before_its_name():
    assert who(Volumes([volume("a"), volume("b", engine=TWO)]), "a", "b", "c") == [0, 1, None]


def test_of_a_local_volume_and_a_shared_one_of_a_name_the_shared_one_is_meant():
    assert who(Volumes([volume("a"), volume("a", "rexray", TWO)]), "a") == [1]


def test_a_slash_of_its_own_does_not_hide_a_volume():
    volumes = Volumes([volume("/a"), volume("/a", engine=TWO), volume("/")])
    assert who(volumes, "a", "/a", "") == [0, None, None]


# The interface


def test_the_interface_has_every_operation_of_the_original():
    original = """
        BuildImage CloseWatchQueues Container Containers CreateContainer
        CreateNetwork CreateVolume EngineNames Image Images Import Info Load Networks
        NewAPIEventHandler Pull RANDOMENGINE RefreshEngine RefreshEngines RegisterEventHandler
        RemoveContainer RemoveImages RemoveNetwork RemoveVolumes RenameContainer
        StartContainer TagImage TotalCpus TotalMemory UnregisterEventHandler Volumes
    """
    other = {"RANDOMENGINE": "randomengine", "Import": "importimage"}
    assert sorted(other.get(name, name.lower()) for name in original.split()) == sorted(
        name.replace("_", "") for name in OPERATIONS
    )


def test_a_message_without_a_line_is_a_beginning_or_an_end():
    assert Message("node-1") == ("node-1", None, "", False)


# The promises


def swarm_driver(addresses, world):
    names = ("health", "port", "containerslots", "dependency", "affinity", "constraint")
    scheduler = Scheduler(strategies.new("spread", world.random), filters.new(names))
    found = Nodes(",".join(addresses), 60, 180, {}, world)
    return new_cluster.new_cluster(scheduler, None, found, [], EngineOptions(), world)


@asynccontextmanager
async def on_lab_engines():
    async with Lab() as lab:
        engines = [LabEngine(lab, f"node-{k}", f"10.0.0.{k}:2375").plug() for k in (1, 2, 3)]
        cluster = swarm_driver([each.address for each in engines], lab.world("manager"))
        lab.start("manager", cluster.run())
        await lab.run(1)
        yield Driver(cluster, "busybox:latest", until_in(lab))


async def until(condition, deadline=20):
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"{deadline} seconds are over"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def on_real_engines(engines):
    cluster = swarm_driver([each.address for each in engines], World())
    running = asyncio.create_task(cluster.run())
    try:
        await until(lambda: len(cluster.engines) == len(engines))
        yield Driver(cluster, "busybox:latest", until)
    finally:
        running.cancel()
        await asyncio.wait([running])


@pytest.fixture(scope="module")
def page():
    """Return what the page defines, up to its driver."""
    text = (Path(__file__).parents[2] / "notes/swarm/cluster.md").read_text()
    names = dict(vars(chapter))
    for example in doctest.DocTestParser().get_examples(text):
        if example.source.startswith(("import ", "from ", "def ", "async def ", "class ", "HERE")):
            exec(example.source, names)
        if example.source.startswith("class Coroutines"):
            return names
    raise AssertionError("the page has no driver")


async def keep(promise, opened):
    async with opened as driver:
        await promise(driver)


def each_promise(test):
    names = [promise.__name__ for promise in PROMISES]
    return pytest.mark.parametrize("promise", PROMISES, ids=names)(test)


@each_promise
def test_the_swarm_driver_keeps_the_promise(promise):
    asyncio.run(keep(promise, on_lab_engines()))


@each_promise
def test_the_swarm_driver_keeps_the_promise_on_real_engines(promise, engines):
    asyncio.run(keep(promise, on_real_engines(engines)))


@each_promise
def test_the_driver_of_the_page_keeps_the_promise(promise, page):
    asyncio.run(keep(promise, page["opened"](page["Coroutines"])()))


async def nothing(self, *arguments):
    """Carry no order out, and do not say so."""


def everybody(self):
    """Return what a cluster knows itself, for its callers to change."""

    class Own(Containers):
        clear = self.known.clear

    return Own(self.known.values())


BREACHES = {
    "every_operation_is_there": {"pull": None},
    "who_is_not_there_is_none": {"container": lambda self, text: [*self.containers(), None][0]},
    "an_answer_belongs_to_whoever_asked": {"containers": everybody},
    "a_container_runs_when_it_is_started": {"start_container": nothing},
    "a_container_that_was_removed_is_nobody": {"remove_container": nothing},
    "a_handler_is_registered_once": {
        "register_event_handler": lambda self, handler: self._handlers.append(handler)
    },
    "a_container_is_on_an_engine_of_the_cluster": {"refresh_engine": nothing},
    "info_is_pairs_of_texts_and_totals_are_numbers": {"info": lambda self: [("Containers", 0)]},
    "what_a_driver_cannot_do_it_refuses": {"pull": nothing},
}
"""What breaks a promise that the page's first driver keeps."""


@pytest.mark.parametrize("name", BREACHES)
def test_a_broken_promise_is_noticed(name, page):
    driver = type("Breach", (page["Coroutines"],), BREACHES[name])
    assert name in asyncio.run(broken(page["opened"](driver)))


def test_every_promise_is_broken_by_somebody(page):
    hasty = asyncio.run(broken(page["opened"](page["Hasty"])))
    assert {*hasty, *BREACHES} == {promise.__name__ for promise in PROMISES}


def test_every_promise_is_a_sentence_about_a_driver():
    for promise in PROMISES:
        assert "_" in promise.__name__
        assert list(inspect.signature(promise).parameters) == ["driver"]
