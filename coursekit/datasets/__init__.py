"""The data sets of the course: real where they can be had, embedded stand-ins where not.

    data = ck.load("mnist")
    data.x_train, data.y_train, data.x_valid, data.y_valid, data.x_test, data.y_test

Images rest as bytes in a cache on disk and become float32 when asked for; see `Dataset`.
Nothing here needs TensorFlow.
"""

from __future__ import annotations

from coursekit.datasets.availability import Status, status, verify
from coursekit.datasets.cache import cache_dir
from coursekit.datasets.dataset import Dataset
from coursekit.datasets.loading import fetch, import_data, load, used
from coursekit.datasets.registry import names

__all__ = [
    "Dataset",
    "Status",
    "cache_dir",
    "fetch",
    "import_data",
    "load",
    "names",
    "status",
    "used",
    "verify",
]
