"""Throw-away courses: small sources in a folder of their own, built and run as the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

LESSON = """\
# %% [markdown]
# # A small lesson
#
# ## What you will be able to do
# Add, in 1 minute.

# %%
import sys

one = 1

# %% [markdown]
# ## The sum

# %% tags=["nbval-check-output"]
print("one", one)
print("two")
one + one

# %% tags=["claim"]
assert one + one == 2, "expected 2"

# %% [markdown]
# ## Recap
# It adds.
#
# ## Now practise
# Exercise 03.
#
# ## Further reading
# A book.
"""

EXERCISE = """\
# %% [markdown]
# # A small exercise

# %%
import sys
import types

outcomes = {}


def check_square(answer):
    outcomes["03.square"] = "correct" if answer(3) == 9 else "wrong"
    print(outcomes["03.square"])


ex = types.SimpleNamespace(square=check_square)
sys.modules["coursekit.checks"] = types.SimpleNamespace(passed=lambda: outcomes)


# %% tags=["task:square"]
def square(x):
    ### BEGIN SOLUTION
    return x * x
    ### END SOLUTION


# %% tags=["check:square"] points=2
ex.square(square)
### BEGIN HIDDEN TESTS
assert square(-1) == 1
### END HIDDEN TESTS
"""


class Course:
    """A course under `root`; `lesson` and `exercise` write a source and return its path."""

    def __init__(self, root: Path):
        self.root = root

    def lesson(self, text: str = LESSON, name: str = "03_sums") -> str:
        return self._write("notebooks", name, text)

    def lesson_with(self, cell: str, *, name: str = "03_sums", tags: str = "") -> str:
        """Write the small lesson with one more code cell before its recap."""
        before, after = LESSON.split("# %% [markdown]\n# ## Recap")
        extra = f"# %% [markdown]\n# ## The extra\n\n# %% {tags}\n{cell}\n\n"
        return self.lesson(f"{before}{extra}# %% [markdown]\n# ## Recap{after}", name)

    def exercise(self, text: str = EXERCISE, name: str = "03_sums") -> str:
        return self._write("exercises", name, text)

    def _write(self, kind: str, name: str, text: str) -> str:
        path = self.root / "sources" / kind / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path.relative_to(self.root).as_posix()


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path)
