"""The files of a container: paths in a dictionary, and archives of them.

| of dockerd                          | here                                        |
|-------------------------------------|---------------------------------------------|
| a layer of its own over an image's  | `Files`, and `Files.base`                   |
| `types.ContainerPathStat`           | `Files.stat`                                |
| `archive.TarResourceRebase`         | `Files.pack`                                |
| `archive.Untar`                     | `Files.unpack`                              |
| `archive.Change`                    | `Files.changes`                             |
"""

import io
import stat
import tarfile
from collections.abc import Callable, Iterable
from posixpath import basename, dirname, normpath
from typing import NamedTuple

from walkthroughs.swarm.lab_machine import Json, rfc3339

GO_DIR, GO_LINK = 1 << 31, 1 << 27
"""How Go's `FileMode` says what Unix says with `S_IFDIR` and `S_IFLNK`."""

UNIX_ZERO = "1970-01-01T00:00:00Z"

MODIFIED, ADDED, DELETED = range(3)
BROKEN = "Error processing tar file(exit status 1): unexpected EOF"


class File(NamedTuple):
    """A file, a directory, or a link, whose data is where it leads."""

    mode: int
    time: float
    data: bytes = b""


class NoFile(Exception):
    """A path that leads nowhere, or not to what it should; the text is Unix's."""

    def __init__(self, name: str, why: str = "No such file or directory") -> None:
        super().__init__(why)
        self.name = name


def clean(path: str) -> str:
    """Return an absolute path without `.`, `..` and doubled slashes."""
    return "/" + normpath("/" + path).lstrip("/")


class Files:
    """A file system; `now` is its machine's clock, in Unix time."""

    def __init__(
        self, now: Callable[[], float] = float, texts: dict[str, str] | None = None
    ) -> None:
        self.now = now
        self.tree: dict[str, File] = {"/": File(stat.S_IFDIR | 0o755, now())}
        for path in ("/bin", "/dev", "/etc", "/proc", "/sys"):
            self.tree[path] = File(stat.S_IFDIR | 0o755, now())
        for path, text in (texts or {}).items():
            self.write(path, text.encode())
        self.base = dict(self.tree)
        """What was there in the beginning."""

    def at(self, path: str) -> File:
        """Return what is at a path; raise `NoFile`."""
        if found := self.tree.get(clean(path)):
            return found
        raise NoFile(path)

    def is_directory(self, path: str) -> bool:
        found = self.tree.get(clean(path))
        return bool(found) and stat.S_ISDIR(found.mode)

    def read(self, path: str) -> bytes:
        return self.at(path).data

    def write(self, path: str, data: bytes) -> None:
        """Make a file, or make it anew; raise `NoFile` without a directory for it."""
        self.put(clean(path), File(stat.S_IFREG | 0o644, self.now(), data))

    def append(self, path: str, data: bytes) -> None:
        self.write(path, self.read(path) + data)

    def put(self, path: str, file: File) -> None:
        folder = dirname(path)
        if not self.is_directory(folder):
            raise NoFile(path, "nonexistent directory")
        if path not in self.tree:
            self.tree[folder] = self.tree[folder]._replace(time=self.now())
        self.tree[path] = file

    def below(self, path: str) -> list[str]:
        """Return a path, and those of all that is in it."""
        inside = path.rstrip("/") + "/"
        return [
            path,
            *sorted(p for p in self.tree if p.startswith(inside) and p != path),
        ]

    def stat(self, path: str) -> Json:
        """Return what Go's `os.Lstat` says of a path."""
        file = self.at(path)
        kinds = {stat.S_IFDIR: GO_DIR, stat.S_IFLNK: GO_LINK}
        is_link = stat.S_ISLNK(file.mode)
        return {
            "name": basename(path.rstrip("/")) or "/",
            "size": len(file.data),
            "mode": kinds.get(stat.S_IFMT(file.mode), 0) | stat.S_IMODE(file.mode),
            "mtime": rfc3339(file.time) if file.time else UNIX_ZERO,
            "linkTarget": file.data.decode() if is_link else "",
        }

    def pack(self, path: str) -> bytes:
        """Return an archive of what is at a path, named by the last part of it."""
        self.at(path)
        root, name = clean(path), basename(path.rstrip("/"))
        names = (
            (each, name + each[len(root.rstrip("/")) :]) for each in self.below(root)
        )
        return self.archive(names)

    def export(self) -> bytes:
        """Return an archive of everything."""
        return self.archive((path, path[1:]) for path in self.below("/")[1:])

    def archive(self, names: Iterable[tuple[str, str]]) -> bytes:
        memory = io.BytesIO()
        with tarfile.open(fileobj=memory, mode="w") as tar:
            for path, name in names:
                file = self.tree[path]
                info = tarfile.TarInfo(name or "/")
                info.mode, info.mtime = stat.S_IMODE(file.mode), int(file.time)
                if stat.S_ISDIR(file.mode):
                    info.type = tarfile.DIRTYPE
                elif stat.S_ISLNK(file.mode):
                    info.type, info.linkname = tarfile.SYMTYPE, file.data.decode()
                else:
                    info.size = len(file.data)
                tar.addfile(info, io.BytesIO(file.data))
        return memory.getvalue()

    def unpack(self, path: str, data: bytes, keep_kind: bool = False) -> None:
        """Put what is in an archive into a directory; raise ValueError with a reason.

        With `keep_kind`, no directory becomes something else, and nothing becomes one.
        """
        try:
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as tar:
                for info in tar:
                    self.extract(tar, info, clean(f"{path}/{info.name}"), keep_kind)
        except tarfile.TarError:
            raise ValueError(BROKEN) from None

    def extract(
        self, tar: tarfile.TarFile, info: tarfile.TarInfo, path: str, keep_kind: bool
    ) -> None:
        here = self.tree.get(path)
        if here and keep_kind and stat.S_ISDIR(here.mode) != info.isdir():
            ours, theirs = ("non-directory", "directory")[
                :: -1 if not info.isdir() else 1
            ]
            why = f'cannot overwrite {ours} "{path}" with {theirs} "/"'
            raise ValueError(f"Error processing tar file(exit status 1): {why}")
        for folder in reversed(parents(path)):
            if folder not in self.tree:
                self.put(folder, File(stat.S_IFDIR | 0o755, self.now()))
        if info.isdir():
            if not here:
                self.put(path, File(stat.S_IFDIR | info.mode, info.mtime))
        elif info.issym():
            self.put(
                path, File(stat.S_IFLNK | 0o777, info.mtime, info.linkname.encode())
            )
        elif content := tar.extractfile(info):
            file = File(stat.S_IFREG | info.mode, info.mtime, content.read())
            self.put(path, file)

    def changes(self) -> list[Json]:
        """Return the paths that are new, gone, or not what they were."""
        paths = sorted({*self.tree, *self.base} - {"/"})
        return [
            {"Path": path, "Kind": self.kind_of_change(path)}
            for path in paths
            if self.tree.get(path) != self.base.get(path)
        ]

    def kind_of_change(self, path: str) -> int:
        if path not in self.base:
            return ADDED
        return MODIFIED if path in self.tree else DELETED


def parents(path: str) -> list[str]:
    """Return the directories above a path, the nearest first."""
    found: list[str] = []
    while path != "/":
        path = dirname(path)
        found.append(path)
    return found
