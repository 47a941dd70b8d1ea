"""Exercise 09: the 1cycle callback, judged by the updates of the weights alone."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from coursekit.checks._ex09_formulas import one_cycle
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call, require_subclass
from coursekit.checks.kit.compare import first_match, rng

_AGAIN = (
    "In a second `fit` with the same callback the cycle goes wrong: does it begin anew, with the "
    "new number of steps, when training begins?"
)


def one_cycle_callback(callback: Any, optimizer: Any) -> None:
    """The callback class (η_max), and the class of optimizer that it can steer.

    One object steers two trainings; rate and momentum of every update come from its move.
    """
    from coursekit.base.keras import keras

    require_subclass(callback, keras.callbacks.Callback, "keras.callbacks.Callback")
    if not inspect.isclass(optimizer):
        raise Wrong("Pass the class of the optimizer as the second answer, without parentheses.")

    class Moves(keras.callbacks.Callback):
        """Note the move of each update; set the weights back to 0, so that no digit is lost."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            moves.append(self.model.get_weights()[0][:, 0].astype(float))
            self.model.set_weights([np.zeros((4, 1))])

    x = rng("one_cycle_callback").normal(size=(26, 4)).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, use_bias=False)])
    made, cycle, moves = optimizer(learning_rate=0.07, momentum=0.6), call(callback, 0.4), []
    if not hasattr(made, "live_momentum"):
        made.build(model.trainable_variables)  # some make their variable only then
    model.compile(optimizer=made, loss=lambda y_true, y_pred: y_pred)
    for size, epochs in ((4, 3), (3, 9)):  # 21 and 81 steps: the corners fall on whole steps
        moves = moves[-1:] or [np.zeros(4)]
        model.set_weights([np.zeros((4, 1))])
        model.fit(x, np.zeros((26, 1)), batch_size=size, epochs=epochs, shuffle=False, verbose=0,
                  callbacks=[cycle, Moves()])  # fmt: skip
        batches = [x[i : i + size].mean(axis=0) for i in range(0, 26, size)]
        rates, momenta = _recover(np.array(moves), np.array(batches * epochs))
        _compare(rates, momenta, len(batches), _AGAIN if size == 3 else "")


def _recover(moves: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Solve move_t = β_t · move_{t−1} − η_t · g_t for all η and β; β is NaN after no move."""
    if not np.isfinite(moves).all():
        raise Wrong("The weights are no longer numbers: some rate or momentum is far too large.")
    found = []
    for before, move, gradient in zip(moves[:-1], moves[1:], gradients, strict=True):
        columns = np.stack([before, -gradient], axis=1)
        (beta, eta), *_ = np.linalg.lstsq(columns, move)
        if np.abs(columns @ [beta, eta] - move).max() > 1e-3 * np.abs(move).max():
            raise Wrong("The updates are no longer those of SGD with momentum, `v = βv − ηg`.")
        found.append((eta, beta if before.any() else np.nan))
    return np.transpose(found)


def _compare(rates: np.ndarray, momenta: np.ndarray, in_epoch: int, again: str) -> None:
    n, steps = len(rates), np.arange(len(rates))

    def cycle(steps: np.ndarray, n: int = n) -> np.ndarray:
        return np.transpose([one_cycle(t, n, 0.4) for t in steps])

    (rate, momentum), far = cycle(steps), "`max_lr=0.4`, "
    if np.isnan(momenta[0]):
        momenta[0] = momentum[0]
    reasons = {
        "The learning rate of the updates never changes.": np.full(n, rates[0]),
        "In every epoch the rate begins anew: `batch` counts from 0 in each epoch. Count the "
        "steps of the whole training yourself.": cycle(steps % in_epoch)[0],
        "You go through a whole cycle in each epoch; one cycle takes the whole training.":
            cycle(steps % in_epoch, in_epoch)[0],
        "The rate is one step late: set it before the update, not after.":
            np.array([rates[0], *rate[:-1]]),
        "The rate is one step early: the first step is step 0.": cycle(steps + 1)[0],
        "The cycle is too long: its last step is number `epochs · steps - 1`.":
            cycle(steps, n + 1)[0],
        "The rate changes once in an epoch; it must change at every step.":
            np.repeat(rates[::in_epoch], in_epoch),
    }  # fmt: skip
    turned = {
        "The momentum of the update never changes, whatever the attribute `momentum` says: it is a "
        "plain number, which Keras writes into the compiled step once and for all. Assign to the "
        "variable.": np.array([momenta[0], *np.full(n - 1, momenta[1])]),
        "The momentum goes the same way as the rate; it goes the other way.":
            np.array([momenta[0], *(1.8 - momentum[1:])]),
        "The momentum is one step late: set it before the update, not after.":
            np.array([*momenta[:2], *momentum[1:-1]]),
    }  # fmt: skip
    for what, got, want, known in (
        ("rate", rates, rate, reasons),
        ("momentum of the update", momenta, momentum, turned),
    ):
        first = int(np.argmin(np.isclose(got, want, rtol=2e-3, atol=1e-5)))
        place = f"from step {first} on, where it is {got[first]:.3g}."
        far = f"With {n // in_epoch} epochs of {in_epoch} steps and `max_lr=0.4` the {what} is off "
        first_match(got, {"": want} if again else {"": want, **known}, rtol=1e-3,
                    otherwise=again or f"{far}the cycle {place}")  # fmt: skip
