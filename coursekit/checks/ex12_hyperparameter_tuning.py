"""Checks of exercise 12: hyperparameter tuning; the answers, right and wrong, are in a module.

Trainings are stand-ins that write down what they are asked, so nothing is trained here.
"""

from __future__ import annotations

import math
from functools import partial, wraps
from types import SimpleNamespace
from typing import Any

import numpy as np

from coursekit.checks import _ex12_samples as of
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.behaviour import behaviour
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import agree, rng
from coursekit.checks.kit.places import short
from coursekit.checks.kit.values import describe, number, parts, whole

TASKS = TaskList(12, "Hyperparameter tuning")


@TASKS.task(
    "A log-uniform sampler", mistakes=of.LOG_UNIFORM | of.misused(of.log_uniform),
    hints=(
        "Do not draw the value, draw its exponent: that one is uniform.",
        "Between which two numbers does the exponent lie? Take a logarithm of both ends.",
        "`rng.uniform(a, b, n)` draws the exponents; the power of the same base turns them into "
        "values: `np.exp` for `np.log`, `10 **` for `np.log10`.",
    ),
)  # fmt: skip
def log_uniform(answer: Any) -> None:
    """The samples as a function (low, high, n, rng)."""
    ranges = ((1e-4, 1.0), (0.02, 60.0), (1e-9, 1e-6), (3.0, 500.0))
    of.check_samples(answer, of.log_uniform, ranges, of.LOG_UNIFORM, "float")


@TASKS.task(
    "A sampler of whole numbers", mistakes=of.WHOLE | of.misused(of.whole_numbers),
    hints=(
        "A generator has a method for whole numbers. Which of the ends does it include?",
        "`rng.integers` leaves the upper end out, unless `endpoint=True` tells it otherwise.",
    ),
)  # fmt: skip
def whole_numbers(answer: Any) -> None:
    """The samples as a function (low, high, n, rng)."""
    ranges = ((2, 5), (0, 1), (-3, 4), (7, 7), (100, 9_000))
    of.check_samples(answer, of.whole_numbers, ranges, of.WHOLE, "int")


_OUTSIDE = "In stage {} a value lies outside the range that your list gives for it."
_NOT_LOG = "The values of a stage are not log-uniform: every factor is equally likely."
_SAMPLED: dict[str, of.Sampler] = {
    _NOT_LOG: lambda low, high, n, rng: rng.uniform(low, high, n),
    _OUTSIDE.format(1): lambda low, high, n, rng: of.log_uniform(low / 1e6, high * 1e6, n, rng),
    **dict(list(of.misused(of.log_uniform).items())[:2]),
}


@TASKS.task(
    "From coarse to fine",
    mistakes={reason: partial(of.coarse_to_fine, **change) for reason, change in of.STAGES.items()}
    | {reason: partial(of.coarse_to_fine, sample=sampler) for reason, sampler in _SAMPLED.items()},
    hints=(
        "A loop over the stages. In each: note the range, draw n values, call `loss` once each.",
        "Keep pairs (loss, value) of the stage, with infinity for a loss of NaN; sorted, the best "
        "n // 4 come first. Half their smallest and twice their largest value, cut to the range of "
        "this stage, are the next `low` and `high`.",
        "Keep the pairs of all stages too: the best of all is the pair with the lowest loss.",
    ),
)
def coarse_to_fine(answer: Any) -> None:
    """(best value, ranges) as a function (loss, low, high, stages, n, rng)."""
    for low, high, stages, n, lucky, limit in (
        (1e-6, 1.0, 3, 12, None, 99), (1e-3, 1e3, 4, 11, None, 99), (1e-4, 1.0, 2, 300, None, 99),
        (1e-5, 10.0, 3, 20, 2, 99), (1e-5, 10.0, 3, 16, 20, 99), (1e-6, 1.0, 3, 24, None, 1),
        (1e-4, 10.0, 2, 40, None, 1), (1e-3, 1e3, 3, 30, None, 0.5), (1e-5, 1.0, 2, 64, None, 0.2),
    ):  # fmt: skip
        _follow(answer, low, high, stages, n, lucky, limit)
    of.require_generator(
        lambda draw: [call(answer, lambda v: abs(np.log(v)), 1e-3, 10.0, 2, 8, draw)[0]]
    )


def _follow(
    answer: Any, low: float, high: float, stages: int, n: int, lucky: int | None, limit: float
) -> None:
    """Repeat each search, right or wrong, on the values that the answer drew, and compare.

    `lucky` is the number of a call whose loss is the lowest of all, by chance. A value whose
    logarithm lies more than `limit` above the best one's diverges.
    """
    calls: list[tuple[float, float]] = []  # (value, loss)

    def loss(value: Any) -> float:
        value = number(value, "The value you pass to `loss`")
        if value <= 0:
            raise Wrong(f"You pass {value:.3g} to `loss`. Did you draw an exponent?")
        off = np.log(value / (low * high**2) ** (1 / 3))
        reached = 1e3 if len(calls) == lucky else 1e4 * (1 + off**2)
        calls.append((value, reached if off < limit else math.nan))
        return calls[-1][1]

    case = (loss, low, high, stages, n, rng(f"stages {n}"))
    got = call(answer, *case)
    if len(calls) != stages * n:
        raise Wrong(
            f"With stages={stages} and n={n} your search calls `loss` {len(calls)} times; expected "
            "n calls in each stage, one for each value: every call is a training."
        )
    tried = np.reshape([value for value, _ in calls], (stages, n))

    def repeated(**change: Any) -> Any:
        def again(loss, low, high, stages, n, rng):
            left = iter(tried)
            search = partial(of.coarse_to_fine, sample=lambda *_: next(left), **change)
            return search(dict(calls).get, low, high, stages, n, rng)

        return again

    agree(wraps(answer)(lambda *_: got), repeated(), [case], read=parts("best", "ranges"),
          mistakes={reason: repeated(**change) for reason, change in of.STAGES.items()},
          names=("best", "ranges"), rtol=1e-6)  # fmt: skip
    if np.ndim(got[0]):  # the notebook prints it as one number
        raise Wrong(f"Your `best` is {describe(got[0])}; expected one number.")
    for stage, (values, (left, right)) in enumerate(zip(tried, got[1], strict=True), start=1):
        if values.min() < left * (1 - 1e-6) or values.max() > right * (1 + 1e-6):
            raise Wrong(_OUTSIDE.format(stage))
        if n >= 100 and of.distance(values, np.geomspace(left, right, 1000)) > 0.15:
            raise Wrong(_NOT_LOG)


_parts = partial(parts, read=lambda value, what: value)
_halving = partial(partial, of.successive_halving)


@behaviour(
    TASKS, title="Successive halving", right=of.successive_halving,
    hints=(
        "A loop `while` more than one configuration is left; before it a budget and a counter.",
        "In the loop: train all that are left with the budget, add up the epochs, sort by the "
        "losses, keep the first `max(1, len(left) // eta)`, multiply the budget.",
        "`np.argsort(losses)` gives the places from the lowest loss to the highest; configurations "
        "themselves may be dicts, which cannot be sorted.",
    ),
    mistakes={
        "A loss of NaN spoils the order of a plain sort; count it as the worst.":
            _halving(order=lambda losses: sorted(range(len(losses)), key=losses.__getitem__)),
        "A loss of NaN counts as the best; it is the worst, a training that diverged.":
            _halving(order=lambda losses: np.argsort(np.nan_to_num(losses, nan=-np.inf))),
        "You keep those with the highest losses.": _halving(order=lambda v: np.argsort(v)[::-1]),
        "You keep the first of a rung; sort by the losses.":
            _halving(order=lambda losses: np.arange(len(losses))),
        "You keep half, whatever `eta` is.": _halving(kept=lambda n, eta: n // 2),
        "You round up how many go on; use `//`.": _halving(kept=lambda n, eta: -(-n // eta)),
        "You round how many go on; use `//`.": _halving(kept=lambda n, eta: round(n / eta)),
        "The budget stays the same: multiply it.": _halving(budget=lambda now, first, eta: now),
        "The budget grows by `first`; multiply it by `eta`.":
            _halving(budget=lambda now, first, eta: now + first),
        "The budget doubles, whatever `eta` is.": _halving(budget=lambda now, first, eta: 2 * now),
        "The first budget is not `first` epochs.": _halving(start=lambda first: 1),
        "You train the winner once more; stop when one is left.": _halving(again=True),
        "Your epochs count each rung once; every configuration in it costs its budget.":
            _halving(cost=lambda now, n, first, eta: now),
        "You count the trainings; count the epochs of each.":
            _halving(cost=lambda now, n, first, eta: n),
        "You count additional epochs only; each training starts anew and costs its whole budget.":
            _halving(cost=lambda now, n, first, eta: n * (now - now // eta * (now > first))),
    },
)  # fmt: skip
def successive_halving(answer: Any) -> dict[str, Any]:
    """(winner, epochs) as a function (train, configurations, first, eta)."""
    seen: dict[str, Any] = {}
    for count, first, eta in ((8, 1, 2), (11, 2, 2), (27, 1, 3), (11, 3, 3), (5, 1, 8), (2, 4, 2)):
        draw = rng(f"rungs {count}")
        given = [{"rate": rate} if eta < 8 else rate for rate in draw.uniform(size=count).tolist()]
        quality, slow = draw.permutation(count), draw.uniform(0, 8, count)
        rungs: list[tuple[int, list[int]]] = []

        def train(configuration, epochs, given=given, rungs=rungs, quality=quality, slow=slow):
            i = of.place(configuration, given, "You call `train(configuration, epochs)` with")
            if isinstance(epochs, bool) or not isinstance(epochs, (int, np.integer)):
                raise Wrong(f"You train for {short(epochs)} epochs; pass a whole number, an int.")
            if not rungs or rungs[-1][0] != epochs:
                rungs.append((int(epochs), []))
            rungs[-1][1].append(i)
            if sum(len(rung) for _, rung in rungs) > 5 * len(given):
                raise Wrong("Your function does not stop: it must when one configuration is left.")
            lost = len(given) > 7 and quality[i] in (1, len(given) - 1)  # diverged
            return math.nan if lost else float(quality[i] + slow[i] / epochs)

        winner, spent = _parts("winner", "epochs")(call(answer, train, given, first, eta))
        here = f"with {count} configurations, first={first}, eta={eta}, "
        seen |= {
            here + "the epochs of each rung": [epochs for epochs, _ in rungs],
            here + "how many are trained in each rung": [len(rung) for _, rung in rungs],
            here + "which are trained in each rung": [sorted(rung) for _, rung in rungs],
            here + "the place of the winner in the list": of.place(winner, given, "Your winner is"),
            here + "the number of epochs": whole(spent, "Your number of epochs"),
        }
    return seen


_search = partial(partial, of.honest_search)
_BY_TEST = "You choose by the test data: then its score is no honest report."
_BY_TRAINING = "You choose by the training score; choose by validation."
_LOOKS = "You look at the test data more than once; score one model, when everything is decided."
_NAMES = ("training", "validation", "test")


@behaviour(
    TASKS, title="A search that never chooses by the test data", right=of.honest_search,
    hints=(
        "Three parts of data, three uses: train on one, choose by another, report on the last.",
        "Keep the model with the best validation score while you go through the configurations; "
        "after the loop score it, and only it, on the test data.",
    ),
    mistakes={
        _BY_TEST: _search(judge="test"),
        _BY_TRAINING: _search(judge="train"),
        "You choose the lowest validation score, an accuracy.": _search(pick=np.argmin),
        "You return the last configuration, whatever its score.":
            _search(pick=lambda scores: len(scores) - 1),
        _LOOKS: _search(tested=lambda models, best: SimpleNamespace(
                score=lambda x, y: [model.score(x, y) for model in models][best])),
        "The test score is that of the model trained last, not of the chosen one.":
            _search(tested=lambda models, best: models[-1]),
        "You train the chosen configuration a second time; keep its model.": _search(again=True),
        "Your validation score is the training score of your choice.": _search(score="train"),
        "The two scores are swapped.": _search(scores=lambda valid, test: (test(), valid)),
        "You look at no test data: the test score is the validation score.":
            _search(scores=lambda valid, test: (valid, valid)),
    },
)  # fmt: skip
def honest_search(answer: Any) -> dict[str, Any]:
    """(configuration, validation score, test score) as a function (fit, configurations, data)."""
    seen: dict[str, Any] = {}
    ways = []  # in each search: by which scores the choice is the best, and the looks at the test
    for n, least in ((6, 0.5), (5, 0.02), (7, 0.4)):
        draw, given = rng(f"search {n}"), [{"rate": i / 8} for i in range(n)]
        scores = [least + 0.4 * (draw.permutation(n) + draw.random(n)) / n for _ in of.PARTS]
        trained: list[int] = []
        tested: list[int] = []
        marked = [np.full((rows, 2), part) for part, rows in enumerate(of.PARTS.values())]
        data = SimpleNamespace(
            **{f"x_{name}": x for name, x in zip(of.PARTS, marked, strict=True)},
            **{f"y_{name}": x[:, 0] for name, x in zip(of.PARTS, marked, strict=True)},
        )

        def fit(configuration, x, y, given=given, trained=trained, tested=tested, scores=scores):
            chosen = of.place(configuration, given, "You call `fit` with")
            if part := of.part_of(x, y, "fit"):
                raise Wrong(f"You train on the {_NAMES[part]} data; they are there to judge by.")

            def score(x, y):
                part = of.part_of(x, y, "score")
                tested.extend([chosen] * (part == 2))
                return float(scores[part][chosen])

            trained.append(chosen)
            return SimpleNamespace(score=score)

        got = _parts("configuration", "validation score", "test score")(
            call(answer, fit, given, data)
        )
        here = f"with {n} configurations, "
        choice = of.place(got[0], given, "Your first result is")
        ways.append([choice == np.argmax(part) for part in scores] + [len(tested) < 2])
        seen |= {
            here + "which are trained": sorted(trained),
            here + "the models scored on the test data": tested,
            here + "the place of your choice": choice,
            here + "the validation score": number(got[1], "Your validation score"),
            here + "the test score": number(got[2], "Your test score"),
        }
    by_training, by_valid, by_test, once = np.all(ways, axis=0)
    if by_training and not by_valid:
        raise Wrong(_BY_TRAINING)
    if not once:
        raise Wrong(_BY_TEST if by_test else _LOOKS)
    return seen
