"""The command `manage`: cli/manage.go of Swarm v1.2.9.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| the flags                                 | `Flags`, and above `manage_command` |
| what comes before `loadTLSConfig`         | `tls_of`                            |
| the checks of the intervals               | `engine_options`                    |
| `createDiscovery`                         | `create_discovery`                  |
| the switch over the drivers               | `create_cluster`                    |
| `getCandidateAndFollower`                 | `candidate_and_follower`            |
| `logHandler`                              | `log_event`                         |
| `statusHandler`                           | in `create_primary`, and `role`     |
| `setupReplication`                        | `manage_with_others`                |
| `manage`                                  | `new_manager`, `Manager.run`        |
"""

import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import click

from walkthroughs.swarm import discovery, filters, strategies
from walkthroughs.swarm.api_server import Server
from walkthroughs.swarm.cluster import SHORT, ClusterError
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
    switch,
)
from walkthroughs.swarm.discovery import Backend, DiscoveryError
from walkthroughs.swarm.events import Event, EventHandler
from walkthroughs.swarm.everywhere import together
from walkthroughs.swarm.golang import check_addr_format, parse_duration, quote
from walkthroughs.swarm.handler import Context, Pairs
from walkthroughs.swarm.health import EngineOptions
from walkthroughs.swarm.join import require
from walkthroughs.swarm.kv import KV
from walkthroughs.swarm.leadership import (
    LEADER_ELECTION_PATH,
    Candidate,
    Follower,
    Replication,
    role,
)
from walkthroughs.swarm.new_cluster import Cluster, new_cluster
from walkthroughs.swarm.replica import Replica
from walkthroughs.swarm.router import Primary, new_primary
from walkthroughs.swarm.scheduler import Scheduler
from walkthroughs.swarm.tls_config import TLS, load_tls
from walkthroughs.swarm.watchdog import Watchdog
from walkthroughs.swarm.world import World

HOST = "tcp://127.0.0.1:2375"
INT64 = 2**63


class Words(click.ParamType[str]):
    """A text of which there may be several; in a variable, with commas between."""

    name = "words"

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        return [word.strip() for word in rv.split(",")]


class Int(click.ParamType[int]):
    """A whole number in the spellings of `strconv.ParseInt`: `16`, `0x10`, `020`."""

    name = "int"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        option = param.opts[0].removeprefix("-") if param else "-"
        invalid = f"invalid value {quote(value)} for flag {option}"
        try:
            number = int(re.sub("^([-+]?)0(?=_?[0-9])", r"\g<1>0o", value), 0)
        except ValueError:
            self.fail(f"{invalid}: parse error")
        if not -INT64 <= number < INT64:
            self.fail(f"{invalid}: value out of range")
        return number


@dataclass(frozen=True)
class Flags:
    """What the command line says; None is a flag that was not given."""

    arguments: tuple[str, ...]
    strategy: str
    filter: tuple[str, ...]
    host: tuple[str, ...]
    replication: bool
    replication_ttl: str
    advertise: str
    tls: bool
    tlscacert: str | None
    tlscert: str | None
    tlskey: str | None
    tlsverify: bool
    engine_refresh_min_interval: str
    engine_refresh_max_interval: str
    engine_failure_retry: int
    engine_refresh_retry: int
    heartbeat: str
    api_enable_cors: bool
    cluster_driver: str
    options: tuple[str, ...]
    """Of the discovery."""
    hub: str
    cluster_opt: tuple[str, ...]
    refresh_on_node_filter: bool
    container_name_refresh_filter: str
    debug: bool = False
    """Of the program, as the next."""
    experimental: bool = False


def tls_of(flags: Flags) -> TLS:
    """Return what the flags ask for; raise `Fatal`."""
    ca, cert, key = flags.tlscacert, flags.tlscert, flags.tlskey
    if not (flags.tls or flags.tlsverify):
        given = "--tlscert, --tlskey and --tlscacert"
        alone = ca is cert is key is None
        require(alone, f"{given} require the use of either --tls or --tlsverify")
        return TLS()
    if cert is None or key is None:
        raise Fatal("--tlscert and --tlskey must be provided when using --tls")
    if flags.tlsverify and ca is None:
        raise Fatal("--tlscacert must be provided when using --tlsverify")
    return load_tls(ca or "", cert, key, flags.tlsverify)


def interval(text: str) -> float:
    """Return seconds; what is no duration is 0."""
    try:
        return parse_duration(text)
    except ValueError:
        return 0.0


def engine_options(flags: Flags) -> EngineOptions:
    """Return how engines are to be watched; raise `Fatal`."""
    least = interval(flags.engine_refresh_min_interval)
    most = interval(flags.engine_refresh_max_interval)
    require(least > 0, "min refresh interval should be a positive number")
    less = "max refresh interval cannot be less than min refresh interval"
    require(most >= least, less)
    deprecated = "--engine-refresh-retry is deprecated. Use --engine-failure-retry"
    require(flags.engine_refresh_retry == 3, deprecated)
    require(flags.engine_failure_retry > 0, "invalid failure retry count")
    return EngineOptions(least, most, flags.engine_failure_retry)


def create_discovery(flags: Flags, world: World) -> Backend:
    """Return where engines are looked up; raise `Fatal`."""
    url = get_discovery(flags.arguments)
    require(url, "discovery required to manage a cluster. See 'swarm manage --help'.")
    beat = seconds("heartbeat", flags.heartbeat)
    require(beat >= 1, "--heartbeat should be at least one second")
    options = get_discovery_opt(flags.options, flags.hub)
    try:
        return discovery.new(url, beat, 0, options, world)
    except DiscoveryError as error:
        raise Fatal(str(error)) from None


def create_cluster(
    flags: Flags,
    backend: Backend,
    options: EngineOptions,
    tls: ssl.SSLContext | None,
    world: World,
) -> Cluster:
    """Return a cluster that does not run yet; raise `Fatal`."""
    try:
        strategy = strategies.new(flags.strategy, world.random)
        chosen = filters.new(flags.filter or filters.FILTERS, world.log.error)
        driver = quote(flags.cluster_driver)
        require(driver == '"swarm"', f"unsupported cluster {driver}")
        scheduler = Scheduler(strategy, chosen)
        return new_cluster(scheduler, tls, backend, flags.cluster_opt, options, world)
    except (ClusterError, ValueError) as error:
        raise Fatal(str(error)) from None


def candidate_and_follower(
    flags: Flags, backend: Backend
) -> tuple[Candidate, Follower]:
    """Return who runs for election, and who watches it; raise `Fatal`."""
    addr = flags.advertise
    # So the flag --replication was called at first.
    given = "--advertise address must be provided when using --leader-election"
    require(addr, given)
    form = "--advertise should be of the form ip:port or hostname:port"
    require(check_addr_format(addr), form)
    ttl = seconds("replication-ttl", flags.replication_ttl)
    require(ttl > 0, "--replication-ttl should be a positive number")
    if not isinstance(backend, KV):
        stores = "consul, etcd and zookeeper discovery"
        raise Fatal(f"Leader election is only supported with {stores}.")
    _, uri = discovery.parse(get_discovery(flags.arguments))
    parts = f"{uri.partition('/')[2]}/{LEADER_ELECTION_PATH}".split("/")
    key = "/".join(filter(None, parts))
    return Candidate(backend.store, key, addr, ttl), Follower(backend.store, key)


def log_event(world: World) -> EventHandler:
    """Return a handler that writes events into the log, for who debugs."""

    def handle(event: Event) -> None:
        said = {"id": str(event.raw.get("id") or "")[:SHORT], "from": event.origin}
        node, status = event.engine.name, event.status
        world.log.debug("Event received", node=node, status=status, **said)

    return handle


def create_primary(
    flags: Flags,
    cluster: Cluster,
    tls: ssl.SSLContext | None,
    who: Callable[[], Pairs],
) -> Primary:
    """Return the API of a cluster; `who` begins what `docker info` shows of it."""
    context = Context(
        cluster,
        cluster.world,
        cluster.new_api_event_handler(),
        status=lambda: [*who(), *cluster.info()],
        tls=tls,
        debug=flags.debug,
        experimental=flags.experimental,
        refresh_on_node_filter=flags.refresh_on_node_filter,
        container_name_refresh_filter=flags.container_name_refresh_filter,
    )
    return new_primary(context, flags.api_enable_cors)


@dataclass
class Manager:
    """The parts of a manager, put together."""

    cluster: Cluster
    server: Server
    replication: Replication | None = None

    async def run(self) -> None:
        """Manage until cancelled; raise `Fatal` as soon as one part fails."""
        works = [self.cluster.run(), self.server.listen_and_serve()]
        if self.replication:
            works.append(self.replication.run())
        await together(works)


def manage_alone(manager: Manager, flags: Flags, tls: ssl.SSLContext | None) -> None:
    """Make a manager the only one of its cluster."""
    cluster = manager.cluster
    who = [("Role", "primary")]
    manager.server.set_handler(create_primary(flags, cluster, tls, lambda: who))
    watchdog = Watchdog(cluster, cluster.world, cluster.spawn)
    cluster.register_event_handler(watchdog.handle)


def manage_with_others(
    manager: Manager, flags: Flags, tls: ssl.SSLContext | None
) -> None:
    """Make a manager one of several; raise `Fatal`."""
    cluster, server = manager.cluster, manager.server
    candidate, follower = candidate_and_follower(flags, cluster.discovery)
    primary = create_primary(flags, cluster, tls, partial(role, candidate, follower))
    replica = Replica(primary, tls, flags.advertise, cluster.world)
    manager.replication = Replication(
        candidate,
        follower,
        primary,
        replica,
        server.set_handler,
        cluster,
        cluster.world,
        cluster.spawn,
    )


def new_manager(flags: Flags, world: World) -> Manager:
    """Return what the flags ask for; raise `Fatal` for the first that is wrong."""
    tls = tls_of(flags)
    options = engine_options(flags)
    backend = create_discovery(flags, world)
    cluster = create_cluster(flags, backend, options, tls.client, world)
    cluster.register_event_handler(log_event(world))
    manager = Manager(cluster, Server(flags.host or [HOST], tls.server, world))
    complete = manage_with_others if flags.replication else manage_alone
    complete(manager, flags, tls.client)
    return manager


@click.command(cls=Command, short_help="Manage a docker cluster")
@flag(
    "--strategy",
    default=strategies.NAMES[0],
    help=f"placement strategy to use [{', '.join(strategies.NAMES)}]",
)
@flag(
    "--filter",
    "-f",
    multiple=True,
    metavar="FILTER",
    help=f"filter to use, instead of all [{', '.join(filters.FILTERS)}]",
)
@flag(
    "--host",
    "-H",
    type=Words(),
    multiple=True,
    metavar=quote(HOST),
    envvar="SWARM_HOST",
    help="ip:port or unix://path to listen on",
)
@switch("--replication", help="be one of several managers, of which one acts")
@flag("--replication-ttl", default="20s", help="after so long, a dead one is replaced")
@flag(
    "--advertise",
    "--addr",
    default="",
    envvar="SWARM_ADVERTISE",
    help="address of this manager; the other ones must reach it there",
)
@switch("--tls", help="use TLS; implied by --tlsverify=true")
@flag("--tlscacert", metavar="FILE", help="trust only whom this authority has signed")
@flag("--tlscert", metavar="FILE", help="certificate, for clients and engines")
@flag("--tlskey", metavar="FILE", help="the key to it")
@switch("--tlsverify", help="use TLS and verify the remote")
@flag("--engine-refresh-min-interval", default="30s", help="least time between looks")
@flag("--engine-refresh-max-interval", default="60s", help="most time between looks")
@flag("--engine-failure-retry", type=Int(), default="3", help="until it is unhealthy")
@flag("--engine-refresh-retry", type=Int(), default="3", help="deprecated, see above")
@flag("--heartbeat", default="60s", help="period between each look at the discovery")
@switch("--api-enable-cors", "--cors", help="let the pages of any site use the API")
@flag("--cluster-driver", "-c", default="swarm", help="cluster driver to use [swarm]")
@discovery_opt_option
@hub_option
@flag(
    "--cluster-opt",
    multiple=True,
    metavar="KEY=VALUE",
    help="swarm.overcommit=0.05: share of an engine that may be promised beyond all; "
    "swarm.createretry=0: tries after the first",
)
@switch("--refresh-on-node-filter", help="refresh all for `docker ps -f node=...`")
@flag(
    "--container-name-refresh-filter",
    default="",
    metavar="NAME",
    help="refresh all for `docker ps -f name=NAME`",
)
@arguments
@click.pass_context
async def manage_command(context: click.Context, **given: Any) -> None:
    """Manage the engines of a cluster as if they were one."""
    program = context.find_root().params
    debug, experimental = program.get("debug"), program.get("experimental")
    flags = Flags(**given, debug=bool(debug), experimental=bool(experimental))
    await new_manager(flags, context.obj).run()


def flags_of(line: Sequence[str], world: World) -> Flags:
    """Return what a command line says, without the command; raise `Fatal`."""
    context = manage_command.make_context("manage", list(line), obj=world)
    return Flags(**context.params)
