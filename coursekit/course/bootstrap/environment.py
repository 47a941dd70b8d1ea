"""The course's own environment, `.venv`: made, completed, mended, never half believed.

`.venv/coursekit.json` says what lies in it. Its `sections` are emptied before anything changes and
written after everything is in place, so an interrupted installation is seen at the next start. One
that must be replaced waits in `.cache/old-venv` until the new one works, or comes back.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from coursekit.base.files import locked, write_whole
from coursekit.base.python_versions import FIRST, LAST
from coursekit.course.bootstrap import requirements
from coursekit.course.bootstrap.compilation import compile_all, start_compiling
from coursekit.course.bootstrap.installation import Installation, inherit
from coursekit.course.bootstrap.leftovers import drop_half_installed, half_installed
from coursekit.errors import CourseError

VENV = requirements.ROOT / ".venv"
CACHE = requirements.ROOT / ".cache"
SPACE = 4 * 10**9
_COMPILED = "compiled"
_AGAIN = "then run the same command again"


def python(venv: Path | None = None) -> Path:
    """Return the interpreter of the environment."""
    folder, name = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return (venv or VENV) / folder / name


def is_current() -> bool:
    """Say whether the running interpreter is the one of `.venv`."""
    return Path(sys.prefix).resolve() == VENV.resolve()


def state() -> dict[str, Any] | None:
    """Return what `.venv/coursekit.json` says, or None where there is no such environment."""
    try:
        found = json.loads((VENV / "coursekit.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def is_complete(sections: tuple[str, ...]) -> bool:
    """Say whether `.venv` holds these sections of the lock as it is now and can be used."""
    found = state()
    if found is None or _unusable(found):
        return False
    return requirements.digests(sections).items() <= found.get("sections", {}).items()


def prepare(sections: tuple[str, ...]) -> Path:
    """Make `.venv` hold these sections and return its interpreter.

    Goes on from whatever an interrupted call left behind. Raises CourseError with one sentence on
    what stands in the way (the machine, the disk, a permission, the network); `.venv` is then what
    it was before.
    """
    _check_machine()
    wanted = "".join(requirements.locked(sections).values())
    try:
        CACHE.mkdir(exist_ok=True)
        with locked(CACHE / "setup.lock", waiting=_say_waiting) as handle:
            if not is_complete(sections):
                started = time.monotonic()
                _replace(sections, wanted, handle)
                print(f"The environment is ready after {time.monotonic() - started:.0f} s.\n")
    except PermissionError as error:
        raise CourseError(
            f"No permission to write {error.filename}: move the course to a folder of your own, "
            f"{_AGAIN}."
        ) from error
    except OSError as error:
        raise CourseError(
            f"Setting up .venv failed ({error.strerror or error}: {error.filename or VENV}): mend "
            f"that, {_AGAIN}."
        ) from error
    return python()


def can_be_used(sections: tuple[str, ...]) -> bool:
    """Say whether `.venv`, though moved or made from another lock, has what these sections need.

    Its packages are there whole and within the limits of pyproject.toml.
    """
    found = state()
    if found is None or not set(sections) <= set(found.get("sections", {})):
        return False
    if _broken(found) or half_installed(_site_packages()):
        return False
    root, tests = str(requirements.ROOT), "test" in sections
    ask = f"import sys; sys.path.insert(0, {root!r}); "
    ask += "from coursekit.course.bootstrap.requirements import unmet; "
    ask += f"sys.exit(bool(unmet({tests})))"
    return subprocess.run([str(python()), "-I", "-c", ask], capture_output=True).returncode == 0


def compile_beside() -> subprocess.Popen[bytes] | None:
    """Start to compile the packages of `.venv`, if it is in use and they are not; see there."""
    if not is_current() or state() is None:
        return None
    return start_compiling(python(), _site_packages(), VENV / _COMPILED)


def _say_waiting() -> None:
    print("Another set-up is at work in .venv: waiting for it to end.", flush=True)


def _replace(sections: tuple[str, ...], wanted: str, handle: int) -> None:
    found = _adopt()
    before = dict((found or {}).get("sections", {}))
    try:
        _complete(found, sections, wanted, handle)
    except (CourseError, OSError):
        if _old().exists():
            _discard(VENV)
            _old().rename(VENV)
        elif before and not half_installed(_site_packages()):
            _write_state({**(state() or {}), "sections": before})
        raise
    if _old().exists():
        _discard(_old())


def _complete(
    found: dict[str, Any] | None, sections: tuple[str, ...], wanted: str, handle: int
) -> None:
    _check_space()
    if found is None:
        print("Setting up the course in .venv: once, some minutes at most, 3 GB.", flush=True)
        found = {"root": str(requirements.ROOT), "python": _version(), "created": False}
        _write_state(found)
        _create(handle)
        found["created"] = True
    else:
        print("Completing the course's environment in .venv.", flush=True)
    interrupted = not found.get("sections")
    found["sections"] = {}
    _write_state(found)
    packages = _site_packages()
    if interrupted:
        drop_half_installed(packages)
    (installer,) = requirements.locked(("installer",)).values()
    Installation(python(), packages, CACHE, handle).install(wanted, installer, check=_check_space)
    (VENV / _COMPILED).unlink(missing_ok=True)
    if "test" in sections:
        compile_all(python(), packages, VENV / _COMPILED)
    # ASCII and executable, since the encoding of a .pth file differs between Python versions
    line = f"import sys; sys.path.append({str(requirements.ROOT)!a})\n"
    write_whole(packages / "coursekit.pth", line)
    found["sections"] = requirements.digests(sections)
    _write_state(found)


def _old() -> Path:
    return CACHE / "old-venv"


def _adopt() -> dict[str, Any] | None:
    """Return the state of a `.venv` to go on with, or None once there is room for a new one."""
    for left in CACHE.glob("venv-*"):
        shutil.rmtree(left, ignore_errors=True)
    if not VENV.exists() or all(path.name.endswith(".part") for path in VENV.iterdir()):
        return None
    found = state()
    if found is None:
        raise CourseError(
            f"{VENV} was not made by this course: rename or remove it, {_AGAIN} (or activate it "
            "and install the course into it with `pip install -e .[lab]`)."
        )
    reason = _unusable(found) or _changed(found)
    if reason is None:
        return found
    print(f"{reason}: making .venv anew.", flush=True)
    if found.get("created") and not _old().exists():
        VENV.rename(_old())
    else:
        _discard(VENV)
    return None


def _discard(venv: Path) -> None:
    """Remove an environment: renamed at once, so that a half removed one never bears its name."""
    if venv.exists():
        gone = CACHE / f"venv-{os.getpid()}"
        shutil.rmtree(gone, ignore_errors=True)
        venv.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _unusable(found: dict[str, Any]) -> str | None:
    if not found.get("created"):
        return "An interrupted set-up left no usable environment"
    if found.get("root") != str(requirements.ROOT):
        return "The course's folder was moved or copied"
    return _broken(found)


def _broken(found: dict[str, Any]) -> str | None:
    if found.get("python") not in _supported():
        return f"This version of the course does not run on Python {found.get('python')}"
    if not python().exists() or (is_current() and found.get("python") != _version()):
        return f"The Python {found.get('python')} that .venv was made with is gone"
    return None


def _changed(found: dict[str, Any]) -> str | None:
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [str(python()), "-I", "-c", ask], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "The Python in .venv does not start"
    if answer.stdout.strip() != found.get("python"):
        return f"The Python {found.get('python')} that .venv was made with is gone"
    return None


def _version() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def _supported() -> set[str]:
    return {f"3.{minor}" for minor in range(FIRST[1], LAST[1] + 1)}


def _write_state(found: dict[str, Any]) -> None:
    write_whole(VENV / "coursekit.json", json.dumps(found, indent=1))


def _site_packages() -> Path:
    if os.name == "nt":
        return VENV / "Lib" / "site-packages"
    return VENV / "lib" / f"python{state()['python']}" / "site-packages"


def _create(handle: int) -> None:
    base = getattr(sys, "_base_executable", None) or sys.executable
    result = subprocess.run(
        [base, "-I", "-m", "venv", str(VENV)],
        capture_output=True,
        text=True,
        errors="replace",
        **inherit(handle),
    )
    if result.returncode:
        said = (result.stderr or result.stdout).strip().splitlines() or ["no reason given"]
        raise CourseError(f"`{base} -m venv .venv` failed: {said[-1]} (mend that, {_AGAIN}).")


def _check_machine() -> None:
    import importlib.util
    import platform

    name = f"python{_version()}"
    if sys.maxsize < 2**32:
        raise CourseError(f"TensorFlow needs a 64-bit Python, and {sys.executable} has 32 bits.")
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        raise CourseError(
            "TensorFlow has no builds for Intel Macs any more (nor for a Python under Rosetta): "
            "use an arm64 Python, another machine or a hosted one."
        )
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        raise CourseError(
            "This Python cannot make environments: install its venv module (Debian and Ubuntu: "
            f"sudo apt install {name}-venv), {_AGAIN}."
        )


def _check_space() -> None:
    taken = sum(
        entry.stat(follow_symlinks=False).st_size
        for folder, _, names in os.walk(VENV)
        for entry in (Path(folder, name) for name in names)
    )
    free = shutil.disk_usage(requirements.ROOT).free
    needed = max(SPACE - taken, SPACE // 10)
    if free < needed:
        room = "make room (or remove .venv)" if _old().exists() else "make room"
        raise CourseError(
            f"Setting up needs {needed / 1e9:.1f} GB of free space in {requirements.ROOT}, and "
            f"{free / 1e9:.1f} GB are free: {room}, {_AGAIN}."
        )
