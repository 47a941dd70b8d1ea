"""`ck.exercise(N)`: the object that a learner's notebook talks to."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any

from coursekit.base.environment import graded
from coursekit.checks.engine import class_line, display
from coursekit.checks.engine.progress import ProgressStore, ProgressTable, progress_folder
from coursekit.checks.engine.runner import run
from coursekit.checks.engine.tasks import Task, TaskList, load
from coursekit.checks.engine.verdict import CORRECT, NotCorrectError, Verdict
from coursekit.errors import ArgumentError

_outcomes: dict[str, str] = {}


def passed() -> dict[str, str]:
    """Return the last outcome of every task checked in this process.

    Keys are `"NN.task"`, values "correct", "wrong", "crashed" or "not attempted"; the headless run
    counts with it.
    """
    return dict(_outcomes)


def exercise(number: int) -> Exercise:
    """Return the checks of exercise notebook `number`.

    >>> ex = exercise(9)
    >>> ex.hint("power")
    ➜ hint · power, 1 of 2
      ...

    Raises ArgumentError for a number that is no exercise; it lists those that are.
    """
    tasks = load(number)
    return Exercise(tasks, ProgressStore(tasks.number, progress_folder()))


class _UnknownTaskError(ArgumentError, AttributeError):
    """A name that is no task: an AttributeError too, so that `hasattr` and completion work."""


@dataclass(frozen=True)
class Hint:
    """One hint, or all of them once the last has been given."""

    task: str
    title: str
    lines: tuple[str, ...]

    def __repr__(self) -> str:
        head = f"{display.MARKS['hint']} hint · {self.title}"
        return "\n  ".join([head, *(display.plain(line) for line in self.lines)])

    def _repr_html_(self) -> str:
        return display.box("hint", self.title, self.lines)


class TaskCheck:
    """`ex.NAME`: call it with your answer."""

    def __init__(self, owner: Exercise, task: Task):
        self._owner, self._task = owner, task
        self.__doc__ = f"{task.title}: call with your answer, `ex.{task.name}(...)`."

    def __call__(self, *answers: Any) -> Verdict:
        """Check the answer and return the verdict, which a notebook shows by itself."""
        task = self._task
        expected = list(inspect.signature(task.check).parameters)
        if len(answers) != len(expected):
            raise ArgumentError(
                f"ex.{task.name}: expected {len(expected)} argument{'s' * (len(expected) > 1)}, "
                f"{task.name}({', '.join(expected)}), got {len(answers)}."
            )
        return self._owner._record(run(task, answers))

    def __repr__(self) -> str:
        return f"<check {self._task.name}: {self._task.title}; call it with your answer>"


class Exercise:
    """The checks, hints and progress of one exercise notebook.

    `ex.NAME(answer)` checks, `ex.hint("NAME")` helps, `ex.progress()` shows what is done,
    `dir(ex)` lists the tasks. With COURSEKIT_GRADING=1, and where nbgrader
    executes, a check raises unless the answer is correct.
    """

    def __init__(self, tasks: TaskList, store: ProgressStore):
        self._tasks, self._store = tasks, store
        self._hints_given: dict[str, int] = {}

    def __getattr__(self, name: str) -> TaskCheck:
        if name.startswith("_"):
            raise AttributeError(name)
        return TaskCheck(self, self._find(name))

    def __dir__(self) -> list[str]:
        return ["hint", "progress", "is_correct", *(task.name for task in self._tasks)]

    def hint(self, name: str) -> Hint:
        """Return the next hint for a task; after the last one, all of them.

        Raises ArgumentError for an unknown task and TypeError for anything but its name.
        """
        if not isinstance(name, str):
            raise TypeError(f"hint: expected the task's name in quotes, got {type(name).__name__}.")
        task = self._find(name)
        given = self._hints_given.get(name, 0)
        self._hints_given[name] = given + 1
        total = len(task.hints)
        if given >= total:
            lines = tuple(f"{i}. {text}" for i, text in enumerate(task.hints, 1))
            return Hint(name, f"{name}: no more hints; here are all {total}", lines)
        return Hint(name, f"{name}, {given + 1} of {total}", (task.hints[given],))

    def progress(self) -> ProgressTable:
        """Return the table of tasks, done or open, kept across restarts."""
        return ProgressTable.of(self._tasks, self._store)

    def is_correct(self, name: str) -> bool:
        """Return whether the task's last check in this session said "correct".

        Raises ArgumentError for an unknown task.
        """
        return _outcomes.get(self._key(self._find(name).name)) == CORRECT

    def __repr__(self) -> str:
        return repr(self.progress())

    def _repr_html_(self) -> str:
        return self.progress()._repr_html_()

    def _key(self, name: str) -> str:
        return f"{self._tasks.number:02}.{name}"

    def _find(self, name: str) -> Task:
        try:
            return self._tasks[name]
        except ArgumentError as unknown:
            raise _UnknownTaskError(str(unknown)) from None

    def _record(self, verdict: Verdict) -> Verdict:
        _outcomes[self._key(verdict.task)] = verdict.outcome
        self._store.record(verdict.task, verdict.outcome)
        told = class_line.tell(self._tasks.number, verdict)
        if graded() and not verdict:
            raise NotCorrectError(repr(verdict))
        return replace(verdict, notes=(*self._store.notes(), *told))
