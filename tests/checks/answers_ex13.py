"""Right and wrong answers to exercise 13."""

from __future__ import annotations

import numpy as np

from coursekit.base.keras import keras, tf

# Seven cases

RIGHT = {
    "two_layers": "relu",
    "skips": "swish",
    "batches_of_one": "selu",
    "few_labels": "reuse",
    "phone": "shrink",
    "harm": "mc",
    "few_weights": "prune",
}

CHOICES = {
    "right": [RIGHT, dict(reversed(RIGHT.items()))],
    "wrong": [
        (RIGHT | {"two_layers": "swish"}, "are for deep nets"),
        (RIGHT | {"two_layers": "reuse"}, "names no such need"),
        (RIGHT | {"skips": "selu"}, "conditions of self-normalisation are broken"),
        (RIGHT | {"skips": "relu"}, "for shallow nets"),
        (RIGHT | {"batches_of_one": "swish"}, "the variance is 0"),
        (RIGHT | {"few_labels": "relu"}, "nothing to start from"),
        (RIGHT | {"few_labels": "mc"}, "first let it know more"),
        (RIGHT | {"phone": "prune"}, "no time for that"),
        (RIGHT | {"phone": "selu"}, "has to be trained again"),
        (RIGHT | {"harm": "shrink"}, "as sure of its wrong answers"),
        (RIGHT | {"few_weights": "shrink"}, "stay different from 0"),
        (RIGHT | {"few_weights": "mc"}, "the weights stay"),
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


def standardise_with_nan_to_num(train, other):
    with np.errstate(all="ignore"):
        parts = [(p - train.mean(0)) / train.std(0) for p in (train, other)]
    return tuple(np.nan_to_num(p, posinf=0, neginf=0) for p in parts)


def standardise_naively(train, other):
    with np.errstate(all="ignore"):
        return tuple((p - train.mean(0)) / train.std(0) for p in (train, other))


def standardise_in_place(train, other):
    result = standardise(train, other)
    train -= train.mean(axis=0)
    return result


def both(train, other):
    joined = np.concatenate([train, other])
    return standardise(joined, train)[1], standardise(joined, other)[1]


STANDARDISE = {
    "right": [
        standardise,
        standardise_by_rows,
        lambda train, other: tuple(tf.constant(part) for part in standardise(train, other)),
    ],
    "wrong": [
        (lambda a, b: (standardise(a, a)[0], standardise(b, b)[0]), "with its own statistics"),
        (both, "the test data leak"),
        (lambda a, b: (a / a.std(0), b / a.std(0)), "The mean is not subtracted"),
        (lambda a, b: (a - a.mean(0), b - a.mean(0)), "Nothing is divided"),
        (lambda a, b: ((a - a.mean(0)) / a.var(0), (b - a.mean(0)) / a.var(0)), "by the variance"),
        (
            lambda a, b: ((a - a.mean()) / a.std(), (b - a.mean()) / a.std()),
            "for all pixels together",
        ),
        (lambda a, b: (standardise(a, b)[0], b), "Only the second array"),
        (standardise_naively, "is constant in the training images your result is not finite"),
        (standardise_with_nan_to_num, "the plain difference from the mean"),
        (standardise_in_place, "changes its argument `train` in place"),
        (lambda a, b: standardise(a, b)[0], "Expected two arrays"),
        (lambda a, b: (standardise(a, b)[0] + 1, b), "is not right"),
    ],
}

# The one-batch check


def one_batch_loss(model, x, y, steps):
    x, y = x[:32], y[:32]
    before = model.get_weights()
    for _ in range(steps):
        model.train_on_batch(x, y)
    loss = model.evaluate(x, y, verbose=0)[0]
    model.set_weights(before)
    return loss


def one_batch_loss_with_fit(model, x, y, steps=10):
    before = [w.copy() for w in model.get_weights()]
    model.fit(x[:32], y[:32], batch_size=32, epochs=steps, verbose=0)
    right = model.predict(x[:32], verbose=0)[np.arange(32), y[:32]]
    model.set_weights(before)
    return -np.log(right).mean()


def one_batch_variant(mistake):
    def variant(model, x, y, steps):
        rows = len(x) if mistake in ("all rows", "measured on all") else 32
        used = 32 if mistake == "measured on all" else rows
        before = model.get_weights()
        if mistake == "half the rows":
            used = 16
        for i in range(steps + 1 if mistake == "a step more" else steps):
            if mistake != "one row at a time":
                model.train_on_batch(x[:used], y[:used])
            else:
                model.train_on_batch(x[i % 32 : i % 32 + 1], y[i % 32 : i % 32 + 1])
        if mistake == "put back too early":
            model.set_weights(before)
        result = model.evaluate(x[:rows], y[:rows], verbose=0)
        if mistake != "not put back":
            model.set_weights(before)
        if mistake == "list":
            return result
        return result[1] if mistake == "accuracy" else result[0]

    return variant


ONE_BATCH_LOSS = {
    "right": [one_batch_loss, one_batch_loss_with_fit, one_batch_variant("")],
    "wrong": [
        (one_batch_variant("not put back"), "comes back with other weights"),
        (one_batch_variant("put back too early"), "that of the untrained net"),
        (one_batch_variant("all rows"), "is about these 32 only"),
        (one_batch_variant("measured on all"), "on the first 32 only"),
        (one_batch_variant("a step more"), "it makes 8 updates"),
        (one_batch_variant("accuracy"), "learns 32 rows by heart"),
        (one_batch_variant("half the rows"), "an update on all 32 rows"),
        (one_batch_variant("list"), "expected one number"),
        (lambda m, x, y, s: 0.0, "with two softmaxes"),
        (lambda m, x, y, s: True, "expected one number"),
        (lambda m, x, y: 0.0, "cannot be called with 4 arguments"),
    ],
}

# The cure


def cure_variant(mistake="", by="standardising"):
    def cure(images, labels):
        x, y = images.copy(), labels.copy()
        if mistake == "255":
            x = 255 * x
        elif mistake == "naive":
            with np.errstate(all="ignore"):
                x = (x - x.mean(0)) / x.std(0)
        elif by == "standardising":
            x, _ = standardise(images, images)
        if mistake == "sorted":
            y = np.sort(y)
        elif mistake == "rows":
            x = x[::-1]
        elif mistake == "half":
            x, y = x[:100], y[:100]
        stack = [
            keras.Input(images.shape[1:]),
            keras.layers.Flatten(),
            keras.layers.Dense(60, "relu", kernel_initializer="he_normal"),
            keras.layers.Dense(10, None if by == "logits" else "softmax"),
        ]
        if mistake == "twice":
            stack.append(keras.layers.Softmax())
        rate = {"low": 1e-7, "high": 300.0}.get(mistake, 0.05)
        model = keras.Sequential(stack)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=by == "logits")
        if by == "one-hot":
            y, loss = np.eye(10)[y], "categorical_crossentropy"
        if mistake != "not compiled":
            model.compile(keras.optimizers.SGD(rate, momentum=0.9), loss=loss)
        return (x, y) if mistake == "two" else (x, y, model)

    return cure


def cure_by_the_guidelines(images, labels):
    flat = images.reshape(len(images), -1)
    net = [
        keras.layers.Dense(80, "selu", kernel_initializer="lecun_normal"),
        keras.layers.Dense(10, "softmax"),
    ]
    model = keras.Sequential([keras.Input(flat.shape[1:]), *net])
    model.compile(
        keras.optimizers.Adam(0.003), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return flat - flat.mean(axis=0), labels, model


CURE = {
    "right": [
        cure_variant(),
        cure_variant(by="logits"),
        cure_variant(by="one-hot"),
        cure_variant(by="nothing"),
        cure_by_the_guidelines,
    ],
    "wrong": [
        (cure_variant("sorted"), "no longer belong to their images"),
        (cure_variant("rows"), "in the same order"),
        (cure_variant("255"), "a net wants it near 1"),
        (cure_variant("naive"), "is or holds NaN"),
        (cure_variant("twice"), "at no learning rate"),
        (cure_variant("low"), "at another learning rate"),
        (cure_variant("high"), "at another learning rate"),
        (cure_variant("not compiled"), "without being compiled"),
        (cure_variant("half"), "240 labels went in"),
        (cure_variant("two"), "Expected images, labels and a net"),
        (lambda images, labels: (images, labels, None), "in the third place"),
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


def quantise_variant(top=127, size=None, rounded=np.round, dtype=np.int8, axis="units", keep=False):
    def variant(w):
        over = tuple(range(w.ndim - 1)) if axis == "units" else axis
        largest = np.abs(w).max(axis=over) if size is None else size(w, over)
        scale = np.asarray(largest / top)
        if not keep:
            scale = np.where(scale == 0, 1, scale)
        with np.errstate(all="ignore"):
            q = rounded(w / scale)
            return np.nan_to_num(q).astype(dtype), scale

    return variant


QUANTISE = {
    "right": [quantise, quantise_by_columns, quantise_variant()],
    "wrong": [
        (quantise_variant(axis=None), "One scale for the whole array"),
        (quantise_variant(rounded=np.trunc), "cut off, not rounded"),
        (quantise_variant(rounded=lambda v: v), "cut off, not rounded"),
        (quantise_variant(rounded=np.floor), "rounded down"),
        (quantise_variant(top=255), "changed their sign"),
        (quantise_variant(dtype=np.int32), "has dtype int32; expected int8"),
        (quantise_variant(dtype=float), "expected int8"),
        (quantise_variant(keep=True), "scale is not above 0"),
        (quantise_variant(top=100), "is not right"),
        (lambda w: quantise(w)[0], "Expected two arrays"),
        (lambda w: (quantise(w)[0], 1 / quantise(w)[1]), "is not right"),
    ],
}

DEQUANTISE = {
    "right": [
        lambda q, s: q * s,
        lambda q, s: np.einsum("...u,u->...u", q.astype(float), s),
        lambda q, s: tf.cast(q, "float32") * s,
    ],
    "wrong": [
        (lambda q, s: q / s, "You divide by the scale"),
        (lambda q, s: q * s[0], "One scale for all"),
        (lambda q, s: q * s.mean(), "The mean of all scales"),
        (lambda q, s: (q * s).astype(int), "cut to whole numbers"),
        (lambda q, s: (q * s).ravel(), "is not right"),
        (lambda q, s: s, "is not right"),
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


def with_share(change):
    def variant(weights):
        halves, saved = to_float16(weights)
        return halves, change(weights, halves, saved)

    return variant


def to_float16_to_infinity(weights):
    with np.errstate(all="ignore"):
        halves = [w.astype(np.float16) if w.dtype.kind == "f" else w for w in weights]
    return halves, to_float16(weights)[1]


def to_float16_to_nothing(weights):
    kept = [np.where(np.abs(w) > 65504, 0, w) if w.dtype.kind == "f" else w for w in weights]
    return to_float16(kept)


TO_FLOAT16 = {
    "right": [to_float16, to_float16_in_a_loop],
    "wrong": [
        (to_float16_to_infinity, "A weight has become infinite"),
        (to_float16_to_nothing, "Your arrays or your share"),
        (with_share(lambda w, h, saved: 1 - saved), "the one that is kept"),
        (with_share(lambda w, h, saved: saved / (1 - saved)), "of the size before"),
        (with_share(lambda w, h, saved: 100 * saved), "in per cent"),
        (with_share(lambda w, h, saved: 0.5), "Half is saved only"),
        (with_share(lambda w, h, saved: sum(p.nbytes for p in w) * saved), "the bytes saved"),
        (
            with_share(
                lambda w, h, saved: (
                    sum(p.size for p in w if p.dtype.kind == "f") / sum(p.size for p in w) / 2
                )
            ),
            "so count bytes",
        ),
        (lambda ws: ([w.astype("float16") for w in ws], 0.5), "array of whole numbers"),
        (lambda ws: (list(ws), 0.0), "expected float16"),
        (lambda ws: to_float16(ws)[0], "Expected two arrays"),
        (lambda ws: (to_float16(ws)[0][:2], 0.1), "Expected a list of 3 arrays"),
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
