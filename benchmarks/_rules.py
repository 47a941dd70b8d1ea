"""The known rules that read a learning rate off a range test; each takes rates and smoothed losses.

All losses are finite here: what follows the first NaN is cut off before.
"""

from __future__ import annotations

import numpy as np


def tenth_of_minimum(rates: np.ndarray, losses: np.ndarray) -> float:
    """Return a tenth of the rate with the lowest loss (fastai's `minimum`).

    >>> round(tenth_of_minimum(np.geomspace(1e-3, 1, 4), np.array([2.0, 1.0, 0.5, 3.0])), 6)
    0.01
    """
    return float(rates[np.argmin(losses)] / 10)


def steepest(rates: np.ndarray, losses: np.ndarray) -> float:
    """Return the rate where the loss falls fastest along the log rate (fastai's `steep`).

    As fastai, it leaves out the first tenth of the steps and the last five.

    >>> losses = np.repeat([2.0, 1.9, 1.0, 0.9], 10)
    >>> round(steepest(np.geomspace(1e-4, 1, 40), losses), 3)  # the 20th of 40 rates
    0.009
    """
    kept = slice(len(losses) // 10, -5)
    slopes = np.diff(losses[kept]) / np.diff(np.log(rates[kept]))
    return float(rates[kept][np.argmin(slopes)])


def valley(rates: np.ndarray, losses: np.ndarray) -> float:
    """Return the middle of the longest decreasing subsequence of losses (fastai's `valley`).

    As fastai does, it takes the subsequence for a stretch without gaps that ends where it ends,
    and leaves out the first tenth of the steps and the last five.

    >>> losses = np.concatenate([np.full(10, 2.0), np.linspace(2, 1, 21), np.linspace(1.1, 9, 9)])
    >>> round(valley(np.geomspace(1e-4, 1, 40), losses), 3)  # the 20th of 40 rates
    0.009
    """
    kept = slice(len(losses) // 10, -5)
    rates, losses = rates[kept], losses[kept]
    lengths = np.ones(len(losses), int)
    for i in range(1, len(losses)):
        before = lengths[:i][losses[i] < losses[:i]]
        lengths[i] += before.max(initial=0)
    end = int(np.argmax(lengths))
    start = end - lengths[end]
    third = (end - start) / 3
    return float(rates[start + int(third) + int(third / 2)])


def slide(rates: np.ndarray, losses: np.ndarray, apart: int = 15, limit: float = 0.005) -> float:
    """Return the rate below the blow-up where two slopes `apart` steps from each other agree.

    fastai's `slide`: an interval of 15 steps slides down from the largest rate until the losses
    change alike at both its ends (to 0.005 a step); its lower end is the rate. As fastai, it
    leaves out the first tenth of the steps and the last five.

    >>> losses = np.concatenate([np.ones(30), np.geomspace(1.01, 4, 20)])
    >>> 0.001 < slide(np.geomspace(1e-4, 1, 50), losses) < 0.1
    True
    """
    kept = slice(len(losses) // 10, -5)
    rates, changes = rates[kept], np.gradient(losses[kept])
    right, left = -1, -1 - apart
    found = rates[max(left, -len(rates))]
    while left >= -len(rates) and abs(changes[right] - changes[left]) > limit:
        found = rates[left]
        right, left = right - 1, left - 1
    return float(found)


def blow_up(rates: np.ndarray, losses: np.ndarray) -> float:
    """Return the first rate past the lowest loss at which the loss is back where it began.

    The last rate where it never gets there: the test stops at 4 times the lowest loss.

    >>> blow_up(np.geomspace(1e-3, 1, 4), np.array([2.0, 0.5, 2.5, 9.0]))
    0.1
    """
    lowest = int(np.argmin(losses))
    above = np.flatnonzero(losses[lowest:] > losses[0])
    return float(rates[lowest + above[0]] if len(above) else rates[-1])


def tenth_of_blow_up(rates: np.ndarray, losses: np.ndarray) -> float:
    """Return a tenth of the rate of the blow-up.

    >>> tenth_of_blow_up(np.geomspace(1e-3, 1, 4), np.array([2.0, 0.5, 2.5, 9.0]))
    0.01
    """
    return blow_up(rates, losses) / 10
