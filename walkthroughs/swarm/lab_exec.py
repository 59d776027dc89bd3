"""Commands that are executed in a container that runs: made first, then started.

| of dockerd                     | here                                             |
|--------------------------------|--------------------------------------------------|
| `exec.Config`, `exec.Store`    | `Exec`, and `Execs`                              |
| `daemon.ContainerExecCreate`   | `Execs.create`                                   |
| `daemon.ContainerExecStart`    | `Execs.start`                                    |
| `daemon.ContainerExecInspect`  | `Execs.inspect`                                  |
| `Cleanup`                      | `Execs.end_of`                                   |
"""

from collections.abc import Callable
from dataclasses import dataclass

from walkthroughs.swarm.lab_container import Container, words
from walkthroughs.swarm.lab_machine import DaemonError, Json, as_list
from walkthroughs.swarm.lab_programs import BY_SIGNAL, SIGKILL, Process
from walkthroughs.swarm.lab_streams import Streams

NOT_READY = "timeout waiting for exec session ready"


@dataclass
class Exec:
    """A command in a container; `code` is None until it has ended."""

    id: str
    container: Container
    words: list[str]
    body: Json
    """What it was made of: `AttachStdin`, `Tty`, and so on."""
    streams: Streams
    process: Process | None = None
    pid: int = 0
    code: int | None = None

    @property
    def running(self) -> bool:
        return self.process is not None and self.code is None

    def has(self, key: str) -> bool:
        return bool(self.body.get(key))

    def inspect(self) -> Json:
        """Return what `GET /exec/ID/json` answers."""
        return {
            "ID": self.id,
            "Running": self.running,
            "ExitCode": self.code,
            "ProcessConfig": {
                "tty": self.has("Tty"),
                "entrypoint": self.words[0],
                "arguments": self.words[1:],
                "privileged": self.has("Privileged"),
            },
            "OpenStdin": self.has("AttachStdin"),
            "OpenStderr": self.has("AttachStderr"),
            "OpenStdout": self.has("AttachStdout"),
            "CanRemove": False,
            "ContainerID": self.container.id,
            "DetachKeys": self.body.get("DetachKeys") or "",
            "Pid": self.pid,
        }


class Execs:
    """The commands of one engine.

    `report(container, action, **attributes)` tells of an event.
    """

    def __init__(self, report: Callable[..., None], new_pid: Callable[[], int]) -> None:
        self.report, self.new_pid = report, new_pid
        self.known: dict[str, Exec] = {}

    def create(self, id: str, container: Container, body: Json) -> Exec:
        """Make a command, which `start` starts."""
        if not (command := words(body.get("Cmd"))):
            raise DaemonError(400, "No exec command specified")
        may_execute(container, container.name)
        streams = Streams(container.streams.now, bool(body.get("Tty")))
        made = self.known[id] = Exec(id, container, command, body, streams)
        container.exec_ids.append(id)
        self.tell(made, "exec_create: " + shown(command))
        return made

    def tell(self, command: Exec, action: str, **more: str) -> None:
        self.report(command.container, action, execID=command.id, **more)

    def get(self, id: str) -> Exec:
        if not (found := self.known.get(id)):
            raise DaemonError(404, f"No such exec instance: {id}")
        return found

    def startable(self, id: str) -> Exec:
        """Return a command whose container could run it; raise `DaemonError`."""
        found = self.get(id)
        container = found.container
        if not container.running:
            state = container.status(container.streams.now())
            why = f"Container {container.id} is not running: {state}"
            raise DaemonError(500, why)
        may_execute(container, container.id)
        return found

    def start(self, command: Exec) -> None:
        """Start a command; raise `DaemonError` the second time."""
        if command.code is not None or command.process:
            state = "is already running" if command.running else "has already run"
            raise DaemonError(409, f"Error: Exec command {command.id} {state}")
        container, body = command.container, command.body
        self.tell(command, "exec_start: " + shown(command.words))
        command.pid = self.new_pid()
        command.process = Process(
            command.words,
            container.files,
            command.streams.hear,
            lambda code: self.end(command, code),
            command.streams.stdin if body.get("AttachStdin") else None,
            env=container.env(as_list(body.get("Env"))),
            tty=bool(body.get("Tty")),
            is_first=False,
        )
        command.process.begin()

    def end(self, command: Exec, code: int) -> None:
        if command.process:
            command.process.stop()
        command.code = code
        command.streams.close()
        command.container.exec_ids.remove(command.id)
        self.tell(command, "exec_die", exitCode=f"{code}")

    def end_of(self, container: Container) -> None:
        """End what still runs in a container; forget what was never started."""
        for id in list(container.exec_ids):
            if self.known[id].running:
                self.end(self.known[id], BY_SIGNAL + SIGKILL)
            else:
                del self.known[id]
        container.exec_ids.clear()

    def running(self, container: Container) -> list[Exec]:
        here = (self.known[id] for id in container.exec_ids)
        return [each for each in here if each.running]

    def resize(self, id: str) -> None:
        """Take note of a terminal's size, which nobody here looks at."""
        if not self.get(id).process:
            raise DaemonError(500, NOT_READY)


def may_execute(container: Container, name: str) -> None:
    """Raise `DaemonError` for a container in which nothing can be executed."""
    if not container.running:
        raise DaemonError(409, f"Container {container.id} is not running")
    if container.paused:
        why = "is paused, unpause the container before exec"
        raise DaemonError(409, f"Container {name} {why}")


def shown(command: list[str]) -> str:
    """Return a command as an event has it: the blank is there without arguments too."""
    return f"{command[0]} {' '.join(command[1:])}"
