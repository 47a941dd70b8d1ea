from __future__ import annotations

import hashlib
import types

import numpy as np
import pytest

import coursekit as ck
from coursekit.datasets import cache, embedded
from coursekit.datasets.arrays import Arrays
from coursekit.datasets.embedded import digits, shapes

# Bytes of the recipes. They must be the same on every platform: where they change on purpose,
# change `recipe` in the registry too.
DIGESTS = {
    "digits": "b079a350e641342c0978a46faa2f3fb5f89aa796b8776c3e2a98d908a9f5e046",
    "shapes": "7cd82cf9d8fcde3b6373c22ee6c3ca1a2ef48285b3a13510ef80adeedf11c96d",
}


@pytest.fixture(scope="module")
def made() -> dict[str, Arrays]:
    return {name: embedded.make(name) for name in DIGESTS}


def sha256(*arrays: np.ndarray) -> str:
    hashed = hashlib.sha256()
    for array in arrays:
        hashed.update(np.ascontiguousarray(array))
    return hashed.hexdigest()


@pytest.mark.parametrize("name", DIGESTS)
def test_the_bytes_never_change(made, name):
    a = made[name]
    assert sha256(a.x_train, a.y_train, a.x_test, a.y_test) == DIGESTS[name]


@pytest.mark.parametrize(("name", "shape"), [("digits", (28, 28)), ("shapes", (32, 32, 3))])
def test_sizes_types_and_balance(made, name, shape):
    a = made[name]
    assert a.x_train.shape == (20_000, *shape)
    assert a.x_test.shape == (4_000, *shape)
    assert embedded.n_images(name) == a.n_images == 24_000
    assert {array.dtype for array in (a.x_train, a.y_train, a.x_test, a.y_test)} == {np.dtype("u1")}
    for labels in (a.y_train, a.y_test):
        counts = np.bincount(labels)
        assert len(counts) == 10
        assert counts.min() > 0.09 * len(labels)


@pytest.mark.parametrize("name", DIGESTS)
def test_images_come_in_no_order_of_class(made, name):
    first = made[name].y_train[:1000].astype(float)
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.1
    assert len(set(first[:50])) == 10


def test_rounding_of_the_angle_table_is_far_from_a_tie():
    # So no platform's cosine, right to within a few units in the last place, rounds otherwise.
    for table, function in ((shapes.COSINES, np.cos), (shapes.SINES, np.sin)):
        exact = function(np.arange(256) * (2 * np.pi / 256)) * 16384
        assert np.abs(exact - table).max() < 0.499


def test_another_seed_gives_other_images():
    assert sha256(shapes.make_shapes(50, 0)[0]) != sha256(shapes.make_shapes(50, 1)[0])


@pytest.mark.parametrize("n", [0, 1, 101])
def test_any_number_of_shapes(n):
    images, labels = shapes.make_shapes(n, seed=3)
    assert images.shape == (n, 32, 32, 3)
    assert labels.shape == (n,)


def test_digits_have_the_look_of_mnist(made):
    images = made["digits"].x_train
    share_of_ink = images.mean() / 255
    assert 0.08 < share_of_ink < 0.2, "MNIST: 0.13"
    assert (images.reshape(len(images), -1).max(axis=1) > 200).mean() > 0.99
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]])
    assert (border > 0).mean() < 0.02


def test_groups_are_the_originals(made):
    from sklearn.datasets import load_digits

    a = made["digits"]
    np.testing.assert_array_equal(load_digits().target[a.groups], a.y_train)
    assert len(set(a.groups)) == 1797 - digits.N_TEST_ORIGINALS


def test_no_original_digit_sits_on_both_sides(monkeypatch):
    # Originals of one flat grey each: the grey in the middle of a copy tells where it is from.
    greys = np.arange(5, 13)
    source = types.SimpleNamespace(
        images=np.repeat(greys, 64).reshape(8, 8, 8).astype(float), target=np.arange(8) % 2
    )
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda: source)
    monkeypatch.setattr(digits, "N_TEST_ORIGINALS", 3)
    a = digits.make_digits(200, 90, seed=0)
    train, test = (set(x[:, 14, 14].tolist()) for x in (a.x_train, a.x_test))
    assert (len(train), len(test)) == (5, 3)
    assert not train & test
    assert len({x.tobytes() for x in a.x_train}) > 150, "the copies differ"


def test_validation_digits_share_no_original_with_training(small, fresh):
    data = ck.load("digits", n_valid=700)
    groups = cache.open_cached("digits", "embedded", recipe=1).arrays.groups
    train, valid = (set(groups[data._parts[part].rows]) for part in ("train", "valid"))
    assert len(data.y_valid) == 700
    assert not train & valid


def flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / np.float32(255) - np.float32(0.5)


def test_a_linear_classifier_fails_on_shapes(made):
    from sklearn.linear_model import RidgeClassifier

    a = made["shapes"]
    linear = RidgeClassifier(alpha=700, solver="cholesky").fit(
        flat(a.x_train[:10_000]), a.y_train[:10_000]
    )
    assert 0.2 < linear.score(flat(a.x_test), a.y_test) < 0.5


@pytest.mark.slow
def test_a_small_network_learns_shapes(made):
    from coursekit.base.keras import keras

    a = made["shapes"]
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Dense(128, activation="relu", kernel_initializer="he_normal"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(flat(a.x_train[:10_000]), a.y_train[:10_000], batch_size=64, epochs=5, verbose=0)
    accuracy = model.evaluate(flat(a.x_test), a.y_test, verbose=0)[1]
    assert accuracy > 0.45, f"chance is 0.1, a linear classifier has about 0.4, got {accuracy:.2f}"
