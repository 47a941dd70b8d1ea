"""Ranges against scipy's distributions, narrowing by hand, the Optuna glue with stand-in trials."""

from __future__ import annotations

import math
import sys
import tempfile

import keras
import numpy as np
import optuna
import pytest
import scipy.stats

import coursekit as ck
from coursekit.errors import ArgumentError
from coursekit.experiments.tuning import (
    Integers,
    LogUniform,
    MissingOptunaError,
    PruningCallback,
    Uniform,
    best_first,
    create_study,
    narrow,
    sample,
    search_in_parallel,
    suggest,
)
from coursekit.training.hooks import Hooks

SPACE = {"rate": LogUniform(1e-6, 1e-2), "momentum": Uniform(0.0, 0.9), "layers": Integers(2, 5)}


def draw(values, n=5_000):
    return values.sample(n, np.random.default_rng(0))


def test_log_uniform_samples_follow_scipys_distribution():
    values = draw(LogUniform(1e-4, 1.0))
    assert scipy.stats.kstest(values, scipy.stats.loguniform(1e-4, 1.0).cdf).pvalue > 0.01
    assert np.mean(values < 0.1) == pytest.approx(0.75, abs=0.03)


def test_uniform_samples_follow_scipys_distribution():
    values = draw(Uniform(-2.0, 3.0))
    assert scipy.stats.kstest(values, scipy.stats.uniform(-2, 5).cdf).pvalue > 0.01


def test_integers_leave_the_upper_end_out_and_are_equally_likely():
    values, counts = np.unique(draw(Integers(2, 5), 6_000), return_counts=True)
    assert values.tolist() == [2, 3, 4]
    assert scipy.stats.chisquare(counts).pvalue > 0.01


def test_log_uniform_samples_never_leave_the_range_by_rounding():
    values = draw(LogUniform(0.1, 0.1 * (1 + 1e-15)), 1_000)
    assert values.min() >= 0.1
    assert values.max() <= 0.1 * (1 + 1e-15)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Uniform(1, 1), ArgumentError),
        (lambda: Uniform(0, math.inf), ArgumentError),
        (lambda: Uniform(math.nan, 1), ArgumentError),
        (lambda: Uniform("0", 1), TypeError),
        (lambda: Uniform(0, True), TypeError),
        (lambda: LogUniform(0, 1), ArgumentError),
        (lambda: LogUniform(-1, 1), ArgumentError),
        (lambda: Integers(5, 2), ArgumentError),
        (lambda: Integers(2, 4.5), TypeError),
        (lambda: sample({}, 3, seed=0), ArgumentError),
        (lambda: sample(SPACE, 0, seed=0), ArgumentError),
        (lambda: sample({"rate": (0, 1)}, 3, seed=0), ArgumentError),
    ],
)
def test_what_is_no_range_is_refused(make, error):
    with pytest.raises(error):
        make()


def test_sample_repeats_with_its_seed_and_gives_plain_numbers():
    assert sample(SPACE, 3, seed=4) == sample(SPACE, 3, seed=4) != sample(SPACE, 3, seed=5)
    (one,) = sample(SPACE, 1, seed=0)
    assert [type(value) for value in one.values()] == [float, float, int]


def test_narrow_holds_the_best_and_a_margin_on_the_ranges_own_scale():
    tried = [{"rate": rate} for rate in (1e-5, 1e-4, 1e-3, 1e-2)]
    losses = [3.0, 1.0, 2.0, math.nan]
    finer = narrow({"rate": LogUniform(1e-6, 1e-1)}, tried, losses, keep=0.5, margin=0.1)["rate"]
    assert finer.low == pytest.approx(10**-4.5)
    assert finer.high == pytest.approx(10**-2.5)


def test_narrow_stays_within_the_old_range_and_needs_no_margin():
    space = {"rate": LogUniform(1e-6, 1e-2), "layers": Integers(2, 9)}
    tried = [{"rate": 1e-6, "layers": 8}, {"rate": 1e-5, "layers": 7}, {"rate": 1e-2, "layers": 2}]
    wide = narrow(space, tried, [1, 2, 3], keep=0.1, margin=0.5)
    assert wide["rate"].low == 1e-6
    assert (wide["layers"].low, wide["layers"].high) == (3, 9)
    exact = narrow(space, tried, [1, 2, 3], keep=0.1, margin=0)
    assert (exact["layers"].low, exact["layers"].high) == (7, 9)
    assert exact["rate"].low <= 1e-6 * (1 + 1e-12)
    assert exact["rate"].high >= 1e-5


def test_narrow_widens_a_single_value_to_a_range():
    finer = narrow({"m": Uniform(0.0, 1.0)}, [{"m": 0.5}] * 3, [1, 1, 1], margin=0.05)["m"]
    assert (finer.low, finer.high) == (pytest.approx(0.45), pytest.approx(0.55))


@pytest.mark.parametrize(
    "changes",
    [
        {"losses": [1.0]},
        {"losses": [1.0], "configurations": [{"rate": 0.1}]},
        {"keep": 0},
        {"keep": 1.5},
        {"margin": -0.1},
        {"configurations": [{"speed": 1}, {"rate": 1e-3}]},
    ],
)
def test_narrow_refuses_what_does_not_fit(changes):
    settings = {"configurations": [{"rate": 1e-3}, {"rate": 1e-4}], "losses": [1.0, 2.0]}
    with pytest.raises(ArgumentError):
        narrow({"rate": LogUniform(1e-6, 1e-2)}, **{**settings, **changes})


def test_best_first_puts_diverged_trials_last():
    assert best_first([math.nan, 2.0, math.inf, 1.0]) == [3, 1, 0, 2]


def test_suggest_asks_optuna_for_the_same_ranges():
    study = create_study(sampler="random", seed=0)
    study.optimize(lambda trial: suggest(trial, SPACE)["rate"], n_trials=60)
    distributions = study.trials[0].distributions
    assert distributions["rate"] == optuna.distributions.FloatDistribution(1e-6, 1e-2, log=True)
    assert distributions["momentum"] == optuna.distributions.FloatDistribution(0.0, 0.9)
    assert {trial.params["layers"] for trial in study.trials} == {2, 3, 4}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_studies_with_one_seed_are_equal_and_write_nothing(sampler, capfd):
    def params(seed):
        study = create_study(sampler=sampler, seed=seed)
        study.optimize(lambda trial: suggest(trial, SPACE)["momentum"], n_trials=15)
        return [trial.params for trial in study.trials]

    assert params(1) == params(1) != params(2)
    assert capfd.readouterr() == ("", "")


def test_create_study_maximises_and_takes_a_sampler_and_a_pruner():
    study = create_study(
        sampler=optuna.samplers.RandomSampler(seed=1),
        pruner=optuna.pruners.MedianPruner(),
        direction="maximize",
    )
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=5)
    assert study.best_value == max(trial.value for trial in study.trials)
    assert isinstance(study.pruner, optuna.pruners.MedianPruner)


@pytest.mark.parametrize("settings", [{"sampler": "grid"}, {"direction": "down"}])
def test_create_study_names_what_it_knows(settings):
    with pytest.raises(ArgumentError, match="expected"):
        create_study(**settings)


@pytest.mark.parametrize("call", [create_study, lambda: search_in_parallel(lambda: None, 2)])
def test_without_optuna_one_sentence_says_what_to_do(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingOptunaError, match="pip install"):
        call()


class Trial:
    """Stands in for a trial: prunes once `limit` epochs are reported."""

    def __init__(self, limit):
        self.limit, self.reported = limit, []

    def report(self, value, step):
        self.reported.append((step, value))

    def should_prune(self):
        return len(self.reported) >= self.limit


def small_training(fit, trial, epochs=5, monitor="val_loss", target=1.0):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((16, 2), "float32"), np.full((16, 1), target, "float32")
    callback = PruningCallback(trial, monitor)
    return fit(
        model, x, y, epochs=epochs, batch_size=8, validation_data=(x, y), verbose=0,
        callbacks=[callback],
    )  # fmt: skip


FITS = [
    pytest.param(ck.fit, id="ck.fit"),
    pytest.param(lambda model, *args, **kwargs: model.fit(*args, **kwargs), id="model.fit"),
]


@pytest.mark.parametrize("fit", FITS)
def test_pruning_ends_the_training_after_the_epoch_that_is_pruned(fit):
    trial = Trial(limit=3)
    with pytest.raises(optuna.TrialPruned, match="after epoch 3"):
        small_training(fit, trial)
    assert [step for step, _ in trial.reported] == [0, 1, 2]


@pytest.mark.parametrize("fit", FITS)
def test_a_trial_that_is_not_pruned_reports_every_epoch(fit):
    trial = Trial(limit=100)
    history = small_training(fit, trial).history
    assert [value for _, value in trial.reported] == pytest.approx(history["val_loss"])


def test_a_loss_that_is_not_finite_is_pruned_without_a_report():
    trial = Trial(limit=100)
    with pytest.raises(optuna.TrialPruned, match="after epoch 1"):
        small_training(FITS[1].values[0], trial, target=np.nan)
    assert trial.reported == []


def test_a_missing_metric_is_named():
    with pytest.raises(ArgumentError, match=r"no 'val_accuracy'; they have .*val_loss"):
        small_training(ck.fit, Trial(3), monitor="val_accuracy")


def test_the_callback_asks_for_no_batch_so_the_fast_path_stays():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    hooks = Hooks([PruningCallback(Trial(3))], model, 1, 1, 0)
    assert not hooks.training.wanted
    assert not hooks.testing.wanted


def test_pruned_trials_are_in_the_study_with_their_curve():
    study = create_study(sampler="random", pruner=optuna.pruners.ThresholdPruner(upper=-1.0))
    study.optimize(lambda trial: small_training(ck.fit, trial).history["val_loss"][-1], n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "PRUNED"]
    assert [len(trial.intermediate_values) for trial in study.trials] == [1, 1]


def parabola():
    def make_objective():  # local, so that it travels to a worker by value, as in a notebook
        print("a worker's print")
        return lambda trial: (trial.suggest_float("x", -1.0, 1.0) - 0.5) ** 2

    return make_objective


def failing():
    def make_objective():
        def objective(trial):
            raise RuntimeError("the objective fails")

        return objective

    return make_objective


@pytest.mark.slow
def test_workers_share_one_study_and_leave_nothing_behind(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    study = search_in_parallel(parabola(), 7, workers=2, sampler="random", seed=3)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 7
    assert sorted(trial.user_attrs["worker"] for trial in study.trials) == [0, 0, 0, 0, 1, 1, 1]
    alone = create_study(sampler="random", seed=4)  # worker 1 draws with seed 3 + 1
    alone.optimize(parabola()(), n_trials=3)
    assert {trial.value for trial in alone.trials} <= {trial.value for trial in study.trials}
    assert list(tmp_path.iterdir()) == []
    out, err = capfd.readouterr()
    assert (out, err) == ("a worker's print\n", "")


@pytest.mark.slow
def test_what_an_objective_raises_comes_out_of_the_search(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(RuntimeError, match="the objective fails"):
        search_in_parallel(failing(), 3, workers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("settings", [{"n_trials": 0}, {"workers": 0}, {"sampler": "grid"}])
def test_a_parallel_search_refuses_impossible_settings_before_it_starts(settings):
    with pytest.raises(ArgumentError):
        search_in_parallel(parabola(), **{"n_trials": 2, **settings})
