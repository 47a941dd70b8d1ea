"""Exercise 15: Monte Carlo dropout, against the exact distribution of small networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks._ex15_nets import SELU_ALPHA, SELU_SCALE
from coursekit.checks._ex15_training import softmax
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import array, describe

_SAMPLES, _UNITS, _CLASSES = 100, 6, 3


def check_mc_predict(answer: Any) -> None:
    """Mean and standard deviation of the passes; nothing but dropout random; nothing moved."""
    for alpha in (False, True):
        model, x = _network(alpha)
        before = [np.array(w) for w in model.weights]
        result = call(answer, model, x, _SAMPLES)
        mean, std = _two_arrays(result, len(x))
        if not all(map(np.array_equal, before, model.weights)):
            raise Wrong(
                "Your predictions change the model: batch normalisation was in training mode and "
                "moved its averages. Only dropout may be in training mode."
            )
        _compare(mean, std, before, x, alpha)
    _, std = _two_arrays(call(answer, model, x, 1), len(x))
    if np.abs(std).max() > 1e-4:
        raise Wrong("With `samples=1` there is one pass, so no spread; yours shows one.")


def _network(alpha: bool) -> tuple[Any, np.ndarray]:
    from coursekit.base.keras import keras

    keras.utils.set_random_seed(15)  # the runner puts all seeds back
    draw = rng(f"mc_predict {alpha}")
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(_UNITS),
            layers.BatchNormalization(),
            layers.Activation("tanh"),
            layers.AlphaDropout(0.3) if alpha else layers.Dropout(0.4),
            layers.Dense(_CLASSES, activation="softmax"),
        ]
    )
    for weight in model.weights:
        low, high = (0.5, 1.5) if "variance" in weight.name else (-1.2, 1.2)
        weight.assign(draw.uniform(low, high, size=weight.shape))
    model.weights[-2].assign(2 * np.array(model.weights[-2]))
    return model, (1 + 2 * draw.normal(size=(5, 4))).astype("float32")


def _two_arrays(result: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise Wrong(f"Expected two arrays, mean and standard deviation, got {describe(result)}.")
    what = ("The mean", "The standard deviation")
    mean, std = (
        array(value, name, shape=(n, _CLASSES)) for value, name in zip(result, what, strict=True)
    )
    if not np.allclose(mean.sum(axis=1), 1, atol=1e-3):
        raise Wrong("The rows of the mean do not sum to 1: average the probabilities.")
    return mean.astype(float), std.astype(float)


def _compare(
    mean: np.ndarray, std: np.ndarray, weights: list[np.ndarray], x: np.ndarray, alpha: bool
) -> None:
    want_mean, want_std = _exact(weights, x, alpha, batch=False)

    def same_spread(std: np.ndarray) -> bool:
        # All entries together: a single one is uncertain where a class is rarely chosen.
        return abs(np.linalg.norm(std) / np.linalg.norm(want_std) - 1) < 0.3

    slack = 6 * want_std / np.sqrt(_SAMPLES) + 0.02
    if np.abs(std).max() < 1e-4:
        plain = "at inference nothing is dropped, so" if not alpha else "it seems that"
        raise Wrong(f"All passes are equal: {plain} dropout must be switched on in each.")
    if (np.abs(mean - want_mean) < slack).all():
        if same_spread(std):
            return
        if same_spread(std * np.sqrt(_SAMPLES)):
            raise Wrong("This is the error of the mean; the spread of single passes is wanted.")
        if same_spread(np.sqrt(np.abs(std))):
            raise Wrong("Your second array is the variance; the standard deviation is wanted.")
        raise Wrong("The standard deviation over the passes is not right.")
    batch_mean, batch_std = _exact(weights, x, alpha, batch=True)
    if (np.abs(mean - batch_mean) < 5 * batch_std / np.sqrt(_SAMPLES) + 0.01).all():
        raise Wrong(
            "Batch normalisation is in training mode too: it uses the statistics of the batch. "
            "Only dropout may be random."
        )
    if (np.isclose(mean, 0) | np.isclose(mean * _SAMPLES, np.round(mean * _SAMPLES))).all():
        raise Wrong("You average votes for a class; average the probabilities.")
    raise Wrong(
        "The mean is not that of the model's own random passes. Is dropout, of whichever kind, on "
        "in each pass, and everything else as at inference?"
    )


def _exact(
    weights: list[np.ndarray], x: np.ndarray, alpha: bool, *, batch: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation over all 2^6 dropout masks with their probabilities."""
    kernel, bias, gamma, beta, moving_mean, moving_variance, out, out_bias = (
        np.asarray(w, dtype=float) for w in weights
    )
    z = x @ kernel + bias
    if batch:
        moving_mean, moving_variance = z.mean(axis=0), z.var(axis=0)
    h = np.tanh(gamma * (z - moving_mean) / np.sqrt(moving_variance + 1e-3) + beta)
    rate = 0.3 if alpha else 0.4
    low = -SELU_SCALE * SELU_ALPHA
    scale = ((1 - rate) * (1 + rate * low**2)) ** -0.5
    mean = square = 0.0
    for number in range(2**_UNITS):
        kept = (number >> np.arange(_UNITS)) & 1
        share = (1 - rate) ** kept.sum() * rate ** (_UNITS - kept.sum())
        if alpha:
            dropped = scale * np.where(kept, h, low) - scale * low * rate
        else:
            dropped = h * kept / (1 - rate)
        p = softmax(dropped @ out + out_bias)
        mean, square = mean + share * p, square + share * p**2
    return mean, np.sqrt(np.maximum(square - mean**2, 0))
