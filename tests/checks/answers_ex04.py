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
        (lambda x, g, b, e: g * (x - x.mean(0)) / x.std(0) + b, "`epsilon` is missing"),
        (lambda x, g, b, e: g * (x - x.mean(0)) / (x.std(0) + e) + b, "under the root"),
        (lambda x, g, b, e: g * (x - x.mean(0)) / (x.var(0) + e) + b, "The root is missing"),
        (
            lambda x, g, b, e: g * (x - x.mean(0)) / np.sqrt(x.var(0, ddof=1) + e) + b,
            "divides by m − 1",
        ),
        (lambda x, g, b, e: forward(x.T, g[0] * 0 + 1, 0, e).T * g + b, "layer normalisation"),
        (lambda x, g, b, e: g * (x - x.mean()) / np.sqrt(x.var() + e) + b, "the whole array"),
        (lambda x, g, b, e: forward(x, 1, 0, e), "`gamma` and `beta` have no effect"),
        (lambda x, g, b, e: forward(x, b, g, e), "changed places"),
        (lambda x, g, b, e: g * (forward(x, 1, 0, e) + b), "it comes last"),
        (lambda x, g, b, e: g * x / np.sqrt(x.var(0) + e) + b, "The mean is not subtracted"),
        (forward_in_place, "changes its argument `x` in place"),
        (forward_needs_two, "a batch of a single sample"),
        (forward_zeroing, "constant in the batch"),
        (lambda x, g, b, e: forward(x, g, b, e) + 0.1, "is not right"),
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


def without(*, mean=1, hat=1, power=1, gamma_too=1):
    def wrong(grad, x, gamma, epsilon):
        std, x_hat = parts(x, epsilon)
        inner = grad - mean * grad.mean(0) - hat * x_hat * (grad * x_hat).mean(0)
        d_x = gamma**gamma_too * inner / std**power
        return d_x, (grad * x_hat).sum(0), grad.sum(0)

    return wrong


def parameters(d_gamma, d_beta):
    def wrong(grad, x, gamma, epsilon):
        hat = parts(x, epsilon)[1]
        return backward(grad, x, gamma, epsilon)[0], d_gamma(grad, x, hat), d_beta(grad)

    return wrong


def backward_summing(grad, x, gamma, epsilon):
    std, hat = parts(x, epsilon)
    inner = grad - grad.sum(0) - hat * (grad * hat).sum(0)
    return gamma / std * inner, (grad * hat).sum(0), grad.sum(0)


BACKWARD = {
    "right": [backward, backward_by_the_paper, backward_by_tape],
    "wrong": [
        (without(mean=0, hat=0), "treats mean and variance as constants"),
        (without(mean=0), "the mean of the gradient over the batch is missing"),
        (without(hat=0), "the term with x̂ is missing"),
        (without(gamma_too=0), "`gamma` is missing"),
        (without(power=2), "divide by the root of it"),
        (backward_summing, "sums over the batch where the formula has means"),
        (parameters(lambda g, x, h: (g * h).mean(0), lambda g: g.mean(0)), "are means over"),
        (parameters(lambda g, x, h: (g * x).sum(0), lambda g: g.sum(0)), "must use x̂"),
        (parameters(lambda g, x, h: (g * h).sum(0), lambda g: g.mean(0)), "contains `beta` once"),
        (parameters(lambda g, x, h: (g * h).mean(0), lambda g: g.sum(0)), "is a mean over"),
        (parameters(lambda g, x, h: g.sum(0), lambda g: g.sum(0)), "is not right"),
        (lambda *a: backward(*a)[0], "Expected 3 arrays"),
        (lambda *a: [backward(*a)[i] for i in (0, 2, 1)], "changed places"),
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


def moving_from_first(batches, momentum):
    first = batches[0]
    return moving(batches[1:], momentum, (first.mean(axis=0), first.var(axis=0)))


def moving_without_short_batch(batches, momentum):
    return moving([b for b in batches if len(b) == len(batches[0])], momentum)


def moving_joined(batches, momentum):
    joined = np.concatenate(batches)
    return joined.mean(axis=0), joined.var(axis=0)


MOVING = {
    "right": [moving, moving_by_powers, moving_by_keras],
    "wrong": [
        (lambda b, m: moving(b, 1 - m), "The roles are swapped"),
        (lambda b, m: moving(b, m, (0.0, 0.0)), "variance starts at 0"),
        (lambda b, m: moving(b, m, (1.0, 1.0)), "mean starts at 1"),
        (lambda b, m: moving(b, m)[::-1], "The two averages have changed places"),
        (moving_from_first, "start from the first batch"),
        (lambda b, m: moving(b, m, spread=lambda x: x.std(axis=0)), "average the standard"),
        (lambda b, m: moving(b, m, spread=lambda x: np.nan_to_num(x.var(0, ddof=1))), "m − 1"),
        (moving_joined, "You join the batches"),
        (lambda b, m: moving(b[-1:], m), "Only the last batch"),
        (lambda b, m: moving(b[:1], m), "Only the first batch"),
        (moving_without_short_batch, "is not right"),
        (lambda b, m: moving(b, m)[0], "Expected 2 arrays"),
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
        (lambda x, g, b, m, v, e: forward(x, g, b, e), "by the batch's own statistics"),
        (lambda x, g, b, m, v, e: predict(x, g, b, x.mean(0), v, e), "the moving mean"),
        (lambda x, g, b, m, v, e: predict(x, g, b, m, x.var(0), e), "the batch's standard"),
        (lambda x, g, b, m, v, e: predict(x, g, b, m, v, 0), "`epsilon` is missing"),
        (lambda x, g, b, m, v, e: g * (x - m) / (np.sqrt(v) + e) + b, "under the root"),
        (lambda x, g, b, m, v, e: g * (x - m) / (v + e) + b, "The root is missing"),
        (lambda x, g, b, m, v, e: predict(x, 1, 0, m, v, e), "have no effect"),
        (lambda x, g, b, m, v, e: predict(x, b, g, m, v, e), "changed places"),
        (lambda x, g, b, m, v, e: predict(x, g, b, m, v, e)[:-1], "is not right"),
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


def product(shape, axes):
    return math.prod(shape[a] for a in axes)


def others(shape, axes):
    kept = {a % len(shape) for a in axes}
    return math.prod(shape[i] for i in range(1, len(shape)) if i not in kept)


COUNTS = {
    "right": [counts, counts_by_looking],
    "wrong": [
        (counts_of(others), "does *not* name"),
        (counts_of(product, 2), "two vectors for each mean"),
        (counts_of(product, 4, 4), "All parameters are trained"),
        (counts_of(product, 1, 1), "the means only"),
        (counts_of(product, 2, 4), "The two numbers have changed places"),
        (counts_of(lambda shape, axes: shape[-1]), "always take the last one"),
        (counts_of(lambda shape, axes: math.prod(shape[1:])), "every value of a sample"),
        (counts_of(lambda shape, axes: sum(shape[a] for a in axes)), "multiply their lengths"),
        (counts_of(lambda shape, axes: shape[axes[0]]), "only the first counts"),
        (counts_of(lambda shape, axes: shape[axes[-1]]), "only the last counts"),
        (counts_of(product, 3), "is not right"),
        (lambda shape, axis=1: counts(shape, axis), "must take the last one"),
        (lambda shape, axis=-1: counts(shape, axis)[0], "Expected two numbers"),
        (lambda shape: counts(shape), "cannot be called with 2 arguments"),
    ],
}

# The block


def block(units):
    dense = keras.layers.Dense(units, use_bias=False, kernel_initializer="he_normal")
    return [dense, keras.layers.BatchNormalization(), keras.layers.ReLU()]


def block_in_other_words(units):
    he = keras.initializers.VarianceScaling(2.0, "fan_in", "uniform")
    return (
        keras.layers.Dense(units, kernel_initializer=he, use_bias=False),
        keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
        keras.layers.Activation(keras.activations.relu),
    )


SHARED = block(30)


def block_of(*, activation=None, bias=False, order=(0, 1, 2), last="relu", he="he_normal", **bn):
    def wrong(units):
        layers = [
            keras.layers.Dense(units, activation, use_bias=bias, kernel_initializer=he),
            keras.layers.BatchNormalization(**bn),
            keras.layers.Activation(last),
        ]
        return [layers[i] for i in order]

    return wrong


def block_twice_normalised(units):
    dense, bn, relu = block(units)
    return [dense, bn, keras.layers.BatchNormalization(), relu]


def block_first_normalised(units):
    dense, bn, relu = block(units)
    return [bn, dense, relu]


HIDDEN_BLOCK = {
    "right": [block, block_in_other_words],
    "wrong": [
        (block_of(order=(0, 2, 1)), "an activation comes *before*"),
        (block_of(activation="relu", order=(0, 1)), "an activation comes *before*"),
        (block_of(bias=True), "has a bias"),
        (block_of(order=(0, 1)), "Negative numbers come out"),
        (block_of(last="sigmoid"), "do not have mean 0"),
        (block_of(order=(0, 2)), "does not normalise"),
        (block_of(scale=False), "The scale γ is missing"),
        (block_of(he="glorot_uniform"), "is not He's"),
        (block_first_normalised, "its inputs, not its outputs"),
        (block_twice_normalised, "holds 2 layers"),
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


def fold_with(**changes):
    def wrong(kernel, bias, gamma, beta, mean, variance, epsilon):
        given = {"bias": bias, "gamma": gamma, "epsilon": epsilon}
        given |= {name: change(given[name]) for name, change in changes.items()}
        return fold(kernel, given["bias"], given["gamma"], beta, mean, variance, given["epsilon"])

    return wrong


def fold_bias(formula):
    def wrong(kernel, bias, gamma, beta, mean, variance, epsilon):
        s = gamma / np.sqrt(variance + epsilon)
        b = np.zeros_like(beta) if bias is None else bias
        return kernel * s, formula(s, b, beta, mean)

    return wrong


def fold_rows(kernel, bias, gamma, beta, mean, variance, epsilon):
    s = (gamma / np.sqrt(variance + epsilon))[:, None]
    return kernel * s, fold(kernel, bias, gamma, beta, mean, variance, epsilon)[1]


def fold_without_root(kernel, bias, gamma, beta, mean, variance, epsilon):
    return fold(kernel, bias, gamma, beta, mean, (variance + epsilon) ** 2, 0)


def fold_needs_bias(kernel, bias, gamma, beta, mean, variance, epsilon):
    b = np.ones_like(beta) if bias is None else bias
    return fold(kernel, b, gamma, beta, mean, variance, epsilon)


FOLD = {
    "right": [fold, fold_by_probing],
    "wrong": [
        (fold_rows, "scale the rows"),
        (lambda k, *rest: (k, fold(k, *rest)[1]), "The kernel is not scaled"),
        (fold_with(epsilon=lambda e: 0), "`epsilon` is missing"),
        (fold_with(gamma=np.ones_like), "`gamma` is missing"),
        (fold_with(bias=lambda b: None), "own bias is lost"),
        (fold_without_root, "The root is missing"),
        (fold_bias(lambda s, b, beta, mean: beta + s * b), "does not appear"),
        (fold_bias(lambda s, b, beta, mean: beta + s * (b + mean)), "wrong sign"),
        (fold_bias(lambda s, b, beta, mean: beta + s * b - mean), "without being scaled"),
        (fold_bias(lambda s, b, beta, mean: beta + b - s * mean), "must be scaled by `s`"),
        (fold_bias(lambda s, b, beta, mean: s * (beta + b - mean)), "must not be scaled"),
        (fold_bias(lambda s, b, beta, mean: s * (b - mean)), "`beta` is missing"),
        (fold_needs_bias, "is not right"),
        (lambda *a: fold(*a)[0], "Expected 2 arrays"),
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
