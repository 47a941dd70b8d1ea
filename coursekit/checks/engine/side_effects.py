"""While a check runs: the learner's output is held back, seeds are kept, time is limited."""

from __future__ import annotations

import ctypes
import io
import logging
import random
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout

import numpy as np

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
def seeds_kept() -> Iterator[None]:
    """Put every global random generator back: Python, NumPy, Keras and TensorFlow."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    with ExitStack() as stack:
        if "keras" in sys.modules and "tensorflow" in sys.modules:
            stack.enter_context(_keras_seeds_kept())
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


@contextmanager
def _keras_seeds_kept() -> Iterator[None]:
    # Keras and TensorFlow can set a seed but cannot tell how far a generator has come: private
    # names are the only way. A test fails if they move.
    import tensorflow as tf
    from keras.src.backend.common import global_state
    from tensorflow.python.eager import context

    names = ("global_seed_generator", "global_random_seed")
    found = {name: global_state.get_global_attribute(name) for name in names}
    generator = found["global_seed_generator"]
    generator_state = None if generator is None else np.array(generator.state)
    eager = context.context()
    seed = eager._seed
    operations = eager._rng.getstate() if seed is not None else None
    try:
        yield
    finally:
        for name, value in found.items():
            global_state.set_global_attribute(name, value)
        if generator is not None:
            generator.state.assign(generator_state)
        if operations is not None and (eager._seed != seed or eager._rng.getstate() != operations):
            tf.random.set_seed(seed)
            eager._rng.setstate(operations)


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
