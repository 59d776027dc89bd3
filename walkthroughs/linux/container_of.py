"""The same list in real bytes: container_of.h and stddef.h of Linux v6.12.

| C                              | here                                      |
|--------------------------------|-------------------------------------------|
| `sizeof(type)`, `&x`           | `sizeof(type)`, `addressof(x)`            |
| `(type *)address`              | `at(address, type)`                       |
| `struct { int pid; }`          | `_fields_ = [("pid", ctypes.c_int)]`      |
| `kzalloc(sizeof(type))`        | `arena.new(type)`                         |

The functions of `list_head` work on these nodes too: they touch nothing but `next` and
`prev`.
"""

import ctypes
from collections.abc import Iterator
from ctypes import addressof, sizeof
from typing import Any, NamedTuple, TypeVar
from weakref import WeakSet

from walkthroughs.linux.list_head import LIST_POISON1, LIST_POISON2, Poison, ring

S = TypeVar("S", bound=ctypes.Structure)

POISONS = {poison.address: poison for poison in (LIST_POISON1, LIST_POISON2)}


class PageFault(RuntimeError):
    """An address was used that lies in no arena."""


class Field(NamedTuple):
    """A field of a structure; offset and size in bytes, a pointer's value as text."""

    offset: int
    size: int
    name: str
    raw: bytes
    value: Any


class Arena:
    """`size` zeroed bytes; keep the arena as long as anything in it is used."""

    def __init__(self, size: int = 1024) -> None:
        # The block lies elsewhere in each run; from a cache line on, offsets agree.
        self.memory = ctypes.create_string_buffer(size + 63)
        self.base = (addressof(self.memory) + 63) & ~63
        self.size = size
        self.used = 0
        self.structures: list[tuple[str, ctypes.Structure]] = []
        arenas.add(self)

    def new(self, type: type[S], /, name: str = "", **values: Any) -> S:
        """Return a structure at the next aligned free offset, or raise MemoryError."""
        offset = -(-self.used // ctypes.alignment(type)) * ctypes.alignment(type)
        if offset + sizeof(type) > self.size:
            raise MemoryError(
                f"no {sizeof(type)} bytes left at {offset} of {self.size}"
            )
        self.used = offset + sizeof(type)
        structure = at(self.base + offset, type)
        for member, value in values.items():
            setattr(structure, member, value)
        self.structures.append((name, structure))
        return structure

    def fields(self) -> Iterator[Field]:
        """Yield the fields of all structures, and of structures inside them."""
        for name, structure in self.structures:
            yield from self._fields(name or structure.__class__.__name__, structure)

    def _fields(self, name: str, structure: ctypes.Structure) -> Iterator[Field]:
        for field, *_ in structure._fields_:
            value, place = (
                getattr(structure, field),
                getattr(structure.__class__, field),
            )
            if isinstance(value, ctypes.Structure):
                yield from self._fields(f"{name}.{field}", value)
                continue
            if isinstance(structure, ListHead):
                field, value = field[1:], label(value)
            offset = addressof(structure) - self.base + place.offset
            raw = ctypes.string_at(self.base + offset, place.size)
            yield Field(offset, place.size, f"{name}.{field}", raw, value)


# A view does not keep alive the memory that it looks at, and Python gives freed memory
# to others: an address is good only while its arena lives.
arenas: WeakSet[Arena] = WeakSet()


def arena_of(address: int, size: int = 1) -> Arena | None:
    """Return the arena that all of `size` bytes at an address lie in."""
    return next((a for a in arenas if 0 <= address - a.base <= a.size - size), None)


def at(address: int, type: type[S]) -> S:
    """Return the `type` at an address, a cast; raise `PageFault` outside an arena."""
    if not arena_of(address, sizeof(type)):
        raise PageFault(f"no living arena holds a {type.__name__} at {address:#x}")
    return type.from_address(address)


def label(address: int) -> str:
    """Return an address as text for every run: a name, or an offset in an arena."""
    if address == 0 or address in POISONS:
        return str(POISONS.get(address, "NULL"))
    if not (arena := arena_of(address)):
        return f"{address:#x}"
    for name, structure in arena.structures:
        if name and 0 <= address - addressof(structure) < sizeof(structure):
            return name
    return f"+{address - arena.base:#x}"


def offsetof(type: type[ctypes.Structure], member: str) -> int:
    """Return the distance in bytes from the start of a structure to a member."""
    return getattr(type, member).offset


class ListHead(ctypes.Structure):
    """A view of `struct list_head`, two addresses; views of one address are equal."""

    _fields_ = (("_next", ctypes.c_size_t), ("_prev", ctypes.c_size_t))

    _next: int
    _prev: int

    @property
    def address(self) -> int:
        return addressof(self)

    @property
    def next(self) -> "ListHead | Poison | None":
        return dereference(self._next)

    @next.setter
    def next(self, node: "ListHead | Poison | None") -> None:
        self._next = node.address if node else 0

    @property
    def prev(self) -> "ListHead | Poison | None":
        return dereference(self._prev)

    @prev.setter
    def prev(self, node: "ListHead | Poison | None") -> None:
        self._prev = node.address if node else 0

    def container_of(self, type: type[S], member: str) -> S:
        """Return the `type` `offsetof` bytes before this node, whatever is there."""
        return at(self.address - offsetof(type, member), type)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ListHead) and self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __str__(self) -> str:
        return label(self.address)

    def __repr__(self) -> str:
        return f"<ListHead: {ring(self)}>"


def dereference(address: int) -> ListHead | Poison | None:
    """Return what is at an address: a node, a poison, or None for NULL."""
    return (POISONS.get(address) or at(address, ListHead)) if address else None


def container_of(ptr: ListHead, type: type[S], member: str) -> S:
    """Return the structure whose `member` is `ptr`: an address minus an offset."""
    return ptr.container_of(type, member)
