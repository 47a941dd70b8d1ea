"""Exercise 09: the range test, on a net never trained and on one that was."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.models import AsFound, give_weights
from coursekit.checks.kit.simulate import Step, loss_and_gradients, trained
from coursekit.checks.kit.values import array, parts


def right_range_test(
    model: Any, x: Any, y: Any, min_lr: float, max_lr: float, batch_size: int,
    *, rates: Callable[..., Any] = np.geomspace, partly: bool = False, mistake: str = "",
) -> tuple[Any, Any]:  # fmt: skip
    """The test in NumPy, for dense nets and SGD; or what one mistake makes of it."""
    dense = [layer for layer in model.layers if hasattr(layer, "kernel")]
    weights = [w for layer in dense for w in layer.get_weights()]
    n, own = len(x) // batch_size + partly, float(model.optimizer.learning_rate)
    plan = rates(min_lr, max_lr, n)
    used = {"own rate": [own] * n, "late": [own, *plan], "still": [0.0] * n}.get(mistake, plan)
    rows = [slice(i * batch_size, (i + 1) * batch_size) for i in range(n)]
    moving = [i for i, layer in enumerate(dense) if layer.trainable]
    steps = [Step(rate, 0.9, moving, batch) for rate, batch in zip(used, rows, strict=False)]
    losses = []
    for i, batch in enumerate(rows):
        now = trained(weights, x, y, steps[: i + (mistake == "after")])
        seen = slice(None) if mistake == "all" else batch
        losses.append(loss_and_gradients(now, x[seen], y[seen])[0])
    return plan, np.cumsum(losses) / np.arange(1, n + 1) if mistake == "mean" else losses


RANGE_TEST = {
    reason: partial(right_range_test, **change)
    for reason, change in {
        "Your rates grow by a constant amount; they must grow by a constant factor, or nearly all "
        "of them are large.": {"rates": np.linspace},
        "Your last rate stops one step short of `max_lr`.":
            {"rates": lambda low, high, n: np.geomspace(low, high, n + 1)[:-1]},
        "Your first rate is one step past `min_lr`.":
            {"rates": lambda low, high, n: np.geomspace(low, high, n + 1)[1:]},
        "You count the last partial batch; leave it out.": {"partly": True},
        "The losses are those of a model that does not learn: no update takes place.":
            {"mistake": "still"},
        "Your rates do not reach the optimizer: the model trains at its own rate.":
            {"mistake": "own rate"},
        "Every rate comes one step late: set it before the update.": {"mistake": "late"},
        "Those losses are a running mean; the loss of each batch alone is wanted.":
            {"mistake": "mean"},
        "You measure each loss after the update; it belongs to the weights before it.":
            {"mistake": "after"},
        "You measure the loss on all the data; each batch's own is wanted.": {"mistake": "all"},
    }.items()
}  # fmt: skip

_READ = parts("rates", "losses", read=array)


def range_test(answer: Any) -> dict[str, Any]:
    """(rates, losses) as a function (model, x, y, min_lr, max_lr, batch_size).

    Losses count on a model never trained; whether a trained one keeps its velocities is open.
    """
    from coursekit.base.keras import keras

    layers, draw = keras.layers, rng("range test")
    x = draw.normal(size=(60, 2, 2)).astype("float32")
    labels, targets = draw.integers(0, 3, 60), draw.normal(size=(60, 2)).astype("float32")

    def tested(body: list[Any], y: Any, settings: tuple, optimizer: Any, **compiled: Any) -> Any:
        for i, layer in enumerate(body, 2):
            layer.name = f"layer_{i}"  # named, as a reason quotes it
        model = keras.Sequential([keras.Input((2, 2)), layers.Flatten(), *body], name="net")
        model.layers[1].trainable = False
        model.compile(optimizer, **compiled)
        give_weights(model, "range test")
        if optimizer.name == "adam":
            optimizer.build(model.trainable_variables)
            for variable in optimizer.variables[2:]:
                variable.assign(variable + 0.2)
            optimizer.iterations.assign(7)
        found = AsFound(model)
        result = _READ(call(answer, model, x, y, *settings))
        if model.optimizer is not optimizer:
            raise Wrong("The model has another optimizer than before.")
        found.require_same("Your range test")
        return result

    rates, losses = tested(
        [layers.Dense(4, "tanh"), layers.Dense(5, "tanh"), layers.Dense(3, "softmax")],
        labels, (0.01, 2.0, 8), keras.optimizers.SGD(0.1, momentum=0.9, name="sgd"),
        loss="sparse_categorical_crossentropy", metrics=["accuracy"],
    )  # fmt: skip
    again, _ = tested(
        [layers.Dense(3), layers.BatchNormalization(), layers.Dense(2)], targets,
        (0.001, 0.1, 13), keras.optimizers.Adam(0.01, name="adam"), loss="mse",
    )  # fmt: skip
    return {"the rates": rates, "the losses": losses, "the rates of a trained model": again}
