"""`python -m coursekit class`: the instructor's commands, each a thin shell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Lead a class: plan a lesson, release exercises, grade them, watch a lab.",
)


@app.callback()
def _class() -> None:
    pass


_Seed = Annotated[
    str | None,
    typer.Option(
        help="A secret word: the checks draw other inputs than on the learners' machines."
    ),
]


@app.command()
def release(
    exercises: Annotated[list[str], typer.Argument(metavar="NN…", help="Numbers or names.")],
    to: Annotated[Path, typer.Option(help="The folder to write to.")],
    seed: _Seed = None,
) -> None:
    """Write exercises as learners get them: no solution, and nothing that leads to one."""
    from coursekit.base.environment import ROOT
    from coursekit.course.classroom.release import release as write

    for path in write(ROOT, exercises, to, seed=seed):
        typer.echo(path)
    if seed is not None:
        typer.echo("Keep the seed: class grade asks for it. Nobody can find it in these files.")


@app.command()
def grade(
    submissions: Annotated[
        Path, typer.Argument(help="A folder or zip: a folder for each learner.")
    ],
    out: Annotated[Path, typer.Option(help="The folder for tables, feedback and class.html.")],
    jobs: Annotated[int, typer.Option(min=1, help="Submissions at a time.")] = 1,
    container: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="Run learners' code in containers of this image."),
    ] = None,
    seed: _Seed = None,
    cell_seconds: Annotated[
        float, typer.Option(min=1, help="Seconds after which a cell is stopped.")
    ] = 60,
    seconds: Annotated[
        float, typer.Option(min=1, help="Seconds after which a submission is stopped.")
    ] = 900,
) -> None:
    """Grade submissions: partial credit for each task, feedback for each learner."""
    from coursekit.course.classroom.grading.report import graded

    graded(submissions, out, jobs=jobs, container=container, seed=seed or "",
           cell_seconds=cell_seconds, seconds=seconds)  # fmt: skip
