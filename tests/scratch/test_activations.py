"""Activations against scipy and Keras, derivatives against finite differences."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import special, stats

from coursekit.base.keras import keras
from coursekit.errors import ArgumentError
from coursekit.scratch import activations as act

GRID = np.linspace(-8, 8, 400)  # an even number of points: 0, the kink, is not among them

SCIPY = {
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "softplus": lambda z: -special.log_expit(-z),
    "relu": lambda z: (z + np.abs(z)) / 2,
    "elu": lambda z: np.where(z > 0, z, special.expm1(z)),
    "gelu": lambda z: z * stats.norm.cdf(z),
    "swish": lambda z: z * special.expit(z),
    "mish": lambda z: z * np.tanh(special.logsumexp([np.zeros_like(z), z], axis=0)),
}
KERAS = {name: getattr(keras.activations, name) for name in SCIPY if name != "swish"} | {
    "linear": keras.activations.linear,
    "leaky_relu": keras.activations.leaky_relu,
    "selu": keras.activations.selu,
    "swish": keras.activations.silu,
}


def test_importing_scratch_loads_no_tensorflow():
    code = "import sys, coursekit.scratch; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", SCIPY)
def test_function_equals_scipy(name):
    np.testing.assert_allclose(act.get(name)[0](GRID), SCIPY[name](GRID), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", KERAS)
def test_function_equals_keras_in_float64(name):
    expected = np.asarray(KERAS[name](keras.ops.convert_to_tensor(GRID, dtype="float64")))
    # Keras rounds SELU's constants and GELU's √2 to float32 on the way.
    np.testing.assert_allclose(act.get(name)[0](GRID), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", act.ACTIVATIONS)
def test_derivative_equals_finite_differences(name):
    function, derivative = act.get(name)
    h = 1e-5
    numerical = (function(GRID + h) - function(GRID - h)) / (2 * h)
    np.testing.assert_allclose(derivative(GRID), numerical, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "parameter"),
    [("leaky_relu", {"negative_slope": 0.01}), ("elu", {"alpha": 2.0}), ("swish", {"beta": 1.702})],
)
def test_parameters_reach_function_and_derivative(name, parameter):
    function, derivative = act.get(name)
    assert not np.allclose(function(GRID, **parameter), function(GRID))
    h = 1e-5
    numerical = (function(GRID + h, **parameter) - function(GRID - h, **parameter)) / (2 * h)
    np.testing.assert_allclose(derivative(GRID, **parameter), numerical, atol=1e-8)


@pytest.mark.parametrize("name", act.ACTIVATIONS)
@pytest.mark.parametrize("z", [-1e300, -1e4, 0.0, 1e4, 1e300])
def test_extreme_inputs_give_finite_values_without_a_warning(name, z):
    function, derivative = act.get(name)
    assert np.isfinite(function(z))
    assert np.isfinite(derivative(z))


@pytest.mark.parametrize(
    ("name", "left"),
    [("relu", 0.0), ("leaky_relu", 0.2), ("elu", 1.0), ("selu", 1.7580993408473766)],
)
def test_derivative_at_zero_is_the_slope_to_its_left(name, left):
    assert act.get(name)[1](0.0) == pytest.approx(left)


def test_gelu_has_its_minimum_where_the_curriculum_says():
    z = np.linspace(-2, 0, 20_001)
    values = act.gelu(z)
    assert values.min() == pytest.approx(-0.17, abs=0.001)
    assert z[values.argmin()] == pytest.approx(-0.75, abs=0.01)


def test_swish_with_beta_1_702_is_within_0_021_of_gelu():
    z = np.linspace(-10, 10, 20_001)
    assert 0.015 < np.abs(act.swish(z, 1.702) - act.gelu(z)).max() < 0.021


def test_selu_keeps_mean_0_and_variance_1_of_a_standard_normal():
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    values = act.selu(nodes)
    mean = (weights * values).sum() / weights.sum()
    variance = (weights * values**2).sum() / weights.sum() - mean**2
    assert mean == pytest.approx(0, abs=2e-3)
    assert variance == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("name", act.ACTIVATIONS)
def test_input_is_left_alone_and_the_result_is_a_new_float64_array(name):
    z = np.array([[-1, 0, 2]])
    for function in act.get(name):
        result = function(z)
        assert result.dtype == np.float64
        assert result.shape == z.shape
    as_float = z.astype(float)
    act.get(name)[0](as_float)[...] = 99
    np.testing.assert_array_equal(as_float, z)


def test_empty_input_gives_empty_output():
    assert act.mish(np.empty((0, 3))).shape == (0, 3)


def test_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(ArgumentError, match=r"no activation 'rellu'.*leaky_relu"):
        act.get("rellu")


def test_text_is_refused():
    with pytest.raises(TypeError, match="z must be an array of real numbers"):
        act.relu(["a"])
