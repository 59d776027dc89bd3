"""A list in a file: pkg/discovery/file of Swarm v1.2.9."""

import os
from collections.abc import AsyncGenerator

from walkthroughs.swarm.discovery import (
    DiscoveryError,
    Entries,
    ErrNotImplemented,
    Options,
    Report,
    create_entries,
    generate,
    poll,
)
from walkthroughs.swarm.world import BODY_LIMIT, World


def parse_file_content(content: str) -> list[str]:
    """Return the addresses in a file: one or a range a line, `#` begins a comment."""
    lines = (line.partition("#")[0].strip() for line in content.split("\n"))
    return [address for line in lines for address in generate(line)]


def read_file(path: str) -> str:
    """Return the text in a file; raise `DiscoveryError`, in Go's words."""
    try:
        with open(path, "rb") as file:
            content = file.read(BODY_LIMIT + 1)
        if len(content) <= BODY_LIMIT:
            return content.decode()
        why = f"more than {BODY_LIMIT:,} bytes"
    except UnicodeDecodeError as error:
        why = f"byte {error.start} is not UTF-8 text"
    except OSError as error:
        # Go opens a directory like a file, and fails when it reads.
        action = "read" if isinstance(error, IsADirectoryError) else "open"
        why = f"{action} {path}: {os.strerror(error.errno or 0).lower()}"
    except ValueError:
        why = f"open {path}: invalid argument"
    raise DiscoveryError(f"failed to read '{path}': {why}")


class File:
    """`file:///etc/cluster`: read again at every heartbeat."""

    def __init__(
        self, path: str, heartbeat: float, ttl: float, options: Options, world: World
    ) -> None:
        self.path = path
        self.heartbeat = heartbeat
        self.world = world

    async def fetch(self) -> Entries:
        """Return what the file lists now; raise `DiscoveryError`."""
        return create_entries(parse_file_content(read_file(self.path)))

    def watch(self) -> AsyncGenerator[Report, None]:
        """Yield the list, and again when it differs from the last that was read."""
        return poll(self.fetch, self.heartbeat, self.world)

    async def register(self, address: str) -> None:
        raise ErrNotImplemented
