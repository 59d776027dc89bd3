"""What the press costs, beside what the same work costs without it.

- An example: a page of 1,000 trivial examples through a worker, against `exec` of the same 1,000
  statements in this process; the difference, start of the worker included, is the press's own.
- A chapter: its source and examples through the press, against the same as a notebook through
  nbclient; beside them, what the press takes for all that it verifies (exercises and mutations).
- A rebuild: after an edit of prose, and after an edit of one page, which pages run again.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from literate.kernel import execute
from literate.notebook import notebook
from literate.page import Break, Exercise, Page
from literate.project import Project
from literate.run import press, press_all, read

EXAMPLES = 1000
ROUNDS = 5


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def best(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the least of several measurements: the one with the least noise in it."""
    return min(timed(work) for _ in range(rounds))


def toy(root: Path, count: int) -> Project:
    """Make a project of two pages with `count` examples each."""
    (root / "chapters" / "toy").mkdir(parents=True)
    (root / "notes" / "toy").mkdir(parents=True)
    settings = '[tool.literate]\nmodules = "chapters"\n'
    (root / "pyproject.toml").write_text(settings)
    for name in ("one", "two"):
        (root / "chapters" / "toy" / f"{name}.py").write_text("def double(x):\n    return 2 * x\n")
        head = f"---\ntitle: {name}\nmodule: chapters.toy.{name}\n---\n\nProse.\n\n"
        body = "".join(f">>> double({n})\n{2 * n}\n" for n in range(count))
        page = f"{head}```source double\n```\n\n```pycon\n{body}```\n"
        (root / "notes" / "toy" / f"{name}.md").write_text(page)
    return Project.find(root)


def cost_per_example() -> None:
    """Print what an example costs in the press, beyond its own time."""
    with tempfile.TemporaryDirectory() as folder:
        project = toy(Path(folder), EXAMPLES)
        page = read(project.pages()[0], project)
        pressed = best(lambda: press(page, project, cache=False))
        empty = toy(Path(folder) / "empty", 1)
        start = best(lambda: press(read(empty.pages()[0], empty), empty, cache=False))
    code = [compile(f"repr(double({n}))", "x", "exec") for n in range(EXAMPLES)]
    namespace: dict[str, object] = {"double": lambda x: 2 * x}

    def bare() -> None:
        for each in code:
            exec(each, namespace)

    own = best(bare)
    print(f"an example, {EXAMPLES} of them on a page")
    print(f"  the example itself          {own / EXAMPLES * 1e3:8.4f} ms")
    print(f"  the press's own             {(pressed - own) / EXAMPLES * 1e3:8.4f} ms (limit 1)")
    print(f"  of which starting the page  {start / EXAMPLES * 1e3:8.4f} ms")


def chapter_against_nbclient() -> None:
    """Print how much faster a chapter runs in the press than as a notebook."""
    project = Project.find()
    print("a chapter                     press   nbclient   ratio (at least 10)   all verified")
    for path in project.pages():
        page, name = read(path, project), project.slug(path)
        if lacking := set(press(page, project).skipped.values()):
            print(f"  {name:<24} not measured: {', '.join(lacking)}")
            continue
        a, b = press_and_nbclient(page, project)
        whole = timed(lambda page=page: press(page, project, cache=False))
        print(f"  {name:<24} {a:6.2f} s {b:8.2f} s {b / a:6.1f} {whole:27.2f} s")


def press_and_nbclient(page: Page, project: Project) -> tuple[float, float]:
    """Return the seconds that a page's source and examples take in the press, and in Jupyter."""
    same = tuple(each for each in page.blocks if not isinstance(each, Exercise | Break))
    page = replace(page, blocks=same)
    made = notebook(press(page, project, cache=False), project)
    ours: list[float] = []
    theirs: list[float] = []
    # Turn about, so that a slow moment of the machine meets both.
    for _ in range(ROUNDS):
        ours.append(timed(lambda: press(page, project, cache=False)))
        theirs.append(timed(lambda: execute(made, project)))
    return statistics.median(ours), statistics.median(theirs)


def rebuilds() -> None:
    """Print which pages run again after an edit."""
    with tempfile.TemporaryDirectory() as folder:
        project = toy(Path(folder), 10)
        one, _ = project.pages()
        cold = timed(lambda: press_all(project.pages(), project))
        one.write_text(one.read_text().replace("Prose.", "More prose.\n\nAnd more."))
        warm = timed(lambda: press_all(project.pages(), project))
        print(f"a rebuild after editing prose: {ran(project)}; {cold / warm:.0f} times as fast")
        one.write_text(one.read_text().replace("double(3)\n6", "double(4)\n8"))
        print(f"a rebuild after editing one page: {ran(project)}")
        shutil.rmtree(project.root / ".cache")


def ran(project: Project) -> str:
    """Press every page; say which of them ran."""
    names = [each.page.title for each in press_all(project.pages(), project) if not each.cached]
    return f"runs {', '.join(names) or 'nothing'}"


def main() -> None:
    """Run all."""
    cost_per_example()
    chapter_against_nbclient()
    rebuilds()
