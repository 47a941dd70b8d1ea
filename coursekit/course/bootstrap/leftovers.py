"""What an interrupted installation leaves in an environment: found, and taken away."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path


def half_installed(packages: Path) -> list[Path]:
    """Return the records (`.dist-info` folders) of packages that are not there whole.

    An installer takes any such folder for an installed package. Not whole is one without INSTALLER
    (among the last files written), or whose RECORD names files that are missing or of another size.
    Compiled files do not count: Python makes them anew.
    """
    return [info for info in sorted(packages.glob("*.dist-info")) if not _is_whole(info)]


def drop_half_installed(packages: Path) -> None:
    """Remove the records of half installed packages, so that they are installed again.

    `~name` folders are what a cut uninstallation by pip left.
    """
    for left in [*packages.glob("~*"), *half_installed(packages)]:
        shutil.rmtree(left, ignore_errors=True)


def _is_whole(info: Path) -> bool:
    try:
        if not (info / "INSTALLER").is_file():
            return False
        with (info / "RECORD").open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if not row[0].endswith(".pyc")]
        for name, _, size in rows:
            there = os.stat(os.path.join(info.parent, name)).st_size  # noqa: PTH116, PTH118
            if size and there != int(size):
                return False
        return bool(rows)
    except (OSError, ValueError):
        return False
