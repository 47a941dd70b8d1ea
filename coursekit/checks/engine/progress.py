"""Which tasks are done: kept in one small file for each exercise, and shown as a table."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from coursekit.base.environment import headless
from coursekit.base.files import write_whole
from coursekit.checks.engine import display
from coursekit.checks.engine.tasks import TaskList
from coursekit.checks.engine.verdict import CORRECT, CRASHED, WRONG


def progress_folder() -> Path | None:
    """Return the folder of the progress files, or None where progress must not be kept.

    That is while grading, in a headless run, and in a solution notebook: it solves every task, but
    not the learner did. Jupyter tells a kernel its notebook in JPY_SESSION_NAME.
    """
    if headless():
        return None
    if Path(os.environ.get("JPY_SESSION_NAME", "")).parent.name == "solutions":
        return None
    if chosen := os.environ.get("COURSEKIT_PROGRESS"):
        return Path(chosen).expanduser()
    return platformdirs.user_data_path("coursekit", appauthor=False) / "progress"


class ProgressStore:
    """What is done and how the last try went, for one exercise.

    A task once correct stays done. Nothing here ever raises: what goes wrong with the file becomes
    a note, said once, and the session goes on with what is in memory.
    """

    def __init__(self, number: int, folder: Path | None):
        self.number, self.folder = number, folder
        self.done: set[str] = set()
        self.last: dict[str, str] = {}
        self._notes: list[str] = []
        self._said: set[str] = set()
        self._read()

    @property
    def path(self) -> Path | None:
        """The file, or None where nothing is kept."""
        return None if self.folder is None else self.folder / f"exercise_{self.number:02}.json"

    def record(self, task: str, outcome: str) -> None:
        """Remember the outcome of one check."""
        before = (set(self.done), dict(self.last))
        self._read()  # another notebook may have written meanwhile
        self.last[task] = outcome
        if outcome == CORRECT:
            self.done.add(task)
        if before != (self.done, self.last):
            self._write()

    def notes(self) -> tuple[str, ...]:
        """Return what has not been said yet."""
        fresh, self._notes = tuple(self._notes), []
        return fresh

    def _note(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._notes.append(text)

    def _read(self) -> None:
        if self.path is None:
            return
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            done, last = set(kept["done"]), dict(kept["last"])
            if not all(isinstance(name, str) for name in [*done, *last, *last.values()]):
                raise ValueError("names expected")
        except FileNotFoundError:
            return
        except OSError:
            self._note("The progress file cannot be read: progress counts for this session only.")
        except (ValueError, TypeError, KeyError):
            aside = self.path.with_suffix(".json.damaged")
            with contextlib.suppress(OSError):
                self.path.replace(aside)
            self._note(
                f"The progress file of exercise {self.number:02} was damaged. It now lies aside as "
                f"{aside.name}, and counting starts again."
            )
        else:
            self.done |= done
            self.last = last | self.last

    def _write(self) -> None:
        if self.path is None:
            return
        kept = {"exercise": self.number, "done": sorted(self.done), "last": self.last}
        try:
            write_whole(self.path, json.dumps(kept, indent=1))
        except OSError:
            self._note(
                "Progress cannot be written: it counts for this session only. Set "
                "`COURSEKIT_PROGRESS` to a folder that can be written to keep it."
            )


@dataclass(frozen=True)
class ProgressTable:
    """The tasks of one exercise, done or open, for display."""

    title: str
    rows: tuple[tuple[str, str, str], ...]
    n_done: int
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, tasks: TaskList, store: ProgressStore) -> ProgressTable:
        """Make the table from what is asked and what is remembered."""
        rows = []
        for task in tasks:
            state = "✔ done" if task.name in store.done else "○ open"
            last = store.last.get(task.name, "")
            if last in (WRONG, CRASHED):
                state += f" (last try: {last})"
            rows.append((state, task.name, task.title))
        n_done = sum(task.name in store.done for task in tasks)
        title = f"Exercise {tasks.number:02} · {tasks.title}"
        return cls(title, tuple(rows), n_done, store.notes())

    def _foot(self) -> list[str]:
        return [f"{self.n_done} of {len(self.rows)} done", *self.notes]

    def __repr__(self) -> str:
        foot = [display.plain(line) for line in self._foot()]
        return "\n".join([self.title, display.columns(self.rows), *foot])

    def _repr_html_(self) -> str:
        foot = "".join(f"<div>{display.rich(line)}</div>" for line in self._foot())
        head = ("", "task", "")
        return f"<div><b>{display.rich(self.title)}</b>{display.table(head, self.rows)}{foot}</div>"
