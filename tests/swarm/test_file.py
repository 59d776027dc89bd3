"""A list in a file, and all that can happen to a file; the messages are those of the original."""

import asyncio

import pytest

from walkthroughs.swarm.discovery import DiscoveryError, ErrNotImplemented
from walkthroughs.swarm.file import File, parse_file_content, read_file
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.world import BODY_LIMIT


@pytest.mark.parametrize(
    ("content", "addresses"),
    [
        ("a:1\nb:2\n", ["a:1", "b:2"]),
        ("a:1", ["a:1"]),
        (" a:1 \r\n\tb:2\r\n", ["a:1", "b:2"]),
        ("# rack 1\na:1 # the first\nb:2#the second\n  # none\n", ["a:1", "b:2"]),
        ("a:[1:3]\n# [4:5]:1\n", ["a:1", "a:2", "a:3"]),
        ("b:1\na:1\nb:1\n", ["b:1", "a:1", "b:1"]),
        ("[::1]:2375\n", ["[::1]:2375"]),
    ],
)
def test_a_line_is_an_address_or_a_range_and_a_comment_is_nothing(content, addresses):
    assert [each for each in parse_file_content(content) if each] == addresses


def test_a_carriage_return_alone_ends_no_line(tmp_path):
    (tmp_path / "old-mac").write_bytes(b"a:1\rb:2\r")
    with pytest.raises(DiscoveryError) as caught:
        asyncio.run(file(tmp_path / "old-mac").fetch())
    assert str(caught.value) == "address a:1\rb:2: too many colons in address"


def file(path, lab=None):
    return File(str(path), 60, 180, {}, (lab or Lab()).world("manager"))


def fetched(path):
    """Return what one look at a file finds: addresses, or trouble as text."""
    try:
        return [*map(str, asyncio.run(file(path).fetch()))]
    except DiscoveryError as error:
        return str(error)


@pytest.mark.parametrize("content", ["", "\n", " \n\t\n# nobody yet\n"])
def test_a_file_without_an_address_is_an_empty_cluster(content, tmp_path):
    (tmp_path / "cluster").write_text(content)
    assert fetched(tmp_path / "cluster") == []


def test_a_bad_line_spoils_the_file(tmp_path):
    (tmp_path / "cluster").write_text("a:1\nbad\nb:2\n")
    assert fetched(tmp_path / "cluster") == "address bad: missing port in address"


@pytest.mark.parametrize("line", ["a:0", "a:70000", "a:word", ":1"])
def test_a_file_does_not_check_the_port(line, tmp_path):
    (tmp_path / "cluster").write_text(line)
    assert fetched(tmp_path / "cluster") == [line]


def remove(path):
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def missing(path):
    pass


def directory(path):
    path.mkdir()


def noise(path):
    path.write_bytes(b"a:1\n\xff\xfe\x00\x01")


def endless(path):
    path.symlink_to("/dev/zero")


def circle(path):
    path.symlink_to(path.name)


def bad_line(path):
    path.write_text("a:1\nbad\n")


def long_range(path):
    path.write_text("a:[1:99999999]\n")


TROUBLE = [
    (missing, "failed to read '{0}': open {0}: no such file or directory"),
    (directory, "failed to read '{0}': read {0}: is a directory"),
    (circle, "failed to read '{0}': open {0}: too many levels of symbolic links"),
    (noise, "failed to read '{0}': byte 4 is not UTF-8 text"),
    (endless, "failed to read '{0}': more than 8,388,608 bytes"),
    (bad_line, "address bad: missing port in address"),
    (long_range, "a:[1:99999999]: more than 65,536 addresses"),
]
"""What may become of a file, and what a watch says of it."""


@pytest.mark.parametrize(("become", "message"), TROUBLE)
def test_whatever_becomes_of_the_file_is_said_and_removes_nobody(become, message, tmp_path, follow):
    path = tmp_path / "cluster"
    path.write_text("a:1\nb:2\n")
    message = message.format(path)

    async def run():
        async with Lab() as lab:
            told = follow(lab, file(path, lab))
            await lab.run(30)
            path.unlink()
            become(path)
            await lab.run(120)
            remove(path)
            path.write_text("b:2\n")
            await lab.run(60)
            return told

    before, after = (0, ["a:1", "b:2"]), (180, ["b:2"])
    assert asyncio.run(run()) == [before, (60, message), (120, message), after]


def test_a_file_is_read_at_once_and_at_every_heartbeat_and_reported_when_it_changed(
    tmp_path, follow
):
    path = tmp_path / "cluster"

    async def run():
        async with Lab() as lab:
            path.write_text("a:1\n")
            told = follow(lab, file(path, lab))
            for line in ("a:1", "b:2", "b:2", "c:3"):
                await lab.run(59)
                path.write_text(f"{line}\n")
                await lab.run(1)
            return told

    assert asyncio.run(run()) == [(0, ["a:1"]), (120, ["b:2"]), (240, ["c:3"])]


def test_a_file_that_comes_back_unchanged_is_no_news(tmp_path, follow):
    path = tmp_path / "cluster"
    path.write_text("a:1\n")

    async def run():
        async with Lab() as lab:
            told = follow(lab, file(path, lab))
            await lab.run(30)
            path.unlink()
            await lab.run(60)
            path.write_text("a:1 # again\n")
            await lab.run(120)
            return told

    gone = f"failed to read '{path}': open {path}: no such file or directory"
    assert asyncio.run(run()) == [(0, ["a:1"]), (60, gone)]


def test_a_file_that_appears_later_is_found(tmp_path, follow):
    path = tmp_path / "cluster"

    async def run():
        async with Lab() as lab:
            told = follow(lab, file(path, lab))
            await lab.run(30)
            path.write_text("10.0.0.[8:10]:2375 # rack 1\n")
            await lab.run(30)
            return told

    gone = f"failed to read '{path}': open {path}: no such file or directory"
    rack = ["10.0.0.8:2375", "10.0.0.9:2375", "10.0.0.10:2375"]
    assert asyncio.run(run()) == [(0, gone), (60, rack)]


def test_an_emptied_file_does_remove_everybody(tmp_path, follow):
    path = tmp_path / "cluster"
    path.write_text("a:1\n")

    async def run():
        async with Lab() as lab:
            told = follow(lab, file(path, lab))
            await lab.run(30)
            path.write_text("")
            await lab.run(30)
            return told

    assert asyncio.run(run()) == [(0, ["a:1"]), (60, [])]


def test_two_watchers_of_one_file_are_told_the_same(tmp_path, follow):
    path = tmp_path / "cluster"
    path.write_text("a:1\n")

    async def run():
        async with Lab() as lab:
            backend = file(path, lab)
            told = [follow(lab, backend, name) for name in ("one", "two")]
            await lab.run(30)
            path.write_text("b:2\n")
            await lab.run(30)
            return told

    assert asyncio.run(run()) == [[(0, ["a:1"]), (60, ["b:2"])]] * 2


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "open : no such file or directory"),
        ("/dev/null/x", "open /dev/null/x: not a directory"),
        ("a\0b", "open a\0b: invalid argument"),
    ],
)
def test_a_path_that_leads_nowhere_is_said_in_go_words(path, why):
    with pytest.raises(DiscoveryError) as caught:
        read_file(path)
    assert str(caught.value) == f"failed to read '{path}': {why}"


def test_a_file_may_be_as_long_as_an_answer(tmp_path):
    path = tmp_path / "cluster"
    path.write_text("#" * BODY_LIMIT)
    assert fetched(path) == []


def test_nobody_can_join_a_list_in_a_file(tmp_path):
    with pytest.raises(ErrNotImplemented) as caught:
        asyncio.run(file(tmp_path).register("a:1"))
    assert str(caught.value) == "not implemented in this discovery service"
