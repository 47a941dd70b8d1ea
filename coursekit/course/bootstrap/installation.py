"""The packages of the lock, put into an environment: by uv, or by pip where uv does not run.

uv is a program in a wheel; pip fetches it into the environment, with its hashes, as all the rest.
Both write into `setup.log`, which tells the progress line and, where all fails, the reason.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from coursekit.course.bootstrap import registry
from coursekit.errors import CourseError

_INSTALL = ["install", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r"]
_PIP = ["-I", "-u", "-m", "pip", "--no-input", "--disable-pip-version-check", "--no-color"]
# Settings of the user's own that would send packages elsewhere or leave some out
_MISLEADING = re.compile(
    "PIP_(TARGET|PREFIX|ROOT|NO_BINARY|CONSTRAINT)"
    "|UV_(PYTHON|SYSTEM_PYTHON|CONSTRAINT|OVERRIDE|EXCLUDE|EXCLUDE_NEWER|NO_BINARY|WORKING_DIR)"
)


def inherit(handle: int) -> dict[str, tuple[int, ...]]:
    """Return the option of `subprocess` that passes an open file on to the child (POSIX only)."""
    return {"pass_fds": (handle,)} if os.name == "posix" else {}


@dataclass(frozen=True)
class Installation:
    """An environment to install into.

    Attributes:
        python: its interpreter.
        packages: its site-packages.
        cache: a folder for temporary files and for `setup.log`.
        handle: an open file that the installers inherit.
    """

    python: Path
    packages: Path
    cache: Path
    handle: int

    def install(self, wanted: str, installer: str, check: Callable[[], None]) -> None:
        """Install the requirements of the text `wanted`, saying how far it is.

        Args:
            wanted: the requirements, with hashes.
            installer: those of uv.
            check: called after a failure; raises CourseError where the machine is the reason.

        Raises:
            CourseError: the installers fail.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._log.write_bytes(b"")
        settings = registry.pip_settings(self.python)
        if not self._by_uv(wanted, installer, settings, check):
            self._by_pip(wanted, settings, check)
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.rmtree(self._own_cache, ignore_errors=True)

    def _by_uv(
        self,
        wanted: str,
        installer: str,
        settings: dict[str, str],
        check: Callable[[], None],
    ) -> bool:
        """Return whether uv has done it; raise CourseError where pip could not do it either."""
        uv = self.python.with_name("uv.exe" if os.name == "nt" else "uv")
        if not _runs(uv):
            fetched = self._run([*self._pip(), self._listing(installer)])
            if fetched != 0:
                check()
                if cause := registry.trouble(settings, self.python):
                    raise CourseError(cause)
            if not _runs(uv):
                print("uv does not run on this machine: pip installs, more slowly.", flush=True)
                return False
        told = {**registry.variables_for_uv(settings), "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
        told = {**told, "UV_CACHE_DIR": str(self._cache_of(uv))}
        command = [str(uv), "pip", *_INSTALL, self._listing(wanted), "--python", str(self.python)]
        command += ["--no-index"] if "no-index" in settings else []
        if self._run(command, told) == 0:
            return True
        check()
        if registry.trouble(settings, self.python) == registry.NETWORK:
            raise CourseError(registry.NETWORK)
        print("uv could not install the packages: pip tries, more slowly.", flush=True)
        return False

    def _by_pip(self, wanted: str, settings: dict[str, str], check: Callable[[], None]) -> None:
        if self._run([*self._pip(), self._listing(wanted)]) != 0:
            check()
            cause = registry.trouble(settings, self.python)
            raise CourseError(cause or f"Installing the packages failed: {self._reason()}")

    def _pip(self) -> list[str]:
        options = ["--no-compile", "--no-warn-script-location", "--progress-bar=off"]
        return [str(self.python), *_PIP, _INSTALL[0], *options, *_INSTALL[1:]]

    @property
    def _folder(self) -> Path:
        return self.cache / "setup"

    @property
    def _log(self) -> Path:
        return self.cache / "setup.log"

    @property
    def _own_cache(self) -> Path:
        return self.cache / "uv"

    def _listing(self, wanted: str) -> str:
        path = self._folder / "requirements.txt"
        path.write_text(wanted, encoding="utf-8")
        return str(path)

    def _cache_of(self, uv: Path) -> Path:
        """Return the user's cache of uv, if it is of use here, else one that is removed at the end.

        On the file system of the environment its files are hard links: no byte lies there twice.
        """
        answer = subprocess.run([str(uv), "cache", "dir"], capture_output=True, text=True)
        folder = Path(answer.stdout.strip() or self._own_cache)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            near = folder.stat().st_dev == self.packages.stat().st_dev
        except OSError:
            return self._own_cache
        return folder if near or "UV_CACHE_DIR" in os.environ else self._own_cache

    def _run(self, command: list[str], told: dict[str, str] | None = None) -> int:
        """Run an installer to its end, showing its last line; return its exit code."""
        kept = {name: of for name, of in os.environ.items() if not _MISLEADING.fullmatch(name)}
        folders = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._folder))
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command,
                env={**kept, **(told or {}), **folders, "PIP_USER": "0"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **inherit(self.handle),
            )
        progress = Progress()
        try:
            while True:
                try:
                    return process.wait(timeout=0.2)
                except subprocess.TimeoutExpired:
                    progress.show(self._last_line())
        except BaseException:
            process.terminate()
            process.wait()
            raise
        finally:
            progress.close()

    def _last_line(self) -> str:
        with self._log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 500))
            lines = log.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines[:-1]) if line.strip()), "starting")

    def _reason(self) -> str:
        return f"{reason(self._log.read_text(errors='replace'))} (all of it in .cache/setup.log)."


def reason(log: str) -> str:
    r"""Return in one line what an installer says after its last "error:", else its last line.

    >>> reason("Resolved 2\nerror: No room\n  cause: os error 28\n")
    'No room, cause: os error 28'
    """
    *_, said = re.split(r"^error: ", log, flags=re.MULTILINE | re.IGNORECASE)
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it said nothing"]
    told = ", ".join(lines) if said != log else lines[-1]
    return textwrap.shorten(told, 240, placeholder=" …").rstrip(".")


class Progress:
    """The line that shows an installer at work, on a terminal only: `12 s: Downloaded numpy`."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._since = time.monotonic()
        self._shown = 0

    def show(self, said: str) -> None:
        """Show the last line of an installer, and the seconds it has been at work."""
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            text = f"  {time.monotonic() - self._since:.0f} s: {said}"[:width]
            print(f"\r{text:{self._shown}}", end="", flush=True)
            self._shown = len(text)

    def close(self) -> None:
        """Leave the terminal on a fresh line."""
        if self._shown:
            print(f"\r{'':{self._shown}}\r", end="", flush=True)


def _runs(program: Path) -> bool:
    try:
        return subprocess.run([str(program), "--version"], capture_output=True).returncode == 0
    except OSError:
        return False
