"""Checks of exercise 11: dropout and Monte Carlo dropout.

The formulas, right and wrong, are in `_ex11_formulas`; masks and layers have modules of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks import _ex11_formulas as formulas
from coursekit.checks._ex11_layers import check_mc_dropout, check_mc_samples
from coursekit.checks._ex11_masks import check_dropout
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.compare import agree, rng
from coursekit.checks.kit.values import array, describe, number

TASKS = TaskList(11, "Dropout and Monte Carlo dropout")


@TASKS.task(
    "Inverted dropout",
    hints=(
        "Draw one random number between 0 and 1 for each value of `x`: `draw.random(x.shape)`. How "
        "often is such a number below `rate`?",
        "Comparing gives True and False, which multiply like 1 and 0: that is the mask.",
        "Divide what stays by the probability of staying.",
    ),
)
def dropout(answer: Any) -> None:
    """One training step's outputs as a function (x, rate, generator)."""
    check_dropout(answer)


@TASKS.task(
    "Weights after a training without scaling",
    hints=(
        "Think of p = 75% and 100 units that all send 1 through weights of 1. What does the next "
        "unit receive in training, on average? And at prediction, when nothing is dropped?",
        "Which factor turns the second number into the first? Write it with `rate`.",
    ),
)
def kernel_for_prediction(answer: Any) -> None:
    """The kernel for prediction as a function (kernel, rate)."""
    draw = rng("kernel_for_prediction")
    cases = [(draw.normal(size=(4, 3)), rate) for rate in (0.75, 0.2, 0.6, 0.1)]
    agree(
        answer, formulas.kernel_for_prediction, cases, read=array, mistakes=formulas.KERNEL_MISTAKES
    )
    agree(
        answer,
        formulas.kernel_for_prediction,
        [(cases[0][0], 0.0)],
        read=array,
        otherwise="With a rate of 0 nothing was dropped, and the weights must stay as they are.",
    )


@TASKS.task(
    "A dropout layer that is always on",
    seconds=120.0,
    hints=(
        "`keras.layers.Dropout` does all the work already, where `training` is true.",
        "In your `call`, call the `call` of the parent class, `super().call(...)`, and tell it "
        "which mode to work in.",
    ),
)
def mc_dropout(answer: Any) -> None:
    """A subclass of keras.layers.Dropout that drops at prediction too."""
    check_mc_dropout(answer)


@TASKS.task(
    "Many predictions of one net",
    seconds=180.0,
    hints=(
        "`model(x, training=True)` would do in a net where dropout is the only layer with two "
        "modes. Here, go through `model.layers` yourself.",
        "Each layer is a function: `h = layer(h, training=...)`. `isinstance(layer, (A, B))` tells "
        "whether it is of one of two kinds.",
        "Collect the results in a list, each as a NumPy array, and stack them along a new first "
        "axis with `np.stack`.",
    ),
)
def mc_samples(answer: Any) -> None:
    """All passes, (samples, n, classes), as a function (model, x, samples)."""
    check_mc_samples(answer)


def _rows(name: str) -> list[np.ndarray]:
    draw = rng(name)
    return [draw.dirichlet(np.full(classes, 0.7), size=6) for classes in (2, 3, 10)]


@TASKS.task(
    "Predictive entropy",
    hints=(
        "Multiply each probability by its natural logarithm, add up along the classes, change the "
        "sign.",
        "`np.log(0)` is −∞, and 0 · −∞ is no number. Let the logarithm see 1 in place of 0, or add "
        "something tiny such as 1e-12.",
    ),
)
def predictive_entropy(answer: Any) -> None:
    """The entropy of each row as a function of probabilities (n, classes)."""
    cases = [(p,) for p in _rows("entropy")]
    agree(answer, formulas.entropy, cases, read=_one_per_row, mistakes=formulas.ENTROPY_MISTAKES)
    sure = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.2, 0.3, 0.5]])
    agree(
        answer,
        formulas.entropy,
        [(sure,)],
        read=_one_per_row,
        otherwise="For rows with a probability of 0 it goes wrong.",
    )


def _one_per_row(value: Any) -> np.ndarray:
    values = array(value)
    if values.ndim != 1:
        raise Wrong(
            f"Expected one number for each row, an array with one axis; got {describe(values)}."
        )
    return values


@TASKS.task(
    "Disagreement of the passes",
    hints=(
        "Two entropies. The first: average the passes (which axis?), then take the entropy.",
        "The second: take the entropy of every pass, then average these over the passes.",
        "If your function of task 5 takes two axes only, use it on one pass after the other.",
    ),
)
def mutual_information(answer: Any) -> None:
    """The mutual information of each input as a function of samples (samples, n, classes)."""
    draw = rng("information")
    cases = [(draw.dirichlet(np.full(c, 0.7), size=(s, n)),) for s, n, c in ((5, 4, 3), (8, 3, 10))]
    agree(
        answer,
        formulas.information,
        cases,
        read=_one_per_row,
        mistakes=formulas.INFORMATION_MISTAKES,
    )
    apart = np.array([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]])
    agree(
        answer,
        formulas.information,
        [(apart,)],
        read=_one_per_row,
        otherwise="For passes with probabilities of 0 it goes wrong.",
    )


def _pair(value: Any) -> tuple[float, float]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Wrong(f"Expected the two numbers a and b, got {describe(value)}.")
    return number(value[0], "Your a"), number(value[1], "Your b")


@TASKS.task(
    "Alpha dropout's correction",
    hints=(
        "Write down the mean of the mixture and, with its mean square, the variance. A variable "
        "for each makes it readable.",
        "Which a gives a·x the variance 1? Scaling by a multiplies the variance by a².",
        "Scaling by a multiplies the mean by a as well. b must take that away.",
    ),
)
def alpha_correction(answer: Any) -> None:
    """(a, b) as a function (rate, lowest)."""
    cases = [(rate, low) for rate in (0.1, 0.25, 0.6) for low in (-1.7580993, -0.9, -2.6)]
    agree(answer, formulas.alpha_correction, cases, read=_pair, mistakes=formulas.ALPHA_MISTAKES)
    agree(
        answer,
        formulas.alpha_correction,
        [(0.0, -1.7580993)],
        read=_pair,
        otherwise="With a rate of 0 nothing changes, so nothing must be corrected.",
    )
