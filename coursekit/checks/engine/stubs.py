"""Is this answer still the stub that the notebook came with?

Decided from the answer alone, never from the text of a cell: a stub is `...`, a function whose
body does nothing, a class whose methods are all stubs, an empty Sequential model.
"""

from __future__ import annotations

import dis
import inspect
from functools import partial
from types import CodeType, FunctionType
from typing import Any

_NOTHING = frozenset({
    "RESUME", "NOP", "CACHE", "COPY_FREE_VARS", "MAKE_CELL",
    "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE",
})  # fmt: skip


def is_untouched(answer: Any, given: tuple[str, ...] = ()) -> bool:
    """Return whether `answer` is a stub; `given` names methods that the notebook wrote itself.

    >>> def todo(x):
    ...     "Return twice x."
    ...     ...
    >>> is_untouched(todo), is_untouched(...), is_untouched(lambda x: 2 * x), is_untouched(None)
    (True, True, False, False)
    """
    if answer is Ellipsis:
        return True
    if isinstance(answer, (tuple, list)):
        return bool(answer) and all(is_untouched(part, given) for part in answer)
    if isinstance(answer, dict):
        return bool(answer) and all(is_untouched(part, given) for part in answer.values())
    if inspect.isclass(answer):
        return _is_stub_class(answer, given)
    function = _python_function(answer)
    if function is not None:
        return _does_nothing(function.__code__)
    if _is_empty_sequential(answer):
        return True
    own = _own_methods(type(answer), given)
    return bool(own) and all(_does_nothing(method.__code__) for method in own)


def _python_function(answer: Any) -> FunctionType | None:
    for _ in range(10):  # partial(tf.function(wrapper(...))) and the like
        if isinstance(answer, partial):
            answer = answer.func
        elif hasattr(answer, "python_function"):
            answer = answer.python_function
        elif inspect.ismethod(answer):
            answer = answer.__func__
        elif hasattr(answer, "__wrapped__"):
            answer = answer.__wrapped__
        else:
            break
    return answer if isinstance(answer, FunctionType) else None


def _does_nothing(code: CodeType) -> bool:
    instructions = list(dis.get_instructions(code))
    if code.co_names == ("NotImplementedError",):
        return any(i.opname == "RAISE_VARARGS" for i in instructions)
    return all(
        i.opname in _NOTHING and ("CONST" not in i.opname or i.argval in (None, Ellipsis))
        for i in instructions
    )


def _own_methods(cls: type, given: tuple[str, ...]) -> list[FunctionType]:
    own = []
    for name, member in vars(cls).items():
        if isinstance(member, property):
            member = member.fget
        member = getattr(member, "__func__", member)  # staticmethod, classmethod
        if isinstance(member, FunctionType) and name not in ("__init__", *given):
            own.append(member)
    return own


def _is_stub_class(cls: type, given: tuple[str, ...]) -> bool:
    methods = _own_methods(cls, given)
    if methods:
        return all(_does_nothing(method.__code__) for method in methods)
    if "__init__" in vars(cls) and "__init__" not in given:
        return False
    return all(name.startswith("__") or name in given for name in vars(cls))


def _is_empty_sequential(answer: Any) -> bool:
    return type(answer).__name__ == "Sequential" and not getattr(answer, "layers", True)
