"""`python -m coursekit class`: the instructor's commands, each a thin shell."""

from __future__ import annotations

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Lead a class: plan a lesson, release exercises, grade them, watch a lab.",
)


@app.callback()
def _class() -> None:
    pass
