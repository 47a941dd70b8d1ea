"""`python -m coursekit data …`: list, fetch, import, verify, path."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coursekit import datasets
from coursekit.datasets.availability import Status
from coursekit.errors import CourseError, DataError

app = typer.Typer(help="The data sets: what is there, and how to get more.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """Show every data set: its source here, images, size, and what to do."""
    from rich.console import Console
    from rich.table import Table

    table = Table("data set", "source", "images", "on disk", "note", box=None, pad_edge=False)
    for entry in datasets.status():
        table.add_row(entry.name, entry.source, f"{entry.images:,}", _size(entry), entry.note)
    Console().print(table)


@app.command()
def fetch(names: Annotated[list[str], typer.Argument(help="Data sets, such as mnist.")]) -> None:
    """Download data sets into the cache, verified; what is there already stays."""
    failures = []
    for name in names:
        try:
            print(_line(datasets.fetch(name)))
        except CourseError as error:
            failures.append(str(error))
    if failures:
        raise DataError("; ".join(failures))


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="The data set, such as cifar10.")],
    path: Annotated[Path, typer.Argument(help="A folder, zip or tar archive.")],
) -> None:
    """Take a data set from files: official ones, or images in train/CLASS/ and test/CLASS/."""
    print(_line(datasets.import_data(name, path)))


@app.command()
def verify() -> None:
    """Hash everything in the cache again and name what is damaged."""
    entries = datasets.verify()
    for entry in entries:
        if not entry.note:
            print(_line(entry))
    damaged = [entry.note for entry in entries if entry.note]
    if damaged:
        raise DataError("; ".join(damaged))
    if not entries:
        print("The cache is empty.")


@app.command()
def path() -> None:
    """Print the folder of the cache."""
    print(datasets.cache_dir())


def _line(entry: Status) -> str:
    return f"{entry.name}: {entry.images:,} {entry.source} images, {_size(entry)}"


def _size(entry: Status) -> str:
    return f"{entry.size / 1e6:,.0f} MB" if entry.size else "-"
