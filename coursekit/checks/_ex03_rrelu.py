"""Exercise 03: the layer that draws slopes in training and takes their mean otherwise."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call, require_subclass
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import array


def check_rrelu(answer: Any) -> None:
    """The mean slope at test; in training new slopes for each element and call, compiled too."""
    from coursekit.base.keras import keras

    require_subclass(answer, keras.layers.Layer, "keras.layers.Layer")
    parameters = inspect.signature(answer.call).parameters.values()
    if not any(p.name == "training" or p.kind == p.VAR_KEYWORD for p in parameters):
        raise Wrong("`call` must take `training`; keep the parameters of the notebook.")
    for lower, upper in ((0.1, 0.5), (0.2, 0.3)):
        _at_test(call(answer, lower, upper), lower, upper)
        _in_training(call(answer, lower, upper), lower, upper)
    if not np.allclose(_output(answer(0.2, 0.2), -np.ones((2, 3)), True), -0.2, atol=1e-5):
        raise Wrong("With equal limits every slope is that number, in training too.")
    _compiled(answer(0.1, 0.5))


def _output(layer: Any, z: np.ndarray, training: bool | None) -> np.ndarray:
    z = z.astype("float32")
    result = layer(z) if training is None else layer(z, training=training)
    if result is None:
        raise Wrong("`call` returns nothing. Did you forget `return`?")
    return array(result, "Your layer's output", shape=z.shape)


def _at_test(layer: Any, lower: float, upper: float) -> None:
    z = rng("rrelu at test").normal(0, 2, (20, 6))
    for training in (False, None):
        first, second = _output(layer, z, training), _output(layer, z, training)
        if not np.array_equal(first, second):
            raise Wrong("At test two calls give two results: there nothing may be random.")
        _positive_side(first, z)
        slope = first[z < 0] / z[z < 0]
        if np.ptp(slope) > 1e-4:
            raise Wrong("At test the slopes differ from element to element; take their mean.")
        for wrong, reason in (
            (lower, "At test you take the lower limit; the mean of both limits is wanted."),
            (upper, "At test you take the upper limit; the mean of both limits is wanted."),
            (lower + upper, "At test you take the sum of the limits, not their mean."),
            (2 / (1 / lower + 1 / upper), "At test you take one over the mean of 1/slope."),
            (0.0, "At test the negative side is 0."),
            (1.0, "At test the layer does nothing."),
            ((upper - lower) / 2, "At test you take half the width of the interval."),
            (-(lower + upper) / 2, "At test the slope has the wrong sign."),
        ):
            if abs(slope.mean() - wrong) < 1e-4 and abs(wrong - (lower + upper) / 2) > 1e-3:
                raise Wrong(reason)
        if not np.allclose(slope, (lower + upper) / 2, atol=1e-4):
            raise Wrong("At test the slope is not the mean of the limits.")


def _positive_side(out: np.ndarray, z: np.ndarray) -> None:
    if not np.allclose(out[z >= 0], z[z >= 0], rtol=1e-5):
        raise Wrong("Elements that are not negative must stay as they are.")


def _in_training(layer: Any, lower: float, upper: float) -> None:
    draw = rng("rrelu in training")
    z = draw.choice([-1.0, 1.0], (200, 60)) * draw.uniform(0.5, 2, (200, 60))
    out, again = _output(layer, z, True), _output(layer, z, True)
    _positive_side(out, z)
    slopes = np.where(z < 0, out / z, np.nan)
    values = slopes[z < 0]
    if np.ptp(values) < 1e-4:
        raise Wrong(
            "In training all elements have one slope in a call; each needs a draw of its own."
        )
    if np.allclose(np.nanstd(slopes, axis=0), 0, atol=1e-4):
        raise Wrong("In training all samples share the slopes; each element needs its own.")
    if np.allclose(np.nanstd(slopes, axis=1), 0, atol=1e-4):
        raise Wrong("In training all units of a sample share a slope; each element needs its own.")
    if np.allclose(out, again):
        raise Wrong("In training two calls give the same slopes; draw anew in every call.")
    if values.min() < lower - 1e-4 or values.max() > upper + 1e-4:
        raise Wrong("In training some slopes lie outside of the limits.")
    middle, spread = (lower + upper) / 2, (upper - lower) / np.sqrt(12)
    if abs(values.mean() - middle) > 0.1 * spread or abs(values.std() - spread) > 0.1 * spread:
        raise Wrong("In training the slopes are not spread evenly between the limits.")


def _compiled(layer: Any) -> None:
    from coursekit.base.keras import tf

    z = tf.constant(-np.ones((8, 5), "float32"))
    program = tf.function(lambda z: layer(z, training=True))
    try:
        first, second = array(program(z)), array(program(z))
    except Wrong:
        raise
    except Exception as error:  # whatever a graph refuses
        raise Wrong(
            "It works step by step, but not in a compiled program: compute with `keras.ops` and "
            f"`keras.random`, not with NumPy. ({type(error).__name__})"
        ) from None
    if np.allclose(first, second):
        raise Wrong(
            "In a compiled training step the slopes are the same for ever: they were drawn once, "
            "by Python or NumPy, when the program was made. Draw with `keras.random.uniform`."
        )
    other = tf.function(lambda z: layer(z, training=True), input_signature=[
        tf.TensorSpec((None, 5), tf.float32)
    ])  # fmt: skip
    try:
        sizes = [array(other(z[:k])).shape for k in (8, 3)]
    except Exception as error:  # a shape that is None while the graph is made
        raise Wrong(
            "In a compiled program the number of samples may be unknown: ask `keras.ops.shape` for "
            f"the shape of the inputs. ({type(error).__name__})"
        ) from None
    if sizes != [(8, 5), (3, 5)]:
        raise Wrong("In a compiled program the output has another shape than the input.")
