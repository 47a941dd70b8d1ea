"""The formulas of exercise 11, right and wrong.

Written once more, apart from `coursekit.analysis.uncertainty`: a check that shared code with what
it checks would share its mistakes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def kernel_for_prediction(kernel: np.ndarray, rate: float) -> np.ndarray:
    """Weights × keep probability (Srivastava et al., 2014, section 4)."""
    return (1.0 - rate) * kernel


KERNEL_MISTAKES: dict[str, Callable[..., Any]] = {
    "Your weights grow. At prediction more units send than in training, so each of them must count "
    "for less.": lambda kernel, rate: kernel / (1 - rate),
    "Your factor is the share of units that were dropped. Which share of them was there in "
    "training?": lambda kernel, rate: kernel * rate,
    "Your weights grow, and by the rate: which units were there in training, and which are now?": (
        lambda kernel, rate: kernel / rate
    ),
    "The kernel is unchanged: then the next layer receives more than it ever did in training.": (
        lambda kernel, rate: kernel
    ),
}


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """−Σ p ln p over the last axis, 0 where p is 0."""
    p = np.asarray(probabilities, dtype=float)
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)


ENTROPY_MISTAKES: dict[str, Callable[..., Any]] = {
    "The sign is wrong: an entropy is never negative.": lambda p: -entropy(p),
    "You took the logarithm to base 2; nats need the natural one.": lambda p: (
        entropy(p) / np.log(2)
    ),
    "You took the logarithm to base 10; nats need the natural one.": (
        lambda p: entropy(p) / np.log(10)
    ),
    "You average over the classes; the entropy is the sum.": lambda p: entropy(p) / p.shape[-1],
    "You add up ln p; each has to be weighted by its p.": (
        lambda p: -np.sum(np.log(np.where(p > 0, p, 1.0)), axis=-1)
    ),
    "Only the largest probability counts in yours; the entropy needs all of them.": (
        lambda p: -p.max(axis=-1) * np.log(p.max(axis=-1))
    ),
    "That is minus the logarithm of the largest probability.": lambda p: -np.log(p.max(axis=-1)),
    "That is 1 minus the largest probability; the entropy needs all of them.": (
        lambda p: 1 - p.max(axis=-1)
    ),
}


def information(samples: np.ndarray) -> np.ndarray:
    """H[mean over passes] − mean over passes of H."""
    p = np.asarray(samples, dtype=float)
    return np.maximum(entropy(p.mean(axis=0)) - entropy(p).mean(axis=0), 0.0)


INFORMATION_MISTAKES: dict[str, Callable[..., Any]] = {
    "That is the entropy of the average prediction alone: it is above 0 even where all passes "
    "agree.": lambda s: entropy(s.mean(axis=0)),
    "That is the average entropy of the single passes: it does not see whether they disagree.": (
        lambda s: entropy(s).mean(axis=0)
    ),
    "The two terms have changed places: yours is never positive.": lambda s: -information(s),
    "You add the two terms; the second one is to be taken away.": (
        lambda s: entropy(s.mean(axis=0)) + entropy(s).mean(axis=0)
    ),
    "You take away the sum of the single entropies; their average is wanted.": (
        lambda s: entropy(s.mean(axis=0)) - entropy(s).sum(axis=0)
    ),
    "You took the logarithm to base 2; nats need the natural one.": (
        lambda s: information(s) / np.log(2)
    ),
    "That is a spread of the passes, not the difference of two entropies.": (
        lambda s: s.std(axis=0).mean(axis=-1)
    ),
}


def alpha_correction(rate: float, lowest: float) -> tuple[float, float]:
    """Return a and b (Klambauer et al., 2017) in the notation of the notebook."""
    a = ((1 - rate) * (1 + rate * lowest**2)) ** -0.5
    return a, -a * rate * lowest


def _of(rate: float, lowest: float, change: Callable[[float, float], tuple]) -> tuple:
    return change(*alpha_correction(rate, lowest))


def _without_square_of_mean(rate: float, lowest: float) -> tuple[float, float]:
    a = ((1 - rate) + rate * lowest**2) ** -0.5
    return a, -a * rate * lowest


def _rates_swapped(rate: float, lowest: float) -> tuple[float, float]:
    return alpha_correction(1 - rate, lowest)


ALPHA_MISTAKES: dict[str, Callable[..., Any]] = {
    "The mean moves the wrong way: look at the sign of b.": (
        lambda r, low: _of(r, low, lambda a, b: (a, -b))
    ),
    "The values are scaled first, so the mean to be taken away is scaled too; your b forgets it.": (
        lambda r, low: _of(r, low, lambda a, b: (a, b / a))
    ),
    "Your a is the standard deviation of the mixture; dividing by it is wanted.": (
        lambda r, low: (1 / alpha_correction(r, low)[0], -r * low / alpha_correction(r, low)[0])
    ),
    "Your a is 1 over the variance: a root is missing.": (
        lambda r, low: (
            alpha_correction(r, low)[0] ** 2,
            -(alpha_correction(r, low)[0] ** 2) * r * low,
        )
    ),
    "Your a leaves out that the mean is not 0: the variance is the mean square minus the square of "
    "the mean.": _without_square_of_mean,
    "`rate` and the keep probability have changed places.": _rates_swapped,
    "The scale is right, but the mean is not put back: b is 0.": (
        lambda r, low: _of(r, low, lambda a, b: (a, 0.0))
    ),
    "The pair is the other way round: a first, then b.": (
        lambda r, low: alpha_correction(r, low)[::-1]
    ),
    "That is ordinary dropout's scaling; here the dropped units are not 0 but `lowest`.": (
        lambda r, low: (1 / (1 - r), 0.0)
    ),
}
