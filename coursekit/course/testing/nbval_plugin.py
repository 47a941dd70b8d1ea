"""What nbval lacks: dead kernels are noticed at once, nothing may reach stderr, no file is left.

Loaded with `pytest -p coursekit.course.testing.nbval_plugin`. nbval waits for a cell's whole time
limit where its kernel has died, does not look at stderr, and runs notebooks in their own folder.
Here a lesson also runs twice, on the embedded and on the real data, and each check of an unsolved
exercise must say that nothing was attempted.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from queue import Empty
from typing import Any
from unittest.mock import patch

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbval import plugin as nbval
from nbval.kernel import RunningKernel

from coursekit.base.environment import current_profile
from coursekit.checks.engine.verdict import NOT_ATTEMPTED
from coursekit.course.notebooks.cells import named, texts, where
from coursekit.course.notebooks.kernels import NativeOutput, death, environment, settings

_KERNEL_SILENT_SECONDS = 1.0
_OUTPUT_SECONDS = 30


class KernelDied(RuntimeError):  # noqa: N818 - it says what happened
    """The kernel's process ended while a cell ran."""


class WatchedKernel(RunningKernel):
    """nbval's kernel in a scratch folder; solutions run with their checks enforced."""

    def __init__(self, kernel_name: str, cwd: str | None = None, startup_timeout: float = 60):
        self._scratch = tempfile.TemporaryDirectory(prefix="coursekit-", ignore_cleanup_errors=True)
        scratch = Path(self._scratch.name)
        self.native = NativeOutput(scratch)
        solutions = cwd is not None and Path(cwd).name == "solutions"
        variables = environment(profile=current_profile(), grading=solutions)
        self.km = KernelManager(**settings(scratch))
        with self.native.open() as files:
            self.km.start_kernel(cwd=self._scratch.name, env=variables, **files)
        self.kc = self.km.client()
        self.kc.start_channels()
        try:
            self.kc.wait_for_ready(timeout=startup_timeout)
            self._ensure_iopub_up()
        except RuntimeError:
            self.stop()
            raise
        self.native.new()  # what it says of itself as it starts belongs to no cell

    def await_reply(self, msg_id: str, timeout: float | None = None) -> None:
        """Wait for the reply to a cell, but no longer than its kernel lives."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _KERNEL_SILENT_SECONDS if end is None else end - time.monotonic()
            try:
                super().await_reply(msg_id, timeout=max(0.0, min(left, _KERNEL_SILENT_SECONDS)))
                return
            except Empty:
                if not self.is_alive():
                    code = self.km.provisioner.process.returncode
                    self.kc.stop_channels()
                    self._scratch.cleanup()
                    raise KernelDied(death(code)) from None
                if end is not None and time.monotonic() >= end:
                    raise

    def stop(self) -> None:
        """Stop the kernel and remove its scratch folder."""
        super().stop()
        self._scratch.cleanup()


class OnRealData(nbval.IPyNbFile):
    """A lesson that runs on the real data."""

    def setup(self) -> None:
        """Start its kernel, which finds the data in the folder given."""
        with patch.dict(os.environ, COURSEKIT_DATA=self.config.getoption("--real-data")):
            super().setup()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--real-data", metavar="FOLDER", help="run the lessons on these data, too")


def pytest_configure(config: pytest.Config) -> None:
    nbval.RunningKernel = WatchedKernel


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Give a lesson that uses a data set its second run; nbval gives every notebook its first."""
    lesson = file_path.suffix == ".ipynb" and file_path.parent.name == "notebooks"
    if not lesson or not parent.config.getoption("--real-data"):
        return None
    note = nbformat.read(file_path, as_version=4).metadata.get("coursekit", {})
    if note.get("data") == {}:  # used none when it was built
        return None
    name = f"{parent.name}/{file_path.name} on the real data"
    return OnRealData.from_parent(parent, path=file_path, nodeid=name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes long in front, so that no process is left alone with it at the end."""
    for item in items:
        if isinstance(item, nbval.IPyNbCell):
            item.output_timeout = _OUTPUT_SECONDS
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[int, bool]:
    turns = {"notebooks": 0, "solutions": 1}
    return turns.get(item.path.parent.name, 2), not isinstance(item.parent, OnRealData)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Skip what follows a cell that ended its kernel or was stopped: one cause, one failure."""
    ended = getattr(item.parent, "ended", None)
    if isinstance(item, nbval.IPyNbCell) and ended:
        pytest.skip(ended)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Say notebook and cell in the reason of a failure; make stderr one."""
    if not isinstance(item, nbval.IPyNbCell):
        return (yield)
    try:
        result = yield
    except KernelDied as died:
        item.parent.ended = f"{_place(item)}: {died}"
        raise _failure(item, str(died)) from died
    except nbval.NbCellError as error:
        item.parent.kernel.native.new()  # what it wrote is not the next cell's
        if item.parent.timed_out:
            limit = item.config.option.nbval_cell_timeout
            stuck = "waiting for output" in str(error)
            reason = str(error) if stuck else f"still running after {limit:g} s, so it was stopped."
            item.parent.timed_out = False  # else nbval runs all further cells, expecting failures
            item.parent.ended = f"{_place(item)}: {reason}"
            raise _failure(item, reason) from error
        error.args = (f"{_place(item)}: {error}",)
        raise
    outputs = [*(item.test_outputs or []), *item.parent.kernel.native.new()]
    written = [out.text for out in outputs if out.get("name") == "stderr"]
    if written:
        raise _failure(item, f"writes to stderr:\n{''.join(written)}")
    if item.path.parent.name == "exercises" and named(item.cell, "check"):
        said = [text for output in item.test_outputs or [] for text in texts(output)]
        if not any(NOT_ATTEMPTED in text for text in said):
            raise _failure(
                item, f"expected the check of an untouched task to say {NOT_ATTEMPTED!r}."
            )
    return result


def _place(item: nbval.IPyNbCell) -> str:
    nb: nbformat.NotebookNode = item.parent.nb
    code = [index for index, cell in enumerate(nb.cells) if cell.cell_type == "code"]
    path = item.path
    return f"{path.parent.name}/{path.name}, {where(nb, code[item.cell_num])}"


def _failure(item: nbval.IPyNbCell, reason: str) -> nbval.NbCellError:
    return nbval.NbCellError(item.cell_num, f"{_place(item)}: {reason}", item.cell.source)
