"""Checks of exercise 13: choosing, debugging and shrinking a net.

The cases to choose for, the formulas (right and wrong) and what trains are in modules of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks import _ex13_formulas as formulas
from coursekit.checks._ex13_cases import CASES
from coursekit.checks._ex13_training import check_cure, check_one_batch_loss
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.choices import letter_for_each
from coursekit.checks.kit.compare import agree, rng
from coursekit.checks.kit.values import array, describe, number

TASKS = TaskList(13, "Practical guidelines")


@TASKS.task(
    "Choose for seven cases",
    hints=(
        "First ask of each case: is the net trained already? Then no architecture is to be chosen.",
        "Of the others: how deep is it, and is it a plain stack? May anything break batch "
        "normalisation, or self-normalisation?",
        "Each option is right for one case.",
    ),
)
def choices(answer: Any) -> None:
    """A dict from case to option."""
    letter_for_each(answer, CASES)


def _two(value: Any) -> tuple[Any, Any]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Wrong(f"Expected two arrays, got {describe(value)}.")
    return value[0], value[1]


def _two_finite(value: Any) -> tuple[np.ndarray, np.ndarray]:
    first, second = _two(value)
    for part in (first, second):
        if not np.isfinite(np.asarray(part, dtype=float)).all():
            raise Wrong(
                "Where a pixel is constant in the training images your result is not finite. Its "
                "standard deviation is 0: by what else could you divide?"
            )
    return array(first, "The first array"), array(second, "The second array")


@TASKS.task(
    "Standardise, with a guard",
    hints=(
        "Mean and standard deviation of the training images, for each pixel: `axis=0`.",
        "The same two arrays serve both results.",
        "`np.where(std == 0, 1, std)` has a 1 wherever the deviation is 0.",
    ),
)
def standardise(answer: Any) -> None:
    """(train, other), both standardised with the statistics of `train`."""
    draw, cases = rng("standardise"), []
    for shape in ((5,), (3, 4)):
        scale = draw.uniform(0.5, 3, shape)
        train = draw.normal(2, 1, (40, *shape)) * scale
        other = draw.normal(3, 2, (15, *shape)) * scale
        train[:, 0], other[:, 0] = 0.5, draw.uniform(size=other[:, 0].shape)
        cases.append((train, other))
    free = [(train[:, 1:], other[:, 1:]) for train, other in cases]
    agree(
        answer,
        formulas.standardised,
        free,
        read=lambda value: tuple(array(part, "An array of yours") for part in _two(value)),
        mistakes=formulas.STANDARDISE_MISTAKES,
        rtol=1e-3,
    )
    agree(
        answer,
        formulas.standardised,
        cases,
        read=_two_finite,
        otherwise="It goes wrong where a pixel is constant in the training images: there the "
        "training images must give 0, and the others the plain difference from the mean.",
        rtol=1e-3,
    )


@TASKS.task(
    "The one-batch check",
    seconds=180.0,
    hints=(
        "`model.get_weights()` gives a list that you can hand to `model.set_weights(...)` later.",
        "`model.train_on_batch(x[:32], y[:32])` is one step on the first 32 rows.",
        "`model(x[:32], training=False)` predicts without dropout; "
        "`keras.losses.sparse_categorical_crossentropy(labels, predictions)` is each row's loss.",
    ),
)
def one_batch_loss(answer: Any) -> None:
    """The loss as a function (model, x, y, steps); the net comes back as it was."""
    check_one_batch_loss(answer)


@TASKS.task(
    "Cure a sick training",
    seconds=300.0,
    hints=(
        "Go through the order of the lesson: pairs of images and labels, size of the inputs, loss "
        "before training, one batch, learning rate.",
        "Count how often a softmax is applied. And does sorting keep an image's label in its row?",
        "Rates between 0.001 and 0.1 suit SGD with momentum in a net like this.",
    ),
)
def cure(answer: Any) -> None:
    """(images, labels, compiled net) as a function (images, labels), with the bugs repaired."""
    check_cure(answer)


def _numbers_and_scales(value: Any) -> tuple[np.ndarray, np.ndarray]:
    q, scale = _two(value)
    if hasattr(q, "numpy"):
        q = q.numpy()
    if not np.isfinite(np.asarray(scale, dtype=float)).all():
        raise Wrong("A scale of yours is not finite. What is the scale of a unit of zeros?")
    q = array(q, "Your whole numbers", dtype="int8")
    scale = array(scale, "Your scales", dtype="float")
    if scale.size == q.shape[-1]:
        scale = scale.reshape(-1)
    if scale.ndim == 0:
        scale = np.full(q.shape[-1], float(scale))
    if scale.shape != q.shape[-1:]:
        raise Wrong(
            f"For {q.shape[-1]} units expected as many scales, got an array of shape {scale.shape}."
        )
    if (scale <= 0).any():
        raise Wrong("A scale is not above 0; then its weights cannot be restored.")
    # The scale of a unit of zeros is free.
    return q.astype(float), np.where(np.all(q == 0, axis=tuple(range(q.ndim - 1))), 1.0, scale)


@TASKS.task(
    "Weights as int8",
    hints=(
        "One number for each unit: the largest absolute value over all axes but the last.",
        "The scale is that number divided by 127; the whole numbers are the weights divided by the "
        "scale, rounded. A unit of zeros may have any scale above 0.",
        "`np.abs(w).max(axis=tuple(range(w.ndim - 1)))`, `np.round`, `.astype(np.int8)`.",
    ),
)
def quantise(answer: Any) -> None:
    """(whole numbers as int8, one scale for each unit) as a function of the weights."""
    draw, cases = rng("quantise"), []
    for shape in ((30, 4), (6, 6), (3, 3, 2, 5)):
        w = draw.normal(size=shape) * draw.uniform(0.1, 10, shape[-1])
        w[(0,) * (w.ndim - 1)] = -np.abs(w).max(axis=tuple(range(w.ndim - 1))) * 1.3
        cases.append((w,))
    for (w,) in cases:
        q, _ = _numbers_and_scales(call(answer, w))
        if q.shape == w.shape and (q * w < -np.abs(w)).any():
            raise Wrong(
                "Some weights have changed their sign: int8 ends at 127, and what lies beyond "
                "starts again at −128. Is your scale too small?"
            )
    agree(
        answer,
        formulas.quantised,
        cases,
        read=_numbers_and_scales,
        mistakes=formulas.QUANTISE_MISTAKES,
    )
    zeros = draw.normal(size=(8, 3))
    zeros[:, 1] = 0
    with np.errstate(all="ignore"):
        agree(
            answer,
            formulas.quantised,
            [(zeros,)],
            read=_numbers_and_scales,
            otherwise="A unit whose weights are all 0 must give zeros and a scale above 0.",
        )


@TASKS.task(
    "And back",
    hints=(
        "Each whole number times the scale of its unit; units are on the last axis.",
        "NumPy lines up the last axes by itself: what does `q * scale` do?",
    ),
)
def dequantise(answer: Any) -> None:
    """The weights as a function (q, scale)."""
    draw, cases = rng("dequantise"), []
    for shape in ((7, 4), (5, 5), (3, 3, 2, 3)):
        q = draw.integers(-127, 128, shape).astype(np.int8)
        cases.append((q, draw.uniform(0.05, 0.9, shape[-1]).astype(np.float32)))
    agree(
        answer, formulas.restored, cases, read=array, mistakes=formulas.RESTORE_MISTAKES, rtol=1e-3
    )


def _halves_and_share(weights: list[np.ndarray], value: Any) -> tuple[Any, ...]:
    halves, saved = _two(value)
    if not isinstance(halves, (list, tuple)) or len(halves) != len(weights):
        raise Wrong(f"Expected a list of {len(weights)} arrays first, got {describe(halves)}.")
    for half, w in zip(halves, weights, strict=True):
        kind = np.asarray(half).dtype
        if w.dtype.kind != "f" and kind != w.dtype:
            raise Wrong(f"An array of whole numbers ({w.dtype}) has become {kind}; leave it alone.")
        if w.dtype.kind == "f" and kind != np.float16:
            raise Wrong(f"An array of {w.dtype} has become {kind}; expected float16.")
        if not np.isfinite(np.asarray(half, dtype=float)).all():
            raise Wrong(
                "A weight has become infinite: float16 ends at 65,504. Cut what lies beyond "
                "before you "
                "convert."
            )
    return (*(array(half).astype(float) for half in halves), number(saved, "Your share"))


@TASKS.task(
    "Weights as float16",
    hints=(
        "`w.dtype.kind` is `'f'` for floating-point numbers; `w.nbytes` is an array's size in "
        "bytes.",
        "`np.finfo(np.float16).max` is the largest number float16 can hold; `np.clip` cuts.",
        "The share that is saved is 1 minus the bytes after divided by the bytes before.",
    ),
)
def to_float16(answer: Any) -> None:
    """(list of arrays, share of bytes saved) as a function of a list of arrays."""
    draw = rng("float16")
    kernel = draw.normal(size=(6, 4)).astype(np.float32)
    codes = draw.integers(-127, 128, (50,)).astype(np.int8)
    bias = draw.normal(size=4)
    large = np.array([1e5, -3e6, 70_000.0, 12.5], dtype=np.float32)
    for weights in ([kernel, codes, bias], [bias, codes], [codes, kernel, large]):
        got = _halves_and_share(weights, call(answer, weights))
        agree(
            lambda weights, got=got: got,
            formulas.halved,
            [(weights,)],
            read=tuple,
            mistakes=formulas.HALVE_MISTAKES,
            otherwise="Your arrays or your share are not right.",
            rtol=1e-4,
        )
