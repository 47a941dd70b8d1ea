"""Formulas of exercise 09 that several checks need, right and wrong.

In the tables t is the step, eta the first rate, s the decay steps, c the exponent, n all steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np


def power(step, initial_learning_rate, decay_steps, exponent=1.0):
    """The rate of power scheduling."""
    return initial_learning_rate / (1 + step / decay_steps) ** exponent


POWER: dict[str, Callable[..., Any]] = {
    "The 1 in the denominator is missing: at step 0 you would divide by 0.":
        lambda t, eta, s, c: eta / (t / s) ** c,
    "The exponent belongs to the whole bracket, not to `t/s` alone.":
        lambda t, eta, s, c: eta / (1 + (t / s) ** c),
    "The denominator is a sum: `eta / 1 + …` divides by 1 alone. Use brackets.":
        lambda t, eta, s, c: eta / 1 + (t / s) ** c,
    "The rate grows: you multiply where the formula divides.":
        lambda t, eta, s, c: eta * (1 + t / s) ** c,
    "The rate falls in stairs: `//` throws the fraction away.":
        lambda t, eta, s, c: eta / (1 + t // s) ** c,
    "The exponent has no effect.": lambda t, eta, s, c: eta / (1 + t / s),
    "The exponent multiplies in place of raising to a power.":
        lambda t, eta, s, c: eta / ((1 + t / s) * c),
    "Step and `decay_steps` have changed places in the fraction.":
        lambda t, eta, s, c: eta / (1 + s / t) ** c,
    "Step and `decay_steps` are multiplied; the step is divided.":
        lambda t, eta, s, c: eta / (1 + s * t) ** c,
    "The initial learning rate is raised to the power too.":
        lambda t, eta, s, c: (eta / (1 + t / s)) ** c,
    "The result does not depend on the initial learning rate.":
        lambda t, eta, s, c: 1 / (1 + t / s) ** c,
}  # fmt: skip

_FOUR, _RATES, _MOMENTA = (0, 0.45, 0.9, 1), (0.1, 1, 0.1, 1e-4), (0.95, 0.85, 0.95, 0.95)


def one_cycle(step, total_steps, max_lr, at=_FOUR, rates=_RATES, turn=None, momenta=_MOMENTA):
    """Rate and momentum of 1cycle; `at` and `turn` are their corners, as shares of the way."""
    way = step / (total_steps - 1)
    rate = max_lr * float(np.interp(way, at, rates))
    return rate, float(np.interp(way, at if turn is None else turn, momenta))


ONE_CYCLE = {
    reason: partial(one_cycle, **change)
    for reason, change in {
        "Your cycle begins at the top; it first goes up.":
            {"at": (0, 0.9, 1), "rates": (1, 0.1, 1e-4), "turn": _FOUR},
        "The last stretch is missing: your rate only comes back to the start.":
            {"at": (0, 0.5, 1), "rates": (0.1, 1, 0.1), "momenta": (0.95, 0.85, 0.95)},
        "Rise and fall are not equally long: your top is in the middle of all steps, with the "
        "last stretch cut out of the fall.": {"at": (0, 0.5, 0.9, 1)},
        "The last stretch ends at a thousandth of the top; it is a thousandth of the start.":
            {"rates": (0.1, 1, 0.1, 1e-3)},
        "The last stretch ends at 0; it ends at a thousandth of the start.":
            {"rates": (0.1, 1, 0.1, 0)},
        "Your rate starts from 0; it starts at a tenth of the top.": {"rates": (0, 1, 0, 0)},
        "The last stretch is flat; the rate falls.": {"rates": (0.1, 1, 0.1, 0.1)},
        "Your momentum goes the same way as the rate; it is high where the rate is low.":
            {"momenta": (0.85, 0.95, 0.85, 0.85)},
        "Your momentum does not move.": {"momenta": (0.95,) * 4},
        "Your momentum comes back to its upper value only at the very end; it is there when the "
        "fall ends, and stays.": {"turn": (0, 0.45, 1), "momenta": (0.95, 0.85, 0.95)},
        "Your momentum takes its turn in the middle of all steps; it turns where the rate does.":
            {"turn": (0, 0.5, 1), "momenta": (0.95, 0.85, 0.95)},
        "In the last stretch your momentum falls again; it stays at its upper value.":
            {"momenta": (0.95, 0.85, 0.95, 0.85)},
    }.items()
} | {
    "You are late: the steps are counted from 0, so the last one is `total_steps - 1`.":
        lambda t, n, top: one_cycle(t, n + 1, top),
    "The two are in the wrong order: first the rate, then the momentum.":
        lambda t, n, top: one_cycle(t, n, top)[::-1],
}  # fmt: skip


def performance(valid_losses, initial_learning_rate, patience=5, factor=0.5, mistake=""):
    """The rate of each epoch, or what one `mistake` makes of it."""
    rates, best, waited, rate = [], math.inf, 0, initial_learning_rate
    for i, loss in enumerate(valid_losses):
        rates.append(rate)
        known = valid_losses[i - 1] if mistake == "previous" and i else best
        if loss < known or (mistake == "ties" and loss == known):
            best = loss
            waited = waited if mistake == "total" else 0
            continue
        waited += 1
        if waited >= patience + (mistake == "late"):
            rate = (initial_learning_rate if mistake == "once" else rate) * factor
            waited = waited if mistake == "no reset" else 0
            best = {"forgets": math.inf, "takes": loss}.get(mistake, best)
    return np.array([*rates[1:], rate] if mistake == "after" else rates)


PERFORMANCE = {
    reason: partial(performance, mistake=mistake)
    for reason, mistake in {
        "Your list is one epoch ahead: a loss is known at the end of its epoch, so a cut counts "
        "from the next one.": "after",
        "You wait one epoch too long: with patience 2 the second epoch without progress brings "
        "the cut.": "late",
        "You compare with the epoch before; progress means a new best of all.": "previous",
        "After a cut the waiting starts anew; yours cuts again in every further epoch.":
            "no reset",
        "An equal loss is no progress.": "ties",
        "Progress ends the waiting; you count epochs without progress over the whole training.":
            "total",
        "A second cut starts from the rate in force; yours goes back to the initial one.": "once",
        "The best loss stays the best after a cut; yours forgets it.": "forgets",
        "The best loss stays the best after a cut; yours puts the loss of that epoch in its place.":
            "takes",
    }.items()
}  # fmt: skip
