"""A task judged by what an answer does: look at it, and compare with what the right one shows."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.compare import loosely_equal, seed_word
from coursekit.checks.kit.places import first_place

Seen = Mapping[str, Any]


def behaviour(
    tasks: TaskList,
    *,
    title: str,
    hints: tuple[str, ...],
    right: Any,
    mistakes: Mapping[str, Any],
    rtol: float = 1e-4,
    **settings: Any,
) -> Callable[[Callable[..., Seen]], Callable[..., None]]:
    """Make a task of a function that looks at an answer: it returns what it saw, name → value.

    The learner's answer must show what `right` shows. If it shows what one of `mistakes` shows,
    that is the reason; otherwise the first value that differs, under its name. What is seen must
    not depend on chance: give nets their weights, and seed what draws. For a rule that needs no
    comparison raise Wrong while looking.

    Args:
        tasks: the exercise.
        title, hints: as for every task.
        right: a right answer; a tuple where the task has several.
        mistakes: reason → a wrong answer, more special ones first. A test presents each as an
            answer and demands its reason.
        rtol: allowed relative difference of numbers.
        settings: `seconds` and `given`, see `Task`.

    >>> tasks = TaskList(99, "Lists")
    >>> def first_alone(values): return values[:1]
    >>> @behaviour(tasks, title="Without the first", hints=("Slice.",),
    ...            right=lambda values: values[1:],
    ...            mistakes={"You keep the first; it is to go.": first_alone})
    ... def without_first(answer):
    ...     return {"of two values": answer([1, 2]), "of none": answer([])}
    >>> without_first(lambda values: values[:1])
    Traceback (most recent call last):
    coursekit.checks.engine.verdict.Wrong: You keep the first; it is to go.
    >>> without_first(lambda values: values[1:] or [0])
    Traceback (most recent call last):
    coursekit.checks.engine.verdict.Wrong: Not right, of none: you give 1 of them; expected 0.
    """

    def decorate(look: Callable[..., Seen]) -> Callable[..., None]:
        @cache
        def of_the_right_one(seed: str) -> Seen:
            return look(*_several(right))

        @cache
        def of_a_wrong_one(reason: str, seed: str) -> Seen:
            try:
                return look(*_several(mistakes[reason]))
            except Exception:  # caught by a rule: then it is not what was answered
                return {}

        def check(*answers: Any) -> None:
            seen, want = look(*answers), of_the_right_one(seed_word())
            wrong_at = [name for name in want if not _same(seen, want, name, rtol)]
            if not wrong_at:
                return
            for reason in mistakes:
                shown = of_a_wrong_one(reason, seed_word())
                if list(shown) == list(seen) and all(_same(seen, shown, n, rtol) for n in shown):
                    raise Wrong(reason)
            name = wrong_at[0]
            place = first_place(seen.get(name), want[name], lambda a, b: loosely_equal(a, b, rtol))
            raise Wrong(f"Not right, {name}: {place}.")

        check.__name__ = check.__qualname__ = look.__name__
        check.__doc__ = look.__doc__
        check.__signature__ = inspect.signature(look)
        known = {"mistakes": dict(mistakes), "right": right}
        return tasks.task(title, hints=hints, **known, **settings)(check)

    return decorate


def _several(answer: Any) -> tuple[Any, ...]:
    return answer if isinstance(answer, tuple) else (answer,)


def _same(seen: Seen, want: Seen, name: str, rtol: float) -> bool:
    return name in seen and loosely_equal(seen[name], want[name], rtol)
