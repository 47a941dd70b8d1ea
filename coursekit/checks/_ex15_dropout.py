"""Exercise 15: Monte Carlo dropout, against the exact distribution of a small net."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.simulate import softmax
from coursekit.checks.kit.values import array, describe

_SAMPLES, _ROWS, _INPUTS, _UNITS, _LATER, _CLASSES = 40, 300, 4, 6, 4, 3
_RATES = (0.4, 0.3)  # of the dropout layer and of the one of alpha dropout
_LOW = -1.6732632423543772 * 1.0507009873554805  # SELU's lowest value
_OFF = {
    "The layer of alpha dropout is off: it is a kind of dropout too.": (_RATES[0], 0.0),
    "The layer `Dropout` is off; dropout of whichever kind must be on.": (0.0, _RATES[1]),
}


def check_mc_predict(answer: Any) -> None:
    """Mean and standard deviation of the passes; nothing but dropout random; nothing moved."""
    model, x = _network()
    before = [np.array(w, float) for w in model.weights]
    mean, std = _two_arrays(call(answer, model, x, _SAMPLES), len(x))
    if not all(map(np.array_equal, before, model.weights)):
        raise Wrong(
            "Your predictions change the model: batch normalisation was in training mode and moved "
            "its averages. Only dropout may be in training mode."
        )
    _compare(mean, std, before, x, np.asarray(model(x, training=False)))
    one = call(answer, model, x, 1)
    if isinstance(one, (tuple, list)) and len(one) == 2 and np.isnan(one[1]).any():
        raise Wrong("With `samples=1` your spread is NaN: divide by n, not by n − 1.")
    if np.abs(_two_arrays(one, len(x))[1]).max() > 1e-4:
        raise Wrong("With `samples=1` there is one pass, so no spread; yours shows one.")


def _network() -> tuple[Any, np.ndarray]:
    from coursekit.base.keras import keras

    keras.utils.set_random_seed(15)  # the runner puts all seeds back
    draw, layers = rng("mc_predict"), keras.layers
    model = keras.Sequential([
        keras.Input((_INPUTS,)),
        layers.Dense(_UNITS), layers.BatchNormalization(), layers.Activation("tanh"),
        layers.Dropout(_RATES[0]), layers.Dense(_LATER, "tanh"),
        layers.AlphaDropout(_RATES[1]), layers.Dense(_CLASSES, "softmax"),
    ])  # fmt: skip
    for weight in model.weights:
        low, high = (0.5, 1.5) if "variance" in weight.path else (-1.2, 1.2)
        weight.assign(draw.uniform(low, high, size=weight.shape))
    return model, (1 + 2 * draw.normal(size=(_ROWS, _INPUTS))).astype("float32")


def _two_arrays(result: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise Wrong(f"Expected two arrays, mean and standard deviation, got {describe(result)}.")
    mean = array(result[0], "The mean", shape=(n, _CLASSES)).astype(float)
    std = array(result[1], "The standard deviation", shape=(n, _CLASSES)).astype(float)
    if not np.allclose(mean.sum(axis=1), 1, atol=1e-3):
        raise Wrong("The rows of the mean do not sum to 1: average the probabilities.")
    return mean, std


def _compare(
    mean: np.ndarray, std: np.ndarray, weights: list[np.ndarray], x: np.ndarray, plain: np.ndarray
) -> None:
    if np.abs(std).max() < 1e-4:
        if np.allclose(mean, plain, atol=1e-3):
            raise Wrong("All passes are those at inference: dropout must be switched on in each.")
        raise Wrong("All passes are equal: one random pass is repeated; draw each anew.")
    want = _exact(weights, x, _RATES)

    def same_mean(want: tuple[np.ndarray, np.ndarray]) -> bool:
        off = (mean - want[0]) / (want[1] / np.sqrt(_SAMPLES) + 1e-3)
        return bool(np.sqrt(np.mean(off**2)) < 1.3)  # about 1 by chance

    def same_spread(std: np.ndarray, want: tuple[np.ndarray, np.ndarray] = want) -> bool:
        return abs(np.linalg.norm(std) / np.linalg.norm(want[1]) - 1) < 0.07

    if same_mean(want) and same_spread(std):
        return
    for reason, rates in _OFF.items():
        wrong = _exact(weights, x, rates)
        if same_mean(wrong) and same_spread(std, wrong):
            raise Wrong(reason)
    if same_mean(want):
        if same_spread(std * np.sqrt(_SAMPLES)):
            raise Wrong("This is the error of the mean; the spread of single passes is wanted.")
        if same_spread(np.sqrt(np.abs(std))):
            raise Wrong("Your second array is the variance; the standard deviation is wanted.")
        raise Wrong("The standard deviation over the passes is not right.")
    if same_mean(_exact(weights, x, _RATES, batch=True)):
        raise Wrong(
            "Batch normalisation is in training mode too: it uses the statistics of the batch. "
            "Only dropout may be random."
        )
    if np.allclose(mean * _SAMPLES, np.round(mean * _SAMPLES), atol=1e-3):
        raise Wrong("You average votes for a class; average the probabilities.")
    raise Wrong(
        "The mean is not that of the model's own random passes. Is dropout, of whichever kind, on "
        "in each pass, and everything else as at inference?"
    )


def _exact(
    weights: list[np.ndarray], x: np.ndarray, rates: tuple[float, float], *, batch: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation over all dropout masks with their probabilities."""
    kernel, bias, gamma, beta, center, variance, second, second_bias, out, out_bias = weights
    z = x @ kernel + bias
    if batch:
        center, variance = z.mean(axis=0), z.var(axis=0)
    h = np.tanh(gamma * (z - center) / np.sqrt(variance + 1e-3) + beta)
    scale = ((1 - rates[1]) * (1 + rates[1] * _LOW**2)) ** -0.5
    masks = np.array(list(product((0, 1), repeat=_UNITS + _LATER)))[:, None]
    first, later = masks[..., :_UNITS], masks[..., _UNITS:]
    chance = np.repeat(rates, (_UNITS, _LATER))
    share = np.where(masks, 1 - chance, chance).prod(axis=-1, keepdims=True)
    h = np.tanh(h * first / (1 - rates[0]) @ second + second_bias)
    p = softmax((scale * np.where(later, h, _LOW) - scale * _LOW * rates[1]) @ out + out_bias)
    mean = (share * p).sum(axis=0)
    return mean, np.sqrt(np.maximum((share * p**2).sum(axis=0) - mean**2, 0))
