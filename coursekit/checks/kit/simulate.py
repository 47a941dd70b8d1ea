"""What training does to the weights of a small dense net, written out in NumPy.

The oracle of the checks on training: apart from Keras, and told what each step is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

Weights = list[np.ndarray]


class Step(NamedTuple):
    """One update: its rate and momentum, the layers it moves (None: all), the rows it sees.

    `forget` empties the velocities, or the averages, first: a new optimizer.
    """

    rate: float
    momentum: float = 0.0
    layers: Sequence[int] | None = None
    rows: slice | np.ndarray = slice(None)
    forget: bool = False


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis."""
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def loss_and_gradients(
    weights: Weights, x: np.ndarray, y: np.ndarray
) -> tuple[float, list[np.ndarray]]:
    """Return loss and gradients of a net: kernels and biases in turn, tanh between the layers.

    Whole labels (n,) mean softmax and cross-entropy, targets (n, outputs) mean squared error.
    """
    outputs = [np.asarray(x, float).reshape(len(x), -1)]
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        outputs.append(np.tanh(outputs[-1] @ kernel + bias))
    last = outputs[-1] @ weights[-2] + weights[-1]
    if y.ndim == 1:
        p = softmax(last)
        loss = -np.log(p[np.arange(len(y)), y]).mean()
        error = (p - np.eye(last.shape[1])[y]) / len(y)
    else:
        loss = np.mean((last - y) ** 2)
        error = 2 * (last - y) / last.size
    gradients: list[np.ndarray] = []
    for i in reversed(range(len(weights) // 2)):
        gradients[:0] = [outputs[i].T @ error, error.sum(axis=0)]
        error = (error @ weights[2 * i].T) * (1 - outputs[i] ** 2)
    return float(loss), gradients


def trained(
    weights: Weights,
    x: np.ndarray,
    y: np.ndarray,
    steps: Iterable[Step],
    kind: str = "sgd",
) -> Weights:
    """Return the weights after these steps of "sgd", "nesterov", "adam" or "nadam", as in Keras.

    >>> one = [np.array([[1.0]]), np.array([0.0])]
    >>> after = trained(one, np.ones((1, 1)), np.zeros((1, 1)), [Step(0.1)])
    >>> [float(w.item()) for w in after]
    [0.8, -0.2]
    """
    weights = [np.array(w, float) for w in weights]
    m, v = ([np.zeros_like(w) for w in weights] for _ in range(2))
    t, product = 0, 1.0
    for step in steps:
        if step.forget:
            m, v = ([np.zeros_like(w) for w in weights] for _ in range(2))
            t, product = 0, 1.0
        t += 1
        now, following = (0.9 * (1 - 0.5 * 0.96**k) for k in (t, t + 1))
        product *= now
        _, gradients = loss_and_gradients(weights, x[step.rows], y[step.rows])
        for i, g in enumerate(gradients):
            if step.layers is not None and i // 2 not in step.layers:
                continue
            if kind in ("sgd", "nesterov"):
                m[i] = step.momentum * m[i] - step.rate * g
                ahead = step.momentum * m[i] - step.rate * g
                weights[i] = weights[i] + (ahead if kind == "nesterov" else m[i])
                continue
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g**2
            m_hat = m[i] / (1 - 0.9**t)
            if kind == "nadam":
                m_hat = following * m[i] / (1 - product * following) + (1 - now) * g / (1 - product)
            weights[i] = weights[i] - step.rate * m_hat / (np.sqrt(v[i] / (1 - 0.999**t)) + 1e-7)
    return weights
