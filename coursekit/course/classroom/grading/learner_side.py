"""The learner's process: runs cells, keeps what they define, and calls it when it is asked to.

No check, input or verdict of a task that is judged by plain data is ever in here.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import inspect
import linecache
import os
import sys
import types
from collections.abc import Sequence
from typing import Any

from coursekit.checks.engine.runner import _last_lines, _own_place
from coursekit.checks.engine.side_effects import held_back
from coursekit.checks.engine.stubs import is_untouched
from coursekit.checks.engine.tasks import Task
from coursekit.course.classroom.grading.lookout import Lookout
from coursekit.course.classroom.grading.peer import Peer
from coursekit.course.classroom.grading.wire import (
    Channel,
    LostError,
    NotPlainError,
    pack,
    told_error,
)

_NO_TASK = Task("", "", lambda: None, ("",))


class Unjudged:
    """What `ck.exercise(N)` gives while a submission is graded: it judges nothing.

    `is_correct` says what the checks in the other process have said so far.
    """

    def __init__(self, correct: set[str]):
        self._correct = correct

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *answers, **named: None

    def is_correct(self, name: str) -> bool:
        """Return whether this task's answer was found correct."""
        return name in self._correct


class OwnChannel(Channel):
    """The channel of this process alone: a copy made by the learner's code ends before it speaks.

    If both answered, a later task would be given the answer of an earlier one.
    """

    def __init__(self, reading: int, writing: int):
        super().__init__(reading, writing)
        self._pid = os.getpid()

    def send(self, header: Any, blobs: Sequence[bytes] = (), until: float | None = None) -> None:
        """Send a message, or end a process that is a copy."""
        if os.getpid() != self._pid:
            os._exit(0)
        super().send(header, blobs, until)


class Notebook:
    """The names that a submission's cells share, and what the other side asks of them."""

    def __init__(self, peer: Peer, holds: list[str], lookout: Lookout):
        self._peer, self._holds, self._lookout = peer, holds, lookout
        self._correct: set[str] = set()
        self._module = types.ModuleType("__main__")
        sys.modules["__main__"] = self._module
        self._names = self._module.__dict__
        self._names["get_ipython"] = lambda: _Shell(self._names)
        builtins.display = lambda *objects, **named: None
        self._replace_exercise()

    def _replace_exercise(self) -> None:
        import coursekit
        from coursekit import checks

        for package in (coursekit, checks):
            vars(package)["exercise"] = lambda number: Unjudged(self._correct)

    def serve(self) -> None:
        """Answer requests until the other side closes."""
        ops = {
            "run": self._run,
            "answers": self._answers,
            "judge": self._judge,
            "begin": self._begin,
        }
        while True:
            try:
                request, blobs = self._peer.receive()
                if request["op"] == "call":
                    with held_back() as output:
                        answer, blobs = self._peer.called(request, blobs)
                    answer["printed"] = _last_lines(output.getvalue())
                    self._peer.send(answer, blobs)
                else:
                    self._peer.send(*ops[request["op"]](request))
            except LostError:
                return

    def _run(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        """Run a cell: {"source", "name", "correct"} → {} or the error."""
        self._correct.update(request["correct"])
        answer: dict[str, Any] = {"op": "ran"}
        with held_back() as output:
            try:
                run_cell(request["source"], request["name"], self._names)
            except BaseException as error:  # SystemExit and KeyboardInterrupt are the learner's too
                answer |= {**told_error(error), "where": where(error)}
            _close_pictures()
        return answer | {"printed": _last_lines(output.getvalue()), "seen": self._lookout.seen}, []

    def _answers(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        """Evaluate a task's answers: {"code", "given", "plain"} → values."""
        answers, failure = self._evaluated(request["code"])
        if failure:
            return {"op": "answers", **failure}, []
        untouched = False
        try:
            untouched = any(is_untouched(answer, tuple(request["given"])) for answer in answers)
            told, blobs = pack(answers, self._peer.functions) if request["plain"] else (None, [])
        except NotPlainError as error:
            return {"op": "answers", "untouched": untouched, "not_plain": str(error)}, []
        except Exception as error:  # an object of the learner's own that cannot even be looked at
            told = f"something that fails when it is looked at ({type(error).__name__})"
            return {"op": "answers", "untouched": False, "not_plain": told}, []
        return {"op": "answers", "untouched": untouched, "value": told}, blobs

    def _evaluated(self, code: list[str]) -> tuple[list[Any], dict[str, Any]]:
        try:
            with held_back():
                return [eval(each, self._names) for each in code], {}
        except BaseException as error:
            return [], {**told_error(error), "where": where(error)}

    def _judge(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        """Judge beside the answer what cannot be sent: see `beside`."""
        from coursekit.course.classroom.grading.beside import judge

        nonce = request.pop("nonce")
        answers, failure = self._evaluated(request["code"])
        told = failure or judge(request, answers)
        return {"op": "judged", **told, "nonce": nonce, "seen": self._lookout.seen}, []

    def _begin(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        """Say which guards hold; the same number comes back as was sent."""
        return {"op": "ready", "holds": self._holds, "nonce": request["nonce"]}, []


def run_cell(source: str, name: str, names: dict[str, Any]) -> None:
    """Run a cell's code as a notebook does, magics and top-level `await` included."""
    from IPython.core.inputtransformer2 import TransformerManager

    source = TransformerManager().transform_cell(source)
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    code = compile(source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, names))
    else:
        exec(code, names)


def where(error: BaseException) -> str:
    """Return the line of the learner's own code that raised, as the notebook's checks say it."""
    try:
        return _own_place(error, _NO_TASK)
    except Exception:  # an exception class of the learner's own may be broken
        return ""


class _Shell:
    """What magics find in place of IPython: cells of `%%time` run, all others do nothing."""

    def __init__(self, names: dict[str, Any]):
        self._names = names

    def run_cell_magic(self, name: str, line: str, cell: str) -> None:
        """Run the cell below `%%time` and its like."""
        if name in ("time", "capture", "timeit", "prun"):
            run_cell(cell, f"<cell {name}>", self._names)

    def run_line_magic(self, name: str, line: str, *more: Any) -> None:
        """Run the statement after `%time`; leave out every other magic."""
        if name in ("time", "timeit", "prun"):
            run_cell(line, f"<cell {name}>", self._names)

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **named: None


def _close_pictures() -> None:
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        try:
            pyplot.close("all")
        except Exception:  # replaced by the learner
            return


def serve(reading: int, writing: int, holds: list[str]) -> None:
    """Serve one submission over two descriptors, then end this process."""
    lookout = Lookout()
    lookout.start()
    try:
        Notebook(Peer(OwnChannel(reading, writing), where), holds, lookout).serve()
    finally:
        os._exit(0)
