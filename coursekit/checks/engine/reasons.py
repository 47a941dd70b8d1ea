"""Short names for reasons: what may leave a learner's machine, and how it becomes text again.

A reason often quotes the learner's own result. Its name does not: it is a digest of the text in the
course's source that the reason was made from, with gaps where values stood. Whoever has the same
course finds the text again.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from coursekit.checks.engine.tasks import load, numbers
from coursekit.checks.engine.verdict import CRASHED, WRONG, Verdict
from coursekit.errors import ArgumentError

_CHECKS = Path(__file__).resolve().parents[1]
_GAP = "…"
_LEAST = 9  # letters that a text needs to be told by
_NO_REASONS = ("hints", "title")  # arguments
_LATE = "It ran for more than "
_DIGEST = 10  # characters
_CRASH = "crash-"


def reason_id(exercise: int, verdict: Verdict) -> str:
    """Return the short name of a verdict's reason, "" where there is none or none is known.

    For a crash it is "crash-" and the error's type where that is one of Python's own.

    >>> reason_id(3, Verdict("leaky_relu", "LeakyReLU", "crashed", "TypeError: secret = 7"))
    'crash-TypeError'
    """
    if verdict.outcome == CRASHED:
        return _CRASH + _crash(verdict.reason)
    if verdict.outcome != WRONG:
        return ""
    task = load(exercise)[verdict.task]
    if verdict.reason in task.mistakes:
        return _digest(verdict.reason)
    fitting = [text for text in _texts_of(exercise) if _fits(text, verdict.reason)]
    return _digest(max(fitting, key=len)) if fitting else ""


def reason_text(exercise: int, task: str, name: str) -> str:
    """Return the text behind a short name, gaps shown as "…"; never raises for a strange one.

    >>> reason_text(3, "leaky_relu", "crash-TypeError")
    'It crashes with TypeError.'
    >>> reason_text(3, "leaky_relu", "0123456789")
    'A reason that this version of the course does not know.'
    """
    if name.startswith(_CRASH):
        kind = name.removeprefix(_CRASH)
        known = {"time": "It does not end.", "other": "It crashes."}
        return known.get(kind, f"It crashes with {kind}.")
    if not name:
        return "Another reason."
    return _texts(exercise, task).get(
        name, "A reason that this version of the course does not know."
    )


def _crash(reason: str) -> str:
    if reason.startswith(_LATE):
        return "time"
    kind = re.match(r"\w*", reason)[0]
    found = getattr(builtins, kind, None)
    is_error = isinstance(found, type) and issubclass(found, BaseException)
    return kind if is_error else "other"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]


@cache
def _texts(exercise: int, task: str) -> dict[str, str]:
    try:
        named = list(load(exercise)[task].mistakes) if exercise in numbers() else []
    except ArgumentError:
        named = []
    return {_digest(text): text for text in [*_texts_of(exercise), *named]}


@cache
def _texts_of(exercise: int) -> tuple[str, ...]:
    """Return every text that a check of this exercise may give as a reason, or as a part of one."""
    own = (*_CHECKS.glob(f"ex{exercise:02}_*.py"), *_CHECKS.glob(f"_ex{exercise:02}_*.py"))
    found: dict[str, None] = {}
    for path in sorted([*own, *(_CHECKS / "kit").glob("*.py")]):
        for text in _texts_in(ast.parse(path.read_text(encoding="utf-8"))):
            words = re.sub(f"{_GAP}+", _GAP, text).strip(_GAP + " ")
            if sum(map(str.isalpha, words)) >= _LEAST and " " in words and words[0] != "(":
                found[words] = None
    return tuple(found)


def _fits(text: str, reason: str) -> bool:
    """Say whether the parts of a text stand in a reason, in their order."""
    place = 0
    for part in text.split(_GAP):
        place = reason.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return True


def _texts_in(node: ast.AST) -> Iterator[str]:
    """Yield the string expressions below a node, each whole, without docstrings and hints."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.keyword) and node.arg in _NO_REASONS:
        return
    text = _joined(node)
    if text.strip(_GAP):
        yield text
    inside = ast.iter_child_nodes(node)
    if isinstance(node, ast.JoinedStr | ast.BinOp) and text.strip(_GAP):
        inside = (child for child in ast.walk(node) if isinstance(child, ast.IfExp))
    for child in inside:
        yield from _texts_in(child)


def _joined(node: ast.AST) -> str:
    """Return a string expression as text, its unknown parts as gaps; one gap for any other."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_joined, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _joined(node.left) + _joined(node.right)
    return _GAP
