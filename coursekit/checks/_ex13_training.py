"""Exercise 13: the one-batch check and the cure of a sick training, on data made here."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import array, describe, number

N_CLASSES, BATCH = 10, 32


def _keras() -> Any:
    from coursekit.base.keras import keras

    return keras


def check_one_batch_loss(answer: Any) -> None:
    """A net that can learn by heart, one that cannot, and one that must not see other rows."""
    draw = rng("one batch")
    x, y = draw.normal(size=(96, 12)).astype("float32"), draw.integers(0, N_CLASSES, 96)
    healthy = _net(0.1)
    before = [w.copy() for w in healthy.get_weights()]
    start = _loss(healthy, x[:BATCH], y[:BATCH])
    reached = number(call(answer, healthy, x, y, 150), "Your loss")
    if any(not np.array_equal(a, b) for a, b in zip(before, healthy.get_weights(), strict=True)):
        raise Wrong("The net comes back with other weights: keep them before, put them back after.")
    if abs(reached - start) < 1e-3:
        raise Wrong(
            "Your loss is that of the untrained net. Measure after the training, before you put "
            "the weights back."
        )
    if reached > 0.3:
        _say_why_too_high(answer, x, y, reached)
    same, others = np.concatenate([x[:BATCH]] * 3), np.arange(3).repeat(BATCH)
    contradicted = (np.concatenate([y[:BATCH]] * 3) + others) % N_CLASSES
    if number(call(answer, _net(0.1), same, contradicted, 150), "Your loss") > 0.5:
        raise Wrong("Rows after the first 32 take part; the check is about these 32 only.")
    expected = _expected(x, y, 150)
    if not 0 <= reached <= max(20 * expected, 0.01):
        raise Wrong(
            f"A net that should reach about {expected:.1g} on its batch reaches {reached:.3g} with "
            "yours. Are all `steps` done, and is the loss measured at the end?"
        )
    _counts_steps(answer, x, y)
    stuck = number(call(answer, _net(0.1, twice=True), x, y, 60), "Your loss")
    if stuck < 1.4:
        raise Wrong(
            "For a net with two softmaxes, whose loss cannot fall below 1.46, yours is "
            f"{stuck:.2f}: measure it with the net's own outputs and these labels."
        )


def _say_why_too_high(answer: Any, x: np.ndarray, y: np.ndarray, reached: float) -> None:
    only = number(call(answer, _net(0.1), x[:BATCH], y[:BATCH], 150), "Your loss")
    if only <= 0.3:
        raise Wrong(
            f"With 96 rows the loss ends at {reached:.2f}, with the first 32 alone near 0: "
            "train, and "
            "measure, on the first 32 only."
        )
    raise Wrong(
        f"A healthy net learns 32 rows by heart in 150 steps; with yours its loss ends at "
        f"{reached:.2f}. Is every step an update on all 32 rows?"
    )


def _counts_steps(answer: Any, x: np.ndarray, y: np.ndarray) -> None:
    model = _net(0.1)
    call(answer, model, x, y, 7)
    done = int(model.optimizer.iterations)
    if done not in (0, 7):  # 0: trained in a copy
        raise Wrong(f"Asked for 7 steps it makes {done} updates.")


def _net(rate: float, *, twice: bool = False) -> Any:
    keras = _keras()
    start = [keras.initializers.HeNormal(seed=seed) for seed in (1, 2)]
    layers = [
        keras.Input((12,)),
        keras.layers.Dense(60, "relu", kernel_initializer=start[0]),
        keras.layers.Dropout(0.1, seed=3),
        keras.layers.Dense(N_CLASSES, "softmax", kernel_initializer=start[1]),
    ]
    model = keras.Sequential([*layers, *([keras.layers.Softmax()] if twice else [])])
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _loss(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    # Not `evaluate`: TensorFlow would warn of many small programs, in a cell of the learner's.
    return float(model.compute_loss(y=y, y_pred=model(x, training=False), training=False))


def _expected(x: np.ndarray, y: np.ndarray, steps: int) -> float:
    model = _net(0.1)
    for _ in range(steps):
        model.train_on_batch(x[:BATCH], y[:BATCH])
    return _loss(model, x[:BATCH], y[:BATCH])


def check_cure(answer: Any) -> None:
    """Labels, inputs, the loss at the start, and one batch at its own and at tested rates."""
    images, labels = _images()
    result = call(answer, images, labels)
    if not isinstance(result, (tuple, list)) or len(result) != 3:
        raise Wrong(f"Expected images, labels and a net, got {describe(result)}.")
    x, y, model = array(result[0], "Your images"), array(result[1], "Your labels"), result[2]
    if not isinstance(model, _keras().Model):
        raise Wrong(f"Expected a Keras model in the third place, got {describe(model)}.")
    if not model.compiled:
        raise Wrong("The net comes back without being compiled.")
    _check_labels(y, labels)
    _check_inputs(x, images)
    _check_training(model, x, np.asarray(result[1]))


def _images() -> tuple[np.ndarray, np.ndarray]:
    draw = rng("cure")
    labels = draw.integers(0, N_CLASSES, 240)
    prototypes = draw.uniform(size=(N_CLASSES, 8, 8))
    images = 0.7 * prototypes[labels] + 0.3 * draw.uniform(size=(240, 8, 8))
    images[:, 0, 0] = 0.0  # a constant pixel, as in the corner of a digit
    return images.astype("float32"), labels


def _check_labels(y: np.ndarray, labels: np.ndarray) -> None:
    if y.ndim == 2 and y.shape[1] == N_CLASSES:
        y = y.argmax(axis=1)
    if y.shape[:1] != labels.shape:
        raise Wrong(f"{len(labels)} labels went in, an array of shape {y.shape} comes back.")
    if not np.array_equal(y.ravel(), labels):
        raise Wrong(
            "The labels no longer belong to their images: look at a few pairs before and after."
        )


def _check_inputs(x: np.ndarray, images: np.ndarray) -> None:
    flat, before = x.reshape(len(x), -1), images.reshape(len(images), -1)
    if flat.shape != before.shape:
        raise Wrong(f"Images of shape {images.shape} went in, {x.shape} comes back.")
    for pixel in (1, 20, 50):
        if flat[:, pixel].std() == 0 or np.corrcoef(flat[:, pixel], before[:, pixel])[0, 1] < 0.999:
            raise Wrong("The rows of your images are not those that went in, in the same order.")
    if flat.std() > 5 or np.abs(flat).max() > 30:
        raise Wrong(
            f"The pixels come back with a standard deviation of {flat.std():.3g}: a net wants it "
            "near 1."
        )


def _check_training(model: Any, x: np.ndarray, y: np.ndarray) -> None:
    start = _loss(model, x, y)
    if not np.isfinite(start) or start > 2 * np.log(N_CLASSES):
        raise Wrong(
            f"Before training the loss is {start:.3g}; a net that knows nothing of ten classes "
            "should be "
            "near 2.3."
        )
    weights = model.get_weights()
    if _learns(model, x, y):
        return
    for rate in (0.003, 0.03, 0.3):
        model.set_weights(weights)
        model.compile(_keras().optimizers.SGD(rate, momentum=0.9), loss=model.loss)
        if _learns(model, x, y):
            raise Wrong(
                "It does not learn one batch by heart, but does so at another learning rate: "
                "yours is "
                "far off."
            )
    raise Wrong(
        "It does not learn one batch by heart, at no learning rate. Look at the output layer and "
        "the "
        "loss: do they fit each other?"
    )


def _learns(model: Any, x: np.ndarray, y: np.ndarray) -> bool:
    for _ in range(300):
        model.train_on_batch(x[:BATCH], y[:BATCH])
    return bool(_loss(model, x[:BATCH], y[:BATCH]) < 0.3)
