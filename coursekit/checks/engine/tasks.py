"""What an exercise asks: its tasks, each with a check and hints, and how they are found.

A module `exNN_name.py` in this package holds one `TASKS = TaskList(NN, "Title")`; the decorator
`@TASKS.task(...)` makes a task of a check. Adding a module is all it takes to add an exercise.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from coursekit.base.numbers import whole_number
from coursekit.errors import ArgumentError

Check = Callable[..., None]
_MODULE = re.compile(r"ex(\d\d)_\w+")  # helpers of one exercise: _exNN_name.py
_TAKEN = frozenset({"hint", "progress", "is_correct"})


@dataclass(frozen=True)
class Task:
    """One thing to do.

    Attributes:
        name: as in `ex.NAME(...)` and in the tags `task:NAME` and `check:NAME`.
        title: a few words.
        check: a pure function of the answer or answers; raises `Wrong(reason)` or returns.
        hints: from a nudge to nearly the answer.
        seconds: after this time an answer is stopped.
        given: methods of a class that the notebook gives; the others being stubs it is untouched.
        mistakes: reason → an answer that makes this mistake, on which the reason is tested.
        right: an answer known to be right, a tuple where the task wants several; or None.
        model_answer: shown with "correct": what a good answer in words would have said.
    """

    name: str
    title: str
    check: Check
    hints: tuple[str, ...]
    seconds: float = 60.0
    given: tuple[str, ...] = ()
    mistakes: Mapping[str, Any] = field(default_factory=dict)
    right: Any = None
    model_answer: str = ""


class TaskList:
    """The tasks of one exercise, in the order of the notebook.

    >>> tasks = TaskList(99, "Counting")
    >>> @tasks.task("The number after two", hints=("Count on your fingers.",))
    ... def after_two(answer):
    ...     if answer != 3:
    ...         raise ValueError("not right")
    >>> [task.name for task in tasks]
    ['after_two']
    """

    def __init__(self, number: int, title: str):
        self.number, self.title = number, title
        self._tasks: dict[str, Task] = {}

    def task(self, title: str, *, hints: tuple[str, ...], **settings: Any) -> Callable:
        """Make a task of the decorated check; its name is the function's (see `Task`).

        Raises ArgumentError for a name that is taken and for missing hints.
        """

        def decorate(check: Check) -> Check:
            name = check.__name__
            if name in self._tasks or name in _TAKEN or name.startswith("_"):
                raise ArgumentError(f"task {name!r} of exercise {self.number}: the name is taken.")
            if isinstance(hints, str) or not hints:
                raise ArgumentError(f"task {name!r}: expected a tuple of hints, got {hints!r}.")
            self._tasks[name] = Task(name, title, check, tuple(hints), **settings)
            return check

        return decorate

    def __iter__(self) -> Any:
        return iter(self._tasks.values())

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __getitem__(self, name: str) -> Task:
        if name not in self._tasks:
            raise ArgumentError(
                f"Exercise {self.number:02} has no task {name!r}; its tasks are "
                f"{', '.join(self._tasks)}."
            )
        return self._tasks[name]


@cache
def _modules() -> dict[int, str]:
    package = importlib.import_module("coursekit.checks")
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return {int(m[1]): m[0] for name in names if (m := _MODULE.fullmatch(name))}


def numbers() -> list[int]:
    """Return the numbers of all exercises.

    >>> 9 in numbers()
    True
    """
    return sorted(_modules())


def load(number: int) -> TaskList:
    """Return the tasks of exercise `number`.

    >>> load(9).title
    'Learning-rate schedules'

    Raises ArgumentError for a number that is no exercise, TypeError for what is no whole number.
    """
    wanted = whole_number("exercise", number, least=0)
    if wanted not in _modules():
        there = ", ".join(f"{n} ({_tasks_of(n).title})" for n in numbers())
        raise ArgumentError(f"There is no exercise {wanted}; there are {there}.")
    return _tasks_of(wanted)


def _tasks_of(number: int) -> TaskList:
    return importlib.import_module(f"coursekit.checks.{_modules()[number]}").TASKS
