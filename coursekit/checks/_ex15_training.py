"""Exercise 15: compiling, searching a rate and early stopping, on problems of a moment.

Each problem fits in one batch, so the order of the samples does not matter and the right course of
the training is a few lines of NumPy or a few plain steps of the model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import close_each, rng
from coursekit.checks.kit.values import array, describe, number

_CE = "sparse_categorical_crossentropy"


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis."""
    exp = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


def classifier(weights: list[np.ndarray]) -> Any:
    """Return an uncompiled softmax classifier with these kernels and biases."""
    from coursekit.base.keras import keras

    layers = [keras.layers.Dense(w.shape[1], "tanh") for w in weights[:-2:2]]
    n_in, n_classes = weights[0].shape[0], weights[-1].shape[0]
    output = keras.layers.Dense(n_classes, "softmax")
    model = keras.Sequential([keras.Input((n_in,)), *layers, output])
    model.set_weights(weights)
    return model


def check_prepare(answer: Any) -> None:
    """Two updates, the loss and the accuracy of a compiled model against NumPy."""
    draw = rng("prepare")
    x, y = draw.normal(size=(12, 4)).astype("float32"), draw.integers(0, 3, 12)
    start = [draw.normal(size=(4, 3)), draw.normal(size=3)]
    model = classifier(start)
    rate = 0.03
    result = call(answer, model, rate, may_change=True, may_return_none=True)
    model = model if result is None else result
    if getattr(model, "optimizer", None) is None:
        raise Wrong("The model is not compiled.")
    try:
        first = model.train_on_batch(x, y, return_dict=True)
    except ValueError:
        raise Wrong(
            "A training step fails. The labels are whole numbers from 0 to 9, not one-hot rows: "
            "which loss takes those?"
        ) from None
    p = softmax(x @ start[0] + start[1])
    loss = -np.log(p[np.arange(12), y]).mean()
    if not close_each([float(first["loss"])], [loss], 1e-3)[0]:
        raise Wrong("The loss is not the cross-entropy of the labels.")
    shares = [float(value) for key, value in first.items() if key != "loss"]
    if not any(close_each([share], [np.mean(p.argmax(axis=1) == y)], 1e-3)[0] for share in shares):
        raise Wrong("The model does not report its accuracy: pass it as a metric.")
    model.train_on_batch(x, y)
    moved = model.get_weights()[0] - start[0]
    if np.allclose(moved, _moves("nadam", start, x, y, rate), rtol=0.02, atol=1e-5):
        return
    if np.allclose(moved, _moves("nadam", start, x, y, 0.001), rtol=0.02, atol=1e-6):
        raise Wrong("The optimizer keeps its default rate: `learning_rate` has no effect.")
    if np.allclose(moved, _moves("adam", start, x, y, rate), rtol=0.02, atol=1e-5):
        raise Wrong("The updates are Adam's: the Nesterov momentum of Nadam is missing.")
    raise Wrong("The updates of the weights are not those of Nadam with the given rate.")


def _moves(kind: str, start: list, x: np.ndarray, y: np.ndarray, rate: float) -> np.ndarray:
    """Return how far two updates of Nadam or Adam move the kernel."""
    params = [np.array(w, dtype=float) for w in start]
    m, v = ([np.zeros_like(w) for w in params] for _ in range(2))
    b1, b2, product = 0.9, 0.999, 1.0
    onehot = np.eye(len(start[1]))[y]
    for t in (1, 2):
        error = (softmax(x @ params[0] + params[1]) - onehot) / len(x)
        now, following = (b1 * (1 - 0.5 * 0.96**k) for k in (t, t + 1))
        product *= now
        for i, g in enumerate((x.T @ error, error.sum(axis=0))):
            m[i] = b1 * m[i] + (1 - b1) * g
            v[i] = b2 * v[i] + (1 - b2) * g**2
            m_hat = m[i] / (1 - b1**t)
            if kind == "nadam":
                m_hat = following * m[i] / (1 - product * following)
                m_hat = m_hat + (1 - now) * g / (1 - product)
            params[i] = params[i] - rate * m_hat / (np.sqrt(v[i] / (1 - b2**t)) + 1e-7)
    return params[0] - start[0]


def check_find_rate(answer: Any) -> None:
    """The rate with the lowest validation loss; each from the same start; the model as found."""
    from coursekit.base.keras import keras

    draw = np.random.default_rng(51)  # here every mistake chooses a rate of its own
    true, start = 1.5 * draw.normal(size=(6, 3)), [0.3 * draw.normal(size=(6, 3)), np.zeros(3)]
    x = draw.normal(size=(30, 6)).astype("float32")
    y = (x @ true + draw.gumbel(size=(30, 3))).argmax(axis=1)
    y[:12] = draw.integers(0, 3, 12)
    x_valid = draw.normal(size=(60, 6)).astype("float32")
    y_valid = (x_valid @ true + draw.gumbel(size=(60, 3))).argmax(axis=1)
    model = classifier(start)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss=_CE, metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    model.train_on_batch(x, y)  # velocities and a step counter that are not 0
    variables = [*model.variables, *model.optimizer.variables]
    found = [np.array(v) for v in variables]
    _, *usual = rates = [3e38, 2.0, 0.5, 0.1, 0.02, 1e-4]
    epochs = 4
    sets = ((x, y), (x_valid, y_valid))
    fresh = _last_losses(model, usual, sets, epochs, variables, found)
    _assign(variables, found)
    going_on = _last_losses(model, usual, sets, epochs, variables, None)
    _assign(variables, found)
    chosen = number(call(answer, model, rates, x, y, (x_valid, y_valid), epochs), "Your rate")
    best = usual[int(np.argmin(fresh[:, 1]))]
    where = int(np.argmin(np.abs(np.log(np.maximum(chosen, 1e-40) / rates))))
    if not np.isclose(chosen, rates[where], rtol=1e-3):
        raise Wrong(f"Your rate {chosen:.3g} is none of the `rates` given.")
    if chosen > 1e38:
        raise Wrong(
            "You choose a rate at which training diverged: its loss is NaN, not a number, and "
            "`min` and `argmin` do not step over NaN."
        )
    if not np.isclose(chosen, best, rtol=1e-3):
        for losses, reason in (
            (
                going_on[:, 1],
                "Every rate goes on with the weights that the rate before has left. Each must "
                "begin with the weights and the optimizer as found.",
            ),
            (fresh[:, 0], "You choose by the training loss; the validation loss decides."),
            (-fresh[:, 1], "You choose the rate with the highest loss."),
        ):
            if np.isclose(chosen, usual[int(np.argmin(losses))], rtol=1e-3):
                raise Wrong(reason)
        raise Wrong(f"At another rate than {chosen:.3g} the last validation loss is lower.")
    n_weights = len(model.variables)
    same = [np.array_equal(v, f) for v, f in zip(variables, found, strict=True)]
    if not all(same[:n_weights]):
        raise Wrong("You found the best rate, but the model's weights are not as found.")
    # The rate may be left at the one chosen: whoever asks for a rate is about to set it.
    rest = [i for i, v in enumerate(variables) if v is not model.optimizer._learning_rate]
    if not all(same[i] for i in rest):
        raise Wrong(
            "You found the best rate, but the optimizer is not as found: it has a step counter "
            "and remembers gradients."
        )


def _assign(variables: list, values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _last_losses(
    model: Any,
    rates: list[float],
    sets: tuple[tuple[np.ndarray, np.ndarray], ...],
    epochs: int,
    variables: list,
    restore: list[np.ndarray] | None,
) -> np.ndarray:
    """Return training and validation loss after each rate, shape (rates, 2)."""
    losses = []
    for rate in rates:
        if restore is not None:
            _assign(variables, restore)
        model.optimizer.learning_rate = rate
        for _ in range(epochs):
            model.train_on_batch(*sets[0])
        losses.append([float(model.test_on_batch(*xy, return_dict=True)["loss"]) for xy in sets])
    return np.array(losses)


def check_train(answer: Any) -> None:
    """Training stops `patience` epochs after the best one and goes back to it."""
    draw = rng("train")
    x, y = draw.normal(size=(20, 8)).astype("float32"), draw.integers(0, 3, 20)
    x_valid = draw.normal(size=(60, 8)).astype("float32")
    true = 0.6 * draw.normal(size=(8, 3))
    y_valid = (x_valid @ true + draw.gumbel(size=(60, 3))).argmax(axis=1)
    y[:12] = (x[:12] @ true + draw.gumbel(size=(12, 3))).argmax(axis=1)
    start = [0.1 * draw.normal(size=(8, 3)), np.zeros(3)]
    want = _validation_losses(start, x, y, x_valid, y_valid, 40)
    best = int(np.argmin(want))
    model = _ready(start)
    for patience, epochs in ((5, 40), (20, best + 8)):
        model.set_weights(start)
        _assign(model.optimizer.variables, model.start)
        result = call(answer, model, x, y, (x_valid, y_valid), epochs, patience)
        losses = losses_of(result)
        final = float(model.evaluate(x_valid, y_valid, verbose=0, return_dict=True)["loss"])
        _compare_losses(losses, want, best, patience, epochs)
        if not np.isclose(final, min(losses), rtol=1e-4):
            last = np.isclose(final, losses[-1], rtol=1e-4)
            raise Wrong(
                "After training the model has the weights of the "
                + ("last epoch" if last else "wrong epoch")
                + ": its validation loss is not that of the best epoch. Restore the best weights."
            )


def _ready(start: list[np.ndarray]) -> Any:
    from coursekit.base.keras import keras

    model = classifier(start)
    model.compile(keras.optimizers.SGD(0.5, momentum=0.5), loss=_CE, metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    model.start = [np.array(v) for v in model.optimizer.variables]
    return model


def _validation_losses(start: list, x, y, x_valid, y_valid, epochs: int) -> np.ndarray:
    """Return the validation loss after each full-batch step of SGD with momentum, in NumPy."""
    params = [np.array(w, dtype=float) for w in start]
    velocity = [np.zeros_like(w) for w in params]
    losses = []
    for _ in range(epochs):
        error = (softmax(x @ params[0] + params[1]) - np.eye(3)[y]) / len(x)
        for i, g in enumerate((x.T @ error, error.sum(axis=0))):
            velocity[i] = 0.5 * velocity[i] - 0.5 * g
            params[i] = params[i] + velocity[i]
        p = softmax(x_valid @ params[0] + params[1])
        losses.append(-np.log(p[np.arange(len(p)), y_valid]).mean())
    return np.array(losses)


def losses_of(result: Any) -> np.ndarray:
    """Return the validation losses of a history, or of the dict in it."""
    history = getattr(result, "history", result)
    if not isinstance(history, dict) or "val_loss" not in history:
        raise Wrong(
            f"Expected the history of the training with a `val_loss`, got {describe(result)}. "
            "Are the validation data passed on, and is the history returned?"
        )
    return array(history["val_loss"], "The list of validation losses", shape=(None,))


def _compare_losses(
    losses: np.ndarray, want: np.ndarray, best: int, patience: int, epochs: int
) -> None:
    n = len(losses)
    if n == 0 or n > epochs or not np.allclose(losses, want[:n], rtol=2e-3):
        raise Wrong(
            "The validation losses are not those of this model trained on `x`, `y` and measured on "
            "`valid`, epoch by epoch. Do you train the compiled model as it comes?"
        )
    stop = min(best + 1 + patience, epochs)
    if n == stop:
        return
    if n == epochs:
        raise Wrong(
            f"With patience {patience} the training never stops early: it runs all {n} epochs, "
            "though the validation loss has long been rising."
        )
    if n in (best + patience, best + 2 + patience):
        raise Wrong("The training stops one epoch off: compare your patience with `patience`.")
    raise Wrong(
        f"With patience {patience} the training stops after {n} epochs, at the wrong time. Which "
        "number does it watch: the validation loss? And with which patience?"
    )
