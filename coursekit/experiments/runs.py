"""What `ck.compare` gives back: every run of every variant, and what they decide."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from coursekit.base.table import Table
from coursekit.display import pictures
from coursekit.display.ticks import plain
from coursekit.errors import ArgumentError
from coursekit.experiments.verdict import Verdict, verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HIGHER_IS_BETTER = ("accuracy", "auc", "precision", "recall", "f1", "r2")


def lower_is_better(metric: str) -> bool:
    """Say whether a metric of Keras is a loss or an error, by its name.

    >>> lower_is_better("val_loss"), lower_is_better("val_accuracy")
    (True, False)
    """
    return not any(word in metric.lower() for word in _HIGHER_IS_BETTER)


def edge_of_lost(metric: str) -> str:
    """Return at which edge of a picture a training that diverged is marked: at the worse one."""
    return "top" if lower_is_better(metric) else "bottom"


class Row(NamedTuple):
    """One variant in a comparison's table: its rate, mean and standard deviation over the seeds."""

    variant: str
    rate: float
    mean: float
    std: float
    diverged: str


@dataclass
class Runs:
    """All runs of a comparison.

    Attributes:
        epochs, seeds: how long and with which seeds each variant was trained.
        chosen_by: the metric that chose the learning rates.
        history: variant -> metric -> values, shape (seeds, epochs); NaN from the epoch of a
            divergence on, and after an early stop.
        rates: variant -> the learning rate that was chosen; None where it is as compiled.
        searched: variant -> {rate: the metric it reached}, from the search; infinite after a
            divergence.
        diverged: variant -> the seeds whose runs diverged.
        models: variant -> its model after the last seed's run.
    """

    epochs: int
    seeds: tuple[int, ...]
    chosen_by: str = "val_loss"
    history: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    rates: dict[str, float | None] = field(default_factory=dict)
    searched: dict[str, dict[float, float]] = field(default_factory=dict)
    diverged: dict[str, tuple[int, ...]] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)

    def add(self, variant: str, seed: int, metrics: dict[str, np.ndarray]) -> None:
        """Take in one run: its metrics, each of shape (epochs,), and whether it `diverged`."""
        row = self.seeds.index(seed)
        kept = self.history.setdefault(variant, {})
        lost = self.diverged.setdefault(variant, ())
        for metric, values in metrics.items():
            if metric == "diverged":
                self.diverged[variant] = (*lost, seed) if values else lost
                continue
            empty = np.full((len(self.seeds), self.epochs), np.nan)
            kept.setdefault(metric, empty)[row] = values

    def last(self, metric: str = "val_loss") -> dict[str, np.ndarray]:
        """Return each variant's value in the last epoch that was trained, shape (seeds,).

        NaN where the run diverged.
        """
        return {name: self._last(name, metric) for name in self.history}

    def verdict(self, metric: str = "val_loss", *, level: float = 0.95) -> Verdict:
        """Say which variant ends best, if the seeds tell; see `ck.verdict`."""
        better = "lower" if lower_is_better(metric) else "higher"
        return verdict(self.last(metric), better=better, level=level, metric=in_words(metric))

    def table(self, metric: str = "val_loss") -> Table:
        """Return a row for each variant: rate, mean and standard deviation of the last values.

        Runs that diverged are counted, and left out of mean and deviation.
        """
        rows = []
        for name, values in self.last(metric).items():
            sound = values[np.isfinite(values)]
            rate, lost = self.rates[name], len(self.diverged[name])
            rows.append(
                Row(
                    name,
                    np.nan if rate is None else rate,
                    sound.mean() if len(sound) else np.nan,
                    sound.std(ddof=1) if len(sound) > 1 else np.nan,
                    f"{lost} of {len(values)}" if lost else "–",
                )
            )
        return Table(rows)

    def curves(
        self, metric: str = "val_loss", *, title: str | None = None, log: str = ""
    ) -> Figure:
        """Draw each variant over the epochs: the mean of its runs, from the lowest to the highest.

        The title is the verdict in a few words, unless another finding is given.
        """
        said = title or self.verdict(metric).headline
        groups = {name: kept[metric] for name, kept in self.history.items()}
        return pictures.lines(groups, title=said, xlabel="epoch", ylabel=in_words(metric), log=log)

    def final(
        self, metric: str = "val_loss", *, title: str | None = None, log: bool = False
    ) -> Figure:
        """Draw every run's last value; the title is the verdict, unless one is given."""
        said = title or self.verdict(metric).headline
        xlabel = f"{in_words(metric)} after {self.epochs} epochs"
        return pictures.strips(self.last(metric), title=said, xlabel=xlabel, log=log)

    def rate_curves(self, *, title: str | None = None, log: str = "x") -> Figure:
        """Draw what the search for rates found: the metric that chose them, against the rate.

        A rate with which a run diverged is marked with a cross at the worse edge of the picture.
        """
        if not self.searched:
            raise ArgumentError("rate_curves: no rates were searched; give `rates` to ck.compare.")
        best = ", ".join(f"{name} {plain(rate)}" for name, rate in self.rates.items())
        return pictures.lines(
            {name: list(found.values()) for name, found in self.searched.items()},
            {name: list(found) for name, found in self.searched.items()},
            title=title or f"Best learning rates: {best}",
            xlabel="learning rate",
            ylabel=in_words(self.chosen_by),
            log=log,
            crosses=edge_of_lost(self.chosen_by),
        )

    def _last(self, name: str, metric: str) -> np.ndarray:
        if metric not in self.history[name]:
            there = ", ".join(self.history[name])
            raise ArgumentError(f"metric: expected one of {there}, got {metric!r}.")
        values, last = self.history[name][metric], np.full(len(self.seeds), np.nan)
        for row, seed in enumerate(self.seeds):
            trained = values[row][~np.isnan(values[row])]
            if seed not in self.diverged[name] and len(trained):
                last[row] = trained[-1]
        return last


def in_words(metric: str) -> str:
    """Return a metric's name as a sentence says it.

    >>> in_words("val_loss"), in_words("accuracy")
    ('validation loss', 'training accuracy')
    """
    name = metric.removeprefix("val_").replace("_", " ")
    return f"{'validation' if metric.startswith('val_') else 'training'} {name}"
