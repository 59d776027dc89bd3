"""Entries, ranges, the registry and polling; the original's part was measured on its binary."""

import asyncio
import io
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walkthroughs.swarm.discovery import (
    LONGEST_RANGE,
    DiscoveryError,
    Entries,
    Entry,
    ErrNotImplemented,
    ErrNotSupported,
    create_entries,
    generate,
    new,
    parse,
    poll,
    register,
)
from walkthroughs.swarm.lab import Lab


def entries(text):
    """Return the entries for single letters: `entries("ab")` is a:1, b:1."""
    return create_entries(f"{letter}:1" for letter in text)


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("10.0.0.1:2375", "10.0.0.1", "2375"),
        ("example.com:2375", "example.com", "2375"),
        ("[::1]:2375", "::1", "2375"),
        ("[fe80::1%25eth0]:2375", "fe80::1%25eth0", "2375"),
        (":1", "", "1"),
        (" b:2", " b", "2"),
    ],
)
def test_an_entry_is_host_and_port_and_prints_as_it_was_written(address, host, port):
    entry = Entry.parse(address)
    assert entry == Entry(host, port)
    assert str(entry) == address


@pytest.mark.parametrize("address", ["a:0", "a:70000", "a:word", "a:-1", "a:", ":"])
def test_the_port_of_an_entry_is_not_looked_at(address):
    assert str(Entry.parse(address)) == address


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "missing port in address"),
        ("a", "address a: missing port in address"),
        ("[::1]", "address [::1]: missing port in address"),
        ("::1:2375", "address ::1:2375: too many colons in address"),
        ("fe80::1", "address fe80::1: too many colons in address"),
        ("nodes://a:1", "address nodes://a:1: too many colons in address"),
        ("[1:2][3:4]:1", "address [1:2][3:4]:1: missing port in address"),
        ("[::1]:[1:2]", "address [::1]:[1:2]: too many colons in address"),
    ],
)
def test_an_address_that_is_no_entry_is_refused_in_go_words(address, message):
    with pytest.raises(DiscoveryError) as caught:
        Entry.parse(address)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("", "", True),
        ("ab", "ab", True),
        ("ab", "ba", False),
        ("ab", "a", False),
        ("aab", "ab", False),
    ],
)
def test_entries_equal_in_the_same_order_only(one, other, equal):
    assert entries(one).equals(entries(other)) is equal


def test_contains_compares_by_value():
    assert entries("ab").contains(Entry("b", "1"))
    assert not entries("ab").contains(Entry("b", "2"))


@pytest.mark.parametrize(
    ("old", "new", "added", "removed"),
    [
        ("", "", "", ""),
        ("", "ab", "ab", ""),
        ("ab", "", "", "ab"),
        ("ab", "ba", "", ""),
        ("abc", "bcd", "d", "a"),
        ("ab", "cca", "cc", "b"),
        ("aab", "b", "", "aa"),
    ],
)
def test_diff_is_what_was_added_and_what_was_removed(old, new, added, removed):
    assert entries(old).diff(entries(new)) == (entries(added), entries(removed))


def upstream_diff(old, new):
    """Return the same in the original's way, where each entry looks through the other list."""
    added = Entries(entry for entry in new if not old.contains(entry))
    return added, Entries(entry for entry in old if not new.contains(entry))


@given(st.text("abcde", max_size=12), st.text("abcde", max_size=12))
def test_diff_says_what_the_original_algorithm_says(old, new):
    assert entries(old).diff(entries(new)) == upstream_diff(entries(old), entries(new))


@given(st.text("abcde", max_size=12), st.text("abcde", max_size=12))
def test_diff_leads_from_one_set_to_the_other(old, new):
    added, removed = entries(old).diff(entries(new))
    assert set(entries(old)) - set(removed) | set(added) == set(entries(new))


class Counted(Entry):
    """An entry that counts how often any is looked at."""

    looks = 0

    def __eq__(self, other):
        Counted.looks += 1
        return (self.host, self.port) == (other.host, other.port)

    def __hash__(self):
        Counted.looks += 1
        return hash((self.host, self.port))


def looks(count):
    """Return how many looks a diff of `count` entries takes when one is another."""
    old = Entries(Counted(f"node-{n}", "2375") for n in range(count))
    new = Entries(Counted(f"node-{n}", "2375") for n in range(1, count + 1))
    Counted.looks = 0
    old.diff(new)
    return Counted.looks


def test_diff_looks_at_each_entry_a_fixed_number_of_times():
    assert [looks(count) for count in (100, 200, 400)] == [598, 1198, 2398]


def test_entries_show_themselves():
    assert repr(entries("ab")) == "<Entries: a:1, b:1>"
    assert repr(Entries()) == "<Entries: none>"


def test_create_entries_skips_empty_addresses():
    assert create_entries(["a:1", "", "b:1"]) == entries("ab")


def test_create_entries_keeps_what_is_there_twice():
    assert create_entries(["a:1", "b:1", "a:1"]) == entries("aba")


def test_create_entries_stops_at_the_first_bad_address():
    with pytest.raises(DiscoveryError) as caught:
        create_entries(["a:1", "bad", "worse"])
    assert str(caught.value) == "address bad: missing port in address"


@pytest.mark.parametrize(
    ("pattern", "addresses"),
    [
        ("a:1", ["a:1"]),
        ("", [""]),
        ("10.0.0.[8:11]:1", ["10.0.0.8:1", "10.0.0.9:1", "10.0.0.10:1", "10.0.0.11:1"]),
        ("a:[1:3]", ["a:1", "a:2", "a:3"]),
        ("a[2:2]:1", ["a2:1"]),
        ("[1:2]", ["1", "2"]),
    ],
)
def test_a_range_includes_both_ends(pattern, addresses):
    assert generate(pattern) == addresses


def test_a_range_may_stand_in_the_host_or_in_the_port():
    assert generate("a[1:2]:80") == ["a1:80", "a2:80"]
    assert generate("a:[80:81]") == ["a:80", "a:81"]


def test_a_range_that_ends_before_it_begins_is_nobody():
    assert generate("a:[3:1]") == []


def test_a_range_is_not_padded():
    assert generate("a[08:11]:1") == ["a8:1", "a9:1", "a10:1", "a11:1"]


def test_the_ends_of_a_range_may_have_signs():
    assert generate("a[-1:1]:1") == ["a-1:1", "a0:1", "a1:1"]
    assert generate("a[+1:+2]:1") == ["a1:1", "a2:1"]


@pytest.mark.parametrize(
    "pattern",
    ["a[x:y]:1", "a[1_0:1_1]:1", "a[ 1:2]:1", "a[1:2\n]", "a[٣:٤]", "a[9223372036854775808:9]"],
)
def test_what_is_no_number_is_no_range(pattern):
    assert generate(pattern) == [pattern]


@pytest.mark.parametrize("pattern", ["[1:2][3:4]:1", "a[1:2]b[3:4]:1", "[a[1:2]:3]"])
def test_two_ranges_in_one_pattern_are_taken_for_one_that_is_none(pattern):
    assert generate(pattern) == [pattern]


@pytest.mark.parametrize("pattern", ["[::1]:[1:2]", "[1::1]:[1:2]"])
def test_the_brackets_of_ipv6_hide_a_range(pattern):
    assert generate(pattern) == [pattern]


def test_a_percent_sign_is_a_percent_sign():
    assert generate("100%[1:2]:80") == ["100%1:80", "100%2:80"]


def test_a_range_has_a_longest():
    assert len(generate(f"a:[1:{LONGEST_RANGE}]")) == LONGEST_RANGE
    with pytest.raises(DiscoveryError) as caught:
        generate(f"a:[0:{LONGEST_RANGE}]")
    assert str(caught.value) == "a:[0:65536]: more than 65,536 addresses"


class Script:
    """A backend that answers each question as it was told to; the last answer for ever."""

    def __init__(self, lab, *answers, heartbeat=60.0, pause=0.0):
        self.lab, self.answers, self.heartbeat, self.pause = lab, list(answers), heartbeat, pause
        self.asked = []

    async def fetch(self):
        self.asked.append(self.lab.clock.now)
        if self.pause:
            await self.lab.clock.sleep(self.pause)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return entries(answer)

    def watch(self):
        return poll(self.fetch, self.heartbeat, self.lab.world("manager"))


def polled(follow, seconds, *answers, **settings):
    """Return what a poll reports of these answers within some time."""

    async def run():
        async with Lab() as lab:
            told = follow(lab, Script(lab, *answers, **settings))
            await lab.run(seconds)
            return told

    return asyncio.run(run())


STORM = DiscoveryError("no route to host")


def test_poll_reports_at_once_and_then_only_changes(follow):
    told = polled(follow, 300, "a", "a", "ab", "ab", "b")
    assert told == [(0, ["a:1"]), (120, ["a:1", "b:1"]), (240, ["b:1"])]


def test_poll_takes_another_order_for_a_change(follow):
    assert polled(follow, 60, "ab", "ba") == [(0, ["a:1", "b:1"]), (60, ["b:1", "a:1"])]


def test_poll_reports_an_empty_list_like_any_other(follow):
    assert polled(follow, 120, "a", "", "") == [(0, ["a:1"]), (60, [])]


def test_poll_reports_trouble_each_time_and_goes_on(follow):
    told = polled(follow, 240, "a", STORM, STORM, "a", "ab")
    storm = "no route to host"
    assert told == [(0, ["a:1"]), (60, storm), (120, storm), (240, ["a:1", "b:1"])]


def test_poll_may_begin_with_trouble(follow):
    assert polled(follow, 60, STORM, "") == [(0, "no route to host"), (60, [])]


def test_trouble_removes_nobody():
    async def run():
        async with Lab() as lab:
            engines, gone = Entries(), Entries()

            async def manage():
                nonlocal engines, gone
                script = Script(lab, "ab", STORM, "ab", STORM, "abc")
                async with aclosing(script.watch()) as reports:
                    async for report in reports:
                        if not isinstance(report, DiscoveryError):
                            gone += engines.diff(report)[1]
                            engines = report

            lab.start("manager", manage())
            await lab.run(240)
            return engines, gone

    assert asyncio.run(run()) == (entries("abc"), Entries())


def test_an_error_that_is_not_discovery_s_ends_the_watch(follow):
    with pytest.raises(ZeroDivisionError):
        polled(follow, 60, "a", ZeroDivisionError())


def test_poll_keeps_its_beat_while_answers_are_slow():
    async def run():
        async with Lab() as lab:
            script = Script(lab, "a", "b", "c", "d", pause=20)

            async def manage():
                async with aclosing(script.watch()) as reports:
                    async for _ in reports:
                        pass

            lab.start("manager", manage())
            await lab.run(230)
            return script.asked

    # The first beat begins when the first answer is there.
    assert asyncio.run(run()) == [0, 80, 140, 200]


def test_a_watch_ends_when_its_caller_is_cancelled(follow):
    async def run():
        async with Lab() as lab:
            script = Script(lab, "a")
            follow(lab, script)
            await lab.run(60)
            await lab.stop("watch")
            await lab.run(600)
            return script.asked

    assert asyncio.run(run()) == [0, 60]


def test_a_watch_ends_when_its_caller_leaves_the_loop():
    async def run():
        async with Lab() as lab:
            reports = Script(lab, "a").watch()
            async with aclosing(reports):
                first = await anext(reports)
            return first, [report async for report in reports], len(asyncio.all_tasks())

    assert asyncio.run(run()) == (entries("a"), [], 1)


def test_two_watchers_of_one_backend_are_told_the_same(follow):
    async def run():
        async with Lab() as lab:
            script = Script(lab, "a", "a", "b", "b")
            told = [follow(lab, script, name) for name in ("one", "two")]
            await lab.run(60)
            await lab.stop("one")
            await lab.run(60)
            return told

    both = [(0, ["a:1"]), (60, ["b:1"])]
    assert asyncio.run(run()) == [both, both]


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("token://abc", ("token", "abc")),
        ("a:1,b:2", ("nodes", "a:1,b:2")),
        ("", ("nodes", "")),
        ("nodes://nodes://a:1", ("nodes", "nodes://a:1")),
        ("://x", ("", "x")),
        ("file:///etc/cluster", ("file", "/etc/cluster")),
    ],
)
def test_a_url_is_split_at_the_first_separator_and_a_bare_list_is_nodes(url, parts):
    assert parse(url) == parts


class Fixed:
    """A backend that keeps what it was made of."""

    def __init__(self, uri, heartbeat, ttl, options, world):
        self.made_of = uri, heartbeat, ttl, options, world

    async def watch(self):
        yield Entries()

    async def register(self, address):
        raise ErrNotImplemented


def test_new_makes_a_backend_of_the_rest_of_the_url():
    world = Lab().world("manager")
    register("fixed", Fixed)
    backend = new("fixed://here/and/there", 60, 180, {"key": "value"}, world)
    assert backend.made_of == ("here/and/there", 60, 180, {"key": "value"}, world)


def test_new_makes_another_backend_each_time():
    world = Lab().world("manager")
    register("fixed", Fixed)
    first, second = (new(f"fixed://{rest}", 60, 180, {}, world) for rest in "ab")
    assert (first.made_of[0], second.made_of[0]) == ("a", "b")


def test_new_says_at_level_debug_what_it_makes():
    stream = io.StringIO()
    world = Lab().world("manager", stream)
    world.log.set_level("debug")
    register("fixed", Fixed)
    new("fixed://here", 60, 180, {}, world)
    line = 'level=debug msg="Initializing discovery service" name=fixed uri=here'
    assert stream.getvalue() == f'time="2017-07-14T02:40:00Z" {line}\n'


@pytest.mark.parametrize("url", ["foo://bar", "://x"])
def test_a_scheme_that_nobody_registered_is_not_supported(url):
    with pytest.raises(ErrNotSupported) as caught:
        new(url, 60, 180, {}, Lab().world("manager"))
    assert str(caught.value) == "discovery service not supported"


def test_a_scheme_is_registered_once(registry):
    register("fixed", Fixed)
    with pytest.raises(DiscoveryError) as caught:
        register("fixed", str)
    assert str(caught.value) == "scheme already registered fixed"
    assert registry["fixed"] is Fixed


def test_a_backend_that_cannot_be_written_to_says_so():
    with pytest.raises(DiscoveryError) as caught:
        asyncio.run(Fixed("", 60, 180, {}, None).register("a:1"))
    assert str(caught.value) == "not implemented in this discovery service"
