"""A model and the random generators as found: every variable, whatever the block does."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest

from coursekit.base.keras import keras, tf
from coursekit.base.state import Snapshot, as_found, fresh_optimizer, random_states_kept
from coursekit.errors import ArgumentError

L = keras.layers
X = np.random.default_rng(0).normal(size=(32, 5)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")
OPTIMIZERS = [
    keras.optimizers.SGD,
    keras.optimizers.Adagrad,  # its slots do not start at 0
    keras.optimizers.Nadam,  # with loss scaling one of its variables is not listed
    keras.optimizers.AdamW,
]


def net(optimizer="adam", policy=None):
    layers = [L.Dense(4), L.BatchNormalization(), L.Dropout(0.5), L.Dense(2, "softmax")]
    if policy:
        layers = [
            type(layer).from_config(layer.get_config() | {"dtype": policy}) for layer in layers
        ]
    model = keras.Sequential([keras.Input((5,)), *layers])
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer, loss=loss, metrics=["accuracy"])
    return model


def train(model, epochs=1):
    model.fit(X, Y, epochs=epochs, batch_size=8, shuffle=False, verbose=0)


def bits(model):
    """All that training changes, told apart bit by bit; an oracle of its own."""
    optimizer = model.optimizer
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    hidden = [inner._u_product] if isinstance(inner, keras.optimizers.Nadam) and inner.built else []
    groups = (model.variables, model.metrics_variables, optimizer.variables, hidden)
    return [np.array(variable).tobytes() for group in groups for variable in group]


@pytest.mark.parametrize(
    ("make", "policy"),
    [*((make, "float32") for make in OPTIMIZERS), (keras.optimizers.Nadam, "mixed_float16")],
)
def test_a_trained_model_is_found_again_bit_for_bit(make, policy):
    optimizer = make(0.01)
    if policy != "float32":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model = net(optimizer, policy)
    train(model)
    before = bits(model)
    with as_found(model):
        train(model)
        model.optimizer.learning_rate = 0.5
        assert bits(model) != before
    assert bits(model) == before


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_slots_and_metrics_made_in_the_block_are_those_of_a_new_model(make):
    keras.utils.set_random_seed(0)
    tried, untried = net(make(0.01)), net(make(0.01))
    untried.set_weights(tried.get_weights())
    for one, other in zip(tried.variables, untried.variables, strict=True):
        other.assign(one)  # dropout's seeds too
    with as_found(tried):
        train(tried)
    for model in (tried, untried):
        train(model, epochs=2)
    assert bits(tried) == bits(untried)


def test_metrics_made_in_the_block_start_anew():
    model = net()
    with as_found(model):
        train(model)
    assert all(float(np.sum(np.array(v))) == 0 for v in model.metrics_variables)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_block_leaves_the_model_as_found(error):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise error

    model = net()
    train(model)
    before, drawn = bits(model), random.getstate()
    with pytest.raises(error), as_found(model, randomness=True):
        model.fit(X, Y, batch_size=8, verbose=0, callbacks=[Stop()])
    assert bits(model) == before
    assert random.getstate() == drawn


def test_a_model_that_is_not_compiled_is_left_as_found():
    model = keras.Sequential([keras.Input((5,)), L.BatchNormalization(), L.Dropout(0.5)])
    before = [v.numpy().tobytes() for v in model.variables]
    with as_found(model):
        model(X, training=True)
        assert [v.numpy().tobytes() for v in model.variables] != before
    assert [v.numpy().tobytes() for v in model.variables] == before


def test_a_model_without_weights_is_refused():
    refused = pytest.raises(ArgumentError, match=r"has none yet: give it a keras\.Input")
    with refused, as_found(keras.Sequential([L.Dense(2)])):
        pass
    with pytest.raises(TypeError, match="expected a Keras model, got Dense"), as_found(L.Dense(2)):
        pass


def test_a_snapshot_sees_one_bit_and_a_nan_that_stays():
    variable = keras.Variable([1.0, np.nan])
    before = Snapshot([variable, variable])
    assert len(before) == 1
    assert before.changed() == []
    variable.assign([np.nextafter(np.float32(1), np.float32(2)), np.nan])
    assert len(before.changed()) == 1


# --- random states -----------------------------------------------------------------------------


def numbers():
    drawn = [random.random(), np.random.rand(2), keras.random.uniform((2,)), tf.random.normal((2,))]  # noqa: NPY002
    return [np.asarray(value).tolist() for value in drawn]


@pytest.mark.parametrize("inside", [numbers, lambda: keras.utils.set_random_seed(5)])
def test_later_random_numbers_are_those_without_the_block(inside):
    keras.utils.set_random_seed(3)
    numbers()
    expected = numbers()
    keras.utils.set_random_seed(3)
    numbers()
    with random_states_kept():
        inside()
    assert numbers() == expected


def test_a_seed_set_in_the_block_does_not_stay_where_there_was_none():
    tf.random.set_seed(None)
    with random_states_kept():
        tf.random.set_seed(1)
    one = tf.random.uniform((4,)).numpy()
    tf.random.set_seed(None)
    with random_states_kept():
        tf.random.set_seed(1)
    assert np.abs(tf.random.uniform((4,)).numpy() - one).max() > 0


def test_random_states_are_kept_without_loading_keras():
    code = (
        "import sys, random\n"
        "from coursekit.base.state import random_states_kept\n"
        "before = random.getstate()\n"
        "with random_states_kept(): random.random()\n"
        "assert random.getstate() == before\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- optimizers --------------------------------------------------------------------------------


def test_a_fresh_optimizer_has_the_settings_and_no_memory():
    old = keras.optimizers.AdamW(0.1, beta_1=0.7, clipnorm=1.0, gradient_accumulation_steps=2)
    model = net(old)
    train(model)
    old.learning_rate = 0.05
    new = fresh_optimizer(old)
    assert not new.built
    assert (new.beta_1, new.clipnorm, new.gradient_accumulation_steps) == (0.7, 1.0, 2)
    assert float(new.learning_rate) == pytest.approx(0.05)
    assert int(new.iterations) == 0


def test_a_fresh_optimizer_excludes_the_same_variables_from_weight_decay():
    model = net()
    by_name, by_variable = keras.optimizers.AdamW(0.1), keras.optimizers.AdamW(0.1)
    by_name.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    by_variable.exclude_from_weight_decay(var_list=[model.trainable_variables[0]])
    for old in (by_name, by_variable, keras.optimizers.AdamW(0.1)):
        decayed = [old._use_weight_decay(v) for v in model.trainable_variables]
        new = fresh_optimizer(old)
        assert [new._use_weight_decay(v) for v in model.trainable_variables] == decayed


def test_a_fresh_loss_scale_optimizer_has_the_rate_inside():
    inner = keras.optimizers.SGD(0.1, momentum=0.8)
    old = keras.optimizers.LossScaleOptimizer(inner, initial_scale=64.0, dynamic_growth_steps=7)
    new = fresh_optimizer(old, learning_rate=0.02)
    assert type(new) is keras.optimizers.LossScaleOptimizer
    assert (new.initial_scale, new.dynamic_growth_steps) == (64.0, 7)
    assert new.inner_optimizer is not inner
    assert new.inner_optimizer.momentum == 0.8
    assert float(new.learning_rate) == pytest.approx(0.02)
    assert float(inner.learning_rate) == pytest.approx(0.1)
