"""Exercise 05: the training step, on a linear model whose right update is a few lines of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks import _ex05_formulas as formulas
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call, call_in_graph
from coursekit.checks.kit.compare import close_each, rng
from coursekit.checks.kit.values import describe, number

RATE = 0.05


def check_train_step(answer: Any) -> None:
    """Loss and raw norm of a step, and the weights after it; step by step, then compiled."""
    for limit in (0.7, 3.0, 1e6):
        model, optimizer, x, y = _linear_model(f"training step {limit}")
        before = [w.astype(float) for w in model.get_weights()]
        loss, gradients = _loss_and_gradients(before, x, y)
        result = _pair(call(answer, model, optimizer, x, y, limit))
        after = [w.astype(float) for w in model.get_weights()]
        _compare_update(before, after, gradients, limit)
        _compare_loss(result[0], loss, _loss_and_gradients(after, x, y)[0])
        _compare_norm(result[1], gradients, limit)
    _compiled(answer)


def _linear_model(name: str) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    from coursekit.base.keras import keras

    draw = rng(name)
    x = draw.normal(size=(16, 3)).astype("float32")
    y = (3 * x @ [[1.0], [-2.0], [0.5]] + 4 + draw.normal(size=(16, 1))).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.set_weights([draw.normal(size=(3, 1)), draw.normal(size=1)])
    optimizer = keras.optimizers.SGD(RATE)
    optimizer.build(model.trainable_variables)
    return model, optimizer, x, y


def _loss_and_gradients(
    weights: list[np.ndarray], x: np.ndarray, y: np.ndarray
) -> tuple[float, list[np.ndarray]]:
    error = x @ weights[0] + weights[1] - y
    return float(np.mean(error**2)), [2 * x.T @ error / len(error), 2 * error.mean(axis=0)]


def _pair(result: Any) -> tuple[float, float]:
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise Wrong(f"Expected two numbers, loss and norm, got {describe(result)}.")
    return number(result[0], "Your loss"), number(result[1], "Your norm")


def _compare_update(
    before: list[np.ndarray], after: list[np.ndarray], gradients: list[np.ndarray], limit: float
) -> None:
    def moved(used: list[np.ndarray], steps: float = 1.0) -> bool:
        want = [w - steps * RATE * g for w, g in zip(before, used, strict=True)]
        return all(close_each(after, want, 1e-4))

    right = list(formulas.by_global_norm(gradients, limit)[:-1])
    if moved(right):
        return
    norm = formulas.joint_norm(gradients)
    for used, steps, reason in (
        (right, 0.0, "No weight has moved: the gradients were never applied."),
        (gradients, 1.0, "The raw gradients are applied: `limit` has no effect on the update."),
        (right, 2.0, "The update is applied twice."),
        (right, -1.0, "The weights move uphill: the optimizer subtracts the gradient by itself."),
        ([formulas.by_norm(g, limit) for g in gradients], 1.0,
         "Each variable is clipped by its own norm; one factor from the norm of all is wanted."),
        ([formulas.by_value(g, limit) for g in gradients], 1.0,
         "The gradients are clipped by value; by their global norm is wanted."),
        ([g * limit / norm for g in gradients], 1.0,
         "A gradient within the limit becomes longer: it must stay as it is."),
    ):  # fmt: skip
        if moved(used, steps):
            raise Wrong(reason)
    raise Wrong(
        "The weights after the step are not those of gradient descent on the mean squared error "
        "with the gradients clipped to a global norm of `limit`."
    )


def _compare_loss(got: float, own: float, after: float) -> None:
    if close_each([got], [own], 1e-4)[0]:
        return
    if close_each([got], [after], 1e-4)[0]:
        raise Wrong("Your loss is measured after the update; it belongs to the weights before it.")
    raise Wrong("The first number is not the mean squared error of the batch before the update.")


def _compare_norm(got: float, gradients: list[np.ndarray], limit: float) -> None:
    norm = formulas.joint_norm(gradients)
    if close_each([got], [norm], 1e-4)[0]:
        return
    if close_each([got], [min(norm, limit)], 1e-4)[0]:
        raise Wrong(
            "The norm you return is the one after clipping: it can never warn anybody. Return the "
            "one before."
        )
    raise Wrong("The second number is not the global norm of the gradients before clipping.")


def _compiled(answer: Any) -> None:
    model, optimizer, x, y = _linear_model("compiled training step")
    before = [w.astype(float) for w in model.get_weights()]
    _pair(call_in_graph(lambda x, y: answer(model, optimizer, x, y, 0.7), x, y))
    after = [w.astype(float) for w in model.get_weights()]
    _compare_update(before, after, _loss_and_gradients(before, x, y)[1], 0.7)
