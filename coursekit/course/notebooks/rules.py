"""What a good notebook holds: rules for sources before they run and for outputs afterwards.

Each function returns its findings as sentences, each with the cell it is about; none is good.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from coursekit.base.environment import ROOT
from coursekit.course.notebooks import form, prose
from coursekit.course.notebooks.cells import headings, named, tags, texts, where

HEADINGS = ("What you will be able to do", "Recap", "Now practise", "Further reading")
MAX_LINES = 45
MAX_BYTES = 500_000
_TAG = re.compile(r"(task|check):[a-z_][a-z0-9_]*|[a-z][a-z0-9-]*")
_HIDES_FAILURE = {"raises-exception", "skip-execution", "nbval-skip", "nbval-raises-exception"}
_ASSERTS = re.compile(r"^\s*(?:assert\b|ck\.prove\()", re.MULTILINE)
_MINUTES = re.compile(r"(?:\d+|\}\})\s*min")
_NO_ALT = re.compile(r"!\[\s*\]\(|<img\b(?![^>]*\balt=[\"'][^\"'])", re.IGNORECASE)
_ADDRESS = re.compile(r"(?<= at )0x[0-9a-fA-F]+")
_HOMES = (r"/home/\w[\w.-]*/", r"/Users/\w[\w.-]*/", r"[A-Z]:\\+Users\\")


def source_findings(nb: NotebookNode, kind: str) -> list[str]:
    """Return what is wrong with the text of a notebook of `kind` (lesson: "notebooks")."""
    found = [finding for index in range(len(nb.cells)) for finding in _cell(nb, index, kind)]
    found += _pairs(nb) if kind != "notebooks" else _lesson(nb)
    return found


def _cell(nb: NotebookNode, index: int, kind: str) -> Iterator[str]:
    cell, here = nb.cells[index], where(nb, index)
    if not cell.source.strip():
        yield f"{here}: is empty."
    for tag in tags(cell):
        if tag in _HIDES_FAILURE:
            yield f"{here}: the tag {tag} would hide a failure; take it out."
        elif not _TAG.fullmatch(tag):
            yield f"{here}: the tag {tag!r} is neither task:name, check:name nor a plain word."
    if cell.cell_type == "code":
        lines = len(cell.source.splitlines())
        if lines > MAX_LINES:
            yield f"{here}: has {lines} lines of code; at most {MAX_LINES} are allowed."
        asserts = bool(_ASSERTS.search(cell.source))
        if kind == "notebooks" and asserts and "claim" not in tags(cell):
            yield f"{here}: asserts something but lacks the tag claim."
        if "claim" in tags(cell) and not asserts:
            yield f"{here}: has the tag claim but asserts nothing."
    elif _NO_ALT.search(cell.source):
        yield f"{here}: has a picture without alternative text."
    for expression in prose.misspelt(cell):
        yield f"{here}: {{{{ {expression} }}}} cannot be filled in: expected a Python expression."
    for path in _paths_in(cell.source, machine_paths()):
        yield f"{here}: holds {path}, a path of one machine."


def _lesson(nb: NotebookNode) -> Iterator[str]:
    present = {title: cell for cell in nb.cells for title in headings(cell)}
    for title in HEADINGS:
        if title not in present:
            yield f'the heading "{title}" is missing.'
    first = present.get(HEADINGS[0])
    if first is not None and not _MINUTES.search(first.source):
        yield f'the cell "{HEADINGS[0]}" does not say how many minutes it takes.'
    if form.is_new(nb):
        yield from form.findings(nb)
    for index, cell in enumerate(nb.cells):
        if named(cell, "task") is not None or named(cell, "check") is not None:
            yield f"{where(nb, index)}: tasks and checks belong in sources/exercises."


def _pairs(nb: NotebookNode) -> Iterator[str]:
    tasks: dict[str, int] = {}
    checks: dict[str, int] = {}
    for index, cell in enumerate(nb.cells):
        task, check, here = named(cell, "task"), named(cell, "check"), where(nb, index)
        if task is not None and check is not None:
            yield f"{here}: is a task and a check at once."
        for name, prefix, seen in ((task, "task", tasks), (check, "check", checks)):
            if name in seen:
                yield f"{here}: {prefix}:{name} is there twice."
            elif name is not None:
                seen[name] = index
            if name is not None and cell.cell_type != "code":
                yield f"{here}: {prefix}:{name} must be a code cell."
        marked = "### BEGIN SOLUTION" in cell.source
        hidden = "### BEGIN HIDDEN TESTS" in cell.source
        if task is not None and not marked:
            yield f"{here}: task:{task} has no region from ### BEGIN SOLUTION to ### END SOLUTION."
        if task is None and marked and cell.cell_type == "code":
            yield f"{here}: has a solution but no tag task:name."
        if check is None and hidden:
            yield f"{here}: has hidden tests but no tag check:name."
        if check is not None and f".{check}(" not in cell.source:
            yield f"{here}: check:{check} does not call ex.{check}(...)."
    for name, index in tasks.items():
        if name not in checks:
            yield f"{where(nb, index)}: task:{name} has no check:{name}."
        elif checks[name] < index:
            yield f"{where(nb, index)}: check:{name} must stand below task:{name}."
    for name, index in checks.items():
        if name not in tasks:
            yield f"{where(nb, index)}: check:{name} has no task:{name}."


def output_findings(nb: NotebookNode, extra_paths: tuple[str, ...] = ()) -> list[str]:
    """Return what a stored notebook must not hold: stderr, errors, widget state, machine paths."""
    found = []
    if "widgets" in nb.metadata:
        found.append("the notebook: holds the state of widgets.")
    paths = machine_paths() + extra_paths
    for index, cell in enumerate(nb.cells):
        for output in cell.get("outputs", []):
            found += [f"{where(nb, index)}: {finding}" for finding in _output(output, paths)]
    return found


def _output(output: NotebookNode, paths: tuple[str, ...]) -> Iterator[str]:
    if output.output_type == "stream" and output.name == "stderr":
        yield f"writes to stderr: {_short(output.text)}"
    if output.output_type == "error":
        yield f"ends in an error: {_short(f'{output.ename}: {output.evalue}')}"
    for path in _paths_in("\n".join(texts(output)), paths):
        yield f"shows {path}, a path of one machine."
    for mime in output.get("data", {}):
        if mime.startswith("image/") and not _alt(output, mime):
            yield "shows a picture without alternative text; use ck.show(fig, alt=...)."
        if "widget" in mime:
            yield "shows a widget; with COURSEKIT_HEADLESS=1 it must show its still picture."
        if mime in ("text/html", "text/markdown") and _NO_ALT.search(output.data[mime]):
            yield "shows a picture without alternative text."


def tidy_outputs(nb: NotebookNode) -> None:
    """Make outputs repeatable in place: no memory addresses, cells numbered from 1."""
    number = 0
    for cell in nb.cells:
        if cell.cell_type != "code":
            continue
        number += 1
        cell.execution_count = number
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
            if output.output_type == "stream":
                output.text = _ADDRESS.sub("0x…", output.text)
            for mime, value in output.get("data", {}).items():
                if mime.startswith("text/"):
                    output.data[mime] = _ADDRESS.sub("0x…", value)


def machine_paths() -> tuple[str, ...]:
    """Return folders whose names must not get into a notebook: home, temporary, Python's, ours."""
    folders = {tempfile.gettempdir(), str(ROOT)}
    folders.add(str(Path("~").expanduser()))
    if sys.prefix != sys.base_prefix:
        folders.add(sys.prefix)
    return tuple(sorted(folder for folder in folders if len(Path(folder).parts) > 1))


def _paths_in(text: str, paths: tuple[str, ...]) -> list[str]:
    patterns = [*(rf"{re.escape(path)}(?![\w.-])" for path in paths), *_HOMES]
    found = (re.search(rf"(?<![\w./-])(?:{pattern})", text) for pattern in patterns)
    return sorted({match.group(0) for match in found if match})


def _alt(output: NotebookNode, mime: str) -> str:
    return str(output.get("metadata", {}).get(mime, {}).get("alt", "")).strip()


def _short(text: str) -> str:
    line = next((line for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= 160 else line[:159] + "…"
