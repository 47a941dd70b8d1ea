"""Ranges to sample configurations from, and random search from coarse to fine.

A search space is a dict from name to range: `{"learning_rate": LogUniform(1e-6, 1e-2)}`.

Source: Bergstra and Bengio, *Random Search for Hyper-Parameter Optimization*, JMLR 13, 2012.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from coursekit.base.numbers import whole_number
from coursekit.errors import ArgumentError

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Uniform:
    """Real numbers from `low` to `high`, every stretch of the same length equally likely.

    Raises ArgumentError unless low < high, both finite; TypeError for what is no number.

    >>> Uniform(0.0, 0.5).sample(2, np.random.default_rng(0)).round(3).tolist()
    [0.318, 0.135]
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        name = type(self).__name__
        for value in (self.low, self.high):
            if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
                raise TypeError(f"{name}: expected two numbers, got {value!r}.")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ArgumentError(
                f"{name}: expected finite numbers, low < high, got {self.low!r} and {self.high!r}."
            )

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return `n` values, shape (n,)."""
        return rng.uniform(self.low, self.high, n)

    def narrowed(self, values: Sequence[float], margin: float = 0.1) -> Uniform:
        """Return the range that holds `values`, wider by `margin` at both ends, within this one.

        `margin` is a share of the width of this range, measured on its own scale.
        """
        lowest, highest = float(min(values)), float(max(values))
        extra = margin * (self._to_scale(self.high) - self._to_scale(self.low))
        # A logarithm and back may round the best values, or the old ends, out of the new range.
        below = min(lowest, float(self._from_scale(self._to_scale(lowest) - extra)))
        above = max(highest, float(self._from_scale(self._to_scale(highest) + extra)))
        return type(self)(max(self.low, below), min(self.high, above))

    def suggest(self, trial: optuna.Trial, name: str) -> float:
        """Let an Optuna trial choose a value."""
        return trial.suggest_float(name, self.low, self.high)

    def at(self, share: Any) -> np.ndarray:
        """Return the values that stand at these shares of the way, in [0, 1), from low to high."""
        low, high = self._to_scale(self.low), self._to_scale(self.high)
        values = low + np.asarray(share, dtype=float) * (high - low)
        return np.clip(self._from_scale(values), self.low, self.high)

    def share(self, value: Any) -> np.ndarray:
        """Return the share of the way from low to high at which values stand: `at` turned round."""
        low, high = self._to_scale(self.low), self._to_scale(self.high)
        return (self._to_scale(np.asarray(value, dtype=float)) - low) / (high - low)

    def _to_scale(self, value: Any) -> Any:
        return value

    def _from_scale(self, value: Any) -> Any:
        return value


class LogUniform(Uniform):
    """Positive numbers from `low` to `high`, every factor equally likely: for rates and scales.

    The logarithm is uniform, so that each power of ten gets the same share of the samples.

    Raises ArgumentError unless 0 < low < high.

    >>> LogUniform(1e-4, 1.0).sample(2, np.random.default_rng(0)).round(4).tolist()
    [0.0353, 0.0012]
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low <= 0:
            raise ArgumentError(f"LogUniform: expected low above 0, got {self.low!r}.")

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return `n` values, shape (n,)."""
        values = np.exp(rng.uniform(math.log(self.low), math.log(self.high), n))
        return np.clip(values, self.low, self.high)

    def suggest(self, trial: optuna.Trial, name: str) -> float:
        """Let an Optuna trial choose a value."""
        return trial.suggest_float(name, self.low, self.high, log=True)

    def _to_scale(self, value: Any) -> Any:
        return np.log(value)

    def _from_scale(self, value: Any) -> Any:
        return np.exp(value)


class Integers(Uniform):
    """Whole numbers from `low` up to, not including, `high`, as in `range`; all equally likely.

    Raises ArgumentError unless low < high, TypeError for what is no whole number.

    >>> sorted(set(Integers(2, 5).sample(100, np.random.default_rng(0)).tolist()))
    [2, 3, 4]
    """

    low: int
    high: int

    def __post_init__(self) -> None:
        super().__post_init__()
        for value in (self.low, self.high):
            if not hasattr(value, "__index__"):
                raise TypeError(f"Integers: expected two whole numbers, got {value!r}.")

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return `n` values, shape (n,), integers."""
        return rng.integers(self.low, self.high, n)

    def at(self, share: Any) -> np.ndarray:
        """Return the whole numbers at these shares of the way, in [0, 1), from low to high."""
        steps = np.floor(np.asarray(share, dtype=float) * (self.high - self.low)).astype(int)
        return np.minimum(self.low + steps, self.high - 1)

    def share(self, value: Any) -> np.ndarray:
        """Return the middle of the shares at which `at` gives these whole numbers."""
        return (np.asarray(value, dtype=float) - self.low + 0.5) / (self.high - self.low)

    def narrowed(self, values: Sequence[float], margin: float = 0.1) -> Integers:
        """Return the range that holds `values`, wider by `margin` at both ends, within this one."""
        extra = math.ceil(margin * (self.high - self.low))
        low, high = int(min(values)) - extra, int(max(values)) + 1 + extra
        return Integers(max(self.low, low), min(self.high, high))

    def suggest(self, trial: optuna.Trial, name: str) -> int:
        """Let an Optuna trial choose a value; Optuna's own upper end is included, so one less."""
        return trial.suggest_int(name, self.low, self.high - 1)


Space = Mapping[str, Uniform]


def sample(
    space: Space, n: int, *, seed: int, quasi_random: bool = False
) -> list[dict[str, float]]:
    """Draw `n` configurations, each a dict from name to value.

    At random, each for itself; or quasi-randomly, from a scrambled Sobol sequence (Sobol, 1967;
    Owen, 1998), whose points keep out of each other's way in every range. `n` is best a power of 2.

    Raises ArgumentError for an empty space, or `n` below 1.

    >>> space = {"learning_rate": LogUniform(1e-6, 1e-2), "layers": Integers(2, 5)}
    >>> [list(configuration) for configuration in sample(space, 2, seed=0)]
    [['learning_rate', 'layers'], ['learning_rate', 'layers']]
    """
    check_space(space)
    n = whole_number("n", n, least=1)
    rng = np.random.default_rng(seed)
    if quasi_random:
        return configurations_at(space, quasi_random_points(n, len(space), rng))
    columns = {name: values.sample(n, rng).tolist() for name, values in space.items()}
    return [{name: columns[name][i] for name in columns} for i in range(n)]


def quasi_random_points(n: int, dimensions: int, rng: np.random.Generator) -> np.ndarray:
    """Return the first `n` points of a scrambled Sobol sequence, shape (n, dimensions)."""
    from scipy.stats import qmc

    return qmc.Sobol(dimensions, seed=rng).random_base2(max(n - 1, 0).bit_length())[:n]


def configurations_at(space: Space, points: np.ndarray) -> list[dict[str, float]]:
    """Return the configuration at each point of the unit cube, shape (n, len(space))."""
    columns = {
        name: values.at(points[:, i]).tolist() for i, (name, values) in enumerate(space.items())
    }
    return [{name: columns[name][i] for name in columns} for i in range(len(points))]


def points_of(space: Space, configurations: Sequence[Mapping[str, float]]) -> np.ndarray:
    """Return where configurations stand in the unit cube, shape (n, len(space))."""
    return np.stack(
        [values.share([each[name] for each in configurations]) for name, values in space.items()],
        axis=1,
    )


def best_first(losses: Sequence[float]) -> list[int]:
    """Return the numbers of the trials from the lowest loss to the highest; NaN comes last.

    >>> best_first([0.3, float("nan"), 0.1])
    [2, 0, 1]
    """
    values = np.asarray(losses, dtype=float)
    return np.argsort(np.where(np.isnan(values), np.inf, values), kind="stable").tolist()


def narrow(
    space: Space,
    configurations: Sequence[Mapping[str, float]],
    losses: Sequence[float],
    *,
    keep: float = 0.25,
    margin: float = 0.1,
) -> dict[str, Uniform]:
    """Return the space for the next, finer stage: ranges that hold the best configurations.

    Args:
        space: the ranges of the last stage.
        configurations: what was tried, dicts with a value for each name of `space`.
        losses: what came of it, lower is better, in the same order; a diverged one may be NaN.
        keep: share of the configurations that count as the best, in (0, 1]; two at least.
        margin: the new range is wider than the best by this share of the old one, at both ends,
            as far as the old range goes.

    Raises:
        ArgumentError: fewer than two configurations, lengths that differ, shares out of range, a
            configuration without one of the names.

    >>> tried = [{"rate": rate} for rate in (1e-5, 1e-4, 1e-3, 1e-2)]
    >>> finer = narrow({"rate": LogUniform(1e-6, 1e-1)}, tried, [2.0, 0.4, 0.2, 2.1], keep=0.5)
    >>> print(f"{finer['rate'].low:.2g} to {finer['rate'].high:.2g}")
    3.2e-05 to 0.0032
    """
    check_space(space)
    if len(configurations) != len(losses) or len(losses) < 2:
        raise ArgumentError(
            "narrow: expected as many losses as configurations, two at least, got "
            f"{len(losses)} and {len(configurations)}."
        )
    if not 0 < keep <= 1 or not margin >= 0:
        raise ArgumentError(
            f"narrow: expected keep in (0, 1] and margin from 0 on, got {keep!r} and {margin!r}."
        )
    best = [configurations[i] for i in best_first(losses)[: max(2, round(keep * len(losses)))]]
    for name in space:
        if any(name not in configuration for configuration in best):
            raise ArgumentError(f"narrow: a configuration has no {name!r}.")
    return {
        name: values.narrowed([configuration[name] for configuration in best], margin)
        for name, values in space.items()
    }


def check_space(space: Any) -> None:
    """Raise ArgumentError unless `space` is a dict from names to ranges, not empty."""
    if not isinstance(space, Mapping) or not space:
        raise ArgumentError(f"space: expected a dict from name to range, got {space!r}.")
    for name, values in space.items():
        if not isinstance(values, Uniform):
            raise ArgumentError(
                f"space: expected Uniform, LogUniform or Integers for {name!r}, got {values!r}."
            )
