"""JupyterLab on the learner's copies: started quietly, watched, ended with Ctrl-C."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from coursekit.base.environment import inherited
from coursekit.course.bootstrap.environment import compile_beside
from coursekit.course.lab.preferences import write_preferences
from coursekit.errors import ArgumentError, CourseError

FIRST_PORT = 8888
_START_SECONDS = 120
OPTIONS = (
    "--LabApp.news_url=None",  # neither news nor updates are looked for on the network
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)
_OWN_OPTIONS = (
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--ServerApp.answer_yes=True",
)


def check_port(wanted: int | None) -> None:
    """Raise ArgumentError where the port asked for is in use."""
    if wanted is not None and not _is_free(wanted):
        raise ArgumentError(
            f"Port {wanted} is in use: name another with --port, or leave --port out and a free "
            "one is taken."
        )


def environment(root: Path, *, offline: bool) -> dict[str, str]:
    """Return the environment variables for JupyterLab and the kernels it starts.

    The kernel is this interpreter's own, whatever kernels the user has installed elsewhere, and
    finds the package of this course first.
    """
    here = inherited()
    path = os.pathsep.join(filter(None, [str(root), here.get("PYTHONPATH")]))
    kept = {name: value for name, value in here.items() if name != "JUPYTER_PATH"}
    own = {"PYTHONPATH": path, "JUPYTER_PREFER_ENV_PATH": "1"}
    return kept | own | ({"COURSEKIT_OFFLINE": "1"} if offline else {})


def serve(
    root: Path, opened: str, *, port: int | None, browser: bool, offline: bool, log: Path
) -> int:
    """Serve `root/work` and open the notebook `opened` (a path in it) until Ctrl-C; return 0.

    Without a port it is the first free one from 8888 on. Jupyter's own messages go to the file
    `log`. Raises CourseError where JupyterLab does not start.
    """
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", *_OWN_OPTIONS, *OPTIONS]
    command.append(f"--ServerApp.root_dir={root / 'work'}")
    command.append(f"--LabApp.default_url=/lab/tree/{opened}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # containers; reachable from this machine only, by token
    if not (browser and _has_display()):
        command.append("--no-browser")
    variables = environment(root, offline=offline) | write_preferences(log.parent)
    variables["JUPYTER_TOKEN"] = token
    log.parent.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, _stop)
    with log.open("wb") as messages:
        server = compiling = None
        try:
            while True:
                number = port or _free_port()
                server = subprocess.Popen(
                    [*command, f"--ServerApp.port={number}"],
                    env=variables, stdin=subprocess.DEVNULL, stdout=messages, stderr=messages,
                )  # fmt: skip
                if _answers(server, f"http://127.0.0.1:{number}/api/status?token={token}", log):
                    break
                if port or _is_free(number):  # else another lab, started just now, was first at it
                    raise CourseError(
                        f"JupyterLab did not start: {_last_line(log)} (its messages: {log})."
                    )
            print(f"\nJupyterLab: http://127.0.0.1:{number}/lab/tree/{opened}?token={token}")
            print("Ctrl-C here ends it.", flush=True)
            compiling = compile_beside()
            code = server.wait()
        except (KeyboardInterrupt, SystemExit):
            _end(server)
            print("\nThe lab is closed; your notebooks are in work/.")
            return 0
        finally:
            _end(server)
            if compiling is not None:
                compiling.terminate()
    if code:
        raise CourseError(f"JupyterLab ended: {_last_line(log)} (its messages: {log}).")
    return 0


def _answers(server: subprocess.Popen[bytes], address: str, log: Path) -> bool:
    """Wait until the server answers, which no other does at this address; say whether it lives."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    give_up = time.monotonic() + _START_SECONDS
    while server.poll() is None:
        try:
            opener.open(address, timeout=5).close()
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            if time.monotonic() > give_up:
                raise CourseError(
                    f"JupyterLab gives no answer after {_START_SECONDS} s (its messages: {log})."
                ) from None
            time.sleep(0.1)
        else:
            return True
    return False


def _end(server: subprocess.Popen[bytes] | None) -> None:
    """Let JupyterLab shut its kernels down; a second Ctrl-C or 15 s end it at once."""
    if server is None or server.poll() is not None:
        return
    server.terminate()
    try:
        server.wait(timeout=15)
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        server.kill()
        server.wait()


def _stop(number: int, frame: object) -> None:
    raise SystemExit(0)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _free_port() -> int:
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        if _is_free(port):
            return port
    last = FIRST_PORT + 99
    raise CourseError(f"No port from {FIRST_PORT} to {last} is free: name another with --port.")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _has_display() -> bool:
    """Say whether a browser has a screen; without one, Linux would open a text browser here."""
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"))
