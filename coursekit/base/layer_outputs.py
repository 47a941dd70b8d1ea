"""What each layer of a Keras model puts out, recorded without changing the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from coursekit.base.keras import keras, tf
from coursekit.base.numbers import whole_number
from coursekit.base.state import as_found, check_model
from coursekit.errors import ArgumentError

Call = Callable[..., Any]


def layer_outputs(
    model: keras.Model, x: Any, batch_size: int
) -> Iterator[tuple[str, keras.layers.Layer, np.ndarray]]:
    """Yield (name, layer, outputs) for every layer and batch, in inference mode."""
    x, batch_size = samples("x", x), whole_number("batch_size", batch_size, least=1)
    check_model(model)
    seen: list[tuple[str, keras.layers.Layer, np.ndarray]] = []
    with as_found(model):
        for start in range(0, len(x), batch_size):
            with _recording(model, seen):
                model(x[start : start + batch_size], training=False)
            yield from seen
            seen.clear()


@contextmanager
def calls_wrapped(
    layers: Iterable[keras.layers.Layer], wrap: Callable[[keras.layers.Layer, Call], Call]
) -> Iterator[None]:
    """Let each layer run `wrap(layer, layer.call)` in place of its `call`, within the block."""
    with ExitStack() as stack:
        for layer in {id(layer): layer for layer in layers}.values():
            call = layer.call
            wrapped = wrap(layer, call)
            if "call" in vars(layer):
                stack.callback(setattr, layer, "call", call)
            else:
                stack.callback(delattr, layer, "call")
            layer.call = wrapped
        yield


@contextmanager
def _recording(model: keras.Model, seen: list[Any]) -> Iterator[None]:
    """Note each layer's output as the model computes it; this works for any class of model."""
    names = {id(layer): name for name, layer in leaves(model)}

    def recorder(layer: keras.layers.Layer, call: Call) -> Call:
        def recorded(*args: Any, **kwargs: Any) -> Any:
            outputs = call(*args, **kwargs)
            if tf.is_tensor(outputs) and outputs.dtype.is_floating:
                seen.append((names[id(layer)], layer, as_array(outputs)))
            return outputs

        return recorded

    with calls_wrapped([layer for _, layer in leaves(model)], recorder):
        yield


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
