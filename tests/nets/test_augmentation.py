"""Shifted and mirrored images, against NumPy's roll and flip."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

from coursekit.errors import ArgumentError
from coursekit.nets.augmentation import ShiftAndFlip

IMAGES = np.random.default_rng(0).uniform(1, 2, (60, 5, 7, 3)).astype("float32")


def versions(image, most):
    """Return the image in every place and mirroring, by its shift (rows, columns) and flip."""
    padded = np.pad(image, [(most, most), (most, most), (0, 0)])
    height, width, _ = image.shape
    found = {}
    for row, column in itertools.product(range(2 * most + 1), repeat=2):
        window = padded[row : row + height, column : column + width]
        found[row, column, False], found[row, column, True] = window, window[:, ::-1]
    return found


def test_each_image_is_moved_and_mirrored_by_itself_and_all_ways_occur():
    moved = np.asarray(ShiftAndFlip(1, seed=3)(IMAGES, training=True))
    ways = []
    for image, result in zip(IMAGES, moved, strict=True):
        fits = [
            way for way, version in versions(image, 1).items() if np.array_equal(version, result)
        ]
        assert len(fits) == 1
        ways += fits
    rows, columns, mirrored = map(set, zip(*ways, strict=True))
    assert rows == columns == {0, 1, 2}
    assert mirrored == {False, True}
    assert len(set(ways)) > 12, "all images are moved the same way"


@pytest.mark.parametrize("training", [False, None])
def test_outside_training_images_pass_unchanged(training):
    layer = ShiftAndFlip(2)
    result = layer(IMAGES) if training is None else layer(IMAGES, training=training)
    np.testing.assert_array_equal(result, IMAGES)


def test_a_seed_repeats_its_draws_and_the_next_call_draws_anew():
    one, same, other = (ShiftAndFlip(2, seed=seed) for seed in (1, 1, 2))
    first = np.asarray(one(IMAGES, training=True))
    np.testing.assert_array_equal(first, same(IMAGES, training=True))
    assert not np.array_equal(first, other(IMAGES, training=True))
    assert not np.array_equal(first, one(IMAGES, training=True))


def test_zero_pixels_only_mirror():
    moved = np.asarray(ShiftAndFlip(0, seed=0)(IMAGES, training=True))
    flipped = [not np.array_equal(a, b) for a, b in zip(moved, IMAGES, strict=True)]
    assert 10 < sum(flipped) < 50
    np.testing.assert_array_equal(moved[flipped], IMAGES[flipped][:, :, ::-1])


def test_a_saved_model_keeps_the_layer(tmp_path):
    model = keras.Sequential([keras.Input((5, 7, 3)), ShiftAndFlip(1, seed=4)])
    model.save(tmp_path / "model.keras")
    layer = keras.saving.load_model(tmp_path / "model.keras").layers[0]
    assert (layer.pixels, layer.seed) == (1, 4)


def test_it_works_in_a_compiled_step_with_a_batch_of_any_size():
    layer = ShiftAndFlip(1, seed=3)
    model = keras.Sequential([keras.Input((5, 7, 3)), layer, keras.layers.Flatten()])
    model.add(keras.layers.Dense(1))
    model.compile("sgd", "mse", jit_compile=True)
    model.fit(IMAGES, np.zeros(len(IMAGES)), batch_size=25, verbose=0)
    assert int(layer.seed_generator.state[1]) > 0


@pytest.mark.parametrize("pixels", [-1, -4])
def test_a_negative_shift_is_refused(pixels):
    with pytest.raises(ArgumentError, match="pixels: expected a whole number from 0 up"):
        ShiftAndFlip(pixels)
