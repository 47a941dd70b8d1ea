"""What all layers share: checks of shapes, and the parameters with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.errors import ArgumentError
from coursekit.scratch._arguments import real_array


class Layer:
    """A layer: `forward`, `backward`, and the dicts `params` and `grads`.

    A subclass writes `_forward(x, training)`, which may remember what it needs, and
    `_backward(grad)`, which fills `grads` and returns ∂loss/∂x.
    """

    n_features: int | None = None  # what the last axis of x must have; None: anything

    def __init__(self) -> None:
        self.params: dict[str, np.ndarray] = {}
        self.grads: dict[str, np.ndarray] = {}
        self._output_shape: tuple[int, ...] | None = None

    def forward(self, x: Any, training: bool = False) -> np.ndarray:
        """Return the output for `x`, (n, …, features), and remember what `backward` needs.

        Raises ArgumentError if there is no sample or the last axis has the wrong length.
        """
        x = real_array("x", x)
        name, wanted = type(self).__name__, self.n_features
        if x.ndim < 2 or x.size == 0:
            raise ArgumentError(
                f"{name} expects samples along axis 0 and features along the last axis, at least "
                f"one of each; x has shape {x.shape}."
            )
        if wanted is not None and x.shape[-1] != wanted:
            raise ArgumentError(f"{name} expects {wanted} features, x has shape {x.shape}.")
        output = self._forward(x, training)
        self._output_shape = np.shape(output)
        return output

    def backward(self, grad: Any) -> np.ndarray:
        """Return ∂loss/∂x for `grad` = ∂loss/∂output of the last `forward`, and fill `grads`.

        Raises ArgumentError before any `forward`, or if `grad` has not the output's shape.
        """
        name = type(self).__name__
        if self._output_shape is None:
            raise ArgumentError(f"{name}.backward needs a forward pass first: call forward(x).")
        grad = real_array("grad", grad)
        if grad.shape != self._output_shape:
            raise ArgumentError(
                f"{name}.backward expects the shape of the last output, {self._output_shape}; "
                f"grad has shape {grad.shape}."
            )
        return self._backward(grad)

    def _forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        raise NotImplementedError

    def _backward(self, grad: np.ndarray) -> np.ndarray:
        raise NotImplementedError
