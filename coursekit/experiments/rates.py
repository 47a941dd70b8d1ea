"""How a search for a learning rate chooses, and goes on: no best rate at the end of its list."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping


def best_rate(found: Mapping[float, float], *, lower: bool) -> float:
    """Return the rate with the best value, the lowest one if `lower`; of equals the highest rate.

    Rates so low that they move nothing all give the same value, and there the list must not grow
    for ever. Where no value is finite the lowest rate is returned.

    >>> best_rate({0.001: 0.5, 0.01: 0.5, 0.1: 0.4}, lower=False)
    0.01
    >>> best_rate({0.01: math.inf, 0.1: math.inf}, lower=True)
    0.01
    """
    finite = [rate for rate, value in found.items() if math.isfinite(value)]
    if not finite:
        return min(found)
    return min(finite, key=lambda rate: (found[rate] if lower else -found[rate], -rate))


def rates_beyond(best: float, tried: Iterable[float]) -> list[float]:
    """Return the rate to try next, or nothing where `best` lies between rates that were tried.

    It is one step further, as far as the last two rates are apart in ratio.

    >>> rates_beyond(0.01, [0.001, 0.01]), rates_beyond(0.01, [0.001, 0.01, 0.03])
    ([0.1], [])
    >>> rates_beyond(0.03, [0.03])
    [0.01]
    """
    rates = sorted(tried)
    if best == rates[0]:
        return [best**2 / rates[1] if len(rates) > 1 else best / 3]
    return [best**2 / rates[-2]] if best == rates[-1] else []
