from __future__ import annotations

import re
import subprocess
import sys

import nbformat
import pytest
from nbgrader import nbgraderformat, utils

from coursekit.course.notebooks import convert
from coursekit.errors import NotebookError

SOURCE = "sources/exercises/09_rates.py"
LESSON = """\
# %% [markdown]
# # Title
# Text.

# %%
x = 1

# %% tags=["claim"]
assert x == 1

# %%
x = 1

# %% id="last-one"
y = 2
"""
MASTER = """\
# %% tags=["task:power"]
def power(step):
    offset = 1
    ### BEGIN SOLUTION
    shifted = step + offset
    return 1 / shifted
    ### END SOLUTION

# %% tags=["check:power"] points=3
ex.power(power)
### BEGIN HIDDEN TESTS
secret = 1
### END HIDDEN TESTS

# %% [markdown]
# **Why** does it fall?
#
# <!-- ### BEGIN SOLUTION -->
# Because we divide, by {{ first }} at first.
# <!-- ### END SOLUTION -->
"""


def ids(text: str) -> list[str]:
    return [cell.id for cell in convert.lesson(text, "sources/notebooks/09_rates.py").cells]


def test_a_lesson_keeps_types_texts_and_tags_and_has_no_outputs():
    nb = convert.lesson(LESSON, "sources/notebooks/09_rates.py")
    assert [cell.cell_type for cell in nb.cells] == ["markdown", *["code"] * 4]
    assert nb.cells[0].source == "# Title\nText."
    assert nb.cells[2].metadata == {
        "tags": ["claim", "hide-input"],
        "jupyter": {"source_hidden": True},
    }
    assert all(cell.outputs == [] and cell.execution_count is None for cell in nb.cells[1:])
    assert nb.metadata.coursekit.source == "sources/notebooks/09_rates.py"


def test_ids_are_valid_and_unique_even_for_equal_cells():
    found = ids(LESSON)
    assert len(set(found)) == 5
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", cell_id) for cell_id in found)
    assert found[-1] == "last-one"


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("# Text.", "# Other text.", {0}),
        ("assert x == 1", "assert x < 2", {2}),
        ("y = 2", "y = 3", set()),
    ],
)
def test_editing_one_cell_leaves_the_ids_of_the_others(old, new, changed):
    before, after = ids(LESSON), ids(LESSON.replace(old, new))
    assert {i for i in range(5) if before[i] != after[i]} == changed


def test_a_new_cell_leaves_the_ids_of_the_others():
    longer = LESSON.replace("# %% tags", "# %%\nnew = 0\n\n# %% tags")
    assert set(ids(LESSON)) < set(ids(longer))


def test_the_id_of_a_task_stays_when_its_solution_changes():
    first, second = (
        [cell.id for cell in convert.pair(text, SOURCE)[0].cells]
        for text in (MASTER, MASTER.replace("1 / shifted", "shifted**-1"))
    )
    assert first == second
    assert first[:2] == ["task-power", "check-power"]


def test_twins_share_their_ids_and_other_notebooks_do_not():
    exercise, solution = convert.pair(LESSON + MASTER, SOURCE)
    assert [cell.id for cell in exercise.cells] == [cell.id for cell in solution.cells]
    other = convert.lesson(LESSON, "sources/notebooks/10_other.py")
    assert not set(ids(LESSON)[:-1]) & {cell.id for cell in other.cells}


def test_an_exercise_has_the_stub_and_neither_solution_nor_hidden_tests():
    exercise, solution = convert.pair(MASTER, SOURCE)
    assert exercise.cells[0].source == (
        "def power(step):\n    offset = 1\n    ...  # your code here"
    )
    assert exercise.cells[1].source == "ex.power(power)"
    assert "shifted" in solution.cells[0].source
    assert "secret" in solution.cells[1].source
    assert exercise.cells[2].source == "**Why** does it fall?\n\n*Your answer:*"
    assert "Because we divide" in solution.cells[2].source


def test_nbgrader_reads_both_and_agrees_on_roles_points_and_checksums():
    for nb in convert.pair(MASTER, SOURCE):
        read = nbgraderformat.reads(convert.to_text(nb), as_version=4)
        task, check, written = read.cells
        assert utils.is_solution(task)
        assert not utils.is_grade(task)
        assert utils.is_grade(check)
        assert utils.is_locked(check)
        assert utils.determine_grade(check) == (3, 3)
        assert utils.is_solution(written)
        assert utils.is_grade(written)
        assert written.metadata.nbgrader.points == 0
    exercise, _ = convert.pair(MASTER, SOURCE)
    for cell in exercise.cells:
        assert cell.metadata.nbgrader.checksum == utils.compute_checksum(cell)


def test_points_are_one_unless_given():
    exercise, _ = convert.pair(MASTER.replace(" points=3", ""), SOURCE)
    assert exercise.cells[1].metadata.nbgrader.points == 1


def test_what_is_stored_reads_back_as_the_same_text():
    text = convert.to_text(convert.lesson(LESSON, "sources/notebooks/09_rates.py"))
    assert text.endswith("}\n")
    assert convert.to_text(nbformat.reads(text, as_version=4)) == text


def test_line_endings_make_no_difference():
    unix, windows = (
        convert.to_text(convert.lesson(text, "sources/notebooks/09_rates.py"))
        for text in (LESSON, LESSON.replace("\n", "\r\n"))
    )
    assert unix == windows


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('# %% tag=["claim"]\n1', r"code cell 1: unknown cell setting 'tag'"),
        ("# %% A title\n1", "unknown cell setting 'title'"),
        ('# %% tags="claim"\n1', r"'claim' is not of type 'array'.*expected tags such as"),
        ('# %% tags=["a", "a"]\n1', "non-unique.*none of them twice"),
        ("# %% points=2\n1", "only a check cell has points"),
        ('# %% tags=["check:a"] points=0\n1', "expected points above 0, got 0"),
        ('# %% tags=["check:a"] points="2"\n1', "expected points above 0, got '2'"),
        ("# %% [raw]\n# x", "expected a code or .* cell, got 'raw'"),
        ('# %% id="a"\n1\n\n# %% id="a"\n2', "code cell 2: the id 'a' is taken or unfit"),
        ('# %% id="a b"\n1', "the id 'a b' is taken or unfit"),
    ],
)
def test_a_cell_with_unfit_settings_is_refused_by_name(text, reason):
    with pytest.raises(NotebookError, match=rf"09_rates\.py[,:] .*{reason}"):
        convert.lesson(text, "sources/notebooks/09_rates.py")


@pytest.mark.parametrize(
    ("lost", "reason"),
    [("    ### END SOLUTION\n", "no end solution"), ("### END HIDDEN TESTS\n", "[Nn]o end hidden")],
)
def test_a_region_that_does_not_end_is_refused(lost, reason):
    with pytest.raises(NotebookError, match=rf"09_rates\.py: {reason}"):
        convert.pair(MASTER.replace(lost, ""), SOURCE)


@pytest.mark.parametrize("tool", ["jupytext", "nbgrader"])
def test_a_missing_tool_is_named_with_what_installs_it(tool, monkeypatch):
    monkeypatch.setitem(sys.modules, tool, None)
    with pytest.raises(NotebookError, match=rf"needs {tool}; install it with: pip install -e "):
        convert.pair(MASTER, SOURCE)


def test_the_commands_load_no_author_tools_and_no_tensorflow():
    code = (
        "import sys, coursekit.course.notebooks.commands, coursekit.course.notebooks.run\n"
        "print({'jupytext', 'nbgrader', 'tensorflow', 'nbval'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
