"""Submissions a minute, `class grade` beside nbgrader: `python benchmarks/grading.py [NN] [N]`.

N copies of the solution of exercise NN (08 and 4 by default), handed in by N learners, are graded
by both, one submission at a time. Of nbgrader only `autograde --create` is counted. Both start
anew: all that they import is within the time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks._harness import header  # noqa: E402


def timed(*words: str, cwd: Path) -> float:
    """Run a command, and return its seconds; it must succeed."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # alembic
    own = {"PYTHONPATH": str(ROOT), "COURSEKIT_HEADLESS": "1", "PATH": programs}
    variables = os.environ | own
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=cwd, env=variables, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - started


def ours(solution: Path, n: int, folder: Path) -> float:
    """Return the seconds of `class grade`."""
    for i in range(n):
        (folder / "in" / f"learner{i}").mkdir(parents=True)
        shutil.copy(solution, folder / "in" / f"learner{i}")
    return timed("coursekit", "class", "grade", str(folder / "in"), "--out", str(folder / "out"),
                 cwd=ROOT)  # fmt: skip


def theirs(solution: Path, n: int, course: Path) -> float:
    """Return the seconds of `nbgrader autograde`."""
    (course / "source" / "week").mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "instructors" / "nbgrader_config.py", course)
    shutil.copy(solution, course / "source" / "week")
    timed("nbgrader", "generate_assignment", "week", cwd=course)
    for i in range(n):
        (course / "submitted" / f"learner{i}" / "week").mkdir(parents=True)
        shutil.copy(solution, course / "submitted" / f"learner{i}" / "week")
    return timed("nbgrader", "autograde", "week", "--create", cwd=course)


def main(number: str = "08", n: str = "4") -> None:
    """Grade the same submissions both ways and print the rates and their ratio."""
    (solution,) = (ROOT / "solutions").glob(f"{int(number):02}_*.ipynb")
    print(header(f"Grading {n} solutions of {solution.stem}"), flush=True)
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, grade in (("class grade", ours), ("nbgrader", theirs)):
            seconds[name] = took = grade(solution, int(n), Path(folder) / name.split()[0])
            rate = 60 * int(n) / took
            print(f"  {name:12} {took:6.1f} s, {rate:6.1f} submissions a minute", flush=True)
    print(f"  ratio {seconds['nbgrader'] / seconds['class grade']:.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
