"""Hyperparameter search: ranges, random search from coarse to fine, and thin glue to Optuna."""

from coursekit.tuning.parallel import search_in_parallel
from coursekit.tuning.ranges import Integers, LogUniform, Space, Uniform, best_first, narrow, sample
from coursekit.tuning.studies import (
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
