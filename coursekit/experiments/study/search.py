"""Which learning rate a variant gets: the trial with the best validation accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def choose_rate(trials: Sequence[dict[str, Any]]) -> float:
    """Return the learning rate of the best trial; of equals, the smallest rate.

    `trials` are search records of one variant; one that diverged before its first epoch ended has
    no validation accuracy and cannot win.

    Raises ValueError when every trial diverged.

    >>> choose_rate([{"learning_rate": 1e-3, "validation_accuracy": 0.31},
    ...              {"learning_rate": 1e-2, "validation_accuracy": None}])
    0.001
    """
    finished = [trial for trial in trials if trial["validation_accuracy"] is not None]
    if not finished:
        rates = ", ".join(f"{trial['learning_rate']:g}" for trial in trials)
        raise ValueError(f"every learning rate diverged ({rates})")
    best = max(finished, key=lambda t: (t["validation_accuracy"], -t["learning_rate"]))
    return best["learning_rate"]


def at_edge(trials: Sequence[dict[str, Any]]) -> bool:
    """Say whether the chosen rate is the lowest or highest tried: a better one may lie beyond.

    >>> at_edge([{"learning_rate": rate, "validation_accuracy": rate} for rate in (0.1, 0.2, 0.3)])
    True
    """
    rates = [trial["learning_rate"] for trial in trials]
    return choose_rate(trials) in (min(rates), max(rates))
