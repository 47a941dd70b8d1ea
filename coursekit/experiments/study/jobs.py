"""One piece of the study's work: a search trial or a run, with all that decides its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from coursekit.experiments.study.variants import SEARCH_SEED, VARIANTS, Budget, search_grid


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
        if self.kind == "search":
            return f"search-{self.variant}-{self.learning_rate:g}"
        return f"run-{self.variant}-{self.seed}"

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
        if VARIANTS[self.variant].cycle:
            return self.budget.cycle_epochs
        return self.budget.epochs

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

    def study_config(self) -> dict[str, Any]:
        """Return what all records of the study have in common."""
        return _common(self)

    def _job(self, kind: str, variant: str, seed: int, learning_rate: float) -> Job:
        common = (self.profile, self.budget, self.data, self.threads)
        return Job(kind, variant, seed, learning_rate, *common)


def _common(of: Job | Study) -> dict[str, Any]:
    data = asdict(of.data)
    del data["source"]
    return {"profile": of.profile, "budget": asdict(of.budget), "data": data}


@dataclass(frozen=True)
class Trainer:
    """The two functions that do the work, named by module so that other processes find them.

    `describe(budget)` says which images there are, without training.
    `train(job, tell)` returns the result; it calls `tell(epoch, logs)` after each epoch, counted
    from 1. Tests and benchmarks put small ones in their place.
    """

    describe: Callable[[Budget], DataInfo]
    train: Callable[[Job, Callable[[int, dict[str, float]], None]], dict[str, Any]]
