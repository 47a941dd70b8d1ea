"""The course's own solutions get full marks, and its untouched exercises none."""

from __future__ import annotations

import pytest

from tests.classroom.conftest import stored


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 16))  # 15 trains its nets: minutes
def test_a_solution_gets_full_marks_without_a_flag(graded, number):
    result = graded(stored("solutions", number))
    assert {t.task: (t.outcome, t.reason) for t in result.tasks if t.outcome != "correct"} == {}
    assert (result.points, result.flags) == (result.max_points, [])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 16))
def test_an_untouched_exercise_gets_none(graded, number):
    result = graded(stored("exercises", number))
    assert {t.outcome for t in result.tasks} == {"not attempted"}
    assert (result.points, result.flags) == (0, [])
