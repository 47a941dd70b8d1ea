from __future__ import annotations

import re

import pytest
import typer
from typer.testing import CliRunner

from coursekit.course.notebooks import commands, convert
from coursekit.errors import ArgumentError, NotebookError

app = typer.Typer()
app.command()(commands.build)
app.command()(commands.run)


@pytest.fixture
def call(course, monkeypatch):
    """Call a command on the throw-away course: (exit code, everything it said, on one line)."""
    monkeypatch.setattr(commands, "ROOT", course.root)

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(words))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, re.sub(r"\s+", " ", result.output)

    return run


def put(course, kind: str, text: str, name: str = "03_sums"):
    """Store a notebook without executing it, as a quick build would be."""
    made = (
        convert.lesson(text, f"sources/notebooks/{name}.py")
        if kind == "notebooks"
        else convert.pair(text, f"sources/exercises/{name}.py")[kind == "solutions"]
    )
    path = course.root / kind / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    path.write_text(convert.to_text(made))
    return path


@pytest.fixture
def stored(course):
    lesson = (course.root / course.lesson()).read_text()
    exercise = (course.root / course.exercise()).read_text()
    for kind, text in (("notebooks", lesson), ("exercises", exercise), ("solutions", exercise)):
        put(course, kind, text)
    return course


def row(output: str, label: str) -> list[str]:
    """The cells of one line of the table."""
    line = output[output.index(f"│ {label}") :]
    return [cell.strip() for cell in line.split("│")[1:7]]


def test_a_run_ends_with_a_table_of_what_was_proved(stored, call):
    before = {path: path.read_bytes() for path in stored.root.rglob("*.ipynb")}
    code, said = call("run", "--exercises", "--profile", "quick")
    assert code == 0
    lesson, exercise, solution = (
        row(said, f"{kind}/03_sums") for kind in ("notebooks", "exercises", "solutions")
    )
    assert (lesson[2], lesson[3], lesson[4]) == ("1", "–", "–")
    assert exercise[3] == "0 of 1"
    assert solution[3] == "1"
    assert all(re.fullmatch(r"\d+ MB", cells[5]) for cells in (lesson, exercise, solution))
    assert {path: path.read_bytes() for path in stored.root.rglob("*.ipynb")} == before


def test_what_fails_is_told_in_one_sentence_and_the_others_still_run(stored, call):
    source = stored.lesson_with('assert False, "expected 3"', tags='tags=["claim"]', name="02_bad")
    put(stored, "notebooks", (stored.root / source).read_text(), "02_bad")
    code, said = call("run", "--kind", "notebooks")
    assert code == 1
    sentence = 'code cell 4 under "The extra": AssertionError: expected 3'
    assert f"failed notebooks/02_bad.ipynb {sentence}" in said
    assert "passed notebooks/03_sums.ipynb" in said
    assert row(said, "notebooks/02_bad FAILED")[2] == "1 of 2"
    assert said.endswith("1 of 2 notebooks failed. ")


def test_stand_in_data_are_told_at_the_end(stored, call, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSEKIT_DATA", "nothing")
    used = (
        "# %%\nimport sys, types\n"
        "used = lambda: {'mnist': 'embedded', 'digits': 'embedded', 'cifar10': 'official'}\n"
        "sys.modules['coursekit.datasets'] = types.SimpleNamespace(used=used)\n"
    )
    put(stored, "notebooks", used, "04_data")
    code, said = call("run", "4")
    assert code == 0
    assert row(said, "notebooks/04_data")[4].startswith("stand-in for mnist; embedded digits")
    told = said.replace(" ", "")
    assert f"Stand-indatatooktheplaceofmnist:therealimagesarenotin{tmp_path}/nothing." in told
    assert "Stand-in" not in call("run", "3", "--kind", "notebooks")[1]


def test_pages_are_kept_also_of_what_failed(stored, call, tmp_path):
    call("run", "3", "--kind", "notebooks", "--html", str(tmp_path / "pages"))
    page = (tmp_path / "pages/notebooks/03_sums.html").read_text(encoding="utf-8")
    assert "A small lesson" in page
    assert "one 1" in page


def test_an_endless_cell_ends_after_the_limit(stored, call):
    put(stored, "notebooks", "# %% [markdown]\n# # T\n\n# %%\nwhile True:\n    pass\n", "02_on")
    code, said = call("run", "2", "--cell-timeout", "1")
    assert code == 1
    assert "still running after 1 s" in said


def test_a_solution_runs_with_its_checks_enforced_and_a_lesson_does_not(stored, call):
    probe = "# %%\nimport os\nassert 'COURSEKIT_GRADING' not in os.environ\n"
    put(stored, "notebooks", probe, "04_probe")
    put(stored, "solutions", probe, "04_probe")
    code, said = call("run", "4")
    assert code == 1
    assert "passed notebooks/04_probe.ipynb" in said
    assert "failed solutions/04_probe.ipynb" in said


def test_a_learners_copy_can_be_run_by_its_path(stored, call, tmp_path):
    copy = tmp_path / "mine" / "03_sums.ipynb"
    copy.parent.mkdir()
    copy.write_bytes((stored.root / "notebooks/03_sums.ipynb").read_bytes())
    code, said = call("run", str(copy))
    assert code == 0
    assert "mine/03_sums.ipynb" in said.replace(" ", "")


@pytest.mark.parametrize("wanted", ["7", "nothing", "notebooks/07_x.ipynb"])
def test_an_unknown_notebook_is_answered_with_what_there_is(stored, call, wanted):
    with pytest.raises(ArgumentError, match=f"No notebook '{wanted}': there is 03_sums"):
        call("run", wanted)


def test_wrong_options_are_refused_in_a_sentence(stored, call):
    with pytest.raises(ArgumentError, match=r"--kind: expected .*, got 'lesson'"):
        call("run", "--kind", "lesson")
    with pytest.raises(ArgumentError, match="expected quick, standard or full, got 'fast'"):
        call("run", "--profile", "fast")
    with pytest.raises(ArgumentError, match="expected quick, standard or full, got 'fast'"):
        call("build", "--profile", "fast")
    assert call("run", "--cell-timeout", "0")[0] == 2


def test_without_built_notebooks_the_way_to_build_them_is_named(course, call):
    with pytest.raises(NotebookError, match="run: python -m coursekit build"):
        call("run")


def test_a_damaged_notebook_is_named_and_the_others_still_run(stored, call):
    (stored.root / "notebooks/03_sums.ipynb").write_text("{")
    code, said = call("run", "3")
    assert code == 1
    assert "failed notebooks/03_sums.ipynb the file is not a readable notebook" in said
    assert "passed solutions/03_sums.ipynb" in said


def test_build_reports_each_notebook_and_check_agrees(course, call):
    course.lesson()
    course.exercise()
    code, said = call("build", "3")
    assert code == 0
    for label in ("run notebooks", "refreshed exercises", "run solutions"):
        assert f"{label}/03_sums.ipynb" in said
    code, said = call("build")
    assert (code, said.count("up to date")) == (0, 3)
    assert call("build", "--check") == (0, "Everything built is in step with sources/. ")


def test_check_names_the_file_and_the_remedy(course, call):
    course.lesson()
    code, said = call("build", "--check", "3")
    assert code == 1
    assert "notebooks/03_sums.ipynb: is missing" in said
    assert said.endswith("run: python -m coursekit build 3 ")


def test_a_source_that_cannot_be_built_does_not_stop_the_others(course, call):
    course.lesson("# %%\n1\n", "02_bad")
    course.lesson()
    code, said = call("build")
    assert code == 1
    assert "sources/notebooks/02_bad.py: the heading" in said
    assert (course.root / "notebooks/03_sums.ipynb").exists()


def test_a_source_with_an_unfit_name_is_refused(course, call):
    course.lesson(name="sums")
    with pytest.raises(ArgumentError, match=r"sources/notebooks/sums\.py: expected a name of two"):
        call("build")
