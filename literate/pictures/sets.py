"""Two sets as two regions that overlap: what went, what stayed, what came."""

from collections.abc import Iterable
from typing import Any

from .svg import ACCENT, FILL, QUIET, Frame, WidePicture, clean, shorten, tag, width_of, words

MOST = 8  # members of a part that are drawn; the text form has them all
LONGEST = 26  # characters of a member in the drawing
SIZE = 12
LINE_HEIGHT = 19.0
SIDE = 8.0  # from the edge of a region to its members
NARROW = 48.0  # a part without members
SHIFT = 9.0  # how far the right region stands below the left one


class Sets(WidePicture):
    """The members of two sets, in their order: in `left` alone, in both, in `right` alone.

    At most eight of each are drawn, the others are counted.
    """

    def __init__(
        self,
        left: Iterable[object],
        right: Iterable[object],
        title: str,
        names: tuple[str, str] = ("before", "after"),
    ) -> None:
        one, two = (list(dict.fromkeys(map(clean, members))) for members in (left, right))
        first, second = self.names = clean(names[0]), clean(names[1])
        self.parts = {
            f"only {first}": [member for member in one if member not in two],
            "both": [member for member in one if member in two],
            f"only {second}": [member for member in two if member not in one],
        }
        if len(self.parts) < 3:
            raise ValueError(f"both sets are called {first!r}")
        super().__init__(title, repr(self).replace("\n", "; "))

    def __repr__(self) -> str:
        lines = (f"{name}: {', '.join(part) or 'none'}" for name, part in self.parts.items())
        return "\n".join(lines)

    def draw(self) -> tuple[list[str], Frame]:
        """Return the regions and their names, and a column for each part."""
        columns = [shown(part) for part in self.parts.values()]
        heads = [self.names[0], "", self.names[1]]
        widths = [width([head, *column]) for head, column in zip(heads, columns, strict=True)]
        second, third, end = (sum(widths[:k]) for k in (1, 2, 3))
        height = max(1, *map(len, columns)) * LINE_HEIGHT + SHIFT + 14
        parts = [
            region(complex(second, SHIFT), end, height, fill=FILL, stroke=ACCENT),
            region(0j, third, height, fill="none", stroke=QUIET, stroke_dasharray="5 3"),
            words(heads[0], complex(SIDE, -11), SIZE, text_anchor="start"),
            words(heads[2], complex(end - SIDE, SHIFT - 11), SIZE, text_anchor="end"),
        ]
        for column, left, look in zip(columns, (0, second, third), LOOKS, strict=True):
            spot = complex(left + SIDE, SHIFT + 7 + LINE_HEIGHT / 2)
            parts += members(column, spot, look)
        return parts, Frame(0, -18, end, height + SHIFT)


LOOKS: list[dict[str, Any]] = [
    {"fill": QUIET, "text_decoration": "line-through"},
    {"fill": QUIET},
    {"fill": ACCENT, "font_weight": "bold"},
]


def shown(part: list[str]) -> list[str]:
    """Return the lines for a part: its first members, and how many more there are."""
    more = [f"and {len(part) - MOST} more"] if len(part) > MOST else []
    return [shorten(member, LONGEST) for member in part[:MOST]] + more


def width(lines: list[str]) -> float:
    """Return the width of a column of `lines`."""
    return max([NARROW, *(width_of(line, SIZE) + 2 * SIDE for line in lines)])


def region(corner: complex, right: float, height: float, **look: str) -> str:
    """Return a rounded rectangle from its upper left corner to `right`."""
    place = {"x": corner.real, "y": corner.imag, "width": right - corner.real, "height": height}
    return tag("rect", **place, rx=12, stroke_width=1.5, **look)


def members(column: list[str], spot: complex, look: dict[str, Any]) -> list[str]:
    """Return the lines of a column from `spot` down; the look is for members, not for a count."""
    parts: list[str] = []
    for k, line in enumerate(column):
        style = look if k < MOST else {"fill": QUIET}
        place = spot + complex(0, k * LINE_HEIGHT)
        parts.append(words(line, place, SIZE, text_anchor="start", **style))
    return parts
