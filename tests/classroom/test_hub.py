"""`lab --hub` under a real JupyterHub, with its real proxy, on this machine only.

Needs what the course itself does not: `pip install jupyterhub dockerspawner` beside the course, and
configurable-http-proxy (npm) on the PATH. Skipped, with the reason, where they are missing.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
import websocket

from coursekit import cli
from coursekit.course.lab import hub as lab_hub
from coursekit.course.lab.workspace import lay_out
from coursekit.datasets import cache_dir
from coursekit.errors import CourseError
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "instructors"
CONFIG = PAGES / "jupyterhub_config.py"
DOCKERFILE = (PAGES / "Dockerfile").read_text(encoding="utf-8")
PASSWORD = "open sesame"
LESSON = "notebooks/09_learning_rate_schedules.ipynb"
MISSING = [
    *(name for name in ("jupyterhub", "dockerspawner") if not importlib.util.find_spec(name)),
    *(name for name in ("configurable-http-proxy",) if not shutil.which(name)),
]
with_hub = [
    pytest.mark.hub,
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed here: {', '.join(MISSING)}"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# The command without a hub


def test_without_a_hub_it_says_what_to_do(monkeypatch, capfd):
    monkeypatch.delenv("JUPYTERHUB_API_TOKEN", raising=False)
    assert cli.main(["lab", "--hub"]) == 2
    (said,) = capfd.readouterr().err.splitlines()
    assert "expected to be started by a JupyterHub" in said
    assert "use `lab` without --hub" in said


def test_the_port_is_the_hubs(capfd):
    assert cli.main(["lab", "--hub", "--port", "8888"]) == 2
    assert "the hub says where to serve" in capfd.readouterr().err


def test_without_the_hubs_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "x")
    monkeypatch.setattr(lab_hub.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CourseError, match="pip install jupyterhub"):
        lab_hub.serve_for_hub(ROOT, LESSON, offline=True)


def test_the_copies_can_lie_apart_from_the_course(tmp_path):
    course, work = tmp_path / "course", tmp_path / "home" / "coursekit"
    (course / "notebooks").mkdir(parents=True)
    (course / "notebooks" / "a.ipynb").write_text("{}")
    assert lay_out(course, work=work).added == ["notebooks/a.ipynb"]
    (work / "notebooks" / "a.ipynb").write_text("mine")
    assert list(lay_out(course, work=work, fresh=["notebooks/a"]).backups) == ["notebooks/a.ipynb"]
    assert (work / "notebooks" / "a.old-1.ipynb").read_text() == "mine"
    assert {path.name for path in course.iterdir()} == {"notebooks"}


# The hub


class Hub:
    """A running hub; `learner` logs someone in and starts a server."""

    def __init__(self, folder: Path):
        self.port = free_port()
        self.address, self.log = f"http://127.0.0.1:{self.port}", folder / "hub.log"
        command = [sys.executable, "-m", "jupyterhub", f"--config={CONFIG}"]
        command += [f"--JupyterHub.bind_url={self.address}"]
        command += [f"--JupyterHub.hub_bind_url=http://127.0.0.1:{free_port()}"]
        command += [f"--ConfigurableHTTPProxy.api_url=http://127.0.0.1:{free_port()}"]
        variables = {
            **os.environ,
            "COURSEKIT_HUB_PASSWORD": PASSWORD,
            "COURSEKIT_HUB_STATE": str(folder),
            "COURSEKIT_DATA": str(cache_dir()),
            "COURSEKIT_CLASS": str(folder / "class"),
        }
        (folder / "class").mkdir()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=variables, stdout=log, stderr=log
            )

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text(errors="replace")
        try:
            return requests.get(f"{self.address}/hub/api", timeout=5).ok
        except requests.RequestException:
            return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)


class Learner:
    """Someone at a browser: logs in by the form, then uses a token as a page would its cookie."""

    def __init__(self, hub: Hub, name: str, wait_until):
        self.name, self.session = name, requests.Session()
        self.base = f"{hub.address}/user/{name}"
        page = self.session.get(f"{hub.address}/hub/login", timeout=PATIENCE)
        form = {"username": name, "password": PASSWORD, "_xsrf": self._xsrf(page.text)}
        entered = self.session.post(f"{hub.address}/hub/login", data=form, timeout=PATIENCE)
        assert entered.status_code == 200
        api = f"{hub.address}/hub/api/users/{name}"
        home = self.session.get(f"{hub.address}/hub/home", timeout=PATIENCE)
        key = {"X-XSRFToken": self._xsrf(home.text)}
        token = self.session.post(f"{api}/tokens", json={}, headers=key, timeout=PATIENCE)
        self.session.headers["Authorization"] = f"token {token.json()['token']}"
        started = self.session.post(f"{api}/server", timeout=PATIENCE)
        assert started.status_code in (201, 202), started.text
        wait_until(lambda: self.session.get(api, timeout=PATIENCE).json()["servers"][""]["ready"])

    def _xsrf(self, page: str) -> str:
        found = re.search(r'(?:name="_xsrf" value=|xsrf_token: )"([^"]+)"', page)
        assert found, page
        return found.group(1)

    def get(self, path: str) -> requests.Response:
        return self.session.get(f"{self.base}/{path}", timeout=PATIENCE)

    def cells(self, notebook: str) -> list[str]:
        found = self.get(f"api/contents/{notebook}").json()["content"]["cells"]
        return [cell["source"] for cell in found if cell["cell_type"] == "code"]

    def run(self, cells: list[str], notebook: str) -> list[str]:
        """Run cells in a new kernel; return what they print, or raise for an error."""
        body = {"path": notebook, "name": "python3"}
        kernel = self.session.post(f"{self.base}/api/kernels", json=body, timeout=PATIENCE).json()
        line = websocket.create_connection(
            f"{self.base.replace('http', 'ws')}/api/kernels/{kernel['id']}/channels",
            header=[f"Authorization: {self.session.headers['Authorization']}"],
            timeout=PATIENCE,
        )
        try:
            return [self._run_one(line, code) for code in cells]
        finally:
            line.close()

    def _run_one(self, line: websocket.WebSocket, code: str) -> str:
        number = uuid.uuid4().hex
        header = {"msg_id": number, "msg_type": "execute_request", "version": "5.3"}
        header |= {"username": self.name, "session": self.name, "date": ""}
        content = {"code": code, "silent": False, "allow_stdin": False, "stop_on_error": True}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        line.send(json.dumps({**message, "channel": "shell", "buffers": []}))
        printed = ""
        while True:
            got = json.loads(line.recv())
            if got["parent_header"].get("msg_id") != number:
                continue
            kind, content = got["msg_type"], got["content"]
            assert kind != "error", "\n".join(content["traceback"])
            if kind == "stream":
                printed += content["text"]
            if kind == "status" and content["execution_state"] == "idle":
                return printed


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    running = Hub(tmp_path_factory.mktemp("hub"))
    yield running
    running.stop()


FACTS = """
import json, os, pathlib, resource
import coursekit as ck
ck.exercise(3).leaky_relu(lambda z, a: z)
from coursekit.checks.engine import class_line
class_line.flush(60)
print(json.dumps({
    "home": str(pathlib.Path.home()),
    "limit": int(os.environ["MEM_LIMIT"]),
    "data": os.environ["COURSEKIT_DATA"],
    "offline": os.environ["COURSEKIT_OFFLINE"],
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
}))
"""


class TestWithARealHub:
    pytestmark = with_hub

    def test_two_learners_run_a_lesson_at_once(self, hub, wait_until):
        wait_until(hub.answers)

        def learn(name):
            learner = Learner(hub, name, wait_until)
            cells = learner.cells(LESSON)[:3]
            assert "ck.setup" in "".join(cells)
            *_, facts = learner.run([*cells, FACTS], LESSON)
            return learner, json.loads(facts.splitlines()[-1])

        with ThreadPoolExecutor(2) as both:
            (ann, of_ann), (bob, of_bob) = both.map(learn, ("ann", "bob"))
        assert of_ann["home"] != of_bob["home"]
        for facts in (of_ann, of_bob):
            assert (Path(facts["home"]) / "coursekit" / LESSON).is_file()
            assert facts["data"] == str(cache_dir())
            assert facts["offline"] == "1"
            assert facts["peak"] < facts["limit"] / 2
        folder = Path(of_ann["home"]).parents[1] / "class"
        assert len(list(folder.glob("*.jsonl"))) == 2, "the checks of both are told to the class"
        assert ann.get("lab/tree/" + LESSON).status_code == 200
        foreign = ann.session.get(f"{bob.base}/api/contents", timeout=PATIENCE)
        assert foreign.status_code in (403, 404), "nobody looks into another's folder"

    def test_a_wrong_password_opens_nothing(self, hub, wait_until):
        wait_until(hub.answers)
        session = requests.Session()
        page = session.get(f"{hub.address}/hub/login", timeout=PATIENCE).text
        token = re.search(r'name="_xsrf" value="([^"]+)"', page).group(1)
        form = {"username": "eve", "password": "guess", "_xsrf": token}
        answer = session.post(f"{hub.address}/hub/login", data=form, timeout=PATIENCE)
        assert answer.status_code == 403

    @pytest.mark.parametrize("image", ["", "coursekit"])
    def test_every_setting_is_one_that_the_hub_knows(self, image, monkeypatch, tmp_path):
        from dockerspawner import DockerSpawner
        from jupyterhub.app import JupyterHub
        from jupyterhub.auth import Authenticator
        from jupyterhub.authenticators.shared import SharedPasswordAuthenticator
        from jupyterhub.proxy import ConfigurableHTTPProxy
        from jupyterhub.spawner import SimpleLocalProcessSpawner, Spawner

        known = (DockerSpawner, JupyterHub, Authenticator, SharedPasswordAuthenticator)
        known += (ConfigurableHTTPProxy, SimpleLocalProcessSpawner, Spawner)
        classes = {cls.__name__: cls for cls in known}
        config = settings(monkeypatch, COURSEKIT_HUB_IMAGE=image, COURSEKIT_CLASS=str(tmp_path))
        for name, of_class in config.items():
            assert set(of_class) <= set(classes[name].class_trait_names(config=True)), name
        if image:
            spawner = DockerSpawner(config=config, user=SimpleNamespace(name="ann"))
            assert spawner.mem_limit == int(config["Spawner"]["mem_limit"][:-1]) * 2**20
            assert list(spawner.read_only_volumes.values()) == ["/data"]


def settings(monkeypatch, **variables):
    """Read the configuration as JupyterHub does, by traitlets."""
    from traitlets.config.loader import PyFileConfigLoader

    for name in ("PASSWORD", "IMAGE", "NETWORK", "STATE"):
        monkeypatch.delenv(f"COURSEKIT_HUB_{name}", raising=False)
    monkeypatch.delenv("COURSEKIT_CLASS", raising=False)
    monkeypatch.setenv("COURSEKIT_DATA", "data")
    monkeypatch.setenv("COURSEKIT_HUB_PASSWORD", PASSWORD)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return PyFileConfigLoader(CONFIG.name, path=str(CONFIG.parent)).load_config()


def test_a_trial_is_for_this_machine_only(monkeypatch):
    config = settings(monkeypatch)
    assert config.JupyterHub.spawner_class == "simple"
    assert config.JupyterHub.bind_url.startswith("http://127.0.0.1:")
    assert config.Spawner.environment["COURSEKIT_DATA"] == str(Path("data").absolute())
    assert "COURSEKIT_CLASS" not in config.Spawner.environment


def test_with_an_image_the_data_are_shared_and_cannot_be_written(monkeypatch):
    config = settings(
        monkeypatch, COURSEKIT_HUB_IMAGE="coursekit", COURSEKIT_DATA="/srv/data",
        COURSEKIT_CLASS="/srv/class",
    )  # fmt: skip
    assert config.DockerSpawner.read_only_volumes == {"/srv/data": "/data"}
    assert "/srv/data" not in config.DockerSpawner.volumes
    assert config.DockerSpawner.volumes["/srv/class"] == "/class"
    told = config.Spawner.environment
    assert (told["COURSEKIT_DATA"], told["COURSEKIT_CLASS"]) == ("/data", "/class")


@pytest.mark.parametrize("password", ["", "short", "열려라 참깨 열려라"])
def test_a_hub_without_a_password_does_not_start(monkeypatch, password):
    with pytest.raises(SystemExit, match="COURSEKIT_HUB_PASSWORD"):
        settings(monkeypatch, COURSEKIT_HUB_PASSWORD=password)


def test_the_memory_is_that_of_the_page(monkeypatch):
    page = (PAGES / "hub.md").read_text(encoding="utf-8")
    measured = [int(mb) for mb in re.findall(r"^\| \w+ \d\d.*\| (\d+) MB \|$", page, re.MULTILINE)]
    text = CONFIG.read_text(encoding="utf-8")
    notebook, server, kernels = (
        int(re.search(rf"^{name} = (\d+)", text, re.MULTILINE).group(1))
        for name in ("LARGEST_NOTEBOOK", "SERVER", "KERNELS")
    )
    assert max(measured) <= notebook <= 1.25 * max(measured)
    limit = kernels * notebook + server
    assert settings(monkeypatch).Spawner.mem_limit == f"{limit}M"
    assert f"{limit / 1000:.1f} GB" in page
    assert f"thirty learners plan {30 * (notebook + server) / 1000:.0f} GB" in page


# The image


def instructions() -> list[tuple[str, str]]:
    lines = re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines()
    return [tuple(line.split(" ", 1)) for line in lines if line.strip() and line[0] != "#"]


def test_the_image_is_made_of_instructions_that_exist():
    known = {"FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "EXPOSE", "CMD"}
    assert {name for name, _ in instructions()} == known
    assert [name for name, _ in instructions()][-1] == "CMD"
    assert json.loads(dict(instructions())["CMD"])[0] == "jupyterhub"


def test_the_image_calls_commands_of_the_readme_and_files_that_are_there():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    called = re.findall(r"python3 -m coursekit [\w ]*\w", DOCKERFILE)
    assert called == ["python3 -m coursekit data list"]
    assert all(command in readme for command in called)
    for path in re.findall(r"/opt/course/([\w/]+\.\w+)", DOCKERFILE):
        assert (ROOT / path).is_file(), path
    (python,) = re.findall(r"FROM python:(3\.\d+)-slim", DOCKERFILE)
    assert python in readme


def test_the_page_builds_and_starts_this_image():
    page = (PAGES / "hub.md").read_text(encoding="utf-8")
    for path in re.findall(r"docs/instructors/[\w.]+", page + DOCKERFILE):
        assert (ROOT / path).exists(), path
    for name in set(re.findall(r"COURSEKIT_HUB_\w+", page)):
        assert name in CONFIG.read_text(encoding="utf-8")
    for package, version in re.findall(r"([a-z-]+)(?:==|@)([\d.]+)", DOCKERFILE):
        assert f"{package} {version}" in page


def test_what_is_no_part_of_the_course_stays_out_of_the_image():
    ignored = (PAGES / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    unversioned = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    hidden = {line.strip("/") for line in unversioned if line.startswith(("/.", "."))}
    assert {*hidden, ".git", "work"} <= {name.removeprefix("**/") for name in ignored}
