"""Checks of exercise 04: batch normalisation.

The formulas, right and wrong, are in `_ex04_formulas` and `_ex04_fold`; the Keras block is judged
by what it does, in `_ex04_block`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks import _ex04_fold as folding
from coursekit.checks import _ex04_formulas as formulas
from coursekit.checks._ex04_block import check_hidden_block
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.compare import agree, rng
from coursekit.checks.kit.values import array, describe, number

TASKS = TaskList(4, "Batch normalisation")


def _batches(name: str) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
    """Return batches with γ, β and an ε large enough to be missed."""
    draw, cases = rng(name), []
    for shape, eps in (((5, 3), 0.1), ((8, 8), 0.02), ((3, 6), 0.5), ((20, 2), 0.001)):
        x = draw.normal(draw.uniform(-3, 3, shape[1]), draw.uniform(0.3, 2, shape[1]), shape)
        gamma, beta = draw.uniform(0.5, 2, shape[1]), draw.normal(size=shape[1])
        cases.append((x, gamma, beta, eps))
    return cases


@TASKS.task(
    "Forward, in training",
    hints=(
        "`x.mean(axis=0)` goes through the samples and leaves one number for each column; "
        "`x.var(axis=0)` likewise.",
        "Four lines for four equations. NumPy stretches a row of numbers over all samples by "
        "itself, so no loop is needed.",
        "`np.sqrt` gets variance and `epsilon` together.",
    ),
)
def batch_norm(answer: Any) -> None:
    """The normalised batch as a function (x, γ, β, ε)."""
    cases = _batches("forward")
    agree(answer, formulas.batch_norm, cases, read=array, mistakes=formulas.BATCH_NORM_MISTAKES)
    flat = [(np.full((4, 2), 7.0), np.array([2.0, 3.0]), np.array([1.0, -1.0]), 0.01)]
    agree(answer, formulas.batch_norm, flat, read=array,
          otherwise="A column that is constant in the batch must come out as β.")  # fmt: skip
    single = [(np.array([[3.0, -2.0]]), np.array([2.0, 3.0]), np.array([1.0, -1.0]), 0.01)]
    agree(answer, formulas.batch_norm, single, read=array,
          otherwise="With a batch of a single sample it goes wrong.")  # fmt: skip


def _arrays(count: int, names: tuple[str, ...]) -> Callable[[Any], tuple[np.ndarray, ...]]:
    def read(value: Any) -> tuple[np.ndarray, ...]:
        if not isinstance(value, (tuple, list)) or len(value) != count:
            raise Wrong(f"Expected {count} arrays, {', '.join(names)}; got {describe(value)}.")
        return tuple(array(v, f"Your {name}") for v, name in zip(value, names, strict=True))

    return read


@TASKS.task(
    "Backward",
    hints=(
        "Compute x̂ and the standard deviation once more from `x`, as in task 1. Then `d_beta` and "
        "`d_gamma` are one line each.",
        "A bar means `.mean(axis=0)`. In the formula for `d_x` there are two of them: of g, and of "
        "g times x̂.",
        "`(grad * x_hat).mean(axis=0)` is the second; it multiplies x̂ before it is subtracted.",
    ),
)
def backward(answer: Any) -> None:
    """(∂J/∂x, ∂J/∂γ, ∂J/∂β) as a function (g, x, γ, ε)."""
    draw = rng("gradients")
    cases = [
        (draw.normal(0.3, 1.0, x.shape), x, gamma, eps) for x, gamma, _, eps in _batches("backward")
    ]
    read = _arrays(3, ("d_x", "d_gamma", "d_beta"))
    agree(answer, formulas.backward, cases, read=read, mistakes=formulas.BACKWARD_MISTAKES)


@TASKS.task(
    "The moving averages",
    hints=(
        "Two arrays to start with: `np.zeros` and `np.ones`, as long as a sample has features. "
        "Then a loop over the batches.",
        "Each batch makes one update of both: the old average times `momentum`, plus the batch's "
        "own value times what is left to 1.",
    ),
)
def moving_averages(answer: Any) -> None:
    """(moving mean, moving variance) as a function (batches, momentum)."""
    draw, cases = rng("moving"), []
    for sizes, momentum in (((4, 4, 4), 0.9), ((6, 6, 6, 6, 2), 0.7), ((5, 3), 0.25)):
        n_features = int(draw.integers(2, 5))
        batches = [draw.normal(2.0, 1.7, size=(m, n_features)) for m in sizes]
        cases.append((batches, momentum))
    read = _arrays(2, ("moving mean", "moving variance"))
    agree(answer, formulas.moving, cases, read=read, mistakes=formulas.MOVING_MISTAKES)
    one = [([np.array([[1.0, 5.0]])], 0.8)]
    agree(answer, formulas.moving, one, read=read,
          otherwise="With one batch of one sample it goes wrong.")  # fmt: skip


@TASKS.task(
    "Forward, at prediction",
    hints=(
        "The same four equations, but mean and variance are given. Nothing is measured on `x`.",
        "A batch of one image must get the same answer as that image among others.",
    ),
)
def predict(answer: Any) -> None:
    """The normalised samples as a function (x, γ, β, moving mean, moving variance, ε)."""
    draw, cases = rng("moving statistics"), []
    for x, gamma, beta, eps in _batches("predict"):
        mean, variance = draw.normal(1.0, 1.0, x.shape[1]), draw.uniform(0.2, 3, x.shape[1])
        cases.append((x, gamma, beta, mean, variance, eps))
    agree(answer, formulas.predict, cases, read=array, mistakes=formulas.PREDICT_MISTAKES)
    single = [(x[:1], *rest) for x, *rest in cases]
    agree(answer, formulas.predict, single, read=array,
          otherwise="For a single sample it goes wrong.")  # fmt: skip


def _two_numbers(value: Any) -> tuple[float, float]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Wrong(f"Expected two numbers, of all parameters and of trained ones, got "
                    f"{describe(value)}.")  # fmt: skip
    return number(value[0], "The first number"), number(value[1], "The second number")


@TASKS.task(
    "The axis puzzle",
    hints=(
        "How many places are there along the kept axis? With several axes the places form a grid.",
        "Every place has a mean, and each of the layer's vectors one number for it. How many "
        "vectors are there, and how many of them does the gradient train?",
        "`isinstance(axis, int)` tells the two cases apart; `shape[-1]` works for negative numbers "
        "without further ado.",
    ),
)
def count_parameters(answer: Any) -> None:
    """(all parameters, trained parameters) as a function (input shape, axis)."""
    cases: list[tuple[Any, ...]] = [
        ((None, 30), -1),
        ((None, 12, 17), -1),
        ((None, 12, 17), 2),
        ((None, 12, 17), 1),
        ((None, 9, 11, 5), -1),
        ((None, 9, 11, 5), 1),
        ((None, 9, 11, 5), -2),
    ]
    several = [((None, 12, 17), [1, 2]), ((None, 9, 11, 5), [1, 3]), ((None, 9, 11, 5), [-3, -2])]
    agree(answer, formulas.counts, [*cases, *several], read=_two_numbers,
          mistakes=formulas.COUNT_MISTAKES)  # fmt: skip
    usual = [((None, 30),), ((None, 9, 11, 5),)]
    agree(answer, formulas.counts, usual, read=_two_numbers,
          otherwise="Without `axis` the function must take the last one.")  # fmt: skip


@TASKS.task(
    "A block in Keras",
    seconds=180.0,
    hints=(
        "Three layers, in the order: linear map, normalisation, activation. So the dense layer "
        "gets no activation of its own.",
        "`use_bias=False` leaves the bias out; `kernel_initializer='he_normal'` sets the spread.",
    ),
)
def hidden_block(answer: Any) -> None:
    """A list of new layers, normalised before ReLU, as a function (units)."""
    check_hidden_block(answer)


@TASKS.task(
    "Folding",
    hints=(
        "First the scale of each unit, `s`: what does the normalisation multiply by at prediction?",
        "A kernel has shape (inputs, units). `kernel * s` scales its columns, since NumPy lines up "
        "the last axis.",
        "Follow the bias on its way: the dense layer adds it, the moving mean is subtracted, the "
        "scale multiplies both, β comes last. No bias is a bias of 0.",
    ),
)
def fold(answer: Any) -> None:
    """(kernel, bias) as a function (kernel, bias or None, γ, β, mean, variance, ε)."""
    draw, cases = rng("fold"), []
    for shape, eps, with_bias in (
        ((4, 4), 0.1, True), ((6, 6), 0.02, True), ((3, 5), 0.5, False), ((7, 2), 0.05, True)
    ):  # fmt: skip
        units = shape[1]
        kernel, bias = draw.normal(size=shape), draw.normal(size=units)
        gamma, beta = draw.uniform(0.5, 2, units), draw.normal(size=units)
        mean, variance = draw.normal(size=units), draw.uniform(0.2, 3, units)
        cases.append((kernel, bias if with_bias else None, gamma, beta, mean, variance, eps))
    square = [case for case in cases if case[0].shape[0] == case[0].shape[1]]
    read = _arrays(2, ("kernel", "bias"))
    agree(answer, folding.fold, square, read=read, mistakes=folding.FOLD_MISTAKES)
    agree(answer, folding.fold, cases, read=read, mistakes=folding.FOLD_MISTAKES)
