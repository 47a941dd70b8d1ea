"""What this process may use of the machine: cores, memory, threads; and what it has used.

In a container the host's numbers are not one's own: the quota and the limit of the control group
(cgroup, Linux; both versions) count as well. The standard library only, so that the doctor can ask
before anything is installed.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

THREAD_VARIABLES = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)
_UNLIMITED = 2**60  # bytes; control groups write "no limit" as a number near 2**63


def cores(root: Path = Path("/")) -> int:
    """Return how many cores this process may use, at least 1.

    Affinity and the control group's quota count; a quota of 1.5 cores is 2. `root` is the file
    system that is asked for the quota.

    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        there = len(os.sched_getaffinity(0))
    else:
        there = os.cpu_count() or 1
    quotas = [math.ceil(quota) for quota in _quotas(root)]
    return max(1, min([there, *quotas]))


def threads_each(processes: int) -> dict[str, str]:
    """Return the environment variables that share the cores among so many processes.

    >>> set(threads_each(10**6).values())
    {'1'}
    """
    return dict.fromkeys(THREAD_VARIABLES, str(max(1, cores() // processes)))


def total_memory(root: Path = Path("/")) -> float | None:
    """Return the bytes of memory this process may use, or None where the system does not say.

    It is the machine's main memory, or the control group's limit where that is smaller.
    """
    known = [size for size in (_main_memory(), *_memory_limits(root)) if size]
    return float(min(known)) if known else None


def peak_mb() -> float:
    """Return the largest memory this process ever held, in MB (10**6 bytes).

    >>> peak_mb() > 5
    True
    """
    status = Path("/proc/self/status")
    if status.exists():  # Linux; getrusage would include what the parent held before the start
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _main_memory() -> int | None:
    if hasattr(os, "sysconf"):
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (OSError, ValueError):
            return None
    import ctypes

    kilobytes = ctypes.c_ulonglong()
    known = ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes))
    return kilobytes.value * 1024 if known else None


def _quotas(root: Path) -> list[float]:
    """Return the cores allowed by each control group on the way to this process's own."""
    found = []
    for group in _groups(root, ""):
        quota, _, period = _read(group / "cpu.max").partition(" ")
        found.append(_ratio(quota, period))
    for group in _groups(root, "cpu"):
        found.append(_ratio(_read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")))
    return [ratio for ratio in found if ratio]


def _memory_limits(root: Path) -> list[int]:
    files = [group / "memory.max" for group in _groups(root, "")]
    files += [group / "memory.limit_in_bytes" for group in _groups(root, "memory")]
    limits = [_read(file) for file in files]
    return [int(limit) for limit in limits if limit.isdecimal() and int(limit) < _UNLIMITED]


def _groups(root: Path, controller: str) -> list[Path]:
    """Return the folders of this process's group and of those above it; "" is version 2."""
    mount = root / "sys/fs/cgroup" / controller
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            own = mount / path.lstrip("/")
            return [own, *(above for above in own.parents if above.is_relative_to(mount))]
    return [mount]


def _ratio(quota: str, period: str) -> float | None:
    """Return quota over period; None for "max", -1 and for what is no number."""
    try:
        ratio = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return ratio if ratio > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
