"""A winner is named only where the seeds separate it, and seldom by chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from coursekit.errors import ArgumentError
from coursekit.experiments.verdict import verdict


def simulated(rng, variants, seeds, *, shared=1.0, noise=0.5, gap=0.0):
    """Equal variants whose seeds have something in common; the first one is `gap` lower."""
    common = shared * rng.normal(size=seeds)
    runs = {f"v{i}": common + noise * rng.normal(size=seeds) for i in range(variants)}
    runs["v0"] -= gap
    return runs


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("variants", [2, 3, 6])
def test_among_equals_a_winner_is_named_in_at_most_one_study_of_twenty(variants, seeds):
    rng = np.random.default_rng(variants)
    named = sum(verdict(simulated(rng, variants, seeds)).winner is not None for _ in range(1000))
    # two equal variants are called unequal in exactly 5% of all studies: 50 of 1,000, sd 7
    assert named <= (50 + 3 * 7 if variants == 2 else 50)


@pytest.mark.parametrize("variants", [2, 4])
def test_a_gap_of_several_standard_errors_is_nearly_always_found(variants):
    rng = np.random.default_rng(1)
    found = [verdict(simulated(rng, variants, 8, gap=2.0)).winner for _ in range(200)]
    assert found.count("v0") >= 180


def test_pairing_counts_the_seeds_common_luck_out():
    luck = np.array([0.0, 5.0, -3.0, 8.0, 1.0])
    noise = np.array([0.01, -0.02, 0.0, 0.02, -0.01])
    decided = verdict({"a": luck, "b": luck + 0.5 + noise})
    assert decided.winner == "a"
    assert stats.ttest_ind(luck, luck + 0.5).pvalue > 0.5  # unpaired, nobody could tell


@pytest.mark.parametrize("seed", range(20))
def test_two_variants_are_separated_exactly_where_scipys_paired_test_says_so(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=6), rng.normal(0.9, size=6)
    decided = verdict({"a": a, "b": b})
    assert (decided.winner is not None) == (stats.ttest_rel(a, b).pvalue < 0.05)


def test_with_many_rivals_the_smallest_p_is_held_to_the_strictest_limit():
    rng = np.random.default_rng(0)
    best = rng.normal(size=8)
    for gap in np.linspace(0.1, 1.5, 30):
        near, far = (best + gap * scale + 0.5 * rng.normal(size=8) for scale in (1, 1.2))
        ps = sorted(stats.ttest_rel(best, other).pvalue for other in (near, far))
        decided = verdict({"best": best, "near": near, "far": far})
        if decided.leaders[0] == "best":
            assert (decided.winner == "best") == (ps[0] < 0.025 and ps[1] < 0.05)


def test_the_leaders_are_the_best_and_all_that_cannot_be_told_apart():
    runs = {
        "far": [9.0, 9.1, 9.2, 9.0],
        "b": [1.1, 0.9, 1.3, 0.8],
        "a": [1.0, 1.1, 0.8, 0.9],
    }
    decided = verdict(runs)
    assert decided.winner is None
    assert decided.leaders == ("a", "b")
    assert "a leads with 0.95 on average over 4 seeds, but cannot be told apart from b" in str(
        decided
    )


def test_higher_may_be_better():
    runs = {"plain": [0.80, 0.81, 0.79], "BN": [0.90, 0.912, 0.889]}
    decided = verdict(runs, better="higher", metric="accuracy")
    assert decided.winner == "BN"
    assert decided.text.startswith("BN has the highest accuracy: 0.9 on average over 3 seeds, 0.1")
    assert verdict(runs).winner == "plain"


def test_the_interval_in_the_sentence_is_scipys():
    a, b = np.array([1.0, 1.2, 0.9, 1.1]), np.array([2.0, 2.1, 2.2, 1.9])
    low, high = stats.ttest_rel(b, a).confidence_interval(0.9)
    assert f"(90% interval {low:.3g} to {high:.3g})" in verdict({"a": a, "b": b}, level=0.9).text


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_a_variant_that_diverged_once_cannot_win_and_is_named(lost):
    decided = verdict({"wild": [0.1, lost, 0.1], "a": [1.0, 1.1, 1.0], "b": [2.0, 2.1, 2.1]})
    assert decided.winner == "a"
    assert decided.text.endswith("wild diverged in 1 of 3 runs.")


def test_who_alone_came_through_has_beaten_nobody():
    decided = verdict({"wild": [np.nan, np.nan], "a": [1.0, 1.1]})
    assert (decided.winner, decided.leaders) == (None, ("a",))
    assert "a alone came through, with 1.05" in decided.text


def test_where_all_diverged_there_is_no_leader():
    decided = verdict({"a": [np.nan, 1.0], "b": [2.0, np.inf]})
    assert (decided.winner, decided.leaders) == (None, ())
    assert decided.text == "a diverged in 1 of 2 runs. b diverged in 1 of 2 runs."


def test_one_seed_decides_nothing():
    decided = verdict({"a": [1.0], "b": [9.0]})
    assert (decided.winner, decided.leaders) == (None, ("a", "b"))
    assert decided.text == "a is ahead with 1, but one seed decides nothing."


def test_differences_without_any_spread_decide_by_themselves():
    assert verdict({"a": [1.0, 2.0], "b": [3.0, 4.0]}).winner == "a"
    assert verdict({"a": [1.0, 2.0], "b": [1.0, 2.0]}).winner is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"results": {"a": [1, 2]}}, "expected two variants or more, got 1"),
        ({"results": {"a": [1, 2], "b": [1]}}, r"a of shape \(2,\), b of shape \(1,\)"),
        ({"results": {"a": [], "b": []}}, "one number for each variant and seed"),
        ({"results": {"a": [[1, 2]], "b": [[1, 2]]}}, "one number for each variant and seed"),
        ({"results": {"a": [1], "b": [2]}, "better": "best"}, 'expected "lower" or "higher"'),
        ({"results": {"a": [1], "b": [2]}, "level": 95}, "between 0 and 1, got 95"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        verdict(**arguments)
