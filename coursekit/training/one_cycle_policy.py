"""The 1cycle policy as numbers: learning rate and momentum at each step.

Source: Leslie N. Smith, *A disciplined approach to neural network hyper-parameters: Part 1*,
arXiv:1803.09820 (2018), section 4.1. The rate rises linearly from `start_lr` to `max_lr`, falls
linearly back, and falls on to `final_lr` in the last `final_fraction` of the steps; momentum goes
the other way and rests at its upper value in the last leg.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from coursekit.base.numbers import whole_number
from coursekit.errors import ArgumentError


def one_cycle_knots(total_steps: int, final_fraction: float = 0.1) -> tuple[int, int, int]:
    """Return the steps at which the rise ends, the fall ends, and the cycle ends.

    Steps are counted from 0, so the last one is `total_steps - 1`. A run too short for all three
    legs keeps the first ones: 1 step is the start alone, 2 steps rise, 3 steps rise and end low.

    >>> one_cycle_knots(101)
    (45, 90, 100)
    >>> [one_cycle_knots(n) for n in (1, 2, 3)]
    [(0, 0, 0), (1, 1, 1), (1, 1, 2)]

    Raises ArgumentError unless total_steps >= 1 and 0 <= final_fraction < 1, TypeError for steps
    that are no whole number.
    """
    last = whole_number("total_steps", total_steps, least=1) - 1
    if not 0 <= final_fraction < 1:
        raise ArgumentError(f"final_fraction: expected 0 <= fraction < 1, got {final_fraction!r}.")
    rise_end = min(last, max(1, round(last * (1 - final_fraction) / 2)))
    fall_end = last if final_fraction == 0 else min(2 * rise_end, last - 1)
    return rise_end, max(rise_end, fall_end), last


def one_cycle_points(
    total_steps: int,
    max_lr: float,
    *,
    start_lr: float | None = None,
    final_lr: float | None = None,
    final_fraction: float = 0.1,
) -> tuple[list[int], list[float]]:
    """Return the corners of the learning-rate curve: steps and rates, joined by straight lines.

    `start_lr` defaults to a tenth of `max_lr`, `final_lr` to a thousandth of `start_lr`.

    >>> one_cycle_points(101, 1.0)
    ([0, 45, 90, 100], [0.1, 1.0, 0.1, 0.0001])

    Raises ArgumentError for rates that are not finite and positive (`final_lr` may be 0).
    """
    start = max_lr / 10 if start_lr is None else start_lr
    final = start / 1000 if final_lr is None else final_lr
    for name, rate in (("max_lr", max_lr), ("start_lr", start)):
        if not (math.isfinite(rate) and rate > 0):
            raise ArgumentError(f"{name}: expected a positive number, got {rate!r}.")
    if not (math.isfinite(final) and final >= 0):
        raise ArgumentError(f"final_lr: expected a number from 0 up, got {final!r}.")
    rise_end, fall_end, last = one_cycle_knots(total_steps, final_fraction)
    corners = {0: start}
    if rise_end > 0:
        corners[rise_end] = max_lr
    if fall_end > rise_end:
        corners[fall_end] = start
    if last > fall_end:
        corners[last] = final
    return list(corners), list(corners.values())


def one_cycle_at(
    step: float | Sequence[float] | np.ndarray,
    total_steps: int,
    max_lr: float,
    *,
    start_lr: float | None = None,
    final_lr: float | None = None,
    momentum: tuple[float, float] = (0.95, 0.85),
    final_fraction: float = 0.1,
) -> tuple[np.ndarray, np.ndarray]:
    """Return learning rate and momentum at `step` (a number or an array, counted from 0).

    Both results have the shape of `step`. Before step 0 and past the end the curve is flat.

    >>> rate, momentum = one_cycle_at([0, 45, 90, 100], 101, max_lr=1.0)
    >>> rate.tolist()
    [0.1, 1.0, 0.1, 0.0001]
    >>> momentum.tolist()
    [0.95, 0.85, 0.95, 0.95]

    Raises ArgumentError as `one_cycle_points`, and for a momentum outside [0, 1).
    """
    steps, rates = one_cycle_points(
        total_steps, max_lr, start_lr=start_lr, final_lr=final_lr, final_fraction=final_fraction
    )
    high, low = momentum
    if not (0 <= low < 1 and 0 <= high < 1):
        raise ArgumentError(f"momentum: expected two numbers from 0 up to 1, got {momentum!r}.")
    rise_end, fall_end, _ = one_cycle_knots(total_steps, final_fraction)
    turns = {0: high} | ({rise_end: low} if rise_end else {})
    turns |= {fall_end: high} if fall_end > rise_end else {}
    if fall_end == rise_end < total_steps - 1:
        turns[total_steps - 1] = high
    step = np.asarray(step, dtype=float)
    return np.interp(step, steps, rates), np.interp(step, list(turns), list(turns.values()))
