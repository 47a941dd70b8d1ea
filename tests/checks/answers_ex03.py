"""Right and wrong answers to exercise 03."""

from __future__ import annotations

import numpy as np
from scipy import special

from coursekit.base.keras import keras, tf

ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805
ANSWERS = {}


def leaky_in_place(z, negative_slope):
    z[z < 0] *= negative_slope
    return z


def leaky_on_a_copy(z, negative_slope):
    z = z.copy()
    z[z < 0] *= negative_slope
    return z


ANSWERS["leaky_relu"] = {
    "right": [
        lambda z, a: np.maximum(a * z, z),
        lambda z, a: np.where(z > 0, z, a * z),
        lambda z, a: keras.activations.leaky_relu(tf.constant(z, "float32"), a),
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


def elu(z, alpha):
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def elu_by_parts(z, alpha):
    out = np.array(z, dtype=float)
    out[out < 0] = alpha * (np.exp(out[out < 0]) - 1)
    return out


ANSWERS["elu"] = {
    "right": [
        elu,
        elu_by_parts,
        lambda z, a: np.maximum(z, 0) + a * (np.exp(-np.maximum(-z, 0)) - 1),
        lambda z, a: keras.activations.elu(tf.constant(z, "float32"), alpha=a),
    ],
    "wrong": [
        (lambda z, a: np.where(z > 0, z, a * (np.exp(z) - 1)), "there is trouble on the way"),
        (lambda z, a: elu(np.maximum(z, -4), a), "you give"),
        (lambda z, a: np.maximum(z, 0), "a=0.6)`: at z = -0.5 you give 0 (wrong in 1"),
    ],
}

ANSWERS["selu"] = {
    "right": [
        lambda z: SCALE * elu(z, ALPHA),
        lambda z: np.where(z > 0, SCALE * z, SCALE * ALPHA * np.expm1(np.minimum(z, 0))),
        lambda z: keras.activations.selu(tf.constant(z, "float32")),
    ],
    "wrong": [
        (lambda z: SCALE * np.where(z > 0, z, ALPHA * (np.exp(z) - 1)), "there is trouble"),
        (lambda z: SCALE * elu(z, ALPHA) * (z > -3), "you give -0"),
        (lambda z: np.maximum(z, 0), "at z = -0.5 you give 0"),
    ],
}


def gelu(z):
    return z * (1 + special.erf(z / np.sqrt(2))) / 2


ANSWERS["gelu"] = {
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

ANSWERS["swish"] = {
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


def softplus(z):
    return np.logaddexp(0, z)


def mish_by_the_square(z):
    e = np.exp(-np.abs(z))
    square = np.where(z > 0, 1 + 2 * e, e * e + 2 * e)
    return z * square / (square + np.where(z > 0, 2 * e * e, 2))


ANSWERS["mish"] = {
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


class Layer(keras.layers.Layer):
    """A Keras layer whose class has a fingerprint: the tests ask all that has `get_weights`."""

    get_weights = staticmethod(list)


def layer(output, start, shape=lambda s: s[-1:], trainable=True):
    """A class that computes `output(inputs, weight)`."""

    class Made(Layer):
        def build(self, input_shape):
            at = keras.initializers.Constant(start)
            self.w = self.add_weight(shape(input_shape), initializer=at, trainable=trainable)

        def call(self, inputs):
            return output(inputs, self.w)

    return Made


def without_weight(output, value):
    class Made(Layer):
        def call(self, inputs):
            return output(inputs, value)

    return Made


def prelu(z, a):
    return keras.ops.where(z > 0, z, a * z)


def prelu_in_numpy(z, a):
    return tf.constant(np.where(np.array(z) > 0, np.array(z), np.array(a) * np.array(z)))


class PReLUByParts(Layer):
    def build(self, input_shape):
        quarter = lambda shape, dtype=None: tf.fill(shape, 0.25)  # noqa: E731
        self.slopes = self.add_weight(shape=input_shape[-1:], initializer=quarter)

    def call(self, inputs):
        return tf.nn.relu(inputs) - self.slopes * tf.nn.relu(-inputs)


ANSWERS["prelu"] = {
    "right": [
        layer(prelu, 0.25),
        layer(lambda z, a: z * keras.ops.where(z > 0, keras.ops.ones_like(a), a), 0.25),
        PReLUByParts,
    ],
    "wrong": [
        (layer(prelu, 0.25, lambda s: (1, s[-1])), "has shape (1, 5)"),
        (layer(prelu, 0.25, trainable=False), "not trainable"),
        (without_weight(prelu, 0.25), "has no weights"),
        (layer(prelu_in_numpy, 0.25), "not in a compiled training step"),
        (layer(lambda z, a: prelu(z, tf.stop_gradient(a)), 0.25), "the slope after a step"),
        (layer(lambda z, a: prelu(tf.stop_gradient(z), a), 0.25), "the kernel of the layer below"),
        (layer(lambda z, a: z + a, 0.25), "the output at the start, for inputs of shape (sam"),
        (layer(prelu, 0.25)(), "Expected your class itself"),
    ],
}


def swish(z, b):
    return z * keras.ops.sigmoid(b * z)


def single(shape):
    return ()


class SwishMadeInInit(Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.b = self.add_weight(shape=(), initializer=keras.initializers.Constant(1.0))

    def call(self, inputs):
        return tf.nn.silu(self.b * inputs) / self.b


class SwishWithTwoNumbers(SwishMadeInInit):
    def build(self, input_shape):
        self.gamma = self.add_weight(shape=(), initializer="ones")


ANSWERS["trainable_swish"] = {
    "right": [
        layer(swish, 1.0, single),
        layer(lambda z, b: z / (1 + keras.ops.exp(-b * z)), 1.0, single),
        SwishMadeInInit,
    ],
    "wrong": [
        (layer(swish, 1.0, lambda s: (1,)), "has shape (1,)"),
        (SwishWithTwoNumbers, "has 2 weights"),
        (without_weight(swish, 1.0), "has no weights"),
        (layer(lambda z, b: keras.ops.relu(b * z), 1.0, single), "(samples, 5): at index"),
        (lambda: SwishMadeInInit(), "Expected your class itself"),
    ],
}


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


ANSWERS["rrelu"] = {
    "right": [RReLU, RReLUOfTensorFlow],
    "wrong": [
        (rrelu_variant(lambda s, z, t: s.draw(keras.ops.shape(z))), "nothing may be random"),
        (rrelu_variant(lambda s, z, t: s.mean), "all elements have one slope"),
        (at_test(lambda s: 0.77), "the output at test, limits (0.1, 0.5)"),
        (in_training(same_slopes), "two calls give the same"),
        (in_training(numpy_draw), "the same for ever"),
        (in_training(lambda s, z: s.draw((*z.shape[:-1], 1))), "share a slope"),
        (in_training(few_slopes), "some elements share a slope"),
        (rrelu_variant(lambda s, z, t: s.mean, lambda z, a: a * z), "must stay as they are"),
        (in_training(lambda s, z: s.draw(z.shape)), "number of samples may be unknown"),
        (RReLUAlwaysTraining, "must take `training`"),
        (RReLU(), "Expected your class itself"),
    ],
}


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


ANSWERS["count_dead"] = {
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
