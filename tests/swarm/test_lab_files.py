"""The files of a container, archives of them, and what has changed."""

import io
import tarfile

import pytest

from walkthroughs.swarm.lab_files import BROKEN, Files, NoFile, clean


def tar(*members):
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mtime = 7
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o700
            elif content.startswith("->"):
                info.type, info.linkname = tarfile.SYMTYPE, content[2:]
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO((content or "").encode()))
    return memory.getvalue()


def members(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [(each.name, each.type.decode(), each.size, each.linkname) for each in archive]


def files(**texts):
    return Files(lambda: 100.5, {f"/etc/{name}": text for name, text in texts.items()})


@pytest.mark.parametrize(
    ("path", "meant"),
    [("/a", "/a"), ("a", "/a"), ("//a/./b/", "/a/b"), ("/a/../..", "/"), ("", "/"), ("/", "/")],
)
def test_a_path_is_one_whatever_way_it_is_written(path, meant):
    assert clean(path) == meant


def test_what_is_written_is_read():
    tree = files()
    tree.write("/etc/a", b"one")
    tree.append("etc/a", b"two")
    assert tree.read("/etc/../etc/a") == b"onetwo"


def test_what_is_not_there_is_not_read():
    with pytest.raises(NoFile, match=r"^No such file or directory$"):
        files().read("/no")


def test_a_file_needs_a_directory():
    for path in ("/no/a", "/etc/a/b"):
        with pytest.raises(NoFile, match=r"^nonexistent directory$"):
            files(a="x").write(path, b"")


def test_a_stat_says_it_in_go_s_bits():
    tree = files(a="one")
    tree.unpack("/", tar(("link", "->a")))
    assert [tree.stat(path) for path in ("/etc/a", "/etc/", "/link", "/")] == [
        {
            "name": "a",
            "size": 3,
            "mode": 0o644,
            "mtime": "1970-01-01T00:01:40.5Z",
            "linkTarget": "",
        },
        {
            "name": "etc",
            "size": 0,
            "mode": 1 << 31 | 0o755,
            "mtime": "1970-01-01T00:01:40.5Z",
            "linkTarget": "",
        },
        {
            "name": "link",
            "size": 1,
            "mode": 1 << 27 | 0o777,
            "mtime": "1970-01-01T00:00:07Z",
            "linkTarget": "a",
        },
        {
            "name": "/",
            "size": 0,
            "mode": 1 << 31 | 0o755,
            "mtime": "1970-01-01T00:01:40.5Z",
            "linkTarget": "",
        },
    ]


def test_the_beginning_of_unix_time_is_a_time():
    tree = Files()
    assert tree.stat("/etc")["mtime"] == "1970-01-01T00:00:00Z"


def test_an_archive_is_named_by_the_last_part_of_the_path():
    tree = files(a="one")
    tree.unpack("/etc", tar(("d/b", "more"), ("d/link", "->b")))
    inside = [
        ("/a", "0", 3, ""),
        ("/d", "5", 0, ""),
        ("/d/b", "0", 4, ""),
        ("/d/link", "2", 0, "b"),
    ]

    def named(name):
        return [(name, "5", 0, ""), *((name + path, *rest) for path, *rest in inside)]

    assert members(tree.pack("/etc")) == named("etc")
    assert members(tree.pack("/etc/")) == named("etc")
    assert members(tree.pack("/etc/.")) == named(".")
    assert members(tree.pack("etc/a")) == [("a", "0", 3, "")]


def test_an_export_has_everything_but_the_root_itself():
    names = [name for name, *_ in members(files(a="one").export())]
    assert names == ["bin", "dev", "etc", "etc/a", "proc", "sys"]


def test_nothing_is_packed_of_what_is_not_there():
    with pytest.raises(NoFile):
        files().pack("/no")


def test_what_was_packed_is_unpacked_elsewhere():
    one, other = files(a="one"), files()
    other.unpack("/dev", one.pack("/etc"))
    assert other.read("/dev/etc/a") == b"one"
    assert members(other.pack("/dev/etc")) == members(one.pack("/etc"))


def test_directories_on_the_way_are_made():
    tree = files()
    tree.unpack("/", tar(("x/y/z", "deep")))
    assert tree.read("/x/y/z") == b"deep"
    assert tree.is_directory("/x/y")


def test_an_archive_cannot_write_above_the_root():
    tree = files()
    tree.unpack("/etc", tar(("../../../a", "out")))
    assert tree.read("/a") == b"out"


def test_what_is_no_archive_is_refused():
    with pytest.raises(ValueError, match="unexpected EOF") as error:
        files().unpack("/", b"xxx")
    assert str(error.value) == BROKEN


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (("etc", "file"), 'cannot overwrite directory "/etc" with non-directory "/"'),
        (("etc/a", None), 'cannot overwrite non-directory "/etc/a" with directory "/"'),
    ],
)
def test_a_directory_stays_one_if_that_is_asked_for(member, why):
    with pytest.raises(ValueError, match="cannot overwrite") as error:
        files(a="one").unpack("/", tar(member), keep_kind=True)
    assert str(error.value) == f"Error processing tar file(exit status 1): {why}"


def test_changes_are_what_is_new_gone_or_other():
    tree = files(a="one", b="two")
    assert tree.changes() == []
    tree.write("/etc/a", b"other")
    tree.write("/bin/tool", b"#!")
    del tree.tree["/etc/b"]
    assert tree.changes() == [
        {"Path": "/bin/tool", "Kind": 1},
        {"Path": "/etc/a", "Kind": 0},
        {"Path": "/etc/b", "Kind": 2},
    ]


def test_a_directory_changes_when_something_is_put_into_it_later():
    now = [1.0]
    tree = Files(lambda: now[0], {})
    now[0] = 2.0
    tree.write("/etc/a", b"")
    assert tree.changes() == [{"Path": "/etc", "Kind": 0}, {"Path": "/etc/a", "Kind": 1}]
