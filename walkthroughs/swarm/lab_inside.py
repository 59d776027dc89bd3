"""What goes on in a container: said, typed, executed, copied, counted.

| of dockerd                          | here                                        |
|-------------------------------------|---------------------------------------------|
| `daemon.ContainerLogs`              | `logs`                                      |
| `daemon.ContainerAttach`            | `attach`                                    |
| `daemon.ContainerExecStart`         | `execute`                                   |
| `daemon.ContainerTop`               | `top`                                       |
| `daemon.ContainerStats`             | `stats`                                     |
| `daemon/archive.go`, `export.go`    | `pack`, `unpack`, `export`                  |
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NoReturn

from walkthroughs.swarm.lab_container import Container
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.lab_exec import Exec
from walkthroughs.swarm.lab_files import NoFile
from walkthroughs.swarm.lab_machine import NEVER, DaemonError, Json, rfc3339
from walkthroughs.swarm.lab_programs import STDERR, STDOUT
from walkthroughs.swarm.lab_streams import Record, converse, frame

NO_STREAM = "Bad parameters: you must choose at least one stream"
NO_READING = "configured logging driver does not support reading"
NO_PATH = "bad parameter: pathcannot be empty"
NO_DIRECTORY = "extraction point is not a directory"
TITLES = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
USUAL_MEMORY = 400 << 10
"""Bytes that a program of the lab is said to use."""
USUAL_LOAD = 0.01
"""Seconds of a processor that it is said to use, each second."""

Said = AsyncIterator[bytes]


def logs(
    engine: LabEngine,
    name: str,
    streams: set[int],
    *,
    follow: bool = False,
    tail: int | None = None,
    since: float = 0.0,
    until: float = 0.0,
    timestamps: bool = False,
) -> Said:
    """Return what a container has said, and says from now on if that is asked for."""
    if not streams:
        raise DaemonError(400, NO_STREAM)
    container = engine.container(name)
    if container.host_config["LogConfig"]["Type"] == "none":
        raise DaemonError(501, NO_READING)
    return container.streams.logs(
        streams,
        follow=follow and container.running,
        tail=tail,
        since=since,
        until=until,
        timestamps=timestamps,
    )


@dataclass
class Wanted:
    """What a client wants to be attached to."""

    streams: set[int]
    stdin: bool = False
    logs: bool = False
    stream: bool = False


def attachable(engine: LabEngine, name: str) -> Container:
    """Return a container that can be attached to; raise `DaemonError`."""
    container = engine.container(name)
    if container.paused:
        why = "is paused, unpause the container before attach"
        raise DaemonError(409, f"container {name} {why}")
    return container


async def attach(
    engine: LabEngine, container: Container, wanted: Wanted, typed: Said
) -> Said:
    """Yield what a container says, while what is typed reaches it."""
    streams = container.streams
    with streams.raw.listen() as queue:
        if wanted.logs:
            async for line in streams.logs(wanted.streams):
                yield line
        engine.report(container, "attach")
        if not wanted.stream:
            return
        has_input = wanted.stdin and container.config["OpenStdin"]
        once = container.config["StdinOnce"] and not streams.tty
        async for piece in converse(
            queue,
            streams.shown,
            wanted.streams,
            typed if has_input else None,
            streams.stdin if has_input else None,
            once,
        ):
            yield piece


async def execute(engine: LabEngine, command: Exec, tty: bool, typed: Said) -> Said:
    """Start a command and yield what it says; `tty` is whether without heads."""

    def shown(record: Record) -> bytes:
        return record.data if tty else frame(record.stream, record.data)

    streams, has_input = command.streams, command.has("AttachStdin")
    wanted = {STDOUT: command.has("AttachStdout"), STDERR: command.has("AttachStderr")}
    with streams.raw.listen() as queue:
        try:
            engine.execs.start(command)
        except DaemonError as error:
            # The answer has begun: what is wrong is said where the command would speak.
            yield shown(Record(0, STDOUT, f"{error.message}\r\n".encode()))
            return
        async for piece in converse(
            queue,
            shown,
            {stream for stream, attached in wanted.items() if attached},
            typed if has_input else None,
            streams.stdin if has_input else None,
            not streams.tty,
        ):
            yield piece


def running(engine: LabEngine, name: str) -> Container:
    """Return a container that runs; raise `DaemonError`."""
    container = engine.container(name)
    if not container.running:
        engine.refuse(container, "is not running")
    return container


def resize(engine: LabEngine, name: str, height: int, width: int) -> None:
    container = running(engine, name)
    engine.report(container, "resize", height=f"{height}", width=f"{width}")


def top(engine: LabEngine, name: str) -> Json:
    """Return the processes in a container, as `ps -ef` lists them."""
    container = running(engine, name)
    engine.report(container, "top")
    here = [(container.pid, container.started, container.command)]
    here += [
        (x.pid, container.started, x.words) for x in engine.execs.running(container)
    ]
    return {
        "Processes": [
            [
                "root",
                f"{pid}",
                "1",
                "0",
                rfc3339(at)[11:16],
                "?",
                "00:00:00",
                " ".join(line),
            ]
            for pid, at, line in here
        ],
        "Titles": TITLES,
    }


def stats(engine: LabEngine, container: Container, seconds: float) -> Json:
    """Return what a container uses, measured twice, `seconds` apart."""
    now = engine.time() if container.running else 0
    who = {"name": f"/{container.name}", "id": container.id}
    before = now - seconds if seconds and now else 0
    processes = 1 + len(engine.execs.running(container))
    memory = {"usage": USUAL_MEMORY * processes, "limit": engine.memory}
    limit = container.host_config["Memory"]
    return {
        "read": rfc3339(now) if now else NEVER,
        "preread": rfc3339(before) if before else NEVER,
        "pids_stats": {"current": processes} if now else {},
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": usage(engine, container, now),
        "precpu_stats": usage(engine, container, before),
        "memory_stats": memory | ({"limit": limit} if limit else {}) if now else {},
        **who,
    }


def usage(engine: LabEngine, container: Container, at: float) -> Json:
    """Return how much of the processors has been used until then."""
    used = int((at - container.started) * USUAL_LOAD * 1e9) if at else 0
    total: Json = {"total_usage": max(0, used)}
    each = {"usage_in_kernelmode": 0, "usage_in_usermode": max(0, used)}
    throttled = {"periods": 0, "throttled_periods": 0, "throttled_time": 0}
    known: Json = {"cpu_usage": total | each, "throttling_data": throttled}
    if at:
        known |= {"system_cpu_usage": int(at * 1e9) * engine.cpus}
        known |= {"online_cpus": engine.cpus}
    return known


def stat(engine: LabEngine, name: str, path: str) -> Json:
    """Return what is at a path in a container; raise `DaemonError`."""
    container = at_path(engine, name, path)
    try:
        return container.files.stat(path)
    except NoFile:
        no_file(name, path)


def at_path(engine: LabEngine, name: str, path: str) -> Container:
    if not path:
        raise DaemonError(400, NO_PATH)
    return engine.container(name)


def no_file(name: str, path: str) -> NoReturn:
    raise DaemonError(404, f"Could not find the file {path} in container {name}")


def pack(engine: LabEngine, name: str, path: str) -> bytes:
    """Return an archive of what is at a path; raise `DaemonError`."""
    container = at_path(engine, name, path)
    try:
        data = container.files.pack(path)
    except NoFile:
        no_file(name, path)
    engine.report(container, "archive-path")
    return data


def unpack(
    engine: LabEngine, name: str, path: str, data: bytes, keep_kind: bool = False
) -> None:
    """Put an archive into a directory; raise `DaemonError`."""
    container = at_path(engine, name, path)
    try:
        container.files.at(path)
    except NoFile:
        no_file(name, path)
    if not container.files.is_directory(path):
        raise DaemonError(500, NO_DIRECTORY)
    try:
        container.files.unpack(path, data, keep_kind)
    except ValueError as error:
        raise DaemonError(500, str(error)) from None
    engine.report(container, "extract-to-dir")


def export(engine: LabEngine, name: str) -> bytes:
    """Return an archive of a container's whole file system."""
    container = engine.container(name)
    engine.report(container, "export")
    return container.files.export()
