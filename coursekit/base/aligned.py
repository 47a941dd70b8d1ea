"""Arrays at addresses from which TensorFlow uses them in place, without a copy of its own."""

from __future__ import annotations

import numpy as np

_ALIGNMENT = 64  # bytes; TensorFlow's own


def is_aligned(array: np.ndarray) -> bool:
    """Say whether TensorFlow can use an array in place: contiguous, writeable, well placed."""
    flags = array.flags
    return bool(flags.c_contiguous and flags.writeable and not array.ctypes.data % _ALIGNMENT)


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """Return a copy that is aligned, of the same type, shape and values.

    >>> array = np.arange(6, dtype="float32").reshape(2, 3)[:, ::-1]
    >>> copy = aligned_copy(array)
    >>> is_aligned(copy), bool((copy == array).all())
    (True, True)
    """
    memory = np.empty(array.nbytes + _ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % _ALIGNMENT
    copy = memory[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
