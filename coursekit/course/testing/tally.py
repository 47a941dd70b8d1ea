"""A pytest plugin: what one run of pytest found and what took long, added to a file.

`python -m coursekit test` runs pytest more than once, and closes with one line for all of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OUTCOMES = ("failed", "passed", "skipped", "xfailed", "xpassed", "error")
_SHOWN = 10


@dataclass
class Tally:
    """How many tests ended how, and the seconds of each: its setup, itself and its teardown."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)

    def closing_line(self, seconds: float) -> str:
        """Return the last line of the whole, as pytest writes it.

        >>> Tally(Counter(passed=410, skipped=3, failed=0)).closing_line(312.4)
        '===== 410 passed, 3 skipped in 312.40s ====='
        """
        parts = [f"{self.counts[each]} {each}" for each in OUTCOMES if self.counts[each]]
        return f"===== {', '.join(parts) or 'no tests ran'} in {seconds:.2f}s ====="

    def slowest(self) -> list[str]:
        """Return the lines about what took longest; a notebook counts as one.

        >>> Tally(seconds=Counter({"test_a.py::test_b": 12.25, "09.ipynb": 55})).slowest()
        ['The slowest:', '   55.0 s  09.ipynb', '   12.2 s  test_a.py::test_b']
        """
        lines = [f"{took:7.1f} s  {name}" for name, took in self.seconds.most_common(_SHOWN)]
        return ["The slowest:", *lines] if lines else []


def read(file: Path) -> Tally:
    """Return what all runs added to a tally; an empty one where none came to its end."""
    tally = Tally()
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            run = json.loads(line)
            tally.counts.update(run["counts"])
            tally.seconds.update(run["seconds"])
    return tally


def pytest_addoption(parser: Any) -> None:
    """Know the option that names the file. This and the next are pytest's hooks."""
    parser.addoption("--tally", metavar="FILE", help="add what was found to this file")


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    """Add one run's counts and seconds to the tally; pytest-xdist's workers leave it alone."""
    if hasattr(config, "workerinput"):
        return
    stats = terminalreporter.stats
    run = {
        "counts": {outcome: len(stats.get(outcome, ())) for outcome in OUTCOMES},
        "seconds": _seconds(report for reports in stats.values() for report in reports),
    }
    with Path(config.getoption("--tally")).open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")


def _seconds(reports: Iterable[Any]) -> dict[str, float]:
    seconds: Counter[str] = Counter()
    for report in reports:
        if hasattr(report, "duration"):
            place = report.nodeid.split("::")[0]
            name = place if ".ipynb" in place else report.nodeid
            seconds[name] += report.duration
    return dict(seconds.most_common(_SHOWN))
