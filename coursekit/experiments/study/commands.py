"""`python -m coursekit study run`, `study pace` and `study report`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="The CIFAR-10 study: six variants, several seeds, one report.", no_args_is_help=True
)

_Out = Annotated[
    Path | None, typer.Option("--out", help="The study's folder; work/study/PROFILE by default.")
]
_Profile = Annotated[
    str | None, typer.Option("--profile", help="quick, standard or full.", show_default=False)
]
_Workers = Annotated[int | None, typer.Option("--workers", help="Local processes; 2 by default.")]
_Variants = Annotated[
    str | None, typer.Option("--variants", help="Names with commas between; all by default.")
]


@app.command("run")
def run_command(
    variants: _Variants = None,
    seeds: Annotated[int, typer.Option("--seeds", help="How many seeds.")] = 5,
    profile: _Profile = None,
    workers: _Workers = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Address of a Dask scheduler.")
    ] = None,
    out: _Out = None,
) -> None:
    """Train what has no record yet; killed and started again, it goes on."""
    from coursekit.base.environment import current_profile
    from coursekit.experiments.study import runner

    out = out or runner.DEFAULT_FOLDER / current_profile(profile)
    with _interrupts_told():
        runs = runner.run(
            variants=variants,
            seeds=seeds,
            profile=profile,
            workers=workers,
            scheduler=scheduler,
            out=out,
        )
    typer.echo(f"All {len(runs)} runs are done; next: python -m coursekit study report --out {out}")


@app.command("pace")
def pace_command(
    variants: _Variants = None,
    times: Annotated[int, typer.Option("--times", help="How often to measure each variant.")] = 3,
    epochs: Annotated[
        int, typer.Option("--epochs", help="Epochs of each time; the first does not count.")
    ] = 4,
    profile: _Profile = None,
    workers: _Workers = None,
    again: Annotated[
        bool, typer.Option("--again", help="Forget what was measured, and measure anew.")
    ] = False,
    out: _Out = None,
) -> None:
    """Measure each variant's seconds per epoch; the machine must do nothing else meanwhile."""
    from coursekit.experiments.study.pacing import describe_pace, pace
    from coursekit.experiments.study.reporting import study_folder

    with _interrupts_told(" without --again" if again else ""):
        measured = pace(
            variants=variants,
            times=times,
            epochs=epochs,
            profile=profile,
            workers=workers,
            again=again,
            out=out,
        )
    typer.echo(describe_pace(measured))
    folder = study_folder(out, profile)
    typer.echo(f"The report uses them; next: python -m coursekit study report --out {folder}")


@app.command("report")
def report_command(
    out: _Out = None,
    profile: _Profile = None,
    summary: Annotated[
        Path | None, typer.Option("--summary", help="Also write a small JSON file to keep.")
    ] = None,
) -> None:
    """Print the table and write report.md and curves.png into the study's folder."""
    from coursekit.experiments.study.reporting import report, study_folder

    found = report(out=out, profile=profile)
    typer.echo(found.text())
    for path in found.write(study_folder(out, profile)):
        typer.echo(f"written: {path}")
    if summary is not None:
        found.save_summary(summary)
        typer.echo(f"written: {summary}")


@contextmanager
def _interrupts_told(but: str = "") -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(
            f"\ncoursekit: interrupted; what is done is kept, and the same command{but} goes on "
            "from there.",
            err=True,
        )
        raise SystemExit(130) from None
