"""The ways in which `fit` runs its steps, each forced upon runs of any length."""

import pytest

from coursekit.training import programs

WAYS = {"one by one": (10**9, 0), "graph loop": (10**9, 10**9), "XLA": (0, 10**9)}


def _force(way, monkeypatch):
    compiling, loop = WAYS[way]
    monkeypatch.setattr(programs, "WORTH_COMPILING", compiling)
    monkeypatch.setattr(programs, "_WORTH_A_LOOP", loop)


@pytest.fixture
def xla(monkeypatch):
    """Runs of any length are compiled by XLA."""
    _force("XLA", monkeypatch)


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """Each way in turn: very few steps, some, and enough of them for XLA."""
    _force(request.param, monkeypatch)
    return request.param
