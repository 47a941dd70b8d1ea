"""Checks of exercise 10: ℓ1, ℓ2, max-norm and early stopping.

In the tables ks are kernels, a and b the coefficients of ℓ1 and ℓ2, w is a kernel and r its cap.
The layer and the training step are in `_ex10_training`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from coursekit.checks import _ex10_training as training
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.kit.behaviour import behaviour
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.function import function
from coursekit.checks.kit.values import array, parts, whole

TASKS = TaskList(10, "ℓ1, ℓ2, max-norm and early stopping")


def penalty(kernels, l1, l2):
    """λ1 · Σ|w| + λ2 · Σw² over all weights of all kernels."""
    w = np.concatenate([np.ravel(kernel) for kernel in kernels])
    return float(l1 * np.abs(w).sum() + l2 * np.square(w).sum())


def _kernels() -> list[tuple[list[np.ndarray], float, float]]:
    draw = rng("penalty")
    shapes = (((3, 4), (2, 2, 3, 5), (5, 2)), ((6,), (2, 3)), ((1, 2), (3,), (4, 4), (2, 1)))
    drawn = [[draw.normal(1, 2, size=shape) for shape in net] for net in shapes]
    return list(zip(drawn, (0.3, 0.02, 1.5), (0.04, 0.7, 0.9), strict=True))


def _each(ks: list[np.ndarray], of: Callable[[np.ndarray], float]) -> float:
    return float(sum(of(kernel) for kernel in ks))


function(
    TASKS, penalty, title="The penalty by hand", cases=_kernels,
    edges={"With one coefficient at 0 it goes wrong.": lambda: [
               (ks[:1], a, b) for ks, *_ in _kernels() for a, b in ((0.5, 0.0), (0.0, 0.5), (0, 0))
           ]},
    hints=(
        "Two sums over every weight of every kernel: one of absolute values, one of squares. Each "
        "is multiplied by its own coefficient.",
        "`sum(np.sum(np.abs(w)) for w in kernels)` is the first of them.",
    ),
    mistakes={
        "Only the first kernel counts in your function.": lambda ks, a, b: penalty(ks[:1], a, b),
        "Only the last kernel counts in your function.": lambda ks, a, b: penalty(ks[-1:], a, b),
        "You take the mean over each kernel's weights; the penalty is a sum, so it grows with the "
        "net.": lambda ks, a, b: _each(ks, lambda k: penalty([k], a, b) / k.size),
        "You take the mean over all weights; the penalty is a sum, so it grows with the net.":
            lambda ks, a, b: penalty(ks, a, b) / sum(k.size for k in ks),
        "The squares have a factor ½ that Keras' penalty does not have.":
            lambda ks, a, b: penalty(ks, a, b / 2),
        "You add the weights themselves: negative ones cancel positive ones. Take absolute "
        "values.": lambda ks, a, b: a * _each(ks, np.sum) + penalty(ks, 0, b),
        "You take the absolute value of the sum; each weight's own is wanted.":
            lambda ks, a, b: a * _each(ks, lambda k: abs(k.sum())) + penalty(ks, 0, b),
        "The two coefficients have changed places.": lambda ks, a, b: penalty(ks, b, a),
        "The absolute values are missing: your penalty is ℓ2 alone.":
            lambda ks, a, b: penalty(ks, 0, b),
        "The squares are missing: your penalty is ℓ1 alone.": lambda ks, a, b: penalty(ks, a, 0),
        "You take the root of the sum of squares, the norm; the penalty has no root.":
            lambda ks, a, b: penalty(ks, a, 0) + b * math.sqrt(penalty(ks, 0, 1)),
        "You take the root of each kernel's sum of squares, its norm; the penalty has no root.":
            lambda ks, a, b: penalty(ks, a, 0) + b * _each(ks, np.linalg.norm),
        "The coefficients are squared or multiplied: each stands before its own sum.":
            lambda ks, a, b: penalty(ks, a, b * b),
    },
)  # fmt: skip


def max_norm(kernel, r):
    """Shorten every unit, the last axis, to ℓ2 norm ≤ r."""
    columns = np.reshape(kernel, (-1, np.shape(kernel)[-1]))
    sizes = np.sqrt(np.square(columns).sum(axis=0))
    return np.reshape(columns * (r / np.maximum(sizes, r)), np.shape(kernel))


def _norms(w: np.ndarray, axis: Any = None) -> np.ndarray:
    axis = tuple(range(w.ndim - 1)) if axis is None else axis
    return np.sqrt(np.sum(w**2, axis=axis, keepdims=True))


def _cut(w: np.ndarray, r: float, sizes: Any) -> np.ndarray:
    return w * (r / np.maximum(sizes, r))


def _conv_over(axis: Any) -> Callable[..., np.ndarray]:
    """Return a wrong answer: right for Dense, but with the norms of Conv2D over `axis`."""
    return lambda w, r: max_norm(w, r) if w.ndim == 2 else _cut(w, r, _norms(w, axis))


def _kernels_of(*shapes: tuple[int, ...]) -> Callable[[], list[tuple[np.ndarray, float]]]:
    """Return cases with norms from below the cap to far above, also between r and √r."""

    def cases() -> list[tuple[np.ndarray, float]]:
        draw, found = rng(f"max-norm {shapes}"), []
        for shape, r in zip(shapes, (0.4, 1.7, 3.1), strict=True):
            kernel = draw.normal(size=shape)
            found.append((kernel / _norms(kernel) * r * np.geomspace(0.4, 5, shape[-1]), r))
        return found

    return cases


function(
    TASKS, max_norm, title="Max-norm for Dense and Conv2D", read=array,
    cases=_kernels_of((5, 6), (3, 8), (6, 6)),
    edges={"Right for Dense. On a Conv2D kernel, [height, width, in, out], it goes wrong.":
               _kernels_of((3, 5, 4, 6), (2, 3, 3, 4), (3, 3, 3, 3)),
           "A unit whose weights are all 0 must stay as it is: its norm is 0.":
               [(np.array([[0.0, 3.0], [0.0, 4.0]]), 1.0), (np.zeros((2, 2, 1, 3)), 0.5)]},
    hints=(
        "A unit of a Dense layer is a column of its kernel; a filter of Conv2D is everything that "
        "belongs to one entry of the last axis. So sum the squares over all axes but the last.",
        "`np.sqrt(np.sum(w**2, axis=..., keepdims=True))` has a shape by which `w` can be divided. "
        "`tuple(range(w.ndim - 1))` names all axes but the last.",
        "The factor of a unit is `r / np.maximum(norms, r)`: 1 for short ones, and never a "
        "division by 0.",
    ),
    mistakes={
        "For a Dense kernel, [in, out], you have one norm for each input; one for each unit is "
        "wanted.": lambda w, r: _cut(w, r, _norms(w, 1)) if w.ndim == 2 else max_norm(w, r),
        "Short units become longer: only those beyond r are changed.":
            lambda w, r: w * r / _norms(w),
        "All weights of the kernel have one norm together; each unit has its own.":
            lambda w, r: _cut(w, r, np.linalg.norm(w)),
        "The root is missing: the norm is the root of the sum of squares.":
            lambda w, r: _cut(w, r, _norms(w) ** 2),
        "You compare the square of the norm with r; the norm itself must be greater.":
            lambda w, r: np.where(_norms(w) ** 2 > r, w * r / _norms(w), w),
        "You add absolute values; the ℓ2 norm is the root of the sum of squares.":
            lambda w, r: _cut(w, r, _norms(np.sqrt(np.abs(w))) ** 2),
        "You cut every weight to [−r, r] by itself: that turns the arrow and leaves the norm free.":
            lambda w, r: np.clip(w, -r, r),
        "Units that are too long end with norm 1, not r.":
            lambda w, r: np.where(_norms(w) > r, w / _norms(w), w),
        "Units that are too long become 0; they must keep the norm r.":
            lambda w, r: w * (_norms(w) <= r),
        "Nothing is shortened.": lambda w, r: w,
        "Right for Dense. On a Conv2D kernel, [height, width, in, out], you sum over the height "
        "alone, so a filter as a whole is not capped.": _conv_over(0),
        "Right for Dense. On a Conv2D kernel you sum over height and width alone; a filter has "
        "several input channels, and one norm over all of them.": _conv_over((0, 1)),
        "Right for Dense. On a Conv2D kernel you take the first axis for the filters; it is the "
        "height. (A kernel has no axis for samples.)": _conv_over((1, 2, 3)),
        "Right for Dense. On a Conv2D kernel you take the third axis for the filters; it is the "
        "input channel.": _conv_over((0, 1, 3)),
        "Right for Dense. On a Conv2D kernel you sum over the filters only; they are what must "
        "stay apart.": _conv_over(3),
        "Right for Dense. On a Conv2D kernel all weights have one norm together; each filter has "
        "its own.": _conv_over((0, 1, 2, 3)),
    },
)  # fmt: skip


def early_stopping(losses, patience, min_delta=0.0, mistake=""):
    """(best epoch, last epoch), counted from 0, or what one `mistake` makes of them."""
    best, best_epoch, waited, previous = math.inf, 0, 0, math.inf
    limit = patience + {"late": 1, "soon": -1}.get(mistake, 0)
    delta = {"ignored": 0.0, "share": min_delta * max(losses)}.get(mistake, min_delta)
    for epoch, value in enumerate(losses):
        loss = -value if mistake == "highest" else value
        than = (previous if mistake == "previous" else best) - delta
        if loss < than or (mistake == "equal" and loss == than):
            best, best_epoch, waited = loss, epoch, (waited if mistake == "kept" else 0)
        else:
            waited += 1
            if mistake == "small" and loss < best:
                best, best_epoch = loss, epoch
            if waited >= max(limit, 1) and mistake != "never":
                break
        previous = loss
    if mistake == "future":
        best_epoch = int(np.nanargmin(losses))
    return (epoch if mistake == "stop" else best_epoch), epoch


def _curves() -> list[tuple[list[float], int, float]]:
    draw, cases = rng("early stopping"), []
    for i in range(40):
        n = int(draw.integers(15, 40))
        falling = 2 * np.exp(-np.arange(n) / draw.uniform(2, 6)) + 0.03 * np.arange(n)
        losses = np.round(falling + draw.normal(scale=0.08, size=n), 2)  # round: some are equal
        cases.append((losses.tolist(), int(draw.integers(1, 6)), (0.0, 0.055, 0.205)[i % 3]))
    return [case for case in cases if early_stopping(*case)[1] < len(case[0]) - 1]


_NAN = float("nan")

function(
    TASKS, early_stopping, title="The logic of early stopping", cases=_curves,
    read=parts("best_epoch", "last_epoch", read=whole), names=("best_epoch", "last_epoch"),
    edges={"When training is never stopped, the last epoch is the last of the list.":
               [([3.0, 2.0, 1.0, 0.5], 2, 0.0), ([1.0], 3, 0.0), ([2.0, 1.0, 1.5], 5, 0.0)],
           "A loss that is NaN must count as an epoch without an improvement.":
               [([2.0, 1.0, _NAN, 0.5, 0.6, 0.7], 2, 0.0), ([1.0, *[_NAN] * 5], 3, 0.0),
                ([2.0, 1.0, _NAN, 1.5, 1.2, 0.3], 2, 0.0)],
           "With losses below 0, or very large ones, it goes wrong.":
               [([-1.0, -3.0, -2.5, -2.0, -4.0], 2, 0.1), ([1e12, 3e12, 2e12, 1e11], 2, 0.0)]},
    hints=(
        "Walk through the losses and keep three things: the best loss so far, its epoch, and how "
        "many epochs have passed without an improvement.",
        "An improvement sets the count back to 0; any other epoch raises it by 1, and when it has "
        "reached `patience` this epoch is the last.",
        "`if loss < best - min_delta:` with `best = np.inf` at the start also treats NaN rightly: "
        "every comparison with NaN is False.",
    ),
    mistakes={reason: partial(early_stopping, mistake=mistake) for reason, mistake in {
        "You stop one epoch late: when `patience` epochs in a row have brought nothing, the last "
        "of them is the end.": "late",
        "You stop one epoch too soon: `patience` epochs must have brought nothing.": "soon",
        "An improvement does not set your counter back to 0: the epochs must be in a row.": "kept",
        "You compare with the epoch before; compare with the best so far.": "previous",
        "`min_delta` has no effect in your function.": "ignored",
        "`min_delta` is a difference of losses, not a share of them.": "share",
        "A loss that is just as good counts as an improvement in your function; it must be lower "
        "by more than `min_delta`.": "equal",
        "You look for the highest value; a loss is better when it is lower.": "highest",
        "Training never ends in your function.": "never",
        "Your best epoch lies after the end: it looks at losses of epochs that never ran, because "
        "training had stopped.": "future",
        "Your best epoch is the one at which training ends.": "stop",
        "An improvement by less than `min_delta` counts for your best epoch, but not for the "
        "counter; it is no improvement for either.": "small",
    }.items()} | {
        "The two are in the wrong order: first the best epoch, then the last one.":
            lambda ls, p, d: early_stopping(ls, p, d)[::-1],
        "You count epochs from 1; count from 0.":
            lambda ls, p, d: tuple(epoch + 1 for epoch in early_stopping(ls, p, d)),
    },
)  # fmt: skip

behaviour(
    TASKS, title="A layer that adds its own penalty", seconds=180.0,
    right=training.elastic(), mistakes=training.ELASTIC,
    hints=(
        "Two things in `call`: compute the penalty from `self.kernel` and hand it to "
        "`self.add_loss(...)`; then return what the parent class returns.",
        "`keras.ops.sum(keras.ops.abs(self.kernel))` is a sum of absolute values that also works "
        "where tensors have no values yet.",
    ),
)(training.elastic_dense)  # fmt: skip

behaviour(
    TASKS, title="A training step that forgets no penalty", seconds=180.0,
    right=training.right_step, mistakes=training.STEP,
    hints=(
        "Inside `with tf.GradientTape() as tape:` call the model, compute the data loss, and only "
        "then read `model.losses`. The gradient is that of data loss plus penalties.",
        "`sum(model.losses)` also works for an empty list.",
        "`optimizer.apply_gradients(zip(gradients, model.trainable_variables))` makes the update. "
        "Return tensors as they are.",
    ),
)(training.train_step)  # fmt: skip
