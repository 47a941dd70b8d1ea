"""How much the cache and the bytes save: ratios from one run on this machine.

    python benchmarks/data_loading.py

Sources: a zip of 6,000 PNG images of 32×32 that this script writes, and the embedded sets. Each
number is the median of several runs, alternating between the two things compared; only the ratios
are worth quoting.
"""

from __future__ import annotations

import io
import os
import platform
import statistics
import tempfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import coursekit as ck
from coursekit.datasets import embedded, import_data
from coursekit.datasets.registry import spec_of

REPEATS = 5


def write_images(path: Path) -> None:
    """A zip of images in train/<class>/ and test/<class>/."""
    from PIL import Image

    names = spec_of("cifar10").class_names
    images = embedded.make("shapes").x_train[:6_000]
    with zipfile.ZipFile(path, "w") as archive:
        for k, image in enumerate(images):
            data = io.BytesIO()
            Image.fromarray(image).save(data, "PNG")
            part = "test" if k >= 5_000 else "train"
            archive.writestr(f"{part}/{names[k % 10]}/{k:04}.png", data.getvalue())


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def peak(action: Callable[[], object]) -> float:
    """The largest number of bytes that NumPy and Python held during the action."""
    tracemalloc.start()
    action()
    result = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result


def compare(label: str, slow: Callable[[], object], fast: Callable[[], object], unit: str) -> None:
    """Print median and spread of slow/fast over alternating runs."""
    measure = peak if unit == "memory" else seconds
    ratios = [measure(slow) / measure(fast) for _ in range(REPEATS)]
    middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
    print(f"{label:64s} {middle:8.1f} times the {unit}  ({low:.1f} to {high:.1f})")


def main() -> None:
    """Run all comparisons in a cache of their own."""
    print(f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, ")
    print(f"NumPy {np.__version__}; {REPEATS} runs each\n")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COURSEKIT_DATA"] = f"{folder}/cache"
        os.environ["COURSEKIT_HEADLESS"] = "1"
        archive = Path(folder) / "images.zip"
        write_images(archive)
        import_data("cifar10", archive)
        ck.load("shapes")

        def cached() -> object:
            return ck.load("cifar10", source="imported", n_valid=500)

        compare(
            "decode the images / load from cache",
            lambda: import_data("cifar10", archive),
            cached,
            "time",
        )
        compare(
            "decode the images / load from cache and convert all",
            lambda: import_data("cifar10", archive),
            lambda: cached().x_train,
            "time",
        )
        compare(
            "generate `shapes` / load from cache",
            lambda: embedded.make("shapes"),
            lambda: ck.load("shapes"),
            "time",
        )
        for unit in ("time", "memory"):
            compare(
                "whole float32 / subset(1_000) of 15,000 images",
                lambda: ck.load("shapes").x_train,
                lambda: ck.load("shapes").subset(1_000).x_train,
                unit,
            )
        compare(
            "standardise in NumPy float64 / standardized()",
            lambda: standardised_by_hand(ck.load("shapes").x_train),
            lambda: ck.load("shapes").standardized().x_train,
            "memory",
        )


def standardised_by_hand(x: np.ndarray) -> np.ndarray:
    """What a notebook would write without `standardized`."""
    return (x - x.mean(axis=0, dtype=np.float64)) / x.std(axis=0, dtype=np.float64)


if __name__ == "__main__":
    main()
