"""What the study's tests share: trainings of milliseconds, and an empty folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Let worker processes find `toy_study`, whose ledger lies in a folder of the test's own."""
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parents[2])]))
    monkeypatch.setenv("COURSEKIT_HEADLESS", "1")
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    monkeypatch.setenv("TOY_FOLDER", str(ledger))
    import toy_study

    return toy_study


@pytest.fixture
def out(tmp_path):
    """Return the folder of a study that has not begun."""
    return tmp_path / "study"
