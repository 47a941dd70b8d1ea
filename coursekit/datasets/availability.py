"""What is in the cache, for `data list`, `data verify` and the doctor; no network, no making."""

from __future__ import annotations

from dataclasses import dataclass

from coursekit.datasets import cache, embedded
from coursekit.datasets.cache import Cached
from coursekit.datasets.registry import DATASETS, DatasetSpec


@dataclass(frozen=True)
class Status:
    """What `load(name)` would give now without any download.

    `source` is "official", "imported" or "embedded"; `images` counts training and test; `size` is
    bytes on disk; `note` says what is wrong or what to do, and is empty when all is well.
    """

    name: str
    source: str
    images: int
    size: int
    note: str = ""


def status() -> list[Status]:
    """What is there of every data set; touches no network and makes nothing."""
    return [status_of(spec) for spec in DATASETS.values()]


def verify() -> list[Status]:
    """Hash everything in the cache again; one entry for each cached set, damage in its `note`."""
    found = []
    for spec in DATASETS.values():
        for source in spec.sources:
            try:
                cached = cache.open_cached(spec.name, source, recipe=spec.recipe, thorough=True)
            except cache.DamagedCacheError as error:
                found.append(Status(spec.name, source, 0, 0, str(error)))
            else:
                if cached is not None:
                    found.append(_present(spec.name, source, cached))
    return found


def status_of(spec: DatasetSpec) -> Status:
    """What is there of one data set."""
    notes = []
    for source in spec.sources:
        try:
            cached = cache.open_cached(spec.name, source, recipe=spec.recipe)
        except cache.DamagedCacheError as error:
            notes.append(str(error))
            continue
        if cached is not None:
            return _present(spec.name, source, cached, "; ".join(notes))
    if spec.stand_in is not None:
        notes.append(
            f"'{spec.stand_in}' stands in; `python -m coursekit data fetch {spec.name}` or "
            f"`data import {spec.name} PATH` brings the real images"
        )
    images_there = embedded.n_images(spec.stand_in or spec.name)
    return Status(spec.name, "embedded", images_there, 0, "; ".join(notes))


def _present(name: str, source: str, cached: Cached, note: str = "") -> Status:
    return Status(name, source, cached.arrays.n_images, cached.size, note)
