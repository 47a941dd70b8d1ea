"""Speed of `ck.fit` against `model.fit` and a hand-written XLA step.

    python benchmarks/trainer.py [--rounds 9] [--quick-rounds 3]

20 hidden layers of 100 units, Swish, Nadam, batch 32, inputs of CIFAR-10's shape (random numbers:
speed does not depend on them), without and with batch normalisation. Trained models are warm: the
quick run, two epochs over 2,000 images with a new model each time, is where compiling counts.
"""

from __future__ import annotations

import argparse
import statistics
from itertools import pairwise

import numpy as np
from _harness import header, paired_times, ratio_line

from coursekit.base.keras import keras, tf
from coursekit.training import fit
from coursekit.training.one_cycle import OneCycle

LAYERS, UNITS, CLASSES, BATCH, STEPS, EPOCHS = 20, 100, 10, 32, 100, 2
_RNG = np.random.default_rng(0)
X = _RNG.random((BATCH * STEPS, 32, 32, 3), dtype=np.float32)
Y = _RNG.integers(0, CLASSES, BATCH * STEPS).astype(np.int32)


def make_model(batch_norm: bool) -> keras.Model:
    """Return the compiled network of the capstone exercise."""
    layers = [keras.Input((32, 32, 3)), keras.layers.Flatten()]
    for _ in range(LAYERS):
        layers.append(keras.layers.Dense(UNITS, kernel_initializer="he_normal"))
        if batch_norm:
            layers.append(keras.layers.BatchNormalization())
        layers.append(keras.layers.Activation("swish"))
    layers.append(keras.layers.Dense(CLASSES, activation="softmax"))
    model = keras.Sequential(layers)
    model.compile(
        keras.optimizers.Nadam(5e-5), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


class HandWritten:
    """The same training in tensors alone: one XLA program, nothing but the arithmetic."""

    def __init__(self, batch_norm: bool):
        sizes = [X[0].size, *[UNITS] * LAYERS, CLASSES]
        self.batch_norm, weights = batch_norm, []
        for fan_in, fan_out in pairwise(sizes):
            w = _RNG.normal(0, np.sqrt(2 / fan_in), (fan_in, fan_out))
            weights += [tf.constant(w, tf.float32), tf.zeros(fan_out)]
        if batch_norm:
            weights += [tf.ones(UNITS)] * LAYERS + [tf.zeros(UNITS)] * LAYERS
        means = [tf.zeros(UNITS), tf.ones(UNITS)] * (LAYERS if batch_norm else 0)
        zeros = [tf.zeros_like(w) for w in weights]
        self.state = (weights, zeros, zeros, means, tf.constant(0.0), tf.constant(1.0))
        self.data = (tf.constant(X.reshape(len(X), -1)), tf.constant(Y))

    def epoch(self) -> float:
        """Go once through the data in a new order; return the last loss."""
        order = _RNG.permutation(len(X)).astype(np.int32).reshape(STEPS, BATCH)
        *self.state, loss = self._program(*self.data, tf.constant(order), *self.state)
        return float(loss)

    @tf.function(jit_compile=True, autograph=False)
    def _program(self, x, y, order, *state):
        def body(i, weights, m, v, means, t, product, _):
            rows = order[i]
            with tf.GradientTape() as tape:
                tape.watch(weights)
                loss, means = self._loss(weights, means, tf.gather(x, rows), tf.gather(y, rows))
            gradients = tape.gradient(loss, weights)
            weights, m, v, t, product = _nadam(weights, gradients, m, v, t, product)
            return i + 1, weights, m, v, means, t, product, loss

        start = (tf.constant(0), *state, tf.constant(0.0))
        return tf.while_loop(lambda i, *_: i < STEPS, body, start)[1:]

    def _loss(self, weights, means, h, labels):
        dense, norm = weights[: 2 * LAYERS + 2], weights[2 * LAYERS + 2 :]
        moved = []
        for i in range(LAYERS):
            h = h @ dense[2 * i] + dense[2 * i + 1]
            if self.batch_norm:
                mean, variance = tf.nn.moments(h, [0])
                moved += [0.99 * means[2 * i] + 0.01 * mean]
                moved += [0.99 * means[2 * i + 1] + 0.01 * variance]
                scale = norm[i] * tf.math.rsqrt(variance + 1e-3)
                h = h * scale + (norm[LAYERS + i] - mean * scale)
            h = tf.nn.silu(h)
        logits = h @ dense[-2] + dense[-1]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_mean(losses), moved


def _nadam(weights, gradients, m, v, t, product, rate=5e-5, beta_1=0.9, beta_2=0.999):
    t = t + 1
    u = beta_1 * (1 - 0.5 * 0.96**t)
    u_next = beta_1 * (1 - 0.5 * 0.96 ** (t + 1))
    product = product * u
    m = [a + (g - a) * (1 - beta_1) for a, g in zip(m, gradients, strict=True)]
    v = [a + (g * g - a) * (1 - beta_2) for a, g in zip(v, gradients, strict=True)]
    weights = [
        w
        - rate
        * (u_next * a / (1 - product * u_next) + (1 - u) * g / (1 - product))
        / (tf.sqrt(b / (1 - beta_2**t)) + 1e-7)
        for w, g, a, b in zip(weights, gradients, m, v, strict=True)
    ]
    return weights, m, v, t, product


def steps(batch_norm: bool, rounds: int) -> None:
    """Print the ratios of warm steps."""
    plain, ours, cycled = (make_model(batch_norm) for _ in range(3))
    by_hand = HandWritten(batch_norm)
    fit(ours, X, Y, epochs=6, verbose=0)  # long enough to be compiled by XLA

    def one_cycle() -> None:
        fit(cycled, X, Y, epochs=EPOCHS, callbacks=[OneCycle(1e-4)], verbose=0)

    for _ in range(3):  # a cycle of another length is traced anew
        one_cycle()
    seconds = paired_times(
        {
            "model.fit": lambda: plain.fit(X, Y, batch_size=BATCH, epochs=EPOCHS, verbose=0),
            "ck.fit": lambda: fit(ours, X, Y, batch_size=BATCH, epochs=EPOCHS, verbose=0),
            "1cycle": one_cycle,
            "by hand": lambda: [by_hand.epoch() for _ in range(EPOCHS)],
        },
        rounds=rounds,
        warm_up=2,
    )
    told = ", ".join(
        f"{name} {1e3 * statistics.median(times) / STEPS / EPOCHS:.2f}"
        for name, times in seconds.items()
    )
    print(f"{'with' if batch_norm else 'without'} batch normalisation (ms a step: {told})")
    print(ratio_line("model.fit / ck.fit", seconds["model.fit"], seconds["ck.fit"]))
    print(ratio_line("1cycle / ck.fit", seconds["1cycle"], seconds["ck.fit"]))
    print(ratio_line("ck.fit / by hand", seconds["ck.fit"], seconds["by hand"]), flush=True)


def quick_run(batch_norm: bool, rounds: int) -> None:
    """Print the ratio of whole quick runs, building and compiling included."""
    x, y = X[:2000], Y[:2000]
    seconds = paired_times(
        {
            "model.fit": lambda: make_model(batch_norm).fit(x, y, epochs=2, verbose=0),
            "ck.fit": lambda: fit(make_model(batch_norm), x, y, epochs=2, verbose=0),
        },
        rounds=rounds,
    )
    told = ", ".join(f"{name} {statistics.median(times):.1f}" for name, times in seconds.items())
    print(f"quick run, batch normalisation {'on' if batch_norm else 'off'} (seconds: {told})")
    print(ratio_line("model.fit / ck.fit", seconds["model.fit"], seconds["ck.fit"]), flush=True)


def main() -> None:
    """Run all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick-rounds", type=int, default=3)
    options = parser.parse_args()
    print(header("Trainer: 20 x 100 Swish, Nadam, batch 32, inputs 32 x 32 x 3"))
    for batch_norm in (False, True):
        steps(batch_norm, options.rounds)
    for batch_norm in (False, True):
        quick_run(batch_norm, options.quick_rounds)


if __name__ == "__main__":
    main()
