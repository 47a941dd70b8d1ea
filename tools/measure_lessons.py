"""Measure what lessons need, for `class plan` and `class check`: `python tools/measure_lessons.py`.

Runs the lessons named (all by default), as they are built, in the profile quick and writes the
seconds of their cells and their peak memory into sources/plans/measured.json. `--stale` leaves out
a lesson whose code is the one measured.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import nbformat

from coursekit.course.classroom import check_training, plan_measured
from coursekit.course.notebooks.catalogue import built, choose
from coursekit.course.notebooks.execute import execute

ROOT = Path(__file__).resolve().parents[1]


def measure(path: Path) -> plan_measured.Lesson:
    """Run one lesson and return what it needed; end the program where it fails."""
    outcome = execute(nbformat.read(path, as_version=4), profile="quick")
    if outcome.failure:
        raise SystemExit(f"{path.name}: {outcome.failure}")
    return plan_measured.Lesson(outcome.cells, outcome.peak_mb)


def stale(path: Path, before: plan_measured.Lesson) -> bool:
    """Return whether a lesson has code whose seconds are not known."""
    cells = nbformat.read(path, as_version=4).cells
    return any(cell.id not in before.seconds for cell in cells if cell.cell_type == "code")


def main() -> None:
    """Measure, and write after each lesson: what is interrupted keeps what it has."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("lessons", nargs="*", metavar="NN")
    options.add_argument("--stale", action="store_true", help="only where code has changed")
    options.add_argument("--pace", action="store_true", help="measure the pace of a training too")
    asked = options.parse_args()
    found = plan_measured.read(ROOT)
    if asked.pace or found.pace is None:
        found = replace(found, pace=round(check_training.train().pace))
        plan_measured.write(ROOT, found)
    for notebook in choose(asked.lessons, built(ROOT, ["notebooks"])):
        before = found.lessons.get(notebook.name, plan_measured.Lesson())
        if asked.stale and not stale(notebook.path, before):
            continue
        needed = measure(notebook.path)
        found = plan_measured.read(ROOT)  # meanwhile another one may have been measured
        found = replace(found, lessons={**found.lessons, notebook.name: needed})
        plan_measured.write(ROOT, found)
        print(f"{notebook.name}: {sum(needed.seconds.values()):.0f} s in quick")


if __name__ == "__main__":
    main()
