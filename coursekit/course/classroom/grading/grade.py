"""`class grade`: every submission examined, and what was found written down.

Each result is kept in its own file as soon as it is there. A run that was interrupted goes on from
these, and one that is repeated examines only what is new or has changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import re
import signal
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from coursekit import __version__
from coursekit.base.environment import ROOT
from coursekit.base.files import write_whole
from coursekit.course.classroom.grading import pages, reading, results, submissions
from coursekit.course.classroom.grading.examine import Times, examine
from coursekit.course.classroom.grading.host import Host
from coursekit.course.classroom.grading.results import Result
from coursekit.course.classroom.grading.sandbox import Limits
from coursekit.course.classroom.masters import Master, exercises, master
from coursekit.course.classroom.release import seed_digest
from coursekit.errors import ArgumentError, CourseError

KEPT = ".results"
_NOT_GRADED = "not graded, grade again:"
_UNFIT = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')


@dataclass(frozen=True)
class Settings:
    """How to grade: worker processes, time limits, the secret seed, and a container's image."""

    jobs: int = 1
    times: Times = field(default_factory=Times)
    seed: str = ""
    container: str | None = None


def grade(
    path: Path,
    out: Path,
    settings: Settings | None = None,
    *,
    on_result: Callable[[int, int, str], None] = lambda done, total, learner: None,
) -> list[Result]:
    """Grade what is in the folder or zip `path`, and write tables and pages to the folder `out`.

    `on_result(done, total, learner)` is called at the start and after each submission. After an
    interrupt the tables hold what was graded so far, and KeyboardInterrupt goes on.

    Raises ArgumentError for wrong arguments, OSError for a folder that cannot be written.
    """
    settings = settings or Settings()
    names = tuple(notebook.name for notebook in exercises(ROOT))
    found = submissions.find(path, names)
    _writable(out)
    waiting, done = _sorted_out(found, out, settings)
    on_result(len(done), len(found), "")
    try:
        for result, kept in _examined(waiting, path, out, settings):
            if not any(_NOT_GRADED in flag for flag in result.flags):
                write_whole(kept, result.to_text())
            done.append(result)
            on_result(len(done), len(found), result.learner)
    finally:
        done = _counted(done)
        _write(out, done)
    return done


def _writable(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ArgumentError(f"--out: expected a folder, but {out} is a file.")
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK):
        raise ArgumentError(f"--out: the folder {out} cannot be written; choose another one.")


Waiting = tuple[submissions.Submission, Path]


def _sorted_out(
    found: Sequence[submissions.Submission], out: Path, settings: Settings
) -> tuple[list[Waiting], list[Result]]:
    """Return what is to be examined, with the file for its result, and what was examined before."""
    waiting: list[Waiting] = []
    done: list[Result] = []
    for submission in found:
        _same_seed(submission, settings.seed)
        kept = out / KEPT / f"{_key(submission, settings)}.json"
        try:
            done.append(Result.from_text(kept.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            waiting.append((submission, kept))
    return waiting, done


def _same_seed(submission: submissions.Submission, seed: str) -> None:
    """Refuse a seed other than the one that a notebook was released with."""
    try:
        noted = reading.notebook(submission.data).get("metadata", {}).get("coursekit", {})["seed"]
    except (reading.NotReadableError, AttributeError, KeyError, TypeError):
        return
    if isinstance(noted, str) and (not seed or seed_digest(seed) != noted):
        raise ArgumentError(
            f"{submission.file} was released with a secret seed; give the same to --seed"
            + (", this is another one." if seed else ".")
        )


def _key(submission: submissions.Submission, settings: Settings) -> str:
    parts = (submission.learner, submission.file, settings.seed, repr(settings.times),
             str(settings.container), _version())  # fmt: skip
    return hashlib.sha256("\0".join(parts).encode() + b"\0" + submission.data).hexdigest()[:32]


@cache
def _version() -> str:
    """Return the digest of all that a grade depends on beside the submission."""
    told = hashlib.sha256(__version__.encode())
    for folder in ("coursekit/checks", "coursekit/course/classroom/grading", "exercises"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".ipynb"):
                told.update(path.name.encode() + path.read_bytes())
    return told.hexdigest()


def _examined(
    waiting: Sequence[Waiting], path: Path, out: Path, settings: Settings
) -> Iterator[tuple[Result, Path]]:
    hidden = [path.absolute(), out.absolute()]
    if settings.jobs == 1 or len(waiting) < 2:
        _begin(hidden, settings)
        try:
            for submission, kept in waiting:
                yield _one(submission, settings.times), kept
        finally:
            _end()
        return
    context = multiprocessing.get_context("spawn")
    jobs = min(settings.jobs, len(waiting))
    with ProcessPoolExecutor(jobs, context, _begin_worker, (hidden, settings)) as pool:
        running = {pool.submit(_one, s, settings.times): (s, kept) for s, kept in waiting}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED)[0]:
                    submission, kept = running.pop(future)
                    try:
                        yield future.result(), kept
                    except BrokenProcessPool:
                        yield _failed(submission, "a process of the grader ended"), kept
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _failed(submission: submissions.Submission, why: str) -> Result:
    """Return a result that says so; it is not kept, and so tried again the next time."""
    flag = f"{submission.file}: {_NOT_GRADED} {why}"
    return Result(submission.learner, submission.file, None, flags=[flag])


_host: Host | None = None


def _begin(hidden: list[Path], settings: Settings) -> None:
    global _host  # one for each process
    os.environ["COURSEKIT_CHECK_SEED"] = settings.seed
    limits = Limits(seconds=int(settings.times.submission * (os.cpu_count() or 1)) + 60)
    _host = Host(hidden=hidden, limits=limits, container=settings.container)


def _begin_worker(hidden: list[Path], settings: Settings) -> None:
    _begin(hidden, settings)

    def stop(*_: object) -> None:
        _end()
        os._exit(1)  # without a traceback: whoever grades is told once

    for ended_by in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ended_by, stop)


def _end() -> None:
    global _host
    if _host is not None:
        _host.close()
        _host = None
    os.environ.pop("COURSEKIT_CHECK_SEED", None)


def _one(submission: submissions.Submission, times: Times) -> Result:
    assert _host is not None
    given = (submission.learner, submission.file, submission.data)
    try:
        return examine(_host, *given, _known, times)
    except CourseError:
        raise
    except Exception as error:  # one submission must never stop the others
        return _failed(submission, f"an error in the grader ({type(error).__name__}: {error})")


def _known(number: int) -> Master | None:
    with contextlib.suppress(ArgumentError):
        return master(ROOT, number)
    return None


def _counted(done: Sequence[Result]) -> list[Result]:
    """Return one result a learner and exercise: the one with most points, then the last by name.

    The others are told in its flags.
    """
    best: dict[tuple[str, int | None, str], Result] = {}
    for result in sorted(done, key=lambda r: (r.learner, r.exercise or 0, r.points, r.file)):
        key = (result.learner, result.exercise, result.file if result.exercise is None else "")
        earlier = best.get(key)
        best[key] = result
        if earlier is not None:
            others = f"{earlier.file} is another notebook for this exercise"
            result.flags = [*result.flags, *(f for f in earlier.flags if "another" in f), others]
    return list(best.values())


def _write(out: Path, done: Sequence[Result]) -> None:
    titles = {n: _title(n) for n in {r.exercise for r in done} if n is not None}
    write_whole(out / "grades.csv", results.grades_csv(done))
    write_whole(out / "summary.csv", results.summary_csv(done))
    write_whole(out / "class.html", pages.class_page(done, titles))
    folders = _folders(done)
    for result in done:
        if result.exercise is not None:
            page = pages.feedback(result, titles[result.exercise])
            file = out / "feedback" / folders[result.learner] / f"{result.exercise:02}.html"
            if not file.exists() or file.read_text(encoding="utf-8") != page:
                write_whole(file, page)


def _folders(done: Sequence[Result]) -> dict[str, str]:
    """Return a folder name for each learner: the name itself, where the systems allow it."""
    names: dict[str, str] = {}
    for learner in sorted({r.learner for r in done}):
        name = _UNFIT.sub("_", unicodedata.normalize("NFC", learner)).strip(" .") or "_"
        while name in names.values():
            name += "_"
        names[learner] = name
    return names


def _title(number: int) -> str:
    from coursekit.checks.engine.tasks import load

    return f"Exercise {number:02} · {load(number).title}"
