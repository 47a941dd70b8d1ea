"""Right and wrong answers to exercise 10."""

from __future__ import annotations

from functools import partial

import numpy as np

from coursekit.base.keras import keras, tf

# The penalty by hand


def penalty(kernels, l1, l2):
    return sum(l1 * np.abs(w).sum() + l2 * (w**2).sum() for w in kernels)


def penalty_of_keras(kernels, l1, l2):
    regulariser = keras.regularizers.L1L2(l1, l2)
    return sum(regulariser(tf.constant(w)) for w in kernels)


def penalty_in_place(kernels, l1, l2):
    for w in kernels:
        np.abs(w, out=w)
    return penalty(kernels, l1, l2)


PENALTY = {
    "right": [
        penalty,
        penalty_of_keras,
        lambda ks, a, b: float(sum(np.sum(abs(w) * (a + b * abs(w))) for w in ks)),
    ],
    "wrong": [
        (penalty_in_place, "changes its argument `kernels` in place"),
        (lambda ks, a, b: [penalty([w], a, b) for w in ks], "expected one number"),
        (lambda ks, a, b: 1.0, "(ks=a list of 3 arrays, a=0.3, b=0.04)`: you give 1."),
        (lambda ks, a, b: penalty(ks, a, b) / len(ks), "you give "),
        (lambda ks, a, b: penalty(ks, a, b) if b else 0.0, "one coefficient at 0"),
    ],
}

# Max-norm


def max_norm(w, r):
    norms = np.sqrt(np.sum(w**2, axis=tuple(range(w.ndim - 1)), keepdims=True))
    return w * (r / np.maximum(norms, r))


def max_norm_of_keras(kernel, r):
    axis = 0 if kernel.ndim == 2 else [0, 1, 2]
    return keras.constraints.MaxNorm(r, axis=axis)(tf.constant(kernel, "float32"))


def max_norm_unit_by_unit(kernel, r):
    kernel = kernel.copy()
    for unit in range(kernel.shape[-1]):
        norm = np.linalg.norm(kernel[..., unit].ravel())
        if norm > r:
            kernel[..., unit] *= r / norm
    return kernel


def max_norm_dividing_by_zero(w, r):
    with np.errstate(all="ignore"):
        norms = np.sqrt(np.sum(w**2, axis=tuple(range(w.ndim - 1)), keepdims=True))
        return w * np.minimum(norms, r) / norms


def max_norm_in_place(kernel, r):
    kernel[...] = max_norm(kernel, r)
    return kernel


MAX_NORM = {
    "right": [max_norm, max_norm_of_keras, max_norm_unit_by_unit],
    "wrong": [
        (max_norm_dividing_by_zero, "all 0 must stay as it is"),
        (max_norm_in_place, "changes its argument `kernel` in place"),
        (lambda w, r: 0.99 * max_norm(w, r), "at w = 0.0219942 you give 0.0217743"),
        (lambda w, r: max_norm(w, r) if w.ndim == 2 else w / r, "in, out], it goes wrong"),
    ],
}

# Early stopping


def early_stopping(losses, patience, min_delta=0.0):
    best, best_epoch, waited = np.inf, 0, 0
    for epoch, loss in enumerate(losses):
        if loss < best - min_delta:
            best, best_epoch, waited = loss, epoch, 0
        else:
            waited += 1
            if waited == patience:
                return best_epoch, epoch
    return best_epoch, len(losses) - 1


def early_stopping_without_counter(losses, patience, min_delta=0.0):
    best = 0
    for epoch in range(1, len(losses)):
        if losses[epoch] < losses[best] - min_delta:
            best = epoch
        elif epoch - best >= patience:
            break
    else:
        epoch = len(losses) - 1
    return np.array(best), np.array(epoch)


def early_stopping_of_keras(losses, patience, min_delta=0.0):
    class Nothing:
        stop_training = False

        def get_weights(self):
            return []

        def set_weights(self, weights):
            pass

    callback = keras.callbacks.EarlyStopping(
        "loss", patience=patience, min_delta=min_delta, mode="min", restore_best_weights=True
    )
    callback.set_model(Nothing())
    callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"loss": loss})
        if callback.model.stop_training:
            break
    return callback.best_epoch, epoch


def early_stopping_counting_nan(losses, patience, min_delta=0.0):
    kept = [i for i, loss in enumerate(losses) if loss == loss]
    best, end = early_stopping([losses[i] for i in kept], patience, min_delta)
    return kept[best], kept[end]


EARLY_STOPPING = {
    "right": [early_stopping, early_stopping_without_counter, early_stopping_of_keras],
    "wrong": [
        (early_stopping_counting_nan, "NaN must count"),
        (lambda ls, p, d=0.0: early_stopping([*ls, 9, 9, 9, 9, 9], p, d), "is never stopped"),
        (lambda ls, p, d=0.0: early_stopping(ls, p, d)[0], "Expected `best_epoch`, `last_epoch`"),
        (lambda ls, p, d=0.1: early_stopping(ls, p, d), "With the default settings"),
        (lambda ls, p, d=0.0: (3, 7), "`best_epoch`: you give 3"),
        (lambda ls, p: (0, 0), "cannot be called with 3 arguments"),
    ],
}

# The layer


class ElasticDense(keras.layers.Dense):
    def __init__(self, units, l1=0.0, l2=0.0, **kwargs):
        super().__init__(units, **kwargs)
        self.l1, self.l2 = l1, l2

    def call(self, inputs):
        absolute = keras.ops.sum(keras.ops.abs(self.kernel))
        self.add_loss(self.l1 * absolute + self.l2 * keras.ops.sum(self.kernel**2))
        return super().call(inputs)


class ElasticFromLayer(keras.layers.Layer):
    def __init__(self, units, l1=0.0, l2=0.0, activation=None):
        super().__init__()
        self.activation = keras.activations.get(activation)
        self.units, self.l1, self.l2 = units, l1, l2

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], self.units))
        self.c = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, inputs):
        self.add_loss(self.l1 * tf.reduce_sum(tf.abs(self.w)))
        self.add_loss(self.l2 * tf.reduce_sum(tf.square(self.w)))
        return self.activation(tf.matmul(inputs, self.w) + self.c)


def elastic(adds=None, gives=None):
    class Variant(ElasticDense):
        def call(self, inputs):
            output = keras.layers.Dense.call(self, inputs)
            if adds is not None:
                self.add_loss(adds(self, output))
            return output if gives is None else gives(self, inputs, output)

    return partial(Variant)


def amount(layer, *arrays):
    arrays = arrays or (layer.kernel,)
    return sum(
        layer.l1 * keras.ops.sum(keras.ops.abs(w)) + layer.l2 * keras.ops.sum(w**2) for w in arrays
    )


class ElasticOnce(ElasticDense):
    def build(self, shape):
        super().build(shape)
        self.amount = float(amount(self))

    def call(self, inputs):
        self.add_loss(keras.ops.convert_to_tensor(self.amount))
        return keras.layers.Dense.call(self, inputs)


class ElasticInNumpy(ElasticDense):
    def call(self, inputs):
        w = self.kernel.numpy()
        self.add_loss(keras.ops.convert_to_tensor(self.l1 * abs(w).sum() + self.l2 * (w**2).sum()))
        return keras.layers.Dense.call(self, inputs)


class ElasticEager(ElasticDense):
    def call(self, inputs):
        if not tf.executing_eagerly():
            raise ValueError("no values yet")
        return super().call(inputs)


# Classes are wrapped: a class of layers has `get_weights`, but no weights to be compared.
ELASTIC_DENSE = {
    "right": [
        partial(ElasticDense),
        partial(ElasticFromLayer),
        elastic(lambda layer, output: amount(layer)),
    ],
    "wrong": [
        (elastic(), "`layer.losses` is empty"),
        (elastic(lambda m, out: amount(m) + 1), "l2=0.07: you give 4.25877"),
        (
            elastic(lambda m, out: keras.ops.stop_gradient(amount(m))),
            "the gradient of the penalty with respect to the kernel: at index",
        ),
        (
            elastic(lambda m, out: amount(m), lambda m, x, out: out - m.bias),
            "the output: at index (0, 0) you give 0.634913",
        ),
        (elastic(lambda m, out: amount(m), lambda m, x, out: out[:, :2]), "The output has shape"),
        (partial(ElasticOnce), "the penalty for l1=0.3"),
        (partial(ElasticInNumpy), "but not in `model.fit`"),
        (partial(ElasticEager), "but not in `model.fit`"),
        (lambda units, l1, l2: keras.regularizers.L1L2(l1, l2), "should be a Keras layer"),
        (ElasticDense(4), "without parentheses"),
    ],
}

# The training step


def train_step(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        added = sum(model.losses)
        whole = loss + added
    gradients = tape.gradient(whole, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss, added


def train_step_one_by_one(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        error = keras.ops.mean(keras.losses.mean_squared_error(y, model(x, training=True)))
        penalties = tf.constant(0.0)
        for loss in model.losses:
            penalties += loss
        parts = [error, penalties]
    optimizer.apply(tape.gradient(parts, model.trainable_variables), model.trainable_variables)
    return parts


def train_step_by_keras(model, optimizer, x, y):
    """Everything that Keras has for it."""
    with tf.GradientTape() as tape:
        data = keras.losses.MeanSquaredError()(y, model(x, training=True))
        penalties = sum(model.losses, tf.zeros(()))
        loss = data + penalties
    optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
    return np.array([data, penalties]) if tf.executing_eagerly() else (data, penalties)


def train_step_variant(mistake):
    def variant(model, optimizer, x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
            added = tf.add_n(model.losses) if mistake == "add_n" else sum(model.losses)
            used = tf.stop_gradient(added + 0 * loss) if mistake == "constant" else added
            whole = loss + used / 2 if mistake == "half" else loss + used
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(whole, variables), variables, strict=True))
        if mistake == "numpy":
            return loss.numpy(), added
        return loss if mistake == "one" else (loss, added)

    return variant


def train_step_otherwise_in_a_graph(model, optimizer, x, y):
    return train_step(model, optimizer, x, y if tf.executing_eagerly() else 0 * y)


TRAIN_STEP = {
    "right": [train_step, train_step_one_by_one, train_step_by_keras],
    "wrong": [
        (train_step_variant("constant"), "as if there were no penalty"),
        (train_step_variant("half"), "the weights after a step: `penalised/kernel`: at index"),
        (train_step_variant("add_n"), "no penalty at all"),
        (train_step_variant("one"), "Expected `data_loss`, `penalty`"),
        (train_step_variant("numpy"), "not inside Keras or `tf.function`"),
        (train_step_otherwise_in_a_graph, "something else than step by step"),
    ],
}

ANSWERS = {
    "penalty": PENALTY,
    "max_norm": MAX_NORM,
    "early_stopping": EARLY_STOPPING,
    "elastic_dense": ELASTIC_DENSE,
    "train_step": TRAIN_STEP,
}
