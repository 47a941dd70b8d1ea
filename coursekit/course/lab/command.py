"""`python -m coursekit lab`: the learner's copies laid out, the data named, JupyterLab opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from coursekit.course.lab.hub import serve_for_hub
from coursekit.course.lab.jupyter_server import check_port, serve
from coursekit.course.lab.workspace import lay_out
from coursekit.errors import ArgumentError, CourseError

FIRST_NOTEBOOK = "notebooks/00_start_here.ipynb"


def open_lab(
    root: Path,
    *,
    browser: bool,
    port: int | None,
    offline: bool,
    fresh: Sequence[str],
    solutions: bool,
    hub: bool = False,
) -> int:
    """Open the course in `root` in JupyterLab and serve it until Ctrl-C; return the exit code.

    With `hub` a JupyterHub has called, which sees to port, browser and the end.

    Raises CourseError for a port in use, an unknown notebook in `fresh`, or where `root` is no
    clone of the course.
    """
    if not (root / FIRST_NOTEBOOK).is_file():
        raise CourseError(
            f"{root} holds no {FIRST_NOTEBOOK}: run `lab` in a clone of the course, where the "
            "notebooks lie."
        )
    if hub:
        if port is not None:
            raise ArgumentError("lab --hub: expected no --port; the hub says where to serve.")
        return serve_for_hub(
            root, FIRST_NOTEBOOK, offline=offline, fresh=fresh, solutions=solutions
        )
    check_port(port)
    for line in lay_out(root, fresh=fresh, solutions=solutions).lines():
        print(line)
    print("Data:")
    for line in data_lines():
        print(f"  {line}")
    log = root / ".cache" / "jupyter.log"
    return serve(root, FIRST_NOTEBOOK, port=port, browser=browser, offline=offline, log=log)


def data_lines() -> Iterator[str]:
    """Yield a line for each data set, its source and how many images; at last what else to do."""
    from coursekit.datasets import status

    noted = False
    for found in status():
        noted = noted or bool(found.note)
        yield f"{found.name:14}{found.source}, {found.images:,} images"
    if noted:
        yield "More, and how to get the real images: python -m coursekit data list"
