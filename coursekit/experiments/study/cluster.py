"""Jobs on a Dask cluster: the same results as local workers, on other machines.

The workers need coursekit and the same images (each loads its own with `ck.load`, and what they
have is compared before any training); they need no shared disk, since results come back over the
network and are written here. Give each worker one run's worth of cores (`dask worker ADDRESS
--nthreads 1`): a worker process trains one job at a time, with as many threads as Dask gave it.
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from coursekit import __version__
from coursekit.base.machine import THREAD_VARIABLES
from coursekit.errors import ArgumentError
from coursekit.experiments.study.jobs import DataInfo, Job, StudyError, Tell, Trainer, do, reason_of
from coursekit.experiments.study.variants import Budget

_one_job = threading.Lock()
_LOGGERS = [logging.getLogger(name) for name in ("distributed", "distributed.client")]


class DaskCrew:
    """The workers of the Dask scheduler at `address`.

    A job whose worker dies is run again elsewhere by the scheduler.

    Raises ArgumentError when Dask is not installed, when no scheduler answers within `timeout`
    seconds, or when it has no workers.
    """

    def __init__(self, address: str, trainer: Trainer, *, timeout: float = 10.0):
        try:
            from distributed import Client
        except ImportError:
            raise ArgumentError(
                "scheduler: expected Dask to be installed, but it is not; "
                'install it with: pip install "dask[distributed]".'
            ) from None
        self._address, self._trainer = address, trainer
        self._levels = [logger.level for logger in _LOGGERS]
        for logger in _LOGGERS:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            self._client = Client(address, timeout=timeout, set_as_default=False)
        except (OSError, ValueError, RuntimeError):
            self._restore_log()
            raise ArgumentError(
                f"scheduler: expected the address of a running Dask scheduler, got {address!r}, "
                f"where none answers within {timeout:g} seconds."
            ) from None
        try:
            self._client.wait_for_workers(1, timeout=timeout)
        except TimeoutError:
            self.__exit__()
            raise ArgumentError(
                f"scheduler: expected a scheduler with workers, got {address!r}, which has "
                f'none; start one with: dask worker "{address}" --nthreads 1.'
            ) from None
        self._pool = self._client.get_executor(pure=False)
        self._topic = f"coursekit-{uuid.uuid4().hex}"
        self._last: dict[str, tuple[int, dict[str, float]]] = {}
        self._client.subscribe_topic(self._topic, self._hear)

    def check(self, budget: Budget, data: DataInfo) -> None:
        """Make sure that each worker would train the same thing; StudyError if one would not."""
        found = self._client.run(_probe, self._trainer.describe, budget, on_error="return")
        for worker, answer in found.items():
            if isinstance(answer, BaseException):
                raise StudyError(
                    f"The Dask worker {worker} cannot do the study: {reason_of(answer)}."
                )
            version, theirs = answer
            if version != __version__:
                raise StudyError(
                    f"The Dask worker {worker} has coursekit {version}, here it is {__version__}: "
                    "install the same version on both."
                )
            if theirs.fingerprint != data.fingerprint:
                raise StudyError(
                    f"The Dask worker {worker} has other images ({_images(theirs)}) than this "
                    f"machine ({_images(data)}): import or fetch the same there."
                )

    def size(self) -> int:
        """Return how many jobs are trained at the same time; StudyError when that is over."""
        try:
            if self._client.status == "running":
                return len(self._client.scheduler_info(n_workers=-1)["workers"])
        except (OSError, RuntimeError, KeyError):  # gone, closed, or on its way to either
            pass
        raise StudyError(
            f"The Dask scheduler at {self._address} is gone: what is done is kept. Start it, "
            "and the same command goes on from there."
        )

    def submit(self, job: Job) -> Future[dict[str, Any]]:
        return self._pool.submit(_train, self._trainer.train, job, self._topic)

    def epochs(self) -> Iterator[tuple[str, int, dict[str, float]]]:
        """Yield key, last epoch and its logs of each job that has told of one."""
        for key, (epoch, logs) in list(self._last.items()):
            yield key, epoch, logs

    def __enter__(self) -> DaskCrew:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close(timeout=2)
        self._restore_log()

    def _hear(self, event: tuple[Any, Any]) -> None:
        key, epoch, logs = event[1]
        self._last[key] = epoch, logs

    def _restore_log(self) -> None:
        for logger, level in zip(_LOGGERS, self._levels, strict=True):
            logger.setLevel(level)


def _probe(describe: Callable[[Budget], DataInfo], budget: Budget) -> tuple[str, DataInfo]:
    return __version__, describe(budget)


def _train(train: Callable[[Job, Tell], dict[str, Any]], job: Job, topic: str) -> dict[str, Any]:
    from distributed import get_worker

    worker = get_worker()

    def tell(epoch: int, logs: dict[str, float]) -> None:
        worker.log_event(topic, (job.key, epoch, logs))

    # Seeds belong to the process: two jobs in one would not repeat.
    with _one_job:
        threads = worker.state.nthreads
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
        return do(train, replace(job, threads=threads), tell)


def _images(data: DataInfo) -> str:
    return f"{data.n_train:,} for training of {data.name}, {data.source}"
