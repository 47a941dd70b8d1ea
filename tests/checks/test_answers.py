"""Every task of every exercise: right answers pass, wrong ones fail with the reason they must give.

The answers to exercise NN are in `answers_exNN.py` beside this file: a dict `ANSWERS` from task to
`{"right": [answer, ...], "wrong": [(answer, "part of the reason"), ...]}`. A list in place of an
answer stands for several answers, `ex.NAME(a, b)`.
"""

from __future__ import annotations

import importlib.util
import inspect
import pickle
import random
from pathlib import Path

import numpy as np
import pytest

from coursekit.checks.engine.runner import run
from coursekit.checks.engine.tasks import load, numbers

HERE = Path(__file__).parent


def answers_of(number):
    path = HERE / f"answers_ex{number:02}.py"
    if not path.exists():
        return {}
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ANSWERS


ANSWERS = {number: answers_of(number) for number in numbers()}
TASKS = [(n, task.name) for n in ANSWERS for task in load(n)]


def cases(kind):
    return [
        pytest.param(number, name, case, id=f"{number:02}-{name}-{i}")
        for number, tasks in ANSWERS.items()
        for name, answers in tasks.items()
        for i, case in enumerate(answers[kind])
    ]


def check(number, name, answer):
    return run(load(number)[name], tuple(answer) if isinstance(answer, list) else (answer,))


def fingerprint(answer):
    """What a check could change in an answer: numbers in arrays, weights of models."""
    if isinstance(answer, (list, tuple)):
        return [fingerprint(part) for part in answer]
    if isinstance(answer, np.ndarray):
        return answer.tobytes()
    if hasattr(answer, "get_weights") and not isinstance(answer, type):
        return [weight.tobytes() for weight in answer.get_weights()]
    return None


@pytest.mark.parametrize(("number", "name"), TASKS)
def test_each_task_has_enough_answers_and_hints(number, name):
    answers = ANSWERS[number].get(name, {"right": [], "wrong": []})
    assert len(answers["right"]) >= 2, f"{name}: expected two different right answers"
    assert len(answers["wrong"]) >= 3, f"{name}: expected three wrong answers"
    assert len(load(number)[name].hints) >= 2, f"{name}: expected a hint and a next one"


def test_answers_belong_to_tasks_that_exist():
    for number, tasks in ANSWERS.items():
        assert set(tasks) <= {task.name for task in load(number)}


@pytest.mark.parametrize(("number", "name", "answer"), cases("right"))
def test_right_answer_is_correct(number, name, answer):
    before = fingerprint(answer)
    verdict = check(number, name, answer)
    assert verdict, repr(verdict)
    assert fingerprint(answer) == before


@pytest.mark.parametrize(("number", "name", "case"), cases("wrong"))
def test_wrong_answer_is_rejected_with_its_reason(number, name, case):
    answer, reason = case
    before = fingerprint(answer)
    verdict = check(number, name, answer)
    assert verdict.outcome == "wrong", repr(verdict)
    assert reason in verdict.reason
    assert fingerprint(answer) == before


@pytest.mark.parametrize(("number", "name"), TASKS)
def test_check_repeats_itself_and_leaves_the_seeds_alone(number, name):
    answer, _ = ANSWERS[number][name]["wrong"][0]
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    states = pickle.dumps((random.getstate(), np.random.get_state()))  # noqa: NPY002
    first = check(number, name, answer)
    assert pickle.dumps((random.getstate(), np.random.get_state())) == states  # noqa: NPY002
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert check(number, name, answer) == first


@pytest.mark.parametrize(("number", "name"), TASKS)
@pytest.mark.parametrize("nonsense", [None, 3, "text", [], {}, object(), np.zeros(3), int, print])
def test_nonsense_is_rejected_without_failing(number, name, nonsense):
    task = load(number)[name]
    verdict = run(task, (nonsense,) * len(inspect.signature(task.check).parameters))
    assert verdict.outcome in ("wrong", "crashed"), repr(verdict)
