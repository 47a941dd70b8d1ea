"""The study's picture: learning curves with bands, over epochs and over seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from coursekit.display import plotting
from coursekit.experiments.study.costs import finished, is_measured_apart, paces
from coursekit.experiments.study.variants import VARIANTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def learning_curves(summary: dict[str, Any]) -> Figure:
    """Return validation accuracy of each variant, left over epochs, right over seconds.

    A line is the mean over seeds, its band one standard deviation either way. Seeds stop at
    different epochs; a line ends where the first of them stops, so that it is always a mean of
    all. The dot is the mean best epoch, where that lies on the line. Where the seconds are measured
    apart, the line is drawn at their median, and a bar through the dot goes from the lowest to the
    highest measurement.
    """
    import matplotlib.pyplot as plt

    plotting.style()
    fig, (over_epochs, over_seconds) = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True)
    order = list(VARIANTS)
    for name, found in summary["variants"].items():
        curves = _curves(found)
        if curves is None:
            continue
        epochs = np.arange(1, curves.shape[1] + 1)
        best = float(np.mean([run["best_epoch"] for run in finished(found)]))
        _draw(over_epochs, epochs, curves, name, order.index(name), best)
        if pace := paces(found):
            apart = is_measured_apart(found)
            seconds = float(np.median(pace) if apart else np.mean(pace))
            x, ends = epochs * seconds, (min(pace) / seconds, max(pace) / seconds)
            _draw(
                over_seconds,
                x,
                curves,
                name,
                order.index(name),
                best * seconds,
                ends if apart else None,
            )
    over_epochs.set(xlabel="epoch", ylabel="validation accuracy (%)")
    over_epochs.set_title(_finding(summary))
    over_epochs.xaxis.get_major_locator().set_params(integer=True)
    over_seconds.set(xlabel="seconds of training, without compiling")
    over_seconds.set_title("The same, by what it costs")
    if over_epochs.lines:
        over_epochs.legend(loc="lower right")
    return fig


def describe_curves(summary: dict[str, Any]) -> str:
    """Return the picture's alternative text: what each line does, in words."""
    parts = []
    for name, found in summary["variants"].items():
        curves = _curves(found)
        if curves is None:
            continue
        mean = 100 * curves.mean(axis=0)
        top = int(np.argmax(mean))
        parts.append(
            f"{name} starts at {mean[0]:.0f}% and reaches {mean[top]:.0f}% in epoch {top + 1} "
            f"of {len(mean)}"
        )
    return (
        "Two charts of validation accuracy for each variant, over epochs and over seconds of "
        f"training, with a band for the spread over seeds. {'; '.join(parts)}."
    )


def _curves(found: dict[str, Any]) -> np.ndarray | None:
    curves = [run["curve"] for run in finished(found)]
    shortest = min((len(curve) for curve in curves), default=0)
    if not shortest:
        return None
    return np.array([curve[:shortest] for curve in curves], dtype=float)


def _draw(
    ax: Axes,
    x: np.ndarray,
    curves: np.ndarray,
    name: str,
    i: int,
    best: float,
    ends: tuple[float, float] | None = None,
) -> None:
    mean = 100 * curves.mean(axis=0)
    if len(curves) > 1:
        spread = 100 * curves.std(axis=0, ddof=1)
        color = plotting.COLORS[i]
        ax.fill_between(x, mean - spread, mean + spread, color=color, alpha=0.18, linewidth=0)
    ax.plot(x, mean, label=name, **plotting.line_kw(i))
    if x[0] <= best <= x[-1]:
        there, color = np.interp(best, x, mean), plotting.COLORS[i]
        ax.plot(best, there, plotting.MARKERS[i], color=color, markersize=6)
        if ends is not None:
            ax.hlines(there, best * ends[0], best * ends[1], color=color)


def _finding(summary: dict[str, Any]) -> str:
    means = {
        name: float(np.mean([run["validation_accuracy"] for run in finished(found)]))
        for name, found in summary["variants"].items()
        if finished(found)
    }
    if len(means) < 2:
        return "Learning curve"
    best = max(means, key=lambda name: means[name])
    return f"{best} reaches the highest validation accuracy"
