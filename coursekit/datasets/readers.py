"""From files to arrays: the IDX files of MNIST, the binary batches of CIFAR-10, single images.

No pickle is ever loaded: loading one runs code from the file.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib

import numpy as np

from coursekit.datasets.archives import Members, Tar
from coursekit.datasets.arrays import Arrays
from coursekit.datasets.registry import DATASETS, IDX_FILES, DatasetSpec, RemoteFile
from coursekit.errors import DataError

CIFAR_TRAIN = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
CIFAR_TEST = "test_batch.bin"
_CIFAR_RECORD = 1 + 32 * 32 * 3
_CIFAR_MAX = 50_000 * _CIFAR_RECORD


def unpack(data: bytes, limit: int, label: str) -> bytes:
    """The content of a gzip file, or `data` itself where it is not one.

    DataError if it is damaged or holds more than `limit` bytes.

    >>> unpack(gzip.compress(b"ink"), 100, "a.gz"), unpack(b"ink", 100, "a")
    (b'ink', b'ink')
    """
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            content = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{label} is damaged or cut short ({error})") from error
    if len(content) > limit:
        raise DataError(f"{label} unpacks to more than {limit:,} bytes, more than it can hold")
    return content


def is_official(file: RemoteFile, data: bytes, content: bytes) -> bool:
    """True if the file as published, or what it holds, has the published SHA-256."""
    if hashlib.sha256(data).hexdigest() == file.sha256:
        return True
    return file.content_sha256 == hashlib.sha256(content).hexdigest()


def read_idx(content: bytes, label: str) -> np.ndarray:
    """Parse an IDX file of bytes: two zeros, type 8, the number of axes, their big-endian sizes.

    >>> read_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]), "labels").tolist()
    [7, 8, 9]
    """
    if len(content) < 4 or content[:3] != b"\0\0\x08" or not 1 <= content[3] <= 3:
        raise DataError(f"{label} is not an IDX file of bytes: it begins with {content[:4]!r}")
    n_axes = content[3]
    start = 4 + 4 * n_axes
    if len(content) < start:
        raise DataError(f"{label} is cut short in its header")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", n_axes, 4))
    expected = start + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise DataError(
            f"{label} has {len(content):,} bytes where its header {shape} asks for {expected:,}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_cifar_batch(content: bytes, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Parse a CIFAR-10 binary batch: records of a label byte and R, G, B planes of 32×32.

    Returns uint8 images of shape (n, 32, 32, 3) and labels of shape (n,).
    """
    if not content or len(content) % _CIFAR_RECORD:
        raise DataError(
            f"{label} has {len(content):,} bytes, not a multiple of {_CIFAR_RECORD:,} as a "
            "CIFAR-10 binary batch does"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _CIFAR_RECORD)
    planes = records[:, 1:].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].copy()


def read_published(spec: DatasetSpec, members: Members) -> tuple[Arrays, bool] | None:
    """Look for the published files of a data set; give its arrays and whether they are official.

    None where there is no such file at all; DataError where some are missing or damaged.
    """
    names = members.names()
    if spec.files[0].name.endswith("-ubyte.gz"):
        found = _read_idx_files(spec, members, names)
    else:
        found = _read_cifar_files(spec, members, names)
    if found is not None:
        check_arrays(spec, found[0], members.label)
    return found


def check_arrays(spec: DatasetSpec, arrays: Arrays, label: str) -> None:
    """DataError unless images and labels fit each other and the data set."""
    for part in ("train", "test"):
        x, y = getattr(arrays, f"x_{part}"), getattr(arrays, f"y_{part}")
        if x.shape[1:] != spec.shape or y.ndim != 1:
            raise DataError(
                f"{label}: the {part} images have shape {x.shape[1:]}, those of {spec.name} "
                f"have {spec.shape}"
            )
        if len(x) != len(y) or not len(x):
            raise DataError(f"{label}: {len(x):,} {part} images, but {len(y):,} labels")
        if y.max() >= len(spec.class_names):
            raise DataError(
                f"{label}: a {part} label is {y.max()}, the highest of {spec.name} is "
                f"{len(spec.class_names) - 1}"
            )


def _read_idx_files(
    spec: DatasetSpec, members: Members, names: list[str]
) -> tuple[Arrays, bool] | None:
    candidates: dict[str, list[str]] = {wanted: [] for wanted in IDX_FILES}
    for name in names:
        # Some copies are spelled train-images.idx3-ubyte.
        stem = _base(name).removesuffix(".gz").replace(".idx", "-idx")
        if stem in candidates:
            candidates[stem].append(name)
    _check_complete(candidates, members.label)
    if not any(candidates.values()):
        return None
    parts, official = [], True
    for file, wanted in zip(spec.files, IDX_FILES, strict=True):
        # A mirror holds several data sets under the same names: its own folder comes first.
        mine = sorted(candidates[wanted], key=lambda name: spec.name not in name.split("/"))
        content, is_published = _read_one(spec, file, members, mine[0])
        parts.append(read_idx(content, mine[0]))
        official &= is_published
    x_train, y_train, x_test, y_test = parts
    return Arrays(x_train, y_train, x_test, y_test), official


def _read_one(
    spec: DatasetSpec, file: RemoteFile, members: Members, name: str
) -> tuple[bytes, bool]:
    data = members.read(name, file.max_bytes)
    content = unpack(data, file.max_bytes, name)
    for other in DATASETS.values():
        if other is not spec and any(is_official(f, data, content) for f in other.files):
            raise DataError(f"{name} in {members.label} belongs to {other.name}, not {spec.name}")
    return content, is_official(file, data, content)


def _check_complete(candidates: dict[str, list[str]], label: str) -> None:
    missing = [wanted for wanted, found in candidates.items() if not found]
    if missing and len(missing) < len(candidates):
        raise DataError(f"{label} lacks {', '.join(missing)}")


def _read_cifar_files(
    spec: DatasetSpec, members: Members, names: list[str]
) -> tuple[Arrays, bool] | None:
    (archive,) = spec.files
    for name in names:
        base = _base(name)
        if base == archive.name:
            data = members.read(name, archive.max_bytes)
            with Tar(io.BytesIO(data), base) as inside:
                return _read_cifar_files(spec, inside, inside.names())
        if base == "cifar-10-python.tar.gz" or name.startswith("cifar-10-batches-py/"):
            raise DataError(
                f"{members.label} holds the Python version of CIFAR-10, a pickle, which could "
                f"run any code when loaded; the binary version, {archive.name}, is needed"
            )
    batches = {
        wanted: [name for name in names if _base(name) == wanted]
        for wanted in (*CIFAR_TRAIN, CIFAR_TEST)
    }
    _check_complete(batches, members.label)
    if not any(batches.values()):
        return None
    read = {
        wanted: read_cifar_batch(members.read(found[0], _CIFAR_MAX), wanted)
        for wanted, found in batches.items()
    }
    x_train = np.concatenate([read[wanted][0] for wanted in CIFAR_TRAIN])
    y_train = np.concatenate([read[wanted][1] for wanted in CIFAR_TRAIN])
    return Arrays(x_train, y_train, *read[CIFAR_TEST]), members.sha256() == archive.sha256


def _base(name: str) -> str:
    return name.rsplit("/", 1)[-1]
