"""What a container is asked to be, and where it may run: cluster/config.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `ContainerConfig`                         | `ContainerConfig`                   |
| `BuildContainerConfig`                    | `ContainerConfig.build`             |
| `parseEnv`, `extractExprs`                | `split_env`, `ContainerConfig.wishes` |
| `SwarmLabelNamespace`                     | `NAMESPACE`                         |
| `ConsolidateResourceFields`               | `consolidate`                       |

A **wish** is what a user asks of the scheduler: an affinity, a constraint, a whitelist,
a reschedule policy. It is said as an environment variable, and kept as a label.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

JSON: TypeAlias = dict[str, Any]

NAMESPACE = "com.docker.swarm"
"""What the labels begin with that a manager gives to a container."""

WISHES = {
    "affinity": "affinities",
    "constraint": "constraints",
    "reschedule": "reschedule-policies",
    "whitelist": "whitelists",
}
"""What a variable begins with, before a colon, and the label that keeps it."""

POLICIES = ("off", "on-node-failure")

ESCAPES = str.maketrans(
    {char: f"\\u{ord(char):04x}" for char in [*map(chr, range(32)), *"<>&\u2028\u2029"]}
    | {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
)
"""What Go puts into a JSON string for a character; `json.dumps` differs in seven."""


def split_env(env: Iterable[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Return the variables that are none of ours, and the wishes by their label."""
    rest: list[str] = []
    wishes: dict[str, list[str]] = {}
    for variable in env:
        kind, _, wish = variable.partition(":")
        if kind in WISHES and ":" in variable:
            wishes.setdefault(WISHES[kind], []).append(wish)
        else:
            rest.append(variable)
    return rest, wishes


def to_label(wishes: Iterable[str]) -> str:
    """Return a list as Go writes it in JSON."""
    return "[" + ",".join(f'"{wish.translate(ESCAPES)}"' for wish in wishes) + "]"


def from_label(text: str) -> list[str]:
    """Return the texts of a JSON list, "" for what is no text; [] if it is no list."""
    try:
        found = json.loads(text, parse_int=float, parse_constant=no_json)
    except (ValueError, RecursionError):
        return []
    items = cast("list[object]", found) if isinstance(found, list) else []
    return [whole(item) if isinstance(item, str) else "" for item in items]


def no_json(word: str) -> None:
    """Raise ValueError for `NaN` and `Infinity`, which Python takes for numbers."""
    raise ValueError(word)


def whole(text: str) -> str:
    """Replace half a surrogate pair, which JSON can spell and UTF-8 cannot."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


@dataclass
class ContainerConfig:
    """The body of `POST /containers/create`, as it came, and what we read of it.

    Use `build` to make one. A field that is not named here is passed on untouched.
    """

    raw: JSON

    @classmethod
    def build(cls, raw: JSON) -> "ContainerConfig":
        """Move the wishes from the environment into labels; `raw` stays as it is."""
        # For Go, null is the empty value of whatever type belongs there.
        variables: list[str | None] = raw.get("Env") or []
        given: dict[str, str | None] = raw.get("Labels") or {}
        env, said = split_env(each or "" for each in variables)
        labels = {key: text or "" for key, text in given.items()}
        host = dict(raw.get("HostConfig") or {})
        config = cls({**raw, "Env": env, "Labels": labels, "HostConfig": host})
        for kind in WISHES.values():
            # Those of a label come first, which is the order of error messages.
            if wishes := config.wishes(kind) + said.get(kind, []):
                config.wish(kind, wishes)
        return config

    @property
    def image(self) -> str:
        return self.raw.get("Image") or ""

    @property
    def env(self) -> list[str]:
        return self.raw.get("Env") or []

    @property
    def labels(self) -> dict[str, str]:
        return self.raw.setdefault("Labels", {})

    @property
    def host(self) -> JSON:
        """What depends on the machine: `HostConfig`."""
        return self.raw.setdefault("HostConfig", {})

    @property
    def memory(self) -> int:
        """Bytes that the container reserves; 0 is none."""
        return self.host.get("Memory") or 0

    @property
    def cpus(self) -> int:
        """Whole CPUs that it reserves: what Swarm takes `CpuShares` for."""
        return self.host.get("CpuShares") or 0

    @property
    def network_mode(self) -> str:
        return self.host.get("NetworkMode") or ""

    @property
    def endpoints(self) -> dict[str, JSON]:
        """The networks to attach to, by name: `NetworkingConfig.EndpointsConfig`."""
        networking: JSON = self.raw.get("NetworkingConfig") or {}
        return networking.get("EndpointsConfig") or {}

    @property
    def swarm_id(self) -> str:
        """The id that a container keeps when it moves; "" if it has none."""
        return self.labels.get(f"{NAMESPACE}.id", "")

    @swarm_id.setter
    def swarm_id(self, value: str) -> None:
        self.labels[f"{NAMESPACE}.id"] = value

    def wishes(self, kind: str) -> list[str]:
        """Return the wishes of a kind: a value of `WISHES`."""
        return from_label(self.labels.get(f"{NAMESPACE}.{kind}", ""))

    def wish(self, kind: str, wishes: list[str]) -> None:
        """Replace the wishes of a kind."""
        self.labels[f"{NAMESPACE}.{kind}"] = to_label(wishes)

    def add_constraint(self, constraint: str) -> None:
        self.wish("constraints", [*self.wishes("constraints"), constraint])

    def add_affinity(self, affinity: str) -> None:
        self.wish("affinities", [*self.wishes("affinities"), affinity])

    def remove_affinity(self, affinity: str) -> None:
        kept = [each for each in self.wishes("affinities") if each != affinity]
        self.wish("affinities", kept)

    def have_node_constraint(self) -> bool:
        """Tell whether a constraint says, without `~`, which node it must be."""
        return any(
            each.startswith("node==") and not each.startswith("node==~")
            for each in self.wishes("constraints")
        )

    def has_reschedule_policy(self, policy: str) -> bool:
        return policy in self.wishes("reschedule-policies")

    def validate(self) -> None:
        """Raise ValueError for policies that contradict, or that nobody knows."""
        policies = self.wishes("reschedule-policies")
        if len(policies) > 1:
            raise ValueError("too many reschedule policies")
        for policy in policies:
            if policy not in POLICIES:
                raise ValueError(f"invalid reschedule policy: {policy}")


RESOURCES = {
    "Memory": "Memory",
    "MemorySwap": "MemorySwap",
    "CpuShares": "CpuShares",
    "Cpuset": "CpusetCpus",
}
"""Fields that clients before API 1.18 send, and where they belong in HostConfig."""


def consolidate(raw: JSON) -> JSON:
    """Return a create request with the resources of an old client in HostConfig."""
    host = dict(raw.get("HostConfig") or {})
    host |= {new: raw[old] for old, new in RESOURCES.items() if raw.get(old)}
    rest = {key: value for key, value in raw.items() if key not in RESOURCES}
    return {**rest, "HostConfig": host}
