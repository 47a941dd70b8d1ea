"""Speed of `ck.compare` against the loops that one would write by hand.

    python benchmarks/compare.py [--rounds 5] [--seeds 5]

Two variants of a net with three hidden layers, on 5,000 random images of MNIST's shape, three
epochs for each seed. The plain loop builds and compiles a new model for each run and trains it with
`ck.fit`; a careful one builds once for each variant, keeps the model's program, and puts new
starting weights and an empty optimizer into it, as `ck.compare` does.
"""

from __future__ import annotations

import argparse
from types import SimpleNamespace

import numpy as np
from _harness import header, paired_times, ratio_line

from coursekit.base.keras import keras
from coursekit.base.state import optimizer_variables
from coursekit.experiments.compare import compare
from coursekit.training import fit

ROWS, EPOCHS, BATCH = 5_000, 3, 32
_RNG = np.random.default_rng(0)
X = _RNG.random((ROWS + 1_000, 28, 28), dtype=np.float32)
Y = _RNG.integers(0, 10, len(X)).astype(np.int32)
DATA = SimpleNamespace(x_train=X[:ROWS], y_train=Y[:ROWS], x_valid=X[ROWS:], y_valid=Y[ROWS:])


def build(initializer: str) -> keras.Model:
    """Return a compiled net."""
    hidden = [keras.layers.Dense(100, "relu", kernel_initializer=initializer) for _ in range(3)]
    model = keras.Sequential(
        [keras.Input((28, 28)), keras.layers.Flatten(), *hidden, keras.layers.Dense(10, "softmax")]
    )
    optimizer = keras.optimizers.SGD(0.03, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


VARIANTS = {
    "He": lambda: build("he_normal"),
    "Glorot": lambda: build("glorot_uniform"),
}


def train(model: keras.Model, seed: int) -> list[float]:
    """Return the validation losses of one run."""
    history = fit(
        model, DATA.x_train, DATA.y_train, epochs=EPOCHS, batch_size=BATCH, seed=seed, verbose=0,
        validation_data=(DATA.x_valid, DATA.y_valid),
    )  # fmt: skip
    return history.history["val_loss"]


def plain_loop(seeds: int) -> dict[str, list[list[float]]]:
    """A new model for every run."""
    found: dict[str, list[list[float]]] = {}
    for name, make in VARIANTS.items():
        for seed in range(1, seeds + 1):
            keras.utils.set_random_seed(seed)
            found.setdefault(name, []).append(train(make(), seed))
    return found


def careful_loop(seeds: int) -> dict[str, list[list[float]]]:
    """One model for each variant, put back to a seed's start."""
    found: dict[str, list[list[float]]] = {}
    for name, make in VARIANTS.items():
        model = make()
        model.optimizer.build(model.trainable_variables)
        empty = [np.array(v.numpy()) for v in optimizer_variables(model.optimizer)]
        for seed in range(1, seeds + 1):
            keras.utils.set_random_seed(seed)
            model.set_weights(make().get_weights())
            for variable, value in zip(optimizer_variables(model.optimizer), empty, strict=True):
                variable.assign(value)
            found.setdefault(name, []).append(train(model, seed))
    return found


def main() -> None:
    """Print how long `ck.compare` takes in units of each loop."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    seeds = options.seeds
    print(header(f"ck.compare, 2 variants x {seeds} seeds, {EPOCHS} epochs of {ROWS:,} rows"))
    ours, by_hand = "ck.compare", "a new model for each run"
    careful = "one model for each variant"
    times = paired_times(
        {
            ours: lambda: compare(VARIANTS, DATA, epochs=EPOCHS, batch_size=BATCH, seeds=seeds),
            by_hand: lambda: plain_loop(seeds),
            careful: lambda: careful_loop(seeds),
        },
        rounds=options.rounds,
    )
    for loop in (by_hand, careful):
        print(ratio_line(f"ck.compare / {loop}", times[ours], times[loop]))


if __name__ == "__main__":
    main()
