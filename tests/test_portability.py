"""What other systems would meet, as far as it can be tried on this one.

Folders with spaces and Hangul in their names, a checkout that nobody may write to, sources whose
lines end as Windows ends them, names that a system without upper and lower case confuses, and
processes that are started afresh, not forked.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from coursekit.base.environment import ROOT
from coursekit.course.lab import workspace
from coursekit.course.notebooks import build
from coursekit.course.notebooks.catalogue import built
from coursekit.course.testing import notebooks as testing

RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$')
LONGEST = 120  # characters: Windows takes 260 in all, where nobody has asked for more
FOLDERS = ("sources", "notebooks", "exercises", "solutions")


def tracked() -> list[str]:
    """Return the paths of all files in git, or skip where this is no checkout."""
    try:
        said = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this folder is no git checkout")
    return said.rstrip("\0").split("\0")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Path:
    """The course's notebooks and sources in a folder with spaces and Hangul in its name."""
    root = tmp_path_factory.mktemp("my course 딥러닝 수업")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, root / folder)
    return root


def test_no_two_names_differ_by_case_only():
    paths = {parent for path in tracked() for parent in (path, *map(str, Path(path).parents))}
    alike = [name for name, n in Counter(path.casefold() for path in paths).items() if n > 1]
    assert alike == []


def test_every_name_is_one_that_windows_takes():
    for path in tracked():
        assert len(path) <= LONGEST, path
        for part in path.split("/"):
            assert not RESERVED.fullmatch(part), path
            assert not FORBIDDEN.search(part), path


def test_git_leaves_the_line_ends_of_text_alone_on_every_system():
    """What is built holds digests of its source: its bytes are the same in every checkout."""
    tracked()  # or skip
    asked = ["sources/notebooks/00_start_here.py", "notebooks/00_start_here.ipynb"]
    said = subprocess.check_output(
        ["git", "-c", "core.autocrlf=true", "check-attr", "eol", "text", "--", *asked],
        cwd=ROOT,
        encoding="utf-8",
    )
    assert [line.split(": ")[1:] for line in said.splitlines()] == 2 * [
        ["eol", "lf"],
        ["text", "auto"],
    ]


def test_line_ends_of_windows_make_no_difference(elsewhere, tmp_path):
    for path in (
        "sources/notebooks/05_gradient_clipping.py",
        "sources/figures/unrolled_rnn.svg",
        "notebooks/05_gradient_clipping.ipynb",
    ):
        text = (elsewhere / path).read_bytes()
        assert b"\r\n" not in text
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(text.replace(b"\n", b"\r\n"))
    assert build.check(tmp_path, ["05"]) == []


def test_a_course_in_a_folder_with_hangul_and_spaces_is_in_step_and_laid_out(elsewhere):
    assert build.check(elsewhere, ["05"]) == []
    workspace.lay_out(elsewhere)
    laid_out = {path.name for path in (elsewhere / "work").rglob("*.ipynb")}
    assert {notebook.path.name for notebook in built(elsewhere, ["exercises"])} <= laid_out


@pytest.mark.slow
def test_a_notebook_runs_in_a_folder_with_hangul_and_spaces(elsewhere, monkeypatch, capfd):
    root = elsewhere / "한 과목"
    (root / "exercises").mkdir(parents=True)
    shutil.copy(ROOT / "exercises" / "01_vanishing_gradients.ipynb", root / "exercises")
    code = testing.run_notebooks(built(root), ["-n", "0", "-p", "no:cacheprovider"], root=root)
    assert code == 0, capfd.readouterr().out


@pytest.mark.skipif(os.name != "posix", reason="needs permissions as POSIX has them")
def test_a_checkout_that_nobody_may_write_to_can_be_checked(elsewhere, tmp_path):
    root = tmp_path / "read only"
    shutil.copytree(elsewhere / "sources", root / "sources")
    for kind in ("notebooks", "exercises", "solutions"):
        shutil.copytree(elsewhere / kind, root / kind)
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    try:
        for folder in folders:
            folder.chmod(0o555)
        assert build.check(root, ["05"]) == []
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before  # even as root


def test_the_package_is_imported_without_writing_beside_itself(tmp_path):
    """A read-only installation: nothing but Python's own caches, which it leaves out by itself."""
    package = tmp_path / "coursekit"
    shutil.copytree(ROOT / "coursekit", package, ignore=shutil.ignore_patterns("__pycache__"))
    before = set(package.rglob("*"))
    code = "import coursekit as ck, coursekit.cli; print(ck.load('digits', n_valid=0).source)"
    variables = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COURSEKIT_DATA": str(tmp_path / "data"),
    }
    said = subprocess.check_output([sys.executable, "-c", code], env=variables, text=True)
    assert said.splitlines()[-1] == "embedded"
    assert set(package.rglob("*")) == before


def test_nothing_counts_on_forked_processes():
    """macOS and Windows start workers afresh: what they are given must be importable.

    Two modules of the grader copy a process on Linux; a test of theirs starts it afresh as well.
    """
    linux_only = {"workshop.py", "sandbox.py"}
    for path in (ROOT / "coursekit").rglob("*.py"):
        if path.name in linux_only:
            continue
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"os\.fork|[\"']fork(server)?[\"']", text), path.name
        assert "multiprocessing.Pool" not in text, f"{path.name}: its start differs by system"


def test_a_spawned_process_finds_the_package(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing\n"
        "from coursekit.scratch.initialisers import he_normal\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.apply(he_normal, ((4, 3),), {'seed': 1}).shape)\n"
    )
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.check_output([sys.executable, script], env=variables, text=True)
    assert said.strip() == "(4, 3)"
