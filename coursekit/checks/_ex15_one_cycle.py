"""Exercise 15: 1cycle, judged by where the updates lead.

All samples are equal, so every step's gradient follows from the weights, and the weights at the end
tell whether rate and momentum of each update were those of the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from coursekit.checks._ex15_training import classifier, logs_of
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import first_match, rng
from coursekit.checks.kit.simulate import Step, trained
from coursekit.checks.kit.values import array, describe


def check_one_cycle(answer: Any) -> None:
    """Equal rows make every step's gradient known, so the weights at the end tell every rate."""
    for top, n, epochs, batch_size in ((0.05, 26, 3, 4), (0.3, 8, 7, 3)):
        x = np.tile(rng("one_cycle").normal(size=6), (n, 1)).astype("float32")
        y, steps = np.ones(n, int), np.arange(21)  # the corners fall on whole steps
        model = classifier("one_cycle", 6, 3)
        start = model.get_weights()
        result = call(answer, model, top, x, y, (x[:5], y[:5]), epochs, batch_size, may_change=True)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise Wrong(f"Expected two things, history and record, got {describe(result)}.")
        if len(logs_of(result[0])["loss"]) != epochs:
            raise Wrong(f"With epochs={epochs} the history tells of another number of epochs.")
        rates, momenta = _record(result[1], len(steps), f"{n} samples, batch_size={batch_size}")
        rate = np.interp(steps, [0, 9, 18, 20], [top / 10, top, top / 10, top / 1e4])
        momentum = np.interp(steps, [0, 9, 18], [0.95, 0.85, 0.95])
        _compare_record(rates, rate, momenta, momentum, 21 // epochs)

        def moved(momentum: Any, kind: str = "sgd", start=start, rate=rate, x=x, y=y) -> np.ndarray:
            course = [Step(*pair) for pair in np.broadcast(rate, momentum)]
            after = trained(start, x[:1], y[:1], course, kind)
            return np.concatenate([(a - b).ravel() for a, b in zip(after, start, strict=True)])

        constant = {
            "The record shows a cycle of momentum, but the updates were made with the constant "
            f"momentum {beta:g}: read the record back from what the updates use.": moved(beta)
            for beta in (0.95, 0.9, 0.85, 0.0)
        }
        moves = zip(model.get_weights(), start, strict=True)
        first_match(
            np.concatenate([(a - b).ravel() for a, b in moves]),
            {"": moved(momentum), **constant,
             "The updates use Nesterov momentum; the task wants plain momentum.":
                 moved(momentum, "nesterov")},
            rtol=5e-3,
            otherwise="The weights after training are not those of SGD with the recorded rates and "
            "momenta. Is the optimizer SGD, and are rate and momentum those that the updates use?",
        )  # fmt: skip


def _record(record: Any, n: int, given: str) -> list[np.ndarray]:
    series = []
    for name in ("learning_rate", "momentum"):
        if not isinstance(record, Mapping) or name not in record:
            raise Wrong(f"The record has no entry `{name}`; it is {describe(record)}.")
        values = array(record[name], f"The recorded {name}")
        if values.shape != (n,):
            raise Wrong(
                f"The recorded {name} has shape {values.shape}; expected one number for every "
                f"update of the training ({given})."
            )
        series.append(values.astype(float))
    return series


def _compare_record(
    rates: np.ndarray, rate: np.ndarray, momenta: np.ndarray, momentum: np.ndarray, per_epoch: int
) -> None:
    again = np.allclose(rates[::per_epoch], rates[0])
    first_match(rates, {
        "": rate,
        "The recorded learning rate never changes.": np.full_like(rate, rates[0]),
        "The rate begins anew in every epoch; one cycle takes the whole training.":
            rates if again else rate,
    }, rtol=5e-3, otherwise="The recorded rates are not those of one cycle: a tenth of the top at "
       "first, up to `max_lr`, back, and almost to 0 at the end.")  # fmt: skip
    first_match(momenta, {
        "": momentum,
        "The momentum goes the same way as the rate; it goes the other way.": 1.8 - momentum,
    }, rtol=5e-3, otherwise="The recorded momentum is not that of one cycle between 0.95 and 0.85."
    )  # fmt: skip
