"""Exercise 04: folding, right and wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Vector = np.ndarray


def fold(
    kernel: np.ndarray,
    bias: Vector | None,
    gamma: Vector,
    beta: Vector,
    mean: Vector,
    variance: Vector,
    eps: float,
) -> tuple[Any, ...]:
    """Return kernel and bias of the dense layer that does the work of both."""
    return _fold(kernel, bias, gamma, beta, mean, variance, eps)


def _fold(
    kernel: np.ndarray,
    bias: Vector | None,
    gamma: Any,
    beta: Any,
    mean: Any,
    variance: Vector,
    eps: float,
    *,
    power: float = 0.5,
    rows: bool = False,
) -> tuple[Any, ...]:
    s = gamma / (variance + eps) ** power
    b = 0.0 if bias is None else bias
    return kernel * (s[:, None] if rows else s), beta + s * (b - mean)


def _but(**changes: Any) -> Callable[..., Any]:
    """Return the right formula with some of its inputs changed: name → function of all."""
    names = ("kernel", "bias", "gamma", "beta", "mean", "variance", "eps")

    def wrong(*given: Any) -> tuple[Any, ...]:
        values = dict(zip(names, given, strict=True))
        settings = {k: v for k, v in changes.items() if k not in names}
        values |= {k: v(values) for k, v in changes.items() if k in names}
        return _fold(*values.values(), **settings)

    return wrong


def _bias(formula: Callable[..., Any]) -> Callable[..., Any]:
    """Return the right kernel with a wrong bias, a function (s, b, beta, mean)."""

    def wrong(
        kernel: np.ndarray, bias: Any, gamma: Any, beta: Any, mean: Any, variance: Any, eps: float
    ) -> tuple[Any, ...]:
        s = gamma / np.sqrt(variance + eps)
        b = np.zeros_like(beta) if bias is None else bias
        return kernel * s, formula(s, b, beta, mean)

    return wrong


def _kernel_alone(kernel: np.ndarray, *rest: Any) -> tuple[Any, ...]:
    return kernel, fold(kernel, *rest)[1]


FOLD_MISTAKES: dict[str, Callable[..., Any]] = {
    "You scale the rows of the kernel. A unit is a column, and `s` has one number for each unit.": (
        _but(rows=True)
    ),
    "The kernel is not scaled.": _kernel_alone,
    "`epsilon` is missing.": _but(eps=lambda v: 0.0),
    "The root is missing: `s` divides by the standard deviation, not by the variance.": _but(
        power=1.0
    ),
    "`gamma` is missing from `s`.": _but(gamma=lambda v: np.ones_like(v["gamma"])),
    "The dense layer's own bias is lost.": _but(bias=lambda v: None),
    "The moving mean does not appear in your bias.": _bias(lambda s, b, beta, mean: beta + s * b),
    "The moving mean has the wrong sign: it is subtracted before the scaling.": _bias(
        lambda s, b, beta, mean: beta + s * (b + mean)
    ),
    "The moving mean is subtracted without being scaled by `s`.": _bias(
        lambda s, b, beta, mean: beta + s * b - mean
    ),
    "The dense layer's bias passes through the normalisation, too: it must be scaled by `s`.": (
        _bias(lambda s, b, beta, mean: beta + b - s * mean)
    ),
    "`beta` is added after the scaling: it must not be scaled by `s`.": _bias(
        lambda s, b, beta, mean: s * (beta + b - mean)
    ),
    "`beta` is missing from your bias.": _bias(lambda s, b, beta, mean: s * (b - mean)),
}
