"""Penalty, max-norm and early stopping of exercise 10, right and wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Arrays = Sequence[np.ndarray]


def penalty(kernels: Arrays, l1: float, l2: float) -> float:
    """λ1 · Σ|w| + λ2 · Σw² over all weights of all kernels."""
    w = np.concatenate([np.ravel(kernel) for kernel in kernels])
    return float(l1 * np.abs(w).sum() + l2 * np.square(w).sum())


def _each(kernels: Arrays, of: Callable[[np.ndarray], float]) -> float:
    return float(sum(of(np.asarray(kernel)) for kernel in kernels))


def _mean_of_all(kernels: Arrays, l1: float, l2: float) -> float:
    return penalty(kernels, l1, l2) / sum(np.size(kernel) for kernel in kernels)


PENALTY_MISTAKES: dict[str, Callable[..., Any]] = {
    "Only the first kernel counts in your function.": lambda ks, a, b: penalty(ks[:1], a, b),
    "You take the mean over each kernel's weights; the penalty is a sum, so it grows with the "
    "net.": lambda ks, a, b: _each(ks, lambda k: penalty([k], a, b) / k.size),
    "You take the mean over all weights; the penalty is a sum, so it grows with the net.": (
        _mean_of_all
    ),
    "The squares have a factor ½ that Keras' penalty does not have.": (
        lambda ks, a, b: penalty(ks, a, b / 2)
    ),
    "You add the weights themselves: negative ones cancel positive ones. Take absolute values.": (
        lambda ks, a, b: a * _each(ks, np.sum) + penalty(ks, 0, b)
    ),
    "The two coefficients have changed places.": lambda ks, a, b: penalty(ks, b, a),
    "The absolute values are missing: your penalty is ℓ2 alone.": (
        lambda ks, a, b: penalty(ks, 0, b)
    ),
    "The squares are missing: your penalty is ℓ1 alone.": lambda ks, a, b: penalty(ks, a, 0),
    "You take the root of the sum of squares, the norm; the penalty has no root.": (
        lambda ks, a, b: penalty(ks, a, 0) + b * math.sqrt(penalty(ks, 0, 1))
    ),
    "You take the root of each kernel's sum of squares, its norm; the penalty has no root.": (
        lambda ks, a, b: penalty(ks, a, 0) + b * _each(ks, lambda k: np.sqrt(np.sum(k**2)))
    ),
}


def max_norm(kernel: np.ndarray, r: float) -> np.ndarray:
    """Shorten every unit, the last axis, to ℓ2 norm ≤ r."""
    columns = np.reshape(kernel, (-1, np.shape(kernel)[-1]))
    sizes = np.sqrt(np.square(columns).sum(axis=0))
    return np.reshape(columns * (r / np.maximum(sizes, r)), np.shape(kernel))


def _over(w: np.ndarray, r: float, axis: Any, size: Callable[..., Any] | None = None) -> np.ndarray:
    if size is None:
        norms = np.sqrt(np.sum(w**2, axis=axis, keepdims=True))
    else:
        norms = size(w, axis)
    return w * (r / np.maximum(norms, r))


def _units(w: np.ndarray) -> tuple[int, ...]:
    return tuple(range(w.ndim - 1))


def _grown(w: np.ndarray, r: float) -> np.ndarray:
    return w * r / np.sqrt(np.sum(w**2, axis=_units(w), keepdims=True))


def _to_one(w: np.ndarray, r: float) -> np.ndarray:
    norms = np.sqrt(np.sum(w**2, axis=_units(w), keepdims=True))
    return np.where(norms > r, w / norms, w)


MAX_NORM_MISTAKES: dict[str, Callable[..., Any]] = {
    "Short units become longer: only those beyond r are changed.": _grown,
    "All weights of the kernel have one norm together; each unit has its own.": (
        lambda w, r: _over(w, r, None)
    ),
    "The root is missing: the norm is the root of the sum of squares.": (
        lambda w, r: _over(w, r, _units(w), lambda v, axis: np.sum(v**2, axis=axis, keepdims=True))
    ),
    "You add absolute values; the ℓ2 norm is the root of the sum of squares.": (
        lambda w, r: _over(
            w, r, _units(w), lambda v, axis: np.sum(np.abs(v), axis=axis, keepdims=True)
        )
    ),
    "You cut every weight to [−r, r] by itself: that turns the arrow and leaves the norm free.": (
        lambda w, r: np.clip(w, -r, r)
    ),
    "Units that are too long end with norm 1, not r.": _to_one,
    "Units that are too long become 0; they must keep the norm r.": (
        lambda w, r: w * (np.sqrt(np.sum(w**2, axis=_units(w), keepdims=True)) <= r)
    ),
}
DENSE_MISTAKES: dict[str, Callable[..., Any]] = {
    "For a Dense kernel, [in, out], you have one norm for each input; one for each unit is "
    "wanted.": lambda w, r: _over(w, r, 1),
    **MAX_NORM_MISTAKES,
}
CONV_MISTAKES: dict[str, Callable[..., Any]] = {
    "Right for Dense. On a Conv2D kernel, [height, width, in, out], you sum over the height alone, "
    "so a filter as a whole is not capped.": lambda w, r: _over(w, r, 0),
    "Right for Dense. On a Conv2D kernel you sum over height and width alone; a filter has several "
    "input channels, and one norm over all of them.": lambda w, r: _over(w, r, (0, 1)),
    "Right for Dense. On a Conv2D kernel you take the first axis for the filters; it is the "
    "height. (A kernel has no axis for samples.)": lambda w, r: _over(w, r, (1, 2, 3)),
    "Right for Dense. On a Conv2D kernel you take the third axis for the filters; it is the input "
    "channel.": lambda w, r: _over(w, r, (0, 1, 3)),
    "Right for Dense. On a Conv2D kernel you sum over the filters too, or over them only.": (
        lambda w, r: _over(w, r, 3)
    ),
    **MAX_NORM_MISTAKES,
}


def early_stopping(
    losses: Sequence[float], patience: int, min_delta: float, mistake: str = ""
) -> tuple[int, int]:
    """Return (best epoch, last epoch), counted from 0."""
    best, best_epoch, waited = math.inf, 0, 0
    previous = math.inf
    limit = patience + {"late": 1, "soon": -1}.get(mistake, 0)
    sign = -1 if mistake == "highest" else 1
    if mistake == "ignored":
        min_delta = 0.0
    for epoch, value in enumerate(losses):
        loss = sign * value
        reference = previous if mistake == "previous" else best
        better = loss < reference - min_delta
        if mistake == "equal":
            better = loss <= reference - min_delta
        if better:
            best, best_epoch, waited = loss, epoch, (waited if mistake == "kept" else 0)
        else:
            waited += 1
            if mistake == "small" and loss < best:
                best, best_epoch = loss, epoch
            if waited >= max(limit, 1):
                break
        previous = loss
    if mistake == "future":
        best_epoch = int(np.nanargmin(losses))
    if mistake == "stop":
        best_epoch = epoch
    return best_epoch, epoch


EARLY_STOPPING_MISTAKES: dict[str, Callable[..., Any]] = {
    reason: (lambda ls, p, d, m=mistake: early_stopping(ls, p, d, m))
    for reason, mistake in {
        "You stop one epoch late: when `patience` epochs in a row have brought nothing, the last "
        "of them is the end.": "late",
        "You stop one epoch too soon: `patience` epochs must have brought nothing.": "soon",
        "An improvement does not set your counter back to 0: the epochs must be in a row.": "kept",
        "You compare with the epoch before; compare with the best so far.": "previous",
        "`min_delta` has no effect in your function.": "ignored",
        "A loss that is just as good counts as an improvement in your function; it must be lower "
        "by more than `min_delta`.": "equal",
        "You look for the highest value; a loss is better when it is lower.": "highest",
        "Your best epoch lies after the end: it looks at losses of epochs that never ran, because "
        "training had stopped.": "future",
        "Your best epoch is the one at which training ends.": "stop",
        "An improvement by less than `min_delta` counts for your best epoch, but not for the "
        "counter; it is no improvement for either.": "small",
    }.items()
}
EARLY_STOPPING_MISTAKES |= {
    "The two are in the wrong order: first the best epoch, then the last one.": (
        lambda ls, p, d: early_stopping(ls, p, d)[::-1]
    ),
    "You count epochs from 1; count from 0.": (
        lambda ls, p, d: tuple(epoch + 1 for epoch in early_stopping(ls, p, d))
    ),
}
