"""A page and what came of running it: what every maker of documents works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from literate.doctests import Outcome
from literate.ledger import Entry
from literate.page import Page
from literate.problems import Problem

Json = dict[str, Any]


@dataclass
class Pressed:
    """A page and what came of running it."""

    page: Page
    entry: Entry
    results: dict[int, Json] = field(default_factory=dict[int, Json])
    """By the index of the block: what the worker answered; mutants under "caught"."""
    skipped: dict[int, str] = field(default_factory=dict[int, str])
    """By the index of the block: why it did not run on this machine."""
    problems: list[Problem] = field(default_factory=list[Problem])
    files: list[str] = field(default_factory=list[str])
    """The project's files that the page depends on."""
    seconds: float = 0.0
    cached: bool = False

    @property
    def examples(self) -> list[Outcome]:
        """Every example that ran, in order."""
        answers = [result.get("outcomes", []) for _, result in sorted(self.results.items())]
        return [Outcome(**each) for outcomes in answers for each in outcomes]

    def outcomes(self, index: int) -> list[Outcome]:
        """What each example of the block at `index` did."""
        return [Outcome(**each) for each in self.results.get(index, {}).get("outcomes", [])]
