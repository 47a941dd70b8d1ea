"""Sources to notebooks: py:percent text in, notebook objects without outputs out. Nothing is run.

    # %% [markdown]
    # # A heading
    # %% tags=["claim"]
    assert 1 + 1 == 2, "text of the claim"
    # %% tags=["task:power"]
    def power(step): ...              # with its solution between the two marks of nbgrader
    # %% tags=["check:power"] points=2
    ex.power(power)

A text cell of an exercise holds its model answer between the same marks, each in a line of its own
as `<!-- ### BEGIN SOLUTION -->`; nbgrader takes it for an answer that a human reads, of 0 points.

A cell may carry `tags`, `id` (to name it for good) and, with a check, `points` (default 1).
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
from nbformat import NotebookNode, v4

from coursekit.course.notebooks import form
from coursekit.course.notebooks.cells import named, where
from coursekit.errors import NotebookError

STUB = "...  # your code here"
_BEGIN = "### BEGIN SOLUTION"
TEXT_STUB = "*Your answer:*"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
_CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ALLOWED = {"tags", "id", "points", "editable", "jupyter"}
_LAYOUT = ("lines_to_next_cell", "lines_to_end_of_cell_marker", "cell_marker")  # jupytext's own


def digest(text: str) -> str:
    r"""Return the SHA-256 of a source, the same for every kind of line ending.

    >>> digest("a\r\nb") == digest("a\nb")
    True
    """
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()


def digest_of_outputs(nb: NotebookNode) -> str:
    """Return the SHA-256 of everything that executing a notebook wrote into it."""
    written = [
        (cell.get("execution_count"), cell.get("outputs")) for cell in nb.cells if "outputs" in cell
    ]
    return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()


def to_text(nb: NotebookNode) -> str:
    """Return a notebook as it is stored: valid, keys sorted, indented, a newline at the end."""
    nbformat.validate(nb)
    return nbformat.writes(nb).rstrip("\n") + "\n"


def lesson(text: str, source: str, figures: Path | None = None) -> NotebookNode:
    """Return a lesson without outputs; `source` is its path in the repository.

    `figures` is the folder with the drawings that its text points to. Raises NotebookError for a
    cell that carries unknown settings or an unfit id, and for a drawing that is not there.
    """
    return _notebook(text, source, figures)


def pair(text: str, source: str, figures: Path | None = None) -> tuple[NotebookNode, NotebookNode]:
    """Return the exercise and the solution, both without outputs, that a master copy holds.

    The exercise is what nbgrader's ClearSolutions and ClearHiddenTests make of the master; both
    carry nbgrader's metadata. Raises NotebookError for regions that do not open and close in turn.
    """
    solution = _notebook(text, source, figures)
    for cell in solution.cells:
        _add_grading(cell)
    return _without_solutions(solution, source), solution


def _notebook(text: str, source: str, figures: Path | None) -> NotebookNode:
    jupytext = _authors_tool("jupytext")
    try:
        read = jupytext.reads(text, fmt="py:percent")
    except nbformat.ValidationError as error:
        raise NotebookError(
            f"{source}: a cell has unfit settings ({str(error).splitlines()[0]}); "
            'expected tags such as tags=["claim"], none of them twice.'
        ) from error
    nb = v4.new_notebook(
        metadata={
            "kernelspec": dict(KERNEL),
            "language_info": {"name": "python"},
            "coursekit": {"source": source, "sha256": digest(text)},
        }
    )
    for cell in read.cells:
        new = v4.new_code_cell if cell.cell_type == "code" else v4.new_markdown_cell
        metadata = {key: value for key, value in cell.metadata.items() if key not in _LAYOUT}
        nb.cells.append(new(cell.source))
        problem = _unfit(cell.cell_type, metadata)
        if problem:
            raise NotebookError(f"{source}, {where(nb, len(nb.cells) - 1)}: {problem}")
        nb.cells[-1].metadata.update(copy.deepcopy(metadata))
    _give_ids(nb, source)
    for index, cell in enumerate(nb.cells):
        if cell.cell_type == "code":
            form.fold(cell)
        elif figures is not None:
            try:
                form.embed_figures(cell, figures)
            except NotebookError as error:
                raise NotebookError(f"{source}, {where(nb, index)}: {error}") from None
    return nb


def _unfit(cell_type: str, settings: dict[str, Any]) -> str | None:
    unknown = sorted(set(settings) - _ALLOWED)
    if cell_type not in ("code", "markdown"):
        return f"expected a code or [markdown] cell, got {cell_type!r}."
    if unknown:
        return f"unknown cell setting {unknown[0]!r}; a cell takes {', '.join(sorted(_ALLOWED))}."
    tags = settings.get("tags", [])
    points = settings.get("points", 1)
    if isinstance(points, bool) or not isinstance(points, int | float) or points <= 0:
        return f"expected points above 0, got {points!r}."
    if "points" in settings and not any(tag.startswith("check:") for tag in tags):
        return "only a check cell has points."
    return None


def _give_ids(nb: NotebookNode, source: str) -> None:
    """Set ids that depend on a cell alone: editing one cell leaves those of all others as they are.

    A task or check is known by its name, any other cell by its text; equal cells are counted.
    """
    taken: set[str] = set()
    for index, cell in enumerate(nb.cells):
        explicit = cell.metadata.pop("id", None)
        if explicit is not None:
            if not _CELL_ID.fullmatch(str(explicit)) or explicit in taken:
                raise NotebookError(
                    f"{source}, {where(nb, index)}: the id {explicit!r} is taken or unfit; "
                    "expected 1 to 64 letters, digits, - or _ that no other cell has."
                )
            cell.id = explicit
            taken.add(explicit)
        else:
            cell.id = ""
    for cell in nb.cells:
        count = 0
        while not cell.id:
            candidate = _own_id(cell, PurePosixPath(source).stem, count)
            cell.id = "" if candidate in taken else candidate
            count += 1
        taken.add(cell.id)


def _own_id(cell: NotebookNode, notebook: str, count: int) -> str:
    for prefix in ("task", "check"):
        name = named(cell, prefix)
        if name and count == 0 and _CELL_ID.fullmatch(f"{prefix}-{name}"):
            return f"{prefix}-{name}"
    content = "\0".join((notebook, cell.cell_type, cell.source, str(count)))
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _add_grading(cell: NotebookNode) -> None:
    points = cell.metadata.pop("points", 1)
    task, check = named(cell, "task"), named(cell, "check")
    written = cell.cell_type == "markdown" and _BEGIN in cell.source
    if written:
        points, name = 0, f"answer_{cell.id}"  # for a human to read
    elif task is None and check is None:
        return
    else:
        name = f"task_{task}" if task is not None else f"check_{check}"
    cell.metadata["nbgrader"] = NotebookNode(
        cell_type=cell.cell_type,
        grade=written or check is not None,
        grade_id=name,
        locked=check is not None,
        schema_version=3,
        solution=written or task is not None,
        task=False,
    )
    if cell.metadata.nbgrader.grade:
        cell.metadata.nbgrader["points"] = points


def _without_solutions(solution: NotebookNode, source: str) -> NotebookNode:
    _authors_tool("nbgrader")
    from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions, ComputeChecksums

    exercise = copy.deepcopy(solution)
    # Regions in a cell without its tag are for `rules` to tell, which knows cells by their place.
    stubs = {"code_stub": {"python": STUB}, "text_stub": TEXT_STUB}
    solutions = ClearSolutions(**stubs, enforce_metadata=False)
    tests = ClearHiddenTests(enforce_metadata=False)
    for step in (solutions, tests, ComputeChecksums()):
        try:
            exercise, _ = step.preprocess(exercise, {})
        except RuntimeError as error:
            raise NotebookError(f"{source}: {str(error).rstrip('.')}.") from error
    return exercise


def _authors_tool(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotebookError(
            f'Building notebooks needs {name}; install it with: pip install -e ".[test]"'
        ) from error
