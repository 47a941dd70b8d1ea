"""Plans: every section appears, minutes add up, seconds and mistakes are those of their sources."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from coursekit.base.environment import ROOT
from coursekit.checks.engine.tasks import TaskList, load, numbers
from coursekit.cli import main
from coursekit.course.classroom import outline, plan_measured, plan_parts
from coursekit.course.classroom.outline import Experiment, Outline, Section
from coursekit.course.classroom.plan import plan
from coursekit.course.classroom.plan_clock import clock, share
from coursekit.course.classroom.plan_measured import Lesson, Measured
from coursekit.course.classroom.plan_parts import Late, Part, Question
from coursekit.course.notebooks import form
from coursekit.course.notebooks.catalogue import Notebook, built
from coursekit.errors import ArgumentError, CourseError

LESSONS = [notebook.name for notebook in built(ROOT, ["notebooks"])]
FACTOR = 1.5
AUTHORS_TOOL = ROOT / "tools" / "measure_lessons.py"


def stored(name):
    return json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))


def text_of(nb):
    """Return all text of a notebook without fences and pictures."""
    cells = [cell for cell in nb["cells"] if cell["cell_type"] == "markdown"]
    text = "\n\n".join("".join(cell["source"]) for cell in cells)
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def tables(text, heading):
    """Return the rows of the first table under a heading of a plan, as lists of cells."""
    below = text.split(f"\n## {heading}\n", 1)[1].split("\n## ")[0]
    lines = [line for line in below.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.fixture(scope="module")
def plans():
    return {name: plan(ROOT, name) for name in LESSONS}


@pytest.mark.parametrize("name", LESSONS)
@pytest.mark.parametrize("minutes", [90, 45])
def test_every_section_appears_and_the_minutes_add_up(plans, name, minutes):
    *rows, end = tables(plans[name], f"{minutes} minutes")
    headings = re.findall(r"^## (.+)$", text_of(stored(name)), re.MULTILINE)
    assert [row[1] for row in rows] == headings

    now = 0
    for start, _, *shares, _ in rows:
        assert start in ("", f"{now // 60}:{now % 60:02}")
        now += sum(int(each or 0) for each in shares)
    assert now == minutes
    columns = [sum(int(row[i] or 0) for row in rows) for i in (2, 3, 4)]
    assert [int(each) for each in end[2:5]] == columns
    assert end[-1] == f"{minutes} minutes"


@pytest.mark.parametrize("name", LESSONS)
def test_the_seconds_are_those_of_the_last_run(plans, name):
    nb = stored(name)
    ids = [cell["id"] for cell in nb["cells"] if cell["cell_type"] == "code"]
    standard = nb["metadata"]["coursekit"].get("seconds", {})
    record = json.loads((ROOT / plan_measured.FILE).read_text(encoding="utf-8"))
    quick = record["lessons"].get(name, {"seconds": {}})["seconds"]

    listed = "| cell | section |" in plans[name]
    rows = tables(plans[name], "How long cells run") if listed else []
    shown = {ids[int(row[0]) - 1]: row[-2:] for row in rows}
    for cell in ids:
        for place, seconds in enumerate((quick.get(cell), standard.get(cell))):
            if seconds is not None and seconds > 2:
                said = re.fullmatch(r"([\d.]+) s", shown[cell][place])
                assert 1 / FACTOR < float(said[1]) / seconds < FACTOR, (name, cell)


@pytest.mark.parametrize("name", LESSONS)
def test_the_cells_of_a_lesson_in_the_new_form_are_measured(name):
    nb = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    known = plan_measured.read(ROOT).lessons.get(name, Lesson())
    code = {cell.id for cell in nb.cells if cell.cell_type == "code"}
    if form.is_new(nb):
        assert code <= set(known.seconds), f"run: python tools/measure_lessons.py {name[:2]}"


@pytest.mark.parametrize("name", LESSONS)
def test_every_question_of_the_lesson_is_asked(plans, name):
    asked = len(re.findall(r"(?<!- )\*\*Predict\s+first", text_of(stored(name))))
    assert plans[name].count("**Ask:** ") == asked


@pytest.mark.parametrize("name", LESSONS)
def test_the_mistakes_are_reasons_of_the_checks(plans, name):
    table = [(task.name, reason) for task in load(int(name[:2])) for reason in task.mistakes]
    said = re.findall(r"^\d\. `(\w+)`: (.+)$", plans[name], re.MULTILINE)
    assert len(set(said)) == len(said) == min(5, len(table))
    assert set(said) <= set(table)


@pytest.mark.parametrize("number", [int(name[:2]) for name in LESSONS])
def test_the_hand_written_part_fits_its_lesson(number):
    part = plan_parts.read(ROOT, number)
    lesson = outline.lesson(ROOT, f"{number:02}")
    found = list(plan_parts.unfit(part, lesson, load(number)))
    assert found == [], f"sources/plans/{number:02}.toml"


def test_every_part_belongs_to_a_lesson():
    files = {path.stem for path in (ROOT / plan_parts.FOLDER).glob("*.toml")}
    assert files <= {name[:2] for name in LESSONS}
    assert set(map(int, files)) <= set(numbers())


def made_up(words=(300, 200, 400), questions=(1, 1, 2)):
    """Return a lesson with these sections in a whole frame."""
    frame = [Section(name, [Experiment(before=["word"])]) for name in outline.FRAME]
    sections = [
        Section(f"{i + 1} · Part {i + 1}", [Experiment(before=["word " * n], question="What?")])
        for i, n in enumerate(words)
    ]
    for section, n in zip(sections, questions, strict=True):
        section.experiments += [Experiment(question="What?") for _ in range(n - 1)]
    return Outline("07_made_up", "07 Made up", [], [frame[0], *sections, *frame[1:]], {}, True)


def test_whatever_the_lesson_the_clock_ends_on_time():
    for sizes, total in itertools.product(
        [(10,), (300, 200, 400), (5000,) * 12, (1,) * 20], (31, 45, 60, 90, 240)
    ):
        lesson = made_up(sizes, [2] * len(sizes))
        rows = clock(lesson, total, {"1 · Part 1": 130})
        assert sum(row.minutes for row in rows) == total
        assert min(min(row.talk, row.run, row.discuss) for row in rows) >= 0
        assert [row.title for row in rows] == [section.title for section in lesson.sections]


def test_minutes_are_shared_exactly_and_nobody_gets_none():
    assert share(3, [9, 9, 9]) == [1, 1, 1]
    assert share(27, [9, 9, 9]) == [9, 9, 9]
    for total in range(4, 40):
        shares = share(total, [40, 1, 10, 5])
        assert sum(shares) == total
        assert min(shares) >= 1
        assert shares[0] == max(shares)


def test_the_time_of_running_cells_is_not_shortened():
    lesson = made_up((900,) * 4, (3,) * 4)
    rows = {row.title: row for row in clock(lesson, 60, {"1 · Part 1": 300, "2 · Part 2": 29})}
    assert rows["1 · Part 1"].run == 5
    assert rows["2 · Part 2"].run == 0


def test_sections_are_skipped_in_the_order_of_the_part():
    lesson = made_up((1500,) * 4, (2,) * 4)
    rows = clock(lesson, 45, {}, late=["Part 2", "no such section"])
    skipped = {row.title for row in rows if row.note.startswith("skip")}
    assert "2 · Part 2" in skipped
    assert "1 · Part 1" not in skipped
    assert all(row.minutes == 0 for row in rows if row.title in skipped)


def test_what_is_left_of_a_long_lesson_goes_to_the_exercise():
    rows = {row.title: row for row in clock(made_up((100,), (1,)), 90, {})}
    assert rows["Now practise"].run == 90 - sum(
        row.minutes for title, row in rows.items() if title != "Now practise"
    )
    assert rows["Now practise"].run > 60


def test_too_few_minutes_are_refused():
    with pytest.raises(ArgumentError, match="8 minutes are too few for lesson 07"):
        clock(made_up(), 8, {})


def notebook(tmp_path, *cells, **metadata):
    path = tmp_path / "notebooks" / "07_made_up.ipynb"
    path.parent.mkdir(exist_ok=True)
    nb = new_notebook(cells=list(cells), metadata={"coursekit": metadata})
    path.write_text(nbformat.writes(nb), encoding="utf-8")
    return Notebook("notebooks", path.stem, path)


def test_an_outline_has_sections_questions_and_findings(tmp_path):
    lesson = outline.read(
        notebook(
            tmp_path,
            new_markdown_cell("# 07 Made up\n\nWhy?\n\n## 1 · One\n```\n## no heading\n\nx\n```"),
            new_markdown_cell("Set-up. **Predict\nfirst:** which one\nwins?"),
            new_code_cell("1"),
            new_markdown_cell("**One wins by 3.** Since.\n\nAnd now? **Predict first:** again?"),
            new_code_cell("2"),
            new_markdown_cell("### Deeper\n\nMore.\n\n## Recap\n- one"),
        )
    )
    assert (lesson.title, lesson.lead) == ("07 Made up", ["Why?"])
    assert [section.title for section in lesson.sections] == ["1 · One", "Recap"]
    first, second, third = lesson.sections[0].experiments
    assert (first.before, first.lead) == (["```\n## no heading\n\nx\n```"], "Set-up.")
    assert first.question == "Which one\nwins?"
    assert first.findings == ["**One wins by 3.**"]
    assert (second.before, second.lead, second.question) == ([], "And now?", "Again?")
    assert [cell.source for cell in second.cells] == ["2"]
    assert (third.heading, third.items, third.before) == ("Deeper", [], ["More."])


def test_a_part_that_no_longer_fits_is_told_word_by_word(tmp_path):
    lesson = outline.read(
        notebook(
            tmp_path,
            new_markdown_cell("# T\n\n## 1 · One\n\n**Predict first:** which one wins?"),
            new_code_cell("1"),
        )
    )
    tasks = TaskList(7, "Made up")
    tasks.task("A task", hints=("h",), mistakes={"Too long.": 1, "Too short.": 2})(check)
    fitting = Part(
        ("check",), ("check: Too long",), (), (Late("One", "x"),), (Question("WINS", ("a",)),)
    )
    assert list(plan_parts.unfit(fitting, lesson, tasks)) == []
    late, questions = (Late("Two", ""),), (Question("loses", ()),)
    wrong = Part(("gone",), ("check: Too", "other: Too long"), (), late, questions)
    said = list(plan_parts.unfit(wrong, lesson, tasks))
    assert len(said) == 6
    for words in (
        "'Two'",
        "'loses'",
        "has no usual",
        "'gone'",
        "'check: Too'",
        "'other: Too long'",
    ):
        assert any(words in each for each in said), words


def check(answer):
    raise NotImplementedError


@pytest.mark.parametrize("text", ["late = 3", "x = 1", "[[question]]\nasks = 'a'", "= ="])
def test_a_part_that_cannot_be_read_is_refused_in_one_sentence(tmp_path, text):
    folder = tmp_path / plan_parts.FOLDER
    folder.mkdir(parents=True)
    (folder / "07.toml").write_text(text)
    with pytest.raises(CourseError, match=r"sources/plans/07\.toml cannot be used") as refused:
        plan_parts.read(tmp_path, 7)
    assert "\n" not in str(refused.value)
    assert plan_parts.read(tmp_path, 8) == Part()


def test_measurements_are_kept(tmp_path):
    assert plan_measured.read(tmp_path) == Measured()
    plan_measured.write(tmp_path, Measured({"07_made_up": Lesson({"a": 1.26}, 900.4)}, 2000))
    assert plan_measured.read(tmp_path) == Measured({"07_made_up": Lesson({"a": 1.3}, 900)}, 2000)
    (tmp_path / plan_measured.FILE).write_text('{"lessons": []}')
    with pytest.raises(CourseError, match="delete it and run that tool"):
        plan_measured.read(tmp_path)


def test_the_largest_notebook_is_that_of_any_profile(tmp_path):
    assert plan_measured.largest(tmp_path) is None
    plan_measured.write(tmp_path, Measured({"07_made_up": Lesson({}, 900), "08_x": Lesson()}))
    assert plan_measured.largest(tmp_path) == ("notebooks/07_made_up", 900)
    notebook(tmp_path, new_code_cell("1"))
    assert plan_measured.largest(tmp_path) == ("notebooks/07_made_up", 900)
    notebook(tmp_path, new_code_cell("1"), peak_mb=1200)
    assert plan_measured.largest(tmp_path) == ("notebooks/07_made_up", 1200)


def test_the_profile_is_one_whose_waiting_a_class_endures(tmp_path):
    cell = new_code_cell("1")
    cells = [new_markdown_cell("# T\n\n## 1 · One\n\ntext"), cell]
    notebook(tmp_path, *cells, seconds={cell.id: 400.0})
    measured = Measured({"07_made_up": Lesson({cell.id: 40.0})})
    plan_measured.write(tmp_path, measured)
    assert "profile **standard**" in plan(tmp_path, "7", [90])
    assert "profile **quick**" in plan(tmp_path, "7", [45])
    notebook(tmp_path, *cells)
    assert "profile **quick**" in plan(tmp_path, "7", [90])
    plan_measured.write(tmp_path, Measured())
    assert "Nobody has measured yet" in plan(tmp_path, "7", [90])


def test_the_tool_knows_a_lesson_whose_code_has_changed(tmp_path):
    spec = importlib.util.spec_from_file_location("measure_lessons", AUTHORS_TOOL)
    tool = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = tool
    spec.loader.exec_module(tool)
    cell = new_code_cell("1")
    path = notebook(tmp_path, new_markdown_cell("# T"), cell).path
    assert tool.stale(path, Lesson())
    assert not tool.stale(path, Lesson({cell.id: 0.1}))


def test_the_command_writes_a_file_whole_or_says_why_not(tmp_path, capsys):
    assert main(["class", "plan", "09", "--out", str(tmp_path / "new" / "plan.md")]) == 0
    assert (tmp_path / "new" / "plan.md").read_text(encoding="utf-8") == plan(ROOT, "9")
    assert main(["class", "plan", "9", "--minutes", "60"]) == 0
    assert "## 60 minutes" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    for wrong in (["77"], ["15"], ["9", "--minutes", "5"], ["9", "--out", f"{tmp_path}/file/x"]):
        assert main(["class", "plan", *wrong]) == 2
        said = capsys.readouterr().err
        assert said.startswith("coursekit: ")
        assert said.count("\n") == 1
