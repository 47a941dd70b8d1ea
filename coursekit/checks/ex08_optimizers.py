"""Checks of exercise 08: optimizers.

The updates are written once more, apart from `coursekit.scratch.optimizers`: a check that shared
code with what it checks would share its mistakes. x is the parameter θ, g its gradient, r the
learning rate, e epsilon; every update returns the new θ and the new slots.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks._ex08_adam import ADAM, ADAMW, NO_EPSILON, NO_RATE, UPHILL, adam, adamw
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.function import function
from coursekit.checks.kit.values import parts, whole

TASKS = TaskList(8, "Optimizers")

_ROOT = "The root is missing: the step is divided by the root of the slot."
_SQUARE = "The slot collects the gradient itself; it must collect its square."
_SIZE = "The slot collects the sizes |g|; it must collect the squares."
_OLD = "You return the old slot: the next step needs the new one."
_EARLY = "You divide by the old slot: update it first."
_AROUND = "`epsilon` stands outside the root; here it is added before the root is taken."


def _update(
    right: Callable[..., Any],
    title: str,
    names: str,
    settings: tuple[tuple[float, float], ...],
    hints: tuple[str, ...],
    mistakes: dict[str, Callable[..., Any]],
) -> None:
    """Add the task of one update; `names` are its results, "theta" and the slots."""
    slots = names.split()[1:]

    def cases() -> list[tuple[Any, ...]]:
        """(θ, g, slots, [t], settings); a slot of squares is larger than |g|, so that a slot
        that wrongly collects g itself has a root all the same.
        """
        draw, found = rng(right.__name__), []
        for number, shape in enumerate(((3,), (2, 4), (6,), (2, 2, 3))):
            theta, gradient = draw.normal(size=shape), draw.normal(size=shape)
            values = [draw.normal(size=shape) for _ in slots]
            kept = [
                value if slot == "m" else value**2 + np.abs(gradient) + 0.2
                for slot, value in zip(slots, values, strict=True)
            ]
            step = [1 + 2 * number] if len(slots) == 2 else []
            drawn = (round(float(draw.uniform(*span)), 3) for span in settings)
            found.append((theta, gradient, *kept, *step, *drawn))
        return found

    def at_rest() -> list[tuple[Any, ...]]:
        still = [np.zeros_like(a) if isinstance(a, np.ndarray) else a for a in cases()[0]]
        return [tuple(still)]

    order = "The results are in the wrong order: first θ, then the slots."
    function(
        TASKS, right, title=title, hints=hints, cases=cases, read=parts(*names.split()),
        names=tuple(names.split()), graph=True,
        mistakes=mistakes | {order: lambda *case: (*right(*case)[1:], right(*case)[0])},
        edges={"Where a gradient has been 0 from the start, θ must stay as it is; `epsilon` keeps "
               "0/0 away.": at_rest},
    )  # fmt: skip


def momentum(theta, gradient, m, learning_rate, beta=0.9):
    """Polyak's momentum: m ← βm − ηg, θ ← θ + m."""
    m = beta * m - learning_rate * gradient
    return theta + m, m


_update(
    momentum, "Momentum", "theta m", ((0.05, 0.5), (0.3, 0.8)),
    hints=(
        "Two lines: the new velocity from the old one and the gradient, then the new θ.",
        "A share `beta` of the old velocity survives; the step −ηg is added.",
        "Make new arrays: `m = beta * m - ...`, not `m *= ...`.",
    ),
    mistakes={
        "The velocity already points downhill: add it to θ in place of subtracting it.":
            lambda x, g, m, r, b: (x - momentum(x, g, m, r, b)[1], momentum(x, g, m, r, b)[1]),
        UPHILL: lambda x, g, m, r, b: momentum(x, g, m, -r, b),
        NO_RATE: lambda x, g, m, r, b: momentum(x, g, m, 1, b),
        "That is a moving average of the gradients; momentum adds the whole step −ηg to βm.":
            lambda x, g, m, r, b: momentum(x, g, m, (1 - b) * r, b),
        "In your form the rate multiplies the whole velocity (θ ← θ − ηm), as PyTorch does it; "
        "here it goes into the velocity: m ← βm − ηg, then θ ← θ + m.":
            lambda x, g, m, r, b: (x - r * (b * m + g), b * m + g),
        "You move with the old velocity: compute the new one first.":
            lambda x, g, m, r, b: (x + m, b * m - r * g),
        "You return the old velocity: the next step needs the new one.":
            lambda x, g, m, r, b: (x + b * m - r * g, m),
        "That is plain gradient descent: the old velocity has no effect.":
            lambda x, g, m, r, b: momentum(x, g, m, r, 0),
        "`beta` has no effect: the old velocity must be multiplied by it.":
            lambda x, g, m, r, b: momentum(x, g, m, r, 1),
    },
)  # fmt: skip


def nesterov(theta, gradient, m, learning_rate, beta=0.9):
    """Nesterov's momentum as Keras writes it: θ is the place ahead."""
    m = beta * m - learning_rate * gradient
    return theta + beta * m - learning_rate * gradient, m


_update(
    nesterov, "Nesterov's momentum", "theta m", ((0.05, 0.5), (0.3, 0.8)),
    hints=(
        "The velocity is that of task 1. Only the move differs.",
        "From the place ahead the move is: the look ahead β·m with the *new* m, and the "
        "gradient's own step −ηg.",
    ),
    mistakes={
        "That is plain momentum: there is no look ahead.": momentum,
        "The gradient's own step −ηg is missing after the look ahead βm.":
            lambda x, g, m, r, b: (x + b * momentum(x, g, m, r, b)[1], momentum(x, g, m, r, b)[1]),
        "You look ahead by m; only the share β of it survives the next step.":
            lambda x, g, m, r, b: (momentum(x, g, m, r, b)[0] - r * g, momentum(x, g, m, r, b)[1]),
        UPHILL: lambda x, g, m, r, b: nesterov(x, -g, m, r, b),
        "The last term has the wrong sign: θ moves by βm − ηg, with the new m.":
            lambda x, g, m, r, b: (nesterov(x, g, m, r, b)[0] + 2 * r * g, b * m - r * g),
        "You return the old velocity: the next step needs the new one.":
            lambda x, g, m, r, b: (nesterov(x, g, m, r, b)[0], m),
    },
)  # fmt: skip


def steps_to_speed(beta, share):
    """Return the smallest t with 1 − βᵗ ≥ share."""
    t, left = 0, 1.0
    while 1 - left < share:
        t, left = t + 1, left * beta
    return t


function(
    TASKS, steps_to_speed, title="Steps to the terminal velocity", read=whole,
    cases=[(0.9, 0.5), (0.9, 0.95), (0.99, 0.3), (0.5, 0.7), (0.8, 0.99), (0.9999, 0.6)],
    hints=(
        "On an even slope, from rest, the speed after t steps is 1 − βᵗ of the terminal velocity. "
        "Try it: the first step gives 1 − β.",
        "Solve 1 − βᵗ = share for t with a logarithm, and round up. Or count in a loop.",
    ),
    mistakes={
        "That is one step too few: after it the speed is still below the share. Round up.":
            lambda b, share: steps_to_speed(b, share) - 1,
        "That is one step too many: count the steps themselves, from 1.":
            lambda b, share: steps_to_speed(b, share) + 1,
        "The number of steps is whole: round up.":
            lambda b, share: math.log(1 - share) / math.log(b),
        "Rounded to the nearest number, the speed may still be below the share: round up.":
            lambda b, share: round(math.log(1 - share) / math.log(b)),
        "You ask when βᵗ has fallen to the share; the speed that is reached is 1 − βᵗ.":
            lambda b, share: math.ceil(math.log(share) / math.log(b)),
        "That is the terminal gain 1/(1 − β); the number of steps until a share of it is wanted.":
            lambda b, share: 1 / (1 - b),
    },
)  # fmt: skip


def _divided(x, g, s, r, e):
    return x - r * g / np.sqrt(s + e)


def adagrad(theta, gradient, s, learning_rate, epsilon=1e-7):
    """AdaGrad: s ← s + g², θ ← θ − ηg/√(s + ε)."""
    s = s + gradient**2
    return _divided(theta, gradient, s, learning_rate, epsilon), s


def _adagrad_with(collect: Callable[..., Any]) -> Callable[..., Any]:
    def wrong(x, g, s, r, e):
        new = collect(s, g)
        return _divided(x, g, new, r, e), new

    return wrong


_update(
    adagrad, "AdaGrad", "theta s", ((0.05, 0.5), (0.05, 0.2)),
    hints=(
        "First add the square of the gradient to the slot, then divide by its root.",
        "`** 0.5` is a root in NumPy and in Keras. `epsilon` is added before the root is taken.",
    ),
    mistakes={
        _ROOT: lambda x, g, s, r, e: (x - r * g / (s + g**2 + e), s + g**2),
        _AROUND: lambda x, g, s, r, e: (x - r * g / ((s + g**2) ** 0.5 + e), s + g**2),
        NO_EPSILON: lambda x, g, s, r, e: adagrad(x, g, s, r, 0),
        _EARLY: lambda x, g, s, r, e: (_divided(x, g, s, r, e), s + g**2),
        "The slot forgets: AdaGrad adds up all squares, and nothing is taken away.":
            _adagrad_with(lambda s, g: g**2),
        _SIZE: _adagrad_with(lambda s, g: s + abs(g)),
        _SQUARE: _adagrad_with(lambda s, g: s + g),
        "The gradient itself is missing: the step is ηg, divided by the root.":
            lambda x, g, s, r, e: (x - r / np.sqrt(s + g**2 + e), s + g**2),
        UPHILL: lambda x, g, s, r, e: adagrad(x, g, s, -r, e),
        NO_RATE: lambda x, g, s, r, e: adagrad(x, g, s, 1, e),
        _OLD: lambda x, g, s, r, e: (adagrad(x, g, s, r, e)[0], s),
    },
)  # fmt: skip


def rmsprop(theta, gradient, s, learning_rate, rho=0.9, epsilon=1e-7):
    """RMSProp: s ← ρs + (1 − ρ)g², θ ← θ − ηg/√(s + ε)."""
    s = rho * s + (1 - rho) * gradient**2
    return _divided(theta, gradient, s, learning_rate, epsilon), s


def _rmsprop_with(collect: Callable[..., Any]) -> Callable[..., Any]:
    def wrong(x, g, s, r, p, e):
        new = collect(s, g, p)
        return _divided(x, g, new, r, e), new

    return wrong


_update(
    rmsprop, "RMSProp", "theta s", ((0.05, 0.5), (0.6, 0.85), (0.05, 0.2)),
    hints=(
        "Like AdaGrad, with another first line.",
        "A moving average: `rho` of the old slot, `1 - rho` of the new square.",
    ),
    mistakes={
        "ρ and 1 − ρ have changed places: the larger share is the old slot's.":
            _rmsprop_with(lambda s, g, p: (1 - p) * s + p * g**2),
        "The new square counts in full; it must be multiplied by 1 − ρ.":
            _rmsprop_with(lambda s, g, p: p * s + g**2),
        "That is AdaGrad: the slot forgets nothing.": _rmsprop_with(lambda s, g, p: s + g**2),
        _SQUARE: _rmsprop_with(lambda s, g, p: p * s + (1 - p) * g),
        _SIZE: _rmsprop_with(lambda s, g, p: p * s + (1 - p) * abs(g)),
        _ROOT: lambda x, g, s, r, p, e: (
            x - r * g / (rmsprop(x, g, s, r, p)[1] + e), rmsprop(x, g, s, r, p)[1]),
        _AROUND: lambda x, g, s, r, p, e: (
            x - r * g / (rmsprop(x, g, s, r, p)[1] ** 0.5 + e), rmsprop(x, g, s, r, p)[1]),
        NO_EPSILON: lambda x, g, s, r, p, e: rmsprop(x, g, s, r, p, 0),
        _EARLY: lambda x, g, s, r, p, e: (_divided(x, g, s, r, e), rmsprop(x, g, s, r, p)[1]),
        UPHILL: lambda x, g, s, r, p, e: rmsprop(x, g, s, -r, p, e),
        NO_RATE: lambda x, g, s, r, p, e: rmsprop(x, g, s, 1.0, p, e),
        _OLD: lambda x, g, s, r, p, e: (rmsprop(x, g, s, r, p, e)[0], s),
    },
)  # fmt: skip


_update(
    adam, "Adam", "theta m v", ((0.05, 0.5), (0.5, 0.8), (0.85, 0.95), (0.05, 0.2)),
    hints=(
        "Two moving averages first: `m` of the gradient, `v` of its square.",
        "Then correct copies of both, under other names: `m_hat = m / (1 - beta_1**t)`.",
        "The step is η · m_hat / (√v_hat + ε). Return the uncorrected `m` and `v`.",
    ),
    mistakes=ADAM,
)  # fmt: skip


_update(
    adamw, "AdamW", "theta m v", ((0.1, 0.5), (0.1, 0.6), (0.5, 0.8), (0.85, 0.95), (0.05, 0.2)),
    hints=(
        "Adam's step does not change at all, its slots neither: call your `adam`.",
        "Then take the share learning_rate · weight_decay of the *old* θ away.",
    ),
    mistakes=ADAMW,
)  # fmt: skip
