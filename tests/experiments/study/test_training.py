"""The study's real trainings, on a few hundred made-up images."""

from __future__ import annotations

import dataclasses
import itertools
import random
from types import SimpleNamespace

import numpy as np
import pytest

from coursekit.base.keras import keras
from coursekit.datasets import load
from coursekit.datasets.arrays import new_part
from coursekit.datasets.dataset import Dataset
from coursekit.errors import DataError
from coursekit.experiments import study
from coursekit.experiments.study import images, nets, training
from coursekit.experiments.study.jobs import Study
from coursekit.experiments.study.pacing import PaceJob
from coursekit.experiments.study.records import read_record
from coursekit.experiments.study.variants import VARIANTS, search_grid, select_variants
from coursekit.nets.builders import CIFAR10_VARIANTS

TINY = study.Budget(200, 60, 80, 3, 2, 2, 2, 1, 5)
LONG = dataclasses.replace(TINY, n_valid=100, epochs=200)  # stops early, but may go on for long


def made_up_data(seed=0):
    """Three hundred training images whose class shows in their brightness."""
    rng = np.random.default_rng(seed)
    parts = {}
    for name, n in (("train", 300), ("valid", 100), ("test", 100)):
        labels = rng.permutation(n) % 10
        pixels = rng.integers(0, 100, (n, 32, 32, 3)) + 15 * labels[:, None, None, None]
        parts[name] = new_part(pixels.astype(np.uint8), labels)
    return Dataset("cifar10", "embedded", tuple("abcdefghij"), parts, f"made up {seed}")


@pytest.fixture
def data(monkeypatch):
    made = made_up_data()
    monkeypatch.setattr("coursekit.datasets.load", lambda name, seed: made)
    images.load_images.cache_clear()
    nets._kept.clear()
    yield made
    images.load_images.cache_clear()
    nets._kept.clear()


def job_for(variant, *, seed=0, kind="run", rate=None, budget=TINY):
    plan = Study((variant,), (seed,), "quick", budget, training.describe(budget), 1)
    found = plan.search_jobs(variant) if kind == "search" else plan.run_jobs(variant, 1e-3)
    return found[0] if rate is None else dataclasses.replace(found[0], learning_rate=rate)


def run(job):
    told = []
    result = training.train(job, lambda epoch, logs: told.append((epoch, logs)))
    return result, told


def timeless(result):
    clocks = ("seconds", "seconds_per_epoch", "steps_per_second", "peak_memory_mb")
    return {name: value for name, value in result.items() if name not in clocks}


def test_the_variants_are_those_of_the_networks():
    assert tuple(VARIANTS) == CIFAR10_VARIANTS


def test_every_variant_has_the_same_search_budget():
    for budget in study.PROFILES.values():
        grids = [search_grid(variant, budget.search_rates) for variant in VARIANTS.values()]
        assert {len(grid) for grid in grids} == {budget.search_rates}
        assert all(list(grid) == sorted(set(grid)) for grid in grids)


def test_variants_are_selected_by_name_in_the_order_of_the_study():
    assert select_variants("selu,baseline,selu") == ("baseline", "selu")
    assert select_variants(["one_cycle"]) == ("one_cycle",)
    assert select_variants() == tuple(VARIANTS)


def test_images_are_standardised_with_the_training_images_of_the_budget(data):
    found = images.load_images(TINY)
    assert found.x_train.shape == (200, 32, 32, 3)
    assert found.x_valid.shape == (60, 32, 32, 3)
    assert found.test()[0].shape == (80, 32, 32, 3)
    assert np.abs(found.x_train.mean(axis=0)).max() < 1e-4
    assert np.abs(found.x_train.std(axis=0) - 1).max() < 1e-4
    raw = data.subset(200)
    mean, spread = raw.x_train.mean(axis=0), raw.x_train.std(axis=0)
    np.testing.assert_allclose(found.x_valid, (raw.x_valid[:60] - mean) / spread, atol=1e-4)
    np.testing.assert_array_equal(found.y_train, raw.y_train)


def test_training_images_lie_where_the_compiled_trainer_uses_them_in_place(data):
    x = images.load_images(TINY).x_train
    assert x.ctypes.data % 64 == 0
    assert x.flags.c_contiguous
    assert x.flags.writeable


def test_the_description_changes_with_the_images_and_the_budget(data, monkeypatch):
    one = training.describe(TINY)
    assert (one.n_train, one.n_valid, one.n_test) == (200, 60, 80)
    assert training.describe(TINY) == one
    smaller = training.describe(dataclasses.replace(TINY, n_train=100))
    monkeypatch.setattr("coursekit.datasets.load", lambda name, seed: made_up_data(1))
    assert len({one.fingerprint, smaller.fingerprint, training.describe(TINY).fingerprint}) == 3


def test_a_job_with_other_images_is_refused(data):
    job = job_for("baseline")
    other = dataclasses.replace(job, data=dataclasses.replace(job.data, fingerprint="other"))
    with pytest.raises(DataError, match=r"expected the study's images \(200 of cifar10"):
        run(other)


@pytest.mark.parametrize(("variant", "factor"), [("batch_norm", 2), ("alpha_dropout", 1)])
def test_a_net_starts_from_its_seed_alone_with_the_spread_of_its_initialiser(data, variant, factor):
    def start(seed, elsewhere):
        random.seed(elsewhere)
        nets._kept.clear()
        return [
            np.asarray(variable) for variable in nets.net_for(job_for(variant, seed=seed)).variables
        ]

    one, same, other = start(3, elsewhere=1), start(3, elsewhere=2), start(4, elsewhere=1)
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert sum(not np.array_equal(a, b) for a, b in zip(one, other, strict=True)) >= 21
    kernels = [array for array in one if array.ndim == 2]
    assert len({array.tobytes() for array in kernels}) == len(kernels) == 21
    assert kernels[0].std() == pytest.approx(np.sqrt(factor / 3_072), rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["batch_norm", "alpha_dropout"])
def test_a_result_depends_on_variant_and_seed_and_not_on_what_was_trained_before(data, variant):
    first, told = run(job_for(variant, seed=0, budget=LONG))
    net = nets._kept[variant]
    other, _ = run(job_for(variant, seed=1, rate=2e-3, budget=LONG))
    again, _ = run(job_for(variant, seed=0, budget=LONG))
    assert nets._kept[variant] is net, "the net was made anew, so that this proves nothing"
    assert timeless(again) == timeless(first)
    assert other["history"] != first["history"]
    assert [epoch for epoch, _ in told] == list(range(1, len(told) + 1))
    assert [logs["val_loss"] for _, logs in told] == first["history"]["val_loss"]

    model, found = net, images.load_images(LONG)
    best = again["best_epoch"] - 1
    assert again["history"]["val_loss"][best] == min(again["history"]["val_loss"])
    answers = np.asarray(model(found.x_valid, training=False)).argmax(axis=1)
    assert np.mean(answers == found.y_valid) == pytest.approx(again["validation_accuracy"])
    assert again["validation_accuracy"] == again["history"]["val_accuracy"][best]

    peak = again["peak_epoch"] - 1
    assert peak == int(np.argmax(again["history"]["val_accuracy"]))
    assert 0 <= again["peak_test_accuracy"] <= 1
    assert peak != best or again["peak_test_accuracy"] == again["test_accuracy"]

    sampled = {name for name in again if name.startswith("mc_")}
    expected = {"mc_validation_accuracy", "mc_test_accuracy", "mc_ece"}
    assert sampled == (expected if variant == "alpha_dropout" else set())
    assert again["versions"]["keras"]
    assert again["threads"] == 1
    assert again["steps_per_second"] == pytest.approx(7 / again["seconds_per_epoch"])


@pytest.mark.slow
def test_one_cycle_trains_its_whole_cycle_and_a_search_never_sees_the_test_images(
    data, monkeypatch
):
    looked = []
    test = images.Images.test
    monkeypatch.setattr(images.Images, "test", lambda self: looked.append(1) or test(self))
    trial, _ = run(job_for("one_cycle", kind="search"))
    assert looked == []
    assert "test_accuracy" not in trial
    assert trial["validation_accuracy"] == trial["history"]["val_accuracy"][-1]
    result, _ = run(job_for("one_cycle", rate=0.02, budget=dataclasses.replace(TINY, patience=0)))
    assert looked == [1]
    assert len(result["history"]["loss"]) == TINY.cycle_epochs
    assert result["best_epoch"] == TINY.cycle_epochs, "a cycle is judged by its end"
    assert result["validation_accuracy"] == result["history"]["val_accuracy"][-1]
    assert 0 <= result["test_accuracy"] <= 1


def test_only_a_run_keeps_weights_of_earlier_epochs(data, monkeypatch):
    copies = []
    taken = keras.Model.get_weights
    monkeypatch.setattr(keras.Model, "get_weights", lambda self: copies.append(self) or taken(self))
    for kind in ("search", "pace"):
        for variant in ("baseline", "one_cycle"):
            run(dataclasses.replace(job_for(variant), kind=kind, budget=TINY))
            assert copies == [], f"{kind} of {variant}"
    run(job_for("baseline"))
    assert copies


@pytest.mark.slow
def test_a_pace_job_trains_all_its_epochs_and_gives_the_seconds_of_each(data, monkeypatch):
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: 2.0 ** next(ticks))
    monkeypatch.setattr(training, "time", clock)
    impatient = dataclasses.replace(TINY, patience=0)
    base = job_for("baseline", budget=impatient)
    common = (base.profile, impatient, base.data, 1, 4, 2)
    result, told = run(PaceJob("pace", "baseline", 0, 1e-3, *common))
    assert [epoch for epoch, _ in told] == [1, 2, 3, 4]
    # The clock doubles at each look: once for the whole, then at both ends of each epoch.
    assert result["epoch_seconds"] == [2.0, 8.0, 32.0, 128.0]
    assert result["seconds_per_epoch"] == 32.0
    assert result["steps_per_second"] == pytest.approx(7 / 32.0)
    assert "test_accuracy" not in result
    assert not result["diverged"]
    assert {"versions", "machine"} <= result.keys()


@pytest.mark.slow
def test_a_rate_that_diverges_is_a_result_without_accuracy_and_says_nothing(data, capfd):
    result, _ = run(job_for("baseline", kind="search", rate=1e20))
    assert result["diverged"]
    assert result["validation_accuracy"] is None
    assert result["best_epoch"] is None
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_a_real_study_runs_in_worker_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEKIT_HEADLESS", "1")
    out = tmp_path / "study"
    found = study.run(variants="one_cycle", seeds=1, profile="quick", workers=1, out=out)
    assert [record["seed"] for record in found] == [0]
    record = read_record(out / "records" / "run-one_cycle-0.json")
    assert record["source"] == load("cifar10").source
    assert record["peak_memory_mb"] < 2_000
    assert "| one_cycle" in study.report(out=out).text()
