"""The checks of the exercise notebooks: what is asked, checked and hinted.

`exercise(N)` is what a notebook uses. A check itself is a pure function of the answer, in a module
`exNN_name.py`; running it, showing the verdict, hints and progress are separate modules.
"""

from __future__ import annotations

from coursekit.checks.engine.session import exercise, passed
from coursekit.checks.engine.verdict import NotCorrectError, Verdict, Wrong

__all__ = ["NotCorrectError", "Verdict", "Wrong", "exercise", "passed"]
