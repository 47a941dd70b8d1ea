"""The functions of exercise 03, right and wrong.

Written once more, apart from `coursekit.scratch.activations`: a check that shared code with what
it checks would share its mistakes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

Mistakes = dict[str, Callable[..., Any]]
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805


def leaky_relu(z: np.ndarray, negative_slope: float) -> np.ndarray:
    """Two half-lines, as the mean of a line and a V."""
    return (1 + negative_slope) / 2 * z + (1 - negative_slope) / 2 * np.abs(z)


LEAKY_RELU_MISTAKES: Mistakes = {
    "The slope has the wrong sign: for a negative z the result is negative, too.": (
        lambda z, a: np.where(z > 0, z, -a * z)
    ),
    "The slope acts on the positive side; that side stays as it is.": (
        lambda z, a: np.where(z > 0, a * z, z)
    ),
    "Both sides have the small slope.": lambda z, a: a * z,
    "That is ReLU: below 0 the slope has no effect.": lambda z, a: np.maximum(z, 0),
    "Below 0 your result does not depend on z: the slope multiplies z.": (
        lambda z, a: np.where(z > 0, z, a)
    ),
    "Below 0 your result does not depend on z: the slope multiplies z, it is no floor.": (
        lambda z, a: np.maximum(z, -a)
    ),
    "Your slope is fixed at 0.01; `negative_slope` has no effect.": (
        lambda z, a: np.where(z > 0, z, 0.01 * z)
    ),
    "Your slope is fixed at 0.2; `negative_slope` has no effect.": (
        lambda z, a: np.where(z > 0, z, 0.2 * z)
    ),
}


def elu(z: np.ndarray, alpha: float) -> np.ndarray:
    """Return z above 0; below, an exponential that levels off at −alpha."""
    return np.maximum(z, 0) + alpha * special.expm1(np.minimum(z, 0))


ELU_MISTAKES: Mistakes = {
    "`alpha` has no effect: it works as if it were 1.": lambda z, a: elu(z, 1.0),
    "`alpha` multiplies the exponential only; it multiplies the whole difference.": (
        lambda z, a: np.where(z > 0, z, a * np.exp(z) - 1)
    ),
    "The −1 is missing: at 0 both sides must meet.": lambda z, a: np.where(z > 0, z, a * np.exp(z)),
    "The lower side has the wrong sign.": lambda z, a: np.where(z > 0, z, -a * np.expm1(z)),
    "The exponential is on both sides; above 0 the result is z.": lambda z, a: a * np.expm1(z),
    "`alpha` multiplies the positive side, too.": lambda z, a: a * elu(z, 1.0),
    "`alpha` stands inside the exponential; it multiplies from outside.": (
        lambda z, a: np.where(z > 0, z, np.expm1(a * z))
    ),
    "Below 0 the exponent has the wrong sign.": (lambda z, a: np.where(z > 0, z, a * np.expm1(-z))),
    "The two sides have changed places.": lambda z, a: np.where(z <= 0, z, a * np.expm1(z)),
}


def selu(z: np.ndarray) -> np.ndarray:
    """SCALE times ELU with ALPHA."""
    return SCALE * elu(z, ALPHA)


SELU_MISTAKES: Mistakes = {
    "That is ELU with the right α; the factor λ is missing.": lambda z: elu(z, ALPHA),
    "λ multiplies the negative side only; it multiplies the whole.": (
        lambda z: np.where(z > 0, z, SCALE * elu(z, ALPHA))
    ),
    "λ multiplies the positive side only; it multiplies the whole.": (
        lambda z: np.where(z > 0, SCALE * z, elu(z, ALPHA))
    ),
    "α has no effect: it works as if it were 1.": lambda z: SCALE * elu(z, 1.0),
    "λ and α have changed places.": lambda z: ALPHA * elu(z, SCALE),
    "α multiplies the positive side, too.": lambda z: SCALE * ALPHA * elu(z, 1.0),
    "You divide by λ; multiply.": lambda z: elu(z, ALPHA) / SCALE,
}


def gelu(z: np.ndarray) -> np.ndarray:
    """Return z times the standard normal distribution function."""
    return z * special.ndtr(z)


def _density(z: np.ndarray) -> np.ndarray:
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def _gelu_tanh(z: np.ndarray) -> np.ndarray:
    return z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


GELU_MISTAKES: Mistakes = {
    "That is the approximation by tanh: close, but not the exact form.": _gelu_tanh,
    "That is Swish with β = 1.702: close, but an approximation.": lambda z: swish(z, 1.702),
    "That is Swish with β = 1.": lambda z: swish(z, 1.0),
    "That is Φ(z) alone; multiply it by z.": special.ndtr,
    "You multiply z by the density; Φ is the probability of all numbers below z.": (
        lambda z: z * _density(z)
    ),
    "The root of 2 is missing: erf takes z divided by it.": lambda z: z * (1 + special.erf(z)) / 2,
    "You multiply by the root of 2 inside erf; divide by it.": (
        lambda z: z * (1 + special.erf(z * np.sqrt(2))) / 2
    ),
    "You divide by 2 inside erf, not by its root.": lambda z: z * (1 + special.erf(z / 2)) / 2,
    "The factor ½ is missing: for a large z your result is twice as large.": (
        lambda z: 2 * z * special.ndtr(z)
    ),
    "The 1 under the bracket is missing.": lambda z: z * special.erf(z / np.sqrt(2)) / 2,
    "The ½ acts on a part only: a bracket is missing.": (
        lambda z: z * (1 + special.erf(z / np.sqrt(2)) / 2)
    ),
}


def swish(z: np.ndarray, beta: float) -> np.ndarray:
    """Return z times the sigmoid of beta z, by way of tanh."""
    return z * (1 + np.tanh(beta * z / 2)) / 2


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return (1 + np.tanh(z / 2)) / 2


SWISH_MISTAKES: Mistakes = {
    "`beta` has no effect: it works as if it were 1.": lambda z, b: swish(z, 1.0),
    "That is the sigmoid alone; multiply it by z.": lambda z, b: _sigmoid(b * z),
    "`beta` multiplies z outside, too; it belongs inside the sigmoid only.": (
        lambda z, b: b * swish(z, b)
    ),
    "`beta` stands outside; it belongs inside the sigmoid.": lambda z, b: b * swish(z, 1.0),
    "The exponent has the wrong sign: large z must pass, not small ones.": (
        lambda z, b: z * _sigmoid(-b * z)
    ),
    "You divide by `beta` inside the sigmoid; multiply.": lambda z, b: z * _sigmoid(z / b),
    "`beta` is added inside the sigmoid; multiply.": lambda z, b: z * _sigmoid(z + b),
    "Only `beta` is inside the sigmoid; z must be there as well.": lambda z, b: z * _sigmoid(b),
    "That is tanh in place of the sigmoid.": lambda z, b: z * np.tanh(b * z),
}


def mish(z: np.ndarray) -> np.ndarray:
    """Return z times tanh(softplus(z)), with softplus split at 0."""
    return z * np.tanh(_softplus(z))


def _softplus(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


MISH_MISTAKES: Mistakes = {
    "The softplus is missing: tanh gets softplus(z), not z.": lambda z: z * np.tanh(z),
    "The tanh is missing.": lambda z: z * _softplus(z),
    "The factor z is missing.": lambda z: np.tanh(_softplus(z)),
    "tanh and softplus have changed places.": lambda z: z * _softplus(np.tanh(z)),
    "That is a sigmoid in place of tanh.": lambda z: z * _sigmoid(_softplus(z)),
    "That is Swish: the sigmoid of z in place of tanh(softplus(z)).": lambda z: z * _sigmoid(z),
    "The sign of z in softplus is wrong.": lambda z: z * np.tanh(_softplus(-z)),
    "Softplus adds 1 before the logarithm; your 1 is outside.": lambda z: z * np.tanh(z + 1),
    "You multiply by the softplus once more; the factor is z.": (
        lambda z: _softplus(z) * np.tanh(_softplus(z))
    ),
}


def count_dead(batches: list[np.ndarray]) -> int:
    """Count the places on the last axis that are 0 everywhere."""
    rows = np.concatenate([np.reshape(batch, (-1, batch.shape[-1])) for batch in batches])
    return int(np.sum(np.max(np.abs(rows), axis=0) == 0))


def _silent(batch: np.ndarray) -> np.ndarray:
    return (np.reshape(batch, (-1, batch.shape[-1])) == 0).all(axis=0)


def _rows(batches: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.reshape(batch, (-1, batch.shape[-1])) for batch in batches])


COUNT_DEAD_MISTAKES: Mistakes = {
    "A unit that is silent in one batch counts as dead; it must be silent in all of them.": (
        lambda bs: int(np.any([_silent(b) for b in bs], axis=0).sum())
    ),
    "You add up the silent units of all batches, so that a unit counts more than once.": (
        lambda bs: int(sum(_silent(b).sum() for b in bs))
    ),
    "You average over the batches; a unit is dead if it is silent in all of them.": (
        lambda bs: float(np.mean([_silent(b).sum() for b in bs]))
    ),
    "Only the first batch counts in your function.": lambda bs: int(_silent(bs[0]).sum()),
    "Only the last batch counts in your function.": lambda bs: int(_silent(bs[-1]).sum()),
    "You count units that are 0 for at least one sample; a dead one is 0 for every sample.": (
        lambda bs: int((_rows(bs) == 0).any(axis=0).sum())
    ),
    "You count single zeros; a unit is one place on the last axis, over all samples.": (
        lambda bs: int((_rows(bs) == 0).sum())
    ),
    "You count the living; the dead are wanted.": lambda bs: bs[0].shape[-1] - count_dead(bs),
    "That is the share of dead units; their number is wanted.": (
        lambda bs: count_dead(bs) / bs[0].shape[-1]
    ),
    "You count samples for which every unit is 0: that is the other axis.": (
        lambda bs: int((_rows(bs) == 0).all(axis=1).sum())
    ),
    "A unit that speaks faintly, once, is alive; compare with 0 itself.": (
        lambda bs: int((_rows(bs).max(axis=0) < 1e-3).sum())
    ),
}
