"""A bench for trials: one compiled net whose hyperparameters are variables."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coursekit.base.keras import keras
from coursekit.base.numbers import whole_number
from coursekit.base.state import random_states_kept
from coursekit.errors import ArgumentError
from coursekit.experiments.tuning.ranges import Space, best_first, sample
from coursekit.training import fit


@dataclass(frozen=True)
class Trials:
    """What a search has tried and what came of it.

    Attributes:
        space: the ranges that were searched.
        configurations: one dict from name to value for each trial.
        curves: validation loss after each epoch, shape (trials, epochs); NaN from a divergence on.
        labels: the class that each trial's net gives to each image of `predict`, shape (trials,
            images); (trials, 0) where nothing was to be predicted.
    """

    space: Space
    configurations: list[dict[str, float]]
    curves: np.ndarray
    labels: np.ndarray

    @property
    def losses(self) -> np.ndarray:
        """The validation loss at the end of each trial, shape (trials,); NaN if it diverged."""
        return self.curves[:, -1]

    @property
    def best_first(self) -> list[int]:
        """The numbers of the trials, from the lowest loss to the highest."""
        return best_first(self.losses)

    def values(self, name: str) -> np.ndarray:
        """Return what each trial had for one hyperparameter, shape (trials,)."""
        return np.array([configuration[name] for configuration in self.configurations])


class Bench:
    """One net for hundreds of trials: everything that is tuned is a variable of its one program.

    A dense ReLU net with He's weights, trained by AdamW. The number of units has a gate: closed
    units are multiplied by 0, so that they say and learn nothing.

    Args:
        data: has `x_train`, `y_train`, `x_valid`, `y_valid`.
        epochs: of each training.
        most_units: in each hidden layer, the upper end for `units`.
        hidden: number of hidden layers.
        batch_size: rows in one step.

    Example:
        bench = ck.tuning.Bench(ck.load("mnist").subset(2_000), epochs=4)
        trials = bench.search({"learning_rate": ck.tuning.LogUniform(1e-5, 1.0)}, 16, seed=0)
        best = trials.configurations[trials.best_first[0]]
    """

    def __init__(
        self,
        data: Any,
        *,
        epochs: int,
        most_units: int = 50,
        hidden: int = 2,
        batch_size: int = 50,
    ):
        self.data = data
        self.epochs = whole_number("epochs", epochs, least=1)
        self.batch_size = whole_number("batch_size", batch_size, least=1)
        self.most_units = whole_number("most_units", most_units, least=1)
        hidden = whole_number("hidden", hidden, least=1)
        self.x, self.y = data.x_train, data.y_train
        self.valid = data.x_valid, data.y_valid
        self.model = _net(self.x.shape[1:], int(self.y.max()) + 1, most_units, hidden)

    def train(
        self,
        *,
        learning_rate: float = 0.003,
        weight_decay: float = 0.0,
        units: int | None = None,
        momentum_gap: float = 0.1,
        seed: int = 0,
        callbacks: Sequence[Any] = (),
    ) -> np.ndarray:
        """Train from a fresh start; return the validation loss after each epoch, shape (epochs,).

        The same seed means the same draws for the weights and the same order of the images. A
        training that diverges has NaN from that epoch on.

        Args:
            learning_rate: of AdamW.
            weight_decay: of AdamW: each step multiplies a weight by 1 - learning_rate · decay.
            units: open units in each hidden layer; all by default.
            momentum_gap: 1 - beta_1, the share of each new gradient in Adam's running mean.
            seed: of the weights and the batches.
            callbacks: Keras callbacks.

        Raises ArgumentError for more units than there are.
        """
        units = whole_number("units", self.most_units if units is None else units, least=1)
        if units > self.most_units:
            raise ArgumentError(f"units: expected at most {self.most_units}, got {units}.")
        self._restart(units, np.random.default_rng(seed))
        optimizer = self.model.optimizer
        optimizer.learning_rate = float(learning_rate)
        optimizer.weight_decay.assign(weight_decay)
        optimizer.beta_1.assign(1 - momentum_gap)
        with random_states_kept(), contextlib.redirect_stdout(io.StringIO()):
            history = fit(
                self.model,
                self.x,
                self.y,
                epochs=self.epochs,
                batch_size=self.batch_size,
                validation_data=self.valid,
                callbacks=callbacks,
                verbose=0,
                seed=seed,
            )
        curve = np.full(self.epochs, np.nan)
        found = history.history.get("val_loss", [])
        curve[: len(found)] = found
        if history.diverged_at is not None:
            curve[(history.diverged_at - 1) // -(-len(self.x) // self.batch_size) :] = np.nan
        return curve

    def search(
        self,
        space: Space,
        n: int,
        *,
        seed: int,
        quasi_random: bool = False,
        predict: np.ndarray | None = None,
    ) -> Trials:
        """Train `n` configurations drawn from a space, all with the same seed of their own.

        `predict` are images whose classes each trial's net is to tell, see `Trials.labels`.
        """
        drawn = sample(space, n, seed=seed, quasi_random=quasi_random)
        curves, labels = [], []
        for configuration in drawn:
            curves.append(self.train(**configuration))
            labels.append([] if predict is None else self.predict(predict))
        return Trials(space, drawn, np.array(curves), np.array(labels, dtype=int))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the class that the net trained last gives to each image, shape (n,)."""
        return np.argmax(self.model(x), axis=1)

    def weights(self) -> np.ndarray:
        """Return all weights and biases as one array."""
        trained = self.model.trainable_variables
        return np.concatenate([variable.numpy().ravel() for variable in trained])

    def _restart(self, units: int, draw: np.random.Generator) -> None:
        """Give the net He's weights for so many open units, and an optimizer without memory."""
        for slot in self.model.optimizer.variables:
            slot.assign(keras.ops.zeros_like(slot))
        fan_in = int(np.prod(self.x.shape[1:]))
        for layer in self.model.layers:
            if isinstance(layer, keras.layers.Dense):
                weights = np.sqrt(2 / fan_in) * draw.normal(size=layer.kernel.shape)
                layer.set_weights([weights, np.zeros(layer.units)])
                fan_in = units
            elif isinstance(layer, Gate):
                layer.open.assign(np.arange(self.most_units) < units)


class Gate(keras.layers.Layer):
    """Let through the first units only; how many is a variable."""

    def build(self, shape: Any) -> None:
        """Open all units."""
        self.open = self.add_weight(shape=(shape[-1],), initializer="ones", trainable=False)

    def call(self, x: Any) -> Any:
        """Multiply by 1 what is open, by 0 the rest."""
        return x * self.open


def _net(shape: tuple[int, ...], classes: int, units: int, hidden: int) -> keras.Model:
    stack = [keras.Input(shape), keras.layers.Flatten()]
    for _ in range(hidden):
        stack += [keras.layers.Dense(units, "relu"), Gate()]
    model = keras.Sequential([*stack, keras.layers.Dense(classes, "softmax")])
    # Numbers on an optimizer are constants of the compiled program; variables are read anew.
    optimizer = keras.optimizers.AdamW(learning_rate=0.001)
    optimizer.weight_decay = keras.Variable(0.0, trainable=False, name="weight_decay")
    optimizer.beta_1 = keras.Variable(0.9, trainable=False, name="beta_1")
    model.compile(optimizer, "sparse_categorical_crossentropy")
    optimizer.build(model.trainable_variables)
    return model
