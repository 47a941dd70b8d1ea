"""`python -m coursekit test`: the package by pytest, then the notebooks by nbval."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coursekit.base.environment import ROOT

_TALLY = "COURSEKIT_TALLY"
_OUTCOMES = ("failed", "passed", "skipped", "xfailed", "xpassed", "error")
_AT_ONCE = 2  # processes: each one with TensorFlow takes more than a gigabyte


def prove(arguments: Sequence[str] = ()) -> int:
    """Run every test of the course; return 0 only if all of them pass.

    With arguments, pytest alone runs, with these: files, `-k`, `-x`, whatever it takes. Without,
    the package's tests are followed by nbval over the notebooks, and a line of pytest's kind closes
    the whole: how many passed, failed and were skipped, in how many seconds.
    """
    if arguments:
        return _pytest(arguments)
    from coursekit.course.testing.notebooks import run_all

    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="coursekit-") as folder:
        tally = Path(folder) / "tally.jsonl"
        os.environ[_TALLY] = str(tally)
        os.environ["PYTEST_ADDOPTS"] = f"-p {__name__} {os.environ.get('PYTEST_ADDOPTS', '')}"
        codes = [_pytest(["-n", str(_AT_ONCE)]), run_all([])]
        counts = _counts(tally)
    if any(codes) and not counts["failed"]:
        counts["error"] = counts["error"] or 1  # a run that broke off before its own summary
    print(f"\n{closing_line(counts, time.monotonic() - started)}", flush=True)
    return 1 if any(codes) else 0


def closing_line(counts: Counter[str], seconds: float) -> str:
    """Return the last line of the whole, as pytest writes it.

    >>> closing_line(Counter(passed=410, skipped=3, failed=0), 312.4)
    '===== 410 passed, 3 skipped in 312.40s ====='
    """
    parts = [f"{counts[outcome]} {outcome}" for outcome in _OUTCOMES if counts[outcome]]
    return f"===== {', '.join(parts) or 'no tests ran'} in {seconds:.2f}s ====="


def pytest_configure(config: Any) -> None:
    """Take the tally's address out of the environment: a pytest that a test starts must not count.

    This function and the next one are pytest's hooks; `prove` loads the module as a plugin.
    """
    os.environ.pop("PYTEST_ADDOPTS", None)
    config.coursekit_tally = os.environ.pop(_TALLY, None)


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    """Append the counts of one pytest run to the tally."""
    stats = {outcome: len(terminalreporter.stats.get(outcome, ())) for outcome in _OUTCOMES}
    with Path(config.coursekit_tally).open("a", encoding="utf-8") as file:
        file.write(json.dumps(stats) + "\n")


def _counts(tally: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    if tally.exists():
        for line in tally.read_text(encoding="utf-8").splitlines():
            counts.update(json.loads(line))
    return counts


def _pytest(arguments: Sequence[str]) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode
