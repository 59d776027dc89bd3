"""Whether an engine is well, and when to look again: a part of cluster/engine.go.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `EngineOpts`                              | `EngineOptions`                     |
| `engineState`, `stateText`                | `State`                             |
| `CheckConnectionErr`                      | `Health.succeeded`, `Health.failed` |
| `HealthIndicator`                         | `Health.indicator`                  |
| `TimeToValidate`                          | `Health.time_to_validate`           |
| `delayer.Wait`, `backoffFactor`           | `Health.refresh_wait`               |
"""

from dataclasses import dataclass
from enum import Enum
from random import Random

from walkthroughs.swarm.world import Clock

VALIDATION_LIMIT = 4 * 3600.0
"""Seconds after which a pending engine is tried again, however often that failed."""
MIN_FAILURE_BACKOFF = 30.0
"""Seconds that it is left alone at least."""
MAX_BACKOFF_FACTOR = 1000
"""By how much the wait for a refresh may grow."""


@dataclass(frozen=True)
class EngineOptions:
    """How an engine is watched."""

    refresh_min_interval: float = 30.0
    """Seconds; so is the next."""
    refresh_max_interval: float = 60.0
    failure_retry: int = 3
    """Failures in a row that make an engine unhealthy."""


class State(Enum):
    """What becomes of an engine; the values are those that `docker info` shows."""

    PENDING = "Pending"
    """Never reached, or not accepted."""
    HEALTHY = "Healthy"
    UNHEALTHY = "Unhealthy"
    """Was reached once, and is not any more."""
    DISCONNECTED = "Disconnected"
    """Gone from discovery, for good."""


class Health:
    """The memory of how an engine answered."""

    def __init__(self, options: EngineOptions, clock: Clock) -> None:
        self.options = options
        self.clock = clock
        self.state = State.PENDING
        self.failures = 0
        """Requests in a row that found nobody."""
        self._note("")

    def _note(self, error: str) -> None:
        self.error = error.strip()
        self.updated_at = self.clock.time()
        self._updated = self.clock.monotonic()

    def succeeded(self) -> bool:
        """Note an answer; tell whether the engine came back to life with it."""
        self._note("")
        self.failures = 0
        if back := self.state is State.UNHEALTHY:
            self.state = State.HEALTHY
        return back

    def failed(self, error: str) -> bool:
        """Note a request that found nobody; tell whether it was one too many."""
        self._note(error)
        self.failures += 1
        enough = self.failures >= self.options.failure_retry
        if lost := enough and self.state is State.HEALTHY:
            self.state = State.UNHEALTHY
        return lost

    def refused(self, error: str) -> None:
        """Note why an engine that answers cannot be used."""
        self._note(error)

    def validated(self) -> None:
        """Make a pending engine a healthy one."""
        self.state = State.HEALTHY
        self.failures = 0

    def indicator(self) -> int:
        """Return 100 after an answer, less after failures, 0 when not healthy."""
        retry = self.options.failure_retry
        if self.state is not State.HEALTHY or self.failures >= retry:
            return 0
        return 100 - self.failures * 100 // retry

    def time_to_validate(self) -> bool:
        """Tell whether a pending engine has been left alone for long enough."""
        if self.state is not State.PENDING:
            return False
        idle = self.clock.monotonic() - self._updated
        # 2**14 is more than the limit, and 2.0**1024 would be no number.
        patience = 2.0 ** min(self.failures, 14) + MIN_FAILURE_BACKOFF
        return idle > min(patience, VALIDATION_LIMIT)

    def refresh_wait(self, random: Random) -> float:
        """Return seconds until the next refresh: more after failures, never the same.

        Engines that were started together do not stay together.
        """
        low = self.options.refresh_min_interval
        high = self.options.refresh_max_interval
        beyond = max(0, self.failures - self.options.failure_retry)
        jitter = random.random() * max(0.0, high - low)
        return low * (1 + min(beyond, MAX_BACKOFF_FACTOR)) + jitter
