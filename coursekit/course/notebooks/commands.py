"""`python -m coursekit build` and `python -m coursekit run`: what the command line calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coursekit.base.environment import PROFILES, ROOT, current_profile
from coursekit.course.notebooks import catalogue
from coursekit.errors import ArgumentError, NotebookError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from coursekit.course.notebooks.build import Built

_Timeout = Annotated[
    int, typer.Option(min=1, help="Seconds after which a cell that still runs is stopped.")
]


def build(
    notebooks: Annotated[
        list[str] | None,
        typer.Argument(metavar="NN", help="Numbers, names or paths; all by default."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Run nothing; fail where sources and built differ.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Run again what is up to date.")] = False,
    profile: Annotated[str, typer.Option(help="quick, standard or full.")] = "standard",
    cell_timeout: _Timeout = 900,
) -> None:
    """Build notebooks, exercises and solutions from sources/, where a source has changed."""
    from coursekit.course.notebooks import build as builder
    from coursekit.course.notebooks.run import progress

    root = ROOT
    _known(profile)
    if check:
        _finish_check(builder.check(root, notebooks or []), notebooks or [])
        return
    chosen = catalogue.choose(notebooks or [], catalogue.from_sources(root))
    console, failed = _console(), 0
    used: list[tuple[str, str]] = []
    for source in dict.fromkeys(catalogue.source_of(notebook) for notebook in chosen):
        try:
            with progress(console) as on_cell:
                lines = builder.build_source(
                    root,
                    source,
                    profile=profile,
                    force=force,
                    timeout=cell_timeout,
                    on_cell=on_cell,
                )
        except NotebookError as error:
            failed += 1
            typer.echo(str(error), err=True)
            continue
        for line in lines:
            typer.echo(_sentence(line))
        used += [pair for line in lines for pair in line.data]
    _stand_ins(used)
    if failed:
        typer.echo(f"{failed} of the sources could not be built; what was there stays.", err=True)
        raise typer.Exit(1)


def run(
    notebooks: Annotated[
        list[str] | None,
        typer.Argument(metavar="NN", help="Numbers, names or paths; all by default."),
    ] = None,
    exercises: Annotated[
        bool, typer.Option("--exercises", help="Run the unsolved exercises too.")
    ] = False,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Only notebooks, exercises or solutions; may be given twice."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            help="quick, standard or full, or several, as quick,standard; COURSEKIT_PROFILE or "
            "standard by default."
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Run with so many seeds, and count each claim.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Count each claim on these data: embedded, real or both.")
    ] = None,
    threads: Annotated[
        str | None, typer.Option(help="Count each claim with so many threads, such as 1,2.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the executed notebooks as pages.")
    ] = None,
    cell_timeout: _Timeout = 900,
) -> None:
    """Run lessons and solutions headless, in a copy, and show what each one proved.

    With --seeds, --data, --threads or several profiles each notebook runs once for every
    combination, and the table tells for each claim how often it held.
    """
    from coursekit.course.notebooks import run as runner

    kinds = set(kind or ("notebooks", "solutions")) | ({"exercises"} if exercises else set())
    for unknown in kinds - set(catalogue.KINDS):
        raise ArgumentError(f"--kind: expected {', '.join(catalogue.KINDS)}, got {unknown!r}.")
    root = ROOT
    chosen = _to_run(root, notebooks or [], kinds)
    console = _console()
    profiles = tuple((profile or current_profile()).split(","))
    if seeds or data or threads or len(profiles) > 1:
        _stability(chosen, profiles, seeds, data, threads, console, cell_timeout)
        return
    results = runner.run_all(
        chosen,
        profile=current_profile(profile),
        console=console,
        timeout=cell_timeout,
        html=html,
    )
    console.print(runner.table(results))
    _stand_ins(pair for result in results for pair in result.outcome.data.items())
    failed = [result for result in results if result.outcome.failure]
    if failed:
        typer.echo(f"{len(failed)} of {len(results)} notebooks failed.", err=True)
        raise typer.Exit(1)


def _stability(
    notebooks: list[catalogue.Notebook],
    profiles: tuple[str, ...],
    seeds: int | None,
    data: str | None,
    threads: str | None,
    console: Console,
    timeout: int,
) -> None:
    from coursekit.course.notebooks import stability

    settings = stability.settings(
        profiles=profiles,
        data=tuple(data.split(",")) if data else ("real",),
        threads=tuple(threads.split(",")) if threads else (None,),
        seeds=seeds or 1,
    )
    tallies = stability.examine(notebooks, settings, console=console, timeout=timeout)
    console.print(stability.table(tallies))
    shaky = [tally for tally in tallies if tally.held < len(settings)]
    if shaky:
        typer.echo(f"{len(shaky)} of {len(tallies)} claims did not hold every time.", err=True)
        raise typer.Exit(1)


def _to_run(root: Path, wanted: list[str], kinds: set[str]) -> list[catalogue.Notebook]:
    """Choose among `kinds`; a path means that very notebook, whatever its kind."""
    everything = catalogue.built(root)
    if not everything:
        raise NotebookError("No notebook is built yet; run: python -m coursekit build")
    of_kind = [notebook for notebook in everything if notebook.kind in kinds]
    chosen: list[catalogue.Notebook] = []
    for word in wanted:
        exact = word.endswith(".ipynb") or Path(word).parent != Path()
        chosen += catalogue.choose([word], everything if exact else of_kind, files=True)
    return list(dict.fromkeys(chosen)) if wanted else of_kind


def _finish_check(findings: list[str], wanted: list[str]) -> None:
    if not findings:
        typer.echo("Everything built is in step with sources/.")
        return
    for finding in findings:
        typer.echo(finding, err=True)
    numbers = " ".join(["", *wanted])
    typer.echo(f"Out of step; run: python -m coursekit build{numbers}", err=True)
    raise typer.Exit(1)


def _sentence(line: Built) -> str:
    if line.action != "run":
        return f"{line.action:>10}  {line.notebook.label}"
    data = ", ".join(f"{name}: {source}" for name, source in line.data) or "no data"
    return f"{'run':>10}  {line.notebook.label}  {line.seconds:.0f} s  {data}"


def _stand_ins(used: Iterable[tuple[str, str]]) -> None:
    """Say, where it is so, that embedded data took the place of the real images asked for."""
    from coursekit.datasets import cache_dir, registry

    names = " ".join(sorted(registry.replaced(dict(used))))
    if names:
        typer.echo(
            f"Stand-in data took the place of {names}: the real images are not in {cache_dir()}. "
            f"`python -m coursekit data fetch {names}` or `data import NAME PATH` brings them."
        )


def _known(profile: str) -> None:
    if profile not in PROFILES:
        raise ArgumentError(f"--profile: expected quick, standard or full, got {profile!r}.")


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=120)
