from __future__ import annotations

import copy
import re
import tempfile
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from coursekit.course.notebooks import convert, rules


def lesson_findings(text: str) -> list[str]:
    return rules.source_findings(convert.lesson(text, "sources/notebooks/03_sums.py"), "notebooks")


def exercise_findings(text: str) -> list[str]:
    exercise, solution = convert.pair(text, "sources/exercises/03_sums.py")
    assert exercise.cells[0].id == solution.cells[0].id
    return rules.source_findings(solution, "solutions")


def test_a_good_lesson_and_a_good_exercise_pass(course):
    lesson, exercise = course.root / course.lesson(), course.root / course.exercise()
    assert lesson_findings(lesson.read_text()) == []
    assert exercise_findings(exercise.read_text()) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("## Recap", "## Summary", 'the heading "Recap" is missing'),
        ("## Recap", "```\n# ## Recap\n# ```", 'the heading "Recap" is missing'),
        ("## Further reading", "Further reading", 'the heading "Further reading" is missing'),
        ("## Now practise", "## Practise now", 'the heading "Now practise" is missing'),
        ("## What you will be able to do", "## Aims", 'to do" is missing'),
        ("in 1 minute", "soon", "does not say how many minutes"),
        ("one = 1", "one = 1\n" * 45 + "two = 2", "has 48 lines of code; at most 45"),
        ("one = 1", "one = 1\nassert one", "code cell 1 .* lacks the tag claim"),
        ("one = 1", "for i in range(3):\n    assert i < 3", "lacks the tag claim"),
        ("one = 1", 'ck.prove("It adds", True, "1 + 1 = 2")', "lacks the tag claim"),
        ("assert one + one == 2", "print(2)", "has the tag claim but asserts nothing"),
        ('"claim"', '"claim", "raises-exception"', "raises-exception would hide a failure"),
        ('"claim"', '"claim", "nbval-skip"', "nbval-skip would hide a failure"),
        ('"claim"', '"claim", "tsk:a"', "'tsk:a' is neither"),
        ('"claim"', '"claim", "task:a"', "tasks and checks belong in sources/exercises"),
        ("# It adds.", "# ![](a.png)", "picture without alternative text"),
        ("# It adds.", '# <img src="a.png">', "picture without alternative text"),
        ("# It adds.", "# See /home/someone/x.", "holds /home/someone/, a path of one machine"),
        ("one = 1", 'one = "C:\\\\Users\\\\me"', "a path of one machine"),
        ("import sys\n\none = 1\n", "", "code cell 1 .*: is empty"),
    ],
)
def test_a_lesson_that_breaks_a_rule_is_told_which_and_where(course, old, new, finding):
    text = (course.root / course.lesson()).read_text()
    assert old in text
    found = lesson_findings(text.replace(old, new, 1))
    assert any(re.search(finding, line) for line in found), found


def test_pictures_with_alternative_text_and_web_addresses_pass(course):
    text = (course.root / course.lesson()).read_text()
    good = '# ![a curve](a.png) <img src="b.png" alt="b"> https://host.org/home/x/y'
    assert lesson_findings(text.replace("# It adds.", good)) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ('# %% tags=["check:square"] points=2', "# %%", "task:square has no check:square"),
        ('# %% tags=["check:square"] points=2', "# %%", "has hidden tests but no tag check:name"),
        ('tags=["task:square"]', "", "has a solution but no tag task:name"),
        ('tags=["task:square"]', "", "check:square has no task:square"),
        ("ex.square(square)", "square(2)", "does not call ex.square"),
        ("    ### BEGIN SOLUTION\n    return x * x\n    ### END SOLUTION", "    ...", "no region"),
        ('"task:square"', '"task:square", "check:square"', "is a task and a check at once"),
    ],
)
def test_a_task_and_its_check_must_match(course, old, new, finding):
    text = (course.root / course.exercise()).read_text()
    assert old in text
    found = exercise_findings(text.replace(old, new))
    assert any(finding in line for line in found), found


def test_a_check_above_its_task_and_a_doubled_pair_are_found():
    task = '# %% tags=["task:a"]\n### BEGIN SOLUTION\na = 1\n### END SOLUTION\n\n'
    check = '# %% tags=["check:a"]\nex.a(a)\n\n'
    assert exercise_findings(task + check) == []
    assert exercise_findings(check + task) == ["code cell 2: check:a must stand below task:a."]
    doubled = exercise_findings(task + check + task + check)
    assert doubled == [
        "code cell 3: task:a is there twice.",
        "code cell 4: check:a is there twice.",
    ]


def shown(output) -> list[str]:
    cell = new_code_cell("show()", outputs=[output], execution_count=1)
    return rules.output_findings(new_notebook(cells=[new_markdown_cell("# Title"), cell]))


def picture(**metadata):
    return new_output("display_data", {"image/png": "iVBO", "text/plain": "x"}, metadata=metadata)


VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.mark.parametrize(
    ("output", "finding"),
    [
        (new_output("stream", name="stderr", text="\nWarning: x\n"), "to stderr: Warning: x"),
        (new_output("error", ename="ValueError", evalue="no"), "ends in an error: ValueError: no"),
        (picture(), "a picture without alternative text; use ck.show"),
        (picture(**{"image/png": {"alt": "  "}}), "a picture without alternative text"),
        (new_output("display_data", {VIEW: {"model_id": "1"}}), "shows a widget"),
        (new_output("display_data", {"text/html": "<IMG src='a'>"}), "without alternative text"),
        (new_output("display_data", {"image/svg+xml": "<svg/>"}), "without alternative text"),
        (new_output("stream", name="stdout", text="in /Users/me/x"), "shows /Users/me/, a path"),
        (new_output("stream", name="stdout", text=f"({Path.home()}/x)"), "a path of one machine"),
        (
            new_output("execute_result", {"text/plain": f"'{tempfile.gettempdir()}'"}),
            "a path of one machine",
        ),
    ],
)
def test_an_output_that_must_not_be_stored_is_found(output, finding):
    found = shown(output)
    assert found
    assert all(line.startswith('code cell 1 under "Title": ') for line in found)
    assert any(finding in line for line in found), found


@pytest.mark.parametrize(
    "output",
    [
        picture(**{"image/png": {"alt": "a curve"}}),
        new_output("stream", name="stdout", text="see https://host.org/home/me/x and a/b"),
        new_output("display_data", {"text/html": '<img alt="x" src="y">'}),
    ],
)
def test_a_fit_output_passes(output):
    assert shown(output) == []


def test_stored_widget_state_is_found():
    nb = new_notebook(metadata={"widgets": {"state": {}}})
    assert rules.output_findings(nb) == ["the notebook: holds the state of widgets."]


def test_tidying_takes_addresses_out_and_numbers_cells_without_touching_hex_numbers():
    def made(address: str):
        outputs = [
            new_output("stream", name="stdout", text=f"<f at {address}> 0xDEADBEEF"),
            new_output("execute_result", {"text/plain": f"<g at {address}>"}, execution_count=9),
        ]
        return new_notebook(
            cells=[
                new_code_cell("1", execution_count=4, id="a"),
                new_markdown_cell("x", id="b"),
                new_code_cell("2", execution_count=9, outputs=outputs, id="c"),
            ]
        )

    first, second = made("0x7f00aa11"), made("0x55e1")
    untouched = copy.deepcopy(first)
    rules.tidy_outputs(first)
    rules.tidy_outputs(second)
    assert first == second != untouched
    assert [cell.get("execution_count") for cell in first.cells] == [1, None, 2]
    assert first.cells[2].outputs[0].text == "<f at 0x…> 0xDEADBEEF"
    assert first.cells[2].outputs[1].execution_count == 2
