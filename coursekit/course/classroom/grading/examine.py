"""Grade one submission: run its cells in order, and judge each task right after its own cell.

A cell that never ends, or ends its process, costs what it stands for and nothing else: a new
process runs all earlier cells again, without it.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from coursekit.checks.engine.runner import run
from coursekit.checks.engine.tasks import Task, load
from coursekit.course.classroom.grading import kinds, reading, suspicion
from coursekit.course.classroom.grading.beside import sources
from coursekit.course.classroom.grading.host import Host, Session
from coursekit.course.classroom.grading.results import Graded, Result
from coursekit.course.classroom.grading.sandbox import GUARDS
from coursekit.course.classroom.grading.wire import LateError, LostError
from coursekit.course.classroom.masters import Asked, Master

_DIED = "Its process ended while it ran: it exits, or uses more memory than there is."


@dataclass(frozen=True)
class Times:
    """Seconds: of one cell, of a whole submission, and at most of one check."""

    cell: float = 60.0
    submission: float = 900.0
    check: float = 600.0


class _OverError(Exception):
    """No time is left for this submission."""


class Examination:
    """One submission under examination; `result` is filled in by `grade`."""

    def __init__(self, host: Host, master: Master, cells: list[reading.Cell], times: Times):
        self._host, self._master, self._times = host, master, times
        self._cells = cells
        self._tasks = {task.name: task for task in load(master.number)}
        self._asked = {asked.name: asked for asked in master.tasks}
        self._session: Session | None = None
        self._ran: list[int] = []
        self._checked_beside = False
        self._end = time.monotonic() + times.submission
        self.graded: dict[str, Graded] = {}
        self.flags: list[str] = []
        self.missing: list[str] = []

    def grade(self) -> None:
        """Run all cells and judge all tasks."""
        try:
            for index, cell in enumerate(self._cells):
                self._cell(index, cell)
        except _OverError:
            self.flags.append(f"stopped after {self._times.submission:g} s")
            for name in self._asked:
                if name not in self.graded:
                    self._note(name, "time", "The notebook's time was over before this task.")
        finally:
            self._close()
        for name in self._asked:
            if name not in self.graded:
                self._note(name, "not attempted")

    def _cell(self, index: int, cell: reading.Cell) -> None:
        failure = self._run(index)
        before = self.graded.get(cell.task)
        attempted = before is not None and before.outcome != "not attempted"
        if not cell.task or (attempted and not cell.sure):
            return
        asked = self._asked[cell.task]
        if failure is not None and failure["op"] in ("time", "died"):
            outcome = "time" if failure["op"] == "time" else "crashed"
            self._note(asked.name, outcome, failure["reason"], where=failure.get("where", ""))
            return
        graded = self._judged(asked, cell)
        if graded.outcome == "not attempted" and failure is not None:
            self._note(asked.name, "crashed", *_told(failure))
        elif not (attempted and graded.outcome == "not attempted"):
            self.graded[asked.name] = graded

    # Running cells

    def _run(self, index: int) -> dict[str, Any] | None:
        """Run a cell; return None, or how it failed. A cell that kills is never run again."""
        try:
            self._ready()
            answer = self._run_in(index)
        except LateError:
            self._close()
            seconds = f"{self._times.cell:g} seconds"
            return {
                "op": "time",
                "reason": f"The cell ran for more than {seconds} and was stopped.",
            }
        except LostError:
            self._close()
            return {"op": "died", "reason": _DIED}
        self._ran.append(index)
        return answer if "error" in answer else None

    def _run_in(self, index: int) -> dict[str, Any]:
        cell = self._cells[index]
        correct = [name for name, graded in self.graded.items() if graded.outcome == "correct"]
        answer = self._ask(
            "run",
            self._times.cell,
            source=cell.source,
            name=f"<cell {cell.label}>",
            correct=correct,
        )
        self._look_at(answer)
        if answer.get("op") != "ran":
            raise LostError("it answers what was not asked")
        if self._session is not None:
            self._session.ping(self._times.cell)  # a cell that breaks the process is found out here
        return answer

    def _ready(self) -> Session:
        """Return a session in which all cells so far have run, as far as they let it live."""
        while self._session is None:
            self._left()
            self._session = self._host.session()
            self.missing = [guard for guard in GUARDS if guard not in self._session.holds]
            for index in list(self._ran):
                try:
                    self._run_in(index)
                except (LateError, LostError):
                    self._ran.remove(index)  # it lived the first time: not again
                    self._close()
                    break
        return self._session

    def _ask(self, op: str, seconds: float, **request: Any) -> dict[str, Any]:
        session = self._ready() if self._session is None else self._session
        return session.ask(op, min(seconds, self._left()), **request)

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise _OverError
        return left

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    # Judging

    def _judged(self, asked: Asked, cell: reading.Cell) -> Graded:
        task, plain = self._tasks[asked.name], kinds.is_plain(self._master.number, asked.name)
        limit = min(task.seconds, self._times.check)
        task = replace(task, seconds=limit)
        try:
            session = self._ready()
            code = list(asked.answers)
            answer = self._ask(
                "answers", self._times.cell, code=code, given=list(task.given), plain=plain
            )
            if "error" in answer or answer.get("untouched"):
                return self._graded(asked, "not attempted")
            if "not_plain" in answer:
                reason = f"Your answer is {answer['not_plain']}; expected numbers or a function."
                return self._graded(asked, "wrong", reason)
            if not plain:
                return self._judged_beside(asked, task, limit)
            graded = self._judged_here(asked, task, session, answer["value"])
            if session.peer.lost:
                raise session.peer.lost
            why = self._read_solutions() or (self._checked_beside and self._looks_around())
            return self._graded(asked, "tampering", why) if why else graded
        except LateError:
            self._close()
            reason = f"It ran for more than {task.seconds:g} seconds and was stopped. Does it end?"
            return self._graded(asked, "time", reason)
        except LostError:
            self._close()
            return self._graded(asked, "crashed", _DIED)

    def _judged_here(self, asked: Asked, task: Task, session: Session, answers: Any) -> Graded:
        if not isinstance(answers, list) or len(answers) != len(asked.answers):
            raise LostError("no message of ours")
        session.peer.deadline = time.monotonic() + min(task.seconds, self._left())
        session.peer.lost = None
        verdict = run(replace(task, seconds=task.seconds + 60), tuple(answers))
        graded = self._graded(asked, verdict.outcome, verdict.reason, "", verdict.printed)
        failure = session.peer.failure
        if verdict.outcome == "crashed" and failure is not None:
            graded.reason, graded.where, graded.printed = _told(failure)
        return graded

    def _judged_beside(self, asked: Asked, task: Task, limit: float) -> Graded:
        nonce = secrets.token_hex(16)
        answer = self._ask(
            "judge", 5 * limit + 5, number=self._master.number, task=asked.name, limit=limit,
            code=list(asked.answers), sources=sources(), nonce=nonce,
            samples=_drawn(len(task.mistakes), 2),
            seed=os.environ.get("COURSEKIT_CHECK_SEED", ""),
        )  # fmt: skip
        self._look_at(answer)
        outcome, why = str(answer.get("outcome")), str(answer.get("tampering", ""))
        if answer.get("nonce") != nonce:
            why = "A verdict came that the check has not given."
            self._close()
        else:
            try:
                self._session.ping(self._times.cell)  # type: ignore[union-attr]
            except (LateError, LostError):
                why = why or "The process ends or answers by itself after it was judged."
                self._close()
        self._checked_beside = True
        why = why or self._looks_around() or self._read_solutions()
        if why:
            return self._graded(asked, "tampering", why)
        if "error" in answer or outcome not in ("correct", "wrong", "crashed", "not attempted"):
            return self._graded(asked, "crashed", _DIED)
        if outcome == "crashed" and str(answer.get("reason", "")).startswith("It ran for more"):
            outcome = "time"
        told = [str(answer.get(name, ""))[:2000] for name in ("reason", "where", "printed")]
        return self._graded(asked, outcome, *told)

    def _look_at(self, answer: dict[str, Any]) -> None:
        seen = answer.get("seen")
        for what in seen if isinstance(seen, list) else ():
            flag = f"the code {str(what)[:80]}"
            if flag not in self.flags and len(self.flags) < 20:
                self.flags.append(flag)

    def _looks_around(self) -> str:
        """Return why an answer judged beside the learner's code cannot be trusted, or ""."""
        written = (self._cells[index] for index in self._ran)
        return suspicion.looks_around([c.source for c in written if c.written], self.flags)

    def _read_solutions(self) -> str:
        return suspicion.reads_solutions(self.flags) if "files" in self.missing else ""

    def _note(self, name: str, outcome: str, *told: str, **named: str) -> None:
        self.graded[name] = self._graded(self._asked[name], outcome, *told, **named)

    def _graded(
        self, asked: Asked, outcome: str, reason: str = "", where: str = "", printed: str = ""
    ) -> Graded:
        task = self._tasks[asked.name]
        points = asked.points if outcome == "correct" else 0.0
        return Graded(asked.name, outcome, points, asked.points, reason, where, printed, task.title,
                      list(task.hints))  # fmt: skip


def _told(failure: dict[str, Any]) -> tuple[str, str, str]:
    """Return what an error in the learner's process says: the reason, where, what was printed."""
    error, message, where, printed = (
        str(failure.get(name, ""))[:most]
        for name, most in (("error", 80), ("message", 300), ("where", 300), ("printed", 1000))
    )
    return f"{error}: {message}".removesuffix(": "), where, printed


def examine(host: Host, learner: str, file: str, data: bytes, masters: Any, times: Times) -> Result:
    """Return the result of one submission; nothing that is wrong with it raises."""
    started = time.monotonic()
    result = Result(learner, file, None)
    try:
        nb = reading.notebook(data)
        number = reading.number(nb, masters)
        if number is None:
            raise reading.NotReadableError("no exercise of the course can be recognised in it")
    except reading.NotReadableError as error:
        result.flags.append(f"{Path(file).name}: {error}")
        return result
    master = masters(number)
    examination = Examination(host, master, reading.plan(nb, master), times)
    examination.grade()
    result.exercise = number
    result.tasks = [examination.graded[asked.name] for asked in master.tasks]
    result.flags += examination.flags
    if any(task.outcome == "tampering" for task in result.tasks):
        result.flags.insert(0, "tampering: look at it yourself")
    result.missing = examination.missing
    result.seconds = round(time.monotonic() - started, 2)
    sys.stdout.flush()
    return result


def _drawn(of: int, n: int) -> list[int]:
    """Draw up to n different numbers below `of`, as nobody can foresee them."""
    return secrets.SystemRandom().sample(range(of), min(n, of))
