"""Activation layers that Keras lacks: randomised leaky ReLU, Swish with a trainable β.

Both are saved and loaded with a model (import this module before `keras.models.load_model`), work
compiled with XLA and in mixed precision, and take inputs of any shape.
"""

from __future__ import annotations

from typing import Any

from coursekit.base.keras import keras
from coursekit.errors import ArgumentError

__all__ = ["RReLU", "TrainableSwish"]


@keras.saving.register_keras_serializable(package="coursekit")
class RReLU(keras.layers.Layer):
    """Randomised leaky ReLU (Xu, Wang, Chen & Li, arXiv:1505.00853, 2015, section 2.4).

    z for z ≥ 0, else a·z. In training each element draws its own slope a from U(lower, upper) in
    each step; otherwise a = (lower + upper) / 2. The paper draws 1/a from U(3, 8) and divides by
    the mean 5.5 at test time (a slope of 0.18); here, as in PyTorch, it is the slope that is
    uniform over the same range, and its mean is 0.23.

    Args:
        lower: smallest slope, 0 ≤ lower ≤ upper. With lower = upper this is a leaky ReLU.
        upper: largest slope, at most 1.
        seed: seed of the slopes; None for one of Keras' own.
        **kwargs: `name`, `dtype` and the like, as for every Keras layer.

    Raises:
        ArgumentError: slopes out of order or out of range.

    >>> import numpy as np
    >>> RReLU(0.1, 0.3)(np.array([-1.0, 2.0])).numpy().round(3).tolist()
    [-0.2..., 2.0]
    """

    def __init__(
        self, lower: float = 1 / 8, upper: float = 1 / 3, *, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= lower <= upper <= 1:
            raise ArgumentError(
                f"The slopes of RReLU must obey 0 ≤ lower ≤ upper ≤ 1; got {lower} and {upper}."
            )
        self.lower, self.upper, self.seed = float(lower), float(upper), seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the activation of `inputs`, of their shape."""
        slope = (self.lower + self.upper) / 2
        if training:
            slope = keras.random.uniform(
                keras.ops.shape(inputs),
                self.lower,
                self.upper,
                dtype=self.compute_dtype,
                seed=self.seed_generator,
            )
        return keras.ops.where(inputs >= 0, inputs, slope * inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what is needed to build the layer again."""
        own = {"lower": self.lower, "upper": self.upper, "seed": self.seed}
        return super().get_config() | own


@keras.saving.register_keras_serializable(package="coursekit")
class TrainableSwish(keras.layers.Layer):
    """Swish z·σ(βz) whose β is learned (Ramachandran, Zoph & Le, arXiv:1710.05941, 2017).

    β = 1 is SiLU, β = 1.702 nearly GELU, β → ∞ ReLU, β = 0 the line z/2. The paper learns one β
    per layer or per channel.

    Args:
        beta: value of β before training.
        per_unit: one β for each place on the last axis, shape (units,); else one number.
        **kwargs: `name`, `dtype` and the like, as for every Keras layer.

    Attributes:
        beta: the weight, a `keras.Variable`; there once the layer is built.

    >>> import numpy as np
    >>> layer = TrainableSwish()
    >>> layer(np.array([[0.0, 20.0]])).numpy().round(3).tolist(), layer.count_params()
    ([[0.0, 20.0]], 1)
    """

    def __init__(self, beta: float = 1.0, *, per_unit: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initial_beta, self.per_unit = float(beta), bool(per_unit)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make β."""
        shape = (input_shape[-1],) if self.per_unit else ()
        start = keras.initializers.Constant(self.initial_beta)
        self.beta = self.add_weight(shape=shape, initializer=start, name="beta")

    def call(self, inputs: Any) -> Any:
        """Return the activation of `inputs`, of their shape."""
        return inputs * keras.ops.sigmoid(self.beta * inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what is needed to build the layer again."""
        return super().get_config() | {"beta": self.initial_beta, "per_unit": self.per_unit}
