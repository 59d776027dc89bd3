"""What is said and typed, copied and counted in a container, without HTTP."""

import asyncio

import pytest

from walkthroughs.swarm import lab_inside
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.lab_http import nothing
from walkthroughs.swarm.lab_inside import Wanted, attach, attachable, execute, logs, stats, top
from walkthroughs.swarm.lab_machine import DaemonError
from walkthroughs.swarm.lab_streams import frame

SLEEP = {"Image": "busybox", "Cmd": ["sleep", "9"]}
SAYS = {"Image": "busybox", "Cmd": ["sh", "-c", "echo one; echo no >&2"]}
CAT = {"Image": "busybox", "Cmd": ["cat"], "OpenStdin": True}


@pytest.fixture
def engine():
    return LabEngine(Lab(), "node-1", "node-1:2375")


def refused(action, *arguments, **more):
    with pytest.raises(DaemonError) as error:
        action(*arguments, **more)
    return error.value.status, error.value.message


async def typing(*pieces):
    for piece in pieces:
        yield piece
        await asyncio.sleep(0)


def converse(engine, name, typed, meanwhile=None, **wanted):
    """Return what somebody hears who is attached."""

    async def whole():
        heard = []
        want = Wanted({1, 2}, **wanted)

        async def listen():
            async for piece in attach(engine, engine.container(name), want, typed):
                heard.append(piece)

        task = asyncio.create_task(listen())
        for _ in range(9):
            await asyncio.sleep(0)
        if meanwhile:
            meanwhile()
        await asyncio.wait_for(task, 1)
        return heard

    return asyncio.run(whole())


def test_who_is_attached_before_the_start_hears_all(engine):
    engine.create("job", **SAYS)
    heard = converse(engine, "job", nothing(), lambda: engine.start("job"), stream=True)
    assert heard == [frame(1, b"one\n"), frame(2, b"no\n")]
    assert [each["Action"] for each in engine.events] == [
        *("create", "attach", "connect", "start", "die", "disconnect"),
    ]


def test_a_log_comes_before_what_is_said_from_now_on(engine):
    engine.create("job", **SAYS)
    engine.start("job")
    heard = converse(engine, "job", nothing(), lambda: engine.start("job"), stream=True, logs=True)
    assert heard == [frame(1, b"one\n"), frame(2, b"no\n")] * 2


def test_without_a_stream_only_the_log_is_sent(engine):
    engine.create("job", **SAYS)
    engine.start("job")
    assert converse(engine, "job", nothing(), logs=True) == [frame(1, b"one\n"), frame(2, b"no\n")]
    assert converse(engine, "job", nothing()) == []


def test_who_is_done_with_typing_leaves_and_the_process_stays(engine):
    engine.create("job", **CAT)
    engine.start("job")
    heard = converse(engine, "job", typing(b"a", b"b"), stdin=True, stream=True)
    assert b"".join(heard) == frame(1, b"a") + frame(1, b"b")
    assert engine.container("job").running


def test_with_stdin_once_the_end_of_typing_ends_the_input(engine):
    engine.create("job", **CAT, StdinOnce=True)
    engine.start("job")
    converse(engine, "job", typing(b"a"), stdin=True, stream=True)
    assert engine.container("job").state == "exited"


def test_input_that_is_not_open_or_not_wanted_is_not_read(engine):
    engine.create("job", **CAT, StdinOnce=True)
    engine.create("deaf", Image="busybox", Cmd=["sleep", "9"])
    for name in ("job", "deaf"):
        engine.start(name)
        end = lambda name=name: engine.exit(name)  # noqa: E731
        assert converse(engine, name, typing(b"a"), end, stdin=name == "deaf", stream=True) == []


def test_nobody_is_attached_to_what_is_paused_or_not_there(engine):
    assert refused(attachable, engine, "web") == (404, "No such container: web")
    engine.create("web", **SLEEP)
    engine.start("web")
    engine.pause("web")
    why = "container web is paused, unpause the container before attach"
    assert refused(attachable, engine, "web") == (409, why)


def test_a_log_is_of_a_container_and_of_a_stream(engine):
    engine.create("mute", **SAYS, HostConfig={"LogConfig": {"Type": "none"}})
    why = "configured logging driver does not support reading"
    assert refused(logs, engine, "mute", {1}) == (501, why)
    assert refused(logs, engine, "no", {1}) == (404, "No such container: no")
    why = "Bad parameters: you must choose at least one stream"
    assert refused(logs, engine, "no", set()) == (400, why)


def heard_of(engine, tty, *command, **body):
    made = engine.execs.create("id", engine.container("web"), {"Cmd": [*command]} | body)

    async def whole():
        return [each async for each in execute(engine, made, tty, nothing())]

    return asyncio.run(whole()), asyncio.run(whole())


def test_of_a_command_that_is_attached_to_is_heard_and_the_second_start_says_why_not(engine):
    engine.create("web", **SLEEP)
    engine.start("web")
    again = b"Error: Exec command id has already run\r\n"
    both = {"AttachStdout": True, "AttachStderr": True}
    script = ("sh", "-c", "echo one; echo no >&2")
    expected = [frame(1, b"one\n"), frame(2, b"no\n")], [frame(1, again)]
    assert heard_of(engine, False, *script, **both) == expected
    assert heard_of(engine, False, *script, AttachStderr=True)[0] == [frame(2, b"no\n")]
    assert heard_of(engine, True, "echo", "hi", **both, Tty=True) == ([b"hi\r\n"], [again])


def test_top_lists_the_container_s_process_and_what_is_executed(engine):
    engine.create("web", **SLEEP)
    web = engine.container("web")
    assert refused(top, engine, "web") == (409, f"Container {web.id} is not running")
    engine.start("web")
    command = engine.execs.create("id", web, {"Cmd": ["sleep", "5"]})
    engine.execs.start(command)
    assert top(engine, "web") == {
        "Processes": [
            ["root", f"{web.pid}", "1", "0", "02:40", "?", "00:00:00", "sleep 9"],
            ["root", f"{command.pid}", "1", "0", "02:40", "?", "00:00:00", "sleep 5"],
        ],
        "Titles": ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"],
    }
    assert engine.events[-1]["Action"] == "top"


def test_a_process_uses_a_hundredth_of_a_processor(engine):
    engine.create("web", **SLEEP, HostConfig={"Memory": 1 << 20})
    web = engine.container("web")
    zero = stats(engine, web, 1)
    assert (zero["read"], zero["pids_stats"], zero["memory_stats"]) == (
        "0001-01-01T00:00:00Z",
        {},
        {},
    )
    engine.start("web")
    engine.lab.clock.now = 10.0
    used = stats(engine, web, 1)
    assert (used["preread"], used["read"]) == ("2017-07-14T02:40:09Z", "2017-07-14T02:40:10Z")
    spent = [used[key]["cpu_usage"]["total_usage"] for key in ("precpu_stats", "cpu_stats")]
    whole = [used[key]["system_cpu_usage"] for key in ("precpu_stats", "cpu_stats")]
    # What `docker stats` calculates.
    percent = (spent[1] - spent[0]) / (whole[1] - whole[0]) * engine.cpus * 100
    assert percent == pytest.approx(1)
    assert used["memory_stats"] == {"usage": 400 << 10, "limit": 1 << 20}
    assert (used["name"], used["id"]) == ("/web", web.id)


def test_a_size_is_told_as_an_event(engine):
    engine.create("web", **SLEEP)
    engine.start("web")
    lab_inside.resize(engine, "web", 24, 80)
    attributes = engine.events[-1]["Actor"]["Attributes"]
    assert (attributes["height"], attributes["width"]) == ("24", "80")


def test_files_are_taken_out_and_put_in(engine):
    for name in ("one", "other"):
        engine.create(name, **SLEEP)
    engine.container("one").files.write("/etc/x", b"hi")
    lab_inside.unpack(engine, "other", "/", lab_inside.pack(engine, "one", "/etc/x"))
    assert engine.container("other").files.read("/x") == b"hi"
    told = [(each["Action"], each["Actor"]["Attributes"]["name"]) for each in engine.events[2:]]
    assert told == [("archive-path", "one"), ("extract-to-dir", "other")]


def test_a_path_has_to_be_there(engine):
    engine.create("web", **SLEEP)
    engine.container("web").files.write("/x", b"hi")
    nowhere = (404, "Could not find the file /no in container web")
    for action in (lab_inside.stat, lab_inside.pack):
        assert refused(action, engine, "web", "/no") == nowhere
        assert refused(action, engine, "web", "") == (400, "bad parameter: pathcannot be empty")
        assert refused(action, engine, "no", "/x") == (404, "No such container: no")
    assert refused(lab_inside.unpack, engine, "web", "/no", b"") == nowhere
    why = "extraction point is not a directory"
    assert refused(lab_inside.unpack, engine, "web", "/x", b"") == (500, why)
