from __future__ import annotations

import numpy as np
import pytest

from coursekit.datasets.portable_random import Draws
from coursekit.datasets.splitting import split_validation, stratified_order

UNEVEN = np.repeat([3, 0, 7], [500, 90, 10])


def test_draws_come_from_the_raw_stream_that_numpy_promises_to_keep():
    raw = [int(word) for word in np.random.PCG64(5).random_raw(6)]
    assert Draws(5).integers(6, 1000).tolist() == [(word >> 32) * 1000 >> 32 for word in raw]
    assert Draws(5).octets(11).tolist() == list(
        b"".join(word.to_bytes(8, "little") for word in raw[:2])[:11]
    )
    assert Draws(5).permutation(6).tolist() == sorted(range(6), key=raw.__getitem__)


def test_draws_cover_their_range_evenly():
    numbers = Draws(0).integers(30_000, 3)
    assert np.abs(np.bincount(numbers) - 10_000).max() < 400
    uniform = Draws(0).uniform(10_000, -2, 6)
    assert uniform.dtype == np.float32
    assert -2 <= uniform.min() < -1.99
    assert 5.99 < uniform.max() < 6
    assert abs(uniform.mean() - 2) < 0.1


def test_order_is_a_permutation():
    order = stratified_order(UNEVEN, seed=0)
    assert sorted(order) == list(range(len(UNEVEN)))


@pytest.mark.parametrize("n", [1, 7, 60, 333, 600])
def test_every_prefix_holds_the_classes_in_proportion(n):
    chosen = UNEVEN[stratified_order(UNEVEN, seed=1)[:n]]
    for label, count in zip([3, 0, 7], [500, 90, 10], strict=True):
        assert abs((chosen == label).sum() - n * count / 600) <= 1


def test_ten_of_ten_even_classes_are_one_each():
    labels = np.arange(200) % 10
    assert sorted(labels[stratified_order(labels, seed=3)[:10]]) == list(range(10))


def test_ties_and_members_follow_the_seed():
    labels = np.arange(200) % 10
    first = [stratified_order(labels, seed)[:5].tolist() for seed in range(20)]
    assert len({tuple(order) for order in first}) == 20
    assert len({labels[order[0]] for order in first}) > 4
    assert stratified_order(labels, 7).tolist() == stratified_order(labels, 7).tolist()


@pytest.mark.parametrize("labels", [np.zeros(0, np.uint8), np.zeros(1, np.uint8)])
def test_order_of_nothing_and_of_one(labels):
    assert stratified_order(labels, 0).tolist() == list(range(len(labels)))


def test_split_leaves_every_sample_on_one_side():
    train, valid = split_validation(UNEVEN, None, 60, seed=0)
    assert sorted([*train, *valid]) == list(range(600))
    assert (np.diff(train) > 0).all()
    assert (np.diff(valid) > 0).all()
    assert np.bincount(UNEVEN[valid], minlength=8)[[3, 0, 7]].tolist() == [50, 9, 1]


@pytest.mark.parametrize("n_valid", [0, 1, 13, 100, 599])
def test_split_of_groups_keeps_copies_together(n_valid):
    groups = np.random.default_rng(0).integers(0, 50, 600).astype(np.int32)
    labels = groups % 5
    train, valid = split_validation(labels, groups, n_valid, seed=2)
    assert len(valid) == n_valid
    assert not set(groups[train]) & set(groups[valid])
    lost = set(range(600)) - set(train) - set(valid)
    assert len(set(groups[list(lost)])) <= 1
    assert (np.diff(valid) > 0).all()


def test_a_smaller_validation_part_is_inside_a_larger_one():
    small, large = (split_validation(UNEVEN, None, n, seed=4)[1] for n in (30, 60))
    assert set(small) < set(large)
