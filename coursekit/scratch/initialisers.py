"""Weight initialisers: how wide the first random weights must be for the signal to keep its size.

Each takes the shape of a kernel and a seed, and returns a float64 array: (fan_in, fan_out) for a
dense layer, (height, width, channels in, channels out) for a convolution. The variance is
scale / fan, where fan is fan_in, fan_out or their mean fan_avg:

| function   | scale | fan     | for                                | source                       |
|------------|-------|---------|------------------------------------|------------------------------|
| `glorot_*` | 1     | fan_avg | none, tanh, sigmoid, softmax       | Glorot & Bengio 2010, eq. 12 |
| `he_*`     | 2     | fan_in  | ReLUs, ELU, GELU, Swish, Mish      | He et al. 2015, eq. 10       |
| `lecun_*`  | 1     | fan_in  | SELU                               | LeCun et al. 1998, eq. 16    |

The papers draw from a plain normal or uniform distribution. Keras' normal initialisers cut the bell
off at two standard deviations and widen it first, so that the variance stays scale / fan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from coursekit.base.numbers import number
from coursekit.errors import ArgumentError
from coursekit.scratch._arguments import Seed, generator

Initialiser = Callable[..., np.ndarray]

# Standard deviation of a standard normal variable that is cut off at ±2.
_STD_OF_TRUNCATED_NORMAL = 0.87962566103423978


def fans(shape: Sequence[int]) -> tuple[float, float]:
    """Return (fan_in, fan_out) of a kernel: the inputs one unit sees, the units one input feeds.

    In a convolution both count the positions of the window.

    >>> fans((784, 100)), fans((3, 3, 16, 32))
    ((784, 100), (144, 288))
    """
    if len(shape) < 2:
        n = shape[0] if shape else 1
        return n, n
    window = int(np.prod(shape[:-2]))
    return window * shape[-2], window * shape[-1]


def variance_scaling(
    shape: Sequence[int],
    *,
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
    seed: Seed = None,
) -> np.ndarray:
    """Draw weights with mean 0 and variance scale / fan: the one formula behind all the others.

    mode: "fan_in", "fan_out" or "fan_avg". distribution: "truncated_normal", "untruncated_normal"
    or "uniform"; the uniform limit is r = √(3 · variance). Raises ArgumentError for other names.

    >>> w = variance_scaling((400, 600), scale=2.0, mode="fan_avg", distribution="uniform", seed=1)
    >>> round(w.var().item() * 500, 2), bool(abs(w).max() < (3 * 2 / 500) ** 0.5)
    (2.0, True)
    """
    number("scale", scale, 0, ends="()")
    fan_in, fan_out = fans(shape)
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    if mode not in fan:
        raise ArgumentError(f"mode must be one of {', '.join(fan)}, got {mode!r}.")
    std = np.sqrt(scale / max(1, fan[mode]))
    rng = generator(seed)
    if distribution == "truncated_normal":
        return std / _STD_OF_TRUNCATED_NORMAL * _truncated_normal(shape, rng)
    if distribution == "untruncated_normal":
        return std * rng.standard_normal(shape)
    if distribution == "uniform":
        return rng.uniform(-np.sqrt(3) * std, np.sqrt(3) * std, shape)
    raise ArgumentError(
        "distribution must be one of truncated_normal, untruncated_normal, uniform, "
        f"got {distribution!r}."
    )


def _truncated_normal(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    z = rng.standard_normal(shape)
    while (outside := np.abs(z) > 2).any():
        z = np.where(outside, rng.standard_normal(shape), z)
    return z


def glorot_uniform(shape: Sequence[int], seed: Seed = None) -> np.ndarray:
    """Keras' default: U(−r, r) with r = √(6 / (fan_in + fan_out)) (Glorot & Bengio, eq. 16)."""
    return variance_scaling(shape, mode="fan_avg", distribution="uniform", seed=seed)


def glorot_normal(shape: Sequence[int], seed: Seed = None) -> np.ndarray:
    """Normal with variance 2 / (fan_in + fan_out), cut off at two standard deviations."""
    return variance_scaling(shape, mode="fan_avg", seed=seed)


def he_uniform(shape: Sequence[int], seed: Seed = None) -> np.ndarray:
    """U(−r, r) with r = √(6 / fan_in)."""
    return variance_scaling(shape, scale=2.0, distribution="uniform", seed=seed)


def he_normal(shape: Sequence[int], seed: Seed = None) -> np.ndarray:
    """Normal with variance 2 / fan_in, cut off at two standard deviations."""
    return variance_scaling(shape, scale=2.0, seed=seed)


def lecun_uniform(shape: Sequence[int], seed: Seed = None) -> np.ndarray:
    """U(−r, r) with r = √(3 / fan_in)."""
    return variance_scaling(shape, distribution="uniform", seed=seed)


def lecun_normal(shape: Sequence[int], seed: Seed = None) -> np.ndarray:
    """Normal with variance 1 / fan_in, cut off at two standard deviations."""
    return variance_scaling(shape, seed=seed)


def random_normal(shape: Sequence[int], seed: Seed = None, *, std: float = 0.05) -> np.ndarray:
    """N(0, std²) whatever the fans: the way that fails in deep networks (0.05 as in Keras)."""
    return number("std", std, 0) * generator(seed).standard_normal(shape)


def zeros(shape: Sequence[int], seed: Seed = None) -> np.ndarray:
    """All weights 0: right for biases; in a kernel all units of a layer stay twins for ever."""
    return np.zeros(shape)


INITIALISERS: dict[str, Initialiser] = {
    "glorot_uniform": glorot_uniform,
    "glorot_normal": glorot_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "lecun_uniform": lecun_uniform,
    "lecun_normal": lecun_normal,
    "random_normal": random_normal,
    "zeros": zeros,
}


def get(initialiser: str | Initialiser) -> Initialiser:
    """Return the initialiser of that name, or the callable `f(shape, seed)` itself.

    >>> get("he_normal")((3, 2), seed=0).shape
    (3, 2)
    """
    if callable(initialiser):
        return initialiser
    if initialiser not in INITIALISERS:
        known = ", ".join(INITIALISERS)
        raise ArgumentError(
            f"There is no initialiser {initialiser!r}: choose one of {known}, or pass a function."
        )
    return INITIALISERS[initialiser]
