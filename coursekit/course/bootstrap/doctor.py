"""`python -m coursekit doctor`: what is installed here, what is wrong, what to do about it.

Imports the standard library only, so that it answers before anything is installed too.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coursekit import __version__
from coursekit.base import machine
from coursekit.base.environment import current_profile
from coursekit.course.bootstrap import environment, requirements
from coursekit.errors import CourseError

_ASK_TENSORFLOW = """
import json
from coursekit.base.keras import keras, tf
print(json.dumps([device.name for device in tf.config.list_physical_devices("GPU")]))
"""


@dataclass(frozen=True)
class Finding:
    """One thing the doctor looked at; `advice` says what to do, `wrong` whether one must."""

    name: str
    value: str
    advice: str = ""
    wrong: bool = False


def examine() -> Iterator[Finding]:
    """Yield the findings one by one, the quick ones first."""
    yield Finding("coursekit", f"{__version__} in {requirements.ROOT}")
    yield Finding("Python", f"{platform.python_version()} ({sys.executable})")
    unmet = requirements.unmet() if requirements.is_checkout() else []
    yield _environment(bool(unmet))
    for name in ("tensorflow", "keras", "numpy", "jupyterlab"):
        yield Finding(name, _version(name))
    yield _packages(unmet)
    yield _cores()
    yield _memory(machine.total_memory())
    yield _space(requirements.ROOT, 1.0 if environment.state() else environment.SPACE / 1e9)
    yield _work(requirements.ROOT / "work")
    yield _profile()
    yield from _settings()
    if not unmet:
        yield from _data()
        yield _device()


def report() -> int:
    """Print what `examine` finds; return 1 if something must be mended, else 0.

    A table on a terminal, plain lines elsewhere.
    """
    findings = []
    live = sys.stdout.isatty() and not requirements.unmet()
    for finding in examine():
        findings.append(finding)
        if not live:
            print(f"{finding.name}: {finding.value}")
            if finding.advice:
                print(f"  {'to mend' if finding.wrong else 'note'}: {finding.advice}")
    if live:
        _show_table(findings)
    wrong = [finding.name for finding in findings if finding.wrong]
    print(f"\nTo mend: {', '.join(wrong)}." if wrong else "\nEverything is in order.")
    return 1 if wrong else 0


def _show_table(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for title in ("what", "found", "what to do"):
        table.add_column(title, overflow="fold")
    for finding in findings:
        style = "bold red" if finding.wrong else ""
        cells = (finding.name, finding.value, finding.advice)
        table.add_row(*(Text(cell, style=style) for cell in cells))
    Console().print(table)


def _environment(unmet: bool) -> Finding:
    if environment.is_current():
        where = f"{environment.VENV}, made by the course"
    elif unmet and environment.is_complete(("base",)):
        return Finding("environment", f"{environment.VENV} is ready, this Python is another one")
    else:
        where = sys.prefix
    return Finding("environment", where)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _packages(unmet: list[str]) -> Finding:
    if not unmet:
        return Finding("packages", "all that the course needs")
    advice = "run: python3 -m coursekit lab"
    return Finding("packages", f"missing or too old: {', '.join(unmet)}", advice, wrong=True)


def _cores() -> Finding:
    count = machine.cores()
    return Finding("processor", f"{platform.machine()}, {count} core{'s' if count > 1 else ''}")


def _memory(total: float | None) -> Finding:
    if total is None:
        return Finding("memory", "unknown")
    advice = ""
    if total < 4e9:
        advice = "less than 4 GB: keep one notebook open at a time and use the profile quick"
    return Finding("memory", f"{total / 1e9:.1f} GB", advice)


def _space(folder: Path, needed: float) -> Finding:
    free = shutil.disk_usage(folder).free / 1e9
    short = free < needed
    advice = f"less than the {needed:.0f} GB the course needs: make room there" if short else ""
    return Finding("free space", f"{free:.1f} GB in {folder}", advice, wrong=short)


def _work(folder: Path) -> Finding:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if os.access(there, os.W_OK | os.X_OK) and there.is_dir():
        return Finding("your copies", f"{folder}")
    advice = "move the course to a folder of your own"
    return Finding("your copies", f"{folder} cannot be written to", advice, wrong=True)


def _profile() -> Finding:
    try:
        return Finding("profile", current_profile())
    except CourseError as error:
        advice = "unset COURSEKIT_PROFILE or name one of these"
        return Finding("profile", str(error).rstrip("."), advice, wrong=True)


def _settings() -> Iterator[Finding]:
    for name, value in sorted(os.environ.items()):
        if name.startswith("COURSEKIT_") and name != "COURSEKIT_PROFILE":
            yield Finding("setting", f"{name}={value}")


def _data() -> Iterator[Finding]:
    from coursekit.datasets import cache_dir, status

    try:
        for found in status():
            value = f"{found.source}, {found.images:,} images"
            yield Finding(f"data {found.name}", value, found.note)
    except (CourseError, OSError) as error:
        advice = "make the folder readable, or name another by COURSEKIT_DATA"
        yield Finding("data", f"{cache_dir()}: {error}", advice, wrong=True)
    folder = next(path for path in (cache_dir(), *cache_dir().parents) if path.exists())
    yield _space(folder, 1.0)


def _device() -> Finding:
    """Start TensorFlow in a process of its own: a build that does not fit the processor crashes."""
    path = os.pathsep.join(filter(None, [str(requirements.ROOT), os.environ.get("PYTHONPATH")]))
    try:
        answer = subprocess.run(
            [sys.executable, "-c", _ASK_TENSORFLOW],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=180,
        )
        gpus = json.loads(answer.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        advice = "TensorFlow does not start here: remove .venv and run python3 -m coursekit lab"
        return Finding("device", "unknown", advice, wrong=True)
    if gpus:
        return Finding("device", f"{len(gpus)} GPU{'s' if len(gpus) > 1 else ''}")
    advice = ""
    if shutil.which("nvidia-smi"):
        advice = (
            "there is an NVIDIA driver, but TensorFlow sees no GPU: in this environment, run "
            "python -m pip install 'tensorflow[and-cuda]' with the version above"
        )
    return Finding("device", "CPU (all the course needs)", advice)
