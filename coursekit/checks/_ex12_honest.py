"""Exercise 12: the honest search, judged by who is trained and scored on what."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call, copied
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import array, describe, number


def check_honest_search(answer: Any) -> None:
    """Watch who is trained and scored on what."""
    for name in ("honest", "search"):
        _watch(answer, rng(name), n=6)


def _watch(answer: Any, draw: np.random.Generator, n: int) -> None:
    configurations = [{"number": i} for i in range(n)]
    parts = ("train", "valid", "test")
    rates = {part: 0.5 + 0.4 * draw.permutation(n) / n for part in parts}
    while len({int(rate.argmax()) for rate in rates.values()} | {int(rates["valid"].argmin())}) < 4:
        rates = {part: 0.5 + 0.4 * draw.permutation(n) / n for part in parts}
    rows = dict(zip(parts, (50, 21, 22), strict=True))
    data = SimpleNamespace()
    for mark, part in enumerate(parts):
        setattr(data, f"x_{part}", np.full((rows[part], 2), float(mark)))
        setattr(data, f"y_{part}", np.full(rows[part], 10 * mark))
    fitted: list[int] = []
    scored: list[tuple[int, str]] = []

    class Model:
        def __init__(self, i: int):
            self.i = i

        def score(self, x: Any, y: Any) -> float:
            scored.append((self.i, _which(x, y, rows, "score")))
            return float(rates[scored[-1][1]][self.i])

    def fit(configuration: Any, x: Any, y: Any) -> Model:
        if configuration not in configurations:
            raise Wrong("You call `fit` with something that is no configuration of the list.")
        part = _which(x, y, rows, "fit")
        if part != "train":
            raise Wrong(f"You train on the {_NAMES[part]} data; they are there to judge by.")
        fitted.append(configuration["number"])
        return Model(fitted[-1])

    got = call(answer, fit, copied(configurations), data)
    if not isinstance(got, (tuple, list)) or len(got) != 3:
        raise Wrong(
            "Expected three things, the configuration, its validation score and its test score; "
            f"got {describe(got)}."
        )
    _judge(got, n, fitted, scored, rates)


_NAMES = {"train": "training", "valid": "validation", "test": "test"}


def _which(x: Any, y: Any, rows: dict[str, int], method: str) -> str:
    x, y = array(x, f"The x you pass to `{method}`"), array(y, f"The y you pass to `{method}`")
    marks = {float(v) for v in np.unique(x)}
    if len(marks) != 1 or {float(v) for v in np.unique(y)} != {10 * m for m in marks}:
        raise Wrong(
            f"You pass mixed data to `{method}`: images of one part with labels of another."
        )
    part = list(rows)[int(marks.pop())]
    if len(x) != rows[part] or len(y) != rows[part]:
        raise Wrong(f"You pass only a part of the {_NAMES[part]} data to `{method}`; use all.")
    return part


def _judge(got: Any, n: int, fitted: list, scored: list, rates: dict[str, np.ndarray]) -> None:
    tests = [i for i, part in scored if part == "test"]
    if len(tests) > 1:
        raise Wrong(
            f"You look at the test data {len(tests)} times. Score one model on them, once, when "
            "everything is decided."
        )
    if sorted(set(fitted)) != list(range(n)):
        raise Wrong("Not every configuration is trained.")
    if len(fitted) != n:
        raise Wrong(f"You train {len(fitted)} times for {n} configurations; keep the best model.")
    chosen = got[0].get("number") if isinstance(got[0], dict) else None
    if chosen not in range(n):
        raise Wrong(
            f"Expected the chosen configuration in the first place, got {describe(got[0])}."
        )
    best = int(rates["valid"].argmax())
    if chosen != best:
        if chosen == int(rates["train"].argmax()):
            raise Wrong("You choose by the training score, which rewards learning by heart.")
        if chosen == int(rates["valid"].argmin()):
            raise Wrong("You choose the lowest validation score; an accuracy is better if higher.")
        raise Wrong("The chosen configuration is not the one with the best validation score.")
    valid, test = number(got[1], "Your validation score"), number(got[2], "Your test score")
    if np.isclose(valid, rates["test"][best]) and np.isclose(test, rates["valid"][best]):
        raise Wrong("The two scores are swapped: the validation score comes first.")
    if not np.isclose(valid, rates["valid"][best]):
        raise Wrong("The second number is not the validation score of the chosen configuration.")
    if not tests:
        raise Wrong("The test data were never looked at: what is your test score made of?")
    if tests != [best] or not np.isclose(test, rates["test"][best]):
        raise Wrong("The third number is not the test score of the chosen model.")
