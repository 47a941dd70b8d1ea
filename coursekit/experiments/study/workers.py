"""Local worker processes: each trains one job after the other, and a dead one is replaced."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from tqdm import tqdm

from coursekit.experiments.study.events import Done, EpochEnded, Event, Failed, Note, reason_of
from coursekit.experiments.study.jobs import Job

# Read by TensorFlow, XLA and the BLAS libraries when they are loaded.
_THREAD_VARIABLES = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)
_BROKEN_PIPE = (EOFError, OSError, pickle.UnpicklingError)


def count_cores() -> int:
    """Return how many cores this process may use.

    >>> count_cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LocalWorkers:
    """Up to `workers` processes that train jobs with `train`, each with its job's threads.

    A process starts when it is first needed, in a fresh interpreter, and trains jobs of one
    variant: what another one compiled would fill its memory. When a process dies, its job is tried
    once more in a new one; when that dies too, the job has failed and the others go on. Workers
    end when this process ends, even if it is killed.
    """

    def __init__(self, train: Callable[..., dict[str, Any]], workers: int):
        self._train, self._size = train, workers
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[_Worker, Job]] = {}
        self._deaths: dict[str, int] = {}

    def free(self) -> int:
        """Return how many more jobs can be submitted now."""
        return self._size - len(self._busy)

    def submit(self, job: Job) -> None:
        """Start a job."""
        worker = self._worker_for(job)
        # A worker that has just died is noticed by `wait`, at the end of its pipe.
        with contextlib.suppress(OSError):
            worker.pipe.send(job)
        self._busy[worker.pipe] = (worker, job)

    def wait(self, timeout: float) -> list[Event]:
        """Return what has happened since the last call; wait up to `timeout` seconds for it."""
        if not self._busy:
            time.sleep(timeout)
        events: list[Event] = []
        for pipe in wait(list(self._busy), timeout):
            worker, job = self._busy[pipe]
            try:
                kind, *content = pipe.recv()
            except _BROKEN_PIPE:
                del self._busy[pipe]
                events.append(self._mourn(worker, job))
                continue
            if kind == "epoch":
                events.append(EpochEnded(job, *content))
                continue
            del self._busy[pipe]
            self._idle.append(worker)
            events.append(Done(job, *content) if kind == "done" else Failed(job, *content))
        return events

    def close(self) -> None:
        """End all processes at once."""
        idle, busy = self._idle, [worker for worker, _ in self._busy.values()]
        self._idle, self._busy = [], {}
        for worker in idle:
            worker.pipe.close()
        for worker in busy:
            worker.process.kill()
        for worker in [*idle, *busy]:
            worker.end()

    def _worker_for(self, job: Job) -> _Worker:
        for worker in self._idle:
            if worker.variant == job.variant:
                self._idle.remove(worker)
                return worker
        if len(self._idle) + len(self._busy) >= self._size:
            self._idle.pop(0).end()
        return _Worker(self._train, job)

    def _mourn(self, worker: _Worker, job: Job) -> Event:
        code = worker.end()
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        self._deaths[job.key] = self._deaths.get(job.key, 0) + 1
        if self._deaths[job.key] > 1:
            return Failed(job, f"its worker process died twice ({how}); is there enough memory?")
        self.submit(job)
        return Note(f"{job.title}: the worker process died ({how}); it is tried once more.")


class _Worker:
    def __init__(self, train: Callable[..., dict[str, Any]], job: Job):
        self.variant = job.variant
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, train), daemon=True)
        with _environment(job.threads), _interrupts_held_back():
            self.process.start()
        theirs.close()

    def end(self) -> int | None:
        self.pipe.close()
        self.process.join(2)
        self.process.kill()
        self.process.join()
        code = self.process.exitcode
        self.process.close()
        return code


def _serve(pipe: Connection, train: Callable[..., dict[str, Any]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The default one is a semaphore of the system, which a killed worker would leave behind.
    tqdm.set_lock(threading.RLock())
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            result = train(job, lambda epoch, logs: pipe.send(("epoch", epoch, logs)))
        except Exception as error:
            pipe.send(("failed", reason_of(error)))
        else:
            pipe.send(("done", result))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _environment(threads: int) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Hold Ctrl-C back for the block; what came meanwhile comes at its end.

    The terminal sends it to all processes. A process started in the block inherits that it is held
    back, for good: only the study is interrupted, and it then ends its workers. (Ignoring it here
    would do the same for the workers, but lose an interrupt that comes during their start.)
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
