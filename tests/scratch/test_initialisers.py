"""Initialisers: variance, limits and shapes by formula, and beside Keras' own."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy import stats

from coursekit.base.keras import keras
from coursekit.errors import ArgumentError
from coursekit.scratch import initialisers as init

SHAPE = (700, 300)
VARIANCES = {
    "glorot_uniform": 1 / 500,
    "glorot_normal": 1 / 500,
    "he_uniform": 2 / 700,
    "he_normal": 2 / 700,
    "lecun_uniform": 1 / 700,
    "lecun_normal": 1 / 700,
    "random_normal": 0.05**2,
}


@pytest.mark.parametrize("name", VARIANCES)
def test_mean_and_std_follow_the_formula(name):
    w = init.get(name)(SHAPE, seed=3)
    std = np.sqrt(VARIANCES[name])
    assert w.shape == SHAPE
    assert w.std() == pytest.approx(std, rel=0.02)
    assert abs(w.mean()) < 5 * std / np.sqrt(w.size)


@pytest.mark.parametrize("name", VARIANCES)
def test_distribution_is_that_of_keras(name):
    keras_name = "".join(part.title() for part in name.split("_"))
    theirs = np.asarray(getattr(keras.initializers, keras_name)(seed=5)(SHAPE)).ravel()
    ours = init.get(name)(SHAPE, seed=5).ravel()
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-3


@pytest.mark.parametrize("name", [n for n in VARIANCES if n.endswith("uniform")])
def test_uniform_limit_is_root_of_three_variances(name):
    w = init.get(name)(SHAPE, seed=0)
    limit = np.sqrt(3 * VARIANCES[name])
    assert 0.999 * limit < np.abs(w).max() <= limit


@pytest.mark.parametrize("name", ["glorot_normal", "he_normal", "lecun_normal"])
def test_normal_ones_are_cut_off_at_two_standard_deviations(name):
    w = init.get(name)(SHAPE, seed=0)
    limit = 2 * np.sqrt(VARIANCES[name]) / stats.truncnorm.std(-2, 2)
    assert 0.99 * limit < np.abs(w).max() <= limit


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("shape", [(200, 300), (3, 3, 40, 20), (500, 200, 1)])
def test_untruncated_scaling_equals_keras_for_any_kernel_shape(mode, shape):
    options = {"scale": 0.7, "mode": mode, "distribution": "untruncated_normal", "seed": 1}
    theirs = np.asarray(keras.initializers.VarianceScaling(**options)(shape))
    assert init.variance_scaling(shape, **options).std() == pytest.approx(theirs.std(), rel=0.04)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((), (1, 1)), ((7,), (7, 7)), ((4, 5), (4, 5)), ((3, 3, 16, 32), (144, 288))],
)
def test_fans_count_the_positions_of_a_window(shape, expected):
    assert init.fans(shape) == expected


def test_same_seed_same_weights_and_a_shared_generator_moves_on():
    np.testing.assert_array_equal(init.he_normal((4, 4), seed=1), init.he_normal((4, 4), seed=1))
    rng = np.random.default_rng(0)
    assert not np.array_equal(init.he_normal((4, 4), seed=rng), init.he_normal((4, 4), seed=rng))


def test_without_a_seed_layers_differ_but_repeat_under_pythons_seed():
    random.seed(11)
    first, second = init.he_normal((4, 4)), init.he_normal((4, 4))
    random.seed(11)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(init.he_normal((4, 4)), first)


def test_std_zero_gives_zeros():
    assert not init.random_normal((3, 2), std=0, seed=0).any()
    assert not init.zeros((3, 2)).any()


def test_a_function_passes_through_get():
    assert init.get(init.zeros) is init.zeros


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 0}, r"scale: expected a number in \(0, inf\), got 0"),
        ({"scale": -1}, "scale: expected a number"),
        ({"mode": "fan_inn"}, "mode must be one of fan_in, fan_out, fan_avg, got 'fan_inn'"),
        ({"distribution": "normal"}, "distribution must be one of truncated_normal"),
        ({"seed": -1}, "seed: expected a whole number from 0 up"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        init.variance_scaling((2, 2), **arguments)


def test_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(ArgumentError, match=r"no initialiser 'xavier'.*glorot_normal"):
        init.get("xavier")


def test_text_as_a_number_is_a_type_error():
    with pytest.raises(TypeError, match="std: expected a number"):
        init.random_normal((2, 2), std="0.1")
