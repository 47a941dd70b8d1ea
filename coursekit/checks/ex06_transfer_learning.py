"""Checks of exercise 06: transfer learning.

What models do is looked at in `_ex06_models`, training in two phases in `_ex06_two_phases`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks._ex06_models import (
    copying,
    look_at_copy,
    look_at_moved,
    look_at_output,
    moved,
    with_output,
)  # fmt: skip
from coursekit.checks._ex06_two_phases import two_phases
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.kit.behaviour import behaviour
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.function import function
from coursekit.checks.kit.values import whole

TASKS = TaskList(6, "Transfer learning")


@behaviour(
    TASKS, title="A copy with frozen layers", seconds=120.0,
    hints=(
        "Two lines make a copy: one for the structure, one for the weights. Then go through the "
        "layers of the copy, not of the original.",
        "`keras.models.clone_model` and `set_weights`. The layers that count: `[layer for layer in "
        "copy.layers if layer.weights]`.",
        "`layer.trainable` is False for the first `n_frozen` of them, and True for the others.",
    ),
    right=copying(lambda i, n, k: i >= n),
    mistakes={
        "The upper layers stay as they come, some of them frozen: set their `trainable` to True.":
            copying(lambda i, n, k: False if i < n else None),
        "No flag is set: they are those of the original.": copying(lambda i, n, k: None),
        "It is the wrong way round: the layers that should learn are frozen.":
            copying(lambda i, n, k: i < n),
        "The last `n_frozen` layers are frozen; the first ones should be.":
            copying(lambda i, n, k: i < k - n),
        "`n_frozen` layers stay trainable; so many are to be frozen.":
            copying(lambda i, n, k: i >= k - n),
        "No layer is frozen.": copying(lambda i, n, k: True),
        "You froze the whole model: nothing of it can learn.": copying(lambda i, n, k: False),
        "One layer too many is frozen.": copying(lambda i, n, k: i > n),
        "One layer too few is frozen.": copying(lambda i, n, k: i >= n - 1),
        "You count layers that have no weights, such as Flatten, too.":
            copying(lambda i, n, k: i >= n, every=True),
    },
)  # fmt: skip
def copy_and_freeze(answer: Any) -> dict[str, Any]:
    """A copy with frozen layers as a function (model, number of layers)."""
    return look_at_copy(answer)


@behaviour(
    TASKS, title="A new output layer", seconds=120.0,
    hints=(
        "`model.layers[:-1]` are all layers but the output; a Sequential model takes them as they "
        "are. `model.pop()` would take the output layer off the original.",
        "Start with a `keras.Input` of the shape `model.input_shape[1:]`, then the layers, then a "
        "Dense layer that gives probabilities.",
    ),
    right=with_output(),
    mistakes={
        "Your output layer gives sums: its activation is missing.": with_output(None),
        "The outputs are sigmoids, so they do not add up to 1.": with_output("sigmoid"),
        "Hidden layers that come frozen are trainable in your model: keep their flags.":
            with_output(prepare=copying(lambda *_: True)),
        "Hidden layers that come trainable are frozen in your model: keep their flags.":
            with_output(prepare=copying(lambda *_: False)),
        "All of your model is frozen; the new output layer must learn.":
            with_output(prepare=copying(lambda *_: False), learns=False),
    },
)  # fmt: skip
def new_output(answer: Any) -> dict[str, Any]:
    """A model with a new output layer as a function (model, number of classes)."""
    return look_at_output(answer)


@behaviour(
    TASKS, title="Which layers have moved?",
    hints=(
        "Three steps: keep the weights of every layer, call `action()`, compare.",
        "`layer.get_weights()` gives copies of the numbers, all of them: kernels, biases, moving "
        "averages. `layer.weights` gives the variables themselves, which change later.",
        "`np.array_equal(a, b)` compares exactly; a layer has moved if that is False for one "
        "of its arrays.",
    ),
    right=moved(),
    mistakes={
        "Nothing is found, whatever moves. Do you keep the numbers themselves, and take them "
        "before the action?": moved(same=lambda a, b: True),
        "A tiny change is missed: compare the numbers exactly.": moved(same=np.allclose),
        "Only the first weight of each layer is compared: its bias counts, too.":
            moved(lambda layer: layer.get_weights()[:1]),
        "Only the first two weights of each layer are compared: moving averages count, too.":
            moved(lambda layer: layer.get_weights()[:2]),
        "You compare trainable weights alone: a frozen layer can move, and moving averages count.":
            moved(lambda layer: [np.array(w) for w in layer.trainable_weights]),
        "Two columns that change places are missed: compare each number, not sums.":
            moved(same=lambda a, b: np.isclose(a.sum(), b.sum(), rtol=0, atol=1e-9)),
        "Numbers that fall are missed: any difference counts, up or down.":
            moved(same=lambda new, old: not np.any(new > old)),
        "The state of a dropout layer's random numbers counts in your function; it is in "
        "`layer.variables`, but no weight.":
            moved(lambda layer: [np.array(v) for v in layer.variables]),
        "You list the layers that have stayed as they were.": moved(stayed=True),
    },
)  # fmt: skip
def moved_layers(answer: Any) -> dict[str, Any]:
    """Names of the layers that an action changes, as a function (model, action)."""
    return look_at_moved(answer)


TASKS.task(
    "Two phases",
    seconds=240.0,
    hints=(
        "Each phase has the same three parts, in this order: set `trainable` of every layer, "
        "compile with a new optimizer, fit. A loop over the two phases saves writing it twice.",
        "In phase 1 the first `n_frozen` layers with weights are frozen and the others are not; in "
        "phase 2 none is. Set it either way: layers may come frozen.",
        '`keras.optimizers.SGD(rate, momentum=0.9)`, `loss="sparse_categorical_crossentropy"`, and '
        "`model.fit(x, y, batch_size=len(x), epochs=..., verbose=0)`.",
    ),
)(two_phases)


def _chosen(
    a: np.ndarray,
    *,
    centre: Callable[..., np.ndarray] = np.mean,
    error: Callable[[np.ndarray], float] = lambda best: best.std(ddof=1) / np.sqrt(len(best)),
    column: Callable[..., int] = np.argmax,
    place: int = -1,
) -> int:
    means = centre(a, axis=0)
    return int(np.flatnonzero(means >= means.max() - error(a[:, column(means)]))[place])


def choose_k(accuracies):
    """Return the largest k whose mean is at most one standard error below the best mean."""
    return _chosen(accuracies)


def _tables() -> list[tuple[np.ndarray]]:
    """Tables, small ones first, whose columns differ in spread; rounding decides none of them."""
    draw, cases = rng("layers to reuse"), []
    while len(cases) < 120:
        shape = ((2, 3), (2, 4), (4, 2), (3, 5), (6, 4), (5, 7))[len(cases) // 20]
        spread = draw.choice([0.005, 0.02, 0.06], shape[1])
        a = (draw.uniform(0.7, 0.76, shape[1]) + spread * draw.normal(size=shape)).round(3)
        means = a.mean(axis=0)
        limit = means.max() - a[:, means.argmax()].std(ddof=1) / np.sqrt(len(a))
        if np.abs(means - limit).min() > 1e-3 and np.ptp(np.sort(means)[-2:]) > 1e-3:
            cases.append((a,))
    return cases


function(
    TASKS, choose_k, title="How many layers to reuse", read=whole, cases=_tables,
    hints=(
        "First the mean of each column. Find the best one, and the standard error of *its* column.",
        "`values.std(ddof=1) / np.sqrt(len(values))` is the standard error of a mean.",
        "`np.flatnonzero(means >= limit)` gives the places of all columns that are good enough. "
        "Which of them reuses most layers?",
    ),
    edges={
        "When the seeds do not differ at all, your choice goes wrong: a mean that equals the limit "
        "is good enough.":
            [(np.full((3, 4), 0.75),), (np.array([[0.9, 0.5, 0.5], [0.9, 0.5, 0.5]]),)],
    },
    mistakes={
        "You take the best mean itself; a k within one standard error of it reuses more layers.":
            lambda a: int(a.mean(axis=0).argmax()),
        "You take the smallest good k; the largest one is wanted.": lambda a: _chosen(a, place=0),
        "You allow one standard deviation; the error is smaller.":
            lambda a: _chosen(a, error=lambda best: best.std(ddof=1)),
        "You divide the variance by the number of seeds, not by one less (`ddof=1`).":
            lambda a: _chosen(a, error=lambda best: best.std() / np.sqrt(len(best))),
        "The error is divided by the number of seeds, not by its root.":
            lambda a: _chosen(a, error=lambda best: best.std(ddof=1) / len(best)),
        "The average runs over the wrong axis: rows are seeds, columns k.": lambda a: _chosen(a.T),
        "You look at the best seed of each k, not at the mean.":
            lambda a: _chosen(a, centre=np.max),
        "The best column is the one with the largest mean, not with the largest number.":
            lambda a: _chosen(a, column=lambda means: a.max(axis=0).argmax()),
        "The error is that of the best column, not of the worst.":
            lambda a: _chosen(a, column=np.argmin),
        "You take the standard error of all numbers together; that of the best column is wanted.":
            lambda a: _chosen(a, error=lambda best: a.std(ddof=1) / np.sqrt(len(a))),
        "Each column has its own standard error in your rule; that of the best one counts.":
            lambda a: _chosen(a, error=lambda best: a.std(axis=0, ddof=1) / np.sqrt(len(a))),
        "You count from 1: column 0 stands for k = 0.": lambda a: _chosen(a) + 1,
    },
)  # fmt: skip
