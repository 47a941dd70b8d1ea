"""The packages of an environment compiled ahead, for 10,000 files a matter of half a minute.

Python compiles a file when it first imports it and keeps the result. The lab, which is to open
soon, lets that be done beside it; tests, which are many processes, wait for it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

_COMPILE = """
import compileall, os, pathlib, sys
if sys.argv[3] == "1":
    getattr(os, "nice", int)(10)
compileall.compile_dir(sys.argv[1], quiet=2, workers=int(sys.argv[3]))
pathlib.Path(sys.argv[2]).touch()
"""


def compile_all(python: Path, packages: Path, done: Path) -> None:
    """Compile with all cores the files that are not compiled yet; `done` appears at the end."""
    subprocess.run(_command(python, packages, done, workers=0), check=False)


def start_compiling(python: Path, packages: Path, done: Path) -> subprocess.Popen[bytes] | None:
    """Start the same beside what else goes on, with one core and little priority.

    Return the process, or None if `done` is there. It may be ended at any moment: what is compiled
    until then is kept.
    """
    if done.exists():
        return None
    return subprocess.Popen(
        _command(python, packages, done, workers=1),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _command(python: Path, packages: Path, done: Path, workers: int) -> list[str]:
    return [str(python), "-I", "-c", _COMPILE, str(packages), str(done), str(workers)]
