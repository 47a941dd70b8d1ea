"""The range test's rule on curves whose trough is known."""

import numpy as np
import pytest

from coursekit.errors import ArgumentError
from coursekit.training.range_rules import suggestion, trough

RATES = np.geomspace(1e-6, 10, 400)
STEP = RATES[1] / RATES[0]


def bowl(rates=RATES):
    """2 up to 1e-3, falling to 1 at 1e-1, level to 1, then rising by 2 a decade."""
    decades = np.log10(rates)
    return 2 - np.clip((decades + 3) / 2, 0, 1) + 2 * np.maximum(decades, 0)


def test_a_bowls_trough_ends_where_half_of_the_fall_is_made_and_lost_again():
    left, right = trough(RATES, bowl())  # 1.5 is passed at 1e-2, and again at 10^(1/4)
    assert 1e-2 / STEP <= left <= 1e-2 * STEP
    assert 10**0.25 / STEP <= right <= 10**0.25 * STEP


def test_the_suggestion_is_half_of_the_troughs_middle():
    expected = 10 ** ((-2 + 0.25) / 2) / 2
    assert suggestion(RATES, bowl()) == pytest.approx(expected, rel=STEP - 1)


@pytest.mark.parametrize("steps", [100, 400, 2000])
def test_the_number_of_steps_of_one_curve_does_not_matter(steps):
    rates = np.geomspace(1e-6, 10, steps)
    step = rates[1] / rates[0]
    expected = 10 ** ((-2 + 0.25) / 2) / 2
    assert suggestion(rates, bowl(rates)) == pytest.approx(expected, rel=step - 1)


@pytest.mark.parametrize(("factor", "offset"), [(1, 0), (1e-3, 0), (1e4, 0), (1, -5), (3, 100)])
def test_neither_the_unit_nor_the_zero_of_the_loss_matters(factor, offset):
    curve = factor * bowl() + offset
    if offset == 100:
        curve -= 95  # a fall of 3 from 11; of less than 2% it would count as noise
    assert trough(RATES, curve) == trough(RATES, bowl())


def test_a_hundred_times_larger_rates_give_a_hundred_times_larger_suggestion():
    curve = bowl()
    assert suggestion(100 * RATES, curve) == pytest.approx(100 * suggestion(RATES, curve))


def test_noise_moves_the_suggestion_far_less_than_the_lowest_point():
    suggested, lowest = [], []
    for seed in range(40):
        noisy = bowl() + np.random.default_rng(seed).normal(0, 0.03, len(RATES))
        suggested.append(suggestion(RATES, noisy))
        lowest.append(RATES[np.argmin(noisy)])
    assert max(suggested) / min(suggested) < 1.5
    assert max(lowest) / min(lowest) > 4


@pytest.mark.parametrize("tail", [[np.nan], [np.inf, np.nan], [np.nan, 0.0, 0.0]])
def test_what_follows_the_first_loss_that_is_not_finite_does_not_count(tail):
    curve = bowl()
    cut = int(np.searchsorted(RATES, 1.0))
    curve[cut : cut + len(tail)] = tail
    assert trough(RATES, curve) == (trough(RATES, bowl())[0], RATES[cut])


def test_a_loss_that_falls_to_the_end_has_its_trough_end_with_the_rates():
    left, right = trough(RATES, np.linspace(2, 1, len(RATES)))
    assert right == RATES[-1]
    assert left == RATES[200]  # the first of 400 below the middle


def test_a_spike_before_the_trough_and_a_dip_after_it_do_not_widen_it():
    curve = bowl()
    curve[:3] = 5.0
    curve[0] = 2.0
    curve[-1] = 1.2
    assert trough(RATES, curve) == trough(RATES, bowl())


def test_two_rates_suffice():
    assert trough([0.1, 1.0], [2.0, 1.0]) == (1.0, 1.0)


def test_rates_and_losses_are_left_as_they_are():
    rates, curve = RATES.copy(), bowl()
    suggestion(rates, curve)
    np.testing.assert_array_equal(rates, RATES)
    np.testing.assert_array_equal(curve, bowl())


@pytest.mark.parametrize(
    "curve",
    [
        np.full(400, 2.3),
        np.zeros(400),
        np.full(400, -1.0),
        np.linspace(1, 2, 400),
        np.linspace(-2, -1, 400),
        2.3 - 0.01 * np.sin(np.arange(400)),
        [1.0] + 399 * [np.nan],
    ],
    ids=["constant", "zero", "negative", "rising", "rising below 0", "ripple", "one number"],
)
def test_a_loss_that_never_falls_gets_a_sentence(curve):
    with pytest.raises(ArgumentError, match=r"expected a loss that falls.*check the data"):
        suggestion(RATES, curve)


def test_a_loss_that_is_no_number_from_the_start_gets_a_sentence():
    with pytest.raises(ArgumentError, match="expected numbers, got none"):
        suggestion(RATES, np.full(400, np.nan))
    with pytest.raises(ArgumentError, match="expected numbers, got none"):
        suggestion([], [])


@pytest.mark.parametrize("losses", [np.ones(399), np.ones((400, 1)), 1.0])
def test_arrays_that_do_not_fit_get_a_sentence(losses):
    with pytest.raises(ArgumentError, match="two rows of one length"):
        suggestion(RATES, losses)
