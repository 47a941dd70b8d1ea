"""Finds the submissions in a folder or zip: whose they are, and which one counts."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from coursekit.errors import ArgumentError

_MOST_FILES = 20_000
_MOST_BYTES = 50 * 1024**2
_PASSED_OVER = ("__MACOSX", ".ipynb_checkpoints", "__pycache__")
_NUMBER_IN_NAME = re.compile(r"(?<![^\W_])(?:exercises?[_\- ]*)?\d{1,2}(?![^\W_])", re.I)


@dataclass(frozen=True)
class Submission:
    """One file: its learner, its path within what was handed in, and its bytes."""

    learner: str
    file: str
    data: bytes


def find(path: Path, names: tuple[str, ...]) -> list[Submission]:
    """Return every notebook in a folder or zip, sorted by learner and file.

    A folder at the top is one learner's; a file at the top holds the learner's name beside that of
    the exercise, one of `names`. Raises ArgumentError where nothing is there.
    """
    if path.is_dir():
        found = list(_in_folder(path))
    elif path.is_file() and zipfile.is_zipfile(path):
        found = list(_in_zip(path))
    elif path.exists():
        raise ArgumentError(f"SUBMISSIONS: expected a folder or a zip; {path} is neither.")
    else:
        raise ArgumentError(f"SUBMISSIONS: there is no {path}; expected a folder or a zip.")
    found = _without_common_folder(found)
    submissions = [Submission(_learner(file, names), file.as_posix(), data) for file, data in found]
    if not submissions:
        raise ArgumentError(
            f"SUBMISSIONS: no notebook in {path}; expected a folder for each learner with .ipynb "
            "files in it, or files that are named after learner and exercise."
        )
    return sorted(submissions, key=lambda s: (s.learner, s.file))


Found = tuple[PurePosixPath, bytes]


def _wanted(path: PurePosixPath) -> bool:
    passed = any(part in _PASSED_OVER or part.startswith("._") for part in path.parts)
    return path.suffix.lower() == ".ipynb" and not passed


def _in_folder(folder: Path) -> Iterator[Found]:
    for path in sorted(folder.rglob("*")):
        inside = PurePosixPath(path.relative_to(folder).as_posix())
        if not _wanted(inside) or path.is_symlink() or not path.is_file():
            continue
        yield inside, b"" if path.stat().st_size > _MOST_BYTES else path.read_bytes()


def _in_zip(path: Path) -> Iterator[Found]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > _MOST_FILES:
            raise ArgumentError(f"SUBMISSIONS: {path} holds more than {_MOST_FILES:,} files.")
        for member in members:
            inside = PurePosixPath(_name(member))
            if member.is_dir() or not _wanted(inside):
                continue
            inside = PurePosixPath(*(p for p in inside.parts if p not in ("/", "..")))
            yield inside, _content(archive, member)


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member's bytes; nothing where it is damaged, locked or far too large."""
    if member.file_size > _MOST_BYTES:
        return b""
    try:
        with archive.open(member) as file:
            return file.read(_MOST_BYTES)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError):
        return b""


def _name(member: zipfile.ZipInfo) -> str:
    """Return a member's name; Windows writes Hangul in its own code and does not say so."""
    name = member.filename
    if not member.flag_bits & 0x800:
        for code in ("utf-8", "cp949"):
            try:
                return name.encode("cp437").decode(code)
            except UnicodeError:
                continue
    return name


def _without_common_folder(found: list[Found]) -> list[Found]:
    """Leave out a folder that all others lie in, as `submissions/` in a zip."""
    tops = {file.parts[0] for file, _ in found}
    if len(tops) == 1 and all(len(file.parts) > 2 for file, _ in found):
        return _without_common_folder(
            [(PurePosixPath(*file.parts[1:]), data) for file, data in found]
        )
    return found


def _learner(file: PurePosixPath, names: tuple[str, ...]) -> str:
    if len(file.parts) > 1:
        return file.parts[0]
    stem = file.stem
    for name in sorted(names, key=len, reverse=True):
        if name in stem:
            parts = stem.split(name, 1)
            break
    else:
        parts = _NUMBER_IN_NAME.split(stem, maxsplit=1)
    return "_".join(filter(None, (part.strip(" _-.()") for part in parts))) or stem
