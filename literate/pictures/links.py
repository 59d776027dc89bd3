"""The pointers of live nodes, read once: what a ring shows, in drawn and in written form.

| name    | meaning                                                            |
|---------|--------------------------------------------------------------------|
| node    | any object with the two named attributes; compared with `==`       |
| next    | the first of the names, whatever it is called                      |
| prev    | the second                                                         |
| drawn   | a node of the picture, known by its index from here on             |
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

Label = Callable[[Any], str]

MOST = 16


class Pointer(NamedTuple):
    """One attribute of one drawn node: `target` is None where it leaves the picture."""

    source: int
    name: str
    target: int | None
    text: str
    marked: bool = False


class Unreadable(NamedTuple):
    """Stands for an attribute whose reading raised an error of this name."""

    error: str

    def __str__(self) -> str:
        return self.error


def read(node: object, name: str) -> Any:
    """Return the attribute, or `Unreadable`."""
    try:
        return getattr(node, name)
    except Exception as error:  # a poisoned pointer may raise anything
        return Unreadable(type(error).__name__)


def is_node(value: object, names: Sequence[str]) -> bool:
    """Tell whether any of the named attributes can be read from `value`."""
    return not all(isinstance(read(value, name), Unreadable) for name in names)


def named(value: object, label: Label) -> str:
    """Return the label of `value`, its `str` where `label` is not made for it."""
    try:
        return label(value)
    except Exception:  # None, a poison: a label meant for nodes may raise anything
        return str(value)


def reach(heads: Iterable[object], names: Sequence[str]) -> list[object]:
    """Return each head and the nodes that follow it, at most `MOST` per head, none twice."""
    nodes: list[object] = []
    for head in heads:
        node, room = head, MOST
        while room and node not in nodes and (node is head or is_node(node, names)):
            nodes.append(node)
            node, room = read(node, names[0]), room - 1
    return nodes


class Links:
    """The pointers between some nodes, as they were when this was made."""

    def __init__(
        self,
        heads: Sequence[object],
        nodes: Iterable[object] | None,
        names: tuple[str, str],
        label: Label,
        marked: Iterable[object],
    ) -> None:
        known = reach(heads, names) if nodes is None else list(nodes)
        known = [head for head in heads if head not in known] + known
        marks = list(marked)
        self.names = names
        self.labels = [named(node, label) for node in known]
        self.heads = [known.index(head) for head in heads]
        self.marked = [node in marks for node in known]
        self.pointers: dict[tuple[int, str], Pointer] = {}
        for source, node in enumerate(known):
            for name in names:
                value = read(node, name)
                target = known.index(value) if value in known else None
                pointer = Pointer(source, name, target, named(value, label), (node, name) in marks)
                self.pointers[source, name] = pointer

    def groups(self) -> list[list[int]]:
        """Return the drawn nodes in order, each head starting a group."""
        groups: list[list[int]] = [[]]
        for node in range(len(self.labels)):
            if node in self.heads and groups[-1]:
                groups.append([])
            groups[-1].append(node)
        return groups

    def chain(self, head: int, name: str) -> list[Pointer]:
        """Return the pointers met from `head` until a node comes again or one is not drawn."""
        node: int | None = head
        seen: dict[int, Pointer] = {}
        while node is not None and node not in seen:
            seen[node] = self.pointers[node, name]
            node = seen[node].target
        return list(seen.values())

    def describe(self) -> str:
        """Return the chains from each head, then each pointer that they do not imply."""
        chains: list[str] = []
        told: list[Pointer] = []
        for head in self.heads:
            forward, backward = (self.chain(head, name) for name in self.names)
            text = self._text(forward)
            if not mirrored(forward, backward):
                text += f" | {self.names[1]}: {self._text(backward)}"
            chains.append(text)
            told += forward + backward
        rest = ", ".join(
            f"{self.labels[pointer.source]}.{pointer.name} = {pointer.text}"
            for pointer in self.pointers.values()
            if pointer not in told and not self.implied(pointer, told)
        )
        return "; ".join(chains) + (f" | {rest}" if rest else "")

    def implied(self, pointer: Pointer, told: list[Pointer]) -> bool:
        """Tell whether `pointer` is a `prev` that leads back where a `next` in `told` came from."""
        first, second = self.names
        if pointer.name != second or pointer.target is None:
            return False
        forth = self.pointers[pointer.target, first]
        return forth in told and forth.target == pointer.source

    def _text(self, chain: list[Pointer]) -> str:
        return " -> ".join([self.labels[chain[0].source], *(pointer.text for pointer in chain)])


def mirrored(forward: list[Pointer], backward: list[Pointer]) -> bool:
    """Tell whether each step of one chain is a step of the other, taken back."""
    steps = [(pointer.source, pointer.target) for pointer in forward]
    return steps == [(pointer.target, pointer.source) for pointer in reversed(backward)]
