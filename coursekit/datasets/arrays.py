"""The four arrays that every data set comes down to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Arrays:
    """Images and labels as bytes.

    `x_train`, `x_test`: uint8, shape (n, *image). `y_train`, `y_test`: uint8, shape (n,).
    `groups`: int32, shape (n_train,), equal for copies of one original; None where all differ.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    groups: np.ndarray | None = None

    def items(self) -> dict[str, np.ndarray]:
        """The arrays that are there, by name."""
        return {name: array for name, array in vars(self).items() if array is not None}

    @property
    def n_images(self) -> int:
        """Training and test images together."""
        return len(self.y_train) + len(self.y_test)
