"""What holds a learner's process back: limits, namespaces and rights, as far as a system has them.

Linux only, apart from the limits: own namespaces for the network, processes and mounts. There the
file system can only be read, apart from one scratch folder in memory, and what is hidden is empty.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

GUARDS = {
    "network": "the learner's code reaches no network",
    "files": "the learner's code can write its scratch folder only, and cannot read solutions",
    "processes": "the learner's code sees no other process, and none of its own outlives it",
    "user": "the learner's code runs without the rights of whoever grades",
    "limits": "time, memory and file size are limited",
    "number": "the learner's code can start a limited number of processes only",
}
_USERS = 1_000_000_000, 2_000_000_000  # users that no system has given out
_NOBODY = 65534
_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_RDONLY, _NOSUID, _NODEV, _BIND, _REC, _PRIVATE = 1, 2, 4, 4096, 16384, 1 << 18
_MOUNT_SETATTR, _CAPSET_VERSION = 442, 0x20080522
_PDEATHSIG, _NO_NEW_PRIVS, _DROP_FROM_BOUNDS, _SIGKILL = 1, 38, 24, 9


@dataclass(frozen=True)
class Limits:
    """What a learner's process may use: CPU seconds, MB of memory, MB of a file, processes."""

    seconds: int = 900
    memory: int = 6000
    file: int = 100
    processes: int = 512


def confine(scratch: Path, hidden: Iterable[Path], limits: Limits) -> list[str]:
    """Confine this process, which must have one thread only; return which guards hold.

    The process may return in another one, with its own process numbers; the first then waits for
    it and ends with it. The working folder is `scratch` afterwards.
    """
    holds = []
    root = os.geteuid() == 0
    with contextlib.suppress(PermissionError):  # it leads a group of its own already
        os.setsid()
    if sys.platform == "linux":
        holds += _namespaces(scratch, list(hidden), limits, root)
    os.chdir(scratch)
    if _limited(limits):
        holds.append("limits")
    if _without_rights(scratch, root, "files" in holds):
        holds.append("user")
    if "limits" in holds and os.geteuid() != 0:  # the kernel counts no processes of root
        holds.append("number")
    return holds


def _namespaces(scratch: Path, hidden: list[Path], limits: Limits, root: bool) -> list[str]:
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    flags = _NEWNS | _NEWIPC | _NEWPID | _NEWNET | (0 if root else _NEWUSER)
    if libc.unshare(flags) != 0:
        return []
    holds = ["network"]
    if not root:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    first = os.fork()
    if first:
        _, status = os.waitpid(first, 0)
        os._exit(0 if status == 0 else 1)
    holds.append("processes")
    libc.prctl(_PDEATHSIG, _SIGKILL)
    if _mounts(libc, scratch, hidden, limits):
        holds.append("files")
    return holds


def _mounts(libc: ctypes.CDLL, scratch: Path, hidden: list[Path], limits: Limits) -> bool:
    def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> bool:
        texts = [None if t is None else t.encode() for t in (source, target, kind)]
        return libc.mount(*texts, ctypes.c_ulong(flags), data.encode() or None) == 0

    if not mount("none", "/", None, _REC | _PRIVATE):
        return False
    mount("proc", "/proc", "proc", _NOSUID | _NODEV)
    attributes = struct.pack("QQQQ", _RDONLY | _NOSUID, 0, 0, 0)
    recursive = 0x8000
    done = libc.syscall(_MOUNT_SETATTR, -100, b"/", recursive, attributes, len(attributes)) == 0
    size = f"size={4 * limits.file}m,mode=1777"
    done &= mount("tmpfs", str(scratch), "tmpfs", _NOSUID | _NODEV, size)
    if Path("/dev/shm").is_dir():
        done &= mount("tmpfs", "/dev/shm", "tmpfs", _NOSUID | _NODEV, size)
    for path in hidden:
        if path.is_dir():
            done &= mount("tmpfs", str(path), "tmpfs", _RDONLY | _NOSUID, "size=4k")
        elif path.exists():
            done &= mount("/dev/null", str(path), None, _BIND)
    return bool(done)


def _limited(limits: Limits) -> bool:
    import resource  # Windows has none

    mb = 1024**2
    wanted = {
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": limits.seconds,
        "RLIMIT_FSIZE": limits.file * mb,
        "RLIMIT_NOFILE": 512,
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_AS": _address_space() + limits.memory * mb,
    }
    done = True
    for name, most in wanted.items():
        try:
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (most, most))
        except (AttributeError, OSError, ValueError):  # macOS knows no limit of the address space
            done = False
    return done


def _address_space() -> int:
    """Return the bytes of address space in use already: what was imported counts for nobody."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _without_rights(scratch: Path, root: bool, sealed: bool) -> bool:
    """Give up every right; as root, become another user where one can read the course.

    Where none can, root without its capabilities in a sealed file system does as little harm, but
    for the number of its processes.
    """
    nobody = root and _readable_by_nobody()
    if nobody:
        _become_nobody(scratch)
    if sys.platform != "linux":
        return nobody
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PDEATHSIG, _SIGKILL)  # changing the user took it back
    for capability in range(64):
        libc.prctl(_DROP_FROM_BOUNDS, capability, 0, 0, 0)
    head = struct.pack("Ii", _CAPSET_VERSION, 0)
    return libc.capset(head, bytes(24)) == 0 and (nobody or sealed)


def _become_nobody(scratch: Path) -> None:
    """Become a user of its own: the processes of one learner are counted apart from another's."""
    os.setgroups([])
    for user in (secrets.choice(range(*_USERS)), _NOBODY):  # a container may know the second only
        with contextlib.suppress(OSError):
            os.chown(scratch, user, user)
            os.setgid(user)
            os.setuid(user)
            return
    raise PermissionError("no user without rights to become")


def _readable_by_nobody() -> bool:
    """Return whether a user without rights can enter the folders that Python imports from."""
    for folder in filter(None, [*sys.path, sys.prefix]):
        for part in (Path(folder), *Path(folder).parents):
            if part.exists() and part.stat().st_mode & 0o005 != 0o005 and not part.is_file():
                return False
    return True
