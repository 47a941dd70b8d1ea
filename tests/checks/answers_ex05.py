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
        (by_value_in_place, "changes its argument `gradient` in place"),
        (lambda g, c: np.clip(g, -c, c).ravel(), "your result has shape (12,)"),
        (lambda g, c: np.clip(g, -c, c) + 0.01, "at g = "),
        (lambda g, c: np.clip(g, -c, c) if g.ndim < 3 else g, "An array of three axes"),
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
        (by_norm_dividing_by_zero, "A gradient of zeros must stay so"),
        (by_norm_in_place, "changes its argument `gradient` in place"),
        (lambda g, c: 0.9 * by_norm(g, c), "at g = "),
        (
            lambda g, c: g * (c / max(np.linalg.norm(g[0]), c)) if g.ndim > 1 else by_norm(g, c),
            "of shape (4, 3)",
        ),
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


CLIP_BY_GLOBAL_NORM = {
    "right": [by_global_norm, by_global_norm_joined, by_global_norm_of_tensorflow],
    "wrong": [
        (lambda gs, c: by_global_norm(gs, c)[0], "Expected a list of arrays and the norm"),
        (lambda gs, c: (by_global_norm(gs, c)[0][:2], norm_of(gs)), "their shapes, joined"),
        (lambda gs, c: ([g.ravel() for g in by_global_norm(gs, c)[0]], norm_of(gs)), "shapes"),
        (lambda gs, c: by_global_norm(gs, c)[::-1], "in the first place"),
        (lambda gs, c: ([0 * g for g in gs], norm_of(gs)), "`the clipped arrays, joined`: at"),
        (lambda gs, c: (by_global_norm(gs, c)[0], 1.0), "`norm`: you give 1."),
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


COSINE = {
    "right": [
        cosine,
        cosine_by_sums,
        lambda a, b: -keras.losses.cosine_similarity(joined(a), joined(b)),
    ],
    "wrong": [
        (lambda a, b: 1.0, "you give 1."),
        (lambda a, b: cosine(a, b) if len(a) > 1 else 1.0, "you give 1."),
        (lambda a, b: [cosine([g], [h]) for g, h in zip(a, b, strict=True)], "one number"),
    ],
}

# A threshold from a log


def threshold(norms, share, warmup=0):
    norms = np.asarray(norms)[warmup:]
    return np.quantile(norms[np.isfinite(norms)], 1 - share)


def threshold_by_sorting(norms, share, warmup=0):
    values = sorted((v for v in norms[warmup:] if np.isfinite(v)), reverse=True)
    return values[min(round(share * len(values)), len(values) - 1)]


def threshold_sorting_the_argument(norms, share, warmup=0):
    result = threshold(norms, share, warmup)
    norms.sort()
    return result


CHOOSE_THRESHOLD = {
    "right": [
        threshold,
        threshold_by_sorting,
        lambda n, s, w=0: np.percentile([v for v in n[w:] if np.isfinite(v)], 100 - 100 * s),
    ],
    "wrong": [
        (lambda n, s, w=0: np.nanquantile(n[w:], 1 - s), "norm is infinite are counted"),
        (lambda n, s, w=0: np.quantile(n, 1 - s), "Steps whose norm is NaN are counted"),
        (lambda n, s, w=0: np.mean(np.isfinite(n)), "share=0.15 and warmup=40 your threshold"),
        (lambda n, s, w=0: np.inf, "holds infinity"),
        (threshold_sorting_the_argument, "changes its argument `norms` in place"),
        (lambda n, s, w=0: [threshold(n, s, w)], "expected one number"),
        (lambda n, s, w=0: threshold(n, s, w) if w else 0.0, "warmup=0 your threshold clips 100%"),
        (lambda n, s, w: threshold(n, s, w), "cannot be called with 2 arguments"),
        (lambda n, s, w=10: threshold(n, s, w), "warmup=0"),
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


def train_step_telling(tell):
    def variant(model, optimizer, x, y, limit):
        variables = model.trainable_variables
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        raw = tape.gradient(loss, variables)
        used, norm = tf.clip_by_global_norm(raw, limit)
        optimizer.apply(used, variables)
        return tell(loss, norm, raw)

    return variant


def train_step_of_numbers(*given):
    loss, norm = train_step(*given)
    return float(loss), float(norm)


TRAIN_STEP = {
    "right": [
        train_step,
        train_step_by_hand,
        train_step_of_numbers,
    ],
    "wrong": [
        (train_step_telling(lambda loss, norm, raw: (loss, tf.norm(raw[0]))), "the norm of step 1"),
        (train_step_telling(lambda loss, norm, raw: (loss * 16, norm)), "the loss of step 1"),
        (
            train_step_telling(lambda loss, norm, raw: (loss.numpy(), norm.numpy())),
            "not inside Keras or `tf.function`",
        ),
        (train_step_telling(lambda loss, norm, raw: loss), "Expected `loss`, `norm`"),
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
