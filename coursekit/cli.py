"""The command line: `python -m coursekit COMMAND`, once the packages are there.

Every command is a thin shell. What a command needs is imported when it runs, the parts that other
modules own (`data`, `study`, `build`, `run`) when they are called for.
"""

from __future__ import annotations

import importlib
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from coursekit.course.commands import COMMANDS
from coursekit.errors import CourseError

_MOUNTED = {
    "run": "coursekit.course.notebooks.commands:run",
    "build": "coursekit.course.notebooks.commands:build",
    "data": "coursekit.datasets.commands:app",
    "study": "coursekit.experiments.study.commands:app",
    "class": "coursekit.course.classroom.commands:app",
}
_FOR_PYTEST = {"allow_extra_args": True, "ignore_unknown_options": True}


class _Commands(TyperGroup):
    """The commands in the course's order; a mounted one is imported only when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, name: str) -> Any:
        if name in _MOUNTED:
            return TyperCommand(name, help=COMMANDS[name])
        return super().get_command(ctx, name)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        if args[0] in _MOUNTED:
            return args[0], _mounted(args[0]), args[1:]
        return super().resolve_command(ctx, args)


def _mounted(name: str) -> Any:
    module, attribute = _MOUNTED[name].split(":")
    found = getattr(importlib.import_module(module), attribute)
    if isinstance(found, typer.Typer):
        return typer.main.get_group(found)
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return typer.main.get_command(alone)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Training deep neural networks: a course whose every claim is proved when it runs.",
)


def _say_version(wanted: bool) -> None:
    if wanted:
        from coursekit import __version__

        typer.echo(f"coursekit {__version__}")
        raise typer.Exit


@app.callback()
def _general(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    pass


@app.command(help=COMMANDS["lab"])
def lab(
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="The port to serve on; a free one by default."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Never look for data on the network.")
    ] = False,
    fresh: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NN", help="Set your copy of a notebook back; the old one stays beside it."
        ),
    ] = None,
    solutions: Annotated[
        bool, typer.Option("--solutions", help="Lay the solutions out too, from now on.")
    ] = False,
    hub: Annotated[
        bool, typer.Option("--hub", help="For a JupyterHub, which calls it for each learner.")
    ] = False,
) -> None:
    from coursekit.base.environment import ROOT
    from coursekit.course.lab.command import open_lab

    code = open_lab(
        ROOT,
        browser=not no_browser,
        port=port,
        offline=offline,
        fresh=fresh or [],
        solutions=solutions,
        hub=hub,
    )
    raise typer.Exit(code)


@app.command(
    "test",
    help=f"{COMMANDS['test']} NN… tests these lessons and exercises; all else goes to pytest.",
    options_metavar="[--quick | --browser | NN… | PATH…] [OPTIONS OF PYTEST]",
    context_settings=_FOR_PYTEST,
)
def prove_all(
    context: typer.Context,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="What takes two minutes, and the notebooks that you have changed."
        ),
    ] = False,
    browser: Annotated[
        bool, typer.Option("--browser", help="The lab as a learner sees it, in Chromium.")
    ] = False,
) -> None:
    from coursekit.course.testing.suite import prove

    arguments = ["-m", "browser", *context.args] if browser else context.args
    raise typer.Exit(prove(arguments, quick=quick))


@app.command(help=COMMANDS["doctor"])
def doctor() -> None:
    from coursekit.course.bootstrap.doctor import report

    raise typer.Exit(report())


def main(arguments: list[str]) -> int:
    """Run a command line; return the exit code: 0, 1 (failed), 2 (wrong use) or 130 (interrupt).

    An error the user can mend is one line on stderr; `--debug` shows its traceback.
    """
    debug, arguments = _take_debug(arguments)
    try:
        code = typer.main.get_command(app).main(
            args=arguments or ["--help"], prog_name="coursekit", standalone_mode=False
        )
    except Exception as error:
        if debug:
            raise
        line, code = _explain(error)
        if line:
            print(f"coursekit: {line}", file=sys.stderr)
        return code
    if code == 130:
        print("\ncoursekit: interrupted.", file=sys.stderr)
    return code if isinstance(code, int) else 0


def _take_debug(arguments: list[str]) -> tuple[bool, list[str]]:
    """Take `--debug` out, wherever it stands; what follows `test` belongs to pytest.

    >>> _take_debug(["lab", "--debug"]), _take_debug(["test", "--debug"])
    ((True, ['lab']), (False, ['test', '--debug']))
    """
    end = arguments.index("test") if "test" in arguments else len(arguments)
    own = [word for word in arguments[:end] if word != "--debug"]
    return len(own) < end, own + arguments[end:]


def _explain(error: Exception) -> tuple[str, int]:
    """Return one line that explains an error (none where help was shown), and the exit code."""
    if isinstance(error, CourseError):
        return str(error), 2
    if isinstance(error, typer.TyperException):
        said = error.format_message().strip()
        return f"{said} (--help names what there is)" if said else "", error.exit_code
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}; mend that and run the same command again.", 2
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"stopped by an unexpected error, {what} (put --debug first to see where)", 1
