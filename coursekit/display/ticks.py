"""Logarithmic axes as a reader writes their numbers: one rule for all pictures of the course."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_MOST_PLACES = 8  # labels of places on an axis
_LEAST_APART = 0.09  # of the axis: two labels must not touch


def plain(value: float) -> str:
    """Return a number as a reader writes it: decimals, no power of ten, from 0.00001 to 99,999.

    >>> plain(0.001), plain(1e-5), plain(30.0), plain(1e-7)
    ('0.001', '0.00001', '30', '1e-07')
    """
    rounded = float(f"{value:.3g}")
    if value == 0 or 1e-5 <= abs(rounded) < 1e5:
        return np.format_float_positional(rounded, trim="-")
    return f"{value:.3g}"


def plain_ticks(axis: Axis) -> None:
    """Label a logarithmic axis at 1, and at 2 and 5 where it spans little, in plain decimals.

    Where it reaches below 0.00001 or beyond 99,999, all its labels are powers of ten. Places that
    are given stay.
    """
    from matplotlib.ticker import (
        FixedLocator,
        FuncFormatter,
        LogFormatterMathtext,
        LogLocator,
        NullFormatter,
    )

    low, high = axis.get_view_interval()
    locator = axis.get_major_locator()
    if isinstance(locator, FixedLocator):
        places = np.asarray(locator.locs)
    else:
        subs = (1.0,) if low > 0 and high / low >= 100 else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(subs=subs))
        places = np.outer(10.0 ** np.arange(-40, 40), subs)
    seen = places[(places >= low) & (places <= high)]
    decimals = FuncFormatter(lambda value, _: plain(value))
    powers = LogFormatterMathtext(minor_thresholds=(np.inf, np.inf))  # 2 and 5 have labels too
    axis.set_major_formatter(powers if any("e" in plain(each) for each in seen) else decimals)
    axis.set_minor_formatter(NullFormatter())


def places_as_ticks(axis: Axis, places: Iterable[float]) -> None:
    """Label an axis at the places themselves, where they are few and stand well apart."""
    found = np.unique(np.fromiter(places, dtype=float))
    logarithmic = axis.get_scale() == "log"
    if not 2 <= len(found) <= _MOST_PLACES or (logarithmic and found[0] <= 0):
        return
    steps = np.diff(np.log(found) if logarithmic else found)
    if steps.min() >= _LEAST_APART * steps.sum() and not any("e" in plain(each) for each in found):
        axis.set_ticks(found, [plain(each) for each in found])
        axis.set_ticks([], minor=True)


def plain_log_axes(fig: Figure) -> None:
    """Label the logarithmic axes of a lesson's own drawing as those of the plain pictures.

    An axis whose labels somebody has chosen keeps them.
    """
    from matplotlib.ticker import LogFormatterSciNotation

    for ax in fig.axes:
        for axis in (ax.xaxis, ax.yaxis):
            own = type(axis.get_major_formatter()) is LogFormatterSciNotation  # matplotlib's
            if own and axis.get_scale() == "log":
                plain_ticks(axis)
