"""`class release`: the exercises as learners get them, without a solution or a link to one."""

from __future__ import annotations

import copy
import hashlib
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from coursekit import __version__
from coursekit.base.environment import ROOT, inherited
from coursekit.base.files import write_whole
from coursekit.course.classroom.masters import exercises
from coursekit.course.notebooks import catalogue
from coursekit.course.notebooks.cells import named
from coursekit.course.notebooks.convert import STUB, digest, to_text
from coursekit.errors import ArgumentError

_ITEM_ON_SOLUTIONS = re.compile(r"^- (?:(?!^- |^$).)*?solutions/.*?(?=^- |^$|\Z)", re.M | re.S)
_LINK = re.compile(r"\[([^\]]+)\]\(\.\./[^)]*\)")


def release(root: Path, wanted: Sequence[str], to: Path, *, seed: str | None = None) -> list[Path]:
    """Write the learner's version of these exercises (numbers or names) to a folder.

    Every notebook carries the course's version, the digest of its master and, with a secret seed,
    that seed's digest, by which `class grade` knows which seed it needs. What lies in the folder
    under the same name is replaced.

    Raises ArgumentError for an exercise that is not there or still holds a solution, and for a seed
    with which a check would be unfair; OSError for a folder that cannot be written.
    """
    if not wanted:
        raise ArgumentError("release: expected the numbers of exercises, such as 08 09; got none.")
    chosen = catalogue.choose(list(wanted), exercises(root))
    if seed is not None:
        _prove(seed, [notebook.name[:2] for notebook in chosen])
    ready = []
    for notebook in chosen:
        nb = nbformat.reads(notebook.path.read_text(encoding="utf-8"), as_version=4)
        ready.append((to / notebook.path.name, to_text(for_learners(nb, notebook.name, seed))))
    for path, text in ready:
        write_whole(path, text)
    return [path for path, _ in ready]


def for_learners(nb: NotebookNode, name: str, seed: str | None = None) -> NotebookNode:
    """Return an exercise as learners get it: stamped, with nothing that leads to a solution.

    Raises ArgumentError where a task's cell is not a stub or the word still leads to a solution.
    """
    nb = copy.deepcopy(nb)
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = _LINK.sub(r"\1", _ITEM_ON_SOLUTIONS.sub("", cell.source)).strip()
        else:
            cell.outputs, cell.execution_count = [], None
        if named(cell, "task") and STUB not in cell.source:
            raise ArgumentError(f"exercise {name}: the cell of task {named(cell, 'task')!r} is no "
                                "stub; build the exercise anew.")  # fmt: skip
        if "solutions/" in cell.source:
            raise ArgumentError(f"exercise {name}: a text leads to the solution; name it in a list "
                                "item of its own, so that it can be left out.")  # fmt: skip
    made_from = nb.metadata.get("coursekit", {})
    nb.metadata["coursekit"] = {
        "source": made_from.get("source", f"sources/exercises/{name}.py"),
        "sha256": made_from.get("sha256", digest(str(nb.cells))),
        "version": __version__,
    }
    if seed is not None:
        nb.metadata["coursekit"]["seed"] = seed_digest(seed)
    return nb


def _prove(seed: str, numbers: Sequence[str]) -> None:
    """Refuse a seed whose inputs make a check reject a right answer or accept a wrong one."""
    done = subprocess.run(
        [sys.executable, "-m", "coursekit.course.classroom.seeds", *numbers],
        env=inherited() | {"COURSEKIT_CHECK_SEED": seed, "PYTHONPATH": str(ROOT)},
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    if done.returncode != 0:
        told = (done.stdout or done.stderr).strip().splitlines() or ["its checks do not run"]
        raise ArgumentError(f"--seed: choose another word. With this one {told[-1]}")


def seed_digest(seed: str) -> str:
    """Return what tells one secret seed from another and does not betray it.

    >>> seed_digest("tulip") == seed_digest("tulip"), seed_digest("tulip") == seed_digest("rose")
    (True, False)
    """
    return hashlib.scrypt(seed.encode(), salt=b"coursekit release", n=2**14, r=8, p=1).hex()[:16]
