"""`lab --hub`: JupyterLab for one learner of a JupyterHub, which calls it in place of a server.

The course is shared and may be read-only: the learner's copies lie in `~/coursekit`.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from coursekit.course.lab.jupyter_server import OPTIONS, environment
from coursekit.course.lab.preferences import write_preferences
from coursekit.course.lab.workspace import lay_out
from coursekit.errors import CourseError

_OF_A_HUB = "JUPYTERHUB_API_TOKEN"  # what a hub tells each server that it starts


def serve_for_hub(
    root: Path, opened: str, *, offline: bool, fresh: Sequence[str] = (), solutions: bool = False
) -> int:
    """Lay the copies out in `~/coursekit` and become the learner's server, as the hub asks for it.

    Args:
        root: the course.
        opened: the notebook that opens first, a path in the copies.
        offline: never look for data on the network.
        fresh, solutions: as for `lay_out`.

    Raises:
        CourseError: no hub has called, or the package jupyterhub is missing.
    """
    if not os.environ.get(_OF_A_HUB):
        raise CourseError(
            f"lab --hub: expected to be started by a JupyterHub, and {_OF_A_HUB} is not set; use "
            "`lab` without --hub, or see docs/instructors/hub.md."
        )
    if importlib.util.find_spec("jupyterhub") is None:
        raise CourseError(
            "lab --hub: the package jupyterhub is not installed beside the course; install the "
            f"version of the hub: {sys.executable} -m pip install jupyterhub==VERSION."
        )
    home = Path.home()
    work = home / "coursekit"
    for line in lay_out(root, work=work, fresh=fresh, solutions=solutions).lines():
        print(line, flush=True)
    variables = environment(root, offline=offline) | write_preferences(
        home / ".cache" / "coursekit"
    )
    variables["JUPYTERHUB_DEFAULT_URL"] = f"/lab/tree/{opened}"
    command = [sys.executable, "-m", "jupyterhub.singleuser", *OPTIONS]
    command.append(f"--ServerApp.root_dir={work}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    os.chdir(work)
    if os.name == "posix":
        os.execve(command[0], command, variables)  # the hub knows the server by its process
    return subprocess.call(command, env=variables)
