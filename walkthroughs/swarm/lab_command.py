"""The command `lab`: a cluster on this machine, of everything but Docker.

| of a cluster                  | here                                            |
|-------------------------------|-------------------------------------------------|
| the hub, `swarm create`       | `Hub`, `create_cluster`                         |
| machines with Docker engines  | `LabEngine`, each on a port of its own          |
| `swarm join`, on each of them | `join`                                          |
| `swarm manage`                | `new_manager`, with the flags as typed          |
| time, and the network         | the real ones                                   |
"""

import asyncio
from contextlib import ExitStack, closing
from socket import socket

import click

from walkthroughs.swarm.api_server import new_listener
from walkthroughs.swarm.command import Command, flag
from walkthroughs.swarm.events import Event, EventHandler
from walkthroughs.swarm.everywhere import together
from walkthroughs.swarm.golang import join_host_port
from walkthroughs.swarm.http_protocol import serve
from walkthroughs.swarm.hub import Hub, limit
from walkthroughs.swarm.join import join
from walkthroughs.swarm.lab import App, Lab, VirtualClock
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.lab_images import Image
from walkthroughs.swarm.lab_programs import PROGRAMS
from walkthroughs.swarm.manage import HOST, flags_of, new_manager
from walkthroughs.swarm.token import create_cluster
from walkthroughs.swarm.world import SystemClock, World

FREE = "127.0.0.1:0"
"""Any port of this machine, for this machine alone."""

REGISTRY = ("busybox:latest", "alpine:latest", "nginx:latest", "redis:latest")
"""What `docker pull` finds; the first is on the engines already."""

WELCOME = """\
{count} engines without Docker are one cluster. To look at it, in another terminal:

  docker -H {host} info
  docker -H {host} run -d --name web -e constraint:storage==ssd busybox top
  docker -H {host} ps

or, without a docker client,

  curl {place}/containers/json

Of programs, containers have {programs}; any other waits.
Ctrl-C ends it all.
"""


class RealClock(SystemClock, VirtualClock):
    """The machine's own clock, where a lab has one of its own."""


def address_of(listener: socket) -> str:
    host, port = listener.getsockname()[:2]
    return join_host_port(host, str(port))


def new_engines(addresses: list[str]) -> dict[str, App]:
    """Return an engine for each address, on machines that live in real time."""
    lab = Lab()
    lab.clock = RealClock()
    for number, address in enumerate(addresses, 1):
        labels = ["storage=ssd" if number % 2 else "storage=disk"]
        here = REGISTRY[:1]
        engine = LabEngine(lab, f"node-{number}", address, labels=labels, images=here)
        engine.registry = {name: Image.named(name) for name in REGISTRY}
        engine.plug()
    return lab.network.apps


def welcome(world: World, host: str, count: int) -> EventHandler:
    """Return a handler that says how to begin, when so many engines are there."""
    place = f"http://{host.removeprefix('tcp://')}"
    if host.startswith("unix://"):
        place = f"--unix-socket {host.removeprefix('unix://')} http://swarm"
    names = ", ".join(PROGRAMS)
    text = WELCOME.format(count=count, host=host, place=place, programs=names)
    waited_for = iter(range(count - 1, -1, -1))

    def handle(event: Event) -> None:
        if event.status == "engine_connect" and next(waited_for, None) == 0:
            # Below the line of the log that tells it of the last one.
            asyncio.get_running_loop().call_soon(world.print, text)

    return handle


async def found_cluster(
    world: World, hub: str, addresses: list[str], host: str, strategy: str
) -> None:
    """Create a cluster, let engines join it, and manage it, until cancelled."""
    url = f"token://{await create_cluster(hub, world)}"
    line = ["--host", host, "--strategy", strategy, "--heartbeat", "1s"]
    manager = new_manager(flags_of([*line, "--hub", hub, url], world), world)
    count = len(addresses)
    manager.cluster.register_event_handler(welcome(world, host, count))
    options = {"token.hub": hub}
    nodes = (join(world, url, address, options=options) for address in addresses)
    await together([manager.run(), *nodes])


@click.command(cls=Command, short_help="Run a whole cluster to play with")
@flag("--host", "-H", default=HOST, help="ip:port or unix://path of the manager")
@flag("--engines", default="3", help="how many engines there are")
@flag("--strategy", default="spread", help="placement strategy to use")
@click.pass_obj
async def lab_command(world: World, host: str, strategy: str, **flags: str) -> None:
    """Run a hub, a manager and engines that are no Docker, all on this machine."""
    count = limit("engines", flags["engines"])
    with ExitStack() as stack:
        at_hub, *at_engines = (
            stack.enter_context(new_listener(FREE)) for _ in range(count + 1)
        )
        hub = stack.enter_context(closing(Hub(world)))
        addresses = [address_of(each) for each in at_engines]
        engines = new_engines(addresses)
        works = [serve(hub, at_hub, None, world)]
        for address, listener in zip(addresses, at_engines, strict=True):
            works.append(serve(engines[address], listener, None, world))
        url = f"http://{address_of(at_hub)}"
        works.append(found_cluster(world, url, addresses, host, strategy))
        await together(works)
