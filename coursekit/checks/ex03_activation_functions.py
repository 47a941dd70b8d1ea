"""Checks of exercise 03: activation functions.

The functions are written once more, apart from `coursekit.scratch.activations`: a check that
shared code with what it checks would share its mistakes. The Keras layers are in `_ex03_layers`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from coursekit.checks._ex03_layers import add_layers
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.compare import agree, rng
from coursekit.checks.kit.function import function
from coursekit.checks.kit.values import array

TASKS = TaskList(3, "Activation functions")
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805


def _activation(
    right: Callable[..., Any],
    title: str,
    hints: tuple[str, ...],
    mistakes: dict[str, Callable[..., Any]],
    settings: tuple[float, ...] = (),
) -> None:
    """Add the task of a function of z and a setting; |z| to 10 shows a tail that is cut off."""

    def at(*values: Any) -> list[tuple[Any, ...]]:
        return [(z, s) for s in settings for z in values] if settings else [(z,) for z in values]

    def check(answer: Any) -> None:
        draw = rng(right.__name__)
        near = [draw.uniform(-10, 10, shape) for shape in ((9,), (4, 3), (2, 3, 4))]
        agree(answer, right, at(np.array([-0.5, 0.0, 0.5]), *near), read=array, mistakes=mistakes)
        far = at(np.array([-1000.0, -750.0, -40.0, 0.0, 40.0, 750.0, 1000.0]))
        try:
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                agree(answer, right, far, read=array,
                      otherwise="Right for moderate z, but far out it goes wrong.")  # fmt: skip
        except FloatingPointError as error:
            raise Wrong(
                "Right for moderate z, but for |z| up to 1000 there is trouble on the way "
                f"({error}). This holds for a branch of `np.where` that is thrown away, too."
            ) from None

    check.__name__ = check.__qualname__ = right.__name__
    TASKS.task(title, hints=hints, mistakes=mistakes)(check)


def leaky_relu(z, negative_slope):
    """Two half-lines, as the mean of a line and a V."""
    return (1 + negative_slope) / 2 * z + (1 - negative_slope) / 2 * np.abs(z)


_activation(
    leaky_relu, "LeakyReLU", settings=(0.07, 0.35, 0.6, 0.0, 1.0),
    hints=(
        "Two lines meet at 0: one is z itself, the other has a smaller slope. The larger value "
        "counts.",
        "`np.maximum` compares two arrays element by element.",
    ),
    mistakes={
        "The slope has the wrong sign below 0.": lambda z, a: leaky_relu(z, -a),
        "The slope acts on the positive side.": lambda z, a: -leaky_relu(-z, a),
        "Both sides have the small slope.": lambda z, a: a * z,
        "That is ReLU: below 0 the slope has no effect.": lambda z, a: np.maximum(z, 0),
        "Below 0 you give the slope alone; it multiplies z.": lambda z, a: np.where(z > 0, z, a),
        "The slope is no floor; it multiplies z.": lambda z, a: np.maximum(z, -a),
        "`negative_slope` has no effect: yours is always 0.01.": lambda z, a: leaky_relu(z, 0.01),
        "`negative_slope` has no effect: yours is always 0.2.": lambda z, a: leaky_relu(z, 0.2),
    },
)  # fmt: skip


def elu(z, alpha):
    """Return z above 0; below, an exponential that levels off at −alpha."""
    return np.maximum(z, 0) + alpha * special.expm1(np.minimum(z, 0))


_activation(
    elu, "ELU", settings=(0.6, 1.4, 2.5),
    hints=(
        "`np.where(condition, a, b)` takes from a where the condition holds, from b elsewhere.",
        "`np.expm1(x)` is exp(x) − 1, exact near 0.",
        "`np.where` computes both sides for all z. Let the exponential see no positive number: cut "
        "z with `np.minimum` first.",
    ),
    mistakes={
        "`alpha` has no effect: it works as if it were 1.": lambda z, a: elu(z, 1.0),
        "`alpha` must multiply the −1 as well.": lambda z, a: elu(z, a) + (a - 1) * (z <= 0),
        "The −1 is missing: at 0 both sides must meet.": lambda z, a: elu(z, a) + a * (z <= 0),
        "The lower side has the wrong sign.": lambda z, a: elu(z, -a),
        "The exponential is on both sides; above 0 the result is z.": lambda z, a: a * np.expm1(z),
        "`alpha` multiplies the positive side, too.": lambda z, a: a * elu(z, 1.0),
        "`alpha` belongs outside the exponential.": lambda z, a: elu(leaky_relu(z, a), 1.0),
        "Below 0 the exponent has the wrong sign.": lambda z, a: np.maximum(z, a * np.expm1(-z)),
        "The two sides have changed places.": lambda z, a: np.where(z <= 0, z, a * np.expm1(z)),
    },
)  # fmt: skip


def selu(z):
    """SCALE times ELU with ALPHA."""
    return SCALE * elu(z, ALPHA)


_activation(
    selu, "SELU",
    hints=(
        "ELU first, with the given α; then one multiplication.",
        "λ multiplies both sides, the positive one, too.",
    ),
    mistakes={
        "That is ELU with the right α; the factor λ is missing.": lambda z: elu(z, ALPHA),
        "λ must multiply the positive side, too.": lambda z: elu(z, SCALE * ALPHA),
        "λ must multiply the negative side, too.":
            lambda z: np.where(z > 0, SCALE * z, elu(z, ALPHA)),
        "α has no effect: it works as if it were 1.": lambda z: SCALE * elu(z, 1.0),
        "λ and α have changed places.": lambda z: ALPHA * elu(z, SCALE),
        "α multiplies the positive side, too.": lambda z: SCALE * ALPHA * elu(z, 1.0),
        "You divide by λ; multiply.": lambda z: elu(z, ALPHA) / SCALE,
    },
)  # fmt: skip


def gelu(z):
    """Return z times the standard normal distribution function."""
    return z * special.ndtr(z)


_activation(
    gelu, "GELU",
    hints=(
        "First Φ, then z times Φ.",
        "`special.erf` takes an array. Where does √2 go, and what does the ½ multiply?",
    ),
    mistakes={
        "That is the approximation by tanh: close, but not the exact form.":
            lambda z: z / 2 * (1 + np.tanh((2 / np.pi) ** 0.5 * (z + 0.044715 * z**3))),
        "That is Swish with β = 1.702: close, but an approximation.": lambda z: swish(z, 1.702),
        "That is Swish with β = 1.": lambda z: swish(z, 1.0),
        "That is Φ(z) alone; multiply it by z.": special.ndtr,
        "You take the density of z for Φ.": lambda z: z * np.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5,
        "Φ is the probability below z; you take the one above it.": lambda z: z * special.ndtr(-z),
        "The root of 2 is missing: erf takes z divided by it.": lambda z: gelu(z * 2**0.5) / 2**0.5,
        "You multiply by the root of 2 inside erf; divide by it.": lambda z: gelu(2 * z) / 2,
        "You divide by 2 inside erf, not by its root.": lambda z: z * special.ndtr(z / 2**0.5),
        "The root of 2 belongs inside erf.": lambda z: z * (1 + special.erf(z) / 2**0.5) / 2,
        "The factor ½ is missing.": lambda z: 2 * gelu(z),
        "The 1 inside the bracket is missing.": lambda z: gelu(z) - z / 2,
        "The ½ acts on a part only: a bracket is missing.": lambda z: gelu(z) + z / 2,
    },
)  # fmt: skip


def swish(z, beta):
    """Return z times the sigmoid of beta z, by way of tanh."""
    return z * _sigmoid(beta * z)


def _sigmoid(z):
    return (1 + np.tanh(z / 2)) / 2


_activation(
    swish, "Swish", settings=(0.4, 1.702, 3.0),
    hints=(
        "The sigmoid gets β times z; its result multiplies z.",
        "`special.expit(x)` is the sigmoid of x, and it overflows nowhere.",
    ),
    mistakes={
        "`beta` has no effect: it works as if it were 1.": lambda z, b: swish(z, 1.0),
        "That is the sigmoid alone; multiply it by z.": lambda z, b: _sigmoid(b * z),
        "`beta` belongs inside the sigmoid only.": lambda z, b: b * swish(z, b),
        "`beta` stands outside; it belongs inside the sigmoid.": lambda z, b: b * swish(z, 1.0),
        "The exponent has the wrong sign: large z must pass.": lambda z, b: swish(z, -b),
        "You divide by `beta` inside the sigmoid; multiply.": lambda z, b: swish(z, 1 / b),
        "`beta` is added inside the sigmoid; multiply.": lambda z, b: z * _sigmoid(z + b),
        "Only `beta` is inside the sigmoid; z must be there as well.": lambda z, b: z * _sigmoid(b),
        "That is tanh in place of the sigmoid.": lambda z, b: z * np.tanh(b * z),
    },
)  # fmt: skip


def mish(z):
    """Return z times tanh(softplus(z)), with softplus split at 0."""
    return z * np.tanh(_softplus(z))


def _softplus(z):
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


_activation(
    mish, "Mish",
    hints=(
        "From the inside: softplus of z, then tanh of that, then z times that.",
        "log(1 + e^z) is log(e^0 + e^z). NumPy has a function for the logarithm of a sum of two "
        "exponentials.",
        "`np.logaddexp(a, b)` is log(e^a + e^b), without computing either exponential.",
    ),
    mistakes={
        "The softplus is missing: tanh gets softplus(z), not z.": lambda z: z * np.tanh(z),
        "The tanh is missing.": lambda z: z * _softplus(z),
        "The factor z is missing.": lambda z: np.tanh(_softplus(z)),
        "tanh and softplus have changed places.": lambda z: z * _softplus(np.tanh(z)),
        "That is a sigmoid in place of tanh.": lambda z: z * _sigmoid(_softplus(z)),
        "That is Swish: the sigmoid of z in place of tanh(softplus(z)).": lambda z: swish(z, 1.0),
        "The sign of z in softplus is wrong.": lambda z: z * np.tanh(_softplus(-z)),
        "Softplus adds 1 before the logarithm; your 1 is outside.": lambda z: z * np.tanh(z + 1),
        "The factor is z, not the softplus.": lambda z: _softplus(z) * np.tanh(_softplus(z)),
    },
)  # fmt: skip


add_layers(TASKS)


def _batches(name: str, shapes: tuple[tuple[int, ...], ...], rate: float) -> tuple[Any, ...]:
    """Return ReLU outputs with some units dead, some silent in a batch, some alive once only."""
    draw = rng(name)
    units = shapes[0][-1]
    batches = [np.maximum(draw.normal(size=shape), 0) for shape in shapes]
    for k, batch in enumerate(batches):
        batch[draw.random(batch.shape) < rate] = 0
        batch[..., draw.permutation(units)[: units // 3]] = 0  # silent in this batch only
        batch[..., :3] = 0  # dead, but the third
        if k == 0:
            batch.reshape(-1, units)[-1, 2] = 1e-4  # speaks once, faintly
    return (batches,)


def _rows(batches):
    return np.concatenate([np.reshape(batch, (-1, batch.shape[-1])) for batch in batches])


def _silent(batches):
    """Return for each batch which units are 0 all over it."""
    return np.array([(_rows([batch]) == 0).all(axis=0) for batch in batches])


def count_dead(batches):
    """Count the places on the last axis that are 0 everywhere."""
    return int(np.sum(np.max(np.abs(_rows(batches)), axis=0) == 0))


function(
    TASKS, count_dead, title="Count the dead units",
    cases=[
        _batches("dense a", ((30, 12), (30, 12), (11, 12)), 0.5),
        _batches("dense b", ((8, 9), (8, 9), (8, 9), (3, 9)), 0.8),
        _batches("dense c", ((40, 20), (1, 20)), 0.3),
    ],
    edges={
        "After a convolution, with arrays of four axes, it goes wrong: a channel is dead if it is "
        "0 at every place of every image.": [
            _batches("images a", ((6, 4, 5, 9), (2, 4, 5, 9)), 0.9),
            _batches("images b", ((3, 3, 3, 12), (3, 3, 3, 12)), 0.8),
        ],
        "With a single batch it goes wrong.": [_batches("dense d", ((9, 7),), 0.6)],
        "In a layer of 4 units that are all alive or all dead it goes wrong.":
            [([np.zeros((5, 4))],), ([np.ones((5, 4))],)],
    },
    hints=(
        "For one batch: which units have at least one output that is not 0? `.any(axis=...)` over "
        "all axes but the last.",
        "Keep that as an array of True and False, one for each unit. How do two batches combine: "
        "by `&` or by `|`?",
        "`tuple(range(outputs.ndim - 1))` names all axes but the last.",
    ),
    mistakes={
        "A unit silent in one batch only is not dead.": lambda bs: _silent(bs).any(axis=0).sum(),
        "You add up the batches: a unit counts more than once.": lambda bs: _silent(bs).sum(),
        "You average over the batches.": lambda bs: _silent(bs).sum(axis=1).mean(),
        "Only the first batch counts in your function.": lambda bs: _silent(bs)[0].sum(),
        "Only the last batch counts in your function.": lambda bs: _silent(bs)[-1].sum(),
        "A dead unit is 0 for every sample, not for one.":
            lambda bs: (_rows(bs) == 0).any(axis=0).sum(),
        "You count single zeros, not units.": lambda bs: (_rows(bs) == 0).sum(),
        "You count the living; the dead are wanted.": lambda bs: bs[0].shape[-1] - count_dead(bs),
        "That is the share of the dead, not their number.":
            lambda bs: count_dead(bs) / bs[0].shape[-1],
        "You count samples that are all 0: that is the other axis.":
            lambda bs: (_rows(bs) == 0).all(axis=1).sum(),
        "A unit that speaks faintly, once, is alive; compare with 0 itself.":
            lambda bs: (_rows(bs).max(axis=0) < 1e-3).sum(),
    },
)  # fmt: skip
