"""The ten functions that lesson 08 shows take the steps of Keras, each with Keras' defaults."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from coursekit.base.environment import ROOT
from coursekit.base.keras import keras

NAMES = (
    "gradient_descent", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamax",
    "nadam", "adamw",
)  # fmt: skip
SGD = keras.optimizers.SGD
TWINS = {  # name -> Keras' optimizer, and {our name of a constant: (Keras' name, default)}
    "gradient_descent": (SGD, {}),
    "momentum": (SGD, {"beta": ("momentum", 0.9)}),
    "nesterov": (
        lambda *rate, **more: SGD(*rate, nesterov=True, **more),
        {"beta": ("momentum", 0.9)},
    ),
    "adagrad": (keras.optimizers.Adagrad, {}),
    "rmsprop": (keras.optimizers.RMSprop, {"rho": ("rho", 0.9)}),
    "adadelta": (keras.optimizers.Adadelta, {"rho": ("rho", 0.95)}),
    "adam": (keras.optimizers.Adam, {}),
    "adamax": (keras.optimizers.Adamax, {}),
    "nadam": (keras.optimizers.Nadam, {}),
    "adamw": (keras.optimizers.AdamW, {"weight_decay": ("weight_decay", 0.004)}),
}
for family in ("adam", "adamax", "nadam", "adamw"):
    TWINS[family][1].update(beta_1=("beta_1", 0.9), beta_2=("beta_2", 0.999))


def shown():
    """Return the functions as the lesson's cells define them, by name."""
    text = (ROOT / "sources" / "notebooks" / "08_optimizers.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    tree.body = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in NAMES]
    assert sorted(n.name for n in tree.body) == sorted(NAMES)
    found = {"np": np}
    exec(compile(tree, "lesson 08", "exec"), found)
    return {name: found[name] for name in NAMES}


LESSON = shown()


@pytest.fixture
def precision():
    """Set Keras' float type; the one before comes back."""
    before = keras.config.floatx()
    yield keras.config.set_floatx
    keras.config.set_floatx(before)


def largest_difference(ours, theirs, **settings):
    """Walk both for 50 steps down the same noisy bowls; step 20 has a gradient of zero.

    Return how far apart they end, and how far they went.
    """
    rng = np.random.default_rng(8)
    theta, curvature = rng.normal(size=30), rng.uniform(0.1, 3, size=30)
    variable, slots, start = keras.Variable(theta), {}, theta
    for t in range(1, 51):
        g = (curvature * theta + rng.normal(0, 0.3, size=30)) * (t != 20)
        theirs.apply([keras.ops.convert_to_tensor(g, variable.dtype)], [variable])
        theta = ours(theta, g, slots, t, **settings)
    apart = np.abs(theta - keras.ops.convert_to_numpy(variable)).max()
    return apart, np.abs(theta - start).max()


@pytest.mark.parametrize("name", NAMES)
def test_fifty_steps_are_those_of_keras(name, precision):
    precision("float64")
    kind, constants = TWINS[name]
    # Keras rounds β and the like to float32 even in float64: both get the rounded ones.
    ours = {key: float(np.float32(value)) for key, (_, value) in constants.items()}
    theirs = {constants[key][0]: value for key, value in ours.items()}
    apart, went = largest_difference(LESSON[name], kind(0.0625, **theirs), eta=0.0625, **ours)
    # Nadam's 0.96 cannot be given rounded.
    assert apart < (1e-6 if name == "nadam" else 1e-9)
    assert went > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_fifty_steps_are_those_of_keras_as_it_is_used(name, precision):
    precision("float32")
    kind, constants = TWINS[name]
    theirs = kind(0.01, **dict(constants.values()))
    assert largest_difference(LESSON[name], theirs, eta=0.01)[0] < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults_are_those_of_keras(name, precision):
    precision("float64")
    kind, _ = TWINS[name]
    more = {"momentum": 0.9} if name in ("momentum", "nesterov") else {}
    apart, went = largest_difference(LESSON[name], kind(**more))
    assert apart < 1e-4 * went


def test_nadam_is_not_adadelta_with_nesterov():
    def adadelta_with_nesterov(theta, g, slots, t, eta, beta=0.9):
        inner = slots.setdefault("inner", {})
        step = -LESSON["adadelta"](np.zeros_like(theta), g, inner, t, eta=1)
        return LESSON["nesterov"](theta, step, slots, t, eta=eta, beta=beta)

    nadam, _ = largest_difference(LESSON["nadam"], keras.optimizers.Nadam(0.01), eta=0.01)
    for rate in (0.01, 1):
        theirs = keras.optimizers.Nadam(0.01)
        other, _ = largest_difference(adadelta_with_nesterov, theirs, eta=rate)
        assert other > 1e4 * nadam


@pytest.mark.parametrize("name", NAMES)
def test_they_take_arrays_of_any_shape_and_keep_float32(name):
    theta, slots = np.ones((2, 3, 4), "float32"), {}
    eta = np.array([0.1, 0.2], "float32")[:, None, None]
    for t in (1, 2):
        theta = LESSON[name](theta, np.ones_like(theta), slots, t, eta=eta)
    assert theta.shape == (2, 3, 4)
    assert theta.dtype == np.float32
    assert (theta < 1).all()
