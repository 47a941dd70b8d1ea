"""Right and wrong answers to exercise 04."""

from __future__ import annotations

import math

import numpy as np

from coursekit.base.keras import keras, tf

# Forward, in training


def forward(x, gamma, beta, epsilon):
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + epsilon)
    return gamma * x_hat + beta


def forward_by_loops(x, gamma, beta, epsilon):
    y = np.empty(x.shape)
    m = len(x)
    for j in range(x.shape[1]):
        mean = sum(x[:, j]) / m
        variance = sum((value - mean) ** 2 for value in x[:, j]) / m
        for i in range(m):
            y[i, j] = gamma[j] * (x[i, j] - mean) / math.sqrt(variance + epsilon) + beta[j]
    return y.tolist()


def forward_in_tensorflow(x, gamma, beta, epsilon):
    mean, variance = tf.nn.moments(x, axes=[0])
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)


def forward_in_place(x, gamma, beta, epsilon):
    x -= x.mean(axis=0)
    return gamma * x / np.sqrt(x.var(axis=0) + epsilon) + beta


def forward_needs_two(x, gamma, beta, epsilon):
    return forward(x, gamma, beta, epsilon) if len(x) > 1 else x


def forward_zeroing(x, gamma, beta, epsilon):
    return np.where(x.var(axis=0) > 0, forward(x, gamma, beta, epsilon), 0)


BATCH_NORM = {
    "right": [forward, forward_by_loops, forward_in_tensorflow],
    "wrong": [
        (forward_in_place, "changes its argument `x` in place"),
        (forward_needs_two, "a batch of a single sample"),
        (forward_zeroing, "constant in the batch"),
        (lambda x, g, b, e: forward(x, g, b, e) + 0.1, "at x = "),
        (lambda x, g, b, e: print(x), "returns nothing"),
    ],
}

# Backward


def parts(x, epsilon):
    std = np.sqrt(x.var(axis=0) + epsilon)
    return std, (x - x.mean(axis=0)) / std


def backward(grad, x, gamma, epsilon):
    std, hat = parts(x, epsilon)
    inner = grad - grad.mean(axis=0) - hat * (grad * hat).mean(axis=0)
    return gamma / std * inner, (grad * hat).sum(axis=0), grad.sum(axis=0)


def backward_by_the_paper(grad, x, gamma, epsilon):
    """Ioffe and Szegedy, section 3, the chain rule step by step."""
    m = len(x)
    mean, variance = x.mean(axis=0), x.var(axis=0)
    hat = (x - mean) / np.sqrt(variance + epsilon)
    d_hat = grad * gamma
    d_variance = (d_hat * (x - mean) * -0.5 * (variance + epsilon) ** -1.5).sum(axis=0)
    d_mean = -d_hat.sum(axis=0) / np.sqrt(variance + epsilon)
    d_mean = d_mean + d_variance * (-2 * (x - mean)).mean(axis=0)
    d_x = d_hat / np.sqrt(variance + epsilon) + d_variance * 2 * (x - mean) / m + d_mean / m
    return d_x, (grad * hat).sum(axis=0), grad.sum(axis=0)


def backward_by_tape(grad, x, gamma, epsilon):
    x, gamma, beta = (tf.Variable(v) for v in (x, gamma, np.zeros_like(gamma)))
    with tf.GradientTape() as tape:
        mean, variance = tf.nn.moments(x, axes=[0])
        y = gamma * (x - mean) / tf.sqrt(variance + epsilon) + beta
        total = tf.reduce_sum(y * grad)
    return tape.gradient(total, [x, gamma, beta])


BACKWARD = {
    "right": [backward, backward_by_the_paper, backward_by_tape],
    "wrong": [
        (lambda g, x, *a: (backward(g, x, *a)[0], g.sum(0), g.sum(0)), "`d_gamma`: at gamma = "),
        (lambda *a: backward(*a)[0], "Expected `d_x`, `d_gamma`, `d_beta`"),
        (lambda *a: (-backward(*a)[0], *backward(*a)[1:]), "`d_x`: at index (0, 0)"),
        (lambda *a: tuple(np.float64("nan") * p for p in backward(*a)), "NaN"),
    ],
}

# Moving averages


def moving(batches, momentum, start=(0.0, 1.0), spread=lambda b: b.var(axis=0)):
    mean, variance = start
    for batch in batches:
        mean = momentum * mean + (1 - momentum) * batch.mean(axis=0)
        variance = momentum * variance + (1 - momentum) * spread(batch)
    return mean, variance


def moving_by_powers(batches, momentum):
    n = len(batches)
    weights = (1 - momentum) * momentum ** np.arange(n - 1, -1, -1.0)
    means = np.stack([b.mean(axis=0) for b in batches])
    variances = np.stack([b.var(axis=0) for b in batches])
    return [weights @ means, weights @ variances + momentum**n]


def moving_by_keras(batches, momentum):
    layer = keras.layers.BatchNormalization(momentum=momentum, dtype="float64")
    for batch in batches:
        layer(batch, training=True)
    return layer.moving_mean, layer.moving_variance


def moving_without_short_batch(batches, momentum):
    return moving([b for b in batches if len(b) == len(batches[0])], momentum)


MOVING = {
    "right": [moving, moving_by_powers, moving_by_keras],
    "wrong": [
        (moving_without_short_batch, "`moving mean`: you give"),
        (lambda b, m: moving(b, m)[0], "Expected `moving mean`, `moving variance`"),
        (lambda b, m: (moving(b, m)[0], moving(b, m)[1].mean()), "`moving variance`"),
        (
            lambda b, m: moving(b, m, spread=lambda x: np.nan_to_num(x.var(0, ddof=1))),
            "divides by B − 1",
        ),
    ],
}

# Prediction


def predict(x, gamma, beta, mean, variance, epsilon):
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def predict_as_one_map(x, gamma, beta, mean, variance, epsilon):
    s = gamma * (variance + epsilon) ** -0.5
    return [row * s + (beta - s * mean) for row in x]


PREDICT = {
    "right": [predict, predict_as_one_map],
    "wrong": [
        (lambda x, g, b, m, v, e: predict(x, g, b, m, v, e)[:-1], "your result has shape (4, 3)"),
        (lambda x, g, b, m, v, e: predict(x, g, b, x[0], v, e), "at x = "),
        (lambda x, g, b, m, v, e: predict(x, g, b, m if len(x) > 1 else x[0], v, e), "single"),
    ],
}

# The axis puzzle


def counts(shape, axis=-1):
    n = np.prod([shape[a] for a in np.atleast_1d(axis)])
    return 4 * n, 2 * n


def counts_by_looking(shape, axis=-1):
    kept = {a % len(shape) for a in (axis if isinstance(axis, list) else [axis])}
    places = 1
    for i, length in enumerate(shape):
        places *= length if i in kept else 1
    return [places + places + 2 * places, places + places]


def counts_of(places, every=4, trained=2):
    def wrong(shape, axis=-1):
        axes = axis if isinstance(axis, list) else [axis]
        return every * places(shape, axes), trained * places(shape, axes)

    return wrong


COUNTS = {
    "right": [counts, counts_by_looking],
    "wrong": [
        (counts_of(lambda shape, axes: math.prod(shape[a] for a in axes), 3), "`all`: you give"),
        (lambda shape, axis=1: counts(shape, axis), "With the default settings"),
        (lambda shape, axis=-1: counts(shape, axis)[0], "Expected `all`, `trained`"),
        (lambda shape: counts(shape), "cannot be called with 2 arguments"),
    ],
}

# The block


def block(units):
    dense = keras.layers.Dense(units, use_bias=False, kernel_initializer="he_normal")
    return [dense, keras.layers.BatchNormalization(), keras.layers.ReLU()]


def block_in_other_words(units):
    he = keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
    return (
        keras.layers.Dense(units, kernel_initializer=he, use_bias=False),
        keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
        keras.layers.Activation(keras.activations.relu),
    )


SHARED = block(30)


def block_of(he="he_normal", norm=keras.layers.BatchNormalization, last="relu", extra=()):
    def wrong(units):
        dense = keras.layers.Dense(units, use_bias=False, kernel_initializer=he)
        return [dense, norm(), keras.layers.Activation(last), *(kind() for kind in extra)]

    return wrong


HIDDEN_BLOCK = {
    "right": [block, block_in_other_words],
    "wrong": [
        (block_of(keras.initializers.VarianceScaling(2.0, "fan_in", "uniform")), "are uniform"),
        (block_of(keras.initializers.VarianceScaling(2.0, "fan_out")), "is not He's"),
        (block_of("ones"), "is not He's"),
        (block_of(last="relu6"), "Not right, the outputs"),
        (block_of(norm=lambda: keras.layers.GroupNormalization(5)), "Not right, the outputs"),
        (block_of(extra=[lambda: keras.layers.Activation("linear")]), "the number of layers"),
        (lambda units: [keras.Sequential(block(units))], "Expected Keras layers only"),
        (lambda units: SHARED if units == 30 else block(units), "the same layer objects"),
        (lambda units: block(30), "For units=50"),
        (lambda units: keras.layers.ReLU(), "Expected a list"),
        (lambda units: [keras.layers.Dense, keras.layers.ReLU()], "without parentheses"),
        (lambda units: [], "is empty"),
    ],
}

# Folding


def fold(kernel, bias, gamma, beta, mean, variance, epsilon):
    s = gamma / np.sqrt(variance + epsilon)
    return kernel * s, beta + s * ((0 if bias is None else bias) - mean)


def fold_by_probing(kernel, bias, gamma, beta, mean, variance, epsilon):
    """Read the affine map off its outputs for 0 and for the unit vectors."""

    def both(x):
        z = x @ kernel + (np.zeros(kernel.shape[1]) if bias is None else bias)
        return gamma * (z - mean) / np.sqrt(variance + epsilon) + beta

    at_zero = both(np.zeros(len(kernel)))
    return [np.stack([both(unit) - at_zero for unit in np.eye(len(kernel))]), at_zero]


def fold_needs_bias(kernel, bias, gamma, beta, mean, variance, epsilon):
    b = np.ones_like(beta) if bias is None else bias
    return fold(kernel, b, gamma, beta, mean, variance, epsilon)


FOLD = {
    "right": [fold, fold_by_probing],
    "wrong": [
        (fold_needs_bias, "`bias`: at index 0 you give"),
        (lambda *a: fold(*a)[0], "Expected `kernel`, `bias`"),
        (lambda k, *rest: (fold(k, *rest)[0], fold(k, *rest)[1][None]), "`bias`: your result"),
        (lambda k, *rest: (fold(k, *rest)[0].T, fold(k, *rest)[1]), "`kernel`: at kernel = "),
    ],
}

ANSWERS = {
    "batch_norm": BATCH_NORM,
    "backward": BACKWARD,
    "moving_averages": MOVING,
    "predict": PREDICT,
    "count_parameters": COUNTS,
    "hidden_block": HIDDEN_BLOCK,
    "fold": FOLD,
}
