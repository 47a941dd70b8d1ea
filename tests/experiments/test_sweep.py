"""A sweep is a comparison at each value of one knob."""

from __future__ import annotations

import types

import matplotlib.pyplot as plt
import numpy as np
import pytest

from coursekit.base.keras import keras
from coursekit.display.pictures import alt_of
from coursekit.errors import ArgumentError
from coursekit.experiments.compare import compare
from coursekit.experiments.sweep import sweep

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int32")


def part(n):
    return types.SimpleNamespace(x_train=X[:n], y_train=Y[:n], x_valid=X[64:], y_valid=Y[64:])


def net(std=0.1, rate=0.1):
    init = keras.initializers.RandomNormal(stddev=std)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax", True, init)])
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
    return model


def run(variants, data=None, **options):
    budget = {"epochs": 2, "seeds": 2, "batch_size": 16}
    return sweep(variants, data or part(64), **budget | options)


def test_each_value_is_a_comparison_of_its_own():
    grid = run({"a": lambda std: net(std), "fixed": net}, over={"std": [0.01, 1.0]})
    alone = compare({"a": lambda: net(1.0)}, part(64), epochs=2, seeds=2, batch_size=16)
    np.testing.assert_array_equal(
        grid.runs[1.0].history["a"]["val_loss"], alone.history["a"]["val_loss"]
    )
    assert grid.values == [0.01, 1.0]
    last = grid.last("val_loss")
    assert last["a"].shape == (2, 2)
    np.testing.assert_array_equal(last["fixed"][:, 0], last["fixed"][:, 1])
    assert not np.allclose(last["a"][:, 0], last["a"][:, 1])


def test_data_may_follow_the_knob():
    given = []

    def data(n):
        given.append(n)
        return part(n)

    run({"a": net}, data, over={"labels": [16, 64]}, seeds=1, epochs=1)
    assert given == [16, 64]


def test_the_batch_size_is_a_knob_by_its_name():
    grid = run({"a": net}, over={"batch_size": [16, 64]}, seeds=1, epochs=1)
    steps = [runs.models["a"].optimizer.iterations.numpy() for runs in grid.runs.values()]
    assert steps == [4, 1]


def test_a_variant_may_ask_for_the_value_and_the_rate():
    grid = run(
        {"a": lambda std, rate: net(std, rate)}, over={"std": [0.1]}, rates=(0.1, 0.5), seeds=1
    )
    assert grid.runs[0.1].rates["a"] in grid.runs[0.1].searched["a"]


def test_the_picture_shows_the_knob_and_tells_the_numbers():
    grid = run({"a": lambda std: net(std)}, over={"weight_scale": [0.01, 0.1, 1.0]}, epochs=1)
    fig = grid.plot("val_loss", title="T", log="x")
    ax = fig.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("weight scale", "validation loss")
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), grid.last("val_loss")["a"].mean(0))
    assert alt_of(fig).startswith("T. validation loss against weight scale: a goes from")
    plt.close(fig)


def test_a_run_that_diverged_is_left_out_of_the_mean_at_its_value_only():
    grid = run({"a": lambda rate: net(rate=rate)}, over={"learning_rate": [0.1, np.inf]})
    last = grid.last("val_loss")["a"]
    assert np.isfinite(last[:, 0]).all()
    assert np.isnan(last[:, 1]).all()


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({}, "expected one knob"),
        ({"a": [1], "b": [2]}, "expected one knob"),
        ({"std": []}, "expected one knob"),
        ({"std": [0.1, 0.1]}, "expected different values of std"),
    ],
)
def test_anything_but_one_knob_is_refused(over, message):
    with pytest.raises(ArgumentError, match=message):
        run({"a": net}, over=over)
