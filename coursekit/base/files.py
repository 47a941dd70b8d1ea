"""Files that are there whole or as they were before, and locks between processes."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE = 0.1  # seconds between two attempts where the system cannot wait for a lock by itself

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_whole(path: Path, content: bytes | str) -> None:
    r"""Write a file so that it is there whole, or as it was before, whatever interrupts.

    Text is written as UTF-8 with "\n" at the ends of lines. The folder is made if need be. Raises
    OSError, as for a full disk; nothing half written stays behind.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(_mode_for(path))
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def _mode_for(path: Path) -> int:
    """Return the permissions of the file to be replaced, or those a new file would get."""
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


@contextmanager
def locked(
    path: Path, *, wait: bool = True, waiting: Callable[[], None] | None = None
) -> Iterator[int]:
    """Hold the lock of a file, made if need be, and yield its open descriptor.

    The operating system drops the lock when the last process that has the descriptor ends, however
    it ends: no stale lock stays behind, and a child that inherits the descriptor keeps it held. The
    file itself stays, which is harmless.

    Args:
        path: the lock file; its folder must exist.
        wait: wait for whoever holds it; otherwise raise BlockingIOError at once.
        waiting: called once, before the wait, where there is one.

    Raises:
        BlockingIOError: another holds the lock, and `wait` is False.
        OSError: the file cannot be opened, or its file system knows no locks.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while not _taken(handle):
            if not wait:
                raise BlockingIOError(f"{path} is locked by another process")
            if waiting is not None:
                waiting()
                waiting = None
            time.sleep(_PAUSE)
        yield handle
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        _try_lock(handle)
    except (BlockingIOError, PermissionError):
        return False
    return True
