"""Every hostile or unlucky submission gets the right score or the flag, and costs no other task."""

from __future__ import annotations

import pytest

from coursekit.course.classroom.grading.examine import Times
from coursekit.course.classroom.grading.host import Host
from coursekit.course.classroom.grading.sandbox import Limits
from tests.classroom.conftest import PATIENT, submission, task
from tests.classroom.hostile import CASES

SHORT = Times(cell=10.0, submission=300.0, check=10.0)
SAMPLE = ("allclose", "os._exit in the cell", "a right layer")


@pytest.fixture(scope="module")
def host():
    """A host whose processes get less memory than usual: one of them fills it."""
    host = Host(limits=Limits(memory=2000))
    yield host
    host.close()


@pytest.mark.parametrize(
    ("number", "answers", "expected", "before"),
    [
        pytest.param(*case[1:], id=f"{case[1]:02}-{case[0]}",
                     marks=() if case[0] in SAMPLE else pytest.mark.slow)
        for case in CASES
    ],
)  # fmt: skip
def test_each_gets_what_it_deserves(graded, number, answers, expected, before):
    ends = "time" in expected.values() or "never ends" in before or "while True" in before
    result = graded(submission(number, answers, before=before), SHORT if ends else PATIENT)
    for name, outcome in expected.items():
        found = task(result, name)
        wanted = outcome if isinstance(outcome, set) else {outcome}
        assert found.outcome in wanted, (found, result.flags)
        assert found.points == (found.max_points if found.outcome == "correct" else 0)
    untouched = {t.task for t in result.tasks} - set(answers)
    assert {task(result, name).outcome for name in untouched} == {"not attempted"}
    if "tampering" in {t.outcome for t in result.tasks}:
        assert result.flags[0].startswith("tampering")
