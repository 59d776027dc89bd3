"""The program: main.go and cli/cli.go of Swarm v1.2.9.

| upstream                             | here                                  |
|--------------------------------------|---------------------------------------|
| `import _ ".../discovery/token"`     | an entry point, see `register_backends` |
| `cli.NewApp`, `app.Flags`, `Before`  | `swarm`                               |
| `commands`                           | `swarm.add`                           |
| `cli.Run`, `log.Fatal`               | `execute`, `main`, `run`              |
"""

import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from inspect import isawaitable
from io import TextIOWrapper

import click
from click.core import ParameterSource

from walkthroughs.swarm import discovery
from walkthroughs.swarm.command import (
    Command,
    Fatal,
    Group,
    StdFatal,
    Stopped,
    Usage,
    flag,
    switch,
)
from walkthroughs.swarm.command import run as run_to_end
from walkthroughs.swarm.create import create_command
from walkthroughs.swarm.discovery import Backend, DiscoveryError, Initialize, Options
from walkthroughs.swarm.hub import hub_command
from walkthroughs.swarm.join import join_command
from walkthroughs.swarm.lab_command import lab_command
from walkthroughs.swarm.listing import list_command
from walkthroughs.swarm.manage import manage_command
from walkthroughs.swarm.world import World

VERSION = "1.2.9"
GITCOMMIT = "walkthroughs"
BACKENDS = "walkthroughs.swarm.discovery"
"""The entry point group in which packages offer discovery backends."""


def lazily(point: EntryPoint) -> Initialize:
    """Return an `Initialize` that imports the backend when it is first wanted."""

    def initialize(
        uri: str, heartbeat: float, ttl: float, options: Options, world: World
    ) -> Backend:
        try:
            backend: Initialize = point.load()
        except (ImportError, AttributeError) as error:
            why = f"{point.name}://: cannot load {point.value}: {error}"
            raise DiscoveryError(why) from None
        return backend(uri, heartbeat, ttl, options, world)

    return initialize


def register_backends(world: World) -> None:
    """Register the backends that installed packages offer; the first of a name wins."""
    for point in entry_points(group=BACKENDS):
        if point.name not in discovery.backends:
            world.log.debug("Registering discovery service", name=point.name)
            discovery.register(point.name, lazily(point))


@click.group(
    cls=Group, invoke_without_command=True, subcommand_metavar="COMMAND [arg...]"
)
@switch("--debug", envvar="DEBUG", help="debug mode")
@flag(
    "--log-level",
    "-l",
    default="info",
    help="Log level (options: debug, info, warn, error, fatal, panic)",
)
@switch("--experimental", help="enable experimental features")
@switch("--version", "-v", help="print the version")
@click.pass_context
def swarm(
    context: click.Context,
    debug: bool,
    log_level: str,
    experimental: bool,
    version: bool,
) -> None:
    """A Docker-native clustering system"""
    world: World = context.obj
    if version:
        world.print(f"swarm version {VERSION} ({GITCOMMIT})")
        context.exit()
    world.log.stream = world.stdout
    try:
        world.log.set_level(log_level)
    except ValueError as error:
        raise Fatal(str(error)) from None
    if debug and context.get_parameter_source("log_level") is ParameterSource.DEFAULT:
        world.log.set_level("debug")
    if context.invoked_subcommand is None:
        world.print(context.get_help())
    register_backends(world)


@click.command(
    cls=Command, short_help="Shows a list of commands or help for one command"
)
@click.argument("names", nargs=-1, metavar="[COMMAND]")
@click.pass_context
def help_command(context: click.Context, names: tuple[str, ...]) -> None:
    """Show the help of a command, or of all."""
    shown = context.find_root()
    if names:
        command = swarm.get_command(context, names[0])
        shown = click.Context(command, parent=shown, info_name=command.name)
    context.obj.print(shown.get_help())


for command, *names in (
    (create_command, "create", "c"),
    (list_command, "list", "l"),
    (manage_command, "manage", "m"),
    (join_command, "join", "j"),
    (hub_command, "hub"),
    (lab_command, "lab"),
    (help_command, "help", "h"),
):
    swarm.add(command, *names)


async def execute(arguments: Sequence[str], world: World) -> int:
    """Run the program on the loop that is there, and return its exit code."""
    # Until the flags are understood logrus is as it starts: on standard error.
    world.log.stream = world.stderr or sys.stderr
    try:
        done = swarm.main(list(arguments), "swarm", obj=world, standalone_mode=False)
        # A command is a coroutine function, and click hands on what it returns.
        code = await done if isawaitable(done) else done
        return code or 0
    except StdFatal as error:
        world.std_log(str(error))
    except Fatal as error:
        if isinstance(error, Usage):
            world.print(error.explanation)
        world.log.write("fatal", str(error))
    return 1


def main(arguments: Sequence[str], world: World) -> int:
    """Run the program on a loop of its own, which SIGINT and SIGTERM end."""
    try:
        return run_to_end(execute(arguments, world))
    except Stopped as stopped:
        return stopped.code


def run() -> None:
    """Run the program as a process: the console script `walk-swarm`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # As Go does: UTF-8 always, and bytes that are none as they came.
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        code = main(sys.argv[1:], World())
    except BrokenPipeError:
        # `swarm list | head -1`: nobody reads on, and nobody wants to hear of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    sys.exit(code)
