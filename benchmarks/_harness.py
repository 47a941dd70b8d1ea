"""What the benchmarks share: a header that names machine and versions, and paired timings."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("coursekit", "tensorflow", "keras", "numpy")


def header(title: str, *, packages: tuple[str, ...] = PACKAGES) -> str:
    """Return the title and a line with processor, cores, Python and package versions."""
    told = ", ".join(f"{name} {_version(name)}" for name in packages)
    return (
        f"{title}\n{_processor()}, {os.cpu_count()} cores · {platform.system()} · "
        f"Python {platform.python_version()} · {told}"
    )


def paired_times(
    candidates: dict[str, Callable[[], object]], *, rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Time every candidate once a round, one right after the other; return seconds by name.

    A load that comes and goes hits neighbours alike, so compare them round by round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(warm_up + rounds):
        for name, run in candidates.items():
            began = time.perf_counter()
            run()
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def ratio(slow: list[float], fast: list[float]) -> tuple[float, float, float]:
    """Return the median, lower and upper quartile of the round-by-round ratios slow / fast.

    >>> ratio([2.0, 4.0, 9.0], [1.0, 2.0, 3.0])
    (2.0, 2.0, 2.5)
    """
    ratios = [a / b for a, b in zip(slow, fast, strict=True)]
    if len(ratios) < 2:
        return ratios[0], ratios[0], ratios[0]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return middle, min(low, middle), max(high, middle)


def ratio_line(name: str, slow: list[float], fast: list[float]) -> str:
    """Return one line: what is compared, the median ratio, and its quartiles."""
    middle, low, high = ratio(slow, fast)
    return f"  {name}: {middle:.2f} (quartiles {low:.2f} to {high:.2f}, {len(slow)} rounds)"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        import coursekit

        return coursekit.__version__ if name == "coursekit" else "not installed"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
