"""Folding batch normalisation: same predictions, fewer parameters, original untouched."""

from __future__ import annotations

import numpy as np
import pytest

from coursekit.base.keras import keras
from coursekit.errors import ArgumentError
from coursekit.nets.folding import fold_batch_norm

L = keras.layers
BN = L.BatchNormalization


def unsettled(model):
    """Give every weight a random value, as if the model had been trained."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "variance" in weight.path:
            weight.assign(rng.uniform(0.3, 3, weight.shape))
        else:
            weight.assign(rng.normal(0.2, 0.6, weight.shape))
    return model


def sequential(shape, *layers):
    return unsettled(keras.Sequential([keras.Input(shape), *layers], name="net"))


def inputs_for(model):
    return np.random.default_rng(1).normal(size=(9, *model.input_shape[1:])).astype(np.float32)


def assert_folds(model, left):
    """The folded model predicts the same and has `left` BatchNorms; the original is as it was."""
    x, weights, config = inputs_for(model), model.get_weights(), model.to_json()
    expected = np.asarray(model(x))
    folded = fold_batch_norm(model)
    np.testing.assert_allclose(folded(x), expected, rtol=1e-4, atol=1e-4)
    before, after = (sum(isinstance(layer, BN) for layer in m.layers) for m in (model, folded))
    assert after == left
    assert (folded.count_params() < model.count_params()) is (after < before)
    assert type(folded) is type(model)
    assert folded.name == model.name
    assert model.to_json() == config
    for ours, was in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, was)
    assert not {id(w) for w in folded.weights} & {id(w) for w in model.weights}
    return folded


CHAINS = {
    "dense, bn": ([L.Dense(4), BN()], 0),
    "dense without bias, bn, activation": ([L.Dense(4, use_bias=False), BN(), L.ReLU()], 0),
    "bn first": ([BN(), L.Dense(4, activation="tanh")], 0),
    "bn first, no bias": ([BN(), L.Dense(4, use_bias=False)], 0),
    "bn on both sides": ([BN(), L.Dense(4), BN(), L.ReLU(), L.Dense(2)], 0),
    "bn after the activation": ([L.Dense(4, activation="relu"), BN(), L.Dense(2)], 0),
    "between two dense": ([L.Dense(4), BN(), L.Dense(2)], 0),
    "no scale": ([L.Dense(4), BN(scale=False)], 0),
    "no centre": ([L.Dense(4), BN(center=False, epsilon=0.1)], 0),
    "neither": ([L.Dense(4), BN(center=False, scale=False), L.Dense(2)], 0),
    "bn twice": ([L.Dense(4), BN(), BN(), L.Dense(2)], 0),
    "nothing beside it": ([L.Dense(4, activation="relu"), BN(), L.ReLU()], 1),
    "dropout between": ([L.ReLU(), BN(), L.Dropout(0.5), L.Dense(4)], 1),
    "no bn": ([L.Dense(4), L.ReLU()], 0),
    "a frozen one": ([L.Dense(4, trainable=False), BN(trainable=False), L.Dense(2)], 0),
    "a subclass of dense": ([type("Odd", (L.Dense,), {})(4), BN(), L.ReLU()], 1),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_dense_chains(chain):
    layers, left = CHAINS[chain]
    assert_folds(sequential((3,), *layers), left)


IMAGES = {
    "conv, bn": ([L.Conv2D(4, 3, use_bias=False), BN(), L.ReLU()], 0),
    "padded conv, bn": ([L.Conv2D(4, 3, padding="same", strides=2), BN(), L.ReLU()], 0),
    "grouped conv, bn": ([L.Conv2D(4, 1, groups=2), BN()], 0),
    "bn, conv": ([BN(), L.Conv2D(4, 3, activation="relu")], 0),
    "bn, dilated conv": ([BN(), L.Conv2D(4, 2, dilation_rate=2)], 0),
    "bn, padded conv": ([BN(), L.Conv2D(4, 3, padding="same")], 1),
    "bn, grouped conv": ([BN(), L.Conv2D(4, 1, groups=2)], 1),
    "bn over rows, conv": ([L.Conv2D(4, 3), BN(axis=1)], 1),
    "bn, dense on pixels": ([BN(axis=3), L.Dense(3)], 0),
    "depthwise, bn": ([L.DepthwiseConv2D(3), BN(), L.ReLU()], 1),
}


@pytest.mark.parametrize("chain", IMAGES)
def test_convolution_chains(chain):
    layers, left = IMAGES[chain]
    assert_folds(sequential((6, 6, 4), *layers), left)


def test_one_dimensional_convolutions():
    assert_folds(sequential((7, 3), L.Conv1D(4, 2), BN(), L.ReLU(), BN(), L.Conv1D(2, 2)), 0)
    assert_folds(sequential((7, 3), BN(), L.Conv1D(2, 2, padding="causal")), 1)


def test_the_capstones_net_loses_four_parameters_per_unit_and_gains_a_bias():
    hidden = [
        layer
        for _ in range(3)
        for layer in (L.Dense(5, use_bias=False), BN(), L.Activation("swish"))
    ]
    model = sequential((2, 2, 3), L.Flatten(), *hidden, L.Dense(10, activation="softmax"))
    folded = assert_folds(model, 0)
    assert model.count_params() - folded.count_params() == 3 * (4 - 1) * 5
    kept = [layer.name for layer in model.layers if not isinstance(layer, BN)]
    assert [layer.name for layer in folded.layers] == kept


def test_a_trained_compiled_model_folds_to_an_uncompiled_one_that_can_be_compiled():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), L.Dense(4), BN(), L.ReLU(), L.Dense(2)])

    def own_loss(y, predictions):  # nobody can load this by its name
        return keras.ops.mean((y - predictions) ** 2)

    model.compile("adam", own_loss)
    x = np.random.default_rng(0).normal(5, 3, (64, 3))
    model.fit(x, x[:, :2], epochs=2, verbose=0)
    folded = assert_folds(model, 0)
    assert model.compiled
    assert not folded.compiled
    folded.compile("sgd", "mse")
    assert np.isfinite(folded.evaluate(x, x[:, :2], verbose=0))


def functional(build, shape=(4,)):
    x = keras.Input(shape)
    return unsettled(keras.Model(x, build(x), name="net"))


def residual(x):
    h = L.Activation("relu")(BN(name="fold")(L.Dense(4)(x)))
    return L.Add()([x, BN(name="also")(L.Dense(4)(h))])


def used_twice(x):
    h = L.Dense(4)(x)
    return L.Add()([h, BN(name="stays")(h)])


def an_output_too(x):
    h = L.Dense(4)(x)
    return [h, BN(name="stays")(h)]


def shared_dense(x):
    dense = L.Dense(4)
    return L.Add()([BN(name="stays")(dense(x)), dense(dense(x))])


def two_readers(x):
    h = BN(name="stays")(L.Activation("relu")(x))
    return L.Add()([L.Dense(2)(h), L.Dense(2)(h)])


def by_operator(x):
    h = BN(name="fold")(L.Dense(4)(x))
    return h * 2.0 + x


@pytest.mark.parametrize(
    ("build", "left"),
    [
        (residual, 0),
        (used_twice, 1),
        (shared_dense, 1),
        (two_readers, 1),
        (by_operator, 0),
    ],
)
def test_functional_graphs(build, left):
    assert_folds(functional(build), left)


def test_several_outputs_keep_their_structure():
    model = functional(an_output_too)
    x = np.ones((2, 4), dtype=np.float32)
    folded = fold_batch_norm(model)
    for ours, theirs in zip(folded(x), model(x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    named = functional(lambda x: {"y": BN()(L.Dense(4)(x))})
    assert list(fold_batch_norm(named)(x)) == ["y"]
    np.testing.assert_allclose(fold_batch_norm(named)(x)["y"], named(x)["y"], rtol=1e-4)


def test_a_normalisation_that_always_trains_stays():
    model = functional(lambda x: BN(name="stays")(L.Dense(4)(x), training=True))
    assert any(isinstance(layer, BN) for layer in fold_batch_norm(model).layers)


def test_a_nested_model_is_copied_as_it_is():
    inner = keras.Sequential([keras.Input((4,)), L.Dense(4), BN()], name="inner")
    model = functional(lambda x: BN()(L.Dense(3)(inner(x))))
    folded = assert_folds(model, 0)
    assert len(folded.get_layer("inner").layers) == 2


def test_dropout_survives_for_monte_carlo_prediction():
    model = sequential((3,), L.Dense(40), BN(), L.ReLU(), L.Dropout(0.5, seed=1), L.Dense(2))
    folded = assert_folds(model, 0)
    x = inputs_for(model)
    assert not np.allclose(folded(x, training=True), folded(x, training=True))


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (keras.Sequential([L.Dense(3), BN()]), ArgumentError, "built Sequential or functional"),
        (type("Own", (keras.Model,), {})(), ArgumentError, "built Sequential or functional"),
        (L.Dense(2), TypeError, "expected a Keras model, got Dense"),
        (None, TypeError, "expected a Keras model, got NoneType"),
    ],
)
def test_anything_but_a_built_sequential_or_functional_model_is_refused(model, error, message):
    with pytest.raises(error, match=message):
        fold_batch_norm(model)
