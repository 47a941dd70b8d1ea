"""Compare the learner's results with the right ones, and name the likely mistake.

No reason holds the expected result; it may quote the input and the learner's own result.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call, copied
from coursekit.checks.kit.places import call_text, first_place, parameters
from coursekit.checks.kit.values import number


def rng(name: str, *, fixed: bool = False) -> np.random.Generator:
    """Return a generator for a check's inputs: its own, the same in every run.

    With COURSEKIT_CHECK_SEED, which `class grade --seed` sets, it draws others, unless it is
    `fixed`: for a training that must go a certain way, so that mistakes show.

    >>> int(rng("power").integers(1000)) == int(rng("power").integers(1000))
    True
    """
    return np.random.default_rng(zlib.crc32((seed_word() * (not fixed) + name).encode()))


def seed_word() -> str:
    """Return the word that makes checks draw other inputs: what they show is kept by it."""
    return os.environ.get("COURSEKIT_CHECK_SEED", "")


def agree(
    answer: Any,
    right: Callable[..., Any],
    cases: Sequence[tuple[Any, ...]],
    *,
    mistakes: Mapping[str, Callable[..., Any]] | None = None,
    otherwise: str = "",
    read: Callable[[Any], Any] = number,
    names: Sequence[str] = (),
    rtol: float = 1e-5,
) -> None:
    """Compare the learner's function with the right one on every case.

    A result that cannot be read or is not right gets the reason of the mistake that gives the same
    results on all cases, or else the first place that differs.

    Args:
        answer: the learner's function.
        right: the right one, with the same parameters.
        cases: tuples of arguments.
        mistakes: reason → wrong function. More special ones come first.
        otherwise: what goes wrong with these cases, a sentence; it comes before the place.
        read: turns a result into a number, an array or a tuple of them, or raises Wrong.
        names: what the parts of the result, or the columns of an array, are called.
        rtol: allowed relative difference; a tenth of it, times the largest value, is allowed too.

    >>> agree(lambda x: 2 * x, lambda x: x**2, [(1.0,), (3.0,)], mistakes={
    ...     "You doubled in place of squaring.": lambda x: 2 * x})
    Traceback (most recent call last):
    coursekit.checks.engine.verdict.Wrong: You doubled in place of squaring.
    >>> agree(lambda x: x, lambda x: x**2, [(1.0,), (3.0,)])
    Traceback (most recent call last):
    coursekit.checks.engine.verdict.Wrong: For `<lambda>(x=3)`: you give 3.
    """
    raw = [call(answer, *case) for case in cases]
    with np.errstate(all="ignore"):
        want = [right(*copied(case)) for case in cases]
    read_in_full, unreadable = _read_all(raw, cases, read)
    if unreadable is None:
        bad = [i for i, ok in enumerate(close_each(read_in_full, want, rtol)) if not ok]
        if not bad:
            return
    _require_no_memory(answer, right, cases[0], raw[0], rtol)
    for reason, wrong in (mistakes or {}).items():
        if does_the_same(wrong, raw, cases, rtol):
            raise Wrong(reason)
    case, told = unreadable or (cases[bad[0]], "")
    known = parameters(answer, len(case), parameters(right, len(case)))
    called = call_text(answer, case, known)
    if unreadable is None:
        where = first_place(
            read_in_full[bad[0]],
            want[bad[0]],
            lambda a, b: close_each([a], [b], rtol)[0],
            args=dict(zip(known, case, strict=False)),
            names=names,
        )
        told = f"For {called}: {where}."
    elif called not in told:
        told = f"For {called}: {told}"
    raise Wrong(f"{otherwise} {told}" if otherwise else told)


def _require_no_memory(answer: Any, right: Any, case: tuple[Any, ...], first: Any, rtol: float):
    if not loosely_equal(call(answer, *case), first, rtol):
        called = call_text(answer, case, parameters(right, len(case)))
        raise Wrong(
            f"Called twice with the same arguments, {called} gives two results. Does it keep "
            "something between calls (a global, a default such as `out=[]`), or do its random "
            "numbers differ too much from call to call? Then draw more of them."
        )


def _read_all(
    raw: Sequence[Any], cases: Sequence[tuple[Any, ...]], read: Callable[[Any], Any]
) -> tuple[list[Any], tuple[tuple[Any, ...], str] | None]:
    """Return what was read, and the first case whose result cannot be, with the reason."""
    results = []
    for value, case in zip(raw, cases, strict=True):
        try:
            results.append(read(value))
        except Wrong as wrong:
            return results, (case, str(wrong))
    return results, None


def does_the_same(
    wrong: Callable[..., Any], raw: Sequence[Any], cases: Sequence[tuple[Any, ...]], rtol: float
) -> bool:
    """Return whether a function gives these results at these cases; if it fails there, it does not.

    >>> does_the_same(abs, [2.0, 3.0], [(2.0,), (-3.0,)], 1e-5)
    True
    """
    try:
        with np.errstate(all="ignore"):
            return all(
                loosely_equal(got, wrong(*copied(case)), rtol)
                for got, case in zip(raw, cases, strict=True)
            )
    except Exception:  # the mistake fails on some case, and the answer did not
        return False


def first_match(
    got: Any, candidates: Mapping[str, Any], *, rtol: float = 1e-4, otherwise: str = ""
) -> None:
    """Raise Wrong with the reason of the first candidate that `got` agrees with, or `otherwise`.

    The right candidate comes first, with "" as its reason: then nothing is raised.

    >>> first_match(4.0, {"": 2.0, "You square it.": 4.0})
    Traceback (most recent call last):
    coursekit.checks.engine.verdict.Wrong: You square it.
    """
    for reason, candidate in candidates.items():
        if loosely_equal(got, candidate, rtol):
            if reason:
                raise Wrong(reason)
            return
    if otherwise:
        raise Wrong(otherwise)


def close_each(got: Sequence[Any], want: Sequence[Any], rtol: float = 1e-5) -> list[bool]:
    """Return for each pair whether they agree; each is a number, an array or a tuple of them.

    The tolerance is relative to the value, plus a tenth of that relative to the largest value of
    all, so that rounding in float32 near zero is no mistake.
    """
    if len(want) and isinstance(want[0], tuple):
        parts = zip(*want, strict=True)
        columns = [
            close_each([g[i] if isinstance(g, tuple) else np.nan for g in got], list(part), rtol)
            for i, part in enumerate(parts)
        ]
        return [all(flags) for flags in zip(*columns, strict=True)]
    finite = [np.abs(np.asarray(w, dtype=float)) for w in want]
    largest = max((float(w[np.isfinite(w)].max(initial=0.0)) for w in finite), default=0.0)
    return [
        np.shape(g) == np.shape(w)
        and bool(np.allclose(g, w, rtol=rtol, atol=0.1 * rtol * largest, equal_nan=True))
        for g, w in zip(got, want, strict=True)
    ]


def loosely_equal(a: Any, b: Any, rtol: float = 1e-5) -> bool:
    """Return whether two results of any kind agree: numbers closely, NaN with NaN, the rest by ==.

    >>> loosely_equal([1, (2.0, "a")], (1.0, [2, "a"])), loosely_equal([1], [[1]])
    (True, False)
    """
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return list(a) == list(b) and all(loosely_equal(a[key], b[key], rtol) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(
            loosely_equal(x, y, rtol) for x, y in zip(a, b, strict=True)
        )
    try:
        x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    except (TypeError, ValueError):
        return type(a) is type(b) and bool(np.all(a == b))
    return close_each([x], [y], rtol)[0]
