"""The lines of `docker ps`: a part of api/handlers.go and of cluster/container.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `units.HumanDuration`                     | `human_duration`                    |
| `StateString`, `HealthString`             | `state_string`, `health_string`     |
| `FullStateString`                         | `full_state_string`                 |
| the filters in `getContainersJSON`        | `TESTS`                             |
| its other conditions                      | `Choice`                            |
| `ContainerSorter`                         | `age`                               |
| the copies that it makes                  | `seen_from_outside`, `status_of`    |
| `json.NewEncoder(w).Encode`               | `Lines`                             |
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from walkthroughs.swarm.cluster import Container
from walkthroughs.swarm.config import JSON, NAMESPACE
from walkthroughs.swarm.filter_args import Args
from walkthroughs.swarm.golang import unix_time
from walkthroughs.swarm.handler import to_json

HOUR = 3600
NEVER = unix_time("0001-01-01T00:00:00Z")
"""What engines say of a moment that has not come: Go's zero."""

ANY_ADDRESS = ("0.0.0.0", "::")
"""What a port is published on that has no address of its own."""


def human_duration(seconds: float) -> str:
    """Return a time span as a person would put it: `4 hours`."""
    minutes, hours = int(seconds / 60), int(seconds / HOUR)
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return f"{int(seconds)} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    days = hours // 24
    if days < 14:
        return f"{days} days"
    if days < 90:
        return f"{days // 7} weeks"
    return f"{days // 30} months" if days < 730 else f"{days // 365} years"


@lru_cache(10_000)
def moment(text: str) -> float:
    """Return the Unix time of a change of state; `NEVER` for what is no time."""
    try:
        return unix_time(text)
    except ValueError:
        return NEVER


def state_of(container: Container) -> JSON:
    """Return what the last inspection said of its state."""
    return container.info.get("State") or {}


def state_string(state: JSON) -> str:
    """Return the one word that `--filter status=` is about."""
    if state.get("Running"):
        if state.get("Paused"):
            return "paused"
        return "restarting" if state.get("Restarting") else "running"
    if state.get("Dead"):
        return "dead"
    return "created" if moment(state.get("StartedAt") or "") == NEVER else "exited"


def health_string(state: JSON) -> str:
    """Return what its health check says; `none` if it has no such check."""
    health: JSON | None = state.get("Health")
    return (health.get("Status") or "") if health else "none"


def full_state_string(state: JSON, now: float) -> str:
    """Return what people read of a state: `Up 4 hours`, `Exited (0) 2 days ago`."""
    word = state_string(state)
    if word in ("created", "dead"):
        return word.capitalize()
    if word in ("restarting", "exited"):
        finished, code = moment(state.get("FinishedAt") or ""), state.get("ExitCode")
        if finished == NEVER and word == "exited":
            return ""
        ago = f"{human_duration(now - finished)} ago"
        return f"{word.capitalize()} ({code or 0}) {ago}"
    health = health_string(state).replace("starting", "health: starting")
    note = "Paused" if word == "paused" else health
    up = f"Up {human_duration(now - moment(state.get('StartedAt') or ''))}"
    return up if note in ("", "none") else f"{up} ({note})"


Test: TypeAlias = Callable[[Args, Container], bool]


def has_name(filters: Args, container: Container) -> bool:
    # The first may be the one that a link gave.
    if names := container.names:
        return filters.match("name", names[0].removeprefix("/"))
    return not filters.get("name")


def is_task(filters: Args, container: Container) -> bool:
    """Tell whether it is what was asked for: a task of a service, or none."""
    task = f"{NAMESPACE}.task" in container.config.labels
    return not filters.exact_match("is-task", "false" if task else "true")


def has_volume(filters: Args, container: Container) -> bool:
    mounts: list[JSON] = container.info.get("Mounts") or []
    known = {each.get(key) or "" for each in mounts for key in ("Name", "Destination")}
    return any(value in known for value in filters.get("volume"))


def has_network(filters: Args, container: Container) -> bool:
    settings: JSON = container.raw.get("NetworkSettings") or {}
    networks: dict[str, JSON | None] = settings.get("Networks") or {}
    ids = [(end.get("NetworkID") or "") for end in networks.values() if end]
    return any(
        value in networks or any(each.startswith(value) for each in ids)
        for value in filters.get("network")
    )


def has_exited(filters: Args, container: Container) -> bool:
    state, codes = state_of(container), [int(each) for each in filters.get("exited")]
    ended = not state.get("Running") and (state.get("ExitCode") or 0) in codes
    return ended or not codes


TESTS: dict[str, Test] = {
    "name": has_name,
    "id": lambda f, c: f.match("id", c.id),
    "label": lambda f, c: f.match_kv_list("label", c.config.labels),
    "status": lambda f, c: f.match("status", state_string(state_of(c))),
    "node": lambda f, c: f.match("node", c.engine.name),
    "health": lambda f, c: f.exact_match("health", health_string(state_of(c))),
    "is-task": is_task,
    "volume": has_volume,
    "network": has_network,
    "exited": has_exited,
}
"""By filter; others that engines know, as `ancestor`, are not looked at."""


def age(container: Container) -> str:
    """Return what sorts containers by the time of their creation."""
    # 00Z comes before 00.5Z, and a Z is after a dot.
    created: str = container.info.get("Created") or ""
    return created.rstrip("Z")


@dataclass
class Choice:
    """Which containers a client wants to see."""

    filters: Args
    all: bool = False
    """Those that do not run, too."""
    limit: int = 0
    """How many of the newest; 0 is no limit."""
    before: Container | None = None
    """Only those that were created before this one."""

    def wants(self, container: Container) -> bool:
        """Tell whether a container is one of those, all but limit and order."""
        some = self.all or self.before is not None or self.limit > 0
        if not some and not (container.running and container.engine.is_healthy()):
            return False
        # The manager itself may be a container of the cluster.
        image: str = container.raw.get("Image") or ""
        if image.partition(":")[0] == "swarm" and not self.all:
            return False
        return self.filters.allow(TESTS, container)

    def of(self, containers: Iterable[Container]) -> list[Container]:
        """Return the wanted ones, the newest first."""
        chosen = sorted(filter(self.wants, containers), key=age, reverse=True)
        chosen = chosen[: self.limit] if self.limit > 0 else chosen
        if self.before is None:
            return chosen
        ids = [each.id for each in chosen]
        return chosen[ids.index(self.before.id) + 1 :] if self.before.id in ids else []


def seen_from_outside(container: Container) -> JSON:
    """Return what an engine said of a container, as it is true in the cluster."""
    engine = container.engine
    ports: list[JSON] = container.raw.get("Ports") or []
    told = container.raw | {
        "Names": [f"/{engine.name}{name}" for name in container.names],
        "Ports": [reachable(port, "IP", engine.ip) for port in ports],
        "Labels": container.config.labels,
        # An end is known to the inspection before the engine has listed it again.
        "State": state_of(container).get("Status") or container.raw.get("State"),
    }
    # As old as the engine's answer; `status_of` knows better.
    told.pop("Status", None)
    return told


def reachable(port: JSON, key: str, ip: str) -> JSON:
    """Return where a port is published, as whoever is not on the engine needs it."""
    there: Any = port.get(key)
    return port | {key: ip} if there in ANY_ADDRESS else port


def status_of(container: Container, now: float) -> str:
    """Return what people read of a container, at a Unix time."""
    if not container.engine.is_healthy():
        return "Host Down"
    return full_state_string(state_of(container), now)


class Lines:
    """Containers as JSON, each of which is written once: all but its status."""

    def __init__(self) -> None:
        # What was written of a container is dropped with the container.
        self.known: WeakKeyDictionary[Container, tuple[object, bytes]]
        self.known = WeakKeyDictionary()

    def line(self, container: Container, now: float) -> bytes:
        """Return a container for a list, at a Unix time."""
        facts = container.engine.name, container.engine.ip
        known, text = self.known.get(container, (None, b""))
        if known != facts:
            text = to_json(seen_from_outside(container)).removesuffix(b"}\n")
            self.known[container] = facts, text
        # It says how long ago something was, and is another one soon.
        status = to_json({"Status": status_of(container, now)})[1:-1]
        return text + b"," + status

    def write(self, containers: Iterable[Container], now: float) -> bytes:
        """Return a list of containers, as an answer."""
        return b"[" + b",".join(self.line(each, now) for each in containers) + b"]\n"
