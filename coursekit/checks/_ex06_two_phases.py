"""Exercise 06: training in two phases, told from the weights it ends with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng

N_LAYERS, MOMENTUM = 3, 0.9


class Phase(NamedTuple):
    """So many steps with this rate on these layers, with `memory` of the velocities or without."""

    rate: float
    steps: int
    layers: Sequence[int]
    memory: bool = False
    momentum: float = MOMENTUM


class Case(NamedTuple):
    """The arguments of one call, and which layers come frozen."""

    n_frozen: int
    epochs: tuple[int, int]
    rates: tuple[float, float]
    comes_frozen: int


_CASES = (
    Case(2, (5, 4), (0.5, 0.2), 2),
    Case(1, (3, 6), (0.4, 0.15), 0),
    Case(0, (3, 4), (0.4, 0.1), 1),
)


def _net() -> Any:
    from coursekit.base.keras import keras

    layers = keras.layers
    model = keras.Sequential([
        keras.Input((2, 3)),
        layers.Flatten(), layers.Dense(5, "tanh"), layers.Activation("linear"),
        layers.Dense(4, "tanh"), layers.Dense(3, "softmax"),
    ])  # fmt: skip
    draw = rng("two phases")
    model.set_weights([draw.normal(size=w.shape) for w in model.get_weights()])
    return model


def _data() -> tuple[np.ndarray, np.ndarray]:
    draw = rng("two phases: data")
    return draw.normal(size=(40, 2, 3)).astype("float32"), draw.integers(0, 3, 40).astype("int32")


def _trained(x: np.ndarray, y: np.ndarray, phases: Sequence[Phase]) -> np.ndarray:
    """All weights after these phases of gradient descent on the whole data, as one vector."""
    weights = [np.array(w, float) for w in _net().get_weights()]
    velocity = [np.zeros_like(w) for w in weights]
    flat, rows = x.reshape(len(x), -1), np.arange(len(x))
    for rate, steps, layers, memory, momentum in phases:
        if not memory:
            velocity = [np.zeros_like(w) for w in weights]
        for _ in range(steps):
            outputs = [flat]
            for i in (0, 1):
                outputs.append(np.tanh(outputs[-1] @ weights[2 * i] + weights[2 * i + 1]))
            odds = np.exp(outputs[-1] @ weights[4] + weights[5])
            error = odds / odds.sum(axis=1, keepdims=True)
            error[rows, y] -= 1
            error /= len(x)
            gradients: list[Any] = [None] * 6
            for i in (2, 1, 0):
                gradients[2 * i] = outputs[i].T @ error
                gradients[2 * i + 1] = error.sum(axis=0)
                error = (error @ weights[2 * i].T) * (1 - outputs[i] ** 2)
            for i, gradient in enumerate(gradients):
                if i // 2 in layers:
                    velocity[i] = momentum * velocity[i] - rate * gradient
                    weights[i] = weights[i] + velocity[i]
    return np.concatenate([w.ravel() for w in weights])


def _phases(case: Case) -> list[tuple[str, list[Phase]]]:
    """The right phases with "", and wrong ones with the reason each must get."""
    (e1, e2), (r1, r2) = case.epochs, case.rates
    everything, upper = range(N_LAYERS), range(case.n_frozen, N_LAYERS)
    lower = range(case.n_frozen)
    first, second = Phase(r1, e1, upper), Phase(r2, e2, everything)
    not_thawed = (
        "In phase 2 the lower layers stay as they were. Are they unfrozen, and is the model "
        "compiled after that?"
    )
    frozen_late = (
        "The lower layers learn in phase 1 already; there they should be frozen. Is the model "
        "compiled after freezing?"
    )
    return [
        ("", [first, second]),
        (not_thawed, [first, Phase(r2, e2, upper)]),
        (not_thawed, [first, Phase(r2, e2, upper, memory=True)]),
        (
            not_thawed + " (The learning rate is still that of phase 1, too.)",
            [first, Phase(r1, e2, upper, memory=True)],
        ),
        (frozen_late, [Phase(r1, e1, everything), second]),
        (
            "Phase 1 trains the wrong layers: freeze the first `n_frozen`, let the others learn.",
            [Phase(r1, e1, lower), second],
        ),
        ("In phase 2 only the lower layers learn; all should.", [first, Phase(r2, e2, lower)]),
        ("Phase 2 has the learning rate of phase 1.", [first, Phase(r1, e2, everything)]),
        ("Phase 1 has the learning rate of phase 2.", [Phase(r2, e1, upper), second]),
        (
            "The two learning rates have changed places.",
            [Phase(r2, e1, upper), Phase(r1, e2, everything)],
        ),
        (
            "The epochs of the two phases have changed places.",
            [Phase(r1, e2, upper), Phase(r2, e1, everything)],
        ),
        ("Only phase 1 takes place.", [first]),
        ("Only phase 2 takes place.", [second]),
        ("Phase 2 comes first.", [second, first]),
        (
            "The optimizer of phase 2 remembers the velocities of phase 1: make a new one.",
            [first, Phase(r2, e2, everything, memory=True)],
        ),
        (
            "The optimizer has no momentum.",
            [Phase(r1, e1, upper, momentum=0.0), Phase(r2, e2, everything, momentum=0.0)],
        ),
        (
            "Phase 1 is right, but phase 2 trains the output layer alone.",
            [first, Phase(r2, e2, [N_LAYERS - 1])],
        ),
        (
            "All layers but the output are frozen in phase 1; only the first `n_frozen` should be.",
            [Phase(r1, e1, [N_LAYERS - 1]), second],
        ),
    ]


def check_two_phases(answer: Any) -> None:
    """Train a small net with the answer; the weights tell what happened."""
    x, y = _data()
    for case in _CASES:
        model = _net()
        for layer in [layer for layer in model.layers if layer.weights][: case.comes_frozen]:
            layer.trainable = False
        before = model.get_weights()
        call(answer, model, case.n_frozen, x, y, case.epochs, case.rates, may_return_none=True)
        weights = model.get_weights()
        if all(np.array_equal(a, b) for a, b in zip(weights, before, strict=True)):
            raise Wrong(
                "The weights of the model are as they were. Train the model you are given, not a "
                "copy."
            )
        got = np.concatenate([w.ravel() for w in weights])
        for reason, phases in _phases(case):
            if np.allclose(got, _trained(x, y, phases), rtol=1e-3, atol=1e-4):
                if reason:
                    raise Wrong(f"With n_frozen={case.n_frozen}: {reason}")
                break
        else:
            raise Wrong(
                f"With n_frozen={case.n_frozen} the model ends with weights that two phases do not "
                "give. Is the optimizer the one that is asked for, and is each step on the whole "
                "data (`batch_size=len(x)`)?"
            )
