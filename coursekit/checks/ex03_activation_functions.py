"""Checks of exercise 03: activation functions.

The functions, right and wrong, are in `_ex03_formulas`; the Keras layers are judged by what they
do, in `_ex03_layers` and `_ex03_rrelu`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks import _ex03_formulas as formulas
from coursekit.checks._ex03_layers import check_prelu, check_trainable_swish
from coursekit.checks._ex03_rrelu import check_rrelu
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import agree, rng
from coursekit.checks.kit.values import array, number

TASKS = TaskList(3, "Activation functions")

Setting = tuple[float, ...]


def _check(
    answer: Any,
    oracle: Callable[..., np.ndarray],
    mistakes: dict[str, Callable[..., Any]],
    settings: tuple[Setting, ...] = ((),),
) -> None:
    """Compare on moderate arrays of several shapes; then far out, where exp overflows."""
    draw, cases = rng(oracle.__name__), []
    for setting in settings:
        for shape in ((9,), (4, 3), (2, 3, 4)):
            cases.append((draw.uniform(-3, 3, shape), *setting))
        cases.append((np.array([-0.5, 0.0, 0.5]), *setting))
    agree(answer, oracle, cases, read=array, mistakes=mistakes)
    for setting in settings:
        _far_out(answer, oracle, setting)


def _far_out(answer: Any, oracle: Callable[..., np.ndarray], setting: Setting) -> None:
    z = np.array([-1000.0, -750.0, -40.0, 40.0, 750.0, 1000.0])
    try:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            result = call(answer, z, *setting)
    except FloatingPointError as error:
        raise Wrong(
            f"Right for moderate z, but for |z| up to 1000 there is trouble on the way ({error}). "
            "Even a branch of `np.where` that is thrown away is computed first."
        ) from None
    if np.isnan(np.asarray(result, dtype=float)).any():
        raise Wrong("Right for moderate z, but for |z| up to 1000 your result holds NaN.")
    agree(
        lambda z, *setting: result,
        oracle,
        [(z, *setting)],
        read=array,
        otherwise="Right for moderate z, but far out, for |z| from 40 to 1000, it goes wrong.",
    )


@TASKS.task(
    "LeakyReLU",
    hints=(
        "Two lines meet at 0: one through z, one with a smaller slope. The larger of them counts.",
        "`np.maximum` compares two arrays element by element.",
    ),
)
def leaky_relu(answer: Any) -> None:
    """The activation as a function (z, negative_slope)."""
    settings = ((0.07,), (0.35,), (0.6,))
    _check(answer, formulas.leaky_relu, formulas.LEAKY_RELU_MISTAKES, settings)


@TASKS.task(
    "ELU",
    hints=(
        "`np.where(condition, a, b)` takes from a where the condition holds, from b elsewhere.",
        "`np.expm1(x)` is exp(x) − 1, exact near 0.",
        "`np.where` computes both sides for all z. Let the exponential see no positive number: cut "
        "z with `np.minimum` first.",
    ),
)
def elu(answer: Any) -> None:
    """The activation as a function (z, alpha)."""
    _check(answer, formulas.elu, formulas.ELU_MISTAKES, ((0.6,), (1.4,), (2.5,)))


@TASKS.task(
    "SELU",
    hints=(
        "ELU first, with the given α; then one multiplication.",
        "λ multiplies both sides, the positive one, too.",
    ),
)
def selu(answer: Any) -> None:
    """The activation as a function (z)."""
    _check(answer, formulas.selu, formulas.SELU_MISTAKES)


@TASKS.task(
    "GELU",
    hints=(
        "First Φ, then z times Φ.",
        "`special.erf` takes an array. Where does √2 go, and what does the ½ multiply?",
    ),
)
def gelu(answer: Any) -> None:
    """The activation as a function (z)."""
    _check(answer, formulas.gelu, formulas.GELU_MISTAKES)


@TASKS.task(
    "Swish",
    hints=(
        "The sigmoid gets β times z; its result multiplies z.",
        "`special.expit(x)` is the sigmoid of x, and it overflows nowhere.",
    ),
)
def swish(answer: Any) -> None:
    """The activation as a function (z, beta)."""
    _check(answer, formulas.swish, formulas.SWISH_MISTAKES, ((0.4,), (1.702,), (3.0,)))


@TASKS.task(
    "Mish",
    hints=(
        "From the inside: softplus of z, then tanh of that, then z times that.",
        "log(1 + e^z) is log(e^0 + e^z). NumPy has a function for the logarithm of a sum of two "
        "exponentials.",
        "`np.logaddexp(a, b)` is log(e^a + e^b), without computing either exponential.",
    ),
)
def mish(answer: Any) -> None:
    """The activation as a function (z)."""
    _check(answer, formulas.mish, formulas.MISH_MISTAKES)


@TASKS.task(
    "PReLU as a layer",
    seconds=120.0,
    hints=(
        "In `build`: `self.add_weight` with a shape of one axis, as long as the input's last.",
        "`keras.initializers.Constant` makes an initialiser that gives one number everywhere.",
        "In `call`: `keras.ops.where` with a condition, the inputs, and the slopes times inputs.",
    ),
)
def prelu(answer: Any) -> None:
    """A layer class without arguments."""
    check_prelu(answer)


@TASKS.task(
    "Swish with a learned β",
    seconds=120.0,
    hints=(
        "`self.add_weight(shape=(), ...)` makes one number. Which initialiser starts it at 1?",
        "`keras.ops.sigmoid` works on tensors.",
    ),
)
def trainable_swish(answer: Any) -> None:
    """A layer class without arguments."""
    check_trainable_swish(answer)


@TASKS.task(
    "RReLU as a layer",
    seconds=120.0,
    given=("__init__",),
    hints=(
        "One slope for both cases: a number otherwise, an array of the inputs' shape in training.",
        "`keras.ops.shape(inputs)` is the shape, with the number of samples too.",
        "Then one line for both cases: `keras.ops.where` with a condition on `inputs`.",
    ),
)
def rrelu(answer: Any) -> None:
    """A layer class (lower, upper) whose call depends on `training`."""
    check_rrelu(answer)


def _batches(name: str, shapes: tuple[tuple[int, ...], ...], rate: float) -> list[np.ndarray]:
    """Return ReLU outputs with some units dead, some silent in a batch, some alive once only."""
    draw = rng(name)
    units = shapes[0][-1]
    batches = [np.maximum(draw.normal(size=shape), 0) for shape in shapes]
    for k, batch in enumerate(batches):
        batch[draw.random(batch.shape) < rate] = 0
        batch[..., draw.permutation(units)[: units // 3]] = 0  # silent in this batch only
        batch[..., :2] = 0  # dead
        batch[..., 2] = 0
        if k == 0:
            batch.reshape(-1, units)[-1, 2] = 1e-4  # speaks once, faintly
    return batches


@TASKS.task(
    "Count the dead units",
    hints=(
        "For one batch: which units have at least one output that is not 0? `.any(axis=...)` over "
        "all axes but the last.",
        "Keep that as an array of True and False, one for each unit. How do two batches combine: "
        "by `&` or by `|`?",
        "`tuple(range(outputs.ndim - 1))` names all axes but the last.",
    ),
)
def count_dead(answer: Any) -> None:
    """The number of dead units as a function (list of arrays)."""
    dense = [
        (_batches("dense a", ((30, 12), (30, 12), (11, 12)), 0.5),),
        (_batches("dense b", ((8, 9), (8, 9), (8, 9), (3, 9)), 0.8),),
        (_batches("dense c", ((40, 20), (1, 20)), 0.3),),
    ]
    images = [
        (_batches("images a", ((6, 4, 5, 9), (2, 4, 5, 9)), 0.9),),
        (_batches("images b", ((3, 3, 3, 12), (3, 3, 3, 12)), 0.8),),
    ]
    mistakes = formulas.COUNT_DEAD_MISTAKES
    agree(answer, formulas.count_dead, dense, mistakes=mistakes,
          otherwise="Your number of dead units is not right.")  # fmt: skip
    agree(answer, formulas.count_dead, images, mistakes=mistakes,
          otherwise="Right for dense layers; after a convolution, with arrays of four axes, it "
          "goes wrong: a channel is dead if it is 0 at every place of every image.")  # fmt: skip
    for value, n_dead in ((0.0, 4), (1.0, 0)):
        got = number(call(answer, [np.full((5, 4), value)]))
        if got != n_dead:
            raise Wrong("In a layer of 4 units that are all alive or all dead it goes wrong.")
