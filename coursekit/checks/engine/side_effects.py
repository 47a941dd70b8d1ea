"""While a check runs: the learner's output is held back and time is limited."""

from __future__ import annotations

import ctypes
import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout

_KEPT_CHARACTERS = 20_000


class TimeUp(BaseException):
    """Raised inside an answer that takes too long."""


class _Output(io.StringIO):
    """Keeps what is written up to a limit, so that an endless loop of prints fills no memory."""

    def write(self, text: str) -> int:
        if self.tell() < _KEPT_CHARACTERS:
            super().write(text[:_KEPT_CHARACTERS])
        return len(text)


@contextmanager
def held_back() -> Iterator[io.StringIO]:
    """Hold back prints, warnings and log messages; yield the buffer with what was printed."""
    output = _Output()
    disabled = logging.root.manager.disable
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(output))
        stack.enter_context(redirect_stderr(output))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield output
        finally:
            logging.disable(disabled)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeUp in this thread if the block takes longer; compiled code ends first.

    Works in any thread and on every platform, unlike an alarm signal. It is raised once: code that
    catches it goes on, until the learner interrupts the kernel.
    """
    thread = ctypes.c_ulong(threading.get_ident())
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    over = threading.Event()
    turn = threading.Lock()

    def watch() -> None:
        over.wait(seconds)
        with turn:
            if not over.is_set():
                raise_in(thread, ctypes.py_object(TimeUp))

    threading.Thread(target=watch, name="coursekit-time-limit", daemon=True).start()
    try:
        yield
    finally:
        with turn:
            over.set()
        raise_in(thread, None)  # not yet delivered: too late now
