"""The formulas of exercise 04, right and wrong.

Written once more, apart from `coursekit.scratch` and `coursekit.nets.folding`: a check that shared
code with what it checks would share its mistakes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Mistakes = dict[str, Callable[..., Any]]


def batch_norm(x: np.ndarray, gamma: Any, beta: Any, eps: float) -> np.ndarray:
    """Normalise each column by the batch's own statistics, then scale and shift."""
    return gamma * _hat(x, eps) + beta


def _hat(x: np.ndarray, eps: float) -> np.ndarray:
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)


def _along_rows(x: np.ndarray, eps: float) -> np.ndarray:
    mean, variance = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps)


BATCH_NORM_MISTAKES: Mistakes = {
    "Your mean and variance are taken along the wrong axis: over the features of each sample. That "
    "is layer normalisation; here each column has its own.": (
        lambda x, g, b, e: g * _along_rows(x, e) + b
    ),
    "You have one mean and one variance for the whole array; each column needs its own.": (
        lambda x, g, b, e: g * (x - x.mean()) / np.sqrt(x.var() + e) + b
    ),
    "`epsilon` is missing.": lambda x, g, b, e: g * _hat(x, 0.0) + b,
    "`epsilon` belongs under the root, to the variance, not to the standard deviation.": (
        lambda x, g, b, e: g * (x - x.mean(0)) / (x.std(0) + e) + b
    ),
    "Your variance divides by m − 1; the formula divides by m.": (
        lambda x, g, b, e: g * (x - x.mean(0)) / np.sqrt(x.var(0, ddof=1) + e) + b
    ),
    "The root is missing: divide by the standard deviation, not by the variance.": (
        lambda x, g, b, e: g * (x - x.mean(0)) / (x.var(0) + e) + b
    ),
    "The mean is not subtracted.": lambda x, g, b, e: g * x / np.sqrt(x.var(0) + e) + b,
    "The columns are normalised, but `gamma` and `beta` have no effect.": lambda x, g, b, e: _hat(
        x, e
    ),
    "`gamma` has no effect.": lambda x, g, b, e: _hat(x, e) + b,
    "`beta` has no effect.": lambda x, g, b, e: g * _hat(x, e),
    "`gamma` and `beta` have changed places.": lambda x, g, b, e: b * _hat(x, e) + g,
    "`beta` is added before `gamma` multiplies; it comes last.": (
        lambda x, g, b, e: g * (_hat(x, e) + b)
    ),
}


def backward(grad: np.ndarray, x: np.ndarray, gamma: np.ndarray, eps: float) -> tuple[Any, ...]:
    """Return the gradients with respect to x, gamma and beta."""
    return _gradients(grad, x, gamma, eps)


def _gradients(
    grad: np.ndarray,
    x: np.ndarray,
    gamma: Any,
    eps: float,
    *,
    mean_term: bool = True,
    hat_term: bool = True,
    power: float = 0.5,
    scaled: bool = True,
) -> tuple[Any, ...]:
    hat = _hat(x, eps)
    inner = grad.astype(float)
    if mean_term:
        inner = inner - grad.mean(axis=0)
    if hat_term:
        inner = inner - hat * (grad * hat).mean(axis=0)
    dx = (gamma if scaled else 1.0) * inner / (x.var(axis=0) + eps) ** power
    return dx, (grad * hat).sum(axis=0), grad.sum(axis=0)


def _with(**changes: Any) -> Callable[..., Any]:
    return lambda grad, x, gamma, eps: _gradients(grad, x, gamma, eps, **changes)


def _summed(grad: np.ndarray, x: np.ndarray, gamma: np.ndarray, eps: float) -> tuple[Any, ...]:
    hat, right = _hat(x, eps), backward(grad, x, gamma, eps)
    inner = grad - grad.sum(axis=0) - hat * (grad * hat).sum(axis=0)
    return gamma * inner / np.sqrt(x.var(axis=0) + eps), *right[1:]


def _changed(
    gamma: Callable[..., Any] | None = None, beta: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """Make a wrong backward pass from the right one: other gradients of gamma or beta."""

    def wrong(grad: np.ndarray, x: np.ndarray, scale: np.ndarray, eps: float) -> tuple[Any, ...]:
        dx, d_gamma, d_beta = backward(grad, x, scale, eps)
        hat = _hat(x, eps)
        return (
            dx,
            gamma(grad, x, hat) if gamma else d_gamma,
            beta(grad, x, hat) if beta else d_beta,
        )

    return wrong


BACKWARD_MISTAKES: Mistakes = {
    "Your gradient for x treats mean and variance as constants. They depend on every sample of the "
    "batch: two terms are missing.": _with(mean_term=False, hat_term=False),
    "In your gradient for x the mean of the gradient over the batch is missing.": _with(
        mean_term=False
    ),
    "In your gradient for x the term with x̂ is missing: the variance depends on x, too.": _with(
        hat_term=False
    ),
    "In your gradient for x `gamma` is missing.": _with(scaled=False),
    "In your gradient for x you divide by the variance; divide by the root of it (with "
    "`epsilon`).": _with(power=1.0),
    "In your gradient for x you take sums over the batch where the formula has means.": _summed,
    "The gradients for `gamma` and `beta` are means over the batch; the formula has sums.": (
        _changed(lambda g, x, hat: (g * hat).mean(0), lambda g, x, hat: g.mean(0))
    ),
    "The gradient for `beta` is not right: every sample's output contains `beta` once.": _changed(
        beta=lambda g, x, hat: g.mean(0)
    ),
    "The gradient for `gamma` must use x̂, the normalised values, not x.": _changed(
        gamma=lambda g, x, hat: (g * x).sum(0)
    ),
    "The gradient for `gamma` is a mean over the batch; the formula has a sum.": _changed(
        gamma=lambda g, x, hat: (g * hat).mean(0)
    ),
    "The gradients for `gamma` and `beta` have changed places.": (
        _changed(lambda g, x, hat: g.sum(0), lambda g, x, hat: (g * hat).sum(0))
    ),
}


def moving(batches: Sequence[np.ndarray], momentum: float) -> tuple[Any, ...]:
    """Return moving mean and moving variance after all batches, from 0 and 1."""
    return _moving(batches, momentum)


def _moving(
    batches: Sequence[np.ndarray],
    momentum: float,
    *,
    start: tuple[float, float] = (0.0, 1.0),
    spread: Callable[[np.ndarray], Any] = lambda batch: batch.var(axis=0),
) -> tuple[Any, ...]:
    mean, variance = (np.full(batches[0].shape[1], value) for value in start)
    for batch in batches:
        mean = mean * momentum + batch.mean(axis=0) * (1 - momentum)
        variance = variance * momentum + spread(batch) * (1 - momentum)
    return mean, variance


def _from_first(batches: Sequence[np.ndarray], momentum: float) -> tuple[Any, ...]:
    mean, variance = batches[0].mean(axis=0), batches[0].var(axis=0)
    for batch in batches[1:]:
        mean = mean * momentum + batch.mean(axis=0) * (1 - momentum)
        variance = variance * momentum + batch.var(axis=0) * (1 - momentum)
    return mean, variance


def _plain_means(batches: Sequence[np.ndarray], momentum: float) -> tuple[Any, ...]:
    return np.mean([b.mean(0) for b in batches], 0), np.mean([b.var(0) for b in batches], 0)


def _all_at_once(batches: Sequence[np.ndarray], momentum: float) -> tuple[Any, ...]:
    joined = np.concatenate(batches)
    return joined.mean(axis=0), joined.var(axis=0)


MOVING_MISTAKES: Mistakes = {
    "The roles are swapped: `momentum` is the share of the old average that stays.": (
        lambda batches, m: _moving(batches, 1 - m)
    ),
    "Your moving variance starts at 0; it starts at 1.": (
        lambda batches, m: _moving(batches, m, start=(0.0, 0.0))
    ),
    "Your moving mean starts at 1; it starts at 0.": (
        lambda batches, m: _moving(batches, m, start=(1.0, 1.0))
    ),
    "The two averages have changed places.": lambda batches, m: _moving(batches, m)[::-1],
    "Your averages start from the first batch; they start from 0 and 1.": _from_first,
    "The variance divides by m − 1; Keras averages the one that divides by m.": (
        lambda batches, m: _moving(batches, m, spread=lambda b: b.var(axis=0, ddof=1))
    ),
    "You average the standard deviation; the moving variance averages the variance.": (
        lambda batches, m: _moving(batches, m, spread=lambda b: b.std(axis=0))
    ),
    "Every batch counts alike in your averages: `momentum` has no effect.": _plain_means,
    "You join the batches to one; each batch makes one update of the averages.": _all_at_once,
    "Only the last batch counts in your averages.": lambda batches, m: _moving(batches[-1:], m),
    "Only the first batch counts in your averages.": lambda batches, m: _moving(batches[:1], m),
}


def predict(
    x: np.ndarray, gamma: Any, beta: Any, mean: Any, variance: Any, eps: float
) -> np.ndarray:
    """Normalise by the moving averages, then scale and shift."""
    return gamma * (x - mean) / np.sqrt(variance + eps) + beta


PREDICT_MISTAKES: Mistakes = {
    "You normalise by the batch's own statistics. At prediction an answer must not depend on who "
    "else asks: use the moving averages.": lambda x, g, b, m, v, e: batch_norm(x, g, b, e),
    "The mean of the batch is subtracted; at prediction it is the moving mean.": (
        lambda x, g, b, m, v, e: g * (x - x.mean(0)) / np.sqrt(v + e) + b
    ),
    "You divide by the batch's standard deviation; at prediction it comes from the moving "
    "variance.": lambda x, g, b, m, v, e: g * (x - m) / np.sqrt(x.var(0) + e) + b,
    "`epsilon` is missing.": lambda x, g, b, m, v, e: predict(x, g, b, m, v, 0.0),
    "`epsilon` belongs under the root, to the variance.": (
        lambda x, g, b, m, v, e: g * (x - m) / (np.sqrt(v) + e) + b
    ),
    "The root is missing: divide by the standard deviation, not by the variance.": (
        lambda x, g, b, m, v, e: g * (x - m) / (v + e) + b
    ),
    "The values are normalised, but `gamma` and `beta` have no effect.": (
        lambda x, g, b, m, v, e: predict(x, 1.0, 0.0, m, v, e)
    ),
    "`gamma` and `beta` have changed places.": lambda x, g, b, m, v, e: predict(x, b, g, m, v, e),
}


def counts(shape: tuple[int | None, ...], axis: int | list[int] = -1) -> tuple[float, ...]:
    """Return how many parameters BN has for inputs of this shape, and how many are trained."""
    places = _places(shape, axis)
    return 4.0 * places, 2.0 * places


def _places(shape: tuple[int | None, ...], axis: int | list[int]) -> int:
    return math.prod(shape[a] for a in ([axis] if isinstance(axis, int) else axis))


def _others(shape: tuple[int | None, ...], axis: int | list[int]) -> int:
    kept = {a % len(shape) for a in ([axis] if isinstance(axis, int) else axis)}
    return math.prod(n for i, n in enumerate(shape) if i and i not in kept)


def _pair(per_place: Callable[..., float], every: float = 4.0, trained: float = 2.0) -> Callable:
    def wrong(shape: tuple[int | None, ...], axis: int | list[int] = -1) -> tuple[float, ...]:
        n = per_place(shape, axis)
        return every * n, trained * n

    return wrong


COUNT_MISTAKES: Mistakes = {
    "You multiply the axes that `axis` does *not* name. In Keras it names those that are kept (in "
    "NumPy those that go away).": _pair(_others),
    "Your first number counts two vectors for each mean. Which two has a layer besides those that "
    "the gradient trains?": _pair(_places, 2.0, 2.0),
    "All parameters are trained in your count; which of the vectors are only estimated?": _pair(
        _places, 4.0, 4.0
    ),
    "You count the means only; each mean comes with a variance, a scale and a shift.": _pair(
        _places, 1.0, 1.0
    ),
    "The two numbers have changed places.": _pair(_places, 2.0, 4.0),
    "`axis` has no effect: you always take the last one.": _pair(lambda shape, axis: shape[-1]),
    "You count a mean for every value of a sample, whatever `axis` says.": _pair(
        lambda shape, axis: math.prod(shape[1:])
    ),
    "Several axes make a grid of places: multiply their lengths, do not add them.": _pair(
        lambda shape, axis: sum(shape[a] for a in ([axis] if isinstance(axis, int) else axis))
    ),
    "Of several axes only the first counts in your function.": _pair(
        lambda shape, axis: shape[axis if isinstance(axis, int) else axis[0]]
    ),
    "Of several axes only the last counts in your function.": _pair(
        lambda shape, axis: shape[axis if isinstance(axis, int) else axis[-1]]
    ),
}
