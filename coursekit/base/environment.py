"""Where the course lies, and what the surroundings ask of it: switches, profile, who looks on.

Every environment variable that switches something on means the same: `1`, `true`, `yes`, `on` or
any other word do, an empty one, `0`, `false`, `no` and `off` do not.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from coursekit.errors import ArgumentError

ROOT = Path(__file__).resolve().parents[2]  # the clone, or the folder a wheel is installed in
PROFILES = ("quick", "standard", "full")
_PATHS = ("COURSEKIT_CLASS", "COURSEKIT_DATA", "COURSEKIT_MIRROR", "COURSEKIT_PROGRESS")
_OFF = frozenset({"", "0", "false", "no", "off"})


def is_on(variable: str) -> bool:
    """Say whether an environment variable switches something on.

    >>> os.environ["COURSEKIT_EXAMPLE"] = "off"
    >>> is_on("COURSEKIT_EXAMPLE"), is_on("COURSEKIT_ABSENT")
    (False, False)
    >>> del os.environ["COURSEKIT_EXAMPLE"]
    """
    return os.environ.get(variable, "").strip().lower() not in _OFF


def inherited() -> dict[str, str]:
    """Return the environment variables for a process in another folder: paths are made absolute.

    >>> os.environ["COURSEKIT_PROGRESS"] = "kept"
    >>> Path(inherited()["COURSEKIT_PROGRESS"]) == Path.cwd() / "kept"
    True
    >>> del os.environ["COURSEKIT_PROGRESS"]
    """
    variables = dict(os.environ)
    for name in _PATHS:
        path = variables.get(name, "").strip()
        if path and "://" not in path:  # a mirror or a class may be an address
            variables[name] = str(Path(path).expanduser().absolute())
    return variables


def graded() -> bool:
    """Say whether a check must raise unless an answer is correct: when nbgrader executes, too."""
    return is_on("COURSEKIT_GRADING") or bool(os.environ.get("NBGRADER_EXECUTION"))


def headless() -> bool:
    """Say whether nobody looks on: a test, a build, a grading run."""
    return is_on("COURSEKIT_HEADLESS") or graded()


def in_notebook() -> bool:
    """Say whether this process is the kernel of a notebook, of whatever front end.

    IPython is asked only where it is loaded already; a kernel's shell has a `kernel`, that of a
    terminal has none.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def watched() -> bool:
    """Say whether someone sees a line move: at a terminal or in a notebook, and not headless."""
    return not headless() and (in_notebook() or sys.stdout.isatty())


def seed_offset() -> int:
    """Return what COURSEKIT_SEED_OFFSET adds to the seeds of a lesson, 0 by default.

    `python -m coursekit run --seeds` sets it, to see whether claims hold with other seeds too.

    Raises ArgumentError for what is no whole number from 0 up.
    """
    given = os.environ.get("COURSEKIT_SEED_OFFSET", "").strip() or "0"
    if not given.isdecimal():
        raise ArgumentError(
            f"COURSEKIT_SEED_OFFSET: expected a whole number from 0 up, got {given!r}."
        )
    return int(given)


def current_profile(profile: str | None = None) -> str:
    """Return the profile asked for, else the one of COURSEKIT_PROFILE, else "standard".

    Raises ArgumentError for a name that is not quick, standard or full.

    >>> current_profile("quick")
    'quick'
    """
    came_from = "profile" if profile else "COURSEKIT_PROFILE"
    name = profile or os.environ.get("COURSEKIT_PROFILE") or "standard"
    if name not in PROFILES:
        raise ArgumentError(f"{came_from}: expected quick, standard or full, got {name!r}.")
    return name
