"""`start` looks at where a command runs, and brings it to where its packages are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from coursekit.base.environment import is_on
from coursekit.course.bootstrap import environment, requirements
from coursekit.course.commands import COMMANDS, sections_for
from coursekit.errors import CourseError

_AS_IT_IS = "_COURSEKIT_PACKAGES_AS_THEY_ARE"  # said to the process that is handed over to


def start(arguments: list[str]) -> int | None:
    """Run a command where its packages are, installing them first if need be; return its code.

    None means that the running interpreter has what the command needs: the course's own `.venv`,
    conda, or `pip install -e .[lab]`.
    """
    try:
        return _start(arguments)
    except CourseError as error:
        if "--debug" in arguments:
            raise
        print(f"coursekit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ncoursekit: interrupted; the same command goes on from here.", file=sys.stderr)
        return 130


def _start(arguments: list[str]) -> int | None:
    needed = sections_for(arguments)
    wanted = needed or ("base",)
    if _met_here(wanted):
        return None
    if environment.is_complete(wanted):
        return _hand_over(environment.python(), arguments)
    if needed:
        return _hand_over(_prepared(needed), arguments)
    return _without_packages(arguments)


def _prepared(sections: tuple[str, ...]) -> Path:
    """Return the interpreter of an environment brought up to date, or of the old one, if need be.

    Offline, an environment that was moved or made from an older lock is better than none.
    """
    try:
        return environment.prepare(sections)
    except CourseError as error:
        if not environment.can_be_used(sections):
            raise
        print(f"{error}\nUntil then the course runs with the packages that are there.\n")
        os.environ[_AS_IT_IS] = "1"
        return environment.python()


def _met_here(sections: tuple[str, ...]) -> bool:
    if not requirements.is_checkout():
        return True  # installed as a package: pip has seen to the requirements
    if environment.is_current():
        return is_on(_AS_IT_IS) or environment.is_complete(sections)
    return not requirements.unmet("test" in sections)


def _hand_over(python: Path, arguments: list[str]) -> int:
    command = [str(python), "-m", "coursekit", *arguments]
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        os.execv(command[0], command)
    # Windows has no exec that keeps the console's process; Ctrl-C is the child's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return subprocess.call(command)


def _without_packages(arguments: list[str]) -> int:
    words = [word for word in arguments if not word.startswith("-")]
    if "--version" in arguments:
        from coursekit import __version__

        print(f"coursekit {__version__}")
    elif words[:1] == ["doctor"] and "--help" not in arguments:
        from coursekit.course.bootstrap.doctor import report

        return report()
    elif words and words[0] not in COMMANDS:
        raise CourseError(f"no command {words[0]!r}: there is {', '.join(COMMANDS)}.")
    else:
        print("Usage: python3 -m coursekit [--debug] COMMAND [OPTIONS]\n")
        for name, text in COMMANDS.items():
            print(f"  {name:8}{text}")
        print(
            "\nThe packages of the course are not installed yet: `lab` sees to it. After that,\n"
            "`python3 -m coursekit COMMAND --help` names the options of each command."
        )
    return 0
