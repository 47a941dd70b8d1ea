"""Diagnostics against nets computed by hand, and the promise to leave the model as it was."""

from __future__ import annotations

import numpy as np
import pytest

from coursekit.analysis import layers as d
from coursekit.base.keras import keras, tf
from coursekit.base.table import Table
from coursekit.errors import ArgumentError

X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 20)


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


def stack(*layers, shape=(4,)):
    return keras.Sequential([keras.Input(shape), *layers])


def classifier():
    """A net with everything that a careless look inside would move; always the same weights."""
    keras.utils.set_random_seed(0)
    model = stack(
        keras.layers.Dense(6, activation="relu", kernel_regularizer="l2", name="first"),
        keras.layers.BatchNormalization(name="bn"),
        keras.layers.Dropout(0.5, seed=3, name="drop"),
        keras.layers.Dense(3, activation="softmax", name="out"),
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def everything(model):
    variables = [*model.variables, *model.metrics_variables, *model.optimizer.variables]
    return [np.array(v) for v in variables]


def dense(units, activation=None, name=None, weight="ones"):
    return keras.layers.Dense(
        units, activation=activation, kernel_initializer=weight, bias_initializer="zeros", name=name
    )


# Layer statistics


def test_statistics_of_a_net_computed_by_hand():
    model = stack(dense(2, "sigmoid", "s"), dense(1, "relu", "r"), shape=(1,))
    x = np.array([[-4.0], [0.0], [4.0]])
    s = 1 / (1 + np.exp([4.0, 0.0, -4.0]))
    first, second = d.layer_statistics(model, x)
    assert first.layer == "s"
    assert first.shape == (2,)
    assert first.mean == pytest.approx(0.5)
    assert first.std == pytest.approx(s.std(), rel=1e-5)
    assert first.saturated == pytest.approx(2 / 3)
    assert first.zero == 0
    assert second.mean == pytest.approx(1.0)
    assert second.std == pytest.approx(2 * s.std(), rel=1e-5)
    assert np.isnan(second.saturated)


def test_zero_counts_exact_zeros():
    row = d.layer_statistics(stack(keras.layers.ReLU(), shape=(2,)), [[-1.0, 2.0], [0.0, 1.0]])[0]
    assert row.zero == 0.5


@pytest.mark.parametrize(
    ("activation", "x", "share"),
    [
        ("sigmoid", [-2.9, -3.0, 2.9, 3.0], 0.5),
        ("tanh", [-1.8, -1.9, 1.8, 1.9], 0.5),
        ("hard_sigmoid", [-3.0, 0.0, 1.0, 3.0], 0.5),
        (tf.nn.tanh, [-9.0, 0.0, 0.0, 9.0], 0.5),
        (keras.ops.sigmoid, [0.0, 0.0, 0.0, 9.0], 0.25),
    ],
)
def test_saturated_is_within_0_05_of_a_limit(activation, x, share):
    model = stack(keras.layers.Activation(activation), shape=(4,))
    assert d.layer_statistics(model, [x])[0].saturated == share


def test_saturation_can_be_chosen():
    model = stack(keras.layers.Activation("tanh"), shape=(2,))
    x = [[0.6, 3.0]]
    assert d.layer_statistics(model, x, saturation=0.49)[0].saturated == 1
    assert d.layer_statistics(model, x, saturation=0.001)[0].saturated == 0


@pytest.mark.parametrize("batch_size", [1, 7, 20, 1000])
def test_batches_do_not_change_the_result(batch_size):
    model, x = classifier(), X + 100  # a mean far from 0 is where naive sums lose digits
    expected = d.layer_statistics(model, x, batch_size=len(x))
    for row, wanted in zip(
        d.layer_statistics(model, x, batch_size=batch_size), expected, strict=True
    ):
        assert row[:2] == wanted[:2]
        np.testing.assert_allclose(row[2:], wanted[2:], rtol=1e-4)


def test_one_row_per_layer_in_order_and_in_inference_mode():
    model = classifier()
    table = d.layer_statistics(model, X)
    assert table.column("layer").tolist() == ["first", "bn", "drop", "out"]
    assert table.column("mean")[1] == pytest.approx(table.column("mean")[2])
    outputs = model.predict(X, verbose=0)
    assert table[-1].std == pytest.approx(outputs.std(), rel=1e-5)


def test_convolutions_integers_and_nested_shared_layers():
    shared = dense(3, "relu", "shared")
    inner = keras.Sequential([keras.Input((8,)), dense(3, "tanh", "deep")], name="inner")
    image = keras.Input((2, 2, 2))
    h = keras.layers.Flatten(name="flat")(keras.layers.Conv2D(2, 1, name="conv")(image))
    h = inner(h)
    model = keras.Model(image, keras.layers.Add(name="add")([shared(h), shared(-h)]))
    table = d.layer_statistics(model, np.ones((5, 2, 2, 2)))
    rows = {row.layer: row for row in table}
    assert {"conv", "flat", "inner/deep", "shared", "add"} <= set(rows)
    assert rows["conv"].shape == (2, 2, 2)
    assert rows["shared"].mean == pytest.approx(rows["add"].mean / 2)
    assert rows["shared"].zero == 0.5


def test_layers_that_are_also_part_of_another_model_are_measured_in_this_one():
    first = dense(3, "relu", "first")
    stack(first, dense(1))
    other = stack(keras.layers.Rescaling(-1.0), first)
    expected = np.maximum(-X.sum(axis=1), 0)
    assert d.layer_statistics(other, X)[1].mean == pytest.approx(expected.mean(), rel=1e-5)


def test_a_subclassed_model_works():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.top = dense(4, "relu", "hidden"), dense(1, name="top")

        def call(self, x):
            return self.top(self.hidden(x))

    model = Own()
    with pytest.raises(ArgumentError, match="has none yet"):
        d.layer_statistics(model, X)
    model(X)
    assert d.layer_statistics(model, X).column("layer").tolist() == ["hidden", "top"]


def test_a_network_that_has_blown_up_is_shown_not_hidden():
    model = stack(dense(2, name="a", weight=keras.initializers.Constant(np.inf)))
    assert not np.isfinite(d.layer_statistics(model, X)[0].mean)


def test_mixed_precision_outputs_are_read():
    model = stack(keras.layers.Dense(3, activation="relu", dtype="mixed_bfloat16"))
    assert d.layer_statistics(model, X)[0].std > 0


# Gradient norms


def test_norms_of_a_net_computed_by_hand():
    model = stack(dense(1, name="a"), dense(1, name="b"), shape=(1,))
    # prediction w₂ w₁ x = 3, loss (3 − 1)² = 4; d/dŷ = 4, d/dw₁ = 4·3, d/db₁ = 4, d/dw₂ = 4·3
    a, b = d.gradient_norms(model, [[3.0]], [[1.0]], loss="mse")
    assert (a.layer, a.parameters, b.parameters) == ("a", 2, 2)
    assert a.norm == pytest.approx(np.hypot(12, 4))
    assert b.norm == pytest.approx(np.hypot(12, 4))
    assert a.rms == pytest.approx(np.hypot(12, 4) / np.sqrt(2))


def test_norms_equal_a_tape_of_its_own_with_penalties():
    model = classifier()
    twin = classifier()
    table = d.gradient_norms(model, X, Y)
    with tf.GradientTape() as tape:
        predictions = twin(X, training=True)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(Y, predictions))
        loss += 0.01 * tf.reduce_sum(twin.layers[0].kernel ** 2)
    gradients = tape.gradient(loss, [layer.trainable_weights for layer in twin.layers])
    expected = [tf.linalg.global_norm(g) for g in gradients if g]
    assert table.column("layer").tolist() == ["first", "bn", "out"]
    np.testing.assert_allclose(table.column("norm"), expected, rtol=1e-4)


def test_a_given_loss_takes_the_place_of_the_compiled_one():
    model = classifier()
    onehot = np.eye(3)[Y]
    by_name = d.gradient_norms(model, X, onehot, loss="mse").column("norm")
    by_function = d.gradient_norms(model, X, onehot, loss=keras.losses.MeanSquaredError())
    np.testing.assert_allclose(by_name, by_function.column("norm"))
    assert not np.allclose(by_name, d.gradient_norms(model, X, Y).column("norm"))


def test_inference_mode_gives_the_gradient_without_batch_statistics():
    model = classifier()
    norms = [d.gradient_norms(model, X, Y, training=t).column("norm") for t in (True, False)]
    assert not np.allclose(*norms)


def test_frozen_layers_have_no_row_and_unused_weights_norm_zero():
    model = classifier()
    model.get_layer("bn").trainable = False
    model.get_layer("first").trainable = False
    with pytest.raises(ArgumentError, match="no trainable weights"):
        d.gradient_norms(stack(keras.layers.ReLU()), X, X, loss="mse")
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert d.gradient_norms(model, X, Y).column("layer").tolist() == ["out"]
    dying = stack(dense(2, "relu", "dead", weight=keras.initializers.Constant(-1.0)), dense(1))
    assert d.gradient_norms(dying, np.abs(X), Y[:, None], loss="mse")[0].norm == 0


def test_weights_of_the_model_itself_have_a_row():
    class Scaled(keras.Model):
        def __init__(self):
            super().__init__(name="scaled")
            self.scale = self.add_weight(shape=(), initializer="ones")
            self.top = dense(1, name="top")

        def call(self, x):
            return self.scale * self.top(x)

    model = Scaled()
    model(X)
    table = d.gradient_norms(model, X, Y[:, None], loss="mse")
    assert table.column("layer").tolist() == ["top", "scaled"]
    assert (table.column("norm") > 0).all()


def test_embedding_gradients_are_dense():
    model = stack(keras.layers.Embedding(10, 3), keras.layers.Flatten(), dense(1), shape=(2,))
    table = d.gradient_norms(model, np.array([[1, 1], [2, 3]]), [[1.0], [2.0]], loss="mse")
    assert table[0].norm > 0


def test_vanishing_gradients_are_seen_in_a_deep_sigmoid_net_but_not_with_relu_and_he():
    def ratio(activation, initializer, seed):
        keras.utils.set_random_seed(seed)
        layers = [
            keras.layers.Dense(40, activation=activation, kernel_initializer=initializer)
            for _ in range(10)
        ]
        model = stack(*layers, keras.layers.Dense(3, activation="softmax"))
        loss = "sparse_categorical_crossentropy"
        norms = d.gradient_norms(model, X, Y, loss=loss).column("norm")
        return norms[0] / norms[-1]

    for seed in range(3):
        assert ratio("sigmoid", "glorot_normal", seed) < 1e-3
        assert 0.1 < ratio("relu", "he_normal", seed) < 10


# Dead units


def test_dead_units_of_a_net_computed_by_hand():
    model = stack(dense(3, "relu", "r"), shape=(1,))
    model.layers[0].set_weights([np.array([[1.0, -1.0, 0.0]]), np.array([0.0, 0.0, -1.0])])
    assert d.dead_units(model, [[1.0], [2.0]])[0] == d.DeadUnits("r", 3, 2, 2 / 3)
    assert d.dead_units(model, [[1.0], [-2.0]])[0].dead == 1


def test_a_channel_is_dead_only_if_it_is_zero_everywhere():
    model = stack(keras.layers.ReLU(name="r"), shape=(2, 2, 3))
    x = np.full((2, 2, 2, 3), -1.0)
    x[1, 0, 1, 2] = 5.0
    assert d.dead_units(model, x)[0] == d.DeadUnits("r", 3, 2, 2 / 3)


@pytest.mark.parametrize(
    ("layer", "can_die"),
    [
        (dense(2, "relu"), True),
        (dense(2, "relu6"), True),
        (dense(2, tf.nn.relu), True),
        (dense(2, keras.layers.ReLU()), True),
        (keras.layers.ReLU(), True),
        (keras.layers.Activation("relu"), True),
        (keras.layers.ReLU(negative_slope=0.1), False),
        (keras.layers.LeakyReLU(), False),
        (dense(2, "elu"), False),
        (dense(2), False),
    ],
)
def test_only_relus_can_die(layer, can_die):
    table = d.dead_units(stack(layer, shape=(2,)), [[-1.0, -2.0]])
    assert [row.share for row in table] == ([1.0] if can_die else [])


@pytest.mark.parametrize("batch_size", [1, 6, 100])
def test_batches_do_not_change_the_count(batch_size):
    model = stack(dense(30, "relu", weight="he_normal"))
    expected = ((X @ np.array(model.layers[0].kernel)) <= 0).all(axis=0).sum()
    assert d.dead_units(model, X, batch_size=batch_size)[0].dead == expected


# All together


def test_the_model_is_left_bit_for_bit_as_it_was():
    model = classifier()
    model.fit(X, Y, epochs=1, verbose=0)
    before, calls = everything(model), [layer.call for layer in model.layers]
    for measure in [
        lambda: d.layer_statistics(model, X),
        lambda: d.gradient_norms(model, X, Y),
        lambda: d.dead_units(model, X),
    ]:
        first = measure()
        for value, after in zip(before, everything(model), strict=True):
            np.testing.assert_array_equal(value, after)
        assert [layer.call for layer in model.layers] == calls
        assert repr(measure()) == repr(first)


def test_a_failure_in_the_model_leaves_no_hook_behind():
    model = classifier()
    calls = [layer.call for layer in model.layers]
    with pytest.raises(ValueError, match="incompatible with the layer"):
        d.layer_statistics(model, X[:, :2])
    assert [layer.call for layer in model.layers] == calls


def test_loggers_measure_before_and_after_each_epoch_and_change_no_training():
    watched, alone = classifier(), classifier()
    loggers = [d.LayerStatisticsLogger(X), d.GradientNormLogger(X, Y), d.DeadUnitsLogger(X)]
    for model, callbacks in [(watched, loggers), (alone, [])]:
        keras.utils.set_random_seed(5)
        model.fit(X, Y, epochs=2, verbose=0, callbacks=callbacks)
    for ours, theirs in zip(watched.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)

    statistics, norms, dead = loggers
    assert statistics.epochs == norms.epochs == dead.epochs == [0, 1, 2]
    assert statistics.column("std").shape == (3, 4)
    assert norms.column("norm").shape == (3, 3)
    assert dead.column("dead").shape == (3, 1)
    for logger, now, name in [
        (statistics, d.layer_statistics(watched, X), "std"),
        (norms, d.gradient_norms(watched, X, Y), "norm"),
    ]:
        np.testing.assert_allclose(logger.column(name)[-1], now.column(name), rtol=1e-5)
        assert not np.allclose(logger.column(name)[0], now.column(name), rtol=1e-5)

    watched.fit(X, Y, epochs=3, initial_epoch=2, verbose=0, callbacks=[norms])
    assert norms.epochs == [2, 3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: d.layer_statistics(m, X[:0]), "x must hold at least one sample"),
        (lambda m: d.layer_statistics(m, 3.0), "x must hold at least one sample"),
        (
            lambda m: d.layer_statistics(m, X, batch_size=0),
            "batch_size: expected a whole number from 1 up, got 0",
        ),
        (lambda m: d.layer_statistics(m, X, saturation=0.5), "saturation: expected a number in"),
        (lambda m: d.gradient_norms(m, X, Y[:3]), "got 20 and 3 samples"),
        (lambda m: d.gradient_norms(stack(dense(3)), X, Y), "needs a loss"),
        (lambda m: d.GradientNormLogger(X, Y[:0]), "y must hold at least one sample"),
    ],
)
def test_bad_arguments_are_one_sentence(call, message):
    with pytest.raises(ArgumentError, match=message):
        call(classifier())


@pytest.mark.parametrize("x", [[X, X[:2]], {"a": X}, "abc", None])
def test_anything_but_one_array_is_a_type_error(x):
    with pytest.raises(TypeError, match="x must be one array of numbers"):
        d.dead_units(classifier(), x)


def test_anything_but_a_model_is_a_type_error():
    with pytest.raises(TypeError, match="model: expected a Keras model, got Dense"):
        d.layer_statistics(dense(2), X)


def test_a_table_prints_aligned_and_names_its_columns():
    table = Table([d.DeadUnits("hidden", 100, 7, 0.07), d.DeadUnits("b", 5, 0, 0.0)])
    assert repr(table).splitlines() == [
        "layer   units  dead  share",
        "hidden    100     7   0.07",
        "b           5     0      0",
    ]
    with pytest.raises(ArgumentError, match="no column 'norm'; its columns are: layer, units"):
        table.column("norm")
    assert repr(Table([])) == "(no rows)"
    with pytest.raises(ArgumentError, match="the table is empty"):
        Table([]).column("layer")
