"""Do a notebook's claims hold elsewhere too: with other seeds, sizes, data and roundings?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product

import nbformat
from rich.console import Console
from rich.table import Table

from coursekit.base.environment import PROFILES
from coursekit.base.machine import THREAD_VARIABLES
from coursekit.course.notebooks.catalogue import Notebook
from coursekit.course.notebooks.execute import CELL_TIMEOUT, execute
from coursekit.course.notebooks.run import progress
from coursekit.datasets.registry import replaced
from coursekit.errors import ArgumentError

DATA = ("embedded", "real")
_WHOLE = "the notebook runs to its end"


@dataclass(frozen=True)
class Setting:
    """One way of running a notebook: profile, data, number of threads (None: as found), seed."""

    profile: str
    data: str
    threads: int | None
    seed: int

    def __str__(self) -> str:
        threads = f", {self.threads} thread{'s'[: self.threads - 1]}" if self.threads else ""
        return f"{self.profile}, {self.data} data{threads}, seed +{self.seed}"

    @contextmanager
    def variables(self) -> Iterator[dict[str, str]]:
        """Yield what the kernel's environment must hold for it."""
        found = {"COURSEKIT_SEED_OFFSET": str(self.seed), "COURSEKIT_COLLECT_CLAIMS": "1"}
        if self.threads:
            found |= dict.fromkeys(THREAD_VARIABLES, str(self.threads))
        with tempfile.TemporaryDirectory(prefix="coursekit-") as empty:
            if self.data == "embedded":
                found |= {"COURSEKIT_DATA": empty, "COURSEKIT_OFFLINE": "1"}
            yield found


@dataclass
class Tally:
    """How often a claim held: the settings under which it was seen, with the numbers."""

    notebook: Notebook
    claim: str
    numbers: dict[Setting, tuple[bool, str]] = field(default_factory=dict)

    @property
    def held(self) -> int:
        """The number of settings under which it held."""
        return sum(holds for holds, _ in self.numbers.values())


def settings(
    *,
    profiles: Sequence[str],
    data: Sequence[str],
    threads: Sequence[str | None],
    seeds: int,
) -> list[Setting]:
    """Return every combination.

    Raises ArgumentError for an unknown profile or kind of data, and threads that are no number.
    """
    for name, given, known in (("--profile", profiles, PROFILES), ("--data", data, DATA)):
        for each in given:
            if each not in known:
                raise ArgumentError(f"{name}: expected {', '.join(known)}, got {each!r}.")
    for each in threads:
        if each is not None and not (each.isdecimal() and int(each) > 0):
            raise ArgumentError(f"--threads: expected whole numbers from 1 up, got {each!r}.")
    counts = [int(each) if each is not None else None for each in threads]
    return [Setting(*each) for each in product(profiles, data, counts, range(seeds))]


def examine(
    notebooks: Sequence[Notebook],
    wanted: Sequence[Setting],
    *,
    console: Console,
    timeout: int = CELL_TIMEOUT,
) -> list[Tally]:
    """Run every notebook under every setting, and return a tally for each of its claims.

    A claim does not hold where the notebook fails before it comes to it.
    """
    tallies: dict[tuple[Notebook, str], Tally] = {}
    with progress(console) as on_cell:
        for notebook, setting in product(notebooks, wanted):
            nb = nbformat.read(notebook.path, as_version=4)
            with setting.variables() as variables:
                outcome = execute(
                    nb,
                    profile=setting.profile,
                    timeout=timeout,
                    variables=variables,
                    on_cell=lambda done, total, label=notebook.label: on_cell(label, done, total),
                )
            ended = (_WHOLE, outcome.failure is None, outcome.failure or f"{outcome.seconds:.0f} s")
            lost = 0
            for claim, holds, measured in [ended, *outcome.proved]:
                tally = tallies.setdefault((notebook, claim), Tally(notebook, claim))
                tally.numbers[setting] = (holds, measured)
                lost += not holds
            told = f"{lost} claims did not hold" if lost else "all claims held"
            if setting.data == "real" and replaced(outcome.data):
                told += " (the real data are absent: on stand-ins)"
            console.print(f"{notebook.label} · {setting}: {told}", markup=False, soft_wrap=True)
    return list(tallies.values())


def table(tallies: Sequence[Tally]) -> Table:
    """Return a row for each claim: how often it held, and the numbers where it did not.

    Where it held every time, the numbers are those of the first run.
    """
    shown = Table(title="How often each claim held")
    shown.add_column("notebook", overflow="fold")
    shown.add_column("claim", overflow="fold")
    shown.add_column("held", justify="right", no_wrap=True)
    shown.add_column("numbers", overflow="fold")
    runs: dict[Notebook, int] = {}
    for tally in tallies:
        runs[tally.notebook] = max(runs.get(tally.notebook, 0), len(tally.numbers))
    for tally in tallies:
        bad = [f"✘ {s}: {told}" for s, (holds, told) in tally.numbers.items() if not holds]
        first = next(iter(tally.numbers.values()))[1]
        held = f"{tally.held} of {runs[tally.notebook]}"
        name = tally.notebook.label.removesuffix(".ipynb")
        shown.add_row(name, tally.claim, held, "\n".join(bad) or first)
    return shown
