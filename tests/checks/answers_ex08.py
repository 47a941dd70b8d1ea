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


def momentum_that_remembers(theta, gradient, m, learning_rate, beta=0.9, calls=[]):  # noqa: B006
    calls.append(m)
    m = beta * m - len(calls) * learning_rate * gradient
    return theta + m, m


MOMENTUM = {
    "right": [momentum, momentum_with_ops],
    "wrong": [
        (lambda x, g, m, r, b=0.9: momentum(x, g, m, r, b)[0], "Expected `theta`, `m`"),
        (lambda x, g, m, r, b=0.5: momentum(x, g, m, r, b), "With the default settings"),
        (lambda x, g, m, r, b: momentum(x, g, m, r, b), "cannot be called with 4 arguments"),
        (lambda x, g, m, r, b=0.9: (0.9 * momentum(x, g, m, r, b)[0], m), "`theta`: at "),
        (momentum_in_place, "changes its argument `m` in place"),
        (momentum_for_numpy_only, "but not inside Keras"),
        (momentum_that_remembers, "Called twice with the same arguments"),
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
    "wrong": [(lambda x, g, m, r, b=0.9: (0.9 * nesterov(x, g, m, r, b)[0], m), "`theta`: at ")],
}

# AdaGrad


def adagrad(theta, gradient, s, learning_rate, epsilon=1e-7):
    s = s + gradient**2
    return theta - learning_rate * gradient / (s + epsilon) ** 0.5, s


def adagrad_with_ops(theta, gradient, s, learning_rate, epsilon=1e-7):
    new = s + ops.square(gradient)
    return theta - learning_rate * gradient * ops.rsqrt(new + epsilon), new


ADAGRAD = {
    "right": [adagrad, adagrad_with_ops],
    "wrong": [
        (lambda x, g, s, r, e=1e-7: (x, s + g**2), "`theta`: at "),
        (lambda x, g, s, r, e=1e-3: adagrad(x, g, s, r, e), "With the default settings"),
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
    return theta - learning_rate * gradient / ops.sqrt(s + epsilon), s


RMSPROP = {
    "right": [rmsprop, rmsprop_by_difference],
    "wrong": [
        (lambda x, g, s, r, p=0.5, e=1e-7: rmsprop(x, g, s, r, p, e), "With the default settings"),
        (lambda x, g, s, r, p=0.9, e=1e-7: rmsprop(x, g, s, r, 0.9, e), "`theta`: at "),
    ],
}

# Adam


def adam(theta, gradient, m, v, t, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = beta_1 * m + (1 - beta_1) * gradient
    v = beta_2 * v + (1 - beta_2) * gradient**2
    m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
    return theta - learning_rate * m_hat / (v_hat**0.5 + epsilon), m, v


def adam_by_differences(theta, g, m, v, t, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = m + (g - m) * (1 - beta_1)
    v = v + (ops.square(g) - v) * (1 - beta_2)
    fix = (1 - beta_2**t) ** 0.5
    return theta - rate * fix / (1 - beta_1**t) * m / (ops.sqrt(v) + fix * epsilon), m, v


def adam_one_step_late(theta, g, m, v, t, *more):
    return adam(theta, g, m, v, t - 1, *more)


def adam_with_a_number_as_step(theta, g, m, v, t, *more):
    return adam(theta, g, m, v, float(t), *more)


ADAM = {
    "right": [adam, adam_by_differences],
    "wrong": [
        (adam_one_step_late, "Is there a 0/0"),
        (adam_with_a_number_as_step, "but not inside Keras"),
        (lambda x, g, m, v, t, r, *more: adam(x, g, m, v, t, r, *more)[:2], "Expected `theta`"),
        (lambda *args: tuple(0.5 * part for part in adam(*args)), "`theta`: at "),
    ],
}

# AdamW


def adamw(theta, g, m, v, t, learning_rate, weight_decay, b1=0.9, b2=0.999, e=1e-7):
    shrunk = theta * (1 - learning_rate * weight_decay)
    return adam(shrunk, g, m, v, t, learning_rate, b1, b2, e)


def adamw_step_by_step(theta, g, m, v, t, learning_rate, weight_decay, *more):
    new, m, v = adam_by_differences(theta, g, m, v, t, learning_rate, *more)
    return new - learning_rate * weight_decay * theta, m, v


ADAMW = {
    "right": [adamw, adamw_step_by_step],
    "wrong": [(lambda x, *more: adamw(0 * x, *more), "`theta`: at ")],
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
    "wrong": [(lambda beta, share: 7, "(beta=0.9, share=0.95)`: you give 7.")],
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
