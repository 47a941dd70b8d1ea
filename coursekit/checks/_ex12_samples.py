"""Exercise 12: samplers and searches, right and wrong, and what judges how they draw.

A search is right with its default settings; other settings make the mistakes of the tables.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import loosely_equal, rng
from coursekit.checks.kit.places import short
from coursekit.checks.kit.values import array, describe

_MANY = 10_000
Sampler = Callable[..., Any]


def log_uniform(low, high, n, rng):
    """Draw n values whose logarithm is uniform."""
    return low * (high / low) ** rng.random(n)


def whole_numbers(low, high, n, rng):
    """Draw n whole numbers, both ends included."""
    return low + np.floor((high - low + 1) * rng.random(n)).astype(int)


LOG_UNIFORM: dict[str, Sampler] = {
    "Your values are uniform: nearly all of them lie in the last power of ten.":
        lambda low, high, n, rng: rng.uniform(low, high, n),
    "You return the exponents: the power is missing.":
        lambda low, high, n, rng: rng.uniform(np.log(low), np.log(high), n),
    "`np.log10` belongs to a power of 10; `np.exp` takes a natural logarithm back.":
        lambda low, high, n, rng: np.exp(rng.uniform(np.log10(low), np.log10(high), n)),
    "`np.log` belongs to `np.exp`; a power of 10 takes `np.log10` back.":
        lambda low, high, n, rng: 10 ** rng.uniform(np.log(low), np.log(high), n),
}  # fmt: skip
WHOLE: dict[str, Sampler] = {
    "The upper end never comes; it is included.":
        lambda low, high, n, rng: rng.integers(low, max(high, low + 1), n),
    "The lower end never comes; it is included.":
        lambda low, high, n, rng: rng.integers(min(low + 1, high), high, n, endpoint=True),
    "Both ends come only half as often as the others. Did you round uniform numbers?":
        lambda low, high, n, rng: np.round(rng.uniform(low, high, n)).astype(int),
    "`astype(int)` cuts off towards 0, below 0 too: use `np.floor`, or `rng.integers`.":
        lambda low, high, n, rng: rng.uniform(low, high + 1, n).astype(int),
}  # fmt: skip


OTHER_SOURCE = "Equal generators give different values: draw from `rng` and from nothing else."
NO_SOURCE = "Different generators give the same values: draw from `rng`."
_COPIED = "Two calls with one generator give the same values: do not copy it or seed it anew."
_IN_ORDER = "Your values come in order; they should be drawn at random."


def misused(right: Sampler) -> dict[str, Sampler]:
    """Return the mistakes that every sampler can make with its generator."""
    return {
        OTHER_SOURCE: lambda low, high, n, rng: right(low, high, n, np.random.default_rng()),
        NO_SOURCE: lambda low, high, n, rng: right(low, high, n, np.random.default_rng(0)),
        _COPIED: lambda low, high, n, rng: right(low, high, n, copy.deepcopy(rng)),
        _IN_ORDER: lambda *case: np.sort(right(*case)),
    }


def check_samples(
    answer: Any, right: Sampler, ranges: Sequence[Any], wrong: Mapping[str, Sampler], kind: str
) -> None:
    """Raise Wrong unless `answer` draws as `right` does; a mistake is known by how it draws."""
    for low, high in ranges:
        draw = rng(f"{low} {high}")
        values = array(call(answer, low, high, _MANY, draw), shape=(_MANY,), dtype=kind)
        array(call(answer, low, high, 1, draw), "Your result for n=1", shape=(1,))
        if distance(values, right(low, high, _MANY, draw)) > 0.05:
            for reason, sampler in wrong.items():
                if distance(values, sampler(low, high, _MANY, draw)) < 0.05:
                    raise Wrong(reason)
            seen = map(short, (low, high, values.min(), values.max(), np.median(values)))
            raise Wrong("From {} to {} your values are not distributed as asked: they run from {} "
                        "to {}, half of them up to {}.".format(*seen))  # fmt: skip
        if low < high and ((np.diff(values) >= 0).all() or (np.diff(values) <= 0).all()):
            raise Wrong(_IN_ORDER)
    require_generator(lambda draw: array(call(answer, *ranges[0], 20, draw)))


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference between the shares of two samples up to a value."""
    places = np.concatenate([a, b])
    shares = [np.searchsorted(np.sort(part), places, "right") / len(part) for part in (a, b)]
    return float(np.abs(shares[0] - shares[1]).max())


def require_generator(drawn: Callable[[np.random.Generator], Any]) -> None:
    """Raise Wrong unless what `drawn(generator)` returns depends on the generator alone."""
    first, again, other = (drawn(np.random.default_rng(seed)) for seed in (1, 1, 2))
    if not loosely_equal(first, again, 1e-9):
        raise Wrong(OTHER_SOURCE)
    if loosely_equal(np.sort(first), np.sort(other), 1e-9):
        raise Wrong(NO_SOURCE)
    draw = np.random.default_rng(1)
    if loosely_equal(drawn(draw), drawn(draw), 1e-9):
        raise Wrong(_COPIED)


def trials(stages: list[list[tuple[float, float]]]) -> list[tuple[float, float]]:
    """Return the (loss, value) of all stages, the best first."""
    return sorted(trial for stage in stages for trial in stage)


def ends(good: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the smallest and the largest value of some trials."""
    return min(value for _, value in good), max(value for _, value in good)


def _diverged(tried: list[list[tuple[float, float]]]) -> float | None:
    """Return the first value that diverged, if any did."""
    return next((value for stage in tried for loss, value in stage if np.isinf(loss)), None)


STAGES: dict[str, dict[str, Any]] = {
    "The next range has no margin: from half the smallest to twice the largest.":
        {"widen": lambda good, now: good},
    "The margin leaves the range of the stage; cut it off at both ends.":
        {"widen": lambda good, now: (good[0] / 2, 2 * good[1])},
    "A loss of NaN counts as the best; it is the worst, a training that diverged.":
        {"lost": -np.inf},
    "A loss of NaN spoils the order of a plain sort; count it as the worst.":
        {"lost": np.nan},
    "The next range spans the highest losses; keep the lowest.":
        {"narrow": lambda tried, n: ends(trials(tried[-1:])[-(n // 4) :])},
    "The next range spans all values; keep the best.": {"narrow": lambda tried, n: ends(tried[-1])},
    "The next range spans the best half; keep the best n // 4.":
        {"narrow": lambda tried, n: ends(trials(tried[-1:])[: n // 2])},
    "The next range spans one value too many: `n // 4` rounds down.":
        {"narrow": lambda tried, n: ends(trials(tried[-1:])[: -(-n // 4)])},
    "The next range comes from the trials of all stages; take those of this stage.":
        {"narrow": lambda tried, n: ends(trials(tried)[: n // 4])},
    "The next range spans the best quarter of all trials; take those of this stage.":
        {"narrow": lambda tried, n: ends(trials(tried)[: len(tried) * n // 4])},
    "The next range spans the first n // 4 values of the stage; sort them by their losses.":
        {"narrow": lambda tried, n: ends(tried[-1][: n // 4])},
    "Your best value is that of the last stage; an earlier one had a lower loss. Look at all.":
        {"best": lambda tried: min(tried[-1])[1]},
    "Your best value is one whose loss was NaN: `min` and `argmin` do not step over NaN.":
        {"best": lambda tried: _diverged(tried) or trials(tried)[0][1]},
    "You return the lowest loss, not its value.": {"best": lambda tried: trials(tried)[0][0]},
    "Your best value has the highest loss.": {"best": lambda tried: trials(tried)[-1][1]},
    "The order is first the best value, then the ranges.":
        {"result": lambda best, ranges: (ranges, best)},
    "You return the last range alone; the ranges of all stages are wanted.":
        {"result": lambda best, ranges: (best, ranges[-1])},
}  # fmt: skip


def coarse_to_fine(
    loss, low, high, stages, n, rng, sample=log_uniform,
    narrow=lambda tried, n: ends(trials(tried[-1:])[: n // 4]), lost=np.inf,
    widen=lambda good, now: (max(now[0], good[0] / 2), min(now[1], 2 * good[1])),
    best=lambda tried: trials(tried)[0][1], result=lambda best, ranges: (best, np.array(ranges)),
):  # fmt: skip
    """Search in stages; `narrow` and `best` see the trials of each stage so far."""
    tried, ranges = [], []
    for _ in range(stages):
        ranges.append((low, high))
        values = sample(low, high, n, rng)
        found = [(loss(value), value) for value in values]
        tried.append([(lost if np.isnan(each) else each, value) for each, value in found])
        low, high = widen(narrow(tried, n), ranges[-1])
    return result(best(tried), ranges)


def successive_halving(
    train, configurations, first, eta, start=lambda first: first, order=np.argsort,
    kept=lambda n, eta: n // eta, budget=lambda now, first, eta: now * eta,
    cost=lambda now, n, first, eta: now * n, again=False,
):  # fmt: skip
    """Train all that are left, keep the best, raise the budget, until one is left."""
    left, now, spent = list(configurations), start(first), 0
    while len(left) > 1:
        losses = [train(configuration, now) for configuration in left]
        spent += cost(now, len(left), first, eta)
        left = [left[i] for i in order(losses)[: max(1, kept(len(left), eta))]]
        now = budget(now, first, eta)
    if again:
        train(left[0], now)
        spent += now
    return left[0], spent


def honest_search(
    fit, configurations, data, judge="valid", pick=np.argmax, score="valid", again=False,
    tested=lambda models, best: models[best], scores=lambda valid, test: (valid, test()),
):  # fmt: skip
    """Train all, choose the best on the validation data, report it on the test data."""
    models = [fit(c, data.x_train, data.y_train) for c in configurations]

    def rate(model, part):
        return model.score(getattr(data, f"x_{part}"), getattr(data, f"y_{part}"))

    best = int(pick([rate(model, judge) for model in models]))
    if again:
        models[best] = fit(configurations[best], data.x_train, data.y_train)
    reported = scores(rate(models[best], score), lambda: rate(tested(models, best), "test"))
    return configurations[best], *reported


PARTS = {"train": 50, "valid": 21, "test": 22}  # rows; a part holds nothing but its number


def part_of(x: Any, y: Any, method: str) -> int:
    """Return the number of the part of the data that was passed to `fit` or `score`."""
    for part, rows in enumerate(PARTS.values()):
        if np.array_equal(x, np.full((rows, 2), part)) and np.array_equal(y, np.full(rows, part)):
            return part
    raise Wrong(
        f"You pass to `{method}` something else than all images of one part with their labels."
    )


def place(configuration: Any, given: list[Any], what: str) -> int:
    """Return where a configuration stands in the list; `what` begins the reason if nowhere."""
    if not isinstance(configuration, (dict, float)) or configuration not in given:
        raise Wrong(f"{what} {describe(configuration)}, which is no configuration of the list.")
    return given.index(configuration)
