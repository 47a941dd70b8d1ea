"""Compiled loops: many training or evaluation steps of a Keras model in one program."""

from __future__ import annotations

import gc
import re
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from coursekit.base.console import say_once
from coursekit.base.keras import tf
from coursekit.errors import ArgumentError
from coursekit.training.arguments import reason
from coursekit.training.batches import Batches, take

_KEPT_PER_MODEL = 4
_KEPT_MODELS = 3
_DEEP = 2_000  # operations in one step
WORTH_COMPILING = 500  # steps
_WORTH_A_LOOP = 5  # operations of one step, for each step to come
_recent: list[weakref.ref] = []  # models that keep programs, the one used last at the end
_NO_GRAPH_OPTIMIZER = "disable_meta_optimizer"
# What tracing and XLA's compiler raise; no memory left, for one, is another matter.
_CANNOT_COMPILE = (
    NotImplementedError,
    TypeError,
    ValueError,
    tf.errors.InvalidArgumentError,
    tf.errors.UnimplementedError,
)
_SLOW_IN_XLA = {"Conv2D", "Conv3D", "DepthwiseConv2dNative", "MaxPool", "MaxPool3D"}


class Loop:
    """One step of a model, traced once, and the program that repeats it over the rows given.

    XLA takes seconds to compile and pays from a few hundred steps on; `plan` tells what is to
    come. Fewer steps are a loop in TensorFlow's own graph, and so is what XLA cannot compile or,
    on a CPU, runs far slower: convolutions. That loop, too, is traced first, for about the time of
    one call from Python for every five operations; very few steps are called one by one.
    """

    def __init__(self, model: Any, step: Any, spec: tuple):
        self._chunk = 32
        self._planned = 0
        self._tried = False
        self._for_xla = False
        self.n_operations = 0  # of one step as a graph; it stays 0 where that runs eagerly
        if model.run_eagerly:
            say_once("ck.fit: the model asks for run_eagerly=True; every step runs by itself.")
            self.step = step
            return
        # "False" and "never set" are two settings to XLA, which compiles anew for each.
        tf.config.optimizer.set_experimental_options({_NO_GRAPH_OPTIMIZER: _graph_optimizer_off()})
        traced = tf.function(lambda batch: step(batch), autograph=False)
        try:
            with _gradients_forgotten():
                self.step = traced.get_concrete_function(spec)
        except (ValueError, TypeError) as error:
            raise ArgumentError(
                f"ck.fit: the model cannot take a step on these arrays: {reason(error)}"
            ) from error
        kinds = [operation.type for operation in self.step.graph.get_operations()]
        self.n_operations = len(kinds)
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        self._for_xla = on_gpu or not _SLOW_IN_XLA & set(kinds)
        self._program = tf.function(self._repeat, jit_compile=True, autograph=False)
        self._graph_loop = tf.function(self._repeat, autograph=False)

    @property
    def compiled(self) -> bool:
        """Whether `advance` runs the XLA program."""
        return self._for_xla and self._planned >= WORTH_COMPILING

    @property
    def looped(self) -> bool:
        """Whether `advance` runs the loop in TensorFlow's own graph."""
        enough = self._planned * _WORTH_A_LOOP >= self.n_operations > 0
        return enough and not self.compiled

    def plan(self, steps: int) -> None:
        """Say that `steps` more steps are to come."""
        self._planned += steps

    def advance(
        self, batches: Batches, rows: tf.Tensor, start: int, stop: int
    ) -> tuple[int, dict[str, Any]]:
        """Run steps from `start` on, not beyond `stop`; return where it stands and the last logs.

        It may stop early: after a chunk of about half a second, so that an interrupt is heard, and
        right after a step that left the running loss not finite.
        """
        stop = min(stop, start + self._chunk)
        began = time.perf_counter()
        reached = self._in_xla(batches, rows, start, stop) if self.compiled else None
        if reached is None:
            without_xla = self._in_graph if self.looped else self._one_by_one
            reached = without_xla(batches, rows, start, stop)
        seconds = time.perf_counter() - began
        if seconds < 0.25 and stop == start + self._chunk:
            self._chunk *= 2
        elif seconds > 1:
            self._chunk = max(1, self._chunk // 2)
        return reached

    def on_rows(self, batches: Batches, rows: tf.Tensor) -> dict[str, Any]:
        """Run one step on the rows given, as many as they are."""
        with _quick_start():
            return self.step(take(batches.data, rows))

    def _one_by_one(
        self, batches: Batches, rows: tf.Tensor, start: int, stop: int
    ) -> tuple[int, dict[str, Any]]:
        reached, logs = start, {}
        with _quick_start():
            while reached < stop and is_finite(logs):
                logs = self.step(take(batches.data, rows[reached]))
                reached += 1
        return reached, logs

    def _in_graph(
        self, batches: Batches, rows: tf.Tensor, start: int, stop: int
    ) -> tuple[int, dict[str, Any]]:
        with _quick_start():
            reached, logs = self._graph_loop(
                batches.data, rows, tf.constant(start), tf.constant(stop)
            )
        return int(reached), logs

    def _in_xla(
        self, batches: Batches, rows: tf.Tensor, start: int, stop: int
    ) -> tuple[int, dict[str, Any]] | None:
        try:
            reached, logs = self._program(batches.data, rows, tf.constant(start), tf.constant(stop))
            self._tried = True
        except _CANNOT_COMPILE as error:
            if self._tried:
                raise
            # No step has been taken yet.
            self._for_xla = False
            missing = ", ".join(re.findall(r"(\w+) \(No registered", str(error)))
            why = f"it lacks {missing}" if missing else reason(error)[:120]
            say_once(f"ck.fit: XLA cannot compile this model, so it trains slower ({why}).")
            return None
        return int(reached), logs

    def _repeat(self, data: Any, rows: tf.Tensor, start: tf.Tensor, stop: tf.Tensor) -> tuple:
        def more(i: tf.Tensor, logs: dict) -> tf.Tensor:
            if "loss" not in logs:
                return i < stop
            return (i < stop) & tf.math.is_finite(logs["loss"])

        def body(i: tf.Tensor, logs: dict) -> tuple:
            return i + 1, self.step(take(data, rows[i]))

        nothing = tf.nest.map_structure(
            lambda spec: tf.zeros(spec.shape, spec.dtype), self.step.structured_outputs
        )
        return tf.while_loop(more, body, (start, nothing), parallel_iterations=1)


@contextmanager
def _gradients_forgotten() -> Iterator[None]:
    """Take back what TensorFlow registers for custom gradients while a step is traced.

    It keeps each of them for ever, and with it the whole graph: 80 MB for every deep net. Once
    the step is traced, its gradient is part of the graph, and nothing asks for them again.
    """
    registry = _gradient_registry()
    before = set(registry)
    try:
        yield
    finally:
        for name in set(registry) - before:
            if name.startswith("CustomGradient-"):
                del registry[name]


def _gradient_registry() -> dict[str, Any]:
    from tensorflow.python.framework import ops  # not public; a test tells when it has moved

    return getattr(getattr(ops, "_gradient_registry", None), "_registry", {})


@contextmanager
def _quick_start() -> Iterator[None]:
    # TensorFlow's graph optimizer takes seconds on a deep model and wins nothing on its steps.
    before = _graph_optimizer_off()
    tf.config.optimizer.set_experimental_options({_NO_GRAPH_OPTIMIZER: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_NO_GRAPH_OPTIMIZER: before})


def _graph_optimizer_off() -> bool:
    return tf.config.optimizer.get_experimental_options().get(_NO_GRAPH_OPTIMIZER, False)


def is_finite(logs: dict[str, Any]) -> bool:
    """Whether the running loss in `logs` is a finite number (or not there at all)."""
    return bool(np.isfinite(np.asarray(logs.get("loss", 0.0))).all())


def loop_for(model: Any, kind: str, batches: Batches) -> Loop:
    """Return the loop of the model's "train" or "test" step, traced earlier where that is valid.

    A traced step holds what stands in for `train_step`, the optimizer and its plain numbers, the
    metrics and the trainable weights of the moment; when any of these is another, it is traced
    anew.
    """
    _forget_older_models(model)
    # Past Keras' attribute tracking; there it lives no longer than the model.
    kept = model.__dict__.setdefault("_coursekit_loops", [])
    kept[:] = [entry for entry in kept if entry[1][0] is model.optimizer]  # not compiled anew since
    for entry in kept:
        if entry[0] == (kind, batches.spec) and _same(entry[1], _traced_in(model)):
            return entry[2]
    loop = Loop(model, model.train_step if kind == "train" else model.test_step, batches.spec)
    kept.append(((kind, batches.spec), _traced_in(model), loop))
    del kept[:-_KEPT_PER_MODEL]
    return loop


def _forget_older_models(model: Any) -> None:
    """Let only the models used last keep programs: those of a deep net take 100 MB."""
    others = [ref for ref in _recent if ref() not in (None, model)]
    for ref in others[: -(_KEPT_MODELS - 1)]:
        entries = ref().__dict__.pop("_coursekit_loops", [])
        deep = any(entry[2].n_operations > _DEEP for entry in entries)
        del entries
        if deep:  # a graph holds itself in cycles, and this one is worth the half second
            gc.collect()
    _recent[:] = [*others[-(_KEPT_MODELS - 1) :], weakref.ref(model)]


def _traced_in(model: Any) -> list:
    optimizer = model.optimizer
    plain = (bool, int, float, str, type(None))
    numbers = sorted((k, v) for k, v in vars(optimizer).items() if isinstance(v, plain))
    return [
        optimizer,
        vars(model).get("train_step"),
        vars(optimizer).get("_learning_rate"),
        str(numbers),
        bool(model.run_eagerly),
        *model.metrics,
        *model.trainable_variables,
        str([layer.trainable for layer in model._flatten_layers()]),
    ]


def _same(one: list, other: list) -> bool:
    def equal(a: Any, b: Any) -> bool:
        return a is b or (isinstance(a, str) and a == b)

    return len(one) == len(other) and all(map(equal, one, other))
