"""Pointer writes, one by one: what a list operation does, recorded while it runs."""

from collections.abc import Callable, Iterable, Iterator
from html import escape
from itertools import zip_longest
from types import TracebackType
from typing import Any, NamedTuple

from .links import named
from .ring import Ring
from .strip import Strip


class Write(NamedTuple):
    """One assignment, in labels: `node.name = value`."""

    node: str
    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.node}.{self.name} = {self.value}"


class Writes:
    """Records each write of the named attributes on instances of `cls` inside a `with` block.

    Given nodes, records the writes on them alone and a ring of them after each; they stand on
    the circle in their order, and each of `heads` (the first node unless given) starts a circle.
    """

    def __init__(
        self,
        cls: type,
        *nodes: object,
        names: tuple[str, str] = ("next", "prev"),
        label: Callable[[Any], str] = str,
        heads: Iterable[object] = (),
    ) -> None:
        self.cls: Any = cls
        self.nodes = nodes
        self.names = names
        self.label = label
        self.heads = tuple(heads) or nodes[:1]
        self.writes: list[Write] = []
        self.rings: list[Ring] = []

    def __enter__(self) -> "Writes":
        self.writes, self.rings = [], []
        self._own = self.cls.__dict__.get("__setattr__")
        original = self.cls.__setattr__
        self._picture("Before")

        def record(node: object, name: str, value: object) -> None:
            original(node, name, value)
            if name in self.names and (not self.nodes or node in self.nodes):
                self._record(node, name, value)

        self.cls.__setattr__ = record
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._own is None:
            del self.cls.__setattr__
        else:
            self.cls.__setattr__ = self._own

    def _record(self, node: object, name: str, value: object) -> None:
        write = Write(named(node, self.label), name, named(value, self.label))
        self.writes.append(write)
        self._picture(f"After {write}", (node, name))

    def _picture(self, title: str, *marked: object) -> None:
        if self.nodes:
            first, second = self.names
            ring = Ring(
                *self.heads,
                title=title,
                marked=marked,
                next=first,
                prev=second,
                label=self.label,
                nodes=self.nodes,
            )
            self.rings.append(ring)

    def __len__(self) -> int:
        return len(self.writes)

    def __iter__(self) -> Iterator[Write]:
        return iter(self.writes)

    def __repr__(self) -> str:
        return "\n".join(f"{k}. {write}" for k, write in enumerate(self.writes, 1))

    def strip(self, *captions: str, title: str = "Pointer writes") -> Strip:
        """Return the states as a strip, a caption added to the line of each write in turn."""
        if not self.nodes:
            raise ValueError("no nodes were given to draw")
        if len(captions) > len(self):
            raise ValueError(f"{len(captions)} captions for {len(self)} writes")
        lines = ["before"]
        for k, (write, caption) in enumerate(zip_longest(self, captions, fillvalue=""), 1):
            lines.append(f"{k}. `{write}`" + (f": {caption}" if caption else ""))
        return Strip(zip(self.rings, lines, strict=True), title)

    def _repr_html_(self) -> str:
        return self.strip().html() if self.nodes else f"<pre>{escape(repr(self))}</pre>"
