from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from coursekit.datasets import readers, registry
from coursekit.datasets.arrays import Arrays
from coursekit.errors import DataError

from .conftest import idx


@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 28, 28), (0,), (1, 1, 1)])
def test_idx_round_trip(shape):
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    head = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
    np.testing.assert_array_equal(readers.read_idx(head + array.tobytes(), "x"), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\0\0\x08", "not an IDX file"),
        (b"<html>", "begins with b'<htm'"),
        (b"\0\0\x0d\x01\0\0\0\0", "not an IDX file of bytes"),
        (b"\0\0\x08\x00", "not an IDX file"),
        (b"\0\0\x08\x04" + bytes(16), "not an IDX file"),
        (b"\0\0\x08\x02\0\0\0\1", "cut short in its header"),
        (b"\0\0\x08\x01\0\0\0\x02\x05", "has 9 bytes where its header (2,) asks for 10"),
        (b"\0\0\x08\x01\0\0\0\x01\x05\x06", "has 10 bytes"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "asks for 79,228,162,458,924,105,385,300,197,391"),
    ],
)
def test_bad_idx_is_one_sentence(content, message):
    with pytest.raises(DataError) as caught:
        readers.read_idx(content, "labels")
    assert message in str(caught.value)
    assert str(caught.value).startswith("labels ")


def test_cifar_records_are_a_label_and_three_planes():
    record = bytes([7]) + bytes([1]) * 1024 + bytes([2]) * 1024 + bytes(range(256)) * 4
    images, labels = readers.read_cifar_batch(record * 3, "batch")
    assert images.shape == (3, 32, 32, 3)
    assert labels.tolist() == [7, 7, 7]
    assert images[1, 0, :3].tolist() == [[1, 2, 0], [1, 2, 1], [1, 2, 2]]
    assert images[2, 1, 0].tolist() == [1, 2, 32], "rows run along 32 pixels"


@pytest.mark.parametrize("size", [0, 1, 3072, 3074])
def test_a_cifar_batch_of_another_size_is_refused(size):
    with pytest.raises(DataError, match=f"batch has {size:,} bytes, not a multiple of 3,073"):
        readers.read_cifar_batch(bytes(size), "batch")


def test_unpack_stops_a_bomb_early():
    bomb = gzip.compress(bytes(50_000_000))
    with pytest.raises(DataError, match="unpacks to more than 1,000 bytes"):
        readers.unpack(bomb, 1000, "a.gz")


@pytest.mark.parametrize("cut", [3, 12, -1, -9])
def test_a_gzip_file_cut_short_is_damaged(cut):
    packed = gzip.compress(np.random.default_rng(0).bytes(5000))
    with pytest.raises(DataError, match=r"a\.gz is damaged or cut short"):
        readers.unpack(packed[:cut], 10_000, "a.gz")


def test_official_by_its_own_hash_or_by_its_content(tiny):
    file = registry.DATASETS["mnist"].files[1]
    content = idx(tiny.arrays["y_train"])
    other = gzip.compress(content, compresslevel=1, mtime=5)
    assert other != tiny.files[file.name]
    assert readers.is_official(file, tiny.files[file.name], b"")
    assert readers.is_official(file, other, content)
    assert readers.is_official(file, content, content)
    assert not readers.is_official(file, other, content + b"\0")


def test_without_a_published_content_hash_only_the_file_itself_counts():
    file = registry.DATASETS["fashion_mnist"].files[0]
    assert file.content_sha256 is None
    assert not readers.is_official(file, b"packed", b"content")


def arrays(**changed: np.ndarray) -> Arrays:
    x, y = np.zeros((5, 28, 28), np.uint8), np.arange(5, dtype=np.uint8)
    return Arrays(**({"x_train": x, "y_train": y, "x_test": x, "y_test": y} | changed))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_test": np.zeros((5, 32, 32), np.uint8)}, r"test images have shape \(32, 32\)"),
        ({"y_train": np.zeros(4, np.uint8)}, "5 train images, but 4 labels"),
        ({"y_test": np.full(5, 10, np.uint8)}, "a test label is 10, the highest of mnist is 9"),
        ({"y_train": np.zeros((5, 28, 28), np.uint8)}, "train images"),
        (
            {"x_test": np.zeros((0, 28, 28), np.uint8), "y_test": np.zeros(0, np.uint8)},
            "0 test images, but 0 labels",
        ),
    ],
)
def test_arrays_must_fit_each_other_and_the_set(changed, message):
    spec = registry.DATASETS["mnist"]
    readers.check_arrays(spec, arrays(), "here")
    with pytest.raises(DataError, match=message):
        readers.check_arrays(spec, arrays(**changed), "here")


def test_registry_agrees_with_the_published_facts():
    for spec in registry.DATASETS.values():
        assert len(spec.class_names) == len(set(spec.class_names)) == 10
        assert spec.embedded == (spec.stand_in is None)
        for file in spec.files:
            assert file.url.endswith("/" + file.name)
            assert len(file.sha256) == 64
            assert int(file.sha256, 16)
    cifar = registry.DATASETS["cifar10"].files[0]
    assert cifar.max_bytes > 170_052_171
