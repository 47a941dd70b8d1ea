"""The job's net, compiled, with the weights of the job's seed.

Compiling a net's training program takes as long as several epochs. So a process keeps the net it
trained last, and gives it new weights and a new optimizer state for the next job of the same
variant. The results are bit for bit those of a net made anew; a test compares them. Only one net is
kept, since each program takes 100 MB and more.
"""

from __future__ import annotations

import gc
from typing import Any

import numpy as np

from coursekit.base.keras import keras
from coursekit.experiments.study.jobs import Job
from coursekit.experiments.study.variants import VARIANTS
from coursekit.nets.builders import cifar10_net
from coursekit.training.programs import WORTH_COMPILING

_kept: dict[str, keras.Model] = {}


def net_for(job: Job) -> keras.Model:
    """Return the compiled net with the initial weights that the job's seed draws.

    A net of `one_cycle` is always new, since its schedule is part of its program, and so is one
    for a training of few steps, which is not compiled at all.
    """
    kept = _kept.get(job.variant) if _is_reusable(job) else None
    if kept is None:
        _kept.clear()
        gc.collect()
    fresh = _build(job)
    _draw(fresh, job.seed)
    if kept is None:
        if _is_reusable(job):
            _kept[job.variant] = fresh
        return fresh
    _copy(fresh.variables, kept.variables)
    _copy(fresh.optimizer.variables, kept.optimizer.variables)
    return kept


def _is_reusable(job: Job) -> bool:
    variant = VARIANTS[job.variant]
    # `ck.fit` counts steps over all trainings of a model. Below the number from which it compiles,
    # the rounding would depend on what the net was used for before.
    fewest = min(job.data.n_train, job.data.n_valid) // variant.batch_size * job.epochs
    return not variant.cycle and fewest >= WORTH_COMPILING


def _build(job: Job) -> keras.Model:
    if VARIANTS[job.variant].cycle:
        optimizer = keras.optimizers.SGD(job.learning_rate, momentum=0.95)
    else:
        optimizer = keras.optimizers.Nadam(job.learning_rate)
    model = cifar10_net(job.variant)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    optimizer.build(model.trainable_variables)
    return model


def _draw(model: keras.Model, seed: int) -> None:
    """Draw all kernels anew and seed all dropout, from `seed` and nothing else.

    Keras would take its seeds from Python's global generator, from which other threads of a Dask
    worker draw too.
    """
    seeds = np.random.SeedSequence(seed).generate_state(2 * len(model.layers)) % 2**31
    for layer, of_kernel, of_noise in zip(model.layers, seeds[::2], seeds[1::2], strict=True):
        if hasattr(layer, "kernel"):
            config = {**layer.kernel_initializer.get_config(), "seed": int(of_kernel)}
            initializer = layer.kernel_initializer.from_config(config)
            layer.kernel.assign(initializer(layer.kernel.shape))
        if hasattr(layer, "seed_generator"):
            layer.seed_generator.state.assign([int(of_noise), 0])


def _copy(source: list[Any], target: list[Any]) -> None:
    for one, other in zip(source, target, strict=True):
        other.assign(one)
