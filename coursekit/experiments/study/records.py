"""The study's memory on disk: one JSON file per trial, run or measured pace, whole or not at all.

A study's folder holds `records/NAME.json`, `study.json` (what was asked for) and the lock of the
study that works there.
"""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from coursekit.base.files import locked, write_whole
from coursekit.errors import DataError
from coursekit.experiments.study.jobs import Job, StudyError

FORMAT = 1
_REQUIRED = ("kind", "variant", "revision", "seed", "learning_rate", "profile", "budget", "data")
_REQUIRED_OF_A_TRAINING = ("history", "best_epoch", "validation_loss", "validation_accuracy")
_REQUIRED_OF_A_PACE = (
    *("epochs", "workers", "threads"),
    *("epoch_seconds", "seconds_per_epoch", "steps_per_second"),
)


class DamagedRecordError(DataError):
    """A record that is not what was written: cut off, changed, or of an unknown format."""


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a record; afterwards the file is there whole, or as it was before.

    Numbers that are not finite are written as null. Raises OSError, as for a full disk.
    """
    content = {"format": FORMAT, **_finite(record)}
    write_whole(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_record(path: Path) -> dict[str, Any]:
    """Return the record as it was written.

    Raises DamagedRecordError, with the reason, for anything but a whole record.
    """
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        raise DamagedRecordError(f"{path.name} is cut off or is not JSON") from None
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise DamagedRecordError(f"{path.name} is not a record of format {FORMAT}")
    content.pop("checksum", None)  # in records of earlier versions
    return content


class Store:
    """The records of one study's folder."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.records = self.folder / "records"

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make the folder and hold its lock.

        Raises StudyError for a folder that cannot be written, or that another study works in.
        """
        with ExitStack() as held:
            try:
                self.records.mkdir(parents=True, exist_ok=True)
                held.enter_context(locked(self.folder / "study.lock", wait=False))
                for part in self.records.glob(".*"):  # half written, when an earlier one was killed
                    part.unlink()
            except BlockingIOError:
                raise StudyError(
                    f"out: expected a folder where no study is at work, got {self.folder}; wait "
                    "for the other one, or choose another folder."
                ) from None
            except OSError as error:
                raise StudyError(
                    f"out: expected a folder to write to, got {self.folder} ({_reason(error)}); "
                    "choose another."
                ) from None
            yield

    def load(self) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """Return the whole records by name, and what is wrong with each damaged one."""
        whole, damaged = {}, {}
        for path in sorted(self.records.glob("[!.]*.json")):
            try:
                whole[path.stem] = self._read(path)
            except DamagedRecordError as error:
                damaged[path.stem] = str(error)
        return whole, damaged

    def save(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        """Write the job's record and return it.

        Raises StudyError when the disk is full or refuses; then nothing is left half written.
        """
        record = {**job.config(), "source": job.data.source, **result}
        self._write(self.records / f"{job.key}.json", record)
        return _finite(record)

    def forget(self, kind: str, variant: str) -> None:
        """Delete the variant's records of one kind.

        Raises StudyError when one cannot be deleted.
        """
        for path in self.records.glob(f"{kind}-{variant}-*.json"):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise StudyError(f"{path} cannot be deleted: {_reason(error)}.") from None

    def remember(self, variants: Iterable[str], seeds: Iterable[int]) -> None:
        """Add variants and seeds to the list of what was asked for."""
        before = self.asked()
        asked = list(dict.fromkeys([*before[0], *variants])), sorted({*before[1], *seeds})
        if asked != before:
            self._write(self.folder / "study.json", {"variants": asked[0], "seeds": asked[1]})

    def asked(self) -> tuple[list[str], list[int]]:
        """Return the variants and seeds asked for so far; none where the list is not readable."""
        try:
            asked = read_record(self.folder / "study.json")
            return list(asked["variants"]), list(asked["seeds"])
        except (OSError, DamagedRecordError, KeyError, TypeError):
            return [], []

    def _read(self, path: Path) -> dict[str, Any]:
        record = read_record(path)
        pace = record.get("kind") == "pace"
        required = (*_REQUIRED, *(_REQUIRED_OF_A_PACE if pace else _REQUIRED_OF_A_TRAINING))
        missing = [name for name in required if name not in record]
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


class Found:
    """What a folder held at the start; each job claims its own record."""

    def __init__(self, store: Store):
        self.whole, self._damaged = store.load()

    def claim(self, job: Job) -> tuple[dict[str, Any] | None, str]:
        """Return the job's record, or None with what is wrong with the one under its name.

        "" where there is none. What has been claimed is not told again.
        """
        told = self._damaged.pop(job.key, "")
        record = self.whole.pop(job.key, None)
        if record is None:
            return None, told
        other = differences(record, job.config())
        if other:
            return None, f"{job.key}.json has another {' and another '.join(other)}"
        return record, ""


def differences(record: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Return the names of the settings in which a record differs from the expected ones.

    >>> differences({"seed": 1, "profile": "full"}, {"seed": 1, "profile": "quick"})
    ['profile']
    """
    plain = json.loads(json.dumps(expected))
    return [name.replace("_", " ") for name in plain if record.get(name) != plain[name]]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _reason(error: OSError) -> str:
    return "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror).lower()
