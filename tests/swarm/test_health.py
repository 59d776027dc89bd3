"""Whether an engine is well, and when it is looked at again."""

from itertools import pairwise
from random import Random

import pytest

from walkthroughs.swarm.health import EngineOptions, Health, State
from walkthroughs.swarm.lab import EPOCH, VirtualClock

AWAY = "Cannot connect to the Docker daemon at tcp://10.0.0.1:2375. Is the docker daemon running?"
LIMIT = 4 * 3600


def engine(state=State.PENDING, failures=0, **options):
    health = Health(EngineOptions(**options), VirtualClock())
    health.state, health.failures = state, failures
    return health


def told(health):
    return health.state.value, health.failures, health.indicator(), health.error


def test_the_defaults_are_those_of_the_original():
    assert EngineOptions() == EngineOptions(30.0, 60.0, 3)


def test_the_states_are_what_docker_info_shows():
    names = ["Pending", "Healthy", "Unhealthy", "Disconnected"]
    assert [state.value for state in State] == names


# States.


def test_an_engine_that_nobody_asked_is_pending():
    assert told(engine()) == ("Pending", 0, 0, "")


def test_a_pending_engine_counts_its_failures_and_stays_pending():
    health = engine()
    assert [health.failed(AWAY) for _ in range(5)] == [False] * 5
    assert told(health) == ("Pending", 5, 0, AWAY)


def test_a_validated_engine_is_healthy_and_its_failures_are_forgotten():
    health = engine(failures=4)
    health.failed(AWAY)
    health.validated()
    assert told(health) == ("Healthy", 0, 100, AWAY)


def test_the_third_failure_in_a_row_makes_an_engine_unhealthy():
    health, seen = engine(State.HEALTHY), []
    for _ in range(4):
        lost = health.failed(AWAY)
        seen.append((lost, *told(health)))
    assert seen == [
        (False, "Healthy", 1, 67, AWAY),
        (False, "Healthy", 2, 34, AWAY),
        (True, "Unhealthy", 3, 0, AWAY),
        (False, "Unhealthy", 4, 0, AWAY),
    ]


def test_an_answer_in_between_begins_the_count_anew():
    health = engine(State.HEALTHY)
    for _ in range(10):
        assert [health.failed(AWAY), health.failed(AWAY), health.succeeded()] == [False] * 3
    assert told(health) == ("Healthy", 0, 100, "")


def test_any_answer_makes_an_unhealthy_engine_healthy():
    health = engine(State.UNHEALTHY, failures=7)
    assert [health.succeeded(), health.succeeded()] == [True, False]
    assert told(health) == ("Healthy", 0, 100, "")


@pytest.mark.parametrize("state", [State.PENDING, State.HEALTHY, State.DISCONNECTED])
def test_an_answer_changes_no_other_state(state):
    health = engine(state)
    assert (health.succeeded(), health.state) == (False, state)


def test_an_engine_that_has_left_only_counts():
    health = engine(State.DISCONNECTED, failures=2)
    assert (health.failed(AWAY), *told(health)) == (False, "Disconnected", 3, 0, AWAY)


def test_a_refusal_is_no_failure():
    health = engine(State.HEALTHY, failures=1)
    health.refused(" ID duplicated. \n")
    assert told(health) == ("Healthy", 1, 67, "ID duplicated.")


@pytest.mark.parametrize("how", ["succeeded", "failed", "refused"])
def test_every_word_with_an_engine_has_its_time(how):
    health = engine()
    assert health.updated_at == EPOCH
    health.clock.now = 77.0
    getattr(health, how)(*([] if how == "succeeded" else ["no"]))
    assert health.updated_at == EPOCH + 77


# The indicator: rows are `--engine-failure-retry`, columns failures. TestHealthIndicator


@pytest.mark.parametrize(
    ("retry", "indicators"),
    [
        (1, [100, 0, 0, 0, 0, 0, 0, 0, 0]),
        (2, [100, 50, 0, 0, 0, 0, 0, 0, 0]),
        (3, [100, 67, 34, 0, 0, 0, 0, 0, 0]),
        (7, [100, 86, 72, 58, 43, 29, 15, 0, 0]),
    ],
)
def test_the_indicator_falls_with_each_failure(retry, indicators):
    found = [engine(State.HEALTHY, n, failure_retry=retry).indicator() for n in range(9)]
    assert found == indicators


@pytest.mark.parametrize("state", [State.PENDING, State.UNHEALTHY, State.DISCONNECTED])
def test_the_indicator_of_who_is_not_healthy_is_0(state):
    assert engine(state).indicator() == 0


# How long a pending engine is left alone.


def patience(failures):
    """Return the whole seconds after which the engine is tried again: at once after them."""
    health = engine()
    health.failures = failures
    low, high = -1, 20_000
    while high - low > 1:
        health.clock.now = (middle := (low + high) // 2) + 0.5
        low, high = (low, middle) if health.time_to_validate() else (middle, high)
    return high


def test_a_pending_engine_is_tried_again_after_2_to_the_failures_and_30_seconds():
    measured = [31, 32, 34, 38, 46, 62, 94, 158, 286, 542, 1054, 2078, 4126, 8222]
    assert [patience(failures) for failures in range(14)] == measured


@pytest.mark.parametrize("failures", [14, 15, 33, 1000, 10**6])
def test_a_pending_engine_is_tried_again_after_four_hours_at_most(failures):
    assert patience(failures) == LIMIT


@pytest.mark.parametrize(("failures", "original"), [(34, 0), (36, 0), (40, 0), (55, 30), (71, 30)])
def test_where_an_int64_overflows_in_the_original_ours_waits_on(failures, original):
    nanoseconds = (1 << failures) % 2**64 * 10**9 % 2**64
    signed = nanoseconds - (nanoseconds >> 63 << 64) + 30 * 10**9
    assert max(0, signed // 10**9) == original
    assert patience(failures) == LIMIT


def test_a_pending_engine_is_not_tried_before_its_time():
    health = engine()
    health.clock.now = 31.0
    assert not health.time_to_validate()
    health.clock.now = 31.001
    assert health.time_to_validate()


def test_a_refusal_begins_the_wait_anew():
    health = engine()
    health.clock.now = 31.5
    health.refused("ID duplicated.")
    assert not health.time_to_validate()


@pytest.mark.parametrize("state", [State.HEALTHY, State.UNHEALTHY, State.DISCONNECTED])
def test_only_a_pending_engine_is_validated(state):
    health = engine(state)
    health.clock.now = 10 * LIMIT
    assert not health.time_to_validate()


# How long until the next refresh.


class Chance:
    """Always the same; 1.0 is what it never comes to."""

    def __init__(self, value):
        self.value = value

    def random(self):
        return self.value


def waits(failures, **options):
    """Return the shortest and the longest wait."""
    health = engine(State.UNHEALTHY, failures, **options)
    return health.refresh_wait(Chance(0.0)), health.refresh_wait(Chance(1.0))


@pytest.mark.parametrize(
    ("failures", "shortest", "longest"),
    [
        (0, 30, 60),
        (3, 30, 60),
        (4, 60, 90),
        (5, 90, 120),
        (13, 330, 360),
        (1003, 30_030, 30_060),
        (1004, 30_030, 30_060),
        (10**9, 30_030, 30_060),
    ],
)
def test_failures_beyond_those_that_are_enough_make_the_wait_longer(failures, shortest, longest):
    assert waits(failures) == (shortest, longest)


def test_the_failures_that_are_enough_are_an_option():
    assert [waits(n, failure_retry=5)[0] for n in (4, 5, 6, 7)] == [30, 30, 60, 90]


@pytest.mark.parametrize("longest", [30.0, 20.0])
def test_an_interval_of_one_length_has_no_jitter(longest):
    assert waits(0, refresh_max_interval=longest) == (30, 30)


def test_a_wait_is_anywhere_in_the_interval():
    random, health = Random(1), engine(State.HEALTHY)
    found = sorted(health.refresh_wait(random) for _ in range(1000))
    assert (30 <= found[0] < 30.5, 59.5 < found[-1] < 60) == (True, True)
    assert max(after - before for before, after in pairwise(found)) < 0.5
