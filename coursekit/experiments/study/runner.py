"""The study's loop: what is left to do, who does it, and what comes back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from coursekit.base.environment import current_profile
from coursekit.errors import ArgumentError
from coursekit.experiments.study.claims import Claims
from coursekit.experiments.study.events import Done, EpochEnded, Event, Failed, Workers
from coursekit.experiments.study.jobs import Job, Study, Trainer
from coursekit.experiments.study.progress import Quiet, choose_progress
from coursekit.experiments.study.records import Store, StudyError, differences
from coursekit.experiments.study.search import choose_rate
from coursekit.experiments.study.variants import PROFILES, select_variants
from coursekit.experiments.study.workers import LocalWorkers, count_cores

DEFAULT_FOLDER = Path("work") / "study"
"""Where studies lie, one folder per profile; git-ignored."""

_PAUSE = 0.5


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

    First a search chooses each variant's learning rate, then the runs follow. Killed and started
    again, it goes on where it was; started twice on one folder, the two share the work.

    Args:
        variants: names, or one string "a,b"; all five by default.
        seeds: how many; the seeds are 0, 1, …
        profile: "quick", "standard" or "full"; COURSEKIT_PROFILE by default.
        workers: local processes, each with its share of the cores; 2 by default, or 1 on one core.
        scheduler: address of a Dask scheduler, whose workers then train instead.
        out: the study's folder; `work/study/PROFILE` by default.
        trainer: what trains, in place of the real thing.

    Raises:
        ArgumentError: a value out of its range, an unknown name, a scheduler that is not there,
            both `workers` and `scheduler`.
        StudyError: a folder that holds another study or cannot be written, a full disk, or runs
            that failed, after all others are done.
    """
    names, seed_list = select_variants(variants), _seeds(seeds)
    profile = current_profile(profile)
    size = _workers(workers, scheduler)
    trainer = trainer or _real_trainer()
    store = Store(out if out is not None else DEFAULT_FOLDER / profile)
    crew: Workers
    if scheduler is None:
        crew = LocalWorkers(trainer.train, size)
    else:
        from coursekit.experiments.study.cluster import DaskWorkers

        crew = DaskWorkers(scheduler, trainer)
    try:
        budget = PROFILES[profile]
        data = trainer.describe(budget)
        if scheduler is not None:
            crew.check(budget, data)
        threads = max(1, count_cores() // size)
        study = Study(names, seed_list, profile, budget, data, threads)
        return _Loop(study, store, crew, choose_progress()).work()
    finally:
        crew.close()


class _Loop:
    def __init__(self, study: Study, store: Store, crew: Workers, progress: Quiet):
        self.study, self.store, self.crew, self.progress = study, store, crew, progress
        store.prepare()
        self.claims = Claims(store.folder / "locks")
        self.records: dict[str, dict[str, Any]] = {}
        self.failed: dict[str, str] = {}
        self.waiting: list[Job] = []
        self.in_work: set[str] = set()
        self.chosen: set[str] = set()
        self.latest = ""

    def work(self) -> list[dict[str, Any]]:
        self._refuse_another_study()
        self.store.remember(self.study.variants, self.study.seeds)
        for variant in self.study.variants:
            self.waiting += self.study.search_jobs(variant)
        try:
            self._settle()
            self.progress.start(self.study.n_jobs(), len(self.records))
            while self.waiting or self.in_work:
                self._submit()
                # With nothing in work here, all that is left is in the hands of another study.
                for event in self.crew.wait(_PAUSE):
                    self._handle(event)
                self._plan_runs()
        finally:
            self.progress.close()
            self.claims.close()
        if self.failed:
            reasons = "; ".join(f"{title}: {why}" for title, why in self.failed.items())
            raise StudyError(
                f"{len(self.failed)} of {self.study.n_jobs()} trainings failed ({reasons}); all "
                "others are done and kept."
            )
        return [record for record in self.records.values() if record["kind"] == "run"]

    def _refuse_another_study(self) -> None:
        records, damaged = self.store.load()
        for text in damaged:
            self.progress.note(f"Damaged: {text}")
        expected = self.study.study_config()
        for name, record in records.items():
            other = differences(record, expected)
            if other:
                raise StudyError(
                    f"out: {self.store.folder} holds another study ({name}.json has another "
                    f"{' and another '.join(other)}): choose another folder, or delete this one."
                )

    def _settle(self) -> None:
        """Take in all that is done already."""
        while True:
            before = len(self.records)
            for job in list(self.waiting):
                if self.claims.take(job.key):
                    self._look_up(job)
                    self.claims.release(job.key)
            self._plan_runs()
            if len(self.records) == before:
                return

    def _look_up(self, job: Job) -> bool:
        record, told = self.store.find(job)
        for text in told:
            self.progress.note(text)
        if record is not None:
            self.waiting.remove(job)
            self.records[job.key] = record
        return record is not None

    def _submit(self) -> None:
        # A worker that has just done a job of a variant goes on faster with the same one.
        for job in sorted(self.waiting, key=lambda job: job.variant != self.latest):
            if self.crew.free() <= 0:
                break
            if not self.claims.take(job.key):
                continue
            if self._look_up(job):
                self.claims.release(job.key)
                self.progress.job_done(job, self.records[job.key])
                continue
            self.waiting.remove(job)
            self.in_work.add(job.key)
            self.crew.submit(job)
            self.progress.job_started(job)

    def _handle(self, event: Event) -> None:
        if isinstance(event, EpochEnded):
            self.progress.epoch_ended(event)
            return
        if not isinstance(event, Done | Failed):
            self.progress.note(event.text)
            return
        job = event.job
        if isinstance(event, Done):
            self.records[job.key] = self.store.save(job, event.result)
        else:
            self.failed[job.title] = event.reason
            self.progress.note(f"{job.title} failed: {event.reason}")
        self.in_work.discard(job.key)
        self.latest = job.variant
        self.claims.release(job.key)
        self.progress.job_done(job, self.records.get(job.key))

    def _plan_runs(self) -> None:
        """Queue the runs of each variant whose search is over, one variant after the other."""
        for variant in self.study.variants:
            trials = self.study.search_jobs(variant)
            if variant in self.chosen or any(trial.key not in self.records for trial in trials):
                continue
            self.chosen.add(variant)
            try:
                rate = choose_rate([self.records[trial.key] for trial in trials])
            except ValueError as error:
                self.failed[f"{variant}, search"] = str(error)
                continue
            self.waiting += self.study.run_jobs(variant, rate)
            order = self.study.variants.index
            self.waiting.sort(key=lambda job: (order(job.variant), job.kind == "run"))


def _seeds(count: int) -> tuple[int, ...]:
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"seeds: expected a whole number, got {count!r}.")
    if count < 1:
        raise ArgumentError(f"seeds: expected a number from 1 on, got {count}.")
    return tuple(range(count))


def _workers(count: int | None, scheduler: str | None) -> int:
    if count is None:
        return min(2, count_cores())
    if scheduler is not None:
        raise ArgumentError(
            f"workers: expected no number together with a scheduler, got {count}; a cluster's "
            "workers are started with Dask."
        )
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"workers: expected a whole number, got {count!r}.")
    if not 1 <= count <= 64:
        raise ArgumentError(f"workers: expected a number from 1 to 64, got {count}.")
    return count


def _real_trainer() -> Trainer:
    from coursekit.experiments.study.training import describe, train

    return Trainer(describe, train)
