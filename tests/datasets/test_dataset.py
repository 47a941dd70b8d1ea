from __future__ import annotations

import copy
import gc
import pickle
from pathlib import Path

import numpy as np
import pytest

import coursekit as ck
from coursekit.datasets import Dataset
from coursekit.datasets.arrays import new_part
from coursekit.errors import ArgumentError

RNG = np.random.default_rng(0)


def dataset(n_train=120, source="official", n_classes=4) -> Dataset:
    """A set whose first pixel is constant in training and not so in the test part."""
    parts = {}
    for name, n in (("train", n_train), ("valid", 30), ("test", 40)):
        pixels = RNG.integers(0, 256, (n, 3, 2), np.uint8)
        pixels[0, 1] = 0, 255
        if name != "test":
            pixels[:, 0, 0] = 17
        parts[name] = new_part(pixels, (np.arange(n) % n_classes).astype(np.uint8))
    return Dataset("toy", source, tuple("abcd"[:n_classes]), parts, "digest")


def pixels_of(data: Dataset, part: str) -> np.ndarray:
    return data._parts[part].pixels[data._parts[part].rows]


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_images_are_float32_from_0_to_1_and_labels_int32(part):
    data = dataset()
    x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
    assert (x.dtype, y.dtype) == (np.float32, np.int32)
    assert x.flags.c_contiguous
    np.testing.assert_array_equal(x, (pixels_of(data, part) / 255).astype(np.float32))
    assert x.max() == 1
    assert x.min() == 0


def test_an_array_lives_as_long_as_it_is_held():
    data = dataset()
    held = data.x_train
    assert data.x_train is held
    part = held[:5]
    del held
    assert data.x_train is part.base
    del part
    gc.collect()
    assert data._made["train"]() is None


def resident(path) -> int:
    """Return how many kB of a mapped file are in this process's memory."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    return sum(
        int(next(line for line in lines if line.startswith("Rss:")).split()[1])
        for line in lines
        if line.endswith(str(path))
    )


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("use", [lambda data: data.x_train, lambda data: data.standardized()])
def test_the_pages_of_a_mapped_file_are_let_go_after_use(tmp_path, use):
    path = tmp_path / "x.npy"
    np.save(path, RNG.integers(0, 256, (20_000, 10, 10), np.uint8))
    mapped = np.load(path, mmap_mode="r")
    labels = np.arange(20_000) % 4
    parts = {
        name: new_part(mapped[rows], labels[rows])
        for name, rows in (
            ("train", np.s_[:18_000]),
            ("valid", np.s_[18_000:]),
            ("test", np.s_[:9]),
        )
    }
    assert mapped.any(), "reads every page"
    assert resident(path) > 1_500
    use(Dataset("toy", "official", tuple("abcd"), parts, "digest"))
    assert resident(path) < 300


@pytest.mark.parametrize("name", ["x_train", "y_train", "x_valid", "y_test"])
def test_arrays_refuse_to_be_changed_in_place(name):
    data = dataset().subset(20).only([1, 2])
    with pytest.raises(ValueError, match="read-only"):
        getattr(data, name)[0] = 0
    with pytest.raises(AttributeError):
        setattr(data, name, 0)


def test_standardised_equals_the_formula_in_float64():
    data = dataset()
    train = pixels_of(data, "train").astype(np.float64)
    deviation = train.std(axis=0)
    for part in ("train", "valid", "test"):
        with np.errstate(invalid="ignore", divide="ignore"):
            expected = (pixels_of(data, part) - train.mean(axis=0)) / deviation
        expected[:, 0, 0] = 0
        found = getattr(data.standardized(), f"x_{part}")
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_a_constant_pixel_is_0_even_where_test_images_differ():
    data = dataset()
    assert len(np.unique(pixels_of(data, "test")[:, 0, 0])) > 1
    assert not data.standardized().x_test[:, 0, 0].any()


def test_one_training_image_standardises_to_zeros():
    one = dataset().subset(1).standardized()
    assert not one.x_train.any()
    assert np.isfinite(one.x_test).all()


def test_statistics_are_those_of_the_training_part_at_that_moment():
    data = dataset()
    whole_first = data.standardized().subset(20)
    subset_first = data.subset(20).standardized()
    assert abs(subset_first.x_train.mean()) < 1e-6
    assert abs(whole_first.x_train.mean()) > 1e-4
    np.testing.assert_array_equal(
        subset_first.x_test, whole_first.standardized().x_test, "standardising twice is once"
    )


def test_subset_keeps_proportions_validation_and_test():
    data = dataset()
    part = data.subset(40, seed=1)
    assert np.bincount(part.y_train).tolist() == [10, 10, 10, 10]
    np.testing.assert_array_equal(part.x_valid, data.x_valid)
    np.testing.assert_array_equal(part.y_test, data.y_test)
    assert part.x_train.base is None


def test_subset_pairs_images_with_their_own_labels():
    data = dataset()
    image_to_label = {x.tobytes(): y for x, y in zip(data.x_train, data.y_train, strict=True)}
    part = data.subset(30)
    assert [image_to_label[x.tobytes()] for x in part.x_train] == part.y_train.tolist()


def test_subset_repeats_with_its_seed_and_grows_with_its_size():
    data = dataset()
    small, large, other = data.subset(20, seed=3), data.subset(60, seed=3), data.subset(20, seed=4)
    rows = [set(part._parts["train"].rows.tolist()) for part in (small, large, other)]
    assert rows[0] < rows[1]
    assert rows[0] != rows[2]
    np.testing.assert_array_equal(small.x_train, data.subset(20, seed=3).x_train)


def test_subset_of_all_is_all():
    data = dataset()
    np.testing.assert_array_equal(data.subset(120).x_train, data.x_train)


@pytest.mark.parametrize("n", [0, -1, 121])
def test_subset_refuses_what_is_not_there(n):
    with pytest.raises(
        ArgumentError,
        match=r"n_train: expected (at most the 120 training images|a whole number from 1 up)",
    ):
        dataset().subset(n)


def test_subset_of_a_stand_in_takes_what_there_is_and_says_so_once(capsys):
    data = dataset(source="embedded")
    assert len(data.subset(55_000).y_train) == 120
    assert len(data.subset(55_000).y_train) == 120
    assert capsys.readouterr() == (
        "toy: 55,000 training images were asked for; the embedded data has 120, and all of them "
        "are used.\n",
        "",
    )


@pytest.mark.parametrize("wrong", [2.0, True, "10", None])
def test_subset_wants_whole_numbers(wrong):
    with pytest.raises(TypeError, match="n_train: expected a whole number"):
        dataset().subset(wrong)
    with pytest.raises(TypeError, match="seed: expected a whole number"):
        dataset().subset(10, seed=wrong)


def test_only_relabels_in_the_order_given():
    data = dataset()
    two = data.only(["d", 1])
    assert two.class_names == ("d", "b")
    for part in ("train", "valid", "test"):
        before, after = getattr(data, f"y_{part}"), getattr(two, f"y_{part}")
        kept = np.isin(before, [3, 1])
        assert after.dtype == np.int32
        np.testing.assert_array_equal(after, np.where(before[kept] == 3, 0, 1))
        np.testing.assert_array_equal(getattr(two, f"x_{part}"), getattr(data, f"x_{part}")[kept])


def test_only_takes_labels_from_numpy_and_composes():
    data = dataset()
    assert data.only(np.array([2, 0])).only(["a"]).class_names == ("a",)
    assert set(data.only([2, 0]).only([1]).y_train) == {0}
    assert len(data.only([1]).subset(7).y_train) == 7


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "at least one"),
        ([1, "b"], "different classes"),
        ([4], r"no class 4; choose labels 0 to 3 or names among a, b, c, d"),
        ([-1], "no class -1"),
        (["bird"], "no class 'bird'"),
    ],
)
def test_only_refuses_unknown_classes(classes, message):
    with pytest.raises(ArgumentError, match=message):
        dataset().only(classes)


@pytest.mark.parametrize("classes", ["abc", 3, [1.0], [True], [None]])
def test_only_wants_a_list_of_labels_or_names(classes):
    with pytest.raises(TypeError, match="labels or class names"):
        dataset().only(classes)


def test_repr_is_one_line_with_all_that_matters():
    assert repr(dataset().standardized()) == (
        "<Dataset toy (official): 120 training, 30 validation, 40 test images of 3×2, 4 classes, "
        "standardised>"
    )


def test_fingerprint_tells_contents_splits_and_scaling_apart():
    data = dataset()
    variants = [data, data.subset(20), data.subset(20, 1), data.only([0, 1]), data.only([1, 0])]
    variants += [data.standardized(), data.subset(20).standardized()]
    assert len({each.fingerprint for each in variants}) == len(variants)
    assert data.subset(20).fingerprint == data.subset(20, seed=0).fingerprint
    assert all(len(each.fingerprint) == 16 for each in variants)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))]
)
def test_a_copy_has_the_same_images(duplicate):
    data = dataset().standardized()
    held = data.x_train
    other = duplicate(data)
    assert other.fingerprint == data.fingerprint
    np.testing.assert_array_equal(other.x_train, held)


def test_loaded_pixels_are_mapped_not_read(small):
    data = ck.load("shapes", n_valid=100)
    base = data._parts["train"].pixels
    while not isinstance(base, np.memmap):
        base = base.base
    assert base.mode == "r"
