"""The formulas of exercise 09, right and wrong.

Written once more, apart from `coursekit.training.schedules` and `one_cycle_policy`: a check that
shared code with what it checks would share its mistakes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

START, FINAL = 1 / 10, 1 / 1000  # of 1cycle: start/max, final/start


def power(t: float, eta: float, s: float, c: float = 1.0) -> float:
    """Return the rate of power scheduling."""
    return eta / (1 + t / s) ** c


POWER_MISTAKES: dict[str, Callable[..., float]] = {
    "The 1 in the denominator is missing: at step 0 you would divide by 0.": (
        lambda t, eta, s, c=1.0: eta / (t / s) ** c
    ),
    "The exponent belongs to the whole bracket, not to `t/s` alone.": (
        lambda t, eta, s, c=1.0: eta / (1 + (t / s) ** c)
    ),
    "The rate grows: you multiply where the formula divides.": (
        lambda t, eta, s, c=1.0: eta * (1 + t / s) ** c
    ),
    "The rate falls in stairs: `//` throws the fraction away.": (
        lambda t, eta, s, c=1.0: eta / (1 + t // s) ** c
    ),
    "The exponent has no effect.": lambda t, eta, s, c=1.0: eta / (1 + t / s),
    "The exponent multiplies in place of raising to a power.": (
        lambda t, eta, s, c=1.0: eta / ((1 + t / s) * c)
    ),
    "Step and `decay_steps` have changed places in the fraction.": (
        lambda t, eta, s, c=1.0: eta / (1 + s / t) ** c
    ),
    "The result does not depend on the initial learning rate.": (
        lambda t, eta, s, c=1.0: 1 / (1 + t / s) ** c
    ),
}


def exponential(t: float, eta: float, s: float) -> float:
    """Return the rate of exponential scheduling: a tenth every `s` steps."""
    return eta * 0.1 ** (t / s)


EXPONENTIAL_MISTAKES: dict[str, Callable[..., float]] = {
    "The base is e: your rate is not down to a tenth after `decay_steps` steps.": (
        lambda t, eta, s: eta * math.exp(-t / s)
    ),
    "The rate falls in stairs: `//` throws the fraction away.": lambda t, eta, s: (
        eta * 0.1 ** (t // s)
    ),
    "The rate grows: look at the base, or at the sign of the exponent.": (
        lambda t, eta, s: eta * 10 ** (t / s)
    ),
    "Only the step is in the exponent: `**` binds tighter than `/`. Use brackets.": (
        lambda t, eta, s: eta * 0.1**t / s
    ),
    "The initial learning rate is raised to the power too: `**` binds tighter than `*`.": (
        lambda t, eta, s: (eta * 0.1) ** (t / s)
    ),
    "You multiply by a tenth and by `t/s`; the fraction is an exponent.": (
        lambda t, eta, s: eta * 0.1 * t / s
    ),
    "The result does not depend on the initial learning rate.": lambda t, eta, s: 0.1 ** (t / s),
}


def piecewise(t: float, boundaries: Sequence[int], values: Sequence[float]) -> float:
    """Return the rate of piecewise constant scheduling; a boundary starts the next piece."""
    return values[sum(t >= b for b in boundaries)]


PIECEWISE_MISTAKES: dict[str, Callable[..., float]] = {
    "At a boundary itself the new value holds already; yours changes one step later, as Keras' "
    "`PiecewiseConstantDecay` does.": lambda t, b, v: v[sum(t > x for x in b)],
    "Your value changes one step before the boundary.": lambda t, b, v: v[
        sum(t >= x - 1 for x in b)
    ],
    "The boundaries are steps counted from 0, not lengths of the pieces.": (
        lambda t, b, v: v[sum(t >= x for x in np.cumsum(b))]
    ),
    "Only the first boundary counts in your function.": lambda t, b, v: v[int(t >= b[0])],
    "Your values are one place too late: before the first boundary it is `values[0]`.": (
        lambda t, b, v: v[min(1 + sum(t >= x for x in b), len(v) - 1)]
    ),
    "Past the last boundary it is the last value, not the one before.": (
        lambda t, b, v: v[min(sum(t >= x for x in b), len(v) - 2)]
    ),
}


def cosine(t: float, top: float, warmup: int, total: int) -> float:
    """Return the rate of a cosine with linear warm-up, inside and past the plan."""
    if t < warmup:
        return top * t / warmup
    if t >= total:
        return 0.0
    return top * (1 + math.cos(math.pi * (t - warmup) / (total - warmup))) / 2


def _wave(t: float, top: float, w: int, n: int, angle: float, half: float = 0.5) -> float:
    return top * t / w if t < w else top * half * (1 + math.cos(angle))


COSINE_MISTAKES: dict[str, Callable[..., float]] = {
    "There is no warm-up: your rate starts at the top.": (
        lambda t, top, w, n: top * (1 + math.cos(math.pi * max(0, t - w) / (n - w))) / 2
    ),
    "There is no warm-up, and your cosine begins at step 0.": (
        lambda t, top, w, n: top * (1 + math.cos(math.pi * t / n)) / 2
    ),
    "Your rate jumps at the end of the warm-up: the cosine begins there, not at step 0.": (
        lambda t, top, w, n: _wave(t, top, w, n, math.pi * t / n)
    ),
    "The cosine is stretched over all steps; it has only those after the warm-up.": (
        lambda t, top, w, n: _wave(t, top, w, n, math.pi * (t - w) / n)
    ),
    "Your cosine begins at step 0, not at the end of the warm-up.": (
        lambda t, top, w, n: _wave(t, top, w, n, math.pi * t / (n - w))
    ),
    "That is a whole wave: the rate comes up again. Half a wave is wanted.": (
        lambda t, top, w, n: _wave(t, top, w, n, 2 * math.pi * (t - w) / (n - w))
    ),
    "Your rate is twice too high after the warm-up: 1 + cos goes from 2 to 0.": (
        lambda t, top, w, n: _wave(t, top, w, n, math.pi * (t - w) / (n - w), 1.0)
    ),
    "Your rate becomes negative: the cosine goes from 1 to −1.": (
        lambda t, top, w, n: top * t / w if t < w else top * math.cos(math.pi * (t - w) / (n - w))
    ),
    "Your warm-up is one step ahead: at step 0 the rate is 0.": (
        lambda t, top, w, n: (
            top * (t + 1) / w if t < w else _wave(t, top, w, n, math.pi * (t - w) / (n - w))
        )
    ),
    "After the warm-up the rate falls along a straight line, not a cosine.": (
        lambda t, top, w, n: top * t / w if t < w else top * (n - t) / (n - w)
    ),
}


def _line(t: float, total: int, corners: Sequence[float], values: Sequence[float]) -> float:
    return float(np.interp(t, np.multiply(corners, total - 1), values))


def one_cycle_rate(t: float, total: int, top: float) -> float:
    """Return the rate of 1cycle; exact where 0.45 and 0.9 of the last step are whole steps."""
    start = top * START
    return _line(t, total, [0, 0.45, 0.9, 1], [start, top, start, start * FINAL])


def _rate_along(corners: Sequence[float], heights: Sequence[float], late: int = 0) -> Callable:
    return lambda t, n, top: top * _line(t, n + late, corners, heights)


_FOUR, _TRUE_FINAL = (0, 0.45, 0.9, 1), START * FINAL
ONE_CYCLE_RATE_MISTAKES: dict[str, Callable[..., float]] = {
    "Your cycle begins at the top; it first goes up.": (
        _rate_along((0, 0.9, 1), (1, START, _TRUE_FINAL))
    ),
    "The last stretch is missing: your rate only comes back to the start.": (
        _rate_along((0, 0.5, 1), (START, 1, START))
    ),
    "Rise and fall are not equally long: your top is in the middle of all steps, with the last "
    "stretch cut out of the fall.": _rate_along((0, 0.5, 0.9, 1), (START, 1, START, _TRUE_FINAL)),
    "The last stretch ends at a thousandth of the top; it is a thousandth of the start.": (
        _rate_along(_FOUR, (START, 1, START, FINAL))
    ),
    "Your rate starts from 0; it starts at a tenth of the top.": _rate_along(_FOUR, (0, 1, 0, 0)),
    "You are late: the steps are counted from 0, so the last one is `total_steps - 1`.": (
        _rate_along(_FOUR, (START, 1, START, _TRUE_FINAL), late=1)
    ),
    "The last stretch is flat; it falls.": _rate_along(_FOUR, (START, 1, START, START)),
}


def one_cycle_momentum(t: float, total: int, top: float = 1.0) -> float:
    """Return the momentum of 1cycle."""
    return _line(t, total, [0, 0.45, 0.9], [0.95, 0.85, 0.95])


def _momentum_along(corners: Sequence[float], heights: Sequence[float], late: int = 0) -> Callable:
    return lambda t, n, top: _line(t, n + late, corners, heights)


_THREE = (0, 0.45, 0.9)
ONE_CYCLE_MOMENTUM_MISTAKES: dict[str, Callable[..., float]] = {
    "Your momentum goes the same way as the rate; it is high where the rate is low.": (
        _momentum_along(_THREE, (0.85, 0.95, 0.85))
    ),
    "Your momentum does not move.": _momentum_along((0, 1), (0.95, 0.95)),
    "Your momentum comes back to its upper value only at the very end; it is there when the fall "
    "ends, and stays.": _momentum_along((0, 0.45, 1), (0.95, 0.85, 0.95)),
    "Your momentum takes its turn in the middle of all steps; it turns where the rate does.": (
        _momentum_along((0, 0.5, 1), (0.95, 0.85, 0.95))
    ),
    "In the last stretch your momentum falls again; it stays at its upper value.": (
        _momentum_along(_FOUR, (0.95, 0.85, 0.95, 0.85))
    ),
    "You are late: the steps are counted from 0, so the last one is `total_steps - 1`.": (
        _momentum_along(_THREE, (0.95, 0.85, 0.95), late=1)
    ),
}


def performance(
    losses: Sequence[float], rate: float, patience: int, factor: float, mistake: str = ""
) -> np.ndarray:
    """Return the rate of each epoch, or what one `mistake` makes of it."""
    rates, best, waited, first = [], math.inf, 0, rate
    for i, loss in enumerate(losses):
        rates.append(rate)
        known = losses[i - 1] if mistake == "previous" and i else best
        if loss < known or (mistake == "ties" and loss == known):
            best = loss
            waited = waited if mistake == "total" else 0
            continue
        waited += 1
        if waited >= patience + (mistake == "late"):
            rate = first * factor if mistake == "once" else rate * factor
            waited = waited if mistake == "no reset" else 0
            best = math.inf if mistake == "forgets" else best
    return np.array([*rates[1:], rate] if mistake == "after" else rates)


def _performance(mistake: str) -> Callable[..., Any]:
    return lambda losses, rate, patience, factor: performance(
        losses, rate, patience, factor, mistake
    )


PERFORMANCE_MISTAKES = {
    "Your list is one epoch ahead: a loss is known at the end of its epoch, so a cut counts from "
    "the next one.": _performance("after"),
    "You wait one epoch too long: with patience 2 the second epoch without progress brings the "
    "cut.": _performance("late"),
    "You compare with the epoch before; progress means a new best of all.": _performance(
        "previous"
    ),
    "After a cut the waiting starts anew; yours cuts again in every further epoch.": (
        _performance("no reset")
    ),
    "An equal loss is no progress.": _performance("ties"),
    "Progress ends the waiting; you count epochs without progress over the whole training.": (
        _performance("total")
    ),
    "A second cut starts from the rate in force; yours goes back to the initial one.": (
        _performance("once")
    ),
    "The best loss stays the best after a cut; yours forgets it.": _performance("forgets"),
}
