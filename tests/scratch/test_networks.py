"""The gradient check finds wrong backward passes; networks learn and equal Keras step by step."""

from __future__ import annotations

import numpy as np
import pytest

from coursekit.base.keras import keras
from coursekit.errors import ArgumentError
from coursekit.scratch import Sequential, deep_stack, gradient_check, train_step
from coursekit.scratch import layers as nn
from coursekit.scratch import optimizers as opt

X = np.random.default_rng(0).normal(size=(6, 4))


class WithoutTraining:
    """A layer as a learner writes it: no base class, no `training`, its own dicts."""

    def __init__(self, factor=2.0):
        self.params, self.factor = {"W": np.ones((4, 3))}, factor

    def forward(self, x):
        self.x = x
        return (x @ self.params["W"]) ** 2

    def backward(self, grad):
        inner = self.factor * grad * (self.x @ self.params["W"])
        self.grads = {"W": self.x.T @ inner}
        return inner @ self.params["W"].T


class WrongBias(nn.Dense):
    def _backward(self, grad):
        grad_x = super()._backward(grad)
        self.grads["b"] = grad.mean(axis=0)
        return grad_x


class ForgetsTheBatchStatistics(nn.BatchNorm):
    def _backward(self, grad):
        self._training = False
        return super()._backward(grad)


class OneWrongEntry(nn.Tanh):
    def _backward(self, grad):
        grad_x = super()._backward(grad)
        grad_x[-1, -1] *= 1.001
        return grad_x


@pytest.mark.parametrize(
    "layer", [WithoutTraining(1.0), WrongBias(4, 3), ForgetsTheBatchStatistics(4), OneWrongEntry()]
)
def test_a_wrong_backward_pass_is_found(layer):
    assert gradient_check(layer, X) > 1e-5


def test_a_learners_own_layer_without_training_passes():
    assert gradient_check(WithoutTraining(), X) < 1e-6


def test_a_function_of_no_parameters_needs_no_dicts():
    class Twice:
        def forward(self, x):
            return 2 * x

        def backward(self, grad):
            return 2 * grad

    assert gradient_check(Twice(), X) < 1e-6


def test_the_check_leaves_the_layer_and_the_input_as_found():
    layer, x = Sequential([nn.BatchNorm(4), nn.Dropout(0.5, seed=3)]), X.copy()
    gradient_check(layer, x)
    np.testing.assert_array_equal(x, X)
    assert layer.grads == {}
    assert not layer.layers[0].moving_mean.any()
    fresh = Sequential([nn.BatchNorm(4), nn.Dropout(0.5, seed=3)])
    np.testing.assert_array_equal(layer.forward(X, True), fresh.forward(X, True))


def test_tiny_gradients_are_still_checked():
    class Saturated(WithoutTraining):
        def forward(self, x):
            return 1e-6 * super().forward(x)

        def backward(self, grad):
            return super().backward(1e-6 * grad)

    assert gradient_check(Saturated(), X) < 1e-6
    assert gradient_check(Saturated(1.0), X) > 1e-4


def test_a_nan_is_not_a_pass():
    class Broken(nn.Tanh):
        def _backward(self, grad):
            return grad * np.nan

    assert not gradient_check(Broken(), X) < 1e-6


def test_only_some_entries_of_large_arrays_are_tried():
    calls = []

    class Counted(nn.Dense):
        def _forward(self, x, training):
            calls.append(1)
            return super()._forward(x, training)

    assert gradient_check(Counted(4, 100, use_bias=False), X, entries=5) < 1e-6
    assert len(calls) == 1 + 2 * (5 + 5)


def test_a_gradient_of_the_wrong_shape_or_none_is_named():
    class Transposed(WithoutTraining):
        def backward(self, grad):
            super().backward(grad)
            return self.x.T

    class Forgot(WithoutTraining):
        def backward(self, grad):
            grad_x = super().backward(grad)
            self.grads = {}
            return grad_x

    with pytest.raises(ArgumentError, match=r"gradient of shape \(4, 6\) for x.*\(6, 4\)"):
        gradient_check(Transposed(), X)
    with pytest.raises(ArgumentError, match=r"no gradient grads\['W'\]"):
        gradient_check(Forgot(), X)


@pytest.mark.parametrize("activation", ["sigmoid", "selu", "gelu", "mish"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_whole_network_passes_the_gradient_check(activation, batch_norm):
    network = deep_stack([4, 7, 5], activation, batch_norm=batch_norm, n_classes=3, seed=0)
    loss = nn.SoftmaxCrossEntropy([0, 1, 2, 0, 1, 2])
    assert gradient_check(Sequential([*network.layers, loss]), X) < 1e-6


def test_training_equals_keras_step_by_step():
    keras.utils.set_random_seed(0)
    theirs = keras.Sequential(
        [
            keras.Input((4,), dtype="float64"),
            keras.layers.Dense(8, use_bias=False, dtype="float64"),
            keras.layers.BatchNormalization(dtype="float64"),
            keras.layers.Activation("relu", dtype="float64"),
            keras.layers.Dense(3, dtype="float64"),
        ]
    )
    ours = deep_stack([4, 8], "relu", batch_norm=True, n_classes=3)
    for value, weight in zip(ours.params.values(), theirs.trainable_weights, strict=True):
        value[...] = weight
    theirs.compile(
        keras.optimizers.SGD(0.25, momentum=0.5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64"),
    )
    optimizer, loss = opt.Momentum(0.25, momentum=0.5), nn.SoftmaxCrossEntropy()
    labels = np.array([0, 1, 2, 0, 1, 2])
    for _ in range(20):
        expected = theirs.train_on_batch(X, labels)
        assert train_step(ours, loss, optimizer, X, labels) == pytest.approx(expected, abs=1e-6)
    for value, weight in zip(ours.params.values(), theirs.trainable_weights, strict=True):
        np.testing.assert_allclose(value, weight, atol=1e-9)


def test_outputs_lists_every_layers_output():
    network = deep_stack([4, 3, 2], "tanh", "glorot_normal", seed=0)
    outputs = network.outputs(X)
    assert [y.shape for y in outputs] == [(6, 3), (6, 3), (6, 2), (6, 2)]
    np.testing.assert_array_equal(outputs[1], np.tanh(outputs[0]))
    np.testing.assert_array_equal(outputs[-1], network.forward(X))


def test_he_keeps_the_scale_of_relu_over_50_layers_and_small_weights_lose_it():
    x = np.random.default_rng(1).normal(size=(100, 300))

    def small(shape, seed):
        return 0.01 * seed.standard_normal(shape)

    he = deep_stack([300] * 51, "relu", "he_normal", seed=0).outputs(x)
    tiny = deep_stack([300] * 51, "relu", small, seed=0).outputs(x)
    assert 1 / 3 < he[-1].std() / he[1].std() < 3
    assert tiny[-1].std() / tiny[1].std() < 1e-10


def test_a_constant_network_keeps_its_units_equal():
    network = Sequential([nn.Dense(4, 5, initialiser="zeros"), nn.Tanh(), nn.Dense(5, 3, seed=0)])
    network.layers[0].params["W"] += 0.3
    network.layers[2].params["W"][...] = 0.1
    loss, optimizer = nn.SoftmaxCrossEntropy(), opt.Adam(0.01)
    for _ in range(10):
        train_step(network, loss, optimizer, X, [0, 1, 2, 0, 1, 2])
    W = network.layers[0].params["W"]
    assert not np.allclose(W, 0.3)
    np.testing.assert_allclose(W, W[:, :1] * np.ones(5), atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sequential([]), "at least one layer"),
        (lambda: deep_stack([4]), "at least one layer"),
        (lambda: deep_stack([4, 0]), "units: expected a whole number from 1 up"),
        (lambda: gradient_check(nn.Tanh(), X, step=0), "step: expected a number"),
        (
            lambda: gradient_check(nn.Tanh(), X, entries=0),
            "entries: expected a whole number from 1 up",
        ),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
