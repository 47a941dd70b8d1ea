"""Which exercise a notebook is, and which of its cells are run, whatever a front end did to it."""

from __future__ import annotations

import copy
import json

import pytest

from coursekit.base.environment import ROOT
from coursekit.course.classroom.grading import reading
from coursekit.course.classroom.masters import master
from tests.classroom.conftest import code, find, known, stored, submission, text

NUMBERS = range(1, 16)


def planned(nb, number=8):
    return reading.plan(reading.notebook(json.dumps(nb).encode()), known(number))


def bare(nb):
    """A notebook as a front end leaves it that keeps nothing but the text of cells."""
    return {"nbformat": 4, "nbformat_minor": 4, "metadata": {},
            "cells": [{"cell_type": c["cell_type"], "metadata": {}, "source": text(c)}
                      for c in nb["cells"]]}  # fmt: skip


def tasks(cells):
    return [cell.task for cell in cells if cell.task]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", ["exercises", "solutions"])
def test_every_notebook_is_known_with_and_without_metadata(number, kind):
    nb = stored(kind, number)
    assert reading.number(nb, known) == number
    assert reading.number(bare(nb), known) == number


@pytest.mark.parametrize("number", NUMBERS)
def test_without_the_set_up_cell_what_it_defines_tells(number):
    nb = bare(stored("solutions", number))
    nb["cells"] = [c for c in nb["cells"] if "exercise(" not in c["source"]]
    assert reading.number(nb, known) == number


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("change", [lambda nb: nb, bare], ids=["whole", "bare"])
def test_every_task_is_found_in_its_order_and_no_check_is_run(number, change):
    cells = planned(change(stored("solutions", number)), number)
    assert tasks(cells) == [task.name for task in known(number).tasks]
    checks = {text(c) for c in stored("exercises", number)["cells"]
              if any(t.startswith("check:") for t in c["metadata"].get("tags", []))}  # fmt: skip
    assert checks.isdisjoint(cell.source for cell in cells)


def test_points_and_answers_come_from_the_master():
    asked = {task.name: task for task in master(ROOT, 8).tasks}
    assert asked["adam"].points == 2
    assert asked["momentum"].answers == ("momentum",)
    last = master(ROOT, 9).tasks[-1]
    assert last.answers == ("OneCycle", "SGDWithLiveMomentum")
    assert last.names == {"OneCycle", "SGDWithLiveMomentum"}


def test_experiments_that_no_task_needs_are_not_run():
    sources = "\n".join(cell.source for cell in planned(stored("solutions", 8)))
    assert "ck.exercise(8)" in sources
    assert "ck.fit(" not in sources
    assert "walkers" not in sources


def test_what_tasks_need_of_the_given_cells_is_run():
    cells = planned(stored("solutions", 15), 15)
    assert "comparison" in tasks(cells)
    sources = "\n".join(cell.source for cell in cells)
    assert "x_test" in sources
    for net in ("baseline", "batch_norm", "selu", "alpha_dropout"):  # a function puts them there
        assert f'study("{net}"' in sources


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("def f(a): kept[a] = 1", {"f": {"kept"}}),
        ("def f(kept): kept[0] = 1", {}),
        ("def f():\n    kept = {}\n    kept[0] = 1", {}),
        ("def f(): net.layers[0].rate = 1; kept['a']['b'] += 1", {"f": {"net", "kept"}}),
        ("def f(): kept.append(1); made['a'].update(b=1)", {"f": {"kept", "made"}}),
        ("def f(): return kept[0]", {}),
        ("def f(): return kept.count(1) + made.get('a')", {}),
        ("kept[0] = 1", {}),
        ("def f(:", {}),
    ],
)
def test_what_a_function_changes(source, changes):
    assert reading.changed_by_calls(source) == changes


def test_a_changed_check_does_not_matter_in_any_form():
    nb = submission(8, {"momentum": True})
    check = find(nb, "check:momentum")
    check["source"] = "ex.momentum(lambda *a: 3)"
    again = copy.deepcopy(check)
    markdown = copy.deepcopy(find(nb, "check:adam")) | {"cell_type": "markdown"}
    nb["cells"] = [c for c in nb["cells"] if "check:nesterov" not in c["metadata"].get("tags", [])]
    nb["cells"] += [again, markdown]
    assert tasks(planned(nb)) == [task.name for task in known(8).tasks]
    assert "lambda *a: 3" not in "\n".join(cell.source for cell in planned(nb))


def test_lost_given_cells_are_put_back_and_additions_to_them_run():
    nb = submission(8, {"momentum": True})
    nb["cells"] = [c for c in nb["cells"] if "exercise(" not in text(c)]
    assert "import numpy as np" in planned(nb)[0].source
    nb = submission(8, {"momentum": True})
    setup = next(c for c in nb["cells"] if "exercise(" in text(c))
    setup["source"] = text(setup) + "\nimport math as m\n"
    first, second = planned(nb)[:2]
    assert "math" not in first.source
    assert "import math as m" in second.source


def test_what_the_learner_added_is_run():
    nb = submission(8, {"momentum": True}, before="helper = 3")
    assert "helper = 3" in [cell.source for cell in planned(nb)]


def test_a_cell_that_only_defines_the_same_name_is_not_surely_the_task():
    nb = submission(8, {"momentum": True})
    nb["cells"].append(code("momentum = 0.9"))
    found = [cell for cell in planned(nb) if cell.task == "momentum"]
    assert [cell.sure for cell in found] == [True, False]


@pytest.mark.parametrize(("source", "defines", "uses"), [
    ("def f(x):\n    y = x + z\n    return y", {"f"}, {"z"}),
    ("a.b = c\nd[e] = 1", {"a", "d"}, {"a", "c", "d", "e"}),
    ("for i in range(3):\n    total += i", {"i", "total"}, {"range", "i", "total"}),
    ("%matplotlib inline\nimport numpy as np", {"np"}, set()),
    ("from a.b import c as d", {"d"}, set()),
    ("class A(B):\n    def g(self):\n        return h", {"A"}, {"B", "h"}),
    ("def broken(", set(), set()),
], ids=lambda part: part if isinstance(part, str) else ",".join(sorted(part)))  # fmt: skip
def test_names(source, defines, uses):
    assert reading.names(source) == (defines, uses)


@pytest.mark.parametrize(("data", "why"), [
    (b"", "not JSON"), (b"\xff\xfe\x00", "not JSON"), (b"%PDF-1.4", "not JSON"),
    (b"[1]", "a list or a value"), (b'{"cells": 3}', "no cells"), (b"[" * 10**5, "not JSON"),
    (b'{"worksheets": [], "nbformat": 3}', "old format"),
], ids=str)  # fmt: skip
def test_files_that_are_no_notebooks_are_told_apart(data, why):
    with pytest.raises(reading.NotReadableError, match=why):
        reading.notebook(data)


def test_strange_cells_do_not_stop_the_reading():
    nb = submission(8, {"momentum": True})
    nb["cells"] += [3, {}, {"cell_type": "code"}, {"cell_type": "code", "source": None},
                    {"cell_type": "code", "source": ["a = 1\n", 5], "metadata": []},
                    {"cell_type": "raw", "source": "x", "metadata": {"tags": "task:momentum"}},
                    {"cell_type": "code", "source": "b = 1", "id": 7,
                     "metadata": {"nbgrader": [], "tags": [None]}}]  # fmt: skip
    nb["metadata"]["coursekit"] = ["nonsense"]
    assert reading.number(reading.notebook(json.dumps(nb).encode()), known) == 8
    assert [cell.source for cell in planned(nb)][-2:] == ["a = 1\n", "b = 1"]
