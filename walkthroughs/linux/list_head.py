"""The kernel's circular doubly linked list: include/linux/list.h of Linux v6.12.

| C                                    | here                               |
|--------------------------------------|------------------------------------|
| `struct list_head x`, `&task->tasks` | `x = ListHead()`, `task.tasks`     |
| `INIT_LIST_HEAD`, `__list_add`       | `init_list_head`, `_list_add`      |
| `__list_add_valid_or_report`         | `_list_add_valid`, which raises    |
| `typeof(*pos)`, `NULL`               | `type(pos)`, `None`                |
| `list_for_each(pos, head) { }`       | `for pos in list_for_each(head):`  |

`new`, `list`, `entry` are nodes to work on, `head` the node that stands for the whole
list and carries nothing, `pos` the cursor of a loop, `member` the name of the attribute
that is a node. Pointers are compared with `==`, as in C: two views of the same bytes
may be two Python objects.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class PoisonedPointer(RuntimeError):
    """A pointer of a deleted entry was followed."""


class ListCorruption(RuntimeError):
    """A neighbour does not point back, or an entry is on a list already."""


class NotAMember(TypeError):
    """A node was taken for a member of a structure that it is not embedded in."""


class ListHead:
    """A node, alone on its own ring at first; `owner` is the structure around it.

    A node outside any structure may have a name as its owner. `str(owner)` labels the
    node, so an owner's text must not show the node.
    """

    __slots__ = ("next", "owner", "prev")

    next: "ListHead"
    prev: "ListHead"

    def __init__(self, owner: object = None) -> None:
        self.owner = owner
        self.next = self.prev = self

    def container_of(self, type: type[T], member: str) -> T:
        """Return the structure whose `member` is this node, or raise `NotAMember`."""
        if isinstance(self.owner, type) and getattr(self.owner, member, None) is self:
            return self.owner
        if self.owner is None or isinstance(self.owner, str):
            why = "it is embedded in no structure"
        elif isinstance(self.owner, type):
            why = "it is another member"
        else:
            why = f"it is embedded in {self.owner.__class__.__name__}"
        raise NotAMember(
            f"{self} is not the member {member} of any {type.__name__}: {why}"
        )

    def __str__(self) -> str:
        return "head" if self.owner is None else str(self.owner)

    def __repr__(self) -> str:
        return f"<ListHead: {ring(self)}>"


def ring(start: Any, limit: int = 8) -> str:
    """Return the labels along `next` until a node repeats; `...` after `limit`."""
    path: list[Any] = [start]
    # A printed list may be broken at any place: what can be followed is shown.
    with suppress(RuntimeError, AttributeError):
        while path[-1] not in path[:-1]:
            if len(path) > limit + 1:
                path[-1:] = ["...", start]
                break
            path.append(path[-1].next)
    return " -> ".join(map(str, path))


class Poison(ListHead):
    """What a deleted entry's pointer holds: its use raises `PoisonedPointer`."""

    __slots__ = ("address", "name", "pointer")

    def __init__(self, name: str, address: int, pointer: str) -> None:
        self.name = name
        self.address = address
        self.pointer = pointer

    def _dereferenced(self) -> PoisonedPointer:
        return PoisonedPointer(
            f"{self} ({self.address:#x}) dereferenced: the entry it came from was "
            "deleted with list_del; use a _safe iteration, or read "
            f"{self.pointer} before deleting"
        )

    def __getattr__(self, name: str) -> object:
        # Only an unfilled slot ends up here, and a poison fills none of a node's.
        raise (
            self._dereferenced() if name in ListHead.__slots__ else AttributeError(name)
        )

    def __setattr__(self, name: str, value: object) -> None:
        if name in ListHead.__slots__:
            raise self._dereferenced()
        super().__setattr__(name, value)

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__


LIST_POISON1 = Poison("LIST_POISON1", 0xDEAD000000000100, "next")
LIST_POISON2 = Poison("LIST_POISON2", 0xDEAD000000000122, "prev")


def init_list_head(list: ListHead) -> None:
    """Make `list` an empty list, whatever it held."""
    list.next = list
    list.prev = list


def _list_add_valid(
    new: ListHead, prev: ListHead | None, next: ListHead | None
) -> None:
    """Raise `ListCorruption` unless `new` is free and `prev`, `next` are neighbours."""
    bad = "list_add corruption."
    if prev is None:
        raise ListCorruption(f"{bad} prev is NULL.")
    if next is None:
        raise ListCorruption(f"{bad} next is NULL.")
    if next.prev != prev:
        raise ListCorruption(
            f"{bad} next->prev should be prev ({prev}), "
            f"but was {next.prev}. (next={next})."
        )
    if prev.next != next:
        raise ListCorruption(
            f"{bad} prev->next should be next ({next}), "
            f"but was {prev.next}. (prev={prev})."
        )
    if new in (prev, next):
        raise ListCorruption(
            f"list_add double add: new={new}, prev={prev}, next={next}."
        )
    # The kernel stops here: to it, `new` may be memory that nobody has written yet.
    if new.next not in (None, new, LIST_POISON1) and new.next.prev == new:
        raise ListCorruption(
            f"list_add double add: new={new} is already on a list: {ring(new)}."
        )


def _list_add(new: ListHead, prev: ListHead, next: ListHead) -> None:
    """Insert `new` between two neighbours; the last write shows it to a walk."""
    _list_add_valid(new, prev, next)
    next.prev = new
    new.next = next
    new.prev = prev
    prev.next = new


def list_add(new: ListHead, head: ListHead) -> None:
    """Insert `new` after `head`: a stack's push."""
    _list_add(new, head, head.next)


def list_add_tail(new: ListHead, head: ListHead) -> None:
    """Insert `new` before `head`: a queue's put."""
    _list_add(new, head.prev, head)


def _list_del(prev: ListHead, next: ListHead) -> None:
    """Make two nodes neighbours; what was between them keeps its own pointers."""
    next.prev = prev
    prev.next = next


def _list_del_entry_valid(
    entry: ListHead, prev: ListHead | None, next: ListHead | None
) -> None:
    """Raise `ListCorruption` unless both neighbours of `entry` point back to it."""
    bad = "list_del corruption"
    if next is None:
        raise ListCorruption(f"{bad}, {entry}->next is NULL")
    if prev is None:
        raise ListCorruption(f"{bad}, {entry}->prev is NULL")
    if next == LIST_POISON1:
        raise ListCorruption(
            f"{bad}, {entry}->next is {next} ({LIST_POISON1.address:016x})"
        )
    if prev == LIST_POISON2:
        raise ListCorruption(
            f"{bad}, {entry}->prev is {prev} ({LIST_POISON2.address:016x})"
        )
    if prev.next != entry:
        raise ListCorruption(
            f"{bad}. prev->next should be {entry}, but was {prev.next}. (prev={prev})"
        )
    if next.prev != entry:
        raise ListCorruption(
            f"{bad}. next->prev should be {entry}, but was {next.prev}. (next={next})"
        )


def _list_del_entry(entry: ListHead) -> None:
    """Take `entry` out of its list and leave its own pointers as they were."""
    _list_del_entry_valid(entry, entry.prev, entry.next)
    _list_del(entry.prev, entry.next)


def list_del(entry: ListHead) -> None:
    """Take `entry` out of its list and poison it: it is not empty, it is nowhere."""
    _list_del_entry(entry)
    entry.next = LIST_POISON1
    entry.prev = LIST_POISON2


def list_del_init(entry: ListHead) -> None:
    """Take `entry` out of its list and make it an empty list."""
    _list_del_entry(entry)
    init_list_head(entry)


def list_del_init_careful(entry: ListHead) -> None:
    """Do `list_del_init`, `next` written last for `list_empty_careful` elsewhere."""
    _list_del_entry(entry)
    entry.prev = entry
    entry.next = entry


def list_is_head(list: ListHead, head: ListHead) -> bool:
    """Tell whether `list` is the head itself: where every loop ends."""
    return list == head


def list_is_first(list: ListHead, head: ListHead) -> bool:
    """Tell whether `list` is the first entry."""
    return list.prev == head


def list_is_last(list: ListHead, head: ListHead) -> bool:
    """Tell whether `list` is the last entry."""
    return list.next == head


def list_empty(head: ListHead) -> bool:
    """Tell whether a list has no entries."""
    return head.next == head


def list_empty_careful(head: ListHead) -> bool:
    """Tell whether a list is empty and no `list_del_init_careful` is half done."""
    next = head.next
    return list_is_head(next, head) and next == head.prev


def list_is_singular(head: ListHead) -> bool:
    """Tell whether a list has exactly one entry."""
    return not list_empty(head) and head.next == head.prev


def list_for_each(head: ListHead) -> Iterator[ListHead]:
    """Yield the nodes of a list; the body must leave the yielded one on it."""
    pos = head.next
    while not list_is_head(pos, head):
        yield pos
        pos = pos.next


def list_for_each_prev(head: ListHead) -> Iterator[ListHead]:
    """Yield the nodes backwards; the body must leave the yielded one on the list."""
    pos = head.prev
    while not list_is_head(pos, head):
        yield pos
        pos = pos.prev


def list_for_each_safe(head: ListHead) -> Iterator[ListHead]:
    """Yield the nodes of a list; the body may delete the yielded one, not the next."""
    pos = head.next
    while not list_is_head(pos, head):
        n = pos.next
        yield pos
        pos = n


def list_for_each_prev_safe(head: ListHead) -> Iterator[ListHead]:
    """Yield the nodes backwards; the body may delete the yielded one, not the next."""
    pos = head.prev
    while not list_is_head(pos, head):
        n = pos.prev
        yield pos
        pos = n


def list_count_nodes(head: ListHead) -> int:
    """Return the number of entries, by walking the list."""
    return sum(1 for _ in list_for_each(head))


def list_replace(old: ListHead, new: ListHead) -> None:
    """Put `new` in the place of `old`, which keeps its pointers unless it was empty."""
    new.next = old.next
    new.next.prev = new
    new.prev = old.prev
    new.prev.next = new


def list_replace_init(old: ListHead, new: ListHead) -> None:
    """Put `new` in the place of `old` and make `old` an empty list."""
    list_replace(old, new)
    init_list_head(old)


def list_swap(entry1: ListHead, entry2: ListHead) -> None:
    """Exchange the places of two different entries, of one list or of two."""
    pos = entry2.prev
    list_del(entry2)
    list_replace(entry1, entry2)
    if pos == entry1:
        pos = entry2
    list_add(entry1, pos)


def list_move(list: ListHead, head: ListHead) -> None:
    """Take `list` from wherever it is to the place after `head`."""
    _list_del_entry(list)
    list_add(list, head)


def list_move_tail(list: ListHead, head: ListHead) -> None:
    """Take `list` from wherever it is to the place before `head`."""
    _list_del_entry(list)
    list_add_tail(list, head)


def list_bulk_move_tail(head: ListHead, first: ListHead, last: ListHead) -> None:
    """Move the run from `first` to `last`, both included, to before `head`."""
    first.prev.next = last.next
    last.next.prev = first.prev
    head.prev.next = first
    first.prev = head.prev
    last.next = head
    head.prev = last


def list_rotate_left(head: ListHead) -> None:
    """Move the first entry to the end."""
    if not list_empty(head):
        list_move_tail(head.next, head)


def list_rotate_to_front(list: ListHead, head: ListHead) -> None:
    """Turn the ring until `list` is first: the head is what moves."""
    list_move_tail(head, list)


def _list_cut_position(list: ListHead, head: ListHead, entry: ListHead) -> None:
    """Close one ring around `list` up to `entry`, one around `head` with the rest."""
    new_first = entry.next
    list.next = head.next
    list.next.prev = list
    list.prev = entry
    entry.next = list
    head.next = new_first
    new_first.prev = head


def list_cut_position(list: ListHead, head: ListHead, entry: ListHead) -> None:
    """Move the entries up to and including `entry` to `list`, which is overwritten.

    With `head` as the entry `list` becomes empty; an empty `head` leaves all as it is.
    """
    if list_empty(head):
        return
    if list_is_singular(head) and not list_is_head(entry, head) and entry != head.next:
        return
    if list_is_head(entry, head):
        init_list_head(list)
    else:
        _list_cut_position(list, head, entry)


def list_cut_before(list: ListHead, head: ListHead, entry: ListHead) -> None:
    """Move the entries before `entry` to `list`, which is overwritten; `head`: all."""
    if head.next == entry:
        init_list_head(list)
        return
    list.next = head.next
    list.next.prev = list
    list.prev = entry.prev
    list.prev.next = list
    head.next = entry
    entry.prev = head


def _list_splice(list: ListHead, prev: ListHead, next: ListHead) -> None:
    """Insert the entries of `list` between neighbours; `list` itself is not written."""
    first = list.next
    last = list.prev
    first.prev = prev
    prev.next = first
    last.next = next
    next.prev = last


def list_splice(list: ListHead, head: ListHead) -> None:
    """Insert the entries of `list` after `head`; initialise `list` before reuse."""
    if not list_empty(list):
        _list_splice(list, head, head.next)


def list_splice_tail(list: ListHead, head: ListHead) -> None:
    """Insert the entries of `list` before `head`; initialise `list` before reuse."""
    if not list_empty(list):
        _list_splice(list, head.prev, head)


def list_splice_init(list: ListHead, head: ListHead) -> None:
    """Insert the entries of `list` after `head` and make `list` empty."""
    if not list_empty(list):
        _list_splice(list, head, head.next)
        init_list_head(list)


def list_splice_tail_init(list: ListHead, head: ListHead) -> None:
    """Insert the entries of `list` before `head` and make `list` empty."""
    if not list_empty(list):
        _list_splice(list, head.prev, head)
        init_list_head(list)


def container_of(ptr: ListHead, type: type[T], member: str) -> T:
    """Return the structure whose `member` is `ptr`: the node itself knows how."""
    return ptr.container_of(type, member)


def list_entry(ptr: ListHead, type: type[T], member: str) -> T:
    """Return the structure that a node is embedded in."""
    return container_of(ptr, type, member)


def list_entry_is_head(pos: object, head: ListHead, member: str) -> bool:
    """Tell whether the node of `pos` is the head itself."""
    return list_is_head(getattr(pos, member), head)


def list_first_entry(head: ListHead, type: type[T], member: str) -> T:
    """Return the first structure of a list that is not empty."""
    return list_entry(head.next, type, member)


def list_last_entry(head: ListHead, type: type[T], member: str) -> T:
    """Return the last structure of a list that is not empty."""
    return list_entry(head.prev, type, member)


def list_first_entry_or_null(head: ListHead, type: type[T], member: str) -> T | None:
    """Return the first structure, or None of an empty list."""
    pos = head.next
    return None if pos == head else list_entry(pos, type, member)


def list_next_entry(pos: T, member: str) -> T:
    """Return the structure after `pos`, which is not the last."""
    return list_entry(getattr(pos, member).next, type(pos), member)


def list_prev_entry(pos: T, member: str) -> T:
    """Return the structure before `pos`, which is not the first."""
    return list_entry(getattr(pos, member).prev, type(pos), member)


# In C each loop below takes the entry first, then tests for the head: there the entry
# of the head is an address that nobody reads. Here it is an error: the test is first.
def list_for_each_entry(head: ListHead, type: type[T], member: str) -> Iterator[T]:
    """Yield the structures of a list; the body must leave the yielded one on it."""
    for pos in list_for_each(head):
        yield list_entry(pos, type, member)


def list_for_each_entry_reverse(
    head: ListHead, type: type[T], member: str
) -> Iterator[T]:
    """Yield the structures backwards; the body must leave the yielded one on it."""
    for pos in list_for_each_prev(head):
        yield list_entry(pos, type, member)


def list_for_each_entry_safe(head: ListHead, type: type[T], member: str) -> Iterator[T]:
    """Yield the structures; the body may delete the yielded one, not the next."""
    for pos in list_for_each_safe(head):
        yield list_entry(pos, type, member)


def list_for_each_entry_from(pos: T, head: ListHead, member: str) -> Iterator[T]:
    """Yield `pos` and the structures after it; the body must leave the yielded one."""
    node: ListHead = getattr(pos, member)
    while not list_is_head(node, head):
        yield list_entry(node, type(pos), member)
        node = node.next


def list_for_each_entry_continue(pos: T, head: ListHead, member: str) -> Iterator[T]:
    """Yield the structures after `pos`; the body must leave the yielded one."""
    node: ListHead = getattr(pos, member).next
    while not list_is_head(node, head):
        yield list_entry(node, type(pos), member)
        node = node.next
