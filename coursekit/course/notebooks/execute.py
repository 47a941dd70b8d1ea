"""One notebook, run from top to bottom without a browser, in a scratch folder of its own."""

from __future__ import annotations

import ast
import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nbformat import NotebookNode

from coursekit.course.notebooks import prose
from coursekit.course.notebooks.cells import merge_streams, named, tags, where
from coursekit.course.notebooks.facts import QUESTION
from coursekit.course.notebooks.kernels import NativeOutput, death, environment, settings
from coursekit.errors import NotebookError

if TYPE_CHECKING:
    from nbclient import NotebookClient

CELL_TIMEOUT = 900


@dataclass
class Outcome:
    """What running a notebook showed. `failure` is one sentence, or None when all went well.

    `claims` counts the claim cells that held, `proved` holds the lines of `ck.prove` (sentence,
    whether it holds, numbers), `correct` names the checks as "09.power", `data` maps each data set
    used to its source, `peak_mb` is None where the kernel died, `cells` holds the seconds of each
    code cell by its id.
    """

    seconds: float = 0.0
    claims: int = 0
    correct: list[str] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)
    peak_mb: float | None = None
    proved: list[tuple[str, bool, str]] = field(default_factory=list)
    cells: dict[str, float] = field(default_factory=dict)
    failure: str | None = None


def execute(
    nb: NotebookNode,
    *,
    profile: str,
    grading: bool = False,
    timeout: int = CELL_TIMEOUT,
    on_cell: Callable[[int, int], None] | None = None,
    variables: dict[str, str] | None = None,
) -> Outcome:
    """Run every cell of `nb`, writing the outputs into it, and stop at the first that fails.

    `timeout` is in seconds for each cell; `on_cell(done, total)` is called at the start and after
    each one; `variables` are added to the kernel's environment. A cell that raises, runs too long
    or ends the kernel is told in `Outcome.failure`. Raises NotebookError where no kernel starts at
    all.
    """
    with tempfile.TemporaryDirectory(prefix="coursekit-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        variables = environment(profile=profile, grading=grading) | (variables or {})
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(_execute(nb, scratch, variables, timeout, on_cell))


async def _execute(
    nb: NotebookNode,
    scratch: Path,
    variables: dict[str, str],
    timeout: int,
    on_cell: Callable[[int, int], None] | None,
) -> Outcome:
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    manager = AsyncKernelManager(**settings(scratch))
    client = NotebookClient(
        nb,
        km=manager,
        timeout=timeout,
        iopub_timeout=60,
        raise_on_iopub_timeout=True,
        record_timing=False,
    )
    client.reset_execution_trackers()
    outcome = Outcome()
    started = time.perf_counter()
    try:
        native = NativeOutput(scratch)
        with native.open() as files:
            await client.async_start_new_kernel(cwd=str(scratch), env=variables, **files)
        try:
            await client.async_start_new_kernel_client()
        except RuntimeError as error:
            raise NotebookError(f"The Jupyter kernel does not start: {error}.") from error
        native.new()  # what it says of itself as it starts belongs to no cell
        alive = await _run_cells(client, native, outcome, on_cell)
        client.set_widgets_metadata()
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs = merge_streams(cell.outputs)
        if alive:
            await _ask(client, outcome)
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
        if manager.has_kernel:
            await manager.shutdown_kernel(now=True)
        await manager.cleanup_resources()
    outcome.seconds = time.perf_counter() - started
    return outcome


async def _run_cells(
    client: NotebookClient,
    native: NativeOutput,
    outcome: Outcome,
    on_cell: Callable[[int, int], None] | None,
) -> bool:
    """Run the cells; return whether the kernel is still there to be asked."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    nb = client.nb
    if on_cell is not None:
        on_cell(0, len(nb.cells))
    for index, cell in enumerate(nb.cells):
        started = time.perf_counter()
        try:
            if prose.asked(cell):
                prose.fill(cell, await _answers(client, prose.asked(cell)))
            await client.async_execute_cell(
                cell, index, execution_count=client.code_cells_executed + 1
            )
        except CellExecutionError as error:
            outcome.failure = f"{where(nb, index)}: {_last_line(error.ename, error.evalue)}"
            return True
        except NotebookError as error:
            outcome.failure = f"{where(nb, index)}: {error}"
            return True
        except CellTimeoutError:
            outcome.failure = (
                f"{where(nb, index)}: still running after {client.timeout} s, so it was stopped."
            )
            return False
        except DeadKernelError:
            if await client.km.is_alive():
                raise KeyboardInterrupt from None  # Ctrl-C cancels the wait; the kernel lives on
            outcome.failure = f"{where(nb, index)}: {death(await client.km.provisioner.poll())}"
            return False
        if cell.cell_type == "code":
            cell.outputs += native.new()
            outcome.claims += "claim" in tags(cell)
            outcome.cells[cell.id] = time.perf_counter() - started
        if on_cell is not None:
            on_cell(index + 1, len(nb.cells))
    return True


async def _answers(client: NotebookClient, expressions: list[str]) -> dict[str, str]:
    """Return what the kernel, as it stands, fills in for these expressions of a text."""
    asked = {each: prose.question(each) for each in expressions}
    message = client.kc.execute("", silent=True, user_expressions=asked)
    reply = await client.async_wait_for_reply(message)
    answers = {}
    for each in expressions:
        answer = reply["content"]["user_expressions"][each]
        if answer["status"] != "ok":
            told = _last_line(answer["ename"], answer["evalue"])
            raise NotebookError(f"{{{{ {each} }}}} cannot be filled in: {told}")
        answers[each] = ast.literal_eval(answer["data"]["text/plain"])
    return answers


async def _ask(client: NotebookClient, outcome: Outcome) -> None:
    message = client.kc.execute("", silent=True, user_expressions={"facts": QUESTION})
    reply = await client.async_wait_for_reply(message)
    answer = reply["content"]["user_expressions"]["facts"] if reply else {"status": "missing"}
    if answer["status"] != "ok":
        raise NotebookError(
            f"The kernel could not tell what it used: {answer.get('evalue', 'no answer')}."
        )
    told = json.loads(ast.literal_eval(answer["data"]["text/plain"]))
    outcome.data, outcome.peak_mb = told["data"], told["peak_mb"]
    outcome.proved = [tuple(claim) for claim in told["claims"]]
    outcome.correct = [name for name, result in told["checks"].items() if result == "correct"]


def checks(nb: NotebookNode, outcome: Outcome) -> dict[str, bool]:
    """Return for each check cell of a notebook, by name, whether its answer was correct."""
    correct = {name.split(".")[-1] for name in outcome.correct}  # "09.power" is exercise 9's power
    names = [name for cell in nb.cells if (name := named(cell, "check")) is not None]
    return {name: name in correct for name in names}


def _last_line(name: str, value: str) -> str:
    lines = [line.strip() for line in f"{name}: {value}".splitlines() if line.strip()]
    line = lines[0] if lines[0].rstrip(":") != name or len(lines) == 1 else f"{name}: {lines[1]}"
    return line if len(line) <= 300 else line[:299] + "…"
