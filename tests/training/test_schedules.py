"""Schedules as Keras sees them: against closed formulas, in a graph, and after a round trip."""

import numpy as np
import pytest

from coursekit.base.keras import keras, tf
from coursekit.errors import ArgumentError
from coursekit.training.one_cycle_policy import one_cycle_at
from coursekit.training.schedules import OneCycle, PiecewiseLinear, Power

STEPS = [0, 1, 7, 50, 99, 100, 101, 5000]


def test_power_equals_its_formula():
    rate = Power(0.3, decay_steps=50, power=1.7)
    expected = [0.3 / (1 + t / 50) ** 1.7 for t in STEPS]
    np.testing.assert_allclose([float(rate(t)) for t in STEPS], expected, rtol=1e-5)


def test_power_of_one_equals_keras_inverse_time_decay():
    ours, theirs = Power(0.1, 20), keras.optimizers.schedules.InverseTimeDecay(0.1, 20, 1.0)
    np.testing.assert_allclose([float(ours(t)) for t in STEPS], [float(theirs(t)) for t in STEPS])


def test_piecewise_linear_equals_numpy_interp():
    rng = np.random.default_rng(0)
    steps = np.cumsum(rng.integers(1, 30, size=6)).tolist()
    rates = rng.uniform(0, 1, size=6).tolist()
    rate = PiecewiseLinear(steps, rates)
    at = np.arange(0, steps[-1] + 20)
    np.testing.assert_allclose([float(rate(t)) for t in at], np.interp(at, steps, rates), atol=1e-6)


def test_piecewise_linear_of_one_point_is_constant():
    assert float(PiecewiseLinear([3], [0.5])(100)) == 0.5


@pytest.mark.parametrize("rates", [(0.3, 0.7, 0.0), (1e-9, 1.0, 1e-9), (0.1, 0.0, 0.1), (5.0, 0.1)])
def test_piecewise_linear_meets_every_point_exactly_and_never_leaves_their_range(rates):
    steps = [0, 89, 199][: len(rates)]
    rate = PiecewiseLinear(steps, rates)
    assert [float(rate(t)) for t in steps] == [float(np.float32(r)) for r in rates]
    found = np.array([float(rate(t)) for t in range(-3, 230)], "float32")
    assert found.min() == np.float32(min(rates))
    assert found.max() == np.float32(max(rates))
    assert (found[:3] == np.float32(rates[0])).all()
    assert (found[3 + steps[-1] :] == np.float32(rates[-1])).all()


def test_one_cycle_down_to_zero_ends_at_zero_and_stays_there():
    rate = OneCycle(0.1, 200, final_lr=0)
    found = [float(rate(t)) for t in (*range(199), 199, 200, 10**7)]
    assert found[-3:] == [0.0, 0.0, 0.0]
    assert min(found) == 0.0
    assert float(tf.function(rate, jit_compile=True)(tf.constant(199))) == 0.0


def test_power_goes_on_falling_and_stays_positive():
    found = [float(Power(0.1, 10, 2.0)(t)) for t in (0, 10, 10**3, 10**6, 10**9)]
    assert found == sorted(found, reverse=True)
    assert found[0] == float(np.float32(0.1))
    assert found[-1] > 0


@pytest.mark.parametrize("total_steps", [1, 2, 3, 101])
def test_one_cycle_equals_the_pure_function(total_steps):
    rate = OneCycle(0.4, total_steps)
    at = np.arange(total_steps + 3)
    expected, _ = one_cycle_at(at, total_steps, 0.4)
    np.testing.assert_allclose([float(rate(t)) for t in at], expected, rtol=1e-5, atol=1e-7)


SCHEDULES = [Power(0.1, 10, 0.5), PiecewiseLinear([0, 5], [0.1, 0.2]), OneCycle(0.1, 30)]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_schedules_survive_saving_and_loading_with_the_optimizer(schedule, tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(schedule), loss="mse")
    model.fit(np.ones((8, 1)), np.ones((8, 1)), batch_size=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert int(loaded.optimizer.iterations) == 4
    assert float(loaded.optimizer.learning_rate) == pytest.approx(float(schedule(4)), rel=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_schedules_run_in_a_compiled_graph(schedule):
    compiled = tf.function(schedule, jit_compile=True)
    assert float(compiled(tf.constant(3, tf.int64))) == pytest.approx(float(schedule(3)))


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Power(0.0, 10), "initial_learning_rate"),
        (lambda: Power(0.1, 0), "decay_steps"),
        (lambda: Power(0.1, 10, -1), "power"),
        (lambda: PiecewiseLinear([], []), "steps and rates"),
        (lambda: PiecewiseLinear([0, 1], [0.1]), "steps and rates"),
        (lambda: PiecewiseLinear([0, 0], [0.1, 0.2]), "steps"),
        (lambda: OneCycle(0.1, 0), "total_steps"),
    ],
)
def test_bad_arguments_are_named(make, named):
    with pytest.raises(ArgumentError, match=f"^{named}: expected"):
        make()
