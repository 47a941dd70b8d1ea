"""What the data layer says while it works: lines on stdout, and a bar while something takes long.

Nothing goes to stderr: in a notebook it would be red, and nbgrader scores such a cell as 0.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm

_said: set[str] = set()


def say_once(line: str, key: str | None = None) -> None:
    """Print a line, at most once per process for the same key (the line itself by default)."""
    if (key or line) not in _said:
        _said.add(key or line)
        print(line, flush=True)


def is_set(variable: str) -> bool:
    """True when an environment variable switches something on: set, and neither empty nor 0."""
    return os.environ.get(variable, "0") not in ("", "0")


def progress(total: int | None, unit: str, label: str) -> tqdm:
    """A progress bar on stdout or in the notebook; silent where nobody would see it move."""
    from tqdm.auto import tqdm

    quiet = is_set("COURSEKIT_HEADLESS") or is_set("COURSEKIT_GRADING")
    watched = _in_notebook() or sys.stdout.isatty()
    return tqdm(
        total=total,
        desc=label,
        unit=unit,
        unit_scale=True,
        unit_divisor=1000,
        file=sys.stdout,
        disable=quiet or not watched,
        leave=False,
    )


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
