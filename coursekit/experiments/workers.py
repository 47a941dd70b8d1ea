"""Local worker processes: fresh interpreters that share the cores, one task at a time each.

The search of `ck.tuning` and the study both work with them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from multiprocessing.connection import Connection
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import BrokenProcessPool
from tqdm import tqdm

from coursekit.base import machine
from coursekit.errors import CourseError


class WorkerDiedError(CourseError, RuntimeError):
    """A worker process ended in the midst of its task."""


class Workers:
    """Up to `count` processes, each with its share of the threads; a context manager.

    A process starts when it is first needed and does tasks of one `kind` only, since what it keeps
    for the next one (data, compiled nets) would fill its memory. A process that dies takes no other
    task with it. All end with the block, at once, and with this process, however it ends; of an
    interrupt from the keyboard only this process hears.
    """

    def __init__(self, count: int):
        self.count = count
        self._threads = machine.threads_each(count)
        self._theirs, self._alive = multiprocessing.Pipe(duplex=False)
        self._idle: list[tuple[str, ProcessPoolExecutor]] = []
        self._busy: dict[Future[Any], tuple[str, ProcessPoolExecutor]] = {}

    def submit(self, kind: str, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Start a task, of which there are fewer than `count`; `result_of` gives its result."""
        self._gather()
        process = next((process for of, process in self._idle if of == kind), None)
        if process is not None:
            self._idle.remove((kind, process))
        else:
            if len(self._idle) + len(self._busy) >= self.count:
                self._idle.pop(0)[1].shutdown(kill_workers=True)
            process = ProcessPoolExecutor(
                1, env=self._threads, initializer=_live_with, initargs=[self._theirs]
            )
        try:
            with _interrupts_held_back():
                future = process.submit(function, *args)
        except BrokenProcessPool:  # it died while it had nothing to do
            return self.submit(kind, function, *args)
        self._busy[future] = (kind, process)
        return future

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for _, process in [*self._idle, *self._busy.values()]:
            process.shutdown(kill_workers=True)
        self._idle, self._busy = [], {}
        self._theirs.close()
        self._alive.close()

    def _gather(self) -> None:
        """Take back the processes whose task is over; one that died is not used again."""
        for future in [future for future in self._busy if future.done()]:
            kind, process = self._busy.pop(future)
            if isinstance(future.exception(), BrokenProcessPool):
                process.shutdown(kill_workers=True)
            else:
                self._idle.append((kind, process))


def result_of(future: Future[Any]) -> Any:
    """Return a task's result, once it is there, or raise what the task raised.

    Raises WorkerDiedError when its process died.
    """
    try:
        return future.result()
    except BrokenProcessPool:
        raise WorkerDiedError(
            "Its worker process died in the midst of it, for want of memory perhaps."
        ) from None


def _live_with(parent: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Its default one is a semaphore of the system, which a killed process would leave behind.
    tqdm.set_lock(threading.RLock())
    threading.Thread(target=_end_with, args=[parent], daemon=True).start()


def _end_with(parent: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        parent.recv()  # nothing is ever sent: this waits for the end of the pipe
    os._exit(1)


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Hold Ctrl-C back for the block; what came meanwhile comes at its end.

    The terminal sends it to all processes. A process started in the block inherits that it is held
    back, for good. (Ignoring it here would lose an interrupt that comes during the start.) The mask
    is this thread's alone: where another thread, such as TensorFlow's, takes the signal, Python's
    handler would run here all the same, so it only takes a note.
    """
    main = threading.current_thread() is threading.main_thread()
    if not (main and hasattr(signal, "pthread_sigmask")):
        yield
        return
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)  # one that is waiting is noted now
        signal.signal(signal.SIGINT, handler)
        if came and callable(handler):
            handler(signal.SIGINT, None)
