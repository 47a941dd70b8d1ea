"""Exercise 15: 1cycle, judged by where the updates lead.

All samples are equal, so every step's gradient follows from the weights, and the weights at the end
tell whether rate and momentum of each update were those of the record.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks._ex15_training import classifier, losses_of, softmax
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import array, describe


def check_one_cycle(answer: Any) -> None:
    """Equal rows make every step's gradient known, so the final weights tell every rate."""
    draw = rng("one_cycle")
    row = draw.normal(size=4)
    x, y = np.tile(row, (26, 1)).astype("float32"), np.full(26, 1)
    start = [0.2 * draw.normal(size=(4, 3)), np.zeros(3)]
    top, epochs, batch_size, n = 0.05, 3, 4, 21  # 7 steps a epoch; corners fall on whole steps
    model = classifier(start)
    result = call(answer, model, top, x, y, (x[:5], y[:5]), epochs, batch_size, may_change=True)
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise Wrong(f"Expected two things, history and record, got {describe(result)}.")
    losses_of(result[0])
    rates, momenta = _record(result[1], n)
    moved = model.get_weights()[0] - start[0]
    last = n - 1
    steps, corners = np.arange(n), [0, 0.45 * last, 0.9 * last, last]
    rate = np.interp(steps, corners, [top / 10, top, top / 10, top / 1e4])
    momentum = np.interp(steps, corners, [0.95, 0.85, 0.95, 0.95])
    epoch_steps = steps % (n // epochs)
    if not np.allclose(rates, rate, rtol=5e-3, atol=1e-4 * top):
        if np.allclose(rates, rates[0], rtol=1e-3):
            raise Wrong("The recorded learning rate never changes.")
        if np.allclose(rates[epoch_steps == 0], rates[0]) and n // epochs > 1:
            raise Wrong("The rate begins anew in every epoch; one cycle takes the whole training.")
        raise Wrong(
            f"The recorded rates are not those of one cycle of {n} steps up to {top}: a tenth of "
            "the top at first, almost 0 at the end."
        )
    if not np.allclose(momenta, momentum, rtol=5e-3):
        if np.allclose(momenta, 1.8 - momentum, rtol=5e-3):
            raise Wrong("The momentum goes the same way as the rate; it goes the other way.")
        raise Wrong("The recorded momentum is not that of one cycle between 0.95 and 0.85.")

    def simulated(rate: np.ndarray, momentum: np.ndarray, nesterov: bool = False) -> bool:
        want = _final_kernel(start, row, rate, momentum, nesterov) - start[0]
        return np.allclose(moved, want, rtol=2e-3, atol=1e-3 * np.abs(want).max())

    if simulated(rate, momentum):
        return
    for constant in (0.95, 0.9, 0.85, 0.0):
        if simulated(rate, np.full(n, constant)):
            raise Wrong(
                "The record shows a cycle of momentum, but the updates were made with the "
                f"constant momentum {constant:g}: read the record back from what the updates use."
            )
    if simulated(rate, momentum, nesterov=True):
        raise Wrong("The updates use Nesterov momentum; the task wants plain momentum.")
    raise Wrong(
        "The weights after training are not those of SGD with the recorded rates and momenta. Is "
        "the optimizer SGD, and are rate and momentum those that the updates use?"
    )


def _record(record: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    series = []
    for name in ("learning_rate", "momentum"):
        if not isinstance(record, dict) or name not in record:
            raise Wrong(f"The record has no entry `{name}`; it is {describe(record)}.")
        values = array(record[name], f"The recorded {name}")
        if values.shape != (n,):
            raise Wrong(
                f"The recorded {name} has shape {values.shape}; expected one number for each of "
                f"the {n} updates (26 samples in batches of 4 make 7 updates an epoch)."
            )
        series.append(values.astype(float))
    return series[0], series[1]


def _final_kernel(
    start: list, row: np.ndarray, rate: np.ndarray, momentum: np.ndarray, nesterov: bool
) -> np.ndarray:
    params = [np.array(w, dtype=float) for w in start]
    velocity = [np.zeros_like(w) for w in params]
    for eta, beta in zip(rate, momentum, strict=True):
        error = softmax(row @ params[0] + params[1]) - np.eye(3)[1]
        for i, g in enumerate((np.outer(row, error), error)):
            velocity[i] = beta * velocity[i] - eta * g
            params[i] = params[i] + (beta * velocity[i] - eta * g if nesterov else velocity[i])
    return params[0]
