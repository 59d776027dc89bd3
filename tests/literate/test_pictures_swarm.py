from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from literate import pictures
from literate.pictures import Event, Lanes, Plot, Sequence, Sets, Span, Strip, svg
from literate.pictures.axis import clock_step, plain, round_step, ticks
from literate.pictures.lanes import AGAIN
from literate.pictures.tracks import Move, placed

SVG = "{http://www.w3.org/2000/svg}"
CSS = Path(pictures.__file__).with_name("pictures.css").read_text()


def drawn(picture):
    return ElementTree.fromstring(picture._repr_svg_())


def texts(picture):
    return [text.text for text in drawn(picture).iter(f"{SVG}text")]


def looks(picture, key):
    return {text.text: text.get(key) for text in drawn(picture).iter(f"{SVG}text")}


def heads(picture):
    """Return x, tip and colour of each arrow head and wedge."""
    found = []
    for path in drawn(picture).iter(f"{SVG}path"):
        if path.get("d").endswith("Z"):
            x, y = path.get("d")[1:].replace("l", "L").split("L")[0].split()
            found.append((float(x), float(y), path.get("fill")))
    return found


def boxes(picture):
    """Return the text, left, top, right and bottom of each text, as it was laid out."""
    for text in drawn(picture).iter(f"{SVG}text"):
        size, x, y = (float(text.get(key)) for key in ("font-size", "x", "y"))
        wide = svg.width_of(text.text or "", size)
        left = x - {"start": 0, "middle": wide / 2, "end": wide}[text.get("text-anchor")]
        yield text.text, left, y - size * 0.8, left + wide, y + size * 0.2


def collisions(picture):
    """Return the pairs of texts that are on top of one another, and the texts outside the frame."""
    x, y, width, height = map(float, drawn(picture).get("viewBox").split())
    found = [
        (one[0], other[0])
        for one, other in combinations(boxes(picture), 2)
        if min(one[3], other[3]) - max(one[1], other[1]) > 1
        and min(one[4], other[4]) - max(one[2], other[2]) > 1
    ]
    outside = [
        text
        for text, left, top, right, bottom in boxes(picture)
        if left < x or top < y or right > x + width or bottom > y + height
    ]
    return found + outside


NODES = ["node-1", "node-2", "node-3"]


def heartbeats():
    """Three nodes register every minute, and the second dies."""
    beats = [(t, node, "hub", "POST 200") for t in range(0, 301, 60) for node in NODES]
    events = [beat for beat in beats if beat[1] != "node-2" or beat[0] < 90]
    spans = [(0, 90 if node == "node-2" else 300, node, "alive") for node in NODES]
    return Lanes(
        ["hub", *NODES],
        [*events, (90, "node-2", None, "dies", True)],
        [*spans, (0, 240, "hub", "node-2 in the list", True)],
        title="A node dies",
    )


def renewals():
    """Forty texts, each another, for which there is no room between the arrows."""
    sources = ["replica", "primary", "primary"]
    events = [(k * 2.5, sources[k % 3], "etcd", f"renew {k}") for k in range(40)]
    return Lanes(["etcd", "primary", "replica"], events, title="Renewals")


def bars():
    """Spans of several rows, too short for their texts."""
    spans = [(0, 300, "a", "heartbeat"), (40, 60, "a", "four runs"), (50, 51, "a", "refresh", True)]
    return Lanes("ab", [(55, "a", "b", "x")], spans, title="Rows", until=300)


def conversation():
    events = [
        (20, "manager", "hub", "GET /v1/clusters/cafe"),
        (20, "manager", "node-1", "GET /info"),
        (20.5, "node-1", "manager", "event container create", True),
        (150, "node-1", None, "dies"),
    ]
    return Sequence(["hub", "manager", "node-1"], events, title="A manager connects")


def addresses(*numbers):
    return [f"10.0.0.{number}:2375" for number in numbers]


def growth():
    sizes = range(10, 101, 10)
    series = {"n": [(n, n) for n in sizes], "n*n": [(n, n * n) for n in sizes]}
    return Plot(series, "Growth", "entries", "comparisons")


EXAMPLES = {
    "sets": lambda: Sets(addresses(11, 12, 13), addresses(12, 13, 14), "Entries"),
    "empty sets": lambda: Sets([], [], "Nothing"),
    "full sets": lambda: Sets(addresses(*range(99)), [f"node-{k:016}" for k in range(99)], "Many"),
    "lanes": heartbeats,
    "crowded lanes": renewals,
    "empty lanes": lambda: Lanes(["hub"], [], title="Nothing"),
    "stacked lanes": bars,
    "sequence": conversation,
    "empty sequence": lambda: Sequence(["a long name"], [], title="Nothing"),
    "plot": growth,
    "plot of one point": lambda: Plot({"one": [(3, 0)]}, "A point", "x", "y"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_text_is_on_top_of_another_or_outside_the_picture(name):
    assert collisions(EXAMPLES[name]()) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_picture_is_scrolled_where_it_would_be_too_small(name):
    picture = EXAMPLES[name]()
    root = ElementTree.fromstring(picture._repr_html_())
    assert root.attrib == {
        "class": "picture-wrap",
        "tabindex": "0",
        "role": "region",
        "aria-label": picture.title,
        "style": f"--pic-width: {drawn(picture).get('width')}px",
    }
    assert [child.tag for child in root] == [f"{SVG}svg"]
    assert "min-width: calc(0.85 * var(--pic-width));" in CSS


def test_a_strip_shows_each_in_a_frame_that_holds_all():
    strip = Strip([(heartbeats(), "then"), (growth(), "so much")], "Both")
    root = ElementTree.fromstring(strip._repr_html_())
    assert [figure[0].get("class") for figure in root] == ["picture-wrap"] * 2
    assert len({figure[0][0].get("viewBox") for figure in root}) == 1


@given(st.text())
def test_any_text_is_escaped(text):
    shown = svg.clean(text)
    sets = Sets([text], [], text)
    lanes = Lanes([text], [(0, text, None, text)], [(0, 1, text, text)], title=text, unit=text)
    plot = Plot({text: [(0, 1)]}, text, text, text)
    sequence = Sequence([text], [(0, text, None, text)], title=text, unit=text)
    for picture in (sets, lanes, plot, sequence):
        root = ElementTree.fromstring(picture._repr_html_())
        assert (root.get("aria-label"), root[0][0].text) == (shown, shown or None)
    assert texts(sets)[2] == (svg.shorten(shown, 26) or None)
    assert texts(lanes)[0] == (shown or None)
    assert texts(plot)[-1] == (shown or None)


# Sets


def test_the_text_of_sets_is_what_went_what_stayed_and_what_came():
    before, after = addresses(11, 12, 13), addresses(13, 14, 12)
    assert repr(Sets(before, after, "Entries")) == (
        "only before: 10.0.0.11:2375\n"
        "both: 10.0.0.12:2375, 10.0.0.13:2375\n"
        "only after: 10.0.0.14:2375"
    )


def test_members_are_told_once_and_in_their_order():
    sets = Sets("caba", "ddb", "Letters", names=("old", "new"))
    assert repr(sets) == "only old: c, a\nboth: b\nonly new: d"
    assert texts(sets) == ["old", "new", "c", "a", "b", "d"]


def test_a_part_without_members_is_told():
    assert repr(Sets([], "a", "First")) == "only before: none\nboth: none\nonly after: a"


def test_what_went_is_struck_and_what_came_stands_out():
    sets = Sets("ab", "bc", "Letters")
    struck, weight = looks(sets, "text-decoration"), looks(sets, "font-weight")
    assert {text for text in struck if struck[text]} == {"a"}
    assert {text for text in weight if weight[text]} == {"c"}
    colours = looks(sets, "fill")
    assert [colours[text] for text in "abc"] == [svg.QUIET, svg.QUIET, svg.ACCENT]


def test_the_two_regions_overlap_where_members_are_in_both():
    right, left = drawn(Sets("ab", "bc", "Letters")).iter(f"{SVG}rect")
    (x, wide), (start, _) = ([float(r.get(k)) for k in ("x", "width")] for r in (left, right))
    assert (left.get("stroke-dasharray"), right.get("stroke-dasharray")) == ("5 3", None)
    spot = {text: x for text, x, *_ in boxes(Sets("ab", "bc", "Letters"))}
    assert x < spot["a"] < start < spot["b"] < x + wide < spot["c"]


def test_more_than_eight_members_are_counted():
    sets = Sets(range(20), range(19, 29), "Numbers")
    assert texts(sets) == [
        *("before", "after"),
        *(str(k) for k in range(8)),
        "and 11 more",
        "19",
        *(str(k) for k in range(20, 28)),
        "and 1 more",
    ]
    assert repr(sets).splitlines()[1] == "both: 19"
    assert looks(sets, "text-decoration")["and 11 more"] is None


def test_a_long_label_is_cut_in_the_drawing_alone():
    sets = Sets(["x" * 40], [], "Long")
    assert texts(sets)[2] == "x" * 25 + "…"
    assert repr(sets).splitlines()[0] == "only before: " + "x" * 40


def test_three_columns_of_addresses_fit_on_a_telephone():
    sets = Sets(addresses(11, 12), addresses(12, 13), "Entries")
    assert float(drawn(sets).get("width")) * 0.85 <= 340


def test_sets_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"^both sets are called 'x'$"):
        Sets("a", "b", "Twins", names=("x", "x"))


# Lanes


def test_the_text_of_lanes_is_a_line_for_each_event_in_time_order_then_for_each_span():
    events = [
        Event(60, "node-1", "hub", "POST 200"),
        Event(7.5, "node-1", text="starts", accent=True),
        (180, "hub", "node-1"),
    ]
    lanes = Lanes(["node-1", "hub"], events, [Span(0, 180, "node-1", "in the list")], title="One")
    assert repr(lanes) == (
        "  7.5 s  node-1  starts\n"
        "   60 s  node-1 -> hub  POST 200\n"
        "  180 s  hub -> node-1\n"
        "0-180 s  node-1  in the list"
    )
    assert lanes.desc == (
        "7.5 s node-1 starts; 60 s node-1 -> hub POST 200; 180 s hub -> node-1; "
        "0-180 s node-1 in the list"
    )


def test_simultaneous_events_keep_their_order_in_the_text():
    lanes = Lanes("ab", [(1, "b", "a", "x"), (1, "a", "b", "y"), (1, "b", None, "z")], title="At 1")
    assert repr(lanes) == "1 s  b -> a  x\n1 s  a -> b  y\n1 s  b  z"


def test_another_unit_can_be_given():
    lanes = Lanes("ab", [(250, "a", "b", "x")], title="Fast", unit="ms")
    assert repr(lanes) == "250 ms  a -> b  x"
    assert texts(lanes)[-6:] == ["0 ms", "50 ms", "100 ms", "150 ms", "200 ms", "250 ms"]


def test_the_axis_has_round_times_up_to_its_end():
    lanes = Lanes(["a"], [(290, "a", None, "x")], title="Round", until=300)
    shown = [text for text in texts(lanes) if text.endswith(" s")]
    assert shown == ["0 s", "60 s", "120 s", "180 s", "240 s", "300 s"]


def test_an_arrow_leads_from_lane_to_lane_at_its_time():
    lanes = Lanes("abc", [(30, "a", "c", "x"), (90, "c", "b", "y", True)], title="Two", until=120)
    spot = {text: (top + bottom) / 2 for text, _, top, _, bottom in boxes(lanes)}
    down, up = heads(lanes)
    assert (down[0], down[2], up[0], up[2]) == (140, svg.INK, 420, svg.ACCENT)
    assert down[1] == pytest.approx(spot["c"], abs=1)
    assert up[1] == pytest.approx(spot["b"], abs=1)


def test_an_event_of_one_lane_is_a_wedge_on_it():
    lanes = Lanes("ab", [(1, "b", None, "starts", True)], title="One", until=2)
    (x, y, colour), lane = heads(lanes)[0], next(box for box in boxes(lanes) if box[0] == "b")
    assert (x, colour) == (280, svg.ACCENT)
    assert y == pytest.approx((lane[2] + lane[4]) / 2, abs=1)


def test_a_text_is_drawn_where_it_differs_from_the_one_before():
    events = [(k, "a", "b", text) for k, text in enumerate(["up", "up", "down", "down", "up"])]
    lanes = Lanes("ab", events, title="Changes")
    shown = [text for text in texts(lanes) if text in ("up", "down")]
    assert sorted(shown) == ["down", "up", "up"]
    assert texts(lanes)[-1] == AGAIN


def test_a_repeated_text_that_stands_out_is_drawn():
    lanes = Lanes("ab", [(0, "a", "b", "up"), (9, "a", "b", "up", True)], title="Changes")
    assert [text for text in texts(lanes) if text == "up"] == ["up", "up"]
    assert AGAIN not in texts(lanes)


def test_a_span_is_a_bar_with_its_text_inside_or_above():
    spans = [(0, 50, "a", "inside"), (60, 61, "a", "too long for it", True)]
    lanes = Lanes("a", [], spans, title="Bars", until=100)
    long, short = drawn(lanes).iter(f"{SVG}rect")
    assert [long.get(key) for key in ("x", "width", "stroke")] == ["0", "280", svg.QUIET]
    assert [short.get(key) for key in ("x", "width", "stroke")] == ["336", "5.6", svg.ACCENT]
    spot = {text: top for text, _, top, *_ in boxes(lanes)}
    top = float(long.get("y"))
    assert spot["inside"] > top > spot["too long for it"]


def test_spans_that_overlap_are_stacked():
    spans = [(0, 9, "a", "x"), (5, 9, "a", "y"), (9, 12, "a", "z")]
    bars = drawn(Lanes("a", [], spans, title="Bars")).iter(f"{SVG}rect")
    tops = {bar.get("x"): float(bar.get("y")) for bar in bars}
    assert (tops["420"] - tops["0"], tops["233.3"] - tops["0"]) == (0, 17)


def test_of_several_rows_of_spans_each_has_its_text_beside_it():
    spot = {text: (left, (top + bottom) / 2) for text, left, top, _, bottom in boxes(bars())}
    found = [bar for bar in drawn(bars()).iter(f"{SVG}rect") if bar.get("height") == "15"]
    for bar, text in zip(found[1:], ("four runs", "refresh"), strict=True):
        x, top, wide = (float(bar.get(key)) for key in ("x", "y", "width"))
        assert spot[text] == (pytest.approx(x + wide + 7, abs=0.1), pytest.approx(top + 7.5, abs=2))
    assert looks(bars(), "fill")["refresh"] == svg.ACCENT


def test_a_text_stands_above_rows_of_spans_where_there_is_no_room_beside():
    spans = [(0, 9, "a", "x"), (1, 2, "a", "a text of some length"), (3, 4, "a", "y")]
    lanes = Lanes("a", [], spans, title="Rows", until=9)
    spot = {text: bottom for text, *_, bottom in boxes(lanes)}
    tops = [float(bar.get("y")) for bar in drawn(lanes).iter(f"{SVG}rect")]
    assert spot["a text of some length"] < min(tops)


def test_simultaneous_arrows_stand_side_by_side_in_their_order():
    moves = [Move(50, 0, 1, "GET", False), Move(50, 1, 0, "200", False), Move(50, 2, 3, "", False)]
    assert placed(moves, 2, 200) == [(moves[0], 95), (moves[1], 105), (moves[2], 95)]


def test_simultaneous_arrows_to_one_lane_stand_longest_first():
    moves = [Move(50, k, 0, "", False) for k in (1, 2, 3)]
    assert [(move.source, x) for move, x in placed(moves, 1, 200)] == [(3, 40), (2, 50), (1, 60)]


def test_arrows_keep_within_the_axis_and_apart():
    moves = [Move(t, 1, 0, "", False) for t in (0, 0, 3, 100, 100)]
    assert [x for _, x in placed(moves, 1, 100)] == [0, 10, 20, 90, 100]


def test_a_crowd_of_different_texts_is_drawn_text_by_text():
    assert {f"renew {k}" for k in range(40)} <= set(texts(renewals()))


def test_five_lanes_are_as_wide_as_a_line_of_prose():
    assert float(drawn(heartbeats()).get("width")) <= 690


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 7, 30, 60]),
            st.sampled_from("abcd"),
            st.sampled_from(["a", "b", "c", "d", None]),
            st.sampled_from(["", "GET", "POST /containers/create"]),
            st.booleans(),
        ).filter(lambda event: event[1] != event[2]),
        max_size=12,
    )
)
def test_whatever_happens_no_text_is_on_top_of_another(events):
    spans = [(0, 60, "a", "a list"), (7, 8, "b", "short"), (30, 60, "a", "another")]
    lanes = Lanes("abcd", events, spans, title="Anything", until=60)
    assert collisions(lanes) == []
    assert len(heads(lanes)) == len(events)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "a timeline without lanes"),
        ((["a", "b", "a"], []), "two lanes are called 'a'"),
        ((["a", "b"], [(0, "a", "c", "x")]), "no lane 'c': the lanes are a, b"),
        ((["a", "b"], [(0, "d", None, "x")]), "no lane 'd': the lanes are a, b"),
        ((["a"], [], [(0, 1, "c", "x")]), "no lane 'c': the lanes are a"),
        ((["a"], [(0, "a", "a", "x")]), "a message from 'a' to itself"),
        (
            (["a"], [], [(20, 10.5, "a", "x")]),
            "a span of 'a' ends at 10.5 s, before it starts at 20 s",
        ),
        ((["a"], [(-1, "a", None, "x")]), "-1 s is not between 0 and 90 s"),
        ((["a"], [], [(-2, 1, "a", "x")]), "-2 s is not between 0 and 90 s"),
        ((["a"], [(91, "a", None, "x")]), "91 s is not between 0 and 90 s"),
        ((["a"], [], [(0, 100, "a", "x")]), "100 s is not between 0 and 90 s"),
    ],
)
def test_lanes_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Lanes(*arguments, title="Wrong", until=90)
    assert str(caught.value) == message


# Plots


def test_the_text_of_a_plot_is_a_line_for_each_series():
    plot = Plot({"n": [(1, 2.5), (2.0, 5)], "n*n": [(1, 1)]}, "Growth", "entries", "seconds")
    assert repr(plot) == "n: (1, 2.5) (2, 5)\nn*n: (1, 1)"
    assert plot.desc == "seconds over entries; n: (1, 2.5) (2, 5); n*n: (1, 1)"


def test_a_plot_has_round_numbers_and_a_name_at_each_line():
    assert texts(growth()) == [
        *("0", "20", "40", "60", "80", "100"),
        *("0", "2,000", "4,000", "6,000", "8,000", "10,000"),
        *("n", "n*n", "comparisons", "entries"),
    ]


def test_points_are_drawn_in_proportion_from_zero():
    plot = Plot({"line": [(0, 0), (50, 25), (100, 50)]}, "A line", "x", "y")
    lines = [path.get("d") for path in drawn(plot).iter(f"{SVG}path")]
    assert lines[-1] == "M0 180L135 90L270 0"


def test_lines_differ_in_dashes_too():
    plot = Plot({name: [(0, 1), (1, 1)] for name in "abcd"}, "Four", "x", "y")
    lines = [path for path in drawn(plot).iter(f"{SVG}path") if "L" in path.get("d")]
    assert len({line.get("stroke-dasharray") for line in lines}) == 4
    assert len({line.get("stroke") for line in lines}) == 4


def test_names_of_lines_that_end_together_stand_apart():
    plot = Plot({name: [(0, 0), (1, 1)] for name in ("one", "two", "six")}, "Three", "x", "y")
    assert collisions(plot) == []


def test_a_plot_fits_on_a_telephone():
    assert float(drawn(growth()).get("width")) <= 390


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ({}, "a plot without a series"),
        ({"n": []}, "n: a series without a point"),
        ({"n": [(1, 1), (2, -3)]}, "n: y begins at 0, but a point is (2, -3)"),
    ],
)
def test_series_that_cannot_be_drawn_are_refused(series, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Plot(series, "Wrong", "x", "y")
    assert str(caught.value) == message


# Axes


@pytest.mark.parametrize(
    ("length", "step"), [(0, 1), (1, 0.2), (90, 20), (100, 20), (101, 50), (0.3, 0.1)]
)
def test_a_step_is_one_two_or_five(length, step):
    assert round_step(length, 5) == pytest.approx(step)


@pytest.mark.parametrize(
    ("seconds", "step"),
    [
        (0.5, 0.1),
        (50, 10),
        (90, 15),
        (300, 60),
        (420, 60),
        (421, 120),
        (12600, 1800),
        (86400, 18000),
    ],
)
def test_a_step_of_time_is_a_part_or_a_multiple_of_a_minute(seconds, step):
    assert clock_step(seconds, 7) == pytest.approx(step)


def test_ticks_hold_the_values_between_them():
    assert ticks(10, 95, 20) == [0, 20, 40, 60, 80, 100]
    assert ticks(3, 3, 1) == [3, 4]


def test_a_number_is_written_as_it_is_meant():
    written = [plain(value) for value in (60, 60.0, 0.1 + 0.2, 1e6, -0.0)]
    assert written == ["60", "60", "0.3", "1000000", "0"]


# Sequence


def test_the_text_of_a_sequence_is_a_line_for_each_message():
    assert repr(conversation()) == (
        "  20 s  manager -> hub  GET /v1/clusters/cafe\n"
        "  20 s  manager -> node-1  GET /info\n"
        "20.5 s  node-1 -> manager  event container create\n"
        " 150 s  node-1  dies"
    )
    assert conversation().desc == (
        "20 s manager -> hub GET /v1/clusters/cafe; 20 s manager -> node-1 GET /info; "
        "20.5 s node-1 -> manager event container create; 150 s node-1 dies"
    )


def test_each_message_has_a_row_and_each_time_is_told_once():
    rows = {}
    for text, left, top, _, bottom in boxes(conversation()):
        rows.setdefault(round((top + bottom) / 2), []).append((left, text))
    assert [[text for _, text in sorted(row)] for _, row in sorted(rows.items())] == [
        ["hub", "manager", "node-1"],
        ["20 s", "GET /v1/clusters/cafe"],
        ["GET /info"],
        ["20.5 s", "event container create"],
        ["150 s", "dies"],
    ]


def test_an_arrow_leads_from_column_to_column():
    middle = {text: (left + right) / 2 for text, left, _, right, _ in boxes(conversation())}
    to_hub, to_node, to_manager, dies = heads(conversation())
    tips = (to_hub[0], to_node[0], to_manager[0], dies[0])
    names = ("hub", "node-1", "manager", "node-1")
    assert tips == tuple(pytest.approx(middle[name], abs=0.1) for name in names)
    colours = [colour for *_, colour in heads(conversation())]
    assert colours == [svg.INK, svg.INK, svg.ACCENT, svg.INK]


def test_a_message_between_unknown_parties_is_refused():
    with pytest.raises(ValueError, match=r"^no lane 'c': the lanes are a, b$"):
        Sequence("ab", [(0, "a", "c", "x")], title="Unknown")
