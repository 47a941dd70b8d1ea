"""Speed of the three ways in which `ck.fit` runs its steps, and what each costs to begin.

    python benchmarks/steps.py [--rounds 5]

Four nets on random images of 14×14 pixels, Adam, batches of 20: one call from Python for each
step, a loop in TensorFlow's graph, an XLA program. The seconds to begin are those of the first
pass, tracing and compiling, less an ordinary one; divided by what a step saves against the calls
they tell after how many steps a way pays: `_WORTH_A_LOOP` and `WORTH_COMPILING` in `ck.fit`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial

import numpy as np
from _harness import header, paired_times, ratio

from coursekit.base.keras import keras
from coursekit.training.batches import Batches
from coursekit.training.programs import Loop

BATCH, STEPS = 20, 100
_RNG = np.random.default_rng(0)
X = _RNG.random((BATCH * STEPS, 14, 14, 1), dtype=np.float32)
Y = _RNG.integers(0, 10, len(X)).astype(np.int32)
L = keras.layers


def dense(n: int, *, batch_norm: bool = False) -> list[keras.Layer]:
    """Return n hidden layers of 100 units."""
    between = [L.BatchNormalization] if batch_norm else []
    kinds = [lambda: L.Dense(100), *between, lambda: L.Activation("relu")]
    return [L.Flatten(), *(make() for _ in range(n) for make in kinds)]


NETS = {
    "1 hidden layer": lambda: dense(1),
    "4 hidden layers": lambda: dense(4),
    "20 hidden layers, BN": lambda: dense(20, batch_norm=True),
    "2 convolutions": lambda: [
        L.Conv2D(16, 3, activation="relu"),
        L.MaxPooling2D(),
        L.Conv2D(32, 3, activation="relu"),
        L.Flatten(),
    ],
    "recurrent, 14 steps": lambda: [L.Reshape((14, 14)), L.SimpleRNN(32)],
}


def loop_of(layers: list[keras.Layer]) -> tuple[Loop, Batches]:
    """Return the traced step of a compiled net, and the batches it was traced for."""
    model = keras.Sequential([keras.Input((14, 14, 1)), *layers, L.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model._symbolic_build(data_batch=(X[:BATCH], Y[:BATCH]))
    batches = Batches((X, Y), BATCH)
    return Loop(model, model.train_step, batches.spec), batches


def main() -> None:
    """Print one line for each net and way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(header("The three ways of ck.fit, a step of batch 20"))
    for name, layers in NETS.items():
        loop, batches = loop_of(layers())
        rows, _ = batches.rows(np.arange(len(X)))
        runs = {"calls": loop._one_by_one, "graph loop": loop._in_graph, "XLA": loop._in_xla}
        ways = {way: partial(run, batches, rows, 0, STEPS) for way, run in runs.items()}
        first = {}
        for way, run in ways.items():
            began = time.perf_counter()
            run()
            first[way] = time.perf_counter() - began
        seconds = paired_times(ways, rounds=rounds)
        print(f"\n{name}, {loop.n_operations:,} operations in a step")
        for way in ("graph loop", "XLA"):
            faster, low, high = ratio(seconds["calls"], seconds[way])
            usual = statistics.median(seconds[way])
            saved = (statistics.median(seconds["calls"]) - usual) / STEPS
            after = f"from {(first[way] - usual) / saved:,.0f} steps on" if saved > 0 else "never"
            print(f"  calls / {way}: {faster:.1f} ({low:.1f} to {high:.1f}), pays {after}")


if __name__ == "__main__":
    main()
