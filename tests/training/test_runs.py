"""Runs of `fit`: seeds, repeated runs, what is traced anew, memory, and what the screen shows."""

import gc
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest

from coursekit.base.keras import keras
from coursekit.training import batches, fit, programs
from coursekit.training.progress import check_verbose

L = keras.layers
X = np.random.default_rng(0).normal(size=(40, 5)).astype("float32")
Y = (np.arange(40) % 3).astype("int32")


class Counted(keras.Sequential):
    """Counts how often its training step is traced."""

    traced = 0

    def train_step(self, data):
        self.traced += 1
        return super().train_step(data)


def classifier(optimizer=None):
    keras.utils.set_random_seed(1)
    model = Counted([keras.Input((5,)), L.Dense(4, "tanh"), L.Dense(3, "softmax")])
    model.compile(optimizer or keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


def trained(**options):
    model = classifier()
    fit(model, X, Y, batch_size=8, verbose=0, **{"epochs": 2, **options})
    return np.concatenate([w.ravel() for w in model.get_weights()])


def test_the_seed_fixes_the_order_of_the_rows(xla):
    assert (trained(seed=7) == trained(seed=7)).all()
    assert (trained(seed=7) != trained(seed=8)).any()


def test_without_a_seed_the_global_one_decides(xla):
    assert (trained() == trained()).all(), "set_random_seed was called before each"
    first, second = classifier(), classifier()
    for model in (first, second):  # one after the other: two draws
        fit(model, X, Y, batch_size=8, epochs=1, verbose=0)
    assert any(
        (a != b).any() for a, b in zip(first.get_weights(), second.get_weights(), strict=True)
    )


def test_rows_come_in_another_order_every_epoch_and_each_row_once(xla):
    seen = []

    class Note(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(1)
            self.rows = self.add_weight(shape=(40,), trainable=False, initializer="zeros")
            self.at = self.add_weight(shape=(), trainable=False, initializer="zeros", dtype="int32")

        def call(self, x, training=False):
            if training:
                places = keras.ops.arange(keras.ops.shape(x)[0]) + self.at
                self.rows.assign(keras.ops.scatter_update(self.rows, places[:, None], x[:, 0]))
                self.at.assign_add(keras.ops.shape(x)[0])
            return self.dense(x)

    class Read(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model.rows.numpy().astype(int).tolist())
            self.model.at.assign(0)

    model = Note()
    model.compile("sgd", "mse")
    numbered = np.repeat(np.arange(40, dtype="float32")[:, None], 2, axis=1)
    fit(model, numbered, np.zeros(40), epochs=3, batch_size=16, callbacks=[Read()], verbose=0)
    assert all(sorted(order) == list(range(40)) for order in seen)
    assert seen[0] != seen[1] != seen[2] != list(range(40))


def test_a_second_training_traces_nothing_again(xla):
    model = classifier()
    for n in (40, 40, 32):
        fit(model, X[:n], Y[:n], epochs=2, batch_size=8, verbose=0)
    assert model.traced == 1
    fit(model, X, Y, epochs=1, batch_size=16, verbose=0)
    assert model.traced == 2, "another batch shape"


def test_compiling_the_model_again_traces_it_again(xla):
    model = classifier()
    fit(model, X, Y, epochs=1, verbose=0)
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    fit(model, X, Y, epochs=1, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_freezing_a_layer_between_two_trainings_takes_effect(xla):
    model = classifier()
    fit(model, X, Y, epochs=1, verbose=0)
    model.layers[0].trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_weights()
    fit(model, X, Y, epochs=1, verbose=0)
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert (before[2] != after[2]).any()


def test_a_number_of_the_optimizer_set_between_two_trainings_takes_effect(xla):
    found = []
    for momentum in (0.0, 0.9):
        model = classifier(keras.optimizers.SGD(0.1, momentum=0.5))
        fit(model, X, Y, epochs=1, batch_size=8, verbose=0, seed=1)
        model.optimizer.momentum = momentum
        fit(model, X, Y, epochs=1, batch_size=8, verbose=0, seed=1)
        found.append(model.get_weights()[0])
    assert (found[0] != found[1]).any()


def test_the_learning_rate_set_between_two_trainings_takes_effect_without_a_new_trace(xla):
    model = classifier()
    fit(model, X, Y, epochs=1, verbose=0)
    before = model.get_weights()
    model.optimizer.learning_rate = 0.0
    fit(model, X, Y, epochs=1, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.traced == 1


def test_fit_and_model_fit_can_take_turns(xla):
    model = classifier()
    fit(model, X, Y, epochs=1, batch_size=40, verbose=0)
    model.fit(X, Y, epochs=1, batch_size=40, verbose=0)
    fit(model, X, Y, epochs=1, batch_size=40, verbose=0)
    assert int(model.optimizer.iterations.numpy()) == 3


def test_a_trained_model_can_be_saved_cloned_and_copied(tmp_path, xla):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((5,)), L.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    fit(model, X, Y, epochs=1, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(model.get_weights()[0], again.get_weights()[0])
    fit(again, X, Y, epochs=1, verbose=0)
    copy = keras.models.clone_model(model)
    assert "_coursekit_loops" not in vars(copy)


def test_the_model_is_free_once_it_is_let_go(xla):
    model = classifier()
    fit(model, X, Y, epochs=1, verbose=0)
    kept = weakref.ref(model)
    del model
    keras.backend.clear_session()
    gc.collect()
    assert kept() is None


def swish_net():
    model = keras.Sequential([keras.Input((5,)), L.Dense(4, "swish"), L.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def test_the_graph_of_a_step_is_free_once_the_model_is(xla):
    """TensorFlow keeps the graph of each custom gradient, such as swish's, unless told not to."""
    model = swish_net()
    fit(model, X, Y, epochs=1, verbose=0)
    [(_, _, loop)] = vars(model)["_coursekit_loops"]
    graph = weakref.ref(loop.step.graph)
    assert any("CustomGradient" in str(op.node_def) for op in graph().get_operations()), (
        "swish no longer has a custom gradient: this test needs another activation"
    )
    del model, loop, _
    gc.collect()
    assert graph() is None


def test_only_the_models_trained_last_keep_their_programs():
    models = [classifier() for _ in range(programs._KEPT_MODELS + 1)]
    for model in models:
        fit(model, X, Y, epochs=1, verbose=0)
    assert ["_coursekit_loops" in vars(model) for model in models] == [False, True, True, True]
    fit(models[0], X, Y, epochs=1, verbose=0)
    assert ["_coursekit_loops" in vars(model) for model in models] == [True, False, True, True]


def test_a_model_that_runs_eagerly_is_forgotten_as_well():
    models = [classifier() for _ in range(programs._KEPT_MODELS + 1)]
    models[0].compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    for model in models:
        fit(model, X, Y, epochs=1, verbose=0)
    assert ["_coursekit_loops" in vars(model) for model in models] == [False, True, True, True]


def test_compiling_the_model_anew_lets_the_old_programs_go():
    model = classifier()
    fit(model, X, Y, epochs=1, verbose=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    fit(model, X, Y, epochs=1, verbose=0)
    assert len(vars(model)["_coursekit_loops"]) == 1


COMPILES_IN = """
import numpy as np
from coursekit.base.keras import keras
from coursekit.training import fit, programs
from coursekit.training.progress import check_verbose
programs.WORTH_COMPILING = 100  # the validation below has fewer steps
model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, "softmax")])
model.compile("sgd", "sparse_categorical_crossentropy")
x, y = np.ones((402, 5), "float32"), np.zeros(402, "int32")
fit(model, x, y, epochs=3, batch_size=4, validation_data=(x[:40], y[:40]), verbose=0)
"""


def test_xla_compiles_the_training_once_whatever_runs_between_two_epochs():
    told = {"TF_CPP_MIN_LOG_LEVEL": "0", "TF_CPP_VMODULE": "device_compiler=2"}
    ran = subprocess.run(
        [sys.executable, "-c", COMPILES_IN],
        env=os.environ | told,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr.count("Compilation of XLA executable time") == 1, ran.stderr[-2000:]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6_000_000, dtype="float32").reshape(1000, 6000),
        np.arange(6_000_000, dtype="float32").reshape(6000, 1000).T,
        np.arange(20_000_000, dtype="uint8")[1:],
        np.broadcast_to(np.float32(1), (1000, 6000)),
    ],
    ids=["plain", "transposed", "odd address", "read-only"],
)
def test_a_large_array_arrives_on_the_device_as_it_is(array):
    assert array.nbytes > batches._LARGE
    np.testing.assert_array_equal(batches._on_device(array).numpy(), array)


def test_a_large_array_at_a_fitting_address_is_not_copied():
    memory = np.zeros(2 * batches._LARGE + 64, "uint8")
    first = -memory.ctypes.data % 64
    array = memory[first : first + 2 * batches._LARGE].view("float32")
    tensor = batches._on_device(array)
    array[5] = 7
    assert float(tensor[5]) == (0 if programs.tf.config.list_physical_devices("GPU") else 7)


@pytest.mark.parametrize(("verbose", "headless"), [("auto", "1"), ("auto", "true"), (0, "0")])
def test_nothing_is_shown_when_nobody_looks_on(verbose, headless, capfd, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COURSEKIT_HEADLESS", headless)
    fit(classifier(), X, Y, epochs=2, verbose=verbose)
    assert capfd.readouterr() == ("", "")


def test_a_line_an_epoch(capfd):
    fit(classifier(), X, Y, epochs=2, verbose=2, validation_data=(X, Y))
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert [line[:9] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert all("loss" in line and "val_loss" in line for line in lines)


def test_a_bar_on_standard_output(capfd):
    fit(classifier(), X, Y, epochs=2, batch_size=8, verbose=1)
    out, err = capfd.readouterr()
    assert err == ""
    assert "epoch 2/2 100%" in out
    assert "loss" in out


@pytest.mark.parametrize(
    ("switch", "bar"), [("", 1), ("0", 1), ("false", 1), ("1", 0), ("true", 0), ("yes", 0)]
)
def test_a_terminal_gets_the_bar_unless_headless(switch, bar, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("COURSEKIT_GRADING", raising=False)
    monkeypatch.setenv("COURSEKIT_HEADLESS", switch)
    assert check_verbose("auto") == bar
