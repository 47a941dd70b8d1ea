"""Numbers over seeds: mean, spread, and how sure a difference is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences, `n` pairs, with its confidence interval (None below 2 pairs)."""

    mean: float
    n: int
    low: float | None = None
    high: float | None = None

    def is_clear(self) -> bool:
        """Say whether the interval leaves out 0."""
        return self.low is not None and (self.low > 0 or self.high < 0)


def mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Return mean and sample standard deviation (divided by n − 1; None for one value).

    >>> mean_and_spread([1.0, 2.0, 3.0])
    (2.0, 1.0)
    >>> mean_and_spread([5.0])
    (5.0, None)
    """
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    squares = math.fsum((value - mean) ** 2 for value in values)
    return mean, math.sqrt(squares / (len(values) - 1))


def paired_difference(
    first: Mapping[int, float], second: Mapping[int, float], *, confidence: float = 0.95
) -> Difference | None:
    """Return `first` − `second` over the seeds that both have; None when they share none.

    The interval is Student's t interval of the differences, mean ± t · s / √n with n − 1 degrees
    of freedom: it takes the differences as drawn from a normal distribution.

    >>> paired_difference({0: 0.50, 1: 0.52}, {1: 0.50, 2: 0.49})
    Difference(mean=0.02, n=1, low=None, high=None)
    """
    from scipy.stats import t

    values = [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]
    if not values:
        return None
    mean, spread = mean_and_spread(values)
    if spread is None:
        return Difference(round(mean, 12), 1)
    half = float(t.ppf((1 + confidence) / 2, len(values) - 1)) * spread / math.sqrt(len(values))
    return Difference(mean, len(values), mean - half, mean + half)
