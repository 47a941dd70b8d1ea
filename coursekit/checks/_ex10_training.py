"""Exercise 10: the layer that adds its own penalty, and the step that must add `model.losses`."""

from __future__ import annotations

from typing import Any

import numpy as np

from coursekit.checks import _ex10_formulas as formulas
from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call, call_in_graph
from coursekit.checks.kit.compare import close_each, rng
from coursekit.checks.kit.values import array, describe, number

RATE = 0.05
_PARTLY = (
    "Only a part of the penalties acts on the weights: read `model.losses` after the call of the "
    "model, inside the tape, and add all of them."
)


def check_layer(answer: Any) -> None:
    """Output, penalty, its gradient; again with other weights; and inside a compiled function."""
    from coursekit.base.keras import keras, tf

    if isinstance(answer, keras.layers.Layer):
        raise Wrong("Expected your class itself, without parentheses; got a layer.")
    draw = rng("layer")
    x = draw.normal(size=(6, 3)).astype("float32")
    layer = call(answer, 4, 0.3, 0.07)
    if not isinstance(layer, keras.layers.Layer):
        raise Wrong(f"`ElasticDense(4)` should be a Keras layer; it is {describe(layer)}.")
    layer(x)
    for _ in range(2):  # the second time: a penalty computed once and for all is stale
        kernel, bias = _new_weights(layer, draw)
        with tf.GradientTape() as tape:
            output = layer(x)
            added = sum(layer.losses)
        _compare_output(output, x @ kernel + bias)
        _compare_penalty(layer.losses, added, kernel, bias, np.asarray(output))
        gradient = tape.gradient(added, _parts(layer)[0]) if tf.is_tensor(added) else None
        want = 0.3 * np.sign(kernel) + 2 * 0.07 * kernel
        if gradient is None or not close_each([np.asarray(gradient)], [want], 1e-4)[0]:
            raise Wrong(
                "The value of the penalty is right, but its gradient with respect to the kernel "
                "is not: compute it from `self.kernel` with `keras.ops` or TensorFlow."
            )
    _inside_a_model(answer, keras, x)


def _parts(layer: Any) -> tuple[Any, Any]:
    matrices = [v for v in layer.trainable_variables if len(v.shape) == 2]
    vectors = [v for v in layer.trainable_variables if len(v.shape) == 1]
    if len(matrices) != 1 or len(vectors) != 1:
        raise Wrong("The layer should have one kernel and one bias, as a Dense layer has.")
    return matrices[0], vectors[0]


def _new_weights(layer: Any, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    kernel, bias = _parts(layer)
    if tuple(kernel.shape) != (3, 4):
        raise Wrong(f"For 3 inputs and 4 units the kernel has the shape {tuple(kernel.shape)}.")
    values = draw.normal(size=(3, 4)).astype("float32"), draw.normal(size=4).astype("float32")
    kernel.assign(values[0])
    bias.assign(values[1])
    return values


def _compare_output(output: Any, want: np.ndarray) -> None:
    if output is None:
        raise Wrong("`call` returns nothing. Return what a Dense layer returns.")
    got = array(output, "The output", shape=(6, 4))
    if not close_each([got], [want], 1e-4)[0]:
        raise Wrong("The output is not that of a Dense layer: inputs times kernel, plus bias.")


def _compare_penalty(
    losses: list[Any], added: Any, kernel: np.ndarray, bias: np.ndarray, output: np.ndarray
) -> None:
    if not losses:
        raise Wrong(
            "After a call `layer.losses` is empty: hand the penalty to `self.add_loss` in `call`."
        )
    got = number(added, "Your penalty")
    if close_each([got], [formulas.penalty([kernel], 0.3, 0.07)], 1e-5)[0]:
        return
    for reason, wrong in (
        ("The bias is counted; the penalty is on the kernel alone.",
         formulas.penalty([kernel, bias], 0.3, 0.07)),
        ("The penalty is added twice.", 2 * formulas.penalty([kernel], 0.3, 0.07)),
        ("You penalise the output; the penalty is on the kernel.",
         formulas.penalty([output], 0.3, 0.07)),
        *((reason, mistake([kernel], 0.3, 0.07))
          for reason, mistake in list(formulas.PENALTY_MISTAKES.items())[1:]),
    ):  # fmt: skip
        if close_each([got], [wrong], 1e-5)[0]:
            raise Wrong(reason)
    raise Wrong("The sum of `layer.losses` is not the penalty of the kernel as it is now.")


def _inside_a_model(answer: Any, keras: Any, x: np.ndarray) -> None:
    model = keras.Sequential([keras.Input((3,)), answer(4, l1=0.3, l2=0.07)])
    kernel = _new_weights(model, rng("model"))[0]
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    try:
        value = model.evaluate(x, np.asarray(model(x)), verbose=0)
        model.fit(x, np.asarray(model(x)), epochs=1, verbose=0)
    except Exception as error:  # whatever a graph refuses
        raise Wrong(
            "It works by itself, but not in `model.fit`: there tensors have no values yet, so "
            f"`.numpy()`, `float()` and NumPy's functions are out. ({type(error).__name__})"
        ) from None
    if not close_each([value], [formulas.penalty([kernel], 0.3, 0.07)], 1e-3)[0]:
        raise Wrong("In a model, the loss that Keras reports does not hold the penalty.")


# The training step


def check_train_step(answer: Any) -> None:
    """Losses of a step and the weights after it; with penalties, without, and compiled."""
    for l2 in (0.2, 0.03):
        _one_step(answer, l2)
    try:
        _one_step(answer, 0.0)
    except Wrong:
        raise
    except Exception as error:
        raise Wrong(
            "With a model that has no penalty at all, so that `model.losses` is empty, it fails: "
            f"{type(error).__name__}."
        ) from None
    _compiled(answer)


def _model(l2: float, name: str) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    """Return a linear model, kernel (3, 1), penalised by a regulariser and by add_loss."""
    from coursekit.base.keras import keras

    class AddsLoss(keras.layers.Dense):
        def call(self, inputs: Any, training: Any = None) -> Any:
            if l2:
                self.add_loss(0.25 * l2 * keras.ops.sum(self.kernel**2))
            return super().call(inputs, training=training)

    draw = rng(name)
    x = draw.normal(size=(16, 3)).astype("float32")
    y = (x @ [[1.0], [-2.0], [0.5]] + draw.normal(size=(16, 1))).astype("float32")
    regulariser = keras.regularizers.L2(0.75 * l2) if l2 else None
    layer = AddsLoss(1, use_bias=False, kernel_regularizer=regulariser)
    model = keras.Sequential([keras.Input((3,)), layer])
    model.set_weights([draw.normal(size=(3, 1))])
    optimizer = keras.optimizers.SGD(RATE)
    optimizer.build(model.trainable_variables)
    model(x[:2])
    model.set_weights([draw.normal(size=(3, 1))])  # now losses from before the call are stale
    return model, optimizer, x, y


def _one_step(answer: Any, l2: float) -> None:
    model, optimizer, x, y = _model(l2, f"step {l2}")
    before = model.get_weights()[0].astype(float)
    result = _pair(call(answer, model, optimizer, x, y))
    _compare_update(before, model.get_weights()[0], x, y, l2)
    _compare_losses(result, float(np.mean((x @ before - y) ** 2)), l2 * np.sum(before**2))


def _pair(result: Any) -> tuple[float, float]:
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise Wrong(f"Expected two numbers, data loss and penalty, got {describe(result)}.")
    return number(result[0], "Your data loss"), number(result[1], "Your penalty")


def _compare_update(
    before: np.ndarray, after: np.ndarray, x: np.ndarray, y: np.ndarray, l2: float
) -> None:
    data = 2 * x.T @ (x @ before - y) / len(x)

    def moved(penalties: float, steps: float = 1.0, share: float = 1.0) -> bool:
        want = before - steps * RATE * (share * data + penalties * 2 * l2 * before)
        return close_each([after.astype(float)], [want], 1e-4)[0]

    if moved(1.0):
        return
    for reason, wrong in (
        ("No weight has moved: the gradients were never applied.", (0.0, 0.0)),
        ("The weights move as if there were no penalty: `model.losses` is not in the loss whose "
         "gradient you take.", (0.0,)),
        (_PARTLY, (0.25,)),
        (_PARTLY, (0.75,)),
        ("The penalties are added twice.", (2.0,)),
        ("The penalties are subtracted: the weights are driven away from 0.", (-1.0,)),
        ("Only the penalty is minimised; the data loss is missing.", (1.0, 1.0, 0.0)),
        ("The update is applied twice.", (1.0, 2.0)),
        ("The weights move uphill: the optimizer subtracts the gradient by itself.", (1.0, -1.0)),
    ):  # fmt: skip
        if moved(*wrong):
            raise Wrong(reason)
    raise Wrong(
        "The weights after the step are not those of gradient descent on the mean squared error "
        "plus all penalties. (Are the penalties read after the call of the model, inside the tape?)"
    )


def _compare_losses(got: tuple[float, float], data: float, penalty: float) -> None:
    first, second = (
        close_each([g], [w], 1e-4)[0] for g, w in zip(got, (data, penalty), strict=True)
    )
    if close_each([got[0]], [data + penalty], 1e-4)[0] and penalty:
        raise Wrong("Your first number holds the penalty; return the data loss by itself.")
    if close_each([got[::-1]], [(data, penalty)], 1e-4)[0] and not first:
        raise Wrong("The two are in the wrong order: first the data loss, then the penalty.")
    if not first:
        raise Wrong(
            "The first number is not the mean squared error of the batch before the update."
        )
    if close_each([got[1]], [data + penalty], 1e-4)[0] and penalty:
        raise Wrong("Your second number is the whole loss; return the penalty by itself.")
    if not second:
        raise Wrong("The second number is not the sum of the penalties before the update.")


def _compiled(answer: Any) -> None:
    model, optimizer, x, y = _model(0.2, "compiled step")
    before = model.get_weights()[0].astype(float)
    _pair(call_in_graph(lambda x, y: answer(model, optimizer, x, y), x, y))
    _compare_update(before, model.get_weights()[0], x, y, 0.2)
