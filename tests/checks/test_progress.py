"""What is remembered, what graders see, and how it looks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from coursekit.checks import NotCorrectError, Wrong, exercise, passed
from coursekit.checks.engine.progress import ProgressStore, progress_folder
from coursekit.checks.engine.session import Exercise
from coursekit.checks.engine.tasks import TaskList

TASKS = TaskList(99, "Toys")


@TASKS.task("Six", hints=("Half a dozen.", "A < B"))
def six(answer):
    if answer != 6:
        raise Wrong("a < b & `c > d`")


@TASKS.task("Seven", hints=("Days.", "Dwarfs."))
def seven(answer):
    if answer != 7:
        raise Wrong("no")


def opened():
    return Exercise(TASKS, ProgressStore(99, progress_folder()))


def kept():
    return progress_folder() / "exercise_99.json"


def test_progress_survives_a_restart():
    opened().six(6)
    assert repr(opened().progress()).splitlines() == [
        "Exercise 99 · Toys",
        "✔ done  six    Six",
        "○ open  seven  Seven",
        "1 of 2 done",
    ]


def test_done_stays_done_and_the_last_try_is_told():
    ex = opened()
    ex.six(6)
    ex.six(5)
    ex.seven(6)
    text = repr(opened().progress())
    assert "✔ done (last try: wrong)" in text
    assert "○ open (last try: wrong)" in text
    assert "1 of 2 done" in text


def test_two_notebooks_on_one_file_lose_nothing():
    one, two = opened(), opened()
    one.six(6)
    two.seven(7)
    assert "2 of 2 done" in repr(opened().progress())


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[1]", '{"done": 3, "last": {}}', '{"done": [], "last": {"six": 1}}', "\x00"],
)
def test_damaged_file_is_set_aside_aloud(damage):
    kept().parent.mkdir(parents=True)
    kept().write_text(damage)
    ex = opened()
    assert "exercise_99.json.damaged" in repr(ex.six(6))
    assert "damaged" not in repr(ex.seven(7)), "said once is enough"
    assert kept().with_name("exercise_99.json.damaged").read_text() == damage
    assert "2 of 2 done" in repr(opened().progress())


def test_unreadable_bytes_are_a_damaged_file():
    kept().parent.mkdir(parents=True)
    kept().write_bytes(b"\xff\xfe{}")
    assert "damaged" in repr(opened().progress())


def test_folder_that_cannot_be_made_is_told_once_and_the_session_goes_on(monkeypatch, tmp_path):
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    monkeypatch.setenv("COURSEKIT_PROGRESS", str(blocked / "progress"))
    ex = opened()
    verdict = ex.six(6)
    assert verdict.outcome == "correct"
    assert "this session only" in repr(verdict)
    assert str(tmp_path) not in repr(verdict)
    assert "this session only" not in repr(ex.seven(7))
    assert "2 of 2 done" in repr(ex.progress())


def test_failed_write_leaves_the_old_file_and_nothing_half_written(monkeypatch):
    opened().six(6)
    before = kept().read_text()

    def refuse(self, target):
        raise PermissionError("read-only")

    monkeypatch.setattr(Path, "replace", refuse)
    verdict = opened().seven(7)
    assert verdict
    assert "this session only" in repr(verdict)
    assert kept().read_text() == before
    assert [path.name for path in kept().parent.iterdir()] == [kept().name]


def test_unchanged_progress_is_not_written_again():
    opened().six(6)
    stamp = kept().stat().st_mtime_ns
    os.utime(kept(), ns=(stamp - 10**9, stamp - 10**9))
    opened().six(6)
    assert kept().stat().st_mtime_ns == stamp - 10**9


def test_default_folder_is_the_users_own(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSEKIT_PROGRESS")
    monkeypatch.setattr(platformdirs, "user_data_path", lambda *a, **k: tmp_path / "data")
    assert progress_folder() == tmp_path / "data" / "progress"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COURSEKIT_HEADLESS", "1"),
        ("COURSEKIT_HEADLESS", "true"),
        ("COURSEKIT_GRADING", "1"),
        ("JPY_SESSION_NAME", "/home/me/course/solutions/09_name.ipynb"),
    ],
)
def test_what_the_learner_did_not_solve_is_not_kept(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    ex = opened()
    assert ex.six(6)
    assert "1 of 2 done" in repr(ex.progress())
    monkeypatch.delenv(variable)
    assert not kept().exists()


def test_exercises_are_kept_in_a_folder_that_is_called_otherwise(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/solutions/course/exercises/09_name.ipynb")
    opened().six(6)
    assert json.loads(kept().read_text())["done"] == ["six"]


def test_passed_tells_every_outcome_of_this_process():
    ex = opened()
    ex.six(5)
    ex.six(6)
    ex.seven(...)
    assert passed() == {"99.six": "correct", "99.seven": "not attempted"}
    assert ex.is_correct("six")
    assert not ex.is_correct("seven")


# Grading


@pytest.mark.parametrize("answer", [5, ..., None, [6]])
def test_grading_raises_unless_correct(monkeypatch, capfd, answer):
    monkeypatch.setenv("COURSEKIT_GRADING", "1")
    ex = opened()
    with pytest.raises(NotCorrectError, match="six"):
        ex.six(answer)
    assert ex.six(6)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["autograde", "validate"])
def test_where_nbgrader_executes_a_check_raises_by_itself(monkeypatch, kind):
    monkeypatch.setenv("NBGRADER_EXECUTION", kind)
    ex = opened()
    with pytest.raises(NotCorrectError, match="six"):
        ex.six(...)
    assert ex.six(6)
    assert progress_folder() is None


def test_grading_raises_for_a_crash(monkeypatch):
    monkeypatch.setenv("COURSEKIT_GRADING", "1")
    with pytest.raises(NotCorrectError, match="ZeroDivisionError"):
        exercise(9).power(lambda t, eta, s, c=1.0: 1 / 0)


@pytest.mark.parametrize("off", ["", "0", "false", "no"])
def test_switches_that_are_off_neither_grade_nor_forget(monkeypatch, off):
    monkeypatch.setenv("COURSEKIT_GRADING", off)
    monkeypatch.setenv("COURSEKIT_HEADLESS", off)
    assert opened().six(5).outcome == "wrong"
    assert kept().exists()


# Display


def test_html_is_escaped_and_keeps_the_pages_own_colours():
    ex = opened()
    for shown in (ex.six(5), ex.hint("six"), ex.progress(), ex):
        html = shown._repr_html_()
        assert "background" not in html
        assert "black" not in html
        assert html.count("<div") == html.count("</div>")
    html = ex.six(5)._repr_html_()
    assert "wrong" in html
    assert "a &lt; b &amp; <code>c &gt; d</code>" in html


def test_text_and_html_say_the_same():
    ex = opened()
    verdict = ex.six(5)
    for part in ("wrong", "six", "ex.hint("):
        assert part in repr(verdict)
        assert part in verdict._repr_html_()
    assert "0 of 2 done" in ex.progress()._repr_html_()


def test_checking_prints_nothing_by_itself(capfd):
    opened().six(5)
    assert capfd.readouterr() == ("", "")


def test_checks_of_plain_functions_load_no_tensorflow():
    code = (
        "import sys, coursekit as ck\n"
        "ex = ck.exercise(9)\n"
        "assert ex.power(lambda t, a, s, c=1.0: a / (1 + t / s) ** c)\n"
        "repr(ex), ex.hint('power')\n"
        "print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True,
                         check=False)  # fmt: skip
    assert (run.stdout, run.stderr) == ("False False\n", "")
