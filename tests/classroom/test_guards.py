"""What a learner's code can reach: where a guard is said to hold, it holds."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import sys

import pytest

from coursekit.base.environment import ROOT
from coursekit.course.classroom.grading.examine import examine
from coursekit.course.classroom.grading.host import Host, container_command, environment
from coursekit.course.classroom.grading.sandbox import GUARDS, Limits
from coursekit.course.classroom.grading.workshop import hidden
from tests.classroom.conftest import PATIENT, known, submission, task

PROBE = """
import json, os, socket
from pathlib import Path
found = {{}}
def start(count):
    made = []
    try:
        for _ in range(count):
            made.append(os.fork() or os._exit(0))
    finally:
        for process in made:
            os.waitpid(process, 0)
def attempt(name, action):
    try:
        found[name] = action()
    except BaseException as error:
        found[name] = type(error).__name__
attempt("network", lambda: socket.create_connection(("127.0.0.1", {port}), timeout=5).close())
attempt("write", lambda: Path({folder!r}, "new").write_text("x"))
attempt("remove", lambda: os.remove(Path({folder!r}, "neighbour.ipynb")))
attempt("read", lambda: Path({folder!r}, "neighbour.ipynb").read_text())
attempt("solution", lambda: Path({solution!r}).read_text())
attempt("check", lambda: Path({check!r}).read_text())
attempt("course", lambda: Path({course!r}, "new").write_text("x"))
attempt("scratch", lambda: Path("mine").write_text("x"))
attempt("parent", lambda: os.kill({parent}, 0))
attempt("secret", lambda: os.environ.get("SECRET_OF_THE_GRADER"))
attempt("root", lambda: os.setuid(0) if os.getuid() else os.chroot("/"))
attempt("large", lambda: Path("large").write_bytes(bytes({bytes})))
attempt("memory", lambda: len(bytearray({memory})))
attempt("home", lambda: os.environ["HOME"] == os.getcwd())
attempt("many", lambda: start({many}))
attempt("temporary", lambda: __import__("tempfile").mkdtemp().startswith(os.getcwd()))
items = list(found.items())
for i in range(0, len(items), 5):
    print(json.dumps(dict(items[i:i + 5])))
raise ValueError
"""
LEARNER = """
import os, resource, signal, sys
from pathlib import Path
from coursekit.course.classroom.grading import sandbox
sandbox._become_nobody(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_NPROC, (20, 20))
made = []
try:
    for _ in range(int(sys.argv[2])):
        process = os.fork()
        if not process:
            os.closerange(0, 3)
            signal.pause()
        made.append(process)
except BlockingIOError:
    pass
print(os.getuid(), len(made), flush=True)
sys.stdin.read()
for process in made:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
"""
REFUSED = {
    "network": ["network"],
    "files": ["write", "remove", "solution", "course"],
    "processes": ["parent"],
    "user": ["root"],
    "limits": ["large", "memory"],
    "number": ["many"],
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the probe reached, and the guards that are said to hold."""
    folder = tmp_path_factory.mktemp("submissions")
    (folder / "neighbour.ipynb").write_text("the neighbour's")
    limits = Limits()
    os.environ["SECRET_OF_THE_GRADER"] = "marks"
    host = Host(hidden=[folder], limits=limits)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        probe = PROBE.format(
            port=server.getsockname()[1], folder=str(folder), parent=os.getpid(),
            solution=str(ROOT / "solutions" / "08_optimizers.ipynb"), course=str(ROOT),
            check=str(ROOT / "coursekit" / "checks" / "ex08_optimizers.py"),
            bytes=(limits.file + 1) * 1024**2, memory=(limits.memory + 1000) * 1024**2,
            many=limits.processes + 100,
        )  # fmt: skip
        nb = submission(8, {"steps_to_speed": probe})
        result = examine(host, "kim", "kim/a.ipynb", json.dumps(nb).encode(), known, PATIENT)
        host.close()
        del os.environ["SECRET_OF_THE_GRADER"]
        try:
            server.accept()[0].close()
            reached = True
        except TimeoutError:
            reached = False
    (ROOT / "new").unlink(missing_ok=True)
    found = {}
    for line in task(result, "steps_to_speed").printed.splitlines():
        found |= json.loads(line)
    return found | {"server": reached}, set(GUARDS) - set(result.missing), folder


def _can_seal() -> bool:
    """Return whether `unshare` and `mount` do here what the guards need: Linux 5.12 or later."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        return False
    version = tuple(int(part) for part in platform.release().split(".")[:2])
    command = ["unshare", "--map-root-user", "--mount", "--net", "--pid", "--ipc", "--fork"]
    mount = [*command, "mount", "-t", "tmpfs", "none", "/proc"]
    return version >= (5, 12) and subprocess.run(mount, capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("guard", GUARDS)
def test_a_guard_that_is_said_to_hold_holds(seen, guard):
    found, holds, folder = seen
    if guard not in holds:
        assert guard == "number" or not _can_seal(), "the system gives it"
        pytest.skip(f"this system does not give it: {GUARDS[guard]}")
    for name in REFUSED[guard]:
        assert isinstance(found[name], str), (name, found)
    if guard == "network":
        assert not found["server"]
    if guard == "files":
        assert found["check"] == ""
        assert found["read"] in ("FileNotFoundError", "PermissionError")
        assert (folder / "neighbour.ipynb").read_text() == "the neighbour's"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to be root")
def test_the_processes_of_two_learners_are_counted_apart(tmp_path):
    """Each may have 20: fifteen and fifteen at once are started, of thirty only what is left."""
    try:
        os.chown(tmp_path, 1_500_000_000, 1_500_000_000)
    except OSError:
        pytest.skip("this container does not know the users that no system has given out")
    learners, told = [], []
    try:
        for i, wanted in enumerate(("15", "15", "30")):
            (folder := tmp_path / str(i)).mkdir()
            learner = subprocess.Popen(
                [sys.executable, "-c", LEARNER, str(folder), wanted], cwd=ROOT, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
            learners.append(learner)
            told.append([int(word) for word in learner.stdout.readline().split()])
            assert folder.stat().st_uid == told[-1][0]
    finally:
        for learner in learners:
            learner.communicate()
    users, counts = zip(*told, strict=True)
    assert counts == (15, 15, 19)
    assert len({0, *users}) == 4


@pytest.mark.slow
def test_the_learner_has_a_folder_and_nothing_of_the_grader(seen):
    found, _, _ = seen
    assert found["scratch"] == 1
    assert found["home"] is True
    assert found["temporary"] is True
    assert found["secret"] is None


def test_nothing_is_left_behind_in_the_temporary_folder(graded, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    graded(submission(8, {"steps_to_speed": True}))
    assert list(tmp_path.iterdir()) == []


def test_what_holds_solutions_is_hidden():
    covered = {path.relative_to(ROOT).as_posix() for path in hidden(ROOT)}
    assert {"solutions", "sources", "tests", "coursekit/checks/ex08_optimizers.py",
            "coursekit/checks/_ex08_adam.py"} <= covered  # fmt: skip
    assert "coursekit/checks/engine" not in covered


def test_the_seed_is_in_no_environment_of_a_learner(monkeypatch):
    monkeypatch.setenv("COURSEKIT_CHECK_SEED", "tulip")
    assert "tulip" not in " ".join(environment().values())
    assert "tulip" not in " ".join(container_command("docker", "x", "image", Limits()))


def test_a_container_has_no_network_no_rights_and_no_check():
    command = container_command("docker", "x", "image", Limits(memory=500))
    text = " ".join(command)
    for part in ("--network none", "--read-only", "--cap-drop ALL", "--memory 500m", "--rm",
                 "--user 65534:65534", "no-new-privileges"):  # fmt: skip
        assert part in text
    assert "/dev/null:/course/coursekit/checks/ex08_optimizers.py:ro" in command
    assert command[command.index("image") :] == ["image", "python3", "-m",
        "coursekit.course.classroom.grading.workshop", "-"]  # fmt: skip


@pytest.mark.slow
def test_a_container_is_served_like_a_process(tmp_path, monkeypatch):
    """A docker that runs the command here: what goes over stdin and stdout is the same."""
    script = tmp_path / "docker"
    script.write_text(
        f'#!/bin/sh\n[ "$1" = run ] || exit 0\nPYTHONPATH={ROOT} TMPDIR={tmp_path} HOME={tmp_path} '
        f"exec {os.sys.executable} -m coursekit.course.classroom.grading.workshop -\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    host = Host(container="image")
    nb = submission(8, {"steps_to_speed": True})
    result = examine(host, "kim", "a.ipynb", json.dumps(nb).encode(), known, PATIENT)
    host.close()
    assert task(result, "steps_to_speed").outcome == "correct"
    assert result.missing == []


@pytest.mark.slow
def test_where_no_process_is_copied_each_starts_afresh():
    host = Host(afresh=True)
    nb = submission(8, {"steps_to_speed": True, "momentum": "import os\nos._exit(0)"})
    result = examine(host, "kim", "a.ipynb", json.dumps(nb).encode(), known, PATIENT)
    host.close()
    assert task(result, "momentum").outcome == "crashed"
    assert task(result, "steps_to_speed").outcome == "correct"
