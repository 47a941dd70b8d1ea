"""Right and wrong answers to exercise 03."""

from __future__ import annotations

import numpy as np
from scipy import special

from coursekit.base.keras import keras, tf

ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805

# LeakyReLU


def leaky_in_place(z, negative_slope):
    z[z < 0] *= negative_slope
    return z


def leaky_on_a_copy(z, negative_slope):
    z = z.copy()
    z[z < 0] *= negative_slope
    return z


LEAKY_RELU = {
    "right": [
        lambda z, a: np.maximum(a * z, z),
        lambda z, a: np.where(z > 0, z, a * z),
        lambda z, negative_slope: keras.activations.leaky_relu(
            tf.constant(z, "float32"), negative_slope=negative_slope
        ),
        leaky_on_a_copy,
    ],
    "wrong": [
        (lambda z, a: np.where(z > 0, z, -a * z), "wrong sign"),
        (lambda z, a: np.minimum(a * z, z), "acts on the positive side"),
        (lambda z, a: a * z, "Both sides have the small slope"),
        (lambda z, a: np.maximum(0, z), "That is ReLU"),
        (lambda z, a: np.maximum(z, -a), "it is no floor"),
        (lambda z, a: np.where(z > 0, z, a), "the slope multiplies z"),
        (lambda z, a: np.maximum(0.01 * z, z), "fixed at 0.01"),
        (lambda z, a: np.maximum(0.2 * z, z), "fixed at 0.2"),
        (leaky_in_place, "changes its argument `z` in place"),
        (lambda z, a: np.maximum(a * z, z).ravel(), "is not right"),
        (lambda z, a: np.maximum(a * z, z) + 0.01, "is not right"),
        (lambda z: z, "cannot be called with 2 arguments"),
    ],
}

# ELU


def elu(z, alpha):
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def elu_by_parts(z, alpha):
    out = np.array(z, dtype=float)
    out[out < 0] = alpha * (np.exp(out[out < 0]) - 1)
    return out


ELU = {
    "right": [
        elu,
        elu_by_parts,
        lambda z, a: np.maximum(z, 0) + a * (np.exp(-np.maximum(-z, 0)) - 1),
        lambda z, a: keras.activations.elu(tf.constant(z, "float32"), alpha=a),
    ],
    "wrong": [
        (
            lambda z, a: np.where(z > 0, z, a * (np.exp(z) - 1)),
            "for |z| up to 1000 there is trouble",
        ),
        (lambda z, a: elu(z, 1.0), "`alpha` has no effect"),
        (lambda z, a: np.where(z > 0, z, a * np.exp(z) - 1), "multiplies the exponential only"),
        (lambda z, a: np.where(z > 0, z, a * np.exp(z)), "The −1 is missing"),
        (lambda z, a: np.where(z > 0, z, a * (1 - np.exp(z))), "wrong sign"),
        (lambda z, a: a * np.expm1(z), "on both sides"),
        (lambda z, a: a * elu(z, 1.0), "the positive side, too"),
        (lambda z, a: np.where(z > 0, z, np.expm1(a * z)), "inside the exponential"),
        (lambda z, a: np.where(z > 0, z, a * np.expm1(-z)), "exponent has the wrong sign"),
        (lambda z, a: np.where(z < 0, z, a * np.expm1(z)), "have changed places"),
        (lambda z, a: elu(np.clip(z, -4, 4), a), "it goes wrong"),
        (lambda z, a: np.maximum(z, 0), "is not right"),
    ],
}

# SELU

SELU = {
    "right": [
        lambda z: SCALE * elu(z, ALPHA),
        lambda z: np.where(z > 0, SCALE * z, SCALE * ALPHA * np.expm1(np.minimum(z, 0))),
        lambda z: keras.activations.selu(tf.constant(z, "float32")),
    ],
    "wrong": [
        (lambda z: elu(z, ALPHA), "the factor λ is missing"),
        (lambda z: np.where(z > 0, z, SCALE * elu(z, ALPHA)), "the negative side only"),
        (lambda z: np.where(z > 0, SCALE * z, elu(z, ALPHA)), "the positive side only"),
        (lambda z: SCALE * elu(z, 1.0), "α has no effect"),
        (lambda z: ALPHA * elu(z, SCALE), "λ and α have changed places"),
        (lambda z: SCALE * ALPHA * elu(z, 1.0), "α multiplies the positive side"),
        (lambda z: elu(z, ALPHA) / SCALE, "You divide by λ"),
        (
            lambda z: SCALE * np.where(z > 0, z, ALPHA * (np.exp(z) - 1)),
            "for |z| up to 1000 there is trouble",
        ),
        (lambda z: np.maximum(z, 0), "is not right"),
    ],
}

# GELU


def gelu(z):
    return z * (1 + special.erf(z / np.sqrt(2))) / 2


GELU = {
    "right": [
        gelu,
        lambda z: z * special.ndtr(z),
        lambda z: z * special.erfc(-z / 2**0.5) / 2,
        lambda z: keras.activations.gelu(tf.constant(z), approximate=False),
    ],
    "wrong": [
        (
            lambda z: z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
            "approximation by tanh",
        ),
        (lambda z: z * special.expit(1.702 * z), "β = 1.702"),
        (lambda z: z * special.expit(z), "Swish with β = 1."),
        (special.ndtr, "Φ(z) alone"),
        (lambda z: z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi), "by the density"),
        (lambda z: z * (1 + special.erf(z)) / 2, "The root of 2 is missing"),
        (lambda z: z * (1 + special.erf(z * 2**0.5)) / 2, "You multiply by the root"),
        (lambda z: z * (1 + special.erf(z / 2)) / 2, "not by its root"),
        (lambda z: z * (1 + special.erf(z / 2**0.5)), "The factor ½ is missing"),
        (lambda z: z * special.erf(z / 2**0.5) / 2, "The 1 under the bracket"),
        (lambda z: z * (1 + special.erf(z / 2**0.5) / 2), "a bracket is missing"),
        (lambda z: np.maximum(z, 0), "is not right"),
    ],
}

# Swish

SWISH = {
    "right": [
        lambda z, b: z * special.expit(b * z),
        lambda z, b: z * (1 + np.tanh(b * z / 2)) / 2,
        lambda z, b: z * np.exp(-np.logaddexp(0, -b * z)),
        lambda z, b: tf.constant(z) * tf.sigmoid(b * tf.constant(z)),
    ],
    "wrong": [
        (lambda z, b: z / (1 + np.exp(-b * z)), "for |z| up to 1000 there is trouble"),
        (lambda z, b: z * special.expit(z), "`beta` has no effect"),
        (lambda z, b: special.expit(b * z), "the sigmoid alone"),
        (lambda z, b: b * z * special.expit(b * z), "outside, too"),
        (lambda z, b: b * z * special.expit(z), "`beta` stands outside"),
        (lambda z, b: z * special.expit(-b * z), "exponent has the wrong sign"),
        (lambda z, b: z * special.expit(z / b), "You divide by `beta`"),
        (lambda z, b: z * special.expit(z + b), "is added"),
        (lambda z, b: z * special.expit(b), "Only `beta` is inside"),
        (lambda z, b: z * np.tanh(b * z), "tanh in place of"),
        (lambda z, b: np.maximum(z, 0), "is not right"),
    ],
}

# Mish


def softplus(z):
    return np.logaddexp(0, z)


def mish_by_the_square(z):
    e = np.exp(-np.abs(z))
    square = np.where(z > 0, 1 + 2 * e, e * e + 2 * e)
    return z * square / (square + np.where(z > 0, 2 * e * e, 2))


MISH = {
    "right": [
        lambda z: z * np.tanh(softplus(z)),
        lambda z: z * np.tanh(np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))),
        lambda z: keras.activations.mish(tf.constant(z)),
        mish_by_the_square,
    ],
    "wrong": [
        (lambda z: z * np.tanh(np.log(1 + np.exp(z))), "for |z| up to 1000 there is trouble"),
        (
            lambda z: z * ((1 + np.exp(z)) ** 2 - 1) / ((1 + np.exp(z)) ** 2 + 1),
            "for |z| up to 1000 there is trouble",
        ),
        (lambda z: z * np.tanh(z), "The softplus is missing"),
        (lambda z: z * softplus(z), "The tanh is missing"),
        (lambda z: np.tanh(softplus(z)), "The factor z is missing"),
        (lambda z: z * softplus(np.tanh(z)), "have changed places"),
        (lambda z: z * special.expit(softplus(z)), "a sigmoid in place of tanh"),
        (lambda z: z * special.expit(z), "That is Swish"),
        (lambda z: z * np.tanh(softplus(-z)), "The sign of z in softplus"),
        (lambda z: z * np.tanh(1 + np.log(np.exp(z))), "Softplus adds 1"),
        (lambda z: softplus(z) * np.tanh(softplus(z)), "once more"),
        (lambda z: np.maximum(z, 0), "is not right"),
    ],
}

# The layers


class Layer(keras.layers.Layer):
    """A Keras layer whose class has a fingerprint: the tests ask all that has `get_weights`."""

    get_weights = staticmethod(list)


# PReLU


class PReLU(Layer):
    def build(self, input_shape):
        self.alpha = self.add_weight(
            shape=(input_shape[-1],), initializer=keras.initializers.Constant(0.25)
        )

    def call(self, inputs):
        return keras.ops.where(inputs > 0, inputs, self.alpha * inputs)


class PReLUByParts(Layer):
    def build(self, input_shape):
        quarter = lambda shape, dtype=None: tf.fill(shape, 0.25)  # noqa: E731
        self.slopes = self.add_weight(shape=input_shape[-1:], initializer=quarter)

    def call(self, inputs):
        return tf.nn.relu(inputs) - self.slopes * tf.nn.relu(-inputs)


class PReLUStartingInCall(PReLU):
    def build(self, input_shape):
        super().build(input_shape)
        self.built = True

    def call(self, inputs):
        return inputs * keras.ops.where(inputs > 0, keras.ops.ones_like(self.alpha), self.alpha)


def prelu_variant(output=None, shape=None, start=0.25, trainable=True):
    class Variant(Layer):
        def build(self, input_shape):
            self.alpha = self.add_weight(
                shape=input_shape[-1:] if shape is None else shape(input_shape),
                initializer=keras.initializers.Constant(start),
                trainable=trainable,
            )

        def call(self, inputs):
            if output is None:
                return keras.ops.where(inputs > 0, inputs, self.alpha * inputs)
            return output(inputs, self.alpha)

    return Variant


class PReLUWithoutWeight(Layer):
    def build(self, input_shape):
        self.alpha = np.full(input_shape[-1], 0.25, "float32")

    def call(self, inputs):
        return keras.ops.where(inputs > 0, inputs, self.alpha * inputs)


class PReLUInNumPy(PReLU):
    def call(self, inputs):
        z = np.array(inputs)
        return tf.constant(np.where(z > 0, z, np.array(self.alpha) * z))


PRELU = {
    "right": [PReLU, PReLUByParts, PReLUStartingInCall],
    "wrong": [
        (prelu_variant(lambda z, a: keras.ops.maximum(a * z, z)), "takes the wrong side"),
        (prelu_variant(lambda z, a: keras.ops.where(z > 0, a * z, z)), "on the positive side"),
        (prelu_variant(lambda z, a: keras.ops.where(z > 0, z, -a * z)), "wrong sign"),
        (prelu_variant(lambda z, a: a * z), "on both sides"),
        (prelu_variant(lambda z, a: keras.ops.relu(z)), "That is ReLU"),
        (prelu_variant(lambda z, a: keras.ops.where(z > 0, z, 0.25 * z)), "always 0.25"),
        (prelu_variant(shape=lambda s: ()), "each unit needs its own"),
        (prelu_variant(shape=lambda s: (1, s[-1])), "has shape (1, 5)"),
        (prelu_variant(start=0.0), "does not start where"),
        (prelu_variant(trainable=False), "not trainable"),
        (PReLUWithoutWeight, "has no weights"),
        (PReLUInNumPy, "not in a compiled training step"),
        (
            prelu_variant(lambda z, a: keras.ops.where(z > 0, z, tf.stop_gradient(a) * z)),
            "compiled training step",
        ),
        (prelu_variant(lambda z, a: z + a), "are not right"),
        (PReLU(), "Expected your class itself"),
    ],
}

# Swish with a learned β


class Swish(Layer):
    def build(self, input_shape):
        self.beta = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs):
        return inputs * keras.ops.sigmoid(self.beta * inputs)


class SwishMadeInInit(Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.b = self.add_weight(shape=(), initializer=keras.initializers.Constant(1.0))

    def call(self, inputs):
        return tf.nn.silu(self.b * inputs) / self.b


class SwishByExponential(Swish):
    def call(self, inputs):
        return inputs / (1 + keras.ops.exp(-self.beta * inputs))


def swish_variant(output=None, start=1.0, shape=lambda s: ()):
    class Variant(Layer):
        def build(self, input_shape):
            start_at = keras.initializers.Constant(start)
            self.beta = self.add_weight(shape=shape(input_shape), initializer=start_at)

        def call(self, inputs):
            if output is None:
                return inputs * keras.ops.sigmoid(self.beta * inputs)
            return output(inputs, self.beta)

    return Variant


class SwishWithNumber(Layer):
    def build(self, input_shape):
        self.beta = 1.0

    def call(self, inputs):
        return inputs * keras.ops.sigmoid(self.beta * inputs)


sigmoid = keras.ops.sigmoid
TRAINABLE_SWISH = {
    "right": [Swish, SwishMadeInInit, SwishByExponential],
    "wrong": [
        (swish_variant(lambda z, b: z * sigmoid(z)), "β has no effect"),
        (swish_variant(lambda z, b: b * z * sigmoid(z)), "β stands outside"),
        (swish_variant(lambda z, b: b * z * sigmoid(b * z)), "outside, too"),
        (swish_variant(lambda z, b: sigmoid(b * z)), "the sigmoid alone"),
        (swish_variant(lambda z, b: z * sigmoid(-b * z)), "exponent has the wrong sign"),
        (swish_variant(start=0.0), "does not start where"),
        (swish_variant(shape=lambda s: (s[-1],)), "learns 5 numbers"),
        (swish_variant(shape=lambda s: (1,)), "has shape (1,)"),
        (SwishWithNumber, "has no weights"),
        (swish_variant(lambda z, b: keras.ops.relu(z)), "are not right"),
        (lambda: Swish(), "Expected your class itself"),
    ],
}

# RReLU


class Base(Layer):
    def __init__(self, lower=1 / 8, upper=1 / 3, **kwargs):
        super().__init__(**kwargs)
        self.lower, self.upper = lower, upper
        self.seed_generator = keras.random.SeedGenerator(42)

    def draw(self, shape):
        return keras.random.uniform(shape, self.lower, self.upper, seed=self.seed_generator)

    @property
    def mean(self):
        return (self.lower + self.upper) / 2


class RReLU(Base):
    def call(self, inputs, training=False):
        slope = self.draw(keras.ops.shape(inputs)) if training else self.mean
        return keras.ops.where(inputs < 0, slope * inputs, inputs)


class RReLUOfTensorFlow(Base):
    def call(self, inputs, training=None):
        if not training:
            return tf.maximum(inputs, self.mean * inputs)
        slopes = tf.random.uniform(tf.shape(inputs), self.lower, self.upper)
        return tf.nn.relu(inputs) - slopes * tf.nn.relu(-inputs)


def rrelu_variant(slope, output=None):
    class Variant(Base):
        def call(self, inputs, training=False):
            a = slope(self, inputs, training)
            if output is not None:
                return output(inputs, a)
            return keras.ops.where(inputs < 0, a * inputs, inputs)

    return Variant


def at_test(value):
    return rrelu_variant(lambda s, z, t: s.draw(keras.ops.shape(z)) if t else value(s))


def in_training(draw):
    return rrelu_variant(lambda s, z, t: draw(s, z) if t else s.mean)


def numpy_draw(layer, z):
    shape = (8, 5) if z.shape[0] is None else z.shape
    return np.random.uniform(layer.lower, layer.upper, shape).astype("float32")  # noqa: NPY002


def same_slopes(layer, z):
    return keras.random.uniform(keras.ops.shape(z), layer.lower, layer.upper, seed=1)


class RReLUAlwaysTraining(Base):
    def call(self, inputs):
        return keras.ops.where(inputs < 0, self.mean * inputs, inputs)


RRELU = {
    "right": [RReLU, RReLUOfTensorFlow],
    "wrong": [
        (rrelu_variant(lambda s, z, t: s.draw(keras.ops.shape(z))), "nothing may be random"),
        (rrelu_variant(lambda s, z, t: s.mean), "all elements have one slope"),
        (at_test(lambda s: s.lower), "the lower limit"),
        (at_test(lambda s: s.upper), "the upper limit"),
        (at_test(lambda s: s.lower + s.upper), "the sum of the limits"),
        (at_test(lambda s: 0.0), "the negative side is 0"),
        (at_test(lambda s: 1.0), "does nothing"),
        (at_test(lambda s: (s.upper - s.lower) / 2), "half the width"),
        (at_test(lambda s: -s.mean), "wrong sign"),
        (at_test(lambda s: 0.77), "not the mean"),
        (in_training(lambda s, z: s.draw(())), "all elements have one slope"),
        (in_training(lambda s, z: s.draw((1, z.shape[-1]))), "all samples share"),
        (in_training(lambda s, z: s.draw((keras.ops.shape(z)[0], 1))), "all units of a sample"),
        (in_training(same_slopes), "two calls give the same"),
        (in_training(lambda s, z: s.draw(keras.ops.shape(z)) + 0.2), "outside of the limits"),
        (
            in_training(lambda s, z: s.mean + 0.5 * (s.draw(keras.ops.shape(z)) - s.mean)),
            "not spread evenly",
        ),
        (in_training(numpy_draw), "the same for ever"),
        (
            rrelu_variant(
                lambda s, z, t: s.draw(keras.ops.shape(z)) if t else s.mean, lambda z, a: a * z
            ),
            "must stay as they are",
        ),
        (in_training(lambda s, z: s.draw(z.shape)), "number of samples may be unknown"),
        (RReLUAlwaysTraining, "must take `training`"),
        (RReLU(), "Expected your class itself"),
    ],
}

# The counter of dead units


def rows(batches):
    return np.concatenate([b.reshape(-1, b.shape[-1]) for b in batches])


def count_by_any(batches):
    alive = False
    for outputs in batches:
        alive = alive | (outputs != 0).any(axis=tuple(range(outputs.ndim - 1)))
    return int((~alive).sum())


def count_by_sum(batches):
    total = sum(np.abs(b).sum(axis=tuple(range(b.ndim - 1))) for b in batches)
    return np.sum(total == 0)


def silent(batch):
    return (batch.reshape(-1, batch.shape[-1]) == 0).all(axis=0)


COUNT_DEAD = {
    "right": [
        count_by_any,
        count_by_sum,
        lambda batches: int((rows(batches).max(axis=0) == 0).sum()),
        lambda batches: tf.reduce_sum(tf.cast(tf.reduce_all(rows(batches) == 0, axis=0), tf.int32)),
    ],
    "wrong": [
        (lambda bs: np.any([silent(b) for b in bs], axis=0).sum(), "silent in one batch counts"),
        (lambda bs: sum(silent(b).sum() for b in bs), "counts more than once"),
        (lambda bs: np.mean([silent(b).sum() for b in bs]), "You average over"),
        (lambda bs: silent(bs[0]).sum(), "Only the first batch"),
        (lambda bs: silent(bs[-1]).sum(), "Only the last batch"),
        (lambda bs: (rows(bs) == 0).any(axis=0).sum(), "at least one sample"),
        (lambda bs: (rows(bs) == 0).sum(), "You count single zeros"),
        (lambda bs: (rows(bs) != 0).any(axis=0).sum(), "You count the living"),
        (lambda bs: (rows(bs) == 0).all(axis=0).mean(), "That is the share"),
        (lambda bs: (rows(bs) == 0).all(axis=1).sum(), "the other axis"),
        (lambda bs: (rows(bs).max(axis=0) < 0.01).sum(), "speaks faintly"),
        (lambda bs: (np.concatenate(bs) == 0).all(axis=0).sum(), "after a convolution"),
        (lambda bs: silent(np.concatenate(bs)), "True and False"),
        (lambda bs: count_by_any(bs) if len(bs) > 1 else 3, "all alive or all dead"),
        (lambda bs: 1000, "is not right"),
    ],
}

ANSWERS = {
    "leaky_relu": LEAKY_RELU,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "swish": SWISH,
    "mish": MISH,
    "prelu": PRELU,
    "trainable_swish": TRAINABLE_SWISH,
    "rrelu": RRELU,
    "count_dead": COUNT_DEAD,
}
