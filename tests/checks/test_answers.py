"""Every task of every exercise: right answers pass, wrong ones fail with the reason they must give.

Every mistake that a task names is presented as an answer and must get its own reason. Answers by
hand, above all right ones and wrong ones that no table names, are in `answers_exNN.py` beside this
file: a dict `ANSWERS` from task to `{"right": [answer, ...], "wrong": [(answer, "part of the
reason"), ...]}`. A list in place of an answer stands for several answers, `ex.NAME(a, b)`.
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
NONSENSE = (None, 3, "text", [], {}, object(), np.zeros(3), int, print)


def answers_of(number):
    path = HERE / f"answers_ex{number:02}.py"
    if not path.exists():
        return {}
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ANSWERS


ANSWERS = {number: answers_of(number) for number in numbers()}
TASKS = {number: [task.name for task in load(number)] for number in ANSWERS}


def in_quick(number, name, case=0):
    """`test --quick` tries one answer of a kind, to an exercise's first task and to its last."""
    sampled = case == 0 and name in (TASKS[number][0], TASKS[number][-1])
    return () if sampled else pytest.mark.slow


def by_task(*, sampled):
    return pytest.mark.parametrize(
        ("number", "name"),
        [
            pytest.param(n, name, id=f"{n:02}-{name}", marks=in_quick(n, name) if sampled else ())
            for n, names in TASKS.items()
            for name in names
        ],
    )


def by_answer(kind):
    return pytest.mark.parametrize(
        ("number", "name", "case"),
        [
            pytest.param(n, name, case, id=f"{n:02}-{name}-{case}", marks=in_quick(n, name, case))
            for n, tasks in ANSWERS.items()
            for name, answers in tasks.items()
            if name in TASKS[n]
            for case in range(len(answers[kind]))
        ],
    )


def check(number, name, answer, *, seed=1):
    """Check an answer; nothing in it may change, nor the state of a global generator."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    before = fingerprint(answer), generators()
    verdict = run(load(number)[name], tuple(answer) if isinstance(answer, list) else (answer,))
    assert (fingerprint(answer), generators()) == before
    return verdict


def generators():
    return pickle.dumps((random.getstate(), np.random.get_state()))  # noqa: NPY002


def fingerprint(answer):
    """What a check could change in an answer: numbers in arrays, weights of models."""
    if isinstance(answer, (list, tuple)):
        return [fingerprint(part) for part in answer]
    if isinstance(answer, np.ndarray):
        return answer.tobytes()
    if hasattr(answer, "get_weights") and not isinstance(answer, type):
        return [weight.tobytes() for weight in answer.get_weights()]
    return None


MISTAKES = [
    pytest.param(n, name, case, id=f"{n:02}-{name}-{case}", marks=in_quick(n, name, case))
    for n, names in TASKS.items()
    for name in names
    for case in range(len(load(n)[name].mistakes))
]


@pytest.mark.parametrize(("number", "name", "case"), MISTAKES)
def test_a_named_mistake_gets_its_own_reason(number, name, case):
    reason, answer = list(load(number)[name].mistakes.items())[case]
    verdict = check(number, name, list(answer) if isinstance(answer, tuple) else answer)
    assert (verdict.outcome, verdict.reason) == ("wrong", reason)


@by_task(sampled=False)
def test_each_task_has_enough_answers_and_hints(number, name):
    answers = ANSWERS[number].get(name, {"right": [], "wrong": []})
    assert len(answers["right"]) >= 2, f"{name}: expected two different right answers"
    assert answers["wrong"], f"{name}: expected a wrong answer that no table names"
    named = len(load(number)[name].mistakes)
    assert len(answers["wrong"]) + named >= 3, f"{name}: expected three wrong answers"
    assert len(load(number)[name].hints) >= 2, f"{name}: expected a hint and a next one"


def test_answers_belong_to_tasks_that_exist():
    for number, tasks in ANSWERS.items():
        assert set(tasks) <= set(TASKS[number])


@by_answer("right")
def test_right_answer_is_correct(number, name, case):
    verdict = check(number, name, ANSWERS[number][name]["right"][case])
    assert verdict, repr(verdict)


@by_answer("wrong")
def test_wrong_answer_is_rejected_with_its_reason(number, name, case):
    answer, reason = ANSWERS[number][name]["wrong"][case]
    verdict = check(number, name, answer)
    assert verdict.outcome == "wrong", repr(verdict)
    assert reason in verdict.reason
    assert len(verdict.reason.splitlines()) <= 6
    if case == 0:
        again = check(number, name, answer, seed=2)
        assert again == verdict, "a check must not depend on a global generator"


@by_task(sampled=True)
def test_nonsense_is_rejected_without_failing(number, name):
    task = load(number)[name]
    several = len(inspect.signature(task.check).parameters)
    verdicts = [(nonsense, run(task, (nonsense,) * several)) for nonsense in NONSENSE]
    assert [pair for pair in verdicts if pair[1].outcome not in ("wrong", "crashed")] == []
