"""The course's own solutions get full marks, and its untouched exercises none."""

from __future__ import annotations

import pytest

from coursekit.course.classroom.grading.examine import Times
from tests.classroom.conftest import stored

PATIENT = Times(cell=300.0, submission=1800.0)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 16))  # 15 trains its nets: minutes
def test_a_solution_gets_full_marks_without_a_flag(graded, number):
    result = graded(stored("solutions", number), PATIENT)
    assert {t.task: (t.outcome, t.reason) for t in result.tasks if t.outcome != "correct"} == {}
    assert (result.points, result.flags) == (result.max_points, [])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 16))
def test_an_untouched_exercise_gets_none(graded, number):
    result = graded(stored("exercises", number), PATIENT)
    assert {t.outcome for t in result.tasks} == {"not attempted"}
    assert (result.points, result.flags) == (0, [])
