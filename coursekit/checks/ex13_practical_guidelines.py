"""Checks of exercise 13: choosing, debugging and shrinking a net.

The cases to choose for, the formulas and what trains, right and wrong, are in modules of their own.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from coursekit.checks import _ex13_formulas as of
from coursekit.checks import _ex13_training as training
from coursekit.checks._ex13_cases import CASES, MISTAKES
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.behaviour import behaviour
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.choices import letter_for_each
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.function import function
from coursekit.checks.kit.models import require_model
from coursekit.checks.kit.values import describe, number, parts

TASKS = TaskList(13, "Practical guidelines")


@TASKS.task(
    "Choose for seven cases", mistakes=MISTAKES,
    hints=(
        "First ask of each case: is the net trained already? Then no architecture is to be chosen.",
        "Of the others: how deep is it, and is it a plain stack? May anything break batch "
        "normalisation, or self-normalisation?",
        "Each option is right for one case.",
    ),
)  # fmt: skip
def choices(answer: Any) -> None:
    """A dict from case to option."""
    letter_for_each(answer, CASES)


function(
    TASKS, of.standardise, title="Standardise, with a guard", cases=lambda: of.images(False),
    hints=(
        "Mean and standard deviation of the training images, for each pixel: `axis=0`.",
        "The same two arrays serve both results.",
        "`np.where(std == 0, 1, std)` has a 1 wherever the standard deviation is 0.",
    ),
    mistakes=of.STANDARDISE, read=parts("train", "other"), names=("train", "other"), rtol=1e-3,
    edges={
        "It goes wrong where a pixel is constant in the training images: there the training images "
        "must give 0, and the others the plain difference from the mean.":
            lambda: of.images(True),
    },
)  # fmt: skip


@behaviour(
    TASKS, title="The one-batch check", right=training.one_batch_loss, seconds=180.0, rtol=1e-3,
    hints=(
        "`model.get_weights()` gives a list that you can hand to `model.set_weights(...)` later.",
        "`model.train_on_batch(x[:32], y[:32])` is one step on the first 32 rows.",
        "`model(x[:32], training=False)` predicts without dropout; "
        "`keras.losses.sparse_categorical_crossentropy(labels, predictions)` is each row's loss.",
    ),
    mistakes=training.ONE_BATCH,
)  # fmt: skip
def one_batch_loss(answer: Any) -> dict[str, Any]:
    """The loss as a function (model, x, y, steps=150); the net comes back as it was."""
    draw = rng("one batch")
    x, y = draw.normal(size=(96, 12)).astype("float32"), draw.integers(0, 10, 96)
    seen: dict[str, Any] = {}
    for name, rate, dropout, steps in (
        ("a net with batch normalisation, 4 steps", 0.05, 0.0, 4),
        ("a net with dropout and a learning rate of 0, 2 steps", 0.0, 0.5, 2),
    ):
        model = training.net(rate, dropout)
        seen[f"for {name}, the loss"] = number(call(answer, model, x, y, steps), "Your loss")
        seen[f"for {name}, the weights you leave"] = model.get_weights()
    if list(inspect.signature(answer).parameters.values())[3].default != 150:
        raise Wrong("Keep the `steps=150` of the notebook: it also calls your function without.")
    return seen


@TASKS.task(
    "Cure a sick training", mistakes=training.CURE, seconds=300.0,
    hints=(
        "Go through the order of the lesson: pairs of images and labels, size of the inputs, loss "
        "before training, one batch, learning rate.",
        "Count how often a softmax is applied. And does sorting keep an image's label in its row?",
        "Rates between 0.01 and 0.1 suit SGD with momentum in a net like this.",
    ),
)  # fmt: skip
def cure(answer: Any) -> None:
    """(images, labels, compiled net) as a function (images, labels), with the bugs repaired."""
    images, labels = training.pictures()
    x, y, model = parts("images", "labels", "net", read=lambda part, what: part)(
        call(answer, images, labels)
    )
    if hasattr(x, "layers") or hasattr(y, "layers"):
        raise Wrong(training.PLACES)
    require_model(model, "Your net")
    if not model.compiled:
        raise Wrong(training.UNCOMPILED)
    training.require_rows(x, y, images, labels)
    training.require_scaled(model, x)
    training.require_learns(model, x, y)


function(
    TASKS, of.quantise, title="Weights as int8", cases=of.weights,
    hints=(
        "One number for each unit: the largest absolute value over all axes but the last.",
        "The scale is that number divided by 127; the whole numbers are the weights divided by the "
        "scale, rounded. A unit of zeros may have any scale above 0.",
        "`np.abs(w).max(axis=tuple(range(w.ndim - 1)))`, `np.round`, `.astype(np.int8)`.",
    ),
    mistakes=of.QUANTISE, read=of.codes, names=("q", "s"),
    edges={"A unit whose weights are all 0 must give zeros and a scale above 0.": of.with_zeros},
)  # fmt: skip

function(
    TASKS, of.dequantise, title="And back", cases=of.stored, read=of.restored, rtol=1e-3,
    hints=(
        "Each whole number times the scale of its unit; units are on the last axis.",
        "NumPy lines up the last axes by itself: what does `q * scale` do?",
    ),
    mistakes=of.DEQUANTISE,
)  # fmt: skip


@behaviour(
    TASKS, title="Weights as float16", right=of.to_float16, mistakes=of.TO_FLOAT16,
    hints=(
        "`w.dtype.kind` is `'f'` for floating-point numbers; `w.nbytes` is an array's size in "
        "bytes.",
        "`np.finfo(np.float16).max` is the largest number float16 can hold; `np.clip` cuts.",
        "The share that is saved is 1 minus the bytes after divided by the bytes before.",
    ),
)  # fmt: skip
def to_float16(answer: Any) -> dict[str, Any]:
    """(list of arrays, share of bytes saved) as a function of a list of arrays."""
    draw, seen = rng("float16"), {}
    kernel = draw.normal(size=(6, 4)).astype("float32")
    codes = draw.integers(-127, 128, 50).astype("int8")
    large = np.array([1e5, -3e6, 70_000.0, 12.5], dtype="float32")
    for weights in (
        [kernel, codes, draw.normal(size=4)],
        [draw.normal(size=4), codes.astype("uint16")],
        [codes, kernel, large],
    ):
        halves, saved = parts("halves", "saved", read=lambda part, what: part)(
            call(answer, weights)
        )
        if not isinstance(halves, (list, tuple)) or len(halves) != len(weights):
            raise Wrong(f"Expected a list of {len(weights)} arrays first, got {describe(halves)}.")
        here = "for arrays of " + ", ".join(str(w.dtype) for w in weights)
        seen[f"{here}, the dtypes"] = [str(getattr(h, "dtype", describe(h))) for h in halves]
        seen[f"{here}, the arrays"] = [np.array(h, float) for h in halves]
        seen[f"{here}, `saved`"] = number(saved, "Your share")
    return seen
