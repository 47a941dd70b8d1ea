"""Checks of exercise 01: vanishing and exploding gradients.

The formulas, right and wrong, are in `_ex01_formulas`; the gradient norms have a module of their
own.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from coursekit.checks import _ex01_formulas as formulas
from coursekit.checks._ex01_gradient_norms import check_gradient_norms
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.kit.compare import agree, rng
from coursekit.checks.kit.values import array

TASKS = TaskList(1, "Vanishing and exploding gradients")


@TASKS.task(
    "The slope of the sigmoid",
    hints=(
        "Compute the sigmoid first and keep it in a variable: its derivative can be written with "
        "it alone.",
        "The derivative is a product of two factors: the sigmoid, and what it lacks to 1.",
    ),
)
def sigmoid_slope(answer: Any) -> None:
    """σ′ as a function of an array."""
    draw = rng("slope")
    cases = [(draw.normal(0, 2.5, shape),) for shape in ((6,), (3, 4), (2, 3, 2))]
    agree(answer, formulas.slope, cases, read=array, mistakes=formulas.SLOPE_MISTAKES)
    far = [(np.array([-30.0, -18.0, 18.0, 30.0]),)]
    agree(
        answer,
        formulas.slope,
        far,
        read=array,
        otherwise="Far from 0, where the sigmoid is saturated, your slope is not close to 0.",
    )


@TASKS.task(
    "What a chain lets through",
    hints=(
        "By the chain rule the derivative is a product: each layer contributes its weight times "
        "the slope of its sigmoid. You know how large the slope can be at most.",
        "`np.abs` of a list gives an array, `np.prod` multiplies all of its elements.",
    ),
)
def slope_bound(answer: Any) -> None:
    """The bound as a function of a list of weights."""
    draw = rng("bound")
    cases = [
        ([round(w, 2) for w in sign * draw.uniform(0.5, 6, k)],)
        for k, sign in ((3, -1), (5, -1), (2, 1), (7, 1), (1, -1))
    ]
    agree(answer, formulas.bound, cases, mistakes=formulas.BOUND_MISTAKES)


@TASKS.task(
    "Layer statistics",
    hints=(
        "One loop over the kernels. In it: the layer's outputs from the layer below, then three "
        "numbers, then on to the next with the outputs as inputs.",
        "`out.std(axis=0)` is the std down each column of `out`. Do the columns belong to units or "
        "to inputs?",
        "Collect the rows in a list; `np.array(rows)` has the shape asked for.",
    ),
)
def layer_statistics(answer: Any) -> None:
    """(layers, 3) as a function (x, kernels, activation)."""
    draw = rng("statistics")

    def case(widths: tuple[int, ...], activation: Any, samples: int = 7) -> tuple[Any, ...]:
        kernels = [draw.normal(0.3, 1.0, shape) for shape in pairwise(widths)]
        return draw.normal(0.5, 1.0, (samples, widths[0])), kernels, activation

    square = [case((5,) * 5, f) for f in (np.tanh, formulas.sigmoid)]
    square.append(case((6, 6, 6), np.tanh, samples=9))
    agree(
        answer,
        formulas.statistics,
        square,
        read=lambda value: array(value, shape=(None, 3)),
        mistakes=formulas.STATISTICS_MISTAKES,
        otherwise="At least one of the three numbers is not right in at least one layer.",
    )
    agree(
        answer,
        formulas.statistics,
        [case((4, 8, 3), np.tanh), case((3, 6), formulas.sigmoid)],
        read=lambda value: array(value, shape=(None, 3)),
        otherwise="For layers of different width it goes wrong.",
    )


@TASKS.task(
    "The gradient norm of every layer",
    seconds=120.0,
    hints=(
        "Inside `with tf.GradientTape() as tape:` compute the loss only. Everything else comes "
        "after the block.",
        "`tape.gradient(loss, sources)` also takes a list of lists: give it "
        "`layer.trainable_weights` of every layer for which that list is not empty, and the "
        "gradients come back in the same groups.",
        "`tf.linalg.global_norm(group)` is the root of the sum of all squares in a list of "
        "tensors.",
    ),
)
def gradient_norms(answer: Any) -> None:
    """A list of norms as a function (model, x, y)."""
    check_gradient_norms(answer)


def _relu(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0)


def _leaky(z: np.ndarray) -> np.ndarray:
    return np.where(z > 0, z, 0.3 * z)


def _moved(z: np.ndarray) -> np.ndarray:
    return 0.4 * z + 1


@TASKS.task(
    "The std that keeps the variance",
    hints=(
        "Three steps: draw standard normal numbers, send them through the activation, measure the "
        "mean of the squares.",
        "Set the variance in the formula of the task to 1 and solve for Var(w). What is asked for "
        "is the root of that.",
    ),
)
def keep_std(answer: Any) -> None:
    """1 / √(n E[f(z)²]) as a function (activation, n), within 3%."""
    functions = ((np.tanh, 60), (_relu, 150), (formulas.sigmoid, 40), (_leaky, 500), (_moved, 90))
    agree(
        answer,
        formulas.keep,
        functions,
        mistakes=formulas.KEEP_MISTAKES,
        otherwise="Your std is off by more than 3% for at least one of five activations: tanh, "
        "ReLU, sigmoid, leaky ReLU, and 0.4 z + 1. Are the numbers standard normal, and a million?",
        rtol=0.03,
    )
