"""The formulas of exercise 13, right and wrong: standardising, int8 and float16."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def standardised(train: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standardise both with the statistics of `train`, per feature; constant features give 0."""
    mean, std = _statistics(train)
    return (train - mean) / std, (other - mean) / std


def _statistics(x: np.ndarray, axis: Any = 0, ddof: int = 0) -> tuple[np.ndarray, np.ndarray]:
    std = x.std(axis=axis, ddof=ddof, keepdims=axis != 0)
    return x.mean(axis=axis, keepdims=axis != 0), np.where(std == 0, 1, std)


def _by_own(train: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple((x - mean) / std for x in (train, other) for mean, std in [_statistics(x)])


def _by_both(train: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, ...]:
    mean, std = _statistics(np.concatenate([train, other]))
    return (train - mean) / std, (other - mean) / std


def _with(change: Callable[..., tuple]) -> Callable[..., tuple[np.ndarray, ...]]:
    return lambda train, other: tuple(change(x, *_statistics(train)) for x in (train, other))


def _along(axis: Any) -> Callable[..., tuple[np.ndarray, ...]]:
    def wrong(train: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, ...]:
        mean, std = _statistics(train, axis)
        return (train - mean) / std, (other - mean) / std

    return wrong


STANDARDISE_MISTAKES: dict[str, Callable[..., Any]] = {
    "The second array has been standardised with its own statistics. A net sees those numbers "
    "through the eyes of the training data.": _by_own,
    "The statistics come from both arrays together: so the test data leak into the training.": (
        _by_both
    ),
    "The mean is not subtracted.": _with(lambda x, mean, std: x / std),
    "Nothing is divided by the standard deviation.": _with(lambda x, mean, std: x - mean),
    "You divide by the variance; the standard deviation is its root.": _with(
        lambda x, mean, std: (x - mean) / std**2
    ),
    "One mean and one deviation for all pixels together; each pixel has its own.": _along(None),
    "Only the second array is missing its standardising.": (
        lambda train, other: (standardised(train, other)[0], other)
    ),
}


def quantised(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return whole numbers from -127 to 127 and one scale for each unit (last axis)."""
    return _quantised(w)


def _quantised(
    w: np.ndarray,
    *,
    top: int = 127,
    axis: Any = "units",
    size: Callable = lambda w, axis: np.abs(w).max(axis=axis),
    rounded: Callable = np.rint,
) -> tuple[np.ndarray, np.ndarray]:
    axis = tuple(range(w.ndim - 1)) if axis == "units" else axis
    largest = np.asarray(size(w, axis), dtype=float)
    scale = np.where(largest == 0, top, largest) / top
    scale = np.broadcast_to(scale, w.shape[-1:])
    q = rounded(w / scale)
    return q, np.where(np.all(q == 0, axis=tuple(range(w.ndim - 1))), 1.0, scale)


QUANTISE_MISTAKES: dict[str, Callable[..., Any]] = {
    "One scale for the whole array; each unit (each column) has its own.": (
        lambda w: _quantised(w, axis=None)
    ),
    "Your numbers are cut off, not rounded: the error is up to twice as large.": (
        lambda w: _quantised(w, rounded=np.trunc)
    ),
    "Your numbers are rounded down, not to the nearest.": (
        lambda w: _quantised(w, rounded=np.floor)
    ),
    "Your scale belongs to 128 steps; a symmetric int8 has 127 on either side of 0.": (
        lambda w: _quantised(w, top=128)
    ),
    "Your scale looks only at positive weights; a unit's largest weight may be negative.": (
        lambda w: _quantised(w, size=lambda w, axis: w.max(axis=axis))
    ),
    "The scale comes from the spread of the weights, not from the largest: large ones are cut.": (
        lambda w: _quantised(w, size=lambda w, axis: w.std(axis=axis))
    ),
}


def restored(q: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return scale · q, unit by unit."""
    return np.asarray(q, dtype=float) * scale


RESTORE_MISTAKES: dict[str, Callable[..., Any]] = {
    "You divide by the scale; quantising did that, so multiply here.": lambda q, s: q / s,
    "One scale for all: each unit has its own.": lambda q, s: q * s[0],
    "The mean of all scales: each unit has its own.": lambda q, s: q * np.mean(s),
    "Your result is cut to whole numbers.": lambda q, s: np.trunc(q * s),
}

LARGEST = float(np.finfo(np.float16).max)


def halved(weights: Sequence[np.ndarray]) -> tuple[Any, ...]:
    """Return the arrays as stored and, last, the share of the bytes that is saved."""
    return (*_parts(weights), _share(weights))


def _parts(weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [
        np.clip(w, -LARGEST, LARGEST).astype(np.float16).astype(float) if w.dtype.kind == "f" else w
        for w in weights
    ]


def _share(weights: Sequence[np.ndarray]) -> float:
    before = sum(w.nbytes for w in weights)
    return 1 - sum(2 * w.size if w.dtype.kind == "f" else w.nbytes for w in weights) / before


def _saved(wrong: Callable[..., float]) -> Callable[..., tuple[Any, ...]]:
    return lambda weights: (*_parts(weights), wrong(weights))


HALVE_MISTAKES: dict[str, Callable[..., Any]] = {
    "Your share is the one that is kept; the share that is saved is wanted.": _saved(
        lambda weights: 1 - _share(weights)
    ),
    "Your share is the saved part of the new size; it is wanted of the size before.": _saved(
        lambda weights: _share(weights) / (1 - _share(weights))
    ),
    "You count numbers; an array of whole numbers may have one byte for each, so count bytes.": (
        _saved(
            lambda ws: (
                0.5 * sum(w.size for w in ws if w.dtype.kind == "f") / sum(w.size for w in ws)
            )
        )
    ),
    "Your share is in per cent; a number from 0 to 1 is wanted.": _saved(
        lambda weights: 100 * _share(weights)
    ),
    "You return the bytes saved; the share of all bytes is wanted.": _saved(
        lambda weights: _share(weights) * sum(w.nbytes for w in weights)
    ),
    "Half is saved only where every array holds floating-point numbers; some of these do "
    "not.": _saved(lambda weights: 0.5),
}
