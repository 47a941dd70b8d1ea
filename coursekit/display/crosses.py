"""Runs that diverged: a cross where each was lost, and the same in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from coursekit.display.looks import color_of
from coursekit.display.ticks import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = 9  # points
_WIDEST = 42  # points, all crosses of one place
LOOK = {"marker": "x", "markersize": _SIZE, "markeredgewidth": 2.2, "linestyle": "none"}

Groups = Mapping[str, tuple[np.ndarray, np.ndarray]]  # name -> places, and runs of shape (runs, n)


def cross_out(ax: Axes, groups: Groups) -> None:
    """Mark where runs diverged: at their last values, side by side where they ended together.

    A run without any value has its cross at the first place, at the mean of the others; where there
    are none, at the upper edge.
    """
    ended: dict[float, list[tuple[float, str]]] = {}
    for name, (at, runs) in groups.items():
        for run in runs[np.isnan(runs[:, -1])]:
            there = np.flatnonzero(np.isfinite(run))
            last = there[-1] if len(there) else 0
            value = run[last] if len(there) else _mean(runs[:, 0])
            ended.setdefault(float(at[last]), []).append((value, name))
    for place, crosses in ended.items():
        _draw_crosses(ax, place, crosses)


def cross_at_edge(ax: Axes, groups: Groups, edge: float) -> None:
    """Mark the places at which trainings diverged, once for each group."""
    lost: dict[float, list[tuple[float, str]]] = {}
    for name, (at, runs) in groups.items():
        for place in at[np.isnan(runs).any(axis=0)]:
            lost.setdefault(float(place), []).append((np.nan, name))
    for place, crosses in lost.items():
        _draw_crosses(ax, place, crosses, edge)


def _draw_crosses(
    ax: Axes, place: float, crosses: Sequence[tuple[float, str]], edge: float = 1.0
) -> None:
    """Draw (value, name) at one place, side by side; NaN at the edge, a share of the axis."""
    from matplotlib.transforms import ScaledTranslation

    apart = min(8, _WIDEST / len(crosses))
    for k, (value, name) in enumerate(crosses):
        aside = apart * (k - (len(crosses) - 1) / 2) / 72
        off = np.isnan(value)
        where = (ax.get_xaxis_transform() if off else ax.transData) + ScaledTranslation(
            aside, 0, ax.figure.dpi_scale_trans
        )
        look = LOOK | {"color": color_of(name), "transform": where, "clip_on": False}
        ax.plot(place, edge if off else value, **look)


def _mean(values: np.ndarray) -> float:
    """Return the mean of what is no NaN; NaN where nothing is."""
    sound = values[np.isfinite(values)]
    return sound.mean() if len(sound) else np.nan


def told_lost(at: np.ndarray, runs: np.ndarray, crosses: bool | str) -> str:
    """Return ", and 1 of 3 runs diverged", with the place where each is a training of its own."""
    lost, of = np.isnan(runs).sum(axis=0), f"of {len(runs)} runs diverged"
    if crosses is True and lost[-1]:
        return f", and {lost[-1]} {of}"
    if crosses in ("top", "bottom") and lost.any():
        return ", and " + ", ".join(
            f"{n} {of} at {plain(place)}" if len(runs) > 1 else f"it diverged at {plain(place)}"
            for n, place in zip(lost, at, strict=True)
            if n
        )
    return ""
