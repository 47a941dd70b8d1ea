"""Checks of exercise 09: learning-rate schedules.

Every schedule is a function of the step; the formulas, right and wrong, are in `_ex09_formulas`.
The checks that train a network are in modules of their own; they measure what really happens to
the weights, never an attribute that says what should.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks import _ex09_formulas as formulas
from coursekit.checks._ex09_callback import check_one_cycle_callback
from coursekit.checks._ex09_range_test import check_range_test
from coursekit.checks._ex09_saved_schedule import check_power_schedule
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import agree, rng
from coursekit.checks.kit.values import array, describe, number

TASKS = TaskList(9, "Learning-rate schedules")


def _plans(name: str, n: int = 6) -> list[tuple[float, int]]:
    """Return pairs (learning rate, number of steps)."""
    draw = rng(name)
    return [(round(draw.uniform(0.01, 0.9), 3), int(draw.integers(7, 60))) for _ in range(n)]


@TASKS.task(
    "Power scheduling",
    hints=(
        "Work from the inside out: first the fraction `t/s`, then add 1, then raise, then divide.",
        "Python: `**` is the power and binds tighter than `/`. So the bracket you raise needs "
        "brackets in the code as well.",
    ),
)
def power(answer: Any) -> None:
    """η₀ / (1 + t/s)^c as a function (t, η₀, s, c=1)."""
    cases = [
        (step, eta, s, c)
        for eta, s in _plans("power")
        for step in (1, s // 2, s, 3 * s + 1, 20 * s)
        for c in (1.0, 0.5, 2.0)
    ]
    agree(answer, formulas.power, cases, mistakes=formulas.POWER_MISTAKES)
    starts = [(0, eta, s, c) for eta, s in _plans("power") for c in (1.0, 0.5)]
    agree(answer, formulas.power, starts, otherwise="Step 0 must give the initial learning rate.")
    agree(
        answer,
        formulas.power,
        [(step, eta, s) for eta, s in _plans("power") for step in (1, s, 3 * s)],
        otherwise="Without `exponent` the function must take the default of the notebook.",
    )


@TASKS.task(
    "Exponential scheduling",
    hints=(
        "After `decay_steps` steps the rate is down to a tenth, after twice as many to a "
        "hundredth. Which number is raised to which power?",
        "The exponent is the whole fraction of step and `decay_steps`: give it brackets.",
    ),
)
def exponential(answer: Any) -> None:
    """η₀ · 0.1^(t/s) as a function (t, η₀, s)."""
    cases = [
        (step, eta, s)
        for eta, s in _plans("exponential")
        for step in (0, 1, s // 2, s, 2 * s, 3 * s + 1)
    ]
    agree(answer, formulas.exponential, cases, mistakes=formulas.EXPONENTIAL_MISTAKES)


@TASKS.task(
    "Piecewise constant scheduling",
    hints=(
        "How many boundaries has the step reached? That number is the index of the value.",
        "Reached means step ≥ boundary. A loop with a counter will do; so will `bisect` or "
        "`np.searchsorted`, which both let you choose a side.",
    ),
)
def piecewise_constant(answer: Any) -> None:
    """values[number of boundaries reached] as a function (t, boundaries, values)."""
    draw = rng("piecewise_constant")
    cases = []
    for n in (2, 3, 4):
        boundaries = np.cumsum(draw.integers(5, 30, size=n)).tolist()
        values = np.round(draw.permutation(np.geomspace(0.5, 0.001, n + 1)), 4).tolist()
        steps = [0, boundaries[-1] + 100]
        steps += [b + d for b in boundaries for d in (-2, -1, 0, 1)]
        cases += [(step, boundaries, values) for step in steps]
    agree(answer, formulas.piecewise, cases, mistakes=formulas.PIECEWISE_MISTAKES)
    single = [(step, [10], [0.3, 0.02]) for step in (0, 9, 10, 50)]
    agree(answer, formulas.piecewise, single, otherwise="With a single boundary it goes wrong.")


@TASKS.task(
    "Cosine with warm-up",
    hints=(
        "Three cases, one after the other: still warming up, past the end, and in between.",
        "In between, count how far the cosine has come: 0 at the end of the warm-up, 1 at "
        "`total_steps`. How many steps lie between the two?",
        "`math.cos` wants radians: half a wave is from 0 to π. The cosine itself goes from 1 to "
        "−1; shift and shrink it so that it goes from 1 to 0.",
    ),
)
def cosine_with_warmup(answer: Any) -> None:
    """Linear to the top, half a cosine down to 0, as a function (t, η_max, warm-up, total)."""
    plans = [(eta, s, s + int(extra)) for (eta, s), extra in zip(
        _plans("cosine"), rng("cosine lengths").integers(20, 200, size=6), strict=True
    )]  # fmt: skip
    cases = [
        (step, eta, w, n)
        for eta, w, n in plans
        for step in (0, 1, w // 2, w - 1, w, w + 1, (w + n) // 2, n - 1)
    ]
    agree(answer, formulas.cosine, cases, mistakes=formulas.COSINE_MISTAKES)
    # The top is among these steps so that rounding near 0 is measured against it.
    past = [(t, eta, w, n) for eta, w, n in plans for t in (w, n, n + 1, n + (n - w) // 2, 2 * n)]
    agree(
        answer,
        formulas.cosine,
        past,
        otherwise="From `total_steps` on the rate must stay at 0; yours does something else there.",
    )
    agree(
        answer,
        formulas.cosine,
        [(step, eta, 0, n) for eta, _, n in plans for step in (0, 1, n // 2)],
        otherwise="With `warmup_steps=0` there is no warm-up: step 0 has the highest rate.",
    )


def _pair(part: int) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
            raise Wrong(f"Expected two numbers, rate and momentum, got {describe(value)}.")
        return number(value[part], ("The rate", "The momentum")[part])

    return read


@TASKS.task(
    "Rate and momentum of 1cycle",
    hints=(
        "Name the corners first: at which steps do rise, fall and last stretch end? The last step "
        "is `total_steps - 1`; the last stretch takes a tenth of it, rise and fall share the rest.",
        "`np.interp(step, corners, values)` draws straight lines through corners and stays flat "
        "outside of them, which is just what is wanted past the end.",
        "Momentum has the same corners and goes the other way; after the fall it has nothing left "
        "to do.",
    ),
)
def one_cycle(answer: Any) -> None:
    """(rate, momentum) as a function (t, total steps, η_max)."""
    # Where 0.45 and 0.9 of the last step are whole steps, every right way of rounding agrees.
    plans = [(101, 0.5), (41, 0.08), (21, 2.0)]
    cases = [(step, n, top) for n, top in plans for step in range(n)]
    past = [(n + d, n, top) for n, top in plans for d in (0, 1, n)]
    rate, momentum = _pair(0), _pair(1)
    agree(answer, formulas.one_cycle_rate, cases, read=rate,
          mistakes=formulas.ONE_CYCLE_RATE_MISTAKES)  # fmt: skip
    agree(answer, formulas.one_cycle_momentum, cases, read=momentum,
          mistakes=formulas.ONE_CYCLE_MOMENTUM_MISTAKES)  # fmt: skip
    reason = "Past the last step rate and momentum stay where they are; yours go on."
    agree(answer, formulas.one_cycle_rate, past, read=rate, otherwise=reason)
    agree(answer, formulas.one_cycle_momentum, past, read=momentum, otherwise=reason)


@TASKS.task(
    "Performance scheduling",
    hints=(
        "Three things to remember from epoch to epoch: the rate in force, the best loss so far, "
        "and how many epochs have passed since without progress.",
        "Write down the rate before you look at the loss: the epoch was trained with it.",
        "Two things set the count back to 0: a new best loss, and a cut.",
    ),
)
def performance(answer: Any) -> None:
    """Rates of all epochs as a function (validation losses, η₀, patience, factor)."""
    draw = rng("performance")
    losses = [
        [0.9, 0.5, 0.6, 0.6, 0.5, 0.7, 0.4, 0.6, 0.5, 0.45, 0.5, 0.55, 0.41, 0.8, 0.3, 0.2],
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        [1.0, 2.0, 1.5, 1.4, 1.3, 1.2, 0.9, 1.1, 0.95, 1.0, 0.92, 0.97, 0.96],
        *(np.round(draw.uniform(0.2, 1.0, size=n), 2).tolist() for n in (12, 20, 30)),
    ]
    cases = [
        (list(run), rate, patience, factor)
        for run in losses
        for rate, patience, factor in ((0.1, 2, 0.5), (0.02, 3, 0.1), (0.4, 5, 0.2))
    ]
    for case in cases[:3]:
        array(call(answer, *case), "Your list of rates", shape=(len(case[0]),))
    agree(answer, formulas.performance, cases, read=array, mistakes=formulas.PERFORMANCE_MISTAKES)
    for case, reason in (
        (([0.5], 0.1, 2, 0.5), "With one single epoch it goes wrong."),
        (([3.0, 2.0, 1.0], 0.1, 1, 0.5), "With progress in every epoch no cut may come."),
        (([1.0, 2.0, 3.0], 0.1, 1, 0.5), "With patience 1 it goes wrong."),
    ):
        agree(answer, formulas.performance, [case], read=array, otherwise=reason)


@TASKS.task(
    "A schedule that can be saved",
    seconds=180.0,
    hints=(
        "`__call__(self, step)` is your function `power` with the rest taken from `self`. Keras "
        "calls it with a tensor of whole numbers while it compiles the training step: operators "
        "work on tensors, `int()`, `float()` and `math` do not.",
        "`keras.ops.cast(step, 'float32')` makes numbers with fractions of the step, whatever it "
        "is.",
        "`get_config` returns a dict with one entry for each argument of `__init__`, under the "
        "same names, with plain numbers as values.",
    ),
)
def power_schedule(answer: Any) -> None:
    """Power scheduling as a LearningRateSchedule subclass (η₀, s, c=1) that survives saving."""
    check_power_schedule(answer)


@TASKS.task(
    "The learning-rate range test",
    seconds=180.0,
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
)
def range_test(answer: Any) -> None:
    """(rates, losses) as a function (model, x, y, min_lr, max_lr, batch_size)."""
    check_range_test(answer)


@TASKS.task(
    "The 1cycle callback",
    seconds=180.0,
    given=("__init__",),
    hints=(
        "Two hooks are enough: one that runs once before training (how many steps will there be?) "
        "and one that runs before every batch.",
        "In a callback, `self.params` holds `epochs` and `steps` (a number per epoch), and "
        "`self.model.optimizer` is the optimizer. Count the steps yourself: `batch` starts again "
        "at 0 in every epoch.",
        "Assign to variables: `optimizer.learning_rate = …` is one; for momentum it is "
        "`optimizer.live_momentum.assign(…)`, not the number `optimizer.momentum`.",
    ),
)
def one_cycle_callback(callback: Any, optimizer: Any) -> None:
    """The callback class (η_max), with the class of optimizer that it can steer."""
    check_one_cycle_callback(callback, optimizer)
