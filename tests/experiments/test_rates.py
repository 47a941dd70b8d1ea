"""How a search for a learning rate chooses and goes on."""

from __future__ import annotations

import math

import pytest

from coursekit.experiments.rates import best_rate, rates_beyond

MOST = 15


def searched(value_of, rates, *, lower):
    """Return all the rates a search tries, in their order."""
    found = {rate: value_of(rate) for rate in rates}
    while len(found) < MOST:
        beyond = rates_beyond(best_rate(found, lower=lower), found)
        if not beyond:
            return list(found)
        found |= {rate: value_of(rate) for rate in beyond}
    return list(found)


@pytest.mark.parametrize("lower", [True, False])
def test_the_best_rate_ends_between_two_others(lower):
    sign = 1 if lower else -1
    tried = searched(lambda rate: sign * abs(math.log10(rate / 0.3)), [1e-4, 1e-3], lower=lower)
    assert tried == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])


def test_where_low_rates_are_all_the_same_the_list_does_not_grow():
    rates = [0.01, 0.1, 1.0]
    assert searched(lambda rate: 0.6 - (rate > 0.1), rates, lower=False) == rates


@pytest.mark.parametrize("lower", [True, False])
def test_a_rate_that_diverged_never_wins_and_is_left_downwards(lower):
    worst = math.inf if lower else -math.inf
    assert best_rate({0.1: worst, 1.0: 0.5}, lower=lower) == 1.0
    assert best_rate({0.1: 0.5, 1.0: math.nan}, lower=lower) == 0.1
    tried = searched(lambda rate: worst if rate > 0.05 else rate, [0.1, 1.0], lower=lower)
    assert min(tried) < 0.05
