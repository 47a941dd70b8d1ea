"""Starts and ends the learners' processes, seen from the checks' side."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from coursekit.base.environment import ROOT, inherited
from coursekit.course.classroom.grading.peer import Peer
from coursekit.course.classroom.grading.sandbox import GUARDS, Limits
from coursekit.course.classroom.grading.wire import Channel, LateError, LostError
from coursekit.errors import CourseError

_WORKSHOP = "coursekit.course.classroom.grading.workshop"
_KEPT = ("PATH", "LANG", "LC_ALL", "COURSEKIT_DATA", "LD_LIBRARY_PATH", "SYSTEMROOT")
_PATIENCE = 300  # seconds until a workshop has imported everything, on a busy machine


class Session:
    """One learner's process: what it is asked goes through `ask`; `close` ends it."""

    def __init__(self, channel: Channel, end: Any):
        self.peer, self._end = Peer(channel), end
        self.holds: list[str] = []

    def begin(self, seconds: float) -> None:
        """Learn which guards hold. Raises LostError where the process did not come up."""
        self.holds = [h for h in self.ping(seconds)["holds"] if h in GUARDS]

    def ping(self, seconds: float) -> dict[str, Any]:
        """Return what the process says of itself, proving that nothing else waits to be read."""
        nonce = secrets.token_hex(8)
        told = self.ask("begin", seconds, nonce=nonce)
        if told.get("nonce") != nonce or not isinstance(told.get("holds"), list):
            raise LostError("it answers what was not asked")
        return told

    def ask(self, op: str, seconds: float, **request: Any) -> dict[str, Any]:
        """Ask and return the answer; raises LateError and LostError, after which it must end.

        The answer's value, if it has one, is under "value".
        """
        until = time.monotonic() + seconds
        answer, value = self.peer.ask({"op": op, **request}, until=until)
        return answer | {"value": value}

    def close(self) -> None:
        """End the process and all that it has started."""
        self._end()


class Host:
    """Makes learners' processes, each as new as if everything had just been imported.

    Args:
        hidden: folders that no learner's code may see.
        limits: what each process may use.
        container: run each in a new container of this image in place of a process of this system.
        afresh: start each as a new program, as all systems but Linux need; Linux copies a process
            that has imported everything already.
    """

    def __init__(
        self,
        *,
        hidden: Sequence[Path] = (),
        limits: Limits | None = None,
        container: str | None = None,
        afresh: bool = sys.platform != "linux",
    ):
        if sys.platform == "win32":
            raise CourseError("class grade needs Linux or macOS; on Windows run it within WSL.")
        self._hidden, self._limits = list(hidden), limits or Limits()
        self._container, self._afresh = container, afresh
        self._process: subprocess.Popen | None = None
        self._programs: list[subprocess.Popen] = []
        self._ends: set[Callable[[], None]] = set()
        self._control: socket.socket | None = None

    def session(self) -> Session:
        """Return a new learner's process, confined and ready."""
        session = self._contained() if self._container else self._confined()
        try:
            session.begin(_PATIENCE)
        except (LateError, LostError) as error:
            session.close()
            hint = f" Does the image {self._container} hold the course's packages?"
            raise CourseError("A process for the learner's code does not start."
                              + (hint if self._container else "")) from error  # fmt: skip
        return session

    def close(self) -> None:
        """End the workshop, and every session that is still open."""
        for end in list(self._ends):
            end()
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        for program in self._programs:
            program.kill()
            program.wait()
        self._programs.clear()

    def _confined(self) -> Session:
        scratch = Path(tempfile.mkdtemp(prefix="coursekit-grade-"))
        request = {"scratch": str(scratch), "hidden": [str(p) for p in self._hidden],
                   "limits": asdict(self._limits)}  # fmt: skip
        begin = self._started if self._afresh else self._copied
        handle, child = begin(json.dumps(request))

        def end() -> None:
            for kill, number in ((os.killpg, child), (os.kill, child)):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    kill(number, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.close(handle)
            shutil.rmtree(scratch, ignore_errors=True)
            self._ends.discard(end)

        self._ends.add(end)
        return Session(Channel(handle, handle), end)

    def _started(self, request: str) -> tuple[int, int]:
        """Return the descriptor of a new channel, and the number of the program at its end."""
        mine, theirs = socket.socketpair()
        with theirs:
            process = self._program(theirs, "once", request)
        self._programs.append(process)
        return mine.detach(), process.pid

    def _copied(self, request: str) -> tuple[int, int]:
        """Return the descriptor of a new channel, and the number of the process at its end."""
        if self._process is None or self._process.poll() is not None:
            self._open()
        mine, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [request.encode()], [theirs.fileno()])
                child = int(self._control.recv(100))
            except (OSError, ValueError) as error:
                mine.close()
                raise CourseError(
                    "No process can be started for a learner's code: this system has too little "
                    "memory or too many processes."
                ) from error
        return mine.detach(), child

    def _open(self) -> None:
        self.close()
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = self._program(theirs, "many")
        self._control.settimeout(_PATIENCE)
        if self._control.recv(5) != b"ready":
            raise CourseError("The process for the learners' code does not start; see `doctor`.")
        self._control.settimeout(None)

    @staticmethod
    def _program(channel: socket.socket, *words: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", _WORKSHOP, str(channel.fileno()), *words],
            pass_fds=[channel.fileno()],
            env=environment(),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            process_group=0,
        )

    def _contained(self) -> Session:
        engine = shutil.which("docker") or shutil.which("podman")
        if engine is None:
            raise CourseError("--container: expected docker or podman on this system, found none.")
        name = f"coursekit-grade-{secrets.token_hex(6)}"
        command = container_command(engine, name, str(self._container), self._limits)
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

        def end() -> None:
            subprocess.run([engine, "kill", name], capture_output=True, check=False)
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()

        return Session(Channel(process.stdout.fileno(), process.stdin.fileno()), end)


def environment() -> dict[str, str]:
    """Return the few variables that learners' code sees: nothing of whoever grades."""
    here = inherited()
    return {name: here[name] for name in _KEPT if name in here} | {
        "COURSEKIT_HEADLESS": "1",
        "COURSEKIT_OFFLINE": "1",
        "COURSEKIT_PROFILE": "quick",
        "MPLBACKEND": "Agg",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def container_command(engine: str, name: str, image: str, limits: Limits) -> list[str]:
    """Return the command that serves one submission in a container without a network."""
    from coursekit.course.classroom.grading.workshop import hidden

    package = ROOT / "coursekit"
    covered = []
    for path in hidden(ROOT):
        if path.is_relative_to(package):
            there = f"/course/{path.relative_to(ROOT).as_posix()}"
            covered += ["--tmpfs", there] if path.is_dir() else ["-v", f"/dev/null:{there}:ro"]
    variables = environment() | {"PYTHONPATH": "/course", "HOME": "/tmp", "TMPDIR": "/tmp"}
    for gone in ("PATH", "LD_LIBRARY_PATH", "COURSEKIT_DATA"):
        variables.pop(gone, None)
    data = ["-v", f"{d}:/data:ro", "-e", "COURSEKIT_DATA=/data"] if (
        d := os.environ.get("COURSEKIT_DATA")) else []  # fmt: skip
    return [
        engine, "run", "--rm", "-i", "--name", name, "--network", "none", "--read-only",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "65534:65534",
        "--memory", f"{limits.memory}m", "--pids-limit", str(limits.processes),
        "--ulimit", f"cpu={limits.seconds}", "--tmpfs", f"/tmp:size={4 * limits.file}m",
        "-w", "/tmp", "-v", f"{package}:/course/coursekit:ro", *covered, *data,
        *(part for pair in variables.items() for part in ("-e", "=".join(pair))),
        image, "python3", "-m", _WORKSHOP, "-",
    ]  # fmt: skip
