"""container_of in bytes: addresses, offsets and the memory that they point into."""

import ctypes
import gc
import subprocess
import sys

import pytest

from walkthroughs.linux.container_of import (
    Arena,
    Field,
    ListHead,
    PageFault,
    at,
    container_of,
    label,
    offsetof,
)
from walkthroughs.linux.list_head import (
    LIST_POISON1,
    LIST_POISON2,
    PoisonedPointer,
    init_list_head,
    list_add_tail,
    list_del,
    list_entry,
)


class Task(ctypes.Structure):
    _fields_ = (("pid", ctypes.c_int), ("comm", ctypes.c_char * 16), ("tasks", ListHead))


class Mixed(ctypes.Structure):
    _fields_ = (
        ("flag", ctypes.c_char),
        ("first", ListHead),
        ("count", ctypes.c_short),
        ("second", ListHead),
        ("last", ctypes.c_char),
    )


LAYOUT_IN_C = r"""
#include <stddef.h>
#include <stdio.h>

struct list_head { struct list_head *next, *prev; };

struct task { int pid; char comm[16]; struct list_head tasks; };

struct mixed {
    char flag;
    struct list_head first;
    short count;
    struct list_head second;
    char last;
};

#define SIZE(type) printf("%zu %zu\n", sizeof(type), _Alignof(type))
#define OFFSET(type, member) printf("%zu\n", offsetof(type, member))

int main(void)
{
    SIZE(struct list_head);
    SIZE(struct task);
    SIZE(struct mixed);
    OFFSET(struct task, pid);
    OFFSET(struct task, comm);
    OFFSET(struct task, tasks);
    OFFSET(struct mixed, flag);
    OFFSET(struct mixed, first);
    OFFSET(struct mixed, count);
    OFFSET(struct mixed, second);
    OFFSET(struct mixed, last);
    return 0;
}
"""


def test_sizes_and_offsets_are_those_of_c(require, tmp_path):
    source, program = tmp_path / "layout.c", tmp_path / "layout"
    source.write_text(LAYOUT_IN_C)
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([require("gcc"), *flags, "-o", program, source], check=True)
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    sizes = [f"{ctypes.sizeof(t)} {ctypes.alignment(t)}" for t in (ListHead, Task, Mixed)]
    offsets = [f"{offsetof(t, name)}" for t in (Task, Mixed) for name, _ in t._fields_]
    assert printed.splitlines() == [*sizes, *offsets]


def test_container_of_subtracts_the_offset():
    arena = Arena()
    arena.new(ListHead)
    task = arena.new(Task, pid=7, comm=b"kthreadd")
    assert task.tasks.address - ctypes.addressof(task) == offsetof(Task, "tasks") == 24
    found = container_of(task.tasks, Task, "tasks")
    assert ctypes.addressof(found) == ctypes.addressof(task)
    assert (found.pid, found.comm) == (7, b"kthreadd")
    found.pid = 8
    assert task.pid == 8


def test_container_of_tells_two_members_apart():
    arena = Arena()
    mixed = arena.new(Mixed, count=3)
    assert container_of(mixed.first, Mixed, "first").count == 3
    assert list_entry(mixed.second, Mixed, "second").count == 3
    wrong = container_of(mixed.second, Mixed, "first")
    distance = offsetof(Mixed, "second") - offsetof(Mixed, "first")
    assert ctypes.addressof(wrong) - ctypes.addressof(mixed) == distance


def test_container_of_a_bare_head_is_what_lies_before_it():
    arena = Arena()
    arena.new(Task, pid=7)
    head = arena.new(ListHead)
    assert ctypes.addressof(container_of(head, Task, "tasks")) == arena.base + 40 - 24
    first = Arena()
    lonely = first.new(ListHead)
    with pytest.raises(PageFault) as caught:
        container_of(lonely, Task, "tasks")
    assert str(caught.value) == f"no living arena holds a Task at {first.base - 24:#x}"


def test_container_of_a_poison_is_refused():
    with pytest.raises(PoisonedPointer):
        list_entry(LIST_POISON1, Task, "tasks")


def words(*numbers):
    """Return numbers as the machine stores addresses."""
    return b"".join(number.to_bytes(8, sys.byteorder) for number in numbers)


def test_pointers_hold_null_poison_and_addresses():
    arena = Arena()
    one, two = arena.new(ListHead), arena.new(ListHead)
    assert (one.next, one.prev) == (None, None)
    one.next, one.prev = LIST_POISON1, LIST_POISON2
    assert (one.next, one.prev) == (LIST_POISON1, LIST_POISON2)
    assert bytes(one) == words(0xDEAD000000000100, 0xDEAD000000000122)
    one.next, one.prev = two, None
    assert (one.next, one.prev) == (two, None)
    assert bytes(one) == words(two.address, 0)


def test_views_of_one_address_are_one_node():
    arena = Arena()
    one, two = arena.new(ListHead), arena.new(ListHead)
    again = at(one.address, ListHead)
    assert again is not one
    assert again == one
    assert hash(again) == hash(one)
    assert one != two
    assert one != one.address


def test_memory_that_nobody_initialised_can_be_initialised():
    arena = Arena()
    node = arena.new(ListHead, name="node")
    ctypes.memset(node.address, 0xFF, ctypes.sizeof(node))
    with pytest.raises(PageFault) as caught:
        _ = node.next
    assert str(caught.value) == "no living arena holds a ListHead at 0xffffffffffffffff"
    assert repr(node) == "<ListHead: node>"
    init_list_head(node)
    assert repr(node) == "<ListHead: node -> node>"


def test_structures_are_aligned_and_do_not_overlap():
    arena = Arena()
    fields = [ctypes.c_char * 3, ctypes.c_short, ctypes.c_char, ctypes.c_double, ctypes.c_char]
    types = [type("One", (ctypes.Structure,), {"_fields_": [("x", field)]}) for field in fields]
    offsets = [ctypes.addressof(arena.new(one)) - arena.base for one in types]
    assert offsets == [0, 4, 6, 8, 16]
    assert arena.used == 17
    assert arena.base % 64 == 0


def test_a_full_arena_says_so():
    arena = Arena(32)
    arena.new(ListHead)
    with pytest.raises(MemoryError) as caught:
        arena.new(Task)
    assert str(caught.value) == "no 40 bytes left at 16 of 32"
    arena.new(ListHead)
    assert arena.used == 32


def test_an_address_ends_with_its_arena():
    arena, other = Arena(), Arena()
    node, target = other.new(ListHead, name="node"), arena.new(ListHead, name="target")
    node.next = target
    assert repr(node) == "<ListHead: node -> target -> None>"
    del arena, target
    gc.collect()
    with pytest.raises(PageFault):
        _ = node.next
    assert repr(node) == "<ListHead: node>"


def test_labels_are_the_same_in_every_run():
    arena = Arena()
    head, task = arena.new(ListHead, name="head"), arena.new(Task)
    named = arena.new(Task, name="init")
    init_list_head(head)
    list_add_tail(task.tasks, head)
    list_add_tail(named.tasks, head)
    assert repr(head) == "<ListHead: head -> +0x28 -> init -> head>"
    list_del(task.tasks)
    assert repr(task.tasks) == "<ListHead: +0x28 -> LIST_POISON1>"
    assert [label(0), label(LIST_POISON2.address), label(16)] == ["NULL", "LIST_POISON2", "0x10"]


def test_fields_say_what_lies_where():
    arena = Arena()
    head = arena.new(ListHead, name="head")
    task = arena.new(Task, pid=1, comm=b"init")
    init_list_head(head)
    list_add_tail(task.tasks, head)
    to_head, to_task = words(head.address), words(head.address + 40)
    assert list(arena.fields()) == [
        Field(0, 8, "head.next", to_task, "+0x28"),
        Field(8, 8, "head.prev", to_task, "+0x28"),
        Field(16, 4, "Task.pid", bytes(ctypes.c_int(1)), 1),
        Field(20, 16, "Task.comm", b"init" + bytes(12), b"init"),
        Field(40, 8, "Task.tasks.next", to_head, "head"),
        Field(48, 8, "Task.tasks.prev", to_head, "head"),
    ]
