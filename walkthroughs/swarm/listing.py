"""The command `list`: cli/list.go of Swarm v1.2.9."""

from contextlib import aclosing

import click

from walkthroughs.swarm.command import (
    Command,
    StdFatal,
    arguments,
    discovery_opt_option,
    flag,
    get_discovery,
    get_discovery_opt,
    hub_option,
    seconds,
)
from walkthroughs.swarm.discovery import DiscoveryError, Options, new
from walkthroughs.swarm.world import World, within


async def list_entries(
    world: World, discovery: str, timeout: float, options: Options
) -> None:
    """Print the entries that a watch reports first, one a line.

    Raise `DiscoveryError` for trouble, and for `timeout` seconds of silence. (`list`)
    """
    # The timeout is the heartbeat too: no second look is ever taken.
    backend = new(discovery, timeout, 0, options, world)
    async with aclosing(backend.watch()) as reports:
        try:
            first = await within(timeout, anext(reports), world.clock)
        except TimeoutError:
            raise DiscoveryError("Timed out") from None
    if isinstance(first, DiscoveryError):
        raise first
    for entry in first:
        world.print(str(entry))


@click.command(cls=Command, short_help="List nodes in a cluster")
@flag("--timeout", default="10s", help="timeout period")
@discovery_opt_option
@hub_option
@arguments
@click.pass_obj
async def list_command(
    world: World,
    timeout: str,
    options: tuple[str, ...],
    hub: str,
    arguments: tuple[str, ...],
) -> None:
    """List the nodes of a cluster as discovery knows them now."""
    if not (discovery := get_discovery(arguments)):
        see = "See 'swarm list --help'."
        raise StdFatal(f"discovery required to list a cluster. {see}")
    limit = seconds("timeout", timeout, StdFatal)
    if limit <= 0:
        raise StdFatal("--timeout should be a positive number")
    known = get_discovery_opt(options, hub)
    try:
        await list_entries(world, discovery, limit, known)
    except DiscoveryError as error:
        raise StdFatal(str(error)) from None
