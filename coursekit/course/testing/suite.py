"""`python -m coursekit test`: the package by pytest, then the notebooks by nbval."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from coursekit.base.environment import ROOT
from coursekit.course.notebooks.catalogue import Notebook, built, choose
from coursekit.course.testing import tally
from coursekit.course.testing.changes import changed_notebooks
from coursekit.course.testing.notebooks import run_notebooks
from coursekit.errors import ArgumentError

_AT_ONCE = 3  # processes, for two cores: some tests wait for others; each takes up to two gigabytes
_IN_PARALLEL = ("-n", str(_AT_ONCE), "--dist=loadfile", "--no-loadscope-reorder")
_IN_RANDOM_ORDER = ("-p", "randomly")
_INTERRUPTED = 2  # exit status of pytest
# What belongs to one notebook: these tests, where their names hold its number.
_OF_A_NOTEBOOK = ("tests/checks", "tests/course/notebooks/test_stored.py", "tests/test_style.py")


def prove(arguments: Sequence[str] = (), *, quick: bool = False) -> int:
    """Run the tests that the arguments ask for; return 0 only if all of them pass.

    Without arguments it is all of them: the package's, in random order, then the notebooks. With
    `quick` it is what takes two minutes: no test marked slow, and only the notebooks that have
    changed. Numbers in front ask for lessons and exercises, with all that belongs to them. Options
    that follow go to pytest. Any other arguments are pytest's alone.

    Raises ArgumentError for a number that no notebook has, or numbers with `quick`.
    """
    numbers = list(takewhile(str.isdecimal, arguments))
    options = list(arguments[len(numbers) :])
    if quick and numbers:
        raise ArgumentError("test: expected --quick or the numbers of notebooks, got both.")
    if numbers:
        chosen = choose(numbers, built(ROOT))
        return _both([*_OF_A_NOTEBOOK, "-k", _names_of(numbers)], chosen, options)
    if quick:
        chosen, since = changed_notebooks(ROOT)
        print(f"Notebooks that have changed: {_listed(chosen)} ({since}).", flush=True)
        return _both(["-m", "not slow"], chosen, options, on_real_data=False)
    if arguments:
        return _pytest([*_IN_RANDOM_ORDER, "--durations=10", "--durations-min=1", *arguments])
    if not (chosen := built(ROOT)):
        print("No notebook is built yet; run: python -m coursekit build", file=sys.stderr)
        return 1
    return _both([], chosen, options)


def _both(
    tests: Sequence[str],
    chosen: Sequence[Notebook],
    options: Sequence[str],
    *,
    on_real_data: bool = True,
) -> int:
    """Run these tests, then these notebooks; close with what took long and a line for both."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="coursekit-") as folder:
        file = Path(folder) / "tally.jsonl"
        options = ["-p", tally.__name__, f"--tally={file}", *options]
        codes = [_pytest([*_IN_RANDOM_ORDER, *_IN_PARALLEL, *tests, *options])]
        if codes[0] != _INTERRUPTED:
            codes.append(run_notebooks(chosen, options, on_real_data=on_real_data))
        found = tally.read(file)
    if any(codes) and not found.counts["failed"]:
        found.counts["error"] = found.counts["error"] or 1  # a run broke off before its summary
    lines = [*found.slowest(), found.closing_line(time.monotonic() - started)]
    print("", *lines, sep="\n", flush=True)
    return 1 if any(codes) else 0


def _names_of(numbers: Sequence[str]) -> str:
    """Return what pytest's -k takes: the numbers as they stand in the names of tests.

    >>> _names_of(["9"])
    'ruff or floors or [09- or [09_ or /09_'
    """
    marks = [f"{before}{int(number):02}{after}" for number in numbers
             for before, after in (("[", "-"), ("[", "_"), ("/", "_"))]  # fmt: skip
    return " or ".join(["ruff", "floors", *marks])


def _listed(chosen: Sequence[Notebook]) -> str:
    return ", ".join(notebook.label for notebook in chosen) or "none"


def _pytest(arguments: Sequence[str]) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode
