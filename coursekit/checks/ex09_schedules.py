"""Checks of exercise 09: learning-rate schedules.

Every schedule is written once more, apart from `coursekit.training.schedules`: a check that shared
code with what it checks would share its mistakes. In the tables t is the step, eta the first rate,
s the decay steps, w the warm-up, n all steps. The 1cycle policy and what trains a network are in
modules of their own.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from coursekit.checks._ex09_callback import one_cycle_callback
from coursekit.checks._ex09_formulas import (
    ONE_CYCLE,
    PERFORMANCE,
    POWER,
    one_cycle,
    performance,
    power,
)
from coursekit.checks._ex09_range_test import RANGE_TEST, range_test, right_range_test
from coursekit.checks._ex09_schedule import power_schedule
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.kit.behaviour import behaviour
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.function import function
from coursekit.checks.kit.values import array, number, parts

TASKS = TaskList(9, "Learning-rate schedules")

_STAIRS = "The rate falls in stairs: `//` throws the fraction away."
_CYCLES = ((101, 0.5), (41, 0.08), (21, 2.0))  # all steps, highest rate
_FREE = "The result does not depend on the initial learning rate."


def _plans(name: str, n: int = 6) -> list[tuple[float, int]]:
    """Return pairs (learning rate, number of steps)."""
    draw = rng(name)
    return [(round(draw.uniform(0.01, 0.9), 3), int(draw.integers(7, 60))) for _ in range(n)]


function(
    TASKS, power, title="Power scheduling", mistakes=POWER,
    cases=lambda: [(t, eta, s, c) for eta, s in _plans("power")
                   for t in (1, s // 2, s, 3 * s + 1, 20 * s) for c in (1.0, 0.5, 2.0)],
    edges={"Step 0 must give the initial learning rate.":
               [(0, eta, s, c) for eta, s in _plans("power") for c in (1.0, 0.5)],
           "Long after the start it goes wrong.": [(10**6, 0.3, 7, 2.0), (10**9, 0.3, 2.5, 1.0)]},
    hints=(
        "Work from the inside out: first the fraction `t/s`, then add 1, then raise, then divide.",
        "Python: `**` is the power and binds tighter than `/`. So the bracket you raise needs "
        "brackets in the code as well.",
    ),
)  # fmt: skip


def exponential(step, initial_learning_rate, decay_steps):
    """A tenth every `decay_steps` steps."""
    return initial_learning_rate * 0.1 ** (step / decay_steps)


function(
    TASKS, exponential, title="Exponential scheduling",
    cases=lambda: [(t, eta, s) for eta, s in _plans("exponential")
                   for t in (0, 1, s // 2, s, 2 * s, 3 * s + 1)],
    edges={"Long after the start it goes wrong.": [(300, 0.3, 20), (301, 0.2, 10)]},
    hints=(
        "After `decay_steps` steps the rate is down to a tenth, after twice as many to a "
        "hundredth. Which number is raised to which power?",
        "The exponent is the whole fraction of step and `decay_steps`: give it brackets.",
    ),
    mistakes={
        "The base is e: your rate is not down to a tenth after `decay_steps` steps.":
            lambda t, eta, s: eta * math.exp(-t / s),
        _STAIRS: lambda t, eta, s: eta * 0.1 ** (t // s),
        "The rate grows: look at the base, or at the sign of the exponent.":
            lambda t, eta, s: eta * 10 ** (t / s),
        "Only the step is in the exponent: `**` binds tighter than `/`. Use brackets.":
            lambda t, eta, s: eta * 0.1**t / s,
        "The initial learning rate is raised to the power too: `**` binds tighter than `*`.":
            lambda t, eta, s: (eta * 0.1) ** (t / s),
        "You multiply by a tenth and by `t/s`; the fraction is an exponent.":
            lambda t, eta, s: eta * 0.1 * t / s,
        _FREE: lambda t, eta, s: 0.1 ** (t / s),
    },
)  # fmt: skip


def piecewise_constant(step, boundaries, values):
    """A boundary is the first step of the next piece."""
    return values[sum(step >= b for b in boundaries)]


def _pieces() -> list[tuple[int, list[int], list[float]]]:
    draw, cases = rng("piecewise_constant"), []
    for n in (2, 3, 4):
        boundaries = np.cumsum(draw.integers(5, 30, size=n)).tolist()
        values = np.round(draw.permutation(np.geomspace(0.5, 0.001, n + 1)), 4).tolist()
        steps = [0, *(b + d for b in boundaries for d in (-2, -1, 0, 1)), boundaries[-1] + 100]
        cases += [(step, boundaries, values) for step in steps]
    return cases


function(
    TASKS, piecewise_constant, title="Piecewise constant scheduling", cases=_pieces,
    edges={"With a single boundary it goes wrong.":
               [(t, [10], [0.3, 0.02]) for t in (0, 9, 10, 50)],
           "Where a value comes twice it goes wrong.":
               [(t, [5, 9, 12], [0.1, 0.2, 0.1, 0.4]) for t in (0, 5, 9, 11, 12, 13)]},
    hints=(
        "How many boundaries has the step reached? That number is the index of the value.",
        "Reached means step ≥ boundary. A loop with a counter will do; so will `bisect` or "
        "`np.searchsorted`, which both let you choose a side.",
    ),
    mistakes={
        "At a boundary itself the new value holds already; yours changes one step later, as Keras' "
        "`PiecewiseConstantDecay` does.": lambda t, b, v: v[sum(t > x for x in b)],
        "Your value changes one step before the boundary.":
            lambda t, b, v: v[sum(t >= x - 1 for x in b)],
        "The boundaries are steps counted from 0, not lengths of the pieces.":
            lambda t, b, v: v[sum(t >= x for x in np.cumsum(b))],
        "Only the first boundary counts in your function.": lambda t, b, v: v[int(t >= b[0])],
        "Your values are one place too late: before the first boundary it is `values[0]`.":
            lambda t, b, v: v[min(1 + sum(t >= x for x in b), len(v) - 1)],
        "Past the last boundary it is the last value, not the one before.":
            lambda t, b, v: v[min(sum(t >= x for x in b), len(v) - 2)],
        "You give the number of boundaries reached; it is the index of the value.":
            lambda t, b, v: sum(t >= x for x in b),
    },
)  # fmt: skip


def cosine_with_warmup(step, max_lr, warmup_steps, total_steps):
    """A line from 0 to the top, half a cosine wave down to 0, then 0."""
    return _wave(step, max_lr, warmup_steps, total_steps) if step < total_steps else 0.0


def _wave(t, top, w, n, begin=None, length=None, height=0.5, early=0):
    if t < w:
        return top * (t + early) / w
    come = (t - (w if begin is None else begin)) / (length or n - w)
    return top * height * (1 + math.cos(math.pi * come))


def _cosine_cases() -> list[tuple[int, float, int, int]]:
    lengths = [*rng("cosine lengths").integers(20, 200, size=6).tolist(), 3, 2]
    plans = zip([*_plans("cosine"), (0.04, 2), (0.3, 1)], lengths, strict=True)
    return [(t, eta, w, w + more) for (eta, w), more in plans
            for t in (0, 1, w // 2, w - 1, w, w + 1, w + more // 2, w + more - 1)]  # fmt: skip


def _past_the_end() -> list[tuple[int, float, int, int]]:
    """The top is among them, so that rounding near 0 is measured against it."""
    plans = {case[1:] for case in _cosine_cases()}
    return [(t, eta, w, n) for eta, w, n in sorted(plans)
            for t in (w, n, n + 1, n + (n - w) // 2, 2 * n)]  # fmt: skip


function(
    TASKS, cosine_with_warmup, title="Cosine with warm-up", cases=_cosine_cases,
    edges={"From `total_steps` on the rate must stay at 0; yours does something else there.":
               _past_the_end,
           "With `warmup_steps=0` there is no warm-up: step 0 has the highest rate.":
               [(t, eta, 0, n) for eta, n in _plans("cosine") for t in (0, 1, n // 2, n, n + 3)]},
    hints=(
        "Three cases, one after the other: still warming up, past the end, and in between.",
        "In between, count how far the cosine has come: 0 at the end of the warm-up, 1 at "
        "`total_steps`. How many steps lie between the two?",
        "`math.cos` wants radians: half a wave is from 0 to π. The cosine itself goes from 1 to "
        "−1; shift and shrink it so that it goes from 1 to 0.",
    ),
    mistakes={
        "There is no warm-up: your rate starts at the top.":
            lambda t, top, w, n: _wave(max(0, t - w), top, 0, n - w),
        "There is no warm-up, and your cosine begins at step 0.":
            lambda t, top, w, n: _wave(t, top, 0, n),
        "Your rate jumps at the end of the warm-up: the cosine begins there, not at step 0.":
            lambda t, top, w, n: _wave(t, top, w, n, 0, n),
        "The cosine is stretched over all steps; it has only those after the warm-up.":
            lambda t, top, w, n: _wave(t, top, w, n, w, n),
        "Your cosine begins at step 0, not at the end of the warm-up.":
            lambda t, top, w, n: _wave(t, top, w, n, 0),
        "That is a whole wave: the rate comes up again. Half a wave is wanted.":
            lambda t, top, w, n: _wave(t, top, w, n, w, (n - w) / 2),
        "Your cosine ends one step before `total_steps`.":
            lambda t, top, w, n: _wave(t, top, w, n, w, n - w - 1),
        "Your rate is twice too high after the warm-up: 1 + cos goes from 2 to 0.":
            lambda t, top, w, n: _wave(t, top, w, n, height=1.0),
        "Your rate becomes negative: the cosine goes from 1 to −1.":
            lambda t, top, w, n: _wave(t, top, w, n, height=1.0) - (top if t >= w else 0),
        "After the warm-up your rate begins at 0 and climbs: it is 1 + cos, not 1 − cos.":
            lambda t, top, w, n: _wave(t, top, w, n) if t < w else top - _wave(t, top, w, n),
        "Your warm-up is one step ahead: at step 0 the rate is 0.":
            lambda t, top, w, n: _wave(t, top, w, n, early=1),
        "After the warm-up the rate falls along a straight line, not a cosine.":
            lambda t, top, w, n: top * t / w if t < w else top * (n - t) / (n - w),
    },
)  # fmt: skip

function(
    TASKS, one_cycle, title="Rate and momentum of 1cycle", mistakes=ONE_CYCLE,
    read=parts("learning_rate", "momentum", read=number), names=("learning_rate", "momentum"),
    # Where 0.45 and 0.9 of the last step are whole steps, every right way of rounding agrees.
    cases=lambda: [(t, n, top) for n, top in _CYCLES for t in range(n)],
    edges={"Past the last step rate and momentum stay where they are; yours go on.":
               lambda: [(n + d, n, top) for n, top in _CYCLES for d in (-1, 0, 1, n)]},
    hints=(
        "Name the corners first: at which steps do rise, fall and last stretch end? The last step "
        "is `total_steps - 1`; the last stretch takes a tenth of it, rise and fall share the rest.",
        "`np.interp(step, corners, values)` draws straight lines through corners and stays flat "
        "outside of them, which is just what is wanted past the end.",
        "Momentum has the same corners and goes the other way; after the fall it has nothing left "
        "to do.",
    ),
)  # fmt: skip

_LOSSES = (
    [0.7, 0.9, 0.95, 0.8, 0.7, 0.75, 0.9, 0.6, 0.7, 0.7, 0.8, 0.9, 0.6, 0.9, 0.9, 0.9, 0.9, 0.9],
    [0.9, 0.5, 0.6, 0.6, 0.5, 0.7, 0.4, 0.6, 0.5, 0.45, 0.5, 0.55, 0.41, 0.8, 0.3, 0.2],
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    [1.0, 2.0, 1.5, 1.4, 1.3, 1.2, 0.9, 1.1, 0.95, 1.0, 0.92, 0.97, 0.96],
    *(np.round(rng("performance").uniform(0.2, 1.0, size=n), 2).tolist() for n in (12, 20, 30)),
)

function(
    TASKS, performance, title="Performance scheduling", mistakes=PERFORMANCE,
    read=partial(array, what="Your list of rates"),
    cases=[(run, rate, patience, factor) for run in _LOSSES
           for rate, patience, factor in ((0.1, 2, 0.5), (0.02, 3, 0.1), (0.4, 5, 0.2))],
    edges={"With one single epoch it goes wrong.": [([0.5], 0.1, 2, 0.5)],
           "With progress in every epoch no cut may come.": [([3.0, 2.0, 1.0], 0.1, 1, 0.5)],
           "With patience 1 it goes wrong.": [([1.0, 2.0, 3.0, 0.5, 0.6], 0.1, 1, 0.5)],
           "Where a loss is negative, or 0, it goes wrong.":
               [([0.2, 0.0, 0.1, -0.3, -0.2, -0.25, 0.0, -0.1], 0.1, 2, 0.5)]},
    hints=(
        "Three things to remember from epoch to epoch: the rate in force, the best loss so far, "
        "and how many epochs have passed since without progress.",
        "Write down the rate before you look at the loss: the epoch was trained with it.",
        "Two things set the count back to 0: a new best loss, and a cut.",
    ),
)  # fmt: skip

TASKS.task(
    "A schedule that can be saved", seconds=180.0,
    hints=(
        "`__call__(self, step)` is your function `power` with the rest taken from `self`. Keras "
        "calls it with a tensor of whole numbers while it compiles the training step: operators "
        "work on tensors, `int()`, `float()` and `math` do not.",
        "`keras.ops.cast(step, 'float32')` makes numbers with fractions of the step, whatever it "
        "is.",
        "`get_config` returns a dict with one entry for each argument of `__init__`, under the "
        "same names, with plain numbers as values.",
    ),
)(power_schedule)  # fmt: skip

behaviour(
    TASKS, title="The learning-rate range test", seconds=180.0, right=right_range_test,
    mistakes=RANGE_TEST, rtol=1e-3,
    hints=(
        "`np.geomspace` grows by a constant factor. Before the first step keep a copy of every "
        "variable; after the last, assign it back.",
        "`model.train_on_batch(x, y, return_dict=True)['loss']` does one update and gives that "
        "batch's own loss, measured before it. Without `return_dict` a model with metrics returns "
        "a list. `model.optimizer.learning_rate = rate` reaches the compiled step.",
        "The optimizer has variables of its own (`model.optimizer.variables`: step counter, "
        "learning rate, velocities). They exist once it is built: "
        "`model.optimizer.build(model.trainable_variables)` does it if it was not yet.",
    ),
)(range_test)  # fmt: skip

TASKS.task(
    "The 1cycle callback", seconds=180.0, given=("__init__",),
    hints=(
        "Two hooks are enough: one that runs once before training (how many steps will there be?) "
        "and one that runs before every batch.",
        "In a callback, `self.params` holds `epochs` and `steps` (a number per epoch), and "
        "`self.model.optimizer` is the optimizer. Count the steps yourself: `batch` starts again "
        "at 0 in every epoch.",
        "Assign to variables: `optimizer.learning_rate = …` is one; for momentum it is "
        "`optimizer.live_momentum.assign(…)`, not the number `optimizer.momentum`.",
    ),
)(one_cycle_callback)  # fmt: skip
