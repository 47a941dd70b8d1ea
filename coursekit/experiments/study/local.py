"""Jobs in processes of this machine."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from coursekit.base.files import write_whole
from coursekit.experiments.study.jobs import DataInfo, Job, Tell, Trainer, do
from coursekit.experiments.study.variants import Budget
from coursekit.experiments.workers import Workers


class LocalCrew:
    """Up to `count` processes of this machine, which note their epochs in a folder."""

    def __init__(self, trainer: Trainer, count: int):
        self._trainer, self._workers = trainer, Workers(count)
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)

    def check(self, budget: Budget, data: DataInfo) -> None:
        """They have the images of this machine."""

    def size(self) -> int:
        """Return how many jobs are trained at the same time."""
        return self._workers.count

    def submit(self, job: Job) -> Future[dict[str, Any]]:
        note = Path(self._folder.name, f"{job.key}.json")
        return self._workers.submit(job.variant, _train, self._trainer.train, job, note)

    def epochs(self) -> Iterator[tuple[str, int, dict[str, float]]]:
        """Yield key, last epoch and its logs of each job that has told of one."""
        for path in Path(self._folder.name).glob("[!.]*.json"):
            with contextlib.suppress(FileNotFoundError):
                yield path.stem, *json.loads(path.read_bytes())

    def __enter__(self) -> LocalCrew:
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.__exit__()
        self._folder.cleanup()


def _train(train: Callable[[Job, Tell], dict[str, Any]], job: Job, note: Path) -> dict[str, Any]:
    def tell(epoch: int, logs: dict[str, float]) -> None:
        with contextlib.suppress(OSError):  # a full disk stops the study, not the show
            write_whole(note, json.dumps([epoch, logs]))

    note.unlink(missing_ok=True)  # of a worker that died in this job
    return do(train, job, tell)
