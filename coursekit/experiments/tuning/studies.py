"""Optuna studies without its log lines: the course's spaces, a seed, pruning after each epoch.

Optuna is imported when one of these functions is called, so that all else works without it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from coursekit.base.keras import keras
from coursekit.errors import ArgumentError, CourseError
from coursekit.experiments.tuning.ranges import Space, check_space

if TYPE_CHECKING:
    import optuna

STUDY = "search"


class MissingOptunaError(CourseError, ImportError):
    """Optuna is not installed."""


def suggest(trial: optuna.Trial, space: Space) -> dict[str, float]:
    """Let an Optuna trial choose a configuration of a space, as `sample` draws one."""
    check_space(space)
    return {name: values.suggest(trial, name) for name, values in space.items()}


def create_study(
    *,
    sampler: str | optuna.samplers.BaseSampler = "tpe",
    seed: int = 0,
    pruner: optuna.pruners.BasePruner | None = None,
    direction: str = "minimize",
) -> optuna.Study:
    """Return a new Optuna study in memory that writes no log lines.

    Args:
        sampler: "tpe" or "random", seeded by `seed`, or an Optuna sampler.
        seed: the same seed, objective and number of trials give the same configurations.
        pruner: an Optuna pruner; by default no trial is stopped early.
        direction: "minimize" or "maximize".

    Raises:
        MissingOptunaError: Optuna is not installed.
        ArgumentError: another name of a sampler or direction.

    >>> study = create_study(sampler="random", seed=1)
    >>> study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=20)
    >>> len(study.trials), study.best_value < 0.1
    (20, True)
    """
    return load_optuna().create_study(
        sampler=sampler_of(sampler, seed),
        pruner=pruner_of(pruner),
        direction=checked_direction(direction),
        study_name=STUDY,
    )


class PruningCallback(keras.callbacks.Callback):
    """Report a metric to an Optuna trial after each epoch; stop where its pruner says so.

    After the epoch that is pruned the training ends in order, then `optuna.TrialPruned` is raised:
    out of `fit`, into `study.optimize`, which takes it for the trial's result. A metric that is NaN
    or infinite is pruned at once. It asks for no single batch, so that `ck.fit` stays fast.

    Args:
        trial: the running Optuna trial.
        monitor: key of the epoch's logs.

    Raises (at the end of the first epoch):
        ArgumentError: the logs have no such key.

    Example:
        def objective(trial):
            model = build(ck.tuning.suggest(trial, space))
            history = ck.fit(model, x, y, epochs=10, validation_data=valid,
                             callbacks=[ck.tuning.PruningCallback(trial)])
            return history.history["val_loss"][-1]
    """

    def __init__(self, trial: optuna.Trial, monitor: str = "val_loss"):
        super().__init__()
        self.trial, self.monitor = trial, monitor
        self._reason = ""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Forget an earlier training."""
        self._reason = ""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Report, and ask the pruner."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            raise ArgumentError(
                f"PruningCallback: the logs have no {self.monitor!r}; they have "
                f"{', '.join(logs or {}) or 'nothing'}."
            )
        if not math.isfinite(value):
            self._reason = f"{self.monitor} is {value:g} after epoch {epoch + 1}"
        else:
            self.trial.report(float(value), step=epoch)
            if self.trial.should_prune():
                self._reason = f"{self.monitor} is {value:.4g} after epoch {epoch + 1}"
        if self._reason:
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Tell Optuna, once the training is over."""
        if self._reason:
            raise load_optuna().TrialPruned(self._reason)


def load_optuna() -> Any:
    """Return the module, with its log lines turned off; one clear sentence where it is missing."""
    try:
        import optuna
    except ImportError:
        raise MissingOptunaError(
            'This needs Optuna, which is not installed: run `pip install "optuna>=4.5"`, or '
            "`%pip install optuna` in a notebook, and start the kernel anew."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def sampler_of(sampler: Any, seed: int) -> Any:
    """Return the sampler of that name, seeded; one of Optuna's own stays as it is."""
    samplers = load_optuna().samplers
    if isinstance(sampler, samplers.BaseSampler):
        return sampler
    named = {"tpe": samplers.TPESampler, "random": samplers.RandomSampler}
    if sampler not in named:
        raise ArgumentError(f'sampler: expected "tpe" or "random", got {sampler!r}.')
    return named[sampler](seed=seed)


def pruner_of(pruner: Any) -> Any:
    """Return the pruner, one that never prunes for None."""
    return load_optuna().pruners.NopPruner() if pruner is None else pruner


def checked_direction(direction: str) -> str:
    """Return the direction, or say which there are."""
    if direction not in ("minimize", "maximize"):
        raise ArgumentError(f'direction: expected "minimize" or "maximize", got {direction!r}.')
    return direction
