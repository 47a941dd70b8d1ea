"""What training costs, from a summary: measured apart by `study pace`, or as the runs noted it."""

from __future__ import annotations

import statistics
from typing import Any

_WAY = ("epochs", "workers", "threads", "machines")


def finished(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the runs of a variant's summary that have a result."""
    return [run for run in found["runs"] if run["validation_accuracy"] is not None]


def is_measured_apart(found: dict[str, Any]) -> bool:
    """Say whether the variant's pace was measured apart from its runs."""
    return bool(found.get("pace"))


def paces(found: dict[str, Any]) -> list[float]:
    """Return a variant's seconds per epoch: of each measurement, else of each finished run.

    >>> run = {"validation_accuracy": 0.5, "seconds_per_epoch": 9.0}
    >>> paces({"runs": [run]}), paces({"runs": [run], "pace": {"seconds_per_epoch": [5.0, 5.5]}})
    ([9.0], [5.0, 5.5])
    """
    if is_measured_apart(found):
        return list(found["pace"]["seconds_per_epoch"])
    own = [run["seconds_per_epoch"] for run in finished(found)]
    return [seconds for seconds in own if seconds is not None]


def run_seconds(found: dict[str, Any]) -> list[float]:
    """Return the seconds of each finished run: its epochs at the measured pace, else its own."""
    if is_measured_apart(found):
        pace = statistics.median(paces(found))
        return [pace * len(run["curve"]) for run in finished(found)]
    return [run["seconds"] for run in finished(found) if run["seconds"] is not None]


def cost_notes(summary: dict[str, Any]) -> list[str]:
    """Return where the seconds come from, and whether they can be compared."""
    variants = summary["variants"]
    apart = {name: found for name, found in variants.items() if is_measured_apart(found)}
    own = [name for name in variants if name not in apart]
    notes = []
    if apart:
        whose = f"Seconds of {', '.join(apart)}" if own else "Seconds"
        notes.append(f"{whose} are measured apart from the runs, {_how(summary, apart)}")
    if own:
        whose = f"Seconds of {', '.join(own)}" if apart else "Seconds"
        notes.append(
            f"{whose} are the runs' own: s/epoch is the median of a run's epochs without the "
            "first, which compiles, s/run all of them with the compiling."
        )
    if apart and own:
        notes.append("Seconds measured apart are not comparable with those of runs.")
    if own and len(summary["threads"]) > 1:
        counts = ", ".join(str(count) for count in summary["threads"])
        notes.append(f"Seconds are not comparable: runs had {counts} threads.")
    unlike = [name for name in _WAY if len(_values(apart, name)) > 1]
    if unlike:
        notes.append(
            f"Seconds are not comparable: the measurements differ in {' and '.join(unlike)}; "
            "measure anew with: python -m coursekit study pace --again."
        )
    return notes


def whole_study_seconds(summary: dict[str, Any]) -> float | None:
    """Return what all trainings of the study take at the measured paces, one by one.

    Those are its runs and the trials of its searches, without compiling. None unless every variant
    was measured apart.
    """
    total = 0.0
    for found in summary["variants"].values():
        if not is_measured_apart(found):
            return None
        epochs = sum(len(run["curve"]) for run in found["runs"])
        epochs += len(found["search"]) * summary["budget"]["search_epochs"]
        total += epochs * statistics.median(paces(found))
    return total


def _how(summary: dict[str, Any], apart: dict[str, Any]) -> str:
    counts = sorted({len(paces(found)) for found in apart.values()})
    times, epochs, workers, threads = (
        " or ".join(str(value) for value in values)
        for values in (counts, *(_values(apart, name) for name in _WAY[:3]))
    )
    text = (
        f"each variant beside itself in {workers} processes (threads each: {threads}): s/epoch is "
        f"the median and the range of {times} × {epochs} epochs, without the first of each, which "
        "compiles; s/run is that median times the run's epochs."
    )
    seconds = whole_study_seconds(summary)
    alike = len(_values(apart, "workers")) == 1
    if seconds is None or not alike:
        return text
    minutes = seconds / _values(apart, "workers")[0] / 60
    return f"{text} By it the study's trainings, the search's too, take {minutes:.0f} minutes."


def _values(apart: dict[str, Any], name: str) -> list[Any]:
    return sorted({value for found in apart.values() for value in found["pace"][name]})
