"""Right and wrong answers to exercise 11."""

from __future__ import annotations

import numpy as np

from coursekit.base.keras import keras

# Inverted dropout


def dropout(x, rate, draw):
    return x * (draw.random(x.shape) >= rate) / (1 - rate)


def dropout_by_choice(x, rate, draw):
    return np.where(draw.binomial(1, 1 - rate, size=np.shape(x)) == 1, np.divide(x, 1 - rate), 0.0)


def dropout_of_keras(x, rate, draw):
    return keras.random.dropout(np.asarray(x, "float32"), rate, seed=int(draw.integers(2**31)))


def dropout_in_place(x, rate, draw):
    x[draw.random(x.shape) < rate] = 0
    return x / (1 - rate)


DROPOUT = {
    "right": [dropout, dropout_by_choice, dropout_of_keras],
    "wrong": [
        (
            lambda x, rate, draw: dropout(dropout(x, rate, draw), rate, draw),
            "With rate=0.3 you drop 5",
        ),
        (lambda x, rate, draw: 0 * x, "you drop 100%"),
        (dropout_in_place, "changes its argument `x` in place"),
        (
            lambda x, rate, draw: x * (draw.random(x.shape) >= rate) / (1 - rate) * 1.1,
            "With rate=0.3 the values that stay are scaled by 1.571",
        ),
        (lambda x, rate, draw: dropout(x, rate, draw) if rate else 0 * x, "With a rate of 0"),
        (lambda x, rate, draw: dropout(x, rate, draw).ravel(), "has shape (12000,)"),
        (lambda x, rate: x, "cannot be called with 3 arguments"),
    ],
}

# Weights after a training without scaling

KERNEL_FOR_PREDICTION = {
    "right": [
        lambda kernel, rate: kernel * (1 - rate),
        lambda kernel, rate: kernel - rate * kernel,
        lambda kernel, rate: ((1 - rate) * kernel).tolist(),
    ],
    "wrong": [
        (lambda kernel, rate: 0.25 * kernel, "rate=0.2)`: at kernel = "),
        (lambda kernel, rate: kernel / rate if rate else kernel, "rate=0.75)`: at kernel = "),
        (lambda kernel, rate: kernel * (1 - rate) if rate else 0 * kernel, "With a rate of 0"),
        (lambda kernel, rate: kernel.mean(), "your result has shape ()"),
    ],
}

# A dropout layer that is always on


class MCDropout(keras.layers.Dropout):
    def call(self, inputs, training=False):
        return super().call(inputs, training=True)


class MCDropoutByHand(keras.layers.Dropout):
    def call(self, inputs):
        if not self.rate:
            return inputs
        return keras.random.dropout(
            inputs, self.rate, noise_shape=self.noise_shape, seed=self.seed_generator
        )


class HalfAlways(keras.layers.Dropout):
    def call(self, inputs, training=False):
        return keras.random.dropout(inputs, 0.5, seed=self.seed_generator)


class ReturnsNothing(keras.layers.Dropout):
    def call(self, inputs, training=False):
        super().call(inputs, training=True)


class NumPyDropout(keras.layers.Dropout):
    def call(self, inputs, training=False):
        draw = np.random.default_rng()
        return inputs * (draw.random(inputs.shape) >= self.rate) / (1 - self.rate)


class NoDropout(keras.layers.Layer):
    def call(self, inputs):
        return inputs


MC_DROPOUT = {
    "right": [MCDropout, MCDropoutByHand],
    "wrong": [
        (HalfAlways, "With rate=0.25 you drop 50% of the values at prediction"),
        (ReturnsNothing, "The layer's output is None"),
        (NumPyDropout, "`noise_shape` has no effect"),
        (NoDropout, "is not a subclass of `keras.layers.Dropout`"),
        (MCDropout(0.5), "without parentheses"),
        (lambda rate: MCDropout(rate), "Expected your class itself"),
    ],
}

# Many predictions of one net

KINDS = (keras.layers.Dropout, keras.layers.AlphaDropout)


def mc_samples(model, x, samples, kinds=KINDS):
    passes = []
    for _ in range(samples):
        h = x
        for layer in model.layers:
            h = layer(h, training=isinstance(layer, kinds))
        passes.append(np.array(h))
    return np.stack(passes)


def mc_samples_of_coursekit(model, x, samples):
    import coursekit as ck

    return ck.mc_predict(model, x, samples=samples, seed=1).samples


def mc_samples_in_one_batch(model, x, samples):
    h = np.tile(x, (samples, 1))
    for layer in model.layers:
        h = layer(h, training="Dropout" in type(layer).__name__)
    return np.reshape(h, (samples, len(x), -1))


def mc_samples_with_frozen_layers(model, x, samples, thaw=True):
    for layer in model.layers:  # frozen, a batch normalisation works as at prediction
        layer.trainable = False
    passes = [np.array(model(x, training=True)) for _ in range(samples)]
    for layer in model.layers:
        layer.trainable = thaw
    return passes


MC_SAMPLES = {
    "right": [
        mc_samples,
        mc_samples_of_coursekit,
        mc_samples_in_one_batch,
        mc_samples_with_frozen_layers,
    ],
    "wrong": [
        (lambda m, x, s: np.stack([m(x, training=True) for _ in range(s)]), "change the model"),
        (lambda m, x, s: np.stack([m(x) for _ in range(s)]), "All passes are equal"),
        (lambda m, x, s: np.repeat(mc_samples(m, x, 1), s, axis=0), "copies of others"),
        (lambda m, x, s: mc_samples(m, x, 30), "has shape (30, 4, 3); expected (1, 4, 3)"),
        (
            lambda *args: mc_samples_with_frozen_layers(*args, thaw=False),
            "layers of the model frozen",
        ),
        (lambda m, x, s: 0.5 * mc_samples(m, x, s) + 1 / 6, "some units dropped"),
        (lambda m, x, s: mc_samples(m, x, s).mean(axis=0), "expected"),
        (lambda m, x, s: mc_samples(m, x, s + 1), "expected"),
        (lambda m, x, s: np.log(mc_samples(m, x, s)), "do not sum to 1"),
    ],
}

# Entropy


def entropy(p):
    p = np.asarray(p, dtype=float)
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)


def entropy_with_loops(probabilities):
    return [-sum(p * np.log(p) for p in row if p > 0) for row in probabilities]


def entropy_of_scipy(p):
    from scipy.stats import entropy as of

    return of(p, axis=1)


def entropy_with_nan(p):
    with np.errstate(all="ignore"):
        return -np.sum(p * np.log(p), axis=1)


PREDICTIVE_ENTROPY = {
    "right": [
        entropy,
        entropy_with_loops,
        entropy_of_scipy,
        lambda p: -np.sum(p * np.log(p + 1e-12), axis=-1),
    ],
    "wrong": [
        (entropy_with_nan, "is or holds NaN"),
        (lambda p: entropy(p).sum(), "has shape (); expected (any,)"),
        (lambda p: 1.1 * entropy(p), "at index 0 you give"),
        (lambda p: np.where((p == 0).any(axis=1), 0.1, entropy(p)), "a probability of 0"),
    ],
}


def information(samples):
    return entropy(samples.mean(axis=0)) - entropy(samples).mean(axis=0)


def information_with_loops(samples):
    found = []
    for i in range(samples.shape[1]):
        one = samples[:, i]
        found.append(entropy(one.mean(axis=0)) - np.mean([entropy(row) for row in one]))
    return found


def information_as_divergence(samples):
    mean = samples.mean(axis=0)
    ratio = np.where(samples > 0, samples, 1) / np.where(samples > 0, mean, 1)
    return (samples * np.log(ratio)).sum(axis=-1).mean(axis=0)


MUTUAL_INFORMATION = {
    "right": [information, information_with_loops, information_as_divergence],
    "wrong": [
        (lambda s: 2 * information(s), "at index 0 you give"),
        (lambda s: np.where((s == 0).any(axis=(0, 2)), 0, information(s)), "probabilities of 0"),
        (lambda s: information(s).mean(), "has shape (); expected (any,)"),
    ],
}

# Alpha dropout


def correction(rate, lowest):
    a = ((1 - rate) * (1 + rate * lowest**2)) ** -0.5
    return a, -a * rate * lowest


def correction_step_by_step(rate, lowest):
    mean = rate * lowest
    std = np.sqrt((1 - rate) * mean**2 + (1 - rate) + rate * (lowest - mean) ** 2)
    return [1 / std, -mean / std]


ALPHA_CORRECTION = {
    "right": [
        correction,
        correction_step_by_step,
        lambda r, low: np.array(correction(r, low)).tolist(),
        lambda r, low: np.array(correction(r, low)),
    ],
    "wrong": [
        (lambda r, low: correction(r, low)[0], "Expected `s`, `d`"),
        (lambda r, low: (1.0, 0.0), "`s`: you give 1"),
        (lambda r, low: correction(r, -abs(low)), "`d`: you give"),
    ],
}

ANSWERS = {
    "dropout": DROPOUT,
    "kernel_for_prediction": KERNEL_FOR_PREDICTION,
    "mc_dropout": MC_DROPOUT,
    "mc_samples": MC_SAMPLES,
    "predictive_entropy": PREDICTIVE_ENTROPY,
    "mutual_information": MUTUAL_INFORMATION,
    "alpha_correction": ALPHA_CORRECTION,
}
