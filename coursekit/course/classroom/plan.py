"""`class plan NN`: a lesson as a timetable, with what to ask, to expect and to skip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from coursekit.checks.engine.tasks import TaskList, load, numbers
from coursekit.course.classroom import outline, plan_measured, plan_parts
from coursekit.course.classroom.outline import Outline, Section
from coursekit.course.classroom.plan_clock import Row, clock
from coursekit.course.classroom.plan_parts import Part

LENGTHS = (90, 45)
_LONG_CELL = 2.0  # seconds, as in a built notebook
_MOST_WAITING = 1 / 10  # share of the lesson that may pass while cells run


def plan(root: Path, wanted: str, lengths: Sequence[int] = LENGTHS) -> str:
    """Return the plan of the lesson meant by a number or a name, as markdown.

    Raises ArgumentError for a lesson that is not there and for too few minutes, CourseError for a
    part or measurements that cannot be read.
    """
    lesson = outline.lesson(root, wanted)
    measured = plan_measured.read(root).lessons.get(lesson.name, plan_measured.Lesson())
    part = plan_parts.read(root, lesson.number)
    tasks = load(lesson.number) if lesson.number in numbers() else None
    return "\n\n".join(_text(lesson, measured, part, tasks, lengths)) + "\n"


def _text(
    lesson: Outline,
    measured: plan_measured.Lesson,
    part: Part,
    tasks: TaskList | None,
    lengths: Sequence[int],
) -> Iterator[str]:
    yield f"# Plan: {lesson.title}"
    yield (
        "Talk: you speak and show. Run: cells run, or the class works. Discuss: predict alone, "
        "compare in pairs, look at the result and say why."
    )
    for minutes in lengths:
        yield from _length(lesson, measured, part, minutes)
    yield from _seconds(lesson, measured)
    yield from _questions(lesson, part)
    yield from _practise(part, tasks)
    yield from _mistakes(part, tasks)
    if part.late:
        yield "## When you are late, skip in this order"
        yield "\n".join(
            f"{n}. **{_title(lesson, late.section)}**: {late.instead}"
            for n, late in enumerate(part.late, 1)
        )
    if part.live:
        yield "## What goes wrong live"
        yield "\n".join(f"- {each}" for each in part.live)


def _length(
    lesson: Outline, measured: plan_measured.Lesson, part: Part, minutes: int
) -> Iterator[str]:
    profile, seconds = _profile(lesson, measured, minutes)
    late = [each.section for each in part.late]
    rows = clock(lesson, minutes, seconds or {}, late)
    yield f"## {minutes} minutes"
    head = "| clock | section | talk | run | discuss | |"
    yield "\n".join([head, "|--:|---|--:|--:|--:|---|", *_lines(rows)])
    if seconds is None:
        yield "Nobody has measured yet how long the cells run; the clock leaves no time for them."
    else:
        yield (
            f"Everyone runs the profile **{profile}** (`COURSEKIT_PROFILE={profile}`): its cells "
            f"take {sum(seconds.values()) / 60:.1f} minutes in all where they were measured, "
            "most of them while you talk or discuss."
        )


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    now = 0
    for row in rows:
        cells = [str(each or "") for each in (row.talk, row.run, row.discuss)]
        start = f"{now // 60}:{now % 60:02}" if row.minutes else ""
        yield f"| {start} | {row.title} | {' | '.join(cells)} | {row.note} |"
        now += row.minutes
    sums = [sum(getattr(row, kind) for row in rows) for kind in ("talk", "run", "discuss")]
    yield f"| {now // 60}:{now % 60:02} | **end** | {' | '.join(map(str, sums))} | {now} minutes |"


def _profile(
    lesson: Outline, measured: plan_measured.Lesson, minutes: int
) -> tuple[str, dict[str, float] | None]:
    """Return the profile to run in, and the seconds of each section in it (None if unknown)."""
    known = {cell.id for section in lesson.sections for cell in section.cells}
    quick = standard = None
    if known <= set(measured.seconds):
        quick = {
            section.title: sum(measured.seconds[cell.id] for cell in section.cells)
            for section in lesson.sections
        }
    if lesson.measured:
        standard = {
            section.title: sum(lesson.seconds.get(cell.id, 0) for cell in section.cells)
            for section in lesson.sections
        }
    waiting = sum((standard or {}).values()) / 60
    if standard and (quick is None or waiting <= _MOST_WAITING * minutes):
        return "standard", standard
    return "quick", quick


def _seconds(lesson: Outline, measured: plan_measured.Lesson) -> Iterator[str]:
    yield "## How long cells run"
    lines = []
    number = 0
    for section in lesson.sections:
        for cell in section.cells:
            number += 1
            quick, standard = measured.seconds.get(cell.id), lesson.seconds.get(cell.id)
            if max(quick or 0, standard or 0) > _LONG_CELL:
                short = f"under {_LONG_CELL:.0f} s" if lesson.measured else "not measured"
                begins = _begin(cell.source)
                lines.append(
                    f"| {number} | {section.title} | `{begins}` | {_shown(quick, 'not measured')} "
                    f"| {_shown(standard, short)} |"
                )
    if lines:
        yield "\n".join(["| cell | section | begins with | quick | standard |",
                         "|--:|---|---|--:|--:|", *lines])  # fmt: skip
        yield (
            "Cells are counted as Jupyter numbers them after *Run All Cells*. `class check` says "
            "how much slower or faster this machine is than the one that measured."
        )
    else:
        yield f"No cell is known to run longer than {_LONG_CELL:.0f} seconds."


def _begin(source: str) -> str:
    lines = [line for line in source.splitlines() if line.strip() and not line.startswith("#")]
    line = lines[0].replace("|", "¦") if lines else ""
    return line if len(line) <= 44 else line[:43] + "…"


def _shown(seconds: float | None, otherwise: str) -> str:
    if seconds is None:
        return otherwise
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _questions(lesson: Outline, part: Part) -> Iterator[str]:
    if not plan_parts.questions(lesson):
        return
    yield "## Ask before each experiment"
    for section in lesson.sections:
        for each in section.experiments:
            if each.question:
                yield from _question(section, each, part)


def _question(section: Section, experiment: outline.Experiment, part: Part) -> Iterator[str]:
    yield f"### {section.title}" + (f": {experiment.heading}" if experiment.heading else "")
    if experiment.lead:
        yield f"**Say:** {outline.flat(experiment.lead)}"
    yield f"**Ask:** {outline.flat(experiment.question)}"
    usual = part.usual(experiment.question)
    if usual:
        yield "**Usual answers**\n\n" + "\n".join(f"- {each}" for each in usual)
    if experiment.findings:
        yield f"It ends with: {outline.flat(experiment.findings[0])}"


def _practise(part: Part, tasks: TaskList | None) -> Iterator[str]:
    if tasks is None:
        return
    yield f"## The exercise ({len(tasks)} task{'s' * (len(tasks) > 1)})"
    here = [tasks[name] for name in part.practise if name in tasks] or list(tasks)[:2]
    named = ", ".join(f"`{task.name}` ({task.title})" for task in here)
    others = " The others are for home." if len(here) < len(tasks) else ""
    yield f"In the lesson: {named}.{others} Each check answers back, with hints."


def _mistakes(part: Part, tasks: TaskList | None) -> Iterator[str]:
    found = plan_parts.mistakes(part, tasks)
    if found:
        yield "## Five mistakes to expect" if len(found) == 5 else "## Mistakes to expect"
        yield "\n".join(f"{n}. `{task}`: {reason}" for n, (task, reason) in enumerate(found, 1))
        yield "In the words of the checks, which a learner who makes them reads too."


def _title(lesson: Outline, name: str) -> str:
    section = lesson.section(name)
    return section.title if section else name
