"""Monte Carlo dropout: many predictions of one trained network, each with its own dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from coursekit.analysis.uncertainty.measures import predictive_entropy
from coursekit.base.numbers import whole_number
from coursekit.errors import ArgumentError

if TYPE_CHECKING:
    import keras

__all__ = ["MCPrediction", "mc_predict"]


class MCPrediction(NamedTuple):
    """What `mc_predict` returns, for n inputs.

    Attributes:
        mean: the prediction: class probabilities averaged over the samples, shape (n, classes).
        std: standard deviation over the samples, shape (n, classes).
        entropy: predictive entropy of `mean` in nats, shape (n,).
        samples: every sample's class probabilities, shape (samples, n, classes), float32.
    """

    mean: np.ndarray
    std: np.ndarray
    entropy: np.ndarray
    samples: np.ndarray


def mc_predict(
    model: keras.Model,
    x: Any,
    *,
    samples: int = 100,
    batch_size: int = 1024,
    seed: int | None = None,
) -> MCPrediction:
    """Predict `samples` times with dropout switched on, and everything else at inference.

    Averaging predictions over dropout masks approximates a Bayesian model average; no
    retraining is needed (Gal & Ghahramani, *Dropout as a Bayesian Approximation*, 2016).

    Only dropout-like layers are stochastic: Dropout, AlphaDropout, SpatialDropout, GaussianDropout,
    GaussianNoise and their subclasses, recurrent and attention layers with a dropout rate, and
    any layer of your own with the attribute `mc_dropout = True`. BatchNormalization stays in
    inference mode. Layers that come before the first dropout run once, not once per sample.
    Weights, moving averages, the layers' seeds and the global random states stay as found.

    Args:
        model: a built classifier with one input and one softmax output; Sequential, functional
            or subclassed. A layer of your own must draw its noise with `keras.random`.
        x: inputs, shape (n, ...).
        samples: number of predictions per input.
        batch_size: inputs that pass through the model at a time; it bounds the memory, apart
            from the result, whose `samples` take 4 · samples · n · classes bytes.
        seed: whole number from 0 on: the same seed, x and batch_size give the same result.
            None draws a fresh one from the operating system.

    Returns:
        An `MCPrediction`.

    Raises:
        ArgumentError: a model without a stochastic layer, without weights yet, with several
            inputs or without class probabilities; x empty or of another shape; numbers
            out of range.
        TypeError: no Keras model, or no whole numbers.

    >>> from coursekit.nets.builders import mlp
    >>> model = mlp((4,), 3, hidden=1, dropout=0.5)
    >>> prediction = mc_predict(model, np.ones((2, 4)), samples=50, seed=0)
    >>> prediction.samples.shape, prediction.mean.shape, prediction.entropy.shape
    ((50, 2, 3), (2, 3), (2,))
    """
    from coursekit.analysis.uncertainty.sampling import input_spec, program

    samples = whole_number("samples", samples, least=1)
    batch_size = whole_number("batch_size", batch_size, least=1)
    if seed is not None:
        seed = whole_number("seed", seed, least=0)
    x = np.asarray(x)
    shape, dtype = input_spec(model, x)
    if x.ndim != len(shape) or any(
        size is not None and size != given
        for size, given in zip(shape[1:], x.shape[1:], strict=True)
    ):
        expected = ", ".join(["n", *(str(size or "any") for size in shape[1:])])
        raise ArgumentError(f"x must have the shape ({expected}), but has {x.shape}")
    if len(x) == 0:
        raise ArgumentError("x must hold at least one input, but is empty")

    run = program(model, shape, dtype)
    first_key = int(np.random.SeedSequence(seed).generate_state(1)[0])
    parts, means, deviations = [], [], []
    for start in range(0, len(x), batch_size):
        keys = first_key + len(parts) * samples + np.arange(samples)
        part = run(x[start : start + batch_size].astype(dtype), keys).numpy()
        fine = (np.abs(part.sum(axis=-1) - 1.0) <= 1e-3) & (part.min(axis=-1) >= -1e-6)
        if not fine.all():
            raise ArgumentError(
                "model must return class probabilities that sum to 1 (a softmax output), "
                f"but returned the row {part[~fine][0].round(3).tolist()}"
            )
        parts.append(part)
        means.append(part.mean(axis=0, dtype=np.float64))
        deviations.append(part.std(axis=0, dtype=np.float64))
    mean = np.concatenate(means)
    return MCPrediction(
        mean=mean.astype(np.float32),
        std=np.concatenate(deviations).astype(np.float32),
        entropy=predictive_entropy(mean),
        samples=np.concatenate(parts, axis=1),
    )
