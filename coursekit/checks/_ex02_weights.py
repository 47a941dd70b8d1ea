"""Exercise 02: starting weights, judged by the numbers that are drawn."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from coursekit.checks.engine.verdict import Wrong
from coursekit.checks.kit.calling import call
from coursekit.checks.kit.compare import rng
from coursekit.checks.kit.values import describe

NAMES = {
    "glorot_normal": (1.0, "fan_avg", "normal"),
    "glorot_uniform": (1.0, "fan_avg", "uniform"),
    "he_normal": (2.0, "fan_in", "normal"),
    "he_uniform": (2.0, "fan_in", "uniform"),
    "lecun_normal": (1.0, "fan_in", "normal"),
    "lecun_uniform": (1.0, "fan_in", "uniform"),
}
_MODES = ("fan_in", "fan_out", "fan_avg")
_SHAPES = ((300, 900), (600, 200))  # all three fans differ
_OWN_SHAPE = "the spread of your weights follows"


class Measured(NamedTuple):
    """What kernels of two shapes tell: scale for each reading of the fan, and the shape's name."""

    scales: dict[str, float]
    distribution: str

    def is_(self, scale: float, mode: str) -> bool:
        """Return whether the variance is scale / fan, within the luck of the draw."""
        return abs(self.scales.get(mode, np.nan) / scale - 1) < 0.03


def fan(shape: tuple[int, int], mode: str) -> float:
    """Return fan_in, fan_out or fan_avg of a dense kernel."""
    return {"fan_in": shape[0], "fan_out": shape[1], "fan_avg": sum(shape) / 2}[mode]


def measure(kernels: list[np.ndarray]) -> Measured:
    """Return scale and mode that both kernels agree on, and the distribution."""
    scales = {}
    for mode in _MODES:
        each = [kernel.var() * fan(kernel.shape, mode) for kernel in kernels]
        if abs(each[0] / each[1] - 1) < 0.05:
            scales[mode] = float(np.mean(each))
    reach = float(np.mean([np.abs(kernel).max() / kernel.std() for kernel in kernels]))
    distribution = "uniform" if reach < 1.8 else "normal" if reach < 2.5 else "uncut normal"
    return Measured(scales, distribution)


def require(measured: Measured, scale: float, mode: str, distribution: str, what: str) -> None:
    """Raise Wrong, with the likely mistake, unless the weights are drawn as asked."""
    if not measured.scales:
        raise Wrong(
            f"{what}: the variance of your weights is not a constant divided by fan_in, fan_out or "
            "fan_avg. Does it depend on the shape of the kernel at all?"
        )
    if mode not in measured.scales:
        follows = next(iter(measured.scales))
        raise Wrong(f"{what}: {_OWN_SHAPE} {follows}. That is not the fan of this one.")
    if not measured.is_(scale, mode):
        small = measured.scales[mode] < scale
        raise Wrong(
            f"{what}: the fan is right, but the weights are too {'narrow' if small else 'wide'}. "
            "Which scale belongs to it?"
        )
    if measured.distribution != distribution:
        wanted = {"uniform": "a uniform", "normal": "a normal"}[distribution]
        got = {
            "uniform": "uniform ones",
            "normal": "normal ones",
            "uncut normal": "normal ones with long tails. Keras' own cuts the bell off",
        }[measured.distribution]
        raise Wrong(f"{what}: {wanted} distribution is asked for; your weights are {got}.")


def check_named(answer: Any) -> None:
    """The six initialisers, told apart by kernels of two shapes."""
    from coursekit.base.keras import keras

    general = keras.initializers.VarianceScaling
    for name, (scale, mode, distribution) in NAMES.items():
        made = call(answer, name)
        if isinstance(made, type) and issubclass(made, general):
            raise Wrong(f"`{name}`: return an object, not the class: call it with its parameters.")
        if not isinstance(made, general):
            raise Wrong(f"`{name}`: expected a VarianceScaling object, got {describe(made)}.")
        if type(made) is not general and type(made).__module__.startswith("keras."):
            raise Wrong(
                f"`{name}`: this is Keras' ready-made {type(made).__name__}. Write it as "
                "`VarianceScaling(...)` with its parameters."
            )
        kernels = [np.asarray(made(shape)) for shape in _SHAPES]
        require(measure(kernels), scale, mode, distribution, f"`{name}`")
        if np.array_equal(np.asarray(call(answer, name)(_SHAPES[0])), kernels[0]):
            raise Wrong(
                f"Two initialisers made with `{name}` draw the same numbers: two layers of one "
                "shape would start as copies. Make a new object at each call, and set no seed."
            )


def check_he_avg_dense(answer: Any) -> None:
    """A dense ReLU layer with He's variance on fan_avg, uniform."""
    kernels = []
    for inputs, units in _SHAPES:
        kernels.append(_kernel_of(answer, units, inputs))
    measured, what = measure(kernels), "Your layer"
    if measured.is_(1, "fan_avg") and measured.distribution == "uniform":
        raise Wrong(
            "These are Glorot uniform weights, the default of Keras. He's variance is larger."
        )
    if measured.is_(2, "fan_in"):
        raise Wrong("This is He's variance with fan_in; the task wants fan_avg in its place.")
    require(measured, 2.0, "fan_avg", "uniform", what)
    if np.array_equal(_kernel_of(answer, *_SHAPES[1][::-1]), kernels[1]):
        raise Wrong(
            "Two of your layers start with the same weights. Make a new initialiser for each "
            "layer, and set no seed."
        )


def _kernel_of(answer: Any, units: int, inputs: int) -> np.ndarray:
    from coursekit.base.keras import keras

    layer = call(answer, units)
    if not isinstance(layer, keras.layers.Layer):
        raise Wrong(f"Expected a Keras layer, got {describe(layer)}.")
    if layer.built and layer.weights:
        raise Wrong("Your layer has weights already: it is the net that tells it how many inputs.")
    x = rng("he_avg_dense").normal(size=(20, inputs)).astype("float32")
    got = np.asarray(layer(x))
    matrices = [np.asarray(w) for w in layer.weights if len(w.shape) == 2]
    biases = [np.asarray(w) for w in layer.weights if len(w.shape) == 1]
    if len(matrices) != 1 or matrices[0].shape != (inputs, units):
        raise Wrong(f"Expected one dense kernel for {inputs} inputs and {units} units.")
    if any(bias.any() for bias in biases):
        raise Wrong("The biases of your layer do not start at 0.")
    sums = x @ matrices[0]
    if np.allclose(got, sums, atol=1e-3):
        raise Wrong("Your layer gives the sums themselves: there is no activation.")
    if not np.allclose(got, np.maximum(sums, 0), atol=1e-3):
        raise Wrong("The outputs of your layer are not ReLU of the sums.")
    return matrices[0]
