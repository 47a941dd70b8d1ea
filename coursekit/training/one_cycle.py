"""The 1cycle policy as a Keras callback, with a momentum that truly changes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from coursekit.base.console import say_once
from coursekit.base.keras import keras
from coursekit.errors import ArgumentError
from coursekit.training.one_cycle_policy import one_cycle_at, one_cycle_knots
from coursekit.training.per_step import Schedule

__all__ = ["OneCycle", "Schedule"]

_WITH_BETA_1 = ("Adam", "AdamW", "Adamax", "Nadam", "Lion")
_WITH_MOMENTUM = ("SGD", "RMSprop")


class OneCycle(Schedule):
    """Train with the 1cycle policy (Smith, arXiv:1803.09820, 2018), both rate and momentum.

    A `Schedule` (see there) of straight lines; the length of the cycle is the number of steps that
    fit announces, `epochs * steps per epoch`. A training that is stopped early, by `EarlyStopping`
    say, cuts the cycle before the rate has come down; a line says so once.

    Args:
        max_lr: the highest learning rate, reached after nearly half of the steps.
        start_lr: the rate of the first step; `max_lr / 10` by default.
        final_lr: the rate of the last step; `start_lr / 1000` by default.
        momentum: the momentum at both ends and at the top of the cycle; `None` leaves it alone.
            It is `momentum` for SGD and RMSprop, `beta_1` for Adam, AdamW, Adamax, Nadam and Lion.
        final_fraction: the share of the steps that the last leg takes.

    Attributes:
        history: as that of `Schedule`; without momentum cycling, `momentum` is empty.

    Raises:
        ArgumentError: when built, for rates or momenta out of range; at the start of training, for
            an optimizer that holds a schedule, that has no momentum to cycle, for data of
            unknown length, or for a second cycle in the same training.

    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss="mse")
    >>> cycle = OneCycle(max_lr=0.1)
    >>> _ = model.fit(np.ones((100, 1)), np.ones((100, 1)), batch_size=10, epochs=2, verbose=0,
    ...               callbacks=[cycle])
    >>> len(cycle.history["step"]), round(max(cycle.history["learning_rate"]), 4)
    (20, 0.1)
    """

    def __init__(
        self,
        max_lr: float,
        *,
        start_lr: float | None = None,
        final_lr: float | None = None,
        momentum: tuple[float, float] | None = (0.95, 0.85),
        final_fraction: float = 0.1,
    ):
        super().__init__(lambda step, total: self.numbers(total)[0][step])
        self.max_lr, self.momentum = max_lr, momentum
        self._legs = {"start_lr": start_lr, "final_lr": final_lr, "final_fraction": final_fraction}
        one_cycle_at(0, 1, max_lr, momentum=momentum or (0.95, 0.85), **self._legs)
        one_cycle_knots(1, final_fraction)

    def numbers(self, total: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return rate and momentum at each of `total` steps."""
        momentum = self.momentum or (0.95, 0.85)
        steps = np.arange(total)
        rates, momenta = one_cycle_at(steps, total, self.max_lr, momentum=momentum, **self._legs)
        return rates, None if self.momentum is None else momenta

    def on_train_end(self, logs: dict | None = None) -> None:
        """Take the cycle out of the training step, and say so where it was cut."""
        super().on_train_end(logs)
        done, total = int(self._stepped.step), self._stepped.steps
        if self.model.stop_training and done < total and math.isfinite((logs or {}).get("loss", 0)):
            say_of_the_cut(f"training stopped after {done} of {total} steps")

    def _momentum_attribute(self, optimizer: Any) -> str | None:
        return None if self.momentum is None else _momentum_attribute(optimizer)


def say_of_the_cut(why: str) -> None:
    """Say, once, that a training which is stopped early does not anneal."""
    say_once(
        f"OneCycle: {why}, which cuts the cycle before its rate has come down; choose `epochs` "
        "so that you can let it run to its end.",
        key="1cycle is cut",
    )


def _momentum_attribute(optimizer: Any) -> str:
    def is_one_of(names: tuple[str, ...]) -> bool:
        return isinstance(optimizer, tuple(getattr(keras.optimizers, name) for name in names))

    name = type(optimizer).__name__
    if is_one_of(_WITH_BETA_1):
        return "beta_1"
    if is_one_of(_WITH_MOMENTUM):
        if optimizer.momentum > 0:
            return "momentum"
        raise ArgumentError(
            f"OneCycle: expected an optimizer with momentum, got {name}(momentum=0.0); "
            f"compile with {name}(momentum=0.95), or pass momentum=None to cycle the rate alone."
        )
    raise ArgumentError(
        f"OneCycle: expected one of {', '.join(_WITH_MOMENTUM + _WITH_BETA_1)}, got {name}, whose "
        "momentum cannot be cycled; pass momentum=None to cycle the learning rate alone."
    )
