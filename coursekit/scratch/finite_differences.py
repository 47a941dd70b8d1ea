"""The gradient check: is a backward pass the derivative of its forward pass?"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.base.numbers import number, whole_number
from coursekit.errors import ArgumentError
from coursekit.scratch._arguments import real_array


def gradient_check(
    layer: Any,
    x: Any,
    *,
    training: bool = True,
    step: float = 1e-5,
    entries: int = 200,
    seed: int = 0,
) -> float:
    """Return the largest relative error of `layer.backward` against central differences.

    The loss is a random weighted sum of the outputs. For the input and for each parameter the error
    is max |backward − numerical| / max(|backward|, |numerical|, 1e-3), maxima over the array; below
    1e-6 the backward pass is right. At most `entries` entries of each array are tried, drawn by
    `seed`. The layer is left as found, and dropout keeps one mask. Expect an error near 1 where
    an input lies within `step` of a kink such as ReLU's.

    layer: anything with `forward(x)` or `forward(x, training=...)`, `backward(grad)` and, if it
    has parameters, dicts `params` and `grads`. x: (n, …, features).
    Raises ArgumentError if `backward` returns or leaves an array of the wrong shape, or none.

    >>> from coursekit.scratch.layers import ReLU
    >>> gradient_check(ReLU(), [[1.0, -2.0]]) < 1e-6
    True
    """
    step = number("step", step, 0, ends="()")
    entries = whole_number("entries", entries, least=1)
    rng = np.random.default_rng(seed)
    x = real_array("x", x).copy()
    original = copy.deepcopy(layer)
    knows_training = "training" in inspect.signature(layer.forward).parameters
    options = {"training": training} if knows_training else {}

    def output(probe: Any) -> np.ndarray:
        return np.asarray(probe.forward(x.copy(), **options))

    probe = copy.deepcopy(original)
    weights = rng.standard_normal(output(probe).shape)
    arrays = [("x", x, probe.backward(weights.copy()))]
    grads = getattr(probe, "grads", {})
    for name, values in getattr(original, "params", {}).items():
        if name not in grads:
            raise ArgumentError(f"backward left no gradient grads[{name!r}] for its parameter.")
        arrays.append((f"params[{name!r}]", values, grads[name]))

    errors = []
    for name, values, gradient in arrays:
        gradient = np.asarray(gradient, dtype=np.float64)
        if gradient.shape != values.shape:
            raise ArgumentError(
                f"backward gives a gradient of shape {gradient.shape} for {name}, which has shape "
                f"{values.shape}."
            )
        chosen = rng.permutation(values.size)[:entries]
        # A fresh copy for each pass: the same dropout mask, and no moving average wanders off.
        numerical = _central_differences(
            lambda: output(copy.deepcopy(original)), weights, values, chosen, step
        )
        exact = gradient.ravel()[chosen]
        scale = np.max([np.abs(exact).max(), np.abs(numerical).max(), 1e-3])
        errors.append(np.abs(exact - numerical).max() / scale)
    return float(np.max(errors))


def _central_differences(
    output: Callable[[], np.ndarray],
    weights: np.ndarray,
    values: np.ndarray,
    chosen: np.ndarray,
    step: float,
) -> np.ndarray:
    """Return (f(v + step) − f(v − step)) / (2 step) for the chosen entries of `values`."""
    slopes = np.empty(len(chosen))
    for i, entry in enumerate(chosen):
        place = np.unravel_index(entry, values.shape)
        before = values[place]
        values[place] = before + step
        above = output()
        values[place] = before - step
        below = output()
        values[place] = before
        slopes[i] = np.sum(weights * (above - below)) / (2 * step)
    return slopes
