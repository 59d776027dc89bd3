"""The images of an engine of the lab."""

import io
import json
import tarfile

import pytest

from walkthroughs.swarm.lab import EPOCH, Lab
from walkthroughs.swarm.lab_images import Image, Images, full_name
from walkthroughs.swarm.lab_machine import DaemonError

BUSYBOX = Image.named("busybox").id


def images(*names):
    return Images(Lab(), "node-1", "node-1:2375", images=names)


def tar(**files):
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return memory.getvalue()


def refusal(call, *arguments, **options):
    with pytest.raises(DaemonError) as caught:
        call(*arguments, **options)
    return caught.value.status, caught.value.message


def told(engine):
    return [(each["Action"], each["Actor"]["Attributes"]["name"]) for each in engine.events]


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("busybox", "busybox:latest"),
        ("busybox:1.36", "busybox:1.36"),
        ("docker.io/library/busybox", "busybox:latest"),
        ("me/app", "me/app:latest"),
        ("host:5000/app", "host:5000/app:latest"),
        ("host:5000/app:2", "host:5000/app:2"),
        ("app@sha256:" + "0" * 64, "app@sha256:" + "0" * 64),
    ],
)
def test_a_name_without_a_tag_means_latest(name, full):
    assert full_name(name) == full


@pytest.mark.parametrize(
    ("name", "why"),
    [("BAD", ": repository name must be lowercase"), ("a b", ""), ("", "")],
)
def test_a_name_that_is_none_is_refused(name, why):
    assert refusal(full_name, name) == (400, f"invalid reference format{why}")


def test_one_name_is_one_image_on_every_engine():
    first, second = images("busybox", "nginx"), images("nginx:latest")
    assert first.image("nginx") == second.image("nginx")
    assert first.image("nginx").id != first.image("busybox").id


def test_an_image_is_found_by_its_id_and_the_beginning_of_it():
    engine = images("busybox")
    image = engine.image("busybox")
    for name in (BUSYBOX, BUSYBOX[7:], BUSYBOX[7:19], BUSYBOX[:15]):
        assert engine.image(name) is image
    assert refusal(engine.image, "nginx") == (404, "No such image: nginx:latest")


def test_the_list_has_the_newest_first():
    engine = images("busybox")
    engine.import_image(b"", "mine", "7")
    assert engine.list_images() == [
        {
            "Containers": -1,
            "Created": EPOCH,
            "Id": engine.image("mine:7").id,
            "Labels": None,
            "ParentId": "",
            "RepoDigests": None,
            "RepoTags": ["mine:7"],
            "SharedSize": -1,
            "Size": 0,
            "VirtualSize": 0,
        },
        engine.image("busybox").summary(),
    ]


def test_an_image_without_a_name_is_listed_as_none():
    engine = images()
    (made,) = engine.import_image(b"data")
    (listed,) = engine.list_images({"dangling": ["true"]})
    assert (listed["Id"], listed["RepoTags"]) == (made["status"], ["<none>:<none>"])
    assert listed["RepoDigests"] == ["<none>@<none>"]
    assert engine.list_images({"dangling": ["false"]}) == []


def test_a_name_belongs_to_one_image():
    engine = images("busybox", "nginx")
    engine.tag("nginx", "busybox")
    assert engine.image("busybox") is engine.image("nginx")
    assert engine.image(BUSYBOX).tags == []


def test_a_pull_that_nobody_can_answer_fails_as_without_a_network():
    engine = images()
    engine.registry = None
    assert refusal(engine.pull, "nginx") == (
        500,
        'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: '
        "no such host",
    )


def test_a_pull_of_what_a_registry_does_not_have_is_denied():
    engine = images()
    engine.registry = {"nginx:latest": Image.named("nginx")}
    assert refusal(engine.pull, "nope") == (
        404,
        "pull access denied for nope, repository does not exist or may require "
        "'docker login': denied: requested access to the resource is denied",
    )
    assert refusal(engine.pull, "nginx:9") == (
        404,
        "manifest for nginx:9 not found: manifest unknown: manifest unknown",
    )


def test_a_pull_brings_an_image_and_says_whether_it_is_news():
    engine = images()
    engine.registry = {"nginx:latest": Image.named("nginx")}
    first, second = engine.pull("nginx"), engine.pull("nginx")
    assert first[0] == {"status": "Pulling from library/nginx", "id": "latest"}
    assert first[2] == {"status": "Status: Downloaded newer image for nginx:latest"}
    assert second[2] == {"status": "Status: Image is up to date for nginx:latest"}
    assert engine.image("nginx").tags == ["nginx:latest"]
    assert [each["Actor"]["ID"] for each in engine.events] == ["nginx:latest"] * 2
    assert told(engine) == [("pull", "nginx")] * 2


def test_what_is_pulled_is_a_copy_of_what_the_registry_has():
    engine, other = images(), images()
    engine.registry = other.registry = {"nginx:latest": Image.named("nginx")}
    engine.pull("nginx")
    other.pull("nginx")
    engine.tag("nginx", "mine")
    assert other.image("nginx").tags == ["nginx:latest"]


def test_a_saved_image_can_be_loaded():
    engine = images()
    manifest = [{"Config": "ab" * 32 + ".json", "RepoTags": ["mine:1", "mine:2"]}]
    said = engine.load(tar(manifest_json=json.dumps(manifest)))
    assert said == [{"stream": f"Loaded image: mine:{tag}\n"} for tag in (1, 2)]
    assert engine.image("mine:2").id == "sha256:" + "ab" * 32


def test_what_is_no_archive_is_not_loaded():
    message = "Error processing tar file(exit status 1): unexpected EOF"
    engine = images()
    assert engine.load(b"zz") == [{"errorDetail": {"message": message}, "error": message}]
    assert engine.images == {}


def test_a_build_says_its_steps_and_changes_the_settings():
    engine = images("busybox")
    file = 'FROM busybox\n# why\nLABEL a=b c="d e"\nENV X=1\nEXPOSE 80\nCMD ["sleep", "9"]\n'
    said = [*engine.build(tar(Dockerfile=file), ["mine"])]
    image = engine.image("mine")
    assert said[:3] == [
        {"stream": "Step 1/5 : FROM busybox"},
        {"stream": "\n"},
        {"stream": f" ---> {BUSYBOX[7:19]}\n"},
    ]
    assert said[-3:] == [
        {"aux": {"ID": image.id}},
        {"stream": f"Successfully built {image.short}\n"},
        {"stream": "Successfully tagged mine:latest\n"},
    ]
    assert image.parent == BUSYBOX
    assert image.config == {
        "Cmd": ["sleep", "9"],
        "Labels": {"a": "b", "c": "d e"},
        "Env": ["X=1"],
        "ExposedPorts": {"80/tcp": {}},
    }


def test_a_build_from_what_is_not_there_ends_with_the_error():
    engine = images()
    *_, last = engine.build(tar(Dockerfile="FROM nope"))
    assert last["error"].startswith("pull access denied for nope, ")
    assert last["errorDetail"] == {"message": last["error"]}
    assert engine.images == {}


def test_a_build_without_a_dockerfile_is_refused():
    engine = images()
    why = (500, "Cannot locate specified Dockerfile: Dockerfile")
    assert refusal(lambda: [*engine.build(tar(x="1"))]) == why
    assert refusal(lambda: [*engine.build(b"zz")]) == why


def test_of_two_names_one_is_taken_off_and_the_image_stays():
    engine = images("busybox")
    engine.tag("busybox", "mine", "1")
    assert engine.remove_image("mine:1") == [{"Untagged": "mine:1"}]
    assert engine.remove_image("busybox") == [
        {"Untagged": "busybox:latest"},
        {"Deleted": BUSYBOX},
    ]
    names = [
        ("tag", "mine:1"),
        ("untag", BUSYBOX),
        ("untag", BUSYBOX),
        ("delete", BUSYBOX),
    ]
    assert told(engine) == names


def test_an_image_with_two_names_is_not_removed_by_its_id():
    engine = images("busybox")
    engine.tag("busybox", "mine", "1")
    short = BUSYBOX[7:19]
    assert refusal(engine.remove_image, short) == (
        409,
        f"conflict: unable to delete {short} (must be forced) - "
        "image is referenced in multiple repositories",
    )
    assert engine.remove_image(short, force=True) == [
        {"Untagged": "busybox:latest"},
        {"Untagged": "mine:1"},
        {"Deleted": BUSYBOX},
    ]
