"""The compiled program behind `mc_predict`.

One TensorFlow function takes a batch and one key per sample and returns all samples. Two ideas:

- Noise: within a `keras.StatelessScope` every seed generator the model asks is given a state
  made of the sample's key and the generator's number. No variable is ever assigned.
- Once or per sample: the loop over samples is a graph of its own, inside the graph of the whole
  program. Each layer whose inputs all come from the outer graph is computed there, once; a layer
  that draws noise, and with it all that uses its result, is computed in the loop.

XLA is not used on purpose: on a CPU its random numbers are about a hundred times slower.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from coursekit.base.keras import keras, tf
from coursekit.errors import ArgumentError

_L = keras.layers
_DROPOUT = (_L.Dropout, _L.AlphaDropout, _L.GaussianDropout, _L.GaussianNoise)
# Layers with a rate of their own whose `training` switches nothing but their dropout.
_WITH_RATE = (_L.RNN, _L.LSTMCell, _L.GRUCell, _L.SimpleRNNCell, _L.Attention)
_RATES = ("rate", "stddev", "dropout", "recurrent_dropout")
_SAMPLES_AT_A_TIME = 4  # of the loop: keeps all cores busy with small batches

_programs: weakref.WeakKeyDictionary[keras.Model, tuple[Any, Callable]] = (
    weakref.WeakKeyDictionary()
)


def input_spec(model: Any, x: np.ndarray) -> tuple[tuple[int | None, ...], str]:
    """Return the shape (None, ...) and the type of what the model takes."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a Keras model, but is a {type(model).__name__}")
    if not model.built:
        raise ArgumentError(
            "model must have its weights before it can predict: "
            "train it, or give it a keras.Input first"
        )
    inputs = getattr(model, "inputs", None)
    if not inputs:  # a subclassed model shows its inputs only when it runs
        dtype = keras.config.floatx() if x.dtype.kind in "fb" else x.dtype.name
        return (None, *x.shape[1:]), dtype
    if len(inputs) > 1:
        raise ArgumentError(f"model must have one input, but has {len(inputs)}")
    return (None, *inputs[0].shape[1:]), inputs[0].dtype


def program(model: keras.Model, shape: tuple, dtype: str) -> Callable[[Any, Any], tf.Tensor]:
    """Return the model's program (x, keys) -> (samples, n, classes), compiled at first use."""
    layers = model._flatten_layers(include_self=False)
    rates = [(id(layer), *(_number(layer, rate) for rate in _RATES)) for layer in layers]
    fingerprint = (shape, dtype, rates)
    known, run = _programs.get(model, (None, None))
    if known != fingerprint:
        run = _compile(model, shape, dtype)
        _programs[model] = (fingerprint, run)
    return run


def _compile(model: keras.Model, shape: tuple, dtype: str) -> Callable[[Any, Any], tf.Tensor]:
    owner = weakref.ref(model)  # the cache must not keep its own key alive
    noisy = any(_is_dropout(layer) for layer in model._flatten_layers())

    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec(shape, dtype), tf.TensorSpec([None], "int64")],
    )
    def run(x: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        outer = tf.compat.v1.get_default_graph()

        def one_sample(key: tf.Tensor) -> tf.Tensor:
            with _Noise(key, outer) as noise, _layers_placed(owner(), outer):
                y = owner()(x, training=False)
            if not (tf.is_tensor(y) and y.shape.rank == 2):
                raise ArgumentError("model must have one output of the shape (n, n_classes)")
            if not (noisy or noise.generators):
                raise ArgumentError(
                    "model must have a dropout layer, but none of its layers is stochastic "
                    "(mark a layer of your own with the attribute mc_dropout = True)"
                )
            return tf.cast(y, "float32")

        return tf.map_fn(
            one_sample, keys, fn_output_signature="float32", parallel_iterations=_SAMPLES_AT_A_TIME
        )

    run.get_concrete_function()
    return run


class _NoiseWanted(BaseException):
    """A layer that is being computed once asks for noise; no handler of errors may catch it."""


class _Noise(keras.StatelessScope):
    """Gives every seed generator a state from the sample's key, and keeps all variables."""

    def __init__(self, key: tf.Tensor, outer: tf.Graph) -> None:
        super().__init__()
        self.key, self.outer, self.generators = key, outer, 0

    def get_current_value(self, variable: keras.Variable) -> tf.Tensor | None:
        value = super().get_current_value(variable)
        if variable.name == "seed_generator_state":
            if not self._in_loop(tf.compat.v1.get_default_graph()):
                raise _NoiseWanted
            if value is None:
                # The second number counts the draws: 65,536 of them for each generator.
                value = tf.stack([self.key, tf.constant(self.generators << 16, self.key.dtype)])
                self.state_mapping[id(variable)] = value
                self.generators += 1
        return value

    def _in_loop(self, graph: tf.Graph) -> bool:
        while graph is not self.key.graph:  # a recurrent layer has a loop of its own inside
            if graph is self.outer:
                return False
            graph = graph.outer_graph
        return True


@contextmanager
def _layers_placed(model: keras.Model, outer: tf.Graph) -> Iterator[None]:
    """While the program is traced, let each layer find its graph, and dropout its noise."""
    found = {id(layer): layer for layer in model._flatten_layers()}
    for layer in tuple(found.values()):  # what a functional model computes without a layer
        found |= {id(operation): operation for operation in getattr(layer, "operations", ())}
    del found[id(model)]
    own = [(item, vars(item).get("call")) for item in found.values()]
    try:
        for item, _ in own:
            object.__setattr__(item, "call", _placed(item, outer))
        yield
    finally:
        for item, call in own:
            if call is None:
                object.__delattr__(item, "call")
            else:
                object.__setattr__(item, "call", call)


def _placed(layer: Any, outer: tf.Graph) -> Callable:
    call = layer.call
    parts = layer._flatten_layers() if isinstance(layer, keras.Layer) else []
    noisy = any(_is_dropout(part) for part in parts)
    switch = {}
    if _is_dropout(layer) and "training" in layer.call_signature_parameters:
        switch = {"training": True}

    def placed(*args: Any, **kwargs: Any) -> Any:
        kwargs |= switch
        tensors = [value for value in tf.nest.flatten((args, kwargs)) if tf.is_tensor(value)]
        known = tensors and all(getattr(tensor, "graph", None) is outer for tensor in tensors)
        if known and not noisy:
            try:
                with outer.as_default():
                    return call(*args, **kwargs)
            except _NoiseWanted:
                pass  # noise of a layer of the user's own
        return call(*args, **kwargs)

    return placed


def _is_dropout(layer: Any) -> bool:
    if getattr(layer, "mc_dropout", False) or isinstance(layer, _DROPOUT):
        return True
    rates = (_number(layer, "dropout"), _number(layer, "recurrent_dropout"))
    return isinstance(layer, _WITH_RATE) and any(rates)


def _number(layer: Any, name: str) -> float:
    value = getattr(layer, name, 0.0)
    return float(value) if isinstance(value, (int, float)) else 0.0
