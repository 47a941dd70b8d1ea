"""JupyterHub for a class: docs/instructors/hub.md tells how it is started.

Settings are environment variables of the hub, so that this file stays as it is:

COURSEKIT_HUB_PASSWORD   what learners type in, eight ASCII characters or more
COURSEKIT_HUB_IMAGE      the image of the Dockerfile; without it, a trial on this machine
COURSEKIT_HUB_NETWORK    the Docker network that hub and learners share
COURSEKIT_HUB_STATE      a folder for the hub's own files
COURSEKIT_DATA           the shared data: with an image, the folder of the Docker host
COURSEKIT_PROFILE        for all learners, such as quick
COURSEKIT_CLASS          where learners' checks are told to, see watch.md; none by default
"""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821

COURSE = Path(__file__).resolve().parents[2]
LARGEST_NOTEBOOK = 2000  # MB: its kernel's peak, see hub.md
SERVER = 200  # MB: JupyterLab itself
KERNELS = 2  # such as a lesson and its exercise, side by side

password = os.environ.get("COURSEKIT_HUB_PASSWORD", "")
if len(password) < 8 or not password.isascii():  # JupyterHub fails at others when it compares them
    sys.exit(
        "Set COURSEKIT_HUB_PASSWORD, what learners log in with, to 8 ASCII characters or more."
    )
image = os.environ.get("COURSEKIT_HUB_IMAGE")
state = Path(os.environ.get("COURSEKIT_HUB_STATE", "."))
data = os.environ.get("COURSEKIT_DATA")
told_to = os.environ.get("COURSEKIT_CLASS")

c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = password
c.Authenticator.allow_all = True
c.JupyterHub.db_url = f"sqlite:///{state / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(state / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(state / "proxy.pid")

c.Spawner.cmd = [sys.executable, "-m", "coursekit", "lab", "--hub", "--offline"]
c.Spawner.mem_limit = f"{KERNELS * LARGEST_NOTEBOOK + SERVER}M"
c.Spawner.cpu_limit = 2
c.Spawner.start_timeout = 180
c.Spawner.http_timeout = 180
c.Spawner.environment = {"PYTHONPATH": str(COURSE)}
if "COURSEKIT_PROFILE" in os.environ:
    c.Spawner.environment["COURSEKIT_PROFILE"] = os.environ["COURSEKIT_PROFILE"]

if image:
    c.JupyterHub.spawner_class = "docker"
    c.JupyterHub.hub_ip = ""
    c.DockerSpawner.image = image
    c.DockerSpawner.network_name = os.environ.get("COURSEKIT_HUB_NETWORK", "coursekit")
    c.DockerSpawner.use_internal_ip = True
    c.DockerSpawner.remove = True
    c.DockerSpawner.volumes = {"coursekit-{username}": "/home/learner"}
    if data:
        c.DockerSpawner.read_only_volumes = {data: "/data"}
        c.Spawner.environment["COURSEKIT_DATA"] = "/data"
    if told_to and "://" not in told_to:
        c.DockerSpawner.volumes[told_to] = "/class"
        told_to = "/class"
else:  # one account for all: no learner is kept from another, no limit is kept
    c.JupyterHub.spawner_class = "simple"
    c.JupyterHub.bind_url = "http://127.0.0.1:8000"
    c.SimpleLocalProcessSpawner.home_dir_template = str(state / "home" / "{username}")
    if data:
        c.Spawner.environment["COURSEKIT_DATA"] = str(Path(data).absolute())
if told_to:
    c.Spawner.environment["COURSEKIT_CLASS"] = told_to
