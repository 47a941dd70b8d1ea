"""What goes between the learner's process and the checks: plain data, never a pickle.

A message is a JSON header and the raw bytes of its arrays. Either side may hand over a function:
it stays where it is, and the other side gets a number to call it by.
"""

from __future__ import annotations

import builtins
import contextlib
import inspect
import json
import os
import select
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from coursekit.errors import CourseError

LARGEST = 256 * 1024**2  # bytes of one message
_DEEPEST = 20
_SIZES = struct.Struct("!QQ")  # of the header, of the arrays
_KINDS = "biufc"  # of arrays: numbers only


class NotPlainError(CourseError, TypeError):
    """A value that is neither numbers, text, arrays, functions, nor lists and dicts of these."""


class LostError(CourseError):
    """The other side has gone, or says what is no message."""


class LateError(CourseError):
    """The other side did not answer in time."""


class ArrayLike:
    """What a tensor of the other side becomes: numbers that NumPy reads, but no NumPy array."""

    def __init__(self, array: np.ndarray, kind: str):
        self._array, self.kind = array, kind
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._array, dtype=dtype)

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index: Any) -> Any:
        return self._array[index]

    def __float__(self) -> float:
        return float(self._array)


def set_state(generator: np.random.Generator, state: dict[str, int]) -> None:
    """Put a generator where another one stood."""
    whole = generator.bit_generator.state
    generator.bit_generator.state = whole | {"state": state, "has_uint32": 0, "uinteger": 0}


class Functions:
    """The functions that one side keeps and the other may call, by number."""

    def __init__(self) -> None:
        self._kept: list[Callable[..., Any]] = []

    def keep(self, function: Callable[..., Any]) -> int:
        """Keep a function and return its number."""
        self._kept.append(function)
        return len(self._kept) - 1

    def __getitem__(self, number: int) -> Callable[..., Any]:
        return self._kept[number]


def pack(value: Any, functions: Functions | None = None) -> tuple[Any, list[bytes]]:
    """Return a value as JSON and the bytes of its arrays.

    Raises NotPlainError for what is not plain; functions are, where there is a place to keep them.

    >>> unpack(*pack((1, [2.5, "a"], {"n": None})))
    (1, [2.5, 'a'], {'n': None})
    """
    blobs: list[bytes] = []
    return _packed(value, functions, blobs, 0), blobs


def _packed(value: Any, functions: Functions | None, blobs: list[bytes], depth: int) -> Any:
    if depth > _DEEPEST:
        raise NotPlainError(f"it is nested more than {_DEEPEST} deep")
    if value is None or type(value) in (bool, int, float, str):
        return value
    if value is Ellipsis:
        return {"...": 0}
    if type(value) is complex:
        return {"complex": [value.real, value.imag]}
    if isinstance(value, np.random.Generator) and type(value.bit_generator) is np.random.PCG64:
        return {"generator": value.bit_generator.state["state"]}
    if type(value) in (set, frozenset):
        value = set(value)
    if type(value) in (list, tuple, dict, set):
        parts = [part for pair in value.items() for part in pair] if type(value) is dict else value
        inside = [_packed(part, functions, blobs, depth + 1) for part in parts]
        return inside if type(value) is list else {type(value).__name__: inside}
    if isinstance(value, np.generic) and value.dtype.kind in _KINDS:
        return {"scalar": _packed(np.asarray(value), functions, blobs, depth)}
    if functions is not None and callable(value) and not hasattr(value, "__array__"):
        name = str(getattr(value, "__name__", "your function"))[:80]
        return {"function": functions.keep(value), "name": name, "takes": _parameters(value)}
    return _packed_array(value, blobs)


def _parameters(function: Callable[..., Any]) -> list[Any] | None:
    """Return name, kind and default of every parameter; None where Python cannot tell.

    A default that is no number or text is told as its absence would be: by a list, [] or [value].
    """
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    plain = (int, float, str, bool, type(None))
    return [
        [p.name, int(p.kind), [] if p.default is p.empty else
         [p.default if isinstance(p.default, plain) else "..."]]
        for p in found
    ]  # fmt: skip


def signature_from(takes: Any) -> inspect.Signature | None:
    """Return the signature that was told, None where there is none."""
    if takes is None:
        return None
    return inspect.Signature([
        inspect.Parameter(name, inspect._ParameterKind(kind), default=[*default, inspect._empty][0])
        for name, kind, default in takes
    ])  # fmt: skip


def _packed_array(value: Any, blobs: list[bytes]) -> Any:
    if not hasattr(value, "__array__"):
        raise NotPlainError(f"a {type(value).__name__}")
    array = np.array(value, subok=False)  # a plain one, whatever class it comes from
    if type(array) is not np.ndarray or array.dtype.kind not in _KINDS:
        raise NotPlainError(f"an array of {array.dtype}")
    blobs.append(array.tobytes())
    told = {"array": len(blobs) - 1, "dtype": array.dtype.str, "shape": list(array.shape)}
    return told if isinstance(value, np.ndarray) else told | {"like": type(value).__name__[:80]}


def unpack(
    told: Any, blobs: list[bytes], function: Callable[[dict[str, Any]], Any] | None = None
) -> Any:
    """Return the value that was packed; `function(told)` stands for one of the other side's.

    Raises LostError where it is none.
    """
    try:
        return _unpacked(told, blobs, function, 0)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise LostError(f"no message of ours ({type(error).__name__})") from error


def _unpacked(told: Any, blobs: list[bytes], function: Any, depth: int) -> Any:
    if depth > _DEEPEST + 5:
        raise ValueError("too deep")
    if told is None or isinstance(told, (bool, int, float, str)):
        return told
    if isinstance(told, list):
        return [_unpacked(part, blobs, function, depth + 1) for part in told]
    if "array" in told:
        dtype = np.dtype(str(told["dtype"]))
        if dtype.kind not in _KINDS:
            raise ValueError("not numbers")
        shape = tuple(int(n) for n in told["shape"])
        array = np.frombuffer(blobs[told["array"]], dtype).reshape(shape).copy()
        return ArrayLike(array, str(told["like"])) if "like" in told else array
    if "scalar" in told:
        return _unpacked(told["scalar"], blobs, function, depth + 1)[()]
    if "tuple" in told:
        return tuple(_unpacked(part, blobs, function, depth + 1) for part in told["tuple"])
    if "dict" in told:
        parts = [_unpacked(part, blobs, function, depth + 1) for part in told["dict"]]
        return dict(zip(parts[::2], parts[1::2], strict=True))
    if "set" in told:
        return {_unpacked(part, blobs, function, depth + 1) for part in told["set"]}
    if "generator" in told:
        generator = np.random.Generator(np.random.PCG64())
        set_state(generator, {name: int(told["generator"][name]) for name in ("state", "inc")})
        return generator
    if "complex" in told:
        return complex(*told["complex"])
    if "..." in told:
        return ...
    if "function" in told and function is not None:
        return function(told)
    raise ValueError("unknown")


class Channel:
    """Messages over two descriptors: `send` one, `receive` one within a time limit."""

    def __init__(self, reading: int, writing: int):
        self._in, self._out = reading, writing
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)

    def send(self, header: Any, blobs: Sequence[bytes] = (), until: float | None = None) -> None:
        """Send a message: anything JSON holds, and the arrays. Raises LostError, LateError."""
        text = json.dumps([header, [len(blob) for blob in blobs]]).encode()
        size = sum(map(len, blobs))
        if len(text) + size > LARGEST:
            raise NotPlainError(f"more than {LARGEST // 1024**2} MB")
        try:
            for part in (_SIZES.pack(len(text), size), text, *blobs):
                rest = memoryview(part)
                while rest:
                    _wait([], [self._out], until)
                    with contextlib.suppress(BlockingIOError):
                        rest = rest[os.write(self._out, rest) :]
        except OSError as error:
            raise LostError("it has ended") from error

    def receive(self, until: float | None = None) -> tuple[Any, list[bytes]]:
        """Return the next message; `until` is a time of `time.monotonic`.

        Raises LateError, and LostError for what is no message.
        """
        n_text, n_blobs = _SIZES.unpack(self._read(_SIZES.size, until))
        if n_text + n_blobs > LARGEST:
            raise LostError("no message of ours")
        try:
            header, lengths = json.loads(self._read(n_text, until))
            if any(n < 0 for n in lengths) or sum(lengths) != n_blobs:
                raise ValueError("lengths")
        except (ValueError, TypeError, RecursionError) as error:
            raise LostError("no message of ours") from error
        return header, [self._read(n, until) for n in lengths]

    def _read(self, n: int, until: float | None) -> bytes:
        parts, left = [], n
        while left:
            _wait([self._in], [], until)
            try:
                part = os.read(self._in, min(left, 1 << 20))
            except BlockingIOError:
                continue
            except OSError as error:
                raise LostError("it has ended") from error
            if not part:
                raise LostError("it has ended")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


def _wait(reading: list[int], writing: list[int], until: float | None) -> None:
    wait = None if until is None else max(0.0, until - time.monotonic())
    if not any(select.select(reading, writing, [], wait)):
        raise LateError("no answer in time")


def told_error(error: BaseException) -> dict[str, Any]:
    """Return an exception as plain text: its type's name, its message, and where it comes from."""
    try:
        text = str(error)
    except Exception:  # a class of the learner's own may be broken as well
        text = ""
    told = {"error": type(error).__name__[:80], "message": text[:2000]}
    origin = getattr(error, "_origin", None)
    return told | {"origin": origin} if isinstance(origin, int) else told


def error_from(told: dict[str, Any]) -> Exception:
    """Return an exception of the other side: a built-in one by its name, or one like it."""
    name, text = str(told.get("error", "Exception"))[:80], str(told.get("message", ""))[:2000]
    found = getattr(builtins, name, None)
    error = None
    if isinstance(found, type) and issubclass(found, Exception):
        with contextlib.suppress(TypeError):  # such as UnicodeDecodeError, which wants more
            error = found(text)
    if error is None:
        error = type(name if name.isidentifier() else "Error", (Exception,), {})(text)
    if isinstance(told.get("raised"), int):
        error._origin = told["raised"]
    return error
