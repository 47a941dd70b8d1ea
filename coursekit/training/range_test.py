"""The learning-rate range test: which learning rate does this model, with this data, bear?

Source: Leslie N. Smith, *Cyclical learning rates for training neural networks*, WACV 2017,
section 3.3. The rate grows exponentially from batch to batch; the loss first falls, then blows up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from coursekit.base.keras import keras, tf
from coursekit.base.numbers import whole_number
from coursekit.base.state import Snapshot, random_states_kept
from coursekit.errors import ArgumentError
from coursekit.training.arguments import without_loss_scale
from coursekit.training.range_rules import suggestion, trough

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FEWEST_POINTS = 8


@dataclass(frozen=True)
class RangeTest:
    """What a range test measured.

    Attributes:
        rates: learning rate of each step, shape (steps,).
        losses: each batch's own loss at that rate, before its update, shape (steps,).
        smoothed: losses averaged over a twentieth of all steps, centred, shape (steps,).
        suggestion: half of the middle of the curve's trough (see `range_rules`); NaN where the
            test cannot tell, `reason` then says why.
        diverged: whether the loss blew up before the largest rate was reached.
        reason: one sentence on how the suggestion came about.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggestion: float
    diverged: bool
    reason: str

    def plot(self) -> Figure:
        """Return a figure: loss of each batch and smoothed loss against the rate, log axis."""
        import matplotlib.pyplot as plt

        from coursekit.display.pictures import with_alt
        from coursekit.display.plotting import COLORS

        fig, ax = plt.subplots()
        ax.semilogx(self.rates, self.losses, ".", color=COLORS[7], markersize=3, label="each batch")
        ax.semilogx(self.rates, self.smoothed, "-", color=COLORS[0], label="smoothed")
        title = f"Range test: {self.reason}"
        if math.isfinite(self.suggestion):
            ax.axvline(self.suggestion, color=COLORS[1], linestyle="--")
            ax.annotate(
                f" suggestion {self.suggestion:.2g}",
                (self.suggestion, 0.97),
                xycoords=("data", "axes fraction"),
                color=COLORS[1],
                va="top",
            )
        finite = self.smoothed[np.isfinite(self.smoothed)]
        if finite.size:
            low, high = finite.min(), finite[0]
            ax.set_ylim(low - 0.15 * (high - low + 1e-9), high + 0.5 * (high - low + 1e-9))
        ax.set(xlabel="learning rate (log scale)", ylabel="training loss of the batch", title=title)
        ax.legend(loc="lower left")
        return with_alt(fig, self._told(title))

    def _told(self, title: str) -> str:
        """Return the picture's alternative text."""
        told = f"{title}. Smoothed training loss against the learning rate"
        finite = np.flatnonzero(np.isfinite(self.smoothed))
        if finite.size:
            first, best = finite[0], finite[np.argmin(self.smoothed[finite])]
            told += (
                f": {self.smoothed[first]:.3g} at {self.rates[first]:.2g}, lowest "
                f"{self.smoothed[best]:.3g} at {self.rates[best]:.2g}"
            )
        if math.isfinite(self.suggestion):
            told += f"; a dashed line marks the suggestion, {self.suggestion:.2g}"
        return told + "."


def lr_range_test(
    model: Any,
    x: np.ndarray,
    y: np.ndarray,
    *,
    min_lr: float = 1e-6,
    max_lr: float = 10.0,
    batch_size: int = 32,
    steps: int = 400,
    divergence: float = 4.0,
    seed: int = 0,
) -> RangeTest:
    """Train a compiled model at ever larger learning rates and report each batch's loss.

    Every variable that a training step reads or writes is left bit for bit as found, whatever
    happens: the weights, the optimizer's rate, step counter, slots and loss scale, the seeds of
    dropout and the state of each `tf.random.Generator`. So are the global generators of Python,
    NumPy, Keras and TensorFlow. A model that is not built yet is built. Batches are
    drawn from a shuffle by `seed`, and reshuffled when the data are used up.

    Args:
        model: a compiled Keras model.
        x, y: training data, shapes (n, ...) and (n, ...).
        min_lr, max_lr: first and last rate; the rates in between grow by a constant factor.
        batch_size: samples per step.
        steps: number of rates tried; 400 by default. In fewer than about 60 for each power of ten
            the blow-up comes late, and the suggestion is too high.
        divergence: stop when the smoothed loss exceeds the lowest so far by this factor, or is NaN.
        seed: of the shuffle.

    Raises:
        ArgumentError: for a model that is not compiled or whose optimizer holds a schedule, rates
            that do not grow, empty data, lengths that differ, and counts below 1.
        TypeError: for data that are no arrays, such as a data set, and counts that are no whole
            numbers.

    >>> import keras, numpy as np
    >>> keras.utils.set_random_seed(0)
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", loss="mse")
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> result = lr_range_test(model, x, 3 * x, steps=60)
    >>> 0.01 < result.suggestion < 1
    True
    """
    x, y = _array("x", x), _array("y", y)
    _check(model, x, y, min_lr, max_lr, divergence)
    size = min(whole_number("batch_size", batch_size, least=1), len(x))
    rates = np.geomspace(min_lr, max_lr, whole_number("steps", steps, least=1))
    losses: list[float] = []
    batches = _batches(len(x), size, np.random.default_rng(seed))
    diverged = False
    _build(model, x[:size], y[:size])
    step = _training_step(model)
    with _left_as_found(step, x[:size], y[:size]):
        average = lowest = math.inf
        for i, (rate, rows) in enumerate(zip(rates, batches, strict=False)):
            model.optimizer.learning_rate.assign(rate)
            losses.append(float(step(x[rows], y[rows])))
            average = losses[0] if i == 0 else 0.8 * average + 0.2 * losses[-1]
            lowest = min(lowest, average)
            if not average <= lowest + (divergence - 1) * abs(lowest):  # NaN compares False
                diverged = True
                break
    measured = np.array(losses)
    smoothed = _smooth(measured, half_width=max(1, round(steps / 40)))
    good_rate, reason = _suggest(rates, smoothed, measured, diverged)
    return RangeTest(rates[: len(losses)], measured, smoothed, good_rate, diverged, reason)


def _build(model: Any, x: np.ndarray, y: np.ndarray) -> None:
    if not model.built:
        model._symbolic_build(data_batch=(x, y))  # a call would draw from TensorFlow's generator
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _training_step(model: Any) -> Any:
    """One update that returns the batch's own loss; the history's loss is a running mean."""

    @tf.function(autograph=False)
    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x=x, y=y, y_pred=model(x, training=True))
            scaled = model.optimizer.scale_loss(loss)  # under mixed_float16
        weights = model.trainable_weights
        model.optimizer.apply(tape.gradient(scaled, weights), weights)
        return loss

    return step


def _batches(n: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield index arrays of one size for ever; a remainder is left for the next shuffle."""
    while True:
        order = rng.permutation(n)
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]


def _smooth(losses: np.ndarray, half_width: int) -> np.ndarray:
    """Return the mean over `half_width` neighbours on either side, fewer at the ends."""
    total = np.concatenate([[0.0], np.cumsum(losses)])
    place = np.arange(len(losses))
    left = np.maximum(place - half_width, 0)
    right = np.minimum(place + half_width + 1, len(losses))
    return (total[right] - total[left]) / (right - left)


def _suggest(
    rates: np.ndarray, smoothed: np.ndarray, losses: np.ndarray, diverged: bool
) -> tuple[float, str]:
    """Return the rate to train at, or NaN, and in words where it comes from."""
    if len(smoothed) < _FEWEST_POINTS:
        if len(rates) < _FEWEST_POINTS:
            return math.nan, f"too few points: {len(rates)} rates, at least {_FEWEST_POINTS} needed"
        return math.nan, (
            f"too few points: the loss blew up after {len(smoothed)} steps; lower min_lr"
        )
    finite = np.isfinite(smoothed)
    if not finite.any():
        return math.nan, "the loss is not a number from the start; check the data"
    best = int(np.nanargmin(np.where(finite, smoothed, np.inf)))
    if smoothed[best] > 0.98 * smoothed[0]:
        return math.nan, "the loss never fell; check the data, the labels and the initialisation"
    if not diverged and best > 0.95 * (len(smoothed) - 1):
        return math.nan, f"the loss still falls at {rates[best]:.2g}; raise max_lr"
    left, right = trough(rates[: len(smoothed)], smoothed)
    return suggestion(rates[: len(smoothed)], smoothed), (
        f"the trough lies between the rates {left:.2g} and {right:.2g}"
    )


@contextmanager
def _left_as_found(step: Any, *batch: np.ndarray) -> Iterator[None]:
    """Put back every variable that the step touches, and the global random states."""
    with random_states_kept():
        found = Snapshot(step.get_concrete_function(*batch).graph.variables)
        try:
            yield
        finally:
            found.restore()


def _array(name: str, value: Any) -> np.ndarray:
    array = np.asarray(None)
    if hasattr(value, "__array__") or isinstance(value, (list, tuple)):
        with suppress(ValueError):  # rows of different lengths
            array = np.asarray(value)
    if array.ndim and array.dtype.kind in "fiub":
        return array
    raise TypeError(
        f"{name}: expected an array of numbers, one row for each sample, got "
        f"{type(value).__name__}; the range test draws its batches itself, so take the arrays out "
        "of a data set or generator first."
    )


def _check(
    model: Any,
    x: np.ndarray,
    y: np.ndarray,
    min_lr: float,
    max_lr: float,
    divergence: float,
) -> None:
    optimizer = without_loss_scale(getattr(model, "optimizer", None))
    if optimizer is None:
        raise ArgumentError(
            "model: expected a compiled model, got one without an optimizer; "
            "call model.compile first."
        )
    if not isinstance(optimizer._learning_rate, keras.Variable):
        raise ArgumentError(
            "model: expected an optimizer with a plain learning rate, got the schedule "
            f"{type(optimizer._learning_rate).__name__}; compile with a number for the range test."
        )
    if len(x) != len(y):
        raise ArgumentError(f"x and y: expected the same length, got {len(x)} and {len(y)}.")
    if len(x) == 0:
        raise ArgumentError("x: expected at least one sample, got none.")
    if not (0 < min_lr < max_lr < math.inf):
        raise ArgumentError(
            f"min_lr and max_lr: expected 0 < min_lr < max_lr, got {min_lr!r} and {max_lr!r}."
        )
    if not divergence > 1:
        raise ArgumentError(f"divergence: expected a factor above 1, got {divergence!r}.")
