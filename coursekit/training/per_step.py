"""A learning rate, and a momentum, for every step: a schedule as a Keras callback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from coursekit.base.keras import keras, tf
from coursekit.errors import ArgumentError
from coursekit.training.arguments import without_loss_scale

_KerasSchedule = keras.optimizers.schedules.LearningRateSchedule


class Schedule(keras.callbacks.Callback):
    """Train with a learning rate for each step, without a schedule in the optimizer.

    The model stays compiled with a plain number, so that one compiled net serves for every
    schedule and every peak. Works with `model.fit` and `ck.fit`, and with
    `steps_per_execution > 1`: the rates are part of the compiled step, not of Python code between
    the steps. A resumed training (`initial_epoch`, `BackupAndRestore`) goes on where it was. With
    `gradient_accumulation_steps` the schedule still goes on at every step, and each update takes
    the numbers of the step at which it is made; a `LossScaleOptimizer` is looked into.

    Only the compiled step sees the numbers: the optimizer's own `learning_rate` and `momentum`
    never change, a checkpoint holds them, and an interrupted training leaves nothing behind.

    Args:
        rate: a function of (step, total steps), whole numbers from 0 and the number that fit
            announces, `epochs * steps per epoch`; or a Keras `LearningRateSchedule`.

    Attributes:
        history: `{"step", "learning_rate", "momentum"}`, three lists with one entry for each
            step done: what the optimizer held at that step, written down inside the step itself.
            It is brought up to date at the end of each epoch. Where momentum is left alone, its
            list is empty.

    Raises:
        TypeError: `rate` is neither a function nor a schedule.
        ArgumentError: at the start of training, for an optimizer that holds a schedule, for data
            of unknown length, for rates that are negative or not finite, or for a second schedule
            in the same training.

    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.1), loss="mse")
    >>> falling = Schedule(lambda step, total: 0.1 * (1 - step / total))
    >>> _ = model.fit(np.ones((40, 1)), np.ones((40, 1)), batch_size=10, verbose=0,
    ...               callbacks=[falling])
    >>> [round(rate, 3) for rate in falling.history["learning_rate"]]
    [0.1, 0.075, 0.05, 0.025]
    """

    def __init__(self, rate: Callable[[int, int], float] | _KerasSchedule):
        super().__init__()
        if not callable(rate):
            raise TypeError(
                "Schedule: expected a function of (step, total steps) or a Keras schedule, got "
                f"{type(rate).__name__}."
            )
        self.rate = rate
        self.history: dict[str, list[float]] = {"step": [], "learning_rate": [], "momentum": []}

    def numbers(self, total: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the rates of all steps, shape (total,), and the momenta, None to leave them."""
        if isinstance(self.rate, _KerasSchedule):
            rates = [float(self.rate(step)) for step in range(total)]
        else:
            rates = [float(self.rate(step, total)) for step in range(total)]
        return np.array(rates), None

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Put the schedule into the training step."""
        name = type(self).__name__
        if isinstance(getattr(self.model.train_step, "__self__", None), _SteppedModel):
            raise ArgumentError(f"{name}: expected one schedule in a training, got two.")
        optimizer = without_loss_scale(self.model.optimizer)
        steps, epochs = self.params.get("steps"), self.params.get("epochs")
        if not steps or not epochs:
            raise ArgumentError(
                f"{name}: expected data of known length, got an unknown number of steps; "
                "pass arrays, or steps_per_epoch to fit."
            )
        if not isinstance(optimizer._learning_rate, keras.Variable):
            raise ArgumentError(
                f"{name}: expected an optimizer with a plain learning rate, got "
                f"{type(optimizer._learning_rate).__name__}; compile with a number instead."
            )
        rates, momenta = self.numbers(steps * epochs)
        if not (np.isfinite(rates) & (rates >= 0)).all():
            wrong = int(np.argmin(np.isfinite(rates) & (rates >= 0)))
            raise ArgumentError(
                f"{name}: expected rates that are finite and not negative, got {rates[wrong]} at "
                f"step {wrong}."
            )
        attribute = self._momentum_attribute(optimizer)
        self._stepped = _SteppedModel.of(self.model, optimizer, attribute, len(rates))
        self._stepped.begin(rates, np.zeros(len(rates)) if momenta is None else momenta)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Find the place in the schedule, which is not 0 in a resumed training."""
        self._stepped.go_to(epoch * self.params["steps"])

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Bring `history` up to date."""
        self.history = self._stepped.recorded()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Take the schedule out of the training step."""
        self.history = self._stepped.recorded()
        self._stepped.remove()

    def _momentum_attribute(self, optimizer: Any) -> str | None:
        """Return the optimizer's attribute that holds its momentum, None to leave it alone."""
        return None


class _SteppedModel:
    """The `train_step` of a model, in which the optimizer reads the numbers of a schedule.

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
    def of(cls, model: Any, optimizer: Any, attribute: str | None, steps: int) -> _SteppedModel:
        """Return the model's own; one of the same kind is used again, as it was traced."""
        kept = vars(model).get("_coursekit_schedule")
        kind = (optimizer, attribute, steps, model.train_step)
        if kept is None or kind != (kept.optimizer, kept.attribute, kept.steps, kept.own_step):
            kept = cls(model, optimizer, attribute, steps)
            vars(model)["_coursekit_schedule"] = kept  # past Keras' attribute tracking
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
