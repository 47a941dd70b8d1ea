"""Exercise 01: gradient norms, against backpropagation written out in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import close_each, rng
from coursekit.checks.kit.values import array, describe

Gradients = list[list[np.ndarray]]  # for each layer: of the kernel, and of the bias if it has one


def check_gradient_norms(answer: Any) -> None:
    """One norm for each layer, of kernel and bias together; the weights stay."""
    for name, biases in (("all with bias", True), ("one without bias", False)):
        model, x, y = _model(name, middle_bias=biases)
        before = model.get_weights()
        result = call(answer, model, x, y)
        moved = any(
            not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)
        )
        if moved:
            raise Wrong(
                "The weights of the model have changed: measure the gradient, do not train."
            )
        _compare(result, model, before, x, y)


def _model(name: str, *, middle_bias: bool) -> tuple[Any, np.ndarray, np.ndarray]:
    from coursekit.base.keras import keras

    draw, dense = rng(name), keras.layers.Dense
    model = keras.Sequential(
        [
            keras.Input((2, 3)),
            keras.layers.Flatten(),
            dense(5, activation="tanh"),
            dense(4, use_bias=middle_bias),
            keras.layers.Activation("tanh"),
            dense(3, activation="softmax"),
        ]
    )
    model.set_weights([draw.normal(0, 0.8, w.shape) for w in model.get_weights()])
    model.compile(keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
    x = draw.normal(size=(12, 2, 3)).astype("float32")
    return model, x, draw.integers(0, 3, 12).astype("int32")


def gradients(
    weights: Sequence[np.ndarray], x: np.ndarray, y: np.ndarray, *, softmax_twice: bool = False
) -> Gradients:
    """Gradients of the mean cross-entropy for a tanh net that ends in softmax."""
    layers: list[list[np.ndarray]] = []
    for array_ in weights:  # a kernel starts a layer, a bias belongs to the one before
        if array_.ndim == 2:
            layers.append([])
        layers[-1].append(array_.astype(float))
    inputs = [x.reshape(len(x), -1).astype(float)]
    for parts in layers:
        z = inputs[-1] @ parts[0] + (parts[1] if len(parts) > 1 else 0)
        inputs.append(np.tanh(z) if parts is not layers[-1] else _softmax(z))
    p, truth = inputs.pop(), np.eye(layers[-1][0].shape[1])[y]
    delta = p - truth
    if softmax_twice:
        outer = _softmax(p) - truth
        delta = p * (outer - np.sum(outer * p, axis=1, keepdims=True))
    delta, found = delta / len(x), []
    for parts, below in zip(layers[::-1], inputs[::-1], strict=True):
        found.append([below.T @ delta, delta.sum(axis=0)][: len(parts)])
        delta = (delta @ parts[0].T) * (1 - below**2)
    return found[::-1]


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _norm(parts: Sequence[np.ndarray]) -> float:
    return float(np.sqrt(sum(np.sum(part**2) for part in parts)))


def _compare(
    result: Any, model: Any, weights: list[np.ndarray], x: np.ndarray, y: np.ndarray
) -> None:
    if not hasattr(result, "__len__"):
        raise Wrong(f"Expected a list with one number for each layer, got {describe(result)}.")
    right = gradients(weights, x, y)
    if len(result) != len(right):
        _wrong_length(len(result), model, len(right), len(weights))
    got = array(result, "Your list of norms", shape=(len(right),))

    def is_(want: Sequence[float]) -> bool:
        return close_each([got], [np.array(want)], 1e-3)[0]

    if is_([_norm(parts) for parts in right]):
        return
    for reason, wrong in _mistakes(right, weights, x, y).items():
        if is_(wrong()):
            raise Wrong(reason)
    raise Wrong(
        "Your numbers are not the norms of the gradients of the mean cross-entropy, kernel and "
        "bias of a layer together."
    )


def _wrong_length(n: int, model: Any, layers: int, variables: int) -> None:
    if n == len(model.layers):
        raise Wrong(
            f"Your list has {n} numbers, one for each layer; those without weights have none."
        )
    if n == variables:
        raise Wrong(
            f"Your list has {n} numbers, one for each kernel and each bias. Those of one layer "
            "belong together in one number."
        )
    raise Wrong(f"Your list has {n} numbers for a model with {layers} layers that have weights.")


def _mistakes(
    right: Gradients, weights: list[np.ndarray], x: np.ndarray, y: np.ndarray
) -> dict[str, Callable[[], list[float]]]:
    norms = [_norm(parts) for parts in right]
    sizes = [sum(part.size for part in parts) for parts in right]
    own = iter(weights)
    groups = [[next(own) for _ in parts] for parts in right]
    return {
        "The order is wrong: the layer next to the input comes first.": lambda: norms[::-1],
        "Only the kernels count in your norms; the bias' gradient belongs to it.": (
            lambda: [_norm(parts[:1]) for parts in right]
        ),
        "Only the biases count in your norms.": lambda: [_norm(parts[-1:]) for parts in right],
        "You add the norms of kernel and bias; it is the squares that add up under one root.": (
            lambda: [sum(_norm([part]) for part in parts) for parts in right]
        ),
        "The root is missing: these are the squares of the norms.": lambda: [v**2 for v in norms],
        "The loss is summed over the batch; its mean is wanted.": lambda: [
            v * len(x) for v in norms
        ],
        "These are root mean squares: you divide by the number of weights under the root.": (
            lambda: [v / s**0.5 for v, s in zip(norms, sizes, strict=True)]
        ),
        "You add absolute values; the norm is the root of the sum of squares.": (
            lambda: [sum(np.abs(part).sum() for part in parts) for parts in right]
        ),
        "You take the largest element; the norm is the root of the sum of squares.": (
            lambda: [max(np.abs(part).max() for part in parts) for parts in right]
        ),
        "These are the norms of the weights, not of their gradients.": (
            lambda: [_norm(parts) for parts in groups]
        ),
        "The softmax is applied twice: your loss expects logits, but the model already ends in "
        "one.": lambda: [_norm(p) for p in gradients(weights, x, y, softmax_twice=True)],
    }
