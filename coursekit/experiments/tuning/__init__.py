"""Hyperparameter search: ranges, random search from coarse to fine, and thin glue to Optuna."""

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

__all__ = [
    "Integers",
    "LogUniform",
    "MissingOptunaError",
    "PruningCallback",
    "Space",
    "Uniform",
    "best_first",
    "create_study",
    "load_optuna",
    "narrow",
    "sample",
    "search_in_parallel",
    "suggest",
]
