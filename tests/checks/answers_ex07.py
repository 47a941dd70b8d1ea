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
        (lambda o, c, p: (c - o) ** 2, "expected one number"),
        (relative_error_in_place, "changes its argument `copies` in place"),
        (
            lambda o, c, p: 0.5,
            "p=an array of shape (9, 3, 5))`: you give 0.5",
        ),
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
    "right": [rotation_task, rotation_image_by_image],
    "wrong": [
        (rotation_with(lambda n: np.tile(np.arange(4), n)), "do not belong to their images"),
        (rotation_with(lambda n: np.repeat([0, 90, 180, 270], n)), "degrees"),
        (rotation_with(lambda n: np.repeat([1, 2, 3, 4], n)), "counted from 0"),
        (rotation_with(lambda n: np.zeros(4 * n)), "once for every image"),
        (rotation_with(lambda n: np.arange(4)), "your labels have shape (4,)"),
        (rotation_clockwise, "count the quarters clockwise"),
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
        if mistake in ("ceil", "floor"):
            mask = rank < getattr(np, mistake)(share * across**2)
        if mistake == "chosen by all rows":
            mask[:, np.nonzero(mask)[1]] = True
        if mistake == "shuffled rows":
            grid = np.arange(across**2).reshape(across, across)
            mask = np.array([draw.permutation(grid).ravel() < number for _ in rank])
        if mistake == "few masks":
            mask = mask[draw.integers(0, 150, n) % n]
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
        (mask_variant("ceil"), "`round` the product"),
        (mask_variant("floor"), "`round` the product"),
        (mask_variant("chosen by all rows"), "choose patches of its own"),
        (mask_variant("shuffled rows"), "masks are too much alike"),
        (mask_variant("few masks"), "masks are too much alike"),
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


def hidden_error_of_hidden_images(guesses, images, mask):
    """Right where every image hides something."""
    errors = [hidden_error(*one) for one in zip(guesses, images, mask, strict=True) if one[2].any()]
    number = [hidden.sum() for hidden in mask]
    return np.dot(errors, number[: len(errors)]) / sum(number)


HIDDEN_ERROR = {
    "right": [
        hidden_error,
        lambda g, i, m: np.sum((g - i) ** 2 * m) / m.sum(),
        lambda g, i, m: keras.losses.mean_squared_error(i[m], g[m]),
    ],
    "wrong": [
        (lambda g, i, m: (g - i)[m] ** 2, "expected one number"),
        (lambda g, i, m: 0.1, "m=an array of shape (5, 4, 6))`: you give 0.1"),
        (hidden_error_of_hidden_images, "Where nothing is hidden in one"),
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
        if mistake in ("all frozen", "encoder learns") and frozen:
            layers[-1].trainable = False
            body.layers[1].trainable = mistake == "encoder learns"
        model = keras.Sequential(layers)
        if mistake == "compiled":
            model.compile("sgd", loss="sparse_categorical_crossentropy")
        return model

    return variant


WITH_HEAD = {
    "right": [with_head, with_head_functional],
    "wrong": [
        (head_variant("never frozen"), "every weight is still trainable"),
        (head_variant("always frozen"), "With frozen=False only"),
        (head_variant("other way"), "every weight is still trainable"),
        (head_variant("one layer frozen"), "it must be the head's"),
        (head_variant("all frozen"), "it must be the head's"),
        (head_variant("encoder learns"), "it must be the head's"),
        (head_variant("compiled"), "leave that to the next cell"),
        (head_variant("structure only"), "or only the structure"),
        (head_variant("freezes the original"), "changes the `trainable` flag of layer `flat`"),
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
        (head_variant("shared"), "changes the `trainable` flag"),
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


CHOOSE = {
    "right": [choose, choose_in_plain_python],
    "wrong": [
        (lambda f, t: "Fine-tuned", "got 'Fine-tuned'"),
        (lambda f, t: True, "Expected the string"),
        (lambda f, t: "frozen", "for the gains 0.0313, 0.0035, 0.0525: you give 'frozen'"),
        (
            lambda f, t: choose(f, t) if np.std(np.subtract(t, f)) > 1e-12 else "frozen",
            "for the gains 0.2500, 0.2500: you give 'frozen'",
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
