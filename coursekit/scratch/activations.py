r"""Activation functions and their derivatives, written as in their papers.

Each takes an array `z` of any shape and returns a float64 array of that shape; exp is only taken
where it cannot overflow. `name_derivative(z)` is the derivative at z; at a kink it is the slope to
the left of it, as in TensorFlow.

>>> relu([-1.0, 0.0, 2.0]).tolist()
[0.0, 0.0, 2.0]
>>> sigmoid_derivative(0.0).item()
0.25
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf

from coursekit.errors import ArgumentError
from coursekit.scratch._arguments import real_array

# Klambauer et al. 2017: the fixed point (mean 0, variance 1) of the SELU map.
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def linear(z: Any) -> np.ndarray:
    """Return z itself."""
    return real_array("z", z).copy()


def linear_derivative(z: Any) -> np.ndarray:
    """Return 1 everywhere."""
    return np.ones_like(real_array("z", z))


def sigmoid(z: Any) -> np.ndarray:
    """Logistic sigmoid 1 / (1 + exp(−z)), written so that exp never overflows."""
    z = real_array("z", z)
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def sigmoid_derivative(z: Any) -> np.ndarray:
    """σ(z)(1 − σ(z)) = σ(z) σ(−z), at most 0.25."""
    z = real_array("z", z)
    return sigmoid(z) * sigmoid(-z)


def tanh(z: Any) -> np.ndarray:
    """Hyperbolic tangent, 2σ(2z) − 1."""
    return np.tanh(real_array("z", z))


def tanh_derivative(z: Any) -> np.ndarray:
    """1 − tanh²(z), at most 1."""
    return 1 - tanh(z) ** 2


def softplus(z: Any) -> np.ndarray:
    """Softplus: log(1 + exp(z)), the smooth ReLU (Dugas et al. 2001)."""
    return np.logaddexp(0, real_array("z", z))


def softplus_derivative(z: Any) -> np.ndarray:
    """σ(z)."""
    return sigmoid(z)


def relu(z: Any) -> np.ndarray:
    """ReLU: max(0, z) (Nair & Hinton 2010)."""
    return np.maximum(0, real_array("z", z))


def relu_derivative(z: Any) -> np.ndarray:
    """1 for z > 0, else 0."""
    return (real_array("z", z) > 0).astype(np.float64)


def leaky_relu(z: Any, negative_slope: float = 0.2) -> np.ndarray:
    """Leaky ReLU: z for z > 0, else negative_slope · z (Maas et al. 2013, who took 0.01).

    The default is that of `keras.activations.leaky_relu`; `keras.layers.LeakyReLU` has 0.3.
    """
    z = real_array("z", z)
    return np.where(z > 0, z, negative_slope * z)


def leaky_relu_derivative(z: Any, negative_slope: float = 0.2) -> np.ndarray:
    """1 for z > 0, else negative_slope."""
    return np.where(real_array("z", z) > 0, 1.0, negative_slope)


def elu(z: Any, alpha: float = 1.0) -> np.ndarray:
    """ELU: z for z > 0, else alpha · (exp(z) − 1) (Clevert et al. 2016)."""
    z = real_array("z", z)
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def elu_derivative(z: Any, alpha: float = 1.0) -> np.ndarray:
    """1 for z > 0, else alpha · exp(z)."""
    z = real_array("z", z)
    return np.where(z > 0, 1.0, alpha * np.exp(np.minimum(z, 0)))


def selu(z: Any) -> np.ndarray:
    """SELU: 1.0507… · ELU(z) with alpha 1.6733… (Klambauer et al. 2017, eq. 2)."""
    return SELU_SCALE * elu(z, SELU_ALPHA)


def selu_derivative(z: Any) -> np.ndarray:
    """1.0507… times ELU's derivative."""
    return SELU_SCALE * elu_derivative(z, SELU_ALPHA)


def gelu(z: Any) -> np.ndarray:
    """GELU: z Φ(z), with Φ the standard normal distribution function (Hendrycks & Gimpel 2016).

    This is the exact form, as in Keras by default; the paper also gives a tanh approximation.
    """
    z = real_array("z", z)
    return z * (1 + erf(z / np.sqrt(2))) / 2


def gelu_derivative(z: Any) -> np.ndarray:
    """Φ(z) + z φ(z), with φ the standard normal density."""
    z = real_array("z", z)
    density = np.exp(-(np.clip(z, -40, 40) ** 2) / 2) / np.sqrt(2 * np.pi)
    return (1 + erf(z / np.sqrt(2))) / 2 + z * density


def swish(z: Any, beta: float = 1.0) -> np.ndarray:
    """Swish: z σ(βz) (Ramachandran et al. 2017); β = 1 is SiLU, `keras.activations.silu`."""
    z = real_array("z", z)
    return z * sigmoid(beta * z)


def swish_derivative(z: Any, beta: float = 1.0) -> np.ndarray:
    """σ(βz) + βz σ(βz)(1 − σ(βz))."""
    z = real_array("z", z)
    return sigmoid(beta * z) + beta * z * sigmoid_derivative(beta * z)


def mish(z: Any) -> np.ndarray:
    """Mish: z tanh(softplus(z)) (Misra 2020)."""
    z = real_array("z", z)
    return z * np.tanh(softplus(z))


def mish_derivative(z: Any) -> np.ndarray:
    """Product rule: tanh(s) + z (1 − tanh²(s)) σ(z), with s = softplus(z)."""
    z = real_array("z", z)
    t = np.tanh(softplus(z))
    return t + z * (1 - t**2) * sigmoid(z)


ACTIVATIONS: dict[str, tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]] = {
    "linear": (linear, linear_derivative),
    "sigmoid": (sigmoid, sigmoid_derivative),
    "tanh": (tanh, tanh_derivative),
    "softplus": (softplus, softplus_derivative),
    "relu": (relu, relu_derivative),
    "leaky_relu": (leaky_relu, leaky_relu_derivative),
    "elu": (elu, elu_derivative),
    "selu": (selu, selu_derivative),
    "gelu": (gelu, gelu_derivative),
    "swish": (swish, swish_derivative),
    "mish": (mish, mish_derivative),
}


def get(name: str) -> tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]:
    """Return (function, derivative) by name; ArgumentError lists the names there are.

    >>> function, derivative = get("swish")
    >>> function(0.0).item(), derivative(0.0).item()
    (0.0, 0.5)
    """
    if name not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise ArgumentError(f"There is no activation {name!r}: choose one of {known}.")
    return ACTIVATIONS[name]
