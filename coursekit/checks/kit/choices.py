"""Questions with options: every wrong choice is answered by the reason why it is wrong.

Options are a dict from a letter to that reason, None where the option is right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.values import describe

Options = Mapping[str, str | None]


def question(
    tasks: TaskList, name: str, rule: Callable[[Any, Any], None], options: Mapping[str, Any], *,
    title: str, hints: tuple[str, ...], model_answer: str,
) -> None:  # fmt: skip
    """Add a question as task `name`; every wrong option is a mistake that tests present.

    A right choice may have been a guess, so it is answered too: by the model answer.

    Args:
        tasks: the exercise.
        name: the task's name.
        rule: one of the three functions below.
        options: as the rule wants them.
        title, hints, model_answer: as for every task.

    >>> tasks = TaskList(99, "The earth")
    >>> question(tasks, "shape", one_letter, {"a": "It is not flat.", "b": None},
    ...          title="Its shape", hints=("Look at the moon.",),
    ...          model_answer="It is round: its shadow on the moon is a circle.")
    >>> tasks["shape"].check("b")
    >>> dict(tasks["shape"].mistakes)
    {'a: It is not flat.': 'a'}
    """

    def check(answer: Any) -> None:
        rule(answer, options)

    if rule is letter_for_each:
        right = {case: _right(of_case)[0] for case, of_case in options.items()}
        mistakes = {
            f"{case}: {reason}": right | {case: letter}
            for case, of_case in options.items()
            for letter, reason in of_case.items()
            if reason
        }
    else:
        others = "".join(_right(options)) if rule is all_letters else ""
        mistakes = {f"{k}: {reason}": k + others for k, reason in options.items() if reason}
    check.__name__ = check.__qualname__ = name
    tasks.task(title, hints=hints, mistakes=mistakes, model_answer=model_answer)(check)


def _right(options: Options) -> list[str]:
    return [letter for letter, reason in options.items() if reason is None]


def one_letter(answer: Any, options: Options, what: str = "Your answer") -> None:
    """Accept one letter of a right option, as "b" or "B".

    >>> one_letter("B", {"a": "The earth is not flat.", "b": None})
    >>> one_letter("a", {"a": "The earth is not flat.", "b": None})
    Traceback (most recent call last):
    coursekit.checks.engine.verdict.Wrong: a: The earth is not flat.
    """
    letters = _letters(answer, options, what)
    if len(letters) != 1:
        raise Wrong(f"{what} names {len(letters)} options; this question wants exactly one letter.")
    _reject(letters, options)


def all_letters(answer: Any, options: Options, what: str = "Your answer") -> None:
    """Accept the letters of all right options and no other, in any order: "ac", ["c", "a"].

    >>> all_letters("c, a", {"a": None, "b": "Not so.", "c": None})
    >>> all_letters("a", {"a": None, "b": "Not so.", "c": None})
    Traceback (most recent call last):
    coursekit.checks.engine.verdict.Wrong: What you chose is right, but something is missing: ...
    """
    letters = _letters(answer, options, what)
    _reject(letters, options)
    if set(letters) != set(_right(options)):
        raise Wrong(
            "What you chose is right, but something is missing: read the other options again."
        )


def letter_for_each(answer: Any, cases: Mapping[str, Options]) -> None:
    """Accept a dict that gives each case the letter (or the name) of a right option.

    >>> letter_for_each({"sky": "b"}, {"sky": {"a": "Look up.", "b": None}})
    """
    entries = filled_in(answer, tuple(cases))
    for case, options in cases.items():
        given = entries[case].strip().lower() if isinstance(entries[case], str) else None
        if given not in options:
            raise Wrong(
                f"{case}: expected one of {', '.join(options)}; got {_short(entries[case])}."
            )
        if options[given] is not None:
            raise Wrong(f"{case}: {options[given]}")


def filled_in(answer: Any, keys: tuple[str, ...]) -> Mapping[str, Any]:
    """Return a dict that the notebook gave with `...` for each key, once all of them are filled in.

    >>> filled_in({"a": 1, "b": ...}, ("a", "b"))
    Traceback (most recent call last):
    coursekit.checks.engine.verdict.Wrong: The entry 'b' still holds a `...`.
    """
    if not isinstance(answer, Mapping):
        raise Wrong(f"Expected the dict of the notebook, filled in; got {describe(answer)}.")
    for key in keys:
        if key not in answer:
            raise Wrong(f"The entry {key!r} is gone; keep the keys of the notebook.")
        if answer[key] is Ellipsis:
            raise Wrong(f"The entry {key!r} still holds a `...`.")
    return answer


def _letters(answer: Any, options: Options, what: str) -> list[str]:
    parts = answer if isinstance(answer, (str, list, tuple, set, frozenset)) else None
    if parts is None or not all(isinstance(part, str) for part in parts):
        raise Wrong(f"{what} is {describe(answer)}; expected letters in quotes, such as 'a'.")
    letters = sorted({c for part in parts for c in part.lower() if c not in " ,;+"})
    unknown = [letter for letter in letters if letter not in options]
    if unknown:
        raise Wrong(f"{what} holds {unknown[0]!r}; the options are {', '.join(options)}.")
    if not letters:
        raise Wrong(f"{what} holds no letter; the options are {', '.join(options)}.")
    return letters


def _reject(letters: list[str], options: Options) -> None:
    for letter in letters:
        if options[letter] is not None:
            raise Wrong(f"{letter}: {options[letter]}")


def _short(value: Any) -> str:
    return repr(value) if isinstance(value, str) and len(value) < 30 else describe(value)
