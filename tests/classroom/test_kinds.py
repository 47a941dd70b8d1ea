"""Every known answer to a task that is judged by plain data gets the same verdict over the wire.

What the course lists as judged beside the learner's code must be a task that exists.
"""

from __future__ import annotations

import inspect

import pytest

from coursekit.base.environment import ROOT
from coursekit.checks.engine.runner import run
from coursekit.checks.engine.tasks import load
from coursekit.course.classroom.grading.kinds import BESIDE, is_plain
from coursekit.course.classroom.grading.peer import Peer, Remote
from coursekit.course.classroom.grading.wire import NotPlainError, pack, unpack
from tests.checks.test_answers import ANSWERS

QUICK = (4, 9, 12)  # exercises that `test --quick` looks at
PLAIN = [(n, task.name) for n in ANSWERS for task in load(n) if is_plain(n, task.name)]


class Loop(Peer):
    """Both sides in one process: what is asked is served at once, packed and unpacked."""

    def __init__(self):
        super().__init__(channel=None)

    def ask(self, header, *, until=None, values=()):
        told, blobs = pack(values, self.functions)
        answer, blobs = self.called(header | {"values": told}, blobs)
        return answer, self.unpack(answer.get("value"), blobs)


def over_the_wire(answer):
    """Return an answer as the checks' process sees it."""
    loop = Loop()
    told, blobs = pack(answer, loop.functions)
    return unpack(told, blobs, lambda function: Remote(loop, function))


def answers_of(number, name):
    """Every known answer, each a tuple, with the outcome and the reason it must get."""
    task = load(number)[name]
    for answer in ANSWERS[number][name]["right"]:
        yield _several(answer), "correct", ""
    for answer, reason in ANSWERS[number][name]["wrong"]:
        yield _several(answer), "wrong", reason
    for reason, answer in task.mistakes.items():
        yield answer if isinstance(answer, tuple) else (answer,), "wrong", reason


def _several(answer):
    return tuple(answer) if isinstance(answer, list) else (answer,)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        pytest.param(n, name, id=f"{n:02}-{name}", marks=() if n in QUICK else pytest.mark.slow)
        for n, name in PLAIN
    ],
)
def test_the_verdict_over_the_wire_is_the_same(number, name):
    task = load(number)[name]
    assert len(inspect.signature(task.check).parameters) >= 1
    for answer, outcome, reason in answers_of(number, name):
        try:
            sent = tuple(over_the_wire(part) for part in answer)
        except NotPlainError:  # then it is neither numbers nor a function: wrong as it is
            assert outcome == "wrong"
            continue
        verdict = run(task, sent)
        assert verdict.outcome == outcome, (reason, repr(verdict))
        assert reason in verdict.reason


WITH_RIGHT = [(n, task.name) for n in ANSWERS for task in load(n) if task.right is not None]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "name"), WITH_RIGHT)
def test_the_right_answer_of_a_table_is_accepted(number, name):
    task = load(number)[name]
    right = task.right if isinstance(task.right, tuple) else (task.right,)
    assert run(task, right), f"{number:02}.{name}"


def test_what_is_judged_beside_the_code_exists():
    for number, names in BESIDE.items():
        assert names <= {task.name for task in load(number)}


def test_the_threat_model_counts_the_tasks_that_name_no_answer():
    beside = [load(number)[name] for number, names in BESIDE.items() for name in names]
    nameless = [task.name for task in beside if task.right is None and not task.mistakes]
    words = ["None", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"]
    page = (ROOT / "docs" / "instructors" / "threat_model.md").read_text(encoding="utf-8")
    assert f"{words[len(nameless)]} of the tasks name no such answers" in page, nameless
