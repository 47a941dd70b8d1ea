"""Ten seconds of training: does the machine learn, and how fast?"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

SECONDS = 10.0
ROWS, BATCH = 3200, 32
MOST_EPOCHS = 100_000  # the clock ends the training


@dataclass(frozen=True)
class Training:
    """What the training showed: mean losses of the first and the last epoch, steps a second."""

    first_loss: float
    last_loss: float
    pace: float

    @property
    def learns(self) -> bool:
        """Whether the loss is finite and has fallen by a tenth at least."""
        return math.isfinite(self.last_loss) and self.last_loss < 0.9 * self.first_loss


def train(seconds: float = SECONDS, clock: Callable[[], float] = time.perf_counter) -> Training:
    """Train a net of three hidden layers on the embedded digits for so long; two epochs at least.

    The first epoch compiles, so that only the later ones count for the pace.
    """
    from coursekit.base.keras import keras
    from coursekit.datasets import load
    from coursekit.training.trainer import fit

    ends: list[float] = []

    class UntilTimeIsUp(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            ends.append(clock())
            self.model.stop_training = epoch > 0 and ends[-1] - started >= seconds

    keras.utils.set_random_seed(0)
    digits = load("digits")
    x, y = digits.x_train[:ROWS], digits.y_train[:ROWS]
    hidden = [keras.layers.Dense(100, "relu", kernel_initializer="he_normal") for _ in range(3)]
    model = keras.Sequential(
        [keras.Input(x.shape[1:]), keras.layers.Flatten(), *hidden, keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9), loss)
    started = clock()
    history = fit(
        model, x, y, epochs=MOST_EPOCHS, batch_size=BATCH, verbose=0, seed=0,
        callbacks=[UntilTimeIsUp()],
    )  # fmt: skip
    losses = history.history["loss"]
    steps = (len(ends) - 1) * math.ceil(len(x) / BATCH)
    return Training(losses[0], losses[-1], steps / (ends[-1] - ends[0]))
