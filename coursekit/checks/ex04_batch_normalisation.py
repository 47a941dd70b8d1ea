"""Checks of exercise 04: batch normalisation.

The formulas are written once more, apart from `coursekit.scratch` and `coursekit.nets.folding`. In
a table x is a batch, g its γ, b its β, e its ε, d the gradient of the output, m and v the moving
averages; k is a kernel and c the bias of the dense layer. The block is in `_ex04_block`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks import _ex04_training as bn
from coursekit.checks._ex04_block import block, look_at_block
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.kit.behaviour import behaviour
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.function import function
from coursekit.checks.kit.values import array, number, parts

Wrong_ = Callable[..., Any]
TASKS = TaskList(4, "Batch normalisation")


function(
    TASKS, bn.batch_norm, title="Forward, in training", cases=bn.batches, read=array,
    hints=(
        "`x.mean(axis=0)` goes through the samples and leaves one number for each column; "
        "`x.var(axis=0)` likewise.",
        "One line each for mean, variance, x̂ and y. NumPy stretches a row of numbers over all "
        "samples by itself, so no loop is needed.",
        "`np.sqrt` gets variance and `epsilon` together.",
    ),
    edges={
        "A column that is constant in the batch must come out as β.":
            [(np.full((4, 2), 7.0), np.array([2.0, 3.0]), np.array([1.0, -1.0]), 0.01)],
        "With a batch of a single sample it goes wrong.":
            [(np.array([[3.0, -2.0]]), np.array([2.0, 3.0]), np.array([1.0, -1.0]), 0.01)],
    },
    mistakes=bn.BATCH_NORM,
)  # fmt: skip

function(
    TASKS, bn.backward, title="Backward", read=parts("d_x", "d_gamma", "d_beta"),
    names=("d_x", "d_gamma", "d_beta"),
    cases=lambda: [(rng("grad").normal(0.3, 1.0, x.shape), x, *rest[::2])
                   for x, *rest in bn.batches()],
    hints=(
        "Compute x̂ and the standard deviation once more from `x`, as in task 1. Then `d_beta` and "
        "`d_gamma` are one line each.",
        "A bar means `.mean(axis=0)`. In the formula for `d_x` there are two of them: of g, and of "
        "g times x̂.",
        "`(grad * x_hat).mean(axis=0)` is the second; it multiplies x̂ before it is subtracted.",
    ),
    mistakes=bn.BACKWARD,
)  # fmt: skip

function(
    TASKS, bn.moving_averages, title="The moving averages", cases=bn.logs,
    read=parts("moving mean", "moving variance"), names=("moving mean", "moving variance"),
    hints=(
        "Two arrays to start with: `np.zeros` and `np.ones`, as long as a sample has features. "
        "Then a loop over the batches.",
        "Each batch makes one update of both: the old average times `momentum`, plus the batch's "
        "own value times what is left to 1.",
    ),
    edges={"With one batch of one sample it goes wrong.": [([np.array([[1.0, 5.0]])], 0.8)]},
    mistakes=bn.MOVING,
)  # fmt: skip


def predict(x, gamma, beta, moving_mean, moving_variance, epsilon):
    """Normalise by the moving averages, then scale and shift."""
    return gamma * (x - moving_mean) / np.sqrt(moving_variance + epsilon) + beta


def _with_averages() -> list[tuple[Any, ...]]:
    draw = rng("averages")
    return [(x, g, b, draw.normal(1, 1, len(g)), draw.uniform(0.2, 3, len(g)), e)
            for x, g, b, e in bn.batches()]  # fmt: skip


function(
    TASKS, predict, title="Forward, at prediction", cases=_with_averages, read=array,
    hints=(
        "The same two equations, but mean and variance are given. Nothing is measured on `x`.",
        "A batch of one image must get the same answer as that image among others.",
    ),
    edges={"For a single sample it goes wrong.":
           lambda: [(x[:1], *rest) for x, *rest in _with_averages()]},
    mistakes={
        "You normalise by the batch's own statistics. At prediction an answer must not depend on "
        "who else asks: use the moving averages.":
            lambda x, g, b, m, v, e: bn.batch_norm(x, g, b, e),
        "The mean of the batch is subtracted; at prediction it is the moving mean.":
            lambda x, g, b, m, v, e: predict(x, g, b, x.mean(0), v, e),
        "You divide by the batch's standard deviation; at prediction it comes from the moving "
        "variance.": lambda x, g, b, m, v, e: predict(x, g, b, m, x.var(0), e),
        bn.NO_EPSILON: lambda x, g, b, m, v, e: predict(x, g, b, m, v, 0.0),
        bn.OUTSIDE: lambda x, g, b, m, v, e: g * (x - m) / (np.sqrt(v) + e) + b,
        bn.NO_ROOT: lambda x, g, b, m, v, e: g * (x - m) / (v + e) + b,
        "You divide by the moving variance squared: it is no standard deviation.":
            lambda x, g, b, m, v, e: predict(x, g, b, m, v**2, e),
        "The moving mean is not subtracted.": lambda x, g, b, m, v, e: predict(x, g, b, 0, v, e),
        bn.NO_EFFECT: lambda x, g, b, m, v, e: predict(x, 1, 0, m, v, e),
        bn.NO_GAMMA: lambda x, g, b, m, v, e: predict(x, 1, b, m, v, e),
        bn.NO_BETA: lambda x, g, b, m, v, e: predict(x, g, 0, m, v, e),
        bn.SWAPPED: lambda x, g, b, m, v, e: predict(x, b, g, m, v, e),
        bn.BETA_FIRST: lambda x, g, b, m, v, e: g * predict(x, 1, b, m, v, e),
    },
)  # fmt: skip


def _axes(axis: int | list[int]) -> list[int]:
    return [axis] if isinstance(axis, int) else axis


def count_parameters(input_shape, axis=-1):
    """All parameters of the layer for inputs of this shape, and those that are trained."""
    n = math.prod(input_shape[a] for a in _axes(axis))
    return 4 * n, 2 * n


def _counting(places: Wrong_, every: int = 4, trained: int = 2) -> Wrong_:
    return lambda shape, axis=-1: (every * places(shape, axis), trained * places(shape, axis))


def _places(shape: tuple[int | None, ...], axis: int | list[int]) -> int:
    return math.prod(shape[a] for a in _axes(axis))


def _others(shape: tuple[int | None, ...], axis: int | list[int]) -> int:
    kept = {a % len(shape) for a in _axes(axis)}
    return math.prod(n for i, n in enumerate(shape) if i and i not in kept)


function(
    TASKS, count_parameters, title="The axis puzzle", read=parts("all", "trained", read=number),
    names=("all", "trained"),
    cases=[((None, 9, 11, 5), 1), ((None, 30), -1), ((None, 12, 17), 2), ((None, 12, 17), 1),
           ((None, 9, 11, 5), -2), ((None, 12, 17), [1, 2]), ((None, 9, 11, 5), [1, 3]),
           ((None, 9, 11, 5), [-3, -2]), ((None, 9, 11, 5), [2]), ((None, 4, 6, 5), [1, 2, 3])],
    hints=(
        "How many places are there along the kept axis? With several axes the places form a grid.",
        "Every place has a mean, and each of the layer's vectors one number for it. How many "
        "vectors are there, and how many of them does the gradient train?",
        "`isinstance(axis, int)` tells the two cases apart; `shape[-1]` works for negative numbers "
        "without further ado.",
    ),
    mistakes={
        "You multiply the axes that `axis` does *not* name. In Keras it names those that are kept "
        "(in NumPy those that go away).": _counting(_others),
        "Your first number counts two vectors for each mean. Which two has a layer besides those "
        "that the gradient trains?": _counting(_places, 2),
        "All parameters are trained in your count; which of the vectors are only estimated?":
            _counting(_places, 4, 4),
        "You count the means only; each has a variance, a scale and a shift.":
            _counting(_places, 1, 1),
        "The two numbers have changed places.": _counting(_places, 2, 4),
        "`axis` has no effect: it is always the last one.":
            _counting(lambda shape, axis: shape[-1]),
        "You count a mean for every value of a sample, whatever `axis` says.":
            _counting(lambda shape, axis: math.prod(shape[1:])),
        "Several axes make a grid of places: multiply their lengths, do not add them.":
            _counting(lambda shape, axis: sum(shape[a] for a in _axes(axis))),
        "Of several axes only the first counts in your function.":
            _counting(lambda shape, axis: shape[_axes(axis)[0]]),
        "Of several axes only the last counts in your function.":
            _counting(lambda shape, axis: shape[_axes(axis)[-1]]),
    },
)  # fmt: skip


@behaviour(
    TASKS, title="A block in Keras", seconds=180.0, rtol=1e-2,
    hints=(
        "Three layers, in the order: linear map, normalisation, activation. So the dense layer "
        "gets no activation of its own.",
        "`use_bias=False` leaves the bias out; `kernel_initializer='he_normal'` sets the spread.",
    ),
    right=block(),
    mistakes={
        "ReLU comes before the normalisation; here it comes last.": block("dense", "last", "norm"),
        "The dense layer has ReLU as its activation, before the normalisation; it comes last.":
            block("dense", "norm", activation="relu"),
        "ReLU stands in two places: in the dense layer, where it does harm, and at the end.":
            block(activation="relu"),
        "The block normalises its inputs, not its outputs: the linear map comes first.":
            block("norm", "dense", "last"),
        "The dense layer has a bias. The normalisation subtracts it again at once, so it learns "
        "nothing.": block(bias=True),
        "ReLU is missing: negative numbers come out.": block("dense", "norm"),
        "The block does not normalise.": block("dense", "last"),
        "The block has a bias, but does not normalise.": block("dense", "last", bias=True),
        "The block normalises twice.": block("dense", "norm", "norm", "last"),
        "That is layer normalisation: it normalises each sample, not each unit over the batch.":
            block("dense", "layer", "last"),
        "The scale γ is missing; leave it in.": block(scale=False),
        "The shift β is missing; leave it in: it says how many values ReLU cuts.":
            block(center=False),
        "The normalisation is frozen: it must use the batch in training, and γ and β must learn.":
            block(trainable=False),
        "The activation is not ReLU, but a sigmoid.": block(last="sigmoid"),
        "The activation is not ReLU, but tanh.": block(last="tanh"),
        "The starting weights are uniform; He's normal ones are wanted.": block(start="he_uniform"),
        "The spread of the starting weights is not He's. (Behind a normalisation it matters little "
        "for the output, but it sets how fast the weights turn.)": block(start="glorot_uniform"),
    },
)  # fmt: skip
def hidden_block(answer: Any) -> dict[str, Any]:
    """A list of new layers, normalised before ReLU, as a function (units)."""
    return look_at_block(answer)


def fold(kernel, bias, gamma, beta, moving_mean, moving_variance, epsilon):
    """Kernel and bias of the dense layer that does the work of both."""
    return _bias(lambda s, c, b, m: b + s * (c - m))(
        kernel, bias, gamma, beta, moving_mean, moving_variance, epsilon)  # fmt: skip


def _bias(formula: Wrong_) -> Wrong_:
    """Return folding with this bias, of s, c, β and the moving mean."""

    def wrong(k, c, g, b, m, v, e):
        s = g / np.sqrt(v + e)
        return k * s, formula(s, np.zeros_like(b) if c is None else c, b, m)

    return wrong


def _layers(*shapes: tuple[int, int]) -> list[tuple[Any, ...]]:
    draw, cases = rng(f"fold {shapes}"), []
    for i, (n, units) in enumerate(shapes):
        gamma = draw.uniform(0.5, 2, units) * draw.choice([-1, 1], units)
        kernel, (bias, beta, mean) = draw.normal(size=(n, units)), draw.normal(size=(3, units))
        cases.append((kernel, None if i == 1 else bias, gamma, beta, mean,
                      draw.uniform(0.2, 3, units), (0.1, 0.5, 0.02)[i]))  # fmt: skip
    return cases


function(
    TASKS, fold, title="Folding", read=parts("kernel", "bias"), names=("kernel", "bias"),
    cases=lambda: _layers((4, 4), (3, 3), (6, 6)),
    hints=(
        "First the scale of each unit, `s`: what does the normalisation multiply by at prediction?",
        "A kernel has shape (inputs, units). `kernel * s` scales its columns, since NumPy lines up "
        "the last axis.",
        "Follow the bias on its way: the dense layer adds it, the moving mean is subtracted, the "
        "scale multiplies both, β comes last. No bias is a bias of 0.",
    ),
    edges={"With a kernel that is not square it goes wrong.": lambda: _layers((7, 2), (3, 5))},
    mistakes={
        "You scale the rows of the kernel. A unit is a column, and `s` has one number for each "
        "unit.": lambda k, *rest: (fold(k.T, *rest)[0].T, fold(k, *rest)[1]),
        "The kernel is not scaled.": lambda k, *rest: (k, fold(k, *rest)[1]),
        bn.NO_EPSILON: lambda *case: fold(*case[:-1], 0.0),
        "The root is missing: `s` divides by the standard deviation, not by the variance.":
            lambda k, c, g, b, m, v, e: fold(k, c, g, b, m, (v + e) ** 2, 0.0),
        bn.OUTSIDE: lambda k, c, g, b, m, v, e: fold(k, c, g, b, m, (np.sqrt(v) + e) ** 2, 0.0),
        "`gamma` is missing from `s`.": lambda k, c, g, *rest: fold(k, c, np.ones_like(g), *rest),
        "The dense layer's own bias is lost.": lambda k, c, *rest: fold(k, None, *rest),
        "The moving mean does not appear in your bias.": _bias(lambda s, c, b, m: b + s * c),
        "The moving mean has the wrong sign: it is subtracted before the scaling.":
            _bias(lambda s, c, b, m: b + s * (c + m)),
        "The moving mean must be scaled by `s`, too.": _bias(lambda s, c, b, m: b + s * c - m),
        "The dense layer's bias passes through the normalisation, too: it must be scaled by `s`.":
            _bias(lambda s, c, b, m: b + c - s * m),
        "`beta` must not be scaled by `s`.": _bias(lambda s, c, b, m: s * (b + c - m)),
        "`beta` is missing from your bias.": _bias(lambda s, c, b, m: s * (c - m)),
    },
)  # fmt: skip
