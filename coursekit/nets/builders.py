"""Builders of the course's networks: plain functions that return uncompiled Keras models.

Every classifier ends in a softmax layer, so its outputs are class probabilities of shape
(n, n_classes), and its loss is `"sparse_categorical_crossentropy"` on integer labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from coursekit.base.keras import keras
from coursekit.base.numbers import number, whole_number
from coursekit.errors import ArgumentError
from coursekit.nets.augmentation import ShiftAndFlip

__all__ = ["CIFAR10_VARIANTS", "cifar10_net", "mlp"]

# The differences of each variant of the CIFAR-10 study from the baseline's arguments to `mlp`.
_SELF_NORMALISING = {"activation": "selu", "initializer": "lecun_normal"}
_CHANGES: dict[str, dict[str, Any]] = {
    "baseline": {},
    "batch_norm": {"batch_norm": True},
    "selu": _SELF_NORMALISING,
    "alpha_dropout": {**_SELF_NORMALISING, "alpha_dropout": 0.1},
    "one_cycle": {**_SELF_NORMALISING, "alpha_dropout": 0.1},
    "combined": {"batch_norm": True},
}

CIFAR10_VARIANTS = tuple(_CHANGES)
"""Names of the study's variants, in the order of the tasks 8a to 8f, and the one beyond them."""


def mlp(
    input_shape: Sequence[int],
    n_classes: int,
    *,
    hidden: int = 20,
    units: int = 100,
    activation: str | Callable | keras.layers.Layer = "swish",
    initializer: str | keras.initializers.Initializer = "he_normal",
    batch_norm: bool = False,
    dropout: float = 0.0,
    alpha_dropout: float = 0.0,
    name: str | None = None,
) -> keras.Sequential:
    """Return an uncompiled stack of equal dense layers with a softmax output.

    The layers, in order: Flatten; `hidden` times Dense (with `batch_norm`: Dense without bias →
    BatchNormalization → Activation), each followed by Dropout where `dropout` is above 0; one
    AlphaDropout just before the output where `alpha_dropout` is above 0; the softmax output,
    with Glorot uniform weights.

    Args:
        input_shape: shape of one sample, such as (32, 32, 3).
        n_classes: number of outputs, at least 2.
        hidden: number of hidden layers; 0 gives softmax regression.
        units: units of each hidden layer.
        activation: name, function or layer; a layer is copied, so that each hidden layer has
            its own weights (PReLU).
        initializer: of the hidden kernels, name or object. An object is copied too, and its
            seed, where it has one, raised by 1 per layer: Keras draws the same numbers again
            for each use of one seeded object.
        batch_norm: normalise each hidden layer's sums before the activation.
        dropout: rate of the Dropout after every hidden layer, in [0, 1).
        alpha_dropout: rate of the AlphaDropout before the output, in [0, 1); meant for SELU.
        name: the model's name.

    Raises:
        ArgumentError: a value out of its range, or a name Keras does not know.
        TypeError: a number where none can be read.

    >>> model = mlp((32, 32, 3), 10, hidden=2, batch_norm=True)
    >>> [type(layer).__name__ for layer in model.layers]
    ['Flatten', 'Dense', 'BatchNormalization', 'Activation',
     'Dense', 'BatchNormalization', 'Activation', 'Dense']
    >>> model.output_shape
    (None, 10)
    """
    if isinstance(input_shape, (int, str)):
        raise TypeError(f"input_shape must be a tuple such as (28, 28), but is {input_shape!r}")
    shape = tuple(whole_number("each size of input_shape", size, least=1) for size in input_shape)
    n_classes = whole_number("n_classes", n_classes, least=2)
    hidden = whole_number("hidden", hidden, least=0)
    units = whole_number("units", units, least=1)
    dropout = number("dropout", dropout, 0, 1)
    alpha_dropout = number("alpha_dropout", alpha_dropout, 0, 1)

    layers = [keras.Input(shape), keras.layers.Flatten()]
    for i in range(hidden):
        layers.append(
            keras.layers.Dense(
                units, kernel_initializer=_own_initializer(initializer, i), use_bias=not batch_norm
            )
        )
        if batch_norm:
            layers.append(keras.layers.BatchNormalization())
        layers.append(_own_activation(activation))
        if dropout:
            layers.append(keras.layers.Dropout(dropout))
    if alpha_dropout:
        layers.append(keras.layers.AlphaDropout(alpha_dropout))
    layers.append(keras.layers.Dense(n_classes, activation="softmax"))
    return keras.Sequential(layers, name=name)


def cifar10_net(
    variant: str, *, input_shape: Sequence[int] = (32, 32, 3), n_classes: int = 10
) -> keras.Sequential:
    """Return the uncompiled network of one variant of the CIFAR-10 study.

    All have 20 hidden layers of 100 units (*Hands-On Machine Learning*, 3rd edition, chapter
    11, exercise 8). The inputs must be standardised for the last three.

    - `baseline` (8a): He normal, Swish.
    - `batch_norm` (8c): the same with batch normalisation before each activation.
    - `selu` (8d): LeCun normal, SELU: the self-normalising net.
    - `alpha_dropout` (8e): `selu` with AlphaDropout(0.1) before the output.
    - `one_cycle` (8f): the net of `alpha_dropout`, as in the book; only its training differs.
    - `combined`: `batch_norm` with ShiftAndFlip(4) before it and Dropout(0.1) before the output.

    Raises:
        ArgumentError: an unknown variant, or a size that `mlp` refuses.

    >>> cifar10_net("baseline").count_params()
    500210
    """
    if variant not in _CHANGES:
        raise ArgumentError(
            f"variant must be one of {', '.join(CIFAR10_VARIANTS)}, but is {variant!r}"
        )
    model = mlp(input_shape, n_classes, name=variant, **_CHANGES[variant])
    if variant != "combined":
        return model
    *hidden, output = model.layers
    inputs, dropout = keras.Input(model.input_shape[1:]), keras.layers.Dropout(0.1)
    return keras.Sequential([inputs, ShiftAndFlip(4), *hidden, dropout, output], name=variant)


def _own_activation(activation: Any) -> keras.layers.Layer:
    if isinstance(activation, keras.layers.Layer):
        return activation.from_config({**activation.get_config(), "name": None})
    try:
        return keras.layers.Activation(activation)
    except ValueError:
        raise ArgumentError(
            f"activation must be a name Keras knows, a function or a layer, but is {activation!r}"
        ) from None


def _own_initializer(initializer: Any, i: int) -> keras.initializers.Initializer:
    try:
        found = keras.initializers.get(initializer)
    except ValueError:
        raise ArgumentError(
            f"initializer must be a name Keras knows or an initialiser, but is {initializer!r}"
        ) from None
    if not isinstance(found, keras.initializers.Initializer):
        return found
    config = found.get_config()
    if isinstance(config.get("seed"), int):
        config["seed"] += i
    return found.from_config(config)
