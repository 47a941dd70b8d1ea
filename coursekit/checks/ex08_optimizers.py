"""Checks of exercise 08: optimizers. Their updates, right and wrong, are in `_ex08_formulas`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks import _ex08_formulas as formulas
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.compare import agree, close_each, rng
from coursekit.checks.kit.values import array, describe

TASKS = TaskList(8, "Optimizers")
_SHAPES = ((3,), (2, 4), (6,), (2, 2, 3))


def _cases(name: str, slots: str, *settings: tuple[float, float]) -> list[tuple[Any, ...]]:
    """Return cases (θ, g, slots, settings): `slots` has m for any sign, s for positive, t for t.

    s is larger than |g|, so that a slot that wrongly collects g itself has a root all the same.
    """
    draw, cases = rng(name), []
    for number, shape in enumerate(_SHAPES):
        theta, gradient = draw.normal(size=shape), draw.normal(size=shape)
        kept: list[Any] = []
        for kind in slots:
            if kind == "t":
                kept.append(1 + 2 * number)
            else:
                values = draw.normal(size=shape)
                kept.append(values if kind == "m" else values**2 + np.abs(gradient) + 0.2)
        drawn = (round(float(draw.uniform(*span)), 3) for span in settings)
        cases.append((theta, gradient, *kept, *drawn))
    return cases


def _reader(names: tuple[str, ...]) -> Callable[[Any], tuple[np.ndarray, ...]]:
    def read(value: Any) -> tuple[np.ndarray, ...]:
        if not isinstance(value, (tuple, list)) or len(value) != len(names):
            wanted = ", ".join(f"`{name}`" for name in names)
            raise Wrong(f"Expected the new {wanted}, in this order; got {describe(value)}.")
        return tuple(
            array(part, f"Your new `{name}`") for name, part in zip(names, value, strict=True)
        )

    return read


def _check_update(
    answer: Any,
    oracle: Callable[..., Any],
    cases: list[tuple[Any, ...]],
    names: tuple[str, ...],
    mistakes: formulas.Mistakes,
) -> None:
    read = _reader(names)
    order = {
        "The results are in the wrong order: first θ, then the slots.": (
            lambda *case: (*oracle(*case)[1:], oracle(*case)[0])
        )
    }
    agree(answer, oracle, cases, read=read, mistakes=mistakes | order)
    _check_defaults(answer, oracle, cases[0], read)
    _check_at_rest(answer, oracle, cases[0], read)
    _check_in_keras(answer, oracle, cases[0], read)


def _check_defaults(answer: Any, oracle: Any, case: tuple[Any, ...], read: Any) -> None:
    defaults = len(oracle.__defaults__ or ())
    every = oracle.__code__.co_argcount
    short = case[: every - defaults]
    if len(short) < len(case):
        agree(
            answer,
            oracle,
            [short],
            read=read,
            otherwise="With the default settings of the notebook your result is not right.",
        )


def _check_at_rest(answer: Any, oracle: Any, case: tuple[Any, ...], read: Any) -> None:
    """A parameter without any gradient, from the first step on, must stay where it is."""
    still = tuple(np.zeros_like(part) if isinstance(part, np.ndarray) else part for part in case)
    with np.errstate(all="ignore"):
        agree(
            answer,
            oracle,
            [still],
            read=_finite(read),
            otherwise="At θ = 0, with a gradient and slots of 0, everything must stay 0.",
        )


def _finite(read: Any) -> Any:
    def told(value: Any) -> Any:
        if isinstance(value, (tuple, list)) and any(
            np.isnan(np.asarray(part, dtype=float)).any() for part in value
        ):
            raise Wrong(
                "Where a gradient has been 0 from the start, θ becomes NaN: 0/0. `epsilon` keeps "
                "the division finite."
            )
        return read(value)

    return told


def _check_in_keras(answer: Any, oracle: Any, case: tuple[Any, ...], read: Any) -> None:
    from coursekit.base.keras import tf

    given = [tf.constant(part) if isinstance(part, np.ndarray) else part for part in case]
    try:
        found = tf.function(lambda: answer(*given))()
    except Exception as error:  # whatever a graph refuses
        raise Wrong(
            "It works with NumPy arrays, but not inside Keras, where θ and g are tensors of a "
            "graph: use `keras.ops.sqrt` or `** 0.5` in place of NumPy's functions. "
            f"({type(error).__name__})"
        ) from None
    if not all(close_each(list(read(found)), list(oracle(*case)))):
        raise Wrong("Inside Keras it gives other results than with NumPy arrays.")


@TASKS.task(
    "Momentum",
    hints=(
        "Two lines: the new velocity from the old one and the gradient, then the new θ.",
        "A share `beta` of the old velocity survives; the step −ηg is added.",
        "Make new arrays: `m = beta * m - ...`, not `m *= ...`.",
    ),
)
def momentum(answer: Any) -> None:
    """(θ, m) as a function (theta, gradient, m, learning_rate, beta=0.9)."""
    cases = _cases("momentum", "m", (0.05, 0.5), (0.3, 0.8))
    _check_update(answer, formulas.momentum, cases, ("theta", "m"), formulas.MOMENTUM)


@TASKS.task(
    "Nesterov's momentum",
    hints=(
        "The velocity is that of task 1. Only the move differs.",
        "From the place ahead the move is: the look ahead β·m with the *new* m, and the gradient's "
        "own step −ηg.",
    ),
)
def nesterov(answer: Any) -> None:
    """(θ, m) as a function (theta, gradient, m, learning_rate, beta=0.9)."""
    cases = _cases("nesterov", "m", (0.05, 0.5), (0.3, 0.8))
    _check_update(answer, formulas.nesterov, cases, ("theta", "m"), formulas.NESTEROV)


@TASKS.task(
    "Steps to the terminal velocity",
    hints=(
        "On an even slope, from rest, the speed after t steps is 1 − βᵗ of the terminal velocity. "
        "Try it: the first step gives 1 − β.",
        "Solve 1 − βᵗ = share for t with a logarithm, and round up. Or count in a loop.",
    ),
)
def steps_to_speed(answer: Any) -> None:
    """The number of steps as a function (beta, share)."""
    cases = [(0.9, 0.5), (0.9, 0.95), (0.99, 0.3), (0.5, 0.7), (0.8, 0.99), (0.9999, 0.6)]
    agree(answer, formulas.steps_to_speed, cases, mistakes=formulas.STEPS_TO_SPEED)


@TASKS.task(
    "AdaGrad",
    hints=(
        "First add the square of the gradient to the slot, then divide by its root.",
        "`** 0.5` is a root in NumPy and in Keras. `epsilon` is added before the root is taken.",
    ),
)
def adagrad(answer: Any) -> None:
    """(θ, s) as a function (theta, gradient, s, learning_rate, epsilon=1e-7)."""
    cases = _cases("adagrad", "s", (0.05, 0.5))
    _check_update(answer, formulas.adagrad, cases, ("theta", "s"), formulas.ADAGRAD)


@TASKS.task(
    "RMSProp",
    hints=(
        "Like AdaGrad, with another first line.",
        "A moving average: `rho` of the old slot, `1 - rho` of the new square.",
    ),
)
def rmsprop(answer: Any) -> None:
    """(θ, s) as a function (theta, gradient, s, learning_rate, rho=0.9, epsilon=1e-7)."""
    cases = _cases("rmsprop", "s", (0.05, 0.5), (0.6, 0.85))
    _check_update(answer, formulas.rmsprop, cases, ("theta", "s"), formulas.RMSPROP)


@TASKS.task(
    "Adam",
    hints=(
        "Two moving averages first: `m` of the gradient, `v` of its square.",
        "Then correct copies of both, under other names: `m_hat = m / (1 - beta_1**t)`.",
        "The step is η · m_hat / (√v_hat + ε). Return the uncorrected `m` and `v`.",
    ),
)
def adam(answer: Any) -> None:
    """(θ, m, v), a function (theta, gradient, m, v, t, learning_rate, beta_1, beta_2, epsilon)."""
    cases = _cases("adam", "mst", (0.05, 0.5), (0.5, 0.8), (0.85, 0.95))
    _check_update(answer, formulas.adam, cases, ("theta", "m", "v"), formulas.ADAM)


@TASKS.task(
    "AdamW",
    hints=(
        "Adam's step does not change at all, its slots neither: call your `adam`.",
        "Then take the share learning_rate · weight_decay of the *old* θ away.",
    ),
)
def adamw(answer: Any) -> None:
    """(θ, m, v) as a function (theta, gradient, m, v, t, learning_rate, weight_decay, …)."""
    cases = _cases("adamw", "mst", (0.1, 0.5), (0.1, 0.6), (0.5, 0.8), (0.85, 0.95))
    _check_update(answer, formulas.adamw, cases, ("theta", "m", "v"), formulas.ADAMW)
