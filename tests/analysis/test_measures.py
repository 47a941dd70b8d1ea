"""Entropy, mutual information and calibration against scipy, scikit-learn and hand-made tables."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.calibration import calibration_curve

from coursekit.analysis.uncertainty import (
    expected_calibration_error,
    mutual_information,
    predictive_entropy,
    reliability_curve,
)
from coursekit.errors import ArgumentError

rng = np.random.default_rng(0)
P = rng.dirichlet(np.ones(5), size=(30, 200))
LABELS = rng.integers(0, 5, size=200)


def test_the_measures_need_no_tensorflow():
    code = "import coursekit.analysis.uncertainty, sys; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_entropy_equals_scipys_for_any_number_of_axes():
    for p in (P[0, 0], P[0], P):
        np.testing.assert_allclose(predictive_entropy(p), entropy(p, axis=-1), atol=1e-12)


def test_entropy_is_zero_when_certain_and_ln_classes_when_uniform():
    np.testing.assert_array_equal(predictive_entropy(np.eye(4)), np.zeros(4))
    assert not np.signbit(predictive_entropy(np.eye(4))).any()
    assert predictive_entropy(np.full(10, 0.1)) == pytest.approx(np.log(10))


def test_entropy_reads_float32_rows_of_a_softmax():
    z = rng.normal(size=(50, 10)).astype("float32")
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    assert p.dtype == np.float32
    np.testing.assert_allclose(predictive_entropy(p), entropy(p, axis=1), atol=1e-6)


def test_mutual_information_is_the_mean_divergence_from_the_mean():
    by_divergence = entropy(P, P.mean(axis=0, keepdims=True), axis=-1).mean(axis=0)
    np.testing.assert_allclose(mutual_information(P), by_divergence, atol=1e-12)


def test_mutual_information_is_zero_for_one_sample_and_for_equal_ones():
    np.testing.assert_array_equal(mutual_information(P[:1]), np.zeros(200))
    np.testing.assert_allclose(mutual_information(np.repeat(P[:1], 7, axis=0)), 0, atol=1e-12)
    assert (mutual_information(np.repeat(P[:1], 7, axis=0)) >= 0).all()


def test_mutual_information_is_the_whole_entropy_of_certain_samples_that_disagree():
    samples = np.eye(3)[[0, 1, 2, 0]][:, None]
    assert mutual_information(samples) == pytest.approx(entropy([2, 1, 1]))


HAND = np.array([[0.1, 0.9], [0.95, 0.05], [0.4, 0.6], [0.55, 0.45], [0.5, 0.5]])
HAND_LABELS = np.array([1, 1, 1, 1, 0])


def test_the_reliability_curve_of_a_hand_made_table():
    # Confidences .9 right, .95 wrong | .6 right, .55 wrong | .5 right: a limit falls below it.
    curve = reliability_curve(HAND, HAND_LABELS, bins=4)
    np.testing.assert_array_equal(curve.edges, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(curve.count, [0, 1, 2, 2])
    np.testing.assert_allclose(curve.accuracy, [np.nan, 1, 0.5, 0.5])
    np.testing.assert_allclose(curve.confidence, [np.nan, 0.5, 0.575, 0.925])


def test_the_calibration_error_of_a_hand_made_table():
    by_hand = (1 * 0.5 + 2 * 0.075 + 2 * 0.425) / 5
    assert expected_calibration_error(HAND, HAND_LABELS, bins=4) == pytest.approx(by_hand)
    overall = abs(3 / 5 - (0.9 + 0.95 + 0.6 + 0.55 + 0.5) / 5)
    assert expected_calibration_error(HAND, HAND_LABELS, bins=1) == pytest.approx(overall)


@pytest.mark.parametrize("bins", [1, 2, 7, 15])
def test_the_curve_equals_scikit_learns(bins):
    p = P.reshape(-1, 5)
    labels = rng.integers(0, 5, size=len(p))
    curve = reliability_curve(p, labels, bins=bins)
    accuracy, confidence = calibration_curve(
        p.argmax(axis=1) == labels, p.max(axis=1), n_bins=bins, strategy="uniform"
    )
    filled = curve.count > 0
    np.testing.assert_allclose(curve.accuracy[filled], accuracy)
    np.testing.assert_allclose(curve.confidence[filled], confidence)
    assert curve.count.sum() == len(p)
    assert np.isnan(curve.accuracy[~filled]).all()


def test_labels_drawn_from_the_probabilities_are_calibrated_and_sharpened_ones_are_not():
    p = rng.dirichlet(np.ones(3), size=40_000)
    labels = (rng.random(len(p))[:, None] > p.cumsum(axis=1)).sum(axis=1)
    sharp = p**3 / (p**3).sum(axis=1, keepdims=True)
    assert expected_calibration_error(p, labels) < 0.02
    assert expected_calibration_error(sharp, labels) > 0.1


def test_certain_and_right_has_no_error_and_certain_and_wrong_has_one():
    assert expected_calibration_error(np.eye(3), [0, 1, 2]) == 0
    assert expected_calibration_error(np.eye(3), [1, 2, 0]) == 1


def test_one_prediction_is_enough():
    assert expected_calibration_error([[0.3, 0.7]], [1]) == pytest.approx(0.3)


def test_arguments_stay_untouched():
    p, labels = P[0].copy(), LABELS.copy()
    p.flags.writeable = labels.flags.writeable = False
    reliability_curve(p, labels)
    mutual_information(p[None])


@pytest.mark.parametrize(
    ("p", "message"),
    [
        ([[0.5, 0.6]], "sum to 1"),
        ([[1.5, -0.5]], "sum to 1"),
        ([[np.nan, 1.0]], "sum to 1"),
        (np.empty((0, 3)), "at least one row"),
        (1.0, "at least one row"),
    ],
)
def test_what_are_no_probabilities_is_refused(p, message):
    for measure in (predictive_entropy, mutual_information):
        with pytest.raises(ArgumentError, match=message):
            measure(p)
    with pytest.raises(ArgumentError, match=message):
        reliability_curve(p, [0])


def test_wrong_shapes_are_refused():
    with pytest.raises(ArgumentError, match=r"samples must have .*\(200, 5\)"):
        mutual_information(P[0])
    with pytest.raises(ArgumentError, match=r"probabilities must have .*\(30, 200, 5\)"):
        reliability_curve(P, LABELS)
    with pytest.raises(ArgumentError, match=r"labels must have the shape \(200,\), .*\(200, 1\)"):
        reliability_curve(P[0], LABELS[:, None])


@pytest.mark.parametrize(
    ("labels", "bins", "error", "message"),
    [
        ([0, 5], 10, ArgumentError, "labels must lie in 0 to 4, but run from 0 to 5"),
        ([-1, 0], 10, ArgumentError, "labels must lie in 0 to 4"),
        ([0.0, 1.0], 10, TypeError, "whole numbers, but have the type float64"),
        ([0, 1], 0, ArgumentError, "bins: expected a whole number from 1 up, got 0"),
        ([0, 1], True, TypeError, "bins: expected a whole number"),
        ([0, 1], 2.5, TypeError, "bins: expected a whole number"),
    ],
)
def test_wrong_labels_and_bins_are_refused(labels, bins, error, message):
    with pytest.raises(error, match=message):
        expected_calibration_error(P[0, :2], labels, bins=bins)
