"""Executing a notebook in a kernel of its own, as a reader's Jupyter would.

`differences` holds what it shows then against the page.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterator
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from literate import doctests
from literate.doctests import Outcome
from literate.notebook import cells
from literate.pressed import Json, Pressed
from literate.problems import mismatch
from literate.process import environment
from literate.project import Project

LIMIT = 120
"""Seconds that one cell may take."""


def execute(made: NotebookNode, project: Project) -> None:
    """Run every cell and keep its outputs; raise nbclient's error for one that should not fail."""
    with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        # Over sockets in the file system: no port is opened, and no warning printed about one.
        sockets = {"transport": "ipc", "ip": f"{folder}/kernel"}
        manager: Any = AsyncKernelManager(kernel_name="python3", **sockets)
        resources = {"metadata": {"path": folder}}
        client: Any = NotebookClient(made, km=manager, timeout=LIMIT, resources=resources)
        env = environment() | {"IPYTHONDIR": folder, "PYTHONPATH": str(project.root)}
        asyncio.run(client.async_execute(env=env, cleanup_kc=True))


def told(outputs: list[Json]) -> tuple[str, set[str]]:
    """Return what a cell's outputs say, as a terminal would show it, and their MIME types."""
    text, kinds = "", set[str]()
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] == "stdout":
            text += "".join(output["text"])
        elif output["output_type"] in ("execute_result", "display_data"):
            text += "".join(output["data"].get("text/plain", "")) + "\n"
            kinds |= set(output["data"]) - {"text/plain"}
    return text, kinds


def raised(outputs: list[Json]) -> tuple[str, str] | None:
    """Return name and message of the exception that a cell ended with."""
    for output in outputs:
        if output["output_type"] == "error":
            name, message = output["ename"], output["evalue"]
            if name == "SyntaxError":  # Jupyter adds its place
                message = message.rpartition(" (")[0] or message
            return name, message
        # It prints groups instead of showing them.
        said = "".join(output.get("text", "")) if output.get("name") == "stderr" else ""
        if found := re.search(r"\| (\w*ExceptionGroup): (.*)", said):
            return found[1], found[2]
        # And what was raised out of one.
        if found := re.search(r"\ATraceback (?s:.*)\n(\w+): (.*)\n\Z", said):
            return found[1], found[2]
    return None


def differences(
    executed: NotebookNode, pressed: Pressed, project: Project
) -> Iterator[tuple[int, str]]:
    """Hold an executed notebook against its page; yield page line and report where they differ."""
    for cell, node in zip(cells(pressed, project), executed.cells, strict=True):
        if node.cell_type != "code":
            continue
        got, kinds = told(node.outputs)
        if cell.outcome is not None:
            yield from _against(cell.outcome, got, kinds, raised(node.outputs))
        elif got != (cell.said and cell.said + "\n"):
            yield 1, mismatch(cell.said, got)


def _against(
    outcome: Outcome, got: str, kinds: set[str], error: tuple[str, str] | None
) -> Iterator[tuple[int, str]]:
    example = doctests.parse(doctests.prompted(outcome.source) + outcome.want)[0]
    if error:
        # Jupyter gives the type without its module: the page's own last line has it.
        kind = (example.exc_msg or "").partition(":")[0].strip()
        same = kind.rpartition(".")[2] == error[0]
        shown = ": ".join(filter(None, [kind if same else error[0], error[1]]))
        got = f"{doctests.TRACEBACK}    ...\n{shown}\n"
    if not doctests.judge(example, got):
        yield outcome.line, mismatch(outcome.want, got)
    if kinds != set(outcome.rich):
        yield outcome.line, mismatch(str(sorted(outcome.rich)), str(sorted(kinds)))
