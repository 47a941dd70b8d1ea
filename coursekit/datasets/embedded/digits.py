"""`digits`: the 1,797 handwritten digits that scikit-learn ships, in the size of MNIST.

E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, 1998. Each 8×8 image is upscaled and, after the originals were split into training
and test, drawn many times with another rotation, scale, shear and place. Copies of one original
share a group, so that the validation part can keep them together as well.

Same bytes on every platform, for the reasons given in `coursekit.datasets.embedded.shapes`: the
upscaling is done in integers.
"""

from __future__ import annotations

import numpy as np

from coursekit.datasets.arrays import Arrays
from coursekit.datasets.portable_random import Draws
from coursekit.datasets.splitting import stratified_order

SIZE = 28
N_TEST_ORIGINALS = 360

_f = np.float32
_CHUNK = 250  # part of the recipe: it orders the random numbers
_FINE = 8  # fine pixels for each original pixel
_MARGIN = 24  # fine pixels of background around the original
_PIXEL = 20 / 8  # output pixels for each original pixel: a digit fills 20×20, as in MNIST


def make_digits(n_train: int, n_test: int, seed: int) -> Arrays:
    """Draw `n_train` and `n_test` images from originals that never sit on both sides."""
    from sklearn.datasets import load_digits

    source = load_digits()
    labels = source.target.astype(np.uint8)
    order = stratified_order(labels, seed)
    draws = Draws(seed)
    fine = _enlarged(source.images)
    parts = {}
    for part, chosen, n in (
        ("test", order[:N_TEST_ORIGINALS], n_test),
        ("train", order[N_TEST_ORIGINALS:], n_train),
    ):
        copies = np.resize(chosen, n)[draws.permutation(n)]
        parts[f"x_{part}"] = _augmented(fine, copies, draws)
        parts[f"y_{part}"] = labels[copies]
        groups = copies.astype(np.int32)
    return Arrays(**parts, groups=groups)


def _enlarged(images: np.ndarray) -> np.ndarray:
    """Eight times the size by Catmull-Rom interpolation; uint8 with a margin of background.

    The weights are cubic polynomials in sixteenths: integers over 2 * 16**3. Every sum is an
    integer below 2**53, so float64 holds it exactly in whatever order it was added up.
    """
    height = images.shape[1]
    weights = np.zeros((_FINE * height, height + 4))
    for row in range(len(weights)):
        below, t = divmod(2 * row + 1 - _FINE, 2 * _FINE)
        weights[row, below + 1 : below + 5] = (
            -(t**3) + 32 * t**2 - 256 * t,
            3 * t**3 - 80 * t**2 + 2 * 16**3,
            -3 * t**3 + 64 * t**2 + 256 * t,
            t**3 - 16 * t**2,
        )
    weights = weights[:, 2:-2]
    fine = (weights @ images @ weights.T).astype(np.int64)
    one = 16 * (2 * 16**3) ** 2  # full ink: the originals count to 16
    grey = np.clip((2 * 255 * fine + one) // (2 * one), 0, 255)
    margin = (_MARGIN, _MARGIN)
    return np.pad(grey.astype(np.uint8), ((0, 0), margin, margin))


def _augmented(fine: np.ndarray, copies: np.ndarray, draws: Draws) -> np.ndarray:
    images = np.empty((len(copies), SIZE, SIZE), np.uint8)
    for start in range(0, len(copies), _CHUNK):
        part = slice(start, start + _CHUNK)
        images[part] = _warped(fine, copies[part], draws)
    return images


def _warped(fine: np.ndarray, copies: np.ndarray, draws: Draws) -> np.ndarray:
    n = len(copies)
    # Rows of the inverse map, from output pixels to fine pixels. Slope and shear stand in for a
    # rotation: no sine is needed.
    turn = draws.uniform(n, -0.22, 0.22)
    shear = draws.uniform(n, -0.15, 0.15)
    across, down = draws.uniform(n, 0.88, 1.18), draws.uniform(n, 0.88, 1.12)
    step = _f(_FINE / _PIXEL)
    matrix = (step * across, step * (turn + shear), -step * turn, step * down)
    xx, xy, yx, yy = (entry[:, None, None] for entry in matrix)
    offsets = np.arange(SIZE, dtype=np.float32) - _f((SIZE - 1) / 2)
    dx = offsets[None, None, :] - draws.uniform(n, -2, 2)[:, None, None]
    dy = offsets[None, :, None] - draws.uniform(n, -2, 2)[:, None, None]
    centre = _f((fine.shape[1] - 1) / 2)
    limit = fine.shape[1] - 2
    x = np.clip(centre + xx * dx + xy * dy, 0, limit)
    y = np.clip(centre + yx * dx + yy * dy, 0, limit)
    left, top = x.astype(np.int64), y.astype(np.int64)
    x, y = x - left.astype(np.float32), y - top.astype(np.float32)
    width = fine.shape[2]
    corner = (copies[:, None, None] * fine.shape[1] + top) * width + left

    def ink(down: int, right: int) -> np.ndarray:
        return np.take(fine, corner + (down * width + right)).astype(np.float32)

    upper = ink(0, 0) * (_f(1) - x) + ink(0, 1) * x
    lower = ink(1, 0) * (_f(1) - x) + ink(1, 1) * x
    grey = upper * (_f(1) - y) + lower * y
    # The originals are blurred by their making; a steeper curve brings back crisp strokes.
    return np.clip(np.floor((grey - _f(56)) * _f(1.7) + _f(0.5)), 0, 255).astype(np.uint8)
