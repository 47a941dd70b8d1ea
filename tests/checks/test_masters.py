"""A master gives an exercise that is not attempted anywhere and a solution that is all correct."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coursekit.checks.engine.tasks import load
from coursekit.course.notebooks.cells import named
from coursekit.course.notebooks.convert import pair

ROOT = Path(__file__).resolve().parents[2]
MASTERS = sorted((ROOT / "sources" / "exercises").glob("[0-9][0-9]_*.py"))
EXECUTE = """
import json, sys, traceback
from coursekit.checks.engine import session
outcomes = {}
for name, sources in json.load(open(sys.argv[1])).items():
    session._outcomes.clear()
    space = {"__name__": "__main__"}
    try:
        for source in sources:
            exec(compile(source, "<cell>", "exec"), space)
        outcomes[name] = session.passed()
    except Exception:
        outcomes[name] = traceback.format_exc()
json.dump(outcomes, open(sys.argv[2], "w"))
"""
EXERCISE, SOLUTION = 0, 1


def code_cells(master, part):
    notebook = pair(master.read_text(encoding="utf-8"), master.name)[part]
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Run all exercises and solution 09 in one fresh process; return what their checks said."""
    folder = tmp_path_factory.mktemp("masters")
    work = {path.stem: [cell.source for cell in code_cells(path, EXERCISE)] for path in MASTERS}
    solution = next(path for path in MASTERS if path.name.startswith("09_"))
    work["solution 09"] = [cell.source for cell in code_cells(solution, SOLUTION)]
    (folder / "work.json").write_text(json.dumps(work))
    variables = {
        **os.environ, "COURSEKIT_PROFILE": "quick", "COURSEKIT_HEADLESS": "1", "MPLBACKEND": "agg",
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    command = [sys.executable, "-c", EXECUTE, "work.json", "outcomes.json"]
    run = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True,
                         check=False)  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    return json.loads((folder / "outcomes.json").read_text())


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_tasks_of_a_master_are_those_of_its_checks_in_order(master):
    tasks = [task.name for task in load(int(master.name[:2]))]
    for tag in ("task", "check"):
        names = [named(cell, tag) for cell in code_cells(master, SOLUTION)]
        assert [name for name in names if name] == tasks


@pytest.mark.slow
@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_untouched_exercise_runs_to_its_end_and_is_nowhere_attempted(master, outcomes):
    number = int(master.name[:2])
    expected = {f"{number:02}.{task.name}": "not attempted" for task in load(number)}
    assert outcomes[master.stem] == expected


@pytest.mark.slow
def test_solution_09_is_all_correct(outcomes):
    assert outcomes["solution 09"] == {f"09.{task.name}": "correct" for task in load(9)}
