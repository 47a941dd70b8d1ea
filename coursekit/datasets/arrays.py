"""Images and labels as bytes: a whole data set, and the parts that a `Dataset` shows."""

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


@dataclass(frozen=True)
class Part:
    """Some images of an array of bytes: `pixels` (uint8), the `rows` in use, their `labels`."""

    pixels: np.ndarray
    rows: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        self.labels.flags.writeable = False

    def take(self, chosen: np.ndarray) -> Part:
        """The part with only the `chosen` of its rows."""
        return Part(self.pixels, self.rows[chosen], self.labels[chosen])


def new_part(pixels: np.ndarray, labels: np.ndarray, rows: np.ndarray | None = None) -> Part:
    """A part with all rows of `pixels`, or some of them; labels become read-only int32."""
    if rows is None:
        rows = np.arange(len(pixels))
    return Part(pixels, rows, labels[rows].astype(np.int32))
