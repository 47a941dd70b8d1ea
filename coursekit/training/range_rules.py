"""Which learning rate a range test speaks for: its curve has a trough, and the rate lies in it.

`benchmarks/range_rules.py` compares this rule with others.
"""

from __future__ import annotations

import numpy as np

from coursekit.errors import ArgumentError

_LEAST_FALL = 0.02  # of the first loss; less is noise


def suggestion(rates: np.ndarray, losses: np.ndarray) -> float:
    """Return half of the trough's middle: sqrt(left × right) / 2, on the log axis of the rates.

    The trough is where the loss lies in the lower half between its first and its lowest value.
    Both its ends are where the curve is steep, so noise moves them little, while it throws the
    lowest point of a flat bottom to and fro. A constant rate has to be lower than the middle: the
    loss shows a rate that is too high only some steps later. The factor is for tests of about 60
    steps a decade; in a quicker one the blow-up comes later, and the suggestion is too high.

    Args:
        rates: learning rates of the steps, growing by a constant factor, shape (steps,).
        losses: smoothed losses at these rates, shape (steps,); what follows the first that is
            not finite does not count.

    Raises:
        ArgumentError: for arrays that do not fit together, a first loss that is not a number, and
            losses that never fall.

    >>> rates = np.geomspace(1e-4, 10, 6)
    >>> suggestion(rates, np.array([2.3, 2.2, 1.0, 0.5, 2.0, 9.0]))  # the trough: 0.01 to 1
    0.05
    """
    left, right = trough(rates, losses)
    return float(np.sqrt(left * right) / 2)


def trough(rates: np.ndarray, losses: np.ndarray) -> tuple[float, float]:
    """Return the trough's ends: its first rate, and the first rate past it (or the last of all).

    Arguments and errors are those of `suggestion`.

    >>> rates = np.geomspace(1e-4, 10, 6)
    >>> trough(rates, np.array([2.3, 2.2, 1.0, 0.5, 2.0, 9.0]))
    (0.01, 1.0)
    """
    rates, losses = np.asarray(rates, float), np.asarray(losses, float)
    if rates.ndim != 1 or rates.shape != losses.shape:
        raise ArgumentError(
            f"rates and losses: expected two rows of one length, got shapes {rates.shape} and "
            f"{losses.shape}."
        )
    bad = np.flatnonzero(~np.isfinite(losses))
    losses = losses[: bad[0]] if len(bad) else losses
    if not len(losses):
        raise ArgumentError(
            "losses: expected numbers, got none up to the first not finite; check the data."
        )
    lowest = int(np.argmin(losses))
    fall = losses[0] - losses[lowest]
    if fall < _LEAST_FALL * abs(losses[0]) or fall == 0:
        raise ArgumentError(
            f"losses: expected a loss that falls, got {losses[0]:.3g} at first and "
            f"{losses[lowest]:.3g} at best; check the data, the labels and the initialisation."
        )
    above = losses > losses[lowest] + fall / 2
    before, after = np.flatnonzero(above[:lowest]), lowest + np.flatnonzero(above[lowest:])
    # The first loss is above half of the fall; the rate of a loss not finite comes after all.
    right = after[0] if len(after) else min(len(losses), len(rates) - 1)
    return float(rates[before[-1] + 1]), float(rates[right])
