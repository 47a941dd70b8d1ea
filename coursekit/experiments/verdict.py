"""Who wins a comparison over seeds: a name only where the seeds separate it from every other one.

Variants are compared in pairs by seed, the best mean with each other one: Student's t for the
paired differences, two-sided, with Holm's correction for the number of comparisons (S. Holm, *A
simple sequentially rejective multiple test procedure*, Scandinavian Journal of Statistics 6, 1979).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from coursekit.errors import ArgumentError


@dataclass(frozen=True)
class Verdict:
    """What a comparison decided.

    Attributes:
        winner: the variant that is better than every other one, or None.
        leaders: those that cannot be told apart from the best mean, best first; the winner alone
            where there is one.
        text: one sentence with the numbers.
        headline: the same in a few words, as the title of a picture.
    """

    winner: str | None
    leaders: tuple[str, ...]
    text: str
    headline: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class _Rival:
    """One variant against the best: the mean difference with its interval, and the decision."""

    name: str
    behind: float
    low: float
    high: float
    p: float
    separated: bool


def verdict(
    results: Mapping[str, Any],
    *,
    better: Literal["lower", "higher"] = "lower",
    level: float = 0.95,
    metric: str = "value",
) -> Verdict:
    """Say which variant wins, if the seeds tell.

    A variant with a run that is NaN or infinite (a diverged one) cannot win; the sentence says how
    many runs it lost. With a single seed nobody wins.

    Args:
        results: for each variant an array of shape (seeds,); position i is the same seed in all.
        better: whether the lower or the higher value is better.
        level: of the paired confidence intervals. Among variants that are equal, a winner is named
            in at most `1 - level` of all comparisons.
        metric: what the numbers are, for the sentence, such as "validation loss".

    Raises:
        ArgumentError: fewer than two variants, arrays that are empty or differ in length, an
            unknown `better`, a level outside (0, 1).

    >>> he, xavier = [0.12, 0.11, 0.13, 0.12], [0.16, 0.15, 0.17, 0.17]
    >>> verdict({"Xavier": xavier, "He": he}, metric="loss").text
    'He has the lowest loss: 0.12 on average over 4 seeds, 0.0425 ahead of Xavier (95% interval
    0.0345 to 0.0505).'
    """
    runs = _checked(results, better, level)
    sound = {name: values for name, values in runs.items() if np.isfinite(values).all()}
    lost = [
        f"{name} diverged in {np.sum(~np.isfinite(values))} of {len(values)} runs."
        for name, values in runs.items()
        if name not in sound
    ]
    if not sound:
        return Verdict(None, (), " ".join(lost), "Every variant diverged")
    sign = 1 if better == "lower" else -1
    best = min(sound, key=lambda name: sign * sound[name].mean())
    rivals = _compare(sign * sound.pop(best), {n: sign * v for n, v in sound.items()}, 1 - level)
    close = [rival for rival in rivals if not rival.separated]
    leaders = (best, *(rival.name for rival in close))
    mean = f"{runs[best].mean():.3g} on average over {len(runs[best])} seeds"
    extreme = "lowest" if better == "lower" else "highest"
    short = f"{best} ends {extreme}, {runs[best].mean():.3g}"
    if not rivals:
        told = f"{best} alone came through, with {mean}."
        short = f"{best} alone came through"
    elif len(runs[best]) < 2:
        told = f"{best} is ahead with {runs[best][0]:.3g}, but one seed decides nothing."
        short += ", but one seed decides nothing"
    elif close:
        told = f"{best} leads with {mean}, but cannot be told apart from {_listed(close, level)}."
        short += f", not separable from {_few(close, len(rivals))}"
    else:
        told = f"{best} has the {extreme} {metric}: {mean}, {_ahead_of(rivals[0], level)}."
        short += f", {rivals[0].behind:.3g} ahead of {rivals[0].name}"
    winner = best if rivals and not close else None
    return Verdict(winner, leaders, " ".join([told, *lost]), short)


def _compare(best: np.ndarray, others: dict[str, np.ndarray], alpha: float) -> list[_Rival]:
    """Hold every other variant against the best (lower is better); the nearest comes first.

    Holm: the smallest p is held to `alpha / m`, the next to `alpha / (m - 1)`, and so on until one
    fails; the intervals are those of the same limits.
    """
    from scipy import stats

    differences = {name: values - best for name, values in others.items()}
    n, rivals, separated = len(best), [], True
    for p, name in sorted((_p_value(values), name) for name, values in differences.items()):
        limit = alpha / (len(others) - len(rivals))
        separated = separated and p < limit
        mean, half = differences[name].mean(), np.inf
        if n > 1:
            half = stats.t.ppf(1 - limit / 2, n - 1) * differences[name].std(ddof=1) / n**0.5
        rivals.append(_Rival(name, mean, mean - half, mean + half, p, separated))
    return sorted(rivals, key=lambda rival: rival.behind)


def _p_value(differences: np.ndarray) -> float:
    """Return the two-sided p of paired differences; those that are all equal decide at once."""
    from scipy import stats

    n, mean = len(differences), differences.mean()
    if n < 2:
        return 1.0
    error = differences.std(ddof=1) / n**0.5
    if error <= 1e-12 * abs(mean):
        return 0.0 if mean else 1.0
    return float(2 * stats.t.sf(abs(mean) / error, n - 1))


def _ahead_of(rival: _Rival, level: float) -> str:
    interval = f"{100 * level:g}% interval {rival.low:.3g} to {rival.high:.3g}"
    return f"{rival.behind:.3g} ahead of {rival.name} ({interval})"


def _few(close: list[_Rival], others: int) -> str:
    if len(close) < 3:
        return " and ".join(rival.name for rival in close)
    return "any other" if len(close) == others else f"{len(close)} of {others} others"


def _listed(close: list[_Rival], level: float) -> str:
    names = [rival.name for rival in close]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{listed}: it is {_ahead_of(close[0], level)}"


def _checked(results: Mapping[str, Any], better: str, level: float) -> dict[str, np.ndarray]:
    if better not in ("lower", "higher"):
        raise ArgumentError(f'better: expected "lower" or "higher", got {better!r}.')
    if not 0 < level < 1:
        raise ArgumentError(f"level: expected a number between 0 and 1, got {level!r}.")
    runs = {name: np.asarray(values, dtype=float) for name, values in results.items()}
    if len(runs) < 2:
        raise ArgumentError(f"results: expected two variants or more, got {len(runs)}.")
    shapes = {values.shape for values in runs.values()}
    if len(shapes) > 1 or len(shape := shapes.pop()) != 1 or shape[0] == 0:
        told = ", ".join(f"{name} of shape {values.shape}" for name, values in runs.items())
        raise ArgumentError(f"results: expected one number for each variant and seed, got {told}.")
    return runs
