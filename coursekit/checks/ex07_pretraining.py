"""Checks of exercise 07: unsupervised and self-supervised pretraining.

The numbers, right and wrong, are in `_ex07_formulas`; the pretext tasks and the net with a head
have modules of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks import _ex07_formulas as formulas
from coursekit.checks._ex07_head import check_with_head
from coursekit.checks._ex07_pretext import check_mask_patches, check_rotation_task
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.compare import agree, rng
from coursekit.checks.kit.values import describe

TASKS = TaskList(7, "Unsupervised and self-supervised pretraining")


@TASKS.task(
    "Better than the mean image?",
    hints=(
        "Two mean squared errors, both against the originals: that of the copies, and that of one "
        "image which is the same for all.",
        "`pool.mean(axis=0)` goes over the images and leaves one value for each pixel. NumPy "
        "subtracts it from every original by itself.",
    ),
)
def relative_error(answer: Any) -> None:
    """The fraction of two errors as a function (originals, copies, pool)."""
    draw, cases = rng("relative error"), []
    for n, n_pool, shape in ((4, 9, (3, 5)), (7, 5, (6, 6)), (2, 3, (2, 4))):
        brightness = draw.uniform(0.2, 1, (n, 1, 1))
        originals = brightness * draw.uniform(size=(n, *shape))
        copies = originals + draw.normal(0, 0.2, originals.shape)
        pool = draw.uniform(size=(n_pool, *shape)) * np.linspace(0.2, 1, shape[1])
        cases.append((originals, copies, pool))
    agree(answer, formulas.relative_error, cases, mistakes=formulas.RELATIVE_ERROR_MISTAKES)


@TASKS.task(
    "Which way is up: images and labels",
    hints=(
        "`np.rot90(images, k, axes=(1, 2))` turns every image of the array by k quarters. Without "
        "`axes` it would turn the array as a block.",
        "Do that for each k from 0 to 3 and join the four arrays with `np.concatenate`.",
        "The labels come in the same order: as many zeros as there are images, then as many ones, "
        "and so on. `np.repeat` makes them.",
    ),
)
def rotation_task(answer: Any) -> None:
    """(4n images, 4n labels) as a function of n square images."""
    check_rotation_task(answer)


@TASKS.task(
    "Hide patches",
    hints=(
        "First decide in the grid of patches: one row of numbers for each image, one number for "
        "each patch. A random order of 0, 1, 2, … in every row, and the patches with the "
        "lowest numbers are hidden.",
        "`draw.random((n, n_patches)).argsort(axis=1)` has such an order in every row. Compare it "
        "with the number of patches to hide.",
        "Reshape the row to the grid, `(n, across, across)`, and make every entry as large as a "
        "patch with `.repeat(patch, axis=1)` and the same for axis 2. Then `np.where`.",
    ),
)
def mask_patches(answer: Any) -> None:
    """(masked images, mask) as a function (images, patch, share, draw)."""
    check_mask_patches(answer)


@TASKS.task(
    "The error that counts",
    hints=(
        "An array of the same shape with True and False picks elements: `values[mask]`.",
        "Subtract, square, pick the hidden ones, take the mean.",
    ),
)
def hidden_error(answer: Any) -> None:
    """The mean squared error on hidden pixels as a function (guesses, images, mask)."""
    draw, cases = rng("hidden error"), []
    for shape in ((5, 4, 6), (3, 8, 8), (1, 5, 5)):
        images = draw.uniform(size=shape)
        mask = draw.random(shape) < np.linspace(0.2, 0.8, shape[0])[:, None, None]
        mask[:, 0, 0], mask[:, 1, 1] = True, False
        spread = np.where(mask, 0.3, 0.1)
        cases.append((images + spread * draw.normal(size=shape), images, mask))
    agree(answer, formulas.hidden_error, cases, mistakes=formulas.HIDDEN_ERROR_MISTAKES)


@TASKS.task(
    "A head on the encoder",
    seconds=120.0,
    hints=(
        "`keras.models.clone_model` copies the structure only. What `get_weights` gives to the "
        "copy with `set_weights` is the rest.",
        "Set `trainable` on the *copy*, before you put it into the new model.",
        "`keras.Sequential([copy, keras.layers.Dense(n_classes, activation=...)])`: which "
        "activation makes probabilities of ten numbers?",
    ),
)
def with_head(answer: Any) -> None:
    """A classifier as a function (encoder, n_classes, frozen)."""
    check_with_head(answer)


def _way(value: Any) -> float:
    known = {"frozen": 0.0, "fine-tuned": 1.0}
    if not isinstance(value, str) or value not in known:
        shown = repr(value) if isinstance(value, str) else describe(value)
        raise Wrong(f'Expected the string "frozen" or "fine-tuned", got {shown}.')
    return known[value]


@TASKS.task(
    "Frozen or fine-tuned?",
    hints=(
        "The two lists belong together entry by entry. Make one array of gains: what fine-tuning "
        "adds on each split.",
        "The standard error of a mean is the standard deviation (`ddof=1`) divided by the root of "
        "the number of values.",
        "Return the word for fine-tuning only if the mean gain is larger than twice that.",
    ),
)
def choose(answer: Any) -> None:
    """The word "frozen" or "fine-tuned" as a function (frozen accuracies, tuned accuracies)."""
    draw, cases = rng("choose"), []
    for n in (3, 4, 5, 8, 12):
        base = draw.uniform(0.4, 0.8, n)
        for size in (-4.0, -2.4, -0.3, 0.3, 0.7, 1.4, 1.75, 1.95, 2.05, 2.3, 3.0, 6.0):
            noise = draw.normal(0, 0.02, n)
            noise -= noise.mean()
            gain = size * noise.std(ddof=1) / np.sqrt(n)
            cases.append((base.tolist(), (base + noise + gain).tolist()))
    agree(
        answer,
        formulas.choice,
        cases,
        read=_way,
        mistakes=formulas.CHOICE_MISTAKES,
        otherwise="On some pairs of lists you choose otherwise than the rule of the task.",
    )
    same = [([0.5, 0.6, 0.7], [0.5, 0.6, 0.7]), ([0.25, 0.5], [0.5, 0.75])]
    agree(answer, formulas.choice, same, read=_way,
          otherwise="Where all gains are equal, their error is 0; this goes wrong.")  # fmt: skip
