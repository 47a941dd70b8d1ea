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


@app.command()
def slides(
    lesson: Annotated[str, typer.Argument(metavar="NN", help="The lesson's number or name.")],
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="The file to write.")],
) -> None:
    """Make slides of a lesson: one file for a browser, with speaker notes (press S)."""
    from coursekit.base.environment import ROOT
    from coursekit.course.classroom import slides as maker

    count = maker.write(ROOT, lesson, out)
    typer.echo(
        f"{count} slides are in {out}. Open it in a browser: S shows the speaker's notes, "
        "and with ?print-pdf at the end of its address it prints."
    )


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


@app.command()
def watch(
    folder: Annotated[Path, typer.Argument(help="The folder that COURSEKIT_CLASS names.")],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port of the page; a free one by default.")
    ] = 0,
    serve: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Receive lines on this port, into the folder."),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Print the board as it is, and end.")
    ] = False,
    hours: Annotated[float, typer.Option(min=0.0, help="Leave out lines that are older.")] = 6.0,
) -> None:
    """Show who is at which task, who is stuck, and the most frequent reasons, live."""
    from coursekit.course.classroom.watch import watch as show

    show(folder, port=port, serve=serve, once=once, hours=hours)


@app.command()
def check() -> None:
    """Show one traffic light before the day: installation, data, memory, ten seconds' training.

    Exits with 1 where it is red, else with 0.
    """
    from rich.console import Console
    from rich.text import Text

    from coursekit.base.environment import ROOT
    from coursekit.course.classroom import check as checker

    console = Console(highlight=False)
    styles = {checker.GREEN: "green", checker.AMBER: "yellow", checker.RED: "bold red"}

    def show(light: checker.Light) -> None:
        dot = (f"● {light.color:<5}  ", styles[light.color])
        console.print(Text.assemble(dot, f"{light.name}: {light.found}"), soft_wrap=True)
        if light.advice:
            console.print(Text(f"         → {light.advice}"), soft_wrap=True)

    raise typer.Exit(checker.report(ROOT, show))


@app.command()
def bundle(
    to: Annotated[Path, typer.Option(metavar="DIR", help="The folder, such as a USB stick's.")],
    systems: Annotated[
        str, typer.Option(metavar="A,B,…", help="Also linux-aarch64.")
    ] = "linux-x86_64,windows,macos-arm64",
    python: Annotated[
        str, typer.Option(metavar="A,B,…", help="Versions of Python.")
    ] = "3.11,3.12,3.13",
) -> None:
    """Put the course, its packages and data into one folder, for machines without a network."""
    from coursekit.course.classroom.bundle import bundle as make

    make(to, _listed(systems), _listed(python))


def _listed(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]
