"""The containers of an engine of the lab: how they are made, named and found."""

import pytest

from tests.swarm.lab_containers import SLEEP, refusal, run
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine


@pytest.fixture
def engine():
    return LabEngine(Lab(), "node-1", "node-1:2375")


def test_a_container_has_the_settings_of_its_image_and_its_own(engine):
    engine.image("busybox").config = {
        "Cmd": ["sh"],
        "Env": ["PATH=/bin", "A=image"],
        "Labels": {"a": "image", "b": "image"},
        "ExposedPorts": {"80/tcp": {}},
    }
    web = engine.create("web", Image="busybox", Env=["A=mine"], Labels={"a": "mine"})
    config = {key: web.config[key] for key in ("Cmd", "Env", "Labels", "ExposedPorts")}
    assert config == {
        "Cmd": ["sh"],
        "Env": ["A=mine", "PATH=/bin"],
        "Labels": {"a": "mine", "b": "image"},
        "ExposedPorts": {"80/tcp": {}},
    }
    assert (web.config["Image"], web.config["Hostname"]) == ("busybox", web.id[:12])


def test_a_container_without_a_name_gets_one_that_nobody_has(engine):
    names = [engine.create(**SLEEP).name for _ in range(80)]
    assert len(set(names)) == 80


def test_the_ids_are_the_same_in_each_run():
    ids = [LabEngine(Lab(), "node-1", "n:1").create("web", **SLEEP).id for _ in range(2)]
    assert ids[0] == ids[1]


def test_a_container_is_found_by_id_name_and_unique_prefix(engine):
    made = [engine.create(**SLEEP) for _ in range(40)]
    web = engine.create("web", **SLEEP)
    for name in ("web", web.id, web.id[:12]):
        assert engine.container(name) is web
    several = next(
        each.id[0] for each in made if sum(other.id[0] == each.id[0] for other in made) > 1
    )
    why = f"Multiple IDs found with provided prefix: {several}"
    assert refusal(engine.container, several) == (400, why)
    assert refusal(engine.container, "nope") == (404, "No such container: nope")
    assert refusal(engine.container, "/web") == (404, "No such container: /web")


def test_a_name_is_given_once(engine):
    web = engine.create("web", **SLEEP)
    assert refusal(engine.create, "web", **SLEEP) == (
        409,
        f'Conflict. The container name "/web" is already in use by container "{web.id}". You '
        "have to remove (or rename) that container to be able to reuse that name.",
    )


@pytest.mark.parametrize(
    ("name", "body", "status", "message"),
    [
        ("web", {}, 400, "Config cannot be empty in order to create a container"),
        ("web", {"Image": ""}, 400, "No command specified"),
        ("web", {"Image": "nope"}, 404, "No such image: nope:latest"),
        (
            "w",
            SLEEP,
            400,
            "Invalid container name (w), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        (
            "web",
            SLEEP | {"HostConfig": {"VolumesFrom": ["db"]}},
            400,
            "No such container: db",
        ),
    ],
)
def test_a_container_that_cannot_be_is_refused(engine, name, body, status, message):
    assert refusal(engine.create, name, **body) == (status, message)
    assert engine.containers == {}


def test_mounts_come_from_paths_volumes_other_containers_and_the_image(engine):
    binds = ["/srv:/srv", "data:/data:ro"]
    web = engine.create("web", **SLEEP, HostConfig={"Binds": binds}, Volumes={"/tmp": {}})
    db = engine.create("db", **SLEEP, HostConfig={"VolumesFrom": ["web:ro"]})
    shown = [(each["Type"], each["Destination"], each["RW"]) for each in web.mounts]
    assert shown == [
        ("bind", "/srv", True),
        ("volume", "/data", False),
        ("volume", "/tmp", True),
    ]
    assert db.mounts == [mount | {"RW": False} for mount in web.mounts]
    assert list(engine.volumes) == ["data", web.mounts[2]["Name"]]


def test_a_rename_is_told_with_the_old_name(engine):
    web = engine.create("web", **SLEEP)
    engine.create("db", **SLEEP)
    engine.rename("web", "www")
    attributes = engine.events[-1]["Actor"]["Attributes"]
    assert (web.name, attributes["name"], attributes["oldName"]) == (
        "www",
        "www",
        "/web",
    )
    failed = "Error when allocating new name: "
    same = "Renaming a container with the same name as its current name"
    assert refusal(engine.rename, "www", "") == (
        400,
        "Neither old nor new names may be empty",
    )
    assert refusal(engine.rename, "www", "www") == (400, same)
    assert refusal(engine.rename, "www", "db")[1].startswith(f"{failed}Conflict. The container")
    assert refusal(engine.rename, "www", "!")[1].startswith(f"{failed}Invalid container name (/!)")


def test_an_update_changes_what_it_names(engine):
    engine.create("web", **SLEEP, HostConfig={"Memory": 1, "CpuShares": 2})
    engine.update("web", Memory=64, CpuShares=0)
    shown = engine.inspect("web")["HostConfig"]
    assert (shown["Memory"], shown["CpuShares"]) == (64, 2)


def test_the_list_has_those_that_run_and_the_newest_first(engine):
    for name in ("one", "two", "three"):
        run(engine, name)
    engine.exit("two")
    assert [each["Names"] for each in engine.list_containers()] == [
        ["/three"],
        ["/one"],
    ]
    assert len(engine.list_containers(all=True)) == 3
    (ended,) = engine.list_containers(filters={"status": ["exited"]})
    assert ended["Names"] == ["/two"]
