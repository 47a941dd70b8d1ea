"""Checks of exercise 07: unsupervised and self-supervised pretraining.

In the tables o are originals, c copies, p the pool, g guesses, i images, m the mask; f and t the
accuracies frozen and fine-tuned. The pretext tasks and the net with a head have their own modules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks._ex07_head import headed, with_head
from coursekit.checks._ex07_pretext import mask_patches, rotation_task
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.behaviour import behaviour
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.function import function
from coursekit.checks.kit.values import describe

TASKS = TaskList(7, "Unsupervised and self-supervised pretraining")


def _squares(guess: Any, truth: np.ndarray) -> float:
    return float(np.mean(np.square(guess - truth)))


def relative_error(originals, copies, pool):
    """The copies' mean squared error divided by that of the pool's mean image."""
    return _squares(copies, originals) / _squares(pool.mean(axis=0), originals)


def _images() -> list[tuple[np.ndarray, ...]]:
    draw, cases = rng("relative error"), []
    for n, n_pool, shape in ((4, 9, (3, 5)), (7, 5, (6, 6)), (2, 3, (2, 4))):
        originals = draw.uniform(0.2, 1, (n, 1, 1)) * draw.uniform(size=(n, *shape))
        copies = originals + draw.normal(0, 0.2, originals.shape)
        pool = draw.uniform(size=(n_pool, *shape)) * np.linspace(0.2, 1, shape[1])
        cases.append((originals, copies, pool))
    return cases


def _mean_of_ratios(o: np.ndarray, c: np.ndarray, p: np.ndarray) -> float:
    return float(np.mean([_squares(a, b) / _squares(p.mean(axis=0), b)
                          for a, b in zip(c, o, strict=True)]))  # fmt: skip


function(
    TASKS, relative_error, title="Better than the mean image?", cases=_images,
    edges={"Perfect copies have the error 0.": lambda: [(o, o, p) for o, _, p in _images()]},
    hints=(
        "Two mean squared errors, both against the originals: that of the copies, and that of one "
        "image which is the same for all.",
        "`pool.mean(axis=0)` goes over the images and leaves one value for each pixel. NumPy "
        "subtracts it from every original by itself.",
    ),
    mistakes={
        "The yardstick uses the mean of the images that are judged; on new images you would not "
        "have it. Take the mean image of the pool.":
            lambda o, c, p: relative_error(o, c, o),
        "Your mean is one number for all pixels; the mean image has one for each pixel.":
            lambda o, c, p: _squares(c, o) / _squares(p.mean(), o),
        "You compare with the median image; the mean image is asked for.":
            lambda o, c, p: _squares(c, o) / _squares(np.median(p, axis=0), o),
        "That is the fraction upside down: 1 would be no better than the mean image, and your "
        "number grows for a better copy.": lambda o, c, p: 1 / relative_error(o, c, p),
        "That is the copies' own error; it is not divided by the mean image's.":
            lambda o, c, p: _squares(c, o),
        "You compare absolute errors; squared ones are asked for.":
            lambda o, c, p: np.mean(np.abs(c - o)) / np.mean(np.abs(p.mean(axis=0) - o)),
        "You compare roots of the errors; mean squared errors are asked for.":
            lambda o, c, p: np.sqrt(relative_error(o, c, p)),
        "You average a fraction for each image; one error over all images is divided by the "
        "other.": _mean_of_ratios,
        "Both errors are measured against the pool's mean image, not against the originals.":
            lambda o, c, p: _squares(p.mean(axis=0), c) / _squares(p.mean(axis=0), o),
        "The yardstick is how far the pool lies from its own mean image; measure how far the "
        "originals do.": lambda o, c, p: _squares(c, o) / _squares(p.mean(axis=0), p),
        "You subtract the error from 1; the plain fraction is asked for.":
            lambda o, c, p: 1 - relative_error(o, c, p),
    },
)  # fmt: skip

TASKS.task(
    "Which way is up: images and labels",
    hints=(
        "`np.rot90(images, k, axes=(1, 2))` turns every image of the array by k quarters. Without "
        "`axes` it would turn the array as a block.",
        "Do that for each k from 0 to 3 and join the four arrays with `np.concatenate`.",
        "The labels come in the same order: as many zeros as there are images, then as many ones, "
        "and so on. `np.repeat` makes them.",
    ),
)(rotation_task)

TASKS.task(
    "Hide patches",
    hints=(
        "First decide in the grid of patches: one row of numbers for each image, one number for "
        "each patch. A random order of 0, 1, 2, … in every row, and the patches with the "
        "lowest numbers are hidden.",
        "`draw.random((n, n_patches)).argsort(axis=1)` has such an order in every row. Compare it "
        "with the number of patches to hide.",
        "Reshape the row to the grid, `(n, across, across)`, and make every entry as large as a "
        "patch with `.repeat(patch, axis=1)` and the same for axis 2. Then `np.where`.",
    ),
)(mask_patches)


def hidden_error(guesses, images, mask):
    """The mean squared error over all pixels where the mask is True."""
    return float(np.square(guesses - images)[mask].mean())


def _masked() -> list[tuple[np.ndarray, ...]]:
    draw, cases = rng("hidden error"), []
    for shape in ((5, 4, 6), (3, 8, 8), (1, 5, 5)):
        images = draw.uniform(size=shape)
        mask = draw.random(shape) < np.linspace(0.2, 0.8, shape[0])[:, None, None]
        mask[:, 0, 0], mask[:, 1, 1] = True, False
        cases.append((images + np.where(mask, 0.3, 0.1) * draw.normal(size=shape), images, mask))
    return cases


def _one_left_whole() -> list[tuple[np.ndarray, ...]]:
    cases = _masked()[:2]
    for *_, mask in cases:
        mask[1] = False
    return cases


def _own_error(g: np.ndarray, i: np.ndarray, m: np.ndarray) -> float:
    squares = np.square(g - i) * m
    return float(np.mean(squares.sum(axis=(1, 2)) / m.sum(axis=(1, 2))))


function(
    TASKS, hidden_error, title="The error that counts", cases=_masked,
    edges={"Where nothing is hidden in one of the images it goes wrong.": _one_left_whole},
    hints=(
        "An array of the same shape with True and False picks elements: `values[mask]`.",
        "Subtract, square, pick the hidden ones, take the mean.",
    ),
    mistakes={
        "All pixels are counted; visible ones can be copied, so only hidden ones tell anything.":
            lambda g, i, m: _squares(g, i),
        "The visible pixels are counted: the mask is True where a pixel is hidden.":
            lambda g, i, m: hidden_error(g, i, ~m),
        "You divide by the number of all pixels; the mean goes over the hidden ones.":
            lambda g, i, m: np.mean(np.square(g - i) * m),
        "That is the sum of the squares; their mean is asked for.":
            lambda g, i, m: np.square(g - i)[m].sum(),
        "You average the images' own errors; images with more hidden pixels must count for more.":
            _own_error,
        "Absolute errors; squared ones are asked for.": lambda g, i, m: np.abs(g - i)[m].mean(),
        "That is the root of the mean squared error; leave it squared.":
            lambda g, i, m: np.sqrt(hidden_error(g, i, m)),
        "You square the mean of the errors; take the mean of the squares.":
            lambda g, i, m: (g - i)[m].mean() ** 2,
    },
)  # fmt: skip

TASKS.task(
    "A head on the encoder", seconds=120.0,
    hints=(
        "`keras.models.clone_model` copies the structure only. What `get_weights` gives to the "
        "copy with `set_weights` is the rest.",
        "Set `trainable` on the *copy*, before you put it into the new model.",
        "`keras.Sequential([copy, keras.layers.Dense(n_classes, activation=...)])`: which "
        "activation makes probabilities of ten numbers?",
    ),
    right=headed(),
    mistakes={
        "With frozen=True every weight is still trainable; only the head may learn.":
            headed(learns=lambda frozen: True),
        "With frozen=False only 2 of 6 arrays of weights are trainable.":
            headed(learns=lambda frozen: False),
        "The outputs are no class probabilities: no number may be negative, and every row must "
        "add up to 1.":
            headed(activation=None),
    },
)(with_head)  # fmt: skip


def _by(rule: Callable[[np.ndarray, np.ndarray], Any]) -> Callable[[Any, Any], str]:
    """Return a choice: fine-tuned where the rule holds for the two arrays."""

    def choose(frozen, tuned):
        return "fine-tuned" if rule(np.asarray(frozen), np.asarray(tuned)) else "frozen"

    return choose


def _standard_error(gains: np.ndarray, ddof: int = 1) -> float:
    return float(gains.std(ddof=ddof) / np.sqrt(len(gains)))


def _above(error: Callable[[np.ndarray, np.ndarray], Any]) -> Callable[[Any, Any], str]:
    """Return a choice: fine-tuned where the mean gain is greater than an error of some kind."""
    return _by(lambda f, t: (t - f).mean() > error(f, t))


def _pairs() -> list[tuple[list[float], list[float]]]:
    draw, cases = rng("choose"), []
    for n in (3, 4, 5, 8, 12):
        base = draw.uniform(0.4, 0.8, n)
        for size in (-4.0, -2.4, -0.3, 0.3, 0.7, 1.4, 1.75, 1.95, 2.05, 2.3, 3.0, 6.0):
            noise = draw.normal(0, 0.02, n)
            noise -= noise.mean()
            cases.append((base.tolist(), (base + noise + size * _standard_error(noise)).tolist()))
    return [*cases, ([0.5, 0.6, 0.7], [0.5, 0.6, 0.7]), ([0.25, 0.5], [0.5, 0.75])]


@behaviour(
    TASKS, title="Frozen or fine-tuned?", right=_above(lambda f, t: 2 * _standard_error(t - f)),
    hints=(
        "The two lists belong together entry by entry. Make one array of gains: what fine-tuning "
        "adds on each split.",
        "The standard error of a mean is the standard deviation (`ddof=1`) divided by the root of "
        "the number of values.",
        "Return the word for fine-tuning only if the mean gain is larger than twice that.",
    ),
    mistakes={
        "You have the two ways the wrong way round.":
            _by(lambda f, t: (t - f).mean() <= 2 * _standard_error(t - f)),
        "You take the larger mean; a gain within its error is no reason to fine-tune.":
            _above(lambda f, t: 0),
        "You compare the best runs: the luckiest split decides.": _by(lambda f, t: max(t) > max(f)),
        "You treat the splits as unrelated: the error must be that of the paired differences.":
            _above(lambda f, t: 2 * np.hypot(_standard_error(f), _standard_error(t))),
        "You compare with the standard deviation of the differences; that of their mean is smaller "
        "by the root of their number.": _above(lambda f, t: 2 * (t - f).std(ddof=1)),
        "You divide by the number of splits; the standard error divides by its root.":
            _above(lambda f, t: 2 * (t - f).std(ddof=1) / len(f)),
        "One standard error is not enough; the task wants two.":
            _above(lambda f, t: _standard_error(t - f)),
        "The standard deviation of a sample divides by n − 1 (`ddof=1`).":
            _above(lambda f, t: 2 * _standard_error(t - f, 0)),
        "You count the splits that are better; how much better matters as well.":
            _by(lambda f, t: np.mean(t > f) > 0.5),
        "You fine-tune only if every split gains; the mean and its error decide.":
            _by(lambda f, t: np.all(t > f)),
        "A clear loss makes you fine-tune too: the sign of the gain is lost.":
            _by(lambda f, t: abs((t - f).mean()) > 2 * _standard_error(t - f)),
        "A gain of just two standard errors is not greater than them.":
            _by(lambda f, t: (t - f).mean() >= 2 * _standard_error(t - f)),
    },
)  # fmt: skip
def choose(answer: Any) -> dict[str, str]:
    """The word "frozen" or "fine-tuned" as a function (frozen accuracies, tuned accuracies)."""
    seen = {}
    for frozen, tuned in _pairs():
        word = call(answer, frozen, tuned)
        if not isinstance(word, str) or word not in ("frozen", "fine-tuned"):
            shown = repr(word) if isinstance(word, str) else describe(word)
            raise Wrong(f'Expected the string "frozen" or "fine-tuned", got {shown}.')
        gains = ", ".join(f"{gain:.4f}" for gain in np.subtract(tuned, frozen))
        seen[f"for the gains {gains}"] = word
    return seen
