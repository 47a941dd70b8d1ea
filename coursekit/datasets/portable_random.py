"""Random numbers that are the same on every platform and in every NumPy release.

NumPy promises a stable stream of raw 64-bit words for a bit generator, not for what `Generator`
makes of them. Everything here is derived from the raw words by integer arithmetic.
"""

from __future__ import annotations

import numpy as np


class Draws:
    """A stream of integers and of float32 numbers with 16 random bits, from one seed.

    >>> Draws(0).integers(3, 10).tolist()
    [6, 2, 0]
    """

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def integers(self, n: int, below: int) -> np.ndarray:
        """`n` integers in [0, below), int64; `below` is at most 2**32."""
        high = self._bits.random_raw(n) >> np.uint64(32)
        return ((high * np.uint64(below)) >> np.uint64(32)).astype(np.int64)

    def uniform(self, n: int, low: float, high: float) -> np.ndarray:
        """`n` float32 numbers in [low, high), on a grid of 65,536 steps."""
        steps = self.integers(n, 1 << 16).astype(np.float32) / np.float32(1 << 16)
        return np.float32(low) + np.float32(high - low) * steps

    def octets(self, n: int) -> np.ndarray:
        """`n` random bytes, uint8, in the same order on little- and big-endian machines."""
        words = self._bits.random_raw(-(-n // 8))
        return words.astype("<u8").view(np.uint8)[:n]

    def permutation(self, n: int) -> np.ndarray:
        """The numbers 0 to n - 1 in random order, int64, shape (n,)."""
        return np.argsort(self._bits.random_raw(n), kind="stable")
