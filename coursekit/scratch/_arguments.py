"""Checks of arguments, each failing with one sentence that says what to do."""

from __future__ import annotations

import random
from numbers import Real
from typing import Any

import numpy as np

from coursekit.base.numbers import whole_number
from coursekit.errors import ArgumentError

Seed = int | np.random.Generator | None


def number(name: str, value: Any, low: float, high: float = np.inf, *, ends: str = "[)") -> float:
    """Return `value` as a float after checking that it lies in the interval.

    `ends` is "[]", "[)", "(]" or "()": whether each end belongs to the interval.
    Raises TypeError for anything but a real number, ArgumentError outside the interval.

    >>> number("rate", 0, low=0, high=1)
    0.0
    >>> number("rate", 1.0, low=0, high=1)
    Traceback (most recent call last):
    coursekit.errors.ArgumentError: rate must be a number in [0, 1), got 1.0.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}.")
    above = value >= low if ends[0] == "[" else value > low
    below = value <= high if ends[1] == "]" else value < high
    if not (above and below):
        interval = f"{ends[0]}{low:g}, {high:g}{ends[1]}"
        raise ArgumentError(f"{name} must be a number in {interval}, got {value!r}.")
    return float(value)


def real_array(name: str, value: Any) -> np.ndarray:
    """Return `value` as a float64 array; TypeError if it does not hold real numbers."""
    array = np.asarray(value)
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name} must be an array of real numbers, got dtype {array.dtype}.")
    return array.astype(np.float64, copy=False)


def generator(seed: Seed) -> np.random.Generator:
    """Return a NumPy generator: `seed` itself if it is one, else one made from it.

    None takes the next number of Python's `random`, as Keras does: `ck.setup(seed=...)` then makes
    even unseeded layers repeat, and two layers still get different weights.
    """
    if isinstance(seed, np.random.Generator):
        return seed
    if seed is None:
        return np.random.default_rng(random.getrandbits(64))
    return np.random.default_rng(whole_number("seed", seed, least=0))
