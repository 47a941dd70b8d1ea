"""How verdicts, hints and progress look: HTML that reads well on light and dark pages.

Text keeps the page's own colour and there is no background: only the bar at the left and the mark
are coloured (Okabe-Ito palette), and each mark comes with its word.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

MARKS = {"correct": "✔", "wrong": "✘", "crashed": "⚠", "not attempted": "○", "hint": "➜"}
_COLORS = {
    "correct": "#009E73",
    "wrong": "#D55E00",
    "crashed": "#E69F00",
    "not attempted": "#7F7F7F",
    "hint": "#56B4E9",
}
_CODE = re.compile(r"`([^`]+)`")


def plain(text: str) -> str:
    """Return the text without the backticks around code.

    >>> plain("write `return x`")
    'write return x'
    """
    return _CODE.sub(r"\1", text)


def rich(text: str) -> str:
    """Return the text as HTML, code in backticks marked as code.

    >>> rich("is `a < b`?")
    'is <code>a &lt; b</code>?'
    """
    return _CODE.sub(r"<code>\1</code>", html.escape(text, quote=False))


def box(kind: str, title: str, lines: Sequence[str]) -> str:
    """Return one message as HTML: the mark and word of `kind`, a title, and a line for each."""
    body = "".join(
        f'<div style="white-space:pre-wrap;color:inherit">{rich(line)}</div>' for line in lines
    )
    return (
        f'<div style="border-left:4px solid {_COLORS[kind]};padding:0.2em 0.8em;margin:0.2em 0">'
        f'<b><span style="color:{_COLORS[kind]}">{MARKS[kind]}</span> {kind}</b> · {rich(title)}'
        f"{body}</div>"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an HTML table; every cell is plain text, left-aligned."""

    def row(cells: Sequence[str], tag: str) -> str:
        style = 'style="text-align:left;padding:0.1em 0.8em"'
        return "<tr>" + "".join(f"<{tag} {style}>{rich(c)}</{tag}>" for c in cells) + "</tr>"

    return "<table>" + row(head, "th") + "".join(row(r, "td") for r in rows) + "</table>"


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as text with aligned columns.

    >>> print(columns([["a", "one"], ["long", "two"]]))
    a     one
    long  two
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(plain(c).ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows
    )
