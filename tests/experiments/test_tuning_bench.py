"""The bench against what its knobs should do; the surrogate against a loss that is known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats

from coursekit.errors import ArgumentError
from coursekit.experiments.tuning import (
    Bench,
    Integers,
    LogUniform,
    Surrogate,
    Uniform,
    create_study,
    points_for,
    replay,
    sample,
    suggest,
)

SPACE = {"rate": LogUniform(1e-4, 1.0), "units": Integers(2, 6), "share": Uniform(-1.0, 3.0)}


@pytest.fixture(scope="module")
def bench():
    draw = np.random.default_rng(0)
    centres = 2 * draw.normal(size=(3, 4))
    y = np.arange(90) % 3
    x = (centres[y] + draw.normal(size=(90, 4))).astype("float32")
    data = SimpleNamespace(x_train=x[:60], y_train=y[:60], x_valid=x[60:], y_valid=y[60:])
    return Bench(data, epochs=2, most_units=6, batch_size=25)


def weights_after(bench, **settings):
    bench.train(**settings)
    return bench.weights()


def test_the_same_seed_repeats_to_the_last_bit_whatever_was_trained_in_between(bench):
    first = weights_after(bench, seed=3)
    bench.train(learning_rate=0.5, units=2, momentum_gap=0.9, weight_decay=3.0)
    assert np.array_equal(weights_after(bench, seed=3), first)
    assert not np.array_equal(weights_after(bench, seed=4), first)


@pytest.mark.parametrize(
    "change", [{"learning_rate": 0.01}, {"weight_decay": 5.0}, {"units": 3}, {"momentum_gap": 0.5}]
)
def test_every_knob_changes_the_weights(bench, change):
    usual = {"learning_rate": 0.003, "weight_decay": 0.0, "units": 6, "momentum_gap": 0.1}
    changed = np.abs(weights_after(bench, **usual | change) - weights_after(bench, **usual))
    assert changed.max() > 1e-3


def test_the_first_step_is_that_of_adamw(bench):
    # Adam's first step is the rate in every weight whose gradient is not tiny; the decay comes on
    # top: w · (1 - rate · decay).
    start = weights_after(bench, learning_rate=0.0)
    whole = Bench(bench.data, epochs=1, most_units=6, batch_size=60)
    assert np.array_equal(weights_after(whole, learning_rate=0.0), start)
    step = weights_after(whole, learning_rate=0.01, weight_decay=2.0) - start * (1 - 0.02)
    moved = np.abs(step[np.abs(step) > 1e-6])
    assert np.median(moved) == pytest.approx(0.01, rel=1e-3)


def test_closed_units_say_and_learn_nothing(bench):
    bench.train(units=2, learning_rate=0.05)
    kernels = [w for w in bench.model.get_weights() if w.ndim == 2]
    bench.train(units=2, learning_rate=0.0)
    start = [w for w in bench.model.get_weights() if w.ndim == 2]
    assert np.array_equal(kernels[0][:, 2:], start[0][:, 2:])
    assert not np.array_equal(kernels[0][:, :2], start[0][:, :2])
    before = bench.model(bench.x).numpy()
    bench.model.layers[1].set_weights([start[0] + 100 * (np.arange(6) >= 2), np.zeros(6)])
    assert np.allclose(bench.model(bench.x).numpy(), before)


def test_weights_follow_he_for_the_units_that_are_open():
    draw = np.random.default_rng(1)
    x = draw.normal(size=(10, 400)).astype("float32")
    data = SimpleNamespace(x_train=x, y_train=np.arange(10) % 2, x_valid=x, y_valid=np.zeros(10))
    wide = Bench(data, epochs=1, most_units=200)
    wide.train(learning_rate=0.0, units=50)
    first, second = [w for w in wide.model.get_weights() if w.ndim == 2][:2]
    assert first.std() == pytest.approx(np.sqrt(2 / 400), rel=0.03)
    assert second.std() == pytest.approx(np.sqrt(2 / 50), rel=0.03)


def test_a_training_that_diverges_ends_in_nan(bench, capsys):
    curve = bench.train(learning_rate=1e30)
    assert np.isnan(curve[-1])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["epochs", "most_units", "hidden", "batch_size"])
def test_every_size_of_a_bench_is_a_whole_number_from_1_up(bench, name):
    with pytest.raises(ArgumentError, match=f"{name}: expected a whole number from 1 up, got 0"):
        Bench(bench.data, **{"epochs": 1} | {name: 0})


def test_more_units_than_there_are_is_refused(bench):
    with pytest.raises(ArgumentError, match="at most 6, got 7"):
        bench.train(units=7)


def test_a_search_keeps_curves_and_labels(bench):
    space = {"learning_rate": LogUniform(1e-4, 0.1), "units": Integers(2, 7)}
    trials = bench.search(space, 4, seed=1, quasi_random=True, predict=bench.x[:5])
    assert trials.configurations == sample(space, 4, seed=1, quasi_random=True)
    assert trials.curves.shape == (4, 2)
    assert trials.labels.shape == (4, 5)
    assert trials.values("units").tolist() == [each["units"] for each in trials.configurations]
    last = bench.train(**trials.configurations[2])
    assert np.array_equal(last, trials.curves[2])
    assert np.array_equal(trials.labels[2], bench.predict(bench.x[:5]))
    assert trials.losses[trials.best_first[0]] == trials.losses.min()
    assert bench.search(space, 1, seed=1).labels.shape == (1, 0)


@pytest.mark.parametrize("values", SPACE.values(), ids=SPACE)
def test_shares_and_values_are_each_others_inverse(values):
    shares = np.linspace(0, 1, 200, endpoint=False)
    there = values.at(shares)
    assert values.low <= there.min() <= there.max() <= values.high
    assert np.array_equal(values.at(values.share(there)), there) or np.allclose(
        values.share(there), shares
    )


def test_every_whole_number_has_the_same_share():
    counts = np.unique(
        Integers(2, 6).at(np.linspace(0, 1, 400, endpoint=False)), return_counts=True
    )
    assert [each.tolist() for each in counts] == [[2, 3, 4, 5], [100] * 4]


@pytest.mark.parametrize("n", [1, 2, 16, 11])
def test_quasi_random_samples_fill_every_range_evenly(n):
    drawn = sample(SPACE, n, seed=5, quasi_random=True)
    assert len(drawn) == n
    shares = np.sort(SPACE["rate"].share([each["rate"] for each in drawn]))
    if n in (2, 16):  # one in each n-th of the range
        assert np.floor(shares * n).astype(int).tolist() == list(range(n))
    assert drawn == sample(SPACE, n, seed=5, quasi_random=True)
    assert drawn != sample(SPACE, n, seed=6, quasi_random=True)


def known(configuration):
    return float(np.exp((np.log10(configuration["rate"]) + 2) ** 2 + 0.1 * configuration["share"]))


def surrogate(n=48, worst=1e3):
    drawn = sample(SPACE, n, seed=0, quasi_random=True)
    return Surrogate(SPACE, drawn, [known(each) for each in drawn], worst=worst)


def test_a_surrogate_knows_what_it_was_not_told():
    made = surrogate()
    others = sample(SPACE, 40, seed=9)
    told, true = [made(each) for each in others], [known(each) for each in others]
    assert scipy.stats.spearmanr(told, true).statistic > 0.95
    assert made.fidelity > 0.9
    assert made.lowest() == pytest.approx(np.exp(-0.1), rel=0.1)


@pytest.mark.parametrize("n", [8, 48, 200])
def test_noise_has_no_fidelity(n):
    drawn = sample(SPACE, n, seed=0, quasi_random=True)
    found = [
        Surrogate(SPACE, drawn, np.exp(np.random.default_rng(k).normal(size=n)), worst=1e3).fidelity
        for k in range(6)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found, ddof=1) / np.sqrt(6) + 0.02
    assert np.max(np.abs(found)) < 3.5 / np.sqrt(n)


def test_diverged_trials_count_as_the_worst():
    drawn = sample(SPACE, 48, seed=0, quasi_random=True)
    losses = np.array([min(known(each), 5.0) for each in drawn])
    lost = np.where(losses == 5.0, np.where(np.arange(48) % 2, np.nan, np.inf), losses)
    plain, same = (Surrogate(SPACE, drawn, each, worst=5.0) for each in (losses, lost))
    assert same(drawn[0]) == plain(drawn[0])


def test_bad_trials_for_a_surrogate_are_refused():
    drawn = sample(SPACE, 10, seed=0)
    with pytest.raises(ArgumentError, match="eight at least, got 9 and 10"):
        Surrogate(SPACE, drawn, np.ones(9), worst=2.0)
    with pytest.raises(ArgumentError, match="expected positive losses"):
        Surrogate(SPACE, drawn, np.zeros(10), worst=2.0)


@pytest.mark.parametrize(("method", "n"), [("grid", 8), ("random", 9), ("quasi-random", 11)])
def test_replays_keep_the_lowest_loss_of_points_of_the_space(method, n):
    made = surrogate()
    found = replay(made, method, n, times=5, seed=2)
    assert found.shape == (5, n)
    assert (np.diff(found, axis=1) <= 0).all()
    assert found.min() >= made.lowest() * 0.97
    assert np.array_equal(found, replay(made, method, n, times=5, seed=2))
    assert len(set(found[:, 0])) == 5


def test_tpe_is_optunas_own():
    made = surrogate()
    study = create_study(sampler="tpe", seed=8)
    study.optimize(lambda trial: made(suggest(trial, SPACE)), n_trials=12)
    expected = np.minimum.accumulate([trial.value for trial in study.trials])
    assert replay(made, "TPE", 12, times=2, seed=7)[1].tolist() == expected.tolist()


def test_a_grid_has_the_same_number_of_values_in_each_dimension():
    points = points_for("grid", 27, 3, np.random.default_rng(0))
    assert [len(np.unique(column.round(9))) for column in points.T] == [3, 3, 3]
    assert len(np.unique(points.round(9), axis=0)) == 27
    assert (points >= 0).all()
    assert (points < 1).all()


def test_what_cannot_be_replayed_is_refused():
    with pytest.raises(ArgumentError, match="expected one of grid, random"):
        replay(surrogate(), "annealing", 8, times=1)
    with pytest.raises(ArgumentError, match="has k\\*\\*3 trials, got 9"):
        replay(surrogate(), "grid", 9, times=1)
