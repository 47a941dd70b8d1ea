"""RReLU and TrainableSwish: values, training and test, saving, XLA."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from coursekit.base.keras import keras, tf
from coursekit.errors import ArgumentError
from coursekit.nets.activations import RReLU, TrainableSwish

X = np.linspace(-5, 5, 41, dtype=np.float32).reshape(1, 41)


# RReLU


def test_rrelu_at_prediction_is_a_leaky_relu_with_the_mean_slope():
    expected = np.where(X > 0, X, (1 / 8 + 1 / 3) / 2 * X)
    np.testing.assert_allclose(RReLU()(X), expected, rtol=1e-6)
    np.testing.assert_allclose(RReLU()(X, training=False), expected, rtol=1e-6)


def test_rrelu_in_training_draws_uniform_slopes_for_negative_inputs_only():
    x = np.stack([-np.ones(50_000), np.full(50_000, 2.0)])
    negative, positive = np.asarray(RReLU(0.1, 0.4, seed=1)(x, training=True))
    assert (positive == 2).all()
    assert 0.1 <= -negative.max() < 0.101
    assert 0.399 < -negative.min() <= 0.4
    assert -negative.mean() == pytest.approx(0.25, abs=0.002)
    assert negative.std() == pytest.approx(0.3 / np.sqrt(12), rel=0.02)


def test_rrelu_draws_anew_in_each_step_and_repeats_with_its_seed():
    layer, twin = RReLU(seed=7), RReLU(seed=7)
    first, second = layer(-X, training=True), layer(-X, training=True)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(twin(-X, training=True), first)
    np.testing.assert_array_equal(twin(-X, training=True), second)


def test_rrelu_prediction_leaves_the_seed_alone():
    layer = RReLU(seed=7)
    layer(X)
    np.testing.assert_array_equal(layer(-X, training=True), RReLU(seed=7)(-X, training=True))


def test_rrelu_with_equal_ends_is_a_leaky_relu_in_training_too():
    leaky = keras.layers.LeakyReLU(negative_slope=0.2)(X)
    np.testing.assert_allclose(RReLU(0.2, 0.2)(X, training=True), leaky, rtol=1e-6)


def test_rrelu_from_0_to_0_is_relu():
    np.testing.assert_array_equal(RReLU(0, 0)(X, training=True), np.maximum(X, 0))


def test_rrelu_gradient_is_the_slope_that_was_drawn():
    x = tf.constant(-X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = RReLU(seed=0)(x, training=True)
    nonzero = X != 0
    np.testing.assert_allclose(tape.gradient(y, x)[nonzero], (y / x)[nonzero], rtol=1e-5)


@pytest.mark.parametrize(("lower", "upper"), [(0.4, 0.3), (-0.1, 0.3), (0.1, 1.1), (np.nan, 0.3)])
def test_rrelu_refuses_slopes_out_of_order_or_range(lower, upper):
    with pytest.raises(ArgumentError, match="must obey 0 ≤ lower ≤ upper ≤ 1"):
        RReLU(lower, upper)


# TrainableSwish


@pytest.mark.parametrize("beta", [-1.0, 0.0, 1.0, 1.702, 30.0])
def test_swish_equals_scipy(beta):
    expected = X * special.expit(beta * X.astype(np.float64))
    np.testing.assert_allclose(TrainableSwish(beta)(X), expected, atol=1e-6)


def test_swish_of_extreme_inputs_is_finite():
    y = np.asarray(TrainableSwish()(np.array([[-1e30, -100.0, 0.0, 1e30]], dtype=np.float32)))
    assert np.isfinite(y).all()


@pytest.mark.parametrize(("per_unit", "shape"), [(False, ()), (True, (41,))])
def test_swish_has_one_beta_or_one_per_unit(per_unit, shape):
    layer = TrainableSwish(2.0, per_unit=per_unit)
    layer.build((None, 41))
    assert [w.name for w in layer.trainable_weights] == ["beta"]
    assert layer.beta.shape == shape
    assert (np.array(layer.beta) == 2).all()


@pytest.mark.parametrize("per_unit", [False, True])
def test_swish_gradient_for_beta_is_the_formula(per_unit):
    layer = TrainableSwish(1.5, per_unit=per_unit)
    with tf.GradientTape() as tape:
        y = layer(X)
    s = special.expit(1.5 * X[0].astype(np.float64))
    expected = X[0] ** 2 * s * (1 - s)
    gradient = tape.gradient(y, layer.beta.value)
    np.testing.assert_allclose(gradient, expected if per_unit else expected.sum(), rtol=1e-4)


def test_swish_learns_the_beta_that_made_the_data():
    x = np.random.default_rng(0).normal(0, 2, (512, 1))
    y = x * special.expit(3 * x)
    model = keras.Sequential([keras.Input((1,)), TrainableSwish()])
    model.compile(keras.optimizers.Adam(0.1), "mse", jit_compile=True)
    for _ in range(150):
        model.train_on_batch(x, y)
    assert float(model.layers[0].beta) == pytest.approx(3, abs=0.1)


# Both


@pytest.mark.parametrize(
    "layer", [RReLU(0.1, 0.2, seed=3), TrainableSwish(1.5), TrainableSwish(0.5, per_unit=True)]
)
def test_a_model_is_saved_and_loaded_whole(layer, tmp_path):
    model = keras.Sequential([keras.Input((41,)), layer, keras.layers.Dense(2)])
    if isinstance(layer, TrainableSwish):
        layer.beta.assign(layer.beta * 1.25)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(X), model(X))
    assert loaded.layers[0].get_config() == layer.get_config()
    assert layer.get_config()["name"] == layer.name


@pytest.mark.parametrize("make", [lambda: RReLU(seed=3), TrainableSwish])
@pytest.mark.parametrize("training", [False, True])
def test_xla_gives_the_same_values(make, training):
    layer = make()
    layer.build((None, 41))

    @tf.function(jit_compile=True)
    def compiled(x):
        return layer.call(x, training=training) if isinstance(layer, RReLU) else layer.call(x)

    if isinstance(layer, RReLU):
        first, second = compiled(tf.constant(-X)), compiled(tf.constant(-X))
        assert np.array_equal(first, second) is not training
        slopes = (first / -X)[X > 0]
        assert np.all((slopes > 1 / 8 - 1e-6) & (slopes < 1 / 3 + 1e-6))
    else:
        np.testing.assert_allclose(compiled(tf.constant(X)), layer(X), atol=1e-6)


@pytest.mark.parametrize(
    "make", [RReLU, TrainableSwish, lambda **k: TrainableSwish(per_unit=True, **k)]
)
@pytest.mark.parametrize("shape", [(1, 3), (4, 2, 3), (2, 5, 5, 3)])
def test_any_shape_and_precision_is_kept(make, shape):
    x = np.random.default_rng(0).normal(size=shape)
    for policy, dtype in [("float64", "float64"), ("mixed_bfloat16", "bfloat16")]:
        layer = make(dtype=policy)
        for training in (False, True):
            y = layer(x, training=training) if isinstance(layer, RReLU) else layer(x)
            assert y.shape == shape
            assert y.dtype == dtype
        assert layer.compute_output_shape(shape) == shape


def test_they_serve_as_the_activation_of_another_layer():
    model = keras.Sequential([keras.Input((41,)), keras.layers.Dense(3, activation=RReLU())])
    assert model(X).shape == (1, 3)
