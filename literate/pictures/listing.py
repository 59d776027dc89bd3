"""Lines of a program, the one it stands at marked, and what can be seen from there."""

from collections.abc import Iterable, Mapping
from html import escape

from .svg import clean, speakable


class Listing:
    """Numbered lines with the `current` one marked, beside panes of rows under a name each."""

    def __init__(
        self,
        lines: Iterable[tuple[int, str]],
        current: int,
        panes: Mapping[str, Iterable[str]] | None = None,
        title: str = "",
    ) -> None:
        self.lines = [(number, straight(text)) for number, text in lines]
        self.current = current
        kept = {name: [straight(row) for row in rows] for name, rows in (panes or {}).items()}
        self.panes = {name: rows for name, rows in kept.items() if rows}
        self.title = title
        if self.lines and current not in dict(self.lines):
            raise ValueError(f"line {current} is none of {[number for number, _ in self.lines]}")

    def __repr__(self) -> str:
        code = [f"{self._mark(number)}{text}".rstrip() for number, text in self.lines]
        panes = [f"{name}: {'; '.join(rows)}" for name, rows in self.panes.items()]
        return "\n".join([*code, *panes])

    def _mark(self, number: int) -> str:
        return f"{'=>' if number == self.current else '  '}{number:4d}: "

    def _repr_html_(self) -> str:
        code = "\n".join(self._line(number, text) for number, text in self.lines)
        shown = [block("listing__code", self.title or "Source", code)] if code else []
        shown += [pane(name, rows) for name, rows in self.panes.items()]
        return "\n".join(['<div class="listing">', *shown, "</div>"])

    def _line(self, number: int, text: str) -> str:
        line = escape(f"{self._mark(number)}{text}".rstrip())
        return f"<mark>{line}</mark>" if number == self.current else line


def straight(text: str) -> str:
    """Return one line as it stands, its tabs as four columns."""
    return speakable(text).expandtabs(4).replace("\n", " ")


def pane(name: str, rows: list[str]) -> str:
    """Return rows under their name, as HTML."""
    title = f'<p class="listing__name">{escape(clean(name))}</p>'
    # An empty line would end the HTML within Markdown.
    shown = block("listing__rows", name, "\n".join(escape(row) or "&#160;" for row in rows))
    return f'<div class="listing__pane">{title}{shown}</div>'


def block(kind: str, label: str, text: str) -> str:
    """Return text as it stands; where it is wider than the page, a keyboard can scroll it."""
    where = f'tabindex="0" role="region" aria-label="{escape(clean(label))}"'
    return f'<pre class="{kind}" {where}>{text}</pre>'
