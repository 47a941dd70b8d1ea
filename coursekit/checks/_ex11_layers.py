"""Exercise 11: is this dropout? A mask is told from what is 0, or from the outputs of a net."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.models import give_weights
from coursekit.checks.kit.simulate import softmax

NOTHING = "Nothing is dropped{}: none of the values is 0."
ONE_MASK = "All samples get the same mask; draw one for each value of `x`."
WHOLE_ROWS = "You drop whole samples; draw one number for each value of `x`."
KEPT = "You keep a value with probability `rate`; that is the share to drop."
FIXED = ("Every sample loses the same number of units. Each unit is dropped by itself, so this "
         "number is random too.")  # fmt: skip
COUNTED = ("The values that stay are not all scaled by the same factor. It depends on the rate "
           "alone, not on how many were dropped this time.")  # fmt: skip
FACTORS: dict[str, Callable[[float], float]] = {
    "The values that stay are not scaled, so the average falls.": lambda rate: 1.0,
    "You multiply by the keep probability; that makes up for the missing units the wrong way.":
        lambda rate: 1 - rate,
    "You divide by the rate; divide by the probability of staying.": lambda rate: 1 / rate,
    "You multiply by the rate; divide by the probability of staying.": lambda rate: rate,
}  # fmt: skip


def require_dropped(x: np.ndarray, result: np.ndarray, rate: float, when: str = "") -> None:
    """Raise Wrong unless `result` is `x` after inverted dropout with `rate`; x holds no 0."""
    zero = result == 0
    share, chance = zero.mean(), 5 * np.sqrt(rate * (1 - rate) / x.size)
    if not zero.any():
        raise Wrong(NOTHING.format(when))
    if (zero == zero[:1]).all() and not zero.all():
        raise Wrong(ONE_MASK)
    if (zero == zero[:, :1]).all() and not zero.all():
        raise Wrong(WHOLE_ROWS)
    if abs(share - rate) > chance:
        if abs(share - (1 - rate)) < chance:
            raise Wrong(KEPT)
        raise Wrong(f"With rate={rate} you drop {share:.0%} of the values{when}.")
    if zero.sum(axis=-1).std() < 0.3 * np.sqrt(x.shape[-1] * rate * (1 - rate)):
        raise Wrong(FIXED)
    factors = result[~zero] / x[~zero]
    if np.allclose(factors, 1 / (1 - rate), rtol=1e-4):
        return
    for reason, factor in FACTORS.items():
        if np.allclose(factors, factor(rate), rtol=1e-4):
            raise Wrong(reason)
    if np.ptp(factors) < 1e-4:
        raise Wrong(f"With rate={rate} the values that stay are scaled by {factors[0]:.4g}.")
    raise Wrong(COUNTED)


class LayerClasses(Mapping):
    """Reason → a subclass of Dropout with this `call(layer, inputs, training)`, made when asked."""

    def __init__(self, calls: Mapping[str, Callable[..., Any]]):
        self._calls = calls

    def __getitem__(self, reason: str) -> type:
        from coursekit.base.keras import keras

        return type("MCDropout", (keras.layers.Dropout,), {"call": self._calls[reason]})

    def __iter__(self) -> Iterator[str]:
        return iter(self._calls)

    def __len__(self) -> int:
        return len(self._calls)


def _plain(layer: Any, inputs: Any, training: bool, **changes: Any) -> Any:
    from coursekit.base.keras import keras

    if not training or not layer.rate:
        return inputs
    settings = {"seed": layer.seed_generator, "noise_shape": layer.noise_shape} | changes
    return keras.random.dropout(inputs, layer.rate, **settings)


SAME_MASK = "Two passes{} get the same mask; each needs a new one."
NO_SHAPE = "`noise_shape` has no effect; heed all arguments of `Dropout`."
NO_SEED = "`seed` has no effect; heed all arguments of `Dropout`."
_AT = " at prediction"
MC_DROPOUT = {
    NOTHING.format(_AT): lambda self, inputs, training=False: _plain(self, inputs, training),
    NOTHING.format(" in training"):
        lambda self, inputs, training=False: _plain(self, inputs, not training),
    SAME_MASK.format(_AT): lambda self, inputs, training=False: _plain(self, inputs, True, seed=7),
    NO_SHAPE: lambda self, inputs, training=False: _plain(self, inputs, True, noise_shape=None),
    NO_SEED: lambda self, inputs, training=False: _plain(self, inputs, True, seed=None),
}  # fmt: skip

_RATES = {"Dropout": 0.4, "AlphaDropout": 0.3}
_LOW = -1.0507009873554805 * 1.6732632423543772


def net() -> Any:
    """Return a net with batch normalisation and both kinds of dropout, three units before each."""
    from coursekit.base.keras import keras

    layers = keras.layers
    drops = [getattr(layers, kind)(rate) for kind, rate in _RATES.items()]
    return give_weights(keras.Sequential([
        keras.Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Activation("tanh"),
        drops[0], layers.Dense(3, "tanh"), drops[1], layers.Dense(3, "softmax"),
    ]), "mc_samples", 1.5)  # fmt: skip


def outputs(
    weights: list[np.ndarray], x: np.ndarray, first: bool = True, second: bool = True,
    batch: bool = False,
) -> np.ndarray:  # fmt: skip
    """Return the output for each of the 64 masks, (64, n, 3), with the given kinds switched on."""
    kernel, bias, gamma, beta, mean, variance, middle, middle_bias, last, last_bias = weights
    z = x @ kernel + bias
    mean, variance = (z.mean(axis=0), z.var(axis=0)) if batch else (mean, variance)
    h = np.tanh(gamma * (z - mean) / np.sqrt(variance + 1e-3) + beta)
    rate = _RATES["AlphaDropout"]
    a = ((1 - rate) * (1 + rate * _LOW**2)) ** -0.5
    found = []
    for mask in MASKS:
        kept = h * ~mask[:3] / (1 - _RATES["Dropout"]) if first else h
        g = np.tanh(kept @ middle + middle_bias)
        g = a * np.where(mask[3:], _LOW, g) - a * rate * _LOW if second else g
        found.append(softmax(g @ last + last_bias))
    return np.array(found)


MASKS = np.array(list(product([False, True], repeat=6)))  # True: dropped
ALL_EQUAL = "All passes are equal: at prediction nothing is dropped, so switch dropout on in each."
STATES: dict[str, dict[str, bool]] = {  # what else the outputs of a pass may be
    ALL_EQUAL: {"first": False, "second": False},
    "`AlphaDropout` stays off: it is no subclass of `Dropout`, and is to be on as well.":
        {"second": False},
    "`Dropout` stays off.": {"first": False},
    "Batch normalisation is in training mode too: it uses the statistics of the batch. Only "
    "dropout may be random.": {"batch": True},
}  # fmt: skip
REPEATED = "Some passes are copies of others; each needs masks of its own."
CHANGED = ("Your predictions change the model: batch normalisation was in training mode and moved "
           "its averages. Only dropout may be in training mode.")  # fmt: skip


def require_passes(passes: np.ndarray, weights: list[np.ndarray], x: np.ndarray) -> None:
    """Raise Wrong unless each output is the net's with some mask, and the masks are random."""

    def gaps(**state: bool) -> np.ndarray:
        return np.abs(passes[:, None] - outputs(weights, x, **state)).max(axis=-1)

    def fits(**state: bool) -> bool:
        return bool(gaps(**state).min(axis=1).max() < 1e-4)

    for reason, state in STATES.items():
        if fits(**state):
            raise Wrong(reason)
    if not fits():
        raise Wrong(
            "Your outputs are not those of the net with some units dropped. Is dropout, of "
            "whichever kind, on in each pass, and everything else as at prediction?"
        )
    if len(np.unique(passes.round(5), axis=0)) < len(passes):
        raise Wrong(REPEATED)
    masks = MASKS[gaps().argmin(axis=1)]
    for (kind, rate), part in zip(_RATES.items(), (masks[..., :3], masks[..., 3:]), strict=True):
        if len(passes) > 1 and abs(part.mean() - rate) > 0.13:
            raise Wrong(f"`{kind}` drops {part.mean():.0%} of its units; its rate is {rate}.")


def mc_samples(model, x, samples, on=("Dropout", "AlphaDropout"), whole=False, put_back=False):
    """Return predictions with layers of the kinds `on`, or all, in training mode."""
    before, passes = model.get_weights(), []
    for _ in range(samples):
        h = x
        for layer in model.layers:
            h = layer(h, training=whole or type(layer).__name__ in on)
        passes.append(np.array(h))
    if put_back:
        model.set_weights(before)
    return np.stack(passes)


_samples = partial(partial, mc_samples)
MC_SAMPLES = {
    CHANGED: _samples(whole=True),
    **dict(zip(STATES, (
        _samples(on=()), _samples(on=("Dropout",)), _samples(on=("AlphaDropout",)),
        _samples(whole=True, put_back=True),
    ), strict=True)),
    REPEATED: lambda model, x, n: np.resize(
        mc_samples(model, x, 1 + n // 2), (n, len(x), 3)),
}  # fmt: skip
