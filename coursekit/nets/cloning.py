"""A second model of the same structure, put together from new layers, without compiled state."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from coursekit.base.keras import keras
from coursekit.base.state import check_model
from coursekit.errors import ArgumentError

_NONE: frozenset[str] = frozenset()


def rebuilt(
    model: keras.Model,
    layer_for: Callable[[keras.layers.Layer], keras.layers.Layer] | None = None,
    *,
    without: Collection[str] = _NONE,
    call: Callable[..., Any] = lambda layer, *args, **kwargs: layer(*args, **kwargs),
) -> keras.Model:
    """Return an uncompiled model of the same structure, with weights of its own.

    `keras.models.clone_model` copies the compiled state too, and stumbles over what it cannot write
    down; an optimizer made for other weights is of no use in any case.

    Args:
        model: a Sequential or functional model that starts with a keras.Input.
        layer_for: makes the new layer from an old one; by default its `twin`.
        without: names of layers with one input and one output that are left out.
        call: calls the new layers of a functional model, `call(layer, *args, **kwargs)`.

    Raises:
        ArgumentError, TypeError: another kind of model, no model.
    """
    check_has_inputs(model)
    layer_for = layer_for or twin
    if isinstance(model, keras.Sequential):
        kept = [layer_for(layer) for layer in model.layers if layer.name not in without]
        layers = [_same_input(model.inputs[0]), *kept]
        return keras.Sequential(layers, name=model.name, trainable=model.trainable)

    def call_or_pass(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return args[0] if layer.name in without else call(layer, *args, **kwargs)

    starts = [layer for layer in model.layers if isinstance(layer, keras.layers.InputLayer)]
    names = {id(layer.output): layer.name for layer in starts}
    tensors = [_same_input(old, names[id(old)]) for old in model.inputs]
    inputs = keras.tree.pack_sequence_as(model.input, tensors)
    bare = keras.Model(model.input, model.output, name=model.name)
    copy = keras.models.clone_model(
        bare, inputs, clone_function=layer_for, call_function=call_or_pass
    )
    if not model.trainable:
        copy.trainable = False
    return copy


def twin(layer: keras.layers.Layer, **changes: Any) -> keras.layers.Layer:
    """Return a new layer with the settings of `layer`, apart from `changes`; nested models too.

    >>> twin(keras.layers.Dense(3, name="a"), use_bias=False).get_config()["use_bias"]
    False
    """
    if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
        return rebuilt(layer)
    return layer.__class__.from_config({**layer.get_config(), **changes})


def check_has_inputs(model: Any) -> None:
    """Refuse anything but a model whose structure is known: Sequential or functional, and built."""
    check_model(model, built=False)
    if not getattr(model, "inputs", None):
        raise ArgumentError(
            "model: expected a built Sequential or functional model, one that starts with a "
            f"keras.Input, got a {type(model).__name__}."
        )


def _same_input(old: keras.KerasTensor, name: str | None = None) -> keras.KerasTensor:
    return keras.Input(batch_shape=old.shape, dtype=old.dtype, name=name)
