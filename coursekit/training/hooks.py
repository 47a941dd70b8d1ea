"""Callbacks of a training run: which of them want every batch, and how they get it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from coursekit.base.console import say_once
from coursekit.base.keras import keras
from coursekit.training.one_cycle import OneCycle, say_of_the_cut

_Terminate = keras.callbacks.TerminateOnNaN
_Backup = keras.callbacks.BackupAndRestore


class Hooks:
    """The callbacks of one run.

    Attributes:
        all: Keras' own list of them, with the history.
        training, testing: their batch hooks in training and in validation.
        spared: the folders of the backups that a run which diverged has left alone.
    """

    def __init__(self, callbacks: list, model: Any, epochs: int, steps: int, verbose: int):
        self.all = keras.callbacks.CallbackList(
            callbacks, add_history=True, model=model, epochs=epochs, steps=steps, verbose=verbose
        )
        self.training = BatchHooks(self.all.callbacks, "train")
        self.testing = BatchHooks(self.all.callbacks, "test")
        self.spared: list[str] = []
        if self.training.wanted:
            names = ", ".join(sorted({type(c).__name__ for c in self.training.wanted}))
            say_once(f"ck.fit: {names} wants every batch, so each step runs by itself: slower.")
        kinds = (OneCycle, keras.callbacks.EarlyStopping)
        if all(any(isinstance(c, kind) for c in callbacks) for kind in kinds):
            say_of_the_cut("EarlyStopping may stop this training")

    def epoch_ends(self, epoch: int, logs: dict[str, Any]) -> None:
        """Call the hooks after an epoch; weights that are not finite are not backed up."""
        backed_up = any(isinstance(callback, _Backup) for callback in self.all.callbacks)
        if backed_up and not all(np.isfinite(w).all() for w in self.all.model.get_weights()):
            self.spare_backups()
        self.all.on_epoch_end(epoch, logs)

    def spare_backups(self) -> None:
        """Call BackupAndRestore no more.

        It would save a state that has diverged, and delete what it saved when the run ends.
        """
        found = [c.backup_dir for c in self.all.callbacks if isinstance(c, _Backup)]
        self.spared += [str(folder) for folder in found if Path(folder).exists()]
        for called in (self.all.callbacks, self.training.wanted, self.testing.wanted):
            called[:] = [callback for callback in called if not isinstance(callback, _Backup)]

    def nan_guards(self, batch: int, logs: dict[str, Any]) -> None:
        """Tell Keras' TerminateOnNaN of the step at which the loss was not finite."""
        for callback in self.all.callbacks:
            if isinstance(callback, _Terminate) and callback not in self.training.wanted:
                callback.on_train_batch_end(batch, _plain_numbers(logs))


class BatchHooks:
    """The batch hooks of those callbacks that do something at every batch."""

    def __init__(self, callbacks: list, kind: str):
        self._begin, self._end = f"on_{kind}_batch_begin", f"on_{kind}_batch_end"
        aliases = ("on_batch_begin", "on_batch_end") if kind == "train" else ()
        names = (self._begin, self._end, *aliases)
        self.wanted = [callback for callback in callbacks if _wants(callback, names)]

    def begin(self, batch: int) -> None:
        """Call the hooks before a batch."""
        for callback in self.wanted:
            getattr(callback, self._begin)(batch, logs={})

    def end(self, batch: int, logs: dict[str, Any]) -> None:
        """Call the hooks after a batch; the logs are the running means of the epoch, as numbers."""
        for callback in self.wanted:
            getattr(callback, self._end)(batch, logs=_plain_numbers(logs))


def _plain_numbers(logs: dict[str, Any]) -> dict[str, Any]:
    return {name: float(value) for name, value in logs.items() if value.shape == ()}


def _wants(callback: Any, names: tuple[str, ...]) -> bool:
    idle = [base for base, is_idle in _IDLE if isinstance(callback, base) and is_idle(callback)]
    for name in names:
        hook = vars(callback).get(name, getattr(type(callback), name))
        if hook not in [getattr(base, name) for base in idle]:
            return True
    return False


# Classes whose own batch hooks do nothing, given the settings.
_IDLE = (
    (keras.callbacks.Callback, lambda callback: True),
    (_Terminate, lambda callback: True),
    (keras.callbacks.ModelCheckpoint, lambda callback: callback.save_freq == "epoch"),
    (_Backup, lambda callback: callback.save_freq in ("epoch", False)),
    (
        keras.callbacks.TensorBoard,
        lambda callback: (
            callback.update_freq == "epoch"
            and not callback.write_steps_per_second
            and not callback._should_trace
        ),
    ),
)
