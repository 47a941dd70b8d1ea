"""Which images go where: stratified orders that are nested, seeded and the same everywhere."""

from __future__ import annotations

import numpy as np

from coursekit.datasets.portable_random import Draws


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """An order of the samples whose every prefix holds each class in proportion.

    `labels` are integers of shape (n,). The first k samples hold `k * share` of each class,
    rounded (Webster's method); which samples, and the order of ties, depend on `seed`. Because
    it is one order, the first 100 samples are among the first 200.

    >>> labels = np.repeat([0, 1], [30, 10])
    >>> np.bincount(labels[stratified_order(labels, seed=0)[:8]]).tolist()
    [6, 2]
    """
    shuffled = Draws(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.unique(labels, return_counts=True)[1]
    rank = np.concatenate([np.arange(count) for count in counts]) if len(counts) else shuffled
    size = np.repeat(counts, counts)
    # lexsort: last key first. The shuffled place breaks ties between classes of one size.
    place = np.empty(len(labels), np.int64)
    place[shuffled] = np.arange(len(labels))
    return by_class[np.lexsort((place[by_class], (rank + 0.5) / size))]


def split_validation(
    labels: np.ndarray, groups: np.ndarray | None, n_valid: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training and of the validation part, each ascending.

    Both keep the proportions of the classes. Samples of one group (augmented copies of one
    original; all of one class) never sit on both sides: the copies left over from the last group
    that validation needed are dropped.
    """
    if groups is None:
        order = stratified_order(labels, seed)
        return np.sort(order[n_valid:]), np.sort(order[:n_valid])
    heads, sizes = np.unique(groups, return_index=True, return_counts=True)[1:]
    order = stratified_order(labels[heads], seed)
    n_groups = int(np.searchsorted(np.cumsum(sizes[order]), n_valid)) + 1 if n_valid else 0
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    rank_of_sample = rank[np.unique(groups, return_inverse=True)[1]]
    inside = np.flatnonzero(rank_of_sample < n_groups)
    valid = inside[np.argsort(rank_of_sample[inside], kind="stable")][:n_valid]
    return np.flatnonzero(rank_of_sample >= n_groups), np.sort(valid)
