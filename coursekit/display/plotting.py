"""The look of every picture in the course, and the one way a notebook shows one.

Colours are the Okabe-Ito palette (Okabe and Ito, *Color Universal Design*, 2008), told apart by
readers with any common colour blindness; lines differ in dash as well, so a grey print works too.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from coursekit.display.looks import COLORS, LINESTYLES, MARKERS, color_of, forget, look_of
from coursekit.display.pictures import alt_of, bars, images, lines, strips
from coursekit.display.ticks import plain_log_axes
from coursekit.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLORS", "LINESTYLES", "MARKERS", "band", "bars", "color_of", "images", "line_kw", "lines",
    "look_of", "show", "strips", "style", "to_png",
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


def to_png(fig: Figure, *, dpi: float | None = None) -> bytes:
    """Return the figure as PNG bytes with at most 256 colours: a third of the size, same look.

    `dpi` is in dots an inch, by default the figure's own.
    """
    from PIL import Image

    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", facecolor="white", dpi="figure" if dpi is None else dpi)
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
    `bars` and `images` bring one that is made from their data. Logarithmic axes are labelled in
    plain decimals, as in those. Outside IPython nothing is shown.

    Raises ArgumentError for an empty `alt`.
    """
    alt = alt_of(fig) if alt is None else alt
    if not alt.strip():
        raise ArgumentError("alt: expected a sentence that says what the picture shows, got ''.")
    import matplotlib.pyplot as plt
    from IPython import get_ipython
    from IPython.display import display

    plain_log_axes(fig)
    png = to_png(fig)
    plt.close(fig)
    if get_ipython() is not None:
        display(
            {"image/png": png, "text/plain": f"<picture: {alt}>"},
            metadata={"image/png": {"alt": alt}},
            raw=True,
        )


def line_kw(i: int) -> dict[str, Any]:
    """Return colour and dash of the i-th of several curves that no other picture shows.

    A variant that other pictures show too takes its look from `look_of`.

    >>> line_kw(0)
    {'color': '#0072B2', 'linestyle': '-'}
    """
    return {"color": COLORS[i % len(COLORS)], "linestyle": LINESTYLES[i % len(LINESTYLES)]}


def band(ax: Axes, x: Sequence[float], runs: Any, label: str, i: int | None = None) -> None:
    """Draw the mean of several runs and the range from the lowest to the highest.

    It has the look of the variant `label`, or of the i-th of several curves where `i` is given.
    `runs` has shape (n_runs, n_points); `x` shape (n_points,). Where `x` counts (epochs, steps),
    the ticks of a linear axis are whole numbers.
    """
    from matplotlib.ticker import MaxNLocator

    runs = np.atleast_2d(np.asarray(runs, dtype=float))
    if np.issubdtype(np.asarray(x).dtype, np.integer):
        locator = ax.xaxis.get_major_locator()
        if isinstance(locator, MaxNLocator):  # not on a log axis, nor where ticks are given
            locator.set_params(integer=True)
    look = look_of(label, marker=False) if i is None else line_kw(i)
    ax.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=look["color"], alpha=0.2)
    ax.plot(x, runs.mean(axis=0), label=label, **look)
