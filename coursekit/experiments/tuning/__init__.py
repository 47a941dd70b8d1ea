"""Hyperparameter search: ranges, trials on one net, replays on a surrogate, glue to Optuna."""

from coursekit.experiments.tuning.bench import Bench, Trials
from coursekit.experiments.tuning.parallel import search_in_parallel
from coursekit.experiments.tuning.ranges import (
    Integers,
    LogUniform,
    Space,
    Uniform,
    best_first,
    narrow,
    sample,
)
from coursekit.experiments.tuning.studies import (
    MissingOptunaError,
    PruningCallback,
    create_study,
    load_optuna,
    suggest,
)
from coursekit.experiments.tuning.surrogate import Surrogate, points_for, replay

__all__ = [
    "Bench",
    "Integers",
    "LogUniform",
    "MissingOptunaError",
    "PruningCallback",
    "Space",
    "Surrogate",
    "Trials",
    "Uniform",
    "best_first",
    "create_study",
    "load_optuna",
    "narrow",
    "points_for",
    "replay",
    "sample",
    "search_in_parallel",
    "suggest",
]
