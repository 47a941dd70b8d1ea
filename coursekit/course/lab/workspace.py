"""The learner's copies under `work/`: laid out, refreshed where untouched, never overwritten.

`work/.laid-out.json` holds two digests for every copy: of the course's file it was made from, and
of its cells. A copy is untouched while its cells still say the same. Running a notebook and saving
it changes the outputs only, so such a copy goes on following the course; whatever else a learner
wrote, in a cell of any kind, makes the copy the learner's own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from coursekit.base.files import write_whole
from coursekit.course.notebooks import catalogue

FOLDERS = ("notebooks", "exercises")
_PAGES = "docs/*.md"  # what notebooks link to
_MANIFEST = ".laid-out.json"


@dataclass
class Layout:
    """What `lay_out` did, as paths relative to `work/`.

    `kept` are copies that the learner changed and of which the course has another version now;
    `backups` says, for each copy set back, where the old one lies.
    """

    added: list[str] = field(default_factory=list)
    refreshed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    backups: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return what a learner should read: a line for each kind of thing done.

        >>> Layout(refreshed=["notebooks/09_rates.ipynb"]).lines()
        ['Refreshed in work/ (1, not changed by you): notebooks/09_rates.ipynb']
        """
        said = []
        if self.added:
            said.append(f"New in work/ ({len(self.added)}): {_few(self.added)}")
        if self.refreshed:
            count = len(self.refreshed)
            said.append(f"Refreshed in work/ ({count}, not changed by you): {_few(self.refreshed)}")
        if self.kept:
            said.append(
                f"Kept as you changed it, though the course has a newer version: {_few(self.kept)} "
                f"(to set one back: lab --fresh {self.kept[0].removesuffix('.ipynb')})"
            )
        said += [f"Set back: {name}; yours is {old} now" for name, old in self.backups.items()]
        return said


def lay_out(
    root: Path,
    *,
    fresh: Sequence[str] = (),
    solutions: bool = False,
    work: Path | None = None,
) -> Layout:
    """Bring the folder `work`, `root/work` by default, up to date with the course in `root`.

    `fresh` names copies to set back, by number ("9", "09"), name or path ("exercises/09_rates");
    each old one stays beside the new one under a numbered name. Solutions are laid out when asked
    for, and from then on. Raises ArgumentError for a name that fits no notebook.
    """
    work = work or root / "work"
    wanted = solutions or (work / "solutions").is_dir()
    kinds = (*FOLDERS, "solutions") if wanted else FOLDERS
    chosen = catalogue.choose(fresh, catalogue.built(root, kinds)) if fresh else []
    set_back = {notebook.label for notebook in chosen}
    laid = _read_manifest(work)
    done = Layout()
    for name in _course_files(root, kinds):
        entry = _place(name, root, work, laid.get(name), name in set_back, done)
        if entry is not None:
            laid[name] = entry
    write_whole(work / _MANIFEST, json.dumps(laid, indent=1, sort_keys=True))
    return done


def _place(
    name: str, root: Path, work: Path, laid: dict[str, str] | None, back: bool, done: Layout
) -> dict[str, str] | None:
    """Bring one copy up to date, note in `done` what was done, and return its manifest entry."""
    course, copy = (root / name).read_bytes(), work / name
    new = {"course": hashlib.sha256(course).hexdigest(), "cells": _cells(course)}
    if not copy.exists():
        write_whole(copy, course)
        done.added.append(name)
        return new
    own = copy.read_bytes()
    if back:
        if own != course:
            backup = _backup_name(copy)
            copy.rename(backup)
            write_whole(copy, course)
            done.backups[name] = backup.relative_to(work).as_posix()
        return new
    if _cells(own) not in (new["cells"], (laid or new)["cells"]):
        if laid is None or laid["course"] != new["course"]:
            done.kept.append(name)
        return laid
    if laid is not None and laid["course"] != new["course"]:
        write_whole(copy, course)
        done.refreshed.append(name)
    return new


def _course_files(root: Path, kinds: Sequence[str]) -> list[str]:
    paths = [path for kind in kinds for path in sorted((root / kind).rglob("*")) if path.is_file()]
    paths += sorted(root.glob(_PAGES))
    names = [path.relative_to(root).as_posix() for path in paths]
    return [name for name in names if "/." not in name]


def _cells(content: bytes) -> str:
    """Return a digest of what a learner may have written: kinds, texts and attachments of cells.

    Outputs and settings are left out, and so are empty cells: JupyterLab adds one when the last
    cell is run. What is no notebook counts byte by byte.
    """
    try:
        cells = [
            [cell["cell_type"], "".join(cell["source"]), cell.get("attachments")]
            for cell in json.loads(content)["cells"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return hashlib.sha256(content).hexdigest()
    written = [cell for cell in cells if cell[1].strip() or cell[2]]
    return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()


def _backup_name(copy: Path) -> Path:
    number = 1
    while (found := copy.with_name(f"{copy.stem}.old-{number}{copy.suffix}")).exists():
        number += 1
    return found


def _read_manifest(work: Path) -> dict[str, dict[str, str]]:
    """Return what was laid out; a lost or damaged list makes every differing copy the learner's."""
    try:
        found = json.loads((work / _MANIFEST).read_text(encoding="utf-8"))
        return {name: {"course": of["course"], "cells": of["cells"]} for name, of in found.items()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return {}


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown
