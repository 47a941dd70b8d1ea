"""Right and wrong answers to exercise 08."""

from __future__ import annotations

import math

import numpy as np

from coursekit.base.keras import keras

ops = keras.ops

# Momentum


def momentum(theta, gradient, m, learning_rate, beta=0.9):
    m = beta * m - learning_rate * gradient
    return theta + m, m


def momentum_with_ops(theta, gradient, m, learning_rate, beta=0.9):
    step = ops.multiply(learning_rate, gradient)
    new = ops.subtract(ops.multiply(beta, m), step)
    return [ops.add(theta, new), new]


def momentum_in_place(theta, gradient, m, learning_rate, beta=0.9):
    m *= beta
    m -= learning_rate * gradient
    return theta + m, m


def momentum_for_numpy_only(theta, gradient, m, learning_rate, beta=0.9):
    m = np.array(beta * m - learning_rate * gradient)
    return theta + m, m


def momentum_that_computes(kept, step):
    """Return an update with m ← kept(m, β) + step(g, η)."""

    def update(theta, gradient, m, learning_rate, beta=0.9):
        m = kept(m, beta) + step(gradient, learning_rate)
        return theta + m, m

    return update


MOMENTUM = {
    "right": [momentum, momentum_with_ops],
    "wrong": [
        (lambda x, g, m, r, b=0.9: (x - momentum(x, g, m, r, b)[1], b * m - r * g), "add it to θ"),
        (momentum_that_computes(lambda m, b: b * m, lambda g, r: r * g), "uphill"),
        (momentum_that_computes(lambda m, b: b * m, lambda g, r: -g), "rate has no effect"),
        (momentum_that_computes(lambda m, b: 0 * m, lambda g, r: -r * g), "plain gradient descent"),
        (momentum_that_computes(lambda m, b: m, lambda g, r: -r * g), "`beta` has no effect"),
        (lambda x, g, m, r, b=0.9: (x - r * (b * m + g), b * m + g), "as PyTorch does it"),
        (lambda x, g, m, r, b=0.9: (x + m, b * m - r * g), "the old velocity: compute"),
        (lambda x, g, m, r, b=0.9: (momentum(x, g, m, r, b)[0], m), "You return the old velocity"),
        (
            lambda x, g, m, r, b=0.9: (x + b * m - (1 - b) * r * g, b * m - (1 - b) * r * g),
            "moving average",
        ),
        (lambda x, g, m, r, b=0.9: momentum(x, g, m, r, b)[::-1], "in the wrong order"),
        (lambda x, g, m, r, b=0.9: momentum(x, g, m, r, b)[0], "Expected the new `theta`, `m`"),
        (lambda x, g, m, r, b=0.5: momentum(x, g, m, r, b), "With the default settings"),
        (lambda x, g, m, r, b: momentum(x, g, m, r, b), "cannot be called with 4 arguments"),
        (momentum_in_place, "changes its argument `m` in place"),
        (momentum_for_numpy_only, "but not inside Keras"),
    ],
}

# Nesterov


def nesterov(theta, gradient, m, learning_rate, beta=0.9):
    m = beta * m - learning_rate * gradient
    return theta + beta * m - learning_rate * gradient, m


def nesterov_by_places(theta, gradient, m, learning_rate, beta=0.9):
    here = theta - beta * m
    new = beta * m - learning_rate * gradient
    here = here + new
    return here + beta * new, new


NESTEROV = {
    "right": [nesterov, nesterov_by_places],
    "wrong": [
        (momentum, "That is plain momentum"),
        (
            lambda x, g, m, r, b=0.9: (x + b * (b * m - r * g), b * m - r * g),
            "own step −ηg is missing",
        ),
        (lambda x, g, m, r, b=0.9: (x + b * m - 2 * r * g, b * m - r * g), "You look ahead by m"),
        (lambda x, g, m, r, b=0.9: nesterov(x, -g, m, r, b), "uphill"),
        (
            lambda x, g, m, r, b=0.9: (x + b * (b * m - r * g) + r * g, b * m - r * g),
            "the wrong sign",
        ),
        (lambda x, g, m, r, b=0.9: (nesterov(x, g, m, r, b)[0], m), "You return the old velocity"),
        (lambda x, g, m, r, b=0.9: (0.9 * nesterov(x, g, m, r, b)[0], m), "is not right"),
    ],
}

# AdaGrad


def adagrad(theta, gradient, s, learning_rate, epsilon=1e-7):
    s = s + gradient**2
    return theta - learning_rate * gradient / (s + epsilon) ** 0.5, s


def adagrad_with_ops(theta, gradient, s, learning_rate, epsilon=1e-7):
    new = s + ops.square(gradient)
    return theta - learning_rate * gradient * ops.rsqrt(new + epsilon), new


def adagrad_with(divisor, slot=lambda s, g: s + g**2):
    def update(theta, gradient, s, learning_rate, epsilon=1e-7):
        return theta - learning_rate * gradient / divisor(s, gradient, epsilon), slot(s, gradient)

    return update


ADAGRAD = {
    "right": [
        adagrad,
        adagrad_with_ops,
        adagrad_with(lambda s, g, e: (s + g * g) ** 0.5 + e),
    ],
    "wrong": [
        (adagrad_with(lambda s, g, e: s + g**2 + e), "The root is missing"),
        (adagrad_with(lambda s, g, e: (s + e) ** 0.5), "by the old slot"),
        (
            adagrad_with(lambda s, g, e: (g**2 + e) ** 0.5, lambda s, g: g**2),
            "The slot forgets",
        ),
        (
            adagrad_with(lambda s, g, e: (s + abs(g) + e) ** 0.5, lambda s, g: s + abs(g)),
            "You collect the sizes",
        ),
        (
            adagrad_with(lambda s, g, e: (s + g + e) ** 0.5, lambda s, g: s + g),
            "The slot collects the gradient itself",
        ),
        (
            lambda x, g, s, r, e=1e-7: (x - r / (s + g**2 + e) ** 0.5, s + g**2),
            "The gradient itself is missing",
        ),
        (lambda x, g, s, r, e=1e-7: adagrad(x, g, s, -r, e), "uphill"),
        (lambda x, g, s, r, e=1e-7: adagrad(x, g, s, 1, e), "rate has no effect"),
        (lambda x, g, s, r, e=1e-7: (adagrad(x, g, s, r, e)[0], s), "You return the old slot"),
        (adagrad_with(lambda s, g, e: (s + g**2) ** 0.5), "`epsilon` keeps"),
        (lambda x, g, s, r, e=1e-7: (x, s + g**2), "is not right"),
        (
            lambda x, g, s, r, e=1e-7: (x - r * g / np.asarray((s + g**2 + e) ** 0.5), s + g**2),
            "but not inside Keras",
        ),
    ],
}

# RMSProp


def rmsprop(theta, gradient, s, learning_rate, rho=0.9, epsilon=1e-7):
    s = rho * s + (1 - rho) * gradient**2
    return theta - learning_rate * gradient / (s + epsilon) ** 0.5, s


def rmsprop_by_difference(theta, gradient, s, learning_rate, rho=0.9, epsilon=1e-7):
    s = s + (1 - rho) * (gradient**2 - s)
    return theta - learning_rate * gradient / (ops.sqrt(s) + epsilon), s


def rmsprop_with(slot):
    def update(theta, gradient, s, learning_rate, rho=0.9, epsilon=1e-7):
        s = slot(s, gradient, rho)
        return theta - learning_rate * gradient / (s + epsilon) ** 0.5, s

    return update


RMSPROP = {
    "right": [rmsprop, rmsprop_by_difference],
    "wrong": [
        (rmsprop_with(lambda s, g, p: (1 - p) * s + p * g**2), "have changed places"),
        (rmsprop_with(lambda s, g, p: p * s + g**2), "counts in full"),
        (rmsprop_with(lambda s, g, p: s + g**2), "That is AdaGrad"),
        (rmsprop_with(lambda s, g, p: p * s + (1 - p) * abs(g)), "of |g|"),
        (rmsprop_with(lambda s, g, p: p * s + (1 - p) * g), "collects the gradient itself"),
        (
            lambda x, g, s, r, p=0.9, e=1e-7: (
                x - r * g / (rmsprop(x, g, s, r, p)[1] + e),
                rmsprop(x, g, s, r, p)[1],
            ),
            "The root is missing",
        ),
        (
            lambda x, g, s, r, p=0.9, e=1e-7: (
                x - r * g / (s + e) ** 0.5,
                rmsprop(x, g, s, r, p)[1],
            ),
            "by the old slot",
        ),
        (lambda x, g, s, r, p=0.9, e=1e-7: rmsprop(x, g, s, -r, p), "uphill"),
        (lambda x, g, s, r, p=0.9, e=1e-7: rmsprop(x, g, s, 1.0, p), "rate has no effect"),
        (lambda x, g, s, r, p=0.9, e=1e-7: (rmsprop(x, g, s, r, p)[0], s), "return the old slot"),
        (lambda x, g, s, r, p=0.5, e=1e-7: rmsprop(x, g, s, r, p), "With the default settings"),
        (lambda x, g, s, r, p=0.9, e=1e-7: rmsprop(x, g, s, r, 0.9), "is not right"),
    ],
}

# Adam


def adam(theta, gradient, m, v, t, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = beta_1 * m + (1 - beta_1) * gradient
    v = beta_2 * v + (1 - beta_2) * gradient**2
    m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
    return theta - learning_rate * m_hat / (v_hat**0.5 + epsilon), m, v


def adam_of_keras(theta, gradient, m, v, t, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    alpha = learning_rate * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    m = m + (gradient - m) * (1 - beta_1)
    v = v + (ops.square(gradient) - v) * (1 - beta_2)
    return theta - alpha * m / (ops.sqrt(v) + epsilon), m, v


def adam_with(*, fix_m=True, fix_v=True, root=0.5, late=0, swap=False, clean=False):
    def update(theta, gradient, m, v, t, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
        b1, b2 = (beta_2, beta_1) if swap else (beta_1, beta_2)
        m = b1 * m + (1 - b1) * gradient
        v = b2 * v + (1 - b2) * gradient**2
        m_hat = m / (1 - b1 ** (t + late)) if fix_m else m
        v_hat = v / (1 - b2 ** (t + late)) if fix_v else v
        theta = theta - rate * m_hat / (v_hat**root + epsilon)
        return (theta, m_hat, v_hat) if clean else (theta, m, v)

    return update


def adam_with_squares_of_m(theta, g, m, v, t, rate, b1=0.9, b2=0.999, e=1e-7):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * m**2
    return theta - rate * m / (1 - b1**t) / ((v / (1 - b2**t)) ** 0.5 + e), m, v


ADAM = {
    "right": [adam, adam_of_keras, adam_with()],
    "wrong": [
        (adam_with(fix_m=False, fix_v=False), "The bias correction is missing"),
        (adam_with(fix_m=False), "`m` is not corrected"),
        (adam_with(fix_v=False), "`v` is not corrected"),
        (adam_with(root=1.0), "The root is missing"),
        (adam_with(swap=True), "β₁ and β₂ have changed places"),
        (adam_with(late=1), "one too high"),
        (adam_with(late=-1), "Is there a 0/0"),
        (adam_with(clean=True), "You return the corrected averages"),
        (adam_with_squares_of_m, "the squares of `m`"),
        (lambda x, g, m, v, t, *more: (adam(x, g, m, v, t, *more)[0], m, v), "the old slots"),
        (lambda x, g, m, v, t, r, *more: adam(x, g, m, v, t, -r, *more), "uphill"),
        (lambda x, g, m, v, t, r, *more: adam(x, g, m, v, t, 1.0, *more), "rate has no effect"),
        (lambda x, g, m, v, t, r, *more: adam(x, g, m, v, t, r, *more)[:2], "Expected the new"),
        (lambda *args: tuple(0.5 * part for part in adam(*args)), "is not right"),
    ],
}

# AdamW


def adamw(theta, g, m, v, t, learning_rate, weight_decay, b1=0.9, b2=0.999, e=1e-7):
    shrunk = theta * (1 - learning_rate * weight_decay)
    return adam(shrunk, g, m, v, t, learning_rate, b1, b2, e)


def adamw_step_by_step(theta, g, m, v, t, learning_rate, weight_decay, *more):
    new, m, v = adam_of_keras(theta, g, m, v, t, learning_rate, *more)
    return new - learning_rate * weight_decay * theta, m, v


def adamw_with(change):
    def update(theta, g, m, v, t, learning_rate, weight_decay, *more):
        new, m, v = adam(theta, g, m, v, t, learning_rate, *more)
        return change(theta, new, learning_rate, weight_decay), m, v

    return update


ADAMW = {
    "right": [adamw, adamw_step_by_step],
    "wrong": [
        (
            lambda x, g, m, v, t, r, w, *more: adam(x, g + w * x, m, v, t, r, *more),
            "The decay goes through the gradient",
        ),
        (adamw_with(lambda old, new, r, w: new - w * old), "not multiplied by the learning rate"),
        (adamw_with(lambda old, new, r, w: new), "do not decay at all"),
        (adamw_with(lambda old, new, r, w: new + r * w * old), "The weights grow"),
        (adamw_with(lambda old, new, r, w: new * (1 - r * w)), "after Adam's step"),
        (adamw_with(lambda old, new, r, w: old * (1 - r * w)), "The decay replaces the step"),
        (adamw_with(lambda old, new, r, w: 0 * new), "is not right"),
    ],
}

# Steps to the terminal velocity


def steps_to_speed(beta, share):
    return math.ceil(math.log(1 - share) / math.log(beta))


def steps_by_rolling(beta, share):
    speed, steps = 0.0, 0
    while speed * (1 - beta) < share:
        speed, steps = beta * speed + 1, steps + 1
    return steps


STEPS_TO_SPEED = {
    "right": [steps_to_speed, steps_by_rolling],
    "wrong": [
        (lambda b, share: steps_to_speed(b, share) - 1, "one step too few"),
        (lambda b, share: steps_to_speed(b, share) + 1, "one step too many"),
        (lambda b, share: np.log(1 - share) / np.log(b), "is whole: round up"),
        (lambda b, share: math.ceil(math.log(share) / math.log(b)), "when βᵗ has fallen"),
        (lambda b, share: 1 / (1 - b), "That is the terminal gain"),
        (lambda b, share: 7, "is not right"),
    ],
}

ANSWERS = {
    "momentum": MOMENTUM,
    "nesterov": NESTEROV,
    "adagrad": ADAGRAD,
    "rmsprop": RMSPROP,
    "adam": ADAM,
    "adamw": ADAMW,
    "steps_to_speed": STEPS_TO_SPEED,
}
