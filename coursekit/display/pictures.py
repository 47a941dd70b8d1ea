"""The plain pictures of the course, each with its alternative text made from the same data.

Every function returns a figure that `ck.show` shows: with a title, named axes, one look for each
variant in the whole notebook, its legend beside the data, and plain decimals on logarithmic axes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from coursekit.display.crosses import LOOK, cross_at_edge, cross_out, told_lost
from coursekit.display.looks import color_of, look_of
from coursekit.display.ticks import places_as_ticks, plain, plain_ticks
from coursekit.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_MARKERS = 12  # on a line
_SIZE = (7.5, 3.8)  # inches
_LETTERS_PER_INCH = 10.4  # of a title


def lines(
    groups: Mapping[str, Any],
    x: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    log: str = "",
    crosses: bool | str = True,
) -> Figure:
    """Draw each group as a line; of several runs the mean, with a band from lowest to highest.

    Values that are NaN or infinite are left out of the mean. A run that ends in such a value
    diverged: its last sound value is marked with a cross, or its first place if it has none. Where
    each place is a training of its own, such as one with another learning rate, say at which edge
    of the picture the crosses of those that diverged stand: at the worse one.

    Args:
        groups: name -> values, shape (n,) or (runs, n).
        x: where the values stand, shape (n,), or such for each name; 1 to n by default.
        title: the finding.
        xlabel: name and unit of the horizontal axis.
        ylabel: name and unit of the vertical axis.
        log: the axes that are logarithmic: "", "x", "y" or "xy".
        crosses: True where runs go along the line, so that one may end before the others; "top" or
            "bottom" where each value is a training of its own; False where NaN is no divergence.

    Raises ArgumentError for no groups, values whose length is not that of `x`, another edge.
    """
    if crosses not in (True, False, "top", "bottom"):
        raise ArgumentError(f'crosses: expected True, False, "top" or "bottom", got {crosses!r}.')
    fig, ax = _figure(title, xlabel, ylabel)
    told, drawn, whole = [], {}, True
    for name, (at, runs) in _placed(groups, x).items():
        left = np.isfinite(runs).any(axis=0)
        runs = np.where(np.isfinite(runs), runs, np.nan)
        mean, low, high = (np.full(len(at), np.nan) for _ in range(3))
        for kept, of in ((mean, np.nanmean), (low, np.nanmin), (high, np.nanmax)):
            kept[left] = of(runs[:, left], axis=0)
        every = max(1, len(at) // _MOST_MARKERS)
        ax.plot(at, mean, label=name, markevery=every, markersize=4.5, **look_of(name))
        if len(runs) > 1:
            ax.fill_between(at, low, high, color=color_of(name), alpha=0.18, linewidth=0)
        whole = whole and np.issubdtype(at.dtype, np.integer)
        drawn[name] = at, runs
        told.append(_told_line(name, at, mean, told_lost(at, runs, crosses)))
    _scales(ax, log, whole=whole)
    places_as_ticks(ax.xaxis, [place for at, _ in drawn.values() for place in at])
    if crosses is True:
        cross_out(ax, drawn)
    elif crosses:
        cross_at_edge(ax, drawn, 1.0 if crosses == "top" else 0.0)
    _legend(fig, ax, len(groups))
    return with_alt(fig, f"{title}. {ylabel} against {xlabel}: {'; '.join(told)}.")


def strips(
    groups: Mapping[str, Any],
    *,
    title: str,
    xlabel: str,
    log: bool = False,
    like: Mapping[str, str] | None = None,
) -> Figure:
    """Draw every run as a marker and the mean of each group as a bar: the spread at a glance.

    Args:
        groups: name -> results, shape (runs,); NaN is a run that diverged, told beside the name.
        title: the finding.
        xlabel: name and unit of the results.
        log: whether the axis is logarithmic.
        like: group -> the variant whose look it has, for a variant that stands here more than once.
    """
    like = like or {}
    fig, ax = _figure(title, xlabel, "", height=max(1.6, 0.55 * len(groups) + 1.0))
    names, told = [], []
    for i, (name, runs) in enumerate(_checked(groups).items()):
        values = runs[0][np.isfinite(runs[0])]
        lost = runs.shape[1] - len(values)
        names.append(f"{name} (✕ {lost})" if lost else name)
        look = look_of(like.get(name, name))
        offsets = (
            np.linspace(-0.16, 0.16, len(values)) if len(values) > 1 else np.zeros(len(values))
        )
        ax.plot(values, i + offsets, look["marker"], color=look["color"], alpha=0.75, markersize=6)
        if len(values):
            ax.plot([values.mean()] * 2, [i - 0.34, i + 0.34], "-", color=look["color"], lw=2.5)
        told.append(_told_strip(name, values, lost))
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    _scales(ax, "x" if log else "")
    return with_alt(fig, f"{title}. {xlabel}: {'; '.join(told)}.")


def bars(groups: Mapping[str, float], *, title: str, xlabel: str, form: str = ".3g") -> Figure:
    """Draw one number for each group as a bar with the number beside it."""
    if not groups:
        raise ArgumentError("groups: expected at least one, got none.")
    fig, ax = _figure(title, xlabel, "", height=max(1.6, 0.45 * len(groups) + 1.0))
    values = np.asarray(list(groups.values()), dtype=float)
    drawn = ax.barh(list(groups), values, color=[color_of(name) for name in groups], height=0.6)
    ax.bar_label(drawn, labels=[f"{value:{form}}" for value in values], padding=3, fontsize=9)
    ax.margins(x=0.12)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    told = "; ".join(f"{name} {value:{form}}" for name, value in groups.items())
    return with_alt(fig, f"{title}. {xlabel}: {told}.")


def images(
    pictures: Any, labels: Sequence[str], *, title: str, columns: int = 10, size: float = 0.9
) -> Figure:
    """Draw images, shape (n, height, width[, 3]) in [0, 1], each with its label above it."""
    import matplotlib.pyplot as plt

    if len(pictures) != len(labels) or not len(labels):
        raise ArgumentError(
            f"labels: expected one for each image, got {len(labels)} for {len(pictures)} images."
        )
    rows, lines = -(-len(pictures) // columns), _wrapped(title, columns * size).count("\n") + 1
    figsize = (columns * size, rows * (size + 0.25) + 0.2 + 0.2 * lines)
    fig, axes = plt.subplots(rows, columns, figsize=figsize, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image, label in zip(axes.flat, pictures, labels, strict=False):
        ax.imshow(image, cmap="gray_r" if image.ndim == 2 else None, vmin=0, vmax=1)
        ax.set_title(label, fontsize=8, fontweight="normal", loc="center", pad=3)
    _set_title(fig, title)
    return with_alt(fig, f"{title}. {len(labels)} images: {', '.join(labels)}.")


def alt_of(fig: Figure) -> str:
    """Return the alternative text that a picture was made with; "" for any other figure."""
    return getattr(fig, "_coursekit_alt", "")


def _figure(title: str, xlabel: str, ylabel: str, height: float = _SIZE[1]) -> tuple[Figure, Axes]:
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(_SIZE[0], height))
    _set_title(fig, title)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    return fig, ax


def _set_title(fig: Figure, title: str) -> None:
    """Put the title above the whole picture: long names leave an axis little width of its own."""
    import matplotlib.pyplot as plt

    like = {"fontsize": plt.rcParams["axes.titlesize"], "fontweight": "bold"}
    fig.suptitle(_wrapped(title, fig.get_figwidth()), x=0.01, ha="left", **like)


def _wrapped(title: str, width: float) -> str:
    """Break a title into lines that are no wider than so many inches."""
    return textwrap.fill(title, int(_LETTERS_PER_INCH * width))


def _legend(fig: Figure, ax: Axes, count: int) -> None:
    from matplotlib.lines import Line2D

    handles, labels = ax.get_legend_handles_labels()
    crossed = any(line.get_marker() == LOOK["marker"] for line in ax.lines)
    if crossed:
        handles.append(Line2D([], [], color="#666666", **LOOK))
        labels.append("diverged")
    if count > 1 or crossed:
        fig.legend(handles, labels, loc="outside right center")


def _scales(ax: Axes, log: str, *, whole: bool = False) -> None:
    if set(log) - set("xy"):
        raise ArgumentError(f'log: expected "", "x", "y" or "xy", got {log!r}.')
    for letter, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        if letter in log:
            getattr(ax, f"set_{letter}scale")("log")
            plain_ticks(axis)
    if whole and "x" not in log:
        ax.xaxis.get_major_locator().set_params(integer=True)


def _told_line(name: str, at: np.ndarray, mean: np.ndarray, ended: str) -> str:
    there = np.flatnonzero(np.isfinite(mean))
    if not len(there):
        return f"{name} diverged at once"
    first, last = there[0], there[-1]
    extreme = there[np.nanargmin(mean[there])]
    lowest = (
        ""
        if extreme in (first, last)
        else f", lowest {plain(mean[extreme])} at {plain(at[extreme])}"
    )
    return f"{name} goes from {plain(mean[first])} to {plain(mean[last])}{lowest}{ended}"


def _told_strip(name: str, values: np.ndarray, lost: int) -> str:
    ended = f", and {lost} diverged" if lost else ""
    if not len(values):
        return f"{name}: all runs diverged"
    spread = f" ({plain(values.min())} to {plain(values.max())})" if len(values) > 1 else ""
    return f"{name} {plain(values.mean())}{spread}{ended}"


def _checked(groups: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if not groups:
        raise ArgumentError("groups: expected at least one, got none.")
    runs = {name: np.atleast_2d(np.asarray(v, dtype=float)) for name, v in groups.items()}
    for name, values in runs.items():
        if values.ndim != 2 or values.shape[1] == 0:
            raise ArgumentError(
                f"groups: expected shape (n,) or (runs, n), got {values.shape} for {name}."
            )
    return runs


def _placed(groups: Mapping[str, Any], x: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return for each name where its values stand, and the values."""
    placed = {}
    for name, runs in _checked(groups).items():
        given = x.get(name) if isinstance(x, Mapping) else x
        at = np.arange(1, runs.shape[1] + 1) if given is None else np.asarray(given)
        if at.shape != (runs.shape[1],):
            raise ArgumentError(
                f"x: expected {runs.shape[1]} places, as many as {name} has values, got {at.size}."
            )
        placed[name] = (at, runs)
    return placed


def with_alt(fig: Figure, alt: str) -> Figure:
    """Give a picture the alternative text that `ck.show` stores with it; return the picture."""
    fig._coursekit_alt = alt
    return fig
