"""Exercise 04: a hidden layer with batch normalisation before the activation, by what it does."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import describe

N_INPUTS = 40


def check_hidden_block(answer: Any) -> None:
    """Dense (no bias), normalisation, ReLU: told from outputs and counts, not from classes."""
    for units in (30, 50):
        model, x = _model(answer, units)
        _require_order(model, x, units)
        _require_no_bias(model, units)
        _require_he(model, units)
    first, second = call(answer, 30), call(answer, 30)
    if {id(layer) for layer in first} & {id(layer) for layer in second}:
        raise Wrong(
            "A second call returns the same layer objects: two blocks of a net would share their "
            "weights. Make new layers in each call."
        )


def _model(answer: Any, units: int) -> tuple[Any, np.ndarray]:
    from coursekit.base.keras import keras

    layers = call(answer, units)
    if not isinstance(layers, (list, tuple)):
        raise Wrong(f"Expected a list of Keras layers, got {describe(layers)}.")
    for layer in layers:
        if not isinstance(layer, keras.layers.Layer):
            hint = " Is it the class, without parentheses?" if isinstance(layer, type) else ""
            raise Wrong(f"Expected Keras layers only, but the list holds {describe(layer)}.{hint}")
    if not layers:
        raise Wrong("Your list of layers is empty.")
    x = rng(f"hidden block {units}").normal(1.0, 2.0, size=(200, N_INPUTS)).astype("float32")
    model = keras.Sequential([keras.Input((N_INPUTS,)), *layers])
    if model.output_shape[-1] != units:
        raise Wrong(f"For units={units} the block gives {model.output_shape[-1]} values a sample.")
    return model, x


def _require_order(model: Any, x: np.ndarray, units: int) -> None:
    shifts = _named(model, "beta")
    if len(shifts) != 1:
        raise Wrong(
            f"The block holds {len(shifts)} layers of batch normalisation; one is wanted."
            if shifts
            else "The block does not normalise: there is no shift β among its weights."
        )
    if tuple(shifts[0].shape) != (units,):
        raise Wrong("The block normalises its inputs, not its outputs: the linear map comes first.")
    usual = np.array(model(x, training=True))
    # Lifted by a large β, ReLU lets everything pass if it comes last.
    shifts[0].assign(np.full(units, 100.0, "float32"))
    lifted = np.array(model(x, training=True)) - 100
    shifts[0].assign(np.zeros(units, "float32"))
    if np.abs(lifted.mean(axis=0)).max() > 0.01 or np.abs(lifted.std(axis=0) - 1).max() > 0.02:
        raise Wrong(
            "With ReLU out of the way, a unit's outputs over a batch do not have mean 0 and "
            "standard deviation 1 in training. Does something come between normalisation and ReLU?"
        )
    linear = np.column_stack([x, np.ones(len(x))])
    left = lifted - linear @ np.linalg.lstsq(linear, lifted)[0]
    if np.abs(left).max() > 0.01:
        raise Wrong(
            "What is normalised is not linear in the inputs: an activation comes *before* the "
            "normalisation. Here the normalisation comes first."
        )
    if usual.min() < 0:
        raise Wrong("Negative numbers come out: ReLU must have the last word, and has not.")
    if not np.allclose(usual, np.maximum(lifted, 0), atol=1e-3):
        raise Wrong("The last layer is no ReLU: positive values do not pass unchanged.")


def _named(model: Any, name: str) -> list[Any]:
    return [v for v in model.trainable_variables if v.path.split("/")[-1] == name]


def _require_no_bias(model: Any, units: int) -> None:
    surplus = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    surplus -= (N_INPUTS + 2) * units
    if surplus == units:
        raise Wrong(
            "The dense layer has a bias. The normalisation subtracts it again at once, so it "
            "learns nothing."
        )
    if surplus == -units:
        raise Wrong("The scale γ is missing; leave it in.")
    if surplus:
        raise Wrong(
            f"The block has {abs(surplus)} trained weights too {'many' if surplus > 0 else 'few'}."
        )


def _require_he(model: Any, units: int) -> None:
    kernels = [v for v in model.trainable_variables if tuple(v.shape) == (N_INPUTS, units)]
    variance = np.var(np.array(kernels[0]))
    if abs(variance * N_INPUTS / 2 - 1) < 0.2:
        return
    raise Wrong(
        "The spread of the starting weights is not He's. (Behind a normalisation it matters little "
        "for the output, but it sets how fast the weights turn.)"
    )
