"""The compiled program behind `mc_predict`: a batch and one key per sample in, all samples out.

The model is run until it first asks for noise, and what each layer has put out by then is kept;
then once per key, where these layers give what was kept. Every class of model can be cut in two so:
layers are told apart by the order in which the model calls them. The noise comes from the keys: in
a `keras.StatelessScope` no seed generator moves.

XLA is not used on purpose: on a CPU its random numbers are about a hundred times slower.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.base.keras import keras, tf
from coursekit.base.layer_outputs import Call, calls_wrapped, leaves
from coursekit.base.state import check_model
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
    check_model(model)
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
    rates = [(weakref.ref(layer), *(_number(layer, rate) for rate in _RATES)) for layer in layers]
    fingerprint = (shape, dtype, rates)
    known, run = _programs.get(model, (None, None))
    if known != fingerprint:
        run = _compiled(model, shape, dtype)
        _programs[model] = (fingerprint, run)
    return run


def _compiled(model: keras.Model, shape: tuple, dtype: str) -> Callable[[Any, Any], tf.Tensor]:
    owner = weakref.ref(model)  # the cache must not keep its own key alive

    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec(shape, dtype), tf.TensorSpec([None], "int64")],
    )
    def run(x: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        model = owner()
        layers = [layer for _, layer in leaves(model)]
        dropout = [layer for layer in model._flatten_layers() if _is_dropout(layer)]

        def one_sample(key: tf.Tensor) -> tf.Tensor:
            with _Noise(key), calls_wrapped(layers, _replayer(kept)):
                y = model(x, training=False)
            if not (tf.is_tensor(y) and y.shape.rank == 2):
                raise ArgumentError("model must have one output of the shape (n, n_classes)")
            return tf.cast(y, "float32")

        with calls_wrapped(dropout, _switched_on):
            kept, asked = _until_noise(model, x, layers)
            if not (dropout or asked):
                raise ArgumentError(
                    "model must have a dropout layer, but none of its layers is stochastic "
                    "(mark a layer of your own with the attribute mc_dropout = True)"
                )
            return tf.map_fn(
                one_sample,
                keys,
                fn_output_signature="float32",
                parallel_iterations=_SAMPLES_AT_A_TIME,
            )

    run.get_concrete_function()
    return run


class _NoiseWanted(BaseException):
    """The model asks for noise; no handler of errors may catch it on the way."""


class _Noise(keras.StatelessScope):
    """Gives every seed generator a state made of the sample's key and the generator's number."""

    def __init__(self, key: tf.Tensor | None) -> None:
        super().__init__()
        self.key, self.generators = key, 0

    def get_current_value(self, variable: keras.Variable) -> tf.Tensor | None:
        value = super().get_current_value(variable)
        if value is None and variable.name == "seed_generator_state":
            if self.key is None:
                raise _NoiseWanted
            # The second number counts the draws: 65,536 of them for each generator.
            value = tf.stack([self.key, tf.constant(self.generators << 16, self.key.dtype)])
            self.state_mapping[id(variable)] = value
            self.generators += 1
        return value


def _until_noise(
    model: keras.Model, x: tf.Tensor, layers: list[keras.layers.Layer]
) -> tuple[list[Any], bool]:
    """Return what the layers put out, in the order of their calls, and whether noise ended it."""
    kept: list[Any] = []
    graph = getattr(x, "graph", None)  # none where functions are run eagerly

    def keeping(layer: keras.layers.Layer, call: Call) -> Call:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            outputs = call(*args, **kwargs)
            if any(getattr(y, "graph", graph) is not graph for y in tf.nest.flatten(outputs)):
                raise _NoiseWanted  # in a loop of the model's own: nothing to be used outside it
            kept.append(outputs)
            return outputs

        return wrapped

    try:
        with _Noise(None), calls_wrapped(layers, keeping):
            model(x, training=False)
    except _NoiseWanted:
        return kept, True
    return kept, False


def _replayer(kept: list[Any]) -> Callable[[keras.layers.Layer, Call], Call]:
    left = iter(kept)

    def replaying(layer: keras.layers.Layer, call: Call) -> Call:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            outputs = next(left, None)
            return call(*args, **kwargs) if outputs is None else outputs

        return wrapped

    return replaying


def _switched_on(layer: keras.layers.Layer, call: Call) -> Call:
    if "training" not in layer.call_signature_parameters:
        return call
    return lambda *args, **kwargs: call(*args, **{**kwargs, "training": True})


def _is_dropout(layer: Any) -> bool:
    if getattr(layer, "mc_dropout", False) or isinstance(layer, _DROPOUT):
        return True
    rates = (_number(layer, "dropout"), _number(layer, "recurrent_dropout"))
    return isinstance(layer, _WITH_RATE) and any(rates)


def _number(layer: Any, name: str) -> float:
    value = getattr(layer, name, 0.0)
    return float(value) if isinstance(value, (int, float)) else 0.0
