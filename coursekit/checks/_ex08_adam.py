"""Adam and AdamW, right and wrong, for exercise 08; the letters are those of `ex08_optimizers`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Mistakes = dict[str, Callable[..., Any]]

NO_EPSILON = "`epsilon` has no effect in your function."
UPHILL = "The parameters move uphill: the step goes against the gradient."
NO_RATE = "The learning rate has no effect in your function."


def adam(theta, gradient, m, v, t, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Adam, algorithm 1 of Kingma and Ba (2015)."""
    return _adam(theta, gradient, m, v, t, learning_rate, beta_1, beta_2, epsilon)


def _adam(x, g, m, v, t, r, b1, b2, e, *, fix_m=True, fix_v=True, root=np.sqrt):
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
    m_hat = m / (1 - b1**t) if fix_m else m
    v_hat = v / (1 - b2**t) if fix_v else v
    return x - r * m_hat / (root(v_hat) + e), m, v


def _adam_with(**settings: Any) -> Callable[..., Any]:
    return lambda *case: _adam(*case, **settings)


def _corrected_slots(x, g, m, v, t, r, b1, b2, e):
    x, m, v = adam(x, g, m, v, t, r, b1, b2, e)
    return x, m / (1 - b1**t), v / (1 - b2**t)


def _squares_of_the_mean(x, g, m, v, t, r, b1, b2, e):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * m**2
    return x - r * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + e), m, v


ADAM: Mistakes = {
    "The bias correction is missing: both averages start at 0 and are too small at first.":
        _adam_with(fix_m=False, fix_v=False),
    "`m` is not corrected: divide it by 1 − β₁ᵗ.": _adam_with(fix_m=False),
    "`v` is not corrected: divide it by 1 − β₂ᵗ.": _adam_with(fix_v=False),
    "The root is missing: divide by the root of the corrected `v`.":
        _adam_with(root=lambda v: v),
    "`epsilon` stands inside the root; Adam adds it after the root is taken.":
        lambda *case: _adam(*case[:-1], 0, root=lambda v: np.sqrt(v + case[-1])),
    "`epsilon` is added to the root of `v` itself, as Keras does it; here it is added to the root "
    "of the corrected `v`.":
        lambda x, g, m, v, t, r, b1, b2, e: (
            adam(x, g, m, v, t, r, b1, b2, e / (1 - b2**t) ** 0.5)),
    NO_EPSILON: lambda *case: _adam(*case[:-1], 0),
    "β₁ and β₂ have changed places.":
        lambda x, g, m, v, t, r, b1, b2, e: adam(x, g, m, v, t, r, b2, b1, e),
    "Your step count is one too high: `t` is 1 in the first step already.":
        lambda x, g, m, v, t, *more: (
            adam(x, g, m, v, t + 1, *more)),
    "You return the corrected averages: the next step needs the uncorrected ones.":
        _corrected_slots,
    "`v` averages the squares of `m`; it must average the squares of the gradient.":
        _squares_of_the_mean,
    "You return the old slots: the next step needs the new ones.":
        lambda x, g, m, v, *more: (adam(x, g, m, v, *more)[0], m, v),
    UPHILL: lambda x, g, m, v, t, r, *more: adam(x, g, m, v, t, -r, *more),
    NO_RATE: lambda x, g, m, v, t, r, *more: adam(x, g, m, v, t, 1.0, *more),
}  # fmt: skip


def adamw(
    theta, gradient, m, v, t, learning_rate, weight_decay, beta_1=0.9, beta_2=0.999, epsilon=1e-7
):
    """AdamW as Keras has it: θ shrinks by the share ηλ, apart from Adam's step."""
    new, m, v = adam(theta, gradient, m, v, t, learning_rate, beta_1, beta_2, epsilon)
    return new - learning_rate * weight_decay * theta, m, v


def _decayed(change: Callable[..., Any]) -> Callable[..., Any]:
    """Return Adam's step with `change(θ before, θ after Adam, η, λ)` as the new θ."""

    def wrong(x, g, m, v, t, r, w, *more):
        new, m, v = adam(x, g, m, v, t, r, *more)
        return change(x, new, r, w), m, v

    return wrong


ADAMW: Mistakes = {
    "The decay goes through the gradient: that is ℓ2 in Adam, where it is divided by the root "
    "of `v` as well. Leave the gradient alone and shrink θ apart from Adam's step.":
        lambda x, g, m, v, t, r, w, *more: adam(x, g + w * x, m, v, t, r, *more),
    "The decay is not multiplied by the learning rate: the share is ηλ.":
        _decayed(lambda old, new, r, w: new - w * old),
    "The weights do not decay at all: that is Adam.": _decayed(lambda old, new, r, w: new),
    "The weights grow: the decay has the wrong sign.":
        _decayed(lambda old, new, r, w: new + r * w * old),
    "You shrink θ after Adam's step; the share ηλ is taken of θ before it.":
        _decayed(lambda old, new, r, w: new * (1 - r * w)),
    "The decay replaces the step: both belong to the update.":
        _decayed(lambda old, new, r, w: old * (1 - r * w)),
    "`epsilon` is not handed on to Adam's step.":
        lambda *case: adamw(*case[:-1]),
}  # fmt: skip
