"""Exercise 01: gradient norms, against backpropagation written out in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.behaviour import behaviour
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import loosely_equal, rng
from coursekit.checks.kit.models import give_weights, with_weights
from coursekit.checks.kit.simulate import loss_and_gradients
from coursekit.checks.kit.values import describe, number


def _gradients(model, x, y):
    """Return the gradients of kernel and bias, if there is one, for each layer with weights."""
    layers, weights = with_weights(model), []
    for layer in layers:
        kernel, *bias = layer.get_weights()
        weights += [kernel, bias[0] if bias else np.zeros(kernel.shape[1])]
    _, found = loss_and_gradients(weights, x, y)
    return [found[2 * i : 2 * i + len(layer.weights)] for i, layer in enumerate(layers)]


def _norms(measure: Callable[[list[np.ndarray]], Any]) -> Callable[..., list[Any]]:
    return lambda model, x, y: [measure(parts) for parts in _gradients(model, x, y)]


def _norm(parts):
    return sum(np.sum(part**2) for part in parts) ** 0.5


def _for_every_layer(model, x, y):
    norms = iter(_norms(_norm)(model, x, y))
    return [next(norms) if layer.weights else 0.0 for layer in model.layers]


def _by_tape(training: bool = False, twice: bool = False) -> Callable[..., list[Any]]:
    def norms(model, x, y):
        from coursekit.base.keras import tf

        with tf.GradientTape() as tape:
            p = model(x, training=training)
            logits = p if twice else tf.math.log(p)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
        groups = tape.gradient(loss, [layer.weights for layer in with_weights(model)])
        return [_norm([part.numpy() for part in group]) for group in groups]

    return norms


DROPOUT = "Dropout is at work while you measure: call `model(x)`, without training=True."


def _numbers(result: Any) -> list[float]:
    if not hasattr(result, "__len__") or isinstance(result, (str, dict)):
        raise Wrong(f"Expected a list with a number for each layer, got {describe(result)}.")
    return [number(value, "A number in your list") for value in result]


def add_gradient_norms(tasks: TaskList) -> None:
    """Add the task."""

    @behaviour(
        tasks, title="The gradient norm of every layer", seconds=120.0, rtol=1e-3,
        right=_norms(_norm),
        hints=(
            "Inside `with tf.GradientTape() as tape:` compute the loss only. Everything else comes "
            "after the block.",
            "`tape.gradient(loss, sources)` also takes a list of lists: give it "
            "`layer.trainable_weights` of every layer for which that list is not empty, and the "
            "gradients come back in the same groups.",
            "`tf.linalg.global_norm(group)` is the root of the sum of all squares in a list.",
        ),
        mistakes={
            "Every norm is 0: the tape does not see the model. Call `model(x)` inside the `with` "
            "block; `predict` and NumPy leave no trace.":
                lambda m, x, y: [0.0] * len(with_weights(m)),
            "There is a number for each layer; those without weights have none.": _for_every_layer,
            "There is one number for each kernel and each bias; those of a layer belong together.":
                lambda m, x, y: [_norm([part]) for parts in _gradients(m, x, y) for part in parts],
            "The first layer must come first.": lambda m, x, y: _norms(_norm)(m, x, y)[::-1],
            "Only the kernels count; biases belong to it.": _norms(lambda parts: _norm(parts[:1])),
            "Only the biases count in your norms.": _norms(lambda parts: _norm(parts[-1:])),
            "You add the norms of kernel and bias; it is the squares that add up under one root.":
                _norms(lambda parts: sum(_norm([part]) for part in parts)),
            "The root is missing: these are squares.": _norms(lambda parts: _norm(parts) ** 2),
            "The loss is summed over the batch; its mean is wanted.":
                lambda m, x, y: [len(x) * norm for norm in _norms(_norm)(m, x, y)],
            "These are root mean squares: you divide by the number of weights under the root.":
                _norms(lambda parts: _norm(parts) / sum(part.size for part in parts) ** 0.5),
            "You add absolute values; a norm is the root of the sum of squares.":
                _norms(lambda parts: sum(np.abs(part).sum() for part in parts)),
            "You take the largest element; a norm is the root of the sum of squares.":
                _norms(lambda parts: max(np.abs(part).max() for part in parts)),
            "These are norms of the weights, not of gradients.":
                lambda m, x, y: [_norm(layer.get_weights()) for layer in with_weights(m)],
            "The softmax is applied twice: your loss expects logits, but the model already ends in "
            "one.": _by_tape(twice=True),
            DROPOUT: _by_tape(training=True),
        },
    )  # fmt: skip
    def gradient_norms(answer: Any) -> dict[str, list[float]]:
        """A list of norms as a function (model, x, y)."""
        from coursekit.base.keras import keras

        dense, seen = keras.layers.Dense, {}
        nets = {
            "Flatten and three Dense": [keras.layers.Flatten(), dense(5, "tanh"), dense(4, "tanh")],
            "Dense, one without bias, and Dropout": [
                dense(6, "tanh"), dense(4, use_bias=False), keras.layers.Activation("tanh"),
                keras.layers.Dropout(0.5), dense(5, "tanh"),
            ],
        }  # fmt: skip
        for (name, layers), shape in zip(nets.items(), ((12, 2, 3), (7, 4)), strict=True):
            model = keras.Sequential([keras.Input(shape[1:]), *layers, dense(3, "softmax")])
            model.compile(keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
            before, draw = give_weights(model, name).get_weights(), rng(name)
            x, y = draw.normal(size=shape).astype("float32"), draw.integers(0, 3, shape[0])
            first, again = (_numbers(call(answer, model, x, y)) for _ in range(2))
            if any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True)):
                raise Wrong("The weights of the model have changed: measure, do not train.")
            if not loosely_equal(first, again, 1e-4):
                raise Wrong(DROPOUT)
            seen[f"for a net of {name}"] = first
        return seen
