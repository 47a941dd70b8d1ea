"""Jobs on a Dask cluster: the same results as local workers, on other machines.

The workers need coursekit and the same images (each loads its own with `ck.load`, and what they
have is compared before any training); they need no shared disk, since results come back over the
network and are written here. Give each worker one run's worth of cores (`dask worker ADDRESS
--nthreads 1`): a worker process trains one job at a time, with as many threads as Dask gave it.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from coursekit import __version__
from coursekit.errors import ArgumentError
from coursekit.experiments.study.events import Done, EpochEnded, Event, Failed, Note, reason_of
from coursekit.experiments.study.jobs import DataInfo, Job, Trainer
from coursekit.experiments.study.records import StudyError
from coursekit.experiments.study.variants import Budget

_one_job = threading.Lock()


class DaskWorkers:
    """The workers of the Dask scheduler at `address`.

    A job whose worker dies is run again elsewhere by the scheduler.

    Raises ArgumentError when Dask is not installed, when no scheduler answers within `timeout`
    seconds, or when it has no workers; StudyError when a worker has no coursekit, another version
    of it, or other images than `data`.
    """

    def __init__(self, address: str, trainer: Trainer, *, timeout: float = 10.0):
        try:
            from distributed import Client
        except ImportError:
            raise ArgumentError(
                "scheduler: expected Dask to be installed, but it is not; "
                'install it with: pip install "dask[distributed]".'
            ) from None
        self._levels = _silence()
        try:
            self._client = Client(address, timeout=timeout, set_as_default=False)
        except (OSError, ValueError, RuntimeError):
            _restore(self._levels)
            raise ArgumentError(
                f"scheduler: expected the address of a running Dask scheduler, got {address!r}, "
                f"where none answers within {timeout:g} seconds."
            ) from None
        self._address, self._trainer = address, trainer
        self._topic = f"coursekit-{uuid.uuid4().hex}"
        self._happened: queue.Queue[Any] = queue.Queue()
        self._in_flight: dict[str, tuple[Job, Any]] = {}
        self._places: dict[str, str] = {}
        self._gone = False
        if not self._workers():
            try:
                self._client.wait_for_workers(1, timeout=timeout)
            except TimeoutError:
                self.close()
                raise ArgumentError(
                    f"scheduler: expected a scheduler with workers, got {address!r}, which has "
                    f'none; start one with: dask worker "{address}" --nthreads 1.'
                ) from None
        self._client.subscribe_topic(self._topic, self._happened.put)

    def check(self, budget: Budget, data: DataInfo) -> int:
        """Return the number of workers, after making sure that each would train the same thing.

        Raises StudyError for a worker that would not.
        """
        found = self._client.run(_probe, self._trainer.describe, budget, on_error="return")
        for worker, answer in found.items():
            if isinstance(answer, BaseException):
                raise StudyError(f"The Dask worker {worker} cannot do the study: {_why(answer)}.")
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
        return len(found)

    def free(self) -> int:
        """Return how many more jobs can be submitted now."""
        return 0 if self._gone else len(self._workers()) - len(self._in_flight)

    def submit(self, job: Job) -> None:
        """Start a job on a worker that has none, if possible."""
        idle = [worker for worker in self._workers() if worker not in self._places.values()]
        try:
            future = self._client.submit(
                _train_on_worker,
                self._trainer.train,
                job,
                self._topic,
                key=f"{self._topic}-{job.key}-{uuid.uuid4().hex[:6]}",
                pure=False,
                workers=idle[:1] or None,
                allow_other_workers=bool(idle),
            )
        except (OSError, RuntimeError):
            self._gone = True
            return
        self._in_flight[job.key] = (job, future)
        self._places[job.key] = idle[0] if idle else ""
        future.add_done_callback(lambda done, key=job.key: self._happened.put((key, done)))

    def wait(self, timeout: float) -> list[Event]:
        """Return what has happened since the last call; wait up to `timeout` seconds for it.

        Raises StudyError when the scheduler is gone.
        """
        events: list[Event] = []
        try:
            while True:
                said, content = self._happened.get(timeout=0 if events else timeout)
                event = self._event(said, content)
                if event is not None:
                    events.append(event)
        except queue.Empty:
            pass
        if not events and (self._gone or self._client.status != "running"):
            raise StudyError(
                f"The Dask scheduler at {self._address} is gone: what is done is kept. Start it, "
                "and the same command goes on from there."
            )
        return events

    def close(self) -> None:
        """Cancel what is in flight and leave the cluster."""
        for _, future in self._in_flight.values():
            future.release()
        self._in_flight = {}
        self._client.close(timeout=2)
        _restore(self._levels)

    def _workers(self) -> list[str]:
        try:
            return list(self._client.scheduler_info(n_workers=-1)["workers"])
        except (OSError, RuntimeError, KeyError):  # gone, closed, or on its way to either
            self._gone = True
            return []

    def _event(self, said: Any, content: Any) -> Event | None:
        if isinstance(content, dict):
            key = content["key"]
            if key not in self._in_flight:
                return None
            if content["epoch"] == 0:
                return self._started(key, content["worker"])
            return EpochEnded(self._in_flight[key][0], content["epoch"], content["logs"])
        if said not in self._in_flight:
            return None
        job, future = self._in_flight.pop(said)
        del self._places[said]
        if future.status == "error":
            return Failed(job, _why(future.exception()))
        try:
            if future.status == "finished":
                return Done(job, future.result())
        except OSError:
            pass
        self._gone = True  # cancelled, or finished with nobody left to hand the result over
        return None

    def _started(self, key: str, worker: str) -> Event | None:
        job = self._in_flight[key][0]
        before, self._places[key] = self._places[key], worker
        if before in ("", worker) or before in self._workers():
            return None
        return Note(f"{job.title}: its worker {before} is gone; it runs again on {worker}.")


def _silence() -> dict[str, int]:
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = {logger.name: logger.level for logger in loggers}
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    return levels


def _restore(levels: dict[str, int]) -> None:
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def _probe(describe: Callable[[Budget], DataInfo], budget: Budget) -> tuple[str, DataInfo]:
    return __version__, describe(budget)


def _train_on_worker(train: Callable[..., dict[str, Any]], job: Job, topic: str) -> dict[str, Any]:
    from distributed import get_worker

    worker = get_worker()

    def tell(epoch: int, logs: dict[str, float]) -> None:
        content = {"key": job.key, "epoch": epoch, "logs": logs, "worker": worker.address}
        worker.log_event(topic, content)

    # Seeds belong to the process: two jobs in one would not repeat.
    with _one_job:
        tell(0, {})
        threads = worker.state.nthreads
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            os.environ[name] = str(threads)
        return train(replace(job, threads=threads), tell)


def _images(data: DataInfo) -> str:
    return f"{data.n_train:,} for training of {data.name}, {data.source}"


def _why(error: BaseException | None) -> str:
    if type(error).__name__ == "KilledWorker":
        return "the workers that trained it died, again and again; is there enough memory?"
    return reason_of(error) if error is not None else "unknown"
