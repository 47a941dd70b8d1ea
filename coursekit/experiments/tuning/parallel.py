"""One Optuna study, searched by several processes at the same time."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable
from concurrent.futures import as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursekit.base.keras import keras, tf
from coursekit.base.numbers import whole_number
from coursekit.experiments.tuning.studies import (
    STUDY,
    checked_direction,
    load_optuna,
    pruner_of,
    sampler_of,
)
from coursekit.experiments.workers import Workers, result_of

if TYPE_CHECKING:
    import optuna


def search_in_parallel(
    make_objective: Callable[[], Callable[[optuna.Trial], float]],
    n_trials: int,
    *,
    workers: int = 2,
    sampler: str = "tpe",
    seed: int = 0,
    pruner: optuna.pruners.BasePruner | None = None,
    direction: str = "minimize",
) -> optuna.Study:
    """Run one study in several processes that share its trials; return it, in memory.

    Each worker is a fresh Python process with its share of the cores. It calls `make_objective`
    once, to load data and compile a model, and then runs its share of the trials. What all have
    found so far is shared through a journal in a temporary folder, gone afterwards. Functions of a
    notebook may be used (they travel by value), but none of its variables should be large. The
    trials' `user_attrs["worker"]` tells who ran them. What workers print is not shown.

    Args:
        make_objective: a function without arguments that returns the objective.
        n_trials: trials in all.
        workers: processes; no more than there are trials.
        sampler: "tpe" or "random"; worker k draws with the seed `seed + k`. With "tpe" the
            configurations depend on which trials are finished, so they differ from run to run.
        seed, pruner, direction: as in `create_study`.

    Raises:
        MissingOptunaError: Optuna is not installed.
        ArgumentError: a count below 1, another name of a sampler or direction.
        WorkerDiedError: a process died, for want of memory perhaps.
        Exception: what the objective raises ends the search and comes out here.
    """
    optuna = load_optuna()
    n_trials = whole_number("n_trials", n_trials, least=1)
    workers = min(whole_number("workers", workers, least=1), n_trials)
    sampler_of(sampler, seed)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        journal = str(Path(folder) / "journal")
        optuna.create_study(
            study_name=STUDY, storage=_journal(journal), direction=checked_direction(direction)
        )
        with Workers(workers) as processes:
            tasks = [
                processes.submit(
                    *("", _work, journal, make_objective),
                    *(share, number, sampler, seed, pruner_of(pruner)),
                )
                for number, share in enumerate(_shares(n_trials, workers))
            ]
            for task in as_completed(tasks):
                result_of(task)
        memory = optuna.storages.InMemoryStorage()
        optuna.copy_study(from_study_name=STUDY, from_storage=_journal(journal), to_storage=memory)
    return optuna.load_study(study_name=STUDY, storage=memory)


def _work(
    journal: str,
    make_objective: Callable,
    n_trials: int,
    number: int,
    sampler: str,
    seed: int,
    pruner: Any,
) -> None:
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    study = load_optuna().load_study(
        study_name=STUDY,
        storage=_journal(journal),
        sampler=sampler_of(sampler, seed + number),
        pruner=pruner,
    )
    # In a notebook, what a worker prints would land in the output of the cell, out of order.
    with contextlib.redirect_stdout(io.StringIO()):
        objective = make_objective()

        def numbered(trial: Any) -> float:
            trial.set_user_attr("worker", number)
            return objective(trial)

        study.optimize(numbered, n_trials=n_trials)


def _shares(total: int, parts: int) -> list[int]:
    return [total // parts + (i < total % parts) for i in range(parts)]


def _journal(path: str) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    # Optuna's default lock is a symbolic link, which Windows grants to administrators only.
    return JournalStorage(JournalFileBackend(path, lock_obj=JournalFileOpenLock(path)))
