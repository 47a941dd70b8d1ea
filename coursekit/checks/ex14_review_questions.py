"""Checks of exercise 14: the chapter's review questions; the options are in `_ex14_options`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from coursekit.checks import _ex14_options as options
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.choices import all_letters, filled_in, letter_for_each, one_letter
from coursekit.checks.kit.compare import agree, close_each, rng
from coursekit.checks.kit.values import array, number

TASKS = TaskList(14, "Review questions")


@TASKS.task(
    "What Glorot and He aim at",
    hints=(
        "Think of lesson 01: what happens to a signal on its way through many layers, and what "
        "to a gradient?",
        "Which option speaks of both directions through the net?",
    ),
)
def purpose(answer: Any) -> None:
    """One letter."""
    one_letter(answer, options.PURPOSE)


_FAN_IN, _FAN_OUT = 400, 100
_VARIANCES = {
    "Glorot": 2 / (_FAN_IN + _FAN_OUT),
    "He": 2 / _FAN_IN,
    "LeCun": 1 / _FAN_IN,
}


@TASKS.task(
    "Three spreads",
    hints=(
        "Write down the three variances first: two of them look at the inputs only, one at the "
        "mean of inputs and outputs.",
        "The standard deviation is the root of the variance.",
    ),
)
def spreads(answer: Any) -> None:
    """The standard deviations of a layer's weights for three initialisers, as a dict."""
    filled = filled_in(answer, tuple(_VARIANCES))
    got = {name: number(filled[name], f"The entry {name!r}") for name in _VARIANCES}
    for name, variance in _VARIANCES.items():
        _compare_spread(name, got[name], variance)


def _compare_spread(name: str, got: float, variance: float) -> None:
    def like(value: float) -> bool:
        return abs(got - value) <= 0.01 * value

    if like(np.sqrt(variance)):
        return
    factor = 2 if name == "He" else 1
    for value, reason in (
        (variance, "is the variance; asked is the standard deviation."),
        (np.sqrt(factor / _FAN_OUT), "looks at the outputs of the layer in place of its inputs."),
        (np.sqrt(1 / (_FAN_IN + _FAN_OUT)), "divides by the sum of inputs and outputs."),
        (np.sqrt(3 * variance), "is the limit of the uniform distribution, not its spread."),
        (
            np.sqrt(3 - factor) * np.sqrt(variance / factor),
            "is off by the factor 2 in the variance.",
        ),
    ):
        if like(value):
            raise Wrong(f"The entry {name!r} {reason}")
    raise Wrong(f"The entry {name!r}, {got:.4g}, is not right (within 1%).")


@TASKS.task(
    "The same value for all weights",
    hints=(
        "Take two units of one layer. In what do their sums differ? Their gradients?",
        "Lesson 02 trains such a net: its loss falls, and still something never happens.",
    ),
)
def same_value(answer: Any) -> None:
    """One letter."""
    one_letter(answer, options.SAME_VALUE)


def _kernels() -> list[tuple[np.ndarray]]:
    draw, cases = rng("different units"), []
    for n_in, n_units, n_different in ((5, 8, 3), (3, 6, 6), (4, 7, 1), (7, 4, 2), (2, 1, 1)):
        columns = draw.normal(size=(n_in, n_different))
        which = np.concatenate(
            [np.arange(n_different), draw.integers(0, n_different, n_units - n_different)]
        )
        kernel = columns[:, draw.permutation(which)]
        rounding = 1e-9 if n_in == 4 else 0
        cases.append((kernel + draw.uniform(-rounding, rounding, kernel.shape),))
    shared_row = draw.normal(size=(3, 5))
    shared_row[0] = 0.5  # units alike in one weight, different in the others
    return [*cases, (shared_row,)]


def _different(kernel: np.ndarray) -> int:
    return len(np.unique(np.round(kernel, 6), axis=1).T)


@TASKS.task(
    "How many units are different?",
    hints=(
        "A unit is a column. Round the kernel to six digits, so that equal means equal.",
        "`np.unique` finds different columns with `axis=1`; `.shape` tells how many.",
    ),
)
def different_units(answer: Any) -> None:
    """The number of different columns as a function (kernel)."""
    agree(
        answer,
        _different,
        _kernels(),
        mistakes={
            "You count different rows; a unit is a column, shape (inputs, units).": (
                lambda kernel: len(np.unique(np.round(kernel, 6), axis=0))
            ),
            "You count different numbers; two units differ where their whole columns differ.": (
                lambda kernel: len(np.unique(np.round(kernel, 6)))
            ),
            "You count all units, the equal ones too.": lambda kernel: kernel.shape[1],
            "Differences far below 1e-6 are rounding, not different units.": (
                lambda kernel: len(np.unique(kernel, axis=1).T)
            ),
            "You look at the first weight of each unit only.": (
                lambda kernel: len(np.unique(np.round(kernel[0], 6)))
            ),
        },
    )


@TASKS.task(
    "Biases of zero",
    hints=(
        "What made equal weights so bad? Does it hold for biases, when the weights are random?",
        "What do Keras' layers do by default?",
    ),
)
def zero_biases(answer: Any) -> None:
    """One letter."""
    one_letter(answer, options.ZERO_BIASES)


@TASKS.task(
    "An activation for each case",
    hints=(
        "For an output ask: which values may the answer have? Take the function with that range.",
        "For hidden layers: simple and shallow, deep, deep without any normalisation layer, fast. "
        "Lesson 03 has one answer for each.",
    ),
)
def activations(answer: Any) -> None:
    """A dict: case to name."""
    letter_for_each(answer, options.ACTIVATIONS)


@TASKS.task(
    "Momentum close to 1",
    hints=(
        "On an even slope the speed tends to η·g/(1 − β). And how long does that take?",
        "1 − β is the friction. What does a ball do without friction?",
    ),
)
def momentum_near_one(answer: Any) -> None:
    """All right letters."""
    all_letters(answer, options.MOMENTUM)


def _roll(
    beta: float,
    learning_rate: float,
    steps: int,
    *,
    old: bool = False,
    sign: int = -1,
    damped: bool = False,
) -> np.ndarray:
    position, velocity, path = 1.0, 0.0, [1.0]
    for _ in range(steps):
        before = velocity
        gradient = position * ((1 - beta) if damped else 1)
        velocity = beta * velocity + sign * learning_rate * gradient
        position += before if old else velocity
        path.append(position)
    return np.array(path)


@TASKS.task(
    "Rolling in a bowl",
    hints=(
        "Two numbers change in each step: the velocity, then, by the new velocity, the position.",
        "In the bowl x²/2 the gradient at x is x itself. Start the list with 1.0 and append.",
    ),
)
def roll(answer: Any) -> None:
    """All positions, the start included, as a function (beta, learning_rate, steps)."""
    agree(
        answer,
        _roll,
        [(0.9, 0.1, 30), (0.0, 0.5, 5), (0.99999, 0.1, 40), (0.5, 0.3, 1), (0.9, 0.1, 0)],
        read=lambda value: array(value, shape=(None,)),
        mistakes={
            "You move by the old velocity: change the velocity first, then the position.": (
                partial(_roll, old=True)
            ),
            "The ball climbs: the velocity must go against the gradient.": partial(_roll, sign=1),
            "Your gradient is multiplied by 1 − β as in Adam; classical momentum adds all of it.": (
                partial(_roll, damped=True)
            ),
            "The start is a position too: 30 steps make 31 positions.": (
                lambda beta, learning_rate, steps: _roll(beta, learning_rate, steps - 1)
            ),
            "The start must be the first of the positions.": lambda *case: _roll(*case)[1:],
        },
    )


@TASKS.task(
    "Three ways to a sparse model",
    hints=(
        "Sparse means: many weights are exactly 0, so that they need be neither stored nor "
        "multiplied. Three of the seven do that.",
        "One acts through the loss, one once after training, one step by step while training.",
    ),
)
def sparse_ways(answer: Any) -> None:
    """All right letters."""
    all_letters(answer, options.SPARSE)


def _prune(kernel: np.ndarray, share: float, key: Any = np.abs) -> np.ndarray:
    kept = kernel.copy()
    kept.flat[np.argsort(key(kernel), axis=None)[: round(share * kernel.size)]] = 0
    return kept


@TASKS.task(
    "Pruning",
    hints=(
        "What counts is how far a weight is from 0, whatever its sign. `np.argsort` of the "
        "absolute values gives the order, flattened with `axis=None`.",
        "Copy the kernel first; `copy.flat[places] = 0` then sets the places of the flat order.",
        "`np.quantile` of the absolute values gives a threshold instead of an order.",
    ),
)
def prune(answer: Any) -> None:
    """A copy with the smallest weights set to 0, as a function (kernel, share)."""
    draw = rng("prune")
    cases = [
        (draw.normal(size=(10, 20)), 0.9),
        (draw.normal(size=(5, 8)), 0.5),
        (draw.normal(size=(4, 25)), 0.25),
        (draw.normal(size=(3, 3)), 0.0),
        (draw.normal(size=(3, 4)), 1.0),
    ]
    agree(
        answer,
        _prune,
        cases,
        read=lambda value: array(value, shape=(None, None)),
        mistakes={
            "You remove the lowest weights, the most negative ones; the smallest are those nearest "
            "to 0.": lambda kernel, share: _prune(kernel, share, lambda k: k),
            "You remove the largest weights and keep the smallest.": (
                lambda kernel, share: _prune(kernel, share, lambda k: -np.abs(k))
            ),
            "You keep the share that should go.": (lambda kernel, share: _prune(kernel, 1 - share)),
            "You compare with `share` as a threshold; it is the share of weights that become 0.": (
                lambda kernel, share: np.where(np.abs(kernel) < share, 0, kernel)
            ),
        },
    )
    once = np.array([[0.5, -0.1], [2.0, -3.0]])
    if not close_each([array(call(answer, once, 0.25))], [_prune(once, 0.25)])[0]:
        raise Wrong("Of four weights, a share of 0.25 is one: the one nearest to 0.")


@TASKS.task(
    "What dropout costs",
    hints=(
        "During training every step trains another thinned net, on a noisier gradient.",
        "At inference: what does a dropout layer do when `training=False`? And how many "
        "predictions does one Monte Carlo prediction average?",
    ),
)
def dropout_costs(answer: Any) -> None:
    """A dict: when to letter."""
    letter_for_each(answer, options.DROPOUT)
