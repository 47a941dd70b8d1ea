"""Rules that suggest a learning rate from a range test, against the best rate of a grid.

    python benchmarks/range_rules.py [--quick] [--development] [--json FILE]

Every net trains on every data set for 400 steps of 32 images, each image seen once, at 13 constant
rates (factor 10^(1/4); more where the best would be first or last) with three seeds. The loss
reached is the mean over the last quarter of the steps: of images not seen before, so no more
optimistic than a validation loss, and averaged over the wobble of the weights. The best rate has
the lowest geometric mean; it is trained with five seeds. Range tests, with the defaults of
`ck.lr_range_test` (1e-6 to 10) in 400 and in 100 steps, start from these five seeds' weights. At
what a rule reads off the 400 steps the net trains again, same weights, same batches: that loss is
compared with the best rate's of the same seed. For 100 steps it is interpolated on the grid.

`--development` takes the nets on which the course's rule was made. `--json` adds a line to FILE
after each net and data set; a later run goes on from there, and trains only where a rule changed.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _harness import header
from _nets import DEVELOPMENT, NETS, Net
from _rules import slide, steepest, tenth_of_blow_up, tenth_of_minimum, valley

import coursekit as ck
from coursekit.base.keras import keras, tf
from coursekit.base.table import Table
from coursekit.training import range_rules

STEPS, SHORT, BATCH, SEEDS, GRID_SEEDS = 400, 100, 32, 5, 3
BLOWN_UP = 100.0  # forty times the loss of guessing
DATA = ("mnist", "cifar10", "digits")
Rule = Callable[[np.ndarray, np.ndarray], float]
RULES: dict[str, Rule] = {
    "a tenth of the minimum": tenth_of_minimum,
    "steepest descent": steepest,
    "a tenth of the blow-up": tenth_of_blow_up,
    "valley": valley,
    "slide": slide,
    "the course's": range_rules.suggestion,
}


class Trainer:
    """One compiled program that trains a net at any sequence of rates, from any seed's weights."""

    def __init__(self, net: Net, shape: tuple[int, ...]):
        self._net, self._shape = net, shape
        self._model, self._optimizer = net.build(shape, 0), net.optimizer()
        self._optimizer.build(self._model.trainable_variables)
        # Nadam keeps one number that `optimizer.variables` leaves out.
        hidden = [v for v in vars(self._optimizer).values() if isinstance(v, keras.Variable)]
        slots = {id(v): v for v in [*self._optimizer.variables, *hidden]}.values()
        self._slots = [(v, v.numpy()) for v in slots]
        self._starts: dict[int, list[np.ndarray]] = {}
        # XLA is slow at convolutions on a CPU.
        self._program = tf.function(self._run, jit_compile=not net.convolutions, autograph=False)

    def losses(self, x: tf.Tensor, y: tf.Tensor, seed: int, rates: np.ndarray) -> np.ndarray:
        """Return the loss of each batch before its update; the blow-up ends it."""
        if seed not in self._starts:
            self._starts[seed] = self._net.build(self._shape, seed).get_weights()
        for variable, value in self._slots:
            variable.assign(value)
        self._model.set_weights(self._starts[seed])
        order = np.random.default_rng(seed).permutation(len(x))[: STEPS * BATCH]
        padded = np.resize(rates, STEPS).astype(np.float32)
        done, losses = self._program(
            x, y, tf.constant(order.reshape(STEPS, BATCH), tf.int32), padded, len(rates)
        )
        return losses.numpy()[: int(done)].astype(float)

    def _run(self, x, y, order, rates, stop):
        variables = self._model.trainable_variables

        def body(i, losses):
            rows = order[i]
            self._optimizer.learning_rate.assign(rates[i])
            with tf.GradientTape() as tape:
                logits = self._model(tf.gather(x, rows), training=True)
                loss = tf.reduce_mean(
                    tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(y, rows), logits)
                )
            self._optimizer.apply(tape.gradient(loss, variables), variables)
            return i + 1, tf.tensor_scatter_nd_update(losses, [[i]], [loss])

        def more(i, losses):
            return (i < stop) & (losses[tf.maximum(i - 1, 0)] < BLOWN_UP)  # NaN compares False

        return tf.while_loop(more, body, (0, tf.zeros(STEPS)), parallel_iterations=1)


def final_loss(losses: np.ndarray) -> float:
    """Return the mean over the last quarter of the steps; infinity for a run that blew up."""
    blown_up = len(losses) < STEPS or not losses[-1] < BLOWN_UP
    return math.inf if blown_up else float(losses[-STEPS // 4 :].mean())


def sweep(run: Callable[[np.ndarray], np.ndarray], steps: int) -> list[float]:
    """Return the smoothed losses of a range test, as `ck.lr_range_test` measures them."""
    losses = run(np.geomspace(1e-6, 10, steps))
    losses = losses[: len(losses) - (not np.isfinite(losses[-1]))]
    average = lowest = losses[0]
    for i, loss in enumerate(losses):
        average = 0.8 * average + 0.2 * loss
        lowest = min(lowest, average)
        if average > 4 * lowest:
            losses = losses[: i + 1]
            break
    window = np.ones(2 * max(1, round(steps / 40)) + 1)
    count = np.convolve(np.ones(len(losses)), window, "same")
    return (np.convolve(losses, window, "same") / count).tolist()


def suggested_by(rule: Rule, steps: int, curve: np.ndarray) -> float | None:
    """Return the rate that a rule reads off a curve, which may have ended early.

    None where the loss never fell: `ck.lr_range_test` says so, and asks no rule.
    """
    if curve.min() > 0.98 * curve[0]:
        return None
    return rule(np.geomspace(1e-6, 10, steps)[: len(curve)], curve)


Run = Callable[[int, np.ndarray], np.ndarray]  # losses of each step, of a seed and its rates


def measure(run: Run, middle: float, n_seeds: int) -> dict:
    """Return the grid, the best rate of it with its losses, and the smoothed curves of sweeps."""

    def reached(k: int, seeds: range) -> list[float]:
        return [final_loss(run(s, np.full(STEPS, middle * 10 ** (k / 4)))) for s in seeds]

    of_grid, others = range(min(GRID_SEEDS, n_seeds)), range(GRID_SEEDS, n_seeds)
    grid = {k: reached(k, of_grid) for k in range(-6, 7)}
    while True:
        best = min(grid, key=lambda k: np.mean(np.log(grid[k])))
        if min(grid) < best < max(grid) or len(grid) == 25:
            break
        further = best + (1 if best > 0 else -1)
        grid[further] = reached(further, of_grid)
    return {
        "best_rate": middle * 10 ** (best / 4),
        "best_losses": grid[best] + reached(best, others),
        "grid": {f"{middle * 10 ** (k / 4):.4g}": grid[k] for k in sorted(grid)},
        "curves": {
            str(steps): [sweep(functools.partial(run, s), steps) for s in range(n_seeds)]
            for steps in (STEPS, SHORT)
        },
    }


def judge(run: Run, record: dict) -> bool:
    """Add to the record what each rule suggests and reaches; return whether anything was new."""
    news = False
    suggested, losses = record.setdefault("suggested", {}), record.setdefault("losses", {})
    for name, rule in RULES.items():
        rates = {
            steps: [suggested_by(rule, int(steps), np.array(curve)) for curve in curves]
            for steps, curves in record["curves"].items()
        }
        if suggested.get(name) != rates:
            news = True
            suggested[name] = rates
            losses[name] = [
                math.inf if rate is None else final_loss(run(seed, np.full(STEPS, rate)))
                for seed, rate in enumerate(rates[str(STEPS)])
            ]
    return news


class Row(NamedTuple):
    """One rule: how good its rates are, where they lie, and how far seeds drive them apart."""

    rule: str
    within_5_percent: str  # of the loss at the best rate
    loss: float  # relative to that loss, the median over all runs
    loss_90: float  # of ten runs nine are better
    rate: float  # relative to the best rate, the median
    quartiles: str  # of that
    spread: float  # largest suggestion of the seeds / smallest, the median over nets and data
    worst: float  # the largest
    within_100: str  # the same three from 100 steps; the losses interpolated on the grid
    spread_100: float
    worst_100: float


def table(records: list[dict]) -> Table:
    """Return one row for each rule over all records."""
    return Table([_row(name, records) for name in RULES])


def _row(name: str, records: list[dict]) -> Row:
    losses = np.concatenate([np.divide(r["losses"][name], r["best_losses"]) for r in records])
    rates = [q / r["best_rate"] for r in records for q in r["suggested"][name][str(STEPS)] if q]
    low, middle, high = np.quantile(rates, [0.25, 0.5, 0.75])
    spread, spread_100 = (
        [_spread(r["suggested"][name][str(steps)]) for r in records] for steps in (STEPS, SHORT)
    )
    short = np.concatenate([_interpolated(r, r["suggested"][name][str(SHORT)]) for r in records])
    return Row(
        name,
        _within(losses),
        *(float(np.quantile(losses, q, method="higher")) for q in (0.5, 0.9)),
        float(middle),
        f"{low:.2g} to {high:.2g}",
        *(float(f(spread)) for f in (np.median, np.max)),
        _within(short),
        *(float(f(spread_100)) for f in (np.median, np.max)),
    )


def _within(losses: np.ndarray) -> str:
    return f"{100 * np.mean(losses <= 1.05):.0f}%"


def _interpolated(record: dict, rates: list[float | None]) -> np.ndarray:
    """Return the grid's losses at these rates, relative to the lowest; infinity outside of it."""
    grid = np.log([float(rate) for rate in record["grid"]])
    losses = np.log(list(record["grid"].values())).mean(axis=1)
    usable = np.isfinite(losses)
    at = np.log([rate or math.inf for rate in rates])
    found = np.interp(at, grid[usable], losses[usable], left=math.inf, right=math.inf)
    return np.exp(found - losses.min())


def _spread(rates: list[float | None]) -> float:
    known = [rate for rate in rates if rate is not None]
    return max(known) / min(known) if known else 1.0


@functools.lru_cache(maxsize=1)
def images(name: str, standardized: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Return as many training images and labels as a run sees, on the device."""
    data = ck.load(name)
    if standardized:
        data = data.standardized()
    data = data.subset(STEPS * BATCH, seed=0)
    return tf.constant(data.x_train), tf.constant(data.y_train)


@functools.lru_cache(maxsize=2)
def trainer_for(net: str, shape: tuple[int, ...]) -> Trainer:
    """Return the compiled program of a net; data sets of one shape share it."""
    return Trainer({**NETS, **DEVELOPMENT}[net], shape)


def train(net: str, data: str, seed: int, rates: np.ndarray) -> np.ndarray:
    """Return the losses of one run of a net on a data set."""
    x, y = images(data, {**NETS, **DEVELOPMENT}[net].standardized)
    return trainer_for(net, tuple(x.shape[1:])).losses(x, y, seed, rates)


def main() -> None:
    """Run the comparison and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test: one net, two seeds")
    parser.add_argument("--development", action="store_true", help="the nets the rule was made on")
    parser.add_argument("--json", type=Path, help="file of results, one line each, to go on from")
    options = parser.parse_args()
    nets = DEVELOPMENT if options.development else NETS
    cases = [(net, data) for net in nets for data in DATA]
    if options.quick:
        cases = [("logistic regression, SGD" if nets is NETS else next(iter(nets)), "digits")]
    records = {}
    if options.json and options.json.exists():
        lines = map(json.loads, options.json.read_text().splitlines())
        records = {(line["net"], line["data"]): line for line in lines}
    print(header("Range test: what rules suggest, against the best of a grid of rates"))
    for net, data in cases:
        began = time.process_time()
        run = functools.partial(train, net, data)
        record = records.get((net, data))
        if record is None:
            n_seeds = 2 if options.quick else SEEDS
            record = {"net": net, "data": data, **measure(run, nets[net].middle, n_seeds)}
        if judge(run, record) and options.json:
            with options.json.open("a") as file:
                file.write(json.dumps(record) + "\n")
        records[net, data] = record
        print(
            f"  {net}, {data}: best rate {record['best_rate']:.2g}, loss "
            f"{np.mean(record['best_losses']):.3f} ({time.process_time() - began:.0f} s)",
            flush=True,
        )
    print(table([records[case] for case in cases]))


if __name__ == "__main__":
    main()
