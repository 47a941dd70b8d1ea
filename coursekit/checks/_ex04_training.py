"""Exercise 04: batch normalisation in training, right and wrong, apart from `coursekit.scratch`.

In a table x is a batch, g its γ, b its β, e its ε, d the gradient of the output, p the momentum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks.kit.compare import rng

Mistakes = dict[str, Callable[..., Any]]

NO_EPSILON = "`epsilon` is missing."
NO_ROOT = "The root is missing: divide by the standard deviation, not by the variance."
OUTSIDE = "`epsilon` belongs under the root, to the variance, not to the standard deviation."
NO_EFFECT = "The values are normalised, but `gamma` and `beta` have no effect."
NO_GAMMA, NO_BETA = "`gamma` has no effect.", "`beta` has no effect."
SWAPPED = "`gamma` and `beta` have changed places."
BETA_FIRST = "`beta` is added before `gamma` multiplies; it comes last."


def batches() -> list[tuple[Any, ...]]:
    """Return batches with γ, β and an ε large enough to be missed."""
    draw, cases = rng("batches"), []
    for shape, eps in (((5, 3), 0.1), ((8, 8), 0.02), ((3, 6), 0.5), ((20, 2), 0.001)):
        n = shape[1]
        x = draw.normal(draw.uniform(-3, 3, n), draw.uniform(0.3, 2, n), shape)
        gamma = draw.uniform(0.5, 2, n) * draw.choice([-1, 1], n)
        cases.append((x, gamma, draw.normal(size=n), eps))
    return cases


def _hat(x: np.ndarray, e: float, **axis: Any) -> np.ndarray:
    return (x - x.mean(**axis)) / np.sqrt(x.var(**axis) + e)


def batch_norm(x, gamma, beta, epsilon):
    """Normalise each column by the batch's own statistics, then scale and shift."""
    return gamma * _hat(x, epsilon, axis=0) + beta


BATCH_NORM: Mistakes = {
    "Your mean and variance are taken along the wrong axis: over the features of each sample. "
    "That is layer normalisation; here each column has its own.":
        lambda x, g, b, e: g * _hat(x, e, axis=1, keepdims=True) + b,
    "You have one mean and one variance for the whole array; each column needs its own.":
        lambda x, g, b, e: g * _hat(x, e) + b,
    NO_EPSILON: lambda x, g, b, e: batch_norm(x, g, b, 0.0),
    OUTSIDE: lambda x, g, b, e: g * (x - x.mean(0)) / (x.std(0) + e) + b,
    "Your variance divides by B − 1; the formula divides by B.":
        lambda x, g, b, e: g * (x - x.mean(0)) / np.sqrt(x.var(0, ddof=1) + e) + b,
    NO_ROOT: lambda x, g, b, e: g * (x - x.mean(0)) / (x.var(0) + e) + b,
    "The mean is not subtracted.": lambda x, g, b, e: g * x / np.sqrt(x.var(0) + e) + b,
    NO_EFFECT: lambda x, g, b, e: batch_norm(x, 1, 0, e),
    NO_GAMMA: lambda x, g, b, e: batch_norm(x, 1, b, e),
    NO_BETA: lambda x, g, b, e: batch_norm(x, g, 0, e),
    SWAPPED: lambda x, g, b, e: batch_norm(x, b, g, e),
    BETA_FIRST: lambda x, g, b, e: g * batch_norm(x, 1, b, e),
}  # fmt: skip


def backward(grad, x, gamma, epsilon):
    """The gradients with respect to x, γ and β."""
    return _gradients(grad, x, gamma, epsilon)


def _gradients(
    d, x, g, e, *, hat=_hat, mean=np.mean, hat_mean=np.mean, power=0.5, of_g=None, of_b=None
):
    hat = hat(x, e, axis=0)
    inner = d - mean(d, axis=0) - hat * hat_mean(d * hat, axis=0)
    return (g * inner / (x.var(axis=0) + e) ** power,
            of_g(d, x, hat) if of_g else (d * hat).sum(axis=0),
            of_b(d, x, hat) if of_b else d.sum(axis=0))  # fmt: skip


def _none(d: np.ndarray, axis: int) -> float:
    return 0.0


def _of_all(d: np.ndarray, axis: int) -> np.ndarray:
    return d.mean()


def _but(**changes: Any) -> Callable[..., Any]:
    return lambda *case: _gradients(*case, **changes)


def _mean_hat(d: np.ndarray, x: np.ndarray, hat: np.ndarray) -> np.ndarray:
    return (d * hat).mean(axis=0)


def _mean_d(d: np.ndarray, x: np.ndarray, hat: np.ndarray) -> np.ndarray:
    return d.mean(axis=0)


BACKWARD: Mistakes = {
    "Your gradient for x treats mean and variance as constants. They depend on every sample of "
    "the batch: two terms are missing.": _but(mean=_none, hat_mean=_none),
    "In your gradient for x the mean of the gradient over the batch is missing.": _but(mean=_none),
    "In your gradient for x the term with x̂ is missing, or always 0 (a mean of products is no "
    "product of means): the variance depends on x, too.":
        _but(hat_mean=_none),
    "In your gradient for x `gamma` is missing.": lambda d, x, g, e: _gradients(d, x, 1.0, e),
    "In your gradient for x you divide by the variance; divide by the root of it (with "
    "`epsilon`).": _but(power=1.0),
    "In your gradient for x you take sums over the batch where the formula has means.":
        _but(mean=np.sum, hat_mean=np.sum),
    "In your gradient for x a mean runs over the whole array; a bar is the mean over the samples, "
    "`.mean(axis=0)`.": _but(hat_mean=_of_all),
    "In your gradient for x both means run over the whole array; a bar is the mean over the "
    "samples, `.mean(axis=0)`.": _but(mean=_of_all, hat_mean=_of_all),
    "In your x̂ `epsilon` stands outside the root: it belongs to the variance.":
        _but(hat=lambda x, e, axis: (x - x.mean(axis)) / (x.std(axis) + e)),
    "In your x̂ `epsilon` is missing.": _but(hat=lambda x, e, axis: _hat(x, 0.0, axis=axis)),
    NO_EPSILON: lambda d, x, g, e: _gradients(d, x, g, 0.0),
    "The gradients for `gamma` and `beta` are means over the batch; the formula has sums.":
        _but(of_g=_mean_hat, of_b=_mean_d),
    "The gradient for `beta` is a mean; the formula has a sum.": _but(of_b=_mean_d),
    "The gradient for `gamma` must use x̂, the normalised values, not x.":
        _but(of_g=lambda d, x, hat: (d * x).sum(axis=0)),
    "The gradient for `gamma` is a mean; the formula has a sum.": _but(of_g=_mean_hat),
    "The gradients for `gamma` and `beta` have changed places.":
        lambda *case: tuple(_gradients(*case)[i] for i in (0, 2, 1)),
}  # fmt: skip


def moving_averages(batches, momentum):
    """Moving mean and moving variance after all batches, from 0 and 1."""
    return _moving(batches, momentum)


def _moving(batches, momentum, *, start=(0.0, 1.0), spread=np.var, **ddof):
    mean, variance = (value + 0 * batches[0][0] for value in start)
    for batch in batches:
        mean = mean * momentum + batch.mean(axis=0) * (1 - momentum)
        variance = variance * momentum + spread(batch, axis=0, **ddof) * (1 - momentum)
    return mean, variance


def logs() -> list[tuple[list[np.ndarray], float]]:
    draw = rng("moving")
    return [([draw.normal(2.0, 1.7, size=(m, n)) for m in sizes], momentum)
            for sizes, n, momentum in (((4, 4, 4), 3, 0.9), ((6, 6, 6, 6, 2), 1, 0.7),
                                       ((5, 3), 4, 0.25))]  # fmt: skip


MOVING: Mistakes = {
    "The roles are swapped: `momentum` is the share of the old average that stays.":
        lambda batches, p: _moving(batches, 1 - p),
    "Your moving variance starts at 0; it starts at 1.":
        lambda batches, p: _moving(batches, p, start=(0.0, 0.0)),
    "Your moving mean starts at 1; it starts at 0.":
        lambda batches, p: _moving(batches, p, start=(1.0, 1.0)),
    "The two averages have changed places.": lambda batches, p: _moving(batches, p)[::-1],
    "Your averages start from the first batch; they start from 0 and 1.":
        lambda batches, p: _moving(
            batches[1:], p, start=(batches[0].mean(axis=0), batches[0].var(axis=0))),
    "The variance divides by B − 1; Keras averages the one that divides by B.":
        lambda batches, p: _moving(batches, p, ddof=1),
    "You average the standard deviation; the moving variance averages the variance.":
        lambda batches, p: _moving(batches, p, spread=np.std),
    "Every batch counts alike in your averages: `momentum` has no effect.":
        lambda batches, p: tuple(np.mean([f(b, axis=0) for b in batches], axis=0)
                                 for f in (np.mean, np.var)),
    "You join the batches to one; each batch makes one update of the averages.":
        lambda batches, p: tuple(f(np.concatenate(batches), axis=0) for f in (np.mean, np.var)),
    "Only the last batch counts in your averages.": lambda batches, p: _moving(batches[-1:], p),
    "Only the first batch counts in your averages.": lambda batches, p: _moving(batches[:1], p),
}  # fmt: skip
