"""Who works on what: a lock per job, so that two studies on one folder share the work.

The operating system holds the locks and drops them when their process ends, however it ends: a
killed study leaves no stale lock behind. The empty lock files stay, which is harmless.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from coursekit.experiments.study.records import StudyError

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Claims:
    """The jobs this process has claimed in one folder.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> mine, other = Claims(folder), Claims(folder)
    >>> mine.take("run-selu-0"), other.take("run-selu-0")
    (True, False)
    >>> mine.release("run-selu-0"); other.take("run-selu-0")
    True
    >>> other.close()
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._held: dict[str, int] = {}

    def take(self, key: str) -> bool:
        """Claim a job; False when someone has it already.

        Raises StudyError where the file system knows no locks.
        """
        descriptor = os.open(self.folder / f"{key}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor)
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            return False
        except OSError as error:
            os.close(descriptor)
            raise StudyError(
                f"out: {self.folder} is on a file system without locks ({error.strerror}); "
                "choose a folder on a local disk."
            ) from None
        self._held[key] = descriptor
        return True

    def release(self, key: str) -> None:
        """Give a claim back."""
        os.close(self._held.pop(key))

    def close(self) -> None:
        """Give all claims back."""
        for key in list(self._held):
            with contextlib.suppress(OSError):
                self.release(key)
