"""Uncertainty of a classifier: Monte Carlo dropout, and what its probabilities are worth.

`mc_predict` samples a trained model with its dropout switched on (the README's `ck.mc_predict`).
The measures are pure NumPy functions of probabilities and labels and need no TensorFlow.
"""

from __future__ import annotations

from coursekit.analysis.uncertainty.mc_dropout import MCPrediction, mc_predict
from coursekit.analysis.uncertainty.measures import (
    ReliabilityCurve,
    expected_calibration_error,
    mutual_information,
    predictive_entropy,
    reliability_curve,
)

__all__ = [
    "MCPrediction",
    "ReliabilityCurve",
    "expected_calibration_error",
    "mc_predict",
    "mutual_information",
    "predictive_entropy",
    "reliability_curve",
]
