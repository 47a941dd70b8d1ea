"""The study's loop: what is left to do, who does it, and what comes back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from pathlib import Path
from typing import Any

from coursekit.base import machine
from coursekit.base.environment import current_profile
from coursekit.base.numbers import whole_number
from coursekit.errors import ArgumentError
from coursekit.experiments.study.cluster import DaskCrew
from coursekit.experiments.study.jobs import (
    Job,
    Study,
    StudyError,
    Trainer,
    choose_rate,
    next_rates,
    reason_of,
)
from coursekit.experiments.study.local import LocalCrew
from coursekit.experiments.study.progress import StudyProgress
from coursekit.experiments.study.records import Found, Store, differences
from coursekit.experiments.study.variants import PROFILES, select_variants
from coursekit.experiments.workers import result_of

DEFAULT_FOLDER = Path("work") / "study"
"""Where studies lie, one folder per profile; git-ignored."""

_PAUSE = 0.5  # seconds between two looks at the epochs
_TRIES = 2


def run(
    *,
    variants: str | Iterable[str] | None = None,
    seeds: int = 5,
    profile: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    out: str | Path | None = None,
    trainer: Trainer | None = None,
) -> list[dict[str, Any]]:
    """Train every variant with every seed that has no record yet, and return all their records.

    First a search chooses each variant's learning rate, its list made longer while the best is at
    the end; then the runs follow. Killed and started again, it goes on where it was. A training
    that fails is tried once more.

    Args:
        variants: names, or one string "a,b"; all by default.
        seeds: how many; the seeds are 0, 1, …
        profile: "quick", "standard" or "full"; COURSEKIT_PROFILE by default.
        workers: local processes, each with its share of the cores; 2 by default, or 1 on one core.
        scheduler: address of a Dask scheduler, whose workers then train instead.
        out: the study's folder; `work/study/PROFILE` by default.
        trainer: what trains, in place of the real thing.

    Raises:
        ArgumentError: a value out of its range, an unknown name, a scheduler that is not there,
            both `workers` and `scheduler`.
        TypeError: seeds or workers that are no whole number.
        StudyError: a folder that holds another study, that one is at work in or that cannot be
            written, a full disk, or trainings that failed, after all others are done.
    """
    names = select_variants(variants)
    seed_list = tuple(range(whole_number("seeds", seeds, least=1)))
    profile = current_profile(profile)
    budget = PROFILES[profile]
    size = count_workers(workers, scheduler)
    trainer = trainer or real_trainer()
    store = Store(out if out is not None else DEFAULT_FOLDER / profile)
    crew = LocalCrew(trainer, size) if scheduler is None else DaskCrew(scheduler, trainer)
    with crew:
        data = trainer.describe(budget)
        crew.check(budget, data)
        threads = max(1, machine.cores() // size)
        study = Study(names, seed_list, profile, budget, data, threads)
        with store.opened(), StudyProgress() as progress:
            return _Loop(study, store, crew, progress).work()


class _Loop:
    def __init__(
        self, study: Study, store: Store, crew: LocalCrew | DaskCrew, progress: StudyProgress
    ):
        self.study, self.store, self.crew, self.progress = study, store, crew, progress
        self.found = Found(store)
        self.records: dict[str, dict[str, Any]] = {}
        self.in_work: dict[Future[dict[str, Any]], Job] = {}
        self.failures: Counter[str] = Counter()
        self.reasons: dict[str, str] = {}
        self.latest = ""
        self.n_trials = dict.fromkeys(study.variants, study.budget.search_rates)

    def work(self) -> list[dict[str, Any]]:
        self._refuse_another_study()
        self.store.remember(self.study.variants, self.study.seeds)
        while (due := self._due()) or self.in_work:
            # A worker that has just done a job of a variant goes on faster with the same one.
            due.sort(key=lambda job: job.variant != self.latest)
            free = self.crew.size() - len(self.in_work)
            for job in due[: max(0, free)]:
                self.in_work[self.crew.submit(job)] = job
                self.progress.started(job)
            if not self.in_work:  # a cluster without workers for the moment
                time.sleep(_PAUSE)
            wait(self.in_work, _PAUSE, FIRST_COMPLETED)
            for epoch in self.crew.epochs():
                self.progress.epoch(*epoch)
            for future in [future for future in self.in_work if future.done()]:
                self._end(self.in_work.pop(future), future)
        if self.reasons:
            raise StudyError(self._what_failed())
        return [record for record in self.records.values() if record["kind"] == "run"]

    def _refuse_another_study(self) -> None:
        for name, record in self.found.whole.items():
            other = differences(record, self.study.config())
            if other:
                raise StudyError(
                    f"out: {self.store.folder} holds another study ({name}.json has another "
                    f"{' and another '.join(other)}): choose another folder, or delete this one."
                )

    def _due(self) -> list[Job]:
        """Return the jobs that can be done now: a variant's runs once its search is over."""
        due: list[Job] = []
        for variant in self.study.variants:
            try:
                jobs = self._jobs_of(variant)
            except StudyError as error:
                self.reasons[f"{variant}, search"] = str(error)
                continue
            due += [job for job in jobs if not self._is_done(job)]
        self.progress.expect(self._n_jobs())
        taken = {job.key for job in self.in_work.values()}
        return [job for job in due if job.key not in taken and job.title not in self.reasons]

    def _n_jobs(self) -> int:
        return sum(self.n_trials.values()) + len(self.study.variants) * len(self.study.seeds)

    def _jobs_of(self, variant: str) -> list[Job]:
        """Return the variant's trials or, once their best rate is between others, its runs."""
        beyond: list[float] = []
        while True:
            jobs = self.study.search_jobs(variant, beyond)
            self.n_trials[variant] = len(jobs)
            if not all([self._is_done(job) for job in jobs]):
                return jobs
            trials = [self.records[job.key] for job in jobs]
            further = next_rates(trials, self.study.budget.search_rates)
            if not further:
                return self.study.run_jobs(variant, choose_rate(trials))
            beyond += further

    def _is_done(self, job: Job) -> bool:
        if job.key in self.records:
            return True
        record, told = self.found.claim(job)
        if record is not None:
            self.records[job.key] = record
            self.progress.found(job)
            return True
        if told:
            self.progress.note(f"{told}: {job.title} is done again.")
        return False

    def _end(self, job: Job, future: Future[dict[str, Any]]) -> None:
        self.latest = job.variant
        try:
            result = result_of(future)
        except CancelledError:  # the scheduler is gone, or somebody else has cancelled it
            pass
        except Exception as error:
            self._try_again_or_give_up(job, reason_of(error))
        else:
            self.records[job.key] = self.store.save(job, result)
        self.progress.ended(job, self.records.get(job.key))

    def _try_again_or_give_up(self, job: Job, reason: str) -> None:
        self.failures[job.key] += 1
        if self.failures[job.key] < _TRIES:
            self.progress.note(f"{job.title} is tried once more: {reason}.")
        else:
            self.reasons[job.title] = reason
            self.progress.note(f"{job.title} failed: {reason}.")

    def _what_failed(self) -> str:
        done, total = len(self.records), self._n_jobs()
        failed = sum(count == _TRIES for count in self.failures.values())
        reasons = "; ".join(f"{title}: {reason}" for title, reason in self.reasons.items())
        waiting = total - done - failed
        held_up = f" {waiting} wait for a learning rate." if waiting else ""
        return (
            f"{done} of {total} trainings are done and kept. Failed: {reasons}.{held_up} The same "
            "command tries again what is not done."
        )


def count_workers(count: int | None, scheduler: str | None = None) -> int:
    """Return how many local processes to use; as many as the study's run by default.

    Raises ArgumentError for a number out of 1 to 64 and for one beside a scheduler, TypeError for
    what is no whole number.
    """
    if count is None:
        return min(2, machine.cores())
    if scheduler is not None:
        raise ArgumentError(
            f"workers: expected no number together with a scheduler, got {count}; a cluster's "
            "workers are started with Dask."
        )
    count = whole_number("workers", count, least=1)
    if count > 64:
        raise ArgumentError(f"workers: expected a number from 1 to 64, got {count}.")
    return count


def real_trainer() -> Trainer:
    """Return what trains the study's nets; TensorFlow is loaded where it trains."""
    from coursekit.experiments.study.training import describe, train

    return Trainer(describe, train)
