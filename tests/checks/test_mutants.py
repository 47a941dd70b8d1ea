"""A sample of the mutants of every right answer is rejected; `tools/mutants.py` tries them all."""

from __future__ import annotations

import importlib.util
import sys
import zlib
from functools import cache

import matplotlib.pyplot as plt
import pytest

from coursekit.base.environment import ROOT
from coursekit.base.state import random_states_kept
from coursekit.checks.engine.tasks import numbers


def load_tool():
    spec = importlib.util.spec_from_file_location("mutants_tool", ROOT / "tools" / "mutants.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


TOOL = load_tool()
LISTED = TOOL.equivalent()
EXERCISES = [n for n in numbers() if list((ROOT / "sources/exercises").glob(f"{n:02}_*.py"))]


@cache
def answers(number):
    """The solutions of an exercise, run as in its notebook; what that changes is put back."""
    with random_states_kept(), plt.rc_context():
        found = TOOL.Answers(number)
    plt.close("all")
    return found


def sample(found, name):
    """One mutant of a task, always the same one as long as the solution stays."""
    return min(found, key=lambda mutant: zlib.crc32(f"{name}{mutant.change}".encode()))


def test_what_is_mutated():
    changes = {m.change for m in TOOL.mutants("a = f(b, axis=0) if b < 1 else -b")}
    for new in (
        "f(b, axis=1) if b < 1 else -b",
        "f(b) if b < 1 else -b",
        "f(b, axis=0) if b <= 1 else -b",
        "f(b, axis=0) if b < 1 else b",
        "f(b, axis=0)",
        "-b",
    ):
        assert f"a = f(b, axis=0) if b < 1 else -b → a = {new}" in changes
    assert "a = f(b, axis=0) if b < 1 else -b → nothing" in changes


def test_only_the_solution_is_mutated():
    code = "def f(x):\n    y = 1\n    ### BEGIN SOLUTION\n    return x + 1\n    ### END SOLUTION"
    assert {m.change.split(" → ")[0] for m in TOOL.mutants(code)} == {"return x + 1"}


@pytest.mark.slow
@pytest.mark.parametrize("number", EXERCISES)
def test_a_sample_of_the_mutants_is_rejected(number):
    survivors = []
    for name, code in answers(number).tasks.items():
        known = LISTED.get(f"{number:02}.{name}", {})
        found = [m for m in TOOL.mutants(code) if m.change not in known]
        if found:
            chosen = sample(found, name)
            if answers(number).verdict(name, chosen.code) == "correct":
                survivors.append(f"{name}: {chosen.change}")
    assert survivors == []


@pytest.mark.slow
@pytest.mark.parametrize("number", EXERCISES)
def test_what_is_listed_as_equivalent_is_still_a_mutant_with_a_reason(number):
    listed = {key: known for key, known in LISTED.items() if key.startswith(f"{number:02}.")}
    for key, known in listed.items():
        changes = {m.change for m in TOOL.mutants(answers(number).tasks[key[3:]])}
        assert set(known) <= changes, key
        assert all(len(reason) > 10 for reason in known.values()), key
