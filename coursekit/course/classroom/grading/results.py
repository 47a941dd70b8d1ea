"""What grading finds, as data: a row a task, kept in one file a submission."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

OUTCOMES = ("correct", "wrong", "crashed", "not attempted", "time", "tampering")


@dataclass
class Graded:
    """One task of one submission; `outcome` is one of OUTCOMES."""

    task: str
    outcome: str
    points: float
    max_points: float
    reason: str = ""
    where: str = ""
    printed: str = ""
    title: str = ""
    hints: list[str] = field(default_factory=list)


@dataclass
class Result:
    """One submission: `exercise` is its number, None where the file could not be read.

    `flags` are remarks for the instructor; `missing` the guards that did not hold.
    """

    learner: str
    file: str
    exercise: int | None
    tasks: list[Graded] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def points(self) -> float:
        """The points reached."""
        return sum(task.points for task in self.tasks)

    @property
    def max_points(self) -> float:
        """The points that could be reached."""
        return sum(task.max_points for task in self.tasks)

    def to_text(self) -> str:
        """Return the result as it is kept."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    @classmethod
    def from_text(cls, text: str) -> Result:
        """Return a kept result; raise ValueError, KeyError or TypeError for anything else."""
        kept: dict[str, Any] = json.loads(text)
        return cls(**kept | {"tasks": [Graded(**task) for task in kept["tasks"]]})


def grades_csv(results: Sequence[Result]) -> str:
    """Return the rows of `grades.csv`, one a task."""
    head = ("learner", "exercise", "task", "outcome", "points", "max_points", "reason")
    return _csv(head, [
        (r.learner, _number(r), t.task, t.outcome, f"{t.points:g}", f"{t.max_points:g}",
         _no_formula(" ".join(p for p in (t.reason, f"In {t.where}" if t.where else "") if p)))
        for r in results
        for t in r.tasks
    ])  # fmt: skip


def summary_csv(results: Sequence[Result]) -> str:
    """Return the rows of `summary.csv`, one a submission."""
    head = ("learner", "exercise", "points", "max_points", "flags")
    return _csv(head, [
        (r.learner, _number(r), f"{r.points:g}", f"{r.max_points:g}",
         _no_formula("; ".join(r.flags)))
        for r in results
    ])  # fmt: skip


def _number(result: Result) -> str:
    return "" if result.exercise is None else f"{result.exercise:02}"


def _no_formula(text: str) -> str:
    """Return a learner's words so that no spreadsheet takes them for a formula.

    >>> _no_formula("=1+1"), _no_formula("You give 3.")
    ("'=1+1", 'You give 3.')
    """
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _csv(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([" ".join(str(value).split()) for value in row] for row in rows)
    return out.getvalue()
