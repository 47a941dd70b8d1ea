"""What exercise 01 asks for, right and wrong, in NumPy.

Written once more, apart from `coursekit.scratch` and `coursekit.analysis.layers`: a check that
shared code with what it checks would share its mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Activation = Callable[[np.ndarray], np.ndarray]


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Logistic sigmoid."""
    return 1 / (1 + np.exp(-z))


def slope(z: np.ndarray) -> np.ndarray:
    """Derivative of the logistic sigmoid."""
    return np.exp(-z) / (1 + np.exp(-z)) ** 2


SLOPE_MISTAKES: dict[str, Callable[..., np.ndarray]] = {
    "That is the sigmoid itself; its derivative is wanted.": sigmoid,
    "You use `z` as if it were the sigmoid's output already.": lambda z: z * (1 - z),
    "That is the derivative of tanh.": lambda z: 1 - np.tanh(z) ** 2,
    "The sign is wrong: the sigmoid rises everywhere.": lambda z: -slope(z),
    "The sigmoid is in it, but one of the two factors is missing.": lambda z: 1 - sigmoid(z),
    "You square the sigmoid; the second factor is another one.": lambda z: sigmoid(z) ** 2,
    "The sigmoid is applied twice: to `z`, and again to the result.": lambda z: slope(sigmoid(z)),
    "That is the square of the derivative.": lambda z: slope(z) ** 2,
}


def bound(weights: Sequence[float]) -> float:
    """Largest absolute derivative of a chain of sigmoids, one unit a layer."""
    return float(np.exp(np.sum(np.log(np.abs(weights)) - np.log(4))))


BOUND_MISTAKES: dict[str, Callable[..., float]] = {
    "The sign of a weight counts in your bound; an absolute value is wanted.": (
        lambda w: np.prod(np.array(w) / 4)
    ),
    "The weights have no effect: you count the sigmoids alone.": lambda w: 0.25 ** len(w),
    "The sigmoids have no effect: you multiply the weights alone, as if every slope were 1, which "
    "is the steepest of tanh. The sigmoid is flatter.": lambda w: np.prod(np.abs(w)),
    "The slope of the sigmoid counts only once; there is a sigmoid in every layer.": (
        lambda w: np.prod(np.abs(w)) / 4
    ),
    "You add the layers up; changes multiply from layer to layer.": lambda w: np.sum(np.abs(w)) / 4,
    "You take 1/2, the sigmoid's value at 0, for its slope there.": (
        lambda w: np.prod(np.abs(w) / 2)
    ),
    "One sigmoid too few: the last layer has one, too.": (
        lambda w: np.prod(np.abs(w)) / 4 ** (len(w) - 1)
    ),
    "Only the largest weight counts in your bound.": lambda w: (np.max(np.abs(w)) / 4) ** len(w),
}


def outputs(x: np.ndarray, kernels: Sequence[np.ndarray], f: Activation) -> list[np.ndarray]:
    """Outputs of every layer, without biases."""
    found = []
    for kernel in kernels:
        x = f(np.dot(x, kernel))
        found.append(x)
    return found


def _row(out: np.ndarray, ddof: int = 0) -> list[float]:
    response = np.mean([np.std(unit, ddof=ddof) for unit in out.T])
    return [float(np.mean(out)), float(np.std(out, ddof=ddof)), float(response)]


def statistics(x: np.ndarray, kernels: Sequence[np.ndarray], activation: Activation) -> np.ndarray:
    """Mean, std and response of every layer's outputs, (layers, 3)."""
    return np.array([_row(out) for out in outputs(x, kernels, activation)])


def _of_sums(x: np.ndarray, kernels: Sequence[np.ndarray], f: Activation) -> np.ndarray:
    below = [x, *outputs(x, kernels, f)[:-1]]
    return np.array([_row(a @ W) for a, W in zip(below, kernels, strict=True)])


def _of(row: Callable[[np.ndarray], list[float]]) -> Callable[..., np.ndarray]:
    return lambda x, kernels, f: np.array([row(out) for out in outputs(x, kernels, f)])


STATISTICS_MISTAKES: dict[str, Callable[..., np.ndarray]] = {
    "The activation is never applied: your layers are linear.": (
        lambda x, k, f: statistics(x, k, lambda z: z)
    ),
    "Your numbers describe the sums, before the activation; the outputs are asked for.": _of_sums,
    "Every layer gets the net's inputs; it should get the outputs of the layer below.": (
        lambda x, k, f: np.array([_row(f(x @ W)) for W in k])
    ),
    "There is a row for the inputs; only the layers' outputs have one.": (
        lambda x, k, f: np.array([_row(x), *statistics(x, k, f)])
    ),
    "The rows are in the wrong order: the first layer comes first.": (
        lambda x, k, f: statistics(x, k, f)[::-1]
    ),
    "The third number goes along the wrong axis: for each unit over the inputs, not for each input "
    "over the units.": _of(lambda out: [out.mean(), out.std(), out.std(axis=1).mean()]),
    "The third number is the std of the units' means; first the std of each unit, then the mean.": (
        _of(lambda out: [out.mean(), out.std(), out.mean(axis=0).std()])
    ),
    "The third number is the std of the means over the units; first the std of each unit over the "
    "inputs, then the mean.": _of(lambda out: [out.mean(), out.std(), out.mean(axis=1).std()]),
    "Second and third number have changed places.": lambda x, k, f: statistics(x, k, f)[
        :, [0, 2, 1]
    ],
    "These are variances; the std is their root.": (
        _of(lambda out: [out.mean(), out.var(), out.var(axis=0).mean()])
    ),
    "You divide by n − 1; here the std divides by n, as `np.std` does.": (
        _of(lambda out: _row(out, ddof=1))
    ),
    "The kernels are transposed: rows belong to inputs, columns to units.": (
        lambda x, k, f: statistics(x, [W.T for W in k], f)
    ),
}


def moment(f: Activation, of: Callable[[np.ndarray], np.ndarray]) -> float:
    """Mean of `of(f(z))` for standard normal z, by the trapezoidal rule."""
    z = np.linspace(-10, 10, 20_001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return float(np.sum(of(np.asarray(f(z), dtype=float)) * density) * (z[1] - z[0]))


def keep(activation: Activation, n: int) -> float:
    """Std of the weights that gives the next sums variance 1."""
    return (n * moment(activation, np.square)) ** -0.5


def _variance(f: Activation) -> float:
    return moment(f, np.square) - moment(f, lambda x: x) ** 2


KEEP_MISTAKES: dict[str, Callable[..., float]] = {
    "You take the variance of the outputs. Their mean counts too: the weights multiply the outputs "
    "themselves, not their distance from the mean.": lambda f, n: (n * _variance(f)) ** -0.5,
    "That is the variance of the weights; their std is wanted.": lambda f, n: keep(f, n) ** 2,
    "The activation has no effect: your std is right only where it changes nothing.": (
        lambda f, n: n**-0.5
    ),
    "The number of inputs has no effect.": lambda f, n: moment(f, np.square) ** -0.5,
    "That is the factor by which the std changes for weights of std 1; the weights must undo it.": (
        lambda f, n: 1 / keep(f, n)
    ),
    "That is the variance of the sums for weights of std 1; the weights must undo it, and a std is "
    "a root.": lambda f, n: n * moment(f, np.square),
    "The root goes over the mean square only; it belongs over `n` as well.": (
        lambda f, n: 1 / (n * moment(f, np.square) ** 0.5)
    ),
    "The root goes over `n` only; it belongs over the mean square as well.": (
        lambda f, n: 1 / (n**0.5 * moment(f, np.square))
    ),
    "You take the mean of the absolute outputs; squares come first, then the mean.": (
        lambda f, n: 1 / (n**0.5 * moment(f, np.abs))
    ),
    "The mean square is on the wrong side: an activation that shrinks needs larger weights.": (
        lambda f, n: (moment(f, np.square) / n) ** 0.5
    ),
}
