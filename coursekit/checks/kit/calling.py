"""Call the learner's code safely: on copies, with the mistakes of every function named.

No reason raised here holds the expected result.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.places import call_text
from coursekit.checks.kit.values import describe


def call(function: Any, *args: Any, may_change: bool = False, may_return_none: bool = False) -> Any:
    """Call the learner's function on copies of `args` and return its result.

    Wrong where it cannot be called with these arguments, changes one in place (unless
    `may_change`), or returns nothing (unless `may_return_none`). What it raises passes through.

    >>> call(lambda x: x.sort(), np.array([2, 1]))
    Traceback (most recent call last):
    coursekit.checks.engine.verdict.Wrong: `<lambda>` changes its argument `x` in place; ...
    """
    name = getattr(function, "__name__", "your function")
    if not callable(function):
        raise Wrong(
            f"Expected your function or class itself, got {describe(function)}. Pass its name, "
            "without parentheses."
        )
    parameters = _bound(function, name, args)
    given = copied(args) if not may_change else args
    result = function(*given)
    for i, (before, after) in enumerate(zip(args, given, strict=True)):
        if not same(before, after):
            which = f" `{parameters[i]}`" if i < len(parameters) else ""
            raise Wrong(
                f"`{name}` changes its argument{which} in place; work on a copy, so that the "
                "caller's data stay as they are."
            )
    if result is None and not may_return_none:
        raise Wrong(f"{call_text(function, args)} returns nothing. Did you forget `return`?")
    return result


def call_in_graph(function: Any, *args: Any, autograph: bool = False) -> Any:
    """Call the learner's function on tensors inside `tf.function`, every argument one.

    For what is known to work step by step; Wrong where a graph refuses it. Within Keras loops and
    conditions are not translated; with `autograph` they are, as in the learner's own `tf.function`.
    """
    try:
        if hasattr(function, "call_in_graph"):  # it lives in another process, its tensors too
            return function.call_in_graph(*args, autograph=autograph)
        from coursekit.base.keras import tf

        return tf.function(function, autograph=autograph)(*map(tf.constant, args))
    except Wrong:
        raise
    except Exception as error:  # whatever a graph refuses
        raise Wrong(
            "It works step by step, but not inside Keras or `tf.function`: there every argument is "
            "a tensor without a value yet, so `if`, `.numpy()`, `float()` and NumPy's functions "
            f"are out; use arithmetic, `keras.ops` or `tf`. ({type(error).__name__})"
        ) from None


def _bound(function: Any, name: str, args: tuple[Any, ...]) -> list[str]:
    """Return the names of the parameters that take `args`, [] where Python cannot tell."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-ins have none
        return []
    try:
        signature.bind(*args)
    except TypeError as error:
        raise Wrong(
            f"`{name}{signature}` cannot be called with {len(args)} argument"
            f"{'s' * (len(args) != 1)}: {error}. Keep the parameters of the notebook."
        ) from None
    return list(signature.parameters)


def copied(value: Any) -> Any:
    """Return a copy of nested lists, tuples, dicts and arrays; anything else stays itself."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (list, tuple):
        return type(value)(copied(part) for part in value)
    if type(value) is dict:
        return {key: copied(part) for key, part in value.items()}
    return value


def same(a: Any, b: Any) -> bool:
    """Return whether two nested values of numbers and arrays are equal, NaN equal to NaN.

    >>> same([1, np.array([np.nan])], [1, np.array([np.nan])]), same([1], [1, 2])
    (True, False)
    """
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return bool(a == b)


def require_subclass(answer: Any, base: type, base_name: str) -> None:
    """Raise Wrong unless `answer` is a class derived from `base`."""
    if not inspect.isclass(answer):
        raise Wrong(f"Expected your class itself, without parentheses; got {describe(answer)}.")
    if not issubclass(answer, base):
        raise Wrong(f"`{answer.__name__}` is not a subclass of `{base_name}`.")
