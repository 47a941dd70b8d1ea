"""Exercise 15: read a net's weights however it was written, and compute its outputs in NumPy.

The weights are grouped by shape and name, in the order in which the net holds them. That this is
the order in which the net uses them shows when the outputs computed here agree with its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import describe

SHAPE, N_HIDDEN, UNITS, N_CLASSES = (32, 32, 3), 20, 100, 10
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_BN_EPSILON = 1e-3
_NAMES = ("bias", "gamma", "beta", "moving_mean", "moving_variance")


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(−z)) without overflow."""
    return 0.5 * (1 + np.tanh(z / 2))


def selu(z: np.ndarray) -> np.ndarray:
    """Return the SELU of z."""
    return SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0)))


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Swish": lambda z: z * sigmoid(z),
    "SELU": selu,
    "ReLU": lambda z: np.maximum(z, 0),
    "ELU": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "GELU": lambda z: 0.5 * z * (1 + np.tanh(0.7978845608 * (z + 0.044715 * z**3))),
    "tanh": np.tanh,
    "the sigmoid": sigmoid,
    "no activation at all": lambda z: z,
}


@dataclass
class Net:
    """A learner's model with its weights by role; each list in the net's own order.

    `kernels` are the 21 of the hidden layers and the output; `others` maps a name of `_NAMES` to
    the 1-D weights of the hidden layers that bear it.
    """

    model: Any
    kernels: list[Any]
    output_bias: Any
    others: dict[str, list[Any]] = field(default_factory=dict)

    def outputs(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return the class probabilities, shape (n, 10)."""
        return np.asarray(self.model(x, training=training), dtype=float)

    def values(self, name: str) -> list[np.ndarray]:
        return [np.asarray(weight, dtype=float) for weight in self.others[name]]

    def weights(self) -> list[np.ndarray]:
        """Return the kernels as arrays."""
        return [np.asarray(kernel, dtype=float) for kernel in self.kernels]


def images(name: str, n: int) -> np.ndarray:
    """Return n inputs as standardised images are: N(0, 1), float32."""
    return rng(name).normal(size=(n, *SHAPE)).astype("float32")


def build(answer: Callable[[], Any]) -> Net:
    """Call the learner's builder and read the weights of its model."""
    from coursekit.base.keras import keras

    if isinstance(answer, keras.Model):
        raise Wrong("This is a model; pass the function that builds it, without parentheses.")
    keras.utils.set_random_seed(15)  # the runner puts all seeds back
    model = call(answer)
    if not isinstance(model, keras.Model):
        raise Wrong(f"Expected a Keras model, got {describe(model)}.")
    try:
        out = np.asarray(model(images("shape", 3), training=False))
    except (ValueError, TypeError) as error:
        raise Wrong(
            f"The net does not take images of shape (n, 32, 32, 3) ({type(error).__name__}). "
            "A dense layer wants each image as one row of numbers."
        ) from None
    if out.shape != (3, N_CLASSES):
        raise Wrong(f"For 3 images your net gives the shape {out.shape}; expected (3, 10).")
    if (out < 0).any() or not np.allclose(out.sum(axis=1), 1, atol=1e-4):
        raise Wrong("The outputs are no class probabilities: no row may be negative or miss sum 1.")
    return _read(model)


def _read(model: Any) -> Net:
    kernels = [weight for weight in model.weights if len(weight.shape) == 2]
    shapes = [tuple(kernel.shape) for kernel in kernels]
    hidden = shapes[:-1]
    if len(hidden) != N_HIDDEN:
        raise Wrong(f"Your net has {len(hidden)} hidden dense layers; the task wants {N_HIDDEN}.")
    widths = {shape[1] for shape in hidden}
    if widths != {UNITS}:
        raise Wrong(f"Your hidden layers have {sorted(widths)} units; the task wants {UNITS} each.")
    if hidden[0][0] != int(np.prod(SHAPE)):
        raise Wrong(
            f"The first hidden layer sees {hidden[0][0]} numbers of an image; it has 32·32·3."
        )
    others = {name: [] for name in _NAMES}
    output_bias = None
    for weight in model.weights:
        name = next((n for n in _NAMES if weight.name.endswith(n)), None)
        if len(weight.shape) == 1 and name == "bias" and weight.shape[0] == N_CLASSES:
            output_bias = weight
        elif len(weight.shape) == 1 and name is not None and weight.shape[0] == UNITS:
            others[name].append(weight)
        elif len(weight.shape) != 2:
            raise Wrong(
                f"Besides dense layers of {UNITS} units your net has a weight `{weight.name}` of "
                f"shape {tuple(weight.shape)}; the task wants none."
            )
    return Net(model, kernels, output_bias, others)


def require_variance(net: Net, factor: int, initialiser: str) -> None:
    """Raise Wrong unless each hidden kernel was drawn with the variance factor / fan_in."""
    kernels = net.weights()[:-1]
    for kernel, following in pairwise(kernels):
        if np.array_equal(kernel, following):
            raise Wrong(
                "Two hidden layers begin with the very same weights. One initialiser object used "
                "twice draws the same numbers twice: make a new one for each layer, or give its "
                "name."
            )
    shares = [kernel.var() * len(kernel) for kernel in kernels]  # variance · fan_in
    if all(abs(share / factor - 1) < 0.1 for share in shares):
        return
    glorot = [2 * len(kernel) / sum(kernel.shape) for kernel in kernels]
    if np.allclose(shares, glorot, rtol=0.1):
        raise Wrong(
            "The hidden kernels are drawn with 2 / (fan_in + fan_out), by Glorot's initialiser, "
            f"which is Keras' default; the task wants {initialiser}'s."
        )
    for wrong, name in ((1, "LeCun"), (2, "He")):
        if np.allclose(shares, wrong, rtol=0.1):
            raise Wrong(f"The hidden kernels are drawn by {name}'s initialiser; this is another.")
    worst = int(np.argmax(np.abs(np.log(np.maximum(shares, 1e-12) / factor))))
    raise Wrong(
        f"At initialisation the kernel of hidden layer {worst + 1} has the variance "
        f"{kernels[worst].var():.3g} with fan_in {len(kernels[worst])}; {initialiser}'s "
        "initialiser gives another."
    )


def calibrate(net: Net, activation: str, name: str) -> None:
    """Give the net weights for which its outputs show every detail of the computation.

    Each hidden layer's sums get a standard deviation of about 1.5 and a bias, the logits one of 2.
    """
    draw = rng(name)
    h = images(name, 200).reshape(200, -1).astype(float)
    biases = iter(net.others["bias"])
    for kernel in net.kernels[:-1]:
        z = h @ np.asarray(kernel, dtype=float)
        scale, bias = 1.5 / z.std(), 0.0
        kernel.assign(np.asarray(kernel) * np.float32(scale))
        own = next(biases, None)
        if own is not None:
            bias = draw.normal(scale=0.4, size=UNITS)
            own.assign(bias)
        h = ACTIVATIONS[activation](z * scale + bias)
    kernel = np.asarray(net.kernels[-1])
    net.kernels[-1].assign(kernel * np.float32(2 / (h @ kernel).std()))


def hidden_outputs(net: Net, x: np.ndarray, activation: str) -> list[np.ndarray]:
    """Return the outputs of the 20 hidden layers of a plain stack, each of shape (n, 100)."""
    biases = net.values("bias") or [np.zeros(UNITS)] * N_HIDDEN
    h, outputs = x.reshape(len(x), -1).astype(float), []
    for kernel, bias in zip(net.weights()[:-1], biases, strict=True):
        h = ACTIVATIONS[activation](h @ kernel + bias)
        outputs.append(h)
    return outputs


def normalised_output(
    net: Net, x: np.ndarray, activation: str, *, averages: bool, after: bool = False
) -> np.ndarray:
    """Return the last hidden layer's output with batch normalisation before the activation.

    With the moving averages or with the batch's own statistics; `after` the activation is the
    usual mistake.
    """
    apply = ACTIVATIONS[activation]
    ones, zeros = [np.ones(UNITS)] * N_HIDDEN, [np.zeros(UNITS)] * N_HIDDEN
    columns = zip(
        net.weights()[:-1],
        net.values("gamma") or ones,
        net.values("beta") or zeros,
        net.values("moving_mean"),
        net.values("moving_variance"),
        strict=True,
    )
    h = x.reshape(len(x), -1).astype(float)
    for kernel, gamma, beta, mean, variance in columns:
        z = apply(h @ kernel) if after else h @ kernel
        if not averages:
            mean, variance = z.mean(axis=0), z.var(axis=0)
        z = gamma * (z - mean) / np.sqrt(variance + _BN_EPSILON) + beta
        h = z if after else apply(z)
    return h


def probabilities(net: Net, h: np.ndarray) -> np.ndarray:
    """Return the softmax of the output layer for the last hidden layer's output."""
    bias = 0.0 if net.output_bias is None else np.asarray(net.output_bias, dtype=float)
    logits = h @ net.weights()[-1] + bias
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def agree(got: np.ndarray, want: np.ndarray) -> bool:
    """Return whether two arrays of probabilities are the same up to rounding in float32."""
    return bool(np.abs(got - want).max() < 0.01)
