"""The form of a lesson: what is folded away, how long it takes, how much code a learner sees."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from coursekit.course.notebooks import prose
from coursekit.course.notebooks.cells import tags, where
from coursekit.errors import NotebookError

FOLDED = {"plot", "helper", "claim"}  # tags of cells whose code is behind a click
HIDDEN = "hide-input"  # the tag that Jupyter Book and MyST know for it
MAX_CELLS = 60
MAX_VISIBLE = 250  # lines of code in a lesson
MAX_IN_CELL = 15
TOMORROW = "What to do tomorrow"
MAX_RULES = 5
# How long a learner takes. Easy texts are read at 238 words a minute (M. Brysbaert, Journal of
# Memory and Language 109, 2019), technical ones more slowly; all four numbers are estimates.
_WORDS_A_MINUTE, _PICTURE, _QUESTION, _LINE = 180, 1 / 3, 1.0, 1 / 10  # the last three in minutes
_FIGURE = re.compile(r"!\[([^\]]*)\]\(\.\./figures/([\w-]+\.svg)\)")
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_NUMBERED = re.compile(r"^\d+ · ")
_FINDING = re.compile(r"^\*\*[^*]*(?:\d|\{\{ )[^*]*\*\*", re.MULTILINE)


def fold(cell: NotebookNode) -> None:
    """Hide the code of a cell tagged plot, helper or claim; its output stays."""
    if FOLDED & set(tags(cell)):
        cell.metadata["tags"] = [*tags(cell), HIDDEN]
        cell.metadata["jupyter"] = NotebookNode(source_hidden=True)


def embed_figures(cell: NotebookNode, folder: Path) -> None:
    """Put drawings into a text cell, where it points to `../figures/NAME.svg`.

    As data in the address of the picture: JupyterLab shows no SVG that is an attachment.
    """

    def embedded(found: re.Match) -> str:
        path = folder / found[2]
        if not path.exists():
            raise NotebookError(f"there is no drawing {found[2]} in {folder.name}/.")
        drawing = re.sub(r">\s+<", "><", path.read_text(encoding="utf-8").strip())
        data = base64.b64encode(drawing.encode()).decode()
        return f"![{found[1]}](data:image/svg+xml;base64,{data})"

    cell.source = _FIGURE.sub(embedded, cell.source)


def visible(cell: NotebookNode) -> int:
    """Return how many lines of code a learner sees of this cell, blank ones left out."""
    if cell.cell_type != "code" or FOLDED & set(tags(cell)):
        return 0
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def minutes(nb: NotebookNode) -> dict[str, str]:
    """Return the answers to `minutes.reading` and `minutes.with_code`, to the next five minutes.

    Reading counts words, pictures and questions; with code, the visible lines and the measured
    seconds of the long cells come on top.
    """
    text = "\n".join(prose.written(c) for c in nb.cells if c.cell_type == "markdown")
    words = len(re.findall(r"\w[\w'’-]*", re.sub(r"\(data:[^)]*\)", "", text)))
    pictures = text.count("](data:") + sum(
        any(mime.startswith("image/") for mime in output.get("data", {}))
        for cell in nb.cells
        for output in cell.get("outputs", [])
    )
    questions = text.count("**Predict first")
    lines = sum(map(visible, nb.cells))
    waiting = sum(nb.metadata.coursekit.get("seconds", {}).values()) / 60
    reading = words / _WORDS_A_MINUTE + pictures * _PICTURE + questions * _QUESTION
    with_code = reading + lines * _LINE + waiting
    return {
        "minutes.reading": str(_to_five(reading)),
        "minutes.with_code": str(_to_five(with_code)),
    }


def _to_five(value: float) -> int:
    return max(5, 5 * round(value / 5))


def fill_minutes(nb: NotebookNode) -> None:
    """Fill the two times in, in place; they change with the text, the code and the run."""
    answers = minutes(nb)
    for cell in nb.cells:
        mine = {each: answers[each] for each in prose.expressions(cell) if each in answers}
        if mine:
            prose.fill(cell, mine)


def is_new(nb: NotebookNode) -> bool:
    """Return whether a lesson has the form of the second edition: its head computes its times."""
    return any("minutes.reading" in prose.expressions(cell) for cell in nb.cells)


def findings(nb: NotebookNode) -> Iterator[str]:
    """Return what is wrong with the form of a lesson of the second edition."""
    if len(nb.cells) > MAX_CELLS:
        yield f"has {len(nb.cells)} cells; at most {MAX_CELLS} are allowed."
    total = sum(map(visible, nb.cells))
    if total > MAX_VISIBLE:
        yield f"shows {total} lines of code; at most {MAX_VISIBLE} are allowed: fold helpers away."
    for index, cell in enumerate(nb.cells):
        if visible(cell) > MAX_IN_CELL:
            yield (
                f"{where(nb, index)}: shows {visible(cell)} lines of code; at most {MAX_IN_CELL}, "
                "or the tag plot or helper."
            )
    if "minutes.with_code" not in {each for cell in nb.cells for each in prose.expressions(cell)}:
        yield "its head names one time; expected {{ minutes.with_code }} too."
    yield from _sections(nb)


def _sections(nb: NotebookNode) -> Iterator[str]:
    """Every numbered section has a finding, and the lesson ends with rules for tomorrow."""
    title, found = "", True
    rules: int | None = None
    for cell in [*nb.cells, None]:
        titles = _HEADING.findall(prose.written(cell)) if cell is not None else [TOMORROW]
        for each in titles:
            if not found:
                yield f'the section "{title}" has no finding: a bold sentence with its number.'
            title, found = each, not _NUMBERED.match(each)
        if cell is None:
            break
        if cell.cell_type == "markdown":
            found = found or bool(_FINDING.search(prose.written(cell)))
            if TOMORROW in titles:
                below = re.split(r"^#+ ", cell.source.partition(TOMORROW)[2], flags=re.MULTILINE)
                rules = len(re.findall(r"^(?:\d+\.|-) ", below[0], re.MULTILINE))
    if rules is None:
        yield f'the heading "{TOMORROW}" is missing.'
    elif not 1 <= rules <= MAX_RULES:
        yield f'"{TOMORROW}" has {rules} rules; expected 1 to {MAX_RULES}, one line each.'
