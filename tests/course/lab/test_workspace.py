from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from coursekit.course.lab.workspace import lay_out
from coursekit.errors import ArgumentError


def notebook(*sources: str, outputs: tuple = (), kind: str = "code") -> str:
    cells = [{"cell_type": "markdown", "metadata": {}, "source": "# A title"}]
    for source in sources:
        cell = {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True)}
        if kind == "code":
            cell |= {"outputs": list(outputs), "execution_count": 7 if outputs else None}
        cells.append(cell)
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def course(tmp_path: Path) -> Path:
    for folder in ("notebooks", "exercises", "solutions"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "09_rates.ipynb").write_text(notebook(f"x = '{folder}'"))
    (tmp_path / "notebooks" / "00_start_here.ipynb").write_text(notebook("hello = 1"))
    return tmp_path


def copy_of(course: Path, name: str) -> Path:
    return course / "work" / name


def test_first_start_lays_out_lessons_and_exercises_but_no_solutions(course):
    done = lay_out(course)
    names = [
        "notebooks/00_start_here.ipynb",
        "notebooks/09_rates.ipynb",
        "exercises/09_rates.ipynb",
    ]
    assert done.added == names
    for name in names:
        assert copy_of(course, name).read_bytes() == (course / name).read_bytes()
    assert not (course / "work" / "solutions").exists()


def test_pages_that_notebooks_link_to_are_laid_out_too(course):
    (course / "docs").mkdir()
    (course / "docs" / "glossary.md").write_text("# Glossary")
    (course / "docs" / "picture.png").write_bytes(b"")
    assert "docs/glossary.md" in lay_out(course).added
    assert copy_of(course, "docs/glossary.md").read_text() == "# Glossary"
    assert not copy_of(course, "docs/picture.png").exists()


def test_second_start_changes_and_says_nothing(course):
    lay_out(course)
    before = copy_of(course, "notebooks/09_rates.ipynb").stat().st_mtime_ns
    assert lay_out(course).lines() == []
    assert copy_of(course, "notebooks/09_rates.ipynb").stat().st_mtime_ns == before


def test_solutions_once_asked_for_are_laid_out_and_followed(course):
    lay_out(course, solutions=True)
    (course / "solutions" / "09_rates.ipynb").write_text(notebook("x = 'better'"))
    assert lay_out(course).refreshed == ["solutions/09_rates.ipynb"]


def test_untouched_copy_follows_the_course(course):
    lay_out(course)
    (course / "notebooks" / "09_rates.ipynb").write_text(notebook("x = 'new'"))
    done = lay_out(course)
    assert done.refreshed == ["notebooks/09_rates.ipynb"]
    assert "new" in copy_of(course, "notebooks/09_rates.ipynb").read_text()


@pytest.mark.parametrize("added", [(), ("",), ("  \n",)], ids=["run", "empty cell", "blank cell"])
def test_copy_that_was_only_run_and_saved_follows_the_course(course, added):
    lay_out(course)
    shown = ({"output_type": "stream", "name": "stdout", "text": ["9\n"]},)
    run = notebook("x = 'notebooks'", *added, outputs=shown)
    copy_of(course, "notebooks/09_rates.ipynb").write_text(run)
    assert lay_out(course).lines() == []
    assert copy_of(course, "notebooks/09_rates.ipynb").read_text() == run
    (course / "notebooks" / "09_rates.ipynb").write_text(notebook("x = 'new'"))
    assert lay_out(course).refreshed == ["notebooks/09_rates.ipynb"]


@pytest.mark.parametrize(
    "own",
    [
        notebook("x = 'mine'"),
        notebook("x = 'notebooks'", "y = 2"),
        notebook(),
        notebook("x = 'notebooks'", kind="markdown"),
        notebook("x = 'notebooks'").replace('"# A title"', '"# A title", "attachments": {"a": {}}'),
        notebook("x = 'notebooks'")[:-9],
        "",
    ],
    ids=["edited", "cell added", "cell removed", "kind", "picture", "cut file", "empty file"],
)
def test_copy_the_learner_changed_is_never_overwritten(course, own):
    lay_out(course)
    copy = copy_of(course, "notebooks/09_rates.ipynb")
    copy.write_text(own)
    assert lay_out(course).lines() == []
    (course / "notebooks" / "09_rates.ipynb").write_text(notebook("x = 'new'"))
    for _ in range(2):
        done = lay_out(course)
        assert (done.kept, done.refreshed) == (["notebooks/09_rates.ipynb"], [])
        assert len(done.lines()) == 1
        assert "lab --fresh notebooks/09_rates" in done.lines()[0]
        assert copy.read_text() == own


def test_change_taken_back_makes_the_copy_follow_again(course):
    lay_out(course)
    copy = copy_of(course, "notebooks/09_rates.ipynb")
    original = copy.read_text()
    copy.write_text(notebook("x = 'mine'"))
    (course / "notebooks" / "09_rates.ipynb").write_text(notebook("x = 'new'"))
    lay_out(course)
    copy.write_text(original)
    assert lay_out(course).refreshed == ["notebooks/09_rates.ipynb"]


def test_learner_who_made_the_new_version_oneself_is_left_alone(course):
    lay_out(course)
    new = notebook("x = 'new'")
    copy_of(course, "notebooks/09_rates.ipynb").write_text(new)
    (course / "notebooks" / "09_rates.ipynb").write_text(new)
    assert lay_out(course).kept == []


@pytest.mark.parametrize("damage", [None, "{", "[]", '{"notebooks/09_rates.ipynb": 3}'])
def test_lost_or_damaged_list_loses_no_text(course, damage):
    lay_out(course)
    listing = course / "work" / ".laid-out.json"
    listing.unlink() if damage is None else listing.write_text(damage)
    copy_of(course, "exercises/09_rates.ipynb").write_text(notebook("x = 'mine'"))
    (course / "notebooks" / "09_rates.ipynb").write_text(notebook("x = 'new'"))
    done = lay_out(course)
    assert sorted(done.kept) == ["exercises/09_rates.ipynb", "notebooks/09_rates.ipynb"]
    assert "mine" in copy_of(course, "exercises/09_rates.ipynb").read_text()
    assert "'notebooks'" in copy_of(course, "notebooks/09_rates.ipynb").read_text()


def test_removed_copy_comes_back(course):
    lay_out(course)
    copy_of(course, "notebooks/09_rates.ipynb").unlink()
    assert lay_out(course).added == ["notebooks/09_rates.ipynb"]


def test_files_of_the_learners_own_are_not_touched(course):
    lay_out(course)
    own = copy_of(course, "notebooks/my notes.ipynb")
    own.write_text("mine")
    lay_out(course, fresh=["09"])
    assert own.read_text() == "mine"


def test_fresh_sets_both_twins_back_and_keeps_each_old_one_under_a_number(course):
    lay_out(course)
    for name in ("notebooks/09_rates.ipynb", "exercises/09_rates.ipynb"):
        copy_of(course, name).write_text(notebook("x = 'mine'"))
    done = lay_out(course, fresh=["9"])
    assert done.backups == {
        "notebooks/09_rates.ipynb": "notebooks/09_rates.old-1.ipynb",
        "exercises/09_rates.ipynb": "exercises/09_rates.old-1.ipynb",
    }
    for name, old in done.backups.items():
        assert copy_of(course, name).read_bytes() == (course / name).read_bytes()
        assert "mine" in copy_of(course, old).read_text()
    assert lay_out(course, fresh=["09"]).backups == {}, "nothing was changed: nothing to keep"


def test_fresh_takes_one_path_and_numbers_every_old_one(course):
    lay_out(course)
    copy = copy_of(course, "exercises/09_rates.ipynb")
    for number in (1, 2, 3):
        copy.write_text(notebook(f"x = {number}"))
        done = lay_out(course, fresh=["exercises/09_rates"])
        assert done.backups == {
            "exercises/09_rates.ipynb": f"exercises/09_rates.old-{number}.ipynb"
        }
    kept = [copy.with_name(f"09_rates.old-{number}.ipynb").read_text() for number in (1, 2, 3)]
    assert [f"x = {number}" in text for number, text in enumerate(kept, start=1)] == [True] * 3


def test_fresh_of_an_unknown_notebook_says_what_there_is_and_lays_out_nothing(course):
    with pytest.raises(ArgumentError, match="No notebook '77': there is 00_start_here, 09_rates"):
        lay_out(course, fresh=["77"])
    assert not (course / "work").exists()


def test_copy_is_complete_or_old_when_writing_fails(course, monkeypatch):
    lay_out(course)
    copy = copy_of(course, "notebooks/09_rates.ipynb")
    before = copy.read_text()
    (course / "notebooks" / "09_rates.ipynb").write_text(notebook("x = 'new'"))

    def cut_short(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", cut_short)
        with pytest.raises(OSError, match="No space left"):
            lay_out(course)
    assert copy.read_text() == before
    assert not list(copy.parent.glob(".*.part")), "nothing half written stays behind"
    assert lay_out(course).refreshed == ["notebooks/09_rates.ipynb"]
