"""What a study says while it works: bars in a terminal, lines in a log, nothing when headless."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from coursekit.base.environment import headless
from coursekit.experiments.study.jobs import Job


class StudyProgress:
    """A line for each finished job and, in a terminal, bars for the study and for each job."""

    def __init__(self) -> None:
        self._talks = not headless()
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Progress(
            *(TextColumn("{task.description}"), *columns, TextColumn("{task.fields[info]}")),
            console=Console(force_jupyter=False, soft_wrap=True),
            disable=not (self._talks and sys.stdout.isatty()),
        )
        self._all = self._bars.add_task("study", total=None, info="")
        self._total = self._done = 0
        self._of_job: dict[str, Any] = {}

    def __enter__(self) -> StudyProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def note(self, text: str) -> None:
        """Say what the user should know, headless or not."""
        self._bars.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def expect(self, total: int) -> None:
        """So many jobs there are in all, as far as one can tell by now."""
        self._total = total
        self._bars.update(self._all, total=total)

    def found(self, job: Job) -> None:
        """A job was done before."""
        self._done += 1
        self._bars.advance(self._all)

    def started(self, job: Job) -> None:
        """A job has started."""
        self._of_job[job.key] = self._bars.add_task(job.title, total=job.epochs, info="")

    def epoch(self, key: str, epoch: int, logs: dict[str, float]) -> None:
        """A job in work has trained an epoch, counted from 1."""
        if key in self._of_job:
            info = f"validation accuracy {logs['val_accuracy']:.1%}"
            self._bars.update(self._of_job[key], completed=epoch, info=info)

    def ended(self, job: Job, record: dict[str, Any] | None) -> None:
        """A job has its record, or None when it failed."""
        self._bars.remove_task(self._of_job.pop(job.key))
        if record is not None:
            self.found(job)
            if self._talks:
                self.note(f"[{self._done}/{self._total}] {job.title}: {_outcome(record)}")


def _outcome(record: dict[str, Any]) -> str:
    if record["kind"] == "pace":
        return f"{record['seconds_per_epoch']:.2f} s an epoch"
    accuracy = record["validation_accuracy"]
    if accuracy is None:
        return "diverged"
    words = f"validation accuracy {accuracy:.1%} in epoch {record['best_epoch']}"
    return f"{words}, {record['seconds']:.0f} s"
