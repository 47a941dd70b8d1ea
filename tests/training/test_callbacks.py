"""Callbacks of `fit`: called when and as `model.fit` calls them."""

import csv

import numpy as np
import pytest

from coursekit.base import console
from coursekit.base.keras import keras
from coursekit.training import fit
from coursekit.training.one_cycle import OneCycle

L = keras.layers
_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(50, 5)).astype("float32")
Y = (X @ _RNG.normal(size=(5, 1))).astype("float32")
VALID = (X[:13] + 0.1, Y[:13])


@pytest.fixture(autouse=True)
def _afresh():
    console._said.clear()


def linear(optimizer=None, **options):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((5,)), L.Dense(1)])
    model.compile(optimizer or keras.optimizers.SGD(0.1, momentum=0.5), "mse", metrics=["mae"])
    return model


def both(make_callbacks, *, make=linear, epochs=6, **options):
    """Train by `fit` and by `model.fit` on one full batch; return both models and histories."""
    options = {"epochs": epochs, "batch_size": len(X), "validation_data": VALID, **options}
    result = []
    for train in (fit, keras.Model.fit):
        model, callbacks = make(), make_callbacks()
        history = train(model, X, Y, callbacks=callbacks, verbose=0, **options)
        result.append((model, history.history, callbacks))
    return result


def assert_same(ours, theirs):
    for a, b in zip(ours[0].get_weights(), theirs[0].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert ours[1].keys() == theirs[1].keys()
    for name in ours[1]:
        np.testing.assert_allclose(ours[1][name], theirs[1][name], rtol=1e-4, atol=1e-6)


class Epochs(keras.callbacks.Callback):
    """Writes down every hook that comes once an epoch or less."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def note(self, hook, number=None, logs=None):
        rounded = {k: round(v, 3) for k, v in (logs or {}).items()}
        self.calls.append((hook, number, rounded))

    def on_train_begin(self, logs=None):
        self.note("train_begin", self.params["steps"] * self.params["epochs"], logs)

    def on_train_end(self, logs=None):
        self.note("train_end", None, logs)

    def on_epoch_begin(self, epoch, logs=None):
        self.note("epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self.note("epoch_end", epoch, logs)

    def on_test_begin(self, logs=None):
        self.note("test_begin", None, logs)

    def on_test_end(self, logs=None):
        self.note("test_end", None, logs)


class Batches(Epochs):
    """Writes down the hooks of every batch too."""

    def on_train_batch_begin(self, batch, logs=None):
        self.note("train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        self.note("train_batch_end", batch, logs)

    def on_test_batch_begin(self, batch, logs=None):
        self.note("test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        self.note("test_batch_end", batch, logs)


@pytest.mark.parametrize("recorder", [Epochs, Batches])
@pytest.mark.parametrize("validation", [None, VALID])
def test_hooks_come_in_the_order_and_with_the_logs_of_model_fit(recorder, validation, xla):
    ours, theirs = both(lambda: [recorder()], validation_data=validation, epochs=2)
    assert ours[2][0].calls == theirs[2][0].calls


def test_a_callback_of_every_batch_sees_each_step_and_is_named_once(capsys, xla):
    for _ in range(2):
        model, recorder = linear(), Batches()
        fit(model, X, Y, epochs=2, batch_size=16, callbacks=[recorder], verbose=0)
        steps = [number for hook, number, _ in recorder.calls if hook == "train_batch_end"]
        assert steps == [0, 1, 2, 3] * 2
    out = capsys.readouterr().out
    assert out.count("Batches wants every batch") == 1


def test_batch_logs_are_the_running_means_of_the_epoch_weighted_by_rows(xla):
    losses = []

    class Losses(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            losses.append(logs["loss"])

    model = linear(keras.optimizers.SGD(0.0))
    fit(model, X, Y, epochs=1, batch_size=16, callbacks=Losses(), verbose=0, seed=4)
    assert losses[-1] == pytest.approx(model.evaluate(X, Y, verbose=0)[0], rel=1e-5)
    assert len(set(losses)) == 4


def test_a_batch_hook_can_stop_the_training_at_its_step(way):
    class Stop(keras.callbacks.Callback):
        def on_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    model = linear()
    history = fit(model, X, Y, epochs=3, batch_size=16, callbacks=[Stop()], verbose=0)
    assert int(model.optimizer.iterations.numpy()) == 2
    assert history.epoch == [0]


@pytest.mark.parametrize(
    "make_callbacks",
    [
        lambda: [
            keras.callbacks.EarlyStopping(patience=1, min_delta=0.5, restore_best_weights=True)
        ],
        lambda: [keras.callbacks.ReduceLROnPlateau(patience=0, min_delta=1.0, factor=0.5)],
        lambda: [keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.7)],
        lambda: [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)],
    ],
    ids=["EarlyStopping", "ReduceLROnPlateau", "LearningRateScheduler", "LambdaCallback"],
)
def test_epoch_callbacks_work_unchanged(make_callbacks, xla, capsys):
    ours, theirs = both(make_callbacks)
    assert_same(ours, theirs)
    assert "every batch" not in capsys.readouterr().out


def test_early_stopping_stops_and_brings_the_best_weights_back(way):
    model = linear(keras.optimizers.SGD(0.4))
    best = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    history = fit(
        model,
        X,
        Y,
        epochs=40,
        batch_size=7,
        validation_data=(X, np.zeros_like(Y)),
        callbacks=[best],
        verbose=0,
        seed=0,
    ).history["val_loss"]
    assert len(history) < 40
    now = model.evaluate(X, np.zeros_like(Y), verbose=0)[0]
    assert now == pytest.approx(min(history), rel=1e-4)
    assert now < history[-1]


def test_model_checkpoint_saves_the_best_model_in_the_fast_path(tmp_path, capsys, xla):
    path = tmp_path / "best.keras"
    keep = keras.callbacks.ModelCheckpoint(path, monitor="val_loss", save_best_only=True)
    model = linear()
    history = fit(
        model, X, Y, epochs=4, validation_data=VALID, callbacks=[keep], verbose=0
    ).history["val_loss"]
    saved = keras.models.load_model(path)
    assert saved.evaluate(*VALID, verbose=0)[0] == pytest.approx(min(history), rel=1e-4)
    assert capsys.readouterr().out == ""


def test_model_checkpoint_by_the_batch_saves_by_the_batch(tmp_path):
    keep = keras.callbacks.ModelCheckpoint(tmp_path / "{batch:02d}.keras", save_freq=2)
    fit(linear(), X, Y, epochs=1, batch_size=10, callbacks=[keep], verbose=0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["02.keras", "04.keras"]


def test_csv_logger_writes_one_row_an_epoch(tmp_path, xla):
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = fit(
        linear(), X, Y, epochs=3, validation_data=VALID, callbacks=[log], verbose=0
    ).history
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    for name, values in history.items():
        assert [float(row[name]) for row in rows] == pytest.approx(values)


def test_tensorboard_writes_its_files_in_the_fast_path(tmp_path, capsys, xla):
    board = keras.callbacks.TensorBoard(tmp_path, histogram_freq=1)
    fit(linear(), X, Y, epochs=2, validation_data=VALID, callbacks=[board], verbose=0)
    assert {p.parent.name for p in tmp_path.rglob("events.out*")} == {"train", "validation"}
    assert "every batch" not in capsys.readouterr().out


def test_tensorboard_by_the_batch_takes_the_slow_path(tmp_path, capsys):
    board = keras.callbacks.TensorBoard(tmp_path, update_freq="batch")
    fit(linear(), X, Y, epochs=1, callbacks=[board], verbose=0)
    assert "TensorBoard wants every batch" in capsys.readouterr().out


class _Crash(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_a_backed_up_run_goes_on_where_it_was_and_ends_as_if_never_interrupted(tmp_path, xla):
    def run(model, *more):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        return fit(
            model, X, Y, epochs=5, batch_size=8, seed=3, callbacks=[backup, *more], verbose=0
        )

    whole = linear()
    run(whole)
    with pytest.raises(KeyboardInterrupt):
        run(linear(), _Crash())
    resumed = linear()
    history = run(resumed)
    assert history.epoch == [2, 3, 4]
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    again = fit(resumed, X, Y, epochs=2, verbose=0)
    assert again.epoch == [0, 1], "what the backup left behind must not shorten the next run"


@pytest.mark.parametrize("batch_size", [8, 50])
def test_one_cycle_runs_in_the_fast_path_and_moves_rate_and_momentum(batch_size, capsys, xla):
    model, cycle = linear(), OneCycle(0.3)
    fit(model, X, Y, epochs=3, batch_size=batch_size, callbacks=[cycle], verbose=0)
    steps = 3 * -(-50 // batch_size)
    assert cycle.history["step"] == list(range(steps))
    assert max(cycle.history["learning_rate"]) == pytest.approx(0.3)
    assert min(cycle.history["momentum"]) == pytest.approx(0.85)
    assert capsys.readouterr().out == ""
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)


def test_one_cycle_takes_the_steps_it_takes_in_model_fit(way):
    ours, theirs = both(lambda: [OneCycle(0.3)], epochs=8)
    assert_same(ours, theirs)


def test_no_step_of_one_cycle_is_left_in_the_next_training(xla):
    def train_three_times(train):
        model = linear()
        for callbacks in ([], [OneCycle(0.3)], [], [OneCycle(0.05)], []):
            train(model, X, Y, epochs=2, batch_size=50, callbacks=callbacks, verbose=0)
        return model

    ours, theirs = train_three_times(fit), train_three_times(keras.Model.fit)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def diverging():
    return linear(keras.optimizers.SGD(1e18))


@pytest.mark.parametrize("batch_size", [8, 10])
def test_a_loss_that_is_not_finite_stops_at_its_step_and_says_so(batch_size, way, capsys):
    expected = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            expected.append(logs["loss"])

    fit(diverging(), X, Y, epochs=9, batch_size=batch_size, callbacks=[Watch()], verbose=0, seed=1)
    assert np.isfinite(expected[:-1]).all()
    assert not np.isfinite(expected[-1])
    capsys.readouterr()

    model = diverging()
    history = fit(
        model, X, Y, epochs=9, batch_size=batch_size, validation_data=VALID, verbose=0, seed=1
    )
    assert history.diverged_at == len(expected) == int(model.optimizer.iterations.numpy())
    out = capsys.readouterr().out
    assert f"at step {len(expected)} (epoch 1, batch {len(expected)} of" in out
    assert history.epoch == [0]
    assert not np.isfinite(history.history["loss"][-1])
    assert "val_loss" in history.history


class ExplodeOnce(keras.callbacks.Callback):
    """Make the training diverge in one epoch, at the first run only."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self.epoch, self.model.optimizer.learning_rate = None, 1e30


@pytest.mark.parametrize(("save_freq", "first"), [("epoch", 2), (7, 1)])
def test_a_run_that_diverges_keeps_its_backup_and_can_be_resumed_from_it(
    save_freq, first, tmp_path, xla, capsys
):
    folder = tmp_path / "backup"

    def run(model, *more):
        backup = keras.callbacks.BackupAndRestore(folder, save_freq=save_freq)
        return fit(
            model, X, Y, epochs=5, batch_size=8, seed=3, callbacks=[*more, backup], verbose=0
        )

    history = run(linear(), ExplodeOnce(2))
    assert history.epoch == [0, 1, 2]
    assert history.diverged_at > 14
    assert folder.exists()
    assert f"go on from the backup in {folder}" in capsys.readouterr().out
    resumed = linear()
    history = run(resumed)
    assert history.epoch == list(range(first, 5))
    assert history.diverged_at is None
    assert not folder.exists(), "a run that ends well deletes its backup, as in model.fit"
    if save_freq == "epoch":
        whole = linear()
        fit(whole, X, Y, epochs=5, batch_size=8, seed=3, verbose=0)
        for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)


def test_weights_that_are_not_finite_are_not_backed_up(tmp_path, capsys):
    """The last update of an epoch can spoil the weights while its loss is still finite."""

    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            if self.epoch == 1 and batch == self.params["steps"] - 1:
                self.model.set_weights([w * np.nan for w in self.model.get_weights()])

    def run(*more):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        return fit(linear(), X, Y, epochs=4, callbacks=[*more, backup], verbose=0, seed=3)

    assert run(Spoil()).epoch == [0, 1, 2]
    assert "go on from the backup" in capsys.readouterr().out
    assert run().epoch == [1, 2, 3]


def test_terminate_on_nan_keeps_the_backup_too(tmp_path):
    callbacks = [
        ExplodeOnce(1),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.BackupAndRestore(tmp_path / "backup"),
    ]
    fit(linear(), X, Y, epochs=3, batch_size=8, callbacks=callbacks, verbose=0)
    assert (tmp_path / "backup").exists()


def test_a_last_partial_batch_that_diverges_is_noticed(capsys):
    model = linear(keras.optimizers.SGD(1e30))
    history = fit(model, X[:9], Y[:9], epochs=3, batch_size=8, verbose=0)
    assert history.diverged_at == 2
    assert "batch 2 of 2" in capsys.readouterr().out


def test_a_training_that_stays_finite_has_no_step_of_divergence():
    assert fit(linear(), X, Y, epochs=1, verbose=0).diverged_at is None


def test_terminate_on_nan_needs_no_slow_path(capsys, xla):
    guard = keras.callbacks.TerminateOnNaN()
    fit(diverging(), X, Y, epochs=9, batch_size=8, callbacks=[guard], verbose=0)
    out = capsys.readouterr().out
    assert "Invalid loss, terminating training" in out
    assert "every batch" not in out
    strict = keras.callbacks.TerminateOnNaN(raise_error=True)
    with pytest.raises(RuntimeError, match="NaN or Inf loss"):
        fit(diverging(), X, Y, epochs=9, batch_size=8, callbacks=[strict], verbose=0)


def test_early_stopping_restores_finite_weights_after_divergence(xla):
    class Explode(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                self.model.optimizer.learning_rate = 1e30

    best = keras.callbacks.EarlyStopping("loss", patience=5, restore_best_weights=True)
    model = linear(keras.optimizers.SGD(0.05))
    history = fit(model, X, Y, epochs=9, batch_size=8, callbacks=[Explode(), best], verbose=0)
    assert history.epoch == [0, 1, 2]
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_the_history_is_kerass_own_and_the_models(xla):
    model = linear()
    history = fit(model, X, Y, epochs=2, verbose=0)
    assert isinstance(history, keras.callbacks.History)
    assert model.history is history
    assert history.params == {"epochs": 2, "steps": 2, "verbose": 0}
    mine = keras.callbacks.History()
    assert fit(model, X, Y, epochs=1, callbacks=[mine], verbose=0) is mine
