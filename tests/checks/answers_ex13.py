"""Right and wrong answers to exercise 13."""

from __future__ import annotations

import numpy as np

from coursekit.base.keras import keras, tf

# Seven cases

RIGHT = {"two_layers": "relu", "skips": "swish", "batches_of_one": "selu", "few_labels": "reuse",
         "phone": "shrink", "harm": "mc", "few_weights": "prune"}  # fmt: skip

CHOICES = {
    "right": [RIGHT, dict(reversed(RIGHT.items()))],
    "wrong": [
        (RIGHT | {"harm": ...}, "still holds"),
        ({k: v for k, v in RIGHT.items() if k != "harm"}, "is gone"),
        (RIGHT | {"harm": "dropout"}, "expected one of relu"),
        ("relu", "Expected the dict"),
    ],
}

# Standardising


def standardise(train, other):
    mean, std = train.mean(axis=0), train.std(axis=0)
    std = np.where(std == 0, 1, std)
    return (train - mean) / std, (other - mean) / std


def standardise_by_rows(train, other):
    mean, std = np.mean(train, 0), np.std(train, 0)
    std[std < 1e-9] = 1
    return [np.stack([(row - mean) / std for row in part]) for part in (train, other)]


def standardise_with(guard, clean=lambda part: part):
    def variant(train, other):
        with np.errstate(all="ignore"):
            std = guard(train.std(axis=0))
            return tuple(clean((part - train.mean(0)) / std) for part in (train, other))

    return variant


def standardise_in_place(train, other):
    result = standardise(train, other)
    train -= train.mean(axis=0)
    return result


STANDARDISE = {
    "right": [
        standardise,
        standardise_by_rows,
        lambda train, other: tuple(tf.constant(part) for part in standardise(train, other)),
        standardise_with(lambda std: std + (std == 0)),
    ],
    "wrong": [
        (standardise_with(lambda std: std), "Your `train` is or holds NaN"),
        (
            standardise_with(lambda std: std, lambda part: np.nan_to_num(part, posinf=0, neginf=0)),
            "the plain difference from the mean",
        ),
        (standardise_with(lambda std: std + 1e-7), "where a pixel is constant"),
        (standardise_with(lambda std: np.maximum(std, 0.1)), "`train`: at "),
        (standardise_in_place, "changes its argument `train` in place"),
        (lambda a, b: standardise(a, b)[0], "Expected `train`, `other`"),
        (lambda a, b: (standardise(a, b)[0] + 1, b), "`train`: at "),
    ],
}

# The one-batch check


def one_batch_loss(model, x, y, steps=150):
    x, y = x[:32], y[:32]
    before = model.get_weights()
    for _ in range(steps):
        model.train_on_batch(x, y)
    loss = model.evaluate(x, y, verbose=0)[0]
    model.set_weights(before)
    return loss


def one_batch_loss_with_fit(model, x, y, steps=150):
    before = [w.copy() for w in model.get_weights()]
    model.fit(x[:32], y[:32], batch_size=32, epochs=steps, verbose=0)
    right = model.predict(x[:32], verbose=0)[np.arange(32), y[:32]]
    model.set_weights(before)
    return -np.log(right).mean()


def one_batch_loss_in_a_copy(model, x, y, steps=150):
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    twin.compile_from_config(model.get_compile_config())
    return one_batch_loss(twin, x, y, steps)


def one_batch_variant(mistake):
    def variant(model, x, y, steps=100 if mistake == "default" else 150):
        before = model.get_weights()
        if mistake == "own optimizer":
            model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        for i in range(steps):
            rows = {"half": slice(16), "one": slice(i % 32, i % 32 + 1)}.get(mistake, slice(32))
            model.train_on_batch(x[rows], y[rows])
        result = model.evaluate(x[:32], y[:32], verbose=0)
        model.set_weights(before)
        return result if mistake == "list" else result[0]

    return variant


ONE_BATCH_LOSS = {
    "right": [
        one_batch_loss, one_batch_loss_with_fit, one_batch_loss_in_a_copy, one_batch_variant(""),
    ],
    "wrong": [
        (one_batch_variant("half"), "for a net with batch normalisation, 4 steps, the loss: you"),
        (one_batch_variant("one"), "for a net with batch normalisation, 4 steps, the loss: you"),
        (one_batch_variant("own optimizer"), "4 steps, the loss: you give"),
        (one_batch_variant("default"), "Keep the `steps=150`"),
        (one_batch_variant("list"), "expected one number"),
        (lambda m, x, y, s=150: 0.0, "the loss: you give 0"),
        (lambda m, x, y, s=150: True, "expected one number"),
        (lambda m, x, y: 0.0, "cannot be called with 4 arguments"),
        (lambda m, x, y, steps: one_batch_loss(m, x, y, steps), "Keep the `steps=150`"),
    ],
}  # fmt: skip

# The cure


def cure_variant(mistake="", by="standardising"):
    def cure(images, labels):
        x, y = images.copy(), labels.copy()
        if by == "standardising":
            x, _ = standardise(images, images)
        elif by == "whole images":
            flat = images.reshape(len(images), -1)
            x = (images - flat.mean(1)[:, None, None]) / flat.std(1)[:, None, None]
        elif by in ("rescaling", "batch normalisation"):
            x = 255 * images
        x, y = {"rows": (x[::-1], y), "half": (x[:100], y[:100])}.get(mistake, (x, y))
        layers = keras.layers
        first = {"rescaling": [layers.Rescaling(1 / 255)],
                 "batch normalisation": [layers.BatchNormalization()]}.get(by, [])  # fmt: skip
        last = layers.Dense(10, None if by == "logits" else "softmax")
        stack = [*first, layers.Flatten(), layers.Dense(60, "relu"), last]
        model = keras.Sequential([keras.Input(images.shape[1:]), *stack])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=by == "logits")
        rate = 300.0 if mistake == "high" else 0.05
        model.compile(keras.optimizers.SGD(rate, momentum=0.9), loss=loss)
        return (x, y) if mistake == "two" else (x, y, model)

    return cure


def cure_by_the_guidelines(images, labels):
    flat = images.reshape(len(images), -1)
    inputs = keras.Input(flat.shape[1:])
    h = keras.layers.Dense(80, "selu", kernel_initializer="lecun_normal")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax")(h))
    model.compile(
        keras.optimizers.Adam(0.003), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return flat - flat.mean(axis=0), labels, model


CURE = {
    "right": [
        cure_variant(),
        cure_variant(by="nothing"),
        cure_variant(by="rescaling"),
        cure_variant(by="batch normalisation"),
        cure_variant(by="whole images"),
        cure_by_the_guidelines,
    ],
    "wrong": [
        (cure_variant(by="logits"), "are no probabilities"),
        (cure_variant("rows"), "come back in another order than the labels"),
        (cure_variant("high"), "only at another learning rate"),
        (cure_variant("half"), "expected an array with 240 rows"),
        (cure_variant("two"), "Expected `images`, `labels`, `net`"),
        (lambda images, labels: (images, labels, None), "Expected a Keras model"),
        (lambda i, y: (list(i), *cure_variant()(i, y)[1:]), "Your images are a list of 240"),
    ],
}

# int8


def quantise(w):
    largest = np.abs(w).max(axis=tuple(range(w.ndim - 1)))
    scale = np.where(largest == 0, 1, largest) / 127
    return np.round(w / scale).astype(np.int8), scale


def quantise_by_columns(w):
    columns = w.reshape(-1, w.shape[-1])
    q, scales = np.zeros(columns.shape, dtype="int8"), []
    for j, column in enumerate(columns.T):
        scales.append(max(abs(column.min()), abs(column.max())) / 127 or 1.0)
        q[:, j] = np.rint(column / scales[-1])
    return q.reshape(w.shape), np.array(scales, dtype="float32")


def quantise_variant(top=127, dtype=np.int8, keep=False, axis=None):
    def variant(w):
        largest = np.abs(w).max(axis=tuple(range(w.ndim - 1)) if axis is None else axis)
        scale = largest / top if keep else np.where(largest == 0, 1, largest) / top
        with np.errstate(all="ignore"):
            return np.nan_to_num(np.round(w / scale)).astype(dtype), scale

    return variant


QUANTISE = {
    "right": [quantise, quantise_by_columns, quantise_variant()],
    "wrong": [
        (quantise_variant(dtype=np.int32), "has dtype int32; expected int8"),
        (quantise_variant(dtype=float), "expected int8"),
        (quantise_variant(keep=True), "A scale is not above 0"),
        (quantise_variant(top=100), "`q`: at "),
        (quantise_variant(axis=0), "Your `s` has shape (3, 2, 5); expected (5,)"),
        (lambda w: (quantise(w)[0], np.abs(w).max() / 127), "Your `s` is one number"),
        (lambda w: (quantise(w)[0], quantise(w)[1][None]), "Your `s` has shape (1, 4)"),
        (lambda w: (tf.constant(quantise(w)[0]), quantise(w)[1]), "expected a NumPy array"),
        (lambda w: quantise(w)[0], "Expected `q`, `s`"),
    ],
}

DEQUANTISE = {
    "right": [
        lambda q, s: q * s,
        lambda q, s: np.einsum("...u,u->...u", q.astype(float), s),
        lambda q, s: tf.cast(q, "float32") * s,
    ],
    "wrong": [
        (lambda q, s: np.floor(q * s), "at q = 22 you give 8"),
        (lambda q, s: (q * s).ravel(), "your result has shape (28,)"),
        (lambda q, s: (q * s).tolist(), "is a list of 7; expected an array"),
        (lambda q, s: s, "your result has shape (4,)"),
    ],
}

# float16


def to_float16(weights):
    top = np.finfo(np.float16).max
    halves = [
        np.clip(w, -top, top).astype(np.float16) if np.issubdtype(w.dtype, np.floating) else w
        for w in weights
    ]
    return halves, 1 - sum(h.nbytes for h in halves) / sum(w.nbytes for w in weights)


def to_float16_in_a_loop(weights):
    halves, before, after = [], 0, 0
    for w in weights:
        if w.dtype.kind == "f":
            h = np.maximum(np.minimum(w, 65504.0), -65504.0).astype("float16")
        else:
            h = w.copy()
        halves.append(h)
        before, after = before + w.nbytes, after + h.nbytes
    return tuple(halves), (before - after) / before


TO_FLOAT16 = {
    "right": [to_float16, to_float16_in_a_loop],
    "wrong": [
        (lambda ws: to_float16([w for w in ws if w.dtype.kind == "f"]), "a list of 3 arrays first"),
        (lambda ws: to_float16([np.clip(w, -9, 9) for w in ws]), "the arrays: place 1"),
        (lambda ws: (to_float16(ws)[0], 0.25), "`saved`: you give 0.25"),
        (lambda ws: to_float16(ws)[0], "Expected `halves`, `saved`"),
    ],
}

ANSWERS = {
    "choices": CHOICES,
    "standardise": STANDARDISE,
    "one_batch_loss": ONE_BATCH_LOSS,
    "cure": CURE,
    "quantise": QUANTISE,
    "dequantise": DEQUANTISE,
    "to_float16": TO_FLOAT16,
}
