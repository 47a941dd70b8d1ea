"""The nets on which rules for the range test are compared: small, quick, and unlike each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from coursekit.base.keras import keras

_opt = keras.optimizers


@dataclass(frozen=True)
class Net:
    """One net of the comparison: `middle` is the middle of its grid of rates."""

    depth: int
    units: int
    activation: str
    init: str
    optimizer: Callable[[], keras.optimizers.Optimizer]
    middle: float
    batch_norm: bool = False
    convolutions: bool = False
    standardized: bool = False

    def build(self, shape: tuple[int, ...], seed: int) -> keras.Model:
        """Return the net with the initial weights of `seed`; its outputs are logits."""
        keras.utils.set_random_seed(seed)
        layers = [keras.Input(shape)]
        if self.convolutions:
            if len(shape) == 2:
                layers.append(keras.layers.Reshape((*shape, 1)))
            layers += [
                keras.layers.Conv2D(
                    n, 3, strides=2, activation="relu", kernel_initializer=self.init
                )
                for n in (8, 16)
            ]
        layers.append(keras.layers.Flatten())
        for _ in range(self.depth):
            layers.append(keras.layers.Dense(self.units, kernel_initializer=self.init))
            if self.batch_norm:
                layers.append(keras.layers.BatchNormalization())
            layers.append(keras.layers.Activation(self.activation))
        return keras.Sequential([*layers, keras.layers.Dense(10)])


NETS = {
    "2x64 ReLU, SGD": Net(2, 64, "relu", "he_normal", _opt.SGD, 0.1),
    "2x64 ReLU, momentum": Net(2, 64, "relu", "he_normal", lambda: _opt.SGD(momentum=0.9), 0.03),
    "10x50 ELU, Nadam": Net(10, 50, "elu", "he_normal", _opt.Nadam, 1e-3, standardized=True),
    "10x50 ReLU BN, Adam": Net(10, 50, "relu", "he_normal", _opt.Adam, 3e-3, batch_norm=True),
    "6x64 SELU, SGD": Net(6, 64, "selu", "lecun_normal", _opt.SGD, 0.03, standardized=True),
    "20x32 Swish BN, Nadam": Net(
        20, 32, "swish", "he_normal", _opt.Nadam, 3e-3, batch_norm=True, standardized=True
    ),
    "logistic regression, SGD": Net(0, 0, "linear", "glorot_uniform", _opt.SGD, 0.1),
    "small CNN, Adam": Net(1, 32, "relu", "he_normal", _opt.Adam, 3e-3, convolutions=True),
    "2x64 tanh, RMSprop": Net(2, 64, "tanh", "glorot_uniform", _opt.RMSprop, 1e-3),
    "3x64 ReLU, AdamW": Net(3, 64, "relu", "he_normal", _opt.AdamW, 1e-3, standardized=True),
}
DEVELOPMENT = {
    "1x128 ReLU, Nesterov": Net(
        1,
        128,
        "relu",
        "he_normal",
        lambda: _opt.SGD(momentum=0.9, nesterov=True),
        0.01,
        standardized=True,
    ),
    "5x50 ELU BN, SGD": Net(5, 50, "elu", "he_normal", _opt.SGD, 0.1, batch_norm=True),
    "4x64 ReLU, Adam": Net(4, 64, "relu", "he_normal", _opt.Adam, 1e-3),
    "8x50 Swish, Nadam": Net(8, 50, "swish", "he_normal", _opt.Nadam, 1e-3),
}
