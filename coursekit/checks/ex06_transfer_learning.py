"""Checks of exercise 06: transfer learning.

What models do is looked at in `_ex06_models`, training in two phases in `_ex06_two_phases`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks import _ex06_models as models
from coursekit.checks._ex06_two_phases import check_two_phases
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.compare import agree, rng
from coursekit.checks.kit.values import number

TASKS = TaskList(6, "Transfer learning")


@TASKS.task(
    "A copy with frozen layers",
    seconds=120.0,
    hints=(
        "Two lines make a copy: one for the structure, one for the weights. Then go through the "
        "layers of the copy, not of the original.",
        "`keras.models.clone_model` and `set_weights`. The layers that count: `[layer for layer in "
        "copy.layers if layer.weights]`.",
        "`layer.trainable` is False for the first `n_frozen` of them, and True for the others.",
    ),
)
def copy_and_freeze(answer: Any) -> None:
    """A copy with frozen layers as a function (model, number of layers)."""
    models.check_copy_and_freeze(answer)


@TASKS.task(
    "A new output layer",
    seconds=120.0,
    hints=(
        "`model.layers[:-1]` are all layers but the output; a Sequential model takes them as they "
        "are. `model.pop()` would take the output layer off the original.",
        "Start with a `keras.Input` of the shape `model.input_shape[1:]`, then the layers, then a "
        "Dense layer that gives probabilities.",
    ),
)
def new_output(answer: Any) -> None:
    """A model with a new output layer as a function (model, number of classes)."""
    models.check_new_output(answer)


@TASKS.task(
    "Which layers have moved?",
    hints=(
        "Three steps: keep the weights of every layer, call `action()`, compare.",
        "`layer.get_weights()` gives copies of the numbers, all of them: kernels, biases, moving "
        "averages. `layer.weights` gives the variables themselves, which change later.",
        "`np.array_equal(a, b)` compares exactly; a layer has moved if that is False for one "
        "of its arrays.",
    ),
)
def moved_layers(answer: Any) -> None:
    """Names of the layers that an action changes, as a function (model, action)."""
    models.check_moved_layers(answer)


@TASKS.task(
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
)
def two_phases(answer: Any) -> None:
    """Train in two phases: a function (model, n_frozen, x, y, epochs, rates)."""
    check_two_phases(answer)


def _best_within(
    accuracies: np.ndarray,
    *,
    error: Callable[[np.ndarray], float] = lambda best: best.std(ddof=1) / np.sqrt(len(best)),
    last: bool = True,
    middle: Callable[..., np.ndarray] = np.mean,
) -> int:
    centre = middle(accuracies, axis=0)
    best = int(np.argmax(centre))
    good = np.flatnonzero(centre >= centre[best] - error(accuracies[:, best]))
    return int(good[-1] if last else good[0])


def layers_to_reuse(accuracies: np.ndarray) -> int:
    """The largest k whose mean is at most one standard error below the best mean."""
    return _best_within(accuracies)


_CHOOSE_MISTAKES: dict[str, Callable[..., Any]] = {
    "You take the best mean itself; a k within one standard error of it reuses more layers.": (
        lambda a: int(a.mean(axis=0).argmax())
    ),
    "You take the smallest k that is good enough; the largest one is wanted.": (
        lambda a: _best_within(a, last=False)
    ),
    "You allow one standard deviation; the standard error is smaller.": (
        lambda a: _best_within(a, error=lambda best: best.std(ddof=1))
    ),
    "You divide the variance by the number of seeds, not by one less (`ddof=1`).": (
        lambda a: _best_within(a, error=lambda best: best.std() / np.sqrt(len(best)))
    ),
    "The average runs over the wrong axis: rows are seeds, columns are values of k.": (
        lambda a: _best_within(a.T)
    ),
    "You look at the best seed of each k; a mean over the seeds is wanted.": (
        lambda a: _best_within(a, middle=np.max)
    ),
    "You count from 1: column 0 stands for k = 0.": lambda a: _best_within(a) + 1,
    "The error is divided by the number of seeds, not by its root.": (
        lambda a: _best_within(a, error=lambda best: best.std(ddof=1) / len(best))
    ),
}


def _tables() -> list[tuple[np.ndarray]]:
    """Tables of accuracies in which each mistake shows, and none is decided by rounding."""
    draw, cases = rng("layers to reuse"), []
    mistakes = list(_CHOOSE_MISTAKES.values())
    told: set[int] = set()
    while len(cases) < 12 or len(told) < len(mistakes):
        n_seeds, n_k = int(draw.integers(4, 7)), int(draw.integers(4, 8))
        centre = np.sort(draw.uniform(0.6, 0.8, n_k))[draw.permutation(n_k)]
        table = (0.4 * centre + 0.42 + draw.normal(0, 0.02, (n_seeds, n_k))).round(3)
        means = table.mean(axis=0)
        best = table[:, means.argmax()]
        line = means.max() - best.std(ddof=1) / np.sqrt(n_seeds)
        if np.abs(means - line).min() < 1e-3:
            continue
        want = layers_to_reuse(table)
        new = {i for i, wrong in enumerate(mistakes) if wrong(table) != want}
        if len(cases) < 12 or new - told:
            told |= new
            cases.append((table,))
    return cases


@TASKS.task(
    "How many layers to reuse",
    hints=(
        "First the mean of each column. Find the best one, and the standard error of *its* column.",
        "`values.std(ddof=1) / np.sqrt(len(values))` is the standard error of a mean.",
        "`np.flatnonzero(means >= limit)` gives the places of all columns that are good enough. "
        "Which of them reuses most layers?",
    ),
)
def choose_k(answer: Any) -> None:
    """The number of layers as a function of a table (seeds, k)."""
    agree(
        answer,
        layers_to_reuse,
        _tables(),
        read=_whole,
        mistakes=_CHOOSE_MISTAKES,
        otherwise="For some table of accuracies your choice is not right.",
    )
    alone = [(np.full((3, 4), 0.75),), (np.array([[0.9, 0.5, 0.5], [0.9, 0.5, 0.5]]),)]
    agree(
        answer,
        layers_to_reuse,
        alone,
        read=_whole,
        otherwise="When the seeds do not differ at all, your choice goes wrong: a mean that equals "
        "the limit is good enough.",
    )


def _whole(value: Any) -> int:
    got = number(value, "Your choice")
    if got != int(got):
        raise Wrong(f"Your choice is {got:g}; a number of layers is whole.")
    return int(got)
