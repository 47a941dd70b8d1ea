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
        (lambda ks, a, b: penalty(ks[:1], a, b), "Only the first kernel"),
        (
            lambda ks, a, b: sum(a * np.abs(w).mean() + b * (w**2).mean() for w in ks),
            "the mean over each kernel's",
        ),
        (
            lambda ks, a, b: penalty(ks, a, b) / sum(w.size for w in ks),
            "the mean over all weights",
        ),
        (lambda ks, a, b: penalty(ks, a, b / 2), "a factor ½"),
        (lambda ks, a, b: sum(a * w.sum() + b * (w**2).sum() for w in ks), "negative ones cancel"),
        (lambda ks, a, b: penalty(ks, b, a), "changed places"),
        (lambda ks, a, b: penalty(ks, 0, b), "ℓ2 alone"),
        (lambda ks, a, b: penalty(ks, a, 0), "ℓ1 alone"),
        (
            lambda ks, a, b: sum(a * np.abs(w).sum() + b * np.linalg.norm(w.ravel()) for w in ks),
            "its norm; the penalty has no root",
        ),
        (
            lambda ks, a, b: penalty(ks, a, 0) + b * np.sqrt(penalty(ks, 0, 1)),
            "the norm; the penalty has no root",
        ),
        (penalty_in_place, "changes its argument `kernels` in place"),
        (lambda ks, a, b: [penalty([w], a, b) for w in ks], "expected one number"),
        (lambda ks, a, b: 1.0, "is not right"),
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


def max_norm_over(axis, of_dense=0):
    def project(w, r):
        where = of_dense if w.ndim == 2 else axis
        return w * (r / np.maximum(np.sqrt(np.sum(w**2, axis=where, keepdims=True)), r))

    return project


def max_norm_by(size):
    def project(w, r):
        return w * (r / np.maximum(size(w, tuple(range(w.ndim - 1))), r))

    return project


def max_norm_in_place(kernel, r):
    kernel[...] = max_norm(kernel, r)
    return kernel


def max_norm_dividing_by_zero(w, r):
    with np.errstate(all="ignore"):
        norms = np.sqrt(np.sum(w**2, axis=tuple(range(w.ndim - 1)), keepdims=True))
        return w * np.minimum(norms, r) / norms


def grown(w, r):
    return w * r / np.sqrt(np.sum(w**2, axis=tuple(range(w.ndim - 1)), keepdims=True))


MAX_NORM = {
    "right": [max_norm, max_norm_of_keras, max_norm_unit_by_unit],
    "wrong": [
        (max_norm_over((0, 1, 2), of_dense=1), "one norm for each input"),
        (max_norm_over(0), "over the height alone"),
        (max_norm_over((0, 1)), "over height and width alone"),
        (max_norm_over((1, 2, 3)), "it is the height"),
        (max_norm_over((0, 1, 3)), "it is the input channel"),
        (max_norm_over(3), "over the filters too"),
        (max_norm_over(None, of_dense=None), "one norm together"),
        (max_norm_over(None), "one norm together"),
        (grown, "Short units become longer"),
        (max_norm_by(lambda w, axis: np.sum(w**2, axis=axis, keepdims=True)), "root is missing"),
        (
            max_norm_by(lambda w, axis: np.sum(np.abs(w), axis=axis, keepdims=True)),
            "You add absolute values",
        ),
        (lambda w, r: np.clip(w, -r, r), "cut every weight"),
        (lambda w, r: np.where(max_norm(w, r) == w, w, max_norm(w, r) / r), "norm 1, not r"),
        (lambda w, r: np.where(np.isclose(max_norm(w, r), w), w, 0), "long become 0"),
        (max_norm_dividing_by_zero, "all 0 becomes NaN"),
        (max_norm_in_place, "changes its argument `kernel` in place"),
        (lambda w, r: 0.99 * max_norm(w, r), "is not right"),
    ],
}

# Early stopping


def early_stopping(losses, patience, min_delta):
    best, best_epoch, waited = np.inf, 0, 0
    for epoch, loss in enumerate(losses):
        if loss < best - min_delta:
            best, best_epoch, waited = loss, epoch, 0
        else:
            waited += 1
            if waited == patience:
                return best_epoch, epoch
    return best_epoch, len(losses) - 1


def early_stopping_without_counter(losses, patience, min_delta):
    best = 0
    for epoch in range(1, len(losses)):
        if losses[epoch] < losses[best] - min_delta:
            best = epoch
        elif epoch - best >= patience:
            break
    else:
        epoch = len(losses) - 1
    return np.array(best), np.array(epoch)


def early_stopping_of_keras(losses, patience, min_delta):
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


def early_stopping_variant(mistake):
    def variant(losses, patience, min_delta):
        best, best_epoch, waited, before = np.inf, 0, 0, np.inf
        for epoch, loss in enumerate(losses):
            loss = -loss if mistake == "highest" else loss
            than = before if mistake == "previous" else best
            delta = 0 if mistake == "ignored" else min_delta
            better = loss <= than - delta if mistake == "equal" else loss < than - delta
            before = loss
            if better:
                best, best_epoch = loss, epoch
                waited = waited if mistake == "kept" else 0
                continue
            waited += 1
            if mistake == "small" and loss < best:
                best, best_epoch = loss, epoch
            if waited >= patience + {"late": 1, "soon": -1}.get(mistake, 0):
                break
        if mistake == "future":
            best_epoch = int(np.nanargmin(losses))
        return (epoch if mistake == "stop" else best_epoch), epoch

    return variant


def early_stopping_counting_nan(losses, patience, min_delta):
    kept = [i for i, loss in enumerate(losses) if loss == loss]
    best, end = early_stopping([losses[i] for i in kept], patience, min_delta)
    return kept[best], kept[end]


EARLY_STOPPING = {
    "right": [early_stopping, early_stopping_without_counter, early_stopping_of_keras],
    "wrong": [
        (early_stopping_variant("late"), "one epoch late"),
        (early_stopping_variant("soon"), "one epoch too soon"),
        (early_stopping_variant("kept"), "set your counter back"),
        (early_stopping_variant("previous"), "with the epoch before"),
        (early_stopping_variant("ignored"), "`min_delta` has no effect"),
        (early_stopping_variant("equal"), "just as good counts"),
        (early_stopping_variant("highest"), "the highest value"),
        (early_stopping_variant("future"), "epochs that never ran"),
        (early_stopping_variant("stop"), "the one at which training ends"),
        (early_stopping_variant("small"), "no improvement for either"),
        (lambda ls, p, d: early_stopping(ls, p, d)[::-1], "in the wrong order"),
        (lambda ls, p, d: [e + 1 for e in early_stopping(ls, p, d)], "You count epochs from 1"),
        (early_stopping_counting_nan, "NaN must count"),
        (lambda ls, p, d: early_stopping([*ls, 9, 9, 9, 9, 9], p, d), "is never stopped"),
        (lambda ls, p, d: early_stopping(ls, p, d)[0], "Expected two numbers"),
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
    def __init__(self, units, l1=0.0, l2=0.0):
        super().__init__()
        self.units, self.l1, self.l2 = units, l1, l2

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], self.units))
        self.c = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, inputs):
        self.add_loss(self.l1 * tf.reduce_sum(tf.abs(self.w)))
        self.add_loss(self.l2 * tf.reduce_sum(tf.square(self.w)))
        return tf.matmul(inputs, self.w) + self.c


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
        (elastic(lambda m, out: amount(m, m.kernel, m.bias)), "The bias is counted"),
        (elastic(lambda m, out: 2 * amount(m)), "added twice"),
        (elastic(lambda m, out: amount(m, out)), "You penalise the output"),
        (elastic(lambda m, out: amount(m) / 12), "the mean over each kernel's"),
        (elastic(lambda m, out: m.l2 * keras.ops.sum(m.kernel**2)), "ℓ2 alone"),
        (elastic(lambda m, out: m.l1 * keras.ops.sum(abs(m.kernel))), "ℓ1 alone"),
        (
            elastic(lambda m, out: amount(m) - m.l2 / 2 * keras.ops.sum(m.kernel**2)),
            "a factor ½",
        ),
        (elastic(lambda m, out: amount(m) + 1), "not the penalty of the kernel as it is"),
        (
            elastic(lambda m, out: keras.ops.stop_gradient(amount(m))),
            "its gradient with respect to the kernel",
        ),
        (
            elastic(lambda m, out: amount(m), lambda m, x, out: out - m.bias),
            "not that of a Dense layer",
        ),
        (elastic(lambda m, out: amount(m), lambda m, x, out: out[:, :2]), "The output has shape"),
        (partial(ElasticOnce), "as it is now"),
        (partial(ElasticInNumpy), "its gradient with respect to the kernel"),
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
        error = keras.ops.mean(keras.losses.mean_squared_error(y, model(x)))
        penalties = tf.constant(0.0)
        for loss in model.losses:
            penalties += loss
        parts = [error, penalties]
    optimizer.apply(tape.gradient(parts, model.trainable_variables), model.trainable_variables)
    return parts


def train_step_variant(mistake):
    def variant(model, optimizer, x, y):
        variables = model.trainable_variables
        with tf.GradientTape() as tape:
            if mistake == "stale":
                added = sum(model.losses)
            error = model(x) - y
            loss = tf.reduce_mean(tf.abs(error) if mistake == "absolute" else error**2)
            if mistake == "add_n":
                added = tf.add_n(model.losses)
            elif mistake != "stale":
                added = tf.constant(0.0) + sum(model.losses)
            part = {"first": model.losses[:1], "second": model.losses[1:]}.get(mistake)
            used = sum(part) if part else added
            factor = {"none": 0.0, "twice": 2.0, "minus": -1.0}.get(mistake, 1.0)
            data = 0.0 if mistake == "penalty only" else loss
            whole = data + factor * used
            if mistake == "uphill":
                whole = -whole
        gradients = tape.gradient(whole, variables)
        if gradients[0] is None:
            gradients = [0 * v for v in variables]
        for _ in range({"still": 0, "two steps": 2}.get(mistake, 1)):
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
        if mistake == "loss after":
            loss = tf.reduce_mean((model(x) - y) ** 2)
        if mistake == "penalty after":
            model(x)
            added = tf.constant(0.0) + sum(model.losses)
        return {
            "whole first": (whole, added),
            "whole second": (loss, whole),
            "order": (added, loss),
            "one": loss,
            "numpy": (loss.numpy(), added.numpy()) if mistake == "numpy" else None,
        }.get(mistake, (loss, added))

    return variant


TRAIN_STEP = {
    "right": [train_step, train_step_one_by_one, train_step_variant("")],
    "wrong": [
        (train_step_variant("none"), "as if there were no penalty"),
        (train_step_variant("twice"), "added twice"),
        (train_step_variant("minus"), "are subtracted"),
        (train_step_variant("penalty only"), "the data loss is missing"),
        (train_step_variant("first"), "Only a part of the penalties"),
        (train_step_variant("second"), "Only a part of the penalties"),
        (train_step_variant("uphill"), "uphill"),
        (train_step_variant("still"), "never applied"),
        (train_step_variant("two steps"), "applied twice"),
        (train_step_variant("absolute"), "not those of gradient descent"),
        (train_step_variant("stale"), "after the call of the model"),
        (train_step_variant("add_n"), "no penalty at all"),
        (train_step_variant("whole first"), "holds the penalty"),
        (train_step_variant("whole second"), "is the whole loss"),
        (train_step_variant("order"), "in the wrong order"),
        (train_step_variant("loss after"), "The first number is not"),
        (train_step_variant("penalty after"), "The second number is not"),
        (train_step_variant("one"), "Expected two numbers"),
        (train_step_variant("numpy"), "not inside `tf.function`"),
    ],
}

ANSWERS = {
    "penalty": PENALTY,
    "max_norm": MAX_NORM,
    "early_stopping": EARLY_STOPPING,
    "elastic_dense": ELASTIC_DENSE,
    "train_step": TRAIN_STEP,
}
