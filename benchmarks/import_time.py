"""How much `import coursekit` adds to the start of Python: `python benchmarks/import_time.py`.

Prints the median over pairs of fresh processes, beside the start of Python and `import numpy`.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

PAIRS = 15
STATEMENTS = ("pass", "import coursekit", "import numpy")


def seconds(statement: str) -> float:
    """Return the seconds that a fresh interpreter takes for one statement."""
    root = str(Path(__file__).resolve().parents[1])
    started = time.perf_counter()
    variables = {**os.environ, "PYTHONPATH": root}
    subprocess.run([sys.executable, "-c", statement], check=True, env=variables)
    return time.perf_counter() - started


def main() -> None:
    """Measure in turns, so that a busy moment hits every statement alike."""
    rounds = [{statement: seconds(statement) for statement in STATEMENTS} for _ in range(PAIRS + 1)]
    median = {name: statistics.median(one[name] for one in rounds[1:]) for name in STATEMENTS}
    start = median.pop("pass")
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    print(f"python starts in {1000 * start:.0f} ms")
    for statement, whole in median.items():
        added = whole - start
        print(f"{statement} adds {1000 * added:.0f} ms ({added / start:.2f} starts of Python)")


if __name__ == "__main__":
    main()
