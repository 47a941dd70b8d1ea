"""Exercise 09: the range test, on a linear model whose right losses are a few lines of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import close_each, rng
from coursekit.checks.kit.values import array, describe


def check_range_test(answer: Any) -> None:
    """Rates, each batch's own loss, and a model left as found."""
    for case, momentum in enumerate((0.0, 0.9)):
        draw = rng(f"range test {case}")
        x = draw.normal(size=(96, 3)).astype("float32")
        y = (x @ [[1.0], [-2.0], [0.5]] + draw.normal(size=(96, 1))).astype("float32")
        model = _linear_model(draw, momentum)
        if momentum:  # velocities and a step counter that are not 0
            model.train_on_batch(x[:8], y[:8])
        before = _state(model)
        result = call(answer, model, x, y, 0.001, 0.3, 8)
        rates, losses = _two_lists(result, 12)
        _compare_rates(rates, 0.001, 0.3)
        if not momentum:
            _compare_losses(losses, rates, before, x, y)
        _compare_state(before, model)


def _linear_model(draw: np.random.Generator, momentum: float) -> Any:
    from coursekit.base.keras import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.set_weights([draw.normal(size=(3, 1)), draw.normal(size=1)])
    optimizer = keras.optimizers.SGD(0.03, momentum=momentum)
    model.compile(optimizer, loss="mse", metrics=["mae"] if momentum else [])
    return model


def _state(model: Any) -> dict[str, Any]:
    optimizer = model.optimizer
    return {
        "weights": model.get_weights(),
        "optimizer": optimizer,
        "rate": float(optimizer.learning_rate),
        "variables": [np.array(v) for v in optimizer.variables],
    }


def _two_lists(result: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise Wrong(f"Expected two lists, rates and losses, got {describe(result)}.")
    rates = array(result[0], "Your list of rates")
    losses = array(result[1], "Your list of losses")
    for what, values in (("rates", rates), ("losses", losses)):
        if values.shape != (n,):
            raise Wrong(
                f"Your list of {what} has shape {values.shape}; with 96 samples in batches of 8 "
                f"there are {n} steps, so expected ({n},)."
            )
    return rates.astype(float), losses.astype(float)


def _compare_rates(rates: np.ndarray, low: float, high: float) -> None:
    n = len(rates)
    if all(close_each(rates, np.geomspace(low, high, n), 1e-4)):
        return
    if all(close_each(rates, np.linspace(low, high, n), 1e-4)):
        raise Wrong(
            "Your rates grow by a constant amount; they must grow by a constant factor, or nearly "
            "all of them are large."
        )
    if all(close_each(rates, np.geomspace(low, high, n + 1)[:n], 1e-4)):
        raise Wrong("Your last rate stops one step short of `max_lr`.")
    if all(close_each(rates, np.geomspace(low, high, n + 1)[1:], 1e-4)):
        raise Wrong("Your first rate is one step past `min_lr`.")
    raise Wrong("Your rates do not grow by a constant factor from `min_lr` to `max_lr`.")


def _train_linear(
    rates: np.ndarray, state: dict[str, Any], x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss of each batch of 8 before and after its update, plain gradient descent."""
    w, b = (np.asarray(v, dtype=float) for v in state["weights"])
    before, after = [], []
    for i, rate in enumerate(rates):
        rows = slice(8 * i, 8 * i + 8)
        error = x[rows] @ w + b - y[rows]
        before.append(np.mean(error**2))
        w = w - rate * 2 * x[rows].T @ error / len(error)
        b = b - rate * 2 * error.mean(axis=0)
        after.append(np.mean((x[rows] @ w + b - y[rows]) ** 2))
    return np.array(before), np.array(after)


def _compare_losses(
    losses: np.ndarray, rates: np.ndarray, state: dict[str, Any], x: np.ndarray, y: np.ndarray
) -> None:
    own, after = _train_linear(rates, state, x, y)
    constant, _ = _train_linear(np.full(len(rates), state["rate"]), state, x, y)
    late, _ = _train_linear(np.array([state["rate"], *rates[:-1]]), state, x, y)
    untrained, _ = _train_linear(np.zeros(len(rates)), state, x, y)
    running = np.cumsum(own) / np.arange(1, len(own) + 1)
    if all(close_each(losses, own, 1e-3)):
        return
    for wrong, reason in (
        (untrained, "The losses are those of a model that does not learn: no update takes place."),
        (constant, "Your rates do not reach the optimizer: the model trains at its own rate."),
        (late, "Every rate comes one step late: set it before the update."),
        (running, "Those losses are a running mean; the loss of each batch alone is wanted."),
        (after, "You measure each loss after the update; it belongs to the weights before it."),
    ):
        if all(close_each(losses, wrong, 1e-3)):
            raise Wrong(reason)
    raise Wrong(
        "The losses are not those of the batches in order (the first `batch_size` samples, then "
        "the next, …), each at its own rate, beginning with the weights as found."
    )


def _compare_state(before: dict[str, Any], model: Any) -> None:
    after = _state(model)
    if not all(map(np.array_equal, before["weights"], after["weights"])):
        raise Wrong("The model's weights are not as found: put them back at the end.")
    if after["optimizer"] is not before["optimizer"]:
        raise Wrong("The model has another optimizer than before.")
    if after["rate"] != before["rate"]:
        raise Wrong("The optimizer's learning rate is not as found: put it back at the end.")
    # Before its first step the optimizer may lack its velocities; they must then be 0 at the end.
    found = before["variables"]
    found = found + [np.zeros_like(v) for v in after["variables"][len(found) :]]
    if not all(map(np.array_equal, found, after["variables"])):
        raise Wrong(
            "The optimizer's state is not as found: besides the rate it has a step counter, and "
            "with momentum a velocity for every weight."
        )
