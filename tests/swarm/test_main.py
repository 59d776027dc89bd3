"""The program whole. Messages, streams and exit codes were read off Swarm v1.2.9."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from walkthroughs.swarm import discovery
from walkthroughs.swarm.discovery import DiscoveryError
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.main import VERSION, main, register_backends
from walkthroughs.swarm.world import World

ROOT = str(Path(__file__).parents[2])
MODULE = [sys.executable, "-m", "walkthroughs.swarm"]
SCRIPT = [str(Path(sys.executable).with_name("walk-swarm"))]
TIME = 'time="2017-07-14T02:40:00Z"'

HELP = """\
Usage: swarm [OPTIONS] COMMAND [arg...]

  A Docker-native clustering system

Options:
  --debug                 debug mode [$DEBUG]
  --log-level, -l "info"  Log level (options: debug, info, warn, error, fatal,
                          panic)
  --experimental          enable experimental features
  --version, -v           print the version
  --help                  Show this message and exit.

Commands:
  create, c  Create a cluster
  list, l    List nodes in a cluster
  manage, m  Manage a docker cluster
  join, j    Join a docker cluster
  hub        Run a hub for token:// discovery
  lab        Run a whole cluster to play with
  help, h    Shows a list of commands or help for one command
"""

OWN = """
import asyncio

from walkthroughs.swarm.discovery import create_entries


class Own:
    def __init__(self, uri, heartbeat, ttl, options, world):
        self.entries = create_entries(uri.split("+"))

    async def watch(self):
        yield self.entries
        await asyncio.get_running_loop().create_future()
"""


@pytest.fixture(autouse=True)
def registry():
    """Start with an empty registry, as a program does."""
    before = dict(discovery.backends)
    discovery.backends.clear()
    yield discovery.backends
    discovery.backends.clear()
    discovery.backends.update(before)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that installs a package with one module and one entry point."""

    def install(code, point, name="own"):
        (tmp_path / f"{name}_backend.py").write_text(code)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[walkthroughs.swarm.discovery]\n{point}\n")
        monkeypatch.syspath_prepend(tmp_path)
        return tmp_path

    yield install
    for name in [each for each in sys.modules if each.endswith("_backend")]:
        del sys.modules[name]


def swarm(*arguments):
    """Return exit code, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    code = main(arguments, World(Lab().clock, stdout=out, stderr=err))
    return code, out.getvalue(), err.getvalue()


def process(command, *arguments, **options):
    ran = subprocess.run([*command, *arguments], capture_output=True, cwd="/", **options)
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


# the program


@pytest.mark.parametrize(
    "arguments", ["", "help", "h", "--help", "-h", "-l x --help", "--version=false"]
)
def test_help_without_arguments_and_under_four_names(arguments):
    assert swarm(*arguments.split()) == (0, HELP, "")


@pytest.mark.parametrize("arguments", ["--version", "-v", "-l x -v", "-v nonsense", "-v list"])
def test_the_version_is_told_before_anything_else(arguments):
    assert swarm(*arguments.split()) == (0, f"swarm version {VERSION} (walkthroughs)\n", "")


def test_the_version_is_that_of_the_original():
    assert VERSION == "1.2.9"


def test_the_version_says_walkthroughs_where_the_original_has_its_commit():
    # Measured: `swarm version 1.2.9 (HEAD)`.
    assert swarm("--version") == (0, "swarm version 1.2.9 (walkthroughs)\n", "")


def test_the_name_is_swarm_whatever_the_file_is_called_unlike_the_original_s(monkeypatch):
    # Measured: a copy of the original that is called `hive` says 'hive list --help'.
    monkeypatch.setattr(sys, "argv", ["/opt/hive", "list"])
    see = "discovery required to list a cluster. See 'swarm list --help'."
    assert swarm("list") == (1, "", f"2017/07/14 02:40:00 {see}\n")


@pytest.mark.parametrize("arguments", ["nonsense", "help nonsense", "nonsense --flag"])
def test_an_unknown_command_exits_with_0(arguments):
    assert swarm(*arguments.split()) == (0, "No help topic for 'nonsense'\n", "")


@pytest.mark.parametrize("level", ["x", "trace"])
@pytest.mark.parametrize("command", ["", "nonsense", "help", "list a:1"])
def test_a_bad_level_is_fatal_before_the_command(level, command):
    message = f'{TIME} level=fatal msg="not a valid logrus Level: \\"{level}\\""\n'
    assert swarm("-l", level, *command.split()) == (1, message, "")


def test_a_bad_flag_of_the_program_is_fatal_on_standard_error():
    message = f'{TIME} level=fatal msg="flag provided but not defined: -nonsense"\n'
    assert swarm("--nonsense") == (1, f"Incorrect Usage.\n\n{HELP}", message)


def test_two_forms_of_a_flag_of_the_program():
    two = "Cannot use two forms of the same flag: l log-level"
    message = f'{TIME} level=fatal msg="{two}"\n'
    assert swarm("-l", "x", "--log-level", "y") == (1, f"{two}\n\n{HELP}", message)


def test_two_forms_of_a_flag_of_a_command_do_not_panic_as_in_the_original():
    _, help, _ = swarm("join", "--help")
    two = "Cannot use two forms of the same flag: addr advertise"
    message = f'{TIME} level=fatal msg="{two}"\n'
    given = ("join", "--addr", "a:1", "--advertise", "b:2", "nodes://a:1")
    assert swarm(*given) == (1, f"{two}\n\n{help}{message}", "")


COMMANDS = ["create", "list", "manage", "join", "hub", "lab", "help"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_flag_of_a_command_does_not_panic_as_in_the_original(command):
    _, help, _ = swarm(command, "--help")
    message = f'{TIME} level=fatal msg="flag provided but not defined: -nonsense"\n'
    assert swarm(command, "--nonsense") == (1, f"Incorrect Usage.\n\n{help}{message}", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_does_not_panic_as_in_the_original(command):
    asked = [swarm(command, "--help"), swarm(command, "-h"), swarm("help", command)]
    assert asked[0][0] == 0
    assert asked[0][1].startswith(f"Usage: swarm {command} ")
    assert asked.count(asked[0]) == 3


@pytest.mark.parametrize(
    ("short", "long"),
    [("c", "create"), ("l", "list"), ("m", "manage"), ("j", "join")],
)
def test_a_short_name_runs_the_same_command(short, long):
    assert swarm("help", short) == swarm("help", long)


def test_list_logs_on_standard_error_as_package_log_does():
    see = "discovery required to list a cluster. See 'swarm list --help'."
    assert swarm("list") == (1, "", f"2017/07/14 02:40:00 {see}\n")


def test_create_logs_on_standard_error_as_package_log_does():
    see = "the `create` command takes no arguments. See 'swarm create --help'."
    assert swarm("create", "x") == (1, "", f"2017/07/14 02:40:00 {see}\n")


def test_join_logs_on_standard_output_as_logrus_does():
    see = "discovery required to join a cluster. See 'swarm join --help'."
    assert swarm("join") == (1, f'{TIME} level=fatal msg="{see}"\n', "")


def test_at_level_panic_a_fatal_message_is_not_shown():
    assert swarm("-l", "PANIC", "join") == (1, "", "")


def test_the_level_is_info_when_none_is_given(registry):
    def talkative(uri, heartbeat, ttl, options, world):
        world.log.debug("not shown")
        world.log.info("shown")
        raise DiscoveryError("the end")

    registry["own"] = talkative
    message = "2017/07/14 02:40:00 the end\n"
    assert swarm("list", "own://x") == (1, f"{TIME} level=info msg=shown\n", message)


@pytest.mark.parametrize("command", ["list a:1", "create x", "join", "nonsense"])
def test_experimental_changes_nothing_here(command):
    assert swarm("--experimental", *command.split()) == swarm(*command.split())


def test_list_prints_what_discovery_knows():
    assert swarm("list", "a:1,b:2") == (0, "a:1\nb:2\n", "")


def test_an_unknown_scheme():
    message = "2017/07/14 02:40:00 discovery service not supported\n"
    assert swarm("list", "own://x") == (1, "", message)


INITIALIZING = f'{TIME} level=debug msg="Initializing discovery service" name=nodes uri="a:1"\n'


@pytest.mark.parametrize("flags", ["--debug", "-l debug", "-debug", "--debug=T"])
def test_debug_shows_more(flags):
    register_backends(Lab().world("x"))
    assert swarm(*flags.split(), "list", "a:1") == (0, f"{INITIALIZING}a:1\n", "")


def test_debug_counts_for_less_than_a_level():
    assert swarm("--debug", "-l", "info", "list", "a:1") == (0, "a:1\n", "")


@pytest.mark.parametrize(
    ("value", "out"), [("1", f"{INITIALIZING}a:1\n"), ("x", "a:1\n"), ("", "a:1\n")]
)
def test_debug_can_be_a_variable(monkeypatch, value, out):
    register_backends(Lab().world("x"))
    monkeypatch.setenv("DEBUG", value)
    assert swarm("list", "a:1") == (0, out, "")


# the registry


def test_the_backends_of_the_original_are_registered(registry):
    register_backends(Lab().world("x"))
    assert {"file", "nodes", "token", "consul", "etcd", "zk"} <= set(registry)


def test_nothing_is_imported_before_it_is_wanted(registry, package):
    package("raise RuntimeError('imported')", "own = own_backend:Own")
    register_backends(Lab().world("x"))
    assert "own" in registry
    assert "own_backend" not in sys.modules


def test_registering_is_said_at_level_debug():
    out = io.StringIO()
    world = Lab().world("x", out)
    world.log.set_level("debug")
    register_backends(world)
    message = f'{TIME} level=debug msg="Registering discovery service" name='
    assert f"{message}nodes\n" in out.getvalue().splitlines(keepends=True)


def test_a_scheme_that_is_taken_stays_with_whom_it_has(registry):
    mine = object()
    discovery.register("nodes", mine)
    register_backends(Lab().world("x"))
    assert registry["nodes"] is mine


def test_another_package_brings_a_backend(package):
    package(OWN, "own = own_backend:Own")
    assert swarm("list", "own://a:1+b:2") == (0, "a:1\nb:2\n", "")


def test_a_backend_of_another_package_says_what_is_wrong(package):
    package(OWN, "own = own_backend:Own")
    message = "2017/07/14 02:40:00 address a: missing port in address\n"
    assert swarm("list", "own://a") == (1, "", message)


@pytest.mark.parametrize(
    ("code", "point", "why"),
    [
        (OWN, "own = nowhere:Own", "nowhere:Own: No module named 'nowhere'"),
        (
            OWN,
            "own = own_backend:Won",
            "own_backend:Won: module 'own_backend' has no attribute 'Won'",
        ),
        ("import nowhere", "own = own_backend:Own", "own_backend:Own: No module named 'nowhere'"),
    ],
)
def test_a_backend_that_cannot_be_loaded(package, code, point, why):
    package(code, point)
    register_backends(Lab().world("x"))
    with pytest.raises(DiscoveryError) as caught:
        discovery.new("own://x", 1.0, 1.0, {}, Lab().world("x"))
    assert str(caught.value) == f"own://: cannot load {why}"


def test_a_backend_that_cannot_be_loaded_disturbs_no_other(package):
    package("import nowhere", "own = own_backend:Own")
    assert swarm("list", "a:1") == (0, "a:1\n", "")


# the process


@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["python -m", "walk-swarm"])
def test_the_program_as_a_process(command):
    environment = os.environ | {"PYTHONPATH": ROOT}
    assert process(command, "list", "a:1,b:2", env=environment) == (0, "a:1\nb:2\n", "")
    code, out, err = process(command, "list", "x", env=environment)
    hint = "please check you are using the correct discovery (missing token:// ?)"
    assert (code, out, err[20:]) == (1, "", f"address x: missing port in address, {hint}\n")


def test_a_process_finds_the_backend_of_another_package(package):
    folder = package(OWN, "own = own_backend:Own")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), ROOT])}
    assert process(MODULE, "list", "own://a:1", env=environment) == (0, "a:1\n", "")


def test_bytes_that_are_no_text_are_printed_as_they_came():
    environment = os.environ | {"PYTHONPATH": ROOT, "PYTHONIOENCODING": "ascii:strict"}
    ran = subprocess.run([*MODULE, b"\xff\xc3\xa9"], capture_output=True, env=environment)
    assert (ran.returncode, ran.stdout, ran.stderr) == (
        0,
        b"No help topic for '\xff\xc3\xa9'\n",
        b"",
    )


def test_a_reader_that_goes_away_ends_the_program_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    environment = os.environ | {"PYTHONPATH": ROOT}
    ran = subprocess.run(
        [*MODULE, "list", "a:1"], stdout=writer, stderr=subprocess.PIPE, env=environment
    )
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_a_join(tmp_path, number, code):
    command = [*MODULE, "join", "--advertise", "a:1", "nodes://b:1"]
    environment = os.environ | {"PYTHONPATH": ROOT}
    joining = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    registering, refused = joining.stdout.readline(), joining.stdout.readline()
    os.kill(joining.pid, number)
    rest, err = joining.communicate(timeout=10)
    assert b'msg="Registering on the discovery service every 1m0s..."' in registering
    assert b'msg="not implemented in this discovery service"' in refused
    assert (joining.returncode, rest, err) == (code, b"", b"")
