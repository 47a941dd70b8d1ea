"""Exercise 02: starting weights, judged by the numbers that are drawn, never by settings."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import describe

Shape = tuple[int, int]
SHAPES: tuple[Shape, Shape] = ((300, 900), (600, 200))  # all three fans differ
FAMILIES = {
    "Glorot": (1, "fan_avg"), "He": (2, "fan_in"), "LeCun": (1, "fan_in"),
    "He on fan_out": (2, "fan_out"), "He on fan_avg": (2, "fan_avg"),
}  # fmt: skip


def fan(shape: Shape, mode: str) -> float:
    """Return fan_in, fan_out or fan_avg of a dense kernel."""
    return {"fan_in": shape[0], "fan_out": shape[1], "fan_avg": sum(shape) / 2}[mode]


def require_variance(kernels: list[np.ndarray], family: str, what: str) -> None:
    """Raise Wrong, with the likely mistake, unless all kernels have the variance of a family."""

    def ratios(scale: float, mode: str) -> list[float]:
        return [kernel.var() * fan(kernel.shape, mode) / scale for kernel in kernels]

    def fits(values: list[float]) -> bool:
        return max(abs(value - 1) for value in values) < 0.08

    if fits(ratios(*FAMILIES[family])):
        return
    for name, settings in FAMILIES.items():
        if fits(ratios(*settings)):
            raise Wrong(
                f"{what}: your weights have the variance of {name}. Which scale and "
                "which fan belong here?"
            )
    scale, mode = FAMILIES[family]
    for each in (mode, "fan_in", "fan_out", "fan_avg"):
        got = ratios(scale, each)
        if fits([value / got[0] for value in got]):
            if each != mode:
                raise Wrong(f"{what}: the variance follows {each}; that is not the fan here.")
            size = "narrow" if got[0] < 1 else "wide"
            raise Wrong(f"{what}: the weights are too {size}. Which scale belongs here?")
    raise Wrong(
        f"{what}: the variance of your weights is not a constant divided by fan_in, fan_out or "
        "fan_avg. Does it depend on the shape of the kernel at all?"
    )


def require_distribution(kernels: list[np.ndarray], wanted: str, what: str) -> None:
    """Raise Wrong unless the kernels are "uniform" or "normal", cut off at two stds."""
    reach = np.mean([np.abs(kernel).max() / kernel.std() for kernel in kernels])
    got = "uniform" if reach < 1.8 else "normal" if reach < 2.5 else "normal with long tails"
    if got != wanted:
        cut = " Keras' own cuts the bell off." if "tails" in got else ""
        raise Wrong(f"{what}: a {wanted} distribution is asked for; your weights are {got}.{cut}")


def check_named(answer: Any) -> None:
    """The six initialisers, told apart by kernels of two shapes."""
    from coursekit.base.keras import keras

    general = keras.initializers.VarianceScaling
    for family, kind in product(("Glorot", "He", "LeCun"), ("normal", "uniform")):
        name = f"{family.lower()}_{kind}"
        made, again = call(answer, name), call(answer, name)
        if isinstance(made, type) and issubclass(made, general):
            raise Wrong(f"`{name}`: return an object, not the class: call it with its parameters.")
        if not isinstance(made, general):
            raise Wrong(f"`{name}`: expected a VarianceScaling object, got {describe(made)}.")
        if type(made) is not general and type(made).__module__.startswith("keras."):
            raise Wrong(
                f"`{name}`: this is Keras' ready-made {type(made).__name__}. Write it as "
                "`VarianceScaling(...)` with its parameters."
            )
        kernels = [np.asarray(made(shape)) for shape in SHAPES]
        require_variance(kernels, family, f"`{name}`")
        require_distribution(kernels, kind, f"`{name}`")
        if np.array_equal(np.asarray(again(SHAPES[0])), kernels[0]):
            raise Wrong(
                f"Two initialisers made with `{name}` draw the same numbers: two layers of one "
                "shape would start as copies. Make a new object at each call, and set no seed."
            )


def named(change: Callable = lambda *settings: settings) -> Callable:
    """Return an answer to `named_initializer`; `change` makes a mistake of the three settings."""
    settings = {family.lower(): FAMILIES[family] for family in ("Glorot", "He", "LeCun")}

    def named_initializer(name: str) -> Any:
        from coursekit.base.keras import keras

        family, kind = name.split("_")
        kind = "truncated_normal" if kind == "normal" else kind
        return keras.initializers.VarianceScaling(*change(*settings[family], kind))

    return named_initializer


def check_he_avg_dense(answer: Any) -> None:
    """A dense ReLU layer with He's variance on fan_avg, uniform."""
    shapes = (*SHAPES, SHAPES[1])
    layers = [call(answer, units) for _, units in shapes]
    if len(set(map(id, layers))) < 3:
        raise Wrong("You hand out one layer object twice; make a new layer at each call.")
    kernels = [_kernel_of(layer, *shape) for layer, shape in zip(layers, shapes, strict=True)]
    require_variance(kernels[:2], "He on fan_avg", "Your layer")
    require_distribution(kernels[:2], "uniform", "Your layer")
    if np.array_equal(kernels[1], kernels[2]):
        raise Wrong(
            "Two of your layers start with the same weights. Make a new initialiser for each "
            "layer, and set no seed."
        )


def layered(mode: str = "fan_avg", kind: str = "uniform", activation: Any = "relu") -> Callable:
    """Return an answer to `he_avg_dense`."""

    def he_avg_dense(units: int) -> Any:
        from coursekit.base.keras import keras

        start = keras.initializers.VarianceScaling(2, mode, kind)
        return keras.layers.Dense(units, activation, kernel_initializer=start)

    return he_avg_dense


def _kernel_of(layer: Any, inputs: int, units: int) -> np.ndarray:
    from coursekit.base.keras import keras

    if not isinstance(layer, keras.layers.Layer):
        raise Wrong(f"Expected a Keras layer, got {describe(layer)}.")
    if layer.built and layer.weights:
        raise Wrong("Your layer has weights already: it is the net that tells it how many inputs.")
    x = rng("he_avg_dense").normal(size=(20, inputs)).astype("float32")
    got = np.asarray(layer(x))
    kernel, *biases = [np.asarray(weight) for weight in layer.weights] or [np.zeros(0)]
    if kernel.shape != (inputs, units) or len(biases) > 1:
        raise Wrong(f"Expected one dense kernel for {inputs} inputs and {units} units, and biases.")
    if not biases or biases[0].any():
        raise Wrong(f"The biases of your layer {'do not start at 0' if biases else 'are gone'}.")
    sums = x @ kernel
    if np.allclose(got, sums, atol=1e-3):
        raise Wrong("Your layer gives the pre-activations themselves: there is no activation.")
    if not np.allclose(got, np.maximum(sums, 0), atol=1e-3):
        raise Wrong("The outputs of your layer are not ReLU of the pre-activations.")
    return kernel


def different_units(kernel: np.ndarray) -> int:
    """Return how many columns differ from all before them by more than 1e-5 somewhere."""
    kept = kernel[:, :0]
    for column in kernel.T[:, :, None]:
        if not (np.abs(kept - column).max(axis=0) <= 1e-5).any():
            kept = np.hstack([kept, column])
    return kept.shape[1]


def check_repair(answer: Any) -> None:
    """Kernels random with the right spread in every layer, biases 0, in the model itself."""
    for sizes, shape, kernel, bias in (
        ((280, 160, 160, 160, 90), (20, 10), None, 0.1),
        ((300, 150), (240,), 2.0, 0.0),
    ):
        model = _twins(sizes, shape, kernel, bias)
        before = model.get_weights()
        call(answer, model, may_return_none=True)
        dense, after = model.layers[1:], model.get_weights()
        if len(dense) != len(sizes):
            raise Wrong("The model has other layers than before; only its weights may change.")
        if all(map(np.array_equal, after, before)):
            raise Wrong(
                "The model's weights are as they were. Change those of the model you are given; a "
                "new model, or a kernel taken out with `get_weights`, is a copy."
            )
        kernels = after[::2]
        for i, each in enumerate(kernels, 1):
            _require_random(each, f"In layer {i} of {len(dense)} dense layers")
        for i, each in enumerate(kernels):
            if any(np.array_equal(each, other) for other in kernels[:i]):
                raise Wrong(
                    "Two layers of one shape have got the same weights. One initialiser object "
                    "gives the same numbers at every call: make a new one for each layer, and if "
                    "you set a seed, another one each time."
                )
        for i, each in enumerate(kernels[:-1], 1):
            require_variance([each], "He", f"ReLU layer {i}")
        require_variance(kernels[-1:], "Glorot", "Output layer, before the softmax")
        if any(np.any(each) for each in after[1::2]):
            raise Wrong("After your repair some biases are not 0; they must be.")


def repairing(output: str = "glorot_uniform", bias: float = 0.0) -> Callable:
    """Return an answer to `repair`."""

    def repair(model: Any) -> None:
        from coursekit.base.keras import keras

        dense = [layer for layer in model.layers if layer.weights]
        for layer in dense:
            start = keras.initializers.get(output if layer is dense[-1] else "he_uniform")
            layer.set_weights([start(layer.kernel.shape), np.full(layer.units, bias)])

    return repair


def _twins(sizes: tuple[int, ...], shape: Any, kernel: float | None, bias: float) -> Any:
    """Return a compiled ReLU net in which all weights of a layer are equal; softmax at the end."""
    from coursekit.base.keras import keras

    layers = [keras.layers.Dense(units, activation="relu") for units in sizes[:-1]]
    model = keras.Sequential(
        [keras.Input(shape), keras.layers.Flatten(), *layers,
         keras.layers.Dense(sizes[-1], activation="softmax")]
    )  # fmt: skip
    model.compile("sgd", loss="sparse_categorical_crossentropy")
    for layer in model.layers[1:]:
        size = layer.kernel.shape
        layer.set_weights([np.full(size, kernel or 1 / size[0]), np.full(size[1], bias)])
    return model


def _require_random(kernel: np.ndarray, where: str) -> None:
    n = different_units(kernel)
    if n == 1:
        raise Wrong(f"{where} all units are still twins.")
    if np.ptp(kernel, axis=0).max() <= 1e-5:
        raise Wrong(f"{where} all weights of a unit are equal, so units differ in size only.")
    if n < kernel.shape[1]:
        raise Wrong(f"{where} some units are still twins.")
    if abs(kernel.mean()) > 0.05 * kernel.std():
        raise Wrong(f"{where} the mean of the weights is not 0.")
