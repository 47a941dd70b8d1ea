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
