"""`shapes`: ten classes of shape and texture, drawn on the spot, in place of photographs.

Every image has a random background with a slope of light, random clutter, and one object in a
random colour, place, scale and rotation, under noise. One pixel says nothing about the class, so
a linear classifier stays far behind a network (a test holds it to that).

The same seed gives the same bytes on every platform: the random numbers are integers from a raw
bit stream, angles come from a table of rounded sines, and the rest is elementwise float32
arithmetic (+, -, ×, ÷, square root, min, max, floor), which IEEE 754 defines to the last bit.
No sum is left to a library that may choose its own order.
"""

from __future__ import annotations

import numpy as np

from coursekit.datasets.portable_random import Draws

SIZE = 32
N_CLASSES = 10

_f = np.float32
_CHUNK = 100  # images drawn at a time; part of the recipe: it orders the random numbers
_ROTATION = 20  # in 1/256 of a turn, to either side: 28 degrees
_SHIFT = 3.5  # pixels
_RADIUS = (8.0, 12.5)  # pixels
_DARK, _LIGHT = (20.0, 120.0), (120.0, 235.0)
_LIGHT_ON_DARK = 84  # per cent; the rest is dark on light
_CLUTTER = 3
_NOISE = 36.0

_turns = np.arange(256) * (2 * np.pi / 256)
COSINES = np.round(np.cos(_turns) * 16384)
SINES = np.round(np.sin(_turns) * 16384)
_COS = (COSINES / 16384).astype(np.float32)
_SIN = (SINES / 16384).astype(np.float32)

_rows, _columns = np.meshgrid(
    np.arange(SIZE, dtype=np.float32) + _f(0.5),
    np.arange(SIZE, dtype=np.float32) + _f(0.5),
    indexing="ij",
)


def make_shapes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw `n` images with balanced classes in random order.

    Returns uint8 images of shape (n, 32, 32, 3) and uint8 labels of shape (n,).

    >>> images, labels = make_shapes(20, seed=0)
    >>> images.shape, images.dtype.name, np.bincount(labels).tolist()
    ((20, 32, 32, 3), 'uint8', [2, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    """
    draws = Draws(seed)
    labels = (draws.permutation(n) % N_CLASSES).astype(np.uint8)
    images = np.empty((n, SIZE, SIZE, 3), np.uint8)
    for start in range(0, n, _CHUNK):
        part = slice(start, start + _CHUNK)
        images[part] = _render(labels[part], draws)
    return images, labels


def _render(labels: np.ndarray, draws: Draws) -> np.ndarray:
    n = len(labels)
    light_on_dark = (draws.integers(n, 100) < _LIGHT_ON_DARK)[:, None, None, None]
    dark, light = _colour(n, draws, *_DARK), _colour(n, draws, *_LIGHT)
    # Planes first, (n, 3, 32, 32), because long inner loops are fast.
    image = _slope(n, draws)[:, None] + np.where(light_on_dark, dark, light)
    for _ in range(_CLUTTER):
        _paint(image, _scrap(n, draws), _colour(n, draws, 20, 235))
    _paint(image, _object(labels, draws), np.where(light_on_dark, light, dark))
    # Two bytes added: a triangular distribution around zero.
    noise = draws.octets(2 * image.size).reshape(2, *image.shape).astype(np.int16).sum(axis=0)
    image += (noise - 255).astype(np.float32) * _f(_NOISE / 255)
    image = np.clip(np.floor(image + _f(0.5)), 0, 255).astype(np.uint8)
    return image.transpose(0, 2, 3, 1)


def _slope(n: int, draws: Draws) -> np.ndarray:
    slope_x, slope_y = _column(draws.uniform(n, -2, 2)), _column(draws.uniform(n, -2, 2))
    return (_columns - _f(SIZE / 2)) * slope_x + (_rows - _f(SIZE / 2)) * slope_y


def _colour(n: int, draws: Draws, low: float, high: float) -> np.ndarray:
    return draws.uniform(3 * n, low, high).reshape(n, 3, 1, 1)


def _column(values: np.ndarray) -> np.ndarray:
    return values[:, None, None]


def _paint(image: np.ndarray, coverage: np.ndarray, colour: np.ndarray) -> None:
    image += coverage[:, None] * (colour - image)


def _turned(x: np.ndarray, y: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cos, sin = _column(_COS[angle]), _column(_SIN[angle])
    return cos * x + sin * y, cos * y - sin * x


def _scrap(n: int, draws: Draws) -> np.ndarray:
    """Coverage in [0, 1] of one small turned rectangle an image, shape (n, 32, 32)."""
    x = _columns - _column(draws.uniform(n, 0, SIZE))
    y = _rows - _column(draws.uniform(n, 0, SIZE))
    half, aspect = _column(draws.uniform(n, 1, 3)), _column(draws.uniform(n, 0.4, 1))
    u, v = _turned(x, y, draws.integers(n, 256))
    return np.clip(_f(0.5) + half - np.maximum(np.abs(u), np.abs(v * aspect)), 0, 1)


def _object(labels: np.ndarray, draws: Draws) -> np.ndarray:
    """Coverage in [0, 1] of the object that gives each image its class, shape (n, 32, 32)."""
    n = len(labels)
    middle = SIZE / 2
    x = _columns - _column(draws.uniform(n, middle - _SHIFT, middle + _SHIFT))
    y = _rows - _column(draws.uniform(n, middle - _SHIFT, middle + _SHIFT))
    radius = _column(draws.uniform(n, *_RADIUS))
    u, v = _turned(x, y, draws.integers(n, 2 * _ROTATION + 1) - _ROTATION)
    u, v = u / radius, v / radius
    depth = np.empty((n, SIZE, SIZE), np.float32)
    for label, drawing in enumerate(_DRAWINGS):
        chosen = labels == label
        depth[chosen] = drawing(u[chosen], v[chosen])
    return np.clip(_f(0.5) + depth * radius, 0, 1)


# Each drawing gives the depth below the outline (positive inside), in units of the radius.


def _distance(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sqrt(u * u + v * v)


def _sides(u: np.ndarray, v: np.ndarray, n: int) -> list[np.ndarray]:
    """Distance along each of the `n` directions of a regular polygon's sides."""
    turns = [256 * k // n for k in range(n)]
    return [u * _COS[t] + v * _SIN[t] for t in turns]


def _wave(t: np.ndarray) -> np.ndarray:
    """A triangle wave of period 1 in [-1, 1]."""
    return np.abs((t - np.floor(t)) * _f(4) - _f(2)) - _f(1)


def _disc(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _f(0.95) - _distance(u, v)


def _ring(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _f(0.2) - np.abs(_distance(u, v) - _f(0.75))


def _square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _f(0.8) - np.maximum(np.abs(u), np.abs(v))


def _triangle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _f(0.55) - np.maximum.reduce(_sides(u, v, 3))


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    u, v = np.abs(u), np.abs(v)
    bar = np.minimum(_f(1) - u, _f(0.3) - v)
    return np.maximum(bar, np.minimum(_f(0.3) - u, _f(1) - v))


def _star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    # A five-pointed star is where at most one of the five half-planes is left.
    depths = np.sort(np.stack([_f(0.42) - side for side in _sides(u, v, 5)]), axis=0)
    return depths[1]


def _on_disc(texture: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.minimum(texture, _f(1.1) - _distance(u, v))


def _stripes(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _on_disc(_wave(u * _f(1.25)) * _f(0.2), u, v)


def _checks(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    a, b = _wave(u), _wave(v)
    return _on_disc(np.sign(a) * np.sign(b) * np.minimum(np.abs(a), np.abs(b)) * _f(0.25), u, v)


def _dots(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    a, b = u * _f(1.4), v * _f(1.4)
    a, b = a - np.floor(a) - _f(0.5), b - np.floor(b) - _f(0.5)
    return _on_disc((_f(0.3) - _distance(a, b)) / _f(1.4), u, v)


def _zigzag(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _on_disc(_wave(u * _f(1.25) + _f(0.35) * _wave(v * _f(0.9))) * _f(0.2), u, v)


_DRAWINGS = (
    _disc,
    _ring,
    _square,
    _triangle,
    _cross,
    _star,
    _stripes,
    _checks,
    _dots,
    _zigzag,
)
