"""Layers in a row: deep stacks for the experiments, and one training step."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from coursekit.base.numbers import whole_number
from coursekit.errors import ArgumentError
from coursekit.scratch._arguments import Seed, generator
from coursekit.scratch.base import Layer
from coursekit.scratch.initialisers import Initialiser
from coursekit.scratch.layers import Activation, BatchNorm, Dense, SoftmaxCrossEntropy
from coursekit.scratch.optimizers import Optimizer


class Sequential:
    """Layers one after the other; itself used like a layer.

    `params` and `grads` hold the layers' own arrays under "index.name", so that an optimizer that
    changes them in place changes the layers.

    >>> from coursekit.scratch.layers import ReLU
    >>> network = Sequential([Dense(4, 3, seed=0), ReLU(), Dense(3, 2, seed=1)])
    >>> list(network.params)
    ['0.W', '0.b', '2.W', '2.b']
    """

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.layers = list(layers)
        if not self.layers:
            raise ArgumentError("A network needs at least one layer.")

    @property
    def params(self) -> dict[str, np.ndarray]:
        """The parameters of all layers, by "index.name"."""
        return {
            f"{i}.{k}": v for i, layer in enumerate(self.layers) for k, v in layer.params.items()
        }

    @property
    def grads(self) -> dict[str, np.ndarray]:
        """The gradients of the last `backward`, under the names of `params`."""
        return {
            f"{i}.{k}": v for i, layer in enumerate(self.layers) for k, v in layer.grads.items()
        }

    def forward(self, x: Any, training: bool = False) -> np.ndarray:
        """Return the last layer's output for `x`, (n, features)."""
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def outputs(self, x: Any, training: bool = False) -> list[np.ndarray]:
        """Return every layer's output, the first layer's first: the forward pass under a lens."""
        outputs = []
        for layer in self.layers:
            x = layer.forward(x, training)
            outputs.append(x)
        return outputs

    def backward(self, grad: Any) -> np.ndarray:
        """Return ∂loss/∂x; each layer's `grads` are filled on the way down."""
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return grad


def deep_stack(
    units: Iterable[int],
    activation: str = "relu",
    initialiser: str | Initialiser = "he_normal",
    *,
    batch_norm: bool = False,
    n_classes: int | None = None,
    seed: Seed = None,
) -> Sequential:
    """Return Dense → (BatchNorm) → Activation, again and again.

    `units`: the number of inputs, then of each hidden layer's units. With `n_classes` a last Dense
    layer gives logits. Layers before a BatchNorm have no bias: β takes its part.

    >>> network = deep_stack([784, 100, 100], "tanh", "glorot_normal", n_classes=10, seed=0)
    >>> [type(layer).__name__ for layer in network.layers]
    ['Dense', 'Activation', 'Dense', 'Activation', 'Dense']
    """
    widths = [whole_number("units", n, least=1) for n in units]
    if len(widths) < 2:
        raise ArgumentError(f"units must name the inputs and at least one layer, got {widths}.")
    rng = generator(seed)
    layers: list[Layer] = []
    for fan_in, fan_out in pairwise(widths):
        layers.append(
            Dense(fan_in, fan_out, initialiser=initialiser, use_bias=not batch_norm, seed=rng)
        )
        if batch_norm:
            layers.append(BatchNorm(fan_out))
        layers.append(Activation(activation))
    if n_classes is not None:
        layers.append(Dense(widths[-1], n_classes, initialiser=initialiser, seed=rng))
    return Sequential(layers)


def train_step(
    network: Sequential, loss: SoftmaxCrossEntropy, optimizer: Optimizer, x: Any, labels: Any
) -> float:
    """Forward, backward, update on one mini-batch; return the loss before the update.

    >>> from coursekit.scratch.optimizers import SGD
    >>> network, loss, sgd = Sequential([Dense(1, 2, seed=0)]), SoftmaxCrossEntropy(), SGD(0.5)
    >>> x, y = [[-1.0], [1.0]], [0, 1]
    >>> losses = [train_step(network, loss, sgd, x, y) for _ in range(9)]
    >>> losses[-1] < losses[0]
    True
    """
    value = loss.forward(network.forward(x, training=True), labels=labels)
    network.backward(loss.backward())
    optimizer.update(network.params, network.grads)
    return float(value)
