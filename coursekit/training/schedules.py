"""Learning-rate schedules that Keras lacks: power, piecewise linear, 1cycle.

A schedule is a pure function of the step. Give one to an optimizer in place of a number:
`keras.optimizers.SGD(learning_rate=Power(0.1, decay_steps=1000))`. Steps count optimizer updates
(`optimizer.iterations`), not epochs, and go on across several `fit` calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from coursekit.base.keras import keras
from coursekit.errors import ArgumentError
from coursekit.training.one_cycle_policy import one_cycle_at, one_cycle_points

ops = keras.ops
__all__ = ["OneCycle", "PiecewiseLinear", "Power", "one_cycle_at"]


@keras.saving.register_keras_serializable(package="coursekit")
class Power(keras.optimizers.schedules.LearningRateSchedule):
    r"""Power scheduling: $\eta(t) = \eta_0 / (1 + t/s)^c$.

    Here $\eta_0$ is `initial_learning_rate`, $t$ the step, $s$ `decay_steps`, $c$ `power`. After
    $s$ steps the rate is $\eta_0 / 2^c$, after $2s$ steps $\eta_0 / 3^c$: ever more slowly.
    With `power=1` it equals Keras' `InverseTimeDecay(..., decay_rate=1)`.

    >>> rate = Power(0.1, decay_steps=100)
    >>> [round(float(rate(step)), 4) for step in (0, 100, 200, 900)]
    [0.1, 0.05, 0.0333, 0.01]

    Raises ArgumentError unless all three are positive.
    """

    def __init__(self, initial_learning_rate: float, decay_steps: float, power: float = 1.0):
        super().__init__()
        for name, value in (
            ("initial_learning_rate", initial_learning_rate),
            ("decay_steps", decay_steps),
            ("power", power),
        ):
            if not value > 0:
                raise ArgumentError(f"{name}: expected a positive number, got {value!r}.")
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.power = power

    def __call__(self, step: Any) -> Any:
        """Return the rate at `step`, a scalar tensor."""
        progress = ops.cast(step, "float32") / self.decay_steps
        return self.initial_learning_rate / ops.power(1.0 + progress, self.power)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "power": self.power,
        }


@keras.saving.register_keras_serializable(package="coursekit")
class PiecewiseLinear(keras.optimizers.schedules.LearningRateSchedule):
    """Straight lines between the points (`steps[i]`, `rates[i]`), flat before and after them.

    >>> rate = PiecewiseLinear([0, 10, 20], [0.0, 1.0, 0.5])
    >>> [float(rate(step)) for step in (0, 5, 10, 15, 20, 99)]
    [0.0, 0.5, 1.0, 0.75, 0.5, 0.5]

    Raises ArgumentError unless there are as many steps as rates, at least one, and the steps grow.
    """

    def __init__(self, steps: Sequence[int], rates: Sequence[float]):
        super().__init__()
        if len(steps) != len(rates) or not len(steps):
            raise ArgumentError(
                f"steps and rates: expected the same number of each, at least one, got "
                f"{len(steps)} and {len(rates)}."
            )
        if not all(a < b for a, b in pairwise(steps)):
            raise ArgumentError(f"steps: expected growing numbers, got {list(steps)}.")
        self.steps, self.rates = list(steps), list(rates)

    def __call__(self, step: Any) -> Any:
        """Return the rate at `step`, a scalar tensor."""
        steps, rates = (ops.convert_to_tensor(v, "float32") for v in (self.steps, self.rates))
        step = ops.clip(ops.cast(step, "float32"), steps[0], steps[-1])
        left = ops.sum(ops.cast(step >= steps[1:-1], "int32"))
        right = min(1, len(self.steps) - 1) + left
        share = ops.divide_no_nan(step - steps[left], steps[right] - steps[left])
        # A weighted mean meets both ends exactly; a sum of rises would miss them by rounding.
        return (1 - share) * rates[left] + share * rates[right]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"steps": self.steps, "rates": self.rates}


@keras.saving.register_keras_serializable(package="coursekit")
class OneCycle(PiecewiseLinear):
    """The learning rate of the 1cycle policy over `total_steps` steps (see `one_cycle_policy`).

    A schedule cannot touch momentum; `ck.callbacks.OneCycle` cycles both.

    >>> rate = OneCycle(1.0, total_steps=101)
    >>> [round(float(rate(step)), 4) for step in (0, 45, 90, 100)]
    [0.1, 1.0, 0.1, 0.0001]

    Raises ArgumentError for rates that are not positive or fewer than one step.
    """

    def __init__(
        self,
        max_lr: float,
        total_steps: int,
        start_lr: float | None = None,
        final_lr: float | None = None,
        final_fraction: float = 0.1,
    ):
        self._config = {
            "max_lr": max_lr,
            "total_steps": total_steps,
            "start_lr": start_lr,
            "final_lr": final_lr,
            "final_fraction": final_fraction,
        }
        super().__init__(*one_cycle_points(**self._config))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return dict(self._config)
