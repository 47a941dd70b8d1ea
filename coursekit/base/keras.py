"""TensorFlow and Keras, imported without a word on stderr.

TensorFlow writes start-up notes with C++ before any log level is obeyed; in a notebook they
would land in red below the first cell. Modules of the package import both from here.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Hold back what native code writes to stderr; pass it on if the block raises."""
    sys.stderr.flush()
    keep = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(keep, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(keep, 2)
            os.close(keep)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
if "tensorflow" in sys.modules:
    import keras
    import tensorflow as tf
else:
    with _stderr_held_back():
        import keras
        import tensorflow as tf

__all__ = ["keras", "tf"]
