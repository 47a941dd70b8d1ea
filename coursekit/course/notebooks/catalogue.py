"""Which notebooks there are, where they lie, and which ones a user means by "09"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from coursekit.errors import ArgumentError

KINDS = ("notebooks", "exercises", "solutions")
SOURCES = {"notebooks": "notebooks", "exercises": "exercises", "solutions": "exercises"}
_NAME = re.compile(r"\d\d_[a-z0-9_]+")


@dataclass(frozen=True)
class Notebook:
    """One built notebook: its kind (the name of its folder), its name and where it lies."""

    kind: str
    name: str
    path: Path

    @property
    def label(self) -> str:
        """The name that messages and tables use.

        >>> Notebook("notebooks", "09_rates", Path("notebooks/09_rates.ipynb")).label
        'notebooks/09_rates.ipynb'
        """
        return f"{self.kind}/{self.name}.ipynb" if self.kind else self.path.as_posix()


def source_of(notebook: Notebook) -> str:
    """Return the path of a notebook's source, relative to the repository.

    >>> source_of(Notebook("solutions", "09_rates", Path("solutions/09_rates.ipynb")))
    'sources/exercises/09_rates.py'
    """
    return f"sources/{SOURCES[notebook.kind]}/{notebook.name}.py"


def names_of_sources(root: Path, kind: str) -> list[str]:
    """Return the names of a kind's sources in order; raise ArgumentError for an unfit file name."""
    names = sorted(path.stem for path in (root / "sources" / SOURCES[kind]).glob("*.py"))
    for name in names:
        if not _NAME.fullmatch(name):
            raise ArgumentError(
                f"sources/{SOURCES[kind]}/{name}.py: expected a name of two digits, an underscore "
                "and lower-case words, such as 09_learning_rate_schedules.py."
            )
    return names


def built(root: Path, kinds: Iterable[str] = KINDS) -> list[Notebook]:
    """Return the built notebooks of these kinds, ordered by kind and name."""
    return [
        Notebook(kind, path.stem, path)
        for kind in KINDS
        if kind in set(kinds)
        for path in sorted((root / kind).glob("*.ipynb"))
    ]


def from_sources(root: Path) -> list[Notebook]:
    """Return every notebook that the sources ask for, built or not."""
    return [
        Notebook(kind, name, root / kind / f"{name}.ipynb")
        for kind in KINDS
        for name in names_of_sources(root, kind)
    ]


def choose(
    wanted: Sequence[str], there: Sequence[Notebook], *, files: bool = False
) -> list[Notebook]:
    """Return the notebooks meant by numbers, names or paths; all for an empty list.

    A number is "9" or "09", of one kind "notebooks/09".

    `files=True` also accepts the path of a notebook outside the course's folders, such as a
    learner's copy. Raises ArgumentError for what fits none, listing what there is.

    >>> there = [Notebook("notebooks", "09_rates", Path("notebooks/09_rates.ipynb"))]
    >>> [notebook.name for notebook in choose(["9"], there)]
    ['09_rates']
    >>> [notebook.name for notebook in choose(["notebooks/09"], there)]
    ['09_rates']
    """
    if not wanted:
        return list(there)
    chosen: list[Notebook] = []
    for word in wanted:
        found = [notebook for notebook in there if _means(word, notebook)]
        if not found and files and word.endswith(".ipynb") and Path(word).is_file():
            found = [Notebook("", Path(word).stem, Path(word))]
        if not found:
            names = ", ".join(sorted({notebook.name for notebook in there})) or "none"
            raise ArgumentError(f"No notebook {word!r}: there is {names}.")
        chosen += [notebook for notebook in found if notebook not in chosen]
    return chosen


def _means(word: str, notebook: Notebook) -> bool:
    kind, _, digits = word.rpartition("/")
    if digits.isdecimal():
        number = notebook.name.split("_")[0]
        return kind in ("", notebook.kind) and number.isdecimal() and int(number) == int(digits)
    if word in (notebook.name, notebook.label, notebook.label.removesuffix(".ipynb")):
        return True
    path = notebook.path.resolve()
    return Path(word).resolve() in (path, path.parents[1] / source_of(notebook))
