"""Checks of exercise 01: vanishing and exploding gradients.

Everything is written once more, apart from `coursekit.scratch` and `coursekit.analysis.layers`: a
check that shared code with what it checks would share its mistakes.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from coursekit.checks._ex01_gradient_norms import add_gradient_norms
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.function import function
from coursekit.checks.kit.values import array

TASKS = TaskList(1, "Vanishing and exploding gradients")


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_slope(z):
    return np.exp(-z) / (1 + np.exp(-z)) ** 2


function(
    TASKS, sigmoid_slope, title="The slope of the sigmoid", read=array,
    cases=[(rng("slope").normal(0, 2.5, shape),) for shape in ((6,), (3, 4), (2, 3, 2))],
    edges={"Far from 0, where the sigmoid is saturated, your slope is not close to 0.":
           [(np.array([-30.0, -18.0, 18.0, 30.0]),)]},
    hints=(
        "Compute the sigmoid first and keep it: its derivative can be written with it alone.",
        "The derivative is a product of two factors: the sigmoid, and what it lacks to 1.",
    ),
    mistakes={
        "That is the sigmoid itself; its derivative is wanted.": sigmoid,
        "You use `z` as if it were the sigmoid's output already.": lambda z: z * (1 - z),
        "That is the derivative of tanh.": lambda z: 1 - np.tanh(z) ** 2,
        "The sign is wrong: the sigmoid rises everywhere.": lambda z: -sigmoid_slope(z),
        "The sigmoid is in it, but one of the two factors is missing.": lambda z: 1 - sigmoid(z),
        "You square the sigmoid; the second factor is another one.": lambda z: sigmoid(z) ** 2,
        "The sigmoid is applied twice, one in the other.": lambda z: sigmoid_slope(sigmoid(z)),
        "That is the square of the derivative.": lambda z: sigmoid_slope(z) ** 2,
    },
)  # fmt: skip


def slope_bound(weights):
    """Return the largest absolute derivative of a chain of sigmoids, one unit a layer."""
    return float(np.exp(np.sum(np.log(np.abs(weights)) - np.log(4))))


function(
    TASKS, slope_bound, title="What a chain lets through",
    cases=[([2.5, -3.1, -1.2],), ([-0.5, 5.25, 3.3, -1.75, 2.0],), ([6.5, 7.2],), ([-3.4],),
           ([9.1, -12.3, 5.6, 8.0, -4.4, 6.1, 7.7],)],
    hints=(
        "By the chain rule the derivative is a product: each layer contributes its weight times "
        "the slope of its sigmoid. You know how large the slope can be at most.",
        "`np.abs` of a list gives an array, `np.prod` multiplies all of its elements.",
    ),
    mistakes={
        "The sign of a weight counts; take absolute values.": lambda w: np.prod(np.array(w) / 4),
        "Your bound stops at 1; with large weights it is larger.": lambda w: min(1, slope_bound(w)),
        "The weights have no effect: you count the sigmoids alone.": lambda w: 0.25 ** len(w),
        "The sigmoids have no effect, as if every slope were 1, which is the steepest of tanh. The "
        "sigmoid is flatter.": lambda w: np.prod(np.abs(w)),
        "You count one sigmoid; there is one in every layer.": lambda w: np.prod(np.abs(w)) / 4,
        "You add the layers up; changes multiply.": lambda w: np.sum(np.abs(w)) / 4,
        "You take 1/2, the sigmoid's value, for its slope.": lambda w: np.prod(np.abs(w) / 2),
        "One sigmoid too few: the last layer has one, too.": lambda w: 4 * slope_bound(w),
        "Only the largest weight counts in your bound.": lambda w: (np.abs(w).max() / 4) ** len(w),
    },
)  # fmt: skip


def _outputs(x, kernels, f):
    return [x := f(np.dot(x, kernel)) for kernel in kernels]


def _row(out, ddof=0):
    return [out.mean(), out.std(ddof=ddof), out.std(axis=0, ddof=ddof).mean()]


def layer_statistics(x, kernels, activation):
    """Return mean, std and response of every layer's outputs, (layers, 3)."""
    return np.array([_row(out) for out in _outputs(x, kernels, activation)])


def _with(row: Callable[[np.ndarray], list[float]]) -> Callable[..., np.ndarray]:
    return lambda x, kernels, f: np.array([row(out) for out in _outputs(x, kernels, f)])


def _third(response: Callable[[np.ndarray], float]) -> Callable[..., np.ndarray]:
    return _with(lambda out: [out.mean(), out.std(), response(out)])


def _of_sums(x, kernels, f):
    below = [x, *_outputs(x, kernels, f)[:-1]]
    return np.array([_row(a @ kernel) for a, kernel in zip(below, kernels, strict=True)])


def _net(name: str, widths: tuple[int, ...], activation: Any, samples: int = 7) -> tuple[Any, ...]:
    draw = rng(name)
    kernels = [draw.normal(0.3, 1.0, shape) for shape in pairwise(widths)]
    return draw.normal(0.5, 1.0, (samples, widths[0])), kernels, activation


function(
    TASKS, layer_statistics, title="Layer statistics", names=("mean", "std", "response"),
    read=lambda value: array(value, shape=(None, 3)),
    cases=[_net("a", (5,) * 5, np.tanh), _net("b", (5,) * 5, sigmoid),
           _net("c", (6, 6, 6), np.tanh, samples=9)],
    edges={"For layers of different width it goes wrong.":
           [_net("d", (4, 8, 3), np.tanh), _net("e", (3, 6), sigmoid, samples=5)]},
    hints=(
        "One loop over the kernels. In it: the layer's outputs from the layer below, then three "
        "numbers, then on to the next with the outputs as inputs.",
        "`out.std(axis=0)` is the std down each column of `out`. Do the columns belong to units or "
        "to inputs?",
        "Collect the rows in a list; `np.array(rows)` has the shape asked for.",
    ),
    mistakes={
        "The activation is never applied: your layers are linear.":
            lambda x, ks, f: layer_statistics(x, ks, lambda z: z),
        "Your numbers describe the pre-activations; the outputs are asked for.": _of_sums,
        "Every layer gets the net's inputs; it should get the outputs of the layer below.":
            lambda x, ks, f: np.array([_row(f(x @ kernel)) for kernel in ks]),
        "There is a row for the inputs; only the layers' outputs have one.":
            lambda x, ks, f: np.array([_row(x), *layer_statistics(x, ks, f)]),
        "The first layer must come first.": lambda x, ks, f: layer_statistics(x, ks, f)[::-1],
        "The third number goes along the wrong axis: for each unit over the inputs, not for each "
        "input over the units.": _third(lambda out: out.std(axis=1).mean()),
        "The third number is the std of the units' means; first the std of each unit, then the "
        "mean.": _third(lambda out: out.mean(axis=0).std()),
        "The third number is the std of the means over the units; first the std of each unit over "
        "the inputs, then the mean.": _third(lambda out: out.mean(axis=1).std()),
        "Second and third number have changed places.":
            lambda x, ks, f: layer_statistics(x, ks, f)[:, [0, 2, 1]],
        "These are variances; the std is their root.":
            _with(lambda out: [out.mean(), out.var(), out.var(axis=0).mean()]),
        "You divide by n − 1; here the std divides by n.": _with(lambda out: _row(out, ddof=1)),
        "The kernels are transposed: rows belong to inputs, columns to units.":
            lambda x, ks, f: layer_statistics(x, [kernel.T for kernel in ks], f),
    },
)  # fmt: skip


add_gradient_norms(TASKS)


def relu(z):
    return np.maximum(z, 0)


def leaky_relu(z):
    return np.where(z > 0, z, 0.3 * z)


def line(z):
    return 0.4 * z + 1


def _moment(f, of=np.square):
    """Return the mean of `of(f(z))` for standard normal z, by the trapezoidal rule."""
    z = np.linspace(-10, 10, 20_001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return float(np.sum(of(np.asarray(f(z), dtype=float)) * density) * (z[1] - z[0]))


def keep_std(activation, fan_in):
    """Return the std of the weights that gives the next pre-activations variance 1."""
    return (fan_in * _moment(activation)) ** -0.5


function(
    TASKS, keep_std, title="The std that keeps the variance", rtol=0.03,
    cases=[(relu, 50), (sigmoid, 40), (leaky_relu, 90)],
    edges={"For an activation whose mean is 0 it goes wrong.": [(np.tanh, 60), (line, 20)]},
    hints=(
        "Draw standard normal numbers, send them through the activation, average the squares.",
        "Set the variance in the formula of the task to 1 and solve for Var(w). What is asked for "
        "is the root of that.",
    ),
    mistakes={
        "You take the variance of the outputs. Their mean counts too: the weights multiply the "
        "outputs themselves, not their distance from the mean.":
            lambda f, n: (n * (_moment(f) - _moment(f, np.asarray) ** 2)) ** -0.5,
        "That is the variance of the weights; a std is wanted.": lambda f, n: keep_std(f, n) ** 2,
        "The activation has no effect.": lambda f, n: n**-0.5,
        "The number of inputs has no effect.": lambda f, n: keep_std(f, 1),
        "That is what weights of std 1 do; undo it.": lambda f, n: 1 / keep_std(f, n),
        "That is the variance of the pre-activations for weights of std 1: divide by it, and take "
        "the root.": lambda f, n: n * _moment(f),
        "The root belongs over `fan_in` as well.": lambda f, n: 1 / (n * _moment(f) ** 0.5),
        "The root belongs over the mean square as well.": lambda f, n: 1 / (n**0.5 * _moment(f)),
        "You average absolute outputs; squares come first, then the mean.":
            lambda f, n: 1 / (n**0.5 * _moment(f, np.abs)),
        "You square the mean; take the mean of the squares.":
            lambda f, n: 1 / (n**0.5 * abs(_moment(f, np.asarray))),
        "The mean square is on the wrong side.": lambda f, n: (_moment(f) / n) ** 0.5,
        "Your numbers lie evenly between 0 and 1; draw standard normal ones.":
            lambda f, n: (n * np.mean(f(np.linspace(0, 1, 10_001)) ** 2)) ** -0.5,
    },
)  # fmt: skip
