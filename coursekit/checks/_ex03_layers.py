"""Exercise 03: layers with learned numbers, PReLU and Swish."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call, require_subclass
from coursekit.checks.kit.compare import close_each, rng
from coursekit.checks.kit.values import array

Formula = Callable[[np.ndarray, np.ndarray], np.ndarray]


def check_prelu(answer: Any) -> None:
    """One slope for each unit, started at 0.25, learned, right inside a compiled program."""

    def right(z: np.ndarray, a: np.ndarray) -> np.ndarray:
        return np.maximum(z, 0) + a * np.minimum(z, 0)

    _check(
        answer,
        right,
        shape=lambda units: (units,),
        start=0.25,
        what="slope",
        mistakes={
            "With a slope above 1 or below 0, max(αz, z) takes the wrong side. Choose by the sign "
            "of z.": lambda z, a: np.maximum(a * z, z),
            "The slopes act on the positive side.": (
                lambda z, a: a * np.maximum(z, 0) + np.minimum(z, 0)
            ),
            "The slopes have the wrong sign.": lambda z, a: right(z, -a),
            "The slopes act on both sides.": lambda z, a: a * z,
            "That is ReLU: the slopes have no effect.": lambda z, a: np.maximum(z, 0),
            "Your slope is always 0.25; use the weight.": lambda z, a: right(z, 0.25 + 0 * a),
        },
    )


def check_trainable_swish(answer: Any) -> None:
    """One β, started at 1, learned, right inside a compiled program."""

    def right(z: np.ndarray, b: np.ndarray) -> np.ndarray:
        return z * (1 + np.tanh(b * z / 2)) / 2

    _check(
        answer,
        right,
        shape=lambda units: (),
        start=1.0,
        what="β",
        mistakes={
            "β has no effect: it works as if it were 1.": lambda z, b: right(z, 1 + 0 * b),
            "β stands outside; it belongs inside the sigmoid.": lambda z, b: (
                b * right(z, 1.0 + 0 * b)
            ),
            "β multiplies z outside, too.": lambda z, b: b * right(z, b),
            "That is the sigmoid alone; multiply it by z.": (
                lambda z, b: (1 + np.tanh(b * z / 2)) / 2
            ),
            "The exponent has the wrong sign.": lambda z, b: right(z, -b),
        },
    )


def _check(
    answer: Any,
    right: Formula,
    *,
    shape: Callable[[int], tuple[int, ...]],
    start: float,
    what: str,
    mistakes: dict[str, Formula],
) -> None:
    from coursekit.base.keras import keras

    require_subclass(answer, keras.layers.Layer, "keras.layers.Layer")
    draw = rng(what)
    for units in (5, 3):
        layer, z = call(answer), draw.normal(0, 2, (6, units)).astype("float32")
        first = array(call(layer, z), "Your layer's output")
        weight = _only_weight(layer, shape(units), start, what)
        wanted = right(z, np.full(shape(units), start))
        if first.shape != z.shape:
            raise Wrong(f"For inputs of shape {z.shape} your output has shape {first.shape}.")
        if not close_each([first], [wanted], 1e-4)[0]:
            _name_mistake([first], [(z, np.full(shape(units), start))], mistakes)
        got, cases = [], []
        for _ in range(3):
            values = draw.uniform(-1.5, 2.5, shape(units))
            weight.assign(values)
            got.append(array(call(layer, z), "Your layer's output"))
            cases.append((z, values))
        want = [right(*case) for case in cases]
        if not all(close_each(got, want, 1e-4)):
            _name_mistake(got, cases, mistakes)
    _images(answer, right, shape, start)
    _trains(answer, right, shape, start, what)


def _only_weight(layer: Any, shape: tuple[int, ...], start: float, what: str) -> Any:
    weights = layer.trainable_weights
    if not weights:
        if layer.weights:
            raise Wrong(f"Your {what} is not trainable, so that nothing is learned.")
        raise Wrong(
            f"Your layer has no weights. Make the {what} in `build` with `self.add_weight`: a "
            "plain number or tensor is not learned."
        )
    if len(weights) > 1:
        raise Wrong(f"Your layer has {len(weights)} weights; one is enough.")
    got = tuple(weights[0].shape)
    if got != shape:
        size, wanted = int(np.prod(got)), int(np.prod(shape))
        if size == wanted:
            raise Wrong(f"Your {what} has shape {got}; expected {shape}.")
        if size == 1:
            raise Wrong(f"Your layer has one {what} for all units; each unit needs its own.")
        raise Wrong(f"Your layer learns {size} numbers where {wanted} are wanted.")
    values = np.array(weights[0])
    if not np.allclose(values, start, atol=1e-6):
        raise Wrong(f"Your {what} does not start where the task says.")
    return weights[0]


def _name_mistake(
    got: list[np.ndarray],
    cases: list[tuple[np.ndarray, np.ndarray]],
    mistakes: dict[str, Formula],
) -> None:
    for reason, wrong in mistakes.items():
        if all(close_each(got, [wrong(*case) for case in cases], 1e-4)):
            raise Wrong(reason)
    raise Wrong("The outputs of your layer are not right.")


def _images(answer: Any, right: Formula, shape: Callable, start: float) -> None:
    """Let it follow a convolution: the units are on the last of four axes."""
    layer, z = answer(), rng("images").normal(size=(2, 3, 3, 4)).astype("float32")
    got = array(call(layer, z), "Your layer's output")
    if not close_each([got], [right(z, np.full(shape(4), start))], 1e-4)[0]:
        raise Wrong("For images, (samples, height, width, channels), your layer goes wrong.")


def _trains(answer: Any, right: Formula, shape: Callable, start: float, what: str) -> None:
    """One compiled step of SGD must move the weight by the gradient of the formula."""
    from coursekit.base.keras import keras, tf

    layer, z = answer(), rng("step").normal(0, 2, (16, 4)).astype("float32")
    layer.build((None, 4))
    weight = layer.trainable_weights[0]
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build([weight])

    @tf.function
    def step(z: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(layer(z))
        optimizer.apply(tape.gradient(loss, [weight]), [weight])

    try:
        step(tf.constant(z))
    except Exception as error:  # whatever a graph or a missing gradient raises
        raise Wrong(
            "It works step by step, but not in a compiled training step: compute with `keras.ops` "
            f"or TensorFlow, not with NumPy. ({type(error).__name__})"
        ) from None
    h, at = 1e-5, np.full(shape(4), start)
    gradient = np.zeros(shape(4))
    for place in np.ndindex(*shape(4)):
        up, down = at.copy(), at.copy()
        up[place] += h
        down[place] -= h
        gradient[place] = (right(z.astype(float), up) - right(z.astype(float), down)).mean() / 2 / h
    if not close_each([np.array(weight)], [at - gradient], 1e-3)[0]:
        raise Wrong(f"In a training step the {what} does not move as its gradient says.")
