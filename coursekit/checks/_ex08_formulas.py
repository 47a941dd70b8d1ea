"""The updates of exercise 08, right and wrong.

Written once more, apart from `coursekit.scratch.optimizers`: a check that shared code with what it
checks would share its mistakes. θ is the parameter, g its gradient, η the learning rate; every
function returns the new θ and the new slots.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Mistakes = dict[str, Callable[..., Any]]

_ROOT = "The root is missing: the step is divided by the root of the slot."
_SQUARE = "The slot collects the gradient itself; it must collect its square."
_UPHILL = "The parameters move uphill: the step goes against the gradient."
_NO_RATE = "The learning rate has no effect in your function."


def momentum(theta, gradient, m, learning_rate, beta=0.9):
    """Polyak's momentum: m ← βm − ηg, θ ← θ + m."""
    m = beta * m - learning_rate * gradient
    return theta + m, m


MOMENTUM: Mistakes = {
    "The velocity already points downhill: add it to θ in place of subtracting it.": (
        lambda x, g, m, r, b=0.9: (x - momentum(x, g, m, r, b)[1], momentum(x, g, m, r, b)[1])
    ),
    _UPHILL: lambda x, g, m, r, b=0.9: (x + b * m + r * g, b * m + r * g),
    _NO_RATE: lambda x, g, m, r, b=0.9: (x + b * m - g, b * m - g),
    "That is a moving average of the gradients; momentum adds the whole step −ηg to βm.": (
        lambda x, g, m, r, b=0.9: (x + b * m - (1 - b) * r * g, b * m - (1 - b) * r * g)
    ),
    "In your form the rate multiplies the whole velocity (θ ← θ − ηm), as PyTorch does it; here it "
    "goes into the velocity: m ← βm − ηg, then θ ← θ + m.": (
        lambda x, g, m, r, b=0.9: (x - r * (b * m + g), b * m + g)
    ),
    "You move with the old velocity: compute the new one first.": (
        lambda x, g, m, r, b=0.9: (x + m, b * m - r * g)
    ),
    "You return the old velocity: the next step needs the new one.": (
        lambda x, g, m, r, b=0.9: (x + b * m - r * g, m)
    ),
    "That is plain gradient descent: the old velocity has no effect.": (
        lambda x, g, m, r, b=0.9: (x - r * g, -r * g)
    ),
    "`beta` has no effect: the old velocity must be multiplied by it.": (
        lambda x, g, m, r, b=0.9: (x + m - r * g, m - r * g)
    ),
}


def nesterov(theta, gradient, m, learning_rate, beta=0.9):
    """Nesterov's momentum as Keras writes it: θ is the place ahead."""
    m = beta * m - learning_rate * gradient
    return theta + beta * m - learning_rate * gradient, m


NESTEROV: Mistakes = {
    "That is plain momentum: there is no look ahead.": momentum,
    "The gradient's own step −ηg is missing after the look ahead βm.": (
        lambda x, g, m, r, b=0.9: (x + b * momentum(x, g, m, r, b)[1], momentum(x, g, m, r, b)[1])
    ),
    "You look ahead by m; only the share β of it survives the next step.": (
        lambda x, g, m, r, b=0.9: (
            x + momentum(x, g, m, r, b)[1] - r * g,
            momentum(x, g, m, r, b)[1],
        )
    ),
    _UPHILL: lambda x, g, m, r, b=0.9: nesterov(x, -g, m, r, b),
    "The last term has the wrong sign: θ moves by βm − ηg, with the new m.": (
        lambda x, g, m, r, b=0.9: (
            x + b * momentum(x, g, m, r, b)[1] + r * g,
            momentum(x, g, m, r, b)[1],
        )
    ),
    "You return the old velocity: the next step needs the new one.": (
        lambda x, g, m, r, b=0.9: (nesterov(x, g, m, r, b)[0], m)
    ),
}


def _divided(theta, gradient, s, learning_rate, epsilon):
    return theta - learning_rate * gradient / np.sqrt(s + epsilon)


def adagrad(theta, gradient, s, learning_rate, epsilon=1e-7):
    """AdaGrad: s ← s + g², θ ← θ − ηg/√(s + ε)."""
    s = s + gradient**2
    return _divided(theta, gradient, s, learning_rate, epsilon), s


ADAGRAD: Mistakes = {
    _ROOT: lambda x, g, s, r, e=1e-7: (x - r * g / (s + g**2 + e), s + g**2),
    "You divide by the old slot: add the new square first.": (
        lambda x, g, s, r, e=1e-7: (_divided(x, g, s, r, e), s + g**2)
    ),
    "The slot forgets: AdaGrad adds up all squares, and nothing is taken away.": (
        lambda x, g, s, r, e=1e-7: (_divided(x, g, g**2, r, e), g**2)
    ),
    "You collect the sizes |g|; AdaGrad adds up the squares.": (
        lambda x, g, s, r, e=1e-7: (_divided(x, g, s + abs(g), r, e), s + abs(g))
    ),
    _SQUARE: lambda x, g, s, r, e=1e-7: (_divided(x, g, s + g, r, e), s + g),
    "The gradient itself is missing: the step is ηg, divided by the root.": (
        lambda x, g, s, r, e=1e-7: (x - r / np.sqrt(s + g**2 + e), s + g**2)
    ),
    _UPHILL: lambda x, g, s, r, e=1e-7: (_divided(x, -g, s + g**2, r, e), s + g**2),
    _NO_RATE: lambda x, g, s, r, e=1e-7: (_divided(x, g, s + g**2, 1, e), s + g**2),
    "You return the old slot: the next step needs the new one.": (
        lambda x, g, s, r, e=1e-7: (_divided(x, g, s + g**2, r, e), s)
    ),
}


def rmsprop(theta, gradient, s, learning_rate, rho=0.9, epsilon=1e-7):
    """RMSProp: s ← ρs + (1 − ρ)g², θ ← θ − ηg/√(s + ε)."""
    s = rho * s + (1 - rho) * gradient**2
    return _divided(theta, gradient, s, learning_rate, epsilon), s


def _rmsprop_with(collect: Callable[..., Any]) -> Callable[..., Any]:
    def wrong(theta, gradient, s, learning_rate, rho=0.9, epsilon=1e-7):
        new = collect(s, gradient, rho)
        return _divided(theta, gradient, new, learning_rate, epsilon), new

    return wrong


RMSPROP: Mistakes = {
    "ρ and 1 − ρ have changed places: the larger share is the old slot's.": (
        _rmsprop_with(lambda s, g, p: (1 - p) * s + p * g**2)
    ),
    "The new square counts in full; it must be multiplied by 1 − ρ.": (
        _rmsprop_with(lambda s, g, p: p * s + g**2)
    ),
    "That is AdaGrad: the slot forgets nothing.": _rmsprop_with(lambda s, g, p: s + g**2),
    _SQUARE: _rmsprop_with(lambda s, g, p: p * s + (1 - p) * g),
    "The average is of |g|; it must be of the squares.": (
        _rmsprop_with(lambda s, g, p: p * s + (1 - p) * abs(g))
    ),
    _ROOT: lambda x, g, s, r, p=0.9, e=1e-7: (
        x - r * g / (rmsprop(x, g, s, r, p)[1] + e),
        rmsprop(x, g, s, r, p)[1],
    ),
    "You divide by the old slot: update the average first.": (
        lambda x, g, s, r, p=0.9, e=1e-7: (_divided(x, g, s, r, e), rmsprop(x, g, s, r, p)[1])
    ),
    _UPHILL: lambda x, g, s, r, p=0.9, e=1e-7: rmsprop(x, g, s, -r, p, e),
    _NO_RATE: lambda x, g, s, r, p=0.9, e=1e-7: rmsprop(x, g, s, 1.0, p, e),
    "You return the old slot: the next step needs the new one.": (
        lambda x, g, s, r, p=0.9, e=1e-7: (rmsprop(x, g, s, r, p, e)[0], s)
    ),
}


def _adam(theta, g, m, v, t, rate, b1, b2, epsilon, *, fix_m=True, fix_v=True, root=True):
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
    m_hat = m / (1 - b1**t) if fix_m else m
    v_hat = v / (1 - b2**t) if fix_v else v
    return theta - rate * m_hat / ((np.sqrt(v_hat) if root else v_hat) + epsilon), m, v


def adam(theta, gradient, m, v, t, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Adam, algorithm 1 of Kingma and Ba."""
    return _adam(theta, gradient, m, v, t, learning_rate, beta_1, beta_2, epsilon)


def _adam_with(**settings: bool) -> Callable[..., Any]:
    def wrong(theta, gradient, m, v, t, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
        return _adam(theta, gradient, m, v, t, learning_rate, beta_1, beta_2, epsilon, **settings)

    return wrong


def _corrected_slots(x, g, m, v, t, r, b1=0.9, b2=0.999, e=1e-7):
    x, m, v = adam(x, g, m, v, t, r, b1, b2, e)
    return x, m / (1 - b1**t), v / (1 - b2**t)


def _squares_of_the_mean(x, g, m, v, t, r, b1=0.9, b2=0.999, e=1e-7):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * m**2
    return x - r * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + e), m, v


ADAM: Mistakes = {
    "The bias correction is missing: both averages start at 0 and are too small at first.": (
        _adam_with(fix_m=False, fix_v=False)
    ),
    "`m` is not corrected: divide it by 1 − β₁ᵗ.": _adam_with(fix_m=False),
    "`v` is not corrected: divide it by 1 − β₂ᵗ.": _adam_with(fix_v=False),
    "The root is missing: divide by the root of the corrected `v`.": _adam_with(root=False),
    "β₁ and β₂ have changed places.": (
        lambda x, g, m, v, t, r, b1=0.9, b2=0.999, e=1e-7: adam(x, g, m, v, t, r, b2, b1, e)
    ),
    "Your step count is one too high: `t` is 1 in the first step already.": (
        lambda x, g, m, v, t, r, b1=0.9, b2=0.999, e=1e-7: adam(x, g, m, v, t + 1, r, b1, b2, e)
    ),
    "You return the corrected averages: the next step needs the uncorrected ones.": (
        _corrected_slots
    ),
    "`v` averages the squares of `m`; it must average the squares of the gradient.": (
        _squares_of_the_mean
    ),
    "You return the old slots: the next step needs the new ones.": (
        lambda x, g, m, v, t, *more: (adam(x, g, m, v, t, *more)[0], m, v)
    ),
    _UPHILL: lambda x, g, m, v, t, r, *more: (
        2 * x - adam(x, g, m, v, t, r, *more)[0],
        *adam(x, g, m, v, t, r, *more)[1:],
    ),
    _NO_RATE: lambda x, g, m, v, t, r, *more: adam(x, g, m, v, t, 1.0, *more),
}


def adamw(
    theta, gradient, m, v, t, learning_rate, weight_decay, beta_1=0.9, beta_2=0.999, epsilon=1e-7
):
    """AdamW as Keras has it: θ shrinks by the share ηλ, apart from Adam's step."""
    new, m, v = adam(theta, gradient, m, v, t, learning_rate, beta_1, beta_2, epsilon)
    return new - learning_rate * weight_decay * theta, m, v


def _decayed(change: Callable[..., Any]) -> Callable[..., Any]:
    """Return Adam's step with `change(θ before, θ after Adam, η, λ)` as the new θ."""

    def wrong(theta, gradient, m, v, t, learning_rate, weight_decay, *more):
        new, m, v = adam(theta, gradient, m, v, t, learning_rate, *more)
        return change(theta, new, learning_rate, weight_decay), m, v

    return wrong


ADAMW: Mistakes = {
    "The decay goes through the gradient: that is ℓ2 in Adam, where it is divided by the root of "
    "`v` as well. Leave the gradient alone and shrink θ apart from Adam's step.": (
        lambda x, g, m, v, t, r, w, *more: adam(x, g + w * x, m, v, t, r, *more)
    ),
    "The decay is not multiplied by the learning rate: the share is ηλ.": (
        _decayed(lambda old, new, r, w: new - w * old)
    ),
    "The weights do not decay at all: that is Adam.": _decayed(lambda old, new, r, w: new),
    "The weights grow: the decay has the wrong sign.": (
        _decayed(lambda old, new, r, w: new + r * w * old)
    ),
    "You shrink θ after Adam's step; the share ηλ is taken of θ before it.": (
        _decayed(lambda old, new, r, w: new * (1 - r * w))
    ),
    "The decay replaces the step: both belong to the update.": (
        _decayed(lambda old, new, r, w: old * (1 - r * w))
    ),
}


def steps_to_speed(beta, share):
    """Return the smallest t with 1 − βᵗ ≥ share."""
    t, left = 0, 1.0
    while 1 - left < share:
        t, left = t + 1, left * beta
    return t


STEPS_TO_SPEED: Mistakes = {
    "That is one step too few: after it the speed is still below the share. Round up.": (
        lambda b, share: steps_to_speed(b, share) - 1
    ),
    "That is one step too many: count the steps themselves, from 1.": (
        lambda b, share: steps_to_speed(b, share) + 1
    ),
    "The number of steps is whole: round up.": lambda b, share: math.log(1 - share) / math.log(b),
    "You ask when βᵗ has fallen to the share; the speed that is reached is 1 − βᵗ.": (
        lambda b, share: math.ceil(math.log(share) / math.log(b))
    ),
    "That is the terminal gain 1/(1 − β); the number of steps until a share of it is wanted.": (
        lambda b, share: 1 / (1 - b)
    ),
}
