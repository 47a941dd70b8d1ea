"""OneCycle changes the update itself: checked by weights against a NumPy replay of the formulas."""

import numpy as np
import pytest

import coursekit as ck
from coursekit.base import console
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


class Break(keras.callbacks.Callback):
    """Break off the training from another callback: at a step, or at the end of an epoch."""

    def __init__(self, error, step=None):
        super().__init__()
        self.error, self.step = error, step

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.step:
            raise self.error

    def on_epoch_end(self, epoch, logs=None):
        raise self.error


class BreaksInside(keras.Sequential):
    """Its training step fails while it runs, once `broken` is set."""

    broken = False

    def train_step(self, data):
        if self.broken:
            raise KeyboardInterrupt
        return super().train_step(data)


def break_off(model, how, train_by=keras.Model.fit):
    """Train with 1cycle, and not to the end."""
    callbacks = [OneCycle(0.5)]
    if how == "before the first step":
        callbacks.append(keras.callbacks.LambdaCallback(on_train_begin=lambda logs: 1 / 0))
    elif how == "in the step":
        model.broken = True
    elif how == "Ctrl-C in a callback":
        callbacks.append(Break(KeyboardInterrupt(), step=2))
    elif how == "error in a callback":
        callbacks.append(Break(ZeroDivisionError()))
    with pytest.raises((KeyboardInterrupt, ZeroDivisionError)):
        train_by(model, X, Y, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=callbacks)
    model.broken = False


def settings_of(optimizer):
    return type(optimizer), float(optimizer.learning_rate), optimizer.momentum


BREAKS = ["before the first step", "in the step", "Ctrl-C in a callback", "error in a callback"]
TRAINERS = {"model.fit": keras.Model.fit, "ck.fit": ck.fit}


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize("later", TRAINERS)
def test_a_training_that_is_broken_off_leaves_no_cycle_behind(how, trainer, later):
    optimizer = keras.optimizers.SGD(0.03, momentum=0.9)
    model = BreaksInside([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer, loss="mse", run_eagerly=how == "in the step")
    optimizer.build(model.trainable_variables)
    own = settings_of(optimizer)
    break_off(model, how, TRAINERS[trainer])
    assert settings_of(optimizer) == own

    def forget_velocity():
        for v in optimizer.variables[2:]:
            v.assign(v * 0)

    def trained():
        forget_velocity()
        TRAINERS[later](model, X[:8], Y[:8], batch_size=8, epochs=2, verbose=0)
        found = np.concatenate([w.ravel() for w in model.get_weights()])
        model.set_weights(weights)
        return found

    weights = model.get_weights()
    after_the_break = trained()
    assert settings_of(optimizer) == own
    model.compile(optimizer, loss="mse")
    np.testing.assert_allclose(after_the_break, trained(), atol=1e-6)
    model.optimizer.learning_rate = 0.0
    forget_velocity()
    TRAINERS[later](model, X, Y, batch_size=8, epochs=1, verbose=0)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("how", ["Ctrl-C in a callback", "error in a callback"])
def test_a_rate_of_zero_after_a_break_changes_no_weight(how):
    model = linear_model(keras.optimizers.RMSprop(0.03, momentum=0.9))
    break_off(model, how)
    model.optimizer.learning_rate = 0.0
    for v in model.optimizer.variables[2:]:
        v.assign(v * 0)
    before = model.get_weights()
    model.train_on_batch(X, Y)
    model.fit(X, Y, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_range_test_after_a_break_is_that_of_a_model_without_a_cycle():
    results = []
    for broken in (False, True):
        model = linear_model(keras.optimizers.SGD(0.01, momentum=0.9))
        if broken:
            break_off(model, "error in a callback")
        model.set_weights([np.ones((1, 1)), np.zeros(1)])
        for v in model.optimizer.variables[2:]:
            v.assign(v * 0)
        results.append(ck.lr_range_test(model, X, Y, batch_size=8, steps=40))
    np.testing.assert_allclose(results[0].losses, results[1].losses)


def test_a_new_cycle_after_a_break_is_a_whole_one():
    model = linear_model(keras.optimizers.SGD(0.03, momentum=0.9))
    break_off(model, "Ctrl-C in a callback")
    cycle = OneCycle(0.2)
    train(model, cycle)
    rates, _ = one_cycle_at(np.arange(12), 12, 0.2)
    np.testing.assert_allclose(cycle.history["learning_rate"], rates, rtol=1e-6)
    assert settings_of(model.optimizer) == (keras.optimizers.SGD, np.float32(0.03), 0.9)


def test_the_history_of_a_broken_training_holds_its_whole_epochs():
    model, cycle = linear_model(keras.optimizers.SGD(0.03, momentum=0.9)), OneCycle(0.2)

    class BreakLater(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=8, epochs=3, verbose=0, callbacks=[cycle, BreakLater()])
    assert cycle.history["step"] == list(range(8))


def test_a_batch_trained_by_another_callback_does_not_end_the_cycle():
    class TrainOneMore(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.train_on_batch(X, Y)

    model, cycle = linear_model(keras.optimizers.SGD(0.03, momentum=0.9)), OneCycle(0.2)
    options = {"batch_size": 8, "epochs": EPOCHS, "verbose": 0}
    model.fit(X, Y, callbacks=[cycle, TrainOneMore()], **options)
    rates, _ = one_cycle_at(np.arange(12), 12, 0.2)
    np.testing.assert_allclose(cycle.history["learning_rate"], rates, rtol=1e-6)


def test_a_training_step_of_the_models_own_is_kept():
    model = linear_model(keras.optimizers.SGD(0.03, momentum=0.9))
    own_step, steps = model.train_step, []

    def counted(data):
        steps.append(1)
        return own_step(data)

    model.train_step = counted
    train(model, OneCycle(0.2))
    assert model.train_step is counted
    assert steps


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_second_cycle_in_the_same_training_is_refused(trainer):
    model = linear_model(keras.optimizers.SGD(0.03, momentum=0.9))
    with pytest.raises(ArgumentError, match="expected one schedule in a training, got two"):
        TRAINERS[trainer](model, X, Y, epochs=1, callbacks=[OneCycle(0.2), OneCycle(0.3)])


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize("nesterov", [False, True])
def test_with_gradient_accumulation_the_cycle_goes_on_at_every_step(trainer, nesterov):
    """One full batch, so that the mean of accumulated gradients is the batch's own."""
    steps, accumulated = 12, 4
    optimizer = keras.optimizers.SGD(
        0.01, momentum=0.9, nesterov=nesterov, gradient_accumulation_steps=accumulated
    )
    model, cycle = linear_model(optimizer), OneCycle(0.2)
    TRAINERS[trainer](model, X, Y, batch_size=N, epochs=steps, verbose=0, callbacks=[cycle])
    rates, momenta = one_cycle_at(np.arange(steps), steps, 0.2)
    assert cycle.history["step"] == list(range(steps))
    np.testing.assert_allclose(cycle.history["learning_rate"], rates, rtol=1e-6)
    np.testing.assert_allclose(cycle.history["momentum"], momenta, rtol=1e-6)
    parameters, velocity = np.array([1.0, 0.0]), np.zeros(2)
    for update in range(accumulated - 1, steps, accumulated):
        rate, momentum = rates[update], momenta[update]
        error = parameters[0] * X[:, 0] + parameters[1] - Y[:, 0]
        gradient = np.array([2 * np.mean(error * X[:, 0]), 2 * np.mean(error)])
        velocity = momentum * velocity - rate * gradient
        parameters = parameters + (momentum * velocity - rate * gradient if nesterov else velocity)
    found = np.concatenate([w.ravel() for w in model.get_weights()])
    np.testing.assert_allclose(found, parameters, atol=1e-5)


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize("scale", [2.0**10, 2.0**127])
def test_a_loss_scale_optimizer_cycles_what_it_wraps(trainer, scale):
    """With the second scale the first gradients overflow and the optimizer skips those steps."""
    y = 8 * Y
    inner = keras.optimizers.SGD(0.03, momentum=0.9)
    model = linear_model(keras.optimizers.LossScaleOptimizer(inner, initial_scale=scale))
    cycle = OneCycle(0.2)
    TRAINERS[trainer](model, X, y, batch_size=N, epochs=12, verbose=0, callbacks=[cycle])
    rates, momenta = one_cycle_at(np.arange(12), 12, 0.2)
    skipped = 12 - int(inner.iterations.numpy())
    assert (skipped > 0) == (scale > 2.0**20)
    assert cycle.history["step"] == list(range(12))
    np.testing.assert_allclose(cycle.history["learning_rate"], rates, rtol=1e-6)
    expected = np.array([1.0, 0.0]), np.zeros(2)
    for rate, momentum in zip(rates[skipped:], momenta[skipped:], strict=True):
        parameters, velocity = expected
        error = parameters[0] * X[:, 0] + parameters[1] - y[:, 0]
        gradient = np.array([2 * np.mean(error * X[:, 0]), 2 * np.mean(error)])
        velocity = momentum * velocity - rate * gradient
        expected = parameters + velocity, velocity
    found = np.concatenate([w.ravel() for w in model.get_weights()])
    np.testing.assert_allclose(found, expected[0], rtol=1e-4, atol=1e-4)
    assert settings_of(inner) == (keras.optimizers.SGD, np.float32(0.03), 0.9)


def test_what_a_loss_scale_optimizer_wraps_is_named_in_a_refusal():
    model = linear_model(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adagrad()))
    with pytest.raises(ArgumentError, match="got Adagrad, whose momentum cannot be cycled"):
        train(model, OneCycle(0.2))


class StopAt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == self.epoch


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_stop_before_the_end_is_said_once_in_one_line(trainer, capsys):
    console._said.clear()
    model = linear_model(keras.optimizers.SGD(0.03, momentum=0.9))
    for last, lines in [(2, 0), (1, 1), (0, 0)]:
        callbacks = [OneCycle(0.2), StopAt(last)]
        TRAINERS[trainer](model, X, Y, batch_size=8, epochs=3, verbose=0, callbacks=callbacks)
        out = capsys.readouterr().out
        assert out.count("\n") == lines
        if lines:
            assert "OneCycle: training stopped after 8 of 12 steps" in out
            assert "before its rate has come down" in out


@pytest.mark.parametrize("trainer", TRAINERS)
def test_early_stopping_together_with_the_cycle_warns_once(trainer, capsys):
    console._said.clear()
    for _ in range(2):
        model = linear_model(keras.optimizers.SGD(0.03, momentum=0.9))
        stop = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=100.0)
        callbacks = [stop, OneCycle(0.2)]
        history = TRAINERS[trainer](model, X, Y, epochs=5, verbose=0, callbacks=callbacks)
        assert len(history.epoch) < 5
    out = capsys.readouterr().out
    assert out.count("cuts the cycle") == out.count("\n") == 1


def test_a_loss_that_is_not_finite_is_no_early_stop(capsys):
    console._said.clear()
    model = linear_model(keras.optimizers.SGD(0.03, momentum=0.9))
    ck.fit(model, X, Y, epochs=9, batch_size=8, verbose=0, callbacks=[OneCycle(1e30)])
    out = capsys.readouterr().out
    assert "Training stopped: the loss became" in out
    assert "cuts the cycle" not in out


def test_a_checkpoint_saved_in_mid_cycle_loads_with_the_optimizers_own_settings(tmp_path):
    model = linear_model(keras.optimizers.Nadam(0.01, beta_1=0.9))
    saver = keras.callbacks.ModelCheckpoint(tmp_path / "at-{epoch}.keras")
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[OneCycle(0.1), saver])
    loaded = keras.models.load_model(tmp_path / "at-1.keras")
    assert type(loaded.optimizer) is keras.optimizers.Nadam
    assert loaded.optimizer.beta_1 == 0.9
    assert float(loaded.optimizer.learning_rate) == np.float32(0.01)


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
        (lambda: keras.optimizers.SGD(lambda: 0.1, momentum=0.9), "got function; compile with"),
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


def test_a_second_cycle_of_the_same_length_is_not_traced_anew():
    class Counted(keras.Sequential):
        traced = 0

        def train_step(self, data):
            self.traced += 1
            return super().train_step(data)

    model = Counted([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss="mse")
    options = {"epochs": 2, "batch_size": BATCH, "verbose": 0}
    for callbacks in ([OneCycle(0.2)], [], [OneCycle(0.1)], []):
        ck.fit(model, X, Y, callbacks=callbacks, **options)
    assert model.traced == 2, "once with a cycle and once without"


def test_a_second_cycle_of_another_height_does_not_run_the_first_ones_program():
    model = linear_model(keras.optimizers.SGD(momentum=0.9))
    for max_lr in (0.2, 0.05):
        cycle = OneCycle(max_lr)
        ck.fit(model, X, Y, epochs=2, batch_size=BATCH, verbose=0, callbacks=[cycle])
        rates, _ = one_cycle_at(np.arange(8), 8, max_lr)
        np.testing.assert_allclose(cycle.history["learning_rate"], rates, rtol=1e-6)
