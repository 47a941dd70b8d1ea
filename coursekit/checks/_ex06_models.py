"""Exercise 06: copies, frozen layers, a new output and moved weights, told from what models do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import describe

N_INPUTS, N_CLASSES = 6, 5


def build(name: str, *, batch_norm: bool = False) -> tuple[Any, np.ndarray]:
    """Return a net with layers that have no weights in between, and samples for it."""
    from coursekit.base.keras import keras

    layers = keras.layers
    middle = [layers.BatchNormalization(name="norm")] if batch_norm else []
    model = keras.Sequential([
        keras.Input((2, 3)),
        layers.Flatten(name="flat"),
        layers.Dense(7, name="first"), layers.ReLU(name="relu"), *middle,
        layers.Dense(6, "tanh", name="second"), layers.Dropout(0.1, name="drop"),
        layers.Dense(4, "tanh", name="third"),
        layers.Dense(N_CLASSES, "softmax", name="output"),
    ])  # fmt: skip
    draw = rng(name)
    for weight in model.weights:
        weight.assign(draw.uniform(0.3, 0.9, weight.shape) * draw.choice([-1, 1], weight.shape))
        if "variance" in weight.path:
            weight.assign(np.abs(weight.numpy()))
    return model, draw.normal(size=(9, 2, 3)).astype("float32")


def with_weights(model: Any) -> list[Any]:
    """The layers that count."""
    return [layer for layer in model.layers if layer.weights]


class Kept:
    """What a model is like, to see later whether it still is."""

    def __init__(self, model: Any, x: np.ndarray):
        self.model, self.x = model, x
        self.layers = list(model.layers)
        self.predictions = np.array(model(x))
        self.trainable = [layer.trainable for layer in model.layers]
        self.weights = model.get_weights()

    def require_untouched(self) -> None:
        """Wrong if the model has other layers, weights or flags than before."""
        if len(self.model.layers) != len(self.layers):
            raise Wrong(
                "Your function takes a layer off the model it is given; leave that model whole."
            )
        now = self.model.get_weights()
        if not all(np.array_equal(a, b) for a, b in zip(now, self.weights, strict=True)):
            raise Wrong("Your function changes the weights of the model it is given.")
        if [layer.trainable for layer in self.model.layers] != self.trainable:
            raise Wrong(
                "Layers of the original model are frozen or unfrozen by your function: its "
                "`trainable` flags are not what they were."
            )


def require_model(value: Any) -> None:
    """Wrong unless the answer returned a built Keras model."""
    from coursekit.base.keras import keras

    if not isinstance(value, keras.Model):
        raise Wrong(f"Expected a Keras model, got {describe(value)}.")
    if not value.weights:
        raise Wrong("Your model has no weights yet: it must start with an Input.")


def check_copy_and_freeze(answer: Any) -> None:
    """Same predictions, nothing shared, the first n layers with weights frozen."""
    for n_frozen, batch_norm in ((3, False), (0, False), (2, True)):
        model, x = build(f"copy {n_frozen}", batch_norm=batch_norm)
        kept = Kept(model, x)
        copy = call(answer, model, n_frozen)
        require_model(copy)
        if copy is model:
            raise Wrong("You return the model you were given, not a copy of it.")
        if {id(w) for w in copy.weights} & {id(w) for w in model.weights}:
            raise Wrong(
                "Your copy shares layers with the original: training the one would change the "
                "other."
            )
        kept.require_untouched()
        _require_alike(copy, kept)
        _require_frozen(copy, n_frozen)


def _require_alike(copy: Any, kept: Kept) -> None:
    if [w.shape for w in copy.get_weights()] != [w.shape for w in kept.weights]:
        raise Wrong("Your copy has other layers than the original.")
    got = np.array(copy(kept.x))
    if got.shape == kept.predictions.shape and np.allclose(got, kept.predictions, atol=1e-6):
        return
    trained = [v for v in copy.weights if "moving" not in v.path]
    theirs = [v for v in kept.model.weights if "moving" not in v.path]
    if all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(trained, theirs, strict=True)):
        raise Wrong("The moving averages of the batch normalisation are not copied.")
    raise Wrong(
        "Your copy does not predict like the original: it has the structure, but not all of the "
        "weights."
    )


def _require_frozen(copy: Any, n_frozen: int) -> None:
    if not copy.trainable and n_frozen < len(with_weights(copy)):
        raise Wrong("You froze the whole model, so that nothing of it can learn.")
    layers = with_weights(copy)
    flags = [layer.trainable for layer in layers]
    want = [i >= n_frozen for i in range(len(layers))]
    if flags == want:
        return
    says = f"With n_frozen={n_frozen} "
    if flags == [not flag for flag in want]:
        raise Wrong(f"{says}it is the wrong way round: the trainable layers should be frozen.")
    if all(flags):
        raise Wrong(f"{says}no layer that has weights is frozen.")
    if not any(flags):
        raise Wrong(f"{says}all layers are frozen, the last ones too.")
    if flags == want[::-1]:
        raise Wrong(f"{says}the last layers are frozen; the first ones should be.")
    if [layer.trainable for layer in copy.layers] == [
        i >= n_frozen for i in range(len(copy.layers))
    ]:
        raise Wrong(f"{says}you count layers that have no weights, such as Flatten, too.")
    raise Wrong(
        f"{says}{flags.count(False)} layers with weights are frozen, or not the first ones."
    )


def check_new_output(answer: Any) -> None:
    """The hidden layers as they are, and a softmax layer of the right size on top of them."""
    from coursekit.base.keras import keras

    for n_classes in (2, N_CLASSES, 9):
        model, x = build(f"output {n_classes}")
        model.get_layer("first").trainable = False
        kept = Kept(model, x)
        features = np.array(keras.Model(model.inputs[0], model.layers[-2].output)(x))
        old_output = [np.array(w) for w in model.layers[-1].get_weights()]
        new = call(answer, model, n_classes)
        require_model(new)
        kept.require_untouched()
        if new is model:
            raise Wrong("You return the model you were given; return a new one.")
        got = np.array(new(x))
        if got.shape != (len(x), n_classes):
            raise Wrong(
                f"For n_classes={n_classes} and {len(x)} samples your model gives an array of "
                f"shape {got.shape}."
            )
        weights = new.get_weights()
        if len(weights) > len(kept.weights):
            raise Wrong(
                "Your model has more layers with weights than the original. Does the new output "
                "layer sit on top of the old one?"
            )
        if len(weights) < len(kept.weights):
            raise Wrong("A hidden layer is missing from your model.")
        if not all(np.array_equal(a, b) for a, b in zip(weights[:-2], kept.weights, strict=False)):
            raise Wrong("The hidden layers do not have the weights of the original.")
        if n_classes == N_CLASSES and np.array_equal(weights[-2], old_output[0]):
            raise Wrong("The output layer is the old one; B needs new weights there.")
        _require_softmax(got, features @ weights[-2] + weights[-1])
        if [layer.trainable for layer in with_weights(new)] != [False, True, True, True]:
            raise Wrong(
                "The `trainable` flags are not kept: a hidden layer that was frozen must stay so, "
                "the others and the new one must be trainable."
            )


def _require_softmax(got: np.ndarray, logits: np.ndarray) -> None:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    if np.allclose(got, odds / odds.sum(axis=1, keepdims=True), atol=1e-5):
        return
    if np.allclose(got, logits, atol=1e-5):
        raise Wrong("Your output layer gives sums, not probabilities: its activation is missing.")
    if np.allclose(got, 1 / (1 + np.exp(-logits)), atol=1e-5):
        raise Wrong("The outputs are sigmoids, so they do not add up to 1 for each sample.")
    raise Wrong("The output is not the softmax of a linear map of the last hidden layer's output.")


Change = Callable[[Any], None]


def _nudge(*paths: str, size: float = 0.5) -> Change:
    """Return an action that adds to one number of each of these weights."""

    def change(model: Any) -> None:
        for weight in model.weights:
            if any(weight.path.endswith(path) for path in paths):
                value = weight.numpy().copy()
                value.flat[0] += size * max(1.0, abs(value.flat[0]))
                weight.assign(value)

    return change


def _swap(model: Any) -> None:
    """Swap two columns: sums and norms stay as they are."""
    layer = model.get_layer("third")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel[:, [1, 0, 2, 3]], bias])


# what happens, the layers that move, the reason if it is not found
_MOVES: tuple[tuple[Change, tuple[str, ...], str], ...] = (
    (
        _nudge("first/kernel", "output/kernel", "output/bias"),
        ("first", "output"),
        "When two layers have moved, your list does not name just these.",
    ),
    (lambda model: None, (), "When nothing has moved, your list is not empty."),
    (_nudge("second/bias"), ("second",), "When only a bias has moved, its layer is not found."),
    (
        _nudge("third/kernel", size=3e-7),
        ("third",),
        "A tiny change is missed: compare the numbers exactly, without a tolerance.",
    ),
    (_swap, ("third",), "Two swapped numbers are missed: compare each number, not sums or norms."),
    (
        _nudge("norm/moving_mean"),
        ("norm",),
        "Moving averages count too: they are weights that no optimizer trains.",
    ),
)


def check_moved_layers(answer: Any) -> None:
    """Names of the layers with a weight that is another after the action."""
    model, _ = build("moved", batch_norm=True)
    model.get_layer("first").trainable = False
    for i, (change, want, reason) in enumerate(_MOVES):
        calls: list[int] = []

        def action(change: Change = change, calls: list[int] = calls) -> None:
            calls.append(1)
            change(model)

        got = call(answer, model, action)
        if len(calls) != 1:
            raise Wrong(f"Your function calls `action()` {len(calls)} times; once is wanted.")
        names = _names(got, model)
        if sorted(names) == sorted(want):
            continue
        if len(names) > len(set(names)):
            raise Wrong(
                "A layer is named more than once: name it once, however many weights moved."
            )
        if i == 0 and not names:
            raise Wrong(
                "Nothing is found although two layers have moved. Do you keep the numbers "
                "themselves, and take them before the action?"
            )
        raise Wrong(reason)


def _names(value: Any, model: Any) -> list[str]:
    if isinstance(value, str) or not isinstance(value, (list, tuple, set)):
        raise Wrong(f"Expected a list of layer names, got {describe(value)}.")
    layers = {layer.name for layer in model.layers}
    for name in value:
        if not isinstance(name, str):
            raise Wrong(f"Expected the names of layers, but your list holds {describe(name)}.")
        if name not in layers:
            raise Wrong(f"Your list holds {name!r}, which is not the name of a layer.")
    return list(value)
