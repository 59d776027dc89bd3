"""Commands that are executed in a container, without HTTP."""

import pytest

from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.lab_machine import DaemonError

IO = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True}


@pytest.fixture
def engine():
    engine = LabEngine(Lab(), "node-1", "node-1:2375")
    engine.create("web", Image="busybox", Cmd=["sleep", "9"], Env=["A=1"])
    engine.start("web")
    del engine.events[:]
    return engine


def make(engine, *command, **more):
    return engine.execs.create(engine.new_id(), engine.container("web"), {"Cmd": [*command]} | more)


def refused(action, *arguments):
    with pytest.raises(DaemonError) as error:
        action(*arguments)
    return error.value.status, error.value.message


def told(engine):
    return [each["Action"] for each in engine.events]


def test_a_command_is_made_then_started_then_over(engine):
    command = make(engine, "sh", "-c", "exit 4", **IO, DetachKeys="ctrl-a")
    shown = {
        "ID": command.id,
        "Running": False,
        "ExitCode": None,
        "ProcessConfig": {
            "tty": False,
            "entrypoint": "sh",
            "arguments": ["-c", "exit 4"],
            "privileged": False,
        },
        "OpenStdin": True,
        "OpenStderr": True,
        "OpenStdout": True,
        "CanRemove": False,
        "ContainerID": engine.container("web").id,
        "DetachKeys": "ctrl-a",
        "Pid": 0,
    }
    assert command.inspect() == shown
    engine.execs.start(command)
    assert command.inspect() == shown | {"ExitCode": 4, "Pid": command.pid}
    assert command.pid


def test_what_runs_is_in_the_container_s_list(engine):
    command = make(engine, "sleep", "9")
    web = engine.container("web")
    assert engine.inspect("web")["ExecIDs"] == [command.id]
    assert engine.execs.running(web) == []
    engine.execs.start(command)
    assert engine.execs.running(web) == [command]
    assert command.inspect()["Running"]
    engine.execs.end(command, 0)
    assert engine.inspect("web")["ExecIDs"] is None


def test_events_have_the_command_in_their_names(engine):
    engine.execs.start(make(engine, "cat"))
    engine.execs.start(make(engine, "echo", "a", "b"))
    assert told(engine) == [
        *("exec_create: cat ", "exec_start: cat ", "exec_die"),
        *("exec_create: echo a b", "exec_start: echo a b", "exec_die"),
    ]
    attributes = engine.events[2]["Actor"]["Attributes"]
    assert attributes["exitCode"] == "0"
    assert len(attributes["execID"]) == 64


def test_a_command_starts_once(engine):
    command = make(engine, "sleep", "9")
    engine.execs.start(command)
    why = f"Error: Exec command {command.id}"
    assert refused(engine.execs.start, command) == (409, f"{why} is already running")
    engine.execs.end(command, 0)
    assert refused(engine.execs.start, command) == (409, f"{why} has already run")


def test_nobody_executes_nothing_or_in_what_does_not_run(engine):
    assert refused(make, engine) == (400, "No exec command specified")
    engine.pause("web")
    why = "is paused, unpause the container before exec"
    assert refused(make, engine, "true") == (409, f"Container web {why}")
    engine.stop("web")
    id = engine.container("web").id
    assert refused(make, engine, "true") == (409, f"Container {id} is not running")


def test_a_command_cannot_start_when_its_container_has_changed_state(engine):
    command = make(engine, "sleep", "9")
    engine.execs.start(command)
    id = engine.container("web").id
    engine.pause("web")
    why = "is paused, unpause the container before exec"
    assert refused(engine.execs.startable, command.id) == (409, f"Container {id} {why}")
    engine.stop("web")
    why = f"Container {id} is not running: Exited (137) Less than a second ago"
    assert refused(engine.execs.startable, command.id) == (500, why)


def test_a_command_ends_with_its_container_and_before_it(engine):
    running, waiting = make(engine, "sleep", "9"), make(engine, "true")
    engine.execs.start(running)
    del engine.events[:]
    engine.stop("web")
    assert told(engine) == ["kill", "kill", "exec_die", "die", "disconnect", "stop"]
    assert running.inspect()["ExitCode"] == 137
    gone = (404, f"No such exec instance: {waiting.id}")
    assert refused(engine.execs.get, waiting.id) == gone


def test_a_command_has_the_container_s_environment_and_its_own(engine):
    command = make(engine, "env", Env=["B=2"])
    with command.streams.raw.listen() as said:
        engine.execs.start(command)
        host = engine.container("web").id[:12]
        assert said.get_nowait().data == f"A=1\nHOSTNAME={host}\nB=2\nHOME=/\n".encode()


def test_a_command_sees_the_container_s_files(engine):
    engine.execs.start(make(engine, "sh", "-c", "echo hi > /etc/x"))
    assert engine.container("web").files.read("/etc/x") == b"hi\n"


def test_a_terminal_that_is_not_there_yet_has_no_size(engine):
    command = make(engine, "sleep", "9")
    refusal = refused(engine.execs.resize, command.id)
    assert refusal == (500, "timeout waiting for exec session ready")
    engine.execs.start(command)
    engine.execs.resize(command.id)


def test_a_paused_container_s_commands_pause(engine):
    command = make(engine, "cat", **IO)
    engine.execs.start(command)
    engine.pause("web")
    with command.streams.raw.listen() as said:
        command.streams.stdin.feed(b"hi")
        assert said.empty()
        engine.unpause("web")
        assert said.get_nowait().data == b"hi"
