from __future__ import annotations

import io
import sys
import types

import pytest

from coursekit.base.environment import headless, in_notebook, is_on, watched

SWITCHES = [(None, False), ("", False), ("0", False), ("1", True), ("true", True), ("yes", True),
            ("false", False), ("False", False), (" no ", False), ("off", False)]  # fmt: skip
NAMES = ("COURSEKIT_HEADLESS", "COURSEKIT_GRADING")


@pytest.fixture(autouse=True)
def no_switch_is_set(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def in_shell(monkeypatch, shell):
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("value", "expected"), SWITCHES)
def test_a_switch_means_the_same_everywhere(monkeypatch, name, value, expected):
    if value is not None:
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert is_on(name) is expected
    assert headless() is expected
    assert watched() is not expected


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        (None, False),
        (types.SimpleNamespace(), False),
        (types.SimpleNamespace(kernel=None), False),
        (types.SimpleNamespace(kernel=1), True),
    ],
)
def test_a_notebook_is_known_by_its_kernel(monkeypatch, shell, expected):
    in_shell(monkeypatch, shell)
    assert in_notebook() is expected


def test_a_notebook_is_watched_though_its_output_is_no_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not watched()
    in_shell(monkeypatch, types.SimpleNamespace(kernel=1))
    assert watched()
