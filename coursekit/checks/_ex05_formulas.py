"""The clippers of exercise 05, right and wrong.

Written once more, apart from `coursekit.scratch.clipping`: a check that shared code with what it
checks would share its mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Arrays = Sequence[np.ndarray]


def by_value(gradient: np.ndarray, limit: float) -> np.ndarray:
    """Cut every component to [-limit, limit]."""
    return np.minimum(np.maximum(gradient, -limit), limit)


BY_VALUE_MISTAKES: dict[str, Callable[..., Any]] = {
    "Only large positive components are cut; a component far below `-limit` is too long as well.": (
        lambda g, c: np.minimum(g, c)
    ),
    "Only components below `-limit` are cut; the large positive ones are too long as well.": (
        lambda g, c: np.maximum(g, -c)
    ),
    "The signs are lost: a negative component stays negative.": (
        lambda g, c: np.minimum(np.abs(g), c)
    ),
    "Your components become 0 where they are too long; they must become the limit.": (
        lambda g, c: np.where(np.abs(g) > c, 0.0, g)
    ),
    "All components have the full length; those within the limit stay as they are.": (
        lambda g, c: c * np.sign(g)
    ),
    "That is clipping by norm: one factor for all. By value each component is cut by itself.": (
        lambda g, c: by_norm(g, c)
    ),
    "The negative components are cut to 0: the interval begins at `-limit`.": (
        lambda g, c: np.clip(g, 0, c)
    ),
    "Your limit has no effect: it works as if it were 1.": lambda g, c: np.clip(g, -1, 1),
}


def by_norm(gradient: np.ndarray, limit: float) -> np.ndarray:
    """Shrink to ℓ2 norm ≤ limit; a zero gradient stays zero."""
    norm = np.sqrt(np.sum(np.square(gradient)))
    return gradient * (limit / max(norm, limit))


def _scaled(g: np.ndarray, c: float, size: float) -> np.ndarray:
    return g * (c / max(float(size), c))


BY_NORM_MISTAKES: dict[str, Callable[..., Any]] = {
    "A short gradient becomes longer: it must stay as it is; only a long one shrinks.": (
        lambda g, c: g * c / np.sqrt(np.sum(g**2))
    ),
    "Short gradients grow, long ones stay: `min` and `max` have changed places.": (
        lambda g, c: g * (c / min(np.sqrt(np.sum(g**2)), c))
    ),
    "That is clipping by value: it turns the arrow. One factor for all components is wanted.": (
        by_value
    ),
    "The root is missing: the norm is the root of the sum of squares.": (
        lambda g, c: _scaled(g, c, np.sum(g**2))
    ),
    "You add absolute values; the ℓ2 norm is the root of the sum of squares.": (
        lambda g, c: _scaled(g, c, np.abs(g).sum())
    ),
    "You measure the largest component; the ℓ2 norm is the root of the sum of squares.": (
        lambda g, c: _scaled(g, c, np.abs(g).max())
    ),
    "You measure the mean square; the norm is the root of the sum, so it counts every component.": (
        lambda g, c: _scaled(g, c, np.sqrt(np.mean(g**2)))
    ),
    "Every row has a norm of its own; the array has one norm, over all its components.": (
        lambda g, c: g * (c / np.maximum(np.sqrt(np.sum(g**2, axis=-1, keepdims=True)), c))
    ),
    "For a matrix, `np.linalg.norm(g, 2)` is the largest singular value, not the root of the sum "
    "of squares of all components.": lambda g, c: _scaled(g, c, np.linalg.norm(g, 2)),
    "A long gradient ends with norm 1, not with norm `limit`.": (
        lambda g, c: g / np.sqrt(np.sum(g**2)) if np.sqrt(np.sum(g**2)) > c else g
    ),
    "Your long gradients become 0; they must keep the norm `limit`.": (
        lambda g, c: g * (np.sqrt(np.sum(g**2)) <= c)
    ),
}


def joint_norm(gradients: Arrays) -> float:
    """ℓ2 norm of all variables' gradients as one vector."""
    return float(np.sqrt(sum(np.sum(np.square(g, dtype=float)) for g in gradients)))


def by_global_norm(gradients: Arrays, limit: float) -> tuple[Any, ...]:
    """Return the clipped arrays and, last, the norm before clipping."""
    norm = joint_norm(gradients)
    return (*(g * (limit / max(norm, limit)) for g in gradients), norm)


def _global(gradients: Arrays, limit: float, size: float, told: float | None = None) -> tuple:
    told = joint_norm(gradients) if told is None else told
    return (*(_scaled(g, limit, size) for g in gradients), told)


def _clipped_norm(gradients: Arrays, limit: float) -> tuple:
    *parts, norm = by_global_norm(gradients, limit)
    return (*parts, min(norm, limit))


def _sum_of_norms(gradients: Arrays) -> float:
    return sum(np.sqrt(np.sum(g**2)) for g in gradients)


BY_GLOBAL_NORM_MISTAKES: dict[str, Callable[..., Any]] = {
    "Each variable is clipped by its own norm; one factor, from the norm of all, is wanted.": (
        lambda gs, c: (*(by_norm(g, c) for g in gs), joint_norm(gs))
    ),
    "The norm you return is the one after clipping: it can never warn anybody. Return the one "
    "before.": _clipped_norm,
    "Short gradients become longer: all must stay as they are when the joint norm is within the "
    "limit.": lambda gs, c: (*(g * c / joint_norm(gs) for g in gs), joint_norm(gs)),
    "You add the norms of the variables; they add up like the sides of a right angle: root of the "
    "sum of squares.": lambda gs, c: _global(gs, c, _sum_of_norms(gs), _sum_of_norms(gs)),
    "You take the largest of the norms; the norm of all together is larger.": lambda gs, c: _global(
        gs, c, *[max(np.sqrt(np.sum(g**2)) for g in gs)] * 2
    ),
    "The root is missing: the norm is the root of the sum of squares.": lambda gs, c: _global(
        gs, c, *[joint_norm(gs) ** 2] * 2
    ),
    "Every component is cut by itself: that is clipping by value.": (
        lambda gs, c: (*(by_value(g, c) for g in gs), joint_norm(gs))
    ),
}


def cosine(gradients: Arrays, others: Arrays) -> float:
    """Cosine of the angle between two gradients of several variables."""
    product = sum(np.sum(a * b) for a, b in zip(gradients, others, strict=True))
    return float(product / (joint_norm(gradients) * joint_norm(others)))


COSINE_MISTAKES: dict[str, Callable[..., Any]] = {
    "You average the cosines of the variables; join all variables to one long arrow first.": (
        lambda a, b: np.mean([cosine([p], [q]) for p, q in zip(a, b, strict=True)])
    ),
    "You add up the cosines of the variables; join all variables to one long arrow first.": (
        lambda a, b: sum(cosine([p], [q]) for p, q in zip(a, b, strict=True))
    ),
    "Only the first variable counts in your function.": lambda a, b: cosine(a[:1], b[:1]),
    "That is the scalar product; divide it by both norms.": (
        lambda a, b: cosine(a, b) * joint_norm(a) * joint_norm(b)
    ),
    "You divide by one norm only: by the first one's.": lambda a, b: cosine(a, b) * joint_norm(b),
    "You divide by one norm only: by the second one's.": lambda a, b: cosine(a, b) * joint_norm(a),
    "You divide by the squares of the norms: a root is missing.": (
        lambda a, b: cosine(a, b) / (joint_norm(a) * joint_norm(b))
    ),
    "That is the angle itself, in radians; its cosine is wanted.": (
        lambda a, b: np.arccos(cosine(a, b))
    ),
    "That is 1 minus the cosine, a distance.": lambda a, b: 1 - cosine(a, b),
    "The sign is lost: gradients that point against each other have a negative cosine.": (
        lambda a, b: abs(cosine(a, b))
    ),
}


def counted(norms: Sequence[float], warmup: int, mistake: str = "") -> np.ndarray:
    """Return the norms that count: those after the warm-up which are finite."""
    values = np.asarray(norms, dtype=float)
    if mistake == "finite first":
        return values[np.isfinite(values)][warmup:]
    values = values if mistake == "warm-up" else values[warmup:]
    if mistake == "infinite":
        return values[~np.isnan(values)]
    if mistake == "not finite":
        return np.nan_to_num(values, nan=np.inf, posinf=np.inf)
    return values[np.isfinite(values)]


# reason → which norms are counted, and whether the share is taken from the wrong end
THRESHOLD_MISTAKES: dict[str, tuple[str, bool]] = {
    "The share is at the wrong end: as many steps are left alone as should be clipped.": ("", True),
    "The first `warmup` steps are counted; leave them out.": ("warm-up", False),
    "Steps whose norm is infinite are counted; leave them out.": ("infinite", False),
    "Steps whose norm is infinite or NaN are counted; leave them out.": ("not finite", False),
    "You drop the norms that are not finite first and then `warmup` of the rest: so steps after "
    "the warm-up are lost, too.": ("finite first", False),
}
