"""The range test leaves everything as found, records true batch losses, and knows when to stop."""

import random
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from coursekit.base.keras import keras, tf
from coursekit.display.pictures import alt_of
from coursekit.errors import ArgumentError
from coursekit.training.range_test import lr_range_test

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 6)).astype("float32")
Y = (X @ RNG.normal(size=(6, 3))).argmax(axis=1)


def classifier(optimizer=None, *, dropout=0.0, batch_norm=False):
    keras.utils.set_random_seed(3)
    layers = [keras.Input((6,)), keras.layers.Dense(16, activation="relu")]
    if batch_norm:
        layers.append(keras.layers.BatchNormalization())
    if dropout:
        layers.append(keras.layers.Dropout(dropout))
    model = keras.Sequential([*layers, keras.layers.Dense(3, activation="softmax")])
    model.compile(
        optimizer or keras.optimizers.SGD(0.01, momentum=0.9),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def state_of(model):
    optimizer = model.optimizer
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    hidden = [v for v in vars(inner).values() if isinstance(v, keras.Variable)]
    return [v.numpy() for v in [*model.variables, *optimizer.variables, *hidden]]


OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    "Adam": lambda: keras.optimizers.Adam(0.01, amsgrad=True, use_ema=True),
    "Nadam": lambda: keras.optimizers.Nadam(0.01),
    "RMSprop": lambda: keras.optimizers.RMSprop(0.01, centered=True),
    "accumulating": lambda: keras.optimizers.AdamW(0.01, gradient_accumulation_steps=3),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Nadam(0.01)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("fitted_before", [False, True])
def test_everything_is_bit_identical_afterwards(name, fitted_before):
    optimizer = OPTIMIZERS[name]()
    model = classifier(optimizer, dropout=0.5, batch_norm=True)
    if fitted_before:
        model.fit(X, Y, verbose=0)
    else:
        optimizer.build(model.trainable_variables)
    found = state_of(model)
    python_state, numpy_state = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    lr_range_test(model, X, Y, steps=30)
    for before, after in zip(found, state_of(model), strict=True):
        np.testing.assert_array_equal(before, after)
    assert random.getstate() == python_state
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


class Noisy(keras.layers.Layer):
    """Draws from TensorFlow's generators: the eager one's seeds, a global one, one of its own."""

    def __init__(self):
        super().__init__()
        self.own = tf.random.Generator.from_seed(3)

    def call(self, x):
        noise = tf.random.normal(tf.shape(x)) + self.own.normal(tf.shape(x))
        return x + 0.1 * noise + 0.1 * tf.random.get_global_generator().normal(tf.shape(x))


@pytest.mark.parametrize("built", [False, True])
def test_the_generators_of_tensorflow_and_keras_are_as_found(built):
    def numbers(tested):
        keras.utils.set_random_seed(5)
        tf.random.set_global_generator(tf.random.Generator.from_seed(4))
        noisy = Noisy()
        model = keras.Sequential([*[keras.Input((6,))] * built, noisy, keras.layers.Dense(3)])
        model.compile("sgd", loss="mse")
        first = float(tf.random.uniform([]))
        if not built:
            keras.utils.set_random_seed(5)  # building draws the first weights
        if tested:
            lr_range_test(model, X, X[:, :3], steps=10)
        elif not built:
            model.build(X.shape)
        later = [tf.random.uniform([]), tf.random.get_global_generator().uniform([])]
        later += [noisy.own.uniform([]), keras.random.uniform([]), random.random()]
        return first, *map(float, later)

    assert numbers(tested=True) == numbers(tested=False)


@pytest.fixture
def policy():
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("name", ["SGD", "Nadam"])
def test_half_precision_suggests_what_float32_suggests(name, policy):
    suggestions = {}
    for kind in ("float32", "mixed_float16", "mixed_bfloat16"):
        policy(kind)
        model = classifier(getattr(keras.optimizers, name)(0.01))
        model.optimizer.build(model.trainable_variables)
        found = state_of(model)
        result = lr_range_test(model, X, Y, min_lr=1e-5, steps=150)
        assert result.diverged
        suggestions[kind] = result.suggestion
        for before, after in zip(found, state_of(model), strict=True):
            np.testing.assert_array_equal(before, after)
    wide = suggestions.pop("float32")
    for kind, suggestion in suggestions.items():
        assert wide / 2 < suggestion < wide * 2, kind


def test_a_fixed_factor_of_the_loss_changes_nothing():
    results = [
        lr_range_test(classifier(keras.optimizers.SGD(loss_scale_factor=factor)), X, Y, steps=60)
        for factor in (None, 1024.0)
    ]
    np.testing.assert_allclose(results[0].losses, results[1].losses, rtol=1e-4)


@pytest.mark.parametrize(
    "data",
    [
        tf.data.Dataset.from_tensor_slices((X, Y)).batch(32),
        iter([(X, Y)]),
        {"a": X},
        [X, X[:, :2]],
        3.0,
        np.array(["a", "b"]),
    ],
    ids=["data set", "generator", "dict", "several arrays", "number", "words"],
)
def test_what_is_no_array_gets_one_sentence(data):
    with pytest.raises(
        TypeError, match=r"^x: expected an array of numbers.* draws its batches"
    ) as e:
        lr_range_test(classifier(), data, None)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("count", ["steps", "batch_size"])
def test_counts_are_whole_numbers(count):
    for wrong in (2.5, True):
        with pytest.raises(TypeError, match=f"{count}: expected a whole number"):
            lr_range_test(classifier(), X, Y, **{count: wrong})


def test_lists_of_numbers_are_arrays():
    assert len(lr_range_test(classifier(), X.tolist(), Y.tolist(), steps=10).losses) == 10


def test_training_goes_on_as_if_the_test_had_not_been():
    weights = []
    for tested in (False, True):
        model = classifier(keras.optimizers.Nadam(0.01), dropout=0.3, batch_norm=True)
        model.fit(X, Y, verbose=0, shuffle=False)
        if tested:
            lr_range_test(model, X, Y, steps=20)
        model.fit(X, Y, verbose=0, shuffle=False)
        weights.append(model.get_weights())
    for plain, after_test in zip(*weights, strict=True):
        np.testing.assert_array_equal(plain, after_test)


def test_an_error_in_the_middle_leaves_the_model_as_found_too(monkeypatch):
    model = classifier()
    model.fit(X, Y, verbose=0)
    found = state_of(model)

    def four_batches_and_a_bad_one(*_):
        yield from [np.arange(8)] * 4
        yield np.array([10_000])

    monkeypatch.setattr("coursekit.training.range_test._batches", four_batches_and_a_bad_one)
    with pytest.raises(IndexError):
        lr_range_test(model, X, Y, steps=20)
    for before, after in zip(found, state_of(model), strict=True):
        np.testing.assert_array_equal(before, after)


def test_losses_are_each_batchs_own_and_rates_grow_by_one_factor():
    """Replay in float64: logistic regression by plain SGD, one weight vector."""
    x = np.linspace(-1, 1, 12)[:, None].astype("float32")
    y = (3 * x).astype("float32")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.5), loss="mse")
    w = float(model.get_weights()[0][0, 0])
    result = lr_range_test(model, x, y, min_lr=1e-3, max_lr=1e-1, batch_size=12, steps=9)
    np.testing.assert_allclose(result.rates, [1e-3 * 10 ** (i / 4) for i in range(9)])
    expected = []
    for rate in result.rates:
        error = w * x[:, 0].astype(float) - y[:, 0]
        expected.append(np.mean(error**2))
        w -= rate * np.mean(2 * error * x[:, 0])
    np.testing.assert_allclose(result.losses, expected, rtol=1e-4)


def test_the_suggestion_lies_below_the_rate_of_divergence():
    """For least squares SGD diverges above 2 / curvature, known exactly."""
    x = np.ones((64, 1), "float32")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", loss="mse")
    y = 5 * x + RNG.normal(size=x.shape).astype("float32")
    result = lr_range_test(model, x, y, min_lr=1e-4, max_lr=100.0, steps=200)
    assert result.diverged
    blow_up = 1.0  # the curvature of mean((w - 5)^2) is 2, so 2 / 2
    assert blow_up / 100 < result.suggestion < blow_up / 2


def test_it_stops_when_the_loss_is_not_a_number():
    y = Y.astype("float32")
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    found = state_of(model)
    result = lr_range_test(model, X, y, min_lr=1e-3, max_lr=1e30, steps=200, divergence=1e300)
    assert result.diverged
    assert len(result.losses) < 200
    for before, after in zip(found, state_of(model)[: len(found)], strict=False):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"steps": 3}, "too few points: 3 rates"),
        ({"steps": 60, "min_lr": 1e3, "max_lr": 1e6}, "too few points: the loss blew up after"),
        ({"steps": 20, "min_lr": 1e-9, "max_lr": 1e-8}, "the loss never fell"),
        (
            {"steps": 100, "min_lr": 1e-4, "max_lr": 1e-1},
            "the loss still falls at .*; raise max_lr",
        ),
    ],
)
def test_it_says_why_there_is_no_suggestion(options, reason):
    x = np.ones((64, 1), "float32")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", loss="mse")
    result = lr_range_test(model, x, 5 * x, **options)
    assert np.isnan(result.suggestion)
    assert re.search(reason, result.reason)


def test_one_sample_and_batches_larger_than_the_data_work():
    result = lr_range_test(classifier(), X[:1], Y[:1], batch_size=64, steps=10)
    assert len(result.losses) == len(result.rates) >= 8


def test_an_unbuilt_model_is_built_and_otherwise_left_alone():
    model = keras.Sequential([keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", loss="sparse_categorical_crossentropy")
    lr_range_test(model, X, Y, steps=10)
    assert model.built
    assert int(model.optimizer.iterations) == 0


def test_the_plot_has_axes_with_names_and_marks_the_suggestion():
    result = lr_range_test(classifier(), X, Y, steps=120)
    figure = result.plot()
    assert alt_of(figure).startswith(f"Range test: {result.reason}. Smoothed training loss")
    assert f"marks the suggestion, {result.suggestion:.2g}." in alt_of(figure)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert "learning rate" in axes.get_xlabel()
    assert "loss" in axes.get_ylabel()
    plt.close(figure)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"y": Y[:-1]}, "expected the same length, got 200 and 199"),
        ({"x": X[:0], "y": Y[:0]}, "expected at least one sample"),
        ({"min_lr": 1.0, "max_lr": 0.1}, "0 < min_lr < max_lr"),
        ({"min_lr": 0.0}, "0 < min_lr < max_lr"),
        ({"batch_size": 0}, "batch_size"),
        ({"steps": 0}, "steps"),
        ({"divergence": 1.0}, "divergence"),
        (
            {"model": keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])},
            "call model.compile first",
        ),
    ],
)
def test_bad_arguments_get_one_sentence(change, sentence):
    call = {"model": classifier(), "x": X, "y": Y, **change}
    with pytest.raises(ArgumentError, match=sentence):
        lr_range_test(call.pop("model"), call.pop("x"), call.pop("y"), **call)


def test_an_optimizer_with_a_schedule_is_refused():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    for optimizer in (
        keras.optimizers.SGD(schedule),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(schedule)),
    ):
        with pytest.raises(ArgumentError, match="got the schedule CosineDecay"):
            lr_range_test(classifier(optimizer), X, Y)
