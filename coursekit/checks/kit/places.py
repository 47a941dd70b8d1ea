"""Say where a result first differs from the right one, in the learner's own names.

No text made here holds the expected result; it quotes arguments and the learner's own result.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from coursekit.checks.kit.values import describe

_FEW = 8  # values of an array that are shown in full


def short(value: Any) -> str:
    """Return a value in a few characters: numbers with six digits, large arrays by their shape.

    >>> short((np.float64(1 / 3), [0.25, 4], np.zeros((9, 2)), [np.zeros(2), np.ones(3)]))
    '(0.333333, [0.25, 4], an array of shape (9, 2), a list of 2 arrays)'
    """
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, str):
        return repr(value if len(value) <= 30 else value[:29] + "…")
    if isinstance(value, (list, tuple)):
        return _sequence(value)
    if isinstance(value, np.ndarray) and value.size <= _FEW:
        return np.array2string(value, precision=4, separator=", ").replace("\n", "")
    if inspect.isroutine(value) or isinstance(value, np.ufunc):
        return f"`{getattr(value, '__name__', 'a function')}`"
    return "None" if value is None else describe(value)


def _sequence(value: Sequence[Any]) -> str:
    kind = type(value).__name__
    if len(value) > 2 * _FEW:
        return f"a {kind} of {len(value)}"
    if kind == "list" and value and all(isinstance(part, np.ndarray) for part in value):
        return f"a list of {len(value)} array{'s' * (len(value) > 1)}"
    inside = ", ".join(map(short, value))
    if kind == "list":
        return f"[{inside}]"
    return f"({inside},)" if len(value) == 1 else f"({inside})"


def parameters(function: Any, n: int, names: Sequence[str] = ()) -> list[str]:
    """Return the names of the first `n` parameters: the function's own, or else `names`."""
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some built-ins have no signature
        found = []
    own = [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return (own if len(own) >= n else list(names))[:n]


def call_text(function: Any, args: Sequence[Any], names: Sequence[str] = ()) -> str:
    """Return the call as code, with the learner's own parameter names.

    >>> def slope(z, negative_slope): ...
    >>> call_text(slope, (np.zeros((9, 2)), 0.07))
    '`slope(z=an array of shape (9, 2), negative_slope=0.07)`'
    """
    known = parameters(function, len(args), names)
    shown = [short(a) for a in args]
    pairs = zip(known, shown, strict=True) if len(known) == len(args) else [("", s) for s in shown]
    inside = ", ".join(f"{name}={text}" if name else text for name, text in pairs)
    return f"`{getattr(function, '__name__', 'your function')}({inside})`"


def first_place(
    got: Any,
    want: Any,
    close: Callable[[Any, Any], bool],
    *,
    args: dict[str, Any] | None = None,
    names: Sequence[str] = (),
) -> str:
    """Say in one line where `got` first differs from `want`, both of the same structure.

    Args:
        got: the learner's result: a number, a string, an array, or a tuple, list or dict of them.
        want: the right one. It is never quoted.
        close: whether two numbers or arrays agree.
        args: the arguments of the call by name. Where just one has the result's shape, the place
            is told by its value.
        names: what the parts of a tuple, or the columns of an array, are called.

    >>> z = np.array([-2.1, 0.5])
    >>> first_place(np.array([0.21, 0.5]), np.array([-0.21, 0.5]), np.allclose, args={"z": z})
    'at z = -2.1 you give 0.21 (wrong in 1 of 2 places)'
    >>> first_place((1.0, 5.0), (1.0, 4.0), np.isclose, names=("mean", "std"))
    '`std`: you give 5'
    """
    if isinstance(want, dict):
        for key in want:
            if key not in got:
                return f"the entry {key!r} is missing"
            if not close(got[key], want[key]):
                inner = first_place(got[key], want[key], close, args=args)
                return f"`{key}`: {inner}"
        extra = [key for key in got if key not in want]
        return f"the entry {extra[0]!r} is superfluous" if extra else "some entry differs"
    if isinstance(want, (tuple, list)):
        if not isinstance(got, (tuple, list)):
            return f"you give {describe(got)}; expected {len(want)} parts"
        if len(got) != len(want):
            return f"you give {len(got)} of them; expected {len(want)}"
        for i, (g, w) in enumerate(zip(got, want, strict=True)):
            if not close(g, w):
                part = f"`{names[i]}`" if len(names) == len(want) else f"place {i}"
                return f"{part}: {first_place(g, w, close, args=args)}"
        return "some part differs"
    if isinstance(want, np.ndarray) and want.ndim:
        return _in_array(np.asarray(got), want, close, args or {}, names)
    return f"you give {short(got)}"


def _in_array(
    got: np.ndarray,
    want: np.ndarray,
    close: Callable[[Any, Any], bool],
    args: dict[str, Any],
    names: Sequence[str],
) -> str:
    if got.shape != want.shape:
        turned = got.ndim > 1 and got.shape == want.shape[::-1]
        return f"your result has shape {got.shape}; expected {want.shape}" + (
            ": it is transposed" if turned else ""
        )
    bad = [i for i in np.ndindex(want.shape) if not close(got[i], want[i])]
    # Numbers near zero may agree each by itself and differ as a whole; then the largest gap tells.
    index = bad[0] if bad else np.unravel_index(np.argmax(np.abs(got - want)), want.shape)
    if got.size == 1:
        return f"you give {short(got[index])}"
    count = f" (wrong in {max(len(bad), 1)} of {got.size} places)"
    arrays = {name: value for name, value in args.items() if isinstance(value, np.ndarray)}
    alike = [name for name, value in arrays.items() if value.shape == want.shape]
    if len(alike) == 1:
        at = short(arrays[alike[0]][index])
        return f"at {alike[0]} = {at} you give {short(got[index])}{count}"
    if len(names) == want.shape[-1]:
        row = f" in row {index[0]}" if want.ndim == 2 else ""
        return f"`{names[index[-1]]}`{row}: you give {short(got[index])}{count}"
    where = str(int(index[0])) if len(index) == 1 else str(tuple(int(i) for i in index))
    return f"at index {where} you give {short(got[index])}{count}"
