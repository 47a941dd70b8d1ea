"""The notebooks' half of `python -m coursekit test`: nbval over what is built."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from coursekit.base.environment import ROOT
from coursekit.base.machine import cores, threads_each
from coursekit.course.notebooks.catalogue import KINDS, Notebook
from coursekit.course.notebooks.kernels import environment

AT_ONCE = 2  # notebooks: each kernel with TensorFlow may need 2 GB
CELL_SECONDS = 300
_NOTHING_CHOSEN = 5  # exit status of pytest


def run_notebooks(
    chosen: Sequence[Notebook],
    options: Sequence[str] = (),
    *,
    root: Path = ROOT,
    on_real_data: bool = True,
) -> int:
    """Run nbval over these notebooks; return 0 if all is well, else pytest's exit status.

    All run on the embedded data. Lessons that use a data set run once more on the real ones, where
    `.cache/data` holds any. Always without a network and in the profile "quick". Only cells tagged
    nbval-check-output have their outputs compared. `options` go to pytest.
    """
    if not chosen:
        return 0
    cache = root / ".cache"
    lessons = any(notebook.kind == KINDS[0] for notebook in chosen)
    real = real_data(cache / "data") if on_real_data and lessons else []
    counts = Counter(notebook.kind for notebook in chosen)
    what = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind])
    _say(f"On the embedded data: {what}.")
    if real:
        _say(f"The lessons once more on the real data: {', '.join(real)}.")
    elif on_real_data and lessons:
        _say(
            "The lessons are not run on real data: .cache/data holds no real data set. To import "
            "one: COURSEKIT_DATA=.cache/data python3 -m coursekit data import NAME PATH"
        )
    if real:
        options = [f"--real-data={cache / 'data'}", *options]
    return _nbval(root, chosen, cache / "embedded", options)


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


def _nbval(root: Path, chosen: Sequence[Notebook], data: Path, options: Sequence[str]) -> int:
    data.mkdir(parents=True, exist_ok=True)
    workers = min(AT_ONCE, cores(), len(chosen))
    variables = environment(profile="quick") | threads_each(workers)
    variables |= {"COURSEKIT_DATA": str(data), "COURSEKIT_OFFLINE": "1"}
    command = [sys.executable, "-m", "pytest", *(notebook.label for notebook in chosen)]
    command += ["--rootdir=.", "-o", "addopts=", "-o", "filterwarnings=", "-p", "no:randomly"]
    command += ["-p", "coursekit.course.testing.nbval_plugin"]
    command += ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={CELL_SECONDS}"]
    command += ["-q", "-rfs", f"--color={'yes' if sys.stdout.isatty() else 'no'}"]
    command += ["-n", str(workers), "--dist=loadfile", "--no-loadscope-reorder", *options]
    code = subprocess.run(command, cwd=root, env=variables, check=False).returncode
    return 0 if code == _NOTHING_CHOSEN and options else code


def _say(text: str) -> None:
    print(text, flush=True)
