"""The 1cycle policy as a Keras callback, with a momentum that truly changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from coursekit.base.console import say_once
from coursekit.base.keras import keras, tf
from coursekit.errors import ArgumentError
from coursekit.training.arguments import without_loss_scale
from coursekit.training.one_cycle_policy import one_cycle_at, one_cycle_knots

_WITH_BETA_1 = ("Adam", "AdamW", "Adamax", "Nadam", "Lion")
_WITH_MOMENTUM = ("SGD", "RMSprop")


class OneCycle(keras.callbacks.Callback):
    """Train with the 1cycle policy (Smith, arXiv:1803.09820, 2018), both rate and momentum.

    Works with `model.fit` and `ck.fit`, and with `steps_per_execution > 1`: the cycle is part of
    the compiled step, not of Python code between the steps. The length of the cycle is the
    number of steps that fit announces, `epochs * steps per epoch`. A resumed training
    (`initial_epoch`, `BackupAndRestore`) takes up the cycle where it was. With
    `gradient_accumulation_steps` the cycle still goes on at every step, and each update takes the
    numbers of the step at which it is made; a `LossScaleOptimizer` is looked into.

    Only the compiled step sees the cycle: the optimizer's own `learning_rate` and `momentum` never
    change, a checkpoint holds them, and an interrupted training leaves nothing behind. A training
    that is stopped early, by `EarlyStopping` say, cuts the cycle before the rate has come down; a
    line says so once.

    Args:
        max_lr: the highest learning rate, reached after nearly half of the steps.
        start_lr: the rate of the first step; `max_lr / 10` by default.
        final_lr: the rate of the last step; `start_lr / 1000` by default.
        momentum: the momentum at both ends and at the top of the cycle; `None` leaves it alone.
            It is `momentum` for SGD and RMSprop, `beta_1` for Adam, AdamW, Adamax, Nadam and Lion.
        final_fraction: the share of the steps that the last leg takes.

    Attributes:
        history: `{"step", "learning_rate", "momentum"}`, three lists with one entry for each
            step done: what the optimizer held at that step, written down inside the step itself.
            It is brought up to date at the end of each epoch. Without momentum cycling,
            `momentum` is empty.

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
        super().__init__()
        self.max_lr, self.momentum = max_lr, momentum
        self._legs = {"start_lr": start_lr, "final_lr": final_lr, "final_fraction": final_fraction}
        one_cycle_at(0, 1, max_lr, momentum=momentum or (0.95, 0.85), **self._legs)
        one_cycle_knots(1, final_fraction)
        self.history: dict[str, list[float]] = {"step": [], "learning_rate": [], "momentum": []}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Put the cycle into the training step."""
        if isinstance(getattr(self.model.train_step, "__self__", None), _CycledStep):
            raise ArgumentError("OneCycle: expected one of them in a training, got two.")
        optimizer = without_loss_scale(self.model.optimizer)
        steps, epochs = self.params.get("steps"), self.params.get("epochs")
        if not steps or not epochs:
            raise ArgumentError(
                "OneCycle: expected data of known length, got an unknown number of steps; "
                "pass arrays, or steps_per_epoch to fit."
            )
        if not isinstance(optimizer._learning_rate, keras.Variable):
            raise ArgumentError(
                f"OneCycle: expected an optimizer with a plain learning rate, got "
                f"{type(optimizer._learning_rate).__name__}; compile with a number instead."
            )
        attribute = None if self.momentum is None else _momentum_attribute(optimizer)
        rates, momenta = one_cycle_at(
            np.arange(steps * epochs),
            steps * epochs,
            self.max_lr,
            momentum=self.momentum or (0.95, 0.85),
            **self._legs,
        )
        self._cycle = _CycledStep.of(self.model, optimizer, attribute, len(rates))
        self._cycle.begin(rates, momenta)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Find the place in the cycle, which is not 0 in a resumed training."""
        self._cycle.go_to(epoch * self.params["steps"])

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Bring `history` up to date."""
        self.history = self._cycle.recorded()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Take the cycle out of the training step."""
        self.history = self._cycle.recorded()
        self._cycle.remove()
        done, total = int(self._cycle.step), self._cycle.steps
        if self.model.stop_training and done < total and math.isfinite((logs or {}).get("loss", 0)):
            say_of_the_cut(f"training stopped after {done} of {total} steps")


def say_of_the_cut(why: str) -> None:
    """Say, once, that a training which is stopped early does not anneal."""
    say_once(
        f"OneCycle: {why}, which cuts the cycle before its rate has come down; choose `epochs` "
        "so that you can let it run to its end.",
        key="1cycle is cut",
    )


class _CycledStep:
    """The `train_step` of a model, in which the optimizer reads the numbers of the cycle.

    It stands in for the model's own during one training. `fit` calls no callback when it is
    interrupted, but every training begins with `model.make_train_function()`: there a step that an
    interrupted one left behind is taken out, before it is run.
    """

    def __init__(self, model: Any, optimizer: Any, attribute: str | None, steps: int):
        self.model, self.optimizer, self.attribute, self.steps = model, optimizer, attribute, steps
        self.own_step = model.train_step
        self.stand_ins = {
            "train_step": self._train_step,
            "make_train_function": self._training_begins,
        }
        self.own = {name: vars(model)[name] for name in self.stand_ins if name in vars(model)}
        self.step = tf.Variable(0, dtype=tf.int64)
        self.rates, self.momenta, self.seen_rates, self.seen_momenta = (
            tf.Variable(tf.zeros(steps)) for _ in range(4)
        )

    @classmethod
    def of(cls, model: Any, optimizer: Any, attribute: str | None, steps: int) -> _CycledStep:
        """Return the model's cycle; one of the same kind is used again, as it was traced."""
        kept = vars(model).get("_coursekit_cycle")
        kind = (optimizer, attribute, steps, model.train_step)
        if kept is None or kind != (kept.optimizer, kept.attribute, kept.steps, kept.own_step):
            kept = cls(model, optimizer, attribute, steps)
            vars(model)["_coursekit_cycle"] = kept  # past Keras' attribute tracking
        return kept

    def begin(self, rates: np.ndarray, momenta: np.ndarray) -> None:
        self.rates.assign(rates)
        self.momenta.assign(momenta)
        for seen in (self.seen_rates, self.seen_momenta):
            seen.assign(tf.fill(seen.shape, np.float32(np.nan)))
        self.go_to(0)

    def go_to(self, step: int) -> None:
        self.step.assign(step)
        if not self._in_place():
            vars(self.model).update(self.stand_ins)
            # Keras keeps what it traced: without this the model's own step would go on running.
            type(self.model).make_train_function(self.model, force=True)

    def remove(self) -> None:
        if self._in_place():
            for name in self.stand_ins:
                del vars(self.model)[name]
            vars(self.model).update(self.own)
            self.model.train_function = None

    def recorded(self) -> dict[str, list[float]]:
        rates = self.seen_rates.numpy()
        done = np.flatnonzero(~np.isnan(rates))
        momenta = self.seen_momenta.numpy()[done].tolist() if self.attribute else []
        return {
            "step": done.tolist(),
            "learning_rate": rates[done].tolist(),
            "momentum": momenta,
        }

    def _in_place(self) -> bool:
        return vars(self.model).get("train_step") is self.stand_ins["train_step"]

    def _training_begins(self, force: bool = False) -> Any:
        if not force:
            self.remove()
        return type(self.model).make_train_function(self.model, force=True)

    def _train_step(self, data: Any) -> Any:
        with self._numbers_in_the_optimizer():
            return self.own_step(data)

    @contextmanager
    def _numbers_in_the_optimizer(self) -> Iterator[None]:
        """Let the optimizer find this step's numbers where its own are, while a step is traced."""
        place = tf.minimum(self.step, self.steps - 1)
        settings, live = vars(self.optimizer), {"_learning_rate": tf.gather(self.rates, place)}
        if self.attribute:
            live[self.attribute] = _LiveNumber(tf.gather(self.momenta, place))
        own = {name: settings[name] for name in live}
        settings.update(live)
        try:
            yield
            self._note(self.seen_rates, place, self.optimizer.learning_rate)
            if self.attribute:
                self._note(self.seen_momenta, place, settings[self.attribute])
            self.step.assign_add(1)
        finally:
            settings.update(own)

    @staticmethod
    def _note(seen: Any, place: Any, number: Any) -> None:
        seen.scatter_nd_update([[place]], [tf.convert_to_tensor(number)])


class _LiveNumber:
    """A tensor where Keras expects a Python number: it can be subtracted, and it is not zero.

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

    def __rsub__(self, other: Any) -> Any:
        return other - self.tensor


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
