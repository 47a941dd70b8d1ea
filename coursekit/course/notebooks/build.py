"""Sources built into notebooks, exercises and solutions, and the check that all are in step.

A notebook is written only where its source asks for another one, and run only where its code has
changed: mending a sentence keeps the outputs. A build that fails leaves the old file as it was.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from coursekit.base.files import write_whole
from coursekit.course.notebooks import convert, form, prose, rules
from coursekit.course.notebooks.catalogue import Notebook, built, choose, from_sources, source_of
from coursekit.course.notebooks.cells import named, tags, texts, where
from coursekit.course.notebooks.execute import CELL_TIMEOUT, checks, execute
from coursekit.errors import NotebookError

PROFILE = "standard"  # what stored notebooks are built with
_ADDED = ("profile", "data", "seconds", "peak_mb", "outputs")  # to metadata.coursekit by a run
_LONG = 2.0  # seconds: a cell that takes longer is noted with its time
_NOISE = 0.25  # a measurement that moves by less than this share of itself stays as it was
OnCell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Built:
    """One line of a build's report: `action` is "up to date", "refreshed" or "run"."""

    notebook: Notebook
    action: str
    seconds: float = 0.0
    data: tuple[tuple[str, str], ...] = ()


def build_source(
    root: Path,
    source: str,
    *,
    profile: str = PROFILE,
    force: bool = False,
    timeout: int = CELL_TIMEOUT,
    on_cell: OnCell | None = None,
) -> list[Built]:
    """Build what one source (a path relative to `root`) asks for.

    An exercise and its solution are written together or not at all. Raises NotebookError, naming
    notebook and cell, where the source breaks a rule or the run is not fit to be stored.
    """
    wanted = _wanted(root, source)
    if not force and not any(_findings(notebook, nb, profile) for notebook, nb in wanted):
        return [Built(notebook, "up to date") for notebook, _ in wanted]
    _refuse(source, _rules_broken(wanted))
    ready, report = [], []
    for notebook, nb in wanted:
        keep = notebook.kind == "exercises" or (not force and _take_outputs(notebook, nb, profile))
        if keep:
            line = Built(notebook, "refreshed")
        else:
            line = _run(notebook, nb, profile, timeout, on_cell)
        form.fill_minutes(nb)
        _refuse(notebook.label, rules.output_findings(nb, (str(root),)))
        text = convert.to_text(nb)
        _refuse(notebook.label, _size(text))
        ready.append((notebook.path, text))
        report.append(line)
    for path, text in ready:
        _write(path, text)
    return report


def check(root: Path, wanted: Sequence[str] = ()) -> list[str]:
    """Return what is out of step between sources and built notebooks, without running any."""
    asked = from_sources(root)
    orphans = [notebook for notebook in built(root) if notebook not in asked]
    chosen = choose(wanted, [*asked, *orphans])
    found = [
        f"{notebook.label}: has no source {source_of(notebook)}; delete it."
        for notebook in chosen
        if notebook in orphans
    ]
    for source in dict.fromkeys(source_of(notebook) for notebook in chosen if notebook in asked):
        try:
            targets = _wanted(root, source)
        except NotebookError as error:
            found.append(str(error))
            continue
        found += [f"{source}: {finding}" for finding in _rules_broken(targets)]
        for notebook, nb in targets:
            if notebook in chosen:
                found += [f"{notebook.label}: {finding}" for finding in _findings(notebook, nb)]
    return found


def _wanted(root: Path, source: str) -> list[tuple[Notebook, NotebookNode]]:
    path = root / source
    text = path.read_text(encoding="utf-8")
    figures = root / "sources" / "figures"
    if path.parent.name == "notebooks":
        made = {"notebooks": convert.lesson(text, source, figures)}
    else:
        exercise, solution = convert.pair(text, source, figures)
        made = {"exercises": exercise, "solutions": solution}
    return [
        (Notebook(kind, path.stem, root / kind / f"{path.stem}.ipynb"), nb)
        for kind, nb in made.items()
    ]


def _rules_broken(wanted: list[tuple[Notebook, NotebookNode]]) -> list[str]:
    notebook, nb = wanted[-1]  # the lesson, or the solution: what the author has written
    return rules.source_findings(nb, notebook.kind)


def _run(
    notebook: Notebook, nb: NotebookNode, profile: str, timeout: int, on_cell: OnCell | None
) -> Built:
    def tell(done: int, total: int) -> None:
        if on_cell is not None:
            on_cell(notebook.label, done, total)

    outcome = execute(nb, profile=profile, timeout=timeout, on_cell=tell)
    _refuse(notebook.label, [outcome.failure] if outcome.failure else [])
    missed = [name for name, correct in checks(nb, outcome).items() if not correct]
    _refuse(notebook.label, [_missed(nb, name) for name in missed])
    rules.tidy_outputs(nb)
    nb.metadata.language_info = NotebookNode(name="python")
    before = _measured(notebook)
    nb.metadata.coursekit |= {
        "profile": profile,
        "data": dict(sorted(outcome.data.items())),
        "seconds": {
            cell: _settled(before["seconds"].get(cell), round(s, 1))
            for cell, s in outcome.cells.items()
            if s > _LONG
        },
        "peak_mb": _settled(before["peak_mb"], round(outcome.peak_mb)),
        "outputs": convert.digest_of_outputs(nb),
    }
    return Built(notebook, "run", outcome.seconds, tuple(sorted(outcome.data.items())))


def _measured(notebook: Notebook) -> dict[str, Any]:
    try:
        note = _read(notebook.path).metadata.get("coursekit", {})
    except NotebookError:
        note = {}
    return {"seconds": {}, "peak_mb": None} | note


def _settled(before: float | None, now: float) -> float:
    """Return the measurement to store: only one that moved is worth a change of the file.

    >>> _settled(55, 54), _settled(40.0, 61.5), _settled(None, 3.2)
    (55, 61.5, 3.2)
    """
    return now if before is None or abs(now - before) > _NOISE * before else before


def _missed(nb: NotebookNode, name: str) -> str:
    cell = next(cell for cell in nb.cells if named(cell, "check") == name)
    said = " ".join(text for output in cell.outputs for text in texts(output)[-1:]).strip()
    return f"the solution of {name} does not pass its check: {said or 'nothing was checked'}"


def _take_outputs(notebook: Notebook, nb: NotebookNode, profile: str) -> bool:
    """Put the stored outputs into `nb` where its code is the code they came from."""
    try:
        old = _read(notebook.path)
    except NotebookError:
        return False
    note = old.metadata.get("coursekit", {})
    code = [[cell for cell in each.cells if cell.cell_type == "code"] for each in (old, nb)]
    same = [[(cell.source, _own_tags(cell)) for cell in cells] for cells in code]
    fit = note.get("outputs") == convert.digest_of_outputs(old) and not rules.output_findings(old)
    if not fit or note.get("profile") != profile or same[0] != same[1]:
        return False
    if not prose.refill(nb.cells, old.cells):
        return False
    for before, after in zip(*code, strict=True):
        after.outputs, after.execution_count = before.outputs, before.execution_count
    nb.metadata.coursekit |= {key: note[key] for key in _ADDED if key in note}
    return True


def _own_tags(cell: NotebookNode) -> list[str]:
    return [tag for tag in tags(cell) if tag != form.HIDDEN]


def _findings(notebook: Notebook, nb: NotebookNode, profile: str = PROFILE) -> list[str]:
    """Return how the stored notebook differs from `nb`, which its source asks for."""
    try:
        stored = _read(notebook.path)
    except NotebookError as error:
        return [str(error)]
    note = stored.metadata.get("coursekit", {})
    source = nb.metadata.coursekit.source
    found = []
    if note.get("sha256") != nb.metadata.coursekit.sha256:
        found.append(f"{source} has changed since it was built.")
    found += _differences(stored, nb, source)
    if notebook.kind == "exercises":
        if any(cell.get("outputs") or cell.get("execution_count") for cell in stored.cells):
            found.append("an exercise must hold no outputs.")
    elif not any(cell.get("execution_count") for cell in stored.cells):
        found.append("has no outputs: it was never run, or they were taken out.")
    elif note.get("outputs") != convert.digest_of_outputs(stored):
        found.append("its outputs were changed by hand.")
    elif note.get("profile") != profile:
        found.append(f"was built with the profile {note.get('profile')}, expected {profile}.")
    found += rules.output_findings(stored)
    return found + _size(notebook.path.read_text(encoding="utf-8"))


def _differences(stored: NotebookNode, nb: NotebookNode, source: str) -> Iterator[str]:
    mine = {cell.id: cell for cell in stored.cells}
    theirs = {cell.id for cell in nb.cells}
    for index, cell in enumerate(stored.cells):
        if cell.id not in theirs:
            yield f"{where(stored, index)}: is not in {source}."
    for index, cell in enumerate(nb.cells):
        here, other = where(nb, index), mine.get(cell.id)
        if other is None:
            yield f"{here}: is in {source} only."
        elif (other.cell_type, prose.written(other)) != (cell.cell_type, cell.source):
            yield f"{here}: its text differs from {source}."
        elif prose.finding(other):
            yield f"{here}: {prose.finding(other)}"
        elif tags(other) != tags(cell):
            yield f"{here}: its tags are {tags(other)}, in {source} {tags(cell)}."
        elif {**other.metadata, "coursekit": None} != {**cell.metadata, "coursekit": None}:
            yield f"{here}: its metadata differs from what {source} asks for."
    common = [cell.id for cell in nb.cells if cell.id in mine]
    if [cell.id for cell in stored.cells if cell.id in theirs] != common:
        yield f"its cells stand in another order than in {source}."
    if _settings(stored) != _settings(nb):
        yield f"its notebook metadata differs from what {source} asks for."


def _settings(nb: NotebookNode) -> dict:
    settings = copy.deepcopy(dict(nb.metadata))
    note = settings.pop("coursekit", {})
    return settings | {"source": note.get("source")}


def _read(path: Path) -> NotebookNode:
    if not path.exists():
        raise NotebookError(f"is missing; run: python -m coursekit build {path.stem}")
    try:
        nb = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(nb)
    except (ValueError, nbformat.ValidationError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise NotebookError(f"is not a valid notebook ({reason}).") from error
    return nb


def _size(text: str) -> list[str]:
    size = len(text.encode())
    if size <= rules.MAX_BYTES:
        return []
    return [f"takes {size / 1000:.0f} KB; at most {rules.MAX_BYTES / 1000:.0f} KB are allowed."]


def _refuse(label: str, findings: list[str]) -> None:
    if findings:
        more = f" ({len(findings) - 1} more.)" if len(findings) > 1 else ""
        raise NotebookError(f"{label}: {findings[0]}{more}")


def _write(path: Path, text: str) -> None:
    """Write a notebook as a whole; what an earlier, killed build left half-done goes."""
    try:
        for leftover in path.parent.glob(f".{path.name}.*.part"):
            leftover.unlink()
        write_whole(path, text)
    except OSError as error:
        raise NotebookError(f"{path} cannot be written: {error.strerror}.") from error
