"""The look of every picture in the course, and the one way a notebook shows one.

Colours are the Okabe-Ito palette (Okabe and Ito, *Color Universal Design*, 2008), told apart by
readers with any common colour blindness; lines differ in dash as well, so a grey print works too.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from coursekit.display.looks import COLORS, LINESTYLES, MARKERS, forget
from coursekit.display.pictures import alt_of, bars, images, lines, strips
from coursekit.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLORS", "LINESTYLES", "MARKERS", "band", "bars", "image_grid", "images", "line_kw", "lines",
    "show", "strip", "strips", "style", "to_png",
]  # fmt: skip

_STYLE: dict[str, Any] = {
    "figure.figsize": (7.5, 3.8),
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "image.cmap": "viridis",
}


def style() -> None:
    """Make the course's look matplotlib's default, and begin with the first colour again.

    `ck.setup` calls it at the start of a notebook.
    """
    import matplotlib as mpl

    forget()
    mpl.rcParams.update(_STYLE)
    # The first six colours each with a dash of its own: eight would need dashes hard to tell apart.
    mpl.rcParams["axes.prop_cycle"] = mpl.cycler(color=COLORS[:6]) + mpl.cycler(
        linestyle=LINESTYLES[:6]
    )


def to_png(fig: Figure) -> bytes:
    """Return the figure as PNG bytes with at most 256 colours: a third of the size, same look."""
    from PIL import Image

    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", facecolor="white")
    buffer.seek(0)
    with Image.open(buffer) as image:
        small = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    out = io.BytesIO()
    small.save(out, format="PNG", optimize=True)
    return out.getvalue()


def show(fig: Figure, alt: str | None = None) -> None:
    """Display a figure in the notebook with alternative text, and close it.

    `alt` says in one or two sentences what the picture shows, for those who cannot see it; it goes
    into the output's metadata (`{"image/png": {"alt": alt}}`). The pictures of `lines`, `strips`,
    `bars` and `images` bring one that is made from their data. Outside IPython nothing is shown.

    Raises ArgumentError for an empty `alt`.
    """
    alt = alt_of(fig) if alt is None else alt
    if not alt.strip():
        raise ArgumentError("alt: expected a sentence that says what the picture shows, got ''.")
    import matplotlib.pyplot as plt
    from IPython import get_ipython
    from IPython.display import display

    png = to_png(fig)
    plt.close(fig)
    if get_ipython() is not None:
        display(
            {"image/png": png, "text/plain": f"<picture: {alt}>"},
            metadata={"image/png": {"alt": alt}},
            raw=True,
        )


def line_kw(i: int) -> dict[str, Any]:
    """Return colour and dash of the i-th of several curves.

    >>> line_kw(0)
    {'color': '#0072B2', 'linestyle': '-'}
    """
    return {"color": COLORS[i % len(COLORS)], "linestyle": LINESTYLES[i % len(LINESTYLES)]}


def band(ax: Axes, x: Sequence[float], runs: Any, label: str, i: int = 0) -> None:
    """Draw the mean of several runs and the range from the lowest to the highest.

    `runs` has shape (n_runs, n_points); `x` shape (n_points,). Where `x` counts (epochs, steps),
    the ticks of a linear axis are whole numbers.
    """
    from matplotlib.ticker import MaxNLocator

    runs = np.atleast_2d(np.asarray(runs, dtype=float))
    if np.issubdtype(np.asarray(x).dtype, np.integer):
        locator = ax.xaxis.get_major_locator()
        if isinstance(locator, MaxNLocator):  # not on a log axis, nor where ticks are given
            locator.set_params(integer=True)
    ax.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=COLORS[i % len(COLORS)], alpha=0.2)
    ax.plot(x, runs.mean(axis=0), label=label, **line_kw(i))


def strip(ax: Axes, groups: Mapping[str, Sequence[float]], unit: str) -> None:
    """Draw every run of each group as a dot and its mean as a bar: spread at a glance.

    `groups` maps a label to the results of its runs; `unit` names the horizontal axis.
    """
    for i, (_, values) in enumerate(groups.items()):
        values = np.asarray(values, dtype=float)
        color = COLORS[i % len(COLORS)]
        offsets = np.linspace(-0.14, 0.14, len(values)) if len(values) > 1 else [0.0]
        ax.plot(values, i + np.asarray(offsets), MARKERS[0], color=color, alpha=0.7, markersize=5)
        ax.plot([values.mean()] * 2, [i - 0.32, i + 0.32], "-", color=color, linewidth=2.5)
    ax.set_yticks(range(len(groups)), list(groups))
    ax.set_ylim(len(groups) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(unit)


def image_grid(
    images: Any, labels: Sequence[str], *, columns: int = 10, title: str = "", size: float = 0.9
) -> Figure:
    """Return a figure with images, shape (n, height, width[, 3]) in [0, 1], each with its label."""
    import matplotlib.pyplot as plt

    rows = -(-len(images) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(columns * size, rows * (size + 0.25) + 0.4), squeeze=False
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image, label in zip(axes.flat, images, labels, strict=False):
        ax.imshow(image, cmap="gray_r" if image.ndim == 2 else None, vmin=0, vmax=1)
        ax.set_title(label, fontsize=8, fontweight="normal", loc="center", pad=3)
    fig.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return fig
