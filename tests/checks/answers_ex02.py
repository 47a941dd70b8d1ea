"""Right and wrong answers to exercise 02."""

from __future__ import annotations

import math

import numpy as np

from coursekit.base.keras import keras, tf

initializers = keras.initializers
VarianceScaling = initializers.VarianceScaling
ANSWERS = {}


def fan_of(mode, fan_in, fan_out):
    return {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]


def limit(scale, mode, fan_in, fan_out):
    return math.sqrt(3 * scale / fan_of(mode, fan_in, fan_out))


def limit_with_branches(scale, mode, fan_in, fan_out):
    if mode == "fan_avg":
        return np.float32(np.sqrt(6 * scale / (fan_in + fan_out)))
    return np.float32(np.sqrt(3 * scale / (fan_in if mode == "fan_in" else fan_out)))


ANSWERS["uniform_limit"] = {
    "right": [limit, limit_with_branches, lambda *a: tf.constant(limit(*a))],
    "wrong": [
        (lambda s, m, i, o: (-limit(s, m, i, o), limit(s, m, i, o)), "expected one number"),
        (lambda *a: limit(*a) + 0.1, "fan_in=35, fan_out=700)`: you give 0.39277"),
    ],
}

PARAMETERS = {
    "glorot": (1.0, "fan_avg"),
    "he": (2.0, "fan_in"),
    "lecun": (1.0, "fan_in"),
}


def named(name):
    family, shape = name.split("_")
    return VarianceScaling(
        *PARAMETERS[family], "uniform" if shape == "uniform" else "truncated_normal"
    )


def named_by_config(name):
    ready = initializers.get(name).get_config()
    scale, mode = PARAMETERS[name.split("_")[0]]
    distribution = {"normal": "truncated_normal", "uniform": "uniform"}[name.split("_")[1]]
    return VarianceScaling(scale=scale, mode=mode, distribution=distribution, seed=ready["seed"])


class OwnScaling(VarianceScaling):
    """A learner's own subclass with nothing new in it."""


def named_variant(**change):
    def variant(name):
        config = named(name).get_config() | {"seed": None}
        config |= {key: value(name, config[key]) for key, value in change.items()}
        return VarianceScaling(**config)

    return variant


ANSWERS["named_initializer"] = {
    "right": [
        named,
        named_by_config,
        lambda name: OwnScaling(**(named(name).get_config() | {"seed": None})),
    ],
    "wrong": [
        (
            named_variant(mode=lambda n, m: "fan_in"),
            "`glorot_normal`: your weights have the variance of L",
        ),
        (named_variant(mode=lambda n, m: "fan_out"), "follows fan_out"),
        (
            named_variant(scale=lambda n, s: 1.0),
            "`he_normal`: your weights have the variance of LeCun",
        ),
        (named_variant(scale=lambda n, s: 3.0), "too wide. Which scale"),
        (named_variant(distribution=lambda n, d: d.replace("trunc", "untrunc")), "long tails"),
        (named_variant(distribution=lambda n, d: "uniform"), "a normal distribution is asked for"),
        (named_variant(distribution=lambda n, d: "truncated_normal"), "a uniform distribution"),
        (named_variant(seed=lambda n, s: 7), "draw the same numbers"),
        (lambda name: initializers.get(name), "ready-made GlorotNormal"),
        (lambda name: VarianceScaling, "not the class"),
        (lambda name: name, "got a string"),
        (lambda name: initializers.RandomNormal(), "expected a VarianceScaling object"),
        ("he_normal", "without parentheses"),
    ],
}


def dense(scale=2.0, mode="fan_avg", distribution="uniform", **settings):
    def make(units):
        kernel = VarianceScaling(scale, mode, distribution)
        return keras.layers.Dense(
            units, **({"activation": "relu", "kernel_initializer": kernel} | settings)
        )

    return make


class OwnUniform(initializers.Initializer):
    def __call__(self, shape, dtype=None):
        r = (12 / sum(shape)) ** 0.5
        return keras.random.uniform(shape, -r, r)


SHARED = VarianceScaling(2.0, "fan_avg", "uniform")
ONE_LAYER = keras.layers.Dense(200, activation="relu", kernel_initializer=SHARED)


def already_built(units):
    layer = dense()(units)
    layer.build((None, 300))
    return layer


ANSWERS["he_avg_dense"] = {
    "right": [
        dense(),
        dense(kernel_initializer=OwnUniform(), activation=keras.activations.relu),
        lambda units: keras.layers.Dense(
            units, keras.layers.ReLU(), kernel_initializer=VarianceScaling(2, "fan_avg", "uniform")
        ),
    ],
    "wrong": [
        (lambda units: keras.layers.Dense(units, "relu"), "the variance of Glorot"),
        (dense(mode="fan_in"), "Your layer: your weights have the variance of He."),
        (dense(scale=1.0, mode="fan_out"), "follows fan_out"),
        (dense(scale=4.0), "too wide"),
        (dense(distribution="truncated_normal"), "a uniform distribution is asked for"),
        (dense(kernel_initializer=initializers.RandomNormal()), "not a constant divided by"),
        (dense(activation=None), "there is no activation"),
        (dense(activation="tanh"), "are not ReLU"),
        (dense(bias_initializer="ones"), "do not start at 0"),
        (dense(kernel_initializer=SHARED), "start with the same weights"),
        (already_built, "has weights already"),
        (lambda units: dense()(units + 1), "Expected one dense kernel for 300 inputs and 900"),
        (lambda units: VarianceScaling(2.0, "fan_avg", "uniform"), "Expected a Keras layer"),
        (dense(use_bias=False), "are gone"),
        (lambda units: ONE_LAYER, "one layer object twice"),
        (3, "without parentheses"),
    ],
}


def simulated(activation, n=1_000_000):
    z = np.random.default_rng(1).standard_normal(n)
    return 1 / np.mean(activation(z) ** 2)


def simulated_in_batches(activation):
    z = np.random.default_rng(2).normal(size=(1_000, 1_000)).astype("float32")
    return float(np.mean([np.mean(np.square(activation(row))) for row in z])) ** -1


ANSWERS["simulated_scale"] = {
    "right": [simulated, simulated_in_batches],
    "wrong": [
        (lambda f: 2.0, "(f=`leaky_relu`)`: you give 2."),
        (
            lambda f: 1 / np.mean(f(np.random.default_rng(0).random(10**6)) ** 2),
            "evenly between 0 and 1",
        ),
        (lambda f: simulated(f, 50), "(f=`relu`)`: you give"),
        (lambda f: 1 / f(np.ones(3)) ** 2, "expected one number"),
        (lambda f: print(f), "returns nothing"),
    ],
}


def count(kernel):
    kept = []
    for column in np.asarray(kernel).T:
        if not any(np.abs(column - other).max() <= 1e-5 for other in kept):
            kept.append(column)
    return len(kept)


def count_by_distances(kernel):
    distances = np.abs(kernel[:, :, None] - kernel[:, None, :]).max(axis=0)
    alike = np.tril(distances <= 1e-5, k=-1)
    return np.sum(~alike.any(axis=1))


def count_and_sort(kernel):
    kernel.sort(axis=1)
    return count(kernel)


ANSWERS["different_units"] = {
    "right": [count, count_by_distances],
    "wrong": [
        (lambda kernel: len({tuple(column) for column in kernel.T.round(6)}), "round to 6 places"),
        (lambda kernel: np.unique(kernel.round(3), axis=1).shape[1], "you give 1."),
        (count_and_sort, "changes its argument `kernel` in place"),
        (lambda kernel: kernel.shape[1], "(kernel=an array of shape (5, 8))`: you give 8."),
        (lambda kernel: np.unique(kernel.round(6), axis=1), "expected one number"),
    ],
}


def repair(model):
    layers = [layer for layer in model.layers if layer.weights]
    for i, layer in enumerate(layers):
        last = i == len(layers) - 1
        make = initializers.GlorotUniform if last else initializers.HeUniform
        layer.kernel.assign(make(seed=i)(layer.kernel.shape))
        layer.bias.assign(np.zeros(layer.units))


def repair_all_at_once(model):
    rng = np.random.default_rng()
    weights = model.get_weights()
    for i in range(0, len(weights), 2):
        fan_in, fan_out = weights[i].shape
        last = i == len(weights) - 2
        variance = 2 / (fan_in + fan_out) if last else 2 / fan_in
        weights[i] = rng.normal(0, np.sqrt(variance), (fan_in, fan_out))
        weights[i + 1] = np.zeros(fan_out)
    model.set_weights(weights)
    return model


def repair_with(hidden, output=None, bias=0.0):
    """Draw kernels by functions of the shape; the output by Glorot unless told otherwise."""

    def variant(model):
        layers = [layer for layer in model.layers if layer.weights]
        for layer in layers:
            last = layer is layers[-1]
            make = (output or (lambda s: initializers.GlorotNormal()(s))) if last else hidden
            kernel = np.array(make(tuple(layer.kernel.shape)))
            layer.set_weights([kernel, np.full(layer.units, bias)])

    return variant


def fresh(name):
    return lambda shape: initializers.get(name)(shape)


def per_column(shape):
    return np.tile(
        np.random.default_rng(0).normal(0, (2 / shape[0]) ** 0.5, shape[1]), (shape[0], 1)
    )


def all_positive(shape):
    return np.abs(np.array(initializers.HeNormal()(shape)))


def half(shape):
    kernel = np.array(initializers.HeNormal()(shape))
    kernel[:, : shape[1] // 2] = kernel[:, -1:]
    return kernel


def repair_a_copy(model):
    copy = keras.models.clone_model(model)
    repair(copy)
    return copy


def repair_the_list(model):
    for weights in model.get_weights():
        weights += np.random.default_rng(0).normal(size=weights.shape)


def repair_first(model):
    layer = next(layer for layer in model.layers if layer.weights)
    layer.set_weights([initializers.HeNormal()(layer.kernel.shape), np.zeros(layer.units)])


def repair_three(model):
    for layer in model.layers[1:4]:
        layer.kernel.assign(initializers.HeNormal()(layer.kernel.shape))
    model.layers[-1].kernel.assign(initializers.GlorotNormal()(model.layers[-1].kernel.shape))


def repair_by_noise(model):
    for layer in model.layers[1:]:
        make = initializers.GlorotNormal if layer is model.layers[-1] else initializers.HeNormal
        noise = np.array(make()(layer.kernel.shape))
        layer.set_weights([layer.get_weights()[0] + noise, np.zeros(layer.units)])


def repair_and_pop(model):
    repair(model)
    model.pop()


ANSWERS["repair"] = {
    "right": [repair, repair_all_at_once, repair_with(fresh("he_normal"))],
    "wrong": [
        (repair_a_copy, "weights are as they were"),
        (repair_the_list, "weights are as they were"),
        (repair_first, "layer 2 of 5 dense layers all units are still twins"),
        (repair_with(lambda s: np.zeros(s)), "still twins"),
        (repair_with(half), "some units are still twins"),
        (repair_with(per_column), "differ in size only"),
        (repair_with(all_positive), "mean of the weights is not 0"),
        (repair_with(initializers.HeNormal(seed=1)), "Two layers of one shape"),
        (repair_with(lambda s: initializers.HeNormal(seed=1)(s)), "Two layers of one shape"),
        (
            repair_with(fresh("glorot_normal")),
            "ReLU layer 1: your weights have the variance of Glorot",
        ),
        (repair_with(fresh("lecun_normal")), "the variance of LeCun"),
        (repair_with(lambda s: initializers.RandomNormal(0, 0.01)(s)), "too narrow"),
        (repair_with(lambda s: initializers.RandomNormal(0, 1.0)(s)), "too wide"),
        (
            repair_with(fresh("he_normal"), fresh("he_normal")),
            "before the softmax: your weights have the variance of He.",
        ),
        (
            repair_with(fresh("he_normal"), fresh("lecun_normal")),
            "softmax: your weights have the variance of LeCun",
        ),
        (repair_with(fresh("he_normal"), bias=0.1), "some biases are not 0"),
        (repair_three, "layer 4 of 5 dense layers all units are still twins"),
        (repair_by_noise, "layer 3 of 5 dense layers the mean of the weights is not 0"),
        (repair_and_pop, "other layers than before"),
    ],
}
