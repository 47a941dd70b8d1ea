"""Optimizers against Keras over 50 steps in float64, and against the papers' formulas."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from coursekit.base.keras import keras, tf
from coursekit.errors import ArgumentError
from coursekit.scratch import optimizers as opt

ALL = [
    opt.SGD,
    opt.Momentum,
    opt.Nesterov,
    opt.AdaGrad,
    opt.AdaDelta,
    opt.RMSProp,
    opt.Adam,
    opt.AdaMax,
    opt.Nadam,
    opt.AdamW,
]
KERAS = {
    opt.SGD: keras.optimizers.SGD,
    opt.Momentum: lambda lr=0.01, momentum=0.9: keras.optimizers.SGD(lr, momentum),
    opt.Nesterov: lambda lr=0.01, momentum=0.9: keras.optimizers.SGD(lr, momentum, nesterov=True),
    opt.AdaGrad: keras.optimizers.Adagrad,
    opt.AdaDelta: keras.optimizers.Adadelta,
    opt.RMSProp: keras.optimizers.RMSprop,
    opt.Adam: keras.optimizers.Adam,
    opt.AdaMax: keras.optimizers.Adamax,
    opt.Nadam: keras.optimizers.Nadam,
    opt.AdamW: keras.optimizers.AdamW,
}
SETTINGS = {
    opt.SGD: {},
    opt.Momentum: {"momentum": 0.99},
    opt.Nesterov: {"momentum": 0.5},
    opt.AdaGrad: {"initial_accumulator_value": 0.0, "epsilon": 1e-3},
    opt.AdaDelta: {"rho": 0.8, "epsilon": 1e-4},
    opt.RMSProp: {"rho": 0.0, "epsilon": 1e-2},
    opt.Adam: {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-2},
    opt.AdaMax: {"beta_1": 0.0, "beta_2": 0.9, "epsilon": 1e-2},
    opt.Nadam: {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-2},
    opt.AdamW: {"weight_decay": 0.1, "beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-2},
}
SHAPES = {"W": (5, 3), "b": (3,), "kernel": (2, 2, 3, 4), "scalar": ()}


@pytest.fixture
def float64():
    """Keras in float64 throughout: the learning rate and the slots, too."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(before)


def one(value):
    return {"w": np.array(value, dtype=float)}


def largest_difference_after_50_steps(ours, theirs, gradient_scale):
    """Walk both down the same noisy, stretched bowls; step 20 has a gradient of zero."""
    rng = np.random.default_rng(4)
    params = {name: np.array(rng.normal(size=shape)) for name, shape in SHAPES.items()}
    start = {name: value.copy() for name, value in params.items()}
    variables = [keras.Variable(value, dtype="float64") for value in params.values()]
    curvature = {name: rng.uniform(0.1, 3, shape) for name, shape in SHAPES.items()}
    theirs.build(variables)
    apply = tf.function(lambda *grads: theirs.apply(grads, variables))
    for step in range(50):
        scale = gradient_scale * (step != 20)
        noise = {name: rng.normal(0, 0.3, shape) for name, shape in SHAPES.items()}
        grads = {k: scale * (curvature[k] * params[k] + noise[k]) for k in params}
        apply(*[tf.constant(g) for g in grads.values()])
        ours.update(params, grads)
    assert not any(np.array_equal(params[name], start[name]) for name in SHAPES)
    pairs = zip(params.values(), variables, strict=True)
    return max(np.abs(value - np.asarray(variable)).max() for value, variable in pairs)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", ALL)
def test_fifty_steps_equal_keras_with_its_defaults(kind):
    assert largest_difference_after_50_steps(kind(), KERAS[kind](), 1.0) < 1e-5


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("gradient_scale", [1.0, 1e-6])
@pytest.mark.parametrize("kind", ALL)
def test_fifty_steps_equal_keras_in_float64(kind, gradient_scale):
    # Keras rounds β and the like to float32 before it computes in float64: give both the rounded.
    settings = {name: float(np.float32(value)) for name, value in SETTINGS[kind].items()}
    ours, theirs = kind(0.0625, **settings), KERAS[kind](0.0625, **settings)
    tolerance = 1e-6 if kind is opt.Nadam else 1e-9  # Nadam's 0.96 cannot be given rounded
    assert largest_difference_after_50_steps(ours, theirs, gradient_scale) < tolerance


@pytest.mark.parametrize("kind", ALL)
def test_arrays_change_in_place_and_keep_their_dtype(kind):
    params = {"w": np.ones(3, dtype=np.float32), "scalar": np.array(2.0)}
    arrays = dict(params)
    kind(learning_rate=0.1).update(params, {"w": [1.0, -1.0, 0.0], "scalar": 1.0})
    assert params["w"] is arrays["w"]
    assert params["w"].dtype == np.float32
    assert params["w"][0] < 1 < params["w"][1]
    assert arrays["scalar"] < 2


@pytest.mark.parametrize("kind", ALL)
def test_gradients_are_left_alone(kind):
    g = np.array([1.0, -2.0])
    optimizer, params = kind(), one([0.0, 0.0])
    for _ in range(3):
        optimizer.update(params, {"w": g})
    assert g.tolist() == [1.0, -2.0]


@pytest.mark.parametrize("kind", ALL)
def test_zero_gradient_from_the_start_moves_nothing_but_adamws_decay(kind):
    optimizer, params = kind(learning_rate=0.5), one([2.0])
    for _ in range(3):
        optimizer.update(params, one([0.0]))
    expected = 2.0 * (1 - 0.5 * 0.004) ** 3 if kind is opt.AdamW else 2.0
    assert params["w"].item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", ALL)
def test_learning_rate_zero_moves_nothing(kind):
    optimizer, params = kind(learning_rate=0), one([2.0])
    optimizer.update(params, one([3.0]))
    assert params["w"].item() == 2.0


@pytest.mark.parametrize("kind", ALL)
def test_the_learning_rate_can_be_changed_between_steps(kind):
    optimizer, params = kind(learning_rate=0.1), one([2.0])
    optimizer.update(params, one([3.0]))
    optimizer.learning_rate = 0.0
    if kind in (opt.Momentum, opt.Nesterov):
        optimizer.momentum = 0.0
    before = params["w"].copy()
    optimizer.update(params, one([3.0]))
    np.testing.assert_array_equal(params["w"], before)


@pytest.mark.parametrize("kind", ALL)
def test_empty_dicts_are_no_step(kind):
    optimizer = kind()
    optimizer.update({}, {})
    assert optimizer.iterations == 0


def test_velocity_ends_at_the_terminal_velocity():
    optimizer, params = opt.Momentum(learning_rate=0.1, momentum=0.9), one([0.0])
    for _ in range(300):
        optimizer.update(params, one([2.0]))
    assert optimizer.state["w"]["m"].item() == pytest.approx(-0.1 * 2.0 / (1 - 0.9))


def test_nesterov_is_the_papers_rule_seen_from_the_place_ahead():
    def gradient(w):
        return np.array([0.1, 2.0]) * w

    beta, rate = 0.9, 0.1
    theta, m = np.array([-7.0, 2.0]), np.zeros(2)
    params, optimizer = one(theta), opt.Nesterov(learning_rate=rate, momentum=beta)
    for _ in range(50):
        m = beta * m - rate * gradient(theta + beta * m)
        theta = theta + m
        optimizer.update(params, {"w": gradient(params["w"])})
        np.testing.assert_allclose(params["w"], theta + beta * m, atol=1e-12)


def test_adagrads_effective_rate_falls_monotonically():
    optimizer, params = opt.AdaGrad(learning_rate=0.5), one([5.0])
    rates = []
    for g in [3.0, 0.1, 2.0, 0.01, 5.0]:
        before = params["w"].item()
        optimizer.update(params, one([g]))
        rates.append((before - params["w"].item()) / g)
    assert all(later < earlier for earlier, later in pairwise(rates))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_adams_first_step_has_the_size_of_the_learning_rate(scale):
    params = one([1.0, 1.0])
    opt.Adam(learning_rate=0.01).update(params, one([scale, -scale]))
    np.testing.assert_allclose(params["w"], [0.99, 1.01], atol=1e-4)


def test_adams_bias_correction_with_keras_epsilon_differs_from_the_paper_only_there():
    rng = np.random.default_rng(0)
    paper, params, adam = np.array([1.0, -2.0]), one([1.0, -2.0]), opt.Adam(learning_rate=0.01)
    m = v = np.zeros(2)
    for t in range(1, 51):
        g = rng.normal(size=2)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        paper = paper - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)
        adam.update(params, {"w": g})
    np.testing.assert_allclose(params["w"], paper, atol=1e-5)
    assert not np.array_equal(params["w"], paper)


def test_adamw_is_not_l2_in_adam():
    decayed, penalised = one([1.0, 1.0]), one([1.0, 1.0])
    adamw, adam = opt.AdamW(0.01, weight_decay=0.1), opt.Adam(0.01)
    for _ in range(20):
        adamw.update(decayed, one([100.0, 0.1]))
        adam.update(penalised, {"w": np.array([100.0, 0.1]) + 0.1 * penalised["w"]})
    assert np.abs(decayed["w"] - penalised["w"]).max() > 1e-3


@pytest.mark.parametrize("kind", ALL)
def test_the_slots_are_the_memory(kind):
    optimizer, params = kind(), {"W": np.ones((3, 2)), "b": np.ones(2)}
    optimizer.update(params, {"W": np.ones((3, 2)), "b": np.ones(2)})
    n_slots = {opt.SGD: 0, opt.Momentum: 1, opt.Nesterov: 1, opt.AdaGrad: 1, opt.RMSProp: 1}
    assert {len(slots) for slots in optimizer.state.values()} == {n_slots.get(kind, 2)}
    assert all(
        s.shape == params[name].shape for name in params for s in optimizer.state[name].values()
    )


@pytest.mark.parametrize("kind", ALL)
def test_a_bad_learning_rate_is_refused(kind):
    with pytest.raises(
        ArgumentError, match=r"learning_rate: expected a number in \[0, inf\), got -1"
    ):
        kind(learning_rate=-1)
    with pytest.raises(ArgumentError, match="learning_rate: expected a number"):
        kind(learning_rate=float("nan"))
    with pytest.raises(TypeError, match="learning_rate: expected a number"):
        kind(learning_rate="0.1")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: opt.Momentum(momentum=1.5), r"momentum: expected a number in \[0, 1\], got 1.5"),
        (lambda: opt.Adam(beta_1=1), r"beta_1: expected a number in \[0, 1\), got 1"),
        (lambda: opt.AdamW(beta_2=1), "beta_2: expected a number"),
        (lambda: opt.AdamW(weight_decay=-0.1), "weight_decay: expected a number"),
        (lambda: opt.RMSProp(rho=1), "rho: expected a number"),
        (lambda: opt.AdaDelta(epsilon=0), r"epsilon: expected a number in \(0, inf\)"),
        (
            lambda: opt.AdaGrad(initial_accumulator_value=-1),
            "initial_accumulator_value: expected a number",
        ),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("grads", "error", "message"),
    [
        ({"W": np.ones(2)}, ArgumentError, r"params has \['W', 'b'\], grads has \['W'\]"),
        ({"W": np.ones(2), "b": np.ones(1)}, ArgumentError, r"grads\['b'\] has shape \(1,\)"),
        ({"W": np.ones(2), "b": ["x"] * 2}, TypeError, r"grads\['b'\] must be an array"),
    ],
)
def test_a_bad_gradient_is_refused_before_anything_changes(grads, error, message):
    params, optimizer = {"W": np.ones(2), "b": np.ones(2)}, opt.Adam()
    with pytest.raises(error, match=message):
        optimizer.update(params, grads)
    assert all((value == 1).all() for value in params.values())
    assert optimizer.iterations == 0


@pytest.mark.parametrize("value", [np.ones(2, dtype=int), [1.0, 1.0], np.float64(1.0)])
def test_a_parameter_that_cannot_change_in_place_is_refused(value):
    with pytest.raises(TypeError, match="must be a writeable NumPy array of floats"):
        opt.SGD().update({"w": value}, {"w": np.ones_like(value, dtype=float)})


def test_a_read_only_parameter_is_refused():
    value = np.ones(2)
    value.flags.writeable = False
    with pytest.raises(TypeError, match="writeable"):
        opt.SGD().update({"w": value}, one([1.0, 1.0]))
