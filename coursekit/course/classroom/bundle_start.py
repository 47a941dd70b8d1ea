"""What the start scripts of a bundle run: the course copied, installed from the wheels, opened.

Imports the standard library only, and writes nothing into the bundle. The course goes to
`~/coursekit` (`--to FOLDER` names another), where `.coursekit-bundle.json` says what came from a
bundle; it is brought up to date by a newer one. Installing is the bootstrap's: an environment that
is there stays until the new one works.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from coursekit.base.files import write_whole
from coursekit.errors import CourseError

_MARK = ".coursekit-bundle.json"
_SYSTEMS = {
    ("Linux", "x86_64"): "linux-x86_64",
    ("Linux", "aarch64"): "linux-aarch64",
    ("Windows", "AMD64"): "windows",
    ("Darwin", "arm64"): "macos-arm64",
}
_ELSEWHERE = ("PIP_", "UV_", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")  # settings of networks


def main(arguments: list[str]) -> int:
    """Start the course of a bundle: its folder, perhaps `--to FOLDER`, options of `lab`."""
    bundle, *rest = arguments
    try:
        target = Path.home() / "coursekit"
        if rest[:1] == ["--to"]:
            if len(rest) < 2:
                raise CourseError("--to: expected a folder for the course.")
            target, rest = Path(rest[1]).expanduser().absolute(), rest[2:]
        return start(Path(bundle).absolute(), target, rest)
    except CourseError as error:
        print(f"coursekit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ncoursekit: interrupted; started again, it goes on from here.", file=sys.stderr)
        return 130
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        print(
            f"coursekit: {error.strerror or error}{place}; mend that and start again.",
            file=sys.stderr,
        )
        return 2


def start(bundle: Path, target: Path, options: list[str]) -> int:
    """Copy, install and open the course; return the exit code of `lab`.

    Raises CourseError for a bundle that is not whole or not for this machine, and for a `target`
    that holds something else.
    """
    about = read_manifest(bundle)
    copy_course(bundle / "course", target, about["files"])
    kept = {name: of for name, of in os.environ.items() if not name.startswith(_ELSEWHERE)}
    variables = {
        **kept,
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": (bundle / "wheels").as_uri(),
    }
    command = [sys.executable, "-m", "coursekit"]
    print(f"The course is in {target}.", flush=True)
    where = [*command, "data", "path"]  # the first command of all installs what is missing
    code = subprocess.run(where, cwd=target, env=variables, stdout=sys.stderr).returncode
    if code:
        return code
    answer = subprocess.run(where, cwd=target, env=variables, capture_output=True, text=True)
    copy_data(bundle / "data", Path(answer.stdout.splitlines()[-1]))
    lab = [*command, "lab", "--offline", *options]
    if os.name == "posix":
        os.chdir(target)
        os.execve(lab[0], lab, variables)
    return subprocess.call(lab, cwd=target, env=variables)


def read_manifest(bundle: Path) -> dict[str, Any]:
    """Return what the bundle says of itself; CourseError unless it is for this machine."""
    try:
        about = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CourseError(f"{bundle} is no whole bundle: copy it once more, all of it.") from error
    here = _SYSTEMS.get((platform.system(), platform.machine()), platform.platform())
    version = "{}.{}".format(*sys.version_info[:2])
    if here not in about["systems"] or version not in about["pythons"]:
        raise CourseError(
            f"This bundle is for {', '.join(about['systems'])} with Python "
            f"{', '.join(about['pythons'])}, and this is {here} with Python {version}."
        )
    return about


def copy_course(course: Path, target: Path, files: list[str]) -> None:
    """Bring `target` up to date with the course of a bundle; what a learner changed stays beside.

    Raises CourseError for a folder that holds something else.
    """
    mark = target / _MARK
    before = _digests(mark)
    if before is None:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise CourseError(
                f"{target} holds something that is not from a bundle: start with --to FOLDER, an "
                "empty or a new one."
            )
        before = {}
        target.mkdir(parents=True, exist_ok=True)
        write_whole(mark, "{}")
    now = {}
    for name in files:
        content, place = (course / name).read_bytes(), target / name
        now[name] = hashlib.sha256(content).hexdigest()
        there = _digest(place)
        if there == now[name]:
            continue
        if there is not None and there != before.get(name):
            place.replace(_beside(place))
        write_whole(place, content)
    for name in before.keys() - now.keys():
        if _digest(target / name) == before[name]:
            (target / name).unlink()
    write_whole(mark, json.dumps(now, indent=1))


def copy_data(data: Path, cache: Path) -> None:
    """Put the data sets that the cache lacks there, each whole or not at all."""
    for manifest in sorted(data.glob("*/*/manifest.json")):
        source = manifest.parent
        home = cache / source.parent.name / source.name
        if (home / "manifest.json").exists():
            continue
        print(f"Data: {source.parent.name}", flush=True)
        part = home.with_name(f".{home.name}.part")
        for left in (part, home):
            shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(source, part)
        part.rename(home)


def _digests(mark: Path) -> dict[str, str] | None:
    try:
        return dict(json.loads(mark.read_text(encoding="utf-8")))
    except OSError:
        return None
    except (ValueError, TypeError):
        return {}  # damaged: whatever differs counts as the learner's


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def _beside(path: Path) -> Path:
    number = 1
    while (found := path.with_name(f"{path.stem}.yours-{number}{path.suffix}")).exists():
        number += 1
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
