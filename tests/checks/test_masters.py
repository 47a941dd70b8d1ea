"""The tasks of a master are those of its checks.

That an exercise made from it is nowhere attempted, and its solution all correct, is seen where the
built notebooks run: `coursekit/course/testing/nbval_plugin.py`.
"""

from __future__ import annotations

import pytest

from coursekit.base.environment import ROOT
from coursekit.checks.engine.tasks import load
from coursekit.course.notebooks.cells import named
from coursekit.course.notebooks.convert import pair

MASTERS = sorted((ROOT / "sources" / "exercises").glob("[0-9][0-9]_*.py"))


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_tasks_of_a_master_are_those_of_its_checks_in_order(master):
    tasks = [task.name for task in load(int(master.name[:2]))]
    _, solution = pair(master.read_text(encoding="utf-8"), master.name)
    for tag in ("task", "check"):
        names = [named(cell, tag) for cell in solution.cells]
        assert [name for name in names if name] == tasks
