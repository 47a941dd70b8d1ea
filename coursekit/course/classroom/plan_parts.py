"""The hand-written part of a plan, `sources/plans/NN.toml`: what only someone who taught it knows.

    practise   tasks of the exercise for the end of the lesson
    mistakes   reasons of its checks, each as "task: how the reason begins"
    live       sentences on what goes wrong in front of a class
    late       what to skip, in this order: `section`, and what to do `instead`
    question   for each "predict first" words that it `asks` and the `usual` answers

All keys may be left out; a test names what no longer fits the lesson.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursekit.checks.engine.tasks import TaskList
from coursekit.course.classroom.outline import Experiment, Outline
from coursekit.errors import CourseError

FOLDER = "sources/plans"
MISTAKES = 5
_KEYS = {"practise", "mistakes", "live", "late", "question"}


@dataclass(frozen=True)
class Late:
    """A section that may be skipped, and what to do instead."""

    section: str
    instead: str


@dataclass(frozen=True)
class Question:
    """Words by which a question is known, and the answers that usually come."""

    asks: str
    usual: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """All that is written by hand for one lesson; a lesson without a file has an empty one."""

    practise: tuple[str, ...] = ()
    mistakes: tuple[str, ...] = ()
    live: tuple[str, ...] = ()
    late: tuple[Late, ...] = ()
    questions: tuple[Question, ...] = ()

    def usual(self, question: str) -> tuple[str, ...]:
        """Return the usual answers to a question of the lesson."""
        known = [each for each in self.questions if _flat(each.asks) in _flat(question)]
        return known[0].usual if known else ()


def read(root: Path, number: int) -> Part:
    """Return the part of one lesson.

    Raises CourseError for a file that is not TOML or holds other keys than those above.
    """
    path = root / FOLDER / f"{number:02}.toml"
    if not path.exists():
        return Part()
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        unknown = set(found) - _KEYS
        if unknown:
            raise ValueError(f"unknown key {sorted(unknown)[0]!r}")
        return Part(
            *(tuple(found.get(key, ())) for key in ("practise", "mistakes", "live")),
            late=tuple(Late(**each) for each in found.get("late", ())),
            questions=tuple(
                Question(each["asks"], tuple(each["usual"])) for each in found.get("question", ())
            ),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise CourseError(
            f"{FOLDER}/{path.name} cannot be used ({error}); "
            f"it takes the keys {', '.join(sorted(_KEYS))}."
        ) from error


def mistakes(part: Part, tasks: TaskList | None) -> list[tuple[str, str]]:
    """Return five reasons as (task, reason), word for word from the checks.

    First those that the part names, then the first ones of each task in turn.
    """
    if tasks is None:
        return []
    table = {task.name: list(task.mistakes) for task in tasks}
    named = [found for each in part.mistakes if (found := _reason(each, table))]
    longest = max(map(len, table.values()), default=0)
    others = [
        (task, reasons[place])
        for place in range(longest)
        for task, reasons in table.items()
        if place < len(reasons)
    ]
    return list(dict.fromkeys([*named, *others]))[:MISTAKES]


def unfit(part: Part, lesson: Outline, tasks: TaskList | None) -> Iterator[str]:
    """Yield what of a part no longer fits its lesson and exercise, and what is missing in it."""
    for late in part.late:
        if lesson.section(late.section) is None:
            yield f"there is no section {late.section!r} any more"
    asked = [_flat(each.question) for each in questions(lesson)]
    for question in part.questions:
        hits = sum(_flat(question.asks) in each for each in asked)
        if hits != 1:
            yield f"{hits} questions of the lesson have the words {question.asks!r}; expected 1"
    for each in asked if part.questions else ():
        if not part.usual(each):
            yield f"the question {each[:60]!r} has no usual answers"
    table = {task.name: list(task.mistakes) for task in tasks or ()}
    for name in part.practise:
        if name not in table:
            yield f"the exercise has no task {name!r}"
    for each in part.mistakes:
        if _reason(each, table) is None:
            yield f"no check has the reason {each!r}"


def questions(lesson: Outline) -> list[Experiment]:
    """Return the experiments of a lesson that begin with a question."""
    return [each for section in lesson.sections for each in section.experiments if each.question]


def _reason(wanted: str, table: dict[str, list[str]]) -> tuple[str, str] | None:
    task, _, begins = wanted.partition(": ")
    hits = [reason for reason in table.get(task, ()) if reason.startswith(begins)]
    return (task, hits[0]) if len(hits) == 1 else None


def _flat(text: str) -> str:
    return " ".join(text.split()).lower()
