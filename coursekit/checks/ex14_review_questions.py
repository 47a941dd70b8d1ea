"""Checks of exercise 14: the chapter's review questions; the options are in `_ex14_options`."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from coursekit.checks import _ex14_options as options
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.kit import choices
from coursekit.checks.kit.compare import first_match, rng
from coursekit.checks.kit.function import function
from coursekit.checks.kit.values import array, number, whole

TASKS = TaskList(14, "Review questions")

choices.question(
    TASKS, "purpose", choices.one_letter, options.PURPOSE, title="What Glorot and He aim at",
    hints=(
        "Think of lesson 01: what happens to a signal on its way through many layers, and what "
        "to a gradient?",
        "Which option speaks of both directions through the net?",
    ),
    model_answer=options.ANSWERS["purpose"],
)  # fmt: skip

_SPREADS = {"Glorot": math.sqrt(2 / 500), "He": math.sqrt(2 / 400), "LeCun": math.sqrt(1 / 400)}


def _wrong_spreads(name: str) -> dict[str, float]:
    right, factor = _SPREADS[name], 1 if name == "LeCun" else 2
    return {
        f"The entry {name!r} {reason}": value
        for reason, value in {
            "is the variance; asked is the standard deviation.": right**2,
            "looks at the outputs of the layer in place of its inputs.": math.sqrt(factor / 100),
            "divides by the sum of inputs and outputs.": math.sqrt((3 - factor) / 500),
            "is the limit of the uniform distribution, not its standard deviation.": math.sqrt(3)
            * right,
            "is off by the factor 2 in the variance.": right
            * math.sqrt(0.5 if name == "He" else 2),
        }.items()
    }


@TASKS.task(
    "Three standard deviations",
    mistakes={
        reason: _SPREADS | {name: value}
        for name in _SPREADS
        for reason, value in _wrong_spreads(name).items()
    },
    hints=(
        "Write down the three variances first: two of them look at the inputs only, one at the "
        "mean of inputs and outputs.",
        "The standard deviation is the root of the variance.",
    ),
)
def spreads(answer: Any) -> None:
    """The standard deviations of a layer's weights for three initialisers, as a dict."""
    filled = choices.filled_in(answer, tuple(_SPREADS))
    for name, right in _SPREADS.items():
        got = number(filled[name], f"The entry {name!r}")
        otherwise = f"The entry {name!r}, {got:.4g}, is not right (within 1%)."
        first_match(got, {"": right, **_wrong_spreads(name)}, rtol=0.009, otherwise=otherwise)


choices.question(
    TASKS, "same_value", choices.one_letter, options.SAME_VALUE,
    title="The same value for all weights",
    hints=(
        "Take two units of one layer. In what do their sums differ? Their gradients?",
        "Lesson 02 trains such a net: its loss falls, and still something never happens.",
    ),
    model_answer=options.ANSWERS["same_value"],
)  # fmt: skip


def different_units(kernel, digits=6):
    """Return the number of different columns, rounded."""
    return len(np.unique(np.round(kernel, digits), axis=1).T)


def _kernels() -> list[tuple[np.ndarray]]:
    draw, kernels = rng("different units"), []
    for n_in, n_units, n_different in ((5, 8, 3), (3, 6, 6), (4, 7, 1), (7, 4, 2), (2, 1, 1)):
        columns = draw.normal(size=(n_in, n_different))
        more = draw.integers(0, n_different, n_units - n_different)
        kernel = columns[:, draw.permutation([*range(n_different), *more])]
        rounding = 1e-9 if n_in == 4 else 0
        kernels.append(kernel + draw.uniform(-rounding, rounding, kernel.shape))
    one_weight, near = draw.normal(size=(3, 5)), np.full((4, 3), 0.25)
    one_weight[0] = 0.5  # units alike in one weight, different in the others
    near[3, 1] += 3e-5
    return [(kernel,) for kernel in (*kernels, one_weight, near)]


function(
    TASKS, different_units, title="How many units are different?", read=whole, cases=_kernels,
    hints=(
        "A unit is a column. Round the kernel to six digits, so that equal means equal.",
        "`np.unique` finds different columns with `axis=1`; `.shape` tells how many.",
    ),
    mistakes={
        "You count different rows; a unit is a column, shape (inputs, units).":
            lambda kernel: different_units(kernel.T),
        "You count different numbers; two units differ where their whole columns differ.":
            lambda kernel: len(np.unique(np.round(kernel, 6))),
        "You count all units, the equal ones too.": lambda kernel: kernel.shape[1],
        "Differences far below 1e-6 are rounding, not different units.":
            lambda kernel: different_units(kernel, 15),
        "You take units that differ by 3e-5 for the same: round less.":
            lambda kernel: different_units(kernel, 3),
        "You look at the first weight of each unit only.":
            lambda kernel: different_units(kernel[:1]),
        "You count the units that are equal to another one.":
            lambda kernel: kernel.shape[1] - different_units(kernel),
    },
)  # fmt: skip

choices.question(
    TASKS, "zero_biases", choices.one_letter, options.ZERO_BIASES, title="Biases of zero",
    hints=(
        "What made equal weights so bad? Does it hold for biases, when the weights are random?",
        "What do Keras' layers do by default?",
    ),
    model_answer=options.ANSWERS["zero_biases"],
)  # fmt: skip

choices.question(
    TASKS, "activations", choices.letter_for_each, options.ACTIVATIONS,
    title="An activation for each case",
    hints=(
        "For an output ask: which values may the answer have? Take the function with that range.",
        "For hidden layers: simple and shallow, deep, deep without any normalisation layer, fast. "
        "Lesson 03 has one answer for each.",
    ),
    model_answer=options.ANSWERS["activations"],
)  # fmt: skip

choices.question(
    TASKS, "momentum_near_one", choices.all_letters, options.MOMENTUM, title="Momentum close to 1",
    hints=(
        "On an even slope the speed tends to η·g/(1 − β). And how long does that take?",
        "1 − β is the friction. What does a ball do without friction?",
    ),
    model_answer=options.ANSWERS["momentum_near_one"],
)  # fmt: skip


def roll(beta, learning_rate, steps, old=False, damped=False):
    """Return all positions of the ball; by the `old` velocity and `damped` are mistakes."""
    position, velocity, path = 1.0, 0.0, [1.0]
    for _ in range(steps):
        before = velocity
        share = 1 - beta if damped else 1
        velocity = beta * velocity - share * learning_rate * position
        position += before if old else velocity
        path.append(position)
    return np.array(path)


function(
    TASKS, roll, title="Rolling in a bowl", read=partial(array, shape=(None,)),
    cases=[(0.9, 0.1, 30), (0.0, 0.5, 5), (0.99999, 0.1, 40), (0.5, 0.3, 1), (0.9, 0.1, 0)],
    hints=(
        "Two numbers change in each step: the velocity, then, by the new velocity, the position.",
        "In the bowl x²/2 the gradient at x is x itself. Start the list with 1.0 and append.",
    ),
    mistakes={
        "You move by the old velocity: change the velocity first, then the position.":
            partial(roll, old=True),
        "The ball climbs: the velocity must go against the gradient.":
            lambda beta, learning_rate, steps: roll(beta, -learning_rate, steps),
        "Your gradient is multiplied by 1 − β as in Adam; classical momentum adds all of it.":
            partial(roll, damped=True),
        "Your velocity never changes the next one: a share β of it must stay.":
            lambda beta, learning_rate, steps: roll(0, learning_rate, steps),
        "The start is a position too: 30 steps make 31 positions.":
            lambda beta, learning_rate, steps: roll(beta, learning_rate, steps)[: max(steps, 1)],
        "The start must be the first of the positions.": lambda *case: roll(*case)[1:],
    },
)  # fmt: skip

choices.question(
    TASKS, "sparse_ways", choices.all_letters, options.SPARSE, title="Three ways to a sparse model",
    hints=(
        "Sparse means: many weights are exactly 0, so that they need be neither stored nor "
        "multiplied. Three of the seven do that.",
        "One acts through the loss, one once after training, one step by step while training.",
    ),
    model_answer=options.ANSWERS["sparse_ways"],
)  # fmt: skip


def prune(kernel, share, size=np.abs, whole=round):
    """Return a copy with the smallest weights, by their `size`, set to 0."""
    kept = kernel.copy()
    kept.flat[np.argsort(size(kernel), axis=None)[: whole(share * kernel.size)]] = 0
    return kept


def _pruned() -> list[tuple[np.ndarray, float]]:
    shapes = ((10, 20), 0.9), ((5, 8), 0.5), ((3, 7), 0.37), ((3, 7), 0.35), ((3, 4), 1.0)
    cases = [(rng("prune").normal(size=shape), share) for shape, share in shapes]
    return [*cases, (np.array([[0.5, -0.1], [2.0, -3.0]]), 0.25), (cases[0][0], 0.0)]


function(
    TASKS, prune, title="Pruning", read=partial(array, shape=(None, None)), cases=_pruned,
    hints=(
        "What counts is how far a weight is from 0, whatever its sign. `np.argsort` of the "
        "absolute values gives the order, flattened with `axis=None`.",
        "Copy the kernel first; `copy.flat[places] = 0` then sets the places of the flat order.",
        "`np.sort` of the absolute values gives a threshold instead of an order; mind shares of "
        "0 and 1.",
    ),
    mistakes={
        "You remove the lowest weights, the most negative ones; the smallest are those nearest to "
        "0.": partial(prune, size=lambda kernel: kernel),
        "You remove the largest weights and keep the smallest.":
            partial(prune, size=lambda kernel: -np.abs(kernel)),
        "You keep the share that should go.": lambda kernel, share: prune(kernel, 1 - share),
        "You always round the number of weights down: of 7.77 it must make 8.":
            partial(prune, whole=int),
        "You always round the number of weights up: of 7.35 it must make 7.":
            partial(prune, whole=math.ceil),
        "You compare with `share` as a threshold; it is the share of weights that become 0.":
            lambda kernel, share: np.where(np.abs(kernel) < share, 0, kernel),
        "Each unit loses its share by itself; the smallest of all weights are to go.":
            lambda kernel, share: np.stack([prune(unit, share) for unit in kernel.T], axis=1),
    },
)  # fmt: skip

choices.question(
    TASKS, "dropout_costs", choices.letter_for_each, options.DROPOUT, title="What dropout costs",
    hints=(
        "During training every step trains another thinned net, on a noisier gradient.",
        "At inference: what does a dropout layer do when `training=False`? And how many "
        "predictions does one Monte Carlo prediction average?",
    ),
    model_answer=options.ANSWERS["dropout_costs"],
)  # fmt: skip
