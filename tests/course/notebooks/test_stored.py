"""The notebooks of the course as they are stored: in step with their sources, and fit."""

from __future__ import annotations

import nbformat
import pytest
from nbgrader import nbgraderformat

from coursekit.base.environment import ROOT
from coursekit.course.notebooks import build, rules
from coursekit.course.notebooks.catalogue import built, from_sources
from coursekit.course.notebooks.cells import headings, tags

STORED = built(ROOT)
by_label = pytest.mark.parametrize("notebook", STORED, ids=lambda notebook: notebook.label)


def read(notebook) -> nbformat.NotebookNode:
    return nbformat.read(notebook.path, as_version=4)


def test_every_source_is_built_and_nothing_else_is_there():
    assert STORED
    assert {notebook.label for notebook in STORED} == {
        notebook.label for notebook in from_sources(ROOT)
    }


@pytest.mark.parametrize("notebook", from_sources(ROOT), ids=lambda notebook: notebook.label)
def test_a_built_notebook_is_in_step_with_its_source(notebook):
    assert build.check(ROOT, [notebook.label]) == []


@by_label
def test_a_stored_notebook_is_valid_small_and_free_of_this_machine(notebook):
    nb = read(notebook)
    nbformat.validate(nb)
    assert notebook.path.stat().st_size <= rules.MAX_BYTES
    assert rules.output_findings(nb) == []
    ids = [cell.id for cell in nb.cells]
    assert len(set(ids)) == len(ids)


@by_label
def test_code_cells_are_short_and_executed_in_order_or_not_at_all(notebook):
    code = [cell for cell in read(notebook).cells if cell.cell_type == "code"]
    assert max(len(cell.source.splitlines()) for cell in code) <= rules.MAX_LINES
    counts = [cell.execution_count for cell in code]
    expected = [None] * len(code) if notebook.kind == "exercises" else [*range(1, len(code) + 1)]
    assert counts == expected


@by_label
def test_pictures_have_alternative_text(notebook):
    outputs = [output for cell in read(notebook).cells for output in cell.get("outputs", [])]
    for output in outputs:
        for mime in output.get("data", {}):
            if mime.startswith("image/"):
                assert output.metadata[mime]["alt"].strip()


@pytest.mark.parametrize("notebook", built(ROOT, ["notebooks"]), ids=lambda notebook: notebook.name)
def test_a_lesson_has_its_headings_claims_and_checked_outputs(notebook):
    nb = read(notebook)
    titles = [title for cell in nb.cells for title in headings(cell)]
    assert [title for title in titles if title in rules.HEADINGS] == list(rules.HEADINGS)
    assert any("claim" in tags(cell) for cell in nb.cells)


@pytest.mark.parametrize("notebook", built(ROOT, ["exercises"]), ids=lambda notebook: notebook.name)
def test_an_exercise_and_its_solution_are_twins_that_nbgrader_reads(notebook):
    solution = ROOT / "solutions" / notebook.path.name
    pair = [
        nbgraderformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        for path in (notebook.path, solution)
    ]
    assert [cell.id for cell in pair[0].cells] == [cell.id for cell in pair[1].cells]
    text = notebook.path.read_text(encoding="utf-8")
    assert "BEGIN SOLUTION" not in text
    assert "BEGIN HIDDEN TESTS" not in text
    tasks = [cell for cell in pair[0].cells if cell.metadata.get("nbgrader", {}).get("solution")]
    stubs = {"code": "# your code here", "markdown": "*Your answer:*"}
    assert tasks
    assert all(stubs[cell.cell_type] in cell.source for cell in tasks)
