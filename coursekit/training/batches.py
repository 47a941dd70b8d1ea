"""The rows that a training or an evaluation goes through, on the device and cut into batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.base.aligned import aligned_copy, is_aligned
from coursekit.base.keras import keras, tf

_LARGE = 1 << 24  # bytes


class Batches:
    """One data set on the device, cut into batches.

    Attributes:
        data: tensors in the structure of the arrays, `(x, y)` or `(x, y, sample_weight)`.
        size, full, rest: rows in a full batch, number of full batches, rows in the last partial
            batch (0 where there is none).
        spec: what a step is traced for, one batch; rows unknown if there is a partial batch.
    """

    def __init__(self, arrays: tuple, batch_size: int):
        flat = keras.tree.flatten(arrays)
        self.n = len(flat[0])
        self.size = min(batch_size, self.n)
        self.full, self.rest = divmod(self.n, self.size)
        rows = None if self.rest else self.size
        self.spec = keras.tree.map_structure(
            lambda a: tf.TensorSpec((rows, *a.shape[1:]), a.dtype), arrays
        )
        self.data = keras.tree.map_structure(_on_device, arrays)

    @property
    def steps(self) -> int:
        """Batches in one epoch, the partial one included."""
        return self.full + (self.rest > 0)

    def rows(self, order: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the row numbers of the full batches, (full, size), and of the last, (rest,)."""
        order = order.astype(np.int32)
        cut = self.full * self.size
        return tf.constant(order[:cut].reshape(self.full, self.size)), tf.constant(order[cut:])


def take(data: Any, rows: tf.Tensor) -> Any:
    """Return these rows of each tensor."""
    return keras.tree.map_structure(lambda tensor: tf.gather(tensor, rows), data)


def _on_device(array: np.ndarray) -> tf.Tensor:
    if array.nbytes < _LARGE or array.dtype == bool or tf.config.list_physical_devices("GPU"):
        return tf.constant(array)
    # tf.constant would hold two copies for a moment; a large data set is taken over as it is.
    if not is_aligned(array):
        array = aligned_copy(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
