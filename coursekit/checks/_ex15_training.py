"""Exercise 15: compiling, searching a rate and early stopping, on problems of a moment.

Each problem fits in one batch, so that the order of the samples does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.models import AsFound, give_weights
from coursekit.checks.kit.values import array, describe, number

_CE = "sparse_categorical_crossentropy"


def classifier(name: str, *sizes: int, norm: bool = False, fixed: bool = False) -> Any:
    """Return an uncompiled softmax classifier with given weights; `norm`alises before tanh."""
    from coursekit.base.keras import keras

    make, layers = keras.layers, [keras.Input(sizes[:1])]
    for n in sizes[1:-1]:
        layers += [make.Dense(n, name="hidden"), make.Activation("tanh", name="tanh")]
        layers[-1:-1] = [make.BatchNormalization(name="norm")] * norm
    output = make.Dense(sizes[-1], "softmax", name="output")
    model = keras.Sequential([*layers, output], name="model")
    return give_weights(model, name, 0.3, fixed=fixed)


def _problem(seed: int, n: int, n_valid: int = 0) -> tuple[np.ndarray, ...]:
    """Return noisy samples of three classes, six inputs each, and as many again to validate."""
    draw = np.random.default_rng(seed)
    true, parts = 1.5 * draw.normal(size=(6, 3)), ()
    for size in (n, n_valid):
        x = draw.normal(size=(size, 6)).astype("float32")
        parts += x, (x @ true + 2 * draw.gumbel(size=(size, 3))).argmax(axis=1)
    return parts


def compiled(optimizer: str = "Nadam", *, rate: float | None = None, metrics: bool = True) -> Any:
    """Return an answer to `prepare`, with one thing wrong."""

    def answer(model, learning_rate):
        from coursekit.base.keras import keras

        made = getattr(keras.optimizers, optimizer)(rate or learning_rate)
        model.compile(made, loss=_CE, metrics=["accuracy"] * metrics)
        return model

    return answer


PREPARE = {
    "The updates are Adam's: the Nesterov momentum of Nadam is missing.": compiled("Adam"),
    "The updates are those of plain gradient descent, not Nadam's.": compiled("SGD"),
    "The updates are RMSProp's, not Nadam's.": compiled("RMSprop"),
    "The optimizer keeps its default rate: `learning_rate` has no effect.": compiled(rate=0.001),
}


def prepare(answer: Any) -> dict[str, Any]:
    """Two updates, the loss and the accuracy of a compiled model."""
    seen: dict[str, Any] = {}
    for rate, hidden in ((0.03, ()), (0.004, (5,))):
        x, y, *_ = _problem(1, 20)
        model = classifier("prepare", 6, *hidden, 3)
        if call(answer, model, rate, may_change=True) is not model:
            raise Wrong("Return the model that you are given itself, compiled.")
        if getattr(model, "optimizer", None) is None:
            raise Wrong("The model is not compiled.")
        model.run_eagerly = True  # nothing to trace: quicker
        try:
            first, _ = (model.train_on_batch(x, y, return_dict=True) for _ in range(2))
        except ValueError:
            raise Wrong(
                "A training step fails. The labels are whole numbers from 0 to 9, not one-hot "
                "rows: which loss takes those?"
            ) from None
        if "accuracy" not in first:
            names = ", ".join(f"`{name}`" for name in first)
            raise Wrong(
                f"The model reports {names}; the notebook looks for `accuracy`: name this metric."
            )
        seen["the cross-entropy of the labels"] = float(first["loss"])
        seen["the accuracy"] = float(first["accuracy"])
        steps = f"the weights after two steps with learning_rate={rate}"
        seen[steps] = np.concatenate([w.ravel() for w in model.get_weights()])
    return seen


def _lowest(losses: list[float]) -> Any:
    return np.argmin(np.where(np.isnan(losses), np.inf, losses))


def searched(
    *, by: str = "valid", read: Callable = np.min, pick: Callable = _lowest,
    restore: str = "all", once: bool = False,
) -> Any:  # fmt: skip
    """Return an answer to `find_rate`, with one thing wrong; the model is left as found."""

    def answer(model, rates, x, y, valid, epochs):
        optimizer, measured = model.optimizer, []
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
        found = [(v, v.numpy()) for v in [*model.variables, *optimizer.variables]]
        kept = {"all": len(found), "weights": len(model.variables), "nothing": 0}[restore]
        for rate in rates:
            for variable, value in found[:kept]:
                variable.assign(value)
            optimizer.learning_rate, losses = rate, []
            for _ in range(1 if once else epochs):
                model.train_on_batch(x, y)
                data = valid if by == "valid" else (x, y)
                losses.append(float(model.test_on_batch(*data, return_dict=True)["loss"]))
            measured.append(read(losses))
        for variable, value in found:
            variable.assign(value)
        return rates[int(pick(measured))]

    answer.own = True
    return answer


FIND_RATE = {
    "You choose a rate at which training diverged: its loss is NaN, not a number, and `min` and "
    "`argmin` do not step over NaN.": searched(pick=np.argmin),
    "You choose a rate that begins well and then diverges: a loss of NaN in any epoch rules a rate "
    "out. Python's `min` sees a NaN only where it comes first; `np.min` sees every one.":
        searched(read=min),
    "You choose by the training loss; the validation loss decides.": searched(by="training"),
    "You choose the rate with the highest loss.":
        searched(pick=lambda losses: _lowest(np.negative(losses))),
    "Every rate goes on with the weights that the rate before has left. Each must begin with the "
    "weights and the optimizer as found.": searched(restore="nothing"),
    "Every rate begins with the weights as found, but the optimizer goes on: it has a step counter "
    "and remembers gradients.": searched(restore="weights"),
    "You compare the validation losses after the last epoch; the lowest of all epochs decides, as "
    "it does in early stopping.": searched(read=lambda losses: losses[-1]),
    "You compare the highest validation losses; the lowest of each rate's epochs decides.":
        searched(read=np.max),
    "You train one epoch with each rate, in place of `epochs`.": searched(once=True),
}  # fmt: skip


def _to_search() -> tuple[Any, ...]:
    """Return a model whose optimizer remembers something, one whose optimizer is new, and one that
    diverges after its first epoch with a rate of 0.02: exponentials of exponentials overflow.
    """
    from coursekit.base.keras import keras

    x, y, *_ = _problem(113, 30)
    steep = keras.Sequential([keras.Input((6,)), *(
        keras.layers.Dense(units, kind) for units, kind in
        ((8, "exponential"), (8, "exponential"), (3, "softmax")))])  # fmt: skip
    draw = np.random.default_rng(148)
    steep.set_weights([draw.normal(0, 0.3, w.shape) if len(w.shape) == 2 else np.zeros(w.shape)
                       for w in steep.weights])  # fmt: skip
    steep.compile(keras.optimizers.SGD(0.01, 0.9, name="sgd"), loss=_CE, metrics=["accuracy"])
    old, new = classifier("find_rate", 6, 3), classifier("find_rate", 6, 8, 3, norm=True)
    old.compile(keras.optimizers.SGD(0.01, 0.9, name="sgd"), loss=_CE, metrics=["accuracy"])
    old.optimizer.build(old.trainable_variables)
    old.train_on_batch(x, y)
    new.compile(keras.optimizers.Adam(0.01, name="adam"), loss=_CE, metrics=["accuracy"])
    return old, new, steep


_for_own_search = cache(_to_search)  # what was traced once is quick


def find_rate(answer: Any) -> dict[str, Any]:
    """The rate with the lowest validation loss of any epoch; equal starts; the model as found."""
    x, y, *valid = _problem(113, 30, 60)
    old, new, steep = _for_own_search() if hasattr(answer, "own") else _to_search()
    seen = {}
    for what, model, rates in (
        ("the rate you choose", old, (2.0, 0.7, 0.25, 0.08, 0.02, 1e-4)),
        ("the rate for a net with batch normalisation", new, (0.25, 0.08)),
        ("the rate where the first one diverges", old, (3e38, 0.25)),
        ("the rate where the first one diverges after an epoch", steep, (0.02, 3e-4)),
        ("the rate where the better one begins worse", steep, (0.01, 0.005)),
        ("the rate where the better one ends worse", steep, (0.01, 0.003)),
    ):
        optimizer, found, first = model.optimizer, AsFound(model), rates[0]
        try:
            chosen = call(answer, model, rates, x, y, tuple(valid), 4, may_return_none=first > 9)
        except ValueError:  # of np.nanargmin, where all are NaN
            if first < 9:
                raise
            chosen = None
        if chosen is None:
            raise Wrong(
                "Where the first of the rates diverges, you find no rate at all. Does every rate "
                "begin with the weights and the optimizer as found, and do you step over NaN?"
            )
        seen[what] = number(chosen, "Your rate")
        if not np.isclose(seen[what], rates, rtol=1e-3).any():
            raise Wrong(f"Your rate {seen[what]:.3g} is none of the `rates` given.")
        if model.optimizer is not optimizer:
            raise Wrong("The model has another optimizer than before; leave it the one it had.")
        found.require_same("Your search", rate_may_differ=True)
    return seen


def stopped(
    *, monitor: str = "val_loss", more: int = 0, restore: bool = True, sign: int = 1
) -> Any:
    """Return an answer to `train`, with one thing wrong."""

    def answer(model, x, y, valid, epochs, patience):
        from coursekit.base.keras import keras

        history = keras.callbacks.History()
        history.history = logs = {}
        best, since, weights = np.inf, 0, None
        for _ in range(epochs):
            row = dict(model.train_on_batch(x, y, return_dict=True))
            test = model.test_on_batch(*valid, return_dict=True)
            for key, value in (row | {f"val_{key}": value for key, value in test.items()}).items():
                logs.setdefault(key, []).append(float(value))
            since += 1
            if sign * logs[monitor][-1] < best:
                best, since, weights = sign * logs[monitor][-1], 0, model.get_weights()
            if since >= patience + more:
                break
        if restore:
            model.set_weights(weights)
        return history

    answer.own = True
    return answer


TRAIN = {
    "The training never stops early, though the validation loss has long been rising.":
        stopped(more=1000),
    "You watch the training loss, which goes on falling; watch the validation loss.":
        stopped(monitor="loss"),
    "You watch the accuracy; the validation loss is what decides.":
        stopped(monitor="val_accuracy", sign=-1),
    "The training stops one epoch too early: compare your patience with `patience`.":
        stopped(more=-1),
    "The training stops one epoch too late: compare your patience with `patience`.":
        stopped(more=1),
    "After training the model has the weights of the last epoch. Go back to those of the best.":
        stopped(restore=False),
}  # fmt: skip


def _to_train() -> Any:
    from coursekit.base.keras import keras

    model = classifier("train", 6, 8, 3, norm=True, fixed=True)  # one that overfits
    model.compile(keras.optimizers.SGD(0.1, momentum=0.5), loss=_CE, metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return model, [(v, v.numpy()) for v in [*model.variables, *model.optimizer.variables]]


_for_own_training = cache(_to_train)


def train(answer: Any) -> dict[str, Any]:
    """Training stops `patience` epochs after the best one and goes back to it."""
    x, y, *valid = _problem(7, 20, 60)
    model, start = _for_own_training() if hasattr(answer, "own") else _to_train()
    seen: dict[str, Any] = {}
    for patience, epochs in ((5, 30), (2, 30), (50, 20)):
        for variable, value in start:
            variable.assign(value)
        logs = logs_of(call(answer, model, x, y, tuple(valid), epochs, patience))
        case = f"with patience={patience}, epochs={epochs}"
        seen[f"the first validation losses {case}"] = np.array(logs["val_loss"][:3])
        seen[f"the number of epochs {case}"] = len(logs["val_loss"])
        seen[f"the validation losses {case}"] = np.array(logs["val_loss"])
        after = model.test_on_batch(*valid, return_dict=True)["loss"]
        seen[f"the validation loss of the model that you leave {case}"] = float(after)
    return seen


def logs_of(result: Any) -> Mapping[str, list[float]]:
    """Return what a training logged; the notebook asks the history for these three."""
    if isinstance(result, Mapping):
        raise Wrong("You return the dict in the history; the notebook asks for the history itself.")
    logs = getattr(result, "history", None)
    if not isinstance(logs, Mapping):
        raise Wrong(f"Expected the history of the training, got {describe(result)}.")
    for key in ("loss", "val_loss", "val_accuracy"):
        if key not in logs:
            raise Wrong(
                f"The history has no `{key}`. Are the validation data passed on, and is the model "
                "compiled with the accuracy?"
            )
        if not len(array(logs[key], f"The list `{key}`", shape=(None,))):
            raise Wrong(f"In your history the list `{key}` is empty: nothing was trained.")
    return logs
