"""A circular doubly linked list, drawn from its live nodes.

Every arrow is an attribute that was read: `next` solid and outside, clockwise where the list is
whole; `prev` dashed and inside. A pointer to something that is not drawn ends in a stub.
"""

from cmath import exp
from collections.abc import Callable, Iterable
from typing import Any

from .curves import Box, Point, arrow, path
from .layout import Sheet, circle, side_by_side
from .links import Links, Pointer
from .svg import (
    ACCENT,
    ACCENT_2,
    ALARM,
    FILL,
    INK,
    QUIET,
    Frame,
    Picture,
    clean,
    shorten,
    tag,
    width_of,
    words,
)

LONGEST = 14  # characters of a label in the drawing; the text form has them all
SMALL = 11
UP = -1j
LEGEND = 24.0  # its height
SWATCH = 32.0  # its sample arrow
SPACE = 16.0  # between its two entries


class Ring(Picture):
    """The state of one circular list, or of several, at the moment this was made.

    Follows `next` from each head to at most 16 nodes, unless `nodes` says which to draw and in
    which order; `marked` nodes and `(node, attribute)` pairs stand out.
    """

    def __init__(
        self,
        head: object,
        *heads: object,
        title: str | None = None,
        marked: Iterable[object] = (),
        next: str = "next",
        prev: str = "prev",
        label: Callable[[Any], str] = str,
        nodes: Iterable[object] | None = None,
    ) -> None:
        self.links = Links((head, *heads), nodes, (next, prev), label, marked)
        names = [self.links.labels[node] for node in self.links.heads]
        super().__init__(clean(title or f"List at {' and '.join(names)}"), self.links.describe())

    def __repr__(self) -> str:
        return f"Ring: {self.desc}"

    def draw(self) -> tuple[list[str], Frame]:
        """Return boxes, arrows and stubs, the ways of the outer arrows chosen first."""
        return RingDrawing(self.links).finish()

    def footer(self, frame: Frame) -> list[str]:
        """Return the legend: how the two attributes are drawn."""
        parts: list[str] = []
        spot = complex((frame.left + frame.right - legend_width(self.links)) / 2, frame.bottom - 5)
        for name in self.links.names:
            look = style(Pointer(0, name, 0, ""), self.links)
            parts += arrow([spot, spot + SWATCH - 6], **look)
            parts.append(words(name, spot + SWATCH, SMALL, fill=QUIET, text_anchor="start"))
            spot += SWATCH + width_of(name, SMALL) + SPACE
        return parts


def legend_width(links: Links) -> float:
    """Return the width of the legend."""
    return sum(SWATCH + width_of(name, SMALL) for name in links.names) + SPACE


def style(pointer: Pointer, links: Links) -> dict[str, Any]:
    """Return how a pointer's line looks: its attribute gives colour and dashes."""
    look: dict[str, Any] = {"colour": INK, "stroke_width": 1.5}
    if pointer.name == links.names[1]:
        look |= {"colour": ACCENT_2, "stroke_dasharray": "5 3"}
    if pointer.marked:
        look |= {"colour": ACCENT, "stroke_width": 2.5}
    return look


class RingDrawing:
    """A ring on its way to the page: boxes have their places, then pointers find their ways."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.outward: list[Point] = []
        boxes: list[Box] = []
        labels = [shorten(clean(label), LONGEST) for label in links.labels]
        circles = [circle([labels[node] for node in group]) for group in links.groups()]
        for ring, centre in zip(circles, side_by_side(circles), strict=True):
            self.outward += [box.centre / abs(box.centre) if box.centre else UP for box in ring]
            boxes += [box._replace(centre=box.centre + centre) for box in ring]
        for head in links.heads:
            boxes[head] = boxes[head]._replace(radius=boxes[head].height / 2)
        self.sheet = Sheet(boxes)
        self.parts = [self.node(k, box, labels[k]) for k, box in enumerate(boxes)]

    def finish(self) -> tuple[list[str], Frame]:
        """Draw the pointers, the free-standing stubs last, and return all with a frame."""
        first, second = self.links.names
        order = sorted(
            self.links.pointers.values(),
            key=lambda pointer: (pointer.target is None, pointer.name == second),
        )
        for pointer in order:
            self.parts += self.pointer(pointer, 1 if pointer.name == first else -1)
        left, top, right, bottom = self.sheet.frame()
        spare = max(0, legend_width(self.links) - (right - left)) / 2
        return self.parts, Frame(left - spare, top, right + spare, bottom + LEGEND)

    def node(self, node: int, box: Box, label: str) -> str:
        """Return a node's box: filled, but for a head (with round ends), which carries nothing."""
        look: dict[str, Any] = {"fill": FILL, "rx": box.radius, "stroke": INK, "stroke_width": 1.5}
        if node in self.links.heads:
            look["fill"] = "none"
        if self.links.marked[node]:
            look |= {"stroke": ACCENT, "stroke_width": 2.5}
        corner = box.corners[0]
        place = {"x": corner.real, "y": corner.imag, "width": box.width, "height": box.height}
        return tag("rect", **place, **look) + words(label, box.centre)

    def pointer(self, pointer: Pointer, turn: int) -> list[str]:
        """Return the arrow of one pointer; `turn` is 1 for the outer way, -1 for the inner."""
        look = style(pointer, self.links)
        outward = self.outward[pointer.source]
        if pointer.target is None:
            return self.stub(pointer, outward * exp(0.45j * turn), look)
        if pointer.target == pointer.source:
            return arrow(self.sheet.loop(pointer.source, outward * turn, turn), **look)
        shared = self.links.pointers[pointer.target, pointer.name].target == pointer.source
        return arrow(self.sheet.join(pointer.source, pointer.target, shared=shared), **look)

    def stub(self, pointer: Pointer, direction: Point, look: dict[str, Any]) -> list[str]:
        """Return a line that ends at a bar, and beyond it what the pointer holds."""
        text = shorten(clean(pointer.text), LONGEST + 6)
        line, label = self.sheet.stub(pointer.source, direction, width_of(text, SMALL))
        bar = (line[1] - line[0]) / abs(line[1] - line[0]) * 5j
        return [
            path(line, stroke=look.pop("colour"), **look),
            path([line[1] - bar, line[1] + bar], stroke=ALARM, stroke_width=2),
            words(text, label, SMALL, fill=ALARM),
        ]
