"""Statistics of numbers that come batch by batch, of any number of batches, in little memory."""

from __future__ import annotations

import math

import numpy as np


class Running:
    """Mean, standard deviation and shares over all that was added.

    Args:
        limits: what the values tend to on the left and on the right, None if they have no limits.
        saturation: values within this distance of a limit count as saturated.

    Attributes:
        shape: of one sample.
        mean: over all samples and places.

    >>> running = Running(limits=(-1.0, 1.0), saturation=0.1)
    >>> running.add(np.array([[0.0, 1.0]]))
    >>> running.add(np.array([[0.0, 0.0], [0.0, -1.0]]))
    >>> running.shape, running.mean, round(running.std, 4), round(running.saturated, 4)
    ((2,), 0.0, 0.5774, 0.3333)
    """

    def __init__(self, limits: tuple[float, float] | None, saturation: float) -> None:
        self._low, self._high = limits or (math.nan, math.nan)
        self._saturation = saturation
        self._n = self._n_saturated = self._n_zero = 0
        self._squares = 0.0
        self.shape: tuple[int, ...] = ()
        self.mean = 0.0

    def add(self, values: np.ndarray) -> None:
        """Merge a batch, (n, …), into the totals (Chan, Golub & LeVeque 1979)."""
        self.shape, n = values.shape[1:], values.size
        total = self._n + n
        with np.errstate(invalid="ignore", over="ignore"):  # a network that has blown up
            mean = float(values.mean(dtype=np.float64))
            self._squares += float(values.var(dtype=np.float64)) * n
        self._squares += (mean - self.mean) ** 2 * self._n * n / total
        self.mean += (mean - self.mean) * n / total
        self._n = total
        self._n_zero += int((values == 0).sum())
        near = (values <= self._low + self._saturation) | (values >= self._high - self._saturation)
        self._n_saturated += int(near.sum())

    @property
    def std(self) -> float:
        """Standard deviation over all samples and places."""
        return math.sqrt(self._squares / self._n)

    @property
    def saturated(self) -> float:
        """Share of values near a limit, NaN without limits."""
        return math.nan if math.isnan(self._low) else self._n_saturated / self._n

    @property
    def zero(self) -> float:
        """Share of values that are exactly 0."""
        return self._n_zero / self._n
