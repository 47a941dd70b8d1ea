"""Exercise 06: training in two phases, told from the weights it ends with.

Which layers learned, and by which rates, is found by trying: all sets of layers, all `_STYLES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, product
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.models import give_weights, with_weights
from coursekit.checks.kit.simulate import Step, trained

NAMES = ("first", "second", "third", "output")


@dataclass(frozen=True)
class Plan:
    """What the two phases do; `layers` are those that learn."""

    epochs: tuple[int, int]
    rates: tuple[float, float]
    layers: tuple[Sequence[int], Sequence[int]] = ((), ())
    momentum: float = 0.9
    kind: str = "sgd"
    forget: bool = True

    def steps(self) -> list[Step]:
        """All updates: a new optimizer for each phase, or for both one that remembers."""
        return [Step(rate, self.momentum, layers, forget=i == 0 and (self.forget or phase == 0))
                for phase, (n, rate, layers)
                in enumerate(zip(self.epochs, self.rates, self.layers, strict=True))
                for i in range(n)]  # fmt: skip


_STYLES: dict[str, Callable[[Plan], Plan]] = {
    "": lambda p: p,
    "Phase 2 has the learning rate of phase 1.": lambda p: replace(p, rates=(p.rates[0],) * 2),
    "Phase 1 has the learning rate of phase 2.": lambda p: replace(p, rates=(p.rates[1],) * 2),
    "The two learning rates have changed places.": lambda p: replace(p, rates=p.rates[::-1]),
    "The epochs of the two phases have changed places.":
        lambda p: replace(p, epochs=p.epochs[::-1]),
    "Phase 2 comes first.": lambda p: replace(
        p, epochs=p.epochs[::-1], rates=p.rates[::-1], layers=p.layers[::-1]),
    "Phase 2 changes no weight. Does it take place?": lambda p: replace(p, epochs=(p.epochs[0], 0)),
    "Phase 1 changes no weight. Does it take place?": lambda p: replace(p, epochs=(0, p.epochs[1])),
    "The optimizer has no momentum.": lambda p: replace(p, momentum=0.0),
    "The optimizer has Nesterov's momentum, not the plain one.":
        lambda p: replace(p, kind="nesterov"),
    "The optimizer of phase 2 remembers the velocities of phase 1: make a new one.":
        lambda p: replace(p, forget=False),
    "The optimizer of phase 2 is that of phase 1, with its learning rate and its velocities.":
        lambda p: replace(p, forget=False, rates=(p.rates[0],) * 2),
}  # fmt: skip


def _net(n_layers: int, n_come_frozen: int) -> Any:
    from coursekit.base.keras import keras

    model = keras.Sequential([keras.Input((2, 3)), keras.layers.Flatten()])
    for name in NAMES[: n_layers - 1]:
        model.add(keras.layers.Dense(5, "tanh", name=name))
        model.add(keras.layers.Activation("linear"))
    model.add(keras.layers.Dense(3, "softmax", name=NAMES[-1]))
    model.compile("adam", loss="mse")
    for layer in with_weights(model)[:n_come_frozen]:
        layer.trainable = False
    return give_weights(model, f"two phases {n_layers}", scale=1.0)


def two_phases(answer: Any) -> None:
    """Train a small net with the answer; the weights tell what happened."""
    draw = rng("two phases: data")
    x = draw.normal(size=(40, 2, 3)).astype("float32")
    y = draw.integers(0, 3, 40).astype("int32")
    for n_layers, n_frozen, epochs, rates, n_come_frozen in (
        (4, 2, (5, 4), (0.5, 0.2), 3), (3, 0, (3, 4), (0.4, 0.1), 1),
    ):  # fmt: skip
        model = _net(n_layers, n_come_frozen)
        before = model.get_weights()
        call(answer, model, n_frozen, x, y, epochs, rates, may_return_none=True)
        after = model.get_weights()
        if all(map(np.array_equal, after, before)):
            raise Wrong("The weights of the model are as they were. Train the model you are given, "
                        "not a copy.")  # fmt: skip
        plan = Plan(epochs, rates, (range(n_frozen, n_layers), range(n_layers)))
        for told, tried in _plans(plan, n_layers):
            if all(map(_close, after, trained(before, x, y, tried.steps(), tried.kind))):
                if told:
                    raise Wrong(f"With n_frozen={n_frozen}: {told}")
                break
        else:
            n = int(model.optimizer.iterations)
            raise Wrong(f"With n_frozen={n_frozen} the model ends with weights that two phases do "
                        "not give. " + ("Are optimizer and loss those that are asked for?"
                        if n in (0, epochs[1]) else f"{epochs[1]} epochs of phase 2 took {n} steps:"
                        " is each on the whole data (`batch_size=len(x)`)?"))  # fmt: skip


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return np.allclose(a, b, rtol=1e-3, atol=1e-4)


def _plans(plan: Plan, n_layers: int) -> Iterator[tuple[str, Plan]]:
    """The right plan, with "", and wrong ones with what is wrong: first those with one mistake."""
    for told, change in _STYLES.items():
        yield told, change(plan)
    every = range(n_layers)
    sets = list(chain.from_iterable(combinations(every, n) for n in range(n_layers + 1)))
    pairs = list(product(sets, sets))
    right = tuple(map(tuple, plan.layers))
    for (told, change), layers in product(_STYLES.items(), pairs):
        wrong = [a != b for a, b in zip(layers, right, strict=True)]
        if any(wrong) and not (told and all(wrong)):  # three mistakes at once are too many
            where = _layers_told(plan, layers, n_layers)
            yield f"{where} {told}".strip(), change(replace(plan, layers=layers))


def _layers_told(plan: Plan, layers: Sequence[Sequence[int]], n_layers: int) -> str:
    names = [*NAMES[: n_layers - 1], NAMES[-1]]
    for phase, (learn, wanted) in enumerate(zip(layers, plan.layers, strict=True), 1):
        if tuple(learn) != tuple(wanted):
            which = ", ".join(f"`{names[i]}`" for i in learn) or "none"
            return (f"In phase {phase} the wrong layers learn: {which}. Set the flag of every "
                    "layer with weights, then compile.")  # fmt: skip
    return ""
