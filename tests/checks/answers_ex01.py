"""Right and wrong answers to exercise 01."""

from __future__ import annotations

import numpy as np

from coursekit.base.keras import keras, tf

ANSWERS = {}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def slope(z):
    s = sigmoid(z)
    return s * (1 - s)


def slope_by_tape(z):
    z = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(z)
        out = tf.sigmoid(z)
    return tape.gradient(out, z)


def slope_in_place(z):
    z *= -1
    return slope(z)


ANSWERS["sigmoid_slope"] = {
    "right": [
        slope,
        slope_by_tape,
        lambda z: 1 / (2 + np.exp(z) + np.exp(-z)),
        lambda z: (1 - np.tanh(z / 2) ** 2) / 4,
    ],
    "wrong": [
        (lambda z: 0.25 + 0 * z, "you give 0.25 (wrong in 6 of 6 places)"),
        (lambda z: slope(z).ravel(), "your result has shape (12,); expected (3, 4)"),
        (lambda z: np.where(np.abs(z) < 15, slope(z), 0.01), "Far from 0"),
        (slope_in_place, "changes its argument `z` in place"),
    ],
}


def bound_by_loop(weights):
    product = 1.0
    for w in weights:
        product *= abs(w) * 0.25
    return product


ANSWERS["slope_bound"] = {
    "right": [
        lambda ws: np.prod(np.abs(ws)) / 4 ** len(ws),
        bound_by_loop,
        lambda ws: abs(float(tf.reduce_prod(tf.constant(ws)))) * 0.25 ** len(ws),
    ],
    "wrong": [
        (lambda ws: 0.5, "(ws=[2.5, -3.1, -1.2])`: you give 0.5."),
        (lambda ws: max(1, bound_by_loop(ws)), "you give 1."),
        (lambda ws: bound_by_loop(ws[:3]), "you give "),
        (lambda ws: np.abs(ws) / 4, "expected one number"),
    ],
}


def statistics(x, kernels, activation):
    rows = []
    for W in kernels:
        x = activation(x @ W)
        rows.append([x.mean(), x.std(), x.std(axis=0).mean()])
    return np.array(rows)


def statistics_of_lists(x, kernels, activation):
    if not kernels:
        return []
    out = activation(np.einsum("si,iu->su", x, kernels[0]))
    response = np.sqrt(np.mean((out - out.mean(axis=0)) ** 2, axis=0)).mean()
    return [
        (np.mean(out), np.std(out), response),
        *statistics_of_lists(out, kernels[1:], activation),
    ]


def statistics_down_the_units(x, kernels, activation):
    rows = np.zeros((len(kernels), 3))
    for i, kernel in enumerate(kernels):
        x = activation(np.matmul(x, kernel))
        rows[i] = x.mean(), np.sqrt(x.var()), sum(unit.std() for unit in x.T) / len(x.T)
    return tf.constant(rows)


def statistics_of_the_last(x, kernels, activation):
    return statistics(x, kernels, activation)[-1]


def statistics_of_squares_only(x, kernels, activation):
    rows = statistics(x, kernels, activation)
    return rows if kernels[0].shape[0] == kernels[0].shape[1] else rows + 1


def statistics_in_place(x, kernels, activation):
    rows = statistics(x, kernels, activation)
    x -= x.mean()
    return rows


ANSWERS["layer_statistics"] = {
    "right": [statistics, statistics_of_lists, statistics_down_the_units],
    "wrong": [
        (lambda x, ks, f: statistics(x, ks, f).T, "It is transposed"),
        (statistics_of_the_last, "has shape (3,)"),
        (lambda x, ks, f: 2 * statistics(x, ks, f), "`mean` in row 0: you give"),
        (statistics_of_squares_only, "layers of different width"),
        (lambda x, ks, f: statistics(x, ks, np.tanh), "f=`sigmoid`)`: `mean` in row 0"),
        (statistics_in_place, "changes its argument `x` in place"),
    ],
}


def norms(model, x, y, training=False):
    layers = [layer for layer in model.layers if layer.trainable_weights]
    with tf.GradientTape() as tape:
        out = model(x, training=training)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, out))
    groups = tape.gradient(loss, [layer.trainable_weights for layer in layers])
    return [tf.linalg.global_norm(group) for group in groups]


def norms_of_joined(model, x, y):
    with tf.GradientTape() as tape:
        value = model.compute_loss(x, y, model(x))
    gradients = iter(tape.gradient(value, model.trainable_variables))
    result = []
    for layer in model.layers:
        parts = [np.ravel(next(gradients)) for _ in layer.trainable_weights]
        if parts:
            result.append(np.linalg.norm(np.concatenate(parts)))
    return np.array(result)


def norms_by_logarithm(model, x, y):
    result = []
    for layer in model.layers:
        if layer.weights:
            with tf.GradientTape() as tape:
                chosen = tf.gather(model(x), y, batch_dims=1)
                loss = -tf.reduce_mean(tf.math.log(chosen))
            parts = tape.gradient(loss, layer.trainable_variables)
            result.append(float(sum(tf.reduce_sum(g**2) for g in parts)) ** 0.5)
    return tuple(result)


def norms_while_training(model, x, y):
    before, result = model.get_weights(), norms(model, x, y)
    model.set_weights([0.9 * w for w in before])
    return result


ANSWERS["gradient_norms"] = {
    "right": [norms, norms_of_joined, norms_by_logarithm],
    "wrong": [
        (lambda m, x, y: norms(m, x, y)[:2], "you give 2 of them; expected 3"),
        (lambda m, x, y: [2.5 * v for v in norms(m, x, y)], "three Dense: place 0: you give"),
        (lambda m, x, y: norms(m, x, y, training=True), "Dropout is at work"),
        (norms_while_training, "weights of the model have changed"),
        (lambda m, x, y: float(norms(m, x, y)[0]), "Expected a list"),
        (lambda m, x, y: [*norms(m, x, y)[:-1], None], "A number in your list is None"),
    ],
}


def draws(activation):
    return activation(np.random.default_rng(7).standard_normal(1_000_000))


def keep(activation, n):
    return 1 / np.sqrt(n * np.mean(draws(activation) ** 2))


def keep_by_quantiles(activation, n):
    from scipy.stats import norm

    z = norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    x = np.asarray(activation(z))
    return (n * (x.var() + x.mean() ** 2)) ** -0.5


def keep_by_sums(activation, n):
    draw, total = np.random.default_rng(3), 0.0
    for _ in range(400):
        x = activation(draw.standard_normal((25, n)))
        total += np.mean((x @ draw.standard_normal((n, 25))) ** 2) / 400
    return 1 / total**0.5


ANSWERS["keep_std"] = {
    "right": [keep, keep_by_quantiles, keep_by_sums],
    "wrong": [
        (lambda f, n: np.sqrt(2 / n), "(f=`sigmoid`, n=40)`: you give 0.2236"),
        (lambda f, n: keep(f, n) if f(-1.0) + f(1.0) else 1.0, "mean is 0 it goes wrong"),
        (lambda f, n: [keep(f, n)], "expected one number"),
    ],
}
