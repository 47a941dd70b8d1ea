"""Exercise 07: the two pretext tasks, judged by the pairs of input and label that they make."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import array, describe


def rotation_task(answer: Any) -> None:
    """(4n images, 4n labels) as a function of n square images; any order."""
    for n, size in ((6, 5), (1, 4)):
        images = rng(f"rotation {n}").uniform(size=(n, size, size)).astype("float32")
        turned, turns = _pair(call(answer, images), 4 * n, images.shape[1:])
        _require_labels(turns, n)
        whose, by = _recognised(turned, images)
        if (whose < 0).any():
            raise Wrong(
                f"{np.sum(whose < 0)} of your {4 * n} images are none of the given ones turned: "
                "are they mirrored, turned as one block, or turned about the wrong axes?"
            )
        if len(set(zip(whose.tolist(), by.tolist(), strict=True))) < 4 * n:
            raise Wrong("Not every image comes in all four positions, once each.")
        if np.array_equal(by, turns):
            continue
        if np.array_equal(-by % 4, turns):
            raise Wrong(
                "Your labels count the quarters clockwise: label 1 must be a turn to the left, "
                "counter-clockwise, as `np.rot90` counts."
            )
        i = int(np.argmax(by != turns))
        raise Wrong(
            f"The labels do not belong to their images: your image {i} has the label {turns[i]:g} "
            "and is turned otherwise. Is the order of the labels that of the images?"
        )


def _pair(value: Any, n: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Wrong(f"Expected two arrays, images and labels, got {describe(value)}.")
    turned = array(value[0], "The array of images")
    labels = array(value[1], "The array of labels")
    if turned.shape != (n, *shape):
        if turned.shape == (n // 4, *shape):
            raise Wrong("You return each image once; it is wanted in all four positions.")
        raise Wrong(
            f"For {n // 4} images of shape {shape} your images have shape {turned.shape}."
            + (" Join the four groups along the first axis." if turned.ndim == 4 else "")
        )
    if labels.shape != (n,):
        raise Wrong(f"For {n} turned images your labels have shape {labels.shape}.")
    return turned, labels


def _require_labels(turns: np.ndarray, n: int) -> None:
    found = sorted({float(t) for t in turns})
    if found == [0.0, 90.0, 180.0, 270.0]:
        raise Wrong(
            "Your labels are degrees. A softmax with four outputs wants the numbers of classes."
        )
    if found == [1.0, 2.0, 3.0, 4.0]:
        raise Wrong("Your labels run from 1 to 4; classes are counted from 0.")
    if any(np.sum(turns == k) != n for k in range(4)):
        raise Wrong("The labels are not each of the four class numbers once for every image.")


def _recognised(turned: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each turned image which image it is (−1: none) and by how many quarters."""
    whose, by = np.full(len(turned), -1), np.zeros(len(turned), int)
    for k in range(4):
        for i, image in enumerate(images):
            same = np.all(np.isclose(turned, np.rot90(image, k)), axis=(1, 2))
            whose[same], by[same] = i, k
    return whose, by


def mask_patches(answer: Any) -> None:
    """(masked images, mask) as a function (images, patch, share, draw).

    The shares lie where rounding, rounding up and rounding down give different numbers.
    """
    for n, side, patch, share in (
        (40, 12, 3, 0.7), (30, 8, 4, 0.5), (25, 28, 7, 0.3), (1, 6, 2, 0.6), (3, 6, 1, 0.24),
        (4, 6, 3, 0.0), (4, 6, 3, 1.0),
    ):  # fmt: skip
        name = f"patches {side} {patch}"
        images = rng(name).uniform(0.1, 1, (n, side, side)).astype("float32")
        draw = np.random.default_rng(int(rng(name + " draw").integers(1000)))
        masked, mask = _masked(call(answer, images, patch, share, draw), images.shape)
        _require_patches(mask, patch, share)
        _require_hidden(masked, mask, images)
        if n > 4 and len({m.tobytes() for m in mask}) == 1:
            raise Wrong("All images have the same patches hidden; draw anew for each.")
    _require_chance(answer)


def _masked(value: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Wrong(f"Expected two arrays, masked images and mask, got {describe(value)}.")
    masked = array(value[0], "The array of masked images", shape=shape)
    mask = np.asarray(value[1])
    if mask.shape != shape:
        raise Wrong(f"For images of shape {shape} your mask has shape {mask.shape}.")
    if not np.isin(mask, (0, 1)).all():
        raise Wrong("The mask holds other values than True and False.")
    return masked, mask.astype(bool)


def _require_patches(mask: np.ndarray, patch: int, share: float) -> None:
    n, side, _ = mask.shape
    across = side // patch
    blocks = mask.reshape(n, across, patch, across, patch).mean(axis=(2, 4))
    if not np.isin(blocks, (0, 1)).all():
        raise Wrong(
            "Some patches are hidden in part: a patch of the grid is either hidden whole or not at "
            "all."
        )
    counts, wanted = blocks.sum(axis=(1, 2)), round(share * across**2)
    if (counts == wanted).all():
        return
    if (counts == across**2 - wanted).all():
        raise Wrong(
            "The mask is the wrong way round: `share` tells how many patches are hidden, and True "
            "means hidden."
        )
    if len(set(counts.tolist())) > 1:
        raise Wrong(
            "The number of hidden patches differs from image to image: every image must have the "
            "same number. Rank random numbers in place of comparing them with `share`."
        )
    near = abs(counts[0] - share * across**2) < 1
    raise Wrong(
        f"With {across}×{across} patches and share={share} you hide {counts[0]:g} in each image; "
        + ("`round` the product." if near else "does every row choose patches of its own?")
    )


def _require_hidden(masked: np.ndarray, mask: np.ndarray, images: np.ndarray) -> None:
    if np.allclose(masked[mask], images[mask]) and not masked[~mask].any():
        raise Wrong(
            "The visible pixels are set to 0 and the hidden ones kept: the wrong way round."
        )
    if masked[mask].any():
        raise Wrong("Some pixels are hidden according to your mask, but not 0 in the image.")
    if not np.allclose(masked[~mask], images[~mask]):
        raise Wrong("Visible pixels have changed: they must stay as they are.")


def _require_chance(answer: Any) -> None:
    images, n = np.ones((400, 8, 8), "float32"), 400
    draw = np.random.default_rng(int(rng("chance").integers(1000)))
    _, mask = _masked(call(answer, images, 2, 0.5, draw), images.shape)
    often = mask[:, ::2, ::2].mean(axis=0)  # each patch is hidden in half of the images
    if np.abs(often - 0.5).max() > 0.15:
        raise Wrong("Some patches are hidden far more often than others; all must be as likely.")
    rows = mask[:, ::2, ::2].reshape(n, 16).astype(float)
    together = rows.T @ rows / n  # two patches are hidden together in 7/30 of the images
    np.fill_diagonal(together, 7 / 30)
    if np.abs(together - 7 / 30).max() > 0.12 or len({row.tobytes() for row in rows}) < n // 2:
        raise Wrong(
            "Your masks are too much alike: some patches go together, or few different masks "
            "occur. Every choice of patches must be as likely, in each image anew."
        )
    _, again = _masked(call(answer, images, 2, 0.5, draw), images.shape)
    if np.array_equal(mask, again):
        raise Wrong(
            "A second call hides the very same patches: take the random numbers from `draw`, which "
            "goes on from call to call."
        )
    first, second = (
        _masked(call(answer, images, 2, 0.5, np.random.default_rng(7)), images.shape)[1]
        for _ in range(2)
    )
    if not np.array_equal(first, second):
        raise Wrong(
            "With the same generator twice the masks differ: use `draw` for all randomness."
        )
