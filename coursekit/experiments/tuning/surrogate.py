"""A stand-in for training, and searches replayed on it: a search costs milliseconds, not hours.

Source: Eggensperger, Hutter, Hoos and Leyton-Brown, *Efficient Benchmarking of Hyperparameter
Optimizers via Surrogates*, AAAI 2015.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from coursekit.base.numbers import whole_number
from coursekit.errors import ArgumentError
from coursekit.experiments.tuning.ranges import (
    Space,
    check_space,
    configurations_at,
    points_of,
    quasi_random_points,
)
from coursekit.experiments.tuning.studies import create_study, suggest

METHODS = ("grid", "random", "quasi-random", "TPE")


class Surrogate:
    """The loss at any configuration of a space, learned from trials that were trained.

    A Gaussian process over the logarithm of the loss, with a length of its own for every range, on
    the scale of that range. Losses above `worst`, and those of diverged trials, count as `worst`.

    Args:
        space: the ranges, a dict from name to range.
        configurations: what was trained.
        losses: what came of it, positive, lower is better, in the same order.
        worst: the loss of a net that has learned nothing, such as log(classes).

    Attributes:
        fidelity: rank correlation (Spearman) of true and predicted losses of trials that are left
            out, a fifth of them at a time; near 0 where there is nothing to learn.

    Raises ArgumentError for fewer than eight trials, lengths that differ, a loss that is not
    positive.

    >>> from coursekit.experiments.tuning import Uniform, sample
    >>> space = {"share": Uniform(0.0, 1.0)}
    >>> tried = sample(space, 16, seed=0, quasi_random=True)
    >>> surrogate = Surrogate(space, tried, [1 + each["share"] for each in tried], worst=3.0)
    >>> round(surrogate({"share": 0.5}), 1)
    1.5
    """

    def __init__(
        self,
        space: Space,
        configurations: Sequence[Mapping[str, float]],
        losses: Sequence[float],
        *,
        worst: float,
    ):
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        check_space(space)
        if len(configurations) != len(losses) or len(losses) < 8:
            raise ArgumentError(
                "Surrogate: expected as many losses as configurations, eight at least, got "
                f"{len(losses)} and {len(configurations)}."
            )
        known = np.minimum(np.nan_to_num(np.asarray(losses, float), nan=worst, posinf=worst), worst)
        if not (known > 0).all():
            raise ArgumentError(f"Surrogate: expected positive losses, got {known.min()!r}.")
        self.space = dict(space)
        points, target = points_of(space, configurations), np.log(known)
        lengths = Matern([0.5] * len(space), length_scale_bounds=(0.1, 20), nu=2.5)
        kernel = ConstantKernel(1.0) * lengths + WhiteKernel(0.01, (1e-4, 1.0))
        self._model = GaussianProcessRegressor(kernel, normalize_y=True)
        with warnings.catch_warnings():  # a range that does not matter has its length at the bound
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model.fit(points, target)
        self.fidelity = self._fidelity(points, target)

    def _fidelity(self, points: np.ndarray, target: np.ndarray) -> float:
        # Ranks are compared within each part that is left out: what the others foretell for all of
        # it depends on their mean, which is the higher the lower the part's own is.
        from scipy.stats import spearmanr
        from sklearn.gaussian_process import GaussianProcessRegressor

        parts = np.arange(len(points)) % min(5, len(points) // 4)
        found = []
        for part in range(parts.max() + 1):
            mine = parts == part
            others = GaussianProcessRegressor(self._model.kernel_, optimizer=None, normalize_y=True)
            foretold = others.fit(points[~mine], target[~mine]).predict(points[mine])
            flat = np.ptp(foretold) < 1e-9 or np.ptp(target[mine]) == 0
            found.append(0.0 if flat else spearmanr(foretold, target[mine]).statistic)
        return float(np.mean(found))

    def __call__(self, configuration: Mapping[str, float]) -> float:
        """Return the loss of one configuration."""
        return float(self.at(points_of(self.space, [configuration]))[0])

    def at(self, points: np.ndarray) -> np.ndarray:
        """Return the losses at points of the unit cube, shape (n, len(space)) → (n,)."""
        return np.exp(self._model.predict(points))

    def lowest(self) -> float:
        """Return the lowest loss among 16,384 points that fill the space evenly."""
        rng = np.random.default_rng(0)
        return float(self.at(quasi_random_points(2**14, len(self.space), rng)).min())


def replay(surrogate: Surrogate, method: str, n: int, *, times: int, seed: int = 0) -> np.ndarray:
    """Search again and again on a surrogate; return the lowest loss so far, shape (times, n).

    Args:
        surrogate: what stands in for the trainings.
        method: "grid" (the same number of values in every range, shifted by chance, in a random
            order; `n` must be such a power), "random", "quasi-random", or "TPE" (Optuna's).
        n: trials in one search.
        times: searches.
        seed: of the first search; each has its own.

    Raises ArgumentError for another method, or a number of trials that makes no grid.
    """
    n, times = whole_number("n", n, least=1), whole_number("times", times, least=1)
    if method not in METHODS:
        raise ArgumentError(f"method: expected one of {', '.join(METHODS)}, got {method!r}.")
    if method == "TPE":
        losses = np.array([_tpe(surrogate, n, seed + i) for i in range(times)])
    else:
        points = [
            points_for(method, n, len(surrogate.space), np.random.default_rng([seed, i]))
            for i in range(times)
        ]
        space = surrogate.space  # whole numbers are rounded as in a real search
        real = points_of(space, configurations_at(space, np.concatenate(points)))
        losses = surrogate.at(real).reshape(times, n)
    return np.minimum.accumulate(losses, axis=1)


def points_for(method: str, n: int, dimensions: int, rng: np.random.Generator) -> np.ndarray:
    """Return `n` points of the unit cube, placed as a grid, at random or quasi-randomly.

    Raises ArgumentError for a number of points that makes no grid.

    >>> points_for("grid", 9, 2, np.random.default_rng(0)).shape
    (9, 2)
    """
    if method == "random":
        return rng.random((n, dimensions))
    if method == "quasi-random":
        return quasi_random_points(n, dimensions, rng)
    values = round(n ** (1 / dimensions))
    if values**dimensions != n:
        raise ArgumentError(
            f"n: a grid in {dimensions} dimensions has k**{dimensions} trials, got {n}."
        )
    axes = [(np.arange(values) + rng.random()) / values for _ in range(dimensions)]
    return rng.permutation(np.stack(np.meshgrid(*axes), axis=-1).reshape(n, dimensions))


def _tpe(surrogate: Surrogate, n: int, seed: int) -> list[float]:
    study = create_study(sampler="tpe", seed=seed)
    study.optimize(lambda trial: surrogate(suggest(trial, surrogate.space)), n_trials=n)
    return [math.inf if trial.value is None else trial.value for trial in study.trials]
