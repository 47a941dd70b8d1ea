"""The pages: a learner's feedback, and the class at a glance. One file each, no network."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence

from coursekit.checks.engine.display import MARKS, rich
from coursekit.course.classroom.grading.results import Graded, Result
from coursekit.course.classroom.grading.sandbox import GUARDS

_MARKS = MARKS | {"time": "∞", "tampering": "⚑"}
_COLORS = {
    "correct": "#009E73", "wrong": "#D55E00", "crashed": "#E69F00", "not attempted": "#7F7F7F",
    "time": "#0072B2", "tampering": "#CC79A7",
}  # fmt: skip
_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
div.wide { overflow-x: auto }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { text-align: left; padding: .25rem .8rem; border-bottom: 1px solid #8884 }
td.flags { min-width: 14rem }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.task { border-left: 4px solid; padding: .3rem .9rem; margin: .8rem 0 }
.task p { margin: .2rem 0; white-space: pre-wrap; overflow-wrap: anywhere }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .2rem 0 }
.bar { display: inline-block; height: .8rem; background: #009E73; vertical-align: middle }
"""


def feedback(result: Result, title: str) -> str:
    """Return the page for a learner: every task, what is wrong with it, and a first hint."""
    head = f"{title} · {result.learner}"
    points = f"<p>{result.points:g} of {result.max_points:g} points</p>"
    notes = "".join(f"<p>{html.escape(flag)}</p>" for flag in _for_learners(result))
    return _page(head, f"<h1>{html.escape(head)}</h1>{points}{notes}"
                 + "".join(_task(task) for task in result.tasks))  # fmt: skip


def _for_learners(result: Result) -> list[str]:
    return result.flags if result.exercise is None else []


def _task(task: Graded) -> str:
    color = _COLORS[task.outcome]
    lines = [task.reason, f"In {task.where}" if task.where else ""]
    if task.outcome in ("wrong", "crashed", "time") and task.hints:
        lines.append(f"A hint: {task.hints[0]}")
    text = "".join(f"<p>{rich(line)}</p>" for line in lines if line)
    printed = f"<p>Your code printed:</p><pre>{html.escape(task.printed)}</pre>"
    return (
        f'<div class="task" style="border-color:{color}"><b><span style="color:{color}">'
        f"{_MARKS[task.outcome]}</span> {task.outcome}</b> · {html.escape(task.task)}: "
        f"{html.escape(task.title)} · {task.points:g} of {task.max_points:g}"
        f"{text}{printed if task.printed and task.outcome != 'correct' else ''}</div>"
    )


def class_page(results: Sequence[Result], titles: dict[int, str]) -> str:
    """Return the page for the instructor: who has what, which tasks were hard, and why."""
    parts = ["<h1>The class</h1>", _promises(results)]
    for number in sorted({r.exercise for r in results if r.exercise is not None}):
        of_it = [r for r in results if r.exercise == number]
        parts += [f"<h2>{html.escape(titles[number])}</h2>", _who(of_it), _hard(of_it),
                  _reasons(of_it)]  # fmt: skip
    unread = [r for r in results if r.exercise is None]
    if unread:
        rows = [[r.learner, r.file, "; ".join(r.flags)] for r in unread]
        parts += ["<h2>Not graded</h2>", _table(["learner", "file", "why"], rows)]
    return _page("The class", "".join(parts))


def _promises(results: Sequence[Result]) -> str:
    missing = [guard for guard in GUARDS if any(guard in r.missing for r in results)]
    if not missing:
        return "<p>Every guard held: " + "; ".join(GUARDS.values()) + ".</p>"
    told = "".join(f"<li>{html.escape(GUARDS[guard])}</li>" for guard in missing)
    return (
        f"<p><b>On this system these guards did not hold, for some or all:</b></p><ul>{told}</ul>"
    )


def _who(results: Sequence[Result]) -> str:
    tasks = [task.task for task in results[0].tasks]
    rows = []
    for result in results:
        marks = [
            f'<td title="{html.escape(t.outcome)}: {html.escape(t.reason, quote=True)}" '
            f'style="color:{_COLORS[t.outcome]}">{_MARKS[t.outcome]}</td>'
            for t in result.tasks
        ]
        learner, flags = html.escape(result.learner), html.escape("; ".join(result.flags))
        ends = f'<td class="number">{result.points:g}</td><td class="flags">{flags}</td>'
        rows.append(f"<tr><td>{learner}</td>{''.join(marks)}{ends}</tr>")
    names = ["learner", *tasks, "points", "flags"]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    key = " · ".join(f"{mark} {name}" for name, mark in _MARKS.items() if name in _COLORS)
    table = f"<table><tr>{head}</tr>{''.join(rows)}</table>"
    return f'<div class="wide">{table}</div><p>{key}</p>'


def _hard(results: Sequence[Result]) -> str:
    """Return a table of the tasks, the one that fewest have solved first."""
    rows = []
    for i, task in enumerate(results[0].tasks):
        solved = sum(r.tasks[i].outcome == "correct" for r in results)
        rows.append((solved / len(results), task.task, solved))
    body = "".join(
        f'<tr><td>{html.escape(name)}</td><td class="number">{solved} of {len(results)}</td>'
        f'<td><span class="bar" style="width:{10 * share:.2f}rem"></span></td></tr>'
        for share, name, solved in sorted(rows)
    )
    return f"<h3>Hardest first</h3><table>{body}</table>"


def _reasons(results: Sequence[Result]) -> str:
    counts = Counter(
        (task.task, task.reason) for r in results for task in r.tasks if task.outcome == "wrong"
    )
    if not counts:
        return ""
    first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]
    rows = [[str(n), name, reason] for (name, reason), n in first]
    return "<h3>Most frequent reasons</h3>" + _table(["times", "task", "reason"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{rich(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + row(head, "th") + "".join(row(each, "td") for each in rows) + "</table>"


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}'
        '</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )
