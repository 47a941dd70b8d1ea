"""The study's work: search trials and runs, with all that decides their results."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from coursekit.errors import CourseError
from coursekit.experiments.rates import best_rate, rates_beyond
from coursekit.experiments.study.variants import SEARCH_SEED, VARIANTS, Budget, search_grid


class StudyError(CourseError, RuntimeError):
    """A study that cannot start or go on; what is done is kept."""


@dataclass(frozen=True)
class DataInfo:
    """Which images a study uses; `fingerprint` is a hash of all of them and their labels.

    `source` says where they came from. It is noted in each record, but only the images themselves
    decide whether two records belong together.
    """

    name: str
    source: str
    fingerprint: str
    n_train: int
    n_valid: int
    n_test: int


@dataclass(frozen=True)
class Job:
    """One training: `kind` "search" tries a learning rate, `kind` "run" gives a result.

    The same job gives the same result in any process on one machine, alone or among others, as
    long as `threads` is the same; another number of threads may round otherwise.
    """

    kind: str
    variant: str
    seed: int
    learning_rate: float
    profile: str
    budget: Budget
    data: DataInfo
    threads: int = 1

    @property
    def key(self) -> str:
        """Name of the job's record."""
        last = f"{self.learning_rate:g}" if self.kind == "search" else self.seed
        return f"{self.kind}-{self.variant}-{last}"

    @property
    def title(self) -> str:
        """What messages call the job."""
        if self.kind == "search":
            return f"{self.variant}, search, learning rate {self.learning_rate:g}"
        return f"{self.variant}, seed {self.seed}"

    @property
    def epochs(self) -> int:
        """The most epochs the job may train."""
        if self.kind == "search":
            return self.budget.search_epochs
        variant = VARIANTS[self.variant]
        return variant.cycles * self.budget.cycle_epochs if variant.cycle else self.budget.epochs

    @property
    def steps(self) -> int:
        """Steps of one epoch, the last partial batch included."""
        return math.ceil(self.data.n_train / VARIANTS[self.variant].batch_size)

    def config(self) -> dict[str, Any]:
        """Return all that decides the result; a record counts only if its own is equal."""
        return {
            "kind": self.kind,
            "variant": self.variant,
            "revision": VARIANTS[self.variant].revision,
            "seed": self.seed,
            "learning_rate": self.learning_rate,
            **_common(self),
        }


@dataclass(frozen=True)
class Study:
    """What one `study run` is to have done in the end."""

    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    profile: str
    budget: Budget
    data: DataInfo
    threads: int = 1

    def search_jobs(self, variant: str, beyond: Sequence[float] = ()) -> list[Job]:
        """Return the trials that choose the variant's learning rate: its grid, and `beyond` it."""
        grid = search_grid(VARIANTS[variant], self.budget.search_rates)
        return [self._job("search", variant, SEARCH_SEED, rate) for rate in (*grid, *beyond)]

    def run_jobs(self, variant: str, learning_rate: float) -> list[Job]:
        """Return the variant's runs, one per seed."""
        return [self._job("run", variant, seed, learning_rate) for seed in self.seeds]

    def config(self) -> dict[str, Any]:
        """Return what all records of the study have in common."""
        return _common(self)

    def _job(self, kind: str, variant: str, seed: int, learning_rate: float) -> Job:
        common = (self.profile, self.budget, self.data, self.threads)
        return Job(kind, variant, seed, learning_rate, *common)


def _common(of: Job | Study) -> dict[str, Any]:
    data = asdict(of.data)
    del data["source"]
    return {"profile": of.profile, "budget": asdict(of.budget), "data": data}


def next_rates(trials: Sequence[dict[str, Any]], n_rates: int) -> list[float]:
    """Return the learning rate a search of `n_rates` must still try; none where it is over.

    A best rate at the end of those tried makes the list longer, up to twice as long.

    Raises StudyError when every trial diverged.

    >>> def trial(rate, loss):
    ...     return {"variant": "selu", "learning_rate": rate, "validation_loss": loss}
    >>> next_rates([trial(0.001, 1.7), trial(0.01, 1.5)], 2)
    [0.1]
    >>> next_rates([trial(0.001, 1.7), trial(0.01, 1.5), trial(0.1, 2.3)], 2)
    []
    """
    best = choose_rate(trials)
    if len(trials) >= 2 * n_rates:
        return []
    return rates_beyond(best, [trial["learning_rate"] for trial in trials])


def choose_rate(trials: Sequence[dict[str, Any]]) -> float:
    """Return the learning rate that serves a variant best; of equals, the highest.

    What decides is what decides in its runs: the lowest validation loss or, for a cycle, which is
    judged by its end, the accuracy there. `trials` are search records of one variant; one that
    diverged, however good it was before, cannot win.

    Raises StudyError when every trial diverged.

    >>> choose_rate([{"variant": "selu", "learning_rate": 1e-3, "validation_loss": 1.9},
    ...              {"variant": "selu", "learning_rate": 1e-2, "validation_loss": 1.7,
    ...               "diverged": True}])
    0.001
    """
    cycle = VARIANTS[trials[0]["variant"]].cycle
    metric = "validation_accuracy" if cycle else "validation_loss"
    found = {
        trial["learning_rate"]: trial[metric]
        for trial in trials
        if trial[metric] is not None and not trial.get("diverged", False)
    }
    if not found:
        rates = ", ".join(f"{trial['learning_rate']:g}" for trial in trials)
        raise StudyError(f"every learning rate diverged ({rates})")
    return best_rate(found, lower=not cycle)


Tell = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Trainer:
    """The two functions that do the work, named by module so that other processes find them.

    `describe(budget)` says which images there are, without training.
    `train(job, tell)` returns the result; it calls `tell(epoch, logs)` after each epoch, counted
    from 1. Tests and benchmarks put small ones in their place.
    """

    describe: Callable[[Budget], DataInfo]
    train: Callable[[Job, Tell], dict[str, Any]]


def do(train: Callable[[Job, Tell], dict[str, Any]], job: Job, tell: Tell) -> dict[str, Any]:
    """Train a job in a worker; what it raises comes back as a sentence, which always travels."""
    try:
        return train(job, tell)
    except Exception as error:
        raise StudyError(reason_of(error)) from None


def reason_of(error: BaseException) -> str:
    """Return one line that says what went wrong.

    >>> reason_of(ValueError("too small")), reason_of(StudyError("No room."))
    ('ValueError: too small', 'No room')
    """
    text = " ".join(str(error).split())
    if isinstance(error, CourseError):
        return text.rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
