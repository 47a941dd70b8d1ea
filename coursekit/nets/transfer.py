"""Reuse a trained model for another task: copy it, freeze it, thaw it, and prove it untouched.

"Layers" are counted from the output, and only those that have weights: pooling and flattening do
not count, a nested model counts as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from coursekit.base.keras import keras
from coursekit.base.numbers import number, whole_number
from coursekit.base.state import Snapshot, check_model, fresh_optimizer
from coursekit.errors import ArgumentError, CourseError
from coursekit.nets.cloning import rebuilt

__all__ = ["ModelChangedError", "clone", "freeze", "unchanged", "unfreeze"]


class ModelChangedError(CourseError, AssertionError):
    """Weights that should have stayed as they were have changed."""


def clone(model: keras.Model) -> keras.Model:
    """Return a copy of a model: its structure AND its weights, sharing neither with the original.

    `keras.models.clone_model` copies the structure alone and draws new weights. The copy is not
    compiled: an optimizer belongs to the weights it was built for. Its layers have the same names
    and are frozen where the original's are; the seeds of its dropout layers are its own.

    Args:
        model: a built Sequential or functional model. It is not changed.

    Raises:
        ArgumentError, TypeError: not a built Sequential or functional model, no Keras model.

    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> x = np.ones((1, 3))
    >>> bool((clone(model)(x) == model(x)).numpy().all()), clone(model).compiled
    (True, False)
    """
    copy = rebuilt(model)
    copy.set_weights(model.get_weights())
    return copy


def freeze(model: keras.Model, *, keep: int = 1, learning_rate: float | None = None) -> None:
    """Freeze all layers but the last `keep` that have weights, and compile afresh.

    Keras looks at `trainable` when it traces the training step: without compiling, the change has
    no effect on a model that has been trained. So the model is compiled again as it was, with a new
    optimizer of the same settings and without memory. A model that is not compiled stays so.

    Args:
        model: a built model, changed in place.
        keep: number of layers, counted from the output, that stay (or become) trainable.
        learning_rate: of the new optimizer; by default that of the old one as it is now.

    Raises:
        ArgumentError: a model without weights, `keep` out of range, a learning rate for a model
            that is not compiled or that is not above 0.
        TypeError: not a Keras model, or a number where none can be read.

    >>> import keras
    >>> model = keras.Sequential([keras.Input((3,)), *(keras.layers.Dense(2) for _ in range(3))])
    >>> freeze(model)
    >>> [layer.trainable for layer in model.layers]
    [False, False, True]
    """
    layers = _with_weights(model)
    keep = whole_number("keep", keep, least=0)
    _at_most("keep", keep, layers)
    new = _new_optimizer(model, learning_rate)
    model.trainable = True  # a frozen model would hide its layers' own flags
    for i, layer in enumerate(layers):
        layer.trainable = i >= len(layers) - keep
    _compile(model, new)


def unfreeze(
    model: keras.Model,
    *,
    top: int | None = None,
    batch_norm: bool = True,
    learning_rate: float | None = None,
) -> None:
    """Make the last `top` layers that have weights trainable, and compile afresh.

    The layers below stay as they are, so `freeze(model)` and then `unfreeze(model, top=3)` train
    the last three. Compiling works as in `freeze`; give a lower `learning_rate` here, so that the
    reused weights are tuned and not thrown away.

    A frozen BatchNormalization runs in inference mode, with the averages it was trained with.
    Thawed, it takes the statistics of the new batches, and the first updates can destroy what the
    model has learned (Keras' guide *Transfer learning & fine-tuning*): with few data leave it
    frozen, `batch_norm=False`.

    Args:
        model: a built model, changed in place.
        top: number of layers, counted from the output; None for all.
        batch_norm: whether frozen batch normalisation becomes trainable too, also within nested
            models. One that is trainable already, as in a new head, stays so either way.
        learning_rate: of the new optimizer; by default that of the old one as it is now.

    Raises:
        ArgumentError, TypeError: as for `freeze`.

    >>> import keras
    >>> model = keras.Sequential([keras.Input((3,)), *(keras.layers.Dense(2) for _ in range(3))])
    >>> freeze(model)
    >>> unfreeze(model, top=2)
    >>> [layer.trainable for layer in model.layers]
    [False, True, True]
    """
    layers = _with_weights(model)
    top = len(layers) if top is None else whole_number("top", top, least=1)
    _at_most("top", top, layers)
    new = _new_optimizer(model, learning_rate)
    kept = [] if batch_norm else _frozen_batch_norm(model)
    if not model.trainable:  # its layers' own flags are hidden: all of them count as frozen
        model.trainable = True
        for layer in layers:
            layer.trainable = False
    for layer in layers[-top:]:
        layer.trainable = True
    for layer in kept:
        layer.trainable = False
    _compile(model, new)


@contextmanager
def unchanged(model: keras.Model) -> Iterator[None]:
    """Raise ModelChangedError if a weight of `model` is another after the block than before.

    Weights are compared bit by bit, the moving averages of batch normalisation among them. An
    error raised in the block passes through.

    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="output")])
    >>> with unchanged(model):
    ...     predictions = model(np.ones((1, 3)))
    >>> with unchanged(model):
    ...     model.set_weights([w + 1 for w in model.get_weights()])
    Traceback (most recent call last):
    coursekit.nets.transfer.ModelChangedError: 2 of 2 weights have changed, first ...output/kernel.
    """
    check_model(model, built=False)
    before = Snapshot(model.weights)
    yield
    moved = before.changed()
    if moved:
        raise ModelChangedError(
            f"{len(moved)} of {len(before)} weights have changed, first {moved[0].path}."
        )


def _with_weights(model: Any) -> list[keras.layers.Layer]:
    check_model(model, built=False)
    layers = [layer for layer in model.layers if layer.weights]
    if not layers:
        raise ArgumentError("The model has no layer with weights. Is it built? Give it an Input.")
    return layers


def _frozen_batch_norm(model: keras.Model) -> list[keras.layers.Layer]:
    layers = [part for part in model._flatten_layers() if not part.trainable or not model.trainable]
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def _at_most(what: str, number: int, layers: list[keras.layers.Layer]) -> None:
    if number > len(layers):
        raise ArgumentError(
            f"{what} must be at most {len(layers)}, the layers with weights, but is {number}"
        )


def _new_optimizer(model: keras.Model, learning_rate: Any) -> keras.optimizers.Optimizer | None:
    """Return an optimizer like the model's without its memory, None if it is not compiled."""
    if not model.compiled:
        if learning_rate is not None:
            raise ArgumentError("learning_rate was given, but the model is not compiled.")
        return None
    schedule = keras.optimizers.schedules.LearningRateSchedule
    if not (learning_rate is None or isinstance(learning_rate, schedule)):
        learning_rate = number("learning_rate", learning_rate, 0, ends="()")
    return fresh_optimizer(model.optimizer, learning_rate)


def _compile(model: keras.Model, optimizer: keras.optimizers.Optimizer | None) -> None:
    if optimizer is not None:
        # The settings themselves: `get_compile_config` cannot write down a function of your own.
        settings = model._compile_config.config
        model.compile(**{**settings, "optimizer": optimizer})
