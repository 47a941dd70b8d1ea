"""A whole study in one small JSON file: no weights, every seed's result and learning curve.

A variant whose pace was measured apart has it in `pace`, beside what its runs noted themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from coursekit.errors import DataError
from coursekit.experiments.study.jobs import choose_rate
from coursekit.experiments.study.records import (
    DamagedRecordError,
    Store,
    differences,
    read_record,
    write_record,
)
from coursekit.experiments.study.variants import VARIANTS

_KEPT = (
    "seed",
    "best_epoch",
    "validation_accuracy",
    "test_accuracy",
    "peak_epoch",
    "peak_test_accuracy",
    "seconds",
    "seconds_per_epoch",
    "steps_per_second",
    "diverged",
)
_SETTINGS = ("revision", "learning_rate", "profile", "budget", "data")
_MC = ("ece", "mc_validation_accuracy", "mc_test_accuracy", "mc_ece")


def summarize(store: Store) -> dict[str, Any]:
    """Return the summary of what a folder holds now.

    Raises DataError when it holds no finished run.
    """
    records, damaged = store.load()
    runs = all_runs(records, store)
    trials = [record for record in records.values() if record["kind"] == "search"]
    measured = {name: record for name, record in records.items() if record["kind"] == "pace"}
    main = runs[0]
    other = [run for run in runs if study_of(run) != study_of(main)]
    unknown = [run for run in runs if run["variant"] not in VARIANTS]
    runs = [run for run in runs if run not in other and run not in unknown]
    of_variants = by_variant(runs)
    strange = _strange(measured, of_variants)
    variants = {}
    for name, mine in of_variants.items():
        searched = [trial for trial in trials if trial["variant"] == name]
        variants[name] = _summarize_variant(mine, searched)
        there = [found for key, found in measured.items() if key not in strange]
        if paces := [found for found in there if found["variant"] == name]:
            variants[name]["pace"] = _summarize_pace(paces)
    return {
        "profile": main["profile"],
        "budget": main["budget"],
        "data": {**main["data"], "source": main["source"]},
        "versions": _all_of(run.get("versions", {}) for run in runs),
        "threads": sorted({run["threads"] for run in runs if "threads" in run}),
        "machines": sorted({run["machine"] for run in runs if "machine" in run}),
        "variants": variants,
        "missing": _missing(store, runs),
        "left_out": [
            *(f"{reason}." for reason in damaged.values()),
            *(f"{run['variant']}, seed {run['seed']}: of another study." for run in other),
            *(f"{run['variant']}, seed {run['seed']}: an unknown variant." for run in unknown),
            *(f"{name}.json has {reason}." for name, reason in strange.items()),
        ],
    }


def all_runs(records: dict[str, dict[str, Any]], store: Store) -> list[dict[str, Any]]:
    """Return the runs among a folder's records.

    Raises DataError when there is none.
    """
    runs = [record for record in records.values() if record["kind"] == "run"]
    if not runs:
        raise DataError(
            f"out: expected a folder with finished runs, got {store.folder}; start with: "
            "python -m coursekit study run."
        )
    return runs


def by_variant(runs: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the runs of each variant that has some, in the study's order, sorted by seed."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
    for run in sorted(runs, key=lambda run: run["seed"]):
        found[run["variant"]].append(run)
    return {name: runs for name, runs in found.items() if runs}


def study_of(record: dict[str, Any]) -> tuple[Any, ...]:
    """Return what all records of one study have in common."""
    return record["profile"], record["budget"], record["data"]


def save_summary(summary: dict[str, Any], path: str | Path) -> None:
    """Write a summary to a JSON file.

    Raises DataError when it cannot be written.
    """
    try:
        write_record(Path(path), summary)
    except OSError as error:
        raise DataError(f"summary: {path} cannot be written: {error.strerror}.") from None


def read_summary(path: str | Path) -> dict[str, Any]:
    """Return a summary from its JSON file.

    Raises DataError for a file that is missing or is no summary.
    """
    try:
        summary = read_record(Path(path))
    except (OSError, DamagedRecordError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"summary: expected a file made by `study report --summary`, got {path}: {reason}."
        ) from None
    if "variants" not in summary:
        raise DataError(
            f"summary: expected a file made by `study report --summary`, got {path}, which has no "
            "variants."
        )
    for name in summary["variants"]:
        if name not in VARIANTS:
            raise DataError(
                f"summary: expected the variants {', '.join(VARIANTS)}, got {path} with {name!r}; "
                "another version of the course may know it."
            )
    return summary


def _summarize_variant(runs: list[dict], trials: list[dict]) -> dict[str, Any]:
    trials = sorted(trials, key=lambda trial: trial["learning_rate"])
    rate = runs[0]["learning_rate"]
    metrics = ("learning_rate", "validation_loss", "validation_accuracy")
    tried = [[_rounded(trial[metric]) for metric in metrics] for trial in trials]
    rates = [trial["learning_rate"] for trial in trials]
    found = any(loss is not None for _, loss, _ in tried) and choose_rate(trials) == rate
    return {
        "learning_rate": rate,
        "search": tried,
        "at_edge": found and rate in (rates[0], rates[-1]),
        "runs": [_summarize_run(run) for run in runs],
    }


def _summarize_run(run: dict[str, Any]) -> dict[str, Any]:
    kept = {name: _rounded(run.get(name)) for name in _KEPT}
    kept |= {name: _rounded(run[name]) for name in _MC if name in run}
    curve = run["history"].get("val_accuracy", [])
    return {**kept, "curve": [_rounded(value) for value in curve]}


def _summarize_pace(measured: list[dict[str, Any]]) -> dict[str, Any]:
    measured = sorted(measured, key=lambda record: record["seed"])
    numbers = ("seconds_per_epoch", "steps_per_second")
    way = ("epochs", "workers", "threads")
    return {
        **{name: [_rounded(record[name]) for record in measured] for name in numbers},
        **{name: sorted({record[name] for record in measured}) for name in way},
        "machines": sorted({record["machine"] for record in measured if "machine" in record}),
    }


def _strange(
    measured: dict[str, dict[str, Any]], runs: dict[str, list[dict[str, Any]]]
) -> dict[str, str]:
    """Return what is wrong with each measurement that does not belong to the runs."""
    strange = {}
    for name, record in measured.items():
        if record["variant"] not in runs:
            strange[name] = "no run of its variant beside it"
            continue
        run = runs[record["variant"]][0]
        other = differences(record, {setting: run[setting] for setting in _SETTINGS})
        if other:
            strange[name] = f"another {' and another '.join(other)} than the runs"
    return strange


def _rounded(value: Any) -> Any:
    return round(value, 5) if isinstance(value, float) else value


def _all_of(versions: Iterable[dict[str, str]]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for of_run in versions:
        for name, version in of_run.items():
            found.setdefault(name, set()).add(version)
    return {name: sorted(values) for name, values in found.items()}


def _missing(store: Store, runs: list[dict[str, Any]]) -> list[str]:
    asked, seeds = store.asked()
    there = {(run["variant"], run["seed"]) for run in runs}
    names = [name for name in VARIANTS if name in asked or any(name == v for v, _ in there)]
    seeds = sorted({*seeds, *(seed for _, seed in there)})
    return [f"{name}, seed {seed}" for name in names for seed in seeds if (name, seed) not in there]
