"""One run of pip in an environment: watched, logged, its leftovers mended."""

from __future__ import annotations

import csv
import os
import queue
import re
import shutil
import subprocess
import threading
from pathlib import Path

from coursekit.course.bootstrap.pip_output import Progress, explain
from coursekit.errors import CourseError

_INSTALL = "install --no-deps --require-hashes --only-binary :all: --progress-bar off --no-color"
_QUIETLY = "--no-input --disable-pip-version-check --no-warn-script-location"
# Settings of the user's own that would send packages elsewhere; index, proxy and certificate stay.
_MISLEADING = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_NO_BINARY", "PIP_CONSTRAINT")


def inherit(handle: int) -> dict[str, tuple[int, ...]]:
    """Return the option of `subprocess` that passes an open file on to the child (POSIX only)."""
    return {"pass_fds": (handle,)} if os.name == "posix" else {}


def install(python: Path, wanted: str, packages: Path, cache: Path, handle: int) -> None:
    """Install the requirements of the text `wanted`, saying how far it is.

    `packages` is the environment's site-packages, `cache` a folder for pip's temporary files and
    for `setup.log`, `handle` an open file that pip inherits. Raises CourseError if pip fails.
    """
    folder = cache / "setup"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    listing = folder / "requirements.txt"
    listing.write_text(wanted, encoding="utf-8")
    options = [*_INSTALL.split(), *_QUIETLY.split(), "-r", str(listing)]
    command = [str(python), "-I", "-u", "-m", "pip", *options]  # -I: no PYTHONPATH, no user site
    kept = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    settings = {name: str(folder) for name in ("TMPDIR", "TEMP", "TMP")}
    process = subprocess.Popen(
        command,
        env={**kept, **settings, "PIP_USER": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        **inherit(handle),
    )
    progress = Progress(total=len(re.findall(r"^[\w.-]+==", wanted, re.MULTILINE)))
    try:
        output = _watch(process, progress, packages)
    except BaseException:
        process.terminate()
        process.wait()
        raise
    finally:
        progress.close()
    (cache / "setup.log").write_text(output, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    if process.returncode:
        raise CourseError(explain(output))


def _watch(process: subprocess.Popen[str], progress: Progress, packages: Path) -> str:
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    there = _installed(packages)
    output: list[str] = []
    while True:
        try:
            line = lines.get(timeout=0.5)
        except queue.Empty:
            progress.wait(len(_installed(packages) - there))
            continue
        if line is None:
            process.wait()
            return "".join(output)
        output.append(line)
        progress.read(line)


def _installed(packages: Path) -> set[str]:
    return {path.parent.name for path in packages.glob("*.dist-info/INSTALLER")}


def drop_half_installed(packages: Path) -> list[str]:
    """Remove the records of packages that an interruption left half installed; return their names.

    pip takes any `.dist-info` folder for an installed package. One without INSTALLER (pip's last
    file), or whose RECORD names files that are missing or of another size, is removed, so that the
    next run installs the package again. `~name` folders are what a cut uninstallation left.
    Compiled files do not count: Python makes them anew.
    """
    dropped = []
    for left in packages.glob("~*"):
        shutil.rmtree(left, ignore_errors=True)
    for info in sorted(packages.glob("*.dist-info")):
        if not _is_whole(info):
            shutil.rmtree(info)
            dropped.append(info.name.removesuffix(".dist-info"))
    return dropped


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
