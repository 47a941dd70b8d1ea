"""Exercise 09: a schedule object that works in compiled steps and can be saved."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from coursekit.checks._ex09_formulas import POWER, power
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call, require_subclass
from coursekit.checks.kit.compare import agree, close_each, first_match
from coursekit.checks.kit.values import describe, number

_PLANS = ((0.2, 30, 2.0), (0.05, 7, 0.5), (0.8, 100, 1.0))


def power_schedule(answer: Any) -> None:
    """Power scheduling as a LearningRateSchedule subclass (η₀, s, c=1) that survives saving."""
    from coursekit.base.keras import keras

    base = keras.optimizers.schedules.LearningRateSchedule
    require_subclass(answer, base, "keras.optimizers.schedules.LearningRateSchedule")
    for method in ("__call__", "get_config"):
        if getattr(answer, method) is getattr(base, method):
            raise Wrong(f"`{answer.__name__}` has no method `{method}` of its own.")

    def rate(step, *plan):
        return call(call(answer, *plan), step)

    rate.__name__ = answer.__name__
    agree(rate, power, [(t, *plan) for plan in _PLANS for t in (1, 7, 30, 500)], mistakes=POWER)
    agree(rate, power, [(30, 0.2, 30)], otherwise="The default of `exponent` is 1.")
    agree(rate, power, [(0, 0.2, 30, 2.0)], otherwise="Step 0 must give the initial rate.")
    for plan in _PLANS:
        _compiled_steps(answer, plan)
    _saved_and_loaded(answer, _PLANS[0])


def _compiled_steps(answer: Any, plan: tuple[float, ...]) -> None:
    """Let SGD do six compiled updates with gradient 1: each moves the weight by the rate."""
    from coursekit.base.keras import keras, tf

    weight = keras.Variable(0.0)
    optimizer = keras.optimizers.SGD(learning_rate=answer(*plan))
    optimizer.build([weight])
    step, seen = tf.function(lambda: optimizer.apply([tf.ones(())])), [0.0]
    for _ in range(6):
        try:
            step()
        except Exception as error:
            raise Wrong(
                "It works with a Python number, but not inside a compiled training step, where the "
                f"step is a tensor of whole numbers ({type(error).__name__}). Use operators or "
                "`keras.ops`, not `int()`, `float()`, `.numpy()` or `math`."
            ) from None
        seen.append(number(weight, "The weight after an update"))
    moved = -np.diff(seen)
    first_match(moved, {
        "": np.array([power(t, *plan) for t in range(6)]),
        "Inside a compiled training step your rate stays the same for ever: compute it from the "
        "`step` it is given, with operators or `keras.ops`.": np.full(6, moved[0]),
    }, otherwise="In a compiled training step your rates differ from those outside.")  # fmt: skip


def _saved_and_loaded(answer: Any, plan: tuple[float, ...]) -> None:
    from coursekit.base.keras import keras

    config = call(answer(*plan).get_config)
    if not isinstance(config, dict):
        raise Wrong(f"`get_config` returns {describe(config)}; expected a dict.")
    try:
        json.dumps(config)
    except (TypeError, ValueError):
        raise Wrong("`get_config` holds what JSON cannot write; use plain numbers.") from None
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(answer(*plan)), loss="mse")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        try:
            loaded = keras.models.load_model(path, custom_objects={answer.__name__: answer})
        except Exception as error:
            raise Wrong(
                f"A model saved with your schedule cannot be loaded ({type(error).__name__}). The "
                "keys of `get_config` must be the names of the arguments of `__init__`; none "
                "without a default may be missing."
            ) from None
    for step in (0, 11, 200):
        loaded.optimizer.iterations.assign(step)
        if not close_each([number(loaded.optimizer.learning_rate)], [power(step, *plan)], 1e-4)[0]:
            raise Wrong(
                "After saving and loading a model its optimizer has other rates: in the config an "
                "argument is missing, or has the value of another."
            )
