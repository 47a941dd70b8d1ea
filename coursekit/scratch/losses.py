"""The loss of a classifier, as the last layer of a network."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.errors import ArgumentError
from coursekit.scratch._arguments import real_array
from coursekit.scratch.base import Layer


class SoftmaxCrossEntropy(Layer):
    """Mean cross-entropy of softmax(logits) and the labels (Bridle 1990).

    `forward` takes logits (n, classes) and returns the loss, one number; `backward()` returns
    (p − y) / n. `labels`: whole numbers (n,), or probabilities (n, classes); given here or to
    `forward`. `probabilities` holds the last softmax, (n, classes). The same as
    `keras.losses.SparseCategoricalCrossentropy(from_logits=True)`.

    >>> loss = SoftmaxCrossEntropy()
    >>> loss.forward([[0.0, 0.0]], labels=[1]).round(4).item()
    0.6931
    >>> loss.backward().tolist()
    [[0.5, -0.5]]
    """

    def __init__(self, labels: Any = None) -> None:
        super().__init__()
        self.labels = labels
        self.probabilities: np.ndarray | None = None

    def forward(self, x: Any, training: bool = False, *, labels: Any = None) -> np.ndarray:
        """Return the mean loss over the samples as a 0-dimensional array."""
        if labels is not None:
            self.labels = labels
        return super().forward(x, training)

    def backward(self, grad: Any = 1.0) -> np.ndarray:
        """Return ∂loss/∂logits, (n, classes); `grad` is ∂/∂loss, 1 when the loss comes last."""
        return super().backward(grad)

    def _forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self._targets = self._one_row_each(x.shape)
        shifted = x - x.max(axis=-1, keepdims=True)  # the same softmax, and exp cannot overflow
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        self.probabilities = np.exp(log_p)
        return np.asarray(-(self._targets * log_p).sum() / len(x))

    def _backward(self, grad: np.ndarray) -> np.ndarray:
        return grad * (self.probabilities - self._targets) / len(self._targets)

    def _one_row_each(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the labels as probabilities of the logits' shape, or say what is wrong."""
        if self.labels is None:
            raise ArgumentError("SoftmaxCrossEntropy needs labels: forward(logits, labels=y).")
        if len(shape) != 2:
            raise ArgumentError(f"Logits must have the shape (n, classes), got {shape}.")
        labels = np.asarray(self.labels)
        if labels.shape == shape:
            targets = real_array("labels", labels)
            if np.any(targets < 0) or not np.allclose(targets.sum(axis=1), 1):
                raise ArgumentError("Each row of labels must be probabilities that sum to 1.")
            return targets
        if labels.shape != shape[:1]:
            raise ArgumentError(
                f"Logits of shape {shape} need labels of shape {shape[:1]} or {shape}, "
                f"got {labels.shape}."
            )
        if labels.dtype.kind not in "ui":
            raise TypeError(f"Labels must be whole numbers, got dtype {labels.dtype}.")
        if labels.min() < 0 or labels.max() >= shape[1]:
            raise ArgumentError(
                f"Labels must lie in 0 … {shape[1] - 1}, one for each of the {shape[1]} columns of "
                f"logits; got {labels.min()} … {labels.max()}."
            )
        return np.eye(shape[1])[labels]
