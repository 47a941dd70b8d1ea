"""Exercise 04: a hidden layer with batch normalisation before the activation, by what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.models import give_weights, in_both
from coursekit.checks.kit.values import describe

N_INPUTS = 60


def look_at_block(answer: Any) -> dict[str, Any]:
    """The weights that learn, the outputs from given weights, and how the weights start."""
    from coursekit.base.keras import keras

    seen: dict[str, Any] = {}
    made: list[Any] = []
    for units in (30, 50, 30):
        layers = call(answer, units)
        if not isinstance(layers, (list, tuple)):
            raise Wrong(f"Expected a list of Keras layers, got {describe(layers)}.")
        for layer in layers:
            if not isinstance(layer, keras.layers.Layer) or isinstance(layer, keras.Model):
                hint = " Is it the class, without parentheses?" if isinstance(layer, type) else ""
                raise Wrong(f"Expected Keras layers only, but the list holds {describe(layer)}."
                            + hint)  # fmt: skip
        if not layers:
            raise Wrong("Your list of layers is empty.")
        if in_both(made, layers):
            raise Wrong("A second call returns the same layer objects: two blocks of a net would "
                        "share their weights. Make new layers in each call.")  # fmt: skip
        made += layers
        seen |= _seen_in(keras.Sequential([keras.Input((N_INPUTS,)), *layers]), units)
    return seen


def _seen_in(model: Any, units: int) -> dict[str, Any]:
    if model.output_shape[-1] != units:
        raise Wrong(f"For units={units} the block gives {model.output_shape[-1]} values a sample.")
    kernels = [np.ravel(w) for w in model.weights if len(w.shape) == 2]
    start = np.concatenate(kernels or [np.ones(1)]) / np.sqrt(2 / N_INPUTS)
    begins = "normal" if np.abs(start).max() > 1.8 else "uniform"  # which ends at √3
    begins = begins if abs(np.std(start) - 1) < 0.1 else "another spread than He's"
    x = rng("block").normal(5.0, 9.0, size=(80, N_INPUTS)).astype("float32")
    give_weights(model, "block")
    predicted = np.array(model(x))  # first: training moves the averages, by any momentum
    return {
        f"the shapes of the weights that learn, units={units}":
            [tuple(v.shape) for v in model.trainable_variables],
        f"the outputs in training, units={units}": np.array(model(x, training=True)),
        f"the outputs at prediction, units={units}": predicted,
        "the starting weights": begins,
        "the number of layers": len(model.layers),
    }  # fmt: skip


def block(
    *order: str, activation: str | None = None, bias: bool = False, last: str = "relu",
    start: str = "he_normal", **norm: Any,
) -> Callable[[int], Any]:  # fmt: skip
    """Return an answer with the layers in this order, with these settings."""

    def hidden_block(units: int) -> list[Any]:
        from coursekit.base.keras import keras

        layers = keras.layers
        make = {
            "dense": lambda: layers.Dense(
                units, activation, use_bias=bias, kernel_initializer=start),
            "norm": lambda: layers.BatchNormalization(**norm),
            "layer": layers.LayerNormalization,
            "last": lambda: layers.Activation(last),
        }  # fmt: skip
        return [make[kind]() for kind in order or ("dense", "norm", "last")]

    return hidden_block
