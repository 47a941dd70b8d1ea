"""What a study says while it works: bars in a terminal, lines in a log, nothing when headless."""

from __future__ import annotations

import os
import sys
from typing import Any

from coursekit.experiments.study.events import EpochEnded
from coursekit.experiments.study.jobs import Job


class Quiet:
    """Says nothing but notes: something went wrong and was mended."""

    def note(self, text: str) -> None:
        """Say what the user should know."""
        print(text, flush=True)

    def start(self, total: int, done: int) -> None:
        """The study has `total` jobs, of which `done` were there already."""

    def job_started(self, job: Job) -> None:
        """A job has started or starts over."""

    def epoch_ended(self, event: EpochEnded) -> None:
        """A job has trained an epoch."""

    def job_done(self, job: Job, record: dict[str, Any] | None) -> None:
        """A job has its record, or None when it failed."""

    def close(self) -> None:
        """The study is over."""


class Lines(Quiet):
    """One line for each finished job, for logs and pipes."""

    def start(self, total: int, done: int) -> None:
        """Say how much there is to do."""
        self._total, self._done = total, done
        print(f"{total} trainings, {done} done before.", flush=True)

    def job_done(self, job: Job, record: dict[str, Any] | None) -> None:
        """Say what came out."""
        self._done += 1
        print(f"[{self._done}/{self._total}] {job.title}: {_outcome(record)}", flush=True)


class Bars(Quiet):
    """One bar for the study and one for the epochs of each job in work."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Elapsed())
        self._bars = Progress(*columns, TextColumn("{task.fields[info]}"))
        self._of_job: dict[str, Any] = {}

    def note(self, text: str) -> None:
        """Say what the user should know, above the bars."""
        self._bars.console.print(text, highlight=False, markup=False)

    def start(self, total: int, done: int) -> None:
        """Show the study's bar."""
        self._bars.start()
        self._all = self._bars.add_task("study", total=total, completed=done, info="")

    def job_started(self, job: Job) -> None:
        """Show the job's bar, at its start."""
        if job.key in self._of_job:
            self._bars.reset(self._of_job[job.key], info="")
            return
        self._of_job[job.key] = self._bars.add_task(job.title, total=job.epochs, info="")

    def epoch_ended(self, event: EpochEnded) -> None:
        """Move the job's bar."""
        bar = self._of_job.get(event.job.key)
        if bar is not None:
            accuracy = event.logs.get("val_accuracy")
            info = "" if accuracy is None else f"validation accuracy {accuracy:.1%}"
            self._bars.update(bar, completed=event.epoch, info=info)

    def job_done(self, job: Job, record: dict[str, Any] | None) -> None:
        """Put a line in the place of the job's bar, and move the study's."""
        bar = self._of_job.pop(job.key, None)
        if bar is not None:
            self._bars.remove_task(bar)
        self.note(f"{job.title}: {_outcome(record)}")
        self._bars.advance(self._all)

    def close(self) -> None:
        """Leave the bars as they stand."""
        self._bars.stop()


def choose_progress() -> Quiet:
    """Return bars for a terminal, lines for a log, and quiet with COURSEKIT_HEADLESS=1."""
    if os.environ.get("COURSEKIT_HEADLESS") == "1":
        return Quiet()
    return Bars() if sys.stdout.isatty() else Lines()


def _outcome(record: dict[str, Any] | None) -> str:
    if record is None:
        return "failed"
    accuracy = record["validation_accuracy"]
    if accuracy is None:
        return "diverged"
    words = f"validation accuracy {accuracy:.1%} in epoch {record['best_epoch']}"
    seconds = record.get("seconds")
    return words if seconds is None else f"{words}, {seconds:.0f} s"
