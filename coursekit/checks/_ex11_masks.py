"""Exercise 11: is this dropout? Told from which values are 0, and what the others are."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import array

_SHAPE = (300, 40)


def check_dropout(answer: Any) -> None:
    """Values and zeros, scaling, independence of units and samples, and the generator."""
    for rate in (0.3, 0.8):
        x = _inputs(f"dropout {rate}")
        results = [_drawn(answer, x, rate, seed) for seed in (1, 1, 2)]
        for result in results:
            require_dropped(x, result, rate)
        if not np.array_equal(results[0], results[1]):
            raise Wrong(
                "With a fresh generator of the same seed your mask is another one: draw all random "
                "numbers from `draw`."
            )
        if np.array_equal(results[0], results[2]):
            raise Wrong(
                "Your mask is the same whatever the generator: draw the random numbers from `draw`."
            )
        draw = np.random.default_rng(3)
        first, second = (array(call(answer, x, rate, draw), shape=x.shape) for _ in range(2))
        if np.array_equal(first, second):
            raise Wrong("Two steps with one generator get the same mask; each needs a new one.")
    if not np.allclose(_drawn(answer, x, 0.0, 4), x, rtol=1e-5):
        raise Wrong("With a rate of 0 the values must stay as they are.")
    alone = np.linspace(1, 2, 7)
    if array(call(answer, alone, 0.5, np.random.default_rng(5))).shape != alone.shape:
        raise Wrong("For an array with a single axis the shape of the result is not that of `x`.")


def _inputs(name: str) -> np.ndarray:
    draw = rng(name)
    return draw.choice([-1.0, 1.0], _SHAPE) * draw.uniform(0.5, 2.0, _SHAPE)


def _drawn(answer: Any, x: np.ndarray, rate: float, seed: int) -> np.ndarray:
    return array(call(answer, x, rate, np.random.default_rng(seed)), shape=x.shape)


def require_dropped(x: np.ndarray, result: np.ndarray, rate: float, when: str = "") -> None:
    """Raise Wrong unless `result` is `x` after inverted dropout with `rate`; x holds no 0."""
    zero = result == 0
    share = zero.mean()
    if share == 0:
        raise Wrong(f"Nothing is dropped{when}: none of the values is 0.")
    if share == 1:
        raise Wrong(f"Everything is dropped{when}.")
    _require_own_masks(zero)
    chance = 5 * np.sqrt(rate * (1 - rate) / x.size)
    if abs(share - rate) > chance:
        if abs(share - (1 - rate)) < chance:
            raise Wrong("You keep a value with probability `rate`; that is the share to drop.")
        raise Wrong(f"With rate={rate} your function drops {share:.0%} of the values{when}.")
    if zero.sum(axis=-1).std() < 0.3 * np.sqrt(x.shape[-1] * rate * (1 - rate)):
        raise Wrong(
            "Every sample loses the same number of units. Each unit is dropped by itself, so this "
            "number is random too."
        )
    _require_scaled(result[~zero] / x[~zero], rate)


def _require_own_masks(zero: np.ndarray) -> None:
    if (zero == zero[:1]).all():
        raise Wrong("All samples get the same mask; draw one for each value of `x`.")
    if (zero == zero[:, :1]).all():
        raise Wrong("You drop whole samples; draw one number for each value of `x`.")


def _require_scaled(factors: np.ndarray, rate: float) -> None:
    mistakes = {
        "The values that stay are not scaled, so the average falls.": 1.0,
        "You multiply by the keep probability; that makes up for the missing units the wrong "
        "way.": 1 - rate,
        "You divide by the rate; divide by the probability of staying.": 1 / rate,
        "You multiply by the rate; divide by the probability of staying.": rate,
        "You divide twice by the keep probability.": 1 / (1 - rate) ** 2,
    }
    if np.allclose(factors, 1 / (1 - rate), rtol=1e-4):
        return
    for reason, factor in mistakes.items():
        if np.allclose(factors, factor, rtol=1e-4):
            raise Wrong(reason)
    if np.ptp(factors) < 1e-4:
        raise Wrong("The values that stay are scaled by a wrong factor.")
    raise Wrong(
        "The values that stay are not all scaled by the same factor. It depends on the rate alone, "
        "not on how many were dropped this time."
    )
