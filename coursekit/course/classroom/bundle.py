"""`class bundle`: the course with all that it needs in one folder, for a machine without a network.

`bundle.json` is written last: a folder without it is no bundle, and the start scripts say so. Made
again into the same folder, what is there and still right is kept.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from coursekit.base.environment import ROOT
from coursekit.base.files import write_whole
from coursekit.base.python_versions import FIRST, LAST
from coursekit.course.bootstrap.requirements import locked
from coursekit.course.classroom import bundle_wheels as wheels
from coursekit.errors import ArgumentError, CourseError, DataError

MANIFEST = "bundle.json"
SUPPORTED = tuple(f"3.{minor}" for minor in range(FIRST[1], LAST[1] + 1))
_SECTIONS = ("installer", "base")
_MODULE = "coursekit.course.classroom.bundle_start"
_SH = """#!/bin/sh
# Installs the course from this folder into your home folder, and opens it.
here=$(cd "$(dirname "$0")" && pwd)
for name in {names} python3; do
  "$name" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] not in "{pythons}".split())' \\
    2>/dev/null || continue
  PYTHONPATH="$here/course" PYTHONDONTWRITEBYTECODE=1 exec "$name" -m {module} "$here" "$@"
done
echo "The course needs Python {spoken}: install one of them and start this again." >&2
exit 1
"""
_BAT = """@echo off
rem Installs the course from this folder into your home folder, and opens it.
setlocal
set "PYTHONPATH=%~dp0course"
set PYTHONDONTWRITEBYTECODE=1
for %%V in ({pythons}) do (
  py -%%V -c "" >nul 2>&1 && (
    py -%%V -m {module} "%~dp0." %*
    goto end
  )
)
set "FITS=import sys; sys.exit('%%d.%%d' %% sys.version_info[:2] not in '{pythons}'.split())"
python -c "%FITS%" >nul 2>&1 && (
  python -m {module} "%~dp0." %*
  goto end
)
echo The course needs Python {spoken}: install one of them and start this again.
:end
pause
"""
_READ_ME = """The course, with all that it needs, for machines without a network.

Linux     sh start.sh
macOS     open start.command, or: sh start.sh
Windows   open start.bat

It needs Python {spoken} and 4 GB of disk. The course is copied to the folder "coursekit" in your
home folder and installed there; your own work lies there in "work". This folder is only read.
Another folder: start.sh --to FOLDER. Systems: {systems}.
"""


def bundle(
    to: Path,
    systems: Sequence[str],
    pythons: Sequence[str],
    *,
    root: Path = ROOT,
    say: Callable[[str], None] = print,
) -> None:
    """Make the bundle in the folder `to`; an interrupted one is gone on with.

    Args:
        to: an empty folder, a former bundle, or a folder that is not there yet.
        systems: names of `bundle_wheels.SYSTEMS`.
        pythons: Python versions, such as "3.12".
        root: the course, a git checkout.
        say: told each step.

    Raises:
        ArgumentError: for an unknown system or Python, or a folder that holds something else.
        DataError: data in the cache are damaged.
        CourseError: a wheel cannot be had, or `root` is no git checkout.
    """
    targets = {name: wheels.system(name) for name in systems}
    versions = wheels.pythons(pythons, SUPPORTED)
    if not targets or not versions:
        raise ArgumentError("bundle: expected at least one system and one Python version.")
    _make_room(to)
    files = tracked(root)
    sets = _verified_data()
    text = "".join(locked(_SECTIONS).values())
    store = to / "wheels"
    store.mkdir(parents=True, exist_ok=True)
    for name, target in targets.items():
        for version in versions:
            say(f"Wheels for {name}, Python {version}")
            for release, wanted in wheels.requirements_for(text, target, version).items():
                wheels.fetch(wanted, store, target, release)
    count = len(wheels.sweep(store, text))
    say(f"The course: {len(files)} files")
    _copy_course(root, files, to / "course")
    for source in sets:
        say(f"Data: {source.parent.name}, {source.name}")
        _copy_data(source, to / "data" / source.parent.name / source.name)
    _write_scripts(to, versions, systems)
    about = {"systems": list(targets), "pythons": list(versions), "wheels": count, "files": files}
    write_whole(to / MANIFEST, json.dumps(about, indent=1))
    size = sum(path.stat().st_size for path in to.rglob("*") if path.is_file())
    say(f"{to}: {count} wheels, {len(sets)} data sets, {size / 1e9:.1f} GB. Copy it as it is.")


def tracked(root: Path) -> list[str]:
    """Return the files of the course as git lists them; CourseError where there is no git."""
    try:
        command = ["git", "ls-files", "-z", "--cached"]
        said = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise CourseError(
            f"A bundle holds the files that git knows, and git lists none in {root}: make it in a "
            "clone of the course."
        ) from error
    names = said.decode().rstrip("\0").split("\0")
    return [name for name in names if (root / name).is_file()]


def _make_room(to: Path) -> None:
    if (
        to.is_dir()
        and any(to.iterdir())
        and not (to / MANIFEST).exists()
        and not (to / "wheels").is_dir()
    ):
        raise ArgumentError(
            f"--to: expected an empty folder or a former bundle, and {to} holds something else; "
            "name another."
        )
    to.mkdir(parents=True, exist_ok=True)
    (to / MANIFEST).unlink(missing_ok=True)


def _verified_data() -> list[Path]:
    """Return the folders of the data sets in the cache, every byte verified."""
    from coursekit.datasets import cache_dir, verify

    found = verify()
    damaged = [entry.note for entry in found if entry.note]
    if damaged:
        raise DataError("; ".join(damaged))
    return [cache_dir() / entry.name / entry.source for entry in found]


def _copy_course(root: Path, files: Sequence[str], to: Path) -> None:
    if to.exists():
        shutil.rmtree(to)
    for name in files:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, to / name)


def _copy_data(source: Path, to: Path) -> None:
    if to.exists():
        shutil.rmtree(to)
    manifest = json.loads((source / "manifest.json").read_text(encoding="utf-8"))
    shutil.copytree(source / manifest["folder"], to / manifest["folder"])
    shutil.copyfile(source / "manifest.json", to / "manifest.json")


def _write_scripts(to: Path, pythons: Sequence[str], systems: Sequence[str]) -> None:
    told = {
        "module": _MODULE,
        "pythons": " ".join(pythons),
        "names": " ".join(f"python{version}" for version in pythons),
        "spoken": " or ".join(filter(None, [", ".join(pythons[:-1]), pythons[-1]])),
        "systems": ", ".join(systems),
    }
    for name in ("start.sh", "start.command"):
        write_whole(to / name, _SH.format(**told))
        with contextlib.suppress(OSError):  # a stick's file system may know no permissions
            (to / name).chmod(0o755)
    write_whole(to / "start.bat", _BAT.format(**told).replace("\n", "\r\n"))
    write_whole(to / "READ ME FIRST.txt", _READ_ME.format(**told))
