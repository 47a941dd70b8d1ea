"""Checks of exercise 02: weight initialisation. What draws weights is judged in `_ex02_weights`."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks._ex02_weights import (
    check_he_avg_dense,
    check_named,
    check_repair,
    different_units,
    fan,
    layered,
    named,
    repairing,
)
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.function import function
from coursekit.checks.kit.values import whole

TASKS = TaskList(2, "Weight initialisation")


def uniform_limit(scale, mode, fan_in, fan_out):
    """Return r such that U(-r, r) has variance scale / fan."""
    return (3 * scale / fan((fan_in, fan_out), mode)) ** 0.5


function(
    TASKS, uniform_limit, title="The limit of the uniform distribution",
    cases=[(scale, mode, *fans) for scale in (1.0, 2.0, 0.5)
           for mode in ("fan_in", "fan_out", "fan_avg") for fans in ((35, 700), (410, 93))],
    hints=(
        "First the fan, then the variance scale/fan, then the limit. `(fan_in + fan_out) / 2` is "
        "the fan for one of the modes.",
        "The variance of a uniform distribution from −r to r is r²/3. Solve for r.",
    ),
    mistakes={
        "That is the standard deviation; the limit of a uniform distribution lies further out.":
            lambda s, m, i, o: uniform_limit(s / 3, m, i, o),
        "The root is missing.": lambda s, m, i, o: uniform_limit(s, m, i, o) ** 2,
        "Only a part is under the root; it goes over the whole product.":
            lambda s, m, i, o: uniform_limit(3 * s, m, i, o),
        "The variance itself must be under the root, too.":
            lambda s, m, i, o: 3**0.5 * s / fan((i, o), m),
        "That is the whole width of the interval; the limit is half of it.":
            lambda s, m, i, o: uniform_limit(4 * s, m, i, o),
        "You divide by 3 where you must multiply: the variance is r²/3, and you want r.":
            lambda s, m, i, o: uniform_limit(s / 9, m, i, o),
        "The result does not depend on the scale.": lambda s, m, i, o: uniform_limit(1, m, i, o),
        "The scale must be under the root.": lambda s, m, i, o: s * uniform_limit(1, m, i, o),
        "The mode has no effect: you always take fan_in.":
            lambda s, m, i, o: uniform_limit(s, "fan_in", i, o),
        "The mode has no effect: you always take fan_avg.":
            lambda s, m, i, o: uniform_limit(s, "fan_avg", i, o),
        "For fan_avg you take the sum of the two fans, not their mean.":
            lambda s, m, i, o: uniform_limit(s / 2 if m == "fan_avg" else s, m, i, o),
        "For fan_avg you round the mean of the two fans; it may end in a half.":
            lambda s, m, i, o: (3 * s / (fan((i, o), m) // 1)) ** 0.5,
        "fan_in and fan_out have changed places.": lambda s, m, i, o: uniform_limit(s, m, o, i),
    },
)  # fmt: skip


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
    right=named(),
    mistakes={
        "`glorot_normal`: a normal distribution is asked for; your weights are uniform.":
            named(lambda scale, mode, kind: (scale, mode, "uniform")),
        "`he_normal`: your weights have the variance of Glorot. Which scale and which fan belong "
        "here?": named(lambda scale, mode, kind: (1, "fan_avg", kind)),
    },
)  # fmt: skip
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
    right=layered(),
    mistakes={
        "Your layer: your weights have the variance of He. Which scale and which fan belong here?":
            layered(mode="fan_in"),
        "Your layer: a uniform distribution is asked for; your weights are normal.":
            layered(kind="truncated_normal"),
        "Your layer gives the pre-activations themselves: there is no activation.":
            layered(activation=None),
    },
)  # fmt: skip
def he_avg_dense(answer: Any) -> None:
    """A dense ReLU layer, not yet built, as a function of its number of units."""
    check_he_avg_dense(answer)


def relu(z):
    return np.maximum(z, 0)


def leaky_relu(z):
    return np.where(z > 0, z, 0.3 * z)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def shrink(z):
    return 0.4 * z


def _moment(f, of=np.square):
    """Return the mean of `of(f(z))`, z standard normal, by the trapezoidal rule."""
    z = np.linspace(-10, 10, 20_001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return float(np.sum(of(np.asarray(f(z))) * density) * (z[1] - z[0]))


def simulated_scale(activation):
    """Return 1 / E[f(z)²]."""
    return 1 / _moment(activation)


function(
    TASKS, simulated_scale, title="The scale of any activation", rtol=0.02,
    cases=[(relu,), (leaky_relu,), (sigmoid,)],
    edges={"For an activation whose mean is 0 it goes wrong.": [(np.tanh,), (shrink,)]},
    hints=(
        "Four steps: draw a million standard normal numbers, send them through the activation, "
        "take the mean of the squares, and ask what brings it back to 1.",
        "`np.random.default_rng().standard_normal(1_000_000)` draws. For ReLU your result should "
        "come out close to the scale you know from He.",
    ),
    mistakes={
        "You take the variance of the outputs. The next layer multiplies the outputs themselves, "
        "not their distance from the mean.": lambda f: 1 / (_moment(f) - _moment(f, np.array) ** 2),
        "That is how much the activation leaves; the scale must make up for it.": _moment,
        "That makes up for the root of the mean square; a scale multiplies a variance.":
            lambda f: _moment(f) ** -0.5,
        "You average absolute outputs; squares come first, then the mean.":
            lambda f: 1 / _moment(f, np.abs),
        "You square the mean; take the mean of the squares.":
            lambda f: 1 / _moment(f, np.asarray) ** 2,
        "Your numbers lie evenly between 0 and 1; draw standard normal ones.":
            lambda f: 1 / np.mean(f(np.linspace(0, 1, 10_001)) ** 2),
    },
)  # fmt: skip


def _grid(name, shape):
    return np.round(rng(name).uniform(-1, 1, shape), 2)


def _noisy(kernel, noise):
    return kernel + rng("noise").uniform(-noise, noise, kernel.shape)


_DISTINCT = _grid("distinct", (7, 12))
_PAIRS = _grid("pairs", (7, 5))[:, [0, 1, 2, 0, 3, 2, 4, 0]]


def _alike(close):
    """Return a mistake: units count as one if `close` says so of a column and one before it."""

    def count(kernel):
        kept = []
        for column in kernel.T:
            if not any(close(column, other) for other in kept):
                kept.append(column)
        return len(kept)

    return count


function(
    TASKS, different_units, title="Count the different units", read=whole,
    cases=[
        (_DISTINCT,), (np.full((5, 8), 0.2),), (_PAIRS,), (_DISTINCT[:, :1],),
        (_grid("rows", (1, 4)).repeat(6, axis=0),), (_DISTINCT[[0, 0, 0]],),
        (np.vstack([np.full(9, 0.5), _grid("below", (5, 9))]),),
        (np.stack([np.roll(_DISTINCT[:, 0], i) for i in range(5)], axis=1),),
    ],
    edges={"Right for units that are equal or far apart; near 1e-5 it goes wrong.": [
        (_noisy(_PAIRS, 1e-9),), (_noisy(_PAIRS + 0.000105, 4e-6),), (_noisy(_PAIRS / 9, 4e-6),),
        (_noisy(_PAIRS + 0.00015, 4e-6),), (5 + np.arange(6) * 2e-5 + np.zeros((3, 1)),),
    ]},
    hints=(
        "A unit is a column of the kernel. Keep a list of those seen so far, and add a column if "
        "it is like none of them.",
        "`np.allclose(a, b, rtol=0, atol=1e-5)` says whether two columns are alike up to rounding; "
        "`kernel.T` lets you loop over columns.",
    ),
    mistakes={
        "You count different rows. A unit is a column.": lambda kernel: different_units(kernel.T),
        "You compare the first weight only; units are alike if all are.":
            lambda kernel: different_units(kernel[:1]),
        "You compare sums or means; other weights can have the same sum.":
            lambda kernel: different_units(kernel.mean(axis=0, keepdims=True)),
        "You count the superfluous units, not the different ones.":
            lambda kernel: kernel.shape[1] - different_units(kernel),
        "You count different weights, not different units.":
            lambda kernel: different_units(kernel.reshape(1, -1)),
        "Twins that differ by rounding errors must count as one unit. Compare with a tolerance.":
            lambda kernel: np.unique(kernel, axis=1).shape[1],
        "Your tolerance grows with the weights: `np.allclose` has a relative one, too. Give it "
        "rtol=0.": _alike(lambda a, b: np.allclose(a, b, atol=1e-5)),
        "Your tolerance is relative, and nearly nothing for small weights. Give `np.allclose` "
        "rtol=0 and atol.": _alike(np.allclose),
        **{f"You round to {n} places: that parts twins on either side of a half, however close. "
           "Look at differences.": lambda kernel, n=n: np.unique(kernel.round(n), axis=1).shape[1]
           for n in (4, 5, 6)},
        "You compare each unit with the one before it only.":
            lambda kernel: 1 + (np.abs(np.diff(kernel)).max(axis=0) > 1e-5).sum(),
    },
)  # fmt: skip


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
    right=repairing(),
    mistakes={
        "After your repair some biases are not 0; they must be.": repairing(bias=0.1),
        "Output layer, before the softmax: your weights have the variance of He. Which scale and "
        "which fan belong here?": repairing(output="he_uniform"),
    },
)  # fmt: skip
def repair(answer: Any) -> None:
    """New weights in place, as a function of a built model."""
    check_repair(answer)
