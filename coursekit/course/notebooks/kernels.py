"""The kernel that runs a notebook without a browser: its surroundings, its output, its end."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from nbformat import NotebookNode
from nbformat.v4 import new_output

from coursekit.base.environment import ROOT, inherited

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpecManager

_LONGEST_SOCKET = 100  # bytes; macOS takes 103, and a number is put to it


def environment(*, profile: str, grading: bool = False) -> dict[str, str]:
    """Return the environment of a headless kernel; with `grading`, a failing check raises."""
    here = inherited()
    for name in ("PYTEST_CURRENT_TEST", "FORCE_COLOR", "NO_COLOR", "COURSEKIT_GRADING"):
        here.pop(name, None)
    here |= {
        "COURSEKIT_HEADLESS": "1",
        "COURSEKIT_PROFILE": profile,
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), here.get("PYTHONPATH")])),
    }
    if grading:
        here["COURSEKIT_GRADING"] = "1"
    return here


def settings(folder: Path) -> dict[str, Any]:
    """Return what a kernel's manager needs: which kernel, and how to talk to it.

    They talk over sockets in `folder`: ports are chosen before the kernel starts, and another
    process may have taken one by then. Ports remain the way on Windows, and where the path is
    longer than a socket's may be.
    """
    path = str(folder / "kernel")
    kernel = {"kernel_spec_manager": _this_python()}
    if os.name == "posix" and len(os.fsencode(path)) <= _LONGEST_SOCKET:
        return kernel | {"transport": "ipc", "ip": path}
    return kernel


def _this_python() -> KernelSpecManager:
    """Return a manager of kernel descriptions that knows one kernel: this very interpreter's.

    What is written past Python goes to the files of `NativeOutput`. ipykernel would read it in a
    thread of its own, which may be too late for the cell that wrote it, or for the last of all.
    """
    from ipykernel.kernelspec import RESOURCES, get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

    options = ["--IPKernelApp.capture_fd_output=False", "--IPKernelApp.log_level=ERROR"]

    class ThisPython(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict(extra_arguments=options))

    return ThisPython()


class NativeOutput:
    """What native code and child processes of a kernel write past Python, in files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._files = {name: folder / f"kernel.{name}" for name in ("stdout", "stderr")}
        self._read = dict.fromkeys(self._files, 0)  # bytes

    @contextmanager
    def open(self) -> Generator[dict[str, BinaryIO], None, None]:
        """Give the files, by name, open for as long as a kernel takes to start with them."""
        with ExitStack() as stack:
            yield {name: stack.enter_context(path.open("wb")) for name, path in self._files.items()}

    def new(self) -> list[NotebookNode]:
        """Return what was written since the last call, as a cell's outputs."""
        outputs = []
        for name, path in self._files.items():
            with path.open("rb") as file:
                file.seek(self._read[name])
                written = file.read()
            self._read[name] += len(written)
            if written:
                text = written.decode(errors="replace")
                outputs.append(new_output("stream", name=name, text=text))
        return outputs


def death(code: int | None) -> str:
    """Say how a kernel ended, given the exit status of its process.

    >>> death(3)
    'the kernel died (exit status 3).'
    >>> death(-9)
    'the kernel died (signal 9; too little memory is the usual cause).'
    """
    if code == -9:
        return "the kernel died (signal 9; too little memory is the usual cause)."
    if code is not None and code < 0:
        return f"the kernel died (signal {-code})."
    return f"the kernel died (exit status {code})."
