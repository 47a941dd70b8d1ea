"""Exercise 07: an encoder with a head, judged by its outputs and by which weights move."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import describe

N_FEATURES = 6


def check_with_head(answer: Any) -> None:
    """A copy of the encoder, frozen or not, and one softmax layer on its features."""
    for n_classes, frozen in ((3, True), (4, False)):
        encoder, x = _encoder(f"head {n_classes}")
        before = encoder.get_weights()
        features = np.array(encoder(x))
        model = _model(answer, encoder, n_classes, frozen, x)
        _require_outputs(model, features, x, n_classes)
        _require_trainable(model, frozen)
        _require_own_weights(model, encoder, before, x, n_classes)


def _encoder(name: str) -> tuple[Any, np.ndarray]:
    from coursekit.base.keras import keras

    draw = rng(name)
    x = draw.uniform(size=(24, 5, 5)).astype("float32")
    encoder = keras.Sequential([
        keras.Input((5, 5)),
        keras.layers.Flatten(),
        keras.layers.Dense(11, activation="tanh"),
        keras.layers.Dense(N_FEATURES, activation="tanh"),
    ])  # fmt: skip
    encoder.set_weights([draw.normal(0, 0.5, w.shape) for w in encoder.get_weights()])
    return encoder, x


def _model(answer: Any, encoder: Any, n_classes: int, frozen: bool, x: np.ndarray) -> Any:
    from coursekit.base.keras import keras

    model = call(answer, encoder, n_classes, frozen)
    if not isinstance(model, keras.Model):
        raise Wrong(f"Expected a Keras model, got {describe(model)}.")
    if model is encoder:
        raise Wrong("You return the encoder itself; a new model with a head on top is wanted.")
    try:
        out = np.array(model(x))
    except (ValueError, TypeError) as error:
        raise Wrong(
            f"The model does not take the images that the encoder takes ({type(error).__name__})."
        ) from None
    if out.shape != (len(x), n_classes):
        raise Wrong(
            f"For n_classes={n_classes} and {len(x)} images the output has shape {out.shape}."
        )
    if (out < 0).any() or not np.allclose(out.sum(axis=1), 1, atol=1e-4):
        raise Wrong("The outputs are no class probabilities: no row may be negative or miss sum 1.")
    return model


def _require_outputs(model: Any, features: np.ndarray, x: np.ndarray, n_classes: int) -> None:
    kernels = [w for w in model.weights if tuple(w.shape) == (N_FEATURES, n_classes)]
    biases = [w for w in model.weights if tuple(w.shape) == (n_classes,)]
    if len(kernels) != 1 or len(model.weights) > 6:
        raise Wrong(
            "The head must be one layer, from the encoder's features to the classes. Are there "
            "other layers with weights, or is it attached elsewhere?"
        )
    kernels[0].assign(rng("kernel").normal(0, 2, kernels[0].shape))
    logits = features @ np.array(kernels[0]) + (np.array(biases[0]) if biases else 0)
    want = np.exp(logits - logits.max(axis=1, keepdims=True))
    want /= want.sum(axis=1, keepdims=True)
    if np.abs(np.array(model(x)) - want).max() > 1e-3:
        raise Wrong(
            "Your model does not compute the head of the encoder's features: it starts from other "
            "weights. Does a clone have the weights, or only the structure?"
        )


def _require_trainable(model: Any, frozen: bool) -> None:
    moving, n = len(model.trainable_weights), len(model.weights)
    if frozen and moving == n:
        raise Wrong("With frozen=True every weight is still trainable; only the head may learn.")
    if frozen and (moving == 0 or moving > 2):
        raise Wrong(
            f"With frozen=True {moving} arrays of weights are trainable; it must be the head's."
        )
    if not frozen and moving < n:
        raise Wrong(f"With frozen=False only {moving} of {n} arrays of weights are trainable.")


def _require_own_weights(
    model: Any, encoder: Any, before: list[np.ndarray], x: np.ndarray, n_classes: int
) -> None:
    if not all(layer.trainable for layer in [encoder, *encoder.layers]):
        raise Wrong(
            "The encoder that was passed in is frozen now: whoever uses it elsewhere will wonder. "
            "Freeze a copy."
        )
    model.compile("sgd", loss="sparse_categorical_crossentropy")
    model.train_on_batch(x, np.arange(len(x)) % n_classes)
    kept = all(np.array_equal(a, b) for a, b in zip(before, encoder.get_weights(), strict=True))
    shared = {id(w) for w in model.weights} & {id(w) for w in encoder.weights}
    if not kept or shared:
        raise Wrong(
            "Your model shares its weights with the encoder that was passed in: training one "
            "changes the other. Give it a copy."
        )
