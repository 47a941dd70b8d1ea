"""Checks of exercise 05: gradient clipping.

The clippers, right and wrong, are in `_ex05_formulas`; the training step has a module of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks import _ex05_formulas as formulas
from coursekit.checks._ex05_training_step import check_train_step
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import agree, rng
from coursekit.checks.kit.values import array, describe, number

TASKS = TaskList(5, "Gradient clipping")


def _gradients(name: str, *, long: bool) -> list[tuple[np.ndarray, float]]:
    """Return gradients with limits: of norm 3 to 30, or (not long) well within the limit."""
    draw, cases = rng(f"{name} {long}"), []
    for shape in ((2,), (7,), (4, 3), (3, 5), (2, 3, 4)):
        g = draw.normal(size=shape)
        g *= draw.uniform(3, 30) / np.sqrt(np.sum(g**2))
        limit = round(draw.uniform(0.3, 2.5), 2)
        cases.append((g if long else 0.05 * limit * g / np.abs(g).max(), limit))
    return cases


@TASKS.task(
    "Clipping by value",
    hints=(
        "Each component for itself: below −limit it becomes −limit, above limit it becomes limit.",
        "`np.clip` takes an array, a lower and an upper bound.",
    ),
)
def clip_by_value(answer: Any) -> None:
    """The clipped array as a function (gradient, limit)."""
    cases = _gradients("value", long=True)
    agree(answer, formulas.by_value, cases, read=array, mistakes=formulas.BY_VALUE_MISTAKES)
    agree(
        answer,
        formulas.by_value,
        _gradients("value", long=False),
        read=array,
        otherwise="A gradient whose components all lie within the limit must stay as it is.",
    )


@TASKS.task(
    "Clipping by norm",
    hints=(
        "Measure first: the norm is the root of the sum of all squares, whatever the shape.",
        "Multiply the whole array by one number: 1 if the norm is within the limit, else limit / "
        "norm.",
        "`limit / max(norm, limit)` is that number in both cases, and divides by 0 in none.",
    ),
)
def clip_by_norm(answer: Any) -> None:
    """The clipped array as a function (gradient, limit)."""
    short = _gradients("norm", long=False)
    cases = [*_gradients("norm", long=True), *short]
    # Vectors and matrices first: `np.linalg.norm(g, 2)` raises an error for more axes.
    flat = [case for case in cases if case[0].ndim < 3]
    for some in (flat, cases):
        agree(answer, formulas.by_norm, some, read=array, mistakes=formulas.BY_NORM_MISTAKES)
    agree(
        answer,
        formulas.by_norm,
        [(np.zeros(3), 1.0), (np.zeros((2, 2)), 0.5)],
        read=_zero_in_zero_out,
        otherwise="A gradient of zeros must stay a gradient of zeros.",
    )


def _zero_in_zero_out(value: Any) -> np.ndarray:
    if np.isnan(np.asarray(value, dtype=float)).any():
        raise Wrong(
            "A gradient of zeros becomes NaN: its norm is 0, and you divide by it. One training "
            "step with such a gradient would ruin all weights."
        )
    return array(value)


def _parts_and_norm(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Wrong(f"Expected a list of arrays and the norm, got {describe(value)}.")
    parts, norm = value
    if not isinstance(parts, (tuple, list)):
        raise Wrong(f"Expected a list of arrays in the first place, got {describe(parts)}.")
    if len(parts) != 3:
        raise Wrong(f"For a list of 3 arrays your list has {len(parts)}.")
    return (*(array(part, "A clipped gradient") for part in parts), number(norm, "Your norm"))


def _lists(name: str, long: tuple[float, ...] = (0.4, 0.5, 2.0, 8.0, 40.0)) -> list[tuple]:
    """Return lists of three gradients with the limit 1; their joint norms are in `long`."""
    draw, cases = rng(name), []
    for norm in long:
        gradients = [s * draw.normal(size=n) for s, n in ((3, (4, 3)), (1, (3,)), (0.3, (3, 2)))]
        factor = norm / formulas.joint_norm(gradients)
        limit = round(draw.uniform(0.6, 1.6), 2)
        cases.append(([limit * factor * g for g in gradients], limit))
    return cases


@TASKS.task(
    "Clipping by global norm",
    hints=(
        "First one norm for all: add up the squares of all components, then take the root.",
        "Then one factor for all: as in clipping by norm, with this norm.",
        "Return two things, `clipped, norm`, and let `norm` be the one you measured first.",
    ),
)
def clip_by_global_norm(answer: Any) -> None:
    """(clipped list, norm before clipping) as a function (list of gradients, limit)."""
    agree(
        answer,
        formulas.by_global_norm,
        _lists("global"),
        read=_parts_and_norm,
        mistakes=formulas.BY_GLOBAL_NORM_MISTAKES,
    )
    zeros = [([np.zeros((2, 2)), np.zeros(2), np.zeros(1)], 1.0)]
    agree(
        answer,
        formulas.by_global_norm,
        zeros,
        read=lambda value: _parts_and_norm(_no_nan(value)),
        otherwise="Gradients of zeros must stay zeros, with norm 0.",
    )


def _no_nan(value: Any) -> Any:
    if isinstance(value, (tuple, list)) and len(value) == 2 and isinstance(value[0], (tuple, list)):
        for part in value[0]:
            _zero_in_zero_out(part)
    return value


@TASKS.task(
    "The angle between raw and clipped",
    hints=(
        "The cosine of two arrows is their scalar product divided by both lengths.",
        "`np.concatenate([np.ravel(g) for g in gradients])` joins all arrays to one long arrow; "
        "`@` is the scalar product of two of those.",
    ),
)
def cosine(answer: Any) -> None:
    """The cosine as a function (list of gradients, list of gradients)."""
    cases = []
    for gradients, limit in _lists("cosine"):
        cases.append((gradients, [formulas.by_norm(g, 0.5 * limit) for g in gradients]))
        cases.append((gradients, [formulas.by_value(g, 0.1 * limit) for g in gradients]))
        cases.append((gradients, [-(g + 0.1) for g in gradients]))
    agree(answer, formulas.cosine, cases, mistakes=formulas.COSINE_MISTAKES, rtol=1e-4)
    alone = [([np.array([0.9, 100.0])], [np.array([0.9, 1.0])])]
    agree(answer, formulas.cosine, alone, otherwise="With a single variable it goes wrong.")


def _logs() -> list[tuple[list[float], float, int]]:
    """Return logs with a long warm-up of huge norms and with norms that are not finite."""
    draw, cases = rng("threshold"), []
    for share, warmup in ((0.15, 40), (0.25, 60), (0.7, 50), (0.2, 30)):
        norms = draw.lognormal(1.0, 1.0, 400)
        norms[:warmup] *= 1000
        norms[warmup : 2 * warmup] /= 1000  # so that it matters which steps are left out
        bad = draw.permutation(np.arange(5, 400))[:40]
        norms[bad[:20]], norms[bad[20:]] = np.inf, np.nan
        cases.append((norms.tolist(), share, warmup))
    return cases


@TASKS.task(
    "A threshold from a log",
    hints=(
        "Three steps: leave out the first `warmup` norms; of the others keep the finite ones; then "
        "find the number that the given share of them exceeds.",
        "`np.isfinite` tells which are finite. `np.quantile(values, q)` gives the number that a "
        "share `q` lies *below*. Which `q` do you need?",
    ),
)
def choose_threshold(answer: Any) -> None:
    """The threshold as a function (norms, share, warmup); one step more or less is fine."""
    cases = _logs()
    got = [number(call(answer, *case), "Your threshold") for case in cases]

    def clips(mistake: str = "", wrong_end: bool = False) -> bool:
        for threshold, (norms, share, warmup) in zip(got, cases, strict=True):
            values = formulas.counted(norms, warmup, mistake)
            wanted = (1 - share if wrong_end else share) * len(values)
            if abs(np.sum(values > threshold) - wanted) > 1.01:
                return False
        return True

    if not clips():
        for reason, settings in formulas.THRESHOLD_MISTAKES.items():
            if clips(*settings):
                raise Wrong(reason)
        norms, share, warmup = cases[0]
        values = formulas.counted(norms, warmup)
        raise Wrong(
            f"In a log with share={share} your threshold clips {np.mean(values > got[0]):.0%} of "
            "the steps that count."
        )
    whole = number(call(answer, [4.0, 1.0, 3.0, 2.0, 5.0, 6.0, 8.0, 7.0, 10.0, 9.0], 0.2, 0))
    if not 7.0 <= whole < 10.0:
        raise Wrong("With `warmup=0` and only finite norms it goes wrong.")


@TASKS.task(
    "A training step that clips and logs",
    seconds=180.0,
    hints=(
        "Inside `with tf.GradientTape() as tape:` compute the loss from `model(x, training=True)`. "
        "After the block, `tape.gradient(loss, model.trainable_variables)` is a list of gradients.",
        "`tf.linalg.global_norm(gradients)` is the norm to log. `tf.clip_by_global_norm(gradients, "
        "limit)` returns two things: the list of clipped gradients, and that norm again.",
        "`optimizer.apply_gradients(zip(gradients, model.trainable_variables))` makes the update. "
        "Use TensorFlow functions, not NumPy's, and return tensors as they are.",
    ),
)
def train_step(answer: Any) -> None:
    """(loss, norm before clipping) as a function (model, optimizer, x, y, limit)."""
    check_train_step(answer)
