"""Clippers against Keras' clipvalue, clipnorm and global_clipnorm."""

from __future__ import annotations

import numpy as np
import pytest

from coursekit.base.keras import keras, tf
from coursekit.errors import ArgumentError
from coursekit.scratch.clipping import (
    clip_by_global_norm,
    clip_by_norm,
    clip_by_value,
    global_norm,
)

CLIPPERS = [clip_by_value, clip_by_norm, lambda g, limit: clip_by_global_norm({"g": g}, limit)["g"]]


def keras_clipped(gradients, **option):
    """What Keras' SGD subtracts at a learning rate of 1: the clipped gradients."""
    variables = [keras.Variable(np.zeros(np.shape(g)), dtype="float64") for g in gradients]
    optimizer = keras.optimizers.SGD(1.0, **option)
    optimizer.apply([tf.constant(g, dtype="float64") for g in gradients], variables)
    return [-np.asarray(v) for v in variables]


def cosine(a, b):
    return np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b)


def test_the_numbers_of_the_textbook_example():
    np.testing.assert_allclose(clip_by_value([0.9, 100.0], 1.0), [0.9, 1.0], atol=1e-6)
    np.testing.assert_allclose(clip_by_norm([0.9, 100.0], 1.0), [0.00899964, 0.9999595], atol=1e-6)


@pytest.mark.parametrize("scale", [0.01, 1.0, 1e3, 1e150])
@pytest.mark.parametrize("limit", [0.5, 1.0, 7.0])
def test_all_three_equal_keras(scale, limit):
    rng = np.random.default_rng(0)
    gradients = {"W": scale * rng.normal(size=(4, 3)), "b": scale * rng.normal(size=3)}
    values = list(gradients.values())
    for ours, theirs in [
        ([clip_by_value(g, limit) for g in values], keras_clipped(values, clipvalue=limit)),
        ([clip_by_norm(g, limit) for g in values], keras_clipped(values, clipnorm=limit)),
        (
            list(clip_by_global_norm(gradients, limit).values()),
            keras_clipped(values, global_clipnorm=limit),
        ),
    ]:
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_norm_keeps_the_direction_and_value_does_not():
    g = np.random.default_rng(0).normal(0, 5, (6, 4))
    assert cosine(g, clip_by_norm(g, 1.0)) == pytest.approx(1)
    assert cosine(g, clip_by_value(g, 1.0)) < 0.98


def test_global_norm_keeps_the_ratio_between_variables():
    gradients = {"W": np.array([[30.0, 0.0]]), "b": np.array([40.0])}
    clipped = clip_by_global_norm(gradients, 5.0)
    assert global_norm(clipped) == pytest.approx(5)
    np.testing.assert_allclose(clipped["W"], [[3.0, 0.0]])
    np.testing.assert_allclose(clipped["b"], [4.0])


@pytest.mark.parametrize("clip", CLIPPERS)
@pytest.mark.parametrize("gradient", [[0.0, 0.0], [0.1, -0.2], [], 0.5, [0.6, 0.8]])
def test_what_is_within_the_limit_stays_as_it_is(clip, gradient):
    np.testing.assert_array_equal(clip(gradient, 1.0), gradient)


@pytest.mark.parametrize("clip", CLIPPERS)
def test_the_argument_is_left_alone(clip):
    g = np.array([3.0, 4.0])
    clip(g, 1.0)[...] = 0
    assert g.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("clip", CLIPPERS)
def test_nan_stays_nan(clip):
    assert np.isnan(clip([np.nan, 1.0], 1.0)[0])


@pytest.mark.parametrize("clip", CLIPPERS[1:])
def test_an_infinite_component_is_not_made_to_look_finite(clip):
    assert np.isnan(clip([np.inf, 1.0], 1.0)[0])


def test_no_gradients_are_no_gradients():
    assert clip_by_global_norm({}, 1.0) == {}
    assert global_norm({}) == 0


@pytest.mark.parametrize("clip", CLIPPERS)
@pytest.mark.parametrize("limit", [0, -1.0, float("nan")])
def test_a_limit_that_is_not_positive_is_refused(clip, limit):
    with pytest.raises(ArgumentError, match=r"limit: expected a number in \(0, inf\)"):
        clip([1.0], limit)
