"""What lessons were measured to need: the seconds of each cell, the memory, the pace of a training.

A built notebook knows the seconds of its long cells and its peak memory in the profile standard.
`sources/plans/measured.json` holds the seconds of all code cells, by their ids, and the peak memory
in quick; `pace` is how many steps a second `check` trained on the machine that measured.
`python tools/measure_lessons.py` renews the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from coursekit.base.files import write_whole
from coursekit.course.notebooks.catalogue import built
from coursekit.errors import CourseError

FILE = "sources/plans/measured.json"


@dataclass(frozen=True)
class Lesson:
    """What one lesson needed in quick: the seconds of each code cell by its id, and MB at most."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_mb: float = 0.0


@dataclass(frozen=True)
class Measured:
    """All that was measured: lessons by name; `pace` in training steps a second, or None."""

    lessons: Mapping[str, Lesson] = field(default_factory=dict)
    pace: float | None = None


def largest(root: Path) -> tuple[str, float] | None:
    """Return the label and peak memory (MB) of the notebook that needs most; None if unknown.

    Solutions count with the lessons: a learner runs both.
    """
    peaks = {f"notebooks/{name}": each.peak_mb for name, each in read(root).lessons.items()}
    for notebook in built(root, ["notebooks", "solutions"]):
        note = nbformat.read(notebook.path, as_version=4).metadata.get("coursekit", {})
        label = notebook.label.removesuffix(".ipynb")
        peaks[label] = max(peaks.get(label, 0.0), note.get("peak_mb", 0.0))
    found = max(peaks.items(), key=lambda item: item[1], default=("", 0.0))
    return found if found[1] else None


def read(root: Path) -> Measured:
    """Return what is written down; nothing where there is no file.

    Raises CourseError for a file that is not what `write` has written.
    """
    try:
        found = json.loads((root / FILE).read_text(encoding="utf-8"))
        lessons = {
            name: Lesson(dict(each["seconds"]), float(each["peak_mb"]))
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
        "peak_mb": round(lesson.peak_mb),
    }
