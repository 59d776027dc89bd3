"""list_head on both implementations: the kernel's own cases, then what they leave open."""

import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from walkthroughs.linux import list_head
from walkthroughs.linux.list_head import (
    LIST_POISON1,
    LIST_POISON2,
    ListCorruption,
    ListHead,
    NotAMember,
    PoisonedPointer,
    container_of,
    init_list_head,
    list_add,
    list_add_tail,
    list_bulk_move_tail,
    list_count_nodes,
    list_cut_before,
    list_cut_position,
    list_del,
    list_del_init,
    list_del_init_careful,
    list_empty,
    list_empty_careful,
    list_entry,
    list_entry_is_head,
    list_first_entry,
    list_first_entry_or_null,
    list_for_each,
    list_for_each_entry,
    list_for_each_entry_continue,
    list_for_each_entry_from,
    list_for_each_entry_reverse,
    list_for_each_entry_safe,
    list_for_each_prev,
    list_for_each_prev_safe,
    list_for_each_safe,
    list_is_first,
    list_is_head,
    list_is_last,
    list_is_singular,
    list_last_entry,
    list_move,
    list_move_tail,
    list_next_entry,
    list_prev_entry,
    list_replace,
    list_replace_init,
    list_rotate_left,
    list_rotate_to_front,
    list_splice,
    list_splice_init,
    list_splice_tail,
    list_splice_tail_init,
    list_swap,
)

HERE = Path(__file__).parent


def fill(lists, head, names):
    """Append a node for each letter of `names` and return them."""
    nodes = [lists.node(name) for name in names]
    for node in nodes:
        list_add_tail(node, head)
    return nodes


def labels(head):
    """Return the labels of a list as one text, after checking that it is the same backwards."""
    forwards = [str(node) for node in list_for_each(head)]
    assert [str(node) for node in list_for_each_prev(head)] == forwards[::-1]
    return "".join(forwards)


def perform(nodes, call):
    """Call an operation of the module by its name, on nodes by their keys."""
    name, *keys = call
    getattr(list_head, name)(*(nodes[key] for key in keys))


# The cases of the kernel's suite, under its names (kunit_list_cases.txt).


def test_list_init(lists):
    zeroed, poisoned = lists.node("zeroed"), lists.node("poisoned")
    zeroed.next = zeroed.prev = None
    poisoned.next, poisoned.prev = LIST_POISON1, LIST_POISON2
    init_list_head(zeroed)
    init_list_head(poisoned)
    assert list_empty_careful(lists.head())
    assert list_empty_careful(zeroed)
    assert list_empty_careful(poisoned)


def test_list_add(lists):
    head, a, b = lists.head(), lists.node("a"), lists.node("b")
    list_add(a, head)
    list_add(b, head)
    assert head.next == b
    assert b.prev == head
    assert b.next == a
    assert labels(head) == "ba"


def test_list_add_tail(lists):
    head, a, b = lists.head(), lists.node("a"), lists.node("b")
    list_add_tail(a, head)
    list_add_tail(b, head)
    assert head.next == a
    assert a.prev == head
    assert a.next == b
    assert labels(head) == "ab"


def test_list_del(lists):
    head = lists.head()
    a, b = fill(lists, head, "ab")
    list_del(a)
    assert head.next == b
    assert b.prev == head
    assert a.next == LIST_POISON1
    assert a.prev == LIST_POISON2


def test_list_replace(lists):
    head, new = lists.head(), lists.node("n")
    old, b = fill(lists, head, "ob")
    list_replace(old, new)
    assert head.next == new
    assert b.prev == new
    assert new.next == b
    assert new.prev == head


def test_list_replace_init(lists):
    head, new = lists.head(), lists.node("n")
    old, b = fill(lists, head, "ob")
    list_replace_init(old, new)
    assert head.next == new
    assert b.prev == new
    assert new.next == b
    assert new.prev == head
    assert list_empty_careful(old)


def test_list_swap(lists):
    head = lists.head()
    a, b = fill(lists, head, "ab")
    list_swap(a, b)
    assert head.next == b
    assert head.prev == a
    assert b.next == a
    assert b.prev == head
    assert a.next == head
    assert a.prev == b


def test_list_del_init(lists):
    head = lists.head()
    a, b = fill(lists, head, "ab")
    list_del_init(a)
    assert head.next == b
    assert b.prev == head
    assert list_empty_careful(a)


def test_list_del_init_careful(lists):
    head = lists.head()
    a, b = fill(lists, head, "ab")
    list_del_init_careful(a)
    assert head.next == b
    assert b.prev == head
    assert list_empty_careful(a)


def test_list_move(lists):
    one, two = lists.head("one"), lists.head("two")
    (a,), (b,) = fill(lists, one, "a"), fill(lists, two, "b")
    list_move(a, two)
    assert list_empty(one)
    assert two.next == a
    assert a.next == b


def test_list_move_tail(lists):
    one, two = lists.head("one"), lists.head("two")
    (a,), (b,) = fill(lists, one, "a"), fill(lists, two, "b")
    list_move_tail(a, two)
    assert list_empty(one)
    assert two.next == b
    assert b.next == a


def test_list_bulk_move_tail(lists):
    one, two = lists.head("one"), lists.head("two")
    _, y = fill(lists, one, "xy")
    _, b, c, _ = fill(lists, two, "abcd")
    list_bulk_move_tail(y, b, c)
    assert labels(one) == "xbcy"
    assert labels(two) == "ad"


def test_list_is_head(lists):
    a, c = lists.head("a"), lists.head("c")
    (b,) = fill(lists, a, "b")
    assert list_is_head(a, a)
    assert not list_is_head(a, b)
    assert not list_is_head(a, c)


def test_list_is_first(lists):
    head = lists.head()
    a, b = fill(lists, head, "ab")
    assert list_is_first(a, head)
    assert not list_is_first(b, head)


def test_list_is_last(lists):
    head = lists.head()
    a, b = fill(lists, head, "ab")
    assert not list_is_last(a, head)
    assert list_is_last(b, head)


def test_list_empty(lists):
    one, two = lists.head("one"), lists.head("two")
    fill(lists, one, "a")
    assert not list_empty(one)
    assert list_empty(two)


def test_list_empty_careful(lists):
    one, two = lists.head("one"), lists.head("two")
    (a,) = fill(lists, one, "a")
    assert not list_empty_careful(one)
    assert list_empty_careful(two)
    two.prev = a  # half of a change that another CPU makes
    assert list_empty(two)
    assert not list_empty_careful(two)


def test_list_rotate_left(lists):
    head = lists.head()
    a, b = fill(lists, head, "ab")
    list_rotate_left(head)
    assert head.next == b
    assert b.prev == head
    assert b.next == a


def test_list_rotate_to_front(lists):
    head = lists.head()
    _, _, c, _ = fill(lists, head, "abcd")
    list_rotate_to_front(c, head)
    assert labels(head) == "cdab"


def test_list_is_singular(lists):
    head = lists.head()
    assert not list_is_singular(head)
    fill(lists, head, "a")
    assert list_is_singular(head)
    fill(lists, head, "b")
    assert not list_is_singular(head)


def test_list_cut_position(lists):
    one, two = lists.head("one"), lists.head("two")
    _, b, _ = fill(lists, one, "abc")
    list_cut_position(two, one, b)
    assert labels(two) == "ab"
    assert labels(one) == "c"


def test_list_cut_before(lists):
    one, two = lists.head("one"), lists.head("two")
    _, b, _ = fill(lists, one, "abc")
    list_cut_before(two, one, b)
    assert labels(two) == "a"
    assert labels(one) == "bc"


def test_list_splice(lists):
    one, two = lists.head("one"), lists.head("two")
    _, b, _ = fill(lists, one, "abe")
    fill(lists, two, "cd")
    list_splice(two, b)
    assert labels(one) == "abcde"


def test_list_splice_tail(lists):
    one, two = lists.head("one"), lists.head("two")
    _, _, e = fill(lists, one, "abe")
    fill(lists, two, "cd")
    list_splice_tail(two, e)
    assert labels(one) == "abcde"


def test_list_splice_init(lists):
    one, two = lists.head("one"), lists.head("two")
    _, b, _ = fill(lists, one, "abe")
    fill(lists, two, "cd")
    list_splice_init(two, b)
    assert labels(one) == "abcde"
    assert list_empty_careful(two)


def test_list_splice_tail_init(lists):
    one, two = lists.head("one"), lists.head("two")
    _, _, e = fill(lists, one, "abe")
    fill(lists, two, "cd")
    list_splice_tail_init(two, e)
    assert labels(one) == "abcde"
    assert list_empty_careful(two)


@pytest.fixture
def entries(lists):
    """Return a head and five structures on its list, whose data is 0 to 4."""
    head, entries = lists.head(), [lists.entry(data) for data in range(5)]
    for entry in entries:
        list_add_tail(entry.list, head)
    return head, entries


def test_list_entry(lists):
    entry = lists.entry(7)
    assert list_entry(entry.list, lists.Entry, "list") == entry
    assert container_of(entry.list, lists.Entry, "list") == entry


def test_list_entry_is_head(lists):
    head, entry, other = (lists.entry(data) for data in range(3))
    init_list_head(head.list)
    init_list_head(other.list)
    list_add_tail(entry.list, head.list)
    assert list_entry_is_head(head, head.list, "list")
    assert not list_entry_is_head(entry, head.list, "list")
    assert not list_entry_is_head(other, head.list, "list")


def test_list_first_entry(lists, entries):
    head, structures = entries
    assert list_first_entry(head, lists.Entry, "list") == structures[0]


def test_list_last_entry(lists, entries):
    head, structures = entries
    assert list_last_entry(head, lists.Entry, "list") == structures[4]


def test_list_first_entry_or_null(lists, entries):
    head, structures = entries
    assert list_first_entry_or_null(lists.head("empty"), lists.Entry, "list") is None
    assert list_first_entry_or_null(head, lists.Entry, "list") == structures[0]


def test_list_next_entry(entries):
    _, structures = entries
    assert list_next_entry(structures[0], "list") == structures[1]


def test_list_prev_entry(entries):
    _, structures = entries
    assert list_prev_entry(structures[1], "list") == structures[0]


def test_list_for_each(lists):
    head = lists.head()
    nodes = fill(lists, head, "abc")
    assert list(list_for_each(head)) == nodes


def test_list_for_each_prev(lists):
    head = lists.head()
    nodes = fill(lists, head, "abc")
    assert list(list_for_each_prev(head)) == nodes[::-1]


def test_list_for_each_safe(lists):
    head, seen = lists.head(), []
    nodes = fill(lists, head, "abc")
    for node in list_for_each_safe(head):
        list_del(node)
        seen.append(node)
    assert seen == nodes
    assert list_empty(head)


def test_list_for_each_prev_safe(lists):
    head, seen = lists.head(), []
    nodes = fill(lists, head, "abc")
    for node in list_for_each_prev_safe(head):
        list_del(node)
        seen.append(node)
    assert seen == nodes[::-1]
    assert list_empty(head)


def test_list_for_each_entry(lists, entries):
    head, _ = entries
    assert [e.data for e in list_for_each_entry(head, lists.Entry, "list")] == [0, 1, 2, 3, 4]


def test_list_for_each_entry_reverse(lists, entries):
    head, _ = entries
    found = [e.data for e in list_for_each_entry_reverse(head, lists.Entry, "list")]
    assert found == [4, 3, 2, 1, 0]


def test_every_kunit_case_has_its_test():
    names = (HERE / "kunit_list_cases.txt").read_text().splitlines()[1:]
    tests = [name.replace("list_test_", "test_", 1) for name in names]
    assert len(tests) == 39
    assert [test for test in tests if not callable(globals().get(test))] == []


# Loops, and what may be deleted in them.


def test_the_other_loops_over_entries(lists, entries):
    head, structures = entries
    after = list_for_each_entry_continue(structures[2], head, "list")
    assert [entry.data for entry in after] == [3, 4]
    assert list(list_for_each_entry_continue(structures[4], head, "list")) == []
    onwards = list_for_each_entry_from(structures[2], head, "list")
    assert [entry.data for entry in onwards] == [2, 3, 4]
    for entry in list_for_each_entry_safe(head, lists.Entry, "list"):
        list_del(entry.list)
    assert list_empty(head)


def test_loops_from_a_head_that_is_embedded_too(lists):
    parent, child = lists.entry(1), lists.entry(2)
    init_list_head(parent.list)
    list_add(child.list, parent.list)
    assert list(list_for_each_entry_from(parent, parent.list, "list")) == []
    assert list(list_for_each_entry_continue(parent, parent.list, "list")) == [child]


def test_loops_over_an_empty_list_have_no_turn(lists):
    head = lists.head()
    nodes = (list_for_each, list_for_each_prev, list_for_each_safe, list_for_each_prev_safe)
    assert [list(each(head)) for each in nodes] == [[]] * 4
    entries = (list_for_each_entry, list_for_each_entry_reverse, list_for_each_entry_safe)
    assert [list(each(head, lists.Entry, "list")) for each in entries] == [[]] * 3


def walk(loop, visit):
    """Run a loop to its end with `visit` as its body."""
    for node in loop:
        visit(node)


@pytest.mark.parametrize(
    ("each", "first", "poison"),
    [(list_for_each, "a", LIST_POISON1), (list_for_each_prev, "c", LIST_POISON2)],
)
def test_deleting_the_current_node_hands_the_next_turn_a_poison(lists, each, first, poison):
    head, met = lists.head(), []
    fill(lists, head, "abc")

    def visit(node):
        met.append(str(node))
        list_del(node)

    with pytest.raises(PoisonedPointer) as caught:
        walk(each(head), visit)
    assert met == [first, str(poison)]
    assert str(caught.value).startswith(f"{poison} ")


@pytest.mark.parametrize("each", [list_for_each_entry, list_for_each_entry_reverse])
def test_deleting_the_current_entry_breaks_a_loop_that_is_not_safe(lists, entries, each):
    head, _ = entries
    with pytest.raises(PoisonedPointer):
        walk(each(head, lists.Entry, "list"), lambda entry: list_del(entry.list))
    assert list_count_nodes(head) == 4


def test_safe_does_not_protect_from_deleting_the_next_node(lists):
    head, met = lists.head(), []
    _, b, _ = fill(lists, head, "abc")

    def visit(node):
        met.append(str(node))
        if len(met) == 1:
            list_del(b)

    with pytest.raises(PoisonedPointer):
        walk(list_for_each_safe(head), visit)
    assert met == ["a", "b"]


def test_a_loop_meets_what_its_body_adds(lists):
    head, met = lists.head(), []
    fill(lists, head, "ab")
    for node in list_for_each(head):
        met.append(str(node))
        if str(node) == "a":
            list_add(lists.node("x"), node)
    assert met == ["a", "x", "b"]


def test_list_count_nodes(lists):
    head = lists.head()
    assert list_count_nodes(head) == 0
    fill(lists, head, "abc")
    assert list_count_nodes(head) == 3


# Edges: an empty list, one entry, the head itself.


def test_list_cut_position_at_the_head_empties_the_target(lists):
    one, two = lists.head("one"), lists.head("two")
    fill(lists, one, "abc")
    fill(lists, two, "x")
    list_cut_position(two, one, one)
    assert (labels(one), labels(two)) == ("abc", "")


def test_list_cut_position_of_an_empty_list_touches_nothing(lists):
    one, two = lists.head("one"), lists.head("two")
    fill(lists, two, "x")
    list_cut_position(two, one, one)
    assert (labels(one), labels(two)) == ("", "x")


def test_list_cut_position_of_one_entry(lists):
    one, two, stranger = lists.head("one"), lists.head("two"), lists.head("s")
    (a,) = fill(lists, one, "a")
    list_cut_position(two, one, stranger)
    assert (labels(one), labels(two)) == ("a", "")
    list_cut_position(two, one, a)
    assert (labels(one), labels(two)) == ("", "a")


@pytest.mark.parametrize(("at", "expected"), [(0, ("abc", "")), (2, ("c", "ab")), (3, ("", "abc"))])
def test_list_cut_before_any_place(lists, at, expected):
    one, two = lists.head("one"), lists.head("two")
    nodes = [*fill(lists, one, "abc"), one]
    list_cut_before(two, one, nodes[at])
    assert (labels(one), labels(two)) == expected


@pytest.mark.parametrize(
    ("splice", "expected"),
    [
        (list_splice, "xyab"),
        (list_splice_init, "xyab"),
        (list_splice_tail, "abxy"),
        (list_splice_tail_init, "abxy"),
    ],
)
def test_splice_at_the_head(lists, splice, expected):
    one, two, empty = lists.head("one"), lists.head("two"), lists.head("empty")
    fill(lists, one, "ab")
    x, y = fill(lists, two, "xy")
    splice(empty, one)
    assert labels(one) == "ab"
    assert list_empty_careful(empty)
    splice(two, one)
    assert labels(one) == expected
    if splice in (list_splice, list_splice_tail):
        assert (two.next, two.prev) == (x, y)  # stale
    else:
        assert list_empty_careful(two)


def test_splice_into_an_empty_list(lists):
    one, two = lists.head("one"), lists.head("two")
    fill(lists, two, "xy")
    list_splice_init(two, one)
    assert (labels(one), labels(two)) == ("xy", "")


@pytest.mark.parametrize(
    ("where", "first", "last", "expected"),
    [
        (0, 1, 1, "bcda"),
        (0, 1, 4, "abcd"),
        (0, 2, 3, "adbc"),
        (1, 3, 4, "cdab"),
        (4, 2, 3, "abcd"),
    ],
)
def test_list_bulk_move_tail_inside_one_list(lists, where, first, last, expected):
    head = lists.head()
    nodes = [head, *fill(lists, head, "abcd")]
    list_bulk_move_tail(nodes[where], nodes[first], nodes[last])
    assert labels(head) == expected


@pytest.mark.parametrize(("one", "two"), [("a", "b"), ("b", "a"), ("a", "d"), ("b", "d")])
def test_list_swap_of_any_two(lists, one, two):
    head = lists.head()
    nodes = dict(zip("abcd", fill(lists, head, "abcd"), strict=True))
    list_swap(nodes[one], nodes[two])
    assert labels(head) == "abcd".translate(str.maketrans(one + two, two + one))


def test_list_swap_between_two_lists(lists):
    one, two = lists.head("one"), lists.head("two")
    (a,), (x,) = fill(lists, one, "a"), fill(lists, two, "x")
    list_swap(a, x)
    assert (labels(one), labels(two)) == ("x", "a")


def test_rotating_nothing_and_to_the_front_itself(lists):
    head = lists.head()
    list_rotate_left(head)
    assert labels(head) == ""
    (a,) = fill(lists, head, "a")
    list_rotate_left(head)
    list_rotate_to_front(a, head)
    assert labels(head) == "a"


def test_list_replace_of_an_empty_old(lists):
    old, new, head = lists.head("old"), lists.node("new"), lists.head()
    list_replace(old, new)
    assert list_empty_careful(new)
    assert (old.next, old.prev) == (old, new)
    list_add(old, head)  # it is on no list
    assert labels(head) == "old"


def test_an_entry_off_its_list_can_be_added_again(lists):
    head, new = lists.head(), lists.node("n")
    a, b, c, d = fill(lists, head, "abcd")
    list_del(a)
    list_del_init(b)
    list_del_init_careful(c)
    list_replace(d, new)
    for node in (a, b, c, d):
        list_add_tail(node, head)
    assert labels(head) == "nabcd"


@pytest.mark.parametrize("move", [list_move, list_move_tail])
def test_every_entry_can_be_moved_next_to_every_other(lists, move):
    for size in (1, 2, 3):
        names = "abc"[:size]
        for entry in range(1, size + 1):
            for where in set(range(size + 1)) - {entry}:
                head = lists.head()
                nodes = [head, *fill(lists, head, names)]
                move(nodes[entry], nodes[where])
                assert sorted(labels(head)) == list(names)
                near = nodes[where].next if move is list_move else nodes[where].prev
                assert near == nodes[entry]


# Poison and corruption.


def test_poison_is_the_kernels(lists):
    assert LIST_POISON1 != LIST_POISON2
    assert (str(LIST_POISON1), LIST_POISON1.address) == ("LIST_POISON1", 0xDEAD000000000100)
    assert (repr(LIST_POISON2), LIST_POISON2.address) == ("LIST_POISON2", 0xDEAD000000000122)
    head = lists.head()
    (a,) = fill(lists, head, "a")
    list_del(a)
    assert (a.next, a.prev) == (LIST_POISON1, LIST_POISON2)


@pytest.mark.parametrize(
    ("poison", "message"),
    [
        (
            LIST_POISON1,
            "LIST_POISON1 (0xdead000000000100) dereferenced: the entry it came from was deleted "
            "with list_del; use a _safe iteration, or read next before deleting",
        ),
        (
            LIST_POISON2,
            "LIST_POISON2 (0xdead000000000122) dereferenced: the entry it came from was deleted "
            "with list_del; use a _safe iteration, or read prev before deleting",
        ),
    ],
)
@pytest.mark.parametrize("field", ["next", "prev", "owner"])
def test_a_poison_is_no_node(poison, message, field):
    with pytest.raises(PoisonedPointer) as caught:
        getattr(poison, field)
    assert str(caught.value) == message
    with pytest.raises(PoisonedPointer) as caught:
        setattr(poison, field, None)
    assert str(caught.value) == message
    with pytest.raises(PoisonedPointer):
        list_entry(poison, object, "list")
    assert not hasattr(poison, "_repr_svg_")


@pytest.mark.parametrize(
    ("damage", "call", "message"),
    [
        ("head.prev = NULL", "list_add_tail c head", "list_add corruption. prev is NULL."),
        ("head.next = NULL", "list_add c head", "list_add corruption. next is NULL."),
        (
            "b.prev = c",
            "list_add c a",
            "list_add corruption. next->prev should be prev (a), but was c. (next=b).",
        ),
        (
            "b.next = c",
            "list_add_tail c head",
            "list_add corruption. prev->next should be next (head), but was c. (prev=b).",
        ),
        ("", "list_add a head", "list_add double add: new=a, prev=head, next=a."),
        ("", "list_add_tail a b", "list_add double add: new=a, prev=a, next=b."),
        (
            "",
            "list_add b head",
            "list_add double add: new=b is already on a list: b -> head -> a -> b.",
        ),
        ("a.next = NULL", "list_del a", "list_del corruption, a->next is NULL"),
        ("a.prev = NULL", "list_del a", "list_del corruption, a->prev is NULL"),
        (
            "a.next = LIST_POISON1",
            "list_del_init a",
            "list_del corruption, a->next is LIST_POISON1 (dead000000000100)",
        ),
        (
            "a.prev = LIST_POISON2",
            "list_move a b",
            "list_del corruption, a->prev is LIST_POISON2 (dead000000000122)",
        ),
        (
            "head.next = c",
            "list_del a",
            "list_del corruption. prev->next should be a, but was c. (prev=head)",
        ),
        (
            "b.prev = c",
            "list_del_init_careful a",
            "list_del corruption. next->prev should be a, but was c. (next=b)",
        ),
    ],
)
def test_corruption_is_reported_and_nothing_written(lists, damage, call, message):
    nodes = {"head": lists.head(), "c": lists.node("c")}
    nodes.update(zip("ab", fill(lists, nodes["head"], "ab"), strict=True))
    values = {**nodes, "NULL": None, "LIST_POISON1": LIST_POISON1, "LIST_POISON2": LIST_POISON2}
    if damage:
        place, _, value = damage.partition(" = ")
        name, _, field = place.partition(".")
        setattr(nodes[name], field, values[value])
    before = [(node.next, node.prev) for node in nodes.values()]
    with pytest.raises(ListCorruption) as caught:
        perform(nodes, call.split())
    assert str(caught.value) == message
    assert [(node.next, node.prev) for node in nodes.values()] == before


def test_deleting_twice_is_reported(lists):
    head = lists.head()
    a, _ = fill(lists, head, "ab")
    list_del(a)
    with pytest.raises(ListCorruption) as caught:
        list_del(a)
    message = "list_del corruption, a->next is LIST_POISON1 (dead000000000100)"
    assert str(caught.value) == message
    assert labels(head) == "b"


# The order of the writes.


@pytest.mark.parametrize(
    ("operation", "arguments", "expected"),
    [
        (init_list_head, "x", "x.next = x, x.prev = x"),
        (list_add, "xH", "a.prev = x, x.next = a, x.prev = H, H.next = x"),
        (list_add_tail, "xH", "H.prev = x, x.next = H, x.prev = c, c.next = x"),
        (list_del, "b", "c.prev = a, a.next = c, b.next = LIST_POISON1, b.prev = LIST_POISON2"),
        (list_del_init, "b", "c.prev = a, a.next = c, b.next = b, b.prev = b"),
        (list_del_init_careful, "b", "c.prev = a, a.next = c, b.prev = b, b.next = b"),
        (list_replace, "bx", "x.next = c, c.prev = x, x.prev = a, a.next = x"),
        (
            list_move,
            "cH",
            "H.prev = b, b.next = H, a.prev = c, c.next = a, c.prev = H, H.next = c",
        ),
        (
            list_bulk_move_tail,
            "Hab",
            "H.next = c, c.prev = H, c.next = a, a.prev = c, b.next = H, H.prev = b",
        ),
        (
            list_cut_position,
            "xHb",
            "x.next = a, a.prev = x, x.prev = b, b.next = x, H.next = c, c.prev = H",
        ),
        (
            list_cut_before,
            "xHc",
            "x.next = a, a.prev = x, x.prev = b, b.next = x, H.next = c, c.prev = H",
        ),
        (list_cut_position, "xHH", "x.next = x, x.prev = x"),
        (list_cut_before, "xHa", "x.next = x, x.prev = x"),
        (list_splice, "HY", "a.prev = Y, Y.next = a, c.next = z, z.prev = c"),
        (list_splice_tail, "HY", "a.prev = z, z.next = a, c.next = Y, Y.prev = c"),
        (
            list_splice_init,
            "HY",
            "a.prev = Y, Y.next = a, c.next = z, z.prev = c, H.next = H, H.prev = H",
        ),
        (
            list_splice_tail_init,
            "HY",
            "a.prev = z, z.next = a, c.next = Y, Y.prev = c, H.next = H, H.prev = H",
        ),
    ],
)
def test_pointers_are_written_in_the_kernels_order(
    lists, monkeypatch, operation, arguments, expected
):
    nodes = {"H": lists.head("H"), "Y": lists.head("Y"), "x": lists.node("x")}
    nodes.update(zip("abc", fill(lists, nodes["H"], "abc"), strict=True))
    nodes.update(zip("z", fill(lists, nodes["Y"], "z"), strict=True))
    written = []
    write = lists.ListHead.__setattr__

    def record(node, name, value):
        if name in ("next", "prev"):
            written.append(f"{node}.{name} = {value}")
        write(node, name, value)

    monkeypatch.setattr(lists.ListHead, "__setattr__", record)
    operation(*(nodes[name] for name in arguments))
    assert ", ".join(written) == expected


# What a node says of itself.


def test_repr_follows_the_list(lists):
    head = lists.head()
    assert repr(head) == "<ListHead: head -> head>"
    a, _ = fill(lists, head, "ab")
    assert repr(head) == "<ListHead: head -> a -> b -> head>"
    assert repr(a) == "<ListHead: a -> b -> head -> a>"
    list_del(a)
    assert repr(a) == "<ListHead: a -> LIST_POISON1>"


def test_repr_of_a_long_list_is_cut_short(lists):
    head = lists.head()
    fill(lists, head, "abcdefgh")
    long = "<ListHead: head -> a -> b -> c -> d -> e -> f -> g -> h -> "
    assert repr(head) == long + "head>"
    fill(lists, head, "i")
    assert repr(head) == long + "... -> head>"


def test_repr_of_a_broken_list_never_raises(lists):
    head = lists.head()
    a, b = fill(lists, head, "ab")
    b.next = a
    assert repr(head) == "<ListHead: head -> a -> b -> a>"
    a.next = None
    assert repr(head) == "<ListHead: head -> a -> None>"


def test_labels_of_plain_nodes():
    assert str(ListHead()) == "head"
    assert str(ListHead("a")) == "a"
    assert repr(ListHead()) == "<ListHead: head -> head>"
    assert (ListHead().owner, ListHead("a").owner) == (None, "a")


class Inode:
    def __init__(self):
        self.i_lru = ListHead(self)
        self.i_wb_list = ListHead(self)

    def __str__(self):
        return "inode"


class SpecialInode(Inode):
    pass


class Page:
    pass


def test_container_of_by_back_reference():
    inode = SpecialInode()
    assert container_of(inode.i_lru, Inode, "i_lru") is inode
    assert list_entry(inode.i_wb_list, SpecialInode, "i_wb_list") is inode


@pytest.mark.parametrize(
    ("node", "type", "member", "message"),
    [
        (
            ListHead(),
            Inode,
            "i_lru",
            "head is not the member i_lru of any Inode: it is embedded in no structure",
        ),
        (
            ListHead("a"),
            Inode,
            "i_lru",
            "a is not the member i_lru of any Inode: it is embedded in no structure",
        ),
        (
            Inode().i_lru,
            Page,
            "lru",
            "inode is not the member lru of any Page: it is embedded in Inode",
        ),
        (
            Inode().i_lru,
            Inode,
            "i_wb_list",
            "inode is not the member i_wb_list of any Inode: it is another member",
        ),
        (
            Inode().i_lru,
            Inode,
            "lru",
            "inode is not the member lru of any Inode: it is another member",
        ),
    ],
)
def test_container_of_refuses_what_is_no_member(node, type, member, message):
    with pytest.raises(NotAMember) as caught:
        container_of(node, type, member)
    assert str(caught.value) == message


# Random operations against plain Python lists, and against C.


class Model:
    """Lists and free nodes as Python lists of numbers; a ring begins with the number of its head.

    Every step changes the rings and returns the calls that do the same to real nodes.
    """

    HEADS = 3
    NODES = 9

    def __init__(self, rng):
        self.rng = rng
        self.rings = [[head] for head in range(self.HEADS)]
        self.free = list(range(self.HEADS, self.NODES))

    def steps(self, count):
        operations = (
            *(self.add, self.delete, self.replace, self.swap, self.move),
            *(self.bulk_move, self.rotate, self.cut, self.splice),
        )
        for _ in range(count):
            yield self.rng.choice(operations)()

    def ring_of(self, node):
        return next(ring for ring in self.rings if node in ring)

    def linked(self):
        return [node for ring in self.rings for node in ring[1:]]

    def insert(self, run, where, tail):
        ring = self.ring_of(where)
        at = ring.index(where) + (not tail)
        at = at or len(ring)
        ring[at:at] = run

    def take(self, nodes):
        node = self.rng.choice(nodes)
        nodes.remove(node)
        return node

    def anywhere(self):
        return self.rng.choice([node for ring in self.rings for node in ring])

    def add(self):
        if not self.free:
            return []
        name = self.rng.choice(["list_add", "list_add_tail"])
        where, new = self.anywhere(), self.take(self.free)
        self.insert([new], where, name == "list_add_tail")
        return [(name, new, where)]

    def delete(self):
        if not self.linked():
            return []
        entry = self.rng.choice(self.linked())
        self.ring_of(entry).remove(entry)
        self.free.append(entry)
        names = ["list_del", "list_del_init", "list_del_init_careful"]
        return [(self.rng.choice(names), entry)]

    def replace(self):
        if not self.linked() or not self.free:
            return []
        old, new = self.rng.choice(self.linked()), self.take(self.free)
        ring = self.ring_of(old)
        ring[ring.index(old)] = new
        self.free.append(old)
        return [(self.rng.choice(["list_replace", "list_replace_init"]), old, new)]

    def swap(self):
        if len(self.linked()) < 2:
            return []
        one, two = self.rng.sample(self.linked(), 2)
        other = {one: two, two: one}
        self.rings = [[other.get(node, node) for node in ring] for ring in self.rings]
        return [("list_swap", one, two)]

    def move(self):
        if not self.linked():
            return []
        name = self.rng.choice(["list_move", "list_move_tail"])
        entry = self.rng.choice(self.linked())
        self.ring_of(entry).remove(entry)
        where = self.anywhere()
        self.insert([entry], where, name == "list_move_tail")
        return [(name, entry, where)]

    def bulk_move(self):
        if not self.linked():
            return []
        ring = self.ring_of(self.rng.choice(self.linked()))
        first = self.rng.randrange(1, len(ring))
        last = self.rng.randrange(first, len(ring))
        run = ring[first : last + 1]
        del ring[first : last + 1]
        where = self.anywhere()
        self.insert(run, where, tail=True)
        return [("list_bulk_move_tail", where, run[0], run[-1])]

    def rotate(self):
        ring = self.rng.choice(self.rings)
        head, entries = ring[0], ring[1:]
        if not entries or self.rng.choice([True, False]):
            ring[1:] = entries[1:] + entries[:1]
            return [("list_rotate_left", head)]
        front = self.rng.randrange(len(entries))
        ring[1:] = entries[front:] + entries[:front]
        return [("list_rotate_to_front", entries[front], head)]

    def cut(self):
        empty = [ring for ring in self.rings if len(ring) == 1]
        if not empty:
            return []
        target = self.rng.choice(empty)
        source = self.rng.choice([ring for ring in self.rings if ring is not target])
        name = self.rng.choice(["list_cut_position", "list_cut_before"])
        at = self.rng.randrange(len(source))
        call = (name, target[0], source[0], source[at])
        end = at + 1 if name == "list_cut_position" else at or len(source)
        target[1:] = source[1:end]
        del source[1:end]
        return [call]

    def splice(self):
        source = self.rng.choice(self.rings)
        where = self.rng.choice([n for ring in self.rings if ring is not source for n in ring])
        names = ["list_splice", "list_splice_tail", "list_splice_init", "list_splice_tail_init"]
        name = self.rng.choice(names)
        self.insert(source[1:], where, "tail" in name)
        del source[1:]
        calls = [(name, source[0], where)]
        return calls if name.endswith("init") else [*calls, ("init_list_head", source[0])]


def pool(lists):
    """Return the model's nodes, all initialised."""
    return [lists.head(str(number)) for number in range(Model.NODES)]


@settings(max_examples=100, deadline=None, database=None)
@given(st.randoms(use_true_random=False))
def test_random_operations_agree_with_plain_lists(implementation, rng):
    lists, model = implementation(), Model(rng)
    nodes = pool(lists)
    for calls in model.steps(25):
        for call in calls:
            perform(nodes, call)
        for head, *entries in model.rings:
            expected = [nodes[entry] for entry in entries]
            assert list(list_for_each(nodes[head])) == expected
            assert list(list_for_each_prev(nodes[head])) == expected[::-1]
            assert list_count_nodes(nodes[head]) == len(entries)
            assert list_empty(nodes[head]) == (not entries)
            assert list_is_singular(nodes[head]) == (len(entries) == 1)
    for entry in model.linked():
        with pytest.raises(ListCorruption, match=r"^list_add double add: "):
            list_add(nodes[entry], nodes[model.rng.randrange(model.HEADS)])


@pytest.fixture(scope="module")
def oracle(require, tmp_path_factory):
    """Return a function from calls to the lines of pointers that the C program prints."""
    program = tmp_path_factory.mktemp("c") / "list_head"
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror"]
    source = HERE / "list_head.c"
    subprocess.run([require("gcc"), *flags, "-o", program, source], check=True)

    def run(calls):
        script = "".join(" ".join(map(str, call)) + "\n" for call in calls)
        command = [program, str(Model.NODES)]
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    return run


def pointers(nodes):
    """Return what the C program prints of its pool."""
    names = {LIST_POISON1: "P1", LIST_POISON2: "P2", None: "NULL"}
    names.update((node, str(number)) for number, node in enumerate(nodes))
    return " ".join(f"{names[node.next]}/{names[node.prev]}" for node in nodes)


INITIALISED = [("init_list_head", number) for number in range(Model.NODES)]

# Every operation at least once, at the edges that the model leaves out: stale heads, a cut of one
# entry elsewhere, an old that is alone.
FIXED = """
list_add 3 0, list_add 4 0, list_add_tail 5 0, list_add_tail 6 3, list_del 4, list_add 4 1
list_del_init 5, list_del_init_careful 6, list_replace 5 6, list_add 5 0, list_replace_init 3 6
list_swap 5 6, list_swap 6 4, list_move 4 1, list_move 4 1, list_move_tail 6 0, list_move_tail 5 4
list_bulk_move_tail 1 6 6, list_bulk_move_tail 0 5 4, list_rotate_left 0, list_rotate_left 2
list_rotate_to_front 5 0, list_cut_position 2 1 1, list_cut_position 2 1 8, list_cut_position 2 1 6
list_cut_before 1 0 5, list_cut_before 1 0 0, list_splice 1 2, init_list_head 1, list_splice 1 2
list_splice_tail 2 0, list_splice_init 0 1, list_splice_init 0 1, list_splice_tail_init 1 0
"""


def fixed_script():
    calls = FIXED.strip().replace("\n", ", ").split(", ")
    return [(name, *map(int, numbers)) for name, *numbers in map(str.split, calls)]


def random_script(seed):
    return [call for calls in Model(random.Random(seed)).steps(150) for call in calls]


def test_the_fixed_script_leaves_no_operation_out():
    table = (HERE / "list_head.c").read_text().partition("operations[] = {")[2]
    in_c = {part.partition('"')[0] for part in table.split('{ "')[1:]}
    assert len(in_c) == 20
    assert in_c == {name for name, *_ in fixed_script()}


@pytest.mark.parametrize("seed", ["fixed", 1, 2, 3])
def test_pointers_are_those_of_the_c_program(lists, oracle, seed):
    calls = fixed_script() if seed == "fixed" else random_script(seed)
    nodes, mine = pool(lists), []
    for call in calls:
        perform(nodes, call)
        mine.append(pointers(nodes))
    theirs = oracle([*INITIALISED, *calls])[Model.NODES :]
    assert list(zip(calls, mine, strict=True)) == list(zip(calls, theirs, strict=True))
