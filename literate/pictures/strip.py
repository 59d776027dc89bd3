"""A sequence of states with a caption each, all of them visible until a script steps through."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any

from .svg import Frame, Picture, clean


class Strip:
    """States as `(picture, caption)` pairs under a title; `` `code` `` in a caption is code."""

    def __init__(self, states: Iterable[tuple[Any, str]], title: str) -> None:
        self.states = list(states)
        self.title = title

    def __repr__(self) -> str:
        return "\n".join([self.title, *(f"  {clean(caption)}" for _, caption in self.states)])

    def html(self) -> str:
        """Return the states as a group of HTML figures."""
        frame = shared_frame(picture for picture, _ in self.states)
        figures = "\n".join(figure(*state, frame) for state in self.states)
        label = escape(clean(self.title))
        return f'<div class="strip" role="group" aria-label="{label}">\n{figures}\n</div>'

    def _repr_html_(self) -> str:
        return self.html()


def shared_frame(pictures: Iterable[Any]) -> Frame:
    """Return a frame that holds each picture, so that nothing moves from state to state."""
    frames = [picture.drawing[1] for picture in pictures if isinstance(picture, Picture)]
    return Frame.around(
        corner for frame in frames or [Frame(0, 0, 0, 0)] for corner in frame.corners
    )


def figure(picture: Any, caption: str, frame: Frame) -> str:
    """Return one state as an HTML figure."""
    shown = f"<figcaption>{code(caption)}</figcaption>"
    return f'<figure class="strip__state">{markup(picture, frame)}{shown}</figure>'


def markup(picture: Any, frame: Frame) -> str:
    """Return the picture in `frame`, or the SVG or HTML that any other object shows itself by."""
    if isinstance(picture, Picture):
        return picture.html(frame)
    show = getattr(picture, "_repr_svg_", None) or picture._repr_html_
    return show()


def code(caption: str) -> str:
    """Return the caption as HTML, what stands between backticks marked as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(clean(caption)))
