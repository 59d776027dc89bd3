import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from literate import pictures
from literate.pictures import (
    Lanes,
    Listing,
    Memory,
    Picture,
    Plot,
    Ring,
    Sets,
    Strip,
    Table,
    Writes,
    svg,
)
from literate.pictures.curves import Box
from literate.pictures.ring import RingDrawing

SVG = "{http://www.w3.org/2000/svg}"


class Node:
    def __init__(self, name):
        self.name, self.next, self.prev = name, self, self

    def __str__(self):
        return self.name


class Poison:
    def __str__(self):
        return "POISON"

    def __getattr__(self, name):
        raise RuntimeError(f"{name} of a poisoned pointer")


def ring(*names):
    nodes = [Node(name) for name in names]
    for node, following in zip(nodes, nodes[1:] + nodes[:1], strict=True):
        node.next, following.prev = following, node
    return nodes


def add_between(new, before, after):
    after.prev = new
    new.next = after
    new.prev = before
    before.next = new


def drawn(picture):
    return ElementTree.fromstring(picture._repr_svg_())


def heads_of_arrows(picture):
    """Count the arrow heads by colour, the legend's two left out."""
    paths = [path for path in drawn(picture).iter(f"{SVG}path") if path.get("d").endswith("Z")]
    return Counter(path.get("fill") for path in paths) - Counter([svg.INK, svg.ACCENT_2])


def stubs(picture):
    texts = drawn(picture).iter(f"{SVG}text")
    return [text.text for text in texts if text.get("fill") == svg.ALARM]


def texts(picture):
    return [text.text for text in drawn(picture).iter(f"{SVG}text")]


# The ring


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 16])
def test_a_whole_ring_has_an_arrow_for_each_pointer(count):
    nodes = ring(*(f"n{k}" for k in range(count)))
    assert heads_of_arrows(Ring(nodes[0])) == {svg.INK: count, svg.ACCENT_2: count}
    assert stubs(Ring(nodes[0])) == []
    assert texts(Ring(nodes[0])) == [*(f"n{k}" for k in range(count)), "next", "prev"]


def test_the_text_of_a_whole_ring_is_its_next_pointers():
    assert repr(Ring(ring("head")[0])) == "Ring: head -> head"
    assert repr(Ring(ring("head", "a", "b")[0])) == "Ring: head -> a -> b -> head"


def test_the_text_tells_prev_where_it_disagrees():
    head, _, b = ring("head", "a", "b")
    b.prev = head
    assert repr(Ring(head)) == "Ring: head -> a -> b -> head | prev: head -> b -> head"


def test_the_text_tells_nodes_that_are_drawn_but_not_linked():
    head, a = ring("head", "a")
    picture = Ring(head, nodes=[head, Node("new"), a])
    assert repr(picture) == "Ring: head -> a -> head | new.next = new, new.prev = new"


def test_different_states_of_a_half_done_add_have_different_texts():
    head, a = ring("head", "a")
    new = Node("new")
    with Writes(Node, head, new, a) as writes:
        add_between(new, head, a)
    assert [repr(picture) for picture in writes.rings] == [
        "Ring: head -> a -> head | new.next = new, new.prev = new",
        "Ring: head -> a -> head | prev: head -> a -> new -> new | new.next = new",
        "Ring: head -> a -> head | prev: head -> a -> new -> new | new.next = a",
        "Ring: head -> a -> head | prev: head -> a -> new -> head | new.next = a",
        "Ring: head -> new -> a -> head",
    ]


def test_a_ring_that_does_not_come_back_to_its_head_is_followed_to_the_first_repetition():
    head, a, b = ring("head", "a", "b")
    b.next = a
    assert repr(Ring(head)) == "Ring: head -> a -> b -> a | prev: head -> b -> a -> head"


def test_a_pointer_out_of_the_picture_ends_in_a_stub():
    head, a = ring("head", "a")
    a.next, a.prev = None, Node("stranger")
    picture = Ring(head)
    assert repr(picture) == "Ring: head -> a -> None | prev: head -> a -> stranger"
    assert stubs(picture) == ["None", "stranger"]
    assert heads_of_arrows(picture) == {svg.INK: 1, svg.ACCENT_2: 1}


def test_a_poisoned_node_is_drawn_with_stubs_and_the_poison_is_no_node():
    head, a = ring("head", "a")
    head.next = head.prev = head
    a.next = a.prev = Poison()
    picture = Ring(head, nodes=[head, a])
    assert repr(picture) == "Ring: head -> head | a.next = POISON, a.prev = POISON"
    assert stubs(picture) == ["POISON", "POISON"]
    head.next = Poison()
    assert repr(Ring(head)) == "Ring: head -> POISON | prev: head -> head"


def test_an_attribute_that_cannot_be_read_is_a_stub_named_after_its_error():
    assert repr(Ring(Poison())) == "Ring: POISON -> RuntimeError | prev: POISON -> RuntimeError"


def test_at_most_sixteen_nodes_are_drawn():
    nodes = ring(*(f"n{k}" for k in range(20)))
    assert texts(Ring(nodes[0])) == [*(f"n{k}" for k in range(16)), "n16", "n19", "next", "prev"]
    assert stubs(Ring(nodes[0])) == ["n16", "n19"]


def test_disjoint_lists_stand_side_by_side():
    head, other = ring("head", "a")[0], ring("other", "b")[0]
    both = Ring(head, other)
    assert repr(both) == "Ring: head -> a -> head; other -> b -> other"
    assert heads_of_arrows(both) == {svg.INK: 4, svg.ACCENT_2: 4}
    assert float(drawn(both).get("width")) > 2 * 46 > float(drawn(both).get("height")) / 2


def test_two_heads_of_one_list_are_drawn_once():
    nodes = ring("head", "a", "b")
    assert heads_of_arrows(Ring(nodes[0], nodes[2])) == {svg.INK: 3, svg.ACCENT_2: 3}


def test_nodes_are_compared_with_equality():
    class View:
        def __init__(self, at):
            self.at = at

        def __eq__(self, other):
            return isinstance(other, View) and other.at == self.at

        next = property(lambda self: View((self.at + 1) % 3))
        prev = property(lambda self: View((self.at - 1) % 3))

    assert repr(Ring(View(0), label=lambda view: f"@{view.at}")) == "Ring: @0 -> @1 -> @2 -> @0"


def test_other_names_and_labels_can_be_given():
    class Link:
        def __init__(self):
            self.forth = self.back = self

    picture = Ring(Link(), next="forth", prev="back", label=lambda link: "it")
    assert repr(picture) == "Ring: it -> it"
    assert texts(picture) == ["it", "forth", "back"]


def test_marked_pointers_and_nodes_stand_out():
    head, a, _ = ring("head", "a", "b")
    assert heads_of_arrows(Ring(head, marked=[(a, "prev")])) == {
        svg.INK: 3,
        svg.ACCENT_2: 2,
        svg.ACCENT: 1,
    }
    boxes = drawn(Ring(head, marked=[a])).iter(f"{SVG}rect")
    assert [box.get("stroke") for box in boxes] == [svg.INK, svg.ACCENT, svg.INK]


def test_a_head_is_hollow_with_round_ends_and_an_entry_is_filled():
    boxes = drawn(Ring(ring("head", "a")[0])).iter(f"{SVG}rect")
    looks = [(box.get("fill"), box.get("rx")) for box in boxes]
    assert looks == [("none", "14"), (svg.FILL, "8")]


def test_a_picture_keeps_the_state_it_was_made_from():
    head, a = ring("head", "a")
    picture, early = Ring(head), Ring(head)._repr_svg_()
    a.next, head.name = None, "other"
    assert (repr(picture), picture._repr_svg_()) == ("Ring: head -> a -> head", early)


def outlines(root):
    for rect in root.iter(f"{SVG}rect"):
        x, y, width, height, radius = (
            float(rect.get(key)) for key in ("x", "y", "width", "height", "rx")
        )
        yield Box(complex(x + width / 2, y + height / 2), width, height, radius)


def beginnings(root, *, tips):
    """Return where each path starts: at the tip for a head, at a box for a shaft."""
    for path in list(root.iter(f"{SVG}path"))[:-4]:  # the legend's come last
        if path.get("d").endswith("Z") == tips:
            x, y = re.match(r"M(\S+) ([^LQC]+)", path.get("d")).groups()
            yield complex(float(x), float(y))


@pytest.mark.parametrize("count", range(1, 9))
def test_arrows_start_and_end_on_the_outer_edge_of_a_box(count):
    root = drawn(Ring(ring("head", *"abcdefgh"[1:count])[0]))
    boxes = list(outlines(root))
    points = [*beginnings(root, tips=True), *beginnings(root, tips=False)]
    assert len(points) == 4 * count
    gaps = [min(abs(box.distance(point)) for box in boxes) for point in points]
    assert gaps == pytest.approx([0.75] * 4 * count, abs=0.15)


def test_an_arrow_past_a_node_goes_round_it():
    nodes = ring(*"abcdefgh")
    for node, other in zip(nodes, nodes[2:], strict=False):
        node.next, other.prev = other, node
    drawing = RingDrawing(Ring(nodes[0], nodes=nodes).links)
    drawing.finish()
    sheet = drawing.sheet
    assert min(box.distance(dot) for box in sheet.boxes for dot in sheet.ink) > 0


def test_no_arrow_of_a_whole_ring_crosses_a_box():
    for count in range(1, 17):
        links = Ring(ring(*(f"n{k}" for k in range(count)))[0]).links
        drawing = RingDrawing(links)
        drawing.finish()
        sheet = drawing.sheet
        assert min(box.distance(dot) for box in sheet.boxes for dot in sheet.ink) > 0


def test_five_nodes_fit_on_a_telephone():
    root = drawn(Ring(ring("head", "task 1", "task 2", "task 3", "task 4")[0]))
    assert float(root.get("width")) <= 360
    assert float(root.get("height")) <= 300


# Every picture

EXAMPLES = {
    "ring": lambda: Ring(ring("head", "a", "b")[0]),
    "ring of one": lambda: Ring(ring("head")[0]),
    "two rings": lambda: Ring(ring("head", "a")[0], ring("other")[0]),
    "memory": lambda: Memory(TASK, title="A task", base=0x1000, arrows=[(0x10, 0, "- 16")]),
    "sets": lambda: Sets(["a:1", "b:1"], ["b:1", "c:1"], "Entries"),
    "empty sets": lambda: Sets([], [], "Nothing"),
    "lanes": lambda: Lanes(
        ["hub", "node"],
        [(0, "node", "hub", "POST"), (60, "node", "hub", "POST"), (90, "node", None, "dies", True)],
        [(0, 90, "node", "alive"), (0, 240, "hub", "in the list", True)],
        title="A node dies",
    ),
    "empty lanes": lambda: Lanes(["hub"], [], title="Nothing"),
    "plot": lambda: Plot({"n": [(1, 1), (9, 9)], "n*n": [(1, 1), (9, 81)]}, "Growth", "n", "y"),
    "plot of one point": lambda: Plot({"one": [(3, 0)]}, "A point", "x", "y"),
}
TASK = [
    (0, 4, "pid", b"\x01\0\0\0", "1"),
    (8, 8, "comm", b"systemd\0", '"systemd"'),
    (16, 8, "next", bytes(8), "0x0"),
]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_picture_is_an_image_with_title_and_description(name):
    picture = EXAMPLES[name]()
    root = drawn(picture)
    assert isinstance(picture, Picture)
    assert (root.tag, root.get("role"), root.get("class")) == (f"{SVG}svg", "img", "picture")
    assert [child.tag for child in root][:2] == [f"{SVG}title", f"{SVG}desc"]
    assert [child.text for child in root][:2] == [picture.title, picture.desc or None]
    assert root.get("viewBox").split()[2:] == [root.get("width"), root.get("height")]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_picture_can_stand_beside_others_on_a_page(name):
    elements = list(drawn(EXAMPLES[name]()).iter())
    assert {element.tag for element in elements} <= {
        SVG + tag for tag in ("svg", "title", "desc", "path", "rect", "text")
    }
    assert [element for element in elements if "id" in element.attrib] == []
    assert "\n" not in EXAMPLES[name]()._repr_svg_()


@pytest.mark.parametrize("name", EXAMPLES)
def test_colours_are_variables_with_a_fallback(name):
    colours = {
        element.get(key)
        for element in drawn(EXAMPLES[name]()).iter()
        for key in ("fill", "stroke")
        if element.get(key)
    }
    known = {svg.INK, svg.QUIET, svg.ACCENT, svg.ACCENT_2, svg.FILL, svg.ALARM, svg.LINE}
    assert colours - known - {"none"} == set()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_same_state_gives_the_same_bytes(name):
    assert EXAMPLES[name]()._repr_svg_() == EXAMPLES[name]()._repr_svg_()


@given(st.text())
@example(" ")
@example("]]><b>&\x00\n\n'\"")
def test_any_text_is_escaped(text):
    shown = svg.clean(text)
    head, memory = Ring(Node(text)), Memory([(0, 4, text, b"", text)], title=text)
    table = Table([text], [[text]], text)
    assert drawn(head)[0].text == f"List at {shown}".strip()
    assert texts(head)[0] == (svg.shorten(shown, 14) or None)
    assert drawn(memory)[0].text == (shown or None)
    assert ElementTree.fromstring(table._repr_html_())[0][0].text == (shown or None)
    strip = Strip([(head, text)], text)
    assert ElementTree.fromstring(strip._repr_html_()).get("aria-label") == shown
    assert "\n\n" not in strip._repr_html_() + table._repr_html_()


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 6)), max_size=12))
def test_any_tangle_of_pointers_is_drawn_pointer_by_pointer(changes):
    nodes = ring(*"abcdef")
    for source, forwards, target in changes:
        value = nodes[target] if target < 6 else None
        setattr(nodes[source], "next" if forwards else "prev", value)
    picture = Ring(nodes[0], nodes=nodes)
    astray = sum(node.next is None for node in nodes) + sum(node.prev is None for node in nodes)
    assert sum(heads_of_arrows(picture).values()) == 12 - astray
    assert stubs(picture) == ["None"] * astray


# Writes


def test_writes_are_recorded_in_order():
    head, a = ring("head", "a")
    new = Node("new")
    with Writes(Node, head, new, a) as writes:
        add_between(new, head, a)
    assert repr(writes) == (
        "1. a.prev = new\n2. new.next = a\n3. new.prev = head\n4. head.next = new"
    )
    assert len(writes) == 4
    assert next(iter(writes)) == ("a", "prev", "new")
    assert (head.next, new.next, a.prev, new.prev) == (new, a, new, head)


def test_other_attributes_and_other_nodes_are_not_recorded():
    head, other = Node("head"), Node("other")
    with Writes(Node, head) as writes:
        other.next = head
        head.name = "renamed"
    assert list(writes) == []
    with Writes(Node) as writes:
        other.next = head
    assert repr(writes) == "1. other.next = renamed"
    assert writes._repr_html_() == "<pre>1. other.next = renamed</pre>"
    with pytest.raises(ValueError, match=r"^no nodes were given to draw$"):
        writes.strip()


def test_the_class_is_as_before_even_after_an_error():
    before = dict(vars(Node))
    with pytest.raises(ZeroDivisionError), Writes(Node):
        raise ZeroDivisionError
    assert dict(vars(Node)) == before


def test_a_class_keeps_its_own_way_of_writing():
    class Picky(Node):
        def __setattr__(self, name, value):
            if value is None:
                raise ValueError("no None here")
            super().__setattr__(name, value)

    own, node = vars(Picky)["__setattr__"], Picky("picky")
    with pytest.raises(ValueError, match=r"^no None here$"), Writes(Picky, node) as writes:
        node.next = None
    assert list(writes) == []
    assert node.next is node
    assert vars(Picky)["__setattr__"] is own


def test_recorders_can_be_nested_and_used_again():
    node = Node("node")
    with Writes(Node, node) as outer:
        with Writes(Node, node) as inner:
            node.next = None
        node.prev = None
    assert repr(inner) == "1. node.next = None"
    assert repr(outer) == "1. node.next = None\n2. node.prev = None"
    with inner:
        node.next = node
    assert repr(inner) == "1. node.next = node"
    assert len(inner.strip().states) == 2
    assert "__setattr__" not in vars(Node)


def test_slots_and_properties_are_recorded():
    class Slotted:
        __slots__ = ("_next", "prev")

        next = property(lambda self: self._next, lambda self, value: setattr(self, "_next", value))

        def __str__(self):
            return "slotted"

    node = Slotted()
    with Writes(Slotted, node) as writes:
        node.next = node.prev = node
    assert repr(writes) == "1. slotted.next = slotted\n2. slotted.prev = slotted"
    assert [repr(picture) for picture in writes.rings] == [
        "Ring: slotted -> AttributeError | prev: slotted -> AttributeError",
        "Ring: slotted -> slotted | prev: slotted -> AttributeError",
        "Ring: slotted -> slotted",
    ]


def test_ctypes_structures_are_recorded():
    ctypes = pytest.importorskip("ctypes")

    class Link(ctypes.Structure):
        _fields_ = (("next", ctypes.c_uint64), ("prev", ctypes.c_uint64))

    link = Link()
    with Writes(Link, link, label=lambda value: "link" if value is link else hex(value)) as writes:
        link.next = 0x100
    assert repr(writes) == "1. link.next = 0x100"
    assert repr(writes.rings[-1]) == "Ring: link -> 0x100 | prev: link -> 0x0"
    assert link.next == 0x100


def test_each_state_marks_the_pointer_that_was_written():
    head, a = ring("head", "a")
    new = Node("new")
    with Writes(Node, head, new, a) as writes:
        add_between(new, head, a)
    assert [heads_of_arrows(picture)[svg.ACCENT] for picture in writes.rings] == [0, 1, 1, 1, 1]


def test_each_head_starts_a_circle():
    head, a = ring("head", "a")
    other, b = ring("other", "b")
    with Writes(Node, head, a, other, b, heads=(head, other)) as writes:
        a.next = b
    assert repr(writes.rings[0]) == "Ring: head -> a -> head; other -> b -> other"
    assert writes.rings[0].links.groups() == [[0, 1], [2, 3]]


# Strips


def test_the_author_adds_a_caption_to_each_write():
    head = Node("head")
    with Writes(Node, head) as writes:
        head.next = None
        head.prev = None
    assert repr(writes.strip("gone", title="Off")) == (
        "Off\n  before\n  1. `head.next = None`: gone\n  2. `head.prev = None`"
    )
    with pytest.raises(ValueError, match=r"^3 captions for 2 writes$"):
        writes.strip("one", "two", "three")


def test_a_strip_is_a_group_of_figures_that_share_a_frame():
    head, a = ring("head", "a")
    with Writes(Node, head, a) as writes:
        a.next = None
    root = ElementTree.fromstring(writes._repr_html_())
    assert root.attrib == {"class": "strip", "role": "group", "aria-label": "Pointer writes"}
    assert [(figure.tag, figure.get("class")) for figure in root] == [
        ("figure", "strip__state")
    ] * 2
    assert [[child.tag for child in figure] for figure in root] == [[f"{SVG}svg", "figcaption"]] * 2
    assert len({figure[0].get("viewBox") for figure in root}) == 1
    assert ["".join(figure[1].itertext()) for figure in root] == ["before", "1. a.next = None"]
    assert root[1][1][0].tag == "code"


def test_a_strip_shows_tables_too():
    strip = Strip([(Table(["n"], [[1]], "Numbers"), "one")], "Counting")
    assert repr(strip) == "Counting\n  one"
    root = ElementTree.fromstring(strip._repr_html_())
    assert root[0][0].get("class") == "table-wrap"


# Memory


def test_memory_is_told_field_by_field():
    memory = Memory(TASK, title="A task", arrows=[(0x10, 0, "- offsetof(next) = 16")])
    assert repr(memory) == (
        "+0x00 4 pid = 1\n"
        '+0x08 8 comm = "systemd"\n'
        "+0x10 8 next = 0x0\n"
        "+0x10 -> +0x00 - offsetof(next) = 16"
    )


def test_memory_shows_bytes_padding_offsets_and_addresses():
    memory = Memory(TASK, title="A task", base=0x1000)
    assert texts(memory) == [
        *("pid = 1", "01", "00", "00", "00"),
        *("··", "··", "··", "··"),
        *('comm = "systemd"', "73", "79", "73", "74", "65", "6d", "64", "00"),
        *("next = 0x0", *["00"] * 8),
        *("+0x00", "0x1000", "+0x08", "0x1008", "+0x10", "0x1010"),
    ]
    assert [text for text in texts(Memory(TASK, title="A task")) if "0x10" in text] == ["+0x10"]


def test_a_field_longer_than_a_row_goes_on_in_the_next():
    memory = Memory([(0, 12, "name", b"x" * 12, "")], title="A name")
    assert repr(memory) == "+0x00 12 name"
    assert texts(memory) == ["name", *["78"] * 12, "+0x00", "+0x08"]


def test_a_name_without_room_is_cut_in_the_drawing_alone():
    memory = Memory([(0, 1, "state", b"\x02", "2"), (1, 1, "on", b"\1", "1")], title="Flags")
    assert texts(memory)[:4] == ["sta…", "02", "on", "01"]
    assert repr(memory) == "+0x00 1 state = 2\n+0x01 1 on = 1"


def test_a_field_without_a_name_is_padding_with_known_bytes():
    memory = Memory([(0, 4, "pid", bytes(4), "0"), (4, 4, "", b"\xaa" * 4, "")], title="Padded")
    assert repr(memory) == "+0x00 4 pid = 0\n+0x04 4 padding"
    assert texts(memory) == ["pid = 0", *["00"] * 4, *["aa"] * 4, "+0x00"]


def test_marked_fields_stand_out_and_arrows_have_heads():
    memory = Memory(TASK, title="A task", marked=["next"], arrows=[(16, 0, "up"), (0, 16, "down")])
    boxes = [box.get("stroke") for box in drawn(memory).iter(f"{SVG}rect")]
    assert boxes == [svg.INK, svg.LINE, svg.INK, svg.ACCENT]
    tips = [path for path in drawn(memory).iter(f"{SVG}path") if path.get("d").endswith("Z")]
    assert len(tips) == 2


def test_fields_that_overlap_are_refused():
    with pytest.raises(ValueError, match=r"^b overlaps a$"):
        Memory([(0, 4, "a", b"", ""), (2, 4, "b", b"", "")], title="A union")


def test_twelve_rows_with_addresses_fit_on_a_telephone():
    rows = [(8 * k, 8, f"f{k}", bytes(8), "") for k in range(12)]
    arrow = (0x58, 0, "- offsetof(tasks) = 88")
    memory = Memory(rows, title="Twelve", base=0x7F0012345680, arrows=[arrow])
    assert float(drawn(memory).get("width")) <= 390


# Tables


STOP = Listing(
    [(4, "if a < b {"), (5, ""), (6, "\treturn f(a & b)")],
    5,
    {"Variables": ["a = 1", "", "b = 2"], "Stack": []},
    title="main.go",
)


def test_a_listing_marks_the_current_line_and_names_its_panes():
    assert repr(STOP) == (
        "     4: if a < b {\n=>   5:\n     6:     return f(a & b)\nVariables: a = 1; ; b = 2"
    )


def test_a_listing_is_html_that_a_keyboard_scrolls_and_that_no_empty_line_ends():
    shown = STOP._repr_html_()
    root = ElementTree.fromstring(shown)
    assert [pre.get("aria-label") for pre in root.iter("pre")] == ["main.go", "Variables"]
    assert all(pre.get("tabindex") == "0" for pre in root.iter("pre"))
    assert [mark.text for mark in root.iter("mark")] == ["=>   5:"]
    assert "\n\n" not in shown


def test_a_listing_without_lines_has_its_panes_alone():
    shown = Listing([], 0, {"Printed": ["1 < 2"]})._repr_html_()
    assert [pre.text for pre in ElementTree.fromstring(shown).iter("pre")] == ["1 < 2"]


def test_a_listing_refuses_a_current_line_that_it_does_not_show():
    with pytest.raises(ValueError, match=r"line 9 is none of \[4\]"):
        Listing([(4, "x")], 9)


def test_a_table_is_aligned_text():
    table = Table(["case", "tests", "share"], [["add", 3, "all"], ["del <x>", 12, "-"]], "Cases")
    assert repr(table) == (
        "case     tests  share\n-------  -----  -----\nadd          3  all\ndel <x>     12  -"
    )


def test_a_table_is_plain_accessible_html():
    table = Table(["case", "tests"], [["<add>", 3]], "Cases")
    assert table._repr_html_() == (
        '<div class="table-wrap" tabindex="0" role="region" aria-label="Cases">\n'
        "<table>\n<caption>Cases</caption>\n"
        '<thead>\n<tr><th scope="col">case</th>'
        '<th scope="col" style="text-align: right">tests</th></tr>\n</thead>\n'
        '<tbody>\n<tr><td>&lt;add&gt;</td><td style="text-align: right">3</td></tr>\n</tbody>\n'
        "</table>\n</div>"
    )


def test_a_table_without_rows_has_a_head():
    assert repr(Table(["a", "bc"], [], "Empty")) == "a  bc\n-  --"


def test_truth_values_are_words():
    assert repr(Table(["really"], [[True], [False]], "Truth")) == "really\n------\nTrue\nFalse"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"^2 cells for 1 columns: \[1, 2\]$"):
        Table(["a"], [[1, 2]], "Wrong")


# Colours

CSS = Path(pictures.__file__).with_name("pictures.css").read_text()
LIGHT, DARK = (
    dict(re.findall(r"(--pic-[\w-]+): (#\w+);", block))
    for block in re.findall(r"\{([^{}]*--pic-ink:[^{}]*)\}", CSS)
)
PAPER = {"light": "#ffffff", "slate": "#1e2129"}


def luminance(colour):
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_the_fallbacks_are_the_light_colours():
    colours = (svg.INK, svg.QUIET, svg.ACCENT, svg.ACCENT_2, svg.FILL, svg.ALARM, svg.LINE)
    assert dict(re.fullmatch(r"var\((.*), (.*)\)", c).groups() for c in colours) == LIGHT
    assert LIGHT.keys() == DARK.keys()


@pytest.mark.parametrize("name", ["ink", "quiet", "accent", "accent-2", "alarm"])
@pytest.mark.parametrize(("theme", "scheme"), [(LIGHT, "light"), (DARK, "slate")])
def test_text_has_enough_contrast_on_paper_and_on_boxes(name, theme, scheme):
    for ground in (PAPER[scheme], theme["--pic-fill"]):
        assert contrast(theme[f"--pic-{name}"], ground) >= 4.5


def test_the_public_names_are_listed_and_documented():
    public = [vars(pictures)[name] for name in pictures.__all__]
    assert pictures.__all__ == sorted(pictures.__all__)
    assert [each.__name__ for each in public if not each.__doc__] == []
