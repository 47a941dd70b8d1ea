"""OneCycle changes the update itself: checked by weights against a NumPy replay of the formulas."""

import numpy as np
import pytest

import coursekit as ck
from coursekit.base.keras import keras
from coursekit.errors import ArgumentError
from coursekit.training.one_cycle import OneCycle
from coursekit.training.one_cycle_policy import one_cycle_at

N, BATCH, EPOCHS = 26, 8, 3
STEPS = 4  # three full batches and one of two samples
X = np.linspace(-1, 1, N, dtype="float32")[:, None]
Y = (2 * X + 0.5).astype("float32")


def linear_model(optimizer, **compile_options):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizer, loss="mse", **compile_options)
    return model


def train(model, cycle, **options):
    options = {"epochs": EPOCHS, "batch_size": BATCH, "shuffle": False, **options}
    return model.fit(X, Y, verbose=0, callbacks=[cycle], **options)


def replay_sgd(rates, momenta, nesterov=False):
    """Linear regression by SGD with momentum, written out in float64."""
    parameters, velocity = np.array([1.0, 0.0]), np.zeros(2)
    for step, (rate, momentum) in enumerate(zip(rates, momenta, strict=True)):
        rows = slice((step % STEPS) * BATCH, (step % STEPS) * BATCH + BATCH)
        x, y = X[rows, 0].astype(float), Y[rows, 0].astype(float)
        error = parameters[0] * x + parameters[1] - y
        gradient = np.array([2 * np.mean(error * x), 2 * np.mean(error)])
        velocity = momentum * velocity - rate * gradient
        parameters = parameters + (momentum * velocity - rate * gradient if nesterov else velocity)
    return parameters


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("compile_options", [{}, {"steps_per_execution": 3}, {"jit_compile": True}])
def test_sgd_weights_equal_a_numpy_replay_of_the_cycle(nesterov, compile_options):
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=nesterov)
    model, cycle = linear_model(optimizer, **compile_options), OneCycle(0.2)
    train(model, cycle)
    rates, momenta = one_cycle_at(np.arange(STEPS * EPOCHS), STEPS * EPOCHS, 0.2)
    expected = replay_sgd(rates, momenta, nesterov)
    found = np.concatenate([w.ravel() for w in model.get_weights()])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    constant = replay_sgd(rates, np.full_like(momenta, 0.95), nesterov)
    assert np.abs(expected - constant).max() > 1e-3, "the cycle must matter for this test to"


@pytest.mark.parametrize("name", ["Adam", "AdamW", "Adamax", "Nadam", "Lion", "RMSprop"])
def test_momentum_cycling_moves_the_weights_of_every_supported_optimizer(name):
    options = {"momentum": 0.9} if name == "RMSprop" else {}
    found = []
    for momentum in [(0.95, 0.85), (0.95, 0.95)]:
        model = linear_model(getattr(keras.optimizers, name)(0.01, **options))
        cycle = OneCycle(0.1, momentum=momentum)
        train(model, cycle)
        found.append(np.concatenate([w.ravel() for w in model.get_weights()]))
        _, momenta = one_cycle_at(np.arange(12), 12, 0.1, momentum=momentum)
        np.testing.assert_allclose(cycle.history["momentum"], momenta, rtol=1e-6)
    assert np.abs(found[0] - found[1]).max() > 1e-4


def test_history_holds_what_the_optimizer_used_at_each_step():
    model, cycle = linear_model(keras.optimizers.SGD(momentum=0.9)), OneCycle(0.2)
    train(model, cycle)
    rates, momenta = one_cycle_at(np.arange(12), 12, 0.2)
    assert cycle.history["step"] == list(range(12))
    np.testing.assert_allclose(cycle.history["learning_rate"], rates, rtol=1e-6)
    np.testing.assert_allclose(cycle.history["momentum"], momenta, rtol=1e-6)


@pytest.mark.parametrize(("rows", "epochs"), [(8, 1), (8, 2), (8, 3), (2, 1)])
def test_runs_of_one_two_and_three_steps(rows, epochs):
    model, cycle = linear_model(keras.optimizers.SGD(momentum=0.9)), OneCycle(0.2)
    model.fit(X[:rows], Y[:rows], batch_size=8, epochs=epochs, verbose=0, callbacks=[cycle])
    rates, _ = one_cycle_at(np.arange(epochs), epochs, 0.2)
    np.testing.assert_allclose(cycle.history["learning_rate"], rates, rtol=1e-6)


def test_the_optimizer_has_its_own_settings_back_after_training():
    optimizer = keras.optimizers.SGD(0.03, momentum=0.9)
    model = linear_model(optimizer)
    train(model, OneCycle(0.2))
    assert type(optimizer) is keras.optimizers.SGD
    assert optimizer.momentum == 0.9
    assert float(optimizer.learning_rate) == pytest.approx(0.03)
    before = np.concatenate([w.ravel() for w in model.get_weights()])
    velocity = np.concatenate([v.numpy().ravel() for v in optimizer.momentums])
    model.fit(X[:8], Y[:8], batch_size=8, epochs=1, shuffle=False, verbose=0)
    error = before[0] * X[:8, 0] + before[1] - Y[:8, 0]
    gradient = np.array([2 * np.mean(error * X[:8, 0]), 2 * np.mean(error)])
    expected = before + 0.9 * velocity - 0.03 * gradient
    after = np.concatenate([w.ravel() for w in model.get_weights()])
    np.testing.assert_allclose(after, expected, atol=1e-6)


def test_a_second_training_runs_a_second_cycle():
    model = linear_model(keras.optimizers.SGD(momentum=0.9))
    train(model, OneCycle(0.2))
    second = OneCycle(0.4)
    train(model, second, epochs=1)
    rates, _ = one_cycle_at(np.arange(4), 4, 0.4)
    np.testing.assert_allclose(second.history["learning_rate"], rates, rtol=1e-6)


def test_a_resumed_training_takes_up_the_cycle_where_it_was():
    whole = linear_model(keras.optimizers.SGD(momentum=0.9))
    train(whole, OneCycle(0.2))
    parts = linear_model(keras.optimizers.SGD(momentum=0.9))

    class StopAfterFirst(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    parts.fit(
        X,
        Y,
        batch_size=BATCH,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
        callbacks=[OneCycle(0.2), StopAfterFirst()],
    )
    rest = OneCycle(0.2)
    train(parts, rest, initial_epoch=1)
    assert rest.history["step"] == list(range(4, 12))
    for a, b in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_an_interrupted_training_does_not_spoil_the_next():
    optimizer = keras.optimizers.SGD(0.03, momentum=0.9)
    model = linear_model(optimizer)

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[OneCycle(0.2), Interrupt()])
    train(model, OneCycle(0.2))
    assert type(optimizer) is keras.optimizers.SGD
    assert float(optimizer.learning_rate) == pytest.approx(0.03)


def test_a_checkpoint_saved_in_mid_cycle_loads_with_the_optimizers_own_settings(tmp_path):
    model = linear_model(keras.optimizers.Nadam(0.01, beta_1=0.9))
    saver = keras.callbacks.ModelCheckpoint(tmp_path / "at-{epoch}.keras")
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[OneCycle(0.1), saver])
    loaded = keras.models.load_model(tmp_path / "at-1.keras")
    assert type(loaded.optimizer) is keras.optimizers.Nadam
    assert loaded.optimizer.beta_1 == 0.9


def test_without_momentum_any_optimizer_can_cycle_its_rate():
    model, cycle = linear_model(keras.optimizers.Adagrad()), OneCycle(0.2, momentum=None)
    train(model, cycle)
    assert len(cycle.history["learning_rate"]) == 12
    assert cycle.history["momentum"] == []


@pytest.mark.parametrize(
    ("optimizer", "sentence"),
    [
        (lambda: keras.optimizers.SGD(), r"got SGD\(momentum=0.0\)"),
        (lambda: keras.optimizers.Adagrad(), "got Adagrad"),
        (
            lambda: keras.optimizers.SGD(
                keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9), momentum=0.9
            ),
            "got ExponentialDecay; compile with a number",
        ),
    ],
)
def test_optimizers_that_cannot_cycle_are_refused_before_training(optimizer, sentence):
    model = linear_model(optimizer())
    before = model.get_weights()
    with pytest.raises(ArgumentError, match=sentence):
        train(model, OneCycle(0.2))
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_data_of_unknown_length_are_refused():
    def batches():
        while True:
            yield X[:8], Y[:8]

    model = linear_model(keras.optimizers.SGD(momentum=0.9))
    cycle = OneCycle(0.2)
    cycle.set_model(model)
    cycle.set_params({"steps": None, "epochs": 3})
    with pytest.raises(ArgumentError, match="expected data of known length"):
        cycle.on_train_begin()
    model.fit(batches(), steps_per_epoch=2, epochs=2, shuffle=False, verbose=0, callbacks=[cycle])
    assert cycle.history["step"] == [0, 1, 2, 3]


def test_bad_rates_are_refused_when_the_callback_is_made():
    with pytest.raises(ArgumentError, match="max_lr"):
        OneCycle(-1.0)
    with pytest.raises(ArgumentError, match="momentum"):
        OneCycle(0.1, momentum=(0.95, 1.5))


def test_the_compiled_trainer_runs_the_same_cycle_as_model_fit():
    whole = {"epochs": 3, "batch_size": N, "verbose": 0}
    weights, histories = [], []
    for fit in (lambda m, **kw: m.fit(X, Y, **kw), lambda m, **kw: ck.fit(m, X, Y, **kw)):
        model, cycle = linear_model(keras.optimizers.Nadam(0.01)), OneCycle(0.2)
        fit(model, callbacks=[cycle], **whole)
        weights.append(np.concatenate([w.ravel() for w in model.get_weights()]))
        histories.append(cycle.history)
    np.testing.assert_allclose(weights[0], weights[1], atol=1e-6)
    assert histories[0] == histories[1]


def test_a_second_cycle_of_another_height_does_not_run_the_first_ones_program():
    model = linear_model(keras.optimizers.SGD(momentum=0.9))
    for max_lr in (0.2, 0.05):
        cycle = OneCycle(max_lr)
        ck.fit(model, X, Y, epochs=2, batch_size=BATCH, verbose=0, callbacks=[cycle])
        rates, _ = one_cycle_at(np.arange(8), 8, max_lr)
        np.testing.assert_allclose(cycle.history["learning_rate"], rates, rtol=1e-6)
