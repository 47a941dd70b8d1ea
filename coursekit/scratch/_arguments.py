"""Arrays and seeds that a user gives: ready for use, or one sentence that says what is wrong."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from coursekit.base.numbers import whole_number

Seed = int | np.random.Generator | None


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
