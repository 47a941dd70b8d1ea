"""A picture in which dots walk along paths: an SVG that moves by itself, with a still beside it."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from coursekit.display.plotting import to_png
from coursekit.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Walker = tuple["Axes", np.ndarray, str]
_SHOWN = 100  # dots an inch at which the picture is shown
_SHARP = 200  # those of what does not move, for screens that have more
_STILL = 75  # those of the still: it only stands in for the picture
_REST = 0.14  # of the walk's time, in which all stand at their ends
_STYLE = (  # `s` is the still, `m` what moves
    "<style>.s{display:none}@media (prefers-reduced-motion:reduce){.s{display:inline}"
    ".m{display:none}}</style>"
)
_MARGIN = 9  # points beyond a panel's edge, where a walker that leaves it is held, out of sight


def show_moving(fig: Figure, walkers: Sequence[Walker], *, alt: str, seconds: float = 12) -> None:
    """Display a figure in which a dot walks along each path, leaving a trail; close the figure.

    JupyterLab shows the moving picture, in a notebook that is not trusted too, as it has no script;
    what can show no HTML has the still, with the whole paths, as `image/png`. Outside IPython
    nothing is shown.

    Args:
        fig: what does not move; its axes have their final limits.
        walkers: for each the axes it walks on, its positions in data coordinates, shape (n, 2), and
            a colour. All take the same time, `seconds` a round.
        alt: alternative text, one or two sentences.
        seconds: the length of a round.

    Raises ArgumentError for an empty `alt`, no walkers, or positions that are no finite (n, 2).
    """
    if not alt.strip():
        raise ArgumentError("alt: expected a sentence that says what the picture shows, got ''.")
    import matplotlib.pyplot as plt
    from IPython import get_ipython
    from IPython.display import display

    svg = moving_svg(fig, walkers, seconds=seconds)
    for ax, path, color in walkers:
        ax.plot(*np.asarray(path).T, "-", color=color, linewidth=1.2, scalex=False, scaley=False)
        ax.plot(*path[-1], "o", color=color, markersize=4, scalex=False, scaley=False)
    png = to_png(fig, dpi=_STILL)
    plt.close(fig)
    if get_ipython() is not None:
        data = base64.b64encode(svg.encode()).decode()
        picture = f'<img alt="{html.escape(alt)}" src="data:image/svg+xml;base64,{data}">'
        display(
            {"text/html": picture, "image/png": png, "text/plain": f"<animation: {alt}>"},
            metadata={"image/png": {"alt": alt}},
            raw=True,
        )


def moving_svg(fig: Figure, walkers: Sequence[Walker], *, seconds: float = 12) -> str:
    """Return the figure as an SVG whose walkers move by SVG's own animation.

    It needs no script, and stands still, with the whole trails, for a reader whose system asks for
    reduced motion. Arguments and errors as for `show_moving`.
    """
    if not walkers:
        raise ArgumentError("walkers: expected at least one, got none.")
    width, height = 72 * fig.get_size_inches()
    dpi = fig.dpi
    shown = _SHOWN / 72
    ground = base64.b64encode(to_png(fig, dpi=_SHARP)).decode()
    fig.set_dpi(72)  # walkers are placed in points, 72 to an inch
    fig.canvas.draw()
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width * shown:.0f}" height="{height * shown:.0f}">{_STYLE}'
        f'<image href="data:image/png;base64,{ground}" width="{width:g}" height="{height:g}"/>'
    ]
    for k, (ax, path, color) in enumerate(walkers):
        box = ax.bbox
        drawn.append(
            f'<clipPath id="c{k}"><rect x="{box.x0:.1f}" y="{height - box.y1:.1f}" '
            f'width="{box.width:.1f}" height="{box.height:.1f}"/></clipPath>'
            f'<g clip-path="url(#c{k})" fill="none" stroke="{color}" stroke-width="1.3">'
            f"{_walker(k, _in_points(ax, path, height), seconds, color)}</g>"
        )
    fig.set_dpi(dpi)
    return "".join([*drawn, "</svg>"])


def _in_points(ax: Axes, path: np.ndarray, top: float) -> np.ndarray:
    """Return a path in the SVG's coordinates, held just outside the panel where it leaves it."""
    path = np.asarray(path, dtype=float)
    if path.ndim != 2 or path.shape[1] != 2 or not len(path) or not np.isfinite(path).all():
        raise ArgumentError(
            f"walkers: expected finite positions of shape (n, 2), got shape {path.shape}."
        )
    box = ax.bbox
    low, high = (box.x0 - _MARGIN, box.y0 - _MARGIN), (box.x1 + _MARGIN, box.y1 + _MARGIN)
    points = np.clip(ax.transData.transform(path), low, high)
    return np.column_stack([points[:, 0], top - points[:, 1]])


def _walker(k: int, points: np.ndarray, seconds: float, color: str) -> str:
    """Return walker k: its whole way, for readers who want no motion, then a trail and a dot."""
    way = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    hidden = 1000 * (1 - way / max(way[-1], 1e-9))  # the trail is 1000 long, by its pathLength
    rest = max(1, round(len(points) * _REST))
    places = [f"{x:.1f},{y:.1f}" for x, y in points]
    places, left = places + places[-1:] * rest, [f"{h:.0f}" for h in hidden] + ["0"] * rest
    run = f'dur="{seconds:g}s" repeatCount="indefinite"'
    x, y = points[-1]
    return (
        f'<defs><polyline id="w{k}" pathLength="1000" points="{" ".join(places[: len(points)])}"/>'
        f'</defs><g class="s"><use href="#w{k}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="4" '
        f'fill="{color}"/></g><g class="m"><use href="#w{k}" stroke-dasharray="1000">'
        f'<animate attributeName="stroke-dashoffset" values="{";".join(left)}" {run}/></use>'
        f'<circle r="4" fill="{color}"><animateTransform attributeName="transform" '
        f'type="translate" values="{";".join(places)}" {run}/></circle></g>'
    )
