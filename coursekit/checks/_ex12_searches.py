"""Exercise 12: searches, judged by the calls they make and what they return.

The trainings are stand-ins that write down every call, so a check knows what was tried, in which
order and for how long, without training anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from coursekit.checks._ex12_samples import log_uniform_distance
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import array, describe, number


def check_coarse_to_fine(answer: Any) -> None:
    """Follow each stage from the recorded calls."""
    for low, high, stages, n, lucky in (
        (1e-6, 1.0, 3, 12, None),
        (1e-3, 1e3, 4, 9, None),
        (1e-4, 1.0, 2, 300, None),
        (1e-5, 10.0, 3, 20, 2),
    ):
        _follow_stages(answer, low, high, stages, n, lucky)
    ends = [
        call(answer, lambda value: abs(np.log(value)), 1e-3, 10.0, 2, 8, np.random.default_rng(s))
        for s in (1, 1, 2)
    ]
    first, again, other = (number(end[0], "Your best value") for end in ends)
    if first != again:
        raise Wrong("Two searches with equal generators differ: draw from `rng` and nothing else.")
    if first == other:
        raise Wrong("Searches with different generators try the same values: draw from `rng`.")


def _follow_stages(
    answer: Any, low: float, high: float, stages: int, n: int, lucky: int | None
) -> None:
    """`lucky` is the number of a call whose loss is the lowest of all, by chance."""
    calls: list[tuple[float, float]] = []
    optimum = low ** (1 / 3) * high ** (2 / 3)

    def loss(value: Any) -> float:
        value = number(value, "The value you pass to `loss`")
        result = 0.1 + np.log(value / optimum) ** 2 if value > 0 else 1e9
        if len(calls) == lucky:
            result = 0.01
        calls.append((value, result))
        return result

    got = call(answer, loss, low, high, stages, n, rng(f"stages {n}"))
    best, ranges = _pair(got, "the best value and the list of ranges")
    if len(calls) != stages * n:
        raise Wrong(
            f"With stages={stages} and n={n} your search calls `loss` {len(calls)} times; expected "
            "n calls in each stage, one for each value: every call is a training."
        )
    if isinstance(ranges, (str, dict)) or not hasattr(ranges, "__len__") or len(ranges) != stages:
        raise Wrong(
            f"Expected a list of {stages} ranges for {stages} stages, got {describe(ranges)}."
        )
    ranges = array(ranges, "The list of ranges", shape=(stages, 2)).astype(float)
    if not np.allclose(ranges[0], (low, high)):
        raise Wrong("The first range must be the one given: the first stage searches all of it.")
    for i in range(stages):
        _check_stage(calls[i * n : (i + 1) * n], ranges[i], i)
        if i + 1 < stages:
            _check_narrowed(calls[i * n : (i + 1) * n], calls[: (i + 1) * n], ranges[i + 1])
    _check_best(number(best, "Your best value"), calls, n)


def _check_stage(calls: list, searched: np.ndarray, i: int) -> None:
    values = np.array([value for value, _ in calls])
    low, high = searched
    if values.min() < low * (1 - 1e-6) or values.max() > high * (1 + 1e-6):
        raise Wrong(f"In stage {i + 1} a value lies outside the range that your list gives for it.")
    if len(values) >= 100 and log_uniform_distance(values, low, high) > 0.15:
        raise Wrong("The values of a stage are not log-uniform: every factor is equally likely.")


def _check_narrowed(stage: list, all_so_far: list, searched: np.ndarray) -> None:
    def span(calls: list, count: int, worst: bool = False) -> tuple[float, float]:
        ordered = sorted(calls, key=lambda c: c[1], reverse=worst)[:count]
        kept = [value for value, _ in ordered]
        return min(kept), max(kept)

    n = len(stage)
    if np.allclose(searched, span(stage, n // 4)):
        return
    mistakes = {
        "The next stage searches around the values with the highest losses; keep the lowest.": span(
            stage, n // 4, worst=True
        ),
        "Your next range spans all values of the stage: keep the best n // 4 only.": span(stage, n),
        "Your next range comes from the trials of all stages; take those of this stage.": span(
            all_so_far, len(all_so_far) // 4
        ),
        "Your next range spans the best half; keep the best n // 4.": span(stage, n // 2),
    }
    for reason, wrong in mistakes.items():
        if np.allclose(searched, wrong):
            raise Wrong(reason)
    if np.allclose(searched[::-1], span(stage, n // 4)):
        raise Wrong("Your next range has its ends swapped: the smaller value comes first.")
    raise Wrong(
        "Your next range is not that of the best values of the stage: from the smallest to the "
        "largest of the n // 4 with the lowest losses."
    )


def _check_best(best: float, calls: list, n: int) -> None:
    def lowest(part: list) -> float:
        return min(part, key=lambda c: c[1])[0]

    if np.isclose(best, lowest(calls), rtol=1e-9):
        return
    if np.isclose(best, lowest(calls[-n:]), rtol=1e-9):
        raise Wrong(
            "Your best value is that of the last stage; an earlier stage had a lower loss. Look at "
            "all stages."
        )
    if np.isclose(best, min(loss for _, loss in calls), rtol=1e-9):
        raise Wrong("You return the lowest loss in place of the value that has it.")
    if np.isclose(best, max(calls, key=lambda c: c[1])[0], rtol=1e-9):
        raise Wrong("Your best value is the one with the highest loss.")
    raise Wrong("Your best value is not the one with the lowest loss of all stages.")


def check_successive_halving(answer: Any) -> None:
    """Compare the trainings, the survivor and the epochs with the rules, rung by rung."""
    for count, first, eta in ((8, 1, 2), (10, 2, 2), (27, 1, 3), (7, 3, 3), (5, 1, 8)):
        _follow_rungs(answer, count, first, eta)
    got = call(answer, lambda c, e: 1.0, ["only"], 1, 2)
    winner, spent = _pair(got, "the winner and the epochs")
    if winner != "only" or number(spent, "Your number of epochs") != 0:
        raise Wrong("With a single configuration there is nothing to train: it is left at once.")


def _follow_rungs(answer: Any, count: int, first: int, eta: int) -> None:
    draw = rng(f"rungs {count}")
    configurations = [{"number": i, "rate": float(draw.uniform())} for i in range(count)]
    quality = draw.permutation(count).astype(float)
    slow = draw.uniform(0, 8, count)
    calls: list[tuple[int, int]] = []

    def loss_at(i: int, epochs: float) -> float:
        return quality[i] + slow[i] / epochs

    def train(configuration: Any, epochs: Any) -> float:
        if not isinstance(configuration, dict) or configuration not in configurations:
            raise Wrong(
                "You call `train` with something that is no configuration of the list: "
                f"{describe(configuration)}. The order is train(configuration, epochs)."
            )
        budget = number(epochs, "The number of epochs you pass to `train`")
        calls.append((configuration["number"], int(budget)))
        return loss_at(*calls[-1])

    got = call(answer, train, configurations, first, eta)
    winner, spent = _pair(got, "the winner and the epochs")
    rungs, left, budget = [], list(range(count)), first
    while len(left) > 1:
        rungs.append((left, budget))
        left = sorted(left, key=lambda i: loss_at(i, budget))[: max(1, len(left) // eta)]
        budget *= eta
    _compare_rungs(calls, rungs, loss_at, eta)
    spent = number(spent, "Your number of epochs")
    if winner not in configurations:
        raise Wrong(f"Expected one of the configurations as the winner, got {describe(winner)}.")
    if winner["number"] != left[0]:
        raise Wrong("Your winner is not the configuration that survives the last rung.")
    _compare_spent(spent, rungs)


def _compare_rungs(
    calls: Sequence, rungs: Sequence, loss_at: Callable[[int, float], float], eta: int
) -> None:
    start = 0
    for number_of_rung, (left, budget) in enumerate(rungs, start=1):
        part = calls[start : start + len(left)]
        start += len(left)
        trained, budgets = sorted(i for i, _ in part), {epochs for _, epochs in part}
        if trained == sorted(left) and budgets == {budget}:
            continue
        here = f"In rung {number_of_rung}"
        if number_of_rung == 1 and budgets != {budget}:
            raise Wrong(f"{here} every configuration is trained for `first` epochs.")
        if len(part) < len(left):
            raise Wrong(
                f"{here} too few are trained: {len(left)} should be left there. Is the next number "
                "the old one // eta, one at least?"
            )
        if trained == sorted(left):
            raise Wrong(
                f"{here} the right ones are trained, but the budget is not eta times the last."
            )
        before, old = rungs[number_of_rung - 2]
        worst = sorted(before, key=lambda i: -loss_at(i, old))[: len(left)]
        if set(trained) & set(worst) and not set(trained) & set(left) - set(worst):
            raise Wrong(f"{here} the worst of the last rung are trained; keep the lowest losses.")
        raise Wrong(
            f"{here} you train others than the best {len(left)} of the rung before. Count again "
            "how many are left, and sort by the losses of that rung."
        )
    if len(calls) > start:
        raise Wrong(
            f"Your function trains {len(calls)} times where {start} would do. Stop when one "
            "configuration is left, train each one once in a rung, and round down how many go on."
        )


def _compare_spent(spent: float, rungs: Sequence) -> None:
    total = sum(len(left) * budget for left, budget in rungs)
    if spent == total:
        return
    if spent == sum(budget for _, budget in rungs) and spent != total:
        raise Wrong("Your epochs count each rung once; every configuration in it costs its budget.")
    if spent == sum(len(left) for left, _ in rungs):
        raise Wrong("You count the trainings; count the epochs of each training.")
    raise Wrong(
        "Your number of epochs is not the sum over all trainings; each starts anew and costs its "
        "whole budget."
    )


def _pair(value: Any, what: str) -> tuple[Any, Any]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Wrong(f"Expected two things, {what}; got {describe(value)}.")
    return value[0], value[1]
