"""An instructor's evening: `python benchmarks/class_evening.py [N] [NN NN…]`.

Releases exercises (02 and 04 by default), invents what N learners (30) hand in, packs it as a zip,
grades it, and prints the seconds of each step. Every answer is right, untouched, of no use or
crashing, by a draw with a fixed seed; one learner hands in an endless loop, one a file that is no
notebook. The marks are compared with what was drawn: the program ends with 1 where they differ.
COURSEKIT_KEEP_MARKS=FOLDER keeps the tables and pages.
"""

from __future__ import annotations

import ast
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks._harness import header  # noqa: E402

KINDS, SHARES = ("right", "untouched", "useless", "crashing"), (0.55, 0.15, 0.2, 0.1)


def course(*words: str) -> float:
    """Run a command of the course and return its seconds; it must succeed."""
    started = time.perf_counter()
    variables = os.environ | {"COURSEKIT_HEADLESS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "coursekit", *words], cwd=ROOT, env=variables, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"coursekit {' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - started


def tasks_of(notebook: dict) -> dict[str, dict]:
    """Return the answer cells of a notebook by the names of their tasks."""
    found = {}
    for cell in notebook["cells"]:
        for tag in cell["metadata"].get("tags", ()):
            if tag.startswith("task:"):
                found[tag.removeprefix("task:")] = cell
    return found


def spoilt(source: str, body: str) -> str | None:
    """Return functions of the same names with another body, None for an answer without any."""
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return "\n".join(f"def {name}(*_, **__):\n    {body}" for name in names) or None


def answered(exercise: Path, solution: Path, draw: np.random.Generator) -> tuple[dict, dict]:
    """Return a notebook as handed in, and the kind of each answer."""
    notebook = json.loads(exercise.read_text(encoding="utf-8"))
    right = tasks_of(json.loads(solution.read_text(encoding="utf-8")))
    kinds = {}
    for name, cell in tasks_of(notebook).items():
        kind = str(draw.choice(KINDS, p=SHARES))
        source = "".join(right[name]["source"])
        bodies = {"useless": "return -1", "crashing": "raise RuntimeError('not yet')"}
        answer = source if kind == "right" else None
        if kind in bodies:
            answer = spoilt(source, bodies[kind])
        kinds[name] = "untouched" if answer is None else kind
        if answer is not None:
            cell["source"] = answer
    return notebook, kinds


def hand_in(folder: Path, released: Path, numbers: list[str], n: int) -> dict[tuple, str]:
    """Write what n learners hand in; return the kind of every answer."""
    draw, expected = np.random.default_rng(0), {}
    for i in range(n):
        learner = f"learner {i + 1:02}"
        (folder / learner).mkdir(parents=True)
        for number in numbers:
            (exercise,) = released.rglob(f"{number}_*.ipynb")
            (solution,) = (ROOT / "solutions").glob(f"{number}_*.ipynb")
            notebook, kinds = answered(exercise, solution, draw)
            if i == 1 and number == numbers[0]:
                name, cell = next(iter(tasks_of(notebook).items()))
                cell["source"] += "\nwhile True:\n    pass"
                kinds[name] = "endless"
            text = json.dumps(notebook)
            if i == 2 and number == numbers[0]:
                text, kinds = "no notebook", {}
            (folder / learner / exercise.name).write_text(text, encoding="utf-8")
            for name, kind in kinds.items():
                expected[learner, number, name] = kind
    return expected


def otherwise_marked(expected: dict[tuple, str], grades: Path) -> list[tuple]:
    """Return the answers whose marks are not those of their kind, with what they are."""
    with grades.open(encoding="utf-8", newline="") as file:
        rows = {(r["learner"], f"{int(r['exercise']):02}", r["task"]): r
                for r in csv.DictReader(file)}  # fmt: skip
    known = {"right": "correct", "untouched": "not attempted", "endless": "time"}
    wrong = []
    for key, kind in expected.items():
        outcome, full = rows[key]["outcome"], rows[key]["points"] == rows[key]["max_points"]
        if outcome != known.get(kind, outcome) or full != (kind == "right"):
            wrong.append((*key, kind, outcome, rows[key]["points"]))
    return wrong


def main(n: str = "30", *numbers: str) -> None:
    """Live the evening, and print what it took."""
    asked = [f"{int(number):02}" for number in numbers] or ["02", "04"]
    print(header(f"{n} learners, exercises {' and '.join(asked)}"), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"  release {course('class', 'release', *asked, '--to', name + '/out'):8.1f} s")
        expected = hand_in(folder / "in", folder / "out", asked, int(n))
        shutil.make_archive(name + "/all", "zip", folder / "in")
        words = ("class", "grade", name + "/all.zip", "--out", name + "/marks", "--jobs", "2")
        took = course(*words, "--cell-seconds", "20")
        print(f"  grade   {took:8.1f} s, {60 * int(n) * len(asked) / took:.1f} notebooks a minute")
        print(f"  again   {course(*words, '--cell-seconds', '20'):8.1f} s")
        wrong = otherwise_marked(expected, folder / "marks" / "grades.csv")
        pages = len(list((folder / "marks" / "feedback").rglob("*.html")))
        print(f"  {len(expected)} answers, {len(wrong)} marked otherwise than drawn, {pages} pages")
        for each in wrong:
            print("   ", *each)
        if kept := os.environ.get("COURSEKIT_KEEP_MARKS"):
            shutil.copytree(folder / "marks", kept, dirs_exist_ok=True)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(*sys.argv[1:])
