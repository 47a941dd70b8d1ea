"""What a Keras model and the random generators hold: kept, compared, put back.

`as_found` gives a block a model to try things on; `random_states_kept` does the same for the global
random generators alone, and loads neither Keras nor TensorFlow.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from coursekit.errors import ArgumentError

if TYPE_CHECKING:
    import keras


def check_model(model: Any, *, built: bool = True) -> None:
    """Refuse anything but a Keras model, and one that has no weights yet if it must be built."""
    from coursekit.base.keras import keras

    if not isinstance(model, keras.Model):
        raise TypeError(f"model: expected a Keras model, got {type(model).__name__}.")
    if built and not model.built:
        raise ArgumentError(
            "model: expected one with weights, but it has none yet: give it a keras.Input, or "
            "call it once."
        )


class Snapshot:
    """The values of Keras variables at one moment, to compare with later or to put back.

    >>> import keras
    >>> one, two = keras.Variable([1.0, 2.0]), keras.Variable(3.0)
    >>> before = Snapshot([one, two])
    >>> two.assign(4.0) is None, [variable is two for variable in before.changed()]
    (False, [True])
    >>> before.restore()
    >>> float(two), before.changed()
    (3.0, [])
    """

    def __init__(self, variables: Iterable[keras.Variable]) -> None:
        self._found = {id(variable): (variable, variable.numpy()) for variable in variables}

    def __contains__(self, variable: keras.Variable) -> bool:
        return id(variable) in self._found

    def __len__(self) -> int:
        return len(self._found)

    def changed(self) -> list[keras.Variable]:
        """Return the variables that differ in a single bit."""
        return [v for v, was in self._found.values() if v.numpy().tobytes() != was.tobytes()]

    def restore(self) -> None:
        """Give every variable its value back."""
        for variable, value in self._found.values():
            variable.assign(value)


@contextmanager
def as_found(model: keras.Model, *, randomness: bool = False) -> Iterator[None]:
    """Leave a model as it was before the block, bit for bit, whatever happens in it.

    Put back are the weights, moving averages, dropout seeds, metrics and all that the optimizer
    holds. What the block makes for the first time (slots of an optimizer, variables of a metric)
    stays, with the value that it has in a new one.

    Args:
        model: a built Keras model, compiled or not.
        randomness: put the global random states back too, as `random_states_kept` does.

    Raises:
        ArgumentError: a model without its weights: those that the block makes could not be undone.
        TypeError: no Keras model.

    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("adam", loss="mse")
    >>> before = model.get_weights()
    >>> with as_found(model, randomness=True):
    ...     _ = model.fit(np.ones((8, 2)), np.ones(8), verbose=0)
    >>> [bool((a == b).all()) for a, b in zip(before, model.get_weights())]
    [True, True]
    >>> int(model.optimizer.iterations)
    0
    """
    check_model(model)
    optimizer = getattr(model, "optimizer", None)
    before = Snapshot([*model.variables, *model.metrics_variables, *optimizer_variables(optimizer)])
    with random_states_kept() if randomness else nullcontext():
        try:
            yield
        finally:
            before.restore()
            for metric in model.metrics:
                if any(variable not in before for variable in metric.variables):
                    metric.reset_state()
            if any(variable not in before for variable in optimizer_variables(optimizer)):
                _reset_new(optimizer, model, before)


def optimizer_variables(
    optimizer: keras.optimizers.Optimizer | None,
) -> list[keras.Variable]:
    """Return all variables of an optimizer, also those that it does not list.

    A wrapper may leave out what is inside; LossScaleOptimizer leaves out one number of Nadam's.
    """
    from coursekit.base.keras import keras

    if optimizer is None:
        return []
    found = list(optimizer.variables)
    for value in vars(optimizer).values():
        if isinstance(value, keras.Variable):
            found.append(value)
        elif isinstance(value, keras.optimizers.Optimizer):
            found += optimizer_variables(value)
    return list({id(variable): variable for variable in found}.values())


def _reset_new(optimizer: Any, model: keras.Model, before: Snapshot) -> None:
    """Give the slots that the block made the values that those of a new optimizer have."""
    new = fresh_optimizer(optimizer)
    new.build(model.trainable_variables)
    for variable, value in zip(
        optimizer_variables(optimizer), optimizer_variables(new), strict=True
    ):
        if variable not in before:
            variable.assign(value)


def fresh_optimizer(
    optimizer: keras.optimizers.Optimizer, learning_rate: Any = None
) -> keras.optimizers.Optimizer:
    """Return a new optimizer of the same settings, without memory.

    `from_config(get_config())` alone loses which variables are excluded from weight decay, and a
    `LossScaleOptimizer` (mixed precision) has the learning rate inside.

    Args:
        optimizer: any Keras optimizer.
        learning_rate: a float or a schedule; by default the old one's as it is now.

    >>> import keras
    >>> old = keras.optimizers.AdamW(0.1)
    >>> old.exclude_from_weight_decay(var_names=["bias"])
    >>> new = fresh_optimizer(old, learning_rate=0.01)
    >>> round(float(new.learning_rate), 4), new._use_weight_decay(keras.Variable(0.0, name="bias"))
    (0.01, False)
    """
    config = optimizer.get_config()
    if hasattr(optimizer, "inner_optimizer"):
        config["inner_optimizer"] = fresh_optimizer(optimizer.inner_optimizer, learning_rate)
        return type(optimizer)(**config)
    if learning_rate is not None:
        config["learning_rate"] = learning_rate
    new = type(optimizer).from_config(config)
    for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
        if hasattr(optimizer, name):
            setattr(new, name, getattr(optimizer, name))
    return new


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Put every global random generator back: Python, NumPy, Keras and TensorFlow."""
    put_back = random_states()
    try:
        yield
    finally:
        put_back()


def random_states() -> Callable[[], None]:
    """Return a function that puts every global random generator back to where it stands now."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    loaded = "keras" in sys.modules and "tensorflow" in sys.modules
    keras_back = _keras_random_states() if loaded else None

    def put_back() -> None:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if keras_back:
            keras_back()

    return put_back


def _keras_random_states() -> Callable[[], None]:
    # Keras and TensorFlow can set a seed but cannot tell how far a generator has come: private
    # names are the only way. A test fails if they move.
    import tensorflow as tf
    from keras.src.backend.common import global_state
    from tensorflow.python.eager import context

    names = ("global_seed_generator", "global_random_seed")
    found = {name: global_state.get_global_attribute(name) for name in names}
    generator = found["global_seed_generator"]
    generator_state = None if generator is None else np.array(generator.state)
    eager = context.context()
    seed = eager._seed
    operations = None if seed is None else eager._rng.getstate()

    def put_back() -> None:
        for name, value in found.items():
            global_state.set_global_attribute(name, value)
        if generator is not None:
            generator.state.assign(generator_state)
        if eager._seed != seed or (seed is not None and eager._rng.getstate() != operations):
            tf.random.set_seed(seed)
            if seed is not None:
                eager._rng.setstate(operations)

    return put_back
