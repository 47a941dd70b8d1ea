"""The form of the second edition: folded cells, numbers in the text, drawings, times, findings."""

from __future__ import annotations

import base64
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from coursekit.course.notebooks import build, convert, form, prose, rules
from coursekit.errors import NotebookError

LESSON = """\
# %% [markdown]
# # A small lesson
#
# ## What you will be able to do
# Add: {{ minutes.reading }} minutes to read, {{ minutes.with_code }} minutes with the code.

# %%
one = 1

# %% [markdown]
# ## 1 · The sum
#
# **Predict first:** what is it?

# %% tags=["helper"]
def add(a, b):
    return a + b


# %% [markdown]
# **One and one make {{ add(one, one):.1f }}**, in this run.

# %%
one = 5

# %% [markdown]
# Now it is {{ {"a": one}["a"]:d }}.
#
# ## What to do tomorrow
#
# 1. Add.
#
# ## Recap
# It adds.
#
# ## Now practise
# Exercise 03.
#
# ## Further reading
# A book.
"""
LABEL = "notebooks/03_sums.ipynb"


def stored(course):
    return nbformat.read(course.root / LABEL, as_version=4)


def text_of(nb):
    return "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")


def findings(text):
    return rules.source_findings(convert.lesson(text, "sources/notebooks/03_sums.py"), "notebooks")


def built(course, text=LESSON):
    source = course.lesson(text)
    (line,) = build.build_source(course.root, source)
    assert build.check(course.root) == []
    return line.action


def test_numbers_are_those_of_the_kernel_as_it_stood_at_that_text(course):
    built(course)
    text = text_of(stored(course))
    assert "**One and one make 2.0**" in text
    assert "Now it is 5." in text
    assert "Add: 5 minutes to read, 5 minutes with the code." in text
    assert "{{" not in text


def test_a_mended_sentence_keeps_its_numbers_and_a_new_expression_runs_again(course):
    assert built(course) == "run"
    assert built(course, LESSON.replace("in this run", "as stored")) == "refreshed"
    assert "**One and one make 2.0**, as stored." in text_of(stored(course))
    assert built(course, LESSON.replace("add(one, one):.1f", "add(one, 0):.1f")) == "run"
    assert "**One and one make 1.0**" in text_of(stored(course))


def test_a_number_changed_by_hand_is_found(course):
    built(course)
    nb = stored(course)
    cell = next(cell for cell in nb.cells if "make 2.0" in cell.source)
    cell.source = cell.source.replace("2.0", "3.0")
    nbformat.write(nb, course.root / LABEL)
    assert any("changed by hand" in line for line in build.check(course.root))


@pytest.mark.parametrize("expression", ["nowhere", "one:.2x", "one +", "add(one)"])
def test_an_expression_that_fails_stops_the_build_with_the_cell(course, expression):
    source = course.lesson(LESSON.replace("add(one, one):.1f", expression))
    with pytest.raises(NotebookError, match=r'text cell 3 under "1 · The sum".*cannot be filled'):
        build.build_source(course.root, source)
    assert not (course.root / LABEL).exists()


def test_what_is_no_python_is_told_before_anything_runs(course, monkeypatch):
    monkeypatch.setattr(build, "execute", lambda *_, **__: pytest.fail("the lesson was run"))
    source = course.lesson(LESSON.replace("add(one, one):.1f", "add(one, one]:.1f"))
    with pytest.raises(
        NotebookError, match=r'text cell 3 under "1 · The sum".*a Python expression'
    ):
        build.build_source(course.root, source)


def test_helpers_plots_and_claims_are_folded_and_do_not_count(course):
    built(course)
    nb = stored(course)
    hidden = [cell for cell in nb.cells if cell.metadata.get("jupyter", {}).get("source_hidden")]
    assert [cell.source.splitlines()[0] for cell in hidden] == ["def add(a, b):"]
    assert hidden[0].metadata.tags == ["helper", "hide-input"]
    assert sum(map(form.visible, nb.cells)) == 2


def test_a_cell_that_is_newly_folded_keeps_its_outputs(course):
    built(course)
    nb = stored(course)
    for cell in nb.cells:
        cell.metadata.pop("jupyter", None)
        if "helper" in cell.metadata.get("tags", []):
            cell.metadata.tags = ["helper"]
    nbformat.write(nb, course.root / LABEL)
    assert built(course) == "refreshed"


def test_a_drawing_is_embedded_and_shown_as_data(course):
    folder = course.root / "sources" / "figures"
    folder.mkdir(parents=True)
    (folder / "chain.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg">\n  <g/>\n</svg>\n')
    built(course, LESSON.replace("in this run.", "in this run.\n#\n# ![A](../figures/chain.svg)"))
    found = re.search(r"!\[A\]\(data:image/svg\+xml;base64,(.+?)\)", text_of(stored(course)))
    drawing = base64.b64decode(found[1]).decode()
    assert drawing == '<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>'
    (folder / "chain.svg").write_text("<svg/>")
    assert any("its text differs" in line for line in build.check(course.root))
    (folder / "chain.svg").unlink()
    assert any("there is no drawing chain.svg" in line for line in build.check(course.root))


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("one = 1\n", "one = 1\n" * 16, "shows 16 lines of code; at most 15"),
        ("one = 1\n", "one = 1\n\n# %%\n" * 61, "cells; at most 60"),
        ("one = 1\n", ("one = 1\n" * 14 + "\n# %%\n") * 18, "lines of code; at most 250"),
        ("{{ minutes.with_code }}", "9", "names one time"),
        ("**One", "One", 'the section "1 · The sum" has no finding'),
        ("{{ add(one, one):.1f }}**", "two**", 'the section "1 · The sum" has no finding'),
        ("## What to do tomorrow", "## Rules", '"What to do tomorrow" is missing'),
        ("# 1. Add.", "# 1. Add.\n" * 6, "has 6 rules; expected 1 to 5"),
        ("# 1. Add.", "# Add.", "has 0 rules"),
    ],
)
def test_a_lesson_that_breaks_the_form_is_told_how(old, new, finding):
    assert findings(LESSON) == []
    assert old in LESSON
    found = findings(LESSON.replace(old, new, 1))
    assert any(finding in line for line in found), found


def test_lessons_of_the_first_edition_are_not_measured_by_the_form():
    text = LESSON.replace("{{ minutes.reading }}", "5").replace("{{ minutes.with_code }}", "9")
    assert findings(text.replace("one = 1\n", "one = 1\n" * 20)) == []


def test_times_count_words_pictures_questions_code_and_waiting():
    text = new_markdown_cell("word " * 1800 + "**Predict first:** " * 5)
    picture = new_output("display_data", data={"image/png": ""}, metadata={})
    code = new_code_cell("x = 1\n\n" * 100, outputs=[picture] * 15)
    nb = new_notebook(cells=[text, code], metadata={"coursekit": {"seconds": {"a": 290.0}}})
    # 10 min of words (and the questions' own), 15 pictures at 20 s, 5 questions; 100 lines, 290 s
    assert form.minutes(nb) == {"minutes.reading": "20", "minutes.with_code": "35"}


def test_a_text_without_expressions_is_left_alone():
    cell = new_markdown_cell(r"$x^{{2}}$ and {{not one}}")
    assert prose.expressions(cell) == []
    prose.fill(cell, {})
    assert "coursekit" not in cell.metadata
