"""What `class grade` says while it works, and at the end."""

from __future__ import annotations

import time
from pathlib import Path

import typer
from tqdm import tqdm

from coursekit.base.environment import headless
from coursekit.course.classroom.grading.examine import Times
from coursekit.course.classroom.grading.grade import Settings, grade
from coursekit.course.classroom.grading.sandbox import GUARDS


def graded(
    submissions: Path,
    out: Path,
    *,
    jobs: int,
    container: str | None,
    seed: str,
    cell_seconds: float,
    seconds: float,
) -> None:
    """Grade with a progress bar, then say where the results lie and which guards did not hold."""
    settings = Settings(jobs, Times(cell_seconds, seconds), seed, container)
    started = time.perf_counter()
    bar: tqdm | None = None

    def on_result(done: int, total: int, learner: str) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total, initial=done, unit=" submissions", disable=headless() or None)
        bar.set_postfix_str(learner, refresh=False)
        bar.update(done - bar.n)

    try:
        results = grade(submissions, out, settings, on_result=on_result)
    finally:
        if bar is not None:
            bar.close()
    n_flagged = sum(bool(result.flags) for result in results)
    typer.echo(
        f"{len(results)} submissions, {time.perf_counter() - started:.0f} s; {n_flagged} flagged. "
        f"Results: {out / 'grades.csv'}, {out / 'class.html'}"
    )
    for guard in GUARDS:
        if any(guard in result.missing for result in results):
            typer.echo(f"Not guaranteed on this system: {GUARDS[guard]}.")
