"""Layers with a forward and a backward pass.

Every layer has `forward(x, training=False)`, `backward(grad)` and the dicts `params` and `grads`
with the same names. `forward` takes samples along the first axis and features along the last.
`backward` takes the gradient of the loss with respect to the last output, fills `grads` anew and
returns the gradient with respect to that input. The mathematics is in `_forward` and `_backward`,
the checks of shapes are in `coursekit.scratch.base`.
"""

from __future__ import annotations

import numpy as np

from coursekit.base.numbers import number, whole_number
from coursekit.scratch import activations
from coursekit.scratch._arguments import Seed, generator
from coursekit.scratch.base import Layer
from coursekit.scratch.initialisers import Initialiser, zeros
from coursekit.scratch.initialisers import get as get_initialiser
from coursekit.scratch.losses import SoftmaxCrossEntropy

__all__ = [
    "Activation",
    "BatchNorm",
    "Dense",
    "Dropout",
    "LayerNorm",
    "ReLU",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "Tanh",
]


class Dense(Layer):
    """Fully connected layer y = x W + b (backpropagation: Rumelhart, Hinton & Williams 1986).

    W: (fan_in, fan_out), drawn by `initialiser` (a name or a function of shape and seed);
    b: (fan_out,), zero at the start, absent with `use_bias=False`.

    >>> Dense(3, 2, initialiser="zeros").forward([[1.0, 2.0, 3.0]]).tolist()
    [[0.0, 0.0]]
    """

    def __init__(
        self,
        fan_in: int,
        fan_out: int,
        *,
        initialiser: str | Initialiser = "glorot_uniform",
        use_bias: bool = True,
        seed: Seed = None,
    ) -> None:
        super().__init__()
        shape = (whole_number("fan_in", fan_in, least=1), whole_number("fan_out", fan_out, least=1))
        self.n_features = fan_in
        self.params["W"] = get_initialiser(initialiser)(shape, seed=generator(seed))
        if use_bias:
            self.params["b"] = zeros((fan_out,))

    def _forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self._x = x
        return x @ self.params["W"] + self.params.get("b", 0)

    def _backward(self, grad: np.ndarray) -> np.ndarray:
        W = self.params["W"]
        rows = grad.reshape(-1, W.shape[1])
        self.grads = {"W": self._x.reshape(-1, W.shape[0]).T @ rows}
        if "b" in self.params:
            self.grads["b"] = rows.sum(axis=0)
        return grad @ W.T


class Activation(Layer):
    """Any activation of `coursekit.scratch.activations` as a layer: y = f(x).

    Parameters of the function are passed on: `Activation("leaky_relu", negative_slope=0.01)`.

    >>> Activation("elu").forward([[3.0, 0.0]]).tolist()
    [[3.0, 0.0]]
    """

    def __init__(self, name: str, **parameters: float) -> None:
        super().__init__()
        self._f, self._derivative = activations.get(name)
        self._parameters = parameters

    def _forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self._x = x
        return self._f(x, **self._parameters)

    def _backward(self, grad: np.ndarray) -> np.ndarray:
        return grad * self._derivative(self._x, **self._parameters)


class Sigmoid(Layer):
    """y = σ(x); its derivative y(1 − y) comes from the output alone."""

    def _forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self._y = activations.sigmoid(x)
        return self._y

    def _backward(self, grad: np.ndarray) -> np.ndarray:
        return grad * self._y * (1 - self._y)


class Tanh(Layer):
    """y = tanh(x); its derivative is 1 − y²."""

    def _forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self._y = np.tanh(x)
        return self._y

    def _backward(self, grad: np.ndarray) -> np.ndarray:
        return grad * (1 - self._y**2)


class ReLU(Layer):
    """y = max(0, x); the gradient passes where x > 0 (at exactly 0 it does not, as in Keras)."""

    def _forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self._positive = x > 0
        return np.maximum(0, x)

    def _backward(self, grad: np.ndarray) -> np.ndarray:
        return grad * self._positive


class BatchNorm(Layer):
    """Batch normalisation over all axes but the last (Ioffe & Szegedy 2015, algorithms 1 and 2).

    Training:  x̂ = (x − μ) / √(σ² + ε) with the batch's mean and variance, y = γ x̂ + β, and
    v̂ ← v̂ · momentum + v · (1 − momentum) for both moving averages. Otherwise they stand in.
    gamma, beta, `moving_mean`, `moving_variance`: (n_features,). Keras averages the batch's σ²
    (divided by n) as it is; the paper corrects it to n − 1 for use at test time.

    >>> layer = BatchNorm(1)
    >>> layer.forward([[1.0], [3.0]], training=True).round(3).tolist()
    [[-1.0], [1.0]]
    >>> layer.moving_mean.round(3).tolist()
    [0.02]
    """

    def __init__(self, n_features: int, *, momentum: float = 0.99, epsilon: float = 1e-3) -> None:
        super().__init__()
        self.n_features = whole_number("n_features", n_features, least=1)
        self.momentum = number("momentum", momentum, 0, 1, ends="[]")
        self.epsilon = number("epsilon", epsilon, 0, ends="()")
        self.params = {"gamma": np.ones(n_features), "beta": np.zeros(n_features)}
        self.moving_mean, self.moving_variance = np.zeros(n_features), np.ones(n_features)

    def _forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self._batch_axes, self._training = tuple(range(x.ndim - 1)), training
        mean, variance = self.moving_mean, self.moving_variance
        if training:
            mean, variance = x.mean(self._batch_axes), x.var(self._batch_axes)
            m = self.momentum
            self.moving_mean = self.moving_mean * m + mean * (1 - m)
            self.moving_variance = self.moving_variance * m + variance * (1 - m)
        self._std = np.sqrt(variance + self.epsilon)
        self._x_hat = (x - mean) / self._std
        return self.params["gamma"] * self._x_hat + self.params["beta"]

    def _backward(self, grad: np.ndarray) -> np.ndarray:
        axes, x_hat = self._batch_axes, self._x_hat
        self.grads = {"gamma": (grad * x_hat).sum(axes), "beta": grad.sum(axes)}
        grad = grad * self.params["gamma"]
        if self._training:  # the batch's mean and variance depend on x, too
            grad = grad - grad.mean(axes) - x_hat * (grad * x_hat).mean(axes)
        return grad / self._std


class LayerNorm(Layer):
    """Layer normalisation: each sample by its own mean and variance (Ba et al. 2016, eq. 3, 4).

    y = γ (x − μ) / √(σ² + ε) + β over the last axis, alike in training and at test, for any batch
    size. gamma, beta: (n_features,). The paper has no ε; Keras adds 1e-3.

    >>> LayerNorm(2).forward([[1.0, 3.0]]).round(3).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(self, n_features: int, *, epsilon: float = 1e-3) -> None:
        super().__init__()
        self.n_features = whole_number("n_features", n_features, least=1)
        self.epsilon = number("epsilon", epsilon, 0, ends="()")
        self.params = {"gamma": np.ones(n_features), "beta": np.zeros(n_features)}

    def _forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self._std = np.sqrt(x.var(-1, keepdims=True) + self.epsilon)
        self._x_hat = (x - x.mean(-1, keepdims=True)) / self._std
        return self.params["gamma"] * self._x_hat + self.params["beta"]

    def _backward(self, grad: np.ndarray) -> np.ndarray:
        x_hat, samples = self._x_hat, tuple(range(grad.ndim - 1))
        self.grads = {"gamma": (grad * x_hat).sum(samples), "beta": grad.sum(samples)}
        grad = grad * self.params["gamma"]
        projection = x_hat * (grad * x_hat).mean(-1, keepdims=True)
        return (grad - grad.mean(-1, keepdims=True) - projection) / self._std


class Dropout(Layer):
    """Inverted dropout: y = x · mask / (1 − rate) in training, y = x otherwise.

    Srivastava et al. 2014, section 4, multiply the weights by the keep probability at test time;
    dividing by it while training, as Keras does, keeps the same expected value and leaves
    prediction alone. `rate` in [0, 1): Keras also takes 1, which drops everything.

    >>> y = Dropout(0.5, seed=0).forward([[1.0] * 6], training=True)
    >>> sorted(set(y.ravel().tolist()))
    [0.0, 2.0]
    """

    def __init__(self, rate: float, *, seed: Seed = None) -> None:
        super().__init__()
        self.rate = number("rate", rate, 0, 1)
        self._rng = generator(seed)

    def _forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self._mask: np.ndarray | float = 1.0
        if training and self.rate > 0:
            self._mask = (self._rng.random(x.shape) >= self.rate) / (1 - self.rate)
        return x * self._mask

    def _backward(self, grad: np.ndarray) -> np.ndarray:
        return grad * self._mask
