"""Bad input of `fit`: one clear sentence, before any training starts."""

import inspect

import numpy as np
import pytest

from coursekit.base.keras import keras, tf
from coursekit.errors import ArgumentError
from coursekit.training import fit
from coursekit.training.arguments import pack

L = keras.layers
X = np.random.default_rng(0).normal(size=(12, 5)).astype("float32")
Y = np.arange(12, dtype="int32") % 3
ONE_HOT = np.eye(3, dtype="float32")[Y]
NAN = np.where(np.arange(60).reshape(12, 5) == 37, np.nan, X)


def classifier(loss="sparse_categorical_crossentropy", units=3):
    model = keras.Sequential([keras.Input((5,)), L.Dense(units, "softmax" if units > 1 else None)])
    model.compile("sgd", loss)
    return model


WRONG = {
    "empty": ({"x": X[:0], "y": Y[:0]}, "at least one sample"),
    "lengths": ({"y": Y[:-1]}, "x has 12 and y has 11"),
    "weights' length": ({"sample_weight": np.ones(5, "float32")}, "sample_weight has 5"),
    "no batch": ({"batch_size": 0}, "batch_size: expected a whole number from 1 up, got 0"),
    "negative batch": ({"batch_size": -4}, "batch_size"),
    "no epochs": ({"epochs": 0}, "epochs: expected a whole number from 1 up, got 0"),
    "negative seed": ({"seed": -1}, "seed"),
    "verbose": ({"verbose": 3}, 'verbose: expected "auto", 0, 1 or 2, got 3'),
    "label too large": ({"y": Y + 1}, "class numbers from 0 to 2 .* got 1 to 3"),
    "label negative": ({"y": Y - 1}, "got -1 to 1"),
    "label fraction": ({"y": Y + 0.5}, "whole class numbers"),
    "one-hot": ({"y": ONE_HOT}, "use categorical_crossentropy"),
    "label columns": ({"y": np.ones((12, 2), "int32")}, r"shape \(12,\), got \(12, 2\)"),
    "features": ({"x": X[:, :4]}, "x: the model cannot take it: .*4"),
    "NaN": ({"x": NAN}, "x: expected finite numbers, got NaN or infinity, first in row 7"),
    "infinite label": ({"y": np.full(12, np.inf, "float32")}, "y: expected finite"),
    "both weights": (
        {"sample_weight": np.ones(12, "float32"), "class_weight": {0: 1.0}},
        "one of them, got both",
    ),
    "weights without labels": ({"y": None, "sample_weight": np.ones(12, "float32")}, "y=None"),
    "validation lengths": ({"validation_data": (X, Y[:3])}, "validation x has 12"),
    "validation empty": ({"validation_data": (X[:0], Y[:0])}, "validation x"),
    "validation labels": ({"validation_data": (X, Y + 9)}, "validation y: .* got 9 to 11"),
    "validation NaN": ({"validation_data": (NAN, Y)}, "validation x: expected finite"),
    "validation features": (
        {"validation_data": (X[:, 1:], Y)},
        "validation x: the model cannot take it",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_refused_in_one_sentence_before_training(case):
    changed, message = WRONG[case]
    model = classifier()
    weights = model.get_weights()
    options = {"x": X, "y": Y, "epochs": 2, "verbose": 0, **changed}
    with pytest.raises(ArgumentError, match=message) as caught:
        fit(model, options.pop("x"), options.pop("y"), **options)
    assert "\n" not in str(caught.value)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


WRONG_KINDS = {
    "data set": {"x": tf.data.Dataset.from_tensors(1)},
    "generator": {"x": iter([1])},
    "words": {"x": np.array([["a"] * 5] * 12)},
    "objects": {"x": np.array([[None] * 5] * 12)},
    "complex": {"x": X.astype("complex64")},
    "scalar": {"y": np.float32(1)},
    "list of numbers": {"y": [0, 1, 2] * 4},
    "epochs": {"epochs": 2.0},
    "batch": {"batch_size": True},
    "seed": {"seed": "42"},
    "validation": {"validation_data": X},
    "validation of one": {"validation_data": (X,)},
    "callback": {"callbacks": [print]},
    "class_weight": {"class_weight": [1.0, 2.0, 3.0]},
}
SEVERAL_A_ROW = {
    "pixels": np.zeros((12, 4, 4), "int32"),
    "pixels of one channel": np.zeros((12, 4, 4, 1), "int32"),
    "one-hot pixels": np.eye(3, dtype="float32")[np.zeros((12, 4, 4), "int32")],
    "words": np.arange(24).reshape(12, 2) % 3,
}


@pytest.mark.parametrize("case", WRONG_KINDS)
def test_an_argument_of_the_wrong_kind_is_a_type_error(case):
    options = {"x": X, "y": Y, "epochs": 2, "verbose": 0, **WRONG_KINDS[case]}
    with pytest.raises(TypeError, match="expected") as caught:
        fit(classifier(), options.pop("x"), options.pop("y"), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", SEVERAL_A_ROW)
def test_class_weights_want_one_label_a_row(case):
    y = SEVERAL_A_ROW[case]
    with pytest.raises(
        ArgumentError, match=r"class_weight: expected one label .* sample_weight"
    ) as caught:
        pack(X, y, None, {0: 1.0})
    assert str(y.shape) in str(caught.value)


@pytest.mark.parametrize(
    ("y", "class_weight", "message"),
    [
        (
            Y,
            {0: "heavy"},
            "class_weight: expected a finite number for each class, got 'heavy' for 0",
        ),
        (Y, {1: np.nan}, "class_weight: expected a finite number"),
        (None, {0: 1.0}, "class_weight: expected one array of labels, got none"),
        ([Y, Y], {0: 1.0}, "class_weight: .* got several outputs"),
        (np.full(12, np.nan), {0: 1.0}, "y: expected finite numbers"),
    ],
)
def test_class_weights_that_cannot_be_applied_are_refused(y, class_weight, message):
    with pytest.raises(ArgumentError, match=message):
        pack(X, y, None, class_weight)


def test_sample_weights_weigh_pixels_as_in_model_fit():
    images = np.random.default_rng(1).normal(size=(6, 4, 4, 1)).astype("float32")
    labels = (images[..., 0] > 0).astype("int32")
    weights = np.where(labels == 1, 5.0, 1.0).astype("float32")
    losses = []
    for train in (fit, keras.Model.fit):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4, 4, 1)), L.Dense(2, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        options = {"epochs": 3, "batch_size": 6, "sample_weight": weights, "verbose": 0}
        losses.append(train(model, images, labels, **options).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)


INSTEAD = {
    "validation_split": (0.1, "validation_data"),
    "validation_steps": (3, "fewer|only as many"),
    "validation_batch_size": (8, "batch_size"),
    "validation_freq": (2, "after every epoch"),
    "initial_epoch": (1, "BackupAndRestore"),
    "shuffle": (False, r"model\.fit"),
    "steps_per_epoch": (5, "fewer rows"),
    "epohcs": (5, r"help\(ck\.fit\)"),
}


@pytest.mark.parametrize("name", INSTEAD)
def test_what_only_model_fit_takes_is_refused_with_what_to_do_instead(name):
    value, instead = INSTEAD[name]
    with pytest.raises(
        TypeError, match=f"^{name}: ck.fit has no such argument; .*({instead})"
    ) as caught:
        fit(classifier(), X, Y, epochs=2, **{name: value})
    assert "\n" not in str(caught.value)


def test_every_argument_of_model_fit_is_taken_or_explained():
    ours, theirs = (set(inspect.signature(f).parameters) for f in (fit, keras.Model.fit))
    assert theirs - ours - {"self"} == set(INSTEAD) - {"epohcs"}


def test_a_model_that_is_not_compiled_or_no_model_is_refused():
    bare = keras.Sequential([keras.Input((5,)), L.Dense(3)])
    with pytest.raises(ArgumentError, match=r"model\.compile"):
        fit(bare, X, Y, epochs=1)
    with pytest.raises(TypeError, match="expected a Keras model, got Dense"):
        fit(L.Dense(3), X, Y, epochs=1)


@pytest.mark.parametrize(
    ("loss", "units", "y"),
    [
        ("categorical_crossentropy", 3, Y),
        (keras.losses.CategoricalCrossentropy(), 3, ONE_HOT[:, :2]),
        ("binary_crossentropy", 1, ONE_HOT),
        ("mse", 3, ONE_HOT[:, 0]),
        (keras.losses.Huber(), 2, ONE_HOT),
    ],
)
def test_labels_that_do_not_match_the_outputs_are_refused(loss, units, y):
    with pytest.raises(ArgumentError, match="y: expected labels of shape"):
        fit(classifier(loss, units), X, y, epochs=1)


@pytest.mark.parametrize(
    ("loss", "units", "y"),
    [
        ("sparse_categorical_crossentropy", 3, Y[:, None]),
        ("sparse_categorical_crossentropy", 3, Y.astype("float32")),
        (keras.losses.SparseCategoricalCrossentropy(ignore_class=-1), 3, Y - 1),
        ("categorical_crossentropy", 3, ONE_HOT),
        ("crossentropy", 3, Y),
        ("mse", 1, Y),
        ("mse", 1, Y[:, None]),
        ("binary_crossentropy", 1, (Y > 1).astype("uint8")),
        (lambda y, p: keras.ops.mean(p - keras.ops.cast(y, "float32")[:, None]), 3, Y + 100),
    ],
)
def test_labels_that_match_are_accepted(loss, units, y):
    history = fit(classifier(loss, units), X, y, epochs=1, validation_data=(X, y))
    assert np.isfinite(history.history["val_loss"]).all()


def test_an_optimizer_that_does_not_know_the_weights_is_told_in_one_sentence():
    optimizer, model = keras.optimizers.SGD(), classifier()
    model.compile(optimizer, "sparse_categorical_crossentropy")
    fit(model, X, Y, epochs=1)
    another = classifier()
    another.compile(optimizer, "sparse_categorical_crossentropy")
    with pytest.raises(ArgumentError, match="new set of variables") as caught:
        fit(another, X, Y, epochs=1)
    assert "\n" not in str(caught.value)


def test_class_weights_count_one_hot_and_column_labels():
    for y in (Y, Y[:, None], ONE_HOT):
        weights = pack(X, y, None, {0: 0.5, 2: 3.0})[2]
        np.testing.assert_array_equal(weights, np.array([0.5, 1, 3], "float32")[Y])
