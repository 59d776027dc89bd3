"""A command line in Go's manner, on click: what urfave/cli and flag are to Swarm.

| upstream                            | here                                    |
|-------------------------------------|-----------------------------------------|
| `cli.StringFlag`, `cli.BoolFlag`    | `flag`, `switch`                        |
| `flag.Parse`, `normalizeFlags`      | `go_arguments`                          |
| `cli.Command`, `cli.App`            | `Command`, `Group`                      |
| `log.Fatal` of logrus, of `log`     | `Fatal`, `StdFatal`                     |
| `getDiscovery`, `getDiscoveryOpt`   | `get_discovery`, `get_discovery_opt`    |
"""

import asyncio
import os
import re
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import click

from walkthroughs.swarm.golang import parse_duration, quote

TRUE = ("1", "t", "T", "TRUE", "true", "True")
FALSE = ("0", "f", "F", "FALSE", "false", "False")
TWO_FORMS = "Cannot use two forms of the same flag:"

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Fatal(Exception):
    """The program ends with exit code 1 and this as the last line of its log."""


class StdFatal(Fatal):
    """The same in `create` and `list`, which log through Go's package `log`."""


class Usage(Fatal):
    """Flags that cannot be understood; `help` lists those that can."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        two = message.startswith(TWO_FORMS)
        self.explanation = f"{message if two else 'Incorrect Usage.'}\n\n{help}"


class Stopped(Exception):
    """A signal ended the program; `code` is the exit code that tells which."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.code = 128 + number


class Flag(click.Option):
    """An option that help shows with its default, or metavar, and its variable."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        default = self.default if isinstance(self.default, str) else ""
        value = f'"{default}"' if default else self.metavar or ""
        variable = f" [${self.envvar}]" if self.envvar else ""
        return f"{', '.join(self.opts)} {value}".rstrip(), f"{self.help}{variable}"


class Bool(click.ParamType[bool]):
    """A truth value in the spellings of `strconv.ParseBool`."""

    name = "bool"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> bool:
        # From a variable of the environment, what is neither counts as false.
        return value is True or value in TRUE


def flag(*names: str, **settings: Any) -> Callable[[F], F]:
    """Declare an option that has a text as its value."""
    return click.option(*names, cls=Flag, **settings)


def switch(*names: str, **settings: Any) -> Callable[[F], F]:
    """Declare an option that is true when it is given, and `=false` otherwise."""
    return click.option(*names, cls=Flag, type=Bool(), default=False, **settings)


def go_arguments(command: click.Command, arguments: Sequence[str]) -> list[str]:
    """Return arguments in the one form that click cannot misread.

    Go takes `-name`, `--name`, `-name=value` and `--n value` alike, and no flag after
    the first argument that is none. Where help is asked for, `--help` comes first.
    Raise ValueError in the words of its package.
    """
    options = {name.lstrip("-"): each for each in command.params for name in each.opts}
    rest, result, forms = list(arguments), list[str](), dict[str, str]()
    while rest and re.match("-.", rest[0]):
        argument = rest.pop(0)
        if argument == "--":
            break
        name, equals, value = re.sub("^--?", "", argument).partition("=")
        if not name or name.startswith("-"):
            raise ValueError(f"bad flag syntax: {argument}")
        if name in ("h", "help"):
            result.insert(0, "--help")
            continue
        if not (option := options.get(name)):
            raise ValueError(f"flag provided but not defined: -{name}")
        if isinstance(option.type, Bool):
            value = value if equals else "true"
            if value not in TRUE + FALSE:
                bad = f"invalid boolean value {quote(value)} for -{name}"
                raise ValueError(f"{bad}: parse error")
        elif not equals:
            if not rest:
                raise ValueError(f"flag needs an argument: -{name}")
            value = rest.pop(0)
        if forms.setdefault(option.opts[0], name) != name:
            both = " ".join(form.lstrip("-") for form in reversed(option.opts))
            raise ValueError(f"{TWO_FORMS} {both}")
        result.append(f"{option.opts[0]}={value}")
    return [*result, "--", *rest]


def flags_first(arguments: Sequence[str]) -> list[str]:
    """Return arguments with those before the first flag moved behind all flags."""
    given = list(arguments)
    end = given.index("--") if "--" in given else len(given)
    first = next((i for i in range(end) if given[i].startswith("-")), 0)
    return given[first:end] + given[:first] + given[end:]


class Command(click.Command):
    """A command whose arguments are read as Go, and urfave/cli, read them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            ordered = flags_first(args) if self.allow_interspersed_args else args
            given = go_arguments(self, ordered)
            if given[0] == "--help":
                # click would print it, past the world.
                ctx.obj.print(self.get_help(ctx))
                ctx.exit()
            return super().parse_args(ctx, given)
        except (ValueError, click.UsageError) as error:
            raise Usage(str(error), self.get_help(ctx)) from None


class NoCommand(click.Command):
    """What answers to any other name. It ends the program with exit code 0."""

    def get_help(self, ctx: click.Context) -> str:
        return f"No help topic for '{self.name}'"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return []

    def invoke(self, ctx: click.Context) -> None:
        ctx.obj.print(self.get_help(ctx))


class Group(Command, click.Group):
    """Commands under a name or more, in the order in which they were added."""

    def add(self, command: click.Command, *names: str) -> None:
        for name in names:
            self.add_command(command, name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        return super().get_command(ctx, cmd_name) or NoCommand(cmd_name)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        names: dict[click.Command, list[str]] = {}
        for name, command in self.commands.items():
            names.setdefault(command, []).append(name)
        with formatter.section("Commands"):
            rows = [(", ".join(ns), c.short_help or "") for c, ns in names.items()]
            formatter.write_dl(rows)


def seconds(name: str, text: str, fatal: type[Fatal] = Fatal) -> float:
    """Return the duration that a flag was given; raise `fatal`."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise fatal(f"invalid --{name}: {error}") from None


def get_discovery(arguments: Sequence[str]) -> str:
    """Return the discovery URL: the one argument, else `SWARM_DISCOVERY`, else ""."""
    if len(arguments) == 1:
        return arguments[0]
    return os.environ.get("SWARM_DISCOVERY", "")


def get_discovery_opt(pairs: Sequence[str], hub: str) -> dict[str, str]:
    """Return the pairs `key=value` as a dictionary, with the hub as one of them."""
    if not all("=" in pair for pair in pairs):
        raise Fatal("--discovery-opt must contain key=value strings")
    given = {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
    return {"token.hub": hub, **given} if hub else given


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; SIGINT and SIGTERM cancel it, and raise `Stopped`."""

    async def stoppable() -> T:
        task = asyncio.current_task()
        assert task
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(stoppable())
    except KeyboardInterrupt:
        raise Stopped(signal.SIGINT) from None
    except asyncio.CancelledError:
        raise Stopped(signal.SIGTERM) from None


hub_option = flag(
    "--hub",
    default="",
    envvar="SWARM_HUB",
    help="URL of the hub that knows the token, e.g. http://127.0.0.1:2370",
)
discovery_opt_option = flag(
    "--discovery-opt",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="discovery options",
)
arguments = click.argument("arguments", nargs=-1, metavar="DISCOVERY")
