"""The floors of the house as pyproject.toml draws them, and how large a room may be."""

from __future__ import annotations

import ast

from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from coursekit.base.environment import ROOT

MODULES = sorted((ROOT / "coursekit").rglob("*.py"))
MOST_LINES = 300


def test_imports_keep_to_the_floors_and_run_in_no_circle(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True) == EXIT_STATUS_SUCCESS, capsys.readouterr().out


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
    rooms = {path.name for path in (ROOT / "coursekit").iterdir() if path.is_dir()}
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")} - {ROOT / "tests"}
    strangers = {path for path in folders if path.relative_to(ROOT / "tests").parts[0] not in rooms}
    assert not strangers
