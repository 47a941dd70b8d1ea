"""The builders: layers, statistics at initialisation, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from coursekit.base.keras import keras
from coursekit.errors import ArgumentError
from coursekit.nets.builders import CIFAR10_VARIANTS, cifar10_net, mlp

L = keras.layers


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def hidden_kernels(model):
    return [layer.get_weights()[0] for layer in model.layers if isinstance(layer, L.Dense)][:-1]


def test_a_plain_stack_is_flatten_then_dense_and_activation_then_softmax():
    model = mlp((4, 5), 3, hidden=2, units=7, activation="relu")
    assert kinds(model) == ["Flatten", "Dense", "Activation", "Dense", "Activation", "Dense"]
    assert model.layers[-1].activation is keras.activations.softmax
    assert model.count_params() == (20 * 7 + 7) + (7 * 7 + 7) + (7 * 3 + 3)
    assert not model.compiled


def test_outputs_are_probabilities():
    y = mlp((6,), 4, hidden=1)(np.random.default_rng(0).normal(size=(5, 6))).numpy()
    assert y.shape == (5, 4)
    assert y.min() >= 0
    np.testing.assert_allclose(y.sum(axis=1), 1, atol=1e-6)


def test_no_hidden_layer_gives_softmax_regression():
    assert kinds(mlp((6,), 2, hidden=0)) == ["Flatten", "Dense"]


def test_batch_norm_comes_before_the_activation_and_replaces_the_bias():
    model = mlp((6,), 3, hidden=1, batch_norm=True)
    assert kinds(model)[1:4] == ["Dense", "BatchNormalization", "Activation"]
    assert not model.layers[1].use_bias
    assert model.layers[-1].use_bias


def test_dropout_follows_every_hidden_layer_and_alpha_dropout_only_the_last():
    model = mlp((6,), 3, hidden=2, dropout=0.2, alpha_dropout=0.1)
    assert kinds(model) == [
        "Flatten",
        *["Dense", "Activation", "Dropout"] * 2,
        "AlphaDropout",
        "Dense",
    ]
    assert [layer.rate for layer in model.layers if hasattr(layer, "rate")] == [0.2, 0.2, 0.1]


@pytest.mark.parametrize(
    "initializer",
    ["he_normal", keras.initializers.HeNormal(), keras.initializers.HeNormal(seed=3)],
)
def test_each_layer_draws_its_own_weights(initializer):
    first, second = hidden_kernels(mlp((50,), 2, hidden=2, units=50, initializer=initializer))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1
    assert first.std() == pytest.approx(np.sqrt(2 / 50), rel=0.1)


def test_a_seeded_initialiser_repeats_the_model():
    one, two = (
        mlp((9,), 2, hidden=3, initializer=keras.initializers.HeNormal(seed=3)) for _ in range(2)
    )
    for a, b in zip(hidden_kernels(one), hidden_kernels(two), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_activation_layer_is_copied_with_its_settings():
    given = L.PReLU(alpha_initializer=keras.initializers.Constant(0.25))
    model = mlp((6,), 2, hidden=2, units=5, activation=given)
    copies = [layer for layer in model.layers if isinstance(layer, L.PReLU)]
    assert len({id(layer) for layer in [given, *copies]}) == 3
    for layer in copies:
        np.testing.assert_array_equal(layer.get_weights()[0], np.full(5, 0.25, "float32"))


@pytest.mark.parametrize("variant", CIFAR10_VARIANTS)
def test_every_variant_has_twenty_hidden_layers_of_a_hundred(variant):
    model = cifar10_net(variant)
    assert [kernel.shape[1] for kernel in hidden_kernels(model)] == [100] * 20
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 10)
    assert model.name == variant


@pytest.mark.parametrize(
    ("variant", "gain", "activation"),
    [
        ("baseline", 2, keras.activations.swish),
        ("batch_norm", 2, keras.activations.swish),
        ("selu", 1, keras.activations.selu),
        ("alpha_dropout", 1, keras.activations.selu),
        ("one_cycle", 1, keras.activations.selu),
        ("combined", 2, keras.activations.swish),
    ],
)
def test_variants_pair_activation_and_initialiser(variant, gain, activation):
    model = cifar10_net(variant)
    for kernel in hidden_kernels(model):
        assert kernel.std() == pytest.approx(np.sqrt(gain / kernel.shape[0]), rel=0.05)
    used = [layer.activation for layer in model.layers if isinstance(layer, L.Activation)]
    assert used == [activation] * 20


def test_the_combined_net_augments_first_and_drops_units_last():
    model, plain = cifar10_net("combined"), cifar10_net("batch_norm")
    assert kinds(model) == ["ShiftAndFlip", *kinds(plain)[:-1], "Dropout", "Dense"]
    assert model.count_params() == plain.count_params()


def test_only_two_variants_have_alpha_dropout_once_before_the_output():
    for variant in CIFAR10_VARIANTS:
        model = cifar10_net(variant)
        places = [i for i, kind in enumerate(kinds(model)) if kind == "AlphaDropout"]
        expected = [len(model.layers) - 2] if variant in ("alpha_dropout", "one_cycle") else []
        assert places == expected


def test_the_selu_net_keeps_mean_and_deviation_on_standardised_inputs():
    keras.utils.set_random_seed(0)
    model = cifar10_net("selu")
    last_hidden = keras.Model(model.inputs, model.layers[-2].output)
    z = last_hidden.predict(np.random.default_rng(0).normal(size=(500, 32, 32, 3)), verbose=0)
    assert abs(z.mean()) < 0.15
    assert 0.7 < z.std() < 1.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (0,)}, "input_shape: expected a whole number from 1 up, got 0"),
        ({"n_classes": 1}, "n_classes: expected a whole number from 2 up, got 1"),
        ({"hidden": -1}, "hidden: expected a whole number from 0 up, got -1"),
        ({"units": 0}, "units: expected a whole number from 1 up, got 0"),
        ({"dropout": 1.0}, r"dropout: expected a number in \[0, 1\), got 1.0"),
        ({"alpha_dropout": float("nan")}, "alpha_dropout: expected a number"),
        ({"activation": "swoosh"}, r"activation must be a name Keras knows.*'swoosh'"),
        ({"initializer": "she_normal"}, r"initializer must be a name Keras knows.*'she_normal'"),
    ],
)
def test_values_out_of_range_are_refused(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        mlp(**{"input_shape": (6,), "n_classes": 3, "hidden": 1} | arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": 6}, "input_shape must be a tuple"),
        ({"hidden": True}, "hidden: expected a whole number from 0 up, got True"),
        ({"units": 10.5}, "units: expected a whole number from 1 up, got 10.5"),
        ({"n_classes": "10"}, "n_classes: expected a whole number from 2 up, got '10'"),
        ({"dropout": "0.1"}, "dropout: expected a number"),
    ],
)
def test_wrong_types_are_refused(arguments, message):
    with pytest.raises(TypeError, match=message):
        mlp(**{"input_shape": (6,), "n_classes": 3, "hidden": 1} | arguments)


def test_an_unknown_variant_is_answered_with_the_known_ones():
    with pytest.raises(
        ArgumentError, match=r"baseline, batch_norm, .*one_cycle, combined, but is 'bn'"
    ):
        cifar10_net("bn")
