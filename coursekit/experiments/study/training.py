"""One real training: from a job to its result."""

from __future__ import annotations

import contextlib
import io
import math
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit import __version__
from coursekit.base.machine import cores, peak_mb
from coursekit.errors import DataError
from coursekit.experiments.study.images import Images, describe, load_images
from coursekit.experiments.study.jobs import Job
from coursekit.experiments.study.variants import VARIANTS

__all__ = ["describe", "train"]

_BATCH = 1_000
_KEPT = ("loss", "accuracy", "val_loss", "val_accuracy")


def train(job: Job, tell: Callable[[int, dict[str, float]], None]) -> dict[str, Any]:
    """Train the job's net and return its result; `tell(epoch, logs)` hears of each epoch.

    A search trial is over with its last epoch, and so is a pace job, which gives the seconds of
    each epoch too. A run goes back to the weights of its best epoch (the lowest validation loss)
    and looks at the test images with them. What they say of the epoch with the highest validation
    accuracy is noted beside it, and decides nothing.

    Raises DataError when the images are not those of the job.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # the study itself has said what data it is
        images = load_images(job.budget)
    if images.info.fingerprint != job.data.fingerprint:
        raise DataError(
            f"expected the study's images ({job.data.n_train:,} of {job.data.name}, "
            f"{job.data.source}), got {images.info.n_train:,} of {images.info.name}, "
            f"{images.info.source}"
        )
    model, callbacks = _prepare(job)
    pace = callbacks[-1]
    pace.tell = tell
    history, diverged, seconds = _fit(job, model, images, callbacks)
    result = {
        "history": history,
        "diverged": diverged,
        **_best(job, history),
        "seconds": seconds,
        **_pace(job, pace.seconds),
        "threads": job.threads,
        "versions": _versions(),
        "machine": f"{platform.system()} {platform.machine()}, {cores()} cores",
        "peak_memory_mb": round(peak_mb()),
    }
    if job.kind == "run" and result["best_epoch"] is not None:
        result |= _evaluate(job, model, images, callbacks[-2])
    if job.kind == "pace":
        result["epoch_seconds"] = pace.seconds
    return result


def _prepare(job: Job) -> tuple[Any, list[Any]]:
    from coursekit.base.keras import keras, tf

    _set_threads(tf, job.threads)
    from coursekit.experiments.study.nets import net_for
    from coursekit.training.one_cycle import OneCycle

    tf.config.experimental.enable_op_determinism()
    tf.get_logger().setLevel("ERROR")  # it takes a study's many nets for a mistake
    callbacks: list[Any] = []
    if VARIANTS[job.variant].cycle:
        callbacks.append(OneCycle(job.learning_rate))
    if job.kind == "run":  # only a run goes back to weights that it had before
        if not VARIANTS[job.variant].cycle:
            patience = job.budget.patience
            callbacks.append(
                keras.callbacks.EarlyStopping(
                    "val_loss", patience=patience, restore_best_weights=True
                )
            )
        callbacks.append(_peak_callback(keras))
    return net_for(job), [*callbacks, _pace_callback(keras)]


def _set_threads(tf: Any, threads: int) -> None:
    # A process that has used TensorFlow before keeps the threads it has.
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


def _peak_callback(keras: Any) -> Any:
    class Peak(keras.callbacks.Callback):
        """Keeps the weights of the epoch with the highest validation accuracy, the first of equals.

        A run restores the lowest loss; this shows what monitoring the accuracy would have restored.
        """

        def __init__(self) -> None:
            super().__init__()
            self.epoch, self.accuracy, self.weights = 0, -1.0, []

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            if logs["val_accuracy"] > self.accuracy:
                self.epoch, self.accuracy = epoch + 1, float(logs["val_accuracy"])
                self.weights = self.model.get_weights()

    return Peak()


def _pace_callback(keras: Any) -> Any:
    class Pace(keras.callbacks.Callback):
        """Measures each epoch and passes its numbers on."""

        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []
            self.tell: Callable[[int, dict[str, float]], None] = lambda epoch, logs: None

        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            self._began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            self.seconds.append(time.perf_counter() - self._began)
            self.tell(epoch + 1, {name: float((logs or {})[name]) for name in _KEPT})

    return Pace()


def _fit(
    job: Job, model: Any, images: Images, callbacks: list[Any]
) -> tuple[dict[str, list[float]], bool, float]:
    from coursekit.training import fit

    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):  # a divergence is told by the record
        history = fit(
            model,
            images.x_train,
            images.y_train,
            epochs=job.epochs,
            batch_size=VARIANTS[job.variant].batch_size,
            validation_data=(images.x_valid, images.y_valid),
            callbacks=callbacks,
            verbose=0,
            seed=job.seed,
        )
    seconds = time.perf_counter() - began
    kept = {name: [float(value) for value in history.history[name]] for name in _KEPT}
    return kept, history.diverged_at is not None, seconds


def _best(job: Job, history: dict[str, list[float]]) -> dict[str, Any]:
    """Return the best epoch, counted from 1, and the validation accuracy that counts for the job.

    The best epoch is the one with the lowest validation loss; a cycle is judged by its end.

    >>> history = {"val_loss": [1.5, 1.2, 1.3], "val_accuracy": [0.4, 0.6, 0.5]}
    >>> class Stopped: variant = "selu"
    >>> _best(Stopped, history)
    {'best_epoch': 2, 'validation_loss': 1.2, 'validation_accuracy': 0.6}
    >>> class Cycle: variant = "one_cycle"
    >>> _best(Cycle, history)
    {'best_epoch': 3, 'validation_loss': 1.3, 'validation_accuracy': 0.5}
    """
    losses = history["val_loss"]
    finite = [i for i, loss in enumerate(losses) if math.isfinite(loss)]
    if VARIANTS[job.variant].cycle:
        finite = [i for i in finite if i == len(losses) - 1]
    if not finite:
        return {"best_epoch": None, "validation_loss": None, "validation_accuracy": None}
    best = min(finite, key=lambda i: (losses[i], i))
    return {
        "best_epoch": best + 1,
        "validation_loss": losses[best],
        "validation_accuracy": history["val_accuracy"][best],
    }


def _pace(job: Job, epochs: list[float]) -> dict[str, Any]:
    # The first epoch compiles the program; a training of one epoch has no pace of its own.
    if len(epochs) < 2:
        return {"seconds_per_epoch": None, "steps_per_second": None}
    seconds = statistics.median(epochs[1:])
    return {"seconds_per_epoch": seconds, "steps_per_second": job.steps / seconds}


def _evaluate(job: Job, model: Any, images: Images, peak: Any) -> dict[str, Any]:
    from coursekit.analysis.uncertainty import expected_calibration_error, mc_predict

    x_test, y_test = images.test()
    found = _predict(model, x_test)
    result = {
        "test_accuracy": _accuracy(found, y_test),
        "ece": expected_calibration_error(found, y_test),
    }
    if VARIANTS[job.variant].mc_dropout:
        for name, x, y in (
            ("mc_validation", images.x_valid, images.y_valid),
            ("mc_test", x_test, y_test),
        ):
            sampled = mc_predict(model, x, samples=job.budget.mc_samples, seed=job.seed).mean
            result[f"{name}_accuracy"] = _accuracy(sampled, y)
        result["mc_ece"] = expected_calibration_error(sampled, y_test)
    restored = model.get_weights()
    model.set_weights(peak.weights)
    result |= {
        "peak_epoch": peak.epoch,
        "peak_test_accuracy": _accuracy(_predict(model, x_test), y_test),
    }
    model.set_weights(restored)
    return result


def _predict(model: Any, x: np.ndarray) -> np.ndarray:
    batches = (x[i : i + _BATCH] for i in range(0, len(x), _BATCH))
    return np.concatenate([model(batch, training=False).numpy() for batch in batches])


def _accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def _versions() -> dict[str, str]:
    from coursekit.base.keras import keras, tf

    return {
        "coursekit": __version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }
