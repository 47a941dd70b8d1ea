"""A task that asks for a function, as one table: the right one, cases, edges, named mistakes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call_in_graph, copied
from coursekit.checks.kit.compare import agree, close_each, does_the_same
from coursekit.checks.kit.values import number

Case = tuple[Any, ...]
Cases = Sequence[Case] | Callable[[], Sequence[Case]]


def function(
    tasks: TaskList,
    right: Callable[..., Any],
    *,
    title: str,
    hints: tuple[str, ...],
    cases: Cases,
    mistakes: Mapping[str, Callable[..., Any]],
    edges: Mapping[str, Cases] | None = None,
    read: Callable[[Any], Any] = number,
    names: tuple[str, ...] = (),
    rtol: float = 1e-5,
    graph: bool = False,
    accepted: Callable[..., Any] | None = None,
    **settings: Any,
) -> Callable[[Any], None]:
    """Add the task `right.__name__`: the learner's function must do what `right` does.

    Args:
        tasks: the exercise.
        right: the reference, with the parameters, and the defaults, of the notebook's function.
        title, hints: as for every task.
        cases: tuples of arguments, or a function that makes them; at these the mistakes are told
            apart, so vary every argument.
        mistakes: reason → a function that makes this mistake, more special ones first. A test
            presents each as an answer and demands its reason.
        edges: what goes wrong, a sentence → more cases, looked at when all `cases` are right.
        read: turns a result into a number, an array or a tuple of them, or raises Wrong.
        names: what the parts of the result, or the columns of an array, are called.
        rtol: allowed relative difference; a tenth of it, times the largest value, is allowed too.
        graph: it must also work on float32 tensors, every argument, within `tf.function`.
        accepted: a right answer, where `right` is none: it may give what `read` makes of one.
        settings: `seconds` and `given`, see `Task`.

    >>> tasks = TaskList(99, "Powers")
    >>> def square(x):
    ...     return x**2
    >>> check = function(tasks, square, title="The square", hints=("Multiply.",),
    ...     cases=[(1.0,), (3.0,)], mistakes={"You doubled it.": lambda x: 2 * x})
    >>> check(lambda x: x * x)
    >>> check(lambda x: 2 * x)
    Traceback (most recent call last):
    coursekit.checks.engine.verdict.Wrong: You doubled it.
    >>> check(lambda x: x)
    Traceback (most recent call last):
    coursekit.checks.engine.verdict.Wrong: For `<lambda>(x=3)`: you give 3.
    """

    def compare(answer: Any, given: Sequence[Case], edge: str = "") -> None:
        known = _unseen_at(_made(cases), mistakes, right, rtol) if edge else mistakes
        agree(answer, right, given, mistakes=known, otherwise=edge, read=read, names=names,
              rtol=rtol)  # fmt: skip

    def check(answer: Any) -> None:
        main = _made(cases)
        compare(answer, main)
        short = main[0][: len(main[0]) - _defaults(right, len(main[0]))]
        if len(short) < len(main[0]):
            compare(answer, [short], "With the default settings of the notebook it goes wrong.")
        for edge, more in (edges or {}).items():
            compare(answer, _made(more), edge)
        if graph:
            _compare_in_graph(answer, right, main, read)

    check.__name__ = check.__qualname__ = right.__name__
    # A reference for a graph may use NumPy: then it is no answer either.
    known = {"mistakes": dict(mistakes), "right": accepted or (None if graph else right)}
    return tasks.task(title, hints=hints, **known, **settings)(check)


def _made(cases: Cases) -> Sequence[Case]:
    return cases() if callable(cases) else cases


def _unseen_at(
    cases: Sequence[Case], mistakes: Mapping[str, Any], right: Any, rtol: float
) -> Mapping[str, Any]:
    """Return the mistakes that do no harm at these cases: an answer that is right there can make
    no other, even where its results happen to be the same.
    """
    with np.errstate(all="ignore"):
        want = [right(*copied(case)) for case in cases]
    return {r: m for r, m in mistakes.items() if does_the_same(m, want, cases, rtol)}


def _defaults(right: Callable[..., Any], n: int) -> int:
    """Return how many of the last of `n` arguments have a default."""
    known = list(inspect.signature(right).parameters.values())[:n]
    return sum(p.default is not p.empty for p in known)


def _compare_in_graph(answer: Any, right: Any, cases: Sequence[Case], read: Any) -> None:
    for case in cases:
        given = [np.asarray(part, "float32") for part in case]
        got = read(call_in_graph(answer, *given))
        if not close_each([got], [right(*case)], 1e-3)[0]:
            raise Wrong("Inside Keras it gives other results than with NumPy arrays.")
