"""The numbers of exercise 07, right and wrong: errors and the choice between two ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def relative_error(originals: np.ndarray, copies: np.ndarray, pool: np.ndarray) -> float:
    """Return the copies' mean squared error divided by that of the pool's mean image."""
    return _squares(copies, originals) / _squares(pool.mean(axis=0), originals)


def _squares(guess: Any, truth: np.ndarray) -> float:
    return float(np.mean(np.square(guess - truth)))


def _mean_of_ratios(originals: np.ndarray, copies: np.ndarray, pool: np.ndarray) -> float:
    own = np.mean(np.square(copies - originals), axis=(1, 2))
    return float(np.mean(own / np.mean(np.square(pool.mean(axis=0) - originals), axis=(1, 2))))


RELATIVE_ERROR_MISTAKES: dict[str, Callable[..., Any]] = {
    "The yardstick uses the mean of the images that are judged; on new images you would not have "
    "it. Take the mean image of the pool.": (
        lambda o, c, p: _squares(c, o) / _squares(o.mean(axis=0), o)
    ),
    "Your mean is one number for all pixels; the mean image has one for each pixel.": (
        lambda o, c, p: _squares(c, o) / _squares(p.mean(), o)
    ),
    "Your mean is one number for each image of the pool; the mean image goes over the images.": (
        lambda o, c, p: _squares(c, o) / _squares(p.mean(axis=(1, 2)).mean(), o)
    ),
    "That is the fraction upside down: 1 would be no better than the mean image, and your number "
    "grows for a better copy.": lambda o, c, p: 1 / relative_error(o, c, p),
    "That is the copies' own error; it is not divided by the mean image's.": (
        lambda o, c, p: _squares(c, o)
    ),
    "You compare absolute errors; squared ones are asked.": (
        lambda o, c, p: np.mean(np.abs(c - o)) / np.mean(np.abs(p.mean(axis=0) - o))
    ),
    "You compare roots of the errors; mean squared errors are asked.": (
        lambda o, c, p: np.sqrt(relative_error(o, c, p))
    ),
    "You average a fraction for each image; one error over all images is divided by the other.": (
        _mean_of_ratios
    ),
    "Both errors are measured against the pool's mean image, not against the originals.": (
        lambda o, c, p: _squares(p.mean(axis=0), c) / _squares(p.mean(axis=0), o)
    ),
    "You subtract the error from 1; the plain fraction is asked.": (
        lambda o, c, p: 1 - relative_error(o, c, p)
    ),
}


def hidden_error(guesses: np.ndarray, images: np.ndarray, mask: np.ndarray) -> float:
    """Return the mean squared error over all pixels where the mask is True."""
    return float(np.square(guesses - images)[mask].mean())


def _error_by_image(guesses: np.ndarray, images: np.ndarray, mask: np.ndarray) -> float:
    squares = np.square(guesses - images) * mask
    return float(np.mean(squares.sum(axis=(1, 2)) / mask.sum(axis=(1, 2))))


HIDDEN_ERROR_MISTAKES: dict[str, Callable[..., Any]] = {
    "All pixels are counted; visible ones can be copied, so only hidden ones tell anything.": (
        lambda g, i, m: _squares(g, i)
    ),
    "The visible pixels are counted: the mask is True where a pixel is hidden.": (
        lambda g, i, m: np.square(g - i)[~m].mean()
    ),
    "You divide by the number of all pixels; the mean goes over the hidden ones.": (
        lambda g, i, m: np.mean(np.square(g - i) * m)
    ),
    "That is the sum of the squares; their mean is asked.": lambda g, i, m: np.square(g - i)[
        m
    ].sum(),
    "You average the images' own errors; images with more hidden pixels must count for more.": (
        _error_by_image
    ),
    "Absolute errors; squared ones are asked.": lambda g, i, m: np.abs(g - i)[m].mean(),
    "That is the root of the mean squared error; leave it squared.": lambda g, i, m: np.sqrt(
        np.square(g - i)[m].mean()
    ),
}


def choice(frozen: Any, tuned: Any) -> float:
    """Return 1.0 (fine-tuned) where the mean paired gain exceeds two standard errors, else 0.0."""
    gains = np.subtract(tuned, frozen)
    return float(gains.mean() > 2 * gains.std(ddof=1) / np.sqrt(len(gains)))


def _by(error: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[Any, Any], float]:
    """Return a wrong choice: the mean gain against another measure of its error."""

    def choose(frozen: Any, tuned: Any) -> float:
        frozen, tuned = np.asarray(frozen), np.asarray(tuned)
        return float(tuned.mean() - frozen.mean() > error(frozen, tuned))

    return choose


CHOICE_MISTAKES: dict[str, Callable[..., Any]] = {
    "You have the two ways the wrong way round.": lambda f, t: 1 - choice(f, t),
    "You take the larger mean; a gain within its error is no reason to fine-tune.": _by(
        lambda f, t: 0.0
    ),
    "You compare the best runs: the luckiest split decides.": lambda f, t: float(max(t) > max(f)),
    "You treat the splits as unrelated: the error must be that of the paired differences.": _by(
        lambda f, t: 2 * np.sqrt((f.var(ddof=1) + t.var(ddof=1)) / len(f))
    ),
    "You compare with the standard deviation of the differences; that of their mean is smaller by "
    "the root of their number.": _by(lambda f, t: 2 * (t - f).std(ddof=1)),
    "One standard error is not enough; the task wants two.": _by(
        lambda f, t: (t - f).std(ddof=1) / np.sqrt(len(f))
    ),
    "The standard deviation of a sample divides by n − 1 (`ddof=1`).": _by(
        lambda f, t: 2 * (t - f).std() / np.sqrt(len(f))
    ),
    "You count the splits that are better; how much better matters as well.": lambda f, t: float(
        np.mean(np.greater(t, f)) > 0.5
    ),
    "You fine-tune only if every split gains; the mean and its error decide.": lambda f, t: float(
        np.all(np.greater(t, f))
    ),
    "A clear loss makes you fine-tune too: the sign of the gain is lost.": lambda f, t: max(
        choice(f, t), choice(t, f)
    ),
}
