"""Notebooks run headless, and the table of what they proved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from coursekit.base.files import write_whole
from coursekit.course.notebooks.build import OnCell
from coursekit.course.notebooks.catalogue import Notebook
from coursekit.course.notebooks.cells import tags
from coursekit.course.notebooks.execute import CELL_TIMEOUT, Outcome, checks, execute
from coursekit.datasets.registry import replaced
from coursekit.errors import NotebookError


@dataclass(frozen=True)
class Result:
    """What one notebook showed when it was run, with how many claims and checks it holds."""

    notebook: Notebook
    outcome: Outcome
    claims_in_all: int
    checks_passed: int
    checks_in_all: int


def run_all(
    notebooks: Sequence[Notebook],
    *,
    profile: str,
    console: Console,
    timeout: int = CELL_TIMEOUT,
    html: Path | None = None,
) -> list[Result]:
    """Run the notebooks one after the other, in memory, and return what each showed.

    The files stay as they are. One that fails is told at once, and the next one starts. `html`
    names a folder that takes each executed notebook as one page.
    """
    results = []
    with progress(console) as on_cell:
        for notebook in notebooks:
            result = _run(notebook, profile, timeout, html, on_cell)
            results.append(result)
            failure = result.outcome.failure
            console.print(f"{'failed' if failure else 'passed'}  {notebook.label}", markup=False)
            for sentence, holds, measured in result.outcome.proved:
                line = f"  {'✔' if holds else '✘'} {sentence}: {measured}"
                console.print(line, markup=False, soft_wrap=True)
            if failure:
                console.print(f"  {failure}", markup=False, soft_wrap=True)
    return results


def _run(
    notebook: Notebook, profile: str, timeout: int, html: Path | None, on_cell: OnCell
) -> Result:
    try:
        nb = nbformat.read(notebook.path, as_version=4)
    except (OSError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        outcome = Outcome(failure=f"the file is not a readable notebook ({reason}).")
        return Result(notebook, outcome, 0, 0, 0)
    outcome = execute(
        nb,
        profile=profile,
        grading=notebook.kind == "solutions",
        timeout=timeout,
        on_cell=lambda done, total: on_cell(notebook.label, done, total),
    )
    if html is not None:
        _keep_page(nb, html / (notebook.kind or "others") / f"{notebook.name}.html")
    passed = checks(nb, outcome)
    claims = sum("claim" in tags(cell) for cell in nb.cells if cell.cell_type == "code")
    return Result(notebook, outcome, claims, sum(passed.values()), len(passed))


def table(results: Sequence[Result]) -> Table:
    """Return the table that ends a run: one line for each notebook and the sums."""
    shown = Table(title="What was run, and what it proved")
    shown.add_column("notebook", overflow="fold")
    for title in ("seconds", "claims proved", "checks passed"):
        shown.add_column(title, justify="right")
    shown.add_column("data source", overflow="fold")
    shown.add_column("peak memory", justify="right")
    for result in results:
        outcome = result.outcome
        shown.add_row(
            result.notebook.label.removesuffix(".ipynb") + (" FAILED" if outcome.failure else ""),
            f"{outcome.seconds:.0f}",
            _of(outcome.claims, result.claims_in_all),
            _of(result.checks_passed, result.checks_in_all),
            _sources(outcome.data),
            "unknown" if outcome.peak_mb is None else f"{outcome.peak_mb:.0f} MB",
        )
    if len(results) > 1:
        peaks = [result.outcome.peak_mb or 0.0 for result in results]
        shown.add_section()
        shown.add_row(
            f"{len(results)} notebooks",
            f"{sum(result.outcome.seconds for result in results):.0f}",
            _of(sum(r.outcome.claims for r in results), sum(r.claims_in_all for r in results)),
            _of(sum(r.checks_passed for r in results), sum(r.checks_in_all for r in results)),
            "",
            f"at most {max(peaks):.0f} MB",
        )
    return shown


@contextmanager
def progress(console: Console) -> Iterator[OnCell]:
    """Show a bar for the notebook at hand, on a terminal; yield what tells it of each cell."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("cells"),
        TimeElapsedColumn(),
    )
    bars: dict[str, int] = {}
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:

        def on_cell(label: str, done: int, total: int) -> None:
            if label not in bars:
                for earlier in bars.values():
                    bar.remove_task(earlier)
                bars.clear()
                bars[label] = bar.add_task(label, total=total)
            bar.update(bars[label], completed=done)

        yield on_cell


def _of(count: int, total: int) -> str:
    if not total:
        return "–"
    return f"{count}" if count == total else f"{count} of {total}"


def _sources(data: dict[str, str]) -> str:
    """Return the data used, by source.

    >>> _sources({"mnist": "official", "digits": "embedded", "cifar10": "embedded"})
    'official mnist; embedded digits; stand-in for cifar10'
    """
    names: dict[str, list[str]] = {}
    for name, source in data.items():
        kind = "stand-in for" if name in replaced(data) else source
        names.setdefault(kind, []).append(name)
    return "; ".join(f"{source} {', '.join(each)}" for source, each in names.items()) or "–"


def _keep_page(nb: NotebookNode, path: Path) -> None:
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter(embed_images=True).from_notebook_node(nb)
    try:
        write_whole(path, page)
    except OSError as error:
        raise NotebookError(f"{path} cannot be written: {error.strerror}.") from error
