"""The notebooks' half of `python -m coursekit test`: nbval over everything that is built."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from coursekit.base.environment import ROOT
from coursekit.course.notebooks.catalogue import KINDS, built
from coursekit.course.notebooks.execute import environment

AT_ONCE = 2  # notebooks: each kernel with TensorFlow may need 2 GB
CELL_SECONDS = 300
_INTERRUPTED, _NOTHING_CHOSEN = 2, 5  # exit statuses of pytest


def run_all(extra_args: Sequence[str] = (), *, root: Path | None = None) -> int:
    """Run nbval over the built notebooks; return 0 if all is well, else pytest's exit status.

    Pass 1 runs lessons, exercises and solutions on the embedded data, pass 2 the lessons on the
    real data where `.cache/data` holds them. Both without a network, in the profile "quick". Only
    cells tagged nbval-check-output have their outputs compared. `extra_args` go to pytest.
    """
    root = root or ROOT
    cache = root / ".cache"
    folders = [kind for kind in KINDS if built(root, [kind])]
    if not folders:
        print("No notebook is built yet; run: python -m coursekit build", file=sys.stderr)
        return 1
    _say(f"Notebooks, pass 1: {', '.join(folders)} on the embedded data")
    code = _nbval(root, folders, cache / "embedded", extra_args)
    if code == _INTERRUPTED:
        return code
    real = real_data(cache / "data")
    if not real:
        _say(
            "Notebooks, pass 2 (the lessons on real data) is skipped: .cache/data holds no real "
            "data set. To import one: python -m coursekit data import NAME PATH"
        )
        return code
    if "notebooks" not in folders:
        return code
    _say(f"Notebooks, pass 2: the lessons on the real data of {', '.join(real)}")
    return max(code, _nbval(root, ["notebooks"], cache / "data", extra_args))


def real_data(folder: Path) -> list[str]:
    """Return the names of the real data sets that a cache folder holds."""
    ask = (
        "from coursekit.datasets import status\n"
        "print(*(each.name for each in status() if each.source in ('official', 'imported')))"
    )
    variables = environment(profile="quick") | {"COURSEKIT_DATA": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", ask], env=variables, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def _nbval(root: Path, folders: Sequence[str], data: Path, extra_args: Sequence[str]) -> int:
    data.mkdir(parents=True, exist_ok=True)
    workers = min(AT_ONCE, _cores(), len(built(root, folders)))
    threads = str(max(1, _cores() // workers))
    variables = environment(profile="quick") | {
        "COURSEKIT_DATA": str(data),
        "COURSEKIT_OFFLINE": "1",
        "OMP_NUM_THREADS": threads,
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
    }
    command = [sys.executable, "-m", "pytest", *folders, "--rootdir=."]
    command += [
        "-p",
        "coursekit.course.testing.nbval_plugin",
        "-o",
        "addopts=",
        "-o",
        "filterwarnings=",
    ]
    command += ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={CELL_SECONDS}"]
    command += ["-q", "-rfs", f"--color={'yes' if sys.stdout.isatty() else 'no'}"]
    command += ["-n", str(workers), "--dist=loadfile", *extra_args]
    code = subprocess.run(command, cwd=root, env=variables, check=False).returncode
    return 0 if code == _NOTHING_CHOSEN and extra_args else code


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)
