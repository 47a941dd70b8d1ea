"""Folders, zip and tar archives behind one small interface: names, and bytes by name.

Nothing is ever unpacked to disk, no name from an archive becomes a path, and every read has a
limit, so an archive can neither write outside a folder nor fill memory.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO

from coursekit.errors import DataError

MAX_MEMBERS = 250_000
MAX_TOTAL = 4 << 30  # bytes that an archive may announce

_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError)


class Members(ABC):
    """Named byte strings: the files below a folder or in an archive. Use it in a `with`."""

    def __init__(self, label: str, file: IO[bytes] | zipfile.ZipFile | None = None) -> None:
        self.label = label
        self._file = file

    @abstractmethod
    def names(self) -> list[str]:
        """All names, with `/` between folders, sorted."""

    @abstractmethod
    def _open(self, name: str) -> IO[bytes]:
        """Open one of the names for reading."""

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a name; DataError if there are more than `limit` or they are damaged."""
        try:
            with self._open(name) as file:
                data = file.read(limit + 1)
        except _BROKEN as error:
            raise DataError(f"{name} in {self.label} cannot be read ({error})") from error
        except (RuntimeError, NotImplementedError) as error:  # zipfile: encrypted, unknown method
            raise DataError(f"{name} in {self.label} cannot be unpacked ({error})") from error
        if len(data) > limit:
            raise DataError(
                f"{name} in {self.label} is larger than {limit:,} bytes, more than it can hold"
            )
        return data

    def sha256(self) -> str | None:
        """The hash of the archive itself, where it may be a published file."""
        return None

    def close(self) -> None:
        """Let go of the archive's file."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Members:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Folder(Members):
    """The files below a folder; hidden ones are passed over."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.name or str(path))
        self._path = path

    def names(self) -> list[str]:
        found = []
        for folder, subfolders, files in os.walk(self._path, onerror=_raise):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            inside = Path(folder).relative_to(self._path)
            found += [(inside / name).as_posix() for name in files if not name.startswith(".")]
            _check_count(len(found), self.label)
        return sorted(found)

    def _open(self, name: str) -> IO[bytes]:
        return (self._path / name).open("rb")


class Zip(Members):
    """The files in a zip archive."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        super().__init__(path.name, self._zip)
        files = [info for info in self._zip.infolist() if not info.is_dir()]
        _check_count(len(files), self.label)
        _check_total(sum(info.file_size for info in files), self.label)
        for info in files:
            _check_name(info.filename, self.label)
        self._infos = {info.filename: info for info in files if _is_wanted(info.filename)}

    def names(self) -> list[str]:
        return sorted(self._infos)

    def _open(self, name: str) -> IO[bytes]:
        return self._zip.open(self._infos[name])


class Tar(Members):
    """The regular files in a tar archive, compressed or not."""

    def __init__(self, file: IO[bytes], label: str) -> None:
        super().__init__(label, file)
        self._packed = file
        self._infos = {}
        total = 0
        try:
            self._tar = tarfile.open(fileobj=file)  # noqa: SIM115  (closing `file` is enough)
            for info in self._tar:
                total += info.size
                _check_total(total, label)
                _check_name(info.name, label)
                if info.isreg() and _is_wanted(info.name):
                    self._infos[info.name] = info
                    _check_count(len(self._infos), label)
        except _BROKEN as error:
            raise DataError(
                f"{label} is neither a folder nor a readable zip or tar archive ({error})"
            ) from error

    def sha256(self) -> str:
        self._packed.seek(0)
        return hashlib.file_digest(self._packed, "sha256").hexdigest()

    def names(self) -> list[str]:
        return sorted(self._infos)

    def _open(self, name: str) -> IO[bytes]:
        file = self._tar.extractfile(self._infos[name])
        assert file is not None, "a regular file has content"
        return file


def open_members(path: Path) -> Members:
    """Open a folder, a zip or a tar archive; DataError for anything else."""
    try:
        if path.is_dir():
            return Folder(path)
        if not path.exists():
            raise DataError(f"there is no file or folder {path}")
        if zipfile.is_zipfile(path):
            return Zip(path)
        file = path.open("rb")
    except _BROKEN as error:
        raise DataError(f"{path.name} cannot be read ({error})") from error
    try:
        return Tar(file, path.name)
    except DataError:
        file.close()
        raise


def _raise(error: OSError) -> None:
    raise DataError(f"the folder {error.filename} cannot be read ({error.strerror})") from error


def _is_wanted(name: str) -> bool:
    """False for hidden files and what macOS adds to a zip."""
    parts = name.split("/")
    return not any(p == "__MACOSX" or (p.startswith(".") and p != ".") for p in parts)


def _check_name(name: str, label: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if not parts[0] or ".." in parts or ":" in parts[0]:
        raise DataError(
            f"{label} holds the unsafe name {name!r}, which points outside the archive; "
            "nothing was read from it"
        )


def _check_count(count: int, label: str) -> None:
    if count > MAX_MEMBERS:
        raise DataError(f"{label} holds more than {MAX_MEMBERS:,} files; that is no data set")


def _check_total(total: int, label: str) -> None:
    if total > MAX_TOTAL:
        raise DataError(
            f"{label} unpacks to more than {MAX_TOTAL / 1e9:.1f} GB; that is no data set"
        )
