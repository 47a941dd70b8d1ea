"""Small questions about the cells of a notebook: tags, numbers, the heading a cell stands under."""

from __future__ import annotations

import re
from typing import Any

from nbformat import NotebookNode

_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def tags(cell: NotebookNode) -> list[str]:
    """Return a cell's tags; a cell without any has an empty list."""
    return list(cell.metadata.get("tags", []))


def named(cell: NotebookNode, prefix: str) -> str | None:
    """Return NAME of the tag "prefix:NAME", or None.

    >>> from nbformat.v4 import new_code_cell
    >>> named(new_code_cell(metadata={"tags": ["task:power"]}), "task")
    'power'
    """
    for tag in tags(cell):
        head, colon, name = tag.partition(":")
        if colon and head == prefix:
            return name
    return None


def headings(cell: NotebookNode) -> list[str]:
    r"""Return the headings of a text cell, without their marks.

    >>> from nbformat.v4 import new_markdown_cell
    >>> headings(new_markdown_cell("# Rates\n\ntext\n\n## Recap"))
    ['Rates', 'Recap']
    """
    if cell.cell_type != "markdown":
        return []
    return _HEADING.findall(_FENCED.sub("", cell.source))


def where(nb: NotebookNode, index: int) -> str:
    """Say which cell is meant: its number as Jupyter shows it after "Run all", and its heading.

    >>> from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
    >>> nb = new_notebook(cells=[new_markdown_cell("## The range test"), new_code_cell("1 / 0")])
    >>> where(nb, 1)
    'code cell 1 under "The range test"'
    """
    before = nb.cells[: index + 1]
    above = [heading for cell in before for heading in headings(cell)]
    under = f' under "{above[-1]}"' if above else ""
    if nb.cells[index].cell_type != "code":
        return f"text cell {sum(cell.cell_type != 'code' for cell in before)}{under}"
    return f"code cell {sum(cell.cell_type == 'code' for cell in before)}{under}"


def texts(output: Any) -> list[str]:
    """Return every piece of text that an output holds; pictures are left out."""
    if output.output_type == "stream":
        return [output.text]
    if output.output_type == "error":
        return [output.evalue, *output.traceback]
    return [
        value if isinstance(value, str) else str(value)
        for mime, value in output.data.items()
        if not mime.startswith("image/") or mime == "image/svg+xml"
    ]


def merge_streams(outputs: list[Any]) -> list[Any]:
    r"""Return the outputs with one stream for each name, as a terminal would show it at the end.

    How many messages a stream comes in is chance; what a carriage return overwrote is gone.

    >>> from nbformat.v4 import new_output
    >>> parts = [new_output("stream", text=text) for text in ("1/2\r", "2/2\ndo", "ne")]
    >>> [output.text for output in merge_streams(parts)]
    ['2/2\ndone']
    """
    merged: list[Any] = []
    streams: dict[str, Any] = {}
    for output in outputs:
        name = output.name if output.output_type == "stream" else None
        if name in streams:
            streams[name].text += output.text
        else:
            merged.append(output)
            if name is not None:
                streams[name] = output
    for stream in streams.values():
        lines = [line.rstrip("\r").split("\r")[-1] for line in stream.text.split("\n")]
        stream.text = "\n".join(lines)
    return merged
