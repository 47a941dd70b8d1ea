"""What each layer of a Keras model puts out, recorded without changing the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from coursekit.base.keras import keras, tf
from coursekit.base.numbers import whole_number
from coursekit.errors import ArgumentError


def layer_outputs(
    model: keras.Model, x: Any, batch_size: int
) -> Iterator[tuple[str, keras.layers.Layer, np.ndarray]]:
    """Yield (name, layer, outputs) for every layer and batch, in inference mode."""
    x, batch_size = samples("x", x), whole_number("batch_size", batch_size, least=1)
    check_model(model)
    seen: list[tuple[str, keras.layers.Layer, np.ndarray]] = []
    with state_restored(model):
        for start in range(0, len(x), batch_size):
            with _recording(leaves(model), seen):
                model(x[start : start + batch_size], training=False)
            yield from seen
            seen.clear()


@contextmanager
def _recording(named: list[tuple[str, keras.layers.Layer]], seen: list[Any]) -> Iterator[None]:
    """Note each layer's output as the model computes it; this works for any class of model."""

    def recorder(name: str, layer: keras.layers.Layer) -> Callable[..., Any]:
        call = layer.call

        def recorded(*args: Any, **kwargs: Any) -> Any:
            outputs = call(*args, **kwargs)
            if tf.is_tensor(outputs) and outputs.dtype.is_floating:
                seen.append((name, layer, as_array(outputs)))
            return outputs

        return recorded

    hooked = []
    try:
        for name, layer in named:
            layer.call = recorder(name, layer)
            hooked.append(layer)
        yield
    finally:
        for layer in hooked:
            del layer.call


@contextmanager
def state_restored(model: keras.Model) -> Iterator[None]:
    """Give moving averages, dropout seeds and metrics back what they were."""
    variables = [*model.non_trainable_variables, *model.metrics_variables]
    before = [np.array(variable) for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def leaves(model: keras.Model) -> list[tuple[str, keras.layers.Layer]]:
    """Return (name, layer) of all layers, those of nested models in their place, each once."""
    found: dict[int, tuple[str, keras.layers.Layer]] = {}

    def collect(inner: keras.Model, prefix: str) -> None:
        for layer in inner.layers:
            if isinstance(layer, keras.Model):
                collect(layer, f"{prefix}{layer.name}/")
            elif not isinstance(layer, keras.layers.InputLayer):
                found.setdefault(id(layer), (prefix + layer.name, layer))

    collect(model, "")
    return list(found.values())


def as_array(tensor: Any) -> np.ndarray:
    """Return a tensor as float32 or float64 (bfloat16 has no exact NumPy twin)."""
    tensor = tf.convert_to_tensor(tensor)
    return np.asarray(tensor if tensor.dtype == tf.float64 else tf.cast(tensor, tf.float32))


def samples(name: str, value: Any) -> np.ndarray:
    """Return `value` as an array of at least one sample, or say what is wrong with it."""
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name} must be one array of numbers, got {type(value).__name__}.")
    if array.ndim == 0 or len(array) == 0:
        raise ArgumentError(f"{name} must hold at least one sample, its shape is {array.shape}.")
    return array


def check_model(model: Any) -> None:
    """Refuse anything but a Keras model that has its weights."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a Keras model, got {type(model).__name__}.")
    if not model.built:
        raise ArgumentError("The model has no weights yet: give it a keras.Input, or call it once.")
