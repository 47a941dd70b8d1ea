"""The process that a learner's processes are forked from: all imported, nothing yet run.

`python -m coursekit.course.classroom.grading.workshop FD many` serves a control socket, on Linux.
Each message brings the descriptor of a new channel; a confined copy of this process serves it, and
its number is the answer. `FD once REQUEST` serves a single channel, `-` one over stdin and stdout,
as in a container.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

from coursekit.base.environment import ROOT
from coursekit.course.classroom.grading import beside, sandbox
from coursekit.course.classroom.grading.learner_side import serve

_HIDDEN = ("sources", "solutions", "exercises", "tests", "tools", ".git", "work")


def hidden(root: Path) -> list[Path]:
    """Return the files and folders that hold solutions: of the course, for nobody's eyes."""
    checks = root / "coursekit" / "checks"
    files = sorted([*checks.glob("ex[0-9]*.py"), *checks.glob("_ex[0-9]*.py")])
    caches = [checks / "__pycache__"] if (checks / "__pycache__").is_dir() else []
    return [*(root / name for name in _HIDDEN if (root / name).exists()), *caches, *files]


def prepare() -> None:
    """Import what notebooks and checks use, so that no submission waits for it."""
    for name in ("numpy", "coursekit", "IPython.core.inputtransformer2", "matplotlib.pyplot"):
        importlib.import_module(name)
    importlib.import_module("coursekit.base.keras")
    for floor in ("base", "nets", "training", "analysis", "datasets", "display", "scratch"):
        package = importlib.import_module(f"coursekit.{floor}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.rpartition(".")[2].startswith("__"):
                importlib.import_module(module.name)
    beside.remember()


def main(arguments: list[str]) -> None:
    """Serve a control socket, or one submission."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever grades ends us
    if arguments[0] == "-":
        channel = os.dup(0), os.dup(1)
        _silence()
        prepare()
        serve(*channel, list(sandbox.GUARDS))
    prepare()
    _silence()
    if arguments[1] == "once":
        _begin(json.loads(arguments[2]), int(arguments[0]))
    control = socket.socket(fileno=int(arguments[0]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    control.sendall(b"ready")
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 1)
        if not message:
            return
        child = os.fork()
        if child == 0:
            control.close()
            _begin(json.loads(message), descriptors[0])
        os.close(descriptors[0])
        control.sendall(f"{child}\n".encode())


def _begin(request: dict, channel: int) -> None:
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        scratch = Path(request["scratch"])
        os.environ |= {"HOME": str(scratch), "TMPDIR": str(scratch)}
        tempfile.tempdir = str(scratch)  # it was asked for before, and remembered
        secret = [Path(path) for path in request["hidden"]]
        needed = (ROOT, Path(sys.prefix), scratch)
        covered = [path for path in secret if not any(n.is_relative_to(path) for n in needed)]
        limits = sandbox.Limits(**request["limits"])
        holds = sandbox.confine(scratch, [*hidden(ROOT), *covered], limits)
        if len(covered) < len(secret) and "files" in holds:
            holds.remove("files")  # submissions lie around the course itself: they stay readable
        serve(channel, channel, holds)
    finally:
        os._exit(1)


def _silence() -> None:
    with contextlib.suppress(OSError):
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)


if __name__ == "__main__":
    main(sys.argv[1:])
