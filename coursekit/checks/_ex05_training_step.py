"""Exercise 05: the training step, looked at, and made with one thing wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks.kit.calling import call, call_in_graph
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.models import give_weights
from coursekit.checks.kit.values import number, parts

_pair = parts("loss", "norm", read=number)


def _net(n_outputs: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return a net with a frozen layer and batch normalisation, a batch and its targets."""
    from coursekit.base.keras import keras

    layers, draw = keras.layers, rng(f"training step {n_outputs}")
    model = keras.Sequential([
        keras.Input((3,)), layers.Dense(4, "tanh", name="frozen", trainable=False),
        layers.BatchNormalization(name="norm"), layers.Dense(n_outputs, name="output"),
    ])  # fmt: skip
    x, y = draw.normal(size=(16, 3)), 4 + draw.normal(size=(16, n_outputs))
    return give_weights(model, "training step"), x.astype("float32"), y.astype("float32")


def look_at_steps(answer: Any) -> dict[str, Any]:
    """Loss, norm and weights: of steps that clip and of some that do not, at last compiled."""
    from coursekit.base.keras import keras

    sgd, adam = keras.optimizers.SGD, keras.optimizers.Adam
    seen: dict[str, Any] = {}
    for n_outputs, limit, optimizer, compiled in (
        (2, 0.7, sgd(0.05, momentum=0.9), ""), (1, 90.0, sgd(0.05), ""),
        (1, 2.5, adam(0.01), ", compiled"),
    ):  # fmt: skip
        model, x, y = _net(n_outputs)
        optimizer.build(model.trainable_variables)

        def step(x: Any, y: Any, given: tuple[Any, ...] = (model, optimizer, limit)) -> Any:
            return answer(*given[:2], x, y, given[2])

        for n in (1, 2):
            result = (call_in_graph(step, x, y, autograph=True) if compiled
                      else call(answer, model, optimizer, x, y, limit))  # fmt: skip
            when = f"of step {n} with limit={limit}{compiled}"
            seen[f"the loss {when}"], seen[f"the norm {when}"] = _pair(result)
            values = {"/".join(v.path.split("/")[-2:]): np.array(v) for v in model.weights}
            seen[f"the weights {when}"] = values
    return seen


def _clip(gradients: Any, norm: Any, limit: float) -> Any:
    from coursekit.base.keras import tf

    return [g * limit / tf.maximum(norm, limit) for g in gradients]


def each_by_norm(gradients: Any, norm: Any, limit: float) -> Any:
    """Clip every variable by its own norm."""
    from coursekit.base.keras import tf

    return [tf.clip_by_norm(g, limit) for g in gradients]


def _apply(optimizer: Any, gradients: Any, variables: Any) -> None:
    optimizer.apply(gradients, variables)


def by_hand(optimizer: Any, gradients: Any, variables: Any) -> None:
    """Subtract the gradients, whatever the optimizer is."""
    for variable, gradient in zip(variables, gradients, strict=True):
        variable.assign_sub(optimizer.learning_rate * gradient)


def stepping(
    *,
    clip: Callable[..., Any] = _clip,
    apply: Callable[..., None] = _apply,
    told: Callable[..., Any] = lambda loss, norm, again, limit: (loss(), norm),
    size: Callable[[Any], Any] = lambda error: error**2,
    mean: bool = True,
    training: bool = True,
) -> Callable[..., Any]:
    """Return a training step; `told` gets the loss, as a function, before and after the update."""

    def train_step(model: Any, optimizer: Any, x: Any, y: Any, limit: float) -> Any:
        from coursekit.base.keras import tf

        variables, average = model.trainable_variables, tf.reduce_mean if mean else tf.reduce_sum
        with tf.GradientTape() as tape:
            loss = average(size(model(x, training=training) - y))
        raw = tape.gradient(loss, variables)
        norm = tf.sqrt(tf.add_n([tf.reduce_sum(g**2) for g in raw]))
        apply(optimizer, clip(raw, norm, limit), variables)
        return told(lambda: loss, norm, lambda: average(size(model(x) - y)), limit)

    return train_step
