"""Exercise 11: a dropout layer that is always on, and many passes through one model."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks._ex11_masks import require_dropped
from coursekit.checks._ex15_dropout import check_mc_predict
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call, require_subclass
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import array


def check_mc_dropout(answer: Any) -> None:
    """Random in training and at prediction, scaled, with the rate that was asked for."""
    from coursekit.base.keras import keras

    require_subclass(answer, keras.layers.Dropout, "keras.layers.Dropout")
    draw = rng("mc_dropout")
    x = draw.uniform(0.5, 2.0, (300, 40)).astype("float32")
    for rate in (0.25, 0.6):
        keras.utils.set_random_seed(11)  # the runner puts all seeds back
        model = keras.Sequential([keras.Input((40,)), answer(rate)])
        modes = {" at prediction": False, " in training": True}
        for when, training in modes.items():
            passes = [_output(model, x, training) for _ in range(2)]
            for result in passes:
                require_dropped(x, result, rate, when)
            if np.array_equal(*passes):
                raise Wrong(f"Two passes{when} get the same mask; each needs a new one.")
    keras.utils.set_random_seed(11)
    model = keras.Sequential([keras.Input((40,)), answer(0.0)])
    if not np.allclose(_output(model, x, False), x):
        raise Wrong("With a rate of 0 the values must stay as they are.")


def _output(model: Any, x: np.ndarray, training: bool) -> np.ndarray:
    result = model(x, training=training)
    if result is None:
        raise Wrong("`call` returns nothing. Did you forget `return`?")
    return array(result, "The layer's output", shape=x.shape)


def check_mc_samples(answer: Any) -> None:
    """All passes of one model, against the exact distribution over its masks."""

    def mean_and_std(model: Any, x: np.ndarray, samples: int) -> tuple[np.ndarray, np.ndarray]:
        passes = array(call(answer, model, x, samples), shape=(samples, len(x), None))
        if not np.allclose(passes.sum(axis=-1), 1, atol=1e-3):
            raise Wrong("The rows of your passes do not sum to 1: return the model's outputs.")
        if samples > 1 and np.array_equal(passes[0], passes[1]) and np.ptp(passes, axis=0).any():
            raise Wrong("Some passes are copies of others; each needs masks of its own.")
        return passes.mean(axis=0, dtype=float), passes.std(axis=0, dtype=float)

    if not callable(answer):
        call(answer)
    check_mc_predict(mean_and_std)
