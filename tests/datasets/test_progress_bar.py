from __future__ import annotations

import io
import sys
import types

import pytest

from coursekit.datasets import notices


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(monkeypatch, stdout) -> str:
    monkeypatch.setattr(sys, "stdout", stdout)
    with notices.progress(10, "B", "file") as bar:
        bar.update(10)
    return stdout.getvalue()


def test_a_bar_is_drawn_on_the_terminal_and_never_on_stderr(monkeypatch, capsys):
    assert "file" in drawn(monkeypatch, Terminal())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("variable", ["COURSEKIT_HEADLESS", "COURSEKIT_GRADING"])
def test_no_bar_where_nobody_watches(monkeypatch, variable):
    assert drawn(monkeypatch, io.StringIO()) == ""
    monkeypatch.setenv(variable, "1")
    assert drawn(monkeypatch, Terminal()) == ""
    monkeypatch.setenv(variable, "0")
    assert drawn(monkeypatch, Terminal()) != ""


@pytest.mark.parametrize(
    ("shell", "expected"),
    [(None, False), (types.SimpleNamespace(), False), (types.SimpleNamespace(kernel=1), True)],
)
def test_a_notebook_is_known_by_its_kernel(monkeypatch, shell, expected):
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert notices._in_notebook() is expected


def test_a_line_is_said_once_per_key(capsys):
    for line, key in [("a", None), ("a", None), ("b", "k"), ("c", "k"), ("k", None)]:
        notices.say_once(line, key)
    assert capsys.readouterr().out == "a\nb\n"


@pytest.mark.parametrize(
    ("value", "expected"), [(None, False), ("", False), ("0", False), ("1", True), ("yes", True)]
)
def test_switches_in_the_environment(monkeypatch, value, expected):
    monkeypatch.delenv("COURSEKIT_TRIAL", raising=False)
    if value is not None:
        monkeypatch.setenv("COURSEKIT_TRIAL", value)
    assert notices.is_set("COURSEKIT_TRIAL") is expected
