"""`python -m coursekit class`: the instructor's commands, each a thin shell."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from coursekit.base.files import write_whole

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Lead a class: plan a lesson, release exercises, grade them, watch a lab.",
)


@app.callback()
def _class() -> None:
    pass


@app.command()
def plan(
    lesson: Annotated[str, typer.Argument(metavar="NN", help="The lesson's number or name.")],
    minutes: Annotated[
        list[int] | None,
        typer.Option(min=30, max=300, help="The lesson's length; 90 and 45 by default."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write markdown to this file.")
    ] = None,
) -> None:
    """Plan a lesson: clock, seconds of cells, questions, mistakes, what to skip."""
    from coursekit.base.environment import ROOT
    from coursekit.course.classroom import plan as planner

    text = planner.plan(ROOT, lesson, minutes or planner.LENGTHS)
    if out is not None:
        write_whole(out, text)
        typer.echo(f"The plan is in {out}.")
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text))
    else:
        typer.echo(text, nl=False)
