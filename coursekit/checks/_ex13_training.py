"""Exercise 13: small nets, the one-batch check and the cure, right with their default settings."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.models import give_weights
from coursekit.checks.kit.values import array, describe

N_CLASSES, BATCH = 10, 32


def net(rate: float, dropout: float) -> Any:
    """Return a compiled net, 12 inputs, whose step is the same at every call."""
    from coursekit.base.keras import keras

    layers = keras.layers
    spread = layers.Dropout(dropout, seed=3) if dropout else layers.BatchNormalization(momentum=0.9)
    model = keras.Sequential(
        [keras.Input((12,)), layers.Dense(16, "tanh"), spread, layers.Dense(N_CLASSES, "softmax")]
    )
    optimizer = keras.optimizers.SGD(rate, momentum=0.5)
    # Eager: to make a graph takes longer than these few steps.
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer, loss, metrics=["accuracy"], run_eagerly=True)
    return give_weights(model, "one batch", 0.4)


def one_batch_loss(
    model, x, y, steps=150, rows=BATCH, judged=BATCH, training=False, back="after", of=None,
    told=np.mean, more=0,
):  # fmt: skip
    """Train on the first rows, measure there, put the weights back."""
    from coursekit.base.keras import keras

    before, shown = model.get_weights(), 0.0
    for _ in range(steps + more):
        shown = model.train_on_batch(x[:rows], y[:rows])
    if back == "early":
        model.set_weights(before)
    losses = keras.losses.sparse_categorical_crossentropy(
        y[:judged], model(x[:judged], training=training)
    )
    for variable, value in zip(model.weights, before, strict=True):
        if back in ("early", "after") or (back == "trainable" and variable.trainable):
            variable.assign(value)
    return float(told(np.array(losses)) if of is None else shown[of])


_loss = partial(partial, one_batch_loss)
ONE_BATCH = {
    "The weights are not put back: keep them before, put them back after.": _loss(back="never"),
    "Only trainable weights are put back; the averages of batch normalisation are weights too.":
        _loss(back="trainable"),
    "Your loss is that of the untrained net: train, measure, and only then put the weights back.":
        _loss(back="early"),
    "You train and measure on all rows; the check is about the first 32.":
        _loss(rows=None, judged=None),
    "You train on all rows; the check is about the first 32.": _loss(rows=None),
    "You measure on all rows; the check is about the first 32.": _loss(judged=None),
    "You measure in training mode; `training=False` is wanted.": _loss(training=True),
    "That is what `train_on_batch` returned: the loss before its step, in training mode.":
        _loss(of=0),
    "That is the accuracy; the loss is wanted.": _loss(of=1),
    "You add up the losses of the rows; their mean is wanted.": _loss(told=np.sum),
    "You make one step too many.": _loss(more=1),
    "You make one step too few.": _loss(more=-1),
}  # fmt: skip


def cure(
    images, labels, scale=lambda x: x - x.mean(axis=0), order=lambda y: slice(None), softmaxes=1,
    rate=0.03, told=lambda x, y, model: (x, y, model), target=lambda y: y, compiled=True,
    sort_both=False,
):  # fmt: skip
    """Return images, labels and a compiled net without a bug."""
    from coursekit.base.keras import keras

    layers, rows = keras.layers, order(labels)
    x, y = scale(images)[rows if sort_both else slice(None)], target(labels[rows])
    model = keras.Sequential(
        [keras.Input(images.shape[1:]), layers.Flatten(), layers.Dense(50, "relu"),
         layers.Dense(N_CLASSES), *[layers.Softmax() for _ in range(softmaxes)]]
    )  # fmt: skip
    loss = "sparse_categorical_crossentropy" if y.ndim == 1 else "categorical_crossentropy"
    if compiled:
        model.compile(keras.optimizers.SGD(rate, momentum=0.9), loss)
    return told(x, y, model)


_cure = partial(partial, cure)
SCALE = "The pixels reach the net with a standard deviation far from 1: look at their scale."
PAIRS = "The labels no longer belong to their images: look at a few pairs before and after."
ORDER = "Images and labels come back in another order; the images are to keep theirs."
TWICE = "A softmax is applied twice: with two, no output can come near 1."
RATE = "In 300 steps it learns one batch by heart only at another learning rate than yours."
NAN = "Your images hold NaN or infinity: is there a pixel with a standard deviation of 0?"
PLACES = "The results are in the wrong order: images, labels, net."
UNCOMPILED = "The net comes back without being compiled."
WHOLE = "Leave the labels whole numbers, one for each image, as they came."
NO_SOFTMAX = "The net's outputs are no probabilities: it is to end in a softmax."


CURE = {
    SCALE: _cure(scale=lambda x: 255 * x),
    PAIRS: _cure(order=np.argsort),
    ORDER: _cure(order=np.argsort, sort_both=True),
    TWICE: _cure(softmaxes=2),
    RATE: _cure(rate=1e-7),
    NAN: _cure(scale=lambda x: np.where(x.std(axis=0) == 0, np.nan, x)),
    PLACES: _cure(told=lambda x, y, model: (model, x, y)),
    UNCOMPILED: _cure(compiled=False),
    WHOLE: _cure(target=lambda y: np.eye(N_CLASSES)[y]),
    NO_SOFTMAX: _cure(softmaxes=0),
}


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Return images, from 0 to 1 with a constant pixel as in a digit's corner, and labels."""
    draw = rng("cure")
    labels = draw.integers(0, N_CLASSES, 240)
    images = 0.7 * draw.uniform(size=(N_CLASSES, 8, 8))[labels]
    images += 0.3 * draw.uniform(size=(240, 8, 8))
    images[:, 0, 0] = 0.0
    return images.astype("float32"), labels


def require_rows(x: Any, y: Any, images: np.ndarray, labels: np.ndarray) -> None:
    """Raise Wrong unless images and labels are those that went in, in the same order."""
    for value, what in ((x, "Your images"), (y, "Your labels")):
        if not hasattr(value, "shape") or not len(value.shape) or len(value) != len(images):
            raise Wrong(f"{what} are {describe(value)}; expected an array with {len(images)} rows.")
    if not np.isfinite(np.asarray(x, float)).all():
        raise Wrong(NAN)
    y = array(y, "Your labels")
    if y.size != len(labels):
        raise Wrong(WHOLE)
    flat, before = (np.reshape(part, (len(part), -1)).astype(float) for part in (x, images))
    if flat.shape != before.shape:
        raise Wrong(f"Images of shape {images.shape} went in, {np.shape(x)} comes back.")
    flat, before = ((part - part.mean(0)) / (part.std(0) + 1e-9) for part in (flat, before))
    nearest = np.argmax(flat @ (before / np.linalg.norm(before, axis=1, keepdims=True)).T, axis=1)
    same = np.array_equal(y.ravel(), labels)
    if (nearest != np.arange(len(images))).any():
        raise Wrong(ORDER if not same else "The images come back in another order than the labels.")
    if not same:
        raise Wrong(PAIRS)


def require_scaled(model: Any, x: Any) -> None:
    """Raise Wrong unless the first layer with a kernel, or a normalisation, gets small numbers."""
    from coursekit.base.keras import keras

    h = np.asarray(x, "float32")
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            return
        if hasattr(layer, "kernel"):
            break
        h = h if isinstance(layer, keras.layers.InputLayer) else layer(h)
    if np.std(h) > 5:
        raise Wrong(SCALE)


def require_learns(model: Any, x: Any, y: Any) -> None:
    """Raise Wrong unless the net ends in a softmax and learns one batch by heart."""
    from coursekit.base.keras import keras

    weights = model.get_weights()
    x, y = np.asarray(x)[:BATCH], np.asarray(y).ravel()[:BATCH].astype(int)
    p = np.array(model(x, training=False), float)
    if p.shape != (BATCH, N_CLASSES) or (p < 0).any() or not np.allclose(p.sum(1), 1, atol=0.01):
        raise Wrong(NO_SOFTMAX)
    softmax = keras.activations.softmax
    kinds = [getattr(layer, "activation", None) is softmax for layer in model.layers]
    kinds += [isinstance(layer, keras.layers.Softmax) for layer in model.layers]
    if sum(kinds) > 1:
        raise Wrong(TWICE)
    for rate in (None, 0.003, 0.03, 0.3):
        if rate:
            model.set_weights(weights)
            model.compile(keras.optimizers.SGD(rate, momentum=0.9), loss=model.loss)
        for _ in range(300):
            model.train_on_batch(x, y)
        p = np.array(model(x, training=False), float)
        if -np.log(p[np.arange(BATCH), y] + 1e-30).mean() < 0.3:
            if rate:
                raise Wrong(RATE)
            return
    raise Wrong(
        "It does not learn one batch by heart in 300 steps, at none of the learning rates tried: "
        "look at the scale of the images, the activations, and the loss."
    )
