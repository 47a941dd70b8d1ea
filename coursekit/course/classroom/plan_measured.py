"""What lessons were measured to need: the seconds of each cell, the memory, the pace of a training.

`sources/plans/measured.json` holds, for each lesson, the seconds of its code cells by their ids in
the profile quick and its peak memory in each profile that was measured; `pace` is how many steps a
second `check` trained on the machine that measured. A built notebook knows the seconds of its long
cells in the profile standard by itself. `python tools/measure_lessons.py` renews the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coursekit.base.files import write_whole
from coursekit.errors import CourseError

FILE = "sources/plans/measured.json"


@dataclass(frozen=True)
class Lesson:
    """What one lesson needed: seconds in quick by cell id, peak memory in MB by profile."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_mb: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """All that was measured: lessons by name; `pace` in training steps a second, or None."""

    lessons: Mapping[str, Lesson] = field(default_factory=dict)
    pace: float | None = None

    def largest(self) -> tuple[str, float] | None:
        """Return the name and peak memory (MB) of the lesson that needs most; None if unknown."""
        peaks = {
            name: max(lesson.peak_mb.values())
            for name, lesson in self.lessons.items()
            if lesson.peak_mb
        }
        return max(peaks.items(), key=lambda item: item[1]) if peaks else None


def read(root: Path) -> Measured:
    """Return what is written down; nothing where there is no file.

    Raises CourseError for a file that is not what `write` has written.
    """
    try:
        found = json.loads((root / FILE).read_text(encoding="utf-8"))
        lessons = {
            name: Lesson(dict(each["seconds"]), dict(each["peak_mb"]))
            for name, each in found["lessons"].items()
        }
        return Measured(lessons, found["pace"])
    except FileNotFoundError:
        return Measured()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CourseError(
            f"{FILE} is not as tools/measure_lessons.py writes it ({error!r}); "
            "delete it and run that tool."
        ) from error


def write(root: Path, measured: Measured) -> None:
    """Write everything down, one lesson a line, so that a diff shows what was measured anew."""
    lines = [
        f"  {json.dumps(name)}: {json.dumps(_plain(lesson), sort_keys=True)}"
        for name, lesson in sorted(measured.lessons.items())
    ]
    text = ",\n".join(lines)
    pace = json.dumps(measured.pace)
    write_whole(root / FILE, f'{{"pace": {pace}, "lessons": {{\n{text}\n}}}}\n')


def _plain(lesson: Lesson) -> dict[str, Any]:
    return {
        "seconds": {cell: round(seconds, 1) for cell, seconds in lesson.seconds.items()},
        "peak_mb": {profile: round(peak) for profile, peak in lesson.peak_mb.items()},
    }
