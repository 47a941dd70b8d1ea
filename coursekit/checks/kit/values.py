"""Read what the learner's code returns: one number, or an array of a given shape and type."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong


def describe(value: Any) -> str:
    """Say in a few words what a value is.

    >>> [describe(v) for v in (None, "ab", 0.25, [1, 2], np.zeros((2, 3)))]
    ['None', 'a string', 'the number 0.25', 'a list of 2', 'an array of shape (2, 3)']
    """
    if value is None or value is Ellipsis or isinstance(value, (bool, np.bool_)):
        return "`...`" if value is Ellipsis else str(value)
    if isinstance(value, (int, float, np.number)):
        return f"the number {value:.6g}"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, (list, tuple, dict, set)):
        return f"a {type(value).__name__} of {len(value)}"
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    if inspect.isroutine(value):
        return "a function"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"an array of shape {tuple(value.shape)}"
    return f"an object of type {type(value).__name__}"


def number(value: Any, what: str = "Your result") -> float:
    """Return `value` as a float: any finite real number, NumPy scalar or tensor of one element.

    >>> number(np.float32(0.5))
    0.5
    """
    if isinstance(value, (bool, np.bool_, str, list, tuple, dict)) or value is None:
        comma = " Is there a stray comma?" if isinstance(value, tuple) and len(value) == 1 else ""
        raise Wrong(f"{what} is {describe(value)}; expected one number.{comma}")
    values = _numbers(value, what)
    if values.size != 1:
        raise Wrong(f"{what} is {describe(values)}; expected one number.")
    _no_nan(values, what)
    return float(values.item())


def array(
    value: Any,
    what: str = "Your result",
    *,
    shape: tuple[int | None, ...] | None = None,
    dtype: str | None = None,
) -> np.ndarray:
    """Return `value` as a NumPy array of finite numbers of the asked shape and type.

    Lists, arrays and tensors are welcome. In `shape`, None stands for any length. `dtype` is
    "float" for any floating-point type, "int" for any integer type, or the name of one type.

    >>> array([[1, 2]], shape=(None, 2)).shape
    (1, 2)
    """
    if isinstance(value, (bool, np.bool_, str, dict, set)) or value is None:
        raise Wrong(f"{what} is {describe(value)}; expected an array of numbers.")
    values = _numbers(value, what)
    if shape is not None and not _fits(values.shape, shape):
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape)
        wanted += ",)" if len(shape) == 1 else ")"
        turned = len(shape) > 1 and _fits(values.shape[::-1], shape)
        raise Wrong(
            f"{what} has shape {values.shape}; expected {wanted}."
            + (" It is transposed." if turned else "")
        )
    kinds = {"float": "f", "int": "iu"}
    if dtype is not None and not (
        values.dtype.kind in kinds[dtype] if dtype in kinds else values.dtype == np.dtype(dtype)
    ):
        raise Wrong(f"{what} has dtype {values.dtype}; expected {dtype}.")
    _no_nan(values, what)
    return values


def parts(*names: str, read: Callable[..., Any] = array) -> Callable[[Any], tuple[Any, ...]]:
    """Return a reader of a tuple or list of results with these names, each read by `read`.

    An array with one place for each name serves as well, where each is one number.

    >>> parts("a", "b", read=number)((1, 2.5))
    (1.0, 2.5)
    """

    def of(value: Any) -> tuple[Any, ...]:
        single = getattr(value, "ndim", None) == 1 and read is number
        if not (single or isinstance(value, (tuple, list))) or len(value) != len(names):
            wanted = ", ".join(f"`{name}`" for name in names)
            raise Wrong(f"Expected {wanted}, in this order; got {describe(value)}.")
        return tuple(read(v, f"Your `{name}`") for name, v in zip(names, value, strict=True))

    return of


def whole(value: Any, what: str = "Your result") -> int:
    """Return `value` as a whole number; 3.0 is one.

    >>> whole(np.int64(3))
    3
    """
    got = number(value, what)
    if got != int(got):
        raise Wrong(f"{what} is {got:g}; expected a whole number.")
    return int(got)


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        w in (None, n) for n, w in zip(shape, wanted, strict=True)
    )


def _numbers(value: Any, what: str) -> np.ndarray:
    if isinstance(value, (list, tuple)) and any(part is Ellipsis for part in value):
        raise Wrong(f"{what} still holds a `...`.")
    try:
        values = np.asarray(value)
    except Exception:  # ragged lists, symbolic tensors, objects of every kind
        raise Wrong(f"{what} is {describe(value)}; expected numbers in one shape.") from None
    if values.dtype.kind == "b":
        raise Wrong(f"{what} holds True and False; expected numbers.")
    if values.dtype.kind not in "iuf":
        if values.dtype.kind == "c":
            raise Wrong(f"{what} is complex. Is there a root or a power of a negative number?")
        raise Wrong(f"{what} is {describe(value)}; expected numbers.")
    return values


def _no_nan(values: np.ndarray, what: str) -> None:
    if np.isnan(values).any():
        raise Wrong(f"{what} is or holds NaN, not a number. Is there a 0/0 or a log of 0?")
    if np.isinf(values).any():
        raise Wrong(f"{what} is or holds infinity. Is there a division by 0 or an overflow?")
