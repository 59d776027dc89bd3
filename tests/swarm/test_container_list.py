"""The lines of `docker ps`; texts were measured with the original's package units and binary."""

import gc
import json
from dataclasses import dataclass

import pytest

from walkthroughs.swarm.cluster import Container
from walkthroughs.swarm.config import ContainerConfig
from walkthroughs.swarm.container_list import (
    Choice,
    Lines,
    full_state_string,
    health_string,
    human_duration,
    seen_from_outside,
    state_string,
)
from walkthroughs.swarm.filter_args import Args

NEVER = "0001-01-01T00:00:00Z"
BEGIN = "2017-07-14T02:40:00Z"
NOW = 1_500_000_000
"""The moment that `BEGIN` is."""

MINUTE, HOUR, DAY = 60, 3600, 86_400


@dataclass
class Machine:
    """What is asked of an engine here."""

    name: str = "node-1"
    ip: str = "10.0.0.1"
    healthy: bool = True

    def is_healthy(self):
        return self.healthy


def container(name="web", engine=None, state=None, raw=None, labels=None, **info):
    state = {"Running": True, "StartedAt": BEGIN, "FinishedAt": NEVER, "ExitCode": 0} | (
        state or {}
    )
    raw = {"Id": f"id of {name}", "Names": [f"/{name}"], "Image": "busybox"} | (raw or {})
    info = {"State": state, "Created": BEGIN} | info
    config = ContainerConfig.build({"Labels": labels or {}})
    return Container(engine or Machine(), config, raw, info)


def chosen(containers, filters=None, **choice):
    fields = {key: dict.fromkeys(values, True) for key, values in (filters or {}).items()}
    found = Choice(Args(fields), **choice).of(containers)
    return [each.names[0][1:] if each.names else each.id for each in found]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "Less than a second"),
        (0.9, "Less than a second"),
        (1, "1 seconds"),
        (59.9, "59 seconds"),
        (MINUTE, "About a minute"),
        (2 * MINUTE - 1, "About a minute"),
        (2 * MINUTE, "2 minutes"),
        (HOUR - 1, "59 minutes"),
        (HOUR, "About an hour"),
        (2 * HOUR - 1, "About an hour"),
        (2 * HOUR, "2 hours"),
        (48 * HOUR - 1, "47 hours"),
        (48 * HOUR, "2 days"),
        (14 * DAY - 1, "13 days"),
        (14 * DAY, "2 weeks"),
        (90 * DAY - 1, "12 weeks"),
        (90 * DAY, "3 months"),
        (730 * DAY - 1, "24 months"),
        (730 * DAY, "2 years"),
        (3000 * DAY, "8 years"),
    ],
)
def test_human_duration_changes_its_words_where_the_original_s_does(seconds, text):
    assert human_duration(seconds) == text


RAN = {"StartedAt": BEGIN, "FinishedAt": BEGIN}
UP = {"Running": True, "StartedAt": BEGIN, "FinishedAt": NEVER}


@pytest.mark.parametrize(
    ("state", "word", "full"),
    [
        (UP, "running", "Up 5 seconds"),
        ({**UP, "Paused": True}, "paused", "Up 5 seconds (Paused)"),
        ({**UP, "Paused": True, "Restarting": True}, "paused", "Up 5 seconds (Paused)"),
        (
            {**UP, "Restarting": True, "ExitCode": 1, "FinishedAt": BEGIN},
            "restarting",
            "Restarting (1) 5 seconds ago",
        ),
        ({**UP, "Health": {"Status": "starting"}}, "running", "Up 5 seconds (health: starting)"),
        ({**UP, "Health": {"Status": "healthy"}}, "running", "Up 5 seconds (healthy)"),
        ({**UP, "Health": {"Status": "unhealthy"}}, "running", "Up 5 seconds (unhealthy)"),
        ({**UP, "Health": {"Status": ""}}, "running", "Up 5 seconds"),
        ({**UP, "Health": None}, "running", "Up 5 seconds"),
        ({**RAN, "ExitCode": 137}, "exited", "Exited (137) 5 seconds ago"),
        ({**RAN, "FinishedAt": NEVER}, "exited", ""),
        ({**RAN, "Dead": True}, "dead", "Dead"),
        ({"StartedAt": NEVER, "FinishedAt": NEVER}, "created", "Created"),
        ({"StartedAt": "soon"}, "created", "Created"),
        ({}, "created", "Created"),
    ],
)
def test_a_state_in_one_word_and_in_full(state, word, full):
    assert state_string(state) == word
    assert full_state_string(state, NOW + 5) == full


def test_who_has_no_health_check_has_health_none():
    assert health_string({}) == "none"
    assert health_string({"Health": {"Status": "healthy"}}) == "healthy"


STOPPED = {"Running": False, "FinishedAt": BEGIN}


def test_who_does_not_run_is_shown_to_those_who_ask_for_more():
    both = [container("web"), container("db", state=STOPPED)]
    assert chosen(both) == ["web"]
    assert chosen(both, all=True) == ["web", "db"]
    assert chosen(both, limit=5) == ["web", "db"]
    assert chosen(both, before=both[0]) == ["db"]


def test_who_is_on_an_engine_that_is_not_healthy_counts_as_not_running():
    lost = [container("web", Machine(healthy=False))]
    assert chosen(lost) == []
    assert chosen(lost, all=True) == chosen(lost, limit=1) == ["web"]


def test_a_manager_that_is_a_container_is_shown_with_all_only():
    swarm = [
        container(image, raw={"Image": image}) for image in ("swarm", "swarm:1.2.9", "swarmer")
    ]
    assert chosen(swarm) == chosen(swarm, limit=9) == ["swarmer"]
    assert chosen(swarm, all=True) == ["swarm", "swarm:1.2.9", "swarmer"]


def test_the_newest_is_first():
    days = [container(f"day-{day}", Created=f"2017-07-1{day}T00:00:00Z") for day in (3, 5, 4)]
    assert chosen(days) == ["day-5", "day-4", "day-3"]


def test_parts_of_a_second_are_compared_as_numbers():
    """As texts, which the original compares, 00Z is after 00.5Z."""
    times = ["00", "00.5", "00.51", "01"]
    containers = [container(text, Created=f"2017-07-14T02:40:{text}Z") for text in times]
    assert chosen(containers) == times[::-1]


def test_the_limit_counts_before_before_does():
    five = [container(f"c{n}", Created=f"2017-07-14T02:40:0{n}Z") for n in range(5)]
    assert chosen(five, limit=2) == ["c4", "c3"]
    assert chosen(five, before=five[3]) == ["c2", "c1", "c0"]
    assert chosen(five, before=five[3], limit=3) == ["c2"]
    assert chosen(five, before=five[0], limit=3) == []


THREE = [
    container("web", labels={"tier": "web", "com.docker.swarm.task": "x"}),
    container("db", Machine("node-2"), state={**STOPPED, "ExitCode": 3}, labels={"tier": "db"}),
    container("webber", state={"Health": {"Status": "healthy"}}),
]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"name": ["web"]}, ["web", "webber"]),
        ({"name": ["^web$", "b$"]}, ["web", "db"]),
        ({"name": ["/web"]}, []),
        ({"name": []}, ["web", "db", "webber"]),
        ({"id": ["id of d"]}, ["db"]),
        ({"label": ["tier"]}, ["web", "db"]),
        ({"label": ["tier=db"]}, ["db"]),
        ({"status": ["exited"]}, ["db"]),
        ({"status": ["^r", "x"]}, ["web", "db", "webber"]),
        ({"node": ["node-2"]}, ["db"]),
        ({"node": ["node"]}, ["web", "db", "webber"]),
        ({"health": ["none"]}, ["web", "db"]),
        ({"health": ["health"]}, []),
        ({"is-task": ["true"]}, ["web"]),
        ({"is-task": ["false"]}, ["db", "webber"]),
        ({"is-task": ["maybe"]}, ["web", "db", "webber"]),
        ({"is-task": ["true", "false"]}, []),
        ({"is-task": []}, []),
        ({"exited": ["3"]}, ["db"]),
        ({"exited": ["0"]}, []),
        ({"exited": ["+3", "0"]}, ["db"]),
        ({"exited": []}, ["web", "db", "webber"]),
        ({"ancestor": ["x"], "since": ["x"], "publish": ["1"]}, ["web", "db", "webber"]),
        ({"label": ["tier"], "name": ["web"]}, ["web"]),
    ],
)
def test_filters(filters, names):
    assert chosen(THREE, filters, all=True) == names


def test_a_volume_is_meant_by_its_name_or_by_its_place():
    mounts = [{"Name": "data", "Destination": "/var"}, {"Source": "/etc", "Destination": "/etc"}]
    both = [container("web", Mounts=mounts), container("db", Mounts=None)]
    for value in "data", "/var", "/etc":
        assert chosen(both, {"volume": [value]}) == ["web"]
    assert chosen(both, {"volume": ["dat"]}) == chosen(both, {"volume": []}) == []


def test_a_network_is_meant_by_its_name_or_the_beginning_of_its_id():
    networks = {"front": {"NetworkID": "abc"}, "none": None}
    raw = {"NetworkSettings": {"Networks": networks}}
    both = [container("web", raw=raw), container("db")]
    for value in "front", "none", "abc", "ab":
        assert chosen(both, {"network": [value]}) == ["web"]
    assert chosen(both, {"network": ["fron"]}) == chosen(both, {"network": []}) == []


def test_who_has_no_name_matches_no_name():
    nameless = [container(raw={"Names": []})]
    assert chosen(nameless, {"name": ["x"]}) == []
    assert chosen(nameless, {"name": []}) == ["id of web"]


def test_what_an_engine_said_is_seen_from_outside():
    port = {"PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}
    raw = {
        "Names": ["/web", "/db/link"],
        "Ports": [
            port | {"IP": "0.0.0.0"},
            port | {"IP": "::"},
            port | {"IP": "127.0.0.1"},
            {"PrivatePort": 81, "Type": "tcp"},
        ],
        "Labels": {"old": "one"},
        "Status": "Up 3 days",
        "SizeRw": 5,
        "State": "running",
    }
    one = container(raw=raw, labels={"com.docker.swarm.id": "x"})
    assert seen_from_outside(one) == {
        "Id": "id of web",
        "Image": "busybox",
        "Names": ["/node-1/web", "/node-1/db/link"],
        "Ports": [
            port | {"IP": "10.0.0.1"},
            port | {"IP": "10.0.0.1"},
            port | {"IP": "127.0.0.1"},
            {"PrivatePort": 81, "Type": "tcp"},
        ],
        "Labels": {"com.docker.swarm.id": "x"},
        "SizeRw": 5,
        "State": "running",
    }
    assert one.raw["Status"] == "Up 3 days"


def test_state_and_status_are_of_one_moment_unlike_in_the_original():
    """There, the word is the engine's last list's, and the text its last inspection's."""
    ended = {**RAN, "Running": False, "Status": "exited", "ExitCode": 3}
    shown = written(Lines(), container(state=ended, raw={"State": "running"}), now=NOW + 5)[0]
    assert (shown["State"], shown["Status"]) == ("exited", "Exited (3) 5 seconds ago")
    old = container(raw={"State": "running"})
    assert seen_from_outside(old)["State"] == "running"


def test_lists_that_are_null_are_empty():
    shown = seen_from_outside(container(raw={"Names": None, "Ports": None}))
    assert (shown["Names"], shown["Ports"]) == ([], [])


def written(lines, *containers, now=NOW):
    return json.loads(lines.write(containers, now))


def test_an_empty_list_is_one():
    assert Lines().write([], NOW) == b"[]\n"


def test_a_list_is_what_its_lines_are():
    one, lost = container("ü"), container("db", Machine(healthy=False))
    assert written(Lines(), one, lost) == [
        seen_from_outside(one) | {"Status": "Up Less than a second"},
        seen_from_outside(lost) | {"Status": "Host Down"},
    ]


def test_a_line_is_written_once_and_its_status_each_time():
    lines, one = Lines(), container()
    first = lines.line(one, NOW)
    (_, text), known = lines.known[one], lines.known[one]
    assert first == text + b',"Status":"Up Less than a second"}'
    assert lines.line(one, NOW + 1) == text + b',"Status":"Up 1 seconds"}'
    assert lines.known[one] is known


@pytest.mark.parametrize("fact", [{"name": "node-9"}, {"ip": "10.0.0.9"}])
def test_a_line_is_written_anew_when_its_engine_is_another(fact):
    engine = Machine()
    lines = Lines()
    one = container(engine=engine, raw={"Ports": [{"IP": "0.0.0.0"}]})
    lines.line(one, NOW)
    vars(engine).update(fact)
    assert written(lines, one) == written(Lines(), one)


def test_a_line_is_forgotten_with_its_container():
    lines, one = Lines(), container()
    lines.line(one, NOW)
    assert len(lines.known) == 1
    del one
    gc.collect()
    assert len(lines.known) == 0
