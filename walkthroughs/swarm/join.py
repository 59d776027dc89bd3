"""The command `join`: cli/join.go of Swarm v1.2.9.

| upstream, all in one function       | here                                     |
|-------------------------------------|------------------------------------------|
| the loop that never ends            | `keep_registered`                        |
| the random delay before it          | `add_delay`                              |
| `discovery.New`, and both of these  | `join`                                   |
| the flags and their checks          | `join_command`                           |
"""

import click

from walkthroughs.swarm.command import (
    Command,
    Fatal,
    arguments,
    discovery_opt_option,
    flag,
    get_discovery,
    get_discovery_opt,
    hub_option,
    seconds,
)
from walkthroughs.swarm.discovery import (
    Backend,
    DiscoveryError,
    Options,
    new,
)
from walkthroughs.swarm.golang import check_addr_format, format_duration
from walkthroughs.swarm.world import World

NO_OPTIONS: Options = {}


async def keep_registered(
    world: World, backend: Backend, address: str, discovery: str, heartbeat: float
) -> None:
    """Register an address, `heartbeat` seconds after the last answer, until cancelled.

    Trouble is logged and tried again: the node is listed until its TTL has passed.
    """
    every = format_duration(heartbeat)
    message = f"Registering on the discovery service every {every}..."
    while True:
        world.log.info(message, addr=address, discovery=discovery)
        try:
            await backend.register(address)
        except DiscoveryError as error:
            world.log.error(str(error))
        await world.clock.sleep(heartbeat)


async def add_delay(world: World, delay: float) -> None:
    """Sleep a random part of `delay` seconds: who boots together, registers apart."""
    if delay > 0:
        pause = world.random.uniform(0, delay)
        shown = format_duration(pause)
        world.log.info(f"Add a random delay {shown} to avoid synchronized registration")
        await world.clock.sleep(pause)


async def join(
    world: World,
    discovery: str,
    address: str,
    heartbeat: float = 60.0,
    ttl: float = 180.0,
    delay: float = 0.0,
    options: Options = NO_OPTIONS,
) -> None:
    """Keep an engine in the list of a discovery service, until cancelled.

    Raise `DiscoveryError` for a URL that no backend can use.
    """
    backend = new(discovery, heartbeat, ttl, options, world)
    await add_delay(world, delay)
    await keep_registered(world, backend, address, discovery, heartbeat)


def require(condition: object, message: str) -> None:
    """Raise `Fatal` with a message unless the condition holds."""
    if not condition:
        raise Fatal(message)


@click.command(cls=Command, short_help="Join a docker cluster")
@flag(
    "--advertise",
    "--addr",
    default="",
    envvar="SWARM_ADVERTISE",
    help="address of the Docker Engine that joins; managers must reach it there",
)
@flag("--heartbeat", default="60s", help="period between each heartbeat")
@flag("--ttl", default="180s", help="time after which a silent node is forgotten")
@flag("--delay", default="0s", help="wait a random time in [0s,delay] first")
@discovery_opt_option
@hub_option
@arguments
@click.pass_obj
async def join_command(
    world: World,
    advertise: str,
    heartbeat: str,
    ttl: str,
    delay: str,
    options: tuple[str, ...],
    hub: str,
    arguments: tuple[str, ...],
) -> None:
    """Keep a Docker Engine registered with a discovery service."""
    see = "See 'swarm join --help'."
    discovery = get_discovery(arguments)
    require(discovery, f"discovery required to join a cluster. {see}")
    require(advertise, "missing mandatory --advertise flag")
    form = "--advertise should be of the form ip:port or hostname:port"
    require(check_addr_format(advertise), form)
    longest = seconds("delay", delay)
    require(longest >= 0, "--delay should not be a negative number")
    beat = seconds("heartbeat", heartbeat)
    require(beat >= 1, "--heartbeat should be at least one second")
    life = seconds("ttl", ttl)
    require(life > beat, "--ttl must be strictly superior to the heartbeat value")
    known = get_discovery_opt(options, hub)
    try:
        await join(world, discovery, advertise, beat, life, longest, known)
    except DiscoveryError as error:
        raise Fatal(str(error)) from None
