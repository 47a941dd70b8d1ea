"""Checks of exercise 10: ℓ1, ℓ2, max-norm and early stopping.

The formulas, right and wrong, are in `_ex10_formulas`; the layer and the step in `_ex10_training`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks import _ex10_formulas as formulas
from coursekit.checks._ex10_training import check_layer, check_train_step
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.compare import agree, rng
from coursekit.checks.kit.values import array, describe, number

TASKS = TaskList(10, "ℓ1, ℓ2, max-norm and early stopping")


@TASKS.task(
    "The penalty by hand",
    hints=(
        "Two sums over every weight of every kernel: one of absolute values, one of squares. Each "
        "is multiplied by its own coefficient.",
        "`sum(np.sum(np.abs(w)) for w in kernels)` is the first of them.",
    ),
)
def penalty(answer: Any) -> None:
    """The penalty as a function (list of kernels, l1, l2)."""
    draw = rng("penalty")
    cases = [
        ([draw.normal(1, 2, size=shape) for shape in ((3, 4), (2, 2, 3, 5), (5, 2))], l1, l2)
        for l1, l2 in ((0.3, 0.04), (0.02, 0.7), (1.5, 0.9))
    ]
    agree(answer, formulas.penalty, cases, mistakes=formulas.PENALTY_MISTAKES)
    alone = [([draw.normal(size=(3, 3))], l1, l2) for l1, l2 in ((0.5, 0.0), (0.0, 0.5), (0, 0))]
    agree(answer, formulas.penalty, alone, otherwise="With one coefficient at 0 it goes wrong.")


def _no_nan(value: Any) -> np.ndarray:
    if np.isnan(np.asarray(value, dtype=float)).any():
        raise Wrong(
            "A unit whose weights are all 0 becomes NaN: its norm is 0, and you divide by it."
        )
    return array(value)


@TASKS.task(
    "Max-norm for Dense and Conv2D",
    hints=(
        "A unit of a Dense layer is a column of its kernel; a filter of Conv2D is everything that "
        "belongs to one entry of the last axis. So sum the squares over all axes but the last.",
        "`np.sqrt(np.sum(w**2, axis=..., keepdims=True))` has a shape by which `w` can be divided. "
        "`tuple(range(w.ndim - 1))` names all axes but the last.",
        "The factor of a unit is `r / np.maximum(norms, r)`: 1 for short ones, and never a "
        "division by 0.",
    ),
)
def max_norm(answer: Any) -> None:
    """The projected kernel as a function (kernel of Dense or Conv2D, r)."""
    draw = rng("max-norm")

    def cases(*shapes: tuple[int, ...]) -> list[tuple[np.ndarray, float]]:
        made = []
        for shape in shapes:
            kernel = draw.normal(size=shape)
            sizes = np.sqrt(np.square(kernel).sum(axis=tuple(range(len(shape) - 1))))
            wanted = np.geomspace(0.3, 5, shape[-1])  # some units short, some long
            made.append((kernel * wanted / sizes, round(draw.uniform(0.7, 1.9), 2)))
        return made

    dense = cases((5, 4), (3, 6), (4, 4))
    agree(answer, formulas.max_norm, dense, read=array, mistakes=formulas.DENSE_MISTAKES)
    conv = cases((3, 5, 4, 6), (2, 3, 3, 4), (3, 3, 3, 3))
    agree(answer, formulas.max_norm, conv, read=array, mistakes=formulas.CONV_MISTAKES)
    zeros = [(np.zeros((3, 2)), 1.0), (np.zeros((2, 2, 1, 3)), 0.5)]
    agree(answer, formulas.max_norm, zeros, read=_no_nan,
          otherwise="A kernel of zeros must stay a kernel of zeros.")  # fmt: skip


def _epochs(value: Any) -> tuple[float, float]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Wrong(f"Expected two numbers, best epoch and last epoch, got {describe(value)}.")
    return number(value[0], "Your best epoch"), number(value[1], "Your last epoch")


def _loss_curves() -> list[tuple[list[float], int, float]]:
    draw, cases = rng("early stopping"), []
    for i in range(40):
        n = int(draw.integers(15, 40))
        falling = 2 * np.exp(-np.arange(n) / draw.uniform(2, 6)) + 0.03 * np.arange(n)
        losses = np.round(falling + draw.normal(scale=0.08, size=n), 2)  # round: some are equal
        cases.append((losses.tolist(), int(draw.integers(2, 6)), (0.0, 0.055)[i % 2]))
    return cases


@TASKS.task(
    "The logic of early stopping",
    hints=(
        "Walk through the losses and keep three things: the best loss so far, its epoch, and how "
        "many epochs have passed without an improvement.",
        "An improvement sets the count back to 0; any other epoch raises it by 1, and when it has "
        "reached `patience` this epoch is the last.",
        "`if loss < best - min_delta:` with `best = np.inf` at the start also treats NaN rightly: "
        "every comparison with NaN is False.",
    ),
)
def early_stopping(answer: Any) -> None:
    """(best epoch, last epoch) as a function (losses, patience, min_delta)."""
    mistakes = formulas.EARLY_STOPPING_MISTAKES
    agree(answer, formulas.early_stopping, _loss_curves(), read=_epochs, mistakes=mistakes)
    never = [([3.0, 2.0, 1.0, 0.5], 2, 0.0), ([1.0], 3, 0.0), ([2.0, 1.0, 1.5], 5, 0.0)]
    agree(
        answer,
        formulas.early_stopping,
        never,
        read=_epochs,
        otherwise="When training is never stopped, the last epoch is the last of the list.",
    )
    broken = [
        ([2.0, 1.0, float("nan"), 0.5, 0.6, 0.7], 2, 0.0),
        ([1.0, *[float("nan")] * 5], 3, 0.0),
    ]
    agree(
        answer,
        formulas.early_stopping,
        broken,
        read=_epochs,
        otherwise="A loss that is NaN must count as an epoch without an improvement.",
    )


@TASKS.task(
    "A layer that adds its own penalty",
    seconds=180.0,
    hints=(
        "Two things in `call`: compute the penalty from `self.kernel` and hand it to "
        "`self.add_loss(...)`; then return what the parent class returns.",
        "`keras.ops.sum(keras.ops.abs(self.kernel))` is a sum of absolute values that also works "
        "where tensors have no values yet.",
    ),
)
def elastic_dense(answer: Any) -> None:
    """The class itself; its arguments are units, l1 and l2, and its call adds the penalty."""
    check_layer(answer)


@TASKS.task(
    "A training step that forgets no penalty",
    seconds=180.0,
    hints=(
        "Inside `with tf.GradientTape() as tape:` call the model, compute the data loss, and only "
        "then read `model.losses`. The gradient is that of data loss plus penalties.",
        "`sum(model.losses)` also works for an empty list.",
        "`optimizer.apply_gradients(zip(gradients, model.trainable_variables))` makes the update. "
        "Return tensors as they are.",
    ),
)
def train_step(answer: Any) -> None:
    """(data loss, penalty) as a function (model, optimizer, x, y)."""
    check_train_step(answer)
