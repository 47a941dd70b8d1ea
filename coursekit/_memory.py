"""How much memory this process has held at most."""

from __future__ import annotations

import sys
from pathlib import Path


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
