"""A schedule as a callback does what the same schedule in the optimizer does."""

from __future__ import annotations

import numpy as np
import pytest

from coursekit.base.keras import keras
from coursekit.errors import ArgumentError
from coursekit.training import fit
from coursekit.training.one_cycle import OneCycle
from coursekit.training.per_step import Schedule

EXPONENTIAL = keras.optimizers.schedules.ExponentialDecay(0.2, 5, 0.5)
RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=(42, 3)).astype("float32"), RNG.normal(size=(42, 1)).astype("float32")
STEPS = 3 * 5  # 42 rows in batches of 10, three epochs


def net(rate=0.01):
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), loss="mse")
    return model


def train(model, way, *callbacks, epochs=3):
    if way == "ck.fit":
        fit(model, X, Y, epochs=epochs, batch_size=10, seed=0, callbacks=callbacks, verbose=0)
    else:
        model.fit(X, Y, epochs=epochs, batch_size=10, shuffle=False, callbacks=callbacks, verbose=0)
    return model


@pytest.mark.parametrize("way", ["ck.fit", "model.fit"])
@pytest.mark.parametrize("rate", [EXPONENTIAL, lambda step, total: 0.2 * 0.5 ** (step / 5)])
def test_each_step_has_the_rate_of_the_schedule(way, rate):
    ours, schedule = net(), Schedule(rate)
    train(ours, way, schedule)
    theirs = train(net(EXPONENTIAL), way)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    want = 0.2 * 0.5 ** (np.arange(STEPS) / 5)
    np.testing.assert_allclose(schedule.history["learning_rate"], want, rtol=1e-6)
    assert schedule.history["step"] == list(range(STEPS))
    assert schedule.history["momentum"] == []
    assert float(ours.optimizer.learning_rate) == pytest.approx(0.01), "only the step sees it"


def test_it_is_told_the_length_of_the_training():
    seen = set()
    train(net(), "ck.fit", Schedule(lambda step, total: seen.add((step, total)) or 0.1))
    assert seen == {(step, STEPS) for step in range(STEPS)}


def test_one_model_serves_for_many_schedules_one_after_the_other():
    model, start = net(), net().get_weights()
    for peak in (0.1, 0.02):
        model.set_weights(start)
        schedule = Schedule(lambda step, total, peak=peak: peak)
        train(model, "ck.fit", schedule)
        assert set(np.round(schedule.history["learning_rate"], 6)) == {peak}


@pytest.mark.parametrize(
    ("callbacks", "reason"),
    [
        ([Schedule(lambda step, total: -0.1 * step)], "not negative, got -0.1 at step 1"),
        ([Schedule(lambda step, total: np.nan)], "got nan at step 0"),
        ([Schedule(EXPONENTIAL), OneCycle(0.1)], "expected one schedule in a training, got two"),
    ],
)
def test_what_cannot_be_trained_with_is_told(callbacks, reason):
    with pytest.raises(ArgumentError, match=reason):
        train(net(), "ck.fit", *callbacks)


def test_an_optimizer_that_has_a_schedule_already_is_refused():
    with pytest.raises(ArgumentError, match="plain learning rate, got ExponentialDecay"):
        train(net(EXPONENTIAL), "ck.fit", Schedule(EXPONENTIAL))


def test_a_number_is_no_schedule():
    with pytest.raises(TypeError, match=r"expected a function of .* got float"):
        Schedule(0.1)
