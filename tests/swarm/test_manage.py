"""The command manage: its flags, checks and messages, which were measured, and its parts."""

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import replace
from io import StringIO

import httpx2
import pytest
import trustme

from tests.swarm.little_etcd import LittleEtcd
from walkthroughs.swarm.api_server import new_listener
from walkthroughs.swarm.command import Fatal
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.http_protocol import serve
from walkthroughs.swarm.lab import Lab
from walkthroughs.swarm.lab_command import RealClock, address_of
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.main import main, register_backends
from walkthroughs.swarm.manage import HOST, Flags, flags_of, new_manager
from walkthroughs.swarm.tls_config import load_tls
from walkthroughs.swarm.world import World

NOW = 'time="2017-07-14T02:40:00Z" '
LISTENING = f'{NOW}level=info msg="Listening for HTTP" addr=x proto=udp\n'
END = f'{NOW}level=fatal msg="unsupported protocol: \\"udp\\""\n'
"""How a line with `-H udp://x` ends when nothing else is wrong with it."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Return a directory with ca.pem, cert.pem and key.pem."""
    place = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(place / "ca.pem")
    made.cert_chain_pems[0].write_to_path(place / "cert.pem")
    made.private_key_pem.write_to_path(place / "key.pem")
    return place


@pytest.fixture
def here(certificates, monkeypatch):
    monkeypatch.chdir(certificates)


def said(arguments):
    """Return exit code and log of a command line, which ends before the clock moves."""
    out, err = StringIO(), StringIO()
    world = Lab().world("manager", out)
    world.stderr = err
    return main(arguments, world), out.getvalue() + err.getvalue()


def fatal(line):
    """Return the last message of a command line that is refused."""
    # If it is not refused, it shall end all the same.
    code, log = said(["manage", "-H", "udp://z", *line.split()])
    assert code == 1
    found = re.fullmatch(r'time="\S+" level=fatal msg=(".*")', log.splitlines()[-1])
    return json.loads(found[1])


NO_DISCOVERY = "discovery required to manage a cluster. See 'swarm manage --help'."
NO_KEY_PAIR = "--tlscert and --tlskey must be provided when using --tls"
NO_TLS = "--tlscert, --tlskey and --tlscacert require the use of either --tls or --tlsverify"
NO_PAIR = "Couldn't load X509 key pair"
NO_FILE = "no such file or directory"
LESS = "max refresh interval cannot be less than min refresh interval"
FORM = "--advertise should be of the form ip:port or hostname:port"
REPLICATION = "--advertise address must be provided when using --leader-election"
STORES = "Leader election is only supported with consul, etcd and zookeeper discovery."
RETRY = "for flag -engine-failure-retry"
PAIR = "--tlscert cert.pem --tlskey key.pem"

REFUSED = [
    ("", NO_DISCOVERY),
    ("nodes://a:1 b", NO_DISCOVERY),
    ("--host udp://x -H udp://y a:1", "Cannot use two forms of the same flag: H host"),
    ("-f health --filter port a:1", "Cannot use two forms of the same flag: f filter"),
    (
        "-c swarm --cluster-driver swarm a:1",
        "Cannot use two forms of the same flag: c cluster-driver",
    ),
    (
        "--api-enable-cors --cors a:1",
        "Cannot use two forms of the same flag: cors api-enable-cors",
    ),
    (
        "--advertise a:1 --addr a:1 a:1",
        "Cannot use two forms of the same flag: addr advertise",
    ),
    ("--nonsense a:1", "flag provided but not defined: -nonsense"),
    ("--tls a:1", NO_KEY_PAIR),
    ("--tls --tlscert cert.pem a:1", NO_KEY_PAIR),
    ("--tls --tlskey key.pem a:1", NO_KEY_PAIR),
    ("--tlsverify a:1", NO_KEY_PAIR),
    (f"--tlsverify {PAIR} a:1", "--tlscacert must be provided when using --tlsverify"),
    (
        f"--tlsverify {PAIR} --tlscacert= a:1",
        f"Couldn't read CA certificate: open : {NO_FILE}",
    ),
    (
        f"--tlsverify {PAIR} --tlscacert none.pem a:1",
        f"Couldn't read CA certificate: open none.pem: {NO_FILE}",
    ),
    ("--tlscert cert.pem a:1", NO_TLS),
    ("--tlskey= a:1", NO_TLS),
    ("--tlscacert ca.pem a:1", NO_TLS),
    ("--tls=false --tlscert cert.pem a:1", NO_TLS),
    (
        "--tls --tlscert none.pem --tlskey none.key a:1",
        f"{NO_PAIR} (none.pem, none.key): open none.pem: {NO_FILE}. Key encrypted?",
    ),
    (
        "--tls --tlscert cert.pem --tlskey none.key a:1",
        f"{NO_PAIR} (cert.pem, none.key): open none.key: {NO_FILE}. Key encrypted?",
    ),
    ("--engine-refresh-min-interval 0s a:1", "min refresh interval should be a positive number"),
    ("--engine-refresh-min-interval -1s a:1", "min refresh interval should be a positive number"),
    ("--engine-refresh-min-interval x a:1", "min refresh interval should be a positive number"),
    ("--engine-refresh-min-interval 61s a:1", LESS),
    ("--engine-refresh-max-interval 29s a:1", LESS),
    ("--engine-refresh-max-interval soon a:1", LESS),
    (
        "--engine-refresh-retry 4 a:1",
        "--engine-refresh-retry is deprecated. Use --engine-failure-retry",
    ),
    ("--engine-failure-retry 0 a:1", "invalid failure retry count"),
    ("--engine-failure-retry -1 a:1", "invalid failure retry count"),
    ("--engine-failure-retry=-1 a:1", "invalid failure retry count"),
    ("--engine-failure-retry 1__0 a:1", f'invalid value "1__0" {RETRY}: parse error'),
    ("--engine-failure-retry many a:1", f'invalid value "many" {RETRY}: parse error'),
    ("--engine-failure-retry= a:1", f'invalid value "" {RETRY}: parse error'),
    ("--engine-failure-retry 3.0 a:1", f'invalid value "3.0" {RETRY}: parse error'),
    (
        "--engine-failure-retry 9223372036854775808 a:1",
        f'invalid value "9223372036854775808" {RETRY}: value out of range',
    ),
    ("--engine-failure-retry", "flag needs an argument: -engine-failure-retry"),
    ("--heartbeat soon a:1", 'invalid --heartbeat: time: invalid duration "soon"'),
    ("--heartbeat 0 a:1", "--heartbeat should be at least one second"),
    ("--heartbeat 999ms a:1", "--heartbeat should be at least one second"),
    ("--discovery-opt x a:1", "--discovery-opt must contain key=value strings"),
    ("--discovery-opt a=b --discovery-opt c a:1", "--discovery-opt must contain key=value strings"),
    ("gopher://x", "discovery service not supported"),
    ("token://", "token is empty"),
    (
        "a",
        "address a: missing port in address, "
        "please check you are using the correct discovery (missing token:// ?)",
    ),
    ("--strategy Spread a:1", "strategy not supported"),
    ("--strategy= a:1", "strategy not supported"),
    ("-f port,health a:1", "filter not supported"),
    ("-f port -f nonsense a:1", "filter not supported"),
    ("-f= a:1", "filter not supported"),
    ("-c mesos a:1", 'unsupported cluster "mesos"'),
    ("--cluster-driver= a:1", 'unsupported cluster ""'),
    (
        "--cluster-opt swarm.overcommit=-1 a:1",
        "swarm.overcommit should be larger than -1, -1.000000 is invalid",
    ),
    (
        "--cluster-opt swarm.createretry=-1 a:1",
        "swarm.createretry can not be negative, -1 is invalid",
    ),
    (
        "--replication a:1",
        REPLICATION,
    ),
    ("--replication --advertise x a:1", FORM),
    ("--replication --addr :0 a:1", FORM),
    ("--replication --advertise a:65536 a:1", FORM),
    (
        "--replication --advertise a:1 --replication-ttl soon a:1",
        'invalid --replication-ttl: time: invalid duration "soon"',
    ),
    (
        "--replication --advertise a:1 --replication-ttl 0s a:1",
        "--replication-ttl should be a positive number",
    ),
    (
        "--replication --advertise a:1 --replication-ttl -1s a:1",
        "--replication-ttl should be a positive number",
    ),
    ("--replication --advertise a:1 a:1", STORES),
    ("--replication --advertise a:1 token://cafe", STORES),
]

ACCEPTED = [
    "a:1",
    f"--tls {PAIR} a:1",
    f"--tls {PAIR} --tlscacert none.pem a:1",
    f"--tlsverify {PAIR} --tlscacert ca.pem a:1",
    f"--tlsverify --tls=false {PAIR} --tlscacert ca.pem a:1",
    "--engine-refresh-min-interval 60s a:1",
    "--engine-refresh-min-interval 1ns --engine-refresh-max-interval 1ns a:1",
    "--engine-refresh-retry 3 a:1",
    "--engine-refresh-retry 0x3 a:1",
    "--engine-failure-retry 1 a:1",
    "--engine-failure-retry 010 a:1",
    "--engine-failure-retry 1_000 a:1",
    "--engine-failure-retry 9223372036854775807 a:1",
    "--heartbeat 1s a:1",
    "--discovery-opt =x a:1",
    "--strategy spread a:1",
    "--strategy binpack a:1",
    "--strategy binpacking a:1",
    "--strategy random a:1",
    "--filter port a:1",
    "-f port -f health a:1",
    "--cluster-opt swarm.overcommit=much a:1",
    "--cluster-opt swarm.createretry=2 a:1",
    "--cluster-opt swarm.createretry=x a:1",
    "--cluster-opt nonsense=1 a:1",
    "--advertise x a:1",
    "--replication-ttl soon a:1",
    "--cors a:1",
    "--refresh-on-node-filter --container-name-refresh-filter x a:1",
]

MISTAKES = [
    # In the order in which they are found: the mistake, the message, the discovery then.
    ("--tls", NO_KEY_PAIR, ""),
    ("--engine-refresh-min-interval 0s", "min refresh interval should be a positive number", ""),
    ("--engine-refresh-max-interval 1s", LESS, ""),
    (
        "--engine-refresh-retry 4",
        "--engine-refresh-retry is deprecated. Use --engine-failure-retry",
        "",
    ),
    ("--engine-failure-retry 0", "invalid failure retry count", ""),
    ("", NO_DISCOVERY, ""),
    ("--heartbeat 0s", "--heartbeat should be at least one second", "gopher://x"),
    ("--discovery-opt x", "--discovery-opt must contain key=value strings", "gopher://x"),
    ("", "discovery service not supported", "gopher://x"),
    ("--strategy x", "strategy not supported", "a:1"),
    ("--filter x", "filter not supported", "a:1"),
    ("--cluster-driver x", 'unsupported cluster "x"', "a:1"),
    (
        "--cluster-opt swarm.overcommit=-2",
        "swarm.overcommit should be larger than -1, -2.000000 is invalid",
        "a:1",
    ),
    (
        "--cluster-opt swarm.createretry=-2",
        "swarm.createretry can not be negative, -2 is invalid",
        "a:1",
    ),
    ("--replication --advertise=", REPLICATION, "a:1"),
    ("--replication --advertise=x", FORM, "a:1"),
    (
        "--replication --advertise a:1 --replication-ttl 0s",
        "--replication-ttl should be a positive number",
        "a:1",
    ),
    ("--replication --advertise a:1", STORES, "a:1"),
    ("-H udp://x", 'unsupported protocol: "udp"', "a:1"),
]

ORDER = [
    # What is given twice counts as it was given last, so the first mistakes come last.
    (" ".join([*(row[0] for row in reversed(MISTAKES[number:])), url]), message)
    for number, (_, message, url) in enumerate(MISTAKES)
]


@pytest.mark.parametrize(("line", "message"), REFUSED)
def test_what_is_refused_is_refused_in_the_originals_words(here, line, message):
    assert fatal(line) == message


@pytest.mark.parametrize("line", ACCEPTED)
def test_what_is_just_right_comes_as_far_as_listening(here, line):
    assert said(["manage", "-H", "udp://x", *line.split()]) == (1, LISTENING + END)


@pytest.mark.parametrize(("line", "message"), ORDER)
def test_checks_come_in_the_original_order(line, message):
    assert fatal(line) == message


def test_the_original_says_the_same(here):
    if not (program := os.environ.get("REF_SWARM")):
        pytest.skip("REF_SWARM names no binary of the original")
    accepted = [(f"-H udp://x {line}", 'unsupported protocol: "udp"') for line in ACCEPTED]
    for line, message in [*REFUSED, *ORDER, *accepted]:
        done = subprocess.run([program, "manage", *line.split()], capture_output=True, text=True)
        if done.returncode == 2:
            # Its help panics, before it says what was wrong with the flags.
            first = message if message.startswith("Cannot use") else "Incorrect Usage."
            assert done.stdout.splitlines()[0] == first, line
            continue
        last = done.stdout.splitlines()[-1]
        assert json.loads(re.search(' msg=(".*") $', last)[1]) == message, line


@pytest.mark.parametrize("name", ["manage", "m"])
@pytest.mark.parametrize("host", ["-H udp://x", "-H=udp://x", "--host udp://x", "-host=udp://x"])
def test_names_and_forms(name, host):
    assert said([name, *host.split(), "a:1"]) == (1, LISTENING + END)


def test_flags_may_follow_the_discovery():
    assert said(["manage", "a:1", "-H", "udp://x"]) == (1, LISTENING + END)


def test_an_overcommit_below_zero_is_warned_of():
    warning = (
        f'{NOW}level=warning msg="-1 < swarm.overcommit < 0 will make swarm take less resource '
        'than docker engine offers"\n'
    )
    line = "manage -H udp://x --cluster-opt swarm.overcommit=-0.5 a:1"
    assert said(line.split()) == (1, warning + LISTENING + END)


def test_a_cluster_option_without_a_value_does_not_panic_as_in_the_original():
    line = "manage -H udp://x --cluster-opt swarm.overcommit a:1"
    assert said(line.split()) == (1, LISTENING + END)


FLAGS = """
--strategy --filter --host --replication --replication-ttl --advertise --tls --tlscacert
--tlscert --tlskey --tlsverify --engine-refresh-min-interval --engine-refresh-max-interval
--engine-failure-retry --engine-refresh-retry --heartbeat --api-enable-cors --cluster-driver
--discovery-opt --hub --cluster-opt --refresh-on-node-filter --container-name-refresh-filter
"""


def test_help_lists_the_flags_in_the_originals_order_and_hub():
    code, text = said(["manage", "--help"])
    assert code == 0
    assert re.findall(r"^  (--\S+?),? ", text, re.MULTILINE) == [*FLAGS.split(), "--help"]


def test_help_tells_defaults_and_variables():
    _, text = said(["manage", "--help"])
    defaults = re.findall(r'^  --(\S+?)(?:, -\S+)? ("[^"]+")', text, re.MULTILINE)
    assert dict(defaults) == {
        "strategy": '"spread"',
        "host": '"tcp://127.0.0.1:2375"',
        "replication-ttl": '"20s"',
        "engine-refresh-min-interval": '"30s"',
        "engine-refresh-max-interval": '"60s"',
        "engine-failure-retry": '"3"',
        "engine-refresh-retry": '"3"',
        "heartbeat": '"60s"',
        "cluster-driver": '"swarm"',
    }
    assert re.findall(r"\[\$(\w+)\]", text) == ["SWARM_HOST", "SWARM_ADVERTISE", "SWARM_HUB"]


def parsed(line):
    return flags_of(line.split(), Lab().world("manager"))


DEFAULTS = Flags(
    arguments=("a:1",),
    strategy="spread",
    filter=(),
    host=(),
    replication=False,
    replication_ttl="20s",
    advertise="",
    tls=False,
    tlscacert=None,
    tlscert=None,
    tlskey=None,
    tlsverify=False,
    engine_refresh_min_interval="30s",
    engine_refresh_max_interval="60s",
    engine_failure_retry=3,
    engine_refresh_retry=3,
    heartbeat="60s",
    api_enable_cors=False,
    cluster_driver="swarm",
    options=(),
    hub="",
    cluster_opt=(),
    refresh_on_node_filter=False,
    container_name_refresh_filter="",
)


def test_defaults():
    assert parsed("a:1") == DEFAULTS
    manager = new_manager(DEFAULTS, registered().world("manager"))
    assert manager.server.hosts == [HOST] == ["tcp://127.0.0.1:2375"]
    names = "health, port, containerslots, dependency, affinity, constraint, whitelist"
    assert manager.cluster.scheduler.filters == names
    options = manager.cluster.options
    assert (options.refresh_min_interval, options.refresh_max_interval) == (30, 60)
    assert options.failure_retry == 3
    assert manager.cluster.overcommit == 0.05
    assert manager.cluster.create_retry == 0


def test_what_is_given_replaces_the_default_and_keeps_its_order():
    flags = parsed("-H a:1 -H unix:///b -f port -f health a:1")
    manager = new_manager(flags, registered().world("manager"))
    assert manager.server.hosts == ["a:1", "unix:///b"]
    assert manager.cluster.scheduler.filters == "port, health"


def test_numbers_are_in_the_spellings_of_go():
    for text, number in {"0x10": 16, "010": 8, "0o17": 15, "0b11": 3, "1_000": 1000}.items():
        assert parsed(f"--engine-failure-retry {text} a:1").engine_failure_retry == number


def test_swarm_host_has_several_hosts_with_commas_between(monkeypatch):
    monkeypatch.setenv("SWARM_HOST", "tcp://a:1, unix:///b")
    assert parsed("a:1").host == ("tcp://a:1", "unix:///b")


def test_a_host_that_is_given_counts_and_the_variable_does_not(monkeypatch):
    # In the original, the second of the variable would stay.
    monkeypatch.setenv("SWARM_HOST", "tcp://a:1,tcp://b:1")
    assert parsed("-H c:1 a:1").host == ("c:1",)


def test_advertise_and_discovery_from_the_environment(monkeypatch):
    monkeypatch.setenv("SWARM_ADVERTISE", "x")
    monkeypatch.setenv("SWARM_DISCOVERY", "a:1")
    assert fatal("--replication") == FORM
    assert fatal("--replication --addr a:1") == STORES


def test_a_variable_that_is_empty_is_none(monkeypatch):
    monkeypatch.setenv("SWARM_HOST", "")
    assert parsed("a:1").host == ()


def registered():
    """Return a lab in whose worlds discovery knows its backends."""
    lab = Lab()
    register_backends(lab.world("any"))
    return lab


def in_a_lab(test):
    """Run a test in a lab with three engines, `node-1` with a disk that is quick."""

    def run(*arguments, **more):
        async def program():
            async with registered() as lab:
                for number, label in enumerate(("ssd", "disk", "disk"), 1):
                    name = f"node-{number}"
                    labels = [f"storage={label}"]
                    LabEngine(lab, name, f"{name}:2375", labels=labels).plug()
                await test(lab, *arguments, **more)

        asyncio.run(program())

    run.__name__ = test.__name__
    return run


NODES = "node-[1:3]:2375"


def manage(lab, line, name="manager", **program):
    """Start a manager in a lab; it listens nowhere, but its handler is on the network."""
    world = lab.world(name, StringIO())
    world.log.stream = world.stdout
    world.log.level = "debug"
    manager = new_manager(replace(flags_of(line.split(), world), **program), world)
    lab.network.plug(f"{name}:2375", manager.server.dispatcher)
    lab.start(f"{name}'s cluster", manager.cluster.run())
    if manager.replication:
        lab.start(f"{name}'s replication", manager.replication.run())
    return manager


async def ask(lab, method, path, server="manager", **options):
    """Return what a client is answered by then."""
    answers = []

    async def talk():
        async with lab.world("client").client(f"http://{server}:2375") as client:
            answers.append(await client.request(method, path, **options))

    lab.start("client", talk())
    await lab.run(1)
    return answers[0]


async def status(lab, server="manager"):
    return dict((await ask(lab, "GET", "/info", server)).json()["SystemStatus"])


@in_a_lab
async def test_the_parts_are_put_together_as_the_flags_say(lab):
    manage(lab, f"--strategy binpack -f health -f constraint {NODES}")
    await lab.run(1)
    told = await status(lab)
    assert (told["Role"], told["Nodes"]) == ("primary", "3")
    assert (told["Strategy"], told["Filters"]) == ("binpack", "health, constraint")
    assert "Primary" not in told


@in_a_lab
async def test_a_container_moves_when_its_engine_dies(lab):
    manager = manage(lab, f"-f health {NODES}")
    await lab.run(1)
    raw = {"Image": "busybox", "Cmd": ["top"], "Env": ["reschedule:on-node-failure"]}
    made = await ask(lab, "POST", "/containers/create?name=web", json=raw)
    assert made.status_code == 201
    (web,) = manager.cluster.containers()
    lab.network.unplug(web.engine.addr)
    await lab.run(300)
    (moved,) = manager.cluster.containers()
    assert moved.engine.name != web.engine.name


@in_a_lab
async def test_cors_is_off_unless_it_is_asked_for(lab):
    manage(lab, NODES)
    manage(lab, f"--cors {NODES}", "other")
    fields = "Access-Control-Allow-Origin"
    assert fields not in (await ask(lab, "GET", "/_ping")).headers
    assert (await ask(lab, "GET", "/_ping", "other")).headers[fields] == "*"


@in_a_lab
async def test_what_is_said_of_the_program_comes_as_far_as_the_handlers(lab):
    line = f"--refresh-on-node-filter --container-name-refresh-filter web {NODES}"
    manager = manage(lab, line, debug=True, experimental=True)
    context = manager.server.dispatcher.handler.context
    assert (context.debug, context.experimental) == (True, True)
    assert (context.refresh_on_node_filter, context.container_name_refresh_filter) == (True, "web")


@in_a_lab
async def test_who_debugs_sees_every_event(lab):
    manager = manage(lab, "node-1:2375")
    await lab.run(1)
    raw = {"Image": "busybox", "Cmd": ["top"]}
    config = ContainerConfig.build(raw)
    lab.start("create", manager.cluster.create_container(config, "web", {}))
    await lab.run(1)
    (web,) = manager.cluster.containers()
    lines = [
        line for line in manager.cluster.world.stdout.getvalue().splitlines() if "Event" in line
    ]
    told = [line.partition("level=")[2] for line in lines]
    event = 'debug msg="Event received"'
    assert told == [
        f'{event} from="swarm" id= node=node-1 status=engine_connect'.replace('"swarm"', "swarm"),
        f"{event} from=busybox id={web.id[:12]} node=node-1 status=create",
    ]


def test_the_first_error_ends_all(monkeypatch):
    ended = []

    async def program():
        world = registered().world("manager", StringIO())
        manager = new_manager(flags_of(["-H", "udp://x", "a:1"], world), world)
        close = manager.cluster.close_watch_queues
        monkeypatch.setattr(manager.cluster, "close_watch_queues", lambda: ended.append(close()))
        with pytest.raises(Fatal, match=r'^unsupported protocol: "udp"$'):
            await manager.run()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(program())
    assert ended == [None]


REPLICATED = "--replication --advertise {}:2375 --replication-ttl 20s etcd://store:2379/here"


@in_a_lab
async def test_with_replication_one_of_two_is_the_primary(lab):
    store = LittleEtcd(lab)
    lab.network.plug("store:2379", store)
    first = manage(lab, REPLICATED.format("first"), "first")
    await lab.run(1)
    second = manage(lab, REPLICATED.format("second"), "second")
    await lab.run(1)
    assert store.value("here/docker/swarm/leader") == "first:2375"
    assert first.replication.candidate.ttl == 20
    assert (await status(lab, "first"))["Role"] == "primary"
    told = await status(lab, "second")
    assert (told["Role"], told["Primary"]) == ("replica", "first:2375")
    assert second.cluster.world.log.level == "debug"


@in_a_lab
async def test_only_the_primary_has_a_watchdog(lab):
    lab.network.plug("store:2379", LittleEtcd(lab))
    managers = [manage(lab, REPLICATED.format(name), name) for name in ("first", "second")]
    await lab.run(1)
    said = [each.cluster.world.stdout.getvalue().count("Watchdog enabled") for each in managers]
    assert said == [1, 0]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_sigterm_ends_the_watches_and_the_manager_without_a_word(commands, tmp_path):
    path = tmp_path / "swarm.sock"
    with commands.running("manage", "-H", f"unix://{path}", "nodes://127.0.0.1:1") as process:
        commands.said(process, "(Listening for HTTP)")
        client = connected(socket.AF_UNIX, str(path))
        client.sendall(b"GET /events HTTP/1.1\r\nHost: swarm\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        assert path.stat().st_mode & 0o777 == 0o600
        process.send_signal(signal.SIGTERM)
        said = b"".join(iter(lambda: client.recv(65536), b""))
        client.close()
        assert said in (b"", b"0\r\n\r\n")
        assert process.wait(20) == 128 + signal.SIGTERM
        assert process.stdout.read() == ""


def connected(family, address):
    """Return a connection to where somebody listens, or will at once."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        client = socket.socket(family)
        client.settimeout(20)
        try:
            client.connect(address)
        except OSError:
            client.close()
        else:
            return client
    pytest.fail(f"nobody listens at {address}")


def ping(url, **settings):
    with httpx2.Client(trust_env=False, **settings) as client:
        return client.get(f"{url}/_ping").text


def test_only_who_shows_a_certificate_may_ask_a_manager_that_verifies(commands, certificates):
    port = free_port()
    pair = [certificates / "cert.pem", certificates / "key.pem"]
    flags = ["--tlsverify", "--tlscacert", certificates / "ca.pem"]
    line = ["manage", "-H", f"127.0.0.1:{port}", *flags, "--tlscert", pair[0], "--tlskey", pair[1]]
    known = ssl.create_default_context(cafile=certificates / "ca.pem")
    with commands.running(*map(str, line), "nodes://127.0.0.1:1") as process:
        commands.said(process, "(Listening for HTTP)")
        url = f"https://127.0.0.1:{port}"
        connected(socket.AF_INET, ("127.0.0.1", port)).close()
        with pytest.raises(httpx2.HTTPError):
            ping(url, verify=known)
        known.load_cert_chain(*pair)
        assert ping(url, verify=known) == "OK"


async def registered_over_tls(engine_tls, *flags):
    """Return what a manager thinks of an engine that speaks TLS, on a real port."""
    lab = registered()
    lab.clock = RealClock()
    world = World(stdout=StringIO())
    with new_listener("127.0.0.1:0") as listener:
        address = address_of(listener)
        LabEngine(lab, "node-1", address).plug()
        app = lab.network.apps[address]
        served = asyncio.create_task(serve(app, listener, engine_tls, world))
        manager = new_manager(flags_of([*flags, address], world), world)
        running = asyncio.create_task(manager.cluster.run())
        while not manager.cluster.engines and not any(
            each.health.error for each in manager.cluster.pending_engines.values()
        ):
            await asyncio.sleep(0)
        state = "registered" if manager.cluster.engines else "pending"
        for task in running, served:
            task.cancel()
        await asyncio.gather(running, served, return_exceptions=True)
        return state


async def soon(work):
    return await asyncio.wait_for(work, 20)


VERIFY = ["--tlsverify", "--tlscacert", "ca.pem", *PAIR.split()]


@pytest.mark.parametrize(
    ("flags", "state"),
    [(VERIFY, "registered"), (["--tls", *PAIR.split()], "registered"), ([], "pending")],
    ids=["verify", "tls", "clear"],
)
def test_an_engine_that_wants_a_certificate_is_shown_one(here, flags, state):
    engine = load_tls("ca.pem", "cert.pem", "key.pem", verify=True).server
    assert asyncio.run(soon(registered_over_tls(engine, *flags))) == state


@pytest.mark.parametrize(
    ("flags", "state"), [(VERIFY, "pending"), (["--tls", *PAIR.split()], "registered")]
)
def test_an_engine_that_nobody_has_signed_is_for_tls_and_not_for_tlsverify(
    here, tmp_path, flags, state
):
    stranger = trustme.CA().issue_cert("127.0.0.1")
    stranger.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    stranger.private_key_pem.write_to_path(tmp_path / "key.pem")
    engine = load_tls("", str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"), verify=False)
    assert asyncio.run(soon(registered_over_tls(engine.server, *flags))) == state
