"""The rule by which a search for a learning rate goes on: no best rate at the end of its list."""

from __future__ import annotations

from collections.abc import Iterable


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
