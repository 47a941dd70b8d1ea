"""A small table: named tuples that print as aligned columns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from coursekit.errors import ArgumentError


class Table(tuple):
    """Rows of one named-tuple type, printed with a header; otherwise an ordinary tuple.

    Floats are shown with three significant digits, NaN (does not apply) as a dash.

    >>> from typing import NamedTuple
    >>> class Row(NamedTuple):
    ...     layer: str
    ...     std: float
    >>> table = Table([Row("dense", 0.51234), Row("output", float("nan"))])
    >>> table
    layer     std
    dense   0.512
    output      –
    >>> table[0].std
    0.51234
    >>> table.column("layer").tolist()
    ['dense', 'output']
    """

    __slots__ = ()

    def column(self, name: str) -> np.ndarray:
        """Return one field of all rows as an array; ArgumentError lists the fields there are."""
        fields = self[0]._fields if self else ()
        if name not in fields:
            known = ", ".join(fields) or "none, as the table is empty"
            raise ArgumentError(f"The table has no column {name!r}; its columns are: {known}.")
        return np.array([getattr(row, name) for row in self])

    def __repr__(self) -> str:
        if not self:
            return "(no rows)"
        cells = [self[0]._fields, *([_shown(value) for value in row] for row in self)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        text_first = [isinstance(value, str) for value in self[0]]
        lines = []
        for row in cells:
            padded = [
                cell.ljust(width) if is_text else cell.rjust(width)
                for cell, width, is_text in zip(row, widths, text_first, strict=True)
            ]
            lines.append("  ".join(padded).rstrip())
        return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3g}"
    if isinstance(value, tuple):
        return "×".join(map(str, value))
    return str(value)
