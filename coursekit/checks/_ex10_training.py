"""Exercise 10: the layer that adds its own penalty, and the step that must add `model.losses`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call, call_in_graph
from coursekit.checks.kit.compare import loosely_equal, rng
from coursekit.checks.kit.models import give_weights
from coursekit.checks.kit.values import array, describe, number, parts


def _amount(layer: Any, *arrays: Any, a: float = 1.0, b: float = 1.0, swap: bool = False) -> Any:
    """The penalty of these arrays, else of the kernel, its two parts times a and b."""
    from coursekit.base.keras import keras

    total, (l1, l2) = 0, (layer.l2, layer.l1) if swap else (layer.l1, layer.l2)
    for w in arrays or (layer.kernel,):
        total += a * l1 * keras.ops.sum(keras.ops.abs(w)) + b * l2 * keras.ops.sum(w**2)
    return total


def elastic(
    added: Callable[..., Any] = lambda layer, x, out: _amount(layer),
    given: Callable[..., Any] = lambda layer, x, out: out,
) -> Callable[..., Any]:
    """Return a maker of ElasticDense layers that add, and return, what these functions say."""

    def make(units, l1=0.0, l2=0.0, **kwargs):
        from coursekit.base.keras import keras

        class Elastic(keras.layers.Dense):
            def call(self, inputs):
                output = super().call(inputs)
                self.add_loss(added(self, inputs, output))
                return given(self, inputs, output)

        layer = Elastic(units, **kwargs)
        layer.l1, layer.l2 = l1, l2
        return layer

    return make


def _signed(layer: Any, x: Any, out: Any) -> Any:
    from coursekit.base.keras import keras

    return _amount(layer, a=0) + layer.l1 * keras.ops.sum(layer.kernel)


def _plain(layer: Any, x: Any, out: Any) -> Any:
    from coursekit.base.keras import keras

    return keras.ops.matmul(x, layer.kernel) + layer.bias


ELASTIC = {
    "The bias is counted; the penalty is on the kernel alone.":
        elastic(lambda m, x, out: _amount(m, m.kernel, m.bias)),
    "The penalty is added twice.": elastic(lambda m, x, out: 2 * _amount(m)),
    "You penalise the output; the penalty is on the kernel.":
        elastic(lambda m, x, out: _amount(m, out)),
    "You take the mean over the weights; the penalty is a sum.":
        elastic(lambda m, x, out: _amount(m) / m.kernel.shape[0] / m.kernel.shape[1]),
    "You divide by the number of samples; the penalty does not depend on the inputs.":
        elastic(lambda m, x, out: _amount(m) / len(x)),
    "The squares have a factor ½ that the task does not ask for.":
        elastic(lambda m, x, out: _amount(m, b=0.5)),
    "You add the weights themselves: negative ones cancel positive ones. Take absolute values.":
        elastic(_signed),
    "The absolute values are missing: your penalty is ℓ2 alone.":
        elastic(lambda m, x, out: _amount(m, a=0)),
    "The squares are missing: your penalty is ℓ1 alone.":
        elastic(lambda m, x, out: _amount(m, b=0)),
    "The two coefficients have changed places.":
        elastic(lambda m, x, out: _amount(m, swap=True)),
    "The activation is missing: a Dense layer applies it last. Return what the parent class does.":
        elastic(given=_plain),
    "The bias is missing in the output: return what the parent class returns.":
        elastic(given=lambda m, x, out: m.activation(_plain(m, x, out) - m.bias)),
}  # fmt: skip


def elastic_dense(answer: Any) -> dict[str, Any]:
    """The class itself; its arguments are units, l1 and l2, and its call adds the penalty."""
    from coursekit.base.keras import keras, tf

    if isinstance(answer, keras.layers.Layer):
        raise Wrong("Expected your class itself, without parentheses; got a layer.")
    x, seen = rng("layer").normal(size=(6, 3)).astype("float32"), {}
    for i, (l1, l2, activation) in enumerate(((0.3, 0.07, None), (0.02, 0.5, "tanh"))):
        layer = call(answer, 4, l1, l2) if not i else answer(4, l1=l1, l2=l2, activation=activation)
        if not isinstance(layer, keras.layers.Layer):
            raise Wrong(f"`ElasticDense(4)` should be a Keras layer; it is {describe(layer)}.")
        layer(x)
        weights = sorted(layer.trainable_variables, key=lambda w: len(w.shape))
        if [tuple(w.shape) for w in weights] != [(4,), (3, 4)]:
            raise Wrong("The layer should have one kernel and one bias, as a Dense layer has.")
        for w in weights:  # a penalty computed once and for all is stale now
            w.assign(rng(f"layer {i} {len(w.shape)}").normal(size=w.shape))
        with tf.GradientTape() as tape:
            output = layer(x[: 6 - i])
            added = sum(layer.losses)
        if output is None:
            raise Wrong("`call` returns nothing. Return what a Dense layer returns.")
        if not layer.losses:
            raise Wrong("After a call `layer.losses` is empty: hand the penalty to `self.add_loss` "
                        "in `call`.")  # fmt: skip
        gradient = tape.gradient(added, weights[1]) if tf.is_tensor(added) else 0
        which = f", activation={activation!r}" if activation else ""
        seen[f"the output{which}"] = array(output, "The output", shape=(6 - i, 4))
        seen[f"the penalty for l1={l1}, l2={l2}"] = number(added, "Your penalty")
        seen[f"the gradient of the penalty with respect to the kernel{which}"] = (
            np.zeros((3, 4)) if gradient is None else np.asarray(gradient)
        )
    free = answer(2)
    free(x)
    seen["the penalty with the default settings"] = float(sum(free.losses))
    if not _is_known(answer):
        _require_same_in_fit(answer, x)
    return seen


def _is_known(answer: Any) -> bool:
    """Return whether it is one of those in this module: they do the same in a graph."""
    return getattr(getattr(answer, "func", answer), "__module__", "") == __name__


def _require_same_in_fit(answer: Any, x: np.ndarray) -> None:
    from coursekit.base.keras import keras

    try:
        model = keras.Sequential([keras.Input((3,)), answer(4, l1=0.3, l2=0.07, activation="relu")])
        model.compile(keras.optimizers.SGD(0.1), loss="mse")
        give_weights(model, "elastic model")
        loss = model.train_on_batch(x, np.ones((6, 4)), return_dict=True)["loss"]
    except Exception as error:  # whatever a graph refuses
        raise Wrong(
            "It works by itself, but not in `model.fit`: there tensors have no values yet, so "
            f"`.numpy()`, `float()` and NumPy's functions are out. ({type(error).__name__})"
        ) from None
    give_weights(model, "elastic model")
    error = np.mean((np.asarray(model(x)) - 1) ** 2)
    if not loosely_equal(loss, error + float(sum(model.losses)), 1e-3):
        raise Wrong("In `model.fit` the loss does not hold the penalty that it has outside.")


# The training step


def right_step(model, optimizer, x, y, mistake=""):
    """One step, or what one `mistake` makes of it."""
    from coursekit.base.keras import tf

    old = early = sum(model.losses) if mistake == "stale" else 0
    with tf.GradientTape() as tape:
        if mistake == "stale":
            early = sum(model.losses)
        error = model(x, training=mistake != "inference") - y
        data = tf.reduce_mean(tf.abs(error) if mistake == "absolute" else error**2)
        added = sum(model.losses)
        used = {"none": 0 * added, "twice": 2 * added, "minus": -added, "stale": early,
                "first": sum(model.losses[:1]), "last": sum(model.losses[-1:])
                }.get(mistake, added)  # fmt: skip
        whole = used + 0 * data if mistake == "penalty only" else data + used
        whole = -whole if mistake == "uphill" else whole
    variables = model.trainable_variables
    gradients = tape.gradient(whole, variables)
    if mistake == "by hand":
        for v, g in zip(variables, gradients, strict=True):
            v.assign_sub(optimizer.learning_rate * g)
    for _ in range({"by hand": 0, "still": 0, "two steps": 2}.get(mistake, 1)):
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
    if mistake == "data after":
        data = tf.reduce_mean((model(x, training=True) - y) ** 2)
    if mistake == "penalty after":
        model(x)
        added = sum(model.losses)
    return {"whole first": (whole, added), "whole second": (data, whole), "order": (added, data),
            "stale": (data, old)}.get(mistake, (data, added))  # fmt: skip


STEP = {
    reason: partial(right_step, mistake=mistake)
    for reason, mistake in {
        "The weights move as if there were no penalty: `model.losses` is not in the loss whose "
        "gradient you take.": "none",
        "You read `model.losses` before the call of the model: then it holds what an earlier call "
        "has left.": "stale",
        "Only the first of the penalties acts on the weights: add all of `model.losses`.": "first",
        "Only the last of the penalties acts on the weights: add all of `model.losses`.": "last",
        "The penalties are added twice.": "twice",
        "The penalties are subtracted: the weights are driven away from 0.": "minus",
        "Only the penalty is minimised; the data loss is missing.": "penalty only",
        "No weight has moved: the gradients were never applied.": "still",
        "The update is applied twice.": "two steps",
        "You subtract the gradient by hand: let the optimizer apply it; another one than plain SGD "
        "does more.": "by hand",
        "The weights move uphill: the optimizer subtracts the gradient by itself.": "uphill",
        "You call the model without `training=True`: then dropout is off, and batch normalisation "
        "takes its moving averages.": "inference",
        "Your data loss is the mean absolute error; the squared one is wanted.": "absolute",
        "Your first number holds the penalty; return the data loss by itself.": "whole first",
        "Your second number is the whole loss; return the penalty by itself.": "whole second",
        "The two are in the wrong order: first the data loss, then the penalty.": "order",
        "Your data loss is from after the update.": "data after",
        "Your penalty is from after the update.": "penalty after",
    }.items()
}


def train_step(answer: Any) -> dict[str, Any]:
    """(data loss, penalty) as a function (model, optimizer, x, y)."""
    from coursekit.base.keras import keras

    seen = _steps(answer, 0.2, keras.optimizers.SGD(0.05, momentum=0.9), 2)
    try:
        free = _steps(answer, 0.0, keras.optimizers.SGD(0.02), 1)
    except Wrong:
        raise
    except Exception as error:
        raise Wrong(
            "With a model that has no penalty at all, so that `model.losses` is empty, it fails: "
            f"{type(error).__name__}."
        ) from None
    if not _is_known(answer):
        # With Adam's own ε the gradient of a bias before batch normalisation, 0 up to rounding,
        # would move it by a whole rate, up or down as the machine rounds.
        plain, compiled = (
            _steps(answer, 0.1, keras.optimizers.Adam(0.01, epsilon=0.1), 1, graph)
            for graph in (False, True)
        )
        if not loosely_equal(plain, compiled, 1e-3):
            raise Wrong("Inside `tf.function` it does something else than step by step.")
    return seen | {f"{name} of a model without a penalty": part for name, part in free.items()}


def _steps(answer: Any, l2: float, optimizer: Any, n: int, graph: bool = False) -> dict[str, Any]:
    """Return what the answer shows on a net of its own, step after step."""
    seen: dict[str, Any] = {}
    model, x, y = _penalised(l2)
    for after in ("after a step", "after a second step")[:n]:
        if graph:
            optimizer.build(model.trainable_variables)
            result = call_in_graph(lambda x, y: answer(model, optimizer, x, y), x, y)
        else:
            result = call(answer, model, optimizer, x, y)
        data, penalty = parts("data_loss", "penalty", read=number)(result)
        seen |= {f"the data loss {after}": data, f"the penalty {after}": penalty}
        seen[f"the weights {after}"] = {
            f"{layer.name}/{w.name}": np.array(w) for layer in model.layers for w in layer.weights
        }
    return seen


def _penalised(l2: float) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return a net with a regulariser, an `add_loss`, batch normalisation and a frozen layer."""
    from coursekit.base.keras import keras

    class AddsLoss(keras.layers.Dense):
        def call(self, inputs: Any, training: Any = None) -> Any:
            if l2:
                self.add_loss(0.25 * l2 * keras.ops.sum(self.kernel**2))
            return super().call(inputs, training=training)

    regulariser = keras.regularizers.L2(0.75 * l2) if l2 else None
    model = keras.Sequential([
        keras.Input((3,)),
        keras.layers.Dense(4, "tanh", trainable=False, name="frozen"),
        AddsLoss(3, kernel_regularizer=regulariser, name="penalised"),
        keras.layers.BatchNormalization(name="normalised"),
        keras.layers.Dense(2, name="output"),
    ])  # fmt: skip
    draw = rng("train_step")
    x = draw.normal(size=(16, 3)).astype("float32")
    give_weights(model, "before")
    model(x[:2])
    give_weights(model, "train_step")  # now what an earlier call has left is stale
    return model, x, draw.normal(size=(16, 2)).astype("float32")
