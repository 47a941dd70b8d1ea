"""Which notebooks count as changed: by the working tree against the merge base."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from coursekit.course.testing.changes import changed_notebooks


class Clone:
    """A repository with a main branch, and on it a lesson 01 and an exercise 02."""

    def __init__(self, root: Path):
        self.root = root
        for path in ("notebooks/01_a", "exercises/02_b", "solutions/02_b"):
            self.write(f"{path}.ipynb", "{}")
        self.write("sources/notebooks/01_a.py", "a")
        self.write("sources/exercises/02_b.py", "b")
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit()
        self.git("switch", "--quiet", "--create", "work")

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def git(self, *arguments: str) -> None:
        who = ("-c", "user.name=A", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *arguments], cwd=self.root, check=True)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=x")


@pytest.fixture
def clone(tmp_path) -> Clone:
    return Clone(tmp_path / "a clone")


def labels(root: Path) -> list[str]:
    return [notebook.label for notebook in changed_notebooks(root)[0]]


def test_nothing_has_changed_on_a_new_branch(clone):
    assert changed_notebooks(clone.root) == ([], "since the merge base with main")


def test_a_source_stands_for_all_that_is_built_from_it(clone):
    clone.write("sources/exercises/02_b.py", "new")
    assert labels(clone.root) == ["exercises/02_b.ipynb", "solutions/02_b.ipynb"]


def test_committed_changes_and_built_files_count(clone):
    clone.write("solutions/02_b.ipynb", "[]")
    clone.commit()
    clone.write("sources/notebooks/01_a.py", "new")
    clone.git("add", "--all")
    assert labels(clone.root) == ["notebooks/01_a.ipynb", "solutions/02_b.ipynb"]


def test_new_files_count_and_deleted_ones_do_not(clone):
    clone.write("notebooks/03_c.ipynb", "{}")
    (clone.root / "notebooks" / "01_a.ipynb").unlink()
    assert labels(clone.root) == ["notebooks/03_c.ipynb"]


def test_what_others_changed_on_main_does_not_count(clone):
    clone.git("switch", "--quiet", "main")
    clone.write("sources/notebooks/01_a.py", "theirs")
    clone.commit()
    clone.git("switch", "--quiet", "work")
    assert labels(clone.root) == []


def test_a_course_in_a_folder_of_a_larger_repository(clone):
    clone.git("switch", "--quiet", "main")
    clone.write("course/notebooks/01_a.ipynb", "{}")
    clone.write("course/notebooks/02_b.ipynb", "{}")
    clone.commit()
    clone.git("switch", "--quiet", "--create", "more")
    clone.write("course/sources/notebooks/01_a.py", "new")
    clone.write("notebooks/02_b.ipynb", "{}")
    assert labels(clone.root / "course") == ["notebooks/01_a.ipynb"]


def test_outside_git_and_without_a_main_branch_nothing_is_known(clone, tmp_path, monkeypatch):
    unknown = ([], "git knows no merge base with a main branch here")
    assert changed_notebooks(tmp_path) == unknown
    clone.git("branch", "--quiet", "--delete", "--force", "main")
    assert changed_notebooks(clone.root) == unknown
    monkeypatch.setenv("PATH", str(tmp_path))
    assert changed_notebooks(clone.root) == unknown
