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


def dropout_of_a_fixed_number(x, rate, draw):
    order = draw.random(x.shape).argsort(axis=-1)
    return np.where(order < round(rate * x.shape[-1]), 0.0, x) / (1 - rate)


def dropout_by_counting(x, rate, draw):
    kept = draw.random(x.shape) >= rate
    return x * kept / kept.mean(axis=-1, keepdims=True) if rate else x


def dropout_first_axis(x, rate, draw):
    return x * (draw.random((len(x), *[1] * (x.ndim - 1))) >= rate) / (1 - rate)


DROPOUT = {
    "right": [dropout, dropout_by_choice, dropout_of_keras],
    "wrong": [
        (lambda x, rate, draw: x * (draw.random(x.shape) >= rate), "are not scaled"),
        (lambda x, rate, draw: x * (draw.random(x.shape) >= rate) * (1 - rate), "You multiply by"),
        (lambda x, rate, draw: x * (draw.random(x.shape) >= rate) / rate, "You divide by the rate"),
        (lambda x, rate, draw: dropout(x, 1 - rate, draw), "You keep a value with probability"),
        (lambda x, rate, draw: dropout(dropout(x, rate, draw), rate, draw), "your function drops"),
        (lambda x, rate, draw: x, "Nothing is dropped"),
        (lambda x, rate, draw: 0 * x, "Everything is dropped"),
        (
            lambda x, rate, draw: x * (draw.random(x.shape[-1]) >= rate) / (1 - rate),
            "All samples get the same mask",
        ),
        (dropout_first_axis, "You drop whole samples"),
        (dropout_of_a_fixed_number, "the same number of units"),
        (dropout_by_counting, "not all scaled by the same factor"),
        (dropout_in_place, "changes its argument `x` in place"),
        (
            lambda x, rate, draw: dropout(x, rate, np.random.default_rng(0)),
            "the same whatever the generator",
        ),
        (
            lambda x, rate, draw: dropout(x, rate, np.random.default_rng()),
            "draw all random numbers from `draw`",
        ),
        (
            lambda x, rate, draw: x * (draw.random(x.shape) >= rate) / (1 - rate) * 1.1,
            "scaled by a wrong factor",
        ),
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
        (lambda kernel, rate: kernel / (1 - rate), "Your weights grow. At prediction"),
        (lambda kernel, rate: kernel * rate, "the share of units that were dropped"),
        (lambda kernel, rate: kernel / rate if rate else kernel, "Your weights grow, and by"),
        (lambda kernel, rate: kernel, "The kernel is unchanged"),
        (lambda kernel, rate: 0.25 * kernel, "is not right"),
        (lambda kernel, rate: kernel * (1 - rate) if rate else 0 * kernel, "With a rate of 0"),
        (lambda kernel, rate: kernel.mean(), "is not right"),
    ],
}

# A dropout layer that is always on


class Dropout(keras.layers.Dropout):
    """A dropout layer whose class has a fingerprint: the tests ask all that has `get_weights`."""

    get_weights = staticmethod(list)


class MCDropout(Dropout):
    def call(self, inputs, training=False):
        return super().call(inputs, training=True)


class MCDropoutByHand(Dropout):
    def call(self, inputs):
        return (
            keras.random.dropout(inputs, self.rate, seed=self.seed_generator)
            if self.rate
            else inputs
        )


class OrdinaryDropout(Dropout):
    def call(self, inputs, training=False):
        return super().call(inputs, training=training)


class OnlyAtPrediction(Dropout):
    def call(self, inputs, training=False):
        return super().call(inputs, training=not training)


class Unscaled(Dropout):
    def call(self, inputs, training=False):
        return super().call(inputs, training=True) * (1 - self.rate)


class HalfAlways(Dropout):
    def call(self, inputs, training=False):
        return keras.random.dropout(inputs, 0.5, seed=self.seed_generator)


class TheSameMask(Dropout):
    def call(self, inputs, training=False):
        return keras.random.dropout(inputs, self.rate, seed=7)


class ReturnsNothing(Dropout):
    def call(self, inputs, training=False):
        super().call(inputs, training=True)


class NoDropout(keras.layers.Layer):
    get_weights = staticmethod(list)

    def call(self, inputs):
        return inputs


MC_DROPOUT = {
    "right": [MCDropout, MCDropoutByHand],
    "wrong": [
        (OrdinaryDropout, "Nothing is dropped at prediction"),
        (OnlyAtPrediction, "Nothing is dropped in training"),
        (Unscaled, "are not scaled"),
        (HalfAlways, "your function drops"),
        (TheSameMask, "get the same mask"),
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


def mc_samples_whole_model(model, x, samples):
    return np.stack([model(x, training=True) for _ in range(samples)])


def mc_samples_put_back(model, x, samples):
    before = model.get_weights()
    passes = mc_samples_whole_model(model, x, samples)
    model.set_weights(before)
    return passes


MC_SAMPLES = {
    "right": [mc_samples, mc_samples_of_coursekit, mc_samples_in_one_batch],
    "wrong": [
        (mc_samples_whole_model, "change the model"),
        (mc_samples_put_back, "statistics of the batch"),
        (lambda m, x, s: np.stack([m(x) for _ in range(s)]), "All passes are equal"),
        (lambda m, x, s: np.repeat(mc_samples(m, x, 1), s, axis=0), "All passes are equal"),
        (
            lambda m, x, s: np.repeat(mc_samples(m, x, 2), s, axis=0)[: s * 2 : 2],
            "copies of others",
        ),
        (lambda m, x, s: mc_samples(m, x, s, keras.layers.Dropout), "All passes are equal"),
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
        (lambda p: -entropy(p), "never negative"),
        (lambda p: entropy(p) / np.log(2), "base 2"),
        (lambda p: entropy(p) / np.log(10), "base 10"),
        (lambda p: entropy(p) / p.shape[1], "You average over the classes"),
        (lambda p: -np.sum(np.log(np.where(p > 0, p, 1)), axis=1), "weighted by its p"),
        (lambda p: 1 - p.max(axis=1), "1 minus the largest"),
        (lambda p: -np.log(p.max(axis=1)), "minus the logarithm of the largest"),
        (entropy_with_nan, "is or holds NaN"),
        (lambda p: entropy(p).sum(), "one number for each row"),
        (lambda p: -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=0), "is not right"),
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
        (lambda s: entropy(s.mean(axis=0)), "of the average prediction alone"),
        (lambda s: entropy(s).mean(axis=0), "average entropy of the single passes"),
        (lambda s: -information(s), "have changed places"),
        (lambda s: entropy(s.mean(axis=0)) + entropy(s).mean(axis=0), "You add the two terms"),
        (lambda s: entropy(s.mean(axis=0)) - entropy(s).sum(axis=0), "take away the sum"),
        (lambda s: information(s) / np.log(2), "base 2"),
        (lambda s: s.std(axis=0).mean(axis=-1), "a spread of the passes"),
        (lambda s: information(s.swapaxes(0, 1)), "is not right"),
        (lambda s: information(s).mean(), "one number for each row"),
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


def changed(change):
    return lambda rate, lowest: change(*correction(rate, lowest))


ALPHA_CORRECTION = {
    "right": [
        correction,
        correction_step_by_step,
        lambda r, low: np.array(correction(r, low)).tolist(),
    ],
    "wrong": [
        (changed(lambda a, b: (a, -b)), "the sign of b"),
        (changed(lambda a, b: (a, b / a)), "your b forgets it"),
        (changed(lambda a, b: (1 / a, b / a**2)), "is the standard deviation of the mixture"),
        (changed(lambda a, b: (a**2, b * a)), "a root is missing"),
        (
            lambda r, low: (
                (1 - r + r * low**2) ** -0.5,
                -r * low * (1 - r + r * low**2) ** -0.5,
            ),
            "leaves out that the mean is not 0",
        ),
        (lambda r, low: correction(1 - r, low), "have changed places"),
        (changed(lambda a, b: (a, 0.0)), "b is 0"),
        (changed(lambda a, b: (b, a)), "the other way round"),
        (lambda r, low: (1 / (1 - r), 0.0), "ordinary dropout's scaling"),
        (changed(lambda a, b: a), "Expected the two numbers"),
        (lambda r, low: (1.0, 0.0), "is not right"),
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
