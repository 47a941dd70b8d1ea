"""When a verdict that was given beside the learner's code is not to be trusted."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LOOKS_AROUND = re.compile(
    r"\b(f_back|f_locals|f_globals|f_builtins|tb_frame|gi_frame|cr_frame|ag_frame|_getframe|"
    r"currentframe|get_objects|get_referrers|get_referents|_current_frames|settrace|"
    r"__subclasses__|__closure__|cell_contents|meta_path|addaudithook|NotCorrectError|"
    r"coursekit\.checks|coursekit\.course|checks\.kit|checks\.engine)\b"
)


def looks_around(sources: Iterable[str], flags: Iterable[str]) -> str:
    """Return why, if cells name what leads to the check, or were seen to use it; "" otherwise.

    >>> looks_around(["import sys; sys._getframe()"], [])
    'The code looks into the program that checks it (`_getframe`).'
    >>> looks_around(["import numpy as np"], ["the code reads 08_optimizers.ipynb"])
    ''
    """
    for source in sources:
        if found := _LOOKS_AROUND.search(source):
            return f"The code looks into the program that checks it (`{found[0]}`)."
    for flag in flags:
        if flag.startswith("the code uses ") or "changes the code" in flag:
            return f"The code looks into the program that checks it ({flag[9:]})."
    return ""


def reads_solutions(flags: Iterable[str]) -> str:
    """Return why, if a cell was seen to read where solutions lie; "" otherwise.

    >>> reads_solutions(["the code reads ex08_optimizers.py"])
    'The code reads ex08_optimizers.py, where solutions are.'
    """
    for flag in flags:
        if flag.startswith("the code reads "):
            return f"The code {flag[9:]}, where solutions are."
    return ""
