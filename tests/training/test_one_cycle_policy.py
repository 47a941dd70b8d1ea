"""The 1cycle numbers against a hand-made table, and at lengths too short for a cycle."""

import numpy as np
import pytest

from coursekit.errors import ArgumentError
from coursekit.training.one_cycle_policy import one_cycle_at, one_cycle_knots, one_cycle_points

# total_steps -> rates at each step, for max_lr=1 (start 0.1, final 0.0001), worked out by hand.
BY_HAND = {
    1: [0.1],
    2: [0.1, 1.0],
    3: [0.1, 1.0, 0.0001],
    4: [0.1, 1.0, 0.1, 0.0001],
    11: [0.1, 0.325, 0.55, 0.775, 1.0, 0.775, 0.55, 0.325, 0.1, 0.05005, 0.0001],
}


@pytest.mark.parametrize("total_steps", BY_HAND)
def test_rate_equals_the_hand_made_table(total_steps):
    rate, _ = one_cycle_at(np.arange(total_steps), total_steps, 1.0)
    np.testing.assert_allclose(rate, BY_HAND[total_steps], rtol=1e-12)


@pytest.mark.parametrize("total_steps", [4, 5, 10, 99, 1000, 1001])
def test_long_runs_touch_every_corner_exactly_at_a_step(total_steps):
    rate, momentum = one_cycle_at(np.arange(total_steps), total_steps, 0.5)
    rise_end, fall_end, last = one_cycle_knots(total_steps)
    assert rate.max() == rate[rise_end] == 0.5
    assert rate[0] == rate[fall_end] == pytest.approx(0.05)
    assert rate[last] == pytest.approx(0.05 / 1000)
    assert momentum.min() == momentum[rise_end] == 0.85
    assert momentum[0] == momentum[fall_end] == momentum[last] == 0.95


def test_rate_rises_then_falls_monotonically():
    rate, momentum = one_cycle_at(np.arange(500), 500, 0.1)
    rise_end, _, _ = one_cycle_knots(500)
    assert (np.diff(rate[: rise_end + 1]) > 0).all()
    assert (np.diff(rate[rise_end:]) < 0).all()
    assert (np.diff(momentum[: rise_end + 1]) < 0).all()
    assert (np.diff(momentum[rise_end:]) >= 0).all()


def test_the_curve_is_flat_before_and_after():
    rate, momentum = one_cycle_at([-5, 0, 10, 99], 11, 1.0)
    assert rate[0] == rate[1]
    assert rate[2] == rate[3]
    assert momentum.tolist() == [0.95, 0.95, 0.95, 0.95]


def test_final_lr_of_zero_is_kept_and_not_replaced_by_the_default():
    rate, _ = one_cycle_at([10], 11, 1.0, final_lr=0.0)
    assert rate.tolist() == [0.0]


def test_without_a_last_leg_the_cycle_ends_at_the_start_rate():
    rate, _ = one_cycle_at(np.arange(11), 11, 1.0, final_fraction=0.0)
    assert rate[5] == 1.0
    assert rate[10] == pytest.approx(0.1)


def test_explicit_rates_are_used():
    assert one_cycle_points(101, 1.0, start_lr=0.5, final_lr=0.25) == (
        [0, 45, 90, 100],
        [0.5, 1.0, 0.5, 0.25],
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"total_steps": 0}, "total_steps"),
        ({"max_lr": 0.0}, "max_lr"),
        ({"max_lr": float("nan")}, "max_lr"),
        ({"start_lr": -1.0}, "start_lr"),
        ({"final_lr": -1e-9}, "final_lr"),
        ({"final_fraction": 1.0}, "final_fraction"),
        ({"momentum": (0.95, 1.0)}, "momentum"),
    ],
)
def test_bad_arguments_are_named(arguments, named):
    call = {"step": 0, "total_steps": 10, "max_lr": 1.0, **arguments}
    with pytest.raises(ArgumentError, match=f"^{named}: expected"):
        one_cycle_at(**call)


@pytest.mark.parametrize("total_steps", [2.5, 4.0, True, "4"])
def test_steps_are_counted_in_whole_numbers(total_steps):
    with pytest.raises(TypeError, match=r"^total_steps: expected a whole number"):
        one_cycle_knots(total_steps)
