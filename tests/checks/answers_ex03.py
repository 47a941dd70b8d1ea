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
        (leaky_in_place, "changes its argument `z` in place"),
        (lambda z, a: np.maximum(a * z, z).ravel(), "your result has shape (12,)"),
        (lambda z, a: np.maximum(a * z, z) + 0.01, "at z = -0.5 you give"),
        (lambda z, a: np.where(z > 0, z, z / (a or 1)), "at z = -0.5 you give"),
        (lambda z, slope: np.maximum(slope * z, z) * (np.abs(z) < 99), "far out it goes wrong"),
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
        (lambda z, a: elu(np.maximum(z, -4), a), "you give"),
        (lambda z, a: np.maximum(z, 0), "a=0.6)`: at z = -0.5 you give 0 (wrong in 1"),
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
        (
            lambda z: SCALE * np.where(z > 0, z, ALPHA * (np.exp(z) - 1)),
            "for |z| up to 1000 there is trouble",
        ),
        (lambda z: SCALE * elu(z, ALPHA) * (z > -3), "you give -0"),
        (lambda z: np.maximum(z, 0), "at z = -0.5 you give 0"),
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
        (lambda z: gelu(z) * (z > -3), "you give -0"),
        (lambda z: np.where(np.abs(z) < 3, gelu(z), np.maximum(z, 0)), "you give 0"),
        (lambda z: np.maximum(z, 0), "at z = -0.5 you give 0"),
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
        (lambda z, b: z * special.expit(b * z) * (z > -4), "you give -0"),
        (lambda z, b: np.maximum(z, 0), "at z = -0.5 you give 0"),
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
        (lambda z: z * np.tanh(softplus(z)) * (z > -3), "you give -0"),
        (lambda z: np.maximum(z, 0), "at z = -0.5 you give 0"),
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


def prelu_variant(output=None, shape=lambda s: s[-1:], trainable=True):
    class Variant(Layer):
        def build(self, input_shape):
            start = keras.initializers.Constant(0.25)
            self.alpha = self.add_weight(
                shape=shape(input_shape), initializer=start, trainable=trainable
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
        (prelu_variant(shape=lambda s: (1, s[-1])), "has shape (1, 5)"),
        (prelu_variant(trainable=False), "not trainable"),
        (PReLUWithoutWeight, "has no weights"),
        (PReLUInNumPy, "not in a compiled training step"),
        (
            prelu_variant(lambda z, a: keras.ops.where(z > 0, z, tf.stop_gradient(a) * z)),
            "the slope after a step of training: at index 0 you give",
        ),
        (
            prelu_variant(lambda z, a: keras.ops.where(z > 0, tf.stop_gradient(z), a * z)),
            "the kernel of the layer below after a step",
        ),
        (prelu_variant(lambda z, a: z + a), "the output at the start, for inputs of shape (sam"),
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


class SwishWithNumber(Layer):
    def build(self, input_shape):
        self.beta = 1.0

    def call(self, inputs):
        return inputs * keras.ops.sigmoid(self.beta * inputs)


class SwishInTwoNumbers(Swish):
    def build(self, input_shape):
        super().build(input_shape)
        self.gamma = self.add_weight(shape=(), initializer="ones")


class SwishOfShapeOne(Swish):
    def build(self, input_shape):
        self.beta = self.add_weight(shape=(1,), initializer="ones")


class SwishWithRelu(Swish):
    def call(self, inputs):
        return keras.ops.relu(self.beta * inputs)


TRAINABLE_SWISH = {
    "right": [Swish, SwishMadeInInit, SwishByExponential],
    "wrong": [
        (SwishOfShapeOne, "has shape (1,)"),
        (SwishInTwoNumbers, "has 2 weights"),
        (SwishWithNumber, "has no weights"),
        (SwishWithRelu, "the output at the start, for inputs of shape (samples, 5): at index"),
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


def few_slopes(layer, z):
    u = keras.ops.floor(20 * keras.random.uniform(keras.ops.shape(z), seed=layer.seed_generator))
    return layer.lower + (layer.upper - layer.lower) * u / 19


class RReLUAlwaysTraining(Base):
    def call(self, inputs):
        return keras.ops.where(inputs < 0, self.mean * inputs, inputs)


RRELU = {
    "right": [RReLU, RReLUOfTensorFlow],
    "wrong": [
        (rrelu_variant(lambda s, z, t: s.draw(keras.ops.shape(z))), "nothing may be random"),
        (rrelu_variant(lambda s, z, t: s.mean), "all elements have one slope"),
        (at_test(lambda s: 0.77), "the output at test, limits (0.1, 0.5)"),
        (in_training(same_slopes), "two calls give the same"),
        (in_training(numpy_draw), "the same for ever"),
        (in_training(lambda s, z: s.draw((*z.shape[:-1], 1))), "share a slope"),
        (in_training(few_slopes), "some elements share a slope"),
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
        (lambda bs: (np.concatenate(bs) == 0).all(axis=0).sum(), "After a convolution"),
        (lambda bs: silent(np.concatenate(bs)), "True and False"),
        (lambda bs: count_by_any(bs) if bs[0].size != 20 else 3, "all alive or all dead"),
        (lambda bs: count_by_any(bs) * (len(bs) > 1), "With a single batch it goes wrong"),
        (lambda bs: 1000, "(bs=a list of 3 arrays)`: you give 1000."),
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
