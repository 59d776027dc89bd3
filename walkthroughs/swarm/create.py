"""The command `create`: cli/create.go of Swarm v1.2.9."""

import click

from walkthroughs.swarm.command import Command, StdFatal, hub_option
from walkthroughs.swarm.discovery import DiscoveryError
from walkthroughs.swarm.token import create_cluster
from walkthroughs.swarm.world import World

TOKEN_DEPRECATION = (
    "Token based discovery is now deprecated and might be removed in the future.\n"
    "It will be replaced by a default discovery backed by Docker Swarm Mode.\n"
    "Other mechanisms such as consul and etcd will continue to work as expected."
)


async def create(world: World, hub: str = "") -> None:
    """Make a cluster on a hub and print its token; on standard error, a warning.

    The hub "" is the one that Docker ran. Raise `DiscoveryError`.
    """
    token = await create_cluster(hub, world)
    world.print_error(TOKEN_DEPRECATION)
    world.print(token)


@click.command(cls=Command, short_help="Create a cluster")
@hub_option
@click.argument("arguments", nargs=-1, metavar="")
@click.pass_obj
async def create_command(world: World, hub: str, arguments: tuple[str, ...]) -> None:
    """Create a cluster on a hub and print its token."""
    if arguments:
        see = "See 'swarm create --help'."
        raise StdFatal(f"the `create` command takes no arguments. {see}")
    try:
        await create(world, hub)
    except DiscoveryError as error:
        raise StdFatal(str(error)) from None
