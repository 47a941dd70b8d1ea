"""Checks of exercise 02: weight initialisation.

Weights are judged by what is drawn, never by an object's settings; the checks that need Keras are
in modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks._ex02_repair import check_different_units, check_repair
from coursekit.checks._ex02_weights import check_he_avg_dense, check_named
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.kit.compare import agree, rng

TASKS = TaskList(2, "Weight initialisation")


def _variance(scale: float, mode: str, fan_in: int, fan_out: int) -> float:
    return scale / {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]


def _limit(scale: float, mode: str, fan_in: int, fan_out: int) -> float:
    return float(np.sqrt(3 * _variance(scale, mode, fan_in, fan_out)))


_LIMIT_MISTAKES: dict[str, Callable[..., float]] = {
    "That is the standard deviation; the limit of a uniform distribution lies further out.": (
        lambda s, m, i, o: np.sqrt(_variance(s, m, i, o))
    ),
    "The root is missing.": lambda s, m, i, o: 3 * _variance(s, m, i, o),
    "Only a part is under the root; it goes over the whole product.": (
        lambda s, m, i, o: 3 * np.sqrt(_variance(s, m, i, o))
    ),
    "The variance itself must be under the root, too.": (
        lambda s, m, i, o: np.sqrt(3) * _variance(s, m, i, o)
    ),
    "That is the whole width of the interval; the limit is half of it.": (
        lambda s, m, i, o: np.sqrt(12 * _variance(s, m, i, o))
    ),
    "You divide by 3 where you must multiply: the variance is r²/3, and you want r.": (
        lambda s, m, i, o: np.sqrt(_variance(s, m, i, o) / 3)
    ),
    "The result does not depend on the scale.": lambda s, m, i, o: _limit(1, m, i, o),
    "The mode has no effect: you always take fan_in.": lambda s, m, i, o: _limit(s, "fan_in", i, o),
    "The mode has no effect: you always take fan_avg.": (
        lambda s, m, i, o: _limit(s, "fan_avg", i, o)
    ),
    "For fan_avg you take the sum of the two fans, not their mean.": (
        lambda s, m, i, o: _limit(s, m, i, o) / (np.sqrt(2) if m == "fan_avg" else 1)
    ),
    "fan_in and fan_out have changed places.": lambda s, m, i, o: _limit(s, m, o, i),
}


@TASKS.task(
    "The limit of the uniform distribution",
    hints=(
        "First the fan, then the variance scale/fan, then the limit. `(fan_in + fan_out) / 2` is "
        "the fan for one of the modes.",
        "The variance of a uniform distribution from −r to r is r²/3. Solve for r.",
    ),
)
def uniform_limit(answer: Any) -> None:
    """√(3 · scale / fan) as a function (scale, mode, fan_in, fan_out)."""
    draw = rng("uniform_limit")
    cases = [
        (scale, mode, int(draw.integers(20, 400)), int(draw.integers(500, 900)))
        for scale in (1.0, 2.0, 0.5)
        for mode in ("fan_in", "fan_out", "fan_avg")
        for _ in range(2)
    ]
    agree(answer, _limit, cases, mistakes=_LIMIT_MISTAKES)


@TASKS.task(
    "Three names, one class",
    hints=(
        "Three things to decide for each name: the scale (1 or 2), the mode (which fan), the "
        "distribution. The table above has the first two.",
        "A dict from name to the three parameters keeps it short; `VarianceScaling(*parameters)` "
        "makes the object.",
        "Keras calls the bell that is cut off `'truncated_normal'`, and it is the one that the "
        "ready-made initialisers use.",
    ),
)
def named_initializer(answer: Any) -> None:
    """A VarianceScaling object as a function of one of six names."""
    check_named(answer)


@TASKS.task(
    "He with fan_avg, uniform",
    hints=(
        "Keras has no ready-made name for it: write `VarianceScaling` with the three parameters.",
        "The layer is a `keras.layers.Dense`; `activation` and `kernel_initializer` are its "
        "arguments. He's scale stays what it is, only the fan changes.",
    ),
)
def he_avg_dense(answer: Any) -> None:
    """A dense ReLU layer, not yet built, as a function of its number of units."""
    check_he_avg_dense(answer)


def _relu(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0)


def _leaky(z: np.ndarray) -> np.ndarray:
    return np.where(z > 0, z, 0.3 * z)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def _shrunk(z: np.ndarray) -> np.ndarray:
    return 0.4 * z


def _moments(function: Callable, what: Callable[[np.ndarray], np.ndarray] = np.asarray) -> float:
    """Return the mean of `what(function(z))`, z standard normal, by the trapezoidal rule."""
    z = np.linspace(-10, 10, 20_001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return float(np.sum(what(np.asarray(function(z))) * density) * (z[1] - z[0]))


def _scale(function: Callable) -> float:
    return 1 / _moments(function, np.square)


def _spread(function: Callable) -> float:
    return _moments(function, np.square) - _moments(function) ** 2


_SCALE_MISTAKES: dict[str, Callable[..., float]] = {
    "You take the variance of the outputs. The next layer multiplies the outputs themselves, not "
    "their distance from the mean.": lambda f: 1 / _spread(f),
    "That is how much the activation leaves; the scale must make up for it.": (
        lambda f: _moments(f, np.square)
    ),
    "That makes up for the root of the mean square; a scale multiplies a variance.": (
        lambda f: _scale(f) ** 0.5
    ),
    "You take the mean of the absolute outputs; squares come first, then the mean.": (
        lambda f: 1 / _moments(f, np.abs)
    ),
}


@TASKS.task(
    "The scale of any activation",
    hints=(
        "Four steps: draw a million standard normal numbers, send them through the activation, "
        "take the mean of the squares, and ask what brings it back to 1.",
        "`np.random.default_rng().standard_normal(1_000_000)` draws. For ReLU your result should "
        "come out close to the scale you know from He.",
    ),
)
def simulated_scale(answer: Any) -> None:
    """1 / mean square of the activation of N(0, 1), within 2%."""
    functions = [_relu, _leaky, np.tanh, _sigmoid, _shrunk]
    agree(
        answer,
        _scale,
        [(function,) for function in functions],
        mistakes=_SCALE_MISTAKES,
        otherwise="The scale is off by more than 2% for at least one of five activations: ReLU, "
        "leaky ReLU, tanh, sigmoid, and 0.4 z. Are the inputs standard normal, and a million?",
        rtol=0.02,
    )


@TASKS.task(
    "Count the different units",
    hints=(
        "A unit is a column of the kernel. Keep a list of those seen so far, and add a column if "
        "it is like none of them.",
        "`np.allclose(a, b, rtol=0, atol=1e-5)` says whether two columns are alike up to rounding; "
        "`kernel.T` lets you loop over columns.",
    ),
)
def different_units(answer: Any) -> None:
    """Number of different columns as a function of the kernel."""
    check_different_units(answer)


@TASKS.task(
    "Repair a net of twins",
    seconds=180.0,
    hints=(
        "Loop over the layers that have a kernel; `layer.set_weights([kernel, bias])` puts new "
        "numbers in. `layer.kernel.shape` says which shape they must have.",
        "`keras.initializers.HeNormal()(shape)` draws a kernel. Make the object inside the loop: "
        "one object gives the same numbers at each call.",
        "The last layer with a kernel is the output; it ends in softmax. Look its initialiser up "
        "in the table.",
    ),
)
def repair(answer: Any) -> None:
    """New weights in place, as a function of a built model."""
    check_repair(answer)
