"""Exercise 12: random samples, judged by their distribution.

No two right samplers need to draw the same numbers, so a check compares many of them with the
distribution they should have.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import array

_MANY = 4_000


def log_uniform_distance(values: np.ndarray, low: float, high: float) -> float:
    """Largest difference between the share of samples below a value and the right share."""
    u = np.sort(np.log(values / low) / np.log(high / low))
    return _distance(u)


def _distance(u: np.ndarray) -> float:
    n = len(u)
    return float(np.max(np.abs(u - (np.arange(n) + 0.5) / n)) + 0.5 / n)


def check_log_uniform(answer: Any) -> None:
    """Compare many samples with a uniform logarithm."""
    for low, high in ((1e-4, 1.0), (0.02, 60.0), (1e-9, 1e-6)):
        values = _drawn(answer, low, high).astype(float)
        if (values <= 0).any():
            raise Wrong("Some of your values are negative or 0. Did you return the exponents?")
        if values.min() < low * (1 - 1e-6) or values.max() > high * (1 + 1e-6):
            raise Wrong(
                f"Some values lie outside {low:g} to {high:g}. Do the logarithm and the power you "
                "take have the same base?"
            )
        if log_uniform_distance(values, low, high) > 0.04:
            _name_the_distribution(values, low, high)
        if (np.diff(values) >= 0).all() or (np.diff(values) <= 0).all():
            raise Wrong("Your values come in order; they should be drawn at random.")
    _check_generator(answer, (1e-4, 1.0))


def _name_the_distribution(values: np.ndarray, low: float, high: float) -> None:
    uniform = np.sort((values - low) / (high - low))
    if _distance(uniform) < 0.04:
        raise Wrong("Your values are uniform: nearly all of them lie in the last power of ten.")
    if log_uniform_distance(values, np.exp(np.log10(low)), np.exp(np.log10(high))) < 0.04:
        raise Wrong("The logarithm and the power you take must have the same base.")
    if len(np.unique(values)) < 100:
        raise Wrong("Only a few different values come out; the exponent need not be whole.")
    raise Wrong("Your values are not log-uniform: some factors are likelier than others.")


def check_whole_numbers(answer: Any) -> None:
    """Count how often each number comes."""
    for low, high in ((2, 5), (0, 1), (-3, 4), (7, 7)):
        values = _drawn(answer, low, high)
        if values.dtype.kind not in "iu":
            raise Wrong(f"Your values have dtype {values.dtype}; expected an integer type.")
        if values.min() < low or values.max() > high:
            raise Wrong(f"Some values lie outside {low} to {high}.")
        missing = set(range(low, high + 1)) - set(values.tolist())
        if high in missing:
            raise Wrong(f"From {low} to {high} the upper end, {high}, never comes; it is included.")
        if low in missing:
            raise Wrong(f"From {low} to {high} the lower end, {low}, never comes; it is included.")
        counts = np.array([np.sum(values == k) for k in range(low, high + 1)])
        share = counts * len(counts) / _MANY
        if len(counts) > 2 and share[0] < 0.7 and share[-1] < 0.7:
            raise Wrong(
                "Both ends come only half as often as the others. Did you round uniform numbers?"
            )
        if share.min() < 0.8 or share.max() > 1.2:
            raise Wrong("Some numbers are likelier than others.")
    _check_generator(answer, (0, 1_000))


def _drawn(answer: Any, low: float, high: float) -> np.ndarray:
    draw = rng(f"{low} {high}")
    values = array(call(answer, low, high, _MANY, draw), "Your result", shape=(_MANY,))
    few = array(call(answer, low, high, 3, draw), "Your result for n=3", shape=(3,))
    return values if len(few) == 3 else few


def _check_generator(answer: Any, ends: tuple[float, float]) -> None:
    first, again, other = (
        array(call(answer, *ends, 20, np.random.default_rng(seed))) for seed in (1, 1, 2)
    )
    if not np.array_equal(first, again):
        raise Wrong(
            "Two equal generators give different values: draw from `rng` and from nothing else."
        )
    if np.array_equal(first, other):
        raise Wrong("Different generators give the same values: draw from `rng`.")
    draw = np.random.default_rng(1)
    one, two = (array(call(answer, *ends, 20, draw)) for _ in range(2))
    if np.array_equal(one, two):
        raise Wrong("Two calls with one generator give the same values: do not seed it anew.")
