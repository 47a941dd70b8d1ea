"""Exercise 07: right answers, and wrong ones with the reason each must get."""

import keras
import numpy as np

# Better than the mean image?


def relative_error(originals, copies, pool):
    return np.mean((copies - originals) ** 2) / np.mean((pool.mean(axis=0) - originals) ** 2)


def relative_error_by_loops(originals, copies, pool):
    mean = sum(pool) / len(pool)
    own = sum(np.sum((c - o) ** 2) for c, o in zip(copies, originals, strict=True))
    return own / sum(np.sum((mean - o) ** 2) for o in originals)


def relative_error_in_place(originals, copies, pool):
    copies -= originals
    return np.mean(copies**2) / np.mean((pool.mean(axis=0) - originals) ** 2)


RELATIVE_ERROR = {
    "right": [relative_error, relative_error_by_loops],
    "wrong": [
        (lambda o, c, p: relative_error(o, c, o), "mean of the images that are judged"),
        (lambda o, c, p: relative_error(o, c, p.mean(keepdims=True)), "one number for all pixels"),
        (lambda o, c, p: 1 / relative_error(o, c, p), "upside down"),
        (lambda o, c, p: np.mean((c - o) ** 2), "not divided"),
        (
            lambda o, c, p: np.abs(c - o).mean() / np.abs(p.mean(axis=0) - o).mean(),
            "absolute errors",
        ),
        (lambda o, c, p: relative_error(o, c, p) ** 0.5, "roots of the errors"),
        (
            lambda o, c, p: np.mean(
                [relative_error(a[None], b[None], p) for a, b in zip(o, c, strict=True)]
            ),
            "a fraction for each image",
        ),
        (lambda o, c, p: 1 - relative_error(o, c, p), "from 1"),
        (lambda o, c, p: (c - o) ** 2, "expected one number"),
        (relative_error_in_place, "changes its argument `copies` in place"),
        (lambda o, c, p: 0.5, "is not right"),
    ],
}

# Which way is up


def rotation_task(images):
    turned = [np.rot90(images, k, axes=(1, 2)) for k in range(4)]
    return np.concatenate(turned), np.repeat(np.arange(4), len(images))


def rotation_image_by_image(images):
    turned, labels = [], []
    for image in images:
        for k in range(4):
            turned.append(image)
            labels.append(k)
            image = image.T[::-1]
    return turned, labels


def rotation_clockwise(images):
    turned = [np.rot90(images, -k, axes=(1, 2)) for k in range(4)]
    return np.concatenate(turned), np.repeat(np.arange(4), len(images))


def rotation_with(labels):
    return lambda images: (rotation_task(images)[0], labels(len(images)))


def rotation_flipped(images):
    turned = [images, images[:, ::-1], images[:, :, ::-1], images[:, ::-1, ::-1]]
    return np.concatenate(turned), np.repeat(np.arange(4), len(images))


def rotation_random(images):
    k = np.arange(len(images)) % 4
    return np.array([np.rot90(i, j) for i, j in zip(images, k, strict=True)]), k


ROTATION_TASK = {
    "right": [rotation_task, rotation_image_by_image, rotation_clockwise],
    "wrong": [
        (rotation_with(lambda n: np.tile(np.arange(4), n)), "do not belong to their images"),
        (rotation_with(lambda n: np.repeat([0, 90, 180, 270], n)), "degrees"),
        (rotation_with(lambda n: np.repeat([1, 2, 3, 4], n)), "counted from 0"),
        (rotation_with(lambda n: np.zeros(4 * n)), "once for every image"),
        (rotation_with(lambda n: np.arange(4)), "your labels have shape (4,)"),
        (rotation_flipped, "none of the given ones turned"),
        (rotation_random, "You return each image once"),
        (
            lambda images: (np.concatenate([images] * 4), np.repeat(np.arange(4), len(images))),
            "in all four positions",
        ),
        (
            lambda images: (
                np.stack([np.rot90(images, k, axes=(1, 2)) for k in range(4)]),
                np.repeat(np.arange(4), len(images)),
            ),
            "Join the four groups",
        ),
        (lambda images: rotation_task(images)[0], "Expected two arrays"),
    ],
}

# Hide patches


def mask_patches(images, patch, share, draw):
    n, side, _ = images.shape
    across = side // patch
    rank = draw.random((n, across**2)).argsort(axis=1)
    mask = (rank < round(share * across**2)).reshape(n, across, across)
    mask = mask.repeat(patch, axis=1).repeat(patch, axis=2)
    return np.where(mask, 0, images), mask


def mask_image_by_image(images, patch, share, draw):
    masked, mask = images.copy(), np.zeros(images.shape, int)
    across = images.shape[1] // patch
    for i in range(len(images)):
        for p in draw.choice(across**2, round(share * across**2), replace=False):
            row, column = patch * (p // across), patch * (p % across)
            mask[i, row : row + patch, column : column + patch] = 1
    masked[mask == 1] = 0
    return masked, mask


def mask_variant(mistake):
    def variant(images, patch, share, draw):
        n, side, _ = images.shape
        across = side // patch
        if mistake == "own generator":
            draw = np.random.default_rng()
        if mistake == "fixed seed":
            draw = np.random.default_rng(0)
        rank = draw.random((n, across**2)).argsort(axis=1)
        if mistake == "all alike":
            rank = rank[:1].repeat(n, axis=0)
        if mistake == "first ones":
            rank = np.array([np.roll(np.arange(across**2), draw.integers(0, 3)) for _ in rank])
        if mistake == "pixels":
            patch, across = 1, side
            rank = draw.random((n, side**2)).argsort(axis=1)
        number = round(share * across**2)
        mask = rank < number
        if mistake == "coins":
            mask = draw.random((n, across**2)) < share
        if mistake == "one too many":
            mask = rank < number + 1
        mask = mask.reshape(n, across, across).repeat(patch, axis=1).repeat(patch, axis=2)
        masked = np.where(mask, 0.5 if mistake == "grey" else 0, images)
        if mistake == "inverted":
            return masked, ~mask
        if mistake == "kept":
            masked = np.where(mask, images, 0)
        if mistake == "scaled":
            masked = masked / (1 - share)
        if mistake == "small mask":
            mask = mask[:, ::patch, ::patch]
        return masked if mistake == "no mask" else (masked, mask)

    return variant


def mask_in_place(images, patch, share, draw):
    masked, mask = mask_patches(images, patch, share, draw)
    images[:] = masked
    return images, mask


MASK_PATCHES = {
    "right": [mask_patches, mask_image_by_image],
    "wrong": [
        (mask_variant("inverted"), "wrong way round"),
        (mask_variant("coins"), "differs from image to image"),
        (mask_variant("all alike"), "All images have the same patches hidden"),
        (mask_variant("pixels"), "hidden in part"),
        (mask_variant("one too many"), "you hide"),
        (mask_variant("grey"), "but not 0 in the image"),
        (mask_variant("kept"), "the wrong way round"),
        (mask_variant("scaled"), "must stay as they are"),
        (mask_variant("first ones"), "far more often"),
        (mask_variant("fixed seed"), "the very same patches"),
        (mask_variant("own generator"), "use `draw` for all randomness"),
        (mask_variant("small mask"), "your mask has shape"),
        (mask_variant("no mask"), "Expected two arrays"),
        (mask_in_place, "changes its argument `images` in place"),
    ],
}

# The error that counts


def hidden_error(guesses, images, mask):
    return np.mean((guesses - images)[mask] ** 2)


HIDDEN_ERROR = {
    "right": [
        hidden_error,
        lambda g, i, m: np.sum((g - i) ** 2 * m) / m.sum(),
        lambda g, i, m: keras.losses.mean_squared_error(i[m], g[m]),
    ],
    "wrong": [
        (lambda g, i, m: np.mean((g - i) ** 2), "All pixels are counted"),
        (lambda g, i, m: np.mean((g - i)[~m] ** 2), "The visible pixels are counted"),
        (lambda g, i, m: np.mean(((g - i) * m) ** 2), "divide by the number of all pixels"),
        (lambda g, i, m: np.sum((g - i)[m] ** 2), "the sum of the squares"),
        (
            lambda g, i, m: np.mean([hidden_error(*one) for one in zip(g, i, m, strict=True)]),
            "average the images' own errors",
        ),
        (lambda g, i, m: np.mean(np.abs(g - i)[m]), "Absolute errors"),
        (lambda g, i, m: np.sqrt(hidden_error(g, i, m)), "the root of the mean"),
        (lambda g, i, m: (g - i)[m] ** 2, "expected one number"),
        (lambda g, i, m: 0.1, "is not right"),
    ],
}

# A head on the encoder


def copy_of(encoder):
    copy = keras.models.clone_model(encoder)
    copy.set_weights(encoder.get_weights())
    return copy


def with_head(encoder, n_classes, frozen):
    body = copy_of(encoder)
    body.trainable = not frozen
    return keras.Sequential([body, keras.layers.Dense(n_classes, activation="softmax")])


def with_head_functional(encoder, n_classes, frozen):
    body = copy_of(encoder)
    for layer in body.layers:
        layer.trainable = not frozen
    inputs = keras.Input(encoder.input_shape[1:])
    logits = keras.layers.Dense(n_classes, use_bias=False)(body(inputs))
    return keras.Model(inputs, keras.layers.Softmax()(logits))


def head_variant(mistake):
    def variant(encoder, n_classes, frozen):
        body = copy_of(encoder)
        if mistake == "shared":
            body = encoder
        if mistake == "structure only":
            body = keras.models.clone_model(encoder)
        if mistake == "freezes the original":
            encoder.trainable = not frozen
        if mistake != "never frozen":
            body.trainable = mistake == "other way" if frozen else mistake != "other way"
        if mistake == "always frozen":
            body.trainable = False
        if mistake == "one layer frozen" and frozen:
            body.trainable = True
            body.layers[-1].trainable = False
        activation = {"linear": None, "sigmoid": "sigmoid"}.get(mistake, "softmax")
        layers = [body, keras.layers.Dense(n_classes, activation=activation)]
        if mistake == "hidden layer":
            layers.insert(1, keras.layers.Dense(6, activation="relu"))
        if mistake == "ten classes":
            layers[-1] = keras.layers.Dense(10, activation="softmax")
        if mistake == "all frozen" and frozen:
            layers[-1].trainable = False
        return keras.Sequential(layers)

    return variant


WITH_HEAD = {
    "right": [with_head, with_head_functional],
    "wrong": [
        (head_variant("never frozen"), "every weight is still trainable"),
        (head_variant("always frozen"), "With frozen=False only"),
        (head_variant("other way"), "every weight is still trainable"),
        (head_variant("one layer frozen"), "it must be the head's"),
        (head_variant("all frozen"), "it must be the head's"),
        (head_variant("structure only"), "or only the structure"),
        (head_variant("freezes the original"), "that was passed in is frozen now"),
        (head_variant("linear"), "no class probabilities"),
        (head_variant("sigmoid"), "no class probabilities"),
        (head_variant("hidden layer"), "The head must be one layer"),
        (head_variant("ten classes"), "the output has shape (24, 10)"),
        (lambda encoder, n_classes, frozen: encoder, "the encoder itself"),
        (lambda encoder, n_classes, frozen: [encoder], "Expected a Keras model"),
        (
            lambda encoder, n_classes, frozen=True: with_head(encoder, n_classes, True),
            "frozen=False",
        ),
        (head_variant("shared"), "frozen now"),
        (lambda e, n, f: keras.Sequential([e, keras.layers.Dense(n, "softmax")]), "every weight"),
    ],
}

# Frozen or fine-tuned?


def choose(frozen, tuned):
    gains = np.subtract(tuned, frozen)
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return "fine-tuned" if gains.mean() > 2 * error else "frozen"


def choose_in_plain_python(frozen, tuned):
    gains = [t - f for f, t in zip(frozen, tuned, strict=True)]
    n = len(gains)
    mean = sum(gains) / n
    variance = sum((g - mean) ** 2 for g in gains) / (n - 1)
    return "frozen" if mean <= 2 * (variance / n) ** 0.5 else "fine-tuned"


def choose_against(error):
    def variant(frozen, tuned):
        frozen, tuned = np.array(frozen), np.array(tuned)
        return "fine-tuned" if np.mean(tuned - frozen) > error(frozen, tuned) else "frozen"

    return variant


def choose_by(test):
    return lambda f, t: "fine-tuned" if test(np.array(f), np.array(t)) else "frozen"


CHOOSE = {
    "right": [choose, choose_in_plain_python],
    "wrong": [
        (lambda f, t: {"frozen": "fine-tuned"}.get(choose(f, t), "frozen"), "wrong way round"),
        (choose_against(lambda f, t: 0), "You take the larger mean"),
        (choose_by(lambda f, t: t.max() > f.max()), "the luckiest split"),
        (
            choose_against(lambda f, t: 2 * ((f.var(ddof=1) + t.var(ddof=1)) / len(f)) ** 0.5),
            "You treat the splits as unrelated",
        ),
        (choose_against(lambda f, t: 2 * (t - f).std(ddof=1)), "with the standard deviation"),
        (choose_against(lambda f, t: (t - f).std(ddof=1) / len(f) ** 0.5), "wants two"),
        (choose_against(lambda f, t: 2 * (t - f).std() / len(f) ** 0.5), "divides by n − 1"),
        (choose_by(lambda f, t: np.mean(t > f) > 0.5), "You count the splits"),
        (choose_by(lambda f, t: np.all(t > f)), "only if every split gains"),
        (lambda f, t: "Fine-tuned", "got 'Fine-tuned'"),
        (lambda f, t: True, "Expected the string"),
        (lambda f, t: "frozen", "otherwise than the rule"),
        (
            lambda f, t: choose(f, t) if np.std(np.subtract(t, f)) > 1e-12 else "frozen",
            "their error is 0",
        ),
    ],
}

ANSWERS = {
    "relative_error": RELATIVE_ERROR,
    "rotation_task": ROTATION_TASK,
    "mask_patches": MASK_PATCHES,
    "hidden_error": HIDDEN_ERROR,
    "with_head": WITH_HEAD,
    "choose": CHOOSE,
}
