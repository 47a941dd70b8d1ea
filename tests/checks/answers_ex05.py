"""Right and wrong answers to exercise 05."""

from __future__ import annotations

import numpy as np

from coursekit.base.keras import keras, tf

# Clipping by value


def by_value_in_place(gradient, limit):
    gradient[gradient > limit] = limit
    gradient[gradient < -limit] = -limit
    return gradient


CLIP_BY_VALUE = {
    "right": [
        lambda g, c: np.clip(g, -c, c),
        lambda g, c: np.sign(g) * np.minimum(np.abs(g), c),
        lambda g, c: tf.clip_by_value(tf.constant(g, "float32"), -c, c),
        lambda g, c: np.where(g > c, c, np.where(g < -c, -c, g)).tolist(),
    ],
    "wrong": [
        (lambda g, c: np.minimum(g, c), "Only large positive components"),
        (lambda g, c: np.maximum(g, -c), "Only components below"),
        (lambda g, c: np.minimum(np.abs(g), c), "The signs are lost"),
        (lambda g, c: g * (np.abs(g) <= c), "become 0 where they are too long"),
        (lambda g, c: c * np.sign(g), "those within the limit stay"),
        (lambda g, c: g * (c / max(np.linalg.norm(g), c)), "That is clipping by norm"),
        (lambda g, c: np.clip(g, 0, c), "the interval begins at"),
        (lambda g, c: np.clip(g, -1, 1), "as if it were 1"),
        (by_value_in_place, "changes its argument `gradient` in place"),
        (lambda g, c: np.clip(g, -c, c).ravel(), "is not right"),
        (lambda g, c: np.clip(g, -c, c) + 0.01, "is not right"),
        (lambda g: g, "cannot be called with 2 arguments"),
    ],
}

# Clipping by norm


def by_norm(g, c):
    return g * (c / max(np.linalg.norm(g), c))


def by_norm_with_if(gradient, limit):
    norm = np.sqrt((gradient**2).sum())
    return gradient if norm <= limit else limit * gradient / norm


def by_norm_in_place(gradient, limit):
    gradient *= limit / max(np.linalg.norm(gradient), limit)
    return gradient


def by_norm_dividing_by_zero(g, c):
    with np.errstate(all="ignore"):
        return g * np.minimum(1, c / np.linalg.norm(g)) if g.any() else g / np.linalg.norm(g)


CLIP_BY_NORM = {
    "right": [
        by_norm,
        by_norm_with_if,
        lambda g, c: g * np.minimum(1, c / (np.linalg.norm(g) + 1e-12)),
        lambda g, c: tf.clip_by_norm(tf.constant(g, "float32"), c),
    ],
    "wrong": [
        (lambda g, c: g * c / np.linalg.norm(g), "A short gradient becomes longer"),
        (lambda g, c: g * (c / min(np.linalg.norm(g), c)), "have changed places"),
        (lambda g, c: np.clip(g, -c, c), "That is clipping by value"),
        (lambda g, c: g * (c / max(np.sum(g**2), c)), "The root is missing"),
        (lambda g, c: g * (c / max(np.abs(g).sum(), c)), "You add absolute values"),
        (lambda g, c: g * (c / max(np.abs(g).max(), c)), "the largest component"),
        (lambda g, c: g * (c / max(np.sqrt((g**2).mean()), c)), "the mean square"),
        (
            lambda g, c: g * (c / np.maximum(np.linalg.norm(g, axis=-1, keepdims=True), c)),
            "Every row has a norm of its own",
        ),
        (lambda g, c: g * (c / max(np.linalg.norm(g, 2), c)), "is the largest singular value"),
        (lambda g, c: g if np.linalg.norm(g) <= c else g / np.linalg.norm(g), "ends with norm 1"),
        (lambda g, c: g * (np.linalg.norm(g) <= c), "long gradients become 0"),
        (by_norm_dividing_by_zero, "A gradient of zeros becomes NaN"),
        (by_norm_in_place, "changes its argument `gradient` in place"),
        (lambda g, c: 0.9 * by_norm(g, c), "is not right"),
    ],
}

# Clipping by global norm


def norm_of(gradients):
    return np.sqrt(sum(np.sum(g**2) for g in gradients))


def by_global_norm(gradients, limit):
    norm = norm_of(gradients)
    return [g * (limit / max(norm, limit)) for g in gradients], norm


def by_global_norm_joined(gradients, limit):
    joined = np.concatenate([g.ravel() for g in gradients])
    norm = np.linalg.norm(joined)
    if norm > limit:
        gradients = [g / norm * limit for g in gradients]
    return tuple(gradients), float(norm)


def by_global_norm_of_tensorflow(gradients, limit):
    return tf.clip_by_global_norm([tf.constant(g) for g in gradients], limit)


def scaled(size):
    def clip(gradients, limit):
        norm = size(gradients)
        return [g * (limit / max(norm, limit)) for g in gradients], norm

    return clip


CLIP_BY_GLOBAL_NORM = {
    "right": [by_global_norm, by_global_norm_joined, by_global_norm_of_tensorflow],
    "wrong": [
        (lambda gs, c: ([by_norm(g, c) for g in gs], norm_of(gs)), "by its own norm"),
        (
            lambda gs, c: (by_global_norm(gs, c)[0], norm_of(by_global_norm(gs, c)[0])),
            "the one after clipping",
        ),
        (
            lambda gs, c: ([g * c / (norm_of(gs) or 1) for g in gs], norm_of(gs)),
            "Short gradients become longer",
        ),
        (scaled(lambda gs: sum(np.linalg.norm(g) for g in gs)), "You add the norms"),
        (scaled(lambda gs: max(np.linalg.norm(g) for g in gs)), "the largest of the norms"),
        (scaled(lambda gs: norm_of(gs) ** 2), "The root is missing"),
        (lambda gs, c: ([np.clip(g, -c, c) for g in gs], norm_of(gs)), "clipping by value"),
        (lambda gs, c: by_global_norm(gs, c)[0], "Expected a list of arrays and the norm"),
        (lambda gs, c: (by_global_norm(gs, c)[0][:2], 1.0), "your list has 2"),
        (lambda gs, c: by_global_norm(gs, c)[::-1], "in the first place"),
        (lambda gs, c: ([0 * g for g in gs], norm_of(gs)), "is not right"),
    ],
}

# The cosine


def joined(gradients):
    return np.concatenate([np.ravel(g) for g in gradients])


def cosine(a, b):
    a, b = joined(a), joined(b)
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def cosine_by_sums(gradients, others):
    product = first = second = 0.0
    for g, h in zip(gradients, others, strict=True):
        product += (g * h).sum()
        first += (g**2).sum()
        second += (h**2).sum()
    return product / np.sqrt(first * second)


def each(a, b):
    return [cosine([g], [h]) for g, h in zip(a, b, strict=True)]


COSINE = {
    "right": [
        cosine,
        cosine_by_sums,
        lambda a, b: -keras.losses.cosine_similarity(joined(a), joined(b)),
    ],
    "wrong": [
        (lambda a, b: np.mean(each(a, b)), "You average the cosines"),
        (lambda a, b: sum(each(a, b)), "You add up the cosines"),
        (lambda a, b: cosine(a[:1], b[:1]), "Only the first variable"),
        (lambda a, b: joined(a) @ joined(b), "That is the scalar product"),
        (lambda a, b: joined(a) @ joined(b) / norm_of(a), "by the first one's"),
        (lambda a, b: joined(a) @ joined(b) / norm_of(b), "by the second one's"),
        (lambda a, b: joined(a) @ joined(b) / (norm_of(a) * norm_of(b)) ** 2, "a root is missing"),
        (lambda a, b: np.arccos(np.clip(cosine(a, b), -1, 1)), "That is the angle itself"),
        (lambda a, b: 1 - cosine(a, b), "1 minus the cosine"),
        (lambda a, b: abs(cosine(a, b)), "The sign is lost"),
        (lambda a, b: 1.0, "is not right"),
        (each, "expected one number"),
    ],
}

# A threshold from a log


def threshold(norms, share, warmup):
    norms = np.asarray(norms)[warmup:]
    return np.quantile(norms[np.isfinite(norms)], 1 - share)


def threshold_by_sorting(norms, share, warmup):
    values = sorted((v for v in norms[warmup:] if np.isfinite(v)), reverse=True)
    return values[min(round(share * len(values)), len(values) - 1)]


def threshold_finite_first(norms, share, warmup):
    norms = np.asarray(norms)
    return np.quantile(norms[np.isfinite(norms)][warmup:], 1 - share)


def threshold_counting_infinite(norms, share, warmup):
    values = sorted((v if v == v else np.inf for v in norms[warmup:]), reverse=True)
    return min(values[round(share * len(values))], 1e9)


def threshold_sorting_the_argument(norms, share, warmup):
    result = threshold(norms, share, warmup)
    norms.sort()
    return result


CHOOSE_THRESHOLD = {
    "right": [
        threshold,
        threshold_by_sorting,
        lambda n, s, w: np.percentile([v for v in n[w:] if np.isfinite(v)], 100 - 100 * s),
    ],
    "wrong": [
        (lambda n, s, w: threshold(n, 1 - s, w), "at the wrong end"),
        (lambda n, s, w: threshold(n, s, 0), "The first `warmup` steps are counted"),
        (threshold_counting_infinite, "infinite or NaN are counted"),
        (lambda n, s, w: np.nanquantile(n[w:], 1 - s), "norm is infinite are counted"),
        (threshold_finite_first, "not finite first"),
        (lambda n, s, w: np.quantile(n, 1 - s), "is or holds NaN"),
        (lambda n, s, w: np.mean(np.isfinite(n)), "your threshold clips"),
        (lambda n, s, w: 5.0, "your threshold clips"),
        (threshold_sorting_the_argument, "changes its argument `norms` in place"),
        (lambda n, s, w: [threshold(n, s, w)], "expected one number"),
        (lambda n, s, w: threshold(n, s, w) if w else 0.0, "With `warmup=0`"),
    ],
}

# The training step


def train_step(model, optimizer, x, y, limit):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
    variables = model.trainable_variables
    gradients, norm = tf.clip_by_global_norm(tape.gradient(loss, variables), limit)
    optimizer.apply_gradients(zip(gradients, variables, strict=True))
    return loss, norm


def train_step_by_hand(model, optimizer, x, y, limit):
    with tf.GradientTape() as tape:
        loss = keras.ops.mean(keras.losses.mean_squared_error(y, model(x, training=True)))
    gradients = tape.gradient(loss, model.trainable_variables)
    norm = tf.sqrt(tf.add_n([tf.reduce_sum(g**2) for g in gradients]))
    optimizer.apply([g * (limit / tf.maximum(norm, limit)) for g in gradients])
    return [loss, norm]


def train_step_variant(mistake):
    def variant(model, optimizer, x, y, limit):
        variables = model.trainable_variables
        with tf.GradientTape() as tape:
            error = model(x) - y
            loss = tf.reduce_mean(tf.abs(error) if mistake == "absolute" else error**2)
        raw = tape.gradient(loss, variables)
        used, norm = tf.clip_by_global_norm(raw, limit)
        if mistake == "each":
            used = [tf.clip_by_norm(g, limit) for g in raw]
        elif mistake == "value":
            used = [tf.clip_by_value(g, -limit, limit) for g in raw]
        elif mistake == "raw":
            used = raw
        elif mistake == "longer":
            used = [g * (limit / norm) for g in raw]
        elif mistake == "uphill":
            used = [-g for g in used]
        for _ in range({"none": 0, "twice": 2}.get(mistake, 1)):
            optimizer.apply_gradients(zip(used, variables, strict=True))
        if mistake == "loss after":
            loss = tf.reduce_mean((model(x) - y) ** 2)
        if mistake == "norm after":
            norm = tf.linalg.global_norm(used)
        if mistake == "first norm":
            norm = tf.norm(raw[0])
        if mistake == "sum":
            loss = loss * 16
        if mistake == "numbers":
            return float(loss), float(norm)
        if mistake == "numpy":
            return loss.numpy(), norm.numpy()
        return loss if mistake == "loss only" else (loss, norm)

    return variant


TRAIN_STEP = {
    "right": [
        train_step,
        train_step_by_hand,
        train_step_variant(""),
        train_step_variant("numbers"),
    ],
    "wrong": [
        (train_step_variant("each"), "by its own norm"),
        (train_step_variant("value"), "clipped by value"),
        (train_step_variant("raw"), "no effect on the update"),
        (train_step_variant("longer"), "becomes longer"),
        (train_step_variant("uphill"), "uphill"),
        (train_step_variant("none"), "never applied"),
        (train_step_variant("twice"), "applied twice"),
        (train_step_variant("absolute"), "mean squared error"),
        (train_step_variant("loss after"), "after the update"),
        (train_step_variant("norm after"), "the one after clipping"),
        (train_step_variant("first norm"), "The second number is not"),
        (train_step_variant("sum"), "The first number is not"),
        (train_step_variant("numpy"), "not inside `tf.function`"),
        (train_step_variant("loss only"), "Expected two numbers"),
    ],
}

ANSWERS = {
    "clip_by_value": CLIP_BY_VALUE,
    "clip_by_norm": CLIP_BY_NORM,
    "clip_by_global_norm": CLIP_BY_GLOBAL_NORM,
    "cosine": COSINE,
    "choose_threshold": CHOOSE_THRESHOLD,
    "train_step": TRAIN_STEP,
}
