"""What every picture is made of: escaped elements, themed colours, and a frame that fits them.

A picture is drawn once, from a state it read when it was made. Its text form (`repr`) says the
same as its drawing, because a page verifies it and a screen reader speaks it.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from html import escape
from typing import NamedTuple

INK = "var(--pic-ink, #1f2937)"
QUIET = "var(--pic-quiet, #57606f)"
ACCENT = "var(--pic-accent, #7c3aed)"
ACCENT_2 = "var(--pic-accent-2, #0f766e)"
FILL = "var(--pic-fill, #f3f4f6)"
ALARM = "var(--pic-alarm, #b91c1c)"
LINE = "var(--pic-line, #c3c9d2)"

MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"
ADVANCE = 0.602  # the width of one monospaced character, in ems
MARGIN = 6

_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def speakable(text: object) -> str:
    """Return `text` without the characters that XML cannot hold."""
    return _UNSPEAKABLE.sub("\ufffd", str(text))


def clean(text: object) -> str:
    """Return `text` on one line, without the characters that XML cannot hold."""
    return " ".join(speakable(text).split())


def number(value: float) -> str:
    """Return `value` with at most one decimal, and no negative zero."""
    return f"{round(value, 1) + 0:.1f}".removesuffix(".0")


def tag(name: str, *children: str, **attributes: object) -> str:
    """Return one element; `stroke_width=1.5` becomes `stroke-width="1.5"`; children are markup."""
    opening = name
    for key, value in attributes.items():
        shown = number(value) if isinstance(value, float) else clean(value)
        opening += f' {key.strip("_").replace("_", "-")}="{escape(shown)}"'
    inside = "".join(children)
    return f"<{opening}>{inside}</{name}>" if inside else f"<{opening}/>"


def words(text: object, at: complex, size: float = 13, **attributes: object) -> str:
    """Return a line of monospaced text whose anchor is centred vertically on `at`."""
    look = {"fill": INK, "font_size": size, "font_family": MONO, "text_anchor": "middle"}
    place = {"x": float(at.real), "y": float(at.imag + size * 0.35)}
    return tag("text", escape(clean(text)), **(place | look | attributes))


def width_of(text: str, size: float = 13) -> float:
    """Return the width of monospaced `text` in pixels."""
    return len(text) * ADVANCE * size


def shorten(text: str, most: int) -> str:
    """Return `text` cut to `most` characters, an ellipsis in place of what is cut."""
    return text if len(text) <= most else text[: max(most - 1, 0)] + "…"


class Frame(NamedTuple):
    """The part of the plane that a drawing covers, in pixels; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, points: Iterable[complex]) -> "Frame":
        """Return the smallest frame that holds `points`."""
        xs, ys = zip(*((point.real, point.imag) for point in points), strict=True)
        return cls(min(xs), min(ys), max(xs), max(ys))

    @property
    def corners(self) -> tuple[complex, complex]:
        """The upper left and the lower right corner."""
        return complex(self.left, self.top), complex(self.right, self.bottom)

    def near(self, other: "Frame", gap: float) -> bool:
        """Tell whether two frames overlap, or are less than `gap` apart."""
        across = max(self.left, other.left) - min(self.right, other.right)
        down = max(self.top, other.top) - min(self.bottom, other.bottom)
        return max(across, down) < gap


class Picture(ABC):
    """A drawing with a `title` and a `desc` for those who cannot see it."""

    def __init__(self, title: str, desc: str) -> None:
        self.title = title
        self.desc = desc

    @abstractmethod
    def draw(self) -> tuple[list[str], Frame]:
        """Return the elements of the drawing and the frame around them."""

    def footer(self, frame: Frame) -> list[str]:
        """Return what stands at the lower edge, wherever that is: nothing unless overridden."""
        return []

    @cached_property
    def drawing(self) -> tuple[list[str], Frame]:
        """The elements and their frame, drawn once."""
        return self.draw()

    def html(self, frame: Frame) -> str:
        """Return the drawing in `frame` as a page shows it: as it is unless overridden."""
        return self.svg(frame)

    def svg(self, frame: Frame) -> str:
        """Return the drawing in `frame`, which the states of one strip share."""
        left, top = frame.left - MARGIN, frame.top - MARGIN
        width, height = frame.right + MARGIN - left, frame.bottom + MARGIN - top
        return tag(
            "svg",
            tag("title", escape(clean(self.title))),
            tag("desc", escape(clean(self.desc))),
            *self.drawing[0],
            *self.footer(frame),
            xmlns="http://www.w3.org/2000/svg",
            class_="picture",
            role="img",
            viewBox=" ".join(number(value) for value in (left, top, width, height)),
            width=float(width),
            height=float(height),
        )

    def _repr_svg_(self) -> str:
        return self.svg(self.drawing[1])


class WidePicture(Picture):
    """A picture that may be wider than a telephone: it is scrolled before its text is too small."""

    def html(self, frame: Frame) -> str:
        """Return the drawing in a region that a keyboard can scroll."""
        label, width = escape(clean(self.title)), frame.right - frame.left + 2 * MARGIN
        return (
            f'<div class="picture-wrap" tabindex="0" role="region" aria-label="{label}" '
            f'style="--pic-width: {number(width)}px">{self.svg(frame)}</div>'
        )

    def _repr_html_(self) -> str:
        return self.html(self.drawing[1])
