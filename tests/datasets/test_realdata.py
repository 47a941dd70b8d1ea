"""The real MNIST and CIFAR-10, where they lie in ../shared/data beside the clone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import coursekit as ck
from coursekit.datasets import cache, fetch, import_data

from .conftest import Server

AT_HAND = Path(__file__).resolve().parents[3] / "shared" / "data"

pytestmark = pytest.mark.realdata


@pytest.fixture
def mnist_files() -> Path:
    folder = AT_HAND / "mnist"
    if not folder.is_dir():
        pytest.skip("the real MNIST is not in ../shared/data/mnist")
    return folder


@pytest.fixture
def cifar_images() -> Path:
    path = AT_HAND / "cifar10-images.zip"
    if not path.is_file():
        pytest.skip("the real CIFAR-10 images are not in ../shared/data/cifar10-images.zip")
    return path


def check_mnist() -> None:
    data = ck.load("mnist", source="official")
    assert (data.x_train.shape, data.x_valid.shape) == ((55_000, 28, 28), (5_000, 28, 28))
    assert data.x_test.shape == (10_000, 28, 28)
    everything = np.concatenate([data.y_train, data.y_valid])
    published = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(everything).tolist() == published
    assert data.y_test[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert abs(float(data.x_train.mean()) - 0.1307) < 0.001, "the published mean is 0.1307"


def test_mnist_is_imported_as_official(mnist_files):
    status = import_data("mnist", mnist_files)
    assert (status.source, status.images) == ("official", 70_000)
    check_mnist()


def test_mnist_is_downloaded_from_a_repacked_mirror(mnist_files, monkeypatch):
    server = Server({path.name: path.read_bytes() for path in mnist_files.glob("*.gz")})
    try:
        monkeypatch.setenv("COURSEKIT_MIRROR", server.address)
        monkeypatch.delenv("COURSEKIT_OFFLINE")
        assert fetch("mnist").source == "official"
    finally:
        server.close()
    check_mnist()


def test_mnist_is_taken_from_a_folder_as_mirror(mnist_files, monkeypatch):
    monkeypatch.setenv("COURSEKIT_MIRROR", str(mnist_files.parent))
    monkeypatch.delenv("COURSEKIT_OFFLINE")
    check_mnist()


@pytest.mark.slow
def test_cifar10_is_imported_once_from_60_000_jpegs(cifar_images, fresh, tmp_path):
    moved = tmp_path / "images.zip"
    shutil.copy(cifar_images, moved)
    status = import_data("cifar10", moved)
    assert (status.source, status.images) == ("imported", 60_000)
    moved.unlink()  # from here on the cache is all there is
    data = ck.load("cifar10")
    assert data.class_names[3] == "cat"
    for part, each in (("train", 4_500), ("valid", 500), ("test", 1_000)):
        labels = getattr(data, f"y_{part}")
        assert np.bincount(labels).tolist() == [each] * 10
        assert len(set(labels[:100])) == 10, "not sorted by class"
    small = data.subset(5_000)
    mean = small.x_train.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=0.01, err_msg="published")
    frogs, ships = (small.only([name]).x_train[..., 2].mean() for name in ("frog", "ship"))
    assert ships > frogs + 0.1, "the sea is blue"
    assert cache.open_cached("cifar10", "imported", thorough=True) is not None
