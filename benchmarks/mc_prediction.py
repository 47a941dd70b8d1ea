"""Monte Carlo prediction against the usual loops: `python benchmarks/mc_prediction.py`.

The usual loop calls `predict` once per sample on a twin of the model whose dropout is always on, as
books do; the direct loop calls the twin itself on the whole batch, and knows neither batches nor
memory.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from _harness import header, paired_times, ratio_line

import coursekit as ck
from coursekit.base.keras import keras, tf
from coursekit.nets.builders import cifar10_net


class AlwaysOn(keras.layers.AlphaDropout):
    """Alpha dropout that drops at prediction too."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Drop, whatever the mode."""
        return super().call(inputs, training=True)


def with_dropout(where: str, kind: type[keras.layers.Layer]) -> keras.Sequential:
    """Return the capstone's SELU net with dropout of one kind, `last` or after `every` layer."""
    layers = [keras.Input((32, 32, 3))]
    plain = cifar10_net("selu").layers
    for i, layer in enumerate(plain):
        layers.append(layer)
        before_output = i == len(plain) - 2
        if before_output or (where == "every" and isinstance(layer, keras.layers.Activation)):
            layers.append(kind(0.1))
    return keras.Sequential(layers)


def compare(where: str, images: int, samples: int, rounds: int) -> None:
    """Print the ratios for one net."""
    x = np.random.default_rng(0).normal(size=(images, 32, 32, 3)).astype("float32")
    model, twin = (with_dropout(where, kind) for kind in (keras.layers.AlphaDropout, AlwaysOn))

    def predictions(**arguments: int) -> None:
        np.mean([twin.predict(x, verbose=0, **arguments) for _ in range(samples)], axis=0)

    ways = {
        "mc_predict": lambda: ck.mc_predict(model, x, samples=samples, seed=0),
        f"{samples} x predict": predictions,
        f"{samples} x predict, batch_size=1024": lambda: predictions(batch_size=1024),
        f"{samples} x direct call": lambda: np.mean([twin(x) for _ in range(samples)], axis=0),
    }
    began = time.perf_counter()
    ways["mc_predict"]()
    first = time.perf_counter() - began
    seconds = paired_times(ways, rounds=rounds)
    ours = seconds.pop("mc_predict")
    told = f"mc_predict {statistics.median(ours):.2f} s, first call {first:.2f} s with tracing"
    print(f"dropout {where}: {told}")
    for name, theirs in seconds.items():
        print(ratio_line(f"{name} / mc_predict", theirs, ours), flush=True)


def main() -> None:
    """Read the sizes, print the machine, compare both nets."""
    parser = argparse.ArgumentParser(description="Monte Carlo prediction against the usual loops")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    sizes = parser.parse_args()
    told = f"20 x 100 SELU, {sizes.images} images, {sizes.samples} samples"
    print(header(f"Monte Carlo prediction: {told}"))
    for where in ("last", "every"):
        compare(where, sizes.images, sizes.samples, sizes.rounds)


if __name__ == "__main__":
    main()
