"""Where a data set comes from: the cache, a download, an import, or the package itself."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from coursekit.base.console import say_once
from coursekit.base.files import locked
from coursekit.base.numbers import whole_number
from coursekit.datasets import cache, download, embedded, image_folders, readers
from coursekit.datasets.archives import open_members
from coursekit.datasets.arrays import Arrays, new_part
from coursekit.datasets.availability import Status, status_of
from coursekit.datasets.cache import Cached
from coursekit.datasets.dataset import Dataset
from coursekit.datasets.progress_bar import progress
from coursekit.datasets.registry import DatasetSpec, spec_of
from coursekit.datasets.splitting import split_validation
from coursekit.errors import ArgumentError, DataError

SOURCES = ("auto", "official", "imported", "embedded")
_made: dict[str, Cached] = {}
_used: dict[str, str] = {}


def load(name: str, *, source: str = "auto", n_valid: int = 5000, seed: int = 42) -> Dataset:
    """Load a data set: "mnist", "fashion_mnist", "cifar10", "digits" or "shapes".

    `source="auto"` takes the verified cache, else downloads, else lets an embedded set stand in
    and says so. "official", "imported" and "embedded" insist on one source. `n_valid` images
    of the training part are set aside for validation, drawn by `seed` in proportion to the
    classes; copies of one original (in "digits") stay on one side.

    Raises ArgumentError for a wrong name, source or number, and DataError where the source asked
    for cannot be had.

    >>> data = load("digits", n_valid=2_000)
    >>> data.x_train.dtype.name, data.x_valid.shape, data.y_test.dtype.name
    ('float32', (2000, 28, 28), 'int32')
    """
    spec = spec_of(name)
    if source not in SOURCES:
        raise ArgumentError(f"source must be one of {', '.join(SOURCES)}, not {source!r}")
    n_valid = whole_number("n_valid", n_valid, least=0)
    seed = whole_number("seed", seed, least=0)
    shown, origin, cached = _obtain(spec, source)
    arrays = cached.arrays
    most = len(arrays.y_train) - len(shown.class_names)
    if n_valid > most:
        raise ArgumentError(
            f"n_valid must be at most {most:,} of the {len(arrays.y_train):,} training images "
            f"that {name} has here, not {n_valid:,}"
        )
    train, valid = split_validation(arrays.y_train, arrays.groups, n_valid, seed)
    # Plain views: indexing a mapped array itself would give mapped types back.
    pixels = np.asarray(arrays.x_train)
    parts = {
        "train": new_part(pixels, arrays.y_train, train),
        "valid": new_part(pixels, arrays.y_train, valid),
        "test": new_part(np.asarray(arrays.x_test), arrays.y_test),
    }
    _used[shown.name if source == "embedded" else name] = origin
    return Dataset(name, origin, shown.class_names, parts, cached.digest)


def used() -> dict[str, str]:
    """What this process has loaded: each name with its source; the headless run tells it."""
    return dict(_used)


def fetch(name: str) -> Status:
    """Download a data set into the cache (or make an embedded one); nothing if it is there."""
    spec = spec_of(name)
    if spec.embedded:
        _embedded(spec, insist=True)
        return status_of(spec)
    try:
        there = cache.open_cached(name, "official")
    except cache.DamagedCacheError as error:
        say_once(str(error))
        there = None
    if there is None:
        try:
            _download(spec, insist=True)
        except DataError as error:
            raise DataError(f"{name} cannot be fetched: {error}") from error
    return status_of(spec)


def import_data(name: str, path: str | Path) -> Status:
    """Take a data set from files at hand into the cache, once and for all.

    `path` is a folder, a zip or a tar archive with the official files (which are recognised by
    their hashes) or with images in `train/<class>/*.jpg|png` and `test/<class>/*`. DataError says
    what is missing or damaged; then nothing is changed.
    """
    spec = spec_of(name)
    if spec.embedded:
        raise ArgumentError(f"{name} comes with the package; there is nothing to import")
    with open_members(Path(path).expanduser()) as members:
        found = readers.read_published(spec, members)
        if found is None:
            with progress(image_folders.count_images(members), " images", name) as bar:
                arrays = image_folders.read_images(spec, members, bar.update)
            if arrays is None:
                files = ", ".join(file.name for file in spec.files)
                raise DataError(
                    f"{members.label} holds neither the files of {name} ({files}) nor images in "
                    "train/<class>/ and test/<class>/ (jpg or png)"
                )
            found = arrays, False
    arrays, official = found
    source = "official" if official else "imported"
    cached = cache.store(name, source, arrays)
    return Status(name, source, arrays.n_images, cached.size)


def _obtain(spec: DatasetSpec, source: str) -> tuple[DatasetSpec, str, Cached]:
    """The set that is shown (a stand-in perhaps), its source and its arrays."""
    if spec.embedded:
        if source in ("official", "imported"):
            raise ArgumentError(
                f"{spec.name} comes with the package: source must be 'auto' or 'embedded', "
                f"not {source!r}"
            )
        return spec, "embedded", _embedded(spec)
    if source == "embedded":
        shown = spec_of(str(spec.stand_in))
        return shown, "embedded", _embedded(shown)
    if source == "imported":
        there = cache.open_cached(spec.name, "imported")
        if there is None:
            raise DataError(
                f"no imported {spec.name} is here; `python -m coursekit data import {spec.name} "
                "PATH` takes it from files (official ones count as source='official')"
            )
        return spec, "imported", there
    for origin in ("official",) if source == "official" else spec.sources:
        try:
            there = cache.open_cached(spec.name, origin)
        except cache.DamagedCacheError as error:
            say_once(str(error))
            continue
        if there is not None:
            return spec, origin, there
    if spec.name in _made:
        return spec, "official", _made[spec.name]
    try:
        return spec, "official", _download(spec, again=source == "official")
    except DataError as error:
        if source == "official":
            raise DataError(
                f"the official {spec.name} cannot be had: {error}. Three ways out: "
                f"`python -m coursekit data import {spec.name} PATH` with the official files, "
                "COURSEKIT_MIRROR with an address that has them, or source='embedded'"
            ) from error
        shown = spec_of(str(spec.stand_in))
        cached = _embedded(shown)
        say_once(
            f"STAND-IN DATA: {spec.name} is replaced by the embedded '{shown.name}' "
            f"({cached.arrays.n_images:,} images): {error}.",
            key=f"stand-in {spec.name}",
        )
        return shown, "embedded", cached


def _embedded(spec: DatasetSpec, *, insist: bool = False) -> Cached:
    try:
        there = cache.open_cached(spec.name, "embedded", recipe=spec.recipe)
    except cache.DamagedCacheError as error:
        say_once(f"{error}; it is made anew now")
        there = None
    if there is None and not insist:
        there = _made.get(spec.name)
    if there is None:
        there = _kept(spec, "embedded", embedded.make(spec.name), insist=insist)
    return there


def _download(spec: DatasetSpec, *, again: bool = True, insist: bool = False) -> Cached:
    download.check_online()
    with _download_folder(spec) as folder:
        there = _official(spec)
        if there is not None:  # another process has brought it meanwhile
            return there
        filled = download.download(spec, folder, again=again)
        with open_members(filled) as members:
            found = readers.read_published(spec, members)
        if found is None or not found[1]:
            raise DataError(f"{filled} does not hold the official files of {spec.name}")
        cached = _kept(spec, "official", found[0], insist=insist)
    print(f"{spec.name}: {found[0].n_images:,} official images, verified.", flush=True)
    return cached


def _official(spec: DatasetSpec) -> Cached | None:
    try:
        return cache.open_cached(spec.name, "official")
    except cache.DamagedCacheError:
        return None


@contextmanager
def _download_folder(spec: DatasetSpec) -> Iterator[Path]:
    """A folder for files on their way, held by one process at a time; others wait for it.

    It stays after a failure, so that the next run resumes. Where none can be held, because the
    cache is read-only or its file system knows no locks, it is a temporary one of one's own.
    """
    folder = cache.cache_dir() / ".downloads" / spec.name
    with ExitStack() as held:
        if _is_writable(folder):
            try:
                lock = locked(
                    folder.with_suffix(".lock"),
                    waiting=lambda: say_once(
                        f"{spec.name}: another process is downloading it; waiting for that."
                    ),
                )
                held.enter_context(lock)
            except OSError as error:
                say_once(
                    f"{folder.parent} takes no file lock ({error.strerror or error}), so "
                    f"{spec.name} is downloaded to a temporary folder; a download that is "
                    "interrupted starts anew."
                )
            else:
                yield folder
                shutil.rmtree(folder, ignore_errors=True)
                return
        yield Path(held.enter_context(tempfile.TemporaryDirectory(prefix="coursekit-")))


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _kept(spec: DatasetSpec, source: str, arrays: Arrays, *, insist: bool) -> Cached:
    """Store arrays in the cache, or keep them in memory where that cannot be, unless `insist`."""
    try:
        return cache.store(spec.name, source, arrays, recipe=spec.recipe)
    except cache.UnwritableCacheError as error:
        if insist:
            raise
        say_once(f"{spec.name} is kept in memory only: {error}")
        _made[spec.name] = Cached(arrays, cache.digest_of(arrays), 0)
        return _made[spec.name]
