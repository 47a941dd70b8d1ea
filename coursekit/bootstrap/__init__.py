"""From a fresh clone to a running command, with the standard library only.

`main` looks at where it runs. An interpreter that already has what the command needs (the course's
own `.venv`, conda, `pip install -e .[lab]`) hands over to `coursekit.cli` at once; otherwise
`environment` makes or completes `.venv` from `requirements.lock`, and the command starts again
there. `requirements` says what is needed, `pip_output` reads what pip prints.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from coursekit.bootstrap import environment, requirements
from coursekit.errors import CourseError

COMMANDS = {
    "lab": "Open the course in JupyterLab, on copies of your own under work/.",
    "test": "Prove the whole course: package, notebooks, exercises and solutions.",
    "run": "Run lessons, exercises or solutions without a browser and tabulate what they proved.",
    "build": "Build the notebooks from their sources.",
    "data": "List, fetch, import and verify the data sets.",
    "study": "Run and report the CIFAR-10 study over several seeds.",
    "doctor": "Say what is installed here, what is wrong, and what to do about it.",
}
_SECTIONS = {"test": ("base", "test"), "build": ("base", "test"), "doctor": ()}


def sections_for(arguments: list[str]) -> tuple[str, ...]:
    """Return the sections of requirements.lock that a command line needs; none for help.

    >>> sections_for(["lab", "--no-browser"])
    ('base',)
    >>> sections_for(["test", "-k", "data"])
    ('base', 'test')
    >>> sections_for(["lab", "--help"]), sections_for([]), sections_for(["doctor"])
    ((), (), ())
    """
    words = [word for word in arguments if not word.startswith("-")]
    if not words or "--help" in arguments:
        return ()
    if words[0] == "study" and "--scheduler" in " ".join(arguments):
        return ("base", "test")
    return _SECTIONS.get(words[0], ("base",)) if words[0] in COMMANDS else ()


def main(arguments: list[str]) -> int:
    """Run a command where its requirements are, installing them first if need be."""
    try:
        return _main(arguments)
    except CourseError as error:
        if "--debug" in arguments:
            raise
        print(f"coursekit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ncoursekit: interrupted; the same command goes on from here.", file=sys.stderr)
        return 130


def _main(arguments: list[str]) -> int:
    needed = sections_for(arguments)
    wanted = needed or ("base",)
    if _met_here(wanted):
        from coursekit.cli import main as run

        return run(arguments)
    if environment.is_complete(wanted):
        return _hand_over(environment.python(), arguments)
    if needed:
        return _hand_over(environment.prepare(needed), arguments)
    return _without_packages(arguments)


def _met_here(sections: tuple[str, ...]) -> bool:
    if not requirements.is_checkout():
        return True  # installed as a package: pip has seen to the requirements
    if environment.is_current():
        return environment.is_complete(sections)
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
        from coursekit.doctor import report

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
