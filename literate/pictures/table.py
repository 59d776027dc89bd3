"""A table that a keyboard can scroll and a terminal can print."""

from collections.abc import Iterable, Sequence
from html import escape

from .svg import clean

Cell = str | int | float


class Table:
    """Rows under the names in `head`; numbers are set to the right."""

    def __init__(self, head: Sequence[str], rows: Iterable[Sequence[Cell]], title: str) -> None:
        self.head = list(head)
        self.rows = [list(row) for row in rows]
        self.title = title
        for row in self.rows:
            if len(row) != len(self.head):
                raise ValueError(f"{len(row)} cells for {len(self.head)} columns: {row}")
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.head)
        self.numeric = [bool(column) and all(map(is_number, column)) for column in columns]

    def __repr__(self) -> str:
        lines = [[clean(cell) for cell in row] for row in [self.head, *self.rows]]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        lines.insert(1, ["-" * width for width in widths])
        return "\n".join(self._line(line, widths).rstrip() for line in lines)

    def _line(self, cells: list[str], widths: list[int]) -> str:
        columns = zip(cells, widths, self.numeric, strict=True)
        return "  ".join(c.rjust(w) if right else c.ljust(w) for c, w, right in columns)

    def _repr_html_(self) -> str:
        title = escape(clean(self.title))
        head = self._row(self.head, "th", ' scope="col"')
        body = "\n".join(self._row(row, "td", "") for row in self.rows)
        return (
            f'<div class="table-wrap" tabindex="0" role="region" aria-label="{title}">\n'
            f"<table>\n<caption>{title}</caption>\n"
            f"<thead>\n{head}\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
        )

    def _row(self, cells: Sequence[Cell], name: str, extra: str) -> str:
        shown: list[str] = []
        for cell, right in zip(cells, self.numeric, strict=True):
            look = ' style="text-align: right"' if right else ""
            shown.append(f"<{name}{extra}{look}>{escape(clean(cell))}</{name}>")
        return f"<tr>{''.join(shown)}</tr>"


def is_number(cell: Cell) -> bool:
    """Tell whether a cell is a number, which a truth value is not."""
    return isinstance(cell, int | float) and not isinstance(cell, bool)
