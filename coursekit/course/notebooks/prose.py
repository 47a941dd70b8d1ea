"""Numbers in a lesson's text: `{{ expression:format }}`, filled in when the notebook is built.

The kernel is asked as it stands when the run comes to that text. The stored cell keeps the text as
written and the values, so that mending a sentence needs no new run. `{{ minutes.reading }}` and
`{{ minutes.with_code }}` are computed from the notebook itself (see `form`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from nbformat import NotebookNode

_EXPRESSION = re.compile(r"\{\{ (.+?) \}\}", re.DOTALL)
_COMPUTED = "minutes."  # known when the whole notebook has run


def expressions(cell: NotebookNode) -> list[str]:
    """Return what stands between `{{ ` and ` }}` in a text cell as it was written.

    >>> from nbformat.v4 import new_markdown_cell
    >>> expressions(new_markdown_cell("It is {{ loss:.2f }} in {{ minutes.reading }} min."))
    ['loss:.2f', 'minutes.reading']
    """
    return _EXPRESSION.findall(written(cell)) if cell.cell_type == "markdown" else []


def asked(cell: NotebookNode) -> list[str]:
    """Return the expressions of a text cell that the kernel must answer."""
    return [each for each in expressions(cell) if not each.startswith(_COMPUTED)]


def question(expression: str) -> str:
    """Return Python code whose value is the text to fill in.

    >>> eval(question("1 / 3:.2f"))
    '0.33'
    """
    return f"f'''{{ {expression}}}'''"  # the space: an expression may begin with a brace


def misspelt(cell: NotebookNode) -> list[str]:
    """Return the expressions of a text cell that cannot be filled in: known before anything runs.

    They are no Python, or lack a space inside their braces and would stay in the text as written.

    >>> from nbformat.v4 import new_markdown_cell
    >>> misspelt(new_markdown_cell("It is {{ loss:.2f }}, {{ loss[1:.2f }} and {{ loss:,}}."))
    ['loss[1:.2f', ' loss:,']
    """
    left = _EXPRESSION.sub("", written(cell)) if cell.cell_type == "markdown" else ""
    wrong = [each for each in asked(cell) if not _is_python(question(each))]
    return wrong + re.findall(r"\{\{(.*?)\}\}", left, re.DOTALL)


def _is_python(code: str) -> bool:
    try:
        compile(code, "<text>", "eval")
    except SyntaxError:
        return False
    return True


def written(cell: NotebookNode) -> str:
    """Return a cell's text as its author wrote it."""
    return cell.metadata.get("coursekit", {}).get("text", cell.source)


def values(cell: NotebookNode) -> dict[str, str]:
    """Return what was filled in: expression → text."""
    return dict(cell.metadata.get("coursekit", {}).get("values", {}))


def filled(text: str, answers: Mapping[str, str]) -> str:
    """Return the text with every expression replaced by its answer.

    >>> filled("It ends at {{ loss:.2f }}.", {"loss:.2f": "0.25"})
    'It ends at 0.25.'
    """
    return _EXPRESSION.sub(lambda found: answers[found[1]], text)


def fill(cell: NotebookNode, answers: Mapping[str, str]) -> None:
    """Fill a text cell in place and keep what was written; answers not yet known stay open."""
    text, known = written(cell), values(cell) | dict(answers)
    mine = {each: known[each] for each in expressions(cell) if each in known}
    if not mine:
        return
    cell.metadata["coursekit"] = NotebookNode(text=text, values=NotebookNode(mine))
    cell.source = _EXPRESSION.sub(lambda found: mine.get(found[1], found[0]), text)


def refill(cells: list[NotebookNode], before: list[NotebookNode]) -> bool:
    """Fill text cells from the stored ones of an earlier build; False where a value is missing.

    A cell is known by its id, and where its text has changed, by an expression that had one value.
    """
    by_id = {cell.id: values(cell) for cell in before}
    everywhere: dict[str, set[str]] = {}
    for stored in by_id.values():
        for each, value in stored.items():
            everywhere.setdefault(each, set()).add(value)
    only = {each: next(iter(found)) for each, found in everywhere.items() if len(found) == 1}
    for cell in cells:
        known = only | by_id.get(cell.id, {})
        wanted = asked(cell)
        if any(each not in known for each in wanted):
            return False
        fill(cell, {each: known[each] for each in wanted})
    return True


def finding(cell: NotebookNode) -> str | None:
    """Say what is wrong with a stored text cell: left open, or changed by hand."""
    if not expressions(cell):
        return None
    known = values(cell)
    if any(each not in known for each in expressions(cell)):
        return "an expression of its text was never filled in."
    if filled(written(cell), known) != cell.source:
        return "its text was changed by hand."
    return None
