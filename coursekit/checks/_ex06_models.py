"""Exercise 06: copies, frozen layers, a new output and moved weights, told from what models do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.models import (
    AsFound,
    give_weights,
    in_both,
    require_model,
    with_weights,
)
from coursekit.checks.kit.values import describe

CLASSES = 5
Answer = Callable[..., Any]


def _net(units: tuple[int, ...], frozen: Iterable[int], *, norm: bool = False) -> Any:
    """Return a net; of its layers with weights those in `frozen` come frozen."""
    from coursekit.base.keras import keras

    layers = keras.layers
    model = keras.Sequential([keras.Input((2, 3)), layers.Flatten(name="flat")])
    for name, n in zip(("first", "second", "third"), units, strict=False):
        model.add(layers.Dense(n, "tanh", name=name))
        if norm:
            model.add(layers.BatchNormalization(name=f"{name}_norm", momentum=1.0))
        model.add(layers.Dropout(0.1, name=f"{name}_drop"))
    model.add(layers.Dense(CLASSES, "softmax", name="output"))
    for i in frozen:
        with_weights(model)[i].trainable = False
    return give_weights(model, f"net {units}")


def _samples() -> np.ndarray:
    return rng("transfer").normal(size=(9, 2, 3)).astype("float32")


def _made(answer: Any, model: Any, number: int, n_layers: int) -> Any:
    """Return what an answer makes of this model, which must stay as it is.

    The first `n_layers` layers must be of the same classes and have the same weights.
    """
    from coursekit.base.keras import keras

    found = AsFound(model)
    new = call(answer, model, number)
    require_model(new)
    if new is model:
        raise Wrong("You return the model you were given; return another one.")
    found.require_same()
    own = [layer for layer in new.layers if not isinstance(layer, keras.layers.InputLayer)]
    for old, layer in zip(model.layers[:n_layers], [*own, *[None] * n_layers], strict=False):
        if type(layer) is not type(old):
            raise Wrong(f"Layer `{old.name}` of the original is missing, or not in its place.")
        for theirs, mine in zip(old.weights, layer.weights, strict=False):
            if not np.array_equal(theirs, mine):
                raise Wrong(f"`{old.name}/{theirs.name}` does not have the numbers that it has in "
                            "the original.")  # fmt: skip
    if not new.built:
        raise Wrong("Your model is not built yet: let it start with a `keras.Input`.")
    return new


def _flags(model: Any, names: Iterable[str]) -> dict[str, bool]:
    flags = [bool(layer.trainable and model.trainable) for layer in with_weights(model)]
    return dict(zip(names, flags, strict=False))


def look_at_copy(answer: Any) -> dict[str, Any]:
    """The predictions of the copy, and its flags by the names of the layers."""
    from coursekit.base.keras import keras

    seen: dict[str, Any] = {}
    for units, norm, n_frozen, frozen in (
        ((7, 6, 4), False, 3, (0,)), ((5,), False, 0, (1,)), ((6, 4), True, 2, (0, 3)),
    ):  # fmt: skip
        model = _net(units, frozen, norm=norm)
        copy = _made(answer, model, n_frozen, len(model.layers))
        if in_both(copy.weights, model.weights):
            raise Wrong("Your copy shares layers with the original: training the one would change "
                        "the other.")  # fmt: skip
        if not isinstance(copy, keras.Sequential) or len(copy.layers) != len(model.layers):
            raise Wrong("Your copy has other layers than the original: more of them, or no "
                        "Sequential model around them.")  # fmt: skip
        seen[f"the predictions with n_frozen={n_frozen}"] = np.array(copy(_samples()))
        names = [layer.name for layer in with_weights(model)]
        seen[f"`trainable` with n_frozen={n_frozen}"] = _flags(copy, names)
    return seen


def copying(rule: Callable[[int, int, int], bool | None], *, every: bool = False) -> Answer:
    """Return an answer that copies; `rule(i, n_frozen, number of layers)` is the flag of layer i.

    None leaves a flag as it comes. With `every` the layers without weights count too.
    """

    def copy_and_freeze(model: Any, n_frozen: int = 0) -> Any:
        from coursekit.base.keras import keras

        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        layers = copy.layers if every else with_weights(copy)
        for i, layer in enumerate(layers):
            flag = rule(i, n_frozen, len(layers))
            layer.trainable = layer.trainable if flag is None else flag
        return copy

    return copy_and_freeze


def look_at_output(answer: Any) -> dict[str, Any]:
    """Probabilities from given weights of the new output layer, and the flags."""
    seen: dict[str, Any] = {}
    for units, norm, n, frozen in (
        ((7, 6, 4), False, 2, (0, 1, 2)), ((6, 4), False, CLASSES, (1, 2)), ((5,), True, 9, (0,)),
    ):  # fmt: skip
        model, x = _net(units, frozen, norm=norm), _samples()
        new = _made(answer, model, n, len(model.layers) - 1)
        if new.output_shape != (None, n):
            raise Wrong(f"For n_classes={n} your model gives outputs of shape {new.output_shape}.")
        layers, old = with_weights(new), with_weights(model)
        if len(layers) != len(old):
            raise Wrong(f"{len(layers)} of your layers have weights, in the original "
                        f"{len(old)}: one new output layer takes the old one's place.")  # fmt: skip
        if len(layers[-1].weights) != 2:
            raise Wrong("Your new output layer has no bias; leave it in.")
        if n == CLASSES and np.array_equal(layers[-1].weights[0], old[-1].weights[0]):
            raise Wrong("The output layer is the old one; B needs new weights there.")
        give_weights(layers[-1], f"output {n}")
        seen[f"the outputs for n_classes={n}"] = np.array(new(x))
        names = [*(layer.name for layer in old[:-1]), "the new output layer"]
        seen[f"`trainable` for n_classes={n}"] = _flags(new, names)
    return seen


def with_output(
    activation: str | None = "softmax",
    *,
    prepare: Answer = lambda model: model,
    learns: bool = True,
) -> Answer:
    """Return an answer with this output on top of `prepare(model)`."""

    def new_output(model: Any, n_classes: int) -> Any:
        from coursekit.base.keras import keras

        hidden, output = prepare(model).layers[:-1], keras.layers.Dense(n_classes, activation)
        new = keras.Sequential([keras.Input(model.input_shape[1:]), *hidden, output])
        output.trainable = learns
        return new

    return new_output


def _nudge(*paths: str, by: float = 0.5, place: int | None = 0) -> Answer:
    """Return an action that adds to one number of each of these weights; None: to the largest."""

    def change(model: Any) -> None:
        for weight in model.weights:
            if weight.path.endswith(paths):
                value = weight.numpy().copy()
                i = np.abs(value).argmax() if place is None else place
                value.flat[i] += by * max(1.0, abs(value.flat[i]))
                weight.assign(value)

    return change


def _swap(model: Any) -> None:
    """Swap two columns: sums and norms stay as they are."""
    kernel, bias = model.get_layer("second").get_weights()
    model.get_layer("second").set_weights([kernel[:, [1, 0, 2, 3]], bias])


_MOVES: dict[str, Answer] = {
    "when two layers move": _nudge("first/kernel", "output/kernel", "output/bias"),
    "when nothing moves": lambda model: None,
    "when only a bias moves": _nudge("second/bias", place=-1),
    "when one number falls": _nudge("output/kernel", by=-0.5, place=-1),
    "after a tiny change": _nudge("second/kernel", by=3e-7, place=None),
    "when two columns change places": _swap,
    "when only a moving average moves": _nudge("first_norm/moving_mean"),
    "when a dropout layer draws": lambda model: model(_samples(), training=True),
}


def look_at_moved(answer: Any) -> dict[str, Any]:
    """For each move which layers are on the list."""
    model, seen = _net((7, 4), (0,), norm=True), {}
    for when, change in _MOVES.items():
        calls: list[int] = []

        def action(change: Answer = change, calls: list[int] = calls) -> None:
            calls.append(1)
            change(model)

        found = call(answer, model, action)
        if len(calls) != 1:
            raise Wrong(f"Your function calls `action()` {len(calls)} times; once is wanted.")
        if isinstance(found, str) or not isinstance(found, (list, tuple, set)):
            raise Wrong(f"Expected a list of layer names, got {describe(found)}.")
        names = [layer.name for layer in model.layers]
        for name in found:
            if not isinstance(name, str) or name not in names:
                what = repr(name) if isinstance(name, str) else describe(name)
                raise Wrong(f"Your list holds {what}, which is not the name of a layer.")
        if len(found) > len(set(found)):
            raise Wrong("A layer is named more than once: name it once, however much moved.")
        seen[when] = {name: "listed" if name in found else "not listed" for name in names}
    return seen


def moved(
    values: Answer = lambda layer: layer.get_weights(), same: Answer = np.array_equal,
    *, stayed: bool = False,
) -> Answer:  # fmt: skip
    """Return an answer that compares these values of a layer, before and after, by `same`."""

    def moved_layers(model: Any, action: Answer) -> list[str]:
        before = [values(layer) for layer in model.layers]
        action()
        return [layer.name for layer, old in zip(model.layers, before, strict=True)
                if all(map(same, values(layer), old)) == stayed]  # fmt: skip

    return moved_layers
