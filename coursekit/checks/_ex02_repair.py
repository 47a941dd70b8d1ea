"""Exercise 02: a net of twins, and what it looks like once repaired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import number


def different(kernel: np.ndarray, tolerance: float = 1e-5) -> int:
    """Return how many columns differ from all before them by more than `tolerance` somewhere."""
    kept: list[np.ndarray] = []
    for column in kernel.T:
        if all(np.abs(column - other).max() > tolerance for other in kept):
            kept.append(column)
    return len(kept)


def _kernels() -> list[np.ndarray]:
    """Kernels with twins; values are far from where rounding to 3 to 7 places would part them."""
    draw = rng("different units")

    def grid(shape: tuple[int, ...]) -> np.ndarray:
        return np.round(draw.uniform(-1, 1, shape), 2) + 0.0001

    distinct = grid((7, 12))
    pairs = distinct[:, [0, 1, 2, 0, 3, 2, 4, 0]]
    first_row_alike = grid((6, 9))
    first_row_alike[0] = 0.5001
    permuted = np.stack([np.roll(distinct[:, 0], i) for i in range(5)], axis=1)
    return [
        distinct,
        np.full((5, 8), 0.2001),
        pairs,
        grid((1, 4)).repeat(6, axis=0),
        distinct[[0, 0, 0]],
        first_row_alike,
        permuted,
        distinct[:, :1],
    ]


def check_different_units(answer: Any) -> None:
    """Number of different columns, up to rounding."""
    for kernel in _kernels():
        got = number(call(answer, kernel), "Your count")
        want = different(kernel)
        if got == want:
            continue
        where = f"For a kernel of {kernel.shape[0]} inputs and {kernel.shape[1]} units"
        if got == different(kernel.T):
            raise Wrong(f"{where} you count different rows. A unit is a column.")
        if got == len(np.unique(kernel[0])):
            raise Wrong(f"{where} you compare the first weight only; units are alike if all are.")
        if got == len(np.unique(kernel.sum(axis=0).round(6))):
            raise Wrong(f"{where} you compare sums or means; other weights can have the same sum.")
        if got == kernel.shape[1] - want:
            raise Wrong(f"{where} you count the superfluous units, not the different ones.")
        if got == len(np.unique(kernel)):
            raise Wrong(f"{where} you count different weights, not different units.")
        raise Wrong(f"{where} your count {got:g} is not right.")
    noisy = _kernels()[2]
    noisy = noisy + rng("rounding").uniform(-1e-9, 1e-9, noisy.shape)
    if number(call(answer, noisy), "Your count") != different(noisy):
        raise Wrong(
            "Twins that differ by a rounding error of 1e-9 must count as one unit. Compare with a "
            "tolerance."
        )


def broken(sizes: Sequence[int], shape: tuple[int, ...], bias: float) -> Any:
    """Return a compiled ReLU net in which all weights of a layer are equal; softmax at the end."""
    from coursekit.base.keras import keras

    layers = [keras.layers.Dense(units, activation="relu") for units in sizes[:-1]]
    model = keras.Sequential(
        [keras.Input(shape), keras.layers.Flatten(), *layers,
         keras.layers.Dense(sizes[-1], activation="softmax")]
    )  # fmt: skip
    model.compile("sgd", loss="sparse_categorical_crossentropy")
    for layer in model.layers[1:]:
        kernel, biases = layer.get_weights()
        layer.set_weights([np.full(kernel.shape, 1 / len(kernel)), np.full(biases.shape, bias)])
    return model


def check_repair(answer: Any) -> None:
    """Kernels random with the right spread in every layer, biases 0, in the model itself."""
    for sizes, shape, bias in (((200, 200, 200, 120), (20, 10), 0.1), ((300, 150), (240,), 0.0)):
        model = broken(sizes, shape, bias)
        before = [np.asarray(w) for w in model.weights]
        call(answer, model, may_return_none=True)
        dense = model.layers[1:]
        if len(dense) != len(sizes):
            raise Wrong("The model has other layers than before; only its weights may change.")
        after = [np.asarray(w) for w in model.weights]
        if all(np.array_equal(a, b) for a, b in zip(after, before, strict=True)):
            raise Wrong(
                "The model's weights are as they were. Change those of the model you are given; a "
                "new model, or a kernel taken out with `get_weights`, is a copy."
            )
        kernels = [np.asarray(layer.kernel) for layer in dense]
        for i, kernel in enumerate(kernels, start=1):
            _require_random(kernel, f"layer {i} of {len(dense)} dense layers")
        _require_unlike(kernels)
        for i, kernel in enumerate(kernels[:-1], start=1):
            _require_he(kernel, f"ReLU layer {i}")
        _require_glorot(kernels[-1])
        if any(np.asarray(layer.bias).any() for layer in dense):
            raise Wrong("The biases may start at 0, and must after your repair; some do not.")


def _require_random(kernel: np.ndarray, which: str) -> None:
    if different(kernel) == 1:
        raise Wrong(f"In {which} all units are still twins.")
    if different(kernel.T) == 1:
        raise Wrong(f"In {which} all weights of a unit are equal, so units differ in size only.")
    if different(kernel) < kernel.shape[1]:
        raise Wrong(f"In {which} some units are still twins.")
    if abs(kernel.mean()) > 0.25 * kernel.std():
        raise Wrong(f"In {which} the mean of the weights is not 0.")


def _require_unlike(kernels: list[np.ndarray]) -> None:
    for i, kernel in enumerate(kernels):
        for other in kernels[:i]:
            if kernel.shape == other.shape and np.array_equal(kernel, other):
                raise Wrong(
                    "Two layers of one shape have got the same weights. One initialiser object "
                    "gives the same numbers at every call: make a new one for each layer, and if "
                    "you set a seed, another one each time."
                )


def _require_he(kernel: np.ndarray, which: str) -> None:
    fan_in, fan_out = kernel.shape
    ratio = kernel.var() * fan_in / 2
    if abs(ratio - 1) < 0.1:
        return
    mean_fan = (fan_in + fan_out) / 2
    if abs(kernel.var() * mean_fan - 1) < 0.1 or abs(kernel.var() * fan_in - 1) < 0.1:
        raise Wrong(f"{which} has weights that are made for no activation or tanh, not for ReLU.")
    raise Wrong(
        f"The weights of {which} are random, but too {'narrow' if ratio < 1 else 'wide'}: their "
        "variance is not He's."
    )


def _require_glorot(kernel: np.ndarray) -> None:
    fan_in, fan_out = kernel.shape
    if abs(kernel.var() * (fan_in + fan_out) / 2 - 1) < 0.1:
        return
    if abs(kernel.var() * fan_in / 2 - 1) < 0.1:
        raise Wrong("The output layer has He's variance. It is no ReLU: what does softmax get?")
    raise Wrong("The variance of the output layer's weights is not the one for softmax.")
