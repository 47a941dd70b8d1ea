"""Run one check on one answer and turn whatever happens into a verdict."""

from __future__ import annotations

import linecache
import os
import re
import sysconfig
from pathlib import Path
from traceback import walk_tb
from typing import Any

from coursekit.base.environment import ROOT
from coursekit.base.state import random_states_kept
from coursekit.checks.engine.side_effects import TimeUp, held_back, time_limit
from coursekit.checks.engine.stubs import is_untouched
from coursekit.checks.engine.tasks import Task
from coursekit.checks.engine.verdict import CORRECT, CRASHED, NOT_ATTEMPTED, WRONG, Verdict, Wrong

_NOT_OWN = tuple(
    str(Path(folder).resolve()) + os.sep
    for folder in (
        ROOT / "coursekit",
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    )
)
_OWN_PSEUDO_FILES = ("<ipython", "<string>", "<stdin>", "<cell")
_WRAPPERS = (
    "in user code:",  # TensorFlow
    "Exception encountered when calling",  # Keras
    "Could not automatically infer the output shape",  # Keras
)
_FRAME_IN_TEXT = re.compile(r'File "(.+)", line (\d+), in (\S+)  \*')
_ANSI = re.compile(r"\x1b\[[0-9;]*\w")
_PRINTED_LINES = 5

Frame = tuple[str, int, str]  # file, line, name of the function


def run(task: Task, answers: tuple[Any, ...]) -> Verdict:
    """Check `answers` and return the verdict; nothing the answer does reaches the caller.

    What the answer prints, warns and logs is held back, global seeds are put back, and after
    `task.seconds` it is stopped. Only KeyboardInterrupt passes through.
    """
    if any(is_untouched(answer, task.given) for answer in answers):
        return Verdict(task.name, task.title, NOT_ATTEMPTED)
    outcome, reason, where, printed = CORRECT, "", "", ""
    with random_states_kept(), held_back() as output:
        try:
            with time_limit(task.seconds):
                task.check(*answers)
        except Wrong as wrong:
            outcome, reason = WRONG, str(wrong)
        except KeyboardInterrupt:
            raise
        except TimeUp as late:
            outcome, where = CRASHED, _own_place(late, task)
            reason = f"It ran for more than {task.seconds:g} seconds and was stopped. Does it end?"
        except BaseException as error:  # SystemExit too: no answer may end the kernel
            outcome, where = CRASHED, _own_place(error, task)
            reason = _in_words(_as_raised(error))
            if not where:
                reason += " (while the check used your answer, not in a line of your own code)"
        if outcome in (WRONG, CRASHED):
            printed = _last_lines(output.getvalue())
    told = task.model_answer if outcome == CORRECT else ""
    return Verdict(task.name, task.title, outcome, reason, where, printed, told)


def _own_place(error: BaseException, task: Task) -> str:
    """Return the innermost line of the learner's own code, without a path; "" if there is none."""
    for frames in (_frames(_as_raised(error), task), _frames_in_text(error), _frames(error, task)):
        own = [frame for frame in frames if _is_own(frame[0])]
        if own:
            filename, line, name = own[-1]
            source = linecache.getline(filename, line).strip()
            where = "the cell" if name == "<module>" else f"`{name}`"
            return f"{where}, line {line}" + (f": `{source}`" if source else "")
    return ""


def _frames(error: BaseException, task: Task) -> list[Frame]:
    return [
        (frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in walk_tb(error.__traceback__)
        if frame.f_code is not task.check.__code__
    ]


def _frames_in_text(error: BaseException) -> list[Frame]:
    """Return the frames of a `tf.function`: TensorFlow runs a translation and tells of yours."""
    found = _FRAME_IN_TEXT.findall(_text(error))
    return [(filename, int(line), name) for filename, line, name in found]


def _is_own(filename: str) -> bool:
    if filename.startswith("<"):
        return filename.startswith(_OWN_PSEUDO_FILES)
    if "__autograph_generated_file" in filename or "site-packages" in filename:
        return False
    if not filename.endswith(".py"):  # Cython's names, such as numpy/random/mtrand.pyx
        return False
    return not str(Path(filename).resolve()).startswith(_NOT_OWN)


def _as_raised(error: BaseException) -> BaseException:
    """Return the error as the answer raised it.

    Keras and TensorFlow raise another one in its place, with a long text around its message.
    """
    while error.__context__ is not None and _text(error).startswith(_WRAPPERS):
        error = error.__context__
    return error


def _in_words(error: BaseException) -> str:
    text = _ANSI.sub("", _text(error))
    if len(text) > 300:
        text = text[:300] + " …"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _text(error: BaseException) -> str:
    try:
        return str(error).strip()
    except Exception:  # a learner's own exception class may be broken as well
        return ""


def _last_lines(output: str) -> str:
    # A progress bar overwrites its line; only what is seen last counts.
    lines = [re.split(r"[\r\b]+", line.rstrip())[-1] for line in output.split("\n")]
    lines = [_ANSI.sub("", line)[:200] for line in lines if line.strip()]
    return "\n".join(lines[-_PRINTED_LINES:])
