"""The cache on disk: uint8 arrays that are mapped, not read, with a manifest that vouches for them.

    <cache>/<name>/<source>/manifest.json     shapes and SHA-256 of the arrays, the folder in use
    <cache>/<name>/<source>/files-<random>/   x_train.npy, y_train.npy, x_test.npy, y_test.npy

A set appears when its manifest is renamed into place, after the arrays are safely on disk; so it
is there as a whole or not at all. An array is hashed again only when its file was touched since
it was last found right.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coursekit.base.files import write_whole
from coursekit.datasets.arrays import Arrays
from coursekit.errors import DataError

_FORMAT = 1
_REQUIRED = {"x_train", "y_train", "x_test", "y_test"}
_ALLOWED = {*_REQUIRED, "groups"}
_ENTRY = {"sha256", "size", "mtime_ns", "shape", "dtype"}
_STALE_SECONDS = 600
_found_right: set[tuple[str, int, int]] = set()


class DamagedCacheError(DataError):
    """A cached set whose files are not what was stored."""


class UnwritableCacheError(DataError):
    """A cache folder that takes no new files: read-only, full, or not a folder at all."""


@dataclass(frozen=True)
class Cached:
    """A set as found in the cache: its arrays, their joint digest and their size on disk."""

    arrays: Arrays
    digest: str
    size: int


def cache_dir() -> Path:
    """The folder of the cache: `COURSEKIT_DATA`, or the user's cache folder on this system."""
    chosen = os.environ.get("COURSEKIT_DATA")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("coursekit", appauthor=False) / "data"


def digest_of(arrays: Arrays) -> str:
    """SHA-256 over the bytes of all arrays."""
    return _joint({name: _sha256(array) for name, array in arrays.items().items()})


def open_cached(
    name: str, source: str, *, recipe: int = 0, thorough: bool = False
) -> Cached | None:
    """Map a cached set, or give None where there is none (or one made by another recipe).

    Sizes and headers are checked each time, hashes where a file was touched, all of them if
    `thorough`. Raises DamagedCacheError.
    """
    home = cache_dir() / name / source
    manifest = _read_manifest(home, name)
    while manifest is not None and manifest["recipe"] == recipe:
        try:
            return _open(home, manifest, name, thorough)
        except DamagedCacheError:
            # Another process may have put a new set in place since the manifest was read.
            again = _read_manifest(home, name)
            if again is not None and again["folder"] == manifest["folder"]:
                raise
            manifest = again
    return None


def store(name: str, source: str, arrays: Arrays, *, recipe: int = 0) -> Cached:
    """Write a set into the cache and map it. Raises UnwritableCacheError; then nothing is left."""
    home = cache_dir() / name / source
    folder = home / f"files-{secrets.token_hex(6)}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        replaced = _sweep(home)
        try:
            folder.mkdir()
            manifest = {
                "format": _FORMAT,
                "recipe": recipe,
                "folder": folder.name,
                "arrays": {
                    key: _write(folder, key, array) for key, array in arrays.items().items()
                },
            }
            write_whole(home / "manifest.json", json.dumps(manifest, indent=1))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    except OSError as error:
        raise UnwritableCacheError(_why_unwritable(name, arrays, error)) from error
    if replaced is not None:
        shutil.rmtree(replaced, ignore_errors=True)
    # Perhaps another process has put its own in place since, and taken this one away.
    found = open_cached(name, source, recipe=recipe)
    assert found is not None, "a manifest of this recipe has just been written"
    return found


def _why_unwritable(name: str, arrays: Arrays, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        need = sum(array.nbytes for array in arrays.items().values()) / 1e6
        return (
            f"the disk is full: {name} needs {need:,.0f} MB in {cache_dir()}; "
            "free some space or point COURSEKIT_DATA to another folder"
        )
    return (
        f"the cache folder {cache_dir()} cannot be written ({error.strerror or error}); "
        "point COURSEKIT_DATA to a folder that can"
    )


def _open(home: Path, manifest: dict[str, Any], name: str, thorough: bool) -> Cached:
    arrays, size, touched = {}, 0, False
    for key, entry in manifest["arrays"].items():
        path = home / manifest["folder"] / f"{key}.npy"
        try:
            stat = path.stat()
            if stat.st_size != entry["size"]:
                raise ValueError(f"has {stat.st_size:,} bytes instead of {entry['size']:,}")
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            if list(array.shape) != entry["shape"] or array.dtype.str != entry["dtype"]:
                raise ValueError("has another header than when it was stored")
            seen = (str(path), stat.st_size, stat.st_mtime_ns)
            known = stat.st_mtime_ns == entry["mtime_ns"] or seen in _found_right
            if thorough or not known:
                if _sha256(array) != entry["sha256"]:
                    raise ValueError("has another hash than when it was stored")
                _found_right.add(seen)
        except FileNotFoundError:
            raise _damaged(name, home, f"{key}.npy is missing") from None
        except ValueError as error:
            raise _damaged(name, home, f"{key}.npy {error}") from None
        except OSError as error:
            raise _unreadable(name, home, error) from error
        arrays[key] = array
        size += stat.st_size
        touched |= stat.st_mtime_ns != entry["mtime_ns"]
        entry["mtime_ns"] = stat.st_mtime_ns
    if touched:
        _keep_stamps(home, manifest)
    digest = _joint({key: entry["sha256"] for key, entry in manifest["arrays"].items()})
    return Cached(Arrays(**arrays), digest, size)


def _damaged(name: str, home: Path, what: str) -> DamagedCacheError:
    remedy = "import" if home.name == "imported" else "fetch"
    path = " PATH" if remedy == "import" else ""
    return DamagedCacheError(
        f"the cached {name} ({home.name}) is damaged: {what}; "
        f"`python -m coursekit data {remedy} {name}{path}` replaces it"
    )


def _unreadable(name: str, home: Path, error: OSError) -> DamagedCacheError:
    return DamagedCacheError(
        f"the cached {name} ({home.name}) cannot be read ({error.strerror or error}); see to the "
        f"permissions in {cache_dir()}, or point COURSEKIT_DATA to another folder"
    )


def _read_manifest(home: Path, name: str) -> dict[str, Any] | None:
    try:
        text = (home / "manifest.json").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(name, home, error) from error
    try:
        manifest = json.loads(text)
        if manifest["format"] != _FORMAT:
            return None
        whole = (
            {"recipe", "folder", "arrays"} <= manifest.keys()
            and Path(manifest["folder"]).name == manifest["folder"]
            and _REQUIRED <= manifest["arrays"].keys() <= _ALLOWED
            and all(entry.keys() == _ENTRY for entry in manifest["arrays"].values())
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise _damaged(name, home, "manifest.json is not a manifest")
    return manifest


def _keep_stamps(home: Path, manifest: dict[str, Any]) -> None:
    """Note that the touched files were found right; a read-only cache just checks again."""
    try:
        current = _read_manifest(home, "")
        if current is not None and current["folder"] == manifest["folder"]:
            write_whole(home / "manifest.json", json.dumps(manifest, indent=1))
    except (OSError, DataError):
        pass


def _write(folder: Path, key: str, array: np.ndarray) -> dict[str, Any]:
    path = folder / f"{key}.npy"
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    stat = path.stat()
    return {
        "sha256": _sha256(array),
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "shape": list(array.shape),
        "dtype": array.dtype.str,
    }


def _sweep(home: Path) -> Path | None:
    """Remove what a killed process left, once it is surely dead; give the folder in use."""
    try:
        manifest = _read_manifest(home, "")
    except DamagedCacheError:
        return None
    in_use = home / manifest["folder"] if manifest else None
    for path in (*home.glob("files-*"), *home.glob(".manifest.json.*.part")):
        if path != in_use and not _is_young(path):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    return in_use


def _is_young(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < _STALE_SECONDS
    except OSError:
        return True


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()


def _joint(hashes: dict[str, str]) -> str:
    text = ",".join(f"{key}={hashes[key]}" for key in sorted(hashes))
    return hashlib.sha256(text.encode()).hexdigest()
