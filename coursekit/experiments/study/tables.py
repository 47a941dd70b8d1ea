"""The report's tables and notes, as Markdown that reads well in a terminal too."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coursekit.experiments.study.costs import (
    cost_notes,
    finished,
    is_measured_apart,
    paces,
    run_seconds,
)
from coursekit.experiments.study.variants import (
    COMPARISONS,
    MC_DROPOUT,
    PUBLISHED_MC_DROPOUT,
    VARIANTS,
)


@dataclass(frozen=True)
class Row:
    """One line of the table: accuracies by seed, in [0, 1], and what the training took.

    `seconds_per_epoch` has a value for each run or, where the pace was `measured_apart`, for each
    measurement; `seconds` has one for each run.
    """

    name: str
    task: str
    learning_rate: float | None
    validation: dict[int, float]
    test: dict[int, float]
    best_epochs: list[int]
    seconds_per_epoch: list[float]
    seconds: list[float]
    published: tuple[float, str] | None
    measured_apart: bool = False


@dataclass(frozen=True)
class Difference:
    """Mean of `n` paired differences, with its 95% confidence interval (None for one pair)."""

    mean: float
    n: int
    low: float | None = None
    high: float | None = None

    def is_clear(self) -> bool:
        """Say whether the interval leaves out 0."""
        return self.low is not None and (self.low > 0 or self.high < 0)


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> Difference | None:
    """Return `first` − `second` over the seeds that both have; None when they share none.

    The interval is Student's t interval of the differences: it takes them as drawn from a normal
    distribution.

    >>> paired_difference({0: 0.5, 1: 0.5}, {1: 0.25, 2: 0.75})
    Difference(mean=0.25, n=1, low=None, high=None)
    """
    from scipy.stats import sem, t

    values = [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]
    if not values:
        return None
    n, mean = len(values), statistics.fmean(values)
    if n == 1:
        return Difference(mean, n)
    low, high = mean + sem(values) * np.array(t.interval(0.95, n - 1))
    return Difference(mean, n, float(low), float(high))


def rows_of(summary: dict[str, Any]) -> list[Row]:
    """Return the table's lines in the study's order, MC dropout after `alpha_dropout`."""
    rows = []
    for name, found in summary["variants"].items():
        rows.append(_row(name, found))
        if VARIANTS[name].mc_dropout:
            rows.append(_mc_row(found))
    return [row for row in rows if row.validation]


def differences_of(rows: Sequence[Row]) -> list[tuple[str, str, Difference]]:
    """Return (first, second, difference of their test accuracies, paired by seed)."""
    by_name = {row.name: row for row in rows}
    found = []
    for first, second in COMPARISONS:
        if first in by_name and second in by_name:
            difference = paired_difference(by_name[first].test, by_name[second].test)
            if difference is not None:
                found.append((first, second, difference))
    return found


def results_table(rows: Sequence[Row]) -> str:
    """Return the table of accuracies and costs, mean ± standard deviation over seeds."""
    head = ["variant", "task", "learning rate", "validation %", "test %", "best epoch"]
    head += ["s/epoch", "s/run", "seeds", "published, validation %"]
    return _markdown(head, [_cells(row) for row in rows])


def differences_table(rows: Sequence[Row]) -> str:
    """Return the table of paired differences; "" when there is nothing to compare."""
    lines = []
    for first, second, difference in differences_of(rows):
        interval = "one seed" if difference.low is None else _interval(difference)
        verdict = "" if difference.low is None else _verdict(difference)
        name = f"{first} − {second}"
        lines.append([name, _points(difference.mean), interval, str(difference.n), verdict])
    head = ["test accuracy", "points", "95% interval", "pairs", "verdict"]
    return _markdown(head, lines) if lines else ""


def restored_table(summary: dict[str, Any]) -> str:
    """Return what each early stop restored, and what it would have, had it watched the accuracy.

    "" where no run has noted it.
    """
    lines = []
    for name, found in summary["variants"].items():
        both = ("test_accuracy", "peak_test_accuracy")
        runs = [run for run in found["runs"] if None not in map(run.get, both)]
        if VARIANTS[name].cycle or not runs:
            continue
        by_loss = {run["seed"]: run["test_accuracy"] for run in runs}
        by_accuracy = {run["seed"]: run["peak_test_accuracy"] for run in runs}
        difference = paired_difference(by_accuracy, by_loss)
        lines.append(
            [
                name,
                _spread([run["best_epoch"] for run in runs], 1, 0),
                _spread(list(by_loss.values()), 100, 1),
                _spread([run["peak_epoch"] for run in runs], 1, 0),
                _spread(list(by_accuracy.values()), 100, 1),
                "one seed" if difference.low is None else _interval(difference),
            ]
        )
    head = ["restored by", "lowest loss: epoch", "test %", "highest accuracy: epoch", "test %"]
    return _markdown([*head, "difference, 95% interval"], lines) if lines else ""


def notes_of(summary: dict[str, Any]) -> str:
    """Return what a reader must know to trust the tables, and what is missing in them."""
    notes = [*_fixed_notes(rows_of(summary)), *cost_notes(summary)]
    notes += [*_calibration(summary), *_warnings(summary)]
    return "\n".join(f"- {note}" for note in notes)


def _row(name: str, found: dict[str, Any]) -> Row:
    runs = finished(found)
    return Row(
        name,
        VARIANTS[name].task,
        found["learning_rate"],
        {run["seed"]: run["validation_accuracy"] for run in runs},
        {run["seed"]: run["test_accuracy"] for run in runs},
        [run["best_epoch"] for run in runs],
        paces(found),
        run_seconds(found),
        VARIANTS[name].published,
        is_measured_apart(found),
    )


def _mc_row(found: dict[str, Any]) -> Row:
    runs = [run for run in found["runs"] if run.get("mc_test_accuracy") is not None]
    validation = {run["seed"]: run["mc_validation_accuracy"] for run in runs}
    test = {run["seed"]: run["mc_test_accuracy"] for run in runs}
    published = (PUBLISHED_MC_DROPOUT, "")
    return Row(MC_DROPOUT, "8e", None, validation, test, [], [], [], published)


def _cells(row: Row) -> list[str]:
    return [
        row.name,
        row.task,
        "–" if row.learning_rate is None else f"{row.learning_rate:g}",
        _spread(list(row.validation.values()), 100, 1),
        _spread(list(row.test.values()), 100, 1),
        _spread(row.best_epochs, 1, 0),
        _range(row.seconds_per_epoch)
        if row.measured_apart
        else _spread(row.seconds_per_epoch, 1, 2),
        _spread(row.seconds, 1, 0),
        str(len(row.test)),
        "–" if row.published is None else _published(*row.published),
    ]


def _published(accuracy: float, when: str) -> str:
    return f"{accuracy:.1%}"[:-1] + (f" ({when})" if when else "")


def _spread(values: list[Any], scale: float, digits: int) -> str:
    if not values:
        return "–"
    scaled = [value * scale for value in values]
    mean = f"{statistics.fmean(scaled):.{digits}f}"
    return mean if len(set(scaled)) < 2 else f"{mean} ± {statistics.stdev(scaled):.{digits}f}"


def _range(seconds: list[float]) -> str:
    median = f"{statistics.median(seconds):.2f}"
    return median if len(seconds) < 2 else f"{median} ({min(seconds):.2f} to {max(seconds):.2f})"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def _interval(difference: Difference) -> str:
    return f"{_points(difference.low)} to {_points(difference.high)}"


def _verdict(difference: Difference) -> str:
    if not difference.is_clear():
        return "could be chance"
    return "better" if difference.mean > 0 else "worse"


def _markdown(head: list[str], lines: list[list[str]]) -> str:
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    rows = [head, ["-" * width for width in widths], *lines]
    padded = [[cell.ljust(width) for cell, width in zip(r, widths, strict=True)] for r in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _fixed_notes(rows: list[Row]) -> list[str]:
    notes = []
    if max((len(row.test) for row in rows), default=0) > 1:
        notes += [
            "± is the standard deviation over seeds (initial weights, order, dropped units); the "
            "split into training and validation images is the same for all.",
            "The interval is Student's t interval of the differences paired by seed, each at 95% "
            "by itself: with this many comparisons one may miss.",
        ]
    else:
        notes.append("One seed: no spread, no intervals, and a difference may be luck.")
    notes.append(
        "Weights are those of the epoch with the lowest validation loss, of a cycle those of its "
        "last epoch. They and the learning rates are chosen by validation images alone; nothing is "
        "chosen by the test images."
    )
    notes.append(
        "Published: one run each (Hands-On Machine Learning, 3rd edition, chapter 11), with raw "
        "bytes as inputs of the first two, other rates and another framework version; here every "
        "variant has standardised inputs."
    )
    return notes


def _calibration(summary: dict[str, Any]) -> list[str]:
    runs = summary["variants"].get("alpha_dropout", {}).get("runs", [])
    pairs = [(run["ece"], run["mc_ece"]) for run in runs if run.get("mc_ece") is not None]
    if not pairs:
        return []
    plain, mc = (_spread([pair[i] for pair in pairs], 100, 1) for i in (0, 1))
    return [f"Expected calibration error of alpha_dropout: {plain} points, with MC dropout {mc}."]


def _warnings(summary: dict[str, Any]) -> list[str]:
    notes = []
    for name, found in summary["variants"].items():
        if found["at_edge"]:
            notes.append(
                f"{name}: its learning rate is at the edge of those tried; a better one may lie "
                "beyond."
            )
        diverged = [str(run["seed"]) for run in found["runs"] if run.get("diverged")]
        if diverged:
            notes.append(f"{name}: diverged with seed {', '.join(diverged)}.")
        if len({run["seed"] for run in found["runs"]}) < len(found["runs"]):
            notes.append(f"{name}: a seed appears twice.")
    if summary["missing"]:
        notes.append(f"Not run yet: {'; '.join(summary['missing'])}.")
    notes += [f"Left out: {text}" for text in summary["left_out"]]
    for name, versions in summary["versions"].items():
        if len(versions) > 1:
            notes.append(f"Runs with several versions of {name}: {', '.join(versions)}.")
    return notes
