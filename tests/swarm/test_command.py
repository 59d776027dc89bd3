"""Flags as Go reads them. Messages and exit codes were read off Swarm v1.2.9."""

import asyncio
import io
import os
import signal

import click
import pytest

from walkthroughs.swarm.command import (
    FALSE,
    TRUE,
    TWO_FORMS,
    Command,
    Fatal,
    Group,
    NoCommand,
    StdFatal,
    Stopped,
    Usage,
    discovery_opt_option,
    flag,
    flags_first,
    get_discovery,
    get_discovery_opt,
    go_arguments,
    run,
    seconds,
    switch,
)
from walkthroughs.swarm.lab import Lab


@click.command("try", cls=Command)
@switch("--debug", envvar="DEBUG", help="debug mode")
@flag("--log-level", "-l", default="info", help="how much")
@flag("--advertise", "--addr", default="", envvar="SWARM_ADVERTISE", help="where")
@discovery_opt_option
@click.argument("arguments", nargs=-1)
@click.pass_context
def tried(context, **given):
    """Keep what was given."""
    context.obj.given = given


def given(*arguments):
    """Return what the command understood."""
    world = Lab().world("test")
    tried.main(list(arguments), "try", obj=world, standalone_mode=False)
    return world.given


def refused(*arguments):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the caller compares it
        go_arguments(tried, arguments)
    return str(caught.value)


NOTHING = {
    "debug": False,
    "log_level": "info",
    "advertise": "",
    "options": (),
    "arguments": (),
}


def test_without_flags_there_are_the_defaults():
    assert given() == NOTHING


@pytest.mark.parametrize(
    "form", ["-log-level debug", "--log-level debug", "-log-level=debug", "--l=debug", "-l debug"]
)
def test_one_dash_or_two_a_blank_or_an_equals_sign(form):
    assert given(*form.split()) == NOTHING | {"log_level": "debug"}


def test_a_value_may_look_like_a_flag():
    assert given("-l", "--debug") == NOTHING | {"log_level": "--debug"}


def test_a_value_may_have_equals_signs():
    assert given("--discovery-opt=a=b=c")["options"] == ("a=b=c",)


def test_a_value_may_be_empty():
    assert given("--log-level=")["log_level"] == ""


def test_the_last_value_counts():
    assert given("-l", "a", "-l", "b")["log_level"] == "b"


def test_a_slice_collects_its_values():
    assert given("--discovery-opt", "a=1", "--discovery-opt", "b=2")["options"] == ("a=1", "b=2")


@pytest.mark.parametrize("value", TRUE)
def test_what_is_true(value):
    assert given(f"--debug={value}")["debug"] is True


@pytest.mark.parametrize("value", FALSE)
def test_what_is_false(value):
    assert given(f"--debug={value}")["debug"] is False


def test_a_switch_takes_no_second_word():
    assert given("--debug", "false") == NOTHING | {"debug": True, "arguments": ("false",)}


def test_two_dashes_end_the_flags():
    assert given("--", "-l", "x")["arguments"] == ("-l", "x")


def test_one_dash_is_an_argument():
    assert given("-l", "x", "-")["arguments"] == ("-",)


def test_flags_may_follow_the_arguments_of_a_command():
    assert given("a:1", "-l", "x") == NOTHING | {"log_level": "x", "arguments": ("a:1",)}


def test_what_stands_before_the_flags_comes_last():
    assert given("a:1", "-l", "x", "b:2")["arguments"] == ("b:2", "a:1")


@pytest.mark.parametrize(
    ("arguments", "ordered"),
    [
        ("", ""),
        ("a b", "a b"),
        ("-x a", "-x a"),
        ("a -x 1", "-x 1 a"),
        ("a -x 1 b -y", "-x 1 b -y a"),
        ("-- -x", "-- -x"),
        ("a -- -x", "a -- -x"),
        ("a -x 1 -- b", "-x 1 a -- b"),
        ("-x 1 -- a", "-x 1 -- a"),
    ],
)
def test_flags_first(arguments, ordered):
    assert flags_first(arguments.split()) == ordered.split()


@pytest.mark.parametrize(
    ("arguments", "form"),
    [
        ("", "--"),
        ("a b", "-- a b"),
        ("-debug -l=x a", "--debug=true --log-level=x -- a"),
        ("--addr a:1 -- -x", "--advertise=a:1 -- -x"),
        ("-l x -h", "--help --log-level=x --"),
        ("--help", "--help --"),
    ],
)
def test_go_arguments(arguments, form):
    assert go_arguments(tried, arguments.split()) == form.split()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--nonsense", "flag provided but not defined: -nonsense"),
        ("-nonsense=1", "flag provided but not defined: -nonsense"),
        ("-h --nonsense", "flag provided but not defined: -nonsense"),
        ("-ldebug", "flag provided but not defined: -ldebug"),
        ("--log-level", "flag needs an argument: -log-level"),
        ("---x", "bad flag syntax: ---x"),
        ("--=x", "bad flag syntax: --=x"),
        ("-=x", "bad flag syntax: -=x"),
        ("--debug=maybe", 'invalid boolean value "maybe" for -debug: parse error'),
        ("--debug=", 'invalid boolean value "" for -debug: parse error'),
        ("--addr a --advertise b", "Cannot use two forms of the same flag: addr advertise"),
        ("--advertise a --addr b", "Cannot use two forms of the same flag: addr advertise"),
        ("--log-level x -l y", "Cannot use two forms of the same flag: l log-level"),
    ],
)
def test_go_refuses(arguments, message):
    assert refused(*arguments.split()) == message


def test_a_command_explains_what_it_refuses():
    with pytest.raises(Usage) as caught:
        given("--nonsense")
    assert str(caught.value) == "flag provided but not defined: -nonsense"
    assert caught.value.explanation.startswith("Incorrect Usage.\n\nUsage: try ")


def test_two_forms_are_explained_by_themselves():
    with pytest.raises(Usage) as caught:
        given("--addr", "a", "--advertise", "b")
    assert caught.value.explanation.startswith(f"{TWO_FORMS} addr advertise\n\nUsage: try ")


def test_what_click_refuses_is_explained_too():
    none = Command("none")
    with pytest.raises(Usage, match=r"^Got unexpected extra argument \(x\)$"):
        none.main(["x"], "none", obj=Lab().world("test"), standalone_mode=False)


@pytest.mark.parametrize(("value", "truth"), [("1", True), ("T", True), ("x", False), ("", False)])
def test_a_variable_that_is_no_truth_value_counts_as_false(monkeypatch, value, truth):
    monkeypatch.setenv("DEBUG", value)
    assert given()["debug"] is truth


def test_a_flag_outdoes_its_variable(monkeypatch):
    monkeypatch.setenv("DEBUG", "1")
    monkeypatch.setenv("SWARM_ADVERTISE", "a:1")
    shown = given("--debug=false")
    assert (shown["debug"], shown["advertise"]) == (False, "a:1")


HELP = """\
Usage: try [OPTIONS] [ARGUMENTS]...

  Keep what was given.

Options:
  --debug                    debug mode [$DEBUG]
  --log-level, -l "info"     how much
  --advertise, --addr        where [$SWARM_ADVERTISE]
  --discovery-opt KEY=VALUE  discovery options
  --help                     Show this message and exit.
"""


def test_help_shows_defaults_and_variables():
    out = io.StringIO()
    code = tried.main(["-h"], "try", obj=Lab().world("x", out), standalone_mode=False)
    assert (code, out.getvalue()) == (0, HELP)


# groups


@pytest.fixture
def group():
    made = Group("swarm")
    made.add(tried, "try", "t")
    return made


def test_a_group_knows_a_command_by_both_names(group):
    for name in "try", "t":
        world = Lab().world("test")
        group.main([name, "a:1"], "swarm", obj=world, standalone_mode=False)
        assert world.given["arguments"] == ("a:1",)


def test_a_group_leaves_the_flags_of_a_command_where_they_are(group):
    world = Lab().world("test")
    group.main(["try", "-l", "x"], "swarm", obj=world, standalone_mode=False)
    assert world.given["log_level"] == "x"


def test_help_names_a_command_once(group):
    context = click.Context(group)
    tried.short_help = "Keep"
    formatter = context.make_formatter()
    group.format_commands(context, formatter)
    assert formatter.getvalue() == "Commands:\n  try, t  Keep\n"


def test_a_name_that_no_command_has(group):
    out = io.StringIO()
    arguments = ["nonsense", "--flag"]
    code = group.main(arguments, "swarm", obj=Lab().world("x", out), standalone_mode=False)
    assert (code, out.getvalue()) == (None, "No help topic for 'nonsense'\n")


def test_no_command_says_the_same_when_it_is_asked_for_help():
    command = NoCommand("nonsense")
    assert command.get_help(click.Context(command)) == "No help topic for 'nonsense'"


# what the flags of several commands mean


def test_seconds():
    assert seconds("timeout", "1m30s") == 90.0


@pytest.mark.parametrize("fatal", [Fatal, StdFatal])
def test_seconds_refuses_in_the_name_of_the_flag(fatal):
    with pytest.raises(Fatal) as caught:
        seconds("timeout", "x", fatal)
    assert (type(caught.value), str(caught.value)) == (
        fatal,
        'invalid --timeout: time: invalid duration "x"',
    )


@pytest.mark.parametrize(
    ("arguments", "variable", "discovery"),
    [
        (["a:1"], "", "a:1"),
        (["a:1"], "z:1", "a:1"),
        ([], "z:1", "z:1"),
        (["a:1", "b:1"], "z:1", "z:1"),
        (["a:1", "b:1"], "", ""),
        ([], "", ""),
        ([""], "z:1", ""),
    ],
)
def test_discovery_is_the_one_argument_or_the_variable(monkeypatch, arguments, variable, discovery):
    monkeypatch.setenv("SWARM_DISCOVERY", variable)
    assert get_discovery(arguments) == discovery


def test_without_either_there_is_no_discovery():
    assert get_discovery([]) == ""


@pytest.mark.parametrize(
    ("pairs", "hub", "options"),
    [
        ([], "", {}),
        (["a=1", "b=", "c=d=e"], "", {"a": "1", "b": "", "c": "d=e"}),
        (["a=1", "a=2"], "", {"a": "2"}),
        ([], "http://h:1", {"token.hub": "http://h:1"}),
        (["token.hub=x"], "http://h:1", {"token.hub": "x"}),
    ],
)
def test_get_discovery_opt(pairs, hub, options):
    assert get_discovery_opt(pairs, hub) == options


def test_a_discovery_option_has_an_equals_sign():
    with pytest.raises(Fatal) as caught:
        get_discovery_opt(["a=1", "x"], "")
    message = "--discovery-opt must contain key=value strings"
    assert (type(caught.value), str(caught.value)) == (Fatal, message)


# running


def test_run_runs_to_the_end():
    done = []

    async def work():
        done.append(True)

    run(work())
    assert done == [True]


def test_run_raises_what_the_work_raises():
    async def work():
        raise Fatal("no")

    with pytest.raises(Fatal, match=r"^no$"):
        run(work())


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_cancels_the_work_and_decides_the_exit_code(number, code):
    ended = []

    async def work():
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)

    with pytest.raises(Stopped) as caught:
        run(work())
    assert (caught.value.code, ended) == (code, [True])


def test_a_signal_has_its_old_meaning_afterwards():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run(asyncio.sleep(0))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
