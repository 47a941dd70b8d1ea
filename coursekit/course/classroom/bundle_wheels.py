"""The wheels of requirements.lock for other machines than this one, fetched by pip, by hash."""

from __future__ import annotations

import contextlib
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from coursekit.course.bootstrap.installation import reason
from coursekit.errors import ArgumentError, CourseError

_ENTRY = re.compile(
    r"^(?P<pin>[\w.-]+==[^\s;]+)(?: ; (?P<marker>.+?))?(?P<hashes>(?: \\\n    --hash=\S+)+)$", re.M
)
_PIP = ["-I", "-m", "pip", "--no-input", "--disable-pip-version-check", "--no-color", "download"]
_OPTIONS = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--progress-bar=off"]
_BLOCK = 1 << 20
_OLDEST_MAC = (12, 0)


@dataclass(frozen=True)
class System:
    """A kind of machine: pip's names for its wheels, and what markers ask of it."""

    platforms: tuple[str, ...]
    sys_platform: str
    platform_system: str
    platform_machine: str

    def tags(self, python: str) -> frozenset[Tag]:
        """Return the tags of the wheels that fit this system and Python ("3.12.4")."""
        version = tuple(map(int, python.split(".")[:2]))
        name = "cp{}{}".format(*version)
        platforms = list(self.platforms)
        if self.sys_platform == "darwin":
            platforms = list(mac_platforms(_OLDEST_MAC, self.platform_machine))
        return frozenset(
            [
                *cpython_tags(version, abis=[name], platforms=platforms),
                *compatible_tags(version, name, platforms),
            ]
        )

    def applies(self, marker: str | None, python: str) -> bool:
        """Say whether a requirement with this marker is for this system and Python ("3.12.4")."""
        place = {
            "sys_platform": self.sys_platform,
            "platform_system": self.platform_system,
            "platform_machine": self.platform_machine,
            "os_name": "nt" if self.sys_platform == "win32" else "posix",
            "python_version": python.rpartition(".")[0],
            "python_full_version": python,
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "extra": "",
        }
        return marker is None or Marker(marker).evaluate(place)


def _linux(machine: str) -> System:
    names = [f"manylinux_2_{minor}_{machine}" for minor in range(28, 4, -1)]
    names += [f"manylinux{old}_{machine}" for old in ("2014", "2010", "1")]
    return System((*names, f"linux_{machine}"), "linux", "Linux", machine)


SYSTEMS = {
    "linux-x86_64": _linux("x86_64"),
    "linux-aarch64": _linux("aarch64"),
    "windows": System(("win_amd64",), "win32", "Windows", "AMD64"),
    "macos-arm64": System(
        ("macosx_{}_{}_arm64".format(*_OLDEST_MAC),), "darwin", "Darwin", "arm64"
    ),
}


def system(name: str) -> System:
    """Return a system by its name; ArgumentError for any other, with those there are."""
    if name not in SYSTEMS:
        raise ArgumentError(f"--systems: expected some of {', '.join(SYSTEMS)}, got {name!r}.")
    return SYSTEMS[name]


def requirements_for(lock: str, target: System, python: str) -> dict[str, str]:
    r"""Return the entries of a lock that a system needs, without their markers, by Python release.

    There are two where the first and the last release of a version need different ones. pip would
    read a marker for the machine it runs on, not for the one it fetches for.

    >>> lock = "a==1 \\\n    --hash=sha256:0\nb==2 ; os_name == 'nt' \\\n    --hash=sha256:1\n"
    >>> requirements_for(lock, SYSTEMS["linux-x86_64"], "3.12")
    {'3.12.99': 'a==1 \\\n    --hash=sha256:0\n'}
    """
    release_of = {}
    for release in (f"{python}.0", f"{python}.99"):
        found = [m for m in _ENTRY.finditer(lock) if target.applies(m["marker"], release)]
        release_of["".join(f"{m['pin']}{m['hashes']}\n" for m in found)] = release
    return {release: wanted for wanted, release in release_of.items()}


def fetch(wanted: str, folder: Path, target: System, python: str) -> None:
    """Put the wheels of `wanted` into a folder; those that are there already are not fetched again.

    `python` is a release, such as "3.12.99": some packages ask for more than a version.
    Raises CourseError with pip's own reason where one cannot be had.
    """
    wanted = _missing(wanted, folder, target.tags(python))
    if not wanted:
        return
    with tempfile.TemporaryDirectory(prefix="coursekit-") as temporary:
        listing = Path(temporary) / "requirements.txt"
        listing.write_text(wanted, encoding="utf-8")
        platforms = [f"--platform={name}" for name in target.platforms]
        place = [f"--python-version={python}", "--implementation=cp", *platforms]
        command = [sys.executable, *_PIP, *_OPTIONS, *place, f"--dest={folder}", "-r", str(listing)]
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL
        )
    if answer.returncode:
        raise CourseError(
            f"The wheels for {target.platform_system} with Python {python} cannot be had: "
            f"{reason(answer.stderr or answer.stdout)}. Mend that and run the same command again; "
            "what is there is kept."
        )


def _missing(wanted: str, folder: Path, tags: frozenset[Tag]) -> str:
    """Return the entries for which the folder holds no wheel that fits and has the right hash."""
    there: dict[tuple[str, str], list[Path]] = {}
    for path in folder.glob("*.whl"):
        with contextlib.suppress(InvalidWheelFilename):  # no wheel: `sweep` removes it
            name, version, _, fits = parse_wheel_filename(path.name)
            if tags & fits:
                there.setdefault((name, str(version)), []).append(path)
    missing = []
    for match in _ENTRY.finditer(wanted):
        name, _, version = match["pin"].partition("==")
        known = set(re.findall(r"sha256:([0-9a-f]{64})", match["hashes"]))
        found = there.get((canonicalize_name(name), version), [])
        if not any(_sha256(path) in known for path in found):
            missing.append(match.group() + "\n")
    return "".join(missing)


def sweep(folder: Path, lock: str) -> list[str]:
    """Remove what is no file of the lock, such as an older version; return the names that remain.

    Every file is hashed: what remains is what the lock names.
    """
    known = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock))
    kept = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and _sha256(path) in known:
            kept.append(path.name)
        elif path.is_file():
            path.unlink()
    return kept


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def pythons(names: Sequence[str], supported: Sequence[str]) -> tuple[str, ...]:
    """Return the Python versions asked for, each once, the newest first.

    Raises ArgumentError for one that the course does not run on.

    >>> pythons(["3.11", "3.12", "3.11"], ["3.11", "3.12", "3.13"])
    ('3.12', '3.11')
    """
    for name in names:
        if name not in supported:
            raise ArgumentError(f"--python: expected some of {', '.join(supported)}, got {name!r}.")
    return tuple(sorted(set(names), key=supported.index, reverse=True))
