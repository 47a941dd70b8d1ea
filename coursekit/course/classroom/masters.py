"""What was handed out: the exercise as the course has it, by which a submission is read."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from coursekit.course.notebooks import catalogue
from coursekit.course.notebooks.cells import named
from coursekit.errors import ArgumentError


@dataclass(frozen=True)
class Asked:
    """One task of an exercise.

    Attributes:
        name: the task's name.
        points: what a correct answer is worth.
        answers: what its check is called with, as code, such as ("momentum",).
        names: the names that these need, such as {"momentum"}.
    """

    name: str
    points: float
    answers: tuple[str, ...]
    names: frozenset[str]


@dataclass(frozen=True)
class Master:
    """An exercise notebook as it is handed out, and its tasks in their order."""

    number: int
    name: str
    cells: tuple[NotebookNode, ...]
    tasks: tuple[Asked, ...]

    @property
    def max_points(self) -> float:
        """The points of all tasks."""
        return sum(task.points for task in self.tasks)


def exercises(root: Path) -> list[catalogue.Notebook]:
    """Return the exercises of the course; raise ArgumentError where they are not there."""
    found = [n for n in catalogue.built(root, ["exercises"]) if n.name[:2].isdecimal()]
    if not found:
        raise ArgumentError(
            f"expected the course's exercises in {root / 'exercises'}, found none; use a clone of "
            "the course, or build them: python3 -m coursekit build"
        )
    return found


@cache
def master(root: Path, number: int) -> Master:
    """Return exercise `number`; raise ArgumentError where there is none."""
    for notebook in exercises(root):
        if int(notebook.name[:2]) == number:
            return read(notebook.path)
    numbers = ", ".join(n.name[:2] for n in exercises(root))
    raise ArgumentError(f"There is no exercise {number:02}; there are {numbers}.")


def read(path: Path) -> Master:
    """Return the master in a built exercise notebook."""
    nb = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    tasks = [_asked(cell, name) for cell in nb.cells if (name := named(cell, "check")) is not None]
    return Master(int(path.stem[:2]), path.stem, tuple(nb.cells), tuple(tasks))


def _asked(cell: NotebookNode, name: str) -> Asked:
    call = ast.parse(cell.source.strip()).body[-1].value  # `ex.NAME(answer, ...)`
    answers = tuple(ast.unparse(answer) for answer in call.args)
    names = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)} - {"ex"}
    points = float(cell.metadata.get("nbgrader", {}).get("points", 1))
    return Asked(name, points, answers, frozenset(names))
