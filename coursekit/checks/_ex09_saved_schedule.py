"""Exercise 09: a schedule object that works in compiled steps and can be saved."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from coursekit.checks._ex09_formulas import POWER_MISTAKES, power
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call, require_subclass
from coursekit.checks.kit.compare import agree, close_each
from coursekit.checks.kit.values import describe, number


def check_power_schedule(answer: Any) -> None:
    """Rates, inside a compiled step too; config; a model saved and loaded."""
    from coursekit.base.keras import keras

    base = keras.optimizers.schedules.LearningRateSchedule
    require_subclass(answer, base, "keras.optimizers.schedules.LearningRateSchedule")
    for method in ("__call__", "get_config"):
        if getattr(answer, method) is getattr(base, method):
            raise Wrong(f"`{answer.__name__}` has no method `{method}` of its own.")
    plans = [(0.2, 30, 2.0), (0.05, 7, 0.5), (0.8, 100, 1.0)]
    cases = [(step, *plan) for plan in plans for step in (1, 7, 30, 500)]

    def rate(step: int, *plan: float) -> Any:
        return call(call(answer, *plan), step)

    rate.__name__ = answer.__name__
    agree(rate, power, cases, mistakes=POWER_MISTAKES)
    agree(
        rate,
        power,
        [(0, 0.2, 30, 2.0), (30, 0.2, 30)],
        otherwise="Look at step 0, and at the default of `exponent`, which is 1.",
    )
    for plan in plans:
        _rates_in_compiled_steps(answer, plan)
        _config_round_trip(answer, plan)
    _saved_and_loaded(answer, plans[0])


def _rates_in_compiled_steps(answer: Any, plan: tuple[float, ...]) -> None:
    """Let SGD do six compiled updates with gradient 1: each moves the weight by the rate."""
    from coursekit.base.keras import keras, tf

    weight = keras.Variable(0.0)
    optimizer = keras.optimizers.SGD(learning_rate=answer(*plan))
    optimizer.build([weight])
    step = tf.function(lambda: optimizer.apply([tf.ones(())]))
    seen = [0.0]
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
    want = [power(t, *plan) for t in range(6)]
    if all(close_each(moved, want, rtol=1e-4)):
        return
    if np.allclose(moved, moved[0], rtol=1e-4):
        raise Wrong(
            "Inside a compiled training step your rate stays the same for ever: compute it from "
            "the `step` it is given, with operators or `keras.ops`."
        )
    raise Wrong("Inside a compiled training step your rates differ from those outside.")


def _config_round_trip(answer: Any, plan: tuple[float, ...]) -> None:
    config = call(answer(*plan).get_config)
    if not isinstance(config, dict):
        raise Wrong(f"`get_config` returns {describe(config)}; expected a dict.")
    try:
        json.dumps(config)
    except (TypeError, ValueError):
        raise Wrong(
            "`get_config` holds something that JSON cannot write; use plain numbers."
        ) from None
    try:
        again = answer.from_config(config)
    except TypeError:
        raise Wrong(
            "`from_config(get_config())` cannot build the schedule again. The keys must be the "
            "names of the arguments of `__init__`; none without a default may be missing."
        ) from None
    steps = (0, 7, 30, 500)
    if not all(close_each([number(again(t)) for t in steps], [power(t, *plan) for t in steps])):
        raise Wrong(
            "A schedule made again from `get_config` has other rates: in the config an argument is "
            "missing, or has the value of another."
        )


def _saved_and_loaded(answer: Any, plan: tuple[float, ...]) -> None:
    from coursekit.base.keras import keras

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(answer(*plan)), loss="mse")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        try:
            loaded = keras.models.load_model(path, custom_objects={answer.__name__: answer})
        except Exception as error:
            raise Wrong(
                f"A model saved with your schedule cannot be loaded ({type(error).__name__}): "
                "`get_config` and `__init__` do not fit together."
            ) from None
    for step in (0, 11, 200):
        loaded.optimizer.iterations.assign(step)
        if not close_each([number(loaded.optimizer.learning_rate)], [power(step, *plan)], 1e-4)[0]:
            raise Wrong("After saving and loading a model its optimizer has other rates.")
