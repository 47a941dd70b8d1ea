"""The study's result: tables, picture and files, from the records or from a committed summary."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursekit.base.environment import current_profile
from coursekit.base.files import write_whole
from coursekit.errors import ArgumentError, DataError
from coursekit.experiments.study.records import Store
from coursekit.experiments.study.runner import DEFAULT_FOLDER
from coursekit.experiments.study.summary import read_summary, save_summary, summarize
from coursekit.experiments.study.tables import (
    Difference,
    Row,
    differences_of,
    differences_table,
    notes_of,
    restored_table,
    results_table,
    rows_of,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OWN_STUDY = Path(__file__).with_name("own_study.json")
_PLACES = {"run": 1, "pace": 2}


@dataclass(frozen=True)
class Report:
    """A study's report; in a notebook its last expression shows it as a table."""

    summary: dict[str, Any] = field(repr=False)

    def rows(self) -> list[Row]:
        """Return the table's lines in the study's order, MC dropout after `alpha_dropout`."""
        return rows_of(self.summary)

    def differences(self) -> list[tuple[str, str, Difference]]:
        """Return (first, second, difference of their test accuracies, paired by seed)."""
        return differences_of(self.rows())

    def text(self) -> str:
        """Return the whole report as Markdown that reads well in a terminal too."""
        rows = self.rows()
        parts = [self._heading(), results_table(rows), differences_table(rows)]
        parts += [restored_table(self.summary), notes_of(self.summary)]
        return "\n\n".join(part for part in parts if part) + "\n"

    def figure(self) -> Figure:
        """Return the learning curves, mean and standard deviation over seeds."""
        from coursekit.experiments.study.figure import learning_curves

        return learning_curves(self.summary)

    def alt(self) -> str:
        """Return the figure's alternative text."""
        from coursekit.experiments.study.figure import describe_curves

        return describe_curves(self.summary)

    def write(self, folder: str | Path) -> list[Path]:
        """Write report.md and curves.png into the folder and return their paths.

        Raises DataError when they cannot be written.
        """
        import matplotlib.pyplot as plt

        from coursekit.display import plotting

        folder = Path(folder)
        fig = self.figure()
        content = {
            "curves.png": plotting.to_png(fig),
            "report.md": f"{self.text()}\n![{self.alt()}](curves.png)\n".encode(),
        }
        plt.close(fig)
        for name, data in content.items():
            try:
                write_whole(folder / name, data)
            except OSError as error:
                reason = error.strerror
                raise DataError(f"{folder / name} cannot be written: {reason}.") from None
        return [folder / name for name in content]

    def save_summary(self, path: str | Path) -> None:
        """Write the small JSON file from which `load_report` makes this report again."""
        save_summary(self.summary, path)

    def _repr_markdown_(self) -> str:
        return self.text()

    def _heading(self) -> str:
        data = self.summary["data"]
        return (
            f"CIFAR-10 study, profile {self.summary['profile']}: {data['n_train']:,} training, "
            f"{data['n_valid']:,} validation and {data['n_test']:,} test images of {data['name']} "
            f"({data['source']})."
        )


def report(*, out: str | Path | None = None, profile: str | None = None) -> Report:
    """Return the report of what a study's folder holds so far.

    Args:
        out: the folder; `work/study/PROFILE` by default.
        profile: which of the default folders; when neither is given and only one profile has been
            run, that one, else the one of COURSEKIT_PROFILE.

    Raises:
        ArgumentError: both `out` and `profile`, or an unknown profile.
        DataError: no finished run there.
    """
    return Report(summarize(Store(study_folder(out, profile))))


def load_report(path: str | Path | None = None) -> Report:
    """Return the report of a summary file made by `study report --summary FILE`.

    Without a path, the report of the study that comes with the course: profile full, five seeds.

    Raises DataError for a file that is missing or is no summary.

    >>> load_report().summary["profile"]
    'full'
    """
    return Report(read_summary(OWN_STUDY if path is None else path))


def load_records(out: str | Path) -> list[dict[str, Any]]:
    """Return the whole records of a study's folder: searches, runs, measured paces.

    Damaged ones are left out.

    Raises DataError when there is no such folder.
    """
    store = Store(out)
    if not store.records.is_dir():
        raise DataError(f"out: expected a study's folder, got {out}, which holds no records.")
    records, _ = store.load()
    return sorted(records.values(), key=lambda record: _PLACES.get(record["kind"], 0))


def study_folder(out: str | Path | None, profile: str | None) -> Path:
    """Return the folder that `report` reads."""
    if out is not None:
        if profile is not None:
            raise ArgumentError(f"profile: expected none together with out, got {profile!r}.")
        return Path(out)
    there = [folder.parent for folder in sorted(DEFAULT_FOLDER.glob("*/records"))]
    if profile is None and len(there) == 1:
        return there[0]
    return DEFAULT_FOLDER / current_profile(profile)
