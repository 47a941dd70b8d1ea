"""Look inside a Keras model: layer statistics, gradient norms, dead units.

Each is a function that returns a table with one row per layer, and a callback that keeps such a
table from before the first and after each epoch. The model is left as it was found: weights, moving
averages and dropout seeds. Layers of nested models have rows of their own, named "inner/dense".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from coursekit.analysis.running import Running
from coursekit.base.keras import keras, tf
from coursekit.base.layer_outputs import (
    as_array,
    layer_outputs,
    leaves,
    samples,
)
from coursekit.base.numbers import number
from coursekit.base.state import as_found, check_model
from coursekit.base.table import Table
from coursekit.errors import ArgumentError

# What the output of a saturating activation tends to on its left and on its right.
_LIMITS = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
}


class LayerStatistics(NamedTuple):
    """One layer's outputs, over all samples and units together."""

    layer: str
    shape: tuple[int, ...]
    mean: float
    std: float
    saturated: float
    zero: float


class GradientNorm(NamedTuple):
    """The gradient of the loss with respect to all trainable weights of one layer."""

    layer: str
    parameters: int
    norm: float
    rms: float


class DeadUnits(NamedTuple):
    """Units of one ReLU layer that give 0 for every sample."""

    layer: str
    units: int
    dead: int
    share: float


def layer_statistics(
    model: keras.Model, x: Any, *, saturation: float = 0.05, batch_size: int = 256
) -> Table:
    """Return the statistics of every layer's outputs for `x`, in inference mode.

    Args:
        model: a built Keras model with one input.
        x: samples, (n, …), n ≥ 1.
        saturation: outputs within this distance of either limit count as saturated.
        batch_size: samples in memory at a time; no influence on the result.

    Returns:
        A `Table` of `LayerStatistics` in the order in which the layers are listed: `shape` of one
        sample's output; `mean` and `std` over all samples and units; `saturated`, the share of
        outputs near the limits of a sigmoid or tanh (NaN for other activations); `zero`, the share
        that is exactly 0. Layers whose output is not one tensor of floats have no row.

    Raises:
        ArgumentError: no samples, a model not yet built, a number out of range.
        TypeError: `x` is not an array, `model` no Keras model.

    >>> import numpy as np, keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.ReLU(name="relu")])
    >>> layer_statistics(model, np.array([[-1.0, 3.0], [-2.0, 4.0]]))
    layer  shape  mean   std  saturated  zero
    relu       2  1.75  1.79          –   0.5
    """
    saturation = number("saturation", saturation, 0, 0.5, ends="()")
    running: dict[str, Running] = {}
    for name, layer, outputs in layer_outputs(model, x, batch_size):
        if name not in running:
            running[name] = Running(_LIMITS.get(_activation_name(layer)), saturation)
        running[name].add(outputs)
    return Table(
        LayerStatistics(name, one.shape, one.mean, one.std, one.saturated, one.zero)
        for name, one in ((name, running[name]) for name, _ in leaves(model) if name in running)
    )


def gradient_norms(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    loss: str | Callable[..., Any] | None = None,
    training: bool = True,
) -> Table:
    """Return the norm of the loss' gradient for every layer that has trainable weights.

    The loss is the mean over all samples, taken as one batch, plus the model's penalties.

    Args:
        model: a built Keras model with one input.
        x: samples, (n, …), n ≥ 1: as many as one training batch.
        y: targets, (n, …).
        loss: a loss' name or function of (y, predictions); by default the one it is compiled with.
        training: whether batch normalisation and dropout act as in training.

    Returns:
        A `Table` of `GradientNorm` in the order in which the layers are listed: `parameters`, how
        many trainable numbers the layer has; `norm`, the ℓ2 norm of their gradient; `rms`,
        norm / √parameters, which does not grow with the layer's size. Frozen layers have no row.

    Raises:
        ArgumentError: no samples, lengths that differ, no loss, a model not built or wholly frozen.
        TypeError: `x` or `y` is not an array, `model` no Keras model.

    >>> import numpy as np, keras
    >>> layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="dense")
    >>> model = keras.Sequential([keras.Input((2,)), layer])
    >>> gradient_norms(model, np.array([[3.0, 4.0]]), np.array([[5.0]]), loss="mse")
    layer  parameters  norm   rms
    dense           2    20  14.1
    """
    x, y = samples("x", x), samples("y", y)
    if len(x) != len(y):
        raise ArgumentError(f"x and y must be of one length, got {len(x)} and {len(y)} samples.")
    check_model(model)
    if loss is None and (not model.compiled or model.loss is None):
        raise ArgumentError("gradient_norms needs a loss: compile the model or pass loss=...")
    weights = {name: layer.trainable_weights for name, layer in leaves(model)}
    grouped = {id(weight) for group in weights.values() for weight in group}
    weights[model.name] = [w for w in model.trainable_weights if id(w) not in grouped]
    variables = [weight for group in weights.values() for weight in group]
    if not variables:
        raise ArgumentError("The model has no trainable weights: build it, or unfreeze a layer.")
    with as_found(model), tf.GradientTape() as tape:
        predictions = model(x, training=training)
        if loss is None:
            value = model.compute_loss(x, y, predictions, training=training)
        else:
            value = tf.reduce_mean(keras.losses.get(loss)(y, predictions))
            value += sum(model.losses)
    gradients = iter(
        tape.gradient(
            value, [v.value for v in variables], unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
    )
    rows = []
    for name, group in weights.items():
        squares = [np.sum(np.square(as_array(next(gradients)), dtype=np.float64)) for _ in group]
        if group:
            n, norm = sum(int(np.prod(w.shape)) for w in group), float(np.sqrt(sum(squares)))
            rows.append(GradientNorm(name, n, norm, norm / n**0.5))
    return Table(rows)


def dead_units(model: keras.Model, x: Any, *, batch_size: int = 256) -> Table:
    """Count the units of every ReLU layer that give 0 for each sample of `x`.

    A unit is a place on the last axis: of a Dense layer one output, of a convolution one channel,
    dead if it is 0 at each position of each image. Only layers that apply a ReLU can die: as
    `activation="relu"`, as `keras.layers.ReLU` (without a negative slope) or as `relu6`.

    Args:
        model: a built Keras model with one input.
        x: samples, (n, …), n ≥ 1: many, as a unit may be dead for a few only by chance.
        batch_size: samples in memory at a time; no influence on the result.

    Returns:
        A `Table` of `DeadUnits`: `units` of the layer, how many are `dead`, and their `share`.
        It is empty if there is no ReLU in the model.

    Raises:
        ArgumentError: no samples, a model not yet built, a number out of range.
        TypeError: `x` is not an array, `model` no Keras model.

    >>> import numpy as np, keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.ReLU(name="relu")])
    >>> dead_units(model, np.array([[-1.0, 3.0], [-2.0, 4.0]]))
    layer  units  dead  share
    relu       2     1    0.5
    """
    alive: dict[str, np.ndarray] = {}
    for name, layer, outputs in layer_outputs(model, x, batch_size):
        if _activation_name(layer) in ("relu", "relu6"):
            now = (outputs != 0).any(axis=tuple(range(outputs.ndim - 1)))
            alive[name] = alive.get(name, False) | now
    rows = []
    for name in [name for name, _ in leaves(model) if name in alive]:
        units, dead = alive[name].size, int((~alive[name]).sum())
        rows.append(DeadUnits(name, units, dead, dead / units))
    return Table(rows)


class _Logger(keras.callbacks.Callback):
    """Measures before the first epoch of a training and after each; starts anew with each fit."""

    def __init__(self, measure: Callable[[keras.Model], Table]) -> None:
        super().__init__()
        self._measure = measure
        self.epochs: list[int] = []
        self.history: list[Table] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.epochs, self.history = [], []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not self.history:
            self._keep(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._keep(epoch + 1)

    def _keep(self, epochs_done: int) -> None:
        self.epochs.append(epochs_done)
        self.history.append(self._measure(self.model))

    def column(self, name: str) -> np.ndarray:
        """Return one column of all tables, (measurements, layers)."""
        return np.array([table.column(name) for table in self.history])


class LayerStatisticsLogger(_Logger):
    """`layer_statistics` of `x` as training goes on.

    `history` holds the tables, `epochs` how many epochs were done at each (0 first), and
    `column("std")` an array (measurements, layers). The arguments are those of the function.

    >>> import numpy as np, keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="tanh")])
    >>> model.compile("sgd", "mse")
    >>> logger = LayerStatisticsLogger(np.ones((4, 2)))
    >>> _ = model.fit(np.ones((4, 2)), np.ones((4, 3)), epochs=2, verbose=0, callbacks=[logger])
    >>> logger.epochs, logger.column("std").shape
    ([0, 1, 2], (3, 1))
    """

    def __init__(self, x: Any, *, saturation: float = 0.05, batch_size: int = 256) -> None:
        x, options = samples("x", x), {"saturation": saturation, "batch_size": batch_size}
        super().__init__(lambda model: layer_statistics(model, x, **options))


class GradientNormLogger(_Logger):
    """`gradient_norms` on `x`, `y` as training goes on; see `LayerStatisticsLogger`."""

    def __init__(
        self, x: Any, y: Any, *, loss: str | Callable[..., Any] | None = None, training: bool = True
    ) -> None:
        x, y = samples("x", x), samples("y", y)
        super().__init__(lambda model: gradient_norms(model, x, y, loss=loss, training=training))


class DeadUnitsLogger(_Logger):
    """`dead_units` for `x` as training goes on; see `LayerStatisticsLogger`."""

    def __init__(self, x: Any, *, batch_size: int = 256) -> None:
        x = samples("x", x)
        super().__init__(lambda model: dead_units(model, x, batch_size=batch_size))


def _activation_name(layer: keras.layers.Layer) -> str:
    """Return the name of the function that a layer applies last, or ""."""
    activation = getattr(layer, "activation", layer)
    if isinstance(activation, keras.layers.ReLU):
        return "leaky_relu" if activation.negative_slope else "relu"
    return getattr(activation, "__name__", "")
