"""`fit`: the training run, epoch by epoch, with the callbacks where `model.fit` calls them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

import numpy as np

from coursekit.base.keras import keras
from coursekit.base.numbers import whole_number
from coursekit.errors import ArgumentError
from coursekit.training import arguments
from coursekit.training.batches import Batches
from coursekit.training.hooks import Hooks
from coursekit.training.programs import Loop, is_finite, loop_for
from coursekit.training.progress import Progress, check_verbose


def fit(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    epochs: int,
    batch_size: int = 32,
    validation_data: tuple | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
    seed: int | None = None,
    sample_weight: np.ndarray | None = None,
    class_weight: dict[int, float] | None = None,
    **others: Any,
) -> keras.callbacks.History:
    """Train a compiled Keras model on arrays, as `model.fit` does, in compiled chunks of steps.

    The arrays stay on the device, whole chunks of steps run as one XLA program, and the rows are
    shuffled anew every epoch. The last batch is smaller where the rows do not divide evenly. The
    results are those of `model.fit` up to shuffling and rounding. XLA takes seconds to compile, so
    runs of fewer than 500 steps, and convolutions on a CPU, do without it: their chunks are loops
    in TensorFlow's own graph.

    Epoch-level callbacks work unchanged, and `ck.callbacks.OneCycle` too. A callback that
    wants every batch makes each step a program call of its own; a line says so. `TerminateOnNaN`
    needs no such thing: training always stops after the first step that leaves the running loss
    NaN or infinite, with a line that names the step, which `history.diverged_at` holds (counted
    from 1; otherwise None). That step's update is then in the weights. A `BackupAndRestore`
    keeps its backup of the epoch before, from which the next run goes on.

    Args:
        model: any compiled Keras model.
        x: inputs, shape (n, ...); a list, tuple or dict of arrays for several inputs.
        y: labels, shape (n, ...), the same way; None for a model that brings its own loss.
        epochs: how many times to go through the data.
        batch_size: rows in one step; all of them where there are fewer.
        validation_data: `(x, y)` or `(x, y, sample_weight)`, evaluated after each epoch.
        callbacks: Keras callbacks.
        verbose: 0 nothing, 1 a progress bar, 2 a line per epoch; "auto" shows the bar at a terminal
            or in a notebook, unless COURSEKIT_HEADLESS is on.
        seed: of the shuffling; drawn from Python's `random` by default. Epoch k shuffles the same
            way in every run with that seed, in a resumed one too.
        sample_weight: weight of each row in the loss, shape (n,).
        class_weight: weight of each class, `{class number: weight}`, 1 where none is given; for
            one label per row.
        others: none; what only `model.fit` takes is refused with what to do instead.

    Returns:
        The run's history, the same object as `model.history`.

    Raises:
        ArgumentError: before any training, for a model that is not compiled or arrays that do not
            fit together or not the model.
        TypeError: before any training, for arguments of the wrong kind, such as a data set, and
            for arguments that `fit` does not have.

    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", loss="mse")
    >>> x = np.random.default_rng(0).normal(size=(100, 2))
    >>> history = fit(model, x, x.sum(axis=1), epochs=5, seed=1)
    >>> len(history.history["loss"]), history.history["loss"][-1] < history.history["loss"][0]
    (5, True)
    """
    arguments.check_names(others)
    arguments.check_model(model)
    epochs = whole_number("epochs", epochs, least=1)
    batch_size = whole_number("batch_size", batch_size, least=1)
    if seed is None:
        seed = random.randrange(2**32)
    seed = whole_number("seed", seed, least=0)
    verbose = check_verbose(verbose)
    callbacks = _listed(callbacks)
    arrays = arguments.pack(x, y, sample_weight, class_weight)
    validation = None
    if validation_data is not None:
        parts = arguments.unpack_validation(validation_data)
        validation = arguments.pack(*parts, of="validation ")
    arguments.check_fit(model, arrays)
    if validation is not None:
        arguments.check_fit(model, validation, of="validation ")
    _build(model, arrays, batch_size)
    batches = Batches(arrays, batch_size)
    validation = validation and Batches(validation, batch_size)
    return _Run(model, batches, validation, callbacks, epochs, verbose, seed).train()


def shuffled(n: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of the n rows in one epoch (counted from 0) of a run with that seed.

    >>> sorted(shuffled(4, seed=1, epoch=0).tolist())
    [0, 1, 2, 3]
    """
    return np.random.default_rng((seed, epoch)).permutation(n)


def _listed(callbacks: Any) -> list:
    callbacks = [] if callbacks is None else keras.tree.flatten(callbacks)
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise TypeError(f"callbacks: expected Keras callbacks, got {type(callback).__name__}.")
    return callbacks


def _build(model: keras.Model, arrays: tuple, batch_size: int) -> None:
    # What model.fit does on its other backends: weights, metrics and slots, without running a step.
    batch = keras.tree.map_structure(lambda array: array[:batch_size], arrays)
    try:
        model._symbolic_build(data_batch=batch)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ArgumentError(
            f"ck.fit: the model does not fit these arrays: {arguments.reason(error)}"
        ) from error


class _Run:
    def __init__(
        self,
        model: keras.Model,
        batches: Batches,
        validation: Batches | None,
        callbacks: list,
        epochs: int,
        verbose: int,
        seed: int,
    ):
        self.model, self.batches, self.validation = model, batches, validation
        self.epochs, self.verbose, self.seed = epochs, verbose, seed
        self.hooks = Hooks(callbacks, model, epochs, batches.steps, verbose)
        self.test_loop: Loop | None = None
        self.diverged_at: int | None = None

    def train(self) -> keras.callbacks.History:
        model, hooks = self.model, self.hooks
        model.stop_training = False
        model._initial_epoch = None  # BackupAndRestore sets it, and leaves it behind in model.fit
        model.make_train_function()  # takes out a step that an interrupted 1cycle left in place
        hooks.all.on_train_begin()
        first_epoch = model._initial_epoch or 0
        model._initial_epoch = None
        # After on_train_begin: a callback may have put its own step in place.
        self.loop = loop_for(model, "train", self.batches)
        self.loop.plan((self.epochs - first_epoch) * self.batches.full)
        self.progress = Progress(self.verbose, self.epochs, first_epoch, self.batches.steps)
        logs = None
        try:
            for epoch in range(first_epoch, self.epochs):
                logs = self._epoch(epoch)
                if model.stop_training:
                    break
        finally:
            self.progress.close()
        if isinstance(model.optimizer, keras.optimizers.Optimizer):
            model.optimizer.finalize_variable_values(model.trainable_weights)
        hooks.all.on_train_end(logs)
        model.history.diverged_at = self.diverged_at
        return model.history

    def _epoch(self, epoch: int) -> dict[str, Any]:
        self.model.reset_metrics()
        self.hooks.all.on_epoch_begin(epoch)
        self.progress.epoch_begins(epoch)
        order = shuffled(self.batches.n, self.seed, epoch)
        logs = _plain(self._pass(self.loop, self.batches, order, epoch))
        if self.validation is not None:
            logs |= {f"val_{name}": value for name, value in self._validate(epoch).items()}
        self.hooks.epoch_ends(epoch, logs)
        self.progress.epoch_ends(epoch, logs)
        return logs

    def _validate(self, epoch: int) -> dict[str, Any]:
        self.hooks.all.on_test_begin()
        self.model.reset_metrics()
        if self.test_loop is None:
            self.test_loop = loop_for(self.model, "test", self.validation)
            self.test_loop.plan((self.epochs - epoch) * self.validation.full)
        logs = _plain(
            self._pass(self.test_loop, self.validation, np.arange(self.validation.n), None)
        )
        self.hooks.all.on_test_end(logs)
        return logs

    def _pass(self, loop: Loop, batches: Batches, order: np.ndarray, epoch: int | None) -> dict:
        """Go once through the data; `epoch` is None for validation."""
        hooks = self.hooks.training if epoch is not None else self.hooks.testing
        rows, rest = batches.rows(order)
        step, logs = 0, {}
        while step < batches.steps:
            began = step
            hooks.begin(step)
            if step < batches.full:
                stop = step + 1 if hooks.wanted else batches.full
                step, logs = loop.advance(batches, rows, step, stop)
            else:
                step, logs = step + 1, loop.on_rows(batches, rest)
            diverged = epoch is not None and not is_finite(logs)
            if diverged:
                self.hooks.spare_backups()
            hooks.end(step - 1, logs)
            if epoch is None:
                continue
            self.progress.steps_done(step - began)
            if diverged:
                self._diverged(epoch, step, logs)
            if self.model.stop_training:
                break
        return logs

    def _diverged(self, epoch: int, step: int, logs: dict) -> None:
        self.model.stop_training = True
        self.diverged_at = epoch * self.batches.steps + step
        self.hooks.nan_guards(step - 1, logs)
        loss = float(logs["loss"])
        told = "NaN" if math.isnan(loss) else "infinite"
        backups = self.hooks.spared
        anew = f"go on from the backup in {backups[0]}" if backups else "build the model anew"
        print(
            f"Training stopped: the loss became {told} at step {self.diverged_at} (epoch "
            f"{epoch + 1}, batch {step} of {self.batches.steps}). The weights hold that step's "
            f"update; {anew}, with a lower learning rate, clipped gradients or scaled inputs."
        )


def _plain(logs: dict[str, Any]) -> dict[str, Any]:
    values = {name: np.asarray(value) for name, value in logs.items()}
    return {name: float(v) if v.ndim == 0 else v for name, v in values.items()}
