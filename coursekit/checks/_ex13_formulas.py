"""The formulas of exercise 13, right and wrong: standardising, int8 and float16."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import array, describe, parts

Mistakes = dict[str, Callable[..., Any]]


def standardise(train, other, *, of=lambda train, other: train, axis=0, ddof=0, shift=1, power=1):
    """Standardise both with the statistics of `train`, per feature; constant features give 0."""
    seen = of(train, other)
    mean, std = seen.mean(axis=axis), seen.std(axis=axis, ddof=ddof)
    std = np.where(std == 0, 1, std) ** power
    return (train - shift * mean) / std, (other - shift * mean) / std


_with = partial(partial, standardise)
STANDARDISE: Mistakes = {
    "The second array has been standardised with its own statistics, not with the first's.":
        lambda train, other: (standardise(train, train)[0], standardise(other, other)[0]),
    "The statistics come from both arrays together: so the test data leak into the training.":
        _with(of=lambda train, other: np.concatenate([train, other])),
    "The mean is not subtracted.": _with(shift=0),
    "Nothing is divided by the standard deviation.": _with(power=0),
    "You multiply by the standard deviation; divide by it.": _with(power=-1),
    "You divide by the variance; the standard deviation is its root.": _with(power=2),
    "You divide by n − 1 in the variance (`ddof=1`); NumPy divides by n.": _with(ddof=1),
    "One mean and one deviation for all pixels together; each pixel has its own.": _with(axis=None),
    "The second array is not standardised.":
        lambda train, other: (standardise(train, other)[0], other),
    "The results are in the wrong order: `train` comes first.":
        lambda train, other: standardise(train, other)[::-1],
}  # fmt: skip


def images(constant: bool) -> list[tuple[Any, ...]]:
    """Return training and other images, with a pixel of a small spread, or a constant one."""
    draw, found = rng("standardise"), []
    for shape in ((5,), (3, 4)):
        scale = draw.uniform(0.5, 3, shape)
        train = draw.normal(2, 1, (40, *shape)) * scale
        other = draw.normal(3, 2, (15, *shape)) * scale
        train[:, 0], other[:, 0] = train[:, 0] / 300, other[:, 0] / 300
        if constant:
            train[:, 0] = 0.5
        found.append((train, other))
    return found


def quantise(
    w, *, top=127, units=True, size=lambda w, axis: np.abs(w).max(axis=axis), rounded=np.rint,
    told=lambda q, scale: (q, scale),
):  # fmt: skip
    """Return whole numbers from -127 to 127 and one scale for each unit (last axis)."""
    largest = size(w, tuple(range(w.ndim - 1)) if units else None)
    scale = np.broadcast_to(np.where(largest == 0, top, largest) / top, w.shape[-1:])
    return told(rounded(w / scale).astype(int).astype(np.int8), scale)


_code = partial(partial, quantise)
QUANTISE: Mistakes = {
    "One scale for the whole array; each unit (each column) has its own.": _code(units=False),
    "Your numbers are cut off, not rounded.": _code(rounded=np.trunc),
    "Your numbers are rounded down, not to the nearest.": _code(rounded=np.floor),
    "Your scale has 255 in place of 127: beyond 127 int8 starts again at −128.": _code(top=255),
    "Your scale belongs to 128 steps; here int8 has 127 on either side of 0.": _code(top=128),
    "Your scale looks only at positive weights; a unit's largest weight may be negative.":
        _code(size=lambda w, axis: w.max(axis=axis)),
    "Your scale comes from the weights' standard deviation, not from the largest.":
        _code(size=lambda w, axis: w.std(axis=axis)),
    "Your scale is upside down: w ≈ scale · q.": _code(told=lambda q, scale: (q, 1 / scale)),
    "The scale is missing its 127.": _code(told=lambda q, scale: (q, 127 * scale)),
    "The order is first q, then the scales.": _code(told=lambda q, scale: (scale, q)),
}  # fmt: skip


def codes(value: Any) -> tuple[np.ndarray, np.ndarray]:
    """Read whole numbers and scales; the scale of a unit of zeros is free."""
    q, scale = parts("q", "s", read=lambda part, what: part)(value)
    if not isinstance(q, np.ndarray):
        raise Wrong(f"Your `q` is {describe(q)}; expected a NumPy array of dtype int8.")
    q = array(q, "Your `q`", dtype="int8")
    if np.ndim(scale) == 0:
        raise Wrong("Your `s` is one number; each unit (each column) has a scale of its own.")
    scale = array(scale, "Your `s`", shape=q.shape[-1:], dtype="float")
    if (scale <= 0).any():
        raise Wrong("A scale is not above 0; then its weights cannot be restored.")
    return q.astype(float), np.where(np.all(q == 0, axis=tuple(range(q.ndim - 1))), 1.0, scale)


def weights() -> list[tuple[Any, ...]]:
    """Return weights whose largest, in each unit, is negative."""
    draw, found = rng("quantise"), []
    for shape in ((30, 4), (6, 6), (3, 3, 2, 5)):
        w = draw.normal(size=shape) * draw.uniform(0.1, 10, shape[-1])
        w[(0,) * (w.ndim - 1)] = -np.abs(w).max(axis=tuple(range(w.ndim - 1))) * 1.3
        found.append((w,))
    return found


def with_zeros() -> list[tuple[Any, ...]]:
    """Return weights with a unit of zeros; its scale is read as 1."""
    w = rng("zeros").normal(size=(8, 3))
    w[:, 1] = 0
    return [(w,), (np.zeros((4, 2)),)]


def dequantise(q, scale):
    """Return scale · q, unit by unit."""
    return np.asarray(q, dtype=float) * scale


DEQUANTISE: Mistakes = {
    "You divide by the scale; quantising did that, so multiply here.": lambda q, s: q / s,
    "One scale for all: each unit has its own.": lambda q, s: q * s[0],
    "The mean of all scales: each unit has its own.": lambda q, s: q * np.mean(s),
    "Your result is cut to whole numbers.": lambda q, s: np.trunc(q * s),
}


def restored(value: Any) -> np.ndarray:
    """Read an array of floating-point numbers."""
    if not hasattr(value, "shape"):
        raise Wrong(f"Your result is {describe(value)}; expected an array.")
    return array(value, dtype="float")


def stored() -> list[tuple[Any, ...]]:
    """Return whole numbers and scales, one for each unit."""
    draw = rng("dequantise")
    return [
        (draw.integers(-127, 128, shape).astype(np.int8),
         draw.uniform(0.05, 0.9, shape[-1]).astype(np.float32))
        for shape in ((7, 4), (5, 5), (3, 3, 2, 3))
    ]  # fmt: skip


_TOP = float(np.finfo(np.float16).max)


def to_float16(
    weights, cut=lambda w: np.clip(w, -_TOP, _TOP), halve=lambda w: w.dtype.kind == "f",
    told=lambda saved, weights: saved,
):  # fmt: skip
    """Return the arrays as stored and the share of the bytes that is saved."""
    with np.errstate(all="ignore"):
        halves = [cut(w).astype(np.float16) if halve(w) else w for w in weights]
    after = sum(2 * w.size if w.dtype.kind == "f" else w.nbytes for w in weights)
    return halves, told(1 - after / sum(w.nbytes for w in weights), weights)


_half = partial(partial, to_float16)
TO_FLOAT16: Mistakes = {
    "A weight has become infinite: cut what lies beyond 65,504.": _half(cut=lambda w: w),
    "Large negative weights have become −∞: cut at −65,504 too.":
        _half(cut=lambda w: np.minimum(w, _TOP)),
    "Weights beyond 65,504 have become 0; cut them to it.":
        _half(cut=lambda w: np.where(np.abs(w) > _TOP, 0, w)),
    "Arrays of whole numbers have become float16; leave them alone.": _half(halve=lambda w: True),
    "Only float32 becomes float16; every floating-point type is meant.":
        _half(halve=lambda w: w.dtype == np.float32),
    "Your share is the one that is kept.": _half(told=lambda saved, weights: 1 - saved),
    "Your share is the saved part of the new size; it is wanted of the size before.":
        _half(told=lambda saved, weights: saved / (1 - saved)),
    "You count numbers; an array of whole numbers may have one byte for each, so count bytes.":
        _half(told=lambda saved, weights: 0.5 * sum(w.size for w in weights if w.dtype.kind == "f")
              / sum(w.size for w in weights)),
    "Your share is in per cent.": _half(told=lambda saved, weights: 100 * saved),
    "You return the bytes saved; the share of all bytes is wanted.":
        _half(told=lambda saved, weights: saved * sum(w.nbytes for w in weights)),
    "Half is saved only where all is float32.": _half(told=lambda saved, weights: 0.5),
}  # fmt: skip
