"""What a check can say: one of four outcomes, with the reason, for a reader."""

from __future__ import annotations

from dataclasses import dataclass

from coursekit.checks.engine import display
from coursekit.errors import CourseError

CORRECT = "correct"
WRONG = "wrong"
CRASHED = "crashed"
NOT_ATTEMPTED = "not attempted"


class Wrong(Exception):  # noqa: N818 - a verdict, not an error
    """Raised by a check that rejects an answer; the message is the reason the learner reads."""


class NotCorrectError(CourseError, AssertionError):
    """While grading: the answer is wrong, crashed or was not attempted."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check. True where the answer is correct, so that `assert` works.

    Attributes:
        task, title: what was asked.
        outcome: "correct", "wrong", "crashed" or "not attempted".
        reason: one or two sentences; empty for "correct".
        where: for "crashed", the line of the learner's own code.
        printed: the last lines the learner's code printed, for "wrong" and "crashed".
        model_answer: for "correct", what a good answer in words would have said, or "".
        notes: remarks that have nothing to do with the answer, such as an unwritable progress file.

    >>> Verdict("power", "Power scheduling", "wrong", "You forgot the 1.")
    ✘ wrong · power: Power scheduling
      You forgot the 1.
      For a hint: ex.hint("power")
    """

    task: str
    title: str
    outcome: str
    reason: str = ""
    where: str = ""
    printed: str = ""
    model_answer: str = ""
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.outcome == CORRECT

    def _lines(self) -> list[str]:
        lines = [self.reason, self.model_answer]
        if self.where:
            lines.append(f"In {self.where}")
        if self.printed:
            lines += ["Your code printed:", *("  " + line for line in self.printed.splitlines())]
        if self.outcome in (WRONG, CRASHED):
            lines.append(f'For a hint: `ex.hint("{self.task}")`')
        return [line for line in [*lines, *self.notes] if line]

    def __repr__(self) -> str:
        head = f"{display.MARKS[self.outcome]} {self.outcome} · {self.task}: {self.title}"
        return "\n  ".join([head, *(display.plain(line) for line in self._lines())])

    def _repr_html_(self) -> str:
        return display.box(self.outcome, f"{self.task}: {self.title}", self._lines())
