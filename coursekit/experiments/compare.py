"""`ck.compare`: variants of a net, over several seeds, in a comparison that is fair."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from coursekit.base.environment import seed_offset, watched
from coursekit.base.numbers import whole_number
from coursekit.base.state import random_states_kept
from coursekit.errors import ArgumentError
from coursekit.experiments.rates import best_rate, rates_beyond
from coursekit.experiments.runs import Runs, lower_is_better
from coursekit.experiments.trainee import Trainee, required_arguments
from coursekit.training import fit

RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
FIRST_SEED = 1
SEARCH_SEED = 0  # the first of a search, the others count down from the end of the thousand
_SEEDS_APART = 1000  # between the seeds of a lesson and those of the same with an offset
_MOST_TRIES = 15
Callbacks = Callable[..., list]


def compare(
    variants: Mapping[str, Callable[..., Any]],
    data: Any,
    *,
    epochs: int,
    batch_size: int = 32,
    seeds: int = 5,
    rates: Sequence[float] | str | None = None,
    choose_by: str = "val_loss",
    search_seeds: int = 1,
    callbacks: Callbacks | Mapping[str, Callbacks] | None = None,
) -> Runs:
    """Train every variant with every seed and return all that happened.

    A seed means the same for all: the same draws for the starting weights (and so the same weights
    where the architectures agree), the same order of the batches. Learning rates are chosen for
    each variant by a training for each rate with another seed, judged on the validation data; where
    the best rate stands at an end of the list, the list is made longer. (Two rates can be so near
    that one seed chooses by luck: let more of them choose.) A run that diverged is kept: its
    numbers are NaN from that epoch on.

    A variant is built once for every seed, for the numbers that it starts with (for every run, if
    it asks for the rate), but runs of one architecture share one program: of all seeds and rates,
    of variants that differ in initialisers or callbacks, of one comparison and the next. (An
    architecture with layers, losses or functions that are not Keras' own is known only by its
    function.) The global random states are left as found.

    Args:
        variants: name -> function that returns a new compiled model. It is called without
            arguments, or with the learning rate if it asks for one (to make a schedule from it).
        data: has `x_train`, `y_train`, `x_valid`, `y_valid`: what `ck.load` gives. Or a function of
            the seed that returns it, where the runs are to differ in the data too, such as
            `lambda seed: data.subset(50, seed)`; all variants get the same for a seed.
        epochs: of each run.
        batch_size: rows in one step.
        seeds: how many runs of each variant, at least 1.
        rates: None (as compiled), the learning rates to choose from, ascending, or "search" for
            0.001 to 0.1 in steps of about three.
        choose_by: the metric of the last epoch that chooses the rate.
        search_seeds: how many trainings of each rate choose by their mean, at least 1; a rate that
            diverges in one of them is out.
        callbacks: function that returns a new list of callbacks for a run, or one for each name. It
            is given the learning rate if it asks for one.

    Raises:
        ArgumentError: no variants, what is no compiled model, rates that are not positive and
            ascending, an unknown metric, rates for a variant that is compiled with a schedule.
        TypeError: arguments of the wrong kind.
    """
    epochs, seeds = whole_number("epochs", epochs, least=1), whole_number("seeds", seeds, least=1)
    searching = _search_seeds(whole_number("search_seeds", search_seeds, least=1), seeds)
    if not variants:
        raise ArgumentError("variants: expected at least one, got none.")
    trial = _Trial(data, epochs, batch_size, _by_name(callbacks, variants))
    listed = _listed(rates)
    first = FIRST_SEED + _SEEDS_APART * seed_offset()
    runs = Runs(epochs, tuple(range(first, first + seeds)), choose_by)
    total = len(variants) * (seeds + len(listed) * len(searching))
    with (
        random_states_kept(),
        tqdm(total=total, disable=not watched(), unit="run", leave=False) as bar,
    ):
        trial.done = bar.update
        trainees: dict[int, Trainee] = {}
        for name, build in variants.items():
            bar.set_description_str(name, refresh=False)
            trainee = trainees.setdefault(id(build), Trainee(name, build))
            trainee.name = name
            rate = None
            if listed:
                runs.searched[name] = _search(trainee, listed, trial, choose_by, searching)
                rate = best_rate(runs.searched[name], lower=lower_is_better(choose_by))
            runs.rates[name] = rate
            for seed in runs.seeds:
                runs.add(name, seed, trial.run(trainee, seed, rate))
            runs.models[name] = trainee.copy()
    return runs


def _search_seeds(n: int, seeds: int) -> list[int]:
    if n + seeds > _SEEDS_APART:
        raise ArgumentError(
            f"seeds, search_seeds: expected at most {_SEEDS_APART} together, got {seeds} and {n}."
        )
    first = SEARCH_SEED + _SEEDS_APART * seed_offset()
    return [first, *(first + _SEEDS_APART - i for i in range(1, n))]


class _Trial:
    """How each run is trained: the data, the budget, the callbacks."""

    def __init__(self, data: Any, epochs: int, batch_size: int, callbacks: dict[str, Callbacks]):
        self.data = data if callable(data) else lambda seed: data
        self.epochs, self.batch_size, self.callbacks = epochs, batch_size, callbacks
        self.done: Callable[[], Any] = lambda: None

    def run(self, trainee: Trainee, seed: int, rate: float | None) -> dict[str, np.ndarray]:
        """Return each metric's values, shape (epochs,): NaN after a divergence or an early stop."""
        data, model = self.data(seed), trainee.start(seed, rate)
        make = self.callbacks.get(trainee.name, list)
        callbacks = make(rate) if required_arguments(make) else make()
        with contextlib.redirect_stdout(io.StringIO()):  # a divergence is told by the result
            history = fit(
                model,
                data.x_train,
                data.y_train,
                epochs=self.epochs,
                batch_size=self.batch_size,
                validation_data=(data.x_valid, data.y_valid),
                callbacks=callbacks,
                verbose=0,
                seed=seed,
            )
        self.done()
        diverged = history.diverged_at is not None
        steps = math.ceil(len(data.x_train) / self.batch_size)
        whole = (history.diverged_at - 1) // steps if diverged else self.epochs
        metrics = {}
        for metric, values in history.history.items():
            metrics[metric] = np.full(self.epochs, np.nan)
            metrics[metric][: len(values[:whole])] = values[:whole]
        return metrics | {"diverged": np.array(diverged)}


def _search(
    trainee: Trainee, rates: list[float], trial: _Trial, metric: str, seeds: list[int]
) -> dict[float, float]:
    """Return the metric reached with each rate, the list made longer until its best is inside.

    It is the mean over the seeds, infinitely bad where one of them diverges.
    """
    found: dict[float, float] = {}
    waiting = list(rates)
    while waiting and len(found) < max(_MOST_TRIES, len(rates)):
        reached = [
            [_last(trial.run(trainee, seed, rate), metric) for rate in waiting] for seed in seeds
        ]
        found |= dict(zip(waiting, np.mean(reached, axis=0).tolist(), strict=True))
        waiting = rates_beyond(best_rate(found, lower=lower_is_better(metric)), found)
    return dict(sorted(found.items()))


def _last(metrics: dict[str, np.ndarray], metric: str) -> float:
    if metric not in metrics:
        there = ", ".join(name for name in metrics if name != "diverged")
        raise ArgumentError(f"choose_by: expected one of {there}, got {metric!r}.")
    values = metrics[metric]
    if metrics["diverged"] or np.isnan(values).all():
        return math.inf if lower_is_better(metric) else -math.inf
    return float(values[~np.isnan(values)][-1])


def _listed(rates: Sequence[float] | str | None) -> list[float]:
    if rates is None:
        return []
    if isinstance(rates, str):
        if rates != "search":
            raise ArgumentError(f'rates: expected learning rates or "search", got {rates!r}.')
        return list(RATES)
    listed = [float(rate) for rate in rates]
    ascending = listed == sorted(set(listed))
    if not listed or not ascending or listed[0] <= 0 or not math.isfinite(listed[-1]):
        raise ArgumentError(f"rates: expected positive, ascending learning rates, got {rates!r}.")
    return listed


def _by_name(
    callbacks: Callbacks | Mapping[str, Callbacks] | None, variants: Mapping[str, Any]
) -> dict[str, Callbacks]:
    if callbacks is None:
        return {}
    if not isinstance(callbacks, Mapping):
        callbacks = dict.fromkeys(variants, callbacks)
    if unknown := set(callbacks) - set(variants):
        there = ", ".join(variants)
        raise ArgumentError(f"callbacks: expected names among {there}, got {sorted(unknown)}.")
    for name, make in callbacks.items():
        if not callable(make):
            raise TypeError(
                f"callbacks: expected a function that returns a new list for each run of {name}, "
                f"got {type(make).__name__}."
            )
    return dict(callbacks)
