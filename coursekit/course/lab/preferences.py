"""How JupyterLab looks to a learner, whatever else is installed: files that it reads first.

Written at each start into `.cache/lab`, apart from the user's own settings: what is set here are
defaults, which those override. Tabs and panels are kept apart too, so that the tabs of another
project do not open here.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from coursekit.base.files import write_whole

# What the test section brings for authors and instructors
_SERVER_EXTENSIONS = (
    "jupyterlab_jupytext",
    "nbgrader.server_extensions.assignment_list",
    "nbgrader.server_extensions.course_list",
    "nbgrader.server_extensions.formgrader",
    "nbgrader.server_extensions.validate_assignment",
    "notebook",
)
_PANELS = ("@jupyter-notebook/lab-extension", "@jupyter/nbgrader", "jupyterlab-jupytext")
_FILES = {
    "config/jupyter_server_config.json": {
        "ServerApp": {"jpserver_extensions": dict.fromkeys(_SERVER_EXTENSIONS, False)}
    },
    "config/labconfig/page_config.json": {
        "disabledExtensions": dict.fromkeys(_PANELS, True),
        "buildCheck": False,  # it may ask a learner to build JupyterLab
        "buildAvailable": False,
    },
    "config/labconfig/default_setting_overrides.json": {
        "@jupyterlab/apputils-extension:notification": {
            "fetchNews": "false",  # "none", JupyterLab's own default, asks at every start
            "checkForUpdates": False,
        },
        "@jupyterlab/filebrowser-extension:browser": {"showLastModifiedColumn": False},
    },
}
# A file browser in which the longest name of a notebook is seen whole on a small screen
_FIRST_LAYOUT = {
    "data": {
        "layout-restorer:data": {
            "main": None,
            "left": {"collapsed": False, "current": "filebrowser", "widgets": ["filebrowser"]},
            "relativeSizes": [0.24, 0.76],
        }
    },
    "metadata": {"id": "default"},
}


def write_preferences(cache: Path) -> dict[str, str]:
    """Write the files into `cache`/lab; return the environment variables that point to them."""
    folder = cache / "lab"
    for name, content in _FILES.items():
        write_whole(folder / name, json.dumps(content, indent=1))
    workspaces = folder / "workspaces"
    if not workspaces.exists():
        name = "default-37a8.jupyterlab-workspace"  # JupyterLab's name for its first
        write_whole(workspaces / name, json.dumps(_FIRST_LAYOUT))
    paths = [str(folder / "config"), os.environ.get("JUPYTER_CONFIG_PATH")]
    return {
        "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, paths)),
        "JUPYTERLAB_WORKSPACES_DIR": str(workspaces),
    }
