"""The study's images: the same ones, standardised, in every process that trains."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from coursekit.base.aligned import aligned_copy
from coursekit.experiments.study.jobs import DataInfo
from coursekit.experiments.study.variants import Budget

if TYPE_CHECKING:
    from coursekit.datasets.dataset import Dataset

DATASET = "cifar10"
_SPLIT_SEED = 42


@dataclass(frozen=True)
class Images:
    """Standardised images, float32 of shape (n, 32, 32, 3), and labels, int32 of shape (n,).

    The training images of the budget give the mean and standard deviation of each pixel. What is
    here are copies: the data set itself, as bytes, is let go.
    """

    info: DataInfo
    x_train: np.ndarray
    y_train: np.ndarray
    x_valid: np.ndarray
    y_valid: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    def test(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the test images and their labels: once per run, when nothing is left to choose."""
        return self.x_test, self.y_test


def describe(budget: Budget) -> DataInfo:
    """Return which images a study with this budget uses on this machine."""
    return _info(_load(budget), budget)


@functools.lru_cache(maxsize=1)
def load_images(budget: Budget) -> Images:
    """Return the images of a budget; a worker process keeps them for its next job."""
    data = _load(budget)
    info, scaled = _info(data, budget), data.standardized()
    return Images(
        info,
        aligned_copy(scaled.x_train),
        scaled.y_train,
        scaled.x_valid[: info.n_valid].copy(),
        scaled.y_valid[: info.n_valid],
        scaled.x_test[: info.n_test].copy(),
        scaled.y_test[: info.n_test],
    )


def _load(budget: Budget) -> Dataset:
    from coursekit.datasets import load

    data = load(DATASET, seed=_SPLIT_SEED)
    return data if budget.n_train is None else data.subset(budget.n_train)


def _info(data: Dataset, budget: Budget) -> DataInfo:
    n_train, n_valid, n_test = (len(y) for y in (data.y_train, data.y_valid, data.y_test))
    return DataInfo(
        data.name,
        data.source,
        data.fingerprint,
        n_train,
        min(n_valid, budget.n_valid or n_valid),
        min(n_test, budget.n_test or n_test),
    )
