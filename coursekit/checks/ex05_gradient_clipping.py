"""Checks of exercise 05: gradient clipping.

The clippers are written once more, apart from `coursekit.scratch.clipping`; the training step has
a module of its own. In a table g is a gradient, gs a list of them, c the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks import _ex05_training_step as steps
from coursekit.checks._ex05_threshold import THRESHOLD, choose_threshold
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.behaviour import behaviour
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.function import function
from coursekit.checks.kit.values import array, describe, number

TASKS = TaskList(5, "Gradient clipping")
Arrays = list[np.ndarray]


def _gradients() -> list[tuple[np.ndarray, float]]:
    """Return gradients with limits; their norms are 0.1 to 30 limits, limits above and below 1."""
    draw, cases = rng("gradients"), []
    for i, size in enumerate((7.0, 0.1, 1.15, 30.0, 0.9, 3.0, 1.4, 0.6)):
        g = draw.normal(size=((2,), (7,), (4, 3), (3, 5))[i % 4])
        limit = round(draw.uniform(0.3, 0.8) if i % 2 else draw.uniform(1.5, 20.0), 2)
        cases.append((size * limit * g / np.sqrt(np.sum(g**2)), limit))
    return [*cases, (np.array([0.5, -0.5, 2.0, -3.0, 0.1]), 0.5)]


_THREE_AXES = [(np.arange(-12.0, 12.0).reshape(2, 3, 4), 2.5)]


def clip_by_value(gradient, limit):
    """Cut every component to [-limit, limit]."""
    return np.minimum(np.maximum(gradient, -limit), limit)


def _norm(g: np.ndarray) -> float:
    return float(np.sqrt(np.sum(np.square(g))))


def clip_by_norm(gradient, limit):
    """Shrink to ℓ2 norm ≤ limit; a zero gradient stays zero."""
    return gradient * (limit / max(_norm(gradient), limit))


function(
    TASKS, clip_by_value, title="Clipping by value", cases=_gradients, read=array,
    hints=(
        "Each component for itself: below −limit it becomes −limit, above limit it becomes limit.",
        "`np.clip` takes an array, a lower and an upper bound.",
    ),
    edges={"An array of three axes goes wrong.": _THREE_AXES},
    mistakes={
        "Only large positive components are cut; those far below `-limit` are too long as well.":
            lambda g, c: np.minimum(g, c),
        "Only components below `-limit` are cut; the large positive ones are too long as well.":
            lambda g, c: np.maximum(g, -c),
        "The signs are lost: negative stays negative.": lambda g, c: np.minimum(np.abs(g), c),
        "Your components become 0 where they are too long; they must become the limit.":
            lambda g, c: np.where(np.abs(g) > c, 0.0, g),
        "All components have full length; short ones stay as they are.":
            lambda g, c: c * np.sign(g),
        "That is clipping by norm; by value each component is cut by itself.": clip_by_norm,
        "Negative components become 0: the interval begins at `-limit`.":
            lambda g, c: np.clip(g, 0, c),
        "Your limit has no effect: it works as if it were 1.": lambda g, c: np.clip(g, -1, 1),
        "Nothing is cut.": lambda g, c: g,
    },
)  # fmt: skip


def _scaled(size: Callable[[np.ndarray], Any]) -> Callable[..., Any]:
    return lambda g, c: g * (c / np.maximum(size(g), c))


function(
    TASKS, clip_by_norm, title="Clipping by norm", cases=_gradients, read=array,
    hints=(
        "Measure first: the norm is the root of the sum of all squares, whatever the shape.",
        "Multiply the whole array by one number: 1 if the norm is within the limit, else limit / "
        "norm.",
        "`limit / max(norm, limit)` is that number in both cases, and divides by 0 in none.",
    ),
    edges={
        "An array of three axes has one norm, too.": _THREE_AXES,
        "A gradient of zeros must stay so: its norm is 0, and one NaN would ruin all weights.":
            [(np.zeros(3), 1.0), (np.zeros((2, 2)), 0.5)],
    },
    mistakes={
        "A short gradient becomes longer: it must stay as it is; only a long one shrinks.":
            lambda g, c: g * c / _norm(g),
        "Short gradients grow, long ones stay: `min` and `max` have changed places.":
            lambda g, c: g * (c / min(_norm(g), c)),
        "That is clipping by value; one factor for all components is wanted.": clip_by_value,
        "The root is missing: the norm is the root of the sum.": _scaled(lambda g: np.sum(g**2)),
        "You compare the square of the norm with the limit; compare the norm.":
            lambda g, c: g * c / _norm(g) if _norm(g) ** 2 > c else g,
        "You add absolute values; the ℓ2 norm adds squares.": _scaled(lambda g: np.abs(g).sum()),
        "You measure the largest component; the norm counts all.":
            _scaled(lambda g: np.abs(g).max()),
        "You measure the mean square; the norm is the root of the sum: every component counts.":
            _scaled(lambda g: np.sqrt(np.mean(g**2))),
        "Every row has a norm of its own; the array has one norm, over all its components.":
            _scaled(lambda g: np.sqrt(np.sum(g**2, axis=-1, keepdims=True))),
        "For a matrix, `np.linalg.norm(g, 2)` is the largest singular value, not the root of the "
        "sum of squares of all components.": _scaled(lambda g: np.linalg.norm(g, 2)),
        "A long gradient ends with norm 1, not `limit`.":
            lambda g, c: g / _norm(g) if _norm(g) > c else g,
        "Long gradients become 0; they must keep the norm `limit`.":
            lambda g, c: g * (_norm(g) <= c),
        "Nothing is clipped.": lambda g, c: g,
    },
)  # fmt: skip


def _joint(gs: Arrays) -> float:
    return float(np.sqrt(sum(np.sum(np.square(g)) for g in gs)))


def _read_clipped(value: Any) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the shapes and the components of all arrays, joined, and the norm."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Wrong(f"Expected a list of arrays and the norm, got {describe(value)}.")
    if not isinstance(value[0], (tuple, list)) or not value[0]:
        raise Wrong(f"Expected a list of arrays in the first place, got {describe(value[0])}.")
    arrays = [array(part, f"Array {i} of your list") for i, part in enumerate(value[0])]
    shapes = [n for a in arrays for n in (*a.shape, -1)]
    return (np.array(shapes), np.concatenate([a.ravel() for a in arrays]),
            number(value[1], "Your norm"))  # fmt: skip


def clip_by_global_norm(gradients, limit):
    """One factor for all, from the joint norm, which is told as it was before."""
    return _read_clipped(_globally(_joint)(gradients, limit))


def _globally(size: Callable[[Arrays], float]) -> Callable[..., Any]:
    return lambda gs, c: ([g * (c / max(size(gs), c)) for g in gs], size(gs))


def _lists() -> list[tuple[Arrays, float]]:
    """Return lists of one to five gradients with limits; the joint norm is 0.4 to 40 limits."""
    draw, cases = rng("lists"), []
    shapes = ((4, 3), (3,), (3, 2), (2, 2, 2), ())
    for size, n in ((0.4, 3), (2.0, 3), (0.5, 2), (8.0, 5), (40.0, 2), (1.3, 1), (0.8, 5)):
        gradients = [0.3 ** (n - i) * np.asarray(draw.normal(size=shapes[i])) for i in range(n)]
        limit = round(draw.uniform(0.4, 2.5), 2)
        cases.append(([g * (size * limit / _joint(gradients)) for g in gradients], limit))
    return cases


function(
    TASKS, clip_by_global_norm, title="Clipping by global norm", cases=_lists, read=_read_clipped,
    names=("their shapes, joined", "the clipped arrays, joined", "norm"),
    accepted=_globally(_joint),
    hints=(
        "First one norm for all: add up the squares of all components, then take the root.",
        "Then one factor for all: as in clipping by norm, with this norm.",
        "Return two things, `clipped, norm`, and let `norm` be the one you measured first.",
    ),
    edges={"Gradients of zeros must stay zeros, with norm 0.":
           [([np.zeros((2, 2)), np.zeros(2), np.zeros(1)], 1.0)]},
    mistakes={
        "Each variable is clipped by its own norm; one factor, from the norm of all, is wanted.":
            lambda gs, c: ([clip_by_norm(g, c) for g in gs], _joint(gs)),
        "The norm you return is the one after clipping: it can never warn anybody. Return the one "
        "before.": lambda gs, c: (_globally(_joint)(gs, c)[0], min(_joint(gs), c)),
        "Short gradients become longer: all stay as they are where the joint norm is within the "
        "limit.": lambda gs, c: ([g * c / _joint(gs) for g in gs], _joint(gs)),
        "You add the norms of the variables; they add up like the sides of a right angle: root of "
        "the sum of squares.": _globally(lambda gs: sum(map(_norm, gs))),
        "You take the largest of the norms; the norm of all together is larger.":
            _globally(lambda gs: max(map(_norm, gs))),
        "Only the first variable's norm counts.": _globally(lambda gs: _norm(gs[0])),
        "The root is missing: the norm is the root of the sum.":
            _globally(lambda gs: _joint(gs) ** 2),
        "Every component is cut by itself: that is clipping by value.":
            lambda gs, c: ([clip_by_value(g, c) for g in gs], _joint(gs)),
        "The norm is right, but the gradients are not clipped.": lambda gs, c: (gs, _joint(gs)),
    },
)  # fmt: skip


def cosine(gradients, others):
    """The cosine of the angle between two gradients of several variables."""
    product = sum(np.sum(a * b) for a, b in zip(gradients, others, strict=True))
    return float(product / (_joint(gradients) * _joint(others)))


def _each(a: Arrays, b: Arrays) -> list[float]:
    return [cosine([p], [q]) for p, q in zip(a, b, strict=True)]


def _pairs() -> list[tuple[Arrays, Arrays]]:
    changes = (
        lambda g: clip_by_value(g, 0.1),
        lambda g: -(g + 0.1),
        lambda g: clip_by_norm(g, 0.2),
    )
    return [(gs, [change(g) for g in gs]) for gs, _ in _lists() for change in changes]


function(
    TASKS, cosine, title="The angle between raw and clipped", cases=_pairs, rtol=1e-4,
    hints=(
        "The cosine of two arrows is their scalar product divided by both lengths.",
        "`np.concatenate([np.ravel(g) for g in gradients])` joins all arrays to one long arrow; "
        "`@` is the scalar product of two of those.",
    ),
    mistakes={
        "You average the cosines of the variables; join all variables to one long arrow first.":
            lambda a, b: np.mean(_each(a, b)),
        "You add up the cosines of the variables; join all variables to one long arrow first.":
            lambda a, b: sum(_each(a, b)),
        "Only the first variable counts in your function.": lambda a, b: cosine(a[:1], b[:1]),
        "The scalar product must be divided by both norms.":
            lambda a, b: cosine(a, b) * _joint(a) * _joint(b),
        "You divide by one norm only: by the first one's.": lambda a, b: cosine(a, b) * _joint(b),
        "You divide by one norm only: by the second one's.": lambda a, b: cosine(a, b) * _joint(a),
        "You divide by the squares of the norms: a root is missing.":
            lambda a, b: cosine(a, b) / (_joint(a) * _joint(b)),
        "That is the angle itself, in radians; its cosine is wanted.":
            lambda a, b: np.arccos(np.clip(cosine(a, b), -1, 1)),
        "That is 1 minus the cosine, a distance.": lambda a, b: 1 - cosine(a, b),
        "The sign is lost: gradients that point against each other have a negative cosine.":
            lambda a, b: abs(cosine(a, b)),
    },
)  # fmt: skip

TASKS.task(
    "A threshold from a log", mistakes=THRESHOLD,
    hints=(
        "Three steps: leave out the first `warmup` norms; of the others keep the finite ones; then "
        "find the number that the given share of them exceeds.",
        "`np.isfinite` tells which are finite. `np.quantile(values, q)` gives the number that a "
        "share `q` lies *below*. Which `q` do you need?",
    ),
)(choose_threshold)  # fmt: skip


@behaviour(
    TASKS, title="A training step that clips and logs", seconds=180.0, rtol=1e-3,
    hints=(
        "Inside `with tf.GradientTape() as tape:` compute the loss from `model(x, training=True)`. "
        "After the block, `tape.gradient(loss, model.trainable_variables)` is a list of gradients.",
        "`tf.linalg.global_norm(gradients)` is the norm to log. `tf.clip_by_global_norm(gradients, "
        "limit)` returns `clipped`, the list of clipped gradients, and that norm again.",
        "`optimizer.apply_gradients(zip(clipped, model.trainable_variables))` makes the update. "
        "Use TensorFlow functions, not NumPy's, and return tensors as they are.",
    ),
    right=steps.stepping(),
    mistakes={
        "No weight moves: the gradients are never applied.": steps.stepping(apply=lambda *_: None),
        "The raw gradients are applied: `limit` has no effect on the update.":
            steps.stepping(clip=lambda gs, norm, limit: gs),
        "The update is applied twice.":
            steps.stepping(apply=lambda o, gs, vs: [o.apply(gs, vs) for _ in "ab"]),
        "The weights move uphill: the optimizer subtracts the gradient by itself.":
            steps.stepping(apply=lambda o, gs, vs: o.apply([-g for g in gs], vs)),
        "You subtract the gradients yourself: let the optimizer apply them, whatever it is.":
            steps.stepping(apply=steps.by_hand),
        "Each variable is clipped by its own norm; one factor from the norm of all is wanted.":
            steps.stepping(clip=steps.each_by_norm),
        "The gradients are clipped by value; by their global norm is wanted.":
            steps.stepping(clip=lambda gs, norm, limit:
                           [(abs(g + limit) - abs(g - limit)) / 2 for g in gs]),
        "A gradient within the limit becomes longer: it must stay as it is.":
            steps.stepping(clip=lambda gs, norm, limit: [g * limit / norm for g in gs]),
        "The model is called without `training=True`: batch normalisation and dropout then work "
        "as at prediction.": steps.stepping(training=False),
        "Your loss is measured after the update; it belongs to the weights before it.":
            steps.stepping(told=lambda loss, norm, again, limit: (again(), norm)),
        "The norm you return is the one after clipping: it can never warn anybody. Return the one "
        "before.": steps.stepping(told=lambda loss, norm, again, limit:
                                  (loss(), (norm + limit - abs(norm - limit)) / 2)),
        "Loss and norm have changed places.":
            steps.stepping(told=lambda loss, norm, again, limit: (norm, loss())),
        "Your loss adds the squares up; their mean is wanted.": steps.stepping(mean=False),
        "Your loss is the mean absolute error, not the mean squared one.": steps.stepping(size=abs),
    },
)  # fmt: skip
def train_step(answer: Any) -> dict[str, Any]:
    """(loss, norm before clipping) as a function (model, optimizer, x, y, limit)."""
    return steps.look_at_steps(answer)
