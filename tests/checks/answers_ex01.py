"""Right and wrong answers to exercise 01."""

from __future__ import annotations

import numpy as np

from coursekit.base.keras import keras, tf

# The slope of the sigmoid


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


SIGMOID_SLOPE = {
    "right": [
        slope,
        slope_by_tape,
        lambda z: 1 / (2 + np.exp(z) + np.exp(-z)),
        lambda z: (1 - np.tanh(z / 2) ** 2) / 4,
    ],
    "wrong": [
        (sigmoid, "That is the sigmoid itself"),
        (lambda z: z * (1 - z), "as if it were the sigmoid's output"),
        (lambda z: 1 - np.tanh(z) ** 2, "derivative of tanh"),
        (lambda z: -slope(z), "The sign is wrong"),
        (lambda z: 1 - sigmoid(z), "one of the two factors is missing"),
        (lambda z: sigmoid(z) ** 2, "You square the sigmoid"),
        (lambda z: slope(sigmoid(z)), "applied twice"),
        (lambda z: slope(z) ** 2, "the square of the derivative"),
        (lambda z: 0.25 + 0 * z, "is not right"),
        (lambda z: slope(z).ravel(), "is not right"),
        (lambda z: np.where(np.abs(z) < 15, slope(z), 0.01), "Far from 0"),
        (slope_in_place, "changes its argument `z` in place"),
    ],
}

# The bound of a chain


def bound_by_loop(weights):
    product = 1.0
    for w in weights:
        product *= abs(w) * 0.25
    return product


SLOPE_BOUND = {
    "right": [
        lambda ws: np.prod(np.abs(ws)) / 4 ** len(ws),
        bound_by_loop,
        lambda ws: abs(float(tf.reduce_prod(tf.constant(ws)))) * 0.25 ** len(ws),
    ],
    "wrong": [
        (lambda ws: np.prod(np.array(ws) / 4), "The sign of a weight counts"),
        (lambda ws: 0.25 ** len(ws), "The weights have no effect"),
        (lambda ws: np.prod(np.abs(ws)), "The sigmoids have no effect"),
        (lambda ws: np.prod(np.abs(ws)) * 1.0 ** len(ws), "which is the steepest of tanh"),
        (lambda ws: np.prod(np.abs(ws)) / 4, "counts only once"),
        (lambda ws: np.sum(np.abs(ws)) / 4, "changes multiply"),
        (lambda ws: np.prod(np.abs(ws) / 2), "value at 0"),
        (lambda ws: np.prod(np.abs(ws)) / 4 ** (len(ws) - 1), "One sigmoid too few"),
        (lambda ws: (max(abs(w) for w in ws) / 4) ** len(ws), "Only the largest weight"),
        (lambda ws: 0.5, "is not right"),
        (lambda ws: np.abs(ws) / 4, "expected one number"),
    ],
}

# Layer statistics


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


def statistics_variant(mistake):
    def variant(x, kernels, activation):
        first, rows = x, []
        for W in kernels:
            z = (first if mistake == "inputs again" else x) @ (W.T if mistake == "turned" else W)
            x = z if mistake == "linear" else activation(z)
            out = z if mistake == "sums" else x
            if mistake == "variance":
                rows.append([out.mean(), out.var(), out.var(axis=0).mean()])
            elif mistake == "n - 1":
                rows.append([out.mean(), out.std(ddof=1), out.std(axis=0, ddof=1).mean()])
            elif mistake == "axis":
                rows.append([out.mean(), out.std(), out.std(axis=1).mean()])
            elif mistake == "means":
                rows.append([out.mean(), out.std(), out.mean(axis=0).std()])
            elif mistake == "means of inputs":
                rows.append([out.mean(), out.std(), out.mean(axis=1).std()])
            elif mistake == "swapped":
                rows.append([out.mean(), out.std(axis=0).mean(), out.std()])
            else:
                rows.append([out.mean(), out.std(), out.std(axis=0).mean()])
        if mistake == "input row":
            rows.insert(0, [first.mean(), first.std(), first.std(axis=0).mean()])
        return np.array(rows[::-1] if mistake == "reversed" else rows)

    return variant


def statistics_of_the_last(x, kernels, activation):
    return statistics(x, kernels, activation)[-1]


def statistics_of_squares_only(x, kernels, activation):
    rows = statistics(x, kernels, activation)
    return rows if kernels[0].shape[0] == kernels[0].shape[1] else rows + 1


def statistics_in_place(x, kernels, activation):
    rows = statistics(x, kernels, activation)
    x -= x.mean()
    return rows


LAYER_STATISTICS = {
    "right": [statistics, statistics_of_lists, statistics_variant("")],
    "wrong": [
        (statistics_variant("linear"), "never applied"),
        (statistics_variant("sums"), "before the activation"),
        (statistics_variant("inputs again"), "Every layer gets the net's inputs"),
        (statistics_variant("input row"), "a row for the inputs"),
        (statistics_variant("reversed"), "wrong order"),
        (statistics_variant("axis"), "the wrong axis"),
        (statistics_variant("means"), "std of the units' means"),
        (statistics_variant("means of inputs"), "std of the means over the units"),
        (statistics_variant("swapped"), "have changed places"),
        (statistics_variant("variance"), "These are variances"),
        (statistics_variant("n - 1"), "divide by n − 1"),
        (statistics_variant("turned"), "The kernels are transposed"),
        (lambda x, ks, f: statistics(x, ks, f).T, "It is transposed"),
        (statistics_of_the_last, "has shape (3,)"),
        (lambda x, ks, f: 2 * statistics(x, ks, f), "At least one of the three"),
        (statistics_of_squares_only, "layers of different width"),
        (statistics_in_place, "changes its argument `x` in place"),
    ],
}

# Gradient norms


def groups(model, x, y, loss=None):
    layers = [layer for layer in model.layers if layer.trainable_weights]
    with tf.GradientTape() as tape:
        losses = keras.losses.sparse_categorical_crossentropy(y, model(x))
        value = tf.reduce_mean(losses) if loss is None else loss(losses)
    return tape.gradient(value, [layer.trainable_weights for layer in layers])


def norms(model, x, y):
    return [tf.linalg.global_norm(group) for group in groups(model, x, y)]


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
                chosen = tf.gather(model(x, training=True), y, batch_dims=1)
                loss = -tf.reduce_mean(tf.math.log(chosen))
            parts = tape.gradient(loss, layer.trainable_variables)
            result.append(float(sum(tf.reduce_sum(g**2) for g in parts)) ** 0.5)
    return tuple(result)


def norms_from_logits(model, x, y):
    layers = [layer for layer in model.layers if layer.trainable_weights]
    with tf.GradientTape() as tape:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=model(x))
        loss = tf.reduce_mean(losses)
    gradients = tape.gradient(loss, [layer.trainable_weights for layer in layers])
    return [float(tf.linalg.global_norm(group)) for group in gradients]


def norms_while_training(model, x, y):
    before, result = model.get_weights(), norms(model, x, y)
    model.set_weights([0.9 * w for w in before])
    return result


def norms_of(size, loss=None):
    return lambda model, x, y: [
        float(size([g.numpy() for g in group])) for group in groups(model, x, y, loss)
    ]


def root(parts):
    return np.sqrt(sum(np.sum(g**2) for g in parts))


def for_every_layer(model, x, y):
    result = iter(norms(model, x, y))
    return [next(result) if layer.weights else 0.0 for layer in model.layers]


GRADIENT_NORMS = {
    "right": [norms, norms_of_joined, norms_by_logarithm, norms_of(root)],
    "wrong": [
        (lambda m, x, y: norms(m, x, y)[::-1], "next to the input comes first"),
        (norms_of(lambda parts: root(parts[:1])), "Only the kernels count"),
        (norms_of(lambda parts: root(parts[-1:])), "Only the biases count"),
        (norms_of(lambda parts: sum(root([g]) for g in parts)), "You add the norms"),
        (norms_of(lambda parts: root(parts) ** 2), "The root is missing"),
        (norms_of(root, tf.reduce_sum), "summed over the batch"),
        (norms_of(lambda ps: root(ps) / np.sqrt(sum(g.size for g in ps))), "root mean squares"),
        (norms_of(lambda parts: sum(np.abs(g).sum() for g in parts)), "You add absolute values"),
        (norms_of(lambda parts: max(np.abs(g).max() for g in parts)), "the largest element"),
        (
            lambda m, x, y: [
                root([w.numpy() for w in la.weights]) for la in m.layers if la.weights
            ],
            "norms of the weights",
        ),
        (norms_from_logits, "The softmax is applied twice"),
        (
            lambda m, x, y: [float(tf.norm(g)) for group in groups(m, x, y) for g in group],
            "one for each kernel and each bias",
        ),
        (for_every_layer, "those without weights have none"),
        (lambda m, x, y: norms(m, x, y)[:2], "Your list has 2 numbers for a model with 3"),
        (lambda m, x, y: [2.5 * v for v in norms(m, x, y)], "are not the norms"),
        (lambda m, x, y: float(norms(m, x, y)[0]), "Expected a list"),
    ],
}

# The std that keeps the variance


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


def mean_square(activation):
    return np.mean(draws(activation) ** 2)


KEEP_STD = {
    "right": [keep, keep_by_quantiles, keep_by_sums],
    "wrong": [
        (lambda f, n: 1 / np.sqrt(n * draws(f).var()), "You take the variance of the outputs"),
        (lambda f, n: 1 / (n * mean_square(f)), "That is the variance of the weights"),
        (lambda f, n: 1 / np.sqrt(n), "The activation has no effect"),
        (lambda f, n: 1 / np.sqrt(mean_square(f)), "The number of inputs has no effect"),
        (lambda f, n: np.sqrt(n * mean_square(f)), "for weights of std 1; the weights must undo"),
        (lambda f, n: n * mean_square(f), "and a std is a root"),
        (lambda f, n: 1 / (n * np.sqrt(mean_square(f))), "over the mean square only"),
        (lambda f, n: 1 / (np.sqrt(n) * mean_square(f)), "over `n` only"),
        (lambda f, n: 1 / (np.sqrt(n) * np.abs(draws(f)).mean()), "mean of the absolute outputs"),
        (lambda f, n: np.sqrt(mean_square(f) / n), "on the wrong side"),
        (lambda f, n: np.sqrt(2 / n), "off by more than 3%"),
        (lambda f, n: [keep(f, n)], "expected one number"),
    ],
}

ANSWERS = {
    "sigmoid_slope": SIGMOID_SLOPE,
    "slope_bound": SLOPE_BOUND,
    "layer_statistics": LAYER_STATISTICS,
    "gradient_norms": GRADIENT_NORMS,
    "keep_std": KEEP_STD,
}
