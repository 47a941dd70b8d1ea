"""How fast each variant of a study trains, measured apart from its runs.

A run's own seconds tell of the machine as it was that day, of other work too. Here a variant trains
for a few epochs beside itself, in as many processes as the study uses, which start together and end
together: each is under the same load all the time, and no measurement depends on which others are
left to do. The measurements go round the variants, so that a disturbance does not fall on one of
them alone.
"""

from __future__ import annotations

import statistics
from collections.abc import Container, Iterable, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursekit.base import machine
from coursekit.base.numbers import whole_number
from coursekit.errors import ArgumentError, DataError
from coursekit.experiments.study.jobs import DataInfo, Job, StudyError, Trainer, reason_of
from coursekit.experiments.study.local import LocalCrew
from coursekit.experiments.study.progress import StudyProgress
from coursekit.experiments.study.records import Found, Store, differences
from coursekit.experiments.study.reporting import study_folder
from coursekit.experiments.study.runner import count_workers, real_trainer
from coursekit.experiments.study.summary import all_runs, by_variant, study_of
from coursekit.experiments.study.variants import VARIANTS, Budget, select_variants
from coursekit.experiments.workers import result_of

_PAUSE = 0.5  # seconds between two looks at the epochs; looking takes time from what is measured
_TRIES = 2


@dataclass(frozen=True)
class PaceJob(Job):
    """One measurement of a variant: `workers` processes train it at once for `length` epochs.

    `seed` is the measurement's number, from 0; the nets get the weights of the run with that seed.
    """

    length: int = 4
    workers: int = 2

    @property
    def title(self) -> str:
        """What messages call the job."""
        return f"{self.variant}, pace, measurement {self.seed + 1}"

    @property
    def epochs(self) -> int:
        """The epochs each process trains."""
        return self.length

    def way(self) -> dict[str, int]:
        """Return how it is measured; paces measured in another way cannot be compared."""
        return {"epochs": self.length, "workers": self.workers, "threads": self.threads}

    def config(self) -> dict[str, Any]:
        """Return all that a record must have to count as this job's."""
        return {**super().config(), **self.way()}


def pace(
    *,
    variants: str | Iterable[str] | None = None,
    times: int = 3,
    epochs: int = 4,
    profile: str | None = None,
    workers: int | None = None,
    again: bool = False,
    out: str | Path | None = None,
    trainer: Trainer | None = None,
) -> list[dict[str, Any]]:
    """Measure the seconds of an epoch of each variant that has a finished run; return the records.

    A variant trains at the rate that its search has chosen, on the images of its runs. What is
    measured already is not measured again, and no record of a run is touched. `report` uses the
    measurements in place of the runs' own seconds. The machine must do nothing else meanwhile.

    Args:
        variants: names, or one string "a,b"; all that have a finished run by default.
        times: how many measurements of each variant.
        epochs: how many epochs a measurement trains, 2 at least: the first, which compiles, does
            not count.
        profile: which of the default folders, as for `report`.
        workers: processes that train at the same time, as many as in `run` by default.
        again: first forget what was measured of these variants.
        out: the study's folder; `work/study/PROFILE` by default.
        trainer: what trains, in place of the real thing.

    Raises:
        ArgumentError: a value out of its range, an unknown variant or one without a finished run.
        TypeError: times, epochs or workers that are no whole number.
        DataError: a folder without finished runs.
        StudyError: other images than the study's, measurements that were made in another way, a
            folder that another study works in or that cannot be written, or trainings that failed,
            after all others are done.
    """
    times = whole_number("times", times, least=1)
    epochs = whole_number("epochs", epochs, least=2)
    size = count_workers(workers)
    trainer = trainer or real_trainer()
    store = Store(study_folder(out, profile))
    runs = _first_runs(store)
    names = _names(variants, tuple(runs))
    main = runs[names[0]]
    budget = _budget(main, store)
    data = trainer.describe(budget)
    _refuse_other_images(data, main, store)
    threads = max(1, machine.cores() // size)
    common = (main["profile"], budget, data, threads, epochs, size)
    jobs = [
        PaceJob("pace", name, number, runs[name]["learning_rate"], *common)
        for number in range(times)
        for name in names
    ]
    with store.opened(), StudyProgress() as progress, LocalCrew(trainer, size) as crew:
        _refuse_another_way(store, jobs[0], set(runs) - set(names if again else ()))
        for name in names if again else ():
            store.forget("pace", name)
        return _measure(jobs, store, crew, progress)


def describe_pace(records: Sequence[dict[str, Any]]) -> str:
    """Return a line for each variant: median and range of its measurements.

    >>> print(describe_pace([
    ...     {"variant": "selu", "seconds_per_epoch": seconds, "steps_per_second": 100 / seconds}
    ...     for seconds in (5.5, 5.0, 8.0)
    ... ]))
    selu: 5.50 s an epoch (5.00 to 8.00), 18 steps a second
    """
    lines = []
    for name in dict.fromkeys(record["variant"] for record in records):
        mine = [record for record in records if record["variant"] == name]
        seconds = [record["seconds_per_epoch"] for record in mine]
        steps = statistics.median(record["steps_per_second"] for record in mine)
        ends = f" ({min(seconds):.2f} to {max(seconds):.2f})" if len(seconds) > 1 else ""
        middle = statistics.median(seconds)
        lines.append(f"{name}: {middle:.2f} s an epoch{ends}, {steps:.0f} steps a second")
    return "\n".join(lines)


def _first_runs(store: Store) -> dict[str, dict[str, Any]]:
    """Return a finished run of each variant that has some, all of one study."""
    records, _ = store.load()
    runs = all_runs(records, store)
    known = [r for r in runs if study_of(r) == study_of(runs[0]) and r["variant"] in VARIANTS]
    if not known:
        raise DataError(
            f"out: expected runs of {', '.join(VARIANTS)}, got {store.folder}, whose runs are of "
            "other variants; another version of the course may know them."
        )
    return {name: runs[0] for name, runs in by_variant(known).items()}


def _names(variants: str | Iterable[str] | None, there: tuple[str, ...]) -> tuple[str, ...]:
    names = there if variants is None else select_variants(variants)
    for name in names:
        if name not in there:
            raise ArgumentError(
                f"variants: expected variants with a finished run ({', '.join(there)}), got "
                f"{name!r}; its learning rate comes from: python -m coursekit study run."
            )
    return names


def _budget(run: dict[str, Any], store: Store) -> Budget:
    try:
        return Budget(**run["budget"])
    except TypeError:
        raise StudyError(
            f"out: expected a study of this version of the course, got {store.folder}, whose "
            "budget has other fields; measure with the version that ran it."
        ) from None


def _refuse_other_images(data: DataInfo, run: dict[str, Any], store: Store) -> None:
    if data.fingerprint != run["data"]["fingerprint"]:
        raise StudyError(
            f"out: expected the images that the study in {store.folder} was run with "
            f"({run['data']['n_train']:,} for training of {run['data']['name']}, "
            f"{run['source']}), got {data.n_train:,} of {data.name}, {data.source}: import or "
            "fetch the same."
        )


def _refuse_another_way(store: Store, job: PaceJob, kept: Container[str]) -> None:
    records, _ = store.load()
    for name, record in records.items():
        counts = record["kind"] == "pace" and record["variant"] in kept
        if counts and differences(record, job.way()):
            there = ", ".join(f"{record[setting]} {setting}" for setting in job.way())
            here = ", ".join(f"{value} {setting}" for setting, value in job.way().items())
            raise StudyError(
                f"out: {store.folder} holds paces measured in another way ({name}.json: {there}; "
                f"now: {here}), which cannot be compared: give the same --epochs and --workers, or "
                "measure all variants anew with --again."
            )


def _measure(
    jobs: Sequence[PaceJob], store: Store, crew: LocalCrew, progress: StudyProgress
) -> list[dict[str, Any]]:
    found, reasons = Found(store), {}
    records: dict[str, dict[str, Any]] = {}
    progress.expect(len(jobs))
    for job in jobs:
        record, told = found.claim(job)
        if record is not None:
            records[job.key] = record
            progress.found(job)
        elif told:
            progress.note(f"{told}: {job.title} is done again.")
    due = [job for job in jobs if job.key not in records]
    if due:
        progress.note(_announcement(jobs))
    for job in due:
        for tries_left in reversed(range(_TRIES)):
            progress.started(job)
            try:
                result = _trained(job, crew, progress)
            except Exception as error:
                reasons[job.title] = reason_of(error)
                then = "is tried once more" if tries_left else "failed"
                progress.ended(job, None)
                progress.note(f"{job.title} {then}: {reasons[job.title]}.")
                continue
            records[job.key] = store.save(job, result)
            progress.ended(job, records[job.key])
            reasons.pop(job.title, None)
            break
    if reasons:
        failed = "; ".join(f"{title}: {reason}" for title, reason in reasons.items())
        raise StudyError(
            f"{len(records)} of {len(jobs)} measurements are done and kept. Failed: {failed}. "
            "The same command without --again tries again what is not done."
        )
    return [records[job.key] for job in jobs]


def _trained(job: PaceJob, crew: LocalCrew, progress: StudyProgress) -> dict[str, Any]:
    """Train the job in all processes at once and return what its record says of the pace."""
    futures = [crew.submit(job) for _ in range(job.workers)]
    in_work = set(futures)
    while in_work:
        in_work = wait(in_work, _PAUSE).not_done
        for epoch in crew.epochs():
            progress.epoch(*epoch)
    results = [result_of(future) for future in futures]
    if any(result["diverged"] for result in results):
        raise StudyError("it diverged, so that its last epoch is cut short")
    seconds = statistics.median(
        epoch for result in results for epoch in result["epoch_seconds"][1:]
    )
    return {
        "epoch_seconds": [result["epoch_seconds"] for result in results],
        "seconds_per_epoch": seconds,
        "steps_per_second": job.steps / seconds,
        "versions": results[0]["versions"],
        "machine": results[0]["machine"],
    }


def _announcement(jobs: Sequence[PaceJob]) -> str:
    way = jobs[0].way()
    names = list(dict.fromkeys(job.variant for job in jobs))
    return (
        f"Measuring the pace of {', '.join(names)}: {len(jobs) // len(names)} × {way['epochs']} "
        f"epochs of each in {way['workers']} processes at once (threads each: {way['threads']}). "
        "It means something only where the machine does nothing else meanwhile."
    )
