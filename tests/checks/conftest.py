"""Checks in tests: progress in a folder of the test's own, no outcome left from another test."""

from __future__ import annotations

import pytest

from coursekit.checks.engine import session


@pytest.fixture(autouse=True)
def fresh_session(monkeypatch, tmp_path):
    for name in (
        "COURSEKIT_GRADING",
        "COURSEKIT_HEADLESS",
        "JPY_SESSION_NAME",
        "NBGRADER_EXECUTION",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COURSEKIT_PROGRESS", str(tmp_path / "progress"))
    session._outcomes.clear()
