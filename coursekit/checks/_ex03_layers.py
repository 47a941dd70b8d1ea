"""Exercise 03: layers, PReLU and Swish with learned numbers, RReLU with drawn ones.

Right and wrong ones are formulas, made into layers when looked at: importing this loads no Keras.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.behaviour import behaviour
from coursekit.checks.kit.calling import require_subclass
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.models import give_weights
from coursekit.checks.kit.values import array


@dataclass(frozen=True)
class Learned:
    """A layer that computes `output(inputs, weight)`, with the weight's start and shape."""

    output: Callable[[Any, Any], Any]
    start: float
    shape: Callable[[tuple[int, ...]], tuple[int, ...]]


@dataclass(frozen=True)
class Drawn:
    """RReLU: its slope at test, how a slope is made of u in [0, 1], and the shape of the u."""

    at_test: Callable[[float, float], float] = lambda low, high: (low + high) / 2
    slope: Callable[..., Any] = lambda u, low, high: low + (high - low) * u
    shape: Callable[[Any], Any] = lambda shape: shape


def _class_of(answer: Any) -> Any:
    from coursekit.base.keras import keras

    class OfLearned(keras.layers.Layer):
        def build(self, input_shape):
            start = keras.initializers.Constant(answer.start)
            self.w = self.add_weight(shape=answer.shape(input_shape), initializer=start)

        def call(self, inputs):
            return answer.output(inputs, self.w)

    class OfDrawn(keras.layers.Layer):
        def __init__(self, lower=1 / 8, upper=1 / 3, **kwargs):
            super().__init__(**kwargs)
            self.limits, self.seed = (lower, upper), keras.random.SeedGenerator(42)

        def call(self, inputs, training=False):
            slope = answer.at_test(*self.limits)
            if training:
                u = keras.random.uniform(answer.shape(keras.ops.shape(inputs)), seed=self.seed)
                slope = answer.slope(u, *self.limits)
            return keras.ops.where(inputs < 0, slope * inputs, inputs)

    made = {Learned: OfLearned, Drawn: OfDrawn}.get(type(answer), answer)
    require_subclass(made, keras.layers.Layer, "keras.layers.Layer")
    return made


def _prelu(z, a):
    return (z + abs(z)) / 2 + a * (z - abs(z)) / 2


def _swish(z, b):
    return z / (1 + math.e ** (-b * z))


_last, _single = (lambda shape: shape[-1:]), (lambda shape: ())


# Reason → a layer, and the rule that it breaks: of the slopes of two calls, or NaN, and the limits.
IN_TRAINING: dict[str, tuple[Drawn, Callable[..., bool]]] = {
    "In training all elements have one slope in a call; each needs a draw of its own.":
        (Drawn(shape=lambda s: ()), lambda s, *_: np.nanmax(s) - np.nanmin(s) > 1e-4),
    "In training all samples share the slopes; each element needs its own.":
        (Drawn(shape=lambda s: (1, *s[1:])), lambda s, *_: _vary(s, 0)),
    "In training all units of a sample share a slope; each element needs its own.":
        (Drawn(shape=lambda s: (*s[:-1], 1)), lambda s, *_: _vary(s, -1)),
    "In training some slopes lie outside of the limits.":
        (Drawn(slope=lambda u, low, high: low + high * u),
         lambda s, _, low, high: low - 1e-4 < np.nanmin(s) and np.nanmax(s) < high + 1e-4),
    "In training the slopes are not spread evenly between the limits.":
        (Drawn(slope=lambda u, low, high: low + (high - low) * u**2),
         lambda s, _, low, high: abs(np.nanmean(s) - (low + high) / 2) < 0.03 * (high - low)
         and abs(np.nanstd(s) / (high - low) * 12**0.5 - 1) < 0.1),
    "In training some elements share a slope; each element needs its own.":
        (Drawn(shape=lambda s: (s[0], *[1] * (len(s) - 2), s[-1])),
         lambda s, *_: len(np.unique(s)) > 0.9 * np.isfinite(s).sum()),
    "In training two calls give the same slopes; draw anew in every call.":
        (Drawn(slope=lambda u, low, high: low + (high - low) * rng("u").random(u.shape, "float32")),
         lambda s, again, *_: not np.allclose(s, again, equal_nan=True)),
}  # fmt: skip


AT_TEST: dict[str, Callable[[float, float], float]] = {
    "the lower limit": lambda low, high: low,
    "the upper limit": lambda low, high: high,
    "the sum of the limits": lambda low, high: low + high,
    "one over the mean of 1/slope": lambda low, high: 2 / (1 / low + 1 / high),
    "0 for the slope": lambda low, high: 0.0,
    "1 for the slope": lambda low, high: 1.0,
    "half the width of the interval": lambda low, high: (high - low) / 2,
    "minus the mean": lambda low, high: -(low + high) / 2,
    "the mean of 1/8 and 1/3, whatever the limits are": lambda low, high: (1 / 8 + 1 / 3) / 2,
}


def _vary(slopes: np.ndarray, axis: int) -> bool:
    return not np.allclose(np.nanstd(slopes, axis=axis), 0, atol=1e-4)


def add_layers(tasks: TaskList) -> None:
    """Add the three tasks."""
    p = partial(Learned, start=0.25, shape=_last)

    @behaviour(
        tasks, title="PReLU as a layer", right=p(_prelu), seconds=120.0,
        hints=(
            "In `build`: `self.add_weight` with a shape of one axis, as long as the input's last.",
            "`keras.initializers.Constant` makes an initialiser that gives one number everywhere.",
            "In `call`: `keras.ops.where` with a condition, the inputs, and slopes times inputs.",
        ),
        mistakes={
            "With a slope above 1 or below 0, max(αz, z) takes the wrong side. Choose by the sign "
            "of z.": p(lambda z, a: z + (a * z - z + abs(a * z - z)) / 2),
            "The slopes act on the positive side.": p(lambda z, a: -_prelu(-z, a)),
            "The slopes have the wrong sign.": p(lambda z, a: _prelu(z, -a)),
            "The slopes act on both sides.": p(lambda z, a: a * z),
            "That is ReLU: the slopes have no effect.": p(lambda z, a: _prelu(z, 0 * a)),
            "Your slope is always 0.25; use the weight.": p(lambda z, a: _prelu(z, 0.25 + 0 * a)),
            "Your slope does not start where the task says.": p(_prelu, start=0.0),
            "Your layer has one slope for all units; each unit needs its own.":
                p(_prelu, shape=_single),
            "For inputs of shape (samples, 3, 3, 4) your slope has shape (3, 3, 4); expected (4,).":
                p(_prelu, shape=lambda shape: shape[1:]),
        },
    )  # fmt: skip
    def prelu(answer: Any) -> dict[str, Any]:
        """A layer class without arguments."""
        return _look_at_learned(_class_of(answer), _last, 0.25, "slope")

    s = partial(Learned, start=1.0, shape=_single)

    @behaviour(
        tasks, title="Swish with a learned β", right=s(_swish), seconds=120.0,
        hints=(
            "`self.add_weight(shape=(), ...)` makes one number. Which initialiser starts it at 1?",
            "`keras.ops.sigmoid` works on tensors.",
        ),
        mistakes={
            "β has no effect: it works as if it were 1.": s(lambda z, b: _swish(z, 1 + 0 * b)),
            "β stands outside; it belongs inside the sigmoid.": s(lambda z, b: b * _swish(z, 1.0)),
            "β multiplies z outside, too.": s(lambda z, b: b * _swish(z, b)),
            "That is the sigmoid alone; multiply it by z.": s(lambda z, b: _swish(z, b) / z),
            "The exponent has the wrong sign.": s(lambda z, b: _swish(z, -b)),
            "Your β does not start where the task says.": s(_swish, start=0.0),
            "For inputs of shape (samples, 5) your β has shape (5,); expected ().":
                s(_swish, shape=_last),
        },
    )  # fmt: skip
    def trainable_swish(answer: Any) -> dict[str, Any]:
        """A layer class without arguments."""
        return _look_at_learned(_class_of(answer), _single, 1.0, "β")

    @behaviour(
        tasks, title="RReLU as a layer", right=Drawn(), seconds=120.0, given=("__init__",),
        hints=(
            "One slope for both cases: a number, but in training an array as large as the inputs.",
            "`keras.ops.shape(inputs)` is the shape, with the number of samples too.",
            "Then one line for both cases: `keras.ops.where` with a condition on `inputs`.",
        ),
        mistakes={
            **{f"At test you take {what}; take the mean of the limits.": Drawn(slope)
               for what, slope in AT_TEST.items()},
            **{reason: answer for reason, (answer, _) in IN_TRAINING.items()},
        },
    )  # fmt: skip
    def rrelu(answer: Any) -> dict[str, Any]:
        """A layer class (lower, upper) whose call depends on `training`."""
        return _look_at_drawn(_class_of(answer))


def _look_at_learned(made: Any, shape: Any, start: float, what: str) -> dict[str, Any]:
    """Outputs for several sizes and weights, and one step of training within a model."""
    from coursekit.base.keras import keras

    seen, draw = {}, rng(what)
    for inputs in ("5", "3", "3, 3, 4"):
        size = tuple(map(int, inputs.split(", ")))
        layer, z = made(), draw.normal(0, 2, (6, *size)).astype("float32")
        at = f"for inputs of shape (samples, {inputs})"
        seen[f"the output at the start, {at}"] = array(layer(z), "Your output", shape=z.shape)
        weight = _only_weight(layer, shape(size), start, what, at)
        for _ in range(2):
            weight.assign(draw.uniform(-1.5, 2.5, weight.shape))
            values = ", ".join(f"{v:.2g}" for v in np.ravel(weight))
            seen[f"the output {at} and {what} = {values}"] = array(layer(z), "Your output")
    below, layer = keras.layers.Dense(4), made()
    try:
        model = give_weights(keras.Sequential([keras.Input((3,)), below, layer]), "net")
        model.compile(keras.optimizers.SGD(0.5), loss="mse")
        model.train_on_batch(draw.normal(size=(16, 3)), draw.normal(size=(16, 4)))
    except Exception as error:  # whatever a graph or a missing gradient raises
        raise Wrong(
            "It works step by step, but not in a compiled training step: compute with `keras.ops` "
            f"or TensorFlow, not with NumPy. ({type(error).__name__})"
        ) from None
    seen[f"the {what} after a step of training"] = np.array(layer.trainable_weights[0])
    seen["the kernel of the layer below after a step of training"] = np.array(below.kernel)
    return seen


def _only_weight(layer: Any, shape: tuple[int, ...], start: float, what: str, at: str) -> Any:
    weights = layer.trainable_weights
    if not layer.weights:
        raise Wrong(f"Your layer has no weights: make the {what} with `self.add_weight`.")
    if not weights:
        raise Wrong(f"Your {what} is not trainable, so that nothing is learned.")
    if len(weights) > 1:
        raise Wrong(f"Your layer has {len(weights)} weights; one is enough.")
    got = tuple(weights[0].shape)
    if math.prod(got) == 1 < math.prod(shape):
        raise Wrong(f"Your layer has one {what} for all units; each unit needs its own.")
    if got != shape:
        raise Wrong(f"{at.capitalize()} your {what} has shape {got}; expected {shape}.")
    if not np.allclose(weights[0], start, atol=1e-6):
        raise Wrong(f"Your {what} does not start where the task says.")
    return weights[0]


def _look_at_drawn(made: Any) -> dict[str, Any]:
    parameters = inspect.signature(made.call).parameters.values()
    if not any(p.name == "training" or p.kind == p.VAR_KEYWORD for p in parameters):
        raise Wrong("`call` must take `training`; keep the parameters of the notebook.")
    seen, draw = {}, rng("rrelu")
    z = draw.choice([-1.0, 0.0, 1.0], (20, 6)) * draw.uniform(0.5, 2, (20, 6))
    for limits in ((0.1, 0.5), (0.2, 0.3), ()):
        for training in ({"training": False}, {}):
            layer = made(*limits)
            out, again = (_output(layer, z, **training) for _ in range(2))
            if not np.array_equal(out, again):
                raise Wrong("At test two calls give two results: there nothing may be random.")
            given = f"limits {limits or 'of the notebook'}" + ", training=False" * bool(training)
            seen[f"the output at test, {given}"] = out
    for limits in ((0.1, 0.5), (0.2, 0.3)):
        for shape in ((200, 60), (30, 6, 7, 9)):
            z, layer = draw.choice([-2.0, -1.0, 1.0], shape), made(*limits)  # slopes are exact
            out, again = (_output(layer, z, training=True) for _ in range(2))
            slopes = [np.where(z < 0, o / z, np.nan) for o in (out, again)]
            for reason, (_, rule) in IN_TRAINING.items():
                if not rule(*slopes, *limits):
                    raise Wrong(reason)
    equal = _output(made(0.2, 0.2), -np.ones((2, 3)), training=True)
    return seen | {"the output in training, limits (0.2, 0.2)": equal} | _in_a_program(made)


def _output(layer: Any, z: np.ndarray, **training: bool) -> np.ndarray:
    result = layer(z.astype("float32"), **training)
    if result is None:
        raise Wrong("`call` returns nothing. Did you forget `return`?")
    out = array(result, "Your layer's output", shape=z.shape)
    if not np.allclose(out[z >= 0], z[z >= 0], rtol=1e-5):
        raise Wrong("Elements that are not negative must stay as they are.")
    return out


def _in_a_program(made: Any) -> dict[str, Any]:
    """The layer in a model in a compiled program, where the number of samples is not known."""
    from coursekit.base.keras import keras, tf

    z = tf.constant(-np.ones((8, 5), "float32"))
    try:
        model = keras.Sequential([keras.Input((5,)), made(0.1, 0.5)])
        any_size = tf.TensorSpec((None, 5), tf.float32)
        program = tf.function(lambda z: model(z, training=True), input_signature=[any_size])
        first, second = array(program(z)), array(program(z))
    except Exception as error:  # whatever a graph refuses
        raise Wrong(
            "It works step by step, but not in a compiled program, where the number of samples may "
            "be unknown: compute with `keras.ops` and `keras.random`, and ask `keras.ops.shape` "
            f"for the shape. ({type(error).__name__})"
        ) from None
    if np.allclose(first, second):
        raise Wrong(
            "In a compiled training step the slopes are the same for ever, drawn once by Python "
            "or NumPy when the program was made. Draw with `keras.random.uniform`."
        )
    return {"the shape of the output in a compiled program": (*first.shape, *program(z[:3]).shape)}
