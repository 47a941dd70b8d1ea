"""nbgrader's own way, from the source to the feedback, with right, wrong and untouched answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coursekit.base.environment import ROOT
from tests.classroom.conftest import find, stored, submission

CONFIG = ROOT / "docs" / "instructors" / "nbgrader_config.py"
ASSIGNMENT = "week1"
TIME = "2026-01-01 00:00:00.000000 UTC"
NAMES = ("04_batch_normalisation", "08_optimizers")
UPHILL = """def momentum(theta, gradient, m, learning_rate, beta=0.9):
    m = beta * m + learning_rate * gradient
    return theta + m, m
"""
CHEAT = 'import os\nos.environ["COURSEKIT_GRADING"] = "0"\nmomentum = 3\n'
ANSWERS = {  # learner → exercise → answers; points expected for each exercise
    "right": {4: {"batch_norm": True, "predict": True}, 8: {"momentum": True, "adam": True}},
    "wrong": {4: {"batch_norm": "def batch_norm(x, gamma, beta, epsilon):\n    return x\n"},
              8: {"momentum": UPHILL, "nesterov": True}},
    "untouched_and_cheat": {4: {}, 8: {"momentum": CHEAT}},
}  # fmt: skip
POINTS = {
    "right": {4: 2.0, 8: 3.0}, "wrong": {4: 0.0, 8: 1.0}, "untouched_and_cheat": {4: 0.0, 8: 0.0},
}  # fmt: skip


@pytest.mark.slow
def test_every_answer_gets_its_points_from_source_to_feedback(tmp_path):
    course, exchange = tmp_path / "course", tmp_path / "exchange"
    (course / "source" / ASSIGNMENT).mkdir(parents=True)
    exchange.mkdir()
    exchange.chmod(0o777)
    shutil.copy(CONFIG, course)
    for name in NAMES:
        shutil.copy(ROOT / "solutions" / f"{name}.ipynb", course / "source" / ASSIGNMENT)

    def nbgrader(*words):
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *words, f"--Exchange.root={exchange}"],
            cwd=course, env=environment(tmp_path), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]

    nbgrader("generate_assignment", ASSIGNMENT)
    released = course / "release" / ASSIGNMENT
    for name in NAMES:
        handed_out = json.loads((released / f"{name}.ipynb").read_text(encoding="utf-8"))
        assert (
            find(handed_out, "task:" + first_task(name))["source"]
            == find(stored("exercises", int(name[:2])), "task:" + first_task(name))["source"]
        )
    nbgrader("release_assignment", ASSIGNMENT)
    inbound = exchange / "deep-learning" / "inbound"
    for learner, answers in ANSWERS.items():
        hand_in(inbound / f"{learner}+{ASSIGNMENT}+{TIME}", answers)
    nbgrader("collect", ASSIGNMENT)
    nbgrader("autograde", ASSIGNMENT, "--create")
    nbgrader("generate_feedback", ASSIGNMENT)
    assert scores(course / "gradebook.db") == POINTS
    for learner in ANSWERS:
        for name in NAMES:
            assert (course / "feedback" / learner / ASSIGNMENT / f"{name}.html").exists()


def first_task(name):
    return {"04_batch_normalisation": "batch_norm", "08_optimizers": "momentum"}[name]


def environment(home):
    """This machine's, without what the tests themselves switch on; paths are the test's own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "JUPYTER"))}
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # alembic
    own = {"HOME": home, "JUPYTER_CONFIG_DIR": home / "jupyter", "JUPYTER_DATA_DIR": home / "data",
           "PYTHONPATH": ROOT, "PATH": programs}  # fmt: skip
    return kept | {name: str(value) for name, value in own.items()}


def hand_in(folder, answers):
    folder.mkdir()
    (folder / "timestamp.txt").write_text(TIME)
    for name in NAMES:
        nb = submission(int(name[:2]), answers[int(name[:2])])
        (folder / f"{name}.ipynb").write_text(json.dumps(nb), encoding="utf-8")


def scores(database):
    from nbgrader.api import Gradebook

    found = {}
    with Gradebook(f"sqlite:///{database}") as book:
        for submitted in book.assignment_submissions(ASSIGNMENT):
            found[submitted.student.id] = {int(n.name[:2]): n.score for n in submitted.notebooks}
    return found
