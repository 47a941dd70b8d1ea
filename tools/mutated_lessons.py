"""Break the package in ways that a lesson is about, and show whether a claim of the lesson fails.

    python tools/mutated_lessons.py 09           in the quick profile
    python tools/mutated_lessons.py 09 --only momentum --data embedded

Each fault of `faults/NN.toml` replaces one piece of a module in a copy of the package, and the
built lesson runs against that copy. A fault that no claim notices shows a claim that is missing, or
is the business of the tests alone.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple

import nbformat

from coursekit.course.notebooks.execute import execute
from coursekit.course.notebooks.stability import Setting

ROOT = Path(__file__).resolve().parents[1]
FAULTS = ROOT / "tools" / "faults"


class Fault(NamedTuple):
    """What is broken, in which module, and how; `old` stands there exactly once."""

    name: str
    module: str
    old: str
    new: str


def faults(lesson: str) -> list[Fault]:
    """Return the faults that `tools/faults/NN.toml` lists for a lesson."""
    text = (FAULTS / f"{lesson}.toml").read_text(encoding="utf-8")
    return [Fault(**entry) for entry in tomllib.loads(text)["fault"]]


def broken(fault: Fault, folder: Path) -> Path:
    """Copy the package into a folder with this fault in it; return the folder."""
    shutil.copytree(
        ROOT / "coursekit", folder / "coursekit", ignore=shutil.ignore_patterns("__pycache__")
    )
    path = folder / "coursekit" / fault.module
    text = path.read_text(encoding="utf-8")
    if text.count(fault.old) != 1:
        raise SystemExit(
            f"{fault.name}: expected {fault.old!r} once in {fault.module}, found it "
            f"{text.count(fault.old)} times; bring tools/faults up to date."
        )
    path.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
    return folder


def noticed(lesson: Path, package: Path, data: str) -> str:
    """Run a lesson against a package; return the first claim that fails, or ""."""
    with Setting("quick", data, None, 0).variables() as variables:
        outcome = execute(
            nbformat.read(lesson, as_version=4),
            profile="quick",
            variables=variables | {"PYTHONPATH": str(package)},
        )
    lost = [f"{claim}: {told}" for claim, holds, told in outcome.proved if not holds]
    return lost[0] if lost else outcome.failure or ""


def main() -> int:
    """Print a line for each fault, and how many were noticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "lesson", choices=sorted(path.stem for path in FAULTS.glob("*.toml")), metavar="NN"
    )
    parser.add_argument("--only", default="", help="faults whose name holds this")
    parser.add_argument("--data", default="real", choices=("real", "embedded"))
    options = parser.parse_args()
    (lesson,) = (ROOT / "notebooks").glob(f"{options.lesson}_*.ipynb")
    said = noticed(lesson, ROOT, options.data)
    if said:
        print(f"The lesson fails as it is: {said}")
        return 1
    chosen = [fault for fault in faults(options.lesson) if options.only in fault.name]
    count = 0
    for fault in chosen:
        with tempfile.TemporaryDirectory() as folder:
            said = noticed(lesson, broken(fault, Path(folder)), options.data)
        count += bool(said)
        print(f"{'✘' if said else '–'} {fault.name}\n    {said or 'no claim fails'}", flush=True)
    print(f"{count} of {len(chosen)} faults make a claim fail.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
