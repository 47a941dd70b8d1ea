"""Layers against Keras (forward and gradients) and against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from coursekit.base.keras import keras, tf
from coursekit.errors import ArgumentError
from coursekit.scratch import layers as nn
from coursekit.scratch.finite_differences import gradient_check

SHAPES = [(1, 3), (5, 1), (8, 6), (2, 4, 5), (3, 2, 2, 4)]
KINDS = {
    "Dense": lambda d: (nn.Dense(d, 4, seed=0), keras.layers.Dense(4, dtype="float64")),
    "Dense without bias": lambda d: (
        nn.Dense(d, 4, use_bias=False, seed=0),
        keras.layers.Dense(4, use_bias=False, dtype="float64"),
    ),
    "Sigmoid": lambda d: (nn.Sigmoid(), keras.layers.Activation("sigmoid", dtype="float64")),
    "Tanh": lambda d: (nn.Tanh(), keras.layers.Activation("tanh", dtype="float64")),
    "ReLU": lambda d: (nn.ReLU(), keras.layers.ReLU(dtype="float64")),
    "LeakyReLU": lambda d: (
        nn.Activation("leaky_relu", negative_slope=0.3),
        keras.layers.LeakyReLU(dtype="float64"),
    ),
    "BatchNorm": lambda d: (nn.BatchNorm(d), keras.layers.BatchNormalization(dtype="float64")),
    "LayerNorm": lambda d: (nn.LayerNorm(d), keras.layers.LayerNormalization(dtype="float64")),
    "Dropout 0": lambda d: (nn.Dropout(0), keras.layers.Dropout(0, dtype="float64")),
}


def twins(kind, shape, seed=0):
    """A layer, its Keras twin with the same random parameters, an input and an output gradient."""
    rng = np.random.default_rng(seed)
    ours, theirs = KINDS[kind](shape[-1])
    theirs.build(shape)
    for name in ours.params:
        ours.params[name] = rng.normal(1, 0.5, ours.params[name].shape)
    weights = list(ours.params.values())
    if isinstance(ours, nn.BatchNorm):
        ours.moving_mean = rng.normal(size=shape[-1])
        ours.moving_variance = rng.uniform(0.5, 2, shape[-1])
        weights += [ours.moving_mean, ours.moving_variance]
    theirs.set_weights(weights)
    x = rng.normal(1, 2, shape)
    return ours, theirs, x, rng.normal(size=ours.forward(x).shape)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_forward_and_backward_equal_keras(kind, shape, training):
    ours, theirs, x, grad = twins(kind, shape)
    with tf.GradientTape() as tape:
        x_tensor = tf.constant(x)
        tape.watch(x_tensor)
        expected = theirs(x_tensor, training=training)
        loss = tf.reduce_sum(expected * grad)
    d_x, d_weights = tape.gradient(loss, [x_tensor, theirs.trainable_weights])
    np.testing.assert_allclose(ours.forward(x, training=training), expected, atol=1e-9)
    np.testing.assert_allclose(ours.backward(grad), d_x, atol=1e-9)
    assert ours.grads.keys() == ours.params.keys()
    for name, expected_gradient in zip(ours.params, d_weights, strict=True):
        np.testing.assert_allclose(ours.grads[name], expected_gradient, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [*KINDS, "Dropout"])
def test_backward_passes_the_gradient_check(kind, shape, training):
    if kind == "Dropout":
        layer, x = nn.Dropout(0.4, seed=1), np.random.default_rng(0).normal(size=shape)
    else:
        layer, _, x, _ = twins(kind, shape, seed=1)
    assert gradient_check(layer, x, training=training) < 1e-6


@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.99, 1.0])
def test_moving_averages_follow_keras_over_many_batches(momentum):
    ours = nn.BatchNorm(4, momentum=momentum)
    theirs = keras.layers.BatchNormalization(momentum=momentum, dtype="float64")
    rng = np.random.default_rng(2)
    for n in [32, 1, 7, 32]:
        x = rng.normal(3, 2, (n, 4))
        ours.forward(x, training=True)
        theirs(x, training=True)
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, atol=1e-9)
    np.testing.assert_allclose(ours.moving_variance, theirs.moving_variance, atol=1e-9)
    np.testing.assert_allclose(ours.forward(x), theirs(x, training=False), atol=1e-9)


def test_prediction_moves_no_average():
    layer = nn.BatchNorm(2)
    layer.forward([[5.0, 6.0], [7.0, 8.0]])
    assert layer.moving_mean.tolist() == [0, 0]
    assert layer.moving_variance.tolist() == [1, 1]


def test_batch_of_one_and_constant_features_normalise_to_beta():
    layer = nn.BatchNorm(2)
    layer.params["beta"] = np.array([3.0, -1.0])
    assert layer.forward([[7.0, 9.0]], training=True).tolist() == [[3.0, -1.0]]
    assert layer.forward([[4.0, 4.0]] * 5, training=True).tolist() == [[3.0, -1.0]] * 5
    assert np.isfinite(layer.backward(np.ones((5, 2)))).all()


def test_constant_samples_layer_normalise_to_beta():
    layer = nn.LayerNorm(3)
    layer.params["beta"] = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(layer.forward([[5.0, 5.0, 5.0]]), [[1.0, 2.0, 3.0]])


def test_zero_gradient_gives_zero_gradients():
    for kind in KINDS:
        layer, _, _, grad = twins(kind, (8, 6))
        assert not layer.backward(np.zeros_like(grad)).any()
        assert not any(g.any() for g in layer.grads.values())


def test_gradients_are_replaced_not_summed():
    layer = nn.Dense(2, 1, seed=0)
    for _ in range(2):
        layer.forward([[1.0, 2.0]])
        layer.backward([[1.0]])
    assert layer.grads["W"].tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_drops_the_rate(rate):
    y = nn.Dropout(rate, seed=0).forward(np.ones((1000, 200)), training=True)
    assert y.mean() == pytest.approx(1, abs=0.02)
    assert (y == 0).mean() == pytest.approx(rate, abs=0.01)
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - rate)])


def test_dropout_sends_the_gradient_through_the_same_mask():
    layer = nn.Dropout(0.5, seed=0)
    y = layer.forward(np.ones((50, 4)), training=True)
    np.testing.assert_array_equal(layer.backward(np.ones((50, 4))), y)


def test_dropout_at_prediction_is_the_identity_and_draws_nothing():
    layer = nn.Dropout(0.5, seed=0)
    x = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)
    first = layer.forward(x, training=True)
    np.testing.assert_array_equal(first, nn.Dropout(0.5, seed=0).forward(x, training=True))


def test_two_unseeded_layers_differ():
    assert not np.array_equal(nn.Dense(3, 3).params["W"], nn.Dense(3, 3).params["W"])


@pytest.mark.parametrize("n", [1, 9])
def test_cross_entropy_equals_keras_for_labels_and_probabilities(n):
    rng = np.random.default_rng(n)
    logits, labels = rng.normal(0, 5, (n, 4)), rng.integers(0, 4, n)
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64")
    loss = nn.SoftmaxCrossEntropy()
    assert loss.forward(logits, labels=labels) == pytest.approx(float(expected(labels, logits)))
    np.testing.assert_allclose(loss.probabilities, special.softmax(logits, axis=1))
    soft = special.softmax(rng.normal(size=(n, 4)), axis=1)
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, dtype="float64")
    assert loss.forward(logits, labels=soft) == pytest.approx(float(expected(soft, logits)))


@pytest.mark.parametrize("labels", [[0, 3, 3], np.full((3, 4), 0.25)])
def test_cross_entropy_passes_the_gradient_check(labels):
    logits = np.random.default_rng(0).normal(size=(3, 4))
    assert gradient_check(nn.SoftmaxCrossEntropy(labels), logits) < 1e-6


def test_cross_entropy_of_huge_logits_stays_finite():
    loss = nn.SoftmaxCrossEntropy()
    assert loss.forward([[1e4, -1e4], [1e4, -1e4]], labels=[0, 1]) == pytest.approx(1e4)
    assert loss.backward().tolist() == [[0.0, 0.0], [0.5, -0.5]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "needs labels"),
        ([0, 4], r"lie in 0 … 3.*got 0 … 4"),
        ([-1, 0], r"got -1 … 0"),
        ([0], r"labels of shape \(2,\) or \(2, 4\), got \(1,\)"),
        (np.ones((2, 4)), "sum to 1"),
    ],
)
def test_bad_labels_are_refused(labels, message):
    with pytest.raises(ArgumentError, match=message):
        nn.SoftmaxCrossEntropy().forward(np.zeros((2, 4)), labels=labels)


def test_fractional_labels_are_a_type_error():
    with pytest.raises(TypeError, match="whole numbers"):
        nn.SoftmaxCrossEntropy().forward(np.zeros((2, 4)), labels=[0.0, 1.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Dropout(1), r"rate: expected a number in \[0, 1\), got 1"),
        (lambda: nn.Dropout(-0.1), "rate: expected a number"),
        (lambda: nn.Dropout(float("nan")), "rate: expected a number"),
        (lambda: nn.Dense(0, 3), "fan_in: expected a whole number from 1 up"),
        (lambda: nn.BatchNorm(3, epsilon=0), r"epsilon: expected a number in \(0, inf\)"),
        (lambda: nn.BatchNorm(3, momentum=1.1), r"momentum: expected a number in \[0, 1\]"),
        (lambda: nn.Activation("rellu"), "no activation 'rellu'"),
        (lambda: nn.Dense(2, 2, initialiser="xavier"), "no initialiser 'xavier'"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def test_bad_inputs_are_refused():
    layer = nn.Dense(3, 2)
    with pytest.raises(ArgumentError, match="needs a forward pass first"):
        layer.backward(np.ones((1, 2)))
    with pytest.raises(ArgumentError, match=r"Dense expects 3 features, x has shape \(1, 4\)"):
        layer.forward(np.ones((1, 4)))
    with pytest.raises(ArgumentError, match="samples along axis 0"):
        layer.forward(np.ones(3))
    with pytest.raises(ArgumentError, match="at least one of each"):
        layer.forward(np.ones((0, 3)))
    layer.forward(np.ones((4, 3)))
    with pytest.raises(ArgumentError, match=r"the last output, \(4, 2\); grad has shape \(1, 2\)"):
        layer.backward(np.ones((1, 2)))
    with pytest.raises(TypeError, match="x must be an array of real numbers"):
        layer.forward([["a", "b", "c"]])
    with pytest.raises(TypeError, match="fan_in: expected a whole number"):
        nn.Dense(2.5, 2)
