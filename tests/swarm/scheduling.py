"""What the scheduler must answer, case by case.

Every answer was computed by hand from the rules of Swarm v1.2.9, as its sources state them, before
there was code of ours that could have given it. Only afterwards was the table put to the original's
own scheduler.

Resources are small numbers, so that a share can be checked in the head: a machine has 10 CPUs and
1000 bytes unless it is said, and a container reserves nothing. Totals are what the scheduler is
told, with what may be promised beyond what is there. Where two machines are equal in weight and in
number of containers, the original leaves their order open; no case here depends on it.
"""

from dataclasses import dataclass, field

DEFAULT = ["health", "port", "containerslots", "dependency", "affinity", "constraint", "whitelist"]
GIB = 1024**3

UNABLE = "Unable to find a node that satisfies the following conditions "
SLOTS = "\n[available container slots]"
NO_HEALTHY = "No healthy node available in the cluster"
NO_NODES = "No nodes available in the cluster"
NO_RESOURCES = "no resources available to schedule container"


@dataclass(frozen=True)
class Held:
    """A container that a machine has; its id is `id-of-NAME` unless it is said."""

    name: str = ""
    id: str = ""
    swarm_id: str = ""
    cpus: int = 0
    memory: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    ports: list[str] = field(default_factory=list)
    """What it asked for, as after `docker run -p`: `[[IP:]HOST:]CONTAINER[/PROTOCOL]`."""
    assigned: list[str] = field(default_factory=list)
    """What it was given, written alike; nothing while it is stopped."""
    exposes: list[str] = field(default_factory=list)
    net: str = ""
    aliases: list[str] = field(default_factory=list)
    """Names that links of others gave it, after its own."""
    running: bool = True
    pending: bool = False
    """On its way: it has a name and a request, and no id yet."""


@dataclass(frozen=True)
class Machine:
    """A node; its id is `id-of-NAME|NAME:2375`."""

    name: str
    cpus: int = 10
    memory: int = 1000
    health: int = 100
    labels: dict[str, str] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    images: list[tuple[str, list[str]]] = field(default_factory=list)
    """Ids with tags."""


@dataclass(frozen=True)
class Asked:
    """The container that needs a place."""

    env: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    cpus: int = 0
    memory: int = 0
    ports: list[str] = field(default_factory=list)
    exposes: list[str] = field(default_factory=list)
    net: str = ""
    links: list[str] = field(default_factory=list)
    volumes_from: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """A question and its answer: names in their order, names in any order, or an error."""

    title: str
    machines: list[Machine]
    asked: Asked
    expected: list[str] | set[str] | str
    strategy: str = "spread"
    filters: list[str] = field(default_factory=lambda: DEFAULT)


def several(count: int, **common) -> list[Held]:
    return [Held(f"c{number}", **common) for number in range(count)]


def named(*names: str) -> list[Held]:
    return [Held(name) for name in names]


def wish(*env: str) -> Asked:
    return Asked(env=list(env))


COUNTS = [Machine("a", held=several(2)), Machine("b"), Machine("c", held=several(1))]
MIXED = [
    Machine("a", held=[Held("x", cpus=5)]),
    Machine("b", held=[Held("x", cpus=1, memory=300)]),
    Machine("c", held=[Held("x", memory=800)]),
]
EQUAL = [
    Machine("a", held=[Held("x", memory=500)]),
    Machine("b", held=several(2, memory=250)),
]
DEMO = [
    Machine("a", memory=210, held=several(2, memory=100)),
    Machine("b", memory=210, held=several(1, memory=100)),
    Machine("c", memory=210),
]

WEIGHTS = [
    Case("spread without a wish takes the fewest containers", COUNTS, Asked(), ["b", "c", "a"]),
    Case(
        "binpack without a wish takes the most containers",
        COUNTS,
        Asked(),
        ["a", "c", "b"],
        "binpack",
    ),
    Case(
        "stopped containers are counted",
        [
            Machine("a", held=[*several(1), Held("old", running=False)]),
            Machine("b", held=several(1)),
        ],
        Asked(),
        ["b", "a"],
    ),
    Case(
        "pending containers are counted",
        [Machine("a", held=[Held("new", pending=True)]), Machine("b")],
        Asked(),
        ["b", "a"],
    ),
    Case(
        "a pending container without a name is counted",
        [Machine("a", held=[Held(pending=True)]), Machine("b")],
        Asked(),
        ["a", "b"],
        "binpack",
    ),
    Case(
        "who asks for nothing is not told what is reserved",
        [Machine("a", held=[Held("x", cpus=10, memory=1000)]), Machine("b", held=several(2))],
        Asked(),
        ["a", "b"],
    ),
    Case(
        "who asks for nothing fits on a machine that is more than full",
        [Machine("a", held=[Held("x", cpus=20, memory=3000)]), Machine("b", held=several(2))],
        Asked(),
        ["a", "b"],
    ),
    Case(
        "memory is a share of the machine's own",  # 600/1000 = 60, 1100/4000 = 27
        [
            Machine("a", held=[Held("x", memory=500)]),
            Machine("b", memory=4000, held=[Held("x", memory=1000)]),
        ],
        Asked(memory=100),
        ["b", "a"],
    ),
    Case(
        "binpack takes the larger share",
        [
            Machine("a", held=[Held("x", memory=500)]),
            Machine("b", memory=4000, held=[Held("x", memory=1000)]),
        ],
        Asked(memory=100),
        ["a", "b"],
        "binpack",
    ),
    Case(
        "who asks for CPUs is not told of memory",  # 10, 20
        [
            Machine("a", held=[Held("x", memory=1000)]),
            Machine("b", held=[Held("x", cpus=1)]),
        ],
        Asked(cpus=1),
        ["a", "b"],
    ),
    Case(
        "who asks for memory is not told of CPUs",  # 10, 20
        [
            Machine("a", held=[Held("x", cpus=30)]),
            Machine("b", held=[Held("x", memory=100)]),
        ],
        Asked(memory=100),
        ["a", "b"],
    ),
    Case(
        "spread takes the smallest sum of both shares",  # 60+10, 20+40, 10+90
        MIXED,
        Asked(cpus=1, memory=100),
        ["b", "a", "c"],
    ),
    Case(
        "binpack takes the largest sum of both shares",
        MIXED,
        Asked(cpus=1, memory=100),
        ["c", "a", "b"],
        "binpack",
    ),
    Case("of equal weights spread takes the fewer", EQUAL, Asked(memory=100), ["a", "b"]),
    Case(
        "of equal weights binpack takes the more", EQUAL, Asked(memory=100), ["b", "a"], "binpack"
    ),
    Case(
        "shares are whole hundredths, so 33.9 and 33.1 are equal",
        [
            Machine("a", held=[Held("x", memory=338)]),
            Machine("b", held=several(2, memory=165)),
        ],
        Asked(memory=1),
        ["a", "b"],
    ),
    Case(
        "33.9 and 33.1 are equal to binpack too",
        [
            Machine("a", held=[Held("x", memory=338)]),
            Machine("b", held=several(2, memory=165)),
        ],
        Asked(memory=1),
        ["b", "a"],
        "binpack",
    ),
    Case(
        "less than a hundredth weighs nothing",
        [Machine("a", memory=1_000_000, held=several(1)), Machine("b")],
        Asked(memory=9),
        ["b", "a"],
    ),
    Case(
        "a machine may be filled to the last byte",
        [Machine("a", held=[Held("x", memory=900)])],
        Asked(memory=100),
        ["a"],
    ),
    Case(
        "a machine may be filled beyond it, by less than a hundredth",  # 1009*100/1000 = 100
        [Machine("a", held=[Held("x", memory=909)])],
        Asked(memory=100),
        ["a"],
    ),
    Case(
        "a hundredth beyond is too much",
        [Machine("a", held=[Held("x", memory=910)])],
        Asked(memory=100),
        NO_RESOURCES,
    ),
    Case(
        "a hundredth beyond is too much for binpack",
        [Machine("a", held=[Held("x", memory=910)]), Machine("b")],
        Asked(memory=100),
        ["b"],
        "binpack",
    ),
    Case(
        "the last CPU is given away, and no other",
        [Machine("a", held=[Held("x", cpus=9)]), Machine("b", held=[Held("x", cpus=10)])],
        Asked(cpus=1),
        ["a"],
    ),
    Case(
        "both resources must fit on one machine",
        [Machine("a", held=[Held("x", cpus=10)]), Machine("b", held=[Held("x", memory=1000)])],
        Asked(cpus=1, memory=100),
        NO_RESOURCES,
    ),
    Case(
        "a machine with too little memory is left out",
        [Machine("a", memory=100), Machine("b", held=several(5))],
        Asked(memory=200),
        ["b"],
    ),
    Case(
        "a machine with too few CPUs is left out",
        [Machine("a", cpus=1), Machine("b", held=several(5))],
        Asked(cpus=2),
        ["b"],
    ),
    Case(
        "a container larger than every machine has no place",
        [Machine("a"), Machine("b", memory=2000)],
        Asked(memory=3000),
        NO_RESOURCES,
    ),
    Case(
        "a byte more than the machine has is too much, though it is less than a hundredth",
        [Machine("a")],
        Asked(memory=1001),
        NO_RESOURCES,
    ),
    Case(
        "a container may be as large as the machine",
        [Machine("a")],
        Asked(cpus=10, memory=1000),
        ["a"],
    ),
    Case(
        "who asks a machine without CPUs for one is refused",
        [Machine("a", cpus=0)],
        Asked(cpus=1),
        NO_RESOURCES,
    ),
    Case(
        "a machine without CPUs does for who asks for none",
        [Machine("a", cpus=0)],
        Asked(memory=100),
        ["a"],
    ),
    Case(
        "overcommit is in the total: 105 of 100 GiB fit",
        [Machine("a", memory=105 * GIB)],
        Asked(memory=105 * GIB),
        ["a"],
    ),
    Case(
        "overcommit is in the total: 106 of 100 GiB do not fit",
        [Machine("a", memory=105 * GIB)],
        Asked(memory=106 * GIB),
        NO_RESOURCES,
    ),
    Case(
        "five per cent of 4 CPUs are none",
        [Machine("a", cpus=4, held=[Held("x", cpus=4)])],
        Asked(cpus=1),
        NO_RESOURCES,
    ),
    Case(
        "five per cent of 40 CPUs are two",
        [Machine("a", cpus=42, held=[Held("x", cpus=41)])],
        Asked(cpus=1),
        ["a"],
    ),
    Case(
        "the hundredth beyond is of the total with overcommit",  # 1060*100/1050 = 100
        [Machine("a", memory=1050, held=[Held("x", memory=1000)])],
        Asked(memory=60),
        ["a"],
    ),
    Case(
        "the hundredth beyond ends where the total says",  # 1061*100/1050 = 101
        [Machine("a", memory=1050, held=[Held("x", memory=1000)])],
        Asked(memory=61),
        NO_RESOURCES,
    ),
    Case(
        "with a negative overcommit a machine can be too full from the start",
        [Machine("a", memory=900, held=[Held("x", memory=950)])],
        Asked(memory=10),
        NO_RESOURCES,
    ),
    Case(
        "a stopped container keeps what it reserved",  # 100, 20
        [
            Machine("a", held=[Held("x", memory=900, running=False)]),
            Machine("b", held=[Held("x", memory=100)]),
        ],
        Asked(memory=100),
        ["b", "a"],
    ),
    Case(
        "a pending container reserves",  # 60, 20
        [
            Machine("a", held=[Held("x", memory=500, pending=True)]),
            Machine("b", held=[Held("x", memory=100)]),
        ],
        Asked(memory=100),
        ["b", "a"],
    ),
    Case(
        "a pending container can take the last place",
        [Machine("a", held=[Held("x", cpus=10, pending=True)])],
        Asked(cpus=1),
        NO_RESOURCES,
    ),
    Case(
        "shares of gibibytes do not overflow",  # 6*100/16 = 37, 26*100/64 = 40
        [
            Machine("a", memory=16 * GIB, held=[Held("x", memory=4 * GIB)]),
            Machine("b", memory=64 * GIB, held=[Held("x", memory=24 * GIB)]),
        ],
        Asked(memory=2 * GIB),
        ["a", "b"],
    ),
    Case(
        "spread without a wish fills a small and a large machine alike",
        [Machine("a", cpus=21, held=several(30)), Machine("b", cpus=42, held=several(29))],
        Asked(),
        ["b", "a"],
    ),
    Case(
        "spread with CPUs fills machines in proportion",  # 8*100/21 = 38, 14*100/42 = 33
        [
            Machine("a", cpus=21, held=[Held("x", cpus=7)]),
            Machine("b", cpus=42, held=several(13, cpus=1)),
        ],
        Asked(cpus=1),
        ["b", "a"],
    ),
    Case(
        "binpack goes on to the next when one is full",
        DEMO,
        Asked(memory=100),
        ["b", "c"],
        "binpack",
    ),
    Case("spread leaves the full one out too", DEMO, Asked(memory=100), ["c", "b"]),
    Case("binpacking is binpack", DEMO, Asked(memory=100), ["b", "c"], "binpacking"),
    Case(
        "binpack puts the small one where the large one is",  # 3+1 of 4, 2+1 of 4
        [
            Machine("a", memory=400, held=[Held("x", memory=200)]),
            Machine("b", memory=400, held=[Held("y", memory=300)]),
        ],
        Asked(memory=100),
        ["b", "a"],
        "binpack",
    ),
    Case(
        "weight comes before number",  # 20, 10
        [Machine("a", held=[Held("x", memory=100)]), Machine("b", held=several(7))],
        Asked(memory=100),
        ["b", "a"],
    ),
]

FADING = [
    Machine("a", health=34),
    Machine("b", health=67, held=several(1)),
    Machine("c", health=100, held=several(3)),
]

HEALTH = [
    Case(
        "a machine that is not healthy is left out",
        [Machine("a", health=0), Machine("b")],
        Asked(),
        ["b"],
    ),
    Case(
        "no machine is healthy",
        [Machine("a", health=0), Machine("b", health=0)],
        Asked(),
        NO_HEALTHY,
    ),
    Case("an empty cluster has no healthy machine", [], Asked(), NO_HEALTHY),
    Case(
        "a health of 1 is healthy", [Machine("a", health=1), Machine("b", health=0)], Asked(), ["a"]
    ),
    Case("spread takes the healthier before the emptier", FADING, Asked(), ["c", "b", "a"]),
    Case("binpack takes the healthier too", FADING, Asked(), ["c", "b", "a"], "binpack"),
    Case(
        "a full and healthy machine is better than an empty one at 66",  # 200-1000, 110-660
        [Machine("a", health=66), Machine("b", held=[Held("x", memory=900)])],
        Asked(memory=100),
        ["b", "a"],
    ),
    Case(
        "an empty and healthy machine is better to binpack than a full one at 66",  # 860, 1110
        [Machine("a", health=66, held=[Held("x", memory=900)]), Machine("b")],
        Asked(memory=100),
        ["b", "a"],
        "binpack",
    ),
    Case(
        "an empty one at 33 comes after a full one at 66",
        [Machine("a", health=33), Machine("b", health=66, held=several(4, cpus=2, memory=200))],
        Asked(cpus=2, memory=200),
        ["b", "a"],
    ),
    Case(
        "a full one at 33 comes after an empty one at 66, for binpack",
        [Machine("a", health=33, held=several(4, cpus=2, memory=200)), Machine("b", health=66)],
        Asked(cpus=2, memory=200),
        ["b", "a"],
        "binpack",
    ),
    Case(
        "health weighs ten times its number, and no more",  # 20-990, 180-1000
        [Machine("a", health=99), Machine("b", held=[Held("x", cpus=8, memory=800)])],
        Asked(cpus=1, memory=100),
        ["a", "b"],
    ),
    Case(
        "a little less health loses against much to pack",  # 180+990, 20+1000
        [Machine("a", health=99, held=[Held("x", cpus=8, memory=800)]), Machine("b")],
        Asked(cpus=1, memory=100),
        ["a", "b"],
        "binpack",
    ),
    Case(
        "one of health is worth ten hundredths",  # 110-990 = 120-1000
        [
            Machine("a", health=99, held=several(2)),
            Machine("b", held=[Held("x", cpus=1)]),
        ],
        Asked(cpus=1),
        ["b", "a"],
    ),
    Case(
        "a place at 34 is better than none",
        [Machine("a", held=[Held("x", cpus=10)]), Machine("b", health=34)],
        Asked(cpus=1),
        ["b"],
    ),
    Case(
        "without the filter, who is not healthy comes last with spread",
        [Machine("a", health=0), Machine("b", health=33, held=several(9))],
        Asked(),
        ["b", "a"],
        filters=[],
    ),
    Case(
        "without the filter, who is not healthy comes last with binpack",
        [Machine("a", health=0, held=several(9)), Machine("b", health=33)],
        Asked(),
        ["b", "a"],
        "binpack",
        filters=["port"],
    ),
    Case(
        "without the filter, nobody need be healthy",
        [Machine("a", health=0)],
        Asked(),
        ["a"],
        filters=[],
    ),
]

RANDOM = [
    Case("random takes any order", COUNTS, Asked(), {"a", "b", "c"}, "random"),
    Case(
        "random does not look at resources",
        [Machine("a"), Machine("b", memory=10)],
        Asked(cpus=99, memory=5000),
        {"a", "b"},
        "random",
    ),
    Case(
        "random does not look at health without the filter",
        FADING,
        Asked(),
        {"a", "b", "c"},
        "random",
        [],
    ),
    Case("random keeps to the filters", COUNTS, wish("constraint:node!=a"), {"b", "c"}, "random"),
    Case("random finds nobody healthy", [Machine("a", health=0)], Asked(), NO_HEALTHY, "random"),
    Case("random has nothing to choose from", [], Asked(), NO_NODES, "random", []),
    Case(
        "random drops a soft wish that nobody fulfils",
        COUNTS,
        wish("constraint:node==~x"),
        {"a", "b", "c"},
        "random",
    ),
    Case("random of one is that one", [Machine("a")], Asked(), ["a"], "random"),
]

NOBODY = [
    Case("no machine and no filter", [], Asked(), NO_NODES, filters=[]),
    Case("no machine, and a filter that is asked nothing", [], Asked(), NO_NODES, filters=["port"]),
    Case(
        "no machine has a port",
        [],
        Asked(ports=["80:80"]),
        UNABLE + "\n[port 80 (Bridge mode)]",
        filters=["port"],
    ),
    Case("no machine has a slot", [], Asked(), UNABLE + SLOTS, filters=["containerslots"]),
    Case(
        "no machine is no trouble to the dependency filter",
        [],
        Asked(links=["db"]),
        NO_NODES,
        filters=["dependency"],
    ),
    Case(
        "no machine, and no wish",
        [],
        Asked(),
        NO_NODES,
        filters=["affinity", "constraint", "whitelist"],
    ),
    Case(
        "no machine fulfils a constraint",
        [],
        wish("constraint:region==us"),
        UNABLE + "\n[region==us]",
        filters=["constraint"],
    ),
    Case(
        "no machine fulfils an affinity",
        [],
        wish("affinity:container!=x"),
        UNABLE + "\n[container!=x (soft=false)]",
        filters=["affinity"],
    ),
]

BRIDGE = UNABLE + "\n[port 80 (Bridge mode)]"


def two(*ports: str, **common) -> list[Machine]:
    """Return a, which has a container with the ports, and b, which has none."""
    return [Machine("a", held=[Held("x", ports=list(ports), **common)]), Machine("b")]


PORTS = [
    Case("a port that is taken", two("80:80"), Asked(ports=["80:80"]), ["b"]),
    Case(
        "a port that is taken, for binpack", two("80:80"), Asked(ports=["80:80"]), ["b"], "binpack"
    ),
    Case("a port that is taken everywhere", two("80:80")[:1], Asked(ports=["80:80"]), BRIDGE),
    Case("another port is free", two("80:80"), Asked(ports=["8080:80"]), ["b", "a"]),
    Case(
        "a port for another container port is taken", two("80:8080"), Asked(ports=["80:80"]), ["b"]
    ),
    Case(
        "a port of another protocol is taken", two("53:53/udp"), Asked(ports=["53:53/tcp"]), ["b"]
    ),
    Case(
        "a port is taken by a stopped container",
        two("80:80", running=False),
        Asked(ports=["80:80"]),
        ["b"],
    ),
    Case(
        "a port is taken by a pending container",
        two("80:80", pending=True),
        Asked(ports=["80:80"]),
        ["b"],
    ),
    Case(
        "a port that was given is taken",
        two("80", assigned=["0.0.0.0:32768:80"]),
        Asked(ports=["32768:8080"]),
        ["b"],
    ),
    Case(
        "a port that was given is free again",
        two("80", running=False),
        Asked(ports=["32768:80"]),
        ["b", "a"],
    ),
    Case("any port will do", two("80:80"), Asked(ports=["80"]), ["b", "a"]),
    Case(
        "any port is still in the list",
        two(),
        Asked(["constraint:region==eu"], ports=["80"]),
        UNABLE + "\n[port  (Bridge mode)]" + SLOTS + "\n[region==eu]",
    ),
    Case(
        "a port on another address is free",
        two("127.0.0.1:80:80"),
        Asked(ports=["10.0.0.1:80:80"]),
        ["b", "a"],
    ),
    Case(
        "a port on this address is taken",
        two("127.0.0.1:80:80"),
        Asked(ports=["127.0.0.1:80:80"]),
        ["b"],
    ),
    Case(
        "a port on every address needs this one",
        two("127.0.0.1:80:80"),
        Asked(ports=["80:80"]),
        ["b"],
    ),
    Case(
        "a port on 0.0.0.0 needs this one",
        two("127.0.0.1:80:80"),
        Asked(ports=["0.0.0.0:80:80"]),
        ["b"],
    ),
    Case(
        "a port on [::] needs this one", two("127.0.0.1:80:80"), Asked(ports=["[::]:80:80"]), ["b"]
    ),
    Case(
        "who has every address has this one", two("80:80"), Asked(ports=["127.0.0.1:80:80"]), ["b"]
    ),
    Case(
        "who has 0.0.0.0 has this one",
        two("0.0.0.0:80:80"),
        Asked(ports=["127.0.0.1:80:80"]),
        ["b"],
    ),
    Case("who has [::] has this one", two("[::]:80:80"), Asked(ports=["127.0.0.1:80:80"]), ["b"]),
    Case("who has [::0] has this one", two("[::0]:80:80"), Asked(ports=["127.0.0.1:80:80"]), ["b"]),
    Case(
        "who has [::1] does not have 127.0.0.1",
        two("[::1]:80:80"),
        Asked(ports=["127.0.0.1:80:80"]),
        ["b", "a"],
    ),
    Case(
        "a name is compared as a text",
        two("localhost:80:80"),
        Asked(ports=["127.0.0.1:80:80"]),
        ["b", "a"],
    ),
    Case(
        "two ports that are not free together",
        [
            Machine("a", held=[Held("x", ports=["80:80"])]),
            Machine("b", held=[Held("x", ports=["81:80"])]),
        ],
        Asked(ports=["80:80", "81:80"]),
        UNABLE + "\n[port 80 (Bridge mode) port 81 (Bridge mode)]",
    ),
    Case(
        "two ports that are free together",
        [*two("80:80"), Machine("c", held=[Held("x", ports=["82:80"])])],
        Asked(ports=["80:80", "82:82"]),
        ["b"],
    ),
    Case(
        "one of several containers has the port",
        [
            Machine("a", held=[*named("p", "q"), Held("x", ports=["79:79", "80:80"])]),
            Machine("b", held=several(3)),
        ],
        Asked(ports=["80:80"]),
        ["b"],
    ),
    Case(
        "an exposed port is taken on the host network",
        two(net="host", exposes=["80/tcp"]),
        Asked(net="host", exposes=["80/tcp"]),
        ["b"],
    ),
    Case(
        "an exposed port is taken on every host",
        two(net="host", exposes=["80/tcp"])[:1],
        Asked(net="host", exposes=["80/tcp"]),
        UNABLE + "\n[port 80/tcp (Host mode)]",
    ),
    Case(
        "an exposed port is taken by a stopped container",
        two(net="host", exposes=["80/tcp"], running=False),
        Asked(net="host", exposes=["80/tcp"]),
        ["b"],
    ),
    Case(
        "an exposed port of another protocol is free",
        two(net="host", exposes=["80/udp"]),
        Asked(net="host", exposes=["80/tcp"]),
        ["b", "a"],
    ),
    Case(
        "an exposed port is not taken by a pending container",
        two(net="host", exposes=["80/tcp"], pending=True),
        Asked(net="host", exposes=["80/tcp"]),
        ["b", "a"],
    ),
    Case(
        "a published port is nothing to the host network",
        two("80:80"),
        Asked(net="host", exposes=["80/tcp"]),
        ["b", "a"],
    ),
    Case(
        "the host network is nothing to a published port",
        two(net="host", exposes=["80/tcp"]),
        Asked(ports=["80:80"]),
        ["b", "a"],
    ),
    Case(
        "what is exposed off the host network is nothing to it",
        two(exposes=["80/tcp"]),
        Asked(net="host", exposes=["80/tcp"]),
        ["b", "a"],
    ),
    Case(
        "on the host network nothing is published",
        two("80:80"),
        Asked(net="host", ports=["80:80"]),
        ["b", "a"],
    ),
]


def slots(text: str, count: int, **common) -> list[Machine]:
    """Return a with so many slots and containers, and b with nine containers."""
    held = several(count, **common)
    return [Machine("a", labels={"containerslots": text}, held=held), Machine("b", held=several(9))]


SLOT_CASES = [
    Case("a slot is free", slots("2", 1), Asked(), ["a", "b"]),
    Case("no slot is free", slots("1", 1), Asked(), ["b"]),
    Case("no slot is free anywhere", slots("1", 1)[:1], Asked(), UNABLE + SLOTS),
    Case(
        "no slot is free, and a port was asked for",
        slots("1", 1)[:1],
        Asked(ports=["80:80"]),
        UNABLE + "\n[port 80 (Bridge mode)]" + SLOTS,
    ),
    Case("a stopped container has a slot", slots("1", 1, running=False), Asked(), ["b"]),
    Case("a pending container has a slot", slots("1", 1, pending=True), Asked(), ["b"]),
    Case("more containers than slots", slots("1", 3), Asked(), ["b"]),
    Case("no slots at all", slots("0", 0), Asked(), ["b"]),
    Case("fewer slots than none", slots("-1", 0), Asked(), ["b"]),
    Case("slots with a plus", slots("+1", 1), Asked(), ["b"]),
    Case("slots with zeros before", slots("001", 1), Asked(), ["b"]),
    Case("slots that are no number are no limit", slots("many", 3), Asked(), ["a", "b"]),
    Case("slots without a number are no limit", slots("", 3), Asked(), ["a", "b"]),
    Case("slots with a fraction are no limit", slots("1.0", 3), Asked(), ["a", "b"]),
    Case("slots with a blank are no limit", slots(" 1", 3), Asked(), ["a", "b"]),
    Case("slots with an underscore are no limit", slots("0_1", 3), Asked(), ["a", "b"]),
    Case("slots in other digits are no limit", slots("\u0661", 3), Asked(), ["a", "b"]),
    Case(
        "slots that no integer holds are no limit",
        slots("-99999999999999999999", 3),
        Asked(),
        ["a", "b"],
    ),
    Case(
        "slots are not looked at without the filter",
        slots("1", 1),
        Asked(),
        ["a", "b"],
        filters=["health"],
    ),
]

DB = [
    Machine("a", held=[Held("db", id="4f2a" + "0" * 60, swarm_id="77cc" + "1" * 60), Held("x")]),
    Machine("b", held=[Held("web", id="4f2b" + "0" * 60)]),
    Machine("c"),
]
APART = [Machine("a", held=named("data")), Machine("b", held=named("db", "web")), Machine("c")]


def without(*conditions: str) -> str:
    return UNABLE + SLOTS + "".join(f"\n[{each}]" for each in conditions)


DEPENDENCIES = [
    Case("a link", DB, Asked(links=["db"]), ["a"]),
    Case("a link with an alias", DB, Asked(links=["db:database"]), ["a"]),
    Case(
        "a link to nobody", DB, Asked(links=["nobody:database"]), without("--link=nobody:database")
    ),
    Case("a link to no name", DB, Asked(links=[":database"]), without("--link=:database")),
    Case("a link to a part of a name", DB, Asked(links=["d"]), without("--link=d")),
    Case("a link to an id", DB, Asked(links=["4f2a" + "0" * 60]), ["a"]),
    Case("a link to a short id", DB, Asked(links=["4f2a" + "0" * 8]), ["a"]),
    Case("a link to the beginning of an id", DB, Asked(links=["4f2b"]), ["b"]),
    Case(
        "a link to the beginning of two ids",
        [Machine("a", held=[Held("p", "4f2a"), Held("q", "4f2b")]), Machine("b")],
        Asked(links=["4f2"]),
        without("--link=4f2"),
    ),
    Case("a link to beginnings on two machines", DB, Asked(links=["4f2"]), ["b", "a"]),
    Case("a link to a swarm id", DB, Asked(links=["77cc" + "1" * 60]), ["a"]),
    Case("a link to the beginning of a swarm id", DB, Asked(links=["77"]), ["a"]),
    Case("a link to a name with a slash", DB, Asked(links=["/db"]), ["a"]),
    Case("a link to a name on its machine", DB, Asked(links=["a/db"]), ["a"]),
    Case("a link to a name on another machine", DB, Asked(links=["b/db"]), without("--link=b/db")),
    Case(
        "a link to an alias of another link",
        [Machine("a", held=[Held("db", aliases=["web/db"])]), Machine("b")],
        Asked(links=["web/db"]),
        ["a"],
    ),
    Case(
        "a link to a stopped container",
        [Machine("a", held=[Held("db", running=False)]), Machine("b")],
        Asked(links=["db"]),
        ["a"],
    ),
    Case(
        "a link to a pending container",
        [Machine("a", held=[Held("db", pending=True)]), Machine("b")],
        Asked(links=["db"]),
        ["a"],
    ),
    Case("volumes of another container", APART, Asked(volumes_from=["data"]), ["a"]),
    Case("volumes of another container, to read", APART, Asked(volumes_from=["data:ro"]), ["a"]),
    Case("the network of another container", APART, Asked(net="container:web"), ["b"]),
    Case(
        "the network of no container", APART, Asked(net="container:"), without("--net=container:")
    ),
    Case("a network that only sounds like it", APART, Asked(net="containers"), ["c", "a", "b"]),
    Case("two dependencies on one machine", APART, Asked(links=["db"], net="container:web"), ["b"]),
    Case(
        "dependencies on two machines",
        APART,
        Asked(links=["db:database"], volumes_from=["data:ro"], net="container:web"),
        without("--volumes-from=data:ro --link=db:database --net=container:web"),
    ),
]

WEBS = [
    Machine("a", held=named("web-1", "x"), images=[("sha256:aa11", ["redis:3", "redis:latest"])]),
    Machine("b", held=named("web-2"), images=[("sha256:bb22", ["registry:5000/app:1"])]),
    Machine("c"),
]
TIERS = [
    Machine("a", held=[Held("p", labels={"com.example.tier": "front"}), Held("q")]),
    Machine("b", held=[Held("r")]),
    Machine("c", labels={"com.example.tier": "front"}),
]

AFFINITIES = [
    Case("beside a container", WEBS, wish("affinity:container==web-1"), ["a"]),
    Case("away from a container", WEBS, wish("affinity:container!=web-1"), ["c", "b"]),
    Case("beside a container by its id", WEBS, wish("affinity:container==id-of-web-2"), ["b"]),
    Case(
        "beside a container that nobody has",
        WEBS,
        wish("affinity:container==web"),
        without("container==web (soft=false)"),
    ),
    Case("beside any of a kind", WEBS, wish("affinity:container==web*"), ["b", "a"]),
    Case("away from all of a kind", WEBS, wish("affinity:container!=web*"), ["c"]),
    Case("beside a container by a pattern", WEBS, wish("affinity:container==/b-[23]/"), ["b"]),
    Case(
        "the slash before a name does not count", WEBS, wish("affinity:container==/^web-1/"), ["a"]
    ),
    Case(
        "beside a container by the beginning of its id",
        WEBS,
        wish("affinity:container==id-of-web"),
        without("container==id-of-web (soft=false)"),
    ),
    Case(
        "the first name counts, and no alias",
        [Machine("a", held=[Held("db", aliases=["web/db"])])],
        wish("affinity:container==web/db"),
        without("container==web/db (soft=false)"),
    ),
    Case(
        "a container without a name is not found by its id",
        [Machine("a", held=[Held("", id="4f2a")])],
        wish("affinity:container==4f2a"),
        without("container==4f2a (soft=false)"),
    ),
    Case(
        "beside a container that is stopped",
        [Machine("a", held=[Held("web", running=False)]), Machine("b")],
        wish("affinity:container==web"),
        ["a"],
    ),
    Case(
        "beside a container that is on its way",
        [Machine("a", held=[Held("web", pending=True)]), Machine("b")],
        wish("affinity:container==web"),
        ["a"],
    ),
    Case("away from every container of all", WEBS, wish("affinity:container!=*"), ["c"]),
    Case("where an image is", WEBS, wish("affinity:image==redis"), ["a"]),
    Case("where an image is with its tag", WEBS, wish("affinity:image==redis:3"), ["a"]),
    Case(
        "where an image is with a tag that it has not",
        WEBS,
        wish("affinity:image==redis:4"),
        without("image==redis:4 (soft=false)"),
    ),
    Case("where an image is by its id", WEBS, wish("affinity:image==sha256:bb22"), ["b"]),
    Case(
        "where an image is by a part of its id",
        WEBS,
        wish("affinity:image==bb22"),
        without("image==bb22 (soft=false)"),
    ),
    Case(
        "where an image from a registry is", WEBS, wish("affinity:image==registry:5000/app"), ["b"]
    ),
    Case("where an image is not", WEBS, wish("affinity:image!=redis"), ["c", "b"]),
    Case("beside a label", TIERS, wish("affinity:com.example.tier==front"), ["a"]),
    Case("away from a label", TIERS, wish("affinity:com.example.tier!=front"), ["c", "b"]),
    Case(
        "a container without the label has an empty one",
        TIERS,
        wish("affinity:com.example.tier==/^$/"),
        ["b", "a"],
    ),
    Case("beside any container at all", TIERS, wish("affinity:com.example.tier==*"), ["b", "a"]),
    Case(
        "a pending container has its labels",
        [Machine("a", held=[Held("p", labels={"tier": "front"}, pending=True)]), Machine("b")],
        wish("affinity:tier==front"),
        ["a"],
    ),
    Case(
        "beside one and away from another",
        WEBS,
        wish("affinity:container==web*", "affinity:container!=x"),
        ["b"],
    ),
    Case(
        "beside two that are apart",
        WEBS,
        wish("affinity:container==web-1", "affinity:container==web-2"),
        without("container==web-1 (soft=false) container==web-2 (soft=false)"),
    ),
    Case(
        "a key is read as it is written",
        WEBS,
        wish("affinity:Container==web-1"),
        without("Container==web-1 (soft=false)"),
    ),
]

# Without a constraint: c, b, a.
REGIONS = [
    Machine("a", labels={"region": "us-east", "zone": "z1"}, held=several(2)),
    Machine("b", labels={"region": "eu-west"}, held=several(1)),
    Machine("c"),
]


def nowhere(*constraints: str) -> str:
    return without(" ".join(constraints))


CONSTRAINTS = [
    Case("a label", REGIONS, wish("constraint:region==us-east"), ["a"]),
    Case("not a label", REGIONS, wish("constraint:region!=us-east"), ["c", "b"]),
    Case(
        "a label that nobody has", REGIONS, wish("constraint:region==asia"), nowhere("region==asia")
    ),
    Case("a part of a label", REGIONS, wish("constraint:region==us"), nowhere("region==us")),
    Case(
        "a label in capitals",
        REGIONS,
        wish("constraint:region==US-EAST"),
        nowhere("region==US-EAST"),
    ),
    Case(
        "a key in capitals", REGIONS, wish("constraint:REGION==us-east"), nowhere("REGION==us-east")
    ),
    Case("a label with a star", REGIONS, wish("constraint:region==us-*"), ["a"]),
    Case("not a label with a star", REGIONS, wish("constraint:region!=us-*"), ["c", "b"]),
    Case("a star is also nothing at all", REGIONS, wish("constraint:region==*"), ["c", "b", "a"]),
    Case("a dot is any character", REGIONS, wish("constraint:region==us.east"), ["a"]),
    Case(
        "an escaped dot is a dot",
        REGIONS,
        wish(r"constraint:region==us\.east"),
        nowhere(r"region==us\.east"),
    ),
    Case("a class without slashes", REGIONS, wish("constraint:region==[eu][ues]-w?east"), ["a"]),
    Case(
        "an alternative ends at the beginning and the end",
        REGIONS,
        wish("constraint:region==us|st"),
        ["b", "a"],
    ),
    Case(
        "an alternative in parentheses",
        REGIONS,
        wish("constraint:region==(us|st)"),
        nowhere("region==(us|st)"),
    ),
    Case("a pattern is searched", REGIONS, wish("constraint:region==/s-e/"), ["a"]),
    Case(
        "a pattern may be anchored",
        REGIONS,
        wish("constraint:region==/^west/"),
        nowhere("region==/^west/"),
    ),
    Case("a pattern may ask for less", REGIONS, wish("constraint:region==/(?i)^US/"), ["a"]),
    Case("not a pattern", REGIONS, wish("constraint:region!=/s-e/"), ["c", "b"]),
    Case("an empty pattern is everywhere", REGIONS, wish("constraint:region==//"), ["c", "b", "a"]),
    Case("an empty label", REGIONS, wish("constraint:region==/^$/"), ["c"]),
    Case(
        "a pattern that cannot be compiled is nowhere",
        REGIONS,
        wish("constraint:region==us[east"),
        nowhere("region==us[east"),
    ),
    Case(
        "a pattern that cannot be compiled is not there either",
        REGIONS,
        wish("constraint:region!=us[east"),
        ["c", "b", "a"],
    ),
    Case(
        "a slash at the beginning is a slash",
        REGIONS,
        wish("constraint:region==/us-east"),
        nowhere("region==/us-east"),
    ),
    Case(
        "a value with a blank",
        [Machine("a", labels={"rack": "row 1"}), Machine("b")],
        wish("constraint:rack==row 1"),
        ["a"],
    ),
    Case(
        "a value with a colon",
        [Machine("a", labels={"rack": "1:2"}), Machine("b")],
        wish("constraint:rack==1:2"),
        ["a"],
    ),
    Case(
        "a value that begins with =",
        [Machine("a", labels={"rack": "=1"}), Machine("b")],
        wish("constraint:rack===1"),
        ["a"],
    ),
    Case(
        "a value that begins with !",
        [Machine("a", labels={"rack": "!1"}), Machine("b")],
        wish("constraint:rack==!1"),
        ["a"],
    ),
    Case(
        "a value that begins with = is not one that does not",
        [Machine("a", labels={"rack": "1"})],
        wish("constraint:rack===1"),
        nowhere("rack===1"),
    ),
    Case(
        "a key of two characters",
        [Machine("a", labels={"az": "1"}), Machine("b")],
        wish("constraint:az==1"),
        ["a"],
    ),
    Case(
        "a key with a dot, a dash and an underscore",
        [Machine("a", labels={"_a.b-c_d": "1"}), Machine("b")],
        wish("constraint:_a.b-c_d==1"),
        ["a"],
    ),
    Case("a machine by its name", REGIONS, wish("constraint:node==b"), ["b"]),
    Case("every machine but one", REGIONS, wish("constraint:node!=b"), ["c", "a"]),
    Case("machines by a pattern", REGIONS, wish("constraint:node==[bc]"), ["c", "b"]),
    Case(
        "a machine by its id, in which | is an alternative",
        REGIONS,
        wish("constraint:node==id-of-a|a:2375"),
        ["a"],
    ),
    Case(
        "a machine by the daemon's id alone",
        REGIONS,
        wish("constraint:node==id-of-a"),
        nowhere("node==id-of-a"),
    ),
    Case(
        "a machine by its address",
        REGIONS,
        wish("constraint:node==a:2375"),
        nowhere("node==a:2375"),
    ),
    Case("a machine by a pattern for its id", REGIONS, wish("constraint:node==id-of-a*"), ["a"]),
    Case(
        "a label called node is not looked at",
        [Machine("a", labels={"node": "x"}), Machine("b")],
        wish("constraint:node==x"),
        nowhere("node==x"),
    ),
    Case(
        "two constraints", REGIONS, wish("constraint:region==us-east", "constraint:zone==z1"), ["a"]
    ),
    Case(
        "two constraints that nobody fulfils together",
        REGIONS,
        wish("constraint:region==eu-west", "constraint:zone==z1"),
        nowhere("region==eu-west", "zone==z1"),
    ),
    Case(
        "a label of a container is none of its machine",
        TIERS,
        wish("constraint:com.example.tier==front"),
        ["c"],
    ),
    Case(
        "the machine is right and too small",
        [Machine("a", labels={"region": "us"}, memory=10), Machine("b")],
        Asked(["constraint:region==us"], memory=100),
        NO_RESOURCES,
    ),
]


def invalid(why: str, kind: str = "constraint") -> str:
    return f"{UNABLE}{SLOTS}\nerror from {kind} filter: {why}"


NO_OPERATOR = "One of operator ==, != is expected"

INVALID = [
    Case("no operator", REGIONS, wish("constraint:region"), invalid(NO_OPERATOR)),
    Case("one = is no operator", REGIONS, wish("constraint:region=us-east"), invalid(NO_OPERATOR)),
    Case("another operator", REGIONS, wish("constraint:region>us"), invalid(NO_OPERATOR)),
    Case("nothing at all", REGIONS, wish("constraint:"), invalid(NO_OPERATOR)),
    Case("no key", REGIONS, wish("constraint:==us"), invalid("Key '' is invalid")),
    Case(
        "a key of one character", REGIONS, wish("constraint:a==us"), invalid("Key 'a' is invalid")
    ),
    Case(
        "a key that begins with a digit",
        REGIONS,
        wish("constraint:1region==us"),
        invalid("Key '1region' is invalid"),
    ),
    Case(
        "a key with a blank",
        REGIONS,
        wish("constraint:re gion==us"),
        invalid("Key 're gion' is invalid"),
    ),
    Case(
        "a key with a blank behind it",
        REGIONS,
        wish("constraint:region ==us"),
        invalid("Key 'region ' is invalid"),
    ),
    Case(
        "a key with a line feed behind it",
        REGIONS,
        wish("constraint:region\n==us"),
        invalid("Key 'region\n' is invalid"),
    ),
    Case(
        "a key with an umlaut",
        REGIONS,
        wish("constraint:größe==us"),
        invalid("Key 'größe' is invalid"),
    ),
    Case("no value", REGIONS, wish("constraint:region=="), invalid("Value '' is invalid")),
    Case(
        "no value but a tilde",
        REGIONS,
        wish("constraint:region==~"),
        invalid("Value '~' is invalid"),
    ),
    Case(
        "two tildes", REGIONS, wish("constraint:region==~~us"), invalid("Value '~~us' is invalid")
    ),
    Case("a comma", REGIONS, wish("constraint:region==us,eu"), invalid("Value 'us,eu' is invalid")),
    Case(
        "a comma in a soft wish",
        REGIONS,
        wish("constraint:region==~us,eu"),
        invalid("Value '~us,eu' is invalid"),
    ),
    Case("an at", REGIONS, wish("constraint:region==us@1"), invalid("Value 'us@1' is invalid")),
    Case(
        "braces", REGIONS, wish("constraint:region==/u{1}/"), invalid("Value '/u{1}/' is invalid")
    ),
    Case(
        "an umlaut",
        REGIONS,
        wish("constraint:region==münchen"),
        invalid("Value 'münchen' is invalid"),
    ),
    Case(
        "== is looked for before !=",
        REGIONS,
        wish("constraint:region!=us==eu"),
        invalid("Key 'region!=us' is invalid"),
    ),
    Case(
        "!= in a value",
        REGIONS,
        wish("constraint:region==us!=eu"),
        invalid("Value 'us!=eu' is invalid"),
    ),
    Case("an affinity", REGIONS, wish("affinity:container=web"), invalid(NO_OPERATOR, "affinity")),
    Case(
        "a whitelist",
        REGIONS,
        wish("whitelist:node==a,b"),
        invalid("Value 'a,b' is invalid", "whitelist"),
    ),
    Case(
        "the second constraint",
        REGIONS,
        wish("constraint:region==us-east", "constraint:x==y"),
        invalid("Key 'x' is invalid"),
    ),
    Case(
        "an invalid constraint behind an affinity that holds",
        WEBS,
        wish("affinity:container==web-1", "constraint:x==y"),
        f"{UNABLE}{SLOTS}\n[container==web-1 (soft=false)]"
        "\nerror from constraint filter: Key 'x' is invalid",
    ),
    Case(
        "an invalid constraint behind an affinity that does not hold",
        WEBS,
        wish("affinity:container==db", "constraint:x==y"),
        without("container==db (soft=false)"),
    ),
    Case(
        "an invalid affinity before a constraint that does not hold",
        WEBS,
        wish("affinity:x==y", "constraint:region==asia"),
        invalid("Key 'x' is invalid", "affinity"),
    ),
    Case(
        "an invalid wish that no filter reads",
        REGIONS,
        wish("constraint:x==y"),
        ["c", "b", "a"],
        filters=["health", "affinity"],
    ),
]

SOFT = [
    Case("a soft wish that somebody fulfils", REGIONS, wish("constraint:region==~us-east"), ["a"]),
    Case(
        "a soft wish that nobody fulfils",
        REGIONS,
        wish("constraint:region==~asia"),
        ["c", "b", "a"],
    ),
    Case("a soft wish to be elsewhere", REGIONS, wish("constraint:region!=~/^$/"), ["b", "a"]),
    Case(
        "a soft wish to be elsewhere than everywhere",
        REGIONS,
        wish("constraint:region!=~*"),
        ["c", "b", "a"],
    ),
    Case("a soft wish for a machine", REGIONS, wish("constraint:node==~a"), ["a"]),
    Case(
        "a soft wish for a machine that is gone",
        REGIONS,
        wish("constraint:node==~x"),
        ["c", "b", "a"],
    ),
    Case(
        "one soft wish that fails drops the other",
        REGIONS,
        wish("constraint:region==~us-east", "constraint:zone==~z9"),
        ["c", "b", "a"],
    ),
    Case(
        "two soft wishes that hold, one on each machine, are dropped together",
        REGIONS,
        wish("constraint:region==~eu-west", "constraint:zone==~z1"),
        ["c", "b", "a"],
    ),
    Case(
        "a soft constraint that fails drops a soft affinity",
        WEBS,
        wish("affinity:container==~web-1", "constraint:region==~asia"),
        ["c", "b", "a"],
    ),
    Case(
        "a soft whitelist that fails drops a soft affinity",
        WEBS,
        wish("affinity:container==~web-1", "whitelist:node==~x"),
        ["c", "b", "a"],
    ),
    Case(
        "a hard wish outlives a soft one",
        REGIONS,
        wish("constraint:region!=us-east", "constraint:zone==~z1"),
        ["c", "b"],
    ),
    Case(
        "a hard wish that fails takes the soft ones with it, and names them",
        REGIONS,
        wish("constraint:zone==~z1", "constraint:region==asia"),
        nowhere("zone==z1", "region==asia"),
    ),
    Case(
        "affinities are named with their softness",
        WEBS,
        wish("affinity:container==~web-1", "affinity:image!=~redis", "affinity:container==db"),
        without("container==web-1 (soft=true) image!=redis (soft=true) container==db (soft=false)"),
    ),
    Case(
        "a soft wish for a machine that is too small",
        [Machine("a", cpus=1, labels={"group": "1"}), Machine("b", cpus=2, labels={"group": "2"})],
        Asked(["constraint:group==~1"], cpus=2, memory=1000),
        ["b"],
    ),
    Case(
        "a soft wish for a machine that is full",
        [Machine("a", held=[Held("web", memory=950)]), Machine("b")],
        Asked(["affinity:container==~web"], memory=100),
        ["b"],
    ),
    Case(
        "a soft wish for machines of which one has room",
        [
            Machine("a", held=[Held("web", memory=950)]),
            Machine("b", held=[Held("web", memory=10)]),
            Machine("c"),
        ],
        Asked(["affinity:container==~web"], memory=100),
        ["b"],
    ),
    Case(
        "neither soft nor hard is there room",
        [Machine("a", held=[Held("web", memory=950)]), Machine("b", held=[Held("x", memory=950)])],
        Asked(["affinity:container==~web"], memory=100),
        NO_RESOURCES,
    ),
    Case(
        "a soft wish for a machine whose port is taken",
        [Machine("a", labels={"region": "us"}, held=[Held("x", ports=["80:80"])]), Machine("b")],
        Asked(["constraint:region==~us"], ports=["80:80"]),
        ["b"],
    ),
    Case(
        "a soft wish before the port",
        [Machine("a", labels={"region": "us"}, held=[Held("x", ports=["80:80"])]), Machine("b")],
        Asked(["constraint:region==~us"], ports=["80:80"]),
        ["b"],
        filters=["constraint", "port"],
    ),
    Case(
        "a soft wish for a machine that is not healthy",
        [Machine("a", health=0, labels={"region": "us"}), Machine("b")],
        wish("constraint:region==~us"),
        ["b"],
        filters=["constraint", "health"],
    ),
    Case(
        "a hard wish for a machine that is not healthy",
        [Machine("a", health=0, labels={"region": "us"}), Machine("b")],
        wish("constraint:region==us"),
        NO_HEALTHY,
        filters=["constraint", "health"],
    ),
    Case(
        "a hard wish for a machine that the health filter has left out",
        [Machine("a", health=0, labels={"region": "us"}), Machine("b")],
        wish("constraint:region==us"),
        nowhere("region==us"),
    ),
    Case("softly away from a kind", WEBS, wish("affinity:container!=~web*"), ["c"]),
    Case(
        "softly away from a kind that is everywhere",
        WEBS[:2],
        wish("affinity:container!=~web*"),
        ["b", "a"],
    ),
    Case("a soft pattern", REGIONS, wish("constraint:region==~/^(us|eu)-/"), ["b", "a"]),
    Case(
        "a soft wish in the other strategy",
        REGIONS,
        wish("constraint:region==~asia"),
        ["a", "b", "c"],
        "binpack",
    ),
]


def white(*names: str) -> str:
    return without(" ".join(names))


WHITELISTS = [
    Case("one machine", REGIONS, wish("whitelist:node==a"), ["a"]),
    Case("several machines", REGIONS, wish("whitelist:node==a|b"), ["b", "a"]),
    Case("several machines, one of which is gone", REGIONS, wish("whitelist:node==x|c"), ["c"]),
    Case("a machine twice", REGIONS, wish("whitelist:node==a|a"), ["a"]),
    Case("a machine and nothing", REGIONS, wish("whitelist:node==a|"), ["a"]),
    Case(
        "machines that are gone",
        REGIONS,
        wish("whitelist:node==x|y"),
        white("node==x|y (soft=false)"),
    ),
    Case("the key is not looked at", REGIONS, wish("whitelist:whatever==b"), ["b"]),
    Case("the operator is not looked at", REGIONS, wish("whitelist:node!=b"), ["b"]),
    Case("a star is a star", REGIONS, wish("whitelist:node==*"), white("node==* (soft=false)")),
    Case(
        "slashes are slashes", REGIONS, wish("whitelist:node==/a/"), white("node==/a/ (soft=false)")
    ),
    Case(
        "an id is no name",
        REGIONS,
        wish("whitelist:node==id-of-a"),
        white("node==id-of-a (soft=false)"),
    ),
    Case("two whitelists", REGIONS, wish("whitelist:node==a|b", "whitelist:node==b|c"), ["b"]),
    Case(
        "two whitelists without a machine in common",
        REGIONS,
        wish("whitelist:node==a", "whitelist:node==b"),
        white("node==a (soft=false)", "node==b (soft=false)"),
    ),
    Case("a soft whitelist", REGIONS, wish("whitelist:node==~a|b"), ["b", "a"]),
    Case(
        "a soft whitelist of machines that are gone",
        REGIONS,
        wish("whitelist:node==~x"),
        ["c", "b", "a"],
    ),
    Case(
        "whitelists are named with their softness",
        REGIONS,
        wish("whitelist:node==~a", "whitelist:node==x"),
        white("node==a (soft=true)", "node==x (soft=false)"),
    ),
    Case(
        "everything that was asked for is named",
        DB,
        Asked(
            [
                "whitelist:node==x",
                "constraint:region!=us",
                "affinity:container!=~redis",
                "constraint:zone==~z1",
            ],
            ports=["80:80"],
            links=["db"],
        ),
        f"{UNABLE}\n[port 80 (Bridge mode)]{SLOTS}\n[--link=db]\n[container!=redis (soft=true)]"
        "\n[region!=us zone==z1]\n[node==x (soft=false)]",
    ),
]


def label(kind: str, text: str) -> dict[str, str]:
    return {f"com.docker.swarm.{kind}": text}


CONVENTIONS = [
    Case(
        "a constraint as a label",
        REGIONS,
        Asked(labels=label("constraints", '["region==us-east"]')),
        ["a"],
    ),
    Case(
        "an affinity as a label",
        WEBS,
        Asked(labels=label("affinities", '["container==web-1"]')),
        ["a"],
    ),
    Case(
        "a whitelist as a label", REGIONS, Asked(labels=label("whitelists", '["node==b"]')), ["b"]
    ),
    Case(
        "labels come before variables",
        REGIONS,
        Asked(["constraint:region==us"], label("constraints", '["zone==z1", "disk==ssd"]')),
        nowhere("zone==z1", "disk==ssd", "region==us"),
    ),
    Case(
        "a label that is no JSON is not read",
        REGIONS,
        Asked(labels=label("constraints", "region==us-east")),
        ["c", "b", "a"],
    ),
    Case(
        "a label that is null", REGIONS, Asked(labels=label("constraints", "null")), ["c", "b", "a"]
    ),
    Case(
        "a label that is an object is not read",
        REGIONS,
        Asked(labels=label("constraints", '{"region": "us"}')),
        ["c", "b", "a"],
    ),
    Case(
        "a label with an empty list",
        REGIONS,
        Asked(labels=label("constraints", "[]")),
        ["c", "b", "a"],
    ),
    Case(
        "a wish in a label is written without its kind",
        REGIONS,
        Asked(labels=label("constraints", '["constraint:region==us"]')),
        invalid("Key 'constraint:region' is invalid"),
    ),
    Case(
        "a variable that only looks like a wish",
        REGIONS,
        wish("constraints:region==us-east"),
        ["c", "b", "a"],
    ),
    Case(
        "a variable that holds a wish",
        REGIONS,
        wish("WISH=constraint:region==us-east"),
        ["c", "b", "a"],
    ),
    Case(
        "a variable in capitals is no wish",
        REGIONS,
        wish("CONSTRAINT:region==us-east"),
        ["c", "b", "a"],
    ),
    Case(
        "a reschedule policy is nothing to a filter",
        REGIONS,
        wish("reschedule:on-node-failure"),
        ["c", "b", "a"],
    ),
]

BOTH_FAIL = Asked(["constraint:region==us"], ports=["80:80"])

ORDERS = [
    Case(
        "the first filter that fails is the last in the list",
        two("80:80")[:1],
        BOTH_FAIL,
        UNABLE + "\n[region==us]",
        filters=["constraint", "port"],
    ),
    Case(
        "the other way round", two("80:80")[:1], BOTH_FAIL, BRIDGE, filters=["port", "constraint"]
    ),
    Case(
        "a filter that is not there lists nothing",
        REGIONS,
        wish("constraint:region==us"),
        UNABLE + "\n[region==us]",
        filters=["health", "constraint"],
    ),
    Case(
        "the slots are listed where they stand",
        REGIONS,
        wish("constraint:region==us"),
        without("region==us"),
        filters=["containerslots", "constraint"],
    ),
    Case(
        "the slots are not listed behind",
        REGIONS,
        wish("constraint:region==us"),
        UNABLE + "\n[region==us]",
        filters=["constraint", "containerslots"],
    ),
    Case(
        "a filter twice",
        REGIONS,
        wish("constraint:region==us-east"),
        ["a"],
        filters=["constraint", "constraint"],
    ),
    Case(
        "the list ends at the filter that fails, though the first comes again",
        [Machine("a", labels={"region": "us"}, held=[Held("x", ports=["80:80"])]), Machine("b")],
        BOTH_FAIL,
        UNABLE + "\n[port 80 (Bridge mode)]\n[region==us]",
        filters=["port", "constraint", "port"],
    ),
    Case(
        "the whitelist first",
        REGIONS,
        wish("whitelist:node==x", "constraint:region==us"),
        UNABLE + "\n[node==x (soft=false)]",
        filters=["whitelist", "constraint"],
    ),
    Case(
        "only the health", FADING, wish("constraint:node==x"), ["c", "b", "a"], filters=["health"]
    ),
    Case(
        "no filter at all",
        two("80:80"),
        Asked(["constraint:x==y"], ports=["80:80"], links=["nobody"]),
        ["b", "a"],
        filters=[],
    ),
    Case(
        "the health last",
        [Machine("a", health=0), Machine("b")],
        Asked(),
        ["b"],
        filters=list(reversed(DEFAULT)),
    ),
]

CASES = [
    *WEIGHTS,
    *HEALTH,
    *RANDOM,
    *NOBODY,
    *PORTS,
    *SLOT_CASES,
    *DEPENDENCIES,
    *AFFINITIES,
    *CONSTRAINTS,
    *INVALID,
    *SOFT,
    *WHITELISTS,
    *CONVENTIONS,
    *ORDERS,
]
