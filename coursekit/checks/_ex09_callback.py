"""Exercise 09: the 1cycle callback, judged by the updates of the weights alone."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from coursekit.checks._ex09_formulas import one_cycle_momentum, one_cycle_rate
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call, require_subclass
from coursekit.checks.kit.compare import rng


def check_one_cycle_callback(callback: Any, optimizer_class: Any) -> None:
    """Recover rate and momentum of every update from the weights, in two trainings."""
    from coursekit.base.keras import keras

    require_subclass(callback, keras.callbacks.Callback, "keras.callbacks.Callback")
    if not inspect.isclass(optimizer_class):
        raise Wrong("Pass the class of the optimizer as the second answer, without parentheses.")
    top, own_rate, own_momentum, n_epochs = 0.4, 0.07, 0.6, 3
    x = rng("one_cycle_callback").normal(size=(26, 4)).astype("float32")
    batches = [slice(i, i + 4) for i in range(0, 26, 4)] * n_epochs  # 7 a epoch, the last of 2
    gradients = np.array([x[rows].mean(axis=0) for rows in batches])
    n = len(batches)  # 21 steps: the corners of the cycle fall on whole steps

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, use_bias=False)])
    optimizer = optimizer_class(learning_rate=own_rate, momentum=own_momentum)
    model.compile(optimizer=optimizer, loss=lambda y_true, y_pred: y_pred)
    optimizer.build(model.trainable_variables)  # some make their variable only then
    watch = _moves(keras)()
    last_move = np.zeros(4)
    for again in (False, True):
        watch.moves.clear()
        model.set_weights([np.zeros((4, 1))])
        cycle = call(callback, top)
        model.fit(x, np.zeros((26, 1)), batch_size=4, epochs=n_epochs, shuffle=False, verbose=0,
                  callbacks=[cycle, watch])  # fmt: skip
        rates, momenta = _recover(np.array([last_move, *watch.moves]), gradients)
        _compare_cycle_rates(rates, top, own_rate, n // n_epochs, again)
        _compare_cycle_momenta(momenta)
        last_move = watch.moves[-1]


def _moves(keras: Any) -> type:
    class Moves(keras.callbacks.Callback):
        """Note the move of each update; set the weights back to 0, so that no digit is lost."""

        def __init__(self) -> None:
            super().__init__()
            self.moves: list[np.ndarray] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.moves.append(self.model.get_weights()[0][:, 0].astype(float))
            self.model.set_weights([np.zeros((4, 1))])

    return Moves


def _recover(moves: np.ndarray, gradients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve move_t = β_t · move_{t−1} − η_t · g_t for both; β_t is NaN after no move."""
    if not np.isfinite(moves).all():
        raise Wrong("The weights are no longer numbers: some rate or momentum is far too large.")
    rates, momenta = [], []
    for before, move, gradient in zip(moves[:-1], moves[1:], gradients, strict=True):
        columns = np.stack([before, -gradient], axis=1)
        (beta, eta), *_ = np.linalg.lstsq(columns, move)
        if np.abs(columns @ [beta, eta] - move).max() > 1e-3 * np.abs(move).max():
            raise Wrong("The updates are no longer those of SGD with momentum, `v = βv − ηg`.")
        rates.append(eta)
        momenta.append(beta if before.any() else np.nan)
    return np.array(rates), np.array(momenta)


def _compare_cycle_rates(
    rates: np.ndarray, top: float, own_rate: float, steps_per_epoch: int, again: bool
) -> None:
    steps = np.arange(len(rates))
    n, in_epoch = len(rates), steps % steps_per_epoch

    def are(wrong: list[float]) -> bool:
        return np.allclose(rates[-len(wrong) :], wrong, rtol=2e-3, atol=1e-5 * top)

    want = [one_cycle_rate(t, n, top) for t in steps]
    if are(want):
        return
    if again:
        raise Wrong(
            "In a second `fit` with the same callback class the cycle goes wrong: does it begin "
            "anew when training begins?"
        )
    if are([own_rate] * n):
        raise Wrong("The learning rate of the updates never changes.")
    if are([one_cycle_rate(t, n, top) for t in in_epoch]):
        raise Wrong(
            "In every epoch the rate begins anew: `batch` counts from 0 in each epoch. Count the "
            "steps of the whole training yourself."
        )
    if are([one_cycle_rate(t, steps_per_epoch, top) for t in in_epoch]):
        raise Wrong(
            "You go through a whole cycle in each epoch; one cycle takes the whole training."
        )
    if are(want[:-1]):
        raise Wrong("The rate is one step late: set it before the update, not after.")
    if np.allclose(rates.reshape(-1, steps_per_epoch), rates[::steps_per_epoch, None], rtol=1e-3):
        raise Wrong("The rate changes once in an epoch; it must change at every step.")
    first = int(np.argmin(np.isclose(rates, want, rtol=2e-3, atol=1e-5 * top)))
    raise Wrong(
        f"With {n // steps_per_epoch} epochs of {steps_per_epoch} steps the rate is off the cycle "
        f"from step {first} on: there it is {rates[first]:.3g}, with `max_lr={top}`."
    )


def _compare_cycle_momenta(momenta: np.ndarray) -> None:
    n = len(momenta)
    known = ~np.isnan(momenta)

    def are(wrong: list[float]) -> bool:
        return np.allclose(momenta[known], np.array(wrong)[known], rtol=1e-3)

    want = [one_cycle_momentum(t, n) for t in range(n)]
    if are(want):
        return
    if np.ptp(momenta[known]) < 1e-3:
        raise Wrong(
            "The momentum of the update never changes, whatever the attribute `momentum` says: it "
            "is a plain number, which Keras writes into the compiled step once and for all. Assign "
            "to the variable."
        )
    if are([1.8 - m for m in want]):
        raise Wrong("The momentum goes the same way as the rate; it goes the other way.")
    if np.allclose(momenta[2:], want[1:-1], rtol=1e-3):
        raise Wrong("The momentum is one step late: set it before the update, not after.")
    first = int(np.argmin(~known | np.isclose(momenta, want, rtol=1e-3)))
    raise Wrong(
        f"The rate is right, but the momentum of the update is off the cycle from step {first} on: "
        f"there it is {momenta[first]:.3g}."
    )
