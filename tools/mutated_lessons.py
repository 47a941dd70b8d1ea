"""Break the package in ways that a lesson is about, and show whether a claim of the lesson fails.

    python tools/mutated_lessons.py 09           in the quick profile
    python tools/mutated_lessons.py 09 --only momentum --data embedded

Each fault of `FAULTS` replaces one piece of a module in a copy of the package, and the built
lesson runs against that copy. A fault that no claim notices shows a claim that is missing, or is
the business of the tests alone.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import nbformat

from coursekit.course.notebooks.execute import execute
from coursekit.course.notebooks.stability import Setting

ROOT = Path(__file__).resolve().parents[1]


class Fault(NamedTuple):
    """What is broken, in which module, and how; `old` stands there exactly once."""

    name: str
    module: str
    old: str
    new: str


FAULTS = {
    "09": (
        Fault(
            "1cycle's peak comes at a third, not in the middle",
            "training/one_cycle_policy.py",
            "(1 - final_fraction) / 2",
            "(1 - final_fraction) / 3",
        ),
        Fault(
            "momentum does not cycle",
            "training/one_cycle.py",
            "self.momentum is None else momenta",
            "True else momenta",
        ),
        Fault(
            "1cycle's last leg does not fall",
            "training/one_cycle_policy.py",
            "start / 1000 if",
            "start if",
        ),
        Fault(
            "a schedule is stepped once in 16 steps",
            "training/per_step.py",
            "tf.minimum(self.step, ",
            "tf.minimum(self.step // 16 * 16, ",
        ),
        Fault(
            "a schedule is one step late",
            "training/per_step.py",
            "tf.minimum(self.step, ",
            "tf.minimum(tf.maximum(self.step - 1, 0), ",
        ),
        Fault(
            "schedules run backwards",
            "training/per_step.py",
            "float(self.rate(step, total))",
            "float(self.rate(total - 1 - step, total))",
        ),
        Fault(
            "the range test does not restore the model",
            "training/range_test.py",
            "            found.restore()",
            "            pass",
        ),
        Fault(
            "the range test suggests ten times too much",
            "training/range_rules.py",
            "np.sqrt(left * right) / 2",
            "np.sqrt(left * right) * 5",
        ),
        Fault(
            "every run of a comparison goes on where the last one ended",
            "experiments/trainee.py",
            "        old.assign(new)",
            "        pass",
        ),
        Fault(
            "a comparison chooses the worst rate",
            "experiments/compare.py",
            "if is_better(value, found[best], metric)",
            "if not is_better(value, found[best], metric)",
        ),
        Fault(
            "rows are never shuffled",
            "training/trainer.py",
            "np.random.default_rng((seed, epoch)).permutation(n)",
            "np.arange(n)",
        ),
        Fault(
            "a comparison ignores the rate it has found",
            "experiments/trainee.py",
            "        optimizer.learning_rate = rate",
            "        pass",
        ),
    ),
}


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
            f"{text.count(fault.old)} times; bring FAULTS up to date."
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
    parser.add_argument("lesson", choices=sorted(FAULTS), metavar="NN")
    parser.add_argument("--only", default="", help="faults whose name holds this")
    parser.add_argument("--data", default="real", choices=("real", "embedded"))
    options = parser.parse_args()
    (lesson,) = (ROOT / "notebooks").glob(f"{options.lesson}_*.ipynb")
    said = noticed(lesson, ROOT, options.data)
    if said:
        print(f"The lesson fails as it is: {said}")
        return 1
    chosen = [fault for fault in FAULTS[options.lesson] if options.only in fault.name]
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
