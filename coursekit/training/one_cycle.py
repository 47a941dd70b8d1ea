"""Keras callbacks of the course: the 1cycle policy with a momentum that truly changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from coursekit.base.keras import keras, tf
from coursekit.errors import ArgumentError
from coursekit.training.one_cycle_policy import one_cycle_at, one_cycle_knots

_WITH_BETA_1 = ("Adam", "AdamW", "Adamax", "Nadam", "Lion")
_WITH_MOMENTUM = ("SGD", "RMSprop")


class OneCycle(keras.callbacks.Callback):
    """Train with the 1cycle policy (Smith, arXiv:1803.09820, 2018), both rate and momentum.

    Works with `model.fit` and `ck.fit`, and with `steps_per_execution > 1`: the cycle is part of
    the compiled update, not of Python code between the steps. The length of the cycle is the
    number of steps that fit announces, `epochs * steps per epoch`. A resumed training
    (`initial_epoch`, `BackupAndRestore`) takes up the cycle where it was. When training ends the
    optimizer has its own learning rate and momentum back.

    Args:
        max_lr: the highest learning rate, reached after nearly half of the steps.
        start_lr: the rate of the first step; `max_lr / 10` by default.
        final_lr: the rate of the last step; `start_lr / 1000` by default.
        momentum: the momentum at both ends and at the top of the cycle; `None` leaves it alone.
            It is `momentum` for SGD and RMSprop, `beta_1` for Adam, AdamW, Adamax, Nadam and Lion.
        final_fraction: the share of the steps that the last leg takes.

    Attributes:
        history: `{"step", "learning_rate", "momentum"}`, three lists with one entry for each
            update done: what the optimizer used, written down inside the update itself. It is
            brought up to date at the end of each epoch. Without momentum cycling, `momentum`
            is empty.

    Raises:
        ArgumentError: when built, for rates or momenta out of range; at the start of training, for
            an optimizer that holds a schedule, that has no momentum to cycle, or for data of
            unknown length.

    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(momentum=0.9), loss="mse")
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
        super().__init__()
        self.max_lr, self.momentum = max_lr, momentum
        self._legs = {"start_lr": start_lr, "final_lr": final_lr, "final_fraction": final_fraction}
        one_cycle_at(0, 1, max_lr, momentum=momentum or (0.95, 0.85), **self._legs)
        one_cycle_knots(1, final_fraction)
        self.history: dict[str, list[float]] = {"step": [], "learning_rate": [], "momentum": []}
        self._live: _LiveCycle | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Put the cycle into the optimizer's update."""
        optimizer = self.model.optimizer
        left_behind = getattr(type(optimizer), "live_cycle", None)
        if left_behind is not None:  # a training that was interrupted before its end
            left_behind.remove()
        steps, epochs = self.params.get("steps"), self.params.get("epochs")
        if not steps or not epochs:
            raise ArgumentError(
                "OneCycle: expected data of known length, got an unknown number of steps; "
                "pass arrays, or steps_per_epoch to fit."
            )
        if isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            raise ArgumentError(
                f"OneCycle: expected an optimizer with a plain learning rate, got "
                f"{type(optimizer._learning_rate).__name__}; compile with a number instead."
            )
        rates, momenta = one_cycle_at(
            np.arange(steps * epochs),
            steps * epochs,
            self.max_lr,
            momentum=self.momentum or (0.95, 0.85),
            **self._legs,
        )
        attribute = None if self.momentum is None else _momentum_attribute(optimizer)
        self._live = _LiveCycle.of(optimizer, attribute, len(rates))
        self._live.begin(rates, momenta)
        self._first_epoch = True
        self._retrace()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Find the place in the cycle, which is not 0 in a resumed training."""
        if self._first_epoch:
            self._live.start_at(epoch * self.params["steps"])
            self._first_epoch = False

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Bring `history` up to date."""
        self.history = self._live.recorded()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Give the optimizer its own rate, momentum and update back."""
        self.history = self._live.recorded()
        self._live.remove()
        self._live = None
        self._retrace()

    def _retrace(self) -> None:
        # Keras traces the update once and keeps it; without this the old one would go on running.
        self.model.make_train_function(force=True)


class _LiveCycle:
    """The cycle inside `optimizer.apply`: looked up by `optimizer.iterations`, so it is traced."""

    def __init__(self, optimizer: Any, attribute: str | None, steps: int):
        self.optimizer, self.attribute, self.steps = optimizer, attribute, steps
        self.rates, self.momenta, self.seen_rates, self.seen_momenta = (
            tf.Variable(tf.zeros(steps)) for _ in range(4)
        )
        self.offset = tf.Variable(0, dtype=tf.int64)
        self.own_class = type(optimizer)
        self.class_with_cycle = self._class_with_cycle()

    @classmethod
    def of(cls, optimizer: Any, attribute: str | None, steps: int) -> _LiveCycle:
        """Return the optimizer's cycle; one of the same length is used again, as it was traced."""
        live = vars(optimizer).get("_coursekit_cycle")
        if live is None or (live.attribute, live.steps) != (attribute, steps):
            live = cls(optimizer, attribute, steps)
            vars(optimizer)["_coursekit_cycle"] = live  # past Keras' attribute tracking
        return live

    def begin(self, rates: np.ndarray, momenta: np.ndarray) -> None:
        self.rates.assign(rates)
        self.momenta.assign(momenta)
        for seen in (self.seen_rates, self.seen_momenta):
            seen.assign(tf.fill(seen.shape, np.float32(np.nan)))
        self.own_rate = float(self.optimizer.learning_rate)
        self.optimizer.__class__ = self.class_with_cycle

    def _class_with_cycle(self) -> type:
        own_class = self.own_class
        live = self

        def apply(self: Any, grads: Any, trainable_variables: Any = None) -> None:
            with live.update():
                own_class.apply(self, grads, trainable_variables)

        # The same name and module, so that a checkpoint saved in mid-cycle can be loaded.
        names = {key: getattr(own_class, key) for key in ("__module__", "__qualname__", "__doc__")}
        body = {**names, "apply": apply, "live_cycle": self}
        return type(own_class)(own_class.__name__, (own_class,), body)

    def start_at(self, step: int) -> None:
        self.offset.assign(int(self.optimizer.iterations.numpy()) - step)

    @contextmanager
    def update(self) -> Iterator[None]:
        """Give the optimizer this step's rate and momentum, and write both down."""
        iterations = tf.cast(tf.convert_to_tensor(self.optimizer.iterations), tf.int64)
        place = tf.clip_by_value(iterations - self.offset, 0, self.steps - 1)
        rate = self.optimizer._learning_rate
        rate.assign(tf.gather(self.rates, place))
        self.seen_rates.scatter_nd_update(
            [[place]], [tf.cast(tf.convert_to_tensor(rate), tf.float32)]
        )
        if not self.attribute:
            yield
            return
        momentum = tf.gather(self.momenta, place)
        self.seen_momenta.scatter_nd_update([[place]], [momentum])
        settings = vars(self.optimizer)
        own_momentum = settings[self.attribute]
        settings[self.attribute] = _TracedNumber(momentum)
        try:
            yield
        finally:
            settings[self.attribute] = own_momentum

    def recorded(self) -> dict[str, list[float]]:
        rates = self.seen_rates.numpy()
        done = np.flatnonzero(~np.isnan(rates))
        momenta = self.seen_momenta.numpy()[done].tolist() if self.attribute else []
        return {
            "step": done.tolist(),
            "learning_rate": rates[done].tolist(),
            "momentum": momenta,
        }

    def remove(self) -> None:
        self.optimizer.__class__ = self.own_class
        self.optimizer.learning_rate = self.own_rate


class _TracedNumber:
    """A tensor where Keras expects a Python number: it can be multiplied, and it is not zero.

    Keras asks `if self.momentum != 0` while tracing, which a tensor cannot answer.
    """

    def __init__(self, tensor: Any):
        self.tensor = tensor

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> Any:
        return self.tensor if dtype is None else tf.cast(self.tensor, dtype)

    def __ne__(self, other: object) -> bool:
        return True

    def __gt__(self, other: object) -> bool:
        return True

    __hash__ = None

    def __rmul__(self, other: Any) -> Any:
        return other * self.tensor

    def __rsub__(self, other: Any) -> Any:
        return other - self.tensor

    def __mul__(self, other: Any) -> Any:
        return self.tensor * other


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
