"""Compare the learner's results with the right ones, and name the likely mistake.

No reason holds the expected result; it may quote the input and the learner's own result.
"""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call, copied
from coursekit.checks.kit.values import describe, number


def rng(name: str) -> np.random.Generator:
    """Return a generator for a check's inputs: its own, the same in every run.

    >>> int(rng("power").integers(1000)) == int(rng("power").integers(1000))
    True
    """
    return np.random.default_rng(zlib.crc32(name.encode()))


def agree(
    answer: Any,
    oracle: Callable[..., Any],
    cases: Sequence[tuple[Any, ...]],
    *,
    mistakes: Mapping[str, Callable[..., Any]] | None = None,
    otherwise: str | None = None,
    read: Callable[[Any], Any] = number,
    rtol: float = 1e-5,
) -> None:
    """Compare the learner's function with the right one on every case.

    Args:
        answer: the learner's function.
        oracle: the right one, with the same parameters.
        cases: tuples of arguments.
        mistakes: reason → wrong function. If the answer does exactly that, on all cases, this is
            the reason given. More specific ones come first.
        otherwise: the reason for any other wrong result; by default the call and its result.
        read: turns a result into a number, an array or a tuple of them, or raises Wrong.
        rtol: allowed relative difference; a tenth of it, times the largest value, is allowed too.

    >>> agree(lambda x: 2 * x, lambda x: x**2, [(1.0,), (3.0,)], mistakes={
    ...     "You doubled in place of squaring.": lambda x: 2 * x})
    Traceback (most recent call last):
    coursekit.checks.engine.verdict.Wrong: You doubled in place of squaring.
    """
    got = [read(call(answer, *case)) for case in cases]
    want = [oracle(*case) for case in cases]
    bad = [i for i, ok in enumerate(close_each(got, want, rtol)) if not ok]
    if not bad:
        return
    for reason, wrong in (mistakes or {}).items():
        if _all_close(got, wrong, cases, rtol):
            raise Wrong(reason)
    if otherwise is not None:
        raise Wrong(otherwise)
    case = cases[bad[0]]
    raise Wrong(
        f"For `{_call_text(answer, oracle, case)}` your result {_short(got[bad[0]])} is not right."
    )


def _all_close(
    got: list[Any], wrong: Callable[..., Any], cases: Sequence[tuple[Any, ...]], rtol: float
) -> bool:
    try:
        with np.errstate(all="ignore"):
            return all(close_each(got, [wrong(*copied(case)) for case in cases], rtol))
    except (ArithmeticError, LookupError, ValueError):  # the wrong formula fails on some case
        return False


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


def _call_text(answer: Any, oracle: Callable[..., Any], case: tuple[Any, ...]) -> str:
    names = list(inspect.signature(oracle).parameters)
    arguments = ", ".join(f"{n}={_short(v)}" for n, v in zip(names, case, strict=False))
    return f"{getattr(answer, '__name__', 'your function')}({arguments})"


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_short, value)) + ")"
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    if isinstance(value, np.ndarray) and value.size > 8:
        return describe(value)
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=4, separator=", ").replace("\n", "")
    return repr(value)


def equal_arrays(
    got: np.ndarray, want: np.ndarray, what: str = "Your result", rtol: float = 1e-5
) -> None:
    """Compare two arrays of one shape; name a wrong sign, a transposition or a constant factor.

    >>> equal_arrays(np.array([2.0, 4.0, 8.0]), np.array([1.0, 2.0, 4.0]))
    Traceback (most recent call last):
    coursekit.checks.engine.verdict.Wrong: Your result is off by one constant factor everywhere.
    """
    if close_each([got], [want], rtol)[0]:
        return
    if close_each([-got], [want], rtol)[0]:
        raise Wrong(f"{what} has the wrong sign.")
    if got.ndim == 2 and close_each([got.T], [want], rtol)[0]:
        raise Wrong(f"{what} is transposed.")
    if got.shape != want.shape:
        raise Wrong(f"{what} has shape {got.shape}; expected {want.shape}.")
    some = np.abs(want) > 1e-9 * np.abs(want).max()
    if some.sum() >= 3:
        factor = np.median(got[some] / want[some])
        if factor and close_each([got / factor], [want], rtol)[0]:
            raise Wrong(f"{what} is off by one constant factor everywhere.")
    n_bad = int((~np.isclose(got, want, rtol=rtol, atol=0.1 * rtol * np.abs(want).max())).sum())
    raise Wrong(f"{what} is not right in {n_bad} of {got.size} places.")
