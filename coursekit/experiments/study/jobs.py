"""The study's work: search trials and runs, with all that decides their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from coursekit.errors import CourseError
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
        cycle = VARIANTS[self.variant].cycle
        return self.budget.cycle_epochs if cycle else self.budget.epochs

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

    def search_jobs(self, variant: str) -> list[Job]:
        """Return the trials that choose the variant's learning rate."""
        grid = search_grid(VARIANTS[variant], self.budget.search_rates)
        return [self._job("search", variant, SEARCH_SEED, rate) for rate in grid]

    def run_jobs(self, variant: str, learning_rate: float) -> list[Job]:
        """Return the variant's runs, one per seed."""
        return [self._job("run", variant, seed, learning_rate) for seed in self.seeds]

    def n_jobs(self) -> int:
        """Return how many trials and runs the study has."""
        return len(self.variants) * (self.budget.search_rates + len(self.seeds))

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


def choose_rate(trials: Sequence[dict[str, Any]]) -> float:
    """Return the learning rate with the best validation accuracy; of equals, the smallest.

    `trials` are search records of one variant; one that diverged before its first epoch ended has
    no validation accuracy and cannot win.

    Raises StudyError when every trial diverged.

    >>> choose_rate([{"learning_rate": 1e-3, "validation_accuracy": 0.31},
    ...              {"learning_rate": 1e-2, "validation_accuracy": None}])
    0.001
    """
    finished = [trial for trial in trials if trial["validation_accuracy"] is not None]
    if not finished:
        rates = ", ".join(f"{trial['learning_rate']:g}" for trial in trials)
        raise StudyError(f"every learning rate diverged ({rates})")
    best = max(finished, key=lambda t: (t["validation_accuracy"], -t["learning_rate"]))
    return best["learning_rate"]


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
