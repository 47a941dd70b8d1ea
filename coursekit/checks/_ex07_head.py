"""Exercise 07: an encoder with a head, judged by its outputs and by which weights move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.models import AsFound, give_weights, in_both, require_model
from coursekit.checks.kit.simulate import softmax

N_FEATURES = 6


def with_head(answer: Any) -> None:
    """A classifier as a function (encoder, n_classes, frozen), on a copy of the encoder."""
    for n_classes, frozen in ((3, True), (4, False)):
        encoder, x = _encoder(f"head {n_classes}", normalised=frozen)
        found, features = AsFound(encoder), np.array(encoder(x))
        model = _model(answer, encoder, n_classes, frozen, x)
        _require_outputs(model, encoder, features, x, n_classes)
        _require_trainable(model, frozen, ((N_FEATURES, n_classes), (n_classes,)))
        found.require_same("Your function")
        _require_own_weights(model, encoder, x, n_classes)


def headed(learns: Callable = lambda frozen: not frozen, activation: Any = "softmax") -> Callable:
    """Return an answer to `with_head`; `learns` says whether the encoder does."""

    def with_head(encoder: Any, n_classes: int, frozen: bool) -> Any:
        from coursekit.base.keras import keras

        body = keras.models.clone_model(encoder)
        body.set_weights(encoder.get_weights())
        body.trainable = learns(frozen)
        return keras.Sequential([body, keras.layers.Dense(n_classes, activation=activation)])

    return with_head


def _encoder(name: str, normalised: bool) -> tuple[Any, np.ndarray]:
    """Return an encoder, in a functional model or with batch normalisation, and images."""
    from coursekit.base.keras import keras

    layers = [
        keras.layers.Flatten(name="flat"),
        keras.layers.Dense(11, activation="tanh", name="first"),
        keras.layers.BatchNormalization() if normalised else keras.layers.ReLU(),
        keras.layers.Dense(N_FEATURES, activation="tanh", name="features"),
    ]
    encoder = keras.Sequential([keras.Input((5, 5)), *layers], name="encoder")
    if not normalised:
        encoder = keras.Model(encoder.inputs, encoder.outputs[0], name="encoder")
    give_weights(encoder, name, 0.5)
    return encoder, rng(name).uniform(size=(24, 5, 5)).astype("float32")


def _model(answer: Any, encoder: Any, n_classes: int, frozen: bool, x: np.ndarray) -> Any:
    model = call(answer, encoder, n_classes, frozen)
    require_model(model)
    if model is encoder:
        raise Wrong("You return the encoder itself; a new model with a head on top is wanted.")
    if model.compiled:
        raise Wrong("Your model is compiled; leave that to the next cell.")
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
        raise Wrong(
            "The outputs are no class probabilities: no number may be negative, and every row must "
            "add up to 1."
        )
    return model


def _require_outputs(
    model: Any, encoder: Any, features: np.ndarray, x: np.ndarray, n_classes: int
) -> None:
    kernels = [w for w in model.weights if tuple(w.shape) == (N_FEATURES, n_classes)]
    biases = [w for w in model.weights if tuple(w.shape) == (n_classes,)]
    if len(kernels) != 1 or len(model.weights) > len(encoder.weights) + 2:
        raise Wrong(
            "The head must be one layer, from the encoder's features to the classes. Are there "
            "other layers with weights, or is it attached elsewhere?"
        )
    kernels[0].assign(rng("kernel").normal(0, 2, kernels[0].shape))
    logits = features @ np.array(kernels[0]) + (np.array(biases[0]) if biases else 0)
    if np.abs(np.array(model(x)) - softmax(logits)).max() > 1e-3:
        raise Wrong(
            "Your model does not compute the head of the encoder's features: it starts from other "
            "weights. Does a clone have the weights, or only the structure?"
        )


def _require_trainable(model: Any, frozen: bool, head: Any) -> None:
    moving, fixed = len(model.trainable_weights), len(model.non_trainable_weights)
    averages = sum("moving" in w.path for w in model.weights)
    if frozen and fixed == averages:
        raise Wrong("With frozen=True every weight is still trainable; only the head may learn.")
    if frozen and (not moving or any(tuple(w.shape) not in head for w in model.trainable_weights)):
        raise Wrong(
            f"With frozen=True {moving} arrays of weights are trainable; it must be the head's."
        )
    if not frozen and fixed > averages:
        raise Wrong(
            f"With frozen=False only {moving} of {moving + fixed - averages} arrays of weights are "
            "trainable."
        )


def _require_own_weights(model: Any, encoder: Any, x: np.ndarray, n_classes: int) -> None:
    found = AsFound(encoder)
    model.compile("sgd", loss="sparse_categorical_crossentropy")
    model.train_on_batch(x, np.arange(len(x)) % n_classes)
    try:
        found.require_same()
        shared = in_both(model.weights, encoder.weights)
    except Wrong:
        shared = True
    if shared:
        raise Wrong(
            "Your model shares its weights with the encoder that was passed in: training one "
            "changes the other. Give it a copy."
        )
