"""The study's memory on disk: one small JSON file per trial or run, whole or not there at all.

A folder of a study holds `records/NAME.json`, `set_aside/` (records that were damaged or no longer
fit, kept for a look), `locks/` (see `claims`) and `study.json`, the list of what was asked for.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from coursekit.errors import CourseError, DataError
from coursekit.experiments.study.jobs import Job

FORMAT = 1
_REQUIRED = ("kind", "variant", "revision", "seed", "learning_rate", "profile", "budget", "data")
_RESULTS = ("history", "best_epoch", "validation_accuracy")


class DamagedRecordError(DataError):
    """A record that is not what was written: cut off, changed, or of an unknown format."""


class StudyError(CourseError, RuntimeError):
    """A study that cannot start or go on; what is done is kept."""


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a record with a checksum; afterwards the file is there whole, or as it was before.

    Numbers that are not finite are written as null. Raises OSError, as for a full disk.
    """
    content = {"format": FORMAT, **_finite(record)}
    content["checksum"] = _checksum(content)
    write_whole(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole, or as it was before.

    Raises OSError, as for a full disk.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def read_record(path: Path) -> dict[str, Any]:
    """Return the record as it was written, without its checksum.

    Raises DamagedRecordError, with the reason, for anything but a whole record.
    """
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        raise DamagedRecordError(f"{path.name} is cut off or is not JSON") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DamagedRecordError(f"{path.name} is not a record of format {FORMAT}")
    checksum = content.pop("checksum", None)
    if checksum != _checksum(content):
        raise DamagedRecordError(f"{path.name} does not agree with its checksum")
    del content["format"]
    return content


class Store:
    """The records of one study's folder.

    Raises StudyError for a folder that cannot be made or written.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.records = self.folder / "records"
        self.aside = self.folder / "set_aside"

    def prepare(self) -> None:
        """Make the folders."""
        try:
            for folder in (self.records, self.aside, self.folder / "locks"):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(
                f"out: expected a folder to write to, got {self.folder} ({_reason(error)}); "
                "choose another."
            ) from None

    def load(self) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """Return the whole records by name, and one sentence for each damaged one."""
        whole, damaged = {}, []
        for path in sorted(self.records.glob("*.json")):
            try:
                whole[path.stem] = self._read(path)
            except FileNotFoundError:
                continue
            except DamagedRecordError as error:
                damaged.append(f"{error}.")
        return whole, damaged

    def find(self, job: Job) -> tuple[dict[str, Any] | None, list[str]]:
        """Return the job's record if there is a good one, and what had to be set aside.

        Call it only while holding the job's claim: it moves what is damaged, half written or made
        from another configuration out of the way, so that the job is done again.
        """
        told = []
        for part in self.records.glob(f".{job.key}.json.*.tmp"):
            part.unlink(missing_ok=True)
            told.append(f"The record of {job.title} was left half written: it is done again.")
        path = self.records / f"{job.key}.json"
        try:
            record = self._read(path)
        except FileNotFoundError:
            return None, told
        except DamagedRecordError as error:
            kept = self._set_aside(path)
            return None, [*told, f"{error} (kept as {kept}): {job.title} is done again."]
        other = differences(record, job.config())
        if not other:
            return record, told
        kept = self._set_aside(path)
        told.append(
            f"{path.name} has another {' and '.join(other)} (kept as {kept}): {job.title} is "
            "done again."
        )
        return None, told

    def save(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        """Write the job's record and return it.

        Raises StudyError when the disk is full or refuses; then nothing is left half written.
        """
        record = {**job.config(), "source": job.data.source, **result}
        self._write(self.records / f"{job.key}.json", record)
        return _finite(record)

    def remember(self, variants: Iterable[str], seeds: Iterable[int]) -> None:
        """Add variants and seeds to the list of what was asked for."""
        before_variants, before_seeds = self.asked()
        asked = {
            "variants": [*before_variants, *(v for v in variants if v not in before_variants)],
            "seeds": sorted({*before_seeds, *seeds}),
        }
        if (asked["variants"], asked["seeds"]) != (before_variants, before_seeds):
            self._write(self.folder / "study.json", asked)

    def asked(self) -> tuple[list[str], list[int]]:
        """Return the variants and seeds asked for so far; none where the list is not readable."""
        try:
            asked = read_record(self.folder / "study.json")
            return list(asked["variants"]), list(asked["seeds"])
        except (OSError, DamagedRecordError, KeyError, TypeError):
            return [], []

    def _read(self, path: Path) -> dict[str, Any]:
        record = read_record(path)
        missing = [name for name in (*_REQUIRED, *_RESULTS) if name not in record]
        if missing:
            raise DamagedRecordError(f"{path.name} lacks {', '.join(missing)}")
        return record

    def _write(self, path: Path, record: dict[str, Any]) -> None:
        try:
            write_record(path, record)
        except OSError as error:
            raise StudyError(
                f"{path} cannot be written: {_reason(error)}; what is done is kept. Mend that, "
                "and the same command goes on from there."
            ) from None

    def _set_aside(self, path: Path) -> str:
        number = 1
        while (target := self.aside / f"{path.stem}-{number}.json").exists():
            number += 1
        path.replace(target)
        return f"set_aside/{target.name}"


def differences(record: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Return the names of the settings in which a record differs from the expected ones.

    >>> differences({"seed": 1, "profile": "full"}, {"seed": 1, "profile": "quick"})
    ['profile']
    """
    plain = json.loads(json.dumps(expected))
    return [name.replace("_", " ") for name in plain if record.get(name) != plain[name]]


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full"
    return (error.strerror or str(error)).lower()
