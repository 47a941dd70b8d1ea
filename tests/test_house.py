"""The floors of the house as pyproject.toml draws them, and how large a room may be."""

from __future__ import annotations

import ast
import subprocess
import sys

from coursekit.base.environment import ROOT

MODULES = sorted((ROOT / "coursekit").rglob("*.py"))
MOST_LINES = 300


def test_imports_keep_to_the_floors_and_run_in_no_circle():
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    answer = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_modules_are_short_and_say_what_they_are_for():
    long, silent = {}, []
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > MOST_LINES:
            long[path.name] = len(text.splitlines())
        if not ast.get_docstring(ast.parse(text)):
            silent.append(path.name)
    assert (long, silent) == ({}, [])


def test_tests_lie_in_the_folders_of_what_they_test():
    package = ROOT / "coursekit"
    rooms = {path.name for path in package.iterdir() if path.is_dir()} | {"classroom"}
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")} - {ROOT / "tests"}
    strangers = {path for path in folders if path.relative_to(ROOT / "tests").parts[0] not in rooms}
    assert not strangers
