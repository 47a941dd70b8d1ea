from __future__ import annotations

import io
import sys

import pytest

from coursekit.datasets.progress_bar import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(monkeypatch, stdout) -> str:
    monkeypatch.setattr(sys, "stdout", stdout)
    with progress(10, "B", "file") as bar:
        bar.update(10)
    return stdout.getvalue()


def test_a_bar_is_drawn_on_the_terminal_and_never_on_stderr(monkeypatch, capsys):
    assert "file" in drawn(monkeypatch, Terminal())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("variable", ["COURSEKIT_HEADLESS", "COURSEKIT_GRADING"])
@pytest.mark.parametrize(
    ("value", "is_drawn"), [("1", False), ("true", False), ("0", True), ("false", True), ("", True)]
)
def test_no_bar_where_nobody_watches(monkeypatch, variable, value, is_drawn):
    assert drawn(monkeypatch, io.StringIO()) == ""
    monkeypatch.setenv(variable, value)
    assert (drawn(monkeypatch, Terminal()) != "") is is_drawn
