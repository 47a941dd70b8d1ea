"""Measures of uncertainty and calibration: pure functions of probabilities and labels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from coursekit.base.numbers import whole_number
from coursekit.errors import ArgumentError

__all__ = [
    "ReliabilityCurve",
    "expected_calibration_error",
    "mutual_information",
    "predictive_entropy",
    "reliability_curve",
]


def predictive_entropy(probabilities: Any) -> np.ndarray:
    """Return the entropy of each predicted distribution, in nats.

    H[p] = −Σ_c p_c ln p_c, with 0 · ln 0 = 0: from 0 (certain) to ln(n_classes) (uniform).
    For Monte Carlo dropout p is the mean over the samples (Gal, *Uncertainty in Deep Learning*,
    2016, section 3.3.1).

    Args:
        probabilities: shape (..., n_classes), rows that sum to 1.

    Returns:
        Shape (...), float64.

    Raises:
        ArgumentError: rows that are no probabilities.

    >>> predictive_entropy([[0.5, 0.5], [1.0, 0.0]]).round(4)
    array([0.6931, 0.    ])
    """
    p = _probabilities("probabilities", probabilities)
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1) + 0.0  # + 0.0: never −0


def mutual_information(samples: Any) -> np.ndarray:
    """Return how much the samples of each prediction disagree, in nats (BALD).

    I = H[mean_s p_s] − mean_s H[p_s]: the part of the entropy that comes from not knowing the
    weights. 0 where all samples agree, however uncertain each of them is (Houlsby et al.,
    *Bayesian Active Learning for Classification*, 2011, equation 2).

    Args:
        samples: shape (samples, n, n_classes), rows that sum to 1; `MCPrediction.samples`.

    Returns:
        Shape (n,), float64, at least 0.

    Raises:
        ArgumentError: another number of axes, or rows that are no probabilities.

    >>> agree = [[[0.5, 0.5]], [[0.5, 0.5]]]
    >>> disagree = [[[1.0, 0.0]], [[0.0, 1.0]]]
    >>> mutual_information(agree).round(4), mutual_information(disagree).round(4)
    (array([0.]), array([0.6931]))
    """
    p = _probabilities("samples", samples)
    if p.ndim != 3:
        raise ArgumentError(
            f"samples must have the shape (samples, n, n_classes), but has {p.shape}"
        )
    difference = predictive_entropy(p.mean(axis=0)) - predictive_entropy(p).mean(axis=0)
    return np.maximum(difference, 0.0)


class ReliabilityCurve(NamedTuple):
    """Confidence against accuracy, one entry per bin; an empty bin holds NaN.

    Attributes:
        edges: the bins' limits, shape (bins + 1,).
        confidence: mean of the largest probability in each bin, shape (bins,).
        accuracy: share of right answers in each bin, shape (bins,).
        count: number of predictions in each bin, shape (bins,).
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def reliability_curve(probabilities: Any, labels: Any, *, bins: int = 15) -> ReliabilityCurve:
    """Sort predictions into bins of equal width by confidence and measure each bin's accuracy.

    Bin m of M holds the predictions with a largest probability in ((m − 1)/M, m/M]; a
    calibrated classifier has accuracy = confidence in every bin (Guo et al., *On Calibration of
    Modern Neural Networks*, 2017, section 2).

    Args:
        probabilities: shape (n, n_classes), rows that sum to 1.
        labels: the right classes, whole numbers, shape (n,).
        bins: number of bins M.

    Returns:
        A `ReliabilityCurve`.

    Raises:
        ArgumentError: shapes that do not fit, labels out of range, no predictions, no bins.
        TypeError: labels or bins that are no whole numbers.

    >>> curve = reliability_curve([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]], [0, 1, 0], bins=2)
    >>> curve.confidence.round(2), curve.accuracy.round(2), curve.count
    (array([nan, 0.8]), array([ nan, 0.67]), array([0, 3]))
    """
    p, y = _predictions(probabilities, labels)
    bins = whole_number("bins", bins, least=1)
    edges = np.linspace(0.0, 1.0, bins + 1)
    top = p.max(axis=1)
    right = p.argmax(axis=1) == y
    place = np.searchsorted(edges[1:-1], top)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 in an empty bin is NaN on purpose
        confidence = np.bincount(place, weights=top, minlength=bins) / count
        accuracy = np.bincount(place, weights=right, minlength=bins) / count
    return ReliabilityCurve(edges, confidence, accuracy, count)


def expected_calibration_error(probabilities: Any, labels: Any, *, bins: int = 15) -> float:
    """Return the mean gap between confidence and accuracy, weighted by the bins' counts.

    ECE = Σ_m |B_m|/n · |accuracy(B_m) − confidence(B_m)| over the bins of `reliability_curve`
    (Guo et al., 2017, equation 3): 0 is calibrated; it depends on the number of bins.

    Args:
        probabilities: shape (n, n_classes), rows that sum to 1.
        labels: the right classes, whole numbers, shape (n,).
        bins: number of bins of equal width.

    Raises:
        ArgumentError, TypeError: as `reliability_curve`.

    >>> round(expected_calibration_error([[0.9, 0.1], [0.8, 0.2]], [0, 1], bins=1), 4)
    0.35
    """
    curve = reliability_curve(probabilities, labels, bins=bins)
    gaps = np.abs(curve.accuracy - curve.confidence)
    return float(np.nansum(curve.count * gaps) / curve.count.sum())


def _probabilities(what: str, values: Any) -> np.ndarray:
    p = np.asarray(values, dtype=np.float64)
    if p.ndim < 1 or p.size == 0:
        raise ArgumentError(f"{what} must hold at least one row, but has the shape {p.shape}")
    # 1e-3 leaves room for float16 softmax layers.
    if not (np.all(p >= -1e-6) and np.allclose(p.sum(axis=-1), 1.0, rtol=0, atol=1e-3)):
        raise ArgumentError(
            f"{what} must hold rows of probabilities that sum to 1: "
            "give the outputs of a softmax, not logits or NaN"
        )
    return p


def _predictions(probabilities: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    p = _probabilities("probabilities", probabilities)
    if p.ndim != 2:
        raise ArgumentError(f"probabilities must have the shape (n, n_classes), but has {p.shape}")
    y = np.asarray(labels)
    if y.dtype.kind not in "iu":
        raise TypeError(f"labels must be whole numbers, but have the type {y.dtype}")
    if y.shape != p.shape[:1]:
        raise ArgumentError(f"labels must have the shape {p.shape[:1]}, but has {y.shape}")
    if y.min() < 0 or y.max() >= p.shape[1]:
        raise ArgumentError(
            f"labels must lie in 0 to {p.shape[1] - 1}, but run from {y.min()} to {y.max()}"
        )
    return p, y
