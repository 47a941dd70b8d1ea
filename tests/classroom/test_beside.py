"""Judging beside the learner's code: the checks work there as they do at home, and are watched."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest

from coursekit.base.environment import ROOT
from coursekit.course.classroom.grading import beside
from coursekit.course.classroom.grading.kinds import BESIDE

JUDGE = """
import importlib
from coursekit.course.classroom.grading import beside
beside.remember()
sources = dict(beside.sources())
with beside._loaded(sources):
    run = importlib.import_module("coursekit.checks.engine.runner").run
    load = importlib.import_module("coursekit.checks.engine.tasks").load
    tasks = [load(number)[name] for number, names in {names}.items() for name in names]
    beside._take_out_of_sight(sources)
    for task in tasks:
        before = beside._codes(task)
        assert len(before) > 20, before
        assert beside._still_judges(run, task, list(range(len(task.mistakes)))), task.name
        assert beside._codes(task) == before, task.name
assert beside._memory.put_back() == []
"""


@pytest.mark.slow
@pytest.mark.parametrize("half", [0, 1])  # of the exercises: a fresh process costs seconds
def test_away_from_home_on_other_inputs_every_known_answer_gets_its_verdict(half):
    code = JUDGE.format(names={n: sorted(BESIDE[n]) for n in sorted(BESIDE)[half::2]})
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"COURSEKIT_CHECK_SEED": "winter"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def test_what_is_replaced_is_told_and_put_back():
    import math

    memory = beside._Memory()
    memory.take()
    assert memory.put_back() == []
    was = math.sqrt
    try:
        math.sqrt = abs
        assert memory.put_back() == ["math.sqrt"]
        assert math.sqrt is was
    finally:
        math.sqrt = was


@pytest.mark.parametrize("name", ["numpy", "numpy.linalg", "numpy.random", "keras.ops", "math"])
def test_no_public_function_of_a_library_can_be_replaced_unseen(name):
    module = importlib.import_module(name)
    memory = beside._Memory()
    memory.take()
    public = {
        key: value
        for key, value in vars(module).items()
        if not key.startswith("_") and callable(value)
    }
    assert len(public) > 15
    try:
        for key in public:
            setattr(module, key, print)
        assert {f"{name}.{key}" for key in public} <= set(memory.put_back())
        assert all(vars(module)[key] is value for key, value in public.items())
    finally:
        vars(module).update(public)


def test_code_that_is_replaced_is_told_and_put_back():
    from coursekit.base import numbers

    memory = beside._Memory()
    memory.take()
    code = numbers.whole_number.__code__
    try:
        numbers.whole_number.__code__ = (lambda *a, **k: 0).__code__
        assert memory.put_back() == ["coursekit.base.numbers.whole_number"]
        assert numbers.whole_number.__code__ is code
    finally:
        numbers.whole_number.__code__ = code


def test_the_checks_are_sent_as_they_are():
    sources = beside.sources()
    path, text = sources["coursekit.checks.ex08_optimizers"]
    assert text == (ROOT / "coursekit" / "checks" / "ex08_optimizers.py").read_text(
        encoding="utf-8"
    )
    assert path == "coursekit/checks/ex08_optimizers.py"
    assert {"coursekit.checks", "coursekit.checks.engine", "coursekit.checks.kit.compare"} <= set(
        sources
    )
