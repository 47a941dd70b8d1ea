"""One variant of an experiment: started again and again, on a model that is traced once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from coursekit.base.keras import keras
from coursekit.base.state import Snapshot, check_model, optimizer_variables, random_states
from coursekit.errors import ArgumentError
from coursekit.experiments.architecture import architecture

_KEPT = 2  # as many models as keep their programs, see training/programs.py
_working: dict[str, keras.Model] = {}  # by architecture, the one used last at the end


class Trainee:
    """A variant's model, put back to the start of a seed's run without building a new program.

    `build` makes a compiled model. Where it asks for an argument it is given the learning rate, and
    compiles with it, or with a schedule made from it. What it makes gives the numbers to start
    with; trained is a model of the same architecture that has its program already, be it of another
    variant or of an earlier comparison. So nobody may keep that one: `copy` gives away the result.
    """

    def __init__(self, name: str, build: Callable[..., Any]):
        if not callable(build):
            raise TypeError(
                f"{name}: expected a function that returns a compiled model, got "
                f"{type(build).__name__}."
            )
        self.name, self.build = name, build
        self.takes_rate = required_arguments(build) > 0
        self.model: keras.Model | None = None
        self.rate: float | None = None
        self._begun: _Begun | None = None

    def start(self, seed: int, rate: float | None = None) -> keras.Model:
        """Return the model with the weights that `build` draws under this seed, and that rate.

        Raises ArgumentError for what is no compiled model, for a rate where the optimizer holds a
        schedule, and for no rate where `build` asks for one.
        """
        if self.takes_rate or self._begun is None or self._begun.seed != seed:
            self._draw(seed, rate)
        else:
            self._begun.put_back()
        if rate is not None and not self.takes_rate:
            self._set(self.model.optimizer, rate)
        self.rate = rate
        return self.model

    def _draw(self, seed: int, rate: float | None) -> None:
        keras.utils.set_random_seed(seed)
        if self.takes_rate and rate is None:
            raise ArgumentError(
                f"rates: {self.name} asks for a learning rate; give rates to choose from."
            )
        fresh = self._checked(self.build(rate) if self.takes_rate else self.build())
        before = None if self.takes_rate else self.model  # which may hold another schedule
        self.model = _in_work(fresh, before)
        self._begun = None if self.takes_rate else _Begun(seed, self.model)

    def copy(self) -> keras.Model:
        """Return a model of its own with the present weights and optimizer state."""
        own = self._checked(self.build(self.rate) if self.takes_rate else self.build())
        _copy(self.model, own)
        return own

    def _checked(self, model: Any) -> keras.Model:
        if not isinstance(model, keras.Model) or not model.compiled:
            what = "one that is not compiled" if isinstance(model, keras.Model) else repr(model)
            raise ArgumentError(f"{self.name}: expected a compiled Keras model, got {what}.")
        check_model(model)
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        return model

    def _set(self, optimizer: keras.optimizers.Optimizer, rate: float) -> None:
        if isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            kind = type(optimizer._learning_rate).__name__
            raise ArgumentError(
                f"rates: {self.name} is compiled with a schedule ({kind}), whose rate cannot be "
                "set; let its function take the rate and make the schedule from it."
            )
        optimizer.learning_rate = rate


class _Begun:
    """Where a seed begins: one model serves all the rates that are tried with it."""

    def __init__(self, seed: int, model: keras.Model):
        self.seed = seed
        self._numbers, self._random_states = Snapshot(_state(model)), random_states()

    def put_back(self) -> None:
        self._numbers.restore()
        self._random_states()


def required_arguments(function: Callable[..., Any]) -> int:
    """Return how many arguments a function must be given.

    >>> required_arguments(lambda rate, units=3: None)
    1
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # written in C, without a signature
        return 0
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in by_place and each.default is each.empty for each in parameters)


def _in_work(fresh: keras.Model, before: keras.Model | None) -> keras.Model:
    """Return the model to train from where `fresh` stands: itself, or one that has its program.

    What cannot be told from another architecture still shares the program of its own variant.
    """
    kind = architecture(fresh)
    model = before if kind is None else _working.pop(kind, None)
    if model is None or not _like(model, fresh):
        model = fresh
    elif model is not fresh:
        _copy(fresh, model)
    if kind is not None:
        _working[kind] = model
        for oldest in list(_working)[:-_KEPT]:
            del _working[oldest]
    return model


def _state(model: keras.Model) -> list[Any]:
    return [*model.variables, *optimizer_variables(model.optimizer)]


def _like(one: keras.Model, other: keras.Model) -> bool:
    shapes = [[(v.shape, v.dtype) for v in _state(model)] for model in (one, other)]
    return shapes[0] == shapes[1] and type(one.optimizer) is type(other.optimizer)


def _copy(source: keras.Model, target: keras.Model) -> None:
    """Give `target` the weights, seeds and optimizer variables of `source`."""
    for new, old in zip(_state(source), _state(target), strict=True):
        old.assign(new)
