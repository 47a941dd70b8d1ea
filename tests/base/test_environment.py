"""Switches mean one thing, and who looks on is asked of any front end."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

from coursekit.base import environment
from coursekit.errors import ArgumentError


@pytest.mark.parametrize(
    ("value", "on"),
    [
        (None, False),
        ("", False),
        (" ", False),
        ("0", False),
        ("false", False),
        ("False", False),
        ("no", False),
        ("OFF", False),
        ("1", True),
        ("true", True),
        ("yes", True),
        ("2", True),
        ("on ", True),
    ],
)
def test_a_switch_is_on_for_every_word_but_the_five_that_say_no(monkeypatch, value, on):
    monkeypatch.delenv("COURSEKIT_HEADLESS", raising=False)
    monkeypatch.delenv("COURSEKIT_GRADING", raising=False)
    if value is not None:
        monkeypatch.setenv("COURSEKIT_HEADLESS", value)
    assert environment.is_on("COURSEKIT_HEADLESS") is on
    assert environment.headless() is on


def test_grading_is_headless_too(monkeypatch):
    monkeypatch.delenv("COURSEKIT_HEADLESS", raising=False)
    monkeypatch.setenv("COURSEKIT_GRADING", "1")
    assert environment.headless()


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        (None, False),
        (types.SimpleNamespace(), False),  # IPython at a terminal
        (types.SimpleNamespace(kernel=None), False),
        (types.SimpleNamespace(kernel=object()), True),  # whatever the shell's class is called
    ],
)
def test_a_shell_with_a_kernel_is_a_notebook(monkeypatch, shell, expected):
    module = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", module)
    assert environment.in_notebook() is expected


def test_a_plain_interpreter_is_no_notebook_and_loads_no_ipython():
    code = (
        "import sys; from coursekit.base.environment import in_notebook\n"
        "print(in_notebook(), 'IPython' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (answer.stdout.split(), answer.stderr) == (["False", "False"], "")


@pytest.mark.parametrize("headless", [False, True])
@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("notebook", [False, True])
def test_someone_looks_on_at_a_terminal_or_in_a_notebook(monkeypatch, headless, terminal, notebook):
    monkeypatch.setattr(environment, "headless", lambda: headless)
    monkeypatch.setattr(environment, "in_notebook", lambda: notebook)
    monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(isatty=lambda: terminal))
    assert environment.watched() is (not headless and (terminal or notebook))


def test_root_holds_the_package():
    assert (environment.ROOT / "coursekit" / "base" / "environment.py").is_file()


def test_the_profile_comes_from_the_argument_then_the_environment_then_the_default(monkeypatch):
    monkeypatch.setenv("COURSEKIT_PROFILE", "quick")
    assert environment.current_profile("full") == "full"
    assert environment.current_profile() == "quick"
    monkeypatch.setenv("COURSEKIT_PROFILE", "")
    assert environment.current_profile() == "standard"


def test_an_unknown_profile_is_named_with_where_it_came_from(monkeypatch):
    with pytest.raises(ArgumentError, match=r"^profile: expected .* got 'fast'"):
        environment.current_profile("fast")
    monkeypatch.setenv("COURSEKIT_PROFILE", "slow")
    with pytest.raises(ArgumentError, match=r"^COURSEKIT_PROFILE: expected"):
        environment.current_profile()
